/* test_audit.c - the judge of a chaos run: each rule is broken once, and each excuse is heard. */
#include "exchange/audit.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tandem/env.h>
#include <tandem/err.h>

TestSuite(audit, .timeout = 20);

#define MS   1000000ull
#define LATE (1000 * MS)
#define CALL "5.1"

/* ---- a case: switch and client in a few words ------------------------------------------------ */

static int64_t live_allocs;
static uint64_t fail_alloc; /* the n-th from now; 0: none */

static void *count_alloc(struct tdm_env *env, size_t bytes)
{
    (void)env;
    if (fail_alloc > 0 && --fail_alloc == 0)
        return NULL;
    live_allocs++;
    return malloc(bytes);
}

static void count_free(struct tdm_env *env, void *block, size_t bytes)
{
    (void)env;
    (void)bytes;
    live_allocs--;
    free(block);
}

static struct trial {
    struct tdm_env env;
    struct audit *a;
    uint64_t now_ns, run, batch;
    char problems[4096];
} trial;

static void note(void *ctx, const char *text)
{
    struct trial *t = ctx;
    size_t used = strlen(t->problems);

    snprintf(t->problems + used, sizeof t->problems - used, "%s; ", text);
}

static void pass(uint64_t ms)
{
    trial.now_ns += ms * MS;
    audit_clock(trial.a, trial.now_ns);
    audit_sweep(trial.a);
}

/* A process of the client, connected; a call that is not begun yet. */
static void open_trial(void)
{
    trial = (struct trial){ .env = *tdm_env_real(), .now_ns = 50000 * MS, .run = 77 };
    trial.env.alloc = count_alloc;
    trial.env.free = count_free;
    struct audit_cfg cfg = { .env = &trial.env, .late_ns = LATE, .problem = note, .ctx = &trial };
    cr_assert(eq(int, audit_new(&trial.a, &cfg), TDM_OK));
    audit_clock(trial.a, trial.now_ns);
    audit_connected(trial.a, 1);
}

static bool told(const char *lines)
{
    char text[2000];

    snprintf(text, sizeof text, "%llu %llu 0\n%s", (unsigned long long)trial.run,
             (unsigned long long)++trial.batch, lines);
    return audit_trail(trial.a, text);
}

/* A step of the client's, now. */
static void tell(const char *format, const char *id, int pid, int number)
{
    char line[200];

    snprintf(line, sizeof line, format, id, pid, number, (int)(trial.now_ns / 1000));
    cr_assert(told(line), "%s", line);
}

static void begins(int pid, int restarts)
{
    tell("b %s %d %d %d\n", CALL, pid, restarts);
}

static void takes(int pid, int seq)
{
    tell("e %s %d %d %d\n", CALL, pid, seq);
}

static void ends(int pid)
{
    char line[100];

    snprintf(line, sizeof line, "g %s %d %d\n", CALL, pid, (int)(trial.now_ns / 1000));
    cr_assert(told(line));
}

/* The call lives and its first events were taken. */
static void open_call(int events)
{
    open_trial();
    audit_call(trial.a, CALL);
    for (int i = 1; i <= events; i++)
        audit_sent(trial.a, CALL, (uint64_t)i);
    begins(10, 0);
    for (int i = 1; i <= events; i++)
        takes(10, i);
}

static void over(int pid, int last)
{
    audit_sent(trial.a, CALL, (uint64_t)last);
    audit_over(trial.a, CALL);
    takes(pid, last);
    ends(pid);
}

/* The end of the trial; what was found. */
static struct audit_counters verdict(void)
{
    struct audit_counters n;

    audit_finish(trial.a);
    audit_counters(trial.a, &n);
    audit_free(trial.a);
    cr_assert(eq(i64, live_allocs, 0));
    return n;
}

#define broken_is(member, times)                                                     \
    do {                                                                             \
        struct audit_counters n = verdict();                                         \
        cr_assert(eq(u64, n.member, times), "%s", trial.problems);                   \
        cr_assert(not(audit_good(&n)));                                              \
        n.member = 0;                                                                \
        n.taken = 1;                                                                 \
        cr_assert(audit_good(&n), "and nothing else is broken: %s", trial.problems); \
    } while (0)

