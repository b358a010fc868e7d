/* ws_client.h - the client's half of the WebSocket handshake. */
#ifndef RUNTIME_IO_WS_CLIENT_H
#define RUNTIME_IO_WS_CLIENT_H
#include "io/ws_conn.h"

/* What a client says first, prepared on the caller's thread. TDM_EINVAL, TDM_ENOMEM. */
int ws_handshake_new(struct ws_handshake **ret, struct loop *loop, const struct tdm_ws_cfg *cfg);
void ws_handshake_free(struct ws_handshake *h); /* NULL is fine */

/* Connect and shake hands; OPEN or CLOSED follows. Takes `h`. The loop only. */
void ws_client_start(struct ws *w, struct ws_handshake *h);

#endif
