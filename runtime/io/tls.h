/* tls.h - TLS between two heaps of bytes; tcp.c moves them to and from the socket. */
#ifndef RUNTIME_IO_TLS_H
#define RUNTIME_IO_TLS_H
#include "io/loop.h"

struct tls_ctx; /* keys and trust, shared by the connections of one pool, server or WebSocket */
struct tls;     /* one connection's session; the loop only */

/* Read the files that `cfg` names. Blocks on the disk, so not on the loop. On failure TDM_ETLS (or
 * TDM_ENOMEM) and in `why` what to do about it. Threads: any. */
int tls_ctx_new(struct tls_ctx **ret, struct tdm_env *env, const struct tdm_tls_cfg *cfg, bool server,
                char *why, size_t why_bytes);
struct tls_ctx *tls_ctx_ref(struct tls_ctx *ctx); /* NULL is fine */
void tls_ctx_unref(struct tls_ctx *ctx);          /* NULL is fine */

/* A session. `name` is what the peer's certificate must be valid for. NULL: out of memory. */
struct tls *tls_connect(struct tls_ctx *ctx, const char *name);
struct tls *tls_accept(struct tls_ctx *ctx);
void tls_free(struct tls *s); /* NULL is fine */

int tls_handshake(struct tls *s);                     /* 1 done, 0 needs bytes, TDM_ETLS */
int tls_feed(struct tls *s, const char *p, size_t n); /* from the socket */
int tls_read(struct tls *s, char *p, size_t n);       /* decrypted; 0 none now; TDM_ECONN goodbye; TDM_ETLS */
int tls_write(struct tls *s, const char *p, size_t n); /* to encrypt */
void tls_bye(struct tls *s);                           /* say goodbye */
size_t tls_pending_out(struct tls *s);                 /* encrypted bytes for the socket */
size_t tls_take_out(struct tls *s, char *p, size_t n);
const char *tls_why(const struct tls *s); /* the last failure in words */

#endif
