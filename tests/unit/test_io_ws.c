/* WebSockets, both sides, and against scripted peers: each connection tells its owner what happened, and
 * CLOSED exactly once. */
#include "io/digest.h"
#include "io_fixture.h"

TestSuite(io_ws, .timeout = 120);

struct pair {
    struct tdm_http_server *server;
    tdm_conn client, accepted;
};

static struct tdm_ws_cfg client_cfg(struct io_fixture *f, uint16_t port)
{
    return (struct tdm_ws_cfg){
        .host = "127.0.0.1", .port = port, .target = "/ws?a=b", .owner = f->me, .connect_timeout_ms = 3000
    };
}

static tdm_conn opened(struct io_fixture *f)
{
    struct tdm_msg *msg = io_next(f, TDM_MSG_WS_OPEN);
    tdm_conn conn = ((struct tdm_ws_state *)tdm_msg_data(msg))->conn;

    io_done(f, msg);
    return conn;
}

/* The next CLOSED must be of `conn`; it says this. */
static void expect_closed(struct io_fixture *f, tdm_conn conn, int err, int http_status, unsigned code)
{
    struct tdm_msg *msg = io_next(f, TDM_MSG_WS_CLOSED);
    struct tdm_ws_state *s = tdm_msg_data(msg);

    cr_assert(eq(u64, s->conn.id, conn.id));
    cr_assert(eq(int, s->err, err), "%s: %s", tdm_errname(s->err), s->text);
    cr_assert(eq(int, s->http_status, http_status));
    cr_assert(eq(u32, s->code, code));
    io_done(f, msg);
    cr_assert(eq(int, tdm_ws_send(f->rt, conn, "x", 1), TDM_ENOPROC));
}

static struct tdm_ws_state next_closed(struct io_fixture *f)
{
    struct tdm_msg *msg = io_next(f, TDM_MSG_WS_CLOSED);
    struct tdm_ws_state s = *(struct tdm_ws_state *)tdm_msg_data(msg);

    io_done(f, msg);
    return s;
}

static void expect_text(struct io_fixture *f, tdm_conn conn, const char *text)
{
    struct tdm_msg *msg = io_next(f, TDM_MSG_WS_TEXT);
    struct tdm_ws_data *d = tdm_msg_data(msg);

    cr_assert(eq(u64, d->conn.id, conn.id));
    cr_assert(eq(str, d->data, (char *)text));
    io_done(f, msg);
}

/* A client of ours and a server of ours, open to each other. */
static struct pair open_pair(struct io_fixture *f, const struct tdm_ws_cfg *more,
                             const struct tdm_ws_accept_cfg *how)
{
    struct pair p = { .server = io_server(f, NULL) };
    struct tdm_ws_cfg cfg = more != NULL ? *more : client_cfg(f, 0);
    struct tdm_ws_accept_cfg accept = how != NULL ? *how : (struct tdm_ws_accept_cfg){ 0 };
    struct tdm_msg *msg;

    cfg.port = tdm_http_server_port(p.server);
    accept.owner = f->me;
    cr_assert(eq(int, tdm_ws_connect(f->rt, &cfg, &p.client), TDM_OK));
    msg = io_next(f, TDM_MSG_WS_UPGRADE);
    p.accepted = ((struct tdm_http_request *)tdm_msg_data(msg))->conn;
    cr_assert(eq(int, tdm_ws_accept(f->rt, p.accepted, &accept), TDM_OK));
    io_done(f, msg);
    cr_assert(eq(u64, opened(f).id, p.accepted.id));
    cr_assert(eq(u64, opened(f).id, p.client.id));
    return p;
}

IO_STORY(io_ws, text_goes_both_ways_and_an_orderly_close_is_told_to_both)
{
    struct pair p = open_pair(f, NULL, NULL);

    cr_assert(eq(int, tdm_ws_send(f->rt, p.client, "hello", 5), TDM_OK));
    expect_text(f, p.accepted, "hello");
    cr_assert(eq(int, tdm_ws_send(f->rt, p.accepted, "and back", 8), TDM_OK));
    expect_text(f, p.client, "and back");
    cr_assert(eq(int, tdm_ws_close(f->rt, p.client, 4001, "done"), TDM_OK));
    expect_closed(f, p.accepted, TDM_OK, 0, 4001);
    expect_closed(f, p.client, TDM_OK, 0, 4001);
    tdm_http_server_free(p.server);
}

