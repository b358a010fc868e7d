/* crashy.c - faults on command, to see what becomes of the other calls, and of this one.
 *
 * The first argument of the call, or the key that is pressed, chooses the fault. The actor ends, its
 * supervisor starts another on the same call, and that one finds out by tdm_call_restarts() that
 * something happened, says so politely and hangs up. */
#include <tandem/app.h>

#include "misdeed.h"

static void crashy(tdm_call *call)
{
    const struct misdeed *fault;

    tdm_answer(call);
    if (tdm_call_restarts(call) > 0) {
        tdm_log_info("crashy.again", "restarts=%u note=%s", tdm_call_restarts(call),
                     tdm_note_last(call, NULL));
        tdm_play(call, "sound:sorry");
        return; /* which hangs up */
    }
    fault = misdeed_by_name(tdm_call_arg(call, 0));
    if (fault == NULL)
        fault = misdeed_by_key(
            tdm_menu(call, &(tdm_menu_opts){ .prompt = "sound:enter-a-number", .choices = MISDEED_KEYS }));
    if (fault == NULL)
        return;
    tdm_note_text(call, fault->name);
    fault->commit(call);
    (void)tdm_pause(call, 60000); /* for the kill to arrive */
}
TDM_APP(crashy, .summary = "faults on command: error, assert, null, overflow, loop, abort, division, "
                           "allocation, exit, kill")
