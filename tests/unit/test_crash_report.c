/* What is told of a crash: every field, for every kind, in each form. With the shared library, as apps have it: then the
 * app's functions are told from the runtime's. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sup_fixture.h"
#include "tandem/log.h"

/* ---- the last crash record --------------------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    char line[16 * 1024];
    size_t records, lines;
} last = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void keep(void *ctx, const char *line, size_t bytes)
{
    struct world *w = ctx;

    if (memmem(line, bytes, "actor.crash", 11) == NULL)
        return;
    pthread_mutex_lock(&last.lock);
    snprintf(last.line, sizeof last.line, "%.*s", (int)bytes, line);
    last.records++;
    pthread_mutex_unlock(&last.lock);
    mark(w, "crash", 0);
}

static void watch(struct world *w, enum tdm_log_format format)
{
    last.records = 0;
    last.line[0] = '\0';
    tdm_log_configure(
        &(struct tdm_log_cfg){ .level = TDM_LOG_ERROR, .format = format, .sink = keep, .sink_ctx = w });
}

static bool said(const char *text)
{
    bool found = strstr(last.line, text) != NULL;

    if (!found)
        fprintf(stderr, "no %s in %s\n", text, last.line);
    return found;
}

static const char *text_of(const json_t *record, const char *key)
{
    const char *text = json_string_value(json_object_get(record, key));
    return text != NULL ? text : "";
}

/* ---- a victim that has something of everything -------------------------------------------------- */

enum { MSG_ORDER = TDM_MSG_USER + 100 };

struct order {
    deed *fn;
    char secret[32];
};

static int victim_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    const struct order *o = tdm_msg_view(m);

    (void)state;
    return m->type == MSG_ORDER ? o->fn(self, NULL) : TDM_OK;
}

static int victim_run(tdm_self *self, void *state)
{
    struct tdm_msg *m;

    for (int err = TDM_OK;;) {
        if (err != TDM_OK || (err = tdm_receive(self, TDM_FOREVER, &m)) < 0)
            return err;
        err = victim_handle(self, state, m);
    }
}

static int victim_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    snprintf(state, 64, "step=%d password=%s", 7, "hunter2hunter2");
    (void)start;
    return tdm_note_save(self, "step 7\0\1\2", 9);
}

static void victim_state(const void *state, char *buf, size_t bytes)
{
    snprintf(buf, bytes, "%s", (const char *)state);
}

static const struct tdm_behaviour victim = { .name = "victim",
                                             .state_bytes = 64,
                                             .init = victim_init,
                                             .handle = victim_handle,
                                             .format_state = victim_state };
static const struct tdm_behaviour fiber_victim = {
    .name = "victim", .state_bytes = 64, .init = victim_init, .run = victim_run, .format_state = victim_state
};

static void order_excerpt(const struct tdm_msg *msg, char *buf, size_t bytes)
{
    snprintf(buf, bytes, "kind=test\nsecret=%s", ((const struct order *)tdm_msg_view(msg))->secret);
}

static tdm_place start_victim(struct world *w, const struct tdm_behaviour *behaviour, tdm_pid *sup)
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT);
    struct tdm_sup_cfg cfg = {
        .name = "the-sup", .strategy = TDM_DYNAMIC, .intensity = 1000, .children = &t, .n_children = 1
    };
    tdm_place p;

    t.start.behaviour = behaviour;
    t.start.history = 32;
    t.start.memory_limit = 1 << 20;
    *sup = start_sup(w, &cfg);
    check_eq(w, tdm_sup_start_dynamic(w->rt, *sup, NULL, 0, "the-tag", &p), TDM_OK);
    return p;
}

static void give_order(struct world *w, tdm_place p, deed *fn)
{
    struct order o = { fn, "hunter2hunter2" };

    check_eq(w, send_number_place(w, p, 1), TDM_OK);
    struct tdm_msg *m = tdm_msg_copy(w->rt, MSG_ORDER, &o, sizeof o);
    check_eq(w, tdm_send_place(w->rt, p, m), TDM_OK);
}

