/* Tests of the list of operations: it is the description's, name by name; each operation with all its parameters becomes
 * a request in which they are found again; and what the server would not take is refused with words. */
#include "ari/operation.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "traces.h"

TestSuite(ari_operations, .timeout = 20);

/* ---- against the description ------------------------------------------------------------------- */

static json_t *description(void)
{
    size_t bytes;
    char *text = traces_shared_file("protocols/ari-operations.json", &bytes);

    if (text == NULL)
        cr_skip("no description of the operations at " TANDEM_SHARED_DIR);
    json_t *list = json_loadb(text, bytes, 0, NULL);

    free(text);
    const bool is_array = json_is_array(list);

    cr_assert(is_array);
    return list;
}

static const char *str(json_t *o, const char *name)
{
    return json_string_value(json_object_get(o, name));
}

static enum operation_type type_of(json_t *p)
{
    const char *type = str(p, "type");

    if (json_is_true(json_object_get(p, "multi")))
        return OPERATION_STRINGS;
    if (strcmp(type, "int") == 0 || strcmp(type, "long") == 0)
        return OPERATION_INT;
    if (strcmp(type, "boolean") == 0)
        return OPERATION_BOOL;
    if (strcmp(type, "object") == 0)
        return OPERATION_JSON;
    if (strcmp(type, "containers") == 0)
        return strcmp(str(p, "name"), "fields") == 0 ? OPERATION_FIELDS : OPERATION_PAIRS;
    return OPERATION_STRING;
}

static void same_values(const struct operation_param *mine, json_t *values)
{
    size_t n = 0;

    cr_assert(eq(int, mine->one_of != NULL, json_array_size(values) > 0), "%s", mine->name);
    while (mine->one_of != NULL && mine->one_of[n] != NULL) {
        cr_assert(eq(str, (char *)mine->one_of[n], (char *)json_string_value(json_array_get(values, n))));
        n++;
    }
    cr_assert(eq(sz, n, json_array_size(values)), "%s", mine->name);
}

static void same_param(const struct operation_param *mine, json_t *theirs)
{
    json_t *least = json_object_get(theirs, "min");

    cr_assert(eq(str, (char *)mine->name, (char *)str(theirs, "name")));
    cr_assert(eq(int, mine->type, type_of(theirs)), "%s", mine->name);
    cr_assert(eq(int, mine->required, json_is_true(json_object_get(theirs, "required"))), "%s", mine->name);
    cr_assert(eq(int, mine->in_path, strcmp(str(theirs, "in"), "path") == 0), "%s", mine->name);
    cr_assert(eq(int, mine->least != NULL, json_is_integer(least)), "%s", mine->name);
    if (mine->least != NULL)
        cr_assert(eq(i64, *mine->least, json_integer_value(least)), "%s", mine->name);
    same_values(mine, json_object_get(theirs, "enum"));
}

static void same_failures(const struct operation *mine, json_t *theirs)
{
    size_t n = 0;

    for (; mine->failures[n].status != 0; n++) {
        json_t *f = json_array_get(theirs, n);

        cr_assert(eq(i64, mine->failures[n].status, json_integer_value(json_object_get(f, "code"))));
        cr_assert(eq(str, (char *)mine->failures[n].reason, (char *)str(f, "reason")));
    }
    cr_assert(eq(sz, n, json_array_size(theirs)));
}

static void same_operation(json_t *theirs)
{
    const enum tdm_ari_op op = tdm_ari_op_find(str(theirs, "resource"), str(theirs, "nickname"));
    const struct operation *mine = operation_of(op);
    json_t *params = json_object_get(theirs, "params"), *status = json_object_get(theirs, "success");
    size_t n = 0;

    cr_assert(ne(ptr, (void *)mine, NULL), "%s.%s is missing", str(theirs, "resource"),
              str(theirs, "nickname"));
    cr_assert(eq(str, (char *)mine->of.method, (char *)str(theirs, "method")));
    cr_assert(eq(str, (char *)mine->of.path, (char *)str(theirs, "path")));
    cr_assert(eq(str, (char *)mine->of.answer, (char *)str(theirs, "response")));
    cr_assert(eq(i64, mine->of.status,
                 json_integer_value(json_is_array(status) ? json_array_get(status, 0) : status)));
    for (; mine->params[n].name != NULL; n++)
        same_param(&mine->params[n], json_array_get(params, n));
    cr_assert(eq(sz, n, json_array_size(params)), "%s", mine->of.nickname);
    same_failures(mine, json_object_get(theirs, "errors"));
}

