/* family.h - a supervisor and its children, as seen from any thread. See family.c. */
#ifndef RUNTIME_FAMILY_H
#define RUNTIME_FAMILY_H
#include "note.h"
#include "runtime.h"
#include "tandem/supervisor.h"

struct family;

enum child_state {
    CHILD_RUNNING, /* an incarnation lives, or is being started */
    CHILD_WAITING, /* it has ended; its notice is on the way to, or with, the supervisor */
};

/* A place in the tree. The notices lie in it, so that telling the supervisor needs no memory. */
struct child {
    struct family *family;
    const struct tdm_child_spec *spec;
    struct tdm_self *actor;    /* NULL: a static child without a place (never started, stopped) */
    struct child *next, *prev; /* in the family's shard, under its lock */
    enum child_state state;    /* likewise */
    bool terminating;          /* likewise: its supervisor waits for its end, and removes it then */
    /* written by the child's worker before its notice, then by the supervisor */
    bool started; /* the incarnation's init had succeeded */
    bool ignored;
    int start_err;
    uint32_t index; /* static: which spec */
    uint32_t restarts;
    uint32_t in_a_row; /* restarts without a long enough life between; for the delay */
    uint64_t launched_ns;
    uint64_t *times; /* child scope: the last restarts */
    uint32_t n_times;
    const void *arg; /* dynamic: this child's own */
    size_t arg_bytes;
    struct note note;
    struct tdm_reason *last; /* why the last incarnation ended; NULL: none did, or no memory to say */
    tdm_pid last_pid;
    struct {
        struct tdm_msg msg;
        struct child *child;
    } exit_notice, start_notice;
};

/* The rule of restart types; a reason that could not be kept (NULL) counts as abnormal. */
bool family_abnormal(const struct tdm_reason *r);
bool family_wants_restart(enum tdm_restart type, const struct tdm_reason *r);

/* Copies cfg with everything it points to. */
int family_new(struct family **ret, struct tdm_runtime *rt, const struct tdm_sup_cfg *cfg);
void family_unref(struct family *f);
const struct tdm_sup_cfg *family_cfg(const struct family *f);

/* The supervisor `sup` takes its seat (its incarnation's address is valid from here on). */
void family_begin(struct family *f, struct tdm_self *sup);

/* A child in a new place, launched and on its way to a run queue. *ret is good only for the supervisor of a
 * static child, who will be told of its end; any other child may be gone already. Both rets may be NULL. */
int family_start_child(struct family *f, const struct tdm_child_spec *spec, uint32_t index, const void *arg,
                       size_t arg_bytes, const char *tag, struct child **ret, tdm_place *place);
/* Supervisor only: a waiting child's next incarnation; its end, when there will be none. */
int family_restart_child(struct child *c);
void family_remove_child(struct child *c);
/* From now on nobody is started or restarted; the last one's end is told by SIG_FAMILY_EMPTY. */
void family_stop(struct family *f);
/* Ask or kill every running child; returns how many there are. */
uint32_t family_control_all(struct family *f, uint32_t bit);
uint32_t family_size(const struct family *f);
/* Those among them that live. */
uint32_t family_active(struct family *f);
/* SIG_FAMILY_EMPTY has come; false: another child had entered meanwhile, and the last one tells again. */
bool family_empty_heard(struct family *f);
/* The call, room, or whatever the place stands for has ended: no further start. */
bool family_place_over(const struct child *c);
/* Find the child and have its end told to the supervisor, whatever it is: from here on the child stays until
 * family_remove_child(). NULL: no child with this address. Supervisor only. */
struct child *family_terminate(struct family *f, tdm_pid pid);

#endif
