/* worlds.c - see worlds.h. */
#include "worlds.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef UNDER_ASAN
#include <sanitizer/lsan_interface.h>
#endif

#include "tandem/log.h"

#ifndef WORLD_SEEDS
#define WORLD_SEEDS 50
#endif
#ifndef WORLD_ROUNDS_PART
#define WORLD_ROUNDS_PART 1 /* one in so many rounds is made */
#endif

/* ---- the log: kept, and shown only when something failed --------------------------------------- */

static struct {
    pthread_mutex_t lock;
    char text[8192];
    size_t bytes;
} tail = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void keep_tail(void *ctx, const char *line, size_t bytes)
{
    (void)ctx;
    if (bytes + 1 > sizeof tail.text / 4)
        bytes = sizeof tail.text / 4 - 1;
    pthread_mutex_lock(&tail.lock);
    if (tail.bytes + bytes + 1 > sizeof tail.text) { /* let the older half go */
        tail.bytes -= sizeof tail.text / 2;
        memmove(tail.text, tail.text + sizeof tail.text / 2, tail.bytes);
    }
    memcpy(tail.text + tail.bytes, line, bytes);
    tail.bytes += bytes;
    tail.text[tail.bytes++] = '\n';
    pthread_mutex_unlock(&tail.lock);
}

static void quieten(void)
{
    if (getenv("TANDEM_LOG") != NULL)
        return;
    tdm_log_configure(&(struct tdm_log_cfg){ .sink = keep_tail });
    pthread_mutex_lock(&tail.lock);
    tail.bytes = 0;
    pthread_mutex_unlock(&tail.lock);
}

static void show_tail(void)
{
    tdm_log_flush();
    pthread_mutex_lock(&tail.lock);
    fprintf(stderr, "%.*s", (int)tail.bytes, tail.text);
    pthread_mutex_unlock(&tail.lock);
}

/* ---- checks ---------------------------------------------------------------------------------- */

static const char *name_of(const struct world *w, char *buf, size_t bytes)
{
    if (!w->sim)
        return "real world";
    int n = snprintf(buf, bytes, "TANDEM_SEED=%llu", (unsigned long long)w->seed);
    if (w->fail_nth != 0)
        snprintf(buf + n, bytes - (size_t)n, ", allocation %llu fails%s", (unsigned long long)w->fail_nth,
                 w->fail_from_there_on ? " and all after it" : "");
    return buf;
}

void world_check(struct world *w, bool ok, const char *text, const char *file, int line)
{
    char name[96];

    if (ok)
        return;
    show_tail();
    cr_assert_fail("%s:%d: %s (%s)", file, line, text, name_of(w, name, sizeof name));
}

