/* Group G: significant children. */
#include <string.h>

#include "sup_fixture.h"

/* A significant child "a" and an ordinary one, "b". */
static void start_pair(struct world *w, struct brood *b, enum tdm_auto_shutdown mode, enum tdm_restart type,
                       bool significant)
{
    forget_marks(w);
    brood_init(b, w, 2, TDM_PERMANENT);
    b->specs[0].restart = type;
    b->specs[0].significant = significant;
    brood_start(b, w, (struct tdm_sup_cfg){ .intensity = 1000, .auto_shutdown = mode });
}

/* What may befall a child: its supervisor is told to stop it, or it ends in one of these ways. */
enum { BY_REQUEST = ENDS, FATES };

static void befall(struct world *w, struct brood *b, size_t i, int fate)
{
    if (fate == BY_REQUEST)
        check_eq(w, sup_err(w, b->sup, TDM_SUP_TERMINATE_CHILD, b->ids[i]), TDM_OK);
    else
        end_by(w, brood_pid(b, w, i), fate);
}

/* Child `i` has met its end, its supervisor has dealt with it, and lives. */
static void check_lives(struct world *w, struct brood *b, size_t i, int fate)
{
    enum tdm_restart type = b->specs[i].restart;

    if (fate != BY_REQUEST && type == TDM_TRANSIENT && fate >= END_ERROR)
        wait_marks_of(w, "init", i, 2);
    else if (type == TDM_TEMPORARY)
        wait_specs(w, b->sup, (uint32_t)b->n - 1);
    else
        wait_state(w, b->sup, b->ids[i], TDM_CHILD_STOPPED);
    let_pass(w, TDM_MS(w->sim ? 100 : 1));
    check_eq(w, sup_count(w, b->sup).err, TDM_OK);
    check_eq(w, marks(w, "term") - marks_of(w, "term", i), 0);
}

/* It ended with shutdown, and so did whoever was left. */
static void check_ended(struct world *w, struct brood *b)
{
    wait_end(w, b->sup);
    wait_marks(w, "down", 1);
    check_eq(w, mark_at(w, "down", 0).reason.kind, TDM_EXIT_SHUTDOWN);
    for (size_t i = 0; i < b->n; i++)
        check_eq(w, marks_of(w, "init", i), 1);
    wait_actor_count(w, 1); /* the watcher */
    end_by(w, mark_at(w, "watches", 0).pid, END_NORMAL);
    wait_actor_count(w, 0);
}

static void watch_sup(struct world *w, struct brood *b)
{
    tdm_pid watcher = spawn_worker(w, 1000);

    ask(w, watcher, monitor_it, &b->sup);
    check_eq(w, sup_count(w, b->sup).err, TDM_OK);
    mark_all(w, "watches", 0, watcher, NULL);
}

WORLD_TEST(significant, G1_a_child_that_is_not_significant_ends_nobody)
{
    for (int mode = TDM_AUTO_NEVER; mode <= TDM_AUTO_ALL_SIGNIFICANT; mode++)
        for (int type = TDM_TRANSIENT; type <= TDM_TEMPORARY; type++)
            for (int fate = 0; fate < FATES; fate++) {
                struct brood b;
                start_pair(w, &b, (enum tdm_auto_shutdown)mode, (enum tdm_restart)type, false);
                befall(w, &b, 0, fate);
                check_lives(w, &b, 0, fate);
                stop_sup(w, b.sup);
            }
}

static void any_significant(struct world *w, enum tdm_restart type, int fate, bool lives)
{
    struct brood b;

    start_pair(w, &b, TDM_AUTO_ANY_SIGNIFICANT, type, true);
    if (!lives)
        watch_sup(w, &b);
    befall(w, &b, 0, fate);
    if (!lives) {
        check_ended(w, &b);
        check_eq(w, marks_of(w, "term", 1), 1);
        return;
    }
    check_lives(w, &b, 0, fate);
    stop_sup(w, b.sup);
}

