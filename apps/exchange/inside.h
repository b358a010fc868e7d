/* inside.h - the parts of the model, as they see each other. Nobody else includes this.
 *
 *   model.c         the whole: new, free, time, memory        applications.c  apps, connections, who hears
 * what channels.c      a channel's life and its events           events.c        one event: made, numbered,
 * sent lane.c          a channel's commands, one by one          playbacks.c     prompts and their control
 *   bridges.c       bridges                                   originate.c     calls that an app makes
 *   callers.c       who calls when, and script.c: what callers do
 *   requests.c      the table of operations                   params.c        their parameters
 *   ops_*.c         the operations                            rest_ws.c       requests over the event
 * connection faults.c        misbehaviour on the way out               receipts.c      what the client says
 * it delivered       chaos.c         events, crashes and cuts without end; audit.c judges
 *
 * Ids are strings everywhere; a pointer to an object is kept only where its end is seen. An object is
 * freed in one place each: ex_channel_end(), ex_playback_over(), ex_bridge_free(), ex_app_check(). */
#ifndef APPS_EXCHANGE_INSIDE_H
#define APPS_EXCHANGE_INSIDE_H
#include "agenda.h"
#include "chaos.h"
#include "json_in.h"
#include "json_out.h"
#include "model.h"
#include "table.h"

#include <string.h>

#include <tandem/err.h>

#define EX_MS(n)    ((uint64_t)(n)*1000000u)
#define EX_SERVER   "02:00:00:00:00:01" /* asterisk_id */
#define EX_ID_BYTES 150                 /* the longest id a client may give, with its NUL */

struct ex_app;
struct ex_bridge;
struct ex_channel;
struct ex_lane;
struct ex_playback;
struct ex_script;

/* ---- where an answer goes -------------------------------------------------------------------- */

enum ex_way { EX_NOBODY, EX_HTTP, EX_WS };

struct ex_reply {
    enum ex_way way;
    uint64_t conn;
};

/* ---- connections and applications ------------------------------------------------------------ */

struct ex_frame {
    struct ex_frame *next;
    uint64_t conn, about, due_ns; /* about: hash of the channel's id, 0 for none */
    size_t bytes;
    char text[];
};

struct ex_frames {
    struct ex_frame *first, *last;
};

struct ex_conn {
    struct ex_conn *next;
    uint64_t id;
    uint64_t events; /* sent on it */
    char *app;       /* its first, named in answers */
    bool writer;
    bool busy;                               /* a request of it waits: later ones stand in `waiting` */
    struct ex_frames waiting;                /* texts from the client */
    char *request_id, *transaction_id, *uri; /* of the request under way */
};

struct ex_source { /* an explicit subscription */
    struct ex_source *next;
    uint32_t count;
    char uri[]; /* "channel:ID", "bridge:ID", ...; "channel:" for all of a kind */
};

struct ex_name {
    struct ex_name *next;
    char text[];
};

struct ex_app {
    struct ex_app *next;
    uint64_t serial; /* never used twice, unlike the name */
    char *name;
    struct ex_conn *conn; /* NULL: inactive */
    uint32_t channels;    /* that are inside */
    bool all;             /* subscribeAll */
    struct ex_source *sources;
    struct ex_name *allowed, *disallowed; /* event types */
};

/* ---- channels -------------------------------------------------------------------------------- */

enum ex_verb { EX_PLAY, EX_ANSWER, EX_SET_VAR, EX_MOVE, EX_CONTINUE, EX_JOIN, EX_LEAVE };

struct ex_command {
    struct ex_command *next;
    enum ex_verb verb;
    struct ex_reply reply; /* EX_NOBODY: it was answered when it was queued */
    struct ex_playback *playback;
    char *a, *b; /* two words to it, by verb */
};

