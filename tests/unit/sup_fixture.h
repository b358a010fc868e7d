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

tdm_pid start_sup(struct world *w, const struct tdm_sup_cfg *cfg);
/* One for one, intensity 1000, with these children. */
tdm_pid start_children(struct world *w, const struct tdm_child_spec *specs, size_t n);
/* Dynamic, intensity 1000. */
tdm_pid start_template(struct world *w, const struct tdm_child_spec *spec);
tdm_place start_dynamic(struct world *w, tdm_pid sup, uint64_t number);

/* Ask and wait for the answer, which is whole (children and texts included) and stays until the body ends. Never NULL:
 * a request that failed, or for which there was no memory, says so in err. A supervisor that is not there: TDM_ENOPROC. */
const struct tdm_sup_reply *sup_answer(struct world *w, tdm_pid sup, const struct tdm_sup_question *question);

/* The same for questions of an id or pid alone; not the children and texts. */
struct tdm_sup_reply sup_ask(struct world *w, tdm_pid sup, enum tdm_sup_op op, const char *id, tdm_pid pid);
struct tdm_sup_reply sup_count(struct world *w, tdm_pid sup);
tdm_pid child_pid(struct world *w, tdm_pid sup, const char *id); /* {0}: it does not run */

/* Wait until the child runs under another address than `old`. */
tdm_pid wait_restarted(struct world *w, tdm_pid sup, const char *id, tdm_pid old);
tdm_pid wait_place(struct world *w, tdm_place place, tdm_pid old);
/* Wait until it does not run (and is not being restarted). */
void wait_stopped(struct world *w, tdm_pid sup, const char *id);
void wait_active(struct world *w, tdm_pid sup, uint32_t n);

void stop_sup(struct world *w, tdm_pid sup);

/* Lines of the log that hold this text, since log_watch(). */
void log_watch(struct world *w);
size_t logged(const char *text);

#endif
