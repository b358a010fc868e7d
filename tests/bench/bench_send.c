/* bench_send.c - W3 ping-pong, W4 fan-in, W5 ring: what a message costs.
 *
 * Every hop makes a message of its own; none is passed on. Mailboxes are bounded. In W4 a sender that is
 * refused keeps what it has left to say and tries again a moment later, by a timer: it does not wait for a
 * reply, it loses nothing, and it does not burn the time that the receiver needs. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "tandem/timer.h"

/* ---- W3 -------------------------------------------------------------------------------------- */

static _Atomic uint64_t pairs_left;

/* The runtime of each side is told apart for the pair that lives in two of them. */
struct side {
    struct tdm_runtime *rt; /* of the other side */
    tdm_pid other;
    uint64_t rounds; /* left to serve; 0 for the side that answers */
};

static int side_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    (void)self;
    memcpy(state, start->arg, sizeof(struct side));
    return TDM_OK;
}

/* The answering side learns where to from the message: its word is the other's pid. */
static int pong_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct side *s = state;

    (void)self;
    if (msg->type == FINISH)
        return TDM_STOP;
    return bench_send(s->rt, (tdm_pid){ bench_word(msg) }, TOKEN, 0);
}

static int ping_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct side *s = state;

    (void)msg;
    if (s->rounds-- > 0)
        return bench_send(s->rt, s->other, TOKEN, tdm_self_pid(self).id);
    bench_send(s->rt, s->other, FINISH, 0);
    if (atomic_fetch_sub_explicit(&pairs_left, 1, memory_order_relaxed) == 1)
        bench_done();
    return TDM_STOP;
}

static const struct tdm_behaviour pong = {
    .name = "pong", .state_bytes = sizeof(struct side), .init = side_init, .handle = pong_handle
};
static const struct tdm_behaviour ping = {
    .name = "ping", .state_bytes = sizeof(struct side), .init = side_init, .handle = ping_handle
};

static void run_pairs(const char *name, struct tdm_runtime *here, struct tdm_runtime *there, uint64_t pairs,
                      uint64_t rounds)
{
    uint64_t begin = bench_now();

    atomic_store(&pairs_left, pairs);
    for (uint64_t i = 0; i < pairs; i++) {
        struct side answer = { .rt = here };
        struct side ask = { .rt = there, .rounds = rounds };
        ask.other = bench_spawn(there, &pong, &answer, sizeof answer);
        BENCH_CHECK(bench_send(here, bench_spawn(here, &ping, &ask, sizeof ask), GO, 0) == TDM_OK);
    }
    bench_wait();
    bench_out(name, 2.0 * (double)(pairs * rounds) / bench_seconds_since(begin), "msgs/s");
    tdm_runtime_free(here);
    if (there != here)
        tdm_runtime_free(there);
}

void bench_w3(void)
{
    uint64_t n = bench_size("W3_N", 5000000);
    struct tdm_runtime *rt;

    rt = bench_runtime_on(0);
    run_pairs("w3.same_core", rt, rt, 1, n);
    /* Across cores for certain: two runtimes, each on a core of its own. */
    rt = bench_runtime_on(0);
    run_pairs("w3.cross_core", rt, bench_runtime_on(1), 1, n / 5);
    rt = bench_runtime(0);
    run_pairs("w3.free", rt, rt, 1, n);
    rt = bench_runtime(0);
    run_pairs("w3.pairs1000", rt, rt, 1000, n / 1000);
}

/* ---- W4 -------------------------------------------------------------------------------------- */

enum { MAILBOX = 4096, RETRY_NS = 50000 };

static int sink_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    (void)self;
    memcpy(&((struct words *)state)->b, start->arg, sizeof(uint64_t)); /* how many will come */
    return TDM_OK;
}

static int sink_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct words *w = state;

    (void)self;
    w->a += bench_word(msg);
    if (w->a < w->b)
        return TDM_OK;
    bench_done();
    return TDM_STOP;
}

static const struct tdm_behaviour sink = {
    .name = "sink", .state_bytes = sizeof(struct words), .init = sink_init, .handle = sink_handle
};

struct sender {
    tdm_pid to;
    uint64_t left;
};

static int sender_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    memcpy(state, start->arg, sizeof(struct sender));
    return bench_send(tdm_self_runtime(self), tdm_self_pid(self), GO, 0);
}

static int sender_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct tdm_runtime *rt = tdm_self_runtime(self);
    struct sender *s = state;

    (void)msg;
    for (int i = 0; i < MAILBOX && s->left > 0; i++, s->left--) {
        int err = bench_send(rt, s->to, TOKEN, 1);
        if (err == TDM_EFULL)
            return tdm_timer_start(self, RETRY_NS) != 0 ? TDM_OK : TDM_ENOMEM;
        BENCH_CHECK(err == TDM_OK);
    }
    return s->left == 0 ? TDM_STOP : bench_send(rt, tdm_self_pid(self), GO, 0);
}

static const struct tdm_behaviour sender = {
    .name = "sender", .state_bytes = sizeof(struct sender), .init = sender_init, .handle = sender_handle
};

static void fan_in(uint64_t senders, uint64_t n)
{
    struct tdm_runtime *rt = bench_runtime(0);
    uint64_t each = n / senders, all = each * senders, begin = bench_now();
    struct sender s = { .left = each };
    char name[64];

    BENCH_CHECK(
        tdm_spawn(rt,
                  &(struct tdm_spawn_cfg){
                      .behaviour = &sink, .arg = &all, .arg_bytes = sizeof all, .mailbox_limit = MAILBOX },
                  &s.to) == TDM_OK);
    for (uint64_t i = 0; i < senders; i++)
        bench_spawn(rt, &sender, &s, sizeof s);
    bench_wait();
    snprintf(name, sizeof name, "w4.fanin%llu", (unsigned long long)senders);
    bench_out(name, (double)all / bench_seconds_since(begin), "msgs/s");
    tdm_runtime_free(rt);
}

void bench_w4(void)
{
    uint64_t n = bench_size("W4_N", 10000000);

    fan_in(64, n);
    fan_in(2, n);
    fan_in(1, n);
}

/* ---- W5 -------------------------------------------------------------------------------------- */

static int node_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    (void)self;
    memcpy(&((struct words *)state)->a, start->arg, sizeof(uint64_t)); /* the next one's pid */
    return TDM_OK;
}

static int node_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct words *w = state;

    if (msg->type == GO) { /* closes the ring */
        w->a = bench_word(msg);
        return TDM_OK;
    }
    if (bench_word(msg) > 0)
        return bench_send(tdm_self_runtime(self), (tdm_pid){ w->a }, TOKEN, bench_word(msg) - 1);
    bench_done();
    return TDM_OK;
}

static const struct tdm_behaviour node = {
    .name = "node", .state_bytes = sizeof(struct words), .init = node_init, .handle = node_handle
};

void bench_w5(void)
{
    uint64_t hops = bench_size("W5_N", 10000000), begin = bench_now();
    struct tdm_runtime *rt = bench_runtime(0);
    tdm_pid first, next;

    first = next = bench_spawn(rt, &node, &(uint64_t){ 0 }, sizeof(uint64_t));
    for (int i = 1; i < 1000; i++)
        next = bench_spawn(rt, &node, &next.id, sizeof next.id);
    BENCH_CHECK(bench_send(rt, first, GO, next.id) == TDM_OK);
    BENCH_CHECK(bench_send(rt, first, TOKEN, hops) == TDM_OK);
    bench_wait();
    bench_out("w5.ring", (double)hops / bench_seconds_since(begin), "hops/s");
    tdm_runtime_free(rt);
}
