/* request.c - questions with a deadline: exactly one of answer, failure of the target, or time-out.
 *
 * Idea:      a request is a monitor on the target, a timer, and a place in the asker's list; whatever
 *            comes first takes it off the list, and what comes later finds nothing there and is
 *            dropped.
 * Touched by the worker running the asker. */
#include <string.h>

#include "runtime.h"

TDM_COUNTER(counter_late_replies, "tandem_late_replies_total",
            "answers that came after their request had ended");

struct request {
    struct request *next;
    tdm_ref ref;
    tdm_ref timer;
    tdm_pid target;
};

static struct request **find(struct tdm_self *a, tdm_ref ref)
{
    struct request **at = &a->requests;

    while (*at != NULL && (*at)->ref != ref && (*at)->timer != ref)
        at = &(*at)->next;
    return at;
}

static void forget(struct tdm_self *a, struct request **at)
{
    struct request *r = *at;

    *at = r->next;
    runtime_free_block(a->rt, r, sizeof *r);
}

static void demonitor(struct tdm_self *a, const struct request *r)
{
    struct tdm_msg *m = tdm_msg_new(a->rt, SIG_DEMONITOR, 0);

    if (m == NULL)
        return; /* the target keeps a notice that will find nothing here */
    m->from = tdm_self_pid(a);
    m->ref = r->ref;
    if (actor_post(a->rt, r->target.id, m) < 0)
        tdm_msg_free(a->rt, m);
}

static tdm_ref start_timer(tdm_self *self, uint32_t timeout_ms)
{
    struct tdm_msg *m = tdm_msg_new(self->rt, TDM_MSG_REQUEST_FAILED, sizeof(struct tdm_failure));

    if (m == NULL)
        return 0;
    struct tdm_failure *f = tdm_msg_data(m);
    memset(f, 0, sizeof *f);
    f->err = TDM_ETIMEOUT;
    return tdm_send_after(self, tdm_self_pid(self), TDM_MS(timeout_ms == 0 ? 5000 : timeout_ms), m);
}

/* The request could not be put. Without memory for the failure its time runs out instead. */
static void fail_now(tdm_self *self, struct request *r, int err)
{
    struct tdm_msg *m = tdm_msg_new(self->rt, TDM_MSG_REQUEST_FAILED, sizeof(struct tdm_failure));

    if (m == NULL)
        return;
    memset(tdm_msg_data(m), 0, sizeof(struct tdm_failure));
    ((struct tdm_failure *)tdm_msg_data(m))->err = err;
    m->ref = r->ref;
    if (actor_post(self->rt, tdm_self_pid(self).id, m) < 0)
        tdm_msg_free(self->rt, m);
    demonitor(self, r);
    tdm_timer_cancel(self, r->timer);
    forget(self, find(self, r->ref));
}

tdm_ref tdm_request(tdm_self *self, tdm_pid to, struct tdm_msg *msg, uint32_t timeout_ms)
{
    struct request *r = runtime_alloc(self->rt, sizeof *r);

    if (r == NULL || msg == NULL)
        goto fail;
    *r = (struct request){ .next = self->requests, .ref = runtime_next_ref(self->rt), .target = to };
    r->timer = start_timer(self, timeout_ms);
    if (r->timer == 0)
        goto fail;
    if (link_monitor(self, to, r->ref) < 0) {
        tdm_timer_cancel(self, r->timer);
        goto fail;
    }
    self->requests = r;
    tdm_ref ref = r->ref;
    msg->ref = ref;
    int err = tdm_send(self->rt, to, msg);
    if (err < 0)
        tdm_msg_free(self->rt, msg);
    if (err < 0 && err != TDM_ENOPROC) /* dead: the monitor tells; full: nobody else would */
        fail_now(self, r, err);
    return ref;
fail:
    tdm_msg_free(self->rt, msg);
    runtime_free_block(self->rt, r, sizeof *r);
    return 0;
}

int tdm_reply_to(struct tdm_runtime *rt, tdm_pid to, tdm_ref ref, struct tdm_msg *reply)
{
    if (reply == NULL)
        return TDM_ENOMEM; /* so that tdm_msg_copy() may stand in the call; the asker's time runs out */
    reply->type = TDM_MSG_REPLY;
    reply->ref = ref;
    int err = runtime_send_unbounded(rt, to, reply);
    if (err < 0)
        tdm_msg_free(rt, reply);
    return err;
}

int tdm_reply(struct tdm_runtime *rt, const struct tdm_msg *request, struct tdm_msg *reply)
{
    return tdm_reply_to(rt, request->from, request->ref, reply);
}

bool request_reply(struct tdm_self *a, struct tdm_msg *msg)
{
    struct request **at = find(a, msg->ref);

    if (*at == NULL) {
        tdm_count(&counter_late_replies, 1);
        return true;
    }
    tdm_timer_cancel(a, (*at)->timer);
    demonitor(a, *at);
    forget(a, at);
    return false;
}

bool request_failed(struct tdm_self *a, struct tdm_msg *msg)
{
    struct request **at = find(a, msg->ref);

    if (*at == NULL)
        return false;
    if (msg->type == TDM_MSG_DOWN) { /* a notice has room for a failure: see the assertion */
        _Static_assert(sizeof(struct tdm_failure) <= sizeof(struct tdm_notice),
                       "a DOWN becomes a failure in place");
        struct tdm_reason reason = ((const struct tdm_notice *)tdm_msg_view(msg))->reason;
        struct tdm_failure *f = tdm_msg_data(msg);
        f->err = reason.kind == TDM_EXIT_NOPROC   ? TDM_ENOPROC
                 : reason.kind == TDM_EXIT_NOCONN ? TDM_ENOCONN
                 : reason.code == TDM_ENOMEM      ? TDM_ENOMEM
                                                  : TDM_EPEER;
        f->reason = reason;
        msg->type = TDM_MSG_REQUEST_FAILED;
        tdm_timer_cancel(a, (*at)->timer);
    } else {
        demonitor(a, *at);
    }
    msg->ref = (*at)->ref;
    forget(a, at);
    return true;
}

void request_actor_ended(struct tdm_self *a)
{
    while (a->requests != NULL) {
        demonitor(a, a->requests);
        forget(a, &a->requests);
    }
}
