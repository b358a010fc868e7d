/* model_deed.c - what is done to the model from outside: ends, kills, stops, requests, time. See model.h. */
#include <string.h>

#include "model_inner.h"

/* ---- what is done from outside --------------------------------------------------------------- */

enum model_outcome model_start(struct model *m, const struct model_sup_spec *specs)
{
    memset(m, 0, sizeof *m);
    m->specs = specs;
    for (int i = 0; i < MODEL_SUPS; i++)
        m->sups[i] = (struct model_sup){ .number = i, .kill_at = NO_TIME };
    m_begin(m);
    enum model_outcome outcome = m_start_sup(m, &m->sups[0]);
    m_hear_all(m);
    return outcome;
}

static struct model_child *live_child(const struct model *m, int uid, struct model_sup **ret)
{
    for (int i = 0; i < MODEL_SUPS; i++) {
        struct model_child *c = m->sups[i].phase == MODEL_DOWN ? NULL : m_entry_of(&m->sups[i], uid);
        if (c == NULL || !c->alive)
            continue;
        *ret = (struct model_sup *)&m->sups[i];
        return c;
    }
    return NULL;
}

void model_child_ends(struct model *m, int uid, enum model_reason reason)
{
    struct model_sup *s;
    struct model_child *c = live_child(m, uid, &s);

    m_begin(m);
    if (c == NULL)
        return;
    if (reason == MODEL_KILLED)
        m_kill_child(m, s, c);
    else
        m_end(m, s, c, reason);
    m_hear_all(m);
}

void model_sup_killed(struct model *m, int sup)
{
    struct model_sup *s = &m->sups[sup];

    m_begin(m);
    if (s->phase == MODEL_DOWN)
        return;
    m_vanish(m, s);
    if (sup == 0)
        m_event(m, MODEL_TREE_END, 0, MODEL_KILLED);
    else
        m_end(m, s->parent, s->as_child, MODEL_KILLED);
    m_hear_all(m);
}

void model_sup_stopped(struct model *m, int sup)
{
    m_begin(m);
    m_stop_sup(m, &m->sups[sup], MODEL_SHUTDOWN);
    m_hear_all(m);
}

static int dynamic_start(struct model *m, struct model_sup *s, const struct model_spec *spec,
                         enum model_outcome *outcome)
{
    const struct model_sup_spec *of = m_spec_of(m, s);

    if (s->phase == MODEL_STOPS)
        return TDM_ESHUTDOWN;
    if (of->max_children != 0 && (uint32_t)s->n >= of->max_children)
        return TDM_EBUSY;
    struct model_child *c = m_enter(m, s, spec);
    *outcome = m_start_child(m, s, c);
    if (*outcome == MODEL_FAILS)
        m_remove_entry(s, c);
    return TDM_OK;
}

int model_start_dynamic(struct model *m, int sup, const struct model_spec *spec)
{
    struct model_sup *s = &m->sups[sup];
    enum model_outcome outcome;

    m_begin(m);
    int err = s->phase == MODEL_DOWN ? TDM_ENOPROC : dynamic_start(m, s, spec, &outcome);
    m_hear_all(m);
    return err;
}

/* ---- 16: administration ---------------------------------------------------------------------- */

/* A worker gives the number of its start as its value, a supervisor none. */
static struct model_answer started(const struct model *m, enum model_outcome outcome,
                                   const struct model_spec *spec)
{
    if (outcome == MODEL_FAILS)
        return (struct model_answer){ .err = TDM_EPEER, .uid = -1 };
    if (outcome == MODEL_IGNORES)
        return (struct model_answer){ .ignored = true, .uid = -1 };
    return (struct model_answer){ .uid = spec->uid, .value = spec->sup != 0 ? 0 : m->starts[spec->uid] };
}

