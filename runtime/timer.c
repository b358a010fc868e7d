/* timer.c - messages that come later.
 *
 * Idea:      each worker has a hierarchical wheel: six levels of 64 slots, the finest 16 microseconds
 *            wide, with a bitmap for each level, so that the next event is found by counting zeros and
 *            empty time costs nothing. A timer that is set, moved down a level or cancelled touches one
 *            list.
 * Invariant: a node is FREE, ARMED (in a slot of its wheel, owns its message) or FIRED (its message is
 *            on the way to the owner or in its mailbox). The ref holds the node's generation: a message
 *            whose node has moved on is a cancelled timer's, and its receiver drops it.
 * Who touches what: slots, states and generations under the wheel's lock; the list of an actor's own
 *            timers only by the worker that runs the actor. A fired message always goes to the owner
 *            first, who forwards it if it was meant for another: so cancelling and ending need nobody
 *            else.
 * Order:     while an actor has timers, all it sets lie in the wheel of the first one, whichever worker runs it: one
 *            wheel keeps those of the same tick in the order in which they were set. */
#include <pthread.h>
#include <string.h>

#include "runtime.h"
#include "scheduler.h"
#include "timer.h"

enum { TICK_SHIFT = 14, LEVELS = 6, SLOTS = 64, CHUNK_NODES = 1024 };
enum state { FREE, ARMED, FIRED };

#define NODE_BITS    23 /* eight million timers a worker */
#define CHUNKS_MAX   ((1u << NODE_BITS) / CHUNK_NODES)
#define NODE_MASK    ((1u << NODE_BITS) - 1)
#define REF_GEN_MASK 0xffffffu

struct node {
    struct tdm_msg *msg;
    uint64_t tick;
    tdm_pid to;
    uint32_t next, prev;         /* in the slot, or `next` in the free list; 0: none */
    uint32_t own_next, own_prev; /* of the owner: node ids with the wheel's number above NODE_BITS */
    uint32_t gen;
    uint16_t slot; /* level * SLOTS + index */
    uint8_t state;
};

struct wheel {
    pthread_spinlock_t lock;
    _Atomic uint64_t next_ns; /* a lower bound, read without the lock */
    _Atomic bool firing;      /* somebody sends what was due: the next to be due waits for it */
    struct tdm_runtime *rt;
    uint32_t number;
    uint64_t now; /* the first tick that has not been dealt with */
    uint64_t used[LEVELS];
    uint32_t first[LEVELS * SLOTS], last[LEVELS * SLOTS];
    uint32_t free; /* nodes */
    uint32_t nodes;
    uint32_t n_chunks;
    struct node *chunks[CHUNKS_MAX]; /* filled in order, never moved: owners read without the lock */
};

static struct node *node_at(struct wheel *w, uint32_t index)
{
    return &w->chunks[index / CHUNK_NODES][index % CHUNK_NODES];
}

static tdm_ref ref_of(const struct wheel *w, uint32_t index, const struct node *n)
{
    return ((uint64_t)(w->number + 1) << 56) | ((uint64_t)(n->gen & REF_GEN_MASK) << 32) | index;
}

static struct wheel *wheel_of(struct tdm_runtime *rt, uint32_t number)
{
    return number < rt->n_workers ? scheduler_wheel(rt, number) : NULL;
}

/* ---- slots, under the lock ------------------------------------------------------------------- */

static void slot_append(struct wheel *w, uint32_t index, struct node *n, uint32_t slot)
{
    n->slot = (uint16_t)slot;
    n->next = 0;
    n->prev = w->last[slot];
    if (n->prev != 0)
        node_at(w, n->prev)->next = index;
    else
        w->first[slot] = index;
    w->last[slot] = index;
    w->used[slot / SLOTS] |= 1ull << (slot % SLOTS);
}

static void slot_prepend(struct wheel *w, uint32_t index, struct node *n, uint32_t slot)
{
    n->slot = (uint16_t)slot;
    n->prev = 0;
    n->next = w->first[slot];
    if (n->next != 0)
        node_at(w, n->next)->prev = index;
    else
        w->last[slot] = index;
    w->first[slot] = index;
    w->used[slot / SLOTS] |= 1ull << (slot % SLOTS);
}

