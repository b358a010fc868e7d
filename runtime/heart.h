/* heart.h - what the two ends of a heart say to each other, and when a child is started again. */
#ifndef RUNTIME_HEART_H
#define RUNTIME_HEART_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tandem/heart.h"

/* One packet of the socket between them. */
enum heart_word {
    HEART_PING,     /* to the child: are you there? */
    HEART_ALIVE,    /* the answer, with the number of the question */
    HEART_ENDING,   /* the tree stops: no more answers come */
    HEART_RETURNED, /* the body has returned: what follows is no death */
};

struct heart_packet {
    uint32_t word;
    uint32_t number;
};

/* The child's end. */
struct tdm_heart {
    int fd;
    uint32_t ping_ms;
    uint32_t restarts;
    pid_t parent;
};

bool heart_say(int fd, enum heart_word word, uint32_t number);

/* ---- heart_plan.c: when to start again ------------------------------------------------------- */

enum { HEART_DEATHS_MAX = 1000 };

struct heart_plan {
    struct tdm_heart_cfg cfg;             /* defaults filled in */
    uint64_t quick[HEART_DEATHS_MAX + 1]; /* times of quick deaths within the period, oldest first */
    uint32_t n_quick;
    uint32_t in_a_row; /* quick deaths without a long life between */
};

/* TDM_EINVAL: deaths beyond HEART_DEATHS_MAX. */
int heart_plan_init(struct heart_plan *p, const struct tdm_heart_cfg *cfg);
/* After a life of `life_ms` that ended now: false, give up; true, start again after *delay_ms. */
bool heart_plan_death(struct heart_plan *p, uint64_t now_ms, uint64_t life_ms, uint32_t *delay_ms);

#endif
