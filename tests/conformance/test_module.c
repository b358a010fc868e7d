/* Group L: modules that are replaced while their actors run. L5 is a supervisor's: test_start.c. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "sup_fixture.h"
#include "tandem/module.h"

/* ---- three versions -------------------------------------------------------------------------- */

/* Each version keeps its state in a shape of its own, and says which it is when it gets a number. */
struct state1 {
    struct worker_arg arg;
    uint64_t seen;
};
struct state2 {
    char elsewhere[96];
    uint64_t seen, from;
    struct worker_arg arg;
};

static int handle(tdm_self *self, struct worker_arg *arg, uint64_t *seen, struct tdm_msg *m, const char *what)
{
    if (m->type != MSG_NUMBER)
        return worker.handle(self, arg, m);
    ++*seen;
    mark_all(arg->w, what, *(const uint64_t *)tdm_msg_view(m), tdm_self_pid(self), NULL);
    mark(arg->w, "seen", *seen);
    return TDM_OK;
}

static int init1(tdm_self *self, void *state, const struct tdm_start *start)
{
    return worker.init(self, &((struct state1 *)state)->arg, start);
}
static int handle1(tdm_self *self, void *state, struct tdm_msg *m)
{
    struct state1 *s = state;
    return handle(self, &s->arg, &s->seen, m, "one");
}
static int init2(tdm_self *self, void *state, const struct tdm_start *start)
{
    return worker.init(self, &((struct state2 *)state)->arg, start);
}
static int handle2(tdm_self *self, void *state, struct tdm_msg *m)
{
    struct state2 *s = state;
    return handle(self, &s->arg, &s->seen, m, "two");
}
static int terminate2(tdm_self *self, void *state, const struct tdm_reason *reason)
{
    return worker.terminate(self, &((struct state2 *)state)->arg, reason);
}
static int handle3(tdm_self *self, void *state, struct tdm_msg *m)
{
    struct state1 *s = state;
    return handle(self, &s->arg, &s->seen, m, "three");
}

static const struct tdm_behaviour behaviour1 = {
    .name = "one", .state_bytes = sizeof(struct state1), .init = init1, .handle = handle1
};
static const struct tdm_behaviour behaviour2 = { .name = "two",
                                                 .state_bytes = sizeof(struct state2),
                                                 .init = init2,
                                                 .handle = handle2,
                                                 .terminate = terminate2 };
static const struct tdm_behaviour behaviour3 = {
    .name = "three", .state_bytes = sizeof(struct state1), .init = init1, .handle = handle3
};

/* What code_change does with the actor of this number; the others move. */
enum { REFUSES = 7, CRASHES = 1007, LEAVES = 1008 };

static int to2(tdm_self *self, void *old, uint32_t version, void *new)
{
    const struct state1 *from = old;
    struct state2 *to = new;
    const struct tdm_reason over = { .kind = TDM_EXIT_SHUTDOWN, .text = "moved out" };

    mark(from->arg.w, "change", from->arg.number);
    to->arg = from->arg;
    to->seen = from->seen;
    to->from = version;
    if (from->arg.number == CRASHES)
        return write_null(self, NULL);
    if (from->arg.number == LEAVES)
        tdm_exit(self, &over);
    return from->arg.number == REFUSES ? TDM_EPEER : TDM_OK;
}

struct kit {
    struct world *w;
    uint32_t version;
    int load_result;
};

static int hook_load(struct tdm_runtime *rt, void *udata)
{
    const struct kit *k = udata;

    (void)rt;
    mark(k->w, "load", k->version);
    return k->load_result;
}

static void hook_unload(struct tdm_runtime *rt, void *udata)
{
    const struct kit *k = udata;

    (void)rt;
    mark(k->w, "unload", k->version);
}

static int load_as(struct kit *k, const struct tdm_behaviour *b, bool force, uint32_t *busy)
{
    struct tdm_module m = { .abi = TDM_MODULE_ABI,
                            .name = "m",
                            .version = k->version,
                            .behaviour = b,
                            .load = hook_load,
                            .unload = hook_unload,
                            .code_change = b == &behaviour2 ? to2 : NULL,
                            .udata = k };

    return tdm_module_load(k->w->rt, &m, force, busy);
}

