/* json_scan.c - one pass over a JSON text: valid or not, and where the wanted values are.
 *
 * Idea:      a loop instead of recursion, so that depth costs one bit, not a stack frame. The
 *            names on the way to a wanted value form a small tree (struct json_plan); while the
 *            scan is inside an object that the tree knows, each name is looked up, everywhere
 *            else names are skipped like any string.
 * Invariant: `node` is the plan's node of the value that comes next, 0 when nobody asked for it;
 *            level[d].node is that of the open container at depth d, for the few depths that a
 *            path can reach.
 * Agreement: accepted exactly when Jansson 2.14 does. What it does beyond the standard is marked
 *            "Jansson:" below; tests/fuzz/fuzz_scan.c compares the two. */
#include "json_scan.h"
#include "json_number.h"
#include "json_skip.h"
#include "json_text.h"
#include "tandem/err.h"

#define NOBODY JSON_SCAN_NOBODY
#define ROOT   JSON_SCAN_ROOT

/* The last name of the longest path may be that of a container, one deeper than the names are. */
#define KNOWN_DEPTH (JSON_SCAN_LEVELS + 1)

struct level {
    const char *at;
    uint32_t index; /* of the element to come, in an array */
    uint8_t node;
};

struct scan {
    const struct json_plan *plan;
    struct json_slice *out;
    const char *text, *end;
    struct json_scan_error error;
    uint32_t depth; /* open containers */
    uint32_t node;
    bool object; /* the innermost open container is one */
    uint8_t seen[JSON_SCAN_NODES];
    struct level level[KNOWN_DEPTH + 1];
    uint64_t objects[JSON_SCAN_DEPTH / 64]; /* a bit for each open container around the innermost */
};

/* ---- wanted values --------------------------------------------------------------------------- */

static void keep(struct scan *s, uint32_t node, struct json_slice slice)
{
    const uint32_t slot = s->plan->node[node].slot;

    if (slot != 0)
        s->out[slot - 1] = slice;
}

/* A name came a second time: what the first one held is gone, with all that was below it. A
 * parent always has a lower number than its children. */
static void forget(struct scan *s, uint32_t node)
{
    bool below[JSON_SCAN_NODES] = { [NOBODY] = false };

    below[node] = true;
    for (uint32_t n = node; n < s->plan->nodes; n++) {
        const struct json_node *this = &s->plan->node[n];

        if (n != node && !below[this->parent])
            continue;
        below[n] = true;
        s->seen[n] = 0;
        if (this->slot != 0)
            s->out[this->slot - 1].kind = JSON_SCAN_ABSENT;
    }
}

/* The node of the member `name` of the innermost object. */
static uint32_t want_member(struct scan *s, const char *name, size_t bytes, bool escaped)
{
    const uint32_t parent = s->level[s->depth].node;
    char plain[JSON_SCAN_NAME];

    if (escaped) {
        const ptrdiff_t length = json_text_unescape(plain, sizeof plain, name, bytes);

        if (length < 0)
            return NOBODY;
        name = plain;
        bytes = (size_t)length;
    }
    const uint32_t node = json_scan_child(s->plan, parent, name, bytes);

    if (node == NOBODY)
        return NOBODY;
    if (s->seen[node] != 0)
        forget(s, node);
    s->seen[node] = 1;
    return node;
}

/* The node of the next element of the innermost array. */
static uint32_t want_element(struct scan *s)
{
    struct level *level = &s->level[s->depth];
    const uint32_t index = level->index++;

    for (uint32_t n = level->node + 1u; n < s->plan->nodes; n++)
        if (s->plan->node[n].parent == level->node && s->plan->node[n].index == index)
            return n;
    return NOBODY;
}

/* Does any path lead into the innermost container? */
static inline bool is_known(const struct scan *s)
{
    return s->depth <= KNOWN_DEPTH && s->level[s->depth].node != NOBODY;
}

/* ---- tokens: each takes the place where it starts and returns the place behind it, NULL when it is bad ---- */

static const char *fail(struct scan *s, const char *at, const char *word)
{
    s->error = (struct json_scan_error){ .at = (size_t)(at - s->text),
                                         .word = at == s->end ? "the text ends too soon" : word };
    return NULL;
}

static inline const char *skip_blank(const struct scan *s, const char *p)
{
    while (p < s->end && json_skip_is_blank(*p))
        p++;
    return p;
}

