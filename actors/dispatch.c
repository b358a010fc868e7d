/* dispatch.c - START, EVENT or END with a key: spawn, route, end; one mechanism for every source.
 *
 * Idea:      a key is bytes, (app, id) of a call or (app, kind, id) of an object a call made; a table leads
 *            from it to the place of the call's actor. A place keeps its mailbox over restarts, so the
 *            route outlives a crash without anybody doing anything.
 * Claim:     START reserves the key with a number of its own, makes the place, then puts the place in. The
 *            actor may run and even end in between, so it puts itself in, too (dispatch_call_here): whoever
 *            comes first. An actor of an earlier call of that id holds another number and can not.
 *            The reader is the only one that starts calls and routes their events; so the event right
 *            behind a START finds a place.
 * Invariant: a key leads to a place of which an end has not been seen. A key is removed only if it still
 *            holds the place of whoever removes it: a late end can not hit the next call of that id.
 * Lost ends: a place that turns out to be dead when mail is sent to it gives up its key there and then.
 * Touched by the source's reader; the table also by calls that end, and by supervisors that give up. */
#include "dispatch.h"

#include <string.h>

#include "actor.h"
#include "event.h"
#include "tandem/runtime.h"

#define QUIET_NS TDM_S(60)

TDM_COUNTER(calls_started, "tandem_calls_started_total", "calls that got an actor");
TDM_COUNTER(calls_live, "tandem_calls", "calls that have an actor now");
TDM_COUNTER(calls_ended, "tandem_calls_ended_total", "calls whose key was freed");
TDM_COUNTER(calls_refused, "tandem_calls_refused_total", "calls that could not be given an actor");
TDM_COUNTER(starts_twice, "tandem_duplicate_starts_total", "start events for a call that was there already");
TDM_COUNTER(delivered, "tandem_events_delivered_total", "events put in the mailbox of their call");
TDM_COUNTER(unowned, "tandem_events_unowned_total", "events that belong to no call");
TDM_COUNTER(after_end, "tandem_events_after_end_total", "events of a call that came after its end");
TDM_COUNTER(refused, "tandem_events_refused_total", "events refused by a full mailbox or for lack of memory");

/* ---- keys ------------------------------------------------------------------------------------ */

static void add_part(struct key *k, const char *text, size_t bytes)
{
    memcpy(k->text + k->bytes, text, bytes);
    k->text[k->bytes + bytes] = '\0';
    k->bytes += bytes + 1;
}

int key_make(struct key *k, const char *app, size_t app_bytes, const char *kind, const char *id,
             size_t id_bytes)
{
    size_t kind_bytes = kind != NULL ? strlen(kind) : 0;

    if (app_bytes > TDM_CALL_APP_MAX || kind_bytes > DISPATCH_KIND_MAX || id_bytes > TDM_CALL_ID_MAX)
        return TDM_ETOOBIG;
    if (memchr(app, '\0', app_bytes) != NULL || memchr(id, '\0', id_bytes) != NULL)
        return TDM_EINVAL;
    k->bytes = 0;
    add_part(k, app, app_bytes);
    if (kind != NULL)
        add_part(k, kind, kind_bytes);
    add_part(k, id, id_bytes);
    return TDM_OK;
}

void key_of_call(struct key *k, const struct call_start *start)
{
    (void)key_make(k, call_start_app(start), start->switch_app_bytes, NULL, call_start_id(start),
                   start->id_bytes);
}

/* FNV-1a; never 0, which marks an empty cell. */
static uint64_t hash(const char *key, size_t bytes)
{
    uint64_t h = 14695981039346656037u;

    for (size_t i = 0; i < bytes; i++)
        h = (h ^ (unsigned char)key[i]) * 1099511628211u;
    return h | 1;
}

static bool freed_lately(const struct tdm_source *src, const struct key *k)
{
    uint64_t h = hash(k->text, k->bytes);

    return atomic_load_explicit(&src->recent[h / 2 % DISPATCH_RECENT], memory_order_relaxed) == h;
}

