/* http_peer.c - one accepted HTTP connection: requests in, answers out, in order.
 *
 * Idea:      one request at a time. While its answer is awaited the parser is paused and the connection is
 *            not read, so pipelined requests wait in order where they are and nothing has to be sorted.
 * Answers:   http_answer.c.
 * Refusals:  400 not HTTP, 413 body, 426 WebSocket version, 431 headers, 503 nobody takes it. All end the
 *            connection. No 411: chunked bodies are decoded, and no length means no body (RFC 9112, 6.3).
 * Touched by the loop. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "io/http_server.h"
#include "runtime.h"

enum { HELD_STEP_MS = 5, HELD_MAX_MS = 2000 };

static void held_again(struct loop *loop, struct loop_timer *timer);

static struct http_peer *of_timer(struct loop_timer *timer)
{
    return (struct http_peer *)((char *)timer - offsetof(struct http_peer, timer));
}

static struct http_peer *of_parser(struct http_parser *p)
{
    return p->data;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void unlink_peer(struct http_peer *p)
{
    struct tdm_http_server *s = p->server;

    if (s == NULL)
        return;
    if (p->prev != NULL)
        p->prev->next = p->next;
    else
        s->peers = p->next;
    if (p->next != NULL)
        p->next->prev = p->prev;
    s->peer_count--;
    p->server = NULL;
}

/* Everything but the memory and the TCP connection. */
static void leave(struct http_peer *p)
{
    struct loop *loop = p->tcp->loop;

    loop_timer_clear(loop, &p->timer);
    tdm_msg_free(loop->rt, p->held);
    p->held = NULL;
    unlink_peer(p);
    if (p->handle != NULL)
        handles_give(&loop->handles, p->handle);
    p->handle = NULL;
}

void http_peer_end(struct http_peer *p, enum tcp_how how)
{
    leave(p);
    tcp_end(p->tcp, how);
}

static void peer_free(struct tdm_env *env, struct http_peer *p)
{
    http_head_free(&p->head);
    bytes_free(env, &p->body);
    env->free(env, p, sizeof *p);
}

/* The client went away while its request was with the owner. */
static void tell_gone(struct loop *loop, tdm_pid owner, tdm_conn conn)
{
    struct tdm_msg *msg = tdm_msg_copy(loop->rt, TDM_MSG_CONN_GONE, &conn, sizeof conn);

    if (msg != NULL)
        loop_tell(loop, owner, msg);
}

static void on_closed(struct tcp *t, int err)
{
    struct http_peer *p = t->owner;
    bool told = p->answering && p->server != NULL && p->held == NULL;
    tdm_pid owner = p->server != NULL ? p->server->cfg.owner : (tdm_pid){ 0 };
    tdm_conn conn = p->handle != NULL ? handle_conn(p->handle) : (tdm_conn){ 0 };

    (void)err;
    leave(p); /* first: who hears of it finds the handle stale */
    if (told)
        tell_gone(t->loop, owner, conn);
}

static void on_freed(struct tcp *t)
{
    peer_free(t->loop->env, t->owner);
}

static void idle_over(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    http_peer_end(of_timer(timer), TCP_FLUSH);
}

void http_peer_refuse(struct http_peer *p, int status)
{
    char text[160];
    int n = snprintf(text, sizeof text, "HTTP/1.1 %d %s\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n",
                     status, http_status_str((enum http_status)status),
                     status == 426 ? "Sec-WebSocket-Version: 13\r\n" : "");

    (void)tcp_send_text(p->tcp, text, (size_t)n);
    http_peer_end(p, TCP_LINGER);
}

/* ---- a request, as the parser goes over it --------------------------------------------------- */

static int stop(struct http_peer *p, int status)
{
    p->refuse = status;
    return -1;
}

static bool wants_websocket(const struct http_head *h)
{
    return h->parser.upgrade && h->parser.method == HTTP_GET &&
           http_list_has(http_head_get(h, FIELD_UPGRADE), "websocket");
}

static int on_message_begin(struct http_parser *parser)
{
    http_head_reset(&of_parser(parser)->head);
    of_parser(parser)->body.used = 0;
    return 0;
}

