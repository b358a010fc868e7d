/* test_wire.c - what an ARI message is and whom it concerns. */
#include "ari/wire.h"
#include "scan_reference.h"
#include "tandem/err.h"
#include "traces.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(wire, .timeout = 60);

static char scratch[ARI_SCRATCH_BYTES];

static struct ari_frame scan_bytes(const char *text, size_t bytes)
{
    struct ari_frame frame;
    struct ari_fault fault = { .word = "" };

    cr_assert(eq(int, ari_wire_scan(&frame, text, bytes, scratch, sizeof scratch, &fault), TDM_OK),
              "%.*s: %s at %zu", (int)bytes, text, fault.word, fault.at);
    return frame;
}

static struct ari_frame scan(const char *text)
{
    return scan_bytes(text, strlen(text));
}

/* The keys in one line: "channel=1 bridge=b". */
static const char *keys_of(const struct ari_frame *frame)
{
    static char line[32768];
    size_t used = 0;

    line[0] = '\0';
    for (uint32_t i = 0; i < frame->keys; i++)
        used += (size_t)snprintf(line + used, sizeof line - used, "%s%s=%.*s", i > 0 ? " " : "",
                                 ari_wire_object(frame->key[i].object), (int)frame->key[i].id.bytes,
                                 frame->key[i].id.at);
    return line;
}

static void expect_keys(const char *text, const char *keys)
{
    const struct ari_frame frame = scan(text);

    cr_expect(eq(str, (char *)keys_of(&frame), (char *)keys), "%s", text);
    cr_expect(eq(u32, frame.bad_ids, 0));
}

static void expect_text(struct ari_text have, const char *want)
{
    cr_expect(have.bytes == strlen(want) && memcmp(have.at, want, have.bytes) == 0, "%.*s is not %s",
              (int)have.bytes, have.at, want);
}

/* ---- the table against Asterisk's own description -------------------------------------------- */

static json_t *described_events(void)
{
    size_t bytes = 0;
    char *text = traces_shared_file("protocols/ari-events.json", &bytes);
    json_t *all = text != NULL ? json_loadb(text, bytes, 0, NULL) : NULL;
    json_t *events = json_incref(json_object_get(all, "events"));

    free(text);
    json_decref(all);
    if (events == NULL)
        cr_skip("no description of the events at " TANDEM_SHARED_DIR);
    return events;
}

static enum ari_event event_named(const char *name)
{
    for (int e = ARI_UNKNOWN + 1; e < ARI_EVENTS_END; e++)
        if (strcmp(ari_wire_name((enum ari_event)e), name) == 0)
            return (enum ari_event)e;
    return ARI_UNKNOWN;
}

/* The description's way to say a place, in the table's words. */
static const char *place_of(json_t *route)
{
    const char *path = json_string_value(json_object_get(route, "path"));

    return strncmp(path, "endpoint.", 9) == 0 ? "endpoint" : path;
}

static int count_words(const char *text)
{
    int words = *text != '\0';

    for (; *text != '\0'; text++)
        words += *text == ' ';
    return words;
}

static int has_word(const char *text, const char *word)
{
    const size_t bytes = strlen(word);

    for (const char *p = text; (p = strstr(p, word)) != NULL; p += bytes)
        if ((p == text || p[-1] == ' ') && (p[bytes] == ' ' || p[bytes] == '\0'))
            return 1;
    return 0;
}

Test(wire, the_table_has_every_type_and_every_place_of_the_description)
{
    json_t *events = described_events(), *described, *route;
    size_t i, j;

    cr_assert(eq(sz, json_array_size(events), ARI_EVENTS_END - 1));
    json_array_foreach(events, i, described)
    {
        const char *name = json_string_value(json_object_get(described, "type"));
        json_t *routing = json_object_get(described, "routing");
        const enum ari_event event = event_named(name);
        const char *places = ari_wire_places(event);

        cr_expect(ne(int, event, ARI_UNKNOWN), "%s is not in the table", name);
        json_array_foreach(routing, j, route)
            cr_expect(has_word(places, place_of(route)), "%s: %s is missing", name, place_of(route));
        /* One place more than described: there the description has a plain string that is an id. */
        cr_expect(eq(int, count_words(places),
                     (int)json_array_size(routing) + (event == ARI_BRIDGE_ATTENDED_TRANSFER)),
                  "%s has a place that the description has not", name);
    }
    json_decref(events);
}

