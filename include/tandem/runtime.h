/* runtime.h - boot and stop a runtime. A process may hold several; nothing is global but signal
 * handlers, which the first one installs. */
#ifndef TANDEM_RUNTIME_H
#define TANDEM_RUNTIME_H
#include "tandem/actor.h"
#include "tandem/env.h"

struct tdm_runtime_cfg {
    struct tdm_env *env;     /* default tdm_env_real() */
    uint32_t workers;        /* default: one per core this process may use */
    uint32_t max_actors;     /* default 16 million (address space only) */
    uint32_t slice_messages; /* messages an actor may handle before others get a turn; default 128 */
    uint32_t
        stuck_after_ms; /* a callback past this is reported and ended; default 10000; UINT32_MAX: never */
    /* A callback during which this process grows by so much, through the callback's own doing, is reported and ended with
     * error:ENOMEM: a loop around malloc. An estimate, looked at every few milliseconds while a callback runs long; what
     * was malloc'd stays lost. Bytes; default 1 GiB; UINT64_MAX: never. See memory_limit for tdm_alloc(). */
    uint64_t callback_memory_limit;
    struct tdm_note_store
        *notes; /* where notes outlive the process (notes.h); stays the caller's. One runtime at a time */
    bool no_fault_traps; /* leave SIGSEGV and its kin alone (debuggers, embedders) */
};

/* Make and start: workers run when it returns. Errors: TDM_ENOMEM, TDM_EINVAL, -errno of threads. */
int tdm_runtime_new(struct tdm_runtime **ret, const struct tdm_runtime_cfg *cfg);

/* Stop every root supervisor (newest first) and wait, at most `timeout_ms` each; what is left is
 * killed. Then no actor runs any more. */
void tdm_runtime_stop(struct tdm_runtime *rt, uint32_t timeout_ms);

/* Free. Stops first when that was not done. NULL is fine. */
void tdm_runtime_free(struct tdm_runtime *rt);

struct tdm_env *tdm_runtime_env(struct tdm_runtime *rt);

/* Wait from outside until `pid` has ended; TDM_OK or TDM_ETIMEOUT. Not on a worker. */
int tdm_runtime_wait(struct tdm_runtime *rt, tdm_pid pid, uint32_t timeout_ms);

/* Live actors, for tests and metrics. */
size_t tdm_actor_count(struct tdm_runtime *rt);

#endif
