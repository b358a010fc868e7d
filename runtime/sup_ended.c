/* sup_ended.c - a child has ended, or its start has failed: what follows.
 *
 * Idea:      the notice of an end says what ended; the entry says what the supervisor was waiting for. From both follows one
 *            of: what was asked for is done; a start has failed; the child ended by itself, and the rule of its
 *            restart type decides.
 * Order:     with one_for_all and rest_for_one, and while the list is started, one thing is done at a time: an end that comes
 *            meanwhile is queued, and is dealt with in its turn, unless a group restart takes it along.
 * Touched by the worker running the supervisor. */
#include <stdio.h>

#include "sup.h"
#include "sup_log.h"
#include "tandem/log.h"

bool sup_must_wait(const struct sup *s)
{
    if (sup_dynamic(s))
        return false;
    return s->phase == STARTING || s->group != NO_GROUP || (sup_has_groups(s) && s->starting > 0);
}

/* ---- starts that failed ---------------------------------------------------------------------- */

static struct tdm_reason start_reason(const struct child *c)
{
    struct tdm_reason r = { .kind = TDM_EXIT_ERROR, .code = TDM_ENOMEM };

    if (c->entry != NULL && c->entry->timed_out) {
        r.code = TDM_ETIMEOUT;
        snprintf(r.text, sizeof r.text, "no start within %u ms", c->spec->start_timeout_ms);
        return r;
    }
    return c->last != NULL ? *c->last : r; /* NULL: not even the reason could be kept */
}

int sup_start_error(const struct tdm_reason *why)
{
    return why->kind == TDM_EXIT_ERROR ? why->code : TDM_ESTOP;
}

static void log_start_error(const struct child *c)
{
    struct tdm_reason why = start_reason(c);

    if (!c->ignored)
        sup_log_ended(c, "supervisor.start_error", &why);
}

/* To who asked for this start. If its name was taken, the answer says by whom. */
static void answer_start(tdm_self *self, const struct child *c)
{
    struct tdm_sup_reply r = { .ignored = c->ignored };

    if (!c->ignored) {
        r.reason = start_reason(c);
        r.err = sup_start_error(&r.reason);
        if (r.err == TDM_EEXIST)
            r.pid = c->name_holder;
    }
    sup_answer_all(self, c->entry, &r);
}

static int requested_start_over(tdm_self *self, struct sup *s, struct entry *e)
{
    bool ignored = e->child->ignored, added = e->added;

    answer_start(self, e->child);
    e->added = false;
    if (added && !ignored)
        sup_drop_entry(self, s, e);
    else
        sup_leave_stopped(self, s, e);
    return TDM_OK;
}

/* In the list's start or in a group's, the entry whose turn it was. */
static int turn_over(tdm_self *self, struct sup *s, struct entry *e)
{
    struct tdm_reason why = start_reason(e->child);

    if (e->child->ignored) {
        s->at = e->next;
        sup_leave_stopped(self, s, e);
        return s->phase == STARTING ? sup_start_next(self, s) : sup_group_starts(self, s);
    }
    if (s->phase == STARTING)
        return sup_start_failed(self, s, e, &why);
    sup_end_group(s);
    return sup_try_again(self, s, e->child);
}

static int start_over(tdm_self *self, struct sup *s, struct entry *e)
{
    log_start_error(e->child);
    if (e->on_request)
        return requested_start_over(self, s, e);
    if (s->phase == STARTING || s->group == GROUP_STARTS)
        return turn_over(self, s, e);
    if (!e->child->ignored)
        return sup_try_again(self, s, e->child);
    sup_leave_stopped(self, s, e);
    return TDM_OK;
}

/* ---- restarts -------------------------------------------------------------------------------- */

void sup_wait_for_attempt(tdm_self *self, struct sup *s, struct entry *e, uint64_t delay_ns)
{
    sup_set_state(s, e, RESTARTING);
    if (!sup_set_timer(self, e, delay_ns))
        sup_enqueue(s, e); /* without memory: at once, after what is under way */
}

/* A dynamic child's next incarnation, timed if its template says so. */
static int relaunch(tdm_self *self, struct sup *s, struct child *c)
{
    const struct tdm_child_spec *spec = family_template(s->family);
    int err;

    sup_unnote_child(self, s, c);
    if (spec->start_timeout_ms > 0) {
        struct entry *e = sup_note_child(self, s, c);
        if (e == NULL)
            return TDM_ENOMEM;
        sup_set_state(s, e, COMING);
        sup_set_timer(self, e, TDM_MS(spec->start_timeout_ms));
    }
    err = family_restart_child(c, spec);
    if (err < 0)
        sup_unnote_child(self, s, c);
    return err;
}

static int start_again(tdm_self *self, struct sup *s, struct child *c)
{
    int err = sup_dynamic(s) ? relaunch(self, s, c) : sup_start_entry(self, s, c->entry);

    if (err < 0)
        sup_log_no_start(s->family, sup_spec_of(c), err);
    return err;
}

/* `again`: the attempt before has failed; others are served before the next. An attempt that fails for want of memory
 * counts, and so this ends. */
