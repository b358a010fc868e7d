/* Group K: places that stand for something that lives elsewhere. */
#include <string.h>

#include "sup_fixture.h"

/* ---- a leg: handles numbered events, and crashes at some of them ----------------------------- */

enum how { FINE, RETURNS_ERROR, ASSERTS, FAULTS, EXITS_WITH_ERROR, TAKES_IT, STOPS, RESTARTS_BY_SHUTDOWN };

struct event {
    uint64_t n;
    enum how how;
    int crashes; /* the first so many times that it is handled */
};

enum { MSG_EVENT_OF_OURS = TDM_MSG_USER + 50, EVENTS = 1000 };

/* How often each was handled, and whether in order. One world runs at a time. */
static struct {
    uint32_t times[EVENTS];
    uint64_t last;
    bool out_of_order;
} handled;

static int end_in(tdm_self *self, enum how how, struct tdm_msg *m)
{
    struct tdm_reason error = { .kind = TDM_EXIT_ERROR, .code = TDM_EPEER };

    switch (how) {
    case RETURNS_ERROR:
        return TDM_EPEER;
    case ASSERTS:
        return fail_assert(self, NULL);
    case FAULTS:
        return write_null(self, NULL);
    case EXITS_WITH_ERROR:
        tdm_exit(self, &error);
        return TDM_OK;
    case TAKES_IT:
        tdm_msg_free(tdm_self_runtime(self), tdm_msg_take(self, m));
        return TDM_EPEER;
    case STOPS:
        return TDM_STOP;
    case RESTARTS_BY_SHUTDOWN:
        return exit_shutdown(self, NULL);
    case FINE:
        break;
    }
    return TDM_OK;
}

static int leg_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    struct world *w = ((struct worker_arg *)state)->w;

    if (m->type != MSG_EVENT_OF_OURS)
        return TDM_OK;
    const struct event *e = tdm_msg_view(m);
    bool again = handled.times[e->n]++ > 0;
    if (!again && e->n != 0 && e->n != handled.last + 1)
        handled.out_of_order = true;
    handled.last = e->n;
    bool ends = handled.times[e->n] <= (uint32_t)e->crashes;
    mark(w, "event", e->n); /* last: the body may look then */
    return ends ? end_in(self, e->how, m) : TDM_OK;
}

static int leg_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    (void)self;
    memcpy(state, start->arg, sizeof(struct worker_arg));
    mark(((struct worker_arg *)state)->w, "leg", start->restarts);
    return TDM_OK;
}

static int leg_run(tdm_self *self, void *state)
{
    struct tdm_msg *m;
    int err = TDM_OK;

    while (err == TDM_OK && (err = tdm_receive(self, TDM_FOREVER, &m)) == TDM_OK)
        err = leg_handle(self, state, m);
    return err;
}

static const struct tdm_behaviour leg = {
    .name = "leg", .state_bytes = sizeof(struct worker_arg), .init = leg_init, .handle = leg_handle
};
static const struct tdm_behaviour fiber_leg = {
    .name = "fiber_leg", .state_bytes = sizeof(struct worker_arg), .init = leg_init, .run = leg_run
};

static tdm_place start_leg(struct world *w, const struct tdm_behaviour *behaviour,
                           enum tdm_redeliver redeliver)
{
    struct tdm_child_spec t =
        CHILD(w, "t", 0, .restart = TDM_PERMANENT, .mail = TDM_MAIL_KEEP, .redeliver = redeliver);

    memset(&handled, 0, sizeof handled);
    forget_marks(w);
    t.start.behaviour = behaviour;
    t.start.mailbox_limit = 4000;
    return start_dynamic(w, start_template(w, &t), 1);
}

static void send_event(struct world *w, tdm_place p, struct event e)
{
    struct tdm_msg *m = tdm_msg_copy(w->rt, MSG_EVENT_OF_OURS, &e, sizeof e);

    check(w, m != NULL);
    check_eq(w, tdm_send_place(w->rt, p, m), TDM_OK);
}

/* ---- K1 -------------------------------------------------------------------------------------- */

