/* say.c - putting sayings together: what does not depend on the language.
 *
 * Idea:  a saying is an array of pointers to names of sound files, all of them literals, so it needs no memory and can not
 *        leak. A language is a table of functions (say_en.c); this file holds the checks, and what is the same in all.
 * Pure functions. */
#include "say.h"

#include <stdio.h>
#include <string.h>

#define S(name) "sound:" name

/* ---- pieces -------------------------------------------------------------------------------------- */

static void fail(tdm_say *s, int err)
{
    if (s->err == TDM_OK)
        s->err = err;
}

void tdm_say_media(tdm_say *s, const char *media)
{
    if (media == NULL || s->pieces >= TDM_SAY_MAX) {
        fail(s, media == NULL ? TDM_EINVAL : TDM_ETOOBIG);
        return;
    }
    s->media[s->pieces++] = media;
    s->media[s->pieces] = NULL;
}

/* A saying that can not be finished keeps what was there before it: half a number would be a wrong one. */
static void whole_or_nothing(tdm_say *s, size_t before)
{
    if (s->err == TDM_OK)
        return;
    s->pieces = before;
    s->media[before] = NULL;
}

/* ---- languages ----------------------------------------------------------------------------------- */

static const struct tdm_say_language *const languages[] = { &say_en_gb, &say_en };

tdm_say tdm_say_in(const char *language)
{
    tdm_say s = { .language = &say_en };

    for (size_t i = 0; language != NULL && i < sizeof languages / sizeof languages[0]; i++)
        if (strncmp(language, languages[i]->name, strlen(languages[i]->name)) == 0) {
            s.language = languages[i];
            break;
        }
    return s;
}

static bool stopped(const tdm_say *s)
{
    return s->err != TDM_OK;
}

void tdm_say_number(tdm_say *s, int64_t n)
{
    const size_t before = s->pieces;

    if (stopped(s))
        return;
    if (n < -SAY_NUMBER_MAX || n > SAY_NUMBER_MAX)
        fail(s, TDM_EINVAL);
    else
        s->language->number(s, n);
    whole_or_nothing(s, before);
}

void tdm_say_ordinal(tdm_say *s, int64_t n)
{
    const size_t before = s->pieces;

    if (stopped(s))
        return;
    if (n < 1 || n > 999999)
        fail(s, TDM_EINVAL);
    else
        s->language->ordinal(s, (uint32_t)n);
    whole_or_nothing(s, before);
}

static const int days_in[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

static bool leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool is_date(int year, int month, int day)
{
    return year >= 1000 && year <= 9999 && month >= 1 && month <= 12 && day >= 1 &&
           day <= days_in[month - 1] + (month == 2 && leap(year) ? 1 : 0);
}

/* 0 is sunday. Source: Sakamoto's method. */
static int weekday(int year, int month, int day)
{
    static const int shift[] = { 0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4 };
    const int y = month < 3 ? year - 1 : year;

    return (y + y / 4 - y / 100 + y / 400 + shift[month - 1] + day) % 7;
}

void tdm_say_date(tdm_say *s, int year, int month, int day)
{
    const size_t before = s->pieces;

    if (stopped(s))
        return;
    if (!is_date(year, month, day))
        fail(s, TDM_EINVAL);
    else
        s->language->date(s, year, month, day, weekday(year, month, day));
    whole_or_nothing(s, before);
}

void tdm_say_time(tdm_say *s, int hour, int minute)
{
    const size_t before = s->pieces;

    if (stopped(s))
        return;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59)
        fail(s, TDM_EINVAL);
    else
        s->language->time(s, hour, minute);
    whole_or_nothing(s, before);
}

