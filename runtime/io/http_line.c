/* http_line.c - one connection of an HTTP pool: a request out, its answer in, and again.
 *
 * Retry:     a kept-alive connection may have been closed by the peer just before we used it. If it ends
 *            before the first byte of the answer, GET, PUT and DELETE go out once more on another
 *            connection; anything else only if not one byte of it was written, because it may have been
 *            executed.
 * Invariant: on the pool's idle list exactly while open and without an ask. http_line_close() forgets the
 *            ask; whoever calls it answers or requeues it. */
#include <stddef.h>
#include <string.h>

#include "io/http_client.h"
#include "runtime.h"

enum { ANSWER_HEAD_MAX = 64 * 1024 };

static struct http_line *of_parser(struct http_parser *p)
{
    return p->data;
}

static void leave_idle(struct http_line *line)
{
    struct http_line **l = &line->pool->idle;

    while (*l != NULL && *l != line)
        l = &(*l)->next_idle;
    if (*l != NULL)
        *l = line->next_idle;
    loop_timer_clear(line->pool->loop, &line->idle_timer);
}

void http_line_close(struct http_line *line, enum tcp_how how)
{
    struct tdm_http_pool *pool = line->pool;

    if (pool == NULL)
        return;
    leave_idle(line);
    if (!line->open)
        pool->connecting--;
    pool->line_count--;
    if (line->prev != NULL)
        line->prev->next = line->next;
    else
        pool->lines = line->next;
    if (line->next != NULL)
        line->next->prev = line->prev;
    if (line->ask != NULL)
        line->ask->line = NULL;
    line->ask = NULL;
    line->pool = NULL;
    tcp_end(line->tcp, how);
}

static void idle_over(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    http_line_close((struct http_line *)((char *)timer - offsetof(struct http_line, idle_timer)), TCP_FLUSH);
}

static void become_idle(struct http_line *line)
{
    struct tdm_http_pool *pool = line->pool;

    line->next_idle = pool->idle;
    pool->idle = line;
    loop_timer_set(pool->loop, &line->idle_timer, pool->cfg.idle_ms, idle_over);
    http_pool_pump(pool);
}

/* ---- the answer, as the parser goes over it -------------------------------------------------- */

static int on_message_begin(struct http_parser *p)
{
    struct http_line *line = of_parser(p);

    http_head_reset(&line->head);
    line->body.used = 0;
    line->in_answer = true;
    return 0;
}

static int on_headers_complete(struct http_parser *p)
{
    struct http_line *line = of_parser(p);

    p->upgrade = 0; /* we never ask for one */
    return line->ask != NULL && line->ask->head ? 1 : 0;
}

static int on_body(struct http_parser *p, const char *at, size_t n)
{
    struct http_line *line = of_parser(p);

    line->head.err = TDM_ETOOBIG;
    if (n > line->pool->cfg.body_max - line->body.used)
        return -1;
    line->head.err = bytes_add(line->head.env, &line->body, at, n);
    return line->head.err == TDM_OK ? 0 : -1;
}

static int on_message_complete(struct http_parser *p)
{
    struct http_line *line = of_parser(p);

    if (p->status_code >= 100 && p->status_code < 200)
        return 0; /* 100 Continue and the like: the answer is still to come */
    line->complete = true;
    line->keep_alive = http_should_keep_alive(p) != 0;
    http_parser_pause(p, 1);
    return 0;
}

