/* scan_reference.c - the slow and plain way to everything json_scan.c, json_text.c, event.c and
 * ari/wire.c answer: build the tree, walk it. */
#include "scan_reference.h"
#include "ari/wire.h"
#include "json_scan.h"
#include "json_text.h"
#include "tandem/err.h"
#include "tandem/event.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char *const paths[] = {
    "type",
    "application",
    "channel",
    "channel.id",
    "channel.caller",
    "channel.caller.number",
    "channel.channelvars",
    "bridge.id",
    "bridge.channels",
    "bridge.channels.0",
    "bridge.channels.1",
    "args",
    "args.0",
    "args.1",
    "digit",
    "duration_ms",
    "playback",
    "playback.id",
    "playback.target_uri",
    "peer.id",
    "endpoint.technology",
    "a",
    "a.a",
    "a.a.a.a.a.a.a.a",
    "a.0",
    "a.1.a",
    "b",
    "b.a",
    "0",
    "0.a",
    "1",
    "1.0",
    "10",
};

#define PATHS (sizeof paths / sizeof paths[0])

static const char *last_path = "";

const char *scan_reference_path(void)
{
    return last_path;
}

/* ---- the tree's answers ---------------------------------------------------------------------- */

static const json_t *tree_step(const json_t *tree, const char *name)
{
    char *end;

    if (json_is_object(tree))
        return json_object_get(tree, name);
    if (!json_is_array(tree) || *name < '0' || *name > '9' || (*name == '0' && name[1] != '\0'))
        return NULL;
    const unsigned long index = strtoul(name, &end, 10);

    return *end == '\0' ? json_array_get(tree, index) : NULL;
}

static const json_t *tree_find(const json_t *tree, const char *path)
{
    char name[128];

    while (tree != NULL && *path != '\0') {
        const size_t bytes = strcspn(path, ".");

        memcpy(name, path, bytes);
        name[bytes] = '\0';
        tree = tree_step(tree, name);
        path += bytes + (path[bytes] == '.');
    }
    return tree;
}

static enum json_kind kind_of(const json_t *value)
{
    static const enum json_kind kinds[] = {
        [JSON_OBJECT] = JSON_SCAN_OBJECT,   [JSON_ARRAY] = JSON_SCAN_ARRAY, [JSON_STRING] = JSON_SCAN_STRING,
        [JSON_INTEGER] = JSON_SCAN_INTEGER, [JSON_REAL] = JSON_SCAN_REAL,   [JSON_TRUE] = JSON_SCAN_TRUE,
        [JSON_FALSE] = JSON_SCAN_FALSE,     [JSON_NULL] = JSON_SCAN_NULL,
    };
    return value == NULL ? JSON_SCAN_ABSENT : kinds[json_typeof(value)];
}

/* ---- slices ---------------------------------------------------------------------------------- */

static bool same_string(const struct json_slice *slice, const json_t *value)
{
    char *plain = malloc(slice->bytes + 1u);
    const ptrdiff_t bytes = json_text_unescape(plain, slice->bytes, slice->at, slice->bytes);
    const bool same = bytes >= 0 && (size_t)bytes == json_string_length(value) &&
                      memcmp(plain, json_string_value(value), (size_t)bytes) == 0 &&
                      slice->escaped == (memchr(slice->at, '\\', slice->bytes) != NULL);

    free(plain);
    return same;
}

static bool same_slice(const struct json_slice *slice, const json_t *value)
{
    if (slice->kind != kind_of(value))
        return false;
    if (value == NULL)
        return true;
    if (slice->kind == JSON_SCAN_STRING)
        return same_string(slice, value);
    if (slice->kind == JSON_SCAN_INTEGER && json_text_int(slice) != json_integer_value(value))
        return false;
    json_t *again = json_loadb(slice->at, slice->bytes, JSON_DECODE_ANY, NULL);
    const bool same = again != NULL && json_equal(again, value);

    json_decref(again);
    return same;
}

