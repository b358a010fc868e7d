/* fault_code.h - whose code stands at an address, and who may be left in the middle. See fault_code.c. */
#ifndef RUNTIME_FAULT_CODE_H
#define RUNTIME_FAULT_CODE_H
#include <stdbool.h>
#include <stdint.h>

/* Once, before any handler may run. */
void fault_code_learn(void);

/* False: linked statically, the library's code cannot be told from the app's. */
bool fault_code_apart(void);

/* The file that dlopen() gave this handle for holds an app's code; it is about to be closed. Threads: any. */
void fault_code_app_loaded(void *handle);
void fault_code_app_gone(void *handle);

bool fault_code_is_app(uintptr_t pc);
bool fault_code_is_code(uintptr_t pc); /* anybody's that was there at the start, or an app's */

/* A fault at frames[0]; frames lead outward to the callback. NULL: the callback may be left; else why not, in words that
 * follow "because". For handlers. */
const char *fault_code_holds(void *const *frames, int n, bool on_fiber);

/* The same of a callback that is interrupted at a moment of our choice: it must be in app code, or in a function of libc
 * that holds nothing and was called from app code. */
bool fault_code_may_leave(void *const *frames, int n);

/* If it may not be left now, but is in a function of libc that will soon come back to app code: the frame it comes back to;
 * else 0. */
int fault_code_comes_back(void *const *frames, int n);

/* How many frames, from the fault outward, tell of the app: to its outermost function and the one that called that. */
int fault_code_telling(void *const *frames, int n);

#endif