static int on_headers_complete(struct http_parser *parser)
{
    struct http_peer *p = of_parser(parser);
    bool announced = parser->content_length != UINT64_MAX;

    if (announced && parser->content_length > p->server->cfg.body_max)
        return stop(p, 413);
    if (wants_websocket(&p->head)) {
        if (http_head_get(&p->head, FIELD_WS_KEY)[0] == '\0')
            return stop(p, 400);
        if (strcmp(http_head_get(&p->head, FIELD_WS_VERSION), "13") != 0)
            return stop(p, 426);
        return 0;
    }
    parser->upgrade = 0; /* an upgrade we do not know is an ordinary request (RFC 9110, 7.8) */
    if (strcasecmp(http_head_get(&p->head, FIELD_EXPECT), "100-continue") == 0) {
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        (void)tcp_send_text(p->tcp, go_on, sizeof go_on - 1);
    }
    return 0;
}

static int on_body(struct http_parser *parser, const char *at, size_t n)
{
    struct http_peer *p = of_parser(parser);

    if (n > p->server->cfg.body_max - p->body.used)
        return stop(p, 413);
    return bytes_add(p->head.env, &p->body, at, n) == TDM_OK ? 0 : stop(p, 503);
}

static int on_message_complete(struct http_parser *parser)
{
    struct http_peer *p = of_parser(parser);

    p->keep_alive = http_should_keep_alive(parser) != 0;
    p->answering = true;
    http_parser_pause(parser, 1);
    return 0;
}