static void all_is_good(void)
{
    struct audit_counters n = verdict();

    cr_assert(audit_good(&n), "%s", trial.problems);
    cr_assert(eq(str, trial.problems, ""));
}

/* ---- a good life ----------------------------------------------------------------------------- */

Test(audit, a_call_from_start_to_end_is_good_and_forgotten)
{
    open_call(5);
    over(10, 6);
    cr_assert(audit_even(trial.a));
    struct audit_counters n = verdict();
    cr_assert(audit_good(&n), "%s", trial.problems);
    cr_assert(eq(u64, n.sent, 6));
    cr_assert(eq(u64, n.taken, 6));
}

Test(audit, a_run_in_which_nothing_was_taken_proves_nothing)
{
    open_trial();
    struct audit_counters n = verdict();
    cr_assert(not(audit_good(&n)));
}

Test(audit, after_a_crash_the_next_incarnation_goes_on)
{
    open_call(2);
    audit_sent(trial.a, CALL, 3);
    audit_fault(trial.a, CALL);
    takes(10, 3);
    begins(11, 1);
    pass(1500);
    over(11, 4);
    struct audit_counters n = verdict();
    cr_assert(audit_good(&n), "%s", trial.problems);
    cr_assert(eq(u64, n.faults, 1));
    cr_assert(eq(u64, n.restarted, 1));
}

/* ---- outages --------------------------------------------------------------------------------- */

Test(audit, what_was_out_when_the_connection_ended_is_excused)
{
    open_call(2);
    audit_sent(trial.a, CALL, 3);
    audit_sent(trial.a, CALL, 4);
    takes(10, 3);
    audit_connected(trial.a, 0);
    pass(5000);
    audit_connected(trial.a, 2);
    audit_sent(trial.a, CALL, 5);
    takes(10, 5);
    over(10, 6);
    struct audit_counters n = verdict();
    cr_assert(audit_good(&n), "%s", trial.problems);
    cr_assert(eq(u64, n.excused, 1));
}

Test(audit, what_came_through_before_the_cut_may_be_told_after_it)
{
    open_call(2);
    audit_sent(trial.a, CALL, 3);
    audit_connected(trial.a, 0);
    takes(10, 3);
    audit_connected(trial.a, 2);
    over(10, 4);
    all_is_good();
}

Test(audit, a_hole_before_the_end_of_what_a_cut_connection_brought_is_no_excuse)
{
    open_call(2);
    audit_sent(trial.a, CALL, 3);
    audit_sent(trial.a, CALL, 4);
    audit_connected(trial.a, 0);
    takes(10, 4);
    over(10, 5);
    broken_is(lost, 1);
}

Test(audit, another_process_may_begin_the_call_anew)
{
    open_call(2);
    audit_connected(trial.a, 0);
    trial.run = 78;
    trial.batch = 0;
    cr_assert(told(""));
    audit_connected(trial.a, 2);
    begins(10, 0); /* the same pid means nothing there */
    over(10, 3);
    struct audit_counters n = verdict();
    cr_assert(audit_good(&n), "%s", trial.problems);
    cr_assert(eq(u64, n.runs, 2));
}

Test(audit, a_call_that_ended_while_nobody_was_connected_needs_no_actor)
{
    open_call(2);
    audit_connected(trial.a, 0);
    audit_over(trial.a, CALL);
    trial.run = 78;
    trial.batch = 0;
    cr_assert(told(""));
    audit_connected(trial.a, 2);
    cr_assert(audit_even(trial.a));
    pass(2000);
    all_is_good();
}

Test(audit, the_last_events_of_a_call_that_ended_before_a_new_process_could_adopt_it_are_nobodys)
{
    open_call(2);
    audit_connected(trial.a, 0);
    trial.run = 78;
    trial.batch = 0;
    cr_assert(told(""));
    audit_connected(trial.a, 2);
    audit_sent(trial.a, CALL, 3);
    audit_over(trial.a, CALL);
    pass(1100);
    struct audit_counters n = verdict();
    cr_assert(audit_good(&n), "%s", trial.problems);
    cr_assert(eq(u64, n.excused, 1));
}

