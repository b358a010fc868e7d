/* end.c - how an incarnation ends, and how a slot is left.
 *
 * Order:     terminate, then names, groups, timers, requests and memory, then the address; only then is anyone told.
 *            Last of all the place goes to the supervisor (which may start the next incarnation at once, so
 *            nothing here touches the actor after that) or the slot is buried.
 * Touched by the worker that holds the turn; between two incarnations, by the supervisor. */
#include <stdio.h>
#include <string.h>

#include "crash_report.h"
#include "inbox.h"
#include "module.h"
#include "runtime.h"
#include "slot.h"
#include "tandem/log.h"

TDM_COUNTER(counter_ended, "tandem_actors_ended_total", "actors ended for good");
TDM_COUNTER(counter_crashed, "tandem_actors_crashed_total", "incarnations that ended abnormally");

void actor_set_reason(struct tdm_self *a, const struct tdm_reason *reason)
{
    if (a->exit == NULL)
        a->exit = runtime_alloc(a->rt, sizeof *a->exit);
    if (a->exit != NULL)
        a->exit->reason = *reason;
    a->flags |= ACTOR_EXITING;
}

static void drop_mail(struct tdm_self *a, struct tdm_msg *list, enum dead_cause why)
{
    while (list != NULL) {
        struct tdm_msg *next = list->next_;
        actor_dead_letter(a->rt, list, why);
        list = next;
    }
}

/* Would the next incarnation read it if it had not been read yet? What was meant for this incarnation alone (notices,
 * answers, the timers it set) is of no use to another. */
static bool outlives(const struct tdm_self *a, const struct tdm_msg *m)
{
    bool of_the_runtime =
        m->type < TDM_MSG_HTTP_REPLY || (m->type >= TDM_MSG_INTERNAL && m->type < TDM_MSG_USER);
    bool own_timer = timer_is_timer(m->ref) && m->from.id == tdm_self_pid(a).id;

    return !of_the_runtime && !own_timer;
}

void actor_put_down(struct tdm_self *a, bool crashed)
{
    struct thread *t = thread_here;
    struct tdm_msg *m = NULL;
    bool taken = false;

    if (a->fiber != NULL) {
        m = fiber_put_down(a);
    } else if (t != NULL && t->self == a) { /* not so when a start is undone inside another's handler */
        m = a->flags & ACTOR_TAKEN ? NULL : t->in_hand; /* what was taken may be somebody else's by now */
        taken = t->in_hand != NULL && m == NULL;
        t->in_hand = NULL;
    }
    if (crashed)
        crash_hand_note(a, m, taken);
    if (m == NULL)
        return;
    if (!crashed || !(a->flags & ACTOR_REDELIVER) || m->to_ == MSG_AGAIN || !outlives(a, m)) {
        tdm_msg_free(a->rt, m);
        return;
    }
    m->to_ = MSG_AGAIN;
    inbox_put_first(a, m);
}

/* Unread mail of a place whose next incarnation starts afresh. The box stays BUSY: ours. */
void actor_drop_unread(struct tdm_self *a)
{
    drop_mail(a, inbox_empty(a), DEAD_RESTART);
}

/* The last callback. Its failure is the reason then. A fault in it, or a way out of it, lands in the scheduler, which
 * ends the actor with that: not a second time through here. */
static void terminate(struct tdm_self *a, struct tdm_reason *reason)
{
    struct thread *t = thread_here;

    a->flags |= ACTOR_TERMINATING;
    callback_enter(t);
    int err = a->behaviour->terminate(a, a->state, reason);
    callback_leave(t);
    if (err >= 0)
        return;
    if (a->exit != NULL && a->exit->reason.code == err) {
        *reason = a->exit->reason; /* with the words of tdm_fail() */
        return;
    }
    *reason = (struct tdm_reason){ .kind = TDM_EXIT_ERROR, .code = err };
    snprintf(reason->text, sizeof reason->text, "in terminate");
}

static void release_what_it_holds(struct tdm_self *a)
{
    registry_actor_ended(a);
    group_actor_ended(a);
    timer_actor_ended(a);
    request_actor_ended(a);
    if (a->fiber != NULL)
        fiber_release(a);
    memory_release(a);
    if (a->state != NULL)
        runtime_free_block(a->rt, a->state, a->behaviour->state_bytes);
    a->state = NULL;
    actor_drop_start(a);
    module_leave(a); /* last: nothing of its code is needed any more */
}

void actor_end(struct tdm_self *a, const struct tdm_reason *given, bool run_terminate)
{
    struct tdm_runtime *rt = a->rt;
    struct tdm_reason kept = *given; /* it may lie in what is released now */
    tdm_pid pid = tdm_self_pid(a);
    bool started = (a->flags & ACTOR_STARTED) != 0, announced = (a->flags & ACTOR_ANNOUNCED) != 0;
    bool ignored = (a->flags & ACTOR_IGNORED) != 0;

    if (!(a->flags & ACTOR_TERMINATING)) /* what terminate makes of it is not the message's fault */
        actor_put_down(a, kept.kind == TDM_EXIT_ERROR);
    if (run_terminate && started && a->behaviour->terminate != NULL && !(a->flags & ACTOR_TERMINATING))
        terminate(a, &kept);
    if (kept.kind == TDM_EXIT_ERROR && !(a->flags & ACTOR_FOLLOWS)) {
        tdm_count(&counter_crashed, 1);
        crash_report(a, &kept);
    }
    release_what_it_holds(a);
    if (a->exit != NULL)
        runtime_free_block(rt, a->exit, sizeof *a->exit);
    a->exit = NULL;
    runtime_point(rt, "actor.end");
    /* release: whoever sees the address gone sees the names gone; partner: actor_of.
     * seq_cst: before the look at n_waiters; partner: tdm_runtime_wait */
    atomic_store_explicit(&a->control, 0, memory_order_release);
    atomic_store_explicit(&a->gen, 0, memory_order_seq_cst);
    link_actor_ended(a, pid, &kept);
    if (a->family != NULL)
        family_ended(a, &kept);
    if (atomic_load_explicit(&rt->n_waiters, memory_order_seq_cst) > 0)
        runtime_tell_ended(rt, pid, announced ? NULL : &kept, ignored);
    runtime_point(rt, "actor.ended");
    if (a->child != NULL) {
        bool stays = family_place_stays(a, &kept);
        if (stays && !(a->flags & ACTOR_KEEP_MAIL))
            actor_drop_unread(a);
        if (family_child_ended(a, &kept, stays)) /* from here on it may be its supervisor's */
            return;
    }
    actor_bury(a);
}

void actor_bury(struct tdm_self *a)
{
    struct tdm_runtime *rt = a->rt;
    struct thread *t = runtime_thread(rt);

    tdm_count(&counter_ended, 1);
    atomic_store_explicit(&a->birth, 0, memory_order_release);
    drop_mail(a, inbox_close(a), DEAD_ENDED);
    if (a->tag != NULL)
        runtime_free_block(rt, a->tag, 64);
    if (a->history != NULL)
        runtime_free_block(rt, a->history,
                           sizeof *a->history + a->history->size * sizeof a->history->entries[0]);
    a->tag = NULL;
    a->history = NULL;
    atomic_store_explicit(&t->alive, atomic_load_explicit(&t->alive, memory_order_relaxed) - 1,
                          memory_order_relaxed); /* own counter; readers only add up */
    slot_give(a);
}
