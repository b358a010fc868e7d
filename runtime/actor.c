/* actor.c - how an actor comes to be: made in a slot, launched with an address, launched again by its supervisor.
 *
 * Idea:      an actor is touched by whoever holds its turn: the worker whose run queue it came from. The turn
 *            is taken up by a push that finds the box IDLE, and given up in slice.c; the end is in end.c, the
 *            ways in are in send.c.
 * Invariant: between actor_launch() and actor_end() exactly one thread has the turn, or the box is IDLE. */
#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "inbox.h"
#include "module.h"
#include "runtime.h"
#include "slot.h"
#include "tandem/log.h"

TDM_COUNTER(counter_spawned, "tandem_actors_spawned_total", "actors started, restarts not counted");
TDM_COUNTER(counter_restarted, "tandem_actors_restarted_total",
            "incarnations started by a supervisor after an end");

static int start_info_make(struct tdm_runtime *rt, const struct tdm_spawn_cfg *cfg, struct start_info **ret)
{
    size_t bytes = sizeof(struct start_info) + cfg->arg_bytes;
    struct start_info *s = runtime_alloc(rt, bytes);

    if (s == NULL)
        return TDM_ENOMEM;
    s->cfg = *cfg;
    s->bytes = bytes;
    if (cfg->arg_bytes > 0)
        memcpy(s->arg_copy, cfg->arg, cfg->arg_bytes);
    s->cfg.arg = cfg->arg == NULL ? NULL : s->arg_copy;
    *ret = s;
    return TDM_OK;
}

void actor_drop_start(struct tdm_self *a)
{
    if (a->start != NULL)
        runtime_free_block(a->rt, a->start, a->start->bytes);
    a->start = NULL;
}

static int set_tag(struct tdm_self *a, const char *tag)
{
    if (tag == NULL || tag[0] == '\0')
        return TDM_OK;
    if (a->tag == NULL) {
        a->tag = runtime_alloc(a->rt, 64);
        if (a->tag == NULL)
            return TDM_ENOMEM;
    }
    snprintf(a->tag, 64, "%s", tag);
    return TDM_OK;
}

static int set_history(struct tdm_self *a, uint32_t size)
{
    if (size == 0)
        return TDM_OK;
    a->history = runtime_alloc(a->rt, sizeof *a->history + size * sizeof a->history->entries[0]);
    if (a->history == NULL)
        return TDM_ENOMEM;
    memset(a->history, 0, sizeof *a->history + size * sizeof a->history->entries[0]);
    a->history->size = size;
    return TDM_OK;
}

static int check_cfg(const struct tdm_spawn_cfg *cfg)
{
    if ((cfg->behaviour != NULL) == (cfg->module != NULL))
        return TDM_EINVAL;
    if (cfg->behaviour != NULL && cfg->behaviour->handle == NULL && cfg->behaviour->run == NULL)
        return TDM_EINVAL;
    if (cfg->mailbox_limit > TDM_MAILBOX_MAX || cfg->history > 32 || (cfg->arg == NULL && cfg->arg_bytes > 0))
        return TDM_EINVAL;
    return TDM_OK;
}

/* A supervisor's books grow with its children, who decide on that: it has no limit. */
static uint64_t memory_limit_of(const struct tdm_spawn_cfg *cfg)
{
    if (cfg->behaviour == &tdm_supervisor)
        return TDM_MEMORY_UNLIMITED;
    return cfg->memory_limit == 0 ? TDM_MEMORY_DEFAULT : cfg->memory_limit;
}

/* What one incarnation has and the next gets anew. */
static void clear_incarnation(struct tdm_self *a, const struct tdm_spawn_cfg *cfg)
{
    a->behaviour = cfg->module != NULL ? &module_unresolved : cfg->behaviour; /* see module_begin() */
    a->fibers = a->behaviour->run != NULL;
    atomic_store_explicit(&a->overflow, (uint8_t)cfg->overflow, memory_order_relaxed); /* see actor.h */
    /* release: the account itself; partner: turned_away() */
    atomic_store_explicit(&a->account, account_of(cfg->module != NULL ? cfg->module : cfg->behaviour->name),
                          memory_order_release);
    inbox_open(a, cfg->overflow);
    atomic_store_explicit(&a->limit,
                          (uint16_t)(cfg->mailbox_limit == 0 ? TDM_MAILBOX_DEFAULT : cfg->mailbox_limit),
                          memory_order_relaxed);
    a->flags = (a->flags & (ACTOR_KEEP_MAIL | ACTOR_REDELIVER | ACTOR_LATE_START)) | ACTOR_STARTING |
               (cfg->trap_exit ? ACTOR_TRAP_EXIT : 0) | (cfg->trap_stop ? ACTOR_TRAP_STOP : 0) |
               (cfg->drain_on_shutdown ? ACTOR_DRAIN : 0);
    a->state = NULL;
    a->fiber = NULL;
    a->pieces = NULL;
    a->links = NULL;
    a->requests = NULL;
    a->names = NULL;
    a->memberships = NULL;
    a->exit = NULL;
    a->born_ns = a->rt->env->now_ns(a->rt->env);
    a->memory = 0;
    a->memory_limit = memory_limit_of(cfg);
    a->timers = 0;
}