void world_check_eq(struct world *w, int64_t a, int64_t b, const char *text, const char *file, int line)
{
    char name[96];

    if (a == b)
        return;
    show_tail();
    cr_assert_fail("%s:%d: %s: %lld and %lld (%s)", file, line, text, (long long)a, (long long)b,
                   name_of(w, name, sizeof name));
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* The environments carry no place for us, and one world runs at a time. */
static struct world *world_now;
static void *(*alloc_below)(struct tdm_env *env, size_t bytes);
static void (*free_below)(struct tdm_env *env, void *p, size_t bytes);

static void *counted_alloc(struct tdm_env *env, size_t bytes)
{
    void *p = alloc_below(env, bytes);

    if (p != NULL) { /* numbers to look at: no order to keep */
        atomic_fetch_add_explicit(&world_now->blocks, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&world_now->bytes, (int64_t)bytes, memory_order_relaxed);
    }
    return p;
}

static void counted_free(struct tdm_env *env, void *p, size_t bytes)
{
    if (p != NULL) { /* as above */
        atomic_fetch_sub_explicit(&world_now->blocks, 1, memory_order_relaxed);
        atomic_fetch_sub_explicit(&world_now->bytes, (int64_t)bytes, memory_order_relaxed);
    }
    free_below(env, p, bytes);
}

static void count_blocks(struct world *w, struct tdm_env *env)
{
    world_now = w;
    alloc_below = env->alloc;
    free_below = env->free;
    env->alloc = counted_alloc;
    env->free = counted_free;
}

/* ---- running --------------------------------------------------------------------------------- */

struct run {
    struct world *w;
    world_body *body;
    const struct world_opts *opts;
};

static void free_kept(struct world *w)
{
    while (w->n_kept > 0)
        tdm_msg_free(w->rt, w->kept[--w->n_kept]);
    free(w->kept);
    w->kept = NULL;
}

static void run_body(void *arg)
{
    struct run *r = arg;
    struct world *w = r->w;
    struct tdm_runtime_cfg cfg = { .env = w->env,
                                   .workers = r->opts->workers == 0 ? 2 : r->opts->workers,
                                   .stuck_after_ms = r->opts->stuck_after_ms,
                                   .callback_memory_limit = r->opts->callback_memory_limit };

    check_eq(w, tdm_runtime_new(&w->rt, &cfg), TDM_OK);
    r->body(w);
    free_kept(w);
    tdm_runtime_free(w->rt);
    check_eq(w, atomic_load(&w->blocks), 0); /* what the runtime took from its environment and kept */
}

static void world_init(struct world *w)
{
    memset(w, 0, sizeof *w);
    w->rounds = 1;
    pthread_mutex_init(&w->lock, NULL);
    quieten();
}

static void world_fini(struct world *w)
{
    pthread_mutex_destroy(&w->lock);
    free(w->marks);
}

static void check_leaks(void)
{
#ifdef UNDER_ASAN
    cr_assert(__lsan_do_recoverable_leak_check() == 0, "leaks, see standard error");
#endif
}

static uint32_t rounds_of(const struct world_opts *opts)
{
    return (opts->rounds + WORLD_ROUNDS_PART - 1) / WORLD_ROUNDS_PART;
}

static uint64_t number_in(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL || text[0] == '\0' ? otherwise : strtoull(text, NULL, 0);
}

static uint64_t seeds_of(const struct world_opts *opts)
{
    uint64_t seeds = number_in("TANDEM_SEEDS", WORLD_SEEDS);

    if (!opts->split && seeds < rounds_of(opts))
        return rounds_of(opts);
    return opts->seeds != 0 && seeds > opts->seeds ? opts->seeds : seeds;
}

static uint32_t rounds_under_a_seed(const struct world_opts *opts)
{
    uint64_t seeds = seeds_of(opts);
    return !opts->split ? 1 : (uint32_t)((rounds_of(opts) + seeds - 1) / seeds);
}

void world_run_real(world_body *body, const struct world_opts *opts)
{
    struct world w;
    struct tdm_env env = *tdm_env_real();
    struct run r = { &w, body, opts };

    SKIP_IF(opts->skip);
    world_init(&w);
    w.env = &env;
    w.rounds = opts->rounds == 0 ? 1 : rounds_of(opts);
    count_blocks(&w, &env);
    run_body(&r);
    world_fini(&w);
    check_leaks();
}

/* Returns the digest. */
static uint64_t run_sim_world(struct world *w, world_body *body, const struct world_opts *opts)
{
    struct run r = { w, body, opts };

    cr_assert(tdm_env_sim_new(&w->env, w->seed) == TDM_OK);
    count_blocks(w, w->env);
    int err = tdm_env_sim_run(w->env, run_body, &r);
    check_eq(w, err, TDM_OK); /* TDM_ESTUCK: everybody waits for nothing */
    uint64_t hash = tdm_env_sim_hash(w->env);
    tdm_env_sim_free(w->env);
    world_fini(w);
    return hash;
}

uint64_t world_run_seed(world_body *body, const struct world_opts *opts, uint64_t seed)
{
    struct world w;

    world_init(&w);
    w.sim = true;
    w.seed = seed;
    w.rounds = rounds_under_a_seed(opts);
    return run_sim_world(&w, body, opts);
}

void world_run_sim(world_body *body, const struct world_opts *opts)
{
    uint64_t only = number_in("TANDEM_SEED", 0);
    uint64_t first = only != 0 ? only : 1, last = only != 0 ? only : seeds_of(opts);

    SKIP_IF(opts->skip);
    for (uint64_t seed = first; seed <= last; seed++) {
        uint64_t hash = world_run_seed(body, opts, seed);
        if (seed <= 3 || only != 0)
            cr_assert(world_run_seed(body, opts, seed) == hash, "seed %llu gave two different runs",
                      (unsigned long long)seed);
    }
    check_leaks();
    cr_log_info("%s: %llu seeds", criterion_current_test->name, (unsigned long long)(last - first + 1));
}

/* ---- allocations that fail ------------------------------------------------------------------- */

void allocs_fail(struct world *w)
{
    tdm_env_sim_fail_alloc(w->env, w->fail_nth, w->fail_from_there_on);
}

bool allocs_work(struct world *w)
{
    w->allocations = tdm_env_sim_fail_alloc(w->env, 0, false);
    return w->allocations < w->fail_nth;
}

/* False: there were not so many allocations. */
static bool run_failing(world_body *body, uint64_t nth, bool from_there_on)
{
    static const struct world_opts opts = { 0 };
    struct world w;

    world_init(&w);
    w.sim = true;
    w.seed = nth;
    w.fail_nth = nth;
    w.fail_from_there_on = from_there_on;
    run_sim_world(&w, body, &opts);
    return w.allocations >= nth;
}

void world_run_allocs(world_body *body)
{
    uint64_t nth = 1, runs = 0;

    for (int from_there_on = 0; from_there_on < 2; from_there_on++, runs += nth)
        for (nth = 1; run_failing(body, nth, from_there_on == 1); nth++)
            cr_assert(nth < 100000);
    check_leaks();
    cr_log_info("%s: %llu seeds", criterion_current_test->name, (unsigned long long)runs);
}

/* ---- marks ----------------------------------------------------------------------------------- */

void mark_all(struct world *w, const char *what, uint64_t n, tdm_pid pid, const struct tdm_reason *reason)
{
    pthread_mutex_lock(&w->lock);
    if (w->n_marks == w->room) {
        w->room = w->room == 0 ? 64 : w->room * 2;
        w->marks = realloc(w->marks, w->room * sizeof *w->marks);
        if (w->marks == NULL)
            abort();
    }
    struct mark *m = &w->marks[w->n_marks++];
    *m = (struct mark){ .what = what, .n = n, .pid = pid, .at_ns = w->env->now_ns(w->env) };
    if (reason != NULL)
        m->reason = *reason;
    pthread_mutex_unlock(&w->lock);
    w->env->unpark(w->env, &w->parker);
}

void mark(struct world *w, const char *what, uint64_t n)
{
    mark_all(w, what, n, (tdm_pid){ 0 }, NULL);
}

static size_t count_marks(struct world *w, const char *what, bool any, uint64_t n)
{
    size_t count = 0;

    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->n_marks; i++)
        count += strcmp(w->marks[i].what, what) == 0 && (any || w->marks[i].n == n);
    pthread_mutex_unlock(&w->lock);
    return count;
}

