/* Group E: restart limits and delays. */
#include <string.h>

#include "sup_fixture.h"

static const enum tdm_strategy strategies[] = { TDM_ONE_FOR_ONE, TDM_ONE_FOR_ALL, TDM_REST_FOR_ONE,
                                                TDM_DYNAMIC };

static tdm_pid crash(struct world *w, struct brood *b, size_t i, tdm_pid pid)
{
    end_by(w, pid, END_ERROR);
    return brood_renewed(b, w, i, pid);
}

/* Two siblings and one that crashes three times; it is the first, so that every group holds all. */
static void one_crash_too_many(struct world *w, enum tdm_strategy strategy)
{
    struct brood b;

    forget_marks(w);
    brood_init(&b, w, 3, TDM_PERMANENT);
    brood_start(&b, w, (struct tdm_sup_cfg){ .strategy = strategy, .intensity = 2 });
    watch_end(w, b.sup);
    log_watch(w);
    tdm_pid pid = brood_pid(&b, w, 0);
    pid = crash(w, &b, 0, pid);
    pid = crash(w, &b, 0, pid);
    wait_active(w, b.sup, 3);
    check_eq(w, logged("event=supervisor.restart_limit"), 0);
    end_by(w, pid, END_ERROR);
    wait_end(w, b.sup);
    wait_marks(w, "down", 1);
    check_eq(w, mark_at(w, "down", 0).reason.kind, TDM_EXIT_SHUTDOWN);
    check_eq(w, logged("event=supervisor.restart_limit"), 1);
    check_eq(w, marks_of(w, "init", 0), 3);
    for (uint64_t i = 0; i < 3; i++) /* whoever was started has ended */
        check_eq(w, marks_of(w, "term", i), marks_of(w, "init", i));
}

WORLD_TEST(limit, E1_one_crash_too_many_ends_the_supervisor_and_the_siblings)
{
    for (size_t i = 0; i < 4; i++)
        one_crash_too_many(w, strategies[i]);
}

SIM_TEST(limit, E2_crashes_further_apart_than_the_period_do_not_add_up)
{
    struct brood b;

    brood_init(&b, w, 1, TDM_PERMANENT);
    brood_start(&b, w, (struct tdm_sup_cfg){ .intensity = 1, .period_ms = 1000 });
    tdm_pid pid = brood_pid(&b, w, 0);
    for (int i = 0; i < 4; i++) {
        pid = crash(w, &b, 0, pid);
        let_pass(w, TDM_MS(2100));
    }
    check_eq(w, sup_count(w, b.sup).active, 1);
}

static bool never_again(struct worker_arg *arg, const struct tdm_start *start, int *result)
{
    (void)arg;
    *result = TDM_ECONN;
    return start->restarts > 0;
}

/* The fifth attempt is one too many, so four are made. */
static void attempts_that_fail(struct world *w, enum tdm_strategy strategy)
{
    struct brood b;

    forget_marks(w);
    brood_init(&b, w, 2, TDM_PERMANENT);
    b.args[1].veto = never_again;
    brood_start(&b, w, (struct tdm_sup_cfg){ .strategy = strategy, .intensity = 4 });
    watch_end(w, b.sup);
    log_watch(w);
    end_by(w, brood_pid(&b, w, 1), END_ERROR);
    wait_end(w, b.sup);
    wait_marks(w, "down", 1);
    check_eq(w, mark_at(w, "down", 0).reason.kind, TDM_EXIT_SHUTDOWN);
    check_eq(w, marks_of(w, "init", 1), 1 + 4);
    check_eq(w, marks_of(w, "term", 1), 1); /* the one that had started */
    check_eq(w, marks_of(w, "term", 0), marks_of(w, "init", 0));
    check_eq(w, logged("event=supervisor.restart_limit"), 1);
    check_eq(w, logged("event=supervisor.start_error"), 4);
}

WORLD_TEST(limit, E3_attempts_that_fail_count)
{
    for (size_t i = 0; i < 4; i++)
        attempts_that_fail(w, strategies[i]);
}

static tdm_pid start_forgiving_nothing(struct world *w, enum tdm_restart type)
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = type);

    return start_sup(
        w, &(struct tdm_sup_cfg){ .strategy = TDM_DYNAMIC, .intensity = 0, .children = &t, .n_children = 1 });
}

