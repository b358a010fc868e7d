/* Tests of runtime/actor.c, link.c, request.c and memory.c: one actor's life, and what it is told of others'. */
#include "worlds.h"

#include <string.h>

/* ---- messages -------------------------------------------------------------------------------- */

WORLD_TEST(actor, messages_from_one_sender_arrive_in_order)
{
    tdm_pid a = spawn_worker(w, 1);

    for (uint64_t i = 0; i < 200; i++)
        check_eq(w, send_number(w, a, i), TDM_OK);
    wait_marks(w, "got", 200);
    for (uint64_t i = 0; i < 200; i++)
        check_eq(w, mark_at(w, "got", i).n, i);
}

WORLD_TEST(actor, a_send_to_the_dead_is_refused_and_the_message_stays_with_the_sender)
{
    tdm_pid a = spawn_worker(w, 1);

    check_eq(w, tell(w, a, exit_normal, NULL), TDM_OK);
    wait_end(w, a);
    check_eq(w, send_number(w, a, 1), TDM_ENOPROC);
    check(w, !tdm_alive(w->rt, a));
}

/* ---- ends ------------------------------------------------------------------------------------ */

WORLD_TEST(actor, terminate_runs_once_for_normal_shutdown_and_an_error_of_its_own)
{
    deed *deeds[] = { exit_normal, exit_shutdown, exit_error, fail_assert };
    enum tdm_exit_kind kinds[] = { TDM_EXIT_NORMAL, TDM_EXIT_SHUTDOWN, TDM_EXIT_ERROR, TDM_EXIT_ERROR };

    for (size_t i = 0; i < 4; i++) {
        tdm_pid a = spawn_worker(w, i);
        check_eq(w, tell(w, a, deeds[i], NULL), TDM_OK);
        wait_end(w, a);
        check_eq(w, marks_of(w, "term", i), 1);
        check_eq(w, mark_at(w, "term", i).reason.kind, kinds[i]);
    }
}

WORLD_TEST(actor, terminate_does_not_run_after_a_kill_or_a_fault)
{
    tdm_pid a = spawn_worker(w, 1), b = spawn_worker(w, 2);

    check_eq(w, tdm_kill(w->rt, a), TDM_OK);
    check_eq(w, tell(w, b, write_null, NULL), TDM_OK);
    wait_end(w, a);
    wait_end(w, b);
    check_eq(w, marks(w, "term"), 0);
}

WORLD_TEST(actor, a_stop_goes_ahead_of_mail)
{
    tdm_pid a = spawn_worker(w, 1);

    for (uint64_t i = 0; i < 100; i++)
        (void)send_number(w, a, i);
    check_eq(w, tdm_stop(w->rt, a), TDM_OK);
    wait_end(w, a);
    check_eq(w, mark_at(w, "term", 0).reason.kind, TDM_EXIT_SHUTDOWN);
}

WORLD_TEST(actor, with_drain_the_mail_is_handled_first)
{
    tdm_pid a = spawn_with(w, 1, (struct tdm_spawn_cfg){ .drain_on_shutdown = true });

    for (uint64_t i = 0; i < 300; i++)
        check_eq(w, send_number(w, a, i), TDM_OK);
    check_eq(w, tdm_stop(w->rt, a), TDM_OK);
    wait_end(w, a);
    check_eq(w, marks(w, "got"), 300);
    check_eq(w, mark_at(w, "term", 0).reason.kind, TDM_EXIT_SHUTDOWN);
}

/* ---- links and monitors ---------------------------------------------------------------------- */

WORLD_TEST(actor, a_link_carries_an_error_and_not_a_normal_end)
{
    tdm_pid a = spawn_worker(w, 1), b = spawn_worker(w, 2), c = spawn_worker(w, 3);

    ask(w, a, link_to, &b);
    ask(w, a, link_to, &c);
    tell(w, b, exit_normal, NULL);
    wait_end(w, b);
    check_eq(w, send_number(w, a, 1), TDM_OK);
    wait_marks(w, "got", 1);
    tell(w, c, exit_error, NULL);
    wait_end(w, a);
}

WORLD_TEST(actor, a_trapping_actor_gets_the_exit_as_a_message)
{
    tdm_pid a = spawn_with(w, 1, (struct tdm_spawn_cfg){ .trap_exit = true });
    tdm_pid b = spawn_worker(w, 2);

    ask(w, a, link_to, &b);
    ask(w, b, do_nothing, NULL); /* a kill would overtake the link otherwise */
    tdm_kill(w->rt, b);
    wait_marks(w, "exit", 1);
    check_eq(w, mark_at(w, "exit", 0).reason.kind, TDM_EXIT_KILLED);
    check_eq(w, mark_at(w, "exit", 0).pid.id, b.id);
    check(w, tdm_alive(w->rt, a));
}

WORLD_TEST(actor, a_monitor_tells_the_reason_and_a_late_one_tells_noproc)
{
    tdm_pid a = spawn_worker(w, 1), b = spawn_worker(w, 2);

    ask(w, a, monitor_it, &b);
    tell(w, b, exit_error, NULL); /* in order after the monitor */
    wait_marks(w, "down", 1);
    check_eq(w, mark_at(w, "down", 0).reason.code, TDM_EPEER);
    check(w, strcmp(mark_at(w, "down", 0).reason.text, "as it was told") == 0);
    ask(w, a, monitor_it, &b);
    wait_marks(w, "down", 2);
    check_eq(w, mark_at(w, "down", 1).reason.kind, TDM_EXIT_NOPROC);
}
