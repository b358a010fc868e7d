/* http_client.c - the pool: requests that wait, requests under way, and when to connect.
 *
 * Idea:      a request is written down once, on the caller's thread, together with the message that will
 *            carry its reply; the loop only moves it between lists. So "one reply, always" needs no memory
 *            when it matters.
 * Order:     FIFO, except that requests of one order_key wait behind the one before them, and a request
 *            whose kept-alive connection turned out closed goes back to the front.
 * Down peer: when a connect fails and no connection is left, everything that waits is answered with that
 *            error, and the next connect is tried after 100 ms, doubled up to 2 s. Requests that come in
 *            that pause wait for the next try. So a caller hears within its deadline, and nothing spins.
 * Bounds:    `queue` waiting requests (TDM_EBUSY beyond), `connections` under way, a deadline on each.
 * Invariant: an ask is in exactly one place: waiting, behind its key, or under way with a line. */
#include "io/http_client.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "runtime.h"
#include "tandem/log.h"

enum { BACKOFF_MIN_MS = 100, BACKOFF_MAX_MS = 2000 };

#define DEFAULT(value, otherwise) ((value) != 0 ? (value) : (otherwise))

/* ---- lists ----------------------------------------------------------------------------------- */

static void list_add(struct ask_list *l, struct ask *a)
{
    a->list = l;
    a->next = NULL;
    a->prev = l->last;
    if (l->last != NULL)
        l->last->next = a;
    else
        l->first = a;
    l->last = a;
    l->count++;
}

static void list_add_front(struct ask_list *l, struct ask *a)
{
    a->list = l;
    a->prev = NULL;
    a->next = l->first;
    if (l->first != NULL)
        l->first->prev = a;
    else
        l->last = a;
    l->first = a;
    l->count++;
}

static void list_remove(struct ask *a)
{
    struct ask_list *l = a->list;

    if (l == NULL)
        return;
    if (a->prev != NULL)
        a->prev->next = a->next;
    else
        l->first = a->next;
    if (a->next != NULL)
        a->next->prev = a->prev;
    else
        l->last = a->prev;
    l->count--;
    a->list = NULL;
}

/* ---- order keys ------------------------------------------------------------------------------ */

static struct order **find_order(struct tdm_http_pool *pool, uint64_t key)
{
    struct order **o = &pool->orders[(key * UINT64_C(0x9e3779b97f4a7c15)) >> 58];

    while (*o != NULL && (*o)->key != key)
        o = &(*o)->next;
    return o;
}

/* Into the queue, or behind the earlier ones of its key. */
static void queue_in_order(struct tdm_http_pool *pool, struct ask *a)
{
    struct order **o;

    if (a->order_key == 0) {
        list_add(&pool->waiting, a);
        return;
    }
    o = find_order(pool, a->order_key);
    if (*o != NULL) {
        list_add(&(*o)->behind, a);
        pool->held_back++;
        return;
    }
    *o = a->order;
    a->order = NULL;
    (*o)->next = NULL;
    list_add(&pool->waiting, a);
}

/* The request at the head of its key is done: the next one may go. */
static void release_order(struct tdm_http_pool *pool, uint64_t key)
{
    struct order **o = find_order(pool, key), *gone;
    struct ask *next;

    if (*o == NULL)
        return;
    next = (*o)->behind.first;
    if (next != NULL) {
        list_remove(next);
        pool->held_back--;
        list_add(&pool->waiting, next);
        return;
    }
    gone = *o;
    *o = gone->next;
    pool->loop->env->free(pool->loop->env, gone, sizeof *gone);
}

/* ---- the reply ------------------------------------------------------------------------------- */

static void ask_free(struct loop *loop, struct ask *a)
{
    loop_timer_clear(loop, &a->timer);
    tdm_msg_free(loop->rt, a->reply);
    if (a->order != NULL)
        loop->env->free(loop->env, a->order, sizeof *a->order);
    explicit_bzero(a->data, a->bytes); /* credentials */
    loop_cmd_free(loop, &a->cmd);
}

