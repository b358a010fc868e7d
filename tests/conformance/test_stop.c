/* Group F: stopping. */
#include <stdio.h>
#include <string.h>

#include "sup_fixture.h"

/* Takes its time to stop: traps the request and ends after `ms`. */
struct slow_arg {
    struct world *w;
    uint64_t number;
    uint32_t ms; /* UINT32_MAX: never */
    struct tdm_reason reason;
};

static int slow_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct slow_arg *a = state;

    memcpy(a, start->arg, sizeof *a);
    mark_all(a->w, "init", a->number, tdm_self_pid(self), NULL);
    return TDM_OK;
}

static int slow_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    struct slow_arg *a = state;

    if (m->type == TDM_MSG_STOP) {
        mark_all(a->w, "asked", a->number, tdm_self_pid(self), NULL);
        if (a->ms != UINT32_MAX && tdm_timer_start(self, TDM_MS(a->ms)) == 0)
            return TDM_ENOMEM;
    } else if (m->type == TDM_MSG_TIMER) {
        tdm_exit(self, &a->reason);
    }
    return TDM_OK;
}

static int slow_terminate(tdm_self *self, void *state, const struct tdm_reason *reason)
{
    struct slow_arg *a = state;

    mark_all(a->w, "term", a->number, tdm_self_pid(self), reason);
    return TDM_OK;
}

static const struct tdm_behaviour slow = {
    .name = "slow",
    .state_bytes = sizeof(struct slow_arg),
    .init = slow_init,
    .handle = slow_handle,
    .terminate = slow_terminate,
};

#define SLOW(w_, id_, number_, ms_, kind_, ...)                                              \
    {                                                                                        \
        .id = (id_),                                                                         \
        .start = { .behaviour = &slow,                                                       \
                   .trap_stop = true,                                                        \
                   .arg = &(struct slow_arg){ (w_), (number_), (ms_), { .kind = (kind_) } }, \
                   .arg_bytes = sizeof(struct slow_arg) },                                   \
        __VA_ARGS__                                                                          \
    }

WORLD_TEST(supervisor, F1_children_stop_in_reverse_order_one_at_a_time)
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

SIM_TEST(supervisor, F2_a_child_that_ignores_the_request_is_killed_when_its_time_is_over)
{
    struct tdm_child_spec specs[] = { SLOW(w, "a", 1, UINT32_MAX, TDM_EXIT_SHUTDOWN, .shutdown_ms = 1000),
                                      SLOW(w, "b", 2, 1, TDM_EXIT_SHUTDOWN, .shutdown_ms = 1000) };
    tdm_pid sup = start_children(w, specs, 2);
    tdm_pid watcher = spawn_worker(w, 9);

    ask(w, watcher, monitor_it, &(tdm_pid){ mark_at(w, "init", 0).pid.id });
    log_watch(w);
    uint64_t before = w->env->now_ns(w->env);
    stop_sup(w, sup);
    uint64_t took = w->env->now_ns(w->env) - before;
    check(w, took >= TDM_MS(1000) && took < TDM_MS(1100));
    wait_marks(w, "down", 1);
    check_eq(w, mark_at(w, "down", 0).reason.kind, TDM_EXIT_KILLED);
    check_eq(w, logged("supervisor.shutdown_error"), 1);
    check_eq(w, marks(w, "term"), 1);
}

SIM_TEST(supervisor, F2_the_time_to_stop_holds_for_a_stop_on_request_too)
{
    struct tdm_child_spec specs[] = { SLOW(w, "a", 1, UINT32_MAX, TDM_EXIT_SHUTDOWN, .shutdown_ms = 1000) };
    tdm_pid sup = start_children(w, specs, 1);
    uint64_t before = w->env->now_ns(w->env);

    check_eq(w, sup_ask(w, sup, TDM_SUP_TERMINATE_CHILD, "a", (tdm_pid){ 0 }).err, TDM_OK);
    uint64_t took = w->env->now_ns(w->env) - before;
    check(w, took >= TDM_MS(1000) && took < TDM_MS(1100));
    check_eq(w, sup_count(w, sup).active, 0);
}

