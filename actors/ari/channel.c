/* channel.c - an ARI channel as a call: verbs to requests, events and answers to signs.
 *
 * Idea:     each verb is one request; what is outstanding stands in `pending`, by the request's ref. A
 *           verb whose answer says only "queued" (move) or whose end is told by an event (play) stays
 *           open until that event.
 * Playback: its id is chosen and registered before the request, because its events may overtake the
 *           answer. Of a play the call hears exactly one end, whichever comes first: PlaybackFinished,
 *           a refused request, or the server not knowing it any more. A stop that is asked for before
 *           the request has been answered is sent after it: sent earlier it would find nothing to stop.
 * Vanished: "not found" for a playback we asked about may only mean that its last event is still on
 *           the other socket. So we ask twice: a round trip later that event has been delivered.
 * Touched by the actor of the call only. */
#include "channel.h"
#include "conn.h"
#include "json_text.h"
#include "ops.h"
#include "orphan.h"
#include "receipts.h"
#include "tandem/ws.h"
#include "trail.h"

#include <stdio.h>
#include <string.h>

enum { PENDING_MAX = 24, PLAYS_MAX = 8 };

enum purpose { FREE, PLAIN, ANSWER, HANGUP, MOVE, GET_VAR, PLAY, STOP_PLAY, ASK_PLAY, ASK_CHANNEL };

struct pending {
    tdm_ref ref, op;
    enum purpose purpose;
};

struct play {
    tdm_ref op; /* 0: free */
    char id[ARI_NEW_ID_BYTES];
    bool posted;  /* the request was answered: the server knows it */
    bool started; /* heard of it */
    bool stop;    /* to be stopped */
    bool missing; /* the server did not know it when asked once */
};

struct channel {
    struct ari *a;
    tdm_pid self;
    struct pending pending[PENDING_MAX];
    struct play plays[PLAYS_MAX];
    tdm_ref moving; /* op of the move that was accepted and not carried out yet; 0: none */
    int cause;      /* of the last hang-up request that named one */
};

/* ---- outstanding requests -------------------------------------------------------------------- */

static struct pending *pending_by_ref(struct channel *c, tdm_ref ref)
{
    for (int i = 0; i < PENDING_MAX; i++)
        if (c->pending[i].purpose != FREE && c->pending[i].ref == ref)
            return &c->pending[i];
    return NULL;
}

/* A place for the request that is about to be sent; NULL: too many are under way. */
static struct pending *pending_new(struct channel *c, enum purpose purpose, tdm_ref op)
{
    for (int i = 0; i < PENDING_MAX; i++)
        if (c->pending[i].purpose == FREE) {
            c->pending[i] = (struct pending){ .op = op, .purpose = purpose };
            return &c->pending[i];
        }
    return NULL;
}

/* The request was sent, or not: keep the place or give it back. */
static int sent(struct pending *p, int err)
{
    if (err != TDM_OK)
        p->purpose = FREE;
    return err;
}

/* ---- verbs ----------------------------------------------------------------------------------- */

static int channel_answer(tdm_call *call, void *mine, tdm_ref op)
{
    struct channel *c = mine;
    struct pending *p = pending_new(c, ANSWER, op);

    return p == NULL ? TDM_EBUSY : sent(p, ops_answer(c->a, c->self, tdm_call_id(call), &p->ref));
}

static int channel_hangup(tdm_call *call, void *mine, tdm_ref op, int cause)
{
    struct channel *c = mine;
    struct pending *p = pending_new(c, HANGUP, op);

    return p == NULL ? TDM_EBUSY : sent(p, ops_hangup(c->a, c->self, tdm_call_id(call), cause, &p->ref));
}

static int channel_hand_back(tdm_call *call, void *mine, tdm_ref op, const char *context, const char *exten,
                             int priority)
{
    struct channel *c = mine;
    struct pending *p = pending_new(c, PLAIN, op);

    return p == NULL
               ? TDM_EBUSY
               : sent(p, ops_continue(c->a, c->self, tdm_call_id(call), context, exten, priority, &p->ref));
}

