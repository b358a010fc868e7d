/* Groups A (start) and B (administration). */
#include <string.h>

#include "sup_fixture.h"

WORLD_TEST(supervisor, A1_a_supervisor_without_children_starts_and_stops)
{
    tdm_pid sup = start_children(w, NULL, 0);
    tdm_pid watcher = spawn_worker(w, 1);

    ask(w, watcher, monitor_it, &sup);
    check_eq(w, sup_count(w, sup).specs, 0);
    stop_sup(w, sup);
    wait_marks(w, "down", 1);
    check_eq(w, mark_at(w, "down", 0).reason.kind, TDM_EXIT_SHUTDOWN);
}

WORLD_TEST(supervisor, A4_a_name_is_free_again_when_the_start_has_failed)
{
    struct tdm_child_spec bad[] = { CHILD(w, "a", 1, .restart = TDM_PERMANENT) };
    struct worker_arg arg = { .w = w, .number = 1, .init_result = TDM_EPEER };
    struct tdm_sup_cfg cfg = { .name = "front", .children = bad, .n_children = 1 };
    tdm_pid sup;

    bad[0].start.arg = &arg;
    check_eq(w, tdm_sup_start(w->rt, &cfg, &sup), TDM_EPEER);
    check_eq(w, tdm_whereis(w->rt, "front", 5).id, 0);
    arg.init_result = TDM_OK;
    check_eq(w, tdm_sup_start(w->rt, &cfg, &sup), TDM_OK);
    check_eq(w, tdm_whereis(w->rt, "front", 5).id, sup.id);
}

WORLD_TEST(supervisor, A5_children_start_in_list_order)
{
    struct tdm_child_spec specs[] = { CHILD(w, "e", 0, .restart = 0), CHILD(w, "b", 1, .restart = 0),
                                      CHILD(w, "d", 2, .restart = 0), CHILD(w, "a", 3, .restart = 0),
                                      CHILD(w, "c", 4, .restart = 0) };

    start_children(w, specs, 5);
    check_eq(w, marks(w, "init"), 5);
    for (uint64_t i = 0; i < 5; i++)
        check_eq(w, mark_at(w, "init", i).n, i);
}

WORLD_TEST(supervisor, A6_a_failed_child_takes_back_those_before_it_and_never_starts_those_after)
{
    struct tdm_child_spec specs[] = { CHILD(w, "a", 1, .restart = 0), CHILD(w, "b", 2, .restart = 0),
                                      CHILD(w, "c", 3, .restart = 0), CHILD(w, "d", 4, .restart = 0),
                                      CHILD(w, "e", 5, .restart = 0) };
    struct worker_arg fails = { .w = w, .number = 3, .init_result = TDM_ECONN };
    struct tdm_sup_cfg cfg = { .children = specs, .n_children = 5 };
    tdm_pid sup;

    specs[2].start.arg = &fails;
    log_watch(w);
    check_eq(w, tdm_sup_start(w->rt, &cfg, &sup), TDM_ECONN);
    check_eq(w, marks(w, "init"), 3);
    check_eq(w, marks(w, "term"), 2);
    check_eq(w, mark_at(w, "term", 0).n, 2);
    check_eq(w, mark_at(w, "term", 1).n, 1);
    check_eq(w, mark_at(w, "term", 0).reason.kind, TDM_EXIT_SHUTDOWN);
    check_eq(w, logged("supervisor.start_error"), 1);
    wait_actor_count(w, 0);
}

WORLD_TEST(supervisor, A7_a_permanent_child_that_returns_ignore_is_kept_stopped)
{
    struct tdm_child_spec specs[] = { CHILD(w, "a", 1, .restart = TDM_PERMANENT),
                                      CHILD(w, "b", 2, .restart = 0) };
    struct worker_arg ignores = { .w = w, .number = 1, .init_result = TDM_IGNORE };

    specs[0].start.arg = &ignores;
    tdm_pid sup = start_children(w, specs, 2);
    check_eq(w, sup_count(w, sup).specs, 2);
    check_eq(w, sup_count(w, sup).active, 1);
}

