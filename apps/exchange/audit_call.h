/* audit_call.h - what the judge knows of one call. audit.c and audit_call.c only. */
#ifndef APPS_EXCHANGE_AUDIT_CALL_H
#define APPS_EXCHANGE_AUDIT_CALL_H
#include "audit.h"
#include "table.h"

#define AUDIT_RUNS 64

struct audit_event { /* is out */
    uint64_t seq, conn, at_ns;
    bool fault, lost;
};

struct audit_call {
    struct ex_entry entry;
    struct audit_call *next, *prev;
    struct audit_event *events; /* in the order of their numbers */
    uint32_t n, room;
    bool over;
    bool served;  /* an incarnation has begun and not ended in order */
    bool gone;    /* the last one has ended in order */
    bool crashed; /* it took a fault, and no other has begun since */
    bool told_late;
    uint64_t since_ns; /* it lives, or is over */
    uint64_t fault_ns; /* its actor was told to crash and took it; 0: not */
    uint64_t pid, restarts, begun_us, last_us;
    uint64_t born_conn, run; /* the connection at its start; the process of its last incarnation */
    char id[];
};

struct audit {
    struct audit_cfg cfg;
    uint64_t now_ns;
    uint64_t conn, conn_ns; /* the connection on which events go out, 0: none; since when */
    uint64_t run, batch;    /* of the client's process; the last batch of its trail */
    uint64_t earlier[AUDIT_RUNS];
    uint32_t n_earlier, problems;
    struct ex_table calls;
    struct audit_call *first;
    struct audit_counters n;
};

struct audit_call *audit_call_new(struct audit *a, const char *id); /* NULL: no memory */
void audit_call_forget(struct audit *a, struct audit_call *c);
/* Over, without an actor, and nothing is waited for. */
bool audit_call_closed(const struct audit *a, const struct audit_call *c);
/* Forget it when it is closed and no step of it can still be on the way: its actor's end was told, or it is
 * over for so long that every step would have come. */
void audit_call_settle(struct audit *a, struct audit_call *c, bool long_over);
int audit_call_wait(struct audit *a, struct audit_call *c, struct audit_event e);
void audit_call_take(struct audit_call *c, uint64_t seq);    /* it was taken */
void audit_call_drop(struct audit_call *c, uint32_t before); /* the first ones, but for those lost */

#endif