static void slot_remove(struct wheel *w, struct node *n)
{
    uint32_t slot = n->slot;

    if (n->prev != 0)
        node_at(w, n->prev)->next = n->next;
    else
        w->first[slot] = n->next;
    if (n->next != 0)
        node_at(w, n->next)->prev = n->prev;
    else
        w->last[slot] = n->prev;
    if (w->first[slot] == 0)
        w->used[slot / SLOTS] &= ~(1ull << (slot % SLOTS));
}

/* Which slot a tick belongs to now. */
static uint32_t slot_for(const struct wheel *w, uint64_t due)
{
    unsigned level = 0;
    uint64_t tick = due > w->now ? due : w->now;

    while (level < LEVELS - 1 && (tick >> (6 * level)) - (w->now >> (6 * level)) >= SLOTS)
        level++;
    uint64_t at = tick >> (6 * level);
    uint64_t most = (w->now >> (6 * level)) + SLOTS - 1;
    if (at > most) /* beyond the wheel (13 days): as far as it goes, then placed again */
        at = most;
    return level * SLOTS + (uint32_t)(at % SLOTS);
}

/* The first tick, `now` or later, at which something is to be done, and on which level. */
static uint64_t next_event(const struct wheel *w, unsigned *level_ret)
{
    uint64_t best = UINT64_MAX;

    for (unsigned level = LEVELS; level-- > 0;) { /* upper levels first: on a tie they move down first */
        if (w->used[level] == 0)
            continue;
        uint64_t base = w->now >> (6 * level);
        unsigned shift = (unsigned)(base % SLOTS);
        uint64_t ahead =
            shift == 0 ? w->used[level] : (w->used[level] >> shift) | (w->used[level] << (64 - shift));
        uint64_t tick = (base + (unsigned)__builtin_ctzll(ahead)) << (6 * level);
        if (tick < best) {
            best = tick;
            *level_ret = level;
        }
    }
    return best;
}

static void note_next(struct wheel *w)
{
    unsigned level;
    uint64_t tick = next_event(w, &level);

    /* relaxed: a hint; whoever acts on it takes the lock */
    atomic_store_explicit(&w->next_ns, tick == UINT64_MAX ? TDM_FOREVER : tick << TICK_SHIFT,
                          memory_order_relaxed);
}

static uint32_t node_take(struct wheel *w)
{
    struct tdm_env *env = w->rt->env;
    uint32_t index = w->free;

    if (index != 0) {
        w->free = node_at(w, index)->next;
        return index;
    }
    if (w->nodes % CHUNK_NODES == 0) {
        if (w->n_chunks == CHUNKS_MAX)
            return 0;
        struct node *chunk = env->alloc(env, CHUNK_NODES * sizeof *chunk);
        if (chunk == NULL)
            return 0;
        memset(chunk, 0, CHUNK_NODES * sizeof *chunk);
        w->chunks[w->n_chunks++] = chunk;
    }
    index = w->nodes++;
    return index != 0 ? index : node_take(w); /* 0 means none */
}

static void node_give(struct wheel *w, uint32_t index, struct node *n)
{
    n->state = FREE;
    n->msg = NULL;
    n->gen++;
    n->next = w->free;
    w->free = index;
}

/* ---- the owner's list, by its worker only ---------------------------------------------------- */

static struct node *node_by_id(struct tdm_runtime *rt, uint32_t id)
{
    return node_at(wheel_of(rt, id >> NODE_BITS), id & NODE_MASK);
}

static void own(struct tdm_self *a, uint32_t id, struct node *n)
{
    n->own_prev = 0;
    n->own_next = a->timers;
    if (n->own_next != 0)
        node_by_id(a->rt, n->own_next)->own_prev = id;
    a->timers = id;
}

static void disown(struct tdm_self *a, const struct node *n)
{
    if (n->own_prev != 0)
        node_by_id(a->rt, n->own_prev)->own_next = n->own_next;
    else
        a->timers = n->own_next;
    if (n->own_next != 0)
        node_by_id(a->rt, n->own_next)->own_prev = n->own_prev;
}

/* ---- setting and cancelling ------------------------------------------------------------------ */

/* Where its other timers are; see Order above. */
static struct wheel *home_wheel(const struct tdm_self *a)
{
    return a->timers != 0 ? wheel_of(a->rt, a->timers >> NODE_BITS) : scheduler_my_wheel(a->rt);
}

