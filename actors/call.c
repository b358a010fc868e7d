/* call.c - one call, one actor: its life from the start event to the end.
 *
 * Idea:      two behaviours, one implementation. call_fiber runs an app's function on a stack of its own;
 *            call_reactive calls an app's table. In both everything the actor receives goes through
 *            call_feed(): first the source translates it into signs (sign.c), these move the operations
 *            under way (op.c), and what is left is the app's.
 * Life:      ACTIVE, the app runs; CLOSING, it is over and the call is being ended (close.c); OVER.
 * Restart:   an incarnation begins with nothing but its start argument, the mail that waits and the note.
 *            init only takes these over. Whatever may crash, the source's begin and the app, runs after
 *            it, where a crash is counted and restarted like any other.
 * Memory:    all of it by tdm_alloc(): gone with the incarnation, crash or not.
 * Touched by the actor of the call only. */
#include "call.h"

#include <stdio.h>
#include <string.h>

#include "dispatch.h"
#include "event.h"

#define MSG_KICK (TDM_MSG_INTERNAL + 700) /* to oneself: begin, though no mail has come */

TDM_COUNTER(calls_restarted, "tandem_calls_restarted_total", "starts of a call's actor after a crash");

/* ---- the app's turn -------------------------------------------------------------------------- */

static const struct tdm_call_behaviour *table_of(const tdm_call *call)
{
    return call->app->app.behaviour;
}

/* Does the app's table still want to hear? */
static bool listens(const tdm_call *call)
{
    return table_of(call) != NULL && call->begun && !call->app_done && call->verdict == TDM_OK;
}

static void judge(tdm_call *call, int verdict)
{
    if (verdict < 0)
        call->verdict = verdict;
    else if (verdict != TDM_OK)
        call->app_done = true;
}

static int prepare_app(tdm_call *call)
{
    const struct tdm_call_behaviour *table = table_of(call);

    tdm_free(call->self, call->app_state);
    call->app_state = NULL;
    call->app_done = false;
    call->end_told = false;
    if (table == NULL || table->state_bytes == 0)
        return TDM_OK;
    call->app_state = tdm_alloc(call->self, table->state_bytes);
    return call->app_state != NULL ? TDM_OK : TDM_ENOMEM;
}

static void tell_end(tdm_call *call)
{
    if (table_of(call) == NULL || call->end_told || !call->begun)
        return;
    call->end_told = true;
    if (table_of(call)->on_end != NULL)
        table_of(call)->on_end(call, call->app_state);
}

/* The app that the call was moved to takes over, with nothing of the old one under way. */
static int switch_app(tdm_call *call)
{
    op_abandon_all(call, TDM_ESTATE, true);
    for (struct op *op = call->op; op != NULL; op = op->next)
        op->unwanted = true;
    call->app = call->next_app;
    call->next_app = NULL;
    call->moved = true;
    call_split_args(call, call->moved_args);
    return prepare_app(call);
}

/* ---- results --------------------------------------------------------------------------------- */

static struct op *next_finished(tdm_call *call)
{
    struct op *op = call->op;

    while (op != NULL && (!op->finished || op->waited))
        op = op->next;
    return op;
}

static void hand_over(tdm_call *call, struct op *op)
{
    struct op *whole = op->whole;

    if (whole != NULL && !whole->finished)
        whole->type->part(call, whole, op);
    else if (whole == NULL && !op->unwanted && listens(call) && table_of(call)->on_verb != NULL)
        judge(call, table_of(call)->on_verb(call, call->app_state, &op->result));
}

void call_pump(tdm_call *call)
{
    struct op *op;

    while ((op = next_finished(call)) != NULL) {
        op->waited = true; /* so that it is not found again, should the app start something */
        hand_over(call, op);
        op_free(call, op);
    }
}

/* ---- what the actor receives ----------------------------------------------------------------- */

static void end_call(tdm_call *call)
{
    if (call->ended)
        return;
    call->ended = true;
    op_abandon_all(call, TDM_EHANGUP, false);
    if (call->phase == CALL_CLOSING)
        call->phase = CALL_OVER;
}

void tdm_call_has_ended(tdm_call *call, int cause)
{
    (void)cause;
    end_call(call);
}

static void feed_event(tdm_call *call, struct tdm_msg *msg)
{
    bool last = msg->type == TDM_MSG_CALL_END;
    tdm_event *event = tdm_msg_event(msg);

    source_observe(call->start, last ? "end" : "event", event);
    call->consumed = false;
    if (call->ops->event != NULL)
        call->ops->event(call, call->mine, event);
    if (last)
        end_call(call);
    if (listens(call) && table_of(call)->on_event != NULL)
        judge(call, table_of(call)->on_event(call, call->app_state, event));
    else if (op_can_wait(call) && !call->consumed && call->phase == CALL_ACTIVE)
        unread_keep(call, event);
}

