/* Group A, continued: settings and specs, their defaults, and which are refused. */
#include <string.h>

#include "sup_fixture.h"

/* Refused alike by a check and by a start, with these two words; nothing was started. */
static void check_refused(struct world *w, const struct tdm_sup_cfg *cfg, const char *field,
                          const char *value)
{
    char why[256] = "";
    tdm_pid sup = { 0 };

    check_eq(w, tdm_sup_check(cfg, why, sizeof why), TDM_EINVAL);
    check(w, strstr(why, field) != NULL);
    check(w, strstr(why, value) != NULL);
    check_eq(w, tdm_sup_check(cfg, NULL, 0), TDM_EINVAL);
    log_watch(w);
    check_eq(w, tdm_sup_start(w->rt, cfg, &sup), TDM_EINVAL);
    check_eq(w, sup.id, 0);
    check(w, logged(field) >= 1);
    check_eq(w, marks(w, "init"), 0);
}

WORLD_TEST(spec, A11_defaults_are_filled_in)
{
    struct tdm_sup_cfg inner = { .intensity = 1 };
    struct tdm_child_spec specs[] = {
        CHILD(w, "bare", 1, .restart = 0),
        CHILD(w, "brutal", 2, .shutdown_ms = TDM_SHUTDOWN_BRUTAL),
        { .id = "sup",
          .type = TDM_SUPERVISOR,
          .start = { .behaviour = &tdm_supervisor, .arg = &inner, .arg_bytes = sizeof inner } },
    };
    static const uint32_t shutdown[] = { 5000, TDM_SHUTDOWN_BRUTAL, TDM_SHUTDOWN_INFINITY };
    tdm_pid sup = start_children(w, specs, 3);

    for (size_t i = 0; i < 3; i++) {
        const struct tdm_sup_reply *r =
            sup_answer(w, sup, &(struct tdm_sup_question){ .op = TDM_SUP_GET_SPEC, .id = specs[i].id });
        check_eq(w, r->err, TDM_OK);
        check(w, strcmp(r->spec.id, specs[i].id) == 0);
        check_eq(w, r->spec.restart, TDM_PERMANENT);
        check_eq(w, r->spec.significant, false);
        check_eq(w, r->spec.shutdown_ms, shutdown[i]);
        check_eq(w, r->spec.type, i == 2 ? TDM_SUPERVISOR : TDM_WORKER);
        check_eq(w, r->spec.start_timeout_ms, 0);
        check(w, r->spec.start.behaviour == specs[i].start.behaviour);
        check_eq(w, r->spec.start.arg_bytes, specs[i].start.arg_bytes);
        check_eq(w, memcmp(r->spec.start.arg, specs[i].start.arg, specs[i].start.arg_bytes), 0);
    }
    check_eq(w, sup_err(w, sup, TDM_SUP_GET_SPEC, "nobody"), TDM_ENOTFOUND);
}

/* A period of 0 is the default here, and there is nothing below it. */
WORLD_TEST(spec, A12_settings_out_of_range_are_refused_by_name)
{
    struct tdm_child_spec a = CHILD(w, "a", 1, .restart = 0);
    static const struct {
        struct tdm_sup_cfg cfg;
        const char *field, *value;
    } bad[] = {
        { { .strategy = (enum tdm_strategy)77 }, "strategy", "77" },
        { { .intensity = -1 }, "intensity", "-1" },
        { { .intensity = 100001 }, "intensity", "100001" },
        { { .auto_shutdown = (enum tdm_auto_shutdown)9 }, "auto_shutdown", "9" },
        { { .scope = (enum tdm_intensity_scope)9 }, "scope", "9" },
        { { .backoff_min_ms = 10, .backoff_max_ms = 5 }, "backoff", "10" },
        { { .backoff_jitter = 1.5 }, "jitter", "1.5" },
        { { .backoff_jitter = -0.5 }, "jitter", "-0.5" },
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tdm_sup_cfg cfg = bad[i].cfg;
        cfg.children = &a;
        cfg.n_children = 1;
        check_refused(w, &cfg, bad[i].field, bad[i].value);
    }
}

