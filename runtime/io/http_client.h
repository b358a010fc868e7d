/* http_client.h - the HTTP client's parts: the pool (http_client.c), one connection (http_line.c). */
#ifndef RUNTIME_IO_HTTP_CLIENT_H
#define RUNTIME_IO_HTTP_CLIENT_H
#include "io/http_head.h"
#include "io/tcp.h"

enum { ORDER_BUCKETS = 64, REPLY_ROOM = 512 };

struct http_line;
struct order;

/* One request, from tdm_http_request() to its reply. */
struct ask {
    struct loop_cmd cmd; /* how it comes to the loop; first */
    struct tdm_http_pool *pool;
    tdm_pid to;
    tdm_ref ref;
    struct tdm_msg *reply; /* made with the request, so that an answer never fails for want of memory */
    struct order *order;   /* made with the request if it has a key; the chain's when it is at its head */
    uint64_t order_key;
    uint64_t deadline_ns;
    uint32_t timeout_ms;
    struct loop_timer timer;
    struct ask_list *list; /* where it waits */
    struct ask *next, *prev;
    struct http_line *line; /* on which it is under way */
    bool repeatable;        /* GET, PUT, DELETE: may be sent twice */
    bool repeated;
    bool head; /* HEAD: the answer has no body */
    size_t bytes;
    char data[]; /* as it goes onto the wire */
};

struct ask_list {
    struct ask *first, *last;
    uint32_t count;
};

/* Requests of one key: one is under way or in the pool's queue, the others wait here. */
struct order {
    uint64_t key;
    struct order *next; /* in its bucket */
    struct ask_list behind;
};

struct tdm_http_pool {
    struct loop *loop;
    /* fixed when made */
    char *host, *server_name;
    struct tdm_http_pool_cfg cfg; /* numbers only; defaults filled in */
    struct tls_ctx *tls;
    char *common; /* headers that every request has; wiped at the end */
    /* the loop only */
    struct ask_list waiting;
    struct ask_list under_way;
    uint32_t held_back; /* requests that wait behind their key */
    struct order *orders[ORDER_BUCKETS];
    struct http_line *lines; /* all */
    struct http_line *idle;  /* most recently used first */
    uint32_t line_count, connecting;
    uint32_t backoff_ms; /* the last pause after a failed connect; 0: the last connect was good */
    struct loop_timer backoff;
    bool ending;
    struct tdm_http_pool *next, *prev;
    struct loop_cmd start_cmd, end_cmd;
};

/* One connection of a pool. */
struct http_line {
    struct http_head head; /* first: parser.data is this */
    struct tdm_http_pool *pool;
    struct tcp *tcp;
    struct ask *ask; /* whose answer is awaited */
    struct bytes body;
    bool open, reused, in_answer, complete, keep_alive;
    uint64_t written_before; /* tcp->written when the request was queued */
    struct loop_timer idle_timer;
    struct http_line *next, *prev;
    struct http_line *next_idle;
};

/* ---- http_line.c ----------------------------------------------------------------------------- */

int http_line_open(struct tdm_http_pool *pool);
void http_line_send(struct http_line *line, struct ask *ask);
void http_line_close(struct http_line *line, enum tcp_how how); /* forgets its ask */

/* ---- http_client.c --------------------------------------------------------------------------- */

/* The answer to `ask`: status and body, or err and words. Frees it. */
void http_pool_reply(struct ask *ask, int err, int status, const char *type, const char *body, size_t n);
void http_pool_requeue(struct ask *ask); /* to the front: the connection was stale */
void http_pool_connect_failed(struct tdm_http_pool *pool, int err, const char *why);
void http_pool_pump(struct tdm_http_pool *pool); /* give waiting requests to connections */
void http_pool_end(struct loop *loop, struct tdm_http_pool *pool);

#endif
