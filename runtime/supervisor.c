/* supervisor.c - keeps its children running, and knows when to give up.
 *
 * Idea:      a supervisor is an ordinary actor. It learns of a start or a death from a notice in its
 *            own mailbox, so it needs no lock and no special case. What others may do without it
 *            (starting and ending the children of a dynamic supervisor) lies in family.c.
 * Here:      its settings, the start of the list, and which part of it deals with which message (sup.h says where).
 * Invariant: while `phase` is STARTING, entry `at` is being started and none after it has been. While a child starts,
 *            requests are held, and answered in order afterwards.
 * Touched by the worker running the supervisor. Everyone else sends it messages. */
#include <stdio.h>
#include <string.h>

#include "sup.h"
#include "sup_log.h"
#include "tandem/log.h"
#include "tandem/registry.h"

/* ---- the start of the list ------------------------------------------------------------------- */

static int start_in_place(struct sup *s, struct entry *e)
{
    const struct tdm_child_spec *before = e->child->spec;
    int err = family_restart_child(e->child, &e->spec->s);

    if (err == TDM_OK && before != &e->spec->s)
        family_drop_spec(s->family, (struct spec *)before); /* it was replaced meanwhile */
    return err;
}

static int start_first(struct sup *s, struct entry *e)
{
    const struct tdm_child_spec *spec = &e->spec->s;
    struct child_start how = {
        .spec = spec, .entry = e, .tag = spec->start.tag != NULL ? spec->start.tag : spec->id, .told = true
    };
    int err = family_start_child(s->family, &how, &e->child, NULL);

    if (err == TDM_OK)
        spec_forget_arg(s->family->rt, e->spec);
    return err;
}

int sup_start_entry(tdm_self *self, struct sup *s, struct entry *e)
{
    uint32_t ms = e->spec->s.start_timeout_ms;
    int err = e->child != NULL ? start_in_place(s, e) : start_first(s, e);

    if (err < 0)
        return err;
    sup_set_state(s, e, COMING);
    e->timed_out = e->asked_to_stop = false;
    if (ms > 0)
        sup_set_timer(self, e, TDM_MS(ms));
    return TDM_OK;
}

int sup_start_failed(tdm_self *self, struct sup *s, struct entry *e, const struct tdm_reason *why)
{
    struct tdm_start_failure f = { .err = sup_start_error(why), .reason = *why };
    struct tdm_reason own = { .kind = TDM_EXIT_ERROR, .code = f.err };
    char text[TDM_REASON_TEXT_BYTES + 64];

    snprintf(f.child, sizeof f.child, "%s", e->spec->s.id);
    snprintf(own.text, sizeof own.text, "failed to start child %.60s: %.150s", e->spec->s.id,
             tdm_reason_str(why, text, sizeof text));
    runtime_start_failed(self->rt, tdm_self_pid(self), &f);
    sup_set_state(s, e, STOPPED);
    sup_drop_place(self, s, e);
    return sup_begin_stop(self, s, &own);
}

int sup_start_next(tdm_self *self, struct sup *s)
{
    if (s->at != NULL) {
        struct tdm_reason why = { .kind = TDM_EXIT_ERROR };
        why.code = sup_start_entry(self, s, s->at);
        if (why.code == TDM_OK)
            return TDM_OK; /* its notice goes on from here */
        sup_log_no_start(s->family, &s->at->spec->s, why.code);
        return sup_start_failed(self, s, s->at, &why);
    }
    s->phase = RUNNING;
    actor_started(self);
    return TDM_OK;
}

/* ---- notices and timers ---------------------------------------------------------------------- */

static void answer_started(tdm_self *self, struct entry *e)
{
    struct tdm_sup_reply r = { .pid = family_pid_of(e->child), .value = e->child->value };

    e->on_request = e->added = false;
    sup_answer_all(self, e, &r);
}

static int dynamic_started(tdm_self *self, struct sup *s, struct child *c)
{
    struct entry *e = c->entry;

    if (e == NULL || e->asked_to_stop || e->timed_out || s->phase == STOPPING)
        return TDM_OK; /* its end will be dealt with */
    answer_started(self, e);
    family_untell(c);
    sup_unnote_child(self, s, c);
    return TDM_OK;
}

static int child_started(tdm_self *self, struct sup *s, struct child *c)
{
    struct entry *e = c->entry;

    if (sup_dynamic(s))
        return dynamic_started(self, s, c);
    if (e->timed_out)
        return TDM_OK; /* too late: it is being killed */
    sup_set_state(s, e, UP);
    sup_log_started(c);
    if (s->phase == STOPPING)
        return TDM_OK;
    sup_clear_timer(self, e);
    answer_started(self, e);
    if (e != s->at)
        return TDM_OK;
    s->at = e->next;
    return s->phase == STARTING ? sup_start_next(self, s) : sup_group_starts(self, s);
}

