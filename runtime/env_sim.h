/* env_sim.h - the deterministic environment, for its own parts. See env_sim.c. */
#ifndef RUNTIME_ENV_SIM_H
#define RUNTIME_ENV_SIM_H
#include "tandem/env.h"

struct sim_net;

/* Where the network of env_sim_net.c hangs. */
struct sim_net **env_sim_net_slot(struct tdm_env *env);

/* Take part in the failing of allocations though the memory is not for the runtime. */
void *env_sim_alloc(struct tdm_env *env, size_t bytes);

#endif
