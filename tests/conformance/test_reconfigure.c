/* Check L5: new settings and specs for a supervisor that runs. What that means for significant children: G7. */
#include <string.h>

#include "sup_fixture.h"

static const struct tdm_sup_reply *give(struct world *w, tdm_pid sup, const struct tdm_sup_cfg *cfg)
{
    return sup_answer(w, sup, &(struct tdm_sup_question){ .op = TDM_SUP_RECONFIGURE, .cfg = cfg });
}

static struct tdm_child_spec spec_of(struct world *w, tdm_pid sup, const char *id, tdm_pid pid)
{
    const struct tdm_sup_reply *r =
        sup_answer(w, sup, &(struct tdm_sup_question){ .op = TDM_SUP_GET_SPEC, .id = id, .pid = pid });

    check_eq(w, r->err, TDM_OK);
    return r->spec;
}

WORLD_TEST(reconfigure, L5_known_ids_are_updated_new_ones_stopped_missing_ones_kept)
{
    struct brood b;

    brood_init(&b, w, 4, TDM_PERMANENT);
    b.n = 2;
    brood_start(&b, w, (struct tdm_sup_cfg){ .intensity = 1000 });
    tdm_pid a = brood_pid(&b, w, 0), other = brood_pid(&b, w, 1);
    struct tdm_child_spec changed[] = { b.specs[0], b.specs[2] }; /* a, c */
    struct worker_arg renumbered = { .w = w, .number = 50 };
    changed[0].restart = TDM_TRANSIENT;
    changed[0].shutdown_ms = 77;
    changed[0].start.arg = &renumbered;
    struct tdm_sup_cfg cfg = { .intensity = 500, .children = changed, .n_children = 2 };
    check_eq(w, give(w, b.sup, &cfg)->err, TDM_OK);

    check_eq(w, brood_pid(&b, w, 0).id, a.id);
    check_eq(w, brood_pid(&b, w, 1).id, other.id);
    check_eq(w, spec_of(w, b.sup, "a", (tdm_pid){ 0 }).shutdown_ms, 77);
    check_eq(w, sup_child(w, b.sup, "c").state, TDM_CHILD_STOPPED);
    check_eq(w, sup_count(w, b.sup).specs, 3);
    check_eq(w, marks(w, "init"), 2);

    end_by(w, a, END_ERROR); /* the next incarnation is of the new spec */
    wait_marks_of(w, "init", 50, 1);
    a = brood_renewed(&b, w, 0, a);
    end_by(w, a, END_NORMAL); /* transient now */
    wait_state(w, b.sup, "a", TDM_CHILD_STOPPED);
    check_eq(w, sup_err(w, b.sup, TDM_SUP_RESTART_CHILD, "c"), TDM_OK);
    end_by(w, other, END_ERROR); /* as it was */
    brood_renewed(&b, w, 1, other);
}

WORLD_TEST(reconfigure, L5_new_limits_hold_from_then_on)
{
    struct brood b;

    brood_init(&b, w, 1, TDM_PERMANENT);
    brood_start(&b, w, (struct tdm_sup_cfg){ .intensity = 1000 });
    struct tdm_sup_cfg cfg = { .intensity = 0, .children = b.specs, .n_children = 1 };
    check_eq(w, give(w, b.sup, &cfg)->err, TDM_OK);
    end_by(w, brood_pid(&b, w, 0), END_ERROR);
    wait_end(w, b.sup);
    check_eq(w, marks(w, "init"), 1);
}

WORLD_TEST(reconfigure, L5_a_list_that_is_refused_changes_nothing)
{
    struct brood b;

    brood_init(&b, w, 2, TDM_PERMANENT);
    b.n = 1;
    brood_start(&b, w, (struct tdm_sup_cfg){ .intensity = 1000 });
    tdm_pid a = brood_pid(&b, w, 0);
    struct tdm_child_spec faulty[] = { b.specs[0], b.specs[1], b.specs[1] }; /* b twice */
    faulty[0].shutdown_ms = 77;
    struct tdm_sup_cfg cfg = { .intensity = 0, .children = faulty, .n_children = 3 };
    check_eq(w, give(w, b.sup, &cfg)->err, TDM_EINVAL);
    cfg.n_children = 2;
    cfg.intensity = -1;
    check_eq(w, give(w, b.sup, &cfg)->err, TDM_EINVAL);
    check_eq(w, spec_of(w, b.sup, "a", (tdm_pid){ 0 }).shutdown_ms, 5000);
    check_eq(w, sup_count(w, b.sup).specs, 1);
    end_by(w, a, END_ERROR); /* not with an intensity of 0 */
    brood_renewed(&b, w, 0, a);
}

WORLD_TEST(reconfigure, L5_a_template_is_used_from_the_next_start)
{
    struct brood b;

    brood_init(&b, w, 2, TDM_PERMANENT);
    brood_start(&b, w, (struct tdm_sup_cfg){ .strategy = TDM_DYNAMIC, .intensity = 1000 });
    tdm_pid old = brood_pid(&b, w, 0);
    struct worker_arg renumbered = { .w = w, .number = 50 };
    struct tdm_child_spec templates[] = { b.specs[0], b.specs[0] };
    templates[0].start.arg = &renumbered;
    templates[0].restart = TDM_TEMPORARY;
    struct tdm_sup_cfg cfg = { .strategy = TDM_DYNAMIC, .intensity = 1000, .children = templates };
    for (size_t n = 0; n <= 2; n += 2) {
        cfg.n_children = n;
        check_eq(w, give(w, b.sup, &cfg)->err, TDM_EINVAL);
    }
    check_eq(w, spec_of(w, b.sup, NULL, old).restart, TDM_PERMANENT);
    cfg.n_children = 1;
    check_eq(w, give(w, b.sup, &cfg)->err, TDM_OK);
    check_eq(w, brood_pid(&b, w, 0).id, old.id);
    tdm_place p;
    check_eq(w, tdm_sup_start_dynamic(w->rt, b.sup, NULL, 0, NULL, &p), TDM_OK);
    wait_marks_of(w, "init", 50, 1);
    tell_place(w, p, exit_error, NULL);
    while (tell_place(w, p, do_nothing, NULL) == TDM_OK)
        let_pass(w, TDM_MS(1));
    check_eq(w, marks_of(w, "init", 50), 1); /* temporary */
}
