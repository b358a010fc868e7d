/* program_address.c - addresses as they stand in the configuration: URLs of switches, places to listen.
 *
 * What is refused is described without being shown: people put passwords into URLs. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "program_config.h"

static const char *parse_port(const char *text, size_t bytes, uint16_t *ret)
{
    unsigned port = 0;

    if (bytes == 0 || bytes > 5)
        return "needs a port from 1 to 65535 behind the colon";
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return "needs a port from 1 to 65535 behind the colon";
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    if (port == 0 || port > 65535)
        return "needs a port from 1 to 65535 behind the colon";
    *ret = (uint16_t)port;
    return NULL;
}

static bool host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
}

static const char *copy_host(const char *text, size_t bytes, bool v6, char *host)
{
    if (bytes == 0)
        return "has no host name";
    if (bytes > 255)
        return "has a host name longer than 255 bytes";
    for (size_t i = 0; i < bytes; i++) {
        if (!host_char(text[i]) && !(v6 && text[i] == ':'))
            return "has a character in its host name that cannot be there";
    }
    memcpy(host, text, bytes);
    host[bytes] = '\0';
    return NULL;
}

/* host, host:port or [v6]:port; *port stays as it is when none is given. */
static const char *parse_authority(const char *text, size_t bytes, char *host, uint16_t *port)
{
    const char *close = text[0] == '[' ? memchr(text, ']', bytes) : NULL;
    const char *after = close != NULL ? close + 1 : memchr(text, ':', bytes);
    const char *wrong;

    if (memchr(text, '@', bytes) != NULL)
        return "must not hold a user or password; use the keys user and password, "
               "and change the password: it may have been seen";
    if (text[0] == '[' && close == NULL)
        return "has a [ without its ]";
    if (close != NULL)
        wrong = copy_host(text + 1, (size_t)(close - text - 1), true, host);
    else
        wrong = copy_host(text, after == NULL ? bytes : (size_t)(after - text), false, host);
    if (wrong != NULL || after == NULL || after == text + bytes)
        return wrong;
    if (*after != ':')
        return "has something between ] and the port";
    return parse_port(after + 1, (size_t)(text + bytes - after - 1), port);
}

/* "/asterisk", without the slash at its end; nothing for "/". */
static const char *parse_prefix(const char *text, char *prefix)
{
    size_t n = strlen(text);

    if (strpbrk(text, "?#") != NULL)
        return "must not have a query (?) or fragment (#)";
    while (n > 0 && text[n - 1] == '/')
        n--;
    if (n > 255)
        return "has a path longer than 255 bytes";
    for (size_t i = 0; i < n; i++) {
        if (text[i] <= ' ' || text[i] > '~')
            return "has a character in its path that cannot be there";
    }
    memcpy(prefix, text, n);
    prefix[n] = '\0';
    return NULL;
}

const char *program_url_parse(const char *url, struct program_address *ret)
{
    struct program_address a = { 0 };
    const char *wrong;

    if (strncasecmp(url, "http://", 7) == 0) {
        url += 7;
        a.port = 8088;
    } else if (strncasecmp(url, "https://", 8) == 0) {
        url += 8;
        a.port = 8089;
        a.tls = true;
    } else {
        return "must start with http:// or https://";
    }
    size_t n = strcspn(url, "/?#");
    const char *at = strrchr(url, '@'); /* a password may hold a slash */
    if (at != NULL && (size_t)(at - url) > n)
        n = strlen(url);
    wrong = parse_authority(url, n, a.host, &a.port);
    if (wrong == NULL)
        wrong = parse_prefix(url + n, a.prefix);
    if (wrong == NULL)
        *ret = a;
    return wrong;
}

const char *program_listen_parse(const char *listen, struct program_address *ret)
{
    struct program_address a = { 0 };
    const char *wrong = parse_authority(listen, strlen(listen), a.host, &a.port);

    if (wrong == NULL && a.port == 0)
        wrong = "needs a port, as in 127.0.0.1:9464";
    if (wrong == NULL)
        *ret = a;
    return wrong;
}
