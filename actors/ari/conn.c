/* conn.c - the event socket: connect, ask, route, connect again; for ever.
 *
 * Idea:      the actor only decides; it never sees an event. Events go from the I/O thread through the
 *            tap below straight to their actors (route.c), or wait behind the gate (gate.c) while the
 *            actor asks the server what it holds (resync.c).
 * Sessions:  one for each connection, with a gate of its own. A session is freed when the I/O thread
 *            has reported CLOSED for it, after which its tap is not called any more. An incarnation
 *            that crashed leaves its session behind in `ari`; the next aborts it and frees it when its
 *            own connection is reported: the I/O thread carries out our commands in order, and is one
 *            thread, so by then the old tap has returned for the last time.
 * Attempts:  end in CLOSED, always and exactly once, whatever went wrong; the retry starts there and
 *            nowhere else. While we are away new calls do not reach us, so a connection that lasted at
 *            least a fifth of the shortest delay is replaced nearly at once. Otherwise the delay grows: a server
 *            that refuses, or accepts and drops, is not hammered.
 * Replaced:  when another program takes an app over, the socket stays open but that app is silent. To
 *            take it back at once would only make two programs quarrel, so the next connection waits
 *            for cfg.replaced_ms. */
#include "conn.h"
#include "backoff.h"
#include "gate.h"
#include "rest.h"
#include "resync.h"
#include "route.h"
#include "tandem/log.h"
#include "tandem/registry.h"
#include "tandem/runtime.h"
#include "tandem/timer.h"

#include <stdio.h>
#include <string.h>

enum { MSG_DRAIN = CONN_MSG_ADOPT + 1 }; /* to ourselves: route the next batch behind the gate */
enum { STOP_MS = 500 };

static TDM_COUNTER(opened, "tandem_ari_connects_total", "event sockets opened");
static TDM_COUNTER(lost, "tandem_ari_disconnects_total", "event sockets lost after they were open");
static TDM_COUNTER(failed, "tandem_ari_connect_failures_total",
                   "attempts to open an event socket that failed");
static TDM_COUNTER(connected, "tandem_ari_connected", "event sockets open now");
static TDM_COUNTER(overflows, "tandem_ari_held_overflows_total",
                   "connections given up because too many events waited");
static TDM_COUNTER(binary, "tandem_ari_frames_odd_total",
                   "binary messages on event sockets, which mean nothing");
static TDM_COUNTER(replacements, "tandem_ari_replaced_total", "apps taken over by another connection");

struct session {
    struct session *next;
    struct ari *a;
    struct gate *gate;
    tdm_conn conn;
    _Atomic bool overflown; /* set by the reader; relaxed: read after CLOSED, which orders it */
};

struct conn {
    struct ari *a;
    struct session *now; /* NULL: none */
    bool open;
    bool settled; /* the comparison is done, events may be routed: by us until live_since_ns, then by the
                     reader */
    bool stopping;
    bool at_once;    /* the next attempt need not wait */
    const char *why; /* we end the connection ourselves; NULL: we do not */
    struct backoff backoff;
    tdm_ref retry, take_back, hurry; /* timers */
    uint64_t live_since_ns;          /* 0: the gate is not the reader's yet */
    int last_err;                    /* of the last failure that was logged in full */
    int last_status;
};

/* ---- the reader's side ----------------------------------------------------------------------- */

/* On the I/O thread, for each message. False closes the connection. */
static bool tap(void *ctx, tdm_conn conn, bool text, const char *data, size_t bytes)
{
    struct session *s = ctx;

    (void)conn;
    if (!text) {
        tdm_count(&binary, 1);
        return true;
    }
    if (atomic_load_explicit(&s->overflown, memory_order_relaxed))
        return false; /* one event is missing already, so none may follow */
    switch (gate_pass(s->gate, data, bytes)) {
    case GATE_OPEN:
        route_event(s->a, data, bytes);
        return true;
    case GATE_HELD:
        return true;
    default:
        atomic_store_explicit(&s->overflown, true, memory_order_relaxed);
        return false;
    }
}

/* ---- sessions -------------------------------------------------------------------------------- */

static void session_free(struct ari *a, struct session *s)
{
    struct session **at = &a->sessions;

    while (*at != NULL && *at != s)
        at = &(*at)->next;
    if (*at == s)
        *at = s->next;
    gate_free(s->gate);
    a->env->free(a->env, s, sizeof *s);
}

