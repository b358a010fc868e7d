/* demo_screen.h - the calls of an exchange, as a person wants to see them. See demo_screen.c. */
#ifndef APPS_DEMO_SCREEN_H
#define APPS_DEMO_SCREEN_H
#include <tandem/actor.h>

#include "exchange/exchange.h"

/* What the screen actor leaves behind for the command when the exchange is done. */
struct demo_result {
    struct exchange_counters counters;
    bool until_gone;   /* say so when the first caller has gone, too */
    _Atomic bool told; /* release after the counters were written; partner: the command's acquire */
};

/* Start the actor that gets an exchange's steps (cfg.report_to). `live`: one list that is drawn again and again, for
 * a terminal; else a line for each thing worth telling. It tells the command by program_say_done(). */
int demo_screen_start(struct tdm_runtime *rt, bool live, struct demo_result *result, tdm_pid *ret);

#endif
