/* Group F: stopping. */
#include <stdio.h>
#include <string.h>

#include "sup_fixture.h"

WORLD_TEST(stop, F1_children_stop_in_reverse_order_one_at_a_time)
{
    struct tdm_child_spec specs[5];
    static const char *const ids[] = { "a", "b", "c", "d", "e" };
    struct slow_arg args[5];

    for (uint64_t i = 0; i < 5; i++) {
        args[i] = (struct slow_arg){ w, i, 5, { .kind = TDM_EXIT_SHUTDOWN } };
        specs[i] = (struct tdm_child_spec)SLOW(w, ids[i], i, 5, TDM_EXIT_SHUTDOWN, .restart = 0);
        specs[i].start.arg = &args[i];
    }
    stop_sup(w, start_children(w, specs, 5));
    for (uint64_t i = 0; i < 5; i++) {
        check_eq(w, mark_at(w, "term", i).n, 4 - i);
        if (i > 0)
            check(w, mark_before(w, "term", 5 - i, "asked", 4 - i));
    }
}

static void check_took(struct world *w, uint64_t since, uint64_t at_least_ms, uint64_t less_than_ms)
{
    uint64_t took = w->env->now_ns(w->env) - since;
    check(w, took >= TDM_MS(at_least_ms) && took < TDM_MS(less_than_ms));
}

/* How the worker with this number ended, as a watcher saw it. */
static struct tdm_reason end_of(struct world *w, tdm_pid pid)
{
    for (size_t i = 0;; i++) {
        struct mark m = mark_at(w, "down", i);
        if (m.pid.id == pid.id)
            return m.reason;
    }
}

/* The first ignores the request, the second does not. */
static void stop_with_one_that_ignores_it(struct world *w, tdm_pid sup)
{
    tdm_pid ignores, obeys;

    wait_marks(w, "init", 2);
    ignores = mark_at(w, "init", mark_at(w, "init", 0).n == 1 ? 0 : 1).pid;
    obeys = mark_at(w, "init", mark_at(w, "init", 0).n == 1 ? 1 : 0).pid;
    watch_end(w, ignores);
    watch_end(w, obeys);
    log_watch(w);
    uint64_t before = w->env->now_ns(w->env);
    stop_sup(w, sup);
    check_took(w, before, 1000, 1100);
    wait_marks(w, "down", 2);
    check(w, reason_is(end_of(w, ignores), END_KILLED));
    check(w, reason_is(end_of(w, obeys), END_SHUTDOWN));
    check_eq(w, logged("event=supervisor.shutdown_error"), 1);
    check_eq(w, marks(w, "term"), 1);
}

SIM_TEST(stop, F2_a_child_that_ignores_the_request_is_killed_when_its_time_is_over)
{
    struct tdm_child_spec specs[] = { SLOW(w, "a", 1, UINT32_MAX, TDM_EXIT_SHUTDOWN, .shutdown_ms = 1000),
                                      SLOW(w, "b", 2, 1, TDM_EXIT_SHUTDOWN, .shutdown_ms = 1000) };

    stop_with_one_that_ignores_it(w, start_children(w, specs, 2));
}

SIM_TEST(stop, F2_the_same_with_dynamic_children)
{
    struct tdm_child_spec t = SLOW(w, "a", 1, UINT32_MAX, TDM_EXIT_SHUTDOWN, .shutdown_ms = 1000);
    struct slow_arg obeys = { w, 2, 1, { .kind = TDM_EXIT_SHUTDOWN } };
    tdm_pid sup = start_template(w, &t);

    check_eq(w, tdm_sup_start_dynamic(w->rt, sup, NULL, 0, NULL, NULL), TDM_OK);
    check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &obeys, sizeof obeys, NULL, NULL), TDM_OK);
    stop_with_one_that_ignores_it(w, sup);
}

SIM_TEST(stop, F2_the_time_to_stop_holds_for_a_stop_on_request_too)
{
    struct tdm_child_spec a = SLOW(w, "a", 1, UINT32_MAX, TDM_EXIT_SHUTDOWN, .shutdown_ms = 1000);
    tdm_pid sup = start_children(w, &a, 1);

    log_watch(w);
    uint64_t before = w->env->now_ns(w->env);
    check_eq(w, sup_err(w, sup, TDM_SUP_TERMINATE_CHILD, "a"), TDM_OK);
    check_took(w, before, 1000, 1100);
    check_eq(w, sup_count(w, sup).active, 0);
    check_eq(w, logged("event=supervisor.shutdown_error"), 1);
}

