/* verb.c - the verbs that are one request and one answer: answer, hang up, hand back, move, variables;
 * and pause, which asks nobody.
 *
 * Idea:      each is a `plain` operation: the source is asked, tdm_call_done() is the answer. What the
 *            answer means for the call stands in one place, plain_done().
 * Invariant: once one of the three that end the call has begun, no other verb reaches the switch; when it
 *            fails the call is as it was before.
 * Touched by the actor of the call only. */
#include <string.h>

#include "call.h"

struct plain {
    struct op op;
    char *value; /* of get_var */
};

static int take_value(tdm_call *call, struct plain *p, const char *value)
{
    if (value == NULL)
        return TDM_ENOTFOUND;
    p->value = call_strdup(call, value);
    if (p->value == NULL)
        return TDM_ENOMEM;
    p->op.result.value = p->value;
    return (int)strlen(value);
}

static void plain_done(tdm_call *call, struct op *op, int err, const char *value)
{
    enum tdm_verb verb = op->result.verb;

    if (err == TDM_OK && verb == TDM_VERB_ANSWER)
        call->answered = true;
    if (err == TDM_OK && verb == TDM_VERB_GET_VAR)
        err = take_value(call, (struct plain *)op, value);
    if (op_ends_call(op)) {
        call->left = err == TDM_OK;
        call->leaving = call->left;
        call->refused_ns = 0; /* if it failed, the call is the app's again */
        call->refusals = 0;
    }
    op_finish(op, err);
}

static void plain_time(tdm_call *call, struct op *op)
{
    call_say_error(call, "the source gave no answer");
    plain_done(call, op, TDM_ETIMEOUT, NULL);
}

static void plain_release(tdm_call *call, struct op *op)
{
    tdm_free(call->self, ((struct plain *)op)->value);
}

static const struct op_type plain = { .done = plain_done, .time = plain_time, .release = plain_release };

/* The operation, and whether the source is to be asked: not when the verb is refused already. */
static struct op *plain_new(tdm_call *call, enum tdm_verb verb, bool supported)
{
    struct op *op = op_new(call, &plain, verb, sizeof(struct plain));
    int err = op_permitted(call, verb);

    if (op == NULL)
        return NULL;
    if (err == TDM_OK && !supported)
        err = TDM_ENOTSUP;
    if (err != TDM_OK)
        op_finish(op, err);
    return op;
}

/* The source was asked, with this immediate outcome. It may have answered in the same breath. */
static struct op *asked(tdm_call *call, struct op *op, int err)
{
    if (err != TDM_OK)
        plain_done(call, op, err, NULL);
    else if (!op->finished)
        op_timer(call, op, TDM_MS(CALL_VERB_MAX_MS));
    return op;
}

struct op *verb_answer(tdm_call *call)
{
    struct op *op = plain_new(call, TDM_VERB_ANSWER, call->ops->answer != NULL || call->answered);

    if (op == NULL || op->finished)
        return op;
    if (call->answered) {
        op_finish(op, TDM_OK);
        return op;
    }
    return asked(call, op, call->ops->answer(call, call->mine, op->wire));
}

struct op *verb_hangup(tdm_call *call, int cause)
{
    bool gone = call->ended || call->leaving;
    struct op *op = plain_new(call, TDM_VERB_HANGUP, call->ops->hangup != NULL);

    if (op != NULL && gone)
        op->result.result = TDM_OK; /* what was wanted is so already */
    if (op == NULL || op->finished)
        return op;
    call->leaving = true;
    return asked(call, op,
                 call->ops->hangup(call, call->mine, op->wire, cause != 0 ? cause : TDM_CAUSE_NORMAL));
}

struct op *verb_hand_back(tdm_call *call, const char *context, const char *exten, int priority)
{
    struct op *op = plain_new(call, TDM_VERB_HAND_BACK, call->ops->hand_back != NULL);

    if (op == NULL || op->finished)
        return op;
    call->leaving = true;
    return asked(call, op, call->ops->hand_back(call, call->mine, op->wire, context, exten, priority));
}

/* An app of this process takes over in the same actor: its route stays, and so does what is in the mail. */
static int move_here(tdm_call *call, const struct app_entry *app, const char *args)
{
    int err;

    if (!call->fiber && app->app.run != NULL)
        return TDM_ENOTSUP; /* no stack to run it on */
    err = note_moved(call, app, args);
    if (err == TDM_OK)
        call->next_app = app;
    return err;
}

static struct op *verb_move(tdm_call *call, const char *name, const char *args)
{
    const struct app_entry *here = name != NULL ? app_registry_find(name, strlen(name)) : NULL;
    struct op *op = plain_new(call, TDM_VERB_MOVE, true);

