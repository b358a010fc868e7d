/* bench_w9.c - W9: Tandem's side of the ARI load generator; the rules are in its PROTOCOL.md.
 *
 * An ordinary ARI source and an ordinary app in table form, as many calls at once want it. Each call counts
 * its events. A mark is answered, and the count at the end reported, in a text frame on the source's own
 * WebSocket. The address and the password come from the environment (ARI_HOST, ARI_PORT, ...). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ari/ari.h" /* for the connection of a source, which apps have no use for */
#include "tandem/app.h"
#include "tandem/ari.h"
#include "tandem/log.h"
#include "tandem/runtime.h"
#include "tandem/ws.h"

struct tally {
    uint64_t count;
};

static void frame_send(tdm_call *call, const char *text, int bytes)
{
    struct ari *a = tdm_source_self(tdm_call_source_of(call));
    tdm_conn conn = { atomic_load_explicit(&a->conn, memory_order_relaxed) };

    if (tdm_ws_send(a->rt, conn, text, (size_t)bytes) != TDM_OK)
        tdm_log_error("bench.send", "call=%s", tdm_call_id(call));
}

static int bench_start(tdm_call *call, void *state)
{
    ((struct tally *)state)->count = 1;
    if (strcmp(tdm_call_arg(call, 0), "answer") == 0)
        tdm_answer_start(call);
    return TDM_OK;
}

static void mark_answer(tdm_call *call, uint64_t count, const char *mark, const struct timespec *now)
{
    char text[128];
    int n = snprintf(text, sizeof text, "{\"mark\":\"%s\",\"count\":%llu,\"t\":%lld%09ld}", mark,
                     (unsigned long long)count, (long long)now->tv_sec, now->tv_nsec);

    frame_send(call, text, n);
}

static int bench_event(tdm_call *call, void *state, tdm_event *event)
{
    struct tally *tally = state;
    const char *variable;
    struct timespec now;

    if (strcmp(tdm_event_type(event), "StasisEnd") == 0)
        return TDM_OK;
    tally->count++;
    if (strcmp(tdm_event_type(event), "ChannelVarset") != 0)
        return TDM_OK;
    clock_gettime(CLOCK_REALTIME, &now); /* when the handler was entered, but for the two comparisons */
    variable = tdm_event_str(event, "variable");
    if (variable != NULL && strcmp(variable, "BENCH_MARK") == 0)
        mark_answer(call, tally->count, tdm_event_str(event, "value"), &now);
    return TDM_OK;
}

static void bench_end(tdm_call *call, void *state)
{
    char text[256];
    int n = snprintf(text, sizeof text, "{\"done\":\"%s\",\"count\":%llu}", tdm_call_id(call),
                     (unsigned long long)((struct tally *)state)->count);

    frame_send(call, text, n);
}

static const struct tdm_call_behaviour behaviour = {
    .state_bytes = sizeof(struct tally),
    .on_start = bench_start,
    .on_event = bench_event,
    .on_end = bench_end,
};
TDM_APP_BEHAVIOUR(bench, &behaviour, .summary = "counts its events")

static const char *env_or(const char *name, const char *otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? text : otherwise;
}

int main(void)
{
    const char *apps[] = { env_or("ARI_APP", "bench"), NULL };
    struct tdm_ari_cfg cfg = { .name = "bench",
                               .host = env_or("ARI_HOST", "127.0.0.1"),
                               .port = (uint16_t)atoi(env_or("ARI_PORT", "18088")),
                               .user = env_or("ARI_USER", "bench"),
                               .password = env_or("ARI_PASSWORD", "bench"),
                               .apps = apps,
                               .connections = (uint32_t)atoi(env_or("W9_CONNECTIONS", "16")) };
    struct tdm_runtime *rt;
    tdm_pid source;
    sigset_t end;
    int signo;

    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigaddset(&end, SIGINT);
    pthread_sigmask(SIG_BLOCK, &end, NULL); /* before there are threads */
    tdm_log_configure(&(struct tdm_log_cfg){ .level = TDM_LOG_WARN, .fd = 2 });
    if (tdm_app_add(&tdm_app_bench, NULL) != TDM_OK ||
        tdm_runtime_new(&rt, &(struct tdm_runtime_cfg){ 0 }) != TDM_OK ||
        tdm_ari_start(rt, &cfg, &source) != TDM_OK)
        return 1;
    sigwait(&end, &signo);
    return 0; /* the load generator has what it wanted */
}
