/* model_real.c - see model_real.h.
 *
 * Deeds are done at whole milliseconds of virtual time; it moves only when everybody waits, so all that follows from a
 * deed without a timer follows at that very time. */
#include "model_real.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sup_fixture.h"
#include "tandem/log.h"

enum { LAST_MS = 30000 };

/* What was seen of the real supervisors. One thread runs the deterministic environment: no locks. */
struct real {
    struct world *w;
    const struct model_list *list;
    struct both_report *report;
    struct model m;
    tdm_pid root, asker;
    tdm_pid pids[MODEL_UIDS]; /* of the last incarnation */
    int starts[MODEL_UIDS];
    struct model_event events[MODEL_EVENTS];
    int n_events;
    struct model_answer answers[MODEL_ANSWERS];
    int n_answers;
    uint64_t now_ns; /* the time of the next deed */
};

static struct real real;

struct child_arg {
    int uid;
};

/* What the real ones are started with. */
static struct {
    struct tdm_sup_cfg cfgs[MODEL_SUPS];
    struct tdm_child_spec specs[MODEL_SUPS][8];
    struct child_arg args[MODEL_UIDS];
    char ids[MODEL_UIDS][8];
    char names[MODEL_SUPS][8];
} tree;

static tdm_pid sup_pid(int number)
{
    return tdm_whereis(real.w->rt, tree.names[number], strlen(tree.names[number]));
}

static struct model_logged logged_now; /* written by whichever thread empties the log, read after a flush */
static pthread_mutex_t logged_lock = PTHREAD_MUTEX_INITIALIZER;

static void differ(const char *why)
{
    if (real.report->result != BOTH_AGREE)
        return;
    real.report->result = BOTH_DIFFER;
    snprintf(real.report->why, sizeof real.report->why, "%s", why);
}

static void count_line(void *ctx, const char *line, size_t bytes)
{
    (void)ctx, (void)bytes;
    pthread_mutex_lock(&logged_lock);
    logged_now.child_terminated += strstr(line, "event=supervisor.child_terminated ") != NULL;
    logged_now.start_error += strstr(line, "event=supervisor.start_error ") != NULL;
    logged_now.shutdown_error += strstr(line, "event=supervisor.shutdown_error ") != NULL;
    logged_now.restart_limit += strstr(line, "event=supervisor.restart_limit ") != NULL;
    pthread_mutex_unlock(&logged_lock);
}

static void seen(enum model_event_kind kind, int uid, int n)
{
    if (real.n_events < MODEL_EVENTS)
        real.events[real.n_events++] = (struct model_event){ kind, uid, n };
}

static enum model_reason reason_of(const struct tdm_reason *r)
{
    if (r->kind == TDM_EXIT_SHUTDOWN)
        return r->text[0] != '\0' ? MODEL_DETAIL : MODEL_SHUTDOWN;
    return r->kind == TDM_EXIT_NORMAL   ? MODEL_NORMAL
           : r->kind == TDM_EXIT_KILLED ? MODEL_KILLED
                                        : MODEL_ERROR;
}

/* ---- the children ---------------------------------------------------------------------------- */

enum { MSG_END = TDM_MSG_USER + 1, MSG_QUESTION, MSG_WATCH };

/* What this start comes to. */
static int planned(tdm_self *self, int uid)
{
    int n = real.starts[uid]++;
    int outcome = n < MODEL_PLAN ? list_spec(real.list, uid)->plan[n] : MODEL_STARTS;

    seen(MODEL_START, uid, n);
    if (outcome == MODEL_FAILS)
        return tdm_fail(self, TDM_EPEER, "as planned");
    return outcome == MODEL_IGNORES ? TDM_IGNORE : TDM_OK;
}

/* A supervisor's own. */
static int sup_init(tdm_self *self, void *udata, struct tdm_sup_cfg *cfg)
{
    int uid = *(const int *)udata;
    int outcome = planned(self, uid);

    (void)cfg;
    real.pids[uid] = tdm_self_pid(self);
    return outcome;
}

