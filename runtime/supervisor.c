/* supervisor.c - keeps its children running, and knows when to give up.
 *
 * Idea:      a supervisor is an ordinary actor. It learns of a start or a death from a notice in its
 *            own mailbox, so it needs no lock and no special case. What others may do without it
 *            (starting and ending the children of a dynamic supervisor) lies in family.c.
 * Invariant: entries[] is in start order. While `phase` is STARTING, entry `at` is being started and
 *            none after it has been; while STOPPING, none after `at` is left.
 * Giving up: more than `intensity` restarts within `period_ms` end all children, last started first,
 *            and then the supervisor, with reason shutdown: the failure moves up one level. With scope
 *            `child` the child alone is given up.
 * Touched by the worker running the supervisor. Everyone else sends it messages. */
#include <stdio.h>
#include <string.h>

#include "module.h"
#include "sup.h"
#include "tandem/log.h"
#include "tandem/registry.h"

static const char *name_of(const struct child *c)
{
    return c->spec->id != NULL ? c->spec->id : module_or_behaviour(&c->spec->start);
}

static uint32_t intensity(const struct sup *s)
{
    return s->cfg->intensity < 0 ? 1 : (uint32_t)s->cfg->intensity;
}

static uint64_t period_ns(const struct sup *s)
{
    return TDM_MS(s->cfg->period_ms == 0 ? 5000 : s->cfg->period_ms);
}

/* ---- the settings ---------------------------------------------------------------------------- */

static int refuse(const struct tdm_sup_cfg *cfg, const char *field, const char *id)
{
    tdm_log_error("supervisor.refused", "supervisor=%s field=%s child=%s",
                  cfg->name != NULL ? cfg->name : "-", field, id != NULL ? id : "-");
    return TDM_EINVAL;
}

static int check_spec(const struct tdm_sup_cfg *cfg, const struct tdm_child_spec *spec)
{
    if (cfg->strategy != TDM_DYNAMIC && (spec->id == NULL || spec->id[0] == '\0'))
        return refuse(cfg, "id", NULL);
    if ((spec->start.behaviour != NULL) == (spec->start.module != NULL))
        return refuse(cfg, "start", spec->id);
    if (spec->start.module != NULL && strlen(spec->start.module) > TDM_MODULE_NAME_MAX)
        return refuse(cfg, "module", spec->id);
    if ((unsigned)spec->restart > TDM_TEMPORARY)
        return refuse(cfg, "restart", spec->id);
    if ((unsigned)spec->type > TDM_SUPERVISOR)
        return refuse(cfg, "type", spec->id);
    return TDM_OK;
}

static int check_cfg(const struct tdm_sup_cfg *cfg)
{
    int err = TDM_OK;

    if ((unsigned)cfg->strategy > TDM_DYNAMIC)
        return refuse(cfg, "strategy", NULL);
    if ((cfg->intensity < 0 && cfg->intensity != TDM_INTENSITY_DEFAULT) || cfg->intensity > 100000)
        return refuse(cfg, "intensity", NULL);
    if ((unsigned)cfg->scope > TDM_SCOPE_CHILD)
        return refuse(cfg, "intensity_scope", NULL);
    if (cfg->backoff_jitter < 0 || cfg->backoff_jitter > 1 || cfg->backoff_max_ms < cfg->backoff_min_ms)
        return refuse(cfg, "backoff", NULL);
    if ((cfg->strategy == TDM_DYNAMIC && cfg->n_children != 1) ||
        (cfg->n_children > 0 && cfg->children == NULL))
        return refuse(cfg, "children", NULL);
    for (size_t i = 0; i < cfg->n_children && err == TDM_OK; i++) {
        err = check_spec(cfg, &cfg->children[i]);
        for (size_t j = 0; j < i && err == TDM_OK && cfg->strategy != TDM_DYNAMIC; j++)
            if (strcmp(cfg->children[i].id, cfg->children[j].id) == 0)
                err = refuse(cfg, "id", cfg->children[i].id);
    }
    return err;
}

/* ---- restart limits and delays --------------------------------------------------------------- */

/* Note a restart at `now`; true: more than `limit` within the period. A ring of the last limit + 1 times
 * tells: it is too many when the oldest of them still counts. */
