/* ops_system.c - the operations on applications and on the server itself, and user events. */
#include "inside.h"

#include <stdio.h>

static struct ex_app *need_app(struct ex_req *q, const char *name)
{
    struct ex_app *app = name == NULL ? NULL : ex_app_find(q->m, name);

    if (app == NULL)
        ex_error(q, 404, "Application not found");
    return app;
}

void ex_op_app_list(struct ex_req *q)
{
    q->status = 200;
    ex_json_open(q->body, NULL, '[');
    for (const struct ex_app *app = q->m->apps; app != NULL; app = app->next)
        ex_json_app(q->m, q->body, NULL, app);
    ex_json_close(q->body, ']');
}

void ex_op_app_get(struct ex_req *q)
{
    const struct ex_app *app = need_app(q, q->id[0]);

    if (app == NULL)
        return;
    q->status = 200;
    ex_json_app(q->m, q->body, NULL, app);
}

/* ---- subscriptions --------------------------------------------------------------------------- */

struct sources {
    struct ex_req *q;
    struct ex_app *app;
    bool any, refused, drop, apply;
};

/* 0 when the source may be subscribed to, else the status. */
static int source_check(struct ex_model *m, const char *uri)
{
    if (strncmp(uri, "channel:", 8) == 0)
        return uri[8] == '\0' || ex_channel_find(m, uri + 8) != NULL ? 0 : 422;
    if (strncmp(uri, "bridge:", 7) == 0)
        return uri[7] == '\0' || ex_bridge_find(m, uri + 7) != NULL ? 0 : 422;
    if (strncmp(uri, "endpoint:", 9) == 0 || strncmp(uri, "deviceState:", 12) == 0)
        return 0;
    return 400;
}

static void source_do(void *ctx, const char *uri)
{
    struct sources *s = ctx;
    int status = s->drop ? 0 : source_check(s->q->m, uri);

    s->any = true;
    if (s->refused)
        return;
    s->refused = true;
    if (status == 400)
        return ex_error(s->q, 400, "Invalid event source URI scheme");
    if (status != 0)
        return ex_error(s->q, 422, "Event source does not exist");
    if (s->apply && !s->drop && ex_app_subscribe(s->q->m, s->app, uri) < 0)
        return ex_nomem(s->q);
    if (s->apply && s->drop && !ex_app_unsubscribe(s->q->m, s->app, uri))
        return ex_error(s->q, 409, "Application not subscribed to event source");
    s->refused = false;
}

/* First all sources are looked at, then all are taken: one bad source takes none. */
static void sources_change(struct ex_req *q, bool drop)
{
    struct sources s = { .q = q, .app = need_app(q, q->id[0]), .drop = drop };

    if (s.app == NULL)
        return;
    ex_param_each(q, "eventSource", source_do, &s);
    if (!s.any)
        return ex_error(q, 400, "Missing parameter eventSource");
    s.apply = true;
    if (!s.refused)
        ex_param_each(q, "eventSource", source_do, &s);
    if (s.refused)
        return;
    q->status = 200;
    ex_json_app(q->m, q->body, NULL, s.app);
    ex_app_check(q->m, s.app);
}

void ex_op_app_subscribe(struct ex_req *q)
{
    sources_change(q, false);
}

void ex_op_app_unsubscribe(struct ex_req *q)
{
    sources_change(q, true);
}

/* One list of a filter, [{"type":"..."}]; false when it has another form. */
static bool filter_list(struct ex_req *q, const char *name, struct ex_name **list)
{
    size_t member = ex_param_body(q, name);
    const struct ex_json_value *v = q->json.values;

    if (member == 0)
        return true;
    if (v[member].kind != EX_JSON_ARRAY)
        return false;
    for (size_t i = member + 1; i < v[member].after; i = v[i].after) {
        size_t type = ex_json_member(&q->json, i, "type");
        const char *text = type == 0 || v[type].kind != EX_JSON_STRING ? NULL : ex_param_text(q, type);
        if (text == NULL || ex_name_add(q->m, list, text) == NULL)
            return false;
    }
    return true;
}

void ex_op_app_filter(struct ex_req *q)
{
    struct ex_app *app = need_app(q, q->id[0]);
    struct ex_name *allowed = NULL, *disallowed = NULL;

    if (app == NULL)
        return;
    if (!filter_list(q, "allowed", &allowed) || !filter_list(q, "disallowed", &disallowed)) {
        ex_names_free(q->m, &allowed);
        ex_names_free(q->m, &disallowed);
        return ex_error(q, 400, "Invalid format definition");
    }
    ex_names_free(q->m, &app->allowed);
    ex_names_free(q->m, &app->disallowed);
    app->allowed = allowed;
    app->disallowed = disallowed;
    q->status = 200;
    ex_json_app(q->m, q->body, NULL, app);
}

/* ---- the server ------------------------------------------------------------------------------ */

struct blocks {
    bool build, system, config, status, any;
};

static void block_choose(void *ctx, const char *name)
{
    struct blocks *b = ctx;

    b->any = true;
    b->build |= strcmp(name, "build") == 0;
    b->system |= strcmp(name, "system") == 0;
    b->config |= strcmp(name, "config") == 0;
    b->status |= strcmp(name, "status") == 0;
}

