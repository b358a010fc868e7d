/* family_end.c - how the children of a family end, one by one or all of them, and how its supervisor does.
 *
 * Idea:      a child that ends for good takes itself out of its shard. One whose supervisor must decide, or waits for that
 *            end, stays in it and posts its notice in the same step. When the last one leaves a stopping family, it says so.
 * The end of a supervisor has two passes over the shards. After the first (`closed`) no notice is posted any more, and
 * a child that ends stays where it is. Then the supervisor's mailbox is emptied: the notices in it lie in the children.
 * The second pass (`dead`) buries the children that have ended and tells the others to end with their parent's reason;
 * those bury themselves.
 * Who may touch what: see family.c. */
#include <string.h>

#include "family.h"
#include "sup_log.h"
#include "sup_spec.h"
#include "tandem/log.h"

/* How often one reason ended a child of a stop. */
struct tally {
    struct tally *next;
    uint32_t n;
    struct tdm_reason reason;
};

enum { TALLIES_MAX = 100 };

bool family_abnormal(const struct tdm_reason *r)
{
    return r == NULL || (r->kind != TDM_EXIT_NORMAL && r->kind != TDM_EXIT_SHUTDOWN);
}

bool family_wants_restart(enum tdm_restart type, const struct tdm_reason *r)
{
    return type == TDM_PERMANENT || (type == TDM_TRANSIENT && family_abnormal(r));
}

bool family_place_stays(struct tdm_self *a, const struct tdm_reason *reason)
{
    const struct child *c = a->child;
    const struct family *f = c->family;
    bool started = (a->flags & ACTOR_ANNOUNCED) != 0;

    if (f->strategy != TDM_DYNAMIC)
        return true; /* its supervisor keeps the books */
    if (atomic_load_explicit(&f->stopping, memory_order_seq_cst) || (a->flags & ACTOR_IGNORED))
        return false;
    if (!started && c->restarts == 0)
        return false; /* a first start that failed leaves nothing */
    return family_wants_restart(c->spec->restart, reason);
}

/* ---- the last one tells ---------------------------------------------------------------------- */

/* To a family that is held. */
static void say_empty(struct family *f)
{
    struct tdm_msg *m = &f->empty_notice.msg;

    pthread_spin_lock(&f->shards[0].lock);
    if (!f->told_empty && !atomic_load_explicit(&f->closed, memory_order_relaxed)) { /* see family_ended() */
        *m = (struct tdm_msg){ .type = SIG_FAMILY_EMPTY };
        f->told_empty = actor_post_locked(f->rt, f->sup.id, m) == TDM_OK;
    }
    pthread_spin_unlock(&f->shards[0].lock);
}

bool family_empty_heard(struct family *f)
{
    pthread_spin_lock(&f->shards[0].lock);
    f->told_empty = false; /* who leaves last from here on tells anew */
    pthread_spin_unlock(&f->shards[0].lock);
    return family_size(f) == 0;
}

/* The place is gone. seq_cst: either we see `stopping`, or the supervisor, after family_stop(), the smaller
 * size. */
void family_leave(struct child *c)
{
    struct family *f = c->family;
    uint64_t old = atomic_load_explicit(&f->refs, memory_order_relaxed), new;

    family_free_child(c);
    do {
        new = (uint32_t)old == 1 ? old - 1 + HOLD : old - 1;
    } while (!atomic_compare_exchange_weak_explicit(&f->refs, &old, new, memory_order_seq_cst,
                                                    memory_order_relaxed));
    if ((uint32_t)old != 1)
        return; /* others are left: it is theirs to look */
    if (atomic_load_explicit(&f->stopping, memory_order_seq_cst))
        say_empty(f);
    family_unref(f);
}

/* ---- what a stop has to say ------------------------------------------------------------------ */

static struct tally *find_tally(struct family *f, const struct tdm_reason *r)
{
    struct tally *t = f->tallies;

    while (t != NULL && !(t->reason.kind == r->kind && t->reason.code == r->code &&
                          t->reason.signo == r->signo && strcmp(t->reason.text, r->text) == 0))
        t = t->next;
    return t;
}