static int child_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    const struct child_arg *arg = start->arg;
    int outcome = planned(self, arg->uid);

    *(struct child_arg *)state = *arg;
    tdm_start_value(self, (uint64_t)real.starts[arg->uid]);
    if (outcome == TDM_OK)
        real.pids[arg->uid] = tdm_self_pid(self);
    return outcome;
}

static int end_with(tdm_self *self, enum model_reason reason)
{
    struct tdm_reason r = { .kind = TDM_EXIT_SHUTDOWN };

    if (reason == MODEL_NORMAL)
        return TDM_STOP;
    if (reason == MODEL_ERROR)
        return tdm_fail(self, TDM_ECONN, "as it was told");
    if (reason == MODEL_DETAIL)
        snprintf(r.text, sizeof r.text, "with a detail");
    tdm_exit(self, &r);
    return TDM_OK;
}

static int child_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    const struct model_spec *spec = list_spec(real.list, ((struct child_arg *)state)->uid);

    if (m->type == MSG_END)
        return end_with(self, *(const enum model_reason *)tdm_msg_view(m));
    if (m->type == TDM_MSG_TIMER || (m->type == TDM_MSG_STOP && spec->stop_ms == 0))
        return end_with(self, spec->stop_ends);
    if (m->type == TDM_MSG_STOP && spec->stop_ms != MODEL_NEVER)
        return tdm_timer_start(self, TDM_MS(spec->stop_ms)) == 0 ? TDM_ENOMEM : TDM_OK;
    return TDM_OK;
}

static int child_terminate(tdm_self *self, void *state, const struct tdm_reason *reason)
{
    (void)self;
    seen(MODEL_END, ((struct child_arg *)state)->uid, (int)reason_of(reason));
    return TDM_OK;
}

static const struct tdm_behaviour child_behaviour = {
    .name = "child",
    .state_bytes = sizeof(struct child_arg),
    .init = child_init,
    .handle = child_handle,
    .terminate = child_terminate,
};

/* ---- the asker, who also watches the root ---------------------------------------------------- */

struct asked {
    tdm_pid sup;
    int request;
    struct tdm_sup_question question;
};

struct asker {
    tdm_ref refs[LIST_DEEDS + 1];
};

static int uid_of_pid(tdm_pid pid)
{
    for (int i = 1; i < MODEL_UIDS && pid.id != 0; i++)
        if (real.pids[i].id == pid.id)
            return i;
    return -1;
}

static void note_answer(const struct asker *a, const struct tdm_msg *m)
{
    struct model_answer *to = &real.answers[real.n_answers++];

    *to = (struct model_answer){ .request = -1, .uid = -1 };
    for (int i = 0; i <= LIST_DEEDS; i++)
        if (a->refs[i] == m->ref)
            to->request = i;
    if (m->type == TDM_MSG_REQUEST_FAILED) {
        to->err = ((const struct tdm_failure *)tdm_msg_view(m))->err;
        return;
    }
    const struct tdm_sup_reply *r = tdm_msg_view(m);
    to->err = r->err;
    to->ignored = r->ignored;
    to->uid = uid_of_pid(r->pid);
    to->value = (int)r->value;
}

static int asker_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    struct asker *a = state;
    const struct asked *q = tdm_msg_view(m);

    switch (m->type) {
    case MSG_QUESTION:
        a->refs[q->request] = tdm_sup_ask(self, q->sup, &q->question, 1000000);
        break;
    case MSG_WATCH:
        return tdm_monitor(self, real.root) == 0 ? TDM_ENOMEM : TDM_OK;
    case TDM_MSG_DOWN:
        seen(MODEL_TREE_END, 0, (int)reason_of(&((const struct tdm_notice *)tdm_msg_view(m))->reason));
        break;
    case TDM_MSG_REPLY:
    case TDM_MSG_REQUEST_FAILED:
        note_answer(a, m);
        break;
    default:
        break;
    }
    return TDM_OK;
}

static const struct tdm_behaviour asker_behaviour = {
    .name = "asker",
    .state_bytes = sizeof(struct asker),
    .handle = asker_handle,
};

static void send_copy(tdm_pid to, uint32_t type, const void *data, size_t bytes)
{
    struct tdm_msg *m = tdm_msg_copy(real.w->rt, type, data, bytes);

    if (m == NULL)
        abort();
    if (tdm_send(real.w->rt, to, m) < 0)
        tdm_msg_free(real.w->rt, m);
}

