/* Tests of runtime/sup_group.c, and of ends and stops that meet a group restart. */
#include "sup_fixture.h"

#include <string.h>

enum { GROUP = 5 };

/* Five children, numbered 1 to 5, under one of the two strategies. */
static tdm_pid start_group(struct world *w, enum tdm_strategy strategy, int32_t intensity)
{
    struct tdm_child_spec specs[GROUP] = { CHILD(w, "a", 1, .restart = 0), CHILD(w, "b", 2, .restart = 0),
                                           CHILD(w, "c", 3, .restart = 0), CHILD(w, "d", 4, .restart = 0),
                                           CHILD(w, "e", 5, .restart = 0) };

    return start_sup(
        w, &(struct tdm_sup_cfg){
               .strategy = strategy, .intensity = intensity, .children = specs, .n_children = GROUP });
}

static const char *const ids[GROUP] = { "a", "b", "c", "d", "e" };
static const enum tdm_strategy groups[] = { TDM_ONE_FOR_ALL, TDM_REST_FOR_ONE };

SIM_TEST_WITH(sup_group, every_allocation_of_a_group_restart_may_fail, { .seeds = 3 })
{
    for (int k = 0; k < 2; k++)
        for (uint64_t nth = 1; nth < 40; nth++) {
            tdm_pid sup = start_group(w, groups[k], 20);
            tdm_pid c = child_pid(w, sup, "c");
            tdm_env_sim_fail_alloc(w->env, nth, nth % 2 == 0);
            tdm_stop(w->rt, c); /* permanent: the group is restarted */
            let_pass(w, TDM_MS(5));
            tdm_env_sim_fail_alloc(w->env, 0, false);
            let_pass(w, TDM_MS(5));
            if (tdm_alive(w->rt, sup)) {
                wait_active(w, sup, GROUP);
                stop_sup(w, sup);
            }
            wait_actor_count(w, 0);
        }
}

WORLD_TEST(sup_group, children_that_crash_together_cost_one_restart)
{
    for (int k = 0; k < 2; k++) {
        tdm_pid sup = start_group(w, groups[k], 1), pids[GROUP];
        for (size_t i = 0; i < GROUP; i++)
            pids[i] = child_pid(w, sup, ids[i]);
        forget_marks(w);
        tdm_kill(w->rt, pids[0]); /* with rest_for_one it takes all others along */
        for (size_t i = 1; i < GROUP; i++)
            tdm_kill(w->rt, pids[i]);
        for (size_t i = 0; i < GROUP; i++)
            wait_end(w, pids[i]);
        /* With rest_for_one a later one may be heard of first, and then the first is one restart more. */
        if (groups[k] == TDM_ONE_FOR_ALL) {
            wait_active(w, sup, GROUP);
            check_eq(w, marks(w, "init"), GROUP);
            stop_sup(w, sup);
        } else {
            while (tdm_alive(w->rt, sup) && (marks_of(w, "init", 1) < 1 || sup_count(w, sup).active < GROUP))
                let_pass(w, TDM_MS(1));
            (void)tdm_stop(w->rt, sup);
            wait_end(w, sup);
        }
        wait_actor_count(w, 0);
    }
}

WORLD_TEST(sup_group, a_child_outside_the_group_that_crashes_meanwhile_has_its_turn_afterwards)
{
    tdm_pid sup = start_group(w, TDM_REST_FOR_ONE, 10);
    tdm_pid a = child_pid(w, sup, "a"), d = child_pid(w, sup, "d");

    tell(w, d, exit_error, NULL);
    tell(w, a, exit_error, NULL);
    wait_marks_of(w, "init", 1, 2);
    wait_marks_of(w, "init", 4, 2);
    wait_active(w, sup, GROUP);
    check_eq(w, marks_of(w, "init", 2), 2);
    check(w, tdm_alive(w->rt, sup));
}

WORLD_TEST(sup_group, a_place_keeps_its_address_and_its_mail_over_a_group_restart)
{
    struct tdm_child_spec specs[] = { CHILD(w, "a", 1, .mail = TDM_MAIL_KEEP),
                                      CHILD(w, "b", 2, .restart = 0) };
    struct tdm_sup_cfg cfg = {
        .strategy = TDM_ONE_FOR_ALL, .intensity = 5, .children = specs, .n_children = 2
    };
    tdm_pid sup = start_sup(w, &cfg);
    struct tdm_sup_question q = { .op = TDM_SUP_WHICH, .id = "a" };
    tdm_place place = sup_answer(w, sup, &q)->children[0].place;
    tdm_pid before = tdm_place_pid(w->rt, place);

    tell(w, child_pid(w, sup, "b"), exit_error, NULL);
    wait_end(w, before);
    check_eq(w, send_number_place(w, place, 77), TDM_OK);
    wait_marks_of(w, "got", 77, 1);
    check_eq(w, wait_place(w, place, before).id, child_pid(w, sup, "a").id);
    check_eq(w, sup_answer(w, sup, &q)->children[0].restarts, 1);
}

