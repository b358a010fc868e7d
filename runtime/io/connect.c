/* connect.c - from a host name to a connected socket, without ever blocking the loop.
 *
 * Idea:      a literal address is used at once; a name is looked up by a thread made for it, which posts
 *            the addresses back as a command. They are tried in turn, each with its share of the time.
 * Invariant: a lookup outlives the connection that asked if it must (`asker` is then NULL); it frees
 *            itself when its command runs. While it runs the helper thread alone touches `addr`/`count`.
 * Touched by the loop; lookup_run() by the helper thread. */
#include "io/connect.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { ADDRESSES = 8, HOST_BYTES = 256 };

struct lookup {
    struct loop_cmd cmd; /* how the answer comes back; never allocated by itself */
    struct loop *loop;
    struct tcp *asker;
    struct tdm_thread *thread;
    struct lookup *next, *prev;
    int count;
    struct sockaddr_storage addr[ADDRESSES];
    uint16_t port;
    char host[HOST_BYTES];
};

struct connect {
    struct lookup *lookup;
    struct tls_ctx *tls;
    uint64_t deadline_ns;
    bool begun;
    int count, next;
    int err; /* of the last attempt */
    struct sockaddr_storage addr[ADDRESSES];
    uint16_t port;
    char host[HOST_BYTES];
    char server_name[HOST_BYTES];
};

/* ---- names ----------------------------------------------------------------------------------- */

static int literal(const char *host, uint16_t port, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return 1;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        return 1;
    }
    return 0;
}

static void lookup_run(void *arg)
{
    struct lookup *l = arg;

    l->count = l->loop->env->resolve(l->loop->env, l->host, l->port, l->addr, ADDRESSES);
    loop_post(l->loop, &l->cmd);
}

static void lookup_free(struct lookup *l)
{
    struct loop *loop = l->loop;

    if (l->prev != NULL)
        l->prev->next = l->next;
    else
        loop->lookups = l->next;
    if (l->next != NULL)
        l->next->prev = l->prev;
    loop->env->free(loop->env, l, sizeof *l);
}

static void lookup_done(struct loop *loop, struct loop_cmd *cmd)
{
    struct lookup *l = (struct lookup *)cmd;
    struct tcp *t = l->asker;

    if (l->thread != NULL)
        loop->env->thread_join(loop->env, l->thread);
    if (t != NULL) {
        struct connect *c = t->connect;
        c->lookup = NULL;
        c->count = l->count > 0 ? l->count : 0;
        c->err = l->count > 0 ? TDM_OK : l->count;
        memcpy(c->addr, l->addr, sizeof c->addr);
        connect_step(t);
    }
    lookup_free(l);
}

static int lookup_start(struct tcp *t)
{
    struct loop *loop = t->loop;
    struct lookup *l = loop->env->alloc(loop->env, sizeof *l);
    int err;

    if (l == NULL)
        return TDM_ENOMEM;
    memset(l, 0, sizeof *l);
    l->cmd.run = lookup_done;
    l->loop = loop;
    l->asker = t;
    l->port = t->connect->port;
    memcpy(l->host, t->connect->host, sizeof l->host);
    l->next = loop->lookups;
    if (l->next != NULL)
        l->next->prev = l;
    loop->lookups = l;
    err = loop->env->thread_start(loop->env, &l->thread, "tandem-resolve", lookup_run, l);
    if (err < 0) {
        lookup_free(l);
        return err;
    }
    t->connect->lookup = l;
    return TDM_OK;
}

/* At the end of the loop: the C library cannot be told to stop looking, so we wait for it. */
void connect_join_all(struct loop *loop)
{
    for (struct lookup *l = loop->lookups; l != NULL; l = l->next) {
        loop->env->thread_join(loop->env, l->thread);
        l->thread = NULL;
    }
}

/* ---- attempts -------------------------------------------------------------------------------- */

static void attempt_over(struct loop *loop, struct loop_timer *timer);

static void close_socket(struct tcp *t)
{
    if (t->fd < 0)
        return;
    tcp_watch(t, 0);
    t->loop->env->sock_close(t->loop->env, t->fd, false);
    t->fd = -1;
}

static void give_up(struct tcp *t)
{
    struct connect *c = t->connect;
    bool late = t->loop->now_ns >= c->deadline_ns;

    if (late)
        tcp_fail(t, TDM_ETIMEOUT, "%s port %u: no answer in time", c->host, c->port);
    else if (c->count == 0)
        tcp_fail(t, TDM_ECONN, "%s: the name does not resolve (%s)", c->host, tdm_strerror(c->err));
    else
        tcp_fail(t, TDM_ECONN, "%s port %u: %s", c->host, c->port, tdm_strerror(c->err));
}