static void stream(struct world *w, const struct tdm_behaviour *behaviour)
{
    static const enum how ways[] = { RETURNS_ERROR, ASSERTS, FAULTS, EXITS_WITH_ERROR };
    tdm_place p = start_leg(w, behaviour, TDM_REDELIVER_NEVER);

    for (uint64_t i = 0; i < EVENTS; i++) /* five crashes in the middle of it */
        send_event(w, p, (struct event){ i, i % 200 == 100 ? ways[i / 200 % 4] : FINE, 1 });
    wait_marks_of(w, "event", EVENTS - 1, 1);
    for (size_t i = 0; i < EVENTS; i++)
        check_eq(w, handled.times[i], 1);
    check(w, !handled.out_of_order);
    check_eq(w, marks(w, "leg"), 6);
}

WORLD_TEST(legs, K1_a_crash_loses_and_reorders_no_other_event)
{
    stream(w, &leg);
}

WORLD_TEST(legs, K1_the_same_with_a_fiber)
{
    stream(w, &fiber_leg);
}

/* ---- K2 -------------------------------------------------------------------------------------- */

/* Three events, of which the second makes it end so many times; how often that is handled, and how many incarnations
 * there are in the end. */
static void redeliver(struct world *w, const struct tdm_behaviour *behaviour, enum how how, int crashes,
                      enum tdm_redeliver mode, uint32_t times, size_t incarnations)
{
    tdm_place p = start_leg(w, behaviour, mode);

    send_event(w, p, (struct event){ 0, FINE, 0 });
    send_event(w, p, (struct event){ 1, how, crashes });
    send_event(w, p, (struct event){ 2, FINE, 0 });
    wait_marks_of(w, "event", 2, 1);
    check_eq(w, handled.times[0], 1);
    check_eq(w, handled.times[1], times);
    check_eq(w, handled.times[2], 1);
    check_eq(w, marks(w, "leg"), incarnations);
    check(w, !handled.out_of_order);
}

static void redeliver_all(struct world *w, const struct tdm_behaviour *behaviour)
{
    static const enum how crashes[] = { RETURNS_ERROR, ASSERTS, FAULTS, EXITS_WITH_ERROR };

    for (size_t i = 0; i < 4; i++) {
        redeliver(w, behaviour, crashes[i], 1, TDM_REDELIVER_ONCE, 2, 2);
        redeliver(w, behaviour, crashes[i], 9, TDM_REDELIVER_ONCE, 2, 3);
        redeliver(w, behaviour, crashes[i], 9, TDM_REDELIVER_NEVER, 1, 2);
    }
    /* what was taken is its new owner's; an end that is no crash is done with the event */
    redeliver(w, behaviour, TAKES_IT, 9, TDM_REDELIVER_ONCE, 1, 2);
    redeliver(w, behaviour, STOPS, 9, TDM_REDELIVER_ONCE, 1, 2);
    redeliver(w, behaviour, RESTARTS_BY_SHUTDOWN, 9, TDM_REDELIVER_ONCE, 1, 2);
}

WORLD_TEST(legs, K2_the_event_at_a_crash_is_seen_once_more_and_not_a_third_time)
{
    redeliver_all(w, &leg);
}

WORLD_TEST(legs, K2_the_same_with_a_fiber)
{
    redeliver_all(w, &fiber_leg);
}

/* What was sent to the incarnation that crashed and to nobody else. */
static int timer_leg_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    struct world *w = ((struct worker_arg *)state)->w;

    if (m->type == MSG_NUMBER)
        return tdm_timer_start(self, 0) == 0 ? TDM_ENOMEM : TDM_OK;
    if (m->type == MSG_EVENT_OF_OURS)
        mark(w, "event", 0);
    if (m->type != TDM_MSG_TIMER)
        return TDM_OK;
    mark(w, "timer", 0);
    return TDM_EPEER;
}

