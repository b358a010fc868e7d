/* exchange.c - the actor around the model: sockets and time come in as messages, and go out by calls.
 *
 * Idea:      one behaviour owns the model. After each message it does what is due and sets one timer for
 *            what comes next, so an exchange in which nothing happens costs nothing.
 * Invariant: `armed_ns` is the time of the one timer that is set, and never later than the model's next
 *            deadline. A connection is in the model from its acceptance until WS_CLOSED or a reset.
 * Touched by the worker that runs the actor, but for the fields that stand first: those are the handle's,
 * written by exchange_start() and read by whoever holds it. */
#include "exchange.h"

#include <stdio.h>
#include <string.h>

#include <tandem/env.h>
#include <tandem/http.h>
#include <tandem/log.h>
#include <tandem/runtime.h>
#include <tandem/timer.h>
#include <tandem/ws.h>

#include "model.h"

#define DOOMED_MAX 16

struct exchange {
    struct tdm_http_server *server; /* made after the actor, which has no use for these two */
    tdm_pid pid;
    /* fixed before the actor starts */
    struct tdm_runtime *rt;
    struct tdm_env *env;
    struct ex_model *model;
    tdm_pid report_to;
    uint32_t slow_accept_ms, write_timeout_ms;
    /* the actor's */
    tdm_self *self;
    tdm_ref timer;
    uint64_t armed_ns;
    uint64_t doomed[DOOMED_MAX]; /* connections whose reader is too slow, to be reset */
    uint32_t n_doomed;
    struct granted *opening;
    bool done;
    char last_call[64];
};

enum { PLACE = TDM_MSG_USER + 7000, PRESS, HANG_UP, FINISH, ACCEPT };

/* Payload of PLACE, PRESS and HANG_UP; "" is absent. */
struct order {
    char exten[64], caller[32], app[80], args[256], channel[160];
    char script[512]; /* or digits */
    bool scripted;
};

/* An upgrade that was granted: the payload of ACCEPT, and kept until WS_OPEN says that it is done. */
struct granted {
    struct granted *next;
    tdm_conn conn;
    bool subprotocol;
    char authorization[256];
    char query[1024];
};

/* ---- what the model says --------------------------------------------------------------------- */

static void doom(struct exchange *ex, uint64_t conn)
{
    for (uint32_t i = 0; i < ex->n_doomed; i++)
        if (ex->doomed[i] == conn)
            return;
    if (ex->n_doomed < DOOMED_MAX)
        ex->doomed[ex->n_doomed++] = conn;
}

static void on_send(void *ctx, uint64_t conn, const char *text, size_t bytes)
{
    struct exchange *ex = ctx;

    if (tdm_ws_send(ex->rt, (tdm_conn){ conn }, text, bytes) == TDM_EFULL)
        doom(ex, conn); /* of other ends WS_CLOSED tells */
}

static void on_send_raw(void *ctx, uint64_t conn, const void *bytes, size_t n)
{
    struct exchange *ex = ctx;

    tdm_ws_send_raw(ex->rt, (tdm_conn){ conn }, bytes, n);
}

static void on_respond(void *ctx, uint64_t conn, int status, const char *headers, const char *type,
                       const char *body, size_t bytes)
{
    struct exchange *ex = ctx;

    tdm_http_respond(ex->rt, (tdm_conn){ conn }, status, headers, type, body, bytes);
}

static void on_reset(void *ctx, uint64_t conn)
{
    struct exchange *ex = ctx;

    tdm_ws_abort(ex->rt, (tdm_conn){ conn });
}

static void on_pause(void *ctx, uint64_t conn, bool pause)
{
    struct exchange *ex = ctx;

    tdm_ws_pause(ex->rt, (tdm_conn){ conn }, pause);
}

static void on_problem(void *ctx, const char *text)
{
    (void)ctx;
    tdm_log_error("exchange.broken", "what=\"%s\"", text);
}

static void report(struct exchange *ex, uint32_t type, const void *data, size_t bytes)
{
    struct tdm_msg *msg = ex->report_to.id == 0 ? NULL : tdm_msg_copy(ex->rt, type, data, bytes);

    if (msg != NULL && tdm_send(ex->rt, ex->report_to, msg) < 0)
        tdm_msg_free(ex->rt, msg);
}

