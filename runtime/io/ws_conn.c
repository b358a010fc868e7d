/* ws_conn.c - one WebSocket, client or server side, from its 101 to its CLOSED.
 *
 * Idea:      the receive path does nothing but decode and call: a tap gets the message where it lies in the
 *            receive buffer, an owner gets a copy as a message of its own.
 * Pressure:  when the owner's mailbox is full, the message is held, reading stops, and the send is tried
 *            again after 1, 2, 4 ... 50 ms. The peer feels it through TCP.
 * Liveness:  anything received shows that the peer lives. After ping_ms of silence we ping; after pong_ms
 *            more of it the connection is given up.
 * Invariant: CLOSED is told exactly once, by ws_finish, and nothing after it. The handle is stale from
 *            then on. Its message is made with the connection, so that want of memory cannot swallow it. */
#include "io/ws_conn.h"

#include <stddef.h>
#include <string.h>

#include "runtime.h"

enum { CLOSE_WAIT_MS = 5000, HELD_MAX_MS = 50 };

#define DEFAULT(value, otherwise) ((value) != 0 ? (value) : (otherwise))

static void ping_due(struct loop *loop, struct loop_timer *timer);

static struct ws *of_timer(struct loop_timer *timer)
{
    return (struct ws *)((char *)timer - offsetof(struct ws, timer));
}

struct tdm_msg *ws_closed_new(struct loop *loop)
{
    return tdm_msg_new(loop->rt, TDM_MSG_WS_CLOSED, sizeof(struct tdm_ws_state));
}

struct ws *ws_new(struct loop *loop, struct handle *handle, const struct tdm_ws_accept_cfg *cfg,
                  struct tdm_msg *closed)
{
    struct ws *w = loop->env->alloc(loop->env, sizeof *w);

    if (w == NULL)
        return NULL;
    memset(w, 0, sizeof *w);
    w->closed = closed;
    w->loop = loop;
    w->handle = handle;
    w->owner = cfg->owner;
    w->tap = cfg->tap;
    w->tap_ctx = cfg->tap_ctx;
    w->ping_ms = DEFAULT(cfg->ping_ms, 10000);
    w->pong_ms = DEFAULT(cfg->pong_ms, 10000);
    w->decoder.env = loop->env;
    w->decoder.message_max = DEFAULT(cfg->message_max, 16u << 20);
    /* relaxed: read by senders as a limit only. */
    atomic_store_explicit(&handle->unsent_max, DEFAULT(cfg->unsent_max, 4u << 20), memory_order_relaxed);
    return w;
}

void ws_free(struct ws *w)
{
    if (w == NULL)
        return;
    while (w->early_head != NULL) {
        struct out *o = w->early_head;
        w->early_head = o->next;
        out_free(w->loop, o);
    }
    tdm_msg_free(w->loop->rt, w->closed);
    ws_decoder_free(&w->decoder);
    w->loop->env->free(w->loop->env, w, sizeof *w);
}

/* ---- tcp tells us ---------------------------------------------------------------------------- */

static size_t on_data(struct tcp *t, char *p, size_t n)
{
    return ws_data(t->owner, p, n);
}

static void on_closed(struct tcp *t, int err)
{
    ws_finish(t->owner, err == TDM_OK ? TDM_ECONN : err, 0, WS_ABNORMAL, t->why, TCP_ABORT);
}

static void on_freed(struct tcp *t)
{
    ws_free(t->owner);
}

static const struct tcp_ops ws_ops = { .data = on_data, .closed = on_closed, .freed = on_freed };

/* ---- telling the owner ----------------------------------------------------------------------- */

void ws_begin(struct ws *w, struct tcp *tcp)
{
    struct tdm_ws_state state = { .conn = handle_conn(w->handle) };
    struct tdm_msg *open = tdm_msg_copy(w->loop->rt, TDM_MSG_WS_OPEN, &state, sizeof state);

    w->tcp = tcp;
    w->phase = WS_LIVE;
    tcp->ops = &ws_ops;
    tcp->owner = w;
    if (open == NULL) {
        ws_finish(w, TDM_ENOMEM, 0, WS_ABNORMAL, tdm_strerror(TDM_ENOMEM), TCP_ABORT);
        return;
    }
    loop_tell(w->loop, w->owner, open);
    if (w->ping_ms != UINT32_MAX)
        loop_timer_set(w->loop, &w->timer, w->ping_ms, ping_due);
    while (w->early_head != NULL) {
        struct out *o = w->early_head;
        w->early_head = o->next;
        tcp_send(tcp, o);
    }
}

