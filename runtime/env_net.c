/* env_net.c - sockets and readiness of the real environment: Linux TCP, epoll and an eventfd.
 *
 * Every function is a thin coat over one system call: errno becomes the result, EINTR is retried, and a
 * write to a closed peer is an error, never SIGPIPE. Nothing here keeps state but the poller. Touched
 * by the I/O thread, except poller_wake (any) and resolve (a thread made for it). */
#include "env_net.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tandem/err.h"

enum { LISTEN_BACKLOG = 1024, WAIT_MAX = 256 };

struct tdm_poller {
    int epoll_fd;
    int wake_fd; /* an eventfd in the set with a NULL udata */
};

static void set_option(int fd, int level, int name)
{
    int one = 1;
    /* Best effort: without the option the socket still works. */
    (void)setsockopt(fd, level, name, &one, sizeof one);
}

int env_net_connect(struct tdm_env *env, const struct sockaddr *addr, socklen_t bytes)
{
    int err, fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    (void)env;
    if (fd < 0)
        return -errno;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE);
    if (connect(fd, addr, bytes) == 0 || errno == EINPROGRESS || errno == EINTR)
        return fd;
    err = -errno;
    close(fd);
    return err;
}

int env_net_listen(struct tdm_env *env, const struct sockaddr *addr, socklen_t bytes)
{
    int err, fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    (void)env;
    if (fd < 0)
        return -errno;
    set_option(fd, SOL_SOCKET, SO_REUSEADDR);
    if (bind(fd, addr, bytes) == 0 && listen(fd, LISTEN_BACKLOG) == 0)
        return fd;
    err = -errno;
    close(fd);
    return err;
}

int env_net_accept(struct tdm_env *env, int fd)
{
    int got;

    (void)env;
    do
        got = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (got < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (got < 0)
        return -errno;
    set_option(got, IPPROTO_TCP, TCP_NODELAY);
    set_option(got, SOL_SOCKET, SO_KEEPALIVE);
    return got;
}

int env_net_port(struct tdm_env *env, int fd)
{
    struct sockaddr_storage at = { 0 };
    socklen_t bytes = sizeof at;

    (void)env;
    if (getsockname(fd, (struct sockaddr *)&at, &bytes) != 0)
        return -errno;
    if (at.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&at)->sin_port);
    if (at.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&at)->sin6_port);
    return 0;
}

int env_net_error(struct tdm_env *env, int fd)
{
    int err = 0;
    socklen_t bytes = sizeof err;

    (void)env;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &bytes) != 0)
        return -errno;
    return -err;
}

ssize_t env_net_read(struct tdm_env *env, int fd, void *buf, size_t bytes)
{
    ssize_t n;

    (void)env;
    do
        n = recv(fd, buf, bytes, 0);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

ssize_t env_net_writev(struct tdm_env *env, int fd, const struct iovec *iov, int count)
{
    struct msghdr m = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count };
    ssize_t n;

    (void)env;
    do
        n = sendmsg(fd, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

void env_net_close(struct tdm_env *env, int fd, bool abort)
{
    struct linger reset = { .l_onoff = 1, .l_linger = 0 };

    (void)env;
    if (abort)
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
}

/* ---- the poller ------------------------------------------------------------------------------ */

int env_net_poller_new(struct tdm_env *env, struct tdm_poller **ret)
{
    struct epoll_event wake = { .events = EPOLLIN };
    struct tdm_poller *p = env->alloc(env, sizeof *p);
    int err;

    if (p == NULL)
        return TDM_ENOMEM;
    p->wake_fd = -1;
    p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (p->epoll_fd < 0)
        goto fail;
    p->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (p->wake_fd < 0 || epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->wake_fd, &wake) != 0)
        goto fail;
    *ret = p;
    return TDM_OK;
fail:
    err = -errno;
    env_net_poller_free(env, p);
    return err;
}

void env_net_poller_free(struct tdm_env *env, struct tdm_poller *p)
{
    if (p == NULL)
        return;
    if (p->wake_fd >= 0)
        close(p->wake_fd);
    if (p->epoll_fd >= 0)
        close(p->epoll_fd);
    env->free(env, p, sizeof *p);
}

int env_net_poller_set(struct tdm_env *env, struct tdm_poller *p, int fd, uint32_t events, void *udata)
{
    struct epoll_event e = { .data.ptr = udata };

    (void)env;
    if (events == 0)
        return epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, fd, &e) == 0 || errno == ENOENT ? TDM_OK : -errno;
    if (events & TDM_POLL_READ)
        e.events |= EPOLLIN | EPOLLRDHUP;
    if (events & TDM_POLL_WRITE)
        e.events |= EPOLLOUT;
    /* A change is more frequent than a first time: one connection is added once. */
    if (epoll_ctl(p->epoll_fd, EPOLL_CTL_MOD, fd, &e) == 0)
        return TDM_OK;
    if (errno == ENOENT && epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0)
        return TDM_OK;
    return -errno;
}

/* Milliseconds until the deadline, rounded up so that we never wake just before it. */
static int wait_ms(struct tdm_env *env, uint64_t deadline_ns)
{
    uint64_t now, ms;

    if (deadline_ns == TDM_FOREVER)
        return -1;
    now = env->now_ns(env);
    if (deadline_ns <= now)
        return 0;
    ms = (deadline_ns - now + 999999) / 1000000;
    return ms > 3600000 ? 3600000 : (int)ms;
}

static uint32_t events_of(uint32_t e)
{
    return (e & EPOLLIN ? TDM_POLL_READ : 0) | (e & EPOLLOUT ? TDM_POLL_WRITE : 0) |
           (e & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) ? TDM_POLL_HANGUP : 0);
}

int env_net_poller_wait(struct tdm_env *env, struct tdm_poller *p, struct tdm_poll_event *out, int max,
                        uint64_t deadline_ns)
{
    struct epoll_event got[WAIT_MAX];
    int count = 0;
    int n = epoll_wait(p->epoll_fd, got, max < WAIT_MAX ? max : WAIT_MAX, wait_ms(env, deadline_ns));

    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < n; i++) {
        if (got[i].data.ptr == NULL) {
            uint64_t wakes;
            if (read(p->wake_fd, &wakes, sizeof wakes) < 0)
                continue; /* somebody else's read emptied it: woken all the same */
            continue;
        }
        out[count].udata = got[i].data.ptr;
        out[count++].events = events_of(got[i].events);
    }
    return count;
}

void env_net_poller_wake(struct tdm_env *env, struct tdm_poller *p)
{
    uint64_t one = 1;

    (void)env;
    /* Fails only when the counter is full, and then a wake is under way. */
    if (write(p->wake_fd, &one, sizeof one) < 0)
        return;
}

/* ---- names ----------------------------------------------------------------------------------- */

int env_net_resolve(struct tdm_env *env, const char *host, uint16_t port, struct sockaddr_storage *out,
                    int max)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *list = NULL;
    char service[8];
    int n = 0, err;

    (void)env;
    snprintf(service, sizeof service, "%u", port);
    err = getaddrinfo(host, service, &hints, &list);
    if (err == EAI_MEMORY)
        return TDM_ENOMEM;
    if (err != 0)
        return err == EAI_NONAME || err == EAI_NODATA ? TDM_ENOTFOUND : TDM_ECONN;
    for (struct addrinfo *a = list; a != NULL && n < max; a = a->ai_next) {
        if (a->ai_addrlen <= sizeof *out)
            memcpy(&out[n++], a->ai_addr, a->ai_addrlen);
    }
    freeaddrinfo(list);
    return n > 0 ? n : TDM_ENOTFOUND;
}
