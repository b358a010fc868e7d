/* event.c - an event is its JSON text and, on demand, what an actor wanted of it.
 *
 * Idea:      a block of memory inside the message: this header, the text, the names. Looking a value
 *            up walks the text (json_text.c). Only what has to be made, unescaped strings and the
 *            tree, is kept beside it.
 * Memory:    strings go into a little room in the header first; only when it is full, or for the
 *            tree, is anything allocated, and only then does the message get a drop hook. An event
 *            that is asked for a digit and a number costs one block and no hook.
 * Invariant: a string is kept once, found again by its place in the text; so an event never holds
 *            more than the strings that are in it.
 * Touched by whoever holds the message. */
#include "event.h"
#include "json_scan.h"
#include "json_text.h"
#include "tandem/actor.h"
#include "tandem/env.h"
#include "tandem/err.h"
#include "tandem/runtime.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_BYTES 192

struct kept {
    struct kept *next;
    const char *at;     /* where the string stands in the text */
    size_t block_bytes; /* to be freed; 0: it is in the room */
    char text[];
};

struct tdm_event {
    struct tdm_runtime *rt;                  /* NULL: made by tdm_event_parse() or for an actor */
    struct tdm_self *owner;                  /* for an actor: all memory is its own */
    const char *source, *type, *application; /* the last two NULL: not looked up yet */
    const char *text;
    size_t bytes;
    struct kept *kept;
    json_t *tree;
    uint32_t code;
    uint32_t room_used;
    char room[ROOM_BYTES] __attribute__((aligned(8)));
    char block[]; /* the text and the names, each ended by NUL */
};

/* ---- making ---------------------------------------------------------------------------------- */

static size_t block_bytes(const struct event_head *head, size_t bytes)
{
    size_t total = bytes + 1;

    total += head->source != NULL ? strlen(head->source) + 1 : 0;
    total += head->type != NULL ? head->type_bytes + 1 : 0;
    total += head->application != NULL ? head->application_bytes + 1 : 0;
    return total;
}

static const char *put(char **to, const char *from, size_t bytes)
{
    char *start = *to;

    memcpy(start, from, bytes);
    start[bytes] = '\0';
    *to += bytes + 1;
    return start;
}

static void fill(tdm_event *ev, const struct event_head *head, const char *json, size_t bytes)
{
    char *to = ev->block;

    memset(ev, 0, offsetof(tdm_event, room));
    ev->code = head->code;
    ev->bytes = bytes;
    ev->text = put(&to, json, bytes);
    ev->source = head->source != NULL ? put(&to, head->source, strlen(head->source)) : "";
    if (head->type != NULL)
        ev->type = put(&to, head->type, head->type_bytes);
    if (head->application != NULL)
        ev->application = put(&to, head->application, head->application_bytes);
}

static bool carries_event(uint32_t msg_type)
{
    return msg_type == TDM_MSG_EVENT || msg_type == TDM_MSG_CALL_START || msg_type == TDM_MSG_CALL_END;
}

int event_msg_new(struct tdm_runtime *rt, uint32_t msg_type, const struct event_head *head, const char *json,
                  size_t bytes, struct tdm_msg **ret)
{
    const size_t total = sizeof(tdm_event) + block_bytes(head, bytes);

    if (!carries_event(msg_type))
        return TDM_EINVAL;
    if (total > UINT32_MAX)
        return TDM_ETOOBIG;
    struct tdm_msg *msg = tdm_msg_new(rt, msg_type, total);

    if (msg == NULL)
        return TDM_ENOMEM;
    tdm_event *ev = tdm_msg_data(msg);

    fill(ev, head, json, bytes);
    ev->rt = rt;
    *ret = msg;
    return TDM_OK;
}

int tdm_event_parse(const char *text, size_t bytes, tdm_event **ret)
{
    const struct event_head head = { .source = NULL };
    const int err = json_scan(NULL, text, bytes, NULL, NULL);

    if (err != TDM_OK)
        return err;
    tdm_event *ev = malloc(sizeof *ev + block_bytes(&head, bytes));

    if (ev == NULL)
        return TDM_ENOMEM;
    fill(ev, &head, text, bytes);
    *ret = ev;
    return TDM_OK;
}

