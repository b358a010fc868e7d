/* supervisor.h - keeps its children running, and knows when to give up.
 *
 * A supervisor is an ordinary actor. A child has a place: it keeps it, and what is sent to it,
 * over restarts, while each incarnation has a pid of its own.
 * Source: OTP's supervisor; our additions (per-child limits, kept mailboxes, notes) are marked (+). */
#ifndef TANDEM_SUPERVISOR_H
#define TANDEM_SUPERVISOR_H
#include "tandem/actor.h"

enum tdm_strategy {
    TDM_ONE_FOR_ONE,  /* only the child that ended is started again */
    TDM_ONE_FOR_ALL,  /* all others are stopped, last started first; then all are started, in order */
    TDM_REST_FOR_ONE, /* the same for the children after the one that ended */
    TDM_DYNAMIC,      /* one template, any number of children; OTP's simple_one_for_one */
};

enum tdm_restart {
    TDM_PERMANENT, /* always restarted */
    TDM_TRANSIENT, /* restarted after an abnormal exit: any but `normal` and `shutdown` */
    TDM_TEMPORARY, /* never restarted; its spec goes with it */
};

/* When a supervisor ends itself, with `shutdown`, because significant children have ended by themselves for good:
 * a temporary one however it ended, a transient one by `normal` or `shutdown`. Source: OTP 24's auto_shutdown. */
enum tdm_auto_shutdown {
    TDM_AUTO_NEVER,
    TDM_AUTO_ANY_SIGNIFICANT, /* the first one */
    TDM_AUTO_ALL_SIGNIFICANT, /* the last one that ran or was being restarted */
};

#define TDM_SHUTDOWN_DEFAULT  0u /* 5000 ms for workers, no limit for supervisors */
#define TDM_SHUTDOWN_INFINITY UINT32_MAX
#define TDM_SHUTDOWN_BRUTAL   (UINT32_MAX - 1) /* kill without asking */
#define TDM_SHUTDOWN_NOW      (UINT32_MAX - 2) /* ask, and kill at once after: OTP's time 0 */

enum tdm_child_type { TDM_WORKER, TDM_SUPERVISOR };

/* (+) What happens to unread mail at a restart. */
enum tdm_mail {
    TDM_MAIL_FRESH, /* thrown away, as in OTP; counted as dead letters */
    TDM_MAIL_KEEP   /* goes on to the next incarnation, in order */
};

/* (+) What happens to the message that was being handled at a crash (an error returned, a failed assert, tdm_exit() with
 * an error, a fault, a callback without end); of a fiber: the one it received last. Not seen again are one that was
 * taken (tdm_msg_take), the last one of tdm_place_end(), and what was meant for that incarnation alone: timers it set,
 * answers, notices. While it waits for the next incarnation it counts as unread. */
enum tdm_redeliver {
    TDM_REDELIVER_NEVER,
    TDM_REDELIVER_ONCE /* the next incarnation sees it first; a message is not seen a third time. With TDM_MAIL_KEEP */
};

struct tdm_child_spec {
    const char *id;             /* unique in its supervisor; ignored in a template */
    struct tdm_spawn_cfg start; /* behaviour, argument, mailbox of every incarnation */
    enum tdm_restart restart;
    bool significant;     /* not with PERMANENT, nor under AUTO_NEVER */
    uint32_t shutdown_ms; /* or one of TDM_SHUTDOWN_* */
    uint32_t
        start_timeout_ms; /* 0: none. Past it the child is killed and its start has failed with TDM_ETIMEOUT */
    enum tdm_child_type type;
    enum tdm_mail mail;           /* (+) */
    enum tdm_redeliver redeliver; /* (+) */
    /* (+) Called once, in the supervisor, when a child is given up because of its own limit. */
    void (*on_give_up)(tdm_self *sup, tdm_place child, const void *arg, size_t arg_bytes,
                       const struct tdm_reason *last);
};

enum tdm_intensity_scope { TDM_SCOPE_SUPERVISOR, TDM_SCOPE_CHILD /* (+) each child has its own count */ };

#define TDM_INTENSITY_DEFAULT INT32_MIN /* 1, as in OTP */

