/* rest.c - one request, one reply, a deadline.
 *
 * Idea:  every request of a source passes rest_send(), which builds the target, adds the deadline and
 *        counts. The connections and the queue behind it are the pool's (http.h).
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

/* ---- the target ------------------------------------------------------------------------------ */

struct line {
    char *at;
    size_t bytes, room;
    bool full;
};

static void add(struct line *l, const char *text)
{
    const size_t bytes = strlen(text);

    l->full |= bytes >= l->room - l->bytes;
    if (l->full)
        return;
    memcpy(l->at + l->bytes, text, bytes + 1);
    l->bytes += bytes;
}

static void add_encoded(struct line *l, const char *text)
{
    if (l->full)
        return;
    const size_t bytes = tdm_url_encode(l->at + l->bytes, l->room - l->bytes, text, strlen(text));

    l->full = bytes >= l->room - l->bytes;
    if (!l->full)
        l->bytes += bytes;
}

int rest_target(char *buf, size_t bytes, const char *prefix, const struct rest_request *req)
{
    struct line l = { .at = buf, .room = bytes };
    const char *mark = "?";

    add(&l, prefix != NULL ? prefix : "");
    add(&l, "/ari");
    for (int i = 0; i < REST_SEGMENTS && req->path[i] != NULL; i++) {
        add(&l, "/");
        add_encoded(&l, req->path[i]);
    }
    for (int i = 0; i < REST_QUERIES && req->query[i].name != NULL; i++) {
        if (req->query[i].value == NULL)
            continue;
        add(&l, mark);
        add(&l, req->query[i].name);
        add(&l, "=");
        add_encoded(&l, req->query[i].value);
        mark = "&";
    }
    return l.full ? TDM_ETOOBIG : TDM_OK;
}

uint64_t rest_order_key(const char *channel_id)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a; two channels with one key would only share a queue */

    for (; *channel_id != '\0'; channel_id++)
        hash = (hash ^ (unsigned char)*channel_id) * 1099511628211u;
    return hash != 0 ? hash : 1;
}

static int send(struct ari *a, tdm_pid to, const struct rest_line *line, tdm_ref *ret)
{
    const tdm_ref ref = tdm_http_request(
        a->rt, a->pool, to,
        &(struct tdm_http_req){ .method = line->method,
                                .target = line->target,
                                .body = line->body,
                                .body_bytes = line->body_bytes,
                                .timeout_ms =
                                    line->timeout_ms > 0 ? line->timeout_ms : a->cfg.request_timeout_ms,
                                .order_key = line->order_key });

    if (ref == 0)
        return TDM_ENOMEM;
    tdm_count(&requests, 1);
    *ret = ref;
    return TDM_OK;
}

int rest_send_target(struct ari *a, tdm_pid to, const struct rest_line *line, tdm_ref *ret)
{
    char target[REST_TARGET_BYTES];
    struct rest_line whole = *line;
    struct line l = { .at = target, .room = sizeof target };

    add(&l, a->cfg.prefix != NULL ? a->cfg.prefix : "");
    add(&l, "/ari");
    add(&l, line->target);
    whole.target = target;
    return l.full ? TDM_ETOOBIG : send(a, to, &whole, ret);
}

int rest_send(struct ari *a, tdm_pid to, const struct rest_request *req, tdm_ref *ret)
{
    char target[REST_TARGET_BYTES];
    const int err = rest_target(target, sizeof target, a->cfg.prefix, req);

    return err != TDM_OK ? err
                         : send(a, to,
                                &(struct rest_line){ .method = req->method,
                                                     .target = target,
                                                     .body = req->body,
                                                     .body_bytes = req->body_bytes,
                                                     .timeout_ms = req->timeout_ms,
                                                     .order_key = req->order_key },
                                ret);
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
