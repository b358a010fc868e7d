/* bridges.c - bridges, in their simple form: members come and go; a prompt plays to all of them.
 *
 * Making a bridge tells nobody, and its end only those who subscribed to it or have a channel in it, as on a
 * real server. A bridge stays when its channels and its app are gone. Source: observed on Asterisk 22.10. */
#include "inside.h"

#include <stdio.h>
#include <stdlib.h>

struct ex_bridge *ex_bridge_find(struct ex_model *m, const char *id)
{
    return ex_table_get(&m->bridges, id);
}

static void json_bridge(struct ex_text *t, const char *name, const struct ex_bridge *br)
{
    ex_json_open(t, name, '{');
    ex_json_str(t, "id", br->id);
    ex_json_str(t, "technology", strcmp(br->type, "holding") == 0 ? "holding_bridge" : "simple_bridge");
    ex_json_str(t, "bridge_type", br->type);
    ex_json_str(t, "bridge_class", "stasis");
    ex_json_str(t, "creator", "Stasis");
    ex_json_str(t, "name", br->name);
    ex_json_open(t, "channels", '[');
    for (const struct ex_channel *ch = br->first; ch != NULL; ch = ch->bridge_next)
        ex_json_str(t, NULL, ch->id);
    ex_json_close(t, ']');
    ex_json_str(t, "creationtime", br->creation);
    ex_json_str(t, "video_mode", "talker");
    ex_json_close(t, '}');
}

void ex_json_bridge(struct ex_text *t, const char *name, const struct ex_bridge *br)
{
    json_bridge(t, name, br);
}

void ex_bridge_free(struct ex_model *m, struct ex_bridge *br)
{
    struct ex_bridge **at = &m->first_bridge;

    while (*at != NULL && *at != br)
        at = &(*at)->next;
    if (*at != NULL)
        *at = br->next;
    ex_lane_free(m, &br->lane);
    ex_table_remove(&m->bridges, &br->entry);
    ex_free(m, br->id);
    ex_free(m, br->name);
    ex_free(m, br->type);
    ex_free(m, br->creation);
    ex_free(m, br);
}

static struct ex_bridge *bridge_new(struct ex_model *m, const char *id, const char *name, const char *type)
{
    struct ex_bridge *br = ex_alloc(m, sizeof *br), **end = &m->first_bridge;
    char stamp[40];

    if (br == NULL)
        return NULL;
    br->lane.bridge = br;
    br->id = ex_strdup(m, id);
    br->name = ex_strdup(m, name);
    br->type = ex_strdup(m, type);
    br->creation = ex_strdup(m, ex_stamp(m->wall_ns, stamp));
    if (br->id == NULL || br->name == NULL || br->type == NULL || br->creation == NULL ||
        ex_table_put(&m->bridges, &br->entry, br->id, br) < 0) {
        ex_bridge_free(m, br);
        return NULL;
    }
    while (*end != NULL)
        end = &(*end)->next;
    *end = br;
    return br;
}

static void member_event(struct ex_model *m, const struct ex_bridge *br, struct ex_channel *ch,
                         const char *type)
{
    struct ex_text *t = ex_event(m, type);

    json_bridge(t, "bridge", br);
    ex_json_channel(t, "channel", ch);
    ex_event_send(m, ch, br);
}

int ex_bridge_join(struct ex_model *m, struct ex_bridge *br, struct ex_channel *ch)
{
    if (ch->bridge == br)
        return TDM_OK;
    ex_bridge_leave(m, ch);
    ch->bridge = br;
    ch->bridge_next = br->first;
    br->first = ch;
    member_event(m, br, ch, "ChannelEnteredBridge");
    return TDM_OK;
}

void ex_bridge_leave(struct ex_model *m, struct ex_channel *ch)
{
    struct ex_bridge *br = ch->bridge;
    struct ex_channel **at = br == NULL ? NULL : &br->first;

    if (br == NULL)
        return;
    while (*at != ch)
        at = &(*at)->bridge_next;
    *at = ch->bridge_next;
    ch->bridge = NULL;
    member_event(m, br, ch, "ChannelLeftBridge");
}

/* ---- the operations -------------------------------------------------------------------------- */

static struct ex_bridge *need_bridge(struct ex_req *q)
{
    struct ex_bridge *br = ex_bridge_find(q->m, q->id[0]);

    if (br == NULL)
        ex_error(q, 404, "Bridge not found");
    return br;
}

void ex_op_bridge_list(struct ex_req *q)
{
    q->status = 200;
    ex_json_open(q->body, NULL, '[');
    for (const struct ex_bridge *br = q->m->first_bridge; br != NULL; br = br->next)
        json_bridge(q->body, NULL, br);
    ex_json_close(q->body, ']');
}

void ex_op_bridge_get(struct ex_req *q)
{
    const struct ex_bridge *br = need_bridge(q);

    if (br == NULL)
        return;
    q->status = 200;
    json_bridge(q->body, NULL, br);
}