static bool too_many(uint64_t *ring, uint32_t *n, uint32_t limit, uint64_t now, uint64_t period)
{
    ring[*n % (limit + 1)] = now;
    (*n)++;
    return *n > limit && now - ring[*n % (limit + 1)] <= period;
}

static bool over_limit(struct sup *s, tdm_self *self, struct child *c)
{
    uint32_t limit = intensity(s);
    uint64_t now = tdm_now_ns(self);

    if (s->cfg->scope == TDM_SCOPE_SUPERVISOR)
        return too_many(s->times, &s->n_times, limit, now, period_ns(s));
    if (c->times == NULL)
        c->times = runtime_alloc(self->rt, (limit + 1) * sizeof *c->times);
    return c->times == NULL || too_many(c->times, &c->n_times, limit, now, period_ns(s));
}

static uint64_t delay_ns(struct sup *s, tdm_self *self, struct child *c)
{
    const struct tdm_sup_cfg *cfg = s->cfg;
    uint64_t lived = tdm_now_ns(self) - c->launched_ns;
    uint64_t reset = TDM_MS(((uint64_t)cfg->backoff_min_ms + cfg->backoff_max_ms) / 2);

    if (cfg->backoff_min_ms == 0)
        return 0;
    if (lived >= reset)
        c->in_a_row = 0;
    uint32_t n = c->in_a_row < 20 ? c->in_a_row : 20;
    c->in_a_row++;
    uint64_t ms = (uint64_t)cfg->backoff_min_ms << n;
    if (ms > cfg->backoff_max_ms)
        ms = cfg->backoff_max_ms;
    double r = (double)(self->rt->env->random(self->rt->env) >> 11) / 9007199254740992.0;
    return (uint64_t)((double)TDM_MS(ms) * (1 + r * cfg->backoff_jitter));
}

/* ---- children and who waits for them --------------------------------------------------------- */

struct entry *sup_entry_of(struct sup *s, const struct child *c)
{
    if (s->cfg->strategy != TDM_DYNAMIC)
        return &s->entries[c->index];
    struct entry *e = s->ending;
    while (e != NULL && e->child != c)
        e = e->next;
    return e;
}

tdm_pid sup_pid_of(const struct child *c)
{
    uint32_t gen = atomic_load_explicit(&c->actor->gen, memory_order_acquire);
    return (tdm_pid){ gen == 0 ? 0 : id_make(gen, c->actor->slot) };
}

static void clear_timer(tdm_self *self, tdm_ref *timer)
{
    if (*timer != 0)
        tdm_timer_cancel(self, *timer);
    *timer = 0;
}

/* Without memory for an answer the asker's time runs out. */
void sup_reply(tdm_self *self, tdm_pid to, tdm_ref ref, const struct tdm_sup_reply *r)
{
    (void)tdm_reply_to(self->rt, to, ref, tdm_msg_copy(self->rt, TDM_MSG_REPLY, r, sizeof *r));
}

static void answer_all(tdm_self *self, struct entry *e, int err)
{
    struct tdm_sup_reply r = { .err = err,
                               .pid = err < 0 || e->child == NULL ? (tdm_pid){ 0 } : sup_pid_of(e->child) };

    while (e->answers != NULL) {
        struct answer *a = e->answers;
        e->answers = a->next;
        sup_reply(self, a->to, a->ref, &r);
        tdm_free(self, a);
    }
}

static void forget_delay(tdm_self *self, struct sup *s, const struct child *c)
{
    struct delayed **at = &s->delayed;

    while (*at != NULL && (*at)->child != c)
        at = &(*at)->next;
    struct delayed *d = *at;
    if (d == NULL)
        return;
    *at = d->next;
    tdm_timer_cancel(self, d->timer);
    tdm_free(self, d);
}

/* The child's place goes. Its entry stays, STOPPED; that of a temporary child goes too. */
void sup_remove_child(tdm_self *self, struct sup *s, struct child *c, int answer)
{
    struct entry *e = sup_entry_of(s, c);
    struct entry **at = &s->ending;

    forget_delay(self, s, c);
    if (e != NULL) {
        e->child = NULL;
        answer_all(self, e, answer);
        clear_timer(self, &e->timer);
        e->state = c->spec->restart == TDM_TEMPORARY ? GONE : STOPPED;
        e->asked_to_stop = e->on_request = e->timed_out = false;
    }
    while (*at != NULL && *at != e)
        at = &(*at)->next;
    struct entry *listed = *at;
    if (listed != NULL) {
        *at = listed->next;
        tdm_free(self, listed);
    }
    family_remove_child(c);
}

