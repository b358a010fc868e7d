/* last_words.c - what is written when a fault ends the process.
 *
 * Idea:      going on would deadlock or corrupt, so the process ends, at once and of that very signal; whoever runs it
 *            starts it again. What is still in the log is written first, then who did what, where.
 * The world may be broken: nothing here allocates or waits for a lock, a second fault is not handled at all, and an alarm
 *            cuts off what hangs. */
#include "last_words.h"

#include <execinfo.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "log.h"
#include "runtime.h"
#include "symbol.h"

enum { HANGS_AFTER_S = 3, MOST_FRAMES = 24 };

static char report[8192];

static size_t add(size_t at, const char *format, const char *a, const char *b)
{
    int n = snprintf(report + at, sizeof report - at, format, a, b);
    return n < 0 ? at : at + (size_t)n < sizeof report ? at + (size_t)n : sizeof report - 1;
}

static size_t add_actor(size_t at, const struct tdm_self *a)
{
    char id[32];

    if (a == NULL)
        return add(at, "  in          a thread of the runtime or of a library, not in an actor%s%s\n", "",
                   "");
    snprintf(id, sizeof id, "%llu", (unsigned long long)id_make(a->next_gen - 1, a->slot));
    at = add(at, "  actor       %s, pid %s", a->behaviour->name, id);
    return add(at, a->tag != NULL ? ", tag %s\n%s" : "%s%s\n", a->tag != NULL ? a->tag : "", "");
}

/* A trace of one frame is only the place: then from there outward, as far as can be seen from here. */
static void write_trace(const struct trace *trace)
{
    void *own[MOST_FRAMES], *const *frames = trace->frames;
    char name[SYMBOL_TEXT];
    int n = trace->n == 1 ? backtrace(own, MOST_FRAMES) : trace->n, from = 0;
    size_t at = 0;

    if (trace->n == 1) {
        while (from < n && own[from] != trace->frames[0])
            from++;
        frames = from < n ? own : frames;
        n = from < n ? n : 1;
        from = from < n ? from : 0;
    }
    for (int i = from; i < n && i < MOST_FRAMES; i++) {
        symbol_name((uintptr_t)frames[i], i > from, true, name, sizeof name);
        at = add(at, "  %s%s\n", i == from ? "at          " : "from        ", name);
    }
    if (at > 0)
        report[at - 1] = '\0'; /* the line's end is written with it */
    log_emergency(report);
}

/* Who comes second waits for the end; who comes twice has no handler any more. */
static void one_at_a_time(void)
{
    static _Atomic bool taken;

    while (atomic_exchange_explicit(&taken, true, memory_order_relaxed)) /* nothing is handed over */
        pause();
}

void last_words(int signo, uintptr_t address, const struct thread *t, const struct trace *trace,
                const char *why)
{
    const struct sigaction *before = fault_handler_before(signo);
    const char *words = sigdescr_np(signo);
    char text[64];
    size_t at;

    one_at_a_time();
    signal(SIGALRM, SIG_DFL);
    alarm(HANGS_AFTER_S);
    snprintf(text, sizeof text, signo == SIGABRT ? "signal %d" : "signal %d, address 0x%lx", signo,
             (unsigned long)address);
    at = add(0, "tandem: %s (%s): this process ends\n", words != NULL ? words : "fault", text);
    at = add(at, "  because     %s%s\n", why, "");
    at = add_actor(at, t != NULL ? t->self : NULL);
    at = add(
        at,
        "  what to do  start it again (a service manager does); calls that are still in their apps are "
        "adopted.%s\n"
        "              Keep these lines: the first function of an app in what follows is where to look.%s",
        "", "");
    (void)at;
    log_emergency(report);
    write_trace(trace);             /* last: it may meet a fault of its own, and that is the end then */
    sigaction(signo, before, NULL); /* back at the same instruction, the fault is taken the old way */
    if (signo == SIGABRT || before->sa_handler == SIG_IGN)
        signal(signo, SIG_DFL);
    if (signo == SIGABRT)
        raise(signo);
}
