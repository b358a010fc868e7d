/* Every allocation and every socket call fails once, in turn, in the middle of a small story. Whatever fails,
 * each request gets its one reply, each WebSocket its one CLOSED, nothing hangs and nothing leaks. */
#include "io_fixture.h"

TestSuite(io_failures, .timeout = 300);

enum { REQUESTS = 3, PATIENCE_MS = 60000 };

/* What has happened so far. */
struct tally {
    int asked, replied;
    int connecting, closed; /* WebSockets that tdm_ws_connect() began, and their ends */
    int accepted;
    tdm_conn client;
};

static uint64_t fail_at, calls_seen;
static bool fail_sockets;

static void answer(struct io_fixture *f, struct tdm_http_request *r, struct tally *t, bool upgrade)
{
    if (upgrade && tdm_ws_accept(f->rt, r->conn, &(struct tdm_ws_accept_cfg){ .owner = f->me }) == TDM_OK)
        t->accepted++;
    else
        (void)tdm_http_respond(f->rt, r->conn, 200, NULL, NULL, "ok", 2);
}

static void act_on(struct io_fixture *f, struct tdm_msg *msg, struct tally *t)
{
    struct tdm_ws_state *s = tdm_msg_data(msg);

    switch (msg->type) {
    case TDM_MSG_HTTP_REQUEST:
    case TDM_MSG_WS_UPGRADE:
        answer(f, tdm_msg_data(msg), t, msg->type == TDM_MSG_WS_UPGRADE);
        break;
    case TDM_MSG_HTTP_REPLY:
        t->replied++;
        break;
    case TDM_MSG_WS_OPEN:
        if (s->conn.id == t->client.id) {
            (void)tdm_ws_send(f->rt, t->client, "hello", 5);
            if (tdm_ws_close(f->rt, t->client, 1000, "") != TDM_OK)
                (void)tdm_ws_abort(f->rt, t->client); /* it was told no, so it asks again */
        }
        break;
    case TDM_MSG_WS_CLOSED:
        t->closed += s->conn.id == t->client.id;
        break;
    default:
        break;
    }
}

static void run_until_settled(struct io_fixture *f, struct tally *t)
{
    uint64_t deadline = f->env->now_ns(f->env) + PATIENCE_MS * UINT64_C(1000000);

    while (t->replied < t->asked || t->closed < t->connecting) {
        struct tdm_msg *msg = io_take_any(f);
        cr_assert(lt(u64, f->env->now_ns(f->env), deadline), "call %d: %d of %d replies, %d of %d closed",
                  (int)fail_at, t->replied, t->asked, t->closed, t->connecting);
        if (msg != NULL) {
            act_on(f, msg, t);
            io_done(f, msg);
        } else {
            f->env->park(f->env, &f->parker, deadline);
        }
    }
}

static void ask_and_connect(struct io_fixture *f, struct tdm_http_server *s)
{
    struct tdm_http_pool_cfg cfg = {
        .host = "localhost", .port = tdm_http_server_port(s), .connections = 2, .connect_timeout_ms = 1000
    };
    struct tdm_ws_cfg ws = {
        .host = "127.0.0.1", .port = cfg.port, .target = "/ws", .owner = f->me, .connect_timeout_ms = 1000
    };
    struct tdm_http_req req = { .method = "GET", .target = "/", .timeout_ms = 3000 };
    struct tdm_http_pool *pool = NULL;
    struct tally t = { 0 };

    if (tdm_http_pool_new(f->rt, &cfg, &pool) == TDM_OK) {
        for (uint64_t i = 0; i < REQUESTS; i++) {
            req.order_key = i % 2;
            t.asked += tdm_http_request(f->rt, pool, f->me, &req) != 0;
        }
    }
    t.connecting += tdm_ws_connect(f->rt, &ws, &t.client) == TDM_OK;
    run_until_settled(f, &t);
    cr_assert(eq(int, t.replied, t.asked));
    cr_assert(eq(int, t.closed, t.connecting));
    tdm_http_pool_free(pool);
}

