/* Tests of runtime/fault.c in a program that links the shared library, as apps do: only then can a callback
 * that does not end be told from the runtime's own code and be ended. */
#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tandem/log.h"
#include "worlds.h"

static _Atomic bool never;

static int loop_for_ever(tdm_self *self, void *arg)
{
    (void)self, (void)arg;
    while (!atomic_load_explicit(&never, memory_order_relaxed))
        ;
    return TDM_OK;
}

REAL_TEST_WITH(fault, J5_a_callback_that_never_ends_is_ended_and_its_worker_goes_on,
               { .stuck_after_ms = 30, .skip = NO_ASYNCHRONOUS_SIGNALS })
{
    tdm_pid watcher = spawn_worker(w, 1), bystander = spawn_worker(w, 2);

    for (size_t i = 0; i < 4; i++) {
        tdm_pid a = spawn_worker(w, 3);
        ask(w, watcher, monitor_it, &a);
        tell(w, a, loop_for_ever, NULL);
        wait_marks(w, "down", i + 1);
        check_eq(w, mark_at(w, "down", i).reason.code, TDM_ESTUCK);
        ask(w, bystander, do_nothing, NULL);
    }
    check_eq(w, marks_of(w, "term", 3), 0);
}

REAL_TEST_WITH(fault, J5_a_fiber_that_never_waits_is_ended_too,
               { .stuck_after_ms = 30, .skip = NO_ASYNCHRONOUS_SIGNALS })
{
    tdm_pid watcher = spawn_worker(w, 1);
    tdm_pid a = spawn_with(w, 2, (struct tdm_spawn_cfg){ .behaviour = &fiber_worker });

    ask(w, watcher, monitor_it, &a);
    tell(w, a, loop_for_ever, NULL);
    wait_marks(w, "down", 1);
    check_eq(w, mark_at(w, "down", 0).reason.code, TDM_ESTUCK);
}

WORLD_TEST_WITH(fault, J4_every_fault_is_contained_in_a_program_with_the_shared_library,
                { .seeds = 5, .skip = NO_JUMP })
{
    deed *const faults[] = { write_null, call_null, divide_by_zero, call_abort, overflow_stack, fail_assert };
    const struct tdm_behaviour *forms[] = { &worker, &fiber_worker };
    tdm_pid watcher = spawn_worker(w, 1);

    for (size_t i = 0; i < 12; i++) {
        tdm_pid a = spawn_with(w, 2, (struct tdm_spawn_cfg){ .behaviour = forms[i / 6] });
        ask(w, watcher, monitor_it, &a);
        tell(w, a, faults[i % 6], NULL);
        wait_marks(w, "down", i + 1);
        check_eq(w, mark_at(w, "down", i).reason.code, i % 6 == 5 ? TDM_EASSERT : TDM_EFAULT);
    }
}

/* ---- a callback that waits where it must not --------------------------------------------------- */

static int sleep_for_ever(tdm_self *self, void *arg)
{
    (void)self, (void)arg;
    while (!atomic_load_explicit(&never, memory_order_relaxed))
        sleep(1000);
    return TDM_OK;
}

static int read_for_ever(tdm_self *self, void *arg)
{
    char c;

    (void)self;
    return (int)read(*(int *)arg, &c, 1); /* nobody writes */
}

static int lock_for_ever(tdm_self *self, void *arg)
{
    (void)self;
    return pthread_mutex_lock(arg); /* somebody has it */
}

static int copy_for_ever(tdm_self *self, void *arg)
{
    static char from[1 << 20], to[1 << 20];

    (void)self, (void)arg;
    while (!atomic_load_explicit(&never, memory_order_relaxed))
        memcpy(to, from, sizeof to);
    return TDM_OK;
}