size_t marks(struct world *w, const char *what)
{
    return count_marks(w, what, true, 0);
}

size_t marks_of(struct world *w, const char *what, uint64_t n)
{
    return count_marks(w, what, false, n);
}

struct mark mark_at(struct world *w, const char *what, size_t i)
{
    struct mark found = { 0 };
    bool ok = false;

    pthread_mutex_lock(&w->lock);
    for (size_t k = 0; k < w->n_marks && !ok; k++)
        if (strcmp(w->marks[k].what, what) == 0 && i-- == 0) {
            found = w->marks[k];
            ok = true;
        }
    pthread_mutex_unlock(&w->lock);
    world_check(w, ok, what, __FILE__, __LINE__);
    return found;
}

bool mark_before(struct world *w, const char *first, uint64_t n, const char *second, uint64_t m)
{
    size_t a = SIZE_MAX, b = SIZE_MAX;

    pthread_mutex_lock(&w->lock);
    for (size_t i = w->n_marks; i-- > 0;) {
        if (strcmp(w->marks[i].what, first) == 0 && w->marks[i].n == n)
            a = i;
        if (strcmp(w->marks[i].what, second) == 0 && w->marks[i].n == m)
            b = i;
    }
    pthread_mutex_unlock(&w->lock);
    check(w, a != SIZE_MAX && b != SIZE_MAX);
    return a < b;
}

