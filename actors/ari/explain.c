/* explain.c - what a connection needs in words: its address, and why it failed.
 *
 * Each way of failing has advice of its own, because who reads it at night is not who wrote the
 * configuration. No secrets: neither user nor password is part of any text. Pure functions. */
#include "conn.h"

#include <stdio.h>
#include <string.h>

size_t conn_target(char *buf, size_t bytes, const struct tdm_ari_cfg *cfg)
{
    size_t used = (size_t)snprintf(buf, bytes, "%s/ari/events?app=", cfg->prefix != NULL ? cfg->prefix : "");

    for (int i = 0; cfg->apps[i] != NULL; i++) {
        const size_t left = used < bytes ? bytes - used : 0;

        /* the comma between names is data to the HTTP layer, so it may stay as it is */
        if (i > 0)
            used += (size_t)snprintf(left > 0 ? buf + used : NULL, left, ",");
        used += tdm_url_encode(used < bytes ? buf + used : NULL, used < bytes ? bytes - used : 0,
                               cfg->apps[i], strlen(cfg->apps[i]));
    }
    if (cfg->subscribe_all)
        used += (size_t)snprintf(used < bytes ? buf + used : NULL, used < bytes ? bytes - used : 0,
                                 "&subscribeAll=true");
    return used;
}

static const char *status_advice(int status)
{
    switch (status) {
    case 400:
        return "the server refused the app names or the sub-protocol";
    case 401:
        return "the server does not know this user and password: compare with the section of that user in "
               "ari.conf";
    case 403:
        return "the account may not connect from this address: permit, deny and acl in ari.conf";
    case 404:
        return "no ARI at this path: is res_ari loaded, enabled=yes in ari.conf, and prefix as in http.conf? "
               "(also "
               "seen for a moment while a server starts)";
    case 500:
        return "the server could not register the apps: is a name too long?";
    case 503:
        return "the server is still starting";
    default:
        return "the server refused the WebSocket";
    }
}

/* `opened`: the WebSocket had been open before. */
static const char *error_advice(int err, uint16_t code, bool opened)
{
    if (code == 1001)
        return "the server shuts down";
    if (code == 1011)
        return "the server gave us up because it could not write in time: is this machine overloaded?";
    if (err == TDM_ETLS)
        return "the certificate must be signed by tls.ca_file and name the host (or tls.server_name)";
    if (err == TDM_ETIMEOUT)
        return "an address that nobody has, a firewall, or a server that hangs";
    if (opened)
        return "the server stopped, or the network";
    return "check host and port, that Asterisk runs, and enabled and bindaddr in http.conf";
}

int conn_explain(const struct tdm_ari_cfg *cfg, const struct tdm_ws_state *state, bool opened, char *words)
{
    const int err = state->err != TDM_OK ? state->err : TDM_ECONN;

    if (state->http_status >= 300) {
        snprintf(words, CONN_WORDS_BYTES, "%.100s:%u answered %d: %s", cfg->host, cfg->port,
                 state->http_status, status_advice(state->http_status));
        return state->http_status == 401 || state->http_status == 403 ? TDM_EAUTH : TDM_EREFUSED;
    }
    snprintf(words, CONN_WORDS_BYTES, "%.100s:%u: %.100s; %s", cfg->host, cfg->port,
             state->text[0] != '\0' ? state->text : tdm_strerror(err),
             error_advice(err, state->code, opened));
    return err;
}
