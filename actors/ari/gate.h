/* gate.h - who may route events: the reader, or the actor that asks the server what it holds. */
#ifndef ACTORS_ARI_GATE_H
#define ACTORS_ARI_GATE_H
#include <stdbool.h>
#include <stddef.h>

#include "tandem/env.h"

struct gate; /* one for each connection; begins closed */

struct gate_frame {
    struct gate_frame *next;
    size_t bytes;
    char data[];
};

enum gate_way {
    GATE_OPEN, /* go on and route it */
    GATE_HELD, /* copied; it will be routed in its turn */
    GATE_FULL, /* neither: too much is waiting, or there is no memory */
};

int gate_new(struct tdm_env *env, size_t held_max, struct gate **ret);
/* When neither side can come any more. NULL is fine. */
void gate_free(struct gate *g);

/* The reader's side: may the event be routed now? Never blocks. */
enum gate_way gate_pass(struct gate *g, const char *data, size_t bytes);

/* The actor's side: everything that waits, oldest first; NULL when nothing does. */
struct gate_frame *gate_take(struct gate *g);
void gate_frame_free(struct gate *g, struct gate_frame *frame); /* NULL is fine */

/* Give the right to route to the reader, if nothing waits. False: something does; take it first.
 * After true the actor may not route any more. */
bool gate_let_go(struct gate *g);

#endif