REAL_TEST_WITH(fault, J5_a_callback_that_blocks_in_libc_is_ended_too,
               { .stuck_after_ms = 30, .skip = NOT_IN_LIBC })
{
    pthread_mutex_t locked = PTHREAD_MUTEX_INITIALIZER;
    int nobody[2];
    deed *deeds[] = { sleep_for_ever, read_for_ever, lock_for_ever, copy_for_ever };
    void *args[] = { NULL, &nobody[0], &locked, NULL };
    tdm_pid watcher = spawn_worker(w, 1);

    check_eq(w, pipe(nobody), 0);
    pthread_mutex_lock(&locked);
    for (size_t i = 0; i < 8; i++) {
        tdm_pid a = spawn_with(w, 2, (struct tdm_spawn_cfg){ .behaviour = i < 4 ? &worker : &fiber_worker });
        ask(w, watcher, monitor_it, &a);
        tell(w, a, deeds[i % 4], args[i % 4]);
        wait_marks(w, "down", i + 1);
        check_eq(w, mark_at(w, "down", i).reason.code, TDM_ESTUCK);
    }
}

static _Atomic bool foreign_may_end;

/* As in a library: the wait was not called by the app itself, which may hold that library's locks. */
static int compare_slowly(const void *a, const void *b)
{
    (void)a, (void)b;
    while (!atomic_load_explicit(&foreign_may_end, memory_order_relaxed))
        usleep(1000);
    return 0;
}

static int sort_for_ever(tdm_self *self, void *arg)
{
    int two[2] = { 2, 1 };

    (void)self, (void)arg;
    qsort(two, 2, sizeof two[0], compare_slowly);
    return TDM_OK;
}

static void note_stuck(void *ctx, const char *line, size_t bytes)
{
    char text[1024];

    snprintf(text, sizeof text, "%.*s", (int)bytes, line);
    if (strstr(text, "event=actor.stuck") == NULL)
        return;
    if (strstr(text, " behaviour=worker ended=true in=\"loop_for_ever+") != NULL)
        mark(ctx, "ended", 0);
    else if (strstr(text, " behaviour=worker ended=false in=\"") != NULL)
        mark(ctx, "left", 0);
    else
        mark(ctx, "unexpected", 0);
}

REAL_TEST_WITH(fault, J5_what_a_stuck_callback_was_found_doing_is_told_once,
               { .stuck_after_ms = 30, .skip = NOT_IN_LIBC })
{
    tdm_pid a = spawn_worker(w, 1), b = spawn_worker(w, 2);

    tdm_log_configure(&(struct tdm_log_cfg){ .level = TDM_LOG_WARN, .sink = note_stuck, .sink_ctx = w });
    tell(w, a, loop_for_ever, NULL);
    wait_end(w, a);
    wait_marks(w, "ended", 1);
    tell(w, b, sort_for_ever, NULL);
    wait_marks(w, "left", 1);
    let_pass(w, TDM_MS(200)); /* it is tried again, and not told again */
    check(w, tdm_alive(w->rt, b));
    atomic_store(&foreign_may_end, true);
    ask(w, b, do_nothing, NULL);
    tdm_log_configure(NULL);
    check_eq(w, marks(w, "ended") + marks(w, "left") + marks(w, "unexpected"), 2);
}

