/* test_json_scan.c - the scanner takes what Jansson takes, finds what the tree has, and says where a
 * text is broken. */
#include "json_scan.h"
#include "json_text.h"
#include "scan_reference.h"
#include "tandem/err.h"
#include "traces.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(json_scan, .timeout = 60);

static const char start_event[] =
    "{\"type\":\"StasisStart\",\"timestamp\":\"2026-03-09T14:02:11.482+0100\",\"application\":\"ivr\","
    "\"args\":[\"inbound\",\"caf\\u00e9\"],\"channel\":{\"id\":\"pbx1-1773061331.17\",\"state\":\"Ring\","
    "\"caller\":{\"name\":\"Zo\xC3\xAB \\\"Z\\\"\",\"number\":\"+49\"},\"dialplan\":{\"priority\":-3,"
    "\"weight\":1.5e-3},\"muted\":false,\"held\":true,\"parent\":null}}";

/* The text in a block of exactly its size, so that the sanitizer sees a read behind it. */
static void agrees(const char *text, size_t bytes, const char *about)
{
    char *exact = malloc(bytes + (bytes == 0));

    cr_assert(ne(ptr, exact, NULL));
    memcpy(exact, text, bytes);
    const char *wrong = scan_reference_check(exact, bytes, NULL);

    cr_assert(wrong == NULL, "%s: %s (path \"%s\")", about, wrong, scan_reference_path());
    free(exact);
}

static bool takes(const char *text, size_t bytes)
{
    agrees(text, bytes, text);
    return json_scan(NULL, text, bytes, NULL, NULL) == TDM_OK;
}

static bool takes_text(const char *text)
{
    return takes(text, strlen(text));
}

/* ---- what is taken and what is not ----------------------------------------------------------- */

Test(json_scan, numbers_are_taken_and_refused_as_by_jansson)
{
    static const char *const good[] = {
        "0",
        "-0",
        "7",
        "-12",
        "0.5",
        "-0.0",
        "1e5",
        "1E+5",
        "1.25e-7",
        "9223372036854775807",
        "-9223372036854775808",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "0.00017976931348623157e312",
        "1e-400",
        "0e999999999999999999999",
        "0.0e+99999",
        "4.9e-324",
        "1e-99999999999999999999",
        "179769313486231570000000000000000000000.0",
    };
    static const char *const bad[] = {
        "01",
        "-",
        "+1",
        ".5",
        "1.",
        "1.e3",
        "1e",
        "1e+",
        "-a",
        "00",
        "-01",
        "0x1",
        "1a",
        "NaN",
        "Infinity",
        "1 2",
        "9223372036854775808",
        "-9223372036854775809",
        "10000000000000000000",
        "1.7976931348623159e308",
        "1e309",
        "-1e400",
        "1e99999999999999999999",
        "0.0001e313",
        "--1",
    };
    char text[200];

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(text, sizeof text, "[%s]", good[i]);
        cr_expect(takes_text(text), "%s should be taken", text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(text, sizeof text, "{\"a\":%s}", bad[i]);
        cr_expect(not(takes_text(text)), "%s should be refused", text);
    }
}

Test(json_scan, a_double_overflows_exactly_from_half_a_step_above_the_greatest_one)
{
    static const char limit[] =
        "1797693134862315807937289714053034150799341327100378269361737789804449682927647509466490179775872070"
        "9633028641669288791094655554785194040263065748867150582068190890200070838367627385484581771153176447"
        "5730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042880177904"
        "174497792";
    char text[1024];

    for (int shift = 0; shift < 308; shift += 44) { /* the dot at several places, the exponent to match */
        for (int last = '0'; last <= '9'; last++) {
            snprintf(text, sizeof text, "[%.*s.%s0e%d]", shift + 1, limit, limit + shift + 1, 308 - shift);
            text[strlen(text) - (size_t)snprintf(NULL, 0, "0e%d]", 308 - shift) - 1] = (char)last;
            cr_assert(eq(int, takes_text(text), last < '2'), "%s", text);
        }
    }
    snprintf(text, sizeof text, "[%.308s1.9]", limit);
    cr_assert(takes_text(text));
    snprintf(text, sizeof text, "[%s.0]", limit);
    cr_assert(not(takes_text(text)));
}

