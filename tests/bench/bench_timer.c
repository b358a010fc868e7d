/* bench_timer.c - W8: a million timers set and cancelled; how late a hundred thousand others fire. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "tandem/timer.h"

/* ---- set, then cancel ------------------------------------------------------------------------ */

struct setter {
    tdm_ref *refs;
    uint64_t n;
};

static int setter_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    memcpy(state, start->arg, sizeof(struct setter));
    return bench_send(tdm_self_runtime(self), tdm_self_pid(self), GO, 0);
}

static int setter_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct setter *s = state;
    uint64_t begin = bench_now(), cancelled = 0;

    (void)msg;
    for (uint64_t i = 0; i < s->n; i++) {
        s->refs[i] = tdm_timer_start(self, TDM_MS(10000 + i * 7919 % 50000));
        BENCH_CHECK(s->refs[i] != 0);
    }
    bench_out("w8.set", (double)s->n / bench_seconds_since(begin), "timers/s");
    begin = bench_now();
    for (uint64_t i = 0; i < s->n; i++)
        cancelled += tdm_timer_cancel(self, s->refs[i]);
    bench_out("w8.cancel", (double)s->n / bench_seconds_since(begin), "timers/s");
    BENCH_CHECK(cancelled == s->n);
    bench_done();
    return TDM_STOP;
}

static const struct tdm_behaviour setter = {
    .name = "setter", .state_bytes = sizeof(struct setter), .init = setter_init, .handle = setter_handle
};

/* ---- lateness -------------------------------------------------------------------------------- */

static _Atomic uint64_t waiting; /* for a last timer; relaxed: the last one only rings a bell */

struct sleeper {
    uint64_t *late; /* its own part of the figures */
    uint64_t n, fired, seed;
};

static int sleeper_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct tdm_runtime *rt = tdm_self_runtime(self);
    struct sleeper *s = state;

    memcpy(s, start->arg, sizeof *s);
    for (uint64_t i = 0; i < s->n; i++) {
        s->seed = s->seed * 6364136223846793005u + 1442695040888963407u;
        uint64_t delay = TDM_MS(100 + (s->seed >> 33) % 2000), due = bench_now() + delay;
        struct tdm_msg *msg = tdm_msg_copy(rt, FIRE, &due, sizeof due);
        BENCH_CHECK(msg != NULL && tdm_send_after(self, tdm_self_pid(self), delay, msg) != 0);
    }
    return TDM_OK;
}

static int sleeper_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct sleeper *s = state;
    uint64_t now = bench_now(), due = bench_word(msg);

    (void)self;
    s->late[s->fired++] = now > due ? now - due : 0;
    if (s->fired < s->n)
        return TDM_OK;
    if (atomic_fetch_sub_explicit(&waiting, 1, memory_order_relaxed) == 1)
        bench_done();
    return TDM_STOP;
}

static const struct tdm_behaviour sleeper = {
    .name = "sleeper", .state_bytes = sizeof(struct sleeper), .init = sleeper_init, .handle = sleeper_handle
};

static void lateness(uint64_t n)
{
    enum { SLEEPERS = 1000 };
    struct tdm_runtime *rt = bench_runtime(0);
    uint64_t each = n / SLEEPERS, *late = calloc(n, sizeof *late);

    BENCH_CHECK(late != NULL && each > 0);
    atomic_store(&waiting, SLEEPERS);
    for (uint64_t i = 0; i < SLEEPERS; i++) {
        struct sleeper s = { .late = late + i * each, .n = each, .seed = i + 1 };
        bench_spawn(rt, &sleeper, &s, sizeof s);
    }
    bench_wait();
    bench_latency("w8.late", late, each * SLEEPERS);
    tdm_runtime_free(rt);
    free(late);
}

void bench_w8(void)
{
    struct setter s = { .n = bench_size("W8_N", 1000000) };
    struct tdm_runtime *rt = bench_runtime(0);

    s.refs = calloc(s.n, sizeof *s.refs);
    BENCH_CHECK(s.refs != NULL);
    bench_spawn(rt, &setter, &s, sizeof s);
    bench_wait();
    tdm_runtime_free(rt);
    free(s.refs);
    lateness(bench_size("W8_EXPIRE", 100000));
}
