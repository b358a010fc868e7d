/* sup_stop.c - a supervisor stops its children, and then itself.
 *
 * Static:    the last started first; the next is asked when the one before is gone. `at` is the one whose turn it is.
 * Dynamic:   all at once, with one timer for all; the last one that leaves the family says so.
 * Touched by the worker running the supervisor. */
#include "sup.h"
#include "sup_log.h"

bool sup_runs(const struct entry *e)
{
    return e->child != NULL && !e->queued && (e->state == UP || e->state == COMING);
}

static bool timed(uint32_t ms)
{
    return ms != TDM_SHUTDOWN_BRUTAL && ms != TDM_SHUTDOWN_INFINITY && ms != TDM_SHUTDOWN_NOW;
}

/* What is set in the child's control word; a kill overtakes the request to stop. */
static uint32_t control_bits(uint32_t ms)
{
    if (ms == TDM_SHUTDOWN_NOW)
        return CONTROL_STOP | CONTROL_KILL;
    return ms == TDM_SHUTDOWN_BRUTAL ? CONTROL_KILL : CONTROL_STOP;
}

void sup_ask_to_stop(tdm_self *self, struct entry *e)
{
    uint32_t ms = spec_shutdown_ms(sup_spec_of(e->child));

    e->asked_to_stop = true;
    sup_clear_timer(self, e);
    (void)actor_control(self->rt, family_pid_of(e->child), control_bits(ms));
    if (timed(ms) && !sup_set_timer(self, e, TDM_MS(ms))) /* without a timer nobody would ever end its time */
        (void)actor_control(self->rt, family_pid_of(e->child), CONTROL_KILL);
}

static int finish(tdm_self *self, struct sup *s)
{
    if (s->timer != 0)
        tdm_timer_cancel(self, s->timer);
    s->timer = 0;
    if (sup_dynamic(s))
        family_log_stop(s->family);
    actor_set_reason(self, &s->why);
    return TDM_OK;
}

int sup_family_empty(tdm_self *self, struct sup *s)
{
    return family_empty_heard(s->family) && s->phase == STOPPING ? finish(self, s) : TDM_OK;
}

/* Those that wait for an attempt have no actor that could end. */
static void drop_waiting(tdm_self *self, struct sup *s)
{
    for (struct entry *e = s->first, *next; e != NULL; e = next) {
        next = e->next;
        if (e->state == RESTARTING)
            sup_drop_entry(self, s, e);
    }
}

static int stop_all(tdm_self *self, struct sup *s)
{
    uint32_t ms = spec_shutdown_ms(family_template(s->family));

    drop_waiting(self, s);
    family_control_all(s->family, control_bits(ms));
    if (timed(ms) && (s->timer = tdm_timer_start(self, TDM_MS(ms))) == 0)
        family_control_all(s->family, CONTROL_KILL);
    return family_size(s->family) == 0 ? finish(self, s) : TDM_OK;
}

int sup_stop_time_ran_out(tdm_self *self, struct sup *s)
{
    (void)self;
    s->timer = 0;
    family_control_all(s->family, CONTROL_KILL);
    return TDM_OK;
}

int sup_stop_next(tdm_self *self, struct sup *s)
{
    while (s->at != NULL) {
        struct entry *e = s->at;
        if (sup_runs(e)) {
            if (!e->asked_to_stop)
                sup_ask_to_stop(self, e);
            return TDM_OK;
        }
        s->at = e->prev;
        if (e->queued && e->state != RESTARTING) /* it ended before its turn, for a reason of its own */
            sup_log_stop(s->family, &e->spec->s, e->child->pid, e->child->last, 1);
        sup_set_state(s, e, STOPPED);
        sup_drop_place(self, s, e);
    }
    return finish(self, s);
}

int sup_begin_stop(tdm_self *self, struct sup *s, const struct tdm_reason *why)
{
    if (s->phase == STOPPING)
        return TDM_OK;
    s->phase = STOPPING;
    s->group = NO_GROUP;
    s->why = *why;
    family_stop(s->family);
    if (sup_dynamic(s))
        return stop_all(self, s);
    s->at = s->last;
    return sup_stop_next(self, s);
}
