/* model_list.c - see model_list.h. */
#include "model_list.h"

#include <string.h>

struct draw {
    uint64_t state;
    struct model_list *list;
    int slow;  /* of a hundred children, so many need time to stop */
    int fails; /* of a hundred starts */
};

/* splitmix64 */
static uint32_t draw(struct draw *d, uint32_t below)
{
    uint64_t z = d->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) >> 32) % below;
}

static bool chance(struct draw *d, int of_a_hundred)
{
    return (int)draw(d, 100) < of_a_hundred;
}

static int one_of(struct draw *d, const int *of, uint32_t n)
{
    return of[draw(d, n)];
}
#define ONE_OF(d, ...) one_of((d), (const int[]){ __VA_ARGS__ }, sizeof((int[]){ __VA_ARGS__ }) / sizeof(int))

/* ---- trees ----------------------------------------------------------------------------------- */

static uint32_t draw_shutdown(struct draw *d)
{
    static const uint32_t kinds[] = {
        TDM_SHUTDOWN_DEFAULT, TDM_SHUTDOWN_DEFAULT, TDM_SHUTDOWN_BRUTAL, TDM_SHUTDOWN_INFINITY, 6, 17, 45
    };
    return kinds[draw(d, sizeof kinds / sizeof kinds[0])];
}

static void draw_manner(struct draw *d, struct model_spec *spec)
{
    spec->stop_ends = MODEL_SHUTDOWN;
    if (chance(d, 15))
        spec->stop_ends = (enum model_reason)ONE_OF(d, MODEL_NORMAL, MODEL_DETAIL, MODEL_ERROR);
    if (chance(d, d->slow))
        spec->stop_ms = ONE_OF(d, 4, 11, 29, MODEL_NEVER);
    for (int i = 0; i < MODEL_PLAN; i++)
        if (chance(d, d->fails / (i == 0 ? 4 : 1)))
            spec->plan[i] = (uint8_t)ONE_OF(d, MODEL_FAILS, MODEL_FAILS, MODEL_IGNORES);
}

static struct model_spec draw_spec(struct draw *d, const struct model_sup_spec *in)
{
    struct model_spec spec = { .uid = d->list->n_uids++ };

    spec.restart = (enum tdm_restart)ONE_OF(d, TDM_PERMANENT, TDM_PERMANENT, TDM_TRANSIENT, TDM_TEMPORARY);
    if (in->auto_shutdown != TDM_AUTO_NEVER && spec.restart != TDM_PERMANENT)
        spec.significant = chance(d, 60);
    spec.shutdown_ms = draw_shutdown(d);
    draw_manner(d, &spec);
    return spec;
}

/* A child of this dynamic supervisor. */
static struct model_spec draw_dynamic(struct draw *d, int sup)
{
    struct model_spec spec = d->list->sups[sup].children[0];

    spec.uid = d->list->n_uids++;
    memset(spec.plan, 0, sizeof spec.plan);
    draw_manner(d, &spec);
    return spec;
}

static void draw_settings(struct draw *d, struct model_sup_spec *s)
{
    s->intensity = ONE_OF(d, 0, 1, 1, 2, 3);
    s->period_ms = ONE_OF(d, 20, 100, 1000);
    if (chance(d, 25))
        s->scope = TDM_SCOPE_CHILD;
    if (s->strategy == TDM_DYNAMIC && chance(d, 30))
        s->max_children = 2;
    if (s->strategy != TDM_DYNAMIC && chance(d, 40))
        s->auto_shutdown =
            (enum tdm_auto_shutdown)ONE_OF(d, TDM_AUTO_ANY_SIGNIFICANT, TDM_AUTO_ALL_SIGNIFICANT);
    if (!chance(d, 40))
        return;
    s->backoff_min_ms = ONE_OF(d, 3, 7, 50);
    s->backoff_max_ms = s->backoff_min_ms * ONE_OF(d, 1, 3, 4);
    s->backoff_reset_ms = ONE_OF(d, 0, 0, 21, 100);
}

