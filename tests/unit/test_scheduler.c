/* Tests of runtime/scheduler.c and watchdog.c: nobody who can run is left waiting. */
#include "tandem/metrics.h"
#include "worlds.h"

#include <stdatomic.h>
#include <string.h>

struct ring {
    tdm_pid next;
};

static int pass_on(tdm_self *self, void *state, struct tdm_msg *m)
{
    struct ring *r = state;

    if (m->type == MSG_DO) {
        r->next = **(tdm_pid *const *)tdm_msg_view(m);
        return TDM_OK;
    }
    struct world *w = *(struct world **)tdm_msg_data(m);
    uint64_t *left = (uint64_t *)tdm_msg_data(m) + 1;
    if ((*left)-- == 0) {
        mark(w, "round", 0);
        return TDM_OK;
    }
    m = tdm_msg_take(self, m);
    return tdm_send(tdm_self_runtime(self), r->next, m);
}

WORLD_TEST_WITH(scheduler, a_message_goes_round_and_round, { .seeds = 20 })
{
    static const struct tdm_behaviour member = { .name = "member",
                                                 .state_bytes = sizeof(struct ring),
                                                 .handle = pass_on };
    enum { N = 50 };
    static tdm_pid pids[N];

    for (int i = 0; i < N; i++)
        pids[i] = spawn_with(w, 0, (struct tdm_spawn_cfg){ .behaviour = &member });
    for (int i = 0; i < N; i++) {
        const tdm_pid *next = &pids[(i + 1) % N];
        check_eq(w, tdm_send(w->rt, pids[i], tdm_msg_copy(w->rt, MSG_DO, &next, sizeof next)), TDM_OK);
    }
    struct {
        struct world *w;
        uint64_t left;
    } token = { w, w->sim ? 500 : 100000 };
    for (int i = 0; i < 4; i++)
        check_eq(w, tdm_send(w->rt, pids[i * 11], tdm_msg_copy(w->rt, TDM_MSG_USER, &token, sizeof token)),
                 TDM_OK);
    wait_marks(w, "round", 4);
}

/* The first actor keeps its worker until the second has run: another worker must take it. */
static _Atomic bool second_ran;

static int hold_the_worker(tdm_self *self, void *arg)
{
    struct world *w = arg;

    (void)self;
    mark(w, "held", 0);
    while (!atomic_load(&second_ran))
        ;
    return TDM_OK;
}

static int run_second(tdm_self *self, void *arg)
{
    (void)self, (void)arg;
    atomic_store(&second_ran, true);
    return TDM_OK;
}

static int wake_then_hold(tdm_self *self, void *arg)
{
    struct {
        struct world *w;
        tdm_pid second;
    } *o = arg;

    if (tell(o->w, o->second, run_second, NULL) < 0)
        return TDM_ENOMEM;
    return hold_the_worker(self, o->w);
}

REAL_TEST_WITH(scheduler, who_waits_behind_a_long_callback_is_taken_by_another_worker, { .workers = 2 })
{
    struct {
        struct world *w;
        tdm_pid second;
    } o = { w, spawn_worker(w, 2) };

    atomic_store(&second_ran, false);
    wait_marks(w, "init", 1);
    tdm_pid first = spawn_worker(w, 1);
    tell(w, first, wake_then_hold, &o);
    wait_marks(w, "held", 1);
    ask(w, first, do_nothing, NULL);
}

WORLD_TEST_WITH(scheduler, more_runnable_actors_than_a_run_queue_holds, { .seeds = 2 })
{
    size_t n = 6000;

    for (size_t i = 0; i < n; i++)
        spawn_worker(w, i);
    wait_marks(w, "init", n);
    check_eq(w, tdm_actor_count(w->rt), n);
}

WORLD_TEST_WITH(scheduler, one_worker_is_enough, { .workers = 1 })
{
    tdm_pid a = spawn_worker(w, 1), b = spawn_worker(w, 2);

    ask(w, a, link_to, &b);
    tell(w, b, exit_error, NULL);
    wait_end(w, a);
}

static int stay(tdm_self *self, void *arg)
{
    struct world *w = arg;
    uint64_t until = tdm_now_ns(self) + TDM_MS(120);

    while (tdm_now_ns(self) < until)
        ;
    mark(w, "stayed", 0);
    return TDM_OK;
}

REAL_TEST_WITH(watchdog, a_callback_past_its_budget_is_counted_and_its_neighbours_go_on,
               { .stuck_after_ms = 40 })
{
    int64_t before = tdm_counter_by_name("tandem_actors_stuck_total");
    tdm_pid a = spawn_worker(w, 1), b = spawn_worker(w, 2);

    tell(w, a, stay, w);
    for (int i = 0; i < 20; i++)
        ask(w, b, do_nothing, NULL);
    wait_marks(w, "stayed", 1);
    check_eq(w, tdm_counter_by_name("tandem_actors_stuck_total") - before, 1);
}
