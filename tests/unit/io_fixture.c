/* io_fixture.c - see io_fixture.h. */
#include "io_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "io/loop.h"

enum { PATIENCE_MS = 10000 };

/* ---- the collecting actor -------------------------------------------------------------------- */

struct collector {
    struct io_fixture *fixture;
};

static int collect_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    (void)self;
    memcpy(state, start->arg, sizeof(struct collector));
    return TDM_OK;
}

static int collect(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct io_fixture *f = ((struct collector *)state)->fixture;

    msg = tdm_msg_take(self, msg);
    if (f->slow_ms > 0)
        io_wait_ms(f, (unsigned)f->slow_ms);
    pthread_mutex_lock(&f->lock);
    msg->next_ = NULL;
    if (f->first != NULL)
        f->last->next_ = msg;
    else
        f->first = msg;
    f->last = msg;
    pthread_mutex_unlock(&f->lock);
    f->env->unpark(f->env, &f->parker);
    return TDM_OK;
}

static const struct tdm_behaviour collector_behaviour = {
    .name = "collector", .state_bytes = sizeof(struct collector), .init = collect_init, .handle = collect
};

void io_begin(struct io_fixture *f)
{
    struct tdm_runtime_cfg cfg = { .env = f->env, .workers = 2, .no_fault_traps = true };
    struct collector arg = { f };
    struct tdm_spawn_cfg spawn = {
        .behaviour = &collector_behaviour, .arg = &arg, .arg_bytes = sizeof arg, .mailbox_limit = 16
    };

    pthread_mutex_init(&f->lock, NULL);
    cr_assert(eq(int, tdm_runtime_new(&f->rt, &cfg), TDM_OK));
    cr_assert(eq(int, tdm_spawn(f->rt, &spawn, &f->me), TDM_OK));
}

void io_end(struct io_fixture *f)
{
    tdm_kill(f->rt, f->me);
    tdm_runtime_wait(f->rt, f->me, PATIENCE_MS);
    while (f->first != NULL) {
        struct tdm_msg *msg = f->first;
        f->first = msg->next_;
        tdm_msg_free(f->rt, msg);
    }
    tdm_runtime_stop(f->rt, PATIENCE_MS);
    tdm_runtime_free(f->rt);
    pthread_mutex_destroy(&f->lock);
}

/* Criterion ignores what is found after a test; so the leak checker, where there is one, is asked inside it. */
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static void expect_no_leaks(void)
{
    if (__lsan_do_recoverable_leak_check != NULL)
        cr_assert(eq(int, __lsan_do_recoverable_leak_check(), 0), "memory was leaked");
}

void io_run_real(void (*story)(struct io_fixture *f))
{
    struct io_fixture f = { .env = tdm_env_real() };

    io_begin(&f);
    story(&f);
    io_end(&f);
    expect_no_leaks();
}

struct sim_run {
    struct tdm_env *env;
    void (*story)(struct io_fixture *f);
};

static void sim_main(void *arg)
{
    struct sim_run *run = arg;
    struct io_fixture f = { .env = run->env };

    io_begin(&f);
    run->story(&f);
    io_end(&f);
}

void io_run_sim(void (*story)(struct io_fixture *f), uint64_t seeds)
{
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct sim_run run = { .story = story };
        cr_assert(eq(int, tdm_env_sim_new(&run.env, seed), TDM_OK));
        cr_assert(eq(int, tdm_env_sim_run(run.env, sim_main, &run), TDM_OK), "seed %llu",
                  (unsigned long long)seed);
        tdm_env_sim_free(run.env);
    }
    expect_no_leaks();
}

/* ---- messages -------------------------------------------------------------------------------- */

static struct tdm_msg *take(struct io_fixture *f, uint32_t type)
{
    struct tdm_msg *found = NULL, *before = NULL;

    pthread_mutex_lock(&f->lock);
    for (struct tdm_msg *m = f->first; m != NULL && found == NULL; m = m->next_) {
        if (m->type == type)
            found = m;
        else
            before = m;
    }
    if (found != NULL && before != NULL)
        before->next_ = found->next_;
    else if (found != NULL)
        f->first = found->next_;
    if (found != NULL && f->last == found)
        f->last = before;
    pthread_mutex_unlock(&f->lock);
    return found;
}

struct tdm_msg *io_take_any(struct io_fixture *f)
{
    struct tdm_msg *msg;

    pthread_mutex_lock(&f->lock);
    msg = f->first;
    if (msg != NULL)
        f->first = msg->next_;
    if (f->first == NULL)
        f->last = NULL;
    pthread_mutex_unlock(&f->lock);
    return msg;
}

bool io_has(struct io_fixture *f, uint32_t type)
{
    bool found = false;

    pthread_mutex_lock(&f->lock);
    for (struct tdm_msg *m = f->first; m != NULL; m = m->next_)
        found = found || m->type == type;
    pthread_mutex_unlock(&f->lock);
    return found;
}

struct tdm_msg *io_next(struct io_fixture *f, uint32_t type)
{
    uint64_t deadline = f->env->now_ns(f->env) + PATIENCE_MS * UINT64_C(1000000);
    struct tdm_msg *msg;

    while ((msg = take(f, type)) == NULL) {
        cr_assert(lt(u64, f->env->now_ns(f->env), deadline), "no message of type %u came", type);
        f->env->park(f->env, &f->parker, deadline);
    }
    return msg;
}

void io_done(struct io_fixture *f, struct tdm_msg *msg)
{
    tdm_msg_free(f->rt, msg);
}

