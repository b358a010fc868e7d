/* table.h - objects by name: a chained hash table whose links live in the objects. */
#ifndef APPS_EXCHANGE_TABLE_H
#define APPS_EXCHANGE_TABLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tdm_env;

struct ex_entry {
    struct ex_entry *next;
    const char *key; /* the object's own string */
    void *object;
    uint64_t hash;
};

struct ex_table {
    struct tdm_env *env;
    struct ex_entry **buckets;
    size_t room, count; /* room is a power of two, or 0 */
};

uint64_t ex_hash(const char *text);
void ex_table_init(struct ex_table *t, struct tdm_env *env);
void ex_table_fini(struct ex_table *t);
void *ex_table_get(const struct ex_table *t, const char *key);
/* The key must not be in the table. `entry` and `key` belong to `object`. TDM_OK or TDM_ENOMEM. */
int ex_table_put(struct ex_table *t, struct ex_entry *entry, const char *key, void *object);
/* An entry that is not in the table is fine. */
void ex_table_remove(struct ex_table *t, struct ex_entry *entry);
/* Any object, or NULL: for emptying. */
void *ex_table_any(const struct ex_table *t);

#endif
