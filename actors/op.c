/* op.c - a verb under way: what every operation of a call has in common.
 *
 * Idea:      a verb is an object in the call's list. The message form starts it and returns its ref; the
 *            waiting form starts it and then feeds every message of the actor through call_feed() until
 *            that object has its result. So there is one implementation of each verb, and while a fiber
 *            waits for one thing everything else goes on.
 * Invariant: finishing only marks. Results are handed out by call_pump(), after whatever is going on has
 *            been completed: no operation disappears under the feet of the code that is using it.
 * Touched by the actor of the call only. */
#include <string.h>

#include "call.h"
#include "runtime.h"

tdm_ref op_next_ref(tdm_call *call)
{
    return runtime_next_ref(tdm_self_runtime(call->self));
}

void *op_new(tdm_call *call, const struct op_type *type, enum tdm_verb verb, size_t bytes)
{
    struct op *op = tdm_alloc(call->self, bytes);
    struct op **end = &call->op;

    if (op == NULL)
        return NULL;
    op->type = type;
    op->result.verb = verb;
    op->result.ref = op_next_ref(call);
    op->wire = op->result.ref;
    while (*end != NULL)
        end = &(*end)->next;
    *end = op;
    return op;
}

void op_finish(struct op *op, int result)
{
    if (op->finished)
        return;
    op->finished = true;
    op->result.result = result;
}

void op_free(tdm_call *call, struct op *op)
{
    struct op **p = &call->op;

    while (*p != NULL && *p != op)
        p = &(*p)->next;
    if (*p != NULL)
        *p = op->next;
    op_timer_cancel(call, op);
    if (op->type->release != NULL)
        op->type->release(call, op);
    tdm_free(call->self, op);
}

void op_timer_cancel(tdm_call *call, struct op *op)
{
    if (op->timer == 0)
        return;
    tdm_timer_cancel(call->self, op->timer);
    op->timer = 0;
}

void op_timer(tdm_call *call, struct op *op, uint64_t delay_ns)
{
    op_timer_cancel(call, op);
    op->timer = tdm_timer_start(call->self, delay_ns);
    if (op->timer == 0)
        op_finish(op, TDM_ENOMEM); /* better no answer than a wait without an end */
}

void op_deadline(tdm_call *call, struct op *op, uint64_t deadline_ns)
{
    uint64_t now = tdm_now_ns(call->self);

    if (op->finished)
        return;
    if (deadline_ns == 0)
        op_timer_cancel(call, op);
    else
        op_timer(call, op, deadline_ns > now ? deadline_ns - now : 0);
}

struct op *op_by_wire(tdm_call *call, tdm_ref wire)
{
    for (struct op *op = call->op; op != NULL && wire != 0; op = op->next) {
        if (op->wire == wire && !op->finished)
            return op;
    }
    return NULL;
}

struct op *op_by_timer(tdm_call *call, tdm_ref timer)
{
    for (struct op *op = call->op; op != NULL && timer != 0; op = op->next) {
        if (op->timer == timer)
            return op;
    }
    return NULL;
}

bool op_ends_call(const struct op *op)
{
    enum tdm_verb verb = op->result.verb;

    return verb == TDM_VERB_HANGUP || verb == TDM_VERB_HAND_BACK || verb == TDM_VERB_MOVE;
}

void op_abandon_all(tdm_call *call, int err, bool call_goes_on)
{
    for (struct op *op = call->op; op != NULL; op = op->next) {
        if (op->finished || (op_ends_call(op) && call_goes_on))
            continue;
        if (call_goes_on && op->type->abandon != NULL)
            op->type->abandon(call, op);
        op_finish(op, op_ends_call(op) ? TDM_OK : err);
        if (op->whole != NULL) {
            op->whole = NULL;
            op->unwanted = true;
        }
    }
}

/* An app that goes on although its call is over: let others run, and end it when it has had its time. */
static void overstay(tdm_call *call)
{
    const struct tdm_reason late = { .kind = TDM_EXIT_SHUTDOWN,
                                     .text = "the app did not return after the end of its call" };
    uint64_t now = tdm_now_ns(call->self);

    if (!call->fiber)
        return;
    if (call->refused_ns == 0)
        call->refused_ns = now;
    if (now - call->refused_ns > TDM_MS(CALL_GRACE_MS)) {
        tdm_log_warn("call.overstayed", "app=%s grace_ms=%u", call->app->name, CALL_GRACE_MS);
        tdm_exit(call->self, &late);
    }
    if (++call->refusals > 100)
        (void)tdm_sleep(call->self, TDM_MS(10));
}

int op_permitted(tdm_call *call, enum tdm_verb verb)
{
    bool last_words = verb == TDM_VERB_HANGUP || verb == TDM_VERB_HAND_BACK || verb == TDM_VERB_SET_VAR;

    if (call->ended || call->leaving) {
        overstay(call);
        return TDM_EHANGUP;
    }
    if (call->next_app != NULL)
        return TDM_ESTATE;
    if (call->stopping && !last_words)
        return TDM_ESTOP;
    return TDM_OK;
}

bool op_can_wait(const tdm_call *call)
{
    return call->fiber && call->app->app.run != NULL;
}

tdm_ref op_started(tdm_call *call, struct op *op)
{
    if (op == NULL)
        return 0;
    op->unwanted = op_can_wait(call); /* a fiber app has nowhere to get it */
    return op->result.ref;
}

int op_wait(tdm_call *call, struct op *op)
{
    struct tdm_msg *msg;
    int err;

    if (op == NULL)
        return TDM_ENOMEM;
    op->waited = true;
    call_pump(call); /* a part of it may have failed at once */
    while (!op->finished) {
        err = tdm_receive(call->self, TDM_FOREVER, &msg);
        if (err == TDM_OK)
            call_feed(call, msg);
        else
            call_stop(call);
    }
    return op->result.result;
}

int op_wait_free(tdm_call *call, struct op *op)
{
    int result = op_wait(call, op);

    if (op != NULL)
        op_free(call, op);
    return result;
}
