/* unread.c - events that no verb used, until a function app asks for them.
 *
 * Bounded by number and bytes, the oldest goes first, and what goes is counted: an app that never asks
 * must not collect the history of its call. Before the first tdm_next_event() only a few are kept.
 * Touched by the actor of the call only. */
#include "call.h"
#include "event.h"

TDM_COUNTER(events_unread, "tandem_events_unread_total", "events an app did not fetch in time");

static void drop_kept(tdm_call *call, struct kept_event *k)
{
    if (k == NULL)
        return;
    event_for_actor_free(call->self, k->event);
    tdm_free(call->self, k);
}

static struct kept_event *oldest_kept(tdm_call *call)
{
    struct kept_event *k = call->kept;

    if (k == NULL)
        return NULL;
    call->kept = k->next;
    call->kept_count--;
    call->kept_bytes -= k->bytes;
    return k;
}

/* A copy in the actor's memory: a message that is kept would be lost in a crash. */
void unread_keep(tdm_call *call, tdm_event *event)
{
    uint32_t most = call->events_wanted ? CALL_EVENTS_KEPT : CALL_EVENTS_BEFORE;
    struct event_head head = { .source = tdm_event_source(event) };
    struct kept_event *k = tdm_alloc(call->self, sizeof *k), **end = &call->kept;
    const char *text = NULL;

    if (k == NULL)
        return;
    text = tdm_event_text(event, &k->bytes);
    if (event_for_actor(call->self, &head, text, k->bytes, &k->event) != TDM_OK) {
        tdm_free(call->self, k);
        return;
    }
    while (*end != NULL)
        end = &(*end)->next;
    *end = k;
    call->kept_count++;
    call->kept_bytes += k->bytes;
    while (call->kept_count > most || (call->kept_bytes > CALL_EVENT_BYTES && call->kept_count > 1)) {
        drop_kept(call, oldest_kept(call));
        tdm_count(&events_unread, 1);
    }
}

/* Is there one, or is there no point in waiting? 1: take it; 0: wait; or the error to return. */
static int event_ready(tdm_call *call)
{
    int err;

    if (call->kept != NULL)
        return 1;
    err = op_permitted(call, TDM_VERB_PAUSE);
    return err == TDM_EHANGUP && !call->ended ? TDM_OK : err;
}

int tdm_next_event(tdm_call *call, uint64_t timeout_ns, tdm_event **ret)
{
    uint64_t now = tdm_now_ns(call->self);
    uint64_t until = timeout_ns < TDM_FOREVER - now ? now + timeout_ns : TDM_FOREVER;
    struct tdm_msg *msg;
    int ready, err;

    if (!op_can_wait(call))
        return TDM_ESTATE;
    drop_kept(call, call->lent);
    call->lent = NULL;
    call->events_wanted = true;
    while ((ready = event_ready(call)) == 0) {
        now = tdm_now_ns(call->self);
        err = tdm_receive(call->self, until == TDM_FOREVER ? until : until > now ? until - now : 0, &msg);
        if (err == TDM_OK)
            call_feed(call, msg);
        else if (err == TDM_ESTOP)
            call_stop(call);
        else
            return err;
    }
    if (ready < 0)
        return ready;
    call->lent = oldest_kept(call);
    *ret = call->lent->event;
    return TDM_OK;
}
