/* runtime.h - the inside of a runtime, for the runtime's own files and runtime/io. See runtime.c. */
#ifndef RUNTIME_RUNTIME_H
#define RUNTIME_RUNTIME_H
#include <pthread.h>
#include <stdatomic.h>

#include "actor.h"
#include "pool.h"
#include "tandem/env.h"
#include "tandem/log.h"
#include "tandem/metrics.h"
#include "tandem/runtime.h"
#include "tandem/timer.h"

struct loop;
struct groups;
struct module;
struct table;
struct worker;
struct stacks;

#define SLOTS_PER_CHUNK 1024u
#define WORKERS_MAX     64u

struct tdm_runtime {
    /* fixed at boot */
    struct tdm_env *env;
    struct tdm_runtime_cfg cfg;
    uint64_t serial;
    struct pool *pool;
    struct worker *workers;
    void *workers_block, *block; /* as the environment gave them */
    uint32_t n_workers;
    struct table *names;
    struct groups *groups;
    struct stacks *stacks; /* of fibers */
    struct watchdog *watchdog;
    /* actors */
    _Atomic(struct tdm_self *) *chunks; /* of SLOTS_PER_CHUNK slots, made on demand, never moved */
    void **chunk_blocks;                /* the same, as the environment gave them */
    uint32_t n_chunks;
    _Atomic uint32_t slots_made;
    pthread_mutex_t slot_lock;
    uint32_t *free_slots; /* under slot_lock */
    uint32_t free_slot_count, free_slot_room;
    _Atomic uint64_t next_ref;
    struct tdm_log_limiter dead_letter_log;
    /* threads that entered */
    pthread_mutex_t thread_lock;
    struct thread *threads;
    /* scheduling, see scheduler.c */
    alignas(64) _Atomic uint64_t idle; /* a bit for each parked worker */
    _Atomic uint32_t searching;        /* workers that look for work without having any */
    _Atomic bool workers_stop;
    alignas(64) pthread_spinlock_t inject_lock;
    struct tdm_self *inject_first, *inject_last; /* actors made runnable off the workers, or overflow */
    _Atomic uint32_t inject_count;
    _Atomic bool stopping;
    /* who waits outside for an actor's end, or its start */
    pthread_mutex_t wait_lock;
    struct waiter *waiters;
    _Atomic uint32_t n_waiters;
    struct root *roots; /* supervisors started from outside, newest first; under wait_lock */
    /* modules: a list that only grows at its head, see module.c */
    pthread_mutex_t modules_lock; /* of who adds one */
    _Atomic(struct module *) modules;
    /* I/O, made at first use */
    pthread_mutex_t loop_lock;
    struct loop *_Atomic loop;
};

/* The calling thread's block for this runtime. */
static inline struct thread *runtime_thread(struct tdm_runtime *rt)
{
    struct thread *t = thread_here;
    if (t != NULL && t->rt == rt && t->rt_serial == rt->serial)
        return t;
    return thread_slow(rt);
}

void *runtime_alloc(struct tdm_runtime *rt, size_t bytes);
void runtime_free_block(struct tdm_runtime *rt, void *p, size_t bytes);

/* The runtime's I/O loop, made and started at first use; NULL: out of memory or threads. */
struct loop *runtime_loop(struct tdm_runtime *rt);

/* A ref nobody has had before. */
tdm_ref runtime_next_ref(struct tdm_runtime *rt);

/* tdm_send() that is never refused because the mailbox is full: for answers that must come. */
int runtime_send_unbounded(struct tdm_runtime *rt, tdm_pid to, struct tdm_msg *msg);

/* Someone outside waits for this: an actor has started; it will end because its start failed, and this is why; it has
 * ended, and if it had not started (`why` not NULL) for what reason. */
void runtime_tell_started(struct tdm_runtime *rt, tdm_pid pid);
void runtime_start_failed(struct tdm_runtime *rt, tdm_pid pid, const struct tdm_start_failure *why);
void runtime_tell_ended(struct tdm_runtime *rt, tdm_pid pid, const struct tdm_reason *why, bool ignored);
/* Spawn, wait until it has started (or failed to and ended), and stop it with the runtime. Not on a worker.
 * Fills `why` when the start fails. */
int runtime_spawn_and_wait(struct tdm_runtime *rt, const struct tdm_spawn_cfg *cfg, tdm_pid *ret,
                           struct tdm_start_failure *why);

/* Facts for the digest of the deterministic environment; nothing elsewhere. */
static inline void runtime_point(struct tdm_runtime *rt, const char *where)
{
    if (__builtin_expect(rt->env->point != NULL, 0))
        rt->env->point(rt->env, where);
}

/* ---- group.c --------------------------------------------------------------------------------- */
int groups_new(struct groups **ret, struct tdm_env *env);
void groups_free(struct groups *gs);

/* ---- scheduler.c ----------------------------------------------------------------------------- */
int scheduler_start(struct tdm_runtime *rt);
void scheduler_stop(struct tdm_runtime *rt); /* workers end; joined */
void scheduler_free(struct tdm_runtime *rt);
void scheduler_push(struct tdm_runtime *rt, struct tdm_self *a); /* runnable now; any thread */

/* ---- counters every file may add to ---------------------------------------------------------- */
extern struct tdm_counter counter_dead_letters, counter_refused, counter_dropped, counter_late_replies,
    counter_spawned, counter_ended, counter_crashed, counter_restarted, counter_steals, counter_wakes;

#endif
