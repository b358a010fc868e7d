/* Group K: places that stand for something that lives elsewhere. */
#include <string.h>

#include "sup_fixture.h"

static void stream(struct world *w, const struct tdm_behaviour *behaviour)
{
    uint64_t events = w->sim ? 200 : 1000;
    struct tdm_child_spec t = CHILD(w, "t", 0, .restart = TDM_PERMANENT, .mail = TDM_MAIL_KEEP);

    t.start.behaviour = behaviour;
    t.start.mailbox_limit = 4000;
    tdm_pid sup = start_template(w, &t);
    tdm_place p = start_dynamic(w, sup, 1);
    for (uint64_t i = 0; i < events; i++) {
        if (i % 100 == 50)
            check_eq(w, tell_place(w, p, i % 200 == 50 ? write_null : exit_error, NULL), TDM_OK);
        check_eq(w, send_number_place(w, p, i), TDM_OK);
    }
    wait_marks(w, "got", events);
    check_eq(w, marks(w, "got"), events);
    for (uint64_t i = 0; i < events; i++)
        check_eq(w, mark_at(w, "got", i).n, i);
    check_eq(w, marks(w, "init"), 1 + events / 100);
}

WORLD_TEST_WITH(legs, K1_a_crash_loses_and_reorders_no_other_event, { .seeds = 20 })
{
    stream(w, &worker);
}

WORLD_TEST_WITH(legs, K1_the_same_with_a_fiber, { .seeds = 20 })
{
    stream(w, &fiber_worker);
}

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