/* A start from outside that is timed has begun. Without memory it is not timed. */
static int child_launched(tdm_self *self, struct sup *s, struct child *c)
{
    struct entry *e = s->phase == STOPPING ? NULL : sup_note_child(self, s, c);

    if (e == NULL || e->asked_to_stop)
        return TDM_OK;
    sup_set_state(s, e, COMING);
    sup_set_timer(self, e, TDM_MS(c->spec->start_timeout_ms));
    return TDM_OK;
}

static int timer_fired(tdm_self *self, struct sup *s, const struct tdm_msg *m)
{
    if (m->ref != 0 && m->ref == s->timer)
        return sup_stop_time_ran_out(self, s);
    struct entry *e = sup_timer_entry(self, m);
    if (e == NULL)
        return TDM_OK;
    if (e->state != RESTARTING) { /* its time to start or to stop is over */
        e->timed_out = !e->asked_to_stop;
        (void)actor_control(self->rt, family_pid_of(e->child), CONTROL_KILL);
        return TDM_OK;
    }
    if (s->phase == STOPPING)
        return TDM_OK; /* it has its turn to be stopped */
    if (!sup_must_wait(s))
        return sup_take_turn(self, s, e);
    sup_enqueue(s, e);
    return TDM_OK;
}

/* ---- the behaviour --------------------------------------------------------------------------- */

/* The settings, as the starter gave them and as their own init completed them. */
static int read_settings(tdm_self *self, struct tdm_sup_cfg *cfg, const struct tdm_start *start)
{
    struct refusal why;

    if (start->arg == NULL || start->arg_bytes != sizeof *cfg)
        return tdm_fail(self, TDM_EINVAL, "the argument is no struct tdm_sup_cfg");
    memcpy(cfg, start->arg, sizeof *cfg);
    int err = cfg->init != NULL ? cfg->init(self, cfg->udata, cfg) : TDM_OK;
    if (err > 0 && err != TDM_IGNORE)
        return tdm_fail(self, TDM_EINVAL, "init returned %d", err);
    if (err != TDM_OK)
        return err;
    err = sup_check_cfg(cfg, &why);
    if (err == TDM_OK)
        return TDM_OK;
    sup_log_refused(cfg, &why);
    return tdm_fail(self, err, "%s", why.words);
}

static int take_children(tdm_self *self, struct sup *s, const struct tdm_sup_cfg *cfg)
{
    for (size_t i = 0; i < cfg->n_children; i++) {
        struct spec *spec = spec_copy(self->rt, &cfg->children[i], !sup_dynamic(s));
        if (spec == NULL)
            return TDM_ENOMEM;
        if (sup_dynamic(s)) {
            family_set_template(s->family, spec, cfg->max_children);
        } else if (sup_add_entry(self, s, spec) == NULL) {
            spec_free(self->rt, spec);
            return TDM_ENOMEM;
        }
    }
    return TDM_OK;
}

static void keep_settings(struct sup *s, const struct tdm_sup_cfg *cfg)
{
    s->cfg = *cfg;
    s->cfg.name = family_name(s->family);
    s->cfg.children = NULL;
    s->cfg.n_children = 0;
}

static int init(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct sup *s = state;
    struct tdm_sup_cfg cfg;
    int err = read_settings(self, &cfg, start);

    if (err != TDM_OK)
        return err;
    err = family_new(&s->family, self->rt, &cfg);
    if (err < 0)
        return err;
    keep_settings(s, &cfg);
    err = take_children(self, s, &cfg);
    if (err == TDM_OK && !sup_ring_fit(self->rt, &s->family->times, sup_intensity(&cfg)))
        err = TDM_ENOMEM;
    if (err < 0) {
        family_unref(s->family);
        return err;
    }
    family_begin(s->family, self); /* ours to the end of this incarnation; see family_ended() */
    if (cfg.name != NULL && (err = tdm_register(self, cfg.name, strlen(cfg.name))) < 0)
        return tdm_fail(self, err, "name %s is taken", cfg.name);
    struct tdm_msg *go = tdm_msg_new(self->rt, TDM_MSG_TIMER, 0); /* the first step, when init is through */
    return go == NULL ? TDM_ENOMEM : actor_post(self->rt, tdm_self_pid(self).id, go);
}

static int begin(tdm_self *self, struct sup *s)
{
    s->begun = true;
    s->at = s->first;
    return sup_start_next(self, s);
}

static bool requests_wait(const struct sup *s)
{
    return s->phase == STARTING || (s->phase == RUNNING && (s->group != NO_GROUP || s->starting > 0));
}

