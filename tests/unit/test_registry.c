/* Tests of runtime/registry.c and table.c. */
#include "worlds.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "table.h"

struct name_order {
    const char *name;
    size_t bytes;
    int err;
};

static int take(tdm_self *self, void *arg)
{
    struct name_order *o = arg;
    o->err = tdm_register(self, o->name, o->bytes);
    return TDM_OK;
}

static int give(tdm_self *self, void *arg)
{
    struct name_order *o = arg;
    o->err = tdm_unregister(self, o->name, o->bytes);
    return TDM_OK;
}

static int take_name(struct world *w, tdm_pid a, const char *name, deed *fn)
{
    struct name_order o = { name, strlen(name), 0 };
    ask(w, a, fn, &o);
    return o.err;
}

WORLD_TEST(registry, a_name_has_one_holder_and_is_free_after_its_end)
{
    tdm_pid a = spawn_worker(w, 1), b = spawn_worker(w, 2);

    check_eq(w, take_name(w, a, "x", take), TDM_OK);
    check_eq(w, take_name(w, a, "y", take), TDM_OK);
    check_eq(w, take_name(w, b, "x", take), TDM_EEXIST);
    check_eq(w, tdm_whereis(w->rt, "x", 1).id, a.id);
    check_eq(w, tdm_registered_count(w->rt), 2);
    tell(w, a, exit_error, NULL);
    wait_end(w, a);
    check_eq(w, tdm_whereis(w->rt, "x", 1).id, 0);
    check_eq(w, tdm_registered_count(w->rt), 0);
    check_eq(w, take_name(w, b, "x", take), TDM_OK);
}

WORLD_TEST(registry, only_the_holder_gives_a_name_back)
{
    tdm_pid a = spawn_worker(w, 1), b = spawn_worker(w, 2);

    check_eq(w, take_name(w, a, "x", take), TDM_OK);
    check_eq(w, take_name(w, b, "x", give), TDM_ENOTFOUND);
    check_eq(w, take_name(w, a, "x", give), TDM_OK);
    check_eq(w, take_name(w, a, "x", give), TDM_ENOTFOUND);
    check_eq(w, tdm_whereis(w->rt, "x", 1).id, 0);
}

WORLD_TEST(registry, names_are_any_bytes_within_their_bounds)
{
    static char big[TDM_NAME_MAX + 1];
    tdm_pid a = spawn_worker(w, 1);
    struct name_order o[] = {
        { "", 0, 0 }, { big, sizeof big, 0 }, { big, TDM_NAME_MAX, 0 }, { "a\0b", 3, 0 }
    };

    for (size_t i = 0; i < 4; i++)
        ask(w, a, take, &o[i]);
    check_eq(w, o[0].err, TDM_EINVAL);
    check_eq(w, o[1].err, TDM_EINVAL);
    check_eq(w, o[2].err, TDM_OK);
    check_eq(w, o[3].err, TDM_OK);
    check_eq(w, tdm_whereis(w->rt, "a\0b", 3).id, a.id);
    check_eq(w, tdm_whereis(w->rt, "a\0c", 3).id, 0);
    check_eq(w, tdm_whereis(w->rt, NULL, 0).id, 0);
}

static int take_many(tdm_self *self, void *arg)
{
    char name[32];

    for (int i = *(int *)arg; i > 0; i--) {
        snprintf(name, sizeof name, "name %d", i);
        if (tdm_register(self, name, strlen(name)) < 0)
            return TDM_EINVAL;
    }
    return TDM_OK;
}

WORLD_TEST_WITH(registry, many_names_of_one_actor_go_at_once, { .seeds = 5 })
{
    int n = 3000;
    tdm_pid a = spawn_worker(w, 1);

    ask(w, a, take_many, &n);
    check_eq(w, tdm_registered_count(w->rt), n);
    check_eq(w, tdm_whereis(w->rt, "name 1500", 9).id, a.id);
    tdm_kill(w->rt, a);
    wait_end(w, a);
    check_eq(w, tdm_registered_count(w->rt), 0);
}

SIM_TEST(registry, without_memory_a_name_is_refused_and_stays_free)
{
    tdm_pid a = spawn_worker(w, 1);
    struct name_order o = { "x", 1, 0 };

    ask(w, a, do_nothing, NULL);
    for (uint64_t nth = 2; nth < 6; nth++) {
        o.err = 1;
        tdm_env_sim_fail_alloc(w->env, nth, false);
        ask(w, a, take, &o);
        tdm_env_sim_fail_alloc(w->env, 0, false);
        check(w, o.err == TDM_OK || o.err == TDM_ENOMEM);
        check_eq(w, tdm_whereis(w->rt, "x", 1).id, o.err == TDM_OK ? a.id : 0);
        if (o.err == TDM_OK)
            ask(w, a, give, &o);
    }
}

/* ---- the table on real threads --------------------------------------------------------------- */

enum { KEYS = 64, WRITES = 20000 };

struct churn {
    struct table *t;
    _Atomic bool stop;
    _Atomic int missed;
};

static void *read_stable(void *arg)
{
    struct churn *c = arg;
    char key[16];

    while (!atomic_load(&c->stop))
        for (int i = 0; i < KEYS; i++) {
            uint64_t v = 0;
            snprintf(key, sizeof key, "stable %d", i);
            if (!table_get(c->t, key, strlen(key), &v) || v != (uint64_t)i)
                atomic_fetch_add(&c->missed, 1);
        }
    return NULL;
}

Test(table, a_key_that_stays_is_never_missed_while_others_come_and_go, .timeout = 60)
{
    struct churn c = { .stop = false };
    char key[16];
    pthread_t reader;

    cr_assert(table_new(&c.t, tdm_env_real()) == TDM_OK);
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "stable %d", i);
        cr_assert(table_add(c.t, key, strlen(key), (uint64_t)i, NULL) == TDM_OK);
    }
    cr_assert(pthread_create(&reader, NULL, read_stable, &c) == 0);
    for (int i = 0; i < WRITES; i++) {
        snprintf(key, sizeof key, "k%d", i);
        cr_assert(table_add(c.t, key, strlen(key), 1, NULL) == TDM_OK);
        cr_assert(table_add(c.t, key, strlen(key), 2, NULL) == TDM_EEXIST);
        if (i >= 500) {
            snprintf(key, sizeof key, "k%d", i - 500);
            cr_assert(table_remove(c.t, key, strlen(key), 9) == TDM_ENOTFOUND);
            cr_assert(table_remove(c.t, key, strlen(key), 1) == TDM_OK);
        }
    }
    atomic_store(&c.stop, true);
    pthread_join(reader, NULL);
    cr_assert(atomic_load(&c.missed) == 0);
    cr_assert(table_count(c.t) == KEYS + 500);
    table_free(c.t);
}
