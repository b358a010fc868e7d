/* link.c - links and monitors: who is told of an end.
 *
 * Idea:      a link or monitor is a signal in the other's mailbox, in order with all other mail. Its
 *            message stays with the target and becomes the notice of its end, so that an end never
 *            needs memory.
 * Invariant: a notice is believed only if its link or monitor still stands on the receiver's side. So
 *            what was unlinked or demonitored is silent from then on, whatever is still under way.
 * Ends:      a request for a link or monitor that is still unread at the end was sent while its target lived, so it is
 *            answered with the target's own reason. (OTP, since 21, says noproc then, as if there had been nobody.)
 * Touched by the worker running the actor. */
#include <string.h>

#include "inbox.h"
#include "runtime.h"
#include "tandem/registry.h"

enum kind { LINKED, WATCHES /* we watch other */, WATCHED /* other watches us */ };

struct link {
    struct link *next;
    enum kind kind;
    tdm_pid other;
    tdm_ref ref;            /* monitors */
    struct tdm_msg *notice; /* what other gets when we end; not for WATCHES */
};

static struct link **find(struct tdm_self *a, enum kind kind, tdm_pid other, tdm_ref ref)
{
    struct link **at = &a->links;

    while (*at != NULL && !((*at)->kind == kind && (*at)->ref == ref && (*at)->other.id == other.id))
        at = &(*at)->next;
    return at;
}

static struct link **find_ref(struct tdm_self *a, enum kind kind, tdm_ref ref)
{
    struct link **at = &a->links;

    while (*at != NULL && !((*at)->kind == kind && (*at)->ref == ref))
        at = &(*at)->next;
    return at;
}

static struct link *add(struct tdm_self *a, enum kind kind, tdm_pid other, tdm_ref ref,
                        struct tdm_msg *notice)
{
    struct link *l = runtime_alloc(a->rt, sizeof *l);

    if (l == NULL)
        return NULL;
    *l = (struct link){ .next = a->links, .kind = kind, .other = other, .ref = ref, .notice = notice };
    a->links = l;
    return l;
}

static void cut(struct tdm_self *a, struct link **at)
{
    struct link *l = *at;

    *at = l->next;
    tdm_msg_free(a->rt, l->notice);
    runtime_free_block(a->rt, l, sizeof *l);
}

static struct tdm_msg *signal_new(struct tdm_self *a, uint32_t type, tdm_ref ref)
{
    bool becomes_notice = type == SIG_LINK || type == SIG_MONITOR || type == SIG_EXIT;
    struct tdm_msg *m = tdm_msg_new(a->rt, type, becomes_notice ? sizeof(struct tdm_notice) : 0);

    if (m != NULL) {
        m->from = tdm_self_pid(a);
        m->ref = ref;
    }
    return m;
}

static void fill_notice(struct tdm_msg *m, uint32_t type, tdm_pid ended, const struct tdm_reason *reason)
{
    struct tdm_notice *n = tdm_msg_data(m);

    m->type = type;
    n->pid = ended;
    n->reason = *reason;
}

/* A signal that needs no answer: nobody there is fine. */
static void post(struct tdm_self *a, tdm_pid to, struct tdm_msg *m)
{
    if (m != NULL && actor_post(a->rt, to.id, m) < 0)
        tdm_msg_free(a->rt, m);
}

static const struct tdm_reason noproc = { .kind = TDM_EXIT_NOPROC };
static const struct tdm_reason noconnection = { .kind = TDM_EXIT_NOCONN };

void link_refused(struct tdm_runtime *rt, struct tdm_msg *m, const struct tdm_reason *reason)
{
    tdm_pid target = { m->to_ };
    tdm_pid asker = m->from;

    if (m->type == SIG_LINK) {
        fill_notice(m, SIG_EXIT, target, reason);
        m->from = target;
        m->ref = 1;
    } else if (m->type == SIG_MONITOR) {
        fill_notice(m, TDM_MSG_DOWN, target, reason);
    } else {
        tdm_msg_free(rt, m);
        return;
    }
    if (actor_post(rt, asker.id, m) < 0)
        tdm_msg_free(rt, m);
}

/* ---- asking ---------------------------------------------------------------------------------- */

