/* tcp.h - one stream connection: connecting, reading, writing, TLS in between, and an orderly end.
 *
 * A connection has one owner, a struct of http_*.c or ws_*.c, that is told through a table of functions.
 * All of this is touched by the loop only. */
#ifndef RUNTIME_IO_TCP_H
#define RUNTIME_IO_TCP_H
#include "io/bytes.h"
#include "io/loop.h"
#include "io/tls.h"

struct connect;

/* Bytes to write; also a command, so that what a sender allocated goes into the queue without a copy. */
struct out {
    struct loop_cmd cmd;
    struct out *next;
    tdm_conn conn;         /* for whom, when it comes through the inbox */
    struct handle *handle; /* whose `unsent` it is charged to, or NULL */
    size_t charged;
    size_t at, end; /* data[at..end) is left */
    size_t head;    /* of an answer: where its body begins */
    uint64_t queued_ns;
    char data[];
};

/* What the owner is told. After closed(), or after its own tcp_end(), nothing but freed() comes. */
struct tcp_ops {
    void (*opened)(struct tcp *t); /* connected, TLS and all; not for accepted plain connections */
    /* Bytes came. Returns how many are done with; the rest comes again, at the front of what follows. At
     * p[n] LOOP_RX_SLACK bytes are readable. The owner may write into the bytes. */
    size_t (*data)(struct tcp *t, char *p, size_t n);
    /* It is over. TDM_OK: the peer ended the stream. Words: t->why. */
    void (*closed)(struct tcp *t, int err);
    void (*freed)(struct tcp *t); /* no event can name the owner any more: free it */
};

enum tcp_state { TCP_CONNECTING, TCP_HANDSHAKE, TCP_OPEN, TCP_ENDING, TCP_DEAD };

enum tcp_how {
    TCP_FLUSH,  /* close when everything is written */
    TCP_LINGER, /* and then swallow what still comes until the peer closes, at most a second: closing on
                 * unread bytes would reset the connection and could take our last words with it */
    TCP_ABORT,  /* now, with a reset */
};

struct tcp {
    struct loop_source source;
    struct loop *loop;
    const struct tcp_ops *ops;
    void *owner;
    int fd;
    uint32_t events; /* what the poller watches for */
    enum tcp_state state;
    enum tcp_how how;
    bool paused;   /* the owner takes no bytes now */
    bool offer;    /* the owner takes bytes again: offer those kept */
    bool is_dirty; /* on the dirty list */
    bool eof;      /* the peer ended its half */
    int failed;    /* sending went wrong: told at the end of the round */
    bool hold_eof; /* the owner still has an answer to write: closed(TDM_OK) only when it lets go */
    struct tls *tls;
    struct out *out_head, *out_tail;
    struct bytes kept;         /* received, not yet used by the owner */
    uint32_t write_timeout_ms; /* unsent bytes older than this end the connection; 0: never */
    struct loop_timer timer;   /* connecting; then unsent bytes; then lingering */
    uint64_t read_ns;          /* when bytes last came */
    uint64_t written;          /* bytes the socket took, ever */
    struct connect *connect;   /* while connecting */
    struct tcp *next, *prev;   /* live or dead list */
    struct tcp *next_dirty;
    char why[128];
};

struct tcp_connect_cfg {
    const char *host;
    uint16_t port;
    uint32_t timeout_ms;     /* to opened() */
    struct tls_ctx *tls;     /* or NULL */
    const char *server_name; /* TLS: what the certificate must name */
    const struct tcp_ops *ops;
    void *owner;
};

/* Begin to connect; opened() or closed() follows, never from inside this call. TDM_ENOMEM. */
int tcp_connect(struct loop *loop, const struct tcp_connect_cfg *cfg, struct tcp **ret);

/* Take over an accepted socket; on failure it is closed. */
int tcp_accepted(struct loop *loop, int fd, struct tls_ctx *tls, const struct tcp_ops *ops, void *owner,
                 struct tcp **ret);

/* A buffer with room for `n` bytes, at == 0, end == n. NULL: out of memory. Threads: any. */
struct out *out_new(struct loop *loop, size_t n);
void out_free(struct loop *loop, struct out *o);

/* Queue bytes; written at the end of the round. Takes `o`. Dropped when the connection is ending. closed() never comes from
 * inside. */
void tcp_send(struct tcp *t, struct out *o);
int tcp_send_text(struct tcp *t, const char *text, size_t n); /* copied */

void tcp_pause(struct tcp *t, bool pause);

/* The owner is done. Nothing but freed() is told from here on. */
void tcp_end(struct tcp *t, enum tcp_how how);

/* The connection failed: tell the owner closed(err). For tcp.c, connect.c and tls errors. */
void tcp_fail(struct tcp *t, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- for connect.c and loop.c ---------------------------------------------------------------- */

struct tcp *tcp_new(struct loop *loop, const struct tcp_ops *ops, void *owner);
int tcp_use_tls(struct tcp *t, struct tls *session); /* NULL session, or no buffer: TDM_ENOMEM */
void tcp_watch(struct tcp *t, uint32_t events);
void tcp_connected(struct tcp *t); /* the socket is up: handshake, or opened() */
void tcp_dirty(struct tcp *t);     /* look at it at the end of the round */
void tcp_flush_dirty(struct loop *loop);
void tcp_bury(struct loop *loop);
void tcp_end_all(struct loop *loop);

/* ---- tcp_write.c, for tcp.c ------------------------------------------------------------------ */

bool tcp_flush(struct tcp *t); /* write what the socket takes; false: the connection died of it */
int tcp_send_encrypted(struct tcp *t, struct out *cause); /* queue what TLS has to say; cause NULL: itself */
void tcp_drop_output(struct tcp *t);

#endif
