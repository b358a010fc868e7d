/* crash_advice.c - what to do about a crash, in one sentence.
 *
 * For somebody who is woken by it: what it means, where to look, and which setting there is. One case for each kind of
 * crash; what cannot be told apart gets no guess. */
#include <stdio.h>

#include "crash.h"
#include "fiber.h"

static void advise_fault(const struct crash *c, char *buf, size_t bytes)
{
    const char *where = c->l->where;

    switch (c->l->cause) {
    case FAULT_NULL_WRITE:
        snprintf(
            buf, bytes,
            "%s wrote through a null pointer: look where it got that pointer, and whether it was checked",
            where);
        break;
    case FAULT_NULL_READ:
        snprintf(buf, bytes,
                 "%s read through a null pointer: look where it got that pointer, and whether it was checked",
                 where);
        break;
    case FAULT_NULL_CALL:
        snprintf(buf, bytes, "%s called a function through a null pointer: a callback was never set", where);
        break;
    case FAULT_WILD_CALL:
        snprintf(buf, bytes,
                 "%s jumped to where no code is: a function pointer or a return address was written over",
                 where);
        break;
    case FAULT_STACK:
        if (c->a->fiber != NULL)
            snprintf(buf, bytes,
                     "the stack was used up in %s: look for endless recursion or large local arrays, or "
                     "raise stack_bytes "
                     "from %zu",
                     where, fiber_stack_bytes(c->a));
        else
            snprintf(
                buf, bytes,
                "the worker's stack was used up in %s: look for endless recursion, and put large arrays into "
                "tdm_alloc()",
                where);
        break;
    case FAULT_DIVISION:
        snprintf(buf, bytes, "%s divided by zero (or the smallest integer by -1): check the divisor there",
                 where);
        break;
    case FAULT_ABORT:
        snprintf(buf, bytes,
                 "%s gave up by abort() or a failed assert(): what it says on standard error, or the code "
                 "there, tells why",
                 where);
        break;
    case FAULT_TRAP:
        snprintf(buf, bytes,
                 "%s ran into a trap of the compiler: a place that it took for unreachable, or damaged code",
                 where);
        break;
    default:
        snprintf(buf, bytes,
                 "%s used an address that is not its own: memory that was freed, an index out of bounds or a "
                 "pointer never "
                 "set; a build with -fsanitize=address names the culprit",
                 where);
    }
}

static void advise_memory(const struct crash *c, char *buf, size_t bytes)
{
    if (c->l != NULL && c->l->kind == LAND_STUCK)
        snprintf(buf, bytes,
                 "one callback took memory without end: look for the loop in %s; what it took by malloc is "
                 "lost until the "
                 "process ends; the limit is callback_memory_limit",
                 c->l->where);
    else if (c->l != NULL)
        snprintf(
            buf, bytes,
            "look for what allocates without tdm_free() around %s, or raise memory_limit from %llu bytes",
            c->l->where, (unsigned long long)c->a->memory_limit);
    else
        snprintf(buf, bytes,
                 "the system had no memory left: compare the process's size with the limits of its service "
                 "(MemoryMax, "
                 "ulimit -v)");
}

static void advise_error(const struct crash *c, char *buf, size_t bytes)
{
    switch (c->reason->code) {
    case TDM_ESTUCK:
        snprintf(buf, bytes,
                 "%s did not come back: a callback must not block or spin; wait with tdm_sleep() or "
                 "tdm_receive() in a "
                 "fiber, and put what must block on a thread of your own that answers by tdm_send()",
                 c->l != NULL ? c->l->where : "a callback");
        break;
    case TDM_EOVERLOAD:
        snprintf(buf, bytes,
                 "more mail came than it handles: find who sends so much or what slows it, raise "
                 "mailbox_limit from %u, or "
                 "choose TDM_REFUSE or TDM_DROP_OLDEST instead of TDM_OVERFLOW_EXIT",
                 actor_limit(c->a));
        break;
    case TDM_ENOMEM:
        advise_memory(c, buf, bytes);
        break;
    case TDM_EASSERT:
        snprintf(buf, bytes,
                 "what the code takes for granted did not hold: the reason has the place; the message in "
                 "hand and the "
                 "state show how it came to that");
        break;
    default:
        snprintf(buf, bytes,
                 "%s of \"%s\" ended with this error itself: the reason has the words it gave, if any "
                 "(tdm_fail() gives "
                 "them)",
                 c->callback, c->a->behaviour->name);
    }
}

void crash_advise(const struct crash *c, char *buf, size_t bytes)
{
    if (c->reason->code == TDM_EFAULT && c->l != NULL)
        advise_fault(c, buf, bytes);
    else
        advise_error(c, buf, bytes);
}