Test(wire, the_first_place_of_a_row_is_the_one_that_the_description_routes_to)
{
    json_t *events = described_events(), *described;
    size_t i;

    json_array_foreach(events, i, described)
    {
        const char *name = json_string_value(json_object_get(described, "type"));
        const char *primary = json_string_value(json_object_get(described, "primary"));
        const char *places = ari_wire_places(event_named(name));

        if (primary == NULL || strncmp(primary, "application", 11) == 0 ||
            strncmp(primary, "request_id", 10) == 0 || strncmp(primary, "every", 5) == 0)
            continue;
        cr_expect(strncmp(primary, places, strcspn(places, " ")) == 0, "%s goes to %s, not to %s", name,
                  primary, places);
    }
    json_decref(events);
}

/* Set tree.a.b.c = value, making objects on the way. */
static void put(json_t *tree, const char *path, const char *value)
{
    const size_t bytes = strcspn(path, ".");
    char name[64];

    snprintf(name, sizeof name, "%.*s", (int)bytes, path);
    if (path[bytes] == '\0') {
        json_object_set_new(tree, name, json_string(value));
        return;
    }
    if (json_object_get(tree, name) == NULL)
        json_object_set_new(tree, name, json_object());
    put(json_object_get(tree, name), path + bytes + 1, value);
}

static int has_key(const struct ari_frame *frame, const char *object, const char *id)
{
    for (uint32_t i = 0; i < frame->keys; i++)
        if (strcmp(ari_wire_object(frame->key[i].object), object) == 0 &&
            frame->key[i].id.bytes == strlen(id) && memcmp(frame->key[i].id.at, id, strlen(id)) == 0)
            return 1;
    return 0;
}

/* An event of the type with an id in each described place; each must come out with its kind. */
static void check_type(const char *name, json_t *routing)
{
    json_t *tree = json_pack("{s:s, s:s}", "type", name, "application", "ivr"), *route;
    char id[32];
    size_t j;

    json_array_foreach(routing, j, route)
    {
        const int target = strcmp(json_string_value(json_object_get(route, "kind")), "target") == 0;
        const char *place = place_of(route);

        snprintf(id, sizeof id, "%s%zu", target ? "bridge:" : "x", j);
        put(tree, strcmp(place, "endpoint") == 0 ? "endpoint.technology" : place, id);
        if (strcmp(place, "endpoint") == 0)
            put(tree, "endpoint.resource", "r");
    }
    char *text = json_dumps(tree, JSON_COMPACT);
    const struct ari_frame frame = scan(text);

    cr_expect(eq(u32, frame.keys, (uint32_t)json_array_size(routing)), "%s: %s", name, keys_of(&frame));
    json_array_foreach(routing, j, route)
    {
        const char *kind = json_string_value(json_object_get(route, "kind"));
        const int target = strcmp(kind, "target") == 0, endpoint = strcmp(kind, "endpoint") == 0;

        snprintf(id, sizeof id, target ? "%zu" : endpoint ? "x%zu/r" : "x%zu", j);
        cr_expect(has_key(&frame, target ? "bridge" : kind, id), "%s: %s %s is not among %s", name, kind, id,
                  keys_of(&frame));
    }
    expect_text(frame.type, name);
    expect_text(frame.application, "ivr");
    free(text);
    json_decref(tree);
}

Test(wire, every_described_id_becomes_a_key_of_its_kind)
{
    json_t *events = described_events(), *described;
    size_t i;

    json_array_foreach(events, i, described) check_type(json_string_value(json_object_get(described, "type")),
                                                        json_object_get(described, "routing"));
    json_decref(events);
}

/* ---- kinds ----------------------------------------------------------------------------------- */

