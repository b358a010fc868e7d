/* sup_admin.c - what can be asked of a supervisor: to count, restart, stop and forget its children.
 *
 * Idea:      a request is answered at once when that is possible; when it waits for a child's start or end, the asker is
 *            noted in the child's entry and answered from supervisor.c, where that start or end is dealt with.
 * Touched by the worker running the supervisor; tdm_sup_ask() by the asker. */
#include "sup.h"

#include <stdio.h>
#include <string.h>

static struct entry *entry_by_id(struct sup *s, const char *id)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (s->entries[i].state != GONE && strcmp(s->cfg->children[i].id, id) == 0)
            return &s->entries[i];
    return NULL;
}

static void count(const struct sup *s, struct tdm_sup_reply *r)
{
    uint32_t of_type[2] = { 0, 0 };

    if (s->cfg->strategy == TDM_DYNAMIC) {
        r->specs = 1;
        r->active = family_active(s->family);
        of_type[s->cfg->children[0].type] = family_size(s->family);
    } else {
        for (uint32_t i = 0; i < s->n; i++) {
            const struct entry *e = &s->entries[i];
            r->specs += e->state != GONE;
            r->active += e->state == UP || e->state == COMING;
            of_type[s->cfg->children[i].type] += e->state != GONE;
        }
    }
    r->workers = of_type[TDM_WORKER];
    r->supervisors = of_type[TDM_SUPERVISOR];
}

/* LATER: the answer comes with the child's start or end. */
enum { LATER = 1 };

static int wait_for_it(tdm_self *self, struct entry *e, tdm_pid from, tdm_ref ref)
{
    struct answer *a = tdm_alloc(self, sizeof *a);

    if (a == NULL)
        return TDM_ENOMEM;
    *a = (struct answer){ .next = e->answers, .to = from, .ref = ref };
    e->answers = a;
    return LATER;
}

static int terminate_dynamic(tdm_self *self, struct sup *s, tdm_pid pid, tdm_pid from, tdm_ref ref)
{
    struct entry *e = tdm_alloc(self, sizeof *e);
    struct child *c = e == NULL ? NULL : family_terminate(s->family, pid);

    if (e == NULL)
        return TDM_ENOMEM;
    if (c == NULL ||
        sup_entry_of(s, c) != NULL) { /* a stranger, one that is dead, or one that was asked before */
        tdm_free(self, e);
        if (c != NULL)
            return wait_for_it(self, sup_entry_of(s, c), from, ref);
        return actor_of(self->rt, pid.id & ~PLACE_BIT) == NULL ? TDM_OK : TDM_ENOTFOUND;
    }
    e->child = c;
    e->next = s->ending;
    s->ending = e;
    for (const struct delayed *d = s->delayed; d != NULL; d = d->next)
        if (d->child == c) { /* between two incarnations: no end will be told */
            sup_remove_child(self, s, c, TDM_OK);
            return TDM_OK;
        }
    sup_ask_to_stop(self, e);
    return wait_for_it(self, e, from, ref);
}

static int admin_dynamic(tdm_self *self, struct sup *s, const struct admin *q, tdm_pid from, tdm_ref ref)
{
    if (q->op != TDM_SUP_TERMINATE_CHILD || q->id[0] != '\0')
        return TDM_ENOTSUP;
    return s->phase == STOPPING ? TDM_OK : terminate_dynamic(self, s, q->pid, from, ref);
}

static int restart_static(tdm_self *self, struct sup *s, struct entry *e, tdm_pid from, tdm_ref ref)
{
    if (s->phase == STOPPING)
        return TDM_ESHUTDOWN;
    if (e->state != STOPPED)
        return e->state == RESTARTING ? TDM_EBUSY : TDM_EEXIST;
    int err = sup_start_entry(self, s, (uint32_t)(e - s->entries));
    if (err < 0)
        return err;
    e->on_request = true;
    return wait_for_it(self, e, from, ref);
}

static int admin_static(tdm_self *self, struct sup *s, const struct admin *q, tdm_pid from, tdm_ref ref)
{
    struct entry *e = entry_by_id(s, q->id);

    if (e == NULL)
        return TDM_ENOTFOUND;
    switch (q->op) {
    case TDM_SUP_RESTART_CHILD:
        return restart_static(self, s, e, from, ref);
    case TDM_SUP_TERMINATE_CHILD:
        if (e->state == RESTARTING)
            sup_remove_child(self, s, e->child, TDM_OK);
        if (e->child == NULL)
            return TDM_OK;
        if (!e->asked_to_stop)
            sup_ask_to_stop(self, e);
        return wait_for_it(self, e, from, ref);
    case TDM_SUP_DELETE_CHILD:
        if (e->state != STOPPED)
            return e->state == RESTARTING ? TDM_EBUSY : TDM_ESTATE;
        e->state = GONE;
        return TDM_OK;
    default:
        break;
    }
    return TDM_OK;
}

void sup_admin(tdm_self *self, struct sup *s, const struct admin *q, tdm_pid from, tdm_ref ref)
{
    struct tdm_sup_reply r = { .err = TDM_OK };

    if (q->op == TDM_SUP_COUNT)
        count(s, &r);
    else if (s->cfg->strategy == TDM_DYNAMIC)
        r.err = admin_dynamic(self, s, q, from, ref);
    else
        r.err = admin_static(self, s, q, from, ref);
    if (r.err == LATER)
        return;
    const struct entry *e = s->cfg->strategy == TDM_DYNAMIC ? NULL : entry_by_id(s, q->id);
    if (e != NULL && e->child != NULL)
        r.pid = sup_pid_of(e->child);
    sup_reply(self, from, ref, &r);
}

/* Answered in order, when the start is through. */
void sup_hold(tdm_self *self, struct sup *s, const struct tdm_msg *m)
{
    struct held *h = tdm_alloc(self, sizeof *h);
    struct held **end = &s->held;

    if (h == NULL) {
        sup_reply(self, m->from, m->ref, &(struct tdm_sup_reply){ .err = TDM_ENOMEM });
        return;
    }
    *h = (struct held){ .question = *(const struct admin *)tdm_msg_view(m), .from = m->from, .ref = m->ref };
    while (*end != NULL)
        end = &(*end)->next;
    *end = h;
}

tdm_ref tdm_sup_ask(tdm_self *self, tdm_pid sup, const struct tdm_sup_question *ask, uint32_t timeout_ms)
{
    struct tdm_msg *m = tdm_msg_new(self->rt, SIG_ADMIN, sizeof(struct admin));

    if (m == NULL)
        return 0;
    struct admin *q = tdm_msg_data(m);
    q->op = ask->op;
    q->pid = ask->pid;
    snprintf(q->id, sizeof q->id, "%s", ask->id != NULL ? ask->id : "");
    return tdm_request(self, sup, m, timeout_ms);
}

tdm_ref tdm_sup_request(tdm_self *self, tdm_pid sup, enum tdm_sup_op op, const char *id, tdm_pid pid)
{
    return tdm_sup_ask(self, sup, &(struct tdm_sup_question){ .op = op, .id = id, .pid = pid }, 0);
}
