/* ops_channels.c - the operations on one channel. What takes effect in its turn goes to the lane; what the
 * real server answers at once is answered at once. Source: Asterisk 22's ARI description and sources. */
#include "inside.h"

#include <stdio.h>
#include <stdlib.h>

struct ex_channel *ex_need_channel(struct ex_req *q)
{
    struct ex_channel *ch = ex_channel_find(q->m, q->id[0]);

    if (ch == NULL || ch->ending) {
        ex_error(q, 404, "Channel not found");
        return NULL;
    }
    q->about = q->id[0];
    return ch;
}

struct ex_channel *ex_need_stasis(struct ex_req *q)
{
    struct ex_channel *ch = ex_need_channel(q);

    if (ch == NULL)
        return NULL;
    if (ch->app == NULL)
        ex_error(q, 409, "Channel not in Stasis application");
    else if (ch->state == EX_DOWN || ch->state == EX_RINGING)
        ex_error(q, 412, "Channel in invalid state");
    else
        return ch;
    return NULL;
}

void ex_op_channel_list(struct ex_req *q)
{
    q->status = 200;
    ex_json_open(q->body, NULL, '[');
    for (const struct ex_channel *ch = q->m->first_channel; ch != NULL; ch = ch->next)
        ex_json_channel(q->body, NULL, ch);
    ex_json_close(q->body, ']');
}

void ex_op_channel_get(struct ex_req *q)
{
    const struct ex_channel *ch = ex_need_channel(q);

    if (ch == NULL)
        return;
    q->status = 200;
    ex_json_channel(q->body, NULL, ch);
}

/* ---- the end, and elsewhere ------------------------------------------------------------------ */

/* The Q.850 cause for `reason`, or -1. Source: Asterisk 22's ARI description and sources. */
static int reason_cause(const char *reason)
{
    static const struct {
        const char *word;
        int cause;
    } reasons[] = {
        { "normal", 16 },
        { "busy", 17 },
        { "congestion", 34 },
        { "no_answer", 19 },
        { "timeout", 18 },
        { "rejected", 21 },
        { "unallocated", 1 },
        { "normal_unspecified", 31 },
        { "number_incomplete", 28 },
        { "codec_mismatch", 58 },
        { "interworking", 127 },
        { "failure", 38 },
        { "answered_elsewhere", 26 },
    };

    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (strcmp(reasons[i].word, reason) == 0)
            return reasons[i].cause;
    return -1;
}

void ex_op_hangup(struct ex_req *q)
{
    const char *reason = ex_param(q, "reason"), *code = ex_param(q, "reason_code");
    struct ex_channel *ch = ex_need_channel(q);
    int cause = 16;

    if (ch == NULL)
        return;
    if (reason != NULL && code != NULL)
        return ex_error(q, 400, "The reason and reason_code parameters exclude each other");
    if (reason != NULL)
        cause = reason_cause(reason);
    else if (code != NULL)
        cause = *code >= '0' && *code <= '9' ? (int)strtol(code, NULL, 10) : -1;
    if (cause < 0)
        return ex_error(q, 400,
                        reason != NULL ? "Invalid reason for hangup reason provided"
                                       : "Invalid hangup reason code provided");
    if (ch->inbound && q->m->chaos.audit != NULL)
        audit_hung_up(q->m->chaos.audit, ch->id);
    ex_no_content(q);
    ex_channel_end(q->m, ch, (struct ex_cause){ .cause = cause, .soft = true });
}

/* Queue something that is answered before it is done. */
static void queue(struct ex_req *q, struct ex_channel *ch, enum ex_verb verb, const char *a, const char *b)
{
    ex_no_content(q);
    if (ex_lane_add(q->m, &ch->lane, verb, (struct ex_reply){ EX_NOBODY, 0 }, NULL, a, b) < 0)
        ex_nomem(q);
}

void ex_op_continue(struct ex_req *q)
{
    const char *context = ex_param(q, "context"), *exten = ex_param(q, "extension");
    struct ex_channel *ch = ex_need_stasis(q);
    char place[200];

    if (ch == NULL)
        return;
    int priority = ex_param_int(q, "priority", context == NULL && exten == NULL ? ch->priority + 1 : 1);
    snprintf(place, sizeof place, "%d %.150s", priority, context == NULL ? ch->context : context);
    queue(q, ch, EX_CONTINUE, place, exten == NULL ? ch->exten : exten);
}

