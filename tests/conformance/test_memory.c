/* Groups A to H with an allocator that fails: each allocation in turn, and each with all after it. Allowed are the right
 * result and a clean TDM_ENOMEM, with nothing left behind. Requests to a supervisor: test_memory_admin.c. */
#include <string.h>

#include "sup_fixture.h"

static const enum tdm_strategy strategies[] = { TDM_ONE_FOR_ONE, TDM_ONE_FOR_ALL, TDM_REST_FOR_ONE,
                                                TDM_DYNAMIC };

/* Once memory is there again: it runs all its children and stops, or it has ended and left nothing. */
static void check_whole(struct world *w, tdm_pid sup, uint32_t active)
{
    let_pass(w, TDM_S(20)); /* time for what is tried again */
    if (tdm_alive(w->rt, sup)) {
        check_eq(w, sup_count(w, sup).active, active);
        stop_sup(w, sup);
    }
    wait_actor_count(w, 0);
}

static void start(struct world *w, enum tdm_strategy strategy)
{
    struct brood b;
    struct tdm_sup_cfg cfg = { .name = "memory", .strategy = strategy, .intensity = 5, .children = b.specs };
    tdm_pid sup;

    brood_init(&b, w, 3, TDM_PERMANENT);
    cfg.n_children = strategy == TDM_DYNAMIC ? 1 : 3;
    allocs_fail(w);
    int err = tdm_sup_start(w->rt, &cfg, &sup);
    bool fine = allocs_work(w);
    check(w, err == TDM_OK || (!fine && err == TDM_ENOMEM));
    if (err == TDM_OK) {
        check_whole(w, sup, strategy == TDM_DYNAMIC ? 0 : 3);
    } else {
        wait_actor_count(w, 0);
        check_eq(w, tdm_whereis(w->rt, "memory", 6).id, 0);
    }
}

ALLOC_TEST(memory, A_a_start_under_one_for_one)
{
    start(w, TDM_ONE_FOR_ONE);
}
ALLOC_TEST(memory, A_a_start_under_one_for_all)
{
    start(w, TDM_ONE_FOR_ALL);
}
ALLOC_TEST(memory, A_a_start_under_rest_for_one)
{
    start(w, TDM_REST_FOR_ONE);
}
ALLOC_TEST(memory, A_a_start_of_a_dynamic_supervisor)
{
    start(w, TDM_DYNAMIC);
}

ALLOC_TEST(memory, A_a_start_of_a_tree)
{
    struct tdm_child_spec leaf = CHILD(w, "leaf", 1, .restart = 0);
    struct tdm_sup_cfg inner = { .name = "inner", .intensity = 5, .children = &leaf, .n_children = 1 };
    struct tdm_child_spec branch = TDM_SUP_CHILD("branch", &inner);
    struct tdm_sup_cfg outer = { .name = "outer", .intensity = 5, .children = &branch, .n_children = 1 };
    tdm_pid sup;

    allocs_fail(w);
    int err = tdm_sup_start(w->rt, &outer, &sup);
    bool fine = allocs_work(w);
    check(w, err == TDM_OK || (!fine && err == TDM_ENOMEM));
    if (err == TDM_OK)
        check_whole(w, sup, 1);
    wait_actor_count(w, 0);
    check_eq(w, tdm_registered_count(w->rt), 0);
}

ALLOC_TEST(memory, A_a_dynamic_start)
{
    struct brood b;
    struct worker_arg arg = { .w = w, .number = 7 };
    tdm_place p;

    brood_init(&b, w, 1, TDM_PERMANENT);
    brood_start(&b, w, (struct tdm_sup_cfg){ .strategy = TDM_DYNAMIC, .intensity = 5 });
    allocs_fail(w);
    int err = tdm_sup_start_dynamic(w->rt, b.sup, &arg, sizeof arg, "tag", &p);
    let_pass(w, TDM_MS(1));
    bool fine = allocs_work(w);
    check(w, err == TDM_OK || (!fine && err == TDM_ENOMEM));
    check(w, !fine || marks_of(w, "init", 7) == 1);
    check_whole(w, b.sup, 1 + (uint32_t)marks_of(w, "init", 7));
}

/* Three children of which one crashes. An attempt without memory is an attempt that fails: it is made again. */
static void restart(struct world *w, enum tdm_strategy strategy, int how)
{
    struct brood b;

    brood_init(&b, w, 3, TDM_PERMANENT);
    brood_start(&b, w,
                (struct tdm_sup_cfg){
                    .strategy = strategy, .intensity = 1000, .backoff_min_ms = 10, .backoff_max_ms = 10 });
    tdm_pid old = brood_pid(&b, w, 0);
    end_by(w, old, how);
    allocs_fail(w);
    let_pass(w, TDM_MS(100));
    bool fine = allocs_work(w);
    check(w, !fine || tdm_alive(w->rt, b.sup));
    check(w, !tdm_alive(w->rt, old));
    check_whole(w, b.sup, 3);
}

