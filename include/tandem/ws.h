/* ws.h - WebSockets (RFC 6455) as messages, client and server side.
 *
 * Frames of one message are put together before anyone sees them; pings are answered; UTF-8 of text is
 * checked. Extensions are not offered. A connection reports to one owner:
 *   TDM_MSG_WS_OPEN    struct tdm_ws_state
 *   TDM_MSG_WS_TEXT, TDM_MSG_WS_BINARY    tdm_conn, then the bytes (struct tdm_ws_data)
 *   TDM_MSG_WS_CLOSED  struct tdm_ws_state; the last one, exactly once, also when connecting failed */
#ifndef TANDEM_WS_H
#define TANDEM_WS_H
#include "tandem/http.h"

struct tdm_ws_state {
    tdm_conn conn;
    int err;         /* CLOSED: TDM_OK after an orderly close, else what went wrong */
    int http_status; /* when the upgrade was refused: 401, 404, ...; else 0 */
    uint16_t code;   /* close code; 1006 when there was none */
    char text[128];
};

struct tdm_ws_data {
    tdm_conn conn;
    uint32_t bytes;
    char data[]; /* ends in a NUL that is not counted */
};

/* Called on the I/O thread for each whole message instead of sending it to the owner: for a source that
 * routes events straight to their actors. `bytes` of `data` are valid during the call; data[bytes] may be
 * read and is not meaningful. It must not block, and returns false to close the connection (1002). */
typedef bool tdm_ws_tap(void *ctx, tdm_conn conn, bool text, const char *data, size_t bytes);

struct tdm_ws_cfg {
    const char *host;
    uint16_t port;
    const char *target; /* "/ari/events?app=x" */
    struct tdm_tls_cfg tls;
    const char *user, *password; /* Basic, in the header; never in the URL, never logged */
    const char *subprotocol;     /* or NULL */
    tdm_pid owner;
    tdm_ws_tap *tap; /* or NULL */
    void *tap_ctx;
    uint32_t connect_timeout_ms; /* to the 101; default 5000 */
    uint32_t ping_ms;            /* silence after which we ping; default 10000; UINT32_MAX: never */
    uint32_t pong_ms;            /* silence after a ping that means dead; default 10000 */
    uint32_t message_max;        /* default 16 MiB; more: close 1009 */
    uint32_t unsent_max;         /* bytes that may wait to be written; default 4 MiB */
};
/* Returns at once; OPEN or CLOSED follows. Errors: TDM_EINVAL, TDM_ENOMEM. Everything in cfg is copied. */
int tdm_ws_connect(struct tdm_runtime *rt, const struct tdm_ws_cfg *cfg, tdm_conn *ret);

/* Server side: answer a TDM_MSG_WS_UPGRADE with 101, and from then on report to `owner`: when it
 * returns TDM_OK one CLOSED will come, also when the client has gone meanwhile or the 101 could not be made (then without
 * an OPEN). To refuse use tdm_http_respond(). `raw_out`: see tdm_ws_send_raw. */
struct tdm_ws_accept_cfg {
    tdm_pid owner;
    const char *subprotocol; /* echoed; NULL: none */
    tdm_ws_tap *tap;
    void *tap_ctx;
    uint32_t ping_ms, pong_ms, message_max, unsent_max;
    uint32_t write_timeout_ms; /* unsent bytes older than this end the connection; 0: never */
};
int tdm_ws_accept(struct tdm_runtime *rt, tdm_conn conn, const struct tdm_ws_accept_cfg *cfg);

/* Send one text message. Order: as called, from one thread. Errors: TDM_ENOPROC gone, TDM_EFULL too much
 * unsent. Threads: any. */
int tdm_ws_send(struct tdm_runtime *rt, tdm_conn conn, const void *text, size_t bytes);

/* Bytes as they are onto the wire, for test peers that misbehave on purpose. */
int tdm_ws_send_raw(struct tdm_runtime *rt, tdm_conn conn, const void *bytes, size_t n);

/* Close with a code and words; abort: reset the TCP connection without a word. CLOSED follows. */
int tdm_ws_close(struct tdm_runtime *rt, tdm_conn conn, uint16_t code, const char *text);
int tdm_ws_abort(struct tdm_runtime *rt, tdm_conn conn);

/* Stop or go on reading from the connection (back-pressure, slow readers in tests). */
int tdm_ws_pause(struct tdm_runtime *rt, tdm_conn conn, bool pause);

#endif
