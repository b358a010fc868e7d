/* requests.c - the table of all operations, and the way of a request through it.
 *
 * A request passes: freeze and drawn errors, rights, path, method, body; then its handler sets status and
 * body, or says `later` and the lane answers when the deed is done. The events that it causes are kept back
 * meanwhile and go out before or behind the answer, as configured.
 * Source: Asterisk 22's ARI description; words of the messages as observed. */
#include "inside.h"

#include <stdio.h>

/* Every operation of the interface but the mailboxes, which the observed server does not have. Where a
 * path has literal words and {}, the literal one stands first. */
const struct ex_operation ex_operations[] = {
    { "GET", "applications", "applications.list", ex_op_app_list },
    { "GET", "applications/{}", "applications.get", ex_op_app_get },
    { "POST", "applications/{}/subscription", "applications.subscribe", ex_op_app_subscribe },
    { "DELETE", "applications/{}/subscription", "applications.unsubscribe", ex_op_app_unsubscribe },
    { "PUT", "applications/{}/eventFilter", "applications.filter", ex_op_app_filter },
    { "GET", "asterisk/config/dynamic/{}/{}/{}", "asterisk.getObject", NULL },
    { "PUT", "asterisk/config/dynamic/{}/{}/{}", "asterisk.updateObject", NULL },
    { "DELETE", "asterisk/config/dynamic/{}/{}/{}", "asterisk.deleteObject", NULL },
    { "GET", "asterisk/info", "asterisk.getInfo", ex_op_info },
    { "GET", "asterisk/ping", "asterisk.ping", ex_op_ping },
    { "GET", "asterisk/modules", "asterisk.listModules", NULL },
    { "GET", "asterisk/modules/{}", "asterisk.getModule", NULL },
    { "POST", "asterisk/modules/{}", "asterisk.loadModule", NULL },
    { "DELETE", "asterisk/modules/{}", "asterisk.unloadModule", NULL },
    { "PUT", "asterisk/modules/{}", "asterisk.reloadModule", NULL },
    { "GET", "asterisk/logging", "asterisk.listLogChannels", NULL },
    { "POST", "asterisk/logging/{}", "asterisk.addLog", NULL },
    { "DELETE", "asterisk/logging/{}", "asterisk.deleteLog", NULL },
    { "PUT", "asterisk/logging/{}/rotate", "asterisk.rotateLog", NULL },
    { "GET", "asterisk/variable", "asterisk.getGlobalVar", ex_op_global_get },
    { "POST", "asterisk/variable", "asterisk.setGlobalVar", ex_op_global_set },
    { "GET", "bridges", "bridges.list", ex_op_bridge_list },
    { "POST", "bridges", "bridges.create", ex_op_bridge_create },
    { "POST", "bridges/{}", "bridges.createWithId", ex_op_bridge_create },
    { "GET", "bridges/{}", "bridges.get", ex_op_bridge_get },
    { "DELETE", "bridges/{}", "bridges.destroy", ex_op_bridge_destroy },
    { "GET", "bridges/{}/variable", "bridges.getBridgeVar", NULL },
    { "POST", "bridges/{}/variable", "bridges.setBridgeVar", NULL },
    { "GET", "bridges/{}/variables", "bridges.getBridgeVars", NULL },
    { "POST", "bridges/{}/variables", "bridges.setBridgeVars", NULL },
    { "POST", "bridges/{}/addChannel", "bridges.addChannel", ex_op_bridge_add },
    { "POST", "bridges/{}/removeChannel", "bridges.removeChannel", ex_op_bridge_remove },
    { "POST", "bridges/{}/videoSource/{}", "bridges.setVideoSource", NULL },
    { "DELETE", "bridges/{}/videoSource", "bridges.clearVideoSource", NULL },
    { "POST", "bridges/{}/moh", "bridges.startMoh", ex_op_bridge_moh },
    { "DELETE", "bridges/{}/moh", "bridges.stopMoh", ex_op_bridge_moh },
    { "POST", "bridges/{}/play", "bridges.play", ex_op_bridge_play },
    { "POST", "bridges/{}/play/{}", "bridges.playWithId", ex_op_bridge_play },
    { "POST", "bridges/{}/record", "bridges.record", NULL },
    { "GET", "channels", "channels.list", ex_op_channel_list },
    { "POST", "channels", "channels.originate", ex_op_originate },
    { "POST", "channels/create", "channels.create", ex_op_create },
    { "POST", "channels/externalMedia", "channels.externalMedia", NULL },
    { "GET", "channels/{}", "channels.get", ex_op_channel_get },
    { "POST", "channels/{}", "channels.originateWithId", ex_op_originate },
    { "DELETE", "channels/{}", "channels.hangup", ex_op_hangup },
    { "POST", "channels/{}/continue", "channels.continueInDialplan", ex_op_continue },
    { "POST", "channels/{}/move", "channels.move", ex_op_move },
    { "POST", "channels/{}/redirect", "channels.redirect", NULL },
    { "POST", "channels/{}/answer", "channels.answer", ex_op_answer },
    { "POST", "channels/{}/ring", "channels.ring", ex_op_queued },
    { "DELETE", "channels/{}/ring", "channels.ringStop", ex_op_queued },
    { "POST", "channels/{}/progress", "channels.progress", ex_op_queued },
    { "POST", "channels/{}/dtmf", "channels.sendDTMF", ex_op_dtmf },
    { "POST", "channels/{}/mute", "channels.mute", ex_op_mute },
    { "DELETE", "channels/{}/mute", "channels.unmute", ex_op_mute },
    { "POST", "channels/{}/hold", "channels.hold", ex_op_queued },
    { "DELETE", "channels/{}/hold", "channels.unhold", ex_op_queued },
    { "POST", "channels/{}/moh", "channels.startMoh", ex_op_queued },
    { "DELETE", "channels/{}/moh", "channels.stopMoh", ex_op_queued },
    { "POST", "channels/{}/silence", "channels.startSilence", ex_op_queued },
    { "DELETE", "channels/{}/silence", "channels.stopSilence", ex_op_queued },
    { "POST", "channels/{}/play", "channels.play", ex_op_play },
    { "POST", "channels/{}/play/{}", "channels.playWithId", ex_op_play },
    { "POST", "channels/{}/record", "channels.record", NULL },
    { "GET", "channels/{}/variable", "channels.getChannelVar", ex_op_var_get },
    { "POST", "channels/{}/variable", "channels.setChannelVar", ex_op_var_set },
    { "GET", "channels/{}/variables", "channels.getChannelVars", ex_op_vars_get },
    { "POST", "channels/{}/variables", "channels.setChannelVars", ex_op_vars_set },
    { "POST", "channels/{}/snoop", "channels.snoopChannel", NULL },
    { "POST", "channels/{}/snoop/{}", "channels.snoopChannelWithId", NULL },
    { "POST", "channels/{}/dial", "channels.dial", ex_op_dial },
    { "GET", "channels/{}/rtp_statistics", "channels.rtpstatistics", NULL },
    { "POST", "channels/{}/transfer_progress", "channels.transfer_progress", NULL },
    { "GET", "deviceStates", "deviceStates.list", NULL },
    { "GET", "deviceStates/{}", "deviceStates.get", NULL },
    { "PUT", "deviceStates/{}", "deviceStates.update", NULL },
    { "DELETE", "deviceStates/{}", "deviceStates.delete", NULL },
    { "GET", "endpoints", "endpoints.list", NULL },
    { "PUT", "endpoints/sendMessage", "endpoints.sendMessage", NULL },
    { "POST", "endpoints/refer", "endpoints.refer", NULL },
    { "GET", "endpoints/{}", "endpoints.listByTech", NULL },
    { "GET", "endpoints/{}/{}", "endpoints.get", NULL },
    { "PUT", "endpoints/{}/{}/sendMessage", "endpoints.sendMessageToEndpoint", NULL },
    { "POST", "endpoints/{}/{}/refer", "endpoints.referToEndpoint", NULL },
    { "POST", "events/user/{}", "events.userEvent", ex_op_user_event },
    { "POST", "events/claim", "events.claimChannel", NULL },
    { "GET", "playbacks/{}", "playbacks.get", ex_op_playback_get },
    { "DELETE", "playbacks/{}", "playbacks.stop", ex_op_playback_stop },
    { "POST", "playbacks/{}/control", "playbacks.control", ex_op_playback_control },
    { "GET", "recordings/stored", "recordings.listStored", NULL },
    { "GET", "recordings/stored/{}", "recordings.getStored", NULL },
    { "DELETE", "recordings/stored/{}", "recordings.deleteStored", NULL },
    { "GET", "recordings/stored/{}/file", "recordings.getStoredFile", NULL },
    { "POST", "recordings/stored/{}/copy", "recordings.copyStored", NULL },
    { "GET", "recordings/live/{}", "recordings.getLive", NULL },
    { "DELETE", "recordings/live/{}", "recordings.cancel", NULL },
    { "POST", "recordings/live/{}/stop", "recordings.stop", NULL },
    { "POST", "recordings/live/{}/pause", "recordings.pause", NULL },
    { "DELETE", "recordings/live/{}/pause", "recordings.unpause", NULL },
    { "POST", "recordings/live/{}/mute", "recordings.mute", NULL },
    { "DELETE", "recordings/live/{}/mute", "recordings.unmute", NULL },
    { "GET", "sounds", "sounds.list", NULL },
    { "GET", "sounds/{}", "sounds.get", NULL },
    { NULL, NULL, NULL, NULL },
};

