/* fiber.c - sequential code inside an actor.
 *
 * Idea:      a fiber is an actor whose behaviour runs on a stack of its own. The worker resumes it when
 *            mail has come; waiting is a jump back to the worker. The unread mail stays in the actor's
 *            inbox, so bounds, restarts and selective receive all work on one list.
 * Stacks:    cut from slabs, never touched before use, guarded by a page below; kept for the next
 *            fiber. An idle fiber costs one page, in which its control block lies too.
 * Invariant: fiber->running is true exactly while the worker's stack waits in fiber_resume().
 * A fiber may go on on another worker than the one it waited on: code here reads no thread-local after
 * a switch. */
#include "fiber.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "context.h"
#include "inbox.h"
#include "runtime.h"
#include "sanitize.h"
#include "tandem/log.h"

enum { STACK_BYTES = 64 * 1024, GUARD_BYTES = 4096, SLAB_STACKS = 32 };
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13: a guard without a mapping of its own */
#endif

struct fiber {
    fcontext_t self, worker;
    struct tdm_self *actor;
    char *stack; /* lowest address, the guard's */
    size_t stack_bytes;
    struct fiber *next;      /* on another stack, once `run` has returned: see tdm_run_again() */
    struct tdm_msg *current; /* given to the code, ours to free */
    tdm_ref wait_timer;
    bool running, stop, timed_out;
#ifdef WITH_ASAN
    void *worker_fake;
    const void *worker_bottom;
    size_t worker_bytes;
#endif
#ifdef WITH_TSAN
    void *tsan_self, *tsan_worker;
#endif
};

/* ---- stacks ---------------------------------------------------------------------------------- */

struct slab {
    struct slab *next;
    void *map;
};

struct free_stack {
    struct free_stack *next;
};

struct stacks {
    struct tdm_env *env;
    pthread_mutex_t lock;
    struct free_stack *free; /* links lie at the top of the stacks, in the page that is touched anyway */
    struct slab *slabs;
};

int stacks_new(struct stacks **ret, struct tdm_env *env)
{
    struct stacks *s = env->alloc(env, sizeof *s);

    if (s == NULL)
        return TDM_ENOMEM;
    memset(s, 0, sizeof *s);
    s->env = env;
    pthread_mutex_init(&s->lock, NULL);
    *ret = s;
    return TDM_OK;
}

void stacks_free(struct stacks *s)
{
    if (s == NULL)
        return;
    while (s->slabs != NULL) {
        struct slab *next = s->slabs->next;
        munmap(s->slabs->map, (size_t)STACK_BYTES * SLAB_STACKS);
        s->env->free(s->env, s->slabs, sizeof *s->slabs);
        s->slabs = next;
    }
    pthread_mutex_destroy(&s->lock);
    s->env->free(s->env, s, sizeof *s);
}

static bool guard(char *page)
{
    if (madvise(page, GUARD_BYTES, MADV_GUARD_INSTALL) == 0 || mprotect(page, GUARD_BYTES, PROT_NONE) == 0)
        return true;
    tdm_log_error("fiber.no_guard", "advice=%s", "\"too many mappings: raise vm.max_map_count\"");
    return false;
}

static char *map_stacks(size_t bytes)
{
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    madvise(p, bytes, MADV_NOHUGEPAGE); /* else each touched stack costs two megabytes */
    return p;
}

static struct free_stack *top_of(char *stack, size_t bytes)
{
    return (struct free_stack *)(stack + bytes) - 1;
}

/* Under the lock. */
static bool grow(struct stacks *s)
{
    struct slab *slab = s->env->alloc(s->env, sizeof *slab);
    char *p = slab == NULL ? NULL : map_stacks((size_t)STACK_BYTES * SLAB_STACKS);

    for (size_t i = 0; p != NULL && i < SLAB_STACKS; i++) {
        if (!guard(p + i * STACK_BYTES)) {
            munmap(p, (size_t)STACK_BYTES * SLAB_STACKS);
            p = NULL;
        }
    }
    if (p == NULL) {
        if (slab != NULL)
            s->env->free(s->env, slab, sizeof *slab);
        return false;
    }
    slab->map = p;
    slab->next = s->slabs;
    s->slabs = slab;
    for (size_t i = SLAB_STACKS; i-- > 0;) {
        struct free_stack *f = top_of(p + i * STACK_BYTES, STACK_BYTES);
        f->next = s->free;
        s->free = f;
    }
    return true;
}

