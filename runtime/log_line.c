/* log_line.c - from the parts of a record to one line of text.
 *
 * Idea:      facts are "key=value" text made by printf. logfmt copies them; JSON takes them apart again.
 * Invariant: whatever the facts hold, the result is one line, see log_text.c. */
#include "log_line.h"

#include <stdio.h>
#include <string.h>

#include "log_text.h"

/* -- time ---------------------------------------------------------------------------------------- */

/* UTC, by hand: gmtime_r() takes libc's time zone lock, on which a worker would wait.
 * Source: Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days. */
static size_t format_time(char *out, size_t bytes, uint64_t wall_ns)
{
    uint64_t s = wall_ns / 1000000000u, us = wall_ns / 1000u % 1000000u;
    uint64_t z = s / 86400u + 719468u, era = z / 146097u, doe = z % 146097u;
    uint64_t yoe = (doe - doe / 1460u + doe / 36524u - doe / 146096u) / 365u;
    uint64_t doy = doe - (365u * yoe + yoe / 4u - yoe / 100u), mp = (5u * doy + 2u) / 153u;
    unsigned day = (unsigned)(doy - (153u * mp + 2u) / 5u + 1u);
    unsigned month = (unsigned)(mp < 10u ? mp + 3u : mp - 9u);
    unsigned year = (unsigned)(yoe + era * 400u + (month <= 2u));
    unsigned sod = (unsigned)(s % 86400u);

    return (size_t)snprintf(out, bytes, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ", year, month, day, sod / 3600u,
                            sod / 60u % 60u, sod % 60u, (unsigned)us);
}

static const char *level_word(enum tdm_log_level level)
{
    static const char *const words[] = { "info", "debug", "info", "warn", "error", "off" };

    return (size_t)level < sizeof words / sizeof words[0] ? words[level] : "error";
}

/* -- logfmt -------------------------------------------------------------------------------------- */

static void put_logfmt_facts(struct text_out *o, const struct log_record *r)
{
    bool open = false;

    for (size_t i = 0; i < r->facts_bytes && !o->cut;) {
        size_t n = text_printable(r->facts + i, r->facts_bytes - i);
        if (n == 1 && r->facts[i] == '\\' && i + 1 < r->facts_bytes &&
            text_printable(r->facts + i + 1, r->facts_bytes - i - 1) == 1)
            n = 2; /* an escape: its second character is no quote */
        else if (n == 1 && r->facts[i] == '"')
            open = !open;
        if (n == 0)
            text_put_escape(o, (unsigned char)r->facts[i]);
        else
            text_put(o, r->facts + i, n);
        i += n == 0 ? 1 : n;
    }
    if (r->cut || o->cut) {
        o->end = o->at + 4; /* log_line_make() kept room */
        text_put_str(o, open ? "...\"" : "...");
    }
}

/* -- JSON ---------------------------------------------------------------------------------------- */

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undo one escape of tdm_log_text(); returns how many bytes of it were used. */
static size_t put_json_unescaped(struct text_out *o, const char *text, size_t bytes)
{
    char c = text[1];

    if (c == 'x' && bytes >= 4 && hex_value(text[2]) >= 0 && hex_value(text[3]) >= 0) {
        char byte = (char)(hex_value(text[2]) * 16 + hex_value(text[3]));
        text_put_json_char(o, &byte, 1);
        return 4;
    }
    c = c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
    if ((unsigned char)c < 0x80)
        text_put_json_char(o, &c, 1);
    return (unsigned char)c < 0x80 ? 2 : 1;
}

/* The quoted value at facts[i]; returns the index behind it. A missing end quote is forgiven. */
static size_t put_json_quoted(struct text_out *o, const struct log_record *r, size_t i)
{
    text_put(o, "\"", 1);
    for (i++; i < r->facts_bytes && r->facts[i] != '"' && !o->cut;) {
        if (r->facts[i] == '\\' && i + 1 < r->facts_bytes)
            i += put_json_unescaped(o, r->facts + i, r->facts_bytes - i);
        else
            i += text_put_json_char(o, r->facts + i, r->facts_bytes - i);
    }
    text_put(o, "\"", 1);
    return i + 1;
}

static size_t digits(const char *s, size_t bytes)
{
    size_t n = 0;

    while (n < bytes && s[n] >= '0' && s[n] <= '9')
        n++;
    return n;
}