void ex_op_move(struct ex_req *q)
{
    const char *app = ex_param(q, "app"), *args = ex_param(q, "appArgs");
    struct ex_channel *ch = ex_need_channel(q);

    if (ch == NULL)
        return;
    if (ch->app == NULL)
        return ex_error(q, 409, "Channel not in Stasis application");
    if (app == NULL || *app == '\0')
        return ex_error(q, 400, "Missing parameter app");
    queue(q, ch, EX_MOVE, app, args == NULL ? "" : args);
}

/* ---- answered and done in its turn ----------------------------------------------------------- */

/* Queue something whose answer waits for the deed. */
static void wait_turn(struct ex_req *q, struct ex_channel *ch, enum ex_verb verb, const char *a,
                      const char *b)
{
    q->later = true;
    if (ex_lane_add(q->m, &ch->lane, verb, q->reply, NULL, a, b) == TDM_OK)
        return;
    q->later = false;
    ex_nomem(q);
}

void ex_op_answer(struct ex_req *q)
{
    struct ex_channel *ch = ex_need_stasis(q);

    if (ch != NULL)
        wait_turn(q, ch, EX_ANSWER, NULL, NULL);
}

/* Ring, hold, music, silence and their ends: queued, and nothing of them is seen here. */
void ex_op_queued(struct ex_req *q)
{
    if (ex_need_stasis(q) != NULL)
        ex_no_content(q);
}

void ex_op_mute(struct ex_req *q)
{
    const char *direction = ex_param(q, "direction");

    if (ex_need_stasis(q) == NULL)
        return;
    if (direction != NULL && strcmp(direction, "both") != 0 && strcmp(direction, "in") != 0 &&
        strcmp(direction, "out") != 0)
        return ex_error(q, 400, "Invalid direction specified");
    ex_no_content(q);
}

void ex_op_dtmf(struct ex_req *q)
{
    const char *digits = ex_param(q, "dtmf");

    if (ex_need_stasis(q) == NULL)
        return;
    if (digits == NULL || *digits == '\0')
        return ex_error(q, 400, "DTMF is required");
    ex_no_content(q);
}

/* ---- play ------------------------------------------------------------------------------------ */

struct media {
    struct ex_model *m;
    struct ex_name *list;
    bool failed;
};

static void media_add(void *ctx, const char *uri)
{
    struct media *media = ctx;

    if (ex_name_add(media->m, &media->list, uri) == NULL)
        media->failed = true;
}

/* The Location line of a new playback; NULL without memory, then it is left out. */
static const char *location(struct ex_req *q, const char *id)
{
    static const char head[] = "Location: /ari/playbacks/";
    char *line = ex_scratch(q->m, sizeof head + 3 * strlen(id) + 3);

    if (line == NULL)
        return NULL;
    strcpy(line, head);
    strcpy(line + sizeof head - 1 + ex_encode(line + sizeof head - 1, id), "\r\n");
    return line;
}

void ex_play(struct ex_req *q, struct ex_lane *lane, const char *id)
{
    struct media media = { .m = q->m };
    const char *language = ex_param(q, "lang");
    char uuid[37];

    if (id == NULL)
        id = ex_param(q, "playbackId");
    ex_param_each(q, "media", media_add, &media);
    if (media.failed || media.list == NULL) {
        ex_names_free(q->m, &media.list);
        return ex_error(q, 500, "Failed to queue media for playback");
    }
    if (id != NULL &&
        (strlen(id) >= EX_ID_BYTES || ex_table_get(&q->m->playbacks, id) != NULL || ex_faults_in_use(q->m))) {
        ex_names_free(q->m, &media.list);
        return ex_error(q, 409, "Playback with given unique ID already exists");
    }
    if (id == NULL)
        ex_uuid(q->m, uuid);
    struct ex_playback *p =
        ex_playback_new(q->m, lane, id == NULL ? uuid : id, language == NULL ? "en" : language);
    if (p == NULL) {
        ex_names_free(q->m, &media.list);
        return ex_nomem(q);
    }
    p->media = p->item = media.list;
    q->status = 201;
    q->headers = location(q, p->id);
    ex_json_playback(q->body, NULL, p);
    if (ex_lane_add(q->m, lane, EX_PLAY, (struct ex_reply){ EX_NOBODY, 0 }, p, NULL, NULL) < 0) {
        ex_playback_free(q->m, p);
        ex_nomem(q);
    }
}

