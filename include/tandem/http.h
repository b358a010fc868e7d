/* http.h - HTTP/1.1 as messages: a client with a pool of kept-alive connections, and a server.
 *
 * Sockets live on the runtime's I/O thread. Everything here may be called from any thread, never
 * blocks and never runs your code: results are messages. */
#ifndef TANDEM_HTTP_H
#define TANDEM_HTTP_H
#include <stdbool.h>
#include "tandem/actor.h"

/* One connection of a server, or one WebSocket: slot and generation, like a pid. {0}: none. */
typedef struct {
    uint64_t id;
} tdm_conn;

struct tdm_tls_cfg {
    bool on;
    const char *ca_file;              /* NULL: the system's */
    const char *server_name;          /* NULL: the host; what the certificate must name */
    const char *cert_file, *key_file; /* a client certificate, or the server's own */
};

/* ---- client ---------------------------------------------------------------------------------- */

struct tdm_http_pool; /* connections to one peer, and the requests that wait for them */

struct tdm_http_pool_cfg {
    const char *host;
    uint16_t port;
    struct tdm_tls_cfg tls;
    const char *user, *password; /* Basic, sent with every request; never logged */
    uint32_t connections;        /* at most; default 8 */
    uint32_t queue;              /* waiting requests, at most; default 10000 */
    uint32_t idle_ms;            /* a connection idle for longer is closed; default 10000 */
    uint32_t connect_timeout_ms; /* default 5000 */
    uint32_t body_max;           /* largest answer; default 8 MiB */
};
/* Nothing is connected yet. While the peer is down, requests are answered with TDM_ECONN as soon as an
 * attempt to connect fails; attempts are 0.1 s apart, then more, at most 2 s. Errors: TDM_EINVAL; TDM_ENOMEM;
 * TDM_ETLS a file of `tls` cannot be used (the log says which). */
int tdm_http_pool_new(struct tdm_runtime *rt, const struct tdm_http_pool_cfg *cfg,
                      struct tdm_http_pool **ret);
/* Requests that wait or are under way end with TDM_ECONN. NULL is fine. */
void tdm_http_pool_free(struct tdm_http_pool *pool);

struct tdm_http_req {
    const char *method;       /* "GET" ... */
    const char *target;       /* path and query, already percent-encoded */
    const char *content_type; /* with a body; default application/json */
    const void *body;
    size_t body_bytes;
    uint32_t timeout_ms; /* from now to the last byte of the answer; default 30000 */
    /* Requests with the same non-zero key are sent one after the other, in the order given here,
     * each after the answer to the one before. */
    uint64_t order_key;
};

/* Payload of TDM_MSG_HTTP_REPLY (msg->ref is the request's). */
struct tdm_http_reply {
    int err;    /* TDM_OK when there is a status; else TDM_ETIMEOUT, TDM_ECONN, TDM_ETLS, TDM_EBUSY, ... */
    int status; /* 200 ... */
    uint32_t body_bytes;
    char content_type[64];
    char body[]; /* ends in a NUL that is not counted; with `err` the words for a log */
};

/* Ask. One TDM_MSG_HTTP_REPLY with the returned ref comes to `to`, always and exactly once. GET, PUT and
 * DELETE are sent again once when a kept-alive connection turns out closed before the first byte of the
 * answer; POST is not (as Asterisk 22 does), unless nothing of it was written.
 * Returns 0 when out of memory (no reply will come). `req` is copied. */
tdm_ref tdm_http_request(struct tdm_runtime *rt, struct tdm_http_pool *pool, tdm_pid to,
                         const struct tdm_http_req *req);

/* ---- server ---------------------------------------------------------------------------------- */

struct tdm_http_server;

struct tdm_http_server_cfg {
    const char *address; /* default 127.0.0.1 */
    uint16_t port;       /* 0: a free one */
    struct tdm_tls_cfg tls;
    tdm_pid owner;        /* gets TDM_MSG_HTTP_REQUEST, TDM_MSG_WS_UPGRADE and what follows */
    uint32_t connections; /* at most; more are closed without an answer; default 1000 */
    uint32_t header_max;  /* request line and headers; default 16 KiB; more: 431 */
    uint32_t body_max;    /* default 64 KiB; more: 413 */
    uint32_t idle_ms;     /* default 15000 */
};
/* Listens when it returns; `address` is a literal, IPv4 or IPv6. With tls.ca_file clients must show a
 * certificate of that authority. It refuses by itself what is not HTTP (400), too large (413, 431), another
 * WebSocket version (426), or what the owner has not taken after 2 s of a full mailbox (503).
 * A server whose owner has ended without freeing it loses its port to the next that asks for the same.
 * Errors: -EADDRINUSE and kin, TDM_ETLS. */
int tdm_http_server_new(struct tdm_runtime *rt, const struct tdm_http_server_cfg *cfg,
                        struct tdm_http_server **ret);
uint16_t tdm_http_server_port(const struct tdm_http_server *s);
/* Closes the listener and its connections; WebSockets that were accepted live on. The port is free when it
 * returns, for which it waits for the I/O thread (microseconds); so not from a tap of ws.h. NULL is fine. */
void tdm_http_server_free(struct tdm_http_server *s);

/* Payload of TDM_MSG_HTTP_REQUEST and TDM_MSG_WS_UPGRADE. Pointers point into the message. */
struct tdm_http_request {
    tdm_conn conn; /* this request; the next one on the same connection has another */
    const char *method;
    const char *path;          /* as sent, up to '?'; not decoded */
    const char *query;         /* after '?', "" when none; not decoded */
    const char *authorization; /* the header's value, "" when absent */
    const char *content_type;
    const char *subprotocols; /* Sec-WebSocket-Protocol */
    const char *body;
    uint32_t body_bytes;
    bool keep_alive;
};

/* Answer the request `conn`. `headers` are extra lines, each ended by \r\n, or NULL. One answer per
 * request; the connection goes on, to its next request, when the request allowed it. HEAD, 204 and 304 go
 * without the body.
 * Errors: TDM_ENOPROC the client is gone, or the request was answered; TDM_ESTATE it was answered.
 * When the client resets the connection first, the owner gets one TDM_MSG_CONN_GONE, whose payload is the
 * tdm_conn. Threads: any. */
int tdm_http_respond(struct tdm_runtime *rt, tdm_conn conn, int status, const char *headers,
                     const char *content_type, const void *body, size_t body_bytes);

/* ---- helpers --------------------------------------------------------------------------------- */

/* Percent-encode everything but A-Z a-z 0-9 - . _ ~ (one path segment or query value). Returns the
 * length needed, like snprintf. */
size_t tdm_url_encode(char *buf, size_t buf_bytes, const void *text, size_t bytes);
/* Decode in place, '+' kept; returns the new length, or TDM_ESYNTAX. The result may hold any byte. */
int tdm_url_decode(char *text, size_t bytes);
/* Value of `name` in a query or form body, decoded ('+' is a blank); length, or TDM_ENOTFOUND. */
int tdm_url_param(const char *query, const char *name, char *buf, size_t buf_bytes);

#endif