static int load(struct kit *k, bool force, uint32_t *busy)
{
    static const struct tdm_behaviour *const of[] = { &behaviour3, &behaviour1, &behaviour2 };
    return load_as(k, of[k->version % 3], force, busy);
}

static void must_load(struct kit *k)
{
    check_eq(k->w, load(k, false, NULL), TDM_OK);
}

/* They outlive the body: the current version is unloaded when the runtime ends. */
enum { KITS = 8 };
static struct kit *kits(struct world *w)
{
    static struct kit k[KITS];

    for (uint32_t v = 0; v < KITS; v++)
        k[v] = (struct kit){ .w = w, .version = v + 1 };
    return k;
}

static tdm_pid spawn_m(struct world *w, uint64_t number)
{
    struct worker_arg arg = { .w = w, .number = number };
    struct tdm_spawn_cfg cfg = { .module = "m", .arg = &arg, .arg_bytes = sizeof arg };
    tdm_pid pid = { 0 };

    check_eq(w, tdm_spawn(w->rt, &cfg, &pid), TDM_OK);
    return pid;
}

static struct tdm_module_info info(struct world *w)
{
    struct tdm_module_info i = { 0 };

    check_eq(w, tdm_module_info(w->rt, "m", &i), TDM_OK);
    return i;
}

/* Number `n` to it, which the version with that mark must handle. */
static void is_on(struct world *w, tdm_pid pid, const char *what, uint64_t n)
{
    size_t before = marks_of(w, what, n);

    check_eq(w, send_number(w, pid, n), TDM_OK);
    wait_marks_of(w, what, n, before + 1);
}

static void wait_old(struct world *w, uint32_t n)
{
    while (info(w).old_actors != n)
        let_pass(w, TDM_MS(1));
}

/* ---- L1 -------------------------------------------------------------------------------------- */

WORLD_TEST(module, L1_a_hundred_actors_go_on_with_one_while_new_ones_run_two)
{
    enum { N = 100 };
    struct kit *k = kits(w);
    tdm_pid old[N], new;

    must_load(&k[0]);
    for (uint64_t i = 0; i < N; i++)
        old[i] = spawn_m(w, 2000 + i);
    wait_marks(w, "init", N);
    must_load(&k[1]);
    new = spawn_m(w, 3000);
    for (uint64_t i = 0; i < N; i++)
        is_on(w, old[i], "one", i);
    is_on(w, new, "two", N);
    check_eq(w, info(w).version, 2);
    check_eq(w, info(w).actors, 1);
    check_eq(w, info(w).old_version, 1);
    check_eq(w, info(w).old_actors, N);
    for (uint64_t i = 0; i < N; i++) {
        check_eq(w, marks(w, "unload"), 0);
        check_eq(w, tdm_stop(w->rt, old[i]), TDM_OK);
        wait_end(w, old[i]);
    }
    wait_marks_of(w, "unload", 1, 1);
    check(w, !info(w).has_old);
    check_eq(w, marks(w, "unload"), 1);
}

WORLD_TEST(module, L1_a_child_that_crashes_is_started_again_on_the_current_version)
{
    struct kit *k = kits(w);
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT, .mail = TDM_MAIL_KEEP);

    t.start.behaviour = NULL;
    t.start.module = "m";
    must_load(&k[0]);
    tdm_pid sup = start_template(w, &t);
    tdm_place p = start_dynamic(w, sup, 1);
    tdm_pid pid = tdm_place_pid(w->rt, p);
    is_on(w, pid, "one", 1);
    must_load(&k[1]);
    is_on(w, pid, "one", 2);
    check_eq(w, tell_place(w, p, exit_error, NULL), TDM_OK);
    pid = wait_place(w, p, pid);
    is_on(w, pid, "two", 3);
    wait_marks_of(w, "unload", 1, 1);
    stop_sup(w, sup);
    check_eq(w, info(w).actors, 0);
    check_eq(w, marks(w, "unload"), 1); /* the current one stays, though nobody runs it */
}

/* ---- L2 -------------------------------------------------------------------------------------- */