void http_pool_reply(struct ask *a, int err, int status, const char *type, const char *body, size_t n)
{
    struct tdm_http_pool *pool = a->pool;
    struct loop *loop = pool->loop;
    bool was_behind = a->list != NULL && a->list != &pool->waiting && a->list != &pool->under_way;
    struct tdm_http_reply *r;

    if (n + 1 > REPLY_ROOM - sizeof *r) {
        struct tdm_msg *big = tdm_msg_new(loop->rt, TDM_MSG_HTTP_REPLY, sizeof *r + n + 1);
        if (big != NULL) {
            tdm_msg_free(loop->rt, a->reply);
            a->reply = big;
        } else {
            err = TDM_ENOMEM;
            status = 0;
            n = 0;
        }
    }
    r = tdm_msg_data(a->reply);
    memset(r, 0, sizeof *r);
    r->err = err;
    r->status = status;
    r->body_bytes = (uint32_t)n;
    strncat(r->content_type, type, sizeof r->content_type - 1);
    if (n > 0)
        memcpy(r->body, body, n);
    r->body[n] = '\0';
    a->reply->ref = a->ref; /* its size stays as it was made: by that it is freed */
    loop_tell(loop, a->to, a->reply);
    a->reply = NULL;
    list_remove(a);
    if (was_behind)
        pool->held_back--;
    else if (a->order_key != 0)
        release_order(pool, a->order_key);
    ask_free(loop, a);
}

static void reply_error(struct ask *a, int err, const char *why)
{
    http_pool_reply(a, err, 0, "", why, strlen(why));
}

static void deadline_over(struct loop *loop, struct loop_timer *timer)
{
    struct ask *a = (struct ask *)((char *)timer - offsetof(struct ask, timer));
    struct tdm_http_pool *pool = a->pool;

    (void)loop;
    if (a->line != NULL)
        http_line_close(a->line, TCP_ABORT); /* its answer would come later and to nobody */
    reply_error(a, TDM_ETIMEOUT, tdm_strerror(TDM_ETIMEOUT));
    http_pool_pump(pool);
}

/* ---- giving work to connections -------------------------------------------------------------- */

static void backoff_over(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    http_pool_pump((struct tdm_http_pool *)((char *)timer - offsetof(struct tdm_http_pool, backoff)));
}

static void pause_connecting(struct tdm_http_pool *pool)
{
    uint32_t jitter;

    pool->backoff_ms = pool->backoff_ms * 2 < BACKOFF_MAX_MS ? pool->backoff_ms * 2 : BACKOFF_MAX_MS;
    if (pool->backoff_ms < BACKOFF_MIN_MS)
        pool->backoff_ms = BACKOFF_MIN_MS;
    jitter = (uint32_t)(pool->loop->env->random(pool->loop->env) % (pool->backoff_ms / 4));
    loop_timer_set(pool->loop, &pool->backoff, pool->backoff_ms - jitter, backoff_over);
}

/* Answer everything that waits, keys included: release_order() moves the next of a key into the queue. */
static void fail_waiting(struct tdm_http_pool *pool, int err, const char *why)
{
    while (pool->waiting.first != NULL)
        reply_error(pool->waiting.first, err, why);
}

void http_pool_connect_failed(struct tdm_http_pool *pool, int err, const char *why)
{
    if (pool->ending)
        return;
    pause_connecting(pool);
    if (pool->line_count == pool->connecting) /* nothing that could still serve them */
        fail_waiting(pool, err, why);
}

void http_pool_pump(struct tdm_http_pool *pool)
{
    while (pool->waiting.first != NULL && pool->idle != NULL) {
        struct http_line *line = pool->idle;
        struct ask *a = pool->waiting.first;
        pool->idle = line->next_idle;
        list_remove(a);
        list_add(&pool->under_way, a);
        http_line_send(line, a);
    }
    while (!pool->ending && !pool->backoff.armed && pool->waiting.count > pool->connecting &&
           pool->line_count < pool->cfg.connections) {
        int err = http_line_open(pool);
        if (err != TDM_OK)
            http_pool_connect_failed(pool, err, tdm_strerror(err));
    }
}

void http_pool_requeue(struct ask *a)
{
    a->repeated = true;
    a->line = NULL;
    list_remove(a);
    list_add_front(&a->pool->waiting, a);
}

static void run_ask(struct loop *loop, struct loop_cmd *cmd)
{
    struct ask *a = (struct ask *)cmd;
    struct tdm_http_pool *pool = a->pool;
    bool full = pool->waiting.count + pool->held_back >= pool->cfg.queue;

    loop_timer_at(loop, &a->timer, a->deadline_ns, deadline_over);
    queue_in_order(pool, a);
    if (full && a->list == &pool->waiting && pool->idle != NULL)
        full = false; /* it does not wait at all */
    if (pool->ending)
        reply_error(a, TDM_ESHUTDOWN, tdm_strerror(TDM_ESHUTDOWN));
    else if (full)
        reply_error(a, TDM_EBUSY, tdm_strerror(TDM_EBUSY));
    else
        http_pool_pump(pool);
}

/* ---- tdm_http_request, on any thread --------------------------------------------------------- */

