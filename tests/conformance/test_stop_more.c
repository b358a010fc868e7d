/* Group F, continued: stops that meet something else: an unlinked child, a kill, a start, a full mailbox. */
#include "sup_fixture.h"
#include "tandem/metrics.h"

#include <string.h>

SIM_TEST(stop, F10_a_child_that_has_unlinked_its_supervisor_is_stopped_all_the_same)
{
    for (int by_request = 0; by_request < 2; by_request++) {
        struct brood b;
        brood_init(&b, w, 1, TDM_PERMANENT);
        brood_start(&b, w, (struct tdm_sup_cfg){ .intensity = 1000 });
        tdm_pid child = brood_pid(&b, w, 0);
        ask(w, child, unlink_from, &b.sup);
        uint64_t before = w->env->now_ns(w->env);
        if (by_request) {
            check_eq(w, sup_err(w, b.sup, TDM_SUP_TERMINATE_CHILD, "a"), TDM_OK);
            check_eq(w, sup_count(w, b.sup).active, 0);
        }
        stop_sup(w, b.sup);
        check(w, w->env->now_ns(w->env) - before < TDM_MS(100));
        check(w, !tdm_alive(w->rt, child));
    }
}

static int take_name(tdm_self *self, void *arg)
{
    return tdm_register(self, arg, strlen(arg));
}

WORLD_TEST(stop, F11_a_killed_supervisor_leaves_no_child_and_no_name)
{
    struct tdm_child_spec inner_children[] = { CHILD(w, "a", 1, .restart = 0),
                                               CHILD(w, "b", 2, .restart = 0) };
    inner_children[1].start.trap_exit = true;
    struct tdm_sup_cfg inner = {
        .name = "inner", .intensity = 5, .children = inner_children, .n_children = 2
    };
    struct tdm_child_spec outer_children[] = { TDM_SUP_CHILD("inner", &inner) };
    tdm_pid sup = start_children(w, outer_children, 1), first = child_pid(w, sup, "inner");
    static char name[] = "of a child";

    check_eq(w, tdm_whereis(w->rt, "inner", 5).id, first.id);
    ask(w, mark_at(w, "init", 1).pid, take_name, name);
    uint64_t before = w->env->now_ns(w->env);
    check_eq(w, tdm_kill(w->rt, first), TDM_OK);
    wait_end(w, first);
    wait_marks(w, "init", 4); /* new children */
    tdm_pid second = wait_restarted(w, sup, "inner", first);
    check(w, !w->sim || w->env->now_ns(w->env) - before < TDM_MS(200));
    check_eq(w, tdm_whereis(w->rt, "inner", 5).id, second.id);
    wait_actor_count(w, 4);
    check_eq(w, tdm_whereis(w->rt, name, strlen(name)).id, 0);
    check(w, !tdm_alive(w->rt, mark_at(w, "init", 0).pid) && !tdm_alive(w->rt, mark_at(w, "init", 1).pid));
}

WORLD_TEST(stop, F12_nobody_is_started_while_the_supervisor_stops)
{
    for (int dynamic = 0; dynamic < 2; dynamic++) {
        struct tdm_child_spec t = SLOW(w, "t", 1, 20, TDM_EXIT_SHUTDOWN, .shutdown_ms = 60000);
        struct tdm_child_spec other = CHILD(w, "other", 2, .restart = 0);
        forget_marks(w);
        tdm_pid sup = dynamic ? start_template(w, &t) : start_children(w, &t, 1);
        if (dynamic)
            check_eq(w, tdm_sup_start_dynamic(w->rt, sup, NULL, 0, NULL, NULL), TDM_OK);
        wait_marks(w, "init", 1);
        check_eq(w, tdm_stop(w->rt, sup), TDM_OK);
        wait_marks(w, "asked", 1);
        int err = tdm_sup_start_dynamic(w->rt, sup, NULL, 0, NULL, NULL);
        check(w, !dynamic || err == TDM_ESHUTDOWN || (!w->sim && err == TDM_ENOPROC));
        err = sup_start_child(w, sup, &other);
        check(w, err == TDM_ESHUTDOWN || (!w->sim && err == TDM_ENOPROC));
        wait_end(w, sup);
        check_eq(w, marks(w, "init"), 1);
    }
}

WORLD_TEST(stop, a_child_that_enters_while_the_supervisor_begins_to_stop_is_stopped_too)
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

/* Says that it is there, then waits until it may go on. */
static int hold(tdm_self *self, void *arg)
{
    struct world *w = arg;
    struct tdm_parker p = { 0 };

    (void)self;
    mark(w, "holds", 1);
    while (marks(w, "go on") == 0)
        w->env->park(w->env, &p, w->env->now_ns(w->env) + TDM_MS(1));
    return TDM_OK;
}

/* Asked to stop in the middle of a callback, with a full mailbox. */
static void stop_when_full(struct world *w, bool drain)
{
    tdm_pid pid = spawn_with(w, 1, (struct tdm_spawn_cfg){ .drain_on_shutdown = drain, .mailbox_limit = 50 });
    uint64_t n = 0;

    forget_marks(w);
    check_eq(w, tell(w, pid, hold, w), TDM_OK);
    wait_marks(w, "holds", 1);
    while (send_number(w, pid, n) == TDM_OK)
        n++;
    check(w, n >= 49);
    int64_t before = tdm_counter_by_name("tandem_dead_letters_total");
    check_eq(w, tdm_stop(w->rt, pid), TDM_OK);
    mark(w, "go on", 1);
    wait_actor_count(w, 0);
    check(w, reason_is(mark_at(w, "term", 0).reason, END_SHUTDOWN));
    check_eq(w, marks(w, "got"), drain ? n : 0);
    check_eq(w, tdm_counter_by_name("tandem_dead_letters_total") - before, drain ? 0 : (int64_t)n);
}

WORLD_TEST(stop, F13_a_stop_overtakes_mail_and_drain_does_not)
{
    stop_when_full(w, false);
    stop_when_full(w, true);
}

static void check_terminate(struct world *w, const struct tdm_behaviour *behaviour, int how)
{
    tdm_pid pid = spawn_with(w, 1, (struct tdm_spawn_cfg){ .behaviour = behaviour });

    forget_marks(w);
    end_by(w, pid, how);
    wait_end(w, pid);
    wait_actor_count(w, 0);
    check_eq(w, marks(w, "term"), how == END_KILLED ? 0 : 1);
    if (how != END_KILLED)
        check(w, reason_is(mark_at(w, "term", 0).reason, how));
}

WORLD_TEST(stop, F14_terminate_runs_once_and_not_after_a_kill)
{
    for (int how = 0; how < ENDS; how++) {
        check_terminate(w, &worker, how);
        check_terminate(w, &fiber_worker, how);
    }
}

WORLD_TEST(stop, F14_terminate_runs_once_after_a_stop_by_the_supervisor)
{
    struct brood b;

    brood_init(&b, w, 2, TDM_PERMANENT);
    b.specs[1].start.behaviour = &fiber_worker;
    brood_start(&b, w, (struct tdm_sup_cfg){ .intensity = 1000 });
    stop_sup(w, b.sup);
    check_eq(w, marks(w, "term"), 2);
    for (size_t i = 0; i < 2; i++)
        check(w, reason_is(mark_at(w, "term", i).reason, END_SHUTDOWN));
}
