/* agenda.h - what is to happen at which time: a heap of timers that live in their owners.
 *
 * The model has no clock: its owner tells the time and asks when to be called next. Timers with equal
 * times fire in the order in which they were set. */
#ifndef APPS_EXCHANGE_AGENDA_H
#define APPS_EXCHANGE_AGENDA_H
#include <stddef.h>
#include <stdint.h>

struct tdm_env;
struct ex_model;

struct ex_timer {
    uint64_t at_ns, order;
    size_t place; /* in the heap, from 1; 0: not set */
    void (*fire)(struct ex_model *m, void *owner);
    void *owner;
};

struct ex_agenda {
    struct tdm_env *env;
    struct ex_timer **heap; /* heap[0] is unused */
    size_t count, room;
    uint64_t order;
};

void ex_agenda_init(struct ex_agenda *a, struct tdm_env *env);
void ex_agenda_fini(struct ex_agenda *a);
/* Set, or set anew. TDM_OK or TDM_ENOMEM. */
int ex_agenda_set(struct ex_agenda *a, struct ex_timer *t, uint64_t at_ns);
void ex_agenda_cancel(struct ex_agenda *a, struct ex_timer *t);
/* Time of the next timer; TDM_FOREVER when there is none. */
uint64_t ex_agenda_next(const struct ex_agenda *a);
/* Take the next timer that is due by `now_ns`, or NULL. It is no longer set then. */
struct ex_timer *ex_agenda_due(struct ex_agenda *a, uint64_t now_ns);

#endif
