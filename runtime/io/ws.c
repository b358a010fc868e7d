/* ws.c - the public face of WebSockets: checks, copies, and hands over to the loop.
 *
 * Every function here may run on any thread. What it needs later it copies into a command; the connection
 * itself (ws_conn.c) is the loop's. */
#include "tandem/ws.h"

#include <string.h>

#include "io/http_server.h"
#include "io/ws_client.h"
#include "io/ws_conn.h"
#include "runtime.h"

/* ---- connect --------------------------------------------------------------------------------- */

struct connect_cmd {
    struct loop_cmd cmd;
    struct ws *ws;
    struct ws_handshake *handshake;
};

static void run_connect(struct loop *loop, struct loop_cmd *cmd)
{
    struct connect_cmd *c = (struct connect_cmd *)cmd;

    c->ws->handle->kind = HANDLE_WS;
    c->ws->handle->owner = c->ws;
    ws_client_start(c->ws, c->handshake);
    loop_cmd_free(loop, cmd);
}

/* Everything that can fail, before anything is handed over. */
static int prepare(struct loop *loop, const struct tdm_ws_cfg *cfg, struct connect_cmd *c,
                   struct handle **handle)
{
    struct tdm_ws_accept_cfg common = { .owner = cfg->owner,
                                        .tap = cfg->tap,
                                        .tap_ctx = cfg->tap_ctx,
                                        .ping_ms = cfg->ping_ms,
                                        .pong_ms = cfg->pong_ms,
                                        .message_max = cfg->message_max,
                                        .unsent_max = cfg->unsent_max };
    tdm_conn conn;
    int err = ws_handshake_new(&c->handshake, loop, cfg);

    if (err == TDM_OK)
        err = handles_take(&loop->handles, loop->env, &conn);
    if (err != TDM_OK)
        return err;
    *handle = handles_find(&loop->handles, conn);
    /* relaxed: the handle is not known to anyone yet. */
    atomic_store_explicit(&(*handle)->client, 1, memory_order_relaxed);
    struct tdm_msg *closed = ws_closed_new(loop);
    c->ws = closed == NULL ? NULL : ws_new(loop, *handle, &common, closed);
    if (c->ws == NULL) {
        tdm_msg_free(loop->rt, closed);
        return TDM_ENOMEM;
    }
    c->ws->client = true;
    return TDM_OK;
}

int tdm_ws_connect(struct tdm_runtime *rt, const struct tdm_ws_cfg *cfg, tdm_conn *ret)
{
    struct connect_cmd *c;
    struct handle *handle = NULL;
    struct loop *loop;
    int err = loop_of(rt, &loop);

    if (err < 0)
        return err;
    c = loop_cmd_new(loop, run_connect, sizeof *c);
    if (c == NULL)
        return TDM_ENOMEM;
    c->ws = NULL;
    c->handshake = NULL;
    err = prepare(loop, cfg, c, &handle);
    if (err != TDM_OK)
        goto fail;
    *ret = handle_conn(handle);
    loop_post(loop, &c->cmd);
    return TDM_OK;
fail:
    if (handle != NULL)
        handles_give(&loop->handles, handle);
    ws_handshake_free(c->handshake);
    loop_cmd_free(loop, &c->cmd);
    return err;
}

/* ---- accept ---------------------------------------------------------------------------------- */

struct accept_cmd {
    struct loop_cmd cmd;
    tdm_conn conn;
    struct tdm_ws_accept_cfg cfg;
    struct tdm_msg *closed; /* made beforehand: whoever accepted hears of the end, whatever becomes of it */
    char subprotocol[];
};

/* It was accepted and will not be open. */
static void tell_closed(struct loop *loop, const struct accept_cmd *a, int err)
{
    struct tdm_ws_state *state = tdm_msg_data(a->closed);

    *state = (struct tdm_ws_state){ .conn = a->conn, .err = err, .code = WS_ABNORMAL };
    strncat(state->text, err == TDM_ECONN ? "the client had gone" : tdm_strerror(err),
            sizeof state->text - 1);
    loop_tell(loop, a->cfg.owner, a->closed);
}

static void run_accept(struct loop *loop, struct loop_cmd *cmd)
{
    struct accept_cmd *a = (struct accept_cmd *)cmd;
    struct handle *handle = handles_find(&loop->handles, a->conn);
    int err = TDM_ECONN;

    if (handle != NULL && handle->kind == HANDLE_HTTP)
        err = http_peer_upgrade(handle->owner, &a->cfg, a->closed);
    if (err != TDM_OK)
        tell_closed(loop, a, err);
    loop_cmd_free(loop, cmd);
}

int tdm_ws_accept(struct tdm_runtime *rt, tdm_conn conn, const struct tdm_ws_accept_cfg *cfg)
{
    const char *protocol = cfg->subprotocol != NULL ? cfg->subprotocol : "";
    struct accept_cmd *a;
    struct loop *loop;
    int err = loop_of(rt, &loop);

    if (err < 0)
        return err;
    if (strpbrk(protocol, "\r\n") != NULL)
        return TDM_EINVAL;
    a = loop_cmd_new(loop, run_accept, sizeof *a + strlen(protocol) + 1);
    if (a == NULL)
        return TDM_ENOMEM;
    a->closed = ws_closed_new(loop);
    err = a->closed == NULL ? TDM_ENOMEM : http_answer_claim(loop, conn, true);
    if (err < 0) {
        tdm_msg_free(loop->rt, a->closed);
        loop_cmd_free(loop, &a->cmd);
        return err;
    }
    a->conn = conn;
    a->cfg = *cfg;
    strcpy(a->subprotocol, protocol);
    a->cfg.subprotocol = protocol[0] != '\0' ? a->subprotocol : NULL;
    loop_post(loop, &a->cmd);
    return TDM_OK;
}

