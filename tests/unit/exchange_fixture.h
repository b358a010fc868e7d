/* exchange_fixture.h - a model with a clock of its own and a record of all that comes out of it. */
#ifndef TESTS_EXCHANGE_FIXTURE_H
#define TESTS_EXCHANGE_FIXTURE_H
#include "exchange/model.h"

#include <stdbool.h>

#include <tandem/env.h>
#include <tandem/err.h>

struct exchange_fixture {
    struct ex_model *m;
    struct tdm_env env; /* the real one with an allocator that counts and fails on demand */
    uint64_t now_ns;
    char *seen; /* "conn:text\n" of every text sent; answers as "answer:conn:status:body\n" */
    size_t seen_bytes;
    int status;        /* of the last answer over HTTP */
    uint64_t answered; /* its conn */
    char body[8192];
    char headers[256];
    uint32_t resets, raws, steps;
};

extern uint64_t fx_fail_alloc; /* the n-th allocation from now fails; 0: none */
extern int64_t fx_live_allocs;

/* cfg may be NULL. Fails the test when the model cannot be made. */
struct exchange_fixture *fx_new(const struct exchange_cfg *cfg);
void fx_free(struct exchange_fixture *fx);
void fx_open(struct exchange_fixture *fx, uint64_t conn, const char *query);
/* Place a call and return its id (in memory of the fixture, until the next). */
const char *fx_call(struct exchange_fixture *fx, const char *exten, const char *script);
/* A request over HTTP, path as in "POST /channels/x/answer?a=b"; %s is the id. Returns the status, 0 when
 * the answer has not come. */
int fx_ask(struct exchange_fixture *fx, const char *request, const char *id);
int fx_ask_body(struct exchange_fixture *fx, const char *request, const char *id, const char *body);
void fx_text(struct exchange_fixture *fx, uint64_t conn, const char *text);
/* Let so much time pass, doing everything at its time. */
void fx_pass(struct exchange_fixture *fx, uint64_t ms);
/* Forget what was seen. */
void fx_clear(struct exchange_fixture *fx);
bool fx_saw(const struct exchange_fixture *fx, const char *text);
/* Types of the events seen, separated by blanks; statistics of RTP left out. */
const char *fx_types(const struct exchange_fixture *fx);
struct exchange_counters fx_counters(const struct exchange_fixture *fx);

#endif
