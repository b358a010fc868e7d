/* group.c - groups of actors: from a name to all who joined under it.
 *
 * Idea:      a membership is one small block in two lists: its group's, in the order of joining, and its actor's, so
 *            that an end leaves all groups without a search. A group is there while it has members.
 * Invariant: a membership is in its group's list from the end of a join until it is left, and that is before its
 *            actor's address goes: who learns of an end finds no trace of it here.
 * Groups lie in shards with a lock each; under it is everything but the actor's own list, which only its worker
 * touches. A lock is held while members are copied, never while anybody's code runs. */
#include <string.h>

#include "runtime.h"
#include "table.h"
#include "tandem/registry.h"

enum { SHARDS = 32, FIRST_BUCKETS = 16 };

struct group {
    struct group *next; /* in its bucket */
    struct membership *first, *last;
    size_t members;
    uint64_t hash;
    size_t bytes;
    char name[];
};

struct membership {
    struct membership *next, *prev; /* in the group */
    struct membership *own_next;    /* of the actor */
    struct group *group;
    tdm_pid pid;
};

struct groups {
    struct tdm_env *env;
    struct group_shard {
        pthread_spinlock_t lock;
        uint32_t n_groups, n_buckets; /* a power of two */
        struct group **buckets;
        char pad[40];
    } shards[SHARDS];
};

static struct group_shard *shard_of(struct groups *gs, uint64_t hash)
{
    return &gs->shards[hash % SHARDS];
}

/* ---- under the shard's lock ------------------------------------------------------------------ */

static struct group **bucket_of(struct group_shard *s, uint64_t hash)
{
    return &s->buckets[(hash / SHARDS) & (s->n_buckets - 1)];
}

static struct group **find(struct group_shard *s, uint64_t hash, const void *name, size_t bytes)
{
    struct group **at = bucket_of(s, hash);

    while (*at != NULL &&
           !((*at)->hash == hash && (*at)->bytes == bytes && memcmp((*at)->name, name, bytes) == 0))
        at = &(*at)->next;
    return at;
}

/* Without memory the old buckets do: their lists are longer then. */
static void grow(struct groups *gs, struct group_shard *s)
{
    struct group **old = s->buckets;
    uint32_t n = s->n_buckets;
    struct group **buckets = gs->env->alloc(gs->env, 2 * n * sizeof *buckets);

    if (buckets == NULL)
        return;
    memset(buckets, 0, 2 * n * sizeof *buckets);
    s->buckets = buckets;
    s->n_buckets = 2 * n;
    for (uint32_t i = 0; i < n; i++) {
        for (struct group *g = old[i], *next; g != NULL; g = next) {
            struct group **at = bucket_of(s, g->hash);
            next = g->next;
            g->next = *at;
            *at = g;
        }
    }
    gs->env->free(gs->env, old, n * sizeof *old);
}

static void enter(struct group *g, struct membership *m)
{
    m->group = g;
    m->next = NULL;
    m->prev = g->last;
    if (g->last != NULL)
        g->last->next = m;
    else
        g->first = m;
    g->last = m;
    g->members++;
}

/* The group, if that was its last member: no longer to be found, to be freed by the caller. */
static struct group *leave(struct group_shard *s, struct membership *m)
{
    struct group *g = m->group;

    if (m->prev != NULL)
        m->prev->next = m->next;
    else
        g->first = m->next;
    if (m->next != NULL)
        m->next->prev = m->prev;
    else
        g->last = m->prev;
    if (--g->members > 0)
        return NULL;
    struct group **at = bucket_of(s, g->hash);
    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    s->n_groups--;
    return g;
}

/* ---- joining and leaving --------------------------------------------------------------------- */

static void free_group(struct tdm_runtime *rt, struct group *g)
{
    if (g != NULL)
        runtime_free_block(rt, g, sizeof *g + g->bytes);
}

static struct group *group_new(struct tdm_runtime *rt, uint64_t hash, const void *name, size_t bytes)
{
    struct group *g = runtime_alloc(rt, sizeof *g + bytes);

    if (g == NULL)
        return NULL;
    *g = (struct group){ .hash = hash, .bytes = bytes };
    memcpy(g->name, name, bytes);
    return g;
}

/* `fresh` is used if there is no group of this name; else it comes back. */
static struct group *join(struct groups *gs, struct membership *m, struct group *fresh)
{
    struct group_shard *s = shard_of(gs, fresh->hash);

