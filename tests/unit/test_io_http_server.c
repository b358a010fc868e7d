/* The HTTP server against raw clients: what it accepts, what it refuses, and in which order it answers. */
#include "io_fixture.h"

TestSuite(io_http_server, .timeout = 120);

/* Send raw bytes on a new connection and return everything that comes back until it is closed. */
static void exchange(struct io_fixture *f, uint16_t port, const char *text, char *buf, size_t room)
{
    int fd = io_raw_connect(f, port);

    IO_SEND(f, fd, text);
    io_raw_read(f, fd, NULL, buf, room);
    io_raw_close(f, fd, false);
}

IO_STORY(io_http_server, a_request_reaches_the_owner_with_all_its_parts)
{
    struct tdm_http_server *s = io_server(f, NULL);
    int fd = io_raw_connect(f, tdm_http_server_port(s));
    struct tdm_http_request *r;
    struct tdm_msg *msg;
    char buf[512];

    IO_SEND(f, fd,
            "POST /a%20b/c?x=1&y=%26 HTTP/1.1\r\nHost: h\r\nAuthorization: Basic dTpw\r\n"
            "CONTENT-type: text/json\r\nX-Other: 1\r\nContent-Length: 4\r\n\r\nbody");
    msg = io_next(f, TDM_MSG_HTTP_REQUEST);
    r = tdm_msg_data(msg);
    cr_assert(eq(str, (char *)r->method, "POST"));
    cr_assert(eq(str, (char *)r->path, "/a%20b/c"));
    cr_assert(eq(str, (char *)r->query, "x=1&y=%26"));
    cr_assert(eq(str, (char *)r->authorization, "Basic dTpw"));
    cr_assert(eq(str, (char *)r->content_type, "text/json"));
    cr_assert(eq(str, (char *)r->body, "body"));
    cr_assert(eq(u32, r->body_bytes, 4));
    cr_assert(r->keep_alive);
    cr_assert(eq(int, tdm_http_respond(f->rt, r->conn, 201, "X-Mine: 2\r\n", "text/plain", "ok", 2), TDM_OK));
    io_raw_read(f, fd, "\r\n\r\nok", buf, sizeof buf);
    cr_assert(
        eq(str, buf,
           "HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nX-Mine: 2\r\n\r\nok"));
    io_done(f, msg);
    io_raw_close(f, fd, false);
    tdm_http_server_free(s);
}

IO_STORY(io_http_server, pipelined_requests_are_answered_in_order_each_after_the_one_before)
{
    struct tdm_http_server *s = io_server(f, NULL);
    int fd = io_raw_connect(f, tdm_http_server_port(s));
    char buf[1024];

    IO_SEND(f, fd,
            "GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\n"
            "Connection: close\r\n\r\n");
    for (int i = 1; i <= 3; i++) {
        struct tdm_msg *msg = io_next(f, TDM_MSG_HTTP_REQUEST);
        struct tdm_http_request *r = tdm_msg_data(msg);
        char body[16];
        cr_assert(eq(int, r->path[1], '0' + i));
        cr_assert(not(io_has(f, TDM_MSG_HTTP_REQUEST)), "the next one waits for this answer");
        snprintf(body, sizeof body, "<%d>", i);
        cr_assert(eq(int, tdm_http_respond(f->rt, r->conn, 200, NULL, NULL, body, 3), TDM_OK));
        cr_assert(lt(int, tdm_http_respond(f->rt, r->conn, 200, NULL, NULL, body, 3), 0),
                  "a second answer is refused");
        io_done(f, msg);
    }
    io_raw_read(f, fd, NULL, buf, sizeof buf);
    cr_assert(strstr(buf, "<1>") < strstr(buf, "<2>"));
    cr_assert(strstr(buf, "<2>") < strstr(buf, "<3>"));
    cr_assert(ne(ptr, strstr(buf, "Connection: close"), NULL));
    io_raw_close(f, fd, false);
    tdm_http_server_free(s);
}