WORLD_TEST(sup_group, a_stop_in_the_middle_of_a_group_restart_stops_what_runs)
{
    for (int i = 0; i < (w->sim ? 4 : 100); i++) {
        tdm_pid sup = start_group(w, groups[i % 2], 10);
        tell(w, child_pid(w, sup, "b"), exit_error, NULL);
        for (int k = 0; k < i % 7; k++)
            (void)sup_count(w, sup); /* a little later each time */
        stop_sup(w, sup);
        wait_actor_count(w, 0);
    }
}

WORLD_TEST(sup_group, a_kill_in_the_middle_of_a_group_restart_leaves_nothing)
{
    for (int i = 0; i < (w->sim ? 4 : 100); i++) {
        tdm_pid sup = start_group(w, groups[i % 2], 10);
        tdm_pid c = child_pid(w, sup, "c");
        tell(w, c, exit_error, NULL);
        if (i % 3 == 0)
            wait_end(w, c);
        tdm_kill(w->rt, sup);
        wait_end(w, sup);
        wait_actor_count(w, 0);
    }
}

static bool fails_twice(struct worker_arg *arg, const struct tdm_start *start, int *result)
{
    size_t n = marks_of(arg->w, "init", arg->number);

    (void)start;
    *result = TDM_ECONN;
    return n == 2 || n == 3;
}

SIM_TEST(sup_group, between_attempts_a_child_can_be_stopped_and_the_others_started_by_hand)
{
    struct worker_arg arg = { .w = w, .number = 2, .veto = fails_twice };
    struct tdm_child_spec specs[] = { CHILD(w, "a", 1, .restart = 0), CHILD(w, "b", 2, .restart = 0),
                                      CHILD(w, "c", 3, .restart = 0) };
    specs[1].start.arg = &arg;
    struct tdm_sup_cfg cfg = { .strategy = TDM_ONE_FOR_ALL,
                               .intensity = 10,
                               .backoff_min_ms = 1000,
                               .backoff_max_ms = 1000,
                               .children = specs,
                               .n_children = 3 };
    tdm_pid sup = start_sup(w, &cfg);

    tell(w, child_pid(w, sup, "b"), exit_error, NULL);
    wait_marks_of(w, "init", 2, 2);
    let_pass(w, TDM_MS(100));
    check_eq(w, child_pid(w, sup, "c").id, 0); /* not reached */
    check_eq(w, sup_ask(w, sup, TDM_SUP_RESTART_CHILD, "c", (tdm_pid){ 0 }).err, TDM_OK);
    check_eq(w, sup_ask(w, sup, TDM_SUP_TERMINATE_CHILD, "b", (tdm_pid){ 0 }).err, TDM_OK);
    let_pass(w, TDM_S(5));
    check_eq(w, marks_of(w, "init", 2), 2); /* no further attempt */
    check_eq(w, sup_count(w, sup).active, 2);
}

SIM_TEST(sup_group, with_a_delay_the_others_are_stopped_first_and_all_start_after_it)
{
    struct tdm_child_spec specs[] = { CHILD(w, "a", 1, .restart = 0), CHILD(w, "b", 2, .restart = 0) };
    struct tdm_sup_cfg cfg = { .strategy = TDM_ONE_FOR_ALL,
                               .intensity = 10,
                               .backoff_min_ms = 500,
                               .backoff_max_ms = 500,
                               .children = specs,
                               .n_children = 2 };
    tdm_pid sup = start_sup(w, &cfg);
    uint64_t before = w->env->now_ns(w->env);

    tell(w, child_pid(w, sup, "a"), exit_error, NULL);
    wait_marks_of(w, "term", 2, 1);
    check(w, w->env->now_ns(w->env) - before < TDM_MS(100));
    wait_marks(w, "init", 4);
    check(w, mark_at(w, "init", 2).at_ns - before >= TDM_MS(500));
    check_eq(w, mark_at(w, "init", 2).n, 1);
}

SIM_TEST(sup_group, a_request_that_comes_during_a_group_restart_is_answered_after_it)
{
    tdm_pid sup = start_group(w, TDM_ONE_FOR_ALL, 10);
    tdm_pid a = child_pid(w, sup, "a");

    tell(w, a, exit_error, NULL);
    wait_end(w, a);
    let_pass(w, 1000); /* the notice is there */
    struct tdm_sup_reply r = sup_count(w, sup);
    check_eq(w, r.active, GROUP);
    check_eq(w, marks(w, "init"), 2 * GROUP);
}
