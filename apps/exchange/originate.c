/* originate.c - calls that an app makes: originate, create and dial, and the far ends that answer or do not.
 *
 * A far end acts by its name: one that contains "busy", "decline", "unavail" or "noanswer" does that;
 * "nosuch" cannot even be allocated; every other rings for cfg.ring_ms and answers. The maker's app is
 * subscribed to the channel, so it hears all of Dial, ChannelStateChange, StasisStart ... ChannelDestroyed.
 * Source: recorded traffic of Asterisk 22.10 (originate, create and dial). */
#include "inside.h"

#include <stdio.h>

struct outcome {
    const char *word, *dialstatus;
    int cause, tech_cause;
};

static const struct outcome outcomes[] = {
    { "", "ANSWER", 0, 0 },
    { "busy", "BUSY", 17, 486 },
    { "decline", "NOANSWER", 21, 603 },
    { "unavail", "CONGESTION", 34, 503 },
    { "noanswer", "", 19, 480 },
};

static int outcome_of(const char *endpoint)
{
    for (size_t i = 1; i < sizeof outcomes / sizeof *outcomes; i++)
        if (strstr(endpoint, outcomes[i].word) != NULL)
            return (int)i;
    return 0;
}

static void dial_event(struct ex_model *m, struct ex_channel *ch, const char *status)
{
    struct ex_text *t = ex_event(m, "Dial");

    ex_json_str(t, "dialstatus", status);
    ex_json_str(t, "forward", "");
    ex_json_str(t, "dialstring", ch->dialstring);
    ex_json_channel(t, "peer", ch);
    ex_event_send(m, ch, NULL);
}

void ex_dial_cancel(struct ex_model *m, struct ex_channel *ch)
{
    ex_cancel(m, &ch->dial_timer);
    ex_cancel(m, &ch->dial_limit);
}

/* Answered: into the app when it was originated there; a created channel is inside already. */
static void dial_answered(struct ex_model *m, struct ex_channel *ch)
{
    ex_dial_cancel(m, ch);
    ex_channel_set_state(m, ch, EX_UP);
    dial_event(m, ch, "ANSWER");
    if (ch->app != NULL)
        return;
    if (ch->dial_app == NULL || !ex_channel_enter(m, ch, ch->dial_app, ch->dial_args))
        ex_channel_to_dialplan(m, ch, ch->context, ch->exten, 1);
}

static void dial_refused(struct ex_model *m, struct ex_channel *ch, const struct outcome *how)
{
    bool inside = ch->app != NULL;

    ex_dial_cancel(m, ch);
    if (!inside || ch->outcome == 1 || ch->outcome == 3)
        dial_event(m, ch, how->dialstatus); /* the others end without one (as Asterisk 22 does) */
    ex_channel_end(m, ch, (struct ex_cause){ .cause = how->cause, .tech_cause = how->tech_cause });
}

static void dial_step(struct ex_model *m, void *owner)
{
    struct ex_channel *ch = owner;
    const struct outcome *how = &outcomes[ch->outcome];

    if (ch->dial == EX_STARTS) {
        dial_event(m, ch, "");
        ch->dial = EX_RINGS;
        if (how->cause == 0 || how->cause == 19) {
            ex_channel_set_state(m, ch, EX_RINGING);
            dial_event(m, ch, "RINGING");
        }
        if (how->cause != 19) /* that one rings until the time is up */
            ex_later(m, &ch->dial_timer, EX_MS(m->cfg.ring_ms), dial_step, ch);
        return;
    }
    ch->dial = EX_DIALLED;
    if (how->cause == 0)
        dial_answered(m, ch);
    else
        dial_refused(m, ch, how);
}

static void dial_too_long(struct ex_model *m, void *owner)
{
    ex_channel_end(m, owner, (struct ex_cause){ .cause = 19, .tech_cause = 480 });
}

