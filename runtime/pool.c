/* pool.c - blocks of a few sizes, kept per thread and passed on by the handful.
 *
 * Idea:      messages are made on one core and freed on another all day, and malloc makes each such
 *            crossing dear. Here a thread frees into its own hand; only a full hand goes to the common
 *            store, and only an empty one comes back from it: one lock for some hundred blocks.
 * Invariant: a block is in exactly one hand, in the store, or with its user.
 * Memory is never given back to the environment before pool_free(): a block once handed out stays
 * mapped. In the deterministic environment and under AddressSanitizer nothing is kept, so that every
 * allocation can be made to fail and every use after free is seen. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "pool.h"
#include "sanitize.h"
#include "tandem/env.h"
#include "tandem/err.h"

#ifdef WITH_ASAN
#define POOL_DIRECT true
#else
#define POOL_DIRECT false
#endif

enum { CHUNK_BYTES = 64 * 1024, HAND_BYTES = 32 * 1024, HAND_MAX = 256 };

static const uint16_t class_bytes[POOL_CLASSES] = { 64,  128,  192,  256,  384,  512,
                                                    768, 1024, 1536, 2048, 3072, 4096 };

/* Free blocks are linked by their first word; the first block of a hand links hands by its second. */
struct block {
    struct block *next;
    struct block *next_hand;
};

struct chunk {
    struct chunk *next;
    char pad[64 - sizeof(struct chunk *)]; /* blocks start on a cache line */
};

struct store {
    pthread_spinlock_t lock;
    struct block *hands; /* full hands */
    struct block *loose; /* what drained caches left: no full hands */
    _Atomic bool filled; /* there is one or the other; written under the lock */
};

struct pool {
    struct tdm_env *env;
    bool direct;
    pthread_spinlock_t chunk_lock;
    struct chunk *chunks;
    struct store stores[POOL_CLASSES];
};

static unsigned class_of(size_t bytes)
{
    static const uint8_t by_64[] = { 0, 0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7 };
    if (bytes <= 1024)
        return by_64[(bytes + 63) / 64];
    return bytes <= 1536 ? 8 : bytes <= 2048 ? 9 : bytes <= 3072 ? 10 : 11;
}

static uint32_t hand_size(unsigned class)
{
    uint32_t n = HAND_BYTES / class_bytes[class];
    return n < HAND_MAX ? n : HAND_MAX;
}

int pool_new(struct pool **ret, struct tdm_env *env)
{
    struct pool *p = env->alloc(env, sizeof *p);

    if (p == NULL)
        return TDM_ENOMEM;
    memset(p, 0, sizeof *p);
    p->env = env;
    p->direct = POOL_DIRECT || strcmp(env->name, "sim") == 0;
    pthread_spin_init(&p->chunk_lock, PTHREAD_PROCESS_PRIVATE);
    for (unsigned i = 0; i < POOL_CLASSES; i++)
        pthread_spin_init(&p->stores[i].lock, PTHREAD_PROCESS_PRIVATE);
    *ret = p;
    return TDM_OK;
}

void pool_free(struct pool *p)
{
    if (p == NULL)
        return;
    for (struct chunk *c = p->chunks; c != NULL;) {
        struct chunk *next = c->next;
        p->env->free(p->env, c, CHUNK_BYTES);
        c = next;
    }
    p->env->free(p->env, p, sizeof *p);
}

/* A chunk of the thread's own: the common store's lock is not held while the environment finds memory. */
static bool hand_grow(struct pool *p, struct pool_hand *h)
{
    struct chunk *c = p->env->alloc(p->env, CHUNK_BYTES);

    if (c == NULL)
        return false;
    pthread_spin_lock(&p->chunk_lock);
    c->next = p->chunks;
    p->chunks = c;
    pthread_spin_unlock(&p->chunk_lock);
    h->fresh = (char *)(c + 1);
    h->fresh_end = (char *)c + CHUNK_BYTES;
    return true;
}

