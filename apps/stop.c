/* stop.c - the orderly end of the program, in phases:
 *
 *     new_calls   from here on none is taken: each goes back to the dialplan
 *     drain       running calls may finish
 *     end         those that are left are told to stop, and hand their call back
 *     sources     the connections are closed
 *     tree        everything else ends; what does not is killed
 *
 * Each has its own limit (`stop:` of the configuration). One that runs out of time is logged and left, and the next one
 * begins. A second signal means now: what is still to come gets no more than a moment. */
#include "stop.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include <tandem/heart.h>
#include <tandem/log.h>

enum { LOOK_MS = 20, NOW_MS = 200 };

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void stop_wait(struct stop *s, int ms)
{
    const struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
    siginfo_t info;
    int sig = ms < 0 ? sigwaitinfo(s->set, &info) : sigtimedwait(s->set, &info, &time);

    if (sig <= 0)
        return;
    if (tdm_heart_sent(s->heart, info.si_pid))
        s->sent_on++;
    else
        s->direct++;
    s->now = s->sent_on > 1 || s->direct > 1;
}

struct phase {
    const char *name;
    int64_t limit_ms, began_ms;
};

static struct phase begin(const struct stop *s, const char *name, int64_t limit_ms, struct program *p)
{
    struct phase ph = { .name = name, .limit_ms = s->now && limit_ms > NOW_MS ? NOW_MS : limit_ms };

    ph.began_ms = now_ms();
    tdm_log_info("program.stop", "phase=%s limit_ms=%" PRId64 " calls=%zu", name, ph.limit_ms,
                 p != NULL ? program_calls(p) : 0);
    return ph;
}

static void end(const struct stop *s, const struct phase *ph, struct program *p, bool done)
{
    tdm_log(done ? TDM_LOG_INFO : TDM_LOG_WARN, "program.stopped",
            "phase=%s took_ms=%" PRId64 " calls=%zu outcome=%s", ph->name, now_ms() - ph->began_ms,
            p != NULL ? program_calls(p) : 0,
            done     ? "done"
            : s->now ? "now"
                     : "time");
}

/* Until no call is left. */
static bool wait_idle(struct stop *s, const struct phase *ph, struct program *p)
{
    const bool was_now = s->now;

    while (!program_idle(p) && now_ms() - ph->began_ms < ph->limit_ms && s->now == was_now)
        stop_wait(s, LOOK_MS);
    return program_idle(p);
}

/* From here on nobody waits for signals any more: the next one ends the process. */
static void leave_signals(const sigset_t *set)
{
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, set, NULL);
}

void stop_program(struct stop *s, struct program *p, struct tdm_runtime *rt, const struct program_config *cfg)
{
    struct phase ph = begin(s, "new_calls", 0, p);

    program_drain(p);
    end(s, &ph, p, true);
    ph = begin(s, "drain", cfg->stop.drain_ms, p);
    end(s, &ph, p, wait_idle(s, &ph, p));
    ph = begin(s, "end", cfg->stop.end_ms, p);
    program_end_calls(p);
    end(s, &ph, p, wait_idle(s, &ph, p));
    ph = begin(s, "sources", cfg->stop.sources_ms, p);
    leave_signals(s->set);
    bool stopped = program_stop_sources(p, (uint32_t)ph.limit_ms);
    end(s, &ph, NULL, stopped);
    ph = begin(s, "tree", cfg->stop.tree_ms, NULL);
    tdm_runtime_stop(rt, (uint32_t)ph.limit_ms);
    end(s, &ph, NULL, true);
    program_free(p);
}
