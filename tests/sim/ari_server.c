/* ari_server.c - one thread that polls, reads and answers; tests write events from their own thread.
 *
 * Everything is under one lock. A write blocks, with the lock held, until the peer reads: fine for a
 * test, whose peer is the client under test and always reads. */
#include "ari_server.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PEERS = 64, WAIT_S = 10 };

struct peer {
    int fd; /* -1: free */
    bool ws;
    char *in; /* ends in NUL */
    size_t bytes, room;
};

struct answer {
    struct answer *next;
    char *method, *path, *body;
    int status;
};

struct seen {
    struct seen *next;
    char *method, *target, *body;
    int waits_on; /* fd of a peer that gets its answer later; -1 */
};

struct text {
    struct text *next;
    char *at;
};

struct ari_server {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t news;
    int listener, wake[2];
    uint16_t port;
    _Atomic bool stop;
    int refuse;
    struct peer peer[PEERS];
    int events; /* fd of the newest WebSocket; -1 */
    size_t opened;
    struct answer *answers;
    struct seen *seen;
    struct text *texts;
};

/* ---- writing --------------------------------------------------------------------------------- */

static void put(int fd, const void *bytes, size_t n)
{
    const char *p = bytes;

    while (fd >= 0 && n > 0) {
        const ssize_t done = send(fd, p, n, MSG_NOSIGNAL);

        if (done <= 0)
            return;
        p += done;
        n -= (size_t)done;
    }
}