ALLOC_TEST(memory, D_a_restart_under_one_for_one)
{
    restart(w, TDM_ONE_FOR_ONE, END_ERROR);
}
ALLOC_TEST(memory, D_a_restart_under_one_for_all)
{
    restart(w, TDM_ONE_FOR_ALL, END_ERROR);
}
ALLOC_TEST(memory, D_a_restart_under_rest_for_one)
{
    restart(w, TDM_REST_FOR_ONE, END_ERROR);
}
ALLOC_TEST(memory, D_a_restart_of_a_dynamic_child)
{
    restart(w, TDM_DYNAMIC, END_ERROR);
}
ALLOC_TEST(memory, C_a_restart_after_a_kill)
{
    restart(w, TDM_ONE_FOR_ONE, END_KILLED);
}
ALLOC_TEST(memory, C_a_restart_after_a_clean_end)
{
    restart(w, TDM_DYNAMIC, END_NORMAL);
}

/* One crash too many, or a significant child that ends: the supervisor ends, and everybody with it. */
static void end_all(struct world *w, enum tdm_strategy strategy, bool significant)
{
    struct brood b;

    brood_init(&b, w, 3, TDM_PERMANENT);
    if (significant) {
        b.specs[0].restart = TDM_TEMPORARY;
        b.specs[0].significant = true;
    }
    brood_start(
        &b, w,
        (struct tdm_sup_cfg){ .strategy = strategy,
                              .intensity = 0,
                              .auto_shutdown = significant ? TDM_AUTO_ANY_SIGNIFICANT : TDM_AUTO_NEVER });
    end_by(w, brood_pid(&b, w, 0), END_ERROR);
    allocs_fail(w);
    let_pass(w, TDM_S(20));
    allocs_work(w);
    check(w, !tdm_alive(w->rt, b.sup));
    wait_actor_count(w, 0);
}

ALLOC_TEST(memory, E_giving_up_for_every_strategy)
{
    end_all(w, strategies[w->fail_nth % 4], false);
}
ALLOC_TEST(memory, G_the_end_of_a_significant_child)
{
    end_all(w, TDM_ONE_FOR_ONE, true);
}

static void stop(struct world *w, enum tdm_strategy strategy, uint32_t shutdown_ms)
{
    struct brood b;

    brood_init(&b, w, 3, TDM_PERMANENT);
    for (size_t i = 0; i < 3; i++) {
        b.specs[i].shutdown_ms = shutdown_ms;
        b.specs[i].start.trap_stop = i == 1; /* and does not end by itself */
    }
    brood_start(&b, w, (struct tdm_sup_cfg){ .strategy = strategy, .intensity = 5 });
    allocs_fail(w);
    check_eq(w, tdm_stop(w->rt, b.sup), TDM_OK);
    wait_end(w, b.sup);
    allocs_work(w);
    wait_actor_count(w, 0);
}

ALLOC_TEST(memory, F_a_stop_with_a_time)
{
    stop(w, strategies[w->fail_nth % 3], 100);
}
ALLOC_TEST(memory, F_a_stop_of_a_dynamic_supervisor)
{
    stop(w, TDM_DYNAMIC, 100);
}
ALLOC_TEST(memory, F_a_brutal_stop)
{
    stop(w, strategies[w->fail_nth % 4], TDM_SHUTDOWN_BRUTAL);
}
ALLOC_TEST(memory, F_a_stop_without_time)
{
    stop(w, strategies[w->fail_nth % 4], TDM_SHUTDOWN_NOW);
}

ALLOC_TEST(memory, F_a_killed_supervisor)
{
    struct brood b;

    brood_init(&b, w, 3, TDM_PERMANENT);
    b.specs[2].start.trap_exit = true;
    brood_start(&b, w, (struct tdm_sup_cfg){ .strategy = strategies[w->fail_nth % 4], .intensity = 5 });
    allocs_fail(w);
    check_eq(w, tdm_kill(w->rt, b.sup), TDM_OK);
    wait_end(w, b.sup);
    let_pass(w, TDM_MS(10));
    allocs_work(w);
    wait_actor_count(w, 0);
}

/* ---- links, monitors, requests, timers, names, notes ------------------------------------------- */

struct deed_arg {
    struct world *w;
    tdm_pid other;
    bool fine;
    int err;
};

static int link_it(tdm_self *self, void *arg)
{
    struct deed_arg *d = arg;

    allocs_fail(d->w);
    d->err = tdm_link(self, d->other);
    d->fine = allocs_work(d->w);
    return TDM_OK;
}

static int watch_it(tdm_self *self, void *arg)
{
    struct deed_arg *d = arg;

    allocs_fail(d->w);
    d->err = tdm_monitor(self, d->other) == 0 ? TDM_ENOMEM : TDM_OK;
    d->fine = allocs_work(d->w);
    return TDM_OK;
}

