/* Group B: administration of static children. Dynamic ones: test_admin_dynamic.c. */
#include <string.h>

#include "sup_fixture.h"

static const struct tdm_sup_reply *start_it(struct world *w, struct brood *b, size_t i)
{
    return sup_answer(w, b->sup,
                      &(struct tdm_sup_question){ .op = TDM_SUP_START_CHILD, .spec = &b->specs[i] });
}

/* One child, "a", in this state; its starts fail from then on when it is RESTARTING. Delays are longer than any test. */
static void start_in_state(struct world *w, struct brood *b, enum tdm_restart type,
                           enum tdm_child_state state)
{
    forget_marks(w);
    brood_init(b, w, 2, type);
    b->n = 1;
    brood_start(
        b, w, (struct tdm_sup_cfg){ .intensity = 1000, .backoff_min_ms = 600000, .backoff_max_ms = 600000 });
    if (state == TDM_CHILD_STOPPED)
        check_eq(w, sup_err(w, b->sup, TDM_SUP_TERMINATE_CHILD, "a"), TDM_OK);
    if (state == TDM_CHILD_RESTARTING)
        end_by(w, brood_pid(b, w, 0), END_ERROR);
    wait_state(w, b->sup, "a", state);
}

WORLD_TEST(admin, B1_a_running_child)
{
    struct brood b;

    start_in_state(w, &b, TDM_PERMANENT, TDM_CHILD_RUNNING);
    tdm_pid pid = brood_pid(&b, w, 0);
    const struct tdm_sup_reply *r = start_it(w, &b, 0);
    check_eq(w, r->err, TDM_EEXIST);
    check_eq(w, r->pid.id, pid.id);
    check_eq(w, sup_err(w, b.sup, TDM_SUP_RESTART_CHILD, "a"), TDM_EEXIST);
    check_eq(w, sup_err(w, b.sup, TDM_SUP_DELETE_CHILD, "a"), TDM_ESTATE);
    check(w, tdm_alive(w->rt, pid));
    check_eq(w, marks(w, "init"), 1);
    check_eq(w, sup_err(w, b.sup, TDM_SUP_TERMINATE_CHILD, "a"), TDM_OK);
    check(w, !tdm_alive(w->rt, pid)); /* answered when it has ended */
    check_eq(w, sup_child(w, b.sup, "a").state, TDM_CHILD_STOPPED);
    check_eq(w, sup_count(w, b.sup).specs, 1);
}

WORLD_TEST(admin, B1_a_running_temporary_child_is_removed_by_terminate)
{
    struct brood b;

    start_in_state(w, &b, TDM_TEMPORARY, TDM_CHILD_RUNNING);
    check_eq(w, sup_err(w, b.sup, TDM_SUP_TERMINATE_CHILD, "a"), TDM_OK);
    check_eq(w, sup_count(w, b.sup).specs, 0);
    check_eq(w, sup_err(w, b.sup, TDM_SUP_TERMINATE_CHILD, "a"), TDM_ENOTFOUND);
}

WORLD_TEST(admin, B1_a_child_that_is_being_restarted)
{
    struct brood b;

    for (int type = TDM_PERMANENT; type <= TDM_TRANSIENT; type++) {
        start_in_state(w, &b, (enum tdm_restart)type, TDM_CHILD_RESTARTING);
        check_eq(w, start_it(w, &b, 0)->err, TDM_EPRESENT);
        check_eq(w, sup_err(w, b.sup, TDM_SUP_RESTART_CHILD, "a"), TDM_EBUSY);
        check_eq(w, sup_err(w, b.sup, TDM_SUP_DELETE_CHILD, "a"), TDM_EBUSY);
        check_eq(w, sup_child(w, b.sup, "a").state, TDM_CHILD_RESTARTING);
        check_eq(w, sup_err(w, b.sup, TDM_SUP_TERMINATE_CHILD, "a"), TDM_OK);
        check_eq(w, sup_child(w, b.sup, "a").state, TDM_CHILD_STOPPED);
        check_eq(w, marks(w, "init"), 1);
        stop_sup(w, b.sup);
    }
}

