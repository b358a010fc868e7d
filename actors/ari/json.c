/* json.c - writing small JSON texts, and walking over an array of a valid one.
 *
 * The writer has one rule: failures are remembered, not returned, so a text is put together in a few
 * plain lines and checked once at its end. The walker exists because json_text.c finds elements by
 * their number, from the first one on, which for ten thousand channels is too often. */
#include "json.h"

#include <stdio.h>
#include <string.h>

/* ---- writing --------------------------------------------------------------------------------- */

void ari_json_init(struct ari_json *j, struct tdm_env *env)
{
    *j = (struct ari_json){ .env = env };
}

void ari_json_fini(struct ari_json *j)
{
    if (j->at != NULL)
        j->env->free(j->env, j->at, j->room);
    *j = (struct ari_json){ .env = j->env };
}

static bool make_room(struct ari_json *j, size_t more)
{
    size_t room = j->room > 0 ? j->room : 256;

    if (j->failed)
        return false;
    while (room - j->bytes <= more)
        room *= 2;
    if (room == j->room)
        return true;
    char *at = j->env->alloc(j->env, room);

    if (at == NULL) {
        j->failed = true;
        return false;
    }
    if (j->at != NULL) {
        memcpy(at, j->at, j->bytes);
        j->env->free(j->env, j->at, j->room);
    }
    j->at = at;
    j->room = room;
    return true;
}

void ari_json_raw(struct ari_json *j, const char *text, size_t bytes)
{
    if (!make_room(j, bytes))
        return;
    memcpy(j->at + j->bytes, text, bytes);
    j->bytes += bytes;
    j->at[j->bytes] = '\0';
}

void ari_json_lit(struct ari_json *j, const char *text)
{
    ari_json_raw(j, text, strlen(text));
}

static bool needs_escape(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

void ari_json_str(struct ari_json *j, const char *text, size_t bytes)
{
    const char *end = text + bytes;

    ari_json_lit(j, "\"");
    while (text < end) {
        const char *plain = text;
        char escape[8];

        while (text < end && !needs_escape((unsigned char)*text))
            text++;
        ari_json_raw(j, plain, (size_t)(text - plain));
        if (text == end)
            break;
        snprintf(escape, sizeof escape, "\\u%04x", (unsigned char)*text++);
        ari_json_lit(j, escape);
    }
    ari_json_lit(j, "\"");
}

/* ---- walking --------------------------------------------------------------------------------- */

static bool is_between(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',' || c == '\0';
}

/* `p` behind the opening quote; returns the closing one. */
static const char *string_end(const char *p, const char *end, bool *escaped)
{
    for (; p < end && *p != '"'; p++)
        if (*p == '\\') {
            *escaped = true;
            p += p + 1 < end;
        }
    return p;
}

static const char *container_end(const char *p, const char *end)
{
    size_t depth = 0;
    bool escaped;

    for (; p < end; p++) {
        if (*p == '"')
            p = string_end(p + 1, end, &escaped);
        else if (*p == '{' || *p == '[')
            depth++;
        else if ((*p == '}' || *p == ']') && --depth == 0)
            return p + 1;
        if (p == end)
            break;
    }
    return end;
}

bool ari_json_next(const char **p, const char *end, struct json_slice *ret)
{
    const char *at = *p;

    if (at < end && *at == '[')
        at++;
    while (at < end && is_between(*at))
        at++;
    if (at >= end || *at == ']')
        return false;
    *ret = (struct json_slice){ .at = at, .kind = JSON_SCAN_INTEGER };
    if (*at == '"') {
        const char *close = string_end(at + 1, end, &ret->escaped);

        ret->kind = JSON_SCAN_STRING;
        ret->at = at + 1;
        ret->bytes = (uint32_t)(close - ret->at);
        *p = close < end ? close + 1 : end;
        return true;
    }
    if (*at == '{' || *at == '[') {
        ret->kind = *at == '{' ? JSON_SCAN_OBJECT : JSON_SCAN_ARRAY;
        *p = container_end(at, end);
    } else {
        while (at < end && !is_between(*at) && *at != ']')
            at++;
        *p = at; /* a number or a word; nobody here needs to know which */
    }
    ret->bytes = (uint32_t)(*p - ret->at);
    return true;
}
