/* http_head.c - collects the headers we care about while http_parser walks over them.
 *
 * Names and values may come in pieces. Values wanted go one behind the other into one buffer, which is kept
 * from message to message, so that a connection in use does not allocate for headers. */
#include "io/http_head.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "io/digest.h"

static const char *const names[FIELD_COUNT] = {
    [FIELD_AUTHORIZATION] = "authorization",
    [FIELD_CONTENT_TYPE] = "content-type",
    [FIELD_EXPECT] = "expect",
    [FIELD_UPGRADE] = "upgrade",
    [FIELD_WS_KEY] = "sec-websocket-key",
    [FIELD_WS_VERSION] = "sec-websocket-version",
    [FIELD_WS_PROTOCOL] = "sec-websocket-protocol",
    [FIELD_WS_ACCEPT] = "sec-websocket-accept",
};

void http_head_init(struct http_head *h, struct tdm_env *env, enum http_parser_type type, size_t max)
{
    memset(h, 0, sizeof *h);
    h->env = env;
    h->max = max;
    h->field = FIELD_NONE;
    http_parser_init(&h->parser, type);
    h->parser.data = h;
}

void http_head_reset(struct http_head *h)
{
    memset(h->at, 0, sizeof h->at);
    h->text.used = 0;
    h->bytes = h->name_bytes = 0;
    h->field = FIELD_NONE;
    h->in_value = false;
    h->err = TDM_OK;
}

void http_head_free(struct http_head *h)
{
    bytes_free(h->env, &h->text);
}

const char *http_head_get(const struct http_head *h, enum http_field field)
{
    return h->at[field] != 0 ? h->text.data + h->at[field] - 1 : "";
}

static int stop(struct http_head *h, int err)
{
    h->err = err;
    return -1;
}

/* Append to the value of `field`. The closing NUL is moved along as pieces come. */
static int add_value(struct http_head *h, enum http_field field, const char *p, size_t n)
{
    bool fresh = h->at[field] == 0;

    if (bytes_reserve(h->env, &h->text, n + 1) != TDM_OK)
        return stop(h, TDM_ENOMEM);
    if (fresh)
        h->at[field] = h->text.used + 1;
    else
        h->text.used--; /* the NUL of the piece before */
    memcpy(h->text.data + h->text.used, p, n);
    h->text.used += n;
    h->text.data[h->text.used++] = '\0';
    return 0;
}

static int count(struct http_head *h, size_t n)
{
    h->bytes += n;
    return h->bytes > h->max ? stop(h, TDM_ETOOBIG) : 0;
}

int http_head_on_url(struct http_parser *p, const char *at, size_t n)
{
    struct http_head *h = p->data;

    return count(h, n) != 0 ? -1 : add_value(h, FIELD_URL, at, n);
}

int http_head_on_field(struct http_parser *p, const char *at, size_t n)
{
    struct http_head *h = p->data;

    if (h->in_value || h->name_bytes == 0) {
        h->in_value = false;
        h->name_bytes = 0;
        if (count(h, 4) != 0) /* ": " and the line's end */
            return -1;
    }
    if (n <= sizeof h->name - h->name_bytes)
        memcpy(h->name + h->name_bytes, at, n);
    h->name_bytes += n < sizeof h->name ? n : sizeof h->name;
    if (h->name_bytes > sizeof h->name)
        h->name_bytes = sizeof h->name; /* too long for any of ours */
    return count(h, n);
}

/* A value begins: is it one of ours? A header that comes twice counts once, except the list of protocols. */
static enum http_field begin_value(struct http_head *h)
{
    for (enum http_field f = FIELD_AUTHORIZATION; f < FIELD_COUNT; f++) {
        if (strlen(names[f]) != h->name_bytes || strncasecmp(names[f], h->name, h->name_bytes) != 0)
            continue;
        if (h->at[f] == 0)
            return f;
        if (f == FIELD_WS_PROTOCOL && h->at[f] - 1 + strlen(http_head_get(h, f)) + 1 == h->text.used)
            return add_value(h, f, ", ", 2) == 0 ? f : FIELD_NONE;
        return FIELD_NONE;
    }
    return FIELD_NONE;
}

int http_head_on_value(struct http_parser *p, const char *at, size_t n)
{
    struct http_head *h = p->data;

    if (!h->in_value) {
        h->in_value = true;
        h->field = begin_value(h);
    }
    if (count(h, n) != 0)
        return -1;
    return h->field == FIELD_NONE ? 0 : add_value(h, h->field, at, n);
}

bool http_list_has(const char *list, const char *want)
{
    size_t n = strlen(want);

    while (*list != '\0') {
        size_t word;
        list += strspn(list, " \t,");
        word = strcspn(list, " \t,");
        if (word == n && strncasecmp(list, want, n) == 0)
            return true;
        list += word;
    }
    return false;
}

int http_basic_header(char *buf, size_t bytes, const char *user, const char *password)
{
    char plain[256], coded[BASE64_ROOM(sizeof plain)];
    int n;

    buf[0] = '\0';
    if (user == NULL)
        return TDM_OK;
    n = snprintf(plain, sizeof plain, "%s:%s", user, password != NULL ? password : "");
    if (n < 0 || (size_t)n >= sizeof plain)
        return TDM_ETOOBIG;
    digest_base64(plain, (size_t)n, coded);
    explicit_bzero(plain, sizeof plain);
    n = snprintf(buf, bytes, "Authorization: Basic %s\r\n", coded);
    explicit_bzero(coded, sizeof coded);
    return (size_t)n < bytes ? TDM_OK : TDM_ETOOBIG;
}
