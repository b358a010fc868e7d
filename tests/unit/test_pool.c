/* Tests of runtime/pool.c: blocks of a few sizes, between threads. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"
#include "tandem/env.h"

static struct pool *make(void)
{
    struct pool *p = NULL;

    cr_assert(eq(int, pool_new(&p, tdm_env_real()), 0));
    return p;
}

Test(pool, blocks_of_every_size_are_aligned_and_do_not_overlap, .timeout = 20)
{
    struct pool *p = make();
    struct pool_cache cache;
    enum { N = 3000 };
    static char *blocks[N];

    memset(&cache, 0, sizeof cache);
    for (size_t i = 0; i < N; i++) {
        size_t bytes = 1 + i * 7 % 5000;
        blocks[i] = pool_get(p, &cache, bytes);
        cr_assert(ne(ptr, blocks[i], NULL));
        cr_assert(eq(int, (int)((uintptr_t)blocks[i] % 16), 0));
        memset(blocks[i], (int)(i & 0xff), bytes);
    }
    for (size_t i = 0; i < N; i++) {
        size_t bytes = 1 + i * 7 % 5000;
        for (size_t k = 0; k < bytes; k += 61)
            cr_assert(eq(int, (unsigned char)blocks[i][k], (int)(i & 0xff)));
        pool_put(p, &cache, blocks[i], bytes);
    }
    pool_cache_drain(p, &cache);
    pool_free(p);
}

Test(pool, nothing_may_be_freed, .timeout = 20)
{
    struct pool *p = make();
    struct pool_cache cache;

    memset(&cache, 0, sizeof cache);
    pool_put(p, &cache, NULL, 64);
    pool_free(p);
}

/* One thread makes, the other frees: the way of every message. */
enum { ROUNDS = 200, HANDFUL = 1000 };

struct crossing {
    struct pool *p;
    void *_Atomic handed[HANDFUL];
};

static void *free_all(void *arg)
{
    struct crossing *c = arg;
    struct pool_cache cache;

    memset(&cache, 0, sizeof cache);
    for (int r = 0; r < ROUNDS; r++)
        for (int i = 0; i < HANDFUL; i++) {
            void *b;
            while ((b = atomic_exchange(&c->handed[i], NULL)) == NULL)
                sched_yield();
            cr_assert(eq(u64, *(uint64_t *)b, (uint64_t)i));
            pool_put(c->p, &cache, b, 64 + (size_t)(i % 3) * 64);
        }
    pool_cache_drain(c->p, &cache);
    return NULL;
}

Test(pool, blocks_made_on_one_thread_and_freed_on_another_come_back, .timeout = 60)
{
    static struct crossing c;
    struct pool_cache cache;
    pthread_t t;

    memset(&cache, 0, sizeof cache);
    c.p = make();
    cr_assert(eq(int, pthread_create(&t, NULL, free_all, &c), 0));
    for (int r = 0; r < ROUNDS; r++)
        for (int i = 0; i < HANDFUL; i++) {
            while (atomic_load(&c.handed[i]) != NULL)
                sched_yield();
            uint64_t *b = pool_get(c.p, &cache, 64 + (size_t)(i % 3) * 64);
            cr_assert(ne(ptr, b, NULL));
            *b = (uint64_t)i;
            atomic_store(&c.handed[i], b);
        }
    pthread_join(t, NULL);
    pool_cache_drain(c.p, &cache);
    pool_free(c.p);
}