static int admin(tdm_self *self, struct sup *s, struct tdm_msg *m)
{
    if (!requests_wait(s)) {
        sup_admin(self, s, m);
        return TDM_OK;
    }
    tdm_msg_take(self, m);
    family_hold_request(s->family, m);
    return TDM_OK;
}

/* What had to wait, as far as it need not wait any longer. */
static int go_on(tdm_self *self, struct sup *s)
{
    for (;;) {
        while (s->phase == RUNNING && s->queue_first != NULL && !sup_must_wait(s)) {
            struct entry *e = s->queue_first;
            sup_unqueue(s, e);
            int err = sup_take_turn(self, s, e);
            if (err < 0)
                return err;
        }
        struct tdm_msg *m = requests_wait(s) ? NULL : family_next_request(s->family);
        if (m == NULL)
            return TDM_OK;
        sup_admin(self, s, m);
        tdm_msg_free(self->rt, m);
    }
}

static struct child *child_in(const struct tdm_msg *m)
{
    return *(struct child *const *)tdm_msg_view(m);
}

/* A notice lies in its child, which may go. */
static struct child *child_around(tdm_self *self, struct tdm_msg *m)
{
    tdm_msg_take(self, m);
    return child_in(m);
}

static int dispatch(tdm_self *self, struct sup *s, struct tdm_msg *m)
{
    static const struct tdm_reason shutdown = { .kind = TDM_EXIT_SHUTDOWN };

    switch (m->type) {
    case SIG_CHILD_LAUNCHED:
        return child_launched(self, s, child_in(m));
    case SIG_CHILD_STARTED:
        return child_started(self, s, child_around(self, m));
    case SIG_CHILD_EXIT:
        return sup_child_ended(self, s, child_around(self, m));
    case SIG_FAMILY_EMPTY:
        tdm_msg_take(self, m); /* it lies in the family */
        return sup_family_empty(self, s);
    case SIG_ADMIN:
        return admin(self, s, m);
    case TDM_MSG_STOP:
        return sup_begin_stop(self, s, &shutdown);
    case TDM_MSG_TIMER:
        return m->ref == 0 && !s->begun ? begin(self, s) : timer_fired(self, s, m);
    case TDM_MSG_EXIT:
        return TDM_OK; /* a linked stranger's end changes nothing */
    default:
        tdm_log_error("supervisor.unexpected_message", "supervisor=%s type=%u",
                      s->cfg.name != NULL ? s->cfg.name : "-", m->type);
        return TDM_OK;
    }
}

static int handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    int err = dispatch(self, state, m);

    return err < 0 ? err : go_on(self, state);
}

const struct tdm_behaviour tdm_supervisor = {
    .name = "supervisor",
    .state_bytes = sizeof(struct sup),
    .init = init,
    .handle = handle,
};

/* ---- from outside ---------------------------------------------------------------------------- */

/* What its init would have to complete is not looked at yet. */
static int refused(const struct tdm_sup_cfg *cfg, struct tdm_start_failure *why)
{
    struct refusal f;
    int err = cfg->init != NULL ? TDM_OK : sup_check_cfg(cfg, &f);

    if (err == TDM_OK)
        return TDM_OK;
    sup_log_refused(cfg, &f);
    *why = (struct tdm_start_failure){ .err = err, .reason = { .kind = TDM_EXIT_ERROR, .code = err } };
    snprintf(why->child, sizeof why->child, "%s", f.id != NULL ? f.id : "");
    snprintf(why->reason.text, sizeof why->reason.text, "%s", f.words);
    return err;
}

int tdm_sup_start_why(struct tdm_runtime *rt, const struct tdm_sup_cfg *cfg, tdm_pid *ret,
                      struct tdm_start_failure *why)
{
    struct tdm_spawn_cfg spawn = { .behaviour = &tdm_supervisor,
                                   .arg = cfg,
                                   .arg_bytes = sizeof *cfg,
                                   .trap_exit = true,
                                   .trap_stop = true,
                                   .tag = cfg->name };
    struct tdm_start_failure unused;
    tdm_pid pid = { 0 };
    int err = refused(cfg, why != NULL ? why : &unused);

    if (err == TDM_OK)
        err = runtime_spawn_and_wait(rt, &spawn, &pid, why != NULL ? why : &unused);
    if (err == TDM_OK || err == TDM_IGNORE)
        *ret = pid;
    return err;
}

int tdm_sup_start(struct tdm_runtime *rt, const struct tdm_sup_cfg *cfg, tdm_pid *ret)
{
    return tdm_sup_start_why(rt, cfg, ret, NULL);
}