    pthread_spin_lock(&s->lock);
    struct group **at = find(s, fresh->hash, fresh->name, fresh->bytes);
    if (*at == NULL) {
        *at = fresh;
        fresh = NULL;
    }
    enter(*at, m);
    if (fresh == NULL && ++s->n_groups > s->n_buckets)
        grow(gs, s);
    pthread_spin_unlock(&s->lock);
    return fresh;
}

int tdm_group_join(tdm_self *self, const void *group, size_t bytes)
{
    struct tdm_runtime *rt = self->rt;

    if (bytes == 0 || bytes > TDM_NAME_MAX)
        return TDM_EINVAL;
    struct membership *m = runtime_alloc(rt, sizeof *m);
    struct group *fresh = group_new(rt, table_hash(group, bytes), group, bytes);
    if (m == NULL || fresh == NULL) {
        runtime_free_block(rt, m, sizeof *m);
        free_group(rt, fresh);
        return TDM_ENOMEM;
    }
    m->pid = tdm_self_pid(self);
    m->own_next = self->memberships;
    self->memberships = m;
    free_group(rt, join(rt->groups, m, fresh));
    return TDM_OK;
}

static void drop(struct tdm_self *a, struct membership **at)
{
    struct membership *m = *at;
    struct group_shard *s = shard_of(a->rt->groups, m->group->hash);

    *at = m->own_next;
    pthread_spin_lock(&s->lock);
    struct group *empty = leave(s, m);
    pthread_spin_unlock(&s->lock);
    free_group(a->rt, empty);
    runtime_free_block(a->rt, m, sizeof *m);
}

int tdm_group_leave(tdm_self *self, const void *group, size_t bytes)
{
    struct membership **at = &self->memberships;

    /* a group's name is never changed, and it is there while we are in it: no lock to read it */
    while (*at != NULL && !((*at)->group->bytes == bytes && memcmp((*at)->group->name, group, bytes) == 0))
        at = &(*at)->own_next;
    if (*at == NULL)
        return TDM_ENOTFOUND;
    drop(self, at);
    return TDM_OK;
}

void group_actor_ended(struct tdm_self *a)
{
    while (a->memberships != NULL)
        drop(a, &a->memberships);
}

size_t tdm_group_members(struct tdm_runtime *rt, const void *group, size_t bytes, tdm_pid *members,
                         size_t room)
{
    if (bytes == 0)
        return 0;
    uint64_t hash = table_hash(group, bytes);
    struct group_shard *s = shard_of(rt->groups, hash);
    size_t n = 0, written = 0;

    pthread_spin_lock(&s->lock);
    const struct group *g = *find(s, hash, group, bytes);
    if (g != NULL) {
        n = g->members;
        for (const struct membership *m = g->first; m != NULL && written < room; m = m->next)
            members[written++] = m->pid;
    }
    pthread_spin_unlock(&s->lock);
    return n;
}

/* ---- life ------------------------------------------------------------------------------------ */

int groups_new(struct groups **ret, struct tdm_env *env)
{
    struct groups *gs = env->alloc(env, sizeof *gs);

    if (gs == NULL)
        return TDM_ENOMEM;
    memset(gs, 0, sizeof *gs);
    gs->env = env;
    for (int i = 0; i < SHARDS; i++) {
        struct group_shard *s = &gs->shards[i];
        pthread_spin_init(&s->lock, PTHREAD_PROCESS_PRIVATE);
        s->buckets = env->alloc(env, FIRST_BUCKETS * sizeof *s->buckets);
        if (s->buckets == NULL) {
            groups_free(gs);
            return TDM_ENOMEM;
        }
        memset(s->buckets, 0, FIRST_BUCKETS * sizeof *s->buckets);
        s->n_buckets = FIRST_BUCKETS;
    }
    *ret = gs;
    return TDM_OK;
}

/* The actors are gone, and their memberships with them. */
void groups_free(struct groups *gs)
{
    if (gs == NULL)
        return;
    for (int i = 0; i < SHARDS; i++)
        if (gs->shards[i].buckets != NULL)
            gs->env->free(gs->env, gs->shards[i].buckets, gs->shards[i].n_buckets * sizeof(struct group *));
    gs->env->free(gs->env, gs, sizeof *gs);
}