IO_STORY(io_ws, messages_of_every_size_arrive_whole_and_in_order)
{
    static const size_t sizes[] = { 0, 1, 125, 126, 65535, 65536, 16384, 16370, 300000, 3 };
    struct pair p = open_pair(f, NULL, NULL);
    char *text = malloc(300000);

    for (int to_server = 0; to_server < 2; to_server++) {
        tdm_conn from = to_server ? p.client : p.accepted;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            memset(text, (int)('a' + i), sizes[i]);
            cr_assert(eq(int, tdm_ws_send(f->rt, from, text, sizes[i]), TDM_OK));
        }
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct tdm_msg *msg = io_next(f, TDM_MSG_WS_TEXT);
            struct tdm_ws_data *d = tdm_msg_data(msg);
            cr_assert(eq(sz, d->bytes, sizes[i]));
            memset(text, (int)('a' + i), sizes[i]);
            cr_assert(eq(int, memcmp(d->data, text, sizes[i]), 0));
            io_done(f, msg);
        }
    }
    free(text);
    tdm_ws_abort(f->rt, p.client);
    next_closed(f);
    next_closed(f);
    tdm_http_server_free(p.server);
}

IO_STORY(io_ws, what_a_client_sends_before_the_101_goes_out_after_it)
{
    struct tdm_http_server *s = io_server(f, NULL);
    struct tdm_ws_cfg cfg = client_cfg(f, tdm_http_server_port(s));
    struct tdm_msg *msg;
    tdm_conn client, accepted;

    cr_assert(eq(int, tdm_ws_connect(f->rt, &cfg, &client), TDM_OK));
    cr_assert(eq(int, tdm_ws_send(f->rt, client, "one", 3), TDM_OK));
    cr_assert(eq(int, tdm_ws_send(f->rt, client, "two", 3), TDM_OK));
    msg = io_next(f, TDM_MSG_WS_UPGRADE);
    accepted = ((struct tdm_http_request *)tdm_msg_data(msg))->conn;
    tdm_ws_accept(f->rt, accepted, &(struct tdm_ws_accept_cfg){ .owner = f->me });
    io_done(f, msg);
    expect_text(f, accepted, "one");
    expect_text(f, accepted, "two");
    tdm_ws_abort(f->rt, client);
    next_closed(f);
    next_closed(f);
    tdm_http_server_free(s);
}

IO_STORY(io_ws, a_refused_upgrade_tells_the_status_and_401_means_credentials)
{
    static const struct {
        int status, err;
    } rows[] = { { 401, TDM_EAUTH }, { 403, TDM_EAUTH }, { 404, TDM_ENOTFOUND }, { 500, TDM_EREFUSED } };
    struct tdm_http_server *s = io_server(f, NULL);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tdm_ws_cfg cfg = client_cfg(f, tdm_http_server_port(s));
        struct tdm_http_request *r;
        struct tdm_msg *msg;
        tdm_conn client;

        cfg.user = "user";
        cfg.password = "pass";
        cr_assert(eq(int, tdm_ws_connect(f->rt, &cfg, &client), TDM_OK));
        msg = io_next(f, TDM_MSG_WS_UPGRADE);
        r = tdm_msg_data(msg);
        cr_assert(eq(str, (char *)r->authorization, "Basic dXNlcjpwYXNz"));
        tdm_http_respond(f->rt, r->conn, rows[i].status, NULL, NULL, "no", 2);
        io_done(f, msg);
        expect_closed(f, client, rows[i].err, rows[i].status, 1006);
    }
    tdm_http_server_free(s);
}

IO_STORY(io_ws, nobody_there_is_told_by_closed_and_the_words_name_the_peer)
{
    uint16_t port;
    int listener = io_raw_listen(f, &port);
    struct tdm_ws_cfg cfg = client_cfg(f, port);
    struct tdm_ws_state closed;
    tdm_conn client;

    io_raw_close(f, listener, false);
    cr_assert(eq(int, tdm_ws_connect(f->rt, &cfg, &client), TDM_OK));
    closed = next_closed(f);
    cr_assert(eq(int, closed.err, TDM_ECONN));
    cr_assert(ne(ptr, strstr(closed.text, "127.0.0.1 port"), NULL));
}

IO_STORY(io_ws, a_peer_that_accepts_and_stays_silent_is_given_up_in_time)
{
    uint16_t port;
    int listener = io_raw_listen(f, &port), fd;
    struct tdm_ws_cfg cfg = client_cfg(f, port);
    tdm_conn client;

    cfg.connect_timeout_ms = 50;
    cr_assert(eq(int, tdm_ws_connect(f->rt, &cfg, &client), TDM_OK));
    fd = io_raw_accept(f, listener);
    expect_closed(f, client, TDM_ETIMEOUT, 0, 1006);
    io_raw_close(f, fd, false);
    io_raw_close(f, listener, false);
}