static void story(struct io_fixture *f)
{
    struct tdm_http_server_cfg cfg = { .owner = f->me, .idle_ms = 2000 };
    struct tdm_http_server *s = NULL;

    io_wait_ms(f, 5); /* the workers have started: their own boot is not what this is about */
    if (fail_sockets)
        tdm_env_sim_fail_sock(f->env, fail_at, -ECONNRESET);
    else
        tdm_env_sim_fail_alloc(f->env, fail_at, false);
    if (tdm_http_server_new(f->rt, &cfg, &s) == TDM_OK)
        ask_and_connect(f, s);
    calls_seen =
        fail_sockets ? tdm_env_sim_fail_sock(f->env, 0, 0) : tdm_env_sim_fail_alloc(f->env, 0, false);
    tdm_http_server_free(s);
}

static void sweep(bool sockets)
{
    uint64_t calls;

    fail_sockets = sockets;
    fail_at = 0;
    io_run_sim(story, 1); /* nothing fails: how many calls are there? */
    calls = calls_seen;
    cr_assert(gt(u64, calls, 30), "%d calls", (int)calls);
    for (fail_at = 1; fail_at <= calls + 10; fail_at++)
        io_run_sim(story, 2);
}

Test(io_failures, each_allocation_in_turn)
{
    sweep(false);
}

Test(io_failures, each_socket_call_in_turn)
{
    sweep(true);
}

static uint64_t last_digest;

static void plain_story(struct io_fixture *f)
{
    fail_sockets = true;
    fail_at = 0;
    story(f);
    last_digest = tdm_env_sim_hash(f->env);
}

Test(io_failures, the_same_seed_gives_the_same_run)
{
    uint64_t first;

    io_run_sim(plain_story, 7);
    first = last_digest;
    io_run_sim(plain_story, 7);
    cr_assert(eq(u64, last_digest, first));
    io_run_sim(plain_story, 8);
    cr_assert(ne(u64, last_digest, first), "another seed, another run");
}

static void cut_in_the_middle(struct io_fixture *f)
{
    struct tdm_http_server_cfg cfg = { .owner = f->me };
    struct tdm_http_server *s = NULL;
    struct tally t = { 0 };
    struct tdm_ws_cfg ws = { .host = "127.0.0.1", .target = "/ws", .owner = f->me };

    cr_assert(eq(int, tdm_http_server_new(f->rt, &cfg, &s), TDM_OK));
    ws.port = tdm_http_server_port(s);
    cr_assert(eq(int, tdm_ws_connect(f->rt, &ws, &t.client), TDM_OK));
    t.connecting = 1;
    io_wait_ms(f, (unsigned)(f->env->random(f->env) % 6)); /* anywhere between connecting and open */
    tdm_env_sim_net_cut(f->env, 0);
    run_until_settled(f, &t);
    tdm_http_server_free(s);
}

Test(io_failures, a_cut_at_any_moment_ends_in_one_closed)
{
    io_run_sim(cut_in_the_middle, 100);
}

static void frozen_peer(struct io_fixture *f)
{
    struct tdm_http_server_cfg cfg = { .owner = f->me };
    struct tdm_ws_cfg ws = {
        .host = "127.0.0.1", .target = "/ws", .owner = f->me, .ping_ms = 500, .pong_ms = 500
    };
    struct tdm_http_server *s = NULL;
    struct tdm_msg *msg;
    tdm_conn conn;

    cr_assert(eq(int, tdm_http_server_new(f->rt, &cfg, &s), TDM_OK));
    ws.port = tdm_http_server_port(s);
    cr_assert(eq(int, tdm_ws_connect(f->rt, &ws, &conn), TDM_OK));
    msg = io_next(f, TDM_MSG_WS_UPGRADE);
    tdm_ws_accept(f->rt, ((struct tdm_http_request *)tdm_msg_data(msg))->conn,
                  &(struct tdm_ws_accept_cfg){ .owner = f->me });
    io_done(f, msg);
    io_wait_ms(f, 5000); /* ten rounds of ping and pong */
    cr_assert(not(io_has(f, TDM_MSG_WS_CLOSED)), "a peer that answers pings lives");
    tdm_env_sim_net_freeze(f->env, ws.port, true);
    msg = io_next(f, TDM_MSG_WS_CLOSED);
    cr_assert(eq(int, ((struct tdm_ws_state *)tdm_msg_data(msg))->err, TDM_ETIMEOUT));
    io_done(f, msg);
    tdm_env_sim_net_freeze(f->env, ws.port, false);
    tdm_http_server_free(s);
}

Test(io_failures, a_frozen_peer_is_found_dead_and_a_silent_living_one_is_not)
{
    io_run_sim(frozen_peer, 10);
}
