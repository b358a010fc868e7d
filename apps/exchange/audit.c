/* audit.c - the judge of a chaos run; its rules stand in audit.h.
 *
 * Idea:      for each call, the events that are out, in order, and the incarnation that began last. A
 *            number that is taken ends the wait for it; what stands before it in the queue and was not
 *            taken will never be: it is lost, or excused when its connection has ended.
 * Invariant: a call is forgotten when it is over, has no actor and waits for nothing. */
#include "audit.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tandem/env.h>
#include <tandem/err.h>

#include "audit_call.h"

#define PROBLEMS_MAX 40

/* ---- words ----------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void broken(struct audit *a, uint64_t *count, const char *format,
                                                         ...)
{
    char text[240];
    va_list args;

    ++*count;
    if (a->cfg.problem == NULL || a->problems++ >= PROBLEMS_MAX)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    a->cfg.problem(a->cfg.ctx, text);
}

/* ---- the switch ------------------------------------------------------------------------------ */

int audit_new(struct audit **ret, const struct audit_cfg *cfg)
{
    struct audit *a = cfg->env->alloc(cfg->env, sizeof *a);

    if (a == NULL)
        return TDM_ENOMEM;
    memset(a, 0, sizeof *a);
    a->cfg = *cfg;
    ex_table_init(&a->calls, cfg->env);
    *ret = a;
    return TDM_OK;
}

void audit_free(struct audit *a)
{
    if (a == NULL)
        return;
    while (a->first != NULL)
        audit_call_forget(a, a->first);
    ex_table_fini(&a->calls);
    a->cfg.env->free(a->cfg.env, a, sizeof *a);
}

void audit_clock(struct audit *a, uint64_t now_ns)
{
    a->now_ns = now_ns;
}

void audit_connected(struct audit *a, uint64_t conn)
{
    if (conn != a->conn)
        a->conn_ns = a->now_ns;
    a->conn = conn;
}

void audit_call(struct audit *a, const char *id)
{
    struct audit_call *c = audit_call_new(a, id);

    if (c == NULL)
        return broken(a, &a->n.untold, "no memory to judge call %s", id);
    c->since_ns = a->now_ns;
    c->born_conn = a->conn;
    a->n.calls++;
}

void audit_over(struct audit *a, const char *id)
{
    struct audit_call *c = ex_table_get(&a->calls, id);

    if (c == NULL)
        return;
    c->over = true;
    c->since_ns = a->now_ns;
    c->fault_ns = 0;
}

void audit_sent(struct audit *a, const char *id, uint64_t seq)
{
    struct audit_call *c = ex_table_get(&a->calls, id);

    if (c == NULL)
        return;
    a->n.sent++;
    if (audit_call_wait(a, c, (struct audit_event){ .seq = seq, .conn = a->conn, .at_ns = a->now_ns }) < 0)
        broken(a, &a->n.untold, "no memory to judge event %" PRIu64 " of call %s", seq, id);
}

void audit_fault(struct audit *a, const char *id)
{
    struct audit_call *c = ex_table_get(&a->calls, id);

    if (c != NULL && c->n > 0)
        c->events[c->n - 1].fault = true;
}

void audit_hung_up(struct audit *a, const char *id)
{
    const struct audit_call *c = ex_table_get(&a->calls, id);

    if (c != NULL && !c->over)
        broken(a, &a->n.abandoned, "call %s was hung up by the client", id);
}

/* ---- what was not taken ---------------------------------------------------------------------- */

static void event_lost(struct audit *a, const struct audit_call *c, struct audit_event *e, const char *how)
{
    e->lost = true;
    broken(a, &a->n.lost, "call %s: event %" PRIu64 " is lost: %s; sent %" PRIu64 " ms ago, actor %" PRIu64,
           c->id, e->seq, how, (a->now_ns - e->at_ns) / 1000000, c->pid);
}

/* The events before this one will not come any more: after it their turn is over. */
static void passed_over(struct audit *a, struct audit_call *c, uint32_t before, uint64_t conn)
{
    for (uint32_t i = 0; i < before; i++) {
        struct audit_event *e = &c->events[i];

        if (e->lost)
            continue;
        if (e->conn == conn)
            event_lost(a, c, e, "a later one was taken");
        else
            a->n.excused++;
    }
    audit_call_drop(c, before); /* but for the lost ones: they may still come, out of order */
}

/* ---- the trail ------------------------------------------------------------------------------- */

struct step {
    char kind;
    char id[160];
    uint64_t pid, number, at_us;
};

