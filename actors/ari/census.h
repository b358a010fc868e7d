/* census.h - lists of channels, and what follows from comparing them. No I/O. */
#ifndef ACTORS_ARI_CENSUS_H
#define ACTORS_ARI_CENSUS_H
#include <stdbool.h>
#include <stddef.h>

#include "tandem/env.h"

struct census_entry {
    const char *app, *id;
    const char *snapshot; /* the channel's JSON, borrowed; NULL: none */
    size_t snapshot_bytes;
    size_t place; /* in the order of adding */
    bool starts;  /* of a list of waiting events: the first of this channel is its start, else its end */
};

/* A list. Add, then sort once, then look up. Equal entries collapse into the first that was added. */
struct census {
    struct tdm_env *env;
    struct census_entry *entry;
    size_t n, room;
    struct census_chunk *chunks; /* the texts */
};

void census_init(struct census *c, struct tdm_env *env);
void census_fini(struct census *c);
/* Texts are copied; *ret, if wanted, is valid until the next add. Errors: TDM_ENOMEM. */
int census_add(struct census *c, const char *app, size_t app_bytes, const char *id, size_t id_bytes,
               struct census_entry **ret);
void census_sort(struct census *c);
struct census_entry *census_find(const struct census *c, const char *app, const char *id);

enum census_verdict {
    CENSUS_GAP,   /* known and there: its owner may have missed something */
    CENSUS_ENDED, /* known, but gone */
    CENSUS_NEW,   /* there, but unknown */
};

/* Compare what we know with what the server says is present, all lists sorted. `waiting` are the
 * channels of which a start or an end is among the events that have not been routed yet:
 *   - whoever is about to start needs no adoption, and whoever is about to end no early end;
 *   - a known channel whose start is waiting has left meanwhile and comes in anew.
 * After a restart of the server nothing that was known lives, whatever the ids say.
 * All endings are told before anything that is new. */
typedef void census_fn(void *ctx, enum census_verdict verdict, const struct census_entry *entry);
void census_compare(const struct census *known, const struct census *present, const struct census *waiting,
                    bool restarted, census_fn *fn, void *ctx);

#endif
