/* Group D, continued: a supervisor is asked, and stopped, while a restart is tried again and again. */
#include "sup_fixture.h"

#include <string.h>

enum { ATTEMPT_MS = 500 };

/* The first start succeeds at once; others take their time on the worker's thread, and fail while broken. */
static bool takes_long_and_fails(struct worker_arg *arg, const struct tdm_start *start, int *result)
{
    struct tdm_env *env = arg->w->env;
    struct tdm_parker p = { 0 };
    uint64_t until = env->now_ns(env) + TDM_MS(ATTEMPT_MS);

    if (start->restarts == 0 || !fails_while_broken(arg, start, result))
        return false;
    while (env->now_ns(env) < until)
        env->park(env, &p, until);
    return true;
}

/* One child, which has crashed and does not come up. */
static void start_loop(struct world *w, struct brood *b, enum tdm_strategy strategy)
{
    forget_marks(w);
    brood_init(b, w, 1, TDM_PERMANENT);
    b->args[0].veto = takes_long_and_fails;
    brood_start(b, w, (struct tdm_sup_cfg){ .strategy = strategy, .intensity = 1000 });
    set_broken(w, 0, true);
    end_by(w, brood_pid(b, w, 0), END_ERROR);
    wait_marks(w, "init", 3);
}

/* What is asked is answered within one attempt. Asked at different times within it. */
static void check_answer(struct world *w, tdm_pid sup, const struct tdm_sup_question *question, int err)
{
    for (uint64_t i = 0; i < 4; i++) {
        uint64_t before = w->env->now_ns(w->env);
        check_eq(w, sup_answer(w, sup, question)->err, err);
        check(w, w->env->now_ns(w->env) - before <= TDM_MS(ATTEMPT_MS + 1));
        let_pass(w, TDM_MS(130 * i));
    }
}

SIM_TEST(loop, D11_requests_are_answered_within_one_attempt)
{
    struct brood b;

    start_loop(w, &b, TDM_ONE_FOR_ONE);
    for (int i = 0; i < 4; i++, let_pass(w, TDM_MS(130)))
        check_eq(w, sup_child(w, b.sup, "a").state, TDM_CHILD_RESTARTING);
    check_answer(w, b.sup, &(struct tdm_sup_question){ .op = TDM_SUP_START_CHILD, .spec = &b.specs[0] },
                 TDM_EPRESENT);
    check_answer(w, b.sup, &(struct tdm_sup_question){ .op = TDM_SUP_RESTART_CHILD, .id = "a" }, TDM_EBUSY);
    check_answer(w, b.sup, &(struct tdm_sup_question){ .op = TDM_SUP_DELETE_CHILD, .id = "a" }, TDM_EBUSY);
    check_eq(w, sup_count(w, b.sup).active, 0);
    check(w, tdm_alive(w->rt, b.sup));
}

SIM_TEST(loop, D12_to_terminate_the_child_ends_the_attempts)
{
    struct brood b;

    start_loop(w, &b, TDM_ONE_FOR_ONE);
    let_pass(w, TDM_MS(w->seed % ATTEMPT_MS)); /* anywhere in an attempt */
    check_eq(w, sup_err(w, b.sup, TDM_SUP_TERMINATE_CHILD, "a"), TDM_OK);
    check_eq(w, sup_child(w, b.sup, "a").state, TDM_CHILD_STOPPED);
    size_t starts = marks(w, "init");
    let_pass(w, TDM_S(10));
    check_eq(w, marks(w, "init"), starts);
    set_broken(w, 0, false);
    check_eq(w, sup_err(w, b.sup, TDM_SUP_RESTART_CHILD, "a"), TDM_OK);
    check_eq(w, sup_count(w, b.sup).active, 1);
}

SIM_TEST(loop, D12_the_old_address_removes_a_dynamic_child)
{
    struct brood b;

    start_loop(w, &b, TDM_DYNAMIC);
    tdm_pid old = mark_at(w, "init", 0).pid;
    let_pass(w, TDM_MS(w->seed % ATTEMPT_MS));
    check_eq(w, sup_count(w, b.sup).workers, 1);
    check_eq(w, sup_ask(w, b.sup, TDM_SUP_TERMINATE_CHILD, NULL, old).err, TDM_OK);
    check_eq(w, sup_count(w, b.sup).workers, 0);
    size_t starts = marks(w, "init");
    let_pass(w, TDM_S(10));
    check_eq(w, marks(w, "init"), starts);
    check_eq(w, send_number_place(w, b.places[0], 1), TDM_ENOPROC);
}

/* The same while the next attempt waits for its delay. */
WORLD_TEST(loop, D12_a_child_that_waits_for_its_delay_is_removed_too)
{
    for (int s = TDM_ONE_FOR_ONE; s <= TDM_DYNAMIC; s++) {
        struct brood b;
        forget_marks(w);
        brood_init(&b, w, 1, TDM_PERMANENT);
        brood_start(&b, w,
                    (struct tdm_sup_cfg){ .strategy = (enum tdm_strategy)s,
                                          .intensity = 1000,
                                          .backoff_min_ms = 600000,
                                          .backoff_max_ms = 600000 });
        tdm_pid old = brood_pid(&b, w, 0);
        end_by(w, old, END_ERROR);
        wait_active(w, b.sup, 0);
        check_eq(w, sup_count(w, b.sup).workers, 1);
        bool dynamic = s == TDM_DYNAMIC;
        check_eq(
            w,
            sup_ask(w, b.sup, TDM_SUP_TERMINATE_CHILD, dynamic ? NULL : "a", dynamic ? old : (tdm_pid){ 0 })
                .err,
            TDM_OK);
        check_eq(w, sup_count(w, b.sup).workers, dynamic ? 0 : 1);
        stop_sup(w, b.sup);
        check_eq(w, marks(w, "init"), 1);
    }
}

SIM_TEST(loop, D13_a_stop_ends_within_one_attempt)
{
    for (int s = TDM_ONE_FOR_ONE; s <= TDM_DYNAMIC; s++) {
        struct brood b;
        start_loop(w, &b, (enum tdm_strategy)s);
        let_pass(w, TDM_MS(w->seed % ATTEMPT_MS));
        uint64_t before = w->env->now_ns(w->env);
        stop_sup(w, b.sup);
        check(w, w->env->now_ns(w->env) - before <= TDM_MS(ATTEMPT_MS + 1));
        wait_actor_count(w, 0);
    }
}

WORLD_TEST(loop, D13_a_stop_does_not_wait_for_a_delay)
{
    for (int s = TDM_ONE_FOR_ONE; s <= TDM_DYNAMIC; s++) {
        struct brood b;
        brood_init(&b, w, 1, TDM_PERMANENT);
        forget_marks(w);
        brood_start(&b, w,
                    (struct tdm_sup_cfg){ .strategy = (enum tdm_strategy)s,
                                          .intensity = 1000,
                                          .backoff_min_ms = 600000,
                                          .backoff_max_ms = 600000 });
        end_by(w, brood_pid(&b, w, 0), END_ERROR);
        wait_active(w, b.sup, 0);
        stop_sup(w, b.sup); /* ten minutes would be too long for it */
        wait_actor_count(w, 0);
    }
}