/* Two moves at once may be carried out as one, with the arguments of both (observed on Asterisk 22.10). */
static int channel_move(tdm_call *call, void *mine, tdm_ref op, const char *app, const char *args)
{
    struct channel *c = mine;
    struct pending *p = c->moving == 0 ? pending_new(c, MOVE, op) : NULL;

    if (p == NULL)
        return TDM_EBUSY;
    c->moving = op;
    const int err = sent(p, ops_move(c->a, c->self, tdm_call_id(call), app, args, &p->ref));

    if (err != TDM_OK)
        c->moving = 0;
    return err;
}

static int channel_set_var(tdm_call *call, void *mine, tdm_ref op, const char *name, const char *value)
{
    struct channel *c = mine;
    struct pending *p = pending_new(c, PLAIN, op);

    return p == NULL ? TDM_EBUSY
                     : sent(p, ops_set_var(c->a, c->self, tdm_call_id(call), name, value, &p->ref));
}

static int channel_get_var(tdm_call *call, void *mine, tdm_ref op, const char *name)
{
    struct channel *c = mine;
    struct pending *p = pending_new(c, GET_VAR, op);

    return p == NULL ? TDM_EBUSY : sent(p, ops_get_var(c->a, c->self, tdm_call_id(call), name, &p->ref));
}

/* ---- playbacks ------------------------------------------------------------------------------- */

static struct play *play_by_op(struct channel *c, tdm_ref op)
{
    for (int i = 0; i < PLAYS_MAX; i++)
        if (op != 0 && c->plays[i].op == op)
            return &c->plays[i];
    return NULL;
}

static struct play *play_by_id(struct channel *c, const char *id)
{
    for (int i = 0; i < PLAYS_MAX; i++)
        if (id != NULL && c->plays[i].op != 0 && strcmp(c->plays[i].id, id) == 0)
            return &c->plays[i];
    return NULL;
}

static struct play *play_free_slot(struct channel *c)
{
    int i = 0;

    while (i < PLAYS_MAX && c->plays[i].op != 0)
        i++;
    return i < PLAYS_MAX ? &c->plays[i] : NULL;
}

/* Free the slot before the sign: the verb may begin the next playback within it. */
static tdm_ref play_forget(tdm_call *call, struct play *p)
{
    const tdm_ref op = p->op;

    tdm_call_let_go(call, "playback", p->id);
    *p = (struct play){ .op = 0 };
    return op;
}

static void play_over(tdm_call *call, struct play *p, enum tdm_play_word word)
{
    if (word == TDM_PLAY_FINISHED && p->stop)
        word = TDM_PLAY_INTERRUPTED;
    tdm_call_play_ended(call, play_forget(call, p), word);
}

static int channel_play(tdm_call *call, void *mine, tdm_ref op, const struct tdm_play_request *req)
{
    struct channel *c = mine;
    struct play *play = play_free_slot(c);
    struct pending *p = play != NULL ? pending_new(c, PLAY, op) : NULL;
    int err;

    if (p == NULL)
        return TDM_EBUSY;
    *play = (struct play){ .op = op };
    ari_new_id(c->a, play->id);
    err = tdm_call_own(call, "playback", play->id);
    if (err == TDM_OK)
        err = ops_play(c->a, c->self, tdm_call_id(call), play->id, req->media, req->language, &p->ref);
    if (err != TDM_OK)
        (void)play_forget(call, play);
    return sent(p, err);
}

static int send_stop(struct channel *c, const struct play *play)
{
    struct pending *p = pending_new(c, STOP_PLAY, play->op);

    return p == NULL ? TDM_EBUSY : sent(p, ops_stop_playback(c->a, c->self, play->id, &p->ref));
}