bool key_forget(struct tdm_source *src, struct table *table, const char *key, size_t bytes, uint64_t place)
{
    uint64_t h = hash(key, bytes);

    if (table_remove(table, key, bytes, place) != TDM_OK)
        return false;
    atomic_store_explicit(&src->recent[h / 2 % DISPATCH_RECENT], h, memory_order_relaxed);
    if (table == src->calls) {
        tdm_count(&calls_ended, 1);
        tdm_count(&calls_live, -1);
    }
    return true;
}

/* ---- trouble, told without flooding ---------------------------------------------------------- */

/* True: say it, with how many were left out since the last time. */
static bool may_say(struct tdm_source *src, enum trouble what, uint64_t *left_out)
{
    struct quiet *q = &src->quiet[what];
    uint64_t now = src->env->now_ns(src->env);

    if (now < q->until_ns) {
        q->left_out++;
        return false;
    }
    *left_out = q->left_out;
    *q = (struct quiet){ .until_ns = now + QUIET_NS };
    return true;
}

static void say(struct tdm_source *src, enum trouble what, const char *event, const char *app,
                size_t app_bytes, const char *id, size_t id_bytes, int err)
{
    uint64_t left_out;

    if (may_say(src, what, &left_out))
        tdm_log_warn(event, "source=%s app=%s id=%s err=%s left_out=%llu", src->name,
                     TDM_LOG_TEXT(app, app_bytes), TDM_LOG_TEXT(id, id_bytes), tdm_errname(err),
                     (unsigned long long)left_out);
}

/* ---- START ----------------------------------------------------------------------------------- */

/* The start argument, in a block of the reader's that is used again for the next one. */
static struct call_start *scratch_for(struct tdm_source *src, size_t bytes)
{
    size_t room = bytes * 2;

    if (bytes <= src->scratch_bytes)
        return src->scratch;
    if (src->scratch != NULL)
        src->env->free(src->env, src->scratch, src->scratch_bytes);
    src->scratch = src->env->alloc(src->env, room);
    src->scratch_bytes = src->scratch != NULL ? room : 0;
    return src->scratch;
}

static char *put(char *to, const char *text, size_t bytes)
{
    memcpy(to, text, bytes);
    to[bytes] = '\0';
    return to + bytes + 1;
}

struct beginning {
    const char *app, *id, *json;
    size_t app_bytes, id_bytes, json_bytes;
    bool adopted;
};

static int start_actor(struct tdm_source *src, const struct app_entry *app, const struct beginning *b,
                       tdm_place *ret)
{
    size_t bytes = sizeof(struct call_start) + b->app_bytes + b->id_bytes + b->json_bytes + 3;
    struct call_start *start = scratch_for(src, bytes);
    char *to, *tag;

    if (start == NULL)
        return TDM_ENOMEM;
    *start = (struct call_start){ .source = src,
                                  .app = app,
                                  .claim = src->claims,
                                  .adopted = b->adopted,
                                  .switch_app_bytes = (uint32_t)b->app_bytes,
                                  .id_bytes = (uint32_t)b->id_bytes,
                                  .json_bytes = (uint32_t)b->json_bytes };
    tag = to = put(start->text, b->app, b->app_bytes);
    to = put(to, b->id, b->id_bytes);
    put(to, b->json, b->json_bytes);
    return tdm_sup_start_dynamic(src->rt, source_nursery(src, b->app, b->app_bytes), start, bytes, tag, ret);
}

void dispatch_call_here(const struct call_start *start, tdm_place place)
{
    struct key k = { .bytes = 0 };

    key_of_call(&k, start);
    (void)table_replace(start->source->calls, k.text, k.bytes, start->claim, place.id);
}

static int claim(struct tdm_source *src, const struct key *k, const struct app_entry *app,
                 const struct beginning *b)
{
    tdm_place place;
    int err = table_add(src->calls, k->text, k->bytes, ++src->claims, NULL);

    if (err != TDM_OK)
        return err;
    err = start_actor(src, app, b, &place);
    if (err != TDM_OK) {
        (void)table_remove(src->calls, k->text, k->bytes, src->claims);
        return err;
    }
    tdm_count(&calls_started, 1);
    tdm_count(&calls_live, 1);
    (void)table_replace(src->calls, k->text, k->bytes, src->claims, place.id); /* or the actor has done it */
    return TDM_OK;
}

