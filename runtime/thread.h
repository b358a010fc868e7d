/* thread.h - what the runtime keeps for each thread that enters it. See thread.c. */
#ifndef RUNTIME_THREAD_H
#define RUNTIME_THREAD_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pool.h"
#include "tandem/msg.h"

struct tdm_runtime;
struct tdm_self;
struct worker;

#define SLOT_HAND 64

/* Touched by its thread only; `alive` is read by others. */
struct thread {
    struct tdm_runtime *rt;
    uint64_t rt_serial;      /* a freed runtime's threads are never mistaken for a new one's */
    struct worker *worker;   /* NULL on a thread that is not a worker */
    struct tdm_self *self;   /* the actor whose slice runs, or NULL */
    struct tdm_msg *in_hand; /* what its handler was given */
    struct {
        uint32_t type, bytes;
        tdm_pid from;
    } taken;                       /* and took: for a crash report */
    _Atomic bool in_callback;      /* app code runs */
    _Atomic uint64_t callback_seq; /* counts callbacks: the watchdog sees one that does not end */
    struct pool_cache cache;
    uint32_t free_slots[SLOT_HAND]; /* actor slots in hand */
    uint32_t free_slot_count;
    uint64_t refs_next, refs_end; /* a range of tdm_refs taken from the runtime's counter */
    _Atomic int64_t alive;        /* actors spawned less actors ended here; summed by tdm_actor_count() */
    uint64_t owner;               /* which OS thread (or coroutine) this is */
    struct thread *next;          /* in the runtime's list */
};

/* App code is entered and left. Read by the fault handler on the same thread and, for the count, by the
 * watchdog; relaxed: it only compares. */
static inline void callback_enter(struct thread *t)
{
    uint64_t seq = atomic_load_explicit(&t->callback_seq, memory_order_relaxed);
    atomic_store_explicit(&t->callback_seq, seq + 1, memory_order_relaxed);
    atomic_store_explicit(&t->in_callback, true, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
}

static inline void callback_leave(struct thread *t)
{
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&t->in_callback, false, memory_order_relaxed);
}

/* The innermost runtime entered on this thread. The deterministic environment exchanges it together with
 * its coroutines. */
extern _Thread_local struct thread *thread_here
#ifndef __clang_analyzer__
    __attribute__((tls_model("initial-exec")))
#endif
    ;

/* This thread's block for `rt`, made at first use. NULL: out of memory. */
struct thread *thread_slow(struct tdm_runtime *rt);

/* A block made beforehand for a thread that cannot do without: a worker. NULL: out of memory. It takes it when it
 * begins. */
struct thread *thread_prepare(struct tdm_runtime *rt);
void thread_adopt(struct tdm_runtime *rt, struct thread *t);

/* The runtime ends; the thread may live on. */
void thread_retire(struct tdm_runtime *rt, struct thread *t);

/* A fiber may go on on another thread, so code that runs on one must not keep the address of
 * `thread_here` over a switch: it asks again through this function. */
struct thread *thread_now(void);

#endif