int event_for_actor(struct tdm_self *self, const struct event_head *head, const char *json, size_t bytes,
                    tdm_event **ret)
{
    tdm_event *ev = tdm_alloc(self, sizeof *ev + block_bytes(head, bytes));

    if (ev == NULL)
        return TDM_ENOMEM;
    fill(ev, head, json, bytes);
    ev->owner = self;
    *ret = ev;
    return TDM_OK;
}

tdm_event *tdm_msg_event(struct tdm_msg *msg)
{
    return msg != NULL && carries_event(msg->type) ? tdm_msg_data(msg) : NULL;
}

/* The contents may be damaged: the type is copied only, not looked up. */
static void excerpt(const struct tdm_msg *msg, char *buf, size_t bytes)
{
    const tdm_event *ev = tdm_msg_view(msg);

    (void)snprintf(buf, bytes, "%s", ev->type != NULL ? ev->type : "");
}

void event_describe(void)
{
    (void)tdm_msg_describe(TDM_MSG_EVENT, "event", excerpt); /* it has a name already: this one */
    (void)tdm_msg_describe(TDM_MSG_CALL_START, "call_start", excerpt);
    (void)tdm_msg_describe(TDM_MSG_CALL_END, "call_end", excerpt);
    (void)tdm_msg_describe(TDM_MSG_VERB, "verb", NULL);
}

uint32_t event_code(const tdm_event *ev)
{
    return ev->code;
}

/* ---- what is made on demand ------------------------------------------------------------------ */

static void release(tdm_event *ev)
{
    struct tdm_env *env = ev->rt != NULL ? tdm_runtime_env(ev->rt) : NULL;

    json_decref(ev->tree);
    ev->tree = NULL;
    while (ev->kept != NULL) {
        struct kept *k = ev->kept;

        ev->kept = k->next;
        if (k->block_bytes == 0)
            continue;
        if (env != NULL)
            env->free(env, k, k->block_bytes);
        else if (ev->owner != NULL)
            tdm_free(ev->owner, k);
        else
            free(k);
    }
}

static void drop_msg(struct tdm_msg *msg)
{
    release(tdm_msg_data(msg));
}

/* From now on there is something to free. An event in a message is the whole payload of it. */
static void need_release(tdm_event *ev)
{
    if (ev->rt != NULL)
        tdm_msg_on_drop((struct tdm_msg *)(void *)ev - 1, drop_msg);
}

void tdm_event_free(tdm_event *ev)
{
    if (ev == NULL)
        return;
    release(ev);
    free(ev);
}

void event_for_actor_free(struct tdm_self *self, tdm_event *ev)
{
    if (ev == NULL)
        return;
    release(ev);
    tdm_free(self, ev);
}

static struct kept *kept_new(tdm_event *ev, size_t text_bytes)
{
    const size_t bytes = (sizeof(struct kept) + text_bytes + 7) & ~(size_t)7;
    struct kept *k;

    if (bytes <= ROOM_BYTES - ev->room_used) {
        k = (struct kept *)(void *)(ev->room + ev->room_used);
        ev->room_used += (uint32_t)bytes;
        k->block_bytes = 0;
        return k;
    }
    struct tdm_env *env = ev->rt != NULL ? tdm_runtime_env(ev->rt) : NULL;

    if (ev->owner != NULL)
        k = tdm_alloc(ev->owner, bytes);
    else
        k = env != NULL ? env->alloc(env, bytes) : malloc(bytes);
    if (k == NULL)
        return NULL;
    k->block_bytes = bytes;
    need_release(ev);
    return k;
}