/* ---- stopping -------------------------------------------------------------------------------- */

static uint32_t shutdown_ms(const struct tdm_child_spec *spec)
{
    if (spec->shutdown_ms != TDM_SHUTDOWN_DEFAULT)
        return spec->shutdown_ms;
    return spec->type == TDM_SUPERVISOR ? TDM_SHUTDOWN_INFINITY : 5000;
}

static int finish(tdm_self *self, struct sup *s)
{
    clear_timer(self, &s->timer);
    actor_set_reason(self, &s->why);
    return TDM_OK;
}

void sup_ask_to_stop(tdm_self *self, struct entry *e)
{
    uint32_t ms = shutdown_ms(e->child->spec);

    e->asked_to_stop = true;
    clear_timer(self, &e->timer);
    (void)actor_control(self->rt, sup_pid_of(e->child),
                        ms == TDM_SHUTDOWN_BRUTAL ? CONTROL_KILL : CONTROL_STOP);
    if (ms != TDM_SHUTDOWN_BRUTAL && ms != TDM_SHUTDOWN_INFINITY)
        e->timer = tdm_timer_start(self, TDM_MS(ms));
}

/* Dynamic: all at once, one timer. */
static int stop_all(tdm_self *self, struct sup *s)
{
    const struct tdm_child_spec *spec = &s->cfg->children[0];
    uint32_t ms = shutdown_ms(spec);

    while (s->delayed != NULL)
        sup_remove_child(self, s, s->delayed->child, TDM_OK);
    family_control_all(s->family, ms == TDM_SHUTDOWN_BRUTAL ? CONTROL_KILL : CONTROL_STOP);
    if (ms != TDM_SHUTDOWN_BRUTAL && ms != TDM_SHUTDOWN_INFINITY)
        s->timer = tdm_timer_start(self, TDM_MS(ms));
    return family_size(s->family) == 0 ? finish(self, s) : TDM_OK;
}

/* Static: the last started first; the next is asked when the one before is gone. */
static int stop_next(tdm_self *self, struct sup *s)
{
    while (s->at > 0) {
        struct entry *e = &s->entries[s->at - 1];
        if (e->child != NULL && e->state != RESTARTING) {
            if (!e->asked_to_stop)
                sup_ask_to_stop(self, e);
            return TDM_OK;
        }
        if (e->child != NULL)
            sup_remove_child(self, s, e->child, TDM_OK);
        s->at--;
    }
    return finish(self, s);
}

static int begin_stop(tdm_self *self, struct sup *s, const struct tdm_reason *why)
{
    if (s->phase == STOPPING)
        return TDM_OK;
    s->phase = STOPPING;
    s->why = *why;
    family_stop(s->family);
    if (s->cfg->strategy == TDM_DYNAMIC)
        return stop_all(self, s);
    s->at = s->n;
    return stop_next(self, s);
}

/* The common time of a dynamic supervisor's children. */
static int stop_time_ran_out(tdm_self *self, struct sup *s)
{
    s->timer = 0;
    (void)self;
    uint32_t n = family_control_all(s->family, CONTROL_KILL);
    tdm_log_error("supervisor.shutdown_error", "reason=killed children=%u", n);
    return TDM_OK;
}

/* One child's time to start or to stop. */
static int child_time_ran_out(tdm_self *self, struct entry *e)
{
    e->timer = 0;
    e->timed_out = !e->asked_to_stop;
    if (e->asked_to_stop)
        tdm_log_error("supervisor.shutdown_error", "child=%s reason=killed", name_of(e->child));
    (void)actor_control(self->rt, sup_pid_of(e->child), CONTROL_KILL);
    return TDM_OK;
}

/* ---- starting -------------------------------------------------------------------------------- */

/* Entry `at` is empty again. */
static int start_failed(tdm_self *self, struct sup *s, int err)
{
    struct tdm_reason why = { .kind = TDM_EXIT_ERROR, .code = err };

    snprintf(why.text, sizeof why.text, "failed to start child %s", s->cfg->children[s->at].id);
    s->start_err = err;
    return begin_stop(self, s, &why);
}

