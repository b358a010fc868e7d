/* actor.h - the inside of an actor, for the runtime's own files. See actor.c. */
#ifndef RUNTIME_ACTOR_H
#define RUNTIME_ACTOR_H
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>

#include "account.h"
#include "mailbox.h"
#include "tandem/actor.h"
#include "tandem/supervisor.h"
#include "thread.h"

struct fiber;
struct family;
struct link;
struct request;
struct table_link;
struct membership;
struct piece;
struct child;
struct module_use;
struct inbox_more;

enum {
    CONTROL_STOP = 1,
    CONTROL_KILL = 2,
    CONTROL_STUCK = 4,
    CONTROL_OVERLOAD = 8,
    CONTROL_MOVE = 16,
    CONTROL_PARENT = 32
};

enum actor_flag {
    ACTOR_KEEP_MAIL = 1, /* a restart takes over unread mail */
    ACTOR_STARTED = 2,   /* init has succeeded */
    ACTOR_STARTING = 4,  /* init has not run yet */
    ACTOR_TRAP_EXIT = 8,
    ACTOR_TRAP_STOP = 16,
    ACTOR_DRAIN = 32,
    ACTOR_STOP_SEEN = 64,      /* a stop request was passed on or is being drained for */
    ACTOR_LATE_START = 128,    /* a supervisor: started only when its children are */
    ACTOR_TAKEN = 256,         /* the handler took the message it was given */
    ACTOR_EXITING = 512,       /* `reason` is set: end when the callback returns */
    ACTOR_IGNORED = 1024,      /* init returned TDM_IGNORE */
    ACTOR_ANNOUNCED = 4096,    /* the start is through, late start included */
    ACTOR_STOP_UNTOLD = 2048,  /* a fiber's next wait ends with TDM_ESTOP */
    ACTOR_TERMINATING = 8192,  /* terminate has been called */
    ACTOR_REDELIVER = 1 << 14, /* what is in hand at a crash is seen once more; with ACTOR_KEEP_MAIL */
    ACTOR_CUT_OFF = 1 << 15,   /* it stands for a peer whose connection is lost */
    ACTOR_FOLLOWS = 1 << 16,   /* it ends because its parent did: that crash has been told */
};

/* One slot. Slots are never unmapped: a stale pid finds a generation that does not match. */
struct tdm_self {
    /* written by any sender */
    alignas(64) struct mailbox box;
    _Atomic uint64_t control; /* generation << 32 | CONTROL_*: stop and kill, ahead of mail, never refused */
    /* read by any sender, written at spawn, restart and end (release; partner: actor_of's acquire) */
    _Atomic uint32_t gen;   /* of the incarnation that may be addressed; 0: none */
    _Atomic uint32_t birth; /* gen of the place's first incarnation; 0: no place */
    uint32_t slot;
    _Atomic uint16_t limit; /* relaxed: set before the address is known, the same for all incarnations */
    _Atomic uint8_t overflow;
    uint8_t fibers; /* 1: runs on a stack of its own */
    /* for other threads, short: of `family`, when they start children, and of the inbox, when they drop the oldest */
    pthread_spinlock_t lock;
    uint32_t next_gen;          /* the slot's, over all tenants; see slot.c */
    _Atomic uint64_t place_end; /* what tdm_place_end() said, with the birth it meant; see family.c */
    struct tdm_runtime *rt;
    struct tdm_self *run_next; /* on a locked run queue */
    /* written only by the worker that runs the actor (or, between two incarnations, its supervisor); first what each
     * message needs */
    alignas(64) struct tdm_msg *inbox; /* taken from the box, oldest first */
    uint32_t inbox_count;
    uint32_t flags;
    struct inbox_more *more; /* of a fiber, and of a mailbox with TDM_DROP_OLDEST; else NULL; see inbox.c */
    uint32_t handled;        /* read, but still counted in the box */
    uint32_t timers;         /* first of its timers, 0 none (see timer.c) */
    const struct tdm_behaviour *behaviour;
    void *state;
    struct fiber *fiber;
    struct history *history;
    _Atomic(struct account *) account; /* of its class; read by senders who found the box full */
    struct piece *pieces;              /* tdm_alloc */
    struct link *links;
    struct request *requests;
    struct table_link *names;
    struct membership *memberships;  /* in groups; see group.c */
    _Atomic(struct family *) parent; /* the family it is entered in; under the lock of its shard there */
    struct child *child;             /* what its supervisor knows of it; NULL: nobody's child */
    struct family *family;           /* its own children: a supervisor; else NULL */
    struct exit_info *exit;
    char *tag;
    struct start_info *start; /* until init has run */
    struct module_use *use;   /* the module whose code it runs; NULL: none */
    uint64_t born_ns;
    uint64_t memory, memory_limit; /* tdm_alloc: what it has, with the headers; what it may have */
};
_Static_assert(sizeof(struct tdm_self) == 256, "an idle actor is four cache lines");

