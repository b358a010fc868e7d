/* sup.h - a supervisor's books, for the files that keep them.
 *
 *   supervisor.c       the behaviour: settings, the first start, what each message leads to
 *   sup_book.c         entries: by place in the order, by id; their states, timers and waiting askers
 *   sup_ended.c        a child has ended: what follows
 *   sup_group.c        one_for_all and rest_for_one: others are stopped, then all are started
 *   sup_limit.c        how often, how soon; giving up
 *   sup_stop.c         the supervisor's own stop
 *   sup_ask.c          requests, on the asker's side; sup_admin.c, sup_reconfigure.c: the answers
 *
 * Touched by the worker running the supervisor. */
#ifndef RUNTIME_SUP_H
#define RUNTIME_SUP_H
#include "family.h"
#include "runtime.h"
#include "sup_spec.h"
#include "tandem/supervisor.h"

enum phase { STARTING, RUNNING, STOPPING };
enum group { NO_GROUP, GROUP_STOPS, GROUP_STARTS };
enum entry_state {
    STOPPED,
    COMING, /* being started */
    UP,
    RESTARTING, /* waits for its next attempt */
};

/* An administrator who waits. Such things lie in the supervisor's own memory: they go with it, killed or not. */
struct answer {
    struct answer *next;
    tdm_pid to;
    tdm_ref ref;
};

/* A static child; or a dynamic one of which there is something to note. */
struct entry {
    struct entry *prev, *next; /* static: in start order */
    struct entry *same_hash;
    uint64_t order;      /* static: rises along the list */
    struct spec *spec;   /* static */
    struct child *child; /* NULL: no place */
    enum entry_state state;
    bool asked_to_stop;
    bool on_request; /* this start was asked for: if it fails it is not tried again */
    bool added;      /* by START_CHILD, which is under way: if it fails there is no entry */
    bool timed_out;  /* this start took too long */
    bool queued;     /* its end, or its next attempt, waits for its turn */
    struct entry *queue_prev, *queue_next;
    tdm_ref timer;          /* of its start, its stop, or its next attempt */
    struct answer *answers; /* who waits for its start or stop */
};

struct sup {
    struct family *family;
    struct tdm_sup_cfg cfg; /* without the children */
    enum phase phase;
    bool begun; /* with the list's start */
    enum group group;
    struct entry *first, *last;
    struct entry **buckets; /* by id */
    uint32_t n_buckets, n_entries;
    uint64_t next_order;
    struct entry *at;      /* of STARTING, of a group's step, of our own stop: whose turn it is */
    struct entry *from;    /* of a group: its first; NULL: all */
    struct entry *culprit; /* of a group: whose end began it */
    uint64_t pause_ns;     /* of a group: between the stops and the starts */
    struct entry *queue_first, *queue_last;
    uint32_t starting;         /* entries that are COMING: requests wait for them */
    uint32_t live_significant; /* entries that are COMING, UP or RESTARTING, and significant */
    tdm_ref timer;             /* dynamic: of our own stop */
    struct tdm_reason why;     /* of our own end */
};

static inline bool sup_dynamic(const struct sup *s)
{
    return s->cfg.strategy == TDM_DYNAMIC;
}
/* What holds for it now; the incarnation that runs may have been started from an older one. */
static inline const struct tdm_child_spec *sup_spec_of(const struct child *c)
{
    return c->entry != NULL && c->entry->spec != NULL ? &c->entry->spec->s : c->spec;
}

/* ---- sup_book.c ------------------------------------------------------------------------------ */
/* A new entry at the end of the order; takes `spec`. NULL: no memory, and the caller still has it. */
struct entry *sup_add_entry(tdm_self *self, struct sup *s, struct spec *spec);
void sup_append_entry(struct sup *s, struct entry *e);
struct entry *sup_entry_by_id(const struct sup *s, const char *id);
/* The entry of a dynamic child, made if need be. NULL: no memory. */
struct entry *sup_note_child(tdm_self *self, struct sup *s, struct child *c);
void sup_set_state(struct sup *s, struct entry *e, enum entry_state state);
/* The place goes, with the mail in it. */
void sup_drop_place(tdm_self *self, struct sup *s, struct entry *e);
/* The entry goes, and its place and spec with it. */
void sup_drop_entry(tdm_self *self, struct sup *s, struct entry *e);
/* No actor and no attempt any more; that of a temporary or dynamic child goes altogether. */
void sup_leave_stopped(tdm_self *self, struct sup *s, struct entry *e);
/* The same for any child, with an entry or without. */
void sup_forget_child(tdm_self *self, struct sup *s, struct child *c);
/* Nothing is to be noted of this dynamic child any more. */
void sup_unnote_child(tdm_self *self, struct sup *s, struct child *c);
void sup_order_after(struct sup *s, struct entry *e); /* move to the end of the order */

