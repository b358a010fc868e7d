/* bench_restart.c - W7: ten thousand children of one supervisor; how fast does a crashed one come back?
 *
 * A driver makes them end and is told by the init of each new incarnation. First one at a time: the time
 * from the message that crashes the child to the new init, for an error return and for a caught write to
 * address zero. Then 64 under way at once: restarts per second. The supervisor counts every restart
 * against its limit, which is out of reach. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "tandem/supervisor.h"

enum { UNDER_WAY = 64 };
enum stage { STARTING, CRASHES, FAULTS, RATE };

struct child_arg {
    uint64_t number;
    tdm_pid driver;
};

struct up {
    uint64_t number;
    tdm_pid pid;
    uint64_t at;
};

struct driver {
    tdm_pid sup;
    tdm_pid *pids;
    uint64_t *ns; /* of the latencies */
    uint64_t children, latencies, restarts;
    enum stage stage;
    uint64_t sent, seen; /* in this stage */
    uint64_t turn;
    uint64_t begin; /* of the stage, or of the crash under way */
};

static int child_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct tdm_runtime *rt = tdm_self_runtime(self);
    struct child_arg *arg = state;
    struct tdm_msg *msg;
    struct up up = { .pid = tdm_self_pid(self), .at = bench_now() };

    memcpy(arg, start->arg, sizeof *arg);
    up.number = arg->number;
    msg = tdm_msg_copy(rt, UP, &up, sizeof up);
    BENCH_CHECK(msg != NULL && tdm_send(rt, arg->driver, msg) == TDM_OK);
    return TDM_OK;
}

static int child_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    volatile int *nowhere = NULL;

    (void)self, (void)state;
    if (msg->type == FAULT)
        *nowhere = 1;
    return TDM_EINVAL;
}

static const struct tdm_behaviour child = {
    .name = "child", .state_bytes = sizeof(struct child_arg), .init = child_init, .handle = child_handle
};

/* The next child in turn; one that is still coming back (its worker may have lost the core for a while) is
 * passed over, as a second message would find nobody. */
static void driver_crash_next(struct tdm_runtime *rt, struct driver *d)
{
    uint64_t number;

    do
        number = d->turn++ * 7919 % d->children;
    while (d->pids[number].id == 0);
    tdm_pid pid = d->pids[number];
    d->pids[number].id = 0; /* until it is up again */
    d->sent++;
    if (d->stage != RATE)
        d->begin = bench_now();
    BENCH_CHECK(bench_send(rt, pid, d->stage == FAULTS ? FAULT : CRASH, 0) == TDM_OK);
}

/* All of a stage have come back: print it and begin the next one. */
static int driver_next_stage(struct tdm_runtime *rt, struct driver *d)
{
    double seconds = bench_seconds_since(d->begin);
    uint64_t at_once = 1;

    switch (d->stage) {
    case STARTING:
        bench_out("w7.start_child", (double)d->children / seconds, "children/s");
        break;
    case CRASHES:
        bench_latency("w7.crash_to_up", d->ns, d->seen);
        break;
    case FAULTS:
        bench_latency("w7.fault_to_up", d->ns, d->seen);
        at_once = UNDER_WAY;
        break;
    case RATE:
        bench_out("w7.restarts", (double)d->seen / seconds, "restarts/s");
        bench_done();
        return TDM_STOP;
    }
    d->stage++;
    d->sent = d->seen = 0;
    d->begin = bench_now();
    for (uint64_t i = 0; i < at_once; i++)
        driver_crash_next(rt, d);
    return TDM_OK;
}

static int driver_up(struct tdm_runtime *rt, struct driver *d, const struct up *up)
{
    uint64_t stage_length[] = { d->children, d->latencies, d->latencies, d->restarts };

    d->pids[up->number] = up->pid;
    if (d->stage == CRASHES || d->stage == FAULTS)
        d->ns[d->seen] = up->at - d->begin;
    if (++d->seen == stage_length[d->stage])
        return driver_next_stage(rt, d);
    if (d->stage != STARTING && d->sent < stage_length[d->stage])
        driver_crash_next(rt, d);
    return TDM_OK;
}

static int driver_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    memcpy(state, start->arg, sizeof(struct driver));
    return bench_send(tdm_self_runtime(self), tdm_self_pid(self), GO, 0);
}

static int driver_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct tdm_runtime *rt = tdm_self_runtime(self);
    struct driver *d = state;
    struct child_arg arg = { .driver = tdm_self_pid(self) };
    tdm_place place;

    if (msg->type == UP)
        return driver_up(rt, d, tdm_msg_view(msg));
    d->begin = bench_now();
    for (arg.number = 0; arg.number < d->children; arg.number++)
        BENCH_CHECK(tdm_sup_start_dynamic(rt, d->sup, &arg, sizeof arg, NULL, &place) == TDM_OK);
    return TDM_OK;
}

static const struct tdm_behaviour driver = {
    .name = "driver", .state_bytes = sizeof(struct driver), .init = driver_init, .handle = driver_handle
};

void bench_w7(void)
{
    static const struct tdm_child_spec template = { .id = "child",
                                                    .start = { .behaviour = &child },
                                                    .restart = TDM_PERMANENT };
    struct driver d = { .children = bench_size("W7_CHILDREN", 10000),
                        .latencies = 5000,
                        .restarts = bench_size("W7_N", 200000) };
    struct tdm_runtime *rt = bench_runtime(0);
    tdm_pid pid;

    d.pids = calloc(d.children, sizeof *d.pids);
    d.ns = calloc(d.latencies, sizeof *d.ns);
    BENCH_CHECK(d.pids != NULL && d.ns != NULL);
    BENCH_CHECK(tdm_sup_start(rt,
                              &(struct tdm_sup_cfg){ .strategy = TDM_DYNAMIC,
                                                     .intensity = 100000,
                                                     .period_ms = 10,
                                                     .children = &template,
                                                     .n_children = 1 },
                              &d.sup) == TDM_OK);
    BENCH_CHECK(tdm_spawn(rt,
                          &(struct tdm_spawn_cfg){ .behaviour = &driver,
                                                   .arg = &d,
                                                   .arg_bytes = sizeof d,
                                                   .mailbox_limit = TDM_MAILBOX_MAX },
                          &pid) == TDM_OK);
    bench_wait();
    tdm_runtime_free(rt);
    free(d.pids);
    free(d.ns);
}
