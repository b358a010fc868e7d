/* json_out.c - writes JSON as the real server does: no blanks, UTF-8 as it is.
 *
 * Bytes that are no UTF-8 become '?': a client may put anything into an id by percent-encoding, and what
 * leaves here must still be JSON. */
#include "json_out.h"

#include <stdio.h>
#include <string.h>

#include <tandem/env.h>

void ex_text_init(struct ex_text *t, struct tdm_env *env)
{
    *t = (struct ex_text){ .env = env };
}

void ex_text_fini(struct ex_text *t)
{
    if (t->at != NULL)
        t->env->free(t->env, t->at, t->room);
    t->at = NULL;
    t->bytes = t->room = 0;
}

void ex_text_clear(struct ex_text *t)
{
    t->bytes = 0;
    t->failed = false;
}

static bool text_reserve(struct ex_text *t, size_t more)
{
    size_t need = t->bytes + more + 1, room = t->room == 0 ? 512 : t->room;

    if (t->failed)
        return false;
    if (need <= t->room)
        return true;
    while (room < need)
        room *= 2;
    char *at = t->env->alloc(t->env, room);
    if (at == NULL) {
        t->failed = true;
        return false;
    }
    if (t->at != NULL) {
        memcpy(at, t->at, t->bytes);
        t->env->free(t->env, t->at, t->room);
    }
    t->at = at;
    t->room = room;
    return true;
}

void ex_text_add(struct ex_text *t, const char *bytes, size_t n)
{
    if (!text_reserve(t, n))
        return;
    memcpy(t->at + t->bytes, bytes, n);
    t->bytes += n;
    t->at[t->bytes] = '\0';
}

void ex_text_puts(struct ex_text *t, const char *text)
{
    ex_text_add(t, text, strlen(text));
}

/* Length of the UTF-8 character at `s`, which ends in a NUL; 0 when it is none. */
static size_t utf8_length(const unsigned char *s)
{
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;

    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

/* Write the escape of one byte; returns its length, at most 6. */
static size_t escape(char *out, unsigned char c)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt", hex[] = "0123456789abcdef";
    const char *found = strchr(from, c);

    out[0] = '\\';
    if (found != NULL) {
        out[1] = to[found - from];
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return 6;
}

void ex_text_quoted(struct ex_text *t, const char *value)
{
    const unsigned char *s = (const unsigned char *)value;

    if (!text_reserve(t, 6 * strlen(value) + 2)) /* each byte may become an escape */
        return;
    char *out = t->at + t->bytes;
    *out++ = '"';
    while (*s != '\0') {
        bool plain = *s >= 0x20 && *s < 0x80 && *s != '"' && *s != '\\';
        size_t n = plain ? 1 : utf8_length(s);
        if (n > 1 || plain) {
            memcpy(out, s, n);
            out += n;
            s += n;
            continue;
        }
        if (n == 0)
            *out++ = '?';
        else
            out += escape(out, *s);
        s++;
    }
    *out++ = '"';
    *out = '\0';
    t->bytes = (size_t)(out - t->at);
}

static void json_name(struct ex_text *t, const char *name)
{
    char last = t->bytes == 0 ? '{' : t->at[t->bytes - 1];

    if (last != '{' && last != '[' && last != ':')
        ex_text_add(t, ",", 1);
    if (name == NULL)
        return;
    ex_text_quoted(t, name);
    ex_text_add(t, ":", 1);
}

void ex_json_open(struct ex_text *t, const char *name, char bracket)
{
    json_name(t, name);
    ex_text_add(t, &bracket, 1);
}

void ex_json_close(struct ex_text *t, char bracket)
{
    ex_text_add(t, &bracket, 1);
}

void ex_json_str(struct ex_text *t, const char *name, const char *value)
{
    json_name(t, name);
    ex_text_quoted(t, value);
}

void ex_json_int(struct ex_text *t, const char *name, int64_t value)
{
    char digits[32];

    json_name(t, name);
    snprintf(digits, sizeof digits, "%lld", (long long)value);
    ex_text_puts(t, digits);
}

void ex_json_bool(struct ex_text *t, const char *name, bool value)
{
    json_name(t, name);
    ex_text_puts(t, value ? "true" : "false");
}

void ex_json_raw(struct ex_text *t, const char *name, const char *json, size_t bytes)
{
    json_name(t, name);
    ex_text_add(t, json, bytes);
}