/* One block never used so far: pages that are not needed stay untouched. */
static void *cut(struct pool *p, struct pool_hand *h, unsigned class)
{
    size_t bytes = class_bytes[class];

    if ((h->fresh == NULL || (size_t)(h->fresh_end - h->fresh) < bytes) && !hand_grow(p, h))
        return NULL;
    void *b = h->fresh;
    h->fresh += bytes;
    return b;
}

/* A hand, or what drained caches left, from the common store. */
static bool refill(struct pool *p, struct pool_hand *h, unsigned class)
{
    struct store *s = &p->stores[class];
    bool found = true;

    /* relaxed: a glance; what is missed now is found next time */
    if (!atomic_load_explicit(&s->filled, memory_order_relaxed))
        return false;
    pthread_spin_lock(&s->lock);
    if (s->hands != NULL) {
        h->first = s->hands;
        h->count = hand_size(class);
        s->hands = s->hands->next_hand;
    } else if (s->loose != NULL) {
        struct block *b = s->loose;
        s->loose = b->next;
        b->next = NULL;
        h->first = b;
        h->count = 1;
    } else {
        found = false;
    }
    atomic_store_explicit(&s->filled, s->hands != NULL || s->loose != NULL, memory_order_relaxed);
    pthread_spin_unlock(&s->lock);
    return found;
}

static void *get_slow(struct pool *p, struct pool_hand *h, unsigned class)
{
    if (h->spare != NULL) {
        h->first = h->spare;
        h->count = h->spare_count;
        h->spare = NULL;
    } else if (!refill(p, h, class)) {
        return cut(p, h, class);
    }
    struct block *b = h->first;
    h->first = b->next;
    h->count--;
    return b;
}

void *pool_get(struct pool *p, struct pool_cache *cache, size_t bytes)
{
    if (p->direct || bytes > POOL_MAX)
        return p->env->alloc(p->env, bytes);
    unsigned class = class_of(bytes);
    struct pool_hand *h = &cache->hands[class];
    struct block *b = h->first;
    if (b == NULL)
        return get_slow(p, h, class);
    h->first = b->next;
    h->count--;
    return b;
}

static void hand_away(struct pool *p, struct pool_hand *h, unsigned class)
{
    struct store *s = &p->stores[class];
    struct block *full = h->spare;

    if (full != NULL) {
        pthread_spin_lock(&s->lock);
        full->next_hand = s->hands;
        s->hands = full;
        atomic_store_explicit(&s->filled, true, memory_order_relaxed); /* see refill() */
        pthread_spin_unlock(&s->lock);
    }
    h->spare = h->first;
    h->spare_count = h->count;
    h->first = NULL;
    h->count = 0;
}

void pool_put(struct pool *p, struct pool_cache *cache, void *block, size_t bytes)
{
    if (block == NULL)
        return;
    if (p->direct || bytes > POOL_MAX) {
        p->env->free(p->env, block, bytes);
        return;
    }
    unsigned class = class_of(bytes);
    struct pool_hand *h = &cache->hands[class];
    if (h->count >= hand_size(class))
        hand_away(p, h, class);
    struct block *b = block;
    b->next = h->first;
    h->first = b;
    h->count++;
}

void pool_cache_drain(struct pool *p, struct pool_cache *cache)
{
    for (unsigned class = 0; class < POOL_CLASSES; class ++) {
        struct pool_hand *h = &cache->hands[class];
        struct store *s = &p->stores[class];
        void *lists[] = { h->first, h->spare };
        pthread_spin_lock(&s->lock);
        for (unsigned i = 0; i < 2; i++) {
            for (struct block *b = lists[i]; b != NULL;) {
                struct block *next = b->next;
                b->next = s->loose;
                s->loose = b;
                b = next;
            }
        }
        atomic_store_explicit(&s->filled, s->hands != NULL || s->loose != NULL, memory_order_relaxed);
        pthread_spin_unlock(&s->lock);
        memset(h, 0, sizeof *h);
    }
}
