/* gather.h - collecting the digits of one question, as a machine without a call. See gather.c. */
#ifndef ACTORS_GATHER_H
#define ACTORS_GATHER_H
#include "tandem/call.h"

/* What the caller of the machine has to do now. */
enum gather_act {
    GATHER_WAIT, /* wait for the next input, until deadline_ns at most */
    GATHER_PLAY, /* play `announce` unless NULL, then the prompt; tell gather_prompt_ended() when over */
    GATHER_STOP, /* stop the prompt; digits may come meanwhile; tell gather_prompt_ended() when it has */
    GATHER_DONE, /* `result` is final */
};

enum gather_state { GATHER_READY, GATHER_PROMPT, GATHER_STOPPING, GATHER_COLLECT, GATHER_OVER };

/* Fields are for reading. Zero is not a valid machine: gather_init(). */
struct gather {
    /* fixed by gather_init(); the strings behind it belong to the caller and stay */
    struct tdm_gather_opts opts; /* with the defaults filled in */
    bool has_prompt;
    /* moved by the inputs */
    enum gather_state state;
    bool answered;        /* the word is settled, only the prompt is not over yet */
    bool expired;         /* overall_ms is used up: no further try */
    const char *announce; /* with GATHER_PLAY */
    uint64_t deadline_ns; /* call gather_time() then; 0: never */
    uint64_t step_ns;     /* first or inter digit time; 0: not running */
    uint64_t overall_ns;
    uint32_t digits; /* how many are in result.digits */
    struct tdm_gather_result result;
};

/* Before anything else. Errors: TDM_EINVAL when no input could ever satisfy the question. */
int gather_init(struct gather *g, const struct tdm_gather_opts *opts, uint64_t now_ns);

/* Digits typed ahead come between init and begin. Once one of them made gather_digit() return something
 * else than GATHER_WAIT the question is under way and begin is not called any more. */
enum gather_act gather_begin(struct gather *g, uint64_t now_ns);

/* Would this machine use a digit now? When not, it belongs to the type-ahead of the next question. */
bool gather_takes(const struct gather *g);

enum gather_act gather_digit(struct gather *g, char digit, uint64_t now_ns);
enum gather_act gather_prompt_ended(struct gather *g, uint64_t now_ns);
enum gather_act gather_time(struct gather *g, uint64_t now_ns);

#endif
