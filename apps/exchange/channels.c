/* channels.c - one channel: made, in and out of Stasis, its variables and its end.
 *
 * Order at the end (traces simple_call, hangup_mid_playback): RTP statistics as ChannelVarset,
 * ChannelHangupRequest, what happens to its prompts, ChannelLeftBridge, StasisEnd; then, for apps that
 * subscribed to the channel itself, STASISSTATUS, another ChannelHangupRequest and ChannelDestroyed. */
#include "inside.h"

#include <stdio.h>

static const char *const state_words[] = { "Down", "Ring", "Ringing", "Up" };

struct ex_channel *ex_channel_find(struct ex_model *m, const char *id)
{
    return ex_table_get(&m->channels, id);
}

static int channel_words(struct ex_model *m, struct ex_channel *ch, const char *id, const char *name)
{
    struct {
        char **field;
        const char *text;
    } words[] = {
        { &ch->id, id },
        { &ch->name, name },
        { &ch->protocol_id, "" },
        { &ch->caller_name, "" },
        { &ch->caller_number, "" },
        { &ch->connected_name, "" },
        { &ch->connected_number, "" },
        { &ch->context, m->cfg.context },
        { &ch->exten, "s" },
        { &ch->app_name, "" },
        { &ch->app_data, "" },
        { &ch->language, "en" },
    };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (ex_set(m, words[i].field, words[i].text) < 0)
            return TDM_ENOMEM;
    return TDM_OK;
}

struct ex_channel *ex_channel_new(struct ex_model *m, const char *id, const char *name)
{
    struct ex_channel *ch = ex_alloc(m, sizeof *ch);

    if (ch == NULL)
        return NULL;
    ch->lane.channel = ch;
    ch->priority = 1;
    ex_stamp(m->wall_ns, ch->created);
    ch->caller.leave_at = UINT32_MAX;
    ch->prev = m->last_channel;
    if (ch->prev != NULL)
        ch->prev->next = ch;
    else
        m->first_channel = ch;
    m->last_channel = ch;
    if (channel_words(m, ch, id, name) < 0 || ex_table_put(&m->channels, &ch->entry, ch->id, ch) < 0) {
        ex_channel_free(m, ch);
        return NULL;
    }
    return ch;
}

