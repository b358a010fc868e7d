/* family.c - a supervisor and its children, as seen from any thread: how children come, and come again.
 *
 * Idea:      starting a child of a dynamic supervisor must not stand in line before one mailbox. So the
 *            list of children lies beside the supervisor, in shards with a lock each: whoever starts a
 *            child enters it there, and a child that ends for good takes itself out (family_end.c). The
 *            supervisor's mailbox is needed only for what the supervisor must decide: restarts.
 * Invariant: a child is in its shard from before its first step until its place is gone. It is RUNNING or COMING, or
 *            WAITING with its notice posted; the change and the post are one step under the shard's
 *            lock, and after the supervisor's end (`closed`) nothing is posted any more.
 * One word counts children (low half) and those who hold the family (high half: the supervisor, and whoever
 * starts a child just now). The family is freed when both are none. A child that leaves as the last one takes a
 * hold in the same step, so that it may still tell the supervisor.
 * Stopping:  `stopping` is set, then every shard's lock is passed. A starter that saw it unset under its shard's
 *            lock has entered its child before that, and the child is told to stop with the others; later ones
 *            are refused. */
#include "family.h"

#include <stdio.h>
#include <string.h>

#include "sup_log.h"
#include "sup_spec.h"

const char *family_name(const struct family *f)
{
    return f->name;
}

/* ---- making ---------------------------------------------------------------------------------- */

static void *copy_bytes(struct tdm_runtime *rt, const void *from, size_t bytes)
{
    void *to = runtime_alloc(rt, bytes);
    return to == NULL ? NULL : memcpy(to, from, bytes);
}

static void free_ring(struct tdm_runtime *rt, struct ring *r)
{
    if (r->times != NULL)
        runtime_free_block(rt, r->times, r->room * sizeof *r->times);
}

static void free_family(struct family *f)
{
    struct tdm_runtime *rt = f->rt;

    while (f->specs != NULL)
        family_drop_spec(f, f->specs);
    family_free_tallies(f);
    free_ring(rt, &f->times);
    if (f->name != NULL)
        runtime_free_block(rt, f->name, strlen(f->name) + 1);
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
    f->strategy = cfg->strategy;
    atomic_init(&f->max_children, cfg->max_children);
    atomic_init(&f->refs, HOLD);
    pthread_spin_init(&f->tally_lock, PTHREAD_PROCESS_PRIVATE);
    for (int i = 0; i < SHARDS; i++)
        pthread_spin_init(&f->shards[i].lock, PTHREAD_PROCESS_PRIVATE);
    if (cfg->name != NULL && (f->name = copy_bytes(rt, cfg->name, strlen(cfg->name) + 1)) == NULL) {
        free_family(f);
        return TDM_ENOMEM;
    }
    *ret = f;
    return TDM_OK;
}

/* Of a line that is too long the upper part is left out: the near ones say more. */
static void write_line(struct family *f, const struct tdm_self *sup)
{
    const char *name = f->name != NULL ? f->name : sup->tag != NULL ? sup->tag : "supervisor";
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
    pthread_spin_lock(&sup->lock);
    sup->family = f;
    pthread_spin_unlock(&sup->lock);
}

/* ---- specs ----------------------------------------------------------------------------------- */

void family_add_spec(struct family *f, struct spec *spec)
{
    spec->prev = NULL;
    spec->next = f->specs;
    if (spec->next != NULL)
        spec->next->prev = spec;
    f->specs = spec;
}

void family_drop_spec(struct family *f, struct spec *spec)
{
    if (spec->prev != NULL)
        spec->prev->next = spec->next;
    else
        f->specs = spec->next;
    if (spec->next != NULL)
        spec->next->prev = spec->prev;
    spec_free(f->rt, spec);
}

void family_set_template(struct family *f, struct spec *spec, uint32_t max_children)
{
    family_add_spec(f, spec);
    /* release: its contents; partner: family_template() */
    atomic_store_explicit(&f->template, spec, memory_order_release);
    atomic_store_explicit(&f->max_children, max_children,
                          memory_order_relaxed); /* a bound, with nothing behind it */
}

