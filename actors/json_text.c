/* json_text.c - single values out of a JSON text that is known to be valid.
 *
 * Idea: an actor asks an event for two or three fields, so the text is walked anew for each
 *       instead of building a tree of two hundred nodes. Values on the way are stepped over without
 *       being looked at: strings sixteen bytes at a time, containers sixty-four, by counting the
 *       brackets that are not in strings.
 * Like the tree, the walk lets the last of several members with one name win; so it always goes
 * through a whole object, never stops at the first match. */
#include "json_text.h"
#include "json_skip.h"
#include "tandem/err.h"

/* ---- escapes --------------------------------------------------------------------------------- */

/* Unsigned, so that even what is not a digit does no harm. */
static uint32_t hex4(const char *p)
{
    uint32_t value = 0;

    for (int i = 0; i < 4; i++)
        value = value << 4 | (uint32_t)json_skip_hex(p[i]);
    return value;
}

static size_t put_utf8(char *out, uint32_t c)
{
    const int extra = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char first[] = { 0x00, 0xC0, 0xE0, 0xF0 };

    out[0] = (char)(first[extra] | c >> (6 * extra));
    for (int i = 1; i <= extra; i++)
        out[i] = (char)(0x80 | (c >> (6 * (extra - i)) & 0x3F));
    return (size_t)extra + 1;
}

/* One escape at `*p` to at most four bytes; `*p` goes behind it. 0: cut off. */
static size_t put_escape(char *out, const char **p, const char *end)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *at = *p;

    if (end - at < 2)
        return 0;
    if (at[1] != 'u') {
        const char *known = memchr(from, at[1], sizeof from - 1);

        out[0] = known != NULL ? to[known - from] : at[1];
        *p = at + 2;
        return 1;
    }
    if (end - at < 6)
        return 0;
    uint32_t c = hex4(at + 2);

    *p = at + 6;
    if (c >= 0xD800 && c <= 0xDBFF && end - at >= 12) {
        c = 0x10000 + ((c - 0xD800) << 10) + (hex4(at + 8) - 0xDC00);
        *p = at + 12;
    }
    return put_utf8(out, c);
}

/* Does the key say `name`? Its escapes are undone on the way, so it may have any length. */
static bool is_name(const struct json_slice *key, const char *name, size_t bytes)
{
    const char *p = key->at, *end = p + key->bytes, *name_end = name + bytes;

    if (!key->escaped)
        return key->bytes == bytes && memcmp(p, name, bytes) == 0;
    while (p < end) {
        char decoded[4] = { *p };
        const size_t length = *p == '\\' ? put_escape(decoded, &p, end) : (p++, 1);

        if (length == 0 || (size_t)(name_end - name) < length || memcmp(decoded, name, length) != 0)
            return false;
        name += length;
    }
    return name == name_end;
}

/* ---- the walk -------------------------------------------------------------------------------- */

/* NUL counts as blank: a valid text may have one behind a number or a word (see json_scan.c). */
static const char *skip_blank(const char *p, const char *end)
{
    while (p < end && (json_skip_is_blank(*p) || *p == '\0'))
        p++;
    return p;
}

/* `p` behind the opening quote; returns the closing one. */
static const char *skip_string(const char *p, const char *end, bool *escaped)
{
    bool slash = false;

    for (p = json_skip_plain(p, end); p < end && *p != '"'; p = json_skip_plain(p, end)) {
        slash |= *p == '\\';
        p += *p == '\\' && end - p > 1 ? 2 : 1;
    }
    *escaped = slash;
    return p;
}

/* Of 64 bytes, those behind a backslash that is not itself behind one. `carry`: the first byte of
 * the block, and then of the next one, is such a byte. */
static uint64_t behind_slashes(uint64_t slashes, bool *carry)
{
    uint64_t behind = *carry;

    slashes &= ~behind;
    *carry = false;
    while (slashes != 0) {
        const uint64_t slash = slashes & -slashes, next = slash << 1;

        *carry = next == 0;
        behind |= next;
        slashes &= ~(slash | next);
    }
    return behind;
}