/* What a channel's own thread does, one thing after the other; a bridge has one for its announcer. */
struct ex_lane {
    struct ex_channel *channel; /* or */
    struct ex_bridge *bridge;
    struct ex_command *first, *last;
    struct ex_playback *now; /* plays; nothing else is done meanwhile */
    bool running;            /* commands are being carried out further up the stack */
};

/* How one app hears one channel. */
struct ex_ear {
    struct ex_ear *next;
    uint64_t app; /* serial */
    uint64_t seq; /* the last number given; 0 again after StasisEnd */
};

struct ex_var {
    struct ex_var *next;
    char *value;
    char name[];
};

enum ex_state { EX_DOWN, EX_RING, EX_RINGING, EX_UP };

/* The caller behind a channel, when there is one to play. */
struct ex_caller {
    const struct ex_script *script; /* NULL: does nothing by itself */
    struct ex_script *own;          /* the same when it is this call's alone */
    uint32_t step, leave_at;        /* leave_at: hangs up before this step; UINT32_MAX: does not */
    uint32_t plays_seen;
    const char *digits; /* left of a `press` */
    enum { EX_READY, EX_WAITS_TIME, EX_WAITS_ANSWER, EX_WAITS_PLAY, EX_WAITS_QUIET, EX_DONE } waits;
    struct ex_timer timer, limit;
};

struct ex_channel {
    struct ex_entry entry;
    struct ex_channel *next, *prev; /* in order of making */
    char *id, *name, *protocol_id;
    char *caller_name, *caller_number, *connected_name, *connected_number;
    char *context, *exten, *app_name, *app_data, *language;
    int priority;
    char created[40]; /* creationtime */
    enum ex_state state;
    struct ex_app *app; /* NULL: not in Stasis */
    struct ex_bridge *bridge;
    struct ex_channel *bridge_next;
    struct ex_lane lane;
    struct ex_ear *ears;
    struct ex_var *vars;
    uint32_t plays_started;
    bool inbound;               /* placed by the exchange: counted */
    struct ex_account *account; /* of an inbound one; may be NULL */
    bool ending;
    uint64_t fault_ns; /* chaos: last told to crash */
    struct ex_caller caller;
    /* outgoing ones */
    struct ex_timer dial_timer, dial_limit;
    char *dial_app, *dial_args, *dialstring;
    enum { EX_NO_DIAL, EX_STARTS, EX_RINGS, EX_DIALLED } dial;
    int outcome;           /* enum in originate.c */
    uint64_t after_ns;     /* in the dialplan until then */
    struct ex_timer after; /* end of the dialplan */
};

struct ex_playback {
    struct ex_entry entry;
    struct ex_lane *lane;
    char *id, *language, *target;
    struct ex_name *media, *item; /* the list; the one that plays */
    struct ex_timer timer;
    uint64_t left_ns; /* while paused */
    enum { EX_QUEUED, EX_PLAYING, EX_PAUSED } state;
    bool fails;
};

struct ex_bridge {
    struct ex_entry entry;
    struct ex_bridge *next;
    char *id, *name, *type, *creation;
    struct ex_lane lane;
    struct ex_channel *first; /* its members, newest first */
};

/* ---- scripts --------------------------------------------------------------------------------- */

enum ex_act {
    EX_ACT_WAIT,
    EX_ACT_WAIT_ANSWER,
    EX_ACT_WAIT_PLAY,
    EX_ACT_WAIT_QUIET,
    EX_ACT_PRESS,
    EX_ACT_HANG_UP
};

struct ex_script_step {
    enum ex_act act;
    uint64_t min_ns, max_ns; /* wait */
    uint32_t chance;         /* hang up: percent */
    uint32_t choices;        /* press: that many strings in `digits`, one behind the other */
    char *digits;
};

struct ex_script {
    bool leaves_anywhere; /* hangup@any */
    uint32_t n;
    struct ex_script_step steps[];
};

struct ex_plan {
    char *exten;
    struct ex_script *script;
    uint32_t weight;
};

/* ---- the whole ------------------------------------------------------------------------------- */

