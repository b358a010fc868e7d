/* module.c - modules: names with at most two loaded versions, and who runs which.
 *
 * Idea:      a version knows its actors: an incarnation enters the current version's list at its first turn, before
 *            init, and leaves it at its end, when its state is gone. The list is the count: a version that is not
 *            current and has nobody is unloaded by whoever took the last one out.
 * Invariant: current and old change under the module's lock only. Only the current version gains actors, so the old
 *            one's number only falls. A version that is left by its last actor stays `old` until its unload hook has
 *            returned: a load waits for that, so hooks of one module never run at once and never three are loaded.
 * Loading and upgrading a module is one thread's work at a time (`busy`); it waits on its parker for actors to leave
 *            or to answer. Modules are never freed while the runtime lives, so a name found once stays good.
 * Touched by any thread, under the module's lock; hooks and code_change run outside of it. */
#include "module.h"

#include <string.h>

#include "runtime.h"
#include "tandem/log.h"

#define FORCE_WAIT_MS   30000u
#define UPGRADE_WAIT_MS 5000u

struct version {
    struct tdm_module m;
    struct module_use *first;
    uint32_t actors;
    void *file; /* for `done`, after the unload hook */
    void (*done)(void *file);
};

/* An upgrade that waits; on its caller's stack. */
struct upgrade {
    struct tdm_module_moves moves;
    uint32_t pending;
};

enum outcome { MOVED, KEPT, ENDED };

struct module {
    struct module *next;
    char name[TDM_MODULE_NAME_MAX + 1];
    pthread_mutex_t lock;
    /* under the lock */
    struct version *current, *old;
    bool busy; /* a load or an upgrade is under way; it alone waits on the parker */
    struct upgrade *upgrade;
    struct tdm_parker parker;
};

struct module_use {
    struct module *module;
    void *moving; /* the new state, while code_change runs: a crash in it leaves it to module_leave() */
    size_t moving_bytes;
    /* from module_begin() to module_leave(), under the module's lock */
    struct version *version;
    struct module_use *next, *prev;
    tdm_pid pid;
    bool asked; /* to move, by the upgrade under way */
};

static int unresolved_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    (void)self;
    (void)state;
    (void)msg;
    return TDM_ESTATE; /* never called: module_begin() comes first */
}

const struct tdm_behaviour module_unresolved = { .name = "module", .handle = unresolved_handle };

/* ---- names ----------------------------------------------------------------------------------- */

static struct module *find(struct tdm_runtime *rt, const char *name)
{
    /* acquire: what the module is made of; partner: module_of() */
    struct module *m = atomic_load_explicit(&rt->modules, memory_order_acquire);

    while (m != NULL && strcmp(m->name, name) != 0)
        m = m->next;
    return m;
}

/* The module of that name, made if need be; NULL: no memory. */
static struct module *module_of(struct tdm_runtime *rt, const char *name)
{
    pthread_mutex_lock(&rt->modules_lock);
    struct module *m = find(rt, name);
    if (m == NULL && (m = rt->env->alloc(rt->env, sizeof *m)) != NULL) {
        memset(m, 0, sizeof *m);
        strcpy(m->name, name);
        pthread_mutex_init(&m->lock, NULL);
        m->next = atomic_load_explicit(&rt->modules, memory_order_relaxed); /* under the lock */
        atomic_store_explicit(&rt->modules, m, memory_order_release);       /* partner: find() */
    }
    pthread_mutex_unlock(&rt->modules_lock);
    return m;
}

const char *module_name(struct tdm_runtime *rt, const char *name)
{
    struct module *m = module_of(rt, name);

    return m != NULL ? m->name : NULL;
}

/* ---- versions -------------------------------------------------------------------------------- */

static struct version *version_new(struct tdm_runtime *rt, struct module *mod, const struct tdm_module *m)
{
    struct version *v = rt->env->alloc(rt->env, sizeof *v);

    if (v == NULL)
        return NULL;
    *v = (struct version){ .m = *m };
    v->m.name = mod->name;
    return v;
}

/* Its actors are gone; from here on its code may be too. */
static void unload(struct tdm_runtime *rt, struct version *v)
{
    if (v->m.unload != NULL)
        v->m.unload(rt, v->m.udata);
    if (v->done != NULL)
        v->done(v->file);
}

