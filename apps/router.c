/* router.c - which app takes a new call: by what was dialled, as a dialplan would.
 *
 * The router is an app like any other. It looks the extension up and moves the call to the app that
 * stands there, which then runs in the router's place, on the same actor. It answers nothing itself. */
#include "router.h"

#include <tandem/app.h>

#include "extension.h"

/* fixed at boot, then only read */
static struct router_cfg table;

void router_configure(const struct router_cfg *cfg)
{
    table = *cfg;
}

static const char *app_for(const char *exten)
{
    const struct router_route *best = NULL;

    for (size_t i = 0; i < table.n_routes; i++) {
        const struct router_route *r = &table.routes[i];

        if (extension_matches(r->match, exten) &&
            (best == NULL || extension_compare(r->match, best->match) < 0))
            best = r;
    }
    return best != NULL ? best->app : NULL;
}

static void unknown(tdm_call *call)
{
    tdm_log_info("router.unknown", "exten=%s",
                 TDM_LOG_TEXT(tdm_call_exten(call), __builtin_strlen(tdm_call_exten(call))));
    switch (table.unknown) {
    case ROUTER_HANGUP:
        tdm_hangup(call, table.cause != 0 ? table.cause : TDM_CAUSE_UNALLOCATED);
        break;
    case ROUTER_APP:
        if (tdm_move(call, table.app, NULL) == TDM_OK)
            break;
        /* fall through */
    case ROUTER_HAND_BACK:
        tdm_hand_back(call, NULL, NULL, 0);
        break;
    }
}

static void router(tdm_call *call)
{
    const char *app = app_for(tdm_call_exten(call));
    int err = app != NULL ? tdm_move(call, app, NULL) : TDM_ENOTFOUND;

    if (err == TDM_OK || err == TDM_EHANGUP || err == TDM_ESTOP)
        return;
    if (app != NULL)
        tdm_log_warn("router.app_missing", "app=%s err=%s", app, tdm_errname(err));
    unknown(call);
}
TDM_APP(router, .summary = "sends each call to the app of its extension")
