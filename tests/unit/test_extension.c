/* Extensions and patterns, against what Asterisk's dialplan does with them. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "extension.h"

TestSuite(extension, .timeout = 10);

static void matches(const char *pattern, const char *exten)
{
    cr_expect(extension_fault(pattern) == NULL, "%s is refused: %s", pattern, extension_fault(pattern));
    cr_expect(extension_matches(pattern, exten), "%s must match %s", pattern, exten);
}

static void matches_not(const char *pattern, const char *exten)
{
    cr_expect(extension_fault(pattern) == NULL, "%s is refused: %s", pattern, extension_fault(pattern));
    cr_expect(not(extension_matches(pattern, exten)), "%s must not match %s", pattern, exten);
}

Test(extension, without_an_underscore_it_is_exact)
{
    matches("100", "100");
    matches_not("100", "10");
    matches_not("100", "1000");
    matches_not("100", "");
    matches("X00", "X00"); /* no pattern: X is a letter */
    matches_not("X00", "100");
    matches("s", "s");
    matches("h!", "h!");
    matches_not("Sales", "sales");
}

Test(extension, X_Z_and_N_are_digits_in_either_case)
{
    for (char c = 0x21; c < 0x7F; c++) {
        char exten[2] = { c, '\0' };
        if (c == '-')
            continue;
        cr_expect(eq(int, extension_matches("_X", exten), c >= '0' && c <= '9'));
        cr_expect(eq(int, extension_matches("_x", exten), c >= '0' && c <= '9'));
        cr_expect(eq(int, extension_matches("_Z", exten), c >= '1' && c <= '9'));
        cr_expect(eq(int, extension_matches("_z", exten), c >= '1' && c <= '9'));
        cr_expect(eq(int, extension_matches("_N", exten), c >= '2' && c <= '9'));
        cr_expect(eq(int, extension_matches("_n", exten), c >= '2' && c <= '9'));
    }
    matches("_NXXNXXXXXX", "2125551212");
    matches_not("_NXXNXXXXXX", "1125551212");
    matches_not("_NXXNXXXXXX", "212555121");
    matches_not("_NXXNXXXXXX", "21255512121");
}

Test(extension, a_set_holds_characters_and_ranges)
{
    matches("_[13-5a]", "1");
    matches_not("_[13-5a]", "2");
    matches("_[13-5a]", "3");
    matches("_[13-5a]", "4");
    matches("_[13-5a]", "5");
    matches_not("_[13-5a]", "6");
    matches("_[13-5a]", "a");
    matches_not("_[13-5a]", "A");
    matches("_1[2-4]X", "139");
    matches_not("_1[2-4]X", "159");
    matches("_[*#]9", "*9");
    matches("_[5-5]", "5");
    matches("_[1-]", "-1");   /* a dash at the end of a set is itself; one in the number is ignored */
    matches_not("_[X]", "5"); /* X in a set is a letter */
    matches("_[X]", "X");
}

Test(extension, a_dot_is_one_or_more_and_a_bang_none_or_more)
{
    matches("_9.", "91");
    matches("_9.", "9abc#");
    matches_not("_9.", "9");
    matches("_9!", "9");
    matches("_9!", "912");
    matches_not("_9!", "8");
    matches("_.", "a");
    matches_not("_.", "");
    matches("_!", "");
    matches("_+.", "+15551234");
    matches_not("_+.", "+");
    matches_not("_+.", "15551234");
}

Test(extension, dashes_are_ignored)
{
    matches("_555-1234", "5551234");
    matches("_NXX-XXXX", "555-1234");
    matches("555-1234", "5551234");
    matches("5551234", "555-1234");
    matches_not("555-1234", "5551235");
    matches_not("_9.", "9-");
}