/* ---- send ------------------------------------------------------------------------------------ */

static struct ws *find(struct loop *loop, tdm_conn conn)
{
    struct handle *handle = handles_find(&loop->handles, conn);

    return handle != NULL && handle->kind == HANDLE_WS ? handle->owner : NULL;
}

static void run_send(struct loop *loop, struct loop_cmd *cmd)
{
    struct out *o = (struct out *)cmd;
    struct ws *w = find(loop, o->conn);

    if (w != NULL)
        ws_put(w, o);
    else
        out_free(loop, o);
}

/* Charge the bytes to the connection, so that one that does not drain refuses more. */
static int charge(struct handle *handle, struct out *o)
{
    size_t n = o->end - o->at;
    /* relaxed, both: see "unsent" in loop.c. */
    int64_t max = atomic_load_explicit(&handle->unsent_max, memory_order_relaxed);
    int64_t before = atomic_fetch_add_explicit(&handle->unsent, (int64_t)n, memory_order_relaxed);

    if (before > 0 && before + (int64_t)n > max) {
        atomic_fetch_sub_explicit(&handle->unsent, (int64_t)n, memory_order_relaxed);
        return TDM_EFULL;
    }
    o->handle = handle;
    o->charged = n;
    return TDM_OK;
}

static int send_bytes(struct tdm_runtime *rt, tdm_conn conn, const void *p, size_t n, bool raw)
{
    struct handle *handle;
    struct loop *loop;
    struct out *o;
    int err = loop_of(rt, &loop);

    if (err < 0)
        return err;
    handle = handles_find(&loop->handles, conn);
    if (handle == NULL)
        return TDM_ENOPROC;
    /* relaxed: fixed before the handle was given out. */
    if (raw)
        o = out_new(loop, n);
    else
        o = ws_frame_new(loop, atomic_load_explicit(&handle->client, memory_order_relaxed) != 0, WS_OP_TEXT,
                         p, n);
    if (o == NULL)
        return TDM_ENOMEM;
    if (raw && n > 0)
        memcpy(o->data, p, n);
    err = charge(handle, o);
    if (err != TDM_OK) {
        out_free(loop, o);
        return err;
    }
    o->conn = conn;
    o->cmd.run = run_send;
    loop_post(loop, &o->cmd);
    return TDM_OK;
}

int tdm_ws_send(struct tdm_runtime *rt, tdm_conn conn, const void *text, size_t bytes)
{
    return send_bytes(rt, conn, text, bytes, false);
}

int tdm_ws_send_raw(struct tdm_runtime *rt, tdm_conn conn, const void *bytes, size_t n)
{
    return send_bytes(rt, conn, bytes, n, true);
}

/* ---- close, abort, pause --------------------------------------------------------------------- */

enum act { ACT_CLOSE, ACT_ABORT, ACT_PAUSE, ACT_GO_ON };

struct act_cmd {
    struct loop_cmd cmd;
    tdm_conn conn;
    enum act act;
    uint16_t code;
    size_t text_bytes;
    char text[WS_CONTROL_MAX];
};

static void run_act(struct loop *loop, struct loop_cmd *cmd)
{
    struct act_cmd *a = (struct act_cmd *)cmd;
    struct ws *w = find(loop, a->conn);

    if (w != NULL && a->act == ACT_CLOSE)
        ws_close(w, a->code, a->text, a->text_bytes);
    else if (w != NULL && a->act == ACT_ABORT)
        ws_finish(w, TDM_OK, 0, WS_ABNORMAL, "aborted by us", TCP_ABORT);
    else if (w != NULL)
        ws_pause(w, a->act == ACT_PAUSE);
    loop_cmd_free(loop, cmd);
}

static int post_act(struct tdm_runtime *rt, tdm_conn conn, enum act act, uint16_t code, const char *text)
{
    struct act_cmd *a;
    struct loop *loop;
    int err = loop_of(rt, &loop);

    if (err < 0)
        return err;
    if (handles_find(&loop->handles, conn) == NULL)
        return TDM_ENOPROC;
    a = loop_cmd_new(loop, run_act, sizeof *a);
    if (a == NULL)
        return TDM_ENOMEM;
    a->conn = conn;
    a->act = act;
    a->code = code;
    a->text_bytes = text != NULL ? strnlen(text, sizeof a->text) : 0;
    memcpy(a->text, text != NULL ? text : "", a->text_bytes);
    loop_post(loop, &a->cmd);
    return TDM_OK;
}

int tdm_ws_close(struct tdm_runtime *rt, tdm_conn conn, uint16_t code, const char *text)
{
    if (code != 0 && !ws_close_code_valid(code))
        return TDM_EINVAL;
    return post_act(rt, conn, ACT_CLOSE, code != 0 ? code : WS_NORMAL, text);
}

int tdm_ws_abort(struct tdm_runtime *rt, tdm_conn conn)
{
    return post_act(rt, conn, ACT_ABORT, 0, NULL);
}

int tdm_ws_pause(struct tdm_runtime *rt, tdm_conn conn, bool pause)
{
    return post_act(rt, conn, pause ? ACT_PAUSE : ACT_GO_ON, 0, NULL);
}
