/* family.c - a supervisor and its children, as seen from any thread.
 *
 * Idea:      starting a child of a dynamic supervisor must not stand in line before one mailbox. So the
 *            list of children lies beside the supervisor, in shards with a lock each: whoever starts a
 *            child enters it there, and a child that ends for good takes itself out. The supervisor's
 *            mailbox is needed only for what the supervisor must decide: restarts.
 * Invariant: a child is in its shard from before its first step until its place is gone. It is RUNNING, or
 *            WAITING with its notice posted; the change and the post are one step under the shard's
 *            lock, and after the supervisor's end (`dead`) nothing is posted any more: a child then
 *            buries itself.
 * One word counts children (low half) and those who hold the family (high half: the supervisor, and whoever
 * starts a child just now). The family is freed when both are none. A child that leaves as the last one takes a
 * hold in the same step, so that it may still tell the supervisor.
 * Stopping:  `stopping` is set, then every shard's lock is passed. A starter that saw it unset under its shard's
 *            lock has entered its child before that, and the child is told to stop with the others; later ones
 *            are refused. */
#include "family.h"
#include "module.h"

#include <stdio.h>
#include <string.h>

#include "tandem/log.h"

enum { SHARDS = 16, LINE_BYTES = 256 };
#define HOLD (1ull << 32)

struct family {
    struct tdm_runtime *rt;
    struct tdm_sup_cfg cfg;
    struct tdm_child_spec *specs;
    tdm_pid sup;
    char line
        [LINE_BYTES]; /* the supervisors above its children, from the root down; fixed by family_begin() */
    _Atomic uint64_t refs; /* holders << 32 | children */
    _Atomic bool stopping;
    _Atomic bool dead; /* written under every shard's lock */
    bool told_empty;   /* under shard 0's lock: the notice is with the supervisor */
    struct {
        struct tdm_msg msg;
    } empty_notice;
    struct {
        pthread_spinlock_t lock;
        uint32_t waiting; /* children between two incarnations */
        struct child *first;
        char pad[48];
    } shards[SHARDS];
};

const struct tdm_sup_cfg *family_cfg(const struct family *f)
{
    return &f->cfg;
}

/* ---- making ---------------------------------------------------------------------------------- */

static void *copy_bytes(struct tdm_runtime *rt, const void *from, size_t bytes)
{
    void *to = runtime_alloc(rt, bytes);
    return to == NULL ? NULL : memcpy(to, from, bytes);
}

static int copy_spec(struct tdm_runtime *rt, struct tdm_child_spec *to, const struct tdm_child_spec *from)
{
    *to = *from;
    to->id = NULL;
    to->start.arg = NULL;
    if (from->start.module != NULL && (to->start.module = module_name(rt, from->start.module)) == NULL)
        return TDM_ENOMEM;
    if (from->id != NULL && (to->id = copy_bytes(rt, from->id, strlen(from->id) + 1)) == NULL)
        return TDM_ENOMEM;
    if (from->start.arg_bytes > 0 &&
        (to->start.arg = copy_bytes(rt, from->start.arg, from->start.arg_bytes)) == NULL)
        return TDM_ENOMEM;
    return TDM_OK;
}

static void free_family(struct family *f)
{
    struct tdm_runtime *rt = f->rt;

    for (size_t i = 0; f->specs != NULL && i < f->cfg.n_children; i++) {
        struct tdm_child_spec *s = &f->specs[i];
        if (s->id != NULL)
            runtime_free_block(rt, (void *)s->id, strlen(s->id) + 1);
        if (s->start.arg != NULL)
            runtime_free_block(rt, (void *)s->start.arg, s->start.arg_bytes);
    }
    if (f->specs != NULL)
        runtime_free_block(rt, f->specs, (f->cfg.n_children + 1) * sizeof *f->specs);
    if (f->cfg.name != NULL)
        runtime_free_block(rt, (void *)f->cfg.name, strlen(f->cfg.name) + 1);
    runtime_free_block(rt, f, sizeof *f);
}

void family_unref(struct family *f)
{
    /* acquire, release: all that others did with the family comes before its end */
    if (f != NULL && atomic_fetch_sub_explicit(&f->refs, HOLD, memory_order_acq_rel) == HOLD)
        free_family(f);
}

