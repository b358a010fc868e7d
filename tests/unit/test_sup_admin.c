/* Tests of runtime/sup_admin.c, sup_reconfigure.c and sup_check.c beyond the numbered checks. */
#include "sup_fixture.h"

#include <stdio.h>
#include <string.h>

#include "actor.h"

static struct tdm_sup_reply start_child(struct world *w, tdm_pid sup, const struct tdm_child_spec *spec)
{
    return *sup_answer(w, sup, &(struct tdm_sup_question){ .op = TDM_SUP_START_CHILD, .spec = spec });
}

SIM_TEST_WITH(sup_admin, every_allocation_of_a_started_child_may_fail, { .seeds = 3 })
{
    struct tdm_child_spec b = CHILD(w, "b", 2, .restart = 0);
    tdm_pid sup = start_children(w, NULL, 0);

    for (uint64_t nth = 1; nth < 60; nth++) {
        tdm_env_sim_fail_alloc(w->env, nth, false);
        struct tdm_sup_reply r = start_child(w, sup, &b);
        tdm_env_sim_fail_alloc(w->env, 0, false);
        let_pass(w, TDM_S(6)); /* an answer for which there was no memory times out */
        bool there = sup_ask(w, sup, TDM_SUP_WHICH, "b", (tdm_pid){ 0 }).err == TDM_OK;
        check(w, r.err != TDM_OK || there);
        if (there) {
            check_eq(w, sup_ask(w, sup, TDM_SUP_TERMINATE_CHILD, "b", (tdm_pid){ 0 }).err, TDM_OK);
            check_eq(w, sup_ask(w, sup, TDM_SUP_DELETE_CHILD, "b", (tdm_pid){ 0 }).err, TDM_OK);
        }
    }
    check_eq(w, sup_count(w, sup).specs, 0);
    wait_actor_count(w, 1);
}

SIM_TEST_WITH(sup_admin, every_allocation_of_a_dynamic_start_on_request_may_fail, { .seeds = 3 })
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_TEMPORARY, .start_timeout_ms = 1000);
    struct worker_arg arg = { .w = w, .number = 3 };
    struct tdm_sup_question q = { .op = TDM_SUP_START_CHILD, .arg = &arg, .arg_bytes = sizeof arg };
    tdm_pid sup = start_template(w, &t);

    for (uint64_t nth = 1; nth < 60; nth++) {
        tdm_env_sim_fail_alloc(w->env, nth, false);
        struct tdm_sup_reply r = *sup_answer(w, sup, &q);
        tdm_env_sim_fail_alloc(w->env, 0, false);
        let_pass(w, TDM_S(6));
        if (r.err == TDM_OK)
            check_eq(w, sup_ask(w, sup, TDM_SUP_TERMINATE_CHILD, NULL, r.pid).err, TDM_OK);
    }
    check_eq(w, tdm_stop(w->rt, sup), TDM_OK);
    wait_end(w, sup);
    wait_actor_count(w, 0);
}

SIM_TEST_WITH(sup_admin, a_reconfiguration_without_memory_changes_nothing, { .seeds = 3 })
{
    struct tdm_child_spec a[] = { CHILD(w, "a", 1, .restart = 0) };
    struct tdm_child_spec ab[] = { CHILD(w, "b", 2, .restart = 0),
                                   CHILD(w, "a", 1, .restart = TDM_TRANSIENT) };
    struct tdm_sup_cfg next = { .intensity = 7, .children = ab, .n_children = 2 };
    struct tdm_sup_question q = { .op = TDM_SUP_RECONFIGURE, .cfg = &next };
    struct tdm_sup_question which_a = { .op = TDM_SUP_WHICH, .id = "a" };
    tdm_pid sup = start_children(w, a, 1);
    int err = TDM_ENOMEM;

    for (uint64_t nth = 1; err != TDM_OK; nth++) {
        check(w, nth < 60);
        tdm_env_sim_fail_alloc(w->env, nth, false);
        err = sup_answer(w, sup, &q)->err;
        tdm_env_sim_fail_alloc(w->env, 0, false);
        let_pass(w, TDM_S(6));
        bool changed = sup_ask(w, sup, TDM_SUP_WHICH, "b", (tdm_pid){ 0 }).err == TDM_OK;
        const struct tdm_sup_reply *r = sup_answer(w, sup, &which_a);
        check_eq(w, r->children[0].restart, changed ? TDM_TRANSIENT : TDM_PERMANENT);
        check(w, changed || err != TDM_OK);
        if (changed)
            break; /* or else only the answer was lost */
    }
    check_eq(w, marks(w, "init"), 1);
}

