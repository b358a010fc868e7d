/* json_in.c - one recursive descent, run twice: first to count and check, then to fill. No state outside
 * the struct on the caller's stack; nesting is limited, so that a hostile text cannot use up the stack. */
#include "json_in.h"

#include <stdint.h>
#include <string.h>

#define DEPTH_MAX 64

struct scan {
    const char *at, *end, *text;
    struct ex_json_value *out;
    size_t count;
    int depth;
};

static bool scan_value(struct scan *s);

static void skip_blanks(struct scan *s)
{
    while (s->at < s->end && strchr(" \t\r\n", *s->at) != NULL && *s->at != '\0')
        s->at++;
}

static bool take(struct scan *s, char c)
{
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

static size_t note(struct scan *s, enum ex_json_kind kind, const char *start)
{
    if (s->out != NULL)
        s->out[s->count] = (struct ex_json_value){ .kind = kind, .start = (size_t)(start - s->text) };
    return s->count++;
}

static void note_end(struct scan *s, size_t value, const char *end)
{
    if (s->out == NULL)
        return;
    s->out[value].end = (size_t)(end - s->text);
    s->out[value].after = s->count;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool scan_escape(struct scan *s)
{
    if (s->at == s->end || strchr("\"\\/bfnrtu", *s->at) == NULL || *s->at == '\0')
        return false;
    if (*s->at++ != 'u')
        return true;
    for (int i = 0; i < 4; i++, s->at++)
        if (s->at == s->end || hex(*s->at) < 0)
            return false;
    return true;
}

static bool scan_string(struct scan *s)
{
    size_t value = note(s, EX_JSON_STRING, s->at + 1);

    if (!take(s, '"'))
        return false;
    while (s->at < s->end && *s->at != '"') {
        if ((unsigned char)*s->at < 0x20)
            return false;
        if (*s->at++ == '\\' && !scan_escape(s))
            return false;
    }
    note_end(s, value, s->at);
    return take(s, '"');
}

static bool scan_digits(struct scan *s)
{
    const char *start = s->at;

    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > start;
}

static bool scan_number(struct scan *s)
{
    take(s, '-');
    if (!take(s, '0') && !scan_digits(s))
        return false;
    if (take(s, '.') && !scan_digits(s))
        return false;
    if (!take(s, 'e') && !take(s, 'E'))
        return true;
    if (!take(s, '+'))
        take(s, '-');
    return scan_digits(s);
}

static bool scan_word(struct scan *s, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0)
        return false;
    s->at += n;
    return true;
}

static bool scan_other(struct scan *s)
{
    size_t value = note(s, EX_JSON_OTHER, s->at);
    bool good = scan_word(s, "true") || scan_word(s, "false") || scan_word(s, "null") || scan_number(s);

    note_end(s, value, s->at);
    return good;
}

static bool scan_member(struct scan *s, bool named)
{
    skip_blanks(s);
    if (!named)
        return scan_value(s);
    if (!scan_string(s))
        return false;
    skip_blanks(s);
    return take(s, ':') && scan_value(s);
}

static bool scan_container(struct scan *s, bool named)
{
    char end = named ? '}' : ']';
    size_t value = note(s, named ? EX_JSON_OBJECT : EX_JSON_ARRAY, s->at++);

    if (++s->depth > DEPTH_MAX)
        return false;
    skip_blanks(s);
    if (!take(s, end)) {
        do {
            if (!scan_member(s, named))
                return false;
            skip_blanks(s);
        } while (take(s, ','));
        if (!take(s, end))
            return false;
    }
    s->depth--;
    note_end(s, value, s->at);
    return true;
}

static bool scan_value(struct scan *s)
{
    skip_blanks(s);
    if (s->at == s->end)
        return false;
    if (*s->at == '{' || *s->at == '[')
        return scan_container(s, *s->at == '{');
    return *s->at == '"' ? scan_string(s) : scan_other(s);
}

size_t ex_json_scan(const char *text, size_t bytes, struct ex_json_value *out)
{
    struct scan s = { .at = text, .end = text + bytes, .text = text, .out = out };

    if (!scan_value(&s))
        return 0;
    skip_blanks(&s);
    return s.at == s.end ? s.count : 0;
}

size_t ex_json_member(const struct ex_json *json, size_t object, const char *name)
{
    size_t n = strlen(name);

    if (object >= json->count || json->values[object].kind != EX_JSON_OBJECT)
        return 0;
    for (size_t i = object + 1; i < json->values[object].after; i = json->values[i + 1].after) {
        const struct ex_json_value *key = &json->values[i];
        if (key->end - key->start == n && memcmp(json->text + key->start, name, n) == 0)
            return i + 1;
    }
    return 0;
}

static uint32_t decode_code(const char *s)
{
    uint32_t code = 0;

    for (int i = 0; i < 4; i++)
        code = code * 16 + (uint32_t)hex(s[i]);
    return code;
}

static size_t encode_utf8(uint32_t code, char *out)
{
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

    for (size_t i = n; i-- > 1; code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(first[n] | code);
    return n;
}

/* *at stands behind the backslash and is moved behind the escape. */
static size_t decode_escape(const char **at, const char *end, char *out)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    char c = *(*at)++;
    const char *found = strchr(from, c);

    if (c != 'u') {
        *out = found != NULL ? to[found - from] : c;
        return 1;
    }
    uint32_t code = decode_code(*at);
    *at += 4;
    if (code >= 0xd800 && code < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        uint32_t low = decode_code(*at + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            *at += 6;
        }
    }
    if (code >= 0xd800 && code < 0xe000)
        code = 0xfffd; /* half a pair stands for nothing */
    return encode_utf8(code, out);
}

size_t ex_json_decode(const struct ex_json *json, size_t value, char *out)
{
    const char *at = json->text + json->values[value].start, *end = json->text + json->values[value].end;
    size_t n = 0;

    while (at < end) {
        if (*at != '\\') {
            out[n++] = *at++;
            continue;
        }
        at++;
        n += decode_escape(&at, end, out + n);
    }
    out[n] = '\0';
    return n;
}
