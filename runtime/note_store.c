/* note_store.c - which record of the shared memory belongs to which key, and who owns it.
 *
 * Idea:      the shared memory (note_map.c) holds nothing but records. The books on them are this process's own and are
 *            made anew from the records when a runtime begins: a hash table by key, a list of free ones.
 * Owner:     the place whose actor claimed the key. It alone writes the record, without a lock, in its own turn. A record
 *            without an owner is what an earlier process, or an actor that was lost, has left: it waits to be claimed
 *            again, or to be dropped because what its key stands for has ended.
 * The lock is held for a few steps; it guards the books, and the take and drop of records. */
#include "note_store.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "note_map.h"
#include "tandem/log.h"
#include "tandem/metrics.h"

enum { NONE = -1, SLICE = 64 };

TDM_COUNTER(damaged, "tandem_notes_damaged_total", "saved notes that were found damaged and dropped");

TDM_COUNTER(held, "tandem_notes", "notes that outlive the process, now");

struct entry {
    int32_t next; /* in its bucket, or in the list of free ones */
    bool used, owned;
    bool ended; /* dropped when its owner lets go */
};

struct tdm_note_store {
    struct note_map map;
    pthread_mutex_t lock;
    /* under the lock, between attach and detach */
    struct tdm_env *env;
    struct entry *entries;
    int32_t *buckets;
    int32_t free;
    size_t used;
};

int tdm_note_store_open(struct tdm_note_store **ret, const struct tdm_note_store_cfg *cfg, char *why,
                        size_t why_bytes)
{
    struct tdm_note_store *s = calloc(1, sizeof *s);

    if (s == NULL)
        return TDM_ENOMEM;
    int err = note_map_open(&s->map, cfg, why, why_bytes);
    if (err < 0) {
        free(s);
        return err;
    }
    pthread_mutex_init(&s->lock, NULL);
    *ret = s;
    return TDM_OK;
}

