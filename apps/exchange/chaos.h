/* chaos.h - events, crashes and cuts without end, and the judge of it all. inside.h includes this; see chaos.c. */
#ifndef APPS_EXCHANGE_CHAOS_H
#define APPS_EXCHANGE_CHAOS_H
#include <stdbool.h>

#include "agenda.h"
#include "audit.h"

struct ex_channel;
struct ex_model;
struct ex_request;

#define EX_UNANSWERED_MAX 256

struct ex_chaos {
    struct audit *audit; /* NULL: there is no chaos */
    struct ex_timer beat_timer, cut_timer, thaw_timer, sweep_timer;
    struct ex_channel *next_beat, *next_fault; /* whose turn it is */
    uint64_t last_ns, beat_credit, fault_credit, over_ns;
    size_t key;
    bool frozen, silence_next, quiet;       /* quiet: the run comes to its end */
    uint64_t unanswered[EX_UNANSWERED_MAX]; /* requests that came during a silence */
    uint32_t n_unanswered;
};

int ex_chaos_new(struct ex_model *m); /* TDM_OK without chaos, too */
void ex_chaos_free(struct ex_model *m);
void ex_chaos_start(struct ex_model *m);
bool ex_chaos_may_place(struct ex_model *m);   /* the client is there */
void ex_chaos_connections(struct ex_model *m); /* one came or went */
void ex_chaos_call(struct ex_model *m, const struct ex_channel *ch);
void ex_chaos_over(struct ex_model *m, const struct ex_channel *ch);
void ex_chaos_sent(struct ex_model *m, const struct ex_channel *ch, uint64_t seq);
void ex_chaos_forget(struct ex_model *m, const struct ex_channel *ch);
void ex_chaos_finish(struct ex_model *m);
/* True: there is silence, and the request was not looked at. */
bool ex_chaos_swallows(struct ex_model *m, const struct ex_request *req);
void ex_chaos_trail(struct ex_model *m, const struct ex_request *req);

#endif
