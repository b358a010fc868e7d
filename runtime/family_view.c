/* family_view.c - what can be seen of a family's children: how many live, which one has this address, what it is.
 *
 * Idea:      an actor names the family it is in (`parent`), written under the lock of its shard. So who finds this family
 *            there, under that lock, may look at the child. */
#include <string.h>

#include "family.h"
#include "module.h"

uint32_t family_active(struct family *f)
{
    uint32_t waiting = 0;

    for (int i = 0; i < SHARDS; i++) {
        pthread_spin_lock(&f->shards[i].lock);
        waiting += f->shards[i].waiting;
        pthread_spin_unlock(&f->shards[i].lock);
    }
    uint32_t all = family_size(f);
    return all > waiting ? all - waiting : 0;
}

uint32_t tdm_sup_active(struct tdm_runtime *rt, tdm_pid sup)
{
    struct family *f = family_hold(rt, sup);
    uint32_t n = f == NULL ? 0 : family_active(f);

    family_unref(f);
    return n;
}

tdm_pid family_pid_of(const struct child *c)
{
    uint32_t gen = atomic_load_explicit(&c->actor->gen, memory_order_acquire);
    return (tdm_pid){ gen == 0 ? 0 : id_make(gen, c->actor->slot) };
}

/* Under the lock of the slot's shard. While `parent` is this family nobody but a holder of this lock changes that, and
 * `child` was written before it was set. */
static struct child *child_of(struct family *f, tdm_pid pid)
{
    struct tdm_self *a = actor_by_slot(f->rt, id_slot(pid.id));

    if (a == NULL || atomic_load_explicit(&a->parent, memory_order_relaxed) != f)
        return NULL;
    struct child *c = a->child;
    bool up = atomic_load_explicit(&c->up, memory_order_relaxed); /* the one before it had told of its end */
    return c->pid.id == pid.id || (!up && c->last_up.id == pid.id) ? c : NULL;
}

struct child *family_terminate(struct family *f, tdm_pid pid)
{
    unsigned shard = id_slot(pid.id) % SHARDS;

    pthread_spin_lock(&f->shards[shard].lock);
    struct child *c = child_of(f, pid);
    if (c != NULL)
        atomic_store_explicit(&c->told, true, memory_order_relaxed); /* under the lock */
    pthread_spin_unlock(&f->shards[shard].lock);
    return c;
}

void family_untell(struct child *c)
{
    unsigned shard = family_shard(c);

    pthread_spin_lock(&c->family->shards[shard].lock);
    atomic_store_explicit(&c->told, false, memory_order_relaxed); /* under the lock */
    pthread_spin_unlock(&c->family->shards[shard].lock);
}

static void describe(const struct child *c, struct tdm_child_info *i)
{
    uint32_t birth =
        atomic_load_explicit(&c->actor->birth, memory_order_relaxed); /* stands while the child does */
    bool up = atomic_load_explicit(&c->up, memory_order_relaxed);     /* as of about now */

    memset(i, 0, sizeof *i);
    i->state = c->state == CHILD_RUNNING && up ? TDM_CHILD_RUNNING
               : c->state == CHILD_RUNNING     ? TDM_CHILD_STARTING
                                               : TDM_CHILD_RESTARTING;
    if (c->state == CHILD_RUNNING)
        i->pid = c->pid;
    i->place = (tdm_place){ id_make(birth, c->actor->slot) | PLACE_BIT };
    i->type = c->spec->type;
    i->restart = c->spec->restart;
    i->restarts = c->restarts;
    i->module = module_or_behaviour(&c->spec->start);
}

bool family_child_info(struct family *f, tdm_pid pid, struct tdm_child_info *ret)
{
    unsigned shard = id_slot(pid.id) % SHARDS;

    pthread_spin_lock(&f->shards[shard].lock);
    const struct child *c = child_of(f, pid);
    if (c != NULL)
        describe(c, ret);
    pthread_spin_unlock(&f->shards[shard].lock);
    return c != NULL;
}

uint32_t family_infos(struct family *f, struct tdm_child_info *infos, uint32_t room)
{
    uint32_t n = 0;

    for (int i = 0; i < SHARDS; i++) {
        pthread_spin_lock(&f->shards[i].lock);
        for (const struct child *c = f->shards[i].first; c != NULL && n < room; c = c->next)
            describe(c, &infos[n++]);
        pthread_spin_unlock(&f->shards[i].lock);
    }
    return n;
}
