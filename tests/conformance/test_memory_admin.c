/* Group B with an allocator that fails: every request to a supervisor. See test_memory.c. */
#include <string.h>

#include "sup_fixture.h"

/* What was asked has been done or not, but not half; a request is refused for want of memory and nothing else. When there
 * is none for the answer either, the asker's time runs out. */
static bool allowed(struct world *w, tdm_pid sup, int err)
{
    return err == TDM_OK || err == TDM_ENOMEM || err == TDM_ETIMEOUT ||
           (err == TDM_ENOPROC && !tdm_alive(w->rt, sup));
}

static int ask_failing(struct world *w, tdm_pid sup, const struct tdm_sup_question *question)
{
    allocs_fail(w);
    int err = sup_answer(w, sup, question)->err;
    bool fine = allocs_work(w);

    check(w, fine ? err == TDM_OK : allowed(w, sup, err));
    return err;
}

/* "a" runs, "b" is stopped, "c" is unknown. */
static void start_three(struct world *w, struct brood *b)
{
    brood_init(b, w, 3, TDM_PERMANENT);
    b->n = 2;
    brood_start(b, w, (struct tdm_sup_cfg){ .intensity = 5 });
    check_eq(w, sup_err(w, b->sup, TDM_SUP_TERMINATE_CHILD, "b"), TDM_OK);
}

/* With memory again: so many specs and live children, before or after what was asked. */
static void check_books(struct world *w, tdm_pid sup, uint32_t specs, uint32_t active)
{
    let_pass(w, TDM_S(10));
    if (tdm_alive(w->rt, sup)) {
        struct tdm_sup_reply r = sup_count(w, sup);
        const struct tdm_sup_reply *all =
            sup_answer(w, sup, &(struct tdm_sup_question){ .op = TDM_SUP_WHICH_CHILDREN });
        check_eq(w, r.specs, specs);
        check_eq(w, r.active, active);
        check_eq(w, all->n_children, specs);
        stop_sup(w, sup);
    }
    wait_actor_count(w, 0);
}

ALLOC_TEST(memory, B_start_child)
{
    struct brood b;

    start_three(w, &b);
    int err =
        ask_failing(w, b.sup, &(struct tdm_sup_question){ .op = TDM_SUP_START_CHILD, .spec = &b.specs[2] });
    let_pass(w, TDM_S(10));
    /* an answer that could not be given is no reason to undo what was done */
    uint32_t more = tdm_alive(w->rt, b.sup) && sup_child(w, b.sup, "c").state == TDM_CHILD_RUNNING;
    check(w, err != TDM_OK || more == 1);
    check_books(w, b.sup, 2 + more, 1 + more);
}

ALLOC_TEST(memory, B_terminate_child)
{
    struct brood b;

    start_three(w, &b);
    int err = ask_failing(w, b.sup, &(struct tdm_sup_question){ .op = TDM_SUP_TERMINATE_CHILD, .id = "a" });
    let_pass(w, TDM_S(10));
    uint32_t runs = tdm_alive(w->rt, b.sup) && sup_child(w, b.sup, "a").state == TDM_CHILD_RUNNING;
    check(w, err != TDM_OK || runs == 0);
    check_books(w, b.sup, 2, runs);
}

ALLOC_TEST(memory, B_restart_child)
{
    struct brood b;

    start_three(w, &b);
    int err = ask_failing(w, b.sup, &(struct tdm_sup_question){ .op = TDM_SUP_RESTART_CHILD, .id = "b" });
    let_pass(w, TDM_S(10));
    uint32_t runs = tdm_alive(w->rt, b.sup) && sup_child(w, b.sup, "b").state == TDM_CHILD_RUNNING;
    check(w, err != TDM_OK || runs == 1);
    check_books(w, b.sup, 2, 1 + runs);
}

ALLOC_TEST(memory, B_delete_child)
{
    struct brood b;

    start_three(w, &b);
    int err = ask_failing(w, b.sup, &(struct tdm_sup_question){ .op = TDM_SUP_DELETE_CHILD, .id = "b" });
    uint32_t kept = tdm_alive(w->rt, b.sup) && sup_err(w, b.sup, TDM_SUP_WHICH, "b") == TDM_OK;
    check(w, err != TDM_OK || kept == 0);
    check_books(w, b.sup, 1 + kept, 1);
}

