/* env_sim_net.c - the network of the deterministic environment: sockets as queues in memory.
 *
 * Idea:      a write becomes a chunk in the peer's queue with a time of arrival; a read takes what has
 *            arrived. The seed chooses how much of a write is taken, how much of what is there a read
 *            gets, when a chunk arrives and in which order ready sockets are told. So every split of a
 *            stream into pieces that a real network may produce comes up for some seed, and the same
 *            seed produces the same one.
 * Like TCP:  data arrive in order and before the end of the stream; a close with unread bytes, and an
 *            abort, reset the connection; a connect to a port where nobody listens is refused when the
 *            poller is asked; buffers are bounded.
 * Faults:    env_sim_fault.c; and _net_cut(), _net_freeze() and _net_delay() of env.h.
 * Touched by the coroutines of one thread, which change only in park(), unpark() and point(): no locks.
 * Memory comes from malloc, because a failing env->alloc is to test the runtime, not the network. */
#include "env_sim_net.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "env_sim.h"
#include "env_sim_fault.h"
#include "tandem/err.h"

enum { FD_FIRST = 1000, PORT_FIRST = 20000, BUFFER_BYTES = 128 * 1024, BACKLOG = 128, MILLISECOND = 1000000 };

struct chunk {
    struct chunk *next;
    uint64_t arrives_ns;
    size_t at, end;
    char data[];
};

struct sim_sock {
    int fd;
    uint16_t port; /* of the listening side, for both ends */
    bool listener;
    bool refused; /* told by sock_error() */
    bool reset;   /* by the peer */
    bool ended;   /* the peer closed; true end when the queue is empty */
    uint64_t ends_ns;
    struct sim_sock *peer; /* NULL when it is closed */
    struct chunk *first, *last;
    size_t queued;
    struct sim_sock *backlog; /* of a listener: connections not accepted yet, oldest first */
    struct sim_sock *next_in_backlog;
    uint64_t accept_ns; /* in a backlog: when it gets there */
    struct tdm_poller *poller;
    uint32_t events;
    void *udata;
};

struct sim_net {
    struct sim_sock **socks; /* by fd - FD_FIRST; NULL: free */
    size_t room;
    uint16_t next_port;
    uint64_t delay_ns; /* a chunk takes up to this long */
    struct sim_faults faults;
    uint16_t frozen[8]; /* ports across which nothing moves */
    struct tdm_poller *pollers;
};

struct tdm_poller {
    struct tdm_parker parker;
    bool woken;
    struct tdm_poller *next;
};

static struct sim_net *net_of(struct tdm_env *env)
{
    struct sim_net **at = env_sim_net_slot(env);

    if (*at == NULL) {
        *at = calloc(1, sizeof **at);
        if (*at == NULL)
            abort(); /* the machine itself is out of memory */
        (*at)->next_port = PORT_FIRST;
        (*at)->delay_ns = MILLISECOND;
    }
    return *at;
}

static void point(struct tdm_env *env, const char *where)
{
    if (env->point != NULL)
        env->point(env, where);
}

/* A number below `below`, from the seed. */
static uint64_t draw(struct tdm_env *env, uint64_t below)
{
    return below == 0 ? 0 : env->random(env) % below;
}

/* Is this a call that is to fail? Returns the error, TDM_SIM_SHORT, or 0. */
static int injected(struct tdm_env *env, enum tdm_sim_call kind, const char *where)
{
    point(env, where);
    return sim_fault_next(&net_of(env)->faults, kind);
}

struct sim_faults *env_sim_net_faults(struct tdm_env *env)
{
    return &net_of(env)->faults;
}

static bool frozen(const struct sim_net *net, uint16_t port)
{
    for (size_t i = 0; i < sizeof net->frozen / sizeof *net->frozen; i++) {
        if (port != 0 && net->frozen[i] == port)
            return true;
    }
    return false;
}

static void wake_all(struct tdm_env *env)
{
    for (struct tdm_poller *p = net_of(env)->pollers; p != NULL; p = p->next)
        env->unpark(env, &p->parker);
}

/* Something changed for `s`: let its poller look. */
static void stir(struct tdm_env *env, struct sim_sock *s)
{
    if (s != NULL && s->poller != NULL)
        env->unpark(env, &s->poller->parker);
}

