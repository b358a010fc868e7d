/* table.c - objects by name. Grows by doubling; never shrinks. Touched by the model's owner only. */
#include "table.h"

#include <string.h>

#include <tandem/env.h>
#include <tandem/err.h>

uint64_t ex_hash(const char *text)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */

    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash ^ (hash >> 29);
}

void ex_table_init(struct ex_table *t, struct tdm_env *env)
{
    *t = (struct ex_table){ .env = env };
}

void ex_table_fini(struct ex_table *t)
{
    if (t->buckets != NULL)
        t->env->free(t->env, t->buckets, t->room * sizeof *t->buckets);
    t->buckets = NULL;
    t->room = t->count = 0;
}

void *ex_table_get(const struct ex_table *t, const char *key)
{
    uint64_t hash = ex_hash(key);
    struct ex_entry *e = t->room == 0 ? NULL : t->buckets[hash & (t->room - 1)];

    while (e != NULL && (e->hash != hash || strcmp(e->key, key) != 0))
        e = e->next;
    return e == NULL ? NULL : e->object;
}

static int table_grow(struct ex_table *t)
{
    size_t room = t->room == 0 ? 64 : t->room * 2;
    struct ex_entry **buckets = t->env->alloc(t->env, room * sizeof *buckets);

    if (buckets == NULL)
        return TDM_ENOMEM;
    memset(buckets, 0, room * sizeof *buckets);
    for (size_t i = 0; i < t->room; i++) {
        struct ex_entry *e = t->buckets[i];
        while (e != NULL) {
            struct ex_entry *next = e->next;
            e->next = buckets[e->hash & (room - 1)];
            buckets[e->hash & (room - 1)] = e;
            e = next;
        }
    }
    size_t count = t->count;
    ex_table_fini(t);
    t->buckets = buckets;
    t->room = room;
    t->count = count;
    return TDM_OK;
}

int ex_table_put(struct ex_table *t, struct ex_entry *entry, const char *key, void *object)
{
    if (t->count >= t->room && table_grow(t) < 0)
        return TDM_ENOMEM;
    entry->key = key;
    entry->object = object;
    entry->hash = ex_hash(key);
    struct ex_entry **bucket = &t->buckets[entry->hash & (t->room - 1)];
    entry->next = *bucket;
    *bucket = entry;
    t->count++;
    return TDM_OK;
}

void ex_table_remove(struct ex_table *t, struct ex_entry *entry)
{
    if (t->room == 0 || entry->key == NULL)
        return;
    struct ex_entry **at = &t->buckets[entry->hash & (t->room - 1)];
    while (*at != NULL && *at != entry)
        at = &(*at)->next;
    if (*at == NULL)
        return;
    *at = entry->next;
    entry->key = NULL;
    t->count--;
}

void *ex_table_any(const struct ex_table *t)
{
    for (size_t i = 0; t->count > 0 && i < t->room; i++)
        if (t->buckets[i] != NULL)
            return t->buckets[i]->object;
    return NULL;
}
