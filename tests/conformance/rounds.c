/* rounds.c - see rounds.h. */
#include "rounds.h"

#include <string.h>

#include "tandem/log.h"

enum { DRIVERS = 4, SIM_PART = 5 };

int driver_send(tdm_self *self, tdm_pid to, uint32_t type, uint64_t n)
{
    struct tdm_runtime *rt = tdm_self_runtime(self);
    struct tdm_msg *m = tdm_msg_copy(rt, type, &n, sizeof n);

    if (m == NULL)
        return TDM_ENOMEM;
    int err = tdm_send(rt, to, m);
    if (err < 0)
        tdm_msg_free(rt, m);
    return err;
}

int driver_hop(tdm_self *self)
{
    return driver_send(self, tdm_self_pid(self), MSG_HOP, 0);
}

bool driver_hops_on(tdm_self *self, struct driver *d)
{
    if (d->hops == 0)
        return false;
    d->hops--;
    return driver_hop(self) == TDM_OK;
}

int driver_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    const struct driver_arg *arg = start->arg;
    struct driver *d = state;

    *d = (struct driver){ .w = arg->w, .left = arg->rounds, .who = arg->who };
    return driver_hop(self);
}

bool driver_next(struct driver *d)
{
    if (d->left == 0) {
        mark(d->w, "through", d->round);
        return false;
    }
    d->left--;
    d->round++;
    d->hops = d->round % 7;
    return true;
}

void driver_wrong(struct driver *d, const char *what)
{
    mark(d->w, what, d->round);
    mark(d->w, "wrong", d->round);
}

static int mortal_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    (void)self, (void)state;
    return m->type == MSG_DIE ? TDM_EPEER : TDM_OK;
}

const struct tdm_behaviour mortal = { .name = "mortal", .handle = mortal_handle };

uint64_t rounds_here(struct world *w, uint64_t full)
{
    uint64_t n = full / WORLD_ROUNDS_PART;
    return w->sim ? n / SIM_PART : n;
}

void run_drivers_of(struct world *w, const struct tdm_behaviour *driver, uint64_t all)
{
    uint64_t rounds = all / DRIVERS;

    tdm_log_configure(
        &(struct tdm_log_cfg){ .level = TDM_LOG_OFF }); /* so many deaths make too many reports */
    for (uint64_t i = 0; i < DRIVERS; i++) {
        struct driver_arg arg = { w, rounds, i };
        spawn_with(w, i,
                   (struct tdm_spawn_cfg){
                       .behaviour = driver, .arg = &arg, .arg_bytes = sizeof arg, .trap_exit = true });
    }
    wait_marks(w, "through", DRIVERS);
    check_eq(w, marks(w, "wrong"), 0);
    for (size_t i = 0; i < DRIVERS; i++)
        check_eq(w, mark_at(w, "through", i).n, rounds);
    if (!w->sim)
        cr_log_info("%s: %llu rounds", criterion_current_test->name, (unsigned long long)(rounds * DRIVERS));
}

void run_drivers(struct world *w, const struct tdm_behaviour *driver, uint64_t full)
{
    run_drivers_of(w, driver, rounds_here(w, full));
}
