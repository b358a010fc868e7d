/* worlds.h - one test body in two worlds: the real environment with two workers, and the deterministic one
 * under many seeds.
 *
 * WORLD_TEST(suite, name) { ... } makes two tests of one body. A failure names the seed and shows the last lines of the
 * log; TANDEM_SEED=n runs that one alone, TANDEM_SEEDS=n runs n of them, TANDEM_LOG=1 lets the log through. Without
 * these there are WORLD_SEEDS (50; the conformance programs are built with 200, or 20 under a sanitizer). Each test
 * says how many it ran under. The first seeds run twice and must give the same digest. When a body has ended the
 * runtime is freed and every block must be back: each test is a leak check.
 *
 * A body with rounds of its own goes by w->rounds: in the real world all of opts.rounds; in the deterministic one a
 * single round under each of so many seeds, or, when they belong together (opts.split), a share of them under each of
 * the usual seeds. Under a sanitizer there are a tenth.
 *
 * ALLOC_TEST(suite, name) { ... } is run in the deterministic world again and again: between allocs_fail() and
 * allocs_work() the first allocation fails, then the second, until there are no more; then each of them and all that
 * follow. Each run has a seed of its own.
 *
 * What actors do is told to the body by marks: a word and a number, in a list that the body can wait on. Bodies
 * never sleep: they wait for marks, or let virtual time pass through timers. */
#ifndef TESTS_UNIT_WORLDS_H
#define TESTS_UNIT_WORLDS_H
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "sanitizer.h"
#include "tandem/env.h"
#include "tandem/fiber.h"
#include "tandem/registry.h"
#include "tandem/runtime.h"
#include "tandem/supervisor.h"
#include "tandem/timer.h"

struct mark {
    const char *what; /* a literal */
    uint64_t n;
    tdm_pid pid;
    uint64_t at_ns;
    struct tdm_reason reason;
};

struct world {
    struct tdm_env *env;
    struct tdm_runtime *rt;
    uint64_t seed; /* of the deterministic world */
    bool sim;
    /* of an ALLOC_TEST */
    uint64_t fail_nth, allocations; /* which one fails, how many there were */
    bool fail_from_there_on;
    uint32_t rounds; /* how many this run is to make, at least 1 */
    /* marks, under the lock */
    pthread_mutex_t lock;
    struct mark *marks;
    size_t n_marks, room;
    struct tdm_parker parker; /* the body waits here */
    struct tdm_msg **kept;    /* the body's alone */
    size_t n_kept;
    /* blocks that the runtime has and has not given back */
    _Atomic int64_t blocks, bytes;
};

struct world_opts {
    uint32_t workers; /* default 2 */
    uint32_t stuck_after_ms;
    uint64_t callback_memory_limit;
    uint32_t seeds;  /* at most so many; for bodies that are long */
    uint32_t rounds; /* see above */
    bool split;
    const char *skip; /* why it is not run here (see sanitizer.h), or NULL */
};

typedef void world_body(struct world *w);

void world_run_real(world_body *body, const struct world_opts *opts);
void world_run_sim(world_body *body, const struct world_opts *opts);

/* One seed; returns the digest. */
uint64_t world_run_seed(world_body *body, const struct world_opts *opts, uint64_t seed);

