/* program_config.c - the tables of the program's configuration, and what only several keys together tell. */
#include <stdlib.h>
#include <string.h>

#include <tandem/app.h>
#include <tandem/log.h>

#include "extension.h"
#include "program_config.h"

/* -- checks of single values --------------------------------------------------------------------- */

static const char *check_url(const char *text)
{
    struct program_address a;

    return program_url_parse(text, &a);
}

static const char *check_listen(const char *text)
{
    struct program_address a;

    return program_listen_parse(text, &a);
}

/* Names go into metrics, logs and call keys. */
static const char *check_name(const char *text)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

    if (text[0] == '\0')
        return "is empty";
    return text[strspn(text, good)] == '\0' ? NULL : "must consist of letters, digits, _, - and .";
}

/* ARI takes several apps in one list with commas. */
static const char *check_stasis_app(const char *text)
{
    if (text[0] == '\0')
        return "is empty";
    if (strlen(text) > 73)
        return "is longer than 73 bytes";
    return strpbrk(text, ", \t") == NULL ? NULL : "must not contain a comma or a blank";
}

/* -- tables -------------------------------------------------------------------------------------- */

#define AT(member) offsetof(struct program_config, member)

static const struct tdm_config_word levels[] = {
    { "debug", TDM_LOG_DEBUG }, { "info", TDM_LOG_INFO }, { "warn", TDM_LOG_WARN },
    { "error", TDM_LOG_ERROR }, { "off", TDM_LOG_OFF },   { NULL, 0 },
};
static const struct tdm_config_word formats[] = {
    { "logfmt", TDM_LOG_LOGFMT },
    { "json", TDM_LOG_JSON },
    { NULL, 0 },
};
static const struct tdm_config_word heart_choices[] = {
    { "on", HEART_ON },
    { "off", HEART_OFF },
    { "auto", HEART_AUTO },
    { NULL, 0 },
};
static const struct tdm_config_word give_up_choices[] = {
    { "hangup", TDM_GIVE_UP_HANGUP },
    { "hand_back", TDM_GIVE_UP_HAND_BACK },
    { "leave", TDM_GIVE_UP_LEAVE },
    { NULL, 0 },
};
static const struct tdm_config_word source_types[] = {
    { "ari", SOURCE_ARI },
    { NULL, 0 },
};
static const struct tdm_config_word actions[] = {
    { "hand_back", UNKNOWN_HAND_BACK },
    { "hangup", UNKNOWN_HANGUP },
    { "app", UNKNOWN_APP },
    { NULL, 0 },
};

/* In the file these are nested maps; in the program, plain members. So the nested tables' offsets count
 * from the start of struct program_config, and the maps themselves are at its offset 0. */
static const struct tdm_config_field log_fields[] = {
    { .key = "level",
      .type = TDM_CONFIG_ENUM,
      .offset = AT(log.level),
      .words = levels,
      .fallback = "info",
      .help = "records below this are not written" },
    { .key = "format",
      .type = TDM_CONFIG_ENUM,
      .offset = AT(log.format),
      .words = formats,
      .fallback = "logfmt",
      .help = "how a record is written" },
};
static const struct tdm_config_schema log_schema = TDM_CONFIG_SCHEMA(struct program_config, log_fields);

static const struct tdm_config_field metrics_fields[] = {
    { .key = "listen",
      .type = TDM_CONFIG_STRING,
      .offset = AT(metrics_listen),
      .check = check_listen,
      .help = "host:port for Prometheus" },
};
static const struct tdm_config_schema metrics_schema =
    TDM_CONFIG_SCHEMA(struct program_config, metrics_fields);

static const struct tdm_config_field heartbeat_fields[] = {
    { .key = "ping",
      .type = TDM_CONFIG_TIME,
      .offset = AT(heartbeat.ping_ms),
      .fallback = "1s",
      .min = 10,
      .max = 3600000,
      .help = "how often the heart asks whether the program lives" },
    { .key = "misses",
      .type = TDM_CONFIG_INT,
      .offset = AT(heartbeat.misses),
      .fallback = "10",
      .min = 1,
      .max = 100000,
      .help = "questions in a row without an answer, then it is started again" },
    { .key = "start",
      .type = TDM_CONFIG_TIME,
      .offset = AT(heartbeat.start_ms),
      .fallback = "30s",
      .min = 100,
      .max = 3600000,
      .help = "time to the first answer" },
    { .key = "deaths",
      .type = TDM_CONFIG_INT,
      .offset = AT(heartbeat.deaths),
      .fallback = "10",
      .min = 1,
      .max = 1000,
      .help = "deaths within 5s of the start, in one period; then the heart gives up" },
    { .key = "period",
      .type = TDM_CONFIG_TIME,
      .offset = AT(heartbeat.period_ms),
      .fallback = "1m",
      .min = 1000,
      .max = 86400000,
      .help = "see deaths" },
};
static const struct tdm_config_schema heartbeat_schema =
    TDM_CONFIG_SCHEMA(struct program_config, heartbeat_fields);