void forget_marks(struct world *w)
{
    pthread_mutex_lock(&w->lock);
    w->n_marks = 0;
    pthread_mutex_unlock(&w->lock);
}

static void wait_count(struct world *w, const char *what, bool any, uint64_t n, size_t count)
{
    uint64_t deadline = w->env->now_ns(w->env) + TDM_S(60);
    char text[96];

    while (count_marks(w, what, any, n) < count) {
        snprintf(text, sizeof text, "waited for %zu marks \"%s\", got %zu", count, what,
                 count_marks(w, what, any, n));
        world_check(w, w->env->now_ns(w->env) < deadline, text, __FILE__, __LINE__);
        w->env->park(w->env, &w->parker, deadline);
    }
}

void wait_marks(struct world *w, const char *what, size_t n)
{
    wait_count(w, what, true, 0, n);
}

void wait_marks_of(struct world *w, const char *what, uint64_t n, size_t count)
{
    wait_count(w, what, false, n, count);
}

int64_t world_bytes(struct world *w)
{
    return atomic_load_explicit(&w->bytes, memory_order_relaxed); /* a number to look at */
}

void world_keep(struct world *w, struct tdm_msg *m)
{
    w->kept = realloc(w->kept, (w->n_kept + 1) * sizeof(struct tdm_msg *));
    if (w->kept == NULL)
        abort();
    w->kept[w->n_kept++] = m;
}

void let_pass(struct world *w, uint64_t ns)
{
    struct tdm_parker p = { 0 };
    uint64_t until = w->env->now_ns(w->env) + ns;

    while (w->env->now_ns(w->env) < until)
        w->env->park(w->env, &p, until);
}

void wait_end(struct world *w, tdm_pid pid)
{
    check_eq(w, tdm_runtime_wait(w->rt, pid, 60000), TDM_OK);
}

void wait_actor_count(struct world *w, size_t n)
{
    struct tdm_parker p = { 0 };
    uint64_t deadline = w->env->now_ns(w->env) + TDM_S(60);

    while (tdm_actor_count(w->rt) != n) { /* the last step of an end is told to nobody */
        check(w, w->env->now_ns(w->env) < deadline);
        w->env->park(w->env, &p, w->env->now_ns(w->env) + TDM_MS(1));
    }
}

/* ---- the worker ------------------------------------------------------------------------------ */

struct call {
    deed *fn;
    void *arg;
    struct asked *asked; /* NULL: nobody waits */
};

struct asked {
    _Atomic bool done;
};

static int worker_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct worker_arg *a = state;
    int result;

    memcpy(a, start->arg, sizeof *a);
    if (!a->quiet)
        mark_all(a->w, "init", a->number, tdm_self_pid(self), start->last);
    if (a->veto != NULL && a->veto(a, start, &result))
        return result;
    return a->init_result;
}

static int do_it(tdm_self *self, struct worker_arg *a, const struct call *c)
{
    int err = c->fn(self, c->arg);

    if (c->asked != NULL) {
        atomic_store(&c->asked->done, true); /* from here on it may be gone */
        a->w->env->unpark(a->w->env, &a->w->parker);
    }
    return err;
}

