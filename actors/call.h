/* call.h - the inside of a call's actor, for the files that make it up. See call.c. */
#ifndef ACTORS_CALL_H
#define ACTORS_CALL_H
#include "app_registry.h"
#include "tandem/env.h"
#include "tandem/fiber.h"
#include "tandem/metrics.h"
#include "tandem/source.h"

#define CALL_TYPE_AHEAD    64u    /* digits kept for a question with type_ahead */
#define CALL_EVENTS_KEPT   16u    /* unread events of a fiber app */
#define CALL_EVENTS_BEFORE 4u     /* before it has asked for any */
#define CALL_EVENT_BYTES   16384u /* and their text altogether */
#define CALL_VERB_MAX_MS   90000u /* a source that never answers a verb is not waited for any longer */
#define CALL_GRACE_MS      5000u  /* for a fiber app to return after the end of its call */
#define CALL_LINGER_MS     2000u  /* for the switch to say that the call we ended has ended */
#define CALL_ARGS_MAX      255u   /* bytes of the arguments of a move */
#define CALL_ERROR_BYTES   160u

/* The start argument of every incarnation; the strings and the JSON text follow, each ended by NUL. */
struct call_start {
    struct tdm_source *source;
    const struct app_entry *app; /* that the call was started with; after a restart, its newest version */
    uint64_t claim;              /* what the key holds until the place is known */
    bool adopted;
    uint32_t switch_app_bytes, id_bytes, json_bytes;
    char text[];
};

static inline const char *call_start_app(const struct call_start *s)
{
    return s->text;
}
static inline const char *call_start_id(const struct call_start *s)
{
    return s->text + s->switch_app_bytes + 1;
}
static inline const char *call_start_json(const struct call_start *s)
{
    return call_start_id(s) + s->id_bytes + 1;
}

/* ---- operations: a verb under way ------------------------------------------------------------ */

struct op;

/* What an operation does with what happens to the call. NULL: nothing. */
struct op_type {
    bool (*digit)(tdm_call *call, struct op *op, char digit); /* true: used, nobody else gets it */
    void (*play_started)(tdm_call *call, struct op *op);
    void (*play_ended)(tdm_call *call, struct op *op, enum tdm_play_word word);
    void (*done)(tdm_call *call, struct op *op, int err, const char *value);
    void (*time)(tdm_call *call, struct op *op);
    void (*part)(tdm_call *call, struct op *op, struct op *part); /* an operation it started has finished */
    void (*abandon)(tdm_call *call, struct op *op); /* finished from outside while the call goes on */
    void (*release)(tdm_call *call, struct op *op); /* give back what it allocated */
};

/* Lives from its start until its result has been taken by whoever waits, or was handed over. */
struct op {
    struct op *next; /* in call->ops, in the order of their start */
    const struct op_type *type;
    struct op *whole; /* this is part of that operation; NULL: the app's own */
    tdm_ref wire;     /* the ref the source knows it by; 0 none */
    tdm_ref timer;    /* 0: none runs */
    bool waited;      /* a waiting verb stands on it and will free it */
    bool finished;
    bool unwanted; /* nobody takes the result */
    struct tdm_verb_result result;
};

/* Where the call's own end stands. */
enum call_phase {
    CALL_ACTIVE,  /* the app runs */
    CALL_CLOSING, /* the app is over, the call is being ended or about to be */
    CALL_OVER,    /* the actor has nothing left to do */
};

/* Objects of the switch whose events come to this call. */
struct owned {
    struct owned *next;
    size_t bytes;
    char key[];
};

struct kept_event {
    struct kept_event *next;
    tdm_event *event;
    size_t bytes;
};

struct tdm_call {
    tdm_self *self;
    struct tdm_source *source;
    const struct tdm_source_ops *ops;
    void *mine;                       /* the source's, ops->call_bytes */
    const struct call_start *start;   /* our copy */
    const struct app_entry *app;      /* that runs now */
    const struct app_entry *next_app; /* moved to: runs when the present one returns */
    void *app_state;                  /* of a behaviour app */
    tdm_event *event;                 /* that began it */
    char *caller, *exten;
    const char *const *argv;
    int argc;
    uint32_t restarts;
    uint32_t stack_bytes; /* of a fiber */
    bool fiber;           /* a stack of our own: waiting verbs are possible */
    bool begun;
    bool answered;
    bool leaving; /* hangup, hand_back or move of ours is under way or done */
    bool left;    /* done */
    bool ended;
    bool given_up; /* the source was asked to end the call without us */
    bool stopping;
    bool consumed; /* an operation used the event in hand */
    bool app_done; /* a callback returned TDM_STOP */
    bool end_told; /* on_end has run */
    bool moved;    /* `app` is not the one that the call was started with, or has other arguments */
    enum call_phase phase;
    int verdict;         /* of a behaviour app's callback: TDM_OK, TDM_STOP, an error */
    uint64_t refused_ns; /* when a verb was first answered TDM_EHANGUP; 0: never */
    uint32_t refusals;   /* how many since then */
    struct op *op;       /* list */
    char type_ahead[CALL_TYPE_AHEAD];
    uint32_t type_ahead_count;
    bool events_wanted;
    struct kept_event *kept, *lent; /* lent: given out by tdm_next_event(), until the next verb */
    uint32_t kept_count;
    size_t kept_bytes;
    char *moved_args;
    struct owned *owned; /* list, see dispatch.c */
    char error[CALL_ERROR_BYTES];
};

