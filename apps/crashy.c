/* crashy.c - faults on command, to see what becomes of the other calls, and of this one.
 *
 * The first argument of the call, or the key that is pressed, chooses the fault. The actor ends, its
 * supervisor starts another on the same call, and that one finds out by tdm_call_restarts() that
 * something happened, says so politely and hangs up. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <tandem/app.h>

static volatile int zero;

/* Touches every frame it makes, so that no compiler turns it into a loop; ends only by the stack's end. */
static int overflow(volatile char *above)
{
    volatile char here[512];

    here[0] = above != NULL ? above[0] : 'x';
    return zero == 1 ? 0 : overflow(here) + here[0];
}

static void by_assert(tdm_call *call)
{
    tdm_assert(tdm_call_self(call), zero == 1);
}

static void by_null_write(tdm_call *call)
{
    *(volatile int *)(uintptr_t)zero = tdm_call_argc(call);
}

static void by_division(tdm_call *call)
{
    zero = tdm_call_argc(call) / zero;
}

static void by_overflow(tdm_call *call)
{
    zero = tdm_call_argc(call) + overflow(NULL);
}

static void by_loop(tdm_call *call)
{
    while (zero == 0 && call != NULL)
        continue;
}

static void by_abort(tdm_call *call)
{
    (void)call;
    abort();
}

/* As a callback would by returning an error. */
static void by_error(tdm_call *call)
{
    struct tdm_reason reason = { .kind = TDM_EXIT_ERROR, .code = TDM_EPEER, .text = "asked to fail" };

    tdm_exit(tdm_call_self(call), &reason);
}

static const struct fault {
    char key;
    const char *name;
    void (*commit)(tdm_call *call);
} faults[] = {
    { '1', "error", by_error },       { '2', "assert", by_assert }, { '3', "null", by_null_write },
    { '4', "overflow", by_overflow }, { '5', "loop", by_loop },     { '6', "abort", by_abort },
    { '7', "division", by_division },
};

static const struct fault *chosen(const char *word, int key)
{
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (faults[i].key == key || strcmp(faults[i].name, word) == 0)
            return &faults[i];
    }
    return NULL;
}

static void crashy(tdm_call *call)
{
    const struct fault *fault;

    tdm_answer(call);
    if (tdm_call_restarts(call) > 0) {
        tdm_log_info("crashy.again", "restarts=%u note=%s", tdm_call_restarts(call),
                     tdm_note_last(call, NULL));
        tdm_play(call, "sound:sorry");
        return; /* which hangs up */
    }
    fault = chosen(tdm_call_arg(call, 0), 0);
    if (fault == NULL)
        fault = chosen(
            "", tdm_menu(call, &(tdm_menu_opts){ .prompt = "sound:enter-a-number", .choices = "1234567" }));
    if (fault == NULL)
        return;
    tdm_note_text(call, fault->name);
    fault->commit(call);
}
TDM_APP(crashy, .summary = "faults on command: error, assert, null, overflow, loop, abort, division")
