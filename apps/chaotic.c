/* chaotic.c - two apps for a long bad day: they hold their call, listen, and crash when a key is pressed.
 *
 * Unlike crashy they go on after a restart as if nothing had been, so that one call lives through many
 * crashes. Now and then they play a prompt or keep a note, to have something under way when it happens.
 * The same as a function (chaotic) and as a table (chaotic_table). */
#include <string.h>

#include <tandem/app.h>
#include <tandem/env.h>
#include <tandem/event.h>

#include "misdeed.h"

#define BEATS_PER_PROMPT 16

static const struct misdeed *asked_for(tdm_event *event)
{
    const char *digit = tdm_event_str(event, "digit");

    if (digit == NULL || strcmp(tdm_event_type(event), "ChannelDtmfReceived") != 0)
        return NULL;
    return misdeed_by_key(digit[0]);
}

/* Is this the beat at which a prompt is played? */
static bool prompt_is_due(tdm_event *event, uint64_t *beats)
{
    return strcmp(tdm_event_type(event), "ChannelVarset") == 0 && ++*beats % BEATS_PER_PROMPT == 0;
}

static void chaotic(tdm_call *call)
{
    const struct misdeed *misdeed;
    uint64_t beats = 0;
    tdm_event *event;

    tdm_answer(call);
    while (tdm_next_event(call, TDM_FOREVER, &event) == TDM_OK) {
        misdeed = asked_for(event);
        if (misdeed != NULL)
            misdeed->commit(call);
        else if (prompt_is_due(event, &beats))
            tdm_play(call, "sound:still-here");
    }
}
TDM_APP(chaotic, .summary = "holds its call and crashes on command, again and again")

/* ---- the same as a table --------------------------------------------------------------------- */

struct table_state {
    uint64_t beats;
};

static int on_start(tdm_call *call, void *state)
{
    (void)state;
    tdm_answer_start(call);
    return TDM_OK;
}

static int on_event(tdm_call *call, void *state, tdm_event *event)
{
    const struct misdeed *misdeed = asked_for(event);
    struct table_state *s = state;

    if (misdeed != NULL && strcmp(misdeed->name, "error") == 0)
        return TDM_EPEER;
    if (misdeed != NULL)
        misdeed->commit(call);
    else if (prompt_is_due(event, &s->beats))
        tdm_play_start(call, &(tdm_play_opts){ .media = (const char *const[]){ "sound:still-here", NULL } });
    return TDM_OK;
}

static const struct tdm_call_behaviour table = {
    .state_bytes = sizeof(struct table_state),
    .on_start = on_start,
    .on_event = on_event,
};

TDM_APP_BEHAVIOUR(chaotic_table, &table, .summary = "the same, as a table of callbacks")