/* ---- answers --------------------------------------------------------------------------------- */

const char *ex_reason_phrase(int status)
{
    static const struct {
        int status;
        const char *text;
    } phrases[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 406, "Not Acceptable" },
        { 409, "Conflict" },
        { 412, "Precondition Failed" },
        { 413, "Request Entity Too Large" },
        { 422, "Unprocessable Entity" },
        { 426, "Upgrade Required" },
        { 501, "Not Implemented" },
        { 503, "Service Unavailable" },
    };

    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (phrases[i].status == status)
            return phrases[i].text;
    return "Internal Server Error";
}

void ex_error(struct ex_req *q, int status, const char *message)
{
    q->status = status;
    ex_text_clear(q->body);
    ex_json_open(q->body, NULL, '{');
    ex_json_str(q->body, "message", message);
    ex_json_close(q->body, '}');
}

void ex_nomem(struct ex_req *q)
{
    static const char body[] = "{\"error\":\"Allocation failed\"}";

    q->status = 500;
    ex_text_clear(q->body);
    ex_text_add(q->body, body, sizeof body - 1);
}

void ex_no_content(struct ex_req *q)
{
    q->status = 204;
    ex_text_clear(q->body);
}

void ex_reply_send(struct ex_model *m, struct ex_reply reply, int status, const char *headers,
                   const char *type, const char *body, size_t bytes)
{
    if (reply.way == EX_WS)
        ex_ws_answer(m, reply.conn, status, type, body, bytes);
    else if (reply.way == EX_HTTP && !ex_faults_frozen(m))
        m->out.respond(m->out.ctx, reply.conn, status, headers, type, body, bytes);
}