/* ---- sockets --------------------------------------------------------------------------------- */

static struct sim_sock *find(struct tdm_env *env, int fd)
{
    struct sim_net *net = net_of(env);
    size_t i = (size_t)(fd - FD_FIRST);

    return fd >= FD_FIRST && i < net->room ? net->socks[i] : NULL;
}

static struct sim_sock *sock_new(struct tdm_env *env, uint16_t port)
{
    struct sim_net *net = net_of(env);
    struct sim_sock *s = calloc(1, sizeof *s);
    size_t i = 0;

    while (i < net->room && net->socks[i] != NULL)
        i++;
    if (i == net->room) {
        size_t room = net->room > 0 ? net->room * 2 : 64;
        struct sim_sock **more = realloc(net->socks, room * sizeof *more);
        if (more != NULL) {
            memset(more + net->room, 0, (room - net->room) * sizeof *more);
            net->socks = more;
            net->room = room;
        }
    }
    if (s == NULL || i == net->room) {
        free(s);
        return NULL;
    }
    s->fd = FD_FIRST + (int)i;
    s->port = port;
    net->socks[i] = s;
    return s;
}

static void sock_free(struct tdm_env *env, struct sim_sock *s)
{
    struct sim_net *net = net_of(env);

    while (s->first != NULL) {
        struct chunk *c = s->first;
        s->first = c->next;
        free(c);
    }
    if (net != NULL && net->socks != NULL)
        net->socks[s->fd - FD_FIRST] = NULL;
    free(s);
}

static uint16_t port_of(const struct sockaddr *addr)
{
    if (addr->sa_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)addr)->sin6_port);
    return ntohs(((const struct sockaddr_in *)addr)->sin_port);
}

static struct sim_sock *listener_on(struct tdm_env *env, uint16_t port)
{
    struct sim_net *net = net_of(env);

    for (size_t i = 0; i < net->room; i++) {
        if (net->socks[i] != NULL && net->socks[i]->listener && net->socks[i]->port == port)
            return net->socks[i];
    }
    return NULL;
}

int env_sim_net_listen(struct tdm_env *env, const struct sockaddr *addr, socklen_t bytes)
{
    uint16_t port = port_of(addr);
    struct sim_sock *s;
    int err = injected(env, TDM_SIM_LISTEN, "net.listen");

    (void)bytes;
    if (err < 0)
        return err;
    if (port != 0 && listener_on(env, port) != NULL)
        return -EADDRINUSE;
    while (port == 0 || listener_on(env, port) != NULL)
        port = net_of(env)->next_port++;
    s = sock_new(env, port);
    if (s == NULL)
        return -ENOBUFS;
    s->listener = true;
    return s->fd;
}

static uint64_t arrival(struct tdm_env *env, const struct sim_sock *to)
{
    uint64_t at = env->now_ns(env) + draw(env, net_of(env)->delay_ns + 1);

    /* In order: not before what was sent earlier. */
    return to->last != NULL && to->last->arrives_ns > at ? to->last->arrives_ns : at;
}

static bool into_backlog(struct sim_sock *listener, struct sim_sock *s)
{
    struct sim_sock **at = &listener->backlog;
    int count = 0;

    for (; *at != NULL; at = &(*at)->next_in_backlog)
        count++;
    if (count >= BACKLOG)
        return false;
    *at = s;
    return true;
}

int env_sim_net_connect(struct tdm_env *env, const struct sockaddr *addr, socklen_t bytes)
{
    struct sim_sock *listener, *near, *far;
    int err = injected(env, TDM_SIM_CONNECT, "net.connect");

    (void)bytes;
    if (err < 0)
        return err;
    near = sock_new(env, port_of(addr));
    if (near == NULL)
        return -ENOBUFS;
    listener = listener_on(env, near->port);
    far = listener != NULL ? sock_new(env, near->port) : NULL;
    if (far == NULL || !into_backlog(listener, far)) {
        if (far != NULL)
            sock_free(env, far);
        near->refused = true;
        return near->fd;
    }
    near->peer = far;
    far->peer = near;
    far->accept_ns = arrival(env, far);
    stir(env, listener);
    return near->fd;
}

