/* scheduler.h - workers and their run queues. See scheduler.c. */
#ifndef RUNTIME_SCHEDULER_H
#define RUNTIME_SCHEDULER_H
#include <ck_ring.h>
#include <stdalign.h>

#include "fault.h"
#include "runtime.h"
#include "timer.h"

#define RUN_QUEUE_SIZE \
    4096u /* a power of two; one less is usable, the rest overflows to the common queue \
                              */

struct worker {
    /* read by thieves */
    alignas(64) ck_ring_t ring;
    ck_ring_buffer_t *queue;
    _Atomic uint64_t slices; /* counts turns: a worker whose count stands still is in a long callback */
    /* the worker's own */
    alignas(64) struct tdm_runtime *rt;
    uint32_t number;
    uint32_t ticks;
    uint32_t spins; /* how long it looks for work before it parks */
    struct wheel *wheel;
    struct landing landing; /* where a fault in a callback comes down */
    struct thread *_Atomic thread;
    /* written by wakers */
    alignas(64) struct tdm_parker parker;
    struct tdm_thread *os_thread;
    struct thread *block; /* until the worker has taken it */
};

struct wheel *scheduler_wheel(struct tdm_runtime *rt, uint32_t number);
struct wheel *scheduler_my_wheel(struct tdm_runtime *rt);

/* Wake a parked worker if there is one. Any thread. */
void scheduler_wake(struct tdm_runtime *rt);

/* Have this worker look at its wheel again before it parks, or now. Any thread. */
void scheduler_rouse(struct tdm_runtime *rt, uint32_t worker);

/* True while some worker is awake. For the watchdog. */
bool scheduler_busy(struct tdm_runtime *rt);

#endif
