/* resync.c - after a gap: what the server holds against what we hold; adopt or end.
 *
 * Nothing is replayed by the server after a lost connection, and no second StasisStart comes for a
 * channel that stayed (as Asterisk 22 does). So, each time the WebSocket is open:
 *   1. events arrive and wait behind the gate;
 *   2. GET /asterisk/info: another start-up time or entity id is another server life, nothing that we
 *      knew is left of the old one;
 *   3. GET /applications/{app} for each app, then GET /channels: a channel is in an app when the app
 *      lists it and its dialplan position is in Stasis(). The list alone also has channels that were
 *      only subscribed to, or are still being dialled; dialplan.app_data alone still names the first
 *      app after a move (observed on Asterisk 22.10);
 *   4. the lists are compared (census.c): owners are told of the gap, calls that are gone are ended,
 *      unknown ones adopted, each by a synthetic event with a "tandem" member;
 *   5. what waits behind the gate is routed, and the gate is given to the reader.
 * Any failure on the way ends the connection: the next one starts over.
 *
 * Runs in the connection actor, one request at a time. The reader waits for nothing of this. */
#include "resync.h"
#include "census.h"
#include "json.h"
#include "json_text.h"
#include "ops.h"
#include "route.h"
#include "tandem/log.h"

#include <stdio.h>
#include <string.h>

static TDM_COUNTER(adopted, "tandem_ari_adopted_total",
                   "calls found on a server and taken over without a start event");
static TDM_COUNTER(ended, "tandem_ari_ended_unseen_total",
                   "calls that were gone when a server was asked after a gap");
static TDM_COUNTER(gaps, "tandem_ari_gaps_total", "calls told that events may be missing");
static TDM_COUNTER(restarts, "tandem_ari_server_restarts_total",
                   "new server lives noticed after a reconnect");

struct resync {
    struct ari *a;
    struct gate *gate;
    tdm_pid self;
    tdm_ref asked;                                                     /* the request under way */
    int (*step)(struct resync *r, const struct tdm_http_reply *reply); /* what its answer is for */
    int app;                                                           /* index of the app asked for */
    bool restarted;
    struct census listed, known, present, waiting;
    uint64_t adopted, ended;
    char entity_id[64], startup_time[64]; /* remembered in the source only when all is done */
};

/* ---- synthetic events ------------------------------------------------------------------------ */

/* The arguments of Stasis(app,arg,...), if it is this app that app_data names. */
static void add_args(struct ari_json *j, const char *app, const char *snapshot, size_t bytes)
{
    struct json_slice data;
    const size_t app_bytes = strlen(app);
    char text[2048];

    ari_json_lit(j, "\"args\":[");
    if (snapshot != NULL && json_text_find(snapshot, bytes, "dialplan.app_data", &data) &&
        data.kind == JSON_SCAN_STRING) {
        const ptrdiff_t n = json_text_unescape(text, sizeof text - 1, data.at, data.bytes);
        const char *arg = text + app_bytes + 1;

        text[n > 0 ? n : 0] = '\0';
        if (n > (ptrdiff_t)app_bytes && strncmp(text, app, app_bytes) == 0 && text[app_bytes] == ',')
            for (size_t length;; arg += length + 1) {
                length = strcspn(arg, ",");
                ari_json_str(j, arg, length);
                if (arg[length] == '\0')
                    break;
                ari_json_lit(j, ",");
            }
    }
    ari_json_lit(j, "],");
}

void resync_event(struct ari_json *j, const char *type, const char *app, const char *id, const char *snapshot,
                  size_t snapshot_bytes, const char *mark)
{
    ari_json_lit(j, "{\"type\":");
    ari_json_str(j, type, strlen(type));
    ari_json_lit(j, ",\"application\":");
    ari_json_str(j, app, strlen(app));
    ari_json_lit(j, ",");
    if (strcmp(type, "StasisStart") == 0)
        add_args(j, app, snapshot, snapshot_bytes);
    ari_json_lit(j, "\"channel\":");
    if (snapshot != NULL) {
        ari_json_raw(j, snapshot, snapshot_bytes);
    } else {
        ari_json_lit(j, "{\"id\":");
        ari_json_str(j, id, strlen(id));
        ari_json_lit(j, "}");
    }
    ari_json_lit(j, ",\"tandem\":");
    ari_json_str(j, mark, strlen(mark));
    ari_json_lit(j, "}");
}

static void end_call(struct resync *r, const struct census_entry *e, const struct ari_json *j)
{
    if (tdm_source_call_end(r->a->source, e->app, strlen(e->app), e->id, strlen(e->id), j->at, j->bytes) ==
        TDM_OK)
        r->ended++;
}

