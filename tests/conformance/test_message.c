/* Groups H (links and monitors) and I (messages and requests). */
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "sup_fixture.h"
#include "tandem/metrics.h"

static tdm_pid trapping(struct world *w, uint64_t number)
{
    return spawn_with(w, number, (struct tdm_spawn_cfg){ .trap_exit = true });
}

struct exit_order {
    tdm_pid to;
    enum tdm_exit_kind kind;
};

static int send_exit(tdm_self *self, void *arg)
{
    const struct exit_order *o = arg;
    int err = tdm_exit_send(
        self, o->to,
        &(struct tdm_reason){ .kind = o->kind, .code = o->kind == TDM_EXIT_ERROR ? TDM_EPEER : 0 });

    return err == TDM_ENOPROC ? TDM_OK : err;
}

WORLD_TEST(links, H1_a_plain_actor_follows_an_abnormal_end_and_a_shutdown)
{
    deed *ends[] = { exit_error, exit_shutdown, fail_assert };
    enum tdm_exit_kind kinds[] = { TDM_EXIT_ERROR, TDM_EXIT_SHUTDOWN, TDM_EXIT_ERROR };

    for (uint64_t i = 0; i < 3; i++) {
        tdm_pid a = spawn_worker(w, 10 + i), b = spawn_worker(w, 20 + i), watcher = spawn_worker(w, 30 + i);
        ask(w, a, link_to, &b);
        ask(w, watcher, monitor_it, &a);
        forget_marks(w);
        tell(w, b, ends[i], NULL);
        wait_marks(w, "down", 1);
        check_eq(w, mark_at(w, "down", 0).reason.kind, kinds[i]);
    }
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
    tdm_pid a = trapping(w, 1), b = spawn_worker(w, 2), c = spawn_worker(w, 3);

    tell(w, b, exit_normal, NULL);
    wait_end(w, b);
    ask(w, a, link_to, &b);
    wait_marks(w, "exit", 1);
    check_eq(w, mark_at(w, "exit", 0).reason.kind, TDM_EXIT_NOPROC);
    tell(w, c, link_to, &b);
    wait_end(w, c);
}

WORLD_TEST(links, H1_exit_signals_by_hand)
{
    tdm_pid a = spawn_worker(w, 1), t = trapping(w, 2), sender = spawn_worker(w, 3);
    struct exit_order normal_to_a = { a, TDM_EXIT_NORMAL }, error_to_t = { t, TDM_EXIT_ERROR },
                      error_to_a = { a, TDM_EXIT_ERROR }, normal_to_self = { sender, TDM_EXIT_NORMAL };

    ask(w, sender, send_exit, &normal_to_a);
    ask(w, a, do_nothing, NULL);
    check(w, tdm_alive(w->rt, a));
    ask(w, sender, send_exit, &error_to_t);
    wait_marks(w, "exit", 1);
    check_eq(w, mark_at(w, "exit", 0).pid.id, sender.id);
    ask(w, sender, send_exit, &error_to_a);
    wait_end(w, a);
    tell(w, sender, send_exit, &normal_to_self);
    wait_end(w, sender);
}

WORLD_TEST_WITH(links, H2_a_chain_of_linked_actors_ends_with_the_first_reason, { .seeds = 5 })
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

static int unlink_and_say(tdm_self *self, void *arg)
{
    struct tdm_msg *m = tdm_msg_new(tdm_self_runtime(self), MSG_NUMBER, 8);
    int err = tdm_unlink(self, *(tdm_pid *)arg);

    if (m == NULL)
        return TDM_ENOMEM;
    *(uint64_t *)tdm_msg_data(m) = 7;
    return err < 0 ? err : tdm_send(tdm_self_runtime(self), tdm_self_pid(self), m);
}

