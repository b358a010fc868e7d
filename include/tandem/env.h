/* env.h - everything a runtime wants from the outside world, behind one table.
 *
 * Clock, randomness, memory, threads and sockets are reached only through a `struct tdm_env`.
 * The real one (tdm_env_real) calls Linux. The deterministic one (tdm_env_sim_new) runs all
 * of a runtime's threads as coroutines of one thread: a seed decides who runs next, time is
 * virtual and moves only when everybody waits, sockets are queues in memory. The same source
 * files run on both, and the same seed gives the same run.
 *
 * Embedders pass a table of their own only to replace single functions (an allocator that
 * fails, a clock that jumps): copy the real one and change a field. */
#ifndef TANDEM_ENV_H
#define TANDEM_ENV_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

struct tdm_env;
struct tdm_thread; /* one OS thread, or one coroutine of the deterministic environment */
struct tdm_poller; /* a set of sockets to wait on, and a way to be woken */

#define TDM_FOREVER UINT64_MAX /* a deadline that never comes */

/* One thread waits on a parker, any other may wake it. A wake that comes first is kept (one,
 * not a count): the next park returns at once. Zero-initialise. Source: Rust's thread::park. */
struct tdm_parker {
    _Atomic uint32_t word;
    void *waiter; /* the deterministic environment's */
};

enum { TDM_POLL_READ = 1, TDM_POLL_WRITE = 2, TDM_POLL_HANGUP = 4 };

struct tdm_poll_event {
    void *udata;
    uint32_t events; /* TDM_POLL_*; HANGUP also covers errors: read to learn which */
};

struct tdm_env {
    const char *name; /* "real", "sim" */

    /* Nanoseconds of a clock that never steps, and of the wall clock since 1970. */
    uint64_t (*now_ns)(struct tdm_env *env);
    uint64_t (*wall_ns)(struct tdm_env *env);

    /* 64 random bits; good enough for jitter, ids and keys, not a cipher. Threads: any. */
    uint64_t (*random)(struct tdm_env *env);

    /* Memory, aligned for any object, not zeroed; NULL when there is none. `bytes` is told
     * again at free. Threads: any. */
    void *(*alloc)(struct tdm_env *env, size_t bytes);
    void (*free)(struct tdm_env *env, void *p, size_t bytes);

    /* Start fn(arg) on a thread of its own; join waits for its end and frees it. */
    int (*thread_start)(struct tdm_env *env, struct tdm_thread **ret, const char *name, void (*fn)(void *arg),
                        void *arg);
    void (*thread_join)(struct tdm_env *env, struct tdm_thread *t);

    /* Which thread (or coroutine) this is; NULL: the OS's own identity will do. */
    uint64_t (*thread_identity)(struct tdm_env *env);

    /* Wait for an unpark or the deadline (absolute, now_ns; TDM_FOREVER). May return early.
     * unpark: threads any; never blocks. */
    void (*park)(struct tdm_env *env, struct tdm_parker *p, uint64_t deadline_ns);
    void (*unpark)(struct tdm_env *env, struct tdm_parker *p);

    /* Stream sockets, always non-blocking, close-on-exec, TCP_NODELAY. Results are >= 0 or a
     * negated errno; -EAGAIN means not now. connect returns at once: the poller says WRITE
     * when it is settled, then sock_error tells how (0 or a negated errno).
     * listen: port 0 picks a free one, sock_port tells which. */
    int (*sock_connect)(struct tdm_env *env, const struct sockaddr *addr, socklen_t bytes);
    int (*sock_listen)(struct tdm_env *env, const struct sockaddr *addr, socklen_t bytes);
    int (*sock_accept)(struct tdm_env *env, int fd);
    int (*sock_port)(struct tdm_env *env, int fd);
    int (*sock_error)(struct tdm_env *env, int fd);
    ssize_t (*sock_read)(struct tdm_env *env, int fd, void *buf, size_t bytes);
    ssize_t (*sock_writev)(struct tdm_env *env, int fd, const struct iovec *iov, int count);
    /* abort: the peer sees a reset instead of an end of stream. */
    void (*sock_close)(struct tdm_env *env, int fd, bool abort);

    /* Level-triggered readiness. set: events 0 forgets the socket (do it before closing it).
     * wait returns the number of events, 0 on wake or deadline. wake: any thread. */
    int (*poller_new)(struct tdm_env *env, struct tdm_poller **ret);
    void (*poller_free)(struct tdm_env *env, struct tdm_poller *p);
    int (*poller_set)(struct tdm_env *env, struct tdm_poller *p, int fd, uint32_t events, void *udata);
    int (*poller_wait)(struct tdm_env *env, struct tdm_poller *p, struct tdm_poll_event *out, int max,
                       uint64_t deadline_ns);
    void (*poller_wake)(struct tdm_env *env, struct tdm_poller *p);