int env_sim_net_accept(struct tdm_env *env, int fd)
{
    struct sim_sock *listener = find(env, fd), *s;
    int err = injected(env, TDM_SIM_ACCEPT, "net.accept");

    if (err < 0)
        return err;
    s = listener != NULL ? listener->backlog : NULL;
    if (s == NULL || s->accept_ns > env->now_ns(env))
        return -EAGAIN;
    listener->backlog = s->next_in_backlog;
    s->next_in_backlog = NULL;
    return s->fd;
}

int env_sim_net_port(struct tdm_env *env, int fd)
{
    struct sim_sock *s = find(env, fd);
    int err = injected(env, TDM_SIM_PORT, "net.port");

    if (err < 0)
        return err;
    return s != NULL ? s->port : -EBADF;
}

int env_sim_net_error(struct tdm_env *env, int fd)
{
    struct sim_sock *s = find(env, fd);
    int err = injected(env, TDM_SIM_ERROR, "net.error");

    if (s == NULL)
        return -EBADF;
    if (err < 0)
        return err;
    if (s->refused)
        return -ECONNREFUSED;
    return s->reset ? -ECONNRESET : 0;
}

static bool has_arrived(struct tdm_env *env, const struct sim_sock *s)
{
    return s->first != NULL && s->first->arrives_ns <= env->now_ns(env) && !frozen(net_of(env), s->port);
}

static bool has_ended(struct tdm_env *env, const struct sim_sock *s)
{
    return s->ended && s->first == NULL && s->ends_ns <= env->now_ns(env) && !frozen(net_of(env), s->port);
}

ssize_t env_sim_net_read(struct tdm_env *env, int fd, void *buf, size_t bytes)
{
    struct sim_sock *s = find(env, fd);
    size_t n = 0;
    int err = injected(env, TDM_SIM_READ, "net.read");

    if (s == NULL)
        return -EBADF;
    if (err < 0)
        return err;
    if (s->reset || s->refused)
        return -ECONNRESET;
    if (has_ended(env, s))
        return 0;
    if (!has_arrived(env, s) || bytes == 0)
        return -EAGAIN;
    if (err == TDM_SIM_SHORT)
        bytes = 1;
    else if (draw(env, 4) == 0)
        bytes = 1 + draw(env, bytes); /* fewer than there are */
    while (n < bytes && has_arrived(env, s)) {
        struct chunk *c = s->first;
        size_t part = c->end - c->at < bytes - n ? c->end - c->at : bytes - n;
        memcpy((char *)buf + n, c->data + c->at, part);
        n += part;
        c->at += part;
        s->queued -= part;
        if (c->at < c->end)
            break;
        s->first = c->next;
        if (s->first == NULL)
            s->last = NULL;
        free(c);
    }
    stir(env, s->peer);
    return (ssize_t)n;
}

ssize_t env_sim_net_writev(struct tdm_env *env, int fd, const struct iovec *iov, int count)
{
    struct sim_sock *s = find(env, fd), *to;
    size_t want = 0, n, put = 0;
    struct chunk *c;
    int err = injected(env, TDM_SIM_WRITE, "net.writev");

    if (s == NULL)
        return -EBADF;
    if (err < 0)
        return err;
    to = s->peer;
    if (s->reset || s->refused)
        return -ECONNRESET;
    if (to == NULL)
        return -EPIPE;
    for (int i = 0; i < count; i++)
        want += iov[i].iov_len;
    n = BUFFER_BYTES - to->queued < want ? BUFFER_BYTES - to->queued : want;
    if (n > 1 && err == TDM_SIM_SHORT)
        n = 1;
    else if (n > 1 && draw(env, 4) == 0)
        n = 1 + draw(env, n); /* fewer than were offered */
    if (n == 0)
        return want == 0 ? 0 : -EAGAIN;
    c = malloc(sizeof *c + n);
    if (c == NULL)
        return -ENOBUFS;
    *c = (struct chunk){ .arrives_ns = arrival(env, to), .end = n };
    for (int i = 0; put < n; i++) {
        size_t part = iov[i].iov_len < n - put ? iov[i].iov_len : n - put;
        memcpy(c->data + put, iov[i].iov_base, part);
        put += part;
    }
    if (to->last != NULL)
        to->last->next = c;
    else
        to->first = c;
    to->last = c;
    to->queued += n;
    stir(env, to);
    return (ssize_t)n;
}

