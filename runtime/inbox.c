/* inbox.c - what has been taken from a mailbox and is not read yet.
 *
 * Idea:      the reader takes all that has come at once, into a list of its own: oldest first, part of the mailbox still,
 *            and counted there. Nobody else touches it, with one exception: TDM_DROP_OLDEST. There the oldest message is
 *            the sender's to drop, or the mailbox could not be kept within its limit while a callback of the reader takes
 *            its time; so there, and only there, everything here is under a lock.
 * Order:     inbox, then staged (what a sender moved out of the box, to get at the oldest), then the box.
 * Invariant: a list's links, its count and `handled` change together. `scanned` and `sift_at` are places in the inbox that
 *            the reader comes back to: whoever takes out the message such a place lies in moves it.
 * No code but ours runs under the lock, nothing is freed or sent there: messages may own things. */
#include "inbox.h"

#include "runtime.h"

static void lock(struct tdm_self *a)
{
    if (a->inbox_shared) /* written by who holds the turn: us */
        pthread_spin_lock(&a->inbox_lock);
}

/* Given the turn away? Then `shared` is what it was before. */
static void unlock(struct tdm_self *a, bool shared)
{
    if (shared)
        pthread_spin_unlock(&a->inbox_lock);
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
    if (a->scanned == &m->next_)
        a->scanned = at;
    if (a->sift_at == &m->next_)
        a->sift_at = at;
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

/* Whatever is in the box and staged. The turn stays where it is: there is something, or the box is left alone. */
static struct tdm_msg *take_rest(struct tdm_self *a, uint32_t *count)
{
    struct tdm_msg *first = a->staged;
    uint32_t n = 0;

    *count = a->staged_count;
    a->staged = NULL;
    a->staged_count = 0;
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
    a->sift_at = end;
    a->inbox_count += count;
}

/* ---- the reader ------------------------------------------------------------------------------ */

struct tdm_msg *actor_pop(struct tdm_self *a)
{
    lock(a);
    struct tdm_msg *m = a->inbox != NULL ? take_out(a, &a->inbox) : NULL;
    unlock(a, a->inbox_shared);
    return m;
}

bool actor_fetch(struct tdm_self *a)
{
    bool shared = a->inbox_shared;
    uint32_t count = 0, n = 0;

    runtime_point(a->rt, "mailbox.take");
    lock(a);
    struct tdm_msg *first = a->staged;
    if (first != NULL) {
        first = take_rest(a, &count);
    } else {
        uint32_t handled = a->handled;
        a->handled = 0; /* before box_take: afterwards the actor may be another worker's */
        first = box_take(&a->box, handled, a->inbox_count, &n);
        count = n;
    }
    if (first != NULL)
        append(a, first, count);
    unlock(a, shared);
    return first != NULL;
}

void actor_fetch_rest(struct tdm_self *a)
{
    uint32_t count;

    lock(a);
    struct tdm_msg *first = take_rest(a, &count);
    append(a, first, count);
    unlock(a, a->inbox_shared);
}

bool actor_has_mail(struct tdm_self *a)
{
    lock(a);
    bool some = a->inbox != NULL || a->staged != NULL || box_now(a) > BOX_CLOSED;
    unlock(a, a->inbox_shared);
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
        while (*a->sift_at != NULL && !to_be_sifted(a, *a->sift_at))
            a->sift_at = &(*a->sift_at)->next_;
        struct tdm_msg *m = *a->sift_at;
        if (m != NULL)
            cut(a, a->sift_at);
        unlock(a, a->inbox_shared);
        if (m == NULL)
            return;
        bool stays = actor_sift(a, m);
        lock(a);
        if (stays) { /* an exit that is trapped: a message now, in its old place */
            m->next_ = *a->sift_at;
            *a->sift_at = m;
            a->sift_at = &m->next_;
        } else {
            a->inbox_count--;
            count_handled(a);
        }
        unlock(a, a->inbox_shared);
    }
}

void actor_sift_from_start(struct tdm_self *a)
{
    lock(a);
    a->sift_at = &a->inbox;
    unlock(a, a->inbox_shared);
    actor_sift_inbox(a);
}

