/* source.h - what a protocol fills in to bring calls: one mechanism for every switch.
 *
 * A source has two halves. Its reader (on the I/O thread) turns received bytes into START, EVENT or END
 * with a key and hands them to the dispatch functions below, which never wait. Its call half runs inside
 * the actor of each call: `struct tdm_source_ops` turns the neutral verbs of call.h into requests to the
 * switch, and the switch's events and answers into the tdm_call_* signs at the end of this file.
 *
 * The key of a call is (source, app, id): a call that moves between two apps is two keys, one after the
 * other, and the end of the first can not hit the second. */
#ifndef TANDEM_SOURCE_H
#define TANDEM_SOURCE_H
#include "tandem/app.h"
#include "tandem/supervisor.h"

struct tdm_source; /* one configured switch */

/* ---- the call half: all functions run in the actor of the call ------------------------------- */

struct tdm_play_request {
    const char *const *media; /* NULL at the end */
    const char *language;     /* or NULL */
};

/* Each verb begins and returns at once. TDM_OK: tdm_call_done() (play: tdm_call_play_ended()) follows with
 * the same op, exactly once, unless the call ends first. An error: nothing was begun. A NULL member:
 * TDM_ENOTSUP. `mine` is call_bytes of zeroed memory of the source's own for this incarnation. */
struct tdm_source_ops {
    const char *kind; /* "ari" */
    size_t call_bytes;

    /* First thing in each incarnation. `start` is the event that began the call, or the snapshot of an
     * adopted one. Sets number, arguments and whether it is answered by tdm_call_set_*() and its like.
     * TDM_OK; TDM_IGNORE: the call has gone meanwhile; an error: a crash, restarted like any other. */
    int (*begin)(tdm_call *call, void *mine, tdm_event *start);
    /* Last thing, when the incarnation ends in order. May be NULL. */
    void (*end)(tdm_call *call, void *mine);

    int (*answer)(tdm_call *call, void *mine, tdm_ref op);
    int (*hangup)(tdm_call *call, void *mine, tdm_ref op, int cause);
    int (*hand_back)(tdm_call *call, void *mine, tdm_ref op, const char *context, const char *exten,
                     int priority);
    int (*move)(tdm_call *call, void *mine, tdm_ref op, const char *app, const char *args);
    /* A play that loops is several, each with an op of its own. */
    int (*play)(tdm_call *call, void *mine, tdm_ref op, const struct tdm_play_request *req);
    int (*play_stop)(tdm_call *call, void *mine, tdm_ref op); /* of a play; its end is still reported */
    /* Is it over? When the switch does not know it (any more): tdm_call_play_ended(). When it does, be it
     * only queued behind another: tdm_call_play_started(). TDM_OK: the answer comes later. */
    int (*play_ask)(tdm_call *call, void *mine, tdm_ref op);
    int (*set_var)(tdm_call *call, void *mine, tdm_ref op, const char *name, const char *value);
    int (*get_var)(tdm_call *call, void *mine, tdm_ref op, const char *name);

    /* The call has no actor any more and still lives: it crashed too often, could not be given an actor, or
     * its last hangup failed. Do `how` without it, by one request. Not called for TDM_GIVE_UP_LEAVE. Runs on any worker
     * and may only send. May be NULL. */
    void (*give_up)(struct tdm_source *src, const char *app, const char *id, enum tdm_on_give_up how);
    /* The supervisor of the calls was restarted and all their actors are gone: have the switch asked which
     * calls live, and start each as adopted. Runs in an actor of the source's subtree. May be NULL. */
    void (*adopt)(struct tdm_source *src);

    /* Each event routed to the call, before any verb or app sees it: translate it into signs. */
    void (*event)(tdm_call *call, void *mine, tdm_event *event);
    /* Each other message of the actor: true when it was the source's own (an answer to a request). */
    bool (*message)(tdm_call *call, void *mine, struct tdm_msg *msg);
};

/* Signs from the call half to the verbs. Only inside the functions above. An op nobody waits for any more
 * is fine. A switch that refuses an op with words of its own gives them to tdm_call_done(), also for a play,
 * which has then failed. */
void tdm_call_set_number(tdm_call *call, const char *caller, const char *exten);
void tdm_call_set_args(tdm_call *call, int argc, const char *const *argv);
void tdm_call_is_answered(tdm_call *call);
void tdm_call_digit(tdm_call *call, char digit);
void tdm_call_play_started(tdm_call *call, tdm_ref op);
void tdm_call_play_ended(tdm_call *call, tdm_ref op, enum tdm_play_word word);
void tdm_call_done(tdm_call *call, tdm_ref op, int err, const char *words, const char *value);
void tdm_call_has_ended(tdm_call *call, int cause); /* before or without tdm_source_call_end() */
/* Route events of an object this call made ("playback", its id) to this call until it ends or the object
 * is let go. Do it before the request is sent: the events may overtake the answer. What an earlier
 * incarnation owned still comes here. Errors: TDM_EEXIST another call owns it, TDM_ETOOBIG, TDM_ENOMEM. */
