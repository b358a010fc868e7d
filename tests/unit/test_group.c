/* Tests of runtime/group.c. */
#include "worlds.h"

#include <stdio.h>
#include <string.h>

struct order {
    const char *name;
    size_t bytes;
    int err;
};

static int join(tdm_self *self, void *arg)
{
    struct order *o = arg;
    o->err = tdm_group_join(self, o->name, o->bytes);
    return TDM_OK;
}

static int leave(tdm_self *self, void *arg)
{
    struct order *o = arg;
    o->err = tdm_group_leave(self, o->name, o->bytes);
    return TDM_OK;
}

static int do_in(struct world *w, tdm_pid a, deed *fn, const char *name)
{
    struct order o = { name, strlen(name), 0 };
    ask(w, a, fn, &o);
    return o.err;
}

static size_t members(struct world *w, const char *name, tdm_pid *out, size_t room)
{
    return tdm_group_members(w->rt, name, strlen(name), out, room);
}

WORLD_TEST(group, members_are_listed_as_often_as_they_joined_and_leave_one_by_one)
{
    tdm_pid a = spawn_worker(w, 1), b = spawn_worker(w, 2), in[4] = { { 0 } };

    check_eq(w, members(w, "g", in, 4), 0);
    check_eq(w, do_in(w, a, join, "g"), TDM_OK);
    check_eq(w, do_in(w, b, join, "g"), TDM_OK);
    check_eq(w, do_in(w, a, join, "g"), TDM_OK);
    check_eq(w, members(w, "g", in, 4), 3);
    check_eq(w, in[0].id, a.id);
    check_eq(w, in[1].id, b.id);
    check_eq(w, in[2].id, a.id);
    check_eq(w, do_in(w, a, leave, "g"), TDM_OK);
    check_eq(w, do_in(w, a, leave, "g"), TDM_OK);
    check_eq(w, do_in(w, a, leave, "g"), TDM_ENOTFOUND);
    check_eq(w, members(w, "g", in, 4), 1);
    check_eq(w, in[0].id, b.id);
    check_eq(w, do_in(w, b, leave, "g"), TDM_OK);
    check_eq(w, members(w, "g", in, 4), 0);
}

WORLD_TEST(group, more_members_than_room_are_counted_and_not_written)
{
    tdm_pid a = spawn_worker(w, 1), in[2] = { { 0 }, { 77 } };

    for (int i = 0; i < 5; i++)
        check_eq(w, do_in(w, a, join, "g"), TDM_OK);
    check_eq(w, members(w, "g", in, 1), 5);
    check_eq(w, in[1].id, 77);
    check_eq(w, members(w, "g", NULL, 0), 5);
}

WORLD_TEST(group, an_end_leaves_all_groups_before_anyone_hears_of_it)
{
    tdm_pid a = spawn_worker(w, 1), b = spawn_worker(w, 2), watcher = spawn_worker(w, 3), in[4];

    check_eq(w, do_in(w, a, join, "g"), TDM_OK);
    check_eq(w, do_in(w, a, join, "h"), TDM_OK);
    check_eq(w, do_in(w, b, join, "h"), TDM_OK);
    ask(w, watcher, monitor_it, &a);
    tell(w, a, exit_error, NULL);
    wait_marks(w, "down", 1);
    check_eq(w, members(w, "g", in, 4), 0);
    check_eq(w, members(w, "h", in, 4), 1);
    check_eq(w, in[0].id, b.id);
}