WORLD_TEST(spec, A13_faulty_specs_are_refused_with_the_field_named)
{
    const struct {
        struct tdm_child_spec spec;
        const char *field;
    } bad[] = {
        { CHILD(w, NULL, 1, .restart = 0), "id" },
        { CHILD(w, "", 1, .restart = 0), "id" },
        { { .id = "a" }, "start" },
        { CHILD(w, "a", 1, .restart = (enum tdm_restart)5), "restart" },
        { CHILD(w, "a", 1, .type = (enum tdm_child_type)5), "type" },
        { CHILD(w, "a", 1, .significant = true), "significant" }, /* permanent */
        { CHILD(w, "a", 1, .significant = true, .restart = TDM_TRANSIENT),
          "significant" }, /* auto_shutdown never */
    };
    tdm_pid sup = start_children(w, NULL, 0);

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tdm_sup_cfg cfg = { .children = &bad[i].spec, .n_children = 1 };
        check_refused(w, &cfg, bad[i].field, "children[0]");
        const struct tdm_sup_reply *r =
            sup_answer(w, sup, &(struct tdm_sup_question){ .op = TDM_SUP_START_CHILD, .spec = &bad[i].spec });
        check_eq(w, r->err, TDM_EINVAL);
        check(w, strstr(r->reason.text, bad[i].field) != NULL);
        check_eq(w, sup_count(w, sup).specs, 0);
    }
    check_eq(w, marks(w, "init"), 0);
}

/* One of the 180 combinations: the verdict of a check, of a start and of start_child. */
static void check_combination(struct world *w, tdm_pid host, const struct tdm_child_spec *spec,
                              enum tdm_auto_shutdown mode)
{
    struct tdm_sup_cfg cfg = { .auto_shutdown = mode, .children = spec, .n_children = 1 };
    bool refused = spec->significant && (spec->restart == TDM_PERMANENT || mode == TDM_AUTO_NEVER);
    tdm_pid sup = { 0 };

    check_eq(w, tdm_sup_check(&cfg, NULL, 0), refused ? TDM_EINVAL : TDM_OK);
    check_eq(w, tdm_sup_start(w->rt, &cfg, &sup), refused ? TDM_EINVAL : TDM_OK);
    if (!refused)
        stop_sup(w, sup);
    check_eq(w, sup_start_child(w, host, spec), refused ? TDM_EINVAL : TDM_OK);
    if (refused)
        return;
    check_eq(w, sup_err(w, host, TDM_SUP_TERMINATE_CHILD, spec->id), TDM_OK);
    if (spec->restart != TDM_TEMPORARY)
        check_eq(w, sup_err(w, host, TDM_SUP_DELETE_CHILD, spec->id), TDM_OK);
}

static void all_of_mode(struct world *w, enum tdm_auto_shutdown mode)
{
    static const uint32_t shutdown[] = { TDM_SHUTDOWN_NOW, 1000, TDM_SHUTDOWN_INFINITY, TDM_SHUTDOWN_BRUTAL,
                                         TDM_SHUTDOWN_DEFAULT };
    struct tdm_sup_cfg cfg = { .auto_shutdown = mode };
    struct worker_arg quiet = { .w = w, .quiet = true };
    tdm_pid host = start_sup(w, &cfg);

    for (unsigned i = 0; i < 60; i++) {
        struct tdm_child_spec spec = { .id = "a",
                                       .restart = (enum tdm_restart)(i % 3),
                                       .type = (enum tdm_child_type)(i / 3 % 2),
                                       .significant = i / 6 % 2 == 1,
                                       .shutdown_ms = shutdown[i / 12],
                                       .start = {
                                           .behaviour = &worker, .arg = &quiet, .arg_bytes = sizeof quiet } };
        check_combination(w, host, &spec, mode);
    }
    stop_sup(w, host);
}

WORLD_TEST_WITH(spec, A14_of_all_combinations_exactly_those_of_the_sheet_are_refused, { .seeds = 200 })
{
    for (int mode = TDM_AUTO_NEVER; mode <= TDM_AUTO_ALL_SIGNIFICANT; mode++)
        all_of_mode(w, (enum tdm_auto_shutdown)mode);
}

WORLD_TEST(spec, A15_two_specs_with_one_id_are_refused)
{
    struct tdm_child_spec twins[] = { CHILD(w, "a", 1, .restart = 0), CHILD(w, "twin", 2, .restart = 0),
                                      CHILD(w, "c", 3, .restart = 0), CHILD(w, "twin", 4, .restart = 0) };
    struct tdm_sup_cfg cfg = { .children = twins, .n_children = 4 };

    check_refused(w, &cfg, "id", "twin");
}

WORLD_TEST(spec, A16_a_dynamic_supervisor_takes_one_template_and_ends_with_nobody)
{
    struct tdm_child_spec two[] = { CHILD(w, "a", 1, .restart = 0), CHILD(w, "b", 2, .restart = 0) };
    struct tdm_sup_cfg cfg = { .strategy = TDM_DYNAMIC };

    check_refused(w, &cfg, "children", "0");
    cfg.children = two;
    cfg.n_children = 2;
    check_refused(w, &cfg, "children", "2");
    cfg.n_children = 1;
    cfg.auto_shutdown = TDM_AUTO_ANY_SIGNIFICANT;
    check_refused(w, &cfg, "auto_shutdown", "dynamic");
    cfg.auto_shutdown = TDM_AUTO_NEVER;
    check_eq(w, tdm_sup_check(&cfg, NULL, 0), TDM_OK);
}
