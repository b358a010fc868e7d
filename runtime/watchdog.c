/* watchdog.c - sees callbacks that do not end, and what waits behind them.
 *
 * Idea:      while any worker is awake a thread looks every few milliseconds whether each still takes
 *            turns. If one stands in the same callback while others wait in its queue, a parked worker
 *            is woken to steal them, and its timers are run for it. If it stands there past the budget of
 *            time, or takes more memory than one callback may, the callback is ended (fault.c) with error:ESTUCK or
 *            error:ENOMEM, and where it was found is told; the worker itself goes on.
 * It sleeps when all workers do: an idle runtime uses no CPU. A worker that finds it asleep wakes it.
 * Everything it reads of a worker is a glance; acting on an old one costs a needless wake, never more. */
#include "watchdog.h"

#include <string.h>

#include "resident.h"
#include "scheduler.h"
#include "tandem/log.h"

TDM_COUNTER(counter_stuck, "tandem_actors_stuck_total", "callbacks that ran past their budget");

enum { LOOK_MS = 4, AGAIN_MS = 50, URGENT_MS = 1 };

struct watched {
    uint64_t slices;
    uint64_t callback; /* number of the callback that has not ended, 0 none */
    uint64_t since_ns;
    uint64_t next_try_ns;
    bool asked, told; /* to end; of it, in the log */
    bool measured;
    struct resident then;
    uint32_t mib; /* what it took when that became too much; 0: it has not */
};

struct watchdog {
    struct tdm_runtime *rt;
    struct tdm_thread *thread;
    struct tdm_parker parker;
    _Atomic bool asleep, stop;
    struct watched watched[WORKERS_MAX];
};

static void log_stuck(const struct worker *w, const struct watched *x, uint64_t now,
                      const struct stuck_note *s)
{
    static const char *const ends[] = { "false", "true", "on_return" };
    char where[SYMBOL_TEXT];
    unsigned long run_ms = (unsigned long)((now - x->since_ns) / 1000000);

    if (s == NULL) {
        tdm_log_warn("actor.stuck", "worker=%u run_ms=%lu mib=%u", w->number, run_ms, x->mib);
        return;
    }
    symbol_name(s->trace.n > 0 ? (uintptr_t)s->trace.frames[0] : 0, false, false, where, sizeof where);
    tdm_log_warn("actor.stuck", "worker=%u run_ms=%lu mib=%u actor=%llu behaviour=%s ended=%s in=%s",
                 w->number, run_ms, x->mib, (unsigned long long)s->pid, s->behaviour, ends[s->end],
                 TDM_LOG_TEXT(where, strlen(where)));
}

/* Once for each stuck callback: when its thread has said what it is doing, or does not get to that. */
static void tell(struct worker *w, struct watched *x, uint64_t now, bool over)
{
    /* acquire: the note is complete; partner: find_stuck() */
    bool noted = atomic_load_explicit(&w->landing.stuck.seq, memory_order_acquire) == x->callback;

    if (!x->asked || x->told || (!noted && !over && now < x->next_try_ns))
        return;
    x->told = true;
    log_stuck(w, x, now, noted ? &w->landing.stuck : NULL);
}

static void end_it(struct worker *w, struct watched *x, uint64_t next_try_ns)
{
    if (!x->asked)
        tdm_count(&counter_stuck, 1);
    x->asked = true;
    x->next_try_ns = next_try_ns;
    fault_end_callback(&w->landing, x->callback, x->mib);
}

/* Has the callback taken too much by now? Under the deterministic environment nothing is measured. */
static bool takes_too_much(struct worker *w, struct watched *x)
{
    uint64_t limit = w->rt->cfg.callback_memory_limit;
    struct resident now;

    if (x->mib > 0)
        return true;
    if (limit == UINT64_MAX || w->rt->env->point != NULL || !resident_now(w->landing.tid, &now))
        return false;
    if (!x->measured) {
        x->measured = true;
        x->then = now;
    }
    uint64_t taken = resident_taken(&x->then, &now);
    if (taken >= limit)
        x->mib = (uint32_t)(taken >> 20) + 1;
    return x->mib > 0;
}