static void unlink_rounds(struct world *w, const struct tdm_behaviour *behaviour)
{
    int rounds = w->sim ? 10 : 2000;

    for (int i = 0; i < rounds; i++) {
        tdm_pid a = spawn_with(w, 1, (struct tdm_spawn_cfg){ .trap_exit = true, .behaviour = behaviour });
        tdm_pid b = spawn_worker(w, 2);
        ask(w, a, link_to, &b);
        forget_marks(w);
        tell(w, b, exit_error, NULL);
        tell(w, a, unlink_and_say, &b);
        wait_marks(w, "got", 1); /* sent by itself after the unlink: what came before it is seen by now */
        size_t exits = marks(w, "exit");
        check(w, exits == 0 || mark_before(w, "exit", 1, "got", 7));
        wait_end(w, b);
        ask(w, a, do_nothing, NULL);
        check_eq(w, marks(w, "exit"), exits);
        tell(w, a, exit_normal, NULL);
        wait_end(w, a);
    }
}

WORLD_TEST(links, H3_after_an_unlink_no_exit_comes)
{
    unlink_rounds(w, &worker);
}

WORLD_TEST(links, H3_after_an_unlink_no_exit_is_left_in_a_fibers_mailbox)
{
    unlink_rounds(w, &fiber_worker);
}

struct unlinker {
    struct world *w;
    tdm_pid other;
};

static int unlinker_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    memcpy(state, start->arg, sizeof(struct unlinker));
    return tdm_link(self, ((struct unlinker *)state)->other);
}

static int unlinker_run(tdm_self *self, void *state)
{
    struct unlinker *u = state;
    struct tdm_msg *m;
    int err = tdm_sleep(self, TDM_MS(50)); /* the exit waits in the inbox meanwhile */

    if (err == TDM_OK)
        err = tdm_unlink(self, u->other);
    while (err == TDM_OK && (err = tdm_receive(self, 0, &m)) == TDM_OK)
        mark(u->w, m->type == TDM_MSG_EXIT ? "late exit" : "other", m->type);
    mark(u->w, "sorted", 0);
    return TDM_STOP;
}

SIM_TEST(links, H3_an_exit_that_waits_unread_is_taken_out_by_the_unlink)
{
    static const struct tdm_behaviour unlinker = {
        .name = "unlinker", .state_bytes = sizeof(struct unlinker), .init = unlinker_init, .run = unlinker_run
    };
    tdm_pid b = spawn_worker(w, 2);
    struct unlinker arg = { w, b };

    spawn_with(w, 1,
               (struct tdm_spawn_cfg){
                   .behaviour = &unlinker, .arg = &arg, .arg_bytes = sizeof arg, .trap_exit = true });
    let_pass(w, TDM_MS(10));
    tell(w, b, exit_error, NULL);
    wait_marks(w, "sorted", 1);
    check_eq(w, marks(w, "late exit"), 0);
}

WORLD_TEST(monitors, H4_one_down_with_the_right_reason)
{
    deed *ends[] = { exit_normal, exit_shutdown, exit_error, write_null };
    enum tdm_exit_kind kinds[] = { TDM_EXIT_NORMAL, TDM_EXIT_SHUTDOWN, TDM_EXIT_ERROR, TDM_EXIT_ERROR };
    static char text[] = "detail";
    tdm_pid watcher = spawn_worker(w, 1);

    for (size_t i = 0; i < 4; i++) {
        tdm_pid a = spawn_worker(w, 2);
        ask(w, watcher, monitor_it, &a);
        tell(w, a, ends[i], i == 1 ? text : NULL);
        wait_marks(w, "down", i + 1);
        check_eq(w, mark_at(w, "down", i).reason.kind, kinds[i]);
    }
    check(w, strcmp(mark_at(w, "down", 1).reason.text, "detail") == 0);
    check_eq(w, mark_at(w, "down", 3).reason.code, TDM_EFAULT);
    check_eq(w, mark_at(w, "down", 3).reason.signo, SIGSEGV);
}

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

