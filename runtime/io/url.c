/* url.c - percent-encoding and query strings (RFC 3986). */
#include <ctype.h>
#include <string.h>

#include "tandem/http.h"

static bool unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

size_t tdm_url_encode(char *buf, size_t buf_bytes, const void *text, size_t bytes)
{
    static const char hex[] = "0123456789ABCDEF";
    const unsigned char *p = text;
    size_t at = 0;
    bool fits = buf_bytes > 0;

    if (fits)
        buf[0] = '\0';
    for (size_t i = 0; i < bytes; i++) {
        size_t n = unreserved(p[i]) ? 1 : 3;
        fits = fits && at + n < buf_bytes;
        if (fits && n == 1)
            buf[at] = (char)p[i];
        if (fits && n == 3) {
            buf[at] = '%';
            buf[at + 1] = hex[p[i] >> 4];
            buf[at + 2] = hex[p[i] & 15];
        }
        if (fits)
            buf[at + n] = '\0';
        at += n;
    }
    return at;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int tdm_url_decode(char *text, size_t bytes)
{
    size_t to = 0;

    for (size_t i = 0; i < bytes; i++) {
        int high, low;
        if (text[i] != '%') {
            text[to++] = text[i];
            continue;
        }
        if (bytes - i < 3)
            return TDM_ESYNTAX;
        high = hex_value(text[i + 1]);
        low = hex_value(text[i + 2]);
        if (high < 0 || low < 0)
            return TDM_ESYNTAX;
        text[to++] = (char)(high << 4 | low);
        i += 2;
    }
    return (int)to;
}

static int decode_value(const char *value, size_t n, char *buf, size_t buf_bytes)
{
    int len;

    if (n >= buf_bytes)
        return TDM_ETOOBIG;
    memcpy(buf, value, n);
    for (size_t i = 0; i < n; i++)
        buf[i] = (char)(buf[i] == '+' ? ' ' : buf[i]);
    len = tdm_url_decode(buf, n);
    if (len >= 0)
        buf[len] = '\0';
    return len;
}

int tdm_url_param(const char *query, const char *name, char *buf, size_t buf_bytes)
{
    size_t name_bytes = strlen(name);

    while (*query != '\0') {
        size_t n = strcspn(query, "&");
        const char *equals = memchr(query, '=', n);
        size_t key = equals != NULL ? (size_t)(equals - query) : n;

        if (key == name_bytes && memcmp(query, name, key) == 0)
            return equals != NULL ? decode_value(equals + 1, n - key - 1, buf, buf_bytes)
                                  : decode_value("", 0, buf, buf_bytes);
        query += n;
        query += *query == '&';
    }
    return TDM_ENOTFOUND;
}
