/* Group H: links and monitors. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "rounds.h"
#include "sup_fixture.h"

static tdm_pid trapping(struct world *w, uint64_t number)
{
    return spawn_with(w, number, (struct tdm_spawn_cfg){ .trap_exit = true });
}

struct exit_order {
    tdm_pid to;
    enum tdm_exit_kind kind;
    const char *text;
};

static int send_exit(tdm_self *self, void *arg)
{
    const struct exit_order *o = arg;
    struct tdm_reason r = { .kind = o->kind, .code = o->kind == TDM_EXIT_ERROR ? TDM_EPEER : 0 };

    if (o->text != NULL)
        tdm_reason_say(&r, "%s", o->text);
    int err = tdm_exit_send(self, o->to, &r);
    return err == TDM_ENOPROC ? TDM_OK : err;
}

/* ---- H1, row by row -------------------------------------------------------------------------- */

WORLD_TEST(links, H1_there_is_one_link_at_most_and_either_side_removes_it)
{
    tdm_pid a = trapping(w, 1), b = trapping(w, 2);

    ask(w, a, link_to, &b);
    ask(w, b, link_to, &a);
    ask(w, a, link_to, &b);
    tell(w, b, exit_error, NULL);
    wait_end(w, b);
    wait_marks(w, "exit", 1);
    ask(w, a, do_nothing, NULL);
    check_eq(w, marks(w, "exit"), 1);

    tdm_pid c = trapping(w, 3);
    ask(w, a, link_to, &c);
    ask(w, c, do_nothing, NULL); /* the request is before this in its mail */
    ask(w, c, unlink_from, &a);
    tell(w, c, exit_error, NULL);
    wait_end(w, c);
    ask(w, a, do_nothing, NULL);
    check_eq(w, marks(w, "exit"), 1);
}

WORLD_TEST(links, H1_a_plain_actor_follows_an_abnormal_end_and_a_shutdown_with_the_same_reason)
{
    deed *ends[] = { exit_error, exit_shutdown, fail_assert, write_null };
    static char text[] = "why";

    for (uint64_t i = 0; i < 4; i++) {
        tdm_pid a = spawn_worker(w, 10 + i), b = spawn_worker(w, 20 + i), watcher = spawn_worker(w, 30 + i);
        ask(w, a, link_to, &b);
        ask(w, watcher, monitor_it, &a);
        ask(w, watcher, monitor_it, &b);
        forget_marks(w);
        tell(w, b, ends[i], i == 1 ? text : NULL);
        wait_marks(w, "down", 2);
        struct tdm_reason x = mark_at(w, "down", 0).reason, y = mark_at(w, "down", 1).reason;
        check_eq(w, x.kind, i == 1 ? TDM_EXIT_SHUTDOWN : TDM_EXIT_ERROR);
        check(w, x.kind == y.kind && x.code == y.code && x.signo == y.signo && strcmp(x.text, y.text) == 0);
    }
}

WORLD_TEST(links, H1_a_normal_end_leaves_a_plain_actor_alone)
{
    tdm_pid a = spawn_worker(w, 1), b = spawn_worker(w, 2);

    ask(w, a, link_to, &b);
    tell(w, b, exit_normal, NULL);
    wait_end(w, b);
    ask(w, a, do_nothing, NULL);
    ask(w, a, do_nothing, NULL);
    check(w, tdm_alive(w->rt, a));
}

WORLD_TEST(links, H1_who_traps_gets_one_message_for_every_reason)
{
    deed *ends[] = { exit_normal, exit_shutdown, exit_error, write_null };
    enum tdm_exit_kind kinds[] = { TDM_EXIT_NORMAL, TDM_EXIT_SHUTDOWN, TDM_EXIT_ERROR, TDM_EXIT_ERROR,
                                   TDM_EXIT_KILLED };
    tdm_pid a = trapping(w, 1);

    for (size_t i = 0; i < 5; i++) {
        tdm_pid b = spawn_worker(w, 2);
        ask(w, a, link_to, &b);
        if (i < 4)
            tell(w, b, ends[i], NULL);
        else
            tdm_kill(w->rt, b);
        wait_marks(w, "exit", i + 1);
        check_eq(w, mark_at(w, "exit", i).reason.kind, kinds[i]);
        check_eq(w, mark_at(w, "exit", i).pid.id, b.id);
    }
    ask(w, a, do_nothing, NULL);
    check_eq(w, marks(w, "exit"), 5);
}

