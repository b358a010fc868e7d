/* thread.c - one block of thread-local things for each thread (or coroutine) and runtime.
 *
 * A thread that enters a runtime for the first time gets a block; the runtime keeps them in a list and
 * frees them when it ends. A thread that comes back after visiting another runtime finds its block in the
 * list again by its identity. */
#include <string.h>

#include "runtime.h"
#include "thread.h"

_Thread_local struct thread *thread_here;

__attribute__((noinline)) struct thread *thread_now(void)
{
    __asm__ volatile("" ::: "memory");
    return thread_here;
}

static uint64_t identity(struct tdm_runtime *rt)
{
    struct tdm_env *env = rt->env;
    return env->thread_identity != NULL ? env->thread_identity(env) : (uint64_t)(uintptr_t)pthread_self();
}

struct thread *thread_slow(struct tdm_runtime *rt)
{
    uint64_t me = identity(rt);
    struct thread *t;

    pthread_mutex_lock(&rt->thread_lock);
    for (t = rt->threads; t != NULL && t->owner != me; t = t->next)
        ;
    if (t == NULL) {
        t = rt->env->alloc(rt->env, sizeof *t);
        if (t != NULL) {
            memset(t, 0, sizeof *t);
            t->rt = rt;
            t->rt_serial = rt->serial;
            t->owner = me;
            t->next = rt->threads;
            rt->threads = t;
        }
    }
    pthread_mutex_unlock(&rt->thread_lock);
    if (t != NULL)
        thread_here = t;
    return t;
}