/* True: look again soon. */
static bool look_at(struct worker *w, struct watched *x, uint64_t now)
{
    struct thread *t = atomic_load_explicit(&w->thread, memory_order_acquire); /* partner: worker_main */
    uint64_t slices = atomic_load_explicit(&w->slices, memory_order_relaxed);
    uint32_t limit_ms = w->rt->cfg.stuck_after_ms;

    if (t == NULL)
        return false;
    uint64_t callback = atomic_load_explicit(&t->in_callback, memory_order_relaxed)
                            ? atomic_load_explicit(&t->callback_seq, memory_order_relaxed)
                            : 0;
    bool over = callback == 0 || callback != x->callback || slices != x->slices;
    tell(w, x, now, over);
    if (over) {
        *x = (struct watched){ .slices = slices, .callback = callback, .since_ns = now };
        return false;
    }
    if (ck_ring_size(&w->ring) > 0)
        scheduler_wake(w->rt);
    wheel_run(w->wheel, now);
    if (takes_too_much(w, x)) { /* seldom at a moment when it may be left, so often */
        end_it(w, x, now);
        return true;
    }
    if (limit_ms != UINT32_MAX && now - x->since_ns >= TDM_MS(limit_ms) && now >= x->next_try_ns)
        end_it(w, x, now + TDM_MS(AGAIN_MS));
    return false;
}

static void watch(void *arg)
{
    struct watchdog *d = arg;
    struct tdm_runtime *rt = d->rt;
    struct tdm_env *env = rt->env;

    while (!atomic_load_explicit(&d->stop, memory_order_acquire)) {
        uint64_t now = env->now_ns(env);
        bool urgent = false;
        for (uint32_t i = 0; i < rt->n_workers; i++)
            urgent |= look_at(&rt->workers[i], &d->watched[i], now);
        if (scheduler_busy(rt)) {
            env->park(env, &d->parker, now + TDM_MS(urgent ? URGENT_MS : LOOK_MS));
            continue;
        }
        /* seq_cst: publish, then look again; partner: watchdog_rouse, which comes after the idle bit is
         * cleared */
        atomic_store_explicit(&d->asleep, true, memory_order_seq_cst);
        if (!scheduler_busy(rt))
            env->park(env, &d->parker, TDM_FOREVER);
        atomic_store_explicit(&d->asleep, false, memory_order_seq_cst);
    }
}

void watchdog_rouse(struct tdm_runtime *rt)
{
    struct watchdog *d = rt->watchdog;

    if (!atomic_load_explicit(&d->asleep, memory_order_seq_cst)) /* partner: watch() */
        return;
    if (atomic_exchange_explicit(&d->asleep, false, memory_order_seq_cst))
        rt->env->unpark(rt->env, &d->parker);
}

int watchdog_new(struct tdm_runtime *rt)
{
    struct watchdog *d = rt->env->alloc(rt->env, sizeof *d);

    if (d == NULL)
        return TDM_ENOMEM;
    memset(d, 0, sizeof *d);
    d->rt = rt;
    rt->watchdog = d;
    return TDM_OK;
}

int watchdog_start(struct tdm_runtime *rt)
{
    return rt->env->thread_start(rt->env, &rt->watchdog->thread, "tandem-watchdog", watch, rt->watchdog);
}

void watchdog_stop(struct tdm_runtime *rt)
{
    struct watchdog *d = rt->watchdog;

    if (d == NULL || d->thread == NULL)
        return;
    atomic_store_explicit(&d->stop, true, memory_order_release);
    rt->env->unpark(rt->env, &d->parker);
    rt->env->thread_join(rt->env, d->thread);
    d->thread = NULL;
}

void watchdog_free(struct tdm_runtime *rt)
{
    if (rt->watchdog != NULL)
        rt->env->free(rt->env, rt->watchdog, sizeof *rt->watchdog);
    rt->watchdog = NULL;
}