WORLD_TEST(links, H1_terminate_does_not_run_for_an_error_that_came_through_a_link)
{
    tdm_pid a = spawn_worker(w, 1), b = spawn_worker(w, 2);

    ask(w, a, link_to, &b);
    tell(w, b, exit_error, NULL);
    wait_end(w, a);
    check_eq(w, marks_of(w, "term", 2), 1);
    check_eq(w, marks_of(w, "term", 1), 0);
}

WORLD_TEST(links, H1_a_link_to_the_dead_is_noproc)
{
    tdm_pid a = trapping(w, 1), b = spawn_worker(w, 2), c = spawn_worker(w, 3), watcher = spawn_worker(w, 4);

    tell(w, b, exit_normal, NULL);
    wait_end(w, b);
    ask(w, a, link_to, &b);
    wait_marks(w, "exit", 1);
    check_eq(w, mark_at(w, "exit", 0).reason.kind, TDM_EXIT_NOPROC);
    ask(w, watcher, monitor_it, &c);
    tell(w, c, link_to, &b);
    wait_marks(w, "down", 1);
    check_eq(w, mark_at(w, "down", 0).reason.kind, TDM_EXIT_NOPROC);
}

WORLD_TEST(links, H1_exit_signals_by_hand)
{
    static char long_text[400];
    tdm_pid a = spawn_worker(w, 1), t = trapping(w, 2), sender = spawn_worker(w, 3);
    struct exit_order normal_to_a = { a, TDM_EXIT_NORMAL, NULL },
                      error_to_t = { t, TDM_EXIT_ERROR, long_text },
                      killed_to_t = { t, TDM_EXIT_KILLED, NULL }, error_to_a = { a, TDM_EXIT_ERROR, NULL },
                      normal_to_self = { sender, TDM_EXIT_NORMAL, NULL };

    memset(long_text, 'x', sizeof long_text - 1);
    ask(w, sender, send_exit, &normal_to_a);
    ask(w, a, do_nothing, NULL);
    check(w, tdm_alive(w->rt, a));
    ask(w, sender, send_exit, &error_to_t);
    ask(w, sender, send_exit,
        &killed_to_t); /* a reason like others when it is not tdm_kill() that sends it */
    wait_marks(w, "exit", 2);
    check_eq(w, mark_at(w, "exit", 0).pid.id, sender.id);
    check_eq(w, strlen(mark_at(w, "exit", 0).reason.text), TDM_REASON_TEXT_BYTES - 1);
    check_eq(w, mark_at(w, "exit", 1).reason.kind, TDM_EXIT_KILLED);
    ask(w, sender, send_exit, &error_to_a);
    wait_end(w, a);
    tell(w, sender, send_exit, &normal_to_self);
    wait_end(w, sender);
}

WORLD_TEST(links, H1_a_kill_is_not_trapped_and_its_links_see_killed_which_they_can_trap)
{
    tdm_pid victim = trapping(w, 1), plain = spawn_worker(w, 2), traps = trapping(w, 3),
            watcher = spawn_worker(w, 4);

    ask(w, plain, link_to, &victim);
    ask(w, traps, link_to, &victim);
    ask(w, watcher, monitor_it, &plain);
    tdm_kill(w->rt, victim);
    wait_marks(w, "down", 1);
    check_eq(w, mark_at(w, "down", 0).reason.kind, TDM_EXIT_KILLED);
    wait_marks(w, "exit", 1);
    check_eq(w, mark_at(w, "exit", 0).reason.kind, TDM_EXIT_KILLED);
    check_eq(w, mark_at(w, "exit", 0).n, 3);
    check(w, tdm_alive(w->rt, traps));
    check_eq(w, marks(w, "term"), 0);
}

