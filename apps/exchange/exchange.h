/* exchange.h - a simulated Asterisk: an actor with a listening socket that places calls.
 *
 *     struct exchange_cfg cfg = { .app = "ivr", .calls = 1000, .report_to = my_pid };
 *     struct exchange *ex;
 *     exchange_start(rt, &cfg, &ex, why, sizeof why);
 *     ... connect to exchange_port(ex) as to an Asterisk; EXCHANGE_DONE comes to my_pid ...
 *     exchange_stop(ex);
 *
 * All of it is on the public headers, so it runs in the deterministic environment too. What it does on the
 * wire is in model.h, what can be asked of it in cfg.h, what callers do in script.h. */
#ifndef APPS_EXCHANGE_H
#define APPS_EXCHANGE_H
#include <stddef.h>

#include <tandem/actor.h>

#include "cfg.h"

struct exchange;

/* Messages to cfg.report_to. */
enum {
    EXCHANGE_STEP = TDM_MSG_USER + 7100, /* struct exchange_step; only with cfg.steps */
    EXCHANGE_DONE,                       /* struct exchange_counters; once */
};

enum exchange_step_kind { EXCHANGE_STEP_CALLER, EXCHANGE_STEP_EVENT, EXCHANGE_STEP_REQUEST };

/* Something that happened in one call, as a line of its ladder: what the caller did, an event and to
 * which app, a request and its answer. */
struct exchange_step {
    uint64_t at_ns; /* of the runtime's monotonic clock */
    enum exchange_step_kind kind;
    char channel[64];
    char text[240];
};

/* Start: it listens when this returns. cfg and all it points to are copied. The runtime must outlive it.
 * Threads: any but a worker.
 * Errors:  TDM_ESYNTAX a script cannot be read (`why` says which step); -EADDRINUSE and kin; TDM_ENOMEM. */
int exchange_start(struct tdm_runtime *rt, const struct exchange_cfg *cfg, struct exchange **ret, char *why,
                   size_t why_bytes);
/* Stop the actor, wait for its end, close the sockets, free. NULL is fine. Threads: any but a worker. */
void exchange_stop(struct exchange *ex);

uint16_t exchange_port(const struct exchange *ex);
tdm_pid exchange_pid(const struct exchange *ex);

/* By hand, beside or instead of cfg.calls. All only send a message; threads: any. TDM_OK, TDM_ENOMEM,
 * TDM_ENOPROC, TDM_EFULL; TDM_ETOOBIG for texts longer than their field. */
struct exchange_call {
    const char *exten;      /* what is dialled; NULL: one of the plans */
    const char *caller;     /* the caller's number; NULL: one of its own */
    const char *script;     /* what the caller does; NULL: nothing but what is sent by the functions below */
    const char *app, *args; /* NULL: as configured */
};
int exchange_place_call(struct exchange *ex, const struct exchange_call *call);
/* channel NULL: the call that was last placed by hand. A digit or channel that does not exist is logged. */
int exchange_press(struct exchange *ex, const char *channel, const char *digits);
int exchange_hang_up(struct exchange *ex, const char *channel);
/* Come to an end: no more calls, all callers hang up, and when their receipts are in (or cfg.settle_ms
 * have passed) EXCHANGE_DONE is sent. */
int exchange_finish(struct exchange *ex);

/* ---- the result ------------------------------------------------------------------------------ */

/* One JSON object without a newline. Keys that rest on receipts are null when there were none. Returns
 * the length needed, like snprintf. */
size_t exchange_result(char *buf, size_t bytes, const struct exchange_counters *c);
/* Was every event delivered once and in order, apart from what was injected? Without receipts nothing
 * is known against it: true. */
bool exchange_good(const struct exchange_counters *c);

#endif