WORLD_TEST(supervisor, A8_a_temporary_child_that_returns_ignore_leaves_no_entry)
{
    struct tdm_child_spec specs[] = { CHILD(w, "a", 1, .restart = TDM_TEMPORARY) };
    struct worker_arg ignores = { .w = w, .number = 1, .init_result = TDM_IGNORE };

    specs[0].start.arg = &ignores;
    tdm_pid sup = start_children(w, specs, 1);
    check_eq(w, sup_count(w, sup).specs, 0);
    check_eq(w, sup_ask(w, sup, TDM_SUP_WHICH, "a", (tdm_pid){ 0 }).err, TDM_ENOTFOUND);
}

WORLD_TEST(supervisor, A9_a_dynamic_start_that_returns_ignore_records_nothing)
{
    for (int i = 0; i < 2; i++) {
        struct tdm_child_spec t = CHILD(w, "t", 0, .restart = i == 0 ? TDM_TEMPORARY : TDM_PERMANENT);
        struct worker_arg ignores = { .w = w, .number = 1, .init_result = TDM_IGNORE };
        tdm_pid sup = start_template(w, &t);
        log_watch(w);
        check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &ignores, sizeof ignores, NULL, NULL), TDM_OK);
        wait_actor_count(w, 1);
        check_eq(w, sup_count(w, sup).active, 0);
        stop_sup(w, sup);
        check_eq(w, logged("shutdown_error"), 0);
        wait_actor_count(w, 0);
    }
}

WORLD_TEST(supervisor, A12_settings_out_of_range_are_refused_by_name)
{
    struct tdm_child_spec a = CHILD(w, "a", 1, .restart = 0);
    struct tdm_sup_cfg bad[] = { { .strategy = (enum tdm_strategy)77 },
                                 { .intensity = -2 },
                                 { .scope = (enum tdm_intensity_scope)9 },
                                 { .backoff_min_ms = 10, .backoff_max_ms = 5 },
                                 { .backoff_jitter = 1.5 } };
    const char *fields[] = { "field=strategy", "field=intensity", "field=intensity_scope", "field=backoff",
                             "field=backoff" };
    tdm_pid sup;

    for (size_t i = 0; i < 5; i++) {
        bad[i].children = &a;
        bad[i].n_children = 1;
        log_watch(w);
        check_eq(w, tdm_sup_start(w->rt, &bad[i], &sup), TDM_EINVAL);
        check_eq(w, logged(fields[i]), 1);
    }
    check_eq(w, marks(w, "init"), 0);
}

WORLD_TEST(supervisor, A13_A15_faulty_specs_are_refused_with_the_field_named)
{
    struct tdm_child_spec bad[] = { CHILD(w, NULL, 1, .restart = 0),
                                    CHILD(w, "", 1, .restart = 0),
                                    { .id = "a" },
                                    CHILD(w, "a", 1, .restart = (enum tdm_restart)5),
                                    CHILD(w, "a", 1, .type = (enum tdm_child_type)5) };
    struct tdm_child_spec twins[] = { CHILD(w, "a", 1, .restart = 0), CHILD(w, "a", 2, .restart = 0) };
    const char *fields[] = { "field=id", "field=id", "field=start", "field=restart", "field=type" };
    tdm_pid sup;

    for (size_t i = 0; i < 5; i++) {
        struct tdm_sup_cfg cfg = { .children = &bad[i], .n_children = 1 };
        log_watch(w);
        check_eq(w, tdm_sup_start(w->rt, &cfg, &sup), TDM_EINVAL);
        check_eq(w, logged(fields[i]), 1);
    }
    struct tdm_sup_cfg cfg = { .children = twins, .n_children = 2 };
    log_watch(w);
    check_eq(w, tdm_sup_start(w->rt, &cfg, &sup), TDM_EINVAL);
    check_eq(w, logged("child=a"), 1);
    check_eq(w, marks(w, "init"), 0);
}

WORLD_TEST(supervisor, A16_a_dynamic_supervisor_takes_one_template)
{
    struct tdm_child_spec two[] = { CHILD(w, "a", 1, .restart = 0), CHILD(w, "b", 2, .restart = 0) };
    struct tdm_sup_cfg cfg = { .strategy = TDM_DYNAMIC };
    tdm_pid sup;

    check_eq(w, tdm_sup_start(w->rt, &cfg, &sup), TDM_EINVAL);
    cfg.children = two;
    cfg.n_children = 2;
    check_eq(w, tdm_sup_start(w->rt, &cfg, &sup), TDM_EINVAL);
}

