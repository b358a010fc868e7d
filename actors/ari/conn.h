/* conn.h - the event socket of a server. */
#ifndef ACTORS_ARI_CONN_H
#define ACTORS_ARI_CONN_H
#include "ari.h"
#include "tandem/ws.h"

/* The connection actor. Its start argument is a pointer to the struct ari. */
extern const struct tdm_behaviour conn_behaviour;

/* Messages to it. */
enum {
    CONN_MSG_GO = TDM_MSG_INTERNAL + 900, /* the subtree stands: begin */
    CONN_MSG_REPLACED,                    /* an app of ours was taken over; its name, with NUL */
    CONN_MSG_ADOPT,                       /* the calls' actors are gone: connect anew and ask */
};

/* Free what the last incarnation left behind. When no thread of the runtime runs any more. */
void conn_forget(struct ari *a);

/* Path and query of the event WebSocket. Returns the length needed, like snprintf. */
size_t conn_target(char *buf, size_t bytes, const struct tdm_ari_cfg *cfg);

/* Why a connection failed, or ended after it was `opened`, and what to do about it, in `words`
 * (CONN_WORDS_BYTES). Returns the error code. */
#define CONN_WORDS_BYTES 384
int conn_explain(const struct tdm_ari_cfg *cfg, const struct tdm_ws_state *state, bool opened, char *words);

#endif
