/* runtime.c - boot and stop, and what everybody in a runtime shares.
 *
 * Order of boot: memory, slots, names, groups, stacks, workers, watchdog; the I/O loop comes at first use. Stop
 *            goes the
 * other way: roots are asked to stop, newest first; then what is left is killed; then the threads end. */
#include "runtime.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "fiber.h"
#include "io/loop.h"
#include "log.h"
#include "note_store.h"
#include "module.h"
#include "scheduler.h"
#include "slot.h"
#include "table.h"
#include "watchdog.h"

enum { MAX_ACTORS = 16 * 1024 * 1024, REFS_AT_ONCE = 1024 };

struct waiter {
    struct waiter *next;
    tdm_pid pid;
    struct tdm_start_failure *failure; /* of who waits for the start; NULL: for the end alone */
    bool done;
    struct tdm_parker parker;
};

struct root {
    struct root *next;
    tdm_pid pid;
};

/* ---- memory and numbers ---------------------------------------------------------------------- */

void *runtime_alloc(struct tdm_runtime *rt, size_t bytes)
{
    struct thread *t = runtime_thread(rt);
    return t == NULL ? NULL : pool_get(rt->pool, &t->cache, bytes);
}

void runtime_free_block(struct tdm_runtime *rt, void *p, size_t bytes)
{
    struct thread *t = runtime_thread(rt);
    if (t != NULL) /* it was made on a thread that had one; without, the block is lost, not misused */
        pool_put(rt->pool, &t->cache, p, bytes);
}

/* Threads take ranges, so that a ref costs no shared cache line. */
tdm_ref runtime_next_ref(struct tdm_runtime *rt)
{
    struct thread *t = runtime_thread(rt);

    if (t == NULL)
        return atomic_fetch_add_explicit(&rt->next_ref, 1,
                                         memory_order_relaxed); /* only unique, in no order */
    if (t->refs_next == t->refs_end) {
        t->refs_next =
            atomic_fetch_add_explicit(&rt->next_ref, REFS_AT_ONCE, memory_order_relaxed); /* as above */
        t->refs_end = t->refs_next + REFS_AT_ONCE;
    }
    return t->refs_next++;
}

size_t tdm_actor_count(struct tdm_runtime *rt)
{
    int64_t n = 0;

    pthread_mutex_lock(&rt->thread_lock);
    for (struct thread *t = rt->threads; t != NULL; t = t->next)
        n += atomic_load_explicit(&t->alive, memory_order_relaxed); /* each exact, the sum as of about now */
    pthread_mutex_unlock(&rt->thread_lock);
    return n > 0 ? (size_t)n : 0;
}

struct tdm_env *tdm_runtime_env(struct tdm_runtime *rt)
{
    return rt->env;
}

struct loop *runtime_loop(struct tdm_runtime *rt)
{
    struct loop *l = atomic_load_explicit(&rt->loop, memory_order_acquire);

    if (l != NULL)
        return l;
    pthread_mutex_lock(&rt->loop_lock);
    l = atomic_load_explicit(&rt->loop, memory_order_relaxed); /* under the lock */
    if (l == NULL && loop_new(&l, rt, rt->env) == TDM_OK) {
        if (loop_start(l) == TDM_OK) {
            atomic_store_explicit(&rt->loop, l, memory_order_release); /* partner: the load above */
        } else {
            loop_free(l);
            l = NULL;
        }
    }
    pthread_mutex_unlock(&rt->loop_lock);
    return l;
}

/* ---- waiting from outside -------------------------------------------------------------------- */

static void wake(struct tdm_runtime *rt, struct waiter *w)
{
    w->done = true;
    rt->env->unpark(rt->env, &w->parker);
}

void runtime_tell_started(struct tdm_runtime *rt, tdm_pid pid)
{
    pthread_mutex_lock(&rt->wait_lock);
    for (struct waiter *w = rt->waiters; w != NULL; w = w->next)
        if (w->pid.id == pid.id && !w->done && w->failure != NULL)
            wake(rt, w);
    pthread_mutex_unlock(&rt->wait_lock);
}

/* Who waits for the start is woken by the end: then nothing of it is left. */
void runtime_start_failed(struct tdm_runtime *rt, tdm_pid pid, const struct tdm_start_failure *why)
{
    pthread_mutex_lock(&rt->wait_lock);
    for (struct waiter *w = rt->waiters; w != NULL; w = w->next)
        if (w->pid.id == pid.id && !w->done && w->failure != NULL)
            *w->failure = *why;
    pthread_mutex_unlock(&rt->wait_lock);
}