static void draw_sup(struct draw *d, int number, enum tdm_strategy strategy)
{
    struct model_sup_spec *s = &d->list->sups[number];

    s->strategy = strategy;
    draw_settings(d, s);
    s->n = strategy == TDM_DYNAMIC ? 1 : (int)draw(d, 5);
    for (int i = 0; i < s->n; i++)
        s->children[i] = draw_spec(d, s);
}

/* Put supervisor `number` somewhere among the root's children. */
static void draw_nested(struct draw *d, int number)
{
    struct model_sup_spec *root = &d->list->sups[0];
    struct model_spec spec = draw_spec(d, root);
    int at = (int)draw(d, (uint32_t)root->n + 1);

    spec.sup = number;
    spec.stop_ms = 0;
    memmove(&root->children[at + 1], &root->children[at], (size_t)(root->n - at) * sizeof spec);
    root->children[at] = spec;
    root->n++;
    draw_sup(d, number, (enum tdm_strategy)draw(d, TDM_DYNAMIC + 1));
}

/* ---- deeds ----------------------------------------------------------------------------------- */

static int draw_uid(struct draw *d)
{
    return d->list->n_uids == 1 ? -1 : 1 + (int)draw(d, (uint32_t)d->list->n_uids - 1);
}

/* A child that this supervisor has, or had, or might have. */
static int draw_uid_of(struct draw *d, int sup)
{
    int found[MODEL_UIDS], n = 0;
    const struct model_list *l = d->list;

    for (int i = 0; i < l->sups[sup].n && l->sups[sup].strategy != TDM_DYNAMIC; i++)
        found[n++] = l->sups[sup].children[i].uid;
    for (int i = 0; i < l->n; i++)
        if (l->deeds[i].spec.uid != 0 && l->deeds[i].sup == sup)
            found[n++] = l->deeds[i].spec.uid;
    return n == 0 ? -1 : found[draw(d, (uint32_t)n)];
}

static void draw_start(struct draw *d, struct model_deed *deed)
{
    const struct model_sup_spec *s = &d->list->sups[deed->sup];
    const struct model_spec *old = list_spec(d->list, draw_uid_of(d, deed->sup));

    deed->op = TDM_SUP_START_CHILD;
    if (s->strategy == TDM_DYNAMIC)
        deed->spec = draw_dynamic(d, deed->sup);
    else if (old != NULL && old->sup == 0 && chance(d, 40))
        deed->spec = *old;
    else
        deed->spec = draw_spec(d, s);
    deed->uid = deed->spec.uid;
}

static void draw_question(struct draw *d, struct model_deed *deed)
{
    bool dynamic = d->list->sups[deed->sup].strategy == TDM_DYNAMIC;

    deed->op =
        (enum tdm_sup_op)ONE_OF(d, TDM_SUP_TERMINATE_CHILD, TDM_SUP_TERMINATE_CHILD, TDM_SUP_RESTART_CHILD,
                                TDM_SUP_RESTART_CHILD, TDM_SUP_DELETE_CHILD, TDM_SUP_START_CHILD);
    if (deed->op == TDM_SUP_START_CHILD) {
        draw_start(d, deed);
        return;
    }
    deed->by_pid = chance(d, dynamic ? 85 : 5);
    deed->uid = chance(d, 10) ? -1 : draw_uid_of(d, deed->sup);
}

static int draw_time(struct draw *d, int sup)
{
    const struct model_sup_spec *s = &d->list->sups[sup];
    int period = s->period_ms, reset = s->backoff_reset_ms;

    if (chance(d, 60))
        return ONE_OF(d, 1, 1, 2, 5);
    if (reset == 0)
        reset = (s->backoff_min_ms + s->backoff_max_ms) / 2;
    if (reset > 0 && chance(d, 30))
        return reset;
    return ONE_OF(d, period, period + 1, period / 2, period - 1, 8, 33);
}