void io_wait_ms(struct io_fixture *f, unsigned ms)
{
    uint64_t until = f->env->now_ns(f->env) + ms * UINT64_C(1000000);
    struct tdm_parker parker = { 0 };

    while (f->env->now_ns(f->env) < until)
        f->env->park(f->env, &parker, until);
}

/* ---- HTTP ------------------------------------------------------------------------------------ */

struct tdm_http_server *io_server(struct io_fixture *f, const struct tdm_http_server_cfg *given)
{
    struct tdm_http_server_cfg cfg = given != NULL ? *given : (struct tdm_http_server_cfg){ 0 };
    struct tdm_http_server *s = NULL;

    cfg.owner = f->me;
    cr_assert(eq(int, tdm_http_server_new(f->rt, &cfg, &s), TDM_OK));
    return s;
}

struct tdm_http_pool *io_pool(struct io_fixture *f, uint16_t port)
{
    struct tdm_http_pool_cfg cfg = {
        .host = "127.0.0.1", .port = port, .connections = 2, .connect_timeout_ms = 2000
    };
    struct tdm_http_pool *pool = NULL;

    cr_assert(eq(int, tdm_http_pool_new(f->rt, &cfg, &pool), TDM_OK));
    return pool;
}

tdm_ref io_ask(struct io_fixture *f, struct tdm_http_pool *pool, const char *method, const char *target)
{
    struct tdm_http_req req = { .method = method, .target = target, .timeout_ms = 5000 };
    tdm_ref ref = tdm_http_request(f->rt, pool, f->me, &req);

    cr_assert(ne(u64, ref, 0));
    return ref;
}

void io_answer(struct io_fixture *f, int status, const char *body)
{
    struct tdm_msg *msg = io_next(f, TDM_MSG_HTTP_REQUEST);
    struct tdm_http_request *r = tdm_msg_data(msg);

    cr_assert(
        eq(int, tdm_http_respond(f->rt, r->conn, status, NULL, "text/plain", body, strlen(body)), TDM_OK));
    io_done(f, msg);
}

struct tdm_msg *io_reply(struct io_fixture *f, int err, int status)
{
    struct tdm_msg *msg = io_next(f, TDM_MSG_HTTP_REPLY);
    struct tdm_http_reply *r = tdm_msg_data(msg);

    cr_assert(eq(int, r->err, err), "%s: %s", tdm_errname(r->err), r->body);
    cr_assert(eq(int, r->status, status));
    return msg;
}

/* ---- raw sockets ----------------------------------------------------------------------------- */

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

int io_raw_listen(struct io_fixture *f, uint16_t *port)
{
    struct sockaddr_in at = loopback(0);
    int fd = f->env->sock_listen(f->env, (struct sockaddr *)&at, sizeof at);

    cr_assert(ge(int, fd, 0));
    *port = (uint16_t)f->env->sock_port(f->env, fd);
    return fd;
}

/* Raw sockets are not worth a poller: look again every millisecond, for as long as patience lasts. */
static void again(struct io_fixture *f, uint64_t *deadline, const char *what)
{
    uint64_t now = f->env->now_ns(f->env);

    if (*deadline == 0)
        *deadline = now + PATIENCE_MS * UINT64_C(1000000);
    cr_assert(lt(u64, now, *deadline), "waited in vain for %s", what);
    io_wait_ms(f, 1);
}

int io_raw_accept(struct io_fixture *f, int listener)
{
    uint64_t deadline = 0;
    int fd;

    while ((fd = f->env->sock_accept(f->env, listener)) == -EAGAIN)
        again(f, &deadline, "a connection");
    cr_assert(ge(int, fd, 0));
    return fd;
}

int io_raw_connect(struct io_fixture *f, uint16_t port)
{
    struct sockaddr_in to = loopback(port);
    int fd = f->env->sock_connect(f->env, (struct sockaddr *)&to, sizeof to);

    cr_assert(ge(int, fd, 0));
    return fd;
}

void io_raw_send(struct io_fixture *f, int fd, const void *p, size_t n)
{
    uint64_t deadline = 0;

    while (n > 0) {
        struct iovec iov = { .iov_base = (void *)p, .iov_len = n };
        ssize_t put = f->env->sock_writev(f->env, fd, &iov, 1);
        if (put == -EPIPE || put == -ECONNRESET)
            return; /* the other side has heard enough; what it said is still to be read */
        cr_assert(put > 0 || put == -EAGAIN || put == -ENOTCONN, "writing: %d", (int)put);
        if (put > 0) {
            p = (const char *)p + put;
            n -= (size_t)put;
        } else {
            again(f, &deadline, "room to write");
        }
    }
}

size_t io_raw_read(struct io_fixture *f, int fd, const char *until, char *buf, size_t room)
{
    uint64_t deadline = 0;
    size_t got = 0;

    buf[0] = '\0';
    while (got < room - 1 && (until == NULL || memmem(buf, got, until, strlen(until)) == NULL)) {
        ssize_t n = f->env->sock_read(f->env, fd, buf + got, room - 1 - got);
        if (n == -EAGAIN || n == -ENOTCONN) {
            again(f, &deadline, until != NULL ? until : "the end of the stream");
            continue;
        }
        if (n <= 0)
            break;
        got += (size_t)n;
        buf[got] = '\0';
    }
    return got;
}

void io_raw_close(struct io_fixture *f, int fd, bool abort)
{
    f->env->sock_close(f->env, fd, abort);
}
