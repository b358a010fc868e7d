/* Group C: restart types. */
#include <string.h>

#include "sup_fixture.h"
#include "tandem/log.h"
#include "tandem/metrics.h"

static const struct tdm_sup_cfg patient = { .intensity = 1000 };

WORLD_TEST(restart, C1_a_permanent_child_is_restarted_after_every_end)
{
    struct brood b;

    brood_init(&b, w, 1, TDM_PERMANENT);
    brood_start(&b, w, patient);
    tdm_pid pid = brood_pid(&b, w, 0);
    for (int how = 0; how < ENDS; how++) {
        log_watch(w);
        end_by(w, pid, how);
        tdm_pid next = brood_renewed(&b, w, 0, pid);
        check(w, !tdm_alive(w->rt, pid) && tdm_alive(w->rt, next));
        check_eq(w, logged("event=supervisor.child_terminated"), 1);
        wait_marks(w, "init", 2 + (size_t)how);
        check(w, reason_is(mark_at(w, "init", 1 + (size_t)how).reason, how));
        pid = next;
    }
    check_eq(w, marks(w, "init"), 1 + ENDS);
}

WORLD_TEST(restart, C2_a_transient_child_that_ends_cleanly_is_kept_stopped)
{
    for (int how = END_NORMAL; how <= END_DETAIL; how++) {
        struct brood b;
        brood_init(&b, w, 1, TDM_TRANSIENT);
        brood_start(&b, w, patient);
        log_watch(w);
        end_by(w, brood_pid(&b, w, 0), how);
        wait_stopped(w, b.sup, "a");
        check_eq(w, sup_child(w, b.sup, "a").state, TDM_CHILD_STOPPED);
        check_eq(w, sup_count(w, b.sup).specs, 1);
        check_eq(w, logged("level=error"), 0);
        stop_sup(w, b.sup);
    }
    check_eq(w, marks(w, "init"), 3);
}

WORLD_TEST(restart, C3_a_transient_child_that_ends_badly_is_restarted)
{
    struct brood b;

    brood_init(&b, w, 1, TDM_TRANSIENT);
    brood_start(&b, w, patient);
    tdm_pid pid = brood_pid(&b, w, 0);
    for (int how = END_ERROR; how <= END_KILLED; how++) {
        log_watch(w);
        end_by(w, pid, how);
        pid = brood_renewed(&b, w, 0, pid);
        check_eq(w, logged("event=supervisor.child_terminated"), 1);
    }
}

WORLD_TEST(restart, C4_a_temporary_child_is_never_restarted_and_its_id_is_free)
{
    struct brood b;

    brood_init(&b, w, 1, TDM_TEMPORARY);
    brood_start(&b, w, patient);
    for (int how = 0; how < ENDS; how++) {
        log_watch(w);
        end_by(w, brood_pid(&b, w, 0), how);
        wait_specs(w, b.sup, 0);
        check_eq(w, logged("event=supervisor.child_terminated"), how < END_ERROR ? 0 : 1);
        check_eq(w, sup_err(w, b.sup, TDM_SUP_WHICH, "a"), TDM_ENOTFOUND);
        check_eq(w, marks(w, "init"), 1 + (size_t)how);
        check_eq(w, sup_start_child(w, b.sup, &b.specs[0]), TDM_OK);
    }
    check_eq(w, sup_count(w, b.sup).active, 1);
}

static bool wants_restart(enum tdm_restart type, int how)
{
    return type == TDM_PERMANENT || (type == TDM_TRANSIENT && how >= END_ERROR);
}

