/* ari_server.h - a server that says what a test tells it to say, in ARI's way.
 *
 * Not an exchange: it knows no calls. HTTP requests get the answer that was set for their path, the
 * event WebSocket sends what it is given. Plain sockets and a thread of its own, nothing of Tandem's
 * I/O, so that both sides cannot share a mistake. Functions that wait do so for ten seconds at most. */
#ifndef TESTS_SIM_ARI_SERVER_H
#define TESTS_SIM_ARI_SERVER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ari_server;

/* Listens on a free port of the loopback when it returns. User "tandem", password "secret". */
struct ari_server *ari_server_new(void);
void ari_server_free(struct ari_server *s);
uint16_t ari_server_port(const struct ari_server *s);

/* What a request gets whose path (without query) is this one; the last that was set counts. Unknown
 * paths: 404. Set from the start: GET /ari/asterisk/info, empty lists for GET /ari/channels, and 204 for
 * POST and DELETE below /ari/channels/ and /ari/playbacks/. status 0: no answer at all, until another
 * status is set. */
void ari_server_answer(struct ari_server *s, const char *method, const char *path, int status,
                       const char *body);

/* The status of the next upgrades instead of 101; 0: accept. */
void ari_server_refuse(struct ari_server *s, int status);

/* Requests so far whose method is this one and whose target begins so. wait: until there are `count`. */
size_t ari_server_requests(struct ari_server *s, const char *method, const char *target);
bool ari_server_wait_request(struct ari_server *s, const char *method, const char *target, size_t count);
/* Target and body of the last such request; false when there is none. */
bool ari_server_last(struct ari_server *s, const char *method, const char *target, char *got,
                     size_t got_bytes, char *body, size_t body_bytes);

/* The event WebSocket: how often it was opened, and the newest one. */
bool ari_server_wait_open(struct ari_server *s, size_t count);
size_t ari_server_opened(struct ari_server *s);
void ari_server_send(struct ari_server *s, const char *text, size_t bytes);
void ari_server_send_raw(struct ari_server *s, const void *bytes, size_t n);
void ari_server_drop(struct ari_server *s); /* end of stream, without a close frame */
/* A text frame from the client that contains these words. */
bool ari_server_wait_text(struct ari_server *s, const char *words, char *got, size_t got_bytes);

#endif
