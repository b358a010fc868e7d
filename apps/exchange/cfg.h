/* cfg.h - what an exchange is told before it starts, and what it counts. Zero means the default. */
#ifndef APPS_EXCHANGE_CFG_H
#define APPS_EXCHANGE_CFG_H
#include <stdbool.h>
#include <stdint.h>

#include <tandem/env.h>
#include <tandem/msg.h>

#include "audit.h"

/* Which of the two comes first where the real server does not promise it: the answer to a request, or
 * the first event that the request causes. */
enum exchange_order { EXCHANGE_ANSWER_FIRST, EXCHANGE_EVENT_FIRST, EXCHANGE_EITHER };

/* One kind of caller: what is dialled, and what the caller then does (see script.h). */
struct exchange_plan {
    const char *exten;
    const char *script; /* "" or NULL: listen until the app hangs up */
    uint32_t weight;    /* how often against the other plans; default 1 */
};

/* Misbehaviour on request. "Every n" is one in n: requests are counted off, events drawn by lot (a fixed
 * count would meet the same event of every call). 0 is never. */
struct exchange_faults {
    uint32_t drop_every_ms;     /* reset the event connections at this interval */
    uint32_t drop_after_events; /* reset a connection each time it got this many events */
    uint32_t delay_ms;          /* events leave this late, in order */
    uint32_t reorder_every;     /* swap two neighbouring events of different channels */
    uint32_t disorder_every;    /* swap two events of one channel: counted, the client cannot mend it */
    uint32_t duplicate_every;   /* send an event twice: counted */
    uint32_t truncate_every;    /* before an event, send a part of it as a message of its own */
    uint32_t malformed_every;   /* after an event, send bytes that are no frame */
    uint32_t slow_accept_ms;    /* the WebSocket is accepted this late */
    uint32_t error500_every;    /* requests */
    uint32_t error503_every;
    uint32_t in_use_every;    /* requests that bring an id of their own: 409 */
    uint32_t boot_ms;         /* 503 for so long after the start */
    uint32_t freeze_after_ms; /* from then on nothing is answered and nothing is sent */
    bool endless_playbacks;   /* prompts start and never finish */
};

/* Chaos: every call hears a steady stream of events, some tell its app to crash, the connections are cut, and
 * the client's trail (audit.h) shows whether it keeps its promises meanwhile. */
struct exchange_chaos {
    uint32_t beat_ms;       /* each call gets an event this often, a ChannelVarset; 0: no chaos at all */
    uint32_t faults_per_s;  /* keys pressed that tell an app to crash, over all calls */
    const char *fault_keys; /* in turn; default "1": a key that stands twice comes twice as often */
    uint32_t cut_every_ms;  /* reset and silence in turn; 0: never */
    uint32_t silence_ms;    /* nothing is read, answered or sent for so long; default 4000 */
    uint32_t late_ms;       /* what takes longer is lost; default 15000 */
};

struct exchange_cfg {
    struct tdm_env *env; /* memory; default tdm_env_real() */
    uint64_t seed;       /* every choice follows from it; default 1 */

    /* the door */
    const char *address;         /* default 127.0.0.1 */
    uint16_t port;               /* 0: a free one */
    uint32_t sessions;           /* connections at most; default 100, as the real one */
    uint32_t idle_ms;            /* an idle kept-alive connection is closed; default 15000 */
    uint32_t write_timeout_ms;   /* a reader that takes nothing for so long is thrown out; default 5000 (real:
                                    100) */
    const char *user, *password; /* default tandem, tandem */
    const char *reader, *reader_password; /* a read-only account; default none */
    bool no_rest_over_ws; /* like versions before 20.14 and 22.4: what the client sends is ignored */
    enum exchange_order order;

    /* the dialplan: callers reach Stasis(app,args) in `context`, at the extension they dialled */
    const char *app;     /* default "tandem" */
    const char *args;    /* may hold ${EXTEN}; default none */
    const char *context; /* default "apps" */
    bool answers;        /* the dialplan answers before Stasis() */
    uint32_t after_ms;   /* how long the dialplan keeps a call that left the app; then it hangs up */

    /* the callers */
    const struct exchange_plan *plans;
    uint32_t n_plans;       /* default: one plan, extension "100", no script */
    uint64_t calls;         /* calls to place, 0: none by itself */
    double rate;            /* calls per second; 0: as fast as `at_once` allows */
    uint32_t at_once;       /* live calls at most; default 1000 */
    uint32_t call_limit_ms; /* a caller hangs up after this in any case; default 600000 */
    uint32_t settle_ms;     /* wait for the receipts of ended calls; default 2000 */
    bool do_not_wait;       /* begin at once; default: when `app` has connected for the first time */

    /* sounds */
    bool real_time;        /* prompts take their time; default: no time at all */
    bool no_rtp_stats;     /* leave out the five ChannelVarset events at each hang-up */
    uint32_t ring_ms;      /* how long a dialled endpoint rings; default 0 */
    uint32_t digit_gap_ms; /* between digits of one `press`; default 0, in real time 200 */

    struct exchange_faults faults;
    struct exchange_chaos chaos;
    bool steps;        /* tell every request and event of every call (see exchange.h) */
    tdm_pid report_to; /* gets EXCHANGE_STEP and EXCHANGE_DONE; {0}: nobody */
};

/* What happened. The actor_... fields and `delivered` come from receipts; without any they mean nothing. */
struct exchange_counters {
    uint64_t placed, live, ended;
    uint64_t refused; /* the app was not there: STASISSTATUS=FAILED */
    uint64_t requests;
    uint64_t events_sent;       /* about calls that were placed, numbered, on an open connection */
    uint64_t missed_while_away; /* raised while their app had no connection: never sent */
    uint64_t receipts, actors_started, actors_ended, restarted;
    uint64_t delivered, lost, out_of_order;
    uint64_t duplicated, disordered, dropped_connections, broken_frames, held_in_freeze; /* injected */
    bool audited; /* there was chaos: */
    uint64_t beats, faults, resets, silences;
    struct audit_counters audit;
};

#endif