Test(wire, starts_ends_answers_and_news_of_the_connection_are_told_apart)
{
    static const struct {
        const char *text;
        enum ari_kind kind;
        enum ari_event event;
    } cases[] = {
        { "{\"type\":\"StasisStart\"}", ARI_START, ARI_STASIS_START },
        { "{\"type\":\"StasisEnd\"}", ARI_END, ARI_STASIS_END },
        { "{\"type\":\"ChannelDestroyed\"}", ARI_EVENT, ARI_CHANNEL_DESTROYED },
        { "{\"type\":\"RESTResponse\"}", ARI_RESPONSE, ARI_REST_RESPONSE },
        { "{\"type\":\"ApplicationReplaced\"}", ARI_APP_REPLACED, ARI_APPLICATION_REPLACED },
        { "{\"type\":\"ApplicationRegistered\"}", ARI_APP_ARRIVED, ARI_APPLICATION_REGISTERED },
        { "{\"type\":\"ApplicationUnregistered\"}", ARI_APP_GONE, ARI_APPLICATION_UNREGISTERED },
        { "{\"type\":\"CallBroadcast\"}", ARI_OFFER, ARI_CALL_BROADCAST },
        { "{\"type\":\"CallClaimed\"}", ARI_OFFER, ARI_CALL_CLAIMED },
        { "{\"type\":\"MissingParams\",\"params\":[\"app\"]}", ARI_NONE, ARI_MISSING_PARAMS },
        { "{\"type\":\"Stasis\"}", ARI_EVENT, ARI_UNKNOWN },
        { "{\"type\":\"stasisstart\"}", ARI_EVENT, ARI_UNKNOWN },
        { "{\"type\":\"Stasis\\u0053tart\"}", ARI_START, ARI_STASIS_START },
        { "{\"type\":\"\"}", ARI_NONE, ARI_UNKNOWN },
        { "{\"type\":7}", ARI_NONE, ARI_UNKNOWN },
        { "{}", ARI_NONE, ARI_UNKNOWN },
        { "[\"type\",\"StasisStart\"]", ARI_NONE, ARI_UNKNOWN },
        { "[{\"type\":\"StasisStart\"}]", ARI_NONE, ARI_UNKNOWN },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct ari_frame frame = scan(cases[i].text);

        cr_expect(eq(int, frame.kind, cases[i].kind), "%s", cases[i].text);
        cr_expect(eq(int, frame.event, cases[i].event), "%s", cases[i].text);
        cr_expect(eq(u32, frame.keys, 0));
    }
}

Test(wire, an_answer_has_the_id_of_its_request)
{
    const struct ari_frame frame = scan(
        "{\"request_id\":\"r\\\"7\",\"status_code\":204,\"type\":\"RESTResponse\",\"application\":\"ivr\"}");

    expect_text(frame.request_id, "r\"7");
    expect_text(frame.application, "ivr");
    cr_expect(eq(sz, scan("{\"type\":\"RESTResponse\",\"request_id\":12}").request_id.bytes, 0));
    cr_expect(eq(sz, scan("{\"type\":\"Dial\",\"request_id\":\"12\"}").request_id.bytes, 0));
}

/* ---- keys ------------------------------------------------------------------------------------ */

Test(wire, keys_come_in_the_order_of_the_table_whatever_that_of_the_message)
{
    expect_keys(
        "{\"type\":\"StasisStart\",\"replace_channel\":{\"id\":\"old\"},\"channel\":{\"id\":\"new\"}}",
        "channel=new channel=old");
    expect_keys(
        "{\"forwarded\":{\"id\":\"f\"},\"caller\":{\"id\":\"c\"},\"peer\":{\"id\":\"p\"},\"type\":\"Dial\"}",
        "channel=p channel=c channel=f");
    expect_keys("{\"type\":\"Dial\",\"peer\":{\"id\":\"p\"},\"channel\":{\"id\":\"not in this type\"}}",
                "channel=p");
    expect_keys("{\"type\":\"ChannelEnteredBridge\",\"bridge\":{\"id\":\"b\",\"channels\":[\"x\"]},"
                "\"channel\":{\"id\":\"c\"}}",
                "channel=c bridge=b");
    expect_keys("{\"type\":\"BridgeMerged\",\"bridge_from\":{\"id\":\"f\"},\"bridge\":{\"id\":\"b\"}}",
                "bridge=b bridge=f");
    expect_keys("{\"type\":\"ChannelTransfer\",\"refer_to\":{\"destination_channel\":{\"id\":\"d\"},"
                "\"bridge\":{\"id\":\"b\"}},"
                "\"referred_by\":{\"source_channel\":{\"id\":\"s\"},\"bridge\":{\"id\":\"b\"}}}",
                "channel=s bridge=b channel=d");
    expect_keys("{\"type\":\"ChannelVarset\",\"variable\":\"GLOBAL\",\"value\":\"1\"}", "");
    expect_keys("{\"type\":\"ChannelUserevent\",\"endpoint\":{\"technology\":\"PJSIP\",\"resource\":"
                "\"alice\"},\"bridge\":{\"id\":\"b\"}}",
                "bridge=b endpoint=PJSIP/alice");
    expect_keys(
        "{\"type\":\"DeviceStateChanged\",\"device_state\":{\"name\":\"Stasis:x\",\"state\":\"INUSE\"}}",
        "device=Stasis:x");
    expect_keys(
        "{\"type\":\"BridgeAttendedTransfer\",\"destination_bridge\":\"db\",\"transferee\":{\"id\":\"t\"},"
        "\"transferer_second_leg\":{\"id\":\"2\"},\"transferer_first_leg\":{\"id\":\"1\"},\"transferer_first_"
        "leg_bridge\":{\"id\":\"b\"}}",
        "channel=1 channel=2 channel=t bridge=b bridge=db");
}

