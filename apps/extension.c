/* extension.c - extensions and patterns, matched as Asterisk's dialplan matches them.
 *
 * Idea:      a pattern is read place by place. Each place is a set of characters, or "the rest", or the end,
 *            and has a rank: the lower, the more special. Matching asks the set, ordering compares ranks. */
#include <stdint.h>
#include <string.h>

#include "extension.h"

enum place_kind { PLACE_SET, PLACE_SOME, PLACE_ANY, PLACE_END }; /* in this order of precedence */

struct place {
    enum place_kind kind;
    unsigned count; /* characters in the set */
    unsigned first; /* the smallest of them */
    uint8_t set[32];
};

static bool in_set(const struct place *p, unsigned char c)
{
    return (p->set[c / 8] & (0x80u >> (c % 8))) != 0;
}

static void set_add(struct place *p, unsigned from, unsigned to)
{
    for (unsigned c = from; c <= to; c++) {
        if (in_set(p, (unsigned char)c))
            continue;
        p->set[c / 8] |= (uint8_t)(0x80u >> (c % 8));
        p->first = p->count == 0 || c < p->first ? c : p->first;
        p->count++;
    }
}

/* The set whose `[` has been read; returns what follows its `]`. */
static const char *read_set(const char *at, struct place *p)
{
    while (*at != '\0' && *at != ']') {
        if (at[1] == '-' && at[2] != '\0' && at[2] != ']') {
            set_add(p, (unsigned char)at[0], (unsigned char)at[2]);
            at += 3;
        } else {
            set_add(p, (unsigned char)at[0], (unsigned char)at[0]);
            at++;
        }
    }
    return *at == ']' ? at + 1 : at;
}

static const char *skip_dashes(const char *at)
{
    while (*at == '-')
        at++;
    return at;
}

/* Read the next place of a pattern (behind its `_`); returns what follows it. */
static const char *read_place(const char *at, struct place *p)
{
    *p = (struct place){ 0 };
    at = skip_dashes(at);
    switch (*at) {
    case '\0':
        p->kind = PLACE_END;
        return at;
    case '.':
        p->kind = PLACE_SOME;
        return at + 1;
    case '!':
        p->kind = PLACE_ANY;
        return at + 1;
    case 'X':
    case 'x':
        set_add(p, '0', '9');
        return at + 1;
    case 'Z':
    case 'z':
        set_add(p, '1', '9');
        return at + 1;
    case 'N':
    case 'n':
        set_add(p, '2', '9');
        return at + 1;
    case '[':
        return read_set(at + 1, p);
    default:
        set_add(p, (unsigned char)*at, (unsigned char)*at);
        return at + 1;
    }
}

/* -- is it well formed? -------------------------------------------------------------------------- */

static const char *set_fault(const char *at)
{
    const char *end = strchr(at, ']');

    if (end == NULL)
        return "has a [ without its ]";
    if (end == at)
        return "has an empty [ ]";
    for (; at < end; at++) {
        if (at[1] == '-' && at + 2 < end && at[2] < at[0])
            return "has a range that runs backwards";
    }
    return NULL;
}

static const char *pattern_fault(const char *at)
{
    const char *wrong = NULL;

    if (*skip_dashes(at) == '\0')
        return "is a _ with no pattern behind it";
    while (wrong == NULL && *at != '\0') {
        if ((*at == '.' || *at == '!') && at[1] != '\0')
            return "has something behind its . or !, which ends a pattern";
        if (*at == ']')
            return "has a ] without its [";
        if (*at == '[') {
            wrong = set_fault(at + 1);
            at += wrong == NULL ? strcspn(at, "]") : 0;
        }
        at++;
    }
    return wrong;
}

const char *extension_fault(const char *pattern)
{
    size_t n = strlen(pattern);

    if (n == 0)
        return "is empty";
    if (n > EXTENSION_BYTES_MAX)
        return "is longer than 79 bytes";
    if (strpbrk(pattern, " \t,") != NULL)
        return "has a blank or a comma in it";
    return pattern[0] == '_' ? pattern_fault(pattern + 1) : NULL;
}

/* -- matching ------------------------------------------------------------------------------------ */

/* As strcmp(), without the dashes. */
static int compare_exact(const char *a, const char *b)
{
    do {
        a = skip_dashes(a);
        b = skip_dashes(b);
        if (*a != *b)
            return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
    } while (*a++ != '\0' && *b++ != '\0');
    return 0;
}

bool extension_matches(const char *pattern, const char *exten)
{
    struct place p;

    if (pattern[0] != '_')
        return compare_exact(pattern, exten) == 0;
    for (pattern++;; exten++) {
        pattern = read_place(pattern, &p);
        exten = skip_dashes(exten);
        if (p.kind == PLACE_ANY)
            return true;
        if (p.kind == PLACE_SOME)
            return *exten != '\0';
        if (p.kind == PLACE_END || *exten == '\0')
            return p.kind == PLACE_END && *exten == '\0';
        if (!in_set(&p, (unsigned char)*exten))
            return false;
    }
}

/* -- precedence ---------------------------------------------------------------------------------- */

static int order(unsigned a, unsigned b)
{
    return (a > b) - (a < b);
}

static int compare_places(const struct place *a, const struct place *b)
{
    int cmp = order(a->kind, b->kind);

    if (cmp == 0)
        cmp = order(a->count, b->count);
    if (cmp == 0)
        cmp = order(a->first, b->first);
    return cmp == 0 ? memcmp(a->set, b->set, sizeof a->set) : cmp;
}

static int compare_patterns(const char *a, const char *b)
{
    struct place x, y;
    int cmp;

    do {
        a = read_place(a, &x);
        b = read_place(b, &y);
        cmp = compare_places(&x, &y);
    } while (cmp == 0 && x.kind != PLACE_END);
    return cmp;
}

int extension_compare(const char *a, const char *b)
{
    bool a_is_pattern = a[0] == '_', b_is_pattern = b[0] == '_';

    if (a_is_pattern != b_is_pattern)
        return a_is_pattern ? 1 : -1;
    if (a_is_pattern)
        return compare_patterns(a + 1, b + 1);
    return compare_exact(a, b);
}

int extension_best(const char *const *patterns, size_t n, const char *exten)
{
    int best = -1;

    for (size_t i = 0; i < n; i++) {
        if (!extension_matches(patterns[i], exten))
            continue;
        if (best < 0 || extension_compare(patterns[i], patterns[best]) < 0)
            best = (int)i;
    }
    return best;
}