WORLD_TEST(group, names_are_any_bytes_within_their_bounds_and_apart_from_registered_names)
{
    static char big[TDM_NAME_MAX + 1];
    tdm_pid a = spawn_worker(w, 1);
    struct order o[] = { { "", 0, 0 }, { big, sizeof big, 0 }, { big, TDM_NAME_MAX, 0 }, { "a\0b", 3, 0 } };

    for (size_t i = 0; i < 4; i++)
        ask(w, a, join, &o[i]);
    check_eq(w, o[0].err, TDM_EINVAL);
    check_eq(w, o[1].err, TDM_EINVAL);
    check_eq(w, o[2].err, TDM_OK);
    check_eq(w, o[3].err, TDM_OK);
    check_eq(w, tdm_group_members(w->rt, "a\0b", 3, NULL, 0), 1);
    check_eq(w, tdm_group_members(w->rt, "a\0c", 3, NULL, 0), 0);
    check_eq(w, tdm_group_members(w->rt, NULL, 0, NULL, 0), 0);
    check_eq(w, tdm_whereis(w->rt, "a\0b", 3).id, 0);
}

static int join_many(tdm_self *self, void *arg)
{
    char name[32];

    for (int i = *(int *)arg; i > 0; i--) {
        snprintf(name, sizeof name, "group %d", i);
        if (tdm_group_join(self, name, strlen(name)) < 0)
            return TDM_EINVAL;
    }
    return TDM_OK;
}

WORLD_TEST_WITH(group, thousands_of_groups_come_and_go, { .seeds = 5 })
{
    int n = 5000;
    tdm_pid a = spawn_worker(w, 1), b = spawn_worker(w, 2), in[4];

    ask(w, a, join_many, &n);
    ask(w, b, join_many, &n);
    check_eq(w, members(w, "group 1", in, 4), 2);
    check_eq(w, members(w, "group 5000", in, 4), 2);
    tdm_kill(w->rt, a);
    wait_end(w, a);
    check_eq(w, members(w, "group 2500", in, 4), 1);
    check_eq(w, in[0].id, b.id);
}

struct crowd {
    struct world *w;
    int rounds;
};

static int come_and_go(tdm_self *self, void *arg)
{
    const struct crowd *c = arg;
    tdm_pid in[64], me = tdm_self_pid(self);

    for (int i = 0; i < c->rounds; i++) {
        if (tdm_group_join(self, "crowd", 5) < 0)
            return TDM_ENOMEM;
        size_t n = tdm_group_members(tdm_self_runtime(self), "crowd", 5, in, 64), mine = 0;
        for (size_t k = 0; k < n; k++)
            mine += in[k].id == me.id;
        if (mine != 1)
            mark(c->w, "miscounted", mine);
        if (tdm_group_leave(self, "crowd", 5) < 0)
            mark(c->w, "not found", 0);
    }
    mark(c->w, "gone", 0);
    return TDM_OK;
}

WORLD_TEST_WITH(group, many_actors_at_one_group_each_see_themselves_once, { .workers = 4, .seeds = 5 })
{
    struct crowd c = { w, w->sim ? 20 : 2000 };

    for (uint64_t i = 0; i < 8; i++)
        check_eq(w, tell(w, spawn_worker(w, i), come_and_go, &c), TDM_OK);
    wait_marks(w, "gone", 8);
    check_eq(w, marks(w, "miscounted") + marks(w, "not found"), 0);
    check_eq(w, members(w, "crowd", NULL, 0), 0);
}

SIM_TEST(group, without_memory_a_join_is_refused_and_nothing_is_left)
{
    tdm_pid a = spawn_worker(w, 1);
    struct order o = { "x", 1, 0 };

    ask(w, a, do_nothing, NULL);
    for (uint64_t nth = 1; nth < 8; nth++) {
        o.err = 1;
        tdm_env_sim_fail_alloc(w->env, nth, false);
        if (tell(w, a, join, &o) < 0) { /* the order itself found none */
            tdm_env_sim_fail_alloc(w->env, 0, false);
            continue;
        }
        let_pass(w, TDM_MS(1));
        tdm_env_sim_fail_alloc(w->env, 0, false);
        check(w, o.err == TDM_OK || o.err == TDM_ENOMEM);
        check_eq(w, members(w, "x", NULL, 0), o.err == TDM_OK ? 1 : 0);
        if (o.err == TDM_OK)
            ask(w, a, leave, &o);
    }
}
