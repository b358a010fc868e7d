/* model.h - the exchange itself, as a pure model: what a switch with ARI holds and how it behaves.
 *
 * It does no I/O, starts no thread and reads no clock. Its owner tells it the time, hands it requests,
 * opened and closed connections, and calls it again at ex_model_next(); results come back through the
 * functions of `struct ex_out`, which are called from inside these functions and must not call back.
 * Out of memory is answered as the real server does: 500 {"error":"Allocation failed"}.
 *
 * Source: the behaviour notes on ARI of Asterisk 22 (channels that stay in an app while it is away,
 * requests that wait behind a prompt, a 204 before the deed). One owner; not safe from other threads. */
#ifndef APPS_EXCHANGE_MODEL_H
#define APPS_EXCHANGE_MODEL_H
#include "cfg.h"

#include <stddef.h>

struct ex_model;

/* Kinds of step, for the ladder of one call. */
enum ex_step_kind { EX_STEP_CALLER, EX_STEP_EVENT, EX_STEP_REQUEST };

struct ex_out {
    void *ctx;
    /* A text message on an event connection. */
    void (*send)(void *ctx, uint64_t conn, const char *text, size_t bytes);
    /* Bytes that are no frame at all, on purpose. */
    void (*send_raw)(void *ctx, uint64_t conn, const void *bytes, size_t n);
    /* The answer to an HTTP request. `headers`: lines ended by \r\n, or NULL; `body`: JSON or HTML, or
     * NULL. Comes inside ex_model_request(), or later for what waits behind a prompt. */
    void (*respond)(void *ctx, uint64_t conn, int status, const char *headers, const char *type,
                    const char *body, size_t bytes);
    /* Reset an event connection. The model has already forgotten it. */
    void (*reset)(void *ctx, uint64_t conn);
    /* Stop or go on reading from an event connection. May be NULL. */
    void (*pause)(void *ctx, uint64_t conn, bool pause);
    /* Chaos: a promise that was broken, in words. May be NULL. */
    void (*problem)(void *ctx, const char *text);
    /* One line of a call's ladder (only with cfg.steps). */
    void (*step)(void *ctx, const char *channel, enum ex_step_kind kind, const char *text);
};

/* Everything in cfg and out is copied, strings included. Errors: TDM_ENOMEM; TDM_ESYNTAX with words in
 * `why` when a script cannot be read. */
int ex_model_new(struct ex_model **ret, const struct exchange_cfg *cfg, const struct ex_out *out, char *why,
                 size_t why_bytes);
void ex_model_free(struct ex_model *m);

/* Tell the time: monotonic, and of the wall clock. Do it before every other call. */
void ex_model_clock(struct ex_model *m, uint64_t now_ns, uint64_t wall_ns);
/* Do all that is due by now. */
void ex_model_tick(struct ex_model *m);
/* When to tick next; TDM_FOREVER. */
uint64_t ex_model_next(const struct ex_model *m);

/* ---- REST over HTTP, and the event connections ----------------------------------------------- */

struct ex_request {
    uint64_t conn;                            /* given back to respond() */
    const char *method, *path, *query;        /* path and query as sent, not decoded */
    const char *authorization, *content_type; /* "" when absent */
    const char *body;
    size_t body_bytes;
};
void ex_model_request(struct ex_model *m, const struct ex_request *req);

/* A client asks for an event connection. Returns 0 when it is granted: then accept it and say
 * ex_model_ws_open(); else the model has answered through respond(). */
int ex_model_ws_upgrade(struct ex_model *m, const struct ex_request *req, const char *subprotocols);
/* `query` and `authorization` as in the upgrade. TDM_OK or TDM_ENOMEM. */
int ex_model_ws_open(struct ex_model *m, uint64_t conn, const char *query, const char *authorization);
void ex_model_ws_text(struct ex_model *m, uint64_t conn, const char *text, size_t bytes);
void ex_model_ws_closed(struct ex_model *m, uint64_t conn);

/* ---- the telephones -------------------------------------------------------------------------- */

struct ex_call {
    const char *exten;  /* NULL: one of the plans */
    const char *caller; /* number; NULL: the next one */
    const char *caller_name;
    const char *script; /* NULL: of the plan, or none when exten was given */
    const char *app;    /* NULL: of the configuration */
    const char *args;
};
/* Someone calls. TDM_OK with the channel's id in `id` (64 bytes), also when no app took the call and it
 * is over already; TDM_ENOMEM; TDM_ESYNTAX: the script. */
int ex_model_place_call(struct ex_model *m, const struct ex_call *call, char *id);
/* TDM_OK; TDM_ENOTFOUND: no such channel; TDM_EINVAL: no such digit. */
int ex_model_press(struct ex_model *m, const char *channel, const char *digits);
int ex_model_hang_up(struct ex_model *m, const char *channel);

/* Come to an end: no further calls, and every caller hangs up. */
void ex_model_finish(struct ex_model *m);
/* All calls of cfg.calls were placed and have ended, and their receipts have come or been waited for. */
bool ex_model_finished(const struct ex_model *m);
void ex_model_counters(const struct ex_model *m, struct exchange_counters *ret);

#endif
