/* ari.c - one Asterisk as a subtree: configuration, child specs, start and stop.
 *
 *     ari:NAME          root supervisor, one for one
 *       conn            the event socket (conn.c); stopped last, so that running calls hear their end
 *       calls           dynamic supervisor of the channels (dispatch.c)
 *       trail           only with cfg.trail (trail.c)
 *
 * A struct ari is found by the pid of its root. It is freed by tdm_ari_stop(), when nothing of it runs:
 * the connection actor ends an orderly stop only after its socket's last message (conn.c), so no tap
 * can come later. If it had to be killed that is not certain, and the memory is kept. */
#include "ari.h"
#include "channel.h"
#include "conn.h"
#include "receipts.h"
#include "tandem/log.h"
#include "tandem/runtime.h"
#include "tandem/supervisor.h"
#include "trail.h"

#include <stdio.h>
#include <string.h>

enum { APP_BYTES = TDM_CALL_APP_MAX, HTTP_BODY_MAX = 256 * 1024 * 1024, CONN_SHUTDOWN_MS = 2000 };

static struct {
    pthread_mutex_t lock;
    struct ari *list;
} all = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- the configuration ----------------------------------------------------------------------- */

static const char *app_fault(const char *app)
{
    if (app[0] == '\0' || strlen(app) > APP_BYTES)
        return "apps: each name has 1 to 64 bytes";
    return strchr(app, ',') != NULL ? "apps: a name may not contain a comma" : NULL;
}

const char *ari_cfg_fault(const struct tdm_ari_cfg *cfg)
{
    const char *fault = NULL;

    if (cfg->name == NULL || cfg->name[0] == '\0')
        return "name: required";
    if (cfg->host == NULL || cfg->host[0] == '\0')
        return "host: required";
    if (cfg->user == NULL || cfg->user[0] == '\0' || strchr(cfg->user, ':') != NULL)
        return "user: required, and without a colon";
    if (cfg->password == NULL)
        return "password: required";
    if (cfg->prefix != NULL && cfg->prefix[0] != '\0' &&
        (cfg->prefix[0] != '/' || cfg->prefix[strlen(cfg->prefix) - 1] == '/'))
        return "prefix: begins with a slash and does not end with one";
    if (cfg->apps == NULL || cfg->apps[0] == NULL)
        return "apps: at least one";
    for (int i = 0; cfg->apps[i] != NULL && fault == NULL; i++)
        fault = app_fault(cfg->apps[i]);
    if (fault == NULL && cfg->backoff_max_ms != 0 && cfg->backoff_max_ms < cfg->backoff_min_ms)
        fault = "backoff_max_ms: not less than backoff_min_ms";
    return fault;
}

static void fill_defaults(struct tdm_ari_cfg *cfg)
{
    const struct {
        uint32_t *at, value;
    } defaults[] = {
        { &cfg->connections, 8 },
        { &cfg->request_timeout_ms, 5000 },
        { &cfg->blocking_timeout_ms, 60000 },
        { &cfg->connect_timeout_ms, 5000 },
        { &cfg->ping_ms, 10000 },
        { &cfg->pong_ms, 10000 },
        { &cfg->backoff_min_ms, 500 },
        { &cfg->backoff_max_ms, cfg->backoff_min_ms > 8000 ? cfg->backoff_min_ms : 8000 },
        { &cfg->replaced_ms, 60000 },
        { &cfg->held_max, 32 * 1024 * 1024 },
    };

    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++)
        if (*defaults[i].at == 0)
            *defaults[i].at = defaults[i].value;
    if (cfg->port == 0)
        cfg->port = cfg->tls.on ? 8089 : 8088;
}

/* ---- its texts, in one block ----------------------------------------------------------------- */

struct block {
    char *at; /* NULL: only count */
    size_t used;
};

static const char *keep(struct block *b, const char *text)
{
    const size_t bytes = text != NULL ? strlen(text) + 1 : 0;
    char *at = b->at != NULL ? b->at + b->used : NULL;

    b->used += bytes;
    if (text == NULL || at == NULL)
        return NULL;
    return memcpy(at, text, bytes);
}

