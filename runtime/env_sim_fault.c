/* env_sim_fault.c - calls of the simulated network that fail because a test says so.
 *
 * Calls are counted from when a fault is set. The one with its number decides which kind of call fails, and from then on
 * only calls of that kind do, until it has been often enough: a process out of descriptors can still read. */
#include "env_sim_fault.h"

#include <string.h>

int sim_fault_next(struct sim_faults *f, enum tdm_sim_call kind)
{
    f->calls++;
    if (f->fault.nth == 0)
        return 0;
    if (f->calls == f->fault.nth) {
        f->hit = kind;
        f->left = f->fault.times == 0 ? 1 : f->fault.times;
    }
    if (f->left == 0 || f->hit != kind)
        return 0;
    f->left--;
    return f->fault.err[kind];
}

uint64_t tdm_env_sim_fault(struct tdm_env *env, const struct tdm_sim_fault *fault, enum tdm_sim_call *hit)
{
    struct sim_faults *f = env_sim_net_faults(env);
    uint64_t calls = f->calls;

    if (hit != NULL)
        *hit = f->fault.nth != 0 ? f->hit : TDM_SIM_CALLS;
    memset(f, 0, sizeof *f);
    f->hit = TDM_SIM_CALLS;
    if (fault != NULL)
        f->fault = *fault;
    return calls;
}

uint64_t tdm_env_sim_fail_sock(struct tdm_env *env, uint64_t nth, int err)
{
    struct tdm_sim_fault fault = { .nth = nth };

    for (int kind = 0; kind < TDM_SIM_CALLS; kind++)
        fault.err[kind] = err;
    return tdm_env_sim_fault(env, &fault, NULL);
}
