/* The HTTP server and client against bytes of any kind, in the deterministic environment.
 *
 * The first byte chooses the side and seeds the world; the rest is what the peer sends. On the server's side
 * an actor answers whatever request comes through; on the client's side a request must get exactly one reply.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tandem/runtime.h"
#include "tandem/ws.h"

struct world {
    struct tdm_env *env;
    const uint8_t *data;
    size_t size;
    bool client;
    struct tdm_runtime *rt;
    _Atomic int replies;
};

/* ---- an actor that answers requests and counts replies --------------------------------------- */

static int init(tdm_self *self, void *state, const struct tdm_start *start)
{
    (void)self;
    memcpy(state, start->arg, sizeof(struct world *));
    return TDM_OK;
}

static int handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct world *w = *(struct world **)state;
    struct tdm_http_request *r = tdm_msg_data(msg);
    struct tdm_ws_accept_cfg accept = { .owner = tdm_self_pid(self) };

    if (msg->type == TDM_MSG_HTTP_REPLY)
        w->replies++;
    if (msg->type == TDM_MSG_WS_UPGRADE)
        (void)tdm_ws_accept(w->rt, r->conn, &accept);
    if (msg->type == TDM_MSG_HTTP_REQUEST)
        (void)tdm_http_respond(w->rt, r->conn, 200, NULL, r->content_type, r->body, r->body_bytes);
    return TDM_OK;
}

static const struct tdm_behaviour answerer = {
    .name = "answerer", .state_bytes = sizeof(struct world *), .init = init, .handle = handle
};

/* ---- the peer -------------------------------------------------------------------------------- */

static void pause_ms(struct world *w, unsigned ms)
{
    uint64_t until = w->env->now_ns(w->env) + ms * UINT64_C(1000000);
    struct tdm_parker parker = { 0 };

    while (w->env->now_ns(w->env) < until)
        w->env->park(w->env, &parker, until);
}

static void send_all(struct world *w, int fd)
{
    size_t at = 0;

    for (int tries = 0; at < w->size && tries < 1000; tries++) {
        struct iovec iov = { .iov_base = (void *)(w->data + at), .iov_len = w->size - at };
        ssize_t n = w->env->sock_writev(w->env, fd, &iov, 1);
        if (n < 0 && n != -EAGAIN)
            return;
        at += n > 0 ? (size_t)n : 0;
        pause_ms(w, 1);
    }
}

static void against_server(struct world *w, tdm_pid pid)
{
    struct tdm_http_server_cfg cfg = { .owner = pid, .body_max = 4096, .header_max = 2048, .idle_ms = 100 };
    struct sockaddr_in to = { .sin_family = AF_INET };
    struct tdm_http_server *s;
    int fd;

    if (tdm_http_server_new(w->rt, &cfg, &s) != TDM_OK)
        abort();
    to.sin_port = htons(tdm_http_server_port(s));
    fd = w->env->sock_connect(w->env, (struct sockaddr *)&to, sizeof to);
    send_all(w, fd);
    pause_ms(w, 20);
    w->env->sock_close(w->env, fd, false);
    tdm_http_server_free(s);
}

static void against_client(struct world *w, tdm_pid pid)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    int fd, listener = w->env->sock_listen(w->env, (struct sockaddr *)&at, sizeof at);
    struct tdm_http_pool_cfg cfg = { .host = "127.0.0.1", .body_max = 4096 };
    struct tdm_http_req req = { .method = "GET", .target = "/", .timeout_ms = 200 };
    struct tdm_http_pool *pool;

    cfg.port = (uint16_t)w->env->sock_port(w->env, listener);
    if (tdm_http_pool_new(w->rt, &cfg, &pool) != TDM_OK || tdm_http_request(w->rt, pool, pid, &req) == 0)
        abort();
    while ((fd = w->env->sock_accept(w->env, listener)) == -EAGAIN)
        pause_ms(w, 1);
    send_all(w, fd);
    w->env->sock_close(w->env, fd, false);
    pause_ms(w, 300);
    if (w->replies != 1)
        abort();
    tdm_http_pool_free(pool);
    w->env->sock_close(w->env, listener, false);
}

static void world_main(void *arg)
{
    struct world *w = arg;
    struct tdm_runtime_cfg cfg = { .env = w->env, .workers = 1, .no_fault_traps = true };
    struct tdm_spawn_cfg spawn = { .behaviour = &answerer, .arg = &w, .arg_bytes = sizeof w };
    tdm_pid pid;

    if (tdm_runtime_new(&w->rt, &cfg) != TDM_OK || tdm_spawn(w->rt, &spawn, &pid) != TDM_OK)
        abort();
    if (w->client)
        against_client(w, pid);
    else
        against_server(w, pid);
    tdm_kill(w->rt, pid);
    tdm_runtime_stop(w->rt, 1000);
    tdm_runtime_free(w->rt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = { 0 };

    if (size < 1 || size > 16384)
        return 0;
    w.client = data[0] & 1;
    w.data = data + 1;
    w.size = size - 1;
    if (tdm_env_sim_new(&w.env, data[0] >> 1) != TDM_OK || tdm_env_sim_run(w.env, world_main, &w) != TDM_OK)
        abort();
    tdm_env_sim_free(w.env);
    return 0;
}
