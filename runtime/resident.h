/* resident.h - how much memory a thread takes. See resident.c. */
#ifndef RUNTIME_RESIDENT_H
#define RUNTIME_RESIDENT_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Counts at one moment. */
struct resident {
    uint64_t bytes;                 /* of memory, the whole process */
    uint64_t faults, thread_faults; /* pages touched for the first time: by all, by the thread */
};

/* False: the system does not tell. Reads /proc, allocates nothing. */
bool resident_now(pid_t thread, struct resident *ret);

/* About how much more the thread holds at `now` than at `then`. */
uint64_t resident_taken(const struct resident *then, const struct resident *now);

#endif
