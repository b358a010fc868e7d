/* fault.h - a trapped fault, or a way out of a callback, becomes that actor's exit. See fault.c. */
#ifndef RUNTIME_FAULT_H
#define RUNTIME_FAULT_H
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "crash_report.h"
#include "symbol.h"
#include "tandem/actor.h"

struct thread;
struct tdm_self;

enum landing_kind { LAND_FAULT, LAND_LEAVE, LAND_STUCK };

enum fault_cause {
    FAULT_NONE,
    FAULT_NULL_READ,
    FAULT_NULL_WRITE,
    FAULT_NULL_CALL,
    FAULT_STACK, /* used up */
    FAULT_WILD,  /* any other address */
    FAULT_WILD_CALL,
    FAULT_DIVISION,
    FAULT_ABORT,
    FAULT_TRAP,
};

enum { LANDING_FRAMES = 48 };

struct trace {
    void *frames[LANDING_FRAMES]; /* outward; where calls return to, but for the first */
    int n;
    bool called; /* the first too */
};

/* What a callback that does not end was found doing. By its own thread's handler; `seq` is stored last (release; partner:
 * the watchdog's acquire), and only after the watchdog has read it does it ask again. */
struct stuck_note {
    _Atomic uint64_t seq; /* of that callback */
    uint64_t pid;
    char behaviour[64]; /* a copy: its module may be gone by then */
    enum stuck_end { STUCK_STAYS, STUCK_ENDED, STUCK_ENDS_ON_RETURN } end;
    struct trace trace;
};

/* A return address that was exchanged: the callback ends when libc comes back to it. See fault.c. */
struct ambush {
    void **slot; /* NULL: none */
    void *was;
    int frame; /* of stuck.trace: what comes back */
};

/* One per worker. Written by the fault handler on the worker's own thread, read after the jump. */
struct landing {
    sigjmp_buf jump;
    sigjmp_buf walk;  /* out of a backtrace that met a fault of its own */
    sigjmp_buf guard; /* out of app code that only helps to report */
    bool walking, guarded;
    enum landing_kind kind;
    enum fault_cause cause;
    int signo;
    uintptr_t address, pc;
    struct trace trace, guard_trace;
    bool fresh;                 /* trace and cause belong to the end that is being reported */
    char where[SYMBOL_TEXT];    /* the app's innermost function there */
    struct tdm_reason reason;   /* LAND_LEAVE */
    struct crash_hand hand;     /* the message that was being handled */
    _Atomic uint64_t stuck_seq; /* by the watchdog: the callback it wants ended, 0 none */
    _Atomic uint32_t stuck_mib; /* likewise, before that: what it took, 0: time is why */
    struct stuck_note stuck;
    struct ambush ambush;
    pthread_t os_thread;
    pid_t tid; /* of the system, for /proc; written before worker->thread is */
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

/* Watchdog: end the callback with this number on that worker, if it is still it and where it may be left. `mib`: because
 * it took so much memory; 0: because of its time. */
void fault_end_callback(struct landing *l, uint64_t callback_seq, uint32_t mib);

/* Run app code that helps to report, on a worker; false when it faulted. */
bool fault_guard(void (*fn)(void *ctx), void *ctx);

/* The handler of this signal as it was before ours. */
const struct sigaction *fault_handler_before(int signo);

#endif
