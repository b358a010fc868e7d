/* gate.c - the hand-off of the right to route, in one word.
 *
 * The dispatch functions have one caller at a time, "the source's reader". While a connection is live
 * that is the I/O thread. While the connection actor compares the server's calls with ours it has to
 * be the actor, because it starts and ends calls itself; meanwhile the events that arrive must wait,
 * in order, and the I/O thread may not wait for anybody.
 *
 * Idea:      `head` is a stack of waiting frames, or the mark OPEN. The reader looks at it for each
 *            event. OPEN: it routes. Otherwise it pushes a copy. The actor takes the whole stack,
 *            turns it round and routes it; when it finds the stack empty it replaces that very
 *            emptiness by OPEN, in one compare-and-swap. A frame is therefore either on the stack
 *            that the actor still has to take, or arrives after OPEN: none is passed by another.
 * Invariant: before OPEN only the actor routes, after it only the reader, and OPEN is never taken
 *            back: the next connection has a gate of its own. (The actor uses a new connection only
 *            after the I/O thread has reported the end of the old one, or, if an earlier incarnation
 *            left one behind, after it has reported the new one open: it carries out our commands in
 *            order, the abort of the old before the start of the new.)
 * Bound:     bytes that wait, counted by the reader when it pushes and by the actor when it frees. */
#include "gate.h"
#include "tandem/err.h"

#include <stdatomic.h>
#include <string.h>

struct gate {
    /* fixed when made */
    struct tdm_env *env;
    size_t held_max;
    /* pushed by the reader, taken by the actor */
    _Alignas(64) _Atomic(struct gate_frame *) head; /* newest first, or &open_mark */
    /* relaxed on both sides: it is a limit, not a signal; nothing is read by its help */
    _Atomic size_t held;
};

static struct gate_frame open_mark;

int gate_new(struct tdm_env *env, size_t held_max, struct gate **ret)
{
    struct gate *g = env->alloc(env, sizeof *g);

    if (g == NULL)
        return TDM_ENOMEM;
    g->env = env;
    g->held_max = held_max;
    atomic_init(&g->head, NULL);
    atomic_init(&g->held, 0);
    *ret = g;
    return TDM_OK;
}

void gate_free(struct gate *g)
{
    if (g == NULL)
        return;
    for (struct gate_frame *f = gate_take(g), *next; f != NULL; f = next) {
        next = f->next;
        gate_frame_free(g, f);
    }
    g->env->free(g->env, g, sizeof *g);
}

void gate_frame_free(struct gate *g, struct gate_frame *frame)
{
    if (frame == NULL)
        return;
    atomic_fetch_sub_explicit(&g->held, frame->bytes, memory_order_relaxed);
    g->env->free(g->env, frame, sizeof *frame + frame->bytes);
}

enum gate_way gate_pass(struct gate *g, const char *data, size_t bytes)
{
    /* acquire: partner of the release in gate_let_go(). Finding OPEN, the reader also sees all that
     * the actor did to the dispatch tables. */
    struct gate_frame *head = atomic_load_explicit(&g->head, memory_order_acquire);

    if (head == &open_mark)
        return GATE_OPEN;
    if (bytes > g->held_max || atomic_load_explicit(&g->held, memory_order_relaxed) > g->held_max - bytes)
        return GATE_FULL;
    struct gate_frame *frame = g->env->alloc(g->env, sizeof *frame + bytes);

    if (frame == NULL)
        return GATE_FULL;
    frame->bytes = bytes;
    memcpy(frame->data, data, bytes);
    atomic_fetch_add_explicit(&g->held, bytes, memory_order_relaxed);
    do {
        if (head == &open_mark) { /* the actor let go while we copied */
            gate_frame_free(g, frame);
            return GATE_OPEN;
        }
        frame->next = head;
        /* release: publishes the frame to gate_take(); acquire on failure: as above. It fails only
         * when the actor took the stack or let go, so at most a few times. */
    } while (!atomic_compare_exchange_weak_explicit(&g->head, &head, frame, memory_order_release,
                                                    memory_order_acquire));
    return GATE_HELD;
}

struct gate_frame *gate_take(struct gate *g)
{
    /* acquire: partner of the release in gate_pass(). */
    struct gate_frame *newest = atomic_load_explicit(&g->head, memory_order_acquire);
    struct gate_frame *oldest = NULL;

    if (newest == NULL || newest == &open_mark)
        return NULL;
    newest = atomic_exchange_explicit(&g->head, NULL, memory_order_acquire);
    while (newest != NULL) {
        struct gate_frame *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

bool gate_let_go(struct gate *g)
{
    struct gate_frame *nothing = NULL;

    /* release: hands all that we did over to the reader; partner: the load in gate_pass(). */
    return atomic_compare_exchange_strong_explicit(&g->head, &nothing, &open_mark, memory_order_release,
                                                   memory_order_relaxed);
}