static void adopt_call(struct resync *r, const struct census_entry *e, const struct ari_json *j)
{
    const size_t app_bytes = strlen(e->app), id_bytes = strlen(e->id);
    int err;

    if (atomic_load_explicit(&r->a->draining, memory_order_relaxed))
        return;
    err = tdm_source_call_start(r->a->source, e->app, app_bytes, e->id, id_bytes, j->at, j->bytes, true);
    if (err == TDM_OK)
        r->adopted++;
    else if (err != TDM_EEXIST)
        route_unserved(r->a, e->app, app_bytes, e->id, id_bytes, err);
}

/* False: its actor died without a word, or was lost with its supervisor. */
static bool tell_gap(struct resync *r, const struct census_entry *e, const struct ari_json *j)
{
    const int err = tdm_source_event(r->a->source, e->app, strlen(e->app), "channel", e->id, strlen(e->id),
                                     j->at, j->bytes);

    tdm_count(&gaps, err == TDM_OK);
    return err != TDM_ENOTFOUND;
}

static bool carry_out_one(struct resync *r, enum census_verdict verdict, const struct census_entry *e)
{
    static const char *const types[] = { "TandemGap", "StasisEnd", "StasisStart" };
    static const char *const marks[] = { "gap", "resync", "adopted" };
    struct ari_json j;
    bool done = true;

    ari_json_init(&j, r->a->env);
    resync_event(&j, types[verdict], e->app, e->id, e->snapshot, e->snapshot_bytes, marks[verdict]);
    if (j.failed)
        tdm_log_error("ari.resync_failed", "source=%s channel=%s error=ENOMEM", r->a->cfg.name,
                      TDM_LOG_TEXT(e->id, strlen(e->id)));
    else if (verdict == CENSUS_GAP)
        done = tell_gap(r, e, &j);
    else if (verdict == CENSUS_ENDED)
        end_call(r, e, &j);
    else
        adopt_call(r, e, &j);
    ari_json_fini(&j);
    return done;
}

static void carry_out(void *ctx, enum census_verdict verdict, const struct census_entry *e)
{
    if (!carry_out_one(ctx, verdict, e) && e->snapshot != NULL)
        (void)carry_out_one(ctx, CENSUS_NEW, e);
}

/* ---- reading what the server says ------------------------------------------------------------ */

/* A string of the answer into a buffer with NUL; "" when it is not there or too long. */
static const char *text_at(const char *json, size_t bytes, const char *path, char *buf, size_t room)
{
    struct json_slice s;
    ptrdiff_t n = 0;

    if (json_text_find(json, bytes, path, &s) && s.kind == JSON_SCAN_STRING)
        n = json_text_unescape(buf, room - 1, s.at, s.bytes);
    buf[n > 0 ? n : 0] = '\0';
    return buf;
}

int resync_listed(struct census *listed, const char *app, const char *json, size_t bytes)
{
    struct json_slice ids, id;
    char text[ARI_ID_BYTES];

    if (json_scan(NULL, json, bytes, NULL, NULL) != TDM_OK)
        return TDM_EPROTO;
    if (json_text_find(json, bytes, "", &ids) && ids.kind == JSON_SCAN_ARRAY && ids.bytes == 2)
        return TDM_OK; /* "[]": a small server that keeps no books on apps, such as a load generator */
    if (!json_text_find(json, bytes, "channel_ids", &ids) || ids.kind != JSON_SCAN_ARRAY)
        return TDM_EPROTO;
    for (const char *p = ids.at; ari_json_next(&p, ids.at + ids.bytes, &id);) {
        const ptrdiff_t n =
            id.kind == JSON_SCAN_STRING ? json_text_unescape(text, sizeof text, id.at, id.bytes) : TDM_EPROTO;

        if (n <= 0)
            continue; /* no channel that we could ever have met */
        if (census_add(listed, app, strlen(app), text, (size_t)n, NULL) != TDM_OK)
            return TDM_ENOMEM;
    }
    census_sort(listed);
    return TDM_OK;
}

/* All channels of the server, under the app name "". */
static int read_channels(struct census *all, const char *json, size_t bytes)
{
    struct json_slice list, channel;
    char id[ARI_ID_BYTES + 1];

    if (json_scan(NULL, json, bytes, NULL, NULL) != TDM_OK || !json_text_find(json, bytes, "", &list) ||
        list.kind != JSON_SCAN_ARRAY)
        return TDM_EPROTO;
    for (const char *p = list.at; ari_json_next(&p, list.at + list.bytes, &channel);) {
        struct census_entry *e;

        text_at(channel.at, channel.bytes, "id", id, sizeof id);
        if (channel.kind != JSON_SCAN_OBJECT || id[0] == '\0')
            continue;
        if (census_add(all, "", 0, id, strlen(id), &e) != TDM_OK)
            return TDM_ENOMEM;
        e->snapshot = channel.at;
        e->snapshot_bytes = channel.bytes;
    }
    census_sort(all);
    return TDM_OK;
}

