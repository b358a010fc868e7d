/* fault.c - a fault inside an actor's callback ends that actor alone.
 *
 * Idea:      each turn of an actor begins with a sigsetjmp on its worker's stack. The handler runs on
 *            an alternate stack, notes what happened, and jumps there; the worker ends the actor with
 *            error:EFAULT and goes on.
 * Survivable or not: what a callback does in its own code is; a fault inside this library, or inside libc while it may
 *            hold a lock, is not: fault_code.c decides. Then the process dies of the signal, after its last_words.c.
 * A callback that does not end, or takes too much memory, is interrupted by a signal from the watchdog, and left in the
 * same way, if the signal finds it where that can be done. That needs the library to be a shared one; linked statically
 * its code cannot be told from the app's, and then a stuck callback is only reported. The handler touches only the
 * landing of its own thread. */
#define _FORTIFY_SOURCE 0 /* its longjmp refuses a jump from a fiber to the worker's stack */
#include "fault.h"

#include <execinfo.h>
#include <fenv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include "fault_code.h"
#include "fiber.h"
#include "last_words.h"
#include "sanitize.h"
#include "scheduler.h"
#include "symbol.h"

enum { ALT_STACK_BYTES = 64 * 1024, NULL_REACH = 64 * 1024, STACK_REACH = 64 * 1024 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const int trapped[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT };
static struct sigaction before[NSIG];

#define STUCK_SIGNAL (SIGRTMIN + 6)

/* ---- what happened --------------------------------------------------------------------------- */

struct place {
    uintptr_t pc, sp, fp;
    uintptr_t link; /* where the present function was called from, if that is in a register */
    bool wrote;
};

static struct place place_of(const ucontext_t *uc)
{
#if defined(__x86_64__)
    const greg_t *r = uc->uc_mcontext.gregs;
    return (struct place){ .pc = (uintptr_t)r[REG_RIP],
                           .sp = (uintptr_t)r[REG_RSP],
                           .fp = (uintptr_t)r[REG_RBP],
                           .wrote = (r[REG_ERR] & 2) != 0 };
#elif defined(__aarch64__)
    return (struct place){ .pc = (uintptr_t)uc->uc_mcontext.pc,
                           .sp = (uintptr_t)uc->uc_mcontext.sp,
                           .fp = (uintptr_t)uc->uc_mcontext.regs[29],
                           .link = (uintptr_t)uc->uc_mcontext.regs[30] };
#else
    (void)uc;
    return (struct place){ 0 };
#endif
}

static enum fault_cause cause_of(const siginfo_t *info, const struct place *p)
{
    uintptr_t address = (uintptr_t)info->si_addr;

    switch (info->si_signo) {
    case SIGFPE:
        return FAULT_DIVISION;
    case SIGABRT:
        return FAULT_ABORT;
    case SIGILL:
    case SIGTRAP:
        return FAULT_TRAP;
    default:
        break;
    }
    if (info->si_code == SI_KERNEL) /* an impossible address, which the processor does not tell */
        return FAULT_WILD;
    if (address < NULL_REACH)
        return address == p->pc ? FAULT_NULL_CALL : p->wrote ? FAULT_NULL_WRITE : FAULT_NULL_READ;
    if (address == p->pc)
        return FAULT_WILD_CALL;
    return address + STACK_REACH >= p->sp && address < p->sp + STACK_REACH / 16 ? FAULT_STACK : FAULT_WILD;
}

/* ---- the handlers ---------------------------------------------------------------------------- */

static struct landing *landing_here(struct thread **ret)
{
    struct thread *t = thread_here;

