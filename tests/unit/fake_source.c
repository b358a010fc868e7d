/* fake_source.c - a switch that does nothing but remember what it was asked. */
#include "fake_source.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct fake *fake;

/* ---- the diary ------------------------------------------------------------------------------- */

static pthread_mutex_t diary_lock = PTHREAD_MUTEX_INITIALIZER;

void note_down(const char *format, ...)
{
    va_list args;

    pthread_mutex_lock(&diary_lock);
    va_start(args, format);
    fake->used +=
        (size_t)vsnprintf(fake->diary + fake->used, sizeof fake->diary - fake->used - 2, format, args);
    va_end(args);
    cr_assert(lt(sz, fake->used, sizeof fake->diary - 2), "the diary is full");
    fake->diary[fake->used++] = ';';
    fake->diary[fake->used] = '\0';
    pthread_mutex_unlock(&diary_lock);
}

bool noted(const struct fake *f, const char *text)
{
    return strstr(f->diary, text) != NULL;
}

int noted_times(const struct fake *f, const char *text)
{
    int n = 0;

    for (const char *at = strstr(f->diary, text); at != NULL; at = strstr(at + 1, text))
        n++;
    return n;
}

void forget_notes(struct fake *f)
{
    f->used = 0;
    f->diary[0] = '\0';
}

/* ---- the call half --------------------------------------------------------------------------- */

struct mine {
    tdm_ref verb, verb_timer;
    tdm_ref play, play_timer;
};

static int fake_begin(tdm_call *call, void *state, tdm_event *start)
{
    const char *exten = tdm_event_str(start, "exten");
    const char *args[] = { tdm_event_str(start, "arg") };

    (void)state;
    if (fake->begin_fails)
        return TDM_EPROTO;
    if (fake->begin_ignores)
        return TDM_IGNORE;
    tdm_call_set_number(call, tdm_event_str(start, "caller"), exten);
    tdm_call_set_args(call, args[0] != NULL, args);
    return TDM_OK;
}

static void fake_bye(tdm_call *call, void *state)
{
    (void)call;
    (void)state;
    note_down("source end");
}

/* Every plain verb: noted, and answered a little later unless the switch is silent. */
static int plain(tdm_call *call, struct mine *m, tdm_ref op)
{
    m->verb = op;
    if (!fake->silent)
        m->verb_timer = tdm_timer_start(tdm_call_self(call), TDM_MS(3));
    return TDM_OK;
}

static int fake_answer(tdm_call *call, void *state, tdm_ref op)
{
    note_down("answer");
    return plain(call, state, op);
}

static int fake_hangup(tdm_call *call, void *state, tdm_ref op, int cause)
{
    note_down("hangup %d", cause);
    return plain(call, state, op);
}

static int fake_hand_back(tdm_call *call, void *state, tdm_ref op, const char *context, const char *exten,
                          int priority)
{
    note_down("hand_back %s %s %d", context != NULL ? context : "-", exten != NULL ? exten : "-", priority);
    return plain(call, state, op);
}

static int fake_move(tdm_call *call, void *state, tdm_ref op, const char *app, const char *args)
{
    note_down("move %s %s", app, args != NULL ? args : "-");
    return plain(call, state, op);
}

static int fake_set_var(tdm_call *call, void *state, tdm_ref op, const char *name, const char *value)
{
    note_down("set %s=%s", name, value);
    return plain(call, state, op);
}

static int fake_get_var(tdm_call *call, void *state, tdm_ref op, const char *name)
{
    note_down("get %s", name);
    return plain(call, state, op);
}

static int fake_play(tdm_call *call, void *state, tdm_ref op, const struct tdm_play_request *req)
{
    struct mine *m = state;
    char list[512] = "";

    for (const char *const *media = req->media; *media != NULL; media++)
        snprintf(list + strlen(list), sizeof list - strlen(list), " %s", *media);
    note_down("play%s", list);
    m->play = op;
    if (fake->play_ms > 0)
        m->play_timer = tdm_timer_start(tdm_call_self(call), TDM_MS(fake->play_ms));
    if (fake->play_ms > 0 && !fake->play_mute)
        tdm_call_play_started(call, op);
    return TDM_OK;
}

static int fake_play_stop(tdm_call *call, void *state, tdm_ref op)
{
    struct mine *m = state;

    note_down("stop");
    if (fake->play_ms > 0 && op == m->play) {
        tdm_timer_cancel(tdm_call_self(call), m->play_timer);
        m->play_timer = tdm_timer_start(tdm_call_self(call), TDM_MS(10));
    }
    return TDM_OK;
}

static int fake_play_ask(tdm_call *call, void *state, tdm_ref op)
{
    (void)state;
    note_down("ask");
    if (fake->asked_play == 1)
        tdm_call_play_started(call, op);
    else if (fake->asked_play == 2)
        tdm_call_play_ended(call, op, TDM_PLAY_FAILED);
    return TDM_OK;
}

static void fake_heard(tdm_call *call, void *state, tdm_event *event)
{
    struct mine *m = state;
    const char *what = tdm_event_str(event, "what");

    if (what == NULL)
        return;
    if (strcmp(what, "digit") == 0)
        tdm_call_digit(call, tdm_event_str(event, "digit")[0]);
    else if (strcmp(what, "play_started") == 0)
        tdm_call_play_started(call, m->play);
    else if (strcmp(what, "play_finished") == 0)
        tdm_call_play_ended(call, m->play, TDM_PLAY_FINISHED);
    else if (strcmp(what, "play_failed") == 0)
        tdm_call_play_ended(call, m->play, TDM_PLAY_FAILED);
    else if (strcmp(what, "done") == 0)
        tdm_call_done(call, m->verb, TDM_OK, NULL, tdm_event_str(event, "value"));
    else if (strcmp(what, "gone") == 0)
        tdm_call_has_ended(call, 16);
}

