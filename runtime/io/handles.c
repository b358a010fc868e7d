/* handles.c - handles to connections (see handles.h). */
#include "io/handles.h"

#include <string.h>

#include "tandem/err.h"

void handles_init(struct handles *t)
{
    memset(t, 0, sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
}

void handles_fini(struct handles *t, struct tdm_env *env)
{
    for (uint32_t i = 0; i < t->chunks; i++)
        env->free(env, t->chunk[i], sizeof(struct handle) * HANDLES_CHUNK);
    pthread_mutex_destroy(&t->lock);
}

/* One more chunk. Allocated before the lock is taken, because an allocator may be the embedder's. */
static int grow(struct handles *t, struct tdm_env *env)
{
    size_t bytes = sizeof(struct handle) * HANDLES_CHUNK;
    struct handle *fresh = env->alloc(env, bytes);
    int err = TDM_OK;

    if (fresh == NULL)
        return TDM_ENOMEM;
    memset(fresh, 0, bytes);
    pthread_mutex_lock(&t->lock);
    if (t->free == NULL && t->chunks == HANDLES_CHUNKS)
        err = TDM_EBUSY;
    if (t->free == NULL && err == TDM_OK) {
        for (uint32_t i = HANDLES_CHUNK; i-- > 0;) {
            fresh[i].index = t->chunks * HANDLES_CHUNK + i;
            fresh[i].next_free = t->free;
            t->free = &fresh[i];
        }
        /* release: whoever finds the chunk (handles_find's acquire) finds it filled in. */
        atomic_store_explicit(&t->chunk[t->chunks++], fresh, memory_order_release);
        fresh = NULL;
    }
    pthread_mutex_unlock(&t->lock);
    if (fresh != NULL)
        env->free(env, fresh, bytes); /* another thread was faster, or the table is full */
    return err;
}

int handles_take(struct handles *t, struct tdm_env *env, tdm_conn *ret)
{
    struct handle *s;
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
    /* release: the words above are seen by whoever sees the new generation (handles_find). */
    atomic_fetch_add_explicit(&s->generation, 1, memory_order_release);
    *ret = handle_conn(s);
    return TDM_OK;
}

void handles_rename(struct handle *h)
{
    /* release: as handles_give(); by two, because an odd generation means taken. */
    atomic_fetch_add_explicit(&h->generation, 2, memory_order_release);
}

void handles_give(struct handles *t, struct handle *s)
{
    s->owner = NULL;
    s->kind = HANDLE_FREE;
    /* release: pairs with handles_find's acquire; nothing is passed on, the handle just turns stale. */
    atomic_fetch_add_explicit(&s->generation, 1, memory_order_release);
    pthread_mutex_lock(&t->lock);
    s->next_free = t->free;
    t->free = s;
    pthread_mutex_unlock(&t->lock);
}

struct handle *handles_find(struct handles *t, tdm_conn conn)
{
    uint32_t index = (uint32_t)conn.id, generation = (uint32_t)(conn.id >> 32);
    struct handle *chunk;

    if (generation % 2 == 0 || index / HANDLES_CHUNK >= HANDLES_CHUNKS)
        return NULL;
    /* acquire, twice: the chunk's contents (grow), the handle's words (handles_take). */
    chunk = atomic_load_explicit(&t->chunk[index / HANDLES_CHUNK], memory_order_acquire);
    if (chunk == NULL)
        return NULL;
    chunk += index % HANDLES_CHUNK;
    return atomic_load_explicit(&chunk->generation, memory_order_acquire) == generation ? chunk : NULL;
}

tdm_conn handle_conn(const struct handle *s)
{
    /* relaxed: called by the handle's taker or by the loop, which saw the generation through the inbox. */
    uint64_t generation = atomic_load_explicit(&s->generation, memory_order_relaxed);
    return (tdm_conn){ .id = generation << 32 | s->index };
}
