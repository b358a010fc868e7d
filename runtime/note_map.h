/* note_map.h - how a note store lies in memory or in its file. See note_map.c. */
#ifndef RUNTIME_NOTE_MAP_H
#define RUNTIME_NOTE_MAP_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tandem/actor.h"
#include "tandem/notes.h"

enum {
    NOTE_HEAD_BYTES = 4096,
    NOTE_CHUNK = 256,
    NOTE_RECORD_HEAD = 512,
    NOTE_RECORD_BYTES = 12288, /* whole pages; a record of short notes touches the first only */
};

struct note_version {
    _Atomic uint64_t seq; /* 0: not complete. The greater one of two is the last */
    uint32_t bytes;
    uint32_t sum; /* of seq, bytes and the note */
};

struct note_record {
    _Atomic uint32_t used; /* 0: free, whatever else is there */
    uint32_t key_bytes;
    uint32_t key_sum;
    uint32_t pad;
    struct note_version version[2];
    unsigned char key[TDM_NOTE_KEY_MAX];
};

struct note_map {
    unsigned char *at;
    size_t bytes;
    int fd;
    bool file;
    uint32_t records;
    void (*point)(void *ctx); /* tests: between any two stores */
    void *point_ctx;
};

int note_map_open(struct note_map *m, const struct tdm_note_store_cfg *cfg, char *why, size_t why_bytes);
void note_map_close(struct note_map *m);

struct note_record *note_map_record(const struct note_map *m, uint32_t i);
/* The first record from i on that was ever written; `records`: none. To look at the others would cost memory. */
uint32_t note_map_data(const struct note_map *m, uint32_t i);
bool note_map_sound(const struct note_record *r);
/* TDM_EFULL: the disk is. */
int note_map_take(struct note_map *m, uint32_t i, const void *key, size_t bytes);
void note_map_drop(struct note_map *m, uint32_t i);
void note_map_write(struct note_map *m, uint32_t i, const void *note, size_t bytes);
size_t note_map_read(const struct note_map *m, uint32_t i, void *buf);

#endif