static bool is_word(const char *text, bool blanks)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (*p < ' ' || *p == 0x7f || (*p == ' ' && !blanks))
            return false;
    }
    return true;
}

static size_t write_request(char *buf, size_t bytes, const struct tdm_http_pool *pool,
                            const struct tdm_http_req *req)
{
    const char *type = req->content_type != NULL ? req->content_type : "application/json";
    char about_body[256] = "";
    int n;

    if (req->body_bytes > 0)
        snprintf(about_body, sizeof about_body, "Content-Type: %s\r\nContent-Length: %zu\r\n", type,
                 req->body_bytes);
    else if (strcmp(req->method, "GET") != 0 && strcmp(req->method, "HEAD") != 0)
        strcpy(about_body, "Content-Length: 0\r\n");
    n = snprintf(buf, bytes, "%s %s HTTP/1.1\r\n%s%s\r\n", req->method, req->target, pool->common,
                 about_body);
    return (size_t)n;
}

static struct ask *ask_new(struct loop *loop, struct tdm_http_pool *pool, const struct tdm_http_req *req)
{
    size_t head = write_request(NULL, 0, pool, req);
    size_t bytes = sizeof(struct ask) + head + 1 + req->body_bytes;
    struct ask *a = loop->env->alloc(loop->env, bytes);

    if (a == NULL)
        return NULL;
    memset(a, 0, sizeof *a);
    a->cmd = (struct loop_cmd){ .run = run_ask, .bytes = bytes };
    a->pool = pool;
    write_request(a->data, head + 1, pool, req);
    if (req->body_bytes > 0)
        memcpy(a->data + head, req->body, req->body_bytes);
    a->bytes = head + req->body_bytes;
    a->order_key = req->order_key;
    a->repeatable = strcmp(req->method, "POST") != 0 && strcmp(req->method, "PATCH") != 0;
    a->head = strcmp(req->method, "HEAD") == 0;
    a->deadline_ns = loop->env->now_ns(loop->env) + DEFAULT(req->timeout_ms, 30000) * UINT64_C(1000000);
    a->reply = tdm_msg_new(loop->rt, TDM_MSG_HTTP_REPLY, REPLY_ROOM);
    if (a->order_key != 0)
        a->order = loop->env->alloc(loop->env, sizeof *a->order);
    if (a->reply == NULL || (a->order_key != 0 && a->order == NULL)) {
        ask_free(loop, a);
        return NULL;
    }
    if (a->order != NULL)
        *a->order = (struct order){ .key = a->order_key };
    return a;
}

/* A request that cannot be sent is answered like any other. */
static tdm_ref answer_invalid(struct loop *loop, tdm_pid to)
{
    struct tdm_http_reply r = { .err = TDM_EINVAL };
    struct tdm_msg *msg = tdm_msg_new(loop->rt, TDM_MSG_HTTP_REPLY, sizeof r + 1);
    tdm_ref ref;

    if (msg == NULL)
        return 0;
    ref = msg->ref = runtime_next_ref(loop->rt);
    memcpy(tdm_msg_data(msg), &r, sizeof r);
    ((char *)tdm_msg_data(msg))[sizeof r] = '\0';
    loop_tell(loop, to, msg);
    return ref;
}

static bool valid(const struct tdm_http_req *req)
{
    return req->method != NULL && req->method[0] != '\0' && is_word(req->method, false) &&
           req->target != NULL && req->target[0] == '/' && is_word(req->target, false) &&
           strlen(req->method) < 32 &&
           (req->content_type == NULL ||
            (is_word(req->content_type, true) && strlen(req->content_type) < 128));
}

tdm_ref tdm_http_request(struct tdm_runtime *rt, struct tdm_http_pool *pool, tdm_pid to,
                         const struct tdm_http_req *req)
{
    struct loop *loop = pool->loop;
    struct ask *a;
    tdm_ref ref;

    if (!valid(req))
        return answer_invalid(loop, to);
    a = ask_new(loop, pool, req);
    if (a == NULL)
        return 0;
    a->to = to;
    ref = a->ref = runtime_next_ref(rt);
    loop_post(loop, &a->cmd);
    return ref;
}

/* ---- the pool's life ------------------------------------------------------------------------- */

static void release_pool(struct tdm_http_pool *pool)
{
    struct tdm_env *env = pool->loop->env;

    tls_ctx_unref(pool->tls);
    if (pool->common != NULL) {
        size_t n = strlen(pool->common) + 1;
        explicit_bzero(pool->common, n);
        env->free(env, pool->common, n);
    }
    text_free(env, pool->host);
    text_free(env, pool->server_name);
    env->free(env, pool, sizeof *pool);
}