/* A raw server that has answered the upgrade; `more` follows in the same write. */
static int raw_peer(struct io_fixture *f, const struct tdm_ws_cfg *more, const char *headers,
                    const void *bytes, size_t n, tdm_conn *client)
{
    uint16_t port;
    int listener = io_raw_listen(f, &port), fd;
    struct tdm_ws_cfg cfg = *more;
    char buf[4096], answer[2048], key[64] = "", accept[29];
    size_t at;

    cfg.port = port;
    cr_assert(eq(int, tdm_ws_connect(f->rt, &cfg, client), TDM_OK));
    fd = io_raw_accept(f, listener);
    io_raw_read(f, fd, "\r\n\r\n", buf, sizeof buf);
    sscanf(strstr(buf, "Sec-WebSocket-Key: "), "Sec-WebSocket-Key: %63s", key);
    digest_ws_accept(key, accept);
    at = (size_t)snprintf(
        answer, sizeof answer,
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nconnection: keep-alive, Upgrade\r\n"
        "Sec-WebSocket-Accept: %s\r\n%s\r\n",
        accept, headers);
    memcpy(answer + at, bytes, n);
    io_raw_send(f, fd, answer, at + n);
    io_raw_close(f, listener, false);
    return fd;
}

IO_STORY(io_ws, frames_that_come_with_the_101_are_not_lost)
{
    struct tdm_ws_cfg cfg = client_cfg(f, 0);
    tdm_conn client;
    int fd = raw_peer(f, &cfg, "",
                      "\x81\x05"
                      "early\x01\x02"
                      "in\x80\x04 two",
                      17, &client);

    cr_assert(eq(u64, opened(f).id, client.id));
    expect_text(f, client, "early");
    expect_text(f, client, "in two");
    io_raw_close(f, fd, false);
    expect_closed(f, client, TDM_ECONN, 0, 1006);
}

IO_STORY(io_ws, a_101_that_is_not_ours_is_refused)
{
    struct tdm_ws_cfg cfg = client_cfg(f, 0);
    tdm_conn client;
    int fd = raw_peer(f, &cfg, "Sec-WebSocket-Protocol: other\r\n", "", 0, &client);

    expect_closed(f, client, TDM_EPROTO, 101, 1006);
    io_raw_close(f, fd, false);
}

IO_STORY(io_ws, a_ping_is_answered_with_its_bytes_and_masked)
{
    struct tdm_ws_cfg cfg = client_cfg(f, 0);
    tdm_conn client;
    int fd = raw_peer(f, &cfg, "",
                      "\x89\x04"
                      "beat",
                      6, &client);
    char buf[32];
    size_t n = 0;

    while (n < 10) /* header, mask, four bytes */
        n += io_raw_read(f, fd, NULL, buf + n, 10 - n + 1);
    cr_assert(eq(int, memcmp(buf, "\x8a\x84", 2), 0));
    for (size_t i = 0; i < 4; i++)
        cr_assert(eq(chr, (char)(buf[6 + i] ^ buf[2 + i]), "beat"[i]));
    io_raw_close(f, fd, false);
    expect_closed(f, client, TDM_ECONN, 0, 1006);
}

IO_STORY(io_ws, a_peer_that_falls_silent_is_pinged_and_then_given_up)
{
    struct tdm_ws_cfg cfg = client_cfg(f, 0);
    tdm_conn client;
    char buf[16];
    int fd;

    cfg.ping_ms = 40;
    cfg.pong_ms = 40;
    fd = raw_peer(f, &cfg, "", "", 0, &client);
    io_raw_read(f, fd, "\x89\x80", buf, sizeof buf);
    cr_assert(eq(int, memcmp(buf, "\x89\x80", 2), 0));
    expect_closed(f, client, TDM_ETIMEOUT, 0, 1006);
    io_raw_close(f, fd, false);
}

static const struct {
    const char *bytes;
    size_t n;
    int err;
    unsigned code;
} violations[] = {
    { "\x81\x85\x00\x00\x00\x00hello", 11, TDM_EPROTO, 1002 }, /* masked by a server */
    { "\xc1\x01x", 3, TDM_EPROTO, 1002 },
    { "\x83\x00", 2, TDM_EPROTO, 1002 },
    { "\x80\x01x", 3, TDM_EPROTO, 1002 },
    { "\x81\x02\xc3\x28", 4, TDM_EPROTO, 1007 },
    { "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x01", 10, TDM_ETOOBIG, 1009 },
    { "\x88\x02\x03\xe7", 4, TDM_EPROTO, 1002 },
};