WORLD_TEST_WITH(links, H2_a_chain_of_linked_actors_ends_with_the_first_reason, { .seeds = 200 })
{
    enum { N = 1000 };
    static tdm_pid chain[N];

    for (uint64_t i = 0; i < N; i++)
        chain[i] = spawn_with(w, i, (struct tdm_spawn_cfg){ .link = i > 0 ? chain[i - 1] : (tdm_pid){ 0 } });
    wait_marks(w, "init", N);
    tdm_pid watcher = spawn_worker(w, N);
    ask(w, watcher, monitor_it, &chain[N - 1]);
    for (size_t i = 0; i < N; i++)
        ask(w, chain[i], do_nothing, NULL); /* all links stand */
    tell(w, chain[0], exit_error, NULL);
    wait_marks(w, "down", 1);
    check_eq(w, mark_at(w, "down", 0).reason.code, TDM_EPEER);
    wait_actor_count(w, 1);
}

/* ---- H3: unlink against a crash -------------------------------------------------------------- */

struct unlinker {
    struct driver d;
    bool unlinked;
};

static int unlinker_begin(tdm_self *self, struct unlinker *u)
{
    if (!driver_next(&u->d))
        return TDM_STOP;
    u->unlinked = false;
    int err =
        tdm_spawn(tdm_self_runtime(self), &(struct tdm_spawn_cfg){ .behaviour = &mortal }, &u->d.victim);
    if (err == TDM_OK)
        err = tdm_link(self, u->d.victim);
    if (err == TDM_OK)
        err = driver_send(self, u->d.victim, MSG_DIE, 0);
    return err == TDM_OK ? driver_hop(self) : err;
}

static int unlinker_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    struct unlinker *u = state;

    switch (m->type) {
    case MSG_HOP:
        if (u->d.round == 0)
            return unlinker_begin(self, u);
        if (driver_hops_on(self, &u->d))
            return TDM_OK;
        u->unlinked = true;
        if (tdm_unlink(self, u->d.victim) < 0)
            driver_wrong(&u->d, "unlink failed");
        return tdm_monitor(self, u->d.victim) == 0 ? TDM_ENOMEM : TDM_OK;
    case TDM_MSG_EXIT:
        if (u->unlinked)
            driver_wrong(&u->d, "an exit after the unlink");
        return TDM_OK;
    case TDM_MSG_DOWN: /* what was before the end of the victim in our mail has been seen */
        return unlinker_begin(self, u);
    default:
        return TDM_OK;
    }
}

WORLD_TEST_WITH(links, H3_after_an_unlink_no_exit_comes, ROUNDS_OPTS)
{
    static const struct tdm_behaviour unlinker = { .name = "unlinker",
                                                   .state_bytes = sizeof(struct unlinker),
                                                   .init = driver_init,
                                                   .handle = unlinker_handle };
    run_drivers(w, &unlinker, 100000);
}

static bool is_a_hop(const struct tdm_msg *m, void *ctx)
{
    (void)ctx;
    return m->type == MSG_HOP;
}

/* Exits wait unread in the fiber's mail while it waits for something else. */
static int fiber_unlinks(tdm_self *self, struct unlinker *u)
{
    struct tdm_msg *m;
    int err = unlinker_begin(self, u);

    while (err == TDM_OK && u->d.hops-- > 0)
        if ((err = tdm_receive_if(self, is_a_hop, NULL, TDM_FOREVER, &m)) == TDM_OK)
            err = driver_hop(self);
    if (err != TDM_OK)
        return err;
    err = tdm_unlink(self, u->d.victim);
    if (err == TDM_OK && tdm_monitor(self, u->d.victim) == 0)
        err = TDM_ENOMEM;
    while (err == TDM_OK && (err = tdm_receive(self, TDM_FOREVER, &m)) == TDM_OK && m->type != TDM_MSG_DOWN)
        if (m->type == TDM_MSG_EXIT)
            driver_wrong(&u->d, "an exit after the unlink");
    return err;
}

static int fiber_unlinker_run(tdm_self *self, void *state)
{
    int err = TDM_OK;

    while (err == TDM_OK)
        err = fiber_unlinks(self, state);
    return err;
}

WORLD_TEST_WITH(links, H3_after_an_unlink_no_exit_is_left_in_a_fibers_mailbox, ROUNDS_OPTS)
{
    static const struct tdm_behaviour unlinker = { .name = "fiber_unlinker",
                                                   .state_bytes = sizeof(struct unlinker),
                                                   .init = driver_init,
                                                   .run = fiber_unlinker_run };
    run_drivers(w, &unlinker, 100000);
}

