/* Groups C (restart types) and D (strategies). */
#include <string.h>

#include "sup_fixture.h"
#include "tandem/log.h"

static int kill_oneself(tdm_self *self, void *arg)
{
    (void)arg;
    return tdm_kill(tdm_self_runtime(self), tdm_self_pid(self));
}

static deed *const ends[] = { exit_normal, exit_shutdown, exit_shutdown, exit_error, kill_oneself };
static char detail[] = "with a detail";
static void *const details[] = { NULL, NULL, detail, NULL, NULL };

WORLD_TEST(supervisor, C1_a_permanent_child_is_restarted_after_every_end)
{
    struct tdm_child_spec specs[] = { CHILD(w, "a", 1, .restart = TDM_PERMANENT) };
    tdm_pid sup = start_children(w, specs, 1);
    tdm_pid pid = child_pid(w, sup, "a");

    log_watch(w);
    for (size_t i = 0; i < 5; i++) {
        tell(w, pid, ends[i], details[i]);
        tdm_pid next = wait_restarted(w, sup, "a", pid);
        check(w, !tdm_alive(w->rt, pid) && tdm_alive(w->rt, next));
        pid = next;
    }
    check_eq(w, logged("supervisor.child_terminated"), 5);
    wait_marks(w, "init", 6);
    check_eq(w, marks(w, "init"), 6);
}

WORLD_TEST(supervisor, C2_a_transient_child_that_ends_cleanly_is_kept_stopped)
{
    for (size_t i = 0; i < 3; i++) {
        struct tdm_child_spec specs[] = { CHILD(w, "a", 1, .restart = TDM_TRANSIENT) };
        tdm_pid sup = start_children(w, specs, 1);
        log_watch(w);
        tell(w, child_pid(w, sup, "a"), ends[i], details[i]);
        wait_stopped(w, sup, "a");
        check_eq(w, sup_count(w, sup).specs, 1);
        check_eq(w, logged("level=error"), 0);
        stop_sup(w, sup);
    }
    check_eq(w, marks(w, "init"), 3);
}

WORLD_TEST(supervisor, C3_a_transient_child_that_ends_badly_is_restarted)
{
    struct tdm_child_spec specs[] = { CHILD(w, "a", 1, .restart = TDM_TRANSIENT) };
    tdm_pid sup = start_children(w, specs, 1);
    tdm_pid pid = child_pid(w, sup, "a");

    log_watch(w);
    for (size_t i = 3; i < 5; i++) {
        tell(w, pid, ends[i], NULL);
        pid = wait_restarted(w, sup, "a", pid);
    }
    check_eq(w, logged("supervisor.child_terminated"), 2);
}

WORLD_TEST(supervisor, C4_a_temporary_child_is_never_restarted_and_its_entry_goes)
{
    for (size_t i = 0; i < 5; i++) {
        struct tdm_child_spec specs[] = { CHILD(w, "a", 1, .restart = TDM_TEMPORARY) };
        tdm_pid sup = start_children(w, specs, 1);
        log_watch(w);
        tell(w, child_pid(w, sup, "a"), ends[i], details[i]);
        while (sup_count(w, sup).specs != 0)
            let_pass(w, TDM_MS(1));
        check_eq(w, logged("supervisor.child_terminated"), i < 3 ? 0 : 1);
        stop_sup(w, sup);
    }
    check_eq(w, marks(w, "init"), 5);
}

WORLD_TEST(supervisor, C5_the_same_with_dynamic_children)
{
    for (int type = TDM_PERMANENT; type <= TDM_TEMPORARY; type++) {
        for (size_t i = 0; i < 5; i++) {
            struct tdm_child_spec t = CHILD(w, "t", 0, .restart = (enum tdm_restart)type);
            tdm_pid sup = start_template(w, &t);
            tdm_place p = start_dynamic(w, sup, 1);
            tdm_pid first = tdm_place_pid(w->rt, p);
            tell_place(w, p, ends[i], details[i]);
            bool again = type == TDM_PERMANENT || (type == TDM_TRANSIENT && i >= 3);
            if (again)
                wait_place(w, p, first);
            else
                wait_actor_count(w, 1);
            check_eq(w, sup_count(w, sup).workers, again ? 1 : 0);
            stop_sup(w, sup);
        }
    }
}

