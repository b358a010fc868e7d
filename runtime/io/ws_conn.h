/* ws_conn.h - one WebSocket after its handshake, either side, as ws.c, ws_client.c and the HTTP server see
 * it. Touched by the loop only. */
#ifndef RUNTIME_IO_WS_CONN_H
#define RUNTIME_IO_WS_CONN_H
#include "io/tcp.h"
#include "io/ws_decoder.h"
#include "tandem/ws.h"

struct ws_handshake; /* ws_client.c */

enum ws_phase {
    WS_CONNECTING, /* a client before the 101 */
    WS_LIVE,
    WS_CLOSING, /* our close is sent, the peer's is awaited */
    WS_OVER,    /* CLOSED is told */
};

struct ws {
    struct loop *loop;
    struct tcp *tcp; /* NULL before a client begins and after the end */
    struct handle *handle;
    enum ws_phase phase;
    bool client;
    bool paused_by_owner;
    tdm_pid owner;
    tdm_ws_tap *tap;
    void *tap_ctx;
    uint32_t ping_ms, pong_ms;
    uint64_t pinged_ns; /* when the last ping went out; 0: none is unanswered */
    struct ws_decoder decoder;
    struct tdm_msg *closed;  /* the last thing to tell, made in advance */
    struct tdm_msg *held;    /* the owner's mailbox was full: first to go when it is not */
    uint32_t held_ms;        /* how long to wait before the next try */
    struct loop_timer timer; /* ping, pong; then the close */
    struct loop_timer held_timer;
    struct out *early_head, *early_tail; /* a client's messages from before the 101 */
    struct ws_handshake *handshake;      /* while connecting */
};

/* The message that will say CLOSED; made while want of memory can still be told. Threads: any. */
struct tdm_msg *ws_closed_new(struct loop *loop);
/* Takes `closed` on success. NULL: no memory. */
struct ws *ws_new(struct loop *loop, struct handle *handle, const struct tdm_ws_accept_cfg *cfg,
                  struct tdm_msg *closed);
void ws_free(struct ws *w); /* NULL is fine */

/* The handshake is done: from here on `tcp` carries frames. Tells OPEN. */
void ws_begin(struct ws *w, struct tcp *tcp);

/* Bytes of frames; what tcp_ops.data says. */
size_t ws_data(struct ws *w, char *p, size_t n);

/* It is over: tell CLOSED, once, and let the connection go. */
void ws_finish(struct ws *w, int err, int http_status, unsigned code, const char *text, enum tcp_how how);

/* Send a close frame and wait for the peer's. */
void ws_close(struct ws *w, unsigned code, const char *text, size_t text_bytes);

/* Queue frames that are ready for the wire, or keep them until the handshake is done. Takes `o`. */
void ws_put(struct ws *w, struct out *o);

/* A frame in a buffer of its own, masked if `client`. NULL: out of memory. Threads: any. */
struct out *ws_frame_new(struct loop *loop, bool client, enum ws_op op, const void *p, size_t n);

void ws_pause(struct ws *w, bool pause);

#endif