/* The string as C has it: made at the first question, found again afterwards. */
static const char *keep_string(tdm_event *ev, const struct json_slice *slice)
{
    for (const struct kept *k = ev->kept; k != NULL; k = k->next)
        if (k->at == slice->at)
            return k->text;
    struct kept *k = kept_new(ev, slice->bytes + 1u); /* unescaped it is not longer */

    if (k == NULL)
        return NULL;
    k->text[json_text_unescape(k->text, slice->bytes, slice->at, slice->bytes)] = '\0';
    k->at = slice->at;
    k->next = ev->kept;
    ev->kept = k;
    return k->text;
}

json_t *tdm_event_tree(tdm_event *ev)
{
    if (ev->tree == NULL) {
        ev->tree = json_loadb(ev->text, ev->bytes, 0, NULL);
        if (ev->tree != NULL)
            need_release(ev);
    }
    return ev->tree;
}

/* ---- questions ------------------------------------------------------------------------------- */

static bool find(const tdm_event *ev, const char *path, struct json_slice *ret)
{
    return json_text_find(ev->text, ev->bytes, path, ret);
}

const char *tdm_event_str(tdm_event *ev, const char *path)
{
    struct json_slice slice;

    if (!find(ev, path, &slice) || slice.kind != JSON_SCAN_STRING)
        return NULL;
    return keep_string(ev, &slice);
}

/* Looking a name up fills a cache, which is no change to the event that anyone could see. */
static const char *name_of(const char *const *cached, const tdm_event *ev, const char *path)
{
    if (*cached == NULL) {
        const char *name = tdm_event_str((tdm_event *)(uintptr_t)ev, path);

        *(const char **)(uintptr_t)cached = name != NULL ? name : "";
    }
    return *cached;
}

const char *tdm_event_type(const tdm_event *ev)
{
    return name_of(&ev->type, ev, "type");
}

const char *tdm_event_application(const tdm_event *ev)
{
    return name_of(&ev->application, ev, "application");
}

const char *tdm_event_source(const tdm_event *ev)
{
    return ev->source;
}

const char *tdm_event_text(const tdm_event *ev, size_t *bytes)
{
    if (bytes != NULL)
        *bytes = ev->bytes;
    return ev->text;
}

int64_t tdm_event_int(const tdm_event *ev, const char *path, int64_t fallback)
{
    struct json_slice slice;

    return find(ev, path, &slice) && slice.kind == JSON_SCAN_INTEGER ? json_text_int(&slice) : fallback;
}

double tdm_event_real(const tdm_event *ev, const char *path, double fallback)
{
    struct json_slice slice;

    if (!find(ev, path, &slice) || (slice.kind != JSON_SCAN_INTEGER && slice.kind != JSON_SCAN_REAL))
        return fallback;
    if (slice.kind == JSON_SCAN_INTEGER)
        return (double)json_text_int(&slice);
    /* Jansson reads it as the tree would have it, whatever the locale. */
    json_t *number = json_loadb(slice.at, slice.bytes, JSON_DECODE_ANY, NULL);

    if (number == NULL)
        return fallback;
    const double value = json_real_value(number);

    json_decref(number);
    return value;
}

bool tdm_event_bool(const tdm_event *ev, const char *path, bool fallback)
{
    struct json_slice slice;

    if (!find(ev, path, &slice) || (slice.kind != JSON_SCAN_TRUE && slice.kind != JSON_SCAN_FALSE))
        return fallback;
    return slice.kind == JSON_SCAN_TRUE;
}

bool tdm_event_has(const tdm_event *ev, const char *path)
{
    struct json_slice slice;

    return find(ev, path, &slice);
}

int tdm_event_count(const tdm_event *ev, const char *path)
{
    struct json_slice slice;

    return find(ev, path, &slice) ? json_text_count(&slice) : -1;
}

const char *tdm_event_raw(const tdm_event *ev, const char *path, size_t *bytes)
{
    struct json_slice slice;

    if (!find(ev, path, &slice))
        return NULL;
    const size_t quote = slice.kind == JSON_SCAN_STRING;

    if (bytes != NULL)
        *bytes = slice.bytes + 2 * quote;
    return slice.at - quote;
}