static int send_event(struct tdm_source *src, struct table *table, const struct key *k,
                      const struct beginning *b, uint64_t *place);

int tdm_source_call_start(struct tdm_source *src, const char *app, size_t app_bytes, const char *id,
                          size_t id_bytes, const char *json, size_t json_bytes, bool adopted)
{
    const struct beginning b = { app, id, json, app_bytes, id_bytes, json_bytes, adopted };
    const struct app_entry *entry = app_registry_find(app, app_bytes);
    struct key k;
    uint64_t place;
    int err = key_make(&k, app, app_bytes, NULL, id, id_bytes);

    if (err == TDM_OK && send_event(src, src->calls, &k, &b, &place) != TDM_ENOTFOUND) {
        tdm_count(&starts_twice, 1);
        return TDM_EEXIST;
    }
    if (err == TDM_OK)
        err = entry != NULL ? claim(src, &k, entry, &b) : TDM_ENOTFOUND;
    if (err != TDM_OK) {
        tdm_count(&calls_refused, 1);
        say(src, err == TDM_ENOTFOUND ? NO_APP : NO_ACTOR,
            err == TDM_ENOTFOUND ? "call.no_app" : "call.no_actor", app, app_bytes, id, id_bytes, err);
    }
    return err;
}

/* ---- EVENT ----------------------------------------------------------------------------------- */

/* To the owner of the key. TDM_ENOTFOUND: nobody, or somebody who has died without a word. */
static int send_event(struct tdm_source *src, struct table *table, const struct key *k,
                      const struct beginning *b, uint64_t *place)
{
    const struct event_head head = { .source = src->name,
                                     .application = b->app,
                                     .application_bytes = b->app_bytes };
    struct tdm_msg *msg;
    int err;

    if (!table_get(table, k->text, k->bytes, place))
        return TDM_ENOTFOUND;
    err = event_msg_new(src->rt, TDM_MSG_EVENT, &head, b->json, b->json_bytes, &msg);
    if (err == TDM_OK) {
        err = tdm_send_place(src->rt, (tdm_place){ *place }, msg);
        if (err != TDM_OK)
            tdm_msg_free(src->rt, msg);
    }
    if (err == TDM_ENOPROC) {
        (void)key_forget(src, table, k->text, k->bytes, *place);
        return TDM_ENOTFOUND;
    }
    tdm_count(err == TDM_OK ? &delivered : &refused, 1);
    if (err != TDM_OK)
        say(src, NO_ROOM, "event.refused", b->app, b->app_bytes, b->id, b->id_bytes, err);
    return err;
}

/* Nobody owns it. Some things are worth an app's while all the same: a message, a device's state. */
static int to_default_owner(struct tdm_source *src, const struct beginning *b)
{
    const struct event_head head = { .source = src->name,
                                     .application = b->app,
                                     .application_bytes = b->app_bytes };
    struct tdm_msg *msg;
    int err;

    if (src->cfg.default_owner.id == 0)
        return TDM_ENOTFOUND;
    err = event_msg_new(src->rt, TDM_MSG_EVENT, &head, b->json, b->json_bytes, &msg);
    if (err != TDM_OK)
        return err;
    err = tdm_send(src->rt, src->cfg.default_owner, msg);
    if (err != TDM_OK)
        tdm_msg_free(src->rt, msg);
    return err == TDM_ENOPROC ? TDM_ENOTFOUND : err;
}

static int nobody(struct tdm_source *src, const struct key *k, const struct beginning *b)
{
    int err;

    if (freed_lately(src, k)) {
        tdm_count(&after_end, 1);
        return TDM_ENOTFOUND;
    }
    err = to_default_owner(src, b);
    if (err == TDM_OK)
        return TDM_OK;
    tdm_count(err == TDM_ENOTFOUND ? &unowned : &refused, 1);
    say(src, NO_OWNER, "event.unowned", b->app, b->app_bytes, b->id, b->id_bytes, err);
    return err;
}

