/* test_exchange_json.c - the exchange's own JSON reader and writer, its timers and its table. */
#include "exchange_fixture.h"

#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <tandem/err.h>

#include "exchange/agenda.h"
#include "exchange/json_in.h"
#include "exchange/json_out.h"
#include "exchange/table.h"

TestSuite(exchange_json, .timeout = 20);

static bool valid(const char *text)
{
    return ex_json_scan(text, strlen(text), NULL) > 0;
}

Test(exchange_json, valid_texts_are_taken_and_others_refused)
{
    static const char *const good[] = {
        "0", "-1.5e+3", "\"\"", "[]", "{}", " [ 1 , {\"a\":[null]} ] ", "\"\\u00e9\\n\"", "true"
    };
    static const char *const bad[] = { "",         " ",       "01",          "1.",   "-",
                                       "\"",       "\"\\x\"", "\"\\u12g4\"", "[1,]", "{\"a\"}",
                                       "{\"a\":}", "{a:1}",   "[1 2]",       "nul",  "{} x",
                                       "\"\t\"",   "[",       "{\"a\":1,}",  "+1" };

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_assert(valid(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(not(valid(bad[i])), "%s", bad[i]);
}

Test(exchange_json, nesting_has_a_limit)
{
    char deep[200];

    memset(deep, '[', 64);
    memset(deep + 64, ']', 64);
    deep[128] = '\0';
    cr_assert(valid(deep));
    memset(deep, '[', 65);
    memset(deep + 65, ']', 65);
    deep[130] = '\0';
    cr_assert(not(valid(deep)));
}

Test(exchange_json, members_are_found_behind_nested_ones_and_strings_are_decoded)
{
    static const char text[] =
        "{\"a\":{\"b\":[1,2]},\"b\":\"x\\u00e9\\ud83d\\ude00\\/\\\"\",\"c\":\"\\ud800z\"}";
    struct ex_json_value values[20];
    struct ex_json json = { .text = text,
                            .values = values,
                            .count = ex_json_scan(text, strlen(text), values) };
    char out[40];

    size_t b = ex_json_member(&json, 0, "b");
    cr_assert(gt(sz, b, 0));
    ex_json_decode(&json, b, out);
    cr_assert(eq(str, out, "x\xc3\xa9\xf0\x9f\x98\x80/\""));
    ex_json_decode(&json, ex_json_member(&json, 0, "c"), out);
    cr_assert(eq(str, out, "\xef\xbf\xbdz"));
    cr_assert(eq(sz, ex_json_member(&json, 0, "none"), 0));
    cr_assert(eq(sz, ex_json_member(&json, b, "x"), 0));
}

Test(exchange_json, what_is_written_can_be_read)
{
    struct ex_text t;

    ex_text_init(&t, tdm_env_real());
    ex_json_open(&t, NULL, '{');
    ex_json_str(&t, "s", "q\"\\\n\x01 \xc3\xa9 \xff \xed\xa0\x80");
    ex_json_int(&t, "n", -5);
    ex_json_open(&t, "l", '[');
    ex_json_bool(&t, NULL, true);
    ex_json_str(&t, NULL, "{");
    ex_json_str(&t, NULL, "");
    ex_json_close(&t, ']');
    ex_json_close(&t, '}');
    cr_assert(
        eq(str, t.at, "{\"s\":\"q\\\"\\\\\\n\\u0001 \xc3\xa9 ? ???\",\"n\":-5,\"l\":[true,\"{\",\"\"]}"));
    cr_assert(valid(t.at));
    ex_text_fini(&t);
}

Test(exchange_json, timers_fire_by_time_and_then_in_the_order_of_setting)
{
    struct ex_agenda a;
    struct ex_timer t[200] = { 0 };
    uint64_t last = 0, n = 0, last_order = 0;

    ex_agenda_init(&a, tdm_env_real());
    for (uint64_t i = 0; i < 200; i++)
        cr_assert(eq(int, ex_agenda_set(&a, &t[i], i * 7919 % 50), TDM_OK));
    for (uint64_t i = 0; i < 200; i += 3)
        ex_agenda_cancel(&a, &t[i]);
    cr_assert(eq(int, ex_agenda_set(&a, &t[0], 49), TDM_OK));
    cr_assert(eq(ptr, ex_agenda_due(&a, 0) != NULL ? NULL : &a, NULL), "one is due at 0");
    for (struct ex_timer *due; (due = ex_agenda_due(&a, 100)) != NULL; n++) {
        cr_assert(due->at_ns > last || (due->at_ns == last && due->order > last_order));
        last = due->at_ns;
        last_order = due->order;
    }
    cr_assert(eq(u64, n, 133));
    cr_assert(eq(u64, ex_agenda_next(&a), TDM_FOREVER));
    ex_agenda_fini(&a);
}

Test(exchange_json, a_table_finds_what_was_put_in_and_not_what_was_taken_out)
{
    static struct {
        struct ex_entry entry;
        char key[16];
    } objects[500];
    struct ex_table t;

    ex_table_init(&t, tdm_env_real());
    for (int i = 0; i < 500; i++) {
        snprintf(objects[i].key, sizeof objects[i].key, "k%d", i);
        cr_assert(eq(int, ex_table_put(&t, &objects[i].entry, objects[i].key, &objects[i]), TDM_OK));
    }
    for (int i = 0; i < 500; i += 2)
        ex_table_remove(&t, &objects[i].entry);
    for (int i = 0; i < 500; i++)
        cr_assert(eq(int, ex_table_get(&t, objects[i].key) != NULL, i % 2));
    ex_table_remove(&t, &objects[0].entry);
    cr_assert(eq(sz, t.count, 250));
    ex_table_fini(&t);
}