int tdm_call_own(tdm_call *call, const char *kind, const char *id);
void tdm_call_let_go(tdm_call *call, const char *kind, const char *id);
/* Each object of the kind that leads to this call now, also those of incarnations that crashed; up to 32 of all
 * kinds. Looks through all objects of the source: for a restart, not for every day. */
void tdm_call_each_owned(tdm_call *call, const char *kind, void (*fn)(void *ctx, const char *id), void *ctx);
struct tdm_source *tdm_call_source_of(tdm_call *call);

/* ---- the reader half: dispatch --------------------------------------------------------------- */

struct tdm_source_cfg {
    const char *name;
    const struct tdm_source_ops *ops;
    void *self;            /* the protocol's own; tdm_source_self() */
    tdm_pid default_owner; /* gets TDM_MSG_EVENT for what nobody owns but an app should see; {0}: counted */
    bool observe;          /* call the observer (below) */
};
int tdm_source_new(struct tdm_runtime *rt, const struct tdm_source_cfg *cfg, struct tdm_source **ret);
void tdm_source_free(struct tdm_source *src); /* after its calls have ended */
void *tdm_source_self(const struct tdm_source *src);
const char *tdm_source_name(const struct tdm_source *src);

/* The supervisor under which the calls of this source live, one dynamic supervisor for each app known by
 * now: a child of the source's subtree, before the actors that bring events. It keeps a watch that calls
 * ops->adopt() after one of them was restarted. `ret` points into the source, which must outlive it.
 * Errors: TDM_ENOMEM; TDM_EEXIST the second time. */
int tdm_source_child_spec(struct tdm_source *src, struct tdm_child_spec *ret);

/* Names and ids longer than this are refused with TDM_ETOOBIG and counted. */
#define TDM_CALL_APP_MAX 64
#define TDM_CALL_ID_MAX  256

/* A call begins: claim the key, make place and mailbox, start the app. `json` is copied once.
 * TDM_OK; TDM_EEXIST: that key lives already, the event was given to it as an ordinary one and counted;
 * TDM_ENOTFOUND: no such app (counted, logged; the source should hand the call back); TDM_ENOPROC,
 * TDM_ESHUTDOWN: the calls' supervisor is not up; TDM_EBUSY, TDM_ENOMEM. After an error there is no actor.
 * Threads: the source's reader. Never blocks. */
int tdm_source_call_start(struct tdm_source *src, const char *app, size_t app_bytes, const char *id,
                          size_t id_bytes, const char *json, size_t json_bytes, bool adopted);

/* One event to the owner of (app, kind, id); kind is "channel" for the call itself. TDM_ENOTFOUND: nobody;
 * TDM_EFULL: its mailbox was full (counted). */
int tdm_source_event(struct tdm_source *src, const char *app, size_t app_bytes, const char *kind,
                     const char *id, size_t id_bytes, const char *json, size_t json_bytes);

/* The call has ended: deliver the event as the last one and free the key for a new start. */
int tdm_source_call_end(struct tdm_source *src, const char *app, size_t app_bytes, const char *id,
                        size_t id_bytes, const char *json, size_t json_bytes);

/* Live calls, one after the other, for resync: each (app, id) once; not a snapshot. `fn` may not start or end
 * calls: collect first. Reader thread only. */
void tdm_source_each_call(struct tdm_source *src,
                          void (*fn)(void *ctx, const char *app, const char *id, tdm_place place), void *ctx);
size_t tdm_source_calls(const struct tdm_source *src);
/* Tell the actor of each to stop (tdm_stop), as at the end of the program. Threads: any. */
void tdm_source_stop_calls(struct tdm_source *src);
/* The switch was asked which calls live, and each has an actor again: drop what notes an earlier process left of others.
 * Returns how many. Reader thread only. */
size_t tdm_source_forget_notes(struct tdm_source *src);

/* ---- apps ------------------------------------------------------------------------------------ */

/* Make an app known to the process, or a new version of one: calls that start from now on run it, and so does a call that
 * is started again after a crash; running calls finish on the version they have. Mailboxes and restart limits stay those
 * of the version that was there when the source was started. `options` of the configuration: name, value, ..., NULL;
 * copied. What `app` points to stays for the life of the process.
 * Errors: TDM_EINVAL, TDM_ENOMEM; TDM_ENOTSUP a function in place of a table: its calls have no stack.
 * Threads: any. */
int tdm_app_add(const struct tdm_app *app, const char *const *options);
const struct tdm_app *tdm_app_find(const char *name, size_t bytes);

/* Sees each event at the moment its actor takes it from the mailbox, before the app does; on any worker.
 * For receipts, the demo and tests. One per process; NULL ends it. */
typedef void tdm_observer(void *ctx, const char *what, const char *app, const char *id, tdm_event *event);
void tdm_observe_calls(tdm_observer *fn, void *ctx); /* what: "start", "event", "end", "restart", "exit" */

#endif