int tdm_source_event(struct tdm_source *src, const char *app, size_t app_bytes, const char *kind,
                     const char *id, size_t id_bytes, const char *json, size_t json_bytes)
{
    const struct beginning b = { app, id, json, app_bytes, id_bytes, json_bytes, false };
    bool call = kind == NULL || strcmp(kind, "channel") == 0;
    struct key k;
    uint64_t place;
    int err = key_make(&k, app, app_bytes, call ? NULL : kind, id, id_bytes);

    if (err == TDM_OK) {
        err = send_event(src, call ? src->calls : src->objects, &k, &b, &place);
        return err == TDM_ENOTFOUND ? nobody(src, &k, &b) : err;
    }
    tdm_count(&refused, 1);
    say(src, TOO_LONG, "event.key_too_long", app, app_bytes, id, id_bytes, err);
    return err;
}

/* ---- END ------------------------------------------------------------------------------------- */

/* The last message. It is let in even if the mailbox is full: without it the actor would never end. */
static int send_end(struct tdm_source *src, const struct beginning *b, uint64_t place)
{
    const struct event_head head = { .source = src->name,
                                     .application = b->app,
                                     .application_bytes = b->app_bytes };
    struct tdm_msg *msg;
    int err = event_msg_new(src->rt, TDM_MSG_CALL_END, &head, b->json, b->json_bytes, &msg);

    if (err != TDM_OK)
        return err;
    err = tdm_place_end(src->rt, (tdm_place){ place }, msg);
    if (err != TDM_OK)
        tdm_msg_free(src->rt, msg);
    return err;
}

int tdm_source_call_end(struct tdm_source *src, const char *app, size_t app_bytes, const char *id,
                        size_t id_bytes, const char *json, size_t json_bytes)
{
    const struct beginning b = { app, id, json, app_bytes, id_bytes, json_bytes, false };
    struct key k;
    uint64_t place;
    int err = key_make(&k, app, app_bytes, NULL, id, id_bytes);

    if (err != TDM_OK)
        return err;
    if (!table_get(src->calls, k.text, k.bytes, &place))
        return nobody(src, &k, &b);
    err = send_end(src, &b, place);
    if (err == TDM_ENOMEM)
        return err; /* the key stays: the source may say it again, and asks for live calls anyway */
    note_forget(src, &k);
    (void)key_forget(src, src->calls, k.text, k.bytes, place);
    tdm_count(err == TDM_OK ? &delivered : &after_end, 1);
    return err == TDM_ENOPROC ? TDM_ENOTFOUND : err;
}

/* ---- live calls ------------------------------------------------------------------------------ */

struct each {
    void (*fn)(void *ctx, const char *app, const char *id, tdm_place place);
    void *ctx;
};

static void each_one(void *ctx, const void *key, size_t bytes, uint64_t place)
{
    const struct each *e = ctx;
    const char *app = key;

    (void)bytes;
    if (id_is_place(place))
        e->fn(e->ctx, app, app + strlen(app) + 1, (tdm_place){ place });
}

void tdm_source_each_call(struct tdm_source *src,
                          void (*fn)(void *ctx, const char *app, const char *id, tdm_place place), void *ctx)
{
    struct each e = { .fn = fn, .ctx = ctx };

    table_each(src->calls, each_one, &e);
}

static void stop_one(void *ctx, const void *key, size_t bytes, uint64_t place)
{
    const struct tdm_source *src = ctx;

    (void)key;
    (void)bytes;
    if (id_is_place(place))
        (void)tdm_stop(src->rt,
                       tdm_place_pid(src->rt, (tdm_place){ place })); /* between two lives: nobody to tell */
}

void tdm_source_stop_calls(struct tdm_source *src)
{
    table_each(src->calls, stop_one, src);
}
