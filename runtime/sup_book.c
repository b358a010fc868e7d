/* sup_book.c - a supervisor's entries: one for each static child, and one for each dynamic child that something is to be
 * noted of (a timer, an asker, a stop).
 *
 * Invariant: the list is in start order; the table finds an entry by id; a child that has an entry points to it.
 * Touched by the worker running the supervisor. */
#include <string.h>

#include "sup.h"

/* The payload of an entry's timer. An entry clears its timer before it goes, so what arrives is right. */
struct due {
    struct entry *entry;
};

/* ---- by id ----------------------------------------------------------------------------------- */

static uint32_t hash_of(const char *id)
{
    uint32_t h = 2166136261u;

    while (*id != '\0')
        h = (h ^ (unsigned char)*id++) * 16777619u;
    return h;
}

static struct entry **bucket_of(const struct sup *s, const char *id)
{
    return &s->buckets[hash_of(id) & (s->n_buckets - 1)];
}

struct entry *sup_entry_by_id(const struct sup *s, const char *id)
{
    struct entry *e = s->n_buckets == 0 ? NULL : *bucket_of(s, id);

    while (e != NULL && strcmp(e->spec->s.id, id) != 0)
        e = e->same_hash;
    return e;
}

/* A table that cannot grow still works, only slower. */
static void grow(tdm_self *self, struct sup *s)
{
    uint32_t n = s->n_buckets == 0 ? 16 : s->n_buckets * 2;
    struct entry **buckets = tdm_alloc(self, n * sizeof *buckets);

    if (buckets == NULL)
        return;
    tdm_free(self, s->buckets);
    s->buckets = buckets;
    s->n_buckets = n;
    for (struct entry *e = s->first; e != NULL; e = e->next) {
        struct entry **b = bucket_of(s, e->spec->s.id);
        e->same_hash = *b;
        *b = e;
    }
}

static void unhash(struct sup *s, struct entry *e)
{
    struct entry **at = bucket_of(s, e->spec->s.id);

    while (*at != e)
        at = &(*at)->same_hash;
    *at = e->same_hash;
}

/* ---- the list -------------------------------------------------------------------------------- */

void sup_append_entry(struct sup *s, struct entry *e)
{
    e->next = NULL;
    e->prev = s->last;
    if (e->prev != NULL)
        e->prev->next = e;
    else
        s->first = e;
    s->last = e;
    e->order = s->next_order++;
}

static void take_out(struct sup *s, struct entry *e)
{
    if (e->prev != NULL)
        e->prev->next = e->next;
    else
        s->first = e->next;
    if (e->next != NULL)
        e->next->prev = e->prev;
    else
        s->last = e->prev;
}

void sup_order_after(struct sup *s, struct entry *e)
{
    take_out(s, e);
    sup_append_entry(s, e);
}

struct entry *sup_add_entry(tdm_self *self, struct sup *s, struct spec *spec)
{
    struct entry *e = tdm_alloc(self, sizeof *e);

    if (e != NULL && s->n_entries >= s->n_buckets)
        grow(self, s);
    if (e == NULL || s->n_buckets == 0) {
        tdm_free(self, e);
        return NULL;
    }
    e->spec = spec;
    family_add_spec(s->family, spec);
    struct entry **b = bucket_of(s, spec->s.id);
    e->same_hash = *b;
    *b = e;
    sup_append_entry(s, e);
    s->n_entries++;
    return e;
}

struct entry *sup_note_child(tdm_self *self, struct sup *s, struct child *c)
{
    if (c->entry != NULL)
        return c->entry;
    struct entry *e = tdm_alloc(self, sizeof *e);
    if (e == NULL)
        return NULL;
    e->child = c;
    e->state = UP;
    c->entry = e;
    sup_append_entry(s, e);
    return e;
}

void sup_set_state(struct sup *s, struct entry *e, enum entry_state state)
{
    if (!sup_dynamic(s)) { /* dynamic children start side by side, and are never significant */
        s->starting += (state == COMING) - (e->state == COMING);
        if (e->spec->s.significant)
            s->live_significant += (state != STOPPED) - (e->state != STOPPED);
    }
    e->state = state;
}

/* A spec that was replaced while this child ran on it is nobody's now. */
static void drop_old_spec(struct sup *s, struct entry *e)
{
    if (e->spec != NULL && e->child->spec != &e->spec->s)
        family_drop_spec(s->family, (struct spec *)e->child->spec);
}