static const struct http_parser_settings settings = {
    .on_message_begin = on_message_begin,
    .on_header_field = http_head_on_field,
    .on_header_value = http_head_on_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- one exchange ---------------------------------------------------------------------------- */

void http_line_send(struct http_line *line, struct ask *a)
{
    struct out *o = out_new(line->pool->loop, a->bytes);
    struct tdm_http_pool *pool = line->pool;

    loop_timer_clear(pool->loop, &line->idle_timer);
    line->ask = a;
    a->line = line;
    line->in_answer = line->complete = false;
    line->written_before = line->tcp->written;
    if (o == NULL) {
        http_line_close(line, TCP_FLUSH);
        http_pool_reply(a, TDM_ENOMEM, 0, "", "", 0);
        return;
    }
    memcpy(o->data, a->data, a->bytes);
    tcp_send(line->tcp, o);
}

/* The connection ended or spoke nonsense while a request was under way. */
static void failed(struct http_line *line, int err, const char *why)
{
    struct tdm_http_pool *pool = line->pool;
    struct ask *a = line->ask;
    bool unwritten = line->tcp->written == line->written_before;
    bool again = err == TDM_ECONN && line->reused && !line->in_answer && a != NULL && !a->repeated &&
                 (a->repeatable || unwritten);

    http_line_close(line, TCP_ABORT);
    if (again) {
        /* The others that were idle as long are likely to be closed as well. */
        while (pool->idle != NULL)
            http_line_close(pool->idle, TCP_FLUSH);
        http_pool_requeue(a);
    } else if (a != NULL) {
        http_pool_reply(a, err, 0, "", why, strlen(why));
    }
    http_pool_pump(pool);
}

static void finished(struct http_line *line)
{
    struct tdm_http_pool *pool = line->pool;
    struct ask *a = line->ask;
    const char *type = http_head_get(&line->head, FIELD_CONTENT_TYPE);

    line->ask = NULL;
    a->line = NULL;
    http_pool_reply(a, TDM_OK, line->head.parser.status_code, type, line->body.data, line->body.used);
    line->reused = true;
    if (line->body.room > 64 * 1024)
        bytes_free(line->head.env, &line->body);
    if (line->keep_alive) {
        http_parser_pause(&line->head.parser, 0);
        become_idle(line);
    } else {
        http_line_close(line, TCP_FLUSH);
        http_pool_pump(pool);
    }
}

static size_t on_data(struct tcp *t, char *p, size_t n)
{
    struct http_line *line = t->owner;
    enum http_errno wrong;
    size_t used;

    if (line->ask == NULL) {
        failed(line, TDM_EPROTO, "an answer that nobody asked for");
        return n;
    }
    used = http_parser_execute(&line->head.parser, &settings, p, n);
    if (line->complete) {
        finished(line);
        return used;
    }
    wrong = HTTP_PARSER_ERRNO(&line->head.parser);
    if (wrong != HPE_OK)
        failed(line, line->head.err != TDM_OK ? line->head.err : TDM_EPROTO, http_errno_description(wrong));
    return used;
}

/* An answer without a length ends where the stream does. */
static bool ends_here(struct http_line *line)
{
    if (line->ask == NULL || !line->in_answer)
        return false;
    http_parser_execute(&line->head.parser, &settings, NULL, 0);
    return line->complete;
}

static void on_closed(struct tcp *t, int err)
{
    struct http_line *line = t->owner;
    struct tdm_http_pool *pool = line->pool;

    if (!line->open) {
        http_line_close(line, TCP_ABORT);
        http_pool_connect_failed(pool, err == TDM_OK ? TDM_ECONN : err, t->why);
    } else if (err == TDM_OK && ends_here(line)) {
        line->keep_alive = false;
        finished(line);
    } else {
        failed(line, err == TDM_OK ? TDM_ECONN : err, t->why);
    }
}

static void on_opened(struct tcp *t)
{
    struct http_line *line = t->owner;

    line->open = true;
    line->pool->connecting--;
    line->pool->backoff_ms = 0;
    become_idle(line);
}

static void on_freed(struct tcp *t)
{
    struct http_line *line = t->owner;

    http_head_free(&line->head);
    bytes_free(t->loop->env, &line->body);
    t->loop->env->free(t->loop->env, line, sizeof *line);
}

static const struct tcp_ops line_ops = {
    .opened = on_opened, .data = on_data, .closed = on_closed, .freed = on_freed
};

int http_line_open(struct tdm_http_pool *pool)
{
    struct loop *loop = pool->loop;
    struct http_line *line = loop->env->alloc(loop->env, sizeof *line);
    struct tcp_connect_cfg cfg = { .host = pool->host,
                                   .port = pool->cfg.port,
                                   .timeout_ms = pool->cfg.connect_timeout_ms,
                                   .tls = pool->tls,
                                   .server_name = pool->server_name,
                                   .ops = &line_ops,
                                   .owner = line };
    int err;

    if (line == NULL)
        return TDM_ENOMEM;
    memset(line, 0, sizeof *line);
    http_head_init(&line->head, loop->env, HTTP_RESPONSE, ANSWER_HEAD_MAX);
    line->pool = pool;
    err = tcp_connect(loop, &cfg, &line->tcp);
    if (err != TDM_OK) {
        loop->env->free(loop->env, line, sizeof *line);
        return err;
    }
    line->next = pool->lines;
    if (line->next != NULL)
        line->next->prev = line;
    pool->lines = line;
    pool->line_count++;
    pool->connecting++;
    return TDM_OK;
}