/* What an incarnation needs from the module it runs, and its start argument. */
static int prepare(struct tdm_runtime *rt, const struct tdm_spawn_cfg *cfg, struct start_info **start,
                   struct module_use **use)
{
    int err = cfg->module != NULL ? module_use_new(rt, cfg->module, use) : TDM_OK;

    if (err < 0)
        return err;
    err = start_info_make(rt, cfg, start);
    if (err < 0)
        module_use_free(rt, *use);
    return err;
}

/* A fiber's is made with its stack: whether it is one may be known only then. */
static int extend(struct tdm_self *a, const struct tdm_spawn_cfg *cfg)
{
    return cfg->overflow == TDM_DROP_OLDEST ? inbox_extend(a) : TDM_OK;
}

int actor_make(struct tdm_runtime *rt, const struct tdm_spawn_cfg *cfg, struct tdm_self **ret)
{
    int err = check_cfg(cfg);
    struct start_info *start;
    struct module_use *use = NULL;

    if (err < 0)
        return err;
    err = prepare(rt, cfg, &start, &use);
    if (err < 0)
        return err;
    struct tdm_self *a = slot_take(rt);
    if (a == NULL || extend(a, cfg) < 0) {
        runtime_free_block(rt, start, start->bytes);
        module_use_free(rt, use);
        if (a != NULL)
            slot_give(a);
        return TDM_ENOMEM;
    }
    a->flags = 0;
    clear_incarnation(a, cfg);
    a->start = start;
    a->use = use;
    a->inbox = NULL;
    a->inbox_count = 0;
    a->handled = 0;
    a->child = NULL;
    a->family = NULL;
    a->history = NULL;
    a->tag = NULL;
    atomic_store_explicit(&a->place_end, 0, memory_order_relaxed); /* nobody knows the address yet */
    err = set_tag(a, cfg->tag);
    if (err == TDM_OK)
        err = set_history(a, cfg->history);
    if (err < 0) {
        actor_drop_start(a);
        module_use_free(rt, use);
        if (a->tag != NULL)
            runtime_free_block(rt, a->tag, 64);
        inbox_leave(a);
        slot_give(a);
        return err;
    }
    *ret = a;
    return TDM_OK;
}

void actor_launch(struct tdm_self *a)
{
    uint32_t gen = a->next_gen++;
    struct thread *t = runtime_thread(a->rt);

    atomic_store_explicit(&t->alive, atomic_load_explicit(&t->alive, memory_order_relaxed) + 1,
                          memory_order_relaxed); /* own counter; readers only add up */
    box_open(&a->box);
    atomic_store_explicit(&a->control, (uint64_t)gen << 32, memory_order_release);
    if (a->child != NULL)
        atomic_store_explicit(&a->birth, gen, memory_order_release);
    atomic_store_explicit(&a->gen, gen, memory_order_release); /* partner: actor_of */
}

static bool was_checked(const struct tdm_msg *m, uint64_t unused)
{
    (void)unused;
    return m->to_ == MSG_CHECKED || m->to_ == MSG_LINK_EXIT;
}

int actor_relaunch(struct tdm_self *a, const struct tdm_spawn_cfg *cfg)
{
    struct start_info *start;
    struct module_use *use = NULL;
    int err = extend(a, cfg);

    if (err == TDM_OK)
        err = prepare(a->rt, cfg, &start, &use);
    if (err != TDM_OK)
        return err;
    clear_incarnation(a, cfg);
    a->start = start;
    a->use = use;
    /* answers, notices and timers of the incarnation before mean nothing to the next */
    inbox_free(a, inbox_remove(a, was_checked, 0, true));
    if (a->history != NULL)
        a->history->next = 0;
    uint32_t gen = a->next_gen++;
    tdm_count(&counter_restarted, 1);
    atomic_store_explicit(&a->control, (uint64_t)gen << 32, memory_order_release);
    atomic_store_explicit(&a->gen, gen, memory_order_release); /* partner: actor_of */
    scheduler_push(a->rt, a);
    return TDM_OK;
}

int tdm_spawn(struct tdm_runtime *rt, const struct tdm_spawn_cfg *cfg, tdm_pid *ret)
{
    struct tdm_self *a;
    int err;

    if (atomic_load_explicit(&rt->stopping, memory_order_relaxed)) /* a late spawn is stopped all the same */
        return TDM_ESHUTDOWN;
    err = actor_make(rt, cfg, &a);
    if (err < 0)
        return err;
    actor_launch(a);
    if (cfg->link.id != 0 && (err = tdm_link(a, cfg->link)) < 0) {
        actor_end(a, &(const struct tdm_reason){ .kind = TDM_EXIT_NORMAL },
                  false); /* nobody has its address yet: the turn is ours */
        return err;
    }
    tdm_pid pid = { id_make(atomic_load_explicit(&a->gen, memory_order_relaxed), a->slot) };
    if (ret != NULL)
        *ret = pid;
    tdm_count(&counter_spawned, 1);
    scheduler_push(rt, a);
    return TDM_OK;
}
