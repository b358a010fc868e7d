/* rest.h - one request, one reply, a deadline. */
#ifndef ACTORS_ARI_REST_H
#define ACTORS_ARI_REST_H
#include "ari.h"

#define REST_TARGET_BYTES 4000 /* the server takes request lines up to about 4090 */

struct rest_request {
    const char *method;
    const char *target; /* path and query below /ari, with its leading slash, percent-encoded */
    const char *body;   /* JSON, or NULL */
    size_t body_bytes;
    uint32_t timeout_ms; /* 0: the source's request_timeout_ms */
    uint64_t order_key;  /* rest_order_key(): behind earlier requests of the same channel; 0: at once */
};

/* Send it. One TDM_MSG_HTTP_REPLY with *ret as its ref comes to `to`, in every case that returns TDM_OK.
 * All requests of a source go through here: it is the place to choose another transport.
 * Threads: any. Errors: TDM_ETOOBIG the target is too long for the server; TDM_ENOMEM. */
int rest_send(struct ari *a, tdm_pid to, const struct rest_request *req, tdm_ref *ret);

/* The order key of a channel's requests; never 0. */
uint64_t rest_order_key(const char *channel_id);

/* What a 404 means depends on what was asked for. */
enum rest_about { REST_CHANNEL, REST_PLAYBACK, REST_VARIABLE, REST_OTHER };

#define REST_WORDS_BYTES 320

/* The outcome as an error code, TDM_OK for 2xx. `words` (REST_WORDS_BYTES, may be NULL): what happened
 * and what to do about it, "" on success.
 *   404 channel: TDM_EHANGUP, else TDM_ENOTFOUND; 400, 405, 409, 412, 413, 422: TDM_EREFUSED; 401, 403:
 *   TDM_EAUTH; 501: TDM_ENOTSUP; other 5xx: TDM_EPEER. Source: Asterisk 22's ARI description and sources. */
int rest_outcome(const struct tdm_http_reply *reply, enum rest_about about, char *words);

/* The reply that a message carries; NULL for any other message. */
const struct tdm_http_reply *rest_reply(const struct tdm_msg *msg);

#endif
