/* watchdog.h - sees callbacks that do not end. See watchdog.c. */
#ifndef RUNTIME_WATCHDOG_H
#define RUNTIME_WATCHDOG_H

struct tdm_runtime;
struct watchdog;

int watchdog_start(struct tdm_runtime *rt);
void watchdog_stop(struct tdm_runtime *rt);

/* A worker has work again: look on if it was asleep. Any worker. */
void watchdog_rouse(struct tdm_runtime *rt);

#endif
