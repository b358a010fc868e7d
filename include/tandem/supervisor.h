/* supervisor.h - keeps its children running, and knows when to give up.
 *
 * A supervisor is an ordinary actor. A child has a place: it keeps it, and what is sent to it,
 * over restarts, while each incarnation has a pid of its own.
 * Source: OTP's supervisor; our additions (per-child limits, kept mailboxes, notes) are marked (+). */
#ifndef TANDEM_SUPERVISOR_H
#define TANDEM_SUPERVISOR_H
#include "tandem/actor.h"

enum tdm_strategy {
    TDM_ONE_FOR_ONE, /* only the child that ended is started again */
    TDM_DYNAMIC,     /* one template, any number of children; OTP's simple_one_for_one */
};

enum tdm_restart {
    TDM_PERMANENT, /* always restarted */
    TDM_TRANSIENT, /* restarted after an abnormal exit */
    TDM_TEMPORARY, /* never restarted */
};

#define TDM_SHUTDOWN_DEFAULT  0u /* 5000 ms for workers, no limit for supervisors */
#define TDM_SHUTDOWN_INFINITY UINT32_MAX
#define TDM_SHUTDOWN_BRUTAL   (UINT32_MAX - 1) /* kill without asking */

enum tdm_child_type { TDM_WORKER, TDM_SUPERVISOR };

/* (+) What happens to unread mail at a restart. */
enum tdm_mail {
    TDM_MAIL_FRESH, /* thrown away, as in OTP; counted as dead letters */
    TDM_MAIL_KEEP   /* goes on to the next incarnation, in order */
};

struct tdm_child_spec {
    const char *id;             /* unique in its supervisor; ignored in a template */
    struct tdm_spawn_cfg start; /* behaviour, argument, mailbox of every incarnation */
    enum tdm_restart restart;
    uint32_t shutdown_ms;      /* or one of TDM_SHUTDOWN_* */
    uint32_t start_timeout_ms; /* 0: none */
    enum tdm_child_type type;
    enum tdm_mail mail; /* (+) */
    /* (+) Called once, in the supervisor, when a child is given up because of its own limit. */
    void (*on_give_up)(tdm_self *sup, tdm_place child, const void *arg, size_t arg_bytes,
                       const struct tdm_reason *last);
};

enum tdm_intensity_scope { TDM_SCOPE_SUPERVISOR, TDM_SCOPE_CHILD /* (+) each child has its own count */ };

struct tdm_sup_cfg {
    const char *name; /* for logs; also registered when not NULL */
    enum tdm_strategy strategy;
    int32_t intensity;  /* restarts allowed within the period; -1 for the default 1 */
    uint32_t period_ms; /* default 5000 */
    enum tdm_intensity_scope scope;
    uint32_t max_children;                   /* dynamic; 0: no limit */
    uint32_t backoff_min_ms, backoff_max_ms; /* (+) delay before the n-th restart in a row */
    double backoff_jitter;                   /* (+) 0..1 */
    const struct tdm_child_spec *children;   /* dynamic: exactly one, the template */
    size_t n_children;
};

/* Start a supervisor and its children, in order; waits until all have started or one failed, in
 * which case the others are stopped again and nothing is left. `cfg` is copied, start arguments too.
 * Threads: not on a worker: it waits. Inside the tree give TDM_SUP_CHILD() to a supervisor instead.
 * Errors:  TDM_EINVAL (logged with the field's name), TDM_ENOMEM, the failed child's error. */
int tdm_sup_start(struct tdm_runtime *rt, const struct tdm_sup_cfg *cfg, tdm_pid *ret);

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
 * Threads: any; never blocks, never touches the supervisor's mailbox.
 * Errors:  TDM_ENOPROC, TDM_ESHUTDOWN, TDM_EBUSY (max_children), TDM_ENOMEM.
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

/* Administration: sent as requests from an actor; the answer is a TDM_MSG_REPLY with a
 * struct tdm_sup_reply. `id` for static supervisors, `pid` for dynamic ones. */
enum tdm_sup_op {
    TDM_SUP_COUNT,
    TDM_SUP_TERMINATE_CHILD,
    TDM_SUP_RESTART_CHILD,
    TDM_SUP_DELETE_CHILD,
    TDM_SUP_WHICH
};
struct tdm_sup_reply {
    int err;
    tdm_pid pid;
    uint32_t specs, active, supervisors, workers;
};
tdm_ref tdm_sup_request(tdm_self *self, tdm_pid sup, enum tdm_sup_op op, const char *id, tdm_pid pid);

/* Live children of a dynamic supervisor, without asking it. Threads: any. */
uint32_t tdm_sup_active(struct tdm_runtime *rt, tdm_pid sup);

#endif
