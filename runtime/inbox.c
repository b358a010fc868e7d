/* inbox.c - what has been taken from a mailbox and is not read yet.
 *
 * Idea:      the reader takes all that has come at once, into a list of its own: oldest first, part of the mailbox still,
 *            and counted there. Nobody else touches it, with one exception: TDM_DROP_OLDEST. There the oldest message is
 *            the sender's to drop, or the mailbox could not be kept within its limit while a callback of the reader takes
 *            its time; so there, and only there, everything here is under a lock.
 * Order:     inbox, then staged (what a sender moved out of the box, to get at the oldest), then the box.
 * Memory:    most actors read in order and refuse what is too much: for them a list and two counts are all. A fiber and
 *            TDM_DROP_OLDEST need more; it is made with the first of them in a place, and stays as long as the place does.
 * Invariant: a list's links, its count and `handled` change together. `scanned` and `sift_at` are places in the inbox that
 *            the reader comes back to: whoever takes out the message such a place lies in moves it.
 * No code but ours runs under the lock, nothing is freed or sent there: messages may own things. */
#include "inbox.h"

#include "runtime.h"

struct inbox_more {
    struct tdm_msg **scanned; /* in the inbox: what a fiber's present wait has seen */
    struct tdm_msg **sift_at; /* in the inbox: from here on it is not sifted yet */
    struct tdm_msg *pinned;   /* a fiber looks at it */
    struct tdm_msg *staged;   /* taken from the box by a sender */
    uint32_t staged_count;
    bool shared; /* TDM_DROP_OLDEST: all is under the lock */
};

/* Both are written, under the lock, by who holds the turn: us. */
static inline bool is_shared(const struct tdm_self *a)
{
    return a->more != NULL && a->more->shared;
}

static inline void lock(struct tdm_self *a)
{
    if (is_shared(a))
        pthread_spin_lock(&a->lock);
}

/* Given the turn away? Then `shared` is what it was before. */
static inline void unlock(struct tdm_self *a, bool shared)
{
    if (shared)
        pthread_spin_unlock(&a->lock);
}

static uint64_t box_now(const struct tdm_self *a)
{
    return box_ptr(atomic_load_explicit(&a->box.word, memory_order_relaxed)); /* box_take() acquires */
}

/* ---- under the lock, if there is one --------------------------------------------------------- */

static struct tdm_msg *cut(struct tdm_self *a, struct tdm_msg **at)
{
    struct tdm_msg *m = *at;

    *at = m->next_;
    if (a->more != NULL && a->more->scanned == &m->next_)
        a->more->scanned = at;
    if (a->more != NULL && a->more->sift_at == &m->next_)
        a->more->sift_at = at;
    return m;
}

/* One more that is read or dropped. Small boxes are counted closely, others in steps. */
static void count_handled(struct tdm_self *a)
{
    a->handled++;
    if (a->handled >= 64 || a->handled * 16 >= actor_limit(a)) {
        box_release(&a->box, a->handled);
        a->handled = 0;
    }
}

static struct tdm_msg *take_out(struct tdm_self *a, struct tdm_msg **at)
{
    struct tdm_msg *m = cut(a, at);

    a->inbox_count--;
    count_handled(a);
    return m;
}

static struct tdm_msg **end_of(struct tdm_msg **at)
{
    while (*at != NULL)
        at = &(*at)->next_;
    return at;
}

static struct tdm_msg *take_staged(struct tdm_self *a, uint32_t *count)
{
    struct tdm_msg *first = a->more != NULL ? a->more->staged : NULL;

    *count = first != NULL ? a->more->staged_count : 0;
    if (first != NULL) {
        a->more->staged = NULL;
        a->more->staged_count = 0;
    }
    return first;
}

/* Whatever is in the box and staged. The turn stays where it is: there is something, or the box is left alone. */
static struct tdm_msg *take_rest(struct tdm_self *a, uint32_t *count)
{
    struct tdm_msg *first = take_staged(a, count);
    uint32_t n = 0;

    if (box_now(a) > BOX_CLOSED) {
        *end_of(&first) = box_take(&a->box, 0, a->inbox_count + *count, &n);
        *count += n;
    }
    return first;
}

