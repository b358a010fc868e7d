/* say_en.c - English, in the sound files of Asterisk's core set (1.6). Pure functions. */
#include "say.h"

#include <string.h>

#define S(name) "sound:" name

static const char *const below_twenty[] = { S("digits/0"),  S("digits/1"),  S("digits/2"),  S("digits/3"),
                                            S("digits/4"),  S("digits/5"),  S("digits/6"),  S("digits/7"),
                                            S("digits/8"),  S("digits/9"),  S("digits/10"), S("digits/11"),
                                            S("digits/12"), S("digits/13"), S("digits/14"), S("digits/15"),
                                            S("digits/16"), S("digits/17"), S("digits/18"), S("digits/19") };
static const char *const tens[] = { NULL,           NULL,           S("digits/20"), S("digits/30"),
                                    S("digits/40"), S("digits/50"), S("digits/60"), S("digits/70"),
                                    S("digits/80"), S("digits/90") };
static const char *const h_below_twenty[] = { NULL,
                                              S("digits/h-1"),
                                              S("digits/h-2"),
                                              S("digits/h-3"),
                                              S("digits/h-4"),
                                              S("digits/h-5"),
                                              S("digits/h-6"),
                                              S("digits/h-7"),
                                              S("digits/h-8"),
                                              S("digits/h-9"),
                                              S("digits/h-10"),
                                              S("digits/h-11"),
                                              S("digits/h-12"),
                                              S("digits/h-13"),
                                              S("digits/h-14"),
                                              S("digits/h-15"),
                                              S("digits/h-16"),
                                              S("digits/h-17"),
                                              S("digits/h-18"),
                                              S("digits/h-19") };
static const char *const h_tens[] = { NULL,
                                      NULL,
                                      S("digits/h-20"),
                                      S("digits/h-30"),
                                      S("digits/h-40"),
                                      S("digits/h-50"),
                                      S("digits/h-60"),
                                      S("digits/h-70"),
                                      S("digits/h-80"),
                                      S("digits/h-90") };
static const char *const months[] = { S("digits/mon-0"), S("digits/mon-1"),  S("digits/mon-2"),
                                      S("digits/mon-3"), S("digits/mon-4"),  S("digits/mon-5"),
                                      S("digits/mon-6"), S("digits/mon-7"),  S("digits/mon-8"),
                                      S("digits/mon-9"), S("digits/mon-10"), S("digits/mon-11") };
static const char *const days[] = { S("digits/day-0"), S("digits/day-1"), S("digits/day-2"),
                                    S("digits/day-3"), S("digits/day-4"), S("digits/day-5"),
                                    S("digits/day-6") };

static bool british(const tdm_say *s)
{
    return s->language == &say_en_gb;
}

/* ---- numbers ------------------------------------------------------------------------------------- */

static void below_hundred(tdm_say *s, uint32_t n)
{
    if (n < 20) {
        tdm_say_media(s, below_twenty[n]);
        return;
    }
    tdm_say_media(s, tens[n / 10]);
    if (n % 10 > 0)
        tdm_say_media(s, below_twenty[n % 10]);
}

/* 1 to 999. */
static void below_thousand(tdm_say *s, uint32_t n)
{
    if (n >= 100) {
        tdm_say_media(s, below_twenty[n / 100]);
        tdm_say_media(s, S("digits/hundred"));
    }
    if (n >= 100 && n % 100 > 0 && british(s))
        tdm_say_media(s, S("vm-and"));
    if (n % 100 > 0)
        below_hundred(s, n % 100);
}

static void group(tdm_say *s, uint32_t n, const char *name)
{
    if (n == 0)
        return;
    below_thousand(s, n);
    tdm_say_media(s, name);
}

