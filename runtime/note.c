/* note.c - what the next incarnation in a place should know.
 *
 * Idea:      the note lies in the child, beside the place, so it outlives the incarnation that saved it.
 * Touched by the worker that runs the child, and by its supervisor between two incarnations. */
#include "note.h"

#include <string.h>

#include "family.h"

void note_describe_start(const struct note *n, struct tdm_start *start)
{
    start->note = n->bytes > 0 ? n->text : NULL;
    start->note_bytes = n->bytes;
}

void note_fini(struct tdm_runtime *rt, struct note *n)
{
    if (n->text != NULL)
        runtime_free_block(rt, n->text, n->room);
}

/* Most notes are short: they get the room they need, and more when they grow. `note` may lie in the old one. */
static int keep(struct tdm_runtime *rt, struct note *n, const void *note, size_t bytes)
{
    void *room = bytes <= n->room ? n->text : runtime_alloc(rt, bytes);

    if (room == NULL && bytes > 0)
        return TDM_ENOMEM;
    if (bytes > 0)
        memmove(room, note, bytes);
    n->bytes = bytes;
    if (room == n->text)
        return TDM_OK;
    note_fini(rt, n);
    n->text = room;
    n->room = bytes;
    return TDM_OK;
}

int tdm_note_save(tdm_self *self, const void *note, size_t bytes)
{
    if (bytes > TDM_NOTE_MAX)
        return TDM_ETOOBIG;
    return self->child == NULL ? TDM_OK : keep(self->rt, &self->child->note, note, bytes);
}

const void *tdm_note_get(tdm_self *self, size_t *bytes)
{
    const struct child *c = self->child;

    *bytes = c == NULL ? 0 : c->note.bytes;
    return *bytes == 0 ? NULL : c->note.text;
}
