/* Group B, continued: administration of dynamic children, and what a supervisor keeps in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sup_fixture.h"

static struct tdm_sup_reply of_pid(struct world *w, tdm_pid sup, enum tdm_sup_op op, tdm_pid pid)
{
    return sup_ask(w, sup, op, NULL, pid);
}

WORLD_TEST(admin, B5_dynamic_children_are_stopped_by_address)
{
    struct brood b;
    tdm_pid stranger = spawn_worker(w, 99);

    brood_init(&b, w, 2, TDM_PERMANENT);
    brood_start(&b, w, (struct tdm_sup_cfg){ .strategy = TDM_DYNAMIC, .intensity = 1000 });
    tdm_pid pid = brood_pid(&b, w, 0), other = brood_pid(&b, w, 1);
    for (int i = 0; i < 2; i++)
        check_eq(w, of_pid(w, b.sup, TDM_SUP_TERMINATE_CHILD, pid).err, TDM_OK);
    check(w, !tdm_alive(w->rt, pid));
    check_eq(w, brood_pid(&b, w, 0).id, 0); /* not restarted, permanent though it is */
    check_eq(w, of_pid(w, b.sup, TDM_SUP_TERMINATE_CHILD, stranger).err, TDM_ENOTFOUND);
    check(w, tdm_alive(w->rt, stranger));
    static const enum tdm_sup_op ops[] = { TDM_SUP_TERMINATE_CHILD, TDM_SUP_RESTART_CHILD,
                                           TDM_SUP_DELETE_CHILD };
    for (size_t i = 0; i < 3; i++)
        check_eq(w, sup_err(w, b.sup, ops[i], "a"), TDM_ENOTSUP);
    for (size_t i = 1; i < 3; i++)
        check_eq(w, of_pid(w, b.sup, ops[i], other).err, TDM_ENOTSUP);
    check_eq(w, brood_pid(&b, w, 1).id, other.id);
}

/* Until its start is through: before, the address of the one before it names it too. */
static void wait_up(struct world *w, tdm_pid sup, tdm_pid pid)
{
    struct tdm_sup_question which = { .op = TDM_SUP_WHICH, .pid = pid };

    for (;; let_pass(w, TDM_MS(1))) {
        const struct tdm_sup_reply *r = sup_answer(w, sup, &which);
        check_eq(w, r->err, TDM_OK);
        if (r->n_children == 1 && r->children[0].state == TDM_CHILD_RUNNING)
            return;
    }
}

WORLD_TEST(admin, B5_the_address_of_an_earlier_incarnation_is_dead_too)
{
    struct brood b;

    brood_init(&b, w, 1, TDM_PERMANENT);
    brood_start(&b, w, (struct tdm_sup_cfg){ .strategy = TDM_DYNAMIC, .intensity = 1000 });
    tdm_pid old = brood_pid(&b, w, 0);
    end_by(w, old, END_ERROR);
    tdm_pid now = brood_renewed(&b, w, 0, old);
    wait_up(w, b.sup, now);
    check_eq(w, of_pid(w, b.sup, TDM_SUP_TERMINATE_CHILD, old).err, TDM_OK);
    check_eq(w, brood_pid(&b, w, 0).id, now.id);
    check(w, tdm_alive(w->rt, now));
}

static void check_counts(struct world *w, tdm_pid sup, enum tdm_child_type type, uint32_t n)
{
    struct tdm_sup_reply r = sup_count(w, sup);

    check_eq(w, r.specs, 1);
    check_eq(w, r.active, n);
    check_eq(w, r.workers, type == TDM_WORKER ? n : 0);
    check_eq(w, r.supervisors, type == TDM_SUPERVISOR ? n : 0);
    check_eq(w, tdm_sup_active(w->rt, sup), n);
}