static const char *check_paths(const json_t *tree, const char *text, size_t bytes)
{
    static struct json_plan plan;
    struct json_slice slices[PATHS], found;

    if (plan.nodes == 0 && json_scan_plan(&plan, paths, PATHS) != TDM_OK)
        return "the plan could not be made";
    if (json_scan(&plan, text, bytes, slices, NULL) != TDM_OK)
        return "refused with a plan, taken without";
    for (size_t i = 0; i < PATHS; i++) {
        const json_t *value = tree_find(tree, paths[i]);

        last_path = paths[i];
        if (!same_slice(&slices[i], value))
            return "the scanner found another value than the tree has";
        if (json_text_find(text, bytes, paths[i], &found) != (value != NULL))
            return "the walker and the tree disagree on whether there is a value";
        if (value != NULL && (found.at != slices[i].at || found.bytes != slices[i].bytes ||
                              found.kind != slices[i].kind || found.escaped != slices[i].escaped))
            return "the walker found another value than the scanner";
    }
    return NULL;
}

/* The walker may be asked about a text that is not valid: no answer is right, but none may do harm. */
static void walk_anyway(const char *text, size_t bytes)
{
    struct json_slice found;
    char plain[64];

    for (size_t i = 0; i < PATHS; i++)
        if (json_text_find(text, bytes, paths[i], &found)) {
            json_text_count(&found);
            json_text_unescape(plain, sizeof plain, found.at, found.bytes);
        }
}

/* ---- events ---------------------------------------------------------------------------------- */

static bool same_event_value(tdm_event *ev, const char *path, const json_t *value)
{
    const char *text = tdm_event_str(ev, path);
    const bool is_size = json_is_array(value) || json_is_object(value);
    const int count = tdm_event_count(ev, path);

    if (tdm_event_has(ev, path) != (value != NULL))
        return false;
    if ((text != NULL) != json_is_string(value) ||
        (text != NULL && strcmp(text, json_string_value(value)) != 0))
        return false;
    if (text != tdm_event_str(ev, path))
        return false;
    if (tdm_event_int(ev, path, -77) != (json_is_integer(value) ? json_integer_value(value) : -77))
        return false;
    if (tdm_event_real(ev, path, -7.5) != (json_is_number(value) ? json_number_value(value) : -7.5))
        return false;
    if (tdm_event_bool(ev, path, true) != !json_is_false(value) ||
        tdm_event_bool(ev, path, false) != json_is_true(value))
        return false;
    if (json_is_array(value))
        return count == (int)json_array_size(value);
    return is_size ? count >= (int)json_object_size(value) : count == -1;
}

static const char *check_event(const json_t *tree, const char *text, size_t bytes)
{
    const char *wrong = NULL;
    tdm_event *ev = NULL;

    if (tdm_event_parse(text, bytes, &ev) != TDM_OK)
        return "no event of an accepted text";
    for (size_t i = 0; i < PATHS && wrong == NULL; i++) {
        last_path = paths[i];
        if (!same_event_value(ev, paths[i], tree_find(tree, paths[i])))
            wrong = "the event and the tree disagree";
    }
    if (wrong == NULL && !json_equal(tdm_event_tree(ev), tree))
        wrong = "the event's tree is another one";
    tdm_event_free(ev);
    return wrong;
}

/* ---- the ARI table --------------------------------------------------------------------------- */

/* Is (object, id) among the keys, and how many are before it? */
static int key_index(const struct ari_frame *frame, enum ari_object object, const char *id, size_t bytes)
{
    for (uint32_t i = 0; i < frame->keys; i++)
        if (frame->key[i].object == object && frame->key[i].id.bytes == bytes &&
            memcmp(frame->key[i].id.at, id, bytes) == 0)
            return (int)i;
    return -1;
}

static enum ari_object object_of(const char *place)
{
    if (strncmp(place, "playback.", 9) == 0)
        return ARI_PLAYBACK;
    if (strncmp(place, "recording.", 10) == 0)
        return ARI_RECORDING;
    if (strcmp(place, "device_state.name") == 0)
        return ARI_DEVICE;
    return strstr(place, "bridge") != NULL ? ARI_BRIDGE : ARI_CHANNEL;
}