static int worker_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    struct worker_arg *a = state;
    const struct tdm_notice *notice = tdm_msg_view(m);
    struct tdm_reason reason = { .kind = TDM_EXIT_ERROR };

    switch (m->type) {
    case MSG_DO:
        return do_it(self, a, tdm_msg_view(m));
    case MSG_NUMBER:
        mark_all(a->w, "got", *(const uint64_t *)tdm_msg_view(m), tdm_self_pid(self), NULL);
        break;
    case MSG_ASK_NUMBER:
        return tdm_reply(tdm_self_runtime(self), m,
                         tdm_msg_copy(tdm_self_runtime(self), TDM_MSG_REPLY, &a->number, sizeof a->number)) ==
                       TDM_ENOMEM
                   ? TDM_ENOMEM
                   : TDM_OK;
    case TDM_MSG_EXIT:
        mark_all(a->w, "exit", a->number, notice->pid, &notice->reason);
        break;
    case TDM_MSG_DOWN:
        mark_all(a->w, "down", m->ref, notice->pid, &notice->reason);
        break;
    case TDM_MSG_TIMER:
        mark_all(a->w, "timer", m->ref, tdm_self_pid(self), NULL);
        break;
    case TDM_MSG_REPLY:
        mark_all(a->w, "reply", m->ref, m->from, NULL);
        break;
    case TDM_MSG_REQUEST_FAILED:
        reason = ((const struct tdm_failure *)tdm_msg_view(m))->reason;
        reason.code = ((const struct tdm_failure *)tdm_msg_view(m))->err;
        mark_all(a->w, "failed", m->ref, m->from, &reason);
        break;
    case TDM_MSG_STOP:
        mark_all(a->w, "stop", a->number, tdm_self_pid(self), NULL);
        break;
    default:
        break;
    }
    return TDM_OK;
}

static int worker_terminate(tdm_self *self, void *state, const struct tdm_reason *reason)
{
    struct worker_arg *a = state;

    if (!a->quiet)
        mark_all(a->w, "term", a->number, tdm_self_pid(self), reason);
    return TDM_OK;
}

static int worker_run(tdm_self *self, void *state)
{
    for (;;) {
        struct tdm_msg *m;
        int err = tdm_receive(self, TDM_FOREVER, &m);
        if (err < 0)
            return err;
        err = worker_handle(self, state, m);
        if (err != TDM_OK)
            return err;
    }
}

const struct tdm_behaviour worker = {
    .name = "worker",
    .state_bytes = sizeof(struct worker_arg),
    .init = worker_init,
    .handle = worker_handle,
    .terminate = worker_terminate,
};

const struct tdm_behaviour fiber_worker = {
    .name = "fiber_worker",
    .state_bytes = sizeof(struct worker_arg),
    .init = worker_init,
    .run = worker_run,
    .terminate = worker_terminate,
};

tdm_pid spawn_with(struct world *w, uint64_t number, struct tdm_spawn_cfg cfg)
{
    struct worker_arg arg = { .w = w, .number = number };
    tdm_pid pid = { 0 };

    if (cfg.behaviour == NULL)
        cfg.behaviour = &worker;
    if (cfg.arg == NULL) {
        cfg.arg = &arg;
        cfg.arg_bytes = sizeof arg;
    }
    check_eq(w, tdm_spawn(w->rt, &cfg, &pid), TDM_OK);
    return pid;
}

tdm_pid spawn_worker(struct world *w, uint64_t number)
{
    return spawn_with(w, number, (struct tdm_spawn_cfg){ 0 });
}

static struct tdm_msg *call_msg(struct world *w, deed *fn, void *arg, struct asked *asked)
{
    struct call c = { fn, arg, asked };
    return tdm_msg_copy(w->rt, MSG_DO, &c, sizeof c);
}

static int sent(struct world *w, struct tdm_msg *m, int err)
{
    if (err < 0)
        tdm_msg_free(w->rt, m);
    return err;
}

int tell(struct world *w, tdm_pid to, deed *fn, void *arg)
{
    struct tdm_msg *m = call_msg(w, fn, arg, NULL);
    return m == NULL ? TDM_ENOMEM : sent(w, m, tdm_send(w->rt, to, m));
}