void ex_answer(struct ex_model *m, struct ex_reply reply, int status, const char *message)
{
    char body[160];
    int n = message == NULL
                ? 0
                : snprintf(body, sizeof body, "{\"%s\":\"%s\"}",
                           strcmp(message, "Allocation failed") == 0 ? "error" : "message", message);

    if (reply.way == EX_NOBODY)
        return;
    ex_events_release(m); /* what was done is told before the answer */
    ex_reply_send(m, reply, status, NULL, n > 0 ? "application/json" : NULL, n > 0 ? body : NULL, (size_t)n);
}

/* ---- finding the operation ------------------------------------------------------------------- */

/* Does the operation's path fit? The segments at its {} are then in q->id. */
static bool path_fits(struct ex_req *q, const char *path)
{
    int ids = 0;

    q->id[0] = q->id[1] = q->id[2] = NULL;
    for (int i = 0; i < q->segments; i++) {
        size_t n = strcspn(path, "/");
        if (n == 0)
            return false;
        if (*path == '{' && ids < 3)
            q->id[ids++] = q->segment[i];
        else if (strlen(q->segment[i]) != n || strncmp(q->segment[i], path, n) != 0)
            return false;
        path += n + (path[n] == '/');
    }
    return *path == '\0';
}

static const struct ex_operation *operation_find(struct ex_req *q, char *allow, size_t allow_bytes)
{
    size_t used = 0;

    for (const struct ex_operation *op = ex_operations; op->path != NULL; op++) {
        if (!path_fits(q, op->path))
            continue;
        if (strcmp(op->method, q->method) == 0)
            return op;
        used += (size_t)snprintf(allow + used, allow_bytes - used, "%s%s", used == 0 ? "Allow: " : ",",
                                 op->method);
    }
    if (used > 0)
        snprintf(allow + used, allow_bytes - used, ",OPTIONS\r\n");
    return NULL;
}

