/* callers.c - who calls when, and what each caller does next.
 *
 * Callers act only from timers: what happens to a channel pokes its caller, and the caller looks at the
 * matter at the next tick. So nothing that a caller does, such as hanging up, happens in the middle of
 * something else. Calls are placed at the configured rate, never more than `at_once` at a time; those
 * that the limit held back are placed as others end. */
#include "inside.h"

#include <stdio.h>

#define PLACED_AT_ONCE 64

/* ---- one call -------------------------------------------------------------------------------- */

static const struct ex_plan *plan_draw(struct ex_model *m)
{
    uint64_t lot = m->n_plans > 1 ? ex_random(m, m->weights) : 0;
    uint32_t i = 0;

    while (lot >= m->plans[i].weight)
        lot -= m->plans[i++].weight;
    return &m->plans[i];
}

/* ${EXTEN} in the arguments of Stasis() becomes the dialled extension. */
static void args_fill(char *out, size_t bytes, const char *args, const char *exten)
{
    static const char word[] = "${EXTEN}";
    size_t n = 0;

    while (*args != '\0' && n + 1 < bytes) {
        if (strncmp(args, word, sizeof word - 1) != 0) {
            out[n++] = *args++;
            continue;
        }
        n += (size_t)snprintf(out + n, bytes - n, "%s", exten);
        n = n < bytes ? n : bytes - 1;
        args += sizeof word - 1;
    }
    out[n] = '\0';
}

static int call_dress(struct ex_model *m, struct ex_channel *ch, const struct ex_call *call,
                      const char *exten, const char *app_data)
{
    char number[24], call_id[64];

    snprintf(number, sizeof number, "555%04llu", (unsigned long long)(m->next_caller++ % 10000));
    snprintf(call_id, sizeof call_id, "%llx@127.0.0.1", (unsigned long long)ex_random(m, 0));
    if (ex_set(m, &ch->caller_number, call->caller == NULL ? number : call->caller) < 0 ||
        ex_set(m, &ch->caller_name, call->caller_name == NULL ? "" : call->caller_name) < 0 ||
        ex_set(m, &ch->protocol_id, call_id) < 0 || ex_set(m, &ch->exten, exten) < 0 ||
        ex_set(m, &ch->app_name, "Stasis") < 0)
        return TDM_ENOMEM;
    ch->priority = m->cfg.answers ? 2 : 1;
    return ex_set(m, &ch->app_data, app_data);
}

/* Make the channel and let its caller ring; NULL without memory. */
static struct ex_channel *call_new(struct ex_model *m, const struct ex_call *call, const char *exten,
                                   const char *app_data)
{
    char id[64], name[64];

    snprintf(id, sizeof id, "%llu.%llu", (unsigned long long)m->epoch_s,
             (unsigned long long)m->next_channel++);
    snprintf(name, sizeof name, "PJSIP/sipp-%08llx", (unsigned long long)m->next_name++);
    struct ex_channel *ch = ex_channel_new(m, id, name);
    if (ch == NULL)
        return NULL;
    if (call_dress(m, ch, call, exten, app_data) < 0) {
        ex_channel_free(m, ch);
        return NULL;
    }
    ch->state = EX_RING;
    ch->inbound = true;
    m->counters.placed++;
    m->counters.live++;
    return ch;
}

static void call_enter(struct ex_model *m, struct ex_channel *ch, const char *app, const char *args)
{
    ex_step(m, ch->id, EX_STEP_CALLER, "calls");
    ex_channel_event(m, ch, "ChannelCreated");
    if (m->cfg.answers)
        ex_channel_set_state(m, ch, EX_UP);
    if (ex_channel_enter(m, ch, app, args))
        return;
    m->counters.refused++;
    ex_step(m, ch->id, EX_STEP_CALLER, "the app is not there: STASISSTATUS=FAILED");
    ex_channel_to_dialplan(m, ch, ch->context, ch->exten, ch->priority + 1);
}

static int place(struct ex_model *m, const struct ex_call *call, const struct ex_script *script,
                 struct ex_script *own, char *id)
{
    const struct ex_plan *plan = call->exten == NULL ? plan_draw(m) : NULL;
    const char *exten = plan == NULL ? call->exten : plan->exten,
               *app = call->app == NULL ? m->cfg.app : call->app;
    char args[512], app_data[640];

    args_fill(args, sizeof args, call->args == NULL ? m->cfg.args : call->args, exten);
    snprintf(app_data, sizeof app_data, "%.100s%s%s", app, *args ? "," : "", args);
    struct ex_channel *ch = call_new(m, call, exten, app_data);
    if (ch == NULL)
        return TDM_ENOMEM;
    ch->account = ex_account_open(m, ch->id);
    ch->caller.script = script != NULL ? script : plan != NULL ? plan->script : NULL;
    ch->caller.own = own;
    if (id != NULL)
        snprintf(id, 64, "%s", ch->id);
    ex_caller_begin(m, ch);
    call_enter(m, ch, app, args);
    return TDM_OK;
}