static bool feed_timer(tdm_call *call, struct tdm_msg *msg)
{
    struct op *op = op_by_timer(call, msg->ref);

    if (op == NULL)
        return false;
    op->timer = 0;
    if (!op->finished && op->type->time != NULL)
        op->type->time(call, op);
    return true;
}

static void feed_other(tdm_call *call, struct tdm_msg *msg)
{
    if (msg->type == TDM_MSG_TIMER && feed_timer(call, msg))
        return;
    if (call->ops->message != NULL && call->ops->message(call, call->mine, msg))
        return;
    if (listens(call) && table_of(call)->on_message != NULL)
        judge(call, table_of(call)->on_message(call, call->app_state, msg));
}

/* A table app does not wait for anything, so nothing tells it of the stop but the end. */
void call_stop(tdm_call *call)
{
    call->stopping = true;
    if (call->phase == CALL_CLOSING && call->left)
        call->phase = CALL_OVER;
    else if (call->phase == CALL_ACTIVE && table_of(call) != NULL)
        call_close(call);
    else if (call->phase == CALL_ACTIVE)
        op_abandon_all(call, TDM_ESTOP, true);
}

void call_feed(tdm_call *call, struct tdm_msg *msg)
{
    if (msg->type == TDM_MSG_EVENT || msg->type == TDM_MSG_CALL_END)
        feed_event(call, msg);
    else if (msg->type == TDM_MSG_STOP)
        call_stop(call);
    else if (msg->type != MSG_KICK)
        feed_other(call, msg);
    call_pump(call);
}

/* ---- beginning ------------------------------------------------------------------------------- */

/* The text of the start event is kept once, in the event. */
static int copy_start(tdm_call *call, const struct tdm_start *start)
{
    const struct call_start *from = start->arg;
    const char *json = call_start_json(from);
    size_t bytes = (size_t)(json - (const char *)from);
    struct event_head head = { .application = call_start_app(from),
                               .application_bytes = from->switch_app_bytes,
                               .source = tdm_source_name(from->source) };
    struct call_start *copy = tdm_alloc(call->self, bytes);

    if (copy == NULL)
        return TDM_ENOMEM;
    memcpy(copy, from, bytes);
    copy->json_bytes = 0;
    if (start->restarts > 0) /* what crashed may have been replaced; entries and names stay */
        copy->app = app_registry_find(copy->app->name, strlen(copy->app->name));
    call->start = copy;
    call->source = copy->source;
    call->ops = dispatch_ops(copy->source);
    call->app = copy->app;
    call->restarts = start->restarts;
    return event_for_actor(call->self, &head, json, from->json_bytes, &call->event);
}

static int set_up(tdm_call *call, const struct tdm_start *start)
{
    int err = copy_start(call, start);

    if (err == TDM_OK)
        err = note_durable(call);
    if (err == TDM_OK)
        err = note_restore(call);
    if (err == TDM_OK)
        err = prepare_app(call);
    if (err == TDM_OK && call->ops->call_bytes > 0) {
        call->mine = tdm_alloc(call->self, call->ops->call_bytes);
        err = call->mine != NULL ? TDM_OK : TDM_ENOMEM;
    }
    return err;
}

static int init(tdm_self *self, tdm_call *call, const struct tdm_start *start, bool fiber)
{
    struct tdm_msg *kick;
    int err;

    call->self = self;
    call->fiber = fiber;
    dispatch_call_here(start->arg, tdm_self_place(self));
    err = set_up(call, start);
    kick = err == TDM_OK && !fiber ? tdm_msg_new(tdm_self_runtime(self), MSG_KICK, 0) : NULL;
    if (err == TDM_OK && !fiber && kick == NULL)
        err = TDM_ENOMEM;
    /* Refused only by a full mailbox, and then there is other mail to begin at. */
    if (kick != NULL && tdm_send(tdm_self_runtime(self), tdm_self_pid(self), kick) != TDM_OK)
        tdm_msg_free(tdm_self_runtime(self), kick);
    if (err != TDM_OK && start->restarts == 0)
        dispatch_call_lost(start->arg, tdm_self_place(self), tdm_strerror(err)); /* nobody starts it again */
    return err;
}

static int init_fiber(tdm_self *self, void *state, const struct tdm_start *start)
{
    tdm_call *call = state;

    call->stack_bytes = app_registry_stack_bytes(); /* apps may have come since the source was started */
    tdm_stack(self, call->stack_bytes);
    return init(self, state, start, true);
}

static int init_reactive(tdm_self *self, void *state, const struct tdm_start *start)
{
    return init(self, state, start, false);
}

/* First thing that may crash. TDM_STOP: the source says that the call is gone. */
static int begin(tdm_call *call)
{
    int err;

    if (call->begun)
        return TDM_OK;
    if (call->restarts > 0)
        tdm_count(&calls_restarted, 1);
    source_observe(call->start, call->restarts > 0 ? "restart" : "start", call->event);
    err = call->ops->begin != NULL ? call->ops->begin(call, call->mine, call->event) : TDM_OK;
    if (err != TDM_OK)
        return err < 0 ? err : TDM_STOP;
    call->begun = true;
    if (call->moved)
        call_split_args(call, call->moved_args);
    return TDM_OK;
}

