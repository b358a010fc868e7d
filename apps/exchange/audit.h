/* audit.h - the judge: what was sent to each call against what its actors say they took.
 *
 * It is told what happens on the switch (calls live and end, events go out, connections come and go) and
 * what the client tells in its trail (an incarnation begins, takes an event, ends in order). It holds the
 * client to these rules:
 *
 *   one actor   a call's events are taken by the incarnation that began last, and no call is begun a
 *               second time while it has an actor; across two processes the clock decides
 *   order       the numbers a call's actors take only grow
 *   none lost   every event that went out on a connection is taken within `late_ns`; a later number is
 *               never taken before it
 *   excused     only what was out on a connection when that ended, and nothing before the last number taken
 *               of that connection: what a cut loses is the end of the stream. And the last events of a call
 *               that was over before a new process could adopt it, or before its actor, after a fault, was
 *               started again: such a call gets no other actor
 *   none over   no number is taken twice
 *   served      while the client is connected, every live call has an actor within `late_ns`
 *   restarted   a fault that was taken is followed by another incarnation within `late_ns`
 *   ended       an actor ends within `late_ns` after its call, and not before it
 *
 * No clock, no I/O: its owner tells the time. Without memory for a call or an event it says so and counts
 * it: then nothing is proved. One owner. */
#ifndef APPS_EXCHANGE_AUDIT_H
#define APPS_EXCHANGE_AUDIT_H
#include <stdbool.h>
#include <stdint.h>

struct audit;
struct tdm_env;

struct audit_counters {
    uint64_t calls, sent, taken; /* judged; events that went out; numbers that were taken */
    uint64_t begun, restarted, runs, faults;
    uint64_t excused; /* events that were out when their connection ended, and were not taken */
    /* broken rules */
    uint64_t two_at_once, out_of_order, doubled, lost, unserved, not_restarted, outlived, abandoned;
    uint64_t unknown;    /* steps for calls that do not live */
    uint64_t untold;     /* lines or batches of the trail that are missing, or no memory here: not proved */
    uint64_t slowest_us; /* from the wire to the actor, of what was taken on a connection that lasted */
};

struct audit_cfg {
    struct tdm_env *env;
    uint64_t late_ns;
    /* The first broken rules in words; may be NULL. */
    void (*problem)(void *ctx, const char *text);
    void *ctx;
};

/* TDM_OK or TDM_ENOMEM. */
int audit_new(struct audit **ret, const struct audit_cfg *cfg);
void audit_free(struct audit *a); /* NULL is fine */
void audit_clock(struct audit *a, uint64_t now_ns);

/* ---- the switch ------------------------------------------------------------------------------ */

void audit_connected(struct audit *a, uint64_t conn); /* events go out on this one from now on; 0: none */
void audit_call(struct audit *a, const char *id);
void audit_over(struct audit *a, const char *id);
void audit_sent(struct audit *a, const char *id, uint64_t seq);
void audit_fault(struct audit *a, const char *id);   /* what was just sent to it asks for a crash */
void audit_hung_up(struct audit *a, const char *id); /* by the client, unasked */

/* ---- the client's trail ---------------------------------------------------------------------- */

/* One batch: see actors/ari/trail.c for its text, which is changed. False: it cannot be read. */
bool audit_trail(struct audit *a, char *text);

/* ---- the verdict ----------------------------------------------------------------------------- */

void audit_sweep(struct audit *a); /* look for what is late; now and then */
/* Nothing is open: every call is over, its actor gone, its events taken or excused. */
bool audit_even(const struct audit *a);
/* The end: what is open now is a broken rule. */
void audit_finish(struct audit *a);
void audit_counters(const struct audit *a, struct audit_counters *ret);
bool audit_good(const struct audit_counters *c);

#endif
