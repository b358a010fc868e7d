/* wire.c - bytes of one ARI message to {event, kind, keys}. No I/O and no state.
 *
 * Idea:  the type of an event may stand behind everything else in it, so one pass collects the
 *        value of every place where an id can stand in any event (a few dozen names, json_scan.c
 *        looks at nothing else); then the row of the event's type says which of them are its keys.
 * Order: keys come as the row lists them, whatever the order in the message. */
#include "wire.h"
#include "json_scan.h"
#include "json_text.h"
#include "tandem/err.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

/* How a place says what it names. */
enum place_form {
    FORM_ID,       /* the value is the id */
    FORM_TARGET,   /* "channel:ID" or "bridge:ID" */
    FORM_ENDPOINT, /* an object with technology and resource */
};

/* Every place where an id can stand; the names are those in the rows of ARI_EVENT_MAP. */
static const struct place {
    const char *name;
    enum ari_object object;
    enum place_form form;
} places[] = {
    { "channel.id", ARI_CHANNEL, FORM_ID },
    { "replace_channel.id", ARI_CHANNEL, FORM_ID },
    { "peer.id", ARI_CHANNEL, FORM_ID },
    { "caller.id", ARI_CHANNEL, FORM_ID },
    { "forwarded.id", ARI_CHANNEL, FORM_ID },
    { "transferee.id", ARI_CHANNEL, FORM_ID },
    { "transferer_first_leg.id", ARI_CHANNEL, FORM_ID },
    { "transferer_second_leg.id", ARI_CHANNEL, FORM_ID },
    { "transfer_target.id", ARI_CHANNEL, FORM_ID },
    { "destination_link_first_leg.id", ARI_CHANNEL, FORM_ID },
    { "destination_link_second_leg.id", ARI_CHANNEL, FORM_ID },
    { "destination_threeway_channel.id", ARI_CHANNEL, FORM_ID },
    { "referred_by.source_channel.id", ARI_CHANNEL, FORM_ID },
    { "referred_by.connected_channel.id", ARI_CHANNEL, FORM_ID },
    { "refer_to.destination_channel.id", ARI_CHANNEL, FORM_ID },
    { "refer_to.connected_channel.id", ARI_CHANNEL, FORM_ID },
    { "bridge.id", ARI_BRIDGE, FORM_ID },
    { "bridge_from.id", ARI_BRIDGE, FORM_ID },
    { "transferer_first_leg_bridge.id", ARI_BRIDGE, FORM_ID },
    { "transferer_second_leg_bridge.id", ARI_BRIDGE, FORM_ID },
    { "destination_bridge", ARI_BRIDGE, FORM_ID },
    { "destination_threeway_bridge.id", ARI_BRIDGE, FORM_ID },
    { "referred_by.bridge.id", ARI_BRIDGE, FORM_ID },
    { "refer_to.bridge.id", ARI_BRIDGE, FORM_ID },
    { "playback.target_uri", ARI_CHANNEL, FORM_TARGET },
    { "recording.target_uri", ARI_CHANNEL, FORM_TARGET },
    { "playback.id", ARI_PLAYBACK, FORM_ID },
    { "recording.name", ARI_RECORDING, FORM_ID },
    { "device_state.name", ARI_DEVICE, FORM_ID },
    { "endpoint", ARI_ENDPOINT, FORM_ENDPOINT },
};

#define PLACES (sizeof places / sizeof places[0])

/* What the scanner is asked for: the places (an endpoint by its two members), then these. */
enum { SLOT_RESOURCE = PLACES, SLOT_TYPE, SLOT_APPLICATION, SLOT_REQUEST, SLOTS };

static_assert(PLACES <= ARI_KEYS_MAX, "an event of unknown type may have an id in every place");

static const struct row {
    const char *name, *keys;
    enum ari_kind kind;
} rows[] = { { "unknown", "", ARI_EVENT },
#define X(id, name, kind, keys) { name, keys, ARI_##kind },
             ARI_EVENT_MAP(X)
#undef X
};

/* Made once from the tables above, then constant. */
static struct {
    pthread_once_t once;
    struct json_plan paths, types; /* types: a path of one name for each event, in the order of the enum */
    uint8_t keys[ARI_EVENTS_END][PLACES];
    uint8_t count[ARI_EVENTS_END];
} wire = { .once = PTHREAD_ONCE_INIT };