static void coming(tdm_self *self, struct entry *e)
{
    uint32_t ms = e->child->spec->start_timeout_ms;

    e->state = COMING;
    e->timed_out = false;
    if (ms > 0)
        e->timer = tdm_timer_start(self, TDM_MS(ms));
}

int sup_start_entry(tdm_self *self, struct sup *s, uint32_t i)
{
    struct entry *e = &s->entries[i];
    const struct tdm_child_spec *spec = &s->cfg->children[i];
    int err = family_start_child(s->family, spec, i, NULL, 0,
                                 spec->start.tag != NULL ? spec->start.tag : spec->id, &e->child, NULL);

    if (err < 0)
        return err;
    coming(self, e);
    return TDM_OK;
}

static int start_next(tdm_self *self, struct sup *s)
{
    if (s->at < s->n) {
        int err = sup_start_entry(self, s, s->at);
        return err < 0 ? start_failed(self, s, err) : TDM_OK;
    }
    s->phase = RUNNING;
    actor_started(self, TDM_OK);
    return TDM_OK;
}

static int child_started(tdm_self *self, struct sup *s, struct child *c)
{
    if (s->cfg->strategy == TDM_DYNAMIC)
        return TDM_OK;
    struct entry *e = &s->entries[c->index];
    if (e->state != COMING)
        return TDM_OK;
    e->state = UP;
    e->on_request = false;
    if (!e->asked_to_stop) {
        clear_timer(self, &e->timer);
        answer_all(self, e, TDM_OK);
    }
    tdm_log_debug("supervisor.progress", "child=%s restarts=%u", name_of(c), c->restarts);
    if (s->phase != STARTING || c->index != s->at)
        return TDM_OK;
    s->at++;
    return start_next(self, s);
}

/* ---- a child has ended ----------------------------------------------------------------------- */

static int give_up(tdm_self *self, struct sup *s, struct child *c)
{
    static const struct tdm_reason shutdown = { .kind = TDM_EXIT_SHUTDOWN, .text = "restart limit reached" };
    bool child_only = s->cfg->scope == TDM_SCOPE_CHILD;

    tdm_log_error("supervisor.restart_limit", "child=%s intensity=%u period_ms=%u scope=%s", name_of(c),
                  intensity(s), s->cfg->period_ms == 0 ? 5000 : s->cfg->period_ms,
                  child_only ? "child" : "supervisor");
    if (child_only && c->spec->on_give_up != NULL) {
        static const struct tdm_reason unknown = { .kind = TDM_EXIT_ERROR, .code = TDM_ENOMEM };
        c->spec->on_give_up(self, tdm_self_place(c->actor), c->arg != NULL ? c->arg : c->spec->start.arg,
                            c->arg != NULL ? c->arg_bytes : c->spec->start.arg_bytes,
                            c->last != NULL ? c->last : &unknown);
    }
    sup_remove_child(self, s, c, TDM_ELIMIT);
    return child_only ? TDM_OK : begin_stop(self, s, &shutdown);
}

static int relaunch(tdm_self *self, struct sup *s, struct child *c)
{
    int err = family_restart_child(c);

    if (err < 0)
        tdm_log_error("supervisor.start_error", "child=%s reason=%s", name_of(c), tdm_errname(err));
    else if (s->cfg->strategy != TDM_DYNAMIC)
        coming(self, &s->entries[c->index]);
    return err;
}

/* False: there is no memory to wait with. */
static bool wait_before_restart(tdm_self *self, struct sup *s, struct child *c, uint64_t delay)
{
    struct delayed *d = tdm_alloc(self, sizeof *d);

    if (d == NULL)
        return false;
    d->child = c;
    d->timer = tdm_timer_start(self, delay);
    if (d->timer == 0) {
        tdm_free(self, d);
        return false;
    }
    d->next = s->delayed;
    s->delayed = d;
    if (s->cfg->strategy != TDM_DYNAMIC)
        s->entries[c->index].state = RESTARTING;
    return true;
}