WORLD_TEST(admin, B1_a_stopped_child)
{
    struct brood b;

    start_in_state(w, &b, TDM_PERMANENT, TDM_CHILD_STOPPED);
    check_eq(w, start_it(w, &b, 0)->err, TDM_EPRESENT);
    check_eq(w, sup_err(w, b.sup, TDM_SUP_TERMINATE_CHILD, "a"), TDM_OK);
    check_eq(w, marks(w, "init"), 1);
    struct tdm_sup_reply r = sup_ask(w, b.sup, TDM_SUP_RESTART_CHILD, "a", (tdm_pid){ 0 });
    check_eq(w, r.err, TDM_OK);
    check(w, r.pid.id == brood_pid(&b, w, 0).id && tdm_alive(w->rt, r.pid));
    check_eq(w, sup_err(w, b.sup, TDM_SUP_TERMINATE_CHILD, "a"), TDM_OK);
    check_eq(w, sup_err(w, b.sup, TDM_SUP_DELETE_CHILD, "a"), TDM_OK);
    check_eq(w, sup_count(w, b.sup).specs, 0);
}

WORLD_TEST(admin, B1_an_unknown_id)
{
    static const enum tdm_sup_op ops[] = { TDM_SUP_RESTART_CHILD, TDM_SUP_TERMINATE_CHILD,
                                           TDM_SUP_DELETE_CHILD, TDM_SUP_WHICH, TDM_SUP_GET_SPEC };
    struct brood b;

    start_in_state(w, &b, TDM_PERMANENT, TDM_CHILD_RUNNING);
    for (size_t i = 0; i < 5; i++)
        check_eq(w, sup_err(w, b.sup, ops[i], "b"), TDM_ENOTFOUND);
    const struct tdm_sup_reply *r = start_it(w, &b, 1);
    check_eq(w, r->err, TDM_OK);
    check(w, tdm_alive(w->rt, r->pid) && r->pid.id == child_pid(w, b.sup, "b").id);
    check_eq(w, sup_count(w, b.sup).specs, 2);
}

/* Below the table: the child's own name is taken by another actor. */
WORLD_TEST(admin, B1_a_start_that_finds_its_name_taken_says_by_whom)
{
    struct tdm_sup_cfg named = { .name = "front", .intensity = 1 };
    struct tdm_child_spec branch = TDM_SUP_CHILD("branch", &named);
    tdm_pid holder = start_sup(w, &named), sup = start_children(w, NULL, 0);

    const struct tdm_sup_reply *r =
        sup_answer(w, sup, &(struct tdm_sup_question){ .op = TDM_SUP_START_CHILD, .spec = &branch });
    check_eq(w, r->err, TDM_EEXIST);
    check_eq(w, r->pid.id, holder.id);
    check_eq(w, sup_count(w, sup).specs, 0);
    check_eq(w, tdm_whereis(w->rt, "front", 5).id, holder.id);
}

WORLD_TEST(admin, B2_to_terminate_twice_is_fine)
{
    struct brood b;

    start_in_state(w, &b, TDM_PERMANENT, TDM_CHILD_RUNNING);
    for (int i = 0; i < 2; i++)
        check_eq(w, sup_err(w, b.sup, TDM_SUP_TERMINATE_CHILD, "a"), TDM_OK);
    check_eq(w, marks(w, "term"), 1);
    check_eq(w, sup_count(w, b.sup).specs, 1);
}

WORLD_TEST(admin, B3_a_permanent_child_that_was_terminated_waits_for_a_request)
{
    struct brood b;

    start_in_state(w, &b, TDM_PERMANENT, TDM_CHILD_RUNNING);
    tdm_pid first = brood_pid(&b, w, 0);
    check_eq(w, sup_err(w, b.sup, TDM_SUP_TERMINATE_CHILD, "a"), TDM_OK);
    let_pass(w, w->sim ? TDM_S(1000) : TDM_MS(1));
    check_eq(w, marks(w, "init"), 1);
    check_eq(w, start_it(w, &b, 0)->err, TDM_EPRESENT);
    struct tdm_sup_reply r = sup_ask(w, b.sup, TDM_SUP_RESTART_CHILD, "a", (tdm_pid){ 0 });
    check(w, r.err == TDM_OK && r.pid.id != 0 && r.pid.id != first.id);
    check_eq(w, brood_pid(&b, w, 0).id, r.pid.id);
}

WORLD_TEST(admin, B4_an_address_names_no_static_child)
{
    struct brood b;

    start_in_state(w, &b, TDM_PERMANENT, TDM_CHILD_RUNNING);
    tdm_pid pid = brood_pid(&b, w, 0);
    for (int op = TDM_SUP_TERMINATE_CHILD; op <= TDM_SUP_DELETE_CHILD; op++)
        check_eq(w, sup_ask(w, b.sup, (enum tdm_sup_op)op, NULL, pid).err, TDM_ENOTFOUND);
    check_eq(w, brood_pid(&b, w, 0).id, pid.id);
    check_eq(w, marks(w, "term"), 0);
}

