/* sup_fixture.c - see sup_fixture.h. */
#include "sup_fixture.h"

#include <string.h>

#include "tandem/log.h"

/* ---- a supervisor and its workers ------------------------------------------------------------ */

void brood_init(struct brood *b, struct world *w, size_t n, enum tdm_restart restart)
{
    *b = (struct brood){ .n = n };
    for (size_t i = 0; i < n; i++) {
        b->ids[i][0] = (char)('a' + i);
        b->args[i] = (struct worker_arg){ .w = w, .number = i };
        b->specs[i] = (struct tdm_child_spec){
            .id = b->ids[i],
            .restart = restart,
            .start = { .behaviour = &worker, .arg = &b->args[i], .arg_bytes = sizeof b->args[i] },
        };
    }
}

void brood_start(struct brood *b, struct world *w, struct tdm_sup_cfg cfg)
{
    b->dynamic = cfg.strategy == TDM_DYNAMIC;
    cfg.children = b->specs;
    cfg.n_children = b->dynamic ? 1 : b->n;
    b->sup = start_sup(w, &cfg);
    for (size_t i = 0; b->dynamic && i < b->n; i++) {
        check_eq(w, tdm_sup_start_dynamic(w->rt, b->sup, &b->args[i], sizeof b->args[i], NULL, &b->places[i]),
                 TDM_OK);
        wait_marks_of(w, "init", b->args[i].number, 1);
        ask(w, tdm_place_pid(w->rt, b->places[i]), do_nothing, NULL); /* its start is through */
    }
}

tdm_pid brood_pid(struct brood *b, struct world *w, size_t i)
{
    return b->dynamic ? tdm_place_pid(w->rt, b->places[i]) : child_pid(w, b->sup, b->ids[i]);
}

tdm_pid brood_renewed(struct brood *b, struct world *w, size_t i, tdm_pid old)
{
    return b->dynamic ? wait_place(w, b->places[i], old) : wait_restarted(w, b->sup, b->ids[i], old);
}

static int kill_oneself(tdm_self *self, void *arg)
{
    (void)arg;
    return tdm_kill(tdm_self_runtime(self), tdm_self_pid(self));
}

void end_by(struct world *w, tdm_pid pid, int how)
{
    static deed *const deeds[ENDS] = { exit_normal, exit_shutdown, exit_shutdown, exit_error, kill_oneself };
    static char words[] = END_WORDS;

    check_eq(w, tell(w, pid, deeds[how], how == END_DETAIL ? words : NULL), TDM_OK);
}

bool reason_is(struct tdm_reason r, int how)
{
    static const enum tdm_exit_kind kinds[ENDS] = { TDM_EXIT_NORMAL, TDM_EXIT_SHUTDOWN, TDM_EXIT_SHUTDOWN,
                                                    TDM_EXIT_ERROR, TDM_EXIT_KILLED };

    if (r.kind != kinds[how])
        return false;
    if (how == END_ERROR)
        return r.code == TDM_EPEER;
    return strcmp(r.text, how == END_DETAIL ? END_WORDS : "") == 0;
}

void set_broken(struct world *w, uint64_t number, bool broken)
{
    mark(w, broken ? "broken" : "mended", number);
}

static bool is_broken(const struct worker_arg *arg)
{
    return marks_of(arg->w, "broken", arg->number) > marks_of(arg->w, "mended", arg->number);
}

bool fails_while_broken(struct worker_arg *arg, const struct tdm_start *start, int *result)
{
    (void)start;
    *result = TDM_ECONN;
    return is_broken(arg);
}

bool ignores_while_broken(struct worker_arg *arg, const struct tdm_start *start, int *result)
{
    (void)start;
    *result = TDM_IGNORE;
    return is_broken(arg);
}

void watch_end(struct world *w, tdm_pid pid)
{
    ask(w, spawn_worker(w, 1000), monitor_it, &pid);
}

/* ---- a worker that takes its time to stop ------------------------------------------------------ */

static int slow_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct slow_arg *a = state;

    memcpy(a, start->arg, sizeof *a);
    mark_all(a->w, "init", a->number, tdm_self_pid(self), NULL);
    return TDM_OK;
}

static int slow_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    struct slow_arg *a = state;

    if (m->type == TDM_MSG_STOP) {
        mark_all(a->w, "asked", a->number, tdm_self_pid(self), NULL);
        if (a->ms != UINT32_MAX && tdm_timer_start(self, TDM_MS(a->ms)) == 0)
            return TDM_ENOMEM;
    } else if (m->type == TDM_MSG_TIMER) {
        tdm_exit(self, &a->reason);
    } else if (m->type == MSG_NUMBER) {
        mark_all(a->w, "got", *(const uint64_t *)tdm_msg_view(m), tdm_self_pid(self), NULL);
    }
    return TDM_OK;
}