int family_new(struct family **ret, struct tdm_runtime *rt, const struct tdm_sup_cfg *cfg)
{
    struct family *f = runtime_alloc(rt, sizeof *f);

    if (f == NULL)
        return TDM_ENOMEM;
    memset(f, 0, sizeof *f);
    f->rt = rt;
    f->cfg = *cfg;
    f->cfg.name = NULL;
    atomic_init(&f->refs, HOLD);
    for (int i = 0; i < SHARDS; i++)
        pthread_spin_init(&f->shards[i].lock, PTHREAD_PROCESS_PRIVATE);
    f->specs = runtime_alloc(rt, (cfg->n_children + 1) * sizeof *f->specs);
    if (f->specs == NULL)
        goto fail;
    memset(f->specs, 0, (cfg->n_children + 1) * sizeof *f->specs);
    f->cfg.children = f->specs;
    if (cfg->name != NULL && (f->cfg.name = copy_bytes(rt, cfg->name, strlen(cfg->name) + 1)) == NULL)
        goto fail;
    for (size_t i = 0; i < cfg->n_children; i++)
        if (copy_spec(rt, &f->specs[i], &cfg->children[i]) < 0)
            goto fail;
    *ret = f;
    return TDM_OK;
fail:
    free_family(f);
    return TDM_ENOMEM;
}

/* Of a line that is too long the upper part is left out: the near ones say more. */
static void write_line(struct family *f, const struct tdm_self *sup)
{
    const char *name = f->cfg.name != NULL ? f->cfg.name : sup->tag != NULL ? sup->tag : "supervisor";
    const char *above = sup->child != NULL ? sup->child->family->line : "";
    char own[128];
    int n = snprintf(own, sizeof own, "%.90s(%llu)", name, (unsigned long long)f->sup.id);

    if (strlen(above) + (size_t)n + 4 <= sizeof f->line)
        snprintf(f->line, sizeof f->line, "%s%s%s", above, above[0] != '\0' ? " > " : "", own);
    else
        snprintf(f->line, sizeof f->line, "... > %s", own);
}

size_t family_ancestors(const struct tdm_self *a, char *buf, size_t bytes)
{
    const char *line = a->child != NULL ? a->child->family->line : "";

    snprintf(buf, bytes, "%s", line);
    return strlen(buf);
}

void family_begin(struct family *f, struct tdm_self *sup)
{
    f->sup = tdm_self_pid(sup);
    write_line(f, sup);
    pthread_spin_lock(&sup->family_lock);
    sup->family = f;
    pthread_spin_unlock(&sup->family_lock);
}

uint32_t family_size(const struct family *f)
{
    return (uint32_t)atomic_load_explicit(&f->refs, memory_order_seq_cst); /* partner: leave() */
}

uint32_t family_active(struct family *f)
{
    uint32_t waiting = 0;

    for (int i = 0; i < SHARDS; i++) {
        pthread_spin_lock(&f->shards[i].lock);
        waiting += f->shards[i].waiting;
        pthread_spin_unlock(&f->shards[i].lock);
    }
    uint32_t all = family_size(f);
    return all > waiting ? all - waiting : 0;
}

/* ---- children come --------------------------------------------------------------------------- */

/* Under the lock of its shard; see the head of this file. */
static int count_in(struct family *f)
{
    if (atomic_load_explicit(&f->stopping, memory_order_seq_cst))
        return TDM_ESHUTDOWN;
    uint32_t before = (uint32_t)atomic_fetch_add_explicit(&f->refs, 1, memory_order_seq_cst);
    if (f->cfg.max_children == 0 || before < f->cfg.max_children)
        return TDM_OK;
    atomic_fetch_sub_explicit(&f->refs, 1, memory_order_seq_cst);
    return TDM_EBUSY;
}

static int enter(struct family *f, struct child *c)
{
    unsigned i = c->actor->slot % SHARDS;

    pthread_spin_lock(&f->shards[i].lock);
    int err = count_in(f);
    if (err == TDM_OK) {
        c->prev = NULL;
        c->next = f->shards[i].first;
        if (c->next != NULL)
            c->next->prev = c;
        f->shards[i].first = c;
    }
    pthread_spin_unlock(&f->shards[i].lock);
    return err;
}

/* Under the shard's lock. */
static void unlink_child(struct family *f, struct child *c, unsigned shard)
{
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        f->shards[shard].first = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    f->shards[shard].waiting -= c->state == CHILD_WAITING;
}

