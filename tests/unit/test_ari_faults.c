/* The whole way of a call, from a simulated Asterisk through the ARI source to an app and back, over the simulated
 * network, while each socket call fails in turn, on whichever side it is made. A failure may cost a request or the
 * connection. It may not cost the call: it comes to its end on both sides, and when nothing fails any more the source is
 * live again and the next call is served as if nothing had been. */
#include "io_fixture.h"

#include "exchange/exchange.h"
#include "io_sweep.h"
#include "tandem/app.h"
#include "tandem/ari.h"
#include "tandem/log.h"
#include "tandem/source.h"

TestSuite(ari_faults, .timeout = 600);

enum { PATIENCE_S = 180 };

static struct {
    _Atomic int begun, done;
    _Atomic int answered, played;
} app;

static void reception_run(tdm_call *call)
{
    app.begun++;
    app.answered = tdm_answer(call);
    app.played = tdm_play(call, "sound:hello-world");
    app.done++;
    tdm_hangup(call, TDM_CAUSE_NORMAL);
}

static const struct tdm_app reception = {
    .abi = TDM_APP_ABI, .name = "reception", .run = reception_run, .restarts = 3
};

struct scene {
    struct io_fixture f;
    struct exchange *ex;
    tdm_pid source;
};

static struct tdm_ari_state state_of(struct scene *s)
{
    struct tdm_ari_state state = { 0 };

    sweep_check(tdm_ari_state(s->f.rt, s->source, &state) == TDM_OK);
    return state;
}

/* True: it is live, and holds no call. */
static bool at_rest(struct scene *s)
{
    struct tdm_ari_state state = state_of(s);

    return state.phase == TDM_ARI_LIVE && state.calls == 0;
}

/* Until the source is at rest, at most so long; true: it is. */
static bool wait_rest(struct scene *s, unsigned seconds)
{
    for (unsigned i = 0; i < seconds * 10 && !at_rest(s); i++)
        io_wait_ms(&s->f, 100);
    return at_rest(s);
}

static void place(struct scene *s)
{
    struct exchange_call call = { .exten = "100" };

    sweep_check(exchange_place_call(s->ex, &call) == TDM_OK);
    io_wait_ms(&s->f, 300);
}

/* What the exchange says at its end. */
static void judge(struct scene *s, uint64_t placed)
{
    struct tdm_msg *m;
    bool told = false;

    sweep_check(exchange_finish(s->ex) == TDM_OK);
    for (int i = 0; i < PATIENCE_S * 10 && !told; i++) {
        io_wait_ms(&s->f, 100);
        while ((m = io_take_any(&s->f)) != NULL) {
            const struct exchange_counters *c = tdm_msg_view(m);
            if (m->type == EXCHANGE_DONE) {
                told = true;
                sweep_check(c->placed == placed && c->ended == placed && c->live == 0, "%d placed, %d ended",
                            (int)c->placed, (int)c->ended);
            }
            io_done(&s->f, m);
        }
    }
    sweep_check(told, "the exchange did not come to its end");
}

static void begin_scene(struct scene *s, struct tdm_env *env)
{
    struct exchange_cfg cfg = { .app = "reception", .settle_ms = 1000 };
    char why[128];

    s->f.env = env;
    app.begun = app.done = 0;
    io_begin(&s->f);
    cfg.report_to = s->f.me;
    sweep_check(exchange_start(s->f.rt, &cfg, &s->ex, why, sizeof why) == TDM_OK, "%s", why);
    io_wait_ms(&s->f, 5);
}

static void end_scene(struct scene *s)
{
    exchange_stop(s->ex);
    tdm_runtime_stop(s->f.rt, 5000);
    tdm_ari_stop(s->f.rt, s->source, 1000);
    io_end(&s->f);
}

static void two_calls(struct tdm_env *env)
{
    static const char *const apps[] = { "reception", NULL };
    struct scene s = { 0 };

    begin_scene(&s, env);
    struct tdm_ari_cfg cfg = { .name = "pbx",
                               .host = "localhost",
                               .port = exchange_port(s.ex),
                               .user = "tandem",
                               .password = "tandem",
                               .apps = apps,
                               .connections = 2,
                               .request_timeout_ms = 2000,
                               .ping_ms = 2000,
                               .pong_ms = 2000,
                               .backoff_max_ms = 1000 };
    sweep_begin(env);
    sweep_check(tdm_ari_start(s.f.rt, &cfg, &s.source) == TDM_OK);
    (void)wait_rest(&s, 15);
    place(&s);
    (void)wait_rest(&s, 30); /* what fails for ever fails so long */
    sweep_end(env);
    sweep_check(wait_rest(&s, PATIENCE_S), "not at rest: %s, %d calls, %s",
                tdm_ari_phase_name(state_of(&s).phase), (int)state_of(&s).calls, state_of(&s).last_error);
    int begun = app.begun, done = app.done;
    sweep_check(begun == done, "%d begun, %d done", begun, done);
    place(&s);
    sweep_check(wait_rest(&s, PATIENCE_S));
    sweep_check(app.begun == begun + 1 && app.done == done + 1, "the next call is not served");
    sweep_check(app.answered == TDM_OK && app.played == TDM_OK, "%s %s", tdm_errname(app.answered),
                tdm_errname(app.played));
    judge(&s, 2);
    end_scene(&s);
}

static void no_log(void *ctx, const char *line, size_t bytes)
{
    (void)ctx, (void)line, (void)bytes;
}

Test(ari_faults, a_call_is_not_lost_whichever_socket_call_fails)
{
    struct sweep s = { .story = two_calls, .most = 1500 };

    tdm_log_configure(&(struct tdm_log_cfg){ .sink = no_log });
    cr_assert(tdm_app_add(&reception, NULL) == TDM_OK);
    sweep_calls(&s);
}