static int channel_play_stop(tdm_call *call, void *mine, tdm_ref op)
{
    struct channel *c = mine;
    struct play *play = play_by_op(c, op);

    (void)call;
    if (play == NULL)
        return TDM_ENOTFOUND;
    play->stop = true;
    return play->posted || play->started ? send_stop(c, play) : TDM_OK;
}

static int channel_play_ask(tdm_call *call, void *mine, tdm_ref op)
{
    struct channel *c = mine;
    struct play *play = play_by_op(c, op);
    struct pending *p = play != NULL ? pending_new(c, ASK_PLAY, op) : NULL;

    (void)call;
    if (p == NULL)
        return play == NULL ? TDM_ENOTFOUND : TDM_EBUSY;
    return sent(p, ops_get_playback(c->a, c->self, play->id, &p->ref));
}

/* ---- answers --------------------------------------------------------------------------------- */

static void play_answered(tdm_call *call, struct channel *c, struct play *play, int err, const char *words)
{
    if (err != TDM_OK) {
        tdm_call_done(call, play_forget(call, play), err, words, NULL);
        return;
    }
    play->posted = true;
    if (play->stop && !play->started) /* otherwise the stop was sent when it was asked for */
        (void)send_stop(c, play);
}

/* Not found: it is over, and the server said so or never will. Refused (500): it can not be stopped,
 * as `number:` and `digits:` can not, and will end by itself. */
static void stop_answered(tdm_call *call, struct play *play, int err)
{
    if (err == TDM_ENOTFOUND)
        play_over(call, play, TDM_PLAY_FINISHED);
}

static void ask_answered(tdm_call *call, struct channel *c, struct play *play, int err)
{
    if (err == TDM_ENOTFOUND && (play->posted || play->started)) {
        if (play->missing) {
            play_over(call, play, TDM_PLAY_FAILED);
            return;
        }
        play->missing = true;
        if (channel_play_ask(call, c, play->op) != TDM_OK)
            play_over(call, play, TDM_PLAY_FAILED);
        return;
    }
    if (err == TDM_OK)
        tdm_call_play_started(call, play->op); /* known, be it only queued: it goes on */
}

static void var_answered(tdm_call *call, tdm_ref op, int err, const char *words,
                         const struct tdm_http_reply *reply)
{
    struct json_slice value;
    char *text = NULL;
    ptrdiff_t bytes = 0;

    if (err == TDM_OK &&
        (json_scan(NULL, reply->body, reply->body_bytes, NULL, NULL) != TDM_OK ||
         !json_text_find(reply->body, reply->body_bytes, "value", &value) || value.kind != JSON_SCAN_STRING))
        err = TDM_EPROTO;
    if (err == TDM_OK) {
        text = tdm_alloc(tdm_call_self(call), value.bytes + 1u);
        bytes = text != NULL ? json_text_unescape(text, value.bytes, value.at, value.bytes) : TDM_ENOMEM;
        err = bytes < 0 ? (int)bytes : TDM_OK;
    }
    tdm_call_done(call, op, err, words, err == TDM_OK ? text : NULL);
    tdm_free(tdm_call_self(call), text);
}

static bool json_says_up(const char *json, size_t bytes)
{
    struct json_slice state;

    return json_scan(NULL, json, bytes, NULL, NULL) == TDM_OK &&
           json_text_find(json, bytes, "state", &state) && state.bytes == 2 && memcmp(state.at, "Up", 2) == 0;
}

static void move_answered(tdm_call *call, struct channel *c, tdm_ref op, int err, const char *words)
{
    if (err == TDM_OK)
        return; /* accepted: StasisEnd or ApplicationMoveFailed tells the rest */
    c->moving = 0;
    tdm_call_done(call, op, err, words, NULL);
}