static struct model_answer start_by_request(struct model *m, struct model_sup *s,
                                            const struct model_spec *spec)
{
    struct model_child *c = m_entry_of(s, spec->uid);
    enum model_outcome outcome;

    if (s->phase == MODEL_STOPS)
        return (struct model_answer){ .err = TDM_ESHUTDOWN, .uid = -1 };
    if (m_dynamic(m, s)) {
        int err = dynamic_start(m, s, spec, &outcome);
        return err < 0 ? (struct model_answer){ .err = err, .uid = -1 } : started(m, outcome, spec);
    }
    if (c != NULL)
        return m_runs(c) ? (struct model_answer){ .err = TDM_EEXIST, .uid = spec->uid }
                         : (struct model_answer){ .err = TDM_EPRESENT, .uid = -1 };
    c = m_enter(m, s, spec);
    outcome = m_start_child(m, s, c);
    if (outcome == MODEL_FAILS)
        m_remove_entry(s, c);
    return started(m, outcome, spec);
}

static struct model_answer restart_by_request(struct model *m, struct model_sup *s, struct model_child *c)
{
    if (c->state != TDM_CHILD_STOPPED)
        return (struct model_answer){ .err = m_runs(c) ? TDM_EEXIST : TDM_EBUSY, .uid = -1 };
    return started(m, m_start_child(m, s, c), &c->spec);
}

/* False: the answer comes when the child has ended. */
static bool terminate(struct model *m, struct model_sup *s, struct model_child *c, int request)
{
    if (!m_runs(c)) {
        m_count_anew(c);
        m_put_to_rest(m, s, c);
        return true;
    }
    if (c->n_askers == MODEL_ASKERS)
        m_leave_open(m, "too many requests");
    else
        c->askers[c->n_askers++] = request;
    if (!c->asked)
        m_ask_to_stop(m, s, c);
    return false;
}

static bool ask_dynamic(struct model *m, struct model_sup *s, const struct model_question *q,
                        struct model_answer *a)
{
    struct model_child *c = m_entry_of(s, q->uid);

    if (q->op != TDM_SUP_TERMINATE_CHILD || !q->by_pid)
        a->err = TDM_ENOTSUP;
    else if (c != NULL)
        return terminate(m, s, c, a->request);
    else if (q->uid < 0) /* a live actor that is no child; all others are dead */
        a->err = TDM_ENOTFOUND;
    return true;
}

static bool ask_static(struct model *m, struct model_sup *s, const struct model_question *q,
                       struct model_answer *a)
{
    struct model_child *c = q->by_pid ? NULL : m_entry_of(s, q->uid);
    int request = a->request;

    if (c == NULL)
        a->err = TDM_ENOTFOUND;
    else if (q->op == TDM_SUP_TERMINATE_CHILD)
        return terminate(m, s, c, request);
    else if (q->op == TDM_SUP_RESTART_CHILD)
        *a = restart_by_request(m, s, c);
    else if (c->state != TDM_CHILD_STOPPED)
        a->err = m_runs(c) ? TDM_ESTATE : TDM_EBUSY;
    else
        m_remove_entry(s, c);
    a->request = request;
    return true;
}

void m_ask(struct model *m, struct model_sup *s, int request, const struct model_question *q)
{
    struct model_answer a = { .request = request, .uid = -1 };
    bool now = true;

    if (q->op == TDM_SUP_START_CHILD)
        a = start_by_request(m, s, q->spec);
    else if (s->phase == MODEL_STOPS && q->op == TDM_SUP_RESTART_CHILD && !q->by_pid && !m_dynamic(m, s) &&
             m_entry_of(s, q->uid) != NULL)
        a.err = TDM_ESHUTDOWN;
    else if (s->phase == MODEL_STOPS)
        m_leave_open(m, "a request to a supervisor that stops");
    else
        now = m_dynamic(m, s) ? ask_dynamic(m, s, q, &a) : ask_static(m, s, q, &a);
    a.request = request;
    if (now)
        m_answer(m, a);
}

void model_ask(struct model *m, int request, const struct model_question *q)
{
    struct model_sup *s = &m->sups[q->sup];

    m_begin(m);
    if (s->phase == MODEL_DOWN)
        m_answer(m, (struct model_answer){ .request = request, .err = TDM_ENOPROC, .uid = -1 });
    else if (s->group == NULL)
        m_ask(m, s, request, q);
    else if (s->n_held < MODEL_ASKERS)
        s->held[s->n_held++] = (struct model_held){ request, *q };
    else
        m_leave_open(m, "too many requests");
    m_hear_all(m);
}