WORLD_TEST(module, L2_a_third_version_is_refused_while_one_actor_runs_the_first_or_ends_it)
{
    struct kit *k = kits(w);
    struct tdm_child_spec t = CHILD(w, "t", 5, .restart = TDM_PERMANENT);
    tdm_pid watcher = spawn_worker(w, 9);
    uint32_t busy = 77;

    t.start.behaviour = NULL;
    t.start.module = "m";
    must_load(&k[0]);
    tdm_pid sup = start_children(w, &t, 1);
    tdm_pid pid = child_pid(w, sup, "t");
    ask(w, watcher, monitor_it, &pid);
    must_load(&k[1]);
    check_eq(w, load(&k[2], false, &busy), TDM_EBUSY);
    check_eq(w, busy, 1);
    check_eq(w, marks_of(w, "load", 3), 0);
    is_on(w, pid, "one", 1);
    check_eq(w, info(w).version, 2);

    check_eq(w, load(&k[2], true, &busy), TDM_OK);
    check_eq(w, busy, 0);
    check_eq(w, marks_of(w, "unload", 1), 1);
    wait_marks(w, "down", 1);
    check_eq(w, mark_at(w, "down", 0).reason.kind, TDM_EXIT_KILLED);
    pid = wait_restarted(w, sup, "t", pid);
    check_eq(w, info(w).version, 3);
    tdm_pid new = spawn_m(w, 6);
    is_on(w, new, "three", 2);
    check_eq(w, info(w).actors + info(w).old_actors, 2); /* the child runs two or three, as it happened */
    stop_sup(w, sup);
}

/* Actors come, end in every way and are asked to move, while versions come. Each is loaded and unloaded once, in turn. */
struct crowd {
    struct world *w;
    tdm_pid sup;
    uint32_t left;
};

static bool refuses(struct worker_arg *arg, const struct tdm_start *start, int *result)
{
    (void)start;
    *result = arg->number % 2 == 0 ? TDM_EPEER : TDM_IGNORE;
    return true;
}

static int keep_coming(tdm_self *self, void *state, struct tdm_msg *m)
{
    static deed *const ends[] = { exit_normal, exit_error, fail_assert, write_null, do_nothing };
    struct crowd *c = *(struct crowd **)state;
    struct worker_arg arg = { .w = c->w, .number = c->left, .quiet = true };
    struct tdm_runtime *rt = tdm_self_runtime(self);
    tdm_place p;

    (void)m;
    arg.veto = c->left % 7 == 3 ? refuses : NULL;
    if (tdm_sup_start_dynamic(rt, c->sup, &arg, sizeof arg, NULL, &p) == TDM_OK) {
        (void)tell_place(c->w, p, ends[c->left % 5], NULL);
        if (c->left % 5 == 4)
            (void)tdm_kill(rt, tdm_place_pid(rt, p));
    }
    if (--c->left == 0) {
        mark(c->w, "crowd", 0);
        return TDM_STOP;
    }
    return tdm_timer_start(self, TDM_MS(1)) == 0 ? TDM_ENOMEM : TDM_OK;
}

static int crowd_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    *(struct crowd **)state = *(struct crowd *const *)start->arg;
    return tdm_timer_start(self, 0) == 0 ? TDM_ENOMEM : TDM_OK;
}

static const struct tdm_behaviour crowd_behaviour = {
    .name = "crowd", .state_bytes = sizeof(struct crowd *), .init = crowd_init, .handle = keep_coming
};

static void check_hooks(struct world *w, uint32_t versions)
{
    for (uint32_t v = 1; v <= versions; v++) {
        check_eq(w, marks_of(w, "load", v), 1);
        check_eq(w, marks_of(w, "unload", v), v < versions);
        if (v > 1 && v < versions)
            check(w, mark_before(w, "unload", v - 1, "unload", v));
    }
}

