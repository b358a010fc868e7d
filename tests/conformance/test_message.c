/* Group I: messages, requests, and what finds no reader. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "rounds.h"
#include "sup_fixture.h"
#include "tandem/log.h"
#include "tandem/metrics.h"

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

WORLD_TEST_WITH(messages, I1_many_senders_each_in_order_none_lost_none_twice, { .workers = 4 })
{
    static const struct tdm_behaviour counter = { .name = "counter",
                                                  .state_bytes = sizeof(struct counter_state),
                                                  .init = counter_init,
                                                  .handle = counter_handle };
    static const struct tdm_behaviour sender = {
        .name = "sender", .state_bytes = sizeof(struct sender_arg), .init = sender_init, .run = sender_run
    };
    uint64_t count = w->sim ? 50 : rounds_here(w, 100000);
    struct counter_arg c = { w, SENDERS * count };
    tdm_pid to = spawn_with(w, 0,
                            (struct tdm_spawn_cfg){ .behaviour = &counter,
                                                    .arg = &c,
                                                    .arg_bytes = sizeof c,
                                                    .mailbox_limit = w->sim ? 64 : TDM_MAILBOX_MAX });

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

static int64_t turned_away(const char *cause)
{
    char name[128];

    snprintf(name, sizeof name, "tandem_mailbox_turned_away_total{class=\"worker\",cause=\"%s\"}", cause);
    return tdm_counter_by_name(name);
}

enum { LIMIT = 8, SENT = 20 };

/* Send 20 numbers to a box of 8 whose owner is busy; what it is busy with is in hand and no longer in the box. */
static tdm_pid flood(struct world *w, const struct tdm_behaviour *behaviour, enum tdm_overflow policy,
                     int want_err)
{
    static struct gate g; /* the actor passes it after we have returned */
    tdm_pid a = spawn_with(
        w, 1, (struct tdm_spawn_cfg){ .behaviour = behaviour, .mailbox_limit = LIMIT, .overflow = policy });

    memset(&g, 0, sizeof g);
    g.w = w;

    forget_marks(w);
    tell(w, a, wait_at_gate, &g);
    wait_marks(w, "at the gate", 1);
    for (uint64_t i = 0; i < SENT; i++) {
        int err = send_number(w, a, i);
        check_eq(w, err, i < LIMIT ? TDM_OK : want_err);
    }
    open_gate(w, &g);
    return a;
}

/* What came through is 8 numbers, from the first one given on. */
static void check_kept(struct world *w, tdm_pid a, uint64_t first)
{
    wait_marks(w, "got", LIMIT);
    ask(w, a, do_nothing, NULL);
    check_eq(w, marks(w, "got"), LIMIT);
    for (uint64_t i = 0; i < LIMIT; i++)
        check_eq(w, mark_at(w, "got", i).n, first + i);
}

WORLD_TEST(messages, I2_refuse_keeps_the_first_and_tells_the_sender)
{
    int64_t refused = turned_away("refused");

    check_kept(w, flood(w, &worker, TDM_REFUSE, TDM_EFULL), 0);
    check_eq(w, turned_away("refused") - refused, SENT - LIMIT);
}

WORLD_TEST(messages, I2_drop_newest_keeps_the_first_and_tells_nobody)
{
    int64_t dropped = turned_away("dropped_newest"),
            all = tdm_counter_by_name("tandem_mailbox_dropped_total");

    check_kept(w, flood(w, &worker, TDM_DROP_NEWEST, TDM_OK), 0);
    check_eq(w, turned_away("dropped_newest") - dropped, SENT - LIMIT);
    check_eq(w, tdm_counter_by_name("tandem_mailbox_dropped_total") - all, SENT - LIMIT);
}

WORLD_TEST(messages, I2_drop_oldest_keeps_the_last)
{
    int64_t dropped = turned_away("dropped_oldest");

    check_kept(w, flood(w, &worker, TDM_DROP_OLDEST, TDM_OK), SENT - LIMIT);
    check_eq(w, turned_away("dropped_oldest") - dropped, SENT - LIMIT);
}

