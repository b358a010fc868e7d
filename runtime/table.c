/* table.c - from bytes to a 64-bit value, read without waiting.
 *
 * Idea:      Concurrency Kit's hash set, cut into shards: a reader takes no lock, a writer its shard's.
 *            Entries are never changed but for their value, and freed only when no reader can hold them
 *            any more (epochs).
 * Invariant: an entry is in its shard's set from the end of table_add() to the beginning of
 *            table_remove().
 * Each thread that uses a table has an epoch record, kept in a list and reused by identity. A section
 * is never left open across a callback: nothing but the lookup itself lies inside. */
#include "table.h"

#include <ck_epoch.h>
#include <ck_hs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "sanitize.h"
#include "tandem/env.h"
#include "tandem/err.h"

#ifdef WITH_TSAN
#define HANDED_OVER(p) __tsan_release(p)
#define TAKEN_OVER(p)  __tsan_acquire(p)
#else
#define HANDED_OVER(p) ((void)(p))
#define TAKEN_OVER(p)  ((void)(p))
#endif

enum { SHARDS = 64, FIRST_SIZE = 32 };

struct entry {
    union {
        struct table_link link; /* the owner's */
        ck_epoch_entry_t epoch; /* while it waits to be freed */
    };
    struct tdm_env *env;
    uint64_t hash;
    _Atomic uint64_t value;
    uint32_t bytes;
    char key[];
};

struct record {
    ck_epoch_record_t epoch;
    struct record *next;
    uint64_t owner;
    uint32_t frees;
};

struct shard {
    pthread_spinlock_t lock;
    ck_hs_t set;
    char pad[64];
};

struct table {
    struct tdm_env *env;
    uint64_t serial;
    ck_epoch_t epoch;
    pthread_mutex_t record_lock;
    struct record *records;
    _Atomic size_t count;
    struct shard shards[SHARDS];
};

/* ---- Concurrency Kit's wishes ---------------------------------------------------------------- */

struct probe {
    const void *key;
    size_t bytes;
    uint64_t hash;
};

/* The set compares stored entries with stored entries or with a probe; a probe is told by its lowest bit. */
static bool same(const void *a, const void *b)
{
    const struct entry *e = a, *f = b;
    const struct probe *p = NULL;

    if ((uintptr_t)a & 1) {
        p = (const void *)((uintptr_t)a - 1);
        e = b;
    } else if ((uintptr_t)b & 1) {
        p = (const void *)((uintptr_t)b - 1);
    }
    if (p != NULL)
        return e->hash == p->hash && e->bytes == p->bytes && memcmp(e->key, p->key, p->bytes) == 0;
    return e->hash == f->hash && e->bytes == f->bytes && memcmp(e->key, f->key, e->bytes) == 0;
}

static unsigned long hash_of(const void *object, unsigned long seed)
{
    (void)seed;
    if ((uintptr_t)object & 1)
        return ((const struct probe *)((uintptr_t)object - 1))->hash;
    return ((const struct entry *)object)->hash;
}

static void *set_malloc(size_t bytes)
{
    return malloc(bytes);
}

/* An old array that readers may still walk. */
struct deferred {
    ck_epoch_entry_t epoch;
    void *array;
};

/* The records this thread used last, by the tables' serial numbers; and the one whose table it writes to. */
enum { CACHED = 4 };
static _Thread_local struct {
    uint64_t serial;
    struct record *record;
} cached[CACHED];
static _Thread_local struct record *writing;

static void free_deferred(ck_epoch_entry_t *e)
{
    struct deferred *d = (struct deferred *)e;
    free(d->array);
    free(d);
}

static void set_free(void *p, size_t bytes, bool defer)
{
    (void)bytes;
    struct deferred *d = defer ? malloc(sizeof *d) : NULL;
    if (!defer) {
        free(p);
    } else if (d != NULL) { /* out of memory: the array is lost rather than pulled from under a reader */
        d->array = p;
        ck_epoch_call(&writing->epoch, &d->epoch, free_deferred);
    }
}

static struct ck_malloc set_memory = { .malloc = set_malloc, .free = set_free };

/* ---- records --------------------------------------------------------------------------------- */

static struct record *record_slow(struct table *t)
{
    struct tdm_env *env = t->env;
    uint64_t me =
        env->thread_identity != NULL ? env->thread_identity(env) : (uint64_t)(uintptr_t)pthread_self();
    struct record *r;

    pthread_mutex_lock(&t->record_lock);
    for (r = t->records; r != NULL && r->owner != me; r = r->next)
        ;
    if (r == NULL && (r = aligned_alloc(64, (sizeof *r + 63) & ~(size_t)63)) != NULL) {
        memset(r, 0, sizeof *r);
        ck_epoch_register(&t->epoch, &r->epoch, NULL);
        r->owner = me;
        r->next = t->records;
        t->records = r;
    }
    pthread_mutex_unlock(&t->record_lock);
    cached[t->serial % CACHED].serial = t->serial;
    cached[t->serial % CACHED].record = r;
    return r;
}

