/* rest.c - one request, one reply, a deadline.
 *
 * Idea:  every request of a source passes rest_send(), which adds the prefix and the deadline and
 *        counts. The requests are made in operation.c. The connections and the queue behind it are the pool's (http.h).
 * Order: the requests of one channel share an order key, so they reach the server one after the
 *        other, as its own thread will execute them anyway. Two kinds of requests must overtake: to
 *        hang up and to stop a playback, because they are what ends the prompt that a blocked request
 *        waits for (as Asterisk 22 does). They have the key 0.
 * Threads: any; there is no state here but the counters. */
#include "rest.h"
#include "json_scan.h"
#include "json_text.h"

#include <stdio.h>
#include <string.h>

static TDM_COUNTER(requests, "tandem_ari_requests_total", "REST requests sent to Asterisk servers");
static TDM_COUNTER(refused, "tandem_ari_requests_refused_total",
                   "REST requests answered by a status that is not 2xx");
static TDM_COUNTER(failed, "tandem_ari_requests_failed_total",
                   "REST requests without an answer: time, connection, queue");

uint64_t rest_order_key(const char *channel_id)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a; two channels with one key would only share a queue */

    for (; *channel_id != '\0'; channel_id++)
        hash = (hash ^ (unsigned char)*channel_id) * 1099511628211u;
    return hash != 0 ? hash : 1;
}

int rest_send(struct ari *a, tdm_pid to, const struct rest_request *req, tdm_ref *ret)
{
    char target[REST_TARGET_BYTES];
    const int n =
        snprintf(target, sizeof target, "%s/ari%s", a->cfg.prefix != NULL ? a->cfg.prefix : "", req->target);

    if (n < 0 || (size_t)n >= sizeof target)
        return TDM_ETOOBIG;
    const tdm_ref ref =
        tdm_http_request(a->rt, a->pool, to,
                         &(struct tdm_http_req){
                             .method = req->method,
                             .target = target,
                             .body = req->body,
                             .body_bytes = req->body_bytes,
                             .timeout_ms = req->timeout_ms > 0 ? req->timeout_ms : a->cfg.request_timeout_ms,
                             .order_key = req->order_key });

    if (ref == 0)
        return TDM_ENOMEM;
    tdm_count(&requests, 1);
    *ret = ref;
    return TDM_OK;
}

/* ---- the reply ------------------------------------------------------------------------------- */

const struct tdm_http_reply *rest_reply(const struct tdm_msg *msg)
{
    return msg->type == TDM_MSG_HTTP_REPLY ? tdm_msg_view(msg) : NULL;
}

/* The server's own words: {"message":"..."} or, out of memory, {"error":"..."}; "" when there are none. */
static const char *message_of(const struct tdm_http_reply *r, char *buf, size_t bytes)
{
    struct json_slice text;
    ptrdiff_t used = 0;

    if (r->body_bytes > 0 && json_scan(NULL, r->body, r->body_bytes, NULL, NULL) == TDM_OK &&
        (json_text_find(r->body, r->body_bytes, "message", &text) ||
         json_text_find(r->body, r->body_bytes, "error", &text)) &&
        text.kind == JSON_SCAN_STRING)
        used = json_text_unescape(buf, bytes - 1, text.at, text.bytes);
    buf[used > 0 ? used : 0] = '\0';
    return buf;
}

static int not_found(enum rest_about about, const char *message)
{
    const bool channel =
        about == REST_CHANNEL || (about == REST_VARIABLE && strcmp(message, "Channel not found") == 0);

    return channel ? TDM_EHANGUP : TDM_ENOTFOUND;
}

static int refusal(int status, enum rest_about about, const char *message, const char **advice)
{
    *advice = "";
    switch (status) {
    case 401:
        *advice = ": the server does not know this user and password (ari.conf)";
        return TDM_EAUTH;
    case 403:
        *advice = ": the account is read_only or not allowed from this address (ari.conf)";
        return TDM_EAUTH;
    case 404:
        return not_found(about, message);
    case 409:
        if (about == REST_CHANNEL)
            *advice = ": the channel has left the app (hung up, moved, or continued in the dialplan); only "
                      "hangup and "
                      "get_var still reach it";
        return TDM_EREFUSED;
    case 412:
        *advice = ": the channel is down or still ringing; dial it, or wait until it is answered";
        return TDM_EREFUSED;
    case 501:
        return TDM_ENOTSUP;
    case 503:
        *advice = ": the server is still starting";
        return TDM_EPEER;
    default:
        return status >= 500 ? TDM_EPEER : TDM_EREFUSED;
    }
}

int rest_outcome(const struct tdm_http_reply *r, enum rest_about about, char *words)
{
    char message[160], unused[REST_WORDS_BYTES];
    const char *advice;

    words = words != NULL ? words : unused;
    *words = '\0';
    if (r->err != TDM_OK) {
        tdm_count(&failed, 1);
        snprintf(words, REST_WORDS_BYTES, "no answer from the server: %s", tdm_strerror(r->err));
        return r->err;
    }
    if (r->status >= 200 && r->status < 300)
        return TDM_OK;
    tdm_count(&refused, 1);
    message_of(r, message, sizeof message);
    const int err = refusal(r->status, about, message, &advice);

    snprintf(words, REST_WORDS_BYTES, "%d %s%s", r->status, message, advice);
    return err;
}