WORLD_TEST(supervisor, F3_a_brutal_kill_runs_no_callback)
{
    struct tdm_child_spec a = CHILD(w, "a", 1, .shutdown_ms = TDM_SHUTDOWN_BRUTAL);
    tdm_pid sup = start_children(w, &a, 1);
    tdm_pid dynamic = start_template(w, &a);

    log_watch(w);
    for (uint64_t i = 0; i < 10; i++)
        start_dynamic(w, dynamic, i);
    stop_sup(w, sup);
    stop_sup(w, dynamic);
    check_eq(w, marks(w, "term"), 0);
    check_eq(w, logged("shutdown_error"), 0);
    wait_actor_count(w, 0);
}

SIM_TEST(supervisor, F4_without_a_limit_a_child_gets_its_time)
{
    struct tdm_child_spec a = SLOW(w, "a", 1, 10000, TDM_EXIT_SHUTDOWN, .shutdown_ms = TDM_SHUTDOWN_INFINITY);
    tdm_pid sup = start_children(w, &a, 1);

    stop_sup(w, sup);
    check_eq(w, marks(w, "term"), 1);
}

SIM_TEST(supervisor, F6_children_that_end_while_others_are_stopped_are_not_restarted)
{
    struct tdm_child_spec specs[13];
    struct worker_arg args[12];
    struct slow_arg last = { w, 99, 1000, { .kind = TDM_EXIT_SHUTDOWN } };
    char ids[13][4];
    deed *ends[] = { exit_normal, exit_shutdown, exit_shutdown, exit_error };
    static char text[] = "detail";

    for (uint64_t i = 0; i < 12; i++) {
        snprintf(ids[i], sizeof ids[i], "%u", (unsigned)i);
        args[i] = (struct worker_arg){ .w = w, .number = i };
        specs[i] = (struct tdm_child_spec)CHILD(w, ids[i], i, .restart = (enum tdm_restart)(i / 4));
        specs[i].start.arg = &args[i];
    }
    specs[12] = (struct tdm_child_spec)SLOW(w, "last", 99, 1000, TDM_EXIT_SHUTDOWN, .restart = 0);
    specs[12].start.arg = &last;
    tdm_pid sup = start_children(w, specs, 13);
    log_watch(w);
    check_eq(w, tdm_stop(w->rt, sup), TDM_OK);
    wait_marks(w, "asked", 1);
    for (size_t i = 0; i < 12; i++)
        tell(w, mark_at(w, "init", i).pid, ends[i % 4], i % 4 == 2 ? text : NULL);
    wait_end(w, sup);
    check_eq(w, marks(w, "init"), 13);
    check_eq(w, marks(w, "term"), 13);
    for (uint64_t i = 0; i < 12; i++)
        check_eq(w, marks_of(w, "term", i), 1);
    wait_actor_count(w, 0);
}

SIM_TEST_WITH(supervisor, F7_dynamic_children_are_stopped_at_once, { .seeds = 5 })
{
    struct tdm_child_spec t = SLOW(w, "t", 1, 500, TDM_EXIT_SHUTDOWN, .shutdown_ms = 5000);
    tdm_pid sup = start_template(w, &t);

    for (int i = 0; i < 1000; i++)
        check_eq(w, tdm_sup_start_dynamic(w->rt, sup, NULL, 0, NULL, NULL), TDM_OK);
    uint64_t before = w->env->now_ns(w->env);
    stop_sup(w, sup);
    check(w, w->env->now_ns(w->env) - before < TDM_MS(1500));
    check_eq(w, marks(w, "term"), 1000);
}

SIM_TEST(supervisor, F8_one_common_time_for_dynamic_children)
{
    struct tdm_child_spec t = SLOW(w, "t", 1, 1000, TDM_EXIT_SHUTDOWN, .shutdown_ms = 2000);
    struct slow_arg slowest = { w, 2, 5000, { .kind = TDM_EXIT_SHUTDOWN } };
    tdm_pid sup = start_template(w, &t);

    for (int i = 0; i < 2; i++)
        check_eq(w, tdm_sup_start_dynamic(w->rt, sup, NULL, 0, NULL, NULL), TDM_OK);
    check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &slowest, sizeof slowest, NULL, NULL), TDM_OK);
    uint64_t before = w->env->now_ns(w->env);
    stop_sup(w, sup);
    uint64_t took = w->env->now_ns(w->env) - before;
    check(w, took >= TDM_MS(1000) && took < TDM_MS(3000));
    check_eq(w, marks_of(w, "term", 1), 2);
    check_eq(w, marks_of(w, "term", 2), 0);
}