/* Is this a number as JSON writes it? No leading zeros or plus: those are telephone numbers. */
static bool is_number(const char *s, size_t bytes)
{
    size_t i = bytes > 0 && s[0] == '-', n = digits(s + i, bytes - i);

    if (n == 0 || n > 20 || (n > 1 && s[i] == '0'))
        return false;
    i += n;
    if (i == bytes)
        return true;
    if (s[i] != '.')
        return false;
    n = digits(s + i + 1, bytes - i - 1);
    return n > 0 && i + 1 + n == bytes;
}

static size_t put_json_bare(struct text_out *o, const struct log_record *r, size_t i)
{
    const char *s = r->facts + i;
    size_t n = 0;

    while (i + n < r->facts_bytes && s[n] != ' ')
        n++;
    if (is_number(s, n) || (n == 4 && memcmp(s, "true", 4) == 0) || (n == 5 && memcmp(s, "false", 5) == 0))
        text_put(o, s, n);
    else
        text_put_json_text(o, s, n);
    return i + n;
}

/* One `key=value`; a word without "=" becomes true, as logfmt readers have it. */
static size_t put_json_fact(struct text_out *o, const struct log_record *r, size_t i)
{
    size_t key = i;

    while (i < r->facts_bytes && r->facts[i] != '=' && r->facts[i] != ' ')
        i++;
    text_put_str(o, ",");
    text_put_json_text(o, r->facts + key, i - key);
    text_put_str(o, ":");
    if (i == r->facts_bytes || r->facts[i] == ' ') {
        text_put_str(o, "true");
        return i;
    }
    i++;
    return i < r->facts_bytes && r->facts[i] == '"' ? put_json_quoted(o, r, i) : put_json_bare(o, r, i);
}

static void put_json_facts(struct text_out *o, const struct log_record *r)
{
    bool cut = r->cut;

    for (size_t i = 0; i < r->facts_bytes;) {
        char *before = o->at;
        if (r->facts[i] == ' ') {
            i++;
            continue;
        }
        i = put_json_fact(o, r, i);
        if (o->cut) { /* half a fact is no JSON: take it back */
            o->at = before;
            cut = true;
            break;
        }
    }
    o->end = o->at + 16; /* log_line_make() kept room */
    if (cut)
        text_put_str(o, ",\"cut\":true");
}

/* -- lines --------------------------------------------------------------------------------------- */

static void begin_logfmt(struct text_out *o, const struct log_record *r)
{
    char text[96];

    text_put_str(o, "time=");
    text_put(o, text, format_time(text, sizeof text, r->wall_ns));
    text_put(o, text, (size_t)snprintf(text, sizeof text, " level=%s event=", level_word(r->level)));
    text_put_word(o, r->event);
    if (r->has_actor)
        text_put(o, text, (size_t)snprintf(text, sizeof text, " pid=%llu", (unsigned long long)r->pid));
    if (r->has_actor && r->tag != NULL && r->tag[0] != '\0') {
        text_put_str(o, " tag=");
        text_put_word(o, r->tag);
    }
}

static void begin_json(struct text_out *o, const struct log_record *r)
{
    char text[96];

    text_put_str(o, "{\"time\":\"");
    text_put(o, text, format_time(text, sizeof text, r->wall_ns));
    text_put(o, text,
             (size_t)snprintf(text, sizeof text, "\",\"level\":\"%s\",\"event\":", level_word(r->level)));
    text_put_json_text(o, r->event, strlen(r->event));
    if (r->has_actor)
        text_put(o, text, (size_t)snprintf(text, sizeof text, ",\"pid\":%llu", (unsigned long long)r->pid));
    if (r->has_actor && r->tag != NULL && r->tag[0] != '\0') {
        text_put_str(o, ",\"tag\":");
        text_put_json_text(o, r->tag, strlen(r->tag));
    }
}

void log_line_begin(struct text_out *o, enum tdm_log_format format, const struct log_record *r)
{
    if (format == TDM_LOG_JSON)
        begin_json(o, r);
    else
        begin_logfmt(o, r);
}

size_t log_line_make(char *out, size_t bytes, enum tdm_log_format format, const struct log_record *r)
{
    struct text_out o = { .at = out, .end = out + bytes - 24 }; /* room for what closes a cut line */

    log_line_begin(&o, format, r);
    if (format == TDM_LOG_JSON) {
        put_json_facts(&o, r);
        text_put_str(&o, "}");
    } else {
        if (r->facts_bytes > 0)
            text_put_str(&o, " ");
        put_logfmt_facts(&o, r);
    }
    *o.at++ = '\n';
    return (size_t)(o.at - out);
}
