/* program.c - a configuration brought to life: apps, router, sources, the metrics page. */
#include "program.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tandem/ari.h>
#include <tandem/err.h>
#include <tandem/log.h>
#include <tandem/source.h>

#include "metrics_page.h"
#include "router.h"

extern const struct tdm_app tdm_app_hello, tdm_app_reception, tdm_app_crashy, tdm_app_chaotic,
    tdm_app_chaotic_table;

static const struct tdm_app *const apps[] = { &tdm_app_router, &tdm_app_hello,   &tdm_app_reception,
                                              &tdm_app_crashy, &tdm_app_chaotic, &tdm_app_chaotic_table };

enum { LARGE_BLOCK = 256 * 1024 };

struct program {
    struct tdm_runtime *rt;
    tdm_pid *sources;
    size_t n_sources;
    struct metrics_page *page;
};

const struct tdm_app *const *program_apps(size_t *n)
{
    *n = sizeof apps / sizeof apps[0];
    return apps;
}

bool program_known_apps(const char *name)
{
    for (size_t i = 0; i < sizeof apps / sizeof apps[0]; i++)
        if (strcmp(apps[i]->name, name) == 0)
            return true;
    return false;
}

/* Large blocks come from the system and go back to it one by one, also after an app took very many. By default
 * glibc stops doing so when it sees one freed, and then keeps what an allocation run wild has touched. */
static void keep_memory_small(void)
{
    mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
}

/* ---- apps and router ------------------------------------------------------------------------- */

/* name, value, ..., NULL, as tdm_app_add() wants them. */
static const char **options_of(const struct program_app *app)
{
    const char **list = calloc(2 * app->n_options + 1, sizeof *list);

    for (size_t i = 0; list != NULL && i < app->n_options; i++) {
        list[2 * i] = app->options[i].key;
        list[2 * i + 1] = app->options[i].value;
    }
    return list;
}

static int add_app(const struct tdm_app *app, const struct program_app *settings)
{
    struct tdm_app copy = *app;

    if (settings == NULL)
        return tdm_app_add(app, NULL);
    const char **options = options_of(settings);
    if (options == NULL)
        return TDM_ENOMEM;
    copy.restarts = (uint32_t)settings->restarts;
    copy.period_ms = (uint32_t)settings->period_ms;
    copy.on_give_up = (enum tdm_on_give_up)settings->on_give_up;
    int err = tdm_app_add(&copy, options);
    free(options);
    return err;
}

static int configure_router(const struct program_config *cfg)
{
    struct router_route *routes = calloc(cfg->router.n_extensions + 1, sizeof *routes);

    if (routes == NULL)
        return TDM_ENOMEM;
    for (size_t i = 0; i < cfg->router.n_extensions; i++)
        routes[i] = (struct router_route){ cfg->router.extensions[i].match, cfg->router.extensions[i].app };
    router_configure(
        &(struct router_cfg){ .routes = routes, /* the router's from here on, as long as it runs */
                              .n_routes = cfg->router.n_extensions,
                              .unknown = (enum router_unknown)cfg->router.unknown.action,
                              .cause = (int)cfg->router.unknown.cause,
                              .app = cfg->router.unknown.app });
    return TDM_OK;
}

int program_add_apps(const struct program_config *cfg)
{
    int err = TDM_OK;

    for (size_t i = 0; i < sizeof apps / sizeof apps[0] && err == TDM_OK; i++)
        err = add_app(apps[i], cfg != NULL ? program_config_app(cfg, apps[i]->name) : NULL);
    if (err == TDM_OK && cfg != NULL && cfg->router.app != NULL)
        err = configure_router(cfg);
    return err;
}

/* ---- sources --------------------------------------------------------------------------------- */

