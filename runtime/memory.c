/* memory.c - allocations that belong to one incarnation of an actor and go with it in one step.
 *
 * Each piece carries links to its neighbours, so that one can be given back early and all can be given
 * back at the end, crash or not, without asking anybody. One that asks for more than its limit is ended there and then:
 * code that allocates without end does not look at results either. Touched by the actor's worker only. */
#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "runtime.h"

struct piece {
    struct piece *next, *prev;
    size_t bytes; /* with this header */
    size_t pad;   /* keeps what follows aligned to 16 */
};

/* Outside of a callback there is nothing to jump out of; then the answer is NULL. */
static void past_limit(tdm_self *self, size_t bytes)
{
    struct tdm_reason reason = { .kind = TDM_EXIT_ERROR, .code = TDM_ENOMEM };
    struct thread *t = thread_now();

    if (t == NULL || t->self != self || !atomic_load_explicit(&t->in_callback, memory_order_relaxed))
        return;
    snprintf(reason.text, sizeof reason.text,
             "tdm_alloc() past memory_limit: %zu bytes asked for, %llu in use, %llu allowed", bytes,
             (unsigned long long)self->memory, (unsigned long long)self->memory_limit);
    fault_leave_callback(self, &reason);
}

void *tdm_alloc(tdm_self *self, size_t bytes)
{
    struct piece *p;
    uint64_t left = self->memory_limit - self->memory;

    if (bytes > left || left - bytes < sizeof *p) {
        past_limit(self, bytes);
        return NULL;
    }
    p = bytes > SIZE_MAX - sizeof *p ? NULL : runtime_alloc(self->rt, sizeof *p + bytes);
    if (p == NULL)
        return NULL;
    self->memory += sizeof *p + bytes;
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
    self->memory -= p->bytes;
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
