/* demo_screen.c - the calls of an exchange, as a person wants to see them.
 *
 * One actor gets the exchange's steps and keeps a row for each live call. On a terminal it draws the rows ten
 * times a second; elsewhere it prints a line for each step that matters. It also hears of restarts, from the
 * observer of source.h, which runs on the workers and only sends it a message. */
#include "demo_screen.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <tandem/source.h>
#include <tandem/timer.h>

#include "program.h"

enum { ROWS = 512, SHOWN = 16, DRAW_MS = 100, MSG_RESTART = TDM_MSG_USER + 300 };

struct row {
    char channel[64];
    char last[160];
    uint32_t steps, restarts;
    bool used;
};

struct screen {
    struct demo_result *result;
    bool live;
    uint64_t start_ns;
    uint64_t placed, ended, restarted;
    unsigned drawn; /* lines on the terminal */
    struct row rows[ROWS];
};

struct screen_arg {
    struct demo_result *result;
    bool live;
};

/* fixed before the first call, then read by the observer */
static struct {
    struct tdm_runtime *rt;
    tdm_pid screen;
} observed;

static void on_observed(void *ctx, const char *what, const char *app, const char *id, tdm_event *event)
{
    (void)ctx;
    (void)app;
    (void)event;
    if (strcmp(what, "restart") != 0)
        return;
    struct tdm_msg *m = tdm_msg_copy(observed.rt, MSG_RESTART, id, strlen(id) + 1);
    if (m != NULL && tdm_send(observed.rt, observed.screen, m) != TDM_OK)
        tdm_msg_free(observed.rt, m);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static struct row *row_of(struct screen *s, const char *channel, bool make)
{
    struct row *empty = NULL;

    for (size_t i = 0; i < ROWS; i++) {
        if (s->rows[i].used && strcmp(s->rows[i].channel, channel) == 0)
            return &s->rows[i];
        if (!s->rows[i].used && empty == NULL)
            empty = &s->rows[i];
    }
    if (!make || empty == NULL)
        return NULL;
    memset(empty, 0, sizeof *empty);
    empty->used = true;
    snprintf(empty->channel, sizeof empty->channel, "%s", channel);
    return empty;
}

static void line(const struct screen *s, uint64_t at_ns, const char *channel, const char *text)
{
    if (!s->live)
        printf("%8.3f  %-20s %s\n", (double)(at_ns - s->start_ns) / 1e9, channel, text);
}

/* Events that only repeat what a request already said are left out. */
static bool worth_telling(const struct exchange_step *step)
{
    return strstr(step->text, "ChannelVarset") == NULL && strstr(step->text, "ChannelStateChange") == NULL &&
           strstr(step->text, "PlaybackStarted") == NULL && strstr(step->text, "HangupRequest") == NULL &&
           strstr(step->text, "ChannelDtmf") == NULL;
}

static void on_step(struct screen *s, const struct exchange_step *step)
{
    static const char *const who[] = { "caller ", "event  ", "request " };
    bool gone = step->kind == EXCHANGE_STEP_CALLER && strcmp(step->text, "gone") == 0;
    bool placed = step->kind == EXCHANGE_STEP_CALLER && strncmp(step->text, "calls", 5) == 0;
    struct row *r = row_of(s, step->channel, !gone);
    char text[260];

    s->placed += placed;
    s->ended += gone;
    if (gone && s->result->until_gone)
        program_say_done();
    if (!worth_telling(step))
        return;
    snprintf(text, sizeof text, "%s%s", who[step->kind], step->text);
    line(s, step->at_ns, step->channel, text);
    if (r == NULL)
        return;
    r->steps++;
    snprintf(r->last, sizeof r->last, "%.150s", text);
    r->used = !gone;
}

static void on_restart(tdm_self *self, struct screen *s, const char *channel)
{
    struct row *r = row_of(s, channel, false);

    s->restarted++;
    if (r != NULL)
        r->restarts++;
    line(s, tdm_now_ns(self), channel, "actor   crashed; restarted, the call goes on");
}

/* ---- drawing --------------------------------------------------------------------------------- */

static void draw(struct screen *s)
{
    unsigned lines = 2;

    if (s->drawn > 0)
        printf("\033[%uA\033[J", s->drawn);
    printf("calls placed %lu, ended %lu, actors restarted %lu\n", (unsigned long)s->placed,
           (unsigned long)s->ended, (unsigned long)s->restarted);
    printf("%-20s %6s %8s  %s\n", "call", "steps", "restarts", "last");
    for (size_t i = 0; i < ROWS && lines < SHOWN + 2; i++) {
        const struct row *r = &s->rows[i];
        if (!r->used)
            continue;
        printf("%-20.20s %6u %8u  %.70s\n", r->channel, r->steps, r->restarts, r->last);
        lines++;
    }
    s->drawn = lines;
    fflush(stdout);
}

/* ---- the actor ------------------------------------------------------------------------------- */

static int init(tdm_self *self, void *state, const struct tdm_start *start)
{
    const struct screen_arg *arg = start->arg;
    struct screen *s = state;

    s->result = arg->result;
    s->live = arg->live;
    s->start_ns = tdm_now_ns(self);
    if (s->live)
        tdm_timer_start(self, TDM_MS(DRAW_MS));
    return TDM_OK;
}

static int handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct screen *s = state;

    switch (msg->type) {
    case EXCHANGE_STEP:
        on_step(s, tdm_msg_view(msg));
        break;
    case MSG_RESTART:
        on_restart(self, s, tdm_msg_view(msg));
        break;
    case TDM_MSG_TIMER:
        draw(s);
        tdm_timer_start(self, TDM_MS(DRAW_MS));
        break;
    case EXCHANGE_DONE:
        if (s->live)
            draw(s);
        memcpy(&s->result->counters, tdm_msg_view(msg), sizeof s->result->counters);
        atomic_store_explicit(&s->result->told, true, memory_order_release);
        program_say_done();
        break;
    default:
        break;
    }
    return TDM_OK;
}

static const struct tdm_behaviour screen = {
    .name = "demo_screen", .state_bytes = sizeof(struct screen), .init = init, .handle = handle
};

int demo_screen_start(struct tdm_runtime *rt, bool live, struct demo_result *result, tdm_pid *ret)
{
    struct screen_arg arg = { .result = result, .live = live };
    int err = tdm_spawn(rt,
                        &(struct tdm_spawn_cfg){ .behaviour = &screen,
                                                 .arg = &arg,
                                                 .arg_bytes = sizeof arg,
                                                 .mailbox_limit = TDM_MAILBOX_MAX,
                                                 .tag = "screen" },
                        ret);

    if (err == TDM_OK) {
        observed.rt = rt;
        observed.screen = *ret;
        tdm_observe_calls(on_observed, NULL);
    }
    return err;
}
