/* ops.c - the operations of ARI that calls and sources use, with just the parameters they use. */
#include "ops.h"

#include <stdio.h>

#include "operation.h"

/* One operation, its parameters, and where the reply goes: all of a function here. */
#define SEND(function, ...) \
    operation_send(a, to, TDM_ARI_OP_##function, &(const struct tdm_ari_##function){ __VA_ARGS__ }, ret)

/* ---- channels -------------------------------------------------------------------------------- */

int ops_answer(struct ari *a, tdm_pid to, const char *channel, tdm_ref *ret)
{
    return SEND(channels_answer, .channelId = channel);
}

int ops_hangup(struct ari *a, tdm_pid to, const char *channel, int cause, tdm_ref *ret)
{
    char code[16];

    snprintf(code, sizeof code, "%d", cause);
    return SEND(channels_hangup, .channelId = channel, .reason_code = cause > 0 ? code : NULL);
}

int ops_continue(struct ari *a, tdm_pid to, const char *channel, const char *context, const char *exten,
                 int priority, tdm_ref *ret)
{
    return SEND(channels_continue_in_dialplan, .channelId = channel, .context = context, .extension = exten,
                .priority = { .value = priority, .given = priority > 0 });
}

int ops_move(struct ari *a, tdm_pid to, const char *channel, const char *app, const char *args, tdm_ref *ret)
{
    return SEND(channels_move, .channelId = channel, .app = app, .appArgs = args);
}

int ops_set_var(struct ari *a, tdm_pid to, const char *channel, const char *name, const char *value,
                tdm_ref *ret)
{
    return SEND(channels_set_channel_var, .channelId = channel, .variable = name, .value = value);
}

int ops_get_var(struct ari *a, tdm_pid to, const char *channel, const char *name, tdm_ref *ret)
{
    return SEND(channels_get_channel_var, .channelId = channel, .variable = name);
}

int ops_get_channel(struct ari *a, tdm_pid to, const char *channel, tdm_ref *ret)
{
    return SEND(channels_get, .channelId = channel);
}

int ops_list_channels(struct ari *a, tdm_pid to, tdm_ref *ret)
{
    return operation_send(a, to, TDM_ARI_OP_channels_list, NULL, ret);
}

/* ---- playbacks ------------------------------------------------------------------------------- */

int ops_play(struct ari *a, tdm_pid to, const char *channel, const char *playback, const char *const *media,
             const char *language, tdm_ref *ret)
{
    return SEND(channels_play_with_id, .channelId = channel, .playbackId = playback, .media = media,
                .lang = language);
}

int ops_stop_playback(struct ari *a, tdm_pid to, const char *playback, tdm_ref *ret)
{
    return SEND(playbacks_stop, .playbackId = playback);
}

int ops_get_playback(struct ari *a, tdm_pid to, const char *playback, tdm_ref *ret)
{
    return SEND(playbacks_get, .playbackId = playback);
}

/* ---- the server ------------------------------------------------------------------------------ */

int ops_info(struct ari *a, tdm_pid to, tdm_ref *ret)
{
    return SEND(asterisk_get_info, .only = (const char *const[]){ "system", "status", NULL });
}

int ops_get_application(struct ari *a, tdm_pid to, const char *app, tdm_ref *ret)
{
    return SEND(applications_get, .applicationName = app);
}
