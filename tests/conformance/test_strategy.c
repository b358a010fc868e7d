/* Group D: what a restart takes along. The loops of restarts that fail: test_loop.c. */
#include "sup_fixture.h"

#include <string.h>

static const struct tdm_sup_cfg all = { .strategy = TDM_ONE_FOR_ALL, .intensity = 1000 };
static const struct tdm_sup_cfg rest = { .strategy = TDM_REST_FOR_ONE, .intensity = 1000 };

/* The words with their numbers, from the `from`-th mark of that word on, are these. */
static void check_order(struct world *w, const char *what, size_t from, const uint64_t *numbers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_eq(w, mark_at(w, what, from + i).n, numbers[i]);
    check_eq(w, marks(w, what), from + n);
}

WORLD_TEST(strategy, D1_one_for_one_leaves_the_sibling_its_address_and_state)
{
    struct brood b;

    brood_init(&b, w, 2, TDM_PERMANENT);
    brood_start(&b, w, (struct tdm_sup_cfg){ .intensity = 1000 });
    tdm_pid first = brood_pid(&b, w, 0), sibling = brood_pid(&b, w, 1);
    end_by(w, first, END_ERROR);
    brood_renewed(&b, w, 0, first);
    check_eq(w, brood_pid(&b, w, 1).id, sibling.id);
    ask(w, sibling, do_nothing, NULL); /* it lives and answers */
    check_eq(w, marks_of(w, "init", 1), 1);
    check_eq(w, marks_of(w, "term", 1), 0);
}

WORLD_TEST(strategy, D2_one_for_all_stops_the_others_in_reverse_and_starts_all_in_order)
{
    struct brood b;
    tdm_pid old[4];

    brood_init(&b, w, 4, TDM_PERMANENT);
    brood_start(&b, w, all);
    for (size_t i = 0; i < 4; i++)
        old[i] = brood_pid(&b, w, i);
    end_by(w, old[1], END_ERROR);
    wait_marks(w, "init", 8);
    for (size_t i = 0; i < 4; i++) {
        tdm_pid now = brood_renewed(&b, w, i, old[i]);
        check(w, !tdm_alive(w->rt, old[i]) && tdm_alive(w->rt, now));
    }
    check_order(w, "term", 0, (uint64_t[]){ 1, 3, 2, 0 }, 4);
    check_order(w, "init", 4, (uint64_t[]){ 0, 1, 2, 3 }, 4);
    for (size_t i = 1; i < 4; i++)
        check(w, reason_is(mark_at(w, "term", i).reason, END_SHUTDOWN));
}

WORLD_TEST(strategy, D3_rest_for_one_takes_along_those_after_it)
{
    struct brood b;
    tdm_pid old[5];

    brood_init(&b, w, 5, TDM_PERMANENT);
    brood_start(&b, w, rest);
    for (size_t i = 0; i < 5; i++)
        old[i] = brood_pid(&b, w, i);
    end_by(w, old[2], END_ERROR);
    wait_marks(w, "init", 8);
    for (size_t i = 2; i < 5; i++)
        brood_renewed(&b, w, i, old[i]);
    check_eq(w, brood_pid(&b, w, 0).id, old[0].id);
    check_eq(w, brood_pid(&b, w, 1).id, old[1].id);
    check_order(w, "term", 0, (uint64_t[]){ 2, 4, 3 }, 3);
    check_order(w, "init", 5, (uint64_t[]){ 2, 3, 4 }, 3);
}

WORLD_TEST(strategy, D4_a_dynamic_child_comes_back_with_its_own_argument)
{
    struct brood b;
    tdm_pid old[3];

    brood_init(&b, w, 3, TDM_PERMANENT);
    brood_start(&b, w, (struct tdm_sup_cfg){ .strategy = TDM_DYNAMIC, .intensity = 1000 });
    for (size_t i = 0; i < 3; i++)
        old[i] = brood_pid(&b, w, i);
    end_by(w, old[1], END_ERROR);
    wait_marks_of(w, "init", 1, 2);
    brood_renewed(&b, w, 1, old[1]);
    check_eq(w, brood_pid(&b, w, 0).id, old[0].id);
    check_eq(w, brood_pid(&b, w, 2).id, old[2].id);
    check_eq(w, marks(w, "init"), 4);
}