const struct tdm_child_spec *family_template(const struct family *f)
{
    return &atomic_load_explicit(&f->template, memory_order_acquire)->s;
}

/* ---- children come --------------------------------------------------------------------------- */

uint32_t family_size(const struct family *f)
{
    return (uint32_t)atomic_load_explicit(&f->refs, memory_order_seq_cst); /* partner: family_leave() */
}

/* Under the lock of its shard; see the head of this file. */
static int count_in(struct family *f)
{
    uint32_t most =
        atomic_load_explicit(&f->max_children, memory_order_relaxed); /* see family_set_template() */

    if (atomic_load_explicit(&f->stopping, memory_order_seq_cst))
        return TDM_ESHUTDOWN;
    uint32_t before = (uint32_t)atomic_fetch_add_explicit(&f->refs, 1, memory_order_seq_cst);
    if (most == 0 || before < most)
        return TDM_OK;
    atomic_fetch_sub_explicit(&f->refs, 1, memory_order_seq_cst);
    return TDM_EBUSY;
}

/* `launched`, if not NULL, is told before the child takes its first step. */
static int enter(struct family *f, struct child *c, struct tdm_msg *launched)
{
    unsigned i = family_shard(c);

    pthread_spin_lock(&f->shards[i].lock);
    int err = count_in(f);
    if (err == TDM_OK) {
        c->prev = NULL;
        c->next = f->shards[i].first;
        if (c->next != NULL)
            c->next->prev = c;
        f->shards[i].first = c;
        atomic_store_explicit(&c->actor->parent, f,
                              memory_order_relaxed); /* under the lock; see child_of() */
        if (launched != NULL && actor_post_locked(f->rt, f->sup.id, launched) == TDM_OK)
            launched = NULL;
    }
    pthread_spin_unlock(&f->shards[i].lock);
    tdm_msg_free(f->rt, launched); /* it was not wanted */
    return err;
}

void family_unlink_child(struct family *f, struct child *c, unsigned shard)
{
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        f->shards[shard].first = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    f->shards[shard].waiting -= c->state != CHILD_RUNNING;
    atomic_store_explicit(&c->actor->parent, NULL, memory_order_relaxed); /* as in enter() */
}

void family_free_child(struct child *c)
{
    struct tdm_runtime *rt = c->family->rt;

    if (c->arg != NULL)
        runtime_free_block(rt, (void *)c->arg, c->arg_bytes);
    if (c->last != NULL)
        runtime_free_block(rt, c->last, sizeof *c->last);
    note_fini(rt, &c->note);
    free_ring(rt, &c->times);
    runtime_free_block(rt, c, sizeof *c);
}

static struct child *child_new(struct family *f, const struct child_start *how)
{
    struct child *c = runtime_alloc(f->rt, sizeof *c);

    if (c == NULL)
        return NULL;
    memset(c, 0, sizeof *c);
    c->family = f;
    c->spec = how->spec;
    c->entry = how->entry;
    atomic_init(&c->told, how->told);
    c->exit_notice.msg.type = SIG_CHILD_EXIT;
    c->exit_notice.child = c;
    c->start_notice.msg.type = SIG_CHILD_STARTED;
    c->start_notice.child = c;
    if (how->arg_bytes > 0 &&
        how->spec->restart != TDM_TEMPORARY) { /* one that is never restarted needs it once */
        c->arg = copy_bytes(f->rt, how->arg, how->arg_bytes);
        c->arg_bytes = how->arg_bytes;
        if (c->arg == NULL) {
            runtime_free_block(f->rt, c, sizeof *c);
            return NULL;
        }
    }
    return c;
}

static struct tdm_spawn_cfg start_cfg(const struct child *c)
{
    struct tdm_spawn_cfg cfg = c->spec->start;

    if (c->arg != NULL) {
        cfg.arg = c->arg;
        cfg.arg_bytes = c->arg_bytes;
    }
    if (cfg.behaviour ==
        &tdm_supervisor) /* whatever the spec says: a stop would kill its children otherwise */
        cfg.trap_exit = cfg.trap_stop = true;
    return cfg;
}