static size_t threads_of_this_process(void)
{
    DIR *dir = opendir("/proc/self/task");
    size_t n = 0;

    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static _Atomic uint64_t after_the_loop;

static int loop_then_send(tdm_self *self, void *arg)
{
    loop_for_ever(self, arg);
    atomic_fetch_add(&after_the_loop, 1); /* a lost callback would get here when it is let go */
    return TDM_OK;
}

REAL_TEST_WITH(fault, J5_nothing_is_left_of_a_callback_that_was_ended,
               { .stuck_after_ms = 30, .skip = NO_ASYNCHRONOUS_SIGNALS })
{
    tdm_pid first = spawn_worker(w, 9);

    ask(w, first, do_nothing, NULL);
    size_t threads = threads_of_this_process();
    for (int i = 0; i < 4; i++) {
        tdm_pid a = spawn_worker(w, 1);
        tell(w, a, loop_then_send, NULL);
        wait_end(w, a);
    }
    atomic_store(&never, true);
    for (int i = 0; i < 8; i++) /* each worker has had a turn since */
        ask(w, spawn_worker(w, 2), do_nothing, NULL);
    check_eq(w, atomic_load(&after_the_loop), 0);
    check_eq(w, threads_of_this_process(), threads);
    atomic_store(&never, false);
}

/* ---- memory ------------------------------------------------------------------------------------ */

static int malloc_for_ever(tdm_self *self, void *arg)
{
    size_t bytes = *(size_t *)arg;
    char **last = NULL;

    (void)self;
    while (!atomic_load_explicit(&never, memory_order_relaxed)) {
        char **p = malloc(bytes);
        if (bytes > 4096)
            memset(p, 1, bytes);
        *p = (char *)last;
        last = p;
    }
    return TDM_OK;
}

REAL_TEST_WITH(fault, a_callback_that_mallocs_without_end_is_ended_with_words,
               { .callback_memory_limit = 32u << 20, .skip = NOT_IN_LIBC })
{
    size_t sizes[] = { 32, 600, 64 * 1024, 4 << 20 };
    tdm_pid watcher = spawn_worker(w, 1), bystander = spawn_worker(w, 2);

    for (size_t i = 0; i < 4; i++) {
        tdm_pid a = spawn_worker(w, 3);
        ask(w, watcher, monitor_it, &a);
        tell(w, a, malloc_for_ever, &sizes[i]);
        wait_marks(w, "down", i + 1);
        struct tdm_reason r = mark_at(w, "down", i).reason;
        check_eq(w, r.code, TDM_ENOMEM);
        check(w,
              strstr(r.text, "callback took ") != NULL && strstr(r.text, " MiB, in malloc_for_ever") != NULL);
        ask(w, bystander, do_nothing, NULL);
    }
}

/* No more address space: malloc answers NULL and the app does not look. */
static int use_null_of_malloc(tdm_self *self, void *arg)
{
    struct rlimit before, none = { 1 << 20, RLIM_INFINITY };

    (void)self, (void)arg;
    getrlimit(RLIMIT_AS, &before);
    none.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_AS, &none);
    volatile char *p = malloc((size_t)1 << 30);
    p[0] = 1;
    return TDM_OK;
}