WORLD_TEST(significant, G2_any_temporary_one_that_ends_by_itself_ends_all)
{
    for (int fate = 0; fate < FATES; fate++)
        any_significant(w, TDM_TEMPORARY, fate, fate == BY_REQUEST);
}

WORLD_TEST(significant, G3_any_transient_one_that_ends_cleanly_ends_all)
{
    for (int fate = 0; fate < FATES; fate++)
        any_significant(w, TDM_TRANSIENT, fate, fate >= END_ERROR);
}

WORLD_TEST(significant, G4_the_last_of_all_significant_ones_ends_all)
{
    for (int type = TDM_TRANSIENT; type <= TDM_TEMPORARY; type++) {
        struct brood b;
        forget_marks(w);
        brood_init(&b, w, 3, TDM_PERMANENT);
        for (size_t i = 0; i < 2; i++) {
            b.specs[i].restart = (enum tdm_restart)type;
            b.specs[i].significant = true;
        }
        brood_start(&b, w,
                    (struct tdm_sup_cfg){ .intensity = 1000, .auto_shutdown = TDM_AUTO_ALL_SIGNIFICANT });
        befall(w, &b, 0, END_NORMAL);
        check_lives(w, &b, 0, END_NORMAL);
        watch_sup(w, &b);
        befall(w, &b, 1, END_NORMAL);
        check_ended(w, &b);
        check_eq(w, marks_of(w, "term", 2), 1);
    }
}

/* One that is being restarted is not gone. */
WORLD_TEST(significant, G4_one_that_waits_for_its_restart_holds_the_others)
{
    struct brood b;

    brood_init(&b, w, 2, TDM_TRANSIENT);
    b.specs[0].significant = b.specs[1].significant = true;
    brood_start(&b, w,
                (struct tdm_sup_cfg){ .intensity = 1000,
                                      .auto_shutdown = TDM_AUTO_ALL_SIGNIFICANT,
                                      .backoff_min_ms = 600000,
                                      .backoff_max_ms = 600000 });
    end_by(w, brood_pid(&b, w, 0), END_ERROR);
    wait_state(w, b.sup, "a", TDM_CHILD_RESTARTING);
    end_by(w, brood_pid(&b, w, 1), END_NORMAL);
    wait_state(w, b.sup, "b", TDM_CHILD_STOPPED);
    check_eq(w, sup_count(w, b.sup).specs, 2);
}

/* "b", permanent, crashes among significant siblings. */
static void sibling_crash(struct world *w, enum tdm_strategy strategy, enum tdm_auto_shutdown mode)
{
    struct brood b;

    forget_marks(w);
    brood_init(&b, w, 4, TDM_TEMPORARY);
    for (size_t i = 0; i < 4; i++)
        b.specs[i].significant = i != 1;
    b.specs[0].restart = b.specs[2].restart = TDM_TRANSIENT;
    b.specs[1].restart = TDM_PERMANENT;
    brood_start(&b, w,
                (struct tdm_sup_cfg){ .strategy = strategy, .intensity = 1000, .auto_shutdown = mode });
    tdm_pid crashed = brood_pid(&b, w, 1);
    end_by(w, crashed, END_ERROR);
    brood_renewed(&b, w, 1, crashed);
    wait_active(w, b.sup, strategy == TDM_ONE_FOR_ONE ? 4 : 3);
    let_pass(w, TDM_MS(w->sim ? 100 : 1));
    check_eq(w, sup_count(w, b.sup).specs,
             strategy == TDM_ONE_FOR_ONE ? 4 : 3); /* the temporary one is gone */
    stop_sup(w, b.sup);
}

