/* chaos.c - a long bad day: every call hears events without end, apps are told to crash, connections are
 * cut, and audit.c judges what the client's actors made of it.
 *
 * Beats and faults go round all live calls by two pointers into the list of channels, which step on when
 * their channel ends; a credit of time that each tick adds to keeps the rates exact at any load.
 * A cut is a reset, or silence: then nothing is read, sent or answered, pings included, as of a machine whose
 * cable was pulled; what happens meanwhile nobody is told. After it the connections of that time are reset, and
 * the requests answered with 503. */
#include "inside.h"

#include <stdio.h>

#define TICK_MS       10
#define SWEEP_MS      1000
#define FAULT_REST_NS EX_MS(12000) /* of one call: an app may crash 3 times in 10 s before it is given up */

static void problem(void *ctx, const char *text)
{
    struct ex_model *m = ctx;

    if (m->out.problem != NULL)
        m->out.problem(m->out.ctx, text);
}

int ex_chaos_new(struct ex_model *m)
{
    struct exchange_chaos *c = &m->cfg.chaos;

    if (c->beat_ms == 0)
        return TDM_OK;
    c->silence_ms = c->silence_ms == 0 ? 4000 : c->silence_ms;
    c->late_ms = c->late_ms == 0 ? 15000 : c->late_ms;
    const struct audit_cfg cfg = {
        .env = m->env, .late_ns = EX_MS(c->late_ms), .problem = problem, .ctx = m
    };
    return audit_new(&m->chaos.audit, &cfg);
}

void ex_chaos_free(struct ex_model *m)
{
    audit_free(m->chaos.audit);
    m->chaos.audit = NULL;
}

static struct ex_app *app_of_calls(struct ex_model *m)
{
    return ex_app_find(m, m->cfg.app);
}

bool ex_chaos_may_place(struct ex_model *m)
{
    const struct ex_app *app = app_of_calls(m);

    return m->chaos.audit == NULL || (app != NULL && app->conn != NULL);
}

/* ---- what the judge is told ------------------------------------------------------------------ */

/* `audit` at the present time, or NULL. */
static struct audit *judge(struct ex_model *m)
{
    if (m->chaos.audit != NULL)
        audit_clock(m->chaos.audit, m->now_ns);
    return m->chaos.audit;
}

void ex_chaos_connections(struct ex_model *m)
{
    const struct ex_app *app = app_of_calls(m);
    const bool there = app != NULL && app->conn != NULL && !m->chaos.frozen;

    if (judge(m) != NULL)
        audit_connected(m->chaos.audit, there ? app->conn->id : 0);
}

void ex_chaos_call(struct ex_model *m, const struct ex_channel *ch)
{
    if (ch->inbound && judge(m) != NULL)
        audit_call(m->chaos.audit, ch->id);
}

void ex_chaos_over(struct ex_model *m, const struct ex_channel *ch)
{
    if (ch->inbound && judge(m) != NULL)
        audit_over(m->chaos.audit, ch->id);
}

void ex_chaos_sent(struct ex_model *m, const struct ex_channel *ch, uint64_t seq)
{
    if (judge(m) != NULL)
        audit_sent(m->chaos.audit, ch->id, seq);
}

/* POST /ari/exchange/trail */
void ex_chaos_trail(struct ex_model *m, const struct ex_request *req)
{
    char *text = judge(m) == NULL ? NULL : ex_scratch(m, req->body_bytes + 1);
    bool good = false;

    if (text != NULL) {
        memcpy(text, req->body, req->body_bytes);
        good = audit_trail(m->chaos.audit, text);
    }
    ex_reply_send(m, (struct ex_reply){ EX_HTTP, req->conn }, good ? 204 : 400, NULL, NULL, NULL, 0);
}

/* ---- beats and faults ------------------------------------------------------------------------ */

static bool is_served(const struct ex_channel *ch)
{
    return ch->inbound && ch->app != NULL && ch->app->conn != NULL && !ch->ending;
}

/* The next channel in turn, round and round; NULL when there is none. */
static struct ex_channel *next_of(struct ex_model *m, struct ex_channel **at)
{
    struct ex_channel *ch = *at != NULL ? *at : m->first_channel;

    *at = ch == NULL ? NULL : ch->next;
    return ch;
}

static void beat(struct ex_model *m)
{
    struct ex_channel *ch = next_of(m, &m->chaos.next_beat);
    char number[24];

    if (ch == NULL || !is_served(ch))
        return;
    snprintf(number, sizeof number, "%llu", (unsigned long long)++m->counters.beats);
    ex_channel_varset(m, ch, "BEAT", number);
}

static void fault(struct ex_model *m)
{
    const char *keys = m->cfg.chaos.fault_keys != NULL ? m->cfg.chaos.fault_keys : "1";
    char digit[2] = { keys[m->chaos.key % strlen(keys)], '\0' };

    for (uint64_t tries = 0; tries < m->counters.live; tries++) {
        struct ex_channel *ch = next_of(m, &m->chaos.next_fault);

        if (ch == NULL || !is_served(ch) || ch->state != EX_UP ||
            (ch->fault_ns != 0 && m->now_ns - ch->fault_ns < FAULT_REST_NS))
            continue;
        ch->fault_ns = m->now_ns;
        if (ex_digits(m, ch, digit) != TDM_OK)
            return;
        audit_fault(m->chaos.audit, ch->id);
        m->counters.faults++;
        m->chaos.key++;
        return;
    }
}

