/* note.h - what the next incarnation in a place should know. See note.c. */
#ifndef RUNTIME_NOTE_H
#define RUNTIME_NOTE_H
#include <stddef.h>

struct tdm_runtime;
struct tdm_start;

/* A note that is also kept in the store. */
struct note_durable {
    int record; /* NOTE_NO_RECORD until the first save */
    size_t key_bytes;
    unsigned char key[];
};

/* One in each child of a supervisor; all zero is none. Touched by who holds the place's turn. */
struct note {
    void *text;
    size_t bytes, room;
    struct note_durable *durable; /* NULL: the note has no key */
};

void note_describe_start(const struct note *n, struct tdm_start *start);
/* The place is gone. */
void note_fini(struct tdm_runtime *rt, struct note *n);

#endif
