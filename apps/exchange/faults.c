/* faults.c - the last stage before the wire: passes events on, or spoils them as configured.
 *
 * Delay keeps the order. Reordering holds one event back until one of another channel has passed it, which
 * a real server does too; disorder swaps two of the same channel, which no client can mend, so it is
 * counted and told apart from loss. Connections are never reset from in here but from a timer, so that no
 * caller finds its app gone under its feet. */
#include "inside.h"

#include <stdio.h>

#define HELD_AT_MOST_MS 20

bool ex_faults_frozen(const struct ex_model *m)
{
    return m->chaos.frozen || (m->cfg.faults.freeze_after_ms > 0 &&
                               m->now_ns >= m->start_ns + EX_MS(m->cfg.faults.freeze_after_ms));
}

static bool every(uint64_t count, uint32_t nth)
{
    return nth > 0 && count % nth == 0;
}

static bool one_in(struct ex_model *m, uint32_t n)
{
    return n > 0 && ex_random(m, n) == 0;
}

int ex_faults_status(struct ex_model *m)
{
    uint64_t n = ++m->faults.requests;

    if (every(n, m->cfg.faults.error503_every))
        return 503;
    return every(n, m->cfg.faults.error500_every) ? 500 : 0;
}

bool ex_faults_in_use(struct ex_model *m)
{
    return every(++m->faults.ids, m->cfg.faults.in_use_every);
}

/* ---- resets ---------------------------------------------------------------------------------- */

static void reset(struct ex_model *m, uint64_t conn)
{
    m->counters.dropped_connections++;
    ex_model_ws_closed(m, conn);
    m->out.reset(m->out.ctx, conn);
}

/* Those that have had their share of events, or all at the interval. */
static void reset_due(struct ex_model *m, bool all)
{
    struct ex_conn *next;

    for (struct ex_conn *c = m->conns; c != NULL; c = next) {
        next = c->next;
        if (all || (m->cfg.faults.drop_after_events > 0 && c->events >= m->cfg.faults.drop_after_events))
            reset(m, c->id);
    }
}

static void reset_full(struct ex_model *m, void *unused)
{
    (void)unused;
    reset_due(m, false);
}

static void reset_all(struct ex_model *m, void *unused)
{
    (void)unused;
    reset_due(m, true);
    ex_later(m, &m->faults.drop_timer, EX_MS(m->cfg.faults.drop_every_ms), reset_all, NULL);
}

void ex_faults_reset(struct ex_model *m)
{
    reset_due(m, true);
}

void ex_faults_start(struct ex_model *m)
{
    if (m->cfg.faults.drop_every_ms > 0)
        ex_later(m, &m->faults.drop_timer, EX_MS(m->cfg.faults.drop_every_ms), reset_all, NULL);
}

/* ---- out ------------------------------------------------------------------------------------- */

static void wire(struct ex_model *m, uint64_t conn, const char *text, size_t bytes)
{
    struct ex_conn *c = ex_conn_find(m, conn);

    if (ex_faults_frozen(m)) {
        m->counters.held_in_freeze++;
        return;
    }
    m->out.send(m->out.ctx, conn, text, bytes);
    if (c == NULL)
        return;
    c->events++;
    if (m->cfg.faults.drop_after_events > 0 && c->events >= m->cfg.faults.drop_after_events &&
        m->cfg.faults.drop_every_ms == 0)
        ex_later(m, &m->faults.drop_timer, 0, reset_full, NULL);
}

static void spoil(struct ex_model *m, uint64_t conn, const char *text, size_t bytes)
{
    static const unsigned char no_frame[] = { 0xff, 0x7f, 0x00, 0x00, 0x00 }; /* reserved bits and opcode */
    const struct exchange_faults *f = &m->cfg.faults;

    if (one_in(m, f->truncate_every)) {
        m->counters.broken_frames++;
        wire(m, conn, text, bytes / 2);
    }
    wire(m, conn, text, bytes);
    if (one_in(m, f->duplicate_every)) {
        m->counters.duplicated++;
        wire(m, conn, text, bytes);
    }
    if (one_in(m, f->malformed_every) && !ex_faults_frozen(m)) {
        m->counters.broken_frames++;
        m->out.send_raw(m->out.ctx, conn, no_frame, sizeof no_frame);
    }
}

