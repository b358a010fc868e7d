/* Requests and WebSockets, with and without TLS, while each socket call and each allocation fails in turn: every request
 * has exactly one answer and it is the right one or an error; every WebSocket has one end, and until then its messages
 * come whole and in order. */
#include "io_fixture.h"

#include "io_sweep.h"
#include "test_cert.h"

TestSuite(io_faults, .timeout = 600);

enum { REQUESTS = 8, MESSAGES = 5, PATIENCE_S = 120 };

/* ---- what is asked and sent ------------------------------------------------------------------ */

static const struct ask {
    const char *method;
    size_t bytes;
    uint64_t order_key;
} asks[REQUESTS] = {
    { "GET", 0, 0 },     { "POST", 10, 1 }, { "POST", 9000, 1 }, { "PUT", 60000, 0 },
    { "DELETE", 0, 1 },  { "GET", 0, 0 }, /* after a silence in which idle connections are closed: */
    { "POST", 3000, 0 }, { "PUT", 10, 1 },
};
static const size_t message_bytes[MESSAGES] = { 5, 0, 126, 66000, 150000 };

static char texts[150001]; /* any length of it is a body or message */

static void fill_texts(void)
{
    for (size_t i = 0; i < sizeof texts - 1; i++)
        texts[i] = (char)('a' + i % 23 + i / 1000 % 3);
}

/* ---- what came of it ------------------------------------------------------------------------- */

struct peer {
    tdm_conn conn;
    int opened, closed, got; /* messages, in order */
    bool server;
};

struct tally {
    struct io_fixture *f;
    struct tdm_http_server *server;
    struct tdm_http_pool *pool;
    tdm_ref refs[REQUESTS];
    int replies[REQUESTS], served[REQUESTS], asked, replied, right, late;
    int newest; /* of those with the order key */
    struct peer peers[4];
    int n_peers, n_closed;
};

static struct peer *peer_of(struct tally *t, tdm_conn conn)
{
    for (int i = 0; i < t->n_peers; i++)
        if (t->peers[i].conn.id == conn.id)
            return &t->peers[i];
    sweep_check(false, "a message for a WebSocket that nobody has");
    return NULL;
}

static void add_peer(struct tally *t, tdm_conn conn, bool server)
{
    sweep_check(t->n_peers < 4);
    t->peers[t->n_peers++] = (struct peer){ .conn = conn, .server = server };
}

static void serve(struct tally *t, const struct tdm_http_request *r)
{
    int i = atoi(r->path + 1);

    sweep_check(i >= 0 && i < REQUESTS);
    sweep_check(strcmp(r->method, asks[i].method) == 0);
    sweep_check(r->body_bytes == asks[i].bytes && memcmp(r->body, texts, r->body_bytes) == 0,
                "a body of %u bytes", r->body_bytes);
    t->served[i]++;
    sweep_check(t->served[i] <= (strcmp(r->method, "POST") == 0 ? 1 : 2), "request %d, %d times", i,
                t->served[i]);
    if (asks[i].order_key != 0) {
        sweep_check(i >= t->newest || t->late > 0, "request %d after %d", i, t->newest);
        t->newest = i;
    }
    (void)tdm_http_respond(t->f->rt, r->conn, 200, NULL, "text/plain", texts, 20000 + (size_t)i);
}

static void reply(struct tally *t, tdm_ref ref, const struct tdm_http_reply *r)
{
    int i = 0;

    while (i < REQUESTS && t->refs[i] != ref)
        i++;
    sweep_check(i < REQUESTS, "a reply to nobody");
    sweep_check(++t->replies[i] == 1, "reply %d to request %d", t->replies[i], i);
    t->replied++;
    t->late += r->err == TDM_ETIMEOUT;
    if (r->err != TDM_OK) {
        sweep_check(sweep_fails() && r->err < 0, "%s: %s", tdm_errname(r->err), r->body);
        return;
    }
    if (r->status != 200) { /* the server refuses when it has no memory */
        sweep_check(sweep_fails_memory() && r->status >= 500, "status %d", r->status);
        return;
    }
    sweep_check(t->served[i] > 0);
    sweep_check(r->body_bytes == 20000 + (uint32_t)i && memcmp(r->body, texts, r->body_bytes) == 0);
    t->right++;
}

/* The client says all; the server says it back; who has heard all closes. */
static void talk(struct tally *t, struct peer *p)
{
    int err = TDM_OK;

    for (int i = 0; i < MESSAGES && err == TDM_OK; i++)
        err = tdm_ws_send(t->f->rt, p->conn, texts, message_bytes[i]);
    if (err != TDM_OK)
        (void)tdm_ws_abort(t->f->rt, p->conn);
}

