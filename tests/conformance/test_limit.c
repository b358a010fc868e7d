/* Group E: restart limits and delays. */
#include <string.h>

#include "sup_fixture.h"

static void crash_and_wait(struct world *w, tdm_place p, tdm_pid *pid)
{
    tell_place(w, p, exit_error, NULL);
    *pid = wait_place(w, p, *pid);
}

WORLD_TEST(supervisor, E1_one_crash_too_many_ends_the_supervisor_and_the_siblings)
{
    struct tdm_child_spec specs[] = { CHILD(w, "a", 1, .restart = 0), CHILD(w, "b", 2, .restart = 0) };
    struct tdm_sup_cfg cfg = { .intensity = 2, .children = specs, .n_children = 2 };
    tdm_pid sup = start_sup(w, &cfg);
    tdm_pid watcher = spawn_worker(w, 9);

    ask(w, watcher, monitor_it, &sup);
    log_watch(w);
    tdm_pid a = child_pid(w, sup, "a");
    for (int i = 0; i < 2; i++) {
        tell(w, a, exit_error, NULL);
        a = wait_restarted(w, sup, "a", a);
    }
    tell(w, a, exit_error, NULL);
    wait_end(w, sup);
    wait_marks(w, "down", 1);
    check_eq(w, mark_at(w, "down", 0).reason.kind, TDM_EXIT_SHUTDOWN);
    check_eq(w, logged("supervisor.restart_limit"), 1);
    check_eq(w, marks_of(w, "term", 2), 1);
    wait_actor_count(w, 1);
}

WORLD_TEST(supervisor, E1_the_same_with_a_dynamic_supervisor)
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = 0);
    struct tdm_sup_cfg cfg = { .strategy = TDM_DYNAMIC, .intensity = 2, .children = &t, .n_children = 1 };
    tdm_pid sup = start_sup(w, &cfg);
    tdm_place p = start_dynamic(w, sup, 1);
    tdm_pid pid = tdm_place_pid(w->rt, p);

    start_dynamic(w, sup, 2);
    crash_and_wait(w, p, &pid);
    crash_and_wait(w, p, &pid);
    tell_place(w, p, exit_error, NULL);
    wait_end(w, sup);
    wait_actor_count(w, 0);
}

SIM_TEST(supervisor, E2_crashes_further_apart_than_the_period_do_not_add_up)
{
    struct tdm_child_spec a = CHILD(w, "a", 1, .restart = 0);
    struct tdm_sup_cfg cfg = { .intensity = 1, .period_ms = 1000, .children = &a, .n_children = 1 };
    tdm_pid sup = start_sup(w, &cfg);
    tdm_pid pid = child_pid(w, sup, "a");

    for (int i = 0; i < 4; i++) {
        tell(w, pid, exit_error, NULL);
        pid = wait_restarted(w, sup, "a", pid);
        let_pass(w, TDM_MS(2100));
    }
    check(w, tdm_alive(w->rt, sup));
}

static bool never_again(struct worker_arg *arg, const struct tdm_start *start, int *result)
{
    (void)arg;
    *result = TDM_ECONN;
    return start->restarts > 0;
}

WORLD_TEST(supervisor, E3_attempts_that_fail_count)
{
    struct worker_arg arg = { .w = w, .number = 1, .veto = never_again };
    struct tdm_child_spec specs[] = { CHILD(w, "a", 1, .restart = 0), CHILD(w, "b", 2, .restart = 0) };
    struct tdm_sup_cfg cfg = { .intensity = 4, .children = specs, .n_children = 2 };

    specs[0].start.arg = &arg;
    tdm_pid sup = start_sup(w, &cfg);
    tell(w, child_pid(w, sup, "a"), exit_error, NULL);
    wait_end(w, sup);
    check_eq(w, marks_of(w, "init", 1), 1 + 4);
    check_eq(w, marks_of(w, "term", 2), 1);
}

