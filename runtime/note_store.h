/* note_store.h - records of notes in shared memory, and who has which. See note_store.c. */
#ifndef RUNTIME_NOTE_STORE_H
#define RUNTIME_NOTE_STORE_H
#include <stdbool.h>

#include "tandem/env.h"
#include "tandem/notes.h"

enum { NOTE_NO_RECORD = -1 };

/* For one runtime at a time: read what is there, and keep books on it. Damaged records are dropped and counted. */
int note_store_attach(struct tdm_note_store *s, struct tdm_env *env);
void note_store_detach(struct tdm_note_store *s);

/* The record of this key becomes the caller's, until note_store_release(). *record is NOTE_NO_RECORD when there is
 * none. `resume` false: what was saved under the key is dropped. TDM_EEXIST: it is somebody else's. */
int note_store_claim(struct tdm_note_store *s, const void *key, size_t bytes, bool resume, int *record);
/* A new record, the caller's. TDM_EFULL: no room left; TDM_EEXIST: the key has one. */
int note_store_make(struct tdm_note_store *s, const void *key, size_t bytes, int *record);
/* By the record's owner alone, without a lock. */
void note_store_write(struct tdm_note_store *s, int record, const void *note, size_t bytes);
/* Copies the last complete note to `buf` (TDM_NOTE_MAX bytes); returns its length, 0: none. */
size_t note_store_read(const struct tdm_note_store *s, int record, void *buf);
void note_store_release(struct tdm_note_store *s, int record);
/* What the key stands for has ended: drop its note, once it has no owner. */
void note_store_forget(struct tdm_note_store *s, const void *key, size_t bytes);
/* Drop each note without an owner whose key begins with `prefix` and of which lives() says no; returns how many. */
size_t note_store_sweep(struct tdm_note_store *s, const void *prefix, size_t bytes,
                        bool (*lives)(void *ctx, const void *key, size_t bytes), void *ctx);
size_t note_store_used(struct tdm_note_store *s);

/* For tests: called between any two stores into the shared memory. */
void note_store_watch(struct tdm_note_store *s, void (*point)(void *ctx), void *ctx);
/* For tests: the shared memory. */
void *note_store_memory(struct tdm_note_store *s, size_t *bytes);

#endif
