/* operation.c - an operation with its parameters becomes a request, and a reply becomes a result.
 *
 * Where:  GET and DELETE have their parameters in the query, POST and PUT in a JSON body, which holds long values and
 *         values with commas in them (the server takes a line of 4,096 bytes and a body of 40,960).
 * Order:  the requests about one channel share its order key, except those that only ask and those that have to
 *         overtake; see rest.c.
 * Threads: any; there is no state here. */
#include "operation.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { BODY_MAX = 40960 };

/* ---- path and query ---------------------------------------------------------------------------- */

struct target {
    char *at;
    size_t bytes, room;
    bool full, query;
};

static void add(struct target *t, const char *text, size_t bytes)
{
    t->full |= bytes >= t->room - t->bytes;
    if (t->full)
        return;
    memcpy(t->at + t->bytes, text, bytes);
    t->bytes += bytes;
    t->at[t->bytes] = '\0';
}

static void add_encoded(struct target *t, const char *text)
{
    const size_t bytes = strlen(text);

    if (t->full)
        return;
    const size_t used = tdm_url_encode(t->at + t->bytes, t->room - t->bytes, text, bytes);

    t->full = used >= t->room - t->bytes;
    t->bytes += t->full ? 0 : used;
}

/* "/channels/{channelId}/play": each name in braces is the parameter of that name. */
static void add_path(struct target *t, const struct operation *op, const void *params)
{
    for (const char *p = op->of.path; *p != '\0';) {
        const size_t plain = strcspn(p, "{");
        char name[32];

        add(t, p, plain);
        p += plain;
        if (*p == '\0')
            break;
        const size_t bytes = strcspn(p, "}");

        snprintf(name, sizeof name, "%.*s", (int)bytes - 1, p + 1);
        const struct operation_walk w = operation_find(op, params, name);

        add_encoded(t, operation_text(&w));
        p += bytes + 1;
    }
}

static void add_list(struct target *t, const char *const *list)
{
    for (size_t i = 0; list[i] != NULL; i++) {
        if (i > 0)
            add(t, ",", 1);
        add_encoded(t, list[i]);
    }
}

static void add_query(struct target *t, const struct operation_walk *w)
{
    char number[24];

    add(t, t->query ? "&" : "?", 1);
    t->query = true;
    add(t, w->param->name, strlen(w->param->name));
    add(t, "=", 1);
    switch (w->param->type) {
    case OPERATION_STRINGS:
        add_list(t, operation_list(w));
        break;
    case OPERATION_INT:
        snprintf(number, sizeof number, "%" PRId64, operation_int(w).value);
        add(t, number, strlen(number));
        break;
    case OPERATION_BOOL:
        add(t, "true", 4);
        break;
    default:
        add_encoded(t, operation_text(w));
    }
}

/* ---- body -------------------------------------------------------------------------------------- */

static void put(struct ari_json *j, const char *text)
{
    ari_json_str(j, text, strlen(text));
}

static void put_list(struct ari_json *j, const char *const *list)
{
    ari_json_lit(j, "[");
    for (size_t i = 0; list[i] != NULL; i++) {
        ari_json_lit(j, i > 0 ? "," : "");
        put(j, list[i]);
    }
    ari_json_lit(j, "]");
}

static void put_pairs(struct ari_json *j, const struct tdm_ari_pair *p)
{
    ari_json_lit(j, "{");
    for (size_t i = 0; p[i].name != NULL; i++) {
        ari_json_lit(j, i > 0 ? "," : "");
        put(j, p[i].name);
        ari_json_lit(j, ":");
        put(j, p[i].value);
    }
    ari_json_lit(j, "}");
}

static void put_fields(struct ari_json *j, const struct tdm_ari_pair *p)
{
    ari_json_lit(j, "[");
    for (size_t i = 0; p[i].name != NULL; i++) {
        ari_json_lit(j, i > 0 ? ",{\"attribute\":" : "{\"attribute\":");
        put(j, p[i].name);
        ari_json_lit(j, ",\"value\":");
        put(j, p[i].value);
        ari_json_lit(j, "}");
    }
    ari_json_lit(j, "]");
}

