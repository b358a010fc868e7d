/* http_server.c - the listener: accepts, counts, and ends with all its connections.
 *
 * Idea:      the socket is made on the caller's thread, so that "address in use" is an error of the call;
 *            from then on the loop owns it.
 * The end:   tdm_http_server_free() waits until the loop has closed the listener, so that the port is free
 *            when it returns. Two hold the memory then, the caller and the loop; the last one frees it.
 *            A server whose owner was killed gives its port to the next one that asks for it. */
#include "io/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "runtime.h"
#include "tandem/log.h"

enum { ACCEPTS_PER_EVENT = 32, NO_DESCRIPTOR_PAUSE_MS = 100, STOP_CHECK_MS = 20 };

#define DEFAULT(value, otherwise) ((value) != 0 ? (value) : (otherwise))

/* One holder less; the last frees. acq_rel: all that the other did comes before. */
static void let_go(struct tdm_http_server *s)
{
    struct tdm_env *env = s->loop->env;

    if (atomic_fetch_sub_explicit(&s->holders, 1, memory_order_acq_rel) != 1)
        return;
    tls_ctx_unref(s->tls);
    env->free(env, s, sizeof *s);
}

/* ---- accepting ------------------------------------------------------------------------------- */

static void listen_again(struct loop *loop, struct loop_timer *timer)
{
    struct tdm_http_server *s =
        (struct tdm_http_server *)((char *)timer - offsetof(struct tdm_http_server, pause));

    if (loop->env->poller_set(loop->env, loop->poller, s->fd, TDM_POLL_READ, s) < 0)
        loop_timer_set(loop, timer, NO_DESCRIPTOR_PAUSE_MS, listen_again);
}

static void on_ready(struct loop *loop, struct loop_source *source, uint32_t events)
{
    struct tdm_http_server *s = (struct tdm_http_server *)source;

    (void)events;
    for (int i = 0; i < ACCEPTS_PER_EVENT && s->listening; i++) {
        int fd = loop->env->sock_accept(loop->env, s->fd);
        if (fd == -EAGAIN)
            return;
        if (fd < 0) {
            /* No descriptors or memory: level-triggered readiness would spin. */
            loop->env->poller_set(loop->env, loop->poller, s->fd, 0, s);
            loop_timer_set(loop, &s->pause, NO_DESCRIPTOR_PAUSE_MS, listen_again);
            return;
        }
        if (s->peer_count >= s->cfg.connections)
            loop->env->sock_close(loop->env, fd, false);
        else
            http_peer_new(s, fd);
    }
}

/* ---- ending ---------------------------------------------------------------------------------- */

/* Listen no more, and let go of the connections. Fine when that is done. */
static void stop_listening(struct loop *loop, struct tdm_http_server *s)
{
    if (!s->listening)
        return;
    s->listening = false;
    loop_timer_clear(loop, &s->pause);
    loop->env->poller_set(loop->env, loop->poller, s->fd, 0, s);
    loop->env->sock_close(loop->env, s->fd, false);
    while (s->peers != NULL)
        http_peer_end(s->peers, TCP_FLUSH);
}

/* After this nothing of the loop's names it. */
void http_server_end(struct loop *loop, struct tdm_http_server *s)
{
    stop_listening(loop, s);
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        loop->servers = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    if (loop->closing)
        let_go(s); /* nobody asked and nobody will: the runtime is being freed */
}

/* Tell the thread that waits in wait_for_loop(). */
static void done(struct loop *loop, struct tdm_http_server *s)
{
    /* release: partner of the acquire in wait_for_loop(). */
    atomic_store_explicit(&s->ended, 1, memory_order_release);
    loop->env->unpark(loop->env, &s->parker);
    let_go(s);
}

static void run_end(struct loop *loop, struct loop_cmd *cmd)
{
    struct tdm_http_server *s =
        (struct tdm_http_server *)((char *)cmd - offsetof(struct tdm_http_server, end_cmd));

    http_server_end(loop, s);
    done(loop, s);
}

/* An actor that was killed cannot free its servers: whoever wants the port next has them closed. */
static void run_evict(struct loop *loop, struct loop_cmd *cmd)
{
    struct tdm_http_server *s =
        (struct tdm_http_server *)((char *)cmd - offsetof(struct tdm_http_server, end_cmd));

    for (struct tdm_http_server *other = loop->servers; other != NULL; other = other->next) {
        if (other->port == s->cfg.port && !tdm_alive(loop->rt, other->cfg.owner))
            stop_listening(loop, other);
    }
    done(loop, s);
}