WORLD_TEST(monitors, H6_monitors_are_independent)
{
    tdm_pid watcher = spawn_worker(w, 1), a = spawn_worker(w, 2);
    struct two t = { .of = a };

    ask(w, watcher, monitor_twice, &t);
    ask(w, watcher, demonitor_first, &t);
    tell(w, a, exit_error, NULL);
    wait_marks(w, "down", 1);
    ask(w, watcher, do_nothing, NULL);
    check_eq(w, marks(w, "down"), 1);
    check_eq(w, mark_at(w, "down", 0).n, t.second);
}

WORLD_TEST(monitors, H6_after_a_demonitor_no_down_comes)
{
    int rounds = w->sim ? 10 : 2000;

    for (int i = 0; i < rounds; i++) {
        tdm_pid watcher = spawn_worker(w, 1), a = spawn_worker(w, 2);
        struct two t = { .of = a };
        ask(w, watcher, monitor_twice, &t);
        forget_marks(w);
        tell(w, a, exit_error, NULL);
        ask(w, watcher, demonitor_first, &t);
        size_t first = marks_of(w, "down", t.first);
        wait_marks_of(w, "down", t.second, 1);
        ask(w, watcher, do_nothing, NULL);
        check_eq(w, marks_of(w, "down", t.first), first);
        tell(w, watcher, exit_normal, NULL);
        wait_end(w, watcher);
    }
}

struct farewell {
    tdm_pid to;
};

static int say_and_end(tdm_self *self, void *arg)
{
    struct tdm_runtime *rt = tdm_self_runtime(self);
    uint64_t n = 5;
    struct tdm_msg *m = tdm_msg_copy(rt, MSG_NUMBER, &n, sizeof n);

    if (m != NULL && tdm_send(rt, ((struct farewell *)arg)->to, m) < 0)
        tdm_msg_free(rt, m);
    return TDM_STOP;
}

WORLD_TEST(monitors, H7_what_was_sent_before_the_end_arrives_before_its_notice)
{
    int rounds = w->sim ? 10 : 2000;
    tdm_pid watcher = trapping(w, 1);
    struct farewell f = { watcher };

    for (int i = 0; i < rounds; i++) {
        tdm_pid a = spawn_worker(w, 2);
        ask(w, watcher, monitor_it, &a);
        ask(w, watcher, link_to, &a);
        forget_marks(w);
        tell(w, a, say_and_end, &f);
        wait_marks(w, "down", 1);
        wait_marks(w, "exit", 1);
        check(w, mark_before(w, "got", 5, "down", mark_at(w, "down", 0).n));
        check(w, mark_before(w, "got", 5, "exit", 1));
    }
}

static int take_name(tdm_self *self, void *arg)
{
    (void)arg;
    return tdm_register(self, "name", 4);
}

WORLD_TEST(monitors, H8_when_the_down_comes_the_name_is_free)
{
    int rounds = w->sim ? 10 : 2000;
    tdm_pid watcher = spawn_worker(w, 1);

    for (int i = 0; i < rounds; i++) {
        tdm_pid a = spawn_worker(w, 2);
        ask(w, a, take_name, NULL);
        ask(w, watcher, monitor_it, &a);
        forget_marks(w);
        tell(w, a, i % 2 == 0 ? exit_error : exit_normal, NULL);
        wait_marks(w, "down", 1);
        check_eq(w, tdm_whereis(w->rt, "name", 4).id, 0);
    }
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

/* ---- messages -------------------------------------------------------------------------------- */

enum { SENDERS = 16 };

struct counter_state {
    struct world *w;
    uint64_t next[SENDERS];
    uint64_t left;
};

struct counter_arg {
    struct world *w;
    uint64_t total;
};

static int counter_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    const struct counter_arg *a = start->arg;
    struct counter_state *s = state;

    (void)self;
    s->w = a->w;
    s->left = a->total;
    return TDM_OK;
}