static void note_failure(struct tdm_start_failure *f, const struct tdm_reason *why, bool ignored)
{
    if (ignored)
        f->err = TDM_IGNORE;
    else if (f->err == TDM_OK)
        *f = (struct tdm_start_failure){ .err = why->kind == TDM_EXIT_ERROR ? why->code : TDM_ESTOP,
                                         .reason = *why };
}

void runtime_tell_ended(struct tdm_runtime *rt, tdm_pid pid, const struct tdm_reason *why, bool ignored)
{
    pthread_mutex_lock(&rt->wait_lock);
    for (struct waiter *w = rt->waiters; w != NULL; w = w->next) {
        if (w->pid.id != pid.id || w->done)
            continue;
        if (w->failure != NULL && why != NULL)
            note_failure(w->failure, why, ignored);
        wake(rt, w);
    }
    pthread_mutex_unlock(&rt->wait_lock);
}

static void waiter_add(struct tdm_runtime *rt, struct waiter *w)
{
    pthread_mutex_lock(&rt->wait_lock);
    w->next = rt->waiters;
    rt->waiters = w;
    /* seq_cst: before we look whether it has ended already; partner: actor_end, actor_started */
    atomic_fetch_add_explicit(&rt->n_waiters, 1, memory_order_seq_cst);
    pthread_mutex_unlock(&rt->wait_lock);
}

static bool waiter_done(struct tdm_runtime *rt, const struct waiter *w)
{
    pthread_mutex_lock(&rt->wait_lock);
    bool done = w->done;
    pthread_mutex_unlock(&rt->wait_lock);
    return done;
}

static void waiter_remove(struct tdm_runtime *rt, struct waiter *w)
{
    pthread_mutex_lock(&rt->wait_lock);
    struct waiter **at = &rt->waiters;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    atomic_fetch_sub_explicit(&rt->n_waiters, 1, memory_order_relaxed); /* under the lock */
    pthread_mutex_unlock(&rt->wait_lock);
}

static int wait_done(struct tdm_runtime *rt, struct waiter *w, uint64_t deadline)
{
    struct tdm_env *env = rt->env;

    while (!waiter_done(rt, w)) {
        if (deadline != TDM_FOREVER && env->now_ns(env) >= deadline)
            return TDM_ETIMEOUT;
        env->park(env, &w->parker, deadline);
    }
    return TDM_OK;
}

/* seq_cst, after n_waiters was raised: either we see the end, or the end sees us; partner: actor_end */
static bool lives(struct tdm_runtime *rt, tdm_pid pid)
{
    const struct tdm_self *a = actor_by_slot(rt, id_slot(pid.id));

    return a != NULL && id_gen(pid.id) != 0 &&
           atomic_load_explicit(&a->gen, memory_order_seq_cst) == id_gen(pid.id);
}

int tdm_runtime_wait(struct tdm_runtime *rt, tdm_pid pid, uint32_t timeout_ms)
{
    struct waiter w = { .pid = pid };
    uint64_t deadline =
        timeout_ms == UINT32_MAX ? TDM_FOREVER : rt->env->now_ns(rt->env) + TDM_MS(timeout_ms);
    int err = TDM_OK;

    waiter_add(rt, &w);
    if (lives(rt, pid))
        err = wait_done(rt, &w, deadline);
    waiter_remove(rt, &w);
    return err;
}

static int start_impossible(struct tdm_start_failure *why, int err)
{
    *why = (struct tdm_start_failure){ .err = err, .reason = { .kind = TDM_EXIT_ERROR, .code = err } };
    return err;
}

int runtime_spawn_and_wait(struct tdm_runtime *rt, const struct tdm_spawn_cfg *cfg, tdm_pid *ret,
                           struct tdm_start_failure *why)
{
    struct root *root = rt->env->alloc(rt->env, sizeof *root);
    struct tdm_self *a;

