/* log_line.c - from the parts of a record to one line of text.
 *
 * Idea:      facts are "key=value" text made by printf. logfmt copies them; JSON takes them apart again.
 * Invariant: whatever the facts hold, the result is one line of valid UTF-8 without control characters,
 *            and shows no registered secret.
 * Touched by any thread; the only shared thing is the list of secrets, which only grows. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tandem/err.h"
#include "log_line.h"

static const char hidden[] = "****";

/* Text with an end that is never passed. `tail` bytes are kept free for what closes the line. */
struct out {
    char *at, *end;
    bool cut;
};

static void put(struct out *o, const char *text, size_t bytes)
{
    if ((size_t)(o->end - o->at) < bytes) {
        o->cut = true;
        o->end = o->at; /* nothing after a gap */
        return;
    }
    memcpy(o->at, text, bytes);
    o->at += bytes;
}

static void put_str(struct out *o, const char *text)
{
    put(o, text, strlen(text));
}

/* -- secrets ------------------------------------------------------------------------------------- */

static struct {
    pthread_mutex_t adding;
    _Atomic size_t count; /* release after the entry is complete; partner: the acquire of every reader */
    struct {
        char *text;
        size_t bytes;
    } item[TDM_LOG_SECRETS_MAX];
} secrets = { .adding = PTHREAD_MUTEX_INITIALIZER };

static bool secret_known(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(secrets.item[i].text, text) == 0)
            return true;
    }
    return false;
}

static int secret_add(const char *text)
{
    size_t n = atomic_load_explicit(&secrets.count, memory_order_relaxed); /* we hold the lock */

    if (secret_known(text, n))
        return TDM_OK;
    if (n == TDM_LOG_SECRETS_MAX)
        return TDM_EFULL;
    secrets.item[n].text = strdup(text); /* kept for the rest of the process */
    if (secrets.item[n].text == NULL)
        return TDM_ENOMEM;
    secrets.item[n].bytes = strlen(text);
    atomic_store_explicit(&secrets.count, n + 1, memory_order_release);
    return TDM_OK;
}

int tdm_log_secret(const char *secret)
{
    if (secret == NULL || strlen(secret) < TDM_LOG_SECRET_MIN)
        return TDM_OK;
    pthread_mutex_lock(&secrets.adding);
    int err = secret_add(secret);
    pthread_mutex_unlock(&secrets.adding);
    return err;
}

/* The length of the longest secret that starts at text[0]; with `cut` also of a part of one that
 * reaches the end. 0: none. */
static size_t secret_at(const char *text, size_t bytes, bool cut)
{
    size_t n = atomic_load_explicit(&secrets.count, memory_order_acquire), found = 0;

    for (size_t i = 0; i < n; i++) {
        size_t want = secrets.item[i].bytes;
        size_t have = want <= bytes ? want : cut ? bytes : 0;
        if (have > found && memcmp(text, secrets.item[i].text, have) == 0)
            found = have;
    }
    return found;
}

size_t log_hide_secrets(char *text, size_t bytes, bool cut)
{
    size_t to = 0, from = 0;

    if (atomic_load_explicit(&secrets.count, memory_order_relaxed) == 0)
        return bytes;
    while (from < bytes) {
        size_t n = secret_at(text + from, bytes - from, cut);
        if (n == 0) {
            text[to++] = text[from++];
            continue;
        }
        /* in place: a whole secret is at least as long as the stars, a cut one takes what it has */
        size_t stars = n < sizeof hidden - 1 ? n : sizeof hidden - 1;
        memcpy(text + to, hidden, stars);
        to += stars;
        from += n;
    }
    return to;
}

/* -- escaping ------------------------------------------------------------------------------------ */

static size_t utf8_expects(unsigned char c)
{
    return c < 0x80                 ? 1
           : c >= 0xC2 && c <= 0xDF ? 2
           : c >= 0xE0 && c <= 0xEF ? 3
           : c >= 0xF0 && c <= 0xF4 ? 4
                                    : 0;
}

/* Bytes of the printable character at text[0]; 0 when the first byte has to be escaped: control
 * characters (C1 too, which some terminals obey), broken, overlong or surrogate sequences. */
