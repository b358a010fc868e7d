/* slots.h - the table behind tdm_conn: which connection a handle names, and the few words about it that
 * any thread may read.
 *
 * Idea:      a handle is slot and generation. A slot's memory stays until the loop is freed, so a thread
 *            holding a stale handle looks at valid memory, sees another generation and is told so.
 * Invariant: `generation` is odd while the slot is taken. `unsent` is the sum over all buffers charged to
 *            the slot, in the inbox or in an output queue; it is never reset, each buffer takes back what
 *            it added, so a buffer that outlives its connection cannot unbalance the next one. */
#ifndef RUNTIME_IO_SLOTS_H
#define RUNTIME_IO_SLOTS_H
#include <pthread.h>
#include <stdatomic.h>

#include "tandem/env.h"
#include "tandem/http.h"

enum { SLOTS_CHUNK = 256, SLOTS_CHUNKS = 4096 };

enum slot_kind { SLOT_FREE, SLOT_HTTP, SLOT_WS };

/* What an answer to the request in hand must look like; 0: none is wanted. */
enum {
    ANSWER_WANTED = 1,
    ANSWER_HEAD = 2,    /* no body */
    ANSWER_CLOSE = 4,   /* say that the connection ends */
    ANSWER_HTTP10 = 8,  /* say that it goes on, which 1.0 does not assume */
    ANSWER_UPGRADE = 16 /* tdm_ws_accept() is possible */
};

struct slot {
    /* written by the loop, read by any thread */
    _Atomic uint32_t generation;
    _Atomic uint32_t client; /* a client masks what it sends */
    _Atomic uint32_t unsent_max;
    /* written by any thread */
    _Atomic uint64_t answer; /* generation, and in the low half ANSWER_* */
    _Atomic int64_t unsent;
    /* touched by the loop only */
    enum slot_kind kind;
    void *owner; /* struct ws or struct http_peer */
    /* under the table's lock */
    uint32_t index;
    struct slot *next_free;
};

struct slots {
    _Atomic(struct slot *) chunk[SLOTS_CHUNKS];
    pthread_mutex_t lock; /* the free list and the growth; held for a few stores, never over a call out */
    struct slot *free;
    uint32_t chunks;
};

void slots_init(struct slots *t);
void slots_fini(struct slots *t, struct tdm_env *env);

/* Take a slot; *ret is its handle. Threads: any. Errors: TDM_ENOMEM; TDM_EBUSY a million are taken. */
int slots_take(struct slots *t, struct tdm_env *env, tdm_conn *ret);

/* From here on the handle is stale. The loop only. */
void slots_give(struct slots *t, struct slot *s);

/* The slot if the handle is live, else NULL. Threads: any; another thread's slots_give may make it stale
 * at once, which is why only the loop may look at `owner`. */
struct slot *slots_find(struct slots *t, tdm_conn conn);

tdm_conn slot_conn(const struct slot *s);

#endif