/* Each bit the exclusive or of all bits up to it: ones from an opening quote to the closing one. */
static uint64_t between(uint64_t quotes)
{
    quotes ^= quotes << 1;
    quotes ^= quotes << 2;
    quotes ^= quotes << 4;
    quotes ^= quotes << 8;
    quotes ^= quotes << 16;
    return quotes ^ quotes << 32;
}

struct container_skip {
    uint64_t in_string; /* all ones when the block begins within a string */
    bool behind_slash;
    size_t depth;
};

/* Look at 64 bytes: where the container closes, as 1..64, or 0 when it does not. */
static int skip_block(struct container_skip *s, const char *p)
{
    struct json_skip_shape shape;

    json_skip_shape(&shape, p);
    if ((shape.slashes | s->behind_slash) != 0)
        shape.quotes &= ~behind_slashes(shape.slashes, &s->behind_slash);
    const uint64_t string = between(shape.quotes) ^ s->in_string;
    const uint64_t opening = shape.opening & ~string, closing = shape.closing & ~string;

    s->in_string = (uint64_t)((int64_t)string >> 63);
    for (uint64_t both = opening | closing; both != 0; both &= both - 1) {
        s->depth += (opening & both & -both) != 0 ? 1 : (size_t)-1;
        if (s->depth == 0)
            return __builtin_ctzll(both) + 1;
    }
    return 0;
}

/* `p` at an opening bracket; returns the place behind the closing one. */
static const char *skip_container(const char *p, const char *end)
{
    struct container_skip s = { .depth = 1 };
    char tail[JSON_SKIP_BLOCK];

    for (p++; end - p >= JSON_SKIP_BLOCK; p += JSON_SKIP_BLOCK) {
        const int closed = skip_block(&s, p);

        if (closed != 0)
            return p + closed;
    }
    memset(tail, ' ', sizeof tail);
    memcpy(tail, p, (size_t)(end - p));
    const int closed = skip_block(&s, tail);

    return closed != 0 ? p + closed : end;
}

/* A number or a word; fills the kind. */
static const char *skip_scalar(const char *p, const char *end, struct json_slice *ret)
{
    ret->kind = *p == 't'   ? JSON_SCAN_TRUE
                : *p == 'f' ? JSON_SCAN_FALSE
                : *p == 'n' ? JSON_SCAN_NULL
                            : JSON_SCAN_INTEGER;
    for (; p < end && *p != ',' && *p != '}' && *p != ']' && *p != '\0' && !json_skip_is_blank(*p); p++)
        if (ret->kind == JSON_SCAN_INTEGER && (*p == '.' || *p == 'e' || *p == 'E'))
            ret->kind = JSON_SCAN_REAL;
    return p;
}

/* The value that starts at `p` (before `end`); returns the place behind it. */
static const char *read_value(const char *p, const char *end, struct json_slice *ret)
{
    const char *behind;

    ret->at = p;
    ret->escaped = false;
    if (*p == '"') {
        ret->kind = JSON_SCAN_STRING;
        ret->at = p + 1;
        p = skip_string(ret->at, end, &ret->escaped);
        ret->bytes = (uint32_t)(p - ret->at);
        return p < end ? p + 1 : end;
    }
    if (*p == '{' || *p == '[') {
        ret->kind = *p == '{' ? JSON_SCAN_OBJECT : JSON_SCAN_ARRAY;
        behind = skip_container(p, end);
    } else {
        behind = skip_scalar(p, end, ret);
    }
    ret->bytes = (uint32_t)(behind - p);
    return behind;
}

/* Over blanks and one `mark` that is not the value itself. */
static const char *skip_mark(const char *p, const char *end, char mark)
{
    p = skip_blank(p, end);
    return p < end && *p == mark ? skip_blank(p + 1, end) : p;
}

static bool find_member(const struct json_slice *object, const char *name, size_t bytes,
                        struct json_slice *ret)
{
    const char *end = object->at + object->bytes;
    const char *p = skip_blank(object->at + 1, end);
    struct json_slice key, value;
    bool found = false;

