/* pool.h - blocks of a few sizes, kept per thread and passed on by the handful. See pool.c. */
#ifndef RUNTIME_POOL_H
#define RUNTIME_POOL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tdm_env;
struct pool;

#define POOL_CLASSES 12
#define POOL_MAX     4096 /* larger blocks come straight from the environment */

/* What one thread keeps of each size: two hands full. Touched by its thread only. */
struct pool_cache {
    struct pool_hand {
        void *first; /* linked through their first word */
        uint32_t count;
        uint32_t spare_count;
        void *spare;             /* a full hand, or NULL */
        char *fresh, *fresh_end; /* of this thread's own chunk: not cut yet */
    } hands[POOL_CLASSES];
};

int pool_new(struct pool **ret, struct tdm_env *env);
void pool_free(struct pool *p); /* gives every block back to the environment */

/* `bytes` is told again at free. NULL: out of memory. Threads: any, each with its own cache. */
void *pool_get(struct pool *p, struct pool_cache *cache, size_t bytes);
void pool_put(struct pool *p, struct pool_cache *cache, void *block, size_t bytes);

/* The thread ends or the cache's owner does: its blocks go to the common store. */
void pool_cache_drain(struct pool *p, struct pool_cache *cache);

#endif
