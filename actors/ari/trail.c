/* trail.c - which incarnation took which event, told to a simulated exchange that checks the promises.
 *
 * Where receipts.c counts for each call, this keeps every step: an incarnation begins, takes an event,
 * ends in order. The lines stand in the order in which it happened, because each is written under one
 * lock by the actor itself; so a step of an actor that has been replaced already shows as what it is.
 * They go out as POST /ari/exchange/trail:
 *
 *     RUN BATCH DROPPED              the process's random number, 1, 2, 3, and lines there was no room for
 *     b CHANNEL PID RESTARTS AT_US   begun
 *     e CHANNEL PID SEQ AT_US        took the event of that number ("exchange":{"seq":n})
 *     g CHANNEL PID AT_US            ended in order; a crash says nothing
 *
 * The first batch may have no lines: it says that another process is there. One that was not answered is sent
 * again as it was; the exchange knows it by its number. A process that is killed takes what it had not told
 * with it.
 * Touched by any worker under a lock; the batch by the sending actor. For measuring, not for production. */
#include "trail.h"
#include "rest.h"
#include "tandem/env.h"
#include "tandem/timer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK_BYTES = 48 * 1024, CHUNKS_MAX = 512, HEAD_BYTES = 80, LINE_BYTES = 320 };

#define SEND_EVERY_NS TDM_MS(100)

struct chunk {
    struct chunk *next;
    size_t bytes;
    char text[CHUNK_BYTES];
};

struct trail {
    struct tdm_env *env;
    uint64_t run;
    /* under the lock */
    pthread_mutex_t lock;
    struct chunk *first, *last;
    uint32_t chunks;
    uint64_t dropped;
    /* the sender's; they survive its incarnations */
    uint64_t batches;
    size_t body_bytes; /* 0: nothing is under way */
    char body[HEAD_BYTES + CHUNK_BYTES + 1];
};

int trail_new(struct tdm_env *env, uint64_t run, struct trail **ret)
{
    struct trail *t = env->alloc(env, sizeof *t);

    if (t == NULL)
        return TDM_ENOMEM;
    memset(t, 0, sizeof *t);
    t->env = env;
    t->run = run;
    pthread_mutex_init(&t->lock, NULL);
    *ret = t;
    return TDM_OK;
}