static void answered(tdm_call *call, struct channel *c, const struct pending *p,
                     const struct tdm_http_reply *reply)
{
    static const enum rest_about about[] = {
        [PLAIN] = REST_CHANNEL,      [ANSWER] = REST_CHANNEL,    [HANGUP] = REST_CHANNEL,
        [MOVE] = REST_CHANNEL,       [GET_VAR] = REST_VARIABLE,  [PLAY] = REST_CHANNEL,
        [STOP_PLAY] = REST_PLAYBACK, [ASK_PLAY] = REST_PLAYBACK, [ASK_CHANNEL] = REST_CHANNEL,
    };
    char words[REST_WORDS_BYTES];
    int err = rest_outcome(reply, about[p->purpose], words);
    struct play *play = play_by_op(c, p->op);

    switch (p->purpose) {
    case HANGUP:
        tdm_call_done(call, p->op, err == TDM_EHANGUP ? TDM_OK : err, words, NULL);
        break;
    case ANSWER:
        if (err == TDM_OK)
            tdm_call_is_answered(call);
        tdm_call_done(call, p->op, err, words, NULL);
        break;
    case MOVE:
        move_answered(call, c, p->op, err, words);
        break;
    case GET_VAR:
        var_answered(call, p->op, err, words, reply);
        break;
    case PLAY:
        if (play != NULL)
            play_answered(call, c, play, err, words);
        break;
    case STOP_PLAY:
        if (play != NULL)
            stop_answered(call, play, err);
        break;
    case ASK_PLAY:
        if (play != NULL)
            ask_answered(call, c, play, err);
        break;
    case ASK_CHANNEL:
        if (err == TDM_OK && json_says_up(reply->body, reply->body_bytes))
            tdm_call_is_answered(call);
        break;
    default:
        tdm_call_done(call, p->op, err, words, NULL);
    }
}

static bool channel_message(tdm_call *call, void *mine, struct tdm_msg *msg)
{
    struct channel *c = mine;
    const struct tdm_http_reply *reply = rest_reply(msg);
    struct pending *p = reply != NULL ? pending_by_ref(c, msg->ref) : NULL;
    struct pending copy;

    if (p == NULL)
        return reply != NULL; /* an answer to an earlier incarnation's request: still ours */
    copy = *p;
    p->purpose = FREE;
    answered(call, c, &copy, reply);
    return true;
}

/* ---- events ---------------------------------------------------------------------------------- */

static void on_digit(tdm_call *call, struct channel *c, tdm_event *ev)
{
    const char *digit = tdm_event_str(ev, "digit");

    (void)c;
    if (digit != NULL && digit[0] != '\0')
        tdm_call_digit(call, digit[0]);
}

static void on_playback_started(tdm_call *call, struct channel *c, tdm_event *ev)
{
    struct play *play = play_by_id(c, tdm_event_str(ev, "playback.id"));

    if (play == NULL) {
        orphan_event(c->a, call, ev);
        return;
    }
    if (play->stop && !play->started && !play->posted) /* the answer is late; it can be stopped now */
        (void)send_stop(c, play);
    play->started = true;
    tdm_call_play_started(call, play->op);
}

static void on_playback_finished(tdm_call *call, struct channel *c, tdm_event *ev)
{
    struct play *play = play_by_id(c, tdm_event_str(ev, "playback.id"));
    const char *state = tdm_event_str(ev, "playback.state");

    if (play == NULL)
        orphan_event(c->a, call, ev);
    else
        play_over(call, play,
                  state != NULL && strcmp(state, "failed") == 0 ? TDM_PLAY_FAILED : TDM_PLAY_FINISHED);
}

/* "soft": the number is one of Asterisk's own flags and not a cause. */
static void on_hangup_request(tdm_call *call, struct channel *c, tdm_event *ev)
{
    const int64_t cause = tdm_event_int(ev, "cause", 0);

    (void)call;
    if (!tdm_event_bool(ev, "soft", false) && cause > 0 && cause < 128)
        c->cause = (int)cause;
}

