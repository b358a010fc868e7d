/* lane.c - the commands of one channel, carried out one after the other as the channel's own thread would.
 *
 * While a prompt plays nothing else is done: that is why the requests that wait for the deed (answer, set a
 * variable, join and leave a bridge) wait as long as the prompt takes, while those that are answered when
 * they are queued (play, move, continue) only take effect later. Source: observed on Asterisk 22.10.
 *
 * No command frees the lane: what ends a channel from inside goes through a timer. */
#include "inside.h"

#include <stdlib.h>

bool ex_lane_idle(const struct ex_lane *lane)
{
    return lane->now == NULL && lane->first == NULL;
}

static void command_free(struct ex_model *m, struct ex_command *c)
{
    ex_free(m, c->a);
    ex_free(m, c->b);
    ex_free(m, c);
}

int ex_lane_add(struct ex_model *m, struct ex_lane *lane, enum ex_verb verb, struct ex_reply reply,
                struct ex_playback *playback, const char *a, const char *b)
{
    struct ex_command *c = ex_alloc(m, sizeof *c);

    if (c == NULL)
        return TDM_ENOMEM;
    c->verb = verb;
    c->reply = reply;
    c->playback = playback;
    if ((a != NULL && (c->a = ex_strdup(m, a)) == NULL) || (b != NULL && (c->b = ex_strdup(m, b)) == NULL)) {
        command_free(m, c);
        return TDM_ENOMEM;
    }
    if (lane->first == NULL)
        lane->first = c;
    else
        lane->last->next = c;
    lane->last = c;
    ex_lane_run(m, lane);
    return TDM_OK;
}

/* ---- the deeds ------------------------------------------------------------------------------- */

static void do_move(struct ex_model *m, struct ex_channel *ch, const struct ex_command *c)
{
    const struct ex_app *target = ex_app_find(m, c->a);

    if (ch->app == NULL)
        return;
    if (target != NULL && target->conn != NULL) {
        ex_channel_leave(m, ch);
        ex_channel_enter(m, ch, c->a, c->b);
        return;
    }
    struct ex_text *t = ex_event(m, "ApplicationMoveFailed");
    ex_json_channel(t, "channel", ch);
    ex_json_str(t, "destination", c->a);
    ex_json_args(t, c->b);
    ex_event_send_to(m, ch->app, ch);
}

/* a: context and priority as "priority context"; b: extension. */
static void do_continue(struct ex_model *m, struct ex_channel *ch, const struct ex_command *c)
{
    char *context;
    int priority = (int)strtol(c->a, &context, 10);

    if (ch->app == NULL)
        return;
    ex_bridge_leave(m, ch);
    ex_channel_leave(m, ch);
    ex_channel_set_var(m, ch, "STASISSTATUS", "SUCCESS");
    ex_channel_to_dialplan(m, ch, context + 1, c->b, priority);
    if (ch->app == NULL)
        ex_lane_hang_up(m, &ch->lane); /* what was queued behind is not for the dialplan */
}

/* a: bridge; b: the channels that follow, separated by commas. Those are done one after the other. */
static void do_bridge(struct ex_model *m, struct ex_channel *ch, const struct ex_command *c)
{
    struct ex_bridge *br = ex_bridge_find(m, c->a);
    char *rest = c->b, *id;

    if (c->verb == EX_LEAVE)
        ex_bridge_leave(m, ch);
    else if (br != NULL && ex_bridge_join(m, br, ch) < 0)
        return ex_answer(m, c->reply, 500, "Allocation failed");
    while ((id = strsep(&rest, ",")) != NULL) {
        struct ex_channel *next = ex_channel_find(m, id);
        if (next == NULL)
            continue;
        if (ex_lane_add(m, &next->lane, c->verb, c->reply, NULL, c->a, rest) < 0)
            ex_answer(m, c->reply, 500, "Allocation failed");
        return;
    }
    ex_answer(m, c->reply, 204, NULL);
}

static void command_do(struct ex_model *m, struct ex_lane *lane, const struct ex_command *c)
{
    struct ex_channel *ch = lane->channel;

    switch (c->verb) {
    case EX_PLAY:
        ex_playback_begin(m, c->playback);
        break;
    case EX_ANSWER:
        ex_channel_set_state(m, ch, EX_UP);
        ex_answer(m, c->reply, 204, NULL);
        break;
    case EX_SET_VAR:
        if (ex_channel_set_var(m, ch, c->a, c->b) < 0)
            ex_answer(m, c->reply, 500, "Allocation failed");
        else
            ex_answer(m, c->reply, 204, NULL);
        break;
    case EX_MOVE:
        do_move(m, ch, c);
        break;
    case EX_CONTINUE:
        do_continue(m, ch, c);
        break;
    case EX_JOIN:
    case EX_LEAVE:
        do_bridge(m, ch, c);
        break;
    }
}

void ex_lane_run(struct ex_model *m, struct ex_lane *lane)
{
    if (lane->running)
        return;
    lane->running = true;
    while (lane->now == NULL && lane->first != NULL) {
        struct ex_command *c = lane->first;
        lane->first = c->next;
        command_do(m, lane, c);
        command_free(m, c);
    }
    lane->running = false;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* What a request gets that waited when the caller hung up. Source: observed on Asterisk 22.10. */
static void command_drop(struct ex_model *m, const struct ex_command *c)
{
    switch (c->verb) {
    case EX_ANSWER:
        ex_answer(m, c->reply, 500, "Failed to answer channel");
        break;
    case EX_SET_VAR:
        ex_answer(m, c->reply, 404, "Channel not found");
        break;
    default:
        ex_answer(m, c->reply, 204, NULL);
        break;
    }
}

void ex_lane_hang_up(struct ex_model *m, struct ex_lane *lane)
{
    if (lane->now != NULL)
        ex_playback_over(m, lane->now, "failed", true);
    while (lane->first != NULL) {
        struct ex_command *c = lane->first;
        lane->first = c->next;
        if (c->verb == EX_PLAY) {
            c->playback->fails = true; /* started, and over at once */
            ex_playback_begin(m, c->playback);
        } else {
            command_drop(m, c);
        }
        command_free(m, c);
    }
}

void ex_lane_free(struct ex_model *m, struct ex_lane *lane)
{
    if (lane->now != NULL)
        ex_playback_free(m, lane->now);
    lane->now = NULL;
    while (lane->first != NULL) {
        struct ex_command *c = lane->first;
        lane->first = c->next;
        if (c->playback != NULL)
            ex_playback_free(m, c->playback);
        command_free(m, c);
    }
}