static const struct {
    const char *request;
    const char *answer;
} refusals[] = {
    { "NONSENSE\r\n\r\n", "HTTP/1.1 400 " },
    { "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 400 " },
    { "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", "HTTP/1.1 400 " },
    { "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", "HTTP/1.1 400 " },
    { "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 400 " },
    { "POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n", "HTTP/1.1 413 " },
    { "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n", "HTTP/1.1 413 " },
    { "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
      "41\r\n00000000000000000000000000000000000000000000000000000000000000000\r\n"
      "41\r\n00000000000000000000000000000000000000000000000000000000000000000\r\n0\r\n\r\n",
      "HTTP/1.1 413 " },
    { "GET / HTTP/1.1\r\nX: "
      "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
      "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
      "0000"
      "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\r\n"
      "\r\n",
      "HTTP/1.1 431 " },
    { "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n",
      "HTTP/1.1 400 " },
    { "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 8\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
      "HTTP/1.1 426 " },
};

IO_STORY(io_http_server, what_is_not_acceptable_is_refused_with_the_right_status_and_closed)
{
    struct tdm_http_server *s =
        io_server(f, &(struct tdm_http_server_cfg){ .body_max = 100, .header_max = 250 });
    char buf[1024];

    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        exchange(f, tdm_http_server_port(s), refusals[i].request, buf, sizeof buf);
        cr_assert(eq(int, strncmp(buf, refusals[i].answer, strlen(refusals[i].answer)), 0), "%s\n got: %s",
                  refusals[i].request, buf);
        cr_assert(ne(ptr, strstr(buf, "Connection: close\r\n"), NULL));
    }
    cr_assert(not(io_has(f, TDM_MSG_HTTP_REQUEST)));
    tdm_http_server_free(s);
}

