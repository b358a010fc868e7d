/* The HTTP client against scripted peers: one reply for each request, in order, whatever the peer does. */
#include "io_fixture.h"

TestSuite(io_http_client, .timeout = 120);

static void refuse_connections(struct io_fixture *f, uint16_t *port)
{
    int listener = io_raw_listen(f, port);

    io_raw_close(f, listener, false); /* the port was ours, so nobody listens there now */
}

static void expect_body(struct io_fixture *f, struct tdm_msg *msg, const char *body)
{
    struct tdm_http_reply *r = tdm_msg_data(msg);

    cr_assert(eq(str, r->body, (char *)body));
    cr_assert(eq(u32, r->body_bytes, (uint32_t)strlen(body)));
    io_done(f, msg);
}

IO_STORY(io_http_client, a_reply_carries_the_ref_status_type_and_body)
{
    struct tdm_http_server *s = io_server(f, NULL);
    struct tdm_http_pool *pool = io_pool(f, tdm_http_server_port(s));
    tdm_ref ref = io_ask(f, pool, "GET", "/x");
    struct tdm_msg *msg;

    io_answer(f, 404, "not here");
    msg = io_reply(f, TDM_OK, 404);
    cr_assert(eq(u64, msg->ref, ref));
    cr_assert(eq(str, ((struct tdm_http_reply *)tdm_msg_data(msg))->content_type, "text/plain"));
    expect_body(f, msg, "not here");
    tdm_http_pool_free(pool);
    tdm_http_server_free(s);
}

IO_STORY(io_http_client, a_body_of_a_megabyte_goes_there_and_back)
{
    struct tdm_http_server *s = io_server(f, &(struct tdm_http_server_cfg){ .body_max = 2u << 20 });
    struct tdm_http_pool *pool = io_pool(f, tdm_http_server_port(s));
    size_t n = 1u << 20;
    char *body = malloc(n);
    struct tdm_msg *msg;
    struct tdm_http_request *r;
    struct tdm_http_reply *reply;

    for (size_t i = 0; i < n; i++)
        body[i] = (char)(i * 31 >> 3);
    tdm_http_request(f->rt, pool, f->me,
                     &(struct tdm_http_req){ .method = "PUT", .target = "/", .body = body, .body_bytes = n });
    msg = io_next(f, TDM_MSG_HTTP_REQUEST);
    r = tdm_msg_data(msg);
    cr_assert(eq(u32, r->body_bytes, (uint32_t)n));
    cr_assert(eq(int, memcmp(r->body, body, n), 0));
    cr_assert(eq(int, tdm_http_respond(f->rt, r->conn, 200, NULL, NULL, body, n), TDM_OK));
    io_done(f, msg);
    msg = io_reply(f, TDM_OK, 200);
    reply = tdm_msg_data(msg);
    cr_assert(eq(u32, reply->body_bytes, (uint32_t)n));
    cr_assert(eq(int, memcmp(reply->body, body, n), 0));
    io_done(f, msg);
    free(body);
    tdm_http_pool_free(pool);
    tdm_http_server_free(s);
}

