/* ask.c - a question: the machine of gather.c, given a prompt to play, digits and a clock.
 *
 * Idea:      the operation hears everything first (digits, time, the end of its prompt), hands it to the
 *            machine and does what the machine says. The prompt is an ordinary play, a part of the question.
 * Invariant: a digit the machine does not take goes to the type-ahead buffer of the call, where the next
 *            question finds it only if it asks for it.
 * Touched by the actor of the call only. */
#include <string.h>

#include "call.h"
#include "gather.h"

struct ask {
    struct op op;
    struct gather machine;
    struct op *prompt; /* that plays now; NULL */
};

static uint64_t now(tdm_call *call)
{
    return tdm_now_ns(call->self);
}

static size_t count(const char *const *list)
{
    size_t n = 0;

    while (list != NULL && list[n] != NULL)
        n++;
    return n;
}

static int play_prompt(tdm_call *call, struct ask *a)
{
    const struct tdm_gather_opts *o = &a->machine.opts;
    size_t n = count(o->prompts), at = 0;
    const char **media = tdm_alloc(call->self, (n + 3) * sizeof *media);

    if (media == NULL)
        return TDM_ENOMEM;
    if (a->machine.announce != NULL)
        media[at++] = a->machine.announce;
    if (o->prompt != NULL)
        media[at++] = o->prompt;
    for (size_t i = 0; i < n; i++)
        media[at++] = o->prompts[i];
    a->prompt = play_begin(call, &(struct tdm_play_opts){ .media = media }, &a->op);
    tdm_free(call->self, (void *)media);
    return a->prompt != NULL ? TDM_OK : TDM_ENOMEM;
}

static void finish(struct ask *a)
{
    struct op *op = &a->op;

    op->result.gather = a->machine.result;
    op_finish(op, op->result.verb == TDM_VERB_MENU ? menu_choice(&a->machine.opts, &a->machine.result)
                                                   : (int)a->machine.result.word);
}

static void act(tdm_call *call, struct ask *a, enum gather_act what)
{
    int err = TDM_OK;

    if (what == GATHER_DONE)
        finish(a);
    else if (what == GATHER_PLAY)
        err = play_prompt(call, a);
    else if (what == GATHER_STOP && a->prompt != NULL)
        play_interrupt(call, a->prompt);
    if (err != TDM_OK)
        op_finish(&a->op, err);
    op_deadline(call, &a->op, a->machine.deadline_ns);
}

static bool ask_digit(tdm_call *call, struct op *op, char digit)
{
    struct ask *a = (struct ask *)op;

    if (!gather_takes(&a->machine))
        return false;
    act(call, a, gather_digit(&a->machine, digit, now(call)));
    return true;
}

/* The prompt is over. One that could not be played is no reason not to listen; a switch that can not
 * play at all, or a call that has ended, is. */
static void ask_part(tdm_call *call, struct op *op, struct op *part)
{
    struct ask *a = (struct ask *)op;

    if (part != a->prompt)
        return;
    a->prompt = NULL;
    if (part->result.result < 0)
        op_finish(op, part->result.result);
    else
        act(call, a, gather_prompt_ended(&a->machine, now(call)));
}

static void ask_time(tdm_call *call, struct op *op)
{
    struct ask *a = (struct ask *)op;

    act(call, a, gather_time(&a->machine, now(call)));
}

static void ask_release(tdm_call *call, struct op *op)
{
    struct tdm_gather_opts *o = &((struct ask *)op)->machine.opts;
    const void *const blocks[] = { o->prompt,         o->prompts,     o->invalid_prompt,
                                   o->timeout_prompt, o->terminators, o->valid };

    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        tdm_free(call->self, (void *)(uintptr_t)blocks[i]);
}

static const struct op_type asking = {
    .digit = ask_digit, .time = ask_time, .part = ask_part, .release = ask_release
};

/* The question outlives the caller's options in message form. True: all could be kept. */
static bool keep_opts(tdm_call *call, struct tdm_gather_opts *to, const struct tdm_gather_opts *from)
{
    *to = *from;
    to->prompt = call_strdup(call, from->prompt);
    to->prompts = call_strv(call, from->prompts);
    to->invalid_prompt = call_strdup(call, from->invalid_prompt);
    to->timeout_prompt = call_strdup(call, from->timeout_prompt);
    to->terminators = call_strdup(call, from->terminators != NULL ? from->terminators : "#");
    to->valid = call_strv(call, from->valid);
    return !to->prompt == !from->prompt && !to->prompts == !from->prompts &&
           !to->invalid_prompt == !from->invalid_prompt && !to->timeout_prompt == !from->timeout_prompt &&
           to->terminators != NULL && !to->valid == !from->valid;
}

/* What was pressed before the question counts only if the question says so. */
static enum gather_act type_ahead(tdm_call *call, struct ask *a)
{
    enum gather_act what = GATHER_WAIT;
    uint32_t used = 0;

    if (!a->machine.opts.type_ahead)
        call->type_ahead_count = 0;
    while (used < call->type_ahead_count && a->machine.state == GATHER_READY)
        what = gather_digit(&a->machine, call->type_ahead[used++], now(call));
    call->type_ahead_count -= used;
    memmove(call->type_ahead, call->type_ahead + used, call->type_ahead_count);
    return a->machine.state == GATHER_READY ? gather_begin(&a->machine, now(call)) : what;
}

struct op *ask_begin(tdm_call *call, const struct tdm_gather_opts *opts, enum tdm_verb verb)
{
    static const struct tdm_gather_opts none;
    struct ask *a = op_new(call, &asking, verb, sizeof *a);
    struct tdm_gather_opts kept;
    int err = op_permitted(call, verb);

    if (a == NULL)
        return NULL;
    if (err == TDM_OK) {
        err = keep_opts(call, &kept, opts != NULL ? opts : &none) ? gather_init(&a->machine, &kept, now(call))
                                                                  : TDM_ENOMEM;
        if (err != TDM_OK)
            a->machine.opts = kept; /* for ask_release() */
    }
    if (err != TDM_OK)
        op_finish(&a->op, err);
    else
        act(call, a, type_ahead(call, a));
    return &a->op;
}

int tdm_gather(tdm_call *call, const tdm_gather_opts *opts, tdm_gather_result *result)
{
    struct op *op;
    int word;

    if (!op_can_wait(call))
        return TDM_ESTATE;
    op = ask_begin(call, opts, TDM_VERB_GATHER);
    word = op_wait(call, op);
    if (result != NULL && word >= 0)
        *result = op->result.gather;
    if (op != NULL)
        op_free(call, op);
    return word;
}

tdm_ref tdm_gather_start(tdm_call *call, const tdm_gather_opts *opts)
{
    return op_started(call, ask_begin(call, opts, TDM_VERB_GATHER));
}
