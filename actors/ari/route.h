/* route.h - one received event to the actors that it concerns. */
#ifndef ACTORS_ARI_ROUTE_H
#define ACTORS_ARI_ROUTE_H
#include "ari.h"
#include "wire.h"

/* Read one message of the event socket and hand it on. Never blocks.
 * Threads: whoever holds the right to route, see gate.c. */
void route_event(struct ari *a, const char *json, size_t bytes);

/* Get rid of a channel that has no actor, as cfg.on_unknown says; `why` is for the log. */
void route_unserved(struct ari *a, const char *app, size_t app_bytes, const char *id, size_t id_bytes,
                    int why);

#endif
