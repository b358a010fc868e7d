/* model.c - see model.h. The numbers in comments are the sections of the rules. */
#include "model_inner.h"

#include <string.h>

void m_leave_open(struct model *m, const char *why)
{
    if (m->open == NULL)
        m->open = why;
}

void m_event(struct model *m, enum model_event_kind kind, int uid, int n)
{
    if (m->n_events == MODEL_EVENTS)
        m_leave_open(m, "too many events");
    else
        m->events[m->n_events++] = (struct model_event){ kind, uid, n };
}

void m_answer(struct model *m, struct model_answer a)
{
    m->answers[m->n_answers++] = a;
}

void m_begin(struct model *m)
{
    m->n_events = m->n_answers = 0;
    m->now.exactly = true;
}

const struct model_sup_spec *m_spec_of(const struct model *m, const struct model_sup *s)
{
    return &m->specs[s->number];
}

bool m_dynamic(const struct model *m, const struct model_sup *s)
{
    return m_spec_of(m, s)->strategy == TDM_DYNAMIC;
}

static bool abnormal(enum model_reason r)
{
    return r == MODEL_ERROR || r == MODEL_KILLED;
}

/* Is a - b at least (over: more than) `ms`? */
static bool apart(struct model *m, struct model_time a, struct model_time b, int ms, bool over)
{
    int d = a.ms - b.ms;

    if (d == ms && (!a.exactly || !b.exactly))
        m_leave_open(m, "two times are too close to tell");
    return over ? d > ms : d >= ms;
}

/* ---- entries --------------------------------------------------------------------------------- */

struct model_child *m_enter(struct model *m, struct model_sup *s, const struct model_spec *spec)
{
    struct model_child *c = &m->children[m->n_children++];

    memset(c, 0, sizeof *c);
    c->spec = *spec;
    c->ends_at = c->kill_at = c->retry_at = NO_TIME;
    s->entries[s->n++] = c;
    return c;
}

static int index_of(const struct model_sup *s, const struct model_child *c)
{
    int i = 0;

    while (i < s->n && s->entries[i] != c)
        i++;
    return i;
}

static void forget_attempt(struct model_child *c)
{
    c->retry_at = NO_TIME;
    c->retry_soon = false;
}

void m_remove_entry(struct model_sup *s, struct model_child *c)
{
    int i = index_of(s, c);

    memmove(&s->entries[i], &s->entries[i + 1], (size_t)(s->n - i - 1) * sizeof s->entries[0]);
    s->n--;
    forget_attempt(c);
}

struct model_child *m_entry_of(const struct model_sup *s, int uid)
{
    for (int i = 0; i < s->n; i++)
        if (s->entries[i]->spec.uid == uid)
            return s->entries[i];
    return NULL;
}

/* As far as its supervisor knows. */
bool m_runs(const struct model_child *c)
{
    return c->alive || c->unheard;
}

/* 6, 16: it is over for this child: the spec stays, unless it is temporary or dynamic. */
void m_put_to_rest(const struct model *m, struct model_sup *s, struct model_child *c)
{
    c->state = TDM_CHILD_STOPPED;
    forget_attempt(c);
    if (m_dynamic(m, s) || c->spec.restart == TDM_TEMPORARY)
        m_remove_entry(s, c);
}

/* What is counted of a child goes when it is stopped on request, or ends for good. The rules do not say so; but who stops
 * a child and starts it again wants a fresh start. */