/* Why and how an actor ends, kept out of the common case's way. */
struct exit_info {
    struct tdm_reason reason;
};

struct start_info {
    struct tdm_spawn_cfg cfg; /* arg points to arg_copy */
    size_t bytes;             /* of this block */
    max_align_t arg_copy[];
};

struct history {
    uint32_t next;
    uint32_t size;
    struct {
        uint32_t type;
        uint32_t bytes;
    } entries[];
};

static inline uint32_t actor_limit(const struct tdm_self *a)
{
    return atomic_load_explicit(&a->limit, memory_order_relaxed); /* see there */
}

#define PLACE_BIT     (1ull << 63)
#define MSG_CHECKED   UINT64_MAX /* `to_` of a message in a fiber's inbox that was found not to be stale */
#define MSG_LINK_EXIT (UINT64_MAX - 1) /* the same, of a TDM_MSG_EXIT that came through a link */
#define MSG_AGAIN     (UINT64_MAX - 2) /* of a message that was in hand at a crash: it is not seen a third time */

static inline uint64_t id_make(uint32_t gen, uint32_t slot)
{
    return ((uint64_t)gen << 32) | slot;
}
static inline uint32_t id_slot(uint64_t id)
{
    return (uint32_t)id;
}
static inline uint32_t id_gen(uint64_t id)
{
    return (uint32_t)(id >> 32) & 0x7fffffffu;
}
static inline bool id_is_place(uint64_t id)
{
    return (id & PLACE_BIT) != 0;
}

/* ---- actor.c --------------------------------------------------------------------------------- */
struct tdm_self *actor_by_slot(struct tdm_runtime *rt, uint32_t slot);
/* The actor a pid or place means now, or NULL. It may end at any moment. */
struct tdm_self *actor_of(struct tdm_runtime *rt, uint64_t id);
/* Put a signal or system message in, bound or no bound; TDM_ENOPROC leaves it to the caller. */
int actor_post(struct tdm_runtime *rt, uint64_t to, struct tdm_msg *msg);
/* The same for a caller that holds a lock: the deterministic environment may not switch here. */
int actor_post_locked(struct tdm_runtime *rt, uint64_t to, struct tdm_msg *msg);
int actor_control(struct tdm_runtime *rt, tdm_pid to, uint32_t bit);
/* A slot and an actor in it that nobody can reach yet. */
int actor_make(struct tdm_runtime *rt, const struct tdm_spawn_cfg *cfg, struct tdm_self **ret);
/* Give it its first address; push it onto a run queue next. */
void actor_launch(struct tdm_self *a);
/* The same slot, a new incarnation; the mailbox goes on. Supervisor only, between two incarnations. */
int actor_relaunch(struct tdm_self *a, const struct tdm_spawn_cfg *cfg);
/* An incarnation has ended and there will be no other: the mailbox closes, the slot is free. */
void actor_bury(struct tdm_self *a);
/* One turn on a worker. True: there is more to do. */
bool actor_run(struct tdm_self *a, uint32_t budget);
/* End the incarnation. The caller holds its turn and loses it. */
void actor_end(struct tdm_self *a, const struct tdm_reason *reason, bool run_terminate);
/* End with this when the present callback returns. */
void actor_set_reason(struct tdm_self *a, const struct tdm_reason *reason);
/* Init has succeeded, and a late start is through: tell who waits for it. */
void actor_started(struct tdm_self *a);
int actor_run_init(struct tdm_self *a);
void actor_make_runnable(struct tdm_self *a);
/* The start argument is not needed any more. */
void actor_drop_start(struct tdm_self *a);
/* Everything that has come, behind what is already in hand, and sift_at where it begins. False: nothing new, and the turn
 * is given up: the caller may not touch the actor any more, but for go_idle(). See inbox.c. */