Test(json_scan, the_outermost_value_is_an_object_or_an_array_and_nothing_follows)
{
    static const char *const bad[] = { "",
                                       " ",
                                       "1",
                                       "\"a\"",
                                       "true",
                                       "null",
                                       "{}{}",
                                       "[] 1",
                                       "[1],",
                                       "{",
                                       "[",
                                       "}",
                                       "]",
                                       "[}",
                                       "{]",
                                       "[1,]",
                                       "[,1]",
                                       "{,}",
                                       "{1:2}",
                                       "{a:1}",
                                       "{\"a\"}",
                                       "{\"a\":}",
                                       "{\"a\":1,}",
                                       "{\"a\" 1}",
                                       "[1 2]",
                                       "[\"a\":1]",
                                       "[tru]",
                                       "[True]",
                                       "[truee]",
                                       "[nul",
                                       "[true false]",
                                       "\xEF\xBB\xBF{}",
                                       "{}\xEF\xBB\xBF",
                                       "['a']",
                                       "[1]//",
                                       "/**/[]",
                                       "[\"a]",
                                       "{\"a:1}" };
    static const char *const good[] = {
        "{}", "[]", " [ ] ", "\t\r\n{ }\n", "[[],{}]", "{\"\":\"\"}", "[true,false,null]"
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect(not(takes_text(bad[i])), "%s should be refused", bad[i]);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_expect(takes_text(good[i]), "%s should be taken", good[i]);
    agrees("[1\0]", 4, "a NUL behind a number");
    agrees("[1\0\0]", 5, "two NULs behind a number");
    agrees("{\"a\":true\0,\"b\":null\0 }", 23, "NULs behind words");
    agrees("[\0 1]", 5, "a NUL before a number");
    agrees("[]\0", 3, "a NUL behind the end");
}

Test(json_scan, every_byte_is_taken_or_refused_as_by_jansson_raw_and_behind_a_backslash)
{
    for (int c = 0; c < 256; c++) {
        const char raw[] = { '[', '"', 'x', (char)c, '"', ']' };
        const char escaped[] = { '[', '"', '\\', (char)c, '0', '0', '4', '1', '"', ']' };
        const char bare[] = { '[', (char)c, ']' };
        const char blank[] = { (char)c, '{', '}', (char)c };
        const char name[] = { '{', '"', (char)c, '"', ':', '1', (char)c, '}' };

        agrees(raw, sizeof raw, "raw");
        agrees(escaped, sizeof escaped, "escaped");
        agrees(bare, sizeof bare, "bare");
        agrees(blank, sizeof blank, "around");
        agrees(name, sizeof name, "in a name");
    }
}

Test(json_scan, characters_beyond_ascii_are_checked_as_by_jansson)
{
    static const unsigned char third[] = { 0x7F, 0x80, 0xBF, 0xC0 };
    char text[] = "[\"xxxx\"]";

    for (int first = 0x80; first < 256; first++)
        for (int second = 0; second < 256; second += second == 0 ? 0x7E : 1) {
            text[2] = (char)first;
            text[3] = (char)second;
            for (size_t i = 0; i < sizeof third; i++) {
                text[4] = (char)third[i];
                text[5] = (char)0x80;
                agrees(text, 8, "four bytes");
                text[5] = 'x';
                agrees(text, 8, "three bytes");
            }
            text[4] = text[5] = 'x';
            agrees(text, 8, "two bytes");
            agrees(text, 4, "cut off");
        }
}

Test(json_scan, escaped_characters_pair_up_or_are_refused)
{
    static const char *const halves[] = { "\\u0000", "\\u0001", "\\u007f", "\\u0080", "\\u07ff", "\\u0800",
                                          "\\ud7ff", "\\uD800", "\\udbff", "\\uDC00", "\\udfff", "\\ue000",
                                          "\\uffff", "\\u12",   "\\u00G0", "\\n",     "x",       "" };
    const size_t count = sizeof halves / sizeof halves[0];
    char text[64];

    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            snprintf(text, sizeof text, "{\"a\":\"%s%s\"}", halves[i], halves[j]);
            agrees(text, strlen(text), text);
            snprintf(text, sizeof text, "{\"%s%s\":1}", halves[i], halves[j]);
            agrees(text, strlen(text), text);
            snprintf(text, sizeof text, "[\"%s%s", halves[i], halves[j]);
            agrees(text, strlen(text), text);
        }
    cr_assert(takes_text("[\"\\uD834\\uDD1E\"]"));
    cr_assert(not(takes_text("[\"\\uD834\\u0041\"]")));
}

