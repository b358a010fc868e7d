/* heart_beat.c - the child's end of a heart: an ordinary actor that answers.
 *
 * Idea:      a supervised actor looks on a timer whether the parent has asked, and answers the last question. It needs a
 *            worker's turn and its timer for that, as a call does: when nothing gets a turn any more, it does not
 *            either, and the parent learns of it by silence.
 * The socket is read and written without waiting, in the actor's own turn. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "heart.h"
#include "tandem/log.h"
#include "tandem/supervisor.h"
#include "tandem/timer.h"

struct beat {
    const struct tdm_heart *heart;
    bool lost;
};

bool heart_say(int fd, enum heart_word word, uint32_t number)
{
    const struct heart_packet p = { .word = word, .number = number };

    return send(fd, &p, sizeof p, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof p;
}

uint32_t tdm_heart_restarts(const struct tdm_heart *heart)
{
    return heart != NULL ? heart->restarts : 0;
}

bool tdm_heart_sent(const struct tdm_heart *heart, int32_t sender)
{
    return heart != NULL && sender == heart->parent;
}

/* Answer the last of the questions that wait. */
static void look(struct beat *b)
{
    struct heart_packet p, last = { .number = 0 };
    ssize_t n;

    while ((n = recv(b->heart->fd, &p, sizeof p, MSG_DONTWAIT)) == (ssize_t)sizeof p)
        last = p;
    if (last.number != 0)
        (void)heart_say(b->heart->fd, HEART_ALIVE, last.number); /* refused: the next one is answered */
    b->lost = n == 0 || (n < 0 && errno == ECONNRESET);
    if (b->lost)
        tdm_log_error("heart.lost",
                      "words=\"the parent process is gone; calls go on, and nobody starts this process "
                      "again\"");
}

static int look_later(tdm_self *self, const struct beat *b)
{
    uint32_t ms = b->heart->ping_ms / 4;

    return tdm_timer_start(self, TDM_MS(ms > 0 ? ms : 1)) != 0 ? TDM_OK : TDM_ENOMEM;
}

static int beat_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct beat *b = state;

    b->heart = *(const struct tdm_heart *const *)start->arg;
    look(b);
    return look_later(self, b);
}

static int beat_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct beat *b = state;

    if (msg->type != TDM_MSG_TIMER || b->lost)
        return TDM_OK;
    look(b);
    return look_later(self, b);
}

static int beat_terminate(tdm_self *self, void *state, const struct tdm_reason *reason)
{
    const struct beat *b = state;

    (void)self;
    if (reason->kind == TDM_EXIT_SHUTDOWN)
        (void)heart_say(b->heart->fd, HEART_ENDING, 0);
    return TDM_OK;
}

static const struct tdm_behaviour beating = { .name = "heart",
                                              .state_bytes = sizeof(struct beat),
                                              .init = beat_init,
                                              .handle = beat_handle,
                                              .terminate = beat_terminate };

int tdm_heart_beat(struct tdm_heart *heart, struct tdm_runtime *rt)
{
    const struct tdm_child_spec child = {
        .id = "beat",
        .start = { .behaviour = &beating, .arg = &heart, .arg_bytes = sizeof heart },
        .restart = TDM_PERMANENT,
    };
    tdm_pid pid;

    if (heart == NULL)
        return TDM_OK;
    return tdm_sup_start(rt,
                         &(struct tdm_sup_cfg){ .name = "heart",
                                                .strategy = TDM_ONE_FOR_ONE,
                                                .intensity = 10,
                                                .period_ms = 10000,
                                                .children = &child,
                                                .n_children = 1 },
                         &pid);
}