#define WORLD_TEST(suite, name) WORLD_TEST_WITH(suite, name, { 0 })
#define WORLD_TEST_WITH(suite, name, ...)                     \
    static void name(struct world *w);                        \
    static const struct world_opts name##_opts = __VA_ARGS__; \
    Test(suite, name, .timeout = 120)                         \
    {                                                         \
        world_run_real(name, &name##_opts);                   \
    }                                                         \
    Test(suite, name##_under_every_seed, .timeout = 240)      \
    {                                                         \
        world_run_sim(name, &name##_opts);                    \
    }                                                         \
    static void name(struct world *w)
#define SIM_TEST(suite, name) SIM_TEST_WITH(suite, name, { 0 })
#define SIM_TEST_WITH(suite, name, ...)                       \
    static void name(struct world *w);                        \
    static const struct world_opts name##_opts = __VA_ARGS__; \
    Test(suite, name, .timeout = 240)                         \
    {                                                         \
        world_run_sim(name, &name##_opts);                    \
    }                                                         \
    static void name(struct world *w)
#define REAL_TEST_WITH(suite, name, ...)                      \
    static void name(struct world *w);                        \
    static const struct world_opts name##_opts = __VA_ARGS__; \
    Test(suite, name, .timeout = 120)                         \
    {                                                         \
        world_run_real(name, &name##_opts);                   \
    }                                                         \
    static void name(struct world *w)

#define ALLOC_TEST(suite, name)        \
    static void name(struct world *w); \
    Test(suite, name, .timeout = 240)  \
    {                                  \
        world_run_allocs(name);        \
    }                                  \
    static void name(struct world *w)

void world_run_allocs(world_body *body);
void allocs_fail(struct world *w);
/* True: none has failed, so everything must have gone well. */
bool allocs_work(struct world *w);

/* In bodies only, never in an actor. */
#define check(w, condition) world_check((w), (condition), #condition, __FILE__, __LINE__)
#define check_eq(w, a, b)   world_check_eq((w), (int64_t)(a), (int64_t)(b), #a " is " #b, __FILE__, __LINE__)
void world_check(struct world *w, bool ok, const char *text, const char *file, int line);
void world_check_eq(struct world *w, int64_t a, int64_t b, const char *text, const char *file, int line);

/* ---- marks ----------------------------------------------------------------------------------- */

void mark(struct world *w, const char *what, uint64_t n);
void mark_all(struct world *w, const char *what, uint64_t n, tdm_pid pid, const struct tdm_reason *reason);
size_t marks(struct world *w, const char *what);
size_t marks_of(struct world *w, const char *what, uint64_t n);
/* The i-th mark with this word, counted from 0. It must be there. */
struct mark mark_at(struct world *w, const char *what, size_t i);
/* Until there are so many; the test fails when a minute passes (virtual, in the deterministic world). */
void wait_marks(struct world *w, const char *what, size_t n);
void wait_marks_of(struct world *w, const char *what, uint64_t n, size_t count);
/* Which came first; both must be there. */
bool mark_before(struct world *w, const char *first, uint64_t n, const char *second, uint64_t m);
void forget_marks(struct world *w);

/* How much the runtime has of its environment now. */
int64_t world_bytes(struct world *w);

/* A message that goes when the body has ended. In bodies only. */
void world_keep(struct world *w, struct tdm_msg *m);

/* Let time pass: virtual, or (in the real world) wait that long. */
void let_pass(struct world *w, uint64_t ns);

/* Wait until `pid` has ended. */
void wait_end(struct world *w, tdm_pid pid);
/* Until every spawned actor that is to end has: `n` are left. */
void wait_actor_count(struct world *w, size_t n);

/* ---- a worker that does what it is told ------------------------------------------------------ */

/* Marks "init", "term" (with the reason), "got" for each MSG_NUMBER, "exit", "down", "timer", "reply", "failed", "stop";
 * n is the worker's number, but for "got", where it is the number sent. */
struct worker_arg {
    struct world *w;
    uint64_t number;
    int init_result; /* what init returns */
    bool quiet;      /* no marks for init and term */
    bool (*veto)(struct worker_arg *arg, const struct tdm_start *start,
                 int *result); /* true: *result is what init returns */
};

enum { MSG_NUMBER = TDM_MSG_USER + 1, MSG_DO, MSG_ASK_NUMBER };

extern const struct tdm_behaviour worker;
extern const struct tdm_behaviour fiber_worker; /* the same as a fiber; stops when it is told */

tdm_pid spawn_worker(struct world *w, uint64_t number);
tdm_pid spawn_with(struct world *w, uint64_t number,
                   struct tdm_spawn_cfg cfg); /* fills behaviour (if NULL) and arg */

typedef int deed(tdm_self *self, void *arg);
/* Have the actor run this in its handler; its result is the handler's. */
int tell(struct world *w, tdm_pid to, deed *fn, void *arg);
int tell_place(struct world *w, tdm_place to, deed *fn, void *arg);
/* The same, and wait until it has run. The result must be TDM_OK or it is not waited for. */
void ask(struct world *w, tdm_pid to, deed *fn, void *arg);

int send_number(struct world *w, tdm_pid to, uint64_t n);
int send_number_place(struct world *w, tdm_place to, uint64_t n);

/* Deeds. */
deed do_nothing, exit_normal, exit_error, exit_shutdown, fail_assert, write_null, call_null, divide_by_zero,
    call_abort, overflow_stack;
deed link_to, unlink_from, monitor_it; /* arg: tdm_pid * */

#endif