    if (root == NULL)
        return start_impossible(why, TDM_ENOMEM);
    int err =
        atomic_load_explicit(&rt->stopping, memory_order_relaxed) ? TDM_ESHUTDOWN : actor_make(rt, cfg, &a);
    if (err < 0) {
        rt->env->free(rt->env, root, sizeof *root);
        return start_impossible(why, err);
    }
    a->flags |= cfg->behaviour == &tdm_supervisor ? ACTOR_LATE_START : 0;
    actor_launch(a);
    tdm_count(&counter_spawned, 1);
    *why = (struct tdm_start_failure){ .err = TDM_OK };
    struct waiter w = { .pid = tdm_self_pid(a), .failure = why };
    root->pid = w.pid;
    waiter_add(rt, &w);
    scheduler_push(rt, a);
    (void)wait_done(rt, &w, TDM_FOREVER);
    waiter_remove(rt, &w);
    if (why->err != TDM_OK) {
        rt->env->free(rt->env, root, sizeof *root);
        return why->err;
    }
    pthread_mutex_lock(&rt->wait_lock);
    root->next = rt->roots;
    rt->roots = root;
    pthread_mutex_unlock(&rt->wait_lock);
    *ret = w.pid;
    return TDM_OK;
}

/* ---- stop ------------------------------------------------------------------------------------ */

static struct root *take_root(struct tdm_runtime *rt)
{
    pthread_mutex_lock(&rt->wait_lock);
    struct root *r = rt->roots;
    if (r != NULL)
        rt->roots = r->next;
    pthread_mutex_unlock(&rt->wait_lock);
    return r;
}

static void stop_roots(struct tdm_runtime *rt, uint32_t timeout_ms)
{
    struct root *r;

    while ((r = take_root(rt)) != NULL) {
        (void)tdm_stop(rt, r->pid);
        if (tdm_runtime_wait(rt, r->pid, timeout_ms) == TDM_ETIMEOUT) {
            tdm_log_warn("runtime.stop_timeout", "timeout_ms=%u", timeout_ms);
            (void)tdm_kill(rt, r->pid);
            (void)tdm_runtime_wait(rt, r->pid, timeout_ms);
        }
        rt->env->free(rt->env, r, sizeof *r);
    }
}

static void kill_rest(struct tdm_runtime *rt)
{
    uint32_t n = atomic_load_explicit(&rt->slots_made, memory_order_acquire);

    for (uint32_t slot = 0; slot < n; slot++) {
        struct tdm_self *a = actor_by_slot(rt, slot);
        uint32_t gen = a == NULL ? 0 : atomic_load_explicit(&a->gen, memory_order_acquire);
        tdm_pid pid = { id_make(gen, slot) };
        if (gen != 0 && tdm_kill(rt, pid) == TDM_OK)
            (void)tdm_runtime_wait(rt, pid, 1000); /* a stuck callback is left behind */
    }
}

void tdm_runtime_stop(struct tdm_runtime *rt, uint32_t timeout_ms)
{
    stop_roots(rt, timeout_ms);
    atomic_store_explicit(&rt->stopping, true, memory_order_seq_cst);
    for (int pass = 0; pass < 3 && tdm_actor_count(rt) > 0;
         pass++) /* one spawned just before may lie behind us */
        kill_rest(rt);
}

/* ---- boot ------------------------------------------------------------------------------------ */

static bool actor_context(uint64_t *pid, const char **tag)
{
    struct thread *t = thread_now();

    if (t == NULL || t->self == NULL)
        return false;
    *pid =
        id_make(t->self->next_gen - 1, t->self->slot); /* also while it ends, when it has no address left */
    *tag = t->self->tag;
    return true;
}

static uint32_t usable_cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;

    return n < 1 ? 1 : n > 60 ? 60 : (uint32_t)n;
}

/* Bounds of the list that TDM_COUNTER makes, of this library's own counters; the linker sets them. */
extern struct tdm_counter *const __start_tdm_counters[] __attribute__((visibility("hidden")));
extern struct tdm_counter *const __stop_tdm_counters[] __attribute__((visibility("hidden")));

static void show_counters(void)
{
    for (struct tdm_counter *const *c = __start_tdm_counters; c < __stop_tdm_counters; c++)
        tdm_counter_show(*c);
}

static void set_defaults(struct tdm_runtime *rt, const struct tdm_runtime_cfg *cfg)
{
    if (cfg != NULL)
        rt->cfg = *cfg;
    if (rt->cfg.workers == 0)
        rt->cfg.workers = usable_cores();
    if (rt->cfg.max_actors == 0)
        rt->cfg.max_actors = MAX_ACTORS;
    if (rt->cfg.slice_messages == 0)
        rt->cfg.slice_messages = 128;
    if (rt->cfg.stuck_after_ms == 0)
        rt->cfg.stuck_after_ms = 10000;
    if (rt->cfg.callback_memory_limit == 0)
        rt->cfg.callback_memory_limit = (uint64_t)1 << 30;
}