/* The other end learns of it: an end of stream after what is under way, or a reset at once. */
static void part_from_peer(struct tdm_env *env, struct sim_sock *s, bool abort)
{
    struct sim_sock *peer = s->peer;

    if (peer == NULL)
        return;
    peer->peer = NULL;
    s->peer = NULL;
    if (abort || s->first != NULL)
        peer->reset = true;
    peer->ends_ns = arrival(env, peer);
    peer->ended = true;
    stir(env, peer);
}

void env_sim_net_close(struct tdm_env *env, int fd, bool abort)
{
    struct sim_sock *s = find(env, fd);

    point(env, "net.close");
    if (s == NULL)
        return;
    while (s->backlog != NULL) {
        struct sim_sock *waiting = s->backlog;
        s->backlog = waiting->next_in_backlog;
        part_from_peer(env, waiting, true);
        sock_free(env, waiting);
    }
    part_from_peer(env, s, abort);
    sock_free(env, s);
}

/* ---- the poller ------------------------------------------------------------------------------ */

int env_sim_net_poller_new(struct tdm_env *env, struct tdm_poller **ret)
{
    int err = injected(env, TDM_SIM_POLLER, "net.poller_new");
    struct tdm_poller *p = err < 0 ? NULL : calloc(1, sizeof *p);

    if (p == NULL)
        return err < 0 ? err : TDM_ENOMEM;
    p->next = net_of(env)->pollers;
    net_of(env)->pollers = p;
    *ret = p;
    return TDM_OK;
}

void env_sim_net_poller_free(struct tdm_env *env, struct tdm_poller *p)
{
    struct sim_net *net = net_of(env);
    struct tdm_poller **at = &net->pollers;

    if (p == NULL)
        return;
    while (*at != NULL && *at != p)
        at = &(*at)->next;
    if (*at != NULL)
        *at = p->next;
    for (size_t i = 0; i < net->room; i++) {
        if (net->socks[i] != NULL && net->socks[i]->poller == p)
            net->socks[i]->poller = NULL;
    }
    free(p);
}

int env_sim_net_poller_set(struct tdm_env *env, struct tdm_poller *p, int fd, uint32_t events, void *udata)
{
    struct sim_sock *s = find(env, fd);
    int err = injected(env, TDM_SIM_WATCH, "net.poller_set");

    if (s == NULL)
        return -EBADF;
    if (err < 0 && events != 0)
        return err;
    s->poller = events != 0 ? p : NULL;
    s->events = events;
    s->udata = udata;
    return TDM_OK;
}

static uint32_t readiness(struct tdm_env *env, const struct sim_sock *s)
{
    uint32_t ready = 0;

    if (s->listener)
        return s->backlog != NULL && s->backlog->accept_ns <= env->now_ns(env) ? TDM_POLL_READ : 0;
    if (s->reset || s->refused)
        return TDM_POLL_READ | TDM_POLL_WRITE | TDM_POLL_HANGUP;
    if (has_arrived(env, s))
        ready |= TDM_POLL_READ;
    if (has_ended(env, s))
        ready |= TDM_POLL_READ | TDM_POLL_HANGUP;
    if (s->peer == NULL || s->peer->queued < BUFFER_BYTES)
        ready |= TDM_POLL_WRITE;
    return ready;
}

/* Those of p's sockets that are ready, beginning anywhere. */
static int collect(struct tdm_env *env, struct tdm_poller *p, struct tdm_poll_event *out, int max)
{
    struct sim_net *net = net_of(env);
    size_t start = draw(env, net->room);
    int n = 0;

    for (size_t i = 0; i < net->room && n < max; i++) {
        struct sim_sock *s = net->socks[(start + i) % net->room];
        uint32_t ready = s != NULL && s->poller == p ? readiness(env, s) : 0;
        /* As epoll: an end of stream counts as a hangup only for who watches for reading, a reset always. */
        if (s != NULL && !s->reset && !s->refused && (s->events & TDM_POLL_READ) == 0)
            ready &= ~(uint32_t)TDM_POLL_HANGUP;
        ready &= s != NULL ? s->events | TDM_POLL_HANGUP : 0;
        if (ready != 0)
            out[n++] = (struct tdm_poll_event){ .udata = s->udata, .events = ready };
    }
    return n;
}