WORLD_TEST(messages, I2_the_same_of_a_fiber)
{
    check_kept(w, flood(w, &fiber_worker, TDM_REFUSE, TDM_EFULL), 0);
    check_kept(w, flood(w, &fiber_worker, TDM_DROP_NEWEST, TDM_OK), 0);
    check_kept(w, flood(w, &fiber_worker, TDM_DROP_OLDEST, TDM_OK), SENT - LIMIT);
}

struct held {
    struct gate g;
    uint32_t length;
};

static int wait_and_count(tdm_self *self, void *arg)
{
    struct held *h = arg;
    int err = wait_at_gate(self, &h->g);

    h->length = tdm_self_mailbox_length(self);
    mark(h->g.w, "counted", h->length);
    return err;
}

WORLD_TEST_WITH(messages, I2_drop_oldest_stays_within_its_limit_however_long_a_callback_takes,
                { .seeds = 200 })
{
    static struct held h;
    tdm_pid a =
        spawn_with(w, 1, (struct tdm_spawn_cfg){ .mailbox_limit = LIMIT, .overflow = TDM_DROP_OLDEST });

    memset(&h, 0, sizeof h);
    h.g.w = w;
    tell(w, a, wait_and_count, &h);
    wait_marks(w, "at the gate", 1);
    for (uint64_t i = 0; i < 20000; i++)
        check_eq(w, send_number(w, a, i), TDM_OK);
    open_gate(w, &h.g);
    wait_marks(w, "counted", 1);
    check_eq(w, mark_at(w, "counted", 0).n, LIMIT);
    check_kept(w, a, 20000 - LIMIT);
}

WORLD_TEST(messages, I2_exit_ends_the_receiver)
{
    struct gate g = { .w = w };
    tdm_pid a = spawn_with(w, 1, (struct tdm_spawn_cfg){ .mailbox_limit = 8, .overflow = TDM_OVERFLOW_EXIT });
    tdm_pid watcher = spawn_worker(w, 2);

    int64_t turned = turned_away("overload"), dead = tdm_counter_by_name("tandem_dead_letters_total");
    ask(w, watcher, monitor_it, &a);
    tell(w, a, wait_at_gate, &g);
    wait_marks(w, "at the gate", 1);
    for (uint64_t i = 0; i < SENT; i++)
        check_eq(w, send_number(w, a, i), i < LIMIT ? TDM_OK : TDM_EFULL);
    open_gate(w, &g);
    wait_marks(w, "down", 1);
    check_eq(w, mark_at(w, "down", 0).reason.code, TDM_EOVERLOAD);
    wait_actor_count(w, 1);
    check_eq(w, marks(w, "got"), 0);
    check_eq(w, turned_away("overload") - turned, SENT - LIMIT);
    check_eq(w, tdm_counter_by_name("tandem_dead_letters_total") - dead, LIMIT);
}

