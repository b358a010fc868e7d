/* route.c - one received event to the actors that it concerns.
 *
 * Idea:  wire.c says what the message is and which objects it names; dispatch finds their owners. What
 *        is left to decide here is small: a destroyed channel ends its call if that still lives, a
 *        channel nobody serves is given back, and what concerns the connection goes to its actor.
 * Copies: one for each owner, but one only for an actor that owns several of the objects. */
#include "route.h"
#include "conn.h"
#include "ops.h"
#include "tandem/env.h"
#include "tandem/log.h"
#include "tandem/timer.h"

#include <string.h>

static TDM_COUNTER(events, "tandem_ari_events_total",
                   "messages read from the event sockets of Asterisk servers");
static TDM_COUNTER(malformed, "tandem_ari_events_malformed_total",
                   "messages that were not an event: not JSON, no type");
static TDM_COUNTER(bad_ids, "tandem_ari_bad_ids_total", "ids in events that were too long to be used");
static TDM_COUNTER(unowned, "tandem_ari_events_unowned_total", "events that concern no call of ours");
static TDM_COUNTER(responses, "tandem_ari_responses_total",
                   "answers over the event socket that nobody waits for");
static TDM_COUNTER(unserved, "tandem_ari_unserved_total",
                   "channels that no app here serves: handed back or hung up");
static TDM_COUNTER(doubled, "tandem_ari_starts_doubled_total",
                   "second start events of a live call: given to it as events");
static TDM_COUNTER(late_ends, "tandem_ari_ends_unknown_total", "end events of channels that have no call");

static const char *const object_names[] = {
    [ARI_CHANNEL] = "channel", [ARI_BRIDGE] = "bridge",     [ARI_ENDPOINT] = "endpoint",
    [ARI_DEVICE] = "device",   [ARI_PLAYBACK] = "playback", [ARI_RECORDING] = "recording",
};

enum { SAY_MALFORMED, SAY_UNSERVED };

/* A flood of one kind of trouble is one line a minute; *left_out: how many were kept back before it. */
static bool may_say(struct ari *a, int what, uint64_t *left_out)
{
    const uint64_t now = a->env->now_ns(a->env);

    if (now < a->quiet[what].until_ns) {
        a->quiet[what].left_out++;
        return false;
    }
    *left_out = a->quiet[what].left_out;
    a->quiet[what].until_ns = now + TDM_S(60);
    a->quiet[what].left_out = 0;
    return true;
}

struct event {
    struct ari *a;
    const struct ari_frame *frame;
    const char *json;
    size_t bytes;
};

/* To the owner of one of its objects; true when there is one, even if its mailbox was full. */
static bool to_owner(const struct event *e, const struct ari_key *key)
{
    const struct ari_text *app = &e->frame->application;

    return tdm_source_event(e->a->source, app->at, app->bytes, object_names[key->object], key->id.at,
                            key->id.bytes, e->json, e->bytes) != TDM_ENOTFOUND;
}

/* A playback or recording is owned by the call that made it, which nearly always is also the owner of
 * its target: the target first (rule 10.1.1), and the object itself only when nobody owns that. */
static bool is_about_media(const struct ari_frame *f)
{
    return f->event >= ARI_PLAYBACK_STARTED && f->event <= ARI_RECORDING_FAILED;
}

static void to_owners(const struct event *e, uint32_t first)
{
    bool owned = false;

    for (uint32_t i = first; i < e->frame->keys; i++) {
        owned |= to_owner(e, &e->frame->key[i]);
        if (owned && is_about_media(e->frame))
            break;
    }
    if (!owned && first == 0)
        tdm_count(&unowned, 1);
}

void route_unserved(struct ari *a, const char *app, size_t app_bytes, const char *id, size_t id_bytes,
                    int why)
{
    const tdm_pid actor = { atomic_load_explicit(&a->conn_actor, memory_order_relaxed) };
    static const char *const then[] = { "hand_back", "hang_up", "leave" };
    char channel[ARI_ID_BYTES + 1];
    uint64_t left_out;
    tdm_ref ref;

    tdm_count(&unserved, 1);
    if (may_say(a, SAY_UNSERVED, &left_out))
        tdm_log_warn("ari.unserved", "source=%s app=%s channel=%s error=%s then=%s left_out=%llu",
                     a->cfg.name, TDM_LOG_TEXT(app, app_bytes), TDM_LOG_TEXT(id, id_bytes), tdm_errname(why),
                     then[a->cfg.on_unknown], (unsigned long long)left_out);
    if (id_bytes > ARI_ID_BYTES || a->cfg.on_unknown == TDM_ARI_LEAVE)
        return;
    memcpy(channel, id, id_bytes);
    channel[id_bytes] = '\0';
    if (a->cfg.on_unknown == TDM_ARI_HAND_BACK)
        ops_continue(a, actor, channel, NULL, NULL, 0, &ref);
    else
        ops_hangup(a, actor, channel, TDM_CAUSE_CONGESTION, &ref);
}