void ex_channel_free(struct ex_model *m, struct ex_channel *ch)
{
    char **words[] = { &ch->id,
                       &ch->name,
                       &ch->protocol_id,
                       &ch->caller_name,
                       &ch->caller_number,
                       &ch->connected_name,
                       &ch->connected_number,
                       &ch->context,
                       &ch->exten,
                       &ch->app_name,
                       &ch->app_data,
                       &ch->language,
                       &ch->dial_app,
                       &ch->dial_args,
                       &ch->dialstring };

    ex_chaos_forget(m, ch);
    ex_lane_free(m, &ch->lane);
    ex_caller_gone(m, ch);
    ex_dial_cancel(m, ch);
    ex_cancel(m, &ch->after);
    ex_table_remove(&m->channels, &ch->entry);
    *(ch->prev != NULL ? &ch->prev->next : &m->first_channel) = ch->next;
    *(ch->next != NULL ? &ch->next->prev : &m->last_channel) = ch->prev;
    ex_vars_free(m, &ch->vars);
    while (ch->ears != NULL) {
        struct ex_ear *next = ch->ears->next;
        ex_free(m, ch->ears);
        ch->ears = next;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        ex_free(m, *words[i]);
    ex_free(m, ch);
}

/* ---- as JSON, and plain events --------------------------------------------------------------- */

static void json_party(struct ex_text *t, const char *member, const char *name, const char *number)
{
    ex_json_open(t, member, '{');
    ex_json_str(t, "name", name);
    ex_json_str(t, "number", number);
    ex_json_close(t, '}');
}

void ex_json_channel(struct ex_text *t, const char *name, const struct ex_channel *ch)
{
    ex_json_open(t, name, '{');
    ex_json_str(t, "id", ch->id);
    ex_json_str(t, "name", ch->name);
    ex_json_str(t, "state", state_words[ch->state]);
    ex_json_str(t, "protocol_id", ch->protocol_id);
    json_party(t, "caller", ch->caller_name, ch->caller_number);
    json_party(t, "connected", ch->connected_name, ch->connected_number);
    ex_json_str(t, "accountcode", "");
    ex_json_open(t, "dialplan", '{');
    ex_json_str(t, "context", ch->context);
    ex_json_str(t, "exten", ch->exten);
    ex_json_int(t, "priority", ch->priority);
    ex_json_str(t, "app_name", ch->app_name);
    ex_json_str(t, "app_data", ch->app_data);
    ex_json_close(t, '}');
    ex_json_str(t, "creationtime", ch->created);
    ex_json_str(t, "language", ch->language);
    ex_json_close(t, '}');
}

void ex_channel_event(struct ex_model *m, struct ex_channel *ch, const char *type)
{
    ex_json_channel(ex_event(m, type), "channel", ch);
    ex_event_send(m, ch, NULL);
}

void ex_channel_set_state(struct ex_model *m, struct ex_channel *ch, enum ex_state state)
{
    if (ch->state == state)
        return;
    ch->state = state;
    ex_channel_event(m, ch, "ChannelStateChange");
    ex_caller_poke(m, ch);
}

/* ---- variables ------------------------------------------------------------------------------- */

const char *ex_var_get(const struct ex_var *list, const char *name)
{
    while (list != NULL && strcmp(list->name, name) != 0)
        list = list->next;
    return list == NULL ? NULL : list->value;
}

int ex_var_put(struct ex_model *m, struct ex_var **list, const char *name, const char *value)
{
    struct ex_var *v = *list;

    while (v != NULL && strcmp(v->name, name) != 0)
        v = v->next;
    if (v != NULL)
        return ex_set(m, &v->value, value);
    v = ex_alloc(m, sizeof *v + strlen(name) + 1);
    if (v == NULL)
        return TDM_ENOMEM;
    strcpy(v->name, name);
    v->value = ex_strdup(m, value);
    if (v->value == NULL) {
        ex_free(m, v);
        return TDM_ENOMEM;
    }
    v->next = *list;
    *list = v;
    return TDM_OK;
}

void ex_vars_free(struct ex_model *m, struct ex_var **list)
{
    while (*list != NULL) {
        struct ex_var *next = (*list)->next;
        ex_free(m, (*list)->value);
        ex_free(m, *list);
        *list = next;
    }
}

void ex_channel_varset(struct ex_model *m, struct ex_channel *ch, const char *name, const char *value)
{
    struct ex_text *t = ex_event(m, "ChannelVarset");

    ex_json_str(t, "variable", name);
    ex_json_str(t, "value", value);
    ex_json_channel(t, "channel", ch);
    ex_event_send(m, ch, NULL);
}

int ex_channel_set_var(struct ex_model *m, struct ex_channel *ch, const char *name, const char *value)
{
    struct {
        const char *function;
        char **field;
    } known[] = {
        { "CALLERID(name)", &ch->caller_name },
        { "CALLERID(num)", &ch->caller_number },
        { "CHANNEL(language)", &ch->language },
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].function) == 0)
            return ex_set(m, known[i].field, value);
    if (strchr(name, '(') != NULL)
        return TDM_OK; /* a function that has no effect here */
    int err = ex_var_put(m, &ch->vars, name, value);
    if (err == TDM_OK)
        ex_channel_varset(m, ch, name, value);
    return err;
}