static int counter_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    struct counter_state *s = state;
    uint64_t v = *(const uint64_t *)tdm_msg_view(m);

    (void)self;
    if (s->next[v >> 32]++ != (uint32_t)v)
        mark(s->w, "out of order", v);
    if (--s->left == 0)
        mark(s->w, "all", 0);
    return TDM_OK;
}

struct sender_arg {
    tdm_pid to;
    uint64_t who, count;
};

static int sender_run(tdm_self *self, void *state)
{
    const struct sender_arg *a = state;
    struct tdm_runtime *rt = tdm_self_runtime(self);

    for (uint64_t i = 0; i < a->count; i++) {
        uint64_t v = (a->who << 32) | i;
        struct tdm_msg *m = tdm_msg_copy(rt, MSG_NUMBER, &v, sizeof v);
        while (m != NULL && tdm_send(rt, a->to, m) == TDM_EFULL)
            if (tdm_sleep(self, TDM_MS(1)) < 0) {
                tdm_msg_free(rt, m);
                return TDM_STOP;
            }
    }
    return TDM_STOP;
}

static int sender_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    (void)self;
    memcpy(state, start->arg, sizeof(struct sender_arg));
    return TDM_OK;
}

WORLD_TEST_WITH(messages, I1_many_senders_each_in_order_none_lost_none_twice, { .seeds = 20 })
{
    static const struct tdm_behaviour counter = { .name = "counter",
                                                  .state_bytes = sizeof(struct counter_state),
                                                  .init = counter_init,
                                                  .handle = counter_handle };
    static const struct tdm_behaviour sender = {
        .name = "sender", .state_bytes = sizeof(struct sender_arg), .init = sender_init, .run = sender_run
    };
    uint64_t count = w->sim ? 50 : 20000;
    struct counter_arg c = { w, SENDERS * count };
    tdm_pid to =
        spawn_with(w, 0, (struct tdm_spawn_cfg){ .behaviour = &counter, .arg = &c, .arg_bytes = sizeof c });

    for (uint64_t i = 0; i < SENDERS; i++) {
        struct sender_arg a = { to, i, count };
        spawn_with(w, i, (struct tdm_spawn_cfg){ .behaviour = &sender, .arg = &a, .arg_bytes = sizeof a });
    }
    wait_marks(w, "all", 1);
    check_eq(w, marks(w, "out of order"), 0);
}

/* An actor that waits in its handler until the body lets it go: its mailbox fills up meanwhile. */
struct gate {
    struct world *w;
    struct tdm_parker parker;
    _Atomic bool open;
};

static int wait_at_gate(tdm_self *self, void *arg)
{
    struct gate *g = arg;
    struct tdm_env *env = tdm_self_env(self);

    mark(g->w, "at the gate", 0);
    while (!atomic_load(&g->open))
        env->park(env, &g->parker, TDM_FOREVER);
    return TDM_OK;
}

static void open_gate(struct world *w, struct gate *g)
{
    atomic_store(&g->open, true);
    w->env->unpark(w->env, &g->parker);
}

/* What of 20 numbers is kept by a box of 8 whose owner is busy. */
static tdm_pid flood(struct world *w, enum tdm_overflow policy, int want_err)
{
    static struct gate g; /* the actor passes it after we have returned */
    tdm_pid a = spawn_with(w, 1, (struct tdm_spawn_cfg){ .mailbox_limit = 8, .overflow = policy });

    memset(&g, 0, sizeof g);
    g.w = w;

    forget_marks(w);
    tell(w, a, wait_at_gate, &g);
    wait_marks(w, "at the gate", 1);
    for (uint64_t i = 0; i < 20; i++) { /* the message in hand still counts */
        int err = send_number(w, a, i);
        check_eq(w, err, i < 7 ? TDM_OK : want_err);
    }
    open_gate(w, &g);
    return a;
}