void ws_finish(struct ws *w, int err, int http_status, unsigned code, const char *text, enum tcp_how how)
{
    struct tdm_ws_state *state;

    if (w->phase == WS_OVER)
        return;
    w->phase = WS_OVER;
    state = tdm_msg_data(w->closed);
    *state = (struct tdm_ws_state){ .err = err, .http_status = http_status, .code = (uint16_t)code };
    state->conn = handle_conn(w->handle);
    if (text != NULL)
        strncat(state->text, text, sizeof state->text - 1);
    loop_timer_clear(w->loop, &w->timer);
    loop_timer_clear(w->loop, &w->held_timer);
    tdm_msg_free(w->loop->rt, w->held); /* the owner was not keeping up; it learns of the end */
    w->held = NULL;
    handles_give(&w->loop->handles, w->handle);
    loop_tell(w->loop, w->owner, w->closed);
    w->closed = NULL;
    if (w->tcp != NULL)
        tcp_end(w->tcp, how);
    w->tcp = NULL;
}

static void hold_over(struct loop *loop, struct loop_timer *timer)
{
    struct ws *w = (struct ws *)((char *)timer - offsetof(struct ws, held_timer));
    int err = tdm_send(loop->rt, w->owner, w->held);

    if (err == TDM_EFULL) {
        w->held_ms = w->held_ms * 2 < HELD_MAX_MS ? w->held_ms * 2 : HELD_MAX_MS;
        loop_timer_set(loop, timer, w->held_ms, hold_over);
        return;
    }
    if (err != TDM_OK) {
        ws_close(w, WS_GOING_AWAY, "", 0);
        ws_finish(w, TDM_ENOPROC, 0, WS_GOING_AWAY, "the owner has ended", TCP_LINGER);
        return;
    }
    w->held = NULL;
    if (!w->paused_by_owner)
        tcp_pause(w->tcp, false);
}

/* Returns false when no more may be read now. */
static bool send_to_owner(struct ws *w, const struct ws_event *ev)
{
    uint32_t type = ev->got == WS_GOT_TEXT ? TDM_MSG_WS_TEXT : TDM_MSG_WS_BINARY;
    struct tdm_msg *msg = tdm_msg_new(w->loop->rt, type, sizeof(struct tdm_ws_data) + ev->bytes + 1);
    struct tdm_ws_data *d;
    int err;

    if (msg == NULL) {
        ws_finish(w, TDM_ENOMEM, 0, WS_ABNORMAL, tdm_strerror(TDM_ENOMEM), TCP_ABORT);
        return false;
    }
    d = tdm_msg_data(msg);
    d->conn = handle_conn(w->handle);
    d->bytes = (uint32_t)ev->bytes;
    memcpy(d->data, ev->data, ev->bytes);
    d->data[ev->bytes] = '\0';
    err = tdm_send(w->loop->rt, w->owner, msg);
    if (err == TDM_OK)
        return true;
    if (err == TDM_EFULL) {
        w->held = msg;
        w->held_ms = 1;
        tcp_pause(w->tcp, true);
        loop_timer_set(w->loop, &w->held_timer, w->held_ms, hold_over);
        return false;
    }
    tdm_msg_free(w->loop->rt, msg);
    ws_close(w, WS_GOING_AWAY, "", 0);
    ws_finish(w, TDM_ENOPROC, 0, WS_GOING_AWAY, "the owner has ended", TCP_LINGER);
    return false;
}

/* ---- frames out ------------------------------------------------------------------------------ */

struct out *ws_frame_new(struct loop *loop, bool client, enum ws_op op, const void *p, size_t n)
{
    struct out *o = out_new(loop, n + WS_HEADER_MAX);
    uint64_t random = client ? loop->env->random(loop->env) : 0;
    uint8_t mask[4];
    size_t head;

    if (o == NULL)
        return NULL;
    memcpy(mask, &random, sizeof mask);
    head = ws_header_write(o->data, op, true, n, client ? mask : NULL);
    if (n > 0)
        memcpy(o->data + head, p, n);
    if (client)
        ws_mask(o->data + head, n, mask, 0);
    o->end = head + n;
    return o;
}

void ws_put(struct ws *w, struct out *o)
{
    if (w->phase == WS_LIVE) {
        tcp_send(w->tcp, o);
        return;
    }
    if (w->phase != WS_CONNECTING) {
        out_free(w->loop, o); /* after a close nothing may follow (5.5.1) */
        return;
    }
    o->next = NULL;
    if (w->early_head != NULL)
        w->early_tail->next = o;
    else
        w->early_head = o;
    w->early_tail = o;
}

/* Control frames of our own. Without memory for one the peer will find us dead, which is the truth. */
static void put_control(struct ws *w, enum ws_op op, const void *p, size_t n)
{
    struct out *o = ws_frame_new(w->loop, w->client, op, p, n);

    if (o != NULL)
        ws_put(w, o);
}

