/* play.c - playing media to the caller, and knowing when it is over.
 *
 * Idea:      the switch is trusted to play and not to tell. Playback ends that never come are a known
 *            fault of switches, so each state has a limit after which the switch is asked, once, and
 *            after a second limit the verb answers without it.
 *
 *     STARTING --started--> PLAYING --digit or max_ms--> STOPPING
 *        | start_ms            |                            | start_ms
 *        v                     v ended: the result          v
 *      ASKED --start_ms--> timeout                      STOP_ASKED --start_ms--> the result anyway
 *
 * Touched by the actor of the call only. */
#include <string.h>

#include "call.h"

enum step { STARTING, ASKED, PLAYING, STOPPING, STOP_ASKED };

struct play {
    struct op op;
    const char *const *media;
    char *interrupt_on, *language;
    uint32_t loops_left; /* after the present one */
    uint32_t start_ms;
    uint64_t over_ns; /* max_ms */
    enum step step;
    bool cut;                /* we had it stopped, or tried to */
    enum tdm_play_word word; /* why, if so */
};

static void limit(tdm_call *call, struct play *p, enum step step)
{
    uint64_t end = tdm_now_ns(call->self) + TDM_MS(p->start_ms);

    p->step = step;
    if (step == PLAYING || (end > p->over_ns && step != STOPPING && step != STOP_ASKED))
        end = p->over_ns;
    op_deadline(call, &p->op, end);
}

static void cut(tdm_call *call, struct play *p, enum tdm_play_word word)
{
    if (p->cut)
        return;
    p->cut = true;
    p->word = word;
    if (call->ops->play_stop == NULL)
        return; /* heard out to its end, or to max_ms */
    (void)call->ops->play_stop(call, call->mine, p->op.wire);
    if (!p->op.finished)
        limit(call, p, STOPPING);
}

static void begin_once(tdm_call *call, struct play *p)
{
    struct tdm_play_request req = { .media = p->media, .language = p->language };
    int err = call->ops->play(call, call->mine, p->op.wire, &req);

    if (err != TDM_OK)
        op_finish(&p->op, err);
    if (!p->op.finished && p->step == STARTING)
        limit(call, p, STARTING);
}

static void play_started(tdm_call *call, struct op *op)
{
    struct play *p = (struct play *)op;

    if (p->step == STARTING || p->step == ASKED)
        limit(call, p, PLAYING);
}

static void play_ended(tdm_call *call, struct op *op, enum tdm_play_word word)
{
    struct play *p = (struct play *)op;

    if (p->cut || word != TDM_PLAY_FINISHED || p->loops_left == 0) {
        op_finish(op, p->cut ? p->word : word);
        return;
    }
    p->loops_left--;
    p->step = STARTING;
    op->wire = op_next_ref(call); /* each round is a playback of its own */
    begin_once(call, p);
}

/* For sources that refuse late: an error of the request itself. */
static void play_done(tdm_call *call, struct op *op, int err, const char *value)
{
    (void)value;
    if (err != TDM_OK)
        play_ended(call, op, TDM_PLAY_FAILED);
}

static void give_up(tdm_call *call, struct play *p)
{
    call_say_error(call, "the switch did not say that the playback ended");
    if (!p->cut && call->ops->play_stop != NULL)
        (void)call->ops->play_stop(call, call->mine, p->op.wire);
    op_finish(&p->op, p->cut ? p->word : TDM_PLAY_TIMEOUT);
}

static void ask(tdm_call *call, struct play *p, enum step step)
{
    limit(call, p, step);
    if (call->ops->play_ask == NULL || call->ops->play_ask(call, call->mine, p->op.wire) != TDM_OK)
        give_up(call, p);
}

static void play_time(tdm_call *call, struct op *op)
{
    struct play *p = (struct play *)op;
    bool too_long = tdm_now_ns(call->self) >= p->over_ns;

    if (p->step == STOPPING)
        ask(call, p, STOP_ASKED);
    else if (p->step == STOP_ASKED || (p->cut && too_long))
        give_up(call, p);
    else if (p->step == PLAYING || too_long)
        cut(call, p, TDM_PLAY_TIMEOUT);
    else if (p->step == STARTING)
        ask(call, p, ASKED);
    else
        give_up(call, p);
    if (!op->finished && op->timer == 0)
        give_up(call, p); /* it can not even be stopped */
}