/* Under the lock. True: counted; `fresh` was used if it is NULL now. */
static bool count_tally(struct family *f, const struct tdm_reason *r, struct tally **fresh)
{
    struct tally *t = find_tally(f, r);

    if (t == NULL && *fresh != NULL && f->n_tallies < TALLIES_MAX) {
        t = *fresh;
        *fresh = NULL;
        *t = (struct tally){ .next = f->tallies, .reason = *r };
        f->tallies = t;
        f->n_tallies++;
    }
    if (t != NULL)
        t->n++;
    return t != NULL;
}

/* A child has ended while its dynamic supervisor stops. */
static void tally(struct family *f, struct child *c, const struct tdm_reason *r)
{
    struct tally *fresh = NULL;

    c->counted = true;
    if (f->strategy != TDM_DYNAMIC || sup_clean_stop(c->spec, r) ||
        atomic_load_explicit(&f->closed,
                             memory_order_relaxed)) /* then nobody asks; seen late, it is freed unread */
        return;
    pthread_spin_lock(&f->tally_lock);
    bool counted = count_tally(f, r, &fresh);
    pthread_spin_unlock(&f->tally_lock);
    if (counted)
        return;
    fresh = runtime_alloc(f->rt, sizeof *fresh);
    pthread_spin_lock(&f->tally_lock);
    if (!count_tally(f, r, &fresh))
        f->untold++;
    pthread_spin_unlock(&f->tally_lock);
    if (fresh != NULL)
        runtime_free_block(f->rt, fresh, sizeof *fresh);
}

void family_count_end(struct child *c)
{
    static const struct tdm_reason unknown = { .kind = TDM_EXIT_ERROR, .code = TDM_ENOMEM };

    if (!c->counted)
        tally(c->family, c, c->last != NULL ? c->last : &unknown);
}

void family_log_stop(struct family *f)
{
    const struct tdm_child_spec *spec = family_template(f);

    for (const struct tally *t = f->tallies; t != NULL; t = t->next)
        sup_log_stop(f, spec, (tdm_pid){ 0 }, &t->reason, t->n);
    if (f->untold > 0)
        sup_log_stop(f, spec, (tdm_pid){ 0 }, NULL, f->untold);
}

void family_free_tallies(struct family *f)
{
    while (f->tallies != NULL) {
        struct tally *t = f->tallies;
        f->tallies = t->next;
        runtime_free_block(f->rt, t, sizeof *t);
    }
}

/* ---- a child has ended ----------------------------------------------------------------------- */

static void keep_reason(struct child *c, const struct tdm_reason *reason)
{
    if (c->last == NULL)
        c->last = runtime_alloc(c->family->rt, sizeof *c->last);
    if (c->last != NULL)
        *c->last = *reason;
}

/* Under the lock: it is the supervisor's from here on. False: the supervisor is gone for good. */
static bool hand_over(struct family *f, struct child *c, unsigned shard)
{
    if (atomic_load_explicit(&f->dead, memory_order_relaxed)) /* written under this lock */
        return false;
    f->shards[shard].waiting += c->state == CHILD_RUNNING;
    c->state = CHILD_WAITING;
    if (c->started)
        c->last_up = c->pid;
    atomic_store_explicit(&c->up, false, memory_order_relaxed);  /* see describe() */
    if (!atomic_load_explicit(&f->closed, memory_order_relaxed)) /* likewise */
        (void)actor_post_locked(f->rt, f->sup.id, &c->exit_notice.msg);
    return true; /* closed: the second pass of family_ended() finds it */
}

/* True: the supervisor has it. `kept`: the reason has been kept, as it must be before that. */
static bool go_to_supervisor(struct child *c, const struct tdm_reason *reason, bool stays)
{
    struct family *f = c->family;
    unsigned shard = family_shard(c);
    bool kept =
        stays || atomic_load_explicit(&c->told, memory_order_relaxed); /* a guess; decided under the lock */

    for (;;) {
        if (kept)
            keep_reason(c, reason);
        pthread_spin_lock(&f->shards[shard].lock);
        bool wanted = stays || atomic_load_explicit(&c->told, memory_order_relaxed); /* under the lock */
        bool gone = !wanted || (kept && !hand_over(f, c, shard));
        if (gone)
            family_unlink_child(f, c, shard);
        pthread_spin_unlock(&f->shards[shard].lock);
        if (gone || kept)
            return !gone;
        kept = true; /* asked for just now */
    }
}