/* What one call sent, against what the client says about it. Stays until both agree. */
struct ex_account {
    struct ex_entry entry;
    uint64_t sent, delivered, lost;
    uint32_t started, ended;
    bool over, told;
    char id[];
};

struct ex_block { /* memory of one request */
    struct ex_block *next;
    size_t used, room;
    char bytes[];
};

struct ex_faults {
    struct ex_frames late; /* delayed frames, in order */
    struct ex_frame *held; /* waits to be overtaken */
    bool held_for_same;
    struct ex_timer late_timer, held_timer, drop_timer;
    uint64_t requests, ids; /* counted off for the errors */
};

struct ex_model {
    struct exchange_cfg cfg; /* strings are ours */
    struct ex_out out;
    struct tdm_env *env;
    uint64_t now_ns, wall_ns, start_ns, epoch_s, random;
    uint64_t next_channel, next_name, next_caller, next_serial;

    struct ex_agenda agenda;
    struct ex_table channels, playbacks, bridges, accounts;
    struct ex_channel *first_channel, *last_channel;
    struct ex_bridge *first_bridge;
    struct ex_app *apps;
    struct ex_conn *conns;
    struct ex_var *globals;

    struct ex_plan *plans;
    uint32_t n_plans, weights;
    bool begun, calls_over, settled;
    uint64_t begun_ns;
    struct ex_timer call_timer, settle_timer, ws_timer;

    struct ex_text event, frame, answer, line; /* reused */
    const char *event_type;
    char stamp[40]; /* of stamp_ms */
    uint64_t stamp_ms;
    struct ex_block *blocks;
    bool holding;          /* events wait until the request is answered */
    struct ex_frames kept; /* those events */
    struct ex_faults faults;
    struct ex_chaos chaos;
    struct exchange_counters counters;
};

/* ---- model.c --------------------------------------------------------------------------------- */

void *ex_alloc(struct ex_model *m, size_t bytes); /* zeroed; NULL */
void ex_free(struct ex_model *m, void *p);
char *ex_strdup(struct ex_model *m, const char *text);
/* Replace a string; the old one stays when there is no memory. */
int ex_set(struct ex_model *m, char **field, const char *text);
void *ex_scratch(struct ex_model *m, size_t bytes); /* gone when the request is over; NULL */
void ex_scratch_free(struct ex_model *m);
uint64_t ex_random(struct ex_model *m, uint64_t below);
void ex_uuid(struct ex_model *m, char out[37]);
char *ex_stamp(uint64_t wall_ns, char out[40]); /* 2026-11-20T19:03:25.544+0000 */
int ex_later(struct ex_model *m, struct ex_timer *t, uint64_t delay_ns,
             void (*fire)(struct ex_model *, void *), void *owner);
void ex_cancel(struct ex_model *m, struct ex_timer *t);
struct ex_name *ex_name_add(struct ex_model *m, struct ex_name **list, const char *text); /* at the end */
bool ex_name_in(const struct ex_name *list, const char *text);
void ex_names_free(struct ex_model *m, struct ex_name **list);
void ex_frames_put(struct ex_frames *list, struct ex_frame *frame);
struct ex_frame *ex_frames_take(struct ex_frames *list);
struct ex_frame *ex_frame_new(struct ex_model *m, uint64_t conn, uint64_t about, const char *text,
                              size_t bytes);

/* ---- applications.c -------------------------------------------------------------------------- */

struct ex_app *ex_app_find(struct ex_model *m, const char *name);
struct ex_conn *ex_conn_find(struct ex_model *m, uint64_t id);
void ex_app_check(struct ex_model *m, struct ex_app *app); /* free it when nothing holds it any more */
bool ex_app_lets(const struct ex_app *app, const char *type);
bool ex_app_subscribed(const struct ex_app *app, const char *kind, const char *id);
int ex_app_subscribe(struct ex_model *m, struct ex_app *app, const char *uri);
bool ex_app_unsubscribe(struct ex_model *m, struct ex_app *app, const char *uri);
void ex_json_app(struct ex_model *m, struct ex_text *t, const char *name, const struct ex_app *app);
void ex_apps_free(struct ex_model *m);