void trail_free(struct trail *t)
{
    if (t == NULL)
        return;
    for (struct chunk *c = t->first, *next; c != NULL; c = next) {
        next = c->next;
        t->env->free(t->env, c, sizeof *c);
    }
    pthread_mutex_destroy(&t->lock);
    t->env->free(t->env, t, sizeof *t);
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* Where `bytes` more can be written; NULL: no room. Under the lock. */
static struct chunk *chunk_for(struct trail *t, size_t bytes)
{
    struct chunk *c = t->last;

    if (c != NULL && CHUNK_BYTES - c->bytes >= bytes)
        return c;
    c = t->chunks < CHUNKS_MAX ? t->env->alloc(t->env, sizeof *c) : NULL;
    if (c == NULL)
        return NULL;
    c->next = NULL;
    c->bytes = 0;
    if (t->last != NULL)
        t->last->next = c;
    else
        t->first = c;
    t->last = c;
    t->chunks++;
    return c;
}

void trail_add(struct trail *t, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;

    va_start(args, format);
    const int bytes = vsnprintf(line, sizeof line, format, args);

    va_end(args);
    pthread_mutex_lock(&t->lock);
    struct chunk *c = bytes > 0 && bytes < LINE_BYTES ? chunk_for(t, (size_t)bytes) : NULL;

    if (c != NULL) {
        memcpy(c->text + c->bytes, line, (size_t)bytes);
        c->bytes += (size_t)bytes;
    }
    t->dropped += c == NULL;
    pthread_mutex_unlock(&t->lock);
}

static unsigned long long pid_of(tdm_call *call)
{
    return tdm_self_pid(tdm_call_self(call)).id;
}

static unsigned long long now_us(tdm_call *call)
{
    return tdm_now_ns(tdm_call_self(call)) / 1000;
}

void trail_took(struct trail *t, tdm_call *call, tdm_event *event)
{
    const int64_t seq = tdm_event_int(event, "exchange.seq", 0);

    if (seq > 0)
        trail_add(t, "e %s %llu %llu %llu\n", tdm_call_id(call), pid_of(call), (unsigned long long)seq,
                  now_us(call));
}

void trail_begun(struct trail *t, tdm_call *call, tdm_event *start)
{
    trail_add(t, "b %s %llu %u %llu\n", tdm_call_id(call), pid_of(call), tdm_call_restarts(call),
              now_us(call));
    if (tdm_call_restarts(call) == 0)
        trail_took(t, call, start);
}

void trail_gone(struct trail *t, tdm_call *call)
{
    trail_add(t, "g %s %llu %llu\n", tdm_call_id(call), pid_of(call), now_us(call));
}

/* ---- batches --------------------------------------------------------------------------------- */

const char *trail_batch(struct trail *t, size_t *bytes)
{
    if (t->body_bytes == 0) {
        pthread_mutex_lock(&t->lock);
        struct chunk *c = t->first;
        const uint64_t dropped = t->dropped;

        if (c != NULL) {
            t->first = c->next;
            t->last = c->next == NULL ? NULL : t->last;
            t->chunks--;
        }
        pthread_mutex_unlock(&t->lock);
        if (c == NULL && t->batches > 0)
            return NULL;
        const int head = snprintf(t->body, HEAD_BYTES, "%llu %llu %llu\n", (unsigned long long)t->run,
                                  (unsigned long long)++t->batches, (unsigned long long)dropped);

        t->body_bytes = (size_t)head + (c != NULL ? c->bytes : 0);
        if (c != NULL) {
            memcpy(t->body + head, c->text, c->bytes);
            t->env->free(t->env, c, sizeof *c);
        }
        t->body[t->body_bytes] = '\0';
    }
    *bytes = t->body_bytes;
    return t->body;
}

bool trail_sent(struct trail *t)
{
    t->body_bytes = 0;
    pthread_mutex_lock(&t->lock);
    const bool more = t->chunks > 1;

    pthread_mutex_unlock(&t->lock);
    return more;
}

/* ---- the sender ------------------------------------------------------------------------------ */

struct sender {
    struct ari *a;
    tdm_ref asked; /* 0: nothing is under way */
};

static int look_later(tdm_self *self)
{
    return tdm_timer_start(self, SEND_EVERY_NS) != 0 ? TDM_OK : TDM_ENOMEM;
}

static int send_batch(tdm_self *self, struct sender *s)
{
    size_t bytes = 0;
    const char *body = trail_batch(s->a->trail, &bytes);

    if (body == NULL)
        return look_later(self);
    if (rest_send(s->a, tdm_self_pid(self),
                  &(struct rest_request){
                      .method = "POST", .target = "/exchange/trail", .body = body, .body_bytes = bytes },
                  &s->asked) == TDM_OK)
        return TDM_OK;
    s->asked = 0;
    return look_later(self);
}

static int sender_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct sender *s = state;

    memcpy(&s->a, start->arg, sizeof s->a);
    return look_later(self);
}

static int sender_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    const struct tdm_http_reply *reply = rest_reply(msg);
    struct sender *s = state;

    if (msg->type == TDM_MSG_TIMER && s->asked == 0)
        return send_batch(self, s);
    if (reply == NULL || msg->ref != s->asked)
        return TDM_OK;
    s->asked = 0;
    if (rest_outcome(reply, REST_OTHER, NULL) != TDM_OK)
        return look_later(self);
    return trail_sent(s->a->trail) ? send_batch(self, s) : look_later(self);
}

const struct tdm_behaviour trail_behaviour = {
    .name = "ari.trail",
    .state_bytes = sizeof(struct sender),
    .init = sender_init,
    .handle = sender_handle,
};