WORLD_TEST(module, L2_versions_come_while_actors_start_and_end_in_every_way)
{
    struct kit *k = kits(w);
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_TRANSIENT);
    struct crowd crowd = { .w = w, .left = 60 }, *c = &crowd;
    struct tdm_spawn_cfg cfg = { .behaviour = &crowd_behaviour, .arg = &c, .arg_bytes = sizeof c };
    struct tdm_module_moves moves;
    uint32_t busy;

    t.start.behaviour = NULL;
    t.start.module = "m";
    must_load(&k[0]);
    crowd.sup = start_sup(w, &(struct tdm_sup_cfg){ .strategy = TDM_DYNAMIC,
                                                    .intensity = 2,
                                                    .scope = TDM_SCOPE_CHILD,
                                                    .children = &t,
                                                    .n_children = 1 });
    check_eq(w, tdm_spawn(w->rt, &cfg, NULL), TDM_OK);
    for (uint32_t v = 1; v < KITS; v++) {
        let_pass(w, TDM_MS(5));
        check_eq(w, tdm_module_upgrade(w->rt, "m", 0, &moves), TDM_OK);
        check_eq(w, moves.asked, moves.moved + moves.kept + moves.ended);
        mark(w, "forced", v + 1);
        check_eq(w, load(&k[v], true, &busy), TDM_OK);
    }
    wait_marks(w, "crowd", 1);
    stop_sup(w, crowd.sup);
    wait_actor_count(w, 0);
    check_hooks(w, KITS);
    check_eq(w, info(w).actors, 0);
    check(w, !info(w).has_old);
}

static int hold(tdm_self *self, void *arg)
{
    struct world *w = arg;
    struct tdm_parker p = { 0 };

    (void)self;
    mark(w, "held", 0);
    while (marks(w, "let go") == 0)
        w->env->park(w->env, &p, w->env->now_ns(w->env) + TDM_MS(1));
    return TDM_OK;
}

SIM_TEST_WITH(module, L2_an_actor_that_is_in_a_callback_is_waited_for_and_then_given_up,
              { .seeds = 200, .stuck_after_ms = UINT32_MAX })
{
    struct kit *k = kits(w);
    struct tdm_module_moves moves;
    uint32_t busy = 0;

    must_load(&k[0]);
    tdm_pid pid = spawn_m(w, 1);
    tell(w, pid, hold, w);
    wait_marks(w, "held", 1);
    must_load(&k[1]);
    check_eq(w, tdm_module_upgrade(w->rt, "m", 10, &moves), TDM_ETIMEOUT);
    check_eq(w, moves.asked, 1);
    check_eq(w, moves.moved + moves.kept + moves.ended, 0);
    check_eq(w, load(&k[2], true, &busy), TDM_ETIMEOUT);
    check_eq(w, busy, 1);
    check_eq(w, info(w).version, 2);
    check_eq(w, marks_of(w, "unload", 3), 1); /* its load hook had run */
    mark(w, "let go", 0);
    wait_end(w, pid);
    check_eq(w, marks_of(w, "unload", 1), 1);
    check_eq(w, load(&k[2], false, &busy), TDM_OK);
}

/* ---- L3 -------------------------------------------------------------------------------------- */

WORLD_TEST(module, L3_a_load_hook_that_fails_changes_nothing)
{
    struct kit *k = kits(w);
    uint32_t busy;

    k[1].load_result = TDM_ECONN;
    k[2].load_result = TDM_ECONN;
    check_eq(w, load(&k[2], false, &busy), TDM_ECONN); /* the first one of all */
    struct tdm_module_info none;
    check_eq(w, tdm_module_info(w->rt, "m", &none), TDM_ENOTFOUND);
    check_eq(w, tdm_spawn(w->rt, &(struct tdm_spawn_cfg){ .module = "m" }, NULL), TDM_ENOTFOUND);
    must_load(&k[0]);
    tdm_pid pid = spawn_m(w, 1);
    is_on(w, pid, "one", 1);
    check_eq(w, load(&k[1], true, &busy), TDM_ECONN);
    is_on(w, pid, "one", 2);
    is_on(w, spawn_m(w, 2), "one", 3);
    check_eq(w, info(w).version, 1);
    check_eq(w, info(w).actors, 2);
    check(w, !info(w).has_old);
    check_eq(w, marks(w, "unload"), 0);

    k[1].load_result = TDM_OK;
    must_load(&k[1]);
    check_eq(w, load(&k[2], true, &busy), TDM_ECONN); /* nobody was killed for it */
    is_on(w, pid, "one", 4);
    check_eq(w, info(w).old_actors, 2);
}

