/* heart.c - the parent: starts the program, asks whether it lives, starts it again.
 *
 * Idea:      one thread that waits for signals (SIGCHLD among them) with a deadline, and a socket to the child on which
 *            it asks a numbered question at each deadline. It allocates nothing, so nothing can fail in it but the
 *            fork. Everything it knows of the child's fate comes from waitpid() and that socket.
 * Counting:  a miss is a question of ours that found no answer by our next turn, not time that has passed: a machine
 *            that stood still for a while has not lost its child.
 * Records are written by log_direct(): no thread may exist at the next fork, and a log that nobody reads must not stop
 *            the heart.
 * The clock, processes and signals are the system's own, not an environment's: this process has no runtime. */
#include "heart.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "tandem/err.h"

static const int sent_on[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 };
#define N_SENT_ON (sizeof sent_on / sizeof sent_on[0])

struct parent {
    struct heart_plan plan;
    tdm_heart_body *body;
    void *arg;
    sigset_t waited, before;
    uint32_t restarts;
    bool stopping; /* a signal that ends the program was sent on */
    /* of the present child */
    pid_t child;
    int fd;
    uint64_t born_ms, end_by_ms, kill_at_ms; /* the latter two: 0 not set */
    uint32_t asked, answered, missed;
    bool ending, returned, dead;
    int wait_status;
};

static uint64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- the child ------------------------------------------------------------------------------- */

/* What the program finds when it begins: our signals' ways undone, those it has to wait for still blocked. */
static void child_signals(const struct parent *h)
{
    sigset_t mask = h->before;

    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGHUP);
    sigprocmask(SIG_SETMASK, &mask, NULL);
}

static _Noreturn void be_child(const struct parent *h, int fd, pid_t parent)
{
    static struct tdm_heart heart; /* reached from the actor as long as the process lives */

    heart = (struct tdm_heart){
        .fd = fd, .ping_ms = h->plan.cfg.ping_ms, .restarts = h->restarts, .parent = parent
    };
    prctl(PR_SET_NAME, "tandem");
    child_signals(h);
    int status = h->body(&heart, h->arg);
    (void)heart_say(fd, HEART_RETURNED, 0);
    exit(status);
}

/* Make the next child. Negative: -errno. */
static int launch(struct parent *h)
{
    const pid_t self = getpid();
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return -errno;
    fflush(NULL); /* what is buffered would be written by both */
    pid_t pid = fork();
    if (pid < 0) {
        int err = -errno;
        close(pair[0]);
        close(pair[1]);
        return err;
    }
    if (pid == 0) {
        close(pair[0]);
        be_child(h, pair[1], self);
    }
    close(pair[1]);
    h->child = pid;
    h->fd = pair[0];
    h->born_ms = now_ms();
    h->end_by_ms = h->kill_at_ms = 0;
    h->asked = h->answered = h->missed = 0;
    h->ending = h->returned = h->dead = false;
    log_direct(TDM_LOG_INFO, "heart.child", "child=%d restarts=%u", (int)pid, h->restarts);
    return TDM_OK;
}

/* ---- watching it ----------------------------------------------------------------------------- */

/* A child that ended with questions of ours unread leaves an error before its last words. */
static bool hear(int fd, struct heart_packet *p)
{
    ssize_t n = recv(fd, p, sizeof *p, MSG_DONTWAIT);

    if (n < 0 && errno == ECONNRESET)
        n = recv(fd, p, sizeof *p, MSG_DONTWAIT);
    return n == (ssize_t)sizeof *p;
}

static void read_answers(struct parent *h)
{
    struct heart_packet p;

    while (hear(h->fd, &p)) {
        if (p.word == HEART_ALIVE)
            h->answered = p.number;
        else if (p.word == HEART_RETURNED)
            h->returned = true;
        else if (p.word == HEART_ENDING && !h->ending) {
            h->ending = true;
            h->end_by_ms = now_ms() + h->plan.cfg.end_ms;
        }
    }
}