WORLD_TEST_WITH(supervisor, C6_an_old_address_is_dead_through_many_restarts_of_its_slot, { .seeds = 10 })
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT);
    struct tdm_sup_cfg cfg = {
        .strategy = TDM_DYNAMIC, .intensity = 100000, .children = &t, .n_children = 1
    };
    struct worker_arg quiet = { .w = w, .number = 1, .quiet = true };
    tdm_pid sup = start_sup(w, &cfg);
    tdm_place p;
    int rounds = w->sim ? 300 : 20000;

    tdm_log_configure(&(struct tdm_log_cfg){ .level = TDM_LOG_OFF });
    check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &quiet, sizeof quiet, NULL, &p), TDM_OK);
    tdm_pid first = tdm_place_pid(w->rt, p);
    for (int i = 0; i < rounds; i++)
        while (tell_place(w, p, exit_error, NULL) == TDM_EFULL)
            let_pass(w, TDM_MS(1));
    while (tdm_place_pid(w->rt, p).id == first.id)
        let_pass(w, TDM_MS(1));
    tdm_pid watcher = spawn_worker(w, 2);
    ask(w, watcher, monitor_it, &first);
    wait_marks(w, "down", 1);
    check_eq(w, mark_at(w, "down", 0).reason.kind, TDM_EXIT_NOPROC);
    check_eq(w, send_number(w, first, 1), TDM_ENOPROC);
    check(w, !tdm_alive(w->rt, first));
}

WORLD_TEST(supervisor, C7_a_stranger_and_an_unknown_message_change_nothing)
{
    struct tdm_child_spec specs[] = { CHILD(w, "a", 1, .restart = TDM_PERMANENT) };
    tdm_pid sup = start_children(w, specs, 1);
    tdm_pid stranger = spawn_worker(w, 2);

    log_watch(w);
    ask(w, stranger, link_to, &sup);
    tell(w, stranger, exit_error, NULL);
    wait_end(w, stranger);
    check_eq(w, send_number(w, sup, 5), TDM_OK);
    check_eq(w, sup_count(w, sup).active, 1);
    check_eq(w, logged("supervisor.unexpected_message"), 1);
    check_eq(w, marks(w, "init"), 2);
}

WORLD_TEST(supervisor, D1_one_for_one_leaves_the_sibling_alone)
{
    struct tdm_child_spec specs[] = { CHILD(w, "a", 1, .restart = 0), CHILD(w, "b", 2, .restart = 0) };
    tdm_pid sup = start_children(w, specs, 2);
    tdm_pid a = child_pid(w, sup, "a"), b = child_pid(w, sup, "b");

    tell(w, a, exit_error, NULL);
    wait_restarted(w, sup, "a", a);
    check_eq(w, child_pid(w, sup, "b").id, b.id);
    check_eq(w, marks_of(w, "init", 2), 1);
}

WORLD_TEST(supervisor, D4_a_dynamic_child_comes_back_with_its_own_argument)
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT);
    tdm_pid sup = start_template(w, &t);
    tdm_place p[3];

    for (uint64_t i = 0; i < 3; i++)
        p[i] = start_dynamic(w, sup, i + 10);
    tdm_pid before = tdm_place_pid(w->rt, p[1]);
    tell_place(w, p[1], exit_error, NULL);
    wait_marks_of(w, "init", 11, 2);
    check(w, tdm_place_pid(w->rt, p[1]).id != before.id);
    wait_marks_of(w, "init", 10, 1);
    wait_marks_of(w, "init", 12, 1);
    check_eq(w, marks(w, "init"), 4);
}

static bool ignore_restart(struct worker_arg *arg, const struct tdm_start *start, int *result)
{
    (void)arg;
    *result = TDM_IGNORE;
    return start->restarts > 0;
}

WORLD_TEST(supervisor, D10_a_dynamic_child_that_ignores_its_restart_is_removed)
{
    for (int type = TDM_PERMANENT; type <= TDM_TRANSIENT; type++) {
        struct tdm_child_spec t = CHILD(w, "t", 0, .restart = (enum tdm_restart)type);
        struct worker_arg arg = { .w = w, .number = 1, .veto = ignore_restart };
        tdm_pid sup = start_template(w, &t);
        tdm_place p;
        check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &arg, sizeof arg, NULL, &p), TDM_OK);
        tell_place(w, p, exit_error, NULL);
        wait_actor_count(w, 1);
        check_eq(w, sup_count(w, sup).workers, 0);
        stop_sup(w, sup);
    }
}

static bool never_again(struct worker_arg *arg, const struct tdm_start *start, int *result)
{
    (void)arg;
    *result = TDM_ECONN;
    return start->restarts > 0;
}