/* ---- L4 -------------------------------------------------------------------------------------- */

WORLD_TEST(module, L4_code_change_fails_for_one_of_ten_and_nine_move)
{
    struct kit *k = kits(w);
    struct tdm_module_moves moves = { 0 };
    tdm_pid a[10];

    must_load(&k[0]);
    for (uint64_t i = 0; i < 10; i++) {
        a[i] = spawn_m(w, i);
        is_on(w, a[i], "one", i);
    }
    must_load(&k[1]);
    check_eq(w, tdm_module_upgrade(w->rt, "m", 0, &moves), TDM_OK);
    check_eq(w, moves.asked, 10);
    check_eq(w, moves.moved, 9);
    check_eq(w, moves.kept, 1);
    check_eq(w, moves.fibers + moves.ended, 0);
    for (uint64_t i = 0; i < 10; i++)
        is_on(w, a[i], i == REFUSES ? "one" : "two", 100 + i);
    wait_marks_of(w, "seen", 2, 10); /* the state came along, or stayed */
    check_eq(w, info(w).actors, 9);
    check_eq(w, info(w).old_actors, 1);
    check_eq(w, marks(w, "unload"), 0);
    check_eq(w, tdm_module_upgrade(w->rt, "m", 0, &moves), TDM_OK); /* it is asked again, and refuses again */
    check_eq(w, moves.asked, 1);
    check_eq(w, moves.kept, 1);
    tdm_stop(w->rt, a[REFUSES]);
    wait_end(w, a[REFUSES]);
    check_eq(w, marks_of(w, "unload", 1), 1);
    tdm_stop(w->rt, a[0]);
    wait_end(w, a[0]);
    check_eq(w, marks_of(w, "term", 0), 1); /* of the version it moved to: the first has none */
}

WORLD_TEST(module, L4_an_actor_moves_between_two_messages_and_loses_none)
{
    enum { N = 200 };
    struct kit *k = kits(w);
    struct tdm_module_moves moves = { 0 };

    must_load(&k[0]);
    tdm_pid pid = spawn_m(w, 1);
    wait_marks(w, "init", 1);
    for (uint64_t i = 0; i < N; i++) {
        check_eq(w, send_number(w, pid, i), TDM_OK);
        if (i == N / 2)
            must_load(&k[1]);
        if (i == N / 2 + 10)
            check_eq(w, tdm_module_upgrade(w->rt, "m", 0, &moves), TDM_OK);
    }
    wait_marks(w, "seen", N);
    check_eq(w, moves.moved, 1);
    check_eq(w, marks(w, "change"), 1);
    check_eq(w, marks(w, "one") + marks(w, "two"), N);
    for (uint64_t i = 0; i < N; i++)
        check_eq(w, mark_at(w, "seen", i).n, i + 1);
    for (uint64_t i = 1; i < N; i++) {
        check_eq(w, marks_of(w, "one", i) + marks_of(w, "two", i), 1);
        if (marks_of(w, "one", i) == 1)
            check(w, mark_before(w, "one", i - 1, "one", i));
    }
    check_eq(w, marks_of(w, "unload", 1), 1);
}

WORLD_TEST(module, L4_a_code_change_that_crashes_or_leaves_ends_that_actor_alone)
{
    struct kit *k = kits(w);
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT);
    struct tdm_module_moves moves = { 0 };

    t.start.behaviour = NULL;
    t.start.module = "m";
    must_load(&k[0]);
    tdm_pid sup = start_template(w, &t), leaver = spawn_m(w, LEAVES), other = spawn_m(w, 1);
    tdm_place p = start_dynamic(w, sup, CRASHES);
    tdm_pid pid = tdm_place_pid(w->rt, p);
    wait_marks(w, "init", 3);
    must_load(&k[1]);
    check_eq(w, tdm_module_upgrade(w->rt, "m", 0, &moves), TDM_OK);
    check_eq(w, moves.asked, 3);
    check_eq(w, moves.ended, 1);
    check_eq(w, moves.moved, 2); /* the one that leaves had moved */
    wait_end(w, leaver);
    wait_end(w, pid);
    pid = wait_place(w, p, pid);
    is_on(w, pid, "two", 1);
    is_on(w, other, "two", 2);
    wait_marks_of(w, "unload", 1, 1);
    check_eq(w, marks_of(w, "term", LEAVES), 1);
    stop_sup(w, sup);
}

