/* http_answer.c - answering a request, from any thread: once, with a response or with a 101.
 *
 * Idea:      the handle's `answer` word holds the connection's generation and what the answer must look like;
 *            who exchanges it for nothing may answer. So the bytes are made by the actor that answers, and
 * the loop only queues them. Touched by any thread, except run_respond() and http_peer_upgrade(), which are
 * the loop's. */
#include <stdio.h>
#include <string.h>

#include "io/digest.h"
#include "io/http_server.h"
#include "io/ws_conn.h"

enum { HEAD_ROOM = 256 };

int http_answer_claim(struct loop *loop, tdm_conn conn, bool upgrade)
{
    struct handle *handle = handles_find(&loop->handles, conn);
    uint64_t generation = conn.id >> 32 << 32, word;

    if (handle == NULL)
        return TDM_ENOPROC;
    /* acquire: partner of allow_answer(). */
    word = atomic_load_explicit(&handle->answer, memory_order_acquire);
    do {
        if (word >> 32 << 32 != generation || (uint32_t)word == 0)
            return TDM_ESTATE;
        if (upgrade && (word & ANSWER_UPGRADE) == 0)
            return TDM_ESTATE;
    } while (!atomic_compare_exchange_weak_explicit(&handle->answer, &word, generation, memory_order_acq_rel,
                                                    memory_order_acquire));
    return (int)(uint32_t)word;
}

void http_answer_unclaim(struct loop *loop, tdm_conn conn, int bits)
{
    struct handle *handle = handles_find(&loop->handles, conn);
    uint64_t empty = conn.id >> 32 << 32;

    /* release: as allow_answer(). A compare, because the connection may be another one by now. */
    if (handle != NULL)
        atomic_compare_exchange_strong_explicit(&handle->answer, &empty, empty | (uint32_t)bits,
                                                memory_order_release, memory_order_relaxed);
}

static void run_respond(struct loop *loop, struct loop_cmd *cmd)
{
    struct out *o = (struct out *)cmd;
    struct handle *handle = handles_find(&loop->handles, o->conn);
    struct http_peer *p = handle != NULL && handle->kind == HANDLE_HTTP ? handle->owner : NULL;

    if (p == NULL || !p->answering) {
        out_free(loop, o);
        return;
    }
    tcp_send(p->tcp, o);
    if (p->tcp->state == TCP_OPEN)
        http_peer_answered(p);
}

struct answer {
    int status;
    const char *headers, *content_type;
    size_t body_bytes;
};

/* Status line and headers. Returns the length needed, like snprintf. */
static int write_head(char *buf, size_t bytes, const struct answer *a, int bits)
{
    bool no_body = a->status == 204 || a->status == 304 || a->status < 200;
    const char *type = a->content_type != NULL ? a->content_type : "";
    char length[48] = "";

    if (!no_body)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", a->body_bytes);
    return snprintf(buf, bytes, "HTTP/1.1 %d %s\r\n%s%s%s%s%s%s\r\n", a->status,
                    http_status_str((enum http_status)a->status), type[0] != '\0' ? "Content-Type: " : "",
                    type, type[0] != '\0' ? "\r\n" : "", length, a->headers != NULL ? a->headers : "",
                    bits & ANSWER_CLOSE    ? "Connection: close\r\n"
                    : bits & ANSWER_HTTP10 ? "Connection: keep-alive\r\n"
                                           : "");
}

int tdm_http_respond(struct tdm_runtime *rt, tdm_conn conn, int status, const char *headers,
                     const char *content_type, const void *body, size_t body_bytes)
{
    struct answer a = { status, headers, content_type, body_bytes };
    struct loop *loop;
    struct out *o;
    size_t room;
    int n, bits, err = loop_of(rt, &loop);

    if (err < 0)
        return err;
    if (status < 200 || status > 999)
        return TDM_EINVAL;
    bits = http_answer_claim(loop, conn, false);
    if (bits < 0)
        return bits;
    if ((bits & ANSWER_HEAD) != 0 || status == 204 || status == 304)
        body_bytes = 0;
    room = HEAD_ROOM + (headers != NULL ? strlen(headers) : 0) +
           (content_type != NULL ? strlen(content_type) : 0);
    o = out_new(loop, room + body_bytes);
    if (o == NULL) {
        http_answer_unclaim(loop, conn, bits);
        return TDM_ENOMEM;
    }
    n = write_head(o->data, room, &a, bits);
    if (body_bytes > 0)
        memcpy(o->data + n, body, body_bytes);
    o->end = (size_t)n + body_bytes;
    o->conn = conn;
    o->cmd.run = run_respond;
    loop_post(loop, &o->cmd);
    return TDM_OK;
}

/* ---- upgrade --------------------------------------------------------------------------------- */

/* It does not come to be: its last message is the caller's again. */
static void give_back(struct ws *w)
{
    if (w != NULL)
        w->closed = NULL;
    ws_free(w);
}

int http_peer_upgrade(struct http_peer *p, const struct tdm_ws_accept_cfg *cfg, struct tdm_msg *closed)
{
    struct tcp *t = p->tcp;
    struct handle *handle = p->handle;
    struct ws *w = ws_new(t->loop, handle, cfg, closed);
    char accept[29], text[512];
    int n;

    digest_ws_accept(http_head_get(&p->head, FIELD_WS_KEY), accept);
    n = snprintf(text, sizeof text,
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Accept: %s\r\n%s%s%s\r\n",
                 accept, cfg->subprotocol != NULL ? "Sec-WebSocket-Protocol: " : "",
                 cfg->subprotocol != NULL ? cfg->subprotocol : "", cfg->subprotocol != NULL ? "\r\n" : "");
    if (w == NULL || n >= (int)sizeof text || tcp_send_text(t, text, (size_t)n) != TDM_OK) {
        give_back(w);
        http_peer_refuse(p, 503);
        return TDM_ENOMEM;
    }
    http_peer_detach(p);
    handle->kind = HANDLE_WS;
    handle->owner = w;
    w->decoder.from_client = true;
    t->hold_eof = false;
    t->write_timeout_ms = cfg->write_timeout_ms;
    ws_begin(w, t);
    tcp_pause(t, false);
    return TDM_OK;
}