static int slow_terminate(tdm_self *self, void *state, const struct tdm_reason *reason)
{
    struct slow_arg *a = state;

    mark_all(a->w, "term", a->number, tdm_self_pid(self), reason);
    return TDM_OK;
}

const struct tdm_behaviour slow_to_stop = {
    .name = "slow_to_stop",
    .state_bytes = sizeof(struct slow_arg),
    .init = slow_init,
    .handle = slow_handle,
    .terminate = slow_terminate,
};

/* ---- starting and asking ------------------------------------------------------------------------ */

tdm_pid start_sup(struct world *w, const struct tdm_sup_cfg *cfg)
{
    tdm_pid pid = { 0 };

    check_eq(w, tdm_sup_start(w->rt, cfg, &pid), TDM_OK);
    return pid;
}

tdm_pid start_children(struct world *w, const struct tdm_child_spec *specs, size_t n)
{
    return start_sup(w, &(struct tdm_sup_cfg){ .intensity = 1000, .children = specs, .n_children = n });
}

tdm_pid start_template(struct world *w, const struct tdm_child_spec *spec)
{
    return start_sup(w, &(struct tdm_sup_cfg){
                            .strategy = TDM_DYNAMIC, .intensity = 1000, .children = spec, .n_children = 1 });
}

tdm_place start_dynamic(struct world *w, tdm_pid sup, uint64_t number)
{
    struct worker_arg arg = { .w = w, .number = number };
    tdm_place place = { 0 };

    check_eq(w, tdm_sup_start_dynamic(w->rt, sup, &arg, sizeof arg, NULL, &place), TDM_OK);
    return place;
}

/* ---- the administrator ----------------------------------------------------------------------- */

/* What the administrator and the body share; the body waits until the administrator has ended. */
struct question {
    tdm_pid sup;
    const struct tdm_sup_question *text;
    struct tdm_msg *answer; /* taken; NULL: none */
    int err;                /* why not */
};

struct administrator {
    struct question *q;
};

static int administrator_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct question *q = *(struct question *const *)start->arg;

    ((struct administrator *)state)->q = q;
    return tdm_sup_ask(self, q->sup, q->text, 0) == 0 ? TDM_ENOMEM : TDM_OK;
}

static int administrator_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    struct question *q = ((struct administrator *)state)->q;

    if (m->type == TDM_MSG_REPLY)
        q->answer = tdm_msg_take(self, m);
    else if (m->type == TDM_MSG_REQUEST_FAILED)
        q->err = ((const struct tdm_failure *)tdm_msg_view(m))->err;
    else
        return TDM_OK;
    return TDM_STOP;
}

static const struct tdm_behaviour administrator = {
    .name = "administrator",
    .state_bytes = sizeof(struct administrator),
    .init = administrator_init,
    .handle = administrator_handle,
};

/* The whole answer; NULL: *err says why there is none. The caller frees it. */
static struct tdm_msg *ask_whole(struct world *w, tdm_pid sup, const struct tdm_sup_question *text, int *err)
{
    struct question question = { .sup = sup, .text = text, .err = TDM_ENOMEM };
    struct question *q = &question;
    tdm_pid who;
    struct tdm_spawn_cfg cfg = { .behaviour = &administrator, .arg = &q, .arg_bytes = sizeof q };

    if (tdm_spawn(w->rt, &cfg, &who) == TDM_OK)
        wait_end(w, who);
    *err = q->err;
    return q->answer;
}

const struct tdm_sup_reply *sup_answer(struct world *w, tdm_pid sup, const struct tdm_sup_question *question)
{
    static const struct tdm_sup_reply nothing = { .err = TDM_ENOMEM };
    struct tdm_sup_reply *failed;
    int err;
    struct tdm_msg *m = ask_whole(w, sup, question, &err);

    if (m != NULL) {
        world_keep(w, m);
        return tdm_msg_view(m);
    }
    if (err == TDM_ENOMEM)
        return &nothing;
    m = tdm_msg_new(w->rt, TDM_MSG_REPLY, sizeof *failed);
    if (m == NULL)
        return &nothing;
    world_keep(w, m);
    failed = tdm_msg_data(m);
    memset(failed, 0, sizeof *failed);
    failed->err = err;
    return failed;
}

struct tdm_sup_reply sup_ask(struct world *w, tdm_pid sup, enum tdm_sup_op op, const char *id, tdm_pid pid)
{
    struct tdm_sup_reply r = { .err = TDM_OK };
    struct tdm_msg *m =
        ask_whole(w, sup, &(struct tdm_sup_question){ .op = op, .id = id, .pid = pid }, &r.err);

    if (m != NULL) {
        memcpy(&r, tdm_msg_view(m), sizeof r);
        tdm_msg_free(w->rt, m);
    }
    return r;
}

