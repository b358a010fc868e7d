/* send.c - how a message or a request to stop reaches an actor.
 *
 * Idea:      an address is looked up, the message is pushed, and if that woke the actor it goes onto a run
 *            queue. Ordinary mail respects the mailbox's bound; notices and answers that must come do not.
 * Invariant: a message belongs to its sender until the push succeeds, and to the reader from then on.
 * Stop and kill go beside the mailbox, in one word that also holds the generation they mean: so they are
 * never refused, and never hit the next incarnation. Everything here may run on any thread. */
#include "account.h"
#include "inbox.h"
#include "runtime.h"

void actor_make_runnable(struct tdm_self *a)
{
    scheduler_push(a->rt, a);
}

static int set_control(struct tdm_self *a, uint32_t gen, uint32_t bit);

/* The incarnation that was meant, and no other: its number is read first, and stands if the address still means it. */
static void overload(struct tdm_runtime *rt, struct tdm_self *a, uint64_t to)
{
    uint32_t gen = atomic_load_explicit(&a->gen, memory_order_acquire);

    if (gen != 0 && actor_of(rt, to) == a)
        set_control(a, gen, CONTROL_OVERLOAD);
}

/* For the class of who holds the slot now: of a sender with an old address that may be the next tenant's. */
static void turned_away(struct tdm_self *a, enum turned_away_cause cause)
{
    account_turned_away(atomic_load_explicit(&a->account, memory_order_acquire),
                        cause); /* partner: clear_incarnation() */
}

/* The one that found the box full is let in, and the oldest goes; or itself, when nothing else may go. */
static int drop_oldest(struct tdm_runtime *rt, struct tdm_self *a, uint64_t to, struct tdm_msg *msg)
{
    struct tdm_msg *dropped;
    enum box_push how = inbox_push_dropping(a, to, msg, &dropped);

    if (how == BOX_GONE)
        return TDM_ENOPROC;
    if (how == BOX_WAKE)
        actor_make_runnable(a);
    if (how == BOX_FULL) {
        msg->next_ = dropped;
        dropped = msg;
    }
    while (dropped != NULL) {
        struct tdm_msg *next = dropped->next_;
        turned_away(a, DROPPED_OLDEST);
        tdm_msg_free(rt, dropped);
        dropped = next;
    }
    return TDM_OK;
}

static int overflow(struct tdm_runtime *rt, struct tdm_self *a, uint64_t to, struct tdm_msg *msg)
{
    switch ((enum tdm_overflow)atomic_load_explicit(&a->overflow, memory_order_relaxed)) {
    case TDM_DROP_NEWEST:
        turned_away(a, DROPPED_NEWEST);
        tdm_msg_free(rt, msg);
        return TDM_OK;
    case TDM_DROP_OLDEST:
        return drop_oldest(rt, a, to, msg);
    case TDM_OVERFLOW_EXIT:
        turned_away(a, OVERLOADED);
        overload(rt, a, to);
        return TDM_EFULL;
    case TDM_REFUSE:
        break;
    }
    turned_away(a, REFUSED);
    return TDM_EFULL;
}

/* The one way in. `from` is whoever runs on this thread. */
static inline int deliver_to(struct tdm_runtime *rt, uint64_t to, struct tdm_msg *msg, bool bounded)
{
    struct tdm_self *a = actor_of(rt, to);

    if (a == NULL)
        return TDM_ENOPROC;
    msg->to_ = to;
    switch (box_push(&a->box, msg, bounded ? actor_limit(a) : BOX_UNBOUNDED)) {
    case BOX_WAKE:
        actor_make_runnable(a);
        return TDM_OK;
    case BOX_PUSHED:
        return TDM_OK;
    case BOX_FULL:
        return overflow(rt, a, to, msg);
    case BOX_GONE:
        break;
    }
    return TDM_ENOPROC;
}

int actor_post(struct tdm_runtime *rt, uint64_t to, struct tdm_msg *msg)
{
    runtime_point(rt, "mailbox.push");
    return deliver_to(rt, to, msg, false);
}

int actor_post_locked(struct tdm_runtime *rt, uint64_t to, struct tdm_msg *msg)
{
    return deliver_to(rt, to, msg, false);
}

int runtime_send_unbounded(struct tdm_runtime *rt, tdm_pid to, struct tdm_msg *msg)
{
    runtime_point(rt, "mailbox.push");
    int err = deliver_to(rt, to.id, msg, false);
    if (err == TDM_ENOPROC)
        account_dead_letter(rt, DEAD_GONE, msg->type, to.id);
    return err;
}

static inline int send_counted(struct tdm_runtime *rt, uint64_t to, struct tdm_msg *msg)
{
    struct thread *t = thread_here;
    if (t != NULL && t->self != NULL && t->rt == rt)
        msg->from.id = id_make(atomic_load_explicit(&t->self->gen, memory_order_relaxed), t->self->slot);
    runtime_point(rt, "mailbox.push");
    int err = deliver_to(rt, to, msg, true);
    if (err == TDM_ENOPROC)
        account_dead_letter(rt, DEAD_GONE, msg->type, to);
    return err;
}

int tdm_send(struct tdm_runtime *rt, tdm_pid to, struct tdm_msg *msg)
{
    return send_counted(rt, to.id & ~PLACE_BIT, msg);
}

int tdm_send_place(struct tdm_runtime *rt, tdm_place to, struct tdm_msg *msg)
{
    return send_counted(rt, to.id | PLACE_BIT, msg);
}

/* The generation is in the word, so a request for one incarnation never hits the next.
 * seq_cst: before the look at the box; partner: go_idle. */
static int set_control(struct tdm_self *a, uint32_t gen, uint32_t bit)
{
    uint64_t old = atomic_load_explicit(&a->control, memory_order_relaxed);

    do {
        if (old >> 32 != gen)
            return TDM_ENOPROC;
    } while (!atomic_compare_exchange_weak_explicit(&a->control, &old, old | bit, memory_order_seq_cst,
                                                    memory_order_relaxed));
    if (box_rouse(&a->box))
        actor_make_runnable(a);
    return TDM_OK;
}

int actor_control(struct tdm_runtime *rt, tdm_pid to, uint32_t bit)
{
    struct tdm_self *a = actor_by_slot(rt, id_slot(to.id));

    return a == NULL || id_gen(to.id) == 0 ? TDM_ENOPROC : set_control(a, id_gen(to.id), bit);
}

int tdm_stop(struct tdm_runtime *rt, tdm_pid to)
{
    return actor_control(rt, to, CONTROL_STOP);
}

int tdm_kill(struct tdm_runtime *rt, tdm_pid to)
{
    return actor_control(rt, to, CONTROL_KILL);
}

bool tdm_alive(struct tdm_runtime *rt, tdm_pid pid)
{
    return actor_of(rt, pid.id & ~PLACE_BIT) != NULL;
}

void actor_dead_letter(struct tdm_runtime *rt, struct tdm_msg *msg, enum dead_cause cause)
{
    static const struct tdm_reason noproc = { .kind = TDM_EXIT_NOPROC };

    if (msg->type >= TDM_MSG_INTERNAL && msg->type < SIG_LAST) {
        link_refused(rt, msg, &noproc);
        return;
    }
    account_dead_letter(rt, cause, msg->type, msg->to_);
    tdm_msg_free(rt, msg);
}