int ex_model_place_call(struct ex_model *m, const struct ex_call *call, char *id)
{
    struct ex_script *own = NULL;
    char why[8];
    int err = call->script == NULL ? TDM_OK : ex_script_read(m, call->script, &own, why, sizeof why);

    if (err == TDM_OK)
        err = place(m, call, own, own, id);
    if (err < 0)
        ex_script_free(m, own);
    return err;
}

/* ---- many calls ------------------------------------------------------------------------------ */

void ex_callers_settled(struct ex_model *m)
{
    ex_accounts_close(m);
    m->settled = true;
}

static void settled(struct ex_model *m, void *unused)
{
    (void)unused;
    ex_callers_settled(m);
}

static void place_due(struct ex_model *m, void *unused)
{
    static const struct ex_call anyone = { .exten = NULL };

    (void)unused;
    if (!ex_chaos_may_place(m)) {
        ex_later(m, &m->call_timer, EX_MS(100), place_due, NULL);
        return;
    }
    for (uint32_t n = 0; m->counters.placed < m->cfg.calls && m->counters.live < m->cfg.at_once; n++) {
        if (n == PLACED_AT_ONCE) { /* others want their turn */
            ex_later(m, &m->call_timer, 0, place_due, NULL);
            return;
        }
        if (m->cfg.rate > 0) {
            uint64_t due = m->begun_ns + (uint64_t)((double)m->counters.placed * 1e9 / m->cfg.rate);
            if (due > m->now_ns) {
                ex_later(m, &m->call_timer, due - m->now_ns, place_due, NULL);
                return;
            }
        }
        if (place(m, &anyone, NULL, NULL, NULL) < 0) {
            ex_later(m, &m->call_timer, EX_MS(100), place_due, NULL); /* no memory: later, perhaps */
            return;
        }
    }
}

void ex_callers_start(struct ex_model *m)
{
    if (m->begun || m->cfg.calls == 0)
        return;
    m->begun = true;
    m->begun_ns = m->now_ns;
    ex_chaos_start(m);
    ex_later(m, &m->call_timer, 0, place_due, NULL);
}

void ex_callers_check(struct ex_model *m)
{
    if (m->cfg.calls == 0 || !m->begun)
        return;
    if (m->counters.placed < m->cfg.calls) {
        if (m->call_timer.place == 0)
            ex_later(m, &m->call_timer, 0, place_due, NULL);
        return;
    }
    if (m->counters.live > 0 || m->settled)
        return;
    /* All over. With every account told there is nothing to wait for. */
    m->calls_over = true;
    if (m->chaos.audit != NULL)
        return; /* the judge says when */
    if (m->settle_timer.place == 0 || m->accounts.count == 0)
        ex_later(m, &m->settle_timer, m->accounts.count == 0 ? 0 : EX_MS(m->cfg.settle_ms), settled, NULL);
}

/* ---- what a caller does ---------------------------------------------------------------------- */

static bool digit_valid(char digit)
{
    return digit != '\0' && strchr("0123456789*#ABCD", digit) != NULL;
}

static void press(struct ex_model *m, struct ex_channel *ch, char digit)
{
    char text[2] = { digit, '\0' }, words[16];

    snprintf(words, sizeof words, "presses %c", digit);
    ex_step(m, ch->id, EX_STEP_CALLER, words);
    struct ex_text *t = ex_event(m, "ChannelDtmfReceived");
    ex_json_str(t, "digit", text);
    ex_json_int(t, "duration_ms", 160);
    ex_json_channel(t, "channel", ch);
    ex_event_send(m, ch, NULL);
}

int ex_digits(struct ex_model *m, struct ex_channel *ch, const char *digits)
{
    for (const char *d = digits; *d != '\0'; d++)
        if (!digit_valid(*d))
            return TDM_EINVAL;
    for (; *digits != '\0'; digits++)
        press(m, ch, *digits);
    return TDM_OK;
}

static void caller_acts(struct ex_model *m, void *owner);

static void caller_sleep(struct ex_model *m, struct ex_channel *ch, uint64_t ns)
{
    ch->caller.waits = EX_WAITS_TIME;
    ex_later(m, &ch->caller.timer, ns, caller_acts, ch);
}

static void caller_leaves(struct ex_model *m, struct ex_channel *ch)
{
    struct ex_cause cause = { .cause = 16 };

    if (ch->state != EX_UP)
        cause = (struct ex_cause){ .cause = 127, .tech_cause = 487 }; /* a cancel */
    ex_step(m, ch->id, EX_STEP_CALLER, "hangs up");
    ex_channel_end(m, ch, cause);
}

/* One digit of a `press`, then a pause when more follow. */
static void caller_presses(struct ex_model *m, struct ex_channel *ch, const struct ex_script_step *step)
{
    struct ex_caller *c = &ch->caller;

    if (c->digits == NULL) {
        c->digits = step->digits;
        for (uint64_t skip = ex_random(m, step->choices); skip > 0; skip--)
            c->digits += strlen(c->digits) + 1;
    }
    press(m, ch, *c->digits++);
    if (*c->digits != '\0')
        return caller_sleep(m, ch, EX_MS(m->cfg.digit_gap_ms));
    c->digits = NULL;
    c->step++;
}