/* Split and decode; false when there are too many segments or bad escapes. */
static bool path_split(struct ex_req *q, const char *path)
{
    char *rest = ex_scratch(q->m, strlen(path) + 1), *one;

    if (rest == NULL)
        return false;
    strcpy(rest, path);
    while ((one = strsep(&rest, "/")) != NULL) {
        if (q->segments == EX_SEGMENTS || !ex_decode(one))
            return false;
        q->segment[q->segments++] = one;
    }
    return true;
}

/* ---- the body -------------------------------------------------------------------------------- */

static bool body_json(struct ex_req *q, const char *body, size_t bytes)
{
    size_t count = ex_json_scan(body, bytes, NULL);
    struct ex_json_value *values = count == 0 ? NULL : ex_scratch(q->m, count * sizeof *values);

    if (values == NULL) {
        if (count == 0)
            ex_error(q, 400, "Error parsing request body");
        else
            ex_nomem(q);
        return false;
    }
    ex_json_scan(body, bytes, values);
    q->json = (struct ex_json){ .text = body, .values = values, .count = count };
    return true;
}

static bool body_read(struct ex_req *q, const char *type, const char *body, size_t bytes)
{
    if (bytes == 0)
        return true;
    if (strncmp(type, "application/json", 16) == 0)
        return body_json(q, body, bytes);
    if (strncmp(type, "application/x-www-form-urlencoded", 33) != 0)
        return true; /* other kinds are not looked at */
    char *form = ex_scratch(q->m, bytes + 1);
    if (form == NULL) {
        ex_nomem(q);
        return false;
    }
    memcpy(form, body, bytes);
    form[bytes] = '\0';
    q->form = form;
    return true;
}

/* ---- the way --------------------------------------------------------------------------------- */

static bool method_writes(const char *method)
{
    return strcmp(method, "GET") != 0 && strcmp(method, "OPTIONS") != 0;
}

static void operation_run(struct ex_req *q, const struct ex_operation *op)
{
    char words[120];

    if (op->handler != NULL)
        return op->handler(q);
    snprintf(words, sizeof words, "%s is not part of this exchange", op->name);
    ex_error(q, 501, words);
}

