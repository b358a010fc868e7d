/* heart.h - a small parent process that keeps the program alive.
 *
 * tdm_heart_run() forks: the child runs the program, the parent waits for its end, asks it now and then whether it
 * still lives, and starts it again when it has died or does not answer. The answer comes from an ordinary actor
 * (tdm_heart_beat), through the ordinary scheduler: a process whose workers are all stuck does not answer.
 *
 * Source: Erlang's heart, which is the other way round (a small process beside the system, which restarts it by a
 * command); as a parent it learns of a death at once, and what it mapped before the fork outlives the child. */
#ifndef TANDEM_HEART_H
#define TANDEM_HEART_H
#include "tandem/actor.h"

struct tdm_heart; /* the child's end of it */

/* Zero means the default. */
struct tdm_heart_cfg {
    uint32_t ping_ms;  /* between two questions; default 1000 */
    uint32_t misses;   /* so many in a row without an answer: aborted, killed, started again; default 10 */
    uint32_t start_ms; /* to the first answer of each life; default 30000 */
    uint32_t abort_ms; /* from SIGABRT, so that a report or a core is written, to SIGKILL; default 3000 */
    uint32_t end_ms;   /* from the end of the actor that answers (the tree stops) to that of the process;
                        * default 60000 */
    uint32_t quick_ms; /* a life shorter than this is a quick death; default 5000 */
    /* The first restart comes at once. After a quick death that follows another: this, doubled each time. */
    uint32_t delay_min_ms, delay_max_ms; /* default 100 and 10000 */
    uint32_t deaths, period_ms;          /* more quick deaths than this within the period: give up;
                                          * default 10 in 60000 */
    int again_status; /* this status, returned by a body in a life after the first, is a death too: it could not
                         * start just now. Default none */
    int give_up_status; /* returned when giving up; default 1 */
};

/* The program. Its result is the exit status, and it is over: what it returns, a faulty configuration say, is not
 * started again. `heart` is for tdm_heart_beat(). SIGTERM, SIGINT and SIGHUP are blocked when it begins: it waits for
 * them (sigwaitinfo) or unblocks them. */
typedef int tdm_heart_body(struct tdm_heart *heart, void *arg);

/* Run `body` in a child process until it returns.
 *
 * Signals:  SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 go on to the child; those the terminal has sent to both do not.
 *           After the first three it is not started again.
 * The end of the parent (kill -9) does not end the child: it logs `heart.lost` and goes on, without a heart.
 * Returns:  the status for exit(): the body's; 128 + the signal when the child was ended by one and is not to be started
 *           again; give_up_status. Negative: -errno, the first child could not be made. In the child it does not return.
 * Threads:  the process has one, and has not used the runtime yet. */
int tdm_heart_run(const struct tdm_heart_cfg *cfg, tdm_heart_body *body, void *arg);

/* In the child: have an actor of this runtime answer from now on. Call it before other trees are started, so that it
 * stops last. `heart` NULL (no heart): nothing happens. Errors: as tdm_sup_start(). */
int tdm_heart_beat(struct tdm_heart *heart, struct tdm_runtime *rt);

/* In the child: 0 in the first life. heart NULL: 0. */
uint32_t tdm_heart_restarts(const struct tdm_heart *heart);
/* In the child: was this signal, with the sender si_pid, sent on by the heart? */
bool tdm_heart_sent(const struct tdm_heart *heart, int32_t sender);

#endif
