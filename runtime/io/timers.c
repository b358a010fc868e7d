/* timers.c - a pairing heap of deadlines.
 *
 * Invariant: no node is due before its parent; *root is the earliest. A node's `prev` names whoever
 *            points at it (parent or left sibling), so any node can be cut out in place. */
#include "io/timers.h"

#include <stddef.h>

static struct loop_timer *meld(struct loop_timer *a, struct loop_timer *b)
{
    if (a == NULL || b == NULL)
        return a != NULL ? a : b;
    if (b->at_ns < a->at_ns) {
        struct loop_timer *swap = a;
        a = b;
        b = swap;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child != NULL)
        a->child->prev = b;
    a->child = b;
    return a;
}

/* One heap of a list of siblings: melded in pairs left to right, then the pairs right to left. */
static struct loop_timer *meld_siblings(struct loop_timer *first)
{
    struct loop_timer *pairs = NULL, *all = NULL;

    while (first != NULL) {
        struct loop_timer *a = first, *b = a->next;
        first = b != NULL ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b != NULL)
            b->next = b->prev = NULL;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs != NULL) {
        struct loop_timer *a = pairs;
        pairs = a->next;
        a->next = NULL;
        all = meld(all, a);
    }
    return all;
}

void timers_add(struct loop_timer **root, struct loop_timer *t, uint64_t at_ns)
{
    timers_remove(root, t);
    t->at_ns = at_ns;
    t->child = t->next = t->prev = NULL;
    t->armed = true;
    *root = meld(*root, t);
}

void timers_remove(struct loop_timer **root, struct loop_timer *t)
{
    struct loop_timer *below;

    if (!t->armed)
        return;
    t->armed = false;
    below = meld_siblings(t->child);
    t->child = NULL;
    if (*root == t) {
        *root = below;
        return;
    }
    if (t->prev->child == t)
        t->prev->child = t->next;
    else
        t->prev->next = t->next;
    if (t->next != NULL)
        t->next->prev = t->prev;
    *root = meld(*root, below);
}
