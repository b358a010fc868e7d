/* sup_reconfigure.c - a running supervisor gets new settings and a new list.
 *
 * Idea:      first everything that may fail: the verdict, and all memory. Then the change, which cannot.
 * The order of the list becomes that of the new one; children that it does not name follow, as they were. An actor that
 * runs goes on with the spec it was started from; the new one holds for what is decided about it from now on.
 * Touched by the worker running the supervisor. */
#include "sup.h"

/* New specs, and entries for the ids that are new. */
struct change {
    const struct tdm_sup_cfg *cfg;
    struct spec **specs; /* one for each child of cfg; NULL once it is an entry's */
};

static void undo(tdm_self *self, struct change *c)
{
    for (size_t i = 0; c->specs != NULL && i < c->cfg->n_children; i++)
        spec_free(self->rt, c->specs[i]);
    tdm_free(self, c->specs);
}

static int copy_specs(tdm_self *self, struct change *c)
{
    c->specs = tdm_alloc(self, (c->cfg->n_children + 1) * sizeof(struct spec *));
    if (c->specs == NULL)
        return TDM_ENOMEM;
    for (size_t i = 0; i < c->cfg->n_children; i++)
        if ((c->specs[i] = spec_copy(self->rt, &c->cfg->children[i], false)) == NULL)
            return TDM_ENOMEM;
    return TDM_OK;
}

/* The entries that were added last are taken out again. */
static int add_new_entries(tdm_self *self, struct sup *s, struct change *c)
{
    struct entry *last = s->last;

    for (size_t i = 0; i < c->cfg->n_children; i++) {
        if (sup_entry_by_id(s, c->cfg->children[i].id) != NULL)
            continue;
        if (sup_add_entry(self, s, c->specs[i]) == NULL) {
            while (s->last != last)
                sup_drop_entry(self, s, s->last);
            return TDM_ENOMEM;
        }
        c->specs[i] = NULL;
    }
    return TDM_OK;
}

static void renew(tdm_self *self, struct sup *s, struct entry *e, struct spec *spec)
{
    enum entry_state state = e->state;
    struct spec *old = e->spec;

    sup_set_state(s, e, STOPPED); /* what is counted of it is counted anew */
    e->spec = spec;
    sup_set_state(s, e, state);
    family_add_spec(s->family, spec);
    if (e->child == NULL || e->child->spec != &old->s)
        family_drop_spec(s->family, old);
    if (state != STOPPED)
        spec_forget_arg(self->rt, spec);
}

static void take_list(tdm_self *self, struct sup *s, struct change *c)
{
    for (size_t i = 0; i < c->cfg->n_children; i++) {
        struct entry *e = sup_entry_by_id(s, c->cfg->children[i].id);
        if (c->specs[i] != NULL)
            renew(self, s, e, c->specs[i]);
        c->specs[i] = NULL;
        sup_order_after(s, e);
    }
    /* those not named are at the front now */
    for (size_t left = s->n_entries - c->cfg->n_children; left > 0; left--)
        sup_order_after(s, s->first);
}

static void take_settings(struct sup *s, const struct tdm_sup_cfg *cfg)
{
    struct tdm_sup_cfg before = s->cfg;

    s->cfg = *cfg;
    s->cfg.name = before.name;
    s->cfg.strategy = before.strategy;
    s->cfg.init = before.init;
    s->cfg.udata = before.udata;
    s->cfg.children = NULL;
    s->cfg.n_children = 0;
}

int sup_reconfigure(tdm_self *self, struct sup *s, const struct tdm_sup_cfg *given, struct refusal *why)
{
    struct tdm_sup_cfg cfg = *given;
    struct change c = { .cfg = &cfg };

    cfg.strategy = s->cfg.strategy;
    int err = sup_check_cfg(&cfg, why);
    if (err < 0)
        return err;
    err = copy_specs(self, &c);
    if (err == TDM_OK && !sup_dynamic(s))
        err = add_new_entries(self, s, &c);
    if (err == TDM_OK) {
        take_settings(s, &cfg);
        if (sup_dynamic(s)) {
            family_set_template(s->family, c.specs[0], cfg.max_children);
            c.specs[0] = NULL;
        } else {
            take_list(self, s, &c);
        }
    }
    undo(self, &c);
    return err;
}
