/* slots.c - handles to connections (see slots.h). */
#include "io/slots.h"

#include <string.h>

#include "tandem/err.h"

void slots_init(struct slots *t)
{
    memset(t, 0, sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
}

void slots_fini(struct slots *t, struct tdm_env *env)
{
    for (uint32_t i = 0; i < t->chunks; i++)
        env->free(env, t->chunk[i], sizeof(struct slot) * SLOTS_CHUNK);
    pthread_mutex_destroy(&t->lock);
}

/* One more chunk. Allocated before the lock is taken, because an allocator may be the embedder's. */
static int grow(struct slots *t, struct tdm_env *env)
{
    size_t bytes = sizeof(struct slot) * SLOTS_CHUNK;
    struct slot *fresh = env->alloc(env, bytes);
    int err = TDM_OK;

    if (fresh == NULL)
        return TDM_ENOMEM;
    memset(fresh, 0, bytes);
    pthread_mutex_lock(&t->lock);
    if (t->free == NULL && t->chunks == SLOTS_CHUNKS)
        err = TDM_EBUSY;
    if (t->free == NULL && err == TDM_OK) {
        for (uint32_t i = SLOTS_CHUNK; i-- > 0;) {
            fresh[i].index = t->chunks * SLOTS_CHUNK + i;
            fresh[i].next_free = t->free;
            t->free = &fresh[i];
        }
        /* release: whoever finds the chunk (slots_find's acquire) finds it filled in. */
        atomic_store_explicit(&t->chunk[t->chunks++], fresh, memory_order_release);
        fresh = NULL;
    }
    pthread_mutex_unlock(&t->lock);
    if (fresh != NULL)
        env->free(env, fresh, bytes); /* another thread was faster, or the table is full */
    return err;
}

int slots_take(struct slots *t, struct tdm_env *env, tdm_conn *ret)
{
    struct slot *s;
    int err;

    for (;;) {
        pthread_mutex_lock(&t->lock);
        s = t->free;
        if (s != NULL)
            t->free = s->next_free;
        pthread_mutex_unlock(&t->lock);
        if (s != NULL)
            break;
        err = grow(t, env);
        if (err != TDM_OK)
            return err;
    }
    atomic_store_explicit(&s->answer, 0, memory_order_relaxed);
    atomic_store_explicit(&s->client, 0, memory_order_relaxed);
    atomic_store_explicit(&s->unsent_max, 0, memory_order_relaxed);
    /* release: the words above are seen by whoever sees the new generation (slots_find). */
    atomic_fetch_add_explicit(&s->generation, 1, memory_order_release);
    *ret = slot_conn(s);
    return TDM_OK;
}

void slots_give(struct slots *t, struct slot *s)
{
    s->owner = NULL;
    s->kind = SLOT_FREE;
    /* release: pairs with slots_find's acquire; nothing is passed on, the handle just turns stale. */
    atomic_fetch_add_explicit(&s->generation, 1, memory_order_release);
    pthread_mutex_lock(&t->lock);
    s->next_free = t->free;
    t->free = s;
    pthread_mutex_unlock(&t->lock);
}

struct slot *slots_find(struct slots *t, tdm_conn conn)
{
    uint32_t index = (uint32_t)conn.id, generation = (uint32_t)(conn.id >> 32);
    struct slot *chunk;

    if (generation % 2 == 0 || index / SLOTS_CHUNK >= SLOTS_CHUNKS)
        return NULL;
    /* acquire, twice: the chunk's contents (grow), the slot's words (slots_take). */
    chunk = atomic_load_explicit(&t->chunk[index / SLOTS_CHUNK], memory_order_acquire);
    if (chunk == NULL)
        return NULL;
    chunk += index % SLOTS_CHUNK;
    return atomic_load_explicit(&chunk->generation, memory_order_acquire) == generation ? chunk : NULL;
}

tdm_conn slot_conn(const struct slot *s)
{
    /* relaxed: called by the slot's taker or by the loop, which saw the generation through the inbox. */
    uint64_t generation = atomic_load_explicit(&s->generation, memory_order_relaxed);
    return (tdm_conn){ .id = generation << 32 | s->index };
}