/* An attempt that fails for want of memory counts; the limit ends this. */
static int restart(tdm_self *self, struct sup *s, struct child *c)
{
    do {
        if (family_place_over(c)) {
            sup_remove_child(self, s, c, TDM_OK);
            return TDM_OK;
        }
        if (over_limit(s, self, c))
            return give_up(self, s, c);
        uint64_t delay = delay_ns(s, self, c);
        if (delay > 0 && wait_before_restart(self, s, c, delay))
            return TDM_OK;
    } while (relaunch(self, s, c) < 0);
    return TDM_OK;
}

static int restart_now(tdm_self *self, struct sup *s, struct child *c)
{
    if (family_place_over(c)) {
        sup_remove_child(self, s, c, TDM_OK);
        return TDM_OK;
    }
    return relaunch(self, s, c) < 0 ? restart(self, s, c) : TDM_OK;
}

static void log_stop(const struct child *c)
{
    char why[TDM_REASON_TEXT_BYTES + 64];

    if (!family_abnormal(c->last) || (c->last != NULL && c->last->kind == TDM_EXIT_KILLED))
        return;
    tdm_log_error("supervisor.shutdown_error", "child=%s reason=%s", name_of(c),
                  c->last != NULL ? tdm_reason_str(c->last, why, sizeof why) : "unknown");
}

static int start_error(const struct child *c, const struct entry *e)
{
    if (e->timed_out)
        return TDM_ETIMEOUT;
    if (c->last == NULL)
        return TDM_ENOMEM; /* not even the reason could be kept */
    return c->last->kind == TDM_EXIT_ERROR ? c->last->code : TDM_ESTOP;
}

static int ended_while_stopping(tdm_self *self, struct sup *s, struct child *c)
{
    bool next = s->cfg->strategy != TDM_DYNAMIC && c->index + 1 == s->at;

    log_stop(c);
    sup_remove_child(self, s, c, TDM_OK);
    if (s->cfg->strategy == TDM_DYNAMIC)
        return family_size(s->family) == 0 ? finish(self, s) : TDM_OK;
    return next ? stop_next(self, s) : TDM_OK;
}

/* The start of the whole supervisor hangs on this child. */
static int ended_while_starting(tdm_self *self, struct sup *s, struct child *c, struct entry *e)
{
    int err = start_error(c, e);
    bool ignored = c->ignored;

    sup_remove_child(self, s, c, err);
    if (!ignored)
        return start_failed(self, s, err);
    s->at++;
    return start_next(self, s);
}

static int child_ended(tdm_self *self, struct sup *s, struct child *c)
{
    struct entry *e = sup_entry_of(s, c);

    if (s->phase == STOPPING)
        return ended_while_stopping(self, s, c);
    if (e != NULL && s->phase == STARTING && c->index == s->at && !c->started)
        return ended_while_starting(self, s, c, e);
    if (e != NULL && e->asked_to_stop) {
        sup_remove_child(self, s, c, TDM_OK);
        return TDM_OK;
    }
    if (e != NULL && e->on_request && !c->started) {
        sup_remove_child(self, s, c, c->ignored ? TDM_OK : start_error(c, e));
        return TDM_OK;
    }
    if (e != NULL)
        clear_timer(self, &e->timer);
    if (!c->ignored && family_wants_restart(c->spec->restart, c->last))
        return restart(self, s, c);
    sup_remove_child(self, s, c, TDM_OK);
    return TDM_OK;
}

static int timer_fired(tdm_self *self, struct sup *s, tdm_ref ref)
{
    if (ref == s->timer)
        return stop_time_ran_out(self, s);
    for (uint32_t i = 0; i < s->n; i++)
        if (s->entries[i].timer == ref)
            return child_time_ran_out(self, &s->entries[i]);
    for (struct entry *e = s->ending; e != NULL; e = e->next)
        if (e->timer == ref)
            return child_time_ran_out(self, e);
    for (struct delayed *d = s->delayed; d != NULL; d = d->next) {
        if (d->timer != ref)
            continue;
        struct child *c = d->child;
        forget_delay(self, s, c);
        return restart_now(self, s, c);
    }
    return TDM_OK;
}

/* ---- the behaviour --------------------------------------------------------------------------- */