WORLD_TEST_WITH(limit, E4_intensity_0_is_for_restarts_alone, { .rounds = 1000, .split = true })
{
    tdm_pid temporary = start_forgiving_nothing(w, TDM_TEMPORARY);
    tdm_pid transient = start_forgiving_nothing(w, TDM_TRANSIENT);
    tdm_pid permanent = start_forgiving_nothing(w, TDM_PERMANENT);

    for (uint32_t i = 0; i < w->rounds; i++) {
        tell_place(w, start_dynamic(w, temporary, 1), i % 2 == 0 ? exit_error : exit_normal, NULL);
        tell_place(w, start_dynamic(w, transient, 1), i % 2 == 0 ? exit_shutdown : exit_normal, NULL);
    }
    wait_actor_count(w, 3);
    check_eq(w, sup_count(w, temporary).err, TDM_OK);
    check_eq(w, sup_count(w, transient).err, TDM_OK);
    tell_place(w, start_dynamic(w, permanent, 1), exit_error, NULL);
    wait_end(w, permanent);
}

/* The same of static children, which a request starts again. */
WORLD_TEST_WITH(limit, E4_nor_do_static_children_that_end_for_good_count, { .rounds = 1000, .split = true })
{
    struct brood b;

    brood_init(&b, w, 2, TDM_TRANSIENT);
    b.specs[0].restart = TDM_PERMANENT;
    brood_start(&b, w, (struct tdm_sup_cfg){ .intensity = 0 });
    for (uint32_t i = 0; i < w->rounds; i++) {
        end_by(w, brood_pid(&b, w, 1), i % 2 == 0 ? END_NORMAL : END_DETAIL);
        wait_active(w, b.sup, 1);
        check_eq(w, sup_err(w, b.sup, TDM_SUP_RESTART_CHILD, "b"), TDM_OK);
    }
    end_by(w, brood_pid(&b, w, 0), END_NORMAL);
    wait_end(w, b.sup);
}

WORLD_TEST_WITH(limit, E5_restarts_on_request_do_not_count, { .rounds = 1000, .split = true })
{
    struct brood b;

    brood_init(&b, w, 1, TDM_PERMANENT);
    brood_start(&b, w, (struct tdm_sup_cfg){ .intensity = 0 });
    for (uint32_t i = 0; i < w->rounds; i++) {
        check_eq(w, sup_err(w, b.sup, TDM_SUP_TERMINATE_CHILD, "a"), TDM_OK);
        check_eq(w, sup_err(w, b.sup, TDM_SUP_RESTART_CHILD, "a"), TDM_OK);
    }
    check_eq(w, sup_count(w, b.sup).active, 1);
}

/* Crash twice, `gap` apart. There is no delay before a restart, so its time is that of the crash. */
static bool survives(struct world *w, uint64_t gap)
{
    struct brood b;

    brood_init(&b, w, 1, TDM_PERMANENT);
    brood_start(&b, w, (struct tdm_sup_cfg){ .intensity = 1, .period_ms = 1000 });
    tdm_pid pid = brood_pid(&b, w, 0);
    uint64_t at = w->env->now_ns(w->env);
    pid = crash(w, &b, 0, pid);
    let_pass(w, at + gap - w->env->now_ns(w->env));
    check_eq(w, w->env->now_ns(w->env), at + gap);
    end_by(w, pid, END_ERROR);
    wait_end(w, pid);
    let_pass(w, TDM_MS(10));
    bool alive = tdm_alive(w->rt, b.sup);
    if (alive)
        stop_sup(w, b.sup);
    return alive;
}

SIM_TEST(limit, E6_a_restart_exactly_one_period_old_still_counts)
{
    check(w, !survives(w, TDM_MS(1000)));
    check(w, survives(w, TDM_MS(1001)));
}

/* Crashes right after each start, but for the first, which waits until it is told. */
static int crash_soon(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct world *w = *(struct world *const *)start->arg;
    struct tdm_msg *m = NULL;

    (void)state;
    mark_all(w, "leaf", 1, tdm_self_pid(self), NULL);
    if (marks(w, "leaf") == 1)
        return TDM_OK;
    m = tdm_msg_new(tdm_self_runtime(self), TDM_MSG_USER, 0);
    return m == NULL ? TDM_ENOMEM : tdm_send(tdm_self_runtime(self), tdm_self_pid(self), m);
}

