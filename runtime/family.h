/* family.h - a supervisor and its children, as seen from any thread. See family.c. */
#ifndef RUNTIME_FAMILY_H
#define RUNTIME_FAMILY_H
#include "note.h"
#include "runtime.h"
#include "tandem/supervisor.h"

struct family;
struct entry;
struct spec;

enum child_state {
    CHILD_RUNNING, /* an incarnation lives, or is being started */
    CHILD_COMING, /* the same, but the attempt before has failed: it does not count as live until it has started */
    CHILD_WAITING, /* it has ended; its notice is on the way to, or with, the supervisor */
};

/* The times of the last `limit` + 1 restarts; see sup_limit.c. */
struct ring {
    uint64_t *times;
    uint32_t room, n;
};

/* A place in the tree. The notices lie in it, so that telling the supervisor needs no memory. */
struct child {
    struct family *family;
    const struct tdm_child_spec *spec; /* of this incarnation; changed only between two */
    struct entry *entry;               /* what the supervisor notes about it; the supervisor's own */
    struct tdm_self *actor;
    struct child *next, *prev; /* in the family's shard, under its lock */
    enum child_state state;    /* likewise */
    _Atomic bool told;         /* written likewise: its start and its end, whatever they are, are told */
    _Atomic bool up;           /* the incarnation's init has succeeded; relaxed, for who looks from outside */
    /* written by the child's worker before its notice, then by the supervisor */
    bool started; /* the incarnation's init had succeeded */
    bool ignored;
    bool counted;        /* this end is among those that family_log_stop() tells of */
    uint64_t value;      /* what init gave to tdm_start_value() */
    tdm_pid name_holder; /* who had the name that init wanted */
    uint32_t restarts;
    uint32_t in_a_row; /* restarts without a long enough life between; for the delay */
    uint64_t launched_ns;
    struct ring times; /* of this child's restarts: scope child */
    const void *arg;   /* dynamic: this child's own */
    size_t arg_bytes;
    struct note note;
    struct tdm_reason *last; /* why the last incarnation ended; NULL: none did, or no memory to say */
    tdm_pid
        pid; /* of this incarnation, or between two of the last; under the shard's lock, or with the turn */
    tdm_pid last_up; /* of the last one that had started; likewise */
    struct {
        struct tdm_msg msg;
        struct child *child;
    } exit_notice, start_notice;
};

/* The rule of restart types; a reason that could not be kept (NULL) counts as abnormal. */
bool family_abnormal(const struct tdm_reason *r);
bool family_wants_restart(enum tdm_restart type, const struct tdm_reason *r);

/* ---- family.c -------------------------------------------------------------------------------- */
int family_new(struct family **ret, struct tdm_runtime *rt, const struct tdm_sup_cfg *cfg);
void family_unref(struct family *f);
const char *family_name(const struct family *f); /* may be NULL */
/* The supervisor `sup` takes its seat (its incarnation's address is valid from here on). */
void family_begin(struct family *f, struct tdm_self *sup);

/* The family owns a spec from here on: freed with it, or by family_drop_spec(). Supervisor only. */
void family_add_spec(struct family *f, struct spec *spec);
void family_drop_spec(struct family *f, struct spec *spec);
/* Of a dynamic family: what its children are made from. The ones before stay as long as the family does. */
void family_set_template(struct family *f, struct spec *spec, uint32_t max_children);
const struct tdm_child_spec *family_template(const struct family *f);

struct child_start {
    const struct tdm_child_spec *spec;
    struct entry *entry;
    const void *arg; /* in place of the spec's, when not NULL */
    size_t arg_bytes;
    const char *tag; /* likewise */
    bool told;       /* see struct child */
};
/* A child in a new place, launched and on its way to a run queue. *ret is good only for the supervisor of a
 * child that is told of; any other child may be gone already. Both rets may be NULL. */