static void set_flags(struct tdm_self *a, const struct child *c)
{
    a->flags &= ~(uint32_t)(ACTOR_KEEP_MAIL | ACTOR_REDELIVER | ACTOR_LATE_START);
    if (c->spec->mail == TDM_MAIL_KEEP)
        a->flags |= ACTOR_KEEP_MAIL | (c->spec->redeliver == TDM_REDELIVER_ONCE ? ACTOR_REDELIVER : 0);
    if (c->spec->start.behaviour == &tdm_supervisor)
        a->flags |= ACTOR_LATE_START;
}

/* An actor in a slot, launched, that is this child; nobody knows it yet. */
static int make_actor(struct child *c, const struct child_start *how)
{
    struct tdm_runtime *rt = c->family->rt;
    struct tdm_spawn_cfg cfg = start_cfg(c);

    if (how->arg_bytes > 0) {
        cfg.arg = how->arg;
        cfg.arg_bytes = how->arg_bytes;
    }
    if (how->tag != NULL)
        cfg.tag = how->tag;
    int err = actor_make(rt, &cfg, &c->actor);
    if (err < 0)
        return err;
    c->launched_ns = c->actor->born_ns;
    c->actor->child = c;
    set_flags(c->actor, c);
    actor_launch(c->actor); /* before it enters: who stops the family must be able to reach it */
    c->pid = tdm_self_pid(c->actor);
    return TDM_OK;
}

/* It could not enter. */
static void undo_actor(struct child *c)
{
    static const struct tdm_reason shutdown = { .kind = TDM_EXIT_SHUTDOWN };

    c->actor->child = NULL;
    actor_end(c->actor, &shutdown, false); /* unknown: the turn is ours */
}

int family_start_child(struct family *f, const struct child_start *how, struct child **ret, tdm_place *place)
{
    struct child *c = child_new(f, how);
    struct tdm_msg *launched = NULL;
    int err = TDM_ENOMEM;

    if (c == NULL)
        return err;
    if (how->told && how->entry == NULL && /* the supervisor has not made it, and is to time its start */
        (launched = tdm_msg_copy(f->rt, SIG_CHILD_LAUNCHED, &c, sizeof(struct child *))) == NULL)
        goto fail;
    err = make_actor(c, how);
    if (err < 0) {
        tdm_msg_free(f->rt, launched);
        goto fail;
    }
    struct tdm_self *a = c->actor;
    err = enter(f, c, launched);
    if (err < 0) {
        undo_actor(c);
        goto fail;
    }
    tdm_count(&counter_spawned, 1);
    if (ret != NULL)
        *ret = c;
    if (place != NULL)
        *place = tdm_self_place(a);
    actor_make_runnable(a); /* last: it may run, end and be gone at once */
    return TDM_OK;
fail:
    family_free_child(c);
    return err;
}

struct family *family_hold(struct tdm_runtime *rt, tdm_pid sup)
{
    struct tdm_self *a = actor_of(rt, sup.id & ~PLACE_BIT);
    struct family *f = NULL;

    if (a == NULL)
        return NULL;
    pthread_spin_lock(&a->lock);
    if (atomic_load_explicit(&a->gen, memory_order_acquire) == id_gen(sup.id) && a->family != NULL) {
        f = a->family;
        atomic_fetch_add_explicit(&f->refs, HOLD, memory_order_relaxed); /* the supervisor's is there still */
    }
    pthread_spin_unlock(&a->lock);
    return f;
}

int tdm_sup_start_dynamic(struct tdm_runtime *rt, tdm_pid sup, const void *arg, size_t arg_bytes,
                          const char *tag, tdm_place *ret)
{
    struct family *f = family_hold(rt, sup);
    int err = TDM_EINVAL;

    if (f == NULL)
        return TDM_ENOPROC;
    if (f->strategy == TDM_DYNAMIC) {
        const struct tdm_child_spec *spec = family_template(f);
        struct child_start how = {
            .spec = spec, .arg = arg, .arg_bytes = arg_bytes, .tag = tag, .told = spec->start_timeout_ms > 0
        };
        err = family_start_child(f, &how, NULL, ret);
    }
    family_unref(f);
    return err;
}