struct tdm_sup_reply sup_count(struct world *w, tdm_pid sup)
{
    return sup_ask(w, sup, TDM_SUP_COUNT, NULL, (tdm_pid){ 0 });
}

struct tdm_child_info sup_child(struct world *w, tdm_pid sup, const char *id)
{
    struct tdm_child_info info = { .state = TDM_CHILD_STOPPED };
    struct tdm_sup_question question = { .op = TDM_SUP_WHICH, .id = id };
    int err;
    struct tdm_msg *m = ask_whole(w, sup, &question, &err);

    if (m == NULL)
        return info;
    const struct tdm_sup_reply *r = tdm_msg_view(m);
    if (r->err == TDM_OK && r->n_children == 1)
        info = r->children[0];
    tdm_msg_free(w->rt, m);
    return info;
}

int sup_err(struct world *w, tdm_pid sup, enum tdm_sup_op op, const char *id)
{
    return sup_ask(w, sup, op, id, (tdm_pid){ 0 }).err;
}

int sup_start_child(struct world *w, tdm_pid sup, const struct tdm_child_spec *spec)
{
    return sup_answer(w, sup, &(struct tdm_sup_question){ .op = TDM_SUP_START_CHILD, .spec = spec })->err;
}

tdm_pid child_pid(struct world *w, tdm_pid sup, const char *id)
{
    return sup_ask(w, sup, TDM_SUP_WHICH, id, (tdm_pid){ 0 }).pid;
}

/* Between two looks. */
static void again(struct world *w, uint64_t deadline)
{
    check(w, w->env->now_ns(w->env) < deadline);
    let_pass(w, TDM_MS(1));
}

static uint64_t in_a_minute(struct world *w)
{
    return w->env->now_ns(w->env) + TDM_S(60);
}

tdm_pid wait_restarted(struct world *w, tdm_pid sup, const char *id, tdm_pid old)
{
    for (uint64_t deadline = in_a_minute(w);; again(w, deadline)) {
        tdm_pid pid = child_pid(w, sup, id);
        if (pid.id != 0 && pid.id != old.id)
            return pid;
    }
}

tdm_pid wait_place(struct world *w, tdm_place place, tdm_pid old)
{
    for (uint64_t deadline = in_a_minute(w);; again(w, deadline)) {
        tdm_pid pid = tdm_place_pid(w->rt, place);
        if (pid.id != 0 && pid.id != old.id)
            return pid;
    }
}

void wait_stopped(struct world *w, tdm_pid sup, const char *id)
{
    uint64_t deadline = in_a_minute(w);

    while (child_pid(w, sup, id).id != 0 || sup_count(w, sup).active != 0)
        again(w, deadline);
}

void wait_state(struct world *w, tdm_pid sup, const char *id, enum tdm_child_state state)
{
    uint64_t deadline = in_a_minute(w);

    while (sup_child(w, sup, id).state != state)
        again(w, deadline);
}

void wait_specs(struct world *w, tdm_pid sup, uint32_t n)
{
    uint64_t deadline = in_a_minute(w);

    while (sup_count(w, sup).specs != n)
        again(w, deadline);
}

void wait_active(struct world *w, tdm_pid sup, uint32_t n)
{
    uint64_t deadline = in_a_minute(w);

    while (sup_count(w, sup).active != n)
        again(w, deadline);
}

void stop_sup(struct world *w, tdm_pid sup)
{
    check_eq(w, tdm_stop(w->rt, sup), TDM_OK);
    wait_end(w, sup);
}

/* ---- the log --------------------------------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    char text[256 * 1024];
    size_t bytes;
} lines = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void keep_line(void *ctx, const char *line, size_t bytes)
{
    (void)ctx;
    pthread_mutex_lock(&lines.lock);
    if (lines.bytes + bytes + 2 < sizeof lines.text) {
        memcpy(lines.text + lines.bytes, line, bytes);
        lines.bytes += bytes;
        lines.text[lines.bytes++] = '\n';
        lines.text[lines.bytes] = '\0';
    }
    pthread_mutex_unlock(&lines.lock);
}

void log_watch(struct world *w)
{
    struct tdm_log_cfg cfg = { .sink = keep_line };

    (void)w;
    tdm_log_configure(&cfg);
    pthread_mutex_lock(&lines.lock);
    lines.bytes = 0;
    lines.text[0] = '\0';
    pthread_mutex_unlock(&lines.lock);
}

size_t logged(const char *text)
{
    size_t n = 0;

    tdm_log_flush();
    pthread_mutex_lock(&lines.lock);
    for (const char *at = lines.text; (at = strstr(at, text)) != NULL; at++)
        n++;
    pthread_mutex_unlock(&lines.lock);
    return n;
}
