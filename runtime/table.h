/* table.h - from bytes to a 64-bit value; read without waiting, written under a shard's lock.
 * See table.c. Threads: any. */
#ifndef RUNTIME_TABLE_H
#define RUNTIME_TABLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tdm_env;
struct table;

int table_new(struct table **ret, struct tdm_env *env);
void table_free(struct table *t); /* nobody reads or writes any more */

/* Good in all its bits; not against an enemy who chooses the keys. */
uint64_t table_hash(const void *key, size_t bytes);

/* Wait-free. */
bool table_get(struct table *t, const void *key, size_t bytes, uint64_t *value);

/* TDM_OK, TDM_EEXIST (with *present set, unless NULL), TDM_ENOMEM. */
int table_add(struct table *t, const void *key, size_t bytes, uint64_t value, uint64_t *present);

/* An entry may also stand in a list of its owner's: two pointers that the owner alone uses, valid while the entry is
 * in the table. */
struct table_link {
    struct table_link *next, *prev;
};

/* As table_add(); the new entry's link in *link. */
int table_add_linked(struct table *t, const void *key, size_t bytes, uint64_t value,
                     struct table_link **link);

/* The link of the entry with this key and value, or NULL. Only for its owner: nobody else may remove it meanwhile. */
struct table_link *table_link_of(struct table *t, const void *key, size_t bytes, uint64_t value);
const void *table_link_key(const struct table_link *link, size_t *bytes);

/* Readers see the old value or the new one, never none. TDM_OK or TDM_ENOTFOUND (also when the value is not
 * `old`). */
int table_replace(struct table *t, const void *key, size_t bytes, uint64_t old, uint64_t value);

/* Only if it holds `value`. TDM_OK or TDM_ENOTFOUND. */
int table_remove(struct table *t, const void *key, size_t bytes, uint64_t value);

size_t table_count(const struct table *t);

/* Every entry that stays there throughout is seen once. `fn` may not write to the table. */
void table_each(struct table *t, void (*fn)(void *ctx, const void *key, size_t bytes, uint64_t value),
                void *ctx);

#endif
