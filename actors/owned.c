/* owned.c - what a call owns, and how all its keys come free when it ends.
 *
 * Idea:      a playback, a recording, a bridge that a call makes gets a key of its own that leads to the
 *            call's place. The list in the actor's memory is only to find these keys again.
 * After a crash the list is gone while the keys still lead to the place, as they should; at the call's end
 *            they are then looked for in the whole table, which is slow and rare.
 * Killed:    an actor that ends without a word leaves its keys behind. The watch sweeps them now and then.
 * Touched by the actor of the call; dispatch_call_lost() by the supervisor that gives it up. */
#include <string.h>

#include "actor.h"
#include "dispatch.h"

#define SWEEP 32u

TDM_COUNTER(calls_given_up, "tandem_calls_given_up_total",
            "calls whose actor crashed too often or could not start");

static int object_key(tdm_call *call, struct key *k, const char *kind, const char *id)
{
    const struct call_start *start = call->start;

    return key_make(k, call_start_app(start), start->switch_app_bytes, kind, id, strlen(id));
}

static struct owned **find_owned(tdm_call *call, const struct key *k)
{
    struct owned **p = &call->owned;

    while (*p != NULL && ((*p)->bytes != k->bytes || memcmp((*p)->key, k->text, k->bytes) != 0))
        p = &(*p)->next;
    return p;
}

int tdm_call_own(tdm_call *call, const char *kind, const char *id)
{
    uint64_t place = tdm_self_place(call->self).id, present = 0;
    struct owned *o;
    struct key k;
    int err = object_key(call, &k, kind, id);

    if (err != TDM_OK)
        return err;
    if (*find_owned(call, &k) != NULL)
        return TDM_OK;
    o = tdm_alloc(call->self, sizeof *o + k.bytes);
    if (o == NULL)
        return TDM_ENOMEM;
    err = table_add(call->source->objects, k.text, k.bytes, place, &present);
    if (err == TDM_EEXIST && present == place)
        err = TDM_OK; /* an earlier incarnation's */
    if (err != TDM_OK) {
        tdm_free(call->self, o);
        return err;
    }
    o->bytes = k.bytes;
    memcpy(o->key, k.text, k.bytes);
    o->next = call->owned;
    call->owned = o;
    return TDM_OK;
}

void tdm_call_let_go(tdm_call *call, const char *kind, const char *id)
{
    struct owned **p, *o;
    struct key k;

    if (object_key(call, &k, kind, id) != TDM_OK)
        return;
    (void)key_forget(call->source, call->source->objects, k.text, k.bytes, tdm_self_place(call->self).id);
    p = find_owned(call, &k);
    o = *p;
    if (o == NULL)
        return;
    *p = o->next;
    tdm_free(call->self, o);
}

struct sweep {
    struct tdm_runtime *rt;
    uint64_t place; /* 0: any that is dead */
    size_t found;
    struct {
        struct key key;
        uint64_t place;
    } keys[SWEEP];
};

static bool to_sweep(const struct sweep *s, uint64_t place)
{
    if (s->place != 0)
        return place == s->place;
    return id_is_place(place) && actor_of(s->rt, place) == NULL; /* between two lives is not dead */
}

static void sweep_one(void *ctx, const void *key, size_t bytes, uint64_t place)
{
    struct sweep *s = ctx;

    if (s->found == SWEEP || bytes > DISPATCH_KEY_MAX || !to_sweep(s, place))
        return;
    s->keys[s->found].place = place;
    s->keys[s->found].key.bytes = bytes;
    memcpy(s->keys[s->found].key.text, key, bytes);
    s->found++;
}

/* Free the keys that lead to this place, or (0) to any that is dead. */
static void sweep(struct tdm_source *src, struct table *table, uint64_t place)
{
    struct sweep *s = src->env->alloc(src->env, sizeof *s);

    if (s == NULL)
        return; /* each goes when an event for it finds nobody */
    s->rt = src->rt;
    s->place = place;
    do {
        s->found = 0;
        table_each(table, sweep_one, s);
        for (size_t i = 0; i < s->found; i++)
            (void)key_forget(src, table, s->keys[i].key.text, s->keys[i].key.bytes, s->keys[i].place);
    } while (s->found == SWEEP);
    src->env->free(src->env, s, sizeof *s);
}

void tdm_call_each_owned(tdm_call *call, const char *kind, void (*fn)(void *ctx, const char *id), void *ctx)
{
    struct tdm_env *env = call->source->env;
    struct sweep *s = env->alloc(env, sizeof *s);

    if (s == NULL)
        return; /* they go on, and are freed when the call ends */
    s->rt = call->source->rt;
    s->place = tdm_self_place(call->self).id;
    s->found = 0;
    table_each(call->source->objects, sweep_one, s);
    for (size_t i = 0; i < s->found; i++) {
        const char *of_kind = s->keys[i].key.text + strlen(s->keys[i].key.text) + 1;

        if (strcmp(of_kind, kind) == 0)
            fn(ctx, of_kind + strlen(of_kind) + 1);
    }
    env->free(env, s, sizeof *s);
}

void dispatch_sweep_dead(struct tdm_source *src)
{
    sweep(src, src->calls, 0);
    sweep(src, src->objects, 0);
}

void dispatch_call_gone(tdm_call *call, tdm_place place)
{
    struct tdm_source *src = call->source;
    struct key k;

    key_of_call(&k, call->start);
    note_forget(src, &k);
    (void)key_forget(src, src->calls, k.text, k.bytes, place.id);
    for (struct owned *o = call->owned; o != NULL; o = o->next)
        (void)key_forget(src, src->objects, o->key, o->bytes, place.id);
    if (call->restarts > 0)
        sweep(src, src->objects, place.id);
}

void dispatch_call_lost(const struct call_start *start, tdm_place place, const char *why)
{
    static const char *const then[] = { "hangup", "hand_back", "leave" };
    const enum tdm_on_give_up how = start->app->app.on_give_up;
    struct tdm_source *src = start->source;
    struct key k;

    key_of_call(&k, start);
    note_forget(src, &k);
    dispatch_call_here(start, place);
    (void)key_forget(src, src->calls, k.text, k.bytes, place.id);
    sweep(src, src->objects, place.id);
    tdm_count(&calls_given_up, 1);
    tdm_log_error("call.given_up", "source=%s app=%s id=%s why=%s then=%s", src->name,
                  TDM_LOG_TEXT(call_start_app(start), start->switch_app_bytes),
                  TDM_LOG_TEXT(call_start_id(start), start->id_bytes), TDM_LOG_TEXT(why, strlen(why)),
                  then[how]);
    if (src->cfg.ops->give_up != NULL && how != TDM_GIVE_UP_LEAVE)
        src->cfg.ops->give_up(src, call_start_app(start), call_start_id(start), how);
}