/* ---- H4, H5 ---------------------------------------------------------------------------------- */

WORLD_TEST(monitors, H4_one_down_with_the_right_reason)
{
    deed *ends[] = { exit_normal, exit_shutdown, exit_error, write_null };
    enum tdm_exit_kind kinds[] = { TDM_EXIT_NORMAL, TDM_EXIT_SHUTDOWN, TDM_EXIT_ERROR, TDM_EXIT_ERROR,
                                   TDM_EXIT_KILLED };
    static char text[] = "detail";
    tdm_pid watcher = spawn_worker(w, 1);

    for (size_t i = 0; i < 5; i++) {
        tdm_pid a = spawn_worker(w, 2);
        ask(w, watcher, monitor_it, &a);
        if (i < 4)
            tell(w, a, ends[i], i == 1 ? text : NULL);
        else
            tdm_kill(w->rt, a);
        wait_marks(w, "down", i + 1);
        check_eq(w, mark_at(w, "down", i).reason.kind, kinds[i]);
        check_eq(w, mark_at(w, "down", i).pid.id, a.id);
    }
    check(w, strcmp(mark_at(w, "down", 1).reason.text, "detail") == 0);
    check_eq(w, mark_at(w, "down", 2).reason.code, TDM_EPEER);
    check_eq(w, mark_at(w, "down", 3).reason.code, TDM_EFAULT);
    check_eq(w, mark_at(w, "down", 3).reason.signo, SIGSEGV);
    ask(w, watcher, do_nothing, NULL);
    check_eq(w, marks(w, "down"), 5);
}

struct name_order {
    const char *name;
    tdm_ref ref;
};

static int monitor_name(tdm_self *self, void *arg)
{
    struct name_order *o = arg;

    o->ref = tdm_monitor_name(self, o->name, strlen(o->name));
    return o->ref == 0 ? TDM_ENOMEM : TDM_OK;
}

static int take_name(tdm_self *self, void *arg)
{
    return tdm_register(self, arg, strlen(arg));
}

WORLD_TEST(monitors, H5_the_dead_and_unknown_names_are_noproc_at_once)
{
    static char name[] = "somebody";
    tdm_pid watcher = spawn_worker(w, 1), a = spawn_worker(w, 2);
    struct name_order nobody = { "nobody", 0 }, known = { name, 0 };
    uint64_t before = w->env->now_ns(w->env);

    ask(w, a, take_name, name);
    ask(w, watcher, monitor_name, &nobody);
    wait_marks(w, "down", 1);
    check_eq(w, mark_at(w, "down", 0).reason.kind, TDM_EXIT_NOPROC);
    check_eq(w, mark_at(w, "down", 0).n, nobody.ref);
    check_eq(w, mark_at(w, "down", 0).pid.id, 0);
    ask(w, watcher, monitor_name, &known);
    tell(w, a, exit_error, NULL);
    wait_marks(w, "down", 2);
    check_eq(w, mark_at(w, "down", 1).reason.kind, TDM_EXIT_ERROR);
    check_eq(w, mark_at(w, "down", 1).n, known.ref);
    check_eq(w, mark_at(w, "down", 1).pid.id, a.id);
    ask(w, watcher, monitor_it, &a);
    wait_marks(w, "down", 3);
    check_eq(w, mark_at(w, "down", 2).reason.kind, TDM_EXIT_NOPROC);
    if (w->sim)
        check_eq(w, w->env->now_ns(w->env), before);
}

/* Asks for links and monitors that are unread when their target ends. */
struct unread_order {
    struct world *w;
    tdm_pid watcher, linker;
};

static int end_after_the_requests(tdm_self *self, void *arg)
{
    struct unread_order *o = arg;
    tdm_pid me = tdm_self_pid(self);

    /* from here on what they send waits behind this callback */
    if (tell(o->w, o->watcher, monitor_it, &me) < 0 || tell(o->w, o->linker, link_to, &me) < 0)
        return TDM_ENOMEM;
    while (tdm_self_mailbox_length(self) < 2)
        tdm_self_env(self)->park(tdm_self_env(self), &(struct tdm_parker){ 0 }, tdm_now_ns(self) + TDM_MS(1));
    return exit_error(self, NULL);
}

