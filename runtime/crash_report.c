/* crash_report.c - all that is known of an abnormal end, in one record.
 *
 * Idea:      everything is gathered into one struct on the worker's stack, and then written: as a line of logfmt or JSON,
 *            or as a block for a terminal.
 * Nothing is allocated: a report of an actor that ran out of memory needs none. What belongs to the app (its state, the
 * contents of a message) may be damaged after a fault: the app's functions that show it run guarded, and one that faults
 * or hangs costs that field only. Nothing of a message is shown that its describer does not show; secrets are hidden in
 * all texts. Runs by whoever holds the actor's turn. */
#include "crash_report.h"

#include <stdio.h>
#include <string.h>

#include "crash.h"
#include "fault_code.h"
#include "log.h"
#include "log_fields.h"
#include "module.h"
#include "msg_name.h"
#include "note.h"
#include "runtime.h"
#include "scheduler.h"

enum { LINE_BYTES = 12 * 1024 };

static uint64_t pid_of(const struct tdm_self *a)
{
    return id_make(a->next_gen - 1, a->slot); /* also when it has no address any more */
}

static struct landing *landing_of(const struct tdm_self *a)
{
    struct thread *t = thread_now();
    return t != NULL && t->worker != NULL && t->self == a ? &t->worker->landing : NULL;
}

/* A buffer that may have been too short for what was written: half a secret at its end is hidden too. */
static void hide(char *buf, size_t bytes)
{
    size_t n = strnlen(buf, bytes - 1);
    buf[log_hide_secrets(buf, n, n + 1 >= bytes)] = '\0';
}

/* ---- the message in hand --------------------------------------------------------------------- */

struct excerpt {
    const struct tdm_msg *msg;
    char *buf;
    size_t bytes;
};

static void take_excerpt(void *ctx)
{
    struct excerpt *e = ctx;
    msg_excerpt(e->msg, e->buf, e->bytes);
}

void crash_hand_note(struct tdm_self *a, const struct tdm_msg *msg, bool taken)
{
    struct landing *l = landing_of(a);
    struct thread *t = thread_now();

    if (l == NULL)
        return;
    l->hand.pid = 0;
    if (tdm_log_level() > TDM_LOG_ERROR)
        return; /* nobody will ask */
    l->hand = (struct crash_hand){ .pid = msg != NULL || taken ? pid_of(a) : 0 };
    if (taken) {
        l->hand.type = t->taken.type;
        l->hand.bytes = t->taken.bytes;
        l->hand.from = t->taken.from.id;
    }
    if (msg == NULL)
        return;
    l->hand.type = msg->type;
    l->hand.bytes = msg->bytes;
    l->hand.from = msg->from.id;
    struct excerpt e = { msg, l->hand.excerpt, sizeof l->hand.excerpt };
    if (!fault_guard(take_excerpt, &e))
        snprintf(e.buf, e.bytes, "(damaged)");
    hide(l->hand.excerpt, sizeof l->hand.excerpt);
}

/* ---- gathering ------------------------------------------------------------------------------- */

static void show_state(void *ctx)
{
    struct crash *c = ctx;
    c->a->behaviour->format_state(c->a->state, c->state, sizeof c->state);
    c->state[sizeof c->state - 1] = '\0';
}

static void gather_state(struct crash *c)
{
    if (c->a->behaviour->format_state == NULL || c->a->state == NULL)
        return;
    if (!fault_guard(show_state, c))
        snprintf(c->state, sizeof c->state, "(format_state failed)");
    hide(c->state, sizeof c->state);
}

/* What can be read of it; the rest is left out. */
static void gather_note(struct crash *c)
{
    size_t at = 0;
    const char *note = tdm_note_get((struct tdm_self *)c->a, &c->note_bytes);

    for (size_t i = 0; i < c->note_bytes;) {
        size_t n = text_printable(note + i, c->note_bytes - i);
        if (n > 0 && at + n < sizeof c->note) {
            memcpy(c->note + at, note + i, n);
            at += n;
        }
        i += n > 0 ? n : 1;
    }
    hide(c->note, sizeof c->note);
}

static void gather_history(struct crash *c)
{
    const struct history *h = c->a->history;
    uint32_t n = h == NULL ? 0 : h->next < h->size ? h->next : h->size;

    for (uint32_t i = 0; i < n && i < CRASH_HISTORY; i++) {
        uint32_t k = (h->next - 1 - i) % h->size;
        msg_type_text(h->entries[k].type, h->entries[k].bytes, c->history[c->n_history++],
                      sizeof c->history[0]);
    }
}

static void gather_frames(struct crash *c)
{
    const struct trace *t = &c->l->trace;
    int n = fault_code_telling(t->frames, t->n);

    for (int i = 0; i < n && i < CRASH_FRAMES; i++)
        symbol_name((uintptr_t)t->frames[i], i > 0 || t->called, false, c->frames[c->n_frames++],
                    SYMBOL_TEXT);
}

static void gather_life(struct crash *c)
{
    struct tdm_env *env = c->a->rt->env;
    struct tdm_start start = { 0 };

    family_describe_start((struct tdm_self *)c->a, &start);
    c->restarts = start.restarts;
    c->life_ms = (env->now_ns(env) - c->a->born_ns) / 1000000u;
}