static void append(struct tdm_self *a, struct tdm_msg *first, uint32_t count)
{
    struct tdm_msg **end = end_of(&a->inbox);

    *end = first;
    if (a->more != NULL)
        a->more->sift_at = end;
    a->inbox_count += count;
}

/* ---- the reader ------------------------------------------------------------------------------ */

/* Most mailboxes are nobody else's and have no places to keep: a few steps. */
static struct tdm_msg *pop_own(struct tdm_self *a)
{
    struct tdm_msg *m = a->inbox;

    if (m == NULL)
        return NULL;
    a->inbox = m->next_;
    a->inbox_count--;
    count_handled(a);
    return m;
}

struct tdm_msg *actor_pop(struct tdm_self *a)
{
    if (a->more == NULL)
        return pop_own(a);
    lock(a);
    struct tdm_msg *m = a->inbox != NULL ? take_out(a, &a->inbox) : NULL;
    unlock(a, is_shared(a));
    return m;
}

/* What is new in the box; NULL: the turn is given up. */
static struct tdm_msg *take_new(struct tdm_self *a, uint32_t *count)
{
    uint32_t handled = a->handled;

    a->handled = 0; /* before box_take: afterwards the actor may be another worker's */
    return box_take(&a->box, handled, a->inbox_count, count);
}

static bool fetch_shared(struct tdm_self *a)
{
    bool shared = is_shared(a);
    uint32_t count = 0;

    lock(a);
    struct tdm_msg *first = a->more->staged != NULL ? take_rest(a, &count) : take_new(a, &count);
    if (first != NULL)
        append(a, first, count);
    unlock(a, shared);
    return first != NULL;
}

bool actor_fetch(struct tdm_self *a)
{
    uint32_t count = 0;

    runtime_point(a->rt, "mailbox.take");
    if (a->more != NULL)
        return fetch_shared(a);
    struct tdm_msg *first = take_new(a, &count);
    if (first != NULL)
        append(a, first, count);
    return first != NULL;
}

void actor_fetch_rest(struct tdm_self *a)
{
    uint32_t count;

    lock(a);
    struct tdm_msg *first = take_rest(a, &count);
    append(a, first, count);
    unlock(a, is_shared(a));
}

bool actor_has_mail(struct tdm_self *a)
{
    lock(a);
    bool some = a->inbox != NULL || (a->more != NULL && a->more->staged != NULL) || box_now(a) > BOX_CLOSED;
    unlock(a, is_shared(a));
    return some;
}

/* What the runtime looks at first: its own signals, and what was meant for an incarnation that is gone. */
static bool to_be_sifted(const struct tdm_self *a, const struct tdm_msg *m)
{
    return (m->type >= TDM_MSG_INTERNAL && m->type < SIG_CHILD_STARTED) || !actor_accepts(a, m);
}

/* From sift_at on, take the runtime's own messages out, so that the fiber sees only its own. */
void actor_sift_inbox(struct tdm_self *a)
{
    for (;;) {
        lock(a);
        while (*a->more->sift_at != NULL && !to_be_sifted(a, *a->more->sift_at))
            a->more->sift_at = &(*a->more->sift_at)->next_;
        struct tdm_msg *m = *a->more->sift_at;
        if (m != NULL)
            cut(a, a->more->sift_at);
        unlock(a, is_shared(a));
        if (m == NULL)
            return;
        bool stays = actor_sift(a, m);
        lock(a);
        if (stays) { /* an exit that is trapped: a message now, in its old place */
            m->next_ = *a->more->sift_at;
            *a->more->sift_at = m;
            a->more->sift_at = &m->next_;
        } else {
            a->inbox_count--;
            count_handled(a);
        }
        unlock(a, is_shared(a));
    }
}

void actor_sift_from_start(struct tdm_self *a)
{
    lock(a);
    a->more->sift_at = &a->inbox;
    unlock(a, is_shared(a));
    actor_sift_inbox(a);
}

/* ---- a fiber's selective look ---------------------------------------------------------------- */

void inbox_scan(struct tdm_self *a)
{
    lock(a);
    a->more->scanned = &a->inbox;
    unlock(a, is_shared(a));
}