static void request_do(struct ex_req *q, bool writer, const char *path, const char *type, const char *body,
                       size_t bytes, char *allow, size_t allow_bytes)
{
    size_t n = strlen(path);
    char words[200];

    if (method_writes(q->method) && !writer)
        return ex_error(q, 403, "Write access denied");
    if (n > 0 && path[n - 1] == '/') {
        snprintf(words, sizeof words, "ARI URLs do not end with a slash. Try /ari/%.*s",
                 (int)(n - 1 < 120 ? n - 1 : 120), path);
        return ex_error(q, 404, words);
    }
    if (bytes > 40960)
        return ex_error(q, 413, "Request body too large");
    if (!path_split(q, path))
        return ex_error(q, 404, "Resource not found");
    const struct ex_operation *op = operation_find(q, allow, allow_bytes);
    if (op == NULL && *allow == '\0')
        return ex_error(q, 404, "Resource not found");
    if (op == NULL) {
        q->headers = allow;
        return strcmp(q->method, "OPTIONS") == 0 ? ex_no_content(q) : ex_error(q, 405, "Invalid method");
    }
    if (body_read(q, type, body, bytes))
        operation_run(q, op);
}

static void request_step(const struct ex_req *q, const char *path)
{
    char text[240];

    if (!q->m->cfg.steps || q->about == NULL)
        return;
    if (q->later)
        snprintf(text, sizeof text, "%s /%.120s%s%.80s -> waits its turn", q->method, path,
                 *q->query ? "?" : "", q->query);
    else
        snprintf(text, sizeof text, "%s /%.120s%s%.80s -> %d", q->method, path, *q->query ? "?" : "",
                 q->query, q->status);
    ex_step(q->m, q->about, EX_STEP_REQUEST, text);
}

static bool events_go_first(struct ex_model *m)
{
    return m->cfg.order == EXCHANGE_EVENT_FIRST || (m->cfg.order == EXCHANGE_EITHER && ex_random(m, 2) == 1);
}

void ex_request_run(struct ex_model *m, struct ex_reply reply, bool writer, const char *method,
                    const char *path, const char *query, const char *type, const char *body, size_t bytes)
{
    struct ex_req q = { .m = m,
                        .reply = reply,
                        .method = method,
                        .query = query,
                        .body = &m->answer,
                        .type = "application/json",
                        .status = 500 };
    char allow[96] = "";
    int drawn = ex_faults_status(m);

    m->counters.requests++;
    ex_text_clear(&m->answer);
    if (drawn != 0) {
        ex_error(&q, drawn, drawn == 503 ? "Asterisk not booted" : "Internal failure, drawn by lot");
    } else {
        ex_events_hold(m);
        request_do(&q, writer, path, type, body, bytes, allow, sizeof allow);
    }
    request_step(&q, path);
    if (events_go_first(m))
        ex_events_release(m);
    if (q.body->failed)
        ex_nomem(&q);
    if (!q.later)
        ex_reply_send(m, reply, q.status, q.headers, q.body->bytes > 0 ? q.type : NULL, q.body->at,
                      q.body->bytes);
    ex_events_release(m);
}

/* ---- over HTTP ------------------------------------------------------------------------------- */

static int base64_value(char c)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c == '\0' ? NULL : strchr(alphabet, c);

    return found == NULL ? -1 : (int)(found - alphabet);
}

/* "Basic ..." to "user:password" in the request's memory; NULL. */
static const char *basic_decode(struct ex_model *m, const char *authorization)
{
    uint32_t bits = 0;
    int n = 0;

    if (strncasecmp(authorization, "Basic ", 6) != 0)
        return NULL;
    authorization += 6;
    char *text = ex_scratch(m, strlen(authorization) + 1), *out = text;
    if (text == NULL)
        return NULL;
    for (; base64_value(*authorization) >= 0; authorization++) {
        bits = bits << 6 | (uint32_t)base64_value(*authorization);
        if ((n += 6) >= 8)
            *out++ = (char)(bits >> (n -= 8));
    }
    *out = '\0';
    return text;
}

static bool account_is(const char *given, const char *user, const char *password)
{
    size_t n = user == NULL ? 0 : strlen(user);

    return user != NULL && password != NULL && strncmp(given, user, n) == 0 && given[n] == ':' &&
           strcmp(given + n + 1, password) == 0;
}

