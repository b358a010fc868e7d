/* router.h - which app takes a new call. See router.c. */
#ifndef APPS_ROUTER_H
#define APPS_ROUTER_H
#include <stddef.h>

struct router_route {
    const char *match; /* an extension or a pattern, see extension.h */
    const char *app;
};

/* What becomes of a call that no route takes. */
enum router_unknown { ROUTER_HAND_BACK, ROUTER_HANGUP, ROUTER_APP };

struct router_cfg {
    const struct router_route *routes; /* need no order: the most exact match wins */
    size_t n_routes;
    enum router_unknown unknown;
    int cause;       /* ROUTER_HANGUP: 0 is "unallocated number" */
    const char *app; /* ROUTER_APP */
};

/* Set the table, once, before the first call. All it points to must stay. Without it every call is unknown.
 */
void router_configure(const struct router_cfg *cfg);

extern const struct tdm_app tdm_app_router;

#endif