WORLD_TEST(supervisor, A17_a_dynamic_start_that_fails_or_crashes_leaves_no_entry)
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT);
    int results[] = { TDM_ECONN, 77 };
    tdm_pid sup = start_template(w, &t);

    for (int i = 0; i < 2; i++) {
        struct worker_arg arg = { .w = w, .number = 1, .init_result = results[i] };
        check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &arg, sizeof arg, NULL, NULL), TDM_OK);
    }
    wait_actor_count(w, 1);
    check_eq(w, marks(w, "init"), 2);
    check_eq(w, sup_count(w, sup).workers, 0);
}

WORLD_TEST(supervisor, A18_a_child_that_dies_at_once_is_not_missed)
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_TEMPORARY);
    tdm_pid sup = start_template(w, &t);
    size_t rounds = w->sim ? 50 : 10000;

    for (size_t i = 0; i < rounds; i++) {
        tdm_place p = start_dynamic(w, sup, i);
        tell_place(w, p, exit_error, NULL);
    }
    wait_marks(w, "term", rounds);
    wait_actor_count(w, 1);
    check_eq(w, sup_count(w, sup).active, 0);
}

WORLD_TEST(supervisor, B1_administration_of_a_static_child)
{
    struct tdm_child_spec specs[] = { CHILD(w, "a", 1, .restart = TDM_PERMANENT) };
    tdm_pid nobody = { 0 };
    tdm_pid sup = start_children(w, specs, 1);

    /* running */
    check_eq(w, sup_ask(w, sup, TDM_SUP_RESTART_CHILD, "a", nobody).err, TDM_EEXIST);
    check_eq(w, sup_ask(w, sup, TDM_SUP_DELETE_CHILD, "a", nobody).err, TDM_ESTATE);
    tdm_pid first = child_pid(w, sup, "a");
    check(w, first.id != 0);
    /* stopped */
    check_eq(w, sup_ask(w, sup, TDM_SUP_TERMINATE_CHILD, "a", nobody).err, TDM_OK);
    check(w, !tdm_alive(w->rt, first));
    check_eq(w, sup_count(w, sup).active, 0);
    check_eq(w, sup_count(w, sup).specs, 1);
    struct tdm_sup_reply again = sup_ask(w, sup, TDM_SUP_RESTART_CHILD, "a", nobody);
    check_eq(w, again.err, TDM_OK);
    check(w, again.pid.id != first.id && tdm_alive(w->rt, again.pid));
    check_eq(w, sup_ask(w, sup, TDM_SUP_TERMINATE_CHILD, "a", nobody).err, TDM_OK);
    check_eq(w, sup_ask(w, sup, TDM_SUP_DELETE_CHILD, "a", nobody).err, TDM_OK);
    check_eq(w, sup_count(w, sup).specs, 0);
    /* unknown */
    enum tdm_sup_op ops[] = { TDM_SUP_RESTART_CHILD, TDM_SUP_TERMINATE_CHILD, TDM_SUP_DELETE_CHILD,
                              TDM_SUP_WHICH };
    for (size_t i = 0; i < 4; i++)
        check_eq(w, sup_ask(w, sup, ops[i], "a", nobody).err, TDM_ENOTFOUND);
}

WORLD_TEST(supervisor, B2_to_terminate_twice_is_fine)
{
    struct tdm_child_spec specs[] = { CHILD(w, "a", 1, .restart = TDM_PERMANENT) };
    tdm_pid sup = start_children(w, specs, 1);

    for (int i = 0; i < 2; i++)
        check_eq(w, sup_ask(w, sup, TDM_SUP_TERMINATE_CHILD, "a", (tdm_pid){ 0 }).err, TDM_OK);
    check_eq(w, marks(w, "term"), 1);
}