Test(json_scan, values_nest_2048_deep_and_not_deeper)
{
    static const struct {
        const char *open, *middle, *close;
    } shapes[] = {
        { "[", "", "]" }, { "[", "1", "]" }, { "{\"a\":", "{}", "}" }, { "[{\"a\":", "[]", "}]" }
    };
    static const int depths[] = { 1, 2, 63, 64, 65, 128, 1023, 1024, 1025, 2046, 2047, 2048, 2049, 2050 };
    char *text = malloc(20000);

    cr_assert(ne(ptr, text, NULL));
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < sizeof depths / sizeof depths[0]; k++) {
            const int depth = depths[k];
            size_t bytes = 0;

            for (int d = 0; d < depth; d++)
                bytes += (size_t)sprintf(text + bytes, "%s", shapes[i].open);
            bytes += (size_t)sprintf(text + bytes, "%s", shapes[i].middle);
            for (int d = 0; d < depth; d++)
                bytes += (size_t)sprintf(text + bytes, "%s", shapes[i].close);
            agrees(text, bytes, "nested");
        }
    memset(text, '[', 20000);
    cr_assert(eq(int, json_scan(NULL, text, 20000, NULL, NULL), TDM_ESYNTAX));
    free(text);
}

Test(json_scan, an_event_cut_off_at_any_byte_is_refused)
{
    const size_t whole = strlen(start_event);
    struct json_scan_error error;

    cr_assert(takes(start_event, whole));
    for (size_t bytes = 0; bytes < whole; bytes++) {
        cr_assert(not(takes(start_event, bytes)), "%zu bytes", bytes);
        json_scan(NULL, start_event, bytes, NULL, &error);
        cr_assert(le(sz, error.at, bytes));
    }
}

Test(json_scan, an_event_with_any_one_byte_changed_is_judged_as_by_jansson)
{
    static const char changes[] = { '"', '\\', '{', '}',  '[',  ']',    ',',    ':',
                                    '0', 'u',  ' ', '\n', '\0', '\x7F', '\x80', '\xC3' };
    const size_t whole = strlen(start_event);
    char *text = strdup(start_event);

    cr_assert(ne(ptr, text, NULL));
    for (size_t at = 0; at < whole; at++) {
        for (size_t i = 0; i < sizeof changes; i++) {
            text[at] = changes[i];
            agrees(text, whole, "changed");
        }
        text[at] = start_event[at];
    }
    free(text);
}

Test(json_scan, strings_of_every_length_end_where_they_end)
{
    char text[128];

    for (int before = 0; before < 20; before++)
        for (int length = 0; length < 40; length++)
            for (const char *odd = "x\"\\\xC3\x1f"; *odd != '\0'; odd++) {
                memset(text, 'y', sizeof text);
                memcpy(text + before, "[\"", 2);
                text[before + 2 + length] = *odd;
                memcpy(text + before + 3 + length, "\"]", 2);
                memset(text, ' ', (size_t)before);
                agrees(text, (size_t)(before + 5 + length), "length");
            }
}

/* ---- what is found --------------------------------------------------------------------------- */

static const char *const paths[] = { "type",
                                     "channel.id",
                                     "channel.caller.number",
                                     "args.1",
                                     "channel",
                                     "absent",
                                     "channel.dialplan.priority",
                                     "channel.dialplan.weight",
                                     "channel.muted",
                                     "channel.held",
                                     "channel.parent",
                                     "args" };
enum { TYPE, ID, NUMBER, ARG, CHANNEL, ABSENT, PRIORITY, WEIGHT, MUTED, HELD, PARENT, ARGS, PATHS };

static void scan_into(struct json_slice *slices, const char *text)
{
    struct json_plan plan;

    cr_assert(eq(int, json_scan_plan(&plan, paths, PATHS), TDM_OK));
    cr_assert(eq(int, json_scan(&plan, text, strlen(text), slices, NULL), TDM_OK), "%s", text);
}

static void expect_slice(const struct json_slice *slice, enum json_kind kind, const char *text)
{
    cr_expect(eq(int, slice->kind, kind));
    cr_expect(slice->bytes == strlen(text) && memcmp(slice->at, text, slice->bytes) == 0,
              "found %.*s, not %s", (int)slice->bytes, slice->at, text);
}