/* ---- the tree -------------------------------------------------------------------------------- */

static void given_up(tdm_self *sup, tdm_place child, const void *arg, size_t arg_bytes,
                     const struct tdm_reason *last)
{
    (void)sup, (void)child, (void)last;
    if (arg_bytes == sizeof(struct child_arg))
        seen(MODEL_GIVEN_UP, ((const struct child_arg *)arg)->uid, 0);
    else
        seen(MODEL_GIVEN_UP, *(const int *)((const struct tdm_sup_cfg *)arg)->udata, 0);
}

static struct tdm_child_spec real_spec(const struct model_spec *spec, bool dynamic)
{
    struct tdm_child_spec r = { .id = tree.ids[spec->uid],
                                .restart = spec->restart,
                                .significant = spec->significant,
                                .shutdown_ms = spec->shutdown_ms,
                                .on_give_up = given_up };

    if (spec->sup != 0) {
        r.type = TDM_SUPERVISOR;
        r.start = (struct tdm_spawn_cfg){ .behaviour = &tdm_supervisor,
                                          .arg = &tree.cfgs[spec->sup],
                                          .arg_bytes = sizeof tree.cfgs[0] };
        tree.cfgs[spec->sup].udata = &tree.args[spec->uid].uid;
        tree.cfgs[spec->sup].init = sup_init;
        return r;
    }
    r.start = (struct tdm_spawn_cfg){ .behaviour = &child_behaviour,
                                      .arg = &tree.args[spec->uid],
                                      .arg_bytes = sizeof(struct child_arg) };
    r.start.trap_stop = dynamic || spec->stop_ms != 0 || spec->stop_ends != MODEL_SHUTDOWN;
    return r;
}

static void make_tree(const struct model_list *l)
{
    for (int i = 1; i < MODEL_UIDS; i++) {
        snprintf(tree.ids[i], sizeof tree.ids[i], "c%d", i);
        tree.args[i].uid = i;
    }
    for (int i = 0; i < l->n_sups; i++) {
        const struct model_sup_spec *s = &l->sups[i];
        snprintf(tree.names[i], sizeof tree.names[i], "s%d", i);
        tree.cfgs[i] = (struct tdm_sup_cfg){ .name = tree.names[i],
                                             .strategy = s->strategy,
                                             .intensity = s->intensity,
                                             .period_ms = (uint32_t)s->period_ms,
                                             .auto_shutdown = s->auto_shutdown,
                                             .scope = s->scope,
                                             .max_children = s->max_children,
                                             .backoff_min_ms = (uint32_t)s->backoff_min_ms,
                                             .backoff_max_ms = (uint32_t)s->backoff_max_ms,
                                             .backoff_reset_ms = (uint32_t)s->backoff_reset_ms,
                                             .children = tree.specs[i],
                                             .n_children = (size_t)s->n };
    }
    for (int i = 0; i < l->n_sups; i++)
        for (int k = 0; k < l->sups[i].n; k++)
            tree.specs[i][k] = real_spec(&l->sups[i].children[k], l->sups[i].strategy == TDM_DYNAMIC);
}

/* ---- deeds ----------------------------------------------------------------------------------- */

static void ask_both(const struct model_deed *d, int request)
{
    static struct tdm_child_spec spec; /* until the asker has asked */
    struct model_question q = { .op = d->op, .sup = d->sup, .uid = d->uid, .by_pid = d->by_pid };
    struct asked asked = { .sup = sup_pid(d->sup), .request = request, .question = { .op = d->op } };
    bool dynamic = real.list->sups[d->sup].strategy == TDM_DYNAMIC;

    if (d->by_pid)
        asked.question.pid = d->uid < 0 ? real.asker : real.pids[d->uid];
    else
        asked.question.id = d->uid < 0 ? "nobody" : tree.ids[d->uid];
    if (d->by_pid && asked.question.pid.id == 0) { /* it never lived: there is no such pid */
        model_child_ends(&real.m, -1, MODEL_NORMAL);
        return;
    }
    if (d->op == TDM_SUP_START_CHILD) {
        spec = real_spec(&d->spec, dynamic);
        q.spec = &d->spec;
        asked.question.id = NULL;
        asked.question.spec = dynamic ? NULL : &spec;
        asked.question.arg = dynamic ? &tree.args[d->uid] : NULL;
        asked.question.arg_bytes = dynamic ? sizeof tree.args[0] : 0;
    }
    model_ask(&real.m, request, &q);
    if (real.m.open == NULL)
        send_copy(real.asker, MSG_QUESTION, &asked, sizeof asked);
}

