/* orphan.c - prompts that an incarnation left playing when it crashed.
 *
 * The next one begins the app anew, and the caller would hear both. Nobody waits for the answer to a stop: a
 * playback that is over by then is what was wanted.
 * Known by their ids, which no other program can have chosen: ari_new_id(). */
#include "orphan.h"
#include "ops.h"

#include <stdio.h>
#include <string.h>

struct orphans {
    struct ari *a;
    tdm_pid self;
};

static void stop(struct ari *a, tdm_pid self, const char *id)
{
    tdm_ref unheard;

    (void)ops_stop_playback(a, self, id, &unheard);
}

static void stop_one(void *ctx, const char *id)
{
    const struct orphans *o = ctx;

    stop(o->a, o->self, id);
}

void orphans_stop(struct ari *a, tdm_call *call)
{
    struct orphans o = { .a = a, .self = tdm_self_pid(tdm_call_self(call)) };

    tdm_call_each_owned(call, "playback", stop_one, &o);
}

static bool is_ours(const struct ari *a, const char *id)
{
    char start[ARI_NEW_ID_BYTES];

    snprintf(start, sizeof start, "tdm-%016llx-", (unsigned long long)a->run);
    return id != NULL && strncmp(id, start, strlen(start)) == 0;
}

void orphan_event(struct ari *a, tdm_call *call, tdm_event *event)
{
    const char *id = tdm_event_str(event, "playback.id");

    if (tdm_call_restarts(call) == 0 || !is_ours(a, id))
        return;
    if (strcmp(tdm_event_type(event), "PlaybackStarted") == 0)
        stop(a, tdm_self_pid(tdm_call_self(call)), id);
    else
        tdm_call_let_go(call, "playback", id);
}