/* ---- table apps ------------------------------------------------------------------------------ */

static void start_table(tdm_call *call)
{
    if (table_of(call)->on_start != NULL)
        judge(call, table_of(call)->on_start(call, call->app_state));
    call_pump(call);
}

/* After each message: has the app, or the call, come to an end? TDM_OK: go on. */
static int settle(tdm_call *call)
{
    int err = TDM_OK;

    if (call->verdict < 0)
        return call->verdict;
    if (call->phase == CALL_ACTIVE && (call->ended || call->left || call->app_done))
        call_close(call);
    call_pump(call);
    if (call->phase == CALL_OVER) {
        tell_end(call);
        return TDM_STOP;
    }
    if (call->next_app == NULL)
        return TDM_OK;
    err = switch_app(call);
    if (err == TDM_OK && table_of(call) != NULL)
        start_table(call);
    return err;
}

static int handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    tdm_call *call = state;
    bool fresh = !call->begun;
    int err = begin(call);

    (void)self;
    if (err != TDM_OK)
        return err;
    if (fresh)
        start_table(call);
    if (call->verdict == TDM_OK)
        call_feed(call, msg);
    return settle(call);
}

/* ---- function apps --------------------------------------------------------------------------- */

static int receive_one(tdm_call *call)
{
    struct tdm_msg *msg;
    int err = tdm_receive(call->self, TDM_FOREVER, &msg);

    if (err == TDM_OK)
        call_feed(call, msg);
    else
        call_stop(call);
    return call->verdict;
}

/* A table app on a fiber: the call was moved to it. 1: and on to a function app, which is to run now. */
static int run_table(tdm_call *call)
{
    int err;

    start_table(call);
    err = settle(call);
    while (err == TDM_OK && table_of(call) != NULL) {
        err = receive_one(call);
        if (err == TDM_OK)
            err = settle(call);
    }
    if (err < 0)
        return err;
    return err == TDM_STOP ? TDM_OK : 1;
}

/* 1: the call was moved to another app, which is to run now. */
static int run_app(tdm_call *call)
{
    int err;

    if (table_of(call) != NULL)
        return run_table(call);
    call->app->app.run(call);
    if (call->next_app == NULL || call->ended)
        return TDM_OK;
    err = switch_app(call);
    return err < 0 ? err : 1;
}

static int run(tdm_self *self, void *state)
{
    tdm_call *call = state;
    int err = begin(call);

    if (err != TDM_OK)
        return err;
    do {
        err = run_app(call);
    } while (err > 0 && call->app->app.stack_bytes <= call->stack_bytes);
    if (err > 0) { /* moved to an app, or a version, that needs more than there was at our start */
        call->stack_bytes = call->app->app.stack_bytes;
        return tdm_run_again(self, call->stack_bytes);
    }
    if (err < 0)
        return err;
    call_close(call);
    call_pump(call);
    while (call->phase != CALL_OVER && err == TDM_OK)
        err = receive_one(call);
    return err < 0 ? err : TDM_STOP;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* In order of promise: the app has heard of the end, then the names are free, then others learn of it. */
static int terminate(tdm_self *self, void *state, const struct tdm_reason *reason)
{
    tdm_call *call = state;

    if (call->start == NULL)
        return TDM_OK;
    if (reason->kind != TDM_EXIT_NORMAL && reason->kind != TDM_EXIT_SHUTDOWN)
        return TDM_OK; /* abnormal: there will be another incarnation, or on_give_up */
    if (call->begun && !call->ended && !call->left)
        call_give_up(call); /* the app ended the actor by itself: the caller must not stay in silence */
    if (call->begun && call->ops->end != NULL)
        call->ops->end(call, call->mine);
    source_observe(call->start, "exit", call->event);
    dispatch_call_gone(call, tdm_self_place(self));
    return TDM_OK;
}

static void format_state(const void *state, char *buf, size_t bytes)
{
    static const char *const phases[] = { "active", "closing", "over" };
    const tdm_call *call = state;

    (void)snprintf(buf, bytes, "app=%s id=%s phase=%s answered=%d ended=%d restarts=%u",
                   call->app != NULL ? call->app->name : "?",
                   call->start != NULL ? call_start_id(call->start) : "?", phases[call->phase],
                   call->answered, call->ended, call->restarts);
}

const struct tdm_behaviour call_fiber = { .name = "call",
                                          .state_bytes = sizeof(struct tdm_call),
                                          .init = init_fiber,
                                          .run = run,
                                          .terminate = terminate,
                                          .format_state = format_state };

const struct tdm_behaviour call_reactive = { .name = "call",
                                             .state_bytes = sizeof(struct tdm_call),
                                             .init = init_reactive,
                                             .handle = handle,
                                             .terminate = terminate,
                                             .format_state = format_state };