/* Three children, of which `temporary` is one; another one crashes. */
static void with_a_temporary_sibling(struct world *w, enum tdm_strategy strategy)
{
    struct brood b;

    forget_marks(w);
    brood_init(&b, w, 3, TDM_PERMANENT);
    b.specs[1].restart = TDM_TEMPORARY;
    brood_start(&b, w, (struct tdm_sup_cfg){ .strategy = strategy, .intensity = 1000 });
    tdm_pid crashed = brood_pid(&b, w, 0), temporary = brood_pid(&b, w, 1);
    end_by(w, crashed, END_ERROR);
    wait_marks_of(w, "init", 2, 2);
    brood_renewed(&b, w, 0, crashed);
    wait_specs(w, b.sup, 2);
    check(w, !tdm_alive(w->rt, temporary));
    check_eq(w, sup_err(w, b.sup, TDM_SUP_WHICH, "b"), TDM_ENOTFOUND);
    check_eq(w, marks_of(w, "init", 1), 1);
    check_eq(w, marks_of(w, "term", 1), 1);
    check_eq(w, sup_count(w, b.sup).active, 2);
    stop_sup(w, b.sup);
}

WORLD_TEST(strategy, D5_a_temporary_sibling_is_ended_and_forgotten)
{
    with_a_temporary_sibling(w, TDM_ONE_FOR_ALL);
    with_a_temporary_sibling(w, TDM_REST_FOR_ONE);
}

/* Fails its second start, no other. */
static bool fails_second_start(struct worker_arg *arg, const struct tdm_start *start, int *result)
{
    (void)start;
    *result = TDM_ECONN;
    return marks_of(arg->w, "init", arg->number) == 2;
}

static tdm_pid start_two(struct world *w, struct brood *b, struct tdm_sup_cfg cfg)
{
    brood_init(b, w, 2, TDM_PERMANENT);
    b->args[1].veto = fails_second_start;
    brood_start(b, w, cfg);
    return brood_pid(b, w, 0);
}

WORLD_TEST(strategy, D6_one_for_all_begins_anew_when_one_of_the_group_does_not_start)
{
    struct brood b;
    tdm_pid first = start_two(w, &b, all);

    end_by(w, first, END_ERROR);
    wait_marks(w, "init", 6);
    check_order(w, "init", 2, (uint64_t[]){ 0, 1, 0, 1 }, 4);
    check_eq(w, marks_of(w, "term", 0), 2); /* its crash; then it was stopped, though it had come up */
    for (size_t i = 0, seen = 0; i < marks(w, "term"); i++) {
        struct mark m = mark_at(w, "term", i);
        if (m.n == 0 && seen++ == 1)
            check_eq(w, m.reason.kind, TDM_EXIT_SHUTDOWN);
    }
    wait_active(w, b.sup, 2);
    tdm_pid now = brood_pid(&b, w, 0);
    let_pass(w, TDM_MS(w->sim ? 1000 : 1));
    check_eq(w, marks(w, "init"), 6);
    check_eq(w, brood_pid(&b, w, 0).id, now.id);
}

WORLD_TEST(strategy, D7_rest_for_one_goes_on_at_the_one_that_did_not_start)
{
    struct brood b;
    tdm_pid first = start_two(w, &b, rest);

    end_by(w, first, END_ERROR);
    wait_marks(w, "init", 5);
    check_order(w, "init", 2, (uint64_t[]){ 0, 1, 1 }, 3);
    wait_active(w, b.sup, 2);
    tdm_pid now = brood_pid(&b, w, 0);
    let_pass(w, TDM_MS(w->sim ? 1000 : 1));
    check_eq(w, marks(w, "init"), 5);
    check_eq(w, marks_of(w, "term", 0), 1);
    check_eq(w, brood_pid(&b, w, 0).id, now.id);
}

WORLD_TEST(strategy, D8_a_group_counts_as_one_restart)
{
    static const enum tdm_strategy groups[] = { TDM_ONE_FOR_ALL, TDM_REST_FOR_ONE };

    for (size_t s = 0; s < 2; s++) {
        struct brood b;
        forget_marks(w);
        brood_init(&b, w, 10, TDM_PERMANENT);
        brood_start(&b, w, (struct tdm_sup_cfg){ .strategy = groups[s], .intensity = 2 });
        tdm_pid first = brood_pid(&b, w, 0);
        for (size_t i = 0; i < 2; i++) {
            end_by(w, first, END_ERROR);
            wait_marks(w, "init", 20 + 10 * i);
            first = brood_renewed(&b, w, 0, first);
        }
        wait_active(w, b.sup, 10);
        end_by(w, first, END_ERROR); /* the third is one too many */
        wait_end(w, b.sup);
        check_eq(w, marks(w, "init"), 30);
    }
}

