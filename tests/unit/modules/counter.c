/* counter.c - a module in a file, built in several versions: it counts, answers with its count, and can be told to loop.
 * VERSION, ABI and SYMBOL come from CMake. */
#include <stdatomic.h>
#include <string.h>

#include "counter.h"
#include "tandem/actor.h"
#include "tandem/module.h"

struct counter {
    uint64_t count;
};

__attribute__((no_sanitize("undefined", "address"))) static void write_nowhere(void)
{
    *(volatile int *)NULL = 1;
}

static int handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    struct counter *c = state;
    struct counter_answer answer = { .count = ++c->count, .version = VERSION };

    if (m->type == COUNTER_CRASH)
        write_nowhere();
    while (m->type == COUNTER_LOOP)
        c->count++;
    if (m->type != COUNTER_ASK)
        return TDM_OK;
    struct tdm_runtime *rt = tdm_self_runtime(self);
    struct tdm_msg *reply = tdm_msg_copy(rt, TDM_MSG_REPLY, &answer, sizeof answer);
    return reply == NULL ? TDM_ENOMEM : tdm_reply(rt, m, reply);
}

static int change(tdm_self *self, void *old, uint32_t version, void *new)
{
    (void)self, (void)version;
    ((struct counter *)new)->count = ((struct counter *)old)->count + 1000;
    return TDM_OK;
}

static const struct tdm_behaviour behaviour = { .name = "counter",
                                                .state_bytes = sizeof(struct counter),
                                                .handle = handle };

extern const struct tdm_module SYMBOL;
const struct tdm_module SYMBOL = {
    .abi = ABI, .name = "counter", .version = VERSION, .behaviour = &behaviour, .code_change = change
};