tdm_ref tdm_send_after(tdm_self *self, tdm_pid to, uint64_t delay_ns, struct tdm_msg *msg)
{
    struct tdm_runtime *rt = self->rt;
    struct wheel *w = home_wheel(self);
    bool sooner = false;
    uint64_t now = rt->env->now_ns(rt->env);
    tdm_ref ref = 0;

    if (msg == NULL)
        return 0;
    uint64_t due = delay_ns > UINT64_MAX / 2 - now ? UINT64_MAX / 2 : now + delay_ns;
    pthread_spin_lock(&w->lock);
    uint32_t index = node_take(w);
    if (index != 0) {
        struct node *n = node_at(w, index);
        n->msg = msg;
        n->to = to;
        n->tick = (due + (1u << TICK_SHIFT) - 1) >> TICK_SHIFT; /* up: never early */
        n->state = ARMED;
        ref = ref_of(w, index, n);
        msg->ref = ref;
        msg->from = tdm_self_pid(self);
        msg->to_ = msg->from.id; /* to the owner first */
        slot_append(w, index, n, slot_for(w, n->tick));
        own(self, (w->number << NODE_BITS) | index, n);
        sooner = n->tick << TICK_SHIFT < atomic_load_explicit(&w->next_ns, memory_order_relaxed);
        if (sooner)
            note_next(w);
    }
    pthread_spin_unlock(&w->lock);
    if (sooner && w != scheduler_my_wheel(rt)) /* its worker may be about to park until the old time */
        scheduler_rouse(rt, w->number);
    if (ref == 0)
        tdm_msg_free(rt, msg);
    return ref;
}

tdm_ref tdm_timer_start(tdm_self *self, uint64_t delay_ns)
{
    return tdm_send_after(self, tdm_self_pid(self), delay_ns, tdm_msg_new(self->rt, TDM_MSG_TIMER, 0));
}

/* The node of a ref, locked, or NULL when the ref is over. */
static struct node *lock_node(struct tdm_runtime *rt, tdm_ref ref, struct wheel **wheel)
{
    struct wheel *w = ref >> 56 == 0 ? NULL : wheel_of(rt, (uint32_t)(ref >> 56) - 1);
    uint32_t index = (uint32_t)ref;

    if (w == NULL)
        return NULL;
    pthread_spin_lock(&w->lock);
    struct node *n = index != 0 && index < w->nodes ? node_at(w, index) : NULL;
    if (n == NULL || (n->gen & REF_GEN_MASK) != ((ref >> 32) & REF_GEN_MASK) || n->state == FREE) {
        pthread_spin_unlock(&w->lock);
        return NULL;
    }
    *wheel = w;
    return n;
}

bool tdm_timer_cancel(tdm_self *self, tdm_ref timer)
{
    struct wheel *w;
    struct node *n = lock_node(self->rt, timer, &w);

    if (n == NULL) {
        actor_forget_ref(self, timer);
        return false;
    }
    bool armed = n->state == ARMED;
    struct tdm_msg *msg = armed ? n->msg : NULL; /* FIRED: it is in the mailbox and will find no node */
    if (armed)
        slot_remove(w, n);
    disown(self, n);
    node_give(w, (uint32_t)timer, n);
    pthread_spin_unlock(&w->lock);
    tdm_msg_free(self->rt, msg);
    return armed;
}

bool timer_message(struct tdm_self *a, struct tdm_msg *msg)
{
    struct wheel *w;
    struct node *n = lock_node(a->rt, msg->ref, &w);

    if (n == NULL) {
        tdm_msg_free(a->rt, msg);
        return true;
    }
    tdm_pid to = n->to;
    disown(a, n);
    node_give(w, (uint32_t)msg->ref, n);
    pthread_spin_unlock(&w->lock);
    if (to.id == tdm_self_pid(a).id)
        return false;
    msg->ref |= TIMER_FORWARDED; /* its node is gone: the receiver is not to look for it */
    if (runtime_send_unbounded(a->rt, to, msg) < 0)
        tdm_msg_free(a->rt, msg);
    return true;
}

void timer_actor_ended(struct tdm_self *a)
{
    while (a->timers != 0) {
        struct wheel *w = wheel_of(a->rt, a->timers >> NODE_BITS);
        uint32_t index = a->timers & NODE_MASK;
        pthread_spin_lock(&w->lock);
        struct node *n = node_at(w, index);
        struct tdm_msg *msg = n->state == ARMED ? n->msg : NULL;
        if (n->state == ARMED)
            slot_remove(w, n);
        a->timers = n->own_next;
        node_give(w, index, n);
        pthread_spin_unlock(&w->lock);
        tdm_msg_free(a->rt, msg);
    }
}