static void hear(struct tally *t, const struct tdm_ws_data *d)
{
    struct peer *p = peer_of(t, d->conn);
    int err = TDM_OK;

    sweep_check(p->opened == 1 && p->closed == 0 && p->got < MESSAGES);
    sweep_check(d->bytes == message_bytes[p->got] && memcmp(d->data, texts, d->bytes) == 0,
                "message %d, %u bytes", p->got, d->bytes);
    p->got++;
    if (p->server)
        err = tdm_ws_send(t->f->rt, p->conn, texts, d->bytes);
    else if (p->got == MESSAGES)
        err = tdm_ws_close(t->f->rt, p->conn, 1000, "all heard");
    if (err != TDM_OK)
        (void)tdm_ws_abort(t->f->rt, p->conn);
}

static void closed(struct tally *t, const struct tdm_ws_state *s)
{
    struct peer *p = peer_of(t, s->conn);

    sweep_check(++p->closed == 1, "a second end");
    t->n_closed++;
    if (s->err == TDM_OK && !p->server)
        sweep_check(p->got == MESSAGES || sweep_fails(), "closed after %d messages", p->got);
    if (!sweep_fails())
        sweep_check(s->err == TDM_OK && s->code == 1000 && p->got == MESSAGES, "%s %d", s->text, s->code);
}

static void upgrade(struct tally *t, const struct tdm_http_request *r)
{
    if (tdm_ws_accept(t->f->rt, r->conn, &(struct tdm_ws_accept_cfg){ .owner = t->f->me, .ping_ms = 3000 }) ==
        TDM_OK)
        add_peer(t, r->conn, true);
    else
        (void)tdm_http_respond(t->f->rt, r->conn, 503, NULL, NULL, "", 0);
}

static void act_on(struct tally *t, struct tdm_msg *m)
{
    switch (m->type) {
    case TDM_MSG_HTTP_REQUEST:
        serve(t, tdm_msg_view(m));
        break;
    case TDM_MSG_WS_UPGRADE:
        upgrade(t, tdm_msg_view(m));
        break;
    case TDM_MSG_HTTP_REPLY:
        reply(t, m->ref, tdm_msg_view(m));
        break;
    case TDM_MSG_WS_OPEN: {
        struct peer *p = peer_of(t, ((const struct tdm_ws_state *)tdm_msg_view(m))->conn);
        sweep_check(++p->opened == 1 && p->closed == 0);
        if (!p->server)
            talk(t, p);
        break;
    }
    case TDM_MSG_WS_TEXT:
        hear(t, tdm_msg_view(m));
        break;
    case TDM_MSG_WS_CLOSED:
        closed(t, tdm_msg_view(m));
        break;
    default:
        break;
    }
}

/* Until every request so far has its reply and every WebSocket its end. */
static void settle(struct tally *t)
{
    struct io_fixture *f = t->f;
    uint64_t deadline = f->env->now_ns(f->env) + PATIENCE_S * UINT64_C(1000000000);

    while (t->replied < t->asked || t->n_closed < t->n_peers) {
        struct tdm_msg *m = io_take_any(f);
        sweep_check(f->env->now_ns(f->env) < deadline, "%d of %d replies, %d of %d ends", t->replied,
                    t->asked, t->n_closed, t->n_peers);
        if (m == NULL) {
            f->env->park(f->env, &f->parker, deadline);
            continue;
        }
        act_on(t, m);
        io_done(f, m);
    }
}

/* ---- the stories ----------------------------------------------------------------------------- */

static struct test_cert cert;

static struct tdm_tls_cfg tls_of(bool server, bool on)
{
    if (!on)
        return (struct tdm_tls_cfg){ 0 };
    if (server)
        return (struct tdm_tls_cfg){ .on = true, .cert_file = cert.cert_file, .key_file = cert.key_file };
    return (struct tdm_tls_cfg){ .on = true, .ca_file = cert.cert_file, .server_name = "pbx.example" };
}

static void ask(struct tally *t, int from, int to)
{
    char target[16];

    for (int i = from; i < to && t->pool != NULL; i++) {
        struct tdm_http_req req = { .method = asks[i].method,
                                    .target = target,
                                    .body = texts,
                                    .body_bytes = asks[i].bytes,
                                    .order_key = asks[i].order_key,
                                    .timeout_ms = 4000 };
        snprintf(target, sizeof target, "/%d", i);
        t->refs[i] = tdm_http_request(t->f->rt, t->pool, t->f->me, &req);
        sweep_check(t->refs[i] != 0 || sweep_fails_memory());
        t->asked += t->refs[i] != 0;
    }
}

