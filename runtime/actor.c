/* actor.c - one actor's life: made, launched, run in slices, ended, buried.
 *
 * Idea:      an actor is touched by whoever holds its turn: the worker whose run queue it came from.
 *            The turn is given up by box_take() finding nothing (then a sender's push takes it up
 *            again), or at the end.
 * Invariant: between actor_launch() and actor_end() exactly one thread has the turn, or the box is
 *            IDLE.
 * The end:   terminate, then names, timers, requests and memory, then the address; only then is anyone
 *            told. Last of all the place goes to the supervisor (which may start the next incarnation
 *            at once, so nothing here touches the actor after that) or the slot is buried. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "runtime.h"
#include "slot.h"
#include "tandem/log.h"

TDM_COUNTER(counter_dead_letters, "tandem_dead_letters_total", "messages that found no reader");
TDM_COUNTER(counter_refused, "tandem_mailbox_refused_total", "messages refused by a full mailbox");
TDM_COUNTER(counter_dropped, "tandem_mailbox_dropped_total", "messages dropped by a full mailbox");
TDM_COUNTER(counter_spawned, "tandem_actors_spawned_total", "actors started, restarts not counted");
TDM_COUNTER(counter_ended, "tandem_actors_ended_total", "actors ended for good");
TDM_COUNTER(counter_crashed, "tandem_actors_crashed_total", "incarnations that ended abnormally");
TDM_COUNTER(counter_restarted, "tandem_actors_restarted_total",
            "incarnations started by a supervisor after an end");

static const struct tdm_reason normal = { .kind = TDM_EXIT_NORMAL };

#define OWED_MAX \
    4096u /* with TDM_DROP_OLDEST: how far beyond its limit a box may be until the reader drops */

/* ---- making ---------------------------------------------------------------------------------- */

static int start_info_make(struct tdm_runtime *rt, const struct tdm_spawn_cfg *cfg, struct start_info **ret)
{
    size_t bytes = sizeof(struct start_info) + cfg->arg_bytes;
    struct start_info *s = runtime_alloc(rt, bytes);

    if (s == NULL)
        return TDM_ENOMEM;
    s->cfg = *cfg;
    s->bytes = bytes;
    if (cfg->arg_bytes > 0)
        memcpy(s->arg_copy, cfg->arg, cfg->arg_bytes);
    s->cfg.arg = cfg->arg == NULL ? NULL : s->arg_copy;
    *ret = s;
    return TDM_OK;
}

static void start_info_drop(struct tdm_self *a)
{
    if (a->start != NULL)
        runtime_free_block(a->rt, a->start, a->start->bytes);
    a->start = NULL;
}

static int set_tag(struct tdm_self *a, const char *tag)
{
    if (tag == NULL || tag[0] == '\0')
        return TDM_OK;
    if (a->tag == NULL) {
        a->tag = runtime_alloc(a->rt, 64);
        if (a->tag == NULL)
            return TDM_ENOMEM;
    }
    snprintf(a->tag, 64, "%s", tag);
    return TDM_OK;
}

static int set_history(struct tdm_self *a, uint32_t size)
{
    if (size == 0)
        return TDM_OK;
    a->history = runtime_alloc(a->rt, sizeof *a->history + size * sizeof a->history->entries[0]);
    if (a->history == NULL)
        return TDM_ENOMEM;
    memset(a->history, 0, sizeof *a->history + size * sizeof a->history->entries[0]);
    a->history->size = size;
    return TDM_OK;
}

static int check_cfg(const struct tdm_spawn_cfg *cfg)
{
    if (cfg->behaviour == NULL || (cfg->behaviour->handle == NULL && cfg->behaviour->run == NULL))
        return TDM_EINVAL;
    if (cfg->mailbox_limit > TDM_MAILBOX_MAX || cfg->history > 32 || (cfg->arg == NULL && cfg->arg_bytes > 0))
        return TDM_EINVAL;
    return TDM_OK;
}

static uint32_t limit_of(const struct tdm_self *a)
{
    return atomic_load_explicit(&a->limit, memory_order_relaxed); /* see actor.h */
}

