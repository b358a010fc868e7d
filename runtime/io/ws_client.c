/* ws_client.c - the client's half of the WebSocket handshake (RFC 6455, section 4.1).
 *
 * Idea:      the whole request is written down when the caller asks, so that nothing of the caller's is
 *            needed later and its mistakes are told at once. The loop connects, sends it, and lets
 *            http_parser read the answer; what follows the answer in the same read is frames already.
 * Secrets:   credentials stand in the request text only; it is wiped when the handshake is over. */
#include "io/ws_client.h"

#include <stdio.h>
#include <string.h>

#include "io/digest.h"
#include "io/http_head.h"
#include "runtime.h"

enum { ANSWER_MAX = 16 * 1024, REQUEST_MAX = 8 * 1024 };

struct ws_handshake {
    struct http_head head; /* of the answer; first: parser.data is this */
    struct loop *loop;
    struct loop_timer timer; /* connect_timeout_ms covers the answer too */
    uint32_t timeout_ms;
    uint16_t port;
    struct tls_ctx *tls;
    char *host, *server_name, *subprotocol;
    char accept[29]; /* what the answer must say */
    int err;         /* found while preparing, told by CLOSED: TLS files that cannot be read */
    char why[128];
    size_t request_bytes;
    char request[REQUEST_MAX];
};

static bool one_line(const char *text)
{
    return text == NULL || strpbrk(text, "\r\n") == NULL;
}

static int write_request(struct ws_handshake *h, const struct tdm_ws_cfg *cfg)
{
    uint64_t nonce[2] = { h->loop->env->random(h->loop->env), h->loop->env->random(h->loop->env) };
    char key[BASE64_ROOM(sizeof nonce)], auth[512];
    bool v6 = strchr(cfg->host, ':') != NULL;
    int n, err = http_basic_header(auth, sizeof auth, cfg->user, cfg->password);

    if (err != TDM_OK)
        return TDM_EINVAL;
    digest_base64(nonce, sizeof nonce, key);
    digest_ws_accept(key, h->accept);
    n = snprintf(h->request, sizeof h->request,
                 "GET %s HTTP/1.1\r\nHost: %s%s%s:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n%s%s%s%s\r\n",
                 cfg->target, v6 ? "[" : "", cfg->host, v6 ? "]" : "", cfg->port, key,
                 cfg->subprotocol != NULL ? "Sec-WebSocket-Protocol: " : "",
                 cfg->subprotocol != NULL ? cfg->subprotocol : "", cfg->subprotocol != NULL ? "\r\n" : "",
                 auth);
    explicit_bzero(auth, sizeof auth);
    if (n < 0 || (size_t)n >= sizeof h->request)
        return TDM_EINVAL;
    h->request_bytes = (size_t)n;
    return TDM_OK;
}

int ws_handshake_new(struct ws_handshake **ret, struct loop *loop, const struct tdm_ws_cfg *cfg)
{
    struct ws_handshake *h;
    int err = TDM_ENOMEM;

    if (cfg->host == NULL || cfg->host[0] == '\0' || cfg->target == NULL || cfg->target[0] != '/' ||
        cfg->port == 0 || strpbrk(cfg->target, " \r\n") != NULL || !one_line(cfg->host) ||
        !one_line(cfg->subprotocol))
        return TDM_EINVAL;
    h = loop->env->alloc(loop->env, sizeof *h);
    if (h == NULL)
        return err;
    memset(h, 0, offsetof(struct ws_handshake, request));
    h->loop = loop;
    h->port = cfg->port;
    h->timeout_ms = cfg->connect_timeout_ms != 0 ? cfg->connect_timeout_ms : 5000;
    http_head_init(&h->head, loop->env, HTTP_RESPONSE, ANSWER_MAX);
    if (text_copy(loop->env, &h->host, cfg->host) != TDM_OK ||
        text_copy(loop->env, &h->server_name, cfg->tls.server_name) != TDM_OK ||
        text_copy(loop->env, &h->subprotocol, cfg->subprotocol) != TDM_OK)
        goto fail;
    if (cfg->tls.on)
        h->err = tls_ctx_new(&h->tls, loop->env, &cfg->tls, false, h->why, sizeof h->why);
    err = write_request(h, cfg);
    if (err != TDM_OK)
        goto fail;
    *ret = h;
    return TDM_OK;
fail:
    ws_handshake_free(h);
    return err;
}

void ws_handshake_free(struct ws_handshake *h)
{
    struct tdm_env *env;

    if (h == NULL)
        return;
    env = h->loop->env;
    loop_timer_clear(h->loop, &h->timer);
    explicit_bzero(h->request, h->request_bytes);
    http_head_free(&h->head);
    tls_ctx_unref(h->tls);
    text_free(env, h->host);
    text_free(env, h->server_name);
    text_free(env, h->subprotocol);
    env->free(env, h, sizeof *h);
}

/* ---- on the loop ----------------------------------------------------------------------------- */