static int start_source(struct program *p, const struct program_source *s)
{
    struct program_address at;
    const char *names[65] = { NULL };
    const char *wrong = program_url_parse(s->url, &at);

    if (wrong != NULL) { /* checked when the file was read */
        tdm_log_error("program.source", "source=%s url=%s", s->name, wrong);
        return TDM_ECONFIG;
    }
    for (size_t i = 0; i < s->n_apps && i < 64; i++)
        names[i] = s->apps[i];
    struct tdm_ari_cfg cfg = { .name = s->name,
                               .host = at.host,
                               .port = at.port,
                               .prefix = at.prefix,
                               .tls = { .on = at.tls, .ca_file = s->ca_file },
                               .user = s->user,
                               .password = s->password,
                               .apps = names,
                               .connections = (uint32_t)s->connections,
                               .request_timeout_ms = (uint32_t)s->request_timeout_ms,
                               .ping_ms = (uint32_t)s->ping_ms,
                               .receipts = s->receipts,
                               .trail = s->trail };
    int err = tdm_ari_start(p->rt, &cfg, &p->sources[p->n_sources]);
    if (err == TDM_OK)
        p->n_sources++;
    else
        tdm_log_error("program.source", "source=%s err=%s", s->name, tdm_errname(err));
    return err;
}

int program_start(struct program **ret, struct tdm_runtime *rt, const struct program_config *cfg)
{
    struct program *p = calloc(1, sizeof *p);
    int err = TDM_ENOMEM;

    if (p == NULL)
        return err;
    keep_memory_small();
    p->rt = rt;
    p->sources = calloc(cfg->n_sources + 1, sizeof *p->sources);
    if (p->sources == NULL)
        goto fail;
    err = program_add_apps(cfg);
    if (err == TDM_OK && cfg->metrics_listen != NULL)
        err = metrics_page_start(&p->page, rt, cfg->metrics_listen);
    for (size_t i = 0; i < cfg->n_sources && err == TDM_OK; i++)
        err = start_source(p, &cfg->sources[i]);
    if (err < 0)
        goto fail;
    *ret = p;
    return TDM_OK;
fail:
    tdm_runtime_stop(rt, 1000);
    program_free(p);
    return err;
}

void program_drain(struct program *p)
{
    for (size_t i = 0; i < p->n_sources; i++)
        (void)tdm_ari_drain(p->rt, p->sources[i]); /* a source that is gone takes no calls either */
}

size_t program_calls(struct program *p)
{
    struct tdm_ari_state state;
    size_t calls = 0;

    for (size_t i = 0; i < p->n_sources; i++)
        if (tdm_ari_state(p->rt, p->sources[i], &state) == TDM_OK)
            calls += state.calls;
    return calls;
}

bool program_idle(struct program *p)
{
    return program_calls(p) == 0;
}

void program_end_calls(struct program *p)
{
    for (size_t i = 0; i < p->n_sources; i++)
        (void)tdm_ari_end_calls(p->rt, p->sources[i]);
}

bool program_stop_sources(struct program *p, uint32_t limit_ms)
{
    bool all = true;

    while (p->n_sources > 0)
        all = tdm_ari_stop(p->rt, p->sources[--p->n_sources], limit_ms) == TDM_OK && all;
    return all;
}

bool program_live(struct program *p)
{
    struct tdm_ari_state state;

    for (size_t i = 0; i < p->n_sources; i++)
        if (tdm_ari_state(p->rt, p->sources[i], &state) != TDM_OK || state.phase != TDM_ARI_LIVE)
            return false;
    return true;
}

void program_free(struct program *p)
{
    if (p == NULL)
        return;
    (void)program_stop_sources(p, 1000);
    metrics_page_stop(p->page);
    free(p->sources);
    free(p);
}

/* ---- signals --------------------------------------------------------------------------------- */

sigset_t program_block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, PROGRAM_DONE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN); /* they would end the process */
    signal(SIGUSR2, SIG_IGN);
    return set;
}

int program_wait_signal(const sigset_t *set, double seconds)
{
    struct timespec time = { .tv_sec = (time_t)seconds };
    int sig;

    time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
    do
        sig = seconds == 0 ? sigwaitinfo(set, NULL) : sigtimedwait(set, NULL, &time);
    while (sig < 0 && errno == EINTR);
    return sig < 0 ? 0 : sig;
}

void program_say_done(void)
{
    sigqueue(getpid(), PROGRAM_DONE, (union sigval){ .sival_int = 0 });
}
