/* rest_ws.c - requests that come as text over the event connection, and receipts.
 *
 * One connection carries out one request at a time: what comes while one waits behind a prompt waits too.
 * Answers are numbered by nobody and keep no order with the events.
 * Source: Asterisk 22's ARI, as described and as observed. */
#include "inside.h"

#include <stdio.h>
#include <stdlib.h>

static void json_answer(struct ex_text *t, const struct ex_conn *c, int status, const char *type,
                        const char *body)
{
    ex_json_open(t, NULL, '{');
    ex_json_str(t, "type", "RESTResponse");
    ex_json_str(t, "transaction_id", c->transaction_id == NULL ? "" : c->transaction_id);
    ex_json_str(t, "request_id", c->request_id == NULL ? "" : c->request_id);
    ex_json_int(t, "status_code", status);
    ex_json_str(t, "reason_phrase", ex_reason_phrase(status));
    ex_json_str(t, "uri", c->uri == NULL ? "" : c->uri);
    if (body != NULL) {
        ex_json_str(t, "content_type", type);
        ex_json_str(t, "message_body", body);
    }
}

static void drain_all(struct ex_model *m, void *unused);

void ex_ws_answer(struct ex_model *m, uint64_t conn, int status, const char *type, const char *body,
                  size_t bytes)
{
    struct ex_conn *c = ex_conn_find(m, conn);
    struct ex_app *app;
    struct ex_text t;
    char stamp[40];

    if (c == NULL)
        return;
    c->busy = false;
    if (c->waiting.first != NULL)
        ex_later(m, &m->ws_timer, 0, drain_all, NULL);
    app = c->app == NULL ? NULL : ex_app_find(m, c->app);
    if (app != NULL && !ex_app_lets(app, "RESTResponse"))
        return; /* an event filter swallows answers too */
    ex_text_init(&t, m->env);
    json_answer(&t, c, status, type, bytes > 0 ? body : NULL);
    ex_json_str(&t, "application", c->app == NULL ? "" : c->app);
    ex_json_str(&t, "timestamp", ex_stamp(m->wall_ns, stamp));
    ex_json_str(&t, "asterisk_id", EX_SERVER);
    ex_json_close(&t, '}');
    if (!t.failed)
        ex_send_plain(m, conn, t.at, t.bytes);
    ex_text_fini(&t);
}

static void answer_error(struct ex_model *m, struct ex_conn *c, int status, const char *message)
{
    char body[160];
    int n = snprintf(body, sizeof body, "{\"message\":\"%s\"}", message);

    ex_ws_answer(m, c->id, status, "application/json", body, (size_t)n);
}

/* A string member of the frame, in the request's memory; "" when absent or of another kind. */
static const char *frame_word(struct ex_req *q, const char *name)
{
    size_t member = ex_json_member(&q->json, 0, name);

    if (member == 0 || q->json.values[member].kind != EX_JSON_STRING)
        return "";
    const char *text = ex_param_text(q, member);
    return text == NULL ? "" : text;
}

/* The query of the uri and the members of query_strings as one query; NULL when out of memory. */
static char *frame_query(struct ex_req *q, const char *from_uri)
{
    size_t list = ex_json_member(&q->json, 0, "query_strings"), room = strlen(from_uri) + 2;
    const struct ex_json_value *v = q->json.values;

    if (list != 0 && v[list].kind == EX_JSON_ARRAY)
        room += 3 * (v[list].end - v[list].start);
    char *query = ex_scratch(q->m, room), *end = query;
    if (query == NULL)
        return NULL;
    end += sprintf(end, "%s", from_uri);
    if (list == 0 || v[list].kind != EX_JSON_ARRAY)
        return query;
    for (size_t i = list + 1; i < v[list].after; i = v[i].after) {
        size_t name = ex_json_member(&q->json, i, "name"), value = ex_json_member(&q->json, i, "value");
        if (name == 0 || value == 0)
            continue;
        const char *name_text = ex_param_text(q, name), *value_text = ex_param_text(q, value);
        if (name_text == NULL || value_text == NULL)
            return NULL;
        end += sprintf(end, "%s%s=", end == query ? "" : "&", name_text);
        end += ex_encode(end, value_text);
    }
    return query;
}

static bool method_known(const char *method)
{
    static const char *const known[] = { "GET", "POST", "PUT", "DELETE", "OPTIONS" };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], method) == 0)
            return true;
    return false;
}