static void put_value(struct ari_json *j, const struct operation_walk *w)
{
    char number[24];

    switch (w->param->type) {
    case OPERATION_STRING:
        put(j, operation_text(w));
        break;
    case OPERATION_STRINGS:
        put_list(j, operation_list(w));
        break;
    case OPERATION_INT:
        snprintf(number, sizeof number, "%" PRId64, operation_int(w).value);
        ari_json_lit(j, number);
        break;
    case OPERATION_BOOL:
        ari_json_lit(j, "true");
        break;
    case OPERATION_PAIRS:
        put_pairs(j, operation_pairs(w));
        break;
    case OPERATION_FIELDS:
        put_fields(j, operation_pairs(w));
        break;
    case OPERATION_JSON:
        ari_json_lit(j, operation_text(w));
        break;
    }
}

/* An event filter is the whole body; all else are members of one object. */
static void put_member(struct ari_json *j, const struct operation_walk *w)
{
    if (w->param->type == OPERATION_JSON) {
        put_value(j, w);
        return;
    }
    ari_json_lit(j, j->bytes == 0 ? "{" : ",");
    put(j, w->param->name);
    ari_json_lit(j, ":");
    put_value(j, w);
}

static bool is_whole_body(const struct operation *op)
{
    const struct operation_param *p = op->params;

    while (p->name != NULL && p->type != OPERATION_JSON)
        p++;
    return p->name != NULL;
}

/* ---- the request ------------------------------------------------------------------------------- */

static bool blocks(enum tdm_ari_op op)
{
    switch (op) {
    case TDM_ARI_OP_channels_answer:
    case TDM_ARI_OP_channels_set_channel_var:
    case TDM_ARI_OP_channels_set_channel_vars:
    case TDM_ARI_OP_bridges_add_channel:
    case TDM_ARI_OP_bridges_remove_channel:
    case TDM_ARI_OP_bridges_set_video_source:
        return true;
    default:
        return false;
    }
}

static uint64_t order_key(const struct operation *op, const void *params)
{
    const bool asks = strcmp(op->of.method, "GET") == 0;
    const enum tdm_ari_op number = operation_number(op);
    const struct operation_walk w = operation_find(op, params, "channelId");

    /* a variable is read where it stands in the order of those that are written */
    if (number == TDM_ARI_OP_channels_hangup || !operation_more(&w) || !operation_given(&w) ||
        (asks && strstr(op->of.path, "/variable") == NULL))
        return 0;
    return rest_order_key(operation_text(&w));
}

static void add_params(struct operation_request *r, struct target *t, const struct operation *op,
                       const void *params)
{
    const bool body = operation_has_body(op);

    for (struct operation_walk w = operation_first(op, params); operation_more(&w); operation_next(&w)) {
        if (w.param->in_path || !operation_given(&w))
            continue;
        if (body)
            put_member(&r->body, &w);
        else
            add_query(t, &w);
    }
    if (r->body.bytes > 0 && !is_whole_body(op))
        ari_json_lit(&r->body, "}");
}

int operation_build(struct tdm_env *env, const struct operation *op, const void *params,
                    struct operation_request *ret, char *why, size_t bytes)
{
    struct target t = { .at = ret->target, .room = sizeof ret->target };
    int err = operation_check(op, params, why, bytes);

    ari_json_init(&ret->body, env);
    if (err != TDM_OK)
        return err;
    add_path(&t, op, params);
    add_params(ret, &t, op, params);
    ret->order_key = order_key(op, params);
    ret->blocks = blocks(operation_number(op));
    if (ret->body.failed)
        err = TDM_ENOMEM;
    else if (t.full || ret->body.bytes > BODY_MAX)
        err = TDM_ETOOBIG;
    if (err == TDM_ETOOBIG && why != NULL)
        snprintf(why, bytes, "%s.%s: the %s is longer than the server takes (%d bytes)", op->of.resource,
                 op->of.nickname, t.full ? "request line" : "body", t.full ? REST_TARGET_BYTES : BODY_MAX);
    if (err != TDM_OK)
        ari_json_fini(&ret->body);
    return err;
}