WORLD_TEST(admin, B6_a_supervisor_that_is_not_there_gives_noproc)
{
    struct brood b;

    start_in_state(w, &b, TDM_PERMANENT, TDM_CHILD_RUNNING);
    struct tdm_sup_cfg cfg = { .children = b.specs, .n_children = 1 };
    stop_sup(w, b.sup);
    for (int op = TDM_SUP_COUNT; op <= TDM_SUP_RECONFIGURE; op++) {
        struct tdm_sup_question question = {
            .op = (enum tdm_sup_op)op, .id = "a", .spec = &b.specs[0], .cfg = &cfg
        };
        check_eq(w, sup_answer(w, b.sup, &question)->err, TDM_ENOPROC);
        check_eq(w, sup_answer(w, (tdm_pid){ 0 }, &question)->err, TDM_ENOPROC);
    }
    check_eq(w, marks(w, "init"), 1);
}

WORLD_TEST(admin, B7_a_restart_on_request_that_fails_is_not_tried_again)
{
    struct brood b;

    brood_init(&b, w, 1, TDM_PERMANENT);
    b.args[0].veto = fails_while_broken;
    brood_start(&b, w, (struct tdm_sup_cfg){ .intensity = 0 }); /* a restart that is counted would end it */
    check_eq(w, sup_err(w, b.sup, TDM_SUP_TERMINATE_CHILD, "a"), TDM_OK);
    set_broken(w, 0, true);
    struct tdm_sup_reply r = sup_ask(w, b.sup, TDM_SUP_RESTART_CHILD, "a", (tdm_pid){ 0 });
    check_eq(w, r.err, TDM_ECONN);
    check_eq(w, r.reason.code, TDM_ECONN);
    check_eq(w, sup_child(w, b.sup, "a").state, TDM_CHILD_STOPPED);
    let_pass(w, w->sim ? TDM_S(1) : TDM_MS(1));
    check_eq(w, marks(w, "init"), 2);
    check_eq(w, sup_count(w, b.sup).specs, 1);
    check_eq(w, sup_count(w, b.sup).active, 0);
    set_broken(w, 0, false);
    check_eq(w, sup_err(w, b.sup, TDM_SUP_RESTART_CHILD, "a"), TDM_OK);
}

/* The list is `ids`, and what is said of one child alone agrees with it. */
static void check_list(struct world *w, tdm_pid sup, const char *ids)
{
    const struct tdm_sup_reply *all =
        sup_answer(w, sup, &(struct tdm_sup_question){ .op = TDM_SUP_WHICH_CHILDREN });

    check_eq(w, all->err, TDM_OK);
    check_eq(w, all->n_children, strlen(ids));
    for (size_t i = 0; i < all->n_children; i++) {
        const struct tdm_child_info *c = &all->children[i];
        char id[2] = { ids[i], '\0' };
        struct tdm_child_info one = sup_child(w, sup, id);
        check(w, strcmp(c->id, id) == 0 && strcmp(one.id, id) == 0);
        check(w, c->state == one.state && c->pid.id == one.pid.id && c->type == one.type);
        check(w,
              c->restart == one.restart && c->significant == one.significant && c->restarts == one.restarts);
        check(w, strcmp(c->module, "worker") == 0 && strcmp(one.module, "worker") == 0);
        check(w, (c->pid.id != 0) == (c->state == TDM_CHILD_RUNNING));
        check(w, c->pid.id == 0 || tdm_alive(w->rt, c->pid));
    }
}

WORLD_TEST(admin, B8_the_list_is_newest_first_and_keeps_its_order)
{
    struct brood b;

    brood_init(&b, w, 5, TDM_PERMANENT);
    b.n = 3;
    b.specs[1].type = TDM_SUPERVISOR;
    brood_start(&b, w, (struct tdm_sup_cfg){ .intensity = 1000 });
    check_list(w, b.sup, "cba");
    check_eq(w, start_it(w, &b, 3)->err, TDM_OK);
    check_list(w, b.sup, "dcba");
    tdm_pid old = brood_pid(&b, w, 1);
    end_by(w, old, END_ERROR);
    brood_renewed(&b, w, 1, old);
    check_list(w, b.sup, "dcba");
    check_eq(w, sup_child(w, b.sup, "b").restarts, 1);
    check_eq(w, sup_err(w, b.sup, TDM_SUP_TERMINATE_CHILD, "c"), TDM_OK);
    check_list(w, b.sup, "dcba");
    check_eq(w, sup_err(w, b.sup, TDM_SUP_DELETE_CHILD, "c"), TDM_OK);
    check_list(w, b.sup, "dba");
    check_eq(w, start_it(w, &b, 4)->err, TDM_OK);
    check_list(w, b.sup, "edba");
}
