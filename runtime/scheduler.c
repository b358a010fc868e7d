/* scheduler.c - workers, run queues, stealing, parking.
 *
 * Idea:      an actor that becomes runnable goes to the run queue of the worker that made it so: it
 *            runs soon, on the core whose cache holds its message. A lone runnable actor is left there;
 *            only when a second one waits is a parked worker woken, because waking a core costs more
 *            than most turns. What is pushed from other threads (I/O) goes to one common queue, from
 *            which all workers take.
 * Invariant: an actor is on at most one queue, and only while its mailbox is not IDLE.
 * Parking:   a worker publishes its idle bit, looks at the common queue once more, then parks. A pusher
 *            pushes, then looks at the idle bits. Both orders are seq_cst, so one of the two sees the
 *            other. A worker's own queue needs no such care: only its owner pushes there, and its owner
 *            is awake.
 * A long callback: the watchdog sees a worker whose queue waits while its count of slices stands still,
 *            and wakes another to steal (watchdog.c). */
#include <string.h>

#include "scheduler.h"
#include "tandem/log.h"
#include "watchdog.h"

TDM_COUNTER(counter_steals, "tandem_scheduler_steals_total",
            "actors run by another worker than the one that woke them");
TDM_COUNTER(counter_wakes, "tandem_scheduler_wakes_total", "parked workers woken");

enum { TIMERS_EVERY = 16, COMMON_EVERY = 61, SPINS_LEAST = 30, SPINS_MOST = 3000 };

struct wheel *scheduler_wheel(struct tdm_runtime *rt, uint32_t number)
{
    return rt->workers[number].wheel;
}

struct wheel *scheduler_my_wheel(struct tdm_runtime *rt)
{
    struct thread *t = runtime_thread(rt);
    return rt->workers[t != NULL && t->worker != NULL ? t->worker->number : 0].wheel;
}

/* A wake that comes before the park is kept; the park after that one reads the wheel's new time, which was stored before
 * (partner: the acquire of the parker's word in park). */
void scheduler_rouse(struct tdm_runtime *rt, uint32_t worker)
{
    rt->env->unpark(rt->env, &rt->workers[worker].parker);
}

bool scheduler_busy(struct tdm_runtime *rt)
{
    uint64_t all = rt->n_workers == 64 ? UINT64_MAX : (1ull << rt->n_workers) - 1;
    return atomic_load_explicit(&rt->idle, memory_order_relaxed) != all; /* a glance */
}

/* ---- queues ---------------------------------------------------------------------------------- */

void scheduler_wake(struct tdm_runtime *rt)
{
    uint64_t idle = atomic_load_explicit(&rt->idle, memory_order_seq_cst); /* partner: park() */

    while (idle != 0) {
        unsigned n = (unsigned)__builtin_ctzll(idle);
        if (atomic_compare_exchange_weak_explicit(&rt->idle, &idle, idle & ~(1ull << n), memory_order_seq_cst,
                                                  memory_order_seq_cst)) {
            tdm_count(&counter_wakes, 1);
            rt->env->unpark(rt->env, &rt->workers[n].parker);
            return;
        }
    }
}

static void inject(struct tdm_runtime *rt, struct tdm_self *a)
{
    a->run_next = NULL;
    pthread_spin_lock(&rt->inject_lock);
    if (rt->inject_last != NULL)
        rt->inject_last->run_next = a;
    else
        rt->inject_first = a;
    rt->inject_last = a;
    /* seq_cst: before the look at the idle bits; partner: park() */
    atomic_fetch_add_explicit(&rt->inject_count, 1, memory_order_seq_cst);
    pthread_spin_unlock(&rt->inject_lock);
}

static struct tdm_self *take_injected(struct tdm_runtime *rt)
{
    struct tdm_self *a = NULL;

    if (atomic_load_explicit(&rt->inject_count, memory_order_relaxed) == 0) /* park() looks with more care */
        return NULL;
    pthread_spin_lock(&rt->inject_lock);
    a = rt->inject_first;
    if (a != NULL) {
        rt->inject_first = a->run_next;
        if (rt->inject_first == NULL)
            rt->inject_last = NULL;
        atomic_fetch_sub_explicit(&rt->inject_count, 1, memory_order_relaxed); /* under the lock */
    }
    pthread_spin_unlock(&rt->inject_lock);
    return a;
}

static void wake_helper(struct tdm_runtime *rt)
{
    /* relaxed: at worst a helper is missed until the next push or the watchdog's next look */
    if (atomic_load_explicit(&rt->idle, memory_order_relaxed) != 0 &&
        atomic_load_explicit(&rt->searching, memory_order_relaxed) == 0)
        scheduler_wake(rt);
}

