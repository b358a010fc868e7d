/* tcp_write.c - the writing half of a connection: a queue of buffers, in the clear or by way of TLS.
 *
 * Idea:      senders hand over buffers they made themselves; they are written by one writev at the end of the
 *            round. The poller is asked for WRITE only after a write came up short, so a connection in good
 *            health costs no epoll_ctl.
 * Bounds:    a buffer may be charged to a handle; whoever frees it takes the charge back. Bytes that the peer
 *            does not read for write_timeout_ms end the connection. */
#include <string.h>

#include "io/tcp.h"

enum { WRITE_PIECES = 64 };

static struct tcp *of_timer(struct loop_timer *timer)
{
    return (struct tcp *)((char *)timer - offsetof(struct tcp, timer));
}

struct out *out_new(struct loop *loop, size_t n)
{
    struct out *o = loop->env->alloc(loop->env, sizeof *o + n);

    if (o == NULL)
        return NULL;
    *o = (struct out){ .cmd.bytes = sizeof *o + n, .end = n };
    return o;
}

void out_free(struct loop *loop, struct out *o)
{
    if (o == NULL)
        return;
    /* relaxed: see "unsent" in loop.c. */
    if (o->handle != NULL)
        atomic_fetch_sub_explicit(&o->handle->unsent, (int64_t)o->charged, memory_order_relaxed);
    loop_cmd_free(loop, &o->cmd);
}

static void enqueue(struct tcp *t, struct out *o)
{
    o->next = NULL;
    o->queued_ns = t->loop->now_ns;
    if (t->out_tail != NULL)
        t->out_tail->next = o;
    else
        t->out_head = o;
    t->out_tail = o;
    tcp_dirty(t);
}

/* Move what TLS wants to write into the queue, charged to whoever caused it. */
int tcp_send_encrypted(struct tcp *t, struct out *cause)
{
    size_t n = tls_pending_out(t->tls);
    struct out *o;

    if (n == 0)
        return TDM_OK;
    o = out_new(t->loop, n);
    if (o == NULL)
        return TDM_ENOMEM;
    o->end = tls_take_out(t->tls, o->data, n);
    if (cause != NULL) {
        o->handle = cause->handle;
        o->charged = cause->charged;
        cause->handle = NULL;
    }
    enqueue(t, o);
    return TDM_OK;
}

void tcp_send(struct tcp *t, struct out *o)
{
    int err;

    if (t->state != TCP_OPEN || t->failed < 0) {
        out_free(t->loop, o);
        return;
    }
    if (t->tls == NULL) {
        enqueue(t, o);
        return;
    }
    err = tls_write(t->tls, o->data + o->at, o->end - o->at);
    if (err == TDM_OK)
        err = tcp_send_encrypted(t, o);
    out_free(t->loop, o);
    if (err < 0) { /* the caller is in the middle of something: its owner hears at the end of the round */
        t->failed = err;
        tcp_dirty(t);
    }
}

int tcp_send_text(struct tcp *t, const char *text, size_t n)
{
    struct out *o = out_new(t->loop, n);

    if (o == NULL)
        return TDM_ENOMEM;
    memcpy(o->data, text, n);
    tcp_send(t, o);
    return TDM_OK;
}

void tcp_drop_output(struct tcp *t)
{
    while (t->out_head != NULL) {
        struct out *o = t->out_head;
        t->out_head = o->next;
        out_free(t->loop, o);
    }
    t->out_tail = NULL;
}

static void write_late(struct loop *loop, struct loop_timer *timer)
{
    struct tcp *t = of_timer(timer);
    uint64_t limit = t->write_timeout_ms * UINT64_C(1000000);

    if (t->out_head == NULL)
        return;
    if (loop->now_ns - t->out_head->queued_ns >= limit) {
        t->how = TCP_ABORT;
        tcp_fail(t, TDM_ETIMEOUT, "the peer did not read for %u ms", t->write_timeout_ms);
    } else
        loop_timer_at(loop, timer, t->out_head->queued_ns + limit, write_late);
}

static void wrote(struct tcp *t, size_t n)
{
    t->written += n;
    while (n > 0 && t->out_head != NULL) {
        struct out *o = t->out_head;
        size_t part = o->end - o->at < n ? o->end - o->at : n;
        o->at += part;
        n -= part;
        if (o->at < o->end)
            return;
        t->out_head = o->next;
        if (t->out_head == NULL)
            t->out_tail = NULL;
        out_free(t->loop, o);
    }
}

/* Write as much as the socket takes. Returns false when the connection died of it. */
bool tcp_flush(struct tcp *t)
{
    struct tdm_env *env = t->loop->env;

    while (t->out_head != NULL) {
        struct iovec iov[WRITE_PIECES];
        size_t want = 0;
        int count = 0;
        ssize_t n;

        for (struct out *o = t->out_head; o != NULL && count < WRITE_PIECES; o = o->next) {
            iov[count++] = (struct iovec){ .iov_base = o->data + o->at, .iov_len = o->end - o->at };
            want += o->end - o->at;
        }
        n = env->sock_writev(env, t->fd, iov, count);
        if (n < 0 && n != -EAGAIN) {
            tcp_fail(t, TDM_ECONN, "writing: %s", tdm_strerror((int)n));
            return false;
        }
        if (n > 0)
            wrote(t, (size_t)n);
        if (n < 0 || (size_t)n < want) {
            if (t->write_timeout_ms > 0 && !t->timer.armed)
                loop_timer_at(t->loop, &t->timer,
                              t->out_head->queued_ns + t->write_timeout_ms * UINT64_C(1000000), write_late);
            tcp_watch(t, t->events | TDM_POLL_WRITE);
            return t->state != TCP_DEAD;
        }
    }
    tcp_watch(t, t->events & ~(uint32_t)TDM_POLL_WRITE);
    return t->state != TCP_DEAD;
}