WORLD_TEST(legs, K2_a_timer_of_the_crashed_incarnation_is_not_seen_again)
{
    static const struct tdm_behaviour timer_leg = { .name = "timer_leg",
                                                    .state_bytes = sizeof(struct worker_arg),
                                                    .init = leg_init,
                                                    .handle = timer_leg_handle };
    tdm_place p = start_leg(w, &timer_leg, TDM_REDELIVER_ONCE);

    check_eq(w, send_number_place(w, p, 1), TDM_OK);
    wait_marks(w, "leg", 2);
    send_event(w, p, (struct event){ 0 });
    wait_marks(w, "event", 1); /* whatever was before it in the mail has been seen */
    check_eq(w, marks(w, "timer"), 1);
    check_eq(w, marks(w, "leg"), 2);
}

/* A limit of one: while it waits for its second chance the event counts. */
SIM_TEST(legs, K2_an_event_that_waits_to_be_seen_again_counts_against_the_limit)
{
    struct tdm_child_spec t =
        CHILD(w, "t", 0, .restart = TDM_PERMANENT, .mail = TDM_MAIL_KEEP, .redeliver = TDM_REDELIVER_ONCE);
    struct tdm_sup_cfg cfg = { .strategy = TDM_DYNAMIC,
                               .intensity = 10,
                               .backoff_min_ms = 1000,
                               .backoff_max_ms = 1000,
                               .children = &t,
                               .n_children = 1 };
    struct event e = { 0, RETURNS_ERROR, 1 };

    memset(&handled, 0, sizeof handled);
    t.start.behaviour = &leg;
    t.start.mailbox_limit = 1;
    tdm_place p = start_dynamic(w, start_sup(w, &cfg), 1);
    send_event(w, p, e);
    wait_marks(w, "event", 1);
    let_pass(w, TDM_MS(100)); /* now it waits for its delay */
    check_eq(w, send_number_place(w, p, 1), TDM_EFULL);
    wait_marks(w, "event", 2);
    let_pass(w, TDM_MS(1));
    check_eq(w, send_number_place(w, p, 1), TDM_OK);
}

/* ---- K3 -------------------------------------------------------------------------------------- */

static void end_place(struct world *w, tdm_place p)
{
    uint64_t n = 1;

    check_eq(w, tdm_place_end(w->rt, p, tdm_msg_copy(w->rt, MSG_NUMBER, &n, sizeof n)), TDM_OK);
}

SIM_TEST(legs, K3_what_ends_between_two_incarnations_is_not_started_again)
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT, .mail = TDM_MAIL_KEEP);
    struct tdm_sup_cfg cfg = { .strategy = TDM_DYNAMIC,
                               .intensity = 10,
                               .backoff_min_ms = 1000,
                               .backoff_max_ms = 1000,
                               .children = &t,
                               .n_children = 1 };
    tdm_pid sup = start_sup(w, &cfg);
    tdm_place p = start_dynamic(w, sup, 1);

    tell_place(w, p, exit_error, NULL);
    wait_marks(w, "term", 1);
    let_pass(w, TDM_MS(100));
    end_place(w, p);
    let_pass(w, TDM_S(2));
    check_eq(w, marks(w, "init"), 1);
    check_eq(w, marks(w, "got"), 0);
    check_eq(w, sup_count(w, sup).workers, 0);
    check_eq(w, send_number_place(w, p, 1), TDM_ENOPROC);
}

SIM_TEST(legs, K3_an_end_that_was_delivered_before_a_crash_is_read_after_it)
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_TRANSIENT, .mail = TDM_MAIL_KEEP);
    struct tdm_sup_cfg cfg = { .strategy = TDM_DYNAMIC, .intensity = 10, .children = &t, .n_children = 1 };
    tdm_pid sup = start_sup(w, &cfg);
    tdm_place p = start_dynamic(w, sup, 1);

    wait_marks(w, "init", 1);
    tell_place(w, p, exit_error, NULL);
    bool lived = tdm_place_pid(w->rt, p).id != 0; /* the deed may have been done already */
    end_place(w, p);                              /* behind what makes it crash */
    let_pass(w, TDM_S(1));
    check_eq(w, marks(w, "got"), lived ? 1 : marks(w, "got"));
    if (tdm_place_pid(w->rt, p).id != 0)
        tell_place(w, p, exit_error, NULL); /* the end is read: a crash now is for good */
    let_pass(w, TDM_S(2));
    check_eq(w, marks(w, "init") <= 2, true);
    check_eq(w, sup_count(w, sup).workers, 0);
}