WORLD_TEST(sup_admin, a_new_list_orders_the_children_and_the_rest_follow)
{
    struct tdm_child_spec old[] = { CHILD(w, "a", 1, .restart = 0), CHILD(w, "b", 2, .restart = 0),
                                    CHILD(w, "c", 3, .restart = 0) };
    struct tdm_child_spec new[] = { CHILD(w, "c", 3, .restart = TDM_TRANSIENT),
                                    CHILD(w, "x", 4, .restart = 0), CHILD(w, "a", 1, .restart = 0) };
    struct tdm_sup_cfg next = { .intensity = 5, .children = new, .n_children = 3 };
    struct tdm_sup_question q = { .op = TDM_SUP_RECONFIGURE, .cfg = &next };
    static const char *const order[] = { "b", "a", "x", "c" }; /* newest first */
    tdm_pid sup = start_children(w, old, 3);
    tdm_pid c = child_pid(w, sup, "c");

    for (int i = 0; i < 3; i++)
        check_eq(w, sup_answer(w, sup, &q)->err, TDM_OK);
    const struct tdm_sup_reply *r =
        sup_answer(w, sup, &(struct tdm_sup_question){ .op = TDM_SUP_WHICH_CHILDREN });
    check_eq(w, r->n_children, 4);
    for (uint32_t i = 0; i < 4; i++)
        check(w, strcmp(r->children[i].id, order[i]) == 0);
    check_eq(w, r->children[3].pid.id, c.id);
    check_eq(w, r->children[2].state, TDM_CHILD_STOPPED);
    tell(w, c, exit_normal, NULL); /* transient now */
    wait_end(w, c);
    while (child_pid(w, sup, "c").id != 0)
        let_pass(w, TDM_MS(1));
    stop_sup(w, sup);
    check(w, mark_before(w, "term", 2, "term", 1));
}

WORLD_TEST(sup_admin, the_name_a_child_wanted_is_told_with_its_holder)
{
    struct tdm_child_spec leaf[] = { CHILD(w, "leaf", 1, .restart = 0) };
    struct tdm_sup_cfg inner = { .name = "door", .intensity = 1, .children = leaf, .n_children = 1 };
    struct tdm_child_spec spec = TDM_SUP_CHILD("inner", &inner);
    tdm_pid holder = start_sup(w, &inner);
    tdm_pid sup = start_children(w, NULL, 0);

    struct tdm_sup_reply r = start_child(w, sup, &spec);
    check_eq(w, r.err, TDM_EEXIST);
    check_eq(w, r.pid.id, holder.id);
    check_eq(w, sup_count(w, sup).specs, 0);
}

static bool slow_start(struct worker_arg *arg, const struct tdm_start *start, int *result)
{
    struct tdm_parker p = { 0 };
    struct tdm_env *env = arg->w->env;
    uint64_t until = env->now_ns(env) + TDM_MS(500);

    (void)start, (void)result;
    while (env->now_ns(env) < until)
        env->park(env, &p, until);
    return false;
}

SIM_TEST(sup_admin, a_dynamic_start_from_any_thread_is_timed_too)
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT, .start_timeout_ms = 100);
    struct worker_arg slow = { .w = w, .number = 1, .veto = slow_start }, fast = { .w = w, .number = 2 };
    tdm_pid sup = start_template(w, &t);
    tdm_place p;

    log_watch(w);
    check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &slow, sizeof slow, NULL, NULL), TDM_OK);
    check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &fast, sizeof fast, NULL, &p), TDM_OK);
    wait_marks_of(w, "init", 2, 1);
    tdm_pid pid = tdm_place_pid(w->rt, p);
    wait_actor_count(w, 2);
    check_eq(w, logged("ETIMEOUT"), 1);
    check_eq(w, sup_count(w, sup).workers, 1);
    let_pass(w, TDM_S(1)); /* who has started is not timed any more */
    check_eq(w, tdm_place_pid(w->rt, p).id, pid.id);
    tell(w, pid, exit_error, NULL);
    wait_marks_of(w, "init", 2, 2);
    let_pass(w, TDM_S(1));
    check_eq(w, sup_count(w, sup).active, 1);
}

