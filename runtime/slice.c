/* slice.c - an actor's turn: messages are taken, sifted and handled, until there are none or the budget is spent.
 *
 * Idea:      the worker that holds the turn takes all that has come at once, and hands one message after the
 *            other to the behaviour, or lets the fiber look for what it waits for. Between two messages it
 *            looks at the control word.
 * Invariant: the turn is given up in one place, when box_take() finds nothing; after that nothing here touches
 *            the actor but go_idle(), which only reads atomics.
 * Touched by the worker that holds the turn. */
#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "module.h"
#include "runtime.h"
#include "tandem/log.h"

static const struct tdm_reason normal = { .kind = TDM_EXIT_NORMAL };

bool actor_accepts(const struct tdm_self *a, const struct tdm_msg *msg)
{
    uint32_t gen = atomic_load_explicit(&a->gen, memory_order_relaxed); /* we are its only writer now */
    uint32_t birth = atomic_load_explicit(&a->birth, memory_order_relaxed);
    uint32_t meant = id_gen(msg->to_);

    if (msg->to_ == MSG_AGAIN)
        return true;
    if (id_is_place(msg->to_))
        return meant == birth;
    if (meant == gen)
        return true;
    /* kept mail was sent to an earlier incarnation of this place; signals were meant for that one alone */
    return (a->flags & ACTOR_KEEP_MAIL) && birth != 0 && meant >= birth && meant < gen &&
           (msg->type < TDM_MSG_INTERNAL || msg->type >= TDM_MSG_USER);
}

/* The turn was given up. A control request that came while the box was still BUSY roused nobody, so look
 * once more. seq_cst on both sides (partner: set_control): either we see the bit, or the setter saw IDLE. */
static void go_idle(struct tdm_self *a)
{
    runtime_point(a->rt, "mailbox.idle");
    if ((uint32_t)atomic_load_explicit(&a->control, memory_order_seq_cst) != 0 && box_rouse(&a->box))
        actor_make_runnable(a);
}

void actor_remember(struct tdm_self *a, const struct tdm_msg *m)
{
    struct history *h = a->history;
    uint32_t at = h->next++ % h->size;

    h->entries[at].type = m->type;
    h->entries[at].bytes = m->bytes;
}

/* True: the message is for the behaviour. False: it was the runtime's, or nobody's. */
bool actor_sift(struct tdm_self *a, struct tdm_msg *m)
{
    if (!actor_accepts(a, m)) {
        actor_dead_letter(a->rt, m, DEAD_STALE);
        return false;
    }
    if (m->type >= TDM_MSG_INTERNAL && m->type < SIG_CHILD_STARTED)
        return !link_signal(a, m);
    return true;
}

/* True: an answer, notice or timer that is no longer wanted, or was for somebody else; it is gone. */
bool actor_unwanted(struct tdm_self *a, struct tdm_msg *m)
{
    bool drop = false;

    if (m->ref == 0 || m->to_ == MSG_AGAIN)
        return false;
    if (m->ref & TIMER_FORWARDED) {
        m->ref &= ~TIMER_FORWARDED;
        return false;
    }
    if (timer_is_timer(m->ref)) {
        if (timer_message(a, m))
            return true;
        drop = m->type == TDM_MSG_REQUEST_FAILED && !request_failed(a, m);
    } else if (m->type == TDM_MSG_REPLY) {
        drop = request_reply(a, m);
    } else if (m->type == TDM_MSG_DOWN) {
        drop = !request_failed(a, m) && !link_wants_down(a, m);
    }
    if (drop)
        tdm_msg_free(a->rt, m);
    return drop;
}

/* The reason that was set by actor_set_reason(). */
static const struct tdm_reason *reason_set(const struct tdm_self *a)
{
    static const struct tdm_reason nomem = { .kind = TDM_EXIT_ERROR, .code = TDM_ENOMEM };

    return a->exit != NULL ? &a->exit->reason : &nomem;
}

