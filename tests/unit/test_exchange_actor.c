/* test_exchange_actor.c - the exchange as an actor, over real sockets, with a small app as its client: it
 * answers every call by requests over the event connection, counts what reaches it, and sends receipts. */
#include "exchange/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <tandem/env.h>
#include <tandem/http.h>
#include <tandem/runtime.h>
#include <tandem/timer.h>
#include <tandem/ws.h>

TestSuite(exchange_actor, .timeout = 60);

#define CALLS_MAX 600

/* What the test told the client, and what came of it. Read by the test when the client has ended. */
struct story {
    struct exchange *ex;
    struct tdm_env *env; /* NULL: the real one */
    const char *target;
    bool no_receipts;
    struct exchange_counters counters;
    uint32_t events, steps, opens, closes;
    int refused; /* HTTP status of a refused upgrade */
    char ladder[8192];
};

struct visit {
    uint32_t last, delivered, lost, out_of_order;
};

struct client {
    struct story *story;
    tdm_conn conn;
    struct visit visits[CALLS_MAX];
};

static int client_connect(tdm_self *self, struct client *c)
{
    struct tdm_ws_cfg cfg = { .host = "127.0.0.1",
                              .port = exchange_port(c->story->ex),
                              .target = c->story->target,
                              .user = "tandem",
                              .password = "tandem",
                              .subprotocol = "ari",
                              .owner = tdm_self_pid(self) };

    return tdm_ws_connect(tdm_self_runtime(self), &cfg, &c->conn);
}

static int client_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct client *c = state;

    memcpy(&c->story, start->arg, sizeof c->story);
    (void)self;
    return TDM_OK;
}

/* The number behind `key` in `text`, 0 when it is not there. */
static uint32_t number(const char *text, const char *key)
{
    const char *at = strstr(text, key);

    return at == NULL ? 0 : (uint32_t)strtoul(at + strlen(key), NULL, 10);
}

static void request(tdm_self *self, struct client *c, const char *method, const char *id, const char *rest)
{
    char text[300];
    int n = snprintf(
        text, sizeof text,
        "{\"type\":\"RESTRequest\",\"request_id\":\"%s\",\"method\":\"%s\",\"uri\":\"channels/%s%s\"}", id,
        method, id, rest);

    tdm_ws_send(tdm_self_runtime(self), c->conn, text, (size_t)n);
}

static void receipt(tdm_self *self, struct client *c, const char *id, struct visit *v)
{
    char text[300];
    int n = snprintf(text, sizeof text,
                     "{\"receipt\":\"%s\",\"delivered\":%u,\"lost\":%u,\"out_of_order\":%u,\"started\":1,"
                     "\"ended\":1,\"restarted\":0}",
                     id, v->delivered, v->lost, v->out_of_order);

    if (!c->story->no_receipts)
        tdm_ws_send(tdm_self_runtime(self), c->conn, text, (size_t)n);
    *v = (struct visit){ .last = 0 };
}

static void on_event(tdm_self *self, struct client *c, const char *text)
{
    const char *at = strstr(text, "\"channel\":{\"id\":\""),
               *target = strstr(text, "\"target_uri\":\"channel:");
    uint32_t seq = number(text, "\"exchange\":{\"seq\":");
    char id[64];

    if (seq == 0)
        return;
    at = at != NULL ? at + 17 : target + 22;
    snprintf(id, sizeof id, "%.*s", (int)strcspn(at, "\""), at);
    struct visit *v = &c->visits[strtoul(strchr(id, '.') + 1, NULL, 10) % CALLS_MAX];
    c->story->events++;
    v->delivered++;
    v->out_of_order += seq <= v->last;
    v->lost += seq > v->last ? seq - v->last - 1 : 0;
    v->last = seq > v->last ? seq : v->last;
    if (strstr(text, "\"type\":\"StasisStart\"") != NULL) {
        request(self, c, "POST", id, "/answer");
        request(self, c, "POST", id, "/play?media=sound:hello-world");
    }
    if (strstr(text, "\"type\":\"PlaybackFinished\"") != NULL)
        request(self, c, "DELETE", id, "");
    if (strstr(text, "\"type\":\"StasisEnd\"") != NULL)
        receipt(self, c, id, v);
}

static void on_step(struct story *s, const struct exchange_step *step)
{
    size_t n = strlen(s->ladder);

    s->steps++;
    snprintf(s->ladder + n, sizeof s->ladder - n, "%s\n", step->text);
}