int tdm_link(tdm_self *self, tdm_pid to)
{
    if (to.id == tdm_self_pid(self).id || *find(self, LINKED, to, 0) != NULL)
        return TDM_OK;
    struct tdm_msg *mine = signal_new(self, SIG_EXIT, 1);
    struct tdm_msg *theirs = signal_new(self, SIG_LINK, 0);
    if (mine == NULL || theirs == NULL || add(self, LINKED, to, 0, mine) == NULL) {
        tdm_msg_free(self->rt, mine);
        tdm_msg_free(self->rt, theirs);
        return TDM_ENOMEM;
    }
    theirs->to_ = to.id;
    if (actor_post(self->rt, to.id, theirs) < 0)
        link_refused(self->rt, theirs, &noproc);
    return TDM_OK;
}

int tdm_unlink(tdm_self *self, tdm_pid to)
{
    struct link **at = find(self, LINKED, to, 0);

    if (*at == NULL) {
        actor_forget_exit(self, to);
        return TDM_OK;
    }
    cut(self, at);
    post(self, to, signal_new(self, SIG_UNLINK, 0));
    return TDM_OK;
}

int link_monitor(struct tdm_self *a, tdm_pid to, tdm_ref ref)
{
    struct tdm_msg *m = signal_new(a, SIG_MONITOR, ref);

    if (m == NULL)
        return TDM_ENOMEM;
    m->to_ = to.id;
    if (actor_post(a->rt, to.id, m) < 0)
        link_refused(a->rt, m, &noproc);
    return TDM_OK;
}

tdm_ref tdm_monitor(tdm_self *self, tdm_pid to)
{
    tdm_ref ref = runtime_next_ref(self->rt);

    if (add(self, WATCHES, to, ref, NULL) == NULL)
        return 0;
    if (link_monitor(self, to, ref) < 0) {
        cut(self, find_ref(self, WATCHES, ref));
        return 0;
    }
    return ref;
}

tdm_ref tdm_monitor_name(tdm_self *self, const void *name, size_t bytes)
{
    return tdm_monitor(self, tdm_whereis(self->rt, name, bytes)); /* {0} leads to nobody: noproc */
}

void tdm_demonitor(tdm_self *self, tdm_ref monitor)
{
    struct link **at = find_ref(self, WATCHES, monitor);

    if (*at == NULL) {
        actor_forget_ref(self, monitor);
        return;
    }
    tdm_pid target = (*at)->other;
    cut(self, at);
    post(self, target, signal_new(self, SIG_DEMONITOR, monitor));
}

int tdm_exit_send(tdm_self *self, tdm_pid to, const struct tdm_reason *reason)
{
    struct tdm_msg *m = signal_new(self, SIG_EXIT, 0);

    if (m == NULL)
        return TDM_ENOMEM;
    fill_notice(m, SIG_EXIT, tdm_self_pid(self), reason);
    reason_settle(&((struct tdm_notice *)tdm_msg_data(m))->reason);
    int err = actor_post(self->rt, to.id, m);
    if (err < 0)
        tdm_msg_free(self->rt, m);
    return err;
}

/* ---- being asked ----------------------------------------------------------------------------- */

/* True: consumed. False: it is TDM_MSG_EXIT for the behaviour now. */
static bool exit_signal(struct tdm_self *a, struct tdm_msg *m)
{
    const struct tdm_notice *n = tdm_msg_view(m);
    bool through_link = m->ref == 1;

    if (through_link) {
        struct link **at = find(a, LINKED, n->pid, 0);
        if (*at == NULL) { /* unlinked meanwhile */
            tdm_msg_free(a->rt, m);
            return true;
        }
        cut(a, at);
    }
    if (a->flags & ACTOR_TRAP_EXIT) {
        m->type = TDM_MSG_EXIT;
        m->ref = 0;
        m->to_ = through_link ? MSG_LINK_EXIT
                              : MSG_CHECKED; /* of this incarnation alone, and told from the rest */
        return false;
    }
    bool to_itself = !through_link && n->pid.id == tdm_self_pid(a).id;
    if (n->reason.kind != TDM_EXIT_NORMAL || to_itself)
        actor_set_reason(a, &n->reason);
    tdm_msg_free(a->rt, m);
    return true;
}

static void keep_as_notice(struct tdm_self *a, struct tdm_msg *m, enum kind kind)
{
    static const struct tdm_reason nomem = { .kind = TDM_EXIT_ERROR,
                                             .code = TDM_ENOMEM,
                                             .text = "no memory to note who links or watches" };
    tdm_ref ref = kind == WATCHED ? m->ref : 0;

    if (a->flags & ACTOR_CUT_OFF) {
        link_refused(a->rt, m, &noconnection);
        return;
    }
    if (kind == LINKED && *find(a, LINKED, m->from, 0) != NULL) {
        tdm_msg_free(a->rt, m);
        return;
    }
    if (add(a, kind, m->from, ref, m) == NULL)
        link_refused(a->rt, m, &nomem);
}

