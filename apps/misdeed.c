/* misdeed.c - faults on command, one function each. */
#include "misdeed.h"

#include <stdlib.h>
#include <string.h>

#include <tandem/app.h>

static volatile int zero;

/* Touches every frame it makes, so that no compiler turns it into a loop; ends only by the stack's end. */
static int overflow(volatile char *above)
{
    volatile char here[512];

    here[0] = above != NULL ? above[0] : 'x';
    return zero == 1 ? 0 : overflow(here) + here[0];
}

static void by_assert(tdm_call *call)
{
    tdm_assert(tdm_call_self(call), zero == 1);
}

static void by_null_write(tdm_call *call)
{
    *(volatile int *)(uintptr_t)zero = tdm_call_argc(call);
}

static void by_division(tdm_call *call)
{
    zero = tdm_call_argc(call) / zero;
}

static void by_overflow(tdm_call *call)
{
    zero = tdm_call_argc(call) + overflow(NULL);
}

static void by_loop(tdm_call *call)
{
    while (zero == 0 && call != NULL)
        continue;
}

static void by_abort(tdm_call *call)
{
    (void)call;
    abort();
}

static void with_error(tdm_call *call, int code, const char *text)
{
    struct tdm_reason reason = { .kind = TDM_EXIT_ERROR, .code = code };

    strncpy(reason.text, text, sizeof reason.text - 1);
    tdm_exit(tdm_call_self(call), &reason);
}

/* As a callback would by returning an error. */
static void by_error(tdm_call *call)
{
    with_error(call, TDM_EPEER, "asked to fail");
}

/* Takes ever more memory until something stops it: the actor's limit, the system, or else this function. */
static void by_allocation(tdm_call *call)
{
    for (size_t bytes = 1 << 20; bytes <= TDM_MEMORY_DEFAULT; bytes *= 2)
        if (tdm_alloc(tdm_call_self(call), bytes) == NULL)
            break;
    with_error(call, TDM_ENOMEM, "took all memory it could get");
}

static void by_exit(tdm_call *call)
{
    struct tdm_reason reason = { .kind = TDM_EXIT_KILLED, .text = "gone by itself" };

    tdm_exit(tdm_call_self(call), &reason);
}

static void by_kill(tdm_call *call)
{
    tdm_kill(tdm_self_runtime(tdm_call_self(call)), tdm_self_pid(tdm_call_self(call)));
}

static const struct misdeed misdeeds[] = {
    { '1', "error", by_error },       { '2', "assert", by_assert },
    { '3', "null", by_null_write },   { '4', "overflow", by_overflow },
    { '5', "loop", by_loop },         { '6', "abort", by_abort },
    { '7', "division", by_division }, { '8', "allocation", by_allocation },
    { '9', "exit", by_exit },         { '0', "kill", by_kill },
};

const struct misdeed *misdeed_by_key(int key)
{
    for (size_t i = 0; i < sizeof misdeeds / sizeof misdeeds[0]; i++)
        if (misdeeds[i].key == key)
            return &misdeeds[i];
    return NULL;
}

const struct misdeed *misdeed_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof misdeeds / sizeof misdeeds[0]; i++)
        if (strcmp(misdeeds[i].name, name) == 0)
            return &misdeeds[i];
    return NULL;
}