WORLD_TEST(messages, I6_exit_and_down_arrive_though_the_mailbox_is_full)
{
    enum tdm_overflow policies[] = { TDM_REFUSE, TDM_DROP_NEWEST, TDM_DROP_OLDEST };

    for (size_t i = 0; i < 3; i++) {
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

/* ---- I4: answers that come too late ---------------------------------------------------------- */

enum { BATCH = 500, MSG_QUESTION = TDM_MSG_USER + 200, MSG_ANSWER_NOW, MSG_ANSWERED };

/* Keeps questions until it is told to answer. */
struct slow {
    uint32_t n;
    tdm_ref refs[BATCH];
};

static int slow_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    struct tdm_runtime *rt = tdm_self_runtime(self);
    struct slow *s = state;

    if (m->type == MSG_QUESTION)
        s->refs[s->n++] = m->ref;
    if (m->type != MSG_ANSWER_NOW)
        return TDM_OK;
    while (s->n > 0)
        if (tdm_reply_to(rt, m->from, s->refs[--s->n], tdm_msg_new(rt, TDM_MSG_REPLY, 0)) < 0)
            return TDM_ENOMEM;
    return driver_send(self, m->from, MSG_ANSWERED, 0);
}

/* A round is a batch of questions that all run out of time. */
struct impatient {
    struct driver d;
    uint32_t failed;
};

static int ask_batch(tdm_self *self, struct impatient *p)
{
    if (!driver_next(&p->d))
        return TDM_STOP;
    p->failed = 0;
    for (int i = 0; i < BATCH; i++)
        if (tdm_request(self, p->d.victim, tdm_msg_new(tdm_self_runtime(self), MSG_QUESTION, 0), 1) == 0)
            return TDM_ENOMEM;
    return TDM_OK;
}

static int impatient_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    static const struct tdm_behaviour slow = { .name = "slow",
                                               .state_bytes = sizeof(struct slow),
                                               .handle = slow_handle };
    struct impatient *p = state;

    switch (m->type) {
    case MSG_HOP:
        if (tdm_spawn(tdm_self_runtime(self),
                      &(struct tdm_spawn_cfg){ .behaviour = &slow, .mailbox_limit = TDM_MAILBOX_MAX },
                      &p->d.victim) < 0)
            return TDM_ENOMEM;
        return ask_batch(self, p);
    case TDM_MSG_REQUEST_FAILED:
        if (((const struct tdm_failure *)tdm_msg_view(m))->err != TDM_ETIMEOUT)
            driver_wrong(&p->d, "failed in another way");
        return ++p->failed == BATCH ? driver_send(self, p->d.victim, MSG_ANSWER_NOW, 0) : TDM_OK;
    case TDM_MSG_REPLY:
        driver_wrong(&p->d, "a late answer came through");
        return TDM_OK;
    case MSG_ANSWERED:
        return ask_batch(self, p);
    default:
        return TDM_OK;
    }
}

WORLD_TEST_WITH(messages, I4_late_answers_never_reach_the_asker_and_are_counted, ROUNDS_OPTS)
{
    static const struct tdm_behaviour impatient = { .name = "impatient",
                                                    .state_bytes = sizeof(struct impatient),
                                                    .init = driver_init,
                                                    .handle = impatient_handle };
    int64_t late = tdm_counter_by_name("tandem_late_replies_total");
    uint64_t batches = rounds_here(w, 100000) / BATCH / 4 * 4;

    run_drivers_of(w, &impatient, batches);
    if (!w->sim)
        cr_log_info("I4: %llu late answers", (unsigned long long)(batches * BATCH));
    check_eq(w, tdm_counter_by_name("tandem_late_replies_total") - late, batches * BATCH);
}

/* ---- I5: dead letters ------------------------------------------------------------------------ */

SIM_TEST(messages, I5_ten_dead_letters_are_logged_then_none_for_a_while_then_one_with_the_rest)
{
    tdm_pid a = spawn_worker(w, 1);
    int64_t dead = tdm_counter_by_name("tandem_dead_letters_total");
    int64_t gone = tdm_counter_by_name("tandem_dead_letters_by_cause_total{cause=\"gone\"}");

    log_watch(w);
    tell(w, a, exit_normal, NULL);
    wait_end(w, a);
    for (uint64_t i = 0; i < 11; i++)
        check_eq(w, send_number(w, a, i), TDM_ENOPROC);
    check_eq(w, logged("actor.dead_letter"), 10);
    check_eq(w, logged("left_out=0"), 10);
    let_pass(w, TDM_S(299));
    check_eq(w, send_number(w, a, 11), TDM_ENOPROC);
    check_eq(w, logged("actor.dead_letter"), 10);
    let_pass(w, TDM_S(2));
    check_eq(w, send_number(w, a, 12), TDM_ENOPROC);
    check_eq(w, logged("actor.dead_letter"), 11);
    check_eq(w, logged("left_out=2"), 1);
    check_eq(w, tdm_counter_by_name("tandem_dead_letters_total") - dead, 13);
    check_eq(w, tdm_counter_by_name("tandem_dead_letters_by_cause_total{cause=\"gone\"}") - gone, 13);
}

static int64_t dead_by(const char *cause)
{
    char name[96];

    snprintf(name, sizeof name, "tandem_dead_letters_by_cause_total{cause=\"%s\"}", cause);
    return tdm_counter_by_name(name);
}