static void start_both(const struct model_deed *d)
{
    int err = model_start_dynamic(&real.m, d->sup, &d->spec);
    tdm_place place;

    (void)real_spec(&d->spec, true);
    int real_err = tdm_sup_start_dynamic(real.w->rt, sup_pid(d->sup), &tree.args[d->uid], sizeof tree.args[0],
                                         NULL, &place);
    if (err != real_err)
        differ("what tdm_sup_start_dynamic() returned");
}

static void end_both(const struct model_deed *d)
{
    const struct model_child *c = model_live(&real.m, d->uid);

    model_child_ends(&real.m, c != NULL && c->spec.sup == 0 ? d->uid : -1, d->reason);
    if (c == NULL || c->spec.sup != 0)
        return;
    if (d->reason == MODEL_KILLED)
        (void)tdm_kill(real.w->rt, real.pids[d->uid]);
    else
        send_copy(real.pids[d->uid], MSG_END, &d->reason, sizeof d->reason);
}

static void do_deed(const struct model_deed *d, int i)
{
    real.n_events = real.n_answers = 0;
    switch (d->kind) {
    case DEED_CHILD_ENDS:
        end_both(d);
        break;
    case DEED_SUP_KILLED:
        (void)tdm_kill(real.w->rt, sup_pid(d->sup));
        model_sup_killed(&real.m, d->sup);
        break;
    case DEED_SUP_STOPPED:
        (void)tdm_stop(real.w->rt, sup_pid(d->sup));
        model_sup_stopped(&real.m, d->sup);
        break;
    case DEED_START_DYNAMIC:
        start_both(d);
        break;
    case DEED_ASK:
        ask_both(d, i);
        break;
    case DEED_NOTHING:
        model_child_ends(&real.m, -1, MODEL_NORMAL);
        break;
    }
}

static void wait_until(uint64_t ns)
{
    struct tdm_parker p = { 0 };

    while (real.w->env->now_ns(real.w->env) < ns)
        real.w->env->park(real.w->env, &p, ns);
}

static void let_both_pass(int ms)
{
    model_time_passes(&real.m, ms);
    real.now_ns += TDM_MS((uint64_t)ms);
    wait_until(real.now_ns);
}

/* ---- comparing ------------------------------------------------------------------------------- */

static bool under_dynamic(int uid)
{
    for (int i = 0; i < real.list->n; i++)
        if (real.list->deeds[i].spec.uid == uid)
            return real.list->sups[real.list->deeds[i].sup].strategy == TDM_DYNAMIC;
    return false;
}

static int by_uid(const void *a, const void *b)
{
    return ((const struct model_event *)a)->uid - ((const struct model_event *)b)->uid;
}

/* The children of a dynamic supervisor end in no order. */
static void put_in_order(struct model_event *events, int n)
{
    for (int i = 0, k; i < n; i = k + 1) {
        for (k = i; k < n && events[k].kind == MODEL_END && under_dynamic(events[k].uid); k++)
            ;
        qsort(events + i, (size_t)(k - i), sizeof *events, by_uid);
    }
}

static int by_request(const void *a, const void *b)
{
    return ((const struct model_answer *)a)->request - ((const struct model_answer *)b)->request;
}

static void compare_events(void)
{
    bool same = real.n_events == real.m.n_events;

    put_in_order(real.events, real.n_events);
    put_in_order(real.m.events, real.m.n_events);
    for (int i = 0; i < real.n_events && same; i++) {
        const struct model_event *a = &real.events[i], *b = &real.m.events[i];
        same = a->kind == b->kind && a->uid == b->uid && a->n == b->n;
    }
    if (!same)
        differ("what happened, or its order");
}

