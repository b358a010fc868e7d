/* bench_spawn.c - W1, how fast actors come and go, and W2, what an idle one weighs.
 *
 * A spawner makes a few hundred actors, sends itself word to go on, and so lets others have their turn,
 * as any actor with much to do should. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "tandem/fiber.h"
#include "tandem/registry.h"
#include "tandem/supervisor.h"

enum { AT_ONCE = 256 };

static _Atomic uint64_t left; /* counted down by all; relaxed: the last one only rings a bell */

static void count_down(void)
{
    if (atomic_fetch_sub_explicit(&left, 1, memory_order_relaxed) == 1)
        bench_done();
}

/* ---- W1 -------------------------------------------------------------------------------------- */

static int brief_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct words *w = state;

    (void)self;
    memcpy(&w->a, start->arg, sizeof w->a);
    count_down();
    return TDM_STOP;
}

static int brief_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    (void)self, (void)state, (void)msg;
    return TDM_OK;
}

static const struct tdm_behaviour brief = {
    .name = "brief", .state_bytes = sizeof(struct words), .init = brief_init, .handle = brief_handle
};

static int spawner_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct words *w = state;

    memcpy(&w->a, start->arg, sizeof w->a); /* how many are to be made */
    return bench_send(tdm_self_runtime(self), tdm_self_pid(self), GO, 0);
}

static int spawner_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct tdm_runtime *rt = tdm_self_runtime(self);
    struct words *w = state;

    (void)msg;
    for (int i = 0; i < AT_ONCE && w->b < w->a; i++, w->b++)
        bench_spawn(rt, &brief, &w->b, sizeof w->b);
    return w->b == w->a ? TDM_STOP : bench_send(rt, tdm_self_pid(self), GO, 0);
}

static const struct tdm_behaviour spawner = {
    .name = "spawner", .state_bytes = sizeof(struct words), .init = spawner_init, .handle = spawner_handle
};

static void spawn_many(const char *name, uint64_t n, uint64_t spawners)
{
    struct tdm_runtime *rt = bench_runtime(0);
    uint64_t each = n / spawners, begin = bench_now();

    atomic_store(&left, each * spawners);
    for (uint64_t i = 0; i < spawners; i++)
        bench_spawn(rt, &spawner, &each, sizeof each);
    bench_wait();
    bench_drained(rt, 0);
    bench_out(name, (double)(each * spawners) / bench_seconds_since(begin), "actors/s");
    tdm_runtime_free(rt);
}

/* ---- W1 under a supervisor ------------------------------------------------------------------- */

struct child_arg {
    uint64_t number;
    bool named;
};

static int child_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct child_arg arg;
    char name[64];
    int n;

    (void)state;
    memcpy(&arg, start->arg, sizeof arg);
    if (!arg.named)
        return TDM_OK;
    n = snprintf(name, sizeof name, "1732200000.%021llu", (unsigned long long)arg.number);
    return tdm_register(self, name, (size_t)n);
}

static int child_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    (void)self, (void)state;
    return msg->type == FINISH ? TDM_STOP : TDM_OK;
}

static const struct tdm_behaviour child = {
    .name = "child", .state_bytes = sizeof(struct words), .init = child_init, .handle = child_handle
};

struct nursery {
    tdm_pid sup;
    uint64_t next, n;
    bool named;
};

static int nursery_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    memcpy(state, start->arg, sizeof(struct nursery));
    return bench_send(tdm_self_runtime(self), tdm_self_pid(self), GO, 0);
}

static int nursery_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct tdm_runtime *rt = tdm_self_runtime(self);
    struct nursery *s = state;
    struct child_arg arg = { .named = s->named };
    tdm_place place;

    (void)msg;
    for (int i = 0; i < AT_ONCE && s->next < s->n; i++, s->next++) {
        arg.number = s->next;
        BENCH_CHECK(tdm_sup_start_dynamic(rt, s->sup, &arg, sizeof arg, NULL, &place) == TDM_OK);
        struct tdm_msg *finish = tdm_msg_new(rt, FINISH, sizeof(uint64_t));
        BENCH_CHECK(finish != NULL && tdm_send_place(rt, place, finish) == TDM_OK);
    }
    if (s->next < s->n)
        return bench_send(rt, tdm_self_pid(self), GO, 0);
    bench_done();
    return TDM_STOP;
}

static const struct tdm_behaviour nursery = {
    .name = "nursery", .state_bytes = sizeof(struct nursery), .init = nursery_init, .handle = nursery_handle
};