bool actor_fetch(struct tdm_self *a);
/* The same for who keeps the turn, though there be nothing. */
void actor_fetch_rest(struct tdm_self *a);
bool actor_has_mail(struct tdm_self *a);
void actor_sift_inbox(struct tdm_self *a);
void actor_sift_from_start(struct tdm_self *a);
/* Oldest message in hand, or NULL. */
struct tdm_msg *actor_pop(struct tdm_self *a);
/* Note a message in the history that a crash report shows. */
void actor_remember(struct tdm_self *a, const struct tdm_msg *msg);
/* The incarnation ends: what its handler or fiber was given and had not taken is freed or, after a crash and if the spec
 * says so, kept for the next one to see first. */
void actor_put_down(struct tdm_self *a, bool crashed);
bool actor_accepts(const struct tdm_self *a, const struct tdm_msg *msg);
bool actor_sift(struct tdm_self *a, struct tdm_msg *msg);
bool actor_unwanted(struct tdm_self *a, struct tdm_msg *msg);
/* A checked message with this ref that still waits in a fiber's inbox: gone. */
void actor_forget_ref(struct tdm_self *a, tdm_ref ref);
/* An exit that came through a link and still waits in a fiber's inbox: gone. */
void actor_forget_exit(struct tdm_self *a, tdm_pid from);
/* Count it and free it, or answer it if it is a signal. */
void actor_dead_letter(struct tdm_runtime *rt, struct tdm_msg *msg, enum dead_cause cause);

/* ---- self.c ---------------------------------------------------------------------------------- */
/* A reason somebody filled in by hand: its text ends, and one that was cut inside a character is cut before it. */
void reason_settle(struct tdm_reason *r);

/* ---- link.c ---------------------------------------------------------------------------------- */
enum {
    SIG_LINK = TDM_MSG_INTERNAL, /* from: who links; the payload has room for the exit it becomes */
    SIG_UNLINK,
    SIG_EXIT,    /* struct tdm_notice; ref 1: through a link, 0: sent by hand */
    SIG_MONITOR, /* ref; the payload has room for the DOWN it becomes */
    SIG_DEMONITOR,
    SIG_CHILD_STARTED, /* to a supervisor, from a child's own memory; from here on for its behaviour */
    SIG_CHILD_EXIT,
    SIG_FAMILY_EMPTY,   /* the last child of a stopping supervisor has gone */
    SIG_CHILD_LAUNCHED, /* a start from outside, which the supervisor is to time: struct child * */
    SIG_ADMIN,          /* a request of tdm_sup_request() */
    SIG_LAST,
};
bool link_signal(struct tdm_self *a, struct tdm_msg *msg); /* false: it became a message for the behaviour */
void link_actor_ended(struct tdm_self *a, tdm_pid pid, const struct tdm_reason *reason);
/* A link or monitor signal found nobody: answer as its target would. Takes msg. */
void link_refused(struct tdm_runtime *rt, struct tdm_msg *msg, const struct tdm_reason *reason);
bool link_wants_down(struct tdm_self *a, struct tdm_msg *msg);
/* Watch `to` under a ref made by the caller. */
int link_monitor(struct tdm_self *a, tdm_pid to, tdm_ref ref);
/* For a report: how many of each, and the first few. */
struct link_facts {
    uint32_t links, watches, watched;
    tdm_pid linked_to[4], watched_by[4];
};
void link_describe(const struct tdm_self *a, struct link_facts *facts);

