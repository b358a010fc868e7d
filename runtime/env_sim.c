/* env_sim.c - a world in which everything follows from a seed.
 *
 * Idea:      every thread is a coroutine of one OS thread. At each place where real threads could
 *            interleave (parks, wakes, and the points named in the lock-free code) the next draw of the
 *            generator may hand the world to another coroutine. Time moves only when nobody can run,
 *            and then straight to the next deadline.
 * Invariant: exactly one coroutine runs, and only what it does or draws changes the world; addresses
 *            and real time never enter a decision. So a seed is a run, and its digest tells whether two
 *            runs were the same.
 * Locks (pthread mutexes and spinlocks of the code under test) never block here: no coroutine is left
 * inside one, since no point lies inside one. */
#include "env_sim.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "context.h"
#include "env_sim_net.h"
#include "sanitize.h"
#include "tandem/err.h"
#include "thread.h"

enum { STACK_BYTES = 256 * 1024, GUARD_BYTES = 4096, COROUTINES_MAX = 128, NAME_BYTES = 32 };

enum wait { READY, PARKED, JOINING, ENDED };

struct tdm_thread {
    fcontext_t self;
    struct sim *sim;
    void (*fn)(void *arg);
    void *arg;
    char *stack;
    enum wait wait;
    struct tdm_parker *parker;
    uint64_t deadline;
    struct tdm_thread *joins;
    struct thread *here; /* thread_here, while it does not run */
    uint64_t number;
    bool joined;
#ifdef WITH_ASAN
    void *fake;
#endif
#ifdef WITH_TSAN
    void *tsan;     /* its own stack */
    void *tsan_now; /* where it was left: perhaps on a fiber of the runtime */
#endif
};

struct sim {
    struct tdm_env env; /* first: the table is the world */
    uint64_t random[4];
    uint64_t digest;
    uint64_t now;
    int64_t wall_offset;
    struct tdm_thread *threads[COROUTINES_MAX];
    unsigned n_threads;
    uint64_t next_number;
    struct tdm_thread *current;
    fcontext_t scheduler;
    uint64_t allocs, fail_at;
    bool fail_on;
    struct sim_net *net;
#ifdef WITH_ASAN
    const void *main_bottom;
    size_t main_bytes;
    void *main_fake;
#endif
#ifdef WITH_TSAN
    void *tsan_main;
#endif
};

static struct sim *sim_of(struct tdm_env *env)
{
    return (struct sim *)env;
}

struct sim_net **env_sim_net_slot(struct tdm_env *env)
{
    return &sim_of(env)->net;
}

/* ---- chance and digest ----------------------------------------------------------------------- */

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

/* xoshiro256**, Blackman and Vigna. */
static uint64_t draw(struct sim *s)
{
    uint64_t *r = s->random;
    uint64_t result = rotl(r[1] * 5, 7) * 9;
    uint64_t t = r[1] << 17;

    r[2] ^= r[0];
    r[3] ^= r[1];
    r[1] ^= r[2];
    r[0] ^= r[3];
    r[2] ^= t;
    r[3] = rotl(r[3], 45);
    return result;
}

static void seed(struct sim *s, uint64_t x)
{
    for (int i = 0; i < 4; i++) { /* splitmix64 */
        x += 0x9e3779b97f4a7c15ull;
        uint64_t z = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        s->random[i] = z ^ (z >> 31);
    }
}

static void digest(struct sim *s, const void *fact, size_t bytes)
{
    const unsigned char *p = fact;

    for (size_t i = 0; i < bytes; i++) /* FNV-1a */
        s->digest = (s->digest ^ p[i]) * 0x100000001b3ull;
}

static uint64_t random_64(struct tdm_env *env)
{
    return draw(sim_of(env));
}

/* ---- time and memory ------------------------------------------------------------------------- */

static uint64_t now_ns(struct tdm_env *env)
{
    return sim_of(env)->now;
}

static uint64_t wall_ns(struct tdm_env *env)
{
    struct sim *s = sim_of(env);
    return 1700000000000000000ull + s->now + (uint64_t)s->wall_offset;
}

void *env_sim_alloc(struct tdm_env *env, size_t bytes)
{
    struct sim *s = sim_of(env);

    s->allocs++;
    if (s->fail_at != 0 && (s->allocs == s->fail_at || (s->fail_on && s->allocs > s->fail_at)))
        return NULL;
    return malloc(bytes);
}

static void release(struct tdm_env *env, void *p, size_t bytes)
{
    (void)env;
    (void)bytes;
    free(p);
}