static inline struct record *record_of(struct table *t)
{
    unsigned i = t->serial % CACHED;
    if (cached[i].serial == t->serial && cached[i].record != NULL && t->env->thread_identity == NULL)
        return cached[i].record;
    return record_slow(t);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* A multiply-and-fold over eight bytes at a time; the last step spreads what there is. */
uint64_t table_hash(const void *key, size_t bytes)
{
    const unsigned char *p = key;
    uint64_t h = bytes * 0x9e3779b97f4a7c15ull + 0x632be59bd9b4e019ull;

    while (bytes >= 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        __uint128_t m = (__uint128_t)(h ^ w) * 0xd6e8feb86659fd93ull;
        h = (uint64_t)m ^ (uint64_t)(m >> 64);
        p += 8;
        bytes -= 8;
    }
    uint64_t w = 0;
    memcpy(&w, p, bytes);
    __uint128_t m = (__uint128_t)(h ^ w ^ 0xa0761d6478bd642full) * 0xe7037ed1a0b428dbull;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static struct shard *shard_of(struct table *t, uint64_t hash)
{
    return &t->shards[hash >> 58];
}

static struct entry *find(struct shard *s, struct probe *p)
{
    return ck_hs_get(&s->set, (unsigned long)p->hash, (const void *)((uintptr_t)p | 1));
}

bool table_get(struct table *t, const void *key, size_t bytes, uint64_t *value)
{
    struct record *r = record_of(t);
    struct probe p __attribute__((aligned(16))) = { key, bytes, table_hash(key, bytes) };
    struct shard *s = shard_of(t, p.hash);

    if (r == NULL)
        return false;
    ck_epoch_begin(&r->epoch, NULL);
    struct entry *e = find(s, &p);
    if (e != NULL) {
        TAKEN_OVER(s);
        *value = atomic_load_explicit(&e->value, memory_order_acquire); /* partner: table_replace */
    }
    HANDED_OVER(&t->epoch);
    ck_epoch_end(&r->epoch, NULL);
    return e != NULL;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void free_entry(ck_epoch_entry_t *epoch)
{
    struct entry *e = (struct entry *)epoch; /* the epoch is its first member, in the union */
    e->env->free(e->env, e, sizeof *e + e->bytes);
}

static struct entry *entry_new(struct table *t, const struct probe *p, uint64_t value)
{
    struct entry *e = t->env->alloc(t->env, sizeof *e + p->bytes);

    if (e == NULL)
        return NULL;
    atomic_init(&e->value, value);
    e->hash = p->hash;
    e->env = t->env;
    e->bytes = (uint32_t)p->bytes;
    memcpy(e->key, p->key, p->bytes);
    return e;
}

static int add(struct table *t, const void *key, size_t bytes, uint64_t value, uint64_t *present,
               struct entry **ret)
{
    struct record *r = record_of(t);
    struct probe p __attribute__((aligned(16))) = { key, bytes, table_hash(key, bytes) };
    struct shard *s = shard_of(t, p.hash);
    struct entry *e = r == NULL ? NULL : entry_new(t, &p, value);
    int err = TDM_OK;

    if (e == NULL)
        return TDM_ENOMEM;
    *ret = e;
    writing = r;
    pthread_spin_lock(&s->lock);
    struct entry *old = find(s, &p);
    if (old != NULL) {
        err = TDM_EEXIST;
        if (present != NULL)
            *present = atomic_load_explicit(&old->value, memory_order_acquire);
    } else {
        HANDED_OVER(s);
        if (!ck_hs_put(&s->set, (unsigned long)e->hash, e))
            err = TDM_ENOMEM;
    }
    pthread_spin_unlock(&s->lock);
    if (err < 0)
        t->env->free(t->env, e, sizeof *e + bytes);
    else
        atomic_fetch_add_explicit(&t->count, 1, memory_order_relaxed); /* a number to show */
    return err;
}

int table_add(struct table *t, const void *key, size_t bytes, uint64_t value, uint64_t *present)
{
    struct entry *e;
    return add(t, key, bytes, value, present, &e);
}

int table_add_linked(struct table *t, const void *key, size_t bytes, uint64_t value, struct table_link **link)
{
    struct entry *e;
    int err = add(t, key, bytes, value, NULL, &e);

    if (err == TDM_OK)
        *link = &e->link;
    return err;
}

struct table_link *table_link_of(struct table *t, const void *key, size_t bytes, uint64_t value)
{
    struct probe p __attribute__((aligned(16))) = { key, bytes, table_hash(key, bytes) };
    struct shard *s = shard_of(t, p.hash);

    pthread_spin_lock(&s->lock);
    struct entry *e = find(s, &p);
    if (e != NULL &&
        atomic_load_explicit(&e->value, memory_order_relaxed) != value) /* writers hold the lock */
        e = NULL;
    pthread_spin_unlock(&s->lock);
    return e == NULL ? NULL : &e->link;
}

const void *table_link_key(const struct table_link *link, size_t *bytes)
{
    const struct entry *e = (const struct entry *)link;

    *bytes = e->bytes;
    return e->key;
}

int table_replace(struct table *t, const void *key, size_t bytes, uint64_t old, uint64_t value)
{
    struct probe p __attribute__((aligned(16))) = { key, bytes, table_hash(key, bytes) };
    struct shard *s = shard_of(t, p.hash);
    int err = TDM_ENOTFOUND;

    pthread_spin_lock(&s->lock);
    struct entry *e = find(s, &p);
    if (e != NULL &&
        atomic_load_explicit(&e->value, memory_order_relaxed) == old) { /* writers hold the lock */
        atomic_store_explicit(&e->value, value, memory_order_release);  /* partner: table_get */
        err = TDM_OK;
    }
    pthread_spin_unlock(&s->lock);
    return err;
}

int table_remove(struct table *t, const void *key, size_t bytes, uint64_t value)
{
    struct record *r = record_of(t);
    struct probe p __attribute__((aligned(16))) = { key, bytes, table_hash(key, bytes) };
    struct shard *s = shard_of(t, p.hash);
    struct entry *gone = NULL;

    if (r == NULL)
        return TDM_ENOMEM;
    writing = r;
    pthread_spin_lock(&s->lock);
    struct entry *e = find(s, &p);
    if (e != NULL &&
        atomic_load_explicit(&e->value, memory_order_relaxed) == value) /* writers hold the lock */
        gone = ck_hs_remove(&s->set, (unsigned long)p.hash, (const void *)((uintptr_t)&p | 1));
    pthread_spin_unlock(&s->lock);
    if (gone == NULL)
        return TDM_ENOTFOUND;
    atomic_fetch_sub_explicit(&t->count, 1, memory_order_relaxed); /* a number to show */
    ck_epoch_call(&r->epoch, &gone->epoch, free_entry);
    if (++r->frees % 64 == 0) {
        TAKEN_OVER(&t->epoch);
        ck_epoch_poll(&r->epoch);
    }
    return TDM_OK;
}

size_t table_count(const struct table *t)
{
    return atomic_load_explicit(&t->count, memory_order_relaxed); /* a number to show */
}

void table_each(struct table *t, void (*fn)(void *ctx, const void *key, size_t bytes, uint64_t value),
                void *ctx)
{
    for (int i = 0; i < SHARDS; i++) {
        struct shard *s = &t->shards[i];
        ck_hs_iterator_t it = CK_HS_ITERATOR_INITIALIZER;
        void *at;
        pthread_spin_lock(&s->lock);
        while (ck_hs_next(&s->set, &it, &at)) {
            const struct entry *e = at;
            fn(ctx, e->key, e->bytes,
               atomic_load_explicit(&e->value, memory_order_relaxed)); /* under the lock */
        }
        pthread_spin_unlock(&s->lock);
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

int table_new(struct table **ret, struct tdm_env *env)
{
    static _Atomic uint64_t serials;
    struct table *t = aligned_alloc(64, (sizeof *t + 63) & ~(size_t)63);

    if (t == NULL)
        return TDM_ENOMEM;
    memset(t, 0, sizeof *t);
    t->env = env;
    t->serial = atomic_fetch_add_explicit(&serials, 1, memory_order_relaxed) + 1;
    ck_epoch_init(&t->epoch);
    pthread_mutex_init(&t->record_lock, NULL);
    for (int i = 0; i < SHARDS; i++) {
        pthread_spin_init(&t->shards[i].lock, PTHREAD_PROCESS_PRIVATE);
        if (!ck_hs_init(&t->shards[i].set, CK_HS_MODE_SPMC | CK_HS_MODE_OBJECT | CK_HS_MODE_DELETE, hash_of,
                        same, &set_memory, FIRST_SIZE, 0)) {
            table_free(t);
            return TDM_ENOMEM;
        }
    }
    *ret = t;
    return TDM_OK;
}

static void free_all(struct shard *s)
{
    ck_hs_iterator_t it = CK_HS_ITERATOR_INITIALIZER;
    void *at;

    if (s->set.map == NULL)
        return;
    while (ck_hs_next(&s->set, &it, &at))
        free_entry(&((struct entry *)at)->epoch);
    ck_hs_destroy(&s->set);
}

void table_free(struct table *t)
{
    if (t == NULL)
        return;
    for (int i = 0; i < SHARDS; i++)
        free_all(&t->shards[i]);
    while (t->records != NULL) {
        struct record *next = t->records->next;
        ck_epoch_reclaim(&t->records->epoch);
        free(t->records);
        t->records = next;
    }
    pthread_mutex_destroy(&t->record_lock);
    free(t);
}