/* ---- events.c -------------------------------------------------------------------------------- */

/* Start an event; add its members to the text that is returned; then send it by one of the others. */
struct ex_text *ex_event(struct ex_model *m, const char *type);
/* To every app that hears the channel or (when not NULL) the bridge, once each; numbered by the channel. */
void ex_event_send(struct ex_model *m, struct ex_channel *ch, const struct ex_bridge *br);
/* To one app. ch may be NULL: not numbered. */
void ex_event_send_to(struct ex_model *m, struct ex_app *app, struct ex_channel *ch);
/* A text that is no numbered event: answers, ApplicationReplaced. */
void ex_send_plain(struct ex_model *m, uint64_t conn, const char *text, size_t bytes);
void ex_events_hold(struct ex_model *m);
void ex_events_release(struct ex_model *m);
void ex_step(struct ex_model *m, const char *channel, enum ex_step_kind kind, const char *text);

/* ---- faults.c: the last stage before the wire ------------------------------------------------ */

void ex_faults_start(struct ex_model *m);
void ex_faults_send(struct ex_model *m, uint64_t conn, uint64_t about, const char *text, size_t bytes);
bool ex_faults_frozen(const struct ex_model *m);
void ex_faults_reset(struct ex_model *m); /* all event connections */
int ex_faults_status(struct ex_model *m); /* 0, or the status every n-th request gets */
bool ex_faults_in_use(struct ex_model *m);
void ex_faults_forget(struct ex_model *m, uint64_t conn); /* the connection is gone */
void ex_faults_free(struct ex_model *m);

/* ---- channels.c ------------------------------------------------------------------------------ */

struct ex_channel *ex_channel_new(struct ex_model *m, const char *id, const char *name);
struct ex_channel *ex_channel_find(struct ex_model *m, const char *id);
void ex_json_channel(struct ex_text *t, const char *name, const struct ex_channel *ch);
void ex_channel_event(struct ex_model *m, struct ex_channel *ch, const char *type); /* only `channel` in it */
void ex_channel_set_state(struct ex_model *m, struct ex_channel *ch, enum ex_state state);
void ex_channel_varset(struct ex_model *m, struct ex_channel *ch, const char *name, const char *value);
int ex_channel_set_var(struct ex_model *m, struct ex_channel *ch, const char *name, const char *value);
const char *ex_var_get(const struct ex_var *list, const char *name);
int ex_var_put(struct ex_model *m, struct ex_var **list, const char *name, const char *value);
void ex_vars_free(struct ex_model *m, struct ex_var **list);
/* Stasis(app,args): false when the app is not there. `data`: "app,args". */
bool ex_channel_enter(struct ex_model *m, struct ex_channel *ch, const char *app, const char *args);
void ex_channel_leave(struct ex_model *m, struct ex_channel *ch); /* StasisEnd */
/* The dialplan goes on, and soon ends. The channel may be gone on return. */
void ex_channel_to_dialplan(struct ex_model *m, struct ex_channel *ch, const char *context, const char *exten,
                            int priority);
void ex_json_args(struct ex_text *t, const char *args); /* split at commas, quotes are not special */
struct ex_cause {
    int cause, tech_cause;
    bool soft; /* asked for by an app */
};
/* The end, with all events; frees the channel. */
void ex_channel_end(struct ex_model *m, struct ex_channel *ch, struct ex_cause cause);
void ex_channel_destroyed(struct ex_model *m, struct ex_channel *ch, int cause, int tech_cause);
void ex_channel_free(struct ex_model *m, struct ex_channel *ch); /* without a word */

/* ---- lane.c, playbacks.c --------------------------------------------------------------------- */