static void start(const struct event *e)
{
    const struct ari_frame *f = e->frame;
    const struct ari_text *app = &f->application, *id = &f->key[0].id;
    int err = TDM_ESHUTDOWN;

    if (f->keys == 0 || f->bad_ids > 0) { /* then the first key may not be the channel's */
        tdm_count(&malformed, 1);
        return;
    }
    if (!atomic_load_explicit(&e->a->draining, memory_order_relaxed))
        err = tdm_source_call_start(e->a->source, app->at, app->bytes, id->at, id->bytes, e->json, e->bytes,
                                    false);
    if (err == TDM_EEXIST)
        tdm_count(&doubled, 1);
    else if (err != TDM_OK)
        route_unserved(e->a, app->at, app->bytes, id->at, id->bytes, err);
    to_owners(e, 1); /* the owner of the replaced channel */
}

/* True when there was a call to end. */
static bool end(const struct event *e)
{
    const struct ari_frame *f = e->frame;

    return f->keys > 0 &&
           tdm_source_call_end(e->a->source, f->application.at, f->application.bytes, f->key[0].id.at,
                               f->key[0].id.bytes, e->json, e->bytes) != TDM_ENOTFOUND;
}

static void replaced(const struct event *e)
{
    const tdm_pid actor = { atomic_load_explicit(&e->a->conn_actor, memory_order_relaxed) };
    const struct ari_text *app = &e->frame->application;
    struct tdm_msg *msg = tdm_msg_new(e->a->rt, CONN_MSG_REPLACED, app->bytes + 1);

    if (msg == NULL)
        return;
    memcpy(tdm_msg_data(msg), app->at, app->bytes);
    ((char *)tdm_msg_data(msg))[app->bytes] = '\0';
    if (tdm_send(e->a->rt, actor, msg) != TDM_OK)
        tdm_msg_free(e->a->rt, msg);
}

static void hand_on(const struct event *e)
{
    switch (e->frame->kind) {
    case ARI_START:
        start(e);
        break;
    case ARI_END:
        if (!end(e))
            tdm_count(&late_ends, 1);
        break;
    case ARI_EVENT:
        if (e->frame->event == ARI_CHANNEL_DESTROYED)
            (void)end(e); /* usually it ended before, with StasisEnd; dispatch counts it then */
        else
            to_owners(e, 0);
        break;
    case ARI_OFFER:
        to_owners(e, 0);
        break;
    case ARI_RESPONSE:
        tdm_count(&responses, 1);
        break;
    case ARI_APP_REPLACED:
        replaced(e);
        break;
    case ARI_APP_ARRIVED:
    case ARI_APP_GONE:
        break; /* only on sockets that the server opened */
    case ARI_NONE:
        tdm_count(&malformed, 1);
    }
}

void route_event(struct ari *a, const char *json, size_t bytes)
{
    char scratch[ARI_SCRATCH_BYTES];
    struct ari_frame frame;
    struct ari_fault fault = { .word = "too long" };
    uint64_t left_out;
    const int err = ari_wire_scan(&frame, json, bytes, scratch, sizeof scratch, &fault);

    tdm_count(&events, 1);
    if (err != TDM_OK) {
        tdm_count(&malformed, 1);
        if (may_say(a, SAY_MALFORMED, &left_out))
            tdm_log_warn("ari.malformed", "source=%s at=%zu bytes=%zu what=\"%s\" left_out=%llu", a->cfg.name,
                         fault.at, bytes, fault.word, (unsigned long long)left_out);
        return;
    }
    if (frame.bad_ids > 0)
        tdm_count(&bad_ids, frame.bad_ids);
    hand_on(&(struct event){ .a = a, .frame = &frame, .json = json, .bytes = bytes });
}