WORLD_TEST(supervisor, B5_dynamic_children_are_stopped_by_address)
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT);
    tdm_pid sup = start_template(w, &t);
    tdm_pid stranger = spawn_worker(w, 99);
    tdm_place p = start_dynamic(w, sup, 1);
    tdm_pid pid = tdm_place_pid(w->rt, p);

    check_eq(w, sup_ask(w, sup, TDM_SUP_TERMINATE_CHILD, NULL, pid).err, TDM_OK);
    check(w, !tdm_alive(w->rt, pid));
    check_eq(w, tdm_place_pid(w->rt, p).id, 0); /* not restarted, permanent though it is */
    check_eq(w, sup_ask(w, sup, TDM_SUP_TERMINATE_CHILD, NULL, pid).err, TDM_OK);
    check_eq(w, sup_ask(w, sup, TDM_SUP_TERMINATE_CHILD, NULL, stranger).err, TDM_ENOTFOUND);
    check(w, tdm_alive(w->rt, stranger));
    check_eq(w, sup_ask(w, sup, TDM_SUP_TERMINATE_CHILD, "t", (tdm_pid){ 0 }).err, TDM_ENOTSUP);
    check_eq(w, sup_ask(w, sup, TDM_SUP_RESTART_CHILD, "t", (tdm_pid){ 0 }).err, TDM_ENOTSUP);
    check_eq(w, sup_ask(w, sup, TDM_SUP_DELETE_CHILD, "t", (tdm_pid){ 0 }).err, TDM_ENOTSUP);
}

WORLD_TEST(supervisor, B6_a_supervisor_that_is_not_there_gives_noproc)
{
    tdm_pid sup = start_children(w, NULL, 0);

    stop_sup(w, sup);
    for (int op = TDM_SUP_COUNT; op <= TDM_SUP_WHICH; op++)
        check_eq(w, sup_ask(w, sup, (enum tdm_sup_op)op, "a", (tdm_pid){ 0 }).err, TDM_ENOPROC);
}

static bool fail_after_first(struct worker_arg *arg, const struct tdm_start *start, int *result)
{
    (void)start;
    if (marks_of(arg->w, "init", arg->number) < 2)
        return false;
    *result = TDM_ECONN;
    return true;
}

WORLD_TEST(supervisor, B7_a_restart_on_request_that_fails_is_not_tried_again)
{
    struct worker_arg arg = { .w = w, .number = 1, .veto = fail_after_first };
    struct tdm_child_spec specs[] = { CHILD(w, "a", 1, .restart = TDM_PERMANENT) };
    struct tdm_sup_cfg cfg = { .intensity = 0, .children = specs, .n_children = 1 };

    specs[0].start.arg = &arg;
    tdm_pid sup = start_sup(w, &cfg);
    check_eq(w, sup_ask(w, sup, TDM_SUP_TERMINATE_CHILD, "a", (tdm_pid){ 0 }).err, TDM_OK);
    check_eq(w, sup_ask(w, sup, TDM_SUP_RESTART_CHILD, "a", (tdm_pid){ 0 }).err, TDM_ECONN);
    if (w->sim)
        let_pass(w, TDM_S(1));
    check_eq(w, marks(w, "init"), 2);
    check_eq(w, sup_count(w, sup).active, 0);
    check_eq(w, sup_count(w, sup).specs, 1);
}

WORLD_TEST_WITH(supervisor, B9_dynamic_counts_follow_the_children, { .seeds = 5 })
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_TEMPORARY);
    tdm_pid sup = start_template(w, &t);

    for (uint64_t i = 0; i < 1000; i++)
        start_dynamic(w, sup, i);
    check_eq(w, sup_count(w, sup).active, 1000);
    check_eq(w, sup_count(w, sup).workers, 1000);
    check_eq(w, tdm_sup_active(w->rt, sup), 1000);
    wait_marks(w, "init", 1000);
    for (size_t i = 0; i < 1000; i++)
        tdm_kill(w->rt, mark_at(w, "init", i).pid);
    wait_actor_count(w, 1);
    check_eq(w, sup_count(w, sup).active, 0);
}

WORLD_TEST(supervisor, a_dynamic_supervisor_takes_so_many_children_and_no_more)
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_TEMPORARY);
    struct tdm_sup_cfg cfg = { .strategy = TDM_DYNAMIC, .max_children = 3, .children = &t, .n_children = 1 };
    struct worker_arg arg = { .w = w, .number = 4 };
    tdm_pid sup = start_sup(w, &cfg);

    for (uint64_t i = 1; i <= 3; i++)
        start_dynamic(w, sup, i);
    check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &arg, sizeof arg, NULL, NULL), TDM_EBUSY);
    wait_marks(w, "init", 3);
    tell(w, mark_at(w, "init", 0).pid, exit_normal, NULL);
    wait_actor_count(w, 3);
    start_dynamic(w, sup, 5);
}