static void spawn_supervised(const char *name, uint64_t n, bool named)
{
    static const struct tdm_child_spec template = { .id = "child",
                                                    .start = { .behaviour = &child },
                                                    .restart = TDM_TEMPORARY };
    struct tdm_runtime *rt = bench_runtime(0);
    struct nursery s = { .n = n, .named = named };
    uint64_t begin;

    BENCH_CHECK(tdm_sup_start(rt,
                              &(struct tdm_sup_cfg){ .strategy = TDM_DYNAMIC,
                                                     .intensity = TDM_INTENSITY_DEFAULT,
                                                     .children = &template,
                                                     .n_children = 1 },
                              &s.sup) == TDM_OK);
    begin = bench_now();
    bench_spawn(rt, &nursery, &s, sizeof s);
    bench_wait();
    bench_drained(rt, 1); /* the supervisor stays */
    bench_out(name, (double)n / bench_seconds_since(begin), "actors/s");
    tdm_runtime_free(rt);
}

void bench_w1(void)
{
    uint64_t n = bench_size("W1_N", 1000000), supervised = bench_size("W1_SUP_N", 200000);

    spawn_many("w1.spawn", n, 1);
    spawn_many("w1.spawn_2spawners", n, 2);
    spawn_supervised("w1.spawn_supervised", supervised, false);
    spawn_supervised("w1.spawn_supervised_registered", supervised, true);
}

/* ---- W2 -------------------------------------------------------------------------------------- */

static int idle_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct words *w = state;

    (void)self;
    w->a += bench_word(msg);
    count_down();
    return TDM_OK;
}

static const struct tdm_behaviour idle = { .name = "idle",
                                           .state_bytes = sizeof(struct words),
                                           .handle = idle_handle };

static int idle_run(tdm_self *self, void *state)
{
    struct words *w = state;
    struct tdm_msg *msg;

    while (tdm_receive(self, TDM_FOREVER, &msg) == TDM_OK) {
        w->a += bench_word(msg);
        count_down();
    }
    return TDM_OK;
}

static const struct tdm_behaviour idle_fiber = { .name = "idle_fiber",
                                                 .state_bytes = sizeof(struct words),
                                                 .run = idle_run };

/* Makes n idle actors, then sends each its message. */
struct crowd {
    const struct tdm_behaviour *kind;
    tdm_pid *pids;
    uint64_t made, told, n;
};

static int crowd_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    memcpy(state, start->arg, sizeof(struct crowd));
    return bench_send(tdm_self_runtime(self), tdm_self_pid(self), GO, 0);
}

static int crowd_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct tdm_runtime *rt = tdm_self_runtime(self);
    struct crowd *c = state;
    int i = 0;

    (void)msg;
    for (; i < AT_ONCE && c->made < c->n; i++)
        c->pids[c->made++] = bench_spawn(rt, c->kind, NULL, 0);
    for (; i < AT_ONCE && c->told < c->n; i++)
        BENCH_CHECK(bench_send(rt, c->pids[c->told++], GO, 1) == TDM_OK);
    return c->told == c->n ? TDM_STOP : bench_send(rt, tdm_self_pid(self), GO, 0);
}

static const struct tdm_behaviour crowd = {
    .name = "crowd", .state_bytes = sizeof(struct crowd), .init = crowd_init, .handle = crowd_handle
};

void bench_w2(void)
{
    const char *kind = getenv("W2_KIND");
    struct crowd c = { .n = bench_size("W2_N", 100000), .kind = &idle };
    struct tdm_runtime *rt = bench_runtime(0);
    uint64_t before, begin;
    double seconds;
    char name[64];

    if (kind == NULL)
        kind = "plain";
    if (strcmp(kind, "fiber") == 0)
        c.kind = &idle_fiber;
    c.pids = calloc(c.n, sizeof *c.pids);
    BENCH_CHECK(c.pids != NULL);
    memset(c.pids, 1, c.n * sizeof *c.pids); /* ours, not the actors': touched before we look */
    before = bench_resident();
    begin = bench_now();
    atomic_store(&left, c.n);
    bench_spawn(rt, &crowd, &c, sizeof c);
    bench_wait();
    seconds = bench_seconds_since(begin);
    usleep(300000);
    snprintf(name, sizeof name, "w2.%s.%llu", kind, (unsigned long long)c.n);
    bench_out(name, (double)(bench_resident() - before) / (double)c.n, "bytes/actor");
    strcat(name, ".setup");
    bench_out(name, (double)c.n / seconds, "actors/s");
    _exit(0); /* one figure, one process: ending a million actors is not part of it */
}
