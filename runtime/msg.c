/* msg.c - the life of a message: one block, one owner at a time. */
#include <string.h>

#include "runtime.h"

_Static_assert(sizeof(struct tdm_msg) == 48, "header of 48 bytes: a word of payload fits the smallest block");

struct tdm_msg *tdm_msg_new(struct tdm_runtime *rt, uint32_t type, size_t bytes)
{
    struct tdm_msg *m;

    if (bytes > UINT32_MAX - sizeof *m)
        return NULL;
    m = runtime_alloc(rt, sizeof *m + bytes);
    if (m == NULL)
        return NULL;
    m->type = type;
    m->bytes = (uint32_t)bytes;
    m->from.id = 0;
    m->ref = 0;
    m->drop_ = NULL;
    return m;
}

struct tdm_msg *tdm_msg_copy(struct tdm_runtime *rt, uint32_t type, const void *data, size_t bytes)
{
    struct tdm_msg *m = tdm_msg_new(rt, type, bytes);

    if (m != NULL && bytes > 0)
        memcpy(tdm_msg_data(m), data, bytes);
    return m;
}

void tdm_msg_on_drop(struct tdm_msg *msg, void (*drop)(struct tdm_msg *msg))
{
    msg->drop_ = drop;
}

void tdm_msg_free(struct tdm_runtime *rt, struct tdm_msg *msg)
{
    if (msg == NULL)
        return;
    if (msg->drop_ != NULL)
        msg->drop_(msg);
    if (msg->type < SIG_CHILD_STARTED ||
        msg->type > SIG_FAMILY_EMPTY) /* those lie in their child or family */
        runtime_free_block(rt, msg, sizeof *msg + msg->bytes);
}

struct tdm_msg *tdm_msg_take(tdm_self *self, struct tdm_msg *msg)
{
    struct thread *t = thread_now();

    if (t != NULL) {
        t->taken.type = msg->type;
        t->taken.bytes = msg->bytes;
        t->taken.from = msg->from;
    }
    self->flags |= ACTOR_TAKEN;
    if (self->fiber != NULL)
        fiber_taken(self, msg);
    return msg;
}
