/* app.h - what an app module exports.
 *
 * One C file is one app. The short way is a function that runs from start to hangup on a fiber:
 *
 *     static void hello(tdm_call *call)
 *     {
 *         tdm_answer(call);
 *         tdm_play(call, "sound:hello-world");
 *         tdm_hangup(call, TDM_CAUSE_NORMAL);
 *     }
 *     TDM_APP(hello, .summary = "says hello")
 *
 * The other way is a table of callbacks (struct tdm_call_behaviour), for apps that hold very many calls or
 * react rather than proceed. After a crash a new actor runs the app from its start, on the same call:
 * tdm_call_restarts() and tdm_note_last() tell it so. */
#ifndef TANDEM_APP_H
#define TANDEM_APP_H
#include "tandem/call.h"
#include "tandem/fiber.h"
#include "tandem/log.h"

#define TDM_APP_ABI 1

struct tdm_call_behaviour {
    size_t state_bytes; /* zeroed; from tdm_call_state() */
    /* Each returns as a behaviour's handle does: TDM_OK; TDM_STOP, the app is over and the call is hung
     * up; an error, which ends the actor and has it restarted. Verbs in message form only. */
    int (*on_start)(tdm_call *call, void *state);
    int (*on_event)(tdm_call *call, void *state, tdm_event *event); /* every event routed to the call */
    int (*on_verb)(tdm_call *call, void *state, const struct tdm_verb_result *result);
    int (*on_message)(tdm_call *call, void *state, struct tdm_msg *msg); /* other messages */
    /* The call has ended or was handed back; the last callback, once, unless the actor crashes. */
    void (*on_end)(tdm_call *call, void *state);
};

/* What becomes of a call that its app can not look after any more: it crashed too often, or could not be started. */
enum tdm_on_give_up {
    TDM_GIVE_UP_HANGUP,    /* hung up, with cause 38 */
    TDM_GIVE_UP_HAND_BACK, /* back to the switch's dialplan, where it was */
    TDM_GIVE_UP_LEAVE,     /* nothing: it stays where it is, without anybody */
};

struct tdm_app {
    int abi; /* TDM_APP_ABI */
    const char *name;
    const char *summary;                        /* one line */
    void (*run)(tdm_call *call);                /* this, */
    const struct tdm_call_behaviour *behaviour; /* or this */
    uint32_t stack_bytes;                       /* fibers; default 64 KiB */
    uint32_t mailbox_limit;                     /* default TDM_MAILBOX_DEFAULT */
    uint32_t restarts, period_ms;   /* per call; default 3 in 10 s; the configuration may change it */
    enum tdm_on_give_up on_give_up; /* likewise */
};

/* Export a function as the app of that name: TDM_APP(reception, .summary = "..."). */
#define TDM_APP(name_, ...) \
    const struct tdm_app tdm_app_##name_ = { .abi = TDM_APP_ABI, .name = #name_, .run = name_, __VA_ARGS__ };

#define TDM_APP_BEHAVIOUR(name_, behaviour_, ...)                                  \
    const struct tdm_app tdm_app_##name_ = {                                       \
        .abi = TDM_APP_ABI, .name = #name_, .behaviour = (behaviour_), __VA_ARGS__ \
    };

/* Every event of a function app's call that no verb used, one after the other, the end event as the last;
 * waits up to timeout_ns. Up to 16 wait to be fetched, the oldest goes first; before the first call of this
 * function only the last 4 are kept. What goes is counted (tandem_events_unread_total).
 * TDM_OK, TDM_ETIMEOUT, TDM_EHANGUP, TDM_ESTOP. The event lives until the next call of this function. */
int tdm_next_event(tdm_call *call, uint64_t timeout_ns, tdm_event **ret);

#endif
