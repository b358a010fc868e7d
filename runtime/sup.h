/* sup.h - a supervisor's books, for the two files that keep them: supervisor.c decides, sup_admin.c answers requests.
 *
 * Touched by the worker running the supervisor. */
#ifndef RUNTIME_SUP_H
#define RUNTIME_SUP_H
#include "family.h"
#include "runtime.h"
#include "tandem/supervisor.h"

enum phase { STARTING, RUNNING, STOPPING };
enum entry_state {
    STOPPED,
    UP,
    COMING,     /* being started */
    RESTARTING, /* waits for its delay */
    GONE,       /* the spec is removed */
};

/* An administrator who waits. Such things lie in the supervisor's own memory: they go with it, killed or not. */
struct answer {
    struct answer *next;
    tdm_pid to;
    tdm_ref ref;
};

/* A static child; or a dynamic one that is being stopped on request. */
struct entry {
    struct entry *next;  /* dynamic */
    struct child *child; /* NULL when STOPPED or GONE */
    enum entry_state state;
    bool asked_to_stop;
    bool on_request;        /* this start was asked for: if it fails it is not tried again */
    bool timed_out;         /* this start took too long */
    tdm_ref timer;          /* of its start or stop under way */
    struct answer *answers; /* who waits for that */
};

/* A restart that waits for its delay. */
struct delayed {
    struct delayed *next;
    tdm_ref timer;
    struct child *child;
};

struct admin {
    enum tdm_sup_op op;
    tdm_pid pid;
    char id[64];
};

/* A request that came while a child was starting. */
struct held {
    struct held *next;
    struct admin question;
    tdm_pid from;
    tdm_ref ref;
};

struct sup {
    struct family *family;
    const struct tdm_sup_cfg *cfg;
    enum phase phase;
    struct entry *entries; /* static supervisors */
    uint32_t n;
    uint32_t at;
    struct entry *ending; /* dynamic: being stopped on request */
    tdm_ref timer;        /* dynamic: of our own stop */
    uint64_t *times;      /* supervisor scope: a ring of the last intensity + 1 restarts */
    uint32_t n_times;
    struct delayed *delayed;
    struct held *held;     /* in order */
    struct tdm_reason why; /* of our own end */
    int start_err;
};

/* ---- supervisor.c ---------------------------------------------------------------------------- */
struct entry *sup_entry_of(struct sup *s, const struct child *c);
tdm_pid sup_pid_of(const struct child *c);
/* Without memory for an answer the asker's time runs out. */
void sup_reply(tdm_self *self, tdm_pid to, tdm_ref ref, const struct tdm_sup_reply *r);
/* The child's place goes; who waited for that gets `answer`. */
void sup_remove_child(tdm_self *self, struct sup *s, struct child *c, int answer);
void sup_ask_to_stop(tdm_self *self, struct entry *e);
int sup_start_entry(tdm_self *self, struct sup *s, uint32_t i);

/* ---- sup_admin.c ----------------------------------------------------------------------------- */
/* Answer a request, now or when what it asked for is done. */
void sup_admin(tdm_self *self, struct sup *s, const struct admin *q, tdm_pid from, tdm_ref ref);
/* Keep one that came while a child was starting: answered in order, when the start is through. */
void sup_hold(tdm_self *self, struct sup *s, const struct tdm_msg *m);

#endif
