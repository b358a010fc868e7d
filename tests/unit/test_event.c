/* test_event.c - the fields of an event, as an app asks for them. */
#include "event.h"
#include "tandem/env.h"
#include "tandem/err.h"
#include "tandem/runtime.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(event, .timeout = 30);

static const char text[] =
    "{\"type\":\"ChannelDtmfReceived\",\"application\":\"ivr\",\"digit\":\"5\",\"duration_ms\":120,"
    "\"args\":[\"in\",\"b\\u00e4r "
    "\\\"x\\\"\",{\"deep\":[1,2.5]}],\"ratio\":-1.25e2,\"big\":-9223372036854775808,"
    "\"external\":true,\"soft\":false,\"none\":null,\"empty\":\"\",\"list\":[],\"twice\":1,\"twice\":\"2\","
    "\"channel\":{\"id\":\"1.2\",\"caller\":{\"name\":\"Zo\xC3\xAB\",\"number\":\"+49 30\"},"
    "\"channelvars\":{\"CALLERID(num)\":\"77\",\"a.b\":\"x\",\"7\":\"seven\"}}}";

static tdm_event *parsed(const char *json)
{
    tdm_event *ev = NULL;

    cr_assert(eq(int, tdm_event_parse(json, strlen(json), &ev), TDM_OK));
    return ev;
}

static void expect_str(tdm_event *ev, const char *path, const char *want)
{
    const char *have = tdm_event_str(ev, path);

    cr_assert(have != NULL, "%s", path);
    cr_expect(eq(str, (char *)have, (char *)want), "%s", path);
}

static void check_fields(tdm_event *ev)
{
    expect_str(ev, "digit", "5");
    expect_str(ev, "args.0", "in");
    expect_str(ev, "args.1", "b\xC3\xA4r \"x\"");
    expect_str(ev, "channel.id", "1.2");
    expect_str(ev, "channel.caller.name", "Zo\xC3\xAB");
    expect_str(ev, "channel.caller.number", "+49 30");
    expect_str(ev, "channel.channelvars.CALLERID(num)", "77");
    expect_str(ev, "channel.channelvars.7", "seven");
    expect_str(ev, "empty", "");
    expect_str(ev, "twice", "2");
    cr_expect(eq(i64, tdm_event_int(ev, "duration_ms", -1), 120));
    cr_expect(eq(i64, tdm_event_int(ev, "args.2.deep.0", -1), 1));
    cr_expect(eq(i64, tdm_event_int(ev, "big", 0), INT64_MIN));
    cr_expect(eq(dbl, tdm_event_real(ev, "ratio", 0), -125.0));
    cr_expect(eq(dbl, tdm_event_real(ev, "args.2.deep.1", 0), 2.5));
    cr_expect(eq(dbl, tdm_event_real(ev, "duration_ms", 0), 120.0));
    cr_expect(tdm_event_bool(ev, "external", false));
    cr_expect(not(tdm_event_bool(ev, "soft", true)));
}

Test(event, fields_are_found_by_their_path)
{
    tdm_event *ev = parsed(text);

    cr_expect(eq(str, (char *)tdm_event_type(ev), "ChannelDtmfReceived"));
    cr_expect(eq(str, (char *)tdm_event_application(ev), "ivr"));
    cr_expect(eq(str, (char *)tdm_event_source(ev), ""));
    check_fields(ev);
    tdm_event_free(ev);
}

