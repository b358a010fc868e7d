/* Tests of runtime/fiber.c: sequential code that waits. */
#include "worlds.h"

#include <string.h>

struct plan {
    struct world *w;
    int (*run)(tdm_self *self, struct world *w);
};

static int plan_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    (void)self;
    memcpy(state, start->arg, sizeof(struct plan));
    return TDM_OK;
}

static int plan_run(tdm_self *self, void *state)
{
    struct plan *p = state;
    return p->run(self, p->w);
}

static int plan_terminate(tdm_self *self, void *state, const struct tdm_reason *reason)
{
    struct plan *p = state;
    struct tdm_msg *m;

    mark(p->w, "wait in terminate", (uint64_t)(uint32_t)-tdm_receive(self, 0, &m));
    mark_all(p->w, "term", 0, tdm_self_pid(self), reason);
    return TDM_OK;
}

static const struct tdm_behaviour plan = { .name = "plan",
                                           .state_bytes = sizeof(struct plan),
                                           .init = plan_init,
                                           .run = plan_run,
                                           .terminate = plan_terminate };

static tdm_pid spawn_plan(struct world *w, int (*run)(tdm_self *, struct world *), struct tdm_spawn_cfg cfg)
{
    struct plan p = { w, run };

    cfg.behaviour = &plan;
    cfg.arg = &p;
    cfg.arg_bytes = sizeof p;
    return spawn_with(w, 0, cfg);
}

static bool is_even(const struct tdm_msg *m, void *ctx)
{
    (void)ctx;
    return m->type == MSG_NUMBER && *(const uint64_t *)tdm_msg_view(m) % 2 == 0;
}

static int even_first(tdm_self *self, struct world *w)
{
    struct tdm_msg *m;

    for (int i = 0; i < 5 && tdm_receive_if(self, is_even, NULL, TDM_FOREVER, &m) == TDM_OK; i++)
        mark(w, "took", *(const uint64_t *)tdm_msg_view(m));
    for (int i = 0; i < 5 && tdm_receive(self, TDM_FOREVER, &m) == TDM_OK; i++)
        mark(w, "took", *(const uint64_t *)tdm_msg_view(m));
    return TDM_OK;
}

WORLD_TEST(fiber, a_selective_receive_leaves_the_others_in_their_order)
{
    tdm_pid f = spawn_plan(w, even_first, (struct tdm_spawn_cfg){ 0 });
    uint64_t want[] = { 0, 2, 4, 6, 8, 1, 3, 5, 7, 9 };

    for (uint64_t i = 0; i < 10; i++)
        check_eq(w, send_number(w, f, i), TDM_OK);
    wait_end(w, f);
    for (size_t i = 0; i < 10; i++)
        check_eq(w, mark_at(w, "took", i).n, want[i]);
}

static int sleep_and_receive(tdm_self *self, struct world *w)
{
    struct tdm_msg *m;
    uint64_t before = tdm_now_ns(self);

    mark(w, "slept", (uint64_t)tdm_sleep(self, TDM_MS(20)));
    mark(w, "early", tdm_now_ns(self) - before < TDM_MS(20));
    mark(w, "timeout", tdm_receive(self, TDM_MS(5), &m) == TDM_ETIMEOUT);
    mark(w, "at once", tdm_receive(self, 0, &m) == TDM_ETIMEOUT);
    return TDM_OK;
}

WORLD_TEST(fiber, sleeps_and_times_out_and_a_wait_elsewhere_is_refused)
{
    tdm_pid f = spawn_plan(w, sleep_and_receive, (struct tdm_spawn_cfg){ 0 });

    wait_end(w, f);
    check_eq(w, mark_at(w, "slept", 0).n, 0);
    check_eq(w, mark_at(w, "early", 0).n, 0);
    check_eq(w, mark_at(w, "timeout", 0).n, 1);
    check_eq(w, mark_at(w, "at once", 0).n, 1);
    check_eq(w, mark_at(w, "wait in terminate", 0).n, -TDM_ESTATE);
}

static int clean_up(tdm_self *self, struct world *w)
{
    mark(w, "woken", tdm_sleep(self, TDM_FOREVER) == TDM_ESTOP);
    mark(w, "may wait again", tdm_sleep(self, TDM_MS(1)) == TDM_OK);
    return TDM_ESTOP;
}

WORLD_TEST(fiber, a_stop_ends_one_wait_and_leaves_time_to_clean_up)
{
    tdm_pid f = spawn_plan(w, clean_up, (struct tdm_spawn_cfg){ 0 });

    check_eq(w, tdm_stop(w->rt, f), TDM_OK);
    wait_end(w, f);
    check_eq(w, mark_at(w, "woken", 0).n, 1);
    check_eq(w, mark_at(w, "may wait again", 0).n, 1);
    check_eq(w, mark_at(w, "term", 0).reason.kind, TDM_EXIT_SHUTDOWN);
}

static tdm_pid answerer;

static int ask_twice(tdm_self *self, struct world *w)
{
    struct tdm_runtime *rt = tdm_self_runtime(self);
    struct tdm_msg *reply = NULL;
    tdm_ref first = tdm_request(self, answerer, tdm_msg_new(rt, MSG_ASK_NUMBER, 0), 1000);
    tdm_ref second = tdm_request(self, answerer, tdm_msg_new(rt, MSG_ASK_NUMBER, 0), 1000);

    mark(w, "second",
         tdm_await(self, second, &reply) == TDM_OK && *(const uint64_t *)tdm_msg_view(reply) == 7);
    mark(w, "first", tdm_await(self, first, &reply) == TDM_OK);
    tdm_ref never = tdm_request(self, answerer, tdm_msg_new(rt, TDM_MSG_USER + 99, 0), 10);
    mark(w, "never", tdm_await(self, never, &reply) == TDM_ETIMEOUT);
    return TDM_OK;
}

