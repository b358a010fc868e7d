/* Group A: starting. Settings and specs that are refused: test_spec.c. */
#include <string.h>

#include "sup_fixture.h"

static struct tdm_sup_reply start_child(struct world *w, tdm_pid sup, const struct tdm_child_spec *spec)
{
    return *sup_answer(w, sup, &(struct tdm_sup_question){ .op = TDM_SUP_START_CHILD, .spec = spec });
}

WORLD_TEST(start, A1_a_supervisor_without_children_starts_and_stops)
{
    tdm_pid sup = start_children(w, NULL, 0);

    watch_end(w, sup);
    check_eq(w, sup_count(w, sup).specs, 0);
    stop_sup(w, sup);
    wait_marks(w, "down", 1);
    check(w, reason_is(mark_at(w, "down", 0).reason, END_SHUTDOWN));
}

/* ---- the supervisor's own init ----------------------------------------------------------------- */

struct own_init {
    struct world *w;
    int result;
    bool crashes;
};

__attribute__((no_sanitize("undefined", "address"))) static int own_init(tdm_self *self, void *udata,
                                                                         struct tdm_sup_cfg *cfg)
{
    struct own_init *own = udata;

    (void)self, (void)cfg;
    mark(own->w, "own init", 1);
    if (own->crashes)
        *(volatile int *)NULL = 1;
    return own->result;
}

/* The starter has nothing else: no supervisor, no child, and the name can be had at once. */
static void check_nothing_left(struct world *w, struct tdm_sup_cfg *cfg, tdm_pid none)
{
    tdm_pid sup;

    check_eq(w, none.id, 0);
    check_eq(w, tdm_whereis(w->rt, cfg->name, strlen(cfg->name)).id, 0);
    check_eq(w, marks(w, "init"), 0);
    ((struct own_init *)cfg->udata)->result = TDM_OK;
    ((struct own_init *)cfg->udata)->crashes = false;
    check_eq(w, tdm_sup_start(w->rt, cfg, &sup), TDM_OK);
    check_eq(w, tdm_whereis(w->rt, cfg->name, strlen(cfg->name)).id, sup.id);
    check_eq(w, sup_count(w, sup).active, 1);
    stop_sup(w, sup);
    wait_actor_count(w, 0);
}

static struct tdm_sup_cfg with_init(struct own_init *own, const struct tdm_child_spec *child)
{
    return (struct tdm_sup_cfg){
        .name = "own", .intensity = 5, .init = own_init, .udata = own, .children = child, .n_children = 1
    };
}

WORLD_TEST(start, A2_a_supervisor_that_is_not_wanted_leaves_nothing)
{
    struct own_init own = { .w = w, .result = TDM_IGNORE };
    struct tdm_child_spec a = CHILD(w, "a", 1, .restart = 0);
    struct tdm_sup_cfg cfg = with_init(&own, &a);
    tdm_pid sup = { 99 };

    log_watch(w);
    check_eq(w, tdm_sup_start(w->rt, &cfg, &sup), TDM_IGNORE);
    let_pass(w, TDM_MS(w->sim ? 100 : 1));
    check_eq(w, tdm_actor_count(w->rt), 0);
    check_eq(w, logged("level=error"), 0);
    check_nothing_left(w, &cfg, sup);
}

/* The starter is a supervisor, which traps exits and knows no other message. */
WORLD_TEST(start, A2_a_supervisor_as_starter_hears_nothing_else)
{
    struct own_init own = { .w = w, .result = TDM_IGNORE };
    struct tdm_child_spec a = CHILD(w, "a", 1, .restart = 0);
    struct tdm_sup_cfg inner = with_init(&own, &a);
    struct tdm_child_spec branch = TDM_SUP_CHILD("inner", &inner);
    tdm_pid sup = start_children(w, NULL, 0);

    log_watch(w);
    struct tdm_sup_reply r = start_child(w, sup, &branch);
    check_eq(w, r.err, TDM_OK);
    check(w, r.ignored && r.pid.id == 0);
    let_pass(w, TDM_MS(w->sim ? 100 : 1));
    check_eq(w, sup_count(w, sup).specs, 1);
    check_eq(w, sup_count(w, sup).active, 0);
    check_eq(w, marks(w, "own init"), 1);
    check_eq(w, logged("level=error"), 0);
}

WORLD_TEST(start, A3_a_result_that_may_not_be_is_told)
{
    struct own_init own = { .w = w, .result = 77 };
    struct tdm_child_spec a = CHILD(w, "a", 1, .restart = 0);
    struct tdm_sup_cfg cfg = with_init(&own, &a);
    struct tdm_start_failure why = { 0 };
    tdm_pid sup = { 0 };

    check(w, tdm_sup_start_why(w->rt, &cfg, &sup, &why) < 0);
    check_eq(w, why.reason.kind, TDM_EXIT_ERROR);
    check(w, strstr(why.reason.text, "77") != NULL);
    check(w, strcmp(why.child, "") == 0);
    check_nothing_left(w, &cfg, sup);
}