int operation_send(struct ari *a, tdm_pid to, enum tdm_ari_op op, const void *params, tdm_ref *ret)
{
    const struct operation *o = operation_of(op);
    struct operation_request r;
    int err = o == NULL ? TDM_EINVAL : operation_build(a->env, o, params, &r, NULL, 0);

    if (err != TDM_OK)
        return err;
    err = rest_send(a, to,
                    &(struct rest_request){ .method = o->of.method,
                                            .target = r.target,
                                            .body = r.body.at,
                                            .body_bytes = r.body.bytes,
                                            .timeout_ms = r.blocks ? a->cfg.blocking_timeout_ms : 0,
                                            .order_key = r.order_key },
                    ret);
    ari_json_fini(&r.body);
    return err;
}

/* ---- for everybody ----------------------------------------------------------------------------- */

struct asked {
    tdm_pid to;
    enum tdm_ari_op op;
    const void *params;
    tdm_ref *ret;
};

static int ask(struct ari *a, void *ctx)
{
    const struct asked *q = ctx;

    return operation_send(a, q->to, q->op, q->params, q->ret);
}

int tdm_ari_ask(tdm_self *self, tdm_pid source, enum tdm_ari_op op, const void *params, tdm_ref *ret)
{
    return ari_with(tdm_self_runtime(self), source, ask,
                    &(struct asked){ .to = tdm_self_pid(self), .op = op, .params = params, .ret = ret });
}

#define OPERATION(resource, nickname, function, ...)                                                \
    int tdm_ari_##function(tdm_self *self, tdm_pid source, const struct tdm_ari_##function *params, \
                           tdm_ref *ret)                                                            \
    {                                                                                               \
        return tdm_ari_ask(self, source, TDM_ARI_OP_##function, params, ret);                       \
    }
#include "tandem/ari_operations.def"
#undef OPERATION

int tdm_ari_check(enum tdm_ari_op op, const void *params, char *why, size_t bytes)
{
    const struct operation *o = operation_of(op);
    struct operation_request r;
    int err = o == NULL ? TDM_EINVAL : operation_build(tdm_env_real(), o, params, &r, why, bytes);

    if (err == TDM_OK)
        ari_json_fini(&r.body);
    return err;
}

/* ---- answers ----------------------------------------------------------------------------------- */

static enum rest_about about(const struct operation *op)
{
    if (strcmp(op->of.resource, "channels") != 0)
        return REST_OTHER;
    return strstr(op->of.path, "/variable") != NULL ? REST_VARIABLE : REST_CHANNEL;
}

static const char *reason_for(const struct operation *op, int status)
{
    const struct operation_failure *f = op->failures;

    while (f->status != 0 && f->status != status)
        f++;
    return f->status != 0 ? f->reason : NULL;
}

static void explain(const struct operation *op, int status, const char *words, char *why, size_t bytes)
{
    const char *reason = reason_for(op, status);

    if (why == NULL)
        return;
    if (status == 404 && op->of.since[0] != '\0' && strcmp(words, "404 ") == 0)
        snprintf(why, bytes, "%s.%s: 404: the server is older than the operation (since %s)?",
                 op->of.resource, op->of.nickname, op->of.since);
    else
        snprintf(why, bytes, "%s.%s: %s%s%s%s", op->of.resource, op->of.nickname, words,
                 reason != NULL ? " (" : "", reason != NULL ? reason : "", reason != NULL ? ")" : "");
}

static int answer_of(const struct operation *op, const struct tdm_http_reply *r, tdm_event **ret)
{
    *ret = NULL;
    if (r->body_bytes == 0 || strcmp(op->of.answer, "void") == 0 || strcmp(op->of.answer, "binary") == 0)
        return TDM_OK;
    const int err = tdm_event_parse(r->body, r->body_bytes, ret);

    return err == TDM_ESYNTAX ? TDM_EPROTO : err;
}

int tdm_ari_answer(enum tdm_ari_op op, const struct tdm_msg *reply, tdm_event **ret, char *why, size_t bytes)
{
    const struct operation *o = operation_of(op);
    const struct tdm_http_reply *r = rest_reply(reply);
    char words[REST_WORDS_BYTES];

    if (why != NULL && bytes > 0)
        why[0] = '\0';
    if (ret != NULL)
        *ret = NULL;
    if (o == NULL || r == NULL)
        return TDM_EINVAL;
    int err = rest_outcome(r, about(o), words);
    if (err != TDM_OK)
        explain(o, r->err == TDM_OK ? r->status : 0, words, why, bytes);
    else if (ret != NULL)
        err = answer_of(o, r, ret);
    return err;
}