int ex_rights(struct ex_model *m, const char *authorization, const char *query)
{
    const char *given =
        *authorization != '\0' ? basic_decode(m, authorization) : ex_query_value(m, query, "api_key");

    if (given == NULL)
        return -1;
    if (account_is(given, m->cfg.user, m->cfg.password))
        return 1;
    return account_is(given, m->cfg.reader, m->cfg.reader_password) ? 0 : -1;
}

static void refuse(struct ex_model *m, uint64_t conn, int status, const char *headers, const char *message)
{
    char body[160];
    int n = snprintf(body, sizeof body, "{\"message\":\"%s\"}", message);

    ex_reply_send(m, (struct ex_reply){ EX_HTTP, conn }, status, headers, "application/json", body,
                  (size_t)n);
}

static void refuse_html(struct ex_model *m, uint64_t conn, int status)
{
    char body[200];
    int n = snprintf(body, sizeof body,
                     "<!DOCTYPE html><html><head><title>%d %s</title></head><body><h1>%s</h1></body></html>",
                     status, ex_reason_phrase(status), ex_reason_phrase(status));

    ex_reply_send(m, (struct ex_reply){ EX_HTTP, conn }, status, NULL, "text/html", body, (size_t)n);
}

/* What keeps a request from being looked at; false when it was answered. */
static bool admit(struct ex_model *m, const struct ex_request *req, int *rights)
{
    if (strncmp(req->path, "/ari/", 5) != 0) {
        refuse_html(m, req->conn, 404);
        return false;
    }
    if (m->now_ns < m->start_ns + EX_MS(m->cfg.faults.boot_ms)) {
        refuse(m, req->conn, 503, NULL, "Asterisk not booted");
        return false;
    }
    *rights = ex_rights(m, req->authorization, req->query);
    if (*rights >= 0)
        return true;
    refuse(m, req->conn, 401, "WWW-Authenticate: Basic realm=\"Asterisk REST Interface\"\r\n",
           "Authentication required");
    return false;
}

void ex_model_request(struct ex_model *m, const struct ex_request *req)
{
    int rights;

    if (ex_chaos_swallows(m, req))
        return;
    if (admit(m, req, &rights)) {
        if (strcmp(req->path, "/ari/exchange/trail") == 0 && m->chaos.audit != NULL)
            ex_chaos_trail(m, req);
        else if (strcmp(req->path, "/ari/events") == 0 && strcmp(req->method, "GET") == 0)
            refuse(m, req->conn, 426, "Upgrade: websocket\r\n", "Upgrade required");
        else
            ex_request_run(m, (struct ex_reply){ EX_HTTP, req->conn }, rights > 0, req->method, req->path + 5,
                           req->query, req->content_type, req->body, req->body_bytes);
    }
    ex_scratch_free(m);
}

static bool list_has(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (; *list != '\0'; list += strcspn(list, ","), list += *list == ',') {
        list += strspn(list, " \t");
        if (strncmp(list, word, n) == 0 && strcspn(list, ", \t") == n)
            return true;
    }
    return false;
}

int ex_model_ws_upgrade(struct ex_model *m, const struct ex_request *req, const char *subprotocols)
{
    int rights, refused = 1;

    if (ex_chaos_swallows(m, req))
        return 1;
    if (!admit(m, req, &rights)) {
        ex_scratch_free(m);
        return 1;
    }
    const char *apps = ex_query_value(m, req->query, "app");
    if (strcmp(req->path, "/ari/events") != 0)
        refuse(m, req->conn, 404, NULL, "Resource not found");
    else if (apps == NULL || apps[strspn(apps, ", \t")] == '\0')
        refuse_html(m, req->conn, 400);
    else if (*subprotocols != '\0' && !list_has(subprotocols, "ari"))
        refuse_html(m, req->conn, 400);
    else if (strcspn(apps, ",") > 73)
        refuse_html(m, req->conn, 500);
    else
        refused = ex_faults_frozen(m);
    ex_scratch_free(m);
    return refused;
}
