/* Group J: a crash is that actor's alone. */
#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime.h"
#include "sup_fixture.h"
#include "table.h"
#include "tandem/log.h"
#include "tandem/metrics.h"
#include "tandem/registry.h"

static deed *const faults[] = { exit_error,     fail_assert, write_null,    call_null,
                                divide_by_zero, call_abort,  overflow_stack };
enum { FAULTS = sizeof faults / sizeof faults[0] };

static void each_fault(struct world *w, const struct tdm_behaviour *behaviour)
{
    int codes[FAULTS] = {
        TDM_EPEER, TDM_EASSERT, TDM_EFAULT, TDM_EFAULT, TDM_EFAULT, TDM_EFAULT, TDM_EFAULT
    };
    tdm_pid watcher = spawn_worker(w, 1), bystander = spawn_worker(w, 2);

    for (size_t i = 0; i < FAULTS; i++) {
        tdm_pid a = spawn_with(w, 3, (struct tdm_spawn_cfg){ .behaviour = behaviour });
        ask(w, watcher, monitor_it, &a);
        tell(w, a, faults[i], NULL);
        wait_marks(w, "down", i + 1);
        check_eq(w, mark_at(w, "down", i).reason.code, codes[i]);
        ask(w, bystander, do_nothing, NULL);
    }
}

WORLD_TEST_WITH(containment, J4_every_fault_ends_that_actor_alone, { .seeds = 200 })
{
    each_fault(w, &worker);
}

WORLD_TEST_WITH(containment, J4_every_fault_in_a_fiber_ends_that_fiber_alone, { .seeds = 200 })
{
    each_fault(w, &fiber_worker);
}

/* A hundred actors on real threads; a fifth of them under each seed, of which there are many. */
static void loaded_run(struct world *w, const struct tdm_behaviour *behaviour)
{
    enum { ACTORS = 100 };
    const uint64_t actors = w->sim ? 20 : ACTORS, each = w->sim ? 20 : 50;
    static tdm_place places[ACTORS];
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT, .mail = TDM_MAIL_KEEP);
    struct tdm_sup_cfg cfg = {
        .strategy = TDM_DYNAMIC, .intensity = 100, .scope = TDM_SCOPE_CHILD, .children = &t, .n_children = 1
    };

    t.start.behaviour = behaviour;
    tdm_pid sup = start_sup(w, &cfg);
    for (uint64_t i = 0; i < actors; i++)
        places[i] = start_dynamic(w, sup, i);
    for (uint64_t k = 0; k < each; k++)
        for (uint64_t i = 0; i < actors; i++) {
            if (i % 20 == 7 && k % 10 == 5)
                check_eq(w, tell_place(w, places[i], faults[(i / 20 + k / 10 + w->seed) % FAULTS], NULL),
                         TDM_OK);
            check_eq(w, send_number_place(w, places[i], (i << 32) | k), TDM_OK);
        }
    wait_marks(w, "got", (size_t)(actors * each));
    for (uint64_t i = 0; i < actors; i++) {
        check_eq(w, marks_of(w, "init", i), i % 20 == 7 ? 1 + each / 10 : 1);
        for (uint64_t k = 0; k < each; k++)
            check_eq(w, marks_of(w, "got", (i << 32) | k), 1);
        for (uint64_t k = 1; k < each; k++)
            check(w, mark_before(w, "got", (i << 32) | (k - 1), "got", (i << 32) | k));
    }
}

WORLD_TEST_WITH(containment, J4_faults_in_one_of_twenty_lose_nobody_a_message, { .seeds = 200 })
{
    loaded_run(w, &worker);
}

WORLD_TEST_WITH(containment, J4_faults_in_one_of_twenty_fibers_lose_nobody_a_message, { .seeds = 200 })
{
    loaded_run(w, &fiber_worker);
}

static int take_then_fault(tdm_self *self, void *state, struct tdm_msg *m)
{
    (void)state;
    if (m->type != MSG_NUMBER)
        return TDM_OK;
    tdm_msg_free(tdm_self_runtime(self), tdm_msg_take(self, m));
    return write_null(self, NULL);
}

WORLD_TEST(containment, a_message_that_was_taken_before_a_fault_is_not_freed_again)
{
    static const struct tdm_behaviour taker = { .name = "taker", .handle = take_then_fault };

    for (int i = 0; i < 20; i++) {
        tdm_pid a = spawn_with(w, 1, (struct tdm_spawn_cfg){ .behaviour = &taker });
        check_eq(w, send_number(w, a, 1), TDM_OK);
        wait_end(w, a);
    }
}

