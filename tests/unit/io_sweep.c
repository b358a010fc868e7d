/* io_sweep.c - see io_sweep.h. */
#include "io_sweep.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sanitizer.h"
#include "tandem/err.h"

enum { ERRORS = 8, SEEDS_MOST = 3 };
#define ALWAYS UINT64_MAX
#ifdef UNDER_TSAN /* ten times slower */
#define RUNS_PART 4
#define RUNS_ALL  1000
#else
#define RUNS_PART 1
#define RUNS_ALL  UINT64_MAX
#endif

/* What each kind of call may plausibly say. */
static const int errors[TDM_SIM_CALLS][ERRORS] = {
    [TDM_SIM_CONNECT] = { -ENETUNREACH, -EMFILE, -ENOBUFS, -ECONNREFUSED, -ENOMEM },
    [TDM_SIM_LISTEN] = { -EADDRINUSE, -EMFILE, -ENOMEM },
    [TDM_SIM_PORT] = { -ENOBUFS },
    [TDM_SIM_ACCEPT] = { -EMFILE, -ECONNABORTED, -ENOMEM, -EAGAIN, -EINTR },
    [TDM_SIM_ERROR] = { -ECONNREFUSED, -ETIMEDOUT, -ECONNRESET },
    [TDM_SIM_READ] = { -ECONNRESET, -EAGAIN, TDM_SIM_SHORT, -ENOMEM, -EINTR, -ETIMEDOUT },
    [TDM_SIM_WRITE] = { -EPIPE, -EAGAIN, TDM_SIM_SHORT, -ECONNRESET, -ENOBUFS, -EINTR },
    [TDM_SIM_POLLER] = { -EMFILE, -ENOMEM },
    [TDM_SIM_WATCH] = { -ENOMEM, -ENOSPC },
    [TDM_SIM_RESOLVE] = { TDM_ENOTFOUND, TDM_ECONN, TDM_ENOMEM },
};

static struct run {
    const struct sweep *sweep;
    struct tdm_env *env;
    uint64_t seed, nth, times;
    int error; /* which of the kind's */
    bool memory;
    uint64_t calls;
    enum tdm_sim_call hit;
    int64_t blocks;
    bool ended;
} run;

bool sweep_fails(void)
{
    return run.nth != 0;
}

bool sweep_fails_memory(void)
{
    return run.nth != 0 && run.memory;
}

void sweep_failed(const char *file, int line, const char *condition, const char *format, ...)
{
    char words[256];
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    cr_assert_fail("%s:%d: %s%s (%s TANDEM_FAULT=%" PRIu64 ":%" PRIu64 ":%d:%" PRIu64 ")", file, line,
                   condition, words, run.memory ? "allocations" : "calls", run.seed, run.nth, run.error,
                   run.times);
    abort();
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static void *(*alloc_below)(struct tdm_env *env, size_t bytes);
static void (*free_below)(struct tdm_env *env, void *p, size_t bytes);

static void *counted_alloc(struct tdm_env *env, size_t bytes)
{
    void *p = alloc_below(env, bytes);

    run.blocks += p != NULL;
    return p;
}

static void counted_free(struct tdm_env *env, void *p, size_t bytes)
{
    run.blocks -= p != NULL;
    free_below(env, p, bytes);
}

/* ---- one run --------------------------------------------------------------------------------- */

/* The nth error that a kind has, or its last. */
static int error_of(enum tdm_sim_call kind, int n)
{
    while (n > 0 && errors[kind][n] == 0)
        n--;
    return errors[kind][n];
}

static int count_errors(enum tdm_sim_call kind)
{
    int n = 0;

    while (n < ERRORS && errors[kind][n] != 0)
        n++;
    return n;
}

void sweep_begin(struct tdm_env *env)
{
    struct tdm_sim_fault fault = { .nth = run.nth, .times = run.times };

    if (run.memory) {
        (void)tdm_env_sim_fail_alloc(env, run.nth, run.times == ALWAYS);
        return;
    }
    for (int kind = 0; kind < TDM_SIM_CALLS; kind++)
        fault.err[kind] = error_of(kind, run.error);
    (void)tdm_env_sim_fault(env, &fault, NULL);
}

void sweep_end(struct tdm_env *env)
{
    if (run.ended)
        return;
    run.ended = true;
    run.calls = run.memory ? tdm_env_sim_fail_alloc(env, 0, false) : tdm_env_sim_fault(env, NULL, &run.hit);
}

static void first_coroutine(void *arg)
{
    (void)arg;
    run.sweep->story(run.env);
    sweep_end(run.env);
    sweep_check(run.blocks == 0, "%" PRId64 " blocks are left", run.blocks);
    sweep_check(tdm_env_sim_sockets(run.env) == 0, "%zu sockets are left", tdm_env_sim_sockets(run.env));
}

static void run_once(uint64_t seed, uint64_t nth, int error, uint64_t times)
{
    run.seed = seed;
    run.nth = nth;
    run.error = error;
    run.times = times;
    run.blocks = 0;
    run.ended = false;
    run.hit = TDM_SIM_CALLS;
    cr_assert(tdm_env_sim_new(&run.env, seed) == TDM_OK);
    alloc_below = run.env->alloc;
    free_below = run.env->free;
    run.env->alloc = counted_alloc;
    run.env->free = counted_free;
    int err = tdm_env_sim_run(run.env, first_coroutine, NULL);
    sweep_check(err == TDM_OK, "%s", err == TDM_ESTUCK ? "everybody waits" : tdm_errname(err));
    tdm_env_sim_free(run.env);
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* How long an error lasts when it is not to be the only one. Sockets that are ready and never say more would be asked
 * for ever, and no time would pass. */
static uint64_t lasting(int err)
{
    return err == -EAGAIN || err == -EINTR ? 40 : ALWAYS;
}

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 0) : otherwise;
}

