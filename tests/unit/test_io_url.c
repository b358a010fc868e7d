/* Percent-encoding and query strings. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "tandem/http.h"

TestSuite(io_url, .timeout = 20);

Test(io_url, everything_but_the_unreserved_characters_is_encoded)
{
    char buf[64];
    size_t n = tdm_url_encode(buf, sizeof buf, "a-Z.0_~ /?&=%\xc3\xa4", 15);

    cr_assert(eq(str, buf, "a-Z.0_~%20%2F%3F%26%3D%25%C3%A4"));
    cr_assert(eq(sz, n, strlen(buf)));
}

Test(io_url, encoding_says_the_length_needed_and_never_cuts_inside_an_escape)
{
    char buf[5];

    cr_assert(eq(sz, tdm_url_encode(buf, sizeof buf, "a b c", 5), 9));
    cr_assert(eq(str, buf, "a%20"));
    cr_assert(eq(sz, tdm_url_encode(NULL, 0, "a b c", 5), 9));
    cr_assert(eq(sz, tdm_url_encode(buf, 3, " ", 1), 3));
    cr_assert(eq(str, buf, ""));
}

Test(io_url, decoding_what_was_encoded_gives_every_byte_back)
{
    char all[256], coded[1024];
    int n;

    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    n = tdm_url_decode(coded, tdm_url_encode(coded, sizeof coded, all, sizeof all));
    cr_assert(eq(int, n, 256));
    cr_assert(eq(int, memcmp(coded, all, 256), 0));
}

Test(io_url, broken_escapes_are_syntax_errors)
{
    static const char *const broken[] = { "%", "%1", "a%", "%g0", "%0g", "%%20", "%-1" };

    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        char text[8];
        strcpy(text, broken[i]);
        cr_assert(eq(int, tdm_url_decode(text, strlen(text)), TDM_ESYNTAX), "%s", broken[i]);
    }
}

Test(io_url, a_parameter_is_found_by_its_whole_name_and_decoded)
{
    char buf[32];
    const char *query = "xapp=1&app=a%2Cb+c&empty=&flag&app=second";

    cr_assert(eq(int, tdm_url_param(query, "app", buf, sizeof buf), 5));
    cr_assert(eq(str, buf, "a,b c"));
    cr_assert(eq(int, tdm_url_param(query, "empty", buf, sizeof buf), 0));
    cr_assert(eq(str, buf, ""));
    cr_assert(eq(int, tdm_url_param(query, "flag", buf, sizeof buf), 0));
    cr_assert(eq(int, tdm_url_param(query, "ap", buf, sizeof buf), TDM_ENOTFOUND));
    cr_assert(eq(int, tdm_url_param("", "app", buf, sizeof buf), TDM_ENOTFOUND));
    cr_assert(eq(int, tdm_url_param("app=%zz", "app", buf, sizeof buf), TDM_ESYNTAX));
    cr_assert(eq(int, tdm_url_param("app=abcdefgh", "app", buf, 8), TDM_ETOOBIG));
}