static const struct tdm_config_field runtime_fields[] = {
    { .key = "workers",
      .type = TDM_CONFIG_INT,
      .offset = AT(workers),
      .fallback = "0",
      .max = 60,
      .help = "threads that run actors; 0: one per core" },
    { .key = "stuck_after",
      .type = TDM_CONFIG_TIME,
      .offset = AT(stuck_after_ms),
      .fallback = "10s",
      .min = 100,
      .max = 3600000,
      .help = "a callback that runs longer is reported and ended" },
    { .key = "heart",
      .type = TDM_CONFIG_ENUM,
      .offset = AT(heart),
      .words = heart_choices,
      .fallback = "on",
      .help = "a parent process that starts the program again; auto: unless systemd does" },
    { .key = "heartbeat", .type = TDM_CONFIG_STRUCT, .of = &heartbeat_schema },
    { .key = "notes",
      .type = TDM_CONFIG_STRING,
      .offset = AT(notes),
      .min = 1,
      .max = 4096,
      .help = "file for the notes of calls, which then outlive the heart too" },
    { .key = "notes_max",
      .type = TDM_CONFIG_INT,
      .offset = AT(notes_max),
      .fallback = "16384",
      .max = 1000000,
      .help = "calls with notes at once; 0: notes end with the process" },
    { .key = "log", .type = TDM_CONFIG_STRUCT, .of = &log_schema },
    { .key = "metrics", .type = TDM_CONFIG_STRUCT, .of = &metrics_schema },
};
static const struct tdm_config_schema runtime_schema =
    TDM_CONFIG_SCHEMA(struct program_config, runtime_fields);

#define SRC(member) offsetof(struct program_source, member)
static const struct tdm_config_field source_fields[] = {
    { .key = "type", .type = TDM_CONFIG_ENUM, .offset = SRC(type), .words = source_types, .required = true },
    { .key = "url", .type = TDM_CONFIG_STRING, .offset = SRC(url), .check = check_url, .required = true },
    { .key = "user", .type = TDM_CONFIG_STRING, .offset = SRC(user), .min = 1, .max = 256, .required = true },
    { .key = "password",
      .type = TDM_CONFIG_SECRET,
      .offset = SRC(password),
      .min = 1,
      .max = 1024,
      .required = true },
    { .key = "ca_file", .type = TDM_CONFIG_STRING, .offset = SRC(ca_file), .min = 1, .max = 4096 },
    { .key = "apps",
      .type = TDM_CONFIG_STRINGS,
      .offset = SRC(apps),
      .count_offset = SRC(n_apps),
      .check = check_stasis_app,
      .min = 1,
      .max = 100,
      .required = true },
    { .key = "receipts", .type = TDM_CONFIG_BOOL, .offset = SRC(receipts), .fallback = "false" },
    { .key = "trail", .type = TDM_CONFIG_BOOL, .offset = SRC(trail), .fallback = "false" },
    { .key = "connections",
      .type = TDM_CONFIG_INT,
      .offset = SRC(connections),
      .fallback = "8",
      .min = 1,
      .max = 64 },
    { .key = "request_timeout",
      .type = TDM_CONFIG_TIME,
      .offset = SRC(request_timeout_ms),
      .fallback = "30s",
      .min = 100,
      .max = 600000 },
    { .key = "ping",
      .type = TDM_CONFIG_TIME,
      .offset = SRC(ping_ms),
      .fallback = "10s",
      .min = 1000,
      .max = 3600000 },
};
static const struct tdm_config_schema source_schema = {
    .bytes = sizeof(struct program_source),
    .fields = source_fields,
    .n_fields = sizeof source_fields / sizeof source_fields[0],
    .name_offset = SRC(name),
};