static void version_free(struct tdm_runtime *rt, struct version *v)
{
    if (v != NULL)
        rt->env->free(rt->env, v, sizeof *v);
}

/* Whoever took the old version's last actor out, or made a version without actors the old one, comes here, once. */
static void unload_old(struct tdm_runtime *rt, struct module *mod)
{
    struct version *v = mod->old; /* nobody else changes it now: a load waits for us */

    unload(rt, v);
    tdm_log_info("module.unloaded", "module=%s version=%u", mod->name, v->m.version);
    runtime_point(rt, "module.unloaded");
    pthread_mutex_lock(&mod->lock);
    mod->old = NULL;
    rt->env->unpark(rt->env, &mod->parker);
    pthread_mutex_unlock(&mod->lock);
    version_free(rt, v);
}

/* ---- an actor's use -------------------------------------------------------------------------- */

int module_use_new(struct tdm_runtime *rt, const char *name, struct module_use **ret)
{
    struct module *mod = find(rt, name);
    struct module_use *use;

    if (mod == NULL)
        return TDM_ENOTFOUND;
    pthread_mutex_lock(&mod->lock);
    bool loaded = mod->current != NULL; /* and stays so */
    pthread_mutex_unlock(&mod->lock);
    if (!loaded)
        return TDM_ENOTFOUND;
    use = runtime_alloc(rt, sizeof *use);
    if (use == NULL)
        return TDM_ENOMEM;
    *use = (struct module_use){ .module = mod };
    *ret = use;
    return TDM_OK;
}

void module_use_free(struct tdm_runtime *rt, struct module_use *use)
{
    if (use != NULL)
        runtime_free_block(rt, use, sizeof *use);
}

static void enter(struct module_use *use, struct version *v)
{
    use->version = v;
    use->prev = NULL;
    use->next = v->first;
    if (use->next != NULL)
        use->next->prev = use;
    v->first = use;
    v->actors++;
}

static void take_out(struct module_use *use)
{
    struct version *v = use->version;

    if (use->prev != NULL)
        use->prev->next = use->next;
    else
        v->first = use->next;
    if (use->next != NULL)
        use->next->prev = use->prev;
    v->actors--;
    use->version = NULL;
}

/* Under the lock: one of those that were asked to move has an answer, or will not give one. */
static void answer(struct tdm_runtime *rt, struct module_use *use, enum outcome outcome)
{
    struct upgrade *up = use->module->upgrade;
    bool asked = use->asked;

    use->asked = false;
    if (!asked || up == NULL) /* NULL: its time has run out */
        return;
    up->moves.moved += outcome == MOVED;
    up->moves.kept += outcome == KEPT;
    up->moves.ended += outcome == ENDED;
    if (--up->pending == 0)
        rt->env->unpark(rt->env, &use->module->parker);
}

/* Under the lock. Is the version that was just left nobody's now? */
static bool over(const struct module *mod, const struct version *left)
{
    return left == mod->old && left->actors == 0;
}

void module_begin(struct tdm_self *a)
{
    struct module_use *use = a->use;

    runtime_point(a->rt, "module.begin");
    pthread_mutex_lock(&use->module->lock);
    use->pid = tdm_self_pid(a);
    enter(use, use->module->current);
    a->behaviour = use->version->m.behaviour;
    pthread_mutex_unlock(&use->module->lock);
    a->fibers = a->behaviour->run != NULL;
}

const char *module_running(const struct tdm_self *a, uint32_t *version)
{
    const struct module_use *use = a->use;

    if (use == NULL || use->version == NULL)
        return NULL;
    *version = use->version->m.version;
    return use->version->m.name;
}

void module_leave(struct tdm_self *a)
{
    struct module_use *use = a->use;
    struct tdm_runtime *rt = a->rt;
    bool last = false;

    if (use == NULL)
        return;
    a->use = NULL;
    a->behaviour = &module_unresolved; /* what it was may be unmapped in a moment */
    if (use->moving != NULL)
        runtime_free_block(rt, use->moving, use->moving_bytes);
    runtime_point(rt, "module.leave");
    if (use->version != NULL) { /* it had begun */
        struct version *v = use->version;
        pthread_mutex_lock(&use->module->lock);
        take_out(use);
        answer(rt, use, ENDED);
        last = over(use->module, v);
        pthread_mutex_unlock(&use->module->lock);
    }
    if (last)
        unload_old(rt, use->module);
    module_use_free(rt, use);
}