IO_STORY(io_ws, a_peer_that_breaks_the_rules_gets_the_close_code_that_says_which)
{
    struct tdm_ws_cfg cfg = client_cfg(f, 0);

    cfg.message_max = 65536;
    for (size_t i = 0; i < sizeof violations / sizeof *violations; i++) {
        tdm_conn client;
        int fd = raw_peer(f, &cfg, "", violations[i].bytes, violations[i].n, &client);
        uint8_t frame[200] = { 0 };
        unsigned code;

        opened(f);
        expect_closed(f, client, violations[i].err, 0, violations[i].code);
        io_raw_read(f, fd, NULL, (char *)frame, sizeof frame);
        cr_assert(eq(int, frame[0], 0x88));
        code = (unsigned)(frame[6] ^ frame[2]) << 8 | (frame[7] ^ frame[3]);
        cr_assert(eq(u32, code, violations[i].code));
        io_raw_close(f, fd, false);
    }
}

IO_STORY(io_ws, raw_bytes_reach_the_peer_as_they_are)
{
    struct pair p = open_pair(f, NULL, NULL);

    cr_assert(eq(int, tdm_ws_send_raw(f->rt, p.accepted, "\x01\x03raw\x80\x00", 7), TDM_OK));
    expect_text(f, p.client, "raw");
    cr_assert(eq(int, tdm_ws_send_raw(f->rt, p.accepted, "\xff", 1), TDM_OK));
    cr_assert(eq(int, tdm_ws_send_raw(f->rt, p.accepted, "\x00", 1), TDM_OK));
    expect_closed(f, p.client, TDM_EPROTO, 0, 1002);
    expect_closed(f, p.accepted, TDM_OK, 0, 1002);
    tdm_http_server_free(p.server);
}

IO_STORY(io_ws, a_paused_reader_makes_the_sender_full_and_loses_nothing)
{
    struct tdm_ws_accept_cfg how = { .unsent_max = 256 * 1024 };
    struct pair p = open_pair(f, NULL, &how);
    char *block = calloc(1, 32 * 1024);
    int sent = 0, err;

    memset(block, 'x', 32 * 1024);
    cr_assert(eq(int, tdm_ws_pause(f->rt, p.client, true), TDM_OK));
    while ((err = tdm_ws_send(f->rt, p.accepted, block, 32 * 1024)) == TDM_OK && sent < 10000) {
        sent++;
        io_wait_ms(f, 1);
    }
    cr_assert(eq(int, err, TDM_EFULL));
    cr_assert(eq(int, tdm_ws_pause(f->rt, p.client, false), TDM_OK));
    for (int i = 0; i < sent; i++) {
        struct tdm_msg *msg = io_next(f, TDM_MSG_WS_TEXT);
        cr_assert(eq(u32, ((struct tdm_ws_data *)tdm_msg_data(msg))->bytes, 32 * 1024));
        io_done(f, msg);
    }
    free(block);
    tdm_ws_abort(f->rt, p.client);
    next_closed(f);
    next_closed(f);
    tdm_http_server_free(p.server);
}

IO_STORY(io_ws, a_server_gives_up_a_client_that_does_not_read)
{
    struct tdm_ws_accept_cfg how = { .write_timeout_ms = 60, .unsent_max = 64u << 20 };
    struct pair p = open_pair(f, NULL, &how);
    char *block = calloc(1, 16u << 20);

    memset(block, 'x', 16u << 20);
    tdm_ws_pause(f->rt, p.client, true);
    cr_assert(eq(int, tdm_ws_send(f->rt, p.accepted, block, 16u << 20), TDM_OK));
    expect_closed(f, p.accepted, TDM_ETIMEOUT, 0, 1006);
    tdm_ws_pause(f->rt, p.client, false);
    expect_closed(f, p.client, TDM_ECONN, 0, 1006);
    free(block);
    tdm_http_server_free(p.server);
}

IO_STORY(io_ws, a_slow_owner_slows_the_peer_down_and_gets_every_message_in_order)
{
    struct pair p = open_pair(f, NULL, NULL);
    char text[16];

    f->slow_ms = 1; /* the mailbox holds 16 */
    for (int i = 0; i < 200; i++) {
        int n = snprintf(text, sizeof text, "%d", i);
        cr_assert(eq(int, tdm_ws_send(f->rt, p.client, text, (size_t)n), TDM_OK));
    }
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "%d", i);
        expect_text(f, p.accepted, text);
    }
    f->slow_ms = 0;
    tdm_ws_abort(f->rt, p.client);
    next_closed(f);
    next_closed(f);
    tdm_http_server_free(p.server);
}

