/* watchdog.h - sees callbacks that do not end. See watchdog.c. */
#ifndef RUNTIME_WATCHDOG_H
#define RUNTIME_WATCHDOG_H

struct tdm_runtime;
struct watchdog;

/* Made before the workers start and freed when they have ended, since they rouse it; started and stopped between. */
int watchdog_new(struct tdm_runtime *rt);
int watchdog_start(struct tdm_runtime *rt);
void watchdog_stop(struct tdm_runtime *rt);
void watchdog_free(struct tdm_runtime *rt);

/* A worker has work again: look on if it was asleep. Any worker. */
void watchdog_rouse(struct tdm_runtime *rt);

#endif