int tell_place(struct world *w, tdm_place to, deed *fn, void *arg)
{
    struct tdm_msg *m = call_msg(w, fn, arg, NULL);
    return m == NULL ? TDM_ENOMEM : sent(w, m, tdm_send_place(w->rt, to, m));
}

void ask(struct world *w, tdm_pid to, deed *fn, void *arg)
{
    struct asked asked = { .done = false };
    struct tdm_msg *m = call_msg(w, fn, arg, &asked);

    check_eq(w, m == NULL ? TDM_ENOMEM : sent(w, m, tdm_send(w->rt, to, m)), TDM_OK);
    while (!atomic_load(&asked.done))
        w->env->park(w->env, &w->parker, TDM_FOREVER);
}

int send_number(struct world *w, tdm_pid to, uint64_t n)
{
    struct tdm_msg *m = tdm_msg_copy(w->rt, MSG_NUMBER, &n, sizeof n);
    return m == NULL ? TDM_ENOMEM : sent(w, m, tdm_send(w->rt, to, m));
}

int send_number_place(struct world *w, tdm_place to, uint64_t n)
{
    struct tdm_msg *m = tdm_msg_copy(w->rt, MSG_NUMBER, &n, sizeof n);
    return m == NULL ? TDM_ENOMEM : sent(w, m, tdm_send_place(w->rt, to, m));
}

/* ---- deeds ----------------------------------------------------------------------------------- */

int do_nothing(tdm_self *self, void *arg)
{
    (void)self, (void)arg;
    return TDM_OK;
}

int exit_normal(tdm_self *self, void *arg)
{
    (void)self, (void)arg;
    return TDM_STOP;
}

int exit_error(tdm_self *self, void *arg)
{
    (void)arg;
    return tdm_fail(self, TDM_EPEER, "as it was told");
}

int exit_shutdown(tdm_self *self, void *arg)
{
    struct tdm_reason r = { .kind = TDM_EXIT_SHUTDOWN };

    if (arg != NULL)
        snprintf(r.text, sizeof r.text, "%s", (const char *)arg);
    tdm_exit(self, &r);
    return TDM_OK;
}

int fail_assert(tdm_self *self, void *arg)
{
    (void)arg;
    tdm_assert(self, 1 + 1 == 3);
    return TDM_OK;
}

/* thread: that two actors write to nowhere at once is no race to look for */
__attribute__((no_sanitize("undefined", "address", "thread"))) int write_null(tdm_self *self, void *arg)
{
    (void)self, (void)arg;
    *(volatile int *)NULL = 1;
    return TDM_OK;
}

__attribute__((no_sanitize("undefined", "address"))) int call_null(tdm_self *self, void *arg)
{
    int (*volatile nowhere)(void) = NULL;

    (void)self, (void)arg;
    return nowhere();
}

__attribute__((no_sanitize("undefined", "address"))) int divide_by_zero(tdm_self *self, void *arg)
{
    volatile int zero = 0;

    (void)self, (void)arg;
    return 7 / zero;
}

int call_abort(tdm_self *self, void *arg)
{
    (void)self, (void)arg;
    abort();
}

static __attribute__((noinline)) int dig(volatile char *above, int depth)
{
    volatile char here[512];

    here[0] = (char)depth;
    if (above != NULL && above[0] == 127 && depth < 0)
        return 0;
    return dig(here, depth + 1) + here[0];
}

int overflow_stack(tdm_self *self, void *arg)
{
    (void)self, (void)arg;
    return dig(NULL, 0);
}

int link_to(tdm_self *self, void *arg)
{
    return tdm_link(self, *(tdm_pid *)arg);
}

int unlink_from(tdm_self *self, void *arg)
{
    return tdm_unlink(self, *(tdm_pid *)arg);
}

int monitor_it(tdm_self *self, void *arg)
{
    return tdm_monitor(self, *(tdm_pid *)arg) == 0 ? TDM_ENOMEM : TDM_OK;
}
