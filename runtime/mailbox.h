/* mailbox.h - many senders, one reader: the only way a message crosses threads.
 *
 * Idea:      one 64-bit word holds everything senders touch: the newest message (48 bits) and the
 *            number of messages that are in the box or in the reader's hands (16 bits). A push is one
 *            compare-and-swap that checks the bound, links the message and says whether the actor must
 *            be scheduled. The reader takes the whole stack at once and reverses it: order per sender
 *            is kept.
 * Invariant: the low part is IDLE (nothing new, the actor is on no run queue), BUSY (nothing new, the
 *            actor is scheduled or runs), CLOSED (ended; nothing more is taken), or the newest message
 *            (then the actor is scheduled or runs).
 * A sender that is stopped in the middle of a push has either sent or not sent; it holds up nobody. */
#ifndef RUNTIME_MAILBOX_H
#define RUNTIME_MAILBOX_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tandem/msg.h"

struct mailbox {
    _Atomic uint64_t word;
};

#define BOX_IDLE        0ull
#define BOX_BUSY        1ull
#define BOX_CLOSED      2ull
#define BOX_POINTER     0x0000ffffffffffffull
#define BOX_COUNT_SHIFT 48
#define BOX_COUNT_MAX   0xffffu /* the count sticks here until the reader counts anew */
#define BOX_UNBOUNDED   0x10000u

enum box_push {
    BOX_PUSHED,
    BOX_WAKE /* pushed, and the caller must schedule the actor */,
    BOX_FULL,
    BOX_GONE
};

static inline uint64_t box_ptr(uint64_t word)
{
    return word & BOX_POINTER;
}
static inline uint32_t box_count(uint64_t word)
{
    return (uint32_t)(word >> BOX_COUNT_SHIFT);
}
static inline uint64_t box_word(uint64_t ptr, uint32_t count)
{
    return ptr | ((uint64_t)(count > BOX_COUNT_MAX ? BOX_COUNT_MAX : count) << BOX_COUNT_SHIFT);
}

/* Any thread. The compare-and-swap releases the message's contents to the reader's acquire in box_take();
 * it acquires so that the thread which gets BOX_WAKE sees all that the last reader wrote before it went
 * idle (partner: box_take's release on the way to IDLE). */
static inline enum box_push box_push(struct mailbox *box, struct tdm_msg *msg, uint32_t limit)
{
    uint64_t old = atomic_load_explicit(&box->word, memory_order_relaxed); /* only a first guess */

    for (;;) {
        uint64_t ptr = box_ptr(old);
        uint32_t count = box_count(old);
        if (ptr == BOX_CLOSED)
            return BOX_GONE;
        if (count >= limit)
            return BOX_FULL;
        msg->next_ = ptr > BOX_CLOSED ? (struct tdm_msg *)(uintptr_t)ptr : NULL;
        if (atomic_compare_exchange_weak_explicit(&box->word, &old, box_word((uintptr_t)msg, count + 1),
                                                  memory_order_acq_rel, memory_order_relaxed))
            return ptr == BOX_IDLE ? BOX_WAKE : BOX_PUSHED;
    }
}

/* Any thread: make sure the actor runs soon though no message is sent. True: the caller must schedule it.
 * seq_cst orders it after the caller's flag (partner: the reader's look at its flags after box_take). */
static inline bool box_rouse(struct mailbox *box)
{
    uint64_t old = atomic_load_explicit(&box->word, memory_order_seq_cst);

    while (box_ptr(old) == BOX_IDLE)
        if (atomic_compare_exchange_weak_explicit(&box->word, &old, box_word(BOX_BUSY, box_count(old)),
                                                  memory_order_seq_cst, memory_order_seq_cst))
            return true;
    return false;
}

/* Reader. Takes everything, oldest first; `handled` messages of the batch before are no longer counted, and `kept` are
 * still in its hands. NULL: there was nothing, and the box is IDLE now: the actor may run elsewhere from here on. */
struct tdm_msg *box_take(struct mailbox *box, uint32_t handled, uint32_t kept, uint32_t *count);

/* Reader. `handled` messages no longer count against the bound. */
void box_release(struct mailbox *box, uint32_t handled);

/* Reader. One that was released is unread again. */
void box_count_again(struct mailbox *box);

/* Reader. Nothing more comes in; what was there, oldest first. Partner of box_push's load of CLOSED: none is
 * needed, a sender that loses learns it from the word itself. */
struct tdm_msg *box_close(struct mailbox *box);

/* Owner of a closed box that no sender can mean any more: ready for the next actor (BUSY). */
static inline void box_open(struct mailbox *box)
{
    atomic_store_explicit(&box->word, BOX_BUSY, memory_order_release);
}

#endif