static int restart(tdm_self *self, struct sup *s, struct child *c, bool again)
{
    for (;; again = true) {
        if (family_place_over(c)) {
            sup_forget_child(self, s, c);
            return TDM_OK;
        }
        if (sup_over_limit(self, s, c))
            return sup_give_up(self, s, c);
        uint64_t delay = sup_delay_ns(self, s, c);
        if (sup_has_groups(s) && !again)
            return sup_begin_group(self, s, c->entry, delay);
        struct entry *e = again || delay > 0 ? sup_note_child(self, s, c) : NULL;
        if (e != NULL) {
            sup_wait_for_attempt(self, s, e, delay);
            return TDM_OK;
        }
        if (start_again(self, s, c) == TDM_OK)
            return TDM_OK;
    }
}

int sup_try_again(tdm_self *self, struct sup *s, struct child *c)
{
    return restart(self, s, c, true);
}

int sup_attempt(tdm_self *self, struct sup *s, struct entry *e)
{
    struct child *c = e->child;

    if (family_place_over(c)) {
        sup_forget_child(self, s, c);
        return TDM_OK;
    }
    if (sup_has_groups(s))
        return sup_begin_group(self, s, e, 0);
    return start_again(self, s, c) < 0 ? sup_try_again(self, s, c) : TDM_OK;
}

/* ---- it ended by itself ---------------------------------------------------------------------- */

/* A significant child has ended for good: does that end the supervisor? */
static bool asks_for_shutdown(const struct sup *s)
{
    return s->cfg.auto_shutdown == TDM_AUTO_ANY_SIGNIFICANT ||
           (s->cfg.auto_shutdown == TDM_AUTO_ALL_SIGNIFICANT && s->live_significant == 0);
}

static int decide(tdm_self *self, struct sup *s, struct child *c)
{
    static const struct tdm_reason shutdown = { .kind = TDM_EXIT_SHUTDOWN };
    const struct tdm_child_spec *spec = sup_spec_of(c);
    bool significant = spec->significant;

    if (spec->restart == TDM_PERMANENT || family_abnormal(c->last))
        sup_log_ended(c, "supervisor.child_terminated", c->last);
    if (family_wants_restart(spec->restart, c->last))
        return restart(self, s, c, false);
    sup_forget_child(self, s, c);
    return significant && asks_for_shutdown(s) ? sup_begin_stop(self, s, &shutdown) : TDM_OK;
}

int sup_take_turn(tdm_self *self, struct sup *s, struct entry *e)
{
    return e->state == RESTARTING ? sup_attempt(self, s, e) : decide(self, s, e->child);
}

/* ---- it was asked to ------------------------------------------------------------------------- */

/* By an administrator, or for a group restart. Of those the place stays: the next incarnation takes it over. */
static int stopped_on_purpose(tdm_self *self, struct sup *s, struct entry *e)
{
    bool for_group = s->group == GROUP_STOPS && s->at == e;
    bool stays = for_group && e->answers == NULL && e->spec->s.restart != TDM_TEMPORARY;

    sup_log_stop(s->family, &e->spec->s, e->child->pid, e->child->last, 1);
    sup_answer_all(self, e, &(struct tdm_sup_reply){ .err = TDM_OK });
    if (for_group)
        s->at = e == s->from ? NULL : e->prev;
    if (stays) {
        sup_set_state(s, e, STOPPED);
        e->asked_to_stop = false;
    } else {
        sup_leave_stopped(self, s, e);
    }
    return for_group ? sup_group_stops(self, s) : TDM_OK;
}

static int ended_while_stopping(tdm_self *self, struct sup *s, struct entry *e)
{
    sup_log_stop(s->family, &e->spec->s, e->child->pid, e->child->last, 1);
    sup_answer_all(self, e, &(struct tdm_sup_reply){ .err = e->on_request ? TDM_ESHUTDOWN : TDM_OK });
    sup_set_state(s, e, STOPPED);
    sup_drop_place(self, s, e);
    return sup_stop_next(self, s);
}

/* ---- the notice ------------------------------------------------------------------------------ */

/* A child with no books to speak of, but for what its entry says. */
static int dynamic_ended(tdm_self *self, struct sup *s, struct child *c)
{
    struct entry *e = c->entry;
    bool asked = e != NULL && (e->asked_to_stop || s->phase == STOPPING);
    struct tdm_sup_reply r = { .err = e != NULL && e->on_request ? TDM_ESHUTDOWN : TDM_OK };

    if (e != NULL)
        sup_clear_timer(self, e);
    if (asked || s->phase == STOPPING) {
        if (s->phase == STOPPING)
            family_count_end(c);
        else
            sup_log_stop(s->family, c->spec, c->pid, c->last, 1);
        if (e != NULL)
            sup_answer_all(self, e, &r);
        sup_forget_child(self, s, c);
        return TDM_OK;
    }
    if (c->started && (e == NULL || !e->timed_out))
        return decide(self, s, c);
    log_start_error(c);
    if (!c->ignored && c->restarts > 0)
        return sup_try_again(self, s, c);
    if (e != NULL)
        answer_start(self, c);
    sup_forget_child(self, s, c);
    return TDM_OK;
}

int sup_child_ended(tdm_self *self, struct sup *s, struct child *c)
{
    struct entry *e = c->entry;

    if (sup_dynamic(s))
        return dynamic_ended(self, s, c);
    sup_clear_timer(self, e);
    if (s->phase == STOPPING)
        return ended_while_stopping(self, s, e);
    if (e->state == COMING)
        return start_over(self, s, e);
    if (e->asked_to_stop)
        return stopped_on_purpose(self, s, e);
    if (!sup_must_wait(s))
        return decide(self, s, c);
    sup_enqueue(s, e);
    return TDM_OK;
}