IO_STORY(io_http_client, an_answer_that_comes_byte_by_byte_is_put_together)
{
    static const char answer[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: a/b\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    uint16_t port;
    int listener = io_raw_listen(f, &port), fd;
    struct tdm_http_pool *pool = io_pool(f, port);
    char buf[1024];

    io_ask(f, pool, "GET", "/");
    fd = io_raw_accept(f, listener);
    io_raw_read(f, fd, "\r\n\r\n", buf, sizeof buf);
    for (size_t i = 0; i < sizeof answer - 1; i++)
        io_raw_send(f, fd, answer + i, 1);
    expect_body(f, io_reply(f, TDM_OK, 200), "abcde");
    tdm_http_pool_free(pool);
    io_raw_close(f, fd, false);
    io_raw_close(f, listener, false);
}

IO_STORY(io_http_client, an_answer_without_a_length_ends_with_the_stream)
{
    uint16_t port;
    int listener = io_raw_listen(f, &port), fd;
    struct tdm_http_pool *pool = io_pool(f, port);
    char buf[1024];

    io_ask(f, pool, "GET", "/");
    fd = io_raw_accept(f, listener);
    io_raw_read(f, fd, "\r\n\r\n", buf, sizeof buf);
    IO_SEND(f, fd, "HTTP/1.0 200 OK\r\n\r\nuntil the end");
    io_raw_close(f, fd, false);
    expect_body(f, io_reply(f, TDM_OK, 200), "until the end");
    tdm_http_pool_free(pool);
    io_raw_close(f, listener, false);
}

/* One exchange on a kept-alive connection, then the peer closes it on reading the next request. */
static int stale_connection(struct io_fixture *f, int listener, struct tdm_http_pool *pool)
{
    char buf[1024];
    int fd;

    io_ask(f, pool, "GET", "/first");
    fd = io_raw_accept(f, listener);
    io_raw_read(f, fd, "\r\n\r\n", buf, sizeof buf);
    IO_SEND(f, fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    io_done(f, io_reply(f, TDM_OK, 200));
    return fd;
}

IO_STORY(io_http_client, a_get_on_a_connection_that_turns_out_closed_is_sent_once_more)
{
    uint16_t port;
    int listener = io_raw_listen(f, &port), fd;
    struct tdm_http_pool *pool = io_pool(f, port);
    char buf[1024];

    fd = stale_connection(f, listener, pool);
    io_ask(f, pool, "GET", "/second");
    io_raw_read(f, fd, "\r\n\r\n", buf, sizeof buf);
    io_raw_close(f, fd, false);
    fd = io_raw_accept(f, listener);
    io_raw_read(f, fd, "\r\n\r\n", buf, sizeof buf);
    cr_assert(eq(int, strncmp(buf, "GET /second ", 12), 0));
    io_raw_close(f, fd, false);
    io_done(f, io_reply(f, TDM_ECONN, 0)); /* the second time is the last */
    tdm_http_pool_free(pool);
    io_raw_close(f, listener, false);
}

IO_STORY(io_http_client, a_post_on_a_connection_that_turns_out_closed_is_not_sent_again)
{
    uint16_t port;
    int listener = io_raw_listen(f, &port), fd;
    struct tdm_http_pool *pool = io_pool(f, port);
    char buf[1024];

    fd = stale_connection(f, listener, pool);
    io_ask(f, pool, "POST", "/second");
    io_raw_read(f, fd, "\r\n\r\n", buf, sizeof buf);
    cr_assert(ne(ptr, strstr(buf, "Content-Length: 0\r\n"), NULL));
    io_raw_close(f, fd, false);
    io_done(f, io_reply(f, TDM_ECONN, 0));
    tdm_http_pool_free(pool);
    io_raw_close(f, listener, false);
}

IO_STORY(io_http_client, a_connection_closed_while_idle_costs_no_request)
{
    uint16_t port;
    int listener = io_raw_listen(f, &port), fd;
    struct tdm_http_pool *pool = io_pool(f, port);
    char buf[1024];

    fd = stale_connection(f, listener, pool);
    io_raw_close(f, fd, false);
    io_wait_ms(f, 20);
    io_ask(f, pool, "POST", "/second");
    fd = io_raw_accept(f, listener);
    io_raw_read(f, fd, "\r\n\r\n", buf, sizeof buf);
    IO_SEND(f, fd, "HTTP/1.1 204 No Content\r\n\r\n");
    io_done(f, io_reply(f, TDM_OK, 204));
    tdm_http_pool_free(pool);
    io_raw_close(f, fd, false);
    io_raw_close(f, listener, false);
}

IO_STORY(io_http_client, a_peer_that_does_not_answer_costs_the_deadline_and_no_more)
{
    uint16_t port;
    int listener = io_raw_listen(f, &port), fd;
    struct tdm_http_pool *pool = io_pool(f, port);
    struct tdm_http_req req = { .method = "GET", .target = "/", .timeout_ms = 60 };
    char buf[1024];

    tdm_http_request(f->rt, pool, f->me, &req);
    fd = io_raw_accept(f, listener);
    io_raw_read(f, fd, "\r\n\r\n", buf, sizeof buf);
    io_done(f, io_reply(f, TDM_ETIMEOUT, 0));
    io_raw_read(f, fd, NULL, buf, sizeof buf); /* the connection is given up with it */
    tdm_http_pool_free(pool);
    io_raw_close(f, fd, false);
    io_raw_close(f, listener, false);
}

IO_STORY(io_http_client, requests_to_a_peer_that_is_down_are_answered_with_the_reason)
{
    struct tdm_http_pool *pool;
    struct tdm_msg *msg;
    uint16_t port;

    refuse_connections(f, &port);
    pool = io_pool(f, port);
    for (int i = 0; i < 5; i++)
        io_ask(f, pool, "GET", "/");
    for (int i = 0; i < 5; i++) {
        msg = io_reply(f, TDM_ECONN, 0);
        cr_assert(ne(ptr, strstr(((struct tdm_http_reply *)tdm_msg_data(msg))->body, "refused"), NULL));
        io_done(f, msg);
    }
    tdm_http_pool_free(pool);
}

IO_STORY(io_http_client, a_name_that_does_not_exist_is_an_answer_too)
{
    struct tdm_http_pool_cfg cfg = { .host = "no-such-host.invalid", .port = 80, .connect_timeout_ms = 5000 };
    struct tdm_http_pool *pool;

    cr_assert(eq(int, tdm_http_pool_new(f->rt, &cfg, &pool), TDM_OK));
    io_ask(f, pool, "GET", "/");
    io_done(f, io_reply(f, TDM_ECONN, 0));
    tdm_http_pool_free(pool);
}

IO_STORY(io_http_client, a_name_is_looked_up_and_connected_to)
{
    struct tdm_http_server *s = io_server(f, NULL);
    struct tdm_http_pool_cfg cfg = { .host = "localhost", .port = tdm_http_server_port(s) };
    struct tdm_http_pool *pool;

    cr_assert(eq(int, tdm_http_pool_new(f->rt, &cfg, &pool), TDM_OK));
    io_ask(f, pool, "GET", "/");
    io_answer(f, 200, "found");
    expect_body(f, io_reply(f, TDM_OK, 200), "found");
    tdm_http_pool_free(pool);
    tdm_http_server_free(s);
}

IO_STORY(io_http_client, requests_of_one_key_wait_for_each_other_and_others_overtake_them)
{
    struct tdm_http_server *s = io_server(f, NULL);
    struct tdm_http_pool *pool = io_pool(f, tdm_http_server_port(s));
    struct tdm_msg *held, *msg;
    struct tdm_http_request *r;

    for (int i = 0; i < 3; i++) {
        static const char *const targets[] = { "/k1", "/k2", "/k3" };
        tdm_http_request(f->rt, pool, f->me,
                         &(struct tdm_http_req){ .method = "POST", .target = targets[i], .order_key = 7 });
    }
    held = io_next(f, TDM_MSG_HTTP_REQUEST);
    cr_assert(eq(str, (char *)((struct tdm_http_request *)tdm_msg_data(held))->path, "/k1"));
    io_ask(f, pool, "GET", "/free"); /* the second connection is free for it */
    msg = io_next(f, TDM_MSG_HTTP_REQUEST);
    cr_assert(eq(str, (char *)((struct tdm_http_request *)tdm_msg_data(msg))->path, "/free"));
    for (int i = 2; i <= 4; i++) {
        r = tdm_msg_data(held);
        cr_assert(eq(int, tdm_http_respond(f->rt, r->conn, 200, NULL, NULL, "", 0), TDM_OK));
        io_done(f, held);
        io_done(f, io_reply(f, TDM_OK, 200));
        if (i == 4)
            break;
        held = io_next(f, TDM_MSG_HTTP_REQUEST);
        cr_assert(eq(int, ((struct tdm_http_request *)tdm_msg_data(held))->path[2], '0' + i));
    }
    io_done(f, msg);
    tdm_http_pool_free(pool);
    io_done(f, io_reply(f, TDM_ECONN, 0)); /* "/free" was under way */
    tdm_http_server_free(s);
}

IO_STORY(io_http_client, a_full_queue_says_busy_and_keeps_what_it_has)
{
    struct tdm_http_pool_cfg cfg = { .host = "127.0.0.1", .connections = 1, .queue = 2 };
    uint16_t port;
    int listener = io_raw_listen(f, &port), fd;
    struct tdm_http_pool *pool;

    cfg.port = port;
    cr_assert(eq(int, tdm_http_pool_new(f->rt, &cfg, &pool), TDM_OK));
    io_ask(f, pool, "GET", "/under-way");
    fd = io_raw_accept(f, listener);
    io_raw_read(f, fd, "\r\n\r\n", (char[1024]){ 0 }, 1024);
    io_ask(f, pool, "GET", "/waits1");
    io_ask(f, pool, "GET", "/waits2");
    io_ask(f, pool, "GET", "/too-many");
    io_done(f, io_reply(f, TDM_EBUSY, 0));
    tdm_http_pool_free(pool);
    for (int i = 0; i < 3; i++)
        io_done(f, io_reply(f, TDM_ECONN, 0));
    io_raw_close(f, fd, false);
    io_raw_close(f, listener, false);
}

IO_STORY(io_http_client, an_answer_larger_than_the_limit_or_no_http_at_all_is_an_error)
{
    static const struct {
        const char *answer;
        int err;
    } rows[] = {
        { "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n12345678901", TDM_ETOOBIG },
        { "SSH-2.0-OpenSSH_9.2\r\n", TDM_EPROTO },
        { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n123", TDM_ECONN },
        { "", TDM_ECONN },
    };
    uint16_t port;
    int listener = io_raw_listen(f, &port);
    struct tdm_http_pool_cfg cfg = { .host = "127.0.0.1", .port = port, .body_max = 10 };
    struct tdm_http_pool *pool;

    cr_assert(eq(int, tdm_http_pool_new(f->rt, &cfg, &pool), TDM_OK));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char buf[1024];
        int fd;
        io_ask(f, pool, "GET", "/");
        fd = io_raw_accept(f, listener);
        io_raw_read(f, fd, "\r\n\r\n", buf, sizeof buf);
        IO_SEND(f, fd, rows[i].answer);
        io_raw_close(f, fd, false);
        io_done(f, io_reply(f, rows[i].err, 0));
    }
    tdm_http_pool_free(pool);
    io_raw_close(f, listener, false);
}

IO_STORY(io_http_client, a_request_that_would_break_the_line_is_refused_by_a_reply)
{
    struct tdm_http_pool *pool = io_pool(f, 9);

    io_ask(f, pool, "GET", "/a b");
    io_done(f, io_reply(f, TDM_EINVAL, 0));
    io_ask(f, pool, "GET", "/a\r\nX: y");
    io_done(f, io_reply(f, TDM_EINVAL, 0));
    io_ask(f, pool, "GE T", "/");
    io_done(f, io_reply(f, TDM_EINVAL, 0));
    tdm_http_pool_free(pool);
}
