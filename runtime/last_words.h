/* last_words.h - what is written when a fault ends the process. See last_words.c. */
#ifndef RUNTIME_LAST_WORDS_H
#define RUNTIME_LAST_WORDS_H
#include <stdint.h>

struct thread;
struct trace;

/* In the handler of a fault that cannot be contained. `t`: the worker whose callback ran, or NULL; `why` follows "because".
 * Returns with the process set to die of the signal when the handler returns. */
void last_words(int signo, uintptr_t address, const struct thread *t, const struct trace *trace,
                const char *why);

#endif