static const struct tdm_config_field route_fields[] = {
    { .key = "match",
      .type = TDM_CONFIG_STRING,
      .offset = offsetof(struct program_route, match),
      .check = extension_fault,
      .required = true },
    { .key = "app",
      .type = TDM_CONFIG_STRING,
      .offset = offsetof(struct program_route, app),
      .check = check_name,
      .required = true },
};
static const struct tdm_config_schema route_schema = TDM_CONFIG_SCHEMA(struct program_route, route_fields);

static const struct tdm_config_field unknown_fields[] = {
    { .key = "action",
      .type = TDM_CONFIG_ENUM,
      .offset = AT(router.unknown.action),
      .words = actions,
      .fallback = "hand_back" },
    { .key = "cause",
      .type = TDM_CONFIG_INT,
      .offset = AT(router.unknown.cause),
      .fallback = "1",
      .min = 1,
      .max = 127 },
    { .key = "app", .type = TDM_CONFIG_STRING, .offset = AT(router.unknown.app), .check = check_name },
};
static const struct tdm_config_schema unknown_schema =
    TDM_CONFIG_SCHEMA(struct program_config, unknown_fields);

static const struct tdm_config_field router_fields[] = {
    { .key = "app", .type = TDM_CONFIG_STRING, .offset = AT(router.app), .check = check_stasis_app },
    { .key = "extensions",
      .type = TDM_CONFIG_LIST,
      .offset = AT(router.extensions),
      .count_offset = AT(router.n_extensions),
      .of = &route_schema },
    { .key = "unknown", .type = TDM_CONFIG_STRUCT, .of = &unknown_schema },
};
static const struct tdm_config_schema router_schema = TDM_CONFIG_SCHEMA(struct program_config, router_fields);

#define APP(member) offsetof(struct program_app, member)
static const struct tdm_config_field app_fields[] = {
    { .key = "restarts", .type = TDM_CONFIG_INT, .offset = APP(restarts), .fallback = "3", .max = 1000 },
    { .key = "period",
      .type = TDM_CONFIG_TIME,
      .offset = APP(period_ms),
      .fallback = "10s",
      .min = 1,
      .max = 86400000 },
    { .key = "on_give_up",
      .type = TDM_CONFIG_ENUM,
      .offset = APP(on_give_up),
      .words = give_up_choices,
      .fallback = "hangup" },
    { .key = "options", .type = TDM_CONFIG_PAIRS, .offset = APP(options), .count_offset = APP(n_options) },
};
static const struct tdm_config_schema app_schema = {
    .bytes = sizeof(struct program_app),
    .fields = app_fields,
    .n_fields = sizeof app_fields / sizeof app_fields[0],
    .name_offset = APP(name),
};

#define STOP(name, time, words)                                                                \
    {                                                                                          \
        .key = #name, .type = TDM_CONFIG_TIME, .offset = AT(stop.name##_ms), .fallback = time, \
        .max = 86400000, .help = words                                                         \
    }
static const struct tdm_config_field stop_fields[] = {
    STOP(drain, "30s", "running calls may finish for so long"),
    STOP(end, "10s", "then each app has so long to hand its call back"),
    STOP(sources, "5s", "then the connections to the switches are closed"),
    STOP(tree, "5s", "and everything else is ended"),
};
static const struct tdm_config_schema stop_schema = TDM_CONFIG_SCHEMA(struct program_config, stop_fields);

static const struct tdm_config_field program_fields[] = {
    { .key = "runtime", .type = TDM_CONFIG_STRUCT, .of = &runtime_schema },
    { .key = "sources",
      .type = TDM_CONFIG_MAP,
      .offset = AT(sources),
      .count_offset = AT(n_sources),
      .of = &source_schema,
      .check = check_name,
      .min = 1,
      .max = 100,
      .required = true },
    { .key = "router", .type = TDM_CONFIG_STRUCT, .of = &router_schema },
    { .key = "apps",
      .type = TDM_CONFIG_MAP,
      .offset = AT(apps),
      .count_offset = AT(n_apps),
      .of = &app_schema,
      .check = check_name },
    { .key = "stop", .type = TDM_CONFIG_STRUCT, .of = &stop_schema },
};

/* -- checks across keys -------------------------------------------------------------------------- */

struct look {
    const struct program_config *cfg;
    program_known_app *known;
    struct tdm_config_report *report;
};