static int session_new(struct ari *a, struct session **ret)
{
    struct session *s = a->env->alloc(a->env, sizeof *s);
    int err;

    if (s == NULL)
        return TDM_ENOMEM;
    *s = (struct session){ .a = a };
    err = gate_new(a->env, a->cfg.held_max, &s->gate);
    if (err != TDM_OK) {
        a->env->free(a->env, s, sizeof *s);
        return err;
    }
    s->next = a->sessions;
    a->sessions = s;
    *ret = s;
    return TDM_OK;
}

void conn_forget(struct ari *a)
{
    resync_free(a->resync);
    a->resync = NULL;
    while (a->sessions != NULL)
        session_free(a, a->sessions);
}

/* ---- the published state --------------------------------------------------------------------- */

static void now_connecting(struct tdm_ari_state *s, const void *arg)
{
    (void)arg;
    s->phase = TDM_ARI_CONNECTING;
    s->attempts++;
}

static void now_asking(struct tdm_ari_state *s, const void *arg)
{
    (void)arg;
    s->phase = TDM_ARI_ASKING;
    s->connected = true;
    s->connects++;
}

static void now_live(struct tdm_ari_state *s, const void *arg)
{
    (void)arg;
    s->phase = TDM_ARI_LIVE;
    s->attempts = 0;
}

static void now_replaced(struct tdm_ari_state *s, const void *arg)
{
    s->phase = TDM_ARI_REPLACED;
    s->last_err = TDM_EEXIST;
    snprintf(s->last_error, sizeof s->last_error, "app %s was taken over by another connection",
             (const char *)arg);
}

struct ending {
    int err, status;
    char words[CONN_WORDS_BYTES];
};

static void now_waiting(struct tdm_ari_state *s, const void *arg)
{
    const struct ending *e = arg;

    s->phase = TDM_ARI_WAITING;
    s->connected = false;
    s->last_err = e->err;
    s->last_status = e->status;
    snprintf(s->last_error, sizeof s->last_error, "%s", e->words);
}

/* ---- connecting ------------------------------------------------------------------------------ */

static void wait_and_retry(tdm_self *self, struct conn *c, const struct ending *e)
{
    const uint64_t random = c->a->env->random(c->a->env);
    const uint32_t wait_ms = c->at_once ? 1 + (uint32_t)(random % (c->backoff.min_ms / 10 + 1))
                                        : backoff_next(&c->backoff, random);
    const bool news = e->err != c->last_err || e->status != c->last_status;

    c->at_once = false;
    c->last_err = e->err;
    c->last_status = e->status;
    ari_publish(c->a, now_waiting, e);
    tdm_log_at(news ? TDM_LOG_ERROR : TDM_LOG_INFO, "ari.disconnected",
               "source=%s error=%s words=%s attempt=%u wait_ms=%u", c->a->cfg.name, tdm_errname(e->err),
               TDM_LOG_TEXT(e->words, strlen(e->words)), c->backoff.tries, wait_ms);
    c->retry = tdm_timer_start(self, TDM_MS(wait_ms));
    if (c->retry == 0) /* no memory for a timer: let the supervisor do the waiting */
        tdm_exit(self, &(struct tdm_reason){ .kind = TDM_EXIT_ERROR, .code = TDM_ENOMEM });
}

static void connect_now(tdm_self *self, struct conn *c)
{
    struct ari *a = c->a;
    const struct tdm_ari_cfg *cfg = &a->cfg;
    int err = session_new(a, &c->now);

    ari_publish(a, now_connecting, NULL);
    if (err == TDM_OK)
        err = tdm_ws_connect(a->rt,
                             &(struct tdm_ws_cfg){ .host = cfg->host,
                                                   .port = cfg->port,
                                                   .target = a->target,
                                                   .tls = cfg->tls,
                                                   .user = cfg->user,
                                                   .password = cfg->password,
                                                   .subprotocol = "ari",
                                                   .owner = tdm_self_pid(self),
                                                   .tap = tap,
                                                   .tap_ctx = c->now,
                                                   .connect_timeout_ms = cfg->connect_timeout_ms,
                                                   .ping_ms = cfg->ping_ms,
                                                   .pong_ms = cfg->pong_ms },
                             &c->now->conn);
    if (err == TDM_OK)
        return;
    struct ending e = { .err = err };

    snprintf(e.words, sizeof e.words, "could not begin to connect: %s", tdm_strerror(err));
    if (c->now != NULL)
        session_free(a, c->now);
    c->now = NULL;
    wait_and_retry(self, c, &e);
}

/* ---- while it is open ------------------------------------------------------------------------ */

static void drop_connection(struct conn *c, const char *why)
{
    if (c->now == NULL)
        return;
    c->why = why;
    tdm_ws_abort(c->a->rt, c->now->conn); /* CLOSED follows */
}

