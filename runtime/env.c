/* env.c - the real environment: Linux. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "env_net.h"
#include "tandem/env.h"
#include "tandem/err.h"

struct tdm_thread {
    pthread_t id;
    void (*fn)(void *arg);
    void *arg;
    char name[16];
};

static uint64_t read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t now_ns(struct tdm_env *env)
{
    (void)env;
    return read_clock(CLOCK_MONOTONIC);
}

static uint64_t wall_ns(struct tdm_env *env)
{
    (void)env;
    return read_clock(CLOCK_REALTIME);
}

/* The kernel's generator, some numbers at a time. */
static uint64_t random_64(struct tdm_env *env)
{
    static _Thread_local struct {
        uint64_t numbers[16];
        unsigned left;
    } pot;

    (void)env;
    if (pot.left == 0) {
        if (getrandom(pot.numbers, sizeof pot.numbers, 0) != (ssize_t)sizeof pot.numbers)
            for (unsigned i = 0; i < 16; i++) /* cannot happen for so few bytes; still, never a constant */
                pot.numbers[i] = read_clock(CLOCK_MONOTONIC) * 0x9e3779b97f4a7c15ull + i;
        pot.left = 16;
    }
    return pot.numbers[--pot.left];
}

static void *alloc(struct tdm_env *env, size_t bytes)
{
    (void)env;
    return malloc(bytes);
}

static void release(struct tdm_env *env, void *p, size_t bytes)
{
    (void)env;
    (void)bytes;
    free(p);
}

/* ---- threads --------------------------------------------------------------------------------- */

static void *thread_main(void *arg)
{
    struct tdm_thread *t = arg;

    pthread_setname_np(pthread_self(), t->name);
    prctl(PR_SET_TIMERSLACK, 1UL); /* a timer may be late by what a wake costs, not by 50 us on top */
    t->fn(t->arg);
    return NULL;
}

static int thread_start(struct tdm_env *env, struct tdm_thread **ret, const char *name, void (*fn)(void *),
                        void *arg)
{
    struct tdm_thread *t = calloc(1, sizeof *t);

    (void)env;
    if (t == NULL)
        return TDM_ENOMEM;
    t->fn = fn;
    t->arg = arg;
    snprintf(t->name, sizeof t->name, "%s", name);
    int err = pthread_create(&t->id, NULL, thread_main, t);
    if (err != 0) {
        free(t);
        return -err;
    }
    *ret = t;
    return TDM_OK;
}

static void thread_join(struct tdm_env *env, struct tdm_thread *t)
{
    (void)env;
    pthread_join(t->id, NULL);
    free(t);
}

/* word: 0 nothing, 1 a wake is kept, 2 somebody waits. */
static void park(struct tdm_env *env, struct tdm_parker *p, uint64_t deadline_ns)
{
    uint32_t word = 0;
    struct timespec ts = { .tv_sec = (time_t)(deadline_ns / 1000000000u),
                           .tv_nsec = (long)(deadline_ns % 1000000000u) };

    (void)env;
    /* acquire on finding 1: what the waker did before; partner: unpark */
    if (!atomic_compare_exchange_strong_explicit(&p->word, &word, 2, memory_order_acq_rel,
                                                 memory_order_acquire)) {
        atomic_store_explicit(&p->word, 0,
                              memory_order_relaxed); /* the kept wake is used up; only we store 0 */
        return;
    }
    syscall(SYS_futex, &p->word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 2,
            deadline_ns == TDM_FOREVER ? NULL : &ts, NULL, FUTEX_BITSET_MATCH_ANY);
    atomic_exchange_explicit(&p->word, 0, memory_order_acq_rel);
}

static void unpark(struct tdm_env *env, struct tdm_parker *p)
{
    (void)env;
    /* release: what we did before; partner: park */
    if (atomic_exchange_explicit(&p->word, 1, memory_order_acq_rel) == 2)
        syscall(SYS_futex, &p->word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL, 0);
}

static struct tdm_env real = {
    .name = "real",
    .now_ns = now_ns,
    .wall_ns = wall_ns,
    .random = random_64,
    .alloc = alloc,
    .free = release,
    .thread_start = thread_start,
    .thread_join = thread_join,
    .park = park,
    .unpark = unpark,
    .sock_connect = env_net_connect,
    .sock_listen = env_net_listen,
    .sock_accept = env_net_accept,
    .sock_port = env_net_port,
    .sock_error = env_net_error,
    .sock_read = env_net_read,
    .sock_writev = env_net_writev,
    .sock_close = env_net_close,
    .poller_new = env_net_poller_new,
    .poller_free = env_net_poller_free,
    .poller_set = env_net_poller_set,
    .poller_wait = env_net_poller_wait,
    .poller_wake = env_net_poller_wake,
    .resolve = env_net_resolve,
};

struct tdm_env *tdm_env_real(void)
{
    return &real;
}
