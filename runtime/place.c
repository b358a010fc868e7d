/* place.c - the place a child has over all its incarnations: who lives in it, and its end.
 *
 * A place's word `place_end` is written by any thread and read by the supervisor before a restart. */
#include "family.h"

/* In place_end: the birth above, and below it the type of the last message, or this. */
#define OVER_AT_ONCE 0xffffffffu

/* An incarnation that lived before the send finds the end in its mailbox, and if it crashes before it gets there, its
 * successor does: nothing that was delivered is lost. With none there, or when the end itself was being handled at the
 * crash, nobody is started any more. The birth says which place is meant: a later tenant of the slot is not touched. */
int tdm_place_end(struct tdm_runtime *rt, tdm_place place, struct tdm_msg *last)
{
    struct tdm_self *a = actor_of(rt, place.id | PLACE_BIT);
    uint32_t type = last->type;

    if (a == NULL)
        return TDM_ENOPROC;
    bool lived = atomic_load_explicit(&a->gen, memory_order_seq_cst) != 0;
    int err = actor_post(rt, place.id | PLACE_BIT, last);
    /* seq_cst: a supervisor that does not see this yet starts an incarnation that finds the end in its mail */
    atomic_store_explicit(&a->place_end, (uint64_t)id_gen(place.id) << 32 | (lived ? type : OVER_AT_ONCE),
                          memory_order_seq_cst);
    return err;
}

bool family_place_over(const struct child *c)
{
    uint32_t birth =
        atomic_load_explicit(&c->actor->birth, memory_order_relaxed); /* stands while the child does */
    uint64_t end = atomic_load_explicit(&c->actor->place_end, memory_order_seq_cst);

    if (end >> 32 != birth)
        return false;
    return (uint32_t)end == OVER_AT_ONCE || !actor_has_unread(c->actor, (uint32_t)end);
}

tdm_pid tdm_place_pid(struct tdm_runtime *rt, tdm_place place)
{
    struct tdm_self *a = actor_of(rt, place.id | PLACE_BIT);
    uint32_t gen = a == NULL ? 0 : atomic_load_explicit(&a->gen, memory_order_acquire);

    return (tdm_pid){ gen == 0 ? 0 : id_make(gen, a->slot) };
}
