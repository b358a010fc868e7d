/* sup_group.c - one_for_all and rest_for_one: a child has ended, and others are stopped and started with it.
 *
 * Idea:      two passes over the list. From its end back to the first of the group, each child that runs is asked to stop,
 *            one at a time; then from there on each is started, one after the other. It counts as one restart.
 * Invariant: `at` is the entry whose end or start is awaited. In the first pass nothing after it runs; in the second all
 *            of the group before it has been started. An end that comes out of turn is queued: the first pass takes up what
 *            it passes, so that those who crash together cost one restart; the rest comes after the second pass.
 * A start that fails ends the second pass. The child that failed waits for its next attempt, and that is a new group
 * restart, which begins with it (rest_for_one) or with all (one_for_all).
 * Touched by the worker running the supervisor. */
#include "sup.h"
#include "sup_log.h"

bool sup_has_groups(const struct sup *s)
{
    return s->cfg.strategy == TDM_ONE_FOR_ALL || s->cfg.strategy == TDM_REST_FOR_ONE;
}

/* Nobody's turn any more: a later start of the entry whose turn it was is no step of a group. */
void sup_end_group(struct sup *s)
{
    s->group = NO_GROUP;
    s->at = NULL;
}

/* `culprit` has ended, or its last start has failed. The others rest for `pause_ns` before all are started. */
int sup_begin_group(tdm_self *self, struct sup *s, struct entry *culprit, uint64_t pause_ns)
{
    sup_set_state(s, culprit, STOPPED);
    s->group = GROUP_STOPS;
    s->culprit = culprit;
    s->from = s->cfg.strategy == TDM_REST_FOR_ONE ? culprit : NULL;
    s->at = s->last;
    s->pause_ns = pause_ns;
    return sup_group_stops(self, s);
}

/* An entry of the group that does not run: what was to become of it is overtaken by the group's restart. */
static void take_along(tdm_self *self, struct sup *s, struct entry *e)
{
    bool ended = e->queued && e->state != RESTARTING;

    sup_clear_timer(self, e);
    sup_unqueue(s, e);
    if (ended)
        sup_log_stop(s->family, &e->spec->s, e->child->pid, e->child->last, 1);
    if (e->spec->s.restart == TDM_TEMPORARY)
        sup_drop_entry(self, s, e);
    else
        sup_set_state(s, e, STOPPED);
}

static int all_stopped(tdm_self *self, struct sup *s)
{
    struct entry *culprit = s->culprit;

    s->culprit = NULL;
    if (s->pause_ns == 0) {
        s->group = GROUP_STARTS;
        s->at = s->from != NULL ? s->from : s->first;
        return sup_group_starts(self, s);
    }
    sup_end_group(s);
    sup_wait_for_attempt(self, s, culprit, s->pause_ns);
    return TDM_OK;
}

int sup_group_stops(tdm_self *self, struct sup *s)
{
    while (s->at != NULL) {
        struct entry *e = s->at;
        if (sup_runs(e)) {
            if (!e->asked_to_stop)
                sup_ask_to_stop(self, e);
            return TDM_OK;
        }
        s->at = e == s->from ? NULL : e->prev;
        take_along(self, s, e);
    }
    return all_stopped(self, s);
}

/* It has not even a place in which it could be tried again. */
static int no_place(tdm_self *self, struct sup *s, const struct entry *e, int err)
{
    struct tdm_reason why = { .kind = TDM_EXIT_ERROR, .code = err, .text = "a child can not be made" };

    sup_log_no_start(s->family, &e->spec->s, err);
    return sup_begin_stop(self, s, &why);
}

int sup_group_starts(tdm_self *self, struct sup *s)
{
    if (s->at == NULL) {
        sup_end_group(s);
        return TDM_OK;
    }
    struct entry *e = s->at;
    int err = sup_start_entry(self, s, e);
    if (err == TDM_OK)
        return TDM_OK; /* its notice goes on from here */
    if (e->child == NULL)
        return no_place(self, s, e, err);
    sup_log_no_start(s->family, &e->spec->s, err);
    sup_end_group(s);
    return sup_try_again(self, s, e->child);
}
