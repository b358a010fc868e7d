/* timers.h - the loop's deadlines: a pairing heap whose nodes live in the objects they time.
 *
 * Setting a deadline never allocates and so never fails; adding is O(1), taking the earliest or removing
 * any one O(log n) amortised. Touched by the loop thread only. */
#ifndef RUNTIME_IO_TIMERS_H
#define RUNTIME_IO_TIMERS_H
#include <stdbool.h>
#include <stdint.h>

struct loop;

/* Zero-initialise. */
struct loop_timer {
    uint64_t at_ns;
    void (*fire)(struct loop *loop, struct loop_timer *t);
    struct loop_timer *child, *next; /* next: sibling */
    struct loop_timer *prev;         /* the sibling before, or the parent of a first child */
    bool armed;
};

void timers_add(struct loop_timer **root, struct loop_timer *t, uint64_t at_ns);
void timers_remove(struct loop_timer **root, struct loop_timer *t); /* fine when not armed */

#endif
