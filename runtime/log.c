/* log.c - the way of a record from any thread to the one log.
 *
 * Idea:      a record becomes a finished line on its own thread's stack and is copied into a ring of
 *            bytes. One thread, started with the first record, empties the ring into the file: so a
 *            stalled terminal or pipe stalls that thread and nobody else. When the ring is full the
 *            record is dropped and counted, and a `log.dropped` record tells the number later.
 * Invariant: the ring between `tail` and `head` holds records, each with a header that is zero until the
 *            record is complete; all other bytes of the ring are zero.
 * Touched by: `head` any thread; `tail`, `pending` and the output only who holds `draining`.
 * The process has one log, however many runtimes it has; hence the static state, and a thread of the
 * system instead of one from an environment. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "log_line.h"

#define RING_BYTES (1u << 20)
#define OUT_BYTES  (16u * 1024)
#define FLUSH_MS   2000

/* A header says how many bytes follow it, in units that leave zero for "not complete yet". */
#define HEADER_BYTES 8u
#define HEADER_READY 1u
#define HEADER_PAD   2u /* nothing but room that was too small, up to the end of the ring */
#define HEADER_SHIFT 2u

static struct {
    /* written by any thread that logs */
    alignas(64) _Atomic uint64_t head;
    _Atomic uint64_t published; /* records completed; a drain that saw them all may rest */
    alignas(64) _Atomic uint64_t dropped;
    /* written by who holds `draining` */
    alignas(64) _Atomic uint32_t draining;
    _Atomic uint64_t tail;
    _Atomic uint64_t written; /* all before this place has left the process */
    char out[OUT_BYTES];
    size_t pending; /* bytes in out[] */
    int fd;
    void (*sink)(void *ctx, const char *line, size_t bytes);
    void *sink_ctx;
    /* set by tdm_log_configure, read by anyone; each is a value of its own, so relaxed is enough */
    alignas(64) _Atomic int level;
    _Atomic int format;
    _Atomic int shown_fd; /* as fd, for who asks whether it is a terminal */
    _Atomic bool to_sink;
    alignas(64) char ring[RING_BYTES];
} lg = { .level = TDM_LOG_INFO, .format = TDM_LOG_LOGFMT, .shown_fd = 2, .fd = 2 };

static _Atomic(bool (*)(uint64_t *, const char **)) actor_context;
static _Atomic(uint64_t (*)(void)) wall_clock;

enum { WRITER_NONE, WRITER_STARTING, WRITER_RUNS, WRITER_FAILED };
static struct {
    _Atomic int state;
    _Atomic bool called; /* a post is on its way; spares the system call of a second one */
    sem_t work;
} writer;

/* -- the ring ------------------------------------------------------------------------------------ */

static _Atomic uint32_t *header_at(uint64_t place)
{
    return (_Atomic uint32_t *)(void *)&lg.ring[place & (RING_BYTES - 1)];
}

/* Take room for a record; returns its place, UINT64_MAX when there is none. Partner of the acquire:
 * drain_record(), whose release of `tail` says that the bytes before it are zero again. */
static uint64_t ring_reserve(uint32_t bytes)
{
    uint64_t need = HEADER_BYTES + ((bytes + 7u) & ~7u), to_end, take;
    uint64_t head = atomic_load_explicit(&lg.head, memory_order_relaxed);

    do {
        to_end = RING_BYTES - (head & (RING_BYTES - 1));
        take = need <= to_end ? need : to_end + need;
        if (head + take > atomic_load_explicit(&lg.tail, memory_order_acquire) + RING_BYTES)
            return UINT64_MAX;
        /* relaxed: claims the room only; the header publishes what is put there */
    } while (!atomic_compare_exchange_weak_explicit(&lg.head, &head, head + take, memory_order_relaxed,
                                                    memory_order_relaxed));
    if (take == need)
        return head;
    uint32_t pad = (uint32_t)(to_end - HEADER_BYTES) << HEADER_SHIFT | HEADER_PAD | HEADER_READY;
    atomic_store_explicit(header_at(head), pad, memory_order_release);
    return head + to_end;
}

static bool ring_put(const char *line, uint32_t bytes)
{
    uint64_t place = ring_reserve(bytes);

    if (place == UINT64_MAX)
        return false;
    memcpy(&lg.ring[(place & (RING_BYTES - 1)) + HEADER_BYTES], line, bytes);
    /* release: the line is complete for whoever reads the header. Partner: drain_record(). */
    atomic_store_explicit(header_at(place), bytes << HEADER_SHIFT | HEADER_READY, memory_order_release);
    atomic_fetch_add_explicit(&lg.published, 1, memory_order_release);
    return true;
}