/* Servers before 16.4 do not say what the channel is doing. */
static bool is_in_stasis(const struct census_entry *channel)
{
    struct json_slice app_name;

    return !json_text_find(channel->snapshot, channel->snapshot_bytes, "dialplan.app_name", &app_name) ||
           (app_name.kind == JSON_SCAN_STRING && app_name.bytes >= 6 &&
            memcmp(app_name.at, "Stasis", 6) == 0);
}

/* How likely it is that the channel is in this one of several apps that list it. */
static int likeliness(const struct census_entry *listed, const struct census_entry *channel,
                      const struct census *known)
{
    const size_t bytes = strlen(listed->app);
    char data[1024];

    if (census_find(known, listed->app, listed->id) != NULL)
        return 2;
    text_at(channel->snapshot, channel->snapshot_bytes, "dialplan.app_data", data, sizeof data);
    return strncmp(data, listed->app, bytes) == 0 && (data[bytes] == '\0' || data[bytes] == ',');
}

int resync_present(struct census *present, const struct census *listed, const struct census *known,
                   const char *json, size_t bytes)
{
    struct census all;
    int err;

    census_init(&all, listed->env);
    err = read_channels(&all, json, bytes);
    for (size_t i = 0, next; err == TDM_OK && i < listed->n; i = next) {
        const struct census_entry *best = &listed->entry[i], *channel = census_find(&all, "", best->id);
        struct census_entry *e;

        /* the list is sorted by id: the same channel in other apps comes next */
        for (next = i + 1; next < listed->n && strcmp(listed->entry[next].id, best->id) == 0; next++)
            if (channel != NULL &&
                likeliness(&listed->entry[next], channel, known) > likeliness(best, channel, known))
                best = &listed->entry[next];
        if (channel == NULL || !is_in_stasis(channel))
            continue;
        err = census_add(present, best->app, strlen(best->app), best->id, strlen(best->id), &e);
        if (err == TDM_OK) {
            e->snapshot = channel->snapshot;
            e->snapshot_bytes = channel->snapshot_bytes;
        }
    }
    census_fini(&all);
    census_sort(present);
    return err;
}

/* ---- our side -------------------------------------------------------------------------------- */

struct collect {
    struct census *known;
    int err;
};

static void collect_call(void *ctx, const char *app, const char *id, tdm_place place)
{
    struct collect *c = ctx;

    (void)place;
    if (c->err == TDM_OK)
        c->err = census_add(c->known, app, strlen(app), id, strlen(id), NULL);
}

static int collect_known(struct resync *r)
{
    struct collect c = { .known = &r->known, .err = TDM_OK };

    tdm_source_each_call(r->a->source, collect_call, &c);
    census_sort(&r->known);
    return c.err;
}

/* Of which channels a start or an end waits, the first of each. */
static int collect_waiting(struct resync *r, const struct gate_frame *frames)
{
    char scratch[ARI_SCRATCH_BYTES];
    struct ari_frame f;
    struct census_entry *e;
    int err = TDM_OK;

    for (; frames != NULL && err == TDM_OK; frames = frames->next) {
        if (ari_wire_scan(&f, frames->data, frames->bytes, scratch, sizeof scratch, NULL) != TDM_OK ||
            f.keys == 0 || (f.kind != ARI_START && f.kind != ARI_END && f.event != ARI_CHANNEL_DESTROYED))
            continue;
        err = census_add(&r->waiting, f.application.at, f.application.bytes, f.key[0].id.at,
                         f.key[0].id.bytes, &e);
        if (err == TDM_OK)
            e->starts = f.kind == ARI_START;
    }
    census_sort(&r->waiting);
    return err;
}

static void add_to_state(struct tdm_ari_state *state, const void *arg)
{
    const struct resync *r = arg;

    state->resyncs++;
    state->adopted += r->adopted;
    state->ended_unseen += r->ended;
    state->server_restarts += r->restarted;
}

static void remember(char *to, size_t room, const char *told)
{
    if (told[0] != '\0')
        snprintf(to, room, "%s", told);
}