/* ---- moving ---------------------------------------------------------------------------------- */

/* The actor's own callback; `to` stays while the actor is on the version before it. */
static int change_code(struct tdm_self *a, struct module_use *use, const struct version *to)
{
    size_t bytes = to->m.behaviour->state_bytes;
    struct thread *t = thread_here;

    use->moving_bytes = bytes == 0 ? 1 : bytes;
    use->moving = runtime_alloc(a->rt, use->moving_bytes);
    if (use->moving == NULL)
        return TDM_ENOMEM;
    memset(use->moving, 0, use->moving_bytes);
    callback_enter(t);
    int err = to->m.code_change(a, a->state, use->version->m.version, use->moving);
    callback_leave(t);
    if (err == TDM_OK)
        return TDM_OK;
    runtime_free_block(a->rt, use->moving, use->moving_bytes);
    use->moving = NULL;
    return err < 0 ? err : TDM_EINVAL;
}

/* The new state becomes the state. */
static void take_over(struct tdm_self *a, struct module_use *use, const struct version *to)
{
    if (a->state != NULL)
        runtime_free_block(a->rt, a->state, a->behaviour->state_bytes);
    a->behaviour = to->m.behaviour;
    a->state = use->moving;
    use->moving = NULL;
    if (a->behaviour->state_bytes == 0) { /* it was taken for one byte, so that nothing is no special case */
        runtime_free_block(a->rt, a->state, use->moving_bytes);
        a->state = NULL;
    }
}

static bool can_move(const struct version *from, const struct version *to)
{
    return from != to && to->m.code_change != NULL && from->m.behaviour->run == NULL &&
           to->m.behaviour->run == NULL;
}

void module_move(struct tdm_self *a)
{
    struct module_use *use = a->use;
    struct module *mod = use->module;
    int err = TDM_ENOTSUP;

    pthread_mutex_lock(&mod->lock);
    struct version *from = use->version, *to = mod->current;
    pthread_mutex_unlock(&mod->lock);
    if (from != to && can_move(from, to) && (err = change_code(a, use, to)) == TDM_OK)
        take_over(a, use, to);
    if (err < 0 && from != to)
        tdm_log_warn("module.kept", "module=%s version=%u error=%s", mod->name, from->m.version,
                     tdm_errname(err));
    runtime_point(a->rt, "module.moved");
    pthread_mutex_lock(&mod->lock);
    if (err == TDM_OK) {
        take_out(use);
        enter(use, to);
    }
    answer(a->rt, use, err == TDM_OK ? MOVED : KEPT);
    bool last = err == TDM_OK && over(mod, from);
    pthread_mutex_unlock(&mod->lock);
    if (last)
        unload_old(a->rt, mod);
}

/* ---- waiting for actors ---------------------------------------------------------------------- */

/* Until `done` says so, under the lock, or time is up; returns what it said last, with the lock held. */
static bool wait_until(struct tdm_runtime *rt, struct module *mod, bool (*done)(const struct module *mod),
                       uint32_t timeout_ms)
{
    uint64_t deadline = rt->env->now_ns(rt->env) + TDM_MS(timeout_ms);

    pthread_mutex_lock(&mod->lock);
    while (!done(mod) && rt->env->now_ns(rt->env) < deadline) {
        pthread_mutex_unlock(&mod->lock);
        rt->env->park(rt->env, &mod->parker, deadline);
        pthread_mutex_lock(&mod->lock);
    }
    return done(mod);
}

static bool no_old(const struct module *mod)
{
    return mod->old == NULL;
}

static bool all_answered(const struct module *mod)
{
    return mod->upgrade == NULL || mod->upgrade->pending == 0;
}

/* Under the lock: the right to load or upgrade. */
static int take_turn(struct module *mod)
{
    if (mod->busy)
        return TDM_ESTATE;
    mod->busy = true;
    return TDM_OK;
}