static int init(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct sup *s = state;
    const struct tdm_sup_cfg *cfg = start->arg;
    int err = cfg == NULL || start->arg_bytes != sizeof *cfg ? TDM_EINVAL : check_cfg(cfg);

    if (err < 0)
        return tdm_fail(self, err, "supervisor settings refused");
    err = family_new(&s->family, self->rt, cfg);
    if (err < 0)
        return err;
    family_begin(s->family, self); /* ours to the end of this incarnation; see family_ended() */
    s->cfg = family_cfg(s->family);
    s->times = tdm_alloc(self, (intensity(s) + 1) * sizeof *s->times);
    if (s->times == NULL)
        return TDM_ENOMEM;
    if (cfg->name != NULL && (err = tdm_register(self, cfg->name, strlen(cfg->name))) < 0)
        return tdm_fail(self, err, "name %s is taken", cfg->name);
    if (cfg->strategy != TDM_DYNAMIC) {
        s->n = (uint32_t)cfg->n_children;
        s->entries = tdm_alloc(self, (s->n + 1) * sizeof *s->entries);
        if (s->entries == NULL)
            return TDM_ENOMEM;
    }
    struct tdm_msg *go = tdm_msg_new(self->rt, TDM_MSG_TIMER, 0); /* the first step, when init is through */
    return go == NULL ? TDM_ENOMEM : actor_post(self->rt, tdm_self_pid(self).id, go);
}

static int release_held(tdm_self *self, struct sup *s)
{
    while (s->held != NULL && s->phase != STARTING) {
        struct held *h = s->held;
        s->held = h->next;
        sup_admin(self, s, &h->question, h->from, h->ref);
        tdm_free(self, h);
    }
    return TDM_OK;
}

static struct child *child_in(struct tdm_msg *m)
{
    return *(struct child **)tdm_msg_data(m);
}

static int handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    static const struct tdm_reason shutdown = { .kind = TDM_EXIT_SHUTDOWN };
    struct sup *s = state;
    int err = TDM_OK;

    switch (m->type) {
    case SIG_CHILD_STARTED:
        err = child_started(self, s, child_in(m));
        break;
    case SIG_CHILD_EXIT:
        tdm_msg_take(self, m); /* it lies in the child, which may go */
        err = child_ended(self, s, child_in(m));
        break;
    case SIG_FAMILY_EMPTY:
        tdm_msg_take(self, m);
        return family_empty_heard(s->family) && s->phase == STOPPING ? finish(self, s) : TDM_OK;
    case SIG_ADMIN:
        if (s->phase == STARTING)
            sup_hold(self, s, m);
        else
            sup_admin(self, s, tdm_msg_view(m), m->from, m->ref);
        return TDM_OK;
    case TDM_MSG_STOP:
        return begin_stop(self, s, &shutdown);
    case TDM_MSG_TIMER:
        if (m->ref == 0 && s->phase == STARTING)
            err = start_next(self, s);
        else
            err = timer_fired(self, s, m->ref);
        break;
    case TDM_MSG_EXIT:
        break; /* a linked stranger's end changes nothing */
    default:
        tdm_log_error("supervisor.unexpected_message", "type=%u", m->type);
    }
    return err < 0 ? err : release_held(self, s);
}

static int terminate(tdm_self *self, void *state, const struct tdm_reason *reason)
{
    struct sup *s = state;

    (void)reason;
    if (s->phase == STOPPING && s->start_err < 0)
        runtime_tell_waiters(self->rt, tdm_self_pid(self), false, s->start_err);
    return TDM_OK;
}

const struct tdm_behaviour tdm_supervisor = {
    .name = "supervisor",
    .state_bytes = sizeof(struct sup),
    .init = init,
    .handle = handle,
    .terminate = terminate,
};

int tdm_sup_start(struct tdm_runtime *rt, const struct tdm_sup_cfg *cfg, tdm_pid *ret)
{
    struct tdm_spawn_cfg spawn = { .behaviour = &tdm_supervisor,
                                   .arg = cfg,
                                   .arg_bytes = sizeof *cfg,
                                   .trap_exit = true,
                                   .trap_stop = true,
                                   .tag = cfg->name };
    tdm_pid pid;
    int err = check_cfg(cfg);

    if (err < 0)
        return err;
    err = runtime_spawn_and_wait(rt, &spawn, &pid);
    if (err < 0)
        return err;
    *ret = pid;
    return TDM_OK;
}