/* ---- between two incarnations ---------------------------------------------------------------- */

void family_describe_start(struct tdm_self *a, struct tdm_start *start)
{
    const struct child *c = a->child;

    if (c == NULL)
        return;
    start->restarts = c->restarts;
    start->last = c->restarts > 0 ? c->last : NULL;
    note_describe_start(&c->note, start);
}

void tdm_start_value(tdm_self *self, uint64_t value)
{
    if (self->child != NULL)
        self->child->value = value;
}

void family_name_taken(struct tdm_self *a, tdm_pid holder)
{
    if (a->child != NULL)
        a->child->name_holder = holder;
}

static void set_state(struct child *c, enum child_state state, tdm_pid pid)
{
    unsigned shard = family_shard(c);

    pthread_spin_lock(&c->family->shards[shard].lock);
    c->family->shards[shard].waiting -= c->state != CHILD_RUNNING;
    c->family->shards[shard].waiting += state != CHILD_RUNNING;
    c->state = state;
    c->pid = pid;
    pthread_spin_unlock(&c->family->shards[shard].lock);
}

/* The start is through: it counts as active again, and who asked for it is told. */
void family_child_started(struct tdm_self *a)
{
    struct child *c = a->child;
    struct family *f = c->family;
    unsigned shard = family_shard(c);
    atomic_store_explicit(&c->up, true, memory_order_relaxed); /* see describe() */
    if (f->strategy == TDM_DYNAMIC)
        sup_log_started(c);
    /* The state is ours to read: others change it only between two incarnations. relaxed: what matters was written before
     * we ran; who terminates us since waits for the end alone. */
    if (f->strategy == TDM_DYNAMIC && c->state == CHILD_RUNNING &&
        !atomic_load_explicit(&c->told, memory_order_relaxed))
        return;
    pthread_spin_lock(&f->shards[shard].lock);
    f->shards[shard].waiting -= c->state != CHILD_RUNNING;
    c->state = CHILD_RUNNING;
    if ((f->strategy != TDM_DYNAMIC ||
         atomic_load_explicit(&c->told, memory_order_relaxed)) && /* under the lock */
        !atomic_load_explicit(&f->closed, memory_order_relaxed))  /* likewise: see family_ended() */
        (void)actor_post_locked(f->rt, f->sup.id, &c->start_notice.msg);
    pthread_spin_unlock(&f->shards[shard].lock);
}

int family_restart_child(struct child *c, const struct tdm_child_spec *spec)
{
    struct tdm_runtime *rt = c->family->rt;
    const struct tdm_child_spec *before = c->spec;
    tdm_pid last = c->pid, next = { id_make(c->actor->next_gen, c->actor->slot) };

    c->spec = spec;
    struct tdm_spawn_cfg cfg = start_cfg(c);
    atomic_store_explicit(&c->up, false, memory_order_relaxed); /* see describe() */
    atomic_store_explicit(&c->told, c->family->strategy == TDM_DYNAMIC && spec->start_timeout_ms > 0,
                          memory_order_relaxed); /* handed over with the turn */
    c->value = 0;
    c->name_holder.id = 0;
    set_flags(c->actor, c);
    set_state(c, c->started ? CHILD_RUNNING : CHILD_COMING, next);
    c->restarts++;
    c->launched_ns = rt->env->now_ns(rt->env);
    int err = actor_relaunch(c->actor, &cfg);
    if (err < 0) {
        c->spec = before;
        set_state(c, CHILD_WAITING, last);
    }
    return err;
}

void family_remove_child(struct child *c)
{
    struct family *f = c->family;
    struct tdm_self *a = c->actor;
    unsigned shard = family_shard(c);

    pthread_spin_lock(&f->shards[shard].lock);
    family_unlink_child(f, c, shard);
    pthread_spin_unlock(&f->shards[shard].lock);
    a->child = NULL;
    actor_bury(a);
    family_leave(c);
}