struct tdm_msg *inbox_look(struct tdm_self *a, bool *checked)
{
    lock(a);
    struct tdm_msg *m = *a->more->scanned;
    *checked = m == NULL || m->ref == 0 || m->to_ >= MSG_AGAIN;
    if (!*checked)
        cut(a, a->more->scanned);
    a->more->pinned = m;
    unlock(a, is_shared(a));
    return m;
}

void inbox_checked(struct tdm_self *a, struct tdm_msg *m)
{
    lock(a);
    if (m != NULL) {
        m->next_ = *a->more->scanned;
        *a->more->scanned = m;
    } else {
        a->inbox_count--;
        count_handled(a);
    }
    unlock(a, is_shared(a));
}

void inbox_pass(struct tdm_self *a)
{
    lock(a);
    a->more->scanned = &(*a->more->scanned)->next_;
    a->more->pinned = NULL;
    unlock(a, is_shared(a));
}

void inbox_read(struct tdm_self *a)
{
    lock(a);
    take_out(a, a->more->scanned);
    a->more->pinned = NULL;
    unlock(a, is_shared(a));
}

/* ---- taking things out ----------------------------------------------------------------------- */

struct tdm_msg *inbox_remove(struct tdm_self *a, inbox_test *unwanted, uint64_t what, bool all)
{
    struct tdm_msg *out = NULL, **end = &out;

    lock(a);
    for (struct tdm_msg **at = &a->inbox; *at != NULL && (all || out == NULL);) {
        if (!unwanted(*at, what)) {
            at = &(*at)->next_;
            continue;
        }
        *end = take_out(a, at);
        end = &(*end)->next_;
        *end = NULL;
    }
    unlock(a, is_shared(a));
    return out;
}

void inbox_free(struct tdm_self *a, struct tdm_msg *list)
{
    while (list != NULL) {
        struct tdm_msg *next = list->next_;
        tdm_msg_free(a->rt, list);
        list = next;
    }
}

static bool has_ref(const struct tdm_msg *m, uint64_t ref)
{
    return m->to_ == MSG_CHECKED && m->ref == ref;
}

void actor_forget_ref(struct tdm_self *a, tdm_ref ref)
{
    inbox_free(a, inbox_remove(a, has_ref, ref, false));
}

static bool is_exit_from(const struct tdm_msg *m, uint64_t pid)
{
    return m->to_ == MSG_LINK_EXIT && m->from.id == pid;
}

void actor_forget_exit(struct tdm_self *a, tdm_pid from)
{
    inbox_free(a, inbox_remove(a, is_exit_from, from.id, false));
}

/* The end of what a place stands for is not waited for a second time: see family_place_over(). */
static bool is_unread(const struct tdm_msg *m, uint64_t type)
{
    return m->type == type && m->to_ != MSG_AGAIN;
}

bool actor_has_unread(struct tdm_self *a, uint32_t type)
{
    bool found = false;

    actor_fetch_rest(a);
    lock(a);
    for (const struct tdm_msg *m = a->inbox; m != NULL && !found; m = m->next_)
        found = is_unread(m, type);
    unlock(a, is_shared(a));
    return found;
}

void inbox_put_first(struct tdm_self *a, struct tdm_msg *m)
{
    lock(a);
    m->next_ = a->inbox;
    a->inbox = m;
    a->inbox_count++;
    if (a->handled > 0) /* it was counted when it was taken up, and is again among the unread */
        a->handled--;
    else
        box_count_again(&a->box);
    unlock(a, is_shared(a));
}

struct tdm_msg *inbox_empty(struct tdm_self *a)
{
    uint32_t count;

    lock(a);
    struct tdm_msg *first = a->inbox;
    struct tdm_msg *rest = take_rest(a, &count);
    *end_of(&first) = rest;
    box_release(&a->box, a->handled + a->inbox_count + count);
    a->inbox = NULL;
    a->inbox_count = 0;
    a->handled = 0;
    if (a->more != NULL) {
        a->more->scanned = a->more->sift_at = &a->inbox;
        a->more->pinned = NULL;
    }
    unlock(a, is_shared(a));
    return first;
}