static const char *callback_of(const struct tdm_self *a)
{
    if (a->flags & ACTOR_TERMINATING)
        return "terminate";
    if (!(a->flags & ACTOR_STARTED))
        return "init";
    return a->fibers ? "run" : "handle";
}

static void gather(struct crash *c, const struct tdm_self *a, const struct tdm_reason *reason)
{
    struct landing *l = landing_of(a);

    memset(c, 0, sizeof *c);
    c->a = a;
    c->reason = reason;
    c->l = l != NULL && l->fresh ? l : NULL;
    if (l != NULL && l->hand.pid == pid_of(a))
        c->hand = l->hand;
    c->pid = pid_of(a);
    c->callback = callback_of(a);
    c->module = module_running(a, &c->version);
    if (c->module == NULL)
        c->module = a->behaviour->name;
    c->mailbox = tdm_self_mailbox_length(a);
    tdm_reason_str(reason, c->why, sizeof c->why);
    hide(c->why, sizeof c->why);
    family_ancestors(a, c->ancestors, sizeof c->ancestors);
    link_describe(a, &c->links);
    gather_life(c);
    gather_history(c);
    gather_note(c);
    gather_state(c);
    if (c->l != NULL)
        gather_frames(c);
    crash_advise(c, c->advice, sizeof c->advice);
    hide(c->advice, sizeof c->advice);
}

/* ---- as a line ------------------------------------------------------------------------------- */

static void put_message(struct log_fields *f, const struct crash *c)
{
    char type[48];

    if (c->hand.pid == 0)
        return;
    const char *name = msg_type_name(c->hand.type);
    snprintf(type, sizeof type, "%u", c->hand.type);
    log_group_begin(f, "message");
    log_field_word(f, "type", name != NULL ? name : type);
    log_field_number(f, "bytes", c->hand.bytes);
    log_field_number(f, "from", c->hand.from);
    if (c->hand.excerpt[0] != '\0')
        log_field_text(f, "excerpt", c->hand.excerpt);
    log_group_end(f);
}

static void put_pids(struct log_fields *f, const char *key, const tdm_pid *pids, uint32_t n)
{
    char id[24];

    if (n == 0)
        return;
    log_list_begin(f, key, ",");
    for (uint32_t i = 0; i < n && i < 4; i++) {
        snprintf(id, sizeof id, "%llu", (unsigned long long)pids[i].id);
        log_list_item(f, id);
    }
    if (n > 4)
        log_list_item(f, "...");
    log_list_end(f);
}

static void put_rows(struct log_fields *f, const char *key, const char *between, const char *rows, size_t row,
                     int n)
{
    log_list_begin(f, key, between);
    for (int i = 0; i < n; i++)
        log_list_item(f, rows + (size_t)i * row);
    log_list_end(f);
}

static size_t write_line(const struct crash *c, const struct log_record *r, enum tdm_log_format format,
                         char *out, size_t bytes)
{
    struct log_fields f;

    log_fields_begin(&f, out, bytes, format, r);
    log_field_text(&f, "reason", c->why);
    log_field_text(&f, "advice", c->advice);
    log_field_word(&f, "in", c->callback);
    log_field_word(&f, "behaviour", c->a->behaviour->name);
    log_field_word(&f, "module", c->module);
    log_field_number(&f, "version", c->version);
    log_field_text(&f, "ancestors", c->ancestors);
    put_message(&f, c);
    log_field_text(&f, "state", c->state);
    log_field_number(&f, "mailbox", c->mailbox);
    log_field_number(&f, "links", c->links.links);
    put_pids(&f, "linked_to", c->links.linked_to, c->links.links);
    log_field_number(&f, "monitors", c->links.watches);
    log_field_number(&f, "monitored", c->links.watched);
    put_pids(&f, "monitored_by", c->links.watched_by, c->links.watched);
    log_field_number(&f, "note_bytes", c->note_bytes);
    log_field_text(&f, "note", c->note);
    log_field_number(&f, "restarts", c->restarts);
    log_field_number(&f, "life_ms", c->life_ms);
    put_rows(&f, "last_messages", ",", c->history[0], sizeof c->history[0], c->n_history);
    put_rows(&f, "backtrace", " < ", c->frames[0], sizeof c->frames[0], c->n_frames);
    return log_fields_end(&f);
}

static void write_report(const struct tdm_self *a, const struct tdm_reason *reason)
{
    struct log_record r;
    struct crash c;
    char line[LINE_BYTES];
    enum tdm_log_format format;
    enum log_shape shape = log_shape(&format);

    gather(&c, a, reason);
    log_record_begin(&r, TDM_LOG_ERROR, "actor.crash");
    size_t n = shape == LOG_SHAPE_LINE ? write_line(&c, &r, format, line, sizeof line)
                                       : crash_block(&c, &r, shape == LOG_SHAPE_COLOUR, line, sizeof line);
    log_put(line, n);
}

void crash_report(struct tdm_self *a, const struct tdm_reason *reason)
{
    struct landing *l = landing_of(a);

    if (tdm_log_level() <= TDM_LOG_ERROR)
        write_report(a, reason);
    if (l == NULL)
        return;
    l->fresh = false; /* the next end is another's */
    l->hand.pid = 0;
}
