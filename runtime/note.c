/* note.c - what the next incarnation in a place should know.
 *
 * Idea:      the note lies in the child, beside the place, so it outlives the incarnation that saved it.
 * Durable:   with a key it is also copied to the runtime's store (note_store.c), from where the actor of the same key
 *            takes it in the next process. A store that is full costs that, no more: the note goes on in memory.
 * Touched by the worker that runs the child, and by its supervisor between two incarnations. */
#include "note.h"

#include <string.h>

#include "family.h"
#include "note_store.h"
#include "tandem/log.h"
#include "tandem/metrics.h"

TDM_COUNTER(full, "tandem_notes_full_total",
            "notes that found no room in the store and are kept in memory alone");

TDM_COUNTER(resumed, "tandem_notes_resumed_total",
            "notes left by an earlier process or actor that were taken over");

enum { FULL_PAUSE_MS = 3600 * 1000 };

static struct tdm_note_store *store(struct tdm_runtime *rt)
{
    return rt->cfg.notes;
}

void note_describe_start(const struct note *n, struct tdm_start *start)
{
    start->note = n->bytes > 0 ? n->text : NULL;
    start->note_bytes = n->bytes;
}

static void free_text(struct tdm_runtime *rt, struct note *n)
{
    if (n->text != NULL)
        runtime_free_block(rt, n->text, n->room);
}

static void free_durable(struct tdm_runtime *rt, struct note *n)
{
    struct note_durable *d = n->durable;

    n->durable = NULL;
    if (d == NULL)
        return;
    if (d->record != NOTE_NO_RECORD)
        note_store_release(store(rt), d->record);
    runtime_free_block(rt, d, sizeof *d + d->key_bytes);
}

void note_fini(struct tdm_runtime *rt, struct note *n)
{
    free_text(rt, n);
    free_durable(rt, n);
}

/* ---- in memory ------------------------------------------------------------------------------- */

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
    free_text(rt, n);
    n->text = room;
    n->room = bytes;
    return TDM_OK;
}

/* ---- in the store ---------------------------------------------------------------------------- */

static void say_full(struct tdm_runtime *rt, int err)
{
    static struct tdm_log_limiter once;
    uint64_t left_out;

    tdm_count(&full, 1);
    if (tdm_log_limit(&once, rt->env->now_ns(rt->env), 1, TDM_MS(FULL_PAUSE_MS), &left_out))
        tdm_log_warn("notes.full", "err=%s left_out=%llu words=\"notes are kept in memory alone\"",
                     tdm_errname(err), (unsigned long long)left_out);
}

static void keep_durably(struct tdm_runtime *rt, struct note *n)
{
    struct note_durable *d = n->durable;
    int err = TDM_OK;

    if (d->record == NOTE_NO_RECORD)
        err = note_store_make(store(rt), d->key, d->key_bytes, &d->record);
    if (err < 0)
        say_full(rt, err);
    else
        note_store_write(store(rt), d->record, n->text, n->bytes);
}

static int take_over(struct tdm_runtime *rt, struct note *n)
{
    unsigned char text[TDM_NOTE_MAX];
    size_t bytes = note_store_read(store(rt), n->durable->record, text);

    tdm_count(&resumed, bytes > 0);
    return bytes > 0 ? keep(rt, n, text, bytes) : TDM_OK;
}

static int key_note(struct tdm_runtime *rt, struct note *n, const void *key, size_t bytes, bool resume)
{
    struct note_durable *d = runtime_alloc(rt, sizeof *d + bytes);

    if (d == NULL)
        return TDM_ENOMEM;
    *d = (struct note_durable){ .record = NOTE_NO_RECORD, .key_bytes = bytes };
    memcpy(d->key, key, bytes);
    n->durable = d;
    int err = note_store_claim(store(rt), key, bytes, resume, &d->record);
    if (err == TDM_OK && d->record != NOTE_NO_RECORD)
        err = take_over(rt, n);
    if (err < 0)
        free_durable(rt, n);
    return err;
}

int tdm_note_key(tdm_self *self, const void *key, size_t bytes, bool resume)
{
    struct child *c = self->child;

    if (bytes == 0 || bytes > TDM_NOTE_KEY_MAX)
        return bytes == 0 ? TDM_EINVAL : TDM_ETOOBIG;
    if (c == NULL || store(self->rt) == NULL || c->note.durable != NULL)
        return TDM_OK; /* an earlier incarnation has said so */
    return key_note(self->rt, &c->note, key, bytes, resume);
}

void tdm_note_forget(struct tdm_runtime *rt, const void *key, size_t bytes)
{
    if (store(rt) != NULL)
        note_store_forget(store(rt), key, bytes);
}

size_t tdm_note_sweep(struct tdm_runtime *rt, const void *prefix, size_t bytes,
                      bool (*lives)(void *ctx, const void *key, size_t bytes), void *ctx)
{
    return store(rt) != NULL ? note_store_sweep(store(rt), prefix, bytes, lives, ctx) : 0;
}

/* ---- by the actor ---------------------------------------------------------------------------- */

int tdm_note_save(tdm_self *self, const void *note, size_t bytes)
{
    struct child *c = self->child;

    if (bytes > TDM_NOTE_MAX)
        return TDM_ETOOBIG;
    if (c == NULL)
        return TDM_OK;
    int err = keep(self->rt, &c->note, note, bytes);
    if (err == TDM_OK && c->note.durable != NULL)
        keep_durably(self->rt, &c->note);
    return err;
}

const void *tdm_note_get(tdm_self *self, size_t *bytes)
{
    const struct child *c = self->child;

    *bytes = c == NULL ? 0 : c->note.bytes;
    return *bytes == 0 ? NULL : c->note.text;
}