static bool play_digit(tdm_call *call, struct op *op, char digit)
{
    struct play *p = (struct play *)op;

    if (p->cut || p->interrupt_on == NULL)
        return false;
    if (strcmp(p->interrupt_on, "any") != 0 && strchr(p->interrupt_on, digit) == NULL)
        return false;
    op->result.digit = digit;
    cut(call, p, TDM_PLAY_INTERRUPTED);
    return true;
}

static void play_abandon(tdm_call *call, struct op *op)
{
    if (call->ops->play_stop != NULL)
        (void)call->ops->play_stop(call, call->mine, op->wire);
}

static void play_release(tdm_call *call, struct op *op)
{
    struct play *p = (struct play *)op;

    tdm_free(call->self, (void *)(uintptr_t)p->media);
    tdm_free(call->self, p->interrupt_on);
    tdm_free(call->self, p->language);
}

static const struct op_type playing = { .digit = play_digit,
                                        .play_started = play_started,
                                        .play_ended = play_ended,
                                        .done = play_done,
                                        .time = play_time,
                                        .abandon = play_abandon,
                                        .release = play_release };

static int fill(tdm_call *call, struct play *p, const struct tdm_play_opts *opts)
{
    uint32_t max_ms;

    if (opts == NULL || opts->media == NULL || opts->media[0] == NULL)
        return TDM_EINVAL;
    p->media = call_strv(call, opts->media);
    p->interrupt_on = call_strdup(call, opts->interrupt_on);
    p->language = call_strdup(call, opts->language);
    if (p->media == NULL || (opts->interrupt_on != NULL && p->interrupt_on == NULL) ||
        (opts->language != NULL && p->language == NULL))
        return TDM_ENOMEM;
    p->loops_left = opts->loop > 1 ? opts->loop - 1 : 0;
    p->start_ms = opts->start_ms != 0 ? opts->start_ms : 2000;
    max_ms = opts->max_ms != 0 ? opts->max_ms : 600000;
    p->over_ns = tdm_now_ns(call->self) + TDM_MS(max_ms);
    return TDM_OK;
}

struct op *play_begin(tdm_call *call, const struct tdm_play_opts *opts, struct op *whole)
{
    struct play *p = op_new(call, &playing, TDM_VERB_PLAY, sizeof *p);
    int err = op_permitted(call, TDM_VERB_PLAY);

    if (p == NULL)
        return NULL;
    p->op.whole = whole;
    if (err == TDM_OK)
        err = call->ops->play != NULL ? fill(call, p, opts) : TDM_ENOTSUP;
    if (err != TDM_OK)
        op_finish(&p->op, err);
    else
        begin_once(call, p);
    return &p->op;
}

void play_interrupt(tdm_call *call, struct op *op)
{
    if (!op->finished)
        cut(call, (struct play *)op, TDM_PLAY_INTERRUPTED);
}

int tdm_play(tdm_call *call, const char *media)
{
    const char *const list[] = { media, NULL };
    int word = tdm_play_list(call, &(struct tdm_play_opts){ .media = list }, NULL);

    return word == TDM_PLAY_FAILED || word == TDM_PLAY_TIMEOUT ? TDM_EPLAYBACK : word < 0 ? word : TDM_OK;
}

int tdm_play_list(tdm_call *call, const tdm_play_opts *opts, char *digit)
{
    struct op *op;
    int word;

    if (!op_can_wait(call))
        return TDM_ESTATE;
    op = play_begin(call, opts, NULL);
    word = op_wait(call, op);
    if (digit != NULL && word >= 0)
        *digit = op->result.digit;
    if (op != NULL)
        op_free(call, op);
    return word;
}

tdm_ref tdm_play_start(tdm_call *call, const tdm_play_opts *opts)
{
    return op_started(call, play_begin(call, opts, NULL));
}
