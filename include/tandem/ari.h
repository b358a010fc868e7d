/* ari.h - start an Asterisk as a source of calls.
 *
 * A source is one subtree: the connection actor, which holds the event WebSocket, and the dynamic
 * supervisor under which each channel in one of `apps` has its actor. After every (re)connect the
 * server is asked what it holds, and calls are adopted or ended accordingly; the connection is tried
 * for ever, with a growing, jittered delay.
 *
 * The connection actor is registered as "source:<name>". It stands for the server: when the line is lost, who monitors or
 * is linked to it is told `noconnection`, and so is who tries while there is none; the actor lives on and connects again.
 *
 * The module that serves a channel has the name of the Stasis app: Stasis(reception) runs the app
 * added by tdm_app_add() as "reception". */
#ifndef TANDEM_ARI_H
#define TANDEM_ARI_H
#include "tandem/http.h"

struct tdm_runtime;
struct tdm_source;

/* What becomes of a channel that nobody here serves: no such app, no memory, or no new calls wanted. */
enum tdm_ari_unknown {
    TDM_ARI_HAND_BACK, /* continue in the dialplan, at the next priority */
    TDM_ARI_HANG_UP,   /* with cause 34, congestion */
    TDM_ARI_LEAVE,     /* nothing: another program may look after it */
};

/* Zero means the default. */
struct tdm_ari_cfg {
    const char *name;   /* of the source, in logs and call keys; required */
    const char *host;   /* required */
    uint16_t port;      /* default 8088, with TLS 8089 */
    const char *prefix; /* of http.conf, "/asterisk"; default none */
    struct tdm_tls_cfg tls;
    const char *user, *password; /* of ari.conf; required; never logged */
    const char *const *apps; /* Stasis apps, NULL at the end; at least one; up to 64 bytes each, no comma */
    bool subscribe_all;      /* events of all channels, bridges, endpoints and devices, not only of ours */
    uint32_t connections;    /* HTTP connections at most, besides the WebSocket; default 8. The server
                              * allows 100 of both together (http.conf, sessionlimit) */
    uint32_t request_timeout_ms;  /* default 5000 */
    uint32_t blocking_timeout_ms; /* of requests that the server answers only after the prompt that plays:
                                   * answer, set_var; default 60000 */
    uint32_t connect_timeout_ms;  /* default 5000 */
    uint32_t ping_ms, pong_ms;    /* silence after which we ping, and after which the server is given up;
                                   * default 10000 each */
    uint32_t backoff_min_ms, backoff_max_ms; /* between attempts; default 500 and 8000 */
    uint32_t replaced_ms; /* when another program took an app over: connect anew after this; default
                           * 60000; UINT32_MAX: never */
    uint32_t held_max;    /* bytes of events that may wait while the server is asked what it holds;
                           * default 32 MiB; more: connect anew */
    enum tdm_ari_unknown on_unknown;
    bool receipts; /* tell a simulated exchange what reached each call's actor; a real Asterisk
                    * answers such frames with an error that is ignored */
    bool trail;    /* tell it which actor took which event, too; a real Asterisk answers 404 */
};

/* Start the source; its subtree is a root supervisor, in *ret. Returns before the connection is made.
 * Threads: not on a worker.
 * Errors:  TDM_ECONFIG, with a line in the log that names the key; TDM_EEXIST a source of that name;
 *          TDM_ENOMEM. */
int tdm_ari_start(struct tdm_runtime *rt, const struct tdm_ari_cfg *cfg, tdm_pid *ret);

/* Tell the actor of every call of this source to stop; each then gives its call back to the dialplan. Returns at once.
 * Threads: any. TDM_ENOTFOUND: no such source. */
int tdm_ari_end_calls(struct tdm_runtime *rt, tdm_pid source);

/* Stop what still runs of it, at most timeout_ms, and free it. After tdm_runtime_stop() it only frees.
 * TDM_ETIMEOUT: it had to be killed. Threads: not on a worker. */
int tdm_ari_stop(struct tdm_runtime *rt, tdm_pid source, uint32_t timeout_ms);

/* No new calls from here on: each is treated as unknown. Running calls go on. Threads: any. */
int tdm_ari_drain(struct tdm_runtime *rt, tdm_pid source);

/* ---- how it is ------------------------------------------------------------------------------- */

enum tdm_ari_phase {
    TDM_ARI_WAITING, /* until the next attempt */
    TDM_ARI_CONNECTING,
    TDM_ARI_ASKING, /* connected; what the server holds is being compared with what we hold */
    TDM_ARI_LIVE,
    TDM_ARI_REPLACED, /* live, but another program has taken one of our apps over */
};

struct tdm_ari_state {
    enum tdm_ari_phase phase;
    bool connected;    /* the WebSocket is open */
    uint32_t attempts; /* in a row without success */
    uint64_t connects; /* how often the WebSocket was opened */
    uint64_t resyncs;  /* how often the comparison was completed */
    uint64_t server_restarts;
    uint64_t adopted, ended_unseen; /* calls that a comparison found or missed */
    int last_err;                   /* why the last connection failed or ended; TDM_OK: it has not */
    int last_status;                /* HTTP status of a refused upgrade, else 0 */
    char last_error[384];           /* the same in words, with what to do */
    size_t calls;
};
const char *tdm_ari_phase_name(enum tdm_ari_phase phase);

/* Threads: any. TDM_ENOTFOUND: no such source. */
int tdm_ari_state(struct tdm_runtime *rt, tdm_pid source, struct tdm_ari_state *ret);

#endif