static void draw_deed(struct draw *d, struct model_deed *deed)
{
    uint32_t what = draw(d, 100);

    memset(deed, 0, sizeof *deed);
    deed->sup = (int)draw(d, (uint32_t)d->list->n_sups);
    deed->ms = draw_time(d, deed->sup);
    deed->kind = DEED_CHILD_ENDS;
    deed->uid = draw_uid(d);
    deed->reason = (enum model_reason)ONE_OF(d, MODEL_NORMAL, MODEL_SHUTDOWN, MODEL_DETAIL, MODEL_ERROR,
                                             MODEL_ERROR, MODEL_ERROR, MODEL_KILLED);
    if (d->list->sups[deed->sup].strategy == TDM_DYNAMIC && what < 30) {
        deed->kind = DEED_START_DYNAMIC;
        deed->spec = draw_dynamic(d, deed->sup);
        deed->uid = deed->spec.uid;
    } else if (what < 60) {
        deed->kind = DEED_ASK;
        draw_question(d, deed);
    } else if (what < 63) {
        deed->kind = DEED_SUP_KILLED;
    } else if (what < 65) {
        deed->kind = DEED_SUP_STOPPED;
    } else if (what < 68) {
        deed->kind = DEED_NOTHING;
    }
}

void list_make(struct model_list *l, const struct model_kind *kind, uint64_t seed)
{
    struct draw d = { .state = seed, .list = l };

    memset(l, 0, sizeof *l);
    l->seed = seed;
    l->n_uids = 1;
    l->n_sups = 1;
    d.slow = chance(&d, 50) ? 40 : 0;
    d.fails = chance(&d, 50) ? 25 : 0;
    draw_sup(&d, 0, kind->root);
    while (kind->nested && l->n_sups < MODEL_SUPS && l->sups[0].n < 6 && (l->n_sups == 1 || chance(&d, 50)))
        draw_nested(&d, l->n_sups++);
    int n = 3 + (int)draw(&d, 20);
    while (l->n < n && l->n_uids < MODEL_UIDS - 1) {
        draw_deed(&d, &l->deeds[l->n]);
        l->n++;
    }
}

/* ---- looking and dropping -------------------------------------------------------------------- */

const struct model_spec *list_spec(const struct model_list *l, int uid)
{
    for (int s = 0; s < l->n_sups; s++)
        for (int i = 0; i < l->sups[s].n; i++)
            if (l->sups[s].children[i].uid == uid)
                return &l->sups[s].children[i];
    for (int i = 0; i < l->n; i++)
        if (l->deeds[i].spec.uid == uid && uid > 0)
            return &l->deeds[i].spec;
    return NULL;
}

void list_drop_deed(struct model_list *l, int i)
{
    l->n--;
    memmove(&l->deeds[i], &l->deeds[i + 1], (size_t)(l->n - i) * sizeof l->deeds[0]);
}

void list_drop_child(struct model_list *l, int sup, int i)
{
    struct model_sup_spec *s = &l->sups[sup];

    s->n--;
    memmove(&s->children[i], &s->children[i + 1], (size_t)(s->n - i) * sizeof s->children[0]);
}

/* ---- printing -------------------------------------------------------------------------------- */

static const char *const strategies[] = { "one_for_one", "one_for_all", "rest_for_one", "dynamic" };
static const char *const restarts[] = { "permanent", "transient", "temporary" };
static const char *const reasons[] = { "normal", "shutdown", "shutdown: detail", "error", "killed" };
static const char *const autos[] = { "", " any_significant", " all_significant" };
static const char *const ops[] = { [TDM_SUP_COUNT] = "count",
                                   [TDM_SUP_START_CHILD] = "start_child",
                                   [TDM_SUP_TERMINATE_CHILD] = "terminate_child",
                                   [TDM_SUP_RESTART_CHILD] = "restart_child",
                                   [TDM_SUP_DELETE_CHILD] = "delete_child" };