WORLD_TEST(messages, I2_refuse_keeps_the_first_and_tells_the_sender)
{
    tdm_pid a = flood(w, TDM_REFUSE, TDM_EFULL);

    wait_marks(w, "got", 7);
    ask(w, a, do_nothing, NULL);
    check_eq(w, marks(w, "got"), 7);
    for (uint64_t i = 0; i < 7; i++)
        check_eq(w, mark_at(w, "got", i).n, i);
}

WORLD_TEST(messages, I2_drop_newest_keeps_the_first_and_tells_nobody)
{
    int64_t dropped = tdm_counter_by_name("tandem_mailbox_dropped_total");
    tdm_pid a = flood(w, TDM_DROP_NEWEST, TDM_OK);

    wait_marks(w, "got", 7);
    ask(w, a, do_nothing, NULL);
    check_eq(w, marks(w, "got"), 7);
    check_eq(w, mark_at(w, "got", 6).n, 6);
    check_eq(w, tdm_counter_by_name("tandem_mailbox_dropped_total") - dropped, 13);
}

WORLD_TEST(messages, I2_drop_oldest_keeps_the_last)
{
    int64_t dropped = tdm_counter_by_name("tandem_mailbox_dropped_total");
    tdm_pid a = flood(w, TDM_DROP_OLDEST, TDM_OK);

    wait_marks_of(w, "got", 19, 1);
    ask(w, a, do_nothing, NULL);
    check_eq(w, marks(w, "got"), 7);
    for (uint64_t i = 0; i < 7; i++)
        check_eq(w, mark_at(w, "got", i).n, 13 + i);
    check_eq(w, tdm_counter_by_name("tandem_mailbox_dropped_total") - dropped, 13);
}

WORLD_TEST(messages, I2_exit_ends_the_receiver)
{
    struct gate g = { .w = w };
    tdm_pid a = spawn_with(w, 1, (struct tdm_spawn_cfg){ .mailbox_limit = 8, .overflow = TDM_OVERFLOW_EXIT });
    tdm_pid watcher = spawn_worker(w, 2);

    ask(w, watcher, monitor_it, &a);
    tell(w, a, wait_at_gate, &g);
    wait_marks(w, "at the gate", 1);
    for (uint64_t i = 0; i < 20; i++)
        (void)send_number(w, a, i);
    open_gate(w, &g);
    wait_marks(w, "down", 1);
    check_eq(w, mark_at(w, "down", 0).reason.code, TDM_EOVERLOAD);
}

WORLD_TEST(messages, I6_exit_and_down_arrive_though_the_mailbox_is_full)
{
    enum tdm_overflow policies[] = { TDM_REFUSE, TDM_DROP_OLDEST };

    for (size_t i = 0; i < 2; i++) {
        struct gate g = { .w = w };
        tdm_pid a = spawn_with(
            w, 1, (struct tdm_spawn_cfg){ .mailbox_limit = 8, .overflow = policies[i], .trap_exit = true });
        tdm_pid b = spawn_worker(w, 2);
        ask(w, a, link_to, &b);
        ask(w, a, monitor_it, &b);
        forget_marks(w);
        tell(w, a, wait_at_gate, &g);
        wait_marks(w, "at the gate", 1);
        tell(w, b, exit_error, NULL);
        wait_end(w, b);
        for (uint64_t k = 0; k < 30; k++)
            (void)send_number(w, a, k);
        open_gate(w, &g);
        wait_marks(w, "down", 1);
        wait_marks(w, "exit", 1);
    }
}

struct question {
    tdm_pid to;
    uint32_t timeout_ms;
    tdm_ref ref;
    uint32_t type;
};

static int put_question(tdm_self *self, void *arg)
{
    struct question *q = arg;

    q->ref = tdm_request(self, q->to,
                         tdm_msg_new(tdm_self_runtime(self), q->type == 0 ? MSG_ASK_NUMBER : q->type, 0),
                         q->timeout_ms);
    return q->ref == 0 ? TDM_ENOMEM : TDM_OK;
}