/* Ask each actor of the old version for something; under the lock. */
static void ask_old(struct tdm_runtime *rt, struct module *mod, uint32_t bit)
{
    for (struct module_use *use = mod->old->first; use != NULL; use = use->next) {
        use->asked = bit == CONTROL_MOVE;
        (void)actor_control(rt, use->pid, bit);
    }
}

/* ---- loading --------------------------------------------------------------------------------- */

static int check(const struct tdm_module *m)
{
    const char *wrong = NULL;
    const struct tdm_behaviour *b = m->behaviour;

    if (m->abi != TDM_MODULE_ABI) {
        tdm_log_error("module.refused", "why=abi has=%d wanted=%d", m->abi, TDM_MODULE_ABI);
        return TDM_ENOTSUP;
    }
    if (m->name == NULL || m->name[0] == '\0' || strlen(m->name) > TDM_MODULE_NAME_MAX)
        wrong = "name";
    else if (b == NULL || (b->handle == NULL && b->run == NULL) || b == &tdm_supervisor)
        wrong = "behaviour";
    if (wrong == NULL)
        return TDM_OK;
    tdm_log_error("module.refused", "why=field field=%s", wrong);
    return TDM_EINVAL;
}

/* May this version come? Refused here, nothing was called yet. Takes the turn. */
static int admit(struct module *mod, const struct tdm_module *m, bool force, uint32_t *busy)
{
    pthread_mutex_lock(&mod->lock);
    int err = take_turn(mod);
    if (err == TDM_OK) {
        *busy = mod->old != NULL ? mod->old->actors : 0;
        if (mod->current != NULL && mod->current->m.version == m->version)
            err = TDM_EEXIST;
        else if (*busy > 0 && !force)
            err = TDM_EBUSY;
        mod->busy = err == TDM_OK;
    }
    pthread_mutex_unlock(&mod->lock);
    return err;
}

/* Wait until there is room for an old version. Those who still run it are killed: only with force are there any. */
static int clear_old(struct tdm_runtime *rt, struct module *mod, uint32_t *busy)
{
    pthread_mutex_lock(&mod->lock);
    if (mod->old != NULL)
        ask_old(rt, mod, CONTROL_KILL);
    pthread_mutex_unlock(&mod->lock);
    bool gone = wait_until(rt, mod, no_old, FORCE_WAIT_MS);
    *busy = gone ? 0 : mod->old->actors;
    pthread_mutex_unlock(&mod->lock);
    return gone ? TDM_OK : TDM_ETIMEOUT;
}

static void make_current(struct tdm_runtime *rt, struct module *mod, struct version *v)
{
    pthread_mutex_lock(&mod->lock);
    mod->old = mod->current;
    mod->current = v;
    bool unused = mod->old != NULL && mod->old->actors == 0;
    pthread_mutex_unlock(&mod->lock);
    tdm_log_info("module.loaded", "module=%s version=%u", mod->name, v->m.version);
    if (unused)
        unload_old(rt, mod);
}

/* The turn is ours. */
static int load(struct tdm_runtime *rt, struct module *mod, struct version *v, uint32_t *busy)
{
    int err = v->m.load != NULL ? v->m.load(rt, v->m.udata) : TDM_OK;

    if (err != TDM_OK) {
        err = err < 0 ? err : TDM_EINVAL;
        tdm_log_error("module.refused", "why=load_hook module=%s version=%u error=%s", mod->name,
                      v->m.version, tdm_errname(err));
        return err;
    }
    err = clear_old(rt, mod, busy);
    if (err < 0 && v->m.unload != NULL)
        v->m.unload(rt, v->m.udata);
    if (err == TDM_OK)
        make_current(rt, mod, v);
    return err;
}

int module_load(struct tdm_runtime *rt, const struct tdm_module *m, void *file, void (*done)(void *file),
                bool force, uint32_t *busy)
{
    uint32_t unheard;
    int err = check(m);

    busy = busy != NULL ? busy : &unheard;
    *busy = 0;
    if (err < 0)
        return err;
    struct module *mod = module_of(rt, m->name);
    struct version *v = mod == NULL ? NULL : version_new(rt, mod, m);
    if (v == NULL)
        return TDM_ENOMEM;
    v->file = file;
    v->done = done;
    err = admit(mod, m, force, busy);
    if (err == TDM_OK) {
        err = load(rt, mod, v, busy);
        pthread_mutex_lock(&mod->lock);
        mod->busy = false;
        pthread_mutex_unlock(&mod->lock);
    }
    if (err < 0)
        version_free(rt, v);
    return err;
}

