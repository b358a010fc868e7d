/* loop.c - one thread that owns all sockets of a runtime, and the door through which others ask it.
 *
 * Idea:      everything about a connection is touched by the loop alone, so it needs no locks. Other
 *            threads hand it commands; it hands results to actors as messages. A round is: wait, read
 *            what is readable, fire deadlines, run commands, write. Because writing comes last, all that
 *            one round produced for a connection leaves in one system call.
 * Invariant: between rounds no connection holds unwritten bytes without being registered for WRITE, and
 *            none holds unread, unpaused bytes.
 * Memory:    a connection that ends goes to `dead` and is freed at the end of the round, so an event of
 *            the same round that still names it finds valid memory.
 *
 * The hand-offs between threads, each argued:
 *
 *   inbox      a stack of commands: pushed by CAS (release), emptied by one exchange (acquire) and
 *              reversed. The exchange takes all, so there is no ABA; order per pushing thread is kept. A
 *              pushed command belongs to the loop.
 *   awake      keeps wake-ups rare and none lost. The loop clears it and then looks at the inbox once
 *              more before it sleeps; a sender pushes and then looks at it. All four are seq_cst, so one of
 *              the two sees the other (Dekker): either the loop finds the command or the sender finds
 *              awake == 0 and wakes. Only the sender that found the inbox empty looks: the others came
 *              after a push whose sender does. On the loop's own thread awake is always 1: no wake.
 *   handles    see handles.h. A tdm_conn found live by a sender may be stale when its command runs; the
 *              command finds out again on the loop.
 *   unsent     the sender adds before it posts, the buffer takes back when it dies (tcp.c). It is a
 *              limit, not a lock: relaxed is enough, and two senders may overshoot by one message each.
 *   answer     set by the loop (release) when a request is handed out, taken by whoever answers by one
 *              exchange (acquire): of two answers only one wins.
 *   server     freed by its maker, who waits until the loop is done with it: `ended` (release, acquire) says
 *              so, and `holders` (acq_rel) lets the last of the two free it, because the loop still touches
 *              the parker after it has said so (http_server.c).
 *   TLS keys   a context is shared by reference count (acq_rel) and not changed after it was made.
 *   lookup     a helper thread writes the addresses, then posts; the loop reads them after the inbox's
 *              acquire and joins the thread.
 *   messages   tdm_send and its kin publish what the loop wrote into a message before.
 *   stop       set with release, then an unconditional wake; the join is what orders loop_free behind. */
#include "io/loop.h"

#include <string.h>

#include "io/connect.h"
#include "io/http_client.h"
#include "io/http_server.h"
#include "io/tcp.h"
#include "runtime.h"

int loop_new(struct loop **ret, struct tdm_runtime *rt, struct tdm_env *env)
{
    struct loop *loop = env->alloc(env, sizeof *loop);
    int err;

    if (loop == NULL)
        return TDM_ENOMEM;
    memset(loop, 0, sizeof *loop);
    loop->rt = rt;
    loop->env = env;
    handles_init(&loop->handles);
    atomic_init(&loop->awake, 1);
    loop->now_ns = env->now_ns(env);
    loop->rx = env->alloc(env, LOOP_RX_BYTES + LOOP_RX_SLACK);
    err = loop->rx == NULL ? TDM_ENOMEM : env->poller_new(env, &loop->poller);
    if (err != TDM_OK)
        goto fail;
    *ret = loop;
    return TDM_OK;
fail:
    loop_free(loop);
    return err;
}

static void loop_run(void *arg)
{
    struct loop *loop = arg;

    /* acquire: partner of loop_stop's release. */
    while (atomic_load_explicit(&loop->stop, memory_order_acquire) == 0)
        loop_poll(loop);
}

int loop_start(struct loop *loop)
{
    uint32_t idle = 0;
    int err;

    /* relaxed: the winner of the exchange starts the thread, which orders everything before it; the
     * others only need to know that somebody does. Commands posted meanwhile wait in the inbox. */
    if (atomic_load_explicit(&loop->started, memory_order_relaxed) != 0 ||
        !atomic_compare_exchange_strong_explicit(&loop->started, &idle, 1, memory_order_relaxed,
                                                 memory_order_relaxed))
        return TDM_OK;
    err = loop->env->thread_start(loop->env, &loop->thread, "tandem-io", loop_run, loop);
    if (err < 0) {
        loop->thread = NULL;
        atomic_store_explicit(&loop->started, 0, memory_order_relaxed);
        return err;
    }
    return TDM_OK;
}

void loop_stop(struct loop *loop)
{
    if (loop == NULL || loop->thread == NULL)
        return;
    atomic_store_explicit(&loop->stop, 1, memory_order_release);
    loop->env->poller_wake(loop->env, loop->poller);
    loop->env->thread_join(loop->env, loop->thread);
    loop->thread = NULL;
}

/* ---- the inbox ------------------------------------------------------------------------------- */

void *loop_cmd_new(struct loop *loop, void (*run)(struct loop *, struct loop_cmd *), size_t bytes)
{
    struct loop_cmd *cmd = loop->env->alloc(loop->env, bytes);

    if (cmd == NULL)
        return NULL;
    *cmd = (struct loop_cmd){ .run = run, .bytes = bytes };
    return cmd;
}

