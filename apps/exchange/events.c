/* events.c - one event: its members are written once, then it is finished for each app that hears it.
 *
 * Numbers:   each event about a channel carries "exchange":{"seq":n}, counting from 1 within one visit of
 *            the channel to the app: a gap or a step back shows the client what went wrong on the way.
 *            A real Asterisk sends no such member, and clients have to ignore members they do not know.
 * Silence:   an app without a connection hears nothing; its event is not numbered, but counted.
 * Holding:   while a request is carried out its events may be kept back until the answer is out. */
#include "inside.h"

#include <stdio.h>

struct ex_text *ex_event(struct ex_model *m, const char *type)
{
    if (m->stamp_ms != m->wall_ns / 1000000) {
        m->stamp_ms = m->wall_ns / 1000000;
        ex_stamp(m->wall_ns, m->stamp);
    }
    ex_text_clear(&m->event);
    ex_json_open(&m->event, NULL, '{');
    ex_json_str(&m->event, "type", type);
    ex_json_str(&m->event, "timestamp", m->stamp);
    m->event_type = type;
    return &m->event;
}

static struct ex_ear *ear_of(struct ex_model *m, struct ex_channel *ch, const struct ex_app *app)
{
    struct ex_ear *ear = ch->ears;

    while (ear != NULL && ear->app != app->serial)
        ear = ear->next;
    if (ear != NULL)
        return ear;
    ear = ex_alloc(m, sizeof *ear);
    if (ear == NULL)
        return NULL;
    ear->app = app->serial;
    ear->next = ch->ears;
    ch->ears = ear;
    return ear;
}

/* The number of this event for this app, 0 when it gets none. */
static uint64_t event_number(struct ex_model *m, struct ex_app *app, struct ex_channel *ch)
{
    struct ex_ear *ear = ch == NULL ? NULL : ear_of(m, ch, app);

    if (ear == NULL)
        return 0;
    uint64_t seq = ++ear->seq;
    if (strcmp(m->event_type, "StasisEnd") == 0)
        ear->seq = 0;
    if (ch->inbound && app == ch->app) {
        m->counters.events_sent++;
        if (ch->account != NULL)
            ch->account->sent++;
        ex_chaos_sent(m, ch, seq);
    }
    return seq;
}

/* A line for the call's ladder: the type, and the one member that says most. */
static void event_step(struct ex_model *m, const struct ex_app *app, const struct ex_channel *ch)
{
    static const char *const telling[] = { "\"digit\":",    "\"media_uri\":", "\"dialstatus\":",
                                           "\"variable\":", "\"args\":",      "\"destination\":" };
    const char *found = NULL;
    char text[240], detail[160] = "";

    if (!m->cfg.steps || ch == NULL)
        return;
    for (size_t i = 0; i < sizeof telling / sizeof *telling && found == NULL; i++)
        found = strstr(m->event.at, telling[i]);
    if (found != NULL) {
        found = strchr(found, ':') + 1;
        size_t n = strcspn(found, *found == '[' ? "]" : ",}") + (*found == '[');
        snprintf(detail, sizeof detail, " %.*s", (int)(n < 150 ? n : 150), found);
    }
    snprintf(text, sizeof text, "%s%s (%s%s)", m->event_type, detail, app->name,
             app->conn == NULL ? ", away" : "");
    ex_step(m, ch->id, EX_STEP_EVENT, text);
}

static void event_finish(struct ex_model *m, const struct ex_app *app, uint64_t seq)
{
    struct ex_text *t = &m->frame;

    ex_text_clear(t);
    ex_text_add(t, m->event.at, m->event.bytes);
    if (seq > 0) {
        ex_json_open(t, "exchange", '{');
        ex_json_int(t, "seq", (int64_t)seq);
        ex_json_close(t, '}');
    }
    ex_json_str(t, "asterisk_id", EX_SERVER);
    ex_json_str(t, "application", app->name);
    ex_json_close(t, '}');
}

void ex_event_send_to(struct ex_model *m, struct ex_app *app, struct ex_channel *ch)
{
    if (m->event.failed || !ex_app_lets(app, m->event_type))
        return;
    event_step(m, app, ch);
    if (app->conn == NULL || m->chaos.frozen) {
        m->counters.missed_while_away += ch != NULL && ch->inbound && ch->app == app;
        return;
    }
    event_finish(m, app, event_number(m, app, ch));
    if (m->frame.failed)
        return;
    uint64_t about = ch == NULL ? 0 : ch->entry.hash;
    if (!m->holding) {
        ex_faults_send(m, app->conn->id, about, m->frame.at, m->frame.bytes);
        return;
    }
    struct ex_frame *f = ex_frame_new(m, app->conn->id, about, m->frame.at, m->frame.bytes);
    if (f != NULL)
        ex_frames_put(&m->kept, f);
}

static bool app_hears(const struct ex_app *app, const struct ex_channel *ch, const struct ex_bridge *br)
{
    if (app->all || (ch != NULL && ch->app == app))
        return true;
    if (ch != NULL && ex_app_subscribed(app, "channel:", ch->id))
        return true;
    for (const struct ex_channel *in = br == NULL ? NULL : br->first; in != NULL; in = in->bridge_next)
        if (in->app == app)
            return true;
    return br != NULL && ex_app_subscribed(app, "bridge:", br->id);
}

void ex_event_send(struct ex_model *m, struct ex_channel *ch, const struct ex_bridge *br)
{
    struct ex_app *next;

    for (struct ex_app *app = m->apps; app != NULL; app = next) {
        next = app->next;
        if (app_hears(app, ch, br))
            ex_event_send_to(m, app, ch);
    }
}

void ex_send_plain(struct ex_model *m, uint64_t conn, const char *text, size_t bytes)
{
    if (!ex_faults_frozen(m))
        m->out.send(m->out.ctx, conn, text, bytes);
}

void ex_events_hold(struct ex_model *m)
{
    m->holding = true;
}

void ex_events_release(struct ex_model *m)
{
    struct ex_frame *f;

    m->holding = false;
    while ((f = ex_frames_take(&m->kept)) != NULL) {
        ex_faults_send(m, f->conn, f->about, f->text, f->bytes);
        ex_free(m, f);
    }
}

void ex_step(struct ex_model *m, const char *channel, enum ex_step_kind kind, const char *text)
{
    if (m->cfg.steps && m->out.step != NULL)
        m->out.step(m->out.ctx, channel, kind, text);
}
