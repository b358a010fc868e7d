/* rounds.h - checks with very many rounds: actors that go through them by themselves, several at once.
 *
 * A driver is an actor that is given its rounds, marks "wrong" when it sees what may not be, and ends when it is through.
 * In the real world there are as many rounds as the sheet asks for, on four worker threads, and a tenth of them under a
 * sanitizer. In the deterministic one each seed makes a part of them, each round with new draws. */
#ifndef TESTS_CONFORMANCE_ROUNDS_H
#define TESTS_CONFORMANCE_ROUNDS_H
#include "worlds.h"

#ifndef WORLD_ROUNDS_PART
#define WORLD_ROUNDS_PART 1
#endif

#define ROUNDS_OPTS               \
    {                             \
        .workers = 4, .seeds = 20 \
    }

struct driver_arg {
    struct world *w;
    uint64_t rounds;
    uint64_t who;
};

enum { MSG_DIE = TDM_MSG_USER + 100, MSG_HOP, MSG_SAID, MSG_LATE };

/* What every driver's state begins with. */
struct driver {
    struct world *w;
    uint64_t left, who;
    uint64_t round;
    tdm_pid victim;
    uint64_t hops;
};

/* Copies the argument and makes the first hop. */
int driver_init(tdm_self *self, void *state, const struct tdm_start *start);
/* The next round's number, or false: through, and "through" is marked. */
bool driver_next(struct driver *d);
void driver_wrong(struct driver *d, const char *what);
/* A message to oneself, behind what has come: the others get ahead a little, by another number each round. True: go on
 * hopping. */
int driver_hop(tdm_self *self);
bool driver_hops_on(tdm_self *self, struct driver *d);
int driver_send(tdm_self *self, tdm_pid to, uint32_t type, uint64_t n);

/* Ends with an error at MSG_DIE. */
extern const struct tdm_behaviour mortal;

/* Have four drivers make `full` rounds among them, wait for them, and check that nothing was wrong. */
void run_drivers(struct world *w, const struct tdm_behaviour *driver, uint64_t full);
/* The same with so many rounds, wherever it is. */
void run_drivers_of(struct world *w, const struct tdm_behaviour *driver, uint64_t all);
/* How many of so many rounds are made here. */
uint64_t rounds_here(struct world *w, uint64_t full);

#endif