/* ---- call.c ---------------------------------------------------------------------------------- */
extern const struct tdm_behaviour call_fiber, call_reactive;
/* One message, whatever it is, for whichever form the app has. */
void call_feed(tdm_call *call, struct tdm_msg *msg);
/* Hand finished operations to who wants them. */
void call_pump(tdm_call *call);
/* The actor was told to stop. */
void call_stop(tdm_call *call);
void call_say_error(tdm_call *call, const char *words);

/* ---- op.c ------------------------------------------------------------------------------------ */
/* bytes: of the structure that begins with the op; zeroed. NULL: out of memory. */
void *op_new(tdm_call *call, const struct op_type *type, enum tdm_verb verb, size_t bytes);
void op_finish(struct op *op, int result);
/* A ref nobody has had before, not even an earlier incarnation. */
tdm_ref op_next_ref(tdm_call *call);
void op_timer(tdm_call *call, struct op *op, uint64_t delay_ns);
void op_timer_cancel(tdm_call *call, struct op *op);
/* The same for an absolute deadline; 0 cancels. */
void op_deadline(tdm_call *call, struct op *op, uint64_t deadline_ns);
struct op *op_by_wire(tdm_call *call, tdm_ref wire);
struct op *op_by_timer(tdm_call *call, tdm_ref timer);
void op_free(tdm_call *call, struct op *op);
/* Is it hangup, hand_back or move? Then the call's end is what it wants, and a stop does not stop it. */
bool op_ends_call(const struct op *op);
/* Finish all that is under way with `err`. `call_goes_on`: then what plays is stopped, and what is about to
 * end the call is left alone; else the latter has got what it wanted. */
void op_abandon_all(tdm_call *call, int err, bool call_goes_on);
/* May this verb begin now? TDM_OK or the answer it gets instead. */
int op_permitted(tdm_call *call, enum tdm_verb verb);
/* Is this a place where waiting verbs may stand? Not in the callbacks of a behaviour app. */
bool op_can_wait(const tdm_call *call);
/* The message form of every verb, given the operation (NULL: out of memory). */
tdm_ref op_started(tdm_call *call, struct op *op);
/* The waiting form: its result, after everything else that happens meanwhile was seen to. */
int op_wait(tdm_call *call, struct op *op);
int op_wait_free(tdm_call *call, struct op *op);

/* ---- one per verb: begins it, as an operation in call->op. NULL: out of memory --------------- */
struct op *verb_answer(tdm_call *call);
struct op *verb_hangup(tdm_call *call, int cause);
struct op *verb_hand_back(tdm_call *call, const char *context, const char *exten, int priority);
struct op *play_begin(tdm_call *call, const struct tdm_play_opts *opts, struct op *whole);
void play_interrupt(tdm_call *call, struct op *play);
struct op *ask_begin(tdm_call *call, const struct tdm_gather_opts *opts, enum tdm_verb verb);
/* What a menu answers, given what was gathered. */
int menu_choice(const struct tdm_gather_opts *opts, const struct tdm_gather_result *gathered);

/* ---- unread.c -------------------------------------------------------------------------------- */
void unread_keep(tdm_call *call, tdm_event *event);

/* ---- close.c --------------------------------------------------------------------------------- */
/* The app is over: see to it that the call is, too, and then the actor. */
void call_close(tdm_call *call);
/* The actor can not end the call itself, or will not: have the source do it. Once. */
void call_give_up(tdm_call *call);

/* ---- note.c ---------------------------------------------------------------------------------- */
/* Take over the note of the last incarnation: which app ran, with which arguments, and the app's own. */
int note_restore(tdm_call *call);
/* Have the note outlive the process, and take over what the last process left. */
int note_durable(tdm_call *call);
/* Remember from now on that this app runs; the note of the one before is dropped. */
int note_moved(tdm_call *call, const struct app_entry *app, const char *args);

/* ---- strings kept by an operation; all in one block of the actor's memory -------------------- */
char *call_strdup(tdm_call *call, const char *text); /* NULL for NULL */
const char *const *call_strv(tdm_call *call, const char *const *list);
/* The arguments of a comma list become those of the call; memory that is short leaves it without any. */
void call_split_args(tdm_call *call, const char *args);

#endif