static void on_step(void *ctx, const char *channel, enum ex_step_kind kind, const char *text)
{
    struct exchange *ex = ctx;
    struct exchange_step step = { .at_ns = tdm_now_ns(ex->self), .kind = (enum exchange_step_kind)kind };

    snprintf(step.channel, sizeof step.channel, "%s", channel);
    snprintf(step.text, sizeof step.text, "%s", text);
    report(ex, EXCHANGE_STEP, &step, sizeof step);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void clock_tell(struct exchange *ex)
{
    ex_model_clock(ex->model, tdm_now_ns(ex->self), ex->env->wall_ns(ex->env));
}

/* Have a timer for the model's next deadline. One that fires too early is let be. */
static void timer_arm(struct exchange *ex)
{
    uint64_t next = ex_model_next(ex->model), now = tdm_now_ns(ex->self);

    if (next == TDM_FOREVER || (ex->timer != 0 && ex->armed_ns <= next))
        return;
    if (ex->timer != 0)
        tdm_timer_cancel(ex->self, ex->timer);
    ex->armed_ns = next;
    ex->timer = tdm_timer_start(ex->self, next > now ? next - now : 0);
    if (ex->timer == 0)
        tdm_log_error("exchange.timer", "err=%s", tdm_errname(TDM_ENOMEM));
}

static void done(struct exchange *ex)
{
    struct exchange_counters c;

    if (ex->done)
        return;
    ex->done = true;
    ex_model_counters(ex->model, &c);
    report(ex, EXCHANGE_DONE, &c, sizeof c);
}

/* After every message. */
static void settle(struct exchange *ex)
{
    if (ex_model_next(ex->model) <= tdm_now_ns(ex->self))
        ex_model_tick(ex->model);
    while (ex->n_doomed > 0) {
        uint64_t conn = ex->doomed[--ex->n_doomed];
        tdm_log_warn("exchange.slow_reader", "conn=%llu", (unsigned long long)conn);
        ex_model_ws_closed(ex->model, conn);
        tdm_ws_abort(ex->rt, (tdm_conn){ conn });
    }
    timer_arm(ex);
    if (ex_model_finished(ex->model))
        done(ex);
}

/* ---- requests and connections ---------------------------------------------------------------- */

static struct ex_request request_of(const struct tdm_http_request *r)
{
    return (struct ex_request){ .conn = r->conn.id,
                                .method = r->method,
                                .path = r->path,
                                .query = r->query,
                                .authorization = r->authorization,
                                .content_type = r->content_type,
                                .body = r->body == NULL ? "" : r->body,
                                .body_bytes = r->body_bytes };
}

static void accept_now(struct exchange *ex, const struct granted *g)
{
    struct tdm_ws_accept_cfg cfg = { .owner = tdm_self_pid(ex->self),
                                     .subprotocol = g->subprotocol ? "ari" : NULL,
                                     .ping_ms = UINT32_MAX, /* the real one does not ping either */
                                     .message_max = 65535,
                                     .unsent_max = 64u << 20,
                                     .write_timeout_ms = ex->write_timeout_ms };
    struct granted *copy = tdm_alloc(ex->self, sizeof *copy);

    if (copy == NULL || tdm_ws_accept(ex->rt, g->conn, &cfg) < 0) {
        if (copy != NULL)
            tdm_free(ex->self, copy);
        return;
    }
    *copy = *g;
    copy->next = ex->opening;
    ex->opening = copy;
}

/* What was granted for this connection, taken off the list; NULL. */
static struct granted *opening_take(struct exchange *ex, uint64_t conn)
{
    struct granted **at = &ex->opening;

    while (*at != NULL && (*at)->conn.id != conn)
        at = &(*at)->next;
    struct granted *g = *at;
    if (g != NULL)
        *at = g->next;
    return g;
}

/* Only now may anything be sent on it. */
static void on_open(struct exchange *ex, const struct tdm_ws_state *s)
{
    struct granted *g = opening_take(ex, s->conn.id);

    if (g != NULL && ex_model_ws_open(ex->model, s->conn.id, g->query, g->authorization) < 0)
        tdm_ws_abort(ex->rt, s->conn);
    if (g != NULL)
        tdm_free(ex->self, g);
}

/* A connection is no more, opened or still to be. */
static void on_closed(struct exchange *ex, tdm_conn conn)
{
    struct granted *g = opening_take(ex, conn.id);

    if (g != NULL)
        tdm_free(ex->self, g);
    ex_model_ws_closed(ex->model, conn.id);
}

static void on_upgrade(struct exchange *ex, const struct tdm_http_request *r)
{
    struct ex_request req = request_of(r);
    struct granted g = { .conn = r->conn, .subprotocol = *r->subprotocols != '\0' };

    if (ex_model_ws_upgrade(ex->model, &req, r->subprotocols) != 0)
        return;
    snprintf(g.query, sizeof g.query, "%s", r->query);
    snprintf(g.authorization, sizeof g.authorization, "%s", r->authorization);
    if (ex->slow_accept_ms == 0)
        return accept_now(ex, &g);
    struct tdm_msg *later = tdm_msg_copy(ex->rt, ACCEPT, &g, sizeof g);
    if (later == NULL ||
        tdm_send_after(ex->self, tdm_self_pid(ex->self), TDM_MS(ex->slow_accept_ms), later) == 0)
        tdm_log_error("exchange.accept", "err=%s", tdm_errname(TDM_ENOMEM));
}

/* ---- by hand --------------------------------------------------------------------------------- */

static const char *word(const char *text)
{
    return *text == '\0' ? NULL : text;
}

static void on_place(struct exchange *ex, const struct order *o)
{
    struct ex_call call = { .exten = word(o->exten),
                            .caller = word(o->caller),
                            .app = word(o->app),
                            .args = word(o->args),
                            .script = o->scripted ? o->script : NULL };
    int err = ex_model_place_call(ex->model, &call, ex->last_call);

    if (err < 0)
        tdm_log_warn("exchange.call", "err=%s script=%s", tdm_errname(err),
                     TDM_LOG_TEXT(o->script, strlen(o->script)));
}

static void on_hand(struct exchange *ex, uint32_t type, const struct order *o)
{
    const char *channel = *o->channel == '\0' ? ex->last_call : o->channel;
    int err =
        type == PRESS ? ex_model_press(ex->model, channel, o->script) : ex_model_hang_up(ex->model, channel);

    if (err < 0)
        tdm_log_warn("exchange.hand", "err=%s channel=%s", tdm_errname(err),
                     TDM_LOG_TEXT(channel, strlen(channel)));
}

/* ---- the actor ------------------------------------------------------------------------------- */

static int room_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct exchange *ex;

    memcpy(&ex, start->arg, sizeof ex);
    memcpy(state, &ex, sizeof ex);
    ex->self = self;
    clock_tell(ex);
    settle(ex);
    return TDM_OK;
}