static int assert_in_terminate(tdm_self *self, void *state, const struct tdm_reason *reason)
{
    (void)state, (void)reason;
    tdm_assert(self, reason == NULL);
    return TDM_OK;
}

static int fault_in_terminate(tdm_self *self, void *state, const struct tdm_reason *reason)
{
    (void)state, (void)reason;
    return write_null(self, NULL);
}

static int fail_in_terminate(tdm_self *self, void *state, const struct tdm_reason *reason)
{
    (void)state, (void)reason;
    return tdm_fail(self, TDM_ECONN, "could not say goodbye");
}

static int end_now(tdm_self *self, void *state, struct tdm_msg *m)
{
    (void)self, (void)state;
    return m->type == MSG_NUMBER ? TDM_STOP : TDM_OK;
}

WORLD_TEST(containment, J3_a_failure_in_terminate_is_the_reason_and_terminate_runs_once)
{
    static const struct tdm_behaviour bad[] = {
        { .name = "asserts", .handle = end_now, .terminate = assert_in_terminate },
        { .name = "faults", .handle = end_now, .terminate = fault_in_terminate },
        { .name = "fails", .handle = end_now, .terminate = fail_in_terminate },
    };
    int codes[] = { TDM_EASSERT, TDM_EFAULT, TDM_ECONN };
    tdm_pid watcher = spawn_worker(w, 1);

    for (size_t i = 0; i < 3; i++) {
        tdm_pid a = spawn_with(w, 2, (struct tdm_spawn_cfg){ .behaviour = &bad[i] });
        ask(w, watcher, monitor_it, &a);
        check_eq(w, send_number(w, a, 1), TDM_OK);
        wait_marks(w, "down", i + 1);
        check_eq(w, mark_at(w, "down", i).reason.code, codes[i]);
    }
    check(w, strcmp(mark_at(w, "down", 2).reason.text, "could not say goodbye") == 0);
}

WORLD_TEST(containment, J1_a_crash_is_told_in_one_record_and_an_orderly_end_in_none)
{
    deed *orderly[] = { exit_normal, exit_shutdown };

    log_watch(w);
    for (size_t i = 0; i < 2; i++) {
        tdm_pid a = spawn_worker(w, 1);
        tell(w, a, orderly[i], NULL);
        wait_end(w, a);
    }
    check_eq(w, logged("actor.crash"), 0);
    tdm_pid a = spawn_with(w, 2, (struct tdm_spawn_cfg){ .history = 8, .tag = "the-tag" });
    send_number(w, a, 1);
    tell(w, a, exit_error, NULL);
    wait_end(w, a);
    check_eq(w, logged("actor.crash"), 1);
    check_eq(w, logged("as it was told"), 1);
    check_eq(w, logged("the-tag"), 1);
}

/* ---- J6: nothing is left behind ---------------------------------------------------------------- */

/* Something of everything that an incarnation may hold. */
static int hold_much_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    memcpy(state, start->arg, sizeof(struct worker_arg));
    tdm_ref timer = tdm_timer_start(self, TDM_S(1000));
    tdm_ref watch = tdm_monitor(self, tdm_self_pid(self));
    bool all = timer != 0 && watch != 0 && tdm_alloc(self, 5000) != NULL &&
               tdm_register(self, "the-one", 7) == TDM_OK && tdm_group_join(self, "the-many", 8) == TDM_OK &&
               tdm_note_save(self, &timer, sizeof timer) == TDM_OK;
    return all ? TDM_OK : TDM_ESTATE;
}

struct held {
    size_t files, threads, names, slots, actors;
    int64_t blocks;
};