static int client_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct client *c = state;
    const struct tdm_ws_state *ws = tdm_msg_view(msg);

    switch (msg->type) {
    case TDM_MSG_USER: /* the exchange is there */
        return client_connect(self, c);
    case TDM_MSG_WS_OPEN:
        c->story->opens++;
        break;
    case TDM_MSG_WS_TEXT:
        on_event(self, c, ((const struct tdm_ws_data *)tdm_msg_view(msg))->data);
        break;
    case TDM_MSG_WS_CLOSED:
        c->story->closes++;
        c->story->refused = ws->http_status;
        if (ws->http_status != 0 || c->story->opens == 0)
            return TDM_STOP;
        return client_connect(self, c);
    case EXCHANGE_STEP:
        on_step(c->story, tdm_msg_view(msg));
        break;
    case EXCHANGE_DONE:
        memcpy(&c->story->counters, tdm_msg_view(msg), sizeof c->story->counters);
        return TDM_STOP;
    default:
        break;
    }
    return TDM_OK;
}

static const struct tdm_behaviour client = {
    .name = "client", .state_bytes = sizeof(struct client), .init = client_init, .handle = client_handle
};

/* Run the whole story on a runtime of its own: start, connect, wait for the client's end, stop. */
static void tell(struct story *s, struct exchange_cfg *cfg)
{
    struct tdm_runtime_cfg rt_cfg = { .workers = 2, .env = s->env };
    struct tdm_runtime *rt;
    struct tdm_spawn_cfg spawn = {
        .behaviour = &client, .arg = &s, .arg_bytes = sizeof s, .mailbox_limit = TDM_MAILBOX_MAX
    };
    tdm_pid pid;
    char why[300] = "";

    cr_assert(eq(int, tdm_runtime_new(&rt, &rt_cfg), TDM_OK));
    cr_assert(eq(int, tdm_spawn(rt, &spawn, &pid), TDM_OK));
    cfg->report_to = pid;
    cfg->app = "ivr";
    cr_assert(eq(int, exchange_start(rt, cfg, &s->ex, why, sizeof why), TDM_OK), "%s", why);
    cr_assert(eq(int, tdm_send(rt, pid, tdm_msg_new(rt, TDM_MSG_USER, 0)), TDM_OK));
    cr_assert(eq(int, tdm_runtime_wait(rt, pid, 50000), TDM_OK));
    exchange_stop(s->ex);
    tdm_runtime_stop(rt, 1000);
    tdm_runtime_free(rt);
}

Test(exchange_actor, five_hundred_calls_are_answered_played_to_and_accounted_for)
{
    struct story s = { .target = "/ari/events?app=ivr" };
    struct exchange_cfg cfg = { .calls = 500, .at_once = 100, .settle_ms = 20000 };

    tell(&s, &cfg);
    cr_assert(eq(u64, s.counters.ended, 500));
    cr_assert(eq(u64, s.counters.receipts, 500));
    cr_assert(eq(u64, s.counters.delivered, s.counters.events_sent));
    cr_assert(eq(u64, s.counters.lost, 0));
    cr_assert(eq(u64, s.counters.out_of_order, 0));
    cr_assert(eq(u64, s.counters.events_sent, 500 * 11),
              "start, up, playback twice, five statistics, request, end");
    cr_assert(exchange_good(&s.counters));
}

Test(exchange_actor, a_client_without_receipts_is_told_nothing_is_known)
{
    struct story s = { .target = "/ari/events?app=ivr", .no_receipts = true };
    struct exchange_cfg cfg = { .calls = 3, .settle_ms = 1 };
    char line[1024];

    tell(&s, &cfg);
    exchange_result(line, sizeof line, &s.counters);
    cr_assert(not(eq(ptr, strstr(line, "\"events_delivered\":null,\"lost\":null"), NULL)));
    cr_assert(exchange_good(&s.counters));
}

Test(exchange_actor, a_reset_connection_is_taken_up_again_by_the_client)
{
    struct story s = { .target = "/ari/events?app=ivr" };
    struct exchange_cfg cfg = {
        .calls = 20, .at_once = 1, .call_limit_ms = 200, .settle_ms = 1, .faults.drop_after_events = 30
    };

    tell(&s, &cfg);
    cr_assert(eq(u64, s.counters.ended, 20));
    cr_assert(gt(u64, s.counters.dropped_connections, 0));
    cr_assert(gt(u64, s.opens, 1));
    cr_assert(exchange_good(&s.counters), "what was lost was lost on purpose");
}