/* What one incarnation has and the next gets anew. */
static void clear_incarnation(struct tdm_self *a, const struct tdm_spawn_cfg *cfg)
{
    a->behaviour = cfg->behaviour;
    a->fibers = cfg->behaviour->run != NULL;
    atomic_store_explicit(&a->overflow, (uint8_t)cfg->overflow, memory_order_relaxed); /* see actor.h */
    atomic_store_explicit(&a->limit,
                          (uint16_t)(cfg->mailbox_limit == 0 ? TDM_MAILBOX_DEFAULT : cfg->mailbox_limit),
                          memory_order_relaxed);
    a->flags = (a->flags & (ACTOR_KEEP_MAIL | ACTOR_LATE_START)) | ACTOR_STARTING |
               (cfg->trap_exit ? ACTOR_TRAP_EXIT : 0) | (cfg->trap_stop ? ACTOR_TRAP_STOP : 0) |
               (cfg->drain_on_shutdown ? ACTOR_DRAIN : 0);
    a->state = NULL;
    a->fiber = NULL;
    a->pieces = NULL;
    a->links = NULL;
    a->monitors = NULL;
    a->requests = NULL;
    a->names = NULL;
    a->exit = NULL;
    a->timers = 0;
}

int actor_make(struct tdm_runtime *rt, const struct tdm_spawn_cfg *cfg, struct tdm_self **ret)
{
    int err = check_cfg(cfg);
    struct start_info *start;

    if (err < 0)
        return err;
    err = start_info_make(rt, cfg, &start);
    if (err < 0)
        return err;
    struct tdm_self *a = slot_take(rt);
    if (a == NULL) {
        runtime_free_block(rt, start, start->bytes);
        return TDM_ENOMEM;
    }
    a->flags = 0;
    clear_incarnation(a, cfg);
    a->start = start;
    a->inbox = NULL;
    a->inbox_count = 0;
    a->handled = 0;
    a->child = NULL;
    a->family = NULL;
    a->history = NULL;
    a->tag = NULL;
    atomic_store_explicit(&a->drop_oldest, 0, memory_order_relaxed); /* nobody knows the address yet */
    atomic_store_explicit(&a->place_end, 0, memory_order_relaxed);   /* as above */
    err = set_tag(a, cfg->tag);
    if (err == TDM_OK)
        err = set_history(a, cfg->history);
    if (err < 0) {
        start_info_drop(a);
        if (a->tag != NULL)
            runtime_free_block(rt, a->tag, 64);
        slot_give(a);
        return err;
    }
    *ret = a;
    return TDM_OK;
}

void actor_launch(struct tdm_self *a)
{
    uint32_t gen = a->next_gen++;
    struct thread *t = runtime_thread(a->rt);

    atomic_store_explicit(&t->alive, atomic_load_explicit(&t->alive, memory_order_relaxed) + 1,
                          memory_order_relaxed); /* own counter; readers only add up */
    box_open(&a->box);
    atomic_store_explicit(&a->control, (uint64_t)gen << 32, memory_order_release);
    if (a->child != NULL)
        atomic_store_explicit(&a->birth, gen, memory_order_release);
    atomic_store_explicit(&a->gen, gen, memory_order_release); /* partner: actor_of */
}

/* Answers, notices and timers of the incarnation before mean nothing to the next. */
static void drop_checked(struct tdm_self *a)
{
    struct tdm_msg **at = &a->inbox;

    while (*at != NULL) {
        struct tdm_msg *m = *at;
        if (m->to_ != MSG_CHECKED && m->to_ != MSG_LINK_EXIT) {
            at = &m->next_;
            continue;
        }
        *at = m->next_;
        a->inbox_count--;
        a->handled++;
        tdm_msg_free(a->rt, m);
    }
}