static void on_open(tdm_self *self, struct conn *c)
{
    struct ari *a = c->a;

    for (struct session *s = a->sessions, *next; s != NULL; s = next) { /* see "Sessions" */
        next = s->next;
        if (s != c->now)
            session_free(a, s);
    }
    c->open = true;
    tdm_self_connected(self, true);
    atomic_store_explicit(&a->conn, c->now->conn.id, memory_order_relaxed);
    tdm_count(&opened, 1);
    tdm_count(&connected, 1);
    ari_publish(a, now_asking, NULL);
    tdm_log_info("ari.connected", "source=%s host=%s port=%u", a->cfg.name, a->cfg.host, a->cfg.port);
    if (resync_start(self, a, c->now->gate, &a->resync) != TDM_OK)
        drop_connection(c, "no memory to ask the server what it holds");
}

/* Route what waits behind the gate; true when the reader has it now. */
static bool drain_batch(struct conn *c)
{
    struct gate *gate = c->now->gate;

    if (gate_let_go(gate))
        return true;
    for (struct gate_frame *f = gate_take(gate), *next; f != NULL; f = next) {
        next = f->next;
        route_event(c->a, f->data, f->bytes);
        gate_frame_free(gate, f);
    }
    return gate_let_go(gate);
}

static void drain(tdm_self *self, struct conn *c)
{
    if (!c->settled || c->live_since_ns != 0)
        return;
    if (drain_batch(c)) {
        c->live_since_ns = tdm_now_ns(self);
        c->last_err = c->last_status = 0;
        ari_publish(c->a, now_live, NULL);
        return;
    }
    struct tdm_msg *again = tdm_msg_new(c->a->rt, MSG_DRAIN, 0);

    if (again == NULL || tdm_send(c->a->rt, tdm_self_pid(self), again) != TDM_OK) {
        tdm_msg_free(c->a->rt, again);
        drop_connection(c, "no memory to go on");
    }
}

static void on_reply(tdm_self *self, struct conn *c, struct tdm_msg *msg)
{
    char words[REST_WORDS_BYTES];
    bool mine = false;
    int err = c->a->resync != NULL ? resync_reply(c->a->resync, msg, &mine) : TDM_OK;

    if (!mine) { /* of a channel that was handed back */
        err = rest_outcome(rest_reply(msg), REST_CHANNEL, words);
        if (err != TDM_OK && err != TDM_EHANGUP)
            tdm_log_warn("ari.unserved_stays", "source=%s words=%s", c->a->cfg.name,
                         TDM_LOG_TEXT(words, strlen(words)));
        return;
    }
    if (err == TDM_OK)
        return;
    resync_free(c->a->resync);
    c->a->resync = NULL;
    c->settled = err == RESYNC_DONE;
    if (c->settled)
        drain(self, c);
    else
        drop_connection(c, "the server could not be asked what it holds");
}

static void on_replaced(tdm_self *self, struct conn *c, const char *app)
{
    if (c->now == NULL)
        return;
    tdm_count(&replacements, 1);
    ari_publish(c->a, now_replaced, app);
    tdm_log_error("ari.replaced",
                  "source=%s app=%s words=\"another program connected with this app and gets its calls "
                  "now; stop one of the two\" again_ms=%u",
                  c->a->cfg.name, TDM_LOG_TEXT(app, strlen(app)), c->a->cfg.replaced_ms);
    if (c->take_back == 0 && c->a->cfg.replaced_ms != UINT32_MAX)
        c->take_back = tdm_timer_start(self, TDM_MS(c->a->cfg.replaced_ms));
}

/* ---- its end --------------------------------------------------------------------------------- */

static void let_down(tdm_self *self, struct conn *c)
{
    const uint64_t lasted_ns = c->live_since_ns != 0 ? tdm_now_ns(self) - c->live_since_ns : 0;

    c->at_once = c->live_since_ns != 0 && lasted_ns >= TDM_MS(c->a->cfg.backoff_min_ms) / 5;
    if (c->at_once)
        backoff_reset(&c->backoff);
    tdm_count(&lost, 1);
    tdm_count(&connected, -1);
    atomic_store_explicit(&c->a->conn, 0, memory_order_relaxed);
    resync_free(c->a->resync);
    c->a->resync = NULL;
    c->open = c->settled = false;
    tdm_self_connected(self, false);
}

static void stop_now(tdm_self *self)
{
    tdm_exit(self, &(struct tdm_reason){ .kind = TDM_EXIT_SHUTDOWN });
}

