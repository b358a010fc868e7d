/* params.c - the parameters of a request: in the query, in a form, or as members of a JSON body.
 *
 * The rules are the real server's (as Asterisk 22 does): JSON wins over the query; in the query several values stand
 * in one parameter, separated by commas; integers are read leniently; what has the wrong JSON type counts
 * as absent. Memory is that of the request. */
#include "inside.h"

#include <stdlib.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool ex_decode(char *text)
{
    char *out = text;

    for (; *text != '\0'; text++) {
        if (*text != '%') {
            *out++ = *text;
            continue;
        }
        if (hex_digit(text[1]) < 0 || hex_digit(text[2]) < 0)
            return false;
        *out++ = (char)(hex_digit(text[1]) * 16 + hex_digit(text[2]));
        text += 2;
    }
    *out = '\0';
    return true;
}

size_t ex_encode(char *out, const char *value)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0;

    for (; *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;
        bool plain =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || strchr("-._~", c);
        if (plain) {
            out[n++] = (char)c;
            continue;
        }
        out[n++] = '%';
        out[n++] = digits[c >> 4];
        out[n++] = digits[c & 15];
    }
    out[n] = '\0';
    return n;
}

const char *ex_query_value(struct ex_model *m, const char *query, const char *name)
{
    size_t n = strlen(name);

    while (query != NULL && *query != '\0') {
        size_t bytes = strcspn(query, "&");
        if (bytes > n && strncmp(query, name, n) == 0 && query[n] == '=') {
            char *value = ex_scratch(m, bytes - n);
            if (value == NULL)
                return NULL;
            memcpy(value, query + n + 1, bytes - n - 1);
            value[bytes - n - 1] = '\0';
            for (char *c = value; *c != '\0'; c++)
                if (*c == '+')
                    *c = ' ';
            return ex_decode(value) ? value : NULL;
        }
        query += bytes + (query[bytes] == '&');
    }
    return NULL;
}

size_t ex_param_body(struct ex_req *q, const char *name)
{
    return q->json.count == 0 ? 0 : ex_json_member(&q->json, 0, name);
}

const char *ex_param_text(struct ex_req *q, size_t value)
{
    const struct ex_json_value *v = &q->json.values[value];
    char *text = ex_scratch(q->m, v->end - v->start + 1);

    if (text == NULL)
        return NULL;
    if (v->kind == EX_JSON_STRING) {
        ex_json_decode(&q->json, value, text);
        return text;
    }
    memcpy(text, q->json.text + v->start, v->end - v->start);
    text[v->end - v->start] = '\0';
    return text;
}

const char *ex_param(struct ex_req *q, const char *name)
{
    size_t member = ex_param_body(q, name);

    if (member != 0 && q->json.values[member].kind == EX_JSON_STRING)
        return ex_param_text(q, member);
    const char *value = ex_query_value(q->m, q->form, name);
    return value != NULL ? value : ex_query_value(q->m, q->query, name);
}

int ex_param_int(struct ex_req *q, const char *name, int missing)
{
    size_t member = ex_param_body(q, name);
    const char *text = member != 0 ? ex_param_text(q, member) : ex_param(q, name);

    return text == NULL ? missing : (int)strtol(text, NULL, 10); /* what is no number is 0, as there */
}

bool ex_param_true(struct ex_req *q, const char *name)
{
    static const char *const words[] = { "yes", "true", "y", "t", "1", "on" };
    size_t member = ex_param_body(q, name);
    const char *text = member != 0 ? ex_param_text(q, member) : ex_param(q, name);

    for (size_t i = 0; text != NULL && i < sizeof words / sizeof *words; i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

void ex_param_each(struct ex_req *q, const char *name, void (*each)(void *ctx, const char *value), void *ctx)
{
    size_t member = ex_param_body(q, name);

    if (member != 0 && q->json.values[member].kind == EX_JSON_ARRAY) {
        for (size_t i = member + 1; i < q->json.values[member].after; i = q->json.values[i].after) {
            const char *text = q->json.values[i].kind == EX_JSON_STRING ? ex_param_text(q, i) : NULL;
            if (text != NULL)
                each(ctx, text);
        }
        return;
    }
    const char *list = ex_param(q, name);
    char *copy = list == NULL ? NULL : ex_scratch(q->m, strlen(list) + 1), *one;
    if (copy == NULL)
        return;
    strcpy(copy, list);
    while ((one = strsep(&copy, ",")) != NULL)
        if (*one != '\0')
            each(ctx, one);
}