WORLD_TEST(monitors, H4_a_request_that_its_target_leaves_unread_gets_the_targets_own_reason)
{
    tdm_pid a = spawn_worker(w, 1);
    struct unread_order o = { w, spawn_worker(w, 2), trapping(w, 3) };

    tell(w, a, end_after_the_requests, &o);
    wait_marks(w, "down", 1);
    wait_marks(w, "exit", 1);
    check_eq(w, mark_at(w, "down", 0).reason.code, TDM_EPEER);
    check_eq(w, mark_at(w, "exit", 0).reason.code, TDM_EPEER);
}

WORLD_TEST(monitors, H4_the_same_of_a_place_whose_mail_goes_on_to_the_next_incarnation)
{
    struct tdm_child_spec a = CHILD(w, "a", 1, .restart = TDM_PERMANENT, .mail = TDM_MAIL_KEEP);
    tdm_pid sup = start_children(w, &a, 1), pid = child_pid(w, sup, "a");
    struct unread_order o = { w, spawn_worker(w, 2), trapping(w, 3) };

    tell(w, pid, end_after_the_requests, &o);
    wait_marks(w, "down", 1);
    wait_marks(w, "exit", 1);
    check_eq(w, mark_at(w, "down", 0).reason.code, TDM_EPEER);
    check_eq(w, mark_at(w, "exit", 0).reason.code, TDM_EPEER);
    (void)wait_restarted(w, sup, "a", pid);
}

/* ---- H6: demonitor against a crash ----------------------------------------------------------- */

struct two {
    tdm_pid of;
    tdm_ref first, second;
};

static int monitor_twice(tdm_self *self, void *arg)
{
    struct two *t = arg;

    t->first = tdm_monitor(self, t->of);
    t->second = tdm_monitor(self, t->of);
    return TDM_OK;
}

static int demonitor_first(tdm_self *self, void *arg)
{
    tdm_demonitor(self, ((struct two *)arg)->first);
    return TDM_OK;
}

WORLD_TEST(monitors, H6_two_monitors_give_two_downs_and_one_less_leaves_the_other)
{
    tdm_pid watcher = spawn_worker(w, 1), a = spawn_worker(w, 2), b = spawn_worker(w, 3);
    struct two t = { .of = a }, u = { .of = b };

    ask(w, watcher, monitor_twice, &u);
    tell(w, b, exit_error, NULL);
    wait_marks_of(w, "down", u.first, 1);
    wait_marks_of(w, "down", u.second, 1);
    forget_marks(w);
    ask(w, watcher, monitor_twice, &t);
    ask(w, watcher, demonitor_first, &t);
    tell(w, a, exit_error, NULL);
    wait_marks(w, "down", 1);
    ask(w, watcher, do_nothing, NULL);
    check_eq(w, marks(w, "down"), 1);
    check_eq(w, mark_at(w, "down", 0).n, t.second);
}

struct demonitorer {
    struct driver d;
    tdm_ref first, second;
};

static int demonitorer_begin(tdm_self *self, struct demonitorer *x)
{
    if (!driver_next(&x->d))
        return TDM_STOP;
    int err =
        tdm_spawn(tdm_self_runtime(self), &(struct tdm_spawn_cfg){ .behaviour = &mortal }, &x->d.victim);
    if (err < 0)
        return err;
    x->first = tdm_monitor(self, x->d.victim);
    x->second = tdm_monitor(self, x->d.victim);
    err = x->first == 0 || x->second == 0 ? TDM_ENOMEM : driver_send(self, x->d.victim, MSG_DIE, 0);
    return err == TDM_OK ? driver_hop(self) : err;
}

/* The round is over when the second monitor has told and the first has been given up. */
static int demonitorer_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    struct demonitorer *x = state;

    if (m->type == MSG_HOP) {
        if (x->d.round == 0)
            return demonitorer_begin(self, x);
        if (driver_hops_on(self, &x->d))
            return TDM_OK;
        tdm_demonitor(self, x->first);
        x->first = 0;
        return x->second == 0 ? demonitorer_begin(self, x) : TDM_OK;
    }
    if (m->type != TDM_MSG_DOWN)
        return TDM_OK;
    if (m->ref == x->second)
        x->second = 0;
    else if (m->ref != x->first || m->ref == 0)
        driver_wrong(&x->d, "a down after the demonitor, or twice");
    return x->first == 0 && x->second == 0 ? demonitorer_begin(self, x) : TDM_OK;
}

