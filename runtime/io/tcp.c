/* tcp.c - one stream connection between a socket and its owner.
 *
 * Reading:   all connections share the loop's receive buffer. What the owner does not use yet (a part of a
 *            frame) is kept by the connection and put in front of the next read; it is small.
 * Writing:   tcp_write.c.
 * Ending:    two ways to the same place. The owner ends it (tcp_end), or it fails or the peer ends it
 *            (tcp_fail, then the owner hears closed()). Either way freed() comes last, between rounds.
 * Invariant: a connection is on the live list until it is TCP_DEAD, then on the dead one. */
#include "io/tcp.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "io/connect.h"

enum { READS_PER_EVENT = 4, LINGER_MS = 1000, FLUSH_MS = 5000 };

static void tcp_ready(struct loop *loop, struct loop_source *s, uint32_t events);

static struct tcp *of_timer(struct loop_timer *timer)
{
    return (struct tcp *)((char *)timer - offsetof(struct tcp, timer));
}

/* ---- birth ----------------------------------------------------------------------------------- */

struct tcp *tcp_new(struct loop *loop, const struct tcp_ops *ops, void *owner)
{
    struct tcp *t = loop->env->alloc(loop->env, sizeof *t);

    if (t == NULL)
        return NULL;
    memset(t, 0, sizeof *t);
    t->source.ready = tcp_ready;
    t->loop = loop;
    t->ops = ops;
    t->owner = owner;
    t->fd = -1;
    t->read_ns = loop->now_ns;
    t->next = loop->live;
    if (t->next != NULL)
        t->next->prev = t;
    loop->live = t;
    return t;
}

int tcp_use_tls(struct tcp *t, struct tls *session)
{
    struct loop *loop = t->loop;

    t->tls = session;
    if (loop->plain == NULL)
        loop->plain = loop->env->alloc(loop->env, LOOP_RX_BYTES + LOOP_RX_SLACK);
    return session != NULL && loop->plain != NULL ? TDM_OK : TDM_ENOMEM;
}

int tcp_accepted(struct loop *loop, int fd, struct tls_ctx *tls, const struct tcp_ops *ops, void *owner,
                 struct tcp **ret)
{
    struct tcp *t = tcp_new(loop, ops, owner);
    int err = TDM_ENOMEM;

    if (t == NULL) {
        loop->env->sock_close(loop->env, fd, true);
        return err;
    }
    t->fd = fd;
    t->state = TCP_OPEN;
    if (tls != NULL) {
        t->state = TCP_HANDSHAKE;
        if (tcp_use_tls(t, tls_accept(tls)) != TDM_OK)
            goto fail;
    }
    t->events = TDM_POLL_READ;
    err = loop->env->poller_set(loop->env, loop->poller, fd, t->events, t);
    if (err < 0)
        goto fail;
    *ret = t;
    return TDM_OK;
fail:
    t->ops = NULL; /* the caller still owns its owner */
    tcp_end(t, TCP_ABORT);
    return err;
}

void tcp_watch(struct tcp *t, uint32_t events)
{
    int err;

    if (t->events == events || t->fd < 0)
        return;
    err = t->loop->env->poller_set(t->loop->env, t->loop->poller, t->fd, events, t);
    t->events = err < 0 ? 0 : events;
    if (err < 0 && events != 0)
        tcp_fail(t, err, "watching a socket: %s", tdm_strerror(err));
}