static uint8_t place_of(const char *name, size_t bytes)
{
    uint8_t i = 0;

    while (i < PLACES && (strncmp(places[i].name, name, bytes) != 0 || places[i].name[bytes] != '\0'))
        i++;
    assert(i < PLACES); /* a row of the table names a place that is not in the list */
    return i;
}

static void read_row(enum ari_event event)
{
    const char *p = rows[event].keys;

    while (*p != '\0') {
        const size_t bytes = strcspn(p, " ");

        wire.keys[event][wire.count[event]++] = place_of(p, bytes);
        p += bytes;
        p += strspn(p, " ");
    }
}

static void prepare(void)
{
    const char *paths[SLOTS], *types[ARI_EVENTS_END - 1];

    for (size_t i = 0; i < PLACES; i++)
        paths[i] = places[i].form == FORM_ENDPOINT ? "endpoint.technology" : places[i].name;
    paths[SLOT_RESOURCE] = "endpoint.resource";
    paths[SLOT_TYPE] = "type";
    paths[SLOT_APPLICATION] = "application";
    paths[SLOT_REQUEST] = "request_id";
    for (int e = ARI_UNKNOWN + 1; e < ARI_EVENTS_END; e++) {
        types[e - 1] = rows[e].name;
        read_row((enum ari_event)e);
    }
    for (size_t i = 0; i < PLACES; i++)
        wire.keys[ARI_UNKNOWN][wire.count[ARI_UNKNOWN]++] = (uint8_t)i;
    int err = json_scan_plan(&wire.paths, paths, SLOTS);

    if (err == TDM_OK)
        err = json_scan_plan(&wire.types, types, ARI_EVENTS_END - 1);
    assert(err == TDM_OK); /* the tables are constant: either they fit or no test ever ran */
    (void)err;
}

/* ---- texts ----------------------------------------------------------------------------------- */

struct scratch {
    char *at;
    size_t room;
};

/* A string, unescaped into the scratch buffer if need be; false when it is longer than `limit`. */
static bool take_text(struct ari_text *ret, const struct json_slice *slice, size_t limit,
                      struct scratch *scratch)
{
    if (!slice->escaped) {
        *ret = (struct ari_text){ .at = slice->at, .bytes = slice->bytes };
        return slice->bytes <= limit;
    }
    const ptrdiff_t bytes = json_text_unescape(scratch->at, limit < scratch->room ? limit : scratch->room,
                                               slice->at, slice->bytes);

    if (bytes < 0)
        return false;
    *ret = (struct ari_text){ .at = scratch->at, .bytes = (size_t)bytes };
    scratch->at += bytes;
    scratch->room -= (size_t)bytes;
    return true;
}

static struct ari_text text_or_none(struct ari_frame *frame, const struct json_slice *slice,
                                    struct scratch *scratch)
{
    struct ari_text text = { .at = "", .bytes = 0 };

    if (slice->kind == JSON_SCAN_STRING && !take_text(&text, slice, ARI_ID_BYTES, scratch)) {
        frame->bad_ids++;
        text = (struct ari_text){ .at = "", .bytes = 0 };
    }
    return text;
}