uint64_t tdm_env_sim_fail_alloc(struct tdm_env *env, uint64_t nth, bool from_there_on)
{
    struct sim *s = sim_of(env);
    uint64_t n = s->allocs;

    s->allocs = 0;
    s->fail_at = nth;
    s->fail_on = from_there_on;
    return n;
}

/* ---- coroutines ------------------------------------------------------------------------------ */

/* To the scheduler and, some time, back. */
static void give_up(struct sim *s)
{
    struct tdm_thread *t = s->current;

    t->here = thread_here;
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(t->wait == ENDED ? NULL : &t->fake, s->main_bottom, s->main_bytes);
#endif
#ifdef WITH_TSAN
    t->tsan_now = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(s->tsan_main, 0);
#endif
    transfer_t from = jump_fcontext(s->scheduler, t);
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(t->fake, &s->main_bottom, &s->main_bytes);
#endif
    s->scheduler = from.fctx;
    thread_here = t->here;
}

static void begin(transfer_t from)
{
    struct tdm_thread *t = from.data;
    struct sim *s = t->sim;

#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(NULL, &s->main_bottom, &s->main_bytes);
#endif
    s->scheduler = from.fctx;
    thread_here = NULL;
    t->fn(t->arg);
    t->wait = ENDED;
    give_up(s);
    abort(); /* nobody resumes an ended coroutine */
}

static void resume(struct sim *s, struct tdm_thread *t)
{
    struct thread *mine = thread_here;

    s->current = t;
    t->wait = t->wait == ENDED ? ENDED : READY;
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(&s->main_fake, t->stack + GUARD_BYTES, STACK_BYTES - GUARD_BYTES);
#endif
#ifdef WITH_TSAN
    s->tsan_main = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(t->tsan_now, 0);
#endif
    transfer_t from = jump_fcontext(t->self, t);
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(s->main_fake, NULL, NULL);
#endif
    t->self = from.fctx;
    s->current = NULL;
    thread_here = mine;
}

static bool can_run(const struct sim *s, const struct tdm_thread *t)
{
    switch (t->wait) {
    case READY:
        return true;
    case PARKED:
        return atomic_load_explicit(&t->parker->word, memory_order_relaxed) == 1 || t->deadline <= s->now;
    case JOINING:
        return t->joins->wait == ENDED;
    case ENDED:
        break;
    }
    return false;
}

static struct tdm_thread *choose(struct sim *s)
{
    struct tdm_thread *ready[COROUTINES_MAX];
    unsigned n = 0;

    for (unsigned i = 0; i < s->n_threads; i++)
        if (can_run(s, s->threads[i]))
            ready[n++] = s->threads[i];
    if (n == 0)
        return NULL;
    struct tdm_thread *t = ready[n == 1 ? 0 : draw(s) % n];
    digest(s, &t->number, sizeof t->number);
    return t;
}

/* Nobody can run: on to the next deadline. */
static bool let_time_pass(struct sim *s)
{
    uint64_t next = TDM_FOREVER;

    for (unsigned i = 0; i < s->n_threads; i++)
        if (s->threads[i]->wait == PARKED && s->threads[i]->deadline < next)
            next = s->threads[i]->deadline;
    if (next == TDM_FOREVER)
        return false;
    s->now = next;
    digest(s, &next, sizeof next);
    return true;
}

static bool all_ended(const struct sim *s)
{
    for (unsigned i = 0; i < s->n_threads; i++)
        if (s->threads[i]->wait != ENDED)
            return false;
    return true;
}

static void free_thread(struct tdm_thread *t)
{
#ifdef WITH_TSAN
    __tsan_destroy_fiber(t->tsan);
#endif
    stack_unmark(t->stack, STACK_BYTES);
    munmap(t->stack, STACK_BYTES);
    free(t);
}

static int thread_start(struct tdm_env *env, struct tdm_thread **ret, const char *name, void (*fn)(void *),
                        void *arg)
{
    struct sim *s = sim_of(env);
    struct tdm_thread *t = s->n_threads < COROUTINES_MAX ? calloc(1, sizeof *t) : NULL;

    (void)name;
    if (t == NULL)
        return TDM_ENOMEM;
    t->stack =
        mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (t->stack == MAP_FAILED) {
        free(t);
        return TDM_ENOMEM;
    }
    mprotect(t->stack, GUARD_BYTES, PROT_NONE);
    t->sim = s;
    t->fn = fn;
    t->arg = arg;
    t->number = ++s->next_number;
    t->self = make_fcontext(t->stack + STACK_BYTES, STACK_BYTES - GUARD_BYTES, begin);
#ifdef WITH_TSAN
    t->tsan = t->tsan_now = __tsan_create_fiber(0);
#endif
    s->threads[s->n_threads++] = t;
    *ret = t;
    return TDM_OK;
}