static char *stack_get(struct stacks *s, size_t bytes)
{
    struct free_stack *f = NULL;

    if (bytes != STACK_BYTES) { /* an unusual size is mapped alone */
        char *p = map_stacks(bytes);
        if (p != NULL && !guard(p)) {
            munmap(p, bytes);
            p = NULL;
        }
        return p;
    }
    pthread_mutex_lock(&s->lock);
    if (s->free != NULL || grow(s)) {
        f = s->free;
        s->free = f->next;
    }
    pthread_mutex_unlock(&s->lock);
    return f == NULL ? NULL : (char *)(f + 1) - STACK_BYTES;
}

static void stack_put(struct stacks *s, char *stack, size_t bytes)
{
    stack_unmark(stack + GUARD_BYTES, bytes - GUARD_BYTES);
    if (bytes != STACK_BYTES) {
        munmap(stack, bytes);
        return;
    }
    pthread_mutex_lock(&s->lock);
    struct free_stack *f = top_of(stack, bytes);
    f->next = s->free;
    s->free = f;
    pthread_mutex_unlock(&s->lock);
}

/* ---- switching ------------------------------------------------------------------------------- */

static void switched_to_fiber(struct fiber *f, void *fake)
{
    (void)f;
    (void)fake;
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(fake, &f->worker_bottom, &f->worker_bytes);
#endif
}

static void to_worker(struct fiber *f, int result)
{
#ifdef WITH_ASAN
    void *fake = NULL;
    __sanitizer_start_switch_fiber(&fake, f->worker_bottom, f->worker_bytes);
#else
    void *fake = NULL;
#endif
#ifdef WITH_TSAN
    __tsan_switch_to_fiber(f->tsan_worker, 0);
#endif
    transfer_t t = jump_fcontext(f->worker, (void *)(intptr_t)result);
    f->worker = t.fctx;
    switched_to_fiber(f, fake);
}

static void entry(transfer_t t)
{
    struct fiber *f = t.data;
    struct tdm_self *a = f->actor;

    f->worker = t.fctx;
    switched_to_fiber(f, NULL);
    int err = a->behaviour->run(a, a->state);
    if (err == TDM_OK && f->next != NULL)
        to_worker(f, FIBER_GOES_ON); /* and never back */
    if (f->stop && (err == TDM_OK || err == TDM_ESTOP || err > 0)) {
        actor_set_reason(a, &(struct tdm_reason){ .kind = TDM_EXIT_SHUTDOWN });
        err = TDM_OK;
    }
    to_worker(f, err >= FIBER_WAITS ? TDM_STOP : err);
    __builtin_unreachable();
}

void tdm_stack(tdm_self *self, uint32_t bytes)
{
    if (self->start != NULL) /* init has not returned */
        self->start->cfg.stack_bytes = bytes;
}

/* Lies at the top of the stack that it is made with. NULL: no memory. */
static struct fiber *fiber_new(struct tdm_self *a, uint32_t stack_bytes)
{
    size_t bytes = stack_bytes == 0
                       ? STACK_BYTES
                       : ((size_t)stack_bytes + 2 * GUARD_BYTES - 1) & ~(size_t)(GUARD_BYTES - 1);
    char *stack = inbox_extend(a) < 0 ? NULL : stack_get(a->rt->stacks, bytes);

    if (stack == NULL)
        return NULL;
    char *top = (char *)((uintptr_t)(top_of(stack, bytes)) & ~(uintptr_t)63);
    struct fiber *f = (struct fiber *)(top - ((sizeof *f + 63) & ~(size_t)63));
    memset(f, 0, sizeof *f);
    f->actor = a;
    f->stack = stack;
    f->stack_bytes = bytes;
    f->self = make_fcontext(f, (size_t)((char *)f - stack) - GUARD_BYTES, entry);
#ifdef WITH_TSAN
    f->tsan_self = __tsan_create_fiber(0);
#endif
    return f;
}