static void rtp_stats(struct ex_model *m, struct ex_channel *ch)
{
    static const char *const names[] = { "RTPAUDIOQOS", "RTPAUDIOQOSJITTER", "RTPAUDIOQOSLOSS",
                                         "RTPAUDIOQOSRTT", "RTPAUDIOQOSMES" };
    static const char *const values[] = {
        "ssrc=2144843124;themssrc=16909061;lp=0;rxjitter=0.000000;rxcount=85;txjitter=0.000000;txcount=294;"
        "rlp=0;"
        "rtt=0.000000;rxmes=0.000000;txmes=54.606089",
        "minrxjitter=000.000000;maxrxjitter=000.000000;avgrxjitter=000.000000;stdevrxjitter=000.000000;"
        "mintxjitter=000.000000;maxtxjitter=000.000000;avgtxjitter=000.000000;stdevtxjitter=000.000000;",
        "  minrxlost=000.000000;  maxrxlost=000.000000;  avgrxlost=000.000000;  stdevrxlost=000.000000;  "
        "mintxlost=000.000000;  maxtxlost=000.000000;  avgtxlost=000.000000;  stdevtxlost=000.000000;",
        "     minrtt=000.000000;     maxrtt=000.000000;     avgrtt=000.000000;     stdevrtt=000.000000;",
        "   minrxmes=000.000000;   maxrxmes=000.000000;   avgrxmes=000.000000;   stdevrxmes=000.000000;   "
        "mintxmes=000.000000;   maxtxmes=000.000000;   avgtxmes=000.000000;   stdevtxmes=000.000000;",
    };

    if (m->cfg.no_rtp_stats || !ch->inbound)
        return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ex_channel_varset(m, ch, names[i], values[i]);
}

/* ---- Stasis ---------------------------------------------------------------------------------- */

void ex_json_args(struct ex_text *t, const char *args)
{
    ex_json_open(t, "args", '[');
    while (args != NULL && *args != '\0') {
        size_t n = strcspn(args, ",");
        char one[1024];
        snprintf(one, sizeof one, "%.*s", (int)(n < 1000 ? n : 1000), args);
        ex_json_str(t, NULL, one);
        args += n;
        if (*args == ',' && *++args == '\0')
            ex_json_str(t, NULL, "");
    }
    ex_json_close(t, ']');
}

bool ex_channel_enter(struct ex_model *m, struct ex_channel *ch, const char *app_name, const char *args)
{
    struct ex_app *app = ex_app_find(m, app_name);

    if (app == NULL || app->conn == NULL) {
        ex_channel_set_var(m, ch, "STASISSTATUS", "FAILED");
        return false;
    }
    if (!ch->inbound)
        ex_channel_varset(m, ch, "STASISSTATUS", "");
    ch->app = app;
    app->channels++;
    ex_chaos_call(m, ch);
    struct ex_text *t = ex_event(m, "StasisStart");
    ex_json_args(t, args);
    ex_json_channel(t, "channel", ch);
    ex_event_send(m, ch, NULL);
    return true;
}

void ex_channel_leave(struct ex_model *m, struct ex_channel *ch)
{
    struct ex_app *app = ch->app;

    if (app == NULL)
        return;
    ex_channel_event(m, ch, "StasisEnd");
    ex_chaos_over(m, ch);
    ch->app = NULL;
    app->channels--;
    ex_app_check(m, app);
}

static void dialplan_ends(struct ex_model *m, void *owner)
{
    ex_channel_end(m, owner, (struct ex_cause){ .cause = 16 });
}

/* Put the channel at a place in the dialplan. Fields keep their old text when there is no memory. */
static void dialplan_at(struct ex_model *m, struct ex_channel *ch, const char *context, const char *exten,
                        int priority)
{
    int err = ex_set(m, &ch->context, context);

    if (err == TDM_OK)
        err = ex_set(m, &ch->exten, exten);
    if (err == TDM_OK)
        err = ex_set(m, &ch->app_name, "");
    if (err == TDM_OK)
        ex_set(m, &ch->app_data, "");
    ch->priority = priority;
}