Test(extension, malformed_patterns_are_refused_with_a_reason)
{
    static const struct {
        const char *pattern, *reason;
    } bad[] = {
        { "", "is empty" },
        { "_", "is a _ with no pattern behind it" },
        { "_-", "is a _ with no pattern behind it" },
        { "_2[XX", "has a [ without its ]" },
        { "_2[]X", "has an empty [ ]" },
        { "_2X]", "has a ] without its [" },
        { "_[5-1]", "has a range that runs backwards" },
        { "_9.X", "has something behind its . or !, which ends a pattern" },
        { "_9!!", "has something behind its . or !, which ends a pattern" },
        { "1 00", "has a blank or a comma in it" },
        { "_1,2", "has a blank or a comma in it" },
        { "1234567890123456789012345678901234567890123456789012345678901234567890123456789x",
          "is longer than 79 bytes" },
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *reason = extension_fault(bad[i].pattern);
        cr_expect(reason != NULL && strcmp(reason, bad[i].reason) == 0, "\"%s\": %s", bad[i].pattern,
                  reason == NULL ? "accepted" : reason);
    }
    cr_expect(extension_fault("_[-5]") == NULL);
    cr_expect(extension_fault("[5") == NULL, "without _ a bracket is a character");
}

/* Each is tried before the next. The order of Asterisk's ext_cmp(): a place that can be fewer characters
 * first; of equal size the one that begins lower; then `.`, `!`, and the end of the pattern last. */
Test(extension, precedence_is_asterisks)
{
    static const char *const order[] = { "0",        "200",  "299",  "_200",   "_20[12]", "_20[23]",
                                         "_20[1-3]", "_20N", "_20Z", "_20X",   "_20.",    "_20!",
                                         "_20",      "_2X5", "_2XX", "_[23]5", "_NXX",    "_ZXX",
                                         "_XX5",     "_X.",  "_.",   "_!" };
    size_t n = sizeof order / sizeof order[0];

    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            int cmp = extension_compare(order[i], order[j]);
            bool good = i < j ? cmp < 0 : i > j ? cmp > 0 : cmp == 0;
            cr_expect(good, "%s against %s: %d", order[i], order[j], cmp);
        }
    }
}

Test(extension, the_same_pattern_written_differently_compares_equal)
{
    cr_expect(eq(int, extension_compare("_NXX", "_nxx"), 0));
    cr_expect(eq(int, extension_compare("_2-XX", "_2XX"), 0));
    cr_expect(eq(int, extension_compare("_[2-9]X", "_NX"), 0));
    cr_expect(eq(int, extension_compare("_[321]", "_[1-3]"), 0));
    cr_expect(eq(int, extension_compare("555-1234", "5551234"), 0));
    cr_expect(ne(int, extension_compare("200", "_200"), 0));
}

static const char *const plan[] = { "_.", "_X.", "_2XX", "_20X", "200", "_NXX", "_2[0-4]X", "_+.", "_911!" };

static const char *best(const char *exten)
{
    int i = extension_best(plan, sizeof plan / sizeof plan[0], exten);

    return i < 0 ? "none" : plan[i];
}

Test(extension, the_best_of_a_plan_is_found_whatever_its_order)
{
    cr_expect(eq(str, (char *)best("200"), "200"));
    cr_expect(eq(str, (char *)best("201"), "_20X"));
    cr_expect(eq(str, (char *)best("231"), "_2[0-4]X"));
    cr_expect(eq(str, (char *)best("299"), "_2XX"));
    cr_expect(eq(str, (char *)best("399"), "_NXX"));
    cr_expect(eq(str, (char *)best("3999"), "_X."));
    cr_expect(eq(str, (char *)best("911"), "_911!"));
    cr_expect(eq(str, (char *)best("9112"), "_911!"));
    cr_expect(eq(str, (char *)best("+1555"), "_+."));
    cr_expect(eq(str, (char *)best("sales"), "_."));
    cr_expect(eq(str, (char *)best(""), "none"));
    cr_expect(eq(int, extension_best(NULL, 0, "1"), -1));
}
