/* mailbox.c - the reader's side of a mailbox; see mailbox.h for the idea and the senders' side. */
#include "mailbox.h"

static struct tdm_msg *reverse(struct tdm_msg *newest, uint32_t *count)
{
    struct tdm_msg *oldest = NULL;
    uint32_t n = 0;

    while (newest != NULL) {
        struct tdm_msg *next = newest->next_;
        newest->next_ = oldest;
        oldest = newest;
        newest = next;
        n++;
    }
    *count = n;
    return oldest;
}

/* A count that stuck at its maximum is put right by the reader, who alone knows the truth. */
static void recount(struct mailbox *box, uint32_t count)
{
    uint64_t old = atomic_load_explicit(&box->word, memory_order_relaxed);

    while (box_count(old) == BOX_COUNT_MAX &&
           !atomic_compare_exchange_weak_explicit(&box->word, &old, box_word(box_ptr(old), count),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

/* What is left of a count when `handled` messages no longer belong to it. A count that stuck at its maximum may have
 * been put right while senders pushed, and is then too low by what they pushed: never below zero. */
static uint32_t less(uint32_t count, uint32_t handled)
{
    if (count == BOX_COUNT_MAX)
        return BOX_COUNT_MAX;
    return count > handled ? count - handled : 0;
}

struct tdm_msg *box_take(struct mailbox *box, uint32_t handled, uint32_t kept, uint32_t *count)
{
    uint64_t old = atomic_load_explicit(&box->word, memory_order_relaxed);
    uint64_t ptr;

    for (;;) {
        ptr = box_ptr(old);
        /* Nothing new: what the reader keeps is all there is, so every error in the count ends here.
         * acquire: the messages' contents. release: on the way to IDLE, all we wrote as their reader.
         * seq_cst: the caller looks at its flags afterwards; see box_rouse. */
        uint64_t new =
            ptr == BOX_BUSY ? box_word(BOX_IDLE, kept) : box_word(BOX_BUSY, less(box_count(old), handled));
        if (atomic_compare_exchange_weak_explicit(&box->word, &old, new, memory_order_seq_cst,
                                                  memory_order_relaxed))
            break;
    }
    if (ptr == BOX_BUSY)
        return NULL;
    struct tdm_msg *first = reverse((struct tdm_msg *)(uintptr_t)ptr, count);
    if (box_count(old) == BOX_COUNT_MAX)
        recount(box, *count + kept);
    return first;
}

void box_release(struct mailbox *box, uint32_t handled)
{
    uint64_t old = atomic_load_explicit(&box->word, memory_order_relaxed);
    uint64_t new;

    if (handled == 0)
        return;
    do { /* relaxed: only the count changes, no message is passed on */
        if (box_count(old) == BOX_COUNT_MAX)
            return;
        new = box_word(box_ptr(old), less(box_count(old), handled));
    } while (!atomic_compare_exchange_weak_explicit(&box->word, &old, new, memory_order_relaxed,
                                                    memory_order_relaxed));
}

void box_count_again(struct mailbox *box)
{
    uint64_t old = atomic_load_explicit(&box->word, memory_order_relaxed);

    /* relaxed: as box_release() */
    while (!atomic_compare_exchange_weak_explicit(&box->word, &old,
                                                  box_word(box_ptr(old), box_count(old) + 1),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

struct tdm_msg *box_close(struct mailbox *box)
{
    uint64_t old = atomic_exchange_explicit(&box->word, BOX_CLOSED, memory_order_acq_rel);
    uint32_t count;

    if (box_ptr(old) <= BOX_CLOSED)
        return NULL;
    return reverse((struct tdm_msg *)(uintptr_t)box_ptr(old), &count);
}