struct tdm_msg *inbox_close(struct tdm_self *a)
{
    struct tdm_msg *list;
    uint32_t count;

    lock(a);
    list = a->inbox;
    a->inbox = NULL;
    a->inbox_count = 0;
    *end_of(&list) = take_staged(a, &count);
    *end_of(&list) = box_close(&a->box);
    unlock(a, is_shared(a));
    inbox_leave(a);
    return list;
}

int inbox_extend(struct tdm_self *a)
{
    if (a->more != NULL)
        return TDM_OK;
    struct inbox_more *more = runtime_alloc(a->rt, sizeof *more);
    if (more == NULL)
        return TDM_ENOMEM;
    *more = (struct inbox_more){ .scanned = &a->inbox, .sift_at = &a->inbox };
    pthread_spin_lock(&a->lock); /* a sender with an old address looks at it under the lock */
    a->more = more;
    pthread_spin_unlock(&a->lock);
    return TDM_OK;
}

void inbox_open(struct tdm_self *a, enum tdm_overflow policy)
{
    if (a->more == NULL)
        return;                  /* it is not TDM_DROP_OLDEST, nor was the place's last one */
    pthread_spin_lock(&a->lock); /* as in inbox_extend() */
    a->more->shared = policy == TDM_DROP_OLDEST;
    a->more->pinned = NULL;
    pthread_spin_unlock(&a->lock);
}

void inbox_leave(struct tdm_self *a)
{
    struct inbox_more *more = a->more;

    if (more == NULL)
        return;
    pthread_spin_lock(&a->lock); /* as in inbox_extend() */
    a->more = NULL;
    pthread_spin_unlock(&a->lock);
    runtime_free_block(a->rt, more, sizeof *more);
}

uint32_t inbox_length(struct tdm_self *a)
{
    lock(a);
    uint32_t counted =
        box_count(atomic_load_explicit(&a->box.word, memory_order_relaxed)); /* a number to show */
    uint32_t n = counted > a->handled ? counted - a->handled : 0;
    unlock(a, is_shared(a));
    return n;
}

/* ---- the sender, when the oldest must go ----------------------------------------------------- */

/* The bound is for what others send of their own accord, not for signals, notices, answers and timers. */
static bool droppable(const struct tdm_self *a, const struct tdm_msg *m)
{
    bool of_the_runtime = m->type < TDM_MSG_EVENT || (m->type >= TDM_MSG_INTERNAL && m->type < TDM_MSG_USER);

    return !of_the_runtime && !timer_is_timer(m->ref) && m != a->more->pinned;
}

static struct tdm_msg **oldest_in(const struct tdm_self *a, struct tdm_msg **at)
{
    while (*at != NULL && !droppable(a, *at))
        at = &(*at)->next_;
    return at;
}

/* NULL: there are only messages that must come. */
static struct tdm_msg *drop_oldest(struct tdm_self *a)
{
    struct tdm_msg **at = oldest_in(a, &a->inbox);

    if (*at != NULL)
        return take_out(a, at);
    uint32_t count;
    a->more->staged = take_rest(a, &count);
    a->more->staged_count = count;
    at = oldest_in(a, &a->more->staged);
    if (*at == NULL)
        return NULL;
    a->more->staged_count--;
    count_handled(a);
    return cut(a, at);
}

enum box_push inbox_push_dropping(struct tdm_self *a, uint64_t to, struct tdm_msg *msg,
                                  struct tdm_msg **dropped)
{
    enum box_push how = BOX_GONE;

    *dropped = NULL;
    pthread_spin_lock(&a->lock);
    /* Both under the lock: a later tenant of the slot takes it before it can be reached. */
    if (!is_shared(a) || actor_of(a->rt, to) != a) {
        pthread_spin_unlock(&a->lock);
        return BOX_GONE;
    }
    for (;;) {
        box_release(&a->box, a->handled);
        a->handled = 0;
        how = box_push(&a->box, msg, actor_limit(a));
        if (how != BOX_FULL)
            break;
        struct tdm_msg *m = drop_oldest(a);
        if (m == NULL)
            break;
        m->next_ = *dropped;
        *dropped = m;
    }
    pthread_spin_unlock(&a->lock);
    return how;
}