static void free_child(struct child *c)
{
    struct tdm_runtime *rt = c->family->rt;
    uint32_t intensity = (uint32_t)c->family->cfg.intensity;

    if (c->arg != NULL)
        runtime_free_block(rt, (void *)c->arg, c->arg_bytes);
    if (c->last != NULL)
        runtime_free_block(rt, c->last, sizeof *c->last);
    note_fini(rt, &c->note);
    if (c->times != NULL)
        runtime_free_block(rt, c->times, (intensity + 1) * sizeof *c->times);
    runtime_free_block(rt, c, sizeof *c);
}

static struct child *child_new(struct family *f, const struct tdm_child_spec *spec, uint32_t index,
                               const void *arg, size_t arg_bytes)
{
    struct child *c = runtime_alloc(f->rt, sizeof *c);

    if (c == NULL)
        return NULL;
    memset(c, 0, sizeof *c);
    c->family = f;
    c->spec = spec;
    c->index = index;
    c->exit_notice.msg.type = SIG_CHILD_EXIT;
    c->exit_notice.child = c;
    c->start_notice.msg.type = SIG_CHILD_STARTED;
    c->start_notice.child = c;
    if (arg_bytes > 0) {
        c->arg = copy_bytes(f->rt, arg, arg_bytes);
        c->arg_bytes = arg_bytes;
        if (c->arg == NULL) {
            runtime_free_block(f->rt, c, sizeof *c);
            return NULL;
        }
    }
    return c;
}

static struct tdm_spawn_cfg start_cfg(const struct child *c, const char *tag)
{
    struct tdm_spawn_cfg cfg = c->spec->start;

    if (c->arg != NULL) {
        cfg.arg = c->arg;
        cfg.arg_bytes = c->arg_bytes;
    }
    if (tag != NULL)
        cfg.tag = tag;
    if (cfg.behaviour ==
        &tdm_supervisor) /* whatever the spec says: a stop would kill its children otherwise */
        cfg.trap_exit = cfg.trap_stop = true;
    return cfg;
}

static void set_flags(struct tdm_self *a, const struct child *c)
{
    if (c->spec->mail == TDM_MAIL_KEEP)
        a->flags |= ACTOR_KEEP_MAIL | (c->spec->redeliver == TDM_REDELIVER_ONCE ? ACTOR_REDELIVER : 0);
    if (c->spec->start.behaviour == &tdm_supervisor)
        a->flags |= ACTOR_LATE_START;
}

int family_start_child(struct family *f, const struct tdm_child_spec *spec, uint32_t index, const void *arg,
                       size_t arg_bytes, const char *tag, struct child **ret, tdm_place *place)
{
    struct tdm_runtime *rt = f->rt;
    struct child *c = child_new(f, spec, index, arg, arg_bytes);
    struct tdm_self *a;

    if (c == NULL)
        return TDM_ENOMEM;
    struct tdm_spawn_cfg cfg = start_cfg(c, tag);
    int err = actor_make(rt, &cfg, &a);
    if (err < 0) {
        free_child(c);
        return err;
    }
    c->actor = a;
    c->launched_ns = rt->env->now_ns(rt->env);
    a->child = c;
    set_flags(a, c);
    actor_launch(a); /* before it enters: who stops the family must be able to reach it */
    err = enter(f, c);
    if (err < 0) {
        a->child = NULL;
        actor_end(a, &(struct tdm_reason){ .kind = TDM_EXIT_SHUTDOWN },
                  false); /* unknown: the turn is ours */
        free_child(c);
        return err;
    }
    tdm_count(&counter_spawned, 1);
    if (ret != NULL)
        *ret = c;
    if (place != NULL)
        *place = tdm_self_place(a);
    actor_make_runnable(a); /* last: it may run, end and be gone at once */
    return TDM_OK;
}

/* The supervisor's family, held, or NULL. */
static struct family *family_hold(struct tdm_runtime *rt, tdm_pid sup)
{
    struct tdm_self *a = actor_of(rt, sup.id & ~PLACE_BIT);
    struct family *f = NULL;

    if (a == NULL)
        return NULL;
    pthread_spin_lock(&a->family_lock);
    if (atomic_load_explicit(&a->gen, memory_order_acquire) == id_gen(sup.id) && a->family != NULL) {
        f = a->family;
        atomic_fetch_add_explicit(&f->refs, HOLD, memory_order_relaxed); /* the supervisor's is there still */
    }
    pthread_spin_unlock(&a->family_lock);
    return f;
}

