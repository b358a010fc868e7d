/* playbacks.c - prompts: a list of media under one id, its turn in the lane, and its control.
 *
 * In zero time a prompt ends at the next tick, never inside the call that began it: the answer to `play`
 * and PlaybackStarted come before PlaybackFinished, as they do on a real server. */
#include "inside.h"

#include <stdio.h>

static const char *const state_words[] = { "queued", "playing", "paused" };

static bool scheme_is(const char *media, const char *scheme)
{
    return strncmp(media, scheme, strlen(scheme)) == 0;
}

/* Digits and numbers are spoken piece by piece and know no control (as Asterisk 22 does). */
static bool is_spoken(const char *media)
{
    return scheme_is(media, "digits:") || scheme_is(media, "number:") || scheme_is(media, "characters:");
}

static uint64_t sound_ms(const char *name)
{
    static const struct {
        const char *name;
        uint32_t ms;
    } known[] = {
        { "beep", 440 },       { "hello-world", 1420 },     { "vm-enter-num-to-call", 2110 },
        { "vm-goodbye", 640 }, { "tt-monkeysintro", 2700 }, { "demo-congrats", 27540 },
        { "silence/1", 1000 }, { "invalid", 1900 },         { "queue-thankyou", 3300 },
    };
    static const char silence[] = "silence/";

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].ms;
    if (strncmp(name, silence, sizeof silence - 1) == 0)
        return (uint64_t)(name[sizeof silence - 1] - '0') % 10 * 1000;
    return strncmp(name, "digits/", 7) == 0 ? 550 : 400 + ex_hash(name) % 3600;
}

/* A tone ends by itself only when each of its parts is marked to be played once. */
static bool tone_ends(const char *tones)
{
    for (; *tones != '\0'; tones += strcspn(tones, ","), tones += *tones == ',')
        if (*tones != '!')
            return false;
    return true;
}

uint64_t ex_media_ns(const struct ex_model *m, const char *media)
{
    const char *rest = strchr(media, ':');
    uint64_t ms;

    if (m->cfg.faults.endless_playbacks || rest == NULL)
        return TDM_FOREVER;
    rest++;
    if (scheme_is(media, "tone:"))
        ms = tone_ends(rest) ? 1000 : UINT64_MAX;
    else if (is_spoken(media))
        ms = 600 * strlen(rest);
    else if (scheme_is(media, "sound:") || scheme_is(media, "recording:"))
        ms = sound_ms(rest);
    else
        ms = UINT64_MAX; /* an unknown scheme starts and never ends */
    if (ms == UINT64_MAX)
        return TDM_FOREVER;
    return m->cfg.real_time ? EX_MS(ms) : 0;
}

static bool media_missing(const char *media)
{
    return scheme_is(media, "sound:no-such") || scheme_is(media, "sound:missing");
}

static void json_playback(struct ex_text *t, const char *name, const struct ex_playback *p, const char *state)
{
    ex_json_open(t, name, '{');
    ex_json_str(t, "id", p->id);
    ex_json_str(t, "media_uri", p->item->text);
    if (p->item->next != NULL)
        ex_json_str(t, "next_media_uri", p->item->next->text);
    ex_json_str(t, "target_uri", p->target);
    ex_json_str(t, "language", p->language);
    ex_json_str(t, "state", state);
    ex_json_close(t, '}');
}

void ex_json_playback(struct ex_text *t, const char *name, const struct ex_playback *p)
{
    json_playback(t, name, p, state_words[p->state]);
}

void ex_playback_free(struct ex_model *m, struct ex_playback *p)
{
    ex_cancel(m, &p->timer);
    ex_table_remove(&m->playbacks, &p->entry);
    ex_names_free(m, &p->media);
    ex_free(m, p->id);
    ex_free(m, p->language);
    ex_free(m, p->target);
    ex_free(m, p);
}

struct ex_playback *ex_playback_new(struct ex_model *m, struct ex_lane *lane, const char *id,
                                    const char *language)
{
    struct ex_playback *p = ex_alloc(m, sizeof *p);
    char target[EX_ID_BYTES * 2];

    if (p == NULL)
        return NULL;
    snprintf(target, sizeof target, "%s:%s", lane->channel != NULL ? "channel" : "bridge",
             lane->channel != NULL ? lane->channel->id : lane->bridge->id);
    p->lane = lane;
    p->id = ex_strdup(m, id);
    p->language = ex_strdup(m, language);
    p->target = ex_strdup(m, target);
    if (p->id == NULL || p->language == NULL || p->target == NULL ||
        ex_table_put(&m->playbacks, &p->entry, p->id, p) < 0) {
        ex_playback_free(m, p);
        return NULL;
    }
    return p;
}

static void playback_event(struct ex_model *m, const struct ex_playback *p, const char *type,
                           const char *state)
{
    json_playback(ex_event(m, type), "playback", p, state);
    ex_event_send(m, p->lane->channel, p->lane->bridge);
}

static void item_begin(struct ex_model *m, struct ex_playback *p);

static void item_over(struct ex_model *m, void *owner)
{
    struct ex_playback *p = owner;

    if (p->item->next == NULL)
        return ex_playback_over(m, p, "done", true);
    playback_event(m, p, "PlaybackContinuing", "continuing");
    p->item = p->item->next;
    item_begin(m, p);
}

