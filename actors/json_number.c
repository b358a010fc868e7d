/* json_number.c - JSON numbers: grammar, and whether the value fits.
 *
 * Jansson asks strtoll and strtod whether a number overflows. Both questions can be answered by
 * looking at the digits, which needs no copy, no locale and no errno:
 *   integers: more than 19 digits, or 19 that compare above those of the limit;
 *   reals:    a double overflows from 2^1024 - 2^970 on, half a step above the greatest one. That
 *             number has 309 digits and stands below.
 * A real that is too small is not an error: it is zero. */
#include "json_number.h"
#include "json_skip.h"

#include <stddef.h>

#define EXPONENT_CAP INT64_C(1000000000000) /* far beyond any digit count that fits in memory */
#define LIMIT_DIGITS 309

static const char int_max[] = "9223372036854775807";
static const char int_min[] = "9223372036854775808"; /* its absolute value */

static const char real_limit[LIMIT_DIGITS + 1] =
    "17976931348623158079372897140530341507993413271003782693617377898044496829276475"
    "09466490179775872070963302864166928879109465555478519404026306574886715058206819"
    "08902000708383676273854845817711531764475730270069855571366959622842914819860834"
    "936475292719074168444365510704342711559699508093042880177904174497792";

static const char *digits(const char *p, const char *end)
{
    while (p < end && json_skip_is_digit(*p))
        p++;
    return p;
}

static bool int_overflows(const char *p, const char *end, bool negative)
{
    const ptrdiff_t count = end - p;

    if (count != 19)
        return count > 19;
    return memcmp(p, negative ? int_min : int_max, 19) > 0;
}

static int64_t exponent_of(const char *p, const char *end)
{
    const bool negative = p < end && *p == '-';
    int64_t value = 0;

    if (p < end && (*p == '-' || *p == '+'))
        p++;
    for (; p < end && value < EXPONENT_CAP; p++)
        value = value * 10 + (*p - '0');
    return negative ? -value : value;
}

/* Compare the digits from `p` (a dot may stand among them) with those of the limit. */
static bool reaches_limit(const char *p, const char *end)
{
    int i = 0;

    for (; p < end && i < LIMIT_DIGITS; p++) {
        if (*p == '.')
            continue;
        if (*p != real_limit[i])
            return *p > real_limit[i];
        i++;
    }
    while (i < LIMIT_DIGITS && real_limit[i] == '0')
        i++;
    return i == LIMIT_DIGITS;
}

/* `p` at the first digit, `mantissa` behind the last one of the fraction, `end` behind the exponent. */
static bool real_overflows(const char *p, const char *mantissa, const char *end)
{
    const char *dot = memchr(p, '.', (size_t)(mantissa - p));
    const char *whole = dot != NULL ? dot : mantissa;
    const char *first = p;

    while (first < mantissa && (*first == '0' || *first == '.'))
        first++;
    if (first == mantissa)
        return false; /* zero, whatever the exponent */
    /* The value is 0.ddd times ten to the power of `scale`. */
    int64_t scale = mantissa < end ? exponent_of(mantissa + 1, end) : 0;

    scale += first < whole ? whole - first : whole + 1 - first;
    if (scale != LIMIT_DIGITS)
        return scale > LIMIT_DIGITS;
    return reaches_limit(first, mantissa);
}

static const char *bad(struct json_number *n, const char *at, const char *word)
{
    n->bad = at;
    return word;
}

/* Behind `p`, the dot or the letter of an exponent, there is a digit. */
static bool is_followed(const char *p, const char *end)
{
    return end - p > 1 && json_skip_is_digit(p[1]);
}

const char *json_number_scan(struct json_number *n, const char *p, const char *end)
{
    const bool negative = *p == '-';
    const char *start = negative ? p + 1 : p;

    p = digits(start, end);
    if (p == start)
        return bad(n, p, "a digit was expected");
    if (*start == '0' && p - start > 1)
        return bad(n, start + 1, "a number does not start with 0");
    n->real = p < end && (*p == '.' || *p == 'e' || *p == 'E');
    n->end = p;
    if (!n->real)
        return int_overflows(start, p, negative) ? bad(n, start, "an integer of more than 64 bits") : NULL;
    if (*p == '.') {
        if (!is_followed(p, end))
            return bad(n, p + 1, "a digit was expected");
        p = digits(p + 1, end);
    }
    const char *mantissa = p;

    if (p < end && (*p == 'e' || *p == 'E')) {
        if (end - p > 1 && (p[1] == '+' || p[1] == '-'))
            p++;
        if (!is_followed(p, end))
            return bad(n, p + 1, "a digit was expected");
        p = digits(p + 1, end);
    }
    n->end = p;
    return real_overflows(start, mantissa, p) ? bad(n, start, "a number too big for a double") : NULL;
}