static const char *const *keep_list(struct block *b, const char *const *list)
{
    size_t n = 0;

    while (list[n] != NULL)
        n++;
    b->used = (b->used + sizeof(char *) - 1) & ~(sizeof(char *) - 1);
    const char **copy = b->at != NULL ? (const char **)(void *)(b->at + b->used) : NULL;

    b->used += (n + 1) * sizeof(char *);
    for (size_t i = 0; i < n; i++) {
        const char *text = keep(b, list[i]);

        if (copy != NULL)
            copy[i] = text;
    }
    if (copy != NULL)
        copy[n] = NULL;
    return copy;
}

static void keep_texts(struct ari *a, struct block *b, const struct tdm_ari_cfg *cfg)
{
    char target[APP_BYTES * 3 + 1];

    a->cfg.apps = keep_list(b, cfg->apps);
    a->cfg.name = keep(b, cfg->name);
    a->cfg.host = keep(b, cfg->host);
    a->cfg.prefix = keep(b, cfg->prefix);
    a->cfg.user = keep(b, cfg->user);
    a->cfg.password = keep(b, cfg->password);
    a->cfg.tls.ca_file = keep(b, cfg->tls.ca_file);
    a->cfg.tls.server_name = keep(b, cfg->tls.server_name);
    a->cfg.tls.cert_file = keep(b, cfg->tls.cert_file);
    a->cfg.tls.key_file = keep(b, cfg->tls.key_file);

    const size_t bytes = conn_target(target, sizeof target, cfg) + 1;

    if (b->at != NULL) {
        conn_target(b->at + b->used, bytes, cfg);
        a->target = b->at + b->used;
    }
    b->used += bytes;
}

static int copy_cfg(struct ari *a, const struct tdm_ari_cfg *cfg)
{
    struct block count = { .at = NULL }, copy = { .at = NULL };

    a->cfg = *cfg;
    keep_texts(a, &count, cfg);
    a->texts = a->env->alloc(a->env, count.used);
    if (a->texts == NULL)
        return TDM_ENOMEM;
    a->texts_bytes = count.used;
    copy.at = a->texts;
    keep_texts(a, &copy, cfg);
    fill_defaults(&a->cfg);
    return TDM_OK;
}

/* ---- small services for the other files ------------------------------------------------------ */

void ari_publish(struct ari *a, void (*fn)(struct tdm_ari_state *state, const void *arg), const void *arg)
{
    pthread_mutex_lock(&a->lock);
    fn(&a->state, arg);
    pthread_mutex_unlock(&a->lock);
}

void ari_new_id(struct ari *a, char buf[ARI_NEW_ID_BYTES])
{
    /* relaxed: only the number matters, and nobody gets it twice */
    const uint64_t n = atomic_fetch_add_explicit(&a->next_id, 1, memory_order_relaxed);

    snprintf(buf, ARI_NEW_ID_BYTES, "tdm-%016llx-%llu", (unsigned long long)a->run,
             (unsigned long long)n + 1);
}

/* ---- making and freeing ---------------------------------------------------------------------- */

static void ari_free(struct ari *a)
{
    if (a == NULL)
        return;
    tdm_http_pool_free(a->pool);
    tdm_source_free(a->source);
    receipts_free(a->receipts);
    trail_free(a->trail);
    conn_forget(a);
    if (a->texts != NULL)
        a->env->free(a->env, a->texts, a->texts_bytes);
    pthread_mutex_destroy(&a->lock);
    a->env->free(a->env, a, sizeof *a);
}

static int make_pool(struct ari *a)
{
    return tdm_http_pool_new(a->rt,
                             &(struct tdm_http_pool_cfg){ .host = a->cfg.host,
                                                          .port = a->cfg.port,
                                                          .tls = a->cfg.tls,
                                                          .user = a->cfg.user,
                                                          .password = a->cfg.password,
                                                          .connections = a->cfg.connections,
                                                          .connect_timeout_ms = a->cfg.connect_timeout_ms,
                                                          .body_max = HTTP_BODY_MAX },
                             &a->pool);
}