static void frame_request(struct ex_req *q, struct ex_conn *c)
{
    const char *method = frame_word(q, "method"), *body = frame_word(q, "message_body");
    const char *type = frame_word(q, "content_type"), *uri = frame_word(q, "uri");
    char *path = ex_scratch(q->m, strlen(uri) + 1);

    c->busy = true;
    if (path == NULL)
        return ex_ws_answer(q->m, c->id, 500, "application/json", "{\"error\":\"Allocation failed\"}", 29);
    strcpy(path, uri);
    path[strcspn(path, "?")] = '\0';
    if (ex_set(q->m, &c->request_id, frame_word(q, "request_id")) < 0 ||
        ex_set(q->m, &c->transaction_id, frame_word(q, "transaction_id")) < 0 ||
        ex_set(q->m, &c->uri, path) < 0)
        return answer_error(q->m, c, 500, "Internal failure");
    char *query = frame_query(q, uri[strcspn(uri, "?")] == '?' ? strchr(uri, '?') + 1 : "");
    if (query == NULL)
        return answer_error(q->m, c, 500, "Internal failure");
    if (!method_known(method))
        return answer_error(q->m, c, 400, "Unknown or missing 'method' property.");
    if (*uri == '\0')
        return answer_error(q->m, c, 400, "No 'uri' property.");
    if (*uri == '/')
        return answer_error(q->m, c, 405, "Invalid method");
    if (*body != '\0' && *type == '\0')
        return answer_error(q->m, c, 400, "No 'content_type' property with a 'message_body'.");
    if (strcmp(path, "events") == 0)
        return answer_error(q->m, c, 400, "Websocket upgrade is not possible here.");
    ex_request_run(q->m, (struct ex_reply){ EX_WS, c->id }, c->writer, method, path, query, type, body,
                   strlen(body));
}

/* A frame that cannot be a request is answered with empty ids. */
static void frame_refuse(struct ex_model *m, struct ex_conn *c, const char *message)
{
    ex_free(m, c->request_id);
    ex_free(m, c->transaction_id);
    ex_free(m, c->uri);
    c->request_id = c->transaction_id = c->uri = NULL;
    answer_error(m, c, 400, message);
}

static void frame_do(struct ex_model *m, struct ex_conn *c, const char *text, size_t bytes)
{
    struct ex_req q = { .m = m, .reply = { EX_WS, c->id }, .body = &m->answer };
    size_t count = ex_json_scan(text, bytes, NULL), receipt;
    struct ex_json_value *values = count == 0 ? NULL : ex_scratch(m, count * sizeof *values);

    if (values != NULL)
        ex_json_scan(text, bytes, values);
    q.json = (struct ex_json){ .text = text, .values = values, .count = values == NULL ? 0 : count };
    receipt = q.json.count == 0 ? 0 : ex_json_member(&q.json, 0, "receipt");
    if (receipt != 0)
        return ex_receipt(m, &q.json, receipt);
    if (m->cfg.no_rest_over_ws)
        return;
    if (q.json.count == 0 || values[0].kind == EX_JSON_STRING || values[0].kind == EX_JSON_OTHER)
        return frame_refuse(m, c, "Failed to parse request message JSON");
    if (ex_json_member(&q.json, 0, "type") == 0)
        return frame_refuse(m, c, "No 'type' property.");
    if (strcmp(frame_word(&q, "type"), "RESTRequest") != 0)
        return frame_refuse(m, c, "Unknown request type.");
    frame_request(&q, c);
}

/* Carry out what waits, now that the request before it has been answered. */
static void drain_all(struct ex_model *m, void *unused)
{
    struct ex_frame *f;

    (void)unused;
    for (struct ex_conn *c = m->conns; c != NULL; c = c->next) {
        while (!c->busy && (f = ex_frames_take(&c->waiting)) != NULL) {
            frame_do(m, c, f->text, f->bytes);
            ex_free(m, f);
        }
    }
}

void ex_model_ws_text(struct ex_model *m, uint64_t conn, const char *text, size_t bytes)
{
    struct ex_conn *c = ex_conn_find(m, conn);
    struct ex_frame *f;

    if (c == NULL || ex_faults_frozen(m))
        return;
    if (!c->busy && c->waiting.first == NULL) {
        frame_do(m, c, text, bytes);
    } else {
        f = ex_frame_new(m, conn, 0, text, bytes);
        if (f != NULL)
            ex_frames_put(&c->waiting, f);
    }
    ex_scratch_free(m);
}