static bool serve_on(struct tally *t, bool tls)
{
    struct tdm_http_server_cfg cfg = {
        .owner = t->f->me, .idle_ms = 2000, .body_max = 1 << 20, .tls = tls_of(true, tls)
    };

    int err = tdm_http_server_new(t->f->rt, &cfg, &t->server);
    sweep_check(err == TDM_OK || (sweep_fails() && err < 0));
    if (err == TDM_OK)
        sweep_check(tdm_http_server_port(t->server) != 0);
    return err == TDM_OK;
}

static void request_part(struct tally *t, bool tls)
{
    struct tdm_http_pool_cfg cfg = { .host = "localhost",
                                     .port = tdm_http_server_port(t->server),
                                     .connections = 2,
                                     .idle_ms = 500,
                                     .connect_timeout_ms = 1500,
                                     .tls = tls_of(false, tls) };

    int err = tdm_http_pool_new(t->f->rt, &cfg, &t->pool);
    sweep_check(err == TDM_OK || sweep_fails_memory());
    ask(t, 0, 6);
    settle(t);
    io_wait_ms(t->f, 700);
    ask(t, 6, REQUESTS);
    settle(t);
    sweep_check(t->right == REQUESTS || sweep_fails());
}

static void socket_part(struct tally *t, bool tls)
{
    struct tdm_ws_cfg cfg = { .host = "localhost",
                              .port = tdm_http_server_port(t->server),
                              .target = "/ws",
                              .owner = t->f->me,
                              .connect_timeout_ms = 1500,
                              .ping_ms = 3000,
                              .pong_ms = 3000,
                              .tls = tls_of(false, tls) };
    tdm_conn conn;

    int err = tdm_ws_connect(t->f->rt, &cfg, &conn);
    sweep_check(err == TDM_OK || sweep_fails_memory());
    if (err == TDM_OK)
        add_peer(t, conn, false);
    settle(t);
    sweep_check((t->n_peers == 2 && t->peers[0].got == MESSAGES) || sweep_fails());
}

/* By then every message has come that will: nothing may be left that nobody asked for. */
static void drain(struct tally *t)
{
    struct tdm_msg *m;

    io_wait_ms(t->f, 10000);
    while ((m = io_take_any(t->f)) != NULL) {
        act_on(t, m);
        io_done(t->f, m);
    }
    settle(t);
}

static void tell(struct tdm_env *env, bool tls, void (*part)(struct tally *t, bool tls))
{
    struct io_fixture f = { .env = env };
    struct tally t = { .f = &f };

    io_begin(&f);
    io_wait_ms(&f, 5); /* the workers have started: their own boot is not what this is about */
    sweep_begin(env);
    if (serve_on(&t, tls)) {
        part(&t, tls);
        tdm_http_pool_free(t.pool);
        tdm_http_server_free(t.server);
        drain(&t);
    }
    if (sweep_fails_memory())
        sweep_end(env);
    io_end(&f);
}

static void requests(struct tdm_env *env)
{
    tell(env, false, request_part);
}
static void requests_over_tls(struct tdm_env *env)
{
    tell(env, true, request_part);
}
static void websocket(struct tdm_env *env)
{
    tell(env, false, socket_part);
}
static void websocket_over_tls(struct tdm_env *env)
{
    tell(env, true, socket_part);
}

static void sweep(void (*story)(struct tdm_env *env), uint32_t most, bool memory)
{
    struct sweep s = { .story = story, .most = most };

    fill_texts();
    test_cert_make(&cert, "pbx.example");
    if (memory)
        sweep_allocations(&s);
    else
        sweep_calls(&s);
    test_cert_remove(&cert);
}

Test(io_faults, requests_while_each_socket_call_fails)
{
    sweep(requests, 0, false);
}

Test(io_faults, requests_while_each_allocation_fails)
{
    sweep(requests, 0, true);
}

Test(io_faults, websockets_while_each_socket_call_fails)
{
    sweep(websocket, 0, false);
}

Test(io_faults, websockets_while_each_allocation_fails)
{
    sweep(websocket, 0, true);
}

Test(io_faults, requests_over_tls_while_each_socket_call_fails)
{
    sweep(requests_over_tls, 500, false);
}

Test(io_faults, requests_over_tls_while_each_allocation_fails)
{
    sweep(requests_over_tls, 300, true);
}

Test(io_faults, websockets_over_tls_while_each_socket_call_fails)
{
    sweep(websocket_over_tls, 500, false);
}

Test(io_faults, websockets_over_tls_while_each_allocation_fails)
{
    sweep(websocket_over_tls, 300, true);
}
