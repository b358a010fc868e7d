/* trail.h - telling a simulated exchange which actor took which event, line by line. */
#ifndef ACTORS_ARI_TRAIL_H
#define ACTORS_ARI_TRAIL_H
#include "ari.h"

struct trail;

int trail_new(struct tdm_env *env, uint64_t run, struct trail **ret);
void trail_free(struct trail *t); /* NULL is fine */

/* An incarnation of a call's actor begins; `start` is its start event, numbered or not. */
void trail_begun(struct trail *t, tdm_call *call, tdm_event *start);
/* It has taken an event from its mailbox. Events without a number are left out. */
void trail_took(struct trail *t, tdm_call *call, tdm_event *event);
/* It ends in order. */
void trail_gone(struct trail *t, tdm_call *call);

/* One line of it, with its newline; what does not fit is counted. Threads: any. */
void trail_add(struct trail *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What is to be sent now: the same text until trail_sent(), then the next; NULL when there is nothing. */
const char *trail_batch(struct trail *t, size_t *bytes);
bool trail_sent(struct trail *t); /* true: a full one waits behind it */

/* The actor that sends it. Its start argument is a pointer to the struct ari. */
extern const struct tdm_behaviour trail_behaviour;

#endif