WORLD_TEST_WITH(monitors, H6_after_a_demonitor_no_down_comes, ROUNDS_OPTS)
{
    static const struct tdm_behaviour demonitorer = { .name = "demonitorer",
                                                      .state_bytes = sizeof(struct demonitorer),
                                                      .init = driver_init,
                                                      .handle = demonitorer_handle };
    run_drivers(w, &demonitorer, 100000);
}

/* ---- H7: last words -------------------------------------------------------------------------- */

enum { LAST_WORDS = 3 };

static int talker_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    (void)state;
    if (m->type != MSG_DIE)
        return TDM_OK;
    uint64_t n = *(const uint64_t *)tdm_msg_view(m);
    for (uint64_t i = 0; i < LAST_WORDS; i++)
        (void)driver_send(self, m->from, MSG_SAID, n);
    return n % 2 == 0 ? TDM_STOP : TDM_EPEER;
}

struct listener {
    struct driver d;
    uint64_t heard;
    bool exit_seen, down_seen;
};

static int listener_begin(tdm_self *self, struct listener *l)
{
    static const struct tdm_behaviour talker = { .name = "talker", .handle = talker_handle };

    if (!driver_next(&l->d))
        return TDM_STOP;
    l->heard = 0;
    l->exit_seen = l->down_seen = false;
    int err =
        tdm_spawn(tdm_self_runtime(self), &(struct tdm_spawn_cfg){ .behaviour = &talker }, &l->d.victim);
    if (err == TDM_OK)
        err = tdm_link(self, l->d.victim);
    if (err == TDM_OK && tdm_monitor(self, l->d.victim) == 0)
        err = TDM_ENOMEM;
    return err == TDM_OK ? driver_send(self, l->d.victim, MSG_DIE, l->d.round) : err;
}

static int listener_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    struct listener *l = state;

    switch (m->type) {
    case MSG_HOP:
        return listener_begin(self, l);
    case MSG_SAID:
        l->heard += *(const uint64_t *)tdm_msg_view(m) == l->d.round;
        return TDM_OK;
    case TDM_MSG_EXIT:
        l->exit_seen = true;
        break;
    case TDM_MSG_DOWN:
        l->down_seen = true;
        break;
    default:
        return TDM_OK;
    }
    if (l->heard != LAST_WORDS)
        driver_wrong(&l->d, "a notice before the last words");
    return l->exit_seen && l->down_seen ? listener_begin(self, l) : TDM_OK;
}

WORLD_TEST_WITH(monitors, H7_what_was_sent_before_the_end_arrives_before_its_notices, ROUNDS_OPTS)
{
    static const struct tdm_behaviour listener = { .name = "listener",
                                                   .state_bytes = sizeof(struct listener),
                                                   .init = driver_init,
                                                   .handle = listener_handle };
    run_drivers(w, &listener, 100000);
}

/* ---- H8: what is gone before a death is told ------------------------------------------------- */

struct holder_arg {
    char name[16];
    tdm_pid heir;
    uint64_t round, delay_ns;
};

static int dies(tdm_self *self, void *state, struct tdm_msg *m)
{
    (void)self, (void)state;
    return m->type == MSG_DIE ? TDM_EPEER : TDM_OK;
}

static int holder_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    const struct holder_arg *a = start->arg;
    size_t n = strlen(a->name);

    (void)state;
    int err = tdm_register(self, a->name, n);
    if (err == TDM_OK)
        err = tdm_group_join(self, a->name, n);
    if (err == TDM_OK &&
        tdm_send_after(self, a->heir, a->delay_ns,
                       tdm_msg_copy(tdm_self_runtime(self), MSG_LATE, &a->round, sizeof a->round)) == 0)
        err = TDM_ENOMEM;
    return err;
}

struct heir {
    struct driver d;
    char name[16];
};