    /* Name or literal to addresses; blocks, so it is called on a thread made for it.
     * Returns the number of addresses written, or a negative error. */
    int (*resolve)(struct tdm_env *env, const char *host, uint16_t port, struct sockaddr_storage *out,
                   int max);

    /* A place where another thread could come in between. Nothing in the real environment;
     * the deterministic one may switch coroutines here. NULL when there is nothing to do. */
    void (*point)(struct tdm_env *env, const char *where);
};

/* The process's own environment. Static; never freed. */
struct tdm_env *tdm_env_real(void);

/* A deterministic world. Everything that happens in it follows from `seed`.
 * tdm_env_sim_run: run `fn(arg)` as the first coroutine, and all threads that come of it, until
 * every one has ended. Returns TDM_OK, or TDM_ESTUCK when all wait and no deadline is left (a
 * deadlock). tdm_env_sim_hash: a digest of every scheduling choice and noted fact so far; equal
 * seeds give equal digests. tdm_env_sim_note adds a fact to it. */
int tdm_env_sim_new(struct tdm_env **ret, uint64_t seed);
void tdm_env_sim_free(struct tdm_env *env);
int tdm_env_sim_run(struct tdm_env *env, void (*fn)(void *arg), void *arg);
uint64_t tdm_env_sim_hash(const struct tdm_env *env);
void tdm_env_sim_note(struct tdm_env *env, const void *fact, size_t bytes);

/* Move the virtual wall clock by `ns` (it may go back); the monotonic one is not touched. */
void tdm_env_sim_step_wall(struct tdm_env *env, int64_t ns);

/* Make allocation number `nth` from now (1 is the next) fail, once or from there on;
 * 0 ends it. Returns how many allocations there have been since the last call. */
uint64_t tdm_env_sim_fail_alloc(struct tdm_env *env, uint64_t nth, bool from_there_on);

/* The simulated network. Any name resolves to this machine, except those that end in ".invalid".
 *
 * tdm_env_sim_fail_sock: make socket call number `nth` from now (1 is the next) fail with `err`, a negated
 * errno; 0 ends it. Returns how many calls there have been since the last time.
 * tdm_env_sim_net_cut: reset all connections to `port`, at both ends; 0: all there are.
 * tdm_env_sim_net_freeze: nothing arrives across connections to `port`, and nobody is told, until it thaws.
 * At most 8 ports at a time.
 * tdm_env_sim_net_delay: how long bytes may be under way; default one millisecond, 0: they arrive at once. */
uint64_t tdm_env_sim_fail_sock(struct tdm_env *env, uint64_t nth, int err);
void tdm_env_sim_net_cut(struct tdm_env *env, uint16_t port);
void tdm_env_sim_net_freeze(struct tdm_env *env, uint16_t port, bool freeze);
void tdm_env_sim_net_delay(struct tdm_env *env, uint64_t max_ns);

/* The kinds of socket calls, for faults that suit them. */
enum tdm_sim_call {
    TDM_SIM_CONNECT,
    TDM_SIM_LISTEN,
    TDM_SIM_PORT,
    TDM_SIM_ACCEPT,
    TDM_SIM_ERROR,
    TDM_SIM_READ,
    TDM_SIM_WRITE,
    TDM_SIM_POLLER, /* poller_new */
    TDM_SIM_WATCH,  /* poller_set, but to forget a socket, which always works */
    TDM_SIM_RESOLVE,
    TDM_SIM_CALLS,
};

#define TDM_SIM_SHORT 1 /* in place of an errno: a read or write moves one byte */

/* Socket call number `nth` from now fails as its kind does here, and then the next calls of that kind, `times` in all
 * (0: 1). err 0: calls of that kind do not fail. Returns how many calls there have been since the last fault was set, and
 * what had failed of it (TDM_SIM_CALLS: nothing). NULL ends it. */
struct tdm_sim_fault {
    uint64_t nth, times;
    int err[TDM_SIM_CALLS];
};
uint64_t tdm_env_sim_fault(struct tdm_env *env, const struct tdm_sim_fault *fault, enum tdm_sim_call *hit);

/* Sockets that are open now. A connection that was never accepted is its listener's. */
size_t tdm_env_sim_sockets(struct tdm_env *env);

#endif