/* ---- request.c ------------------------------------------------------------------------------- */
bool request_reply(struct tdm_self *a, struct tdm_msg *msg); /* true: late, drop it */
/* Time ran out or the target ended: msg becomes TDM_MSG_REQUEST_FAILED. False: it was not a request's. */
bool request_failed(struct tdm_self *a, struct tdm_msg *msg);
void request_actor_ended(struct tdm_self *a);

/* ---- memory.c -------------------------------------------------------------------------------- */
void memory_release(struct tdm_self *a);

/* ---- registry.c ------------------------------------------------------------------------------ */
void registry_actor_ended(struct tdm_self *a);

/* ---- group.c --------------------------------------------------------------------------------- */
void group_actor_ended(struct tdm_self *a);

/* ---- timer.c --------------------------------------------------------------------------------- */
/* In the ref of a timer's message that its owner has passed on. Refs use the low 62 bits. */
#define TIMER_FORWARDED (1ull << 63)

static inline bool timer_is_timer(tdm_ref ref)
{
    return ref >> 56 != 0;
}
void timer_actor_ended(struct tdm_self *a);
bool timer_message(struct tdm_self *a,
                   struct tdm_msg *msg); /* true: cancelled meanwhile or passed on; it is gone */

/* Between two incarnations, by the supervisor: is a message of this type unread? */
bool actor_has_unread(struct tdm_self *a, uint32_t type);
/* Drop all unread mail; the actor's turn is held, and the box stays BUSY. */
void actor_drop_unread(struct tdm_self *a);

/* ---- supervisor's side of a child: family.c -------------------------------------------------- */
bool family_place_stays(struct tdm_self *a, const struct tdm_reason *reason);
/* True: the place went to its supervisor, which may already have restarted it: hands off. */
bool family_child_ended(struct tdm_self *a, const struct tdm_reason *reason, bool stays);
void family_child_started(struct tdm_self *a);
void family_ended(struct tdm_self *sup, const struct tdm_reason *reason);
/* Why its supervisor ended, for a child that was told to end with it. */
const struct tdm_reason *family_parents_reason(const struct tdm_self *a);
/* The name it wanted is this one's: who asked for its start may want to know. */
void family_name_taken(struct tdm_self *a, tdm_pid holder);
void family_describe_start(struct tdm_self *a, struct tdm_start *start);
/* The supervisors above an actor, from the root down: "main(123) > calls(456)"; "" when nobody is. Returns its length.
 * By whoever holds the actor's turn, before its place goes to its supervisor. */
size_t family_ancestors(const struct tdm_self *a, char *buf, size_t bytes);

/* ---- fiber.c --------------------------------------------------------------------------------- */
enum { FIBER_WAITS = 1000, FIBER_GOES_ON = 1001 };
int fiber_start(struct tdm_self *a, uint32_t stack_bytes);
int fiber_resume(struct tdm_self *a); /* FIBER_WAITS, FIBER_GOES_ON, or what `run` returned */
/* After FIBER_GOES_ON: the next resume runs it anew, on its other stack. */
void fiber_go_on(struct tdm_self *a);
void fiber_tell_stop(struct tdm_self *a);
void fiber_taken(struct tdm_self *a, const struct tdm_msg *msg);
/* What its code was given last and has not taken; no longer the fiber's. NULL: nothing. */
struct tdm_msg *fiber_put_down(struct tdm_self *a);
void fiber_release(struct tdm_self *a);

#endif
