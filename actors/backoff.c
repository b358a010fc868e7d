/* backoff.c - exponential delays with jitter, without end.
 *
 * Idea: the n-th delay is drawn from the upper half of min * 2^n, capped. The lower half keeps a
 *       failing peer from being hammered, the drawing keeps many clients of one peer apart. */
#include "backoff.h"

uint32_t backoff_next(struct backoff *b, uint64_t random)
{
    const uint32_t shift = b->tries < 31 ? b->tries : 31;
    uint64_t top = (uint64_t)(b->min_ms > 0 ? b->min_ms : 1) << shift;

    if (top > b->max_ms)
        top = b->max_ms > 0 ? b->max_ms : 1;
    if (b->tries < UINT32_MAX)
        b->tries++;
    const uint64_t half = (top + 1) / 2;

    return (uint32_t)(half + random % (top - half + 1));
}

void backoff_reset(struct backoff *b)
{
    b->tries = 0;
}
