/* note.c - what a restart of the call should know: the app's note, and which app it was.
 *
 * Idea:      the runtime keeps one note per place. We put a few bytes before the app's: the app that runs
 *            now, if the call was moved, and its arguments. A restarted actor goes on in that app.
 * Layout:    u16 length of the app's name, u16 length of the arguments, both texts, the app's bytes, a NUL.
 * Durable:   its key in the store (tandem/notes.h) is the source's name and the call's key, each part ended by NUL: the
 *            actor that adopts the call in the next process finds what the last one saved.
 * Touched by the actor of the call; forgetting, by whoever frees the call's key. */
#include <string.h>

#include "dispatch.h"
#include "tandem/notes.h"

struct note_head {
    uint16_t app_bytes, args_bytes;
};

/* Where the app's own bytes begin; 0: no note, or none that is well formed. */
static size_t own_part(const void *note, size_t bytes, struct note_head *head)
{
    size_t start;

    if (note == NULL || bytes < sizeof *head + 1)
        return 0;
    memcpy(head, note, sizeof *head);
    start = sizeof *head + head->app_bytes + head->args_bytes;
    return start < bytes ? start : 0;
}

static int save(tdm_call *call, const struct app_entry *app, const char *args, const void *note, size_t bytes)
{
    struct note_head head = { .app_bytes = app != NULL ? (uint16_t)strlen(app->name) : 0,
                              .args_bytes = args != NULL ? (uint16_t)strlen(args) : 0 };
    size_t fixed = sizeof head + head.app_bytes + head.args_bytes;
    char *all;
    int err;

    if (bytes > TDM_NOTE_MAX - fixed - 1)
        return TDM_ETOOBIG;
    all = tdm_alloc(call->self, fixed + bytes + 1);
    if (all == NULL)
        return TDM_ENOMEM;
    memcpy(all, &head, sizeof head);
    if (app != NULL)
        memcpy(all + sizeof head, app->name, head.app_bytes);
    if (args != NULL)
        memcpy(all + sizeof head + head.app_bytes, args, head.args_bytes);
    if (bytes > 0)
        memcpy(all + fixed, note, bytes);
    err = tdm_note_save(call->self, all, fixed + bytes + 1);
    tdm_free(call->self, all);
    return err;
}

int tdm_note(tdm_call *call, const void *note, size_t bytes)
{
    if (note == NULL && bytes > 0)
        return TDM_EINVAL;
    return call->moved ? save(call, call->app, call->moved_args, note, bytes)
                       : save(call, NULL, NULL, note, bytes);
}

int tdm_note_text(tdm_call *call, const char *text)
{
    return text != NULL ? tdm_note(call, text, strlen(text)) : TDM_EINVAL;
}

const char *tdm_note_last(tdm_call *call, size_t *bytes)
{
    struct note_head head;
    size_t all = 0, start;
    const char *note = tdm_note_get(call->self, &all);

    start = own_part(note, all, &head);
    if (start == 0 || all - start == 1)
        return NULL;
    if (bytes != NULL)
        *bytes = all - start - 1;
    return note + start;
}

int note_moved(tdm_call *call, const struct app_entry *app, const char *args)
{
    char *copy;
    int err;

    if (args != NULL && strlen(args) > CALL_ARGS_MAX)
        return TDM_ETOOBIG;
    copy = call_strdup(call, args);
    if (args != NULL && copy == NULL)
        return TDM_ENOMEM;
    err = save(call, app, args, NULL, 0);
    if (err != TDM_OK) {
        tdm_free(call->self, copy);
        return err;
    }
    tdm_free(call->self, call->moved_args);
    call->moved_args = copy;
    return TDM_OK;
}

/* ---- over the death of the process ----------------------------------------------------------- */

struct long_key {
    size_t bytes;
    char text[TDM_NOTE_KEY_MAX];
};

_Static_assert(TDM_CALL_APP_MAX + 1 + DISPATCH_KEY_MAX - DISPATCH_KIND_MAX - 1 <= TDM_NOTE_KEY_MAX,
               "the longest key");

static void long_key(struct long_key *l, const struct tdm_source *src, const char *key, size_t bytes)
{
    const size_t name_bytes = strlen(src->name) + 1;

    memcpy(l->text, src->name, name_bytes);
    memcpy(l->text + name_bytes, key, bytes);
    l->bytes = name_bytes + bytes;
}

int note_durable(tdm_call *call)
{
    struct long_key l;
    struct key k = { .bytes = 0 };

    key_of_call(&k, call->start);
    long_key(&l, call->source, k.text, k.bytes);
    int err = tdm_note_key(call->self, l.text, l.bytes, call->start->adopted);
    return err == TDM_EEXIST ? TDM_OK : err; /* its last actor is not quite gone: in memory, then */
}

void note_forget(struct tdm_source *src, const struct key *k)
{
    struct long_key l;

    long_key(&l, src, k->text, k->bytes);
    tdm_note_forget(src->rt, l.text, l.bytes);
}

static bool is_live(void *ctx, const void *key, size_t bytes)
{
    const struct tdm_source *src = ctx;
    const size_t name_bytes = strlen(src->name) + 1;
    uint64_t place;

    return table_get(src->calls, (const char *)key + name_bytes, bytes - name_bytes, &place);
}

size_t tdm_source_forget_notes(struct tdm_source *src)
{
    return tdm_note_sweep(src->rt, src->name, strlen(src->name) + 1, is_live, src);
}

int note_restore(tdm_call *call)
{
    const struct app_entry *app;
    struct note_head head;
    size_t bytes;
    const char *text = tdm_note_get(call->self, &bytes);

    if (own_part(text, bytes, &head) == 0 || head.app_bytes == 0)
        return TDM_OK;
    text += sizeof head;
    app = app_registry_find(text, head.app_bytes);
    if (app == NULL || (!call->fiber && app->app.run != NULL))
        return TDM_OK; /* not here any more: begin again with the first app */
    call->app = app;
    call->moved = true;
    if (head.args_bytes == 0)
        return TDM_OK;
    call->moved_args = tdm_alloc(call->self, head.args_bytes + 1u);
    if (call->moved_args == NULL)
        return TDM_ENOMEM;
    memcpy(call->moved_args, text + head.app_bytes, head.args_bytes);
    return TDM_OK;
}
