/* symbol.h - names for code addresses. See symbol.c. */
#ifndef RUNTIME_SYMBOL_H
#define RUNTIME_SYMBOL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SYMBOL_TEXT 160

/* Map what will be needed, so that naming needs no memory later. */
void symbol_prepare(void);

/* Code was loaded or is about to go: an address may come to mean something else. */
void symbol_forget(void);

/* "function+0x1c (file.c:36)"; without debug information "function+0x1c (program)"; without a name "0x7f... (library)".
 * `returns`: the address is where a call returns to, and the call is what is to be named. Not for signal handlers, but for
 * that of a process that ends (`dying`: then it does not wait for anybody). */
void symbol_name(uintptr_t pc, bool returns, bool dying, char *buf, size_t bytes);

#endif
