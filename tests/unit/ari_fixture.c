#include "ari_fixture.h"

#include <stdlib.h>
#include <string.h>

static void *take(struct tdm_env *env, size_t bytes)
{
    struct counted *c = (struct counted *)env;
    const uint64_t n = __atomic_add_fetch(&c->made, 1, __ATOMIC_RELAXED);

    if (c->fail_at != 0 && n >= c->fail_at)
        return NULL;
    void *p = malloc(bytes);

    if (p != NULL) {
        memset(p, 0xA5, bytes);
        __atomic_add_fetch(&c->out, (int64_t)bytes, __ATOMIC_RELAXED);
    }
    return p;
}

static void give(struct tdm_env *env, void *p, size_t bytes)
{
    struct counted *c = (struct counted *)env;

    __atomic_sub_fetch(&c->out, (int64_t)bytes, __ATOMIC_RELAXED);
    free(p);
}

void counted_init(struct counted *c)
{
    *c = (struct counted){ .env = { .alloc = take, .free = give } };
}
