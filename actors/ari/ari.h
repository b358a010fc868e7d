/* ari.h - one Asterisk as its files share it; what each of them does: README.md.
 *
 * A struct ari is made by tdm_ari_start() and outlives every actor of its subtree. */
#ifndef ACTORS_ARI_ARI_H
#define ACTORS_ARI_ARI_H
#include <pthread.h>
#include <stdatomic.h>

#include "tandem/ari.h"
#include "tandem/metrics.h"
#include "tandem/source.h"

struct receipts;
struct resync;
struct session;
struct trail;

struct ari {
    /* fixed when made */
    struct tdm_runtime *rt;
    struct tdm_env *env;
    struct tdm_ari_cfg cfg; /* defaults filled in; its texts are in `texts` */
    struct tdm_source *source;
    struct tdm_http_pool *pool;
    struct receipts *receipts; /* NULL unless cfg.receipts */
    struct trail *trail;       /* NULL unless cfg.trail */
    const char *target;        /* of the event WebSocket */
    uint64_t run;              /* random, part of every id we choose: another run never gives it again */
    char *texts;
    size_t texts_bytes;
    /* Written by the connection actor, read by anyone; relaxed: each stands for itself. */
    _Atomic uint64_t conn; /* tdm_conn of the open WebSocket, or 0 */
    _Atomic uint64_t conn_actor;
    /* Written by anyone; relaxed, for the same reason. */
    _Atomic uint64_t next_id;
    _Atomic bool draining;
    _Atomic bool standing; /* release in tdm_ari_start(), acquire in conn.c: the whole subtree was started */
    /* Touched by the connection actor only; it survives the actor's incarnations. */
    struct session *sessions;
    struct resync *resync;                /* NULL: none under way */
    char entity_id[64], startup_time[64]; /* of the server that was last asked */
    /* Touched by whoever holds the right to route (gate.c). */
    struct {
        uint64_t until_ns, left_out; /* one line of the log a minute, and how many it stands for */
    } quiet[2];
    /* Under the lock, which is held for a copy and never by the reader. */
    pthread_mutex_t lock;
    struct tdm_ari_state state;
    /* The list of all sources, under the lock of ari.c. */
    struct ari *next;
    tdm_pid root;
};

/* Change the published state in one step: fn(state, arg) runs under the lock. */
void ari_publish(struct ari *a, void (*fn)(struct tdm_ari_state *state, const void *arg), const void *arg);

/* Call fn with the source of that address, which can not go away meanwhile; its result, or TDM_ENOTFOUND. fn may not
 * wait. Threads: any. */
int ari_with(struct tdm_runtime *rt, tdm_pid source, int (*fn)(struct ari *a, void *ctx), void *ctx);

/* Check a configuration: NULL when it is good, else what is wrong with which key. Static text. */
const char *ari_cfg_fault(const struct tdm_ari_cfg *cfg);

/* An id for an object that is about to be made: "tdm-<run>-<n>". */
#define ARI_NEW_ID_BYTES 48
void ari_new_id(struct ari *a, char buf[ARI_NEW_ID_BYTES]);

#endif