ALLOC_TEST(memory, B_questions_change_nothing)
{
    static const enum tdm_sup_op ops[] = { TDM_SUP_COUNT, TDM_SUP_WHICH, TDM_SUP_WHICH_CHILDREN,
                                           TDM_SUP_GET_SPEC };
    struct brood b;

    start_three(w, &b);
    allocs_fail(w);
    for (size_t i = 0; i < 4; i++) {
        int err = sup_answer(w, b.sup, &(struct tdm_sup_question){ .op = ops[i], .id = "a" })->err;
        check(w, allowed(w, b.sup, err));
    }
    allocs_work(w);
    check_books(w, b.sup, 2, 1);
}

ALLOC_TEST(memory, L5_reconfigure)
{
    struct brood b;

    start_three(w, &b);
    b.specs[0].shutdown_ms = 77;
    struct tdm_sup_cfg cfg = { .intensity = 7, .children = b.specs, .n_children = 3 };
    int err = ask_failing(w, b.sup, &(struct tdm_sup_question){ .op = TDM_SUP_RECONFIGURE, .cfg = &cfg });
    uint32_t specs = 2;
    if (tdm_alive(w->rt, b.sup)) {
        const struct tdm_sup_reply *a =
            sup_answer(w, b.sup, &(struct tdm_sup_question){ .op = TDM_SUP_GET_SPEC, .id = "a" });
        specs = sup_count(w, b.sup).specs;
        check_eq(w, specs, a->spec.shutdown_ms == 77 ? 3 : 2); /* all of it or nothing */
        check(w, err != TDM_OK || specs == 3);
    }
    check_books(w, b.sup, specs, 1);
}

/* Two dynamic children. */
static void start_two(struct world *w, struct brood *b)
{
    brood_init(b, w, 2, TDM_PERMANENT);
    brood_start(b, w, (struct tdm_sup_cfg){ .strategy = TDM_DYNAMIC, .intensity = 5 });
}

static void check_active(struct world *w, tdm_pid sup, uint32_t active)
{
    let_pass(w, TDM_S(10));
    if (tdm_alive(w->rt, sup)) {
        check_eq(w, sup_count(w, sup).active, active);
        check_eq(w, sup_count(w, sup).workers, active);
        stop_sup(w, sup);
    }
    wait_actor_count(w, 0);
}

ALLOC_TEST(memory, B_start_child_of_a_dynamic_supervisor)
{
    struct brood b;
    struct worker_arg arg = { .w = w, .number = 7 };

    start_two(w, &b);
    struct tdm_sup_question more = {
        .op = TDM_SUP_START_CHILD, .arg = &arg, .arg_bytes = sizeof arg, .tag = "tag"
    };
    int err = ask_failing(w, b.sup, &more);
    let_pass(w, TDM_S(10));
    check(w, err != TDM_OK || marks_of(w, "init", 7) == 1);
    check_active(w, b.sup, 2 + (uint32_t)marks_of(w, "init", 7) - (uint32_t)marks_of(w, "term", 7));
}

ALLOC_TEST(memory, B_terminate_child_of_a_dynamic_supervisor)
{
    struct brood b;

    start_two(w, &b);
    tdm_pid pid = brood_pid(&b, w, 0);
    int err = ask_failing(w, b.sup, &(struct tdm_sup_question){ .op = TDM_SUP_TERMINATE_CHILD, .pid = pid });
    let_pass(w, TDM_S(10));
    check(w, err != TDM_OK || !tdm_alive(w->rt, pid));
    check_active(w, b.sup, tdm_alive(w->rt, pid) ? 2 : 1);
}

ALLOC_TEST(memory, B_the_spec_of_a_dynamic_child)
{
    struct brood b;

    start_two(w, &b);
    ask_failing(w, b.sup, &(struct tdm_sup_question){ .op = TDM_SUP_GET_SPEC, .pid = brood_pid(&b, w, 0) });
    check_active(w, b.sup, 2);
}
