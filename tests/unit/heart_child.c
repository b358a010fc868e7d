/* heart_child.c - a program under a heart, for test_heart.c: what it does is its first argument. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tandem/heart.h>
#include <tandem/log.h>
#include <tandem/runtime.h>

struct life {
    struct tdm_heart *heart;
    uint32_t number; /* 0: the first */
    int arg;
    struct tdm_runtime *rt;
};

static int spin(tdm_self *self, void *state, struct tdm_msg *msg)
{
    static volatile bool on = true;

    (void)self;
    (void)state;
    (void)msg;
    while (on)
        ;
    return TDM_OK;
}

static void begin(struct life *l)
{
    struct tdm_runtime_cfg cfg = { .workers = 1, .stuck_after_ms = UINT32_MAX };

    if (tdm_runtime_new(&l->rt, &cfg) != TDM_OK || tdm_heart_beat(l->heart, l->rt) != TDM_OK)
        exit(99);
}

static int over(struct life *l, int status)
{
    tdm_runtime_free(l->rt);
    return status;
}

static int does_return(struct life *l)
{
    begin(l);
    return over(l, l->arg);
}

static int does_die(struct life *l)
{
    begin(l);
    if (l->number == 0)
        kill(getpid(), l->arg);
    return over(l, 0);
}

static _Noreturn int does_always_die(struct life *l)
{
    (void)l;
    signal(SIGABRT, SIG_DFL);
    abort();
}

static int does_exit(struct life *l)
{
    if (l->number == 0)
        exit(l->arg);
    return 0;
}

/* Its only worker goes round in a callback for ever. */
static int does_hang(struct life *l)
{
    static const struct tdm_behaviour spinner = { .name = "spinner", .handle = spin };
    tdm_pid pid;

    if (l->number > 0)
        return 5;
    begin(l);
    if (tdm_spawn(l->rt, &(struct tdm_spawn_cfg){ .behaviour = &spinner }, &pid) != TDM_OK ||
        tdm_send(l->rt, pid, tdm_msg_new(l->rt, TDM_MSG_USER, 0)) != TDM_OK)
        exit(99);
    for (;;)
        pause();
}

/* Lives, dies, cannot start twice, then does. */
static int does_fail_to_start(struct life *l)
{
    if (l->number == 0)
        raise(SIGKILL);
    return l->number < 3 ? l->arg : 0;
}

static int does_never_start(struct life *l)
{
    if (l->number == 0)
        for (;;)
            pause();
    return 6;
}

/* Tells every signal, until SIGUSR1 or two others have come. */
static int does_wait(struct life *l)
{
    siginfo_t info;
    sigset_t set;
    int status = 0;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    begin(l);
    fprintf(stderr, "ready pid=%d life=%u\n", (int)getpid(), l->number);
    do {
        sigwaitinfo(&set, &info);
        fprintf(stderr, "signal=%d sent=%d\n", info.si_signo, tdm_heart_sent(l->heart, info.si_pid));
        status = status * 2 + 1;
    } while (info.si_signo != SIGUSR1 && status < l->arg);
    return over(l, status);
}

static _Noreturn int does_hang_at_end(struct life *l)
{
    begin(l);
    tdm_runtime_free(l->rt);
    for (;;)
        pause();
}

static const struct {
    const char *name;
    int (*does)(struct life *l);
} ways[] = {
    { "return", does_return },
    { "die", does_die },
    { "always_die", does_always_die },
    { "exit", does_exit },
    { "hang", does_hang },
    { "fail_to_start", does_fail_to_start },
    { "never_start", does_never_start },
    { "wait", does_wait },
    { "hang_at_end", does_hang_at_end },
};

static struct {
    const char *name;
    int arg;
} asked;

static int body(struct tdm_heart *heart, void *arg)
{
    struct life l = { .heart = heart, .number = tdm_heart_restarts(heart), .arg = asked.arg };

    (void)arg;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        if (strcmp(ways[i].name, asked.name) == 0)
            return ways[i].does(&l);
    return 98;
}

/* heart_child WAY ARG DEATHS START_MS MISSES */
int main(int argc, char **argv)
{
    if (argc != 6)
        return 97;
    asked.name = argv[1];
    asked.arg = atoi(argv[2]);
    return tdm_heart_run(&(struct tdm_heart_cfg){ .ping_ms = 10,
                                                  .misses = (uint32_t)atoi(argv[5]),
                                                  .start_ms = (uint32_t)atoi(argv[4]),
                                                  .abort_ms = 50,
                                                  .end_ms = strcmp(argv[1], "hang_at_end") == 0 ? 50 : 60000,
                                                  .delay_min_ms = 1,
                                                  .delay_max_ms = 4,
                                                  .deaths = (uint32_t)atoi(argv[3]),
                                                  .again_status = 3,
                                                  .give_up_status = 9 },
                         body, NULL);
}
