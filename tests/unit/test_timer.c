/* Tests of runtime/timer.c. */
#include "worlds.h"

#include <string.h>

struct order {
    uint64_t delay_ns;
    tdm_ref ref;
    tdm_pid to;
    bool had;
};

static int set_timer(tdm_self *self, void *arg)
{
    struct order *o = arg;

    o->ref = tdm_timer_start(self, o->delay_ns);
    return o->ref == 0 ? TDM_ENOMEM : TDM_OK;
}

static int cancel_timer(tdm_self *self, void *arg)
{
    struct order *o = arg;

    o->had = tdm_timer_cancel(self, o->ref);
    return TDM_OK;
}

SIM_TEST(timer, fires_never_early_and_at_most_one_tick_late)
{
    static const uint64_t delays[] = { 0,
                                       1,
                                       16384,
                                       100000,
                                       TDM_MS(1),
                                       TDM_MS(17),
                                       TDM_MS(1050),
                                       TDM_S(70),
                                       TDM_S(4500),
                                       TDM_S(86400 * 3),
                                       TDM_S(86400 * 20) };
    tdm_pid a = spawn_worker(w, 1);

    for (size_t i = 0; i < sizeof delays / sizeof delays[0]; i++) {
        struct order o = { .delay_ns = delays[i] };
        uint64_t before = w->env->now_ns(w->env);
        ask(w, a, set_timer, &o);
        while (marks_of(w, "timer", o.ref) == 0)
            let_pass(w, delays[i] / 4 + 1000);
        uint64_t took = mark_at(w, "timer", i).at_ns - before;
        check(w, took >= delays[i] && took <= delays[i] + 40000);
    }
}

SIM_TEST_WITH(timer, equal_deadlines_fire_in_the_order_in_which_they_were_set, { .workers = 1 })
{
    struct order o[6];
    tdm_pid a = spawn_worker(w, 1);
    uint64_t due = w->env->now_ns(w->env) + TDM_MS(100);

    /* The first lie on a coarse level of the wheel when the last are put into a fine one. */
    for (size_t i = 0; i < 6; i++) {
        o[i] = (struct order){ .delay_ns = due - w->env->now_ns(w->env) };
        ask(w, a, set_timer, &o[i]);
        let_pass(w, i == 4 ? due - w->env->now_ns(w->env) - 200000 : TDM_MS(15));
    }
    wait_marks(w, "timer", 6);
    for (size_t i = 0; i < 6; i++)
        check_eq(w, mark_at(w, "timer", i).n, o[i].ref);
}

SIM_TEST_WITH(timer, equal_deadlines_fire_in_order_whichever_workers_they_were_set_on, { .workers = 4 })
{
    struct order o[12];
    tdm_pid a = spawn_worker(w, 1);
    uint64_t due = w->env->now_ns(w->env) + TDM_MS(100);

    for (size_t i = 0; i < 12; i++) {
        o[i] = (struct order){ .delay_ns = due - w->env->now_ns(w->env) };
        ask(w, a, set_timer, &o[i]);
        let_pass(w, TDM_MS(5));
    }
    wait_marks(w, "timer", 12);
    for (size_t i = 0; i < 12; i++)
        check_eq(w, mark_at(w, "timer", i).n, o[i].ref);
}

WORLD_TEST_WITH(timer, one_set_for_sooner_from_another_worker_is_not_slept_through, { .workers = 4 })
{
    tdm_pid a = spawn_worker(w, 1);
    struct order late = { .delay_ns = TDM_S(3600) };

    ask(w, a, set_timer, &late);
    for (int i = 0; i < 20; i++) {
        struct order o = { .delay_ns = TDM_MS(2) };
        let_pass(w, TDM_MS(1)); /* the workers park; whoever wakes first runs it */
        ask(w, a, set_timer, &o);
        wait_marks_of(w, "timer", o.ref, 1);
    }
}

WORLD_TEST(timer, a_cancelled_timer_does_not_fire)
{
    tdm_pid a = spawn_worker(w, 1);

    for (int i = 0; i < 50; i++) {
        struct order o = { .delay_ns = (uint64_t)i * 2000 };
        ask(w, a, set_timer, &o);
        ask(w, a, cancel_timer, &o);
        size_t fired = marks_of(w, "timer", o.ref);
        check(w, fired <= (o.had ? 0u : 1u)); /* it may have fired and been taken out of the mailbox */
        let_pass(w, 200000);
        ask(w, a, do_nothing, NULL);
        check_eq(w, marks_of(w, "timer", o.ref), fired);
    }
}

WORLD_TEST(timer, timers_of_an_actor_that_ends_do_not_fire)
{
    tdm_pid a = spawn_worker(w, 1), b = spawn_worker(w, 2);
    struct order o = { .delay_ns = TDM_MS(5) };

    for (int i = 0; i < 10; i++)
        ask(w, a, set_timer, &o);
    tell(w, a, exit_error, NULL);
    wait_end(w, a);
    ask(w, b, set_timer, &o);
    wait_marks(w, "timer", 1);
    check_eq(w, mark_at(w, "timer", 0).pid.id, b.id);
    check_eq(w, marks(w, "timer"), 1);
}

static int send_later(tdm_self *self, void *arg)
{
    struct order *o = arg;
    uint64_t n = 5;

    o->ref = tdm_send_after(self, o->to, o->delay_ns,
                            tdm_msg_copy(tdm_self_runtime(self), MSG_NUMBER, &n, sizeof n));
    return TDM_OK;
}

WORLD_TEST(timer, a_message_for_another_arrives_there)
{
    tdm_pid a = spawn_worker(w, 1), b = spawn_worker(w, 2);
    struct order o = { .delay_ns = TDM_MS(1), .to = b };

    ask(w, a, send_later, &o);
    wait_marks(w, "got", 1);
    check_eq(w, mark_at(w, "got", 0).pid.id, b.id);
}

static int set_many(tdm_self *self, void *arg)
{
    uint64_t n = *(uint64_t *)arg;

    for (uint64_t i = 0; i < n; i++)
        if (tdm_timer_start(self, TDM_MS(1) + i % 97 * 50000) == 0)
            return TDM_ENOMEM;
    return TDM_OK;
}

WORLD_TEST_WITH(timer, thousands_of_timers_all_fire_once, { .seeds = 5 })
{
    uint64_t n = 3000;
    tdm_pid a = spawn_worker(w, 1);

    ask(w, a, set_many, &n);
    wait_marks(w, "timer", n);
    ask(w, a, do_nothing, NULL);
    check_eq(w, marks(w, "timer"), n);
}

SIM_TEST(timer, without_memory_a_timer_is_refused_and_nothing_is_lost)
{
    tdm_pid a = spawn_worker(w, 1);
    struct order o = { .delay_ns = TDM_MS(1) };

    ask(w, a, do_nothing, NULL);
    for (uint64_t nth = 2; nth < 6; nth++) { /* the first is the order's own message */
        tdm_env_sim_fail_alloc(w->env, nth, false);
        (void)tell(w, a, set_timer, &o);
        let_pass(w, TDM_MS(10));
        tdm_env_sim_fail_alloc(w->env, 0, false);
        if (!tdm_alive(w->rt, a))
            a = spawn_worker(w, 1);
    }
}