/* ---- a fiber's selective look ---------------------------------------------------------------- */

void inbox_scan(struct tdm_self *a)
{
    lock(a);
    a->scanned = &a->inbox;
    unlock(a, a->inbox_shared);
}

struct tdm_msg *inbox_look(struct tdm_self *a, bool *checked)
{
    lock(a);
    struct tdm_msg *m = *a->scanned;
    *checked = m == NULL || m->ref == 0 || m->to_ >= MSG_AGAIN;
    if (!*checked)
        cut(a, a->scanned);
    a->pinned = m;
    unlock(a, a->inbox_shared);
    return m;
}

void inbox_checked(struct tdm_self *a, struct tdm_msg *m)
{
    lock(a);
    if (m != NULL) {
        m->next_ = *a->scanned;
        *a->scanned = m;
    } else {
        a->inbox_count--;
        count_handled(a);
    }
    unlock(a, a->inbox_shared);
}

void inbox_pass(struct tdm_self *a)
{
    lock(a);
    a->scanned = &(*a->scanned)->next_;
    a->pinned = NULL;
    unlock(a, a->inbox_shared);
}

void inbox_read(struct tdm_self *a)
{
    lock(a);
    take_out(a, a->scanned);
    a->pinned = NULL;
    unlock(a, a->inbox_shared);
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
    unlock(a, a->inbox_shared);
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
    unlock(a, a->inbox_shared);
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
    unlock(a, a->inbox_shared);
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
    a->scanned = a->sift_at = &a->inbox;
    a->pinned = NULL;
    unlock(a, a->inbox_shared);
    return first;
}

struct tdm_msg *inbox_close(struct tdm_self *a)
{
    struct tdm_msg *list = inbox_empty(a);

    lock(a);
    struct tdm_msg *last = a->staged; /* of a sender that came between */
    a->staged = NULL;
    a->staged_count = 0;
    *end_of(&last) = a->inbox;
    a->inbox = NULL;
    *end_of(&last) = box_close(&a->box);
    unlock(a, a->inbox_shared);
    *end_of(&list) = last;
    return list;
}

void inbox_open(struct tdm_self *a, enum tdm_overflow policy)
{
    pthread_spin_lock(&a->inbox_lock); /* a sender with an old address looks at it under the lock, too */
    a->inbox_shared = policy == TDM_DROP_OLDEST;
    a->pinned = NULL;
    pthread_spin_unlock(&a->inbox_lock);
}

uint32_t inbox_length(struct tdm_self *a)
{
    lock(a);
    uint32_t counted =
        box_count(atomic_load_explicit(&a->box.word, memory_order_relaxed)); /* a number to show */
    uint32_t n = counted > a->handled ? counted - a->handled : 0;
    unlock(a, a->inbox_shared);
    return n;
}

/* ---- the sender, when the oldest must go ----------------------------------------------------- */

/* The bound is for what others send of their own accord, not for signals, notices, answers and timers. */
static bool droppable(const struct tdm_self *a, const struct tdm_msg *m)
{
    bool of_the_runtime = m->type < TDM_MSG_EVENT || (m->type >= TDM_MSG_INTERNAL && m->type < TDM_MSG_USER);

    return !of_the_runtime && !timer_is_timer(m->ref) && m != a->pinned;
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
    a->staged = take_rest(a, &count);
    a->staged_count = count;
    at = oldest_in(a, &a->staged);
    if (*at == NULL)
        return NULL;
    a->staged_count--;
    count_handled(a);
    return cut(a, at);
}

enum box_push inbox_push_dropping(struct tdm_self *a, uint64_t to, struct tdm_msg *msg,
                                  struct tdm_msg **dropped)
{
    enum box_push how = BOX_GONE;

    *dropped = NULL;
    pthread_spin_lock(&a->inbox_lock);
    /* Both under the lock: a later tenant of the slot takes it before it can be reached. */
    if (!a->inbox_shared || actor_of(a->rt, to) != a) {
        pthread_spin_unlock(&a->inbox_lock);
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
    pthread_spin_unlock(&a->inbox_lock);
    return how;
}
