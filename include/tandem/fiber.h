/* fiber.h - sequential code inside an actor.
 *
 * A behaviour with `run` instead of `handle` is a fiber: code on its own guarded stack that may
 * wait. Waiting costs no thread. When the actor is told to stop, the present or next wait ends with
 * TDM_ESTOP, once: the code should then clean up, for which it may wait again, and return. A fiber that is
 * killed or crashes loses its stack without unwinding: memory from tdm_alloc() goes with it, malloc'd memory
 * leaks. */
#ifndef TANDEM_FIBER_H
#define TANDEM_FIBER_H
#include "tandem/actor.h"
#include "tandem/timer.h"

/* Next message in order of arrival, waiting up to `timeout_ns` (TDM_FOREVER of env.h: no limit).
 * Owns:    the message lives until the next receive, await or sleep, unless it is taken.
 * Returns: TDM_OK with *ret set; TDM_ETIMEOUT; TDM_ESTOP. */
int tdm_receive(tdm_self *self, uint64_t timeout_ns, struct tdm_msg **ret);

/* The same for the first message that `want` accepts; others keep their place.
 * Source: Erlang's selective receive. */
int tdm_receive_if(tdm_self *self, bool (*want)(const struct tdm_msg *msg, void *ctx), void *ctx,
                   uint64_t timeout_ns, struct tdm_msg **ret);

/* Wait for the answer to tdm_request(). TDM_OK with the reply, or the failure's error
 * (TDM_ETIMEOUT, TDM_ENOPROC, TDM_EPEER when the target ended meanwhile). */
int tdm_await(tdm_self *self, tdm_ref request, struct tdm_msg **reply);

/* In init only: the stack that `run` gets, in place of the one that the spawn named. 0: the default. */
void tdm_stack(tdm_self *self, uint32_t bytes);

/* In run only: when it has returned TDM_OK it is called once more, on a new stack of so many bytes (0: the default).
 * The state, the mail and the last message received stay; what lay on the old stack is gone. For code that goes on
 * with other code which needs more stack than it has.
 * Errors:  TDM_ESTATE not in run, or arranged already; TDM_ENOMEM: run is not called again. */
int tdm_run_again(tdm_self *self, uint32_t stack_bytes);

/* Sleep; mail waits meanwhile. TDM_OK or TDM_ESTOP. */
int tdm_sleep(tdm_self *self, uint64_t ns);

#endif