Test(ari_operations, the_list_is_the_description_name_by_name_and_parameter_by_parameter)
{
    json_t *list = description(), *o;
    size_t i;

    cr_assert(eq(sz, json_array_size(list), TDM_ARI_OPS));
    json_array_foreach(list, i, o) same_operation(o);
    json_decref(list);
}

/* ---- requests ---------------------------------------------------------------------------------- */

static const char *const two[] = { "one", "two/2", NULL };
static const struct tdm_ari_pair pairs[] = { { "A", "1" }, { "B", "say \"hi\"" }, { NULL, NULL } };

/* A struct of that operation with a value of its own for each parameter. */
static void *all_params(const struct operation *op)
{
    char *params = calloc(64, sizeof(void *));

    for (struct operation_walk w = operation_first(op, params); operation_more(&w); operation_next(&w)) {
        void *at = params + (w.at - params);
        const struct operation_param *p = w.param;

        if (p->type == OPERATION_INT)
            *(struct tdm_ari_int *)at = TDM_ARI_INT(7);
        else if (p->type == OPERATION_BOOL)
            *(bool *)at = true;
        else if (p->type == OPERATION_STRINGS)
            *(const char *const **)at = p->one_of != NULL ? p->one_of : two;
        else if (p->type == OPERATION_PAIRS || p->type == OPERATION_FIELDS)
            *(const struct tdm_ari_pair **)at = pairs;
        else if (p->type == OPERATION_JSON)
            *(const char **)at = "{\"allowed\":[{\"type\":\"Dial\"}]}";
        else
            *(const char **)at =
                p->one_of != NULL ? p->one_of[1] != NULL ? p->one_of[1] : p->one_of[0] : p->name;
    }
    return params;
}

/* Those that exclude each other can not all be given. */
static void make_possible(enum tdm_ari_op op, void *params)
{
    static const char *const never[] = {
        "extension", "context", "priority", "label", "originator", "reason"
    };
    const struct operation *o = operation_of(op);

    if (strcmp(o->of.resource, "channels") != 0 || strcmp(o->of.nickname, "continueInDialplan") == 0)
        return;
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        const struct operation_walk w = operation_find(o, params, never[i]);

        if (w.param->name != NULL)
            memset((char *)params + (w.at - (const char *)params), 0,
                   w.param->type == OPERATION_INT ? sizeof(struct tdm_ari_int) : sizeof(void *));
    }
}

static void in_path(const char *target, const struct operation *op)
{
    char expected[256] = "";

    /* every value is its parameter's name, so the path is its template without the braces */
    for (const char *p = op->of.path; *p != '\0'; p++)
        if (*p != '{' && *p != '}')
            strncat(expected, p, 1);
    cr_assert(eq(int, strncmp(target, expected, strlen(expected)), 0), "%s", target);
    cr_assert(target[strlen(expected)] == '\0' || target[strlen(expected)] == '?', "%s", target);
}

static void in_query(const char *target, const struct operation_walk *w)
{
    const char *query = strchr(target, '?');
    char value[256];

    cr_assert(ne(ptr, (void *)query, NULL), "%s", target);
    cr_assert(ge(int, tdm_url_param(query + 1, w->param->name, value, sizeof value), 0), "%s",
              w->param->name);
    if (w->param->type == OPERATION_INT)
        cr_assert(eq(str, value, "7"));
    else if (w->param->type == OPERATION_BOOL)
        cr_assert(eq(str, value, "true"));
    else if (w->param->type == OPERATION_STRINGS)
        cr_assert(eq(str, value, w->param->one_of != NULL ? "build,system,config,status" : "one,two/2"));
    else
        cr_assert(eq(str, value, (char *)operation_text(w)));
}