/* timeout_s below 0: for ever; in zero time it is over with the next tick. */
static void dial_begin(struct ex_model *m, struct ex_channel *ch, int timeout_s)
{
    ch->dial = EX_STARTS;
    ex_later(m, &ch->dial_timer, 0, dial_step, ch);
    if (timeout_s >= 0)
        ex_later(m, &ch->dial_limit, m->cfg.real_time ? EX_MS(timeout_s * 1000) : EX_MS(m->cfg.ring_ms + 1),
                 dial_too_long, ch);
}

/* ---- making the channel ---------------------------------------------------------------------- */

/* "Name" <number>, or a number alone. */
static int caller_id_set(struct ex_model *m, struct ex_channel *ch, const char *text)
{
    const char *open = strchr(text, '<'), *number = open == NULL ? text : open + 1;
    size_t n = open == NULL ? 0 : (size_t)(open - text);
    char name[128], num[128];

    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '"'))
        n--;
    if (n > 0 && *text == '"') {
        text++;
        n--;
    }
    snprintf(name, sizeof name, "%.*s", (int)(n < 120 ? n : 120), text);
    snprintf(num, sizeof num, "%.*s", (int)strcspn(number, ">") % 120, number);
    if (ex_set(m, &ch->caller_name, name) < 0 || ex_set(m, &ch->caller_number, num) < 0 ||
        ex_set(m, &ch->connected_name, name) < 0)
        return TDM_ENOMEM;
    return ex_set(m, &ch->connected_number, num);
}

struct wish {
    const char *endpoint, *id, *app, *args, *caller_id;
};

static int channel_equip(struct ex_model *m, struct ex_channel *ch, const struct wish *w)
{
    char uri[EX_ID_BYTES + 16], uuid[37];
    struct ex_app *app = w->app == NULL ? NULL : ex_app_find(m, w->app);

    ex_uuid(m, uuid);
    snprintf(uri, sizeof uri, "channel:%s", ch->id);
    ch->dialstring = ex_strdup(m, strchr(w->endpoint, '/') + 1);
    ch->dial_app = w->app == NULL ? NULL : ex_strdup(m, w->app);
    ch->dial_args = ex_strdup(m, w->args == NULL ? "" : w->args);
    if (ch->dialstring == NULL || ch->dial_args == NULL || (w->app != NULL && ch->dial_app == NULL))
        return TDM_ENOMEM;
    if (ex_set(m, &ch->protocol_id, strncmp(w->endpoint, "PJSIP/", 6) == 0 ? uuid : "") < 0 ||
        ex_set(m, &ch->app_name, "AppDial2") < 0 || ex_set(m, &ch->app_data, "(Outgoing Line)") < 0)
        return TDM_ENOMEM;
    if (w->caller_id != NULL && caller_id_set(m, ch, w->caller_id) < 0)
        return TDM_ENOMEM;
    return app == NULL ? TDM_OK : ex_app_subscribe(m, app, uri);
}

static struct ex_channel *channel_make(struct ex_req *q, const struct wish *w)
{
    struct ex_model *m = q->m;
    char id[64], name[EX_ID_BYTES + 80];

    snprintf(id, sizeof id, "%llu.%llu", (unsigned long long)m->epoch_s, (unsigned long long)m->next_channel);
    snprintf(name, sizeof name, "%.149s-%08llx%s", w->endpoint, (unsigned long long)m->next_name,
             strncmp(w->endpoint, "Local/", 6) == 0 ? ";1" : "");
    struct ex_channel *ch = ex_channel_new(m, w->id == NULL ? id : w->id, name);
    if (ch == NULL || channel_equip(m, ch, w) < 0) {
        if (ch != NULL)
            ex_channel_free(m, ch);
        ex_nomem(q);
        return NULL;
    }
    m->next_channel++;
    m->next_name++;
    ch->outcome = outcome_of(w->endpoint);
    q->about = ch->id;
    return ch;
}