int tdm_sup_start_dynamic(struct tdm_runtime *rt, tdm_pid sup, const void *arg, size_t arg_bytes,
                          const char *tag, tdm_place *ret)
{
    struct family *f = family_hold(rt, sup);

    if (f == NULL)
        return TDM_ENOPROC;
    int err = f->cfg.strategy != TDM_DYNAMIC
                  ? TDM_EINVAL
                  : family_start_child(f, &f->specs[0], 0, arg, arg_bytes, tag, NULL, ret);
    family_unref(f);
    return err;
}

uint32_t tdm_sup_active(struct tdm_runtime *rt, tdm_pid sup)
{
    struct family *f = family_hold(rt, sup);
    uint32_t n = f == NULL ? 0 : family_active(f);

    family_unref(f);
    return n;
}

/* ---- children go ----------------------------------------------------------------------------- */

bool family_abnormal(const struct tdm_reason *r)
{
    return r == NULL || (r->kind != TDM_EXIT_NORMAL && r->kind != TDM_EXIT_SHUTDOWN);
}

bool family_wants_restart(enum tdm_restart type, const struct tdm_reason *r)
{
    return type == TDM_PERMANENT || (type == TDM_TRANSIENT && family_abnormal(r));
}

bool family_place_stays(struct tdm_self *a, const struct tdm_reason *reason)
{
    const struct child *c = a->child;
    const struct family *f = c->family;
    bool started = (a->flags & ACTOR_ANNOUNCED) != 0;

    if (f->cfg.strategy != TDM_DYNAMIC)
        return true; /* its supervisor keeps the books */
    if (atomic_load_explicit(&f->stopping, memory_order_seq_cst) || (a->flags & ACTOR_IGNORED))
        return false;
    if (!started && c->restarts == 0)
        return false; /* a first start that failed leaves nothing */
    return family_wants_restart(c->spec->restart, reason);
}

/* To a family that is held. */
static void say_empty(struct family *f)
{
    struct tdm_msg *m = &f->empty_notice.msg;

    pthread_spin_lock(&f->shards[0].lock);
    if (!f->told_empty && !atomic_load_explicit(&f->dead, memory_order_relaxed)) { /* see family_ended() */
        *m = (struct tdm_msg){ .type = SIG_FAMILY_EMPTY };
        f->told_empty = actor_post_locked(f->rt, f->sup.id, m) == TDM_OK;
    }
    pthread_spin_unlock(&f->shards[0].lock);
}

bool family_empty_heard(struct family *f)
{
    pthread_spin_lock(&f->shards[0].lock);
    f->told_empty = false; /* who leaves last from here on tells anew */
    pthread_spin_unlock(&f->shards[0].lock);
    return family_size(f) == 0;
}

/* The place is gone. seq_cst: either we see `stopping`, or the supervisor, after family_stop(), the smaller
 * size. */
static void leave(struct child *c)
{
    struct family *f = c->family;
    uint64_t old = atomic_load_explicit(&f->refs, memory_order_relaxed), new;

    free_child(c);
    do {
        new = (uint32_t)old == 1 ? old - 1 + HOLD : old - 1;
    } while (!atomic_compare_exchange_weak_explicit(&f->refs, &old, new, memory_order_seq_cst,
                                                    memory_order_relaxed));
    if ((uint32_t)old != 1)
        return; /* others are left: it is theirs to look */
    if (atomic_load_explicit(&f->stopping, memory_order_seq_cst))
        say_empty(f);
    family_unref(f);
}

static void log_end(const struct child *c, const struct tdm_reason *reason, bool started)
{
    char why[TDM_REASON_TEXT_BYTES + 64];

    if (!family_abnormal(reason) && c->spec->restart != TDM_PERMANENT)
        return;
    tdm_reason_str(reason, why, sizeof why);
    tdm_log_error(started ? "supervisor.child_terminated" : "supervisor.start_error",
                  "child=%s reason=%s restarts=%u",
                  c->spec->id != NULL ? c->spec->id : module_or_behaviour(&c->spec->start),
                  TDM_LOG_TEXT(why, strlen(why)), c->restarts);
}