static void on_end(tdm_call *call, struct channel *c, tdm_event *ev)
{
    const int64_t cause = tdm_event_int(ev, "cause", c->cause);

    tdm_call_has_ended(call, cause > 0 && cause < 128 ? (int)cause : TDM_CAUSE_NORMAL);
}

static void on_move_failed(tdm_call *call, struct channel *c, tdm_event *ev)
{
    const tdm_ref op = c->moving;

    (void)ev;
    c->moving = 0;
    if (op != 0)
        tdm_call_done(call, op, TDM_ENOTFOUND,
                      "the app is not registered with the server, or its connection is down", NULL);
}

/* Events may be missing: what we wait for may have happened. */
static void on_gap(tdm_call *call, struct channel *c, tdm_event *ev)
{
    struct pending *p = tdm_call_answered(call) ? NULL : pending_new(c, ASK_CHANNEL, 0);

    (void)ev;
    for (int i = 0; i < PLAYS_MAX; i++)
        if (c->plays[i].op != 0)
            (void)channel_play_ask(call, c, c->plays[i].op);
    if (p != NULL)
        (void)sent(p, ops_get_channel(c->a, c->self, tdm_call_id(call), &p->ref));
}

static void take_args(tdm_call *call, tdm_event *start)
{
    enum { MOST = 32 };
    const char *argv[MOST];
    const int count = tdm_event_count(start, "args");
    int argc = 0;

    for (char path[24]; argc < count && argc < MOST; argc++) {
        snprintf(path, sizeof path, "args.%d", argc);
        argv[argc] = tdm_event_str(start, path);
        if (argv[argc] == NULL)
            argv[argc] = "";
    }
    tdm_call_set_args(call, argc, argv);
}

/* The start event, or a snapshot in its place. */
static void take_start(tdm_call *call, tdm_event *start)
{
    const char *caller = tdm_event_str(start, "channel.caller.number");
    const char *exten = tdm_event_str(start, "channel.dialplan.exten");

    tdm_call_set_number(call, caller != NULL ? caller : "", exten != NULL ? exten : "");
    take_args(call, start);
}

/* Also told to the owner of a channel that this one replaces. */
static bool is_about_us(tdm_call *call, tdm_event *ev)
{
    const char *id = tdm_event_str(ev, "channel.id");

    return id != NULL && strcmp(id, tdm_call_id(call)) == 0;
}

/* The true start of a call that was adopted a moment before it came. */
static void on_start(tdm_call *call, struct channel *c, tdm_event *ev)
{
    (void)c;
    if (tdm_call_adopted(call) && is_about_us(call, ev))
        take_start(call, ev);
}

static const struct {
    const char *type;
    void (*fn)(tdm_call *call, struct channel *c, tdm_event *ev);
} reactions[] = {
    { "ChannelDtmfReceived", on_digit },
    { "PlaybackStarted", on_playback_started },
    { "PlaybackFinished", on_playback_finished },
    { "ChannelHangupRequest", on_hangup_request },
    { "StasisEnd", on_end },
    { "ChannelDestroyed", on_end },
    { "ApplicationMoveFailed", on_move_failed },
    { "TandemGap", on_gap },
    { "StasisStart", on_start },
};

static void send_receipt(tdm_call *call, struct channel *c)
{
    const tdm_conn conn = { atomic_load_explicit(&c->a->conn, memory_order_relaxed) };
    char text[RECEIPT_BYTES];
    const size_t bytes = receipts_end(c->a->receipts, tdm_event_application(tdm_call_start_event(call)),
                                      tdm_call_id(call), text, sizeof text);

    if (bytes > 0 && conn.id != 0)
        (void)tdm_ws_send(c->a->rt, conn, text, bytes);
}