/* One worker, which traps, has done this to another; then that one crashes. */
static void then_crash(struct world *w, deed *fn, const char *notice)
{
    tdm_pid one = spawn_with(w, 1, (struct tdm_spawn_cfg){ .trap_exit = true });
    struct deed_arg d = { .w = w, .other = spawn_worker(w, 2) };

    ask(w, one, fn, &d);
    check(w, d.err == TDM_OK || (!d.fine && d.err == TDM_ENOMEM));
    end_by(w, d.other, END_ERROR);
    let_pass(w, TDM_MS(1));
    check_eq(w, marks(w, notice), d.err == TDM_OK ? 1 : 0);
    check(w, d.err != TDM_OK || reason_is(mark_at(w, notice, 0).reason, END_ERROR));
    check(w, tdm_alive(w->rt, one));
}

ALLOC_TEST(memory, H_a_link)
{
    then_crash(w, link_it, "exit");
}
ALLOC_TEST(memory, H_a_monitor)
{
    then_crash(w, watch_it, "down");
}

/* What was linked and watched while there was memory is told when there is none. */
ALLOC_TEST(memory, H_notices_of_a_crash)
{
    tdm_pid other = spawn_worker(w, 2), one = spawn_with(w, 1, (struct tdm_spawn_cfg){ .trap_exit = true });

    ask(w, one, link_to, &other);
    ask(w, one, monitor_it, &other);
    ask(w, other, do_nothing, NULL);
    end_by(w, other, END_ERROR);
    allocs_fail(w);
    wait_end(w, other);
    let_pass(w, TDM_MS(1));
    allocs_work(w);
    check_eq(w, marks(w, "exit"), 1);
    check_eq(w, marks(w, "down"), 1);
    check(w, reason_is(mark_at(w, "exit", 0).reason, END_ERROR) &&
                 reason_is(mark_at(w, "down", 0).reason, END_ERROR));
}

static int request_it(tdm_self *self, void *arg)
{
    struct deed_arg *d = arg;

    allocs_fail(d->w);
    struct tdm_msg *m = tdm_msg_new(tdm_self_runtime(self), MSG_ASK_NUMBER, 0);
    d->err = m == NULL || tdm_request(self, d->other, m, 1000) == 0 ? TDM_ENOMEM : TDM_OK;
    return TDM_OK;
}

ALLOC_TEST(memory, I_a_request_has_one_answer)
{
    tdm_pid one = spawn_worker(w, 1);
    struct deed_arg d = { .w = w, .other = spawn_worker(w, 2) };

    ask(w, one, request_it, &d);
    let_pass(w, TDM_S(2));
    d.fine = allocs_work(w);
    check(w, d.err == TDM_OK || !d.fine);
    check_eq(w, marks(w, "reply") + marks(w, "failed"), d.err == TDM_OK ? 1 : 0);
    check(w, !d.fine || marks(w, "reply") == 1);
}

static int time_it(tdm_self *self, void *arg)
{
    struct deed_arg *d = arg;

    allocs_fail(d->w);
    d->err = tdm_timer_start(self, TDM_MS(5)) == 0 ? TDM_ENOMEM : TDM_OK;
    return TDM_OK;
}

ALLOC_TEST(memory, a_timer_that_was_started_fires)
{
    tdm_pid one = spawn_worker(w, 1);
    struct deed_arg d = { .w = w };

    ask(w, one, time_it, &d);
    let_pass(w, TDM_MS(10));
    d.fine = allocs_work(w);
    check(w, d.err == TDM_OK || !d.fine);
    check_eq(w, marks(w, "timer"), d.err == TDM_OK ? 1 : 0);
}

static int name_and_note(tdm_self *self, void *arg)
{
    struct deed_arg *d = arg;

    allocs_fail(d->w);
    int name = tdm_register(self, "called", 6);
    int group = tdm_group_join(self, "group", 5);
    d->err = tdm_note_save(self, "note", 4);
    d->fine = allocs_work(d->w);
    tdm_pid member;
    mark(d->w, "named",
         (uint64_t)(tdm_whereis(tdm_self_runtime(self), "called", 6).id != 0) == (name == TDM_OK));
    mark(d->w, "joined",
         tdm_group_members(tdm_self_runtime(self), "group", 5, &member, 1) == (group == TDM_OK));
    return TDM_OK;
}

static bool sees_note(struct worker_arg *arg, const struct tdm_start *start, int *result)
{
    (void)result;
    if (start->restarts > 0)
        mark(arg->w, "note", start->note_bytes);
    return false;
}

ALLOC_TEST(memory, names_groups_and_notes)
{
    struct brood b;
    struct deed_arg d = { .w = w };

    brood_init(&b, w, 1, TDM_PERMANENT);
    b.args[0].veto = sees_note;
    brood_start(&b, w, (struct tdm_sup_cfg){ .intensity = 5 });
    tdm_pid pid = brood_pid(&b, w, 0);
    ask(w, pid, name_and_note, &d);
    check_eq(w, mark_at(w, "named", 0).n, 1);
    check_eq(w, mark_at(w, "joined", 0).n, 1);
    check(w, d.err == TDM_OK || (!d.fine && d.err == TDM_ENOMEM));
    end_by(w, pid, END_ERROR);
    wait_marks(w, "note", 1);
    check_eq(w, mark_at(w, "note", 0).n, d.err == TDM_OK ? 4 : 0);
    check_eq(w, tdm_whereis(w->rt, "called", 6).id, 0);
}