void tdm_note_store_close(struct tdm_note_store *s)
{
    if (s == NULL)
        return;
    note_map_close(&s->map);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void note_store_watch(struct tdm_note_store *s, void (*point)(void *ctx), void *ctx)
{
    s->map.point = point;
    s->map.point_ctx = ctx;
}

void *note_store_memory(struct tdm_note_store *s, size_t *bytes)
{
    *bytes = s->map.bytes;
    return s->map.at;
}

/* ---- the books: all under the lock ----------------------------------------------------------- */

static int32_t *bucket_of(struct tdm_note_store *s, const void *key, size_t bytes)
{
    const unsigned char *p = key;
    uint64_t h = 14695981039346656037u;

    for (size_t i = 0; i < bytes; i++)
        h = (h ^ p[i]) * 1099511628211u;
    return &s->buckets[(h ^ h >> 32) % s->map.records];
}

static int32_t *find(struct tdm_note_store *s, const void *key, size_t bytes)
{
    int32_t *at = bucket_of(s, key, bytes);

    while (*at != NONE) {
        const struct note_record *r = note_map_record(&s->map, (uint32_t)*at);

        if (r->key_bytes == bytes && memcmp(r->key, key, bytes) == 0)
            break;
        at = &s->entries[*at].next;
    }
    return at;
}

static void enter(struct tdm_note_store *s, int32_t i, bool owned)
{
    const struct note_record *r = note_map_record(&s->map, (uint32_t)i);
    int32_t *bucket = bucket_of(s, r->key, r->key_bytes);

    s->entries[i] = (struct entry){ .next = *bucket, .used = true, .owned = owned };
    *bucket = i;
    s->used++;
    tdm_count(&held, 1);
}

static void put_free(struct tdm_note_store *s, int32_t i)
{
    s->entries[i] = (struct entry){ .next = s->free };
    s->free = i;
}

static void drop(struct tdm_note_store *s, int32_t *at)
{
    const int32_t i = *at;

    *at = s->entries[i].next;
    note_map_drop(&s->map, (uint32_t)i);
    put_free(s, i);
    s->used--;
    tdm_count(&held, -1);
}

static void drop_record(struct tdm_note_store *s, int32_t i)
{
    const struct note_record *r = note_map_record(&s->map, (uint32_t)i);

    drop(s, find(s, r->key, r->key_bytes));
}

/* ---- beginning ------------------------------------------------------------------------------- */

/* One record of an earlier process, if it is of use. */
static void take_over(struct tdm_note_store *s, int32_t i)
{
    const struct note_record *r = note_map_record(&s->map, (uint32_t)i);

    if (atomic_load_explicit(&r->used, memory_order_acquire) == 0) /* partner: note_map_take() */
        return;
    if (!note_map_sound(r) || *find(s, r->key, r->key_bytes) != NONE) {
        tdm_count(&damaged, 1);
        tdm_log_warn("notes.damaged", "record=%d words=\"dropped\"", (int)i);
        note_map_drop(&s->map, (uint32_t)i);
        return;
    }
    enter(s, i, false);
}

int note_store_attach(struct tdm_note_store *s, struct tdm_env *env)
{
    const size_t n = s->map.records;

    if (s->env != NULL)
        return TDM_EBUSY;
    s->entries = env->alloc(env, n * sizeof *s->entries);
    s->buckets = env->alloc(env, n * sizeof *s->buckets);
    s->env = env;
    if (s->entries == NULL || s->buckets == NULL) {
        note_store_detach(s);
        return TDM_ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        s->buckets[i] = NONE;
    s->free = NONE;
    s->used = 0;
    memset(s->entries, 0, n * sizeof *s->entries);
    for (uint32_t i = note_map_data(&s->map, 0); i < n; i = note_map_data(&s->map, i + 1))
        take_over(s, (int32_t)i);
    for (int32_t i = (int32_t)n - 1; i >= 0; i--)
        if (!s->entries[i].used)
            put_free(s, i);
    return TDM_OK;
}

void note_store_detach(struct tdm_note_store *s)
{
    if (s == NULL || s->env == NULL)
        return;
    tdm_count(&held, -(int64_t)s->used);
    s->used = 0;
    if (s->entries != NULL)
        s->env->free(s->env, s->entries, s->map.records * sizeof *s->entries);
    if (s->buckets != NULL)
        s->env->free(s->env, s->buckets, s->map.records * sizeof *s->buckets);
    s->entries = NULL;
    s->buckets = NULL;
    s->env = NULL;
}

/* ---- the life of a record -------------------------------------------------------------------- */

int note_store_claim(struct tdm_note_store *s, const void *key, size_t bytes, bool resume, int *record)
{
    int err = TDM_OK;

    *record = NOTE_NO_RECORD;
    if (bytes > TDM_NOTE_KEY_MAX)
        return TDM_ETOOBIG;
    pthread_mutex_lock(&s->lock);
    int32_t *at = find(s, key, bytes);
    if (*at != NONE && s->entries[*at].owned) {
        err = TDM_EEXIST;
    } else if (*at != NONE && !resume) {
        drop(s, at);
    } else if (*at != NONE) {
        s->entries[*at].owned = true;
        *record = *at;
    }
    pthread_mutex_unlock(&s->lock);
    return err;
}

/* Under the lock. */
static int take_free(struct tdm_note_store *s, const void *key, size_t bytes, int *record)
{
    const int32_t i = s->free;

    if (i == NONE)
        return TDM_EFULL;
    if (*find(s, key, bytes) != NONE)
        return TDM_EEXIST;
    int err = note_map_take(&s->map, (uint32_t)i, key, bytes);
    if (err < 0)
        return err;
    s->free = s->entries[i].next;
    enter(s, i, true);
    *record = i;
    return TDM_OK;
}

int note_store_make(struct tdm_note_store *s, const void *key, size_t bytes, int *record)
{
    pthread_mutex_lock(&s->lock);
    int err = bytes > TDM_NOTE_KEY_MAX ? TDM_ETOOBIG : take_free(s, key, bytes, record);
    pthread_mutex_unlock(&s->lock);
    return err;
}

void note_store_write(struct tdm_note_store *s, int record, const void *note, size_t bytes)
{
    note_map_write(&s->map, (uint32_t)record, note, bytes);
}

size_t note_store_read(const struct tdm_note_store *s, int record, void *buf)
{
    return note_map_read(&s->map, (uint32_t)record, buf);
}

void note_store_release(struct tdm_note_store *s, int record)
{
    pthread_mutex_lock(&s->lock);
    s->entries[record].owned = false;
    if (s->entries[record].ended)
        drop_record(s, record);
    pthread_mutex_unlock(&s->lock);
}

void note_store_forget(struct tdm_note_store *s, const void *key, size_t bytes)
{
    if (bytes > TDM_NOTE_KEY_MAX)
        return;
    pthread_mutex_lock(&s->lock);
    int32_t *at = find(s, key, bytes);
    if (*at != NONE && s->entries[*at].owned)
        s->entries[*at].ended = true;
    else if (*at != NONE)
        drop(s, at);
    pthread_mutex_unlock(&s->lock);
}

/* Under the lock: is it one to be asked about, and gone? */
static bool gone(struct tdm_note_store *s, int32_t i, const void *prefix, size_t bytes,
                 bool (*lives)(void *ctx, const void *key, size_t bytes), void *ctx)
{
    const struct note_record *r = note_map_record(&s->map, (uint32_t)i);

    return s->entries[i].used && !s->entries[i].owned && r->key_bytes >= bytes &&
           memcmp(r->key, prefix, bytes) == 0 && !lives(ctx, r->key, r->key_bytes);
}

size_t note_store_sweep(struct tdm_note_store *s, const void *prefix, size_t bytes,
                        bool (*lives)(void *ctx, const void *key, size_t bytes), void *ctx)
{
    const int32_t n = (int32_t)s->map.records;
    size_t dropped = 0;

    for (int32_t from = 0; from < n; from += SLICE) { /* others come in between */
        pthread_mutex_lock(&s->lock);
        for (int32_t i = from; i < n && i < from + SLICE && s->used > 0; i++) {
            if (gone(s, i, prefix, bytes, lives, ctx)) {
                drop_record(s, i);
                dropped++;
            }
        }
        pthread_mutex_unlock(&s->lock);
    }
    return dropped;
}

size_t note_store_used(struct tdm_note_store *s)
{
    pthread_mutex_lock(&s->lock);
    size_t used = s->used;
    pthread_mutex_unlock(&s->lock);
    return used;
}