static void run_start(struct loop *loop, struct loop_cmd *cmd)
{
    struct tdm_http_pool *pool =
        (struct tdm_http_pool *)((char *)cmd - offsetof(struct tdm_http_pool, start_cmd));

    pool->next = loop->pools;
    if (pool->next != NULL)
        pool->next->prev = pool;
    loop->pools = pool;
}

void http_pool_end(struct loop *loop, struct tdm_http_pool *pool)
{
    pool->ending = true;
    loop_timer_clear(loop, &pool->backoff);
    while (pool->under_way.first != NULL) {
        struct ask *a = pool->under_way.first;
        http_line_close(a->line, TCP_ABORT);
        reply_error(a, TDM_ECONN, "the pool was closed");
    }
    fail_waiting(pool, TDM_ECONN, "the pool was closed");
    while (pool->lines != NULL)
        http_line_close(pool->lines, TCP_FLUSH);
    if (pool->prev != NULL)
        pool->prev->next = pool->next;
    else
        loop->pools = pool->next;
    if (pool->next != NULL)
        pool->next->prev = pool->prev;
    release_pool(pool);
}

static void run_end(struct loop *loop, struct loop_cmd *cmd)
{
    http_pool_end(loop, (struct tdm_http_pool *)((char *)cmd - offsetof(struct tdm_http_pool, end_cmd)));
}

static int write_common(struct tdm_http_pool *pool, const struct tdm_http_pool_cfg *cfg)
{
    char auth[512], text[1024];
    bool v6 = strchr(cfg->host, ':') != NULL;
    int n, err = http_basic_header(auth, sizeof auth, cfg->user, cfg->password);

    if (err != TDM_OK)
        return TDM_EINVAL;
    n = snprintf(text, sizeof text, "Host: %s%s%s:%u\r\n%s", v6 ? "[" : "", cfg->host, v6 ? "]" : "",
                 cfg->port, auth);
    err = n < 0 || (size_t)n >= sizeof text ? TDM_EINVAL : text_copy(pool->loop->env, &pool->common, text);
    explicit_bzero(auth, sizeof auth);
    explicit_bzero(text, sizeof text);
    return err;
}

static void fill_defaults(struct tdm_http_pool *pool, const struct tdm_http_pool_cfg *cfg)
{
    pool->cfg = (struct tdm_http_pool_cfg){
        .port = cfg->port,
        .connections = DEFAULT(cfg->connections, 8),
        .queue = DEFAULT(cfg->queue, 10000),
        .idle_ms = DEFAULT(cfg->idle_ms, 10000),
        .connect_timeout_ms = DEFAULT(cfg->connect_timeout_ms, 5000),
        .body_max = DEFAULT(cfg->body_max, 8u << 20),
    };
}

int tdm_http_pool_new(struct tdm_runtime *rt, const struct tdm_http_pool_cfg *cfg, struct tdm_http_pool **ret)
{
    struct tdm_http_pool *pool;
    struct loop *loop;
    char why[128];
    int err;

    if (cfg->host == NULL || cfg->host[0] == '\0' || cfg->port == 0 || !is_word(cfg->host, false))
        return TDM_EINVAL;
    err = loop_of(rt, &loop);
    if (err < 0)
        return err;
    pool = loop->env->alloc(loop->env, sizeof *pool);
    if (pool == NULL)
        return TDM_ENOMEM;
    memset(pool, 0, sizeof *pool);
    pool->loop = loop;
    fill_defaults(pool, cfg);
    err = text_copy(loop->env, &pool->host, cfg->host);
    if (err == TDM_OK)
        err = text_copy(loop->env, &pool->server_name, cfg->tls.server_name);
    if (err == TDM_OK)
        err = write_common(pool, cfg);
    if (err == TDM_OK && cfg->tls.on) {
        err = tls_ctx_new(&pool->tls, loop->env, &cfg->tls, false, why, sizeof why);
        if (err == TDM_ETLS) /* the code alone would not say which file */
            tdm_log_error("io.tls", "why=%s", TDM_LOG_TEXT(why, strlen(why)));
    }
    if (err != TDM_OK) {
        release_pool(pool);
        return err;
    }
    pool->start_cmd.run = run_start;
    pool->end_cmd.run = run_end;
    *ret = pool;
    loop_post(loop, &pool->start_cmd);
    return TDM_OK;
}

void tdm_http_pool_free(struct tdm_http_pool *pool)
{
    if (pool != NULL)
        loop_post(pool->loop, &pool->end_cmd);
}