/* What is wrong with the wish; false when it was answered. */
static bool wish_check(struct ex_req *q, const struct wish *w)
{
    const char *slash = w->endpoint == NULL ? NULL : strchr(w->endpoint, '/');

    if (w->endpoint == NULL || *w->endpoint == '\0')
        ex_error(q, 400, "Endpoint must be specified");
    else if (slash == NULL)
        ex_error(q, 400, "Invalid endpoint specified");
    else if (w->id != NULL && strlen(w->id) >= EX_ID_BYTES)
        ex_error(q, 400, "Uniqueid length exceeds maximum of 149");
    else if (w->id != NULL && (ex_channel_find(q->m, w->id) != NULL || ex_faults_in_use(q->m)))
        ex_error(q, 409, "Channel with given unique ID already exists");
    else if ((strncmp(w->endpoint, "PJSIP/", 6) != 0 && strncmp(w->endpoint, "Local/", 6) != 0 &&
              strncmp(w->endpoint, "SIP/", 4) != 0) ||
             strstr(w->endpoint, "nosuch") != NULL)
        ex_nomem(q); /* the same words as without memory: that is how the real one puts it */
    else
        return true;
    return false;
}

static void variables_set(struct ex_req *q, struct ex_channel *ch)
{
    size_t vars = ex_param_body(q, "variables");
    const struct ex_json_value *v = q->json.values;

    if (vars == 0 || v[vars].kind != EX_JSON_OBJECT)
        return;
    for (size_t i = vars + 1; i < v[vars].after; i = v[i + 1].after) {
        const char *name = ex_param_text(q, i), *value = ex_param_text(q, i + 1);
        if (name != NULL && value != NULL)
            ex_channel_set_var(q->m, ch, name, value);
    }
}

static struct wish wish_read(struct ex_req *q)
{
    return (struct wish){ .endpoint = ex_param(q, "endpoint"),
                          .id = q->id[0] != NULL ? q->id[0] : ex_param(q, "channelId"),
                          .app = ex_param(q, "app"),
                          .args = ex_param(q, "appArgs"),
                          .caller_id = ex_param(q, "callerId") };
}

void ex_op_originate(struct ex_req *q)
{
    struct wish w = wish_read(q);
    const char *exten = ex_param(q, "extension"), *context = ex_param(q, "context");

    if (w.endpoint != NULL && *w.endpoint != '\0' && w.app == NULL && exten == NULL)
        return ex_error(q, 400, "Application or extension must be specified");
    if (!wish_check(q, &w))
        return;
    struct ex_channel *ch = channel_make(q, &w);
    if (ch == NULL)
        return;
    q->status = 200;
    ex_json_channel(q->body, NULL, ch);
    if (w.app == NULL && exten != NULL && ex_set(q->m, &ch->exten, exten) == TDM_OK && context != NULL)
        ex_set(q->m, &ch->context, context);
    ex_channel_event(q->m, ch, "ChannelCreated");
    variables_set(q, ch);
    dial_begin(q->m, ch, ex_param_int(q, "timeout", 30));
}

void ex_op_create(struct ex_req *q)
{
    struct wish w = wish_read(q);

    if (!wish_check(q, &w))
        return;
    struct ex_channel *ch = channel_make(q, &w);
    if (ch == NULL)
        return;
    q->status = 200;
    ex_json_channel(q->body, NULL, ch);
    ex_channel_event(q->m, ch, "ChannelCreated");
    variables_set(q, ch);
    if (ex_set(q->m, &ch->app_name, "Stasis") < 0 || w.app == NULL ||
        !ex_channel_enter(q->m, ch, w.app, w.args))
        ex_channel_to_dialplan(q->m, ch, ch->context, ch->exten, 1);
}

void ex_op_dial(struct ex_req *q)
{
    struct ex_channel *ch = ex_need_channel(q);

    if (ch == NULL)
        return;
    if (ch->state != EX_DOWN || ch->dialstring == NULL || ch->dial != EX_NO_DIAL)
        return ex_error(q, 409, "Channel is not in the 'Down' state");
    int timeout = ex_param_int(q, "timeout", 0);
    ex_no_content(q);
    dial_begin(q->m, ch, timeout == 0 ? -1 : timeout);
}