static int ari_new(struct tdm_runtime *rt, const struct tdm_ari_cfg *cfg, struct ari **ret)
{
    struct tdm_env *env = tdm_runtime_env(rt);
    struct ari *a = env->alloc(env, sizeof *a);
    int err;

    if (a == NULL)
        return TDM_ENOMEM;
    memset(a, 0, sizeof *a);
    a->rt = rt;
    a->env = env;
    a->run = env->random(env);
    pthread_mutex_init(&a->lock, NULL); /* from here on ari_free() may run */
    err = copy_cfg(a, cfg);
    if (err == TDM_OK)
        err = tdm_source_new(
            rt,
            &(struct tdm_source_cfg){ .name = a->cfg.name, .ops = &channel_ops, .self = a, .observe = true },
            &a->source);
    if (err == TDM_OK)
        err = make_pool(a);
    if (err == TDM_OK && cfg->receipts)
        err = receipts_new(env, &a->receipts);
    if (err == TDM_OK && cfg->trail)
        err = trail_new(env, a->run, &a->trail);
    if (err != TDM_OK) {
        ari_free(a);
        return err;
    }
    *ret = a;
    return TDM_OK;
}

/* ---- the list of sources --------------------------------------------------------------------- */

static int enter(struct ari *a)
{
    int err = TDM_OK;

    pthread_mutex_lock(&all.lock);
    for (const struct ari *other = all.list; other != NULL; other = other->next)
        if (other->rt == a->rt && strcmp(other->cfg.name, a->cfg.name) == 0)
            err = TDM_EEXIST;
    if (err == TDM_OK) {
        a->next = all.list;
        all.list = a;
    }
    pthread_mutex_unlock(&all.lock);
    return err;
}

static void leave(const struct ari *a)
{
    pthread_mutex_lock(&all.lock);
    struct ari **at = &all.list;

    while (*at != NULL && *at != a)
        at = &(*at)->next;
    if (*at == a)
        *at = a->next;
    pthread_mutex_unlock(&all.lock);
}

/* Under all.lock. */
static struct ari *find(const struct tdm_runtime *rt, tdm_pid root)
{
    struct ari *a = all.list;

    while (a != NULL && (a->rt != rt || a->root.id != root.id || root.id == 0))
        a = a->next;
    return a;
}

/* ---- start and stop -------------------------------------------------------------------------- */

static int start_tree(struct ari *a, tdm_pid *ret)
{
    char name[128];
    struct tdm_child_spec children[] = {
        { .id = "conn",
          .start = { .behaviour = &conn_behaviour, .arg = &a, .arg_bytes = sizeof a, .trap_stop = true },
          .restart = TDM_PERMANENT,
          .shutdown_ms = CONN_SHUTDOWN_MS },
        { .id = "calls" },
        { .id = "trail",
          .start = { .behaviour = &trail_behaviour, .arg = &a, .arg_bytes = sizeof a },
          .restart = TDM_PERMANENT },
    };
    int err = tdm_source_child_spec(a->source, &children[1]);

    if (err != TDM_OK)
        return err;
    snprintf(name, sizeof name, "ari:%s", a->cfg.name);
    return tdm_sup_start(a->rt,
                         &(struct tdm_sup_cfg){ .name = name,
                                                .strategy = TDM_ONE_FOR_ONE,
                                                .intensity = 10,
                                                .period_ms = 60000,
                                                .children = children,
                                                .n_children = a->trail != NULL ? 3 : 2 },
                         ret);
}

/* Calls need their supervisor, which starts after the connection actor because it has to stop before it. */
static void go(struct ari *a)
{
    const tdm_pid actor = { atomic_load_explicit(&a->conn_actor, memory_order_relaxed) };
    struct tdm_msg *msg = tdm_msg_new(a->rt, CONN_MSG_GO, 0);

    atomic_store_explicit(&a->standing, true, memory_order_release);
    if (msg == NULL || tdm_send(a->rt, actor, msg) != TDM_OK) {
        tdm_msg_free(a->rt, msg);
        tdm_kill(a->rt, actor); /* the next incarnation finds it standing */
    }
}