bool family_child_ended(struct tdm_self *a, tdm_pid pid, const struct tdm_reason *reason, bool stays)
{
    struct child *c = a->child;
    struct family *f = c->family;
    unsigned shard = a->slot % SHARDS;
    bool posted = false;

    c->started = (a->flags & ACTOR_ANNOUNCED) != 0;
    c->ignored = (a->flags & ACTOR_IGNORED) != 0;
    c->last_pid = pid;
    if (stays && c->last == NULL)
        c->last = runtime_alloc(f->rt, sizeof *c->last);
    if (stays && c->last != NULL)
        *c->last = *reason;
    if (tdm_log_level() <= TDM_LOG_ERROR && !atomic_load_explicit(&f->stopping, memory_order_relaxed))
        log_end(c, reason, c->started);
    pthread_spin_lock(&f->shards[shard].lock);
    /* under the lock: see family_ended() */
    if ((stays || c->terminating) && !atomic_load_explicit(&f->dead, memory_order_relaxed)) {
        c->state = CHILD_WAITING;
        f->shards[shard].waiting++;
        posted = actor_post_locked(f->rt, f->sup.id, &c->exit_notice.msg) == TDM_OK;
    }
    if (!posted)
        unlink_child(f, c, shard);
    pthread_spin_unlock(&f->shards[shard].lock);
    if (posted)
        return true;
    a->child = NULL;
    leave(c);
    return false;
}

void family_child_started(struct tdm_self *a, int err)
{
    struct child *c = a->child;
    struct family *f = c->family;

    c->start_err = err;
    if (f->cfg.strategy == TDM_DYNAMIC)
        return;
    unsigned shard = a->slot % SHARDS;
    pthread_spin_lock(&f->shards[shard].lock);
    if (!atomic_load_explicit(&f->dead, memory_order_relaxed)) /* under the lock: see family_ended() */
        (void)actor_post_locked(f->rt, f->sup.id, &c->start_notice.msg);
    pthread_spin_unlock(&f->shards[shard].lock);
}

void family_describe_start(struct tdm_self *a, struct tdm_start *start)
{
    const struct child *c = a->child;

    if (c == NULL)
        return;
    start->restarts = c->restarts;
    start->last = c->restarts > 0 ? c->last : NULL;
    note_describe_start(&c->note, start);
}

static void set_state(struct child *c, enum child_state state)
{
    unsigned shard = c->actor->slot % SHARDS;

    pthread_spin_lock(&c->family->shards[shard].lock);
    c->state = state;
    c->family->shards[shard].waiting += state == CHILD_WAITING ? 1 : (uint32_t)-1;
    pthread_spin_unlock(&c->family->shards[shard].lock);
}

int family_restart_child(struct child *c)
{
    struct tdm_spawn_cfg cfg = start_cfg(c, NULL);
    struct tdm_runtime *rt = c->family->rt;

    set_state(c, CHILD_RUNNING);
    c->restarts++;
    c->launched_ns = rt->env->now_ns(rt->env);
    int err = actor_relaunch(c->actor, &cfg);
    if (err < 0)
        set_state(c, CHILD_WAITING);
    return err;
}

void family_remove_child(struct child *c)
{
    struct family *f = c->family;
    struct tdm_self *a = c->actor;
    unsigned shard = a->slot % SHARDS;

    pthread_spin_lock(&f->shards[shard].lock);
    unlink_child(f, c, shard);
    pthread_spin_unlock(&f->shards[shard].lock);
    a->child = NULL;
    actor_bury(a);
    leave(c);
}

/* ---- all of them ----------------------------------------------------------------------------- */

void family_stop(struct family *f)
{
    atomic_store_explicit(&f->stopping, true, memory_order_seq_cst);
}

uint32_t family_control_all(struct family *f, uint32_t bit)
{
    uint32_t n = 0;

    for (int i = 0; i < SHARDS; i++) {
        pthread_spin_lock(&f->shards[i].lock);
        for (struct child *c = f->shards[i].first; c != NULL; c = c->next) {
            tdm_pid pid = { id_make(atomic_load_explicit(&c->actor->gen, memory_order_acquire),
                                    c->actor->slot) };
            n++;
            if (c->state == CHILD_RUNNING)
                (void)actor_control(f->rt, pid, bit); /* one that ends just now needs no telling */
        }
        pthread_spin_unlock(&f->shards[i].lock);
    }
    return n;
}

struct child *family_terminate(struct family *f, tdm_pid pid)
{
    unsigned shard = id_slot(pid.id) % SHARDS;
    struct child *c;

