/* watch.c - sees the supervisor of an app's calls come back empty, and has the switch asked.
 *
 * Idea:      when such a supervisor ends, its calls' actors end with it, while the calls live on in the
 *            switch. The watch monitors each; after a death it waits until all are there again, then
 *            ops->adopt() asks the switch which calls live.
 * Sweeping:  once a minute it also frees the keys of actors that ended without being able to.
 * Touched by the watch's own actor. */
#include <string.h>

#include "dispatch.h"
#include "tandem/registry.h"

#define AGAIN_NS TDM_MS(20) /* is the supervisor back? */
#define SWEEP_NS TDM_S(60)

struct watch {
    struct tdm_source *src;
    tdm_ref *monitors; /* one for each nursery; 0: it is not there */
    tdm_ref timer;     /* for the next look */
    bool lost;         /* one has ended since the switch was asked */
};

/* False: one is missing still. */
static bool monitor_all(tdm_self *self, struct watch *w)
{
    bool all = true;

    for (size_t i = 0; i < w->src->n_nurseries; i++) {
        const char *name = w->src->nurseries[i].name;
        tdm_pid pid = { 0 };

        if (w->monitors[i] == 0)
            pid = tdm_whereis(w->src->rt, name, strlen(name));
        if (pid.id != 0)
            w->monitors[i] = tdm_monitor(self, pid);
        all = all && w->monitors[i] != 0;
    }
    return all;
}

static int look_again(tdm_self *self, struct watch *w, uint64_t delay_ns)
{
    if (w->timer != 0)
        tdm_timer_cancel(self, w->timer);
    w->timer = tdm_timer_start(self, delay_ns);
    return w->timer != 0 ? TDM_OK : TDM_ENOMEM;
}

static int look(tdm_self *self, struct watch *w)
{
    if (!monitor_all(self, w))
        return look_again(self, w, AGAIN_NS);
    dispatch_sweep_dead(w->src); /* before the switch is asked: what has no actor is not held */
    if (w->lost && w->src->cfg.ops->adopt != NULL)
        w->src->cfg.ops->adopt(w->src);
    w->lost = false;
    return look_again(self, w, SWEEP_NS);
}

static int watch_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct watch *w = state;

    memcpy(&w->src, start->arg, sizeof w->src);
    w->monitors = tdm_alloc(self, (w->src->n_nurseries + 1) * sizeof *w->monitors);
    if (w->monitors == NULL)
        return TDM_ENOMEM;
    w->lost = start->restarts > 0; /* who knows what went while nobody watched */
    return look(self, w);
}

static int watch_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct watch *w = state;

    if (msg->type == TDM_MSG_TIMER)
        return look(self, w);
    if (msg->type != TDM_MSG_DOWN)
        return TDM_OK;
    for (size_t i = 0; i < w->src->n_nurseries; i++) {
        if (w->monitors[i] == msg->ref)
            w->monitors[i] = 0;
    }
    w->lost = true;
    return look_again(self, w, AGAIN_NS);
}

static const struct tdm_behaviour watching = {
    .name = "calls.watch", .state_bytes = sizeof(struct watch), .init = watch_init, .handle = watch_handle
};

void watch_spec(struct tdm_source *src, struct tdm_child_spec *ret)
{
    src->watch_arg = src;
    *ret = (struct tdm_child_spec){ .id = "watch",
                                    .start = { .behaviour = &watching,
                                               .arg = &src->watch_arg,
                                               .arg_bytes = sizeof src->watch_arg,
                                               .tag = src->name },
                                    .restart = TDM_PERMANENT };
}
