/* source.c - one configured switch: its tables, and the supervisors its calls live under.
 *
 *     <source>.calls            one_for_one
 *       calls/<source>/<app>    dynamic, one for each app: its calls, each with its own restart limit
 *       watch                   (watch.c) sees such a supervisor come back empty, and has the switch asked
 *
 * One dynamic supervisor per app, because stack, mailbox and restart limit are the app's.
 * Touched at boot; afterwards read by anyone. The watch is an actor. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "dispatch.h"
#include "event.h"
#include "tandem/registry.h"
#include "tandem/runtime.h"

/* ---- a source -------------------------------------------------------------------------------- */

int tdm_source_new(struct tdm_runtime *rt, const struct tdm_source_cfg *cfg, struct tdm_source **ret)
{
    struct tdm_env *env = tdm_runtime_env(rt);
    struct tdm_source *src;
    int err;

    event_describe();
    if (cfg->name == NULL || cfg->ops == NULL || strlen(cfg->name) > TDM_CALL_APP_MAX)
        return TDM_EINVAL;
    src = env->alloc(env, sizeof *src);
    if (src == NULL)
        return TDM_ENOMEM;
    memset(src, 0, sizeof *src);
    src->rt = rt;
    src->env = env;
    src->cfg = *cfg;
    strcpy(src->name, cfg->name);
    src->cfg.name = src->name;
    err = table_new(&src->calls, env);
    if (err == TDM_OK)
        err = table_new(&src->objects, env);
    if (err != TDM_OK)
        goto fail;
    *ret = src;
    return TDM_OK;
fail:
    tdm_source_free(src);
    return err;
}

void tdm_source_free(struct tdm_source *src)
{
    if (src == NULL)
        return;
    if (src->calls != NULL)
        table_free(src->calls);
    if (src->objects != NULL)
        table_free(src->objects);
    if (src->nurseries != NULL)
        src->env->free(src->env, src->nurseries, (src->room + 1) * sizeof *src->nurseries);
    if (src->specs != NULL)
        src->env->free(src->env, src->specs, (src->room + 1) * sizeof *src->specs);
    if (src->scratch != NULL)
        src->env->free(src->env, src->scratch, src->scratch_bytes);
    src->env->free(src->env, src, sizeof *src);
}

void *tdm_source_self(const struct tdm_source *src)
{
    return src->cfg.self;
}

const char *tdm_source_name(const struct tdm_source *src)
{
    return src->name;
}

const struct tdm_source_ops *dispatch_ops(const struct tdm_source *src)
{
    return src->cfg.ops;
}

size_t tdm_source_calls(const struct tdm_source *src)
{
    return table_count(src->calls);
}

/* ---- supervisors ----------------------------------------------------------------------------- */

static void given_up(tdm_self *sup, tdm_place child, const void *arg, size_t arg_bytes,
                     const struct tdm_reason *last)
{
    char why[TDM_REASON_TEXT_BYTES + 32];

    (void)sup;
    (void)arg_bytes;
    dispatch_call_lost(arg, child, tdm_reason_str(last, why, sizeof why));
}

static void fill_nursery(struct tdm_source *src, struct nursery *n, const struct app_entry *app)
{
    bool fiber = app->app.run != NULL;

    n->app = app;
    (void)snprintf(n->name, sizeof n->name, "calls/%s/%s", src->name, app->name);
    n->call = (struct tdm_child_spec){
        .id = "call",
        .start = { .behaviour = fiber ? &call_fiber : &call_reactive,
                   .mailbox_limit = app->app.mailbox_limit,
                   .stack_bytes = fiber ? app_registry_stack_bytes() : 0,
                   .history = 32,
                   .trap_stop = true },
        .restart = TDM_TRANSIENT,
        .mail = TDM_MAIL_KEEP,
        .on_give_up = given_up,
    };
    n->sup = (struct tdm_sup_cfg){ .name = n->name,
                                   .strategy = TDM_DYNAMIC,
                                   .intensity = (int32_t)app->app.restarts,
                                   .period_ms = app->app.period_ms,
                                   .scope = TDM_SCOPE_CHILD,
                                   .children = &n->call,
                                   .n_children = 1 };
}

static void count_app(void *ctx, const struct app_entry *entry)
{
    (void)entry;
    ++*(size_t *)ctx;
}

struct filling {
    struct tdm_source *src;
    size_t at;
};

static void fill_one(void *ctx, const struct app_entry *entry)
{
    struct filling *f = ctx;
    struct nursery *n = &f->src->nurseries[f->at];

    if (f->at == f->src->room)
        return; /* added while we count */
    fill_nursery(f->src, n, entry);
    f->src->specs[f->at++] = (struct tdm_child_spec)TDM_SUP_CHILD(n->name, &n->sup);
}

tdm_pid source_nursery(struct tdm_source *src, const char *app, size_t bytes)
{
    for (size_t i = 0; i < src->n_nurseries; i++) {
        const struct nursery *n = &src->nurseries[i];

        if (strlen(n->app->name) == bytes && memcmp(n->app->name, app, bytes) == 0)
            return tdm_whereis(src->rt, n->name, strlen(n->name));
    }
    return (tdm_pid){ 0 };
}

int tdm_source_child_spec(struct tdm_source *src, struct tdm_child_spec *ret)
{
    struct filling f = { .src = src };
    size_t n = 0;

    if (src->specs != NULL)
        return TDM_EEXIST;
    app_registry_each(count_app, &n);
    src->nurseries = src->env->alloc(src->env, (n + 1) * sizeof *src->nurseries);
    src->specs = src->env->alloc(src->env, (n + 1) * sizeof *src->specs);
    src->room = n;
    if (src->nurseries == NULL || src->specs == NULL)
        return TDM_ENOMEM; /* tdm_source_free() gives back what there is */
    memset(src->nurseries, 0, (n + 1) * sizeof *src->nurseries);
    app_registry_each(fill_one, &f);
    src->n_nurseries = f.at;
    watch_spec(src, &src->specs[f.at]);
    (void)snprintf(src->top_name, sizeof src->top_name, "%s.calls", src->name);
    src->top = (struct tdm_sup_cfg){ .name = src->top_name,
                                     .strategy = TDM_ONE_FOR_ONE,
                                     .intensity = 5,
                                     .period_ms = 10000,
                                     .children = src->specs,
                                     .n_children = f.at + 1 };
    *ret = (struct tdm_child_spec)TDM_SUP_CHILD(src->top_name, &src->top);
    return TDM_OK;
}

/* ---- the observer ---------------------------------------------------------------------------- */

struct observer {
    tdm_observer *fn;
    void *ctx;
};

static pthread_mutex_t observer_lock = PTHREAD_MUTEX_INITIALIZER;
static struct observer observer;
/* relaxed: whether to look under the lock at all; set before the sources it concerns are started. */
static _Atomic bool observed;

void tdm_observe_calls(tdm_observer *fn, void *ctx)
{
    pthread_mutex_lock(&observer_lock);
    observer = (struct observer){ .fn = fn, .ctx = ctx };
    atomic_store_explicit(&observed, fn != NULL, memory_order_relaxed);
    pthread_mutex_unlock(&observer_lock);
}

void source_observe(const struct call_start *start, const char *what, tdm_event *event)
{
    struct observer o;

    if (!start->source->cfg.observe || !atomic_load_explicit(&observed, memory_order_relaxed))
        return;
    pthread_mutex_lock(&observer_lock);
    o = observer;
    pthread_mutex_unlock(&observer_lock);
    if (o.fn != NULL)
        o.fn(o.ctx, what, call_start_app(start), call_start_id(start), event);
}