int family_start_child(struct family *f, const struct child_start *how, struct child **ret, tdm_place *place);
/* Supervisor only: a waiting child's next incarnation, from `spec`; its end, when there will be none. */
int family_restart_child(struct child *c, const struct tdm_child_spec *spec);
void family_remove_child(struct child *c);
uint32_t family_size(const struct family *f);
/* The supervisor's family, held, or NULL. */
struct family *family_hold(struct tdm_runtime *rt, tdm_pid sup);

/* ---- family_view.c --------------------------------------------------------------------------- */
tdm_pid family_pid_of(const struct child *c); /* {0}: it has ended */
/* Supervisor only: what becomes of this child need not be told any more, unless the rule of restarts says so. */
void family_untell(struct child *c);
/* Those among family_size() that live. */
uint32_t family_active(struct family *f);
/* Find the child and have its end told to the supervisor, whatever it is: from here on the child stays until
 * family_remove_child(). NULL: no child with this address. Supervisor only. */
struct child *family_terminate(struct family *f, tdm_pid pid);
/* What can be said of one child, or of up to `room`; returns how many. */
bool family_child_info(struct family *f, tdm_pid pid, struct tdm_child_info *ret);
uint32_t family_infos(struct family *f, struct tdm_child_info *infos, uint32_t room);

/* ---- family_end.c ---------------------------------------------------------------------------- */
/* From now on nobody is started or restarted; the last one's end is told by SIG_FAMILY_EMPTY. */
void family_stop(struct family *f);
/* Ask or kill every running child. */
void family_control_all(struct family *f, uint32_t bit);
/* SIG_FAMILY_EMPTY has come; false: another child had entered meanwhile, and the last one tells again. */
bool family_empty_heard(struct family *f);
/* A dynamic child had ended before the stop, but is heard of in it. */
void family_count_end(struct child *c);
/* Log how the children ended that did not end a stop cleanly: once for each reason. Supervisor only, when all have. */
void family_log_stop(struct family *f);
/* Keep a request until it can be answered; freed with the supervisor's incarnation. In order. */
void family_hold_request(struct family *f, struct tdm_msg *m);
struct tdm_msg *family_next_request(struct family *f);

/* ---- place.c --------------------------------------------------------------------------------- */
/* The call, room, or whatever the place stands for has ended: no further start. */
bool family_place_over(const struct child *c);

/* ---- the inside, for the family*.c files ----------------------------------------------- */
enum { SHARDS = 16, LINE_BYTES = 256 };
#define HOLD (1ull << 32)

struct tally;

struct family {
    struct tdm_runtime *rt;
    enum tdm_strategy strategy;
    char *name;
    tdm_pid sup;
    char line[LINE_BYTES]; /* the supervisors above its children, from the root down; set once */
    _Atomic(struct spec *) template;
    _Atomic uint32_t max_children;
    _Atomic uint64_t refs; /* holders << 32 | children */
    _Atomic bool stopping;
    _Atomic bool closed, dead; /* written under every shard's lock; see family_ended() */
    struct tdm_reason why;     /* of the supervisor's end; written before `dead` */
    bool told_empty;           /* under shard 0's lock: the notice is with the supervisor */
    struct {
        struct tdm_msg msg;
    } empty_notice;
    struct ring times;                /* of all restarts: scope supervisor; the supervisor's */
    struct spec *specs;               /* the supervisor's, and of who frees the family */
    struct tdm_msg *held, *held_last; /* requests, oldest first; the supervisor's */
    pthread_spinlock_t tally_lock;
    struct tally *tallies;      /* ends of a dynamic stop that were not clean; under tally_lock */
    uint32_t n_tallies, untold; /* likewise; untold: more kinds than are told apart, or no memory to */
    struct {
        pthread_spinlock_t lock;
        uint32_t waiting; /* children that are WAITING or COMING */
        struct child *first;
        char pad[48];
    } shards[SHARDS];
};

void family_unlink_child(struct family *f, struct child *c, unsigned shard); /* under the shard's lock */
void family_leave(struct child *c);
void family_free_child(struct child *c);
void family_free_tallies(struct family *f);

static inline unsigned family_shard(const struct child *c)
{
    return c->actor->slot % SHARDS;
}

#endif
