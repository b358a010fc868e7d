/* test_call_threads.c - calls on real threads: nothing is lost or reordered between the reader and the
 * actors, with crashes in the middle. The thread sanitizer watches. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tandem/env.h"
#include "tandem/runtime.h"
#include "tandem/source.h"

#define CALLS  400
#define EVENTS 20

static struct seen {
    _Atomic int next;   /* number of the event that is to come; -1: something was out of order */
    _Atomic int starts; /* incarnations */
} seen[CALLS];
static _Atomic int exits;
static struct tdm_parker done;

static int number(const tdm_call *call)
{
    return atoi(tdm_call_id(call));
}

/* Every tenth call crashes once, in the middle. */
static bool take(tdm_call *call, tdm_event *event)
{
    struct seen *s = &seen[number(call)];
    int n = (int)tdm_event_int(event, "n", -1);

    if (n < 0)
        return false; /* the end */
    atomic_store(&s->next, atomic_load(&s->next) == n ? n + 1 : -1);
    return n == EVENTS / 2 && number(call) % 10 == 0;
}

static void crash(tdm_call *call)
{
    struct tdm_reason reason = { .kind = TDM_EXIT_ERROR, .code = TDM_EPROTO };

    tdm_exit(tdm_call_self(call), &reason);
}

static void function(tdm_call *call)
{
    tdm_event *event;

    atomic_fetch_add(&seen[number(call)].starts, 1);
    while (tdm_next_event(call, TDM_FOREVER, &event) == TDM_OK) {
        if (take(call, event))
            crash(call);
    }
}

static int table_start(tdm_call *call, void *state)
{
    (void)state;
    atomic_fetch_add(&seen[number(call)].starts, 1);
    return tdm_call_own(call, "playback", tdm_call_id(call));
}

static int table_event(tdm_call *call, void *state, tdm_event *event)
{
    (void)state;
    return take(call, event) ? TDM_EPROTO : TDM_OK;
}

static const struct tdm_call_behaviour table = { .on_start = table_start, .on_event = table_event };
static const struct tdm_app apps[] = {
    { .abi = TDM_APP_ABI, .name = "function", .run = function },
    { .abi = TDM_APP_ABI, .name = "table", .behaviour = &table },
};

static void watch(void *ctx, const char *what, const char *app, const char *id, tdm_event *event)
{
    (void)app;
    (void)id;
    (void)event;
    if (strcmp(what, "exit") == 0 && atomic_fetch_add(&exits, 1) + 1 == CALLS)
        tdm_env_real()->unpark(ctx, &done);
}

static const struct tdm_source_ops nothing = { .kind = "none" };

static void send_all(struct tdm_source *src, const char *app, int n)
{
    char id[16], json[32];

    for (int c = 0; c < CALLS; c++) {
        size_t id_bytes = (size_t)snprintf(id, sizeof id, "%d", c);
        size_t bytes = (size_t)snprintf(json, sizeof json, "{\"n\":%d}", n);
        int err;

        if (n < 0)
            err = tdm_source_call_start(src, app, strlen(app), id, id_bytes, "{}", 2, false);
        else if (n == EVENTS)
            err = tdm_source_call_end(src, app, strlen(app), id, id_bytes, "{}", 2);
        else
            err = tdm_source_event(src, app, strlen(app), "channel", id, id_bytes, json, bytes);
        cr_assert(eq(int, err, TDM_OK), "call %d event %d", c, n);
    }
}

/* Give the calls that crash the time for it: after an end they are not started again. */
static void wait_for_restarts(void)
{
    struct tdm_parker parker = { 0 };

    for (int c = 0; c < CALLS; c += 10) {
        while (atomic_load(&seen[c].starts) < 2)
            tdm_env_real()->park(tdm_env_real(), &parker, tdm_env_real()->now_ns(tdm_env_real()) + 1000000);
    }
}

static void calls_on_threads(const char *app)
{
    struct tdm_runtime *rt;
    struct tdm_source *src;
    struct tdm_child_spec calls;
    struct tdm_sup_cfg top = { .name = "top", .intensity = 1, .children = &calls, .n_children = 1 };
    tdm_pid sup;

    for (size_t i = 0; i < sizeof apps / sizeof apps[0]; i++)
        cr_assert(eq(int, tdm_app_add(&apps[i], NULL), TDM_OK));
    tdm_observe_calls(watch, tdm_env_real());
    cr_assert(eq(int, tdm_runtime_new(&rt, &(struct tdm_runtime_cfg){ .workers = 4 }), TDM_OK));
    cr_assert(eq(
        int,
        tdm_source_new(rt, &(struct tdm_source_cfg){ .name = "s", .ops = &nothing, .observe = true }, &src),
        TDM_OK));
    cr_assert(eq(int, tdm_source_child_spec(src, &calls), TDM_OK));
    cr_assert(eq(int, tdm_sup_start(rt, &top, &sup), TDM_OK));
    for (int n = -1; n < EVENTS; n++)
        send_all(src, app, n);
    wait_for_restarts();
    send_all(src, app, EVENTS);
    while (atomic_load(&exits) < CALLS)
        tdm_env_real()->park(tdm_env_real(), &done, TDM_FOREVER);
    tdm_runtime_free(rt);
    cr_assert(eq(sz, tdm_source_calls(src), (size_t)0));
    tdm_source_free(src);
    tdm_observe_calls(NULL, NULL);
    for (int c = 0; c < CALLS; c++) {
        cr_assert(eq(int, seen[c].next, EVENTS), "call %d saw each event once and in order", c);
        cr_assert(eq(int, seen[c].starts, c % 10 == 0 ? 2 : 1), "call %d", c);
    }
}

Test(call_threads, function_apps_see_each_event_once_and_in_order_over_crashes, .timeout = 120)
{
    calls_on_threads("function");
}

Test(call_threads, table_apps_see_each_event_once_and_in_order_over_crashes, .timeout = 120)
{
    calls_on_threads("table");
}