struct tdm_sup_cfg {
    const char *name; /* for logs; also registered when not NULL */
    enum tdm_strategy strategy;
    int32_t intensity;  /* restarts allowed within the period, 0..100000; 0: the first is one too many */
    uint32_t period_ms; /* default 5000 */
    enum tdm_auto_shutdown auto_shutdown; /* not for DYNAMIC */
    enum tdm_intensity_scope scope;
    uint32_t max_children;                   /* dynamic; 0: no limit */
    uint32_t backoff_min_ms, backoff_max_ms; /* (+) delay before the n-th restart in a row */
    uint32_t backoff_reset_ms; /* (+) a life this long begins the row anew; default (min + max) / 2 */
    double backoff_jitter;     /* (+) 0..1 */
    const struct tdm_child_spec *children; /* dynamic: exactly one, the template */
    size_t n_children;
    /* Called first in each incarnation of the supervisor, with a copy of these settings to complete or replace; what it
     * points to must outlive the call by as long as the supervisor takes to start. TDM_OK; TDM_IGNORE: no supervisor
     * wanted, which the starter is told; an error. May be NULL. Source: supervisor's Module:init/1. */
    int (*init)(tdm_self *sup, void *udata, struct tdm_sup_cfg *cfg);
    void *udata;
};

/* Would these settings be taken? The same verdict as a start's, without one. On TDM_EINVAL `why` (may be NULL) says
 * which field of which child, and its value: "children[2] (id \"b\"): significant with restart permanent".
 * Threads: any. Source: supervisor:check_childspecs/2. */
int tdm_sup_check(const struct tdm_sup_cfg *cfg, char *why, size_t why_bytes);

/* Why a start failed. */
struct tdm_start_failure {
    int err;        /* as returned */
    char child[64]; /* the id of the child that failed to start; "" when it was the supervisor itself */
    struct tdm_reason reason; /* its exit reason: with kind ERROR the code and the words */
};

/* Start a supervisor and its children, in order; waits until all have started or one failed, in
 * which case the others are stopped again and nothing is left. `cfg` is copied, start arguments too.
 * Threads: not on a worker: it waits. Inside the tree give TDM_SUP_CHILD() to a supervisor instead.
 * Errors:  TDM_EINVAL (logged with the field's name), TDM_ENOMEM, the failed child's error. TDM_IGNORE (positive): its
 *          init wanted none; *ret is {0}.
 * tdm_sup_start_why: the same, and says what failed; `why` may be NULL. */
int tdm_sup_start(struct tdm_runtime *rt, const struct tdm_sup_cfg *cfg, tdm_pid *ret);
int tdm_sup_start_why(struct tdm_runtime *rt, const struct tdm_sup_cfg *cfg, tdm_pid *ret,
                      struct tdm_start_failure *why);

/* The behaviour of a supervisor, to be a child itself: start.arg is a struct tdm_sup_cfg, which (with
 * all it points to) must outlive the parent. */
extern const struct tdm_behaviour tdm_supervisor;

#define TDM_SUP_CHILD(id_, cfg_ptr)                                               \
    {                                                                             \
        .id = (id_), .type = TDM_SUPERVISOR, .restart = TDM_PERMANENT, .start = { \
            .behaviour = &tdm_supervisor,                                         \
            .arg = (cfg_ptr),                                                     \
            .arg_bytes = sizeof *(cfg_ptr),                                       \
            .trap_exit = true,                                                    \
            .trap_stop = true                                                     \
        }                                                                         \
    }

/* Start a child of a dynamic supervisor with its own argument (in place of the template's) and tag.
 * It does not wait for the supervisor or for the child: the child has a place and a mailbox when it
 * returns, and init runs soon. A start that then fails is logged and leaves nothing.
 * Threads: any; never blocks, never touches the supervisor's mailbox (but for a template with start_timeout_ms, to have
 *          the start timed).
 * Errors:  TDM_ENOPROC, TDM_ESHUTDOWN, TDM_EBUSY (max_children), TDM_ENOMEM; TDM_EINVAL, it is not dynamic.
 * Source:  supervisor:start_child/2, made asynchronous. */
int tdm_sup_start_dynamic(struct tdm_runtime *rt, tdm_pid sup, const void *arg, size_t arg_bytes,
                          const char *tag, tdm_place *ret);

/* (+) The thing the child stands for has ended, and this is the last message about it. It is let in however full the
 * mailbox is. If the actor crashes before it gets there, its successor reads it; but if the actor is between two
 * incarnations now, or crashes in handling this very message, it is not started again: its mail is dropped and the place
 * is removed.
 * Owns:    on TDM_OK the runtime owns `last`; TDM_ENOPROC, the place is gone: the caller still does.
 * Threads: any. Never blocks. */
int tdm_place_end(struct tdm_runtime *rt, tdm_place place, struct tdm_msg *last);

/* The incarnation that lives in a place now; {0} between two or after the end. */
tdm_pid tdm_place_pid(struct tdm_runtime *rt, tdm_place place);

/* ---- administration -------------------------------------------------------------------------- */