/* -- output: only who holds `draining` ----------------------------------------------------------- */

/* Write all of out[]. A file that cannot be written loses it: there is nobody left to tell. */
static void out_flush(void)
{
    size_t done = 0;

    while (done < lg.pending) {
        ssize_t n = write(lg.fd, lg.out + done, lg.pending - done);
        if (n > 0)
            done += (size_t)n;
        else if (n < 0 && errno == EAGAIN)
            poll(&(struct pollfd){ .fd = lg.fd, .events = POLLOUT }, 1, -1);
        else if (n == 0 || errno != EINTR)
            break;
    }
    lg.pending = 0;
}

static void out_line(const char *line, size_t bytes)
{
    if (lg.sink != NULL) {
        lg.sink(lg.sink_ctx, line, bytes - 1);
        return;
    }
    if (lg.pending + bytes > OUT_BYTES)
        out_flush();
    memcpy(lg.out + lg.pending, line, bytes);
    lg.pending += bytes;
}

static uint64_t wall_ns(void)
{
    uint64_t (*fn)(void) = atomic_load_explicit(&wall_clock, memory_order_acquire);
    struct timespec ts;

    if (fn != NULL)
        return fn();
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void out_dropped(void)
{
    /* relaxed: a number, not a hand-off */
    uint64_t n = atomic_exchange_explicit(&lg.dropped, 0, memory_order_relaxed);
    char facts[48], line[256];

    if (n == 0)
        return;
    struct log_record r = {
        .wall_ns = wall_ns(), .level = TDM_LOG_WARN, .event = "log.dropped", .facts = facts
    };
    r.facts_bytes = (size_t)snprintf(facts, sizeof facts, "count=%llu", (unsigned long long)n);
    enum tdm_log_format format = (enum tdm_log_format)atomic_load_explicit(&lg.format, memory_order_relaxed);
    out_line(line, log_line_make(line, sizeof line, format, &r));
}

/* Move one record from the ring to the output; false when there is no complete one. */
static bool drain_record(void)
{
    uint64_t tail = atomic_load_explicit(&lg.tail, memory_order_relaxed); /* ours while we drain */
    uint32_t header = atomic_load_explicit(header_at(tail), memory_order_acquire);
    uint32_t bytes = header >> HEADER_SHIFT, room = (bytes + 7u) & ~7u;
    char *text = &lg.ring[(tail & (RING_BYTES - 1)) + HEADER_BYTES];

    if (header == 0)
        return false;
    if ((header & HEADER_PAD) == 0)
        out_line(text, bytes);
    memset(text, 0, room);
    atomic_store_explicit(header_at(tail), 0, memory_order_relaxed); /* the next line publishes it */
    atomic_store_explicit(&lg.tail, tail + HEADER_BYTES + room, memory_order_release);
    return true;
}

static void drain_all(void)
{
    while (drain_record())
        ;
    out_dropped();
    out_flush();
    atomic_store_explicit(&lg.written, atomic_load_explicit(&lg.tail, memory_order_relaxed),
                          memory_order_release);
}

/* Empty the ring, unless somebody is at it. Nothing is left behind: a thread that publishes and finds
 * `draining` taken exchanges it before the holder does, and that exchange (acquire) shows the holder the
 * publication, so it looks again. */
static void drain(void)
{
    uint64_t seen;

    do {
        seen = atomic_load_explicit(&lg.published, memory_order_acquire);
        if (atomic_exchange_explicit(&lg.draining, 1, memory_order_acq_rel) != 0)
            return;
        drain_all();
        atomic_exchange_explicit(&lg.draining, 0, memory_order_acq_rel);
    } while (atomic_load_explicit(&lg.published, memory_order_acquire) != seen);
}

static void rest_a_moment(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
}

/* Take `draining` for something else than draining; false when it stays taken for `ms`. */
static bool draining_take(uint32_t ms)
{
    for (uint32_t i = 0; i <= ms * 10; i++) {
        if (atomic_exchange_explicit(&lg.draining, 1, memory_order_acq_rel) == 0)
            return true;
        rest_a_moment();
    }
    return false;
}

static void draining_give(void)
{
    atomic_exchange_explicit(&lg.draining, 0, memory_order_acq_rel);
}

/* -- the writer ---------------------------------------------------------------------------------- */

static void *writer_main(void *arg)
{
    for (;;) {
        while (sem_wait(&writer.work) != 0)
            ; /* interrupted */
        /* acq_rel: who finds `called` still set has published before our drain looks */
        atomic_exchange_explicit(&writer.called, false, memory_order_acq_rel);
        drain();
    }
    return arg;
}

/* A forked child has no writer and must not repeat the parent's records. */
static void after_fork_in_child(void)
{
    memset(lg.ring, 0, sizeof lg.ring);
    atomic_store(&lg.tail, atomic_load(&lg.head));
    atomic_store(&lg.written, atomic_load(&lg.head));
    lg.pending = 0;
    atomic_store(&lg.draining, 0);
    atomic_store(&writer.called, false);
    atomic_store(&writer.state, WRITER_NONE);
}

static void register_fork_handler(void)
{
    pthread_atfork(NULL, NULL, after_fork_in_child);
}

/* All signals stay with the threads they are meant for. */
static int writer_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, old;

    pthread_once(&once, register_fork_handler);
    if (sem_init(&writer.work, 0, 0) != 0 || pthread_attr_init(&attr) != 0)
        return -1;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int err = pthread_create(&thread, &attr, writer_main, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return err;
}

static void writer_call(void)
{
    int state = atomic_load_explicit(&writer.state, memory_order_acquire);

    if (state == WRITER_NONE && atomic_compare_exchange_strong(&writer.state, &state, WRITER_STARTING)) {
        state = writer_start() == 0 ? WRITER_RUNS : WRITER_FAILED;
        atomic_store_explicit(&writer.state, state, memory_order_release);
    }
    if (state == WRITER_FAILED) /* better slow than silent */
        drain();
    /* while another thread starts it: that one calls it, after our publication or before its drain */
    if (state == WRITER_RUNS && !atomic_exchange_explicit(&writer.called, true, memory_order_acq_rel))
        sem_post(&writer.work);
}

/* -- records ------------------------------------------------------------------------------------- */

enum tdm_log_level tdm_log_level(void)
{
    return (enum tdm_log_level)atomic_load_explicit(&lg.level, memory_order_relaxed);
}

void log_set_actor_context(bool (*fn)(uint64_t *pid, const char **tag))
{
    atomic_store_explicit(&actor_context, fn, memory_order_release);
}

void log_set_clock(uint64_t (*fn)(void))
{
    atomic_store_explicit(&wall_clock, fn, memory_order_release);
}

void log_put(const char *line, size_t bytes)
{
    if (!ring_put(line, (uint32_t)bytes))
        atomic_fetch_add_explicit(&lg.dropped, 1, memory_order_relaxed);
    if (atomic_load_explicit(&lg.to_sink, memory_order_relaxed))
        drain();
    else
        writer_call();
}

void log_record_begin(struct log_record *r, enum tdm_log_level level, const char *event)
{
    bool (*context)(uint64_t *, const char **) = atomic_load_explicit(&actor_context, memory_order_acquire);

    *r = (struct log_record){ .level = level, .event = event, .facts = "" };
    r->has_actor = context != NULL && context(&r->pid, &r->tag);
    r->wall_ns = wall_ns();
}

enum log_shape log_shape(enum tdm_log_format *format)
{
    int saved = errno;
    const char *plain = getenv("NO_COLOR"); /* no-color.org */

    *format = (enum tdm_log_format)atomic_load_explicit(&lg.format, memory_order_relaxed);
    bool terminal = *format == TDM_LOG_LOGFMT && !atomic_load_explicit(&lg.to_sink, memory_order_relaxed) &&
                    isatty(atomic_load_explicit(&lg.shown_fd, memory_order_relaxed));
    errno = saved;
    return !terminal                           ? LOG_SHAPE_LINE
           : plain != NULL && plain[0] != '\0' ? LOG_SHAPE_BLOCK
                                               : LOG_SHAPE_COLOUR;
}

void tdm_logv(enum tdm_log_level level, const char *event, const char *format, va_list args)
{
    char facts[LOG_FACTS_MAX], line[LOG_LINE_MAX];
    struct log_record r;

    if (level < tdm_log_level() || level >= TDM_LOG_OFF)
        return;
    int saved = errno; /* logging between a failure and the look at errno is common */
    log_record_begin(&r, level, event);
    int n = vsnprintf(facts, sizeof facts, format, args);
    r.facts = facts;
    r.cut = n >= (int)sizeof facts;
    r.facts_bytes = n < 0 ? 0 : r.cut ? sizeof facts - 1 : (size_t)n;
    r.facts_bytes = log_hide_secrets(facts, r.facts_bytes, r.cut);
    enum tdm_log_format shape = (enum tdm_log_format)atomic_load_explicit(&lg.format, memory_order_relaxed);
    log_put(line, log_line_make(line, sizeof line, shape, &r));
    errno = saved;
}

void tdm_log(enum tdm_log_level level, const char *event, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tdm_logv(level, event, format, args);
    va_end(args);
}

void log_direct(enum tdm_log_level level, const char *event, const char *format, ...)
{
    char facts[LOG_FACTS_MAX], line[LOG_LINE_MAX];
    struct log_record r;
    va_list args;

    if (level < tdm_log_level())
        return;
    log_record_begin(&r, level, event);
    va_start(args, format);
    int n = vsnprintf(facts, sizeof facts, format, args);
    va_end(args);
    r.facts = facts;
    r.cut = n >= (int)sizeof facts;
    r.facts_bytes = n < 0 ? 0 : r.cut ? sizeof facts - 1 : (size_t)n;
    enum tdm_log_format shape = (enum tdm_log_format)atomic_load_explicit(&lg.format, memory_order_relaxed);
    size_t bytes = log_line_make(line, sizeof line, shape, &r);
    /* a pipe that says it is ready takes a line of this length at once */
    if (poll(&(struct pollfd){ .fd = lg.fd, .events = POLLOUT }, 1, 200) == 1 &&
        write(lg.fd, line, bytes) < 0)
        return; /* nobody is left to tell */
}

/* -- limits -------------------------------------------------------------------------------------- */

/* Exact when calls come one after the other; when they race, one or two more may be left out, and
 * each is either passed or counted. Relaxed everywhere: numbers, no hand-off. */
bool tdm_log_limit(struct tdm_log_limiter *l, uint64_t now_ns, uint32_t burst, uint64_t pause_ns,
                   uint64_t *left_out)
{
    uint64_t until = atomic_load_explicit(&l->paused_until_ns, memory_order_relaxed);

    if (until != 0 && now_ns >= until &&
        atomic_compare_exchange_strong_explicit(&l->paused_until_ns, &until, 0, memory_order_relaxed,
                                                memory_order_relaxed)) {
        atomic_store_explicit(&l->passed, 0, memory_order_relaxed);
        until = 0;
    }
    uint32_t n = until != 0 ? UINT32_MAX : atomic_fetch_add_explicit(&l->passed, 1, memory_order_relaxed) + 1;
    if (n > burst) {
        atomic_fetch_add_explicit(&l->left_out, 1, memory_order_relaxed);
        return false;
    }
    if (n == burst)
        atomic_store_explicit(&l->paused_until_ns, now_ns + pause_ns, memory_order_relaxed);
    *left_out = atomic_exchange_explicit(&l->left_out, 0, memory_order_relaxed);
    return true;
}

/* -- configuration and end ----------------------------------------------------------------------- */

void tdm_log_configure(const struct tdm_log_cfg *cfg)
{
    static const struct tdm_log_cfg defaults;

    cfg = cfg == NULL ? &defaults : cfg;
    tdm_log_flush();
    bool taken = draining_take(FLUSH_MS);
    lg.fd = cfg->fd == 0 ? 2 : cfg->fd;
    atomic_store_explicit(&lg.shown_fd, lg.fd, memory_order_relaxed);
    lg.sink = cfg->sink;
    lg.sink_ctx = cfg->sink_ctx;
    atomic_store_explicit(&lg.to_sink, cfg->sink != NULL, memory_order_relaxed);
    atomic_store_explicit(&lg.format, cfg->format, memory_order_relaxed);
    atomic_store_explicit(&lg.level, cfg->level == 0 ? TDM_LOG_INFO : cfg->level, memory_order_relaxed);
    if (taken)
        draining_give();
}

void tdm_log_flush(void)
{
    uint64_t target = atomic_load_explicit(&lg.head, memory_order_acquire);

    for (uint32_t i = 0; i < FLUSH_MS * 10; i++) {
        drain();
        if (atomic_load_explicit(&lg.written, memory_order_acquire) >= target)
            return;
        rest_a_moment();
    }
}

__attribute__((destructor)) static void log_at_exit(void)
{
    tdm_log_flush();
}

void log_emergency(const char *text)
{
    if (draining_take(100)) {
        if (lg.sink == NULL) /* a sink is no code for signal handlers */
            drain_all();
        lg.pending = 0;
    }
    int fd = lg.sink == NULL ? lg.fd : 2;
    if (write(fd, text, strlen(text)) < 0 || write(fd, "\n", 1) < 0)
        return;
}