bool sup_set_timer(tdm_self *self, struct entry *e, uint64_t delay_ns);
void sup_clear_timer(tdm_self *self, struct entry *e);
struct entry *sup_timer_entry(tdm_self *self, const struct tdm_msg *m); /* NULL: not the timer of one */

void sup_enqueue(struct sup *s, struct entry *e);
void sup_unqueue(struct sup *s, struct entry *e);

bool sup_await(tdm_self *self, struct entry *e, tdm_pid to, tdm_ref ref); /* false: no memory */
void sup_answer_all(tdm_self *self, struct entry *e, const struct tdm_sup_reply *r);
/* Without memory for an answer the asker's time runs out. */
void sup_reply(tdm_self *self, tdm_pid to, tdm_ref ref, const struct tdm_sup_reply *r);

/* ---- supervisor.c ---------------------------------------------------------------------------- */
/* Start it, or start it again in its place. */
int sup_start_entry(tdm_self *self, struct sup *s, struct entry *e);
int sup_start_next(tdm_self *self, struct sup *s);
/* The list's start has failed at this entry. */
int sup_start_failed(tdm_self *self, struct sup *s, struct entry *e, const struct tdm_reason *why);

/* ---- sup_ended.c ----------------------------------------------------------------------------- */
int sup_child_ended(tdm_self *self, struct sup *s, struct child *c);
int sup_start_error(const struct tdm_reason *why); /* the code a starter gets */
/* Something else is under way; what happens now waits for its turn. */
bool sup_must_wait(const struct sup *s);
/* The turn of an entry that was queued, or whose time for an attempt has come. */
int sup_take_turn(tdm_self *self, struct sup *s, struct entry *e);
int sup_attempt(tdm_self *self, struct sup *s, struct entry *e);
/* An attempt has failed: the next one, unless it was one too many. */
int sup_try_again(tdm_self *self, struct sup *s, struct child *c);
void sup_wait_for_attempt(tdm_self *self, struct sup *s, struct entry *e, uint64_t delay_ns);

/* ---- sup_group.c ----------------------------------------------------------------------------- */
bool sup_has_groups(const struct sup *s);
int sup_begin_group(tdm_self *self, struct sup *s, struct entry *culprit, uint64_t pause_ns);
void sup_end_group(struct sup *s);
int sup_group_stops(tdm_self *self, struct sup *s);
int sup_group_starts(tdm_self *self, struct sup *s);

/* ---- sup_limit.c ----------------------------------------------------------------------------- */
uint32_t sup_intensity(const struct tdm_sup_cfg *cfg);
bool sup_ring_fit(struct tdm_runtime *rt, struct ring *r, uint32_t limit); /* false: no memory */
bool sup_over_limit(tdm_self *self, struct sup *s, struct child *c);
uint64_t sup_delay_ns(tdm_self *self, struct sup *s, struct child *c);
int sup_give_up(tdm_self *self, struct sup *s, struct child *c);

/* ---- sup_stop.c ------------------------------------------------------------------------------ */
void sup_ask_to_stop(tdm_self *self, struct entry *e);
bool sup_runs(const struct entry *e);
int sup_begin_stop(tdm_self *self, struct sup *s, const struct tdm_reason *why);
int sup_stop_next(tdm_self *self, struct sup *s);
int sup_stop_time_ran_out(tdm_self *self, struct sup *s);
int sup_family_empty(tdm_self *self, struct sup *s);

/* ---- sup_ask.c ------------------------------------------------------------------------------- */
struct tdm_msg *sup_reply_new(struct tdm_runtime *rt, const struct tdm_sup_reply *r, uint32_t n_children,
                              const struct tdm_child_spec *spec);

/* ---- sup_admin.c, sup_reconfigure.c ---------------------------------------------------------- */
/* Answer a request, now or when what it asked for is done. */
void sup_admin(tdm_self *self, struct sup *s, const struct tdm_msg *m);
int sup_reconfigure(tdm_self *self, struct sup *s, const struct tdm_sup_cfg *cfg, struct refusal *why);

#endif