/* It will not end by itself any more: have a report written, and soon kill it. */
static void give_it_up(struct parent *h, const char *why)
{
    log_direct(TDM_LOG_ERROR, "heart.no_answer", "child=%d missed=%u why=\"%s\" abort_ms=%u", (int)h->child,
               h->missed, why, h->plan.cfg.abort_ms);
    kill(h->child, SIGABRT);
    h->kill_at_ms = now_ms() + h->plan.cfg.abort_ms;
}

static void ask(struct parent *h)
{
    h->missed = h->asked == h->answered ? 0 : h->missed + 1;
    if (h->missed >= h->plan.cfg.misses) {
        give_it_up(h, "it does not answer");
        return;
    }
    if (++h->asked == 0)
        h->asked = 1; /* 0 is no question */
    (void)heart_say(h->fd, HEART_PING, h->asked);
}

static void ask_first(struct parent *h, uint64_t now)
{
    if (now - h->born_ms >= h->plan.cfg.start_ms) {
        give_it_up(h, "it did not come to life in time");
        return;
    }
    h->asked = 1;
    (void)heart_say(h->fd, HEART_PING, h->asked);
}

/* Our turn, every ping_ms. */
static void tick(struct parent *h)
{
    const uint64_t now = now_ms();

    read_answers(h);
    if (h->kill_at_ms != 0) {
        if (now >= h->kill_at_ms)
            kill(h->child, SIGKILL);
    } else if (h->returned || h->ending) {
        if (h->ending && now >= h->end_by_ms)
            give_it_up(h, "it does not come to its end");
    } else if (h->answered == 0) {
        ask_first(h, now);
    } else {
        ask(h);
    }
}

/* Also those that were left to us, should we be the first process of a container. */
static void reap(struct parent *h)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != h->child)
            continue;
        h->dead = true;
        h->wait_status = status;
    }
}

static void pass_on(struct parent *h, const siginfo_t *info)
{
    const int signo = info->si_signo;

    if (signo == SIGTERM || signo == SIGINT || signo == SIGHUP)
        h->stopping = true;
    if (!h->dead && info->si_code != SI_KERNEL) /* the terminal tells the whole group itself */
        kill(h->child, signo);
}

/* Wait for a signal, at most until `until`; false: that time has come. */
static bool wait_signal(const struct parent *h, uint64_t until, siginfo_t *info)
{
    const uint64_t now = now_ms();
    const uint64_t left = until > now ? until - now : 0;
    const struct timespec ts = { .tv_sec = (time_t)(left / 1000), .tv_nsec = (long)(left % 1000) * 1000000 };

    return sigtimedwait(&h->waited, info, &ts) > 0;
}

static void watch(struct parent *h)
{
    uint64_t next = now_ms();
    siginfo_t info;

    while (!h->dead) {
        const uint64_t turn = h->kill_at_ms != 0 && h->kill_at_ms < next ? h->kill_at_ms : next;

        if (!wait_signal(h, turn, &info)) {
            if (now_ms() >= turn) {
                tick(h);
                next = now_ms() + h->plan.cfg.ping_ms;
            }
        } else if (info.si_signo != SIGCHLD) {
            pass_on(h, &info);
        }
        reap(h); /* whatever woke us: SIGCHLD merges */
    }
    read_answers(h);
    close(h->fd);
}

/* ---- its end --------------------------------------------------------------------------------- */