WORLD_TEST(messages, I3_a_request_is_answered_once)
{
    tdm_pid a = spawn_worker(w, 1), b = spawn_worker(w, 2);
    struct question q = { .to = b };

    ask(w, a, put_question, &q);
    wait_marks_of(w, "reply", q.ref, 1);
    tell(w, b, exit_error, NULL);
    wait_end(w, b);
    ask(w, a, do_nothing, NULL);
    check_eq(w, marks(w, "failed") + marks(w, "down"), 0);
}

WORLD_TEST(messages, I3_a_request_to_the_dead_is_noproc_and_a_death_meanwhile_is_its_reason)
{
    tdm_pid a = spawn_worker(w, 1), b = spawn_worker(w, 2);
    struct question q = { .to = b, .type = TDM_MSG_USER + 77 /* it does not answer this */ };

    ask(w, a, put_question, &q);
    tell(w, b, exit_error, NULL);
    wait_marks(w, "failed", 1);
    check_eq(w, mark_at(w, "failed", 0).n, q.ref);
    check_eq(w, mark_at(w, "failed", 0).reason.code, TDM_EPEER);
    ask(w, a, put_question, &q);
    wait_marks(w, "failed", 2);
    check_eq(w, mark_at(w, "failed", 1).reason.code, TDM_ENOPROC);
}

SIM_TEST(messages, I3_a_request_times_out_at_its_time)
{
    tdm_pid a = spawn_worker(w, 1), b = spawn_worker(w, 2);
    struct question q = { .to = b, .type = TDM_MSG_USER + 77, .timeout_ms = 700 };
    uint64_t before = w->env->now_ns(w->env);

    ask(w, a, put_question, &q);
    wait_marks(w, "failed", 1);
    check_eq(w, mark_at(w, "failed", 0).reason.code, TDM_ETIMEOUT);
    uint64_t took = mark_at(w, "failed", 0).at_ns - before;
    check(w, took >= TDM_MS(700) && took <= TDM_MS(700) + 20000);
}

WORLD_TEST(messages, I3_a_request_that_a_full_mailbox_refuses_fails_at_once)
{
    static struct gate g; /* as above */
    tdm_pid a = spawn_worker(w, 1), b = spawn_with(w, 2, (struct tdm_spawn_cfg){ .mailbox_limit = 2 });
    struct question q = { .to = b };

    memset(&g, 0, sizeof g);
    g.w = w;
    tell(w, b, wait_at_gate, &g);
    wait_marks(w, "at the gate", 1);
    while (send_number(w, b, 1) == TDM_OK)
        ;
    ask(w, a, put_question, &q);
    wait_marks(w, "failed", 1);
    check_eq(w, mark_at(w, "failed", 0).reason.code, TDM_EFULL);
    open_gate(w, &g);
}

static int answer_late(tdm_self *self, void *arg)
{
    struct question *q = arg;
    struct tdm_runtime *rt = tdm_self_runtime(self);

    return tdm_reply_to(rt, q->to, q->ref, tdm_msg_new(rt, TDM_MSG_REPLY, 0));
}

SIM_TEST(messages, I4_late_answers_never_reach_the_asker_and_are_counted)
{
    tdm_pid a = spawn_worker(w, 1), b = spawn_worker(w, 2);
    struct question q = { .to = b, .type = TDM_MSG_USER + 77, .timeout_ms = 10 };
    int64_t late = tdm_counter_by_name("tandem_late_replies_total");

    for (int i = 0; i < 10; i++) {
        q.to = b;
        ask(w, a, put_question, &q);
        wait_marks(w, "failed", (size_t)i + 1);
        q.to = a;
        ask(w, b, answer_late, &q);
        ask(w, a, do_nothing, NULL);
    }
    check_eq(w, marks(w, "reply"), 0);
    check_eq(w, tdm_counter_by_name("tandem_late_replies_total") - late, 10);
}