/* Sent as requests from an actor; the answer is a TDM_MSG_REPLY with a struct tdm_sup_reply, or TDM_MSG_REQUEST_FAILED
 * (a supervisor that does not exist: TDM_ENOPROC). `id` names a child of a static supervisor, `pid` one of a dynamic one;
 * the other way round is TDM_ENOTFOUND (static) or TDM_ENOTSUP (dynamic) and touches nothing.
 *
 * Answers in `err`, by the state of the child with that id:
 *
 *   op                 running       restarting    stopped       unknown
 *   START_CHILD        TDM_EEXIST+   TDM_EPRESENT  TDM_EPRESENT  starts it     + `pid` says which runs
 *   RESTART_CHILD      TDM_EEXIST    TDM_EBUSY     starts it     TDM_ENOTFOUND
 *   TERMINATE_CHILD    stops it      stops trying  TDM_OK        TDM_ENOTFOUND
 *   DELETE_CHILD       TDM_ESTATE    TDM_EBUSY     removes it    TDM_ENOTFOUND
 *
 * A start that fails gives the child's error and its words in `reason`, and (START_CHILD) leaves no spec; TDM_OK with
 * `ignored` set: init returned TDM_IGNORE. A supervisor that stops answers starts with TDM_ESHUTDOWN. A dynamic
 * supervisor's START_CHILD starts one more from the template, with `arg`; beyond max_children TDM_EBUSY.
 * A request that comes while a static child starts, or a group restart is under way, waits and is answered in order
 * afterwards. Between two attempts of a restart it is answered at once. Dynamic children start side by side: nobody waits.
 * TDM_EEXIST from a start whose name was taken says in `pid` by whom.
 * Source: supervisor's functions of these names. */
enum tdm_sup_op {
    TDM_SUP_COUNT,           /* specs, active, supervisors, workers */
    TDM_SUP_START_CHILD,     /* static: `spec`; dynamic: `arg`, `tag` */
    TDM_SUP_TERMINATE_CHILD, /* answered when it has ended */
    TDM_SUP_RESTART_CHILD,
    TDM_SUP_DELETE_CHILD,
    TDM_SUP_WHICH,          /* one child, by id (dynamic: by pid), in children[0] */
    TDM_SUP_WHICH_CHILDREN, /* all, newest first; dynamic: in no order */
    TDM_SUP_GET_SPEC,       /* the full spec with defaults filled in; of a dynamic child: the template */
    TDM_SUP_RECONFIGURE,    /* `cfg`: new settings and specs, see below */
};

/* RECONFIGURE gives a running supervisor the settings and the list of `cfg` (strategy and name stay as they are). Static:
 * a spec with a known id is updated and its actor goes on; new ids are added as stopped; ids that are missing keep their
 * entry; the order becomes that of the new list, and those follow. Dynamic: the template of the next start. A list that is
 * refused (or for which there is no memory) changes nothing at all; the answer's reason says which field.
 * Source: supervisor:code_change/3. */
struct tdm_sup_question {
    enum tdm_sup_op op;
    const char *id;
    tdm_pid pid;
    const struct tdm_child_spec *spec; /* copied, with what it points to; as are the following */
    const void *arg;
    size_t arg_bytes;
    const char *tag;
    const struct tdm_sup_cfg *cfg;
};

enum tdm_child_state { TDM_CHILD_STOPPED, TDM_CHILD_STARTING, TDM_CHILD_RUNNING, TDM_CHILD_RESTARTING };

struct tdm_child_info {
    char id[64]; /* "" for dynamic children; longer ones are cut */
    enum tdm_child_state state;
    tdm_pid pid; /* {0} unless it runs */
    tdm_place place;
    enum tdm_child_type type;
    enum tdm_restart restart;
    bool significant;
    uint32_t restarts;
    const char *module; /* the behaviour's name, or its module's; static text */
};

struct tdm_sup_reply {
    int err;
    bool ignored;
    tdm_pid pid;
    uint64_t value;           /* starts: what init gave to tdm_start_value() */
    struct tdm_reason reason; /* starts that failed */
    uint32_t specs, active, supervisors, workers;
    struct tdm_child_spec spec;       /* GET_SPEC; its texts and argument live as long as this message */
    uint32_t n_children;              /* WHICH_* */
    struct tdm_child_info children[]; /* in this message */
};

/* Ask. Returns the ref, or 0 when out of memory. The time to wait is `timeout_ms`, 0: 5000. */
tdm_ref tdm_sup_ask(tdm_self *self, tdm_pid sup, const struct tdm_sup_question *q, uint32_t timeout_ms);
/* The same for questions of an id or pid alone. */
tdm_ref tdm_sup_request(tdm_self *self, tdm_pid sup, enum tdm_sup_op op, const char *id, tdm_pid pid);

/* Live children of a dynamic supervisor, without asking it. Threads: any. */
uint32_t tdm_sup_active(struct tdm_runtime *rt, tdm_pid sup);

#endif