/* A thousand children, another thousand, none. */
static void count_many(struct world *w, const struct tdm_child_spec *spec)
{
    tdm_pid sup = start_template(w, spec);
    tdm_place *p = malloc(2000 * sizeof *p);

    for (uint32_t i = 0; i < 2000; i++) {
        if (i == 1000)
            check_counts(w, sup, spec->type, 1000);
        check_eq(w, tdm_sup_start_dynamic(w->rt, sup, NULL, 0, NULL, &p[i]), TDM_OK);
    }
    check_counts(w, sup, spec->type, 2000);
    for (uint32_t i = 0; i < 2000; i++)
        check_eq(w, tdm_kill(w->rt, tdm_place_pid(w->rt, p[i])), TDM_OK);
    wait_active(w, sup, 0);
    wait_actor_count(w, 1);
    check_counts(w, sup, spec->type, 0);
    stop_sup(w, sup);
    free(p);
}

WORLD_TEST_WITH(admin, B9_dynamic_counts_follow_the_children, { .seeds = 200 })
{
    struct tdm_sup_cfg inner = { .intensity = 1 };
    struct tdm_child_spec as_worker = CHILD(w, "t", 0, .restart = TDM_TEMPORARY);
    struct tdm_child_spec as_supervisor = TDM_SUP_CHILD("t", &inner);

    as_supervisor.restart = TDM_TEMPORARY;
    count_many(w, &as_worker);
    count_many(w, &as_supervisor);
}

WORLD_TEST(admin, B10_children_that_do_not_come_up_are_counted_but_not_active)
{
    struct brood b;
    tdm_pid old[3];

    brood_init(&b, w, 3, TDM_PERMANENT);
    for (size_t i = 0; i < 3; i++)
        b.args[i].veto = fails_while_broken;
    brood_start(&b, w,
                (struct tdm_sup_cfg){
                    .strategy = TDM_DYNAMIC, .intensity = 100000, .backoff_min_ms = 2, .backoff_max_ms = 2 });
    for (size_t i = 0; i < 3; i++)
        old[i] = brood_pid(&b, w, i);
    for (uint64_t i = 0; i < 2; i++) {
        set_broken(w, i, true);
        end_by(w, old[i], END_ERROR);
        wait_marks_of(w, "init", i, 3);
    }
    wait_active(w, b.sup, 1);
    check_eq(w, sup_count(w, b.sup).workers, 3);
    for (uint64_t i = 0; i < 2; i++)
        set_broken(w, i, false);
    wait_active(w, b.sup, 3);
    check_eq(w, sup_count(w, b.sup).workers, 3);
    check_eq(w, of_pid(w, b.sup, TDM_SUP_TERMINATE_CHILD, brood_pid(&b, w, 0)).err, TDM_OK);
    check_eq(w, sup_count(w, b.sup).active, 2);
    check_eq(w, sup_count(w, b.sup).workers, 2);
    check_eq(w, brood_pid(&b, w, 2).id, old[2].id);
}

WORLD_TEST(admin, B11_the_spec_of_a_dynamic_child_is_the_template)
{
    struct brood b;
    tdm_pid stranger = spawn_worker(w, 99);

    brood_init(&b, w, 2, TDM_TRANSIENT);
    brood_start(&b, w, (struct tdm_sup_cfg){ .strategy = TDM_DYNAMIC, .intensity = 1000 });
    struct tdm_sup_question question = { .op = TDM_SUP_GET_SPEC, .pid = brood_pid(&b, w, 1) };
    const struct tdm_sup_reply *r = sup_answer(w, b.sup, &question);
    check_eq(w, r->err, TDM_OK);
    check_eq(w, r->spec.restart, TDM_TRANSIENT);
    check_eq(w, r->spec.shutdown_ms, 5000);
    check_eq(w, r->spec.type, TDM_WORKER);
    check(w, r->spec.start.behaviour == &worker);
    check_eq(w, r->spec.start.arg_bytes, sizeof(struct worker_arg));
    check_eq(w, ((const struct worker_arg *)r->spec.start.arg)->number,
             0); /* the template's, not the child's */
    question.pid = stranger;
    check_eq(w, sup_answer(w, b.sup, &question)->err, TDM_ENOTFOUND);
}

/* ---- B12 ------------------------------------------------------------------------------------------ */

enum { MIB = 1024 * 1024 };

static bool below(struct world *w, int64_t bytes)
{
    uint64_t deadline = w->env->now_ns(w->env) + TDM_S(60);

    while (world_bytes(w) >= bytes && w->env->now_ns(w->env) < deadline)
        let_pass(w, TDM_MS(1));
    return world_bytes(w) < bytes;
}