/* The present item starts, or goes on after a pause with `left_ns`. */
static void item_begin(struct ex_model *m, struct ex_playback *p)
{
    uint64_t ns = p->state == EX_PAUSED ? p->left_ns : ex_media_ns(m, p->item->text);

    p->state = EX_PLAYING;
    playback_event(m, p, "PlaybackStarted", "playing");
    if (p->fails || media_missing(p->item->text))
        return ex_playback_over(m, p, "failed", true);
    if (ns != TDM_FOREVER && ex_later(m, &p->timer, ns, item_over, p) < 0)
        ex_playback_over(m, p, "failed", true);
}

void ex_playback_begin(struct ex_model *m, struct ex_playback *p)
{
    struct ex_channel *ch = p->lane->channel;

    p->item = p->media;
    p->lane->now = p;
    if (ch != NULL) {
        ch->plays_started++;
        ex_caller_poke(m, ch);
    }
    item_begin(m, p);
}

void ex_playback_over(struct ex_model *m, struct ex_playback *p, const char *state, bool tell)
{
    struct ex_lane *lane = p->lane;

    if (tell)
        playback_event(m, p, "PlaybackFinished", state);
    if (lane->now == p)
        lane->now = NULL;
    ex_playback_free(m, p);
    if (lane->channel != NULL)
        ex_caller_poke(m, lane->channel);
    ex_lane_run(m, lane);
}

/* Take a playback that waits out of its lane. */
static void lane_forget(struct ex_model *m, struct ex_lane *lane, const struct ex_playback *p)
{
    struct ex_command **at = &lane->first, *before = NULL;

    while (*at != NULL && (*at)->playback != p) {
        before = *at;
        at = &(*at)->next;
    }
    struct ex_command *c = *at;
    if (c == NULL)
        return;
    *at = c->next;
    if (lane->last == c)
        lane->last = before;
    ex_free(m, c->a);
    ex_free(m, c->b);
    ex_free(m, c);
}

void ex_playback_stop(struct ex_model *m, struct ex_playback *p)
{
    if (p->lane->now != p)
        lane_forget(m, p->lane, p);
    ex_playback_over(m, p, "done", true);
}

/* ---- the operations -------------------------------------------------------------------------- */

static struct ex_playback *need_playback(struct ex_req *q)
{
    struct ex_playback *p = ex_table_get(&q->m->playbacks, q->id[0]);

    if (p == NULL)
        ex_error(q, 404, "Playback not found");
    else if (p->lane->channel != NULL)
        q->about = p->lane->channel->id;
    return p;
}

void ex_op_playback_get(struct ex_req *q)
{
    const struct ex_playback *p = need_playback(q);

    if (p == NULL)
        return;
    q->status = 200;
    ex_json_playback(q->body, NULL, p);
}

void ex_op_playback_stop(struct ex_req *q)
{
    struct ex_playback *p = need_playback(q);

    if (p == NULL)
        return;
    if (p->lane->now == p && is_spoken(p->item->text))
        return ex_error(q, 500, "Could not stop playback");
    ex_no_content(q);
    ex_playback_stop(q->m, p);
}

static void playback_pause(struct ex_model *m, struct ex_playback *p)
{
    p->state = EX_PAUSED;
    p->left_ns = p->timer.place == 0          ? TDM_FOREVER
                 : p->timer.at_ns > m->now_ns ? p->timer.at_ns - m->now_ns
                                              : 0;
    ex_cancel(m, &p->timer);
}

/* Move the place in the present sound by whole skips of three seconds. */
static void playback_seek(struct ex_model *m, struct ex_playback *p, const char *operation)
{
    uint64_t whole = ex_media_ns(m, p->item->text), skip = EX_MS(3000);
    uint64_t left = p->timer.place == 0 ? 0 : p->timer.at_ns - m->now_ns;

    if (p->timer.place == 0)
        return;
    if (strcmp(operation, "restart") == 0 || (strcmp(operation, "reverse") == 0 && left + skip > whole))
        left = whole;
    else if (strcmp(operation, "reverse") == 0)
        left += skip;
    else
        left = left > skip ? left - skip : 0;
    ex_later(m, &p->timer, left, item_over, p);
}

void ex_op_playback_control(struct ex_req *q)
{
    static const char *const known[] = { "restart", "pause", "unpause", "reverse", "forward" };
    const char *operation = ex_param(q, "operation");
    struct ex_playback *p = need_playback(q);
    char words[160];
    size_t i = 0;

    if (p == NULL)
        return;
    while (i < sizeof known / sizeof *known && (operation == NULL || strcmp(operation, known[i]) != 0))
        i++;
    if (i == sizeof known / sizeof *known) {
        snprintf(words, sizeof words, "Invalid operation %.100s", operation == NULL ? "" : operation);
        return ex_error(q, 400, words);
    }
    if (p->lane->now != p || is_spoken(p->item->text) || (i == 2) != (p->state == EX_PAUSED))
        return ex_error(q, 409, "Playback not in a state that allows the operation");
    ex_no_content(q);
    if (i == 1)
        playback_pause(q->m, p);
    else if (i == 2)
        item_begin(q->m, p);
    else
        playback_seek(q->m, p, operation);
}