/* Ends that the supervisor does not hear of are logged here. */
static void log_end(const struct child *c, const struct tdm_reason *reason)
{
    if (c->ignored || (!family_abnormal(reason) && c->spec->restart != TDM_PERMANENT))
        return;
    sup_log_ended(c, c->started ? "supervisor.child_terminated" : "supervisor.start_error", reason);
}

bool family_child_ended(struct tdm_self *a, const struct tdm_reason *reason, bool stays)
{
    struct child *c = a->child;
    struct family *f = c->family;
    bool stopping = atomic_load_explicit(&f->stopping, memory_order_seq_cst);

    c->started = (a->flags & ACTOR_ANNOUNCED) != 0;
    c->ignored = (a->flags & ACTOR_IGNORED) != 0;
    c->counted = false;
    if (stopping)
        tally(f, c, reason);
    if (go_to_supervisor(c, reason, stays))
        return true;
    a->child = NULL;
    if (!stopping)
        log_end(c, reason);
    family_leave(c);
    return false;
}

/* ---- all of them ----------------------------------------------------------------------------- */

void family_stop(struct family *f)
{
    atomic_store_explicit(&f->stopping, true, memory_order_seq_cst);
}

void family_control_all(struct family *f, uint32_t bit)
{
    for (int i = 0; i < SHARDS; i++) {
        pthread_spin_lock(&f->shards[i].lock);
        for (struct child *c = f->shards[i].first; c != NULL; c = c->next)
            if (c->state != CHILD_WAITING)
                (void)actor_control(f->rt, family_pid_of(c),
                                    bit); /* one that ends just now needs no telling */
        pthread_spin_unlock(&f->shards[i].lock);
    }
}

void family_hold_request(struct family *f, struct tdm_msg *m)
{
    m->next_ = NULL;
    if (f->held_last == NULL)
        f->held = m;
    else
        f->held_last->next_ = m;
    f->held_last = m;
}

struct tdm_msg *family_next_request(struct family *f)
{
    struct tdm_msg *m = f->held;

    if (m != NULL && (f->held = m->next_) == NULL)
        f->held_last = NULL;
    return m;
}

static void drop_requests(struct family *f)
{
    struct tdm_msg *m;

    while ((m = family_next_request(f)) != NULL)
        tdm_msg_free(f->rt, m); /* its monitor tells the asker */
}

/* ---- the supervisor has ended ---------------------------------------------------------------- */

static void close_shards(struct family *f)
{
    for (int i = 0; i < SHARDS; i++) {
        pthread_spin_lock(&f->shards[i].lock);
        atomic_store_explicit(&f->closed, true, memory_order_relaxed); /* read under these locks */
        pthread_spin_unlock(&f->shards[i].lock);
    }
}

/* Those that run are told to end; those that have ended are returned, out of the shard. */
static struct child *end_shard(struct family *f, unsigned i, struct child *ended)
{
    for (struct child *c = f->shards[i].first, *next; c != NULL; c = next) {
        next = c->next;
        if (c->state != CHILD_WAITING) {
            (void)actor_control(f->rt, family_pid_of(c), CONTROL_PARENT);
            continue;
        }
        family_unlink_child(f, c, i);
        c->next = ended;
        ended = c;
    }
    return ended;
}

/* The supervisor's incarnation has ended, in whatever way: no child outlives it. */
void family_ended(struct tdm_self *sup, const struct tdm_reason *reason)
{
    struct family *f = sup->family;
    struct child *ended = NULL;

    pthread_spin_lock(&sup->lock);
    sup->family = NULL;
    pthread_spin_unlock(&sup->lock);
    family_stop(f);
    f->why = *reason; /* before CONTROL_PARENT, whose setting releases it */
    close_shards(f);
    actor_drop_unread(sup);
    drop_requests(f);
    for (unsigned i = 0; i < SHARDS; i++) {
        pthread_spin_lock(&f->shards[i].lock);
        atomic_store_explicit(&f->dead, true, memory_order_relaxed); /* read under these locks */
        ended = end_shard(f, i, ended);
        pthread_spin_unlock(&f->shards[i].lock);
    }
    while (ended != NULL) {
        struct child *next = ended->next;
        ended->actor->child = NULL;
        actor_bury(ended->actor);
        family_leave(ended);
        ended = next;
    }
    family_unref(f);
}

const struct tdm_reason *family_parents_reason(const struct tdm_self *a)
{
    return &a->child->family->why;
}