/* Takes a, b as copies. Queues, then carries out what can be. The lane's channel may be gone on return.
 * TDM_ENOMEM: nothing was queued. */
int ex_lane_add(struct ex_model *m, struct ex_lane *lane, enum ex_verb verb, struct ex_reply reply,
                struct ex_playback *playback, const char *a, const char *b);
void ex_lane_run(struct ex_model *m, struct ex_lane *lane);
bool ex_lane_idle(const struct ex_lane *lane);
/* The channel is hung up: prompts fail, commands are dropped and their requests answered. */
void ex_lane_hang_up(struct ex_model *m, struct ex_lane *lane);
void ex_lane_free(struct ex_model *m, struct ex_lane *lane); /* without a word */

void ex_json_playback(struct ex_text *t, const char *name, const struct ex_playback *p);
struct ex_playback *ex_playback_new(struct ex_model *m, struct ex_lane *lane, const char *id,
                                    const char *language);
void ex_playback_begin(struct ex_model *m, struct ex_playback *p); /* its turn has come */
void ex_playback_over(struct ex_model *m, struct ex_playback *p, const char *state, bool tell); /* frees it */
void ex_playback_stop(struct ex_model *m, struct ex_playback *p);
void ex_playback_free(struct ex_model *m, struct ex_playback *p);  /* without a word */
uint64_t ex_media_ns(const struct ex_model *m, const char *media); /* TDM_FOREVER: never ends */

/* ---- bridges.c, originate.c, callers.c, script.c, receipts.c --------------------------------- */

void ex_json_bridge(struct ex_text *t, const char *name, const struct ex_bridge *br);
struct ex_bridge *ex_bridge_find(struct ex_model *m, const char *id);
int ex_bridge_join(struct ex_model *m, struct ex_bridge *br, struct ex_channel *ch);
void ex_bridge_leave(struct ex_model *m, struct ex_channel *ch);
void ex_bridge_free(struct ex_model *m, struct ex_bridge *br);

void ex_dial_cancel(struct ex_model *m, struct ex_channel *ch);

void ex_callers_start(struct ex_model *m);   /* the app is there */
void ex_callers_check(struct ex_model *m);   /* a call has ended: place the next, or finish */
void ex_callers_settled(struct ex_model *m); /* nothing is waited for any more */
void ex_caller_begin(struct ex_model *m, struct ex_channel *ch);
void ex_caller_poke(struct ex_model *m, struct ex_channel *ch); /* something happened that it may wait for */
void ex_caller_gone(struct ex_model *m, struct ex_channel *ch);
int ex_digits(struct ex_model *m, struct ex_channel *ch, const char *digits);

/* TDM_OK with a script (NULL for an empty text), TDM_ENOMEM, TDM_ESYNTAX with words in `why`. */
int ex_script_read(struct ex_model *m, const char *text, struct ex_script **ret, char *why, size_t why_bytes);
void ex_script_free(struct ex_model *m, struct ex_script *s);

struct ex_account *ex_account_open(struct ex_model *m, const char *channel); /* NULL: not kept */
void ex_account_over(struct ex_model *m, struct ex_account *account);
void ex_receipt(struct ex_model *m, const struct ex_json *json, size_t id);
void ex_accounts_close(struct ex_model *m); /* what has not been told by now is lost */
void ex_accounts_free(struct ex_model *m);

/* ---- requests.c, params.c, rest_ws.c --------------------------------------------------------- */

#define EX_SEGMENTS 8

/* One request while it is carried out. */
struct ex_req {
    struct ex_model *m;
    struct ex_reply reply;
    const char *method;
    char *path; /* decoded per segment, for words in messages */
    char *segment[EX_SEGMENTS];
    int segments;
    const char *id[3]; /* what stood at the {} of the operation's path */
    const char *query, *form;
    struct ex_json json;
    bool later;       /* the answer comes when the lane gets there */
    bool event_first; /* the deed is done by the time the answer is given */
    int status;
    struct ex_text *body; /* empty: none */
    const char *headers;  /* or NULL */
    const char *type;     /* of the body */
    const char *about;    /* the channel it is about, for its ladder */
};