WORLD_TEST(stop, F3_a_brutal_kill_runs_no_callback)
{
    struct tdm_child_spec a = CHILD(w, "a", 99, .shutdown_ms = TDM_SHUTDOWN_BRUTAL);
    tdm_pid sup = start_children(w, &a, 1);
    tdm_pid dynamic = start_template(w, &a);

    for (uint64_t i = 0; i < 10; i++)
        start_dynamic(w, dynamic, i);
    wait_marks(w, "init", 11);
    for (size_t i = 0; i < 11; i++)
        watch_end(w, mark_at(w, "init", i).pid);
    for (size_t i = 0; i < 11; i++)
        ask(w, mark_at(w, "init", i).pid, do_nothing, NULL);
    log_watch(w);
    stop_sup(w, sup);
    stop_sup(w, dynamic);
    wait_marks(w, "down", 11);
    for (size_t i = 0; i < 11; i++)
        check(w, reason_is(mark_at(w, "down", i).reason, END_KILLED));
    check_eq(w, marks(w, "term"), 0);
    check_eq(w, logged("shutdown_error"), 0);
}

SIM_TEST(stop, F4_without_a_limit_a_worker_gets_its_time)
{
    struct tdm_child_spec a = SLOW(w, "a", 1, 10000, TDM_EXIT_SHUTDOWN, .shutdown_ms = TDM_SHUTDOWN_INFINITY);
    tdm_pid sup = start_children(w, &a, 1);
    uint64_t before = w->env->now_ns(w->env);

    log_watch(w);
    stop_sup(w, sup);
    check_took(w, before, 10000, 10100);
    check_eq(w, marks(w, "term"), 1);
    check_eq(w, logged("shutdown_error"), 0);
}

SIM_TEST(stop, F4_and_so_does_a_supervisor)
{
    struct tdm_child_spec leaf =
        SLOW(w, "leaf", 1, 10000, TDM_EXIT_SHUTDOWN, .shutdown_ms = TDM_SHUTDOWN_INFINITY);
    struct tdm_sup_cfg inner = { .intensity = 5, .children = &leaf, .n_children = 1 };
    struct tdm_child_spec branch =
        TDM_SUP_CHILD("inner", &inner); /* no limit is the default of supervisors */
    tdm_pid sup = start_children(w, &branch, 1);
    uint64_t before = w->env->now_ns(w->env);

    log_watch(w);
    stop_sup(w, sup);
    check_took(w, before, 10000, 10100);
    check_eq(w, marks(w, "term"), 1);
    check_eq(w, logged("shutdown_error"), 0);
}

WORLD_TEST(stop, F5_with_no_time_a_child_ends_at_once)
{
    for (int traps = 0; traps < 2; traps++) {
        struct tdm_child_spec a =
            SLOW(w, "a", 1, UINT32_MAX, TDM_EXIT_SHUTDOWN, .shutdown_ms = TDM_SHUTDOWN_NOW);
        a.start.trap_stop = traps == 1;
        forget_marks(w);
        tdm_pid sup = start_children(w, &a, 1);
        watch_end(w, mark_at(w, "init", 0).pid);
        check_eq(w, send_number(w, mark_at(w, "init", 0).pid, 1), TDM_OK);
        wait_marks(w, "got", 1);
        uint64_t before = w->env->now_ns(w->env);
        stop_sup(w, sup);
        if (w->sim)
            check_took(w, before, 0, 10);
        wait_marks(w, "down", 1);
        struct tdm_reason r = mark_at(w, "down", 0).reason;
        check(w, reason_is(r, END_KILLED) || (reason_is(r, END_SHUTDOWN) && traps == 0));
    }
}

/* The twelve of the sheet end while the last child holds the stop. Which of these ends are clean: section 8. */
static bool is_clean(enum tdm_restart type, int how)
{
    return how == END_SHUTDOWN || (type != TDM_PERMANENT && how < END_ERROR);
}

static size_t unclean(void)
{
    size_t n = 0;

    for (int i = 0; i < 12; i++)
        n += !is_clean((enum tdm_restart)(i / 4), i % 4);
    return n;
}