static void room_message(struct exchange *ex, struct tdm_msg *msg)
{
    const void *data = tdm_msg_view(msg);
    struct ex_request req;

    switch (msg->type) {
    case TDM_MSG_HTTP_REQUEST:
        req = request_of(data);
        ex_model_request(ex->model, &req);
        break;
    case TDM_MSG_WS_UPGRADE:
        on_upgrade(ex, data);
        break;
    case ACCEPT:
        accept_now(ex, data);
        break;
    case TDM_MSG_WS_TEXT:
        ex_model_ws_text(ex->model, ((const struct tdm_ws_data *)data)->conn.id,
                         ((const struct tdm_ws_data *)data)->data, ((const struct tdm_ws_data *)data)->bytes);
        break;
    case TDM_MSG_WS_CLOSED:
        on_closed(ex, ((const struct tdm_ws_state *)data)->conn);
        break;
    case TDM_MSG_CONN_GONE:
        on_closed(ex, *(const tdm_conn *)data);
        break;
    case TDM_MSG_WS_OPEN:
        on_open(ex, data);
        break;
    case TDM_MSG_TIMER:
        if (msg->ref == ex->timer)
            ex->timer = 0;
        break;
    case PLACE:
        on_place(ex, data);
        break;
    case PRESS:
    case HANG_UP:
        on_hand(ex, msg->type, data);
        break;
    case FINISH:
        ex_model_finish(ex->model);
        break;
    default: /* binary frames */
        break;
    }
}

static int room_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct exchange *ex;

    memcpy(&ex, state, sizeof ex);
    ex->self = self;
    clock_tell(ex);
    room_message(ex, msg);
    settle(ex);
    return TDM_OK;
}

static const struct tdm_behaviour room = {
    .name = "exchange",
    .state_bytes = sizeof(struct exchange *),
    .init = room_init,
    .handle = room_handle,
};

/* ---- start and stop -------------------------------------------------------------------------- */

static int room_spawn(struct exchange *ex)
{
    struct tdm_spawn_cfg spawn = { .behaviour = &room,
                                   .arg = &ex,
                                   .arg_bytes = sizeof ex,
                                   .tag = "exchange",
                                   .mailbox_limit = TDM_MAILBOX_MAX };

    return tdm_spawn(ex->rt, &spawn, &ex->pid);
}

