/* sup_admin.c - what can be asked of a supervisor: to start, stop, restart and forget children, and to say what it has.
 *
 * Idea:      a request is answered at once when that is possible; when it waits for a child's start or end, the asker is
 *            noted in the child's entry and answered where that start or end is dealt with.
 * Touched by the worker running the supervisor. */
#include "module.h"
#include "sup.h"

#include <stdio.h>
#include <string.h>

/* A handler's result beside errors: the answer comes with the child's start or end; or it has been sent. */
enum { LATER = 1, ANSWERED = 2 };

struct request {
    const struct tdm_sup_question *q;
    tdm_pid from;
    tdm_ref ref;
    struct tdm_sup_reply r;
};

static int wait_for_it(tdm_self *self, struct entry *e, const struct request *rq)
{
    return sup_await(self, e, rq->from, rq->ref) ? LATER : TDM_ENOMEM;
}

/* ---- START_CHILD ----------------------------------------------------------------------------- */

static int check_new_spec(const struct sup *s, struct request *rq)
{
    const struct tdm_child_spec *spec = rq->q->spec;
    struct refusal why;

    if (spec == NULL) {
        snprintf(rq->r.reason.text, sizeof rq->r.reason.text, "no spec");
        return TDM_EINVAL;
    }
    int err = sup_check_spec(&s->cfg, spec, 0, &why);
    if (err < 0)
        snprintf(rq->r.reason.text, sizeof rq->r.reason.text, "%s", why.words);
    return err;
}

/* The asker is noted before the child runs: from then on nothing may fail. */
static int start_asked(tdm_self *self, struct sup *s, struct entry *e, const struct request *rq)
{
    if (!sup_await(self, e, rq->from, rq->ref))
        return TDM_ENOMEM;
    int err = sup_start_entry(self, s, e);
    if (err < 0) {
        struct answer *a = e->answers;
        e->answers = a->next;
        tdm_free(self, a);
        return err;
    }
    e->on_request = true;
    return LATER;
}

static int start_static(tdm_self *self, struct sup *s, struct request *rq)
{
    if (s->phase == STOPPING)
        return TDM_ESHUTDOWN;
    int err = check_new_spec(s, rq);
    if (err < 0)
        return err;
    struct entry *e = sup_entry_by_id(s, rq->q->spec->id);
    if (e != NULL) {
        if (e->state != UP)
            return TDM_EPRESENT;
        rq->r.pid = family_pid_of(e->child);
        return TDM_EEXIST;
    }
    struct spec *spec = spec_copy(self->rt, rq->q->spec, true);
    e = spec == NULL ? NULL : sup_add_entry(self, s, spec);
    if (e == NULL) {
        spec_free(self->rt, spec);
        return TDM_ENOMEM;
    }
    e->added = true;
    err = start_asked(self, s, e, rq);
    if (err < 0)
        sup_drop_entry(self, s, e);
    return err;
}

static struct entry *blank_entry(tdm_self *self, const struct request *rq)
{
    struct entry *e = tdm_alloc(self, sizeof *e);

    if (e != NULL && !sup_await(self, e, rq->from, rq->ref)) {
        tdm_free(self, e);
        return NULL;
    }
    return e;
}

static int start_dynamic(tdm_self *self, struct sup *s, struct request *rq)
{
    const struct tdm_child_spec *spec = family_template(s->family);
    struct entry *e = s->phase == STOPPING ? NULL : blank_entry(self, rq);
    struct child_start how = { .spec = spec,
                               .entry = e,
                               .arg = rq->q->arg,
                               .arg_bytes = rq->q->arg_bytes,
                               .tag = rq->q->tag,
                               .told = true };

    if (e == NULL)
        return s->phase == STOPPING ? TDM_ESHUTDOWN : TDM_ENOMEM;
    int err = family_start_child(s->family, &how, &e->child, NULL);
    if (err < 0) {
        tdm_free(self, e->answers);
        tdm_free(self, e);
        return err;
    }
    e->on_request = true;
    e->state = COMING;
    sup_append_entry(s, e);
    if (spec->start_timeout_ms > 0)
        sup_set_timer(self, e, TDM_MS(spec->start_timeout_ms));
    return LATER;
}

/* ---- the other changes ----------------------------------------------------------------------- */

static int restart_static(tdm_self *self, struct sup *s, struct entry *e, const struct request *rq)
{
    if (s->phase == STOPPING)
        return TDM_ESHUTDOWN;
    if (e->state != STOPPED)
        return e->state == RESTARTING ? TDM_EBUSY : TDM_EEXIST;
    return start_asked(self, s, e, rq);
}

