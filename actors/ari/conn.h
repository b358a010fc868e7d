/* conn.h - the event socket of a server. */
#ifndef ACTORS_ARI_CONN_H
#define ACTORS_ARI_CONN_H
#include "ari.h"
#include "tandem/ws.h"

/* The connection actor. Its start argument is a pointer to the struct ari. */
extern const struct tdm_behaviour conn_behaviour;

/* Free what the last incarnation left behind. When no thread of the runtime runs any more. */
void conn_forget(struct ari *a);

/* Path and query of the event WebSocket. Returns the length needed, like snprintf. */
size_t conn_target(char *buf, size_t bytes, const struct tdm_ari_cfg *cfg);

/* Why a connection failed or ended, and what to do about it, in `words`. Returns the error code. */
#define CONN_WORDS_BYTES 256
int conn_explain(const struct tdm_ari_cfg *cfg, const struct tdm_ws_state *state, char *words);

#endif
