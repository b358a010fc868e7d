/* Tests of runtime/inbox.c: a mailbox that drops its oldest, while its reader and many senders are at it. */
#include "worlds.h"

#include <stdio.h>
#include <string.h>

#include "tandem/metrics.h"

enum { SENDERS = 4, LIMIT = 8, MSG_COUNTED = TDM_MSG_USER + 30, MSG_LAST };

struct reader {
    struct world *w;
    uint64_t next[SENDERS]; /* the least that may still come from it */
    uint64_t got;
    uint64_t timers_set, timers_fired;
};

struct word {
    uint64_t who, n;
};

static void look_at(struct reader *r, tdm_self *self, const struct tdm_msg *m)
{
    const struct word *x = tdm_msg_view(m);

    if (x->n < r->next[x->who])
        mark(r->w, "out of order", x->n);
    r->next[x->who] = x->n + 1;
    r->got++;
    if (tdm_self_mailbox_length(self) > LIMIT + r->timers_set - r->timers_fired)
        mark(r->w, "beyond its limit", tdm_self_mailbox_length(self));
}

static int reader_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    (void)self;
    ((struct reader *)state)->w = *(struct world *const *)start->arg;
    return TDM_OK;
}

static int reader_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    struct reader *r = state;

    if (m->type == TDM_MSG_TIMER)
        r->timers_fired++;
    if (m->type == MSG_COUNTED)
        look_at(r, self, m);
    if (m->type == MSG_COUNTED && r->got % 16 == 0) { /* must come, however full it is */
        r->timers_set++;
        return tdm_timer_start(self, 0) == 0 ? TDM_ENOMEM : TDM_OK;
    }
    if (m->type == MSG_LAST) {
        mark(r->w, "read", r->got);
        mark(r->w, "timers lost", r->timers_set - r->timers_fired);
    }
    return TDM_OK;
}

static bool of_an_odd_sender(const struct tdm_msg *m, void *ctx)
{
    (void)ctx;
    return m->type == MSG_COUNTED && ((const struct word *)tdm_msg_view(m))->who % 2 == 1;
}

static bool is_the_last(const struct tdm_msg *m, void *ctx)
{
    (void)ctx;
    return m->type == MSG_LAST;
}

/* Looks through its mail for some of it, leaves the rest where it is, and sleeps now and then. */
static int picky_run(tdm_self *self, void *state)
{
    struct reader *r = state;
    struct tdm_msg *m;

    for (uint64_t i = 0;; i++) {
        int err = i % 3 == 0   ? tdm_receive(self, TDM_FOREVER, &m)
                  : i % 3 == 1 ? tdm_receive_if(self, of_an_odd_sender, NULL, TDM_MS(1), &m)
                               : tdm_sleep(self, 1000);
        if (err == TDM_ETIMEOUT || (err == TDM_OK && i % 3 == 2))
            continue;
        if (err < 0)
            return err;
        if (m->type == MSG_COUNTED)
            look_at(r, self, m);
        if (m->type == MSG_LAST) {
            mark(r->w, "read", r->got);
            mark(r->w, "timers lost", 0);
        }
    }
}

struct sender {
    struct world *w;
    tdm_pid to;
    uint64_t who, count;
};

static int send_all(tdm_self *self, void *arg)
{
    const struct sender *s = arg;
    struct tdm_runtime *rt = tdm_self_runtime(self);

    for (uint64_t i = 0; i < s->count; i++) {
        struct word x = { s->who, i };
        struct tdm_msg *m = tdm_msg_copy(rt, MSG_COUNTED, &x, sizeof x);
        if (m == NULL)
            return TDM_ENOMEM;
        if (tdm_send(rt, s->to, m) != TDM_OK) {
            tdm_msg_free(rt, m);
            return TDM_STOP;
        }
    }
    mark(s->w, "sent", s->who);
    return TDM_OK;
}

static const struct tdm_behaviour plain = {
    .name = "inbox_plain", .state_bytes = sizeof(struct reader), .init = reader_init, .handle = reader_handle
};
static const struct tdm_behaviour picky = {
    .name = "inbox_picky", .state_bytes = sizeof(struct reader), .init = reader_init, .run = picky_run
};

static int64_t dropped_of(const struct tdm_behaviour *b)
{
    char name[128];

    snprintf(name, sizeof name, "tandem_mailbox_turned_away_total{class=\"%s\",cause=\"dropped_oldest\"}",
             b->name);
    return tdm_counter_by_name(name);
}