void scheduler_push(struct tdm_runtime *rt, struct tdm_self *a)
{
    struct thread *t = thread_here;
    struct worker *w = t != NULL && t->rt == rt ? t->worker : NULL;

    if (w != NULL && ck_ring_enqueue_spmc(&w->ring, w->queue, a)) {
        if (ck_ring_size(&w->ring) > 1)
            wake_helper(rt);
        return;
    }
    inject(rt, a);
    if (w != NULL)
        wake_helper(rt);
    else if (atomic_load_explicit(&rt->searching, memory_order_seq_cst) == 0) /* partner: stop_searching() */
        scheduler_wake(rt);
}

static struct tdm_self *pop(struct worker *w)
{
    void *a;
    return ck_ring_dequeue_spmc(&w->ring, w->queue, &a) ? a : NULL;
}

static struct tdm_self *steal(struct worker *w, bool even_the_last)
{
    struct tdm_runtime *rt = w->rt;
    void *a;

    for (uint32_t i = 1; i < rt->n_workers; i++) {
        struct worker *victim = &rt->workers[(w->number + i) % rt->n_workers];
        if (ck_ring_size(&victim->ring) > (even_the_last ? 0 : 1) &&
            ck_ring_trydequeue_spmc(&victim->ring, victim->queue, &a)) {
            tdm_count(&counter_steals, 1);
            return a;
        }
    }
    return NULL;
}

/* ---- a turn ---------------------------------------------------------------------------------- */

/* Kept apart from the loop: nothing of its frame is needed after a jump back into it. */
static __attribute__((noinline)) bool slice(struct worker *w, struct thread *t, struct tdm_self *a)
{
    t->self = a;
    if (sigsetjmp(w->landing.jump, 0) != 0) {
        struct tdm_reason reason;
        bool run_terminate = fault_landed(&w->landing, t->self, &reason);
        actor_end(t->self, &reason, run_terminate);
        t->self = NULL;
        return false;
    }
    bool more = actor_run(a, w->rt->cfg.slice_messages);
    t->self = NULL;
    return more;
}

