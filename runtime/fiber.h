/* fiber.h - stacks and switches, for the fault handler and the runtime's boot. See fiber.c. */
#ifndef RUNTIME_FIBER_H
#define RUNTIME_FIBER_H
#include "tandem/fiber.h"

struct stacks;
struct tdm_env;

int stacks_new(struct stacks **ret, struct tdm_env *env);
void stacks_free(struct stacks *s);

/* A jump from the fiber's stack back to the worker's is about to happen, and has happened: the sanitizers
 * want to know. Nothing when the actor is no fiber or does not run. Safe in a signal handler. */
void fiber_leave_stack(struct tdm_self *a);
void fiber_left_stack(struct tdm_self *a);

/* What its code may use of its stack. */
size_t fiber_stack_bytes(const struct tdm_self *a);

#endif