static int run_fiber(tdm_self *self, void *state)
{
    return fiber_worker.run(self, state);
}

WORLD_TEST(module, L4_fibers_stay_on_the_old_version_until_they_end)
{
    static const struct tdm_behaviour fiber2 = {
        .name = "fiber two", .state_bytes = sizeof(struct worker_arg), .init = NULL, .run = run_fiber
    };
    struct tdm_behaviour two = fiber2;
    struct kit *k = kits(w);
    struct tdm_module_moves moves = { 0 };

    two.init = fiber_worker.init;
    check_eq(w, load_as(&k[0], &fiber_worker, false, NULL), TDM_OK);
    tdm_pid pid = spawn_m(w, 1);
    is_on(w, pid, "got", 1);
    check_eq(w, load_as(&k[1], &two, false, NULL), TDM_OK);
    check_eq(w, tdm_module_upgrade(w->rt, "m", 0, &moves), TDM_OK);
    check_eq(w, moves.asked, 1);
    check_eq(w, moves.fibers, 1);
    check_eq(w, moves.kept, 1);
    check_eq(w, info(w).old_actors, 1);
    is_on(w, pid, "got", 2);
    tdm_kill(w->rt, pid); /* in its wait: its stack goes before the version does */
    wait_end(w, pid);
    check_eq(w, marks_of(w, "unload", 1), 1);
    pid = spawn_m(w, 2); /* it lives when the world ends */
    is_on(w, pid, "got", 3);
    tdm_stop(w->rt, pid);
    wait_end(w, pid);
}

/* ---- the count, in every end ----------------------------------------------------------------- */

static bool ends_in_init(struct worker_arg *arg, const struct tdm_start *start, int *result)
{
    (void)start;
    *result = arg->number == 0 ? TDM_IGNORE : arg->number == 1 ? TDM_EPEER : TDM_STOP;
    return arg->number < 3;
}

WORLD_TEST(module, an_incarnation_that_ends_in_any_way_has_left_its_version)
{
    static deed *const ends[] = { exit_normal, exit_error, exit_shutdown, fail_assert, write_null };
    struct kit *k = kits(w);
    tdm_pid pid;

    must_load(&k[0]);
    tdm_pid stays = spawn_m(w, 100);
    wait_marks_of(w, "init", 100, 1);
    for (uint64_t i = 0; i < 3; i++) { /* in init */
        struct worker_arg arg = { .w = w, .number = i, .veto = ends_in_init };
        struct tdm_spawn_cfg cfg = { .module = "m", .arg = &arg, .arg_bytes = sizeof arg };
        check_eq(w, tdm_spawn(w->rt, &cfg, &pid), TDM_OK);
        wait_end(w, pid);
        check_eq(w, info(w).actors, 1);
    }
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) { /* in a callback */
        pid = spawn_m(w, 10);
        tell(w, pid, ends[i], NULL);
        wait_end(w, pid);
        check_eq(w, info(w).actors, 1);
    }
    pid = spawn_m(w, 11); /* before its first turn, or soon after */
    tdm_kill(w->rt, pid);
    wait_end(w, pid);
    pid = spawn_m(w, 12);
    tdm_stop(w->rt, pid);
    wait_end(w, pid);
    check_eq(w, info(w).actors, 1);
    must_load(&k[1]);
    check_eq(w, info(w).old_actors, 1);
    tdm_kill(w->rt, stays);
    wait_end(w, stays);
    wait_old(w, 0);
    check_eq(w, marks(w, "unload"), 1);
}