/* Step 4, and the events that had come by then. */
static int settle(struct resync *r)
{
    struct gate_frame *frames = gate_take(r->gate), *next;
    const int err = collect_waiting(r, frames);

    if (err == TDM_OK)
        census_compare(&r->known, &r->present, &r->waiting, r->restarted, carry_out, r);
    for (; frames != NULL; frames = next) {
        next = frames->next;
        if (err == TDM_OK)
            route_event(r->a, frames->data, frames->bytes);
        gate_frame_free(r->gate, frames);
    }
    if (err != TDM_OK)
        return err;
    (void)tdm_source_forget_notes(r->a->source);
    remember(r->a->entity_id, sizeof r->a->entity_id, r->entity_id);
    remember(r->a->startup_time, sizeof r->a->startup_time, r->startup_time);
    tdm_count(&adopted, (int64_t)r->adopted);
    tdm_count(&ended, (int64_t)r->ended);
    tdm_count(&restarts, r->restarted);
    ari_publish(r->a, add_to_state, r);
    tdm_log_info("ari.resync", "source=%s known=%zu present=%zu adopted=%llu ended=%llu server_restarted=%s",
                 r->a->cfg.name, r->known.n, r->present.n, (unsigned long long)r->adopted,
                 (unsigned long long)r->ended, r->restarted ? "yes" : "no");
    return RESYNC_DONE;
}

/* ---- the questions --------------------------------------------------------------------------- */

static int channels_told(struct resync *r, const struct tdm_http_reply *reply)
{
    int err = collect_known(r);

    if (err == TDM_OK)
        err = resync_present(&r->present, &r->listed, &r->known, reply->body, reply->body_bytes);
    return err == TDM_OK ? settle(r) : err;
}

static int app_told(struct resync *r, const struct tdm_http_reply *reply)
{
    int err = resync_listed(&r->listed, r->a->cfg.apps[r->app], reply->body, reply->body_bytes);

    if (err != TDM_OK)
        return err;
    if (r->a->cfg.apps[++r->app] != NULL)
        return ops_get_application(r->a, r->self, r->a->cfg.apps[r->app], &r->asked);
    r->step = channels_told;
    return ops_list_channels(r->a, r->self, &r->asked);
}

/* What a server does not tell is taken as unchanged. */
static bool differs(const char *have, const char *now)
{
    return have[0] != '\0' && now[0] != '\0' && strcmp(have, now) != 0;
}

static int info_told(struct resync *r, const struct tdm_http_reply *reply)
{
    if (json_scan(NULL, reply->body, reply->body_bytes, NULL, NULL) == TDM_OK) {
        text_at(reply->body, reply->body_bytes, "system.entity_id", r->entity_id, sizeof r->entity_id);
        text_at(reply->body, reply->body_bytes, "status.startup_time", r->startup_time,
                sizeof r->startup_time);
    }
    r->restarted = differs(r->a->entity_id, r->entity_id) || differs(r->a->startup_time, r->startup_time);
    r->step = app_told;
    return ops_get_application(r->a, r->self, r->a->cfg.apps[0], &r->asked);
}

int resync_reply(struct resync *r, struct tdm_msg *msg, bool *mine)
{
    const struct tdm_http_reply *reply = rest_reply(msg);
    char words[REST_WORDS_BYTES];
    int err;

    *mine = msg->ref == r->asked;
    if (!*mine)
        return TDM_OK;
    err = rest_outcome(reply, REST_OTHER, words);
    if (err == TDM_OK)
        err = r->step(r, reply);
    if (err < 0)
        tdm_log_warn("ari.resync_failed", "source=%s step=%s error=%s words=%s", r->a->cfg.name,
                     r->step == info_told  ? "info"
                     : r->step == app_told ? r->a->cfg.apps[r->app]
                                           : "channels",
                     tdm_errname(err), TDM_LOG_TEXT(words, strlen(words)));
    return err;
}

int resync_start(tdm_self *self, struct ari *a, struct gate *gate, struct resync **ret)
{
    struct resync *r = a->env->alloc(a->env, sizeof *r);
    int err;

    if (r == NULL)
        return TDM_ENOMEM;
    *r = (struct resync){ .a = a, .gate = gate, .self = tdm_self_pid(self), .step = info_told };
    census_init(&r->listed, a->env);
    census_init(&r->known, a->env);
    census_init(&r->present, a->env);
    census_init(&r->waiting, a->env);
    err = ops_info(a, r->self, &r->asked);
    if (err != TDM_OK) {
        resync_free(r);
        return err;
    }
    *ret = r;
    return TDM_OK;
}

void resync_free(struct resync *r)
{
    if (r == NULL)
        return;
    census_fini(&r->listed);
    census_fini(&r->known);
    census_fini(&r->present);
    census_fini(&r->waiting);
    r->a->env->free(r->a->env, r, sizeof *r);
}
