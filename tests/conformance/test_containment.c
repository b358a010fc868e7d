/* Group J: a crash is that actor's alone. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "sup_fixture.h"
#include "tandem/log.h"

static deed *const faults[] = { exit_error,     fail_assert, write_null,    call_null,
                                divide_by_zero, call_abort,  overflow_stack };
enum { FAULTS = sizeof faults / sizeof faults[0] };

static void each_fault(struct world *w, const struct tdm_behaviour *behaviour)
{
    int codes[FAULTS] = {
        TDM_EPEER, TDM_EASSERT, TDM_EFAULT, TDM_EFAULT, TDM_EFAULT, TDM_EFAULT, TDM_EFAULT
    };
    tdm_pid watcher = spawn_worker(w, 1), bystander = spawn_worker(w, 2);

    for (size_t i = 0; i < FAULTS; i++) {
        tdm_pid a = spawn_with(w, 3, (struct tdm_spawn_cfg){ .behaviour = behaviour });
        ask(w, watcher, monitor_it, &a);
        tell(w, a, faults[i], NULL);
        wait_marks(w, "down", i + 1);
        check_eq(w, mark_at(w, "down", i).reason.code, codes[i]);
        ask(w, bystander, do_nothing, NULL);
    }
}

WORLD_TEST_WITH(containment, J4_every_fault_ends_that_actor_alone, { .seeds = 10 })
{
    each_fault(w, &worker);
}

WORLD_TEST_WITH(containment, J4_every_fault_in_a_fiber_ends_that_fiber_alone, { .seeds = 10 })
{
    each_fault(w, &fiber_worker);
}

static void loaded_run(struct world *w, const struct tdm_behaviour *behaviour)
{
    enum { ACTORS = 100, EACH = 50 };
    static tdm_place places[ACTORS];
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT, .mail = TDM_MAIL_KEEP);
    struct tdm_sup_cfg cfg = {
        .strategy = TDM_DYNAMIC, .intensity = 100, .scope = TDM_SCOPE_CHILD, .children = &t, .n_children = 1
    };

    t.start.behaviour = behaviour;
    tdm_pid sup = start_sup(w, &cfg);
    for (uint64_t i = 0; i < ACTORS; i++)
        places[i] = start_dynamic(w, sup, i);
    for (uint64_t k = 0; k < EACH; k++)
        for (uint64_t i = 0; i < ACTORS; i++) {
            if (i % 20 == 7 && k % 10 == 5)
                check_eq(w, tell_place(w, places[i], faults[(i / 20 + k / 10) % FAULTS], NULL), TDM_OK);
            check_eq(w, send_number_place(w, places[i], (i << 32) | k), TDM_OK);
        }
    wait_marks(w, "got", (size_t)ACTORS * EACH);
    for (uint64_t i = 0; i < ACTORS; i++) {
        check_eq(w, marks_of(w, "init", i), i % 20 == 7 ? 6 : 1);
        for (uint64_t k = 0; k < EACH; k++)
            check_eq(w, marks_of(w, "got", (i << 32) | k), 1);
        for (uint64_t k = 1; k < EACH; k++)
            check(w, mark_before(w, "got", (i << 32) | (k - 1), "got", (i << 32) | k));
    }
}

WORLD_TEST_WITH(containment, J4_faults_in_one_of_twenty_lose_nobody_a_message, { .seeds = 3 })
{
    loaded_run(w, &worker);
}

WORLD_TEST_WITH(containment, J4_faults_in_one_of_twenty_fibers_lose_nobody_a_message, { .seeds = 3 })
{
    loaded_run(w, &fiber_worker);
}

static int take_then_fault(tdm_self *self, void *state, struct tdm_msg *m)
{
    (void)state;
    if (m->type != MSG_NUMBER)
        return TDM_OK;
    tdm_msg_free(tdm_self_runtime(self), tdm_msg_take(self, m));
    return write_null(self, NULL);
}

WORLD_TEST(containment, a_message_that_was_taken_before_a_fault_is_not_freed_again)
{
    static const struct tdm_behaviour taker = { .name = "taker", .handle = take_then_fault };

    for (int i = 0; i < 20; i++) {
        tdm_pid a = spawn_with(w, 1, (struct tdm_spawn_cfg){ .behaviour = &taker });
        check_eq(w, send_number(w, a, 1), TDM_OK);
        wait_end(w, a);
    }
}

static int assert_in_terminate(tdm_self *self, void *state, const struct tdm_reason *reason)
{
    (void)state, (void)reason;
    tdm_assert(self, reason == NULL);
    return TDM_OK;
}

static int fault_in_terminate(tdm_self *self, void *state, const struct tdm_reason *reason)
{
    (void)state, (void)reason;
    return write_null(self, NULL);
}

static int fail_in_terminate(tdm_self *self, void *state, const struct tdm_reason *reason)
{
    (void)state, (void)reason;
    return tdm_fail(self, TDM_ECONN, "could not say goodbye");
}

static int end_now(tdm_self *self, void *state, struct tdm_msg *m)
{
    (void)self, (void)state;
    return m->type == MSG_NUMBER ? TDM_STOP : TDM_OK;
}

WORLD_TEST(containment, J3_a_failure_in_terminate_is_the_reason_and_terminate_runs_once)
{
    static const struct tdm_behaviour bad[] = {
        { .name = "asserts", .handle = end_now, .terminate = assert_in_terminate },
        { .name = "faults", .handle = end_now, .terminate = fault_in_terminate },
        { .name = "fails", .handle = end_now, .terminate = fail_in_terminate },
    };
    int codes[] = { TDM_EASSERT, TDM_EFAULT, TDM_ECONN };
    tdm_pid watcher = spawn_worker(w, 1);

    for (size_t i = 0; i < 3; i++) {
        tdm_pid a = spawn_with(w, 2, (struct tdm_spawn_cfg){ .behaviour = &bad[i] });
        ask(w, watcher, monitor_it, &a);
        check_eq(w, send_number(w, a, 1), TDM_OK);
        wait_marks(w, "down", i + 1);
        check_eq(w, mark_at(w, "down", i).reason.code, codes[i]);
    }
    check(w, strcmp(mark_at(w, "down", 2).reason.text, "could not say goodbye") == 0);
}

WORLD_TEST(containment, J1_a_crash_is_told_in_one_record_and_an_orderly_end_in_none)
{
    deed *orderly[] = { exit_normal, exit_shutdown };

    log_watch(w);
    for (size_t i = 0; i < 2; i++) {
        tdm_pid a = spawn_worker(w, 1);
        tell(w, a, orderly[i], NULL);
        wait_end(w, a);
    }
    check_eq(w, logged("actor.crash"), 0);
    tdm_pid a = spawn_with(w, 2, (struct tdm_spawn_cfg){ .history = 8, .tag = "the-tag" });
    send_number(w, a, 1);
    tell(w, a, exit_error, NULL);
    wait_end(w, a);
    check_eq(w, logged("actor.crash"), 1);
    check_eq(w, logged("as it was told"), 1);
    check_eq(w, logged("the-tag"), 1);
}

WORLD_TEST_WITH(containment, J6_many_crashes_leave_nothing_behind, { .seeds = 3 })
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT);
    struct tdm_sup_cfg cfg = {
        .strategy = TDM_DYNAMIC, .intensity = 100000, .children = &t, .n_children = 1
    };
    struct worker_arg quiet = { .w = w, .number = 1, .quiet = true };
    int rounds = w->sim ? 100 : 5000;
    tdm_place p;

    tdm_log_configure(&(struct tdm_log_cfg){ .level = TDM_LOG_OFF });
    tdm_pid sup = start_sup(w, &cfg);
    check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &quiet, sizeof quiet, NULL, &p), TDM_OK);
    tdm_pid pid = wait_place(w, p, (tdm_pid){ 0 });
    for (int i = 0; i < rounds; i++) {
        check_eq(w, tell_place(w, p, faults[i % FAULTS], NULL), TDM_OK);
        while (tdm_place_pid(w->rt, p).id == pid.id || tdm_place_pid(w->rt, p).id == 0)
            let_pass(w, 20000);
        pid = tdm_place_pid(w->rt, p);
    }
    check_eq(w, tdm_actor_count(w->rt), 2); /* blocks: see worlds.c */
}

WORLD_TEST(containment, mail_that_is_not_kept_does_not_count_against_the_next_incarnation)
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT);

    t.start.mailbox_limit = 8;
    tdm_pid sup = start_template(w, &t);
    tdm_place p = start_dynamic(w, sup, 1);
    tdm_pid pid = tdm_place_pid(w->rt, p);
    wait_marks(w, "init", 1);
    for (size_t i = 0; i < 20; i++) {
        tell(w, pid, exit_error, NULL);
        for (uint64_t k = 0; k < 10; k++)
            (void)send_number(w, pid, k); /* unread when it ends */
        pid = wait_place(w, p, pid);
        wait_marks(w, "init", i + 2);
        ask(w, pid, do_nothing, NULL);
        check_eq(w, send_number(w, pid, 1), TDM_OK);
        ask(w, pid, do_nothing, NULL);
    }
}