WORLD_TEST(supervisor, E4_intensity_0_is_for_restarts_alone)
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_TEMPORARY);
    struct tdm_child_spec c = CHILD(w, "c", 0, .restart = TDM_TRANSIENT);
    struct tdm_child_spec a = CHILD(w, "a", 0, .restart = TDM_PERMANENT);
    struct tdm_sup_cfg cfg = { .strategy = TDM_DYNAMIC, .intensity = 0, .children = &t, .n_children = 1 };
    tdm_pid temporary = start_sup(w, &cfg);
    cfg.children = &c;
    tdm_pid transient = start_sup(w, &cfg);
    cfg.children = &a;
    tdm_pid permanent = start_sup(w, &cfg);
    int rounds = w->sim ? 20 : 1000;

    for (int i = 0; i < rounds; i++) {
        tell_place(w, start_dynamic(w, temporary, 1), exit_error, NULL);
        tell_place(w, start_dynamic(w, transient, 1), exit_normal, NULL);
    }
    wait_actor_count(w, 3);
    check(w, tdm_alive(w->rt, temporary) && tdm_alive(w->rt, transient));
    tell_place(w, start_dynamic(w, permanent, 1), exit_error, NULL);
    wait_end(w, permanent);
}

WORLD_TEST_WITH(supervisor, E5_restarts_on_request_do_not_count, { .seeds = 10 })
{
    struct tdm_child_spec a = CHILD(w, "a", 1, .restart = 0);
    struct tdm_sup_cfg cfg = { .intensity = 0, .children = &a, .n_children = 1 };
    tdm_pid sup = start_sup(w, &cfg);

    for (int i = 0; i < (w->sim ? 50 : 1000); i++) {
        check_eq(w, sup_ask(w, sup, TDM_SUP_TERMINATE_CHILD, "a", (tdm_pid){ 0 }).err, TDM_OK);
        check_eq(w, sup_ask(w, sup, TDM_SUP_RESTART_CHILD, "a", (tdm_pid){ 0 }).err, TDM_OK);
    }
    check(w, tdm_alive(w->rt, sup));
}

/* Crash twice, `gap` apart. The delay of the restart is none, so that the times are those of the crashes. */
static bool survives(struct world *w, uint64_t gap)
{
    struct tdm_child_spec a = CHILD(w, "a", 1, .restart = 0);
    struct tdm_sup_cfg cfg = { .intensity = 1, .period_ms = 1000, .children = &a, .n_children = 1 };
    tdm_pid sup = start_sup(w, &cfg);
    tdm_pid pid = child_pid(w, sup, "a");
    uint64_t at = w->env->now_ns(w->env);

    tell(w, pid, exit_error, NULL);
    pid = wait_restarted(w, sup, "a", pid);
    let_pass(w, at + gap - w->env->now_ns(w->env));
    check_eq(w, w->env->now_ns(w->env), at + gap);
    tell(w, pid, exit_error, NULL);
    while (tdm_alive(w->rt, pid))
        let_pass(w, TDM_MS(1));
    let_pass(w, TDM_MS(10));
    bool alive = tdm_alive(w->rt, sup);
    if (alive)
        stop_sup(w, sup);
    return alive;
}

SIM_TEST(supervisor, E6_a_restart_exactly_one_period_old_still_counts)
{
    check(w, !survives(w, TDM_MS(1000)));
    check(w, survives(w, TDM_MS(1001)));
}

static int crash_soon(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct tdm_msg *m = tdm_msg_new(tdm_self_runtime(self), TDM_MSG_USER, 0);

    (void)state;
    mark((*(struct world *const *)start->arg), "leaf", 1);
    if (m == NULL || tdm_send(tdm_self_runtime(self), tdm_self_pid(self), m) < 0)
        return TDM_ENOMEM;
    return TDM_OK;
}

static int crash_now(tdm_self *self, void *state, struct tdm_msg *m)
{
    (void)self, (void)state, (void)m;
    return TDM_EPEER;
}