static bool fake_message(tdm_call *call, void *state, struct tdm_msg *msg)
{
    struct mine *m = state;

    if (msg->type != TDM_MSG_TIMER)
        return false;
    if (msg->ref == m->play_timer)
        tdm_call_play_ended(call, m->play, TDM_PLAY_FINISHED);
    else if (msg->ref == m->verb_timer)
        tdm_call_done(call, m->verb, fake->refuse, fake->refuse != TDM_OK ? "no way" : NULL, "a value");
    else
        return false;
    return true;
}

static void fake_give_up(struct tdm_source *src, const char *app, const char *id, enum tdm_on_give_up how)
{
    (void)src;
    note_down(how == TDM_GIVE_UP_HANGUP ? "give_up %s %s" : "give_up back %s %s", app, id);
}

static void fake_adopt(struct tdm_source *src)
{
    (void)src;
    note_down("adopt");
}

const struct tdm_source_ops fake_ops = { .kind = "fake",
                                         .call_bytes = sizeof(struct mine),
                                         .begin = fake_begin,
                                         .end = fake_bye,
                                         .answer = fake_answer,
                                         .hangup = fake_hangup,
                                         .hand_back = fake_hand_back,
                                         .move = fake_move,
                                         .play = fake_play,
                                         .play_stop = fake_play_stop,
                                         .play_ask = fake_play_ask,
                                         .set_var = fake_set_var,
                                         .get_var = fake_get_var,
                                         .give_up = fake_give_up,
                                         .adopt = fake_adopt,
                                         .event = fake_heard,
                                         .message = fake_message };

/* ---- the reader's part ----------------------------------------------------------------------- */

int fake_start(struct fake *f, const char *app, const char *id)
{
    static const char json[] = "{\"type\":\"Start\",\"caller\":\"4711\",\"exten\":\"100\",\"arg\":\"first\"}";

    return tdm_source_call_start(f->src, app, strlen(app), id, strlen(id), json, strlen(json), false);
}

int fake_event(struct fake *f, const char *app, const char *kind, const char *id, const char *json)
{
    return tdm_source_event(f->src, app, strlen(app), kind, id, strlen(id), json, strlen(json));
}

int fake_end(struct fake *f, const char *app, const char *id)
{
    static const char json[] = "{\"type\":\"End\"}";

    return tdm_source_call_end(f->src, app, strlen(app), id, strlen(id), json, strlen(json));
}

void fake_press(struct fake *f, const char *digits)
{
    char json[64];

    for (; *digits != '\0'; digits++) {
        snprintf(json, sizeof json, "{\"what\":\"digit\",\"digit\":\"%c\"}", *digits);
        fake_check(f, fake_event(f, FAKE_APP, "channel", "c1", json) == TDM_OK, "a digit arrives");
    }
}

void fake_say(struct fake *f, const char *what)
{
    char json[64];

    snprintf(json, sizeof json, "{\"what\":\"%s\"}", what);
    (void)fake_event(f, FAKE_APP, "channel", "c1", json);
}

void fake_pass(struct fake *f, uint64_t ms)
{
    struct tdm_parker parker = { 0 };
    uint64_t until = f->env->now_ns(f->env) + TDM_MS(ms);

    while (f->env->now_ns(f->env) < until)
        f->env->park(f->env, &parker, until);
}

/* ---- stories --------------------------------------------------------------------------------- */

static const struct tdm_source_ops *ops_to_use;

void fake_use_ops(const struct tdm_source_ops *ops)
{
    ops_to_use = ops;
}

void fake_add_app(const struct tdm_app *app)
{
    cr_assert(eq(int, tdm_app_add(app, NULL), TDM_OK));
}

struct telling {
    struct fake *f;
    void (*story)(struct fake *f);
};

static void tell(void *arg)
{
    struct telling *t = arg;
    struct fake *f = t->f;
    const struct tdm_source_cfg cfg = { .name = "fake",
                                        .ops = ops_to_use != NULL ? ops_to_use : &fake_ops,
                                        .self = f };
    const struct tdm_runtime_cfg rt = { .env = f->env, .workers = 3 };
    struct tdm_child_spec calls;
    struct tdm_sup_cfg top = { .name = "top", .intensity = 100, .children = &calls, .n_children = 1 };

    cr_assert(eq(int, tdm_runtime_new(&f->rt, &rt), TDM_OK));
    cr_assert(eq(int, tdm_source_new(f->rt, &cfg, &f->src), TDM_OK));
    cr_assert(eq(int, tdm_source_child_spec(f->src, &calls), TDM_OK));
    cr_assert(eq(int, tdm_sup_start(f->rt, &top, &f->sup), TDM_OK));
    t->story(f);
    tdm_runtime_free(f->rt);
    tdm_source_free(f->src);
}

void fake_run(void (*story)(struct fake *f), uint64_t seeds)
{
    const char *one = getenv("TANDEM_SEED"), *many = getenv("TANDEM_SEEDS");

    if (many != NULL)
        seeds = strtoull(many, NULL, 0);
    for (uint64_t seed = one != NULL ? strtoull(one, NULL, 0) : 1; one != NULL || seed <= seeds; seed++) {
        struct fake *f = calloc(1, sizeof *f);
        struct telling t = { .f = f, .story = story };

        fake = f;
        f->seed = seed;
        cr_assert(eq(int, tdm_env_sim_new(&f->env, seed), TDM_OK));
        cr_assert(eq(int, tdm_env_sim_run(f->env, tell, &t), TDM_OK), "seed %llu ends",
                  (unsigned long long)seed);
        tdm_env_sim_free(f->env);
        free(f);
        if (one != NULL)
            break;
    }
}