static bool same_answer(const struct model_answer *a, const struct model_answer *b)
{
    if (a->request != b->request || a->err != b->err || a->ignored != b->ignored)
        return false;
    return b->uid < 0 || (a->uid == b->uid && a->value == b->value);
}

static void compare_answers(void)
{
    bool same = real.n_answers == real.m.n_answers;

    qsort(real.answers, (size_t)real.n_answers, sizeof real.answers[0], by_request);
    qsort(real.m.answers, (size_t)real.m.n_answers, sizeof real.m.answers[0], by_request);
    for (int i = 0; i < real.n_answers && same; i++)
        same = same_answer(&real.answers[i], &real.m.answers[i]);
    if (!same)
        differ("the answers");
}

static void compare_lives(void)
{
    for (int uid = 1; uid < MODEL_UIDS; uid++) {
        const struct model_child *c = model_live(&real.m, uid);
        bool lives = real.pids[uid].id != 0 && tdm_alive(real.w->rt, real.pids[uid]);
        if ((c != NULL) != lives)
            differ("which children live");
        if (c != NULL && c->spec.sup != 0 && sup_pid(c->spec.sup).id != real.pids[uid].id)
            differ("which supervisors have their names");
    }
}

static void compare_counts(const struct model_sup *s)
{
    struct tdm_sup_reply r = sup_count(real.w, sup_pid(s->number));
    uint32_t active = 0, sups = 0;
    bool dynamic = real.list->sups[s->number].strategy == TDM_DYNAMIC;

    for (int i = 0; i < s->n; i++) {
        active += s->entries[i]->alive;
        sups += s->entries[i]->spec.sup != 0;
    }
    if (r.err != TDM_OK || r.active != active || r.specs != (dynamic ? 1u : (uint32_t)s->n) ||
        r.supervisors != sups || r.workers != (uint32_t)s->n - sups)
        differ("the counts");
}

static bool same_child(const struct tdm_child_info *info, const struct model_child *c)
{
    return strcmp(info->id, tree.ids[c->spec.uid]) == 0 && info->state == c->state &&
           info->pid.id == (c->alive ? real.pids[c->spec.uid].id : 0) && info->restart == c->spec.restart &&
           info->significant == c->spec.significant &&
           info->type == (c->spec.sup != 0 ? TDM_SUPERVISOR : TDM_WORKER);
}

/* Static children newest first; dynamic ones in no order: that those with a pid are the live ones is enough. */
static void compare_children(const struct model_sup *s)
{
    const struct tdm_sup_reply *r =
        sup_answer(real.w, sup_pid(s->number), &(struct tdm_sup_question){ .op = TDM_SUP_WHICH_CHILDREN });
    bool dynamic = real.list->sups[s->number].strategy == TDM_DYNAMIC;
    bool same = r->err == TDM_OK && r->n_children == (uint32_t)s->n;

    for (int i = 0; i < s->n && same && !dynamic; i++)
        same = same_child(&r->children[i], s->entries[s->n - 1 - i]);
    for (int i = 0; i < s->n && same && dynamic; i++) {
        int uid = uid_of_pid(r->children[i].pid);
        same = uid < 0 ? r->children[i].state == TDM_CHILD_RESTARTING : model_live(&real.m, uid) != NULL;
    }
    if (!same)
        differ("the list of children");
}

static void compare_log(void)
{
    struct model_logged now, *should = &real.m.logged;

    tdm_log_flush();
    pthread_mutex_lock(&logged_lock);
    now = logged_now;
    pthread_mutex_unlock(&logged_lock);
    if (now.child_terminated != should->child_terminated)
        differ("log: child_terminated");
    if (now.start_error != should->start_error)
        differ("log: start_error");
    if (now.shutdown_error != should->shutdown_error && model_quiet(&real.m))
        differ("log: shutdown_error");
    if (now.restart_limit != should->restart_limit)
        differ("log: restart_limit");
}

static void print_events(const char *whose, const struct model_event *e, int n, const struct model_answer *a,
                         int n_answers, const struct model_logged *l, FILE *out)
{
    fprintf(out, "  %s", whose);
    for (int i = 0; i < n; i++)
        event_print(&e[i], out);
    for (int i = 0; i < n_answers; i++)
        answer_print(&a[i], out);
    fprintf(out, "; logged: %d terminated, %d start, %d shutdown, %d limit\n", l->child_terminated,
            l->start_error, l->shutdown_error, l->restart_limit);
}