/* Five numbers behind what ends the actor. */
static void leave_unread(struct world *w, tdm_pid a, deed *end)
{
    static struct gate g;

    memset(&g, 0, sizeof g);
    g.w = w;
    forget_marks(w);
    tell(w, a, wait_at_gate, &g);
    wait_marks(w, "at the gate", 1);
    tell(w, a, end, NULL);
    for (uint64_t i = 0; i < 5; i++)
        check_eq(w, send_number(w, a, i), TDM_OK);
    open_gate(w, &g);
    wait_end(w, a);
}

WORLD_TEST(messages, I5_dead_letters_are_counted_by_cause)
{
    struct tdm_child_spec fresh = CHILD(w, "fresh", 1, .restart = TDM_PERMANENT);
    tdm_pid a = spawn_worker(w, 1), sup = start_children(w, &fresh, 1), b = child_pid(w, sup, "fresh");
    int64_t ended = dead_by("ended"), restart = dead_by("restart"), gone = dead_by("gone"),
            all = tdm_counter_by_name("tandem_dead_letters_total");

    leave_unread(w, a, exit_normal);
    wait_actor_count(w, 2); /* the last of an end is told to nobody */
    check_eq(w, dead_by("ended") - ended, 5);
    leave_unread(w, b, exit_error);
    (void)wait_restarted(w, sup, "fresh", b);
    check_eq(w, dead_by("restart") - restart, 5);
    check_eq(w, send_number(w, b, 1), TDM_ENOPROC);
    check_eq(w, dead_by("gone") - gone, 1);
    check_eq(w, tdm_counter_by_name("tandem_dead_letters_total") - all, 11);
}

/* ---- addresses of the dead, over many tenants of their slots --------------------------------- */

struct stale {
    struct driver d;
    tdm_pid old;
    int answers;
};

static int stale_begin(tdm_self *self, struct stale *s)
{
    if (!driver_next(&s->d))
        return TDM_STOP;
    s->answers = 0;
    s->old = s->d.victim;
    int err =
        tdm_spawn(tdm_self_runtime(self), &(struct tdm_spawn_cfg){ .behaviour = &mortal }, &s->d.victim);
    if (err < 0 || s->old.id == 0)
        return err < 0 ? err : driver_hop(self);
    if (tdm_alive(tdm_self_runtime(self), s->old) || driver_send(self, s->old, MSG_DIE, 0) != TDM_ENOPROC)
        driver_wrong(&s->d, "the dead took a message");
    if (tdm_monitor(self, s->old) == 0 ||
        tdm_request(self, s->old, tdm_msg_new(tdm_self_runtime(self), MSG_QUESTION, 0), 5000) == 0)
        return TDM_ENOMEM;
    return TDM_OK;
}

static int stale_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    struct stale *s = state;

    if (m->type == TDM_MSG_DOWN) {
        const struct tdm_notice *n = tdm_msg_view(m);
        if (n->pid.id == s->d.victim.id) /* the round is over */
            return stale_begin(self, s);
        if (n->pid.id != s->old.id || n->reason.kind != TDM_EXIT_NOPROC)
            driver_wrong(&s->d, "not noproc");
        s->answers++;
    } else if (m->type == TDM_MSG_REQUEST_FAILED) {
        if (((const struct tdm_failure *)tdm_msg_view(m))->err != TDM_ENOPROC)
            driver_wrong(&s->d, "the request did not fail with noproc");
        s->answers++;
    } else if (m->type == MSG_HOP && s->d.round == 0) {
        return stale_begin(self, s);
    }
    if (s->old.id != 0 && s->answers < 2)
        return TDM_OK;
    if (tdm_monitor(self, s->d.victim) == 0)
        return TDM_ENOMEM;
    return driver_send(self, s->d.victim, MSG_DIE, 0);
}

WORLD_TEST_WITH(messages, I3_the_address_of_a_dead_actor_never_reaches_a_later_one, ROUNDS_OPTS)
{
    static const struct tdm_behaviour stale = {
        .name = "stale", .state_bytes = sizeof(struct stale), .init = driver_init, .handle = stale_handle
    };
    run_drivers(w, &stale, 100000);
}