static int door_open(struct exchange *ex, const struct exchange_cfg *cfg)
{
    struct tdm_http_server_cfg door = { .address = cfg->address,
                                        .port = cfg->port,
                                        .owner = ex->pid,
                                        .connections = cfg->sessions == 0 ? 100 : cfg->sessions,
                                        .body_max = 64u << 10,
                                        .idle_ms = cfg->idle_ms == 0 ? 15000 : cfg->idle_ms };

    return tdm_http_server_new(ex->rt, &door, &ex->server);
}

int exchange_start(struct tdm_runtime *rt, const struct exchange_cfg *cfg, struct exchange **ret, char *why,
                   size_t why_bytes)
{
    struct exchange_cfg full = *cfg;
    struct tdm_env *env = cfg->env != NULL ? cfg->env : tdm_runtime_env(rt);
    struct exchange *ex = env->alloc(env, sizeof *ex);
    int err;

    if (ex == NULL)
        return TDM_ENOMEM;
    memset(ex, 0, sizeof *ex);
    ex->rt = rt;
    ex->env = env;
    ex->report_to = cfg->report_to;
    ex->slow_accept_ms = cfg->faults.slow_accept_ms;
    ex->write_timeout_ms = cfg->write_timeout_ms == 0 ? 5000 : cfg->write_timeout_ms;
    full.env = env;
    struct ex_out out = { .ctx = ex,
                          .send = on_send,
                          .send_raw = on_send_raw,
                          .respond = on_respond,
                          .reset = on_reset,
                          .pause = on_pause,
                          .problem = on_problem,
                          .step = on_step };
    err = ex_model_new(&ex->model, &full, &out, why, why_bytes);
    if (err == TDM_OK)
        err = room_spawn(ex);
    if (err == TDM_OK)
        err = door_open(ex, cfg);
    if (err < 0) {
        exchange_stop(ex);
        return err;
    }
    *ret = ex;
    return TDM_OK;
}

void exchange_stop(struct exchange *ex)
{
    if (ex == NULL)
        return;
    if (ex->pid.id != 0) {
        tdm_stop(ex->rt, ex->pid);
        tdm_runtime_wait(ex->rt, ex->pid, UINT32_MAX);
    }
    tdm_http_server_free(ex->server);
    ex_model_free(ex->model);
    ex->env->free(ex->env, ex, sizeof *ex);
}

uint16_t exchange_port(const struct exchange *ex)
{
    return tdm_http_server_port(ex->server);
}

tdm_pid exchange_pid(const struct exchange *ex)
{
    return ex->pid;
}

/* ---- messages to it -------------------------------------------------------------------------- */

static int order_send(struct exchange *ex, uint32_t type, const struct order *o)
{
    struct tdm_msg *msg = tdm_msg_copy(ex->rt, type, o, sizeof *o);
    int err = msg == NULL ? TDM_ENOMEM : tdm_send(ex->rt, ex->pid, msg);

    if (err < 0)
        tdm_msg_free(ex->rt, msg);
    return err;
}

/* false: too long. */
static bool order_word(char *field, size_t bytes, const char *text)
{
    return text == NULL || (size_t)snprintf(field, bytes, "%s", text) < bytes;
}

int exchange_place_call(struct exchange *ex, const struct exchange_call *call)
{
    struct order o = { .scripted = call->script != NULL };

    if (!order_word(o.exten, sizeof o.exten, call->exten) ||
        !order_word(o.caller, sizeof o.caller, call->caller) || !order_word(o.app, sizeof o.app, call->app) ||
        !order_word(o.args, sizeof o.args, call->args) ||
        !order_word(o.script, sizeof o.script, call->script))
        return TDM_ETOOBIG;
    return order_send(ex, PLACE, &o);
}

int exchange_press(struct exchange *ex, const char *channel, const char *digits)
{
    struct order o = { .scripted = true };

    if (!order_word(o.channel, sizeof o.channel, channel) || !order_word(o.script, sizeof o.script, digits))
        return TDM_ETOOBIG;
    return order_send(ex, PRESS, &o);
}

int exchange_hang_up(struct exchange *ex, const char *channel)
{
    struct order o = { .scripted = false };

    if (!order_word(o.channel, sizeof o.channel, channel))
        return TDM_ETOOBIG;
    return order_send(ex, HANG_UP, &o);
}

int exchange_finish(struct exchange *ex)
{
    struct order o = { .scripted = false };

    return order_send(ex, FINISH, &o);
}