WORLD_TEST(start, A4_an_init_that_crashes_is_told_and_the_name_is_free)
{
    struct own_init own = { .w = w, .crashes = true };
    struct tdm_child_spec a = CHILD(w, "a", 1, .restart = 0);
    struct tdm_sup_cfg cfg = with_init(&own, &a);
    struct tdm_start_failure why = { 0 };
    tdm_pid sup = { 0 };

    check_eq(w, tdm_sup_start_why(w->rt, &cfg, &sup, &why), TDM_EFAULT);
    check_eq(w, why.err, TDM_EFAULT);
    check_eq(w, why.reason.kind, TDM_EXIT_ERROR);
    check_eq(w, why.reason.code, TDM_EFAULT);
    check_nothing_left(w, &cfg, sup);
}

WORLD_TEST(start, A4_a_name_is_free_again_when_a_child_did_not_start)
{
    struct tdm_child_spec bad = CHILD(w, "a", 1, .restart = TDM_PERMANENT);
    struct worker_arg arg = { .w = w, .number = 1, .init_result = TDM_EPEER };
    struct tdm_sup_cfg cfg = { .name = "front", .children = &bad, .n_children = 1 };
    tdm_pid sup;

    bad.start.arg = &arg;
    check_eq(w, tdm_sup_start(w->rt, &cfg, &sup), TDM_EPEER);
    check_eq(w, tdm_whereis(w->rt, "front", 5).id, 0);
    arg.init_result = TDM_OK;
    check_eq(w, tdm_sup_start(w->rt, &cfg, &sup), TDM_OK);
    check_eq(w, tdm_whereis(w->rt, "front", 5).id, sup.id);
}

/* ---- children ---------------------------------------------------------------------------------- */

/* Gives others every chance to run before its start is through. */
static bool takes_its_time(struct worker_arg *arg, const struct tdm_start *start, int *result)
{
    struct tdm_parker p = { 0 };

    (void)start, (void)result;
    arg->w->env->park(arg->w->env, &p, arg->w->env->now_ns(arg->w->env) + TDM_MS(1));
    mark(arg->w, "through", arg->number);
    return false;
}

WORLD_TEST(start, A5_children_start_one_after_another_in_list_order)
{
    static const char *const ids[] = { "e", "b", "d", "a", "c" };
    struct brood b;

    brood_init(&b, w, 5, TDM_PERMANENT);
    for (size_t i = 0; i < 5; i++) {
        b.specs[i].id = ids[i];
        b.args[i].veto = takes_its_time;
    }
    brood_start(&b, w, (struct tdm_sup_cfg){ .intensity = 1000 });
    check_eq(w, marks(w, "through"), 5); /* the start returns when all have started */
    for (uint64_t i = 0; i < 5; i++) {
        check_eq(w, mark_at(w, "init", i).n, i);
        check(w, i == 0 || mark_before(w, "through", i - 1, "init", i));
    }
}

WORLD_TEST(start, A6_a_failed_child_takes_back_those_before_it_and_never_starts_those_after)
{
    struct brood b;
    struct tdm_sup_cfg cfg = { .children = b.specs, .n_children = 5 };
    struct tdm_start_failure why;
    tdm_pid sup = { 0 };

    brood_init(&b, w, 5, TDM_PERMANENT);
    b.args[2].init_result = TDM_ECONN;
    log_watch(w);
    check_eq(w, tdm_sup_start_why(w->rt, &cfg, &sup, &why), TDM_ECONN);
    check_eq(w, why.err, TDM_ECONN);
    check(w, strcmp(why.child, "c") == 0);
    check_eq(w, why.reason.code, TDM_ECONN);
    check_eq(w, marks(w, "init"), 3);
    check_eq(w, marks(w, "term"), 2);
    for (size_t i = 0; i < 2; i++) {
        check_eq(w, mark_at(w, "term", i).n, 1 - i);
        check(w, reason_is(mark_at(w, "term", i).reason, END_SHUTDOWN));
    }
    check_eq(w, logged("event=supervisor.start_error"), 1);
    wait_actor_count(w, 0);
}