Test(event, what_is_absent_or_of_another_kind_gives_the_fallback)
{
    static const char *const not_strings[] = { "absent",
                                               "duration_ms",
                                               "args",
                                               "args.2",
                                               "args.3",
                                               "args.-1",
                                               "args.00",
                                               "args.x",
                                               "none",
                                               "external",
                                               "channel",
                                               "channel.",
                                               ".digit",
                                               "digit.0",
                                               "digit.x",
                                               "channel.channelvars.a.b",
                                               "channel.caller.number.",
                                               "channel..id",
                                               "args.0 ",
                                               "args.99999999999" };
    tdm_event *ev = parsed(text);

    for (size_t i = 0; i < sizeof not_strings / sizeof not_strings[0]; i++) {
        cr_expect(tdm_event_str(ev, not_strings[i]) == NULL, "%s", not_strings[i]);
    }
    cr_expect(eq(i64, tdm_event_int(ev, "ratio", 7), 7));
    cr_expect(eq(i64, tdm_event_int(ev, "digit", 7), 7));
    cr_expect(eq(i64, tdm_event_int(ev, "absent", 7), 7));
    cr_expect(eq(dbl, tdm_event_real(ev, "digit", 7.5), 7.5));
    cr_expect(tdm_event_bool(ev, "none", true));
    cr_expect(tdm_event_bool(ev, "duration_ms", true));
    cr_expect(not(tdm_event_has(ev, "absent")));
    cr_expect(tdm_event_has(ev, "none"));
    cr_expect(tdm_event_has(ev, ""));
    tdm_event_free(ev);
}

Test(event, a_name_is_found_however_it_is_written)
{
    char json[800], path[100];
    size_t bytes = (size_t)sprintf(json, "{\"");

    for (int i = 0; i < 90; i++)
        bytes += (size_t)sprintf(json + bytes, "\\u0078");
    sprintf(json + bytes, "\":\"long\",\"\\u20AC\\n\":\"euro\",\"x\\u0078\":\"two\"}");
    memset(path, 'x', 90);
    path[90] = '\0';
    tdm_event *ev = parsed(json);

    expect_str(ev, path, "long");
    expect_str(ev, "\xE2\x82\xAC\n", "euro");
    expect_str(ev, "xx", "two");
    cr_expect(tdm_event_str(ev, "x") == NULL);
    cr_expect(tdm_event_str(ev, "xxx") == NULL);
    tdm_event_free(ev);
}

Test(event, containers_are_counted)
{
    tdm_event *ev = parsed(text);

    cr_expect(eq(int, tdm_event_count(ev, "args"), 3));
    cr_expect(eq(int, tdm_event_count(ev, "list"), 0));
    cr_expect(eq(int, tdm_event_count(ev, "channel.channelvars"), 3));
    cr_expect(eq(int, tdm_event_count(ev, "digit"), -1));
    cr_expect(eq(int, tdm_event_count(ev, "absent"), -1));
    tdm_event_free(ev);
}

Test(event, raw_values_and_the_whole_text_are_as_they_arrived)
{
    tdm_event *ev = parsed(text);
    size_t bytes = 0;
    const char *raw = tdm_event_raw(ev, "args.1", &bytes);

    cr_expect(raw != NULL && bytes == 16 && memcmp(raw, "\"b\\u00e4r \\\"x\\\"\"", bytes) == 0);
    raw = tdm_event_raw(ev, "args.2", &bytes);
    cr_expect(raw != NULL && bytes == 16 && memcmp(raw, "{\"deep\":[1,2.5]}", 16) == 0, "%zu", bytes);
    cr_expect(tdm_event_raw(ev, "absent", &bytes) == NULL);
    cr_expect(eq(str, (char *)tdm_event_text(ev, &bytes), (char *)text));
    cr_expect(eq(sz, bytes, sizeof text - 1));
    cr_expect(tdm_event_raw(ev, "", NULL) == tdm_event_text(ev, NULL));
    tdm_event_free(ev);
}

Test(event, the_same_string_is_kept_once)
{
    tdm_event *ev = parsed(text);
    const char *first = tdm_event_str(ev, "channel.id");

    for (int i = 0; i < 1000; i++)
        check_fields(ev);
    cr_expect(eq(ptr, (void *)tdm_event_str(ev, "channel.id"), (void *)first));
    cr_expect(eq(str, (char *)first, "1.2"));
    tdm_event_free(ev);
}

