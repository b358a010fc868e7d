/* script.h - what a caller does, in one line of text.
 *
 * Steps are separated by ';' and done in order:
 *
 *     wait 200ms            also "wait 2s", "wait 100..400ms": a random time between the two
 *     wait answer           until the call is answered          (also wait-answer)
 *     wait play             until a prompt begins that no earlier "wait play" has seen
 *     wait quiet            until no prompt plays and none is queued
 *     press 42#             digits 0-9 * # A-D, with a gap between them
 *     press 1|2|9           one of these, by lot
 *     hangup                the caller ends the call
 *     hangup 20%            in that many of a hundred calls; else go on
 *     hangup@any            somewhere in the script, drawn anew for each call, also before the first step
 *
 * After the last step the caller listens until the other side hangs up (or the call limit is over).
 * Times are times of the model's clock; in zero-time mode only sounds take no time, waits do. */
#ifndef APPS_EXCHANGE_SCRIPT_H
#define APPS_EXCHANGE_SCRIPT_H
#define EX_SCRIPT_WORDS                                                                                \
    "wait 200ms | wait 100..400ms | wait answer | wait play | wait quiet | press 42# | press 1|2|9 | " \
    "hangup | hangup 20% | hangup@any, separated by ';'"
#endif