WORLD_TEST(fiber, awaits_answers_in_any_order)
{
    answerer = spawn_worker(w, 7);
    tdm_pid f = spawn_plan(w, ask_twice, (struct tdm_spawn_cfg){ 0 });

    wait_end(w, f);
    check_eq(w, mark_at(w, "second", 0).n, 1);
    check_eq(w, mark_at(w, "first", 0).n, 1);
    check_eq(w, mark_at(w, "never", 0).n, 1);
}

static bool is_last(const struct tdm_msg *m, void *ctx)
{
    (void)ctx;
    return m->type == MSG_NUMBER && *(const uint64_t *)tdm_msg_view(m) == 99;
}

static int wait_for_last(tdm_self *self, struct world *w)
{
    struct tdm_msg *m;

    if (tdm_receive_if(self, is_last, NULL, TDM_FOREVER, &m) == TDM_OK)
        mark(w, "last", 99);
    return TDM_OK;
}

WORLD_TEST(fiber, a_wait_goes_on_when_the_oldest_messages_it_has_seen_are_dropped)
{
    tdm_pid f = spawn_plan(w, wait_for_last,
                           (struct tdm_spawn_cfg){ .mailbox_limit = 4, .overflow = TDM_DROP_OLDEST });

    for (uint64_t i = 0; i < 40; i++) {
        check_eq(w, send_number(w, f, i), TDM_OK);
        if (i % 5 == 0)
            let_pass(w, 100000);
    }
    check_eq(w, send_number(w, f, 99), TDM_OK);
    wait_end(w, f);
    check_eq(w, marks(w, "last"), 1);
}

static int leave_by_exit(tdm_self *self, struct world *w)
{
    tdm_exit(self, &(struct tdm_reason){ .kind = TDM_EXIT_SHUTDOWN, .text = "enough" });
    mark(w, "not reached", 1);
    return TDM_OK;
}

WORLD_TEST(fiber, tdm_exit_leaves_at_once)
{
    tdm_pid f = spawn_plan(w, leave_by_exit, (struct tdm_spawn_cfg){ 0 });

    wait_end(w, f);
    check_eq(w, marks(w, "not reached"), 0);
    check(w, strcmp(mark_at(w, "term", 0).reason.text, "enough") == 0);
}

/* ---- once more, on another stack ------------------------------------------------------------- */

enum { LARGE = 300 * 1024 };

static int need_much(tdm_self *self, struct world *w)
{
    volatile char large[LARGE - 50 * 1024]; /* on the first stack it would fault */
    struct tdm_msg *m;

    for (size_t i = 0; i < sizeof large; i += 1024)
        large[i] = 1;
    mark(w, "large", (uint64_t)large[0]);
    while (tdm_receive(self, TDM_FOREVER, &m) == TDM_OK)
        mark(w, "second", *(const uint64_t *)tdm_msg_view(m));
    return TDM_OK;
}

static int twice(tdm_self *self, struct world *w)
{
    struct tdm_msg *m;

    if (marks(w, "first") > 0)
        return need_much(self, w);
    if (tdm_receive(self, TDM_FOREVER, &m) != TDM_OK)
        return TDM_EPEER;
    check_eq(w, tdm_run_again(self, LARGE), TDM_OK);
    check_eq(w, tdm_run_again(self, LARGE), TDM_ESTATE);
    mark(w, "first", *(const uint64_t *)tdm_msg_view(m));
    return TDM_OK;
}

WORLD_TEST(fiber, may_run_once_more_on_a_larger_stack_and_loses_no_mail)
{
    tdm_pid f = spawn_plan(w, twice, (struct tdm_spawn_cfg){ 0 });

    for (uint64_t i = 0; i < 10; i++)
        check_eq(w, send_number(w, f, i), TDM_OK);
    wait_marks(w, "second", 9);
    check_eq(w, marks(w, "large"), 1);
    check_eq(w, mark_at(w, "first", 0).n, 0);
    for (size_t i = 0; i < 9; i++)
        check_eq(w, mark_at(w, "second", i).n, i + 1);
    tdm_stop(w->rt, f); /* heard on the new stack */
    wait_end(w, f);
    check_eq(w, (uint64_t)mark_at(w, "term", 0).reason.kind, TDM_EXIT_SHUTDOWN);
}

static int leave_with_a_stack_in_hand(tdm_self *self, struct world *w)
{
    struct tdm_msg *m;

    check_eq(w, tdm_run_again(self, LARGE), TDM_OK);
    mark(w, "ready", 0);
    return tdm_receive(self, TDM_FOREVER, &m) == TDM_OK ? TDM_EPEER : TDM_OK;
}

WORLD_TEST(fiber, an_end_before_it_runs_once_more_gives_both_stacks_back)
{
    tdm_pid killed = spawn_plan(w, leave_with_a_stack_in_hand, (struct tdm_spawn_cfg){ 0 });
    tdm_pid failed = spawn_plan(w, leave_with_a_stack_in_hand, (struct tdm_spawn_cfg){ 0 });

    wait_marks(w, "ready", 2);
    tdm_kill(w->rt, killed);
    check_eq(w, send_number(w, failed, 1), TDM_OK);
    wait_end(w, killed);
    wait_end(w, failed);
    check_eq(w, marks(w, "ready"), 2);
}
