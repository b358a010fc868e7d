/* receipts.h - telling a simulated exchange what really reached each call's actor. */
#ifndef ACTORS_ARI_RECEIPTS_H
#define ACTORS_ARI_RECEIPTS_H
#include "ari.h"

struct receipts;

int receipts_new(struct tdm_env *env, struct receipts **ret);
void receipts_free(struct receipts *r); /* NULL is fine */

/* An incarnation of the call's actor has its start event; `restarts` is its number. */
void receipts_begin(struct receipts *r, const char *app, const char *id, tdm_event *start, uint32_t restarts);
/* The actor has taken an event from its mailbox. */
void receipts_event(struct receipts *r, const char *app, const char *id, tdm_event *event);
/* The actor has taken the end. Puts the receipt into buf and forgets the call; its length, 0: nothing
 * was known of it, or no room. */
#define RECEIPT_BYTES 1024
size_t receipts_end(struct receipts *r, const char *app, const char *id, char *buf, size_t bytes);

#endif