static bool starts_with(const struct ari_text *text, const char *start, size_t bytes)
{
    return text->bytes >= bytes && memcmp(text->at, start, bytes) == 0;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void add_key(struct ari_frame *frame, enum ari_object object, struct ari_text id)
{
    if (id.bytes == 0)
        return;
    if (id.bytes > ARI_ID_BYTES) {
        frame->bad_ids++;
        return;
    }
    for (uint32_t i = 0; i < frame->keys; i++) {
        const struct ari_key *have = &frame->key[i];

        if (have->object == object && have->id.bytes == id.bytes && memcmp(have->id.at, id.at, id.bytes) == 0)
            return;
    }
    frame->key[frame->keys++] = (struct ari_key){ .object = object, .id = id };
}

/* Split at the first colon only: an id may hold colons. */
static void add_target(struct ari_frame *frame, struct ari_text target)
{
    static const struct {
        char start[10];
        uint8_t bytes, object;
    } kinds[] = { { "channel:", 8, ARI_CHANNEL }, { "bridge:", 7, ARI_BRIDGE } };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (starts_with(&target, kinds[i].start, kinds[i].bytes))
            add_key(frame, (enum ari_object)kinds[i].object,
                    (struct ari_text){ .at = target.at + kinds[i].bytes,
                                       .bytes = target.bytes - kinds[i].bytes });
}

static bool append(struct scratch *scratch, const char *text, size_t bytes)
{
    const ptrdiff_t length = json_text_unescape(scratch->at, scratch->room, text, bytes);

    if (length < 0)
        return false;
    scratch->at += length;
    scratch->room -= (size_t)length;
    return true;
}

/* "PJSIP" and "alice" to "PJSIP/alice". */
static void add_endpoint(struct ari_frame *frame, const struct json_slice *technology,
                         const struct json_slice *resource, struct scratch *scratch)
{
    struct scratch rest = *scratch;

    if (resource->kind != JSON_SCAN_STRING || technology->bytes == 0 || resource->bytes == 0)
        return;
    if (!append(&rest, technology->at, technology->bytes) || !append(&rest, "/", 1) ||
        !append(&rest, resource->at, resource->bytes)) {
        frame->bad_ids++;
        return;
    }
    add_key(frame, ARI_ENDPOINT,
            (struct ari_text){ .at = scratch->at, .bytes = (size_t)(rest.at - scratch->at) });
    *scratch = rest;
}

static void add_place(struct ari_frame *frame, uint8_t n, const struct json_slice *slots,
                      struct scratch *scratch)
{
    const struct place *place = &places[n];
    struct ari_text text;

    if (slots[n].kind != JSON_SCAN_STRING)
        return;
    if (place->form == FORM_ENDPOINT) {
        add_endpoint(frame, &slots[n], &slots[SLOT_RESOURCE], scratch);
        return;
    }
    if (!take_text(&text, &slots[n], ARI_ID_BYTES + sizeof "channel:", scratch))
        frame->bad_ids++;
    else if (place->form == FORM_TARGET)
        add_target(frame, text);
    else
        add_key(frame, place->object, text);
}

int ari_wire_scan(struct ari_frame *frame, const char *text, size_t bytes, char *scratch,
                  size_t scratch_bytes, struct ari_fault *fault)
{
    struct scratch rest = { .at = scratch, .room = scratch_bytes };
    struct json_slice slots[SLOTS];
    struct json_scan_error bad;

    pthread_once(&wire.once, prepare);
    const int err = json_scan(&wire.paths, text, bytes, slots, &bad);

    if (err != TDM_OK) {
        if (fault != NULL && err == TDM_ESYNTAX)
            *fault = (struct ari_fault){ .at = bad.at, .word = bad.word };
        return err;
    }
    frame->keys = frame->bad_ids = 0;
    frame->type = text_or_none(frame, &slots[SLOT_TYPE], &rest);
    frame->application = text_or_none(frame, &slots[SLOT_APPLICATION], &rest);
    frame->request_id = (struct ari_text){ .at = "", .bytes = 0 };
    frame->event = ARI_UNKNOWN;
    frame->kind = ARI_NONE;
    if (frame->type.bytes == 0)
        return TDM_OK;
    const uint32_t node = json_scan_child(&wire.types, JSON_SCAN_ROOT, frame->type.at, frame->type.bytes);

    frame->event = (enum ari_event)wire.types.node[node].slot; /* nobody's slot is 0 */
    frame->kind = rows[frame->event].kind;
    if (frame->kind == ARI_RESPONSE)
        frame->request_id = text_or_none(frame, &slots[SLOT_REQUEST], &rest);
    for (uint8_t i = 0; i < wire.count[frame->event]; i++)
        add_place(frame, wire.keys[frame->event][i], slots, &rest);
    return TDM_OK;
}

/* ---- the table, for logs and tests ----------------------------------------------------------- */

static const struct row *row_of(enum ari_event event)
{
    return &rows[event > ARI_UNKNOWN && event < ARI_EVENTS_END ? event : ARI_UNKNOWN];
}

const char *ari_wire_object(enum ari_object object)
{
    static const char *const names[] = {
        [ARI_CHANNEL] = "channel", [ARI_BRIDGE] = "bridge",     [ARI_ENDPOINT] = "endpoint",
        [ARI_DEVICE] = "device",   [ARI_PLAYBACK] = "playback", [ARI_RECORDING] = "recording"
    };
    return names[object];
}

const char *ari_wire_name(enum ari_event event)
{
    return row_of(event)->name;
}

enum ari_kind ari_wire_kind(enum ari_event event)
{
    return row_of(event)->kind;
}

const char *ari_wire_places(enum ari_event event)
{
    return row_of(event)->keys;
}