/* ---- holding back ---------------------------------------------------------------------------- */

static void held_release(struct ex_model *m)
{
    struct ex_frame *f = m->faults.held;

    if (f == NULL)
        return;
    m->faults.held = NULL;
    ex_cancel(m, &m->faults.held_timer);
    spoil(m, f->conn, f->text, f->bytes);
    ex_free(m, f);
}

static void held_too_long(struct ex_model *m, void *unused)
{
    (void)unused;
    held_release(m);
}

static bool held_begin(struct ex_model *m, uint64_t conn, uint64_t about, const char *text, size_t bytes,
                       bool same)
{
    struct ex_frame *f = ex_frame_new(m, conn, about, text, bytes);

    if (f == NULL)
        return false;
    m->faults.held = f;
    m->faults.held_for_same = same;
    ex_later(m, &m->faults.held_timer, EX_MS(HELD_AT_MOST_MS), held_too_long, NULL);
    return true;
}

/* Let the event pass the one that is held back, when it is of the right kind. */
static void pass(struct ex_model *m, uint64_t conn, uint64_t about, const char *text, size_t bytes)
{
    const struct ex_frame *held = m->faults.held;
    const struct exchange_faults *f = &m->cfg.faults;

    if (held != NULL && held->conn == conn) {
        bool same = held->about == about;
        if (same && !m->faults.held_for_same)
            held_release(m); /* one channel's events stay in order */
        spoil(m, conn, text, bytes);
        m->counters.disordered += same && m->faults.held_for_same;
        if (same || !m->faults.held_for_same)
            held_release(m);
        return;
    }
    if (held == NULL && about != 0 && one_in(m, f->disorder_every) &&
        held_begin(m, conn, about, text, bytes, true))
        return;
    if (held == NULL && about != 0 && one_in(m, f->reorder_every) &&
        held_begin(m, conn, about, text, bytes, false))
        return;
    spoil(m, conn, text, bytes);
}

static void late_due(struct ex_model *m, void *unused)
{
    struct ex_frames *late = &m->faults.late;

    (void)unused;
    while (late->first != NULL && late->first->due_ns <= m->now_ns) {
        struct ex_frame *f = ex_frames_take(late);
        pass(m, f->conn, f->about, f->text, f->bytes);
        ex_free(m, f);
    }
    if (late->first != NULL)
        ex_later(m, &m->faults.late_timer, late->first->due_ns - m->now_ns, late_due, NULL);
}

void ex_faults_send(struct ex_model *m, uint64_t conn, uint64_t about, const char *text, size_t bytes)
{
    struct ex_frame *f;

    if (m->cfg.faults.delay_ms == 0)
        return pass(m, conn, about, text, bytes);
    f = ex_frame_new(m, conn, about, text, bytes);
    if (f == NULL)
        return;
    f->due_ns = m->now_ns + EX_MS(m->cfg.faults.delay_ms);
    ex_frames_put(&m->faults.late, f);
    if (m->faults.late_timer.place == 0)
        ex_later(m, &m->faults.late_timer, EX_MS(m->cfg.faults.delay_ms), late_due, NULL);
}

/* ---- the end --------------------------------------------------------------------------------- */

void ex_faults_forget(struct ex_model *m, uint64_t conn)
{
    struct ex_frames keep = { NULL, NULL };
    struct ex_frame *f;

    if (m->faults.held != NULL && m->faults.held->conn == conn) {
        ex_cancel(m, &m->faults.held_timer);
        ex_free(m, m->faults.held);
        m->faults.held = NULL;
    }
    while ((f = ex_frames_take(&m->faults.late)) != NULL) {
        if (f->conn == conn)
            ex_free(m, f);
        else
            ex_frames_put(&keep, f);
    }
    m->faults.late = keep;
}

void ex_faults_free(struct ex_model *m)
{
    struct ex_frame *f;

    ex_free(m, m->faults.held);
    m->faults.held = NULL;
    while ((f = ex_frames_take(&m->faults.late)) != NULL)
        ex_free(m, f);
}
