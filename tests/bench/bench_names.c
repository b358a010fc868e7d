/* bench_names.c - W6: a million names of 32 bytes, registered, looked up and replaced by two actors. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "tandem/registry.h"

enum { NAME_BYTES = 32, AT_ONCE = 1000 };
enum phase { REGISTER, LOOK_UP, MIXED };

typedef char name[NAME_BYTES];

/* One of the two: its own half of the names, and how far it is in the phase that runs. */
struct clerk {
    name *names;
    uint64_t n, ops; /* names; operations of a phase after the first */
    uint64_t random;
    uint64_t at;
};

static _Atomic int clerks_left;

static uint64_t clerk_random(struct clerk *c)
{
    c->random ^= c->random << 13;
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    return c->random;
}

/* One in twenty is taken away, one in twenty put back, as it comes: either may find nothing to do. */
static void clerk_mixed(tdm_self *self, struct clerk *c)
{
    uint64_t r = clerk_random(c);
    const char *key = c->names[r % c->n];

    switch ((r >> 40) % 20) {
    case 0:
        tdm_unregister(self, key, NAME_BYTES);
        break;
    case 1:
        tdm_register(self, key, NAME_BYTES);
        break;
    default:
        tdm_whereis(tdm_self_runtime(self), key, NAME_BYTES);
    }
}

static void clerk_step(tdm_self *self, struct clerk *c, enum phase phase)
{
    const char *key;

    switch (phase) {
    case REGISTER:
        BENCH_CHECK(tdm_register(self, c->names[c->at], NAME_BYTES) == TDM_OK);
        break;
    case LOOK_UP:
        key = c->names[clerk_random(c) % c->n];
        BENCH_CHECK(tdm_whereis(tdm_self_runtime(self), key, NAME_BYTES).id != 0);
        break;
    case MIXED:
        clerk_mixed(self, c);
    }
}

static int clerk_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    (void)self;
    memcpy(state, start->arg, sizeof(struct clerk));
    return TDM_OK;
}

static int clerk_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct clerk *c = state;
    uint64_t phase = bench_word(msg), end = phase == REGISTER ? c->n : c->ops;

    for (int i = 0; i < AT_ONCE && c->at < end; i++, c->at++)
        clerk_step(self, c, (enum phase)phase);
    if (c->at < end)
        return bench_send(tdm_self_runtime(self), tdm_self_pid(self), GO, phase);
    c->at = 0;
    if (atomic_fetch_sub_explicit(&clerks_left, 1, memory_order_relaxed) == 1)
        bench_done();
    return TDM_OK;
}

static const struct tdm_behaviour clerk = {
    .name = "clerk", .state_bytes = sizeof(struct clerk), .init = clerk_init, .handle = clerk_handle
};

/* The names that the peers use. */
static name *make_names(uint64_t from, uint64_t n)
{
    name *names = calloc(n, sizeof *names);
    char text[64];

    BENCH_CHECK(names != NULL);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t k = from + i;
        snprintf(text, sizeof text, "1732200000.%07llu-%013llx", (unsigned long long)k,
                 (unsigned long long)(k * 0x9E3779B97F4A7C15u >> 12));
        memcpy(names[i], text, NAME_BYTES);
    }
    return names;
}

void bench_w6(void)
{
    static const char *const figures[] = { "w6.register", "w6.lookup", "w6.mixed90" };
    uint64_t n = bench_size("W6_KEYS", 1000000) / 2, ops = bench_size("W6_N", 5000000);
    struct tdm_runtime *rt = bench_runtime(0);
    struct clerk clerks[2];
    tdm_pid pids[2];

    for (int i = 0; i < 2; i++) {
        clerks[i] = (struct clerk){ .names = make_names((uint64_t)i * n, n), .n = n, .ops = ops };
        clerks[i].random = 88172645463325252u + (uint64_t)i;
        pids[i] = bench_spawn(rt, &clerk, &clerks[i], sizeof clerks[i]);
    }
    for (uint64_t phase = REGISTER; phase <= MIXED; phase++) {
        uint64_t begin = bench_now(), all = 2 * (phase == REGISTER ? n : ops);
        atomic_store(&clerks_left, 2);
        for (int i = 0; i < 2; i++)
            BENCH_CHECK(bench_send(rt, pids[i], GO, phase) == TDM_OK);
        bench_wait();
        bench_out(figures[phase], (double)all / bench_seconds_since(begin), "ops/s");
    }
    tdm_runtime_free(rt);
    free(clerks[0].names);
    free(clerks[1].names);
}