static void channel_event(tdm_call *call, void *mine, tdm_event *ev)
{
    struct channel *c = mine;
    const char *type = tdm_event_type(ev), *state;

    if (c->a->receipts != NULL)
        receipts_event(c->a->receipts, tdm_event_application(tdm_call_start_event(call)), tdm_call_id(call),
                       ev);
    if (c->a->trail != NULL)
        trail_took(c->a->trail, call, ev);
    if (!tdm_call_answered(call) && (state = tdm_event_str(ev, "channel.state")) != NULL &&
        strcmp(state, "Up") == 0 && is_about_us(call, ev))
        tdm_call_is_answered(call);
    for (size_t i = 0; i < sizeof reactions / sizeof reactions[0]; i++)
        if (strcmp(type, reactions[i].type) == 0) {
            reactions[i].fn(call, c, ev);
            if (reactions[i].fn == on_end && c->a->receipts != NULL)
                send_receipt(call, c);
            return;
        }
}

/* ---- an incarnation's life ------------------------------------------------------------------- */

static int channel_begin(tdm_call *call, void *mine, tdm_event *start)
{
    struct channel *c = mine;
    const char *state = tdm_event_str(start, "channel.state");
    struct pending *p;

    c->a = tdm_source_self(tdm_call_source_of(call));
    c->self = tdm_self_pid(tdm_call_self(call));
    take_start(call, start);
    if (state != NULL && strcmp(state, "Up") == 0)
        tdm_call_is_answered(call);
    if (c->a->receipts != NULL)
        receipts_begin(c->a->receipts, tdm_event_application(start), tdm_call_id(call), start,
                       tdm_call_restarts(call));
    if (c->a->trail != NULL)
        trail_begun(c->a->trail, call, start);
    if (tdm_call_restarts(call) > 0)
        orphans_stop(c->a, call);
    /* A restarted actor has the old snapshot: whether it is answered by now, the server knows. */
    if (tdm_call_restarts(call) > 0 && !tdm_call_answered(call) &&
        (p = pending_new(c, ASK_CHANNEL, 0)) != NULL)
        (void)sent(p, ops_get_channel(c->a, c->self, tdm_call_id(call), &p->ref));
    return TDM_OK;
}

static void channel_end(tdm_call *call, void *mine)
{
    struct channel *c = mine;

    if (c->a->trail != NULL)
        trail_gone(c->a->trail, call);
}

/* No actor any more; the answer is logged by the connection actor if it is a refusal. */
static void channel_give_up(struct tdm_source *src, const char *app, const char *id, enum tdm_on_give_up how)
{
    struct ari *a = tdm_source_self(src);
    const tdm_pid actor = { atomic_load_explicit(&a->conn_actor, memory_order_relaxed) };
    tdm_ref ref;

    (void)app;
    if (how == TDM_GIVE_UP_HAND_BACK)
        (void)ops_continue(a, actor, id, NULL, NULL, 0, &ref);
    else if (how == TDM_GIVE_UP_HANGUP)
        (void)ops_hangup(a, actor, id, TDM_CAUSE_FAILURE, &ref);
}

static void channel_adopt(struct tdm_source *src)
{
    struct ari *a = tdm_source_self(src);
    const tdm_pid actor = { atomic_load_explicit(&a->conn_actor, memory_order_relaxed) };
    struct tdm_msg *msg = tdm_msg_new(a->rt, CONN_MSG_ADOPT, 0);

    if (msg != NULL && tdm_send(a->rt, actor, msg) != TDM_OK)
        tdm_msg_free(a->rt, msg);
}

const struct tdm_source_ops channel_ops = {
    .kind = "ari",
    .call_bytes = sizeof(struct channel),
    .begin = channel_begin,
    .end = channel_end,
    .answer = channel_answer,
    .hangup = channel_hangup,
    .hand_back = channel_hand_back,
    .move = channel_move,
    .play = channel_play,
    .play_stop = channel_play_stop,
    .play_ask = channel_play_ask,
    .set_var = channel_set_var,
    .get_var = channel_get_var,
    .give_up = channel_give_up,
    .adopt = channel_adopt,
    .event = channel_event,
    .message = channel_message,
};
