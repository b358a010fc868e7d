/* census.c - lists of channels, and what follows from comparing them.
 *
 * Idea: three sorted arrays and look-ups by bisection. A comparison of a hundred thousand calls takes
 *       some tens of milliseconds, once per connection; nothing cleverer is needed.
 * Memory: texts in chunks, so that pointers to them stay good while a list grows. */
#include "census.h"
#include "tandem/err.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 64 * 1024 };

struct census_chunk {
    struct census_chunk *next;
    size_t used, room;
    char text[];
};

void census_init(struct census *c, struct tdm_env *env)
{
    *c = (struct census){ .env = env };
}

void census_fini(struct census *c)
{
    for (struct census_chunk *k = c->chunks, *next; k != NULL; k = next) {
        next = k->next;
        c->env->free(c->env, k, sizeof *k + k->room);
    }
    if (c->entry != NULL)
        c->env->free(c->env, c->entry, c->room * sizeof *c->entry);
    census_init(c, c->env);
}

static char *take_room(struct census *c, size_t bytes)
{
    struct census_chunk *k = c->chunks;

    if (k == NULL || k->room - k->used < bytes) {
        const size_t room = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;

        k = c->env->alloc(c->env, sizeof *k + room);
        if (k == NULL)
            return NULL;
        *k = (struct census_chunk){ .next = c->chunks, .room = room };
        c->chunks = k;
    }
    k->used += bytes;
    return k->text + k->used - bytes;
}

static int grow(struct census *c)
{
    const size_t room = c->room > 0 ? c->room * 2 : 64;
    struct census_entry *entry;

    if (c->n < c->room)
        return TDM_OK;
    entry = c->env->alloc(c->env, room * sizeof *entry);
    if (entry == NULL)
        return TDM_ENOMEM;
    if (c->entry != NULL) {
        memcpy(entry, c->entry, c->n * sizeof *entry);
        c->env->free(c->env, c->entry, c->room * sizeof *entry);
    }
    c->entry = entry;
    c->room = room;
    return TDM_OK;
}

int census_add(struct census *c, const char *app, size_t app_bytes, const char *id, size_t id_bytes,
               struct census_entry **ret)
{
    int err = grow(c);
    char *text = err == TDM_OK ? take_room(c, app_bytes + id_bytes + 2) : NULL;

    if (text == NULL)
        return TDM_ENOMEM;
    struct census_entry *e = &c->entry[c->n++];

    memcpy(text, app, app_bytes);
    text[app_bytes] = '\0';
    memcpy(text + app_bytes + 1, id, id_bytes);
    text[app_bytes + 1 + id_bytes] = '\0';
    *e = (struct census_entry){ .app = text, .id = text + app_bytes + 1, .place = c->n - 1 };
    if (ret != NULL)
        *ret = e;
    return TDM_OK;
}

static int by_key(const void *a, const void *b)
{
    const struct census_entry *x = a, *y = b;
    const int first = strcmp(x->id, y->id);

    return first != 0 ? first : strcmp(x->app, y->app);
}

/* Of equal entries the one that was added first comes first. */
static int by_key_then_place(const void *a, const void *b)
{
    const struct census_entry *x = a, *y = b;
    const int first = by_key(x, y);

    return first != 0 ? first : (x->place > y->place) - (x->place < y->place);
}

static void collapse(struct census *c)
{
    size_t kept = c->n > 0;

    for (size_t i = 1; i < c->n; i++)
        if (by_key(&c->entry[i], &c->entry[kept - 1]) != 0)
            c->entry[kept++] = c->entry[i];
    c->n = kept;
}

void census_sort(struct census *c)
{
    if (c->n > 0)
        qsort(c->entry, c->n, sizeof *c->entry, by_key_then_place);
    collapse(c);
}

struct census_entry *census_find(const struct census *c, const char *app, const char *id)
{
    const struct census_entry key = { .app = app, .id = id };

    return c->n > 0 ? bsearch(&key, c->entry, c->n, sizeof key, by_key) : NULL;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static enum census_verdict verdict_on_known(const struct census_entry *there,
                                            const struct census_entry *waits, bool restarted)
{
    if (restarted || (waits != NULL && waits->starts))
        return CENSUS_ENDED;
    return there != NULL || waits != NULL ? CENSUS_GAP : CENSUS_ENDED;
}

void census_compare(const struct census *known, const struct census *present, const struct census *waiting,
                    bool restarted, census_fn *fn, void *ctx)
{
    for (size_t i = 0; i < known->n; i++) {
        const struct census_entry *k = &known->entry[i];
        const struct census_entry *there = census_find(present, k->app, k->id);
        const struct census_entry *waits = census_find(waiting, k->app, k->id);
        const enum census_verdict verdict = verdict_on_known(there, waits, restarted);

        fn(ctx, verdict, verdict == CENSUS_GAP && there != NULL ? there : k);
    }
    for (size_t i = 0; i < present->n; i++) {
        const struct census_entry *p = &present->entry[i];

        if (!restarted && census_find(known, p->app, p->id) != NULL)
            continue;
        if (census_find(waiting, p->app, p->id) == NULL)
            fn(ctx, CENSUS_NEW, p);
    }
}