static bool type_known(const char *type)
{
    static const char *const known[] = { "mixing",    "holding",      "dtmf_events", "proxy_media",
                                         "video_sfu", "video_single", "sdp_label" };

    while (*type != '\0') {
        size_t n = strcspn(type, ","), i = 0;
        while (i < sizeof known / sizeof *known && (strlen(known[i]) != n || strncmp(known[i], type, n) != 0))
            i++;
        if (i == sizeof known / sizeof *known)
            return false;
        type += n + (type[n] == ',');
    }
    return true;
}

void ex_op_bridge_create(struct ex_req *q)
{
    const char *id = q->id[0] != NULL ? q->id[0] : ex_param(q, "bridgeId");
    const char *type = ex_param(q, "type"), *name = ex_param(q, "name");
    char uuid[37], words[EX_ID_BYTES + 80];

    if (type == NULL)
        type = "mixing";
    if (!type_known(type) || (id != NULL && strlen(id) >= EX_ID_BYTES)) {
        snprintf(words, sizeof words, "Unable to create bridge. Possible duplicate bridge id '%.149s'",
                 id == NULL ? "(null)" : id);
        return ex_error(q, 500, words);
    }
    if (id != NULL && (ex_bridge_find(q->m, id) != NULL || ex_faults_in_use(q->m))) {
        snprintf(words, sizeof words, "Bridge with id '%s' already exists", id);
        return ex_error(q, 409, words);
    }
    if (id == NULL)
        ex_uuid(q->m, uuid);
    struct ex_bridge *br = bridge_new(q->m, id == NULL ? uuid : id, name == NULL ? "" : name,
                                      strstr(type, "holding") != NULL ? "holding" : "mixing");
    if (br == NULL)
        return ex_nomem(q);
    q->status = 200;
    json_bridge(q->body, NULL, br);
    json_bridge(ex_event(q->m, "BridgeCreated"), "bridge", br);
    ex_event_send(q->m, NULL, br);
}

void ex_op_bridge_destroy(struct ex_req *q)
{
    struct ex_bridge *br = need_bridge(q);
    char uri[EX_ID_BYTES + 16];

    if (br == NULL)
        return;
    ex_no_content(q);
    br->lane.running = true;
    ex_lane_hang_up(q->m, &br->lane);
    while (br->first != NULL)
        ex_bridge_leave(q->m, br->first);
    json_bridge(ex_event(q->m, "BridgeDestroyed"), "bridge", br);
    ex_event_send(q->m, NULL, br);
    snprintf(uri, sizeof uri, "bridge:%s", br->id);
    for (struct ex_app *app = q->m->apps, *next; app != NULL; app = next) {
        next = app->next;
        while (ex_app_unsubscribe(q->m, app, uri))
            ;
        ex_app_check(q->m, app);
    }
    ex_bridge_free(q->m, br);
}

struct members {
    struct ex_req *q;
    const struct ex_bridge *br;
    struct ex_text *list; /* of ids, separated by commas */
    bool leave, refused;
};

static void member_check(void *ctx, const char *id)
{
    struct members *w = ctx;
    const struct ex_channel *ch = ex_channel_find(w->q->m, id);

    if (w->refused)
        return;
    w->refused = true;
    if (ch == NULL)
        return ex_error(w->q, 400, "Channel not found");
    if (w->leave && ch->bridge != w->br)
        return ex_error(w->q, 422, "Channel not in this bridge");
    if (ch->app == NULL)
        return ex_error(w->q, 422, "Channel not in Stasis application");
    w->refused = false;
    if (w->list->bytes > 0)
        ex_text_puts(w->list, ",");
    ex_text_puts(w->list, id);
}

/* Both wait for the channels, one after the other. */
static void members_change(struct ex_req *q, enum ex_verb verb)
{
    struct ex_bridge *br = need_bridge(q);
    struct members w = { .q = q, .br = br, .list = &q->m->line, .leave = verb == EX_LEAVE };

    if (br == NULL)
        return;
    ex_text_clear(w.list);
    ex_param_each(q, "channel", member_check, &w);
    if (w.refused)
        return;
    if (w.list->bytes == 0)
        return ex_error(q, 400, "Missing parameter channel");
    char *rest = w.list->failed ? NULL : ex_scratch(q->m, w.list->bytes + 1);
    if (rest == NULL)
        return ex_nomem(q);
    strcpy(rest, w.list->at);
    struct ex_channel *ch = ex_channel_find(q->m, strsep(&rest, ","));
    q->about = ch->id;
    q->later = true;
    if (ex_lane_add(q->m, &ch->lane, verb, q->reply, NULL, br->id, rest) < 0) {
        q->later = false;
        ex_nomem(q);
    }
}

void ex_op_bridge_add(struct ex_req *q)
{
    members_change(q, EX_JOIN);
}

void ex_op_bridge_remove(struct ex_req *q)
{
    members_change(q, EX_LEAVE);
}

void ex_op_bridge_moh(struct ex_req *q)
{
    if (need_bridge(q) != NULL)
        ex_no_content(q);
}

void ex_op_bridge_play(struct ex_req *q)
{
    struct ex_bridge *br = need_bridge(q);

    if (br != NULL)
        ex_play(q, &br->lane, q->id[1]);
}