Test(wire, a_target_is_split_at_its_first_colon_only)
{
    expect_keys(
        "{\"type\":\"PlaybackStarted\",\"playback\":{\"id\":\"pb\",\"target_uri\":\"channel:a:b:c\"}}",
        "channel=a:b:c playback=pb");
    expect_keys(
        "{\"type\":\"PlaybackFinished\",\"playback\":{\"id\":\"pb\",\"target_uri\":\"bridge:channel:1\"}}",
        "bridge=channel:1 playback=pb");
    expect_keys("{\"type\":\"RecordingFinished\",\"recording\":{\"name\":\"dir/"
                "r\",\"target_uri\":\"channel\\u003a1\\/2\"}}",
                "channel=1/2 recording=dir/r");
    expect_keys("{\"type\":\"PlaybackStarted\",\"playback\":{\"id\":\"pb\",\"target_uri\":\"channel:\"}}",
                "playback=pb");
    expect_keys("{\"type\":\"PlaybackStarted\",\"playback\":{\"id\":\"pb\",\"target_uri\":\"channels:1\"}}",
                "playback=pb");
    expect_keys(
        "{\"type\":\"PlaybackStarted\",\"playback\":{\"id\":\"pb\",\"target_uri\":\"endpoint:PJSIP/a\"}}",
        "playback=pb");
    expect_keys("{\"type\":\"PlaybackStarted\",\"playback\":{\"id\":\"pb\",\"target_uri\":\"\"}}",
                "playback=pb");
}

Test(wire, an_unknown_type_has_every_id_in_a_known_place_as_a_key)
{
    expect_keys("{\"type\":\"NewOne\",\"channel\":{\"id\":\"1\"},\"bridge\":{\"id\":\"b\"},\"playback\":{"
                "\"id\":\"p\",\"target_uri\":\"channel:2\"},"
                "\"recording\":{\"name\":\"r\"},\"peer\":{\"id\":\"3\"},\"endpoint\":{\"technology\":\"T\","
                "\"resource\":\"R\"},\"other\":{\"id\":\"no\"}}",
                "channel=1 channel=3 bridge=b channel=2 playback=p recording=r endpoint=T/R");
    expect_keys("{\"type\":\"NewOne\"}", "");
}

Test(wire, an_id_in_two_places_is_one_key)
{
    expect_keys("{\"type\":\"BridgeBlindTransfer\",\"channel\":{\"id\":\"1\"},\"transferee\":{\"id\":\"2\"},"
                "\"replace_channel\":{\"id\":\"1\"},\"bridge\":{\"id\":\"1\"}}",
                "channel=1 channel=2 bridge=1");
}