static void in_body(json_t *body, const struct operation_walk *w)
{
    json_t *v = w->param->type == OPERATION_JSON ? body : json_object_get(body, w->param->name);

    cr_assert(ne(ptr, v, NULL), "%s", w->param->name);
    if (w->param->type == OPERATION_INT)
        cr_assert(eq(i64, json_integer_value(v), 7));
    else if (w->param->type == OPERATION_BOOL)
        cr_assert(eq(int, json_typeof(v), JSON_TRUE));
    else if (w->param->type == OPERATION_STRINGS)
        cr_assert(eq(str, (char *)json_string_value(json_array_get(v, 1)), "two/2"));
    else if (w->param->type == OPERATION_PAIRS)
        cr_assert(eq(str, (char *)str(v, "B"), "say \"hi\""));
    else if (w->param->type == OPERATION_FIELDS)
        cr_assert(eq(str, (char *)str(json_array_get(v, 1), "value"), "say \"hi\""));
    else if (w->param->type == OPERATION_JSON)
        cr_assert(eq(sz, json_array_size(json_object_get(v, "allowed")), 1));
    else
        cr_assert(eq(str, (char *)json_string_value(v), (char *)operation_text(w)));
}

static void found_again(enum tdm_ari_op op)
{
    const struct operation *o = operation_of(op);
    void *params = all_params(o);
    struct operation_request r;
    char why[300] = "";

    make_possible(op, params);
    cr_assert(eq(int, operation_build(tdm_env_real(), o, params, &r, why, sizeof why), TDM_OK), "%s", why);
    in_path(r.target, o);
    json_t *body = r.body.bytes > 0 ? json_loadb(r.body.at, r.body.bytes, 0, NULL) : NULL;
    cr_assert(r.body.bytes == 0 || body != NULL, "%s", r.body.at);
    for (struct operation_walk w = operation_first(o, params); operation_more(&w); operation_next(&w)) {
        if (w.param->in_path || !operation_given(&w))
            continue;
        if (strcmp(o->of.method, "POST") == 0 || strcmp(o->of.method, "PUT") == 0)
            in_body(body, &w);
        else
            in_query(r.target, &w);
    }
    json_decref(body);
    ari_json_fini(&r.body);
    free(params);
}

Test(ari_operations, every_parameter_of_every_operation_is_found_again_in_its_request)
{
    for (int op = 0; op < TDM_ARI_OPS; op++)
        if (op != TDM_ARI_OP_events_event_websocket)
            found_again((enum tdm_ari_op)op);
}

Test(ari_operations, values_are_encoded_and_what_is_left_out_is_not_there)
{
    struct tdm_ari_channels_hangup hangup = { .channelId = "PJSIP/a b;1#%?", .reason_code = "34" };
    struct tdm_ari_channels_play play = { .channelId = "1.2",
                                          .media = (const char *const[]){ "sound:a,b", NULL } };
    struct operation_request r;

    cr_assert(eq(
        int, operation_build(tdm_env_real(), operation_of(TDM_ARI_OP_channels_hangup), &hangup, &r, NULL, 0),
        TDM_OK));
    cr_assert(eq(str, r.target, "/channels/PJSIP%2Fa%20b%3B1%23%25%3F?reason_code=34"));
    cr_assert(eq(u64, r.order_key, 0), "a hangup overtakes");
    cr_assert(eq(sz, r.body.bytes, 0));
    cr_assert(eq(int,
                 operation_build(tdm_env_real(), operation_of(TDM_ARI_OP_channels_play), &play, &r, NULL, 0),
                 TDM_OK));
    cr_assert(eq(str, r.target, "/channels/1.2/play"));
    cr_assert(eq(str, r.body.at, "{\"media\":[\"sound:a,b\"]}"));
    cr_assert(eq(u64, r.order_key, rest_order_key("1.2")));
    ari_json_fini(&r.body);
}