static void json_info(struct ex_model *m, struct ex_text *t, const struct blocks *b)
{
    char stamp[40];

    if (b->build || !b->any) {
        ex_json_open(t, "build", '{');
        ex_json_str(t, "os", "Linux");
        ex_json_str(t, "kernel", "exchange");
        ex_json_str(t, "machine", "x86_64");
        ex_json_str(t, "options", "");
        ex_json_str(t, "date", "2026-01-01 00:00:00 UTC");
        ex_json_str(t, "user", "tandem");
        ex_json_close(t, '}');
    }
    if (b->system || !b->any) {
        ex_json_open(t, "system", '{');
        ex_json_str(t, "version", m->cfg.no_rest_over_ws ? "16.28.0" : "22.10.1");
        ex_json_str(t, "entity_id", EX_SERVER);
        ex_json_close(t, '}');
    }
    if (b->config || !b->any) {
        ex_json_open(t, "config", '{');
        ex_json_str(t, "name", "");
        ex_json_str(t, "default_language", "en");
        ex_json_open(t, "setid", '{');
        ex_json_str(t, "user", "tandem");
        ex_json_str(t, "group", "tandem");
        ex_json_close(t, '}');
        ex_json_close(t, '}');
    }
    if (b->status || !b->any) {
        ex_json_open(t, "status", '{');
        ex_json_str(t, "startup_time", ex_stamp(m->epoch_s * 1000000000u, stamp));
        ex_json_str(t, "last_reload_time", ex_stamp(m->epoch_s * 1000000000u, stamp));
        ex_json_close(t, '}');
    }
}

void ex_op_info(struct ex_req *q)
{
    struct blocks b = { .any = false };

    ex_param_each(q, "only", block_choose, &b);
    q->status = 200;
    ex_json_open(q->body, NULL, '{');
    json_info(q->m, q->body, &b);
    ex_json_close(q->body, '}');
}

void ex_op_ping(struct ex_req *q)
{
    char stamp[40];

    q->status = 200;
    ex_json_open(q->body, NULL, '{');
    ex_json_str(q->body, "ping", "pong");
    ex_json_str(q->body, "timestamp", ex_stamp(q->m->wall_ns, stamp));
    ex_json_str(q->body, "asterisk_id", EX_SERVER);
    ex_json_close(q->body, '}');
}

void ex_op_global_get(struct ex_req *q)
{
    const char *name = ex_param(q, "variable");

    if (name == NULL || *name == '\0')
        return ex_error(q, 400, "Variable name is required");
    const char *value = ex_var_get(q->m->globals, name);
    q->status = 200;
    ex_json_open(q->body, NULL, '{');
    ex_json_str(q->body, "value", value == NULL ? "" : value);
    ex_json_close(q->body, '}');
}

void ex_op_global_set(struct ex_req *q)
{
    const char *name = ex_param(q, "variable"), *value = ex_param(q, "value");

    if (name == NULL || *name == '\0')
        return ex_error(q, 400, "Variable name is required");
    if (ex_var_put(q->m, &q->m->globals, name, value == NULL ? "" : value) < 0)
        return ex_nomem(q);
    ex_no_content(q);
}

/* ---- user events ----------------------------------------------------------------------------- */

struct user_event {
    struct ex_req *q;
    struct ex_channel *ch;
    struct ex_bridge *br;
    bool refused;
};

static void user_source(void *ctx, const char *uri)
{
    struct user_event *u = ctx;
    int status = strncmp(uri, "deviceState:", 12) == 0 ? 400 : source_check(u->q->m, uri);

    if (u->refused)
        return;
    u->refused = status != 0;
    if (status == 400)
        return ex_error(u->q, 400, "Invalid event source URI scheme");
    if (status != 0)
        return ex_error(u->q, 422, "Event source does not exist");
    if (strncmp(uri, "channel:", 8) == 0)
        u->ch = ex_channel_find(u->q->m, uri + 8);
    else if (strncmp(uri, "bridge:", 7) == 0)
        u->br = ex_bridge_find(u->q->m, uri + 7);
}

static void json_user_event(struct ex_text *t, const struct user_event *u)
{
    struct ex_req *q = u->q;
    size_t vars = ex_param_body(q, "variables");

    ex_json_str(t, "eventname", q->id[0]);
    ex_json_open(t, "userevent", '{');
    if (vars != 0 && q->json.values[vars].kind == EX_JSON_OBJECT) {
        const struct ex_json_value *v = &q->json.values[vars];
        const char *inner = q->json.text + v->start + 1;
        size_t bytes = v->end - v->start - 2;
        if (v->after > vars + 1)
            ex_text_add(t, inner, bytes);
    }
    while (t->bytes > 0 && strchr(" \t\r\n", t->at[t->bytes - 1]) != NULL)
        t->bytes--; /* a blank before the next comma would hide that one is due */
    ex_json_str(t, "eventname", q->id[0]);
    ex_json_close(t, '}');
    if (u->ch != NULL)
        ex_json_channel(t, "channel", u->ch);
    if (u->br != NULL)
        ex_json_bridge(t, "bridge", u->br);
}

void ex_op_user_event(struct ex_req *q)
{
    struct ex_app *app = need_app(q, ex_param(q, "application"));
    struct user_event u = { .q = q };

    if (app == NULL)
        return;
    ex_param_each(q, "source", user_source, &u);
    if (u.refused)
        return;
    ex_no_content(q);
    json_user_event(ex_event(q->m, "ChannelUserevent"), &u);
    if (u.ch == NULL && u.br == NULL) {
        ex_event_send_to(q->m, app, NULL);
        return;
    }
    q->about = u.ch == NULL ? NULL : u.ch->id;
    if (u.ch == NULL || u.ch->app != app)
        ex_event_send_to(q->m, app, u.ch);
    ex_event_send(q->m, u.ch, u.br);
}