static void number(tdm_say *s, int64_t signed_n)
{
    const uint64_t n = signed_n < 0 ? (uint64_t)-signed_n : (uint64_t)signed_n;

    if (signed_n < 0)
        tdm_say_media(s, S("digits/minus"));
    if (n == 0) {
        tdm_say_media(s, below_twenty[0]);
        return;
    }
    group(s, (uint32_t)(n / 1000000000), S("digits/billion"));
    group(s, (uint32_t)(n / 1000000 % 1000), S("digits/million"));
    group(s, (uint32_t)(n / 1000 % 1000), S("digits/thousand"));
    if (british(s) && n > 1000 && n % 1000 > 0 && n % 1000 < 100)
        tdm_say_media(s, S("vm-and"));
    if (n % 1000 > 0)
        below_thousand(s, (uint32_t)(n % 1000));
}

/* Only the last word of a number is an ordinal. */
static void ordinal(tdm_say *s, uint32_t n)
{
    if (n >= 1000 && n % 1000 == 0) {
        below_thousand(s, n / 1000);
        tdm_say_media(s, S("digits/h-thousand"));
        return;
    }
    group(s, n / 1000, S("digits/thousand"));
    n %= 1000;
    if (n >= 100) {
        tdm_say_media(s, below_twenty[n / 100]);
        tdm_say_media(s, n % 100 == 0 ? S("digits/h-hundred") : S("digits/hundred"));
        n %= 100;
    }
    if (n >= 20) {
        tdm_say_media(s, n % 10 == 0 ? h_tens[n / 10] : tens[n / 10]);
        n %= 10;
    }
    if (n > 0)
        tdm_say_media(s, h_below_twenty[n]);
}

/* ---- date, time, money --------------------------------------------------------------------------- */

/* 1905 nineteen oh five, 1900 nineteen hundred, 2000 two thousand, 2005 two thousand five, 2026 twenty twenty six. */
static void year(tdm_say *s, uint32_t y)
{
    if (y / 10 % 100 == 0) {
        number(s, y);
        return;
    }
    below_hundred(s, y / 100);
    if (y % 100 == 0)
        tdm_say_media(s, S("digits/hundred"));
    else if (y % 100 < 10)
        tdm_say_media(s, S("digits/oh"));
    if (y % 100 > 0)
        below_hundred(s, y % 100);
}

static void date(tdm_say *s, int y, int month, int day, int weekday)
{
    tdm_say_media(s, days[weekday]);
    if (british(s))
        ordinal(s, (uint32_t)day);
    tdm_say_media(s, months[month - 1]);
    if (!british(s))
        ordinal(s, (uint32_t)day);
    year(s, (uint32_t)y);
}

static void time_of_day(tdm_say *s, int hour, int minute)
{
    const int twelve = hour % 12 == 0 ? 12 : hour % 12;

    below_hundred(s, (uint32_t)twelve);
    if (minute == 0)
        tdm_say_media(s, S("digits/oclock"));
    else if (minute < 10)
        tdm_say_media(s, S("digits/oh"));
    if (minute > 0)
        below_hundred(s, (uint32_t)minute);
    tdm_say_media(s, hour < 12 ? S("digits/a-m") : S("digits/p-m"));
}

static void money(tdm_say *s, int64_t hundredths, const char *currency)
{
    const int64_t rest = (hundredths < 0 ? -hundredths : hundredths) % 100;

    if (hundredths < 0 && hundredths > -100)
        tdm_say_media(s, S("digits/minus"));
    number(s, hundredths / 100);
    if (strcmp(currency, "USD") == 0)
        tdm_say_media(s, S("digits/dollars"));
    else
        tdm_say_letters(s, currency);
    if (rest == 0)
        return;
    tdm_say_media(s, S("vm-and"));
    below_hundred(s, (uint32_t)rest);
}

const struct tdm_say_language say_en = { .name = "en",
                                         .z = S("letters/z"),
                                         .number = number,
                                         .ordinal = ordinal,
                                         .date = date,
                                         .time = time_of_day,
                                         .money = money };
const struct tdm_say_language say_en_gb = { .name = "en_GB",
                                            .z = S("letters/zed"),
                                            .number = number,
                                            .ordinal = ordinal,
                                            .date = date,
                                            .time = time_of_day,
                                            .money = money };