typedef void ex_handler(struct ex_req *q);

/* A parameter as text, from the JSON body, a form or the query (in this order); NULL when absent or out
 * of memory (then q->status is 500). */
const char *ex_param(struct ex_req *q, const char *name);
int ex_param_int(struct ex_req *q, const char *name, int missing);
bool ex_param_true(struct ex_req *q, const char *name);
/* A parameter that may hold several: a JSON array, or text split at commas. Calls `each` in order. */
void ex_param_each(struct ex_req *q, const char *name, void (*each)(void *ctx, const char *value), void *ctx);
/* A member of the JSON body, or 0. */
size_t ex_param_body(struct ex_req *q, const char *name);
/* A decoded string of the JSON body, in the request's memory; other kinds as they are written. */
const char *ex_param_text(struct ex_req *q, size_t value);
bool ex_decode(char *text); /* percent-decode in place */
/* Percent-encode; `out` needs three times the length and a NUL. Returns the new length. */
size_t ex_encode(char *out, const char *value);
const char *ex_query_value(struct ex_model *m, const char *query, const char *name);

void ex_error(struct ex_req *q, int status, const char *message);
void ex_nomem(struct ex_req *q);
void ex_no_content(struct ex_req *q);
/* Answer what was put off. */
void ex_answer(struct ex_model *m, struct ex_reply reply, int status, const char *message);
void ex_reply_send(struct ex_model *m, struct ex_reply reply, int status, const char *headers,
                   const char *type, const char *body, size_t bytes);
const char *ex_reason_phrase(int status);
/* Carry out a request that is in order as far as transport and rights go. Sends the answer, unless later. */
void ex_request_run(struct ex_model *m, struct ex_reply reply, bool writer, const char *method,
                    const char *path, const char *query, const char *type, const char *body, size_t bytes);
/* 1 may write, 0 may read, -1 nobody. */
int ex_rights(struct ex_model *m, const char *authorization, const char *query);
/* An answer over the event connection; the next request of it is then carried out, at the next tick. */
void ex_ws_answer(struct ex_model *m, uint64_t conn, int status, const char *type, const char *body,
                  size_t bytes);

extern const struct ex_operation {
    const char *method, *path, *name;
    ex_handler *handler; /* NULL: 501 */
} ex_operations[];

/* ---- the operations, in ops_*.c -------------------------------------------------------------- */

ex_handler ex_op_app_list, ex_op_app_get, ex_op_app_subscribe, ex_op_app_unsubscribe, ex_op_app_filter;
ex_handler ex_op_info, ex_op_ping, ex_op_global_get, ex_op_global_set, ex_op_user_event;
ex_handler ex_op_channel_list, ex_op_channel_get, ex_op_hangup, ex_op_continue, ex_op_move, ex_op_answer;
ex_handler ex_op_queued, ex_op_mute, ex_op_dtmf, ex_op_play, ex_op_var_get, ex_op_var_set, ex_op_vars_get;
ex_handler ex_op_vars_set, ex_op_originate, ex_op_create, ex_op_dial;
ex_handler ex_op_playback_get, ex_op_playback_stop, ex_op_playback_control;
ex_handler ex_op_bridge_list, ex_op_bridge_create, ex_op_bridge_get, ex_op_bridge_destroy, ex_op_bridge_add;
ex_handler ex_op_bridge_remove, ex_op_bridge_play, ex_op_bridge_moh;

/* For operations on a channel: it, or NULL with the error set. */
struct ex_channel *ex_need_channel(struct ex_req *q);
struct ex_channel *ex_need_stasis(struct ex_req *q); /* 409 outside Stasis, 412 before it is dialled */
void ex_play(struct ex_req *q, struct ex_lane *lane, const char *id); /* `play` to a channel or a bridge */

#endif