/* What a callback's return value asks for. True: the actor has ended. */
static bool obey_return(struct tdm_self *a, int err)
{
    struct tdm_reason own = { .kind = TDM_EXIT_ERROR, .code = err };

    if (a->flags & ACTOR_EXITING) {
        actor_end(a, reason_set(a), true);
    } else if (err == TDM_OK) {
        return false;
    } else if (err == TDM_STOP || (a->flags & ACTOR_IGNORED)) {
        actor_end(a, &normal, true);
    } else if (err > 0) {
        own.code = TDM_EINVAL;
        snprintf(own.text, sizeof own.text, "a callback returned %d", err);
        actor_end(a, &own, true);
    } else {
        actor_end(a, a->exit != NULL && a->exit->reason.code == err ? &a->exit->reason : &own, true);
    }
    return true;
}

/* An exit signal, not a callback, set the reason: terminate runs only when that asks for an orderly end. */
static void obey_signal(struct tdm_self *a)
{
    const struct tdm_reason *reason = reason_set(a);

    actor_end(a, reason, reason->kind == TDM_EXIT_NORMAL || reason->kind == TDM_EXIT_SHUTDOWN);
}

static bool handle(struct tdm_self *a, struct tdm_msg *m)
{
    struct thread *t = thread_here;

    if (a->history != NULL)
        actor_remember(a, m);
    a->flags &= ~(uint32_t)ACTOR_TAKEN;
    t->in_hand = m;
    callback_enter(t);
    int err = a->behaviour->handle(a, a->state, m);
    callback_leave(t);
    if (err != TDM_OK || (a->flags & ACTOR_EXITING))
        return obey_return(a, err); /* the message is put down there */
    t->in_hand = NULL;
    if (!(a->flags & ACTOR_TAKEN))
        tdm_msg_free(a->rt, m);
    return false;
}

static bool told_to_stop(struct tdm_self *a)
{
    static const struct tdm_reason shutdown = { .kind = TDM_EXIT_SHUTDOWN };

    if (a->fibers) {
        fiber_tell_stop(a);
        return false;
    }
    if (a->flags & ACTOR_TRAP_STOP) {
        struct tdm_msg *stop = tdm_msg_new(a->rt, TDM_MSG_STOP, 0);
        if (stop != NULL)
            return handle(a, stop);
    } else if (a->flags & ACTOR_DRAIN) {
        a->flags |= ACTOR_STOP_SEEN;
        return false;
    }
    actor_end(a, &shutdown, true);
    return true;
}

/* Trapping or not. */
static void end_with_parent(struct tdm_self *a)
{
    const struct tdm_reason *reason = family_parents_reason(a);

    a->flags |= ACTOR_FOLLOWS;
    actor_end(a, reason, reason->kind == TDM_EXIT_NORMAL || reason->kind == TDM_EXIT_SHUTDOWN);
}

/* True: the actor has ended. */
static bool obey_control(struct tdm_self *a)
{
    static const struct tdm_reason killed = { .kind = TDM_EXIT_KILLED };
    static const struct tdm_reason overload = { .kind = TDM_EXIT_ERROR,
                                                .code = TDM_EOVERLOAD,
                                                .text = "mailbox full" };
    static const struct tdm_reason stuck = { .kind = TDM_EXIT_ERROR, .code = TDM_ESTUCK };
    /* acquire: whatever the setter did before asking */
    uint64_t bits = atomic_fetch_and_explicit(&a->control, 0xffffffff00000000ull, memory_order_acq_rel);

    if ((bits & (CONTROL_MOVE | CONTROL_KILL)) == CONTROL_MOVE) {
        module_move(a);
        if (a->flags & ACTOR_EXITING) /* its code_change called tdm_exit() */
            return obey_return(a, TDM_OK);
    }
    if (bits & CONTROL_KILL)
        actor_end(a, &killed, false);
    else if (bits & CONTROL_PARENT)
        end_with_parent(a);
    else if (bits & CONTROL_STUCK)
        actor_end(a, &stuck, false);
    else if (bits & CONTROL_OVERLOAD)
        actor_end(a, &overload, true);
    else
        return (bits & CONTROL_STOP) && told_to_stop(a);
    return true;
}