Test(json_scan, wanted_values_are_found_as_they_stand)
{
    struct json_slice s[PATHS];

    scan_into(s, start_event);
    expect_slice(&s[TYPE], JSON_SCAN_STRING, "StasisStart");
    expect_slice(&s[ID], JSON_SCAN_STRING, "pbx1-1773061331.17");
    expect_slice(&s[NUMBER], JSON_SCAN_STRING, "+49");
    expect_slice(&s[ARG], JSON_SCAN_STRING, "caf\\u00e9");
    cr_expect(s[ARG].escaped);
    cr_expect(not(s[ID].escaped));
    expect_slice(&s[PRIORITY], JSON_SCAN_INTEGER, "-3");
    expect_slice(&s[WEIGHT], JSON_SCAN_REAL, "1.5e-3");
    expect_slice(&s[MUTED], JSON_SCAN_FALSE, "false");
    expect_slice(&s[HELD], JSON_SCAN_TRUE, "true");
    expect_slice(&s[PARENT], JSON_SCAN_NULL, "null");
    expect_slice(&s[ARGS], JSON_SCAN_ARRAY, "[\"inbound\",\"caf\\u00e9\"]");
    cr_expect(eq(int, s[CHANNEL].kind, JSON_SCAN_OBJECT));
    cr_expect(eq(chr, s[CHANNEL].at[s[CHANNEL].bytes - 1], '}'));
    cr_expect(eq(int, s[ABSENT].kind, JSON_SCAN_ABSENT));
}

Test(json_scan, a_second_member_of_one_name_replaces_the_first_with_all_that_was_in_it)
{
    struct json_slice s[PATHS];

    scan_into(s, "{\"type\":\"a\",\"type\":\"b\",\"channel\":{\"id\":\"1\",\"caller\":{\"number\":\"2\"}},"
                 "\"channel\":{\"id\":\"3\"}}");
    expect_slice(&s[TYPE], JSON_SCAN_STRING, "b");
    expect_slice(&s[ID], JSON_SCAN_STRING, "3");
    cr_expect(eq(int, s[NUMBER].kind, JSON_SCAN_ABSENT));
    scan_into(s, "{\"channel\":{\"id\":\"1\"},\"channel\":7,\"args\":[1,2],\"args\":[3]}");
    expect_slice(&s[CHANNEL], JSON_SCAN_INTEGER, "7");
    cr_expect(eq(int, s[ID].kind, JSON_SCAN_ABSENT));
    expect_slice(&s[ARGS], JSON_SCAN_ARRAY, "[3]");
    cr_expect(eq(int, s[ARG].kind, JSON_SCAN_ABSENT));
    scan_into(s, "{\"channel\":{\"id\":\"1\"},\"ch\\u0061nnel\":{\"i\\u0064\":\"2\"}}");
    expect_slice(&s[ID], JSON_SCAN_STRING, "2");
}

Test(json_scan, names_count_only_where_the_path_has_them)
{
    struct json_slice s[PATHS];

    scan_into(s, "{\"x\":{\"type\":\"no\",\"channel\":{\"id\":\"no\"}},\"a\":[{\"type\":\"no\"}],\"id\":"
                 "\"no\",\"channel\":{\"x\":{\"id\":\"no\"},\"type\":1},"
                 "\"v\":\"\\\"type\\\":\\\"no\\\"\"}");
    cr_expect(eq(int, s[TYPE].kind, JSON_SCAN_ABSENT));
    cr_expect(eq(int, s[ID].kind, JSON_SCAN_ABSENT));
}

Test(json_scan, a_plan_refuses_what_it_cannot_hold)
{
    const char *many[JSON_SCAN_PATHS + 1];
    char names[JSON_SCAN_PATHS + 1][16], name[JSON_SCAN_NAME + 2];
    struct json_plan plan;

    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (size_t i = 0; i <= JSON_SCAN_PATHS; i++) {
        snprintf(names[i], sizeof names[i], "p%zu.x", i);
        many[i] = names[i];
    }
    cr_expect(eq(int, json_scan_plan(&plan, many, JSON_SCAN_PATHS + 1), TDM_ETOOBIG));
    cr_expect(eq(int, json_scan_plan(&plan, many, JSON_SCAN_PATHS), TDM_ETOOBIG), "128 names are too many");
    cr_expect(eq(int, json_scan_plan(&plan, many, 47), TDM_OK), "94 names are not");
    cr_expect(eq(int, json_scan_plan(&plan, (const char *const[]){ name }, 1), TDM_ETOOBIG));
    cr_expect(eq(int, json_scan_plan(&plan, (const char *const[]){ "a.b.c.d.e.f.g.h.i" }, 1), TDM_ETOOBIG));
    cr_expect(eq(int, json_scan_plan(&plan, (const char *const[]){ "a..b" }, 1), TDM_EINVAL));
    cr_expect(eq(int, json_scan_plan(&plan, (const char *const[]){ "" }, 1), TDM_EINVAL));
    cr_expect(eq(int, json_scan_plan(&plan, (const char *const[]){ "a", "b", "a" }, 3), TDM_EEXIST));
}