static int heir_begin(tdm_self *self, struct heir *h)
{
    static const struct tdm_behaviour holder = { .name = "holder", .init = holder_init, .handle = dies };
    struct tdm_runtime *rt = tdm_self_runtime(self);
    struct holder_arg arg = { .heir = tdm_self_pid(self) };

    if (!driver_next(&h->d))
        return TDM_STOP;
    snprintf(h->name, sizeof h->name, "heir %u", (unsigned)h->d.who);
    memcpy(arg.name, h->name, sizeof arg.name);
    arg.round = h->d.round;
    arg.delay_ns = h->d.round % 3 * 16384;
    int err =
        tdm_spawn(rt, &(struct tdm_spawn_cfg){ .behaviour = &holder, .arg = &arg, .arg_bytes = sizeof arg },
                  &h->d.victim);
    if (err == TDM_OK && tdm_monitor(self, h->d.victim) == 0)
        err = TDM_ENOMEM;
    if (err < 0 || h->d.round % 2 == 0)
        return err < 0 ? err : driver_send(self, h->d.victim, MSG_DIE, 0);
    /* at the time of its timer */
    return tdm_send_after(self, h->d.victim, 16384, tdm_msg_new(rt, MSG_DIE, 0)) == 0 ? TDM_ENOMEM : TDM_OK;
}

static int heir_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    struct tdm_runtime *rt = tdm_self_runtime(self);
    struct heir *h = state;

    if (m->type == MSG_HOP)
        return heir_begin(self, h);
    if (m->type == MSG_LATE && *(const uint64_t *)tdm_msg_view(m) != h->d.round)
        driver_wrong(&h->d, "a timer of the dead");
    if (m->type != TDM_MSG_DOWN)
        return TDM_OK;
    if (((const struct tdm_notice *)tdm_msg_view(m))->reason.code != TDM_EPEER)
        driver_wrong(&h->d, "another reason: the name was not free, say");
    if (tdm_whereis(rt, h->name, strlen(h->name)).id != 0)
        driver_wrong(&h->d, "the name is held");
    if (tdm_group_members(rt, h->name, strlen(h->name), NULL, 0) != 0)
        driver_wrong(&h->d, "still in the group");
    return heir_begin(self, h);
}

WORLD_TEST_WITH(monitors, H8_when_the_down_comes_name_timers_and_memberships_are_gone, ROUNDS_OPTS)
{
    static const struct tdm_behaviour heir = {
        .name = "heir", .state_bytes = sizeof(struct heir), .init = driver_init, .handle = heir_handle
    };
    run_drivers(w, &heir, 100000);
}

/* ---- H9: a lost connection ------------------------------------------------------------------- */

static int disconnect(tdm_self *self, void *arg)
{
    (void)arg;
    tdm_self_connected(self, false);
    return TDM_OK;
}

static int reconnect(tdm_self *self, void *arg)
{
    (void)arg;
    tdm_self_connected(self, true);
    return TDM_OK;
}

WORLD_TEST(links, H9_a_lost_connection_gives_noconnection_once)
{
    tdm_pid peer = spawn_worker(w, 1), traps = trapping(w, 2), plain = spawn_worker(w, 3),
            watcher = spawn_worker(w, 4);

    ask(w, traps, link_to, &peer);
    ask(w, plain, link_to, &peer);
    ask(w, watcher, monitor_it, &peer);
    ask(w, watcher, monitor_it, &plain);
    ask(w, peer, disconnect, NULL);
    ask(w, peer, disconnect, NULL);
    wait_marks(w, "exit", 1);
    wait_marks(w, "down", 2);
    check_eq(w, mark_at(w, "exit", 0).reason.kind, TDM_EXIT_NOCONN);
    check_eq(w, mark_at(w, "exit", 0).pid.id, peer.id);
    for (size_t i = 0; i < 2; i++) /* the peer's, and the plain actor's that was linked to it */
        check_eq(w, mark_at(w, "down", i).reason.kind, TDM_EXIT_NOCONN);
    check(w, tdm_alive(w->rt, peer));
    ask(w, traps, link_to, &peer);
    ask(w, watcher, monitor_it, &peer);
    wait_marks(w, "exit", 2);
    wait_marks(w, "down", 3);
    check_eq(w, mark_at(w, "exit", 1).reason.kind, TDM_EXIT_NOCONN);
    check_eq(w, mark_at(w, "down", 2).reason.kind, TDM_EXIT_NOCONN);
    ask(w, peer, reconnect, NULL);
    ask(w, traps, link_to, &peer);
    ask(w, watcher, monitor_it, &peer);
    tell(w, peer, exit_error, NULL);
    wait_marks(w, "exit", 3);
    wait_marks(w, "down", 4);
    check_eq(w, mark_at(w, "exit", 2).reason.code, TDM_EPEER);
    check_eq(w, mark_at(w, "down", 3).reason.code, TDM_EPEER);
    ask(w, traps, do_nothing, NULL);
    check_eq(w, marks(w, "exit"), 3);
}