int actor_run_init(struct tdm_self *a)
{
    const struct tdm_behaviour *b = a->behaviour;
    struct thread *t = thread_here;
    struct tdm_start start = { .arg = a->start->cfg.arg, .arg_bytes = a->start->cfg.arg_bytes };
    int err = TDM_OK;

    family_describe_start(a, &start);
    if (b->state_bytes > 0) {
        a->state = runtime_alloc(a->rt, b->state_bytes);
        if (a->state == NULL)
            return TDM_ENOMEM;
        memset(a->state, 0, b->state_bytes);
    }
    if (b->init != NULL) {
        callback_enter(t);
        err = b->init(a, a->state, &start);
        callback_leave(t);
    }
    if (err == TDM_OK && a->fibers)
        err = fiber_start(a, a->start->cfg.stack_bytes);
    return err;
}

/* True: it has started and goes on. */
static bool start(struct tdm_self *a)
{
    if (a->use != NULL)
        module_begin(a);
    int err = actor_run_init(a);

    a->flags &= ~(uint32_t)ACTOR_STARTING;
    actor_drop_start(a);
    if (err == TDM_OK && !(a->flags & ACTOR_EXITING)) {
        a->flags |= ACTOR_STARTED;
        if (!(a->flags & ACTOR_LATE_START))
            actor_started(a);
        if (a->fibers) /* kept mail that came between two incarnations */
            actor_sift_from_start(a);
        return true;
    }
    if (err == TDM_IGNORE)
        a->flags |= ACTOR_IGNORED;
    obey_return(a, err == TDM_OK ? TDM_STOP : err);
    return false;
}

void actor_started(struct tdm_self *a)
{
    a->flags |= ACTOR_ANNOUNCED;
    if (a->child != NULL)
        family_child_started(a);
    if (atomic_load_explicit(&a->rt->n_waiters, memory_order_acquire) > 0)
        runtime_tell_started(a->rt, tdm_self_pid(a));
}

/* True: go on. False: ended, or the turn is given up. */
static bool step_behaviour(struct tdm_self *a)
{
    struct tdm_msg *m = actor_pop(a);
    if (m == NULL) {
        if (actor_fetch(a))
            return true;
        go_idle(a);
        return false;
    }
    if (actor_sift(a, m) && !actor_unwanted(a, m) && handle(a, m))
        return false;
    if (a->flags & ACTOR_EXITING) {
        obey_signal(a);
        return false;
    }
    return true;
}

static bool step_fiber(struct tdm_self *a)
{
    int err = fiber_resume(a);

    if (err == FIBER_GOES_ON) {
        fiber_go_on(a);
        return true;
    }
    if (err != FIBER_WAITS) {
        obey_return(a, err == TDM_OK ? TDM_STOP : err);
        return false;
    }
    if (a->flags & ACTOR_EXITING)
        return !obey_return(a, TDM_OK);
    if (!actor_fetch(a)) {
        go_idle(a);
        return false;
    }
    actor_sift_inbox(a);
    if (a->flags & ACTOR_EXITING) {
        obey_signal(a);
        return false;
    }
    return true;
}

/* A kill that comes before the first step: no callback runs. */
static bool killed_unborn(const struct tdm_self *a)
{
    return (atomic_load_explicit(&a->control, memory_order_relaxed) & (CONTROL_KILL | CONTROL_PARENT)) != 0;
}

/* The worker holds the actor's turn, and holds it still when true comes back. */
bool actor_run(struct tdm_self *a, uint32_t budget)
{
    if ((a->flags & ACTOR_STARTING) && ((killed_unborn(a) && obey_control(a)) || !start(a)))
        return false;
    while (budget-- > 0) {
        if (__builtin_expect((uint32_t)atomic_load_explicit(&a->control, memory_order_relaxed) != 0, 0) &&
            obey_control(a))
            return false;
        if ((a->flags & ACTOR_STOP_SEEN) && !actor_has_mail(a)) {
            actor_end(a, &(struct tdm_reason){ .kind = TDM_EXIT_SHUTDOWN }, true); /* drained */
            return false;
        }
        if (!(a->fibers ? step_fiber(a) : step_behaviour(a)))
            return false;
    }
    return true;
}