Test(json_scan, an_error_names_its_place)
{
    static const struct {
        const char *text;
        size_t at;
        const char *word;
    } cases[] = {
        { "{\"a\":01}", 6, "a number does not start with 0" },
        { "{\"a\":1", 6, "the text ends too soon" },
        { "[1,\"a\tb\"]", 5, "control character in a string" },
        { "[1,\"\\x\"]", 4, "unknown escape" },
        { "[\"\\ud800\"]", 2, "half of a surrogate pair" },
        { "[\"\xFF\"]", 2, "not UTF-8" },
        { "[] x", 3, "more behind the end" },
        { "hello", 0, "an object or an array was expected" },
        { "{\"a\" 1}", 5, "a colon was expected" },
        { "[1 2]", 3, "a comma or ] was expected" },
        { "[9223372036854775808]", 1, "an integer of more than 64 bits" },
        { "[1e999]", 1, "a number too big for a double" },
        { "[\"\\u0000\"]", 2, "a NUL character is not allowed" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json_scan_error error = { .at = 999, .word = "" };

        cr_expect(eq(int, json_scan(NULL, cases[i].text, strlen(cases[i].text), NULL, &error), TDM_ESYNTAX));
        cr_expect(eq(sz, error.at, cases[i].at), "%s", cases[i].text);
        cr_expect(eq(str, (char *)error.word, (char *)cases[i].word), "%s", cases[i].text);
    }
}

Test(json_scan, a_container_is_stepped_over_wherever_its_strings_and_slashes_fall)
{
    static const char *const odd[] = { "", "\\\\", "\\\"", "\\\\\\\"", "}", "{[", "\\\\\\\\", "\\\"}]{\\\\" };
    char text[400];

    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        for (int fill = 0; fill < 140; fill++)
            for (int more = 0; more < 2; more++) {
                const int bytes =
                    snprintf(text, sizeof text, "{\"a\":{\"%*s%s\":[\"%s\",{}]%s},\"type\":\"x\"}", fill, "",
                             odd[i], odd[i], more ? ",\"a\":[[],\"]\"]" : "");

                agrees(text, (size_t)bytes, text);
            }
}

/* ---- big and real ---------------------------------------------------------------------------- */

Test(json_scan, an_event_of_a_mebibyte_is_read_like_any_other)
{
    const size_t big = 1 << 20;
    char *text = malloc(2 * big);
    size_t bytes = (size_t)sprintf(text, "{\"type\":\"ChannelVarset\",\"value\":\"");

    cr_assert(ne(ptr, text, NULL));
    memset(text + bytes, 'v', big);
    bytes += big;
    bytes += (size_t)sprintf(text + bytes, "\",\"many\":[");
    while (bytes < 2 * big - 100)
        bytes += (size_t)sprintf(text + bytes, "{\"n\":%zu},", bytes);
    bytes += (size_t)sprintf(text + bytes, "0],\"channel\":{\"id\":\"7\"}}");
    agrees(text, bytes, "2 MiB");
    cr_assert(eq(int, json_scan(NULL, text, bytes, NULL, NULL), TDM_OK));
    free(text);
}

static void trace_agrees(const char *file, const char *text, size_t bytes)
{
    int taken = 0;
    const char *wrong = scan_reference_check(text, bytes, &taken);

    cr_assert(wrong == NULL && taken, "%s: %s: %.*s", file, wrong != NULL ? wrong : "refused", (int)bytes,
              text);
}

Test(json_scan, every_recorded_event_is_read_as_jansson_reads_it)
{
    const size_t events = traces_each(trace_agrees);

    if (events == 0)
        cr_skip("no recorded traffic at " TANDEM_SHARED_DIR);
    cr_assert(gt(sz, events, 2000));
}