Test(ari_operations, every_segment_and_value_is_percent_encoded_on_its_own)
{
    struct tdm_ari_channels_play_with_id play = { .channelId = "PJSIP/a b;1#%?",
                                                  .playbackId = "p:1",
                                                  .media = (const char *const[]){ "sound:a", NULL } };
    struct tdm_ari_channels_get_channel_var var = { .channelId = "1.2",
                                                    .variable = "CALLERID(num) & more,\xc3\xa9" };
    struct operation_request r;

    cr_assert(eq(
        int,
        operation_build(tdm_env_real(), operation_of(TDM_ARI_OP_channels_play_with_id), &play, &r, NULL, 0),
        TDM_OK));
    cr_assert(eq(str, r.target, "/channels/PJSIP%2Fa%20b%3B1%23%25%3F/play/p%3A1"));
    ari_json_fini(&r.body);
    cr_assert(eq(
        int,
        operation_build(tdm_env_real(), operation_of(TDM_ARI_OP_channels_get_channel_var), &var, &r, NULL, 0),
        TDM_OK));
    cr_assert(eq(str, r.target, "/channels/1.2/variable?variable=CALLERID%28num%29%20%26%20more%2C%C3%A9"));
    cr_assert(eq(u64, r.order_key, rest_order_key("1.2")), "a variable is read behind what was written");
}

/* ---- refusals ---------------------------------------------------------------------------------- */

static void refused(enum tdm_ari_op op, const void *params, int err, const char *words)
{
    char why[300] = "";

    cr_assert(eq(int, tdm_ari_check(op, params, why, sizeof why), err), "%s", why);
    cr_assert(ne(ptr, strstr(why, words), NULL), "\"%s\" is not in \"%s\"", words, why);
}

