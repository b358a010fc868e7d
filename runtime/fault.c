/* fault.c - a fault inside an actor's callback ends that actor alone.
 *
 * Idea:      each turn of an actor begins with a sigsetjmp on its worker's stack. The handler runs on
 *            an alternate stack, notes what happened, and jumps there; the worker ends the actor with
 *            error:EFAULT and goes on.
 * Survivable or not: what a callback does in its own code is. A fault inside this library, or inside
 *            libc while it may hold a lock (malloc, stdio), is not: going on could deadlock or corrupt.
 *            Then the process is left to die of the signal, with a backtrace on standard error. libc
 *            functions that hold nothing (memcpy, strlen, abort, the checks of the compiler) are
 *            survivable.
 * A callback that does not end is interrupted by a signal from the watchdog, and left in the same way,
 * but only when the signal finds it in the app's own code: never in libc, never in this library. That
 * needs the library to be a shared one; linked statically its code cannot be told from the app's, and
 * then a stuck callback is only reported. The handler touches only the landing of its own thread. */
#define _FORTIFY_SOURCE 0 /* its longjmp refuses a jump from a fiber to the worker's stack */
#include "fault.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <fenv.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "fiber.h"
#include "sanitize.h"
#include "scheduler.h"
#include "symbol.h"
#include "tandem/log.h"

enum { ALT_STACK_BYTES = 64 * 1024, MODULES_MAX = 64 };
enum module_kind { MODULE_APP, MODULE_OURS, MODULE_LIBC, MODULE_LIBRARY };

static struct module {
    uintptr_t low, high;
    enum module_kind kind;
} modules[MODULES_MAX];
static int n_modules;
static bool linked_statically;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const int trapped[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT };
static struct sigaction before[NSIG];

#define STUCK_SIGNAL (SIGRTMIN + 6)

/* ---- whose code is it ------------------------------------------------------------------------ */

static int note_module(struct dl_phdr_info *info, size_t size, void *ctx)
{
    uintptr_t libc = (uintptr_t)ctx;
    uintptr_t ours = (uintptr_t)&fault_process_enter;
    bool program = info->dlpi_name == NULL || info->dlpi_name[0] == '\0';

    (void)size;
    for (int i = 0; i < info->dlpi_phnum && n_modules < MODULES_MAX; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
            continue;
        struct module *m = &modules[n_modules++];
        m->low = info->dlpi_addr + p->p_vaddr;
        m->high = m->low + p->p_memsz;
        bool is_ours = ours >= m->low && ours < m->high;
        m->kind = program                            ? MODULE_APP
                  : is_ours                          ? MODULE_OURS
                  : libc >= m->low && libc < m->high ? MODULE_LIBC
                                                     : MODULE_LIBRARY;
        linked_statically |= program && is_ours;
    }
    return 0;
}

static enum module_kind module_of(uintptr_t pc)
{
    for (int i = 0; i < n_modules; i++)
        if (pc >= modules[i].low && pc < modules[i].high)
            return modules[i].kind;
    return MODULE_LIBRARY; /* loaded since, or a jump to nowhere */
}