WORLD_TEST(start, A7_a_permanent_child_that_returns_ignore_is_kept_stopped)
{
    struct brood b;

    brood_init(&b, w, 3, TDM_PERMANENT);
    b.args[0].init_result = b.args[2].init_result = TDM_IGNORE;
    b.n = 2;
    brood_start(&b, w, (struct tdm_sup_cfg){ .intensity = 1000 });
    check_eq(w, sup_count(w, b.sup).specs, 2);
    check_eq(w, sup_count(w, b.sup).active, 1);
    check_eq(w, sup_child(w, b.sup, "a").state, TDM_CHILD_STOPPED);
    struct tdm_sup_reply r = start_child(w, b.sup, &b.specs[2]);
    check(w, r.err == TDM_OK && r.ignored && r.pid.id == 0);
    check_eq(w, sup_count(w, b.sup).specs, 3);
    check_eq(w, sup_count(w, b.sup).active, 1);
    check_eq(w, sup_child(w, b.sup, "c").state, TDM_CHILD_STOPPED);
}

WORLD_TEST(start, A8_a_temporary_child_that_returns_ignore_leaves_no_entry)
{
    struct brood b;

    brood_init(&b, w, 2, TDM_TEMPORARY);
    b.args[0].init_result = b.args[1].init_result = TDM_IGNORE;
    b.n = 1;
    brood_start(&b, w, (struct tdm_sup_cfg){ .intensity = 1000 });
    check_eq(w, sup_count(w, b.sup).specs, 0);
    check(w, start_child(w, b.sup, &b.specs[1]).ignored);
    check_eq(w, sup_count(w, b.sup).specs, 0);
    for (size_t i = 0; i < 2; i++)
        check_eq(w, sup_err(w, b.sup, TDM_SUP_WHICH, b.ids[i]), TDM_ENOTFOUND);
}

WORLD_TEST(start, A9_a_dynamic_start_that_returns_ignore_records_nothing)
{
    for (int i = 0; i < 2; i++) {
        struct tdm_child_spec t = CHILD(w, "t", 0, .restart = i == 0 ? TDM_TEMPORARY : TDM_PERMANENT);
        struct worker_arg ignores = { .w = w, .number = 1, .init_result = TDM_IGNORE };
        struct tdm_sup_question more = { .op = TDM_SUP_START_CHILD,
                                         .arg = &ignores,
                                         .arg_bytes = sizeof ignores };
        tdm_pid sup = start_template(w, &t);
        log_watch(w);
        check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &ignores, sizeof ignores, NULL, NULL), TDM_OK);
        wait_actor_count(w, 1);
        check_eq(w, sup_count(w, sup).workers, 0);
        check(w, sup_answer(w, sup, &more)->ignored);
        check_eq(w, sup_count(w, sup).workers, 0);
        stop_sup(w, sup);
        check_eq(w, logged("level=error"), 0);
        wait_actor_count(w, 0);
    }
}

/* ---- A10: a value from the start ----------------------------------------------------------------- */

static int valued_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    uint64_t value;

    (void)state;
    memcpy(&value, start->arg, sizeof value);
    tdm_start_value(self, value);
    return TDM_OK;
}

static int valued_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    (void)state;
    return m->type == MSG_NUMBER ? tdm_fail(self, TDM_EPEER, "as it was told") : TDM_OK;
}

static const struct tdm_behaviour valued = { .name = "valued", .init = valued_init, .handle = valued_handle };

WORLD_TEST(start, A10_the_value_of_a_start_comes_back)
{
    uint64_t value = 0xfeedfacecafebeefu;
    struct tdm_child_spec v = { .id = "v",
                                .start = { .behaviour = &valued, .arg = &value, .arg_bytes = sizeof value } };
    tdm_pid sup = start_children(w, NULL, 0), dynamic = start_template(w, &v);

    struct tdm_sup_reply r = start_child(w, sup, &v);
    check(w, r.err == TDM_OK && r.value == value && r.pid.id != 0);
    check_eq(w, sup_err(w, sup, TDM_SUP_TERMINATE_CHILD, "v"), TDM_OK);
    r = sup_ask(w, sup, TDM_SUP_RESTART_CHILD, "v", (tdm_pid){ 0 });
    check(w, r.err == TDM_OK && r.value == value && r.pid.id != 0);
    check_eq(w, send_number(w, r.pid, 1), TDM_OK);
    wait_restarted(w, sup, "v", r.pid);

    uint64_t other = 7;
    r = *sup_answer(
        w, dynamic,
        &(struct tdm_sup_question){ .op = TDM_SUP_START_CHILD, .arg = &other, .arg_bytes = sizeof other });
    check(w, r.err == TDM_OK && r.value == 7 && r.pid.id != 0);
    tdm_place p = sup_answer(w, dynamic, &(struct tdm_sup_question){ .op = TDM_SUP_WHICH, .pid = r.pid })
                      ->children[0]
                      .place;
    check_eq(w, send_number(w, r.pid, 1), TDM_OK);
    wait_place(w, p, r.pid);
}

/* ---- failures, and deaths at once ---------------------------------------------------------------- */

static bool crashes(struct worker_arg *arg, const struct tdm_start *start, int *result)
{
    (void)arg, (void)start;
    *result = write_null(NULL, NULL);
    return true;
}

