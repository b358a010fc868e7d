/* operation_check.c - will the server take these parameters?
 *
 * Asterisk answers many mistakes with a bare 400, and reads garbage in numbers as 0 without a word. So what is known of a
 * parameter is checked here, where the error can still name it. Pure functions. */
#include "operation.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ID_MAX = 149, LIST_MAX = 128 };

struct check {
    const struct operation *op;
    const void *params;
    char *why;
    size_t bytes;
};

static int refuse(const struct check *c, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(const struct check *c, int err, const char *format, ...)
{
    char words[200];
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    if (c->why != NULL)
        snprintf(c->why, c->bytes, "%s.%s: %s", c->op->of.resource, c->op->of.nickname, words);
    return err;
}

/* ---- one parameter ----------------------------------------------------------------------------- */

static bool is_id(const char *name)
{
    static const char *const ids[] = { "channelId", "otherChannelId", "bridgeId", "playbackId", "snoopId" };

    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        if (strcmp(name, ids[i]) == 0)
            return true;
    return false;
}

/* "a, b or c" */
static const char *say_values(const char *const *values, char *buf, size_t bytes)
{
    size_t at = 0;

    for (size_t i = 0; values[i] != NULL && at < bytes; i++)
        at += (size_t)snprintf(buf + at, bytes - at, "%s%s",
                               i == 0                  ? ""
                               : values[i + 1] == NULL ? " or "
                                                       : ", ",
                               values[i]);
    return buf;
}

static int check_value(const struct check *c, const struct operation_param *p, const char *value)
{
    char list[160];

    if (p->one_of == NULL)
        return TDM_OK;
    for (size_t i = 0; p->one_of[i] != NULL; i++)
        if (strcmp(value, p->one_of[i]) == 0)
            return TDM_OK;
    return refuse(c, TDM_EINVAL, "%s is \"%.60s\"; it may be %s", p->name, value,
                  say_values(p->one_of, list, sizeof list));
}

static int check_string(const struct check *c, const struct operation_walk *w)
{
    const char *text = operation_text(w);

    if (w->param->required && text[0] == '\0' && w->param->in_path)
        return refuse(c, TDM_EINVAL, "%s is empty", w->param->name);
    if (is_id(w->param->name) && strlen(text) > ID_MAX)
        return refuse(c, TDM_ETOOBIG, "%s has %zu bytes; the server takes %d", w->param->name, strlen(text),
                      ID_MAX);
    return check_value(c, w->param, text);
}

static int check_strings(const struct check *c, const struct operation_walk *w)
{
    const char *const *list = operation_list(w);
    int err = TDM_OK;
    size_t n = 0;

    for (; list[n] != NULL && err == TDM_OK; n++) {
        err = check_value(c, w->param, list[n]);
        if (err == TDM_OK && !operation_has_body(c->op) && strchr(list[n], ',') != NULL)
            err = refuse(c, TDM_EINVAL, "%s holds a comma in \"%.60s\", which would be taken for two",
                         w->param->name, list[n]);
    }
    if (err == TDM_OK && n > LIST_MAX)
        err = refuse(c, TDM_ETOOBIG, "%s has %zu values; the server takes %d", w->param->name, n, LIST_MAX);
    return err;
}

static int check_int(const struct check *c, const struct operation_walk *w)
{
    const int64_t value = operation_int(w).value;

    if (w->param->least != NULL && value < *w->param->least)
        return refuse(c, TDM_EINVAL, "%s is %lld; it may not be below %lld", w->param->name, (long long)value,
                      (long long)*w->param->least);
    if (value < INT32_MIN || value > INT32_MAX)
        return refuse(c, TDM_EINVAL, "%s is %lld; the server reads 32 bits", w->param->name,
                      (long long)value);
    return TDM_OK;
}

static int check_pairs(const struct check *c, const struct operation_walk *w)
{
    for (const struct tdm_ari_pair *p = operation_pairs(w); p->name != NULL; p++)
        if (p->name[0] == '\0' || p->value == NULL)
            return refuse(c, TDM_EINVAL, "%s has an entry without a %s", w->param->name,
                          p->name[0] == '\0' ? "name" : "value");
    return TDM_OK;
}

static int check_json(const struct check *c, const struct operation_walk *w)
{
    const char *text = operation_text(w);

    return json_scan(NULL, text, strlen(text), NULL, NULL) == TDM_OK && text[strspn(text, " \t\r\n")] == '{'
               ? TDM_OK
               : refuse(c, TDM_EINVAL, "%s is not a JSON object", w->param->name);
}

static int check_param(const struct check *c, const struct operation_walk *w)
{
    if (!operation_given(w))
        return w->param->required ? refuse(c, TDM_EINVAL, "%s is required", w->param->name) : TDM_OK;
    switch (w->param->type) {
    case OPERATION_STRING:
        return check_string(c, w);
    case OPERATION_STRINGS:
        return check_strings(c, w);
    case OPERATION_INT:
        return check_int(c, w);
    case OPERATION_PAIRS:
    case OPERATION_FIELDS:
        return check_pairs(c, w);
    case OPERATION_JSON:
        return check_json(c, w);
    case OPERATION_BOOL:
        break;
    }
    return TDM_OK;
}

/* ---- parameters that depend on each other ------------------------------------------------------ */

static bool has(const struct check *c, const char *name)
{
    const struct operation_walk w = operation_find(c->op, c->params, name);

    return operation_more(&w) && operation_given(&w);
}

static bool is_none(const struct check *c, const char *name)
{
    const struct operation_walk w = operation_find(c->op, c->params, name);

    return !operation_given(&w) || strcmp(operation_text(&w), "none") == 0;
}

static int not_both(const struct check *c, const char *one, const char *other)
{
    return has(c, one) && has(c, other) ? refuse(c, TDM_EINVAL, "%s and %s exclude each other", one, other)
                                        : TDM_OK;
}

static int check_together(const struct check *c, enum tdm_ari_op op)
{
    switch (op) {
    case TDM_ARI_OP_channels_originate:
    case TDM_ARI_OP_channels_originate_with_id:
        if (!has(c, "app") && !has(c, "extension"))
            return refuse(c, TDM_EINVAL,
                          "app or extension is required: where is the answered channel to go?");
        if (has(c, "app") &&
            (has(c, "extension") || has(c, "context") || has(c, "priority") || has(c, "label")))
            return refuse(c, TDM_EINVAL, "app excludes context, extension, priority and label");
        return not_both(c, "formats", "originator");
    case TDM_ARI_OP_channels_create:
        return not_both(c, "formats", "originator");
    case TDM_ARI_OP_channels_hangup:
        return not_both(c, "reason", "reason_code");
    case TDM_ARI_OP_channels_snoop_channel:
    case TDM_ARI_OP_channels_snoop_channel_with_id:
        return is_none(c, "spy") && is_none(c, "whisper")
                   ? refuse(c, TDM_EINVAL, "spy or whisper must be something else than none")
                   : TDM_OK;
    case TDM_ARI_OP_events_event_websocket:
        return refuse(c, TDM_ENOTSUP, "the event WebSocket is what a source opens: tdm_ari_start()");
    default:
        return TDM_OK;
    }
}

int operation_check(const struct operation *op, const void *params, char *why, size_t bytes)
{
    const struct check c = { .op = op, .params = params, .why = why, .bytes = bytes };
    int err = TDM_OK;

    if (op->params[0].name == NULL)
        return TDM_OK;
    if (params == NULL)
        return refuse(&c, TDM_EINVAL, "%s is required", op->params[0].name);
    for (struct operation_walk w = operation_first(op, params); err == TDM_OK && operation_more(&w);
         operation_next(&w))
        err = check_param(&c, &w);
    return err == TDM_OK ? check_together(&c, operation_number(op)) : err;
}