/* An end that crashes its reader is not read again, though other events would be. */
SIM_TEST(legs, K3_an_end_that_was_being_handled_at_the_crash_starts_nobody)
{
    struct tdm_child_spec t =
        CHILD(w, "t", 0, .restart = TDM_PERMANENT, .mail = TDM_MAIL_KEEP, .redeliver = TDM_REDELIVER_ONCE);
    struct event e = { 0, RETURNS_ERROR, 9 };

    memset(&handled, 0, sizeof handled);
    t.start.behaviour = &leg;
    tdm_pid sup = start_template(w, &t);
    tdm_place p = start_dynamic(w, sup, 1);
    wait_marks(w, "leg", 1);
    check_eq(w, tdm_place_end(w->rt, p, tdm_msg_copy(w->rt, MSG_EVENT_OF_OURS, &e, sizeof e)), TDM_OK);
    let_pass(w, TDM_S(2));
    check_eq(w, handled.times[0], 1);
    check_eq(w, marks(w, "leg"), 1);
    check_eq(w, sup_count(w, sup).workers, 0);
}

/* ---- K4 -------------------------------------------------------------------------------------- */

struct seen {
    uint64_t number;
    uint32_t restarts;
    int last_code;
    char note[16];
    size_t note_bytes;
};

static struct seen seen[8];

static bool look(struct worker_arg *arg, const struct tdm_start *start, int *result)
{
    struct seen *s = &seen[start->restarts];

    (void)result;
    s->number = arg->number;
    s->restarts = start->restarts;
    s->last_code = start->last != NULL ? start->last->code : 0;
    s->note_bytes = start->note_bytes;
    if (start->note_bytes > 0 && start->note_bytes <= sizeof s->note)
        memcpy(s->note, start->note, start->note_bytes);
    return false;
}

static int save_note(tdm_self *self, void *arg)
{
    return tdm_note_save(self, arg, strlen(arg) + 1);
}

WORLD_TEST(legs, K4_a_restart_sees_the_argument_the_reason_the_count_and_the_last_note)
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT, .mail = TDM_MAIL_KEEP);
    struct worker_arg arg = { .w = w, .number = 42, .veto = look };
    static char first[] = "one", second[] = "two and more";
    tdm_pid sup = start_template(w, &t);
    tdm_place p;

    memset(seen, 0, sizeof seen);
    check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &arg, sizeof arg, NULL, &p), TDM_OK);
    tell_place(w, p, save_note, first);
    tell_place(w, p, exit_error, NULL);
    tell_place(w, p, save_note, second);
    tell_place(w, p, fail_assert, NULL);
    tell_place(w, p, write_null, NULL);
    wait_marks(w, "init", 4);
    tdm_pid pid = wait_place(w, p, (tdm_pid){ 0 });
    ask(w, pid, do_nothing, NULL);
    int codes[] = { 0, TDM_EPEER, TDM_EASSERT, TDM_EFAULT };
    const char *notes[] = { "", "one", "two and more", "two and more" };
    for (uint32_t i = 0; i < 4; i++) {
        check_eq(w, seen[i].number, 42);
        check_eq(w, seen[i].restarts, i);
        check_eq(w, seen[i].last_code, codes[i]);
        check(w, strcmp(seen[i].note, notes[i]) == 0);
    }
}

static int save_too_much(tdm_self *self, void *arg)
{
    static char big[TDM_NOTE_MAX + 1];

    *(int *)arg = tdm_note_save(self, big, sizeof big);
    return TDM_OK;
}

WORLD_TEST(legs, K4_a_note_that_is_too_long_is_refused)
{
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT);
    tdm_pid sup = start_template(w, &t);
    tdm_pid pid = wait_place(w, start_dynamic(w, sup, 1), (tdm_pid){ 0 });
    int err = 0;

    ask(w, pid, save_too_much, &err);
    check_eq(w, err, TDM_ETOOBIG);
}
