/* http_server.h - the HTTP server as the rest of runtime/io/ sees it. */
#ifndef RUNTIME_IO_HTTP_SERVER_H
#define RUNTIME_IO_HTTP_SERVER_H
#include "io/http_head.h"
#include "io/tcp.h"
#include "tandem/ws.h"

struct http_peer;

struct tdm_http_server {
    struct loop_source source; /* the listening socket */
    struct loop *loop;
    struct tdm_http_server_cfg cfg; /* defaults filled in; its texts are not kept */
    struct tls_ctx *tls;
    int fd;
    uint16_t port;
    /* the loop only */
    bool listening;
    uint32_t peer_count;
    struct http_peer *peers;
    struct loop_timer pause; /* no descriptors left: try again later */
    struct tdm_http_server *next, *prev;
    /* the end, see tdm_http_server_free() */
    struct loop_cmd end_cmd;
    struct tdm_parker parker;
    _Atomic uint32_t ended;
    _Atomic uint32_t holders; /* who may still touch this memory */
};

/* One accepted connection. */
struct http_peer {
    struct http_head head; /* first: parser.data is this */
    struct tdm_http_server *server;
    struct tcp *tcp;
    struct handle *handle;
    struct bytes body;
    struct tdm_msg *held;    /* a request that the owner's mailbox did not take yet */
    uint32_t held_ms;        /* how long it has waited */
    struct loop_timer timer; /* idle, or the held request */
    bool begun;              /* a part of a request has come */
    bool answering;          /* a request is with the owner */
    bool keep_alive;
    int refuse; /* the status that ends the connection, found while parsing */
    struct http_peer *next, *prev;
};

/* Accepted by the server. */
void http_peer_new(struct tdm_http_server *s, int fd);
void http_peer_end(struct http_peer *p, enum tcp_how how);
void http_peer_refuse(struct http_peer *p, int status); /* answer so, and end it */
void http_peer_answered(struct http_peer *p);           /* on to the next request, or to the end */
void http_peer_detach(struct http_peer *p); /* free it; its connection and handle are somebody else's now */

/* The 101: the connection becomes a WebSocket, which takes `closed` on TDM_OK. The answer was claimed. TDM_ENOMEM:
 * refused. */
int http_peer_upgrade(struct http_peer *p, const struct tdm_ws_accept_cfg *cfg, struct tdm_msg *closed);

/* Take the right to answer the request in hand. Returns the ANSWER_* bits; TDM_ENOPROC; TDM_ESTATE: it was
 * answered, or `upgrade` and the request did not ask for one. Threads: any. */
int http_answer_claim(struct loop *loop, tdm_conn conn, bool upgrade);
void http_answer_unclaim(struct loop *loop, tdm_conn conn, int bits);

/* Close the listener and all connections; memory goes when nobody holds it any more. The loop only. */
void http_server_end(struct loop *loop, struct tdm_http_server *s);

#endif