static void print_spec(const struct model_spec *c, FILE *out)
{
    fprintf(out, "c%d %s%s", c->uid, restarts[c->restart], c->significant ? " significant" : "");
    if (c->sup != 0)
        fprintf(out, " supervisor %d", c->sup);
    if (c->shutdown_ms == TDM_SHUTDOWN_BRUTAL)
        fprintf(out, " brutal_kill");
    else if (c->shutdown_ms == TDM_SHUTDOWN_INFINITY)
        fprintf(out, " shutdown=infinity");
    else if (c->shutdown_ms != TDM_SHUTDOWN_DEFAULT)
        fprintf(out, " shutdown=%u", c->shutdown_ms);
    if (c->stop_ms == MODEL_NEVER)
        fprintf(out, " never stops");
    else if (c->stop_ms != 0 || c->stop_ends != MODEL_SHUTDOWN)
        fprintf(out, " stops after %d with %s", c->stop_ms, reasons[c->stop_ends]);
    fprintf(out, " starts ");
    for (int i = 0; i < MODEL_PLAN; i++)
        fprintf(out, "%c", "+if"[c->plan[i]]);
}

static void print_sup(const struct model_list *l, int number, FILE *out)
{
    const struct model_sup_spec *s = &l->sups[number];

    fprintf(out, "  supervisor %d: %s%s intensity=%d period=%d%s", number, strategies[s->strategy],
            autos[s->auto_shutdown], s->intensity, s->period_ms,
            s->scope == TDM_SCOPE_CHILD ? " scope=child" : "");
    if (s->max_children != 0)
        fprintf(out, " max_children=%u", s->max_children);
    if (s->backoff_min_ms != 0)
        fprintf(out, " backoff=%d..%d reset=%d", s->backoff_min_ms, s->backoff_max_ms, s->backoff_reset_ms);
    fprintf(out, "\n");
    for (int i = 0; i < s->n; i++) {
        fprintf(out, "    ");
        print_spec(&s->children[i], out);
        fprintf(out, "\n");
    }
}

static void print_deed(const struct model_deed *d, FILE *out)
{
    switch (d->kind) {
    case DEED_CHILD_ENDS:
        fprintf(out, "c%d ends: %s", d->uid, reasons[d->reason]);
        break;
    case DEED_SUP_KILLED:
        fprintf(out, "kill supervisor %d", d->sup);
        break;
    case DEED_SUP_STOPPED:
        fprintf(out, "stop supervisor %d", d->sup);
        break;
    case DEED_START_DYNAMIC:
        fprintf(out, "start in %d, without asking: ", d->sup);
        print_spec(&d->spec, out);
        break;
    case DEED_ASK:
        fprintf(out, "ask %d: %s %s%d ", d->sup, ops[d->op], d->by_pid ? "pid of c" : "c", d->uid);
        if (d->op == TDM_SUP_START_CHILD)
            print_spec(&d->spec, out);
        break;
    case DEED_NOTHING:
        fprintf(out, "nothing");
        break;
    }
    fprintf(out, ", then %d ms\n", d->ms);
}

void list_print(const struct model_list *l, FILE *out)
{
    for (int i = 0; i < l->n_sups; i++)
        print_sup(l, i, out);
    for (int i = 0; i < l->n; i++) {
        fprintf(out, "  %2d. ", i);
        print_deed(&l->deeds[i], out);
    }
}

void event_print(const struct model_event *e, FILE *out)
{
    if (e->kind == MODEL_START)
        fprintf(out, " c%d starts (%d)", e->uid, e->n);
    else if (e->kind == MODEL_GIVEN_UP)
        fprintf(out, " c%d is given up", e->uid);
    else
        fprintf(out, e->kind == MODEL_END ? " c%d ends (%s)" : " tree %d ends (%s)", e->uid, reasons[e->n]);
}

void answer_print(const struct model_answer *a, FILE *out)
{
    fprintf(out, " [%d: %s%s", a->request, a->err == TDM_OK ? "ok" : tdm_errname(a->err),
            a->ignored ? ", ignored" : "");
    if (a->uid >= 0)
        fprintf(out, ", c%d, value %d", a->uid, a->value);
    fprintf(out, "]");
}
