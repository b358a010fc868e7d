/* applications.c - Stasis apps, the connections that serve them, and what each has subscribed to.
 *
 * An app has at most one connection; a later one that names it takes it over, and the earlier one is told
 * so and stays open. When its connection goes, the app stays as long as a channel is inside or a
 * subscription is left: inactive, hearing nothing, losing its events and refusing new calls.
 * Source: Asterisk 22's ARI description and sources. */
#include "inside.h"

#include <stdio.h>

struct ex_app *ex_app_find(struct ex_model *m, const char *name)
{
    struct ex_app *app = m->apps;

    while (app != NULL && strcmp(app->name, name) != 0)
        app = app->next;
    return app;
}

struct ex_conn *ex_conn_find(struct ex_model *m, uint64_t id)
{
    struct ex_conn *c = m->conns;

    while (c != NULL && c->id != id)
        c = c->next;
    return c;
}

static void app_free(struct ex_model *m, struct ex_app *app)
{
    while (app->sources != NULL) {
        struct ex_source *next = app->sources->next;
        ex_free(m, app->sources);
        app->sources = next;
    }
    ex_names_free(m, &app->allowed);
    ex_names_free(m, &app->disallowed);
    ex_free(m, app->name);
    ex_free(m, app);
}

static struct ex_app *app_new(struct ex_model *m, const char *name)
{
    struct ex_app *app = ex_alloc(m, sizeof *app), **end = &m->apps;

    if (app == NULL)
        return NULL;
    app->name = ex_strdup(m, name);
    if (app->name == NULL) {
        app_free(m, app);
        return NULL;
    }
    app->serial = ++m->next_serial;
    while (*end != NULL)
        end = &(*end)->next;
    *end = app;
    return app;
}

void ex_app_check(struct ex_model *m, struct ex_app *app)
{
    struct ex_app **at = &m->apps;

    if (app->conn != NULL || app->channels > 0 || app->sources != NULL)
        return;
    while (*at != app)
        at = &(*at)->next;
    *at = app->next;
    app_free(m, app);
}

bool ex_app_lets(const struct ex_app *app, const char *type)
{
    if (ex_name_in(app->disallowed, type))
        return false;
    return app->allowed == NULL || ex_name_in(app->allowed, type);
}

/* ---- subscriptions --------------------------------------------------------------------------- */

static struct ex_source *source_find(const struct ex_app *app, const char *uri)
{
    struct ex_source *s = app->sources;

    while (s != NULL && strcmp(s->uri, uri) != 0)
        s = s->next;
    return s;
}

bool ex_app_subscribed(const struct ex_app *app, const char *kind, const char *id)
{
    size_t n = strlen(kind);

    for (const struct ex_source *s = app->sources; s != NULL; s = s->next)
        if (strncmp(s->uri, kind, n) == 0 && (s->uri[n] == '\0' || strcmp(s->uri + n, id) == 0))
            return true;
    return false;
}

int ex_app_subscribe(struct ex_model *m, struct ex_app *app, const char *uri)
{
    struct ex_source *s = source_find(app, uri);

    if (s == NULL) {
        s = ex_alloc(m, sizeof *s + strlen(uri) + 1);
        if (s == NULL)
            return TDM_ENOMEM;
        strcpy(s->uri, uri);
        s->next = app->sources;
        app->sources = s;
    }
    s->count++;
    return TDM_OK;
}

bool ex_app_unsubscribe(struct ex_model *m, struct ex_app *app, const char *uri)
{
    struct ex_source *s = source_find(app, uri), **at = &app->sources;

    if (s == NULL)
        return false;
    if (--s->count > 0)
        return true;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    ex_free(m, s);
    return true;
}

static void json_sources(struct ex_text *t, const char *name, const struct ex_app *app, const char *kind)
{
    size_t n = strlen(kind);

    ex_json_open(t, name, '[');
    for (const struct ex_source *s = app->sources; s != NULL; s = s->next)
        if (strncmp(s->uri, kind, n) == 0)
            ex_json_str(t, NULL, s->uri + n);
    ex_json_close(t, ']');
}

static void json_types(struct ex_text *t, const char *name, const struct ex_name *types)
{
    ex_json_open(t, name, '[');
    for (; types != NULL; types = types->next) {
        ex_json_open(t, NULL, '{');
        ex_json_str(t, "type", types->text);
        ex_json_close(t, '}');
    }
    ex_json_close(t, ']');
}

static void json_channel_ids(struct ex_model *m, struct ex_text *t, const struct ex_app *app)
{
    ex_json_open(t, "channel_ids", '[');
    for (const struct ex_channel *ch = m->first_channel; ch != NULL; ch = ch->next)
        if (ch->app == app)
            ex_json_str(t, NULL, ch->id);
    for (const struct ex_source *s = app->sources; s != NULL; s = s->next) {
        const struct ex_channel *ch =
            strncmp(s->uri, "channel:", 8) == 0 ? ex_channel_find(m, s->uri + 8) : NULL;
        if (ch != NULL && ch->app != app)
            ex_json_str(t, NULL, ch->id);
    }
    if (app->all)
        ex_json_str(t, NULL, "__AST_CHANNEL_ALL_TOPIC");
    ex_json_close(t, ']');
}