IO_STORY(io_http_server, a_chunked_body_arrives_as_one_and_100_continue_is_said_first)
{
    struct tdm_http_server *s = io_server(f, NULL);
    int fd = io_raw_connect(f, tdm_http_server_port(s));
    struct tdm_http_request *r;
    struct tdm_msg *msg;
    char buf[512];

    IO_SEND(f, fd, "POST /c HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
    io_raw_read(f, fd, "100 Continue\r\n\r\n", buf, sizeof buf);
    IO_SEND(f, fd, "3\r\nabc\r\n5;ext=1\r\ndefgh\r\n0\r\nTrailer: x\r\n\r\n");
    msg = io_next(f, TDM_MSG_HTTP_REQUEST);
    r = tdm_msg_data(msg);
    cr_assert(eq(str, (char *)r->body, "abcdefgh"));
    cr_assert(eq(int, tdm_http_respond(f->rt, r->conn, 204, NULL, NULL, NULL, 0), TDM_OK));
    io_raw_read(f, fd, "\r\n\r\n", buf, sizeof buf);
    cr_assert(eq(str, buf, "HTTP/1.1 204 No Content\r\n\r\n"));
    io_done(f, msg);
    io_raw_close(f, fd, false);
    tdm_http_server_free(s);
}

IO_STORY(io_http_server, head_gets_the_length_but_not_the_body)
{
    struct tdm_http_server *s = io_server(f, NULL);
    int fd = io_raw_connect(f, tdm_http_server_port(s));
    char buf[512];

    IO_SEND(f, fd, "HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n");
    io_answer(f, 200, "12345");
    io_raw_read(f, fd, NULL, buf, sizeof buf);
    cr_assert(ne(ptr, strstr(buf, "Content-Length: 5\r\n"), NULL));
    cr_assert(eq(ptr, strstr(buf, "12345"), NULL));
    io_raw_close(f, fd, false);
    tdm_http_server_free(s);
}

IO_STORY(io_http_server, http_1_0_closes_unless_the_client_asks_to_keep_alive)
{
    struct tdm_http_server *s = io_server(f, NULL);
    int fd = io_raw_connect(f, tdm_http_server_port(s));
    char buf[512];

    IO_SEND(f, fd, "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    io_answer(f, 200, "one");
    io_raw_read(f, fd, "one", buf, sizeof buf);
    cr_assert(ne(ptr, strstr(buf, "Connection: keep-alive\r\n"), NULL));
    IO_SEND(f, fd, "GET /2 HTTP/1.0\r\n\r\n");
    io_answer(f, 200, "two");
    io_raw_read(f, fd, NULL, buf, sizeof buf);
    cr_assert(ne(ptr, strstr(buf, "Connection: close\r\n"), NULL));
    io_raw_close(f, fd, false);
    tdm_http_server_free(s);
}

IO_STORY(io_http_server, a_client_that_is_slow_with_its_headers_is_closed)
{
    struct tdm_http_server *s = io_server(f, &(struct tdm_http_server_cfg){ .idle_ms = 50 });
    int fd = io_raw_connect(f, tdm_http_server_port(s));
    char buf[64];

    IO_SEND(f, fd, "GET / HTT");
    cr_assert(eq(sz, io_raw_read(f, fd, NULL, buf, sizeof buf), 0));
    io_raw_close(f, fd, false);
    tdm_http_server_free(s);
}

IO_STORY(io_http_server, the_owner_learns_that_a_client_went_away_before_its_answer)
{
    struct tdm_http_server *s = io_server(f, NULL);
    int fd = io_raw_connect(f, tdm_http_server_port(s));
    struct tdm_msg *msg, *gone;
    tdm_conn conn;

    IO_SEND(f, fd, "GET / HTTP/1.1\r\n\r\n");
    msg = io_next(f, TDM_MSG_HTTP_REQUEST);
    conn = ((struct tdm_http_request *)tdm_msg_data(msg))->conn;
    io_raw_close(f, fd, true);
    gone = io_next(f, TDM_MSG_CONN_GONE);
    cr_assert(eq(u64, ((tdm_conn *)tdm_msg_data(gone))->id, conn.id));
    cr_assert(eq(int, tdm_http_respond(f->rt, conn, 200, NULL, NULL, NULL, 0), TDM_ENOPROC));
    io_done(f, gone);
    io_done(f, msg);
    tdm_http_server_free(s);
}

IO_STORY(io_http_server, more_connections_than_allowed_are_closed_without_an_answer)
{
    struct tdm_http_server *s = io_server(f, &(struct tdm_http_server_cfg){ .connections = 1 });
    int one = io_raw_connect(f, tdm_http_server_port(s)), two;
    char buf[64];

    IO_SEND(f, one, "GET / HTTP/1.1\r\n\r\n");
    io_done(f, io_next(f, TDM_MSG_HTTP_REQUEST));
    two = io_raw_connect(f, tdm_http_server_port(s));
    cr_assert(eq(sz, io_raw_read(f, two, NULL, buf, sizeof buf), 0));
    io_raw_close(f, one, false);
    io_raw_close(f, two, false);
    tdm_http_server_free(s);
}

IO_STORY(io_http_server, the_port_is_free_again_when_the_server_is_freed)
{
    struct tdm_http_server *s = io_server(f, NULL);
    struct tdm_http_server_cfg cfg = { .port = tdm_http_server_port(s), .owner = f->me };
    struct tdm_http_server *again = NULL;

    cr_assert(eq(int, tdm_http_server_new(f->rt, &cfg, &again), -EADDRINUSE));
    tdm_http_server_free(s);
    cr_assert(eq(int, tdm_http_server_new(f->rt, &cfg, &again), TDM_OK));
    tdm_http_server_free(again);
}

IO_STORY(io_http_server, a_server_whose_owner_was_killed_gives_its_port_to_the_next)
{
    struct tdm_http_server_cfg cfg = { .owner = { UINT64_MAX } }; /* nobody any more */
    struct tdm_http_server *orphan = NULL, *next;
    struct tdm_http_pool *pool;

    cr_assert(eq(int, tdm_http_server_new(f->rt, &cfg, &orphan), TDM_OK));
    next = io_server(f, &(struct tdm_http_server_cfg){ .port = tdm_http_server_port(orphan) });
    pool = io_pool(f, tdm_http_server_port(next));
    io_ask(f, pool, "GET", "/");
    io_answer(f, 200, "");
    io_done(f, io_reply(f, TDM_OK, 200));
    tdm_http_pool_free(pool);
    tdm_http_server_free(next);
    tdm_http_server_free(orphan); /* whoever still had it may free it all the same */
}