void sup_drop_place(tdm_self *self, struct sup *s, struct entry *e)
{
    struct child *c = e->child;

    sup_clear_timer(self, e);
    sup_unqueue(s, e);
    e->asked_to_stop = e->on_request = e->timed_out = false;
    if (c == NULL)
        return;
    drop_old_spec(s, e);
    e->child = NULL;
    family_remove_child(c);
}

void sup_drop_entry(tdm_self *self, struct sup *s, struct entry *e)
{
    sup_set_state(s, e, STOPPED);
    sup_drop_place(self, s, e);
    if (e->spec != NULL) {
        unhash(s, e);
        family_drop_spec(s->family, e->spec);
        s->n_entries--;
    }
    take_out(s, e);
    tdm_free(self, e);
}

void sup_leave_stopped(tdm_self *self, struct sup *s, struct entry *e)
{
    if (sup_dynamic(s) || e->spec->s.restart == TDM_TEMPORARY) {
        sup_drop_entry(self, s, e);
        return;
    }
    sup_set_state(s, e, STOPPED);
    sup_drop_place(self, s, e);
}

void sup_forget_child(tdm_self *self, struct sup *s, struct child *c)
{
    if (c->entry != NULL)
        sup_leave_stopped(self, s, c->entry);
    else
        family_remove_child(c);
}

void sup_unnote_child(tdm_self *self, struct sup *s, struct child *c)
{
    struct entry *e = c->entry;

    if (e == NULL)
        return;
    c->entry = NULL;
    sup_clear_timer(self, e);
    sup_unqueue(s, e);
    take_out(s, e);
    tdm_free(self, e);
}

/* ---- timers ---------------------------------------------------------------------------------- */

bool sup_set_timer(tdm_self *self, struct entry *e, uint64_t delay_ns)
{
    struct due due = { e };

    sup_clear_timer(self, e);
    e->timer = tdm_send_after(self, tdm_self_pid(self), delay_ns,
                              tdm_msg_copy(self->rt, TDM_MSG_TIMER, &due, sizeof due));
    return e->timer != 0;
}

void sup_clear_timer(tdm_self *self, struct entry *e)
{
    if (e->timer != 0)
        tdm_timer_cancel(self, e->timer);
    e->timer = 0;
}

/* A timer's message that a stranger had sent here does not come from ourselves. */
struct entry *sup_timer_entry(tdm_self *self, const struct tdm_msg *m)
{
    if (m->bytes != sizeof(struct due) || m->from.id != tdm_self_pid(self).id)
        return NULL;
    struct entry *e = ((const struct due *)tdm_msg_view(m))->entry;
    if (e->timer != m->ref)
        return NULL;
    e->timer = 0;
    return e;
}

/* ---- who waits for his turn ------------------------------------------------------------------ */

void sup_enqueue(struct sup *s, struct entry *e)
{
    e->queued = true;
    e->queue_next = NULL;
    e->queue_prev = s->queue_last;
    if (e->queue_prev != NULL)
        e->queue_prev->queue_next = e;
    else
        s->queue_first = e;
    s->queue_last = e;
}

void sup_unqueue(struct sup *s, struct entry *e)
{
    if (!e->queued)
        return;
    e->queued = false;
    if (e->queue_prev != NULL)
        e->queue_prev->queue_next = e->queue_next;
    else
        s->queue_first = e->queue_next;
    if (e->queue_next != NULL)
        e->queue_next->queue_prev = e->queue_prev;
    else
        s->queue_last = e->queue_prev;
}

/* ---- who waits for an answer ----------------------------------------------------------------- */

bool sup_await(tdm_self *self, struct entry *e, tdm_pid to, tdm_ref ref)
{
    struct answer *a = tdm_alloc(self, sizeof *a);

    if (a == NULL)
        return false;
    *a = (struct answer){ .next = e->answers, .to = to, .ref = ref };
    e->answers = a;
    return true;
}

void sup_reply(tdm_self *self, tdm_pid to, tdm_ref ref, const struct tdm_sup_reply *r)
{
    (void)tdm_reply_to(self->rt, to, ref, sup_reply_new(self->rt, r, 0, NULL));
}

void sup_answer_all(tdm_self *self, struct entry *e, const struct tdm_sup_reply *r)
{
    while (e->answers != NULL) {
        struct answer *a = e->answers;
        e->answers = a->next;
        sup_reply(self, a->to, a->ref, r);
        tdm_free(self, a);
    }
}
