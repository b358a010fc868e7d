/* fault.h - a trapped fault, or a way out of a callback, becomes that actor's exit. See fault.c. */
#ifndef RUNTIME_FAULT_H
#define RUNTIME_FAULT_H
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tandem/actor.h"

struct thread;
struct tdm_self;

enum landing_kind { LAND_FAULT, LAND_LEAVE, LAND_STUCK };
enum { LANDING_FRAMES = 48 };

/* One per worker. Written by the fault handler on the worker's own thread, read after the jump. */
struct landing {
    sigjmp_buf jump;
    sigjmp_buf walk; /* out of a backtrace that met a fault of its own */
    bool walking;
    enum landing_kind kind;
    int signo;
    uintptr_t address, pc;
    void *frames[LANDING_FRAMES];
    int n_frames;
    bool fresh;                 /* frames belong to the end that is being reported */
    struct tdm_reason reason;   /* LAND_LEAVE */
    _Atomic uint64_t stuck_seq; /* by the watchdog: the callback it wants ended, 0 none */
    pthread_t os_thread;
    void *alt_stack;
};

/* Install the handlers (once a process), prepare what a handler may not. */
void fault_process_enter(void);
void fault_thread_enter(struct landing *l);
void fault_thread_leave(struct landing *l);

/* After the jump: what happened, in words. True: terminate may run. */
bool fault_landed(struct landing *l, struct tdm_self *a, struct tdm_reason *reason);

/* Out of the present callback, for good. */
_Noreturn void fault_leave_callback(struct tdm_self *a, const struct tdm_reason *reason);

/* Watchdog: end the callback with this number on that worker, if it is still it and in app code. */
void fault_end_callback(struct landing *l, uint64_t callback_seq);

/* One record that tells all that is known of an abnormal end. */
void fault_report_crash(struct tdm_self *a, const struct tdm_reason *reason);

#endif
