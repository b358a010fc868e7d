/* memory.c - allocations that belong to one incarnation of an actor and go with it in one step.
 *
 * Each piece carries links to its neighbours, so that one can be given back early and all can be given
 * back at the end, crash or not, without asking anybody. Touched by the actor's worker only. */
#include <string.h>

#include "runtime.h"

struct piece {
    struct piece *next, *prev;
    size_t bytes; /* with this header */
    size_t pad;   /* keeps what follows aligned to 16 */
};

void *tdm_alloc(tdm_self *self, size_t bytes)
{
    struct piece *p;

    if (bytes > SIZE_MAX - sizeof *p)
        return NULL;
    p = runtime_alloc(self->rt, sizeof *p + bytes);
    if (p == NULL)
        return NULL;
    p->bytes = sizeof *p + bytes;
    p->prev = NULL;
    p->next = self->pieces;
    if (p->next != NULL)
        p->next->prev = p;
    self->pieces = p;
    return memset(p + 1, 0, bytes);
}

void tdm_free(tdm_self *self, void *block)
{
    if (block == NULL)
        return;
    struct piece *p = (struct piece *)block - 1;
    if (p->prev != NULL)
        p->prev->next = p->next;
    else
        self->pieces = p->next;
    if (p->next != NULL)
        p->next->prev = p->prev;
    runtime_free_block(self->rt, p, p->bytes);
}

char *tdm_strdup(tdm_self *self, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = tdm_alloc(self, bytes);

    return copy == NULL ? NULL : memcpy(copy, text, bytes);
}

void memory_release(struct tdm_self *a)
{
    struct piece *p = a->pieces;

    a->pieces = NULL;
    while (p != NULL) {
        struct piece *next = p->next;
        runtime_free_block(a->rt, p, p->bytes);
        p = next;
    }
}
