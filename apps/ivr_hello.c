/* ivr_hello.c - the smallest app. Begin here.
 *
 * The function runs from the start of the call to its end, on a stack of its own. When the caller hangs up
 * in the middle, each verb says so (TDM_EHANGUP) and the rest runs through quickly. */
#include <tandem/app.h>

static void hello(tdm_call *call)
{
    tdm_answer(call);
    tdm_play(call, "sound:hello-world");
    tdm_hangup(call, TDM_CAUSE_NORMAL);
}
TDM_APP(hello, .summary = "says hello")