/* An error, a result that may not be, a crash. */
static void fail_in_way(struct worker_arg *arg, int way)
{
    arg->init_result = way == 0 ? TDM_ECONN : way == 1 ? 77 : TDM_OK;
    arg->veto = way == 2 ? crashes : NULL;
}

static void check_failure(struct world *w, const struct tdm_sup_reply *r, int way)
{
    check_eq(w, r->reason.kind, TDM_EXIT_ERROR);
    check_eq(w, r->pid.id, 0);
    if (way == 1)
        check(w, r->err < 0 && strstr(r->reason.text, "77") != NULL);
    else
        check_eq(w, r->err, way == 0 ? TDM_ECONN : TDM_EFAULT);
    check(w, way == 1 || r->reason.code == r->err);
}

WORLD_TEST(start, A17_a_start_that_fails_is_told_and_leaves_no_entry)
{
    struct brood b;
    tdm_pid sup = start_children(w, NULL, 0);

    brood_init(&b, w, 1, TDM_PERMANENT);
    tdm_pid dynamic = start_template(w, &b.specs[0]);
    for (int way = 0; way < 3; way++) {
        fail_in_way(&b.args[0], way);
        struct tdm_sup_reply r = start_child(w, sup, &b.specs[0]);
        check_failure(w, &r, way);
        check_eq(w, sup_count(w, sup).specs, 0);
        r = *sup_answer(w, dynamic,
                        &(struct tdm_sup_question){
                            .op = TDM_SUP_START_CHILD, .arg = &b.args[0], .arg_bytes = sizeof b.args[0] });
        check_failure(w, &r, way);
        check_eq(w, sup_count(w, dynamic).workers, 0);
    }
    check_eq(w, marks(w, "init"), 6);
}

WORLD_TEST(start, A17_the_same_when_nobody_waits_for_the_answer)
{
    struct brood b;

    brood_init(&b, w, 1, TDM_PERMANENT);
    tdm_pid sup = start_template(w, &b.specs[0]);
    for (int way = 0; way < 3; way++) {
        fail_in_way(&b.args[0], way);
        check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &b.args[0], sizeof b.args[0], NULL, NULL), TDM_OK);
    }
    wait_actor_count(w, 1);
    check_eq(w, marks(w, "init"), 3);
    check_eq(w, sup_count(w, sup).workers, 0);
}

/* Dies as soon as it has started; if it is started again it lives. */
static int mayfly_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    (void)state;
    if (start->restarts > 0)
        mark_all(*(struct world *const *)start->arg, "again", 0, tdm_self_pid(self), start->last);
    else
        tdm_kill(tdm_self_runtime(self), tdm_self_pid(self));
    return TDM_OK;
}

static int mayfly_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    (void)self, (void)state, (void)m;
    return TDM_OK;
}

static const struct tdm_behaviour mayfly = { .name = "mayfly", .init = mayfly_init, .handle = mayfly_handle };

WORLD_TEST_WITH(start, A18_a_child_that_dies_at_once_is_not_missed, { .rounds = 10000 })
{
    struct tdm_child_spec m = { .id = "m",
                                .restart = TDM_TEMPORARY,
                                .start = { .behaviour = &mayfly, .arg = &w, .arg_bytes = sizeof w } };
    tdm_pid temporary = start_template(w, &m);
    m.restart = TDM_PERMANENT;
    struct tdm_sup_cfg cfg = {
        .strategy = TDM_DYNAMIC, .intensity = 100000, .children = &m, .n_children = 1
    };
    tdm_pid permanent = start_sup(w, &cfg);

    for (uint32_t i = 0; i < w->rounds; i++) {
        check_eq(w, tdm_sup_start_dynamic(w->rt, temporary, NULL, 0, NULL, NULL), TDM_OK);
        check_eq(w, tdm_sup_start_dynamic(w->rt, permanent, NULL, 0, NULL, NULL), TDM_OK);
    }
    wait_marks(w, "again", w->rounds);
    wait_actor_count(w, 2 + w->rounds);
    check_eq(w, sup_count(w, temporary).workers, 0);
    check_eq(w, sup_count(w, permanent).active, w->rounds);
}

/* The same of a list: the start goes on, and the crash is dealt with. */
WORLD_TEST_WITH(start, A18_nor_is_one_of_a_list, { .rounds = 1000 })
{
    struct tdm_child_spec m = { .id = "m",
                                .start = { .behaviour = &mayfly, .arg = &w, .arg_bytes = sizeof w } };

    for (uint32_t i = 0; i < w->rounds; i++) {
        tdm_pid sup = start_children(w, &m, 1);
        wait_marks(w, "again", i + 1);
        check_eq(w, sup_count(w, sup).active, 1);
        stop_sup(w, sup);
    }
}