/* The key that the tree has at a place; false when it has none that counts. */
static bool tree_key(const json_t *tree, const char *place, enum ari_object *object, char *id, size_t room)
{
    const char *value = json_string_value(tree_find(tree, place));
    const char *resource = "";

    *object = object_of(place);
    if (strcmp(place, "endpoint") == 0) {
        *object = ARI_ENDPOINT;
        value = json_string_value(tree_find(tree, "endpoint.technology"));
        resource = json_string_value(tree_find(tree, "endpoint.resource"));
        if (value == NULL || resource == NULL || *value == '\0' || *resource == '\0')
            return false;
    }
    if (value != NULL && strstr(place, "target_uri") != NULL) {
        *object = strncmp(value, "bridge:", 7) == 0 ? ARI_BRIDGE : ARI_CHANNEL;
        value = *object == ARI_BRIDGE ? value + 7 : strncmp(value, "channel:", 8) == 0 ? value + 8 : NULL;
    }
    if (value == NULL || *value == '\0' || strlen(value) + strlen(resource) + 2 > room)
        return false;
    strcpy(id, value);
    if (*resource != '\0')
        strcat(strcat(id, "/"), resource);
    return strlen(id) <= ARI_ID_BYTES;
}

static const char *check_keys(const json_t *tree, const struct ari_frame *frame)
{
    const char *p = ari_wire_places(frame->event);
    char place[64], id[2 * ARI_ID_BYTES];
    enum ari_object object;
    int last = -1, distinct = 0;

    while (*p != '\0') {
        const size_t bytes = strcspn(p, " ");

        memcpy(place, p, bytes);
        place[bytes] = '\0';
        p += bytes + (p[bytes] == ' ');
        if (!tree_key(tree, place, &object, id, sizeof id))
            continue;
        const int index = key_index(frame, object, id, strlen(id));

        if (index < 0)
            return "a key is missing";
        distinct += index > last;
        last = index > last ? index : last;
    }
    return distinct == (int)frame->keys ? NULL : "there are keys that no place gives";
}

static bool same_text(const struct ari_text *text, const json_t *value)
{
    const char *want = json_is_string(value) ? json_string_value(value) : "";

    return strlen(want) > ARI_ID_BYTES ||
           (strlen(want) == text->bytes && memcmp(want, text->at, text->bytes) == 0);
}

static const char *check_wire(const json_t *tree, const char *text, size_t bytes)
{
    char scratch[4 * ARI_SCRATCH_BYTES];
    struct ari_frame frame;

    last_path = "";
    if (ari_wire_scan(&frame, text, bytes, scratch, sizeof scratch, NULL) != TDM_OK)
        return "wire refuses an accepted text";
    if (!same_text(&frame.type, tree_find(tree, "type")) ||
        !same_text(&frame.application, tree_find(tree, "application")))
        return "wire and the tree disagree on type or application";
    if (frame.type.bytes == 0)
        return frame.kind == ARI_NONE && frame.keys == 0 ? NULL : "an event without a type";
    if (frame.kind == ARI_RESPONSE && !same_text(&frame.request_id, tree_find(tree, "request_id")))
        return "wire and the tree disagree on the request id";
    if (frame.event != ARI_UNKNOWN &&
        (strlen(ari_wire_name(frame.event)) != frame.type.bytes ||
         memcmp(ari_wire_name(frame.event), frame.type.at, frame.type.bytes) != 0))
        return "taken for an event of another type";
    return frame.event == ARI_UNKNOWN ? NULL : check_keys(tree, &frame);
}

const char *scan_reference_check(const char *text, size_t bytes, int *accepted)
{
    struct json_scan_error error = { .at = 0 };
    json_t *tree = json_loadb(text, bytes, 0, NULL);
    const int err = json_scan(NULL, text, bytes, NULL, &error);
    const char *wrong = NULL;

    last_path = "";
    if (accepted != NULL)
        *accepted = tree != NULL;
    if (err != TDM_OK && err != TDM_ESYNTAX)
        wrong = "an error that is not about the text";
    else if ((err == TDM_OK) != (tree != NULL))
        wrong = err == TDM_OK ? "taken, but Jansson refuses it" : "refused, but Jansson takes it";
    else if (err != TDM_OK && (error.at > bytes || error.word == NULL || *error.word == '\0'))
        wrong = "refused without a place or a word";
    if (tree == NULL)
        walk_anyway(text, bytes);
    if (wrong == NULL && tree != NULL)
        wrong = check_paths(tree, text, bytes);
    if (wrong == NULL && tree != NULL)
        wrong = check_event(tree, text, bytes);
    if (wrong == NULL && tree != NULL)
        wrong = check_wire(tree, text, bytes);
    json_decref(tree);
    return wrong;
}