int actor_relaunch(struct tdm_self *a, const struct tdm_spawn_cfg *cfg)
{
    struct start_info *start;
    int err = start_info_make(a->rt, cfg, &start);

    if (err < 0)
        return err;
    clear_incarnation(a, cfg);
    a->start = start;
    drop_checked(a);
    if (a->history != NULL)
        a->history->next = 0;
    uint32_t gen = a->next_gen++;
    tdm_count(&counter_restarted, 1);
    atomic_store_explicit(&a->control, (uint64_t)gen << 32, memory_order_release);
    atomic_store_explicit(&a->gen, gen, memory_order_release); /* partner: actor_of */
    scheduler_push(a->rt, a);
    return TDM_OK;
}

int tdm_spawn(struct tdm_runtime *rt, const struct tdm_spawn_cfg *cfg, tdm_pid *ret)
{
    struct tdm_self *a;
    int err;

    if (atomic_load_explicit(&rt->stopping, memory_order_relaxed)) /* a late spawn is stopped all the same */
        return TDM_ESHUTDOWN;
    err = actor_make(rt, cfg, &a);
    if (err < 0)
        return err;
    actor_launch(a);
    if (cfg->link.id != 0 && (err = link_at_spawn(a, cfg->link)) < 0) {
        actor_end(a, &normal, false); /* nobody has its address yet: the turn is ours */
        return err;
    }
    tdm_pid pid = { id_make(atomic_load_explicit(&a->gen, memory_order_relaxed), a->slot) };
    if (ret != NULL)
        *ret = pid;
    tdm_count(&counter_spawned, 1);
    scheduler_push(rt, a);
    return TDM_OK;
}

/* ---- sending --------------------------------------------------------------------------------- */

void actor_make_runnable(struct tdm_self *a)
{
    scheduler_push(a->rt, a);
}

static int set_control(struct tdm_self *a, uint32_t gen, uint32_t bit);

static int overflow(struct tdm_runtime *rt, struct tdm_self *a, struct tdm_msg *msg)
{
    switch ((enum tdm_overflow)atomic_load_explicit(&a->overflow, memory_order_relaxed)) {
    case TDM_DROP_NEWEST:
        tdm_count(&counter_dropped, 1);
        tdm_msg_free(rt, msg);
        return TDM_OK;
    case TDM_DROP_OLDEST:
        /* relaxed: a number the reader pays off; the push after it orders the rest. One that does not come to pay
         * it, because its callback takes long, does not make us grow without end. */
        if (atomic_fetch_add_explicit(&a->drop_oldest, 1, memory_order_relaxed) < limit_of(a) + OWED_MAX)
            return actor_post_locked(rt, msg->to_, msg);
        atomic_fetch_sub_explicit(&a->drop_oldest, 1, memory_order_relaxed);
        tdm_count(&counter_dropped, 1);
        tdm_msg_free(rt, msg);
        return TDM_OK;
    case TDM_OVERFLOW_EXIT:
        set_control(a, atomic_load_explicit(&a->gen, memory_order_relaxed), CONTROL_OVERLOAD);
        tdm_count(&counter_refused, 1);
        return TDM_EFULL;
    case TDM_REFUSE:
        break;
    }
    tdm_count(&counter_refused, 1);
    return TDM_EFULL;
}

