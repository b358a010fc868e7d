/* model.h - what a supervisor must do, written down a second time: small, slow, without threads, clocks or memory of
 * its own, so that it can be read beside the rules.
 *
 * Something is done to the tree (a child ends, a request comes, time passes) and the model says what follows: which
 * children start and end in which order, the answers, how many records are logged. Where the rules leave open what
 * follows it sets `open`, with the reason, and says nothing from there on.
 *
 * Times are whole milliseconds. What is done from outside happens at exactly that time; what a timer does happens a
 * little after its time, but before the next millisecond. */
#ifndef TESTS_CONFORMANCE_MODEL_H
#define TESTS_CONFORMANCE_MODEL_H
#include "tandem/supervisor.h"

enum {
    MODEL_UIDS = 96,    /* child specs and dynamic children of one tree, each with a number of its own */
    MODEL_SUPS = 3,     /* number 0 is the root */
    MODEL_ENTRIES = 64, /* of one supervisor */
    MODEL_PLAN = 6,
    MODEL_EVENTS = 512,
    MODEL_ANSWERS = 64,
    MODEL_TIMES = 16, /* restarts that still count: never more than the intensity and one */
    MODEL_ASKERS = 4, /* at once, of one child */
    MODEL_NEVER = -1,
};

enum model_reason { MODEL_NORMAL, MODEL_SHUTDOWN, MODEL_DETAIL, MODEL_ERROR, MODEL_KILLED };
enum model_outcome { MODEL_STARTS, MODEL_IGNORES, MODEL_FAILS };

/* A child as the tree's author would specify it, and how its actor behaves. */
struct model_spec {
    int uid;
    int sup; /* the number of the supervisor that it is; 0: a worker */
    enum tdm_restart restart;
    bool significant;
    uint32_t shutdown_ms;        /* as in struct tdm_child_spec */
    int stop_ms;                 /* from the stop request to its end; MODEL_NEVER: it does not listen */
    enum model_reason stop_ends; /* the reason of that end */
    uint8_t plan[MODEL_PLAN];    /* outcomes of its first starts; the later ones succeed */
};

struct model_sup_spec {
    enum tdm_strategy strategy;
    enum tdm_auto_shutdown auto_shutdown;
    enum tdm_intensity_scope scope;
    int intensity, period_ms;
    uint32_t max_children;
    int backoff_min_ms, backoff_max_ms, backoff_reset_ms;
    int n; /* dynamic: 1, the template */
    struct model_spec children[6];
};

/* The restarts that count against a limit. */
struct model_limit {
    int n;
    struct model_time {
        int ms;
        bool exactly;
    } times[MODEL_TIMES];
};

struct model_child {
    struct model_spec spec;
    enum tdm_child_state state; /* STOPPED, RUNNING, RESTARTING */
    bool alive;                 /* RUNNING, and its end has not happened */
    bool unheard;               /* its supervisor has not heard of that end */
    int postponed; /* its supervisor has, but something else is under way: the how manieth; 0: no */
    bool early;    /* it ended before its turn to be stopped */
    bool asked;    /* to stop, by its supervisor */
    int askers[MODEL_ASKERS], n_askers; /* requests that wait for this end */
    enum model_reason reason;           /* of its last end */
    int ends_at, kill_at, retry_at;
    bool retry_soon; /* when the requests that wait have been served */
    struct model_time launched;
    int row;                  /* restarts in a row, for the delay */
    struct model_limit limit; /* under scope child */
};

struct model_question {
    enum tdm_sup_op op;
    int sup;
    int uid; /* the child that is meant, by id or by pid; -1: one that does not exist */
    bool by_pid;
    const struct model_spec *spec; /* START_CHILD */
};

struct model_held {
    int request;
    struct model_question question;
};

enum model_phase { MODEL_DOWN, MODEL_RUNS, MODEL_STOPS };

struct model_sup {
    int number;
    enum model_phase phase;
    bool starting;
    struct model_sup *parent;
    struct model_child *as_child;
    struct model_child *entries[MODEL_ENTRIES]; /* in start order */
    int n;
    struct model_child *group; /* its group restart waits for the ends of others */
    int n_postponed;
    int group_delay;                      /* between them and the starts */
    struct model_held held[MODEL_ASKERS]; /* requests that wait for the end of that */
    int n_held;
    int kill_at;           /* dynamic, while it stops: the common time */
    enum model_reason why; /* of its end */
    unsigned odd_ends;     /* dynamic, while it stops: the reasons that will be logged */
    struct model_limit limit;
};

enum model_event_kind { MODEL_START, MODEL_END, MODEL_GIVEN_UP, MODEL_TREE_END };

struct model_event {
    enum model_event_kind kind;
    int uid;
    int n; /* START: which start of this child, from 0; END and TREE_END: the reason */
};

struct model_answer {
    int request; /* as numbered by the asker */
    int err;
    bool ignored;
    int uid;   /* whose pid is told; -1: none */
    int value; /* of a start */
};

struct model_logged {
    int child_terminated, start_error, shutdown_error, restart_limit;
};

struct model {
    const struct model_sup_spec *specs; /* MODEL_SUPS of them */
    struct model_sup sups[MODEL_SUPS];
    struct model_child children[256];
    int n_children;
    int starts[MODEL_UIDS];
    struct model_time now; /* exactly: what happens was done from outside at this very time */
    struct {
        struct model_sup *sup;
        struct model_child *child;
    } ended[256]; /* ends that supervisors have not heard of */
    int n_ended, heard;
    /* what follows from the last deed */
    struct model_event events[MODEL_EVENTS];
    int n_events;
    struct model_answer answers[MODEL_ANSWERS];
    int n_answers;
    struct model_logged logged; /* in all */
    const char *open;           /* the rules do not say what follows */
};

/* Start the tree. The events begin anew with each of these calls. */
enum model_outcome model_start(struct model *m, const struct model_sup_spec *specs);
void model_child_ends(struct model *m, int uid, enum model_reason reason);
void model_sup_killed(struct model *m, int sup);
void model_sup_stopped(struct model *m, int sup);
int model_start_dynamic(struct model *m, int sup, const struct model_spec *spec);
void model_ask(struct model *m, int request, const struct model_question *q);
/* Up to, not including, what is due `ms` from now. Adds to the events of the call before. */
void model_time_passes(struct model *m, int ms);

/* What can be seen. */
const struct model_child *model_live(const struct model *m, int uid); /* NULL: does not live */
bool model_sup_idle(const struct model *m, int sup);                  /* runs, and stops nobody */
bool model_quiet(const struct model *m);                              /* nothing is being stopped */

#endif
