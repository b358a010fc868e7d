/* slot.c - where actors live, and how an address finds one.
 *
 * Idea:      an address is a slot number and a generation. Slots stay mapped for the life of the
 *            runtime, so following a stale address is safe: the generation does not match.
 * Invariant: a slot's generations only grow, over restarts and over tenants; a slot whose generations
 *            are used up is left empty for ever. So no address is ever given out twice.
 * Threads keep a hand of free slots; the common list is locked only to fill or empty a hand. */
#include <string.h>

#include "runtime.h"
#include "slot.h"

#define GEN_MAX 0x7ffffffeu

struct tdm_self *actor_by_slot(struct tdm_runtime *rt, uint32_t slot)
{
    uint32_t c = slot / SLOTS_PER_CHUNK;

    if (c >= rt->n_chunks)
        return NULL;
    /* acquire: the slots' contents (partner: chunk_make) */
    struct tdm_self *chunk = atomic_load_explicit(&rt->chunks[c], memory_order_acquire);
    return chunk == NULL ? NULL : &chunk[slot % SLOTS_PER_CHUNK];
}

struct tdm_self *actor_of(struct tdm_runtime *rt, uint64_t id)
{
    struct tdm_self *a = actor_by_slot(rt, id_slot(id));

    if (a == NULL || id_gen(id) == 0)
        return NULL;
    /* acquire: what was written before the address became valid (partner: actor_launch) */
    uint32_t gen = atomic_load_explicit(id_is_place(id) ? &a->birth : &a->gen, memory_order_acquire);
    return gen == id_gen(id) ? a : NULL;
}

static struct tdm_self *chunk_make(struct tdm_runtime *rt, uint32_t c)
{
    size_t bytes = SLOTS_PER_CHUNK * sizeof(struct tdm_self);
    void *block = rt->env->alloc(rt->env, bytes + 64);

    if (block == NULL)
        return NULL;
    struct tdm_self *chunk = (void *)(((uintptr_t)block + 63) & ~(uintptr_t)63);
    memset(chunk, 0, bytes);
    for (uint32_t i = 0; i < SLOTS_PER_CHUNK; i++) {
        chunk[i].rt = rt;
        chunk[i].slot = c * SLOTS_PER_CHUNK + i;
        chunk[i].next_gen = 1;
        atomic_init(&chunk[i].box.word, BOX_CLOSED);
        pthread_spin_init(&chunk[i].lock, PTHREAD_PROCESS_PRIVATE);
    }
    rt->chunk_blocks[c] = block;
    atomic_store_explicit(&rt->chunks[c], chunk, memory_order_release); /* partner: actor_by_slot */
    return chunk;
}

/* Under slot_lock: up to `want` slots into `out`, used ones first. */
static uint32_t take_common(struct tdm_runtime *rt, uint32_t *out, uint32_t want)
{
    uint32_t n = 0;

    while (n < want && rt->free_slot_count > 0)
        out[n++] = rt->free_slots[--rt->free_slot_count];
    while (n < want) {
        uint32_t slot = atomic_load_explicit(&rt->slots_made, memory_order_relaxed); /* under the lock */
        uint32_t c = slot / SLOTS_PER_CHUNK;
        if (c >= rt->n_chunks || (slot % SLOTS_PER_CHUNK == 0 && chunk_make(rt, c) == NULL))
            break;
        atomic_store_explicit(&rt->slots_made, slot + 1, memory_order_relaxed);
        out[n++] = slot;
    }
    return n;
}

struct tdm_self *slot_take(struct tdm_runtime *rt)
{
    struct thread *t = runtime_thread(rt);

    if (t == NULL)
        return NULL;
    if (t->free_slot_count == 0) {
        uint32_t hand[SLOT_HAND / 2];
        pthread_mutex_lock(&rt->slot_lock);
        uint32_t n = take_common(rt, hand, SLOT_HAND / 2);
        pthread_mutex_unlock(&rt->slot_lock);
        for (uint32_t i = 0; i < n; i++) /* lowest number on top */
            t->free_slots[i] = hand[n - 1 - i];
        t->free_slot_count = n;
        if (n == 0)
            return NULL;
    }
    return actor_by_slot(rt, t->free_slots[--t->free_slot_count]);
}

/* Under slot_lock. Room was made for every slot that exists, so this cannot fail. */
static bool room_for_all(struct tdm_runtime *rt)
{
    uint32_t need = atomic_load_explicit(&rt->slots_made, memory_order_relaxed); /* under the lock */

    if (rt->free_slot_room >= need)
        return true;
    uint32_t room = need * 2;
    uint32_t *list = rt->env->alloc(rt->env, room * sizeof *list);
    if (list == NULL)
        return false;
    if (rt->free_slots != NULL) {
        memcpy(list, rt->free_slots, rt->free_slot_count * sizeof *list);
        rt->env->free(rt->env, rt->free_slots, rt->free_slot_room * sizeof *list);
    }
    rt->free_slots = list;
    rt->free_slot_room = room;
    return true;
}

void slot_give(struct tdm_self *a)
{
    struct tdm_runtime *rt = a->rt;
    struct thread *t = runtime_thread(rt);

    if (t == NULL || a->next_gen >= GEN_MAX)
        return; /* out of memory or out of generations: the slot stays empty */
    if (t->free_slot_count == SLOT_HAND) {
        pthread_mutex_lock(&rt->slot_lock);
        if (room_for_all(rt)) {
            uint32_t half = SLOT_HAND / 2;
            memcpy(rt->free_slots + rt->free_slot_count, t->free_slots, half * sizeof *t->free_slots);
            rt->free_slot_count += half;
            memmove(t->free_slots, t->free_slots + half, half * sizeof *t->free_slots);
            t->free_slot_count = half;
        }
        pthread_mutex_unlock(&rt->slot_lock);
    }
    if (t->free_slot_count < SLOT_HAND)
        t->free_slots[t->free_slot_count++] = a->slot;
}

int slots_new(struct tdm_runtime *rt, uint32_t max_actors)
{
    struct tdm_env *env = rt->env;
    uint32_t n = (max_actors + SLOTS_PER_CHUNK - 1) / SLOTS_PER_CHUNK;

    rt->chunks = env->alloc(env, n * sizeof *rt->chunks);
    rt->chunk_blocks = env->alloc(env, n * sizeof *rt->chunk_blocks);
    if (rt->chunks == NULL || rt->chunk_blocks == NULL)
        return TDM_ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        atomic_init(&rt->chunks[i], NULL);
        rt->chunk_blocks[i] = NULL;
    }
    rt->n_chunks = n;
    return TDM_OK;
}

void slots_free(struct tdm_runtime *rt, uint32_t max_actors)
{
    struct tdm_env *env = rt->env;
    uint32_t n = (max_actors + SLOTS_PER_CHUNK - 1) / SLOTS_PER_CHUNK;

    for (uint32_t i = 0; i < rt->n_chunks; i++)
        if (rt->chunk_blocks[i] != NULL)
            env->free(env, rt->chunk_blocks[i], SLOTS_PER_CHUNK * sizeof(struct tdm_self) + 64);
    if (rt->chunks != NULL)
        env->free(env, rt->chunks, n * sizeof *rt->chunks);
    if (rt->chunk_blocks != NULL)
        env->free(env, rt->chunk_blocks, n * sizeof *rt->chunk_blocks);
    if (rt->free_slots != NULL)
        env->free(env, rt->free_slots, rt->free_slot_room * sizeof *rt->free_slots);
}
