/* handles.h - the table behind tdm_conn: which connection a handle names, and the few words about it that
 * any thread may read.
 *
 * Idea:      a tdm_conn is the number of a struct handle and its generation. The memory of a handle stays
 *            until the loop is freed, so a thread with a stale tdm_conn looks at valid memory, sees another
 *            generation and is told so.
 * Invariant: `generation` is odd while the handle is taken. `unsent` is the sum over all buffers charged to
 *            the handle, in the inbox or in an output queue; it is never reset, each buffer takes back what
 *            it added, so a buffer that outlives its connection cannot unbalance the next one. */
#ifndef RUNTIME_IO_HANDLES_H
#define RUNTIME_IO_HANDLES_H
#include <pthread.h>
#include <stdatomic.h>

#include "tandem/env.h"
#include "tandem/http.h"

enum { HANDLES_CHUNK = 256, HANDLES_CHUNKS = 4096 };

enum handle_kind { HANDLE_FREE, HANDLE_HTTP, HANDLE_WS };

/* What an answer to the request in hand must look like; 0: none is wanted. */
enum {
    ANSWER_WANTED = 1,
    ANSWER_HEAD = 2,    /* no body */
    ANSWER_CLOSE = 4,   /* say that the connection ends */
    ANSWER_HTTP10 = 8,  /* say that it goes on, which 1.0 does not assume */
    ANSWER_UPGRADE = 16 /* tdm_ws_accept() is possible */
};

struct handle {
    /* written by the loop, read by any thread */
    _Atomic uint32_t generation;
    _Atomic uint32_t client; /* a client masks what it sends */
    _Atomic uint32_t unsent_max;
    /* written by any thread */
    _Atomic uint64_t answer; /* generation, and in the low half ANSWER_* */
    _Atomic int64_t unsent;
    /* touched by the loop only */
    enum handle_kind kind;
    void *owner; /* struct ws or struct http_peer */
    /* under the table's lock */
    uint32_t index;
    struct handle *next_free;
};

struct handles {
    _Atomic(struct handle *) chunk[HANDLES_CHUNKS];
    pthread_mutex_t lock; /* the free list and the growth; held for a few stores, never over a call out */
    struct handle *free;
    uint32_t chunks;
};

void handles_init(struct handles *t);
void handles_fini(struct handles *t, struct tdm_env *env);

/* Take one; *ret is what names it. Threads: any. Errors: TDM_ENOMEM; TDM_EBUSY a million are taken. */
int handles_take(struct handles *t, struct tdm_env *env, tdm_conn *ret);

/* The same handle under a new name; the old one is stale from here on. The loop only. */
void handles_rename(struct handle *h);

/* From here on the handle is stale. The loop only. */
void handles_give(struct handles *t, struct handle *s);

/* The handle if `conn` is live, else NULL. Threads: any; another thread's handles_give may make it stale
 * at once, which is why only the loop may look at `owner`. */
struct handle *handles_find(struct handles *t, tdm_conn conn);

tdm_conn handle_conn(const struct handle *s);

#endif