static void flood(struct world *w, const struct tdm_behaviour *behaviour)
{
    struct sender s[SENDERS];
    uint64_t count = w->sim ? 100 : 5000;
    int64_t dropped = dropped_of(behaviour);
    tdm_pid a = spawn_with(w, 0,
                           (struct tdm_spawn_cfg){ .behaviour = behaviour,
                                                   .arg = &w,
                                                   .arg_bytes = sizeof w,
                                                   .mailbox_limit = LIMIT,
                                                   .overflow = TDM_DROP_OLDEST });

    for (uint64_t i = 0; i < SENDERS; i++) {
        s[i] = (struct sender){ w, a, i, count };
        check_eq(w, tell(w, spawn_worker(w, i), send_all, &s[i]), TDM_OK);
    }
    wait_marks(w, "sent", SENDERS);
    let_pass(w, TDM_MS(1));
    struct tdm_msg *last = tdm_msg_new(w->rt, MSG_LAST, 0);
    check(w, last != NULL && tdm_send(w->rt, a, last) == TDM_OK);
    wait_marks(w, "read", 1);
    check_eq(w, marks(w, "out of order") + marks(w, "beyond its limit"), 0);
    wait_marks_of(w, "timers lost", 0, 1);
    check_eq(w, (int64_t)mark_at(w, "read", 0).n + dropped_of(behaviour) - dropped, SENDERS * count);
    tdm_kill(w->rt, a);
    wait_end(w, a);
}

WORLD_TEST_WITH(inbox, every_message_is_read_in_order_or_counted_as_dropped, { .workers = 4 })
{
    flood(w, &plain);
}

WORLD_TEST_WITH(inbox, the_same_of_a_fiber_that_looks_through_its_mail, { .workers = 4 })
{
    flood(w, &picky);
}

/* ---- exactly which goes ---------------------------------------------------------------------- */

static int scene_run(tdm_self *self, void *state)
{
    struct world *w = *(struct world **)state;
    struct tdm_msg *m;

    mark(w, "waits", 0);
    int err = tdm_receive_if(self, is_the_last, NULL, TDM_FOREVER, &m);
    while (err == TDM_OK && (err = tdm_receive(self, 0, &m)) == TDM_OK)
        mark(w, "left", ((const struct word *)tdm_msg_view(m))->n);
    mark(w, "all", 0);
    return TDM_STOP;
}

static int scene_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    (void)self;
    *(struct world **)state = *(struct world *const *)start->arg;
    return TDM_OK;
}

/* The fiber has passed over what it does not want; that is the oldest, and goes first, one by one. */
WORLD_TEST(inbox, what_a_fiber_passed_over_is_dropped_first)
{
    static const struct tdm_behaviour scene = {
        .name = "inbox_scene", .state_bytes = sizeof(struct world *), .init = scene_init, .run = scene_run
    };
    tdm_pid a = spawn_with(w, 0,
                           (struct tdm_spawn_cfg){ .behaviour = &scene,
                                                   .arg = &w,
                                                   .arg_bytes = sizeof w,
                                                   .mailbox_limit = LIMIT,
                                                   .overflow = TDM_DROP_OLDEST });

    wait_marks(w, "waits", 1);
    for (uint64_t i = 0; i < 3 * LIMIT; i++) {
        struct word x = { 0, i };
        struct tdm_msg *m = tdm_msg_copy(w->rt, MSG_COUNTED, &x, sizeof x);
        check(w, m != NULL && tdm_send(w->rt, a, m) == TDM_OK);
        if (i % 5 == 0)
            let_pass(w, TDM_MS(1)); /* it looks at them */
    }
    struct tdm_msg *last = tdm_msg_new(w->rt, MSG_LAST, 0);
    check(w, last != NULL && tdm_send(w->rt, a, last) == TDM_OK);
    wait_marks(w, "all", 1);
    check_eq(w, marks(w, "left"), LIMIT - 1); /* the last itself was one */
    for (size_t i = 0; i < LIMIT - 1; i++)
        check_eq(w, mark_at(w, "left", i).n, 2 * LIMIT + 1 + i);
}

/* A sender may come while its target ends, and after; the slot may have a new tenant by then. */
WORLD_TEST_WITH(inbox, ends_and_new_tenants_do_not_disturb_those_who_drop, { .workers = 4, .seeds = 30 })
{
    static struct sender of[100][SENDERS]; /* some run on when we have returned */

    for (int round = 0; round < (w->sim ? 5 : 100); round++) {
        tdm_pid a =
            spawn_with(w, 0, (struct tdm_spawn_cfg){ .mailbox_limit = 2, .overflow = TDM_DROP_OLDEST });
        struct sender *s = of[round];
        forget_marks(w);
        for (uint64_t i = 0; i < SENDERS; i++) {
            s[i] = (struct sender){ w, a, i, 200 };
            check_eq(w, tell(w, spawn_with(w, 9, (struct tdm_spawn_cfg){ 0 }), send_all, &s[i]), TDM_OK);
        }
        tdm_kill(w->rt, a);
        wait_end(w, a);
        (void)spawn_with(w, 8, (struct tdm_spawn_cfg){ .mailbox_limit = 2 });
    }
}