static int crash_now(tdm_self *self, void *state, struct tdm_msg *m)
{
    (void)self, (void)state, (void)m;
    return TDM_EPEER;
}

WORLD_TEST(limit, E7_limits_multiply_up_the_tree)
{
    static const struct tdm_behaviour leaf = { .name = "leaf", .init = crash_soon, .handle = crash_now };
    struct tdm_child_spec leaves[] = {
        { .id = "leaf", .start = { .behaviour = &leaf, .arg = &w, .arg_bytes = sizeof w } }
    };
    struct tdm_sup_cfg inner = { .intensity = 2, .period_ms = 3600000, .children = leaves, .n_children = 1 };
    struct tdm_child_spec inners[] = { TDM_SUP_CHILD("inner", &inner) };
    struct tdm_sup_cfg outer = { .intensity = 2, .period_ms = 3600000, .children = inners, .n_children = 1 };
    tdm_pid sup = start_sup(w, &outer);

    watch_end(w, sup);
    check_eq(w, sup_count(w, sup).active, 1);
    check_eq(w, send_number(w, mark_at(w, "leaf", 0).pid, 1), TDM_OK);
    wait_end(w, sup);
    wait_actor_count(w, 1);
    check_eq(w, marks(w, "leaf"), 9);
    wait_marks(w, "down", 1);
    check_eq(w, mark_at(w, "down", 0).reason.kind, TDM_EXIT_SHUTDOWN);
}

static void given_up(tdm_self *sup, tdm_place child, const void *arg, size_t bytes,
                     const struct tdm_reason *last)
{
    const struct worker_arg *a = arg;

    (void)sup, (void)child, (void)bytes;
    mark_all(a->w, "given up", a->number, (tdm_pid){ 0 }, last);
}

WORLD_TEST(limit, E8_with_a_limit_per_child_the_bad_one_alone_is_given_up)
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT, .on_give_up = given_up);
    struct tdm_sup_cfg cfg = {
        .strategy = TDM_DYNAMIC, .intensity = 2, .scope = TDM_SCOPE_CHILD, .children = &t, .n_children = 1
    };
    tdm_pid sup = start_sup(w, &cfg), pids[100];
    tdm_place p[100];

    for (uint64_t i = 0; i < 100; i++)
        p[i] = start_dynamic(w, sup, i);
    wait_marks(w, "init", 100);
    for (uint64_t i = 0; i < 100; i++)
        pids[i] = tdm_place_pid(w->rt, p[i]);
    log_watch(w);
    for (int i = 0; i < 3; i++) {
        tell_place(w, p[50], exit_error, NULL);
        if (i < 2)
            pids[50] = wait_place(w, p[50], pids[50]);
    }
    wait_marks(w, "given up", 1);
    wait_actor_count(w, 100);
    check_eq(w, mark_at(w, "given up", 0).n, 50);
    check(w, reason_is(mark_at(w, "given up", 0).reason, END_ERROR));
    check_eq(w, logged("event=supervisor.restart_limit"), 1);
    check_eq(w, sup_count(w, sup).active, 99);
    check_eq(w, marks(w, "init"), 102);
    for (uint64_t i = 0; i < 100; i++)
        check_eq(w, tdm_place_pid(w->rt, p[i]).id, i == 50 ? 0 : pids[i].id);
    check_eq(w, tell_place(w, p[50], do_nothing, NULL), TDM_ENOPROC);
}

SIM_TEST(limit, E9_delays_double_up_to_their_bound_and_start_over_after_a_long_life)
{
    struct tdm_child_spec a = CHILD(w, "a", 1, .restart = 0);
    struct tdm_sup_cfg cfg = {
        .intensity = 1000, .backoff_min_ms = 100, .backoff_max_ms = 1600, .children = &a, .n_children = 1
    };
    uint64_t gaps[] = { 100, 200, 400, 800, 1600, 1600, 100 };
    start_sup(w, &cfg);
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
}

SIM_TEST(limit, E9_jitter_adds_a_part_of_the_delay)
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
