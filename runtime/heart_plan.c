/* heart_plan.c - when a child that died is started again, and when no more.
 *
 * A death after a long life is answered at once: calls wait. Quick deaths in a row are slowed down, so that a broken
 * program does not eat the machine, and counted: too many of them within the period, and a human has to look. */
#include <string.h>

#include "heart.h"
#include "tandem/err.h"

int heart_plan_init(struct heart_plan *p, const struct tdm_heart_cfg *cfg)
{
    memset(p, 0, sizeof *p);
    p->cfg = *cfg;
    const struct {
        uint32_t *at, value;
    } defaults[] = {
        { &p->cfg.ping_ms, 1000 },       { &p->cfg.misses, 10 },    { &p->cfg.start_ms, 30000 },
        { &p->cfg.abort_ms, 3000 },      { &p->cfg.end_ms, 60000 }, { &p->cfg.quick_ms, 5000 },
        { &p->cfg.delay_min_ms, 100 },   { &p->cfg.deaths, 10 },    { &p->cfg.period_ms, 60000 },
        { &p->cfg.delay_max_ms, 10000 },
    };

    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++)
        if (*defaults[i].at == 0)
            *defaults[i].at = defaults[i].value;
    if (p->cfg.give_up_status == 0)
        p->cfg.give_up_status = 1;
    return p->cfg.deaths > HEART_DEATHS_MAX ? TDM_EINVAL : TDM_OK;
}

static void forget_old(struct heart_plan *p, uint64_t now_ms)
{
    uint32_t old = 0;

    while (old < p->n_quick && now_ms - p->quick[old] > p->cfg.period_ms)
        old++;
    p->n_quick -= old;
    memmove(p->quick, p->quick + old, p->n_quick * sizeof p->quick[0]);
}

static uint32_t delay_of(const struct heart_plan *p)
{
    uint64_t delay = p->cfg.delay_min_ms;

    if (p->in_a_row < 2)
        return 0;
    for (uint32_t n = 2; n < p->in_a_row && delay < p->cfg.delay_max_ms; n++)
        delay *= 2;
    return delay < p->cfg.delay_max_ms ? (uint32_t)delay : p->cfg.delay_max_ms;
}

bool heart_plan_death(struct heart_plan *p, uint64_t now_ms, uint64_t life_ms, uint32_t *delay_ms)
{
    *delay_ms = 0;
    if (life_ms >= p->cfg.quick_ms) {
        p->in_a_row = 0;
        return true;
    }
    forget_old(p, now_ms);
    p->quick[p->n_quick++] = now_ms; /* there is room: more than `deaths` of them ends it here */
    p->in_a_row++;
    *delay_ms = delay_of(p);
    return p->n_quick <= p->cfg.deaths;
}