Test(wire, members_of_an_unexpected_kind_give_no_key)
{
    expect_keys("{\"type\":\"StasisStart\",\"channel\":\"1\",\"replace_channel\":[{\"id\":\"2\"}]}", "");
    expect_keys("{\"type\":\"StasisEnd\",\"channel\":{\"id\":7}}", "");
    expect_keys("{\"type\":\"StasisEnd\",\"channel\":{\"id\":{\"id\":\"x\"}}}", "");
    expect_keys("{\"type\":\"StasisEnd\",\"channel\":{\"id\":null}}", "");
    expect_keys("{\"type\":\"StasisEnd\",\"channel\":{\"id\":\"\"}}", "");
    expect_keys("{\"type\":\"StasisEnd\",\"channel\":{\"id\":\"1\"},\"channel\":{}}", "");
    expect_keys("{\"type\":\"PlaybackStarted\",\"playback\":{\"id\":[],\"target_uri\":{\"channel\":\"1\"}}}",
                "");
    expect_keys("{\"type\":\"PeerStatusChange\",\"endpoint\":{\"technology\":\"PJSIP\"},\"peer\":{\"peer_"
                "status\":\"x\"}}",
                "");
    expect_keys("{\"type\":\"PeerStatusChange\",\"endpoint\":{\"resource\":\"alice\",\"technology\":1}}", "");
    expect_keys("{\"type\":\"CallBroadcast\",\"channel\":{\"id\":\"1\"},\"caller\":\"5551\"}", "channel=1");
    expect_text(scan("{\"type\":\"StasisEnd\",\"application\":[\"ivr\"]}").application, "");
}

/* ---- odd ids --------------------------------------------------------------------------------- */

static void expect_id(const char *written, size_t written_bytes, const char *id, size_t id_bytes)
{
    char text[8192];
    const int bytes = snprintf(text, sizeof text, "{\"type\":\"StasisEnd\",\"channel\":{\"id\":\"%.*s\"}}",
                               (int)written_bytes, written);
    const struct ari_frame frame = scan_bytes(text, (size_t)bytes);

    cr_assert(eq(u32, frame.keys, 1), "%s", text);
    cr_assert(frame.key[0].id.bytes == id_bytes && memcmp(frame.key[0].id.at, id, id_bytes) == 0, "%s", text);
}

Test(wire, an_id_may_hold_any_character_escaped_or_not)
{
    for (int c = 1; c < 256; c++) {
        const char two[] = { (char)(0xC0 | c >> 6), (char)(0x80 | (c & 0x3F)) };
        const char one[] = { (char)c };
        char escaped[8];

        snprintf(escaped, sizeof escaped, "\\u%04X", (unsigned)c);
        expect_id(escaped, 6, c < 0x80 ? one : two, c < 0x80 ? 1 : 2);
        if (c >= 0x80)
            expect_id(two, 2, two, 2);
        else if (c >= 0x20 && c != '"' && c != '\\')
            expect_id(one, 1, one, 1);
    }
    expect_id("a;b/c d\\\"e\\\\f\\/g:h%20\\n", 24, "a;b/c d\"e\\f/g:h%20\n", 19);
    expect_id("\\uD834\\uDD1E", 12, "\xF0\x9D\x84\x9E", 4);
}

Test(wire, an_id_has_at_most_512_bytes_however_it_is_written)
{
    char plain[600], escaped[6 * 600 + 1];

    memset(plain, 'x', sizeof plain);
    for (size_t i = 0; i < 600; i++)
        memcpy(escaped + 6 * i, "\\u0078", 6);
    expect_id(plain, 512, plain, 512);
    expect_id(escaped, (size_t)6 * 512, plain, 512);
    for (size_t bytes = 513; bytes < 600; bytes++) {
        char text[8192];

        snprintf(text, sizeof text,
                 "{\"type\":\"Dial\",\"peer\":{\"id\":\"%.*s\"},\"caller\":{\"id\":\"%.*s\"},\"forwarded\":{"
                 "\"id\":\"ok\"}}",
                 (int)bytes, plain, (int)(6 * bytes), escaped);
        const struct ari_frame frame = scan(text);

        cr_assert(eq(u32, frame.bad_ids, 2));
        cr_assert(eq(str, (char *)keys_of(&frame), "channel=ok"));
    }
}

Test(wire, a_target_may_be_as_long_as_its_id_and_the_word_before_it)
{
    char id[600], text[2048];

    memset(id, 'x', sizeof id);
    for (int bytes = 505; bytes < 530; bytes++) {
        snprintf(text, sizeof text,
                 "{\"type\":\"PlaybackStarted\",\"playback\":{\"target_uri\":\"channel:%.*s\"}}", bytes, id);
        const struct ari_frame frame = scan(text);

        cr_assert(eq(u32, frame.keys, bytes <= 512));
        cr_assert(eq(u32, frame.bad_ids, bytes > 512));
    }
}