Test(event, the_tree_is_built_once_and_goes_with_the_event)
{
    tdm_event *ev = parsed(text);
    json_t *tree = tdm_event_tree(ev);

    cr_assert(ne(ptr, tree, NULL));
    cr_expect(eq(ptr, tree, tdm_event_tree(ev)));
    cr_expect(eq(str, (char *)json_string_value(json_object_get(tree, "digit")), "5"));
    tdm_event_free(ev);
}

Test(event, text_that_is_not_json_makes_no_event)
{
    tdm_event *ev = NULL;

    for (size_t bytes = 0; bytes < sizeof text - 1; bytes++)
        cr_assert(eq(int, tdm_event_parse(text, bytes, &ev), TDM_ESYNTAX));
    cr_expect(eq(int, tdm_event_parse("7", 1, &ev), TDM_ESYNTAX));
    cr_expect(ev == NULL);
    tdm_event_free(NULL);
}

Test(event, an_event_without_a_type_or_an_app_says_so_with_an_empty_name)
{
    tdm_event *ev = parsed("{\"type\":7}");

    cr_expect(eq(str, (char *)tdm_event_type(ev), ""));
    cr_expect(eq(str, (char *)tdm_event_application(ev), ""));
    tdm_event_free(ev);
    ev = parsed("[\"a\",[\"b\"]]");
    cr_expect(eq(str, (char *)tdm_event_type(ev), ""));
    expect_str(ev, "1.0", "b");
    tdm_event_free(ev);
}

Test(event, a_long_string_is_whole)
{
    const size_t big = 1 << 20;
    char *json = malloc(big + 32);

    cr_assert(ne(ptr, json, NULL));
    memcpy(json, "{\"v\":\"", 6);
    memset(json + 6, 'v', big);
    strcpy(json + 6 + big, "\\n\"}");
    tdm_event *ev = parsed(json);
    const char *value = tdm_event_str(ev, "v");

    cr_assert(value != NULL && strlen(value) == big + 1 && value[big] == '\n');
    tdm_event_free(ev);
    free(json);
}

/* ---- as messages ----------------------------------------------------------------------------- */

static struct tdm_msg *message(struct tdm_runtime *rt, uint32_t type)
{
    const struct event_head head = { .source = "pbx1",
                                     .type = "ChannelDtmfReceived",
                                     .type_bytes = 19,
                                     .application = "ivr,x",
                                     .application_bytes = 3,
                                     .code = 42 };
    struct tdm_msg *msg = NULL;

    cr_assert(eq(int, event_msg_new(rt, type, &head, text, sizeof text - 1, &msg), TDM_OK));
    return msg;
}

static struct tdm_runtime *runtime(void)
{
    struct tdm_runtime *rt = NULL;

    cr_assert(eq(int, tdm_runtime_new(&rt, &(struct tdm_runtime_cfg){ .workers = 1 }), TDM_OK));
    return rt;
}

Test(event, a_message_carries_the_event_and_what_the_reader_knew)
{
    static const uint32_t types[] = { TDM_MSG_EVENT, TDM_MSG_CALL_START, TDM_MSG_CALL_END };
    struct tdm_runtime *rt = runtime();

    for (size_t i = 0; i < 3; i++) {
        struct tdm_msg *msg = message(rt, types[i]);
        tdm_event *ev = tdm_msg_event(msg);

        cr_assert(ne(ptr, ev, NULL));
        cr_expect(eq(u32, msg->type, types[i]));
        cr_expect(eq(str, (char *)tdm_event_source(ev), "pbx1"));
        cr_expect(eq(str, (char *)tdm_event_type(ev), "ChannelDtmfReceived"));
        cr_expect(eq(str, (char *)tdm_event_application(ev), "ivr"));
        cr_expect(eq(u32, event_code(ev), 42));
        check_fields(ev); /* more strings than have room in the header */
        cr_expect(ne(ptr, tdm_event_tree(ev), NULL));
        tdm_msg_free(rt, msg);
    }
    tdm_runtime_free(rt);
}