static void end_dynamic(struct world *w, enum tdm_restart type, int how)
{
    struct brood b;
    struct tdm_sup_cfg cfg = patient;

    cfg.strategy = TDM_DYNAMIC;
    brood_init(&b, w, 1, type);
    forget_marks(w);
    brood_start(&b, w, cfg);
    tdm_pid first = brood_pid(&b, w, 0);
    log_watch(w);
    end_by(w, first, how);
    if (wants_restart(type, how)) {
        brood_renewed(&b, w, 0, first);
        wait_marks(w, "init", 2);
        check(w, reason_is(mark_at(w, "init", 1).reason, how));
    } else {
        wait_actor_count(w, 1);
        check_eq(w, send_number_place(w, b.places[0], 1), TDM_ENOPROC);
        check_eq(w, marks(w, "init"), 1);
    }
    check_eq(w, sup_count(w, b.sup).workers, wants_restart(type, how) ? 1 : 0);
    check_eq(w, logged("event=supervisor.child_terminated"),
             type == TDM_PERMANENT || how >= END_ERROR ? 1 : 0);
    stop_sup(w, b.sup);
}

WORLD_TEST(restart, C5_the_same_with_dynamic_children)
{
    for (int type = TDM_PERMANENT; type <= TDM_TEMPORARY; type++)
        for (int how = 0; how < ENDS; how++)
            end_dynamic(w, (enum tdm_restart)type, how);
}

static int ask_number(tdm_self *self, void *arg)
{
    struct tdm_msg *m = tdm_msg_new(tdm_self_runtime(self), MSG_ASK_NUMBER, 0);
    return m == NULL || tdm_request(self, *(tdm_pid *)arg, m, 0) == 0 ? TDM_ENOMEM : TDM_OK;
}

/* Nothing reaches the dead, whoever lives in its slot now. */
static void check_dead(struct world *w, tdm_pid watcher, tdm_pid dead)
{
    int64_t letters = tdm_counter_by_name("tandem_dead_letters_total");

    forget_marks(w);
    check(w, !tdm_alive(w->rt, dead));
    check_eq(w, send_number(w, dead, 1), TDM_ENOPROC);
    check_eq(w, tdm_counter_by_name("tandem_dead_letters_total"), letters + 1);
    ask(w, watcher, ask_number, &dead);
    wait_marks(w, "failed", 1);
    check_eq(w, mark_at(w, "failed", 0).reason.code, TDM_ENOPROC);
    ask(w, watcher, monitor_it, &dead);
    wait_marks(w, "down", 1);
    check_eq(w, mark_at(w, "down", 0).reason.kind, TDM_EXIT_NOPROC);
}

WORLD_TEST_WITH(restart, C6_an_old_address_is_dead_through_many_restarts_of_its_slot,
                { .rounds = 100000, .split = true })
{
    struct brood b;

    tdm_log_configure(&(struct tdm_log_cfg){ .level = TDM_LOG_OFF });
    brood_init(&b, w, 1, TDM_PERMANENT);
    brood_start(&b, w, (struct tdm_sup_cfg){ .strategy = TDM_DYNAMIC, .intensity = 100000 });
    tdm_pid watcher = spawn_worker(w, 2), first = brood_pid(&b, w, 0), pid = first;
    wait_marks(w, "init", 2);
    for (uint32_t i = 0; i < w->rounds; i++) {
        if (i % 1000 == 1)
            check_dead(w, watcher, first);
        forget_marks(w);
        end_by(w, pid, END_NORMAL);
        wait_marks(w, "init", 1);
        pid = mark_at(w, "init", 0).pid;
    }
    check_dead(w, watcher, first);
    check_eq(w, tell(w, pid, do_nothing, NULL), TDM_OK);
}

WORLD_TEST(restart, C7_a_stranger_and_an_unknown_message_change_nothing)
{
    struct brood b;

    brood_init(&b, w, 1, TDM_PERMANENT);
    brood_start(&b, w, patient);
    tdm_pid stranger = spawn_worker(w, 2), child = brood_pid(&b, w, 0);
    log_watch(w);
    ask(w, stranger, link_to, &b.sup);
    tell(w, stranger, exit_error, NULL);
    wait_end(w, stranger);
    check_eq(w, send_number(w, b.sup, 5), TDM_OK);
    check_eq(w, sup_count(w, b.sup).active, 1);
    check_eq(w, logged("event=supervisor.unexpected_message"), 1);
    check_eq(w, brood_pid(&b, w, 0).id, child.id);
    check_eq(w, marks(w, "init"), 2);
}