    while (p < end && *p == '"') {
        p = read_value(p, end, &key);
        p = skip_mark(p, end, ':');
        if (p == end)
            break;
        p = read_value(p, end, &value);
        if (is_name(&key, name, bytes)) {
            *ret = value;
            found = true;
        }
        p = skip_mark(p, end, ',');
    }
    return found;
}

static bool find_element(const struct json_slice *array, const char *name, size_t bytes,
                         struct json_slice *ret)
{
    const char *end = array->at + array->bytes;
    const char *p = skip_blank(array->at + 1, end);
    size_t index = 0;

    if (bytes == 0 || bytes > 9 || (bytes > 1 && name[0] == '0'))
        return false;
    for (size_t i = 0; i < bytes; i++) {
        if (!json_skip_is_digit(name[i]))
            return false;
        index = index * 10 + (size_t)(name[i] - '0');
    }
    while (p < end && *p != ']') {
        p = read_value(p, end, ret);
        if (index-- == 0)
            return true;
        p = skip_mark(p, end, ',');
    }
    return false;
}

int json_text_count(const struct json_slice *slice)
{
    const char *end = slice->at + slice->bytes;
    struct json_slice value;
    int count = 0;

    if (slice->kind != JSON_SCAN_OBJECT && slice->kind != JSON_SCAN_ARRAY)
        return -1;
    for (const char *p = skip_blank(slice->at + 1, end); p < end && *p != ']' && *p != '}'; count++) {
        p = read_value(p, end, &value);
        if (slice->kind == JSON_SCAN_OBJECT) {
            p = skip_mark(p, end, ':');
            if (p < end)
                p = read_value(p, end, &value);
        }
        p = skip_mark(p, end, ',');
    }
    return count;
}

static bool find_in(const struct json_slice *container, const char *name, size_t bytes,
                    struct json_slice *ret)
{
    if (container->kind == JSON_SCAN_OBJECT)
        return find_member(container, name, bytes, ret);
    return container->kind == JSON_SCAN_ARRAY && find_element(container, name, bytes, ret);
}

bool json_text_find(const char *text, size_t bytes, const char *path, struct json_slice *ret)
{
    const char *end = text + bytes, *p = skip_blank(text, end);
    struct json_slice here, next;

    if (p == end)
        return false;
    if (*path == '\0') {
        read_value(p, end, ret);
        return true;
    }
    /* The outermost value ends where the text does; there is no need to look for its bracket. */
    here = (struct json_slice){ .at = p,
                                .bytes = (uint32_t)(end - p),
                                .kind = *p == '{' ? JSON_SCAN_OBJECT : JSON_SCAN_ARRAY };
    for (bool more = true; more;) {
        const size_t length = strcspn(path, ".");

        if (!find_in(&here, path, length, &next))
            return false;
        here = next;
        more = path[length] == '.';
        path += length + 1;
    }
    *ret = here;
    return true;
}

/* ---- values ---------------------------------------------------------------------------------- */

ptrdiff_t json_text_unescape(char *out, size_t room, const char *at, size_t bytes)
{
    const char *p = at, *end = at + bytes;
    size_t used = 0;

    while (p < end) {
        const char *slash = memchr(p, '\\', (size_t)(end - p));
        const char *stop = slash != NULL ? slash : end;
        char decoded[4];

        if ((size_t)(stop - p) > room - used)
            return TDM_ETOOBIG;
        memcpy(out + used, p, (size_t)(stop - p));
        used += (size_t)(stop - p);
        p = stop;
        if (p == end)
            break;
        const size_t length = put_escape(decoded, &p, end);

        if (length == 0 || length > room - used)
            return TDM_ETOOBIG;
        memcpy(out + used, decoded, length);
        used += length;
    }
    return (ptrdiff_t)used;
}

int64_t json_text_int(const struct json_slice *slice)
{
    const char *p = slice->at, *end = p + slice->bytes;
    const bool negative = p < end && *p == '-';
    uint64_t value = 0; /* unsigned: the least integer has no positive twin */

    for (p += negative; p < end && json_skip_is_digit(*p); p++)
        value = value * 10 + (uint64_t)(*p - '0');
    return (int64_t)(negative ? 0 - value : value);
}
