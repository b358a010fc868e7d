/* msg_name.c - what to call a message in a report.
 *
 * Touched by any thread: the list only grows, its count is published last. */
#include "msg_name.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "actor.h"
#include "tandem/err.h"

struct named {
    uint32_t type;
    const char *name;
    void (*excerpt)(const struct tdm_msg *msg, char *buf, size_t bytes);
};

static const struct named own[] = {
    { TDM_MSG_EXIT, "exit", NULL },
    { TDM_MSG_DOWN, "down", NULL },
    { TDM_MSG_TIMER, "timer", NULL },
    { TDM_MSG_REPLY, "reply", NULL },
    { TDM_MSG_REQUEST_FAILED, "request_failed", NULL },
    { TDM_MSG_STOP, "stop", NULL },
    { TDM_MSG_HTTP_REPLY, "http_reply", NULL },
    { TDM_MSG_HTTP_REQUEST, "http_request", NULL },
    { TDM_MSG_WS_UPGRADE, "ws_upgrade", NULL },
    { TDM_MSG_WS_OPEN, "ws_open", NULL },
    { TDM_MSG_WS_TEXT, "ws_text", NULL },
    { TDM_MSG_WS_BINARY, "ws_binary", NULL },
    { TDM_MSG_WS_CLOSED, "ws_closed", NULL },
    { TDM_MSG_CONN_GONE, "conn_gone", NULL },
    { SIG_CHILD_STARTED, "child_started", NULL },
    { SIG_CHILD_EXIT, "child_exit", NULL },
    { SIG_ADMIN, "administration", NULL },
};

static struct {
    pthread_mutex_t adding;
    _Atomic size_t count; /* release after the entry is complete; partner: find() */
    struct named items[TDM_MSG_NAMES_MAX];
} given = { .adding = PTHREAD_MUTEX_INITIALIZER };

static const struct named *find(uint32_t type)
{
    size_t n = atomic_load_explicit(&given.count, memory_order_acquire);

    for (size_t i = 0; i < n; i++)
        if (given.items[i].type == type)
            return &given.items[i];
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (own[i].type == type)
            return &own[i];
    return NULL;
}

int tdm_msg_describe(uint32_t type, const char *name,
                     void (*excerpt)(const struct tdm_msg *msg, char *buf, size_t bytes))
{
    int err = TDM_OK;

    pthread_mutex_lock(&given.adding);
    size_t n = atomic_load_explicit(&given.count, memory_order_relaxed); /* we hold the lock */
    if (find(type) >= given.items && find(type) < given.items + n)
        err = TDM_EEXIST;
    else if (n == TDM_MSG_NAMES_MAX)
        err = TDM_EFULL;
    if (err == TDM_OK) {
        given.items[n] = (struct named){ type, name, excerpt };
        atomic_store_explicit(&given.count, n + 1, memory_order_release);
    }
    pthread_mutex_unlock(&given.adding);
    return err;
}

const char *msg_type_name(uint32_t type)
{
    const struct named *n = find(type);
    return n == NULL ? NULL : n->name;
}

const char *msg_type_text(uint32_t type, uint32_t payload_bytes, char *buf, size_t bytes)
{
    const char *name = msg_type_name(type);

    if (name != NULL)
        snprintf(buf, bytes, "%.32s:%u", name, payload_bytes);
    else
        snprintf(buf, bytes, "%u:%u", type, payload_bytes);
    return buf;
}

void msg_excerpt(const struct tdm_msg *msg, char *buf, size_t bytes)
{
    const struct named *n = find(msg->type);

    buf[0] = '\0';
    if (n != NULL && n->excerpt != NULL)
        n->excerpt(msg, buf, bytes);
    buf[bytes - 1] = '\0';
}
