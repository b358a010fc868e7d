/* stop.h - the orderly end of the program, in phases. See stop.c. */
#ifndef APPS_STOP_H
#define APPS_STOP_H
#include "program.h"

struct tdm_heart;

/* Who asked for the end, and how often. A heart sends on what it gets: a service manager that signals every process of
 * the service is heard twice, and is meant once. */
struct stop {
    const sigset_t *set; /* blocked */
    const struct tdm_heart *heart;
    unsigned direct, sent_on;
    bool now; /* a second signal */
};

/* Wait for a signal, at most `ms`, -1: without limit. */
void stop_wait(struct stop *s, int ms);

/* All phases; `p` and `rt` are freed. */
void stop_program(struct stop *s, struct program *p, struct tdm_runtime *rt,
                  const struct program_config *cfg);

#endif