static size_t printable(const char *text, size_t bytes)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t n = utf8_expects(s[0]);

    if (n == 1)
        return s[0] >= 0x20 && s[0] != 0x7F;
    if (n == 0 || n > bytes)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    }
    if ((s[0] == 0xC2 && s[1] < 0xA0) || (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) ||
        (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    return n;
}

static void put_escape(struct out *o, unsigned char c)
{
    char hex[8];

    switch (c) {
    case '\n':
        put(o, "\\n", 2);
        break;
    case '\r':
        put(o, "\\r", 2);
        break;
    case '\t':
        put(o, "\\t", 2);
        break;
    default:
        put(o, hex, (size_t)snprintf(hex, sizeof hex, "\\x%02x", c));
    }
}

/* One character of outside text; returns how many bytes of it were used. */
static size_t put_quoted_char(struct out *o, const char *text, size_t bytes)
{
    size_t n = printable(text, bytes);

    if (n == 0) {
        put_escape(o, (unsigned char)text[0]);
        return 1;
    }
    if (n == 1 && (text[0] == '"' || text[0] == '\\')) {
        char pair[2] = { '\\', text[0] };
        put(o, pair, 2);
        return 1;
    }
    put(o, text, n);
    return n;
}

static void put_quoted(struct out *o, const char *text, size_t bytes)
{
    put(o, "\"", 1);
    for (size_t i = 0; i < bytes && !o->cut;) {
        size_t n = secret_at(text + i, bytes - i, false);
        if (n > 0) {
            put_str(o, hidden);
            i += n;
        } else {
            i += put_quoted_char(o, text + i, bytes - i);
        }
    }
    /* callers keep room for this */
    o->end += 5;
    put_str(o, o->cut ? "...\"" : "\"");
}

const char *tdm_log_text(char *buf, size_t buf_bytes, const char *text, size_t bytes)
{
    if (buf_bytes < 16) {
        if (buf_bytes > 0)
            buf[0] = '\0';
        return buf;
    }
    struct out o = { .at = buf, .end = buf + buf_bytes - 6 };

    put_quoted(&o, text, text == NULL ? 0 : bytes);
    *o.at = '\0';
    return buf;
}

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

/* A tag as it stands when it is one plain word, quoted otherwise. */
static void put_word(struct out *o, const char *text)
{
    size_t bytes = strlen(text), i = 0;
    char quoted[256];

    while (i < bytes && text[i] != ' ' && text[i] != '"' && text[i] != '=' && text[i] != '\\' &&
           printable(text + i, bytes - i) == 1)
        i++;
    if (i == bytes && bytes > 0)
        put(o, text, bytes);
    else
        put_str(o, tdm_log_text(quoted, sizeof quoted, text, bytes));
}

static void put_logfmt_facts(struct out *o, const struct log_record *r)
{
    bool open = false;

    for (size_t i = 0; i < r->facts_bytes && !o->cut;) {
        size_t n = printable(r->facts + i, r->facts_bytes - i);
        if (n == 1 && r->facts[i] == '\\' && i + 1 < r->facts_bytes &&
            printable(r->facts + i + 1, r->facts_bytes - i - 1) == 1)
            n = 2; /* an escape: its second character is no quote */
        else if (n == 1 && r->facts[i] == '"')
            open = !open;
        if (n == 0)
            put_escape(o, (unsigned char)r->facts[i]);
        else
            put(o, r->facts + i, n);
        i += n == 0 ? 1 : n;
    }
    if (r->cut || o->cut) {
        o->end = o->at + 4; /* log_line_make() kept room */
        put_str(o, open ? "...\"" : "...");
    }
}

static void line_logfmt(struct out *o, const struct log_record *r)
{
    char text[96];

    put_str(o, "time=");
    put(o, text, format_time(text, sizeof text, r->wall_ns));
    put(o, text, (size_t)snprintf(text, sizeof text, " level=%s event=", level_word(r->level)));
    put_word(o, r->event);
    if (r->has_actor)
        put(o, text, (size_t)snprintf(text, sizeof text, " pid=%llu", (unsigned long long)r->pid));
    if (r->has_actor && r->tag != NULL && r->tag[0] != '\0') {
        put_str(o, " tag=");
        put_word(o, r->tag);
    }
    if (r->facts_bytes > 0)
        put_str(o, " ");
    put_logfmt_facts(o, r);
}

/* -- JSON ---------------------------------------------------------------------------------------- */

/* One character inside a JSON string. Bytes that are no UTF-8 stay visible as the text \xNN. */
static size_t put_json_char(struct out *o, const char *text, size_t bytes)
{
    unsigned char c = (unsigned char)text[0];
    size_t n = printable(text, bytes);
    char esc[8];

    if (n == 1 && (c == '"' || c == '\\'))
        put(o, esc, (size_t)snprintf(esc, sizeof esc, "\\%c", c));
    else if (n > 0)
        put(o, text, n);
    else if (c < 0x80)
        put(o, esc, (size_t)snprintf(esc, sizeof esc, "\\u%04x", c));
    else
        put(o, esc, (size_t)snprintf(esc, sizeof esc, "\\\\x%02x", c));
    return n == 0 ? 1 : n;
}

static void put_json_text(struct out *o, const char *text, size_t bytes)
{
    put(o, "\"", 1);
    for (size_t i = 0; i < bytes && !o->cut;)
        i += put_json_char(o, text + i, bytes - i);
    put(o, "\"", 1);
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undo one escape of tdm_log_text(); returns how many bytes of it were used. */
static size_t put_json_unescaped(struct out *o, const char *text, size_t bytes)
{
    char c = text[1];

    if (c == 'x' && bytes >= 4 && hex_value(text[2]) >= 0 && hex_value(text[3]) >= 0) {
        char byte = (char)(hex_value(text[2]) * 16 + hex_value(text[3]));
        put_json_char(o, &byte, 1);
        return 4;
    }
    c = c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
    if ((unsigned char)c < 0x80)
        put_json_char(o, &c, 1);
    return (unsigned char)c < 0x80 ? 2 : 1;
}

/* The quoted value at facts[i]; returns the index behind it. A missing end quote is forgiven. */
static size_t put_json_quoted(struct out *o, const struct log_record *r, size_t i)
{
    put(o, "\"", 1);
    for (i++; i < r->facts_bytes && r->facts[i] != '"' && !o->cut;) {
        if (r->facts[i] == '\\' && i + 1 < r->facts_bytes)
            i += put_json_unescaped(o, r->facts + i, r->facts_bytes - i);
        else
            i += put_json_char(o, r->facts + i, r->facts_bytes - i);
    }
    put(o, "\"", 1);
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

static size_t put_json_bare(struct out *o, const struct log_record *r, size_t i)
{
    const char *s = r->facts + i;
    size_t n = 0;

    while (i + n < r->facts_bytes && s[n] != ' ')
        n++;
    if (is_number(s, n) || (n == 4 && memcmp(s, "true", 4) == 0) || (n == 5 && memcmp(s, "false", 5) == 0))
        put(o, s, n);
    else
        put_json_text(o, s, n);
    return i + n;
}

/* One `key=value`; a word without "=" becomes true, as logfmt readers have it. */
static size_t put_json_fact(struct out *o, const struct log_record *r, size_t i)
{
    size_t key = i;

    while (i < r->facts_bytes && r->facts[i] != '=' && r->facts[i] != ' ')
        i++;
    put_str(o, ",");
    put_json_text(o, r->facts + key, i - key);
    put_str(o, ":");
    if (i == r->facts_bytes || r->facts[i] == ' ') {
        put_str(o, "true");
        return i;
    }
    i++;
    return i < r->facts_bytes && r->facts[i] == '"' ? put_json_quoted(o, r, i) : put_json_bare(o, r, i);
}

static void put_json_facts(struct out *o, const struct log_record *r)
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
        put_str(o, ",\"cut\":true");
}

static void line_json(struct out *o, const struct log_record *r)
{
    char text[96];

    put_str(o, "{\"time\":\"");
    put(o, text, format_time(text, sizeof text, r->wall_ns));
    put(o, text, (size_t)snprintf(text, sizeof text, "\",\"level\":\"%s\",\"event\":", level_word(r->level)));
    put_json_text(o, r->event, strlen(r->event));
    if (r->has_actor)
        put(o, text, (size_t)snprintf(text, sizeof text, ",\"pid\":%llu", (unsigned long long)r->pid));
    if (r->has_actor && r->tag != NULL && r->tag[0] != '\0') {
        put_str(o, ",\"tag\":");
        put_json_text(o, r->tag, strlen(r->tag));
    }
    put_json_facts(o, r);
    put_str(o, "}");
}

size_t log_line_make(char *out, size_t bytes, enum tdm_log_format format, const struct log_record *r)
{
    struct out o = { .at = out, .end = out + bytes - 24 }; /* room for what closes a cut line */

    if (format == TDM_LOG_JSON)
        line_json(&o, r);
    else
        line_logfmt(&o, r);
    *o.at++ = '\n';
    return (size_t)(o.at - out);
}