WORLD_TEST(supervisor, F10_a_child_that_has_unlinked_its_supervisor_is_stopped_all_the_same)
{
    struct tdm_child_spec a = CHILD(w, "a", 1, .restart = 0);
    tdm_pid sup = start_children(w, &a, 1);

    ask(w, child_pid(w, sup, "a"), unlink_from, &sup);
    check_eq(w, sup_ask(w, sup, TDM_SUP_TERMINATE_CHILD, "a", (tdm_pid){ 0 }).err, TDM_OK);
    check_eq(w, sup_count(w, sup).active, 0);
    stop_sup(w, sup);
}

WORLD_TEST(supervisor, F11_a_killed_supervisor_leaves_no_child_and_no_name)
{
    struct tdm_child_spec inner_children[] = { CHILD(w, "a", 1, .restart = 0),
                                               CHILD(w, "b", 2, .restart = 0) };
    inner_children[1].start.trap_exit = true;
    struct tdm_sup_cfg inner = {
        .name = "inner", .intensity = 5, .children = inner_children, .n_children = 2
    };
    struct tdm_child_spec outer_children[] = { TDM_SUP_CHILD("inner", &inner) };
    tdm_pid sup = start_children(w, outer_children, 1);
    tdm_pid first = child_pid(w, sup, "inner");

    check_eq(w, tdm_whereis(w->rt, "inner", 5).id, first.id);
    check_eq(w, tdm_kill(w->rt, first), TDM_OK);
    wait_marks(w, "init", 4); /* new children */
    tdm_pid second = wait_restarted(w, sup, "inner", first);
    wait_actor_count(w, 4);
    check_eq(w, tdm_whereis(w->rt, "inner", 5).id, second.id);
    check(w, !tdm_alive(w->rt, mark_at(w, "init", 0).pid) && !tdm_alive(w->rt, mark_at(w, "init", 1).pid));
}

WORLD_TEST(supervisor, F12_nobody_is_started_while_the_supervisor_stops)
{
    struct tdm_child_spec t = SLOW(w, "t", 1, 20, TDM_EXIT_SHUTDOWN, .shutdown_ms = 60000);
    tdm_pid sup = start_template(w, &t);

    check_eq(w, tdm_sup_start_dynamic(w->rt, sup, NULL, 0, NULL, NULL), TDM_OK);
    wait_marks(w, "init", 1);
    check_eq(w, tdm_stop(w->rt, sup), TDM_OK);
    wait_marks(w, "asked", 1);
    int err = tdm_sup_start_dynamic(w->rt, sup, NULL, 0, NULL, NULL);
    check(w, err == TDM_ESHUTDOWN || err == TDM_ENOPROC);
    wait_end(w, sup);
    check_eq(w, marks(w, "init"), 1);
}

WORLD_TEST(supervisor, a_child_that_enters_while_the_supervisor_begins_to_stop_is_stopped_too)
{
    struct tdm_child_spec t = CHILD(w, "t", 1, .shutdown_ms = TDM_SHUTDOWN_INFINITY);
    tdm_pid sup = start_template(w, &t);
    struct worker_arg arg = { .w = w, .number = 1 };
    int err = TDM_OK;

    check_eq(w, tdm_stop(w->rt, sup), TDM_OK);
    for (int i = 0; i < 100 && err == TDM_OK; i++)
        err = tdm_sup_start_dynamic(w->rt, sup, &arg, sizeof arg, NULL, NULL);
    check(w, err == TDM_OK || err == TDM_ESHUTDOWN || err == TDM_ENOPROC);
    wait_end(w, sup);
    wait_actor_count(w, 0);
}

WORLD_TEST(supervisor, F13_a_stop_overtakes_mail_and_drain_does_not)
{
    tdm_pid plain = spawn_worker(w, 1);
    tdm_pid drains = spawn_with(w, 2, (struct tdm_spawn_cfg){ .drain_on_shutdown = true });

    for (uint64_t i = 0; i < 50; i++) {
        check_eq(w, send_number(w, plain, i), TDM_OK);
        check_eq(w, send_number(w, drains, 1000 + i), TDM_OK);
    }
    tdm_stop(w->rt, plain);
    tdm_stop(w->rt, drains);
    wait_end(w, plain);
    wait_end(w, drains);
    for (uint64_t i = 0; i < 50; i++)
        check_eq(w, marks_of(w, "got", 1000 + i), 1);
}