/* When the next thing that is already under way arrives at one of p's sockets. */
static uint64_t next_arrival(struct tdm_env *env, const struct tdm_poller *p)
{
    struct sim_net *net = net_of(env);
    uint64_t now = env->now_ns(env), next = TDM_FOREVER;

    for (size_t i = 0; i < net->room; i++) {
        const struct sim_sock *s = net->socks[i];
        uint64_t at = TDM_FOREVER;
        if (s == NULL || s->poller != p || frozen(net, s->port))
            continue;
        if (s->first != NULL)
            at = s->first->arrives_ns;
        else if (s->ended)
            at = s->ends_ns;
        else if (s->backlog != NULL)
            at = s->backlog->accept_ns;
        if (at > now && at < next)
            next = at;
    }
    return next;
}

int env_sim_net_poller_wait(struct tdm_env *env, struct tdm_poller *p, struct tdm_poll_event *out, int max,
                            uint64_t deadline_ns)
{
    for (;;) {
        uint64_t next;
        int n = collect(env, p, out, max);

        if (n > 0 || p->woken || env->now_ns(env) >= deadline_ns) {
            p->woken = false;
            return n;
        }
        next = next_arrival(env, p);
        env->park(env, &p->parker, next < deadline_ns ? next : deadline_ns);
    }
}

void env_sim_net_poller_wake(struct tdm_env *env, struct tdm_poller *p)
{
    p->woken = true;
    env->unpark(env, &p->parker);
}

/* ---- names ----------------------------------------------------------------------------------- */

/* Every name is this machine, after a while; names that end in ".invalid" do not exist (RFC 6761). */
int env_sim_net_resolve(struct tdm_env *env, const char *host, uint16_t port, struct sockaddr_storage *out,
                        int max)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct tdm_parker parker = { 0 };
    uint64_t until = env->now_ns(env) + draw(env, 10 * MILLISECOND);
    size_t n = strlen(host);
    int err = injected(env, TDM_SIM_RESOLVE, "net.resolve");

    while (env->now_ns(env) < until)
        env->park(env, &parker, until);
    if (err < 0)
        return err;
    if (max < 1 || (n >= 8 && strcmp(host + n - 8, ".invalid") == 0))
        return TDM_ENOTFOUND;
    memset(out, 0, sizeof *out);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return 1;
}

/* ---- faults ---------------------------------------------------------------------------------- */

size_t tdm_env_sim_sockets(struct tdm_env *env)
{
    struct sim_net *net = net_of(env);
    size_t n = 0;

    for (size_t i = 0; i < net->room; i++)
        n += net->socks[i] != NULL;
    return n;
}

void tdm_env_sim_net_cut(struct tdm_env *env, uint16_t port)
{
    struct sim_net *net = net_of(env);

    for (size_t i = 0; i < net->room; i++) {
        struct sim_sock *s = net->socks[i];
        if (s == NULL || s->listener || (port != 0 && s->port != port))
            continue;
        s->reset = true;
        s->peer = NULL;
    }
    wake_all(env);
}

void tdm_env_sim_net_freeze(struct tdm_env *env, uint16_t port, bool freeze)
{
    struct sim_net *net = net_of(env);
    size_t i = 0, n = sizeof net->frozen / sizeof *net->frozen;

    while (i < n && net->frozen[i] != (freeze ? 0 : port))
        i++;
    if (i < n && !(freeze && frozen(net, port)))
        net->frozen[i] = freeze ? port : 0;
    wake_all(env);
}

void tdm_env_sim_net_delay(struct tdm_env *env, uint64_t max_ns)
{
    net_of(env)->delay_ns = max_ns;
}

void env_sim_net_free(struct tdm_env *env)
{
    struct sim_net **at = env_sim_net_slot(env), *net = *at;

    if (net == NULL)
        return;
    for (size_t i = 0; i < net->room; i++) {
        if (net->socks[i] != NULL)
            sock_free(env, net->socks[i]);
    }
    while (net->pollers != NULL) {
        struct tdm_poller *p = net->pollers;
        net->pollers = p->next;
        free(p);
    }
    free(net->socks);
    free(net);
    *at = NULL;
}