static bool one_alone(void)
{
    const char *text = getenv("TANDEM_FAULT");
    uint64_t seed, nth, times;
    int error;

    if (text == NULL || sscanf(text, "%" SCNu64 ":%" SCNu64 ":%d:%" SCNu64, &seed, &nth, &error, &times) != 4)
        return false;
    run_once(seed, nth, error, times);
    return true;
}

/* Every how many calls, so that there are no more than `most` runs of about `each` for a call. */
static uint64_t stride(const struct sweep *s, uint64_t calls, uint64_t each)
{
    const char *all = getenv("TANDEM_FAULTS");
    uint64_t most = (s->most == 0 ? RUNS_ALL : s->most) / RUNS_PART;

    if ((all != NULL && strcmp(all, "all") == 0) || calls * each <= most)
        return 1;
    return (calls * each + most - 1) / most;
}

static void at_call(uint64_t seed, uint64_t nth)
{
    run_once(seed, nth, 0, 1);
    if (run.hit == TDM_SIM_CALLS)
        return;
    enum tdm_sim_call kind = run.hit;
    for (int e = 0; e < count_errors(kind); e++) {
        if (e > 0)
            run_once(seed, nth, e, 1);
        run_once(seed, nth, e, lasting(errors[kind][e]));
    }
}

static void sweep_all(const struct sweep *s, bool memory, uint64_t each)
{
    uint64_t seeds = number("TANDEM_SEEDS", 1), begun = number("TANDEM_SEED", 1);

    seeds = seeds > SEEDS_MOST ? SEEDS_MOST : seeds; /* each is a thousand runs */

    memset(&run, 0, sizeof run);
    run.sweep = s;
    run.memory = memory;
    if (one_alone())
        return;
    for (uint64_t seed = begun; seed < begun + seeds; seed++) {
        run_once(seed, 0, 0, 1);
        uint64_t calls = run.calls, step = stride(s, calls, each);
        cr_assert(calls > 0);
        for (uint64_t nth = 1 + seed % step; nth <= calls + 3; nth += step) {
            if (!memory)
                at_call(seed, nth);
            else
                for (int forever = 0; forever < 2; forever++)
                    run_once(seed, nth, 0, forever ? ALWAYS : 1);
        }
        cr_log_info("seed %" PRIu64 ": %" PRIu64 " %s, every %" PRIu64 ". failed", seed, calls,
                    memory ? "allocations" : "calls", step);
    }
}

void sweep_calls(const struct sweep *s)
{
    sweep_all(s, false, 10);
}

void sweep_allocations(const struct sweep *s)
{
    sweep_all(s, true, 2);
}