/* So many children with an argument of 1 MiB each, one after another. */
static tdm_pid start_big(struct world *w, enum tdm_strategy strategy, enum tdm_restart type, uint32_t n,
                         char *arg)
{
    char id[16] = "template";
    struct tdm_child_spec spec = CHILD(w, id, 0, .restart = type);
    struct worker_arg quiet = { .w = w, .quiet = true };
    struct tdm_sup_question question = { .op = TDM_SUP_START_CHILD, .spec = &spec };

    memcpy(arg, &quiet, sizeof quiet);
    if (strategy == TDM_DYNAMIC)
        question = (struct tdm_sup_question){ .op = TDM_SUP_START_CHILD, .arg = arg, .arg_bytes = MIB };
    tdm_pid sup = start_sup(w, &(struct tdm_sup_cfg){ .strategy = strategy,
                                                      .intensity = 1000,
                                                      .children = &spec,
                                                      .n_children = strategy == TDM_DYNAMIC ? 1 : 0 });
    spec.start.arg = arg;
    spec.start.arg_bytes = MIB;
    for (uint32_t i = 0; i < n; i++) {
        snprintf(id, sizeof id, "%u", i);
        check_eq(w, sup_answer(w, sup, &question)->err, TDM_OK);
    }
    return sup;
}

WORLD_TEST_WITH(admin, B12_the_arguments_of_temporary_children_are_not_kept,
                { .rounds = 1000, .split = true, .seeds = 2 })
{
    char *arg = calloc(1, MIB);
    const uint32_t kept = 20;

    for (int strategy = TDM_ONE_FOR_ONE; strategy <= TDM_DYNAMIC; strategy++) {
        int64_t before = world_bytes(w);
        tdm_pid sup = start_big(w, (enum tdm_strategy)strategy, TDM_TEMPORARY, w->sim ? 20 : w->rounds, arg);
        check(w, below(w, before + 10 * MIB)); /* the children's own memory included */
        stop_sup(w, sup);
        wait_actor_count(w, 0);
        check(w, below(w, before + 10 * MIB));
        before = world_bytes(w);
        sup = start_big(w, (enum tdm_strategy)strategy, TDM_PERMANENT, kept, arg);
        check(w, world_bytes(w) >= before + kept * MIB);
        stop_sup(w, sup);
        wait_actor_count(w, 0);
    }
    free(arg);
}

WORLD_TEST(admin, a_dynamic_supervisor_takes_so_many_children_and_no_more)
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_TEMPORARY);
    struct tdm_sup_cfg cfg = { .strategy = TDM_DYNAMIC, .max_children = 3, .children = &t, .n_children = 1 };
    struct worker_arg arg = { .w = w, .number = 4 };
    tdm_pid sup = start_sup(w, &cfg);

    for (uint64_t i = 1; i <= 3; i++)
        start_dynamic(w, sup, i);
    check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &arg, sizeof arg, NULL, NULL), TDM_EBUSY);
    check_eq(w, sup_answer(w, sup, &(struct tdm_sup_question){ .op = TDM_SUP_START_CHILD })->err, TDM_EBUSY);
    wait_marks(w, "init", 3);
    tell(w, mark_at(w, "init", 0).pid, exit_normal, NULL);
    wait_actor_count(w, 3);
    start_dynamic(w, sup, 5);
}

/* Section 16: those that are being restarted count. */
WORLD_TEST(admin, a_child_that_waits_for_its_restart_keeps_its_place_among_max_children)
{
    struct brood b;

    brood_init(&b, w, 1, TDM_PERMANENT);
    brood_start(&b, w,
                (struct tdm_sup_cfg){ .strategy = TDM_DYNAMIC,
                                      .intensity = 1000,
                                      .max_children = 1,
                                      .backoff_min_ms = 600000,
                                      .backoff_max_ms = 600000 });
    end_by(w, brood_pid(&b, w, 0), END_ERROR);
    wait_active(w, b.sup, 0);
    check_eq(w, tdm_sup_start_dynamic(w->rt, b.sup, NULL, 0, NULL, NULL), TDM_EBUSY);
}