int tdm_runtime_new(struct tdm_runtime **ret, const struct tdm_runtime_cfg *cfg)
{
    static _Atomic uint64_t serials;
    struct tdm_env *env = cfg != NULL && cfg->env != NULL ? cfg->env : tdm_env_real();

    if (cfg != NULL && cfg->workers > 60)
        return TDM_EINVAL;
    struct tdm_runtime *rt = env->alloc(env, sizeof *rt + 64);
    if (rt == NULL)
        return TDM_ENOMEM;
    void *block = rt;
    rt = (void *)(((uintptr_t)block + 63) & ~(uintptr_t)63); /* its parts lie on cache lines of their own */
    memset(rt, 0, sizeof *rt);
    rt->block = block;
    rt->env = env;
    rt->serial = atomic_fetch_add_explicit(&serials, 1, memory_order_relaxed) + 1; /* only unique */
    set_defaults(rt, cfg);
    atomic_init(&rt->next_ref, 1);
    pthread_mutex_init(&rt->slot_lock, NULL);
    pthread_mutex_init(&rt->thread_lock, NULL);
    pthread_mutex_init(&rt->wait_lock, NULL);
    pthread_mutex_init(&rt->loop_lock, NULL);
    pthread_mutex_init(&rt->modules_lock, NULL);
    pthread_spin_init(&rt->inject_lock, PTHREAD_PROCESS_PRIVATE);
    log_set_actor_context(actor_context);
    show_counters();
    if (!rt->cfg.no_fault_traps)
        fault_process_enter();
    size_t workers_bytes = rt->cfg.workers * sizeof *rt->workers + 64;
    int err = pool_new(&rt->pool, env);
    if (err == TDM_OK && rt->cfg.notes != NULL)
        err = note_store_attach(rt->cfg.notes, env);
    if (err < 0)
        rt->cfg.notes = NULL; /* not ours to let go */
    if (err == TDM_OK)
        err = slots_new(rt, rt->cfg.max_actors);
    if (err == TDM_OK)
        err = table_new(&rt->names, env);
    if (err == TDM_OK)
        err = groups_new(&rt->groups, env);
    if (err == TDM_OK)
        err = stacks_new(&rt->stacks, env);
    if (err == TDM_OK && (rt->workers_block = env->alloc(env, workers_bytes)) == NULL)
        err = TDM_ENOMEM;
    if (err == TDM_OK) {
        memset(rt->workers_block, 0, workers_bytes);
        rt->workers = (void *)(((uintptr_t)rt->workers_block + 63) & ~(uintptr_t)63);
        rt->n_workers = rt->cfg.workers;
        err = watchdog_new(rt);
    }
    if (err == TDM_OK)
        err = scheduler_start(rt);
    if (err == TDM_OK)
        err = watchdog_start(rt);
    if (err < 0) {
        tdm_runtime_free(rt);
        return err;
    }
    *ret = rt;
    return TDM_OK;
}

static void free_threads(struct tdm_runtime *rt)
{
    while (rt->threads != NULL) {
        struct thread *t = rt->threads;
        rt->threads = t->next;
        thread_retire(rt, t);
    }
}

void tdm_runtime_free(struct tdm_runtime *rt)
{
    if (rt == NULL)
        return;
    struct tdm_env *env = rt->env;
    struct loop *loop = atomic_load_explicit(&rt->loop, memory_order_acquire);

    if (rt->n_workers > 0)
        tdm_runtime_stop(rt, 5000);
    loop_stop(loop);
    if (loop != NULL)
        loop_free(loop);
    watchdog_stop(rt);
    if (rt->n_workers > 0) {
        scheduler_stop(rt);
        scheduler_free(rt);
    }
    watchdog_free(rt);
    modules_free(rt);
    if (rt->workers_block != NULL)
        env->free(env, rt->workers_block, rt->cfg.workers * sizeof *rt->workers + 64);
    stacks_free(rt->stacks);
    table_free(rt->names);
    groups_free(rt->groups);
    if (rt->pool != NULL)
        slots_free(rt, rt->cfg.max_actors);
    free_threads(rt);
    note_store_detach(rt->cfg.notes);
    pool_free(rt->pool);
    env->free(env, rt->block, sizeof *rt + 64);
}
