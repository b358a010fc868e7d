/* backoff.h - how long to wait before the next attempt. */
#ifndef ACTORS_BACKOFF_H
#define ACTORS_BACKOFF_H
#include <stdint.h>

struct backoff {
    uint32_t min_ms, max_ms;
    uint32_t tries; /* since the last success */
};

/* The wait before the next attempt, and count it. `random` is 64 random bits. Never 0, never above
 * max_ms, and there is no last attempt. */
uint32_t backoff_next(struct backoff *b, uint64_t random);

/* It worked: the next failure begins at min_ms again. */
void backoff_reset(struct backoff *b);

#endif