/* Start on the next address whose socket can be made; each gets an even share of the time left. */
void connect_step(struct tcp *t)
{
    struct connect *c = t->connect;
    struct loop *loop = t->loop;

    if (c->count == 0 && c->err == TDM_OK) {
        c->count = literal(c->host, c->port, &c->addr[0]);
        if (c->count == 0)
            c->err = lookup_start(t);
        if (c->lookup != NULL) {
            loop_timer_at(loop, &t->timer, c->deadline_ns, attempt_over);
            return;
        }
    }
    close_socket(t);
    while (c->next < c->count && loop->now_ns < c->deadline_ns) {
        struct sockaddr *addr = (struct sockaddr *)&c->addr[c->next++];
        socklen_t bytes =
            addr->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        uint64_t share = (c->deadline_ns - loop->now_ns) / (uint64_t)(c->count - c->next + 1);

        t->fd = loop->env->sock_connect(loop->env, addr, bytes);
        c->err = t->fd < 0 ? t->fd : TDM_OK;
        if (t->fd < 0)
            continue;
        loop_timer_at(loop, &t->timer, loop->now_ns + share, attempt_over);
        tcp_watch(t, TDM_POLL_WRITE);
        return;
    }
    give_up(t);
}

void connect_begin(struct tcp *t)
{
    if (!t->connect->begun) {
        t->connect->begun = true;
        connect_step(t);
    }
}

static void attempt_over(struct loop *loop, struct loop_timer *timer)
{
    struct tcp *t = (struct tcp *)((char *)timer - offsetof(struct tcp, timer));

    t->connect->err = -ETIMEDOUT;
    if (t->state == TCP_HANDSHAKE || loop->now_ns >= t->connect->deadline_ns)
        give_up(t);
    else
        connect_step(t);
}

void connect_ready(struct tcp *t)
{
    struct connect *c = t->connect;

    c->err = t->loop->env->sock_error(t->loop->env, t->fd);
    if (c->err < 0) {
        connect_step(t);
        return;
    }
    if (c->tls != NULL) {
        if (tcp_use_tls(t, tls_connect(c->tls, c->server_name)) != TDM_OK) {
            tcp_fail(t, TDM_ENOMEM, "TLS: %s", tdm_strerror(TDM_ENOMEM));
            return;
        }
        /* The rest of the time is the handshake's. */
        loop_timer_at(t->loop, &t->timer, c->deadline_ns, attempt_over);
    } else {
        connect_free(t);
    }
    tcp_connected(t);
}

void connect_free(struct tcp *t)
{
    struct connect *c = t->connect;

    if (c == NULL)
        return;
    loop_timer_clear(t->loop, &t->timer);
    if (c->lookup != NULL)
        c->lookup->asker = NULL;
    tls_ctx_unref(c->tls);
    t->loop->env->free(t->loop->env, c, sizeof *c);
    t->connect = NULL;
}

int tcp_connect(struct loop *loop, const struct tcp_connect_cfg *cfg, struct tcp **ret)
{
    const char *name = cfg->server_name != NULL ? cfg->server_name : cfg->host;
    struct connect *c;
    struct tcp *t;

    if (loop->closing)
        return TDM_ESHUTDOWN;
    if (strlen(cfg->host) >= HOST_BYTES || strlen(name) >= HOST_BYTES)
        return TDM_EINVAL;
    t = tcp_new(loop, cfg->ops, cfg->owner);
    c = t != NULL ? loop->env->alloc(loop->env, sizeof *c) : NULL;
    if (c == NULL) {
        if (t != NULL) {
            t->ops = NULL; /* the caller still owns its owner */
            tcp_end(t, TCP_ABORT);
        }
        return TDM_ENOMEM;
    }
    memset(c, 0, sizeof *c);
    c->tls = tls_ctx_ref(cfg->tls);
    c->deadline_ns = loop->now_ns + cfg->timeout_ms * UINT64_C(1000000);
    c->port = cfg->port;
    strcpy(c->host, cfg->host);
    strcpy(c->server_name, name);
    t->connect = c;
    t->state = TCP_CONNECTING;
    tcp_dirty(t);
    *ret = t;
    return TDM_OK;
}
