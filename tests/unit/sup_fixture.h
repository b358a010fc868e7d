/* sup_fixture.h - supervisors of workers (worlds.h), and an administrator who asks them. */
#ifndef TESTS_UNIT_SUP_FIXTURE_H
#define TESTS_UNIT_SUP_FIXTURE_H
#include "worlds.h"

/* A child spec of a worker with this number, and what else is given. */
#define CHILD(w_, id_, number_, ...)                                              \
    {                                                                             \
        .id = (id_),                                                              \
        .start = { .behaviour = &worker,                                          \
                   .arg = &(struct worker_arg){ .w = (w_), .number = (number_) }, \
                   .arg_bytes = sizeof(struct worker_arg) },                      \
        __VA_ARGS__                                                               \
    }

/* ---- a supervisor and its workers ------------------------------------------------------------ */

/* Up to so many workers, numbered from 0, with the ids "a", "b", ...; under any strategy. Change specs and args between
 * brood_init() and brood_start(). */
enum { BROOD_MAX = 16 };
struct brood {
    size_t n;
    struct tdm_child_spec specs[BROOD_MAX];
    struct worker_arg args[BROOD_MAX];
    char ids[BROOD_MAX][2];
    tdm_pid sup;
    tdm_place places[BROOD_MAX]; /* dynamic */
    bool dynamic;
};
void brood_init(struct brood *b, struct world *w, size_t n, enum tdm_restart restart);
/* Children are filled in; a dynamic supervisor has the first spec for its template. Intensity 0 stays 0. */
void brood_start(struct brood *b, struct world *w, struct tdm_sup_cfg cfg);
tdm_pid brood_pid(struct brood *b, struct world *w, size_t i); /* {0}: it does not run */
/* Wait until child i runs under another address than `old`. */
tdm_pid brood_renewed(struct brood *b, struct world *w, size_t i, tdm_pid old);

/* The ways to end of the sheet. */
enum { END_NORMAL, END_SHUTDOWN, END_DETAIL, END_ERROR, END_KILLED, ENDS };
#define END_WORDS "with a detail" /* of END_DETAIL */
void end_by(struct world *w, tdm_pid pid, int how);
bool reason_is(struct tdm_reason r, int how);

/* Vetoes: while broken, starts of workers with that number fail with TDM_ECONN, or are ignored. Each attempt marks
 * "init" first. */
void set_broken(struct world *w, uint64_t number, bool broken);
bool fails_while_broken(struct worker_arg *arg, const struct tdm_start *start, int *result);
bool ignores_while_broken(struct worker_arg *arg, const struct tdm_start *start, int *result);

/* Watch `pid` from a worker; its end is marked "down", with the reason (noproc, if it ends before it has learned that
 * it is watched: ask it something first). */
void watch_end(struct world *w, tdm_pid pid);

/* ---- a worker that takes its time to stop ------------------------------------------------------ */

/* Traps the request and ends `ms` later with this reason. Marks "init", "asked", "term", and "got" for a MSG_NUMBER. */
struct slow_arg {
    struct world *w;
    uint64_t number;
    uint32_t ms; /* UINT32_MAX: never */
    struct tdm_reason reason;
};

extern const struct tdm_behaviour slow_to_stop;

#define SLOW(w_, id_, number_, ms_, kind_, ...)                                              \
    {                                                                                        \
        .id = (id_),                                                                         \
        .start = { .behaviour = &slow_to_stop,                                               \
                   .trap_stop = true,                                                        \
                   .arg = &(struct slow_arg){ (w_), (number_), (ms_), { .kind = (kind_) } }, \
                   .arg_bytes = sizeof(struct slow_arg) },                                   \
        __VA_ARGS__                                                                          \
    }

/* ---- starting and asking ------------------------------------------------------------------------ */

tdm_pid start_sup(struct world *w, const struct tdm_sup_cfg *cfg);
/* One for one, intensity 1000, with these children. */
tdm_pid start_children(struct world *w, const struct tdm_child_spec *specs, size_t n);
/* Dynamic, intensity 1000. */
tdm_pid start_template(struct world *w, const struct tdm_child_spec *spec);
tdm_place start_dynamic(struct world *w, tdm_pid sup, uint64_t number);

/* ---- the administrator ----------------------------------------------------------------------- */

/* Ask and wait for the answer, which is whole (children and texts included) and stays until the body ends. Never NULL:
 * a request that failed, or for which there was no memory, says so in err. A supervisor that is not there: TDM_ENOPROC. */
const struct tdm_sup_reply *sup_answer(struct world *w, tdm_pid sup, const struct tdm_sup_question *question);

/* The same for questions of an id or pid alone; not the children and texts. */
struct tdm_sup_reply sup_ask(struct world *w, tdm_pid sup, enum tdm_sup_op op, const char *id, tdm_pid pid);
struct tdm_sup_reply sup_count(struct world *w, tdm_pid sup);
/* One child; a stopped one without id when it is unknown. */
struct tdm_child_info sup_child(struct world *w, tdm_pid sup, const char *id);
int sup_err(struct world *w, tdm_pid sup, enum tdm_sup_op op, const char *id); /* the answer's err alone */
int sup_start_child(struct world *w, tdm_pid sup, const struct tdm_child_spec *spec);
tdm_pid child_pid(struct world *w, tdm_pid sup, const char *id); /* {0}: it does not run */

/* Wait until the child runs under another address than `old`. */
tdm_pid wait_restarted(struct world *w, tdm_pid sup, const char *id, tdm_pid old);
tdm_pid wait_place(struct world *w, tdm_place place, tdm_pid old);
/* Wait until it does not run (and is not being restarted). */
void wait_stopped(struct world *w, tdm_pid sup, const char *id);
void wait_state(struct world *w, tdm_pid sup, const char *id, enum tdm_child_state state);
void wait_specs(struct world *w, tdm_pid sup, uint32_t n);
void wait_active(struct world *w, tdm_pid sup, uint32_t n);

void stop_sup(struct world *w, tdm_pid sup);

/* Lines of the log that hold this text, since log_watch(). */
void log_watch(struct world *w);
size_t logged(const char *text);

#endif