static int terminate_static(tdm_self *self, struct sup *s, struct entry *e, const struct request *rq)
{
    if (e->state == RESTARTING || e->state == STOPPED) {
        if (e->state == RESTARTING)
            sup_leave_stopped(self, s, e);
        return TDM_OK;
    }
    int err = wait_for_it(self, e, rq);
    if (err == LATER && !e->asked_to_stop)
        sup_ask_to_stop(self, e);
    return err;
}

static int delete_static(tdm_self *self, struct sup *s, struct entry *e)
{
    if (e->state != STOPPED)
        return e->state == RESTARTING ? TDM_EBUSY : TDM_ESTATE;
    sup_drop_entry(self, s, e);
    return TDM_OK;
}

/* A child that is not there: dead, which is fine, or a live stranger. */
static int no_such_child(tdm_self *self, tdm_pid pid)
{
    return actor_of(self->rt, pid.id & ~PLACE_BIT) == NULL ? TDM_OK : TDM_ENOTFOUND;
}

static int terminate_dynamic(tdm_self *self, struct sup *s, const struct request *rq)
{
    struct child *c = s->phase == STOPPING ? NULL : family_terminate(s->family, rq->q->pid);

    if (c == NULL)
        return s->phase == STOPPING ? TDM_OK : no_such_child(self, rq->q->pid);
    struct entry *e = sup_note_child(self, s, c);
    if (e == NULL)
        return TDM_ENOMEM;
    if (e->state == RESTARTING) { /* between two incarnations: no end will be told */
        sup_forget_child(self, s, c);
        return TDM_OK;
    }
    int err = wait_for_it(self, e, rq);
    if (err == LATER && !e->asked_to_stop)
        sup_ask_to_stop(self, e);
    return err;
}

/* ---- what it has ----------------------------------------------------------------------------- */

static void count(const struct sup *s, struct tdm_sup_reply *r)
{
    uint32_t of_type[2] = { 0, 0 };

    if (sup_dynamic(s)) {
        r->specs = 1;
        r->active = family_active(s->family);
        of_type[family_template(s->family)->type] = family_size(s->family);
    } else {
        for (const struct entry *e = s->first; e != NULL; e = e->next) {
            r->active += e->state == UP || e->state == COMING;
            of_type[e->spec->s.type]++;
        }
        r->specs = s->n_entries;
    }
    r->workers = of_type[TDM_WORKER];
    r->supervisors = of_type[TDM_SUPERVISOR];
}

static void describe(const struct entry *e, struct tdm_child_info *i)
{
    static const enum tdm_child_state states[] = { [STOPPED] = TDM_CHILD_STOPPED,
                                                   [COMING] = TDM_CHILD_STARTING,
                                                   [UP] = TDM_CHILD_RUNNING,
                                                   [RESTARTING] = TDM_CHILD_RESTARTING };
    const struct tdm_child_spec *spec = &e->spec->s;

    memset(i, 0, sizeof *i);
    snprintf(i->id, sizeof i->id, "%s", spec->id);
    i->state = states[e->state];
    i->type = spec->type;
    i->restart = spec->restart;
    i->significant = spec->significant;
    i->module = module_or_behaviour(&spec->start);
    if (e->child == NULL)
        return;
    i->place = tdm_self_place(e->child->actor);
    i->restarts = e->child->restarts;
    if (e->state == UP || e->state == COMING)
        i->pid = family_pid_of(e->child);
}

static int answer_with(tdm_self *self, const struct request *rq, struct tdm_msg *m)
{
    (void)tdm_reply_to(self->rt, rq->from, rq->ref, m); /* without memory the asker's time runs out */
    return ANSWERED;
}

static int which(tdm_self *self, struct sup *s, struct request *rq)
{
    const struct entry *e = NULL;
    struct tdm_child_info info;

    if (sup_dynamic(s) && rq->q->id != NULL)
        return TDM_ENOTSUP;
    if (sup_dynamic(s) && !family_child_info(s->family, rq->q->pid, &info))
        return TDM_ENOTFOUND;
    if (!sup_dynamic(s)) {
        e = rq->q->id == NULL ? NULL : sup_entry_by_id(s, rq->q->id);
        if (e == NULL)
            return TDM_ENOTFOUND;
        describe(e, &info);
    }
    rq->r.pid = info.pid;
    struct tdm_msg *m = sup_reply_new(self->rt, &rq->r, 1, NULL);
    if (m != NULL)
        ((struct tdm_sup_reply *)tdm_msg_data(m))->children[0] = info;
    return answer_with(self, rq, m);
}