static void run(struct worker *w, struct thread *t, struct tdm_self *a)
{
    /* relaxed: the watchdog only compares */
    atomic_store_explicit(&w->slices, atomic_load_explicit(&w->slices, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    if (w->rt->env->point != NULL) {
        uint64_t fact[2] = { 'S', ((uint64_t)w->number << 32) | a->slot };
        tdm_env_sim_note(w->rt->env, fact, sizeof fact);
    }
    if (!slice(w, t, a))
        return;
    if (!ck_ring_enqueue_spmc(&w->ring, w->queue, a))
        inject(w->rt, a);
}

/* ---- finding work ---------------------------------------------------------------------------- */

static void run_timers(struct worker *w)
{
    uint64_t next = wheel_next(w->wheel);

    if (next != TDM_FOREVER) {
        uint64_t now = w->rt->env->now_ns(w->rt->env);
        if (next <= now)
            wheel_run(w->wheel, now);
    }
}

static struct tdm_self *find(struct worker *w)
{
    struct tdm_self *a;

    w->ticks++;
    if (w->ticks % TIMERS_EVERY == 0)
        run_timers(w);
    if (w->ticks % COMMON_EVERY == 0 && (a = take_injected(w->rt)) != NULL)
        return a;
    if ((a = pop(w)) != NULL || (a = take_injected(w->rt)) != NULL)
        return a;
    run_timers(w);
    return pop(w);
}

static void stop_searching(struct tdm_runtime *rt)
{
    atomic_fetch_sub_explicit(&rt->searching, 1, memory_order_seq_cst); /* partner: scheduler_push() */
}

/* Look around a little before parking: what comes within some microseconds needs no wake. */
static struct tdm_self *search(struct worker *w)
{
    struct tdm_runtime *rt = w->rt;
    struct tdm_self *a = NULL;
    uint64_t stood[WORKERS_MAX];

    for (uint32_t i = 0; i < rt->n_workers; i++)
        stood[i] = atomic_load_explicit(&rt->workers[i].slices, memory_order_relaxed);
    atomic_fetch_add_explicit(&rt->searching, 1, memory_order_seq_cst);
    uint32_t spins = rt->env->point != NULL ? 1 : w->spins;
    for (uint32_t i = 0; i < spins && a == NULL; i++) {
        a = steal(w, false);
        if (a == NULL)
            a = take_injected(rt);
        if (a == NULL)
            ck_pr_stall();
    }
    for (uint32_t i = 0; i < rt->n_workers && a == NULL;
         i++) /* one that stood still all the while needs help */
        if (i != w->number && stood[i] == atomic_load_explicit(&rt->workers[i].slices, memory_order_relaxed))
            a = steal(w, true);
    stop_searching(rt);
    /* what came while we looked pays for a longer look next time; what did not, for a shorter one */
    if (a != NULL)
        w->spins = w->spins * 2 < SPINS_MOST ? w->spins * 2 : SPINS_MOST;
    else
        w->spins = w->spins / 2 > SPINS_LEAST ? w->spins / 2 : SPINS_LEAST;
    if (a != NULL && atomic_load_explicit(&rt->inject_count, memory_order_seq_cst) > 0)
        scheduler_wake(rt); /* pushers relied on us while we searched */
    return a;
}

static void park(struct worker *w)
{
    struct tdm_runtime *rt = w->rt;
    uint64_t bit = 1ull << w->number;
    uint64_t deadline = wheel_next(w->wheel);

    atomic_fetch_or_explicit(&rt->idle, bit, memory_order_seq_cst); /* partner: scheduler_wake() */
    runtime_point(rt, "worker.idle");
    if (atomic_load_explicit(&rt->inject_count, memory_order_seq_cst) == 0 &&
        !atomic_load_explicit(&rt->workers_stop, memory_order_seq_cst)) {
        if (deadline == TDM_FOREVER || deadline > rt->env->now_ns(rt->env))
            rt->env->park(rt->env, &w->parker, deadline);
    }
    atomic_fetch_and_explicit(&rt->idle, ~bit, memory_order_seq_cst);
    watchdog_rouse(rt);
}

static void worker_main(void *arg)
{
    struct worker *w = arg;
    struct tdm_runtime *rt = w->rt;
    struct thread *t = w->block;

    w->block = NULL;
    thread_adopt(rt, t);
    t->worker = w;
    fault_thread_enter(&w->landing);
    atomic_store_explicit(&w->thread, t, memory_order_release); /* partner: the watchdog */
    while (!atomic_load_explicit(&rt->workers_stop, memory_order_acquire)) {
        struct tdm_self *a = find(w);
        if (a == NULL)
            a = search(w);
        if (a != NULL)
            run(w, t, a);
        else
            park(w);
        runtime_point(rt, "worker.turn");
    }
    fault_thread_leave(&w->landing);
}

/* ---- life ------------------------------------------------------------------------------------ */

static int worker_init(struct tdm_runtime *rt, struct worker *w, uint32_t number)
{
    w->rt = rt;
    w->number = number;
    w->spins = SPINS_LEAST;
    w->queue = rt->env->alloc(rt->env, RUN_QUEUE_SIZE * sizeof *w->queue);
    w->block = thread_prepare(rt);
    if (w->queue == NULL || w->block == NULL)
        return TDM_ENOMEM;
    ck_ring_init(&w->ring, RUN_QUEUE_SIZE);
    return wheel_new(&w->wheel, rt, number);
}

int scheduler_start(struct tdm_runtime *rt)
{
    int err = TDM_OK;

    for (uint32_t i = 0; i < rt->n_workers && err == TDM_OK; i++)
        err = worker_init(rt, &rt->workers[i], i);
    for (uint32_t i = 0; i < rt->n_workers && err == TDM_OK; i++)
        err = rt->env->thread_start(rt->env, &rt->workers[i].os_thread, "tandem-worker", worker_main,
                                    &rt->workers[i]);
    return err;
}

void scheduler_stop(struct tdm_runtime *rt)
{
    atomic_store_explicit(&rt->workers_stop, true, memory_order_seq_cst);
    for (uint32_t i = 0; i < rt->n_workers; i++) {
        struct worker *w = &rt->workers[i];
        if (w->os_thread == NULL)
            continue;
        rt->env->unpark(rt->env, &w->parker);
        rt->env->thread_join(rt->env, w->os_thread);
        w->os_thread = NULL;
    }
}

void scheduler_free(struct tdm_runtime *rt)
{
    for (uint32_t i = 0; i < rt->n_workers; i++) {
        struct worker *w = &rt->workers[i];
        wheel_free(w->wheel);
        if (w->block != NULL)
            thread_retire(rt, w->block); /* it never began */
        if (w->queue != NULL)
            rt->env->free(rt->env, w->queue, RUN_QUEUE_SIZE * sizeof *w->queue);
    }
}
