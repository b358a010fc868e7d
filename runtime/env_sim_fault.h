/* env_sim_fault.h - which of the simulated network's calls fails, and how. See env_sim_fault.c. */
#ifndef RUNTIME_ENV_SIM_FAULT_H
#define RUNTIME_ENV_SIM_FAULT_H
#include "tandem/env.h"

struct sim_faults {
    struct tdm_sim_fault fault; /* nth 0: none */
    uint64_t calls;             /* since it was set */
    enum tdm_sim_call hit;      /* the kind that fails; TDM_SIM_CALLS: none yet */
    uint64_t left;              /* how often it still does */
};

/* A call of this kind is made: 0, a negated errno, or TDM_SIM_SHORT. */
int sim_fault_next(struct sim_faults *f, enum tdm_sim_call kind);

/* The simulated network's, see env_sim_net.c. */
struct sim_faults *env_sim_net_faults(struct tdm_env *env);

#endif