/* Have the loop run something on this server, and wait for it: microseconds. */
static void wait_for_loop(struct tdm_http_server *s, void (*run)(struct loop *, struct loop_cmd *))
{
    struct loop *loop = s->loop;
    struct tdm_env *env = loop->env;

    /* relaxed, both: the post hands them over. The loop's share of the memory is given back by done(). */
    atomic_fetch_add_explicit(&s->holders, 1, memory_order_relaxed);
    atomic_store_explicit(&s->ended, 0, memory_order_relaxed);
    s->end_cmd = (struct loop_cmd){ .run = run };
    loop_post(loop, &s->end_cmd);
    /* acquire, both: the loop's last writes; a loop that has stopped runs the command when it is freed. */
    while (atomic_load_explicit(&s->ended, memory_order_acquire) == 0 &&
           atomic_load_explicit(&loop->stop, memory_order_acquire) == 0)
        env->park(env, &s->parker, env->now_ns(env) + STOP_CHECK_MS * UINT64_C(1000000));
}

void tdm_http_server_free(struct tdm_http_server *s)
{
    if (s == NULL)
        return;
    wait_for_loop(s, run_end);
    let_go(s);
}

/* ---- making ---------------------------------------------------------------------------------- */

struct listen_cmd {
    struct loop_cmd cmd;
    struct tdm_http_server *server;
};

static void run_listen(struct loop *loop, struct loop_cmd *cmd)
{
    struct tdm_http_server *s = ((struct listen_cmd *)cmd)->server;

    loop_cmd_free(loop, cmd);
    s->listening = true;
    s->next = loop->servers;
    if (s->next != NULL)
        s->next->prev = s;
    loop->servers = s;
    listen_again(loop, &s->pause);
}

static int bind_listener(struct tdm_http_server *s, const char *address)
{
    struct tdm_env *env = s->loop->env;
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(s->cfg.port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(s->cfg.port) };

    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        s->fd = env->sock_listen(env, (struct sockaddr *)&v4, sizeof v4);
    else if (inet_pton(AF_INET6, address, &v6.sin6_addr) == 1)
        s->fd = env->sock_listen(env, (struct sockaddr *)&v6, sizeof v6);
    else
        return TDM_EINVAL;
    if (s->fd < 0)
        return s->fd;
    s->port = (uint16_t)env->sock_port(env, s->fd);
    return TDM_OK;
}

static void fill_defaults(struct tdm_http_server_cfg *cfg)
{
    cfg->connections = DEFAULT(cfg->connections, 1000);
    cfg->header_max = DEFAULT(cfg->header_max, 16 * 1024);
    cfg->body_max = DEFAULT(cfg->body_max, 64 * 1024);
    cfg->idle_ms = DEFAULT(cfg->idle_ms, 15000);
}

int tdm_http_server_new(struct tdm_runtime *rt, const struct tdm_http_server_cfg *cfg,
                        struct tdm_http_server **ret)
{
    const char *address = cfg->address != NULL ? cfg->address : "127.0.0.1";
    struct listen_cmd *cmd = NULL;
    struct tdm_http_server *s;
    struct loop *loop;
    char why[128];
    int err = loop_of(rt, &loop);

    if (err < 0)
        return err;
    s = loop->env->alloc(loop->env, sizeof *s);
    if (s == NULL)
        return TDM_ENOMEM;
    memset(s, 0, sizeof *s);
    s->source.ready = on_ready;
    s->loop = loop;
    s->cfg = *cfg;
    s->fd = -1;
    atomic_init(&s->holders, 1);
    fill_defaults(&s->cfg);
    if (cfg->tls.on) {
        err = tls_ctx_new(&s->tls, loop->env, &cfg->tls, true, why, sizeof why);
        if (err == TDM_ETLS) /* the code alone would not say which file */
            tdm_log_error("io.tls", "why=%s", TDM_LOG_TEXT(why, strlen(why)));
    }
    if (err >= 0)
        err = bind_listener(s, address);
    if (err == -EADDRINUSE) {
        wait_for_loop(s, run_evict);
        err = bind_listener(s, address);
    }
    if (err < 0)
        goto fail;
    cmd = loop_cmd_new(loop, run_listen, sizeof *cmd);
    err = TDM_ENOMEM;
    if (cmd == NULL)
        goto fail;
    cmd->server = s;
    *ret = s;
    loop_post(loop, &cmd->cmd);
    return TDM_OK;
fail:
    if (s->fd >= 0)
        loop->env->sock_close(loop->env, s->fd, false);
    let_go(s);
    return err;
}

uint16_t tdm_http_server_port(const struct tdm_http_server *s)
{
    return s->port;
}
