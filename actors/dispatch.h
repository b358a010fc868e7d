/* dispatch.h - the inside of a source, for dispatch.c, source.c and owned.c, and what a call's actor tells
 * them of its own life. */
#ifndef ACTORS_DISPATCH_H
#define ACTORS_DISPATCH_H
#include <stdatomic.h>

#include "call.h"
#include "table.h"

#define DISPATCH_KIND_MAX 32u
#define DISPATCH_KEY_MAX  (TDM_CALL_APP_MAX + DISPATCH_KIND_MAX + TDM_CALL_ID_MAX + 3u)
#define DISPATCH_RECENT   4096u /* a power of two */
#define DISPATCH_NAME_MAX 160u

/* The calls of one app, and what their supervisor points to. */
struct nursery {
    const struct app_entry *app;
    char name[DISPATCH_NAME_MAX];
    struct tdm_child_spec call;
    struct tdm_sup_cfg sup;
};

/* So that a flood of one kind of trouble is one line a minute. */
struct quiet {
    uint64_t until_ns;
    uint64_t left_out;
};

enum trouble { NO_OWNER, NO_APP, NO_ACTOR, NO_ROOM, TOO_LONG, TROUBLES };

struct tdm_source {
    /* fixed by tdm_source_new() and tdm_source_child_spec() */
    struct tdm_runtime *rt;
    struct tdm_env *env;
    struct tdm_source_cfg cfg;
    char name[TDM_CALL_APP_MAX + 1];
    struct nursery *nurseries;
    size_t n_nurseries, room;
    struct tdm_child_spec *specs; /* one for each nursery, and the watch */
    struct tdm_sup_cfg top;
    char top_name[DISPATCH_NAME_MAX];
    struct tdm_source *watch_arg; /* the watch's start argument: ourselves */
    /* written by the reader and by calls that end */
    struct table *calls, *objects; /* from key to place; of a call that is being started: to its claim */
    /* Hashes of keys freed lately, each in its own cell: tells late events from strays, for the counters
     * alone. relaxed: a count that is off by one harms nobody. */
    _Atomic uint64_t recent[DISPATCH_RECENT];
    /* reader only */
    struct quiet quiet[TROUBLES];
    uint64_t claims; /* numbers no place can have */
    struct call_start *scratch;
    size_t scratch_bytes;
};

struct key {
    size_t bytes;
    char text[DISPATCH_KEY_MAX];
};

/* ---- dispatch.c: keys ------------------------------------------------------------------------ */
/* kind NULL: the call itself. TDM_ETOOBIG. */
int key_make(struct key *k, const char *app, size_t app_bytes, const char *kind, const char *id,
             size_t id_bytes);
void key_of_call(struct key *k, const struct call_start *start);
/* True: the key led to this place, and does not any more. */
bool key_forget(struct tdm_source *src, struct table *table, const char *key, size_t bytes, uint64_t place);

/* The actor in `place` has begun to live: events find it, even before the reader has put it in. Any thread.
 */
void dispatch_call_here(const struct call_start *start, tdm_place place);

/* ---- owned.c: the end of a call's keys ------------------------------------------------------- */
/* The actor is about to end for good: its key is free, and those of what it owned. */
void dispatch_call_gone(tdm_call *call, tdm_place place);
/* The call could not be given an actor, or not any more: free its keys, have the source see to the call. */
void dispatch_call_lost(const struct call_start *start, tdm_place place, const char *why);

/* Free the keys of actors that ended without a word (killed, or lost with their supervisor). Any thread. */
void dispatch_sweep_dead(struct tdm_source *src);

/* ---- note.c ---------------------------------------------------------------------------------- */
/* The call has ended: so has its note. Any thread. */
void note_forget(struct tdm_source *src, const struct key *k);

/* ---- source.c -------------------------------------------------------------------------------- */
const struct tdm_source_ops *dispatch_ops(const struct tdm_source *src);
/* Where the calls of an app are started now; {0}: nowhere. */
tdm_pid source_nursery(struct tdm_source *src, const char *app, size_t bytes);
void watch_spec(struct tdm_source *src, struct tdm_child_spec *ret); /* watch.c */
/* Tell the observer, if the source is to be observed. */
void source_observe(const struct call_start *start, const char *what, tdm_event *event);

#endif