/* Is the thing there that the step waits for? Otherwise note what pokes us. */
static bool wait_met(struct ex_channel *ch, const struct ex_script_step *step)
{
    struct ex_caller *c = &ch->caller;
    bool met = step->act == EX_ACT_WAIT_ANSWER ? ch->state == EX_UP
               : step->act == EX_ACT_WAIT_PLAY ? ch->plays_started > c->plays_seen
                                               : ex_lane_idle(&ch->lane);

    if (met && step->act == EX_ACT_WAIT_PLAY)
        c->plays_seen = ch->plays_started;
    c->waits = met                               ? EX_READY
               : step->act == EX_ACT_WAIT_ANSWER ? EX_WAITS_ANSWER
               : step->act == EX_ACT_WAIT_PLAY   ? EX_WAITS_PLAY
                                                 : EX_WAITS_QUIET;
    return met;
}

/* Do the present step. Returns false when the caller has to wait, or is gone. */
static bool caller_step(struct ex_model *m, struct ex_channel *ch)
{
    struct ex_caller *c = &ch->caller;
    const struct ex_script_step *step = &c->script->steps[c->step];

    switch (step->act) {
    case EX_ACT_WAIT:
        c->step++;
        caller_sleep(m, ch, step->min_ns + ex_random(m, step->max_ns - step->min_ns + 1));
        return false;
    case EX_ACT_WAIT_ANSWER:
    case EX_ACT_WAIT_PLAY:
    case EX_ACT_WAIT_QUIET:
        if (!wait_met(ch, step))
            return false;
        c->step++;
        return true;
    case EX_ACT_PRESS:
        caller_presses(m, ch, step);
        return c->waits != EX_WAITS_TIME;
    case EX_ACT_HANG_UP:
        c->step++;
        if (ex_random(m, 100) >= step->chance)
            return true;
        caller_leaves(m, ch);
        return false;
    }
    return false;
}

static void caller_acts(struct ex_model *m, void *owner)
{
    struct ex_channel *ch = owner;
    struct ex_caller *c = &ch->caller;

    c->waits = EX_READY;
    do {
        if (c->step >= c->leave_at)
            return caller_leaves(m, ch);
        if (c->step >= c->script->n) {
            c->waits = EX_DONE;
            return;
        }
    } while (caller_step(m, ch));
}

static void caller_tires(struct ex_model *m, void *owner)
{
    caller_leaves(m, owner);
}

void ex_caller_begin(struct ex_model *m, struct ex_channel *ch)
{
    struct ex_caller *c = &ch->caller;

    ex_later(m, &c->limit, EX_MS(m->cfg.call_limit_ms), caller_tires, ch);
    c->waits = EX_DONE;
    if (c->script == NULL)
        return;
    if (c->script->leaves_anywhere)
        c->leave_at = (uint32_t)ex_random(m, c->script->n + 1);
    caller_sleep(m, ch, 0);
}

void ex_caller_poke(struct ex_model *m, struct ex_channel *ch)
{
    struct ex_caller *c = &ch->caller;
    bool waits = c->waits == EX_WAITS_ANSWER || c->waits == EX_WAITS_PLAY || c->waits == EX_WAITS_QUIET;

    if (waits && c->timer.place == 0 && !ch->ending)
        ex_later(m, &c->timer, 0, caller_acts, ch);
}

void ex_caller_gone(struct ex_model *m, struct ex_channel *ch)
{
    ex_cancel(m, &ch->caller.timer);
    ex_cancel(m, &ch->caller.limit);
    ch->caller.script = NULL;
    ch->caller.waits = EX_DONE;
    ex_script_free(m, ch->caller.own);
    ch->caller.own = NULL;
}

/* ---- by hand --------------------------------------------------------------------------------- */

int ex_model_press(struct ex_model *m, const char *channel, const char *digits)
{
    struct ex_channel *ch = ex_channel_find(m, channel);

    return ch == NULL ? TDM_ENOTFOUND : ex_digits(m, ch, digits);
}

int ex_model_hang_up(struct ex_model *m, const char *channel)
{
    struct ex_channel *ch = ex_channel_find(m, channel);

    if (ch == NULL)
        return TDM_ENOTFOUND;
    caller_leaves(m, ch);
    return TDM_OK;
}

void ex_model_finish(struct ex_model *m)
{
    struct ex_channel *next;

    m->begun = true;
    ex_chaos_finish(m);
    m->cfg.calls = m->counters.placed;
    m->settled = m->counters.placed == 0;
    for (struct ex_channel *ch = m->first_channel; ch != NULL; ch = next) {
        next = ch->next;
        if (ch->inbound)
            caller_leaves(m, ch);
    }
    ex_callers_check(m);
}
