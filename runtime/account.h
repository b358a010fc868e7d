/* account.h - what found no reader. See account.c. Threads: any. */
#ifndef RUNTIME_ACCOUNT_H
#define RUNTIME_ACCOUNT_H
#include <stdint.h>

struct account;
struct tdm_runtime;

enum dead_cause {
    DEAD_GONE,    /* sent to an address whose actor had ended */
    DEAD_STALE,   /* it came to the next actor or incarnation with this mailbox */
    DEAD_ENDED,   /* unread at its reader's end */
    DEAD_RESTART, /* unread at a restart that starts with an empty mailbox */
};

/* Counts one, and logs it within limits. */
void account_dead_letter(struct tdm_runtime *rt, enum dead_cause cause, uint32_t type, uint64_t to);

enum turned_away_cause { REFUSED, DROPPED_NEWEST, DROPPED_OLDEST, OVERLOADED, TURNED_AWAY_CAUSES };

/* The account of a class of actors, by its behaviour's name (NULL: "?"). It is there for good. */
struct account *account_of(const char *name);
void account_turned_away(struct account *c, enum turned_away_cause cause);

#endif