void ex_channel_to_dialplan(struct ex_model *m, struct ex_channel *ch, const char *context, const char *exten,
                            int priority)
{
    static const char stasis[] = "stasis-"; /* a context that every app has (as Asterisk 22 does) */

    dialplan_at(m, ch, context, exten, priority);
    if (strncmp(ch->context, stasis, sizeof stasis - 1) == 0) { /* `context` may have been its own old one */
        const char *app = ch->context + sizeof stasis - 1;
        if (ex_set(m, &ch->app_name, "Stasis") == TDM_OK)
            ex_set(m, &ch->app_data, app);
        if (ex_channel_enter(m, ch, app, ""))
            return;
    }
    ex_caller_poke(m, ch);
    ex_later(m, &ch->after, EX_MS(m->cfg.after_ms), dialplan_ends, ch);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void hangup_request(struct ex_model *m, struct ex_channel *ch, struct ex_cause cause)
{
    struct ex_text *t = ex_event(m, "ChannelHangupRequest");

    if (cause.soft || cause.tech_cause != 0)
        ex_json_int(t, "cause", cause.soft ? 32 : cause.cause);
    if (cause.tech_cause != 0)
        ex_json_int(t, "tech_cause", cause.tech_cause);
    if (cause.soft)
        ex_json_bool(t, "soft", true);
    ex_json_channel(t, "channel", ch);
    ex_event_send(m, ch, NULL);
}

static const char *cause_text(int cause)
{
    static const struct {
        int cause;
        const char *text;
    } texts[] = {
        { 1, "Unallocated (unassigned) number" },
        { 16, "Normal Clearing" },
        { 17, "User busy" },
        { 18, "No user responding" },
        { 19, "User alerting, no answer" },
        { 21, "Call Rejected" },
        { 26, "Answered elsewhere" },
        { 31, "Normal, unspecified" },
        { 34, "Circuit/channel congestion" },
        { 38, "Network out of order" },
        { 127, "Interworking, unspecified" },
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].cause == cause)
            return texts[i].text;
    return "Unknown";
}

static void drop_subscriptions(struct ex_model *m, const char *uri)
{
    struct ex_app *next;

    for (struct ex_app *app = m->apps; app != NULL; app = next) {
        next = app->next;
        while (ex_app_unsubscribe(m, app, uri))
            ;
        ex_app_check(m, app);
    }
}

void ex_channel_destroyed(struct ex_model *m, struct ex_channel *ch, int cause, int tech_cause)
{
    struct ex_text *t = ex_event(m, "ChannelDestroyed");
    char uri[EX_ID_BYTES + 16];
    bool inbound = ch->inbound;

    ex_json_int(t, "cause", cause);
    ex_json_str(t, "cause_txt", cause_text(cause));
    if (tech_cause != 0)
        ex_json_int(t, "tech_cause", tech_cause);
    ex_json_channel(t, "channel", ch);
    ex_event_send(m, ch, NULL);
    ex_step(m, ch->id, EX_STEP_CALLER, "gone");
    snprintf(uri, sizeof uri, "channel:%s", ch->id);
    if (ch->account != NULL)
        ex_account_over(m, ch->account);
    ex_channel_free(m, ch);
    drop_subscriptions(m, uri);
    if (inbound) {
        m->counters.live--;
        m->counters.ended++;
        ex_callers_check(m);
    }
}

void ex_channel_end(struct ex_model *m, struct ex_channel *ch, struct ex_cause cause)
{
    if (ch->ending)
        return;
    ch->ending = true;
    ex_caller_gone(m, ch);
    ex_dial_cancel(m, ch);
    ex_cancel(m, &ch->after);
    rtp_stats(m, ch);
    hangup_request(m, ch, cause);
    ch->lane.running = true;
    ex_lane_hang_up(m, &ch->lane);
    ex_bridge_leave(m, ch);
    if (ch->app != NULL) {
        ex_channel_leave(m, ch);
        ex_channel_varset(m, ch, "STASISSTATUS", "SUCCESS");
        if (ch->inbound)
            hangup_request(m, ch, cause);
    }
    ex_channel_destroyed(m, ch, cause.cause, cause.tech_cause);
}