static int exit_status(int wait_status)
{
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

/* The body returned and the process ended with what it returned: nothing to repair, unless that status says so. */
static bool over(const struct parent *h)
{
    if (h->stopping)
        return true;
    if (!h->returned || !WIFEXITED(h->wait_status))
        return false;
    return h->restarts == 0 || h->plan.cfg.again_status == 0 ||
           WEXITSTATUS(h->wait_status) != h->plan.cfg.again_status;
}

static void log_death(const struct parent *h, uint64_t life_ms, const char *then, uint32_t delay_ms)
{
    const int s = h->wait_status;
    const char *why = h->kill_at_ms != 0 ? "no_answer" : WIFSIGNALED(s) ? "signal" : "exit";

    log_direct(TDM_LOG_ERROR, "heart.died",
               "child=%d why=%s signal=%d status=%d core=%s life_ms=%llu restarts=%u then=%s delay_ms=%u",
               (int)h->child, why, WIFSIGNALED(s) ? WTERMSIG(s) : 0, WIFEXITED(s) ? WEXITSTATUS(s) : 0,
               WIFSIGNALED(s) && WCOREDUMP(s) ? "yes" : "no", (unsigned long long)life_ms, h->restarts, then,
               delay_ms);
}

/* Between two children; false: a signal asks for the end. */
static bool pause_for(struct parent *h, uint32_t delay_ms)
{
    const uint64_t until = now_ms() + delay_ms;
    siginfo_t info;

    while (!h->stopping && now_ms() < until)
        if (wait_signal(h, until, &info) && info.si_signo != SIGCHLD)
            pass_on(h, &info);
    return !h->stopping;
}

/* The child has ended. True: start the next one. */
static bool go_on(struct parent *h, int *status)
{
    const uint64_t now = now_ms(), life_ms = now - h->born_ms;
    uint32_t delay_ms = 0;

    *status = exit_status(h->wait_status);
    if (over(h)) {
        if (!h->returned)
            log_death(h, life_ms, "end", 0);
        return false;
    }
    bool again = heart_plan_death(&h->plan, now, life_ms, &delay_ms);
    log_death(h, life_ms, again ? "restart" : "give_up", delay_ms);
    if (!again) {
        log_direct(TDM_LOG_ERROR, "heart.gave_up",
                   "deaths=%u period_ms=%u words=\"it dies whenever it is started; the "
                   "records above say how\"",
                   h->plan.n_quick, h->plan.cfg.period_ms);
        *status = h->plan.cfg.give_up_status;
        return false;
    }
    h->restarts++;
    return pause_for(h, delay_ms);
}

/* No process for it now: that may pass, and counts as a quick death. */
static int launch_again(struct parent *h)
{
    uint32_t delay_ms;
    int err;

    while ((err = launch(h)) < 0) {
        bool again = heart_plan_death(&h->plan, now_ms(), 0, &delay_ms);

        log_direct(TDM_LOG_ERROR, "heart.no_child", "err=%s then=%s delay_ms=%u", tdm_errname(err),
                   again ? "restart" : "give_up", delay_ms);
        if (!again || !pause_for(h, delay_ms > 100 ? delay_ms : 100))
            break;
    }
    return err;
}

static void prepare_signals(struct parent *h)
{
    sigemptyset(&h->waited);
    sigaddset(&h->waited, SIGCHLD);
    for (size_t i = 0; i < N_SENT_ON; i++)
        sigaddset(&h->waited, sent_on[i]);
    signal(SIGPIPE, SIG_IGN); /* the log's reader may go */
    signal(SIGCHLD, SIG_DFL); /* ignored, by whoever started us, it would hide deaths */
    sigprocmask(SIG_BLOCK, &h->waited, &h->before);
    sigdelset(&h->before, SIGCHLD);
}

int tdm_heart_run(const struct tdm_heart_cfg *cfg, tdm_heart_body *body, void *arg)
{
    static struct parent h; /* too big for a stack, and there is one */
    int status = 0, err;

    h = (struct parent){ .body = body, .arg = arg };
    err = heart_plan_init(&h.plan, cfg);
    if (err < 0)
        return err;
    prepare_signals(&h);
    prctl(PR_SET_NAME, "tandem-heart");
    err = launch(&h);
    if (err < 0)
        goto out;
    do
        watch(&h);
    while (go_on(&h, &status) && (err = launch_again(&h)) == TDM_OK);
    if (err < 0) /* there was one once: not an error of ours, but the end */
        status = h.plan.cfg.give_up_status;
    err = TDM_OK;
out:
    sigprocmask(SIG_SETMASK, &h.before, NULL);
    return err < 0 ? err : status;
}