static void spread(struct ex_model *m, uint64_t *credit, uint64_t gain, uint64_t price,
                   void (*once)(struct ex_model *))
{
    *credit += gain;
    for (; *credit >= price; *credit -= price)
        once(m);
}

static void beats_due(struct ex_model *m, void *unused)
{
    const uint64_t passed = m->now_ns - m->chaos.last_ns, second = EX_MS(1000);
    const uint64_t counted = passed < second ? passed : second;
    const struct ex_app *app = app_of_calls(m);

    (void)unused;
    if (m->chaos.quiet)
        return;
    m->chaos.last_ns = m->now_ns;
    if (app != NULL && app->conn != NULL) {
        spread(m, &m->chaos.beat_credit, counted * m->counters.live, EX_MS(m->cfg.chaos.beat_ms), beat);
        if (m->cfg.chaos.faults_per_s > 0 && !m->chaos.frozen)
            spread(m, &m->chaos.fault_credit, counted * m->cfg.chaos.faults_per_s, second, fault);
    }
    ex_later(m, &m->chaos.beat_timer, EX_MS(TICK_MS), beats_due, NULL);
}

void ex_chaos_forget(struct ex_model *m, const struct ex_channel *ch)
{
    if (m->chaos.next_beat == ch)
        m->chaos.next_beat = ch->next;
    if (m->chaos.next_fault == ch)
        m->chaos.next_fault = ch->next;
}

/* ---- cuts ------------------------------------------------------------------------------------ */

static void pause_all(struct ex_model *m, bool pause)
{
    for (struct ex_conn *c = m->conns; c != NULL; c = c->next)
        if (m->out.pause != NULL)
            m->out.pause(m->out.ctx, c->id, pause);
}

bool ex_chaos_swallows(struct ex_model *m, const struct ex_request *req)
{
    if (!m->chaos.frozen)
        return false;
    if (m->chaos.n_unanswered < EX_UNANSWERED_MAX)
        m->chaos.unanswered[m->chaos.n_unanswered++] = req->conn;
    return true;
}

static void answer_late(struct ex_model *m)
{
    while (m->chaos.n_unanswered > 0)
        ex_reply_send(m, (struct ex_reply){ EX_HTTP, m->chaos.unanswered[--m->chaos.n_unanswered] }, 503,
                      NULL, NULL, NULL, 0);
}

static void thaw(struct ex_model *m, void *unused)
{
    (void)unused;
    m->chaos.frozen = false;
    answer_late(m);
    pause_all(m, false);
    ex_faults_reset(m);
    ex_chaos_connections(m);
}

static void cut(struct ex_model *m, void *unused)
{
    (void)unused;
    if (m->chaos.quiet)
        return;
    if (!m->chaos.silence_next) {
        m->counters.resets++;
        ex_faults_reset(m);
    } else {
        m->counters.silences++;
        m->chaos.frozen = true;
        pause_all(m, true);
        ex_chaos_connections(m);
        ex_later(m, &m->chaos.thaw_timer, EX_MS(m->cfg.chaos.silence_ms), thaw, NULL);
    }
    m->chaos.silence_next = !m->chaos.silence_next;
    ex_later(m, &m->chaos.cut_timer, EX_MS(m->cfg.chaos.cut_every_ms), cut, NULL);
}

/* ---- begin and end --------------------------------------------------------------------------- */

static void sweep(struct ex_model *m, void *unused)
{
    struct audit *a = judge(m);

    (void)unused;
    audit_sweep(a);
    if (m->chaos.over_ns == 0 && m->calls_over)
        m->chaos.over_ns = m->now_ns;
    if (m->calls_over && (audit_even(a) || m->now_ns - m->chaos.over_ns > EX_MS(m->cfg.settle_ms))) {
        audit_finish(a);
        audit_counters(a, &m->counters.audit);
        ex_callers_settled(m);
        return;
    }
    ex_later(m, &m->chaos.sweep_timer, EX_MS(SWEEP_MS), sweep, NULL);
}

void ex_chaos_start(struct ex_model *m)
{
    if (m->chaos.audit == NULL)
        return;
    m->counters.audited = true;
    m->chaos.last_ns = m->now_ns;
    ex_later(m, &m->chaos.beat_timer, EX_MS(TICK_MS), beats_due, NULL);
    ex_later(m, &m->chaos.sweep_timer, EX_MS(SWEEP_MS), sweep, NULL);
    if (m->cfg.chaos.cut_every_ms > 0)
        ex_later(m, &m->chaos.cut_timer, EX_MS(m->cfg.chaos.cut_every_ms), cut, NULL);
}

void ex_chaos_finish(struct ex_model *m)
{
    m->chaos.quiet = true;
}