void m_count_anew(struct model_child *c)
{
    c->limit.n = 0;
    c->row = 0;
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void clear_times(struct model_child *c)
{
    c->ends_at = c->kill_at = NO_TIME;
}

static void notice(struct model *m, struct model_sup *s, struct model_child *c)
{
    c->unheard = true;
    m->ended[m->n_ended].sup = s;
    m->ended[m->n_ended++].child = c;
}

/* The actor ends; its supervisor will hear of it. */
void m_end(struct model *m, struct model_sup *s, struct model_child *c, enum model_reason reason)
{
    c->alive = false;
    c->reason = reason;
    clear_times(c);
    if (c->spec.sup == 0 && reason != MODEL_KILLED)
        m_event(m, MODEL_END, c->spec.uid, (int)reason);
    notice(m, s, c);
}

/* 8: a killed supervisor leaves no live child behind. */
void m_vanish(struct model *m, struct model_sup *s)
{
    for (int i = 0; i < s->n; i++) {
        struct model_child *c = s->entries[i];
        for (int k = 0; k < c->n_askers; k++)
            m_answer(m, (struct model_answer){ .request = c->askers[k], .err = TDM_EPEER, .uid = -1 });
        if (c->alive && c->spec.sup != 0)
            m_vanish(m, &m->sups[c->spec.sup]);
        c->alive = false;
    }
    for (int i = 0; i < s->n_held; i++)
        m_answer(m, (struct model_answer){ .request = s->held[i].request, .err = TDM_EPEER, .uid = -1 });
    s->phase = MODEL_DOWN;
    s->n = s->n_held = 0;
}

void m_kill_child(struct model *m, struct model_sup *s, struct model_child *c)
{
    if (c->spec.sup != 0)
        m_vanish(m, &m->sups[c->spec.sup]);
    m_end(m, s, c, MODEL_KILLED);
}

static void sup_ends(struct model *m, struct model_sup *s, enum model_reason why)
{
    for (unsigned r = 0; r <= MODEL_KILLED; r++)
        m->logged.shutdown_error += (s->odd_ends >> r) & 1;
    s->phase = MODEL_DOWN;
    s->n = 0;
    s->kill_at = NO_TIME;
    if (s->starting)
        return; /* the starter is told */
    if (s->number == 0)
        m_event(m, MODEL_TREE_END, 0, (int)why);
    else
        m_end(m, s->parent, s->as_child, why);
}

/* ---- 8: stopping ----------------------------------------------------------------------------- */

static uint32_t shutdown_ms(const struct model_spec *spec)
{
    if (spec->shutdown_ms != TDM_SHUTDOWN_DEFAULT)
        return spec->shutdown_ms;
    return spec->sup != 0 ? TDM_SHUTDOWN_INFINITY : 5000;
}

static bool clean(const struct model_child *c)
{
    bool permanent = c->spec.restart == TDM_PERMANENT;

    if (c->spec.shutdown_ms == TDM_SHUTDOWN_BRUTAL)
        return c->reason == MODEL_KILLED || (!permanent && !abnormal(c->reason));
    return c->reason == MODEL_SHUTDOWN || (!permanent && !abnormal(c->reason));
}

static void hear_postponed(struct model *m, struct model_sup *s);

/* A worker that ends when it is asked to is gone when this returns. */
static void tell_to_stop(struct model *m, struct model_sup *s, struct model_child *c)
{
    if (c->spec.sup != 0)
        m_stop_sup(m, &m->sups[c->spec.sup], MODEL_SHUTDOWN);
    else if (c->spec.stop_ms == 0)
        m_end(m, s, c, c->spec.stop_ends);
    else if (c->spec.stop_ms != MODEL_NEVER)
        c->ends_at = m->now.ms + c->spec.stop_ms;
}

void m_ask_to_stop(struct model *m, struct model_sup *s, struct model_child *c)
{
    uint32_t ms = shutdown_ms(&c->spec);

    c->asked = true;
    if (ms == TDM_SHUTDOWN_BRUTAL) {
        m_kill_child(m, s, c);
        return;
    }
    if (ms != TDM_SHUTDOWN_INFINITY)
        c->kill_at = m->now.ms + (int)ms;
    tell_to_stop(m, s, c);
}

/* A dynamic supervisor that stops says at its end which odd reasons there were. */
static void log_odd_end(struct model *m, struct model_sup *s, const struct model_child *c)
{
    if (clean(c))
        return;
    if (m_dynamic(m, s) && s->phase == MODEL_STOPS)
        s->odd_ends |= 1u << c->reason;
    else
        m->logged.shutdown_error++;
}

static void answer_askers(struct model *m, struct model_child *c)
{
    for (int i = 0; i < c->n_askers; i++)
        m_answer(m, (struct model_answer){ .request = c->askers[i], .uid = -1 });
    c->n_askers = 0;
}

/* What a stop has to say when the child's turn has come. */
static void was_stopped(struct model *m, struct model_sup *s, struct model_child *c)
{
    c->early = false;
    log_odd_end(m, s, c);
    if (s->group == NULL || c->n_askers > 0)
        m_count_anew(c);
    answer_askers(m, c);
    m_put_to_rest(m, s, c);
}

/* Last started first, one at a time: the next is asked when the end of the one before has been heard. True: none from
 * `first` on is left. */
static bool stop_from(struct model *m, struct model_sup *s, int first)
{
    for (int i = s->n - 1; i >= first; i--) {
        struct model_child *c = s->entries[i];
        if (c->alive && !c->asked)
            m_ask_to_stop(m, s, c);
        if (m_runs(c))
            return false;
        if (c->early)
            was_stopped(m, s, c);
    }
    return true;
}

static bool any_left(const struct model_sup *s)
{
    for (int i = 0; i < s->n; i++)
        if (m_runs(s->entries[i]))
            return true;
    return false;
}

static void go_on_stopping(struct model *m, struct model_sup *s)
{
    if (m_dynamic(m, s) ? !any_left(s) : stop_from(m, s, 0))
        sup_ends(m, s, s->why);
}

static void ask_all(struct model *m, struct model_sup *s)
{
    uint32_t ms = shutdown_ms(&m_spec_of(m, s)->children[0]);

    for (int i = 0; i < s->n; i++) {
        struct model_child *c = s->entries[i];
        if (c->alive && ms == TDM_SHUTDOWN_BRUTAL)
            m_kill_child(m, s, c);
        else if (c->alive && !c->asked)
            tell_to_stop(m, s, c);
    }
    if (ms != TDM_SHUTDOWN_BRUTAL && ms != TDM_SHUTDOWN_INFINITY && any_left(s))
        s->kill_at = m->now.ms + (int)ms;
}

/* 5.8: the requests that waited are answered in order. */
static void answer_held(struct model *m, struct model_sup *s)
{
    for (int i = 0; i < s->n_held && s->phase != MODEL_DOWN; i++)
        m_ask(m, s, s->held[i].request, &s->held[i].question);
    s->n_held = 0;
}

void m_stop_sup(struct model *m, struct model_sup *s, enum model_reason why)
{
    if (s->phase != MODEL_RUNS)
        return;
    s->phase = MODEL_STOPS;
    s->why = why;
    s->group = NULL;
    s->odd_ends = 0;
    for (int i = 0; i < s->n; i++)
        forget_attempt(s->entries[i]);
    hear_postponed(m, s);
    answer_held(m, s);
    if (m_dynamic(m, s))
        ask_all(m, s);
    go_on_stopping(m, s);
}

/* ---- 5: starting ----------------------------------------------------------------------------- */

static enum model_outcome outcome_of(struct model *m, struct model_child *c)
{
    int n = m->starts[c->spec.uid]++;

    enum model_outcome own = n < MODEL_PLAN ? (enum model_outcome)c->spec.plan[n] : MODEL_STARTS;

    m_event(m, MODEL_START, c->spec.uid, n);
    return own == MODEL_STARTS && c->spec.sup != 0 ? m_start_sup(m, &m->sups[c->spec.sup]) : own;
}

enum model_outcome m_start_child(struct model *m, struct model_sup *s, struct model_child *c)
{
    if (c->spec.sup != 0) {
        m->sups[c->spec.sup].parent = s;
        m->sups[c->spec.sup].as_child = c;
    }
    c->launched = m->now;
    forget_attempt(c);
    c->asked = c->early = false;
    c->postponed = 0;
    clear_times(c);
    enum model_outcome outcome = outcome_of(m, c);
    c->alive = outcome == MODEL_STARTS;
    c->state = c->alive ? TDM_CHILD_RUNNING : TDM_CHILD_STOPPED;
    if (outcome == MODEL_FAILS)
        m->logged.start_error++;
    if (outcome == MODEL_IGNORES) {
        m_count_anew(c);
        m_put_to_rest(m, s, c);
    }
    return outcome;
}

static void hear_ends(struct model *m);

/* 5.5: those before it are stopped. Where that takes time the model gives up: then a start takes time. */
static enum model_outcome start_failed(struct model *m, struct model_sup *s)
{
    s->phase = MODEL_STOPS;
    s->group = NULL;
    go_on_stopping(m, s);
    hear_ends(m);
    if (s->phase != MODEL_DOWN)
        m_leave_open(m, "a start that fails waits for children to stop");
    s->starting = false;
    return MODEL_FAILS;
}

enum model_outcome m_start_sup(struct model *m, struct model_sup *s)
{
    const struct model_sup_spec *spec = m_spec_of(m, s);

    s->phase = MODEL_RUNS;
    s->starting = true;
    s->n = 0;
    s->group = NULL;
    s->kill_at = NO_TIME;
    s->limit.n = 0;
    for (int i = 0; i < spec->n && !m_dynamic(m, s); i++)
        if (m_start_child(m, s, m_enter(m, s, &spec->children[i])) == MODEL_FAILS)
            return start_failed(m, s);
    s->starting = false;
    return MODEL_STARTS;
}

/* ---- 7: the limit ---------------------------------------------------------------------------- */

static bool too_many(struct model *m, struct model_sup *s, struct model_child *c)
{
    const struct model_sup_spec *spec = m_spec_of(m, s);
    struct model_limit *l = spec->scope == TDM_SCOPE_CHILD ? &c->limit : &s->limit;
    int kept = 0;

    for (int i = 0; i < l->n; i++)
        if (!apart(m, m->now, l->times[i], spec->period_ms, true))
            l->times[kept++] = l->times[i];
    l->times[kept++] = m->now;
    l->n = kept;
    return kept > spec->intensity;
}

static void give_up(struct model *m, struct model_sup *s, struct model_child *c)
{
    m->logged.restart_limit++;
    m_remove_entry(s, c);
    if (m_spec_of(m, s)->scope == TDM_SCOPE_CHILD)
        m_event(m, MODEL_GIVEN_UP, c->spec.uid, 0);
    else
        m_stop_sup(m, s, MODEL_SHUTDOWN);
}

/* ---- 6: restarts ----------------------------------------------------------------------------- */

static int delay_of(struct model *m, const struct model_sup *s, struct model_child *c)
{
    const struct model_sup_spec *spec = m_spec_of(m, s);
    int reset = spec->backoff_reset_ms;

    if (spec->backoff_min_ms == 0)
        return 0;
    if (reset == 0)
        reset = (spec->backoff_min_ms + spec->backoff_max_ms) / 2;
    if (apart(m, m->now, c->launched, reset, false))
        c->row = 0;
    int delay = spec->backoff_min_ms;
    for (int n = 0; n < c->row && delay < spec->backoff_max_ms; n++)
        delay *= 2;
    c->row++;
    return delay < spec->backoff_max_ms ? delay : spec->backoff_max_ms;
}

static bool grouped(const struct model *m, const struct model_sup *s)
{
    enum tdm_strategy strategy = m_spec_of(m, s)->strategy;
    return strategy == TDM_ONE_FOR_ALL || strategy == TDM_REST_FOR_ONE;
}

/* `again`: an attempt has just failed; the requests that wait are served before the next. The rules do not say whether the others of a group end before or after the delay;
 * they end before it, so that none of them works with what is gone. */
static void restart(struct model *m, struct model_sup *s, struct model_child *c, bool again)
{
    if (again)
        m->now.exactly = false;
    if (too_many(m, s, c)) {
        give_up(m, s, c);
        return;
    }
    int delay = delay_of(m, s, c);
    c->state = TDM_CHILD_RESTARTING;
    if (delay > 0 && (again || !grouped(m, s)))
        c->retry_at = m->now.ms + delay;
    else if (again)
        c->retry_soon = true;
    else
        m_attempt(m, s, c, delay);
}

/* Which children a restart of `c` ends and starts again, from this one on. */
static int first_of_group(const struct model *m, const struct model_sup *s, const struct model_child *c)
{
    return m_spec_of(m, s)->strategy == TDM_ONE_FOR_ALL ? 0 : index_of(s, c);
}

/* Attempts that others in the group wait for are overtaken. */
static void cancel_attempts(struct model_sup *s, int first)
{
    for (int i = first; i < s->n; i++) {
        struct model_child *c = s->entries[i];
        forget_attempt(c);
        if (c->state == TDM_CHILD_RESTARTING)
            c->state = TDM_CHILD_STOPPED;
    }
}

static void start_group(struct model *m, struct model_sup *s, struct model_child *cause)
{
    for (int i = first_of_group(m, s, cause); i < s->n; i++) {
        struct model_child *c = s->entries[i];
        if (m_start_child(m, s, c) == MODEL_FAILS) {
            restart(m, s, c, true);
            return;
        }
    }
}

/* The group is through: what ended outside it has its turn, in the order in which it ended. */
static void hear_postponed(struct model *m, struct model_sup *s)
{
    struct model_child *next;

    do {
        next = NULL;
        for (int i = 0; i < s->n; i++) {
            struct model_child *c = s->entries[i];
            if (c->postponed > 0 && (next == NULL || c->postponed < next->postponed))
                next = c;
        }
        if (next != NULL) {
            next->postponed = 0;
            notice(m, s, next);
        }
    } while (next != NULL);
}

static void go_on_with_group(struct model *m, struct model_sup *s)
{
    struct model_child *cause = s->group;
    int first = first_of_group(m, s, cause);

    if (!stop_from(m, s, first))
        return;
    s->group = NULL;
    if (s->group_delay > 0) {
        cause->state = TDM_CHILD_RESTARTING;
        cause->retry_at = m->now.ms + s->group_delay;
    } else {
        start_group(m, s, cause);
    }
    hear_postponed(m, s);
}

void m_attempt(struct model *m, struct model_sup *s, struct model_child *c, int delay)
{
    if (grouped(m, s)) {
        s->group = c;
        s->group_delay = delay;
        cancel_attempts(s, first_of_group(m, s, c));
        go_on_with_group(m, s);
    } else if (m_start_child(m, s, c) == MODEL_FAILS) {
        restart(m, s, c, true);
    }
}

/* ---- 9: significant children ----------------------------------------------------------------- */

static void ended_for_good(struct model *m, struct model_sup *s, const struct model_spec *spec)
{
    enum tdm_auto_shutdown mode = m_spec_of(m, s)->auto_shutdown;
    bool others = false;

    if (!spec->significant || mode == TDM_AUTO_NEVER)
        return;
    for (int i = 0; i < s->n; i++)
        others |= s->entries[i]->spec.significant && s->entries[i]->state != TDM_CHILD_STOPPED;
    if (mode == TDM_AUTO_ANY_SIGNIFICANT || !others)
        m_stop_sup(m, s, MODEL_SHUTDOWN);
}

/* ---- 6, 8: a supervisor hears of an end ------------------------------------------------------ */

static void ended_by_itself(struct model *m, struct model_sup *s, struct model_child *c)
{
    enum tdm_restart type = c->spec.restart;
    struct model_spec spec = c->spec;
    bool again = type == TDM_PERMANENT || (type == TDM_TRANSIENT && abnormal(c->reason));

    if (again || abnormal(c->reason))
        m->logged.child_terminated++;
    if (again) {
        restart(m, s, c, false);
        return;
    }
    m_count_anew(c);
    m_put_to_rest(m, s, c);
    ended_for_good(m, s, &spec);
}

static void hear(struct model *m, struct model_sup *s, struct model_child *c)
{
    bool stops = s->phase == MODEL_STOPS;
    bool in_group = s->group != NULL && index_of(s, c) >= first_of_group(m, s, s->group);

    c->unheard = false;
    if (s->group != NULL && !in_group && !c->asked) {
        c->postponed = ++s->n_postponed;
        return;
    }
    if (!stops && !in_group && !c->asked) {
        ended_by_itself(m, s, c);
        return;
    }
    c->early = in_group && !c->asked;
    if (!c->early)
        was_stopped(m, s, c);
    if (stops)
        go_on_stopping(m, s);
    else if (in_group)
        go_on_with_group(m, s);
}

static void hear_ends(struct model *m)
{
    while (m->heard < m->n_ended && m->open == NULL) {
        int i = m->heard++;
        struct model_sup *s = m->ended[i].sup;
        if (s->phase != MODEL_DOWN && index_of(s, m->ended[i].child) < s->n)
            hear(m, s, m->ended[i].child);
    }
    if (m->heard == m->n_ended)
        m->heard = m->n_ended = 0;
}

/* One thing that has waited until nothing else is under way; false: there is none. */
static bool do_what_waits(struct model *m, struct model_sup *s)
{
    if (s->phase == MODEL_DOWN || s->group != NULL)
        return false;
    if (s->n_held > 0) {
        answer_held(m, s);
        return true;
    }
    for (int i = 0; i < s->n; i++)
        if (s->entries[i]->retry_soon) {
            s->entries[i]->retry_soon = false;
            if (m_earliest(m) == m->now.ms)
                m_leave_open(m, "a next attempt and a timer at one time");
            m_attempt(m, s, s->entries[i], 0);
            return true;
        }
    return false;
}

void m_hear_all(struct model *m)
{
    bool more = true;

    while (more && m->open == NULL) {
        hear_ends(m);
        more = false;
        for (int i = 0; i < MODEL_SUPS && !more; i++)
            more = do_what_waits(m, &m->sups[i]);
    }
}