static void check_app_known(const struct look *l, const char *name, const char *key)
{
    if (name == NULL || l->known == NULL || tdm_config_faulty(l->report, key) || l->known(name))
        return;
    tdm_config_fault(l->report, key, "an app that is built in or loaded", "there is no app %s",
                     TDM_LOG_TEXT(name, strlen(name)));
}

static bool is_served(const struct program_config *cfg, const char *stasis_app)
{
    for (size_t i = 0; i < cfg->n_sources; i++) {
        for (size_t j = 0; j < cfg->sources[i].n_apps; j++) {
            if (strcmp(cfg->sources[i].apps[j], stasis_app) == 0)
                return true;
        }
    }
    return false;
}

/* Were apps of sources lost to other faults? Then what is served cannot be told. */
static bool sources_unclear(const struct look *l)
{
    char key[128];
    bool unclear = l->cfg->n_sources == 0;

    for (size_t i = 0; i < l->cfg->n_sources && !unclear; i++) {
        snprintf(key, sizeof key, "sources.%s.apps", l->cfg->sources[i].name);
        unclear = tdm_config_faulty(l->report, key);
    }
    return unclear;
}

/* A Stasis app that a source registers is answered by the router or by the app of its name. */
static void check_source(const struct look *l, const struct program_source *s)
{
    const char *router = l->cfg->router.app;
    char key[256];
    struct program_address a;

    for (size_t i = 0; i < s->n_apps; i++) {
        snprintf(key, sizeof key, "sources.%s.apps[%zu]", s->name, i);
        if (router == NULL || strcmp(router, s->apps[i]) != 0)
            check_app_known(l, s->apps[i], key);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(s->apps[i], s->apps[j]) == 0)
                tdm_config_fault(l->report, key, NULL, "is in this list already");
        }
    }
    snprintf(key, sizeof key, "sources.%s.ca_file", s->name);
    if (s->ca_file != NULL && s->url != NULL && program_url_parse(s->url, &a) == NULL && !a.tls)
        tdm_config_fault(l->report, key, NULL, "is of no use without https in url");
    snprintf(key, sizeof key, "sources.%s.password", s->name);
    if (s->password != NULL && strlen(s->password) < TDM_LOG_SECRET_MIN)
        tdm_config_warn(l->report, key, NULL, "is so short that it is not hidden in logs");
}

static bool taken_over(const struct program_source *a, const struct program_source *b, const char **app)
{
    for (size_t i = 0; i < a->n_apps; i++) {
        for (size_t j = 0; j < b->n_apps; j++) {
            *app = a->apps[i];
            if (strcmp(a->apps[i], b->apps[j]) == 0)
                return true;
        }
    }
    return false;
}

/* Asterisk gives a Stasis app to the connection that asked last: two sources would push each other out. */
static void check_same_server(const struct look *l)
{
    const struct program_source *s = l->cfg->sources;
    const char *app = NULL;
    char key[256];

    for (size_t i = 1; i < l->cfg->n_sources; i++) {
        for (size_t j = 0; j < i; j++) {
            if (s[i].url == NULL || s[j].url == NULL || strcmp(s[i].url, s[j].url) != 0 ||
                !taken_over(&s[i], &s[j], &app))
                continue;
            snprintf(key, sizeof key, "sources.%s.apps", s[i].name);
            tdm_config_fault(l->report, key, NULL, "%s is registered at the same server by source %s",
                             TDM_LOG_TEXT(app, strlen(app)), s[j].name);
        }
    }
}

static void check_route(const struct look *l, size_t at)
{
    const struct program_route *routes = l->cfg->router.extensions;
    char key[64];

    snprintf(key, sizeof key, "router.extensions[%zu].app", at);
    check_app_known(l, routes[at].app, key);
}

/* Precedence, and among equals the file's order; routes without a pattern last. */
static int by_precedence(const void *a, const void *b)
{
    const struct program_route *x = *(const struct program_route *const *)a;
    const struct program_route *y = *(const struct program_route *const *)b;
    int cmp;

    if (x->match == NULL || y->match == NULL)
        cmp = (x->match == NULL) - (y->match == NULL);
    else
        cmp = extension_compare(x->match, y->match);
    return cmp == 0 ? (x > y) - (x < y) : cmp;
}