void ex_op_play(struct ex_req *q)
{
    struct ex_channel *ch = ex_need_stasis(q);

    if (ch != NULL)
        ex_play(q, &ch->lane, q->id[1]);
}

/* ---- variables ------------------------------------------------------------------------------- */

/* Value of a variable or function; NULL when unset. */
static const char *variable_value(const struct ex_model *m, const struct ex_channel *ch, const char *name)
{
    const struct {
        const char *function, *value;
    } known[] = {
        { "CALLERID(num)", ch->caller_number },
        { "CALLERID(name)", ch->caller_name },
        { "CHANNEL(language)", ch->language },
        { "CHANNEL(name)", ch->name },
        { "CHANNEL(pjsip,call-id)", ch->protocol_id },
        { "EXTEN", ch->exten },
        { "CONTEXT", ch->context },
        { "CHANNEL", ch->name },
        { "UNIQUEID", ch->id },
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].function, name) == 0)
            return known[i].value;
    const char *value = ex_var_get(ch->vars, name);
    return value != NULL ? value : ex_var_get(m->globals, name);
}

void ex_op_var_get(struct ex_req *q)
{
    const char *name = ex_param(q, "variable");
    const struct ex_channel *ch = ex_need_channel(q);

    if (ch == NULL)
        return;
    if (name == NULL || *name == '\0')
        return ex_error(q, 400, "Variable name is required");
    const char *value = variable_value(q->m, ch, name);
    if (value == NULL && strchr(name, '(') != NULL)
        return ex_error(q, 500, "Unable to read provided function");
    if (value == NULL)
        return ex_error(q, 404, "Provided variable was not found");
    q->status = 200;
    ex_json_open(q->body, NULL, '{');
    ex_json_str(q->body, "value", value);
    ex_json_close(q->body, '}');
}

void ex_op_var_set(struct ex_req *q)
{
    const char *name = ex_param(q, "variable"), *value = ex_param(q, "value");
    struct ex_channel *ch = ex_need_stasis(q);

    if (ch == NULL)
        return;
    if (name == NULL || *name == '\0')
        return ex_error(q, 400, "Variable name is required");
    wait_turn(q, ch, EX_SET_VAR, name, value == NULL ? "" : value);
}

struct wanted {
    struct ex_req *q;
    const struct ex_channel *ch;
    bool any, missing;
};

static void wanted_write(void *ctx, const char *name)
{
    struct wanted *w = ctx;
    const char *value = variable_value(w->q->m, w->ch, name);

    w->any = true;
    if (value == NULL)
        w->missing = true;
    else
        ex_json_str(w->q->body, name, value);
}

void ex_op_vars_get(struct ex_req *q)
{
    struct wanted w = { .q = q, .ch = ex_need_channel(q) };

    if (w.ch == NULL)
        return;
    ex_json_open(q->body, NULL, '{');
    ex_json_open(q->body, "variables", '{');
    ex_param_each(q, "variables", wanted_write, &w);
    ex_json_close(q->body, '}');
    ex_json_close(q->body, '}');
    q->status = 200;
    if (!w.any)
        ex_error(q, 400, "Variable names are required");
    else if (w.missing)
        ex_error(q, 404, "Provided variable was not found");
}

/* The text of one member of `variables`: a string, or {"value":..., "report_events":...}. */
static const char *variable_text(struct ex_req *q, size_t member)
{
    size_t inner =
        q->json.values[member].kind == EX_JSON_OBJECT ? ex_json_member(&q->json, member, "value") : member;
    const char *text = inner == 0 ? NULL : ex_param_text(q, inner);

    return text == NULL ? "" : text;
}

void ex_op_vars_set(struct ex_req *q)
{
    size_t vars = ex_param_body(q, "variables");
    const struct ex_json_value *v = q->json.values;
    struct ex_channel *ch = ex_need_stasis(q);

    if (ch == NULL)
        return;
    if (vars == 0 || v[vars].kind != EX_JSON_OBJECT || v[vars].after == vars + 1)
        return ex_error(q, 400, "Variables are required");
    for (size_t i = vars + 1, next; i < v[vars].after; i = next) {
        next = v[i + 1].after;
        bool last = next == v[vars].after;
        const char *name = ex_param_text(q, i);
        if (name == NULL)
            return ex_nomem(q);
        if (last)
            wait_turn(q, ch, EX_SET_VAR, name, variable_text(q, i + 1));
        else
            queue(q, ch, EX_SET_VAR, name, variable_text(q, i + 1));
    }
}