REAL_TEST_WITH(fault, a_null_from_malloc_that_nobody_looked_at_is_contained, { .skip = NOT_IN_LIBC })
{
    tdm_pid watcher = spawn_worker(w, 1);
    tdm_pid a = spawn_worker(w, 2);

    ask(w, watcher, monitor_it, &a);
    tell(w, a, use_null_of_malloc, NULL);
    wait_marks(w, "down", 1);
    setrlimit(RLIMIT_AS, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
    check_eq(w, mark_at(w, "down", 0).reason.code, TDM_EFAULT);
    check(w, strstr(mark_at(w, "down", 0).reason.text, "null pointer write") != NULL);
}

static int copy_from_null(tdm_self *self, void *arg)
{
    char to[32];
    char *volatile from = NULL;

    (void)self, (void)arg;
    memcpy(to, from, sizeof to);
    return to[0];
}

REAL_TEST_WITH(fault, a_bad_pointer_given_to_memcpy_is_the_callers, { .skip = NOT_IN_LIBC })
{
    tdm_pid watcher = spawn_worker(w, 1);
    tdm_pid a = spawn_worker(w, 2);

    ask(w, watcher, monitor_it, &a);
    tell(w, a, copy_from_null, NULL);
    wait_marks(w, "down", 1);
    check_eq(w, mark_at(w, "down", 0).reason.code, TDM_EFAULT);
    check(w, strstr(mark_at(w, "down", 0).reason.text, "in copy_from_null") != NULL);
}

/* ---- faults that end the process, on purpose --------------------------------------------------- */

static int free_twice(tdm_self *self, void *arg)
{
    void *volatile p = malloc(100);
    void *volatile q = p;

    (void)self, (void)arg;
    free(p);
    free(q);
    return TDM_OK;
}

static int free_nonsense(tdm_self *self, void *arg)
{
    void *volatile p = (void *)(uintptr_t)0x10000;

    (void)self, (void)arg;
    free(p);
    return TDM_OK;
}

static int print_nonsense(tdm_self *self, void *arg)
{
    const char *volatile text = (const char *)(uintptr_t)8;

    (void)self, (void)arg;
    printf("%s\n", text);
    return TDM_OK;
}

static int free_no_message(tdm_self *self, void *arg)
{
    (void)arg;
    tdm_msg_free(tdm_self_runtime(self), (struct tdm_msg *)(uintptr_t)16);
    return TDM_OK;
}

static void *write_null_alone(void *arg)
{
    write_null(NULL, NULL);
    return arg;
}

static int on_another_thread(tdm_self *self, void *arg)
{
    pthread_t id;

    (void)self, (void)arg;
    pthread_create(&id, NULL, write_null_alone, NULL);
    return TDM_OK;
}

static deed *the_deed;

static int do_the_deed(tdm_self *self, void *state, struct tdm_msg *m)
{
    (void)state, (void)m;
    return the_deed(self, NULL);
}

static void die_of(deed *fn)
{
    static const struct tdm_behaviour victim = { .name = "victim", .handle = do_the_deed };
    struct tdm_spawn_cfg cfg = { .behaviour = &victim, .tag = "the-tag" };
    struct tdm_runtime *rt;
    tdm_pid a;

    the_deed = fn;
    if (tdm_runtime_new(&rt, &(struct tdm_runtime_cfg){ .workers = 2 }) != TDM_OK ||
        tdm_spawn(rt, &cfg, &a) != TDM_OK || tdm_send(rt, a, tdm_msg_new(rt, MSG_NUMBER, 0)) != TDM_OK)
        _exit(1);
    tdm_log_info("last", "%s", "before=true");
    for (;;)
        pause();
}

/* In a process of its own: what it said on standard error, and the signal it died of; 0: of none. */
static int last_words_of(deed *fn, char *text, size_t bytes)
{
    int out[2], status;
    size_t n = 0;

    cr_assert(pipe(out) == 0);
    pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
        dup2(out[1], 2);
        die_of(fn);
    }
    close(out[1]);
    for (ssize_t k; (k = read(out[0], text + n, bytes - 1 - n)) > 0;)
        n += (size_t)k;
    text[n] = '\0';
    close(out[0]);
    cr_assert(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

Test(fault, a_fault_that_cannot_be_contained_ends_the_process_with_a_report, .timeout = 60)
{
    static const struct {
        deed *fn;
        int signo;
        const char *because, *where, *actor;
    } ends[] = {
        { free_twice, SIGABRT, "because     malloc or free was at work", "free_twice+", "victim, pid " },
        { free_nonsense, SIGSEGV, "because     malloc or free was at work", "free_nonsense+",
          "victim, pid " },
        { print_nonsense, SIGSEGV, "because     libc was at work", "print_nonsense+", "victim, pid " },
        { free_no_message, SIGSEGV, "because     the runtime itself was at work", "free_no_message+",
          "tag the-tag" },
        { on_another_thread, SIGSEGV, "because     no callback of an actor was running here", "write_null+",
          "not in an actor" },
    };
    static char text[16384];

    SKIP_IF(NOT_ITS_END);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        cr_expect(last_words_of(ends[i].fn, text, sizeof text) == ends[i].signo, "case %zu", i);
        cr_expect(strstr(text, ": this process ends\n") != NULL, "case %zu: %s", i, text);
        cr_expect(strstr(text, ends[i].because) != NULL, "case %zu: %s", i, text);
        cr_expect(strstr(text, ends[i].where) != NULL, "case %zu: %s", i, text);
        cr_expect(strstr(text, ends[i].actor) != NULL, "case %zu: %s", i, text);
        cr_expect(strstr(text, "  what to do  ") != NULL, "case %zu: %s", i, text);
    }
}
