/* thread.c - one block of thread-local things for each thread (or coroutine) and runtime.
 *
 * A thread that enters a runtime for the first time gets a block; the runtime keeps them in a list and
 * frees them when it ends. A thread that comes back after visiting another runtime finds its block in
 * the list again by its identity. */
#include <stdlib.h>
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

static pthread_mutex_t retired_lock = PTHREAD_MUTEX_INITIALIZER;
static struct thread *retired;

/* This OS thread's block from a runtime that is no more, or NULL. */
static struct thread *take_retired(uint64_t owner)
{
    pthread_mutex_lock(&retired_lock);
    struct thread **at = &retired;
    while (*at != NULL && (*at)->owner != owner)
        at = &(*at)->next;
    struct thread *t = *at;
    if (t != NULL)
        *at = t->next;
    pthread_mutex_unlock(&retired_lock);
    return t;
}

static struct thread *block_new(struct tdm_runtime *rt, uint64_t owner)
{
    bool coroutines = rt->env->thread_identity != NULL;
    struct thread *t = coroutines ? rt->env->alloc(rt->env, sizeof *t) : take_retired(owner);

    if (t == NULL && !coroutines)
        t = malloc(sizeof *t); /* it outlives the runtime and perhaps its environment */
    if (t == NULL)
        return NULL;
    memset(t, 0, sizeof *t);
    t->rt = rt;
    t->rt_serial = rt->serial;
    t->owner = owner;
    return t;
}

struct thread *thread_slow(struct tdm_runtime *rt)
{
    uint64_t me = identity(rt);
    struct thread *t;

    pthread_mutex_lock(&rt->thread_lock);
    for (t = rt->threads; t != NULL && t->owner != me; t = t->next)
        ;
    if (t == NULL && (t = block_new(rt, me)) != NULL) {
        t->next = rt->threads;
        rt->threads = t;
    }
    pthread_mutex_unlock(&rt->thread_lock);
    if (t != NULL)
        thread_here = t;
    return t;
}

struct thread *thread_prepare(struct tdm_runtime *rt)
{
    return block_new(rt, 0); /* nobody's yet */
}

void thread_adopt(struct tdm_runtime *rt, struct thread *t)
{
    pthread_mutex_lock(&rt->thread_lock);
    t->owner = identity(rt);
    t->next = rt->threads;
    rt->threads = t;
    pthread_mutex_unlock(&rt->thread_lock);
    thread_here = t;
}

void thread_retire(struct tdm_runtime *rt, struct thread *t)
{
    uint64_t owner = t->owner;

    if (rt->env->thread_identity != NULL) {
        if (thread_here == t)
            thread_here = NULL;
        rt->env->free(rt->env, t, sizeof *t);
        return;
    }
    memset(t, 0, sizeof *t); /* its thread finds no runtime in it, and no actor */
    t->owner = owner;
    pthread_mutex_lock(&retired_lock);
    t->next = retired;
    retired = t;
    pthread_mutex_unlock(&retired_lock);
}