IO_STORY(io_ws, two_connections_that_end_together_keep_their_names_apart)
{
    struct pair one = open_pair(f, NULL, NULL), two = open_pair(f, NULL, NULL);

    cr_assert(ne(u64, one.client.id, two.client.id));
    tdm_ws_abort(f->rt, one.client);
    next_closed(f);
    next_closed(f);
    struct pair three = open_pair(f, NULL, NULL); /* takes the handles of the first */
    cr_assert(eq(int, tdm_ws_send(f->rt, one.client, "x", 1), TDM_ENOPROC));
    cr_assert(eq(int, tdm_ws_close(f->rt, one.accepted, 1000, ""), TDM_ENOPROC));
    cr_assert(eq(int, tdm_ws_send(f->rt, three.client, "still here", 10), TDM_OK));
    expect_text(f, three.accepted, "still here");
    tdm_ws_abort(f->rt, two.client);
    tdm_ws_abort(f->rt, three.client);
    for (int i = 0; i < 4; i++)
        next_closed(f);
    tdm_http_server_free(one.server);
    tdm_http_server_free(two.server);
    tdm_http_server_free(three.server);
}

static bool tap(void *ctx, tdm_conn conn, bool text, const char *data, size_t bytes)
{
    _Atomic int *calls = ctx;

    (void)conn;
    (*calls)++;
    return text && !(bytes == 4 && memcmp(data, "stop", 4) == 0);
}

IO_STORY(io_ws, a_tap_gets_messages_in_place_and_may_refuse_the_connection)
{
    _Atomic int calls = 0;
    struct tdm_ws_cfg cfg = client_cfg(f, 0);
    struct pair p;

    cfg.tap = tap;
    cfg.tap_ctx = &calls;
    p = open_pair(f, &cfg, NULL);
    for (int i = 0; i < 100; i++)
        cr_assert(eq(int, tdm_ws_send(f->rt, p.accepted, "go on", 5), TDM_OK));
    cr_assert(eq(int, tdm_ws_send(f->rt, p.accepted, "stop", 4), TDM_OK));
    expect_closed(f, p.client, TDM_EPROTO, 0, 1002);
    expect_closed(f, p.accepted, TDM_OK, 0, 1002);
    cr_assert(eq(int, calls, 101));
    cr_assert(not(io_has(f, TDM_MSG_WS_TEXT)));
    tdm_http_server_free(p.server);
}

IO_STORY(io_ws, a_connection_whose_owner_ended_is_closed_as_going_away)
{
    struct pair p;
    struct tdm_ws_cfg cfg = client_cfg(f, 0);

    cfg.owner.id = UINT64_MAX; /* nobody */
    p.server = io_server(f, NULL);
    cfg.port = tdm_http_server_port(p.server);
    cr_assert(eq(int, tdm_ws_connect(f->rt, &cfg, &p.client), TDM_OK));
    struct tdm_msg *msg = io_next(f, TDM_MSG_WS_UPGRADE);
    p.accepted = ((struct tdm_http_request *)tdm_msg_data(msg))->conn;
    tdm_ws_accept(f->rt, p.accepted, &(struct tdm_ws_accept_cfg){ .owner = f->me });
    io_done(f, msg);
    opened(f);
    cr_assert(eq(int, tdm_ws_send(f->rt, p.accepted, "anyone?", 7), TDM_OK));
    expect_closed(f, p.accepted, TDM_OK, 0, 1001);
    tdm_http_server_free(p.server);
}

IO_STORY(io_ws, what_cannot_be_asked_is_an_error_of_the_call)
{
    struct tdm_ws_cfg cfg = client_cfg(f, 80);
    tdm_conn conn = { 0 };

    cfg.target = "no-slash";
    cr_assert(eq(int, tdm_ws_connect(f->rt, &cfg, &conn), TDM_EINVAL));
    cfg.target = "/x y";
    cr_assert(eq(int, tdm_ws_connect(f->rt, &cfg, &conn), TDM_EINVAL));
    cfg.target = "/";
    cfg.host = "";
    cr_assert(eq(int, tdm_ws_connect(f->rt, &cfg, &conn), TDM_EINVAL));
    cr_assert(eq(int, tdm_ws_send(f->rt, (tdm_conn){ 0 }, "x", 1), TDM_ENOPROC));
    cr_assert(eq(int, tdm_ws_close(f->rt, (tdm_conn){ 12345 }, 1000, ""), TDM_ENOPROC));
    cr_assert(eq(int, tdm_ws_close(f->rt, (tdm_conn){ 12345 }, 1005, ""), TDM_EINVAL));
}