Test(audit, a_call_that_ends_before_its_crashed_actor_is_started_again_gets_no_other)
{
    open_call(2);
    audit_sent(trial.a, CALL, 3);
    audit_fault(trial.a, CALL);
    takes(10, 3);
    audit_sent(trial.a, CALL, 4);
    audit_over(trial.a, CALL);
    cr_assert(not(audit_even(trial.a)), "it may get one");
    pass(1100);
    cr_assert(audit_even(trial.a));
    struct audit_counters n = verdict();
    cr_assert(audit_good(&n), "%s", trial.problems);
    cr_assert(eq(u64, n.excused, 1));
}

Test(audit, a_call_that_began_on_the_connection_has_no_such_excuse)
{
    open_trial();
    audit_call(trial.a, CALL);
    audit_sent(trial.a, CALL, 1);
    audit_over(trial.a, CALL);
    pass(1100);
    struct audit_counters n = verdict();
    cr_assert(eq(u64, n.lost, 1), "%s", trial.problems);
}

Test(audit, a_call_this_process_has_served_has_no_such_excuse)
{
    open_call(2);
    audit_connected(trial.a, 2);
    audit_sent(trial.a, CALL, 3);
    audit_over(trial.a, CALL);
    pass(1100);
    struct audit_counters n = verdict();
    cr_assert(eq(u64, n.lost, 1), "%s", trial.problems);
}

Test(audit, a_step_on_the_way_at_the_cut_may_come_after_its_call_is_over)
{
    open_trial();
    audit_call(trial.a, CALL);
    audit_sent(trial.a, CALL, 1);
    audit_connected(trial.a, 0);
    audit_over(trial.a, CALL);
    pass(10000);
    audit_connected(trial.a, 2);
    begins(10, 0);
    takes(10, 1);
    ends(10);
    all_is_good();
}

/* ---- broken rules ---------------------------------------------------------------------------- */

Test(audit, a_number_left_out_is_lost)
{
    open_call(2);
    audit_sent(trial.a, CALL, 3);
    audit_sent(trial.a, CALL, 4);
    takes(10, 4);
    over(10, 5);
    broken_is(lost, 1);
}

Test(audit, what_is_not_taken_in_time_is_lost)
{
    open_call(2);
    audit_sent(trial.a, CALL, 3);
    pass(1001);
    over(10, 4);
    broken_is(lost, 1);
}

Test(audit, what_comes_after_a_later_one_is_out_of_order_and_not_lost)
{
    open_call(2);
    audit_sent(trial.a, CALL, 3);
    audit_sent(trial.a, CALL, 4);
    takes(10, 4);
    takes(10, 3);
    over(10, 5);
    broken_is(out_of_order, 1);
}

Test(audit, a_number_taken_twice_is_doubled)
{
    open_call(2);
    takes(10, 2);
    over(10, 3);
    broken_is(doubled, 1);
}

Test(audit, the_event_in_hand_at_a_crash_is_not_taken_again)
{
    open_call(2);
    begins(11, 1);
    takes(11, 2);
    over(11, 3);
    broken_is(doubled, 1);
}

Test(audit, a_step_of_an_incarnation_that_was_replaced_is_two_at_once)
{
    open_call(2);
    begins(11, 1);
    audit_sent(trial.a, CALL, 3);
    takes(10, 3);
    over(11, 4);
    broken_is(two_at_once, 1);
}

Test(audit, a_second_actor_for_a_call_that_has_one_is_two_at_once)
{
    open_call(2);
    begins(20, 0);
    over(20, 3);
    broken_is(two_at_once, 1);
}

Test(audit, a_process_that_acts_after_its_successor_began_is_two_at_once)
{
    char late[200];

    open_call(2);
    trial.run = 78;
    trial.batch = 0;
    begins(30, 0);
    snprintf(late, sizeof late, "77 9 0\ne " CALL " 10 3 %d\n", (int)(trial.now_ns / 1000 + 5));
    cr_assert(audit_trail(trial.a, late));
    over(30, 3);
    broken_is(two_at_once, 1);
}