WORLD_TEST(supervisor, E7_limits_multiply_up_the_tree)
{
    static const struct tdm_behaviour leaf = { .name = "leaf", .init = crash_soon, .handle = crash_now };
    struct tdm_child_spec leaves[] = {
        { .id = "leaf", .start = { .behaviour = &leaf, .arg = &w, .arg_bytes = sizeof w } }
    };
    struct tdm_sup_cfg inner = { .intensity = 2, .period_ms = 3600000, .children = leaves, .n_children = 1 };
    struct tdm_child_spec inners[] = { TDM_SUP_CHILD("inner", &inner) };
    struct tdm_sup_cfg outer = { .intensity = 2, .period_ms = 3600000, .children = inners, .n_children = 1 };
    tdm_pid sup = start_sup(w, &outer);

    wait_end(w, sup);
    wait_actor_count(w, 0);
    check_eq(w, marks(w, "leaf"), 9);
}

static void given_up(tdm_self *sup, tdm_place child, const void *arg, size_t bytes,
                     const struct tdm_reason *last)
{
    const struct worker_arg *a = arg;

    (void)sup, (void)child, (void)bytes;
    mark_all(a->w, "given up", a->number, (tdm_pid){ 0 }, last);
}

WORLD_TEST(supervisor, E8_with_a_limit_per_child_the_bad_one_alone_is_given_up)
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT, .on_give_up = given_up);
    struct tdm_sup_cfg cfg = {
        .strategy = TDM_DYNAMIC, .intensity = 2, .scope = TDM_SCOPE_CHILD, .children = &t, .n_children = 1
    };
    tdm_pid sup = start_sup(w, &cfg);
    tdm_place p[100];

    for (uint64_t i = 0; i < 100; i++)
        p[i] = start_dynamic(w, sup, i);
    wait_marks(w, "init", 100);
    tdm_pid pid = tdm_place_pid(w->rt, p[50]);
    crash_and_wait(w, p[50], &pid);
    crash_and_wait(w, p[50], &pid);
    tell_place(w, p[50], exit_error, NULL);
    wait_marks(w, "given up", 1);
    wait_actor_count(w, 100);
    check_eq(w, mark_at(w, "given up", 0).n, 50);
    check_eq(w, mark_at(w, "given up", 0).reason.code, TDM_EPEER);
    check_eq(w, sup_count(w, sup).active, 99);
    check_eq(w, marks(w, "init"), 102);
    check_eq(w, tell_place(w, p[50], do_nothing, NULL), TDM_ENOPROC);
}

SIM_TEST(supervisor, E9_delays_double_up_to_their_bound_and_start_over_after_a_long_life)
{
    struct tdm_child_spec a = CHILD(w, "a", 1, .restart = 0);
    struct tdm_sup_cfg cfg = {
        .intensity = 1000, .backoff_min_ms = 100, .backoff_max_ms = 1600, .children = &a, .n_children = 1
    };
    uint64_t gaps[] = { 100, 200, 400, 800, 1600, 1600, 100 };
    tdm_pid sup = start_sup(w, &cfg);

    for (size_t i = 0; i < 7; i++) {
        tdm_pid pid = mark_at(w, "init", i).pid;
        if (i == 6)
            let_pass(w, TDM_MS(850));
        uint64_t at = w->env->now_ns(w->env);
        tell(w, pid, exit_error, NULL);
        wait_marks(w, "init", i + 2);
        uint64_t gap = mark_at(w, "init", i + 1).at_ns - at;
        check(w, gap >= TDM_MS(gaps[i]) && gap <= TDM_MS(gaps[i]) + 20000); /* one tick of the wheel */
    }
    (void)sup;
}

SIM_TEST(supervisor, E9_jitter_adds_a_part_of_the_delay)
{
    struct tdm_child_spec a = CHILD(w, "a", 1, .restart = 0);
    struct tdm_sup_cfg cfg = { .intensity = 1000,
                               .backoff_min_ms = 100,
                               .backoff_max_ms = 100,
                               .backoff_jitter = 0.2,
                               .children = &a,
                               .n_children = 1 };

    start_sup(w, &cfg);
    for (size_t i = 0; i < 10; i++) {
        uint64_t at = w->env->now_ns(w->env);
        tell(w, mark_at(w, "init", i).pid, exit_error, NULL);
        wait_marks(w, "init", i + 2);
        uint64_t gap = mark_at(w, "init", i + 1).at_ns - at;
        check(w, gap >= TDM_MS(100) && gap <= TDM_MS(120) + 20000);
    }
}