static void fiber_free(struct tdm_self *a, struct fiber *f)
{
    if (f == NULL)
        return;
#ifdef WITH_TSAN
    __tsan_destroy_fiber(f->tsan_self);
#endif
    stack_put(a->rt->stacks, f->stack, f->stack_bytes);
}

int fiber_start(struct tdm_self *a, uint32_t stack_bytes)
{
    a->fiber = fiber_new(a, stack_bytes);
    return a->fiber != NULL ? TDM_OK : TDM_ENOMEM;
}

int tdm_run_again(tdm_self *self, uint32_t stack_bytes)
{
    struct fiber *f = self->fiber;

    if (f == NULL || !f->running || f->next != NULL)
        return TDM_ESTATE;
    f->next = fiber_new(self, stack_bytes);
    return f->next != NULL ? TDM_OK : TDM_ENOMEM;
}

void fiber_go_on(struct tdm_self *a)
{
    struct fiber *old = a->fiber;

    a->fiber = old->next;
    a->fiber->current = old->current;
    a->fiber->stop = old->stop;
    fiber_free(a, old);
}

int fiber_resume(struct tdm_self *a)
{
    struct fiber *f = a->fiber;
    struct thread *t = thread_here;

    f->running = true;
    callback_enter(t);
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(&f->worker_fake, f->stack + GUARD_BYTES, f->stack_bytes - GUARD_BYTES);
#endif
#ifdef WITH_TSAN
    f->tsan_worker = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(f->tsan_self, 0);
#endif
    transfer_t from = jump_fcontext(f->self, f);
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(f->worker_fake, NULL, NULL);
#endif
    callback_leave(t);
    f->self = from.fctx;
    f->running = false;
    return (int)(intptr_t)from.data;
}

void fiber_leave_stack(struct tdm_self *a)
{
    if (a == NULL || a->fiber == NULL || !a->fiber->running)
        return;
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(NULL, a->fiber->worker_bottom, a->fiber->worker_bytes);
#endif
#ifdef WITH_TSAN
    __tsan_switch_to_fiber(a->fiber->tsan_worker, 0);
#endif
}

void fiber_left_stack(struct tdm_self *a)
{
    if (a->fiber == NULL || !a->fiber->running)
        return;
    a->fiber->running = false;
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(a->fiber->worker_fake, NULL, NULL);
#endif
}

size_t fiber_stack_bytes(const struct tdm_self *a)
{
    return a->fiber->stack_bytes - GUARD_BYTES;
}

void fiber_release(struct tdm_self *a)
{
    struct fiber *f = a->fiber;

    a->fiber = NULL;
    tdm_msg_free(a->rt, f->current);
    fiber_free(a, f->next);
    fiber_free(a, f);
}

void fiber_tell_stop(struct tdm_self *a)
{
    a->fiber->stop = true;
    a->flags |= ACTOR_STOP_UNTOLD;
}

/* ---- waiting --------------------------------------------------------------------------------- */

struct wish {
    bool (*want)(const struct tdm_msg *msg, void *ctx);
    void *ctx;
};

/* An answer, a notice or a timer may be stale; that is decided when it is first looked at, and once. */
static bool stale(struct tdm_self *a, struct fiber *f, struct tdm_msg *m)
{
    bool ends_wait = m->ref == f->wait_timer;

    if (actor_unwanted(a, m))
        return true;
    m->to_ = MSG_CHECKED;
    if (!ends_wait)
        return false;
    f->wait_timer = 0;
    f->timed_out = true;
    tdm_msg_free(a->rt, m);
    return true;
}

/* The first wanted message beyond what this wait has seen, taken out of the inbox. */
static struct tdm_msg *look(struct tdm_self *a, struct fiber *f, const struct wish *wish)
{
    struct tdm_msg *m;
    bool checked;