WORLD_TEST(sup_admin, starts_on_request_while_the_supervisor_is_killed_lose_nothing)
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT, .start_timeout_ms = 1000);
    struct worker_arg quiet = { .w = w, .number = 1, .quiet = true };

    for (int i = 0; i < (w->sim ? 3 : 200); i++) {
        tdm_pid sup = start_template(w, &t);
        for (int k = 0; k < 10; k++)
            check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &quiet, sizeof quiet, NULL, NULL), TDM_OK);
        tdm_kill(w->rt, sup);
        wait_actor_count(w, 0);
    }
}

static void crash_the_supervisor(tdm_self *sup, tdm_place child, const void *arg, size_t arg_bytes,
                                 const struct tdm_reason *last)
{
    (void)child, (void)arg, (void)arg_bytes, (void)last;
    tdm_assert(sup, !"given up");
}

WORLD_TEST(sup_admin, children_end_with_the_reason_of_their_parent)
{
    struct tdm_child_spec specs[] = { CHILD(w, "a", 1, .on_give_up = crash_the_supervisor),
                                      CHILD(w, "b", 2, .restart = 0), CHILD(w, "c", 3, .restart = 0) };
    specs[2].start.trap_exit = specs[2].start.trap_stop = true;
    struct tdm_sup_cfg cfg = { .scope = TDM_SCOPE_CHILD, .children = specs, .n_children = 3 };
    tdm_pid sup = start_sup(w, &cfg), watcher = spawn_worker(w, 9);
    tdm_pid b = child_pid(w, sup, "b"), c = child_pid(w, sup, "c");

    ask(w, watcher, monitor_it, &b);
    ask(w, watcher, monitor_it, &c);
    tell(w, child_pid(w, sup, "a"), exit_error, NULL);
    wait_marks(w, "down", 2);
    for (size_t i = 0; i < 2; i++)
        check_eq(w, mark_at(w, "down", i).reason.code, TDM_EASSERT);
    wait_actor_count(w, 1);
}

static int tell_ancestors(tdm_self *self, void *arg)
{
    family_ancestors(self, arg, 256);
    return TDM_OK;
}

WORLD_TEST(sup_admin, an_actor_can_name_the_supervisors_above_it)
{
    struct tdm_child_spec leaf[] = { CHILD(w, "leaf", 1, .restart = 0) };
    struct tdm_sup_cfg inner = { .name = "inner", .intensity = 1, .children = leaf, .n_children = 1 };
    struct tdm_child_spec above[] = { TDM_SUP_CHILD("inner", &inner) };
    struct tdm_sup_cfg outer = { .name = "outer", .intensity = 1, .children = above, .n_children = 1 };
    tdm_pid sup = start_sup(w, &outer);
    tdm_pid in = tdm_whereis(w->rt, "inner", 5);
    char line[256] = "", expected[256];

    ask(w, child_pid(w, in, "leaf"), tell_ancestors, line);
    snprintf(expected, sizeof expected, "outer(%llu) > inner(%llu)", (unsigned long long)sup.id,
             (unsigned long long)in.id);
    check(w, strcmp(line, expected) == 0);
}

WORLD_TEST_WITH(sup_admin, many_children_are_found_by_their_ids, { .seeds = 2 })
{
    enum { N = 2000 };
    static struct tdm_child_spec specs[N];
    static char names[N][8];
    struct worker_arg quiet = { .w = w, .quiet = true };

    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "c%d", i);
        specs[i] = (struct tdm_child_spec)CHILD(w, names[i], 0, .restart = 0);
        specs[i].start.arg = &quiet;
    }
    tdm_pid sup = start_children(w, specs, N);
    for (int i = 0; i < N; i += 37)
        check(w, child_pid(w, sup, names[i]).id != 0);
    check_eq(w, sup_ask(w, sup, TDM_SUP_TERMINATE_CHILD, "c1999", (tdm_pid){ 0 }).err, TDM_OK);
    check_eq(w, sup_ask(w, sup, TDM_SUP_DELETE_CHILD, "c1999", (tdm_pid){ 0 }).err, TDM_OK);
    check_eq(w, sup_ask(w, sup, TDM_SUP_WHICH, "c1999", (tdm_pid){ 0 }).err, TDM_ENOTFOUND);
    check_eq(w, sup_count(w, sup).specs, N - 1);
    char why[200];
    specs[1500].id = "c3";
    struct tdm_sup_cfg twins = { .children = specs, .n_children = N };
    check_eq(w, tdm_sup_check(&twins, why, sizeof why), TDM_EINVAL);
    check(w, strstr(why, "children[1500] (id \"c3\")") != NULL);
}