/* None of them is alive when the group comes up again: whoever was not dead yet has been stopped with it. */
WORLD_TEST(strategy, D8_siblings_that_crash_in_the_same_instant_count_once)
{
    struct brood b;
    tdm_pid old[5];

    brood_init(&b, w, 5, TDM_PERMANENT);
    brood_start(&b, w, (struct tdm_sup_cfg){ .strategy = TDM_ONE_FOR_ALL, .intensity = 1 });
    for (size_t i = 0; i < 5; i++)
        old[i] = brood_pid(&b, w, i);
    for (size_t i = 0; i < 5; i++)
        tdm_kill(w->rt, old[i]);
    for (size_t i = 0; i < 5; i++)
        wait_end(w, old[i]);
    wait_marks(w, "init", 10);
    wait_active(w, b.sup, 5);
    check_eq(w, marks(w, "init"), 10);
}

/* ---- D9: a tree -------------------------------------------------------------------------------- */

static tdm_pid leaf_of(struct world *w, tdm_pid root, const char *branch, const char *leaf)
{
    return child_pid(w, child_pid(w, root, branch), leaf);
}

WORLD_TEST(strategy, D9_a_tree_comes_back_as_listed)
{
    struct tdm_child_spec leaves[3] = { CHILD(w, "x", 0, .restart = 0), CHILD(w, "x", 1, .restart = 0),
                                        CHILD(w, "x", 2, .restart = 0) };
    struct tdm_sup_cfg branch[3];
    struct tdm_child_spec branches[3] = { TDM_SUP_CHILD("1", &branch[0]), TDM_SUP_CHILD("2", &branch[1]),
                                          TDM_SUP_CHILD("3", &branch[2]) };
    static const char *const names[] = { "1", "2", "3" };
    tdm_pid old[3];

    for (size_t i = 0; i < 3; i++)
        branch[i] = (struct tdm_sup_cfg){ .intensity = 1, .children = &leaves[i], .n_children = 1 };
    tdm_pid root = start_sup(
        w, &(struct tdm_sup_cfg){
               .strategy = TDM_ONE_FOR_ALL, .intensity = 3, .children = branches, .n_children = 3 });
    for (size_t i = 0; i < 3; i++)
        old[i] = child_pid(w, root, names[i]);
    check_eq(w, sup_err(w, root, TDM_SUP_TERMINATE_CHILD, "3"), TDM_OK);
    struct tdm_child_spec extra = CHILD(w, "y", 9, .restart = 0);
    check_eq(w, sup_start_child(w, old[0], &extra), TDM_OK);
    for (size_t i = 0; i < 2; i++) {
        wait_marks_of(w, "init", 1, i + 1);
        end_by(w, wait_restarted(w, old[1], "x", i == 0 ? (tdm_pid){ 0 } : mark_at(w, "init", 1).pid),
               END_ERROR);
    }
    for (size_t i = 0; i < 3; i++) {
        tdm_pid now = wait_restarted(w, root, names[i], old[i]);
        check_eq(w, sup_count(w, now).specs, 1);
        check_eq(w, sup_count(w, now).active, 1);
        check(w, leaf_of(w, root, names[i], "x").id != 0);
    }
    check_eq(w, marks_of(w, "init", 9), 1);
    check_eq(w, marks_of(w, "term", 9), 1);
}

static bool ignores_restart(struct worker_arg *arg, const struct tdm_start *start, int *result)
{
    (void)arg;
    *result = TDM_IGNORE;
    return start->restarts > 0;
}

WORLD_TEST(strategy, D10_a_dynamic_child_that_ignores_its_restart_is_removed)
{
    for (int type = TDM_PERMANENT; type <= TDM_TRANSIENT; type++) {
        struct brood b;
        brood_init(&b, w, 1, (enum tdm_restart)type);
        b.args[0].veto = ignores_restart;
        forget_marks(w);
        brood_start(&b, w, (struct tdm_sup_cfg){ .strategy = TDM_DYNAMIC, .intensity = 1000 });
        end_by(w, brood_pid(&b, w, 0), END_ERROR);
        wait_marks(w, "init", 2);
        wait_actor_count(w, 1);
        check_eq(w, sup_count(w, b.sup).workers, 0);
        log_watch(w);
        stop_sup(w, b.sup);
        check_eq(w, logged("level=error"), 0);
    }
}

/* The static form, section 6: it becomes stopped. */
WORLD_TEST(strategy, D10_a_static_child_that_ignores_its_restart_is_kept_stopped)
{
    struct brood b;

    brood_init(&b, w, 1, TDM_PERMANENT);
    b.args[0].veto = ignores_restart;
    brood_start(&b, w, (struct tdm_sup_cfg){ .intensity = 1000 });
    end_by(w, brood_pid(&b, w, 0), END_ERROR);
    wait_marks(w, "init", 2);
    wait_stopped(w, b.sup, "a");
    check_eq(w, sup_count(w, b.sup).specs, 1);
    check_eq(w, marks(w, "init"), 2);
}