WORLD_TEST(links, H9_a_peer_without_connection_still_hears_of_those_it_watches)
{
    tdm_pid peer = spawn_worker(w, 1), a = spawn_worker(w, 2);

    ask(w, peer, monitor_it, &a);
    ask(w, peer, disconnect, NULL);
    tell(w, a, exit_error, NULL);
    wait_marks(w, "down", 1);
    check_eq(w, mark_at(w, "down", 0).reason.code, TDM_EPEER);
}

WORLD_TEST(monitors, H10_a_monitor_is_on_one_incarnation)
{
    struct tdm_child_spec a = CHILD(w, "a", 1, .restart = 0);
    tdm_pid sup = start_children(w, &a, 1);
    tdm_pid watcher = spawn_worker(w, 2), pid = child_pid(w, sup, "a");

    ask(w, watcher, monitor_it, &pid);
    for (int i = 0; i < 2; i++) {
        tell(w, pid, exit_error, NULL);
        pid = wait_restarted(w, sup, "a", pid);
    }
    wait_marks(w, "down", 1);
    ask(w, watcher, do_nothing, NULL);
    check_eq(w, marks(w, "down"), 1);
}

/* ---- section 2: what a reason holds ---------------------------------------------------------- */

static int fail_with(tdm_self *self, void *arg)
{
    return tdm_fail(self, TDM_EPEER, "%s", (const char *)arg);
}

static int exit_with(tdm_self *self, void *arg)
{
    struct tdm_reason r = { .kind = TDM_EXIT_SHUTDOWN };

    snprintf(r.text, sizeof r.text, "%s", (const char *)arg); /* as one would: cut anywhere, and not marked */
    tdm_exit(self, &r);
    return TDM_OK;
}

static int exit_without_an_end(tdm_self *self, void *arg)
{
    struct tdm_reason r = { .kind = TDM_EXIT_SHUTDOWN };

    memcpy(r.text, arg, sizeof r.text);
    tdm_exit(self, &r);
    return TDM_OK;
}

/* Of characters of two and four bytes none is cut in two, wherever the limit falls. */
WORLD_TEST(reasons, H4_words_beyond_the_limit_are_cut_between_characters_and_marked)
{
    static char text[600];
    tdm_pid watcher = spawn_worker(w, 1);
    deed *ways[] = { fail_with, exit_with, exit_without_an_end };

    for (size_t before = 0; before < 4; before++) {
        memset(text, 'a', before);
        for (size_t i = before; i + 4 < sizeof text; i += 4)
            memcpy(text + i, "\xf0\x9f\x98\x80", 5);
        for (size_t k = 0; k < 3; k++) {
            tdm_pid a = spawn_worker(w, 2);
            forget_marks(w);
            ask(w, watcher, monitor_it, &a);
            tell(w, a, ways[k], text);
            wait_marks(w, "down", 1);
            struct tdm_reason r = mark_at(w, "down", 0).reason;
            size_t n = strnlen(r.text, sizeof r.text);
            if (k == 1 && (255 - before) % 4 == 0)
                continue; /* it was cut between two characters: nobody can see that */
            check(w, n < sizeof r.text && n > sizeof r.text - 8);
            check(w, strcmp(r.text + n - 3, "...") == 0);
            check_eq(w, (n - 3 - before) % 4, 0);
            check(w, memcmp(r.text, text, n - 3) == 0);
        }
    }
}