static void describe(void)
{
    FILE *out = fmemopen(real.report->detail, sizeof real.report->detail, "w");

    if (out == NULL)
        return;
    print_events("model:", real.m.events, real.m.n_events, real.m.answers, real.m.n_answers, &real.m.logged,
                 out);
    print_events("real: ", real.events, real.n_events, real.answers, real.n_answers, &logged_now, out);
    fclose(out);
}

/* False: no further. */
static bool compare(void)
{
    if (real.m.open != NULL && real.report->result == BOTH_AGREE) {
        real.report->result = BOTH_OPEN;
        snprintf(real.report->why, sizeof real.report->why, "%s", real.m.open);
    }
    if (real.report->result == BOTH_OPEN)
        return false;
    compare_events();
    compare_answers();
    compare_lives();
    compare_log();
    for (int i = 0; i < real.list->n_sups && real.report->result == BOTH_AGREE; i++)
        if (model_sup_idle(&real.m, i)) {
            compare_counts(&real.m.sups[i]);
            compare_children(&real.m.sups[i]);
        }
    if (real.report->result == BOTH_DIFFER)
        describe();
    return real.report->result == BOTH_AGREE;
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void watch_root(void)
{
    struct tdm_spawn_cfg cfg = { .behaviour = &asker_behaviour };

    check_eq(real.w, tdm_spawn(real.w->rt, &cfg, &real.asker), TDM_OK);
    real.now_ns = real.w->env->now_ns(real.w->env) + TDM_MS(1) + 333; /* no tick of a timer falls on a deed */
    wait_until(real.now_ns);
    enum model_outcome outcome = model_start(&real.m, real.list->sups);
    if (real.m.open != NULL)
        return; /* it may never end */
    int err = tdm_sup_start(real.w->rt, &tree.cfgs[0], &real.root);
    if (err != (outcome == MODEL_FAILS ? TDM_EPEER : TDM_OK))
        differ("the start of the tree");
    if (err == TDM_OK)
        send_copy(real.asker, MSG_WATCH, NULL, 0);
}

static bool tree_lives(void)
{
    return real.m.sups[0].phase != MODEL_DOWN;
}

/* The deeds, then a stop of the whole with time for it. */
static void run_list(void)
{
    static const struct model_deed stop = { .kind = DEED_SUP_STOPPED, .ms = LAST_MS };

    watch_root();
    let_both_pass(1);
    bool go_on = compare();
    for (int i = 0; i <= real.list->n && go_on && tree_lives(); i++) {
        const struct model_deed *d = i < real.list->n ? &real.list->deeds[i] : &stop;
        do_deed(d, i);
        let_both_pass(d->ms);
        go_on = compare();
        real.report->deeds++;
    }
}

/* A killed supervisor leaves no live child behind. */
static void end_all(struct world *w)
{
    (void)tdm_kill(w->rt, real.root);
    (void)tdm_kill(w->rt, real.asker);
    for (int i = 0; i < 100 && tdm_actor_count(w->rt) > 0; i++)
        let_pass(w, TDM_MS(1));
    if (tdm_actor_count(w->rt) > 0)
        differ("actors are left when all is over");
    for (int i = 1; i < MODEL_UIDS; i++)
        (void)tdm_kill(w->rt, real.pids[i]);
    wait_actor_count(w, 0);
}

static void body(struct world *w)
{
    real.w = w;
    tdm_log_configure(&(struct tdm_log_cfg){ .level = TDM_LOG_ERROR, .sink = count_line });
    memset(&logged_now, 0, sizeof logged_now);
    run_list();
    end_all(w);
}

void both_run(const struct model_list *l, struct both_report *report)
{
    static const struct world_opts opts = { 0 };

    memset(report, 0, sizeof *report);
    memset(&real, 0, sizeof real);
    memset(&tree, 0, sizeof tree);
    real.list = l;
    real.report = report;
    make_tree(l);
    world_run_seed(body, &opts, l->seed);
}