static const struct http_parser_settings settings = {
    .on_message_begin = on_message_begin,
    .on_url = http_head_on_url,
    .on_header_field = http_head_on_field,
    .on_header_value = http_head_on_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- handing it to the owner ----------------------------------------------------------------- */

static const char *pack(char **to, const char *text, size_t n)
{
    char *at = *to;

    memcpy(at, text, n);
    at[n] = '\0';
    *to = at + n + 1;
    return at;
}

/* One message with all texts behind the struct. */
static struct tdm_msg *make_request(struct http_peer *p)
{
    const struct http_head *h = &p->head;
    const char *url = http_head_get(h, FIELD_URL),
               *method = http_method_str((enum http_method)h->parser.method);
    size_t path = strcspn(url, "?"), query = strlen(url) - path;
    /* The values all stand in text, each with its NUL: at most that much again, and four more NULs. */
    size_t room = sizeof(struct tdm_http_request) + strlen(method) + h->text.used + p->body.used + 8;
    uint32_t type = h->parser.upgrade ? TDM_MSG_WS_UPGRADE : TDM_MSG_HTTP_REQUEST;
    struct tdm_msg *msg = tdm_msg_new(p->tcp->loop->rt, type, room);
    struct tdm_http_request *r;
    char *to;

#define PACK_FIELD(f) pack(&to, http_head_get(h, (f)), strlen(http_head_get(h, (f))))
    if (msg == NULL)
        return NULL;
    r = tdm_msg_data(msg);
    to = (char *)(r + 1);
    *r = (struct tdm_http_request){ .conn = handle_conn(p->handle), .keep_alive = p->keep_alive };
    r->method = pack(&to, method, strlen(method));
    r->path = pack(&to, url, path);
    r->query = pack(&to, url + path + (query > 0), query - (query > 0));
    r->authorization = PACK_FIELD(FIELD_AUTHORIZATION);
    r->content_type = PACK_FIELD(FIELD_CONTENT_TYPE);
    r->subprotocols = PACK_FIELD(FIELD_WS_PROTOCOL);
    r->body_bytes = (uint32_t)p->body.used;
    r->body = pack(&to, p->body.used > 0 ? p->body.data : "", p->body.used);
#undef PACK_FIELD
    return msg;
}

static void allow_answer(struct http_peer *p)
{
    const struct http_parser *parser = &p->head.parser;
    uint64_t bits = ANSWER_WANTED;

    bits |= parser->method == HTTP_HEAD ? ANSWER_HEAD : 0;
    bits |= !p->keep_alive ? ANSWER_CLOSE : parser->http_minor == 0 ? ANSWER_HTTP10 : 0;
    bits |= parser->upgrade ? ANSWER_UPGRADE : 0;
    /* release: partner of http_answer_claim(); the request's message orders the rest. */
    atomic_store_explicit(&p->handle->answer, handle_conn(p->handle).id >> 32 << 32 | bits,
                          memory_order_release);
}

/* Returns TDM_OK, or what the send said: TDM_EFULL keeps the message for later. */
static int hand_over(struct http_peer *p)
{
    int err = tdm_send(p->tcp->loop->rt, p->server->cfg.owner, p->held);

    if (err == TDM_OK)
        p->held = NULL;
    return err;
}

static void held_again(struct loop *loop, struct loop_timer *timer)
{
    struct http_peer *p = of_timer(timer);
    int err = hand_over(p);

    p->held_ms += HELD_STEP_MS;
    if (err == TDM_EFULL && p->held_ms < HELD_MAX_MS)
        loop_timer_set(loop, timer, HELD_STEP_MS, held_again);
    else if (err != TDM_OK)
        http_peer_refuse(p, 503);
}

static void deliver(struct http_peer *p)
{
    struct loop *loop = p->tcp->loop;
    int err = TDM_ENOMEM;

    loop_timer_clear(loop, &p->timer);
    p->begun = false;
    handles_rename(p->handle); /* a late second answer to the request before must not become this one's */
    p->tcp->hold_eof = true;   /* a client may end its half after the request (curl does not, nc does) */
    tcp_pause(p->tcp, true);
    p->held = make_request(p);
    p->held_ms = 0;
    if (p->held != NULL) {
        allow_answer(p);
        err = hand_over(p);
    }
    if (err == TDM_EFULL)
        loop_timer_set(loop, &p->timer, HELD_STEP_MS, held_again);
    else if (err != TDM_OK)
        http_peer_refuse(p, 503);
}

static int status_of_failure(const struct http_peer *p)
{
    if (p->refuse != 0)
        return p->refuse;
    if (p->head.err == TDM_ETOOBIG || HTTP_PARSER_ERRNO(&p->head.parser) == HPE_HEADER_OVERFLOW)
        return 431;
    return p->head.err == TDM_ENOMEM ? 503 : 400;
}

static size_t on_data(struct tcp *t, char *data, size_t n)
{
    struct http_peer *p = t->owner;
    size_t used = http_parser_execute(&p->head.parser, &settings, data, n);

    if (p->answering) {
        deliver(p);
        return used;
    }
    if (HTTP_PARSER_ERRNO(&p->head.parser) != HPE_OK) {
        http_peer_refuse(p, status_of_failure(p));
        return n;
    }
    /* A request must come within idle_ms; a body may take longer as long as it moves. */
    if (!p->begun || p->body.used > 0)
        loop_timer_set(t->loop, &p->timer, p->server->cfg.idle_ms, idle_over);
    p->begun = true;
    return used;
}

static void on_opened(struct tcp *t)
{
    (void)t;
}

static const struct tcp_ops peer_ops = {
    .opened = on_opened, .data = on_data, .closed = on_closed, .freed = on_freed
};

void http_peer_new(struct tdm_http_server *s, int fd)
{
    struct loop *loop = s->loop;
    struct http_peer *p = loop->env->alloc(loop->env, sizeof *p);
    tdm_conn conn;

    if (p == NULL) {
        loop->env->sock_close(loop->env, fd, true);
        return;
    }
    memset(p, 0, sizeof *p);
    http_head_init(&p->head, loop->env, HTTP_REQUEST, s->cfg.header_max);
    if (tcp_accepted(loop, fd, s->tls, &peer_ops, p, &p->tcp) != TDM_OK) {
        peer_free(loop->env, p);
        return;
    }
    p->server = s;
    p->next = s->peers;
    if (p->next != NULL)
        p->next->prev = p;
    s->peers = p;
    s->peer_count++;
    p->tcp->write_timeout_ms = s->cfg.idle_ms;
    if (handles_take(&loop->handles, loop->env, &conn) != TDM_OK) {
        http_peer_end(p, TCP_ABORT);
        return;
    }
    p->handle = handles_find(&loop->handles, conn);
    p->handle->kind = HANDLE_HTTP;
    p->handle->owner = p;
    loop_timer_set(loop, &p->timer, s->cfg.idle_ms, idle_over);
}

void http_peer_detach(struct http_peer *p)
{
    struct tdm_env *env = p->tcp->loop->env;

    p->handle = NULL;
    leave(p);
    peer_free(env, p);
}

void http_peer_answered(struct http_peer *p)
{
    p->answering = false;
    if (!p->keep_alive) {
        http_peer_end(p, TCP_LINGER);
        return;
    }
    p->tcp->hold_eof = false;
    http_parser_pause(&p->head.parser, 0);
    loop_timer_set(p->tcp->loop, &p->timer, p->server->cfg.idle_ms, idle_over);
    tcp_pause(p->tcp, false);
}
