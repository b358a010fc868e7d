/* Tests of runtime/supervisor.c and family.c beyond the numbered checks (tests/conformance). */
#include "sup_fixture.h"

#include <string.h>

SIM_TEST_WITH(supervisor, every_allocation_of_a_start_may_fail, { .seeds = 3 })
{
    struct tdm_child_spec specs[] = { CHILD(w, "a", 1, .restart = 0), CHILD(w, "b", 2, .restart = 0) };
    struct tdm_sup_cfg cfg = { .name = "s", .intensity = 0, .children = specs, .n_children = 2 };
    tdm_pid sup;
    int err = TDM_ENOMEM;

    for (uint64_t nth = 1; err != TDM_OK; nth++) {
        check(w, nth < 200);
        tdm_env_sim_fail_alloc(w->env, nth, false);
        err = tdm_sup_start(w->rt, &cfg, &sup);
        bool failed = tdm_env_sim_fail_alloc(w->env, 0, false) >= nth;
        check(w, err == TDM_OK || err == TDM_ENOMEM);
        if (err == TDM_OK && failed) { /* it could do without, or gave a child up */
            stop_sup(w, sup);
            err = TDM_ENOMEM;
        }
        if (err < 0) {
            wait_actor_count(w, 0);
            check_eq(w, tdm_whereis(w->rt, "s", 1).id, 0);
        }
    }
    stop_sup(w, sup);
}

SIM_TEST_WITH(supervisor, every_allocation_of_a_dynamic_start_and_a_restart_may_fail, { .seeds = 3 })
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT);
    struct worker_arg arg = { .w = w, .number = 1 };
    tdm_pid sup = start_template(w, &t);

    for (uint64_t nth = 1; nth < 30; nth++) {
        tdm_place p = { 0 };
        tdm_env_sim_fail_alloc(w->env, nth, false);
        int err = tdm_sup_start_dynamic(w->rt, sup, &arg, sizeof arg, "tag", &p);
        check(w, err == TDM_OK || err == TDM_ENOMEM);
        if (err == TDM_OK)
            (void)tell_place(w, p, exit_error, NULL);
        let_pass(w, TDM_MS(5));
        tdm_env_sim_fail_alloc(w->env, 0, false);
    }
    stop_sup(w, sup);
    wait_actor_count(w, 0);
}

SIM_TEST_WITH(supervisor, every_allocation_of_a_request_may_fail, { .seeds = 3 })
{
    struct tdm_child_spec a = CHILD(w, "a", 1, .restart = TDM_PERMANENT);
    tdm_pid sup = start_children(w, &a, 1);

    for (uint64_t nth = 1; nth < 25; nth++) {
        tdm_pid pid = child_pid(w, sup, "a");
        tdm_env_sim_fail_alloc(w->env, nth, false);
        tdm_stop(w->rt, pid); /* permanent: restarted */
        let_pass(w, TDM_MS(5));
        tdm_env_sim_fail_alloc(w->env, 0, false);
    }
    struct tdm_sup_reply r = sup_ask(w, sup, TDM_SUP_TERMINATE_CHILD, "a", (tdm_pid){ 0 });
    check(w, r.err == TDM_OK || r.err == TDM_ENOPROC);
}

static bool slow_start(struct worker_arg *arg, const struct tdm_start *start, int *result)
{
    struct tdm_parker p = { 0 };
    struct tdm_env *env = arg->w->env;
    uint64_t until = env->now_ns(env) + TDM_MS(50);

    (void)start, (void)result;
    while (env->now_ns(env) < until)
        env->park(env, &p, until);
    return false;
}

SIM_TEST(supervisor, requests_wait_until_the_start_is_through)
{
    struct worker_arg arg = { .w = w, .number = 1, .veto = slow_start };
    struct tdm_child_spec inner_children[] = { CHILD(w, "leaf", 1, .restart = 0) };
    inner_children[0].start.arg = &arg;
    struct tdm_sup_cfg inner = {
        .name = "inner", .intensity = 5, .children = inner_children, .n_children = 1
    };
    struct tdm_child_spec outer_children[] = { TDM_SUP_CHILD("inner", &inner) };
    tdm_pid outer = start_children(w, outer_children, 1);
    tdm_pid first = child_pid(w, outer, "inner");

    tdm_kill(w->rt, first);
    tdm_pid second;
    while ((second = tdm_whereis(w->rt, "inner", 5)).id == 0 || second.id == first.id)
        let_pass(w, TDM_MS(1));
    struct tdm_sup_reply r = sup_count(w, second); /* it is starting its leaf */
    check_eq(w, r.err, TDM_OK);
    check_eq(w, r.active, 1);
    check_eq(w, marks(w, "init"), 2);
}

SIM_TEST(supervisor, a_supervisor_that_is_killed_while_it_holds_requests_loses_no_memory)
{
    struct worker_arg arg = { .w = w, .number = 1, .veto = slow_start };
    struct tdm_child_spec inner_children[] = { CHILD(w, "leaf", 1, .restart = 0) };
    inner_children[0].start.arg = &arg;
    struct tdm_sup_cfg inner = {
        .name = "inner", .intensity = 5, .children = inner_children, .n_children = 1
    };
    struct tdm_child_spec outer_children[] = { TDM_SUP_CHILD("inner", &inner) };
    tdm_pid outer = start_children(w, outer_children, 1);
    tdm_pid first = child_pid(w, outer, "inner"), second, watcher = spawn_worker(w, 9);

    tdm_kill(w->rt, first);
    while ((second = tdm_whereis(w->rt, "inner", 5)).id == 0 || second.id == first.id)
        let_pass(w, TDM_MS(1));
    ask(w, watcher, monitor_it, &second);
    tdm_kill(w->rt, second);
    check_eq(w, sup_count(w, second).err, TDM_ENOPROC);
    wait_marks(w, "down", 1);
}

WORLD_TEST(supervisor, terminate_asked_twice_is_answered_twice)
{
    struct tdm_child_spec a = CHILD(w, "a", 1, .restart = 0);
    tdm_pid sup = start_children(w, &a, 1);

    for (int i = 0; i < 2; i++)
        check_eq(w, sup_ask(w, sup, TDM_SUP_TERMINATE_CHILD, "a", (tdm_pid){ 0 }).err, TDM_OK);
    check_eq(w, sup_count(w, sup).active, 0);
}

WORLD_TEST(supervisor, a_killed_supervisor_and_children_that_end_at_the_same_time)
{
    for (int i = 0; i < (w->sim ? 2 : 200); i++) {
        struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT);
        struct worker_arg quiet = { .w = w, .number = 1, .quiet = true };
        tdm_pid sup = start_template(w, &t);
        tdm_place p[10];
        for (int k = 0; k < 10; k++)
            check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &quiet, sizeof quiet, NULL, &p[k]), TDM_OK);
        for (int k = 0; k < 10; k++)
            (void)tell_place(w, p[k], k % 2 == 0 ? exit_normal : exit_error, NULL);
        tdm_kill(w->rt, sup);
        wait_actor_count(w, 0);
    }
}