/* One character beyond ASCII: no overlong form, no surrogate, nothing above U+10FFFF. */
static const char *scan_utf8(struct scan *s, const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    const int bytes = u[0] < 0xC2 ? 0 : u[0] < 0xE0 ? 2 : u[0] < 0xF0 ? 3 : u[0] < 0xF5 ? 4 : 0;

    if (bytes == 0 || s->end - p < bytes)
        return fail(s, p, "not UTF-8");
    for (int i = 1; i < bytes; i++)
        if ((u[i] & 0xC0) != 0x80)
            return fail(s, p, "not UTF-8");
    if ((u[0] == 0xE0 && u[1] < 0xA0) || (u[0] == 0xED && u[1] > 0x9F) || (u[0] == 0xF0 && u[1] < 0x90) ||
        (u[0] == 0xF4 && u[1] > 0x8F))
        return fail(s, p, "not UTF-8");
    return p + bytes;
}

/* The four hex digits behind \u, or -1. */
static int32_t scan_hex(const struct scan *s, const char *p)
{
    int32_t value = 0;

    if (s->end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        const int32_t digit = json_skip_hex(p[i]);

        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static inline bool is_short_escape(char c)
{
    return c == '"' || c == '\\' || c == '/' || c == 'b' || c == 'f' || c == 'n' || c == 'r' || c == 't';
}

static const char *scan_escape(struct scan *s, const char *p)
{
    if (s->end - p >= 2 && is_short_escape(p[1]))
        return p + 2;
    const int32_t high = scan_hex(s, p);

    if (high < 0)
        return fail(s, p, "unknown escape");
    if (high == 0)
        return fail(s, p, "a NUL character is not allowed");
    if (high < 0xD800 || high > 0xDFFF)
        return p + 6;
    const int32_t low = scan_hex(s, p + 6);

    if (high > 0xDBFF || low < 0xDC00 || low > 0xDFFF)
        return fail(s, p, "half of a surrogate pair");
    return p + 12;
}

/* From behind the opening quote to the closing one. */
static inline const char *scan_string(struct scan *s, const char *p, bool *escaped)
{
    *escaped = false;
    for (;;) {
        p = json_skip_plain(p, s->end);
        if (p == s->end)
            return fail(s, p, "");
        if (*p == '"')
            return p;
        if (*p == '\\') {
            *escaped = true;
            p = scan_escape(s, p);
        } else if ((unsigned char)*p >= 0x80) {
            p = scan_utf8(s, p);
        } else {
            return fail(s, p, "control character in a string");
        }
        if (p == NULL)
            return NULL;
    }
}

/* Jansson: a NUL byte right behind a number or a word is put back where it cannot be found
 * again, and so is skipped. */
static inline const char *skip_lost_nul(const struct scan *s, const char *p)
{
    return p < s->end && *p == '\0' ? p + 1 : p;
}

static const char *scan_number(struct scan *s, const char *p)
{
    struct json_number n;
    const char *word = json_number_scan(&n, p, s->end);

    if (word != NULL)
        return fail(s, n.bad, word);
    if (s->node != NOBODY)
        keep(s, s->node,
             (struct json_slice){ .at = p,
                                  .bytes = (uint32_t)(n.end - p),
                                  .kind = n.real ? JSON_SCAN_REAL : JSON_SCAN_INTEGER });
    return skip_lost_nul(s, n.end);
}

static const char *scan_word(struct scan *s, const char *p)
{
    static const struct {
        char text[6];
        uint8_t bytes, kind;
    } words[] = { { "true", 4, JSON_SCAN_TRUE },
                  { "false", 5, JSON_SCAN_FALSE },
                  { "null", 4, JSON_SCAN_NULL } };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (s->end - p < words[i].bytes || memcmp(p, words[i].text, words[i].bytes) != 0)
            continue;
        if (s->node != NOBODY)
            keep(s, s->node, (struct json_slice){ .at = p, .bytes = words[i].bytes, .kind = words[i].kind });
        return skip_lost_nul(s, p + words[i].bytes);
    }
    return fail(s, p, "a value was expected");
}

/* ---- containers ------------------------------------------------------------------------------ */

static inline void set_object(struct scan *s, uint32_t depth, bool object)
{
    if (depth % 64 == 0)
        s->objects[depth / 64] = 0; /* what lies deeper is long closed, or was never there */
    s->objects[depth / 64] &= ~(UINT64_C(1) << (depth % 64));
    s->objects[depth / 64] |= (uint64_t)object << (depth % 64);
}

static inline const char *open_container(struct scan *s, const char *p)
{
    set_object(s, s->depth, s->object);
    s->depth++;
    s->object = *p == '{';
    if (s->depth <= KNOWN_DEPTH) {
        struct level *level = &s->level[s->depth];

        level->at = p;
        level->index = 0;
        level->node = (uint8_t)s->node;
    }
    return p + 1;
}

/* `p` is behind the closing bracket. */
static inline void close_container(struct scan *s, const char *p)
{
    if (is_known(s)) {
        const struct level *level = &s->level[s->depth];

        keep(s, level->node,
             (struct json_slice){ .at = level->at,
                                  .bytes = (uint32_t)(p - level->at),
                                  .kind = s->object ? JSON_SCAN_OBJECT : JSON_SCAN_ARRAY });
    }
    s->depth--;
    s->object = (s->objects[s->depth / 64] >> (s->depth % 64)) & 1;
}

/* A name and its colon; `p` is then at the member's value. */
static inline const char *scan_member(struct scan *s, const char *p)
{
    bool escaped;

    if (p == s->end || *p != '"')
        return fail(s, p, "a name in quotes was expected");
    const char *name = p + 1;

    p = scan_string(s, name, &escaped);
    if (p == NULL)
        return NULL;
    s->node = is_known(s) ? want_member(s, name, (size_t)(p - name), escaped) : NOBODY;
    p = skip_blank(s, p + 1);
    if (p == s->end || *p != ':')
        return fail(s, p, "a colon was expected");
    return skip_blank(s, p + 1);
}

/* A value, or the opening of one; `opened` tells which. */
static inline const char *scan_value(struct scan *s, const char *p, bool *opened)
{
    bool escaped;

    *opened = false;
    if (p == s->end || s->depth == JSON_SCAN_DEPTH)
        return fail(s, p, "nested too deep");
    if (*p == '"') {
        const char *close = scan_string(s, p + 1, &escaped);

        if (close == NULL)
            return NULL;
        if (s->node != NOBODY)
            keep(s, s->node,
                 (struct json_slice){ .at = p + 1,
                                      .bytes = (uint32_t)(close - p - 1),
                                      .kind = JSON_SCAN_STRING,
                                      .escaped = escaped });
        return close + 1;
    }
    if (*p == '{' || *p == '[') {
        *opened = true;
        return open_container(s, p);
    }
    return json_skip_is_digit(*p) || *p == '-' ? scan_number(s, p) : scan_word(s, p);
}

/* From behind a value (or an opening bracket, when `opened`) to the next value, over closing
 * brackets, commas and names. Depth 0 afterwards: that was the last value. */
static inline const char *next_value(struct scan *s, const char *p, bool opened)
{
    while (s->depth > 0) {
        p = skip_blank(s, p);
        if (p == s->end)
            return fail(s, p, "");
        if (*p == (s->object ? '}' : ']')) {
            close_container(s, ++p);
            opened = false;
            continue;
        }
        if (!opened && *p != ',')
            return fail(s, p, s->object ? "a comma or } was expected" : "a comma or ] was expected");
        if (!opened)
            p = skip_blank(s, p + 1);
        if (s->object)
            return scan_member(s, p);
        s->node = is_known(s) ? want_element(s) : NOBODY;
        return p;
    }
    return p;
}

static const char *scan_text(struct scan *s, const char *p)
{
    bool opened;

    p = skip_blank(s, p);
    if (p == s->end || (*p != '{' && *p != '['))
        return fail(s, p, "an object or an array was expected");
    do {
        p = scan_value(s, p, &opened);
        if (p != NULL)
            p = next_value(s, p, opened);
    } while (p != NULL && s->depth > 0);
    if (p == NULL)
        return NULL;
    p = skip_blank(s, p);
    return p == s->end ? p : fail(s, p, "more behind the end");
}

int json_scan(const struct json_plan *plan, const char *text, size_t bytes, struct json_slice *out,
              struct json_scan_error *error)
{
    struct scan s; /* not cleared as a whole: the bits of depths never reached are never read */

    if (bytes > UINT32_MAX)
        return TDM_ETOOBIG;
    s.plan = plan;
    s.out = out;
    s.text = text;
    s.end = text + bytes;
    s.depth = 0;
    s.node = plan != NULL ? ROOT : NOBODY;
    s.object = false;
    if (plan != NULL) {
        memset(s.seen, 0, plan->nodes);
        for (uint32_t i = 0; i < plan->paths; i++)
            out[i] = (struct json_slice){ .kind = JSON_SCAN_ABSENT };
    }
    if (scan_text(&s, text) != NULL)
        return TDM_OK;
    if (error != NULL)
        *error = s.error;
    return TDM_ESYNTAX;
}
