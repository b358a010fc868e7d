/* Tests of sayings: what is said, piece by piece; every piece is a file of Asterisk's core set; the edges. */
#include "tandem/say.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

TestSuite(say, .timeout = 20);

/* Pieces without "sound:" and "digits/", blanks between. */
static const char *said(const tdm_say *s)
{
    static char text[4000];
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = 0; s->media[i] != NULL; i++) {
        const char *piece = s->media[i];

        piece += strncmp(piece, "sound:", 6) == 0 ? 6 : 0;
        piece += strncmp(piece, "digits/", 7) == 0 ? 7 : 0;
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", i > 0 ? " " : "", piece);
    }
    return text;
}

#define SAYS(language, expected, what, ...)                       \
    do {                                                          \
        tdm_say s = tdm_say_in(language);                         \
        what(&s, __VA_ARGS__);                                    \
        cr_expect(eq(int, s.err, TDM_OK), "%s", expected);        \
        cr_expect(eq(str, (char *)said(&s), (char *)(expected))); \
    } while (0)
#define REFUSES(what, ...)                                                \
    do {                                                                  \
        tdm_say s = tdm_say_in(NULL);                                     \
        tdm_say_media(&s, "sound:beep");                                  \
        what(&s, __VA_ARGS__);                                            \
        cr_expect(eq(int, s.err, TDM_EINVAL), #what " " #__VA_ARGS__);    \
        cr_expect(eq(str, (char *)said(&s), "beep"), "nothing is added"); \
    } while (0)

Test(say, numbers)
{
    SAYS("en", "0", tdm_say_number, 0);
    SAYS("en", "7", tdm_say_number, 7);
    SAYS("en", "13", tdm_say_number, 13);
    SAYS("en", "20 1", tdm_say_number, 21);
    SAYS("en", "1 hundred", tdm_say_number, 100);
    SAYS("en", "9 hundred 90 9", tdm_say_number, 999);
    SAYS("en", "1 thousand 2 hundred 30 4", tdm_say_number, 1234);
    SAYS("en", "1 million 1", tdm_say_number, 1000001);
    SAYS("en", "minus 40 2", tdm_say_number, -42);
    SAYS("en", "9 hundred 90 9 billion 9 hundred 90 9 million 9 hundred 90 9 thousand 9 hundred 90 9",
         tdm_say_number, 999999999999);
    SAYS("en_GB", "1 hundred vm-and 1", tdm_say_number, 101);
    SAYS("en_GB", "2 thousand vm-and 5", tdm_say_number, 2005);
    SAYS("en_GB", "1 thousand", tdm_say_number, 1000);
    REFUSES(tdm_say_number, 1000000000000);
    REFUSES(tdm_say_number, INT64_MIN);
}

Test(say, ordinals)
{
    SAYS("en", "h-1", tdm_say_ordinal, 1);
    SAYS("en", "h-12", tdm_say_ordinal, 12);
    SAYS("en", "h-20", tdm_say_ordinal, 20);
    SAYS("en", "20 h-1", tdm_say_ordinal, 21);
    SAYS("en", "1 h-hundred", tdm_say_ordinal, 100);
    SAYS("en", "1 hundred h-11", tdm_say_ordinal, 111);
    SAYS("en", "3 thousand 4 hundred 50 h-6", tdm_say_ordinal, 3456);
    SAYS("en", "20 h-thousand", tdm_say_ordinal, 20000);
    REFUSES(tdm_say_ordinal, 0);
    REFUSES(tdm_say_ordinal, 1000000);
}

Test(say, digits_and_letters)
{
    SAYS("en", "0 1 pound star minus 9", tdm_say_digits, "0 1#*-9");
    SAYS("en", "letters/a letters/z 7 letters/dot letters/at", tdm_say_letters, "aZ7.@");
    SAYS("en_GB", "letters/zed letters/space letters/a", tdm_say_letters, "z A");
    SAYS("en", "phonetic/t_p 4 letters/dash phonetic/z_p", tdm_say_phonetic, "T4-z");
    SAYS("en", "", tdm_say_digits, "");
    REFUSES(tdm_say_digits, "12a");
    REFUSES(tdm_say_letters, "\xc3\xa9");
    REFUSES(tdm_say_letters, NULL);
}

Test(say, dates)
{
    SAYS("en", "day-1 mon-0 h-5 20 20 6", tdm_say_date, 2026, 1, 5);
    SAYS("en_GB", "day-1 h-5 mon-0 20 20 6", tdm_say_date, 2026, 1, 5);
    SAYS("en", "day-4 mon-1 20 h-9 20 20 4", tdm_say_date, 2024, 2, 29);
    SAYS("en", "day-6 mon-0 h-1 2 thousand", tdm_say_date, 2000, 1, 1);
    SAYS("en", "day-1 mon-0 h-1 19 hundred", tdm_say_date, 1900, 1, 1);
    SAYS("en", "day-0 mon-0 h-1 19 oh 5", tdm_say_date, 1905, 1, 1);
    REFUSES(tdm_say_date, 2026, 2, 29);
    REFUSES(tdm_say_date, 2026, 13, 1);
    REFUSES(tdm_say_date, 999, 1, 1);
}

/* libc knows the days too. */
Test(say, the_day_of_the_week_of_every_day_of_two_centuries)
{
    struct tm day = { .tm_year = 0, .tm_mon = 0, .tm_mday = 1, .tm_hour = 12 };

    for (int i = 0; i < 73000; i++) {
        char expected[16];
        struct tm then = day;

        then.tm_mday += i;
        timegm(&then);
        tdm_say s = tdm_say_in("en");
        tdm_say_date(&s, then.tm_year + 1900, then.tm_mon + 1, then.tm_mday);
        snprintf(expected, sizeof expected, "day-%d ", then.tm_wday);
        cr_assert(eq(int, strncmp(said(&s), expected, strlen(expected)), 0), "%d-%d-%d: %s",
                  then.tm_year + 1900, then.tm_mon + 1, then.tm_mday, said(&s));
    }
}

Test(say, times)
{
    SAYS("en", "12 oclock a-m", tdm_say_time, 0, 0);
    SAYS("en", "12 30 p-m", tdm_say_time, 12, 30);
    SAYS("en", "5 oh 7 p-m", tdm_say_time, 17, 7);
    SAYS("en", "11 50 9 p-m", tdm_say_time, 23, 59);
    REFUSES(tdm_say_time, 24, 0);
    REFUSES(tdm_say_time, 0, 60);
}

Test(say, money)
{
    SAYS("en", "19 dollars vm-and 90 9", tdm_say_money, 1999, "USD");
    SAYS("en", "5 dollars", tdm_say_money, 500, "USD");
    SAYS("en", "minus 0 dollars vm-and 5", tdm_say_money, -5, "USD");
    SAYS("en", "minus 2 dollars vm-and 50", tdm_say_money, -250, "USD");
    SAYS("en", "3 letters/e letters/u letters/r vm-and 1", tdm_say_money, 301, "EUR");
    REFUSES(tdm_say_money, 1, "usd");
    REFUSES(tdm_say_money, 1, NULL);
}

Test(say, a_saying_that_does_not_fit_is_left_out_whole)
{
    tdm_say s = tdm_say_in("en");

    for (int i = 0; i < TDM_SAY_MAX - 2; i++)
        tdm_say_media(&s, "sound:beep");
    tdm_say_number(&s, 1234);
    cr_assert(eq(int, s.err, TDM_ETOOBIG));
    cr_assert(eq(sz, s.pieces, TDM_SAY_MAX - 2));
    cr_assert(eq(ptr, (void *)s.media[TDM_SAY_MAX - 2], NULL));
    tdm_say_number(&s, 1);
    cr_assert(eq(sz, s.pieces, TDM_SAY_MAX - 2), "and nothing after it, which would be out of place");
}

Test(say, a_language_is_found_by_the_beginning_of_its_name)
{
    SAYS("en_AU", "1 hundred 1", tdm_say_number, 101);
    SAYS("en_GB_x", "1 hundred vm-and 1", tdm_say_number, 101);
    SAYS("fr", "1 hundred 1", tdm_say_number, 101);
    SAYS(NULL, "1 hundred 1", tdm_say_number, 101);
}
