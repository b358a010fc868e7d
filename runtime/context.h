/* context.h - Boost.Context's C interface, which its own headers, for C++, do not declare. */
#ifndef RUNTIME_CONTEXT_H
#define RUNTIME_CONTEXT_H
#include <stddef.h>

typedef void *fcontext_t;
typedef struct {
    fcontext_t fctx; /* who jumped here, to jump back to */
    void *data;      /* what it handed over */
} transfer_t;

/* Go on at `to`; returns when somebody jumps back. */
transfer_t jump_fcontext(fcontext_t to, void *data);
/* A place to jump to: fn on a stack that ends (grows down from) stack_top. */
fcontext_t make_fcontext(void *stack_top, size_t bytes, void (*fn)(transfer_t));

#endif