#define REFUSED(op, err, words, ...) \
    refused(TDM_ARI_OP_##op, &(struct tdm_ari_##op){ __VA_ARGS__ }, (err), (words))

Test(ari_operations, what_the_server_would_not_take_is_refused_with_words)
{
    static char id[152], line[4100];
    const char *many[130] = { NULL };

    memset(id, 'x', 150);
    memset(line, 'y', sizeof line - 1);
    for (int i = 0; i < 129; i++)
        many[i] = "sound:a";
    REFUSED(channels_record, TDM_EINVAL, "channels.record: format is required", .channelId = "1",
            .name = "n");
    REFUSED(channels_get, TDM_EINVAL, "channelId is required", .channelId = NULL);
    REFUSED(channels_get, TDM_EINVAL, "channelId is empty", .channelId = "");
    REFUSED(channels_mute, TDM_EINVAL, "direction is \"up\"; it may be both, in or out", .channelId = "1",
            .direction = "up");
    REFUSED(channels_dial, TDM_EINVAL, "timeout is -1; it may not be below 0", .channelId = "1",
            .timeout = TDM_ARI_INT(-1));
    REFUSED(mailboxes_update, TDM_EINVAL, "newMessages is required", .mailboxName = "m",
            .oldMessages = TDM_ARI_INT(0));
    REFUSED(channels_ring, TDM_ETOOBIG, "channelId has 150 bytes; the server takes 149", .channelId = id);
    REFUSED(channels_play, TDM_ETOOBIG, "media has 129 values", .channelId = "1", .media = many);
    REFUSED(applications_unsubscribe, TDM_EINVAL, "comma", .applicationName = "a",
            .eventSource = (const char *const[]){ "channel:1,2", NULL });
    REFUSED(asterisk_get_global_var, TDM_ETOOBIG, "request line is longer", .variable = line);
    REFUSED(channels_hangup, TDM_EINVAL, "exclude each other", .channelId = "1", .reason = "busy",
            .reason_code = "17");
    REFUSED(channels_originate, TDM_EINVAL, "app or extension", .endpoint = "PJSIP/1");
    REFUSED(channels_snoop_channel, TDM_EINVAL, "spy or whisper", .channelId = "1", .app = "a",
            .spy = "none");
    REFUSED(applications_filter, TDM_EINVAL, "not a JSON object", .applicationName = "a", .filter = "[1]");
    REFUSED(events_event_websocket, TDM_ENOTSUP, "tdm_ari_start", .app = (const char *const[]){ "a", NULL });
    refused(TDM_ARI_OP_channels_ring, NULL, TDM_EINVAL, "channelId is required");
}

Test(ari_operations, a_body_larger_than_the_server_takes_is_refused)
{
    static char value[41000];
    const struct tdm_ari_pair big[] = { { "A", value }, { NULL, NULL } };

    memset(value, 'v', sizeof value - 1);
    REFUSED(channels_set_channel_vars, TDM_ETOOBIG, "body is longer", .channelId = "1", .variables = big);
}

/* ---- answers ----------------------------------------------------------------------------------- */

static struct tdm_msg *reply(int err, int status, const char *body)
{
    const size_t bytes = strlen(body);
    struct tdm_msg *m = calloc(1, sizeof *m + sizeof(struct tdm_http_reply) + bytes + 1);
    struct tdm_http_reply *r = tdm_msg_data(m);

    m->type = TDM_MSG_HTTP_REPLY;
    r->err = err;
    r->status = status;
    r->body_bytes = (uint32_t)bytes;
    memcpy(r->body, body, bytes + 1);
    return m;
}

static int answered(enum tdm_ari_op op, int err, int status, const char *body, tdm_event **ret,
                    const char *words)
{
    struct tdm_msg *m = reply(err, status, body);
    char why[TDM_ARI_WORDS];
    const int result = tdm_ari_answer(op, m, ret, why, sizeof why);

    cr_assert(ne(ptr, strstr(why, words), NULL), "\"%s\" is not in \"%s\"", words, why);
    free(m);
    return result;
}

Test(ari_operations, an_answer_is_read_like_an_event_and_a_failure_says_what_and_why)
{
    tdm_event *ev;

    cr_assert(eq(int, answered(TDM_ARI_OP_channels_get, 0, 200, "{\"id\":\"1.2\",\"state\":\"Up\"}", &ev, ""),
                 TDM_OK));
    cr_assert(eq(str, (char *)tdm_event_str(ev, "state"), "Up"));
    tdm_event_free(ev);
    cr_assert(eq(int, answered(TDM_ARI_OP_channels_ring, 0, 204, "", &ev, ""), TDM_OK));
    cr_assert(eq(ptr, ev, NULL));
    cr_assert(eq(int, answered(TDM_ARI_OP_bridges_get, 0, 200, "no JSON", &ev, ""), TDM_EPROTO));
    cr_assert(eq(int,
                 answered(TDM_ARI_OP_channels_ring, 0, 404, "{\"message\":\"Channel not found\"}", &ev,
                          "channels.ring: 404 Channel not found"),
                 TDM_EHANGUP));
    cr_assert(eq(int,
                 answered(TDM_ARI_OP_recordings_get_live, 0, 404, "{\"message\":\"Recording not found\"}",
                          NULL, "no such recording"),
                 TDM_ENOTFOUND));
    cr_assert(eq(int, answered(TDM_ARI_OP_channels_progress, 0, 404, "", NULL, "older than the operation"),
                 TDM_EHANGUP));
    cr_assert(
        eq(int, answered(TDM_ARI_OP_asterisk_ping, TDM_ETIMEOUT, 0, "", NULL, "no answer"), TDM_ETIMEOUT));
    cr_assert(
        eq(int,
           tdm_ari_answer(TDM_ARI_OP_channels_get, &(struct tdm_msg){ .type = TDM_MSG_TIMER }, NULL, NULL, 0),
           TDM_EINVAL));
}
