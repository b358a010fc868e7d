#include "ari/json.h"
#include "ari_fixture.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <string.h>

TestSuite(ari_json, .timeout = 20);

Test(ari_json, any_byte_in_a_string_comes_back_from_a_parser)
{
    struct counted mem;
    struct ari_json j;
    char all[127];

    counted_init(&mem);
    for (int i = 1; i < 128; i++)
        all[i - 1] = (char)i;
    ari_json_init(&j, &mem.env);
    ari_json_lit(&j, "[");
    ari_json_str(&j, all, sizeof all);
    ari_json_lit(&j, ",");
    ari_json_str(&j, "gr\xc3\xbc\xc3\x9f", 6);
    ari_json_lit(&j, ",");
    ari_json_str(&j, "", 0);
    ari_json_lit(&j, "]");
    cr_assert(not(j.failed));

    json_t *tree = json_loadb(j.at, j.bytes, 0, NULL);

    cr_assert(ne(ptr, tree, NULL));
    cr_assert(eq(sz, json_string_length(json_array_get(tree, 0)), sizeof all));
    cr_assert(eq(int, memcmp(json_string_value(json_array_get(tree, 0)), all, sizeof all), 0));
    cr_assert(eq(str, (char *)json_string_value(json_array_get(tree, 1)), "gr\xc3\xbc\xc3\x9f"));
    cr_assert(eq(str, (char *)json_string_value(json_array_get(tree, 2)), ""));
    json_decref(tree);
    ari_json_fini(&j);
    cr_assert(eq(i64, mem.out, 0));
}

Test(ari_json, a_text_that_did_not_fit_into_memory_says_so_and_leaks_nothing)
{
    for (uint64_t nth = 1; nth < 4; nth++) {
        struct counted mem;
        struct ari_json j;

        counted_init(&mem);
        mem.fail_at = nth;
        ari_json_init(&j, &mem.env);
        for (int i = 0; i < 100; i++)
            ari_json_str(&j, "some text that is long enough", 29);
        cr_assert(j.failed);
        ari_json_fini(&j);
        cr_assert(eq(i64, mem.out, 0));
    }
}

static size_t walk(const char *text, const char *const *expected)
{
    const char *p = text, *end = text + strlen(text);
    struct json_slice e;
    size_t n = 0;

    while (ari_json_next(&p, end, &e)) {
        cr_assert(eq(sz, strlen(expected[n]), e.bytes), "element %zu of %s", n, text);
        cr_assert(eq(int, memcmp(expected[n], e.at, e.bytes), 0), "element %zu of %s", n, text);
        n++;
    }
    return n;
}

Test(ari_json, the_elements_of_an_array_come_one_after_the_other)
{
    cr_assert(eq(sz, walk("[]", NULL), 0));
    cr_assert(eq(sz, walk("[ \n ]", NULL), 0));
    cr_assert(eq(sz, walk("[\"a\", \"b\\\"]\" ,\"\"]", (const char *const[]){ "a", "b\\\"]", "" }), 3));
    cr_assert(eq(sz,
                 walk("[{\"x\":[1,{\"y\":\"]}\"}]},[[]],12,null]",
                      (const char *const[]){ "{\"x\":[1,{\"y\":\"]}\"}]}", "[[]]", "12", "null" }),
                 4));
}

Test(ari_json, a_text_that_is_cut_off_ends_the_walk)
{
    static const char text[] = "[{\"a\":[1,2,\"three\\\"\"]},\"x\\\\\",{}]";

    for (size_t n = 0; n <= sizeof text - 1; n++) {
        char *copy = strndup(text, n);
        const char *p = copy;
        struct json_slice e;
        int elements = 0;

        while (elements < 10 && ari_json_next(&p, copy + n, &e))
            elements++;
        cr_assert(le(int, elements, 3));
        free(copy);
    }
}