static void on_closed(tdm_self *self, struct conn *c, const struct tdm_ws_state *state)
{
    struct ending e = { .status = state->http_status };
    struct session *s = c->now;

    if (s == NULL || s->conn.id != state->conn.id)
        return;
    /* What arrived before the end is true and in order: let it through, unless nobody knows yet what it
     * follows on. Then the next comparison finds out. */
    if (c->settled && c->live_since_ns == 0)
        drain_batch(c);
    e.err = conn_explain(&c->a->cfg, state, c->open, e.words);
    if (c->why != NULL) {
        snprintf(e.words, sizeof e.words, "given up by us: %s", c->why);
    } else if (atomic_load_explicit(&s->overflown, memory_order_relaxed)) {
        tdm_count(&overflows, 1);
        e.err = TDM_EBUSY;
        snprintf(e.words, sizeof e.words,
                 "more than %u bytes of events came while the server was asked what it holds",
                 c->a->cfg.held_max);
    }
    if (c->open)
        let_down(self, c);
    else
        tdm_count(&failed, 1);
    if (c->take_back != 0)
        tdm_timer_cancel(self, c->take_back);
    c->take_back = 0;
    c->live_since_ns = 0;
    c->why = NULL;
    c->now = NULL;
    session_free(c->a, s);
    if (c->stopping)
        stop_now(self);
    else
        wait_and_retry(self, c, &e);
}

/* Told to stop: the session has to be over first, because its tap points to it. */
static void on_stop(tdm_self *self, struct conn *c)
{
    c->stopping = true;
    if (c->now == NULL) {
        stop_now(self);
        return;
    }
    tdm_ws_close(c->a->rt, c->now->conn, 1000, "");
    c->hurry = tdm_timer_start(self, TDM_MS(STOP_MS)); /* a server that does not answer the close */
    if (c->hurry == 0)
        drop_connection(c, "stopping");
}

/* ---- the actor ------------------------------------------------------------------------------- */

static int conn_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct conn *c = state;
    char name[216];

    memcpy(&c->a, start->arg, sizeof c->a);
    c->backoff = (struct backoff){ .min_ms = c->a->cfg.backoff_min_ms, .max_ms = c->a->cfg.backoff_max_ms };
    tdm_self_tag(self, c->a->cfg.name);
    tdm_self_connected(self, false);
    const int err =
        tdm_register(self, name, (size_t)snprintf(name, sizeof name, "source:%.200s", c->a->cfg.name));
    if (err != TDM_OK)
        return tdm_fail(self, err, "name %s", name);
    atomic_store_explicit(&c->a->conn_actor, tdm_self_pid(self).id, memory_order_relaxed);
    resync_free(c->a->resync); /* of an incarnation that crashed */
    c->a->resync = NULL;
    for (struct session *s = c->a->sessions; s != NULL; s = s->next)
        tdm_ws_abort(c->a->rt, s->conn);
    if (atomic_exchange_explicit(&c->a->conn, 0, memory_order_relaxed) != 0)
        tdm_count(&connected, -1);
    if (atomic_load_explicit(&c->a->standing, memory_order_acquire))
        connect_now(self, c);
    return TDM_OK;
}

static void on_timer(tdm_self *self, struct conn *c, tdm_ref ref)
{
    if (ref == c->retry && c->now == NULL && !c->stopping)
        connect_now(self, c);
    else if (ref == c->take_back)
        drop_connection(c, "to take an app back from another program");
    else if (ref == c->hurry)
        drop_connection(c, "stopping");
}

static int conn_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct conn *c = state;
    const struct tdm_ws_state *ws = tdm_msg_view(msg);

    switch (msg->type) {
    case TDM_MSG_WS_OPEN:
        if (c->now != NULL && ws->conn.id == c->now->conn.id)
            on_open(self, c);
        break;
    case TDM_MSG_WS_CLOSED:
        on_closed(self, c, ws);
        break;
    case TDM_MSG_HTTP_REPLY:
        on_reply(self, c, msg);
        break;
    case CONN_MSG_GO:
        if (c->now == NULL && c->retry == 0)
            connect_now(self, c);
        break;
    case CONN_MSG_ADOPT:
        drop_connection(c, "the actors of the calls were lost: the server is asked again");
        break;
    case MSG_DRAIN:
        drain(self, c);
        break;
    case CONN_MSG_REPLACED:
        on_replaced(self, c, tdm_msg_view(msg));
        break;
    case TDM_MSG_TIMER:
        on_timer(self, c, msg->ref);
        break;
    case TDM_MSG_STOP:
        on_stop(self, c);
        break;
    default:
        break;
    }
    return TDM_OK;
}

const struct tdm_behaviour conn_behaviour = {
    .name = "ari.conn",
    .state_bytes = sizeof(struct conn),
    .init = conn_init,
    .handle = conn_handle,
};