static size_t entries_of(const char *path)
{
    DIR *dir = opendir(path);
    size_t n = 0;

    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static struct held held_now(struct world *w)
{
    return (struct held){ .files = entries_of("/proc/self/fd"),
                          .threads = entries_of("/proc/self/task"),
                          .names = table_count(w->rt->names),
                          .slots = atomic_load(&w->rt->slots_made),
                          .actors = tdm_actor_count(w->rt),
                          .blocks = atomic_load(&w->blocks) };
}

static void crash_rounds(struct world *w, tdm_place p, int rounds)
{
    tdm_pid pid = wait_place(w, p, (tdm_pid){ 0 });

    for (int i = 0; i < rounds; i++) {
        check_eq(w, tell_place(w, p, faults[i % FAULTS], NULL), TDM_OK);
        while (tdm_place_pid(w->rt, p).id == pid.id || tdm_place_pid(w->rt, p).id == 0)
            let_pass(w, 20000);
        pid = tdm_place_pid(w->rt, p);
    }
    ask(w, pid, do_nothing, NULL); /* its init has run: it holds what the first one did */
}

WORLD_TEST_WITH(containment, J6_many_crashes_leave_nothing_behind, { .seeds = 200 })
{
    static struct tdm_behaviour holder; /* outlives this body, as its actors do */
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT, .mail = TDM_MAIL_KEEP);
    struct tdm_sup_cfg cfg = {
        .strategy = TDM_DYNAMIC, .intensity = 100000, .children = &t, .n_children = 1
    };
    struct worker_arg quiet = { .w = w, .number = 1, .quiet = true };
    tdm_place p;

    holder = worker;
    holder.init = hold_much_init;
    t.start.behaviour = &holder;
    t.start.history = 32;
    log_watch(w); /* every report is written, and kept no longer than there is room */
    tdm_pid sup = start_sup(w, &cfg);
    check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &quiet, sizeof quiet, NULL, &p), TDM_OK);
    crash_rounds(w, p, 50);
    struct held first = held_now(w);
    crash_rounds(w, p, w->sim ? 100 : 10000);
    struct held last = held_now(w);
    tdm_log_configure(NULL);
    check_eq(w, last.files, first.files);
    check_eq(w, last.threads, first.threads);
    check_eq(w, last.names, first.names);
    check_eq(w, last.slots, first.slots);
    check_eq(w, last.actors, first.actors);
    /* Removed names wait some rounds for their readers, so the number sways; one block a round would be 10000. */
    check(w, last.blocks <= first.blocks + 100);
}

/* ---- J7: nobody waits for the log -------------------------------------------------------------- */

/* Read what is in the log until it tells of so many records, dropped ones included; returns how many those were. */
static size_t records_dropped(struct world *w, int from, size_t records)
{
    FILE *f = fdopen(from, "r");
    static char line[32 * 1024];
    size_t told = 0, dropped = 0, n;

    while (told + dropped < records && fgets(line, sizeof line, f) != NULL) {
        const char *at = strstr(line, "event=log.dropped count=");
        if (at != NULL && sscanf(at, "event=log.dropped count=%zu", &n) == 1)
            dropped += n;
        else
            told++;
    }
    fclose(f);
    check_eq(w, told + dropped, records);
    return dropped;
}

REAL_TEST_WITH(containment, J7_a_log_that_nobody_reads_holds_up_nobody, { .rounds = 1000 })
{
    enum { PLACES = 100 };
    const uint32_t each = w->rounds;
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT, .mail = TDM_MAIL_KEEP);
    struct tdm_sup_cfg cfg = { .strategy = TDM_DYNAMIC,
                               .intensity = 100000,
                               .scope = TDM_SCOPE_CHILD,
                               .children = &t,
                               .n_children = 1 };
    struct worker_arg quiet = { .w = w, .number = 1, .quiet = true };
    int64_t before = tdm_counter_by_name("tandem_actors_crashed_total");
    int nobody_reads[2];

    check_eq(w, pipe(nobody_reads), 0);
    tdm_log_configure(&(struct tdm_log_cfg){ .level = TDM_LOG_ERROR, .fd = nobody_reads[1] });
    tdm_pid sup = start_sup(w, &cfg);
    for (int i = 0; i < PLACES; i++) {
        tdm_place p;
        check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &quiet, sizeof quiet, NULL, &p), TDM_OK);
        for (uint32_t k = 0; k < each; k++)
            check_eq(w, tell_place(w, p, exit_error, NULL), TDM_OK);
    }
    /* All of it happens while the pipe is full: whoever waited for it would wait for ever. */
    while (tdm_counter_by_name("tandem_actors_crashed_total") - before < PLACES * each)
        let_pass(w, TDM_MS(1));
    /* Two records each: of the crash, and of the supervisor. */
    check(w, records_dropped(w, nobody_reads[0], 2 * PLACES * each) > PLACES * each);
    tdm_log_configure(NULL);
    close(nobody_reads[1]);
}

/* ---- memory that runs away --------------------------------------------------------------------- */

static int allocate_for_ever(tdm_self *self, void *arg)
{
    (void)arg;
    while (tdm_alloc(self, 100) != NULL)
        continue;
    return TDM_OK; /* never: it is ended in the middle */
}

