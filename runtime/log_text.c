/* log_text.c - text into a buffer: escaped as logfmt or JSON wants it, without secrets.
 *
 * Invariant: whatever comes in, what is put is valid UTF-8 without control characters and shows no registered secret.
 * Touched by any thread; the only shared thing is the list of secrets, which only grows. */
#include "log_text.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tandem/err.h"
#include "tandem/log.h"

static const char hidden[] = "****";

void text_put(struct text_out *o, const char *text, size_t bytes)
{
    if ((size_t)(o->end - o->at) < bytes) {
        o->cut = true;
        o->end = o->at; /* nothing after a gap */
        return;
    }
    memcpy(o->at, text, bytes);
    o->at += bytes;
}

void text_put_str(struct text_out *o, const char *text)
{
    text_put(o, text, strlen(text));
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
size_t text_printable(const char *text, size_t bytes)
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

void text_put_escape(struct text_out *o, unsigned char c)
{
    char hex[8];

    switch (c) {
    case '\n':
        text_put(o, "\\n", 2);
        break;
    case '\r':
        text_put(o, "\\r", 2);
        break;
    case '\t':
        text_put(o, "\\t", 2);
        break;
    default:
        text_put(o, hex, (size_t)snprintf(hex, sizeof hex, "\\x%02x", c));
    }
}

/* One character of outside text; returns how many bytes of it were used. */
static size_t put_quoted_char(struct text_out *o, const char *text, size_t bytes)
{
    size_t n = text_printable(text, bytes);

    if (n == 0) {
        text_put_escape(o, (unsigned char)text[0]);
        return 1;
    }
    if (n == 1 && (text[0] == '"' || text[0] == '\\')) {
        char pair[2] = { '\\', text[0] };
        text_put(o, pair, 2);
        return 1;
    }
    text_put(o, text, n);
    return n;
}

void text_put_inside(struct text_out *o, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes && !o->cut;) {
        size_t n = secret_at(text + i, bytes - i, false);
        if (n > 0) {
            text_put_str(o, hidden);
            i += n;
        } else {
            i += put_quoted_char(o, text + i, bytes - i);
        }
    }
}

static void put_quoted(struct text_out *o, const char *text, size_t bytes)
{
    text_put(o, "\"", 1);
    text_put_inside(o, text, bytes);
    /* callers keep room for this */
    o->end += 5;
    text_put_str(o, o->cut ? "...\"" : "\"");
}

const char *tdm_log_text(char *buf, size_t buf_bytes, const char *text, size_t bytes)
{
    if (buf_bytes < 16) {
        if (buf_bytes > 0)
            buf[0] = '\0';
        return buf;
    }
    struct text_out o = { .at = buf, .end = buf + buf_bytes - 6 };

    put_quoted(&o, text, text == NULL ? 0 : bytes);
    *o.at = '\0';
    return buf;
}

/* -- words and JSON ------------------------------------------------------------------------------- */

/* A tag as it stands when it is one plain word, quoted otherwise. */
void text_put_word(struct text_out *o, const char *text)
{
    size_t bytes = strlen(text), i = 0;
    char quoted[256];

    while (i < bytes && text[i] != ' ' && text[i] != '"' && text[i] != '=' && text[i] != '\\' &&
           text_printable(text + i, bytes - i) == 1)
        i++;
    if (i == bytes && bytes > 0)
        text_put(o, text, bytes);
    else
        text_put_str(o, tdm_log_text(quoted, sizeof quoted, text, bytes));
}

/* One character inside a JSON string. Bytes that are no UTF-8 stay visible as the text \xNN. */
size_t text_put_json_char(struct text_out *o, const char *text, size_t bytes)
{
    unsigned char c = (unsigned char)text[0];
    size_t n = text_printable(text, bytes);
    char esc[8];

    if (n == 1 && (c == '"' || c == '\\'))
        text_put(o, esc, (size_t)snprintf(esc, sizeof esc, "\\%c", c));
    else if (n > 0)
        text_put(o, text, n);
    else if (c < 0x80)
        text_put(o, esc, (size_t)snprintf(esc, sizeof esc, "\\u%04x", c));
    else
        text_put(o, esc, (size_t)snprintf(esc, sizeof esc, "\\\\x%02x", c));
    return n == 0 ? 1 : n;
}

void text_put_json_inside(struct text_out *o, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes && !o->cut;)
        i += text_put_json_char(o, text + i, bytes - i);
}

void text_put_json_text(struct text_out *o, const char *text, size_t bytes)
{
    text_put(o, "\"", 1);
    text_put_json_inside(o, text, bytes);
    text_put(o, "\"", 1);
}