/* Functions of libc that may end a callback though they were entered from it: they hold nothing. */
static bool harmless(const char *name)
{
    static const char *const names[] = {
        "abort",  "raise",   "__assert_fail", "__assert", "__stack_chk_fail", "pthread_kill", "gsignal",
        "strlen", "strcmp",  "strcpy",        "strncpy",  "strcat",           "strchr",       "strrchr",
        "strstr", "strncmp", "strcasecmp",    "memcpy",   "memmove",          "memset",       "memcmp",
        "memchr", "atoi",    "strtol",        "strtoul",  "snprintf",         "sprintf",      "vsnprintf"
    };
    size_t n = strlen(name);

    if (n > 4 && strcmp(name + n - 4, "_chk") == 0)
        return true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool holds_a_lock(const char *name)
{
    return strstr(name, "alloc") != NULL || strstr(name, "free") != NULL;
}

/* The function of libc that the callback called. A return address lies behind its call, which may be the last thing in
 * its function; the innermost frame is no return address. */
static const char *entry_name(const struct landing *l, int i)
{
    Dl_info info;
    const char *pc = (const char *)l->frames[i] - (i > 0);

    return dladdr(pc, &info) != 0 && info.dli_sname != NULL ? info.dli_sname : "";
}

/* From the place of the fault outward to the callback's own code. A smashed stack is found only after the damage: on a
 * fiber that is the fiber's own, elsewhere it may be the worker's. */
static bool survivable(const struct landing *l, bool on_fiber)
{
    int i = 0;

    while (i < l->n_frames && module_of((uintptr_t)l->frames[i]) == MODULE_LIBC)
        i++;
    if (i < l->n_frames && module_of((uintptr_t)l->frames[i]) == MODULE_OURS)
        return false;
    if (i == 0)
        return true;
    if (i == l->n_frames)
        return false; /* nobody can tell who called libc: the stack is damaged */
    const char *entry = entry_name(l, i - 1);
    if (strcmp(entry, "__stack_chk_fail") == 0)
        return on_fiber;
    return harmless(entry) || (i == 1 && !holds_a_lock(entry));
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

static uintptr_t pc_of(const ucontext_t *uc)
{
#if defined(__x86_64__)
    return (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)uc->uc_mcontext.pc;
#else
    (void)uc;
    return 0;
#endif
}

#ifdef WITH_TSAN
/* The sanitizer loses the worker's own jump when another is set on this stack: then there is no walk. */
static int walk(struct landing *l, void **frames, int most)
{
    (void)l;
    (void)frames;
    (void)most;
    return 0;
}
#else
/* backtrace() reads code and stack where the frames lead, and after a wild jump or a smashed stack that may be nowhere:
 * then it faults itself, lands here, and there is no more to tell than where we are. */
static int walk(struct landing *l, void **frames, int most)
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
        n = backtrace(frames, most);
    l->walking = false;
    return n;
}
#endif

static void note_frames(struct landing *l, uintptr_t pc)
{
    void *all[LANDING_FRAMES + 8];
    int n = walk(l, all, LANDING_FRAMES + 8);
    int from = 0;

    while (from < n && (uintptr_t)all[from] != pc)
        from++;
    l->n_frames = 0;
    if (from == n) { /* pc is nowhere: a call through a bad pointer; keep what lies below our own frames */
        from = n > 2 ? 2 : 0;
        l->frames[l->n_frames++] = (void *)pc;
    }
    while (from < n && l->n_frames < LANDING_FRAMES)
        l->frames[l->n_frames++] = all[from++];
    l->fresh = true;
}

static _Noreturn void jump(struct thread *t, struct landing *l, const ucontext_t *uc)
{
    if (uc != NULL) /* the handler's mask would stay otherwise, and the second fault would kill us */
        pthread_sigmask(SIG_SETMASK, &uc->uc_sigmask, NULL);
    callback_leave(t);
    fiber_leave_stack(t->self);
    siglongjmp(l->jump, 1);
}

static void die(int signo, const struct landing *l)
{
    char line[96];
    int n = snprintf(line, sizeof line, "tandem: signal %d outside of app code; the process ends\n", signo);

    if (write(2, line, (size_t)n) < 0) {
        /* nobody to tell */
    }
    if (l != NULL)
        backtrace_symbols_fd((void *const *)l->frames, l->n_frames, 2);
    sigaction(signo, &before[signo], NULL); /* back at the same instruction, the fault is taken the old way */
    if (signo == SIGABRT || before[signo].sa_handler == SIG_IGN)
        signal(signo, SIG_DFL);
    if (signo == SIGABRT)
        raise(signo);
}

static void on_fault(int signo, siginfo_t *info, void *context)
{
    const ucontext_t *uc = context;
    struct thread *t = NULL;
    struct landing *l = landing_here(&t);

    if (l == NULL) {
        die(signo, NULL);
        return;
    }
    if (l->walking)
        siglongjmp(l->walk, 1);
    l->kind = LAND_FAULT;
    l->signo = signo;
    l->address = (uintptr_t)info->si_addr;
    l->pc = pc_of(uc);
    note_frames(l, l->pc);
    if (!linked_statically && !survivable(l, t->self != NULL && t->self->fiber != NULL)) {
        die(signo, l);
        return;
    }
    jump(t, l, uc);
}

static void on_stuck(int signo, siginfo_t *info, void *context)
{
    const ucontext_t *uc = context;
    struct thread *t = NULL;
    struct landing *l = landing_here(&t);

    (void)signo;
    (void)info;
    if (l == NULL || linked_statically)
        return;
    uint64_t wanted = atomic_exchange_explicit(&l->stuck_seq, 0, memory_order_acq_rel);
    if (wanted != atomic_load_explicit(&t->callback_seq, memory_order_relaxed))
        return; /* that callback has ended since */
    l->pc = pc_of(uc);
    if (module_of(l->pc) != MODULE_APP)
        return; /* the watchdog tries again */
    l->kind = LAND_STUCK;
    l->signo = 0;
    note_frames(l, l->pc);
    jump(t, l, uc);
}

static void install(void)
{
    struct sigaction sa;
    void *warm[4];

    backtrace(warm, 4); /* loads what it needs, which a handler must not */
    dl_iterate_phdr(note_module, dlsym(RTLD_DEFAULT, "abort"));
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
    munmap(l->alt_stack, ALT_STACK_BYTES);
    l->alt_stack = NULL;
}

void fault_end_callback(struct landing *l, uint64_t callback_seq)
{
    atomic_store_explicit(&l->stuck_seq, callback_seq, memory_order_release);
    pthread_kill(l->os_thread, STUCK_SIGNAL);
}

void fault_leave_callback(struct tdm_self *a, const struct tdm_reason *reason)
{
    struct thread *t = thread_now();
    struct landing *l = &t->worker->landing;

    l->kind = LAND_LEAVE;
    l->reason = *reason;
    l->fresh = false;
    if (reason->kind == TDM_EXIT_ERROR) {
        l->n_frames = backtrace(l->frames, LANDING_FRAMES);
        l->fresh = true;
    }
    (void)a;
    jump(t, l, NULL);
}

static const char *sigdescr_or_number(int signo)
{
    const char *words = sigdescr_np(signo);
    return words != NULL ? words : "signal";
}

/* ---- afterwards, on the worker's stack ------------------------------------------------------- */

bool fault_landed(struct landing *l, struct tdm_self *a, struct tdm_reason *reason)
{
    char where[128];

    fiber_left_stack(a);
    fesetenv(FE_DFL_ENV); /* the jump brought the callback's rounding and masks along */
    if (l->kind == LAND_LEAVE) {
        *reason = l->reason;
        return true;
    }
    memset(reason, 0, sizeof *reason);
    reason->kind = TDM_EXIT_ERROR;
    symbol_name(l->pc, where, sizeof where);
    if (l->kind == LAND_STUCK) {
        reason->code = TDM_ESTUCK;
        snprintf(reason->text, sizeof reason->text, "callback ran past its budget, in %s", where);
        return false;
    }
    reason->code = TDM_EFAULT;
    reason->signo = l->signo;
    if (l->signo == SIGABRT) /* si_addr means nothing then */
        snprintf(reason->text, sizeof reason->text, "%s in %s", sigdescr_or_number(l->signo), where);
    else
        snprintf(reason->text, sizeof reason->text, "%s at address 0x%lx in %s", sigdescr_or_number(l->signo),
                 (unsigned long)l->address, where);
    return false;
}

static size_t write_frames(const struct landing *l, char *buf, size_t bytes)
{
    size_t at = 0;
    char name[128];

    buf[0] = '\0';
    for (int i = 0; i < l->n_frames && i < 16 && at + 4 < bytes; i++) {
        symbol_name((uintptr_t)l->frames[i], name, sizeof name);
        int n = snprintf(buf + at, bytes - at, "%s%s", at > 0 ? " < " : "", name);
        at += n < 0 ? 0 : (size_t)n;
    }
    return at;
}

static void write_history(const struct history *h, char *buf, size_t bytes)
{
    size_t at = 0;

    buf[0] = '\0';
    if (h == NULL)
        return;
    uint32_t n = h->next < h->size ? h->next : h->size;
    for (uint32_t i = 0; i < n && at + 24 < bytes; i++) {
        uint32_t k = (h->next - 1 - i) % h->size;
        int w = snprintf(buf + at, bytes - at, "%s%u:%u", at > 0 ? "," : "", h->entries[k].type,
                         h->entries[k].bytes);
        at += w < 0 ? 0 : (size_t)w;
    }
}

/* After a fault the state may be anything, so it is not looked at. */
static void write_state(const struct tdm_self *a, const struct tdm_reason *reason, char *buf, size_t bytes)
{
    buf[0] = '\0';
    if (a->behaviour->format_state != NULL && a->state != NULL && reason->code != TDM_EFAULT &&
        reason->code != TDM_ESTUCK)
        a->behaviour->format_state(a->state, buf, bytes);
    buf[bytes - 1] = '\0';
}

void fault_report_crash(struct tdm_self *a, const struct tdm_reason *reason)
{
    struct thread *t = thread_here;
    struct landing *l = t != NULL && t->worker != NULL ? &t->worker->landing : NULL;
    char why[TDM_REASON_TEXT_BYTES + 64], frames[1024] = "", past[512], state[200];

    if (tdm_log_level() > TDM_LOG_ERROR)
        return;
    if (l != NULL && l->fresh)
        write_frames(l, frames, sizeof frames);
    if (l != NULL)
        l->fresh = false;
    write_history(a->history, past, sizeof past);
    write_state(a, reason, state, sizeof state);
    tdm_reason_str(reason, why, sizeof why);
    tdm_log_error("actor.crash", "reason=%s behaviour=%s state=%s mailbox=%u last_messages=%s backtrace=%s",
                  TDM_LOG_TEXT(why, strlen(why)), a->behaviour->name, TDM_LOG_TEXT(state, strlen(state)),
                  tdm_self_mailbox_length(a), past,
                  tdm_log_text((char[1100]){ 0 }, 1100, frames, strlen(frames)));
}
