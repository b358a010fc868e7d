/* timer.h - the wheels, for the scheduler. See timer.c. */
#ifndef RUNTIME_TIMER_H
#define RUNTIME_TIMER_H
#include <stdint.h>

struct tdm_runtime;
struct wheel;

int wheel_new(struct wheel **ret, struct tdm_runtime *rt, uint32_t number);
void wheel_free(struct wheel *w);

/* Send what is due at `now_ns`. Any thread, one at a time by the wheel's lock. */
void wheel_run(struct wheel *w, uint64_t now_ns);

/* When wheel_run has something to do next; TDM_FOREVER: nothing is set. Any thread. */
uint64_t wheel_next(struct wheel *w);

#endif