/* ---- time goes by ---------------------------------------------------------------------------- */

/* What comes down was set before all that lies below for the same tick, since it was further away then: it goes
 * in front, the last one first. */
static void move_down(struct wheel *w, uint32_t slot)
{
    uint32_t index = w->last[slot];

    w->first[slot] = w->last[slot] = 0;
    w->used[slot / SLOTS] &= ~(1ull << (slot % SLOTS));
    while (index != 0) {
        struct node *n = node_at(w, index);
        uint32_t prev = n->prev;
        slot_prepend(w, index, n, slot_for(w, n->tick));
        index = prev;
    }
}

/* Appends the messages of a due slot to the list. */
static struct tdm_msg **fire(struct wheel *w, uint32_t slot, struct tdm_msg **end)
{
    uint32_t index = w->first[slot];

    w->first[slot] = w->last[slot] = 0;
    w->used[0] &= ~(1ull << slot);
    while (index != 0) {
        struct node *n = node_at(w, index);
        uint32_t next = n->next;
        n->state = FIRED;
        *end = n->msg;
        end = &n->msg->next_;
        n->msg = NULL;
        index = next;
    }
    *end = NULL;
    return end;
}

static struct tdm_msg *advance(struct wheel *w, uint64_t target)
{
    struct tdm_msg *due = NULL;
    struct tdm_msg **end = &due;
    unsigned level;

    for (;;) {
        uint64_t tick = next_event(w, &level);
        if (tick > target)
            break;
        w->now = tick;
        uint32_t slot = level * SLOTS + (uint32_t)((tick >> (6 * level)) % SLOTS);
        if (level > 0) {
            move_down(w, slot);
        } else {
            end = fire(w, slot, end);
            w->now = tick + 1;
        }
    }
    if (target >= w->now)
        w->now = target + 1;
    return due;
}

void wheel_run(struct wheel *w, uint64_t now_ns)
{
    if (atomic_load_explicit(&w->next_ns, memory_order_relaxed) > now_ns) /* a hint; see note_next */
        return;
    /* Its worker, or the watchdog in its place; two at once could pass each other with what they took. acquire: after
     * what the last one sent; partner: the release below */
    if (atomic_exchange_explicit(&w->firing, true, memory_order_acquire))
        return;
    pthread_spin_lock(&w->lock);
    struct tdm_msg *due = advance(w, now_ns >> TICK_SHIFT);
    note_next(w);
    pthread_spin_unlock(&w->lock);
    while (due != NULL) {
        struct tdm_msg *next = due->next_;
        if (actor_post(w->rt, due->to_, due) < 0)
            tdm_msg_free(w->rt, due);
        due = next;
    }
    atomic_store_explicit(&w->firing, false, memory_order_release);
}

uint64_t wheel_next(struct wheel *w)
{
    return atomic_load_explicit(&w->next_ns, memory_order_relaxed);
}

int wheel_new(struct wheel **ret, struct tdm_runtime *rt, uint32_t number)
{
    struct wheel *w = rt->env->alloc(rt->env, sizeof *w);

    if (w == NULL)
        return TDM_ENOMEM;
    memset(w, 0, offsetof(struct wheel, chunks));
    pthread_spin_init(&w->lock, PTHREAD_PROCESS_PRIVATE);
    w->rt = rt;
    w->number = number;
    w->now = rt->env->now_ns(rt->env) >> TICK_SHIFT;
    atomic_init(&w->next_ns, TDM_FOREVER);
    *ret = w;
    return TDM_OK;
}

void wheel_free(struct wheel *w)
{
    if (w == NULL)
        return;
    struct tdm_env *env = w->rt->env;
    for (uint32_t i = 1; i < w->nodes; i++)
        if (node_at(w, i)->state == ARMED)
            tdm_msg_free(w->rt, node_at(w, i)->msg);
    for (uint32_t i = 0; i < w->n_chunks; i++)
        env->free(env, w->chunks[i], CHUNK_NODES * sizeof(struct node));
    env->free(env, w, sizeof *w);
}
