/* bench_restart.c - W7: ten thousand children of one supervisor; how fast does a crashed one come back? Once with a
 * dynamic supervisor, once with a static one, one_for_one.
 *
 * A driver makes them end and is told by the init of each new incarnation. First one at a time: the time
 * from the message that crashes the child to the new init, for an error return and for a caught write to
 * address zero. Then 64 under way at once: restarts per second. The supervisor counts every restart
 * against its limit, which is out of reach. */
#include <stdio.h>
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
    const char *name; /* of the figures */
    tdm_pid sup;      /* whose children it starts; {0}: others do */
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

static void driver_out(const struct driver *d, const char *what, double value, const char *unit)
{
    char name[64];

    snprintf(name, sizeof name, "%s.%s", d->name, what);
    bench_out(name, value, unit);
}

static void driver_latency(const struct driver *d, const char *what)
{
    char name[64];

    snprintf(name, sizeof name, "%s.%s", d->name, what);
    bench_latency(name, d->ns, d->seen);
}

/* All of a stage have come back: print it and begin the next one. */
static int driver_next_stage(struct tdm_runtime *rt, struct driver *d)
{
    double seconds = bench_seconds_since(d->begin);
    uint64_t at_once = 1;

    switch (d->stage) {
    case STARTING:
        driver_out(d, "start_child", (double)d->children / seconds, "children/s");
        break;
    case CRASHES:
        driver_latency(d, "crash_to_up");
        break;
    case FAULTS:
        driver_latency(d, "fault_to_up");
        at_once = UNDER_WAY;
        break;
    case RATE:
        driver_out(d, "restarts", (double)d->seen / seconds, "restarts/s");
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
    for (arg.number = 0; arg.number < d->children && d->sup.id != 0; arg.number++)
        BENCH_CHECK(tdm_sup_start_dynamic(rt, d->sup, &arg, sizeof arg, NULL, &place) == TDM_OK);
    return TDM_OK;
}

static const struct tdm_behaviour driver = {
    .name = "driver", .state_bytes = sizeof(struct driver), .init = driver_init, .handle = driver_handle
};

static struct driver driver_new(const char *name)
{
    struct driver d = { .name = name,
                        .children = bench_size("W7_CHILDREN", 10000),
                        .latencies = 5000,
                        .restarts = bench_size("W7_N", 200000) };

    d.pids = calloc(d.children, sizeof *d.pids);
    d.ns = calloc(d.latencies, sizeof *d.ns);
    BENCH_CHECK(d.pids != NULL && d.ns != NULL);
    return d;
}

static tdm_pid driver_start(struct tdm_runtime *rt, const struct driver *d)
{
    tdm_pid pid;

    BENCH_CHECK(tdm_spawn(rt,
                          &(struct tdm_spawn_cfg){ .behaviour = &driver,
                                                   .arg = d,
                                                   .arg_bytes = sizeof *d,
                                                   .mailbox_limit = TDM_MAILBOX_MAX },
                          &pid) == TDM_OK);
    return pid;
}

static void driver_wait(struct tdm_runtime *rt, struct driver *d)
{
    bench_wait();
    tdm_runtime_free(rt);
    free(d->pids);
    free(d->ns);
}

static tdm_pid start_sup(struct tdm_runtime *rt, enum tdm_strategy strategy,
                         const struct tdm_child_spec *specs, size_t n)
{
    struct tdm_sup_cfg cfg = {
        .strategy = strategy, .intensity = 100000, .period_ms = 10, .children = specs, .n_children = n
    };
    tdm_pid pid;

    BENCH_CHECK(tdm_sup_start(rt, &cfg, &pid) == TDM_OK);
    return pid;
}

static void dynamic_children(void)
{
    static const struct tdm_child_spec template = { .id = "child",
                                                    .start = { .behaviour = &child },
                                                    .restart = TDM_PERMANENT };
    struct driver d = driver_new("w7");
    struct tdm_runtime *rt = bench_runtime(0);

    d.sup = start_sup(rt, TDM_DYNAMIC, &template, 1);
    driver_start(rt, &d);
    driver_wait(rt, &d);
}

static void static_children(void)
{
    struct driver d = driver_new("w7.static");
    struct tdm_runtime *rt = bench_runtime(0);
    struct tdm_child_spec *specs = calloc(d.children, sizeof *specs);
    struct child_arg *args = calloc(d.children, sizeof *args);
    char(*ids)[24] = calloc(d.children, sizeof *ids);
    tdm_pid pid = driver_start(rt, &d);

    BENCH_CHECK(specs != NULL && args != NULL && ids != NULL);
    for (uint64_t i = 0; i < d.children; i++) {
        snprintf(ids[i], sizeof ids[i], "%llu", (unsigned long long)i);
        args[i] = (struct child_arg){ .number = i, .driver = pid };
        specs[i] = (struct tdm_child_spec){
            .id = ids[i],
            .start = { .behaviour = &child, .arg = &args[i], .arg_bytes = sizeof args[i] },
            .restart = TDM_PERMANENT
        };
    }
    start_sup(rt, TDM_ONE_FOR_ONE, specs, d.children);
    driver_wait(rt, &d);
    free(specs);
    free(args);
    free(ids);
}

void bench_w7(void)
{
    dynamic_children();
    static_children();
}