static void thread_join(struct tdm_env *env, struct tdm_thread *t)
{
    struct sim *s = sim_of(env);

    if (t->wait != ENDED) {
        s->current->joins = t;
        s->current->wait = JOINING;
        give_up(s);
    }
    for (unsigned i = 0; i < s->n_threads; i++)
        if (s->threads[i] == t)
            s->threads[i] = s->threads[--s->n_threads];
    free_thread(t);
}

static uint64_t thread_identity(struct tdm_env *env)
{
    struct sim *s = sim_of(env);
    return s->current == NULL ? UINT64_MAX : s->current->number;
}

static void park(struct tdm_env *env, struct tdm_parker *p, uint64_t deadline_ns)
{
    struct sim *s = sim_of(env);

    if (atomic_load_explicit(&p->word, memory_order_relaxed) != 1) {
        s->current->parker = p;
        s->current->deadline = deadline_ns;
        s->current->wait = PARKED;
        give_up(s);
    }
    atomic_store_explicit(&p->word, 0, memory_order_relaxed); /* one OS thread: no order to keep */
}

static void point(struct tdm_env *env, const char *where)
{
    struct sim *s = sim_of(env);

    (void)where;
    if (s->current != NULL && draw(s) % 4 == 0)
        give_up(s);
}

static void unpark(struct tdm_env *env, struct tdm_parker *p)
{
    (void)env;
    atomic_store_explicit(&p->word, 1, memory_order_relaxed); /* one OS thread: no order to keep */
}

/* ---- the world ------------------------------------------------------------------------------- */

static const struct tdm_env table = {
    .name = "sim",
    .now_ns = now_ns,
    .wall_ns = wall_ns,
    .random = random_64,
    .alloc = env_sim_alloc,
    .free = release,
    .thread_start = thread_start,
    .thread_join = thread_join,
    .thread_identity = thread_identity,
    .park = park,
    .unpark = unpark,
    .point = point,
    .sock_connect = env_sim_net_connect,
    .sock_listen = env_sim_net_listen,
    .sock_accept = env_sim_net_accept,
    .sock_port = env_sim_net_port,
    .sock_error = env_sim_net_error,
    .sock_read = env_sim_net_read,
    .sock_writev = env_sim_net_writev,
    .sock_close = env_sim_net_close,
    .poller_new = env_sim_net_poller_new,
    .poller_free = env_sim_net_poller_free,
    .poller_set = env_sim_net_poller_set,
    .poller_wait = env_sim_net_poller_wait,
    .poller_wake = env_sim_net_poller_wake,
    .resolve = env_sim_net_resolve,
};

int tdm_env_sim_new(struct tdm_env **ret, uint64_t seed_value)
{
    struct sim *s = calloc(1, sizeof *s);

    if (s == NULL)
        return TDM_ENOMEM;
    s->env = table;
    s->now = 1000000000; /* not zero, so that "a second ago" exists */
    s->digest = 0xcbf29ce484222325ull;
    seed(s, seed_value);
    *ret = &s->env;
    return TDM_OK;
}

void tdm_env_sim_free(struct tdm_env *env)
{
    if (env == NULL)
        return;
    struct sim *s = sim_of(env);
    env_sim_net_free(env);
    for (unsigned i = 0; i < s->n_threads; i++)
        free_thread(s->threads[i]);
    free(s);
}

int tdm_env_sim_run(struct tdm_env *env, void (*fn)(void *), void *arg)
{
    struct sim *s = sim_of(env);
    struct tdm_thread *first;
    int err = thread_start(env, &first, "main", fn, arg);

    if (err < 0)
        return err;
    for (;;) {
        struct tdm_thread *t = choose(s);
        if (t != NULL)
            resume(s, t);
        else if (all_ended(s))
            break;
        else if (!let_time_pass(s))
            return TDM_ESTUCK;
    }
    while (s->n_threads > 0)
        free_thread(s->threads[--s->n_threads]);
    return TDM_OK;
}

uint64_t tdm_env_sim_hash(const struct tdm_env *env)
{
    return ((const struct sim *)env)->digest;
}

void tdm_env_sim_note(struct tdm_env *env, const void *fact, size_t bytes)
{
    digest(sim_of(env), fact, bytes);
}

void tdm_env_sim_step_wall(struct tdm_env *env, int64_t ns)
{
    sim_of(env)->wall_offset += ns;
}