int tdm_module_load(struct tdm_runtime *rt, const struct tdm_module *module, bool force, uint32_t *busy)
{
    return module_load(rt, module, NULL, NULL, force, busy);
}

/* ---- upgrading ------------------------------------------------------------------------------- */

/* Under the lock, the turn taken. What cannot move is not asked. */
static void ask_to_move(struct tdm_runtime *rt, struct module *mod, struct upgrade *up)
{
    struct tdm_module_moves *n = &up->moves;

    if (mod->old == NULL || mod->old->actors == 0) /* that one is being unloaded: hands off */
        return;
    n->asked = mod->old->actors;
    if (!can_move(mod->old, mod->current)) {
        n->kept = n->asked;
        n->fibers = mod->old->m.behaviour->run != NULL ? n->asked : 0;
        return;
    }
    up->pending = n->asked;
    mod->upgrade = up;
    ask_old(rt, mod, CONTROL_MOVE);
}

/* Wait for the answers, and end the turn. */
static int hear(struct tdm_runtime *rt, struct module *mod, uint32_t timeout_ms)
{
    bool all = wait_until(rt, mod, all_answered, timeout_ms);

    mod->upgrade = NULL;
    mod->busy = false;
    pthread_mutex_unlock(&mod->lock);
    return all ? TDM_OK : TDM_ETIMEOUT;
}

int tdm_module_upgrade(struct tdm_runtime *rt, const char *name, uint32_t timeout_ms,
                       struct tdm_module_moves *ret)
{
    struct module *mod = find(rt, name);
    struct upgrade up = { .pending = 0 };

    if (mod == NULL)
        return TDM_ENOTFOUND;
    pthread_mutex_lock(&mod->lock);
    int err = mod->current == NULL ? TDM_ENOTFOUND : take_turn(mod);
    if (err == TDM_OK)
        ask_to_move(rt, mod, &up);
    pthread_mutex_unlock(&mod->lock);
    if (err < 0)
        return err;
    err = hear(rt, mod, timeout_ms == 0 ? UPGRADE_WAIT_MS : timeout_ms);
    if (ret != NULL)
        *ret = up.moves;
    return err;
}

/* ---- asking ---------------------------------------------------------------------------------- */

int tdm_module_info(struct tdm_runtime *rt, const char *name, struct tdm_module_info *ret)
{
    struct module *mod = find(rt, name);
    int err = TDM_ENOTFOUND;

    if (mod == NULL)
        return err;
    pthread_mutex_lock(&mod->lock);
    if (mod->current != NULL) {
        *ret = (struct tdm_module_info){ .version = mod->current->m.version,
                                         .actors = mod->current->actors,
                                         .has_old = mod->old != NULL };
        if (mod->old != NULL) {
            ret->old_version = mod->old->m.version;
            ret->old_actors = mod->old->actors;
        }
        err = TDM_OK;
    }
    pthread_mutex_unlock(&mod->lock);
    return err;
}

const char *tdm_self_module(const tdm_self *self, uint32_t *version)
{
    const struct module_use *use = self->use;

    if (use == NULL || use->version == NULL) /* only the actor's own turn changes it */
        return NULL;
    if (version != NULL)
        *version = use->version->m.version;
    return use->module->name;
}

void modules_free(struct tdm_runtime *rt)
{
    struct module *m = atomic_load_explicit(&rt->modules, memory_order_relaxed); /* nobody else is left */

    atomic_store_explicit(&rt->modules, NULL, memory_order_relaxed);
    while (m != NULL) {
        struct module *next = m->next;
        if (m->current != NULL) /* the old one went with its last actor */
            unload(rt, m->current);
        version_free(rt, m->current);
        pthread_mutex_destroy(&m->lock);
        rt->env->free(rt->env, m, sizeof *m);
        m = next;
    }
}