    while ((m = inbox_look(a, &checked)) != NULL) {
        bool gone = !checked && stale(a, f, m);
        if (!checked)
            inbox_checked(a, gone ? NULL : m);
        if (gone)
            continue;
        if (wish->want == NULL || wish->want(m, wish->ctx)) {
            inbox_read(a);
            return m;
        }
        inbox_pass(a);
    }
    return NULL;
}

static int end_wait(tdm_self *self, struct fiber *f, int err)
{
    if (f->wait_timer != 0)
        tdm_timer_cancel(self, f->wait_timer);
    f->wait_timer = 0;
    return err;
}

static int wait_for(tdm_self *self, const struct wish *wish, uint64_t timeout_ns, struct tdm_msg **ret)
{
    struct fiber *f = self->fiber;

    if (f == NULL || !f->running) /* init, terminate and behaviours have no stack to wait on */
        return TDM_ESTATE;
    tdm_msg_free(self->rt, f->current);
    f->current = NULL;
    f->timed_out = false;
    inbox_scan(self);
    for (;;) {
        if (self->flags & ACTOR_STOP_UNTOLD) {
            self->flags &= ~(uint32_t)ACTOR_STOP_UNTOLD;
            return end_wait(self, f, TDM_ESTOP);
        }
        struct tdm_msg *m = look(self, f, wish);
        if (m != NULL) {
            f->current = m;
            if (self->history != NULL)
                actor_remember(self, m);
            self->flags &= ~(uint32_t)ACTOR_TAKEN;
            *ret = m;
            return end_wait(self, f, TDM_OK);
        }
        if (f->timed_out || timeout_ns == 0)
            return end_wait(self, f, TDM_ETIMEOUT);
        if (timeout_ns != TDM_FOREVER && f->wait_timer == 0) {
            f->wait_timer = tdm_timer_start(self, timeout_ns);
            if (f->wait_timer == 0)
                return TDM_ENOMEM;
        }
        to_worker(f, FIBER_WAITS);
    }
}

struct tdm_msg *fiber_put_down(struct tdm_self *a)
{
    struct tdm_msg *m = a->fiber->current;

    a->fiber->current = NULL;
    return m;
}

/* What the code took is no longer ours to free. */
void fiber_taken(struct tdm_self *a, const struct tdm_msg *msg)
{
    if (a->fiber->current == msg)
        a->fiber->current = NULL;
}

int tdm_receive(tdm_self *self, uint64_t timeout_ns, struct tdm_msg **ret)
{
    return wait_for(self, &(struct wish){ 0 }, timeout_ns, ret);
}

int tdm_receive_if(tdm_self *self, bool (*want)(const struct tdm_msg *msg, void *ctx), void *ctx,
                   uint64_t timeout_ns, struct tdm_msg **ret)
{
    return wait_for(self, &(struct wish){ .want = want, .ctx = ctx }, timeout_ns, ret);
}

static bool is_answer(const struct tdm_msg *msg, void *ctx)
{
    return (msg->type == TDM_MSG_REPLY || msg->type == TDM_MSG_REQUEST_FAILED) &&
           msg->ref == *(const tdm_ref *)ctx;
}

int tdm_await(tdm_self *self, tdm_ref request, struct tdm_msg **reply)
{
    struct tdm_msg *m;
    int err = request == 0 ? TDM_ENOMEM : tdm_receive_if(self, is_answer, &request, TDM_FOREVER, &m);

    if (err < 0)
        return err;
    if (m->type == TDM_MSG_REQUEST_FAILED)
        return ((const struct tdm_failure *)tdm_msg_view(m))->err;
    *reply = m;
    return TDM_OK;
}

static bool nothing(const struct tdm_msg *msg, void *ctx)
{
    (void)msg;
    (void)ctx;
    return false;
}

int tdm_sleep(tdm_self *self, uint64_t ns)
{
    struct tdm_msg *m;
    int err = tdm_receive_if(self, nothing, NULL, ns, &m);

    return err == TDM_ETIMEOUT ? TDM_OK : err;
}