Test(event, a_message_gets_a_drop_hook_only_when_something_was_made)
{
    struct tdm_runtime *rt = runtime();
    struct tdm_msg *msg = message(rt, TDM_MSG_EVENT);

    expect_str(tdm_msg_event(msg), "digit", "5");
    cr_expect(eq(i64, tdm_event_int(tdm_msg_event(msg), "duration_ms", 0), 120));
    cr_expect(msg->drop_ == NULL);
    tdm_event_tree(tdm_msg_event(msg));
    cr_expect(msg->drop_ != NULL);
    tdm_msg_free(rt, msg);
    tdm_runtime_free(rt);
}

Test(event, names_that_the_reader_did_not_know_are_looked_up)
{
    struct tdm_runtime *rt = runtime();
    struct tdm_msg *msg = NULL;

    cr_assert(eq(
        int, event_msg_new(rt, TDM_MSG_EVENT, &(struct event_head){ .code = 0 }, text, sizeof text - 1, &msg),
        TDM_OK));
    cr_expect(eq(str, (char *)tdm_event_type(tdm_msg_event(msg)), "ChannelDtmfReceived"));
    cr_expect(eq(str, (char *)tdm_event_application(tdm_msg_event(msg)), "ivr"));
    cr_expect(eq(str, (char *)tdm_event_source(tdm_msg_event(msg)), ""));
    tdm_msg_free(rt, msg);
    tdm_runtime_free(rt);
}

Test(event, other_messages_carry_no_event)
{
    struct tdm_runtime *rt = runtime();
    struct tdm_msg *msg = tdm_msg_new(rt, TDM_MSG_TIMER, 0), *none = NULL;

    cr_assert(ne(ptr, msg, NULL));
    cr_expect(tdm_msg_event(msg) == NULL);
    cr_expect(tdm_msg_event(NULL) == NULL);
    cr_expect(eq(int, event_msg_new(rt, TDM_MSG_TIMER, &(struct event_head){ .code = 0 }, "{}", 2, &none),
                 TDM_EINVAL));
    cr_expect(none == NULL);
    tdm_msg_free(rt, msg);
    tdm_runtime_free(rt);
}

/* ---- when memory runs out -------------------------------------------------------------------- */

static _Thread_local bool no_memory;

static void *alloc_or_not(struct tdm_env *env, size_t bytes)
{
    (void)env;
    return no_memory ? NULL : tdm_env_real()->alloc(tdm_env_real(), bytes);
}

Test(event, without_memory_a_string_is_not_there_and_comes_when_there_is_some_again)
{
    struct tdm_env env = *tdm_env_real();
    struct tdm_runtime *rt = NULL;
    char json[1200];
    const int bytes = snprintf(json, sizeof json, "{\"digit\":\"5\",\"long\":\"%01000d\"}", 7);
    struct tdm_msg *msg = NULL;

    env.alloc = alloc_or_not;
    cr_assert(eq(int, tdm_runtime_new(&rt, &(struct tdm_runtime_cfg){ .env = &env, .workers = 1 }), TDM_OK));
    cr_assert(eq(
        int, event_msg_new(rt, TDM_MSG_EVENT, &(struct event_head){ .code = 0 }, json, (size_t)bytes, &msg),
        TDM_OK));
    tdm_event *ev = tdm_msg_event(msg);

    no_memory = true;
    expect_str(ev, "digit", "5"); /* it fits into the header's room */
    cr_expect(tdm_event_str(ev, "long") == NULL);
    no_memory = false;
    cr_expect(msg->drop_ == NULL);
    cr_assert(tdm_event_str(ev, "long") != NULL && strlen(tdm_event_str(ev, "long")) == 1000);
    tdm_msg_free(rt, msg);
    tdm_runtime_free(rt);
}
