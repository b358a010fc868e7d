/* io_sweep.h - a story about sockets is told again and again, and each time something else fails: each socket call in
 * turn with each error that suits it, once and from there on; each allocation in turn, likewise.
 *
 * What a story must show is its own. Whatever fails, this checks that it comes to an end (in virtual time), that every
 * block and every socket is given back, and that nothing crashes.
 * TANDEM_SEEDS=n tells it n times (3 at most), each time with another network. TANDEM_FAULTS=all leaves nothing out; by default a long
 * story is told for every few calls only. TANDEM_FAULT=seed:nth:error:times (of a failure's words) is that one alone. */
#ifndef TESTS_UNIT_IO_SWEEP_H
#define TESTS_UNIT_IO_SWEEP_H
#include <stdbool.h>
#include <stdint.h>

#include "tandem/env.h"

struct sweep {
    /* The first coroutine of a deterministic environment. Everything it takes it gives back. */
    void (*story)(struct tdm_env *env);
    uint32_t
        most; /* runs by default, for each of the two; 0: all there are. Under ThreadSanitizer a quarter, 250 for all */
};

void sweep_calls(const struct sweep *s);
void sweep_allocations(const struct sweep *s);

/* Told by the story: from here on calls count; from here on nothing fails any more. */
void sweep_begin(struct tdm_env *env);
void sweep_end(struct tdm_env *env);

/* Does anything fail in this run? And does memory? */
bool sweep_fails(void);
bool sweep_fails_memory(void);
/* Words for the failure may follow, as for printf. */
#define sweep_check(condition, ...) \
    ((condition) ? (void)0 : sweep_failed(__FILE__, __LINE__, #condition, " " __VA_ARGS__))
_Noreturn void sweep_failed(const char *file, int line, const char *condition, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
