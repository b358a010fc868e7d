/* receipts.c - what really reached each call's actor, counted where the actor takes it.
 *
 * A simulated exchange numbers the events of each visit of a channel to an app: 1, 2, 3, in
 * "exchange":{"seq":n}. At the end of the call it is told how many came, how many numbers were passed
 * over, and how many stepped back. The promise under test is that of docs/ARCHITECTURE.md, so the counting
 * stands at the very end of the way, inside the actor, and what was counted must survive the actor:
 * a table outside, one record for each live call.
 * Touched by any worker, under a lock of its own: this is for measuring, not for production. */
#include "receipts.h"
#include "json.h"

#include <stdio.h>
#include <string.h>

enum { BUCKETS = 16384 };

struct record {
    struct record *next;
    uint64_t last; /* highest number so far */
    uint64_t delivered, lost, out_of_order;
    uint32_t restarted;
    size_t bytes;
    char key[]; /* app, NUL, id, NUL */
};

struct receipts {
    struct tdm_env *env;
    pthread_mutex_t lock;
    struct record *bucket[BUCKETS];
};

int receipts_new(struct tdm_env *env, struct receipts **ret)
{
    struct receipts *r = env->alloc(env, sizeof *r);

    if (r == NULL)
        return TDM_ENOMEM;
    memset(r, 0, sizeof *r);
    r->env = env;
    pthread_mutex_init(&r->lock, NULL);
    *ret = r;
    return TDM_OK;
}

static void record_free(struct receipts *r, struct record *rec)
{
    r->env->free(r->env, rec, rec->bytes);
}

void receipts_free(struct receipts *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct record *rec = r->bucket[i], *next; rec != NULL; rec = next) {
            next = rec->next;
            record_free(r, rec);
        }
    pthread_mutex_destroy(&r->lock);
    r->env->free(r->env, r, sizeof *r);
}

/* Where the pointer to the record of this key is, or would be. */
static struct record **place_of(struct receipts *r, const char *app, const char *id)
{
    uint64_t hash = 14695981039346656037u;

    for (const char *p = app; *p != '\0'; p++)
        hash = (hash ^ (unsigned char)*p) * 1099511628211u;
    for (const char *p = id; *p != '\0'; p++)
        hash = (hash ^ (unsigned char)*p) * 1099511628211u;
    struct record **at = &r->bucket[(hash ^ hash >> 32) % BUCKETS];

    while (*at != NULL && (strcmp((*at)->key, app) != 0 || strcmp((*at)->key + strlen(app) + 1, id) != 0))
        at = &(*at)->next;
    return at;
}

static struct record *record_new(struct receipts *r, const char *app, const char *id)
{
    const size_t app_bytes = strlen(app) + 1, id_bytes = strlen(id) + 1;
    const size_t bytes = sizeof(struct record) + app_bytes + id_bytes;
    struct record *rec = r->env->alloc(r->env, bytes);

    if (rec == NULL)
        return NULL;
    memset(rec, 0, sizeof *rec);
    rec->bytes = bytes;
    memcpy(rec->key, app, app_bytes);
    memcpy(rec->key + app_bytes, id, id_bytes);
    return rec;
}

static void count(struct record *rec, tdm_event *event)
{
    const int64_t seq = tdm_event_int(event, "exchange.seq", 0);

    if (seq <= 0)
        return; /* not of a simulated exchange, or one of our own making */
    rec->delivered++;
    if ((uint64_t)seq <= rec->last) {
        rec->out_of_order++;
        return;
    }
    rec->lost += (uint64_t)seq - rec->last - 1;
    rec->last = (uint64_t)seq;
}

void receipts_begin(struct receipts *r, const char *app, const char *id, tdm_event *start, uint32_t restarts)
{
    pthread_mutex_lock(&r->lock);
    struct record **at = place_of(r, app, id);

    if (*at == NULL) {
        *at = record_new(r, app, id);
        if (*at != NULL)
            count(*at, start);
    }
    if (*at != NULL)
        (*at)->restarted = restarts;
    pthread_mutex_unlock(&r->lock);
}

void receipts_event(struct receipts *r, const char *app, const char *id, tdm_event *event)
{
    pthread_mutex_lock(&r->lock);
    struct record **at = place_of(r, app, id);

    if (*at != NULL)
        count(*at, event);
    pthread_mutex_unlock(&r->lock);
}

size_t receipts_end(struct receipts *r, const char *app, const char *id, char *buf, size_t bytes)
{
    pthread_mutex_lock(&r->lock);
    struct record **at = place_of(r, app, id), *rec = *at;
    struct ari_json j;

    if (rec != NULL)
        *at = rec->next;
    pthread_mutex_unlock(&r->lock);
    if (rec == NULL)
        return 0;
    ari_json_init(&j, r->env);
    ari_json_str(&j, id, strlen(id));
    const int length =
        snprintf(buf, bytes,
                 "{\"receipt\":%s,\"delivered\":%llu,\"lost\":%llu,\"out_of_order\":%llu,\"started\":1,"
                 "\"ended\":1,\"restarted\":%u}",
                 j.failed ? "\"\"" : j.at, (unsigned long long)rec->delivered, (unsigned long long)rec->lost,
                 (unsigned long long)rec->out_of_order, rec->restarted);
    ari_json_fini(&j);
    record_free(r, rec);
    return length > 0 && (size_t)length < bytes ? (size_t)length : 0;
}