static struct tdm_sup_cfg looping(const struct tdm_child_spec *spec, enum tdm_strategy strategy)
{
    return (struct tdm_sup_cfg){ .strategy = strategy,
                                 .intensity = 1000,
                                 .backoff_min_ms = 500,
                                 .backoff_max_ms = 500,
                                 .children = spec,
                                 .n_children = 1 };
}

SIM_TEST(supervisor, D11_D12_requests_are_answered_while_a_restart_is_tried_again_and_again)
{
    struct worker_arg arg = { .w = w, .number = 1, .veto = never_again };
    struct tdm_child_spec a = CHILD(w, "a", 1, .restart = TDM_PERMANENT);
    a.start.arg = &arg;
    struct tdm_sup_cfg cfg = looping(&a, TDM_ONE_FOR_ONE);
    tdm_pid sup = start_sup(w, &cfg);

    tell(w, child_pid(w, sup, "a"), exit_error, NULL);
    wait_marks(w, "init", 3);
    let_pass(w, TDM_MS(100)); /* in the middle of a delay */
    uint64_t before = w->env->now_ns(w->env);
    check_eq(w, sup_count(w, sup).active, 0);
    check_eq(w, sup_ask(w, sup, TDM_SUP_RESTART_CHILD, "a", (tdm_pid){ 0 }).err, TDM_EBUSY);
    check_eq(w, sup_ask(w, sup, TDM_SUP_DELETE_CHILD, "a", (tdm_pid){ 0 }).err, TDM_EBUSY);
    check(w, w->env->now_ns(w->env) - before < TDM_MS(500));
    check_eq(w, sup_ask(w, sup, TDM_SUP_TERMINATE_CHILD, "a", (tdm_pid){ 0 }).err, TDM_OK);
    size_t starts = marks(w, "init");
    let_pass(w, TDM_S(5));
    check_eq(w, marks(w, "init"), starts);
    check_eq(w, sup_ask(w, sup, TDM_SUP_RESTART_CHILD, "a", (tdm_pid){ 0 }).err, TDM_OK);
    check_eq(w, sup_count(w, sup).active, 1);
}

SIM_TEST(supervisor, D12_the_old_address_removes_a_dynamic_child_that_waits_for_its_restart)
{
    struct worker_arg arg = { .w = w, .number = 1, .veto = never_again };
    struct tdm_child_spec t = CHILD(w, "t", 1, .restart = TDM_PERMANENT);
    struct tdm_sup_cfg cfg = looping(&t, TDM_DYNAMIC);
    tdm_pid sup = start_sup(w, &cfg);
    tdm_place p;

    check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &arg, sizeof arg, NULL, &p), TDM_OK);
    tdm_pid pid = tdm_place_pid(w->rt, p);
    tell_place(w, p, exit_error, NULL);
    wait_marks(w, "term", 1);
    let_pass(w, TDM_MS(10));
    check_eq(w, sup_count(w, sup).active, 0);
    check_eq(w, sup_count(w, sup).workers, 1);
    check_eq(w, sup_ask(w, sup, TDM_SUP_TERMINATE_CHILD, NULL, pid).err, TDM_OK);
    check_eq(w, sup_count(w, sup).workers, 0);
    let_pass(w, TDM_S(2));
    check_eq(w, marks(w, "init"), 1);
}

SIM_TEST(supervisor, D13_a_stop_in_such_a_loop_ends_within_one_attempt)
{
    for (int s = TDM_ONE_FOR_ONE; s <= TDM_DYNAMIC; s++) {
        struct worker_arg arg = { .w = w, .number = 1, .veto = never_again };
        struct tdm_child_spec a = CHILD(w, "a", 1, .restart = TDM_PERMANENT);
        a.start.arg = &arg;
        struct tdm_sup_cfg cfg = looping(&a, (enum tdm_strategy)s);
        tdm_pid sup = start_sup(w, &cfg);
        forget_marks(w);
        if (s == TDM_DYNAMIC) {
            tdm_place p;
            check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &arg, sizeof arg, NULL, &p), TDM_OK);
            tell_place(w, p, exit_error, NULL);
        } else {
            tell(w, child_pid(w, sup, "a"), exit_error, NULL);
        }
        wait_marks(w, "init", s == TDM_DYNAMIC ? 2 : 1);
        uint64_t before = w->env->now_ns(w->env);
        stop_sup(w, sup);
        check(w, w->env->now_ns(w->env) - before < TDM_MS(500));
        wait_actor_count(w, 0);
    }
}