/* ---- time ------------------------------------------------------------------------------------ */

int m_earliest(struct model *m)
{
    int first = NO_TIME;

    for (int i = 0; i < MODEL_SUPS; i++) {
        struct model_sup *s = &m->sups[i];
        first = s->phase == MODEL_STOPS && s->kill_at < first ? s->kill_at : first;
        for (int k = 0; k < s->n && s->phase != MODEL_DOWN; k++) {
            struct model_child *c = s->entries[k];
            int at = c->ends_at < c->kill_at ? c->ends_at : c->kill_at;
            at = c->retry_at < at ? c->retry_at : at;
            first = at < first ? at : first;
        }
    }
    return first;
}

static int child_due(struct model *m, struct model_sup *s, struct model_child *c)
{
    int at = m->now.ms, due = (c->ends_at == at) + (c->kill_at == at) + (c->retry_at == at);

    if (c->ends_at == at) {
        m_end(m, s, c, c->spec.stop_ends);
    } else if (c->kill_at == at) {
        m_kill_child(m, s, c);
    } else if (c->retry_at == at) {
        c->retry_at = NO_TIME;
        m_attempt(m, s, c, 0);
    }
    return due;
}

static void common_time_is_over(struct model *m, struct model_sup *s)
{
    s->kill_at = NO_TIME;
    for (int i = 0; i < s->n; i++)
        if (s->entries[i]->alive)
            m_kill_child(m, s, s->entries[i]);
}

/* Of two timers nobody knows which comes first; only the ends of a stopping dynamic supervisor's children may
 * coincide. */
static void all_due(struct model *m)
{
    int groups = 0;

    for (int i = 0; i < MODEL_SUPS && m->open == NULL; i++) {
        struct model_sup *s = &m->sups[i];
        int due = 0, kills = s->phase == MODEL_STOPS && s->kill_at == m->now.ms;
        bool together = m_dynamic(m, s) && s->phase == MODEL_STOPS;
        for (int k = 0; k < s->n; k++) {
            struct model_child *c = s->entries[k];
            due += c->ends_at == m->now.ms || c->kill_at == m->now.ms || c->retry_at == m->now.ms;
            groups += c->ends_at == m->now.ms && c->kill_at == m->now.ms;
        }
        groups += (together ? due > 0 : due) + kills;
    }
    if (groups > 1)
        m_leave_open(m, "two timers at one time");
    for (int i = 0; i < MODEL_SUPS && m->open == NULL; i++) {
        struct model_sup *s = &m->sups[i];
        if (s->phase == MODEL_STOPS && s->kill_at == m->now.ms)
            common_time_is_over(m, s);
        struct model_child *all[MODEL_ENTRIES];
        int n = s->n;
        memcpy(all, s->entries, sizeof all);
        for (int k = 0; k < n && s->phase != MODEL_DOWN; k++)
            child_due(m, s, all[k]);
        m_hear_all(m);
    }
}

void model_time_passes(struct model *m, int ms)
{
    int until = m->now.ms + ms;

    for (int at = m_earliest(m); at < until && m->open == NULL; at = m_earliest(m)) {
        m->now = (struct model_time){ at, false };
        all_due(m);
    }
    m->now = (struct model_time){ until, true };
}

/* ---- what can be seen ------------------------------------------------------------------------ */

const struct model_child *model_live(const struct model *m, int uid)
{
    struct model_sup *s;
    return live_child(m, uid, &s);
}

bool model_sup_idle(const struct model *m, int sup)
{
    return m->sups[sup].phase == MODEL_RUNS && m->sups[sup].group == NULL;
}

bool model_quiet(const struct model *m)
{
    for (int i = 0; i < MODEL_SUPS; i++)
        if (m->sups[i].phase != MODEL_DOWN && !model_sup_idle(m, i))
            return false;
    return true;
}