static void put_close(struct ws *w, unsigned code, const char *text, size_t n)
{
    char payload[WS_CONTROL_MAX];

    if (code == WS_NO_CODE) {
        put_control(w, WS_OP_CLOSE, NULL, 0);
        return;
    }
    if (n > sizeof payload - 2) {
        n = sizeof payload - 2;
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--; /* cut between characters */
    }
    payload[0] = (char)(code >> 8);
    payload[1] = (char)code;
    memcpy(payload + 2, text, n);
    put_control(w, WS_OP_CLOSE, payload, n + 2);
}

static void close_late(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    ws_finish(of_timer(timer), TDM_ETIMEOUT, 0, WS_ABNORMAL, "the peer did not answer our close", TCP_ABORT);
}

void ws_close(struct ws *w, unsigned code, const char *text, size_t text_bytes)
{
    if (w->phase == WS_CONNECTING)
        ws_finish(w, TDM_OK, 0, WS_ABNORMAL, "closed before it was open", TCP_ABORT);
    if (w->phase != WS_LIVE)
        return;
    put_close(w, code, text, text_bytes);
    w->phase = WS_CLOSING;
    loop_timer_set(w->loop, &w->timer, CLOSE_WAIT_MS, close_late);
}

/* ---- liveness -------------------------------------------------------------------------------- */

static void pong_due(struct loop *loop, struct loop_timer *timer)
{
    struct ws *w = of_timer(timer);
    uint64_t due = w->tcp->read_ns + w->ping_ms * UINT64_C(1000000);

    if (w->tcp->read_ns >= w->pinged_ns || w->tcp->paused) {
        loop_timer_at(loop, timer, due > loop->now_ns ? due : loop->now_ns + 1000000, ping_due);
        return;
    }
    ws_finish(w, TDM_ETIMEOUT, 0, WS_ABNORMAL, "the peer is silent and does not answer pings", TCP_ABORT);
}

static void ping_due(struct loop *loop, struct loop_timer *timer)
{
    struct ws *w = of_timer(timer);
    uint64_t due = w->tcp->read_ns + w->ping_ms * UINT64_C(1000000);

    if (w->tcp->paused) {
        loop_timer_set(loop, timer, w->ping_ms, ping_due); /* it is we who do not listen */
    } else if (due > loop->now_ns) {
        loop_timer_at(loop, timer, due, ping_due);
    } else {
        w->pinged_ns = loop->now_ns;
        put_control(w, WS_OP_PING, NULL, 0);
        loop_timer_set(loop, timer, w->pong_ms, pong_due);
    }
}

/* ---- frames in ------------------------------------------------------------------------------- */

static void peer_closes(struct ws *w, const struct ws_event *ev)
{
    char text[WS_CONTROL_MAX + 1];

    memcpy(text, ev->data, ev->bytes);
    text[ev->bytes] = '\0';
    if (w->phase == WS_LIVE)
        put_close(w, ev->code, "", 0);
    /* The server closes the TCP connection, the client waits for it (7.1.1). */
    ws_finish(w, TDM_OK, 0, ev->code, text, w->client ? TCP_LINGER : TCP_FLUSH);
}

static void refuse(struct ws *w, int err)
{
    const struct ws_decoder *d = &w->decoder;

    if (w->phase == WS_LIVE)
        put_close(w, d->fail_code, d->fail_text, strlen(d->fail_text));
    ws_finish(w, err, 0, d->fail_code, d->fail_text, TCP_LINGER);
}

/* Returns false when no more may be read now. */
static bool act_on(struct ws *w, const struct ws_event *ev)
{
    switch (ev->got) {
    case WS_GOT_TEXT:
    case WS_GOT_BINARY:
        if (w->tap == NULL)
            return send_to_owner(w, ev);
        if (w->tap(w->tap_ctx, handle_conn(w->handle), ev->got == WS_GOT_TEXT, ev->data, ev->bytes))
            return true;
        put_close(w, WS_PROTOCOL, "", 0);
        ws_finish(w, TDM_EPROTO, 0, WS_PROTOCOL, "refused by the receiver", TCP_LINGER);
        return false;
    case WS_GOT_PING:
        put_control(w, WS_OP_PONG, ev->data, ev->bytes);
        return true;
    case WS_GOT_PONG:
        return true;
    case WS_GOT_CLOSE:
        peer_closes(w, ev);
        return false;
    }
    return true;
}

size_t ws_data(struct ws *w, char *p, size_t n)
{
    size_t at = 0;
    bool more = true;

    while (more && !w->tcp->paused) {
        struct ws_event ev;
        size_t used;
        int got = ws_decode(&w->decoder, p + at, n - at, &used, &ev);

        at += used;
        if (got < 0)
            refuse(w, got);
        more = got > 0 && act_on(w, &ev) && w->phase != WS_OVER;
    }
    return at;
}

void ws_pause(struct ws *w, bool pause)
{
    w->paused_by_owner = pause;
    if (w->tcp != NULL && w->phase != WS_CONNECTING && w->held == NULL)
        tcp_pause(w->tcp, pause);
}