/* Routes that match the same stand side by side once all are in order. */
static void check_doubles(const struct look *l)
{
    const struct program_route *routes = l->cfg->router.extensions;
    size_t n = l->cfg->router.n_extensions;
    const struct program_route **sorted = calloc(n + 1, sizeof *sorted);
    char key[64];

    if (sorted == NULL) {
        l->report->out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < n; i++)
        sorted[i] = &routes[i];
    qsort(sorted, n, sizeof *sorted, by_precedence);
    for (size_t i = 1; i < n && sorted[i]->match != NULL; i++) {
        if (extension_compare(sorted[i - 1]->match, sorted[i]->match) != 0)
            continue;
        snprintf(key, sizeof key, "router.extensions[%zu].match", (size_t)(sorted[i] - routes));
        tdm_config_fault(l->report, key, NULL,
                         "matches the same as router.extensions[%zu], so it is never used",
                         (size_t)(sorted[i - 1] - routes));
    }
    free(sorted);
}

static void check_router(const struct look *l)
{
    const struct program_config *cfg = l->cfg;

    if (cfg->router.app == NULL && cfg->router.n_extensions > 0 &&
        !tdm_config_faulty(l->report, "router.app"))
        tdm_config_fault(l->report, "router.app", NULL, "is missing; without it the extensions are not used");
    if (cfg->router.app != NULL && !sources_unclear(l) && !is_served(cfg, cfg->router.app))
        tdm_config_fault(l->report, "router.app", NULL, "%s is in the apps of no source",
                         TDM_LOG_TEXT(cfg->router.app, strlen(cfg->router.app)));
    for (size_t i = 0; i < cfg->router.n_extensions; i++)
        check_route(l, i);
    check_doubles(l);
    if (cfg->router.unknown.action == UNKNOWN_APP && cfg->router.unknown.app == NULL &&
        !tdm_config_faulty(l->report, "router.unknown"))
        tdm_config_fault(l->report, "router.unknown.app", NULL, "is missing; action: app needs it");
    check_app_known(l, cfg->router.unknown.app, "router.unknown.app");
}

static void check_program(const void *value, void *arg, struct tdm_config_report *report)
{
    program_known_app *const *known = arg;
    struct look l = { .cfg = value, .known = *known, .report = report };
    char key[128];

    check_router(&l); /* before faults of the next checks hide which apps are served */
    check_same_server(&l);
    for (size_t i = 0; i < l.cfg->n_sources; i++)
        check_source(&l, &l.cfg->sources[i]);
    for (size_t i = 0; i < l.cfg->n_apps; i++) {
        snprintf(key, sizeof key, "apps.%s", l.cfg->apps[i].name);
        check_app_known(&l, l.cfg->apps[i].name, key);
    }
}

/* -- loading ------------------------------------------------------------------------------------- */

static struct tdm_config_schema program_schema(program_known_app **known)
{
    struct tdm_config_schema s = TDM_CONFIG_SCHEMA(struct program_config, program_fields);

    s.check = check_program;
    s.check_arg = known;
    return s;
}

int program_config_load(const char *file, program_known_app *known, struct program_config *out,
                        struct tdm_config_report *report)
{
    struct tdm_config_schema schema = program_schema(&known);

    return tdm_config_load(file, &schema, out, report);
}

int program_config_load_text(const char *name, const char *text, size_t bytes, program_known_app *known,
                             struct program_config *out, struct tdm_config_report *report)
{
    struct tdm_config_schema schema = program_schema(&known);

    return tdm_config_load_text(name, text, bytes, &schema, out, report);
}

void program_config_free(struct program_config *cfg)
{
    struct tdm_config_schema schema = program_schema(NULL);

    tdm_config_free(&schema, cfg);
}

void program_config_dump(const struct program_config *cfg, FILE *to)
{
    struct tdm_config_schema schema = program_schema(NULL);

    tdm_config_dump(&schema, cfg, to);
}

/* -- asking -------------------------------------------------------------------------------------- */

const struct program_app *program_config_app(const struct program_config *cfg, const char *name)
{
    for (size_t i = 0; i < cfg->n_apps; i++) {
        if (strcmp(cfg->apps[i].name, name) == 0)
            return &cfg->apps[i];
    }
    return NULL;
}

const char *program_app_option(const struct program_app *app, const char *key, const char *otherwise)
{
    for (size_t i = 0; app != NULL && i < app->n_options; i++) {
        if (strcmp(app->options[i].key, key) == 0)
            return app->options[i].value;
    }
    return otherwise;
}