static void give_up(struct ws *w, int err, int http_status, const char *text)
{
    loop_timer_clear(w->loop, &w->handshake->timer);
    ws_finish(w, err, http_status, WS_ABNORMAL, text, TCP_ABORT);
}

static void answer_late(struct loop *loop, struct loop_timer *timer)
{
    struct ws_handshake *h = (struct ws_handshake *)((char *)timer - offsetof(struct ws_handshake, timer));

    (void)loop;
    give_up(h->head.owner, TDM_ETIMEOUT, 0, "no answer to the upgrade in time");
}

static void on_opened(struct tcp *t)
{
    struct ws *w = t->owner;

    if (tcp_send_text(t, w->handshake->request, w->handshake->request_bytes) != TDM_OK)
        give_up(w, TDM_ENOMEM, 0, tdm_strerror(TDM_ENOMEM));
}

/* The upgrade was refused, or never was one. */
static void refused(struct ws *w, int status)
{
    char text[64];
    int err = TDM_EREFUSED;

    if (status == 401 || status == 403)
        err = TDM_EAUTH;
    if (status == 404)
        err = TDM_ENOTFOUND;
    snprintf(text, sizeof text, "the peer answered %d to the upgrade", status);
    give_up(w, err, status, text);
}

/* The answer is complete: is it the one we need? */
static bool accepted(struct ws *w)
{
    struct ws_handshake *h = w->handshake;
    const char *protocol = http_head_get(&h->head, FIELD_WS_PROTOCOL);

    if (h->head.parser.status_code != 101) {
        refused(w, h->head.parser.status_code);
        return false;
    }
    if (!h->head.parser.upgrade || !http_list_has(http_head_get(&h->head, FIELD_UPGRADE), "websocket"))
        give_up(w, TDM_EPROTO, 101, "the 101 is not an upgrade to websocket");
    else if (strcmp(http_head_get(&h->head, FIELD_WS_ACCEPT), h->accept) != 0)
        give_up(w, TDM_EPROTO, 101, "the 101 has a wrong Sec-WebSocket-Accept");
    else if (protocol[0] != '\0' && (h->subprotocol == NULL || !http_list_has(h->subprotocol, protocol)))
        give_up(w, TDM_EPROTO, 101, "the peer chose a subprotocol that was not offered");
    return w->phase == WS_CONNECTING;
}

/* Stop at the end of the headers: after a 101 come frames, after anything else nothing we want. */
static int on_headers_complete(struct http_parser *p)
{
    struct http_head *head = p->data;

    head->complete = true;
    http_parser_pause(p, 1);
    return 1;
}

static const struct http_parser_settings answer_settings = {
    .on_header_field = http_head_on_field,
    .on_header_value = http_head_on_value,
    .on_headers_complete = on_headers_complete,
};

static size_t on_data(struct tcp *t, char *p, size_t n)
{
    struct ws *w = t->owner;
    struct ws_handshake *h = w->handshake;
    size_t used = http_parser_execute(&h->head.parser, &answer_settings, p, n);

    if (!h->head.complete) {
        if (HTTP_PARSER_ERRNO(&h->head.parser) != HPE_OK)
            give_up(w, TDM_EPROTO, 0, http_errno_description(HTTP_PARSER_ERRNO(&h->head.parser)));
        return used;
    }
    if (!accepted(w))
        return n;
    used++; /* paused at the last byte of the headers, which counts as not yet read */
    w->handshake = NULL;
    ws_handshake_free(h);
    ws_begin(w, t);
    return used + (w->phase == WS_LIVE ? ws_data(w, p + used, n - used) : 0);
}

static void on_closed(struct tcp *t, int err)
{
    struct ws *w = t->owner;

    give_up(w, err == TDM_OK ? TDM_ECONN : err, 0, t->why);
}

static void on_freed(struct tcp *t)
{
    struct ws *w = t->owner;

    ws_handshake_free(w->handshake);
    ws_free(w);
}

static const struct tcp_ops handshake_ops = {
    .opened = on_opened, .data = on_data, .closed = on_closed, .freed = on_freed
};

void ws_client_start(struct ws *w, struct ws_handshake *h)
{
    struct tcp_connect_cfg cfg = { .host = h->host,
                                   .port = h->port,
                                   .timeout_ms = h->timeout_ms,
                                   .tls = h->tls,
                                   .server_name = h->server_name,
                                   .ops = &handshake_ops,
                                   .owner = w };
    int err = h->err;

    w->handshake = h;
    h->head.owner = w;
    if (err == TDM_OK)
        err = tcp_connect(w->loop, &cfg, &w->tcp);
    if (err == TDM_OK) {
        loop_timer_set(w->loop, &h->timer, h->timeout_ms, answer_late);
        return;
    }
    give_up(w, err, 0, h->why[0] != '\0' ? h->why : tdm_strerror(err));
    ws_handshake_free(h);
    ws_free(w);
}
