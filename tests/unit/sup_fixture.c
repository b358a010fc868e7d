/* sup_fixture.c - see sup_fixture.h. */
#include "sup_fixture.h"

#include <string.h>

#include "tandem/log.h"

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

tdm_pid child_pid(struct world *w, tdm_pid sup, const char *id)
{
    return sup_ask(w, sup, TDM_SUP_WHICH, id, (tdm_pid){ 0 }).pid;
}

tdm_pid wait_restarted(struct world *w, tdm_pid sup, const char *id, tdm_pid old)
{
    for (;;) {
        tdm_pid pid = child_pid(w, sup, id);
        if (pid.id != 0 && pid.id != old.id)
            return pid;
        let_pass(w, TDM_MS(1));
    }
}

tdm_pid wait_place(struct world *w, tdm_place place, tdm_pid old)
{
    for (;;) {
        tdm_pid pid = tdm_place_pid(w->rt, place);
        if (pid.id != 0 && pid.id != old.id)
            return pid;
        let_pass(w, TDM_MS(1));
    }
}

void wait_stopped(struct world *w, tdm_pid sup, const char *id)
{
    for (;;) {
        struct tdm_sup_reply r = sup_ask(w, sup, TDM_SUP_WHICH, id, (tdm_pid){ 0 });
        struct tdm_sup_reply again = sup_count(w, sup);
        if (r.pid.id == 0 && again.active == 0)
            return;
        let_pass(w, TDM_MS(1));
    }
}

void wait_active(struct world *w, tdm_pid sup, uint32_t n)
{
    while (sup_count(w, sup).active != n)
        let_pass(w, TDM_MS(1));
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