static void begun(struct audit *a, struct audit_call *c, const struct step *s)
{
    a->n.begun++;
    a->n.restarted += s->number > 0;
    if (s->at_us < c->last_us)
        broken(a, &a->n.two_at_once, "call %s: actor %" PRIu64 " began before %" PRIu64 " took its last",
               c->id, s->pid, c->pid);
    if (c->served && s->number <= c->restarts)
        broken(a, &a->n.two_at_once, "call %s: actor %" PRIu64 " begins beside %" PRIu64, c->id, s->pid,
               c->pid);
    c->served = true;
    c->gone = false;
    c->pid = s->pid;
    c->run = a->run;
    c->restarts = s->number;
    c->begun_us = s->at_us;
    c->crashed = false;
    c->fault_ns = 0;
}

static bool by_the_right_one(struct audit *a, const struct audit_call *c, const struct step *s)
{
    if (c->served && c->pid == s->pid)
        return true;
    broken(a, &a->n.two_at_once, "call %s: event %" PRIu64 " is taken by %" PRIu64 ", but %s is %" PRIu64,
           c->id, s->number, s->pid, c->served ? "its actor" : "gone", c->pid);
    return false;
}

static void late_after_all(struct audit *a, struct audit_event *e, const struct audit_call *c)
{
    a->n.lost--;
    e->seq = 0;
    broken(a, &a->n.out_of_order, "call %s: an event that was passed over comes after all", c->id);
}

static void took(struct audit *a, struct audit_call *c, const struct step *s)
{
    uint32_t i = 0;

    by_the_right_one(a, c, s);
    c->last_us = s->at_us > c->last_us ? s->at_us : c->last_us;
    while (i < c->n && c->events[i].seq != s->number)
        i++;
    if (i == c->n)
        return broken(a, &a->n.doubled, "call %s: event %" PRIu64 " is taken again, or was never sent", c->id,
                      s->number);
    if (c->events[i].lost)
        return late_after_all(a, &c->events[i], c);
    const struct audit_event e = c->events[i];

    a->n.taken++;
    if (e.conn == a->conn && s->at_us > e.at_ns / 1000 && s->at_us - e.at_ns / 1000 > a->n.slowest_us)
        a->n.slowest_us = s->at_us - e.at_ns / 1000;
    passed_over(a, c, i, e.conn);
    audit_call_take(c, e.seq);
    if (!e.fault)
        return;
    a->n.faults++;
    c->crashed = true;
    c->fault_ns = c->over ? 0 : a->now_ns;
}

static void gone(struct audit *a, struct audit_call *c, const struct step *s)
{
    if (!by_the_right_one(a, c, s))
        return;
    c->served = false;
    c->gone = true;
    c->fault_ns = 0;
    if (!c->over)
        broken(a, &a->n.abandoned, "call %s: its actor %" PRIu64 " ended before it", c->id, s->pid);
}

/* A process that has been replaced speaks: what it did has to be before the new one. */
static void from_the_past(struct audit *a, const struct step *s)
{
    struct audit_call *c = ex_table_get(&a->calls, s->id);

    if (c != NULL && c->served && s->at_us > c->begun_us)
        broken(a, &a->n.two_at_once, "call %s: actor %" PRIu64 " of an earlier process acts beside %" PRIu64,
               c->id, s->pid, c->pid);
}

static void step(struct audit *a, const struct step *s)
{
    struct audit_call *c = ex_table_get(&a->calls, s->id);

    if (c == NULL)
        return broken(a, &a->n.unknown, "actor %" PRIu64 " acts (%c) for call %s, which does not live",
                      s->pid, s->kind, s->id);
    if (s->kind == 'b')
        begun(a, c, s);
    else if (s->kind == 'e')
        took(a, c, s);
    else
        gone(a, c, s);
    audit_call_settle(a, c, false);
}

/* The next word of a line as a number. */
static bool read_number(char **line, uint64_t *ret)
{
    const char *word = strsep(line, " ");
    char *end;

    if (word == NULL || *word < '0' || *word > '9')
        return false;
    *ret = strtoull(word, &end, 10);
    return *end == '\0';
}

static bool read_step(char *line, struct step *s)
{
    const char *kind = strsep(&line, " "), *id = strsep(&line, " ");

    if (id == NULL || strlen(kind) != 1 || strlen(id) >= sizeof s->id)
        return false;
    s->kind = *kind;
    memcpy(s->id, id, strlen(id) + 1);
    if (!read_number(&line, &s->pid) || !read_number(&line, &s->number))
        return false;
    return s->kind == 'g' || ((s->kind == 'b' || s->kind == 'e') && read_number(&line, &s->at_us));
}

/* All actors of the process before are gone with it; what they did not tell is not known. */
static void next_run(struct audit *a, uint64_t run)
{
    a->n.runs++;
    a->earlier[a->n_earlier++ % AUDIT_RUNS] = a->run;
    a->run = run;
    a->batch = 0;
    for (struct audit_call *c = a->first; c != NULL; c = c->next) {
        c->served = false;
        c->fault_ns = 0;
    }
}