WORLD_TEST(module, what_can_not_be_loaded_or_run_is_refused)
{
    struct kit *k = kits(w);
    struct tdm_module bad = { .abi = TDM_MODULE_ABI + 1, .name = "m", .behaviour = &behaviour1 };
    char long_name[TDM_MODULE_NAME_MAX + 2];
    struct tdm_module_moves moves;

    check_eq(w, tdm_module_load(w->rt, &bad, false, NULL), TDM_ENOTSUP);
    bad.abi = TDM_MODULE_ABI;
    bad.behaviour = NULL;
    check_eq(w, tdm_module_load(w->rt, &bad, false, NULL), TDM_EINVAL);
    bad.behaviour = &behaviour1;
    memset(long_name, 'x', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    bad.name = long_name;
    check_eq(w, tdm_module_load(w->rt, &bad, false, NULL), TDM_EINVAL);
    check_eq(w, tdm_module_upgrade(w->rt, "m", 0, &moves), TDM_ENOTFOUND);
    check_eq(w, tdm_spawn(w->rt, &(struct tdm_spawn_cfg){ .module = "m" }, NULL), TDM_ENOTFOUND);
    must_load(&k[0]);
    check_eq(w, tdm_spawn(w->rt, &(struct tdm_spawn_cfg){ .module = "m", .behaviour = &worker }, NULL),
             TDM_EINVAL);
    check_eq(w, load(&k[0], true, NULL), TDM_EEXIST);
    check_eq(w, tdm_module_upgrade(w->rt, "m", 0, &moves), TDM_OK);
    check_eq(w, moves.asked, 0);
}

static int meets_another(struct tdm_runtime *rt, void *udata)
{
    const struct kit *k = udata;
    struct tdm_module other = { .abi = TDM_MODULE_ABI, .name = "m", .version = 99, .behaviour = &behaviour1 };
    struct tdm_module_moves moves;

    check_eq(k->w, tdm_module_load(rt, &other, true, NULL), TDM_ESTATE);
    check_eq(k->w, tdm_module_upgrade(rt, "m", 0, &moves), k->version == 1 ? TDM_ENOTFOUND : TDM_ESTATE);
    return TDM_OK;
}

WORLD_TEST(module, one_load_or_upgrade_of_a_module_goes_on_at_a_time)
{
    struct kit *k = kits(w);
    struct tdm_module m = { .abi = TDM_MODULE_ABI, .name = "m", .load = meets_another };

    for (uint32_t v = 1; v <= 2; v++) {
        m.version = v;
        m.behaviour = &behaviour1;
        m.udata = &k[v - 1];
        check_eq(w, tdm_module_load(w->rt, &m, false, NULL), TDM_OK);
    }
    check_eq(w, info(w).version, 2);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void story(struct world *w, struct kit *k)
{
    struct worker_arg arg = { .w = w, .number = 1 };
    struct tdm_spawn_cfg cfg = { .module = "m", .arg = &arg, .arg_bytes = sizeof arg };
    struct tdm_module_moves moves = { 0 };
    tdm_pid pid = { 0 };

    if (load(&k[0], false, NULL) < 0)
        return;
    int err = tdm_spawn(w->rt, &cfg, &pid);
    check(w, err == TDM_OK || err == TDM_ENOMEM);
    err = load(&k[1], false, NULL);
    check(w, err == TDM_OK || err == TDM_ENOMEM);
    check_eq(w, tdm_module_upgrade(w->rt, "m", 0, &moves), TDM_OK);
    check_eq(w, moves.asked, moves.moved + moves.kept + moves.ended);
    if (pid.id != 0) {
        (void)tdm_stop(w->rt, pid);
        wait_end(w, pid);
    }
    check_eq(w, info(w).actors, 0);
    check(w, !info(w).has_old);
}

SIM_TEST_WITH(module, every_allocation_of_a_load_a_spawn_and_a_move_may_fail, { .seeds = 3 })
{
    bool failed = true;

    for (uint64_t nth = 1; failed; nth++) {
        struct kit *k = kits(w);
        struct tdm_runtime *first = w->rt;
        struct tdm_runtime_cfg cfg = { .env = w->env, .workers = 2 };
        check(w, nth < 200);
        check_eq(w, tdm_runtime_new(&w->rt, &cfg), TDM_OK);
        tdm_env_sim_fail_alloc(w->env, nth, false);
        story(w, k);
        failed = tdm_env_sim_fail_alloc(w->env, 0, false) >= nth;
        tdm_runtime_free(w->rt);
        w->rt = first;
        for (uint32_t v = 1; v < 3; v++)
            check_eq(w, marks_of(w, "load", v), marks_of(w, "unload", v));
        forget_marks(w);
    }
}