void loop_cmd_free(struct loop *loop, struct loop_cmd *cmd)
{
    if (cmd != NULL)
        loop->env->free(loop->env, cmd, cmd->bytes);
}

/* Partner: run_inbox() takes, loop_poll() sleeps. */
void loop_post(struct loop *loop, struct loop_cmd *cmd)
{
    struct loop_cmd *old = atomic_load_explicit(&loop->inbox, memory_order_relaxed);

    do
        cmd->next = old;
    /* release: publishes the command; seq_cst on top: ordered before our look at `awake`. */
    while (!atomic_compare_exchange_weak_explicit(&loop->inbox, &old, cmd, memory_order_seq_cst,
                                                  memory_order_relaxed));
    if (old == NULL && atomic_load_explicit(&loop->awake, memory_order_seq_cst) == 0)
        loop->env->poller_wake(loop->env, loop->poller);
}

static void run_inbox(struct loop *loop)
{
    struct loop_cmd *oldest = NULL;
    /* acquire: takes over what the senders wrote into their commands. */
    struct loop_cmd *newest = atomic_exchange_explicit(&loop->inbox, NULL, memory_order_acquire);

    while (newest != NULL) {
        struct loop_cmd *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct loop_cmd *cmd = oldest;
        oldest = cmd->next;
        cmd->run(loop, cmd);
    }
}

/* ---- a round --------------------------------------------------------------------------------- */

static void fire_timers(struct loop *loop)
{
    while (loop->timers != NULL && loop->timers->at_ns <= loop->now_ns) {
        struct loop_timer *t = loop->timers;
        timers_remove(&loop->timers, t);
        t->fire(loop, t);
    }
}

/* Sleep at most until the first deadline, and not at all when a command came in. */
static int wait_for_events(struct loop *loop, struct tdm_poll_event *events)
{
    uint64_t deadline = loop->timers != NULL ? loop->timers->at_ns : TDM_FOREVER;
    int n;

    /* seq_cst, both: see "awake" above. */
    atomic_store_explicit(&loop->awake, 0, memory_order_seq_cst);
    if (atomic_load_explicit(&loop->inbox, memory_order_seq_cst) != NULL)
        deadline = 0;
    n = loop->env->poller_wait(loop->env, loop->poller, events, LOOP_EVENTS, deadline);
    /* seq_cst: a sender that still sees 0 wakes once too often, which costs an empty round. */
    atomic_store_explicit(&loop->awake, 1, memory_order_seq_cst);
    return n;
}

void loop_poll(struct loop *loop)
{
    struct tdm_poll_event events[LOOP_EVENTS];
    int n = wait_for_events(loop, events);

    loop->now_ns = loop->env->now_ns(loop->env);
    for (int i = 0; i < n; i++) {
        struct loop_source *s = events[i].udata;
        s->ready(loop, s, events[i].events);
    }
    fire_timers(loop);
    run_inbox(loop);
    tcp_flush_dirty(loop);
    tcp_bury(loop);
}

void loop_timer_at(struct loop *loop, struct loop_timer *t, uint64_t at_ns,
                   void (*fire)(struct loop *, struct loop_timer *))
{
    t->fire = fire;
    timers_add(&loop->timers, t, at_ns);
}

void loop_timer_set(struct loop *loop, struct loop_timer *t, uint64_t after_ms,
                    void (*fire)(struct loop *, struct loop_timer *))
{
    loop_timer_at(loop, t, loop->now_ns + after_ms * 1000000, fire);
}

void loop_timer_clear(struct loop *loop, struct loop_timer *t)
{
    timers_remove(&loop->timers, t);
}

/* ---- the end --------------------------------------------------------------------------------- */

void loop_free(struct loop *loop)
{
    struct tdm_env *env;

    if (loop == NULL)
        return;
    env = loop->env;
    loop_stop(loop);
    run_inbox(loop); /* what came in while the thread ended */
    loop->closing = true;
    while (loop->pools != NULL)
        http_pool_end(loop, loop->pools);
    while (loop->servers != NULL)
        http_server_end(loop, loop->servers);
    tcp_end_all(loop);
    connect_join_all(loop);
    run_inbox(loop);
    tcp_bury(loop);
    if (loop->poller != NULL)
        env->poller_free(env, loop->poller);
    if (loop->rx != NULL)
        env->free(env, loop->rx, LOOP_RX_BYTES + LOOP_RX_SLACK);
    if (loop->plain != NULL)
        env->free(env, loop->plain, LOOP_RX_BYTES + LOOP_RX_SLACK);
    handles_fini(&loop->handles, env);
    env->free(env, loop, sizeof *loop);
}

int loop_of(struct tdm_runtime *rt, struct loop **ret)
{
    struct loop *loop = runtime_loop(rt);

    if (loop == NULL)
        return TDM_ENOMEM;
    *ret = loop;
    return loop_start(loop);
}

void loop_tell(struct loop *loop, tdm_pid to, struct tdm_msg *msg)
{
    if (runtime_send_unbounded(loop->rt, to, msg) != TDM_OK)
        tdm_msg_free(loop->rt, msg);
}