Test(wire, a_scratch_buffer_that_is_too_small_costs_the_id_and_is_counted)
{
    static const char text[] = "{\"type\":\"StasisStart\",\"channel\":{\"id\":\"\\u0061bc\"},\"replace_"
                               "channel\":{\"id\":\"plain\"}}";
    static const char ends[] =
        "{\"type\":\"PeerStatusChange\",\"endpoint\":{\"technology\":\"ab\",\"resource\":\"cd\"}}";
    struct ari_frame frame;

    for (size_t room = 0; room < 8; room++) {
        char *exact = malloc(room + (room == 0));

        ari_wire_scan(&frame, text, sizeof text - 1, exact, room, NULL);
        cr_expect(eq(str, (char *)keys_of(&frame), room < 3 ? "channel=plain" : "channel=abc channel=plain"));
        cr_expect(eq(u32, frame.bad_ids, room < 3));
        ari_wire_scan(&frame, ends, sizeof ends - 1, exact, room, NULL);
        cr_expect(eq(str, (char *)keys_of(&frame), room < 5 ? "" : "endpoint=ab/cd"));
        cr_expect(eq(u32, frame.bad_ids, room < 5));
        free(exact);
    }
}

/* ---- bad and big input ----------------------------------------------------------------------- */

Test(wire, malformed_messages_are_refused_with_place_and_word)
{
    static const char whole[] = "{\"type\":\"StasisEnd\",\"channel\":{\"id\":\"caf\\u00e9 \xE2\x82\xAC\"}}";
    struct ari_frame frame;
    struct ari_fault fault;

    for (size_t bytes = 0; bytes < sizeof whole - 1; bytes++) {
        char *exact = malloc(bytes + 1);

        memcpy(exact, whole, bytes);
        fault = (struct ari_fault){ .at = 999 };
        cr_assert(eq(int, ari_wire_scan(&frame, exact, bytes, scratch, sizeof scratch, &fault), TDM_ESYNTAX));
        cr_assert(le(sz, fault.at, bytes));
        cr_assert(ne(ptr, (void *)fault.word, NULL));
        free(exact);
    }
    cr_assert(
        eq(int, ari_wire_scan(&frame, "{\"type\":01}", 11, scratch, sizeof scratch, &fault), TDM_ESYNTAX));
    cr_expect(eq(sz, fault.at, 9));
    cr_expect(eq(str, (char *)fault.word, "a number does not start with 0"));
    cr_expect(eq(int, ari_wire_scan(&frame, "{", 1, scratch, sizeof scratch, NULL), TDM_ESYNTAX));
}

Test(wire, an_event_of_a_mebibyte_has_its_keys)
{
    const size_t big = 1 << 20;
    char *text = malloc(big + 200);
    size_t bytes = (size_t)sprintf(text, "{\"type\":\"ChannelVarset\",\"value\":\"");

    memset(text + bytes, 'v', big);
    bytes += big;
    bytes += (size_t)sprintf(text + bytes, "\",\"channel\":{\"id\":\"7\"}}");
    const struct ari_frame frame = scan_bytes(text, bytes);

    cr_expect(eq(str, (char *)keys_of(&frame), "channel=7"));
    free(text);
}

static size_t with_keys, unknown;

static void look_at(const char *file, const char *text, size_t bytes)
{
    const char *wrong = scan_reference_check(text, bytes, NULL);
    const struct ari_frame frame = scan_bytes(text, bytes);

    cr_assert(wrong == NULL, "%s: %s", file, wrong);
    cr_assert(frame.kind == ARI_NONE || frame.kind == ARI_RESPONSE || frame.application.bytes > 0,
              "%s: no app", file);
    cr_assert(eq(u32, frame.bad_ids, 0));
    with_keys += frame.keys > 0;
    unknown += frame.event == ARI_UNKNOWN;
}

Test(wire, every_recorded_event_is_of_a_known_type_and_nearly_all_have_keys)
{
    const size_t events = traces_each(look_at);

    if (events == 0)
        cr_skip("no recorded traffic at " TANDEM_SHARED_DIR);
    cr_expect(eq(sz, unknown, 0));
    cr_expect(gt(sz, with_keys, events * 9 / 10));
}
