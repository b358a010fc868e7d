/* http_head.h - the start line and the few headers we care about, picked out by http_parser's callbacks. */
#ifndef RUNTIME_IO_HTTP_HEAD_H
#define RUNTIME_IO_HTTP_HEAD_H
#include <http_parser.h>
#include <stdbool.h>

#include "io/bytes.h"

enum http_field {
    FIELD_URL,
    FIELD_AUTHORIZATION,
    FIELD_CONTENT_TYPE,
    FIELD_EXPECT,
    FIELD_UPGRADE,
    FIELD_WS_KEY,
    FIELD_WS_VERSION,
    FIELD_WS_PROTOCOL,
    FIELD_WS_ACCEPT,
    FIELD_COUNT,
    FIELD_NONE = FIELD_COUNT,
};

/* First member of whoever is parser.data. */
struct http_head {
    struct http_parser parser;
    struct tdm_env *env;
    size_t max;             /* bytes of start line and headers, at most */
    size_t bytes;           /* seen so far */
    struct bytes text;      /* the values, each ended by NUL */
    size_t at[FIELD_COUNT]; /* where each begins, plus one; 0: absent */
    char name[32];          /* of the header being read; a longer one is none of ours */
    size_t name_bytes;
    enum http_field field; /* whose value is being read */
    bool in_value;
    bool complete; /* on_headers_complete's, for owners that need it */
    void *owner;   /* likewise */
    int err;       /* TDM_ETOOBIG, TDM_ENOMEM: why a callback stopped the parser */
};

void http_head_init(struct http_head *h, struct tdm_env *env, enum http_parser_type type, size_t max);
void http_head_reset(struct http_head *h); /* for the next message on the connection */
void http_head_free(struct http_head *h);
const char *http_head_get(const struct http_head *h, enum http_field field); /* "" when absent */

/* For struct http_parser_settings. */
int http_head_on_url(struct http_parser *p, const char *at, size_t n);
int http_head_on_field(struct http_parser *p, const char *at, size_t n);
int http_head_on_value(struct http_parser *p, const char *at, size_t n);

/* Is `want` one of the words in a comma-separated list? Letter case is ignored. */
bool http_list_has(const char *list, const char *want);

/* "Authorization: Basic ...\r\n" into buf, or nothing without a user. TDM_ETOOBIG. */
int http_basic_header(char *buf, size_t bytes, const char *user, const char *password);

#endif