static int give_back_for_ever(tdm_self *self, void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++)
        tdm_free(self, tdm_alloc(self, 60000));
    return TDM_OK;
}

static int allocate_in_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    (void)state, (void)start;
    return allocate_for_ever(self, NULL);
}

static int allocate_in_terminate(tdm_self *self, void *state, const struct tdm_reason *reason)
{
    (void)state, (void)reason;
    return allocate_for_ever(self, NULL);
}

static void ends_without_memory(struct world *w, tdm_pid watcher, tdm_pid a, size_t downs)
{
    wait_marks(w, "down", downs);
    struct mark m = mark_at(w, "down", downs - 1);
    check_eq(w, m.pid.id, a.id);
    check_eq(w, m.reason.code, TDM_ENOMEM);
    check(w, strstr(m.reason.text, "past memory_limit: 100 bytes asked for") != NULL);
    check(w, strstr(m.reason.text, " 65536 allowed") != NULL);
    ask(w, watcher, do_nothing, NULL);
}

WORLD_TEST(containment, tdm_alloc_past_the_limit_ends_that_actor_there_and_then)
{
    tdm_pid watcher = spawn_worker(w, 1);
    const struct tdm_behaviour *forms[] = { &worker, &fiber_worker };

    for (size_t i = 0; i < 2; i++) {
        tdm_pid a = spawn_with(
            w, 2, (struct tdm_spawn_cfg){ .behaviour = forms[i], .memory_limit = 65536, .history = 4 });
        ask(w, watcher, monitor_it, &a);
        ask(w, a, give_back_for_ever, NULL); /* what was given back does not count */
        tell(w, a, allocate_for_ever, NULL);
        ends_without_memory(w, watcher, a, i + 1);
    }
    check_eq(w, marks_of(w, "term", 2), 2); /* it is an error of its own: terminate runs */
}

WORLD_TEST(containment, tdm_alloc_past_the_limit_in_init_and_in_terminate)
{
    static const struct tdm_behaviour forms[] = {
        { .name = "in_init", .init = allocate_in_init, .handle = end_now },
        { .name = "in_terminate", .handle = end_now, .terminate = allocate_in_terminate },
    };
    struct tdm_child_spec child = { .id = "c", .start = { .behaviour = &forms[0], .memory_limit = 65536 } };
    struct tdm_sup_cfg cfg = { .children = &child, .n_children = 1 };
    struct tdm_start_failure why;
    tdm_pid watcher = spawn_worker(w, 1), sup;

    check_eq(w, tdm_sup_start_why(w->rt, &cfg, &sup, &why), TDM_ENOMEM);
    check(w, strstr(why.reason.text, "past memory_limit: 100 bytes asked for") != NULL);
    tdm_pid a = spawn_with(w, 2, (struct tdm_spawn_cfg){ .behaviour = &forms[1], .memory_limit = 65536 });
    ask(w, watcher, monitor_it, &a);
    check_eq(w, tdm_stop(w->rt, a), TDM_OK);
    ends_without_memory(w, watcher, a, 1);
}

WORLD_TEST(containment, each_incarnation_has_its_own_memory_limit)
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT);

    t.start.memory_limit = 65536;
    tdm_pid sup = start_template(w, &t);
    tdm_place p = start_dynamic(w, sup, 1);
    tdm_pid pid = wait_place(w, p, (tdm_pid){ 0 });
    for (int i = 0; i < 5; i++) {
        ask(w, pid, give_back_for_ever, NULL);
        tell(w, pid, allocate_for_ever, NULL);
        pid = wait_place(w, p, pid);
    }
    ask(w, pid, do_nothing, NULL);
}

WORLD_TEST(containment, mail_that_is_not_kept_does_not_count_against_the_next_incarnation)
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT);

    t.start.mailbox_limit = 8;
    tdm_pid sup = start_template(w, &t);
    tdm_place p = start_dynamic(w, sup, 1);
    tdm_pid pid = tdm_place_pid(w->rt, p);
    wait_marks(w, "init", 1);
    for (size_t i = 0; i < 20; i++) {
        tell(w, pid, exit_error, NULL);
        for (uint64_t k = 0; k < 10; k++)
            (void)send_number(w, pid, k); /* unread when it ends */
        pid = wait_place(w, p, pid);
        wait_marks(w, "init", i + 2);
        ask(w, pid, do_nothing, NULL);
        check_eq(w, send_number(w, pid, 1), TDM_OK);
        ask(w, pid, do_nothing, NULL);
    }
}
