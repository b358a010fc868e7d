/* symbol.h - names for code addresses. See symbol.c. */
#ifndef RUNTIME_SYMBOL_H
#define RUNTIME_SYMBOL_H
#include <stddef.h>
#include <stdint.h>

/* "function+0x1c (program)", or "0x7f... (library)" where there is no name. Not for signal handlers. */
void symbol_name(uintptr_t pc, char *buf, size_t bytes);

#endif
