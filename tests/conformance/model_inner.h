/* model_inner.h - what the two files of the model share: model.c, what a supervisor does when something ends; model_deed.c,
 * what is done to it from outside, and time. */
#ifndef TESTS_CONFORMANCE_MODEL_INNER_H
#define TESTS_CONFORMANCE_MODEL_INNER_H
#include "model.h"

enum { NO_TIME = INT32_MAX };

/* ---- model.c --------------------------------------------------------------------------------- */
void m_leave_open(struct model *m, const char *why);
void m_event(struct model *m, enum model_event_kind kind, int uid, int n);
void m_answer(struct model *m, struct model_answer a);
void m_begin(struct model *m);
const struct model_sup_spec *m_spec_of(const struct model *m, const struct model_sup *s);
bool m_dynamic(const struct model *m, const struct model_sup *s);
struct model_child *m_enter(struct model *m, struct model_sup *s, const struct model_spec *spec);
void m_remove_entry(struct model_sup *s, struct model_child *c);
struct model_child *m_entry_of(const struct model_sup *s, int uid);
bool m_runs(const struct model_child *c);
void m_put_to_rest(const struct model *m, struct model_sup *s, struct model_child *c);
void m_count_anew(struct model_child *c);
void m_end(struct model *m, struct model_sup *s, struct model_child *c, enum model_reason reason);
void m_vanish(struct model *m, struct model_sup *s);
void m_kill_child(struct model *m, struct model_sup *s, struct model_child *c);
void m_ask_to_stop(struct model *m, struct model_sup *s, struct model_child *c);
void m_stop_sup(struct model *m, struct model_sup *s, enum model_reason why);
enum model_outcome m_start_child(struct model *m, struct model_sup *s, struct model_child *c);
enum model_outcome m_start_sup(struct model *m, struct model_sup *s);
void m_attempt(struct model *m, struct model_sup *s, struct model_child *c, int delay);
void m_hear_all(struct model *m);

/* ---- model_deed.c ---------------------------------------------------------------------------- */
void m_ask(struct model *m, struct model_sup *s, int request, const struct model_question *q);
int m_earliest(struct model *m); /* when the next timer is due, or NO_TIME */

#endif