    pthread_spin_lock(&f->shards[shard].lock);
    for (c = f->shards[shard].first; c != NULL && c->actor->slot != id_slot(pid.id); c = c->next)
        ;
    if (c != NULL) {
        uint32_t gen = atomic_load_explicit(&c->actor->gen, memory_order_acquire);
        /* neither: it ends just now, and its place with it or not; we shall be told */
        bool other = gen != 0 ? gen != id_gen(pid.id) : c->state == CHILD_WAITING && c->last_pid.id != pid.id;
        if (other)
            c = NULL;
        else
            c->terminating = true;
    }
    pthread_spin_unlock(&f->shards[shard].lock);
    return c;
}

/* The supervisor's incarnation has ended, in whatever way: no child outlives it. The children that run are
 * killed and bury themselves; those that waited for its decision are buried here. */
void family_ended(struct tdm_self *sup, const struct tdm_reason *reason)
{
    struct family *f = sup->family;
    struct child *waiting = NULL;

    (void)reason;
    pthread_spin_lock(&sup->family_lock);
    sup->family = NULL;
    pthread_spin_unlock(&sup->family_lock);
    family_stop(f);
    for (int i = 0; i < SHARDS; i++) {
        pthread_spin_lock(&f->shards[i].lock);
        atomic_store_explicit(&f->dead, true, memory_order_relaxed); /* read under these locks */
        for (struct child *c = f->shards[i].first, *next; c != NULL; c = next) {
            next = c->next;
            tdm_pid pid = { id_make(atomic_load_explicit(&c->actor->gen, memory_order_acquire),
                                    c->actor->slot) };
            if (c->state == CHILD_RUNNING) {
                (void)actor_control(f->rt, pid, CONTROL_KILL);
            } else {
                unlink_child(f, c, (unsigned)i);
                c->next = waiting;
                waiting = c;
            }
        }
        pthread_spin_unlock(&f->shards[i].lock);
    }
    actor_drop_unread(sup); /* the notices in its mailbox lie in the children that are buried next */
    while (waiting != NULL) {
        struct child *next = waiting->next;
        waiting->actor->child = NULL;
        actor_bury(waiting->actor);
        leave(waiting);
        waiting = next;
    }
    family_unref(f);
}

/* ---- places ---------------------------------------------------------------------------------- */

/* In place_end: the birth above, and below it the type of the last message, or this. */
#define OVER_AT_ONCE 0xffffffffu

/* An incarnation that lived before the send finds the end in its mailbox, and if it crashes before it gets there, its
 * successor does: nothing that was delivered is lost. With none there, or when the end itself was being handled at the
 * crash, nobody is started any more. The birth says which place is meant: a later tenant of the slot is not touched. */
int tdm_place_end(struct tdm_runtime *rt, tdm_place place, struct tdm_msg *last)
{
    struct tdm_self *a = actor_of(rt, place.id | PLACE_BIT);
    uint32_t type = last->type;

    if (a == NULL)
        return TDM_ENOPROC;
    bool lived = atomic_load_explicit(&a->gen, memory_order_seq_cst) != 0;
    int err = actor_post(rt, place.id | PLACE_BIT, last);
    /* seq_cst: a supervisor that does not see this yet starts an incarnation that finds the end in its mail */
    atomic_store_explicit(&a->place_end, (uint64_t)id_gen(place.id) << 32 | (lived ? type : OVER_AT_ONCE),
                          memory_order_seq_cst);
    return err;
}

bool family_place_over(const struct child *c)
{
    uint32_t birth =
        atomic_load_explicit(&c->actor->birth, memory_order_relaxed); /* stands while the child does */
    uint64_t end = atomic_load_explicit(&c->actor->place_end, memory_order_seq_cst);

    if (end >> 32 != birth)
        return false;
    return (uint32_t)end == OVER_AT_ONCE || !actor_has_unread(c->actor, (uint32_t)end);
}

tdm_pid tdm_place_pid(struct tdm_runtime *rt, tdm_place place)
{
    struct tdm_self *a = actor_of(rt, place.id | PLACE_BIT);
    uint32_t gen = a == NULL ? 0 : atomic_load_explicit(&a->gen, memory_order_acquire);

    return (tdm_pid){ gen == 0 ? 0 : id_make(gen, a->slot) };
}