Test(audit, a_live_call_that_nobody_adopts_is_unserved)
{
    open_call(2);
    audit_connected(trial.a, 0);
    trial.run = 78;
    trial.batch = 0;
    cr_assert(told(""));
    pass(5000);
    audit_connected(trial.a, 2);
    pass(900);
    pass(200);
    audit_over(trial.a, CALL);
    broken_is(unserved, 1);
}

Test(audit, a_crash_that_no_incarnation_follows_is_noticed)
{
    open_call(2);
    audit_sent(trial.a, CALL, 3);
    audit_fault(trial.a, CALL);
    takes(10, 3);
    pass(1100);
    over(10, 4);
    broken_is(not_restarted, 1);
}

Test(audit, an_actor_that_outlives_its_call_is_noticed)
{
    open_call(2);
    audit_sent(trial.a, CALL, 3);
    audit_over(trial.a, CALL);
    takes(10, 3);
    cr_assert(not(audit_even(trial.a)));
    pass(1100);
    broken_is(outlived, 1);
}

Test(audit, an_actor_that_is_left_at_the_end_outlived_its_call)
{
    open_call(2);
    audit_over(trial.a, CALL);
    broken_is(outlived, 1);
}

Test(audit, an_actor_that_ends_before_its_call_abandons_it)
{
    open_call(2);
    ends(10);
    audit_over(trial.a, CALL);
    broken_is(abandoned, 1);
}

Test(audit, a_call_hung_up_by_the_client_is_abandoned)
{
    open_call(2);
    audit_hung_up(trial.a, CALL);
    over(10, 3);
    broken_is(abandoned, 1);
}

Test(audit, an_actor_for_a_call_that_does_not_live_is_unknown)
{
    open_call(2);
    over(10, 3);
    begins(12, 0);
    broken_is(unknown, 1);
}

/* ---- the trail itself ------------------------------------------------------------------------ */

Test(audit, a_batch_that_comes_again_is_taken_once)
{
    open_call(2);
    audit_sent(trial.a, CALL, 3);
    takes(10, 3);
    trial.batch--;
    takes(10, 3);
    over(10, 4);
    all_is_good();
}

Test(audit, a_missing_batch_and_dropped_lines_prove_nothing)
{
    char dropped[] = "77 9 4\n";

    open_call(2);
    trial.batch++;
    over(10, 3);
    cr_assert(audit_trail(trial.a, dropped));
    struct audit_counters n = verdict();
    cr_assert(eq(u64, n.untold, 2), "%s", trial.problems);
    cr_assert(not(audit_good(&n)));
}

Test(audit, what_is_no_trail_is_refused)
{
    char empty[] = "", words[] = "hello\n";

    open_call(1);
    cr_assert(not(audit_trail(trial.a, empty)));
    cr_assert(not(audit_trail(trial.a, words)));
    cr_assert(not(told("e " CALL " ten 3 9\n")));
    cr_assert(not(told("x " CALL " 10 3 9\n")));
    over(10, 2);
    all_is_good();
}

Test(audit, without_memory_it_says_that_it_can_not_judge)
{
    for (uint64_t n = 1; n < 40; n++) {
        struct audit_cfg cfg = { .env = &trial.env, .late_ns = LATE };
        struct audit_counters c;
        struct audit *a;

        trial.env = *tdm_env_real();
        trial.env.alloc = count_alloc;
        trial.env.free = count_free;
        fail_alloc = n;
        if (audit_new(&a, &cfg) == TDM_OK) {
            audit_connected(a, 1);
            audit_call(a, CALL);
            for (uint64_t seq = 1; seq < 40; seq++)
                audit_sent(a, CALL, seq);
            audit_counters(a, &c);
            cr_assert(fail_alloc > 0 || c.untold > 0);
            audit_free(a);
        }
        fail_alloc = 0;
        cr_assert(eq(i64, live_allocs, 0));
    }
}
