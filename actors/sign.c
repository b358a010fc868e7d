/* sign.c - what the source tells a call, and what an app may know of it.
 *
 * Signs come from the source's event() and message(), in the actor of the call. They change the facts kept
 * here and move the operations under way; they never run the app.
 * Touched by the actor of the call only. */
#include <string.h>

#include "call.h"

TDM_COUNTER(digits_dropped, "tandem_digits_dropped_total",
            "digits pressed with no question and no room left");

/* ---- strings in the actor's memory ----------------------------------------------------------- */

char *call_strdup(tdm_call *call, const char *text)
{
    return text != NULL ? tdm_strdup(call->self, text) : NULL;
}

const char *const *call_strv(tdm_call *call, const char *const *list)
{
    size_t n = 0, bytes = 0;
    const char **copy;
    char *to;

    if (list == NULL)
        return NULL;
    for (; list[n] != NULL; n++)
        bytes += strlen(list[n]) + 1;
    copy = tdm_alloc(call->self, (n + 1) * sizeof *copy + bytes);
    if (copy == NULL)
        return NULL;
    to = (char *)(copy + n + 1);
    for (size_t i = 0; i < n; i++) {
        copy[i] = to;
        to = stpcpy(to, list[i]) + 1;
    }
    copy[n] = NULL;
    return copy;
}

static void replace(tdm_call *call, char **text, const char *by)
{
    char *copy = by != NULL ? call_strdup(call, by) : NULL;

    if (by == NULL || copy == NULL)
        return;
    tdm_free(call->self, *text);
    *text = copy;
}

void call_say_error(tdm_call *call, const char *words)
{
    size_t n = strnlen(words, sizeof call->error - 1);

    memcpy(call->error, words, n);
    call->error[n] = '\0';
}

/* ---- signs ----------------------------------------------------------------------------------- */

void tdm_call_set_number(tdm_call *call, const char *caller, const char *exten)
{
    replace(call, &call->caller, caller);
    replace(call, &call->exten, exten);
}

void tdm_call_set_args(tdm_call *call, int argc, const char *const *argv)
{
    const char **list = tdm_alloc(call->self, ((size_t)argc + 1) * sizeof *list);

    if (list == NULL)
        return;
    for (int i = 0; i < argc; i++)
        list[i] = argv[i] != NULL ? argv[i] : "";
    tdm_free(call->self, (void *)(uintptr_t)call->argv);
    call->argv = call_strv(call, list);
    call->argc = call->argv != NULL ? argc : 0;
    tdm_free(call->self, (void *)(uintptr_t)list);
}

void call_split_args(tdm_call *call, const char *args)
{
    const char *argv[CALL_ARGS_MAX + 2];
    char text[CALL_ARGS_MAX + 1] = "";
    char *rest = text, *arg;
    int argc = 0;

    if (args != NULL && args[0] != '\0') {
        strncpy(text, args, sizeof text - 1);
        while ((arg = strsep(&rest, ",")) != NULL)
            argv[argc++] = arg;
    }
    tdm_call_set_args(call, argc, argv);
}

void tdm_call_is_answered(tdm_call *call)
{
    call->answered = true;
}

void tdm_call_digit(tdm_call *call, char digit)
{
    for (struct op *op = call->op; op != NULL; op = op->next) {
        if (!op->finished && op->type->digit != NULL && op->type->digit(call, op, digit)) {
            call->consumed = true;
            return;
        }
    }
    if (call->type_ahead_count < CALL_TYPE_AHEAD)
        call->type_ahead[call->type_ahead_count++] = digit;
    else
        tdm_count(&digits_dropped, 1);
}

void tdm_call_play_started(tdm_call *call, tdm_ref ref)
{
    struct op *op = op_by_wire(call, ref);

    if (op == NULL || op->type->play_started == NULL)
        return;
    call->consumed = true;
    op->type->play_started(call, op);
}

void tdm_call_play_ended(tdm_call *call, tdm_ref ref, enum tdm_play_word word)
{
    struct op *op = op_by_wire(call, ref);

    if (op == NULL || op->type->play_ended == NULL)
        return;
    call->consumed = true;
    op->type->play_ended(call, op, word);
}

void tdm_call_done(tdm_call *call, tdm_ref ref, int err, const char *words, const char *value)
{
    struct op *op = op_by_wire(call, ref);

    if (op == NULL || op->type->done == NULL)
        return;
    call->consumed = true;
    if (err != TDM_OK)
        call_say_error(call, words != NULL ? words : tdm_strerror(err));
    op->type->done(call, op, err, value);
}

/* ---- facts ----------------------------------------------------------------------------------- */

tdm_self *tdm_call_self(tdm_call *call)
{
    return call->self;
}

const char *tdm_call_id(const tdm_call *call)
{
    return call_start_id(call->start);
}

const char *tdm_call_source(const tdm_call *call)
{
    return tdm_source_name(call->source);
}

struct tdm_source *tdm_call_source_of(tdm_call *call)
{
    return call->source;
}

const char *tdm_call_app(const tdm_call *call)
{
    return call->app->name;
}

const char *tdm_call_caller(const tdm_call *call)
{
    return call->caller != NULL ? call->caller : "";
}

const char *tdm_call_exten(const tdm_call *call)
{
    return call->exten != NULL ? call->exten : "";
}

int tdm_call_argc(const tdm_call *call)
{
    return call->argc;
}

const char *tdm_call_arg(const tdm_call *call, int n)
{
    return n >= 0 && n < call->argc ? call->argv[n] : "";
}

bool tdm_call_answered(const tdm_call *call)
{
    return call->answered;
}

bool tdm_call_ended(const tdm_call *call)
{
    return call->ended || call->left;
}

bool tdm_call_adopted(const tdm_call *call)
{
    return call->start->adopted;
}

uint32_t tdm_call_restarts(const tdm_call *call)
{
    return call->restarts;
}

tdm_event *tdm_call_start_event(tdm_call *call)
{
    return call->event;
}

const char *tdm_call_option(const tdm_call *call, const char *name)
{
    return app_entry_option(call->app, name);
}

const char *tdm_call_error(const tdm_call *call)
{
    return call->error;
}
