/* digest.h - SHA-1 and base64, for the WebSocket handshake and Basic credentials. */
#ifndef RUNTIME_IO_DIGEST_H
#define RUNTIME_IO_DIGEST_H
#include <stddef.h>
#include <stdint.h>

void digest_sha1(const void *p, size_t n, uint8_t out[20]);

/* Length without the closing NUL, which is written too: out needs BASE64_ROOM(n). */
#define BASE64_ROOM(n) (((n) + 2) / 3 * 4 + 1)
size_t digest_base64(const void *p, size_t n, char *out);

/* What Sec-WebSocket-Accept must say to a key (RFC 6455, 4.2.2); out needs 29 bytes. */
void digest_ws_accept(const char *key, char out[29]);

#endif
