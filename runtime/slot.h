/* slot.h - slots of actors. See slot.c. */
#ifndef RUNTIME_SLOT_H
#define RUNTIME_SLOT_H
#include <stdint.h>

struct tdm_runtime;
struct tdm_self;

int slots_new(struct tdm_runtime *rt, uint32_t max_actors);
void slots_free(struct tdm_runtime *rt, uint32_t max_actors);

/* A slot for one tenant (NULL: out of memory or at the limit), and back. Threads: any. */
struct tdm_self *slot_take(struct tdm_runtime *rt);
void slot_give(struct tdm_self *a);

#endif