    if (op == NULL || op->finished)
        return op;
    if (here != NULL)
        op_finish(op, move_here(call, here, args));
    else if (name == NULL || call->ops->move == NULL)
        op_finish(op, name == NULL ? TDM_EINVAL : TDM_ENOTFOUND);
    if (op->finished || call->ops->move == NULL)
        return op;
    call->leaving = true;
    return asked(call, op, call->ops->move(call, call->mine, op->wire, name, args));
}

static struct op *verb_set_var(tdm_call *call, const char *name, const char *value)
{
    struct op *op = plain_new(call, TDM_VERB_SET_VAR, call->ops->set_var != NULL);

    if (op != NULL && !op->finished && name == NULL)
        op_finish(op, TDM_EINVAL);
    if (op == NULL || op->finished)
        return op;
    return asked(call, op, call->ops->set_var(call, call->mine, op->wire, name, value != NULL ? value : ""));
}

static struct op *verb_get_var(tdm_call *call, const char *name)
{
    struct op *op = plain_new(call, TDM_VERB_GET_VAR, call->ops->get_var != NULL);

    if (op != NULL && !op->finished && name == NULL)
        op_finish(op, TDM_EINVAL);
    if (op == NULL || op->finished)
        return op;
    return asked(call, op, call->ops->get_var(call, call->mine, op->wire, name));
}

/* ---- pause ----------------------------------------------------------------------------------- */

static void pause_over(tdm_call *call, struct op *op)
{
    (void)call;
    op_finish(op, TDM_OK);
}

static const struct op_type pausing = { .time = pause_over };

static struct op *verb_pause(tdm_call *call, uint32_t ms)
{
    struct op *op = op_new(call, &pausing, TDM_VERB_PAUSE, sizeof *op);
    int err = op_permitted(call, TDM_VERB_PAUSE);

    if (op == NULL)
        return NULL;
    if (err != TDM_OK)
        op_finish(op, err);
    else
        op_timer(call, op, TDM_MS(ms));
    return op;
}

/* ---- the two forms of each ------------------------------------------------------------------- */

int tdm_answer(tdm_call *call)
{
    return op_can_wait(call) ? op_wait_free(call, verb_answer(call)) : TDM_ESTATE;
}

tdm_ref tdm_answer_start(tdm_call *call)
{
    return op_started(call, verb_answer(call));
}

int tdm_hangup(tdm_call *call, int cause)
{
    return op_can_wait(call) ? op_wait_free(call, verb_hangup(call, cause)) : TDM_ESTATE;
}

tdm_ref tdm_hangup_start(tdm_call *call, int cause)
{
    return op_started(call, verb_hangup(call, cause));
}

int tdm_hand_back(tdm_call *call, const char *context, const char *exten, int priority)
{
    if (!op_can_wait(call))
        return TDM_ESTATE;
    return op_wait_free(call, verb_hand_back(call, context, exten, priority));
}

tdm_ref tdm_hand_back_start(tdm_call *call, const char *context, const char *exten, int priority)
{
    return op_started(call, verb_hand_back(call, context, exten, priority));
}

int tdm_move(tdm_call *call, const char *app, const char *args)
{
    return op_can_wait(call) ? op_wait_free(call, verb_move(call, app, args)) : TDM_ESTATE;
}

tdm_ref tdm_move_start(tdm_call *call, const char *app, const char *args)
{
    return op_started(call, verb_move(call, app, args));
}

int tdm_pause(tdm_call *call, uint32_t ms)
{
    return op_can_wait(call) ? op_wait_free(call, verb_pause(call, ms)) : TDM_ESTATE;
}

tdm_ref tdm_pause_start(tdm_call *call, uint32_t ms)
{
    return op_started(call, verb_pause(call, ms));
}

int tdm_set_var(tdm_call *call, const char *name, const char *value)
{
    return op_can_wait(call) ? op_wait_free(call, verb_set_var(call, name, value)) : TDM_ESTATE;
}

tdm_ref tdm_set_var_start(tdm_call *call, const char *name, const char *value)
{
    return op_started(call, verb_set_var(call, name, value));
}

int tdm_get_var(tdm_call *call, const char *name, char *value, size_t bytes)
{
    struct op *op;
    int length;

    if (!op_can_wait(call))
        return TDM_ESTATE;
    op = verb_get_var(call, name);
    length = op_wait(call, op);
    if (length >= 0 && bytes > 0) {
        size_t n = (size_t)length < bytes ? (size_t)length : bytes - 1;

        memcpy(value, op->result.value, n);
        value[n] = '\0';
    }
    if (op != NULL)
        op_free(call, op);
    return length;
}

tdm_ref tdm_get_var_start(tdm_call *call, const char *name)
{
    return op_started(call, verb_get_var(call, name));
}