WORLD_TEST(significant, G5_the_crash_of_a_sibling_ends_nobody)
{
    for (int strategy = TDM_ONE_FOR_ONE; strategy <= TDM_REST_FOR_ONE; strategy++)
        for (int mode = TDM_AUTO_ANY_SIGNIFICANT; mode <= TDM_AUTO_ALL_SIGNIFICANT; mode++)
            sibling_crash(w, (enum tdm_strategy)strategy, (enum tdm_auto_shutdown)mode);
}

/* A has B for a child, B a significant worker that ends. */
static void up_the_tree(struct world *w, bool significant)
{
    struct tdm_child_spec leaf = CHILD(w, "leaf", 1, .restart = TDM_TEMPORARY, .significant = true);
    struct tdm_sup_cfg b = {
        .intensity = 5, .auto_shutdown = TDM_AUTO_ANY_SIGNIFICANT, .children = &leaf, .n_children = 1
    };
    struct tdm_child_spec in_a = TDM_SUP_CHILD("b", &b);
    in_a.restart = TDM_TEMPORARY;
    in_a.significant = significant;
    forget_marks(w);
    tdm_pid a = start_sup(w, &(struct tdm_sup_cfg){ .intensity = 5,
                                                    .auto_shutdown = TDM_AUTO_ANY_SIGNIFICANT,
                                                    .children = &in_a,
                                                    .n_children = 1 });
    tdm_pid b_pid = child_pid(w, a, "b");
    end_by(w, mark_at(w, "init", 0).pid, END_NORMAL);
    wait_end(w, b_pid);
    if (significant) {
        wait_end(w, a);
    } else {
        wait_specs(w, a, 0);
        stop_sup(w, a);
    }
    wait_actor_count(w, 0);
    check_eq(w, marks(w, "init"), 1);
}

WORLD_TEST(significant, G6_the_rule_goes_up_the_tree)
{
    up_the_tree(w, true);
    up_the_tree(w, false);
}

static int reconfigure(struct world *w, tdm_pid sup, const struct tdm_child_spec *specs, size_t n,
                       enum tdm_auto_shutdown mode)
{
    struct tdm_sup_cfg cfg = { .intensity = 1000, .auto_shutdown = mode, .children = specs, .n_children = n };

    return sup_answer(w, sup, &(struct tdm_sup_question){ .op = TDM_SUP_RECONFIGURE, .cfg = &cfg })->err;
}

WORLD_TEST(significant, G7_new_settings_allow_significant_children)
{
    struct brood b;
    struct tdm_child_spec s = CHILD(w, "s", 7, .restart = TDM_TEMPORARY, .significant = true);

    brood_init(&b, w, 1, TDM_PERMANENT);
    brood_start(&b, w, (struct tdm_sup_cfg){ .intensity = 1000 });
    check_eq(w, sup_start_child(w, b.sup, &s), TDM_EINVAL);
    check_eq(w, reconfigure(w, b.sup, b.specs, 1, TDM_AUTO_ANY_SIGNIFICANT), TDM_OK);
    check_eq(w, sup_start_child(w, b.sup, &s), TDM_OK);
    watch_sup(w, &b);
    end_by(w, child_pid(w, b.sup, "s"), END_ERROR);
    check_ended(w, &b);
    check_eq(w, marks_of(w, "term", 0), 1);
}

WORLD_TEST(significant, G7_and_back)
{
    struct brood b;
    struct tdm_child_spec t = CHILD(w, "t", 7, .restart = TDM_TEMPORARY, .significant = true);

    start_pair(w, &b, TDM_AUTO_ANY_SIGNIFICANT, TDM_TEMPORARY, true);
    tdm_pid significant = brood_pid(&b, w, 0);
    check_eq(w, reconfigure(w, b.sup, &b.specs[1], 1, TDM_AUTO_NEVER), TDM_OK);
    check_eq(w, brood_pid(&b, w, 0).id, significant.id); /* it stays */
    check_eq(w, sup_start_child(w, b.sup, &t), TDM_EINVAL);
    end_by(w, significant, END_ERROR);
    check_lives(w, &b, 0, END_ERROR);
}