SIM_TEST(stop, F6_children_that_end_while_others_are_stopped_are_not_restarted)
{
    struct brood b;
    struct slow_arg last = { w, 12, 1000, { .kind = TDM_EXIT_SHUTDOWN } };
    tdm_pid pids[12];

    brood_init(&b, w, 13, TDM_PERMANENT);
    for (size_t i = 0; i < 12; i++)
        b.specs[i].restart = (enum tdm_restart)(i / 4);
    b.specs[12].start = (struct tdm_spawn_cfg){
        .behaviour = &slow_to_stop, .trap_stop = true, .arg = &last, .arg_bytes = sizeof last
    };
    brood_start(&b, w, (struct tdm_sup_cfg){ .intensity = 0 });
    for (size_t i = 0; i < 12; i++)
        watch_end(w, pids[i] = brood_pid(&b, w, i));
    log_watch(w);
    check_eq(w, tdm_stop(w->rt, b.sup), TDM_OK);
    wait_marks(w, "asked", 1);
    for (size_t i = 0; i < 12; i++)
        end_by(w, pids[i], (int)(i % 4));
    wait_end(w, b.sup);
    wait_marks(w, "down", 12);
    for (uint64_t i = 0; i < 12; i++) {
        check(w, reason_is(end_of(w, pids[i]), (int)(i % 4)));
        check_eq(w, marks_of(w, "init", i), 1);
        check_eq(w, marks_of(w, "term", i), 1);
    }
    check_eq(w, logged("event=supervisor.shutdown_error"), unclean());
    check_eq(w, logged("event=supervisor.child_terminated"), 0);
}

SIM_TEST_WITH(stop, F7_dynamic_children_are_stopped_at_once, { .seeds = 200 })
{
    struct tdm_child_spec t = SLOW(w, "t", 1, 500, TDM_EXIT_SHUTDOWN, .shutdown_ms = 5000);
    tdm_pid sup = start_template(w, &t);

    for (int i = 0; i < 1000; i++)
        check_eq(w, tdm_sup_start_dynamic(w->rt, sup, NULL, 0, NULL, NULL), TDM_OK);
    wait_marks(w, "init", 1000);
    uint64_t before = w->env->now_ns(w->env);
    stop_sup(w, sup);
    check_took(w, before, 500, 1500);
    check_eq(w, marks(w, "term"), 1000);
}

SIM_TEST(stop, F8_one_common_time_for_dynamic_children)
{
    struct tdm_child_spec t = SLOW(w, "t", 1, 1000, TDM_EXIT_SHUTDOWN, .shutdown_ms = 2000);
    struct slow_arg slowest = { w, 2, 5000, { .kind = TDM_EXIT_SHUTDOWN } };
    tdm_pid sup = start_template(w, &t);

    for (int i = 0; i < 2; i++)
        check_eq(w, tdm_sup_start_dynamic(w->rt, sup, NULL, 0, NULL, NULL), TDM_OK);
    check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &slowest, sizeof slowest, NULL, NULL), TDM_OK);
    wait_marks(w, "init", 3);
    for (size_t i = 0; i < 3; i++)
        watch_end(w, mark_at(w, "init", i).pid);
    uint64_t before = w->env->now_ns(w->env);
    stop_sup(w, sup);
    check_took(w, before, 1000, 3000);
    wait_marks(w, "down", 3);
    for (size_t i = 0; i < 3; i++) {
        struct mark m = mark_at(w, "init", i);
        check(w, reason_is(end_of(w, m.pid), m.n == 2 ? END_KILLED : END_SHUTDOWN));
    }
    check_eq(w, marks_of(w, "term", 1), 2);
    check_eq(w, marks_of(w, "term", 2), 0);
}

SIM_TEST_WITH(stop, F9_the_same_odd_end_is_told_once_with_the_number, { .seeds = 200 })
{
    struct tdm_child_spec t =
        SLOW(w, "t", 1, 10, TDM_EXIT_ERROR, .shutdown_ms = 5000, .restart = TDM_TEMPORARY);
    struct slow_arg odd = { w, 1, 10, { .kind = TDM_EXIT_ERROR, .code = TDM_EPEER, .text = "odd" } };
    tdm_pid sup = start_template(w, &t);

    for (int i = 0; i < 100; i++)
        check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &odd, sizeof odd, NULL, NULL), TDM_OK);
    wait_marks(w, "init", 100);
    log_watch(w);
    stop_sup(w, sup);
    check_eq(w, marks(w, "term"), 100);
    check_eq(w, logged("event=supervisor.shutdown_error"), 1);
    check_eq(w, logged("children=100"), 1);
}