static bool is_currency(const char *c)
{
    return c != NULL && strlen(c) == 3 && strspn(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 3;
}

void tdm_say_money(tdm_say *s, int64_t hundredths, const char *currency)
{
    const size_t before = s->pieces;

    if (stopped(s))
        return;
    if (!is_currency(currency) || hundredths < -SAY_NUMBER_MAX || hundredths > SAY_NUMBER_MAX)
        fail(s, TDM_EINVAL);
    else
        s->language->money(s, hundredths, currency);
    whole_or_nothing(s, before);
}

/* ---- one by one ---------------------------------------------------------------------------------- */

static const char *const digit_names[] = { S("digits/0"), S("digits/1"), S("digits/2"), S("digits/3"),
                                           S("digits/4"), S("digits/5"), S("digits/6"), S("digits/7"),
                                           S("digits/8"), S("digits/9") };

static const char *const letter_names[] = { S("letters/a"), S("letters/b"), S("letters/c"), S("letters/d"),
                                            S("letters/e"), S("letters/f"), S("letters/g"), S("letters/h"),
                                            S("letters/i"), S("letters/j"), S("letters/k"), S("letters/l"),
                                            S("letters/m"), S("letters/n"), S("letters/o"), S("letters/p"),
                                            S("letters/q"), S("letters/r"), S("letters/s"), S("letters/t"),
                                            S("letters/u"), S("letters/v"), S("letters/w"), S("letters/x"),
                                            S("letters/y"), S("letters/z") };

static const char *const phonetic_names[] = {
    S("phonetic/a_p"), S("phonetic/b_p"), S("phonetic/c_p"), S("phonetic/d_p"), S("phonetic/e_p"),
    S("phonetic/f_p"), S("phonetic/g_p"), S("phonetic/h_p"), S("phonetic/i_p"), S("phonetic/j_p"),
    S("phonetic/k_p"), S("phonetic/l_p"), S("phonetic/m_p"), S("phonetic/n_p"), S("phonetic/o_p"),
    S("phonetic/p_p"), S("phonetic/q_p"), S("phonetic/r_p"), S("phonetic/s_p"), S("phonetic/t_p"),
    S("phonetic/u_p"), S("phonetic/v_p"), S("phonetic/w_p"), S("phonetic/x_p"), S("phonetic/y_p"),
    S("phonetic/z_p")
};

static const char *sign_name(char c)
{
    switch (c) {
    case '*':
        return S("letters/asterisk");
    case '@':
        return S("letters/at");
    case '-':
        return S("letters/dash");
    case '$':
        return S("letters/dollar");
    case '.':
        return S("letters/dot");
    case '=':
        return S("letters/equals");
    case '!':
        return S("letters/exclaimation-point"); /* as the set spells it */
    case '+':
        return S("letters/plus");
    case '/':
        return S("letters/slash");
    case ' ':
        return S("letters/space");
    case '#':
        return S("digits/pound");
    default:
        return NULL;
    }
}

/* A letter's place in the alphabet; -1: none. */
static int letter_of(char c)
{
    return c >= 'a' && c <= 'z' ? c - 'a' : c >= 'A' && c <= 'Z' ? c - 'A' : -1;
}

static const char *letter_name(const tdm_say *s, char c)
{
    const int letter = letter_of(c);

    if (letter >= 0)
        return letter == 25 ? s->language->z : letter_names[letter];
    return c >= '0' && c <= '9' ? digit_names[c - '0'] : sign_name(c);
}

static const char *phonetic_name(const tdm_say *s, char c)
{
    const int letter = letter_of(c);

    return letter >= 0 ? phonetic_names[letter] : letter_name(s, c);
}

static const char *digit_name(const tdm_say *s, char c)
{
    (void)s;
    if (c >= '0' && c <= '9')
        return digit_names[c - '0'];
    return c == '*' ? S("digits/star") : c == '#' ? S("digits/pound") : c == '-' ? S("digits/minus") : NULL;
}

static void one_by_one(tdm_say *s, const char *text, const char *(*name)(const tdm_say *s, char c),
                       bool blanks)
{
    const size_t before = s->pieces;

    if (stopped(s))
        return;
    if (text == NULL)
        fail(s, TDM_EINVAL);
    for (; !stopped(s) && *text != '\0'; text++)
        if (blanks || *text != ' ')
            tdm_say_media(s, name(s, *text));
    whole_or_nothing(s, before);
}

void tdm_say_digits(tdm_say *s, const char *digits)
{
    one_by_one(s, digits, digit_name, false);
}

void tdm_say_letters(tdm_say *s, const char *text)
{
    one_by_one(s, text, letter_name, true);
}

void tdm_say_phonetic(tdm_say *s, const char *text)
{
    one_by_one(s, text, phonetic_name, true);
}