    if (t == NULL || t->worker == NULL || !atomic_load_explicit(&t->in_callback, memory_order_relaxed))
        return NULL;
    *ret = t;
    return &t->worker->landing;
}

/* After a jump to nowhere the compiler's tables do not help: the caller is where a call leaves its address, and the others
 * are found by frame pointers, as far as there are any. */
static int follow_pointers(const struct place *p, void **frames, int most)
{
    const uintptr_t *frame = (const uintptr_t *)p->fp, *low = (const uintptr_t *)p->sp;
    uintptr_t back = p->link != 0 ? p->link : *(const uintptr_t *)p->sp;
    int n = 0;

    while (n < most && fault_code_is_code(back)) {
        frames[n++] = (void *)back;
        if (frame <= low || frame > low + STACK_REACH || ((uintptr_t)frame & 7) != 0)
            break;
        back = frame[1];
        low = frame;
        frame = (const uintptr_t *)frame[0];
    }
    return n;
}

#ifdef WITH_TSAN
/* The sanitizer loses the worker's own jump when another is set on this stack: then there is no walk. */
static int walk(struct landing *l, const struct place *p, void **frames, int most, bool nowhere)
{
    (void)l;
    (void)p;
    (void)frames;
    (void)most;
    (void)nowhere;
    (void)follow_pointers;
    return 0;
}
#else
/* A walk reads code and stack where the frames lead, and after a wild jump or a smashed stack that may be nowhere: then
 * it faults itself, lands here, and there is no more to tell than where we are. */
static int walk(struct landing *l, const struct place *p, void **frames, int most, bool nowhere)
{
    sigset_t faults;
    int n = 0;

    sigemptyset(&faults);
    sigaddset(&faults, SIGSEGV);
    sigaddset(&faults, SIGBUS);
    pthread_sigmask(SIG_UNBLOCK, &faults,
                    NULL); /* the handler's mask would turn the second fault into death */
    l->walking = true;
    if (sigsetjmp(l->walk, 0) == 0)
        n = nowhere ? follow_pointers(p, frames, most) : backtrace(frames, most);
    l->walking = false;
    return n;
}
#endif

static void note_frames(struct landing *l, struct trace *trace, const struct place *p)
{
    void *all[LANDING_FRAMES + 8];
    int n = walk(l, p, all, LANDING_FRAMES + 8, false);
    int from = 0;

    while (from < n && (uintptr_t)all[from] != p->pc)
        from++;
    trace->called = false;
    trace->frames[0] = (void *)p->pc;
    trace->n = 1;
    for (from++; from < n && trace->n < LANDING_FRAMES; from++)
        trace->frames[trace->n++] = all[from];
    if (trace->n == 1 && !fault_code_is_code(p->pc))
        trace->n += walk(l, p, trace->frames + 1, LANDING_FRAMES - 1, true);
}

static _Noreturn void jump(struct thread *t, struct landing *l, const ucontext_t *uc)
{
    if (uc != NULL) /* the handler's mask would stay otherwise, and the second fault would kill us */
        pthread_sigmask(SIG_SETMASK, &uc->uc_sigmask, NULL);
    callback_leave(t);
    if (l->guarded)
        siglongjmp(l->guard, 1);
    fiber_leave_stack(t->self);
    siglongjmp(l->jump, 1);
}

/* ---- callbacks that do not end --------------------------------------------------------------- */

/* A loop around malloc is hardly ever met outside of malloc, where it cannot be left. But malloc comes back, and then holds
 * nothing: so its return address is exchanged for one where no code is, and the fault there is taken for the end. Only
 * where the place of a return address is known for certain; elsewhere the watchdog tries until it finds a good moment. */
#define NO_CODE ((void *)0x7eed)

#if defined(__x86_64__) && !defined(WITH_TSAN)
struct slot_search {
    void *wanted;
    void **slot;
};

static _Unwind_Reason_Code find_slot(struct _Unwind_Context *context, void *ctx)
{
    struct slot_search *s = ctx;

    if ((void *)_Unwind_GetIP(context) != s->wanted)
        return _URC_NO_REASON;
    s->slot = (void **)_Unwind_GetCFA(context) - 1; /* pushed last before the call */
    return _URC_END_OF_STACK;
}

static bool lay_ambush(struct landing *l, const struct trace *trace)
{
    int frame = fault_code_comes_back(trace->frames, trace->n);
    struct slot_search s = { frame > 0 ? trace->frames[frame] : NULL, NULL };

    if (frame == 0)
        return false;
    _Unwind_Backtrace(find_slot, &s);
    if (s.slot == NULL || *s.slot != s.wanted)
        return false;
    l->ambush = (struct ambush){ s.slot, s.wanted, frame };
    *s.slot = NO_CODE;
    return true;
}
#else
static bool lay_ambush(struct landing *l, const struct trace *trace)
{
    (void)l;
    (void)trace;
    return false;
}
#endif

static void lift_ambush(struct landing *l)
{
    if (l->ambush.slot != NULL && *l->ambush.slot == NO_CODE)
        *l->ambush.slot = l->ambush.was;
    l->ambush.slot = NULL;
}

static _Noreturn void end_stuck(struct thread *t, struct landing *l, const ucontext_t *uc,
                                const struct trace *trace, int from)
{
    if (!l->guarded) {
        l->kind = LAND_STUCK;
        l->cause = FAULT_NONE;
        l->signo = 0;
        l->trace.n = trace->n - from;
        l->trace.called = from > 0;
        memcpy(l->trace.frames, trace->frames + from, (size_t)l->trace.n * sizeof trace->frames[0]);
        l->pc = (uintptr_t)l->trace.frames[0];
        l->fresh = true;
    }
    jump(t, l, uc);
}

/* The watchdog has asked. What is found is told to it, also when nothing can be done about it. */
static enum stuck_end find_stuck(struct landing *l, const struct thread *t, uint64_t seq,
                                 const struct place *p)
{
    struct stuck_note *s = &l->stuck;

    note_frames(l, &s->trace, p);
    s->pid = t->self != NULL ? id_make(t->self->next_gen - 1, t->self->slot) : 0;
    const char *name = t->self != NULL ? t->self->behaviour->name : "";
    size_t n = strnlen(name, sizeof s->behaviour - 1);
    memcpy(s->behaviour, name, n);
    s->behaviour[n] = '\0';
    s->end = fault_code_may_leave(s->trace.frames, s->trace.n) ? STUCK_ENDED
             : lay_ambush(l, &s->trace)                        ? STUCK_ENDS_ON_RETURN
                                                               : STUCK_STAYS;
    atomic_store_explicit(&s->seq, seq, memory_order_release); /* partner: the watchdog */
    return s->end;
}

static void on_stuck(int signo, siginfo_t *info, void *context)
{
    const ucontext_t *uc = context;
    struct place place = place_of(uc);
    struct thread *t = NULL;
    struct landing *l = landing_here(&t);

    (void)signo;
    (void)info;
    if (l == NULL)
        return;
    uint64_t wanted = atomic_exchange_explicit(&l->stuck_seq, 0, memory_order_acq_rel);
    if (wanted != atomic_load_explicit(&t->callback_seq, memory_order_relaxed))
        return; /* that callback has ended since */
    lift_ambush(l);
    if (find_stuck(l, t, wanted, &place) == STUCK_ENDED)
        end_stuck(t, l, uc, &l->stuck.trace, 0);
    /* else it comes back, or the watchdog tries again */
}

/* ---- faults ---------------------------------------------------------------------------------- */

static void on_fault(int signo, siginfo_t *info, void *context)
{
    const ucontext_t *uc = context;
    uintptr_t address = (uintptr_t)info->si_addr;
    struct place place = place_of(uc);
    struct thread *t = NULL;
    struct landing *l = landing_here(&t);

    if (l == NULL) {
        last_words(signo, address, NULL, &(struct trace){ .frames = { (void *)place.pc }, .n = 1 },
                   "no callback of an actor was running here, so there is nobody to end instead");
        return;
    }
    if (l->walking)
        siglongjmp(l->walk, 1);
    if (l->ambush.slot != NULL && place.pc == (uintptr_t)NO_CODE) {
        l->ambush.slot = NULL;
        end_stuck(t, l, uc, &l->stuck.trace, l->ambush.frame);
    }
    lift_ambush(l);
    struct trace *trace = l->guarded ? &l->guard_trace : &l->trace;
    note_frames(l, trace, &place);
    const char *holds = fault_code_holds(trace->frames, trace->n, t->self != NULL && t->self->fiber != NULL);
    if (holds != NULL) {
        last_words(signo, address, t, trace, holds);
        return;
    }
    if (!l->guarded) {
        l->kind = LAND_FAULT;
        l->cause = cause_of(info, &place);
        l->signo = signo;
        l->address = address;
        l->pc = place.pc;
        l->fresh = true;
    }
    jump(t, l, uc);
}

bool fault_guard(void (*fn)(void *ctx), void *ctx)
{
    struct thread *t = thread_here;

    if (t == NULL || t->worker == NULL)
        return false;
    struct landing *l = &t->worker->landing;
    if (sigsetjmp(l->guard, 0) != 0) {
        thread_here->worker->landing.guarded = false;
        return false;
    }
    l->guarded = true;
    callback_enter(t);
    fn(ctx);
    callback_leave(t);
    l->guarded = false;
    return true;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void install(void)
{
    struct sigaction sa;
    void *warm[4];

    backtrace(warm, 4); /* loads what it needs, which a handler must not */
    symbol_prepare();
    fault_code_learn();
    memset(&sa, 0, sizeof sa);
    sigemptyset(&sa.sa_mask);
    sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sa.sa_sigaction = on_fault;
    for (size_t i = 0; i < sizeof trapped / sizeof trapped[0]; i++)
        sigaction(trapped[i], &sa, &before[trapped[i]]);
    sa.sa_sigaction = on_stuck;
    sigaction(STUCK_SIGNAL, &sa, NULL);
}

void fault_process_enter(void)
{
    pthread_once(&once, install);
}

void fault_thread_enter(struct landing *l)
{
    stack_t have;

    l->os_thread = pthread_self();
    l->tid = gettid();
    if (sigaltstack(NULL, &have) == 0 && !(have.ss_flags & SS_DISABLE))
        return; /* another coroutine of this thread, or a sanitizer, has made one */
    void *p = mmap(NULL, ALT_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return; /* then a stack overflow ends the process; all else still lands */
    stack_t ss = { .ss_sp = p, .ss_size = ALT_STACK_BYTES };
    if (sigaltstack(&ss, NULL) == 0)
        l->alt_stack = p;
    else
        munmap(p, ALT_STACK_BYTES);
}

void fault_thread_leave(struct landing *l)
{
    stack_t off = { .ss_flags = SS_DISABLE };

    if (l->alt_stack == NULL)
        return;
    sigaltstack(&off, NULL);
    stack_unmark(l->alt_stack, ALT_STACK_BYTES);
    munmap(l->alt_stack, ALT_STACK_BYTES);
    l->alt_stack = NULL;
}

const struct sigaction *fault_handler_before(int signo)
{
    return &before[signo];
}

void fault_end_callback(struct landing *l, uint64_t callback_seq, uint32_t mib)
{
    atomic_store_explicit(&l->stuck_mib, mib, memory_order_relaxed);          /* the next line publishes it */
    atomic_store_explicit(&l->stuck_seq, callback_seq, memory_order_release); /* partner: on_stuck() */
    pthread_kill(l->os_thread, STUCK_SIGNAL);
}

/* From the app's own code on, if it can be told. */
static void drop_our_frames(struct trace *trace)
{
    int from = 0;

    while (from < trace->n && !fault_code_is_app((uintptr_t)trace->frames[from]))
        from++;
    if (from == trace->n || !fault_code_apart())
        return;
    trace->n -= from;
    memmove(trace->frames, trace->frames + from, (size_t)trace->n * sizeof trace->frames[0]);
}

void fault_leave_callback(struct tdm_self *a, const struct tdm_reason *reason)
{
    struct thread *t = thread_now();
    struct landing *l = &t->worker->landing;

    (void)a;
    if (!l->guarded) {
        l->kind = LAND_LEAVE;
        l->cause = FAULT_NONE;
        l->reason = *reason;
        l->fresh = false;
        l->trace.n = 0;
    }
    if (!l->guarded && reason->kind == TDM_EXIT_ERROR) {
        l->trace.n = backtrace(l->trace.frames, LANDING_FRAMES);
        l->trace.called = true;
        drop_our_frames(&l->trace);
        l->fresh = true;
    }
    jump(t, l, NULL);
}

/* ---- afterwards, on the worker's stack ------------------------------------------------------- */

/* The app's innermost function there. */
static void find_where(struct landing *l)
{
    const struct trace *trace = &l->trace;
    int i = 0;

    while (i < trace->n && !fault_code_is_app((uintptr_t)trace->frames[i]))
        i++;
    if (i == trace->n || !fault_code_apart())
        i = (l->cause == FAULT_NULL_CALL || l->cause == FAULT_WILD_CALL) && trace->n > 1;
    uintptr_t pc = trace->n > 0 ? (uintptr_t)trace->frames[i] : l->pc;
    symbol_name(pc, i > 0 || trace->called, false, l->where, sizeof l->where);
}

static const char *words_of(const struct landing *l)
{
    static const char *const words[] = { [FAULT_NONE] = "fault",
                                         [FAULT_NULL_READ] = "null pointer read",
                                         [FAULT_NULL_WRITE] = "null pointer write",
                                         [FAULT_NULL_CALL] = "null pointer call",
                                         [FAULT_STACK] = "stack overflow",
                                         [FAULT_WILD] = "bad address used",
                                         [FAULT_WILD_CALL] = "bad address called",
                                         [FAULT_DIVISION] = "division by zero",
                                         [FAULT_ABORT] = "abort",
                                         [FAULT_TRAP] = "trap instruction" };
    return words[l->cause];
}

static bool shows_address(const struct landing *l)
{
    return l->cause >= FAULT_NULL_READ && l->cause <= FAULT_WILD_CALL && l->cause != FAULT_STACK &&
           !(l->cause == FAULT_WILD && l->address == 0); /* the processor did not tell */
}

static void say_fault(const struct landing *l, struct tdm_reason *reason)
{
    reason->code = TDM_EFAULT;
    reason->signo = l->signo;
    if (shows_address(l))
        snprintf(reason->text, sizeof reason->text, "%s at address 0x%lx in %s", words_of(l),
                 (unsigned long)l->address, l->where);
    else
        snprintf(reason->text, sizeof reason->text, "%s in %s", words_of(l), l->where);
}

static void say_stuck(const struct landing *l, struct tdm_reason *reason)
{
    uint32_t mib = atomic_load_explicit(&l->stuck_mib, memory_order_relaxed); /* on_stuck() acquired it */

    reason->code = mib > 0 ? TDM_ENOMEM : TDM_ESTUCK;
    if (mib > 0)
        snprintf(reason->text, sizeof reason->text, "callback took %u MiB, in %s", mib, l->where);
    else
        snprintf(reason->text, sizeof reason->text, "callback ran past its budget, in %s", l->where);
}

bool fault_landed(struct landing *l, struct tdm_self *a, struct tdm_reason *reason)
{
    fiber_left_stack(a);
    fesetenv(FE_DFL_ENV); /* the jump brought the callback's rounding and masks along */
    if (l->fresh)
        find_where(l);
    if (l->kind == LAND_LEAVE) {
        *reason = l->reason;
        return true;
    }
    memset(reason, 0, sizeof *reason);
    reason->kind = TDM_EXIT_ERROR;
    if (l->kind == LAND_STUCK)
        say_stuck(l, reason);
    else
        say_fault(l, reason);
    return false;
}