/* ---- kinds ------------------------------------------------------------------------------------- */

static int allocate_for_ever(tdm_self *self, void *arg)
{
    (void)arg;
    while (tdm_alloc(self, 1000) != NULL)
        continue;
    return TDM_OK;
}

__attribute__((no_sanitize("undefined", "address", "thread"))) static int read_null(tdm_self *self, void *arg)
{
    void *volatile nowhere = NULL;

    (void)self, (void)arg;
    return ((volatile int *)nowhere)[6];
}

__attribute__((no_sanitize("undefined", "address", "thread"))) static int write_wild(tdm_self *self,
                                                                                     void *arg)
{
    (void)self, (void)arg;
    *(volatile int *)(uintptr_t)0x223456789000 = 1; /* no part of memory, and of no sanitizer's either */
    return TDM_OK;
}

__attribute__((no_sanitize("undefined", "address", "thread"))) static int write_impossible(tdm_self *self,
                                                                                           void *arg)
{
    (void)self, (void)arg;
    *(volatile int *)(uintptr_t)0xdead000000000000 = 1;
    return TDM_OK;
}

static int run_into_trap(tdm_self *self, void *arg)
{
    (void)self, (void)arg;
    __builtin_trap();
}

static const struct kind {
    deed *fn;
    const char *name, *reason, *advice;
} kinds[] = {
    { exit_error, "exit_error", "error:EPEER: as it was told", "ended with this error itself" },
    { fail_assert, "fail_assert", "error:EASSERT: worlds.c:", "did not hold" },
    { write_null, "write_null", "null pointer write at address 0x0 in ", "wrote through a null pointer" },
    { read_null, "read_null", "null pointer read at address 0x18 in ", "read through a null pointer" },
    { call_null, "call_null", "null pointer call at address 0x0 in ",
      "called a function through a null pointer" },
    { write_wild, "write_wild", "bad address used at address 0x223456789000 in ",
      "an address that is not its own" },
    { write_impossible, "write_impossible", "bad address used in ", "an address that is not its own" },
    { divide_by_zero, "divide_by_zero", "division by zero in ", "divided by zero" },
    { call_abort, "call_abort", "abort in ", "gave up by abort()" },
    { run_into_trap, "run_into_trap", "trap instruction in ", "a trap of the compiler" },
    { overflow_stack, "dig", "stack overflow in ", "endless recursion" },
    { allocate_for_ever, "allocate_for_ever",
      "error:ENOMEM: tdm_alloc() past memory_limit: 1000 bytes asked for",
      "raise memory_limit from 1048576 bytes" },
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static void has_all_fields(struct world *w, const json_t *r, const struct kind *k, bool fiber, size_t round)
{
    static const char *const texts[] = { "time", "level",  "event", "tag",       "reason",    "advice",
                                         "in",   "module", "state", "behaviour", "ancestors", "note" };
    static const char *const numbers[] = { "pid",        "version",  "mailbox", "links",    "monitors",
                                           "note_bytes", "restarts", "life_ms", "monitored" };
    const json_t *m = json_object_get(r, "message"), *past = json_object_get(r, "last_messages");

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        check(w, text_of(r, texts[i])[0] != '\0');
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        check(w, json_is_integer(json_object_get(r, numbers[i])));
    check(w, strstr(text_of(r, "reason"), k->reason) != NULL);
    check(w, strstr(text_of(r, "advice"), k->advice) != NULL);
    check(w, strcmp(text_of(r, "tag"), "the-tag") == 0);
    check(w, strcmp(text_of(r, "in"), fiber ? "run" : "handle") == 0);
    check(w, strstr(text_of(r, "ancestors"), "the-sup(") == text_of(r, "ancestors"));
    check(w, strcmp(text_of(r, "state"), "step=7 password=****") == 0);
    check(w, strcmp(text_of(r, "note"), "step 7") == 0);
    check_eq(w, json_integer_value(json_object_get(r, "note_bytes")), 9);
    check_eq(w, json_integer_value(json_object_get(r, "restarts")), round);
    check(w, strcmp(text_of(m, "type"), "order") == 0);
    check_eq(w, json_integer_value(json_object_get(m, "bytes")), sizeof(struct order));
    check(w, strcmp(text_of(m, "excerpt"), "kind=test\nsecret=****") == 0);
    check_eq(w, json_array_size(past), 2);
    check(w, strncmp(json_string_value(json_array_get(past, 0)), "order:", 6) == 0);
    check(w, strcmp(json_string_value(json_array_get(past, 1)), "4097:8") == 0);
}

static void shows_where(struct world *w, const json_t *r, const struct kind *k)
{
    const json_t *trace = json_object_get(r, "backtrace");
    bool found = false;

    check(w, json_is_array(trace));
    if (k->fn == exit_error) /* returned: nothing is left to look at */
        return;
    if (NO_WALK != NULL) {
        cr_log_info("%s: the backtrace is not looked at: %s", k->name, NO_WALK);
        return;
    }
    for (size_t i = 0; i < json_array_size(trace); i++) {
        const char *frame = json_string_value(json_array_get(trace, i));
        found |= strncmp(frame, k->name, strlen(k->name)) == 0 && strstr(frame, ".c:") != NULL;
    }
    if (!found)
        fprintf(stderr, "no %s in %s\n", k->name, last.line);
    check(w, found);
    if (k->fn != fail_assert && k->fn != allocate_for_ever)
        check(w, strstr(text_of(r, "reason"), k->name) != NULL);
}

static void each_kind(struct world *w, const struct tdm_behaviour *behaviour, bool fiber)
{
    tdm_pid sup;
    tdm_place p = start_victim(w, behaviour, &sup);

    tdm_log_secret("hunter2hunter2");
    (void)tdm_msg_describe(MSG_ORDER, "order", order_excerpt);
    watch(w, TDM_LOG_JSON);
    for (size_t i = 0, n = 0; i < KINDS; i++) {
        tdm_pid pid = wait_place(w, p, (tdm_pid){ 0 });
        give_order(w, p, kinds[i].fn);
        wait_marks(w, "crash", n + 1);
        wait_place(w, p, pid); /* what is sent to one that ends is not kept */
        pthread_mutex_lock(&last.lock);
        json_t *r = json_loads(last.line, 0, NULL);
        pthread_mutex_unlock(&last.lock);
        check(w, r != NULL);
        has_all_fields(w, r, &kinds[i], fiber, n++);
        shows_where(w, r, &kinds[i]);
        json_decref(r);
    }
    tdm_log_configure(NULL);
}

WORLD_TEST_WITH(crash_report, J1_of_each_kind_of_crash_has_every_field, { .seeds = 5 })
{
    each_kind(w, &victim, false);
}

WORLD_TEST_WITH(crash_report, J1_of_each_kind_of_crash_in_a_fiber_has_every_field, { .seeds = 5 })
{
    each_kind(w, &fiber_victim, true);
}

WORLD_TEST(crash_report, J2_as_a_line_holds_no_secret_and_is_one_line)
{
    tdm_pid sup;
    tdm_place p = start_victim(w, &victim, &sup);

    tdm_log_secret("hunter2hunter2");
    (void)tdm_msg_describe(MSG_ORDER, "order", order_excerpt);
    watch(w, TDM_LOG_LOGFMT);
    give_order(w, p, exit_error);
    wait_marks(w, "crash", 1);
    tdm_log_configure(NULL);
    check_eq(w, last.records, 1);
    check(w, strstr(last.line, "hunter2") == NULL);
    check(w, strchr(last.line, '\n') == NULL);
    check(w, said(" state=\"step=7 password=****\""));
    check(w, said(" message_type=order message_bytes=40 message_from=0 "
                  "message_excerpt=\"kind=test\\nsecret=****\""));
    check(w, said(" last_messages=\"order:40,4097:8\""));
    check(w, said(" links=0 monitors=0 monitored=0 "));
}

WORLD_TEST(crash_report, J1_none_is_written_for_an_orderly_end_or_a_kill)
{
    struct tdm_child_spec spec =
        CHILD(w, "c", 1, .restart = TDM_PERMANENT, .shutdown_ms = TDM_SHUTDOWN_BRUTAL);
    deed *orderly[] = { exit_normal, exit_shutdown };

    watch(w, TDM_LOG_LOGFMT);
    for (size_t i = 0; i < 2; i++) {
        tdm_pid a = spawn_worker(w, 1);
        tell(w, a, orderly[i], NULL);
        wait_end(w, a);
    }
    tdm_pid killed = spawn_worker(w, 1);
    check_eq(w, tdm_kill(w->rt, killed), TDM_OK);
    wait_end(w, killed);
    stop_sup(w, start_children(w, &spec, 1));
    tdm_log_configure(NULL);
    check_eq(w, last.records, 0);
}

/* ---- who cannot be shown ----------------------------------------------------------------------- */

static void faulty_state(const void *state, char *buf, size_t bytes)
{
    (void)state, (void)buf, (void)bytes;
    write_null(NULL, NULL);
}

static void faulty_excerpt(const struct tdm_msg *msg, char *buf, size_t bytes)
{
    (void)msg, (void)buf, (void)bytes;
    write_null(NULL, NULL);
}

WORLD_TEST(crash_report, a_fault_in_what_shows_the_state_costs_that_field_only)
{
    static const struct tdm_behaviour damaged = {
        .name = "damaged", .state_bytes = 8, .handle = victim_handle, .format_state = faulty_state
    };
    struct order o = { .fn = write_null };

    (void)tdm_msg_describe(MSG_ORDER, "order", faulty_excerpt);
    watch(w, TDM_LOG_LOGFMT);
    for (size_t i = 0; i < 3; i++) {
        tdm_pid a = spawn_with(w, 1, (struct tdm_spawn_cfg){ .behaviour = &damaged });
        check_eq(w, tdm_send(w->rt, a, tdm_msg_copy(w->rt, MSG_ORDER, &o, sizeof o)), TDM_OK);
        wait_end(w, a);
    }
    tdm_log_configure(NULL);
    check_eq(w, last.records, 3);
    check(w, said("reason=\"error:EFAULT(signal 11): null pointer write at address 0x0 in "));
    check(w, said(" state=\"(format_state failed)\""));
    check(w, said(" message_excerpt=\"(damaged)\""));
}

static _Atomic bool state_hangs;

static void endless_state(const void *state, char *buf, size_t bytes)
{
    (void)state, (void)buf, (void)bytes;
    while (atomic_load_explicit(&state_hangs, memory_order_relaxed))
        ;
}

REAL_TEST_WITH(crash_report, a_hang_in_what_shows_the_state_costs_that_field_only,
               { .stuck_after_ms = 30, .skip = NO_ASYNCHRONOUS_SIGNALS })
{
    static const struct tdm_behaviour endless = {
        .name = "endless", .state_bytes = 8, .handle = victim_handle, .format_state = endless_state
    };
    struct order o = { .fn = exit_error };
    tdm_pid a = spawn_with(w, 1, (struct tdm_spawn_cfg){ .behaviour = &endless });

    atomic_store(&state_hangs, true);
    watch(w, TDM_LOG_LOGFMT);
    check_eq(w, tdm_send(w->rt, a, tdm_msg_copy(w->rt, MSG_ORDER, &o, sizeof o)), TDM_OK);
    wait_end(w, a);
    tdm_log_configure(NULL);
    check(w, said("reason=\"error:EPEER: as it was told\""));
    check(w, said(" state=\"(format_state failed)\""));
}

/* ---- without memory ---------------------------------------------------------------------------- */

static void *(*alloc_before)(struct tdm_env *env, size_t bytes);
static _Atomic bool no_memory;
static _Atomic size_t asked_for_memory;

static void *none(struct tdm_env *env, size_t bytes)
{
    if (!atomic_load(&no_memory))
        return alloc_before(env, bytes);
    atomic_fetch_add(&asked_for_memory, 1);
    return NULL;
}

static int fault_without_memory(tdm_self *self, void *arg)
{
    atomic_store(&no_memory, true);
    return write_null(self, arg);
}

static void memory_again(void *ctx, const char *line, size_t bytes)
{
    keep(ctx, line, bytes);
    atomic_store(&no_memory, false);
}

WORLD_TEST(crash_report, a_report_needs_no_memory)
{
    struct order o = { .fn = fault_without_memory };

    alloc_before = w->env->alloc;
    w->env->alloc = none; /* before the actor is: its worker learns of both together */
    tdm_pid a = spawn_with(w, 1, (struct tdm_spawn_cfg){ .behaviour = &victim, .history = 32 });
    tdm_log_configure(&(struct tdm_log_cfg){ .level = TDM_LOG_ERROR, .sink = memory_again, .sink_ctx = w });
    check_eq(w, tdm_send(w->rt, a, tdm_msg_copy(w->rt, MSG_ORDER, &o, sizeof o)), TDM_OK);
    wait_end(w, a);
    tdm_log_configure(NULL);
    check_eq(w, atomic_load(&asked_for_memory), 0);
    check(w, said("null pointer write at address 0x0 in write_null"));
    check(w, said(" last_messages=\"4196:40\""));
}

/* ---- a terminal -------------------------------------------------------------------------------- */

static size_t block_on_terminal(struct world *w, char *text, size_t room)
{
    struct order o = { .fn = write_null, .secret = "hunter2hunter2" };
    tdm_pid a =
        spawn_with(w, 1, (struct tdm_spawn_cfg){ .behaviour = &victim, .history = 32, .tag = "a\033[2J" });
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    size_t n = 0;

    check(w, master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    check(w, terminal >= 0);
    tdm_log_configure(&(struct tdm_log_cfg){ .level = TDM_LOG_ERROR, .fd = terminal });
    check_eq(w, tdm_send(w->rt, a, tdm_msg_copy(w->rt, MSG_ORDER, &o, sizeof o)), TDM_OK);
    wait_end(w, a);
    tdm_log_flush();
    fcntl(master, F_SETFL, O_NONBLOCK);
    for (ssize_t k; (k = read(master, text + n, room - 1 - n)) > 0;)
        n += (size_t)k;
    text[n] = '\0';
    tdm_log_configure(NULL);
    close(terminal);
    close(master);
    return n;
}

REAL_TEST_WITH(crash_report, on_a_terminal_is_a_block_of_lines, { 0 })
{
    static const char *const labels[] = { "  reason ",   "  what to do ", "  in ",     "  state ",
                                          "  messages ", "  life ",       "  mailbox " };
    static char text[16384];
    size_t lines = 0;

    tdm_log_secret("hunter2hunter2");
    unsetenv("NO_COLOR");
    check(w, block_on_terminal(w, text, sizeof text) > 0);
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++)
        check(w, strstr(text, labels[i]) != NULL);
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    check(w, lines >= 8);
    check(w, strstr(text, "\033[1;31mcrash: victim a\\x1b[2J") != NULL); /* colour of ours, none of others */
    check(w, strstr(text, "\033[2J") == NULL);
    check(w, strstr(text, "hunter2") == NULL);
    check(w, strstr(text, "wrote through a null pointer") != NULL);
    setenv("NO_COLOR", "1", 1);
    check(w, block_on_terminal(w, text, sizeof text) > 0);
    check(w, strchr(text, '\033') == NULL);
    check(w, strncmp(text, "crash: victim", 13) == 0);
}