bool link_signal(struct tdm_self *a, struct tdm_msg *m)
{
    struct link **at;

    switch (m->type) {
    case SIG_EXIT:
        return exit_signal(a, m);
    case SIG_LINK:
        keep_as_notice(a, m, LINKED);
        return true;
    case SIG_MONITOR:
        keep_as_notice(a, m, WATCHED);
        return true;
    case SIG_UNLINK:
        at = find(a, LINKED, m->from, 0);
        break;
    case SIG_DEMONITOR:
        at = find(a, WATCHED, m->from, m->ref);
        break;
    default:
        return false;
    }
    if (*at != NULL)
        cut(a, at);
    tdm_msg_free(a->rt, m);
    return true;
}

bool link_wants_down(struct tdm_self *a, struct tdm_msg *m)
{
    struct link **at = find_ref(a, WATCHES, m->ref);

    if (*at == NULL)
        return false;
    cut(a, at);
    return true;
}

/* ---- the end of what others see -------------------------------------------------------------- */

/* The other side hears of it; the link is gone. */
static void tell(struct tdm_self *a, struct link *l, tdm_pid pid, const struct tdm_reason *reason)
{
    struct tdm_msg *m = l->notice;

    fill_notice(m, l->kind == LINKED ? SIG_EXIT : TDM_MSG_DOWN, pid, reason);
    m->ref = l->kind == LINKED ? 1 : l->ref;
    m->from = pid;
    post(a, l->other, m);
    runtime_free_block(a->rt, l, sizeof *l);
}

void tdm_self_connected(tdm_self *self, bool connected)
{
    struct link **at = &self->links;

    if (connected) {
        self->flags &= ~(uint32_t)ACTOR_CUT_OFF;
        return;
    }
    self->flags |= ACTOR_CUT_OFF; /* what comes from now on is refused: see keep_as_notice() */
    while (*at != NULL) {
        struct link *l = *at;
        if (l->kind == WATCHES) { /* ours on others: nothing is wrong with them */
            at = &l->next;
            continue;
        }
        *at = l->next;
        tell(self, l, tdm_self_pid(self), &noconnection);
    }
}

static bool asks(const struct tdm_msg *m, uint64_t pid)
{
    return (m->type == SIG_LINK || m->type == SIG_MONITOR) && m->to_ == pid;
}

/* Requests that came before the address was gone and were not read. */
static void answer_unread(struct tdm_self *a, tdm_pid pid, const struct tdm_reason *reason)
{
    if (!actor_has_mail(a))
        return;
    actor_fetch_rest(a);
    struct tdm_msg *m = inbox_remove(a, asks, pid.id, true);
    while (m != NULL) {
        struct tdm_msg *next = m->next_;
        link_refused(a->rt, m, reason);
        m = next;
    }
}

/* The address is gone already: what is pushed from now on is answered with noproc. */
void link_actor_ended(struct tdm_self *a, tdm_pid pid, const struct tdm_reason *reason)
{
    struct link *l = a->links;

    a->links = NULL;
    while (l != NULL) {
        struct link *next = l->next;
        if (l->kind == WATCHES) {
            struct tdm_msg *m = tdm_msg_new(a->rt, SIG_DEMONITOR, 0);
            if (m != NULL) {
                m->from = pid;
                m->ref = l->ref;
                post(a, l->other, m);
            }
            runtime_free_block(a->rt, l, sizeof *l);
        } else {
            tell(a, l, pid, reason);
        }
        l = next;
    }
    answer_unread(a, pid, reason);
}

/* ---- told in reports ------------------------------------------------------------------------- */

static void count_one(uint32_t *n, tdm_pid *first, uint32_t room, tdm_pid other)
{
    if (*n < room)
        first[*n] = other;
    ++*n;
}

void link_describe(const struct tdm_self *a, struct link_facts *facts)
{
    *facts = (struct link_facts){ 0 };
    for (const struct link *l = a->links; l != NULL; l = l->next) {
        if (l->kind == LINKED)
            count_one(&facts->links, facts->linked_to, 4, l->other);
        else if (l->kind == WATCHED)
            count_one(&facts->watched, facts->watched_by, 4, l->other);
        else
            facts->watches++;
    }
}