/* The one way in. `from` is whoever runs on this thread. */
static inline int deliver_to(struct tdm_runtime *rt, uint64_t to, struct tdm_msg *msg, bool bounded)
{
    struct tdm_self *a = actor_of(rt, to);

    if (a == NULL)
        return TDM_ENOPROC;
    msg->to_ = to;
    switch (box_push(&a->box, msg, bounded ? limit_of(a) : BOX_UNBOUNDED)) {
    case BOX_WAKE:
        actor_make_runnable(a);
        return TDM_OK;
    case BOX_PUSHED:
        return TDM_OK;
    case BOX_FULL:
        return overflow(rt, a, msg);
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
        tdm_count(&counter_dead_letters, 1);
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
        actor_dead_letter(rt, NULL, "gone");
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

/* ---- a slice --------------------------------------------------------------------------------- */

bool actor_accepts(const struct tdm_self *a, const struct tdm_msg *msg)
{
    uint32_t gen = atomic_load_explicit(&a->gen, memory_order_relaxed); /* we are its only writer now */
    uint32_t birth = atomic_load_explicit(&a->birth, memory_order_relaxed);
    uint32_t meant = id_gen(msg->to_);

    if (id_is_place(msg->to_))
        return meant == birth;
    if (meant == gen)
        return true;
    /* kept mail was sent to an earlier incarnation of this place; signals were meant for that one alone */
    return (a->flags & ACTOR_KEEP_MAIL) && birth != 0 && meant >= birth && meant < gen &&
           (msg->type < TDM_MSG_INTERNAL || msg->type >= TDM_MSG_USER);
}

void actor_dead_letter(struct tdm_runtime *rt, struct tdm_msg *msg, const char *why)
{
    static const struct tdm_reason noproc = { .kind = TDM_EXIT_NOPROC };

    if (msg != NULL && msg->type >= TDM_MSG_INTERNAL && msg->type < SIG_LAST) {
        link_refused(rt, msg, &noproc);
        return;
    }
    tdm_count(&counter_dead_letters, 1);
    tdm_log_debug("actor.dead_letter", "why=%s type=%u", why, msg == NULL ? 0 : msg->type);
    tdm_msg_free(rt, msg);
}

struct tdm_msg *actor_pop(struct tdm_self *a)
{
    struct tdm_msg *m = a->inbox;

    if (m != NULL) {
        a->inbox = m->next_;
        a->inbox_count--;
        a->handled++;
    }
    return m;
}

/* Everything that has come, behind what is already in hand; where it begins. NULL: nothing new, and the turn
 * is given up: the caller may not touch the actor any more, but for go_idle(). */
static struct tdm_msg **fetch(struct tdm_self *a)
{
    uint32_t handled = a->handled;
    uint32_t count = 0;

    a->handled = 0; /* before box_take: afterwards the actor may be another worker's */
    runtime_point(a->rt, "mailbox.take");
    struct tdm_msg *first = box_take(&a->box, handled, a->inbox_count, &count);
    if (first == NULL)
        return NULL;
    struct tdm_msg **end = &a->inbox;
    while (*end != NULL)
        end = &(*end)->next_;
    *end = first;
    a->inbox_count += count;
    return end;
}

void actor_forget_ref(struct tdm_self *a, tdm_ref ref)
{
    for (struct tdm_msg **at = &a->inbox; *at != NULL; at = &(*at)->next_) {
        struct tdm_msg *m = *at;
        if (m->to_ != MSG_CHECKED || m->ref != ref)
            continue;
        *at = m->next_;
        a->inbox_count--;
        a->handled++;
        tdm_msg_free(a->rt, m);
        return;
    }
}

void actor_forget_exit(struct tdm_self *a, tdm_pid from)
{
    struct tdm_msg **at = &a->inbox;

    while (*at != NULL && !((*at)->to_ == MSG_LINK_EXIT && (*at)->from.id == from.id))
        at = &(*at)->next_;
    if (*at == NULL)
        return;
    struct tdm_msg *m = *at;
    *at = m->next_;
    a->inbox_count--;
    a->handled++;
    tdm_msg_free(a->rt, m);
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
    h->entries[at].from = m->from.id;
    h->entries[at].at_ns = a->rt->env->now_ns(a->rt->env);
}

/* The bound is for what others send of their own accord, not for signals, notices, answers and timers. */
static bool droppable(const struct tdm_msg *m)
{
    bool of_the_runtime = m->type < TDM_MSG_EVENT || (m->type >= TDM_MSG_INTERNAL && m->type < TDM_MSG_USER);

    return !of_the_runtime && !timer_is_timer(m->ref);
}

/* Drop the oldest in hand, as far as it is owed and may be dropped. */
static void pay_dropped(struct tdm_self *a)
{
    uint32_t owed = atomic_exchange_explicit(&a->drop_oldest, 0, memory_order_relaxed); /* see overflow() */
    struct tdm_msg **at = &a->inbox;
    while (owed > 0 && *at != NULL) {
        struct tdm_msg *m = *at;
        if (!droppable(m)) {
            at = &m->next_;
            continue;
        }
        *at = m->next_;
        a->inbox_count--;
        a->handled++;
        owed--;
        tdm_count(&counter_dropped, 1);
        tdm_msg_free(a->rt, m);
    }
    if (owed > 0) /* what is under way */
        atomic_fetch_add_explicit(&a->drop_oldest, owed, memory_order_relaxed);
}

/* True: the message is for the behaviour. False: it was the runtime's, or nobody's. */
bool actor_sift(struct tdm_self *a, struct tdm_msg *m)
{
    if (!actor_accepts(a, m)) {
        actor_dead_letter(a->rt, m, "stale");
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

    if (m->ref == 0)
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
    t->in_hand = NULL;
    if (!(a->flags & ACTOR_TAKEN))
        tdm_msg_free(a->rt, m);
    return (err != TDM_OK || (a->flags & ACTOR_EXITING)) && obey_return(a, err);
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

    if (bits & CONTROL_KILL)
        actor_end(a, &killed, false);
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

static void sift_inbox(struct tdm_self *a, struct tdm_msg **at);

/* True: it has started and goes on. */
static bool start(struct tdm_self *a)
{
    int err = actor_run_init(a);

    a->flags &= ~(uint32_t)ACTOR_STARTING;
    start_info_drop(a);
    if (err == TDM_OK && !(a->flags & ACTOR_EXITING)) {
        a->flags |= ACTOR_STARTED;
        if (!(a->flags & ACTOR_LATE_START))
            actor_started(a, TDM_OK);
        if (a->fibers && a->inbox != NULL) /* kept mail that came between two incarnations */
            sift_inbox(a, &a->inbox);
        return true;
    }
    if (err == TDM_IGNORE)
        a->flags |= ACTOR_IGNORED;
    obey_return(a, err == TDM_OK ? TDM_STOP : err);
    return false;
}

void actor_started(struct tdm_self *a, int err)
{
    if (err == TDM_OK)
        a->flags |= ACTOR_ANNOUNCED;
    if (a->child != NULL)
        family_child_started(a, err);
    if (atomic_load_explicit(&a->rt->n_waiters, memory_order_acquire) > 0)
        runtime_tell_waiters(a->rt, tdm_self_pid(a), false, err);
}

/* True: go on. False: ended, or the turn is given up. */
static bool step_behaviour(struct tdm_self *a)
{
    if (__builtin_expect(atomic_load_explicit(&a->drop_oldest, memory_order_relaxed) > 0, 0)) {
        if (box_ptr(atomic_load_explicit(&a->box.word, memory_order_relaxed)) != BOX_BUSY)
            (void)fetch(a); /* there is something: it does not go idle */
        pay_dropped(a);
    }
    struct tdm_msg *m = actor_pop(a);
    if (m == NULL) {
        if (fetch(a) != NULL)
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
    if (a->handled >= 64 || a->handled * 16 >= limit_of(a)) { /* small boxes are counted closely */
        box_release(&a->box, a->handled);
        a->handled = 0;
    }
    return true;
}

/* Take the runtime's own messages out of what has come, so that the fiber sees only its own. */
static void sift_inbox(struct tdm_self *a, struct tdm_msg **at)
{
    while (*at != NULL) {
        struct tdm_msg *m = *at;
        struct tdm_msg *next = m->next_;
        if (actor_sift(a, m)) {
            at = &m->next_;
            continue;
        }
        *at = next;
        a->inbox_count--;
        a->handled++;
    }
}

static bool step_fiber(struct tdm_self *a)
{
    int err = fiber_resume(a);

    if (err != FIBER_WAITS) {
        obey_return(a, err == TDM_OK ? TDM_STOP : err);
        return false;
    }
    if (a->flags & ACTOR_EXITING)
        return !obey_return(a, TDM_OK);
    struct tdm_msg **news = fetch(a);
    if (news == NULL) {
        go_idle(a);
        return false;
    }
    sift_inbox(a, news);
    if (atomic_load_explicit(&a->drop_oldest, memory_order_relaxed) > 0) {
        pay_dropped(a);
        fiber_rescan(a); /* what its wait had looked at may be gone */
    }
    if (a->flags & ACTOR_EXITING) {
        obey_signal(a);
        return false;
    }
    return true;
}

/* A kill that comes before the first step: no callback runs. */
static bool killed_unborn(const struct tdm_self *a)
{
    return (atomic_load_explicit(&a->control, memory_order_relaxed) & CONTROL_KILL) != 0;
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
        if ((a->flags & ACTOR_STOP_SEEN) && a->inbox == NULL &&
            box_ptr(atomic_load_explicit(&a->box.word, memory_order_relaxed)) == BOX_BUSY) {
            actor_end(a, &(struct tdm_reason){ .kind = TDM_EXIT_SHUTDOWN }, true); /* drained */
            return false;
        }
        if (!(a->fibers ? step_fiber(a) : step_behaviour(a)))
            return false;
    }
    return true;
}

/* ---- the end --------------------------------------------------------------------------------- */

void actor_set_reason(struct tdm_self *a, const struct tdm_reason *reason)
{
    if (a->exit == NULL)
        a->exit = runtime_alloc(a->rt, sizeof *a->exit);
    if (a->exit != NULL)
        a->exit->reason = *reason;
    a->flags |= ACTOR_EXITING;
}

static void drop_mail(struct tdm_self *a, struct tdm_msg *list, const char *why)
{
    while (list != NULL) {
        struct tdm_msg *next = list->next_;
        actor_dead_letter(a->rt, list, why);
        list = next;
    }
}

bool actor_has_unread(struct tdm_self *a, uint32_t type)
{
    if (box_ptr(atomic_load_explicit(&a->box.word, memory_order_relaxed)) != BOX_BUSY)
        (void)fetch(a); /* there is something, so the turn stays ours */
    for (const struct tdm_msg *m = a->inbox; m != NULL; m = m->next_)
        if (m->type == type)
            return true;
    return false;
}

/* Unread mail of a place whose next incarnation starts afresh. The box stays BUSY: ours. */
void actor_drop_unread(struct tdm_self *a)
{
    uint32_t dropped = a->handled + a->inbox_count;
    uint32_t count = 0;

    drop_mail(a, a->inbox, "restart");
    a->inbox = NULL;
    a->inbox_count = 0;
    a->handled = 0;
    atomic_store_explicit(&a->drop_oldest, 0, memory_order_relaxed); /* what was owed goes with the rest */
    if (box_ptr(atomic_load_explicit(&a->box.word, memory_order_relaxed)) != BOX_BUSY)
        drop_mail(a, box_take(&a->box, 0, 0, &count), "restart");
    box_release(&a->box, dropped + count); /* or the next incarnation's bound would be so much lower */
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
    timer_actor_ended(a);
    request_actor_ended(a);
    if (a->fiber != NULL)
        fiber_release(a);
    memory_release(a);
    if (a->state != NULL)
        runtime_free_block(a->rt, a->state, a->behaviour->state_bytes);
    a->state = NULL;
    start_info_drop(a);
}

void actor_end(struct tdm_self *a, const struct tdm_reason *given, bool run_terminate)
{
    struct tdm_runtime *rt = a->rt;
    struct tdm_reason kept = *given; /* it may lie in what is released now */
    tdm_pid pid = tdm_self_pid(a);
    bool started = (a->flags & ACTOR_STARTED) != 0;

    if (run_terminate && started && a->behaviour->terminate != NULL && !(a->flags & ACTOR_TERMINATING))
        terminate(a, &kept);
    if (kept.kind == TDM_EXIT_ERROR) {
        tdm_count(&counter_crashed, 1);
        fault_report_crash(a, &kept);
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
        runtime_tell_waiters(rt, pid, true, started ? TDM_OK : kept.code);
    runtime_point(rt, "actor.ended");
    if (a->child != NULL) {
        bool stays = family_place_stays(a, &kept);
        if (stays && !(a->flags & ACTOR_KEEP_MAIL))
            actor_drop_unread(a);
        if (family_child_ended(a, pid, &kept, stays)) /* from here on it may be its supervisor's */
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
    drop_mail(a, a->inbox, "ended");
    a->inbox = NULL;
    a->inbox_count = 0;
    drop_mail(a, box_close(&a->box), "ended");
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