int tdm_ari_start(struct tdm_runtime *rt, const struct tdm_ari_cfg *cfg, tdm_pid *ret)
{
    const char *fault = ari_cfg_fault(cfg);
    struct ari *a;
    tdm_pid root = { 0 };
    int err;

    if (fault != NULL) {
        tdm_log_error("ari.config", "source=%s what=\"%s\"", cfg->name != NULL ? cfg->name : "", fault);
        return TDM_ECONFIG;
    }
    err = ari_new(rt, cfg, &a);
    if (err != TDM_OK)
        return err;
    err = enter(a);
    if (err == TDM_OK) {
        err = start_tree(a, &root);
        if (err != TDM_OK)
            leave(a);
    }
    if (err != TDM_OK) {
        ari_free(a);
        return err;
    }
    pthread_mutex_lock(&all.lock);
    a->root = root;
    pthread_mutex_unlock(&all.lock);
    go(a);
    *ret = root;
    return TDM_OK;
}

int tdm_ari_end_calls(struct tdm_runtime *rt, tdm_pid source)
{
    pthread_mutex_lock(&all.lock);
    struct ari *a = find(rt, source);

    if (a != NULL)
        tdm_source_stop_calls(a->source);
    pthread_mutex_unlock(&all.lock);
    return a != NULL ? TDM_OK : TDM_ENOTFOUND;
}

int tdm_ari_stop(struct tdm_runtime *rt, tdm_pid source, uint32_t timeout_ms)
{
    pthread_mutex_lock(&all.lock);
    struct ari *a = find(rt, source);
    pthread_mutex_unlock(&all.lock);

    int err = TDM_OK;

    if (a == NULL)
        return TDM_OK;
    if (tdm_alive(rt, source)) {
        tdm_stop(rt, source);
        if (tdm_runtime_wait(rt, source, timeout_ms) != TDM_OK) {
            err = TDM_ETIMEOUT;
            tdm_kill(rt, source);
            (void)tdm_runtime_wait(rt, source, timeout_ms);
        }
    }
    if (a->sessions != NULL || tdm_alive(rt, source)) { /* see the head of this file */
        tdm_log_error("ari.kept", "source=%s words=\"it did not stop in time; its memory is kept\"",
                      a->cfg.name);
        return TDM_ETIMEOUT;
    }
    leave(a);
    ari_free(a);
    return err;
}

int ari_with(struct tdm_runtime *rt, tdm_pid source, int (*fn)(struct ari *a, void *ctx), void *ctx)
{
    pthread_mutex_lock(&all.lock);
    struct ari *a = find(rt, source);
    const int err = a != NULL ? fn(a, ctx) : TDM_ENOTFOUND;
    pthread_mutex_unlock(&all.lock);
    return err;
}

int tdm_ari_drain(struct tdm_runtime *rt, tdm_pid source)
{
    pthread_mutex_lock(&all.lock);
    struct ari *a = find(rt, source);

    if (a != NULL)
        /* relaxed: a call that comes at this very moment may go either way */
        atomic_store_explicit(&a->draining, true, memory_order_relaxed);
    pthread_mutex_unlock(&all.lock);
    return a != NULL ? TDM_OK : TDM_ENOTFOUND;
}

/* ---- how it is ------------------------------------------------------------------------------- */

const char *tdm_ari_phase_name(enum tdm_ari_phase phase)
{
    static const char *const names[] = { "waiting", "connecting", "asking", "live", "replaced" };

    return (unsigned)phase < sizeof names / sizeof names[0] ? names[phase] : "?";
}

int tdm_ari_state(struct tdm_runtime *rt, tdm_pid source, struct tdm_ari_state *ret)
{
    pthread_mutex_lock(&all.lock);
    struct ari *a = find(rt, source);

    if (a != NULL) {
        pthread_mutex_lock(&a->lock);
        *ret = a->state;
        pthread_mutex_unlock(&a->lock);
        ret->calls = tdm_source_calls(a->source);
    }
    pthread_mutex_unlock(&all.lock);
    return a != NULL ? TDM_OK : TDM_ENOTFOUND;
}
