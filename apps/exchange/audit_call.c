/* audit_call.c - one call under judgement: its events that are out, and its place in the list. */
#include "audit_call.h"

#include <string.h>

#include <tandem/env.h>
#include <tandem/err.h>

struct audit_call *audit_call_new(struct audit *a, const char *id)
{
    struct tdm_env *env = a->cfg.env;
    struct audit_call *c = env->alloc(env, sizeof *c + strlen(id) + 1);

    if (c == NULL)
        return NULL;
    memset(c, 0, sizeof *c);
    strcpy(c->id, id);
    if (ex_table_put(&a->calls, &c->entry, c->id, c) < 0) {
        env->free(env, c, sizeof *c + strlen(id) + 1);
        return NULL;
    }
    c->next = a->first;
    if (c->next != NULL)
        c->next->prev = c;
    a->first = c;
    return c;
}

void audit_call_forget(struct audit *a, struct audit_call *c)
{
    struct tdm_env *env = a->cfg.env;

    ex_table_remove(&a->calls, &c->entry);
    *(c->prev != NULL ? &c->prev->next : &a->first) = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    if (c->events != NULL)
        env->free(env, c->events, c->room * sizeof *c->events);
    env->free(env, c, sizeof *c + strlen(c->id) + 1);
}

/* Does it still wait for an event? What is out on a connection that ended is not waited for. */
static bool waits(const struct audit *a, const struct audit_call *c)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (!c->events[i].lost && c->events[i].conn == a->conn)
            return true;
    return false;
}

bool audit_call_closed(const struct audit *a, const struct audit_call *c)
{
    return c->over && !c->served && !waits(a, c);
}

void audit_call_settle(struct audit *a, struct audit_call *c, bool long_over)
{
    if (!audit_call_closed(a, c) || (!c->gone && !long_over))
        return;
    for (uint32_t i = 0; i < c->n; i++)
        a->n.excused += !c->events[i].lost;
    audit_call_forget(a, c);
}

static int grow(struct audit *a, struct audit_call *c)
{
    struct tdm_env *env = a->cfg.env;
    const uint32_t room = c->room == 0 ? 8 : c->room * 2;
    struct audit_event *events = env->alloc(env, room * sizeof *events);

    if (events == NULL)
        return TDM_ENOMEM;
    if (c->events != NULL) {
        memcpy(events, c->events, c->n * sizeof *events);
        env->free(env, c->events, c->room * sizeof *events);
    }
    c->events = events;
    c->room = room;
    return TDM_OK;
}

int audit_call_wait(struct audit *a, struct audit_call *c, struct audit_event e)
{
    if (c->n == c->room && grow(a, c) < 0)
        return TDM_ENOMEM;
    c->events[c->n++] = e;
    return TDM_OK;
}

void audit_call_take(struct audit_call *c, uint64_t seq)
{
    uint32_t i = 0;

    while (i < c->n && c->events[i].seq != seq)
        i++;
    if (i == c->n)
        return;
    c->n--;
    memmove(&c->events[i], &c->events[i + 1], (c->n - i) * sizeof *c->events);
}

void audit_call_drop(struct audit_call *c, uint32_t before)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < c->n; i++)
        if (i >= before || c->events[i].lost)
            c->events[kept++] = c->events[i];
    c->n = kept;
}