/* Newest first. */
static int which_children(tdm_self *self, struct sup *s, struct request *rq)
{
    uint32_t n = sup_dynamic(s) ? family_size(s->family) : s->n_entries;
    struct tdm_msg *m = sup_reply_new(self->rt, &rq->r, n, NULL);

    if (m == NULL)
        return TDM_ENOMEM;
    struct tdm_sup_reply *r = tdm_msg_data(m);
    if (sup_dynamic(s)) {
        r->n_children = family_infos(s->family, r->children, n);
    } else {
        n = 0;
        for (const struct entry *e = s->last; e != NULL; e = e->prev)
            describe(e, &r->children[n++]);
    }
    return answer_with(self, rq, m);
}

static int get_spec(tdm_self *self, struct sup *s, struct request *rq)
{
    const struct tdm_child_spec *spec = NULL;
    const struct entry *e = NULL;
    struct tdm_child_info unused;

    if (sup_dynamic(s)) {
        if (rq->q->id != NULL)
            return TDM_ENOTSUP;
        if (family_child_info(s->family, rq->q->pid, &unused))
            spec = family_template(s->family);
    } else if (rq->q->id != NULL && (e = sup_entry_by_id(s, rq->q->id)) != NULL) {
        spec = &e->spec->s;
    }
    return spec == NULL ? TDM_ENOTFOUND : answer_with(self, rq, sup_reply_new(self->rt, &rq->r, 0, spec));
}

static int reconfigure(tdm_self *self, struct sup *s, struct request *rq)
{
    struct refusal why = { .words = "no cfg" };
    int err = s->phase == STOPPING ? TDM_ESHUTDOWN
              : rq->q->cfg == NULL ? TDM_EINVAL
                                   : sup_reconfigure(self, s, rq->q->cfg, &why);

    if (err == TDM_EINVAL)
        snprintf(rq->r.reason.text, sizeof rq->r.reason.text, "%s", why.words);
    return err;
}

/* ---- the requests ---------------------------------------------------------------------------- */

static int change_static(tdm_self *self, struct sup *s, const struct request *rq)
{
    struct entry *e = rq->q->id == NULL ? NULL : sup_entry_by_id(s, rq->q->id);

    if (e == NULL)
        return TDM_ENOTFOUND;
    if (rq->q->op == TDM_SUP_RESTART_CHILD)
        return restart_static(self, s, e, rq);
    if (rq->q->op == TDM_SUP_TERMINATE_CHILD)
        return terminate_static(self, s, e, rq);
    return delete_static(self, s, e);
}

static int change_dynamic(tdm_self *self, struct sup *s, const struct request *rq)
{
    if (rq->q->op != TDM_SUP_TERMINATE_CHILD || rq->q->id != NULL)
        return TDM_ENOTSUP;
    return terminate_dynamic(self, s, rq);
}

static int obey(tdm_self *self, struct sup *s, struct request *rq)
{
    switch (rq->q->op) {
    case TDM_SUP_COUNT:
        count(s, &rq->r);
        return TDM_OK;
    case TDM_SUP_START_CHILD:
        return sup_dynamic(s) ? start_dynamic(self, s, rq) : start_static(self, s, rq);
    case TDM_SUP_TERMINATE_CHILD:
    case TDM_SUP_RESTART_CHILD:
    case TDM_SUP_DELETE_CHILD:
        return sup_dynamic(s) ? change_dynamic(self, s, rq) : change_static(self, s, rq);
    case TDM_SUP_WHICH:
        return which(self, s, rq);
    case TDM_SUP_WHICH_CHILDREN:
        return which_children(self, s, rq);
    case TDM_SUP_GET_SPEC:
        return get_spec(self, s, rq);
    case TDM_SUP_RECONFIGURE:
        return reconfigure(self, s, rq);
    }
    return TDM_EINVAL;
}

void sup_admin(tdm_self *self, struct sup *s, const struct tdm_msg *m)
{
    struct request rq = { .q = tdm_msg_view(m), .from = m->from, .ref = m->ref };
    int err = obey(self, s, &rq);

    if (err == LATER || err == ANSWERED)
        return;
    rq.r.err = err;
    if (err < 0) {
        rq.r.reason.kind = TDM_EXIT_ERROR;
        rq.r.reason.code = err;
    }
    sup_reply(self, rq.from, rq.ref, &rq.r);
}
