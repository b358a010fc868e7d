/* sup_limit.c - how often a child may be restarted, how long to wait before, and what happens when it was too often.
 *
 * Idea:      a ring of the last limit + 1 restarts tells: it is one too many when the oldest of them still counts. The
 *            supervisor has one ring for all, or (scope child) each child one of its own, made at its first restart.
 * Touched by the worker running the supervisor. */
#include <string.h>

#include "sup.h"
#include "sup_log.h"

uint32_t sup_intensity(const struct tdm_sup_cfg *cfg)
{
    return cfg->intensity < 0 ? 1 : (uint32_t)cfg->intensity;
}

static uint32_t period_ms(const struct tdm_sup_cfg *cfg)
{
    return cfg->period_ms == 0 ? 5000 : cfg->period_ms;
}

/* A ring for this limit, with the newest of the times it has. */
bool sup_ring_fit(struct tdm_runtime *rt, struct ring *r, uint32_t limit)
{
    uint32_t kept = r->n < r->room ? r->n : r->room;

    if (r->room == limit + 1)
        return true;
    uint64_t *times = runtime_alloc(rt, ((size_t)limit + 1) * sizeof *times);
    if (times == NULL)
        return false;
    if (kept > limit + 1)
        kept = limit + 1;
    for (uint32_t i = 0; i < kept; i++)
        times[i] = r->times[(r->n - kept + i) % r->room];
    if (r->times != NULL)
        runtime_free_block(rt, r->times, r->room * sizeof *r->times);
    *r = (struct ring){ .times = times, .room = limit + 1, .n = kept };
    return true;
}

/* Note a restart at `now`; true: more than the limit within the period. A time exactly a period old still counts. */
static bool too_many(struct ring *r, uint64_t now, uint64_t period_ns)
{
    r->times[r->n % r->room] = now;
    r->n++;
    return r->n >= r->room && now - r->times[r->n % r->room] <= period_ns;
}

bool sup_over_limit(tdm_self *self, struct sup *s, struct child *c)
{
    bool own = s->cfg.scope == TDM_SCOPE_CHILD;
    struct ring *r = own ? &c->times : &s->family->times;

    return !sup_ring_fit(self->rt, r, sup_intensity(&s->cfg)) ||
           too_many(r, tdm_now_ns(self), TDM_MS(period_ms(&s->cfg)));
}

static uint64_t reset_ns(const struct tdm_sup_cfg *cfg)
{
    return cfg->backoff_reset_ms != 0 ? TDM_MS(cfg->backoff_reset_ms)
                                      : TDM_MS(((uint64_t)cfg->backoff_min_ms + cfg->backoff_max_ms) / 2);
}

uint64_t sup_delay_ns(tdm_self *self, struct sup *s, struct child *c)
{
    const struct tdm_sup_cfg *cfg = &s->cfg;

    if (cfg->backoff_min_ms == 0)
        return 0;
    if (tdm_now_ns(self) - c->launched_ns >= reset_ns(cfg))
        c->in_a_row = 0;
    uint32_t n = c->in_a_row < 31 ? c->in_a_row : 31;
    c->in_a_row++;
    uint64_t ms = (uint64_t)cfg->backoff_min_ms << n;
    if (ms > cfg->backoff_max_ms)
        ms = cfg->backoff_max_ms;
    double r = (double)(self->rt->env->random(self->rt->env) >> 11) / 9007199254740992.0;
    return (uint64_t)((double)TDM_MS(ms) * (1 + r * cfg->backoff_jitter));
}

static void tell_given_up(tdm_self *self, const struct child *c)
{
    static const struct tdm_reason unknown = { .kind = TDM_EXIT_ERROR, .code = TDM_ENOMEM };
    const struct tdm_child_spec *spec = sup_spec_of(c);
    bool own = c->arg != NULL;

    if (spec->on_give_up != NULL)
        spec->on_give_up(self, tdm_self_place(c->actor), own ? c->arg : spec->start.arg,
                         own ? c->arg_bytes : spec->start.arg_bytes, c->last != NULL ? c->last : &unknown);
}

/* The child that tipped it over is forgotten. */
int sup_give_up(tdm_self *self, struct sup *s, struct child *c)
{
    static const struct tdm_reason shutdown = { .kind = TDM_EXIT_SHUTDOWN };
    bool child_only = s->cfg.scope == TDM_SCOPE_CHILD;

    sup_log_limit(c, sup_intensity(&s->cfg), period_ms(&s->cfg), child_only ? "child" : "supervisor");
    if (child_only)
        tell_given_up(self, c);
    if (c->entry != NULL)
        sup_drop_entry(self, s, c->entry);
    else
        family_remove_child(c);
    return child_only ? TDM_OK : sup_begin_stop(self, s, &shutdown);
}