Test(exchange_actor, who_has_the_wrong_password_or_no_app_is_refused)
{
    struct story s = { .target = "/ari/events" };
    struct exchange_cfg cfg = { .calls = 0 };

    tell(&s, &cfg);
    cr_assert(eq(int, s.refused, 400));
    s = (struct story){ .target = "/ari/events?app=ivr" };
    cfg.password = "other";
    tell(&s, &cfg);
    cr_assert(eq(int, s.refused, 401));
}

Test(exchange_actor, the_ladder_of_a_call_tells_what_caller_and_app_did)
{
    struct story s = { .target = "/ari/events?app=ivr" };
    struct exchange_cfg cfg = { .calls = 1,
                                .steps = true,
                                .plans = &(struct exchange_plan){ .exten = "42",
                                                                  .script = "wait answer; press 7" },
                                .n_plans = 1 };

    tell(&s, &cfg);
    cr_assert(not(eq(ptr, strstr(s.ladder, "calls\nStasisStart [] (ivr)\n"), NULL)), "%s", s.ladder);
    cr_assert(not(eq(ptr, strstr(s.ladder, "presses 7\nChannelDtmfReceived \"7\" (ivr)\n"), NULL)), "%s",
              s.ladder);
    cr_assert(not(eq(ptr, strstr(s.ladder, "PlaybackStarted \"sound:hello-world\" (ivr)\n"), NULL)), "%s",
              s.ladder);
    cr_assert(not(eq(ptr, strstr(s.ladder, "/answer -> waits its turn\n"), NULL)), "%s", s.ladder);
    cr_assert(not(eq(ptr, strstr(s.ladder, "StasisEnd (ivr)\ngone\n"), NULL)), "%s", s.ladder);
}

Test(exchange_actor, a_port_that_is_taken_is_an_error)
{
    struct tdm_runtime *rt;
    struct exchange *first, *second = NULL;
    struct exchange_cfg cfg = { .port = 0 };
    char why[100];

    cr_assert(eq(int, tdm_runtime_new(&rt, &(struct tdm_runtime_cfg){ .workers = 1 }), TDM_OK));
    cr_assert(eq(int, exchange_start(rt, &cfg, &first, why, sizeof why), TDM_OK));
    cfg.port = exchange_port(first);
    cr_assert(eq(int, exchange_start(rt, &cfg, &second, why, sizeof why), -EADDRINUSE));
    cr_assert(eq(ptr, second, NULL));
    exchange_stop(first);
    tdm_runtime_free(rt);
}

/* ---- in the deterministic environment -------------------------------------------------------- */

struct tale {
    struct story story;
    struct exchange_cfg cfg;
};

static void tell_in_sim(void *arg)
{
    struct tale *t = arg;

    tell(&t->story, &t->cfg);
}

/* The digest of a run whose every choice follows from the seed. */
static uint64_t sim_digest(uint64_t seed, struct tale *t)
{
    struct exchange_plan plan = { .exten = "1", .script = "wait 1..900ms; press 1|2; hangup@any" };
    uint64_t digest;

    *t = (struct tale){ .story.target = "/ari/events?app=ivr",
                        .cfg = { .seed = seed,
                                 .calls = 40,
                                 .at_once = 10,
                                 .real_time = true,
                                 .settle_ms = 60000,
                                 .order = EXCHANGE_EITHER,
                                 .plans = &plan,
                                 .n_plans = 1,
                                 .faults.reorder_every = 3 } };
    cr_assert(eq(int, tdm_env_sim_new(&t->story.env, seed), TDM_OK));
    cr_assert(eq(int, tdm_env_sim_run(t->story.env, tell_in_sim, t), TDM_OK));
    digest = tdm_env_sim_hash(t->story.env);
    tdm_env_sim_free(t->story.env);
    return digest;
}

Test(exchange_actor, equal_seeds_give_equal_runs_in_the_deterministic_environment)
{
    uint64_t before = 0;

    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct tale first, second;
        uint64_t digest = sim_digest(seed, &first);
        cr_assert(ne(u64, digest, before), "another seed, another run");
        before = digest;
        cr_assert(eq(u64, sim_digest(seed, &second), digest), "seed %llu", (unsigned long long)seed);
        cr_assert(eq(u64, first.story.counters.ended, 40), "seed %llu", (unsigned long long)seed);
        cr_assert(eq(u64, first.story.counters.delivered, first.story.counters.events_sent), "seed %llu",
                  (unsigned long long)seed);
        cr_assert(exchange_good(&first.story.counters), "seed %llu", (unsigned long long)seed);
    }
}