static void put_frame(int fd, uint8_t op, const char *p, size_t n)
{
    uint8_t head[10] = { (uint8_t)(0x80 | op) };
    size_t bytes = 2;

    if (n < 126) {
        head[1] = (uint8_t)n;
    } else if (n < 65536) {
        head[1] = 126;
        head[2] = (uint8_t)(n >> 8);
        head[3] = (uint8_t)n;
        bytes = 4;
    } else {
        head[1] = 127;
        for (int i = 0; i < 8; i++)
            head[2 + i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
        bytes = 10;
    }
    put(fd, head, bytes);
    put(fd, p, n);
}

static void put_answer(int fd, int status, const char *body)
{
    char head[300];
    const size_t bytes = body != NULL ? strlen(body) : 0;

    snprintf(head, sizeof head,
             "HTTP/1.1 %d Some Words\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n",
             status, status == 401 ? "WWW-Authenticate: Basic realm=\"Asterisk REST Interface\"\r\n" : "",
             bytes);
    put(fd, head, strlen(head));
    put(fd, body, bytes);
}

/* ---- HTTP ------------------------------------------------------------------------------------ */

static const struct answer *answer_for(const struct ari_server *s, const char *method, const char *target)
{
    const size_t path = strcspn(target, "?");

    for (const struct answer *a = s->answers; a != NULL; a = a->next) {
        const size_t n = strlen(a->path);
        const bool below = n > 0 && a->path[n - 1] == '*';

        if (strcmp(a->method, method) != 0)
            continue;
        if (below ? strncmp(a->path, target, n - 1) == 0 : n == path && memcmp(a->path, target, n) == 0)
            return a;
    }
    return NULL;
}

static char *header(const char *in, const char *name)
{
    const size_t n = strlen(name);

    for (const char *line = strstr(in, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':') {
            const char *value = line + 3 + n;

            value += strspn(value, " ");
            return strndup(value, strcspn(value, "\r\n"));
        }
    return strdup("");
}

static void accept_ws(struct ari_server *s, struct peer *p)
{
    char *key = header(p->in, "Sec-WebSocket-Key");
    char text[200], answer[400];
    unsigned char sha[EVP_MAX_MD_SIZE], base64[100];
    unsigned bytes;

    snprintf(text, sizeof text, "%.100s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    EVP_Digest(text, strlen(text), sha, &bytes, EVP_sha1(), NULL);
    EVP_EncodeBlock(base64, sha, (int)bytes);
    snprintf(answer, sizeof answer,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: ari\r\n\r\n",
             (char *)base64);
    put(p->fd, answer, strlen(answer));
    free(key);
    p->ws = true;
    s->events = p->fd;
    s->opened++;
}

static void remember(struct ari_server *s, const char *method, const char *target, const char *body,
                     size_t bytes, int waits_on)
{
    struct seen *seen = calloc(1, sizeof *seen);

    seen->method = strdup(method);
    seen->target = strdup(target);
    seen->body = strndup(body, bytes);
    seen->waits_on = waits_on;
    seen->next = s->seen;
    s->seen = seen;
}

static void answer_request(struct ari_server *s, struct peer *p, const char *method, const char *target,
                           const char *body, size_t body_bytes)
{
    static const char good[] = "Basic dGFuZGVtOnNlY3JldA=="; /* tandem:secret */
    char *auth = header(p->in, "Authorization");
    const bool allowed = strcmp(auth, good) == 0;
    const struct answer *a = answer_for(s, method, target);
    const bool upgrade = strncmp(target, "/ari/events", 11) == 0;

    free(auth);
    remember(s, method, target, body, body_bytes, allowed && a != NULL && a->status == 0 ? p->fd : -1);
    if (!allowed)
        put_answer(p->fd, 401, "{\"message\":\"Authentication required\"}");
    else if (upgrade && s->refuse != 0)
        put_answer(p->fd, s->refuse, "{\"message\":\"refused\"}");
    else if (upgrade)
        accept_ws(s, p);
    else if (a == NULL)
        put_answer(p->fd, 404, "{\"message\":\"Resource not found\"}");
    else if (a->status != 0)
        put_answer(p->fd, a->status, a->body);
}

/* One whole request off the front; false when there is none yet. */
static bool take_request(struct ari_server *s, struct peer *p)
{
    char *end = p->in != NULL ? strstr(p->in, "\r\n\r\n") : NULL;
    char method[16], target[5000];

    if (end == NULL)
        return false;
    end += 4;
    char *length = header(p->in, "Content-Length");
    const size_t body = (size_t)atol(length), head = (size_t)(end - p->in);

    free(length);
    if (p->bytes - head < body)
        return false;
    if (sscanf(p->in, "%15s %4999s", method, target) == 2)
        answer_request(s, p, method, target, end, body);
    memmove(p->in, end + body, p->bytes - head - body + 1);
    p->bytes -= head + body;
    return true;
}

/* ---- frames ---------------------------------------------------------------------------------- */

static void take_text(struct ari_server *s, const char *at, size_t bytes)
{
    struct text *t = calloc(1, sizeof *t);

    t->at = strndup(at, bytes);
    t->next = s->texts;
    s->texts = t;
}

/* One whole frame off the front; false when there is none yet. Masked, never longer than 64 KiB. */
static bool take_frame(struct ari_server *s, struct peer *p)
{
    const uint8_t *in = (const uint8_t *)p->in;
    size_t head = 6, n;

    if (p->bytes < 2)
        return false;
    n = in[1] & 0x7F;
    if (n == 126) {
        head = 8;
        if (p->bytes >= 4)
            n = (size_t)in[2] << 8 | in[3];
    }
    if (p->bytes < head + n)
        return false;
    for (size_t i = 0; i < n; i++)
        p->in[head + i] ^= p->in[head - 4 + i % 4];
    switch (in[0] & 0x0F) {
    case 1:
        take_text(s, p->in + head, n);
        break;
    case 8:
        put_frame(p->fd, 8, p->in + head, n);
        shutdown(p->fd, SHUT_WR);
        break;
    case 9:
        put_frame(p->fd, 10, p->in + head, n);
    }
    memmove(p->in, p->in + head + n, p->bytes - head - n + 1);
    p->bytes -= head + n;
    return true;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void peer_close(struct ari_server *s, struct peer *p)
{
    for (struct seen *seen = s->seen; seen != NULL; seen = seen->next)
        if (seen->waits_on == p->fd)
            seen->waits_on = -1;
    if (s->events == p->fd)
        s->events = -1;
    close(p->fd);
    free(p->in);
    *p = (struct peer){ .fd = -1 };
}

static void peer_read(struct ari_server *s, struct peer *p)
{
    char buf[65536];
    const ssize_t n = recv(p->fd, buf, sizeof buf, 0);

    if (n <= 0) {
        peer_close(s, p);
        return;
    }
    if (p->room < p->bytes + (size_t)n + 1) {
        p->room = (p->bytes + (size_t)n + 1) * 2;
        p->in = realloc(p->in, p->room);
    }
    memcpy(p->in + p->bytes, buf, (size_t)n);
    p->bytes += (size_t)n;
    p->in[p->bytes] = '\0';
    while (p->ws ? take_frame(s, p) : take_request(s, p))
        ;
}

static void peer_new(struct ari_server *s)
{
    const int fd = accept(s->listener, NULL, NULL), one = 1;
    int i = 0;

    while (i < PEERS && s->peer[i].fd >= 0)
        i++;
    if (fd < 0 || i == PEERS) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    s->peer[i] = (struct peer){ .fd = fd };
}

static void *serve(void *arg)
{
    struct ari_server *s = arg;
    struct pollfd set[PEERS + 2];

    while (!s->stop) {
        set[0] = (struct pollfd){ .fd = s->listener, .events = POLLIN };
        set[1] = (struct pollfd){ .fd = s->wake[0], .events = POLLIN };
        pthread_mutex_lock(&s->lock);
        for (int i = 0; i < PEERS; i++)
            set[i + 2] = (struct pollfd){ .fd = s->peer[i].fd, .events = POLLIN };
        pthread_mutex_unlock(&s->lock);
        if (poll(set, PEERS + 2, -1) <= 0)
            continue;
        pthread_mutex_lock(&s->lock);
        if (set[1].revents != 0) {
            char c;

            (void)!read(s->wake[0], &c, 1);
        }
        for (int i = 0; i < PEERS; i++)
            if (set[i + 2].revents != 0 && s->peer[i].fd == set[i + 2].fd && s->peer[i].fd >= 0)
                peer_read(s, &s->peer[i]);
        if (set[0].revents != 0)
            peer_new(s);
        pthread_cond_broadcast(&s->news);
        pthread_mutex_unlock(&s->lock);
    }
    return NULL;
}

/* ---- for tests ------------------------------------------------------------------------------- */

struct ari_server *ari_server_new(void)
{
    struct ari_server *s = calloc(1, sizeof *s);
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t bytes = sizeof addr;

    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->news, NULL);
    for (int i = 0; i < PEERS; i++)
        s->peer[i].fd = -1;
    s->events = -1;
    s->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(s->listener, (struct sockaddr *)&addr, sizeof addr) != 0 || listen(s->listener, 64) != 0 ||
        getsockname(s->listener, (struct sockaddr *)&addr, &bytes) != 0 || pipe(s->wake) != 0)
        abort();
    s->port = ntohs(addr.sin_port);
    ari_server_answer(s, "GET", "/ari/asterisk/info", 200,
                      "{\"system\":{\"version\":\"22.0.0\",\"entity_id\":\"02:00:00:00:00:01\"},"
                      "\"status\":{\"startup_time\":\"2026-11-20T19:00:00.000+0000\"}}");
    ari_server_answer(s, "GET", "/ari/channels", 200, "[]");
    ari_server_answer(s, "POST", "/ari/channels/*", 204, NULL);
    ari_server_answer(s, "DELETE", "/ari/channels/*", 204, NULL);
    ari_server_answer(s, "DELETE", "/ari/playbacks/*", 204, NULL);
    pthread_create(&s->thread, NULL, serve, s);
    return s;
}

static void wake(struct ari_server *s)
{
    (void)!write(s->wake[1], "", 1);
}

void ari_server_free(struct ari_server *s)
{
    s->stop = true;
    wake(s);
    pthread_join(s->thread, NULL);
    for (int i = 0; i < PEERS; i++)
        if (s->peer[i].fd >= 0)
            peer_close(s, &s->peer[i]);
    for (struct answer *a = s->answers, *next; a != NULL; a = next) {
        next = a->next;
        free(a->method);
        free(a->path);
        free(a->body);
        free(a);
    }
    for (struct seen *seen = s->seen, *next; seen != NULL; seen = next) {
        next = seen->next;
        free(seen->method);
        free(seen->target);
        free(seen->body);
        free(seen);
    }
    for (struct text *t = s->texts, *next; t != NULL; t = next) {
        next = t->next;
        free(t->at);
        free(t);
    }
    close(s->listener);
    close(s->wake[0]);
    close(s->wake[1]);
    free(s);
}

uint16_t ari_server_port(const struct ari_server *s)
{
    return s->port;
}

void ari_server_answer(struct ari_server *s, const char *method, const char *path, int status,
                       const char *body)
{
    struct answer *a = calloc(1, sizeof *a);

    a->method = strdup(method);
    a->path = strdup(path);
    a->status = status;
    a->body = body != NULL ? strdup(body) : NULL;
    pthread_mutex_lock(&s->lock);
    a->next = s->answers;
    s->answers = a;
    for (struct seen *seen = s->seen; status != 0 && seen != NULL; seen = seen->next)
        if (seen->waits_on >= 0 && answer_for(s, seen->method, seen->target) == a) {
            put_answer(seen->waits_on, status, body);
            seen->waits_on = -1;
        }
    pthread_mutex_unlock(&s->lock);
}

void ari_server_refuse(struct ari_server *s, int status)
{
    pthread_mutex_lock(&s->lock);
    s->refuse = status;
    pthread_mutex_unlock(&s->lock);
}

static const struct seen *next_seen(const struct seen *from, const char *method, const char *target)
{
    while (from != NULL &&
           (strcmp(from->method, method) != 0 || strncmp(from->target, target, strlen(target)) != 0))
        from = from->next;
    return from;
}

static size_t count_seen(const struct ari_server *s, const char *method, const char *target)
{
    size_t n = 0;

    for (const struct seen *at = next_seen(s->seen, method, target); at != NULL;
         at = next_seen(at->next, method, target))
        n++;
    return n;
}

size_t ari_server_requests(struct ari_server *s, const char *method, const char *target)
{
    pthread_mutex_lock(&s->lock);
    const size_t n = count_seen(s, method, target);
    pthread_mutex_unlock(&s->lock);

    return n;
}

/* Wait for news until the deadline; false when it has passed. */
static bool wait_news(struct ari_server *s, const struct timespec *until)
{
    return pthread_cond_timedwait(&s->news, &s->lock, until) == 0;
}

static struct timespec deadline(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += WAIT_S;
    return t;
}

bool ari_server_wait_request(struct ari_server *s, const char *method, const char *target, size_t count)
{
    const struct timespec until = deadline();
    bool in_time = true;

    pthread_mutex_lock(&s->lock);
    while (in_time && count_seen(s, method, target) < count)
        in_time = wait_news(s, &until);
    const bool enough = count_seen(s, method, target) >= count;
    pthread_mutex_unlock(&s->lock);
    return enough;
}

bool ari_server_last(struct ari_server *s, const char *method, const char *target, char *got,
                     size_t got_bytes, char *body, size_t body_bytes)
{
    pthread_mutex_lock(&s->lock);
    const struct seen *seen = next_seen(s->seen, method, target);

    if (seen != NULL) {
        snprintf(got, got_bytes, "%s", seen->target);
        snprintf(body, body_bytes, "%s", seen->body);
    }
    pthread_mutex_unlock(&s->lock);
    return seen != NULL;
}

bool ari_server_wait_open(struct ari_server *s, size_t count)
{
    const struct timespec until = deadline();
    bool in_time = true;

    pthread_mutex_lock(&s->lock);
    while (in_time && s->opened < count)
        in_time = wait_news(s, &until);
    const bool enough = s->opened >= count;
    pthread_mutex_unlock(&s->lock);
    return enough;
}

size_t ari_server_opened(struct ari_server *s)
{
    pthread_mutex_lock(&s->lock);
    const size_t n = s->opened;
    pthread_mutex_unlock(&s->lock);

    return n;
}

void ari_server_send(struct ari_server *s, const char *text, size_t bytes)
{
    pthread_mutex_lock(&s->lock);
    put_frame(s->events, 1, text, bytes);
    pthread_mutex_unlock(&s->lock);
}

void ari_server_send_raw(struct ari_server *s, const void *bytes, size_t n)
{
    pthread_mutex_lock(&s->lock);
    put(s->events, bytes, n);
    pthread_mutex_unlock(&s->lock);
}

void ari_server_drop(struct ari_server *s)
{
    pthread_mutex_lock(&s->lock);
    if (s->events >= 0)
        shutdown(s->events, SHUT_RDWR);
    pthread_mutex_unlock(&s->lock);
}

bool ari_server_wait_text(struct ari_server *s, const char *words, char *got, size_t got_bytes)
{
    const struct timespec until = deadline();
    const struct text *t = NULL;
    bool in_time = true;

    pthread_mutex_lock(&s->lock);
    while (t == NULL && in_time) {
        for (t = s->texts; t != NULL && strstr(t->at, words) == NULL;)
            t = t->next;
        if (t == NULL)
            in_time = wait_news(s, &until);
    }
    if (t != NULL)
        snprintf(got, got_bytes, "%s", t->at);
    pthread_mutex_unlock(&s->lock);
    return t != NULL;
}
