/* close.c - the app is over: see to it that the call is, too.
 *
 * Idea:      closing is an operation like any other. It hangs up (or, when the actor was told to stop, hands
 *            the call back to the dialplan, so that the caller is not lost), then waits a moment for the
 *            switch to say so: the last events of the call find its actor.
 * Invariant: ends in CALL_OVER, whatever the switch does: each step has a limit.
 * Touched by the actor of the call only. */
#include <string.h>

#include "call.h"

struct closing {
    struct op op;
    bool handing_back;
};

static void linger(tdm_call *call, struct op *op)
{
    op_timer(call, op, TDM_MS(CALL_LINGER_MS));
    if (op->finished) /* no memory for a timer */
        call->phase = CALL_OVER;
}

void call_give_up(tdm_call *call)
{
    if (call->given_up || call->ops->give_up == NULL)
        return;
    call->given_up = true;
    if (call->start->app->app.on_give_up != TDM_GIVE_UP_LEAVE)
        call->ops->give_up(call->source, call_start_app(call->start), call_start_id(call->start),
                           call->start->app->app.on_give_up);
}

/* It could not be ended as a verb: at least the switch hears of it, the caller must not stay in silence. */
static void leave_it(tdm_call *call, int err)
{
    tdm_log_error("call.not_ended", "err=%s words=%s", tdm_errname(err),
                  TDM_LOG_TEXT(call->error, strlen(call->error)));
    call->phase = CALL_OVER;
    call_give_up(call);
}

static void request_end(tdm_call *call, struct closing *c)
{
    struct op *part;

    c->handing_back = call->stopping && !c->handing_back && call->ops->hand_back != NULL;
    part = c->handing_back ? verb_hand_back(call, NULL, NULL, 0) : verb_hangup(call, TDM_CAUSE_NORMAL);
    if (part != NULL)
        part->whole = &c->op;
    else
        leave_it(call, TDM_ENOMEM);
}

static void closing_part(tdm_call *call, struct op *op, struct op *part)
{
    struct closing *c = (struct closing *)op;

    if (call->left)
        linger(call, op);
    else if (c->handing_back)
        request_end(call, c); /* it would not take it back: hang up */
    else
        leave_it(call, part->result.result);
}

static void closing_time(tdm_call *call, struct op *op)
{
    (void)op;
    call->phase = CALL_OVER;
}

static const struct op_type closing = { .part = closing_part, .time = closing_time };

/* The app's own hangup may still be under way: then that is the one to wait for. */
static struct op *under_way(tdm_call *call)
{
    for (struct op *op = call->op; op != NULL; op = op->next) {
        if (!op->finished && op_ends_call(op))
            return op;
    }
    return NULL;
}

void call_close(tdm_call *call)
{
    struct closing *c;
    struct op *going = under_way(call);

    if (call->phase != CALL_ACTIVE)
        return;
    call->phase = CALL_CLOSING;
    op_abandon_all(call, call->leaving ? TDM_EHANGUP : TDM_ESTOP, !call->ended);
    if (call->ended) {
        call->phase = CALL_OVER;
        return;
    }
    c = op_new(call, &closing, TDM_VERB_HANGUP, sizeof *c);
    if (c == NULL) {
        leave_it(call, TDM_ENOMEM);
        return;
    }
    c->op.unwanted = true; /* not a verb of the app */
    if (call->left)
        linger(call, &c->op);
    else if (going != NULL)
        going->whole = &c->op;
    else
        request_end(call, c);
}