static bool is_earlier(const struct audit *a, uint64_t run)
{
    for (uint32_t i = 0; i < AUDIT_RUNS && i < a->n_earlier; i++)
        if (a->earlier[i] == run)
            return true;
    return false;
}

bool audit_trail(struct audit *a, char *text)
{
    uint64_t run, batch, dropped;
    char *rest = text, *line = strsep(&rest, "\n");
    struct step s = { .kind = 0 };

    if (!read_number(&line, &run) || !read_number(&line, &batch) || !read_number(&line, &dropped))
        return false;
    const bool past = is_earlier(a, run);

    if (!past && run != a->run)
        next_run(a, run);
    if (!past && batch <= a->batch)
        return true; /* its answer was lost; we have it */
    if (a->n.runs == 1 && a->batch == 0)
        a->batch = batch - 1; /* this process was there before us */
    if (!past && (batch != a->batch + 1 || dropped > 0))
        broken(a, &a->n.untold, "the trail has a hole before batch %" PRIu64 ", %" PRIu64 " lines dropped",
               batch, dropped);
    a->batch = past ? a->batch : batch;
    while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
        if (!read_step(line, &s))
            return false;
        if (past)
            from_the_past(a, &s);
        else
            step(a, &s);
    }
    return true;
}

/* ---- the verdict ----------------------------------------------------------------------------- */

static bool is_late(const struct audit *a, uint64_t since_ns)
{
    return a->now_ns - since_ns > a->cfg.late_ns;
}

/* Time counts only while the client is connected. */
static bool is_late_connected(const struct audit *a, uint64_t since_ns)
{
    return a->conn != 0 && is_late(a, since_ns > a->conn_ns ? since_ns : a->conn_ns);
}

/* Its last events are nobody's: it began before this connection and was over before this process could adopt it;
 * or it was over before its actor was started again after a crash, and gets no other. */
static bool is_nobodys(const struct audit *a, const struct audit_call *c)
{
    const bool unseen = c->run != a->run && c->born_conn != a->conn;

    return c->over && (unseen || c->crashed);
}

static void excuse_all(struct audit *a, struct audit_call *c)
{
    passed_over(a, c, c->n, 0);
    c->served = c->served && !c->crashed;
}

static void sweep_call(struct audit *a, struct audit_call *c)
{
    if (is_nobodys(a, c) && is_late_connected(a, c->since_ns))
        excuse_all(a, c);
    for (uint32_t i = 0; i < c->n; i++)
        if (!c->events[i].lost && c->events[i].conn == a->conn && is_late(a, c->events[i].at_ns))
            event_lost(a, c, &c->events[i], "late");
    if (c->fault_ns != 0 && is_late(a, c->fault_ns)) {
        c->fault_ns = 0;
        broken(a, &a->n.not_restarted, "call %s: no incarnation after a fault of %" PRIu64, c->id, c->pid);
    }
    if (c->told_late || !is_late_connected(a, c->since_ns))
        return;
    if (c->over && c->served)
        broken(a, &a->n.outlived, "call %s is over, its actor %" PRIu64 " is not", c->id, c->pid);
    else if (!c->over && !c->served)
        broken(a, &a->n.unserved, "call %s has no actor", c->id);
    else
        return;
    c->told_late = true;
}

void audit_sweep(struct audit *a)
{
    for (struct audit_call *c = a->first, *next; c != NULL; c = next) {
        next = c->next;
        sweep_call(a, c);
        audit_call_settle(a, c, is_late_connected(a, c->since_ns));
    }
}

bool audit_even(const struct audit *a)
{
    for (const struct audit_call *c = a->first; c != NULL; c = c->next)
        if (!audit_call_closed(a, c))
            return false;
    return true;
}

void audit_finish(struct audit *a)
{
    for (struct audit_call *c = a->first; c != NULL; c = c->next) {
        if (is_nobodys(a, c))
            excuse_all(a, c);
        for (uint32_t i = 0; i < c->n; i++) {
            if (!c->events[i].lost && c->events[i].conn == a->conn)
                event_lost(a, c, &c->events[i], "not taken by the end");
            else if (!c->events[i].lost)
                a->n.excused++;
        }
        if (c->served && !c->told_late)
            broken(a, &a->n.outlived, "call %s: its actor %" PRIu64 " is there at the end", c->id, c->pid);
    }
}

void audit_counters(const struct audit *a, struct audit_counters *ret)
{
    *ret = a->n;
}

bool audit_good(const struct audit_counters *c)
{
    return c->taken > 0 && c->two_at_once + c->out_of_order + c->doubled + c->lost + c->unserved +
                                   c->not_restarted + c->outlived + c->abandoned + c->unknown + c->untold ==
                               0;
}
