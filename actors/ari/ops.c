/* ops.c - the operations of ARI that are used.
 *
 * Short parameters go into the query, what may be long (variables, media) into a JSON body: the
 * server takes lines up to about 4090 bytes, bodies up to 40960 (observed on Asterisk 22.10).
 * Requests about a channel share its order key, except those that only ask and those that have to
 * overtake; see rest.c. */
#include "ops.h"
#include "json.h"

#include <stdio.h>
#include <string.h>

enum { BODY_MAX = 40960 };

/* Send with the JSON text as body, and free it. */
static int send_json(struct ari *a, tdm_pid to, struct rest_request *req, struct ari_json *j, tdm_ref *ret)
{
    int err = j->failed ? TDM_ENOMEM : j->bytes > BODY_MAX ? TDM_ETOOBIG : TDM_OK;

    req->body = j->at;
    req->body_bytes = j->bytes;
    if (err == TDM_OK)
        err = rest_send(a, to, req, ret);
    ari_json_fini(j);
    return err;
}

static int on_channel(struct ari *a, tdm_pid to, const char *method, const char *channel, const char *verb,
                      uint32_t timeout_ms, tdm_ref *ret)
{
    return rest_send(a, to,
                     &(struct rest_request){ .method = method,
                                             .path = { "channels", channel, verb },
                                             .timeout_ms = timeout_ms,
                                             .order_key = rest_order_key(channel) },
                     ret);
}

static int ask(struct ari *a, tdm_pid to, const char *kind, const char *id, tdm_ref *ret)
{
    return rest_send(a, to, &(struct rest_request){ .method = "GET", .path = { kind, id } }, ret);
}

/* ---- channels -------------------------------------------------------------------------------- */

int ops_answer(struct ari *a, tdm_pid to, const char *channel, tdm_ref *ret)
{
    return on_channel(a, to, "POST", channel, "answer", a->cfg.blocking_timeout_ms, ret);
}

int ops_ring(struct ari *a, tdm_pid to, const char *channel, tdm_ref *ret)
{
    return on_channel(a, to, "POST", channel, "ring", 0, ret);
}

int ops_hangup(struct ari *a, tdm_pid to, const char *channel, int cause, tdm_ref *ret)
{
    char code[16];

    snprintf(code, sizeof code, "%d", cause);
    return rest_send(a, to,
                     &(struct rest_request){ .method = "DELETE",
                                             .path = { "channels", channel },
                                             .query = { { "reason_code", cause > 0 ? code : NULL } } },
                     ret);
}

int ops_continue(struct ari *a, tdm_pid to, const char *channel, const char *context, const char *exten,
                 int priority, tdm_ref *ret)
{
    char number[16];

    snprintf(number, sizeof number, "%d", priority);
    return rest_send(a, to,
                     &(struct rest_request){ .method = "POST",
                                             .path = { "channels", channel, "continue" },
                                             .query = { { "context", context },
                                                        { "extension", exten },
                                                        { "priority", priority > 0 ? number : NULL } },
                                             .order_key = rest_order_key(channel) },
                     ret);
}

int ops_move(struct ari *a, tdm_pid to, const char *channel, const char *app, const char *args, tdm_ref *ret)
{
    return rest_send(a, to,
                     &(struct rest_request){ .method = "POST",
                                             .path = { "channels", channel, "move" },
                                             .query = { { "app", app }, { "appArgs", args } },
                                             .order_key = rest_order_key(channel) },
                     ret);
}

int ops_set_var(struct ari *a, tdm_pid to, const char *channel, const char *name, const char *value,
                tdm_ref *ret)
{
    struct rest_request req = { .method = "POST",
                                .path = { "channels", channel, "variable" },
                                .timeout_ms = a->cfg.blocking_timeout_ms,
                                .order_key = rest_order_key(channel) };
    struct ari_json j;

    ari_json_init(&j, a->env);
    ari_json_lit(&j, "{\"variable\":");
    ari_json_str(&j, name, strlen(name));
    ari_json_lit(&j, ",\"value\":");
    ari_json_str(&j, value, strlen(value));
    ari_json_lit(&j, "}");
    return send_json(a, to, &req, &j, ret);
}

int ops_get_var(struct ari *a, tdm_pid to, const char *channel, const char *name, tdm_ref *ret)
{
    return rest_send(a, to,
                     &(struct rest_request){ .method = "GET",
                                             .path = { "channels", channel, "variable" },
                                             .query = { { "variable", name } },
                                             .order_key = rest_order_key(channel) },
                     ret);
}

int ops_get_channel(struct ari *a, tdm_pid to, const char *channel, tdm_ref *ret)
{
    return ask(a, to, "channels", channel, ret);
}

int ops_list_channels(struct ari *a, tdm_pid to, tdm_ref *ret)
{
    return ask(a, to, "channels", NULL, ret);
}

/* ---- playbacks ------------------------------------------------------------------------------- */

int ops_play(struct ari *a, tdm_pid to, const char *channel, const char *playback, const char *const *media,
             const char *language, tdm_ref *ret)
{
    struct rest_request req = { .method = "POST",
                                .path = { "channels", channel, "play", playback },
                                .order_key = rest_order_key(channel) };
    struct ari_json j;

    ari_json_init(&j, a->env);
    ari_json_lit(&j, "{\"media\":[");
    for (int i = 0; media[i] != NULL; i++) {
        if (i > 0)
            ari_json_lit(&j, ",");
        ari_json_str(&j, media[i], strlen(media[i]));
    }
    ari_json_lit(&j, "]");
    if (language != NULL) {
        ari_json_lit(&j, ",\"lang\":");
        ari_json_str(&j, language, strlen(language));
    }
    ari_json_lit(&j, "}");
    return send_json(a, to, &req, &j, ret);
}

int ops_stop_playback(struct ari *a, tdm_pid to, const char *playback, tdm_ref *ret)
{
    return rest_send(a, to, &(struct rest_request){ .method = "DELETE", .path = { "playbacks", playback } },
                     ret);
}

int ops_get_playback(struct ari *a, tdm_pid to, const char *playback, tdm_ref *ret)
{
    return ask(a, to, "playbacks", playback, ret);
}

/* ---- the server ------------------------------------------------------------------------------ */

int ops_info(struct ari *a, tdm_pid to, tdm_ref *ret)
{
    return rest_send(a, to,
                     &(struct rest_request){ .method = "GET",
                                             .path = { "asterisk", "info" },
                                             .query = { { "only", "system,status" } } },
                     ret);
}

int ops_get_application(struct ari *a, tdm_pid to, const char *app, tdm_ref *ret)
{
    return ask(a, to, "applications", app, ret);
}

int ops_list_bridges(struct ari *a, tdm_pid to, tdm_ref *ret)
{
    return ask(a, to, "bridges", NULL, ret);
}