void ex_json_app(struct ex_model *m, struct ex_text *t, const char *name, const struct ex_app *app)
{
    ex_json_open(t, name, '{');
    ex_json_str(t, "name", app->name);
    json_channel_ids(m, t, app);
    json_sources(t, "bridge_ids", app, "bridge:");
    json_sources(t, "endpoint_ids", app, "endpoint:");
    json_sources(t, "device_names", app, "deviceState:");
    json_types(t, "events_allowed", app->allowed);
    json_types(t, "events_disallowed", app->disallowed);
    ex_json_close(t, '}');
}

/* ---- connections ----------------------------------------------------------------------------- */

static void conn_free(struct ex_model *m, struct ex_conn *c)
{
    struct ex_frame *f;

    while ((f = ex_frames_take(&c->waiting)) != NULL)
        ex_free(m, f);
    ex_free(m, c->app);
    ex_free(m, c->request_id);
    ex_free(m, c->transaction_id);
    ex_free(m, c->uri);
    ex_free(m, c);
}

static void tell_replaced(struct ex_model *m, const struct ex_app *app)
{
    ex_event(m, "ApplicationReplaced");
    ex_json_str(&m->event, "application", app->name);
    ex_json_str(&m->event, "asterisk_id", EX_SERVER);
    ex_json_close(&m->event, '}');
    if (!m->event.failed)
        ex_send_plain(m, app->conn->id, m->event.at, m->event.bytes);
}

/* One app name of an opened connection. */
static int conn_serve(struct ex_model *m, struct ex_conn *c, const char *name, bool all)
{
    struct ex_app *app = ex_app_find(m, name);

    if (app == NULL) {
        app = app_new(m, name);
        if (app == NULL)
            return TDM_ENOMEM;
        app->all = all; /* only when it is made: a known corner of the real one */
    }
    if (app->conn != NULL && app->conn != c)
        tell_replaced(m, app);
    app->conn = c;
    return TDM_OK;
}

/* The next name of a comma list, blanks cut off; NULL at the end. Changes the list. */
static char *next_name(char **list)
{
    char *name;

    while ((name = strsep(list, ",")) != NULL) {
        name += strspn(name, " \t");
        for (char *end = name + strlen(name); end > name && (end[-1] == ' ' || end[-1] == '\t');)
            *--end = '\0';
        if (*name != '\0')
            return name;
    }
    return NULL;
}

static bool says_true(const char *value)
{
    static const char *const words[] = { "yes", "true", "y", "t", "1", "on" };

    for (size_t i = 0; value != NULL && i < sizeof words / sizeof *words; i++)
        if (strcasecmp(value, words[i]) == 0)
            return true;
    return false;
}

int ex_model_ws_open(struct ex_model *m, uint64_t conn, const char *query, const char *authorization)
{
    struct ex_conn *c = ex_alloc(m, sizeof *c);
    const char *apps = ex_query_value(m, query, "app");
    char *list = apps == NULL ? NULL : ex_scratch(m, strlen(apps) + 1), *name;
    bool all = says_true(ex_query_value(m, query, "subscribeAll"));

    if (c == NULL || list == NULL) {
        ex_free(m, c);
        return TDM_ENOMEM;
    }
    strcpy(list, apps);
    c->id = conn;
    c->writer = ex_rights(m, authorization, query) > 0;
    c->next = m->conns;
    m->conns = c;
    while ((name = next_name(&list)) != NULL) {
        if ((c->app == NULL && ex_set(m, &c->app, name) < 0) || conn_serve(m, c, name, all) < 0) {
            ex_model_ws_closed(m, conn);
            return TDM_ENOMEM;
        }
    }
    ex_chaos_connections(m);
    if (ex_app_find(m, m->cfg.app) != NULL && ex_app_find(m, m->cfg.app)->conn != NULL)
        ex_callers_start(m);
    return TDM_OK;
}

void ex_model_ws_closed(struct ex_model *m, uint64_t conn)
{
    struct ex_conn **at = &m->conns;
    struct ex_app *next;

    while (*at != NULL && (*at)->id != conn)
        at = &(*at)->next;
    if (*at == NULL)
        return;
    struct ex_conn *c = *at;
    *at = c->next;
    for (struct ex_app *app = m->apps; app != NULL; app = next) {
        next = app->next;
        if (app->conn != c)
            continue;
        app->conn = NULL;
        app->all = false;
        ex_app_check(m, app);
    }
    ex_faults_forget(m, conn);
    conn_free(m, c);
    ex_chaos_connections(m);
}

void ex_apps_free(struct ex_model *m)
{
    while (m->conns != NULL) {
        struct ex_conn *next = m->conns->next;
        conn_free(m, m->conns);
        m->conns = next;
    }
    while (m->apps != NULL) {
        struct ex_app *next = m->apps->next;
        app_free(m, m->apps);
        m->apps = next;
    }
}