void tcp_dirty(struct tcp *t)
{
    if (t->is_dirty)
        return;
    t->is_dirty = true;
    t->next_dirty = t->loop->dirty;
    t->loop->dirty = t;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* Off the wire and onto the dead list. The owner's memory stays until tcp_bury(). */
static void die(struct tcp *t)
{
    struct loop *loop = t->loop;

    if (t->state == TCP_DEAD)
        return;
    connect_free(t);
    loop_timer_clear(loop, &t->timer);
    t->state = TCP_DEAD;
    if (t->fd >= 0) {
        if (t->events != 0)
            loop->env->poller_set(loop->env, loop->poller, t->fd, 0, t);
        loop->env->sock_close(loop->env, t->fd, t->how == TCP_ABORT);
        t->fd = -1;
    }
    tcp_drop_output(t);
    if (t->prev != NULL)
        t->prev->next = t->next;
    else
        loop->live = t->next;
    if (t->next != NULL)
        t->next->prev = t->prev;
    t->prev = NULL;
    t->next = loop->dead;
    loop->dead = t;
}

void tcp_fail(struct tcp *t, int err, const char *format, ...)
{
    bool told = t->state == TCP_ENDING || t->state == TCP_DEAD;
    va_list args;

    if (t->state == TCP_DEAD)
        return;
    va_start(args, format);
    vsnprintf(t->why, sizeof t->why, format, args);
    va_end(args);
    /* What the peer has not read yet is not to be acted on after we have said that it failed. A handshake's last words
     * tell why, and a shutdown is no failure. */
    if (err < 0 && err != TDM_ESHUTDOWN && t->state == TCP_OPEN)
        t->how = TCP_ABORT;
    die(t);
    if (!told && t->ops != NULL)
        t->ops->closed(t, err);
}

void tcp_bury(struct loop *loop)
{
    while (loop->dead != NULL) {
        struct tcp *t = loop->dead;
        loop->dead = t->next;
        if (t->ops != NULL)
            t->ops->freed(t);
        tls_free(t->tls);
        bytes_free(loop->env, &t->kept);
        loop->env->free(loop->env, t, sizeof *t);
    }
}

void tcp_end_all(struct loop *loop)
{
    while (loop->live != NULL) {
        struct tcp *t = loop->live;
        tcp_fail(t, TDM_ESHUTDOWN, "%s", tdm_strerror(TDM_ESHUTDOWN));
    }
    loop->dirty = NULL;
}

static void linger_over(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    die(of_timer(timer));
}

void tcp_end(struct tcp *t, enum tcp_how how)
{
    if (t->state == TCP_DEAD)
        return;
    t->how = how;
    if (how == TCP_ABORT || t->state != TCP_OPEN || t->fd < 0) {
        die(t);
        return;
    }
    if (t->tls != NULL) {
        tls_bye(t->tls);
        (void)tcp_send_encrypted(t, NULL); /* without it the peer sees the end a little less politely */
    }
    t->state = TCP_ENDING;
    t->kept.used = 0;
    loop_timer_set(t->loop, &t->timer, how == TCP_LINGER ? LINGER_MS : FLUSH_MS, linger_over);
    if (!t->eof)
        tcp_watch(t, t->events | TDM_POLL_READ);
    tcp_dirty(t); /* the flush at the end of the round takes it from here */
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Hand buf[0..n), which begins with the kept bytes, to the owner; keep what it leaves. */
static bool offer(struct tcp *t, char *buf, size_t n)
{
    size_t used;

    t->kept.used = 0;
    used = t->ops->data(t, buf, n);
    if (t->state != TCP_OPEN)
        return false;
    if (used < n && bytes_add(t->loop->env, &t->kept, buf + used, n - used) != TDM_OK) {
        tcp_fail(t, TDM_ENOMEM, "%s", tdm_strerror(TDM_ENOMEM));
        return false;
    }
    return !t->paused;
}

/* Decrypted bytes, as far as there are any and the owner takes them. */
static bool offer_decrypted(struct tcp *t)
{
    struct loop *loop = t->loop;

    for (;;) {
        size_t kept = t->kept.used;
        int n =
            kept < LOOP_RX_BYTES ? tls_read(t->tls, loop->plain + kept, LOOP_RX_BYTES - kept) : TDM_ETOOBIG;
        if (tcp_send_encrypted(t, NULL) != TDM_OK)
            n = TDM_ENOMEM;
        if (n == TDM_ECONN) { /* the peer said goodbye */
            t->eof = true;
            return true;
        }
        if (n < 0) {
            tcp_fail(t, n, "TLS: %s", tls_why(t->tls));
            return false;
        }
        if (n == 0)
            return true;
        if (kept > 0)
            memcpy(loop->plain, t->kept.data, kept);
        if (!offer(t, loop->plain, kept + (size_t)n))
            return false;
    }
}

static bool shake_hands(struct tcp *t)
{
    int err = tls_handshake(t->tls);

    if (tcp_send_encrypted(t, NULL) != TDM_OK)
        err = TDM_ENOMEM;
    if (err < 0) {
        tcp_flush(t); /* the alert tells the peer why */
        tcp_fail(t, err, "TLS: %s", tls_why(t->tls));
        return false;
    }
    if (err == 0)
        return false;
    connect_free(t);
    t->state = TCP_OPEN;
    t->ops->opened(t);
    return t->state == TCP_OPEN;
}

/* Bytes from the socket, by way of TLS or not, to the owner. Returns false to stop reading now. */
static bool received(struct tcp *t, char *p, size_t n)
{
    t->read_ns = t->loop->now_ns;
    if (t->state == TCP_ENDING)
        return true;
    if (t->tls == NULL)
        return offer(t, p, n);
    if (tls_feed(t->tls, p, n) < 0) {
        tcp_fail(t, TDM_ENOMEM, "%s", tdm_strerror(TDM_ENOMEM));
        return false;
    }
    if (t->state == TCP_HANDSHAKE && !shake_hands(t))
        return t->state == TCP_HANDSHAKE;
    return offer_decrypted(t);
}

static void ended_by_peer(struct tcp *t)
{
    t->eof = true;
    if (t->state == TCP_ENDING) {
        if (t->how == TCP_LINGER || t->out_head == NULL)
            die(t);
        else
            tcp_watch(t, t->events & ~(uint32_t)TDM_POLL_READ);
    } else if (t->hold_eof || t->paused) {
        tcp_watch(t, t->events & ~(uint32_t)TDM_POLL_READ);
    } else {
        tcp_fail(t, TDM_OK, "the peer closed the connection");
    }
}

static void readable(struct tcp *t)
{
    struct tdm_env *env = t->loop->env;
    char *rx = t->loop->rx;

    for (int i = 0; i < READS_PER_EVENT && t->state != TCP_DEAD; i++) {
        size_t kept = t->tls == NULL ? t->kept.used : 0;
        size_t room = LOOP_RX_BYTES - kept;
        ssize_t n = room > 0 ? env->sock_read(env, t->fd, rx + kept, room) : TDM_ETOOBIG;

        if (n == -EAGAIN)
            return;
        if (n < 0) {
            tcp_fail(t, TDM_ECONN, "reading: %s", tdm_strerror((int)n));
            return;
        }
        if (n == 0) {
            ended_by_peer(t);
            return;
        }
        if (kept > 0)
            memcpy(rx, t->kept.data, kept);
        if (!received(t, rx, kept + (size_t)n) || (size_t)n < room)
            break;
    }
    if (t->eof && t->state != TCP_DEAD)
        ended_by_peer(t);
}

/* The owner takes bytes again: first those it left, then those TLS holds, then the socket's. */
static void offer_again(struct tcp *t)
{
    size_t kept = t->kept.used;

    t->offer = false;
    if (t->paused || t->state != TCP_OPEN)
        return;
    if (kept > 0) {
        memcpy(t->loop->rx, t->kept.data, kept);
        if (!offer(t, t->loop->rx, kept))
            return;
    }
    if (t->tls != NULL && !offer_decrypted(t))
        return;
    if (t->eof)
        ended_by_peer(t);
    else
        tcp_watch(t, t->events | TDM_POLL_READ);
}

void tcp_pause(struct tcp *t, bool pause)
{
    if (t->paused == pause || t->state == TCP_DEAD)
        return;
    t->paused = pause;
    t->offer = !pause;
    if (!pause)
        tcp_dirty(t);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void tcp_ready(struct loop *loop, struct loop_source *s, uint32_t events)
{
    struct tcp *t = (struct tcp *)s;

    (void)loop;
    if (t->state == TCP_DEAD)
        return; /* an event of the round in which it died */
    if (t->state == TCP_CONNECTING) {
        connect_ready(t);
        return;
    }
    if (events & TDM_POLL_WRITE)
        tcp_dirty(t);
    if ((events & (TDM_POLL_READ | TDM_POLL_HANGUP)) == 0)
        return;
    if (t->eof && (events & TDM_POLL_HANGUP)) {
        tcp_fail(t, TDM_ECONN, "the peer closed the connection"); /* both halves are gone */
        return;
    }
    if (!t->paused || t->state == TCP_ENDING) {
        readable(t);
        return;
    }
    /* Paused: not watched for READ until it goes on, else we would be told again and again. A reset is
     * told at once to an owner that works on an answer; for others unread bytes come first. */
    if (t->events & TDM_POLL_READ)
        tcp_watch(t, (t->events & ~(uint32_t)TDM_POLL_READ) | TDM_POLL_HANGUP);
    else if (t->hold_eof)
        tcp_fail(t, TDM_ECONN, "the peer closed the connection");
    else
        tcp_watch(t, 0);
}

void tcp_connected(struct tcp *t)
{
    t->read_ns = t->loop->now_ns;
    if (t->tls == NULL) {
        t->state = TCP_OPEN;
        t->ops->opened(t);
    } else {
        t->state = TCP_HANDSHAKE;
        shake_hands(t);
    }
    if (t->state != TCP_DEAD)
        tcp_watch(t, TDM_POLL_READ);
}

static void flush_one(struct tcp *t)
{
    t->is_dirty = false;
    if (t->state == TCP_CONNECTING) {
        connect_begin(t);
        return;
    }
    if (t->state != TCP_DEAD && t->failed < 0)
        tcp_fail(t, t->failed, "TLS: %s",
                 t->failed == TDM_ENOMEM ? tdm_strerror(TDM_ENOMEM) : tls_why(t->tls));
    if (t->state == TCP_DEAD || !tcp_flush(t))
        return;
    if (t->offer)
        offer_again(t);
    if (t->state == TCP_ENDING && t->out_head == NULL && (t->how == TCP_FLUSH || t->eof))
        die(t);
}

void tcp_flush_dirty(struct loop *loop)
{
    while (loop->dirty != NULL) {
        struct tcp *t = loop->dirty;
        loop->dirty = t->next_dirty;
        flush_one(t);
    }
}
