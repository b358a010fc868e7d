/* gather.c - collecting the digits of one question, as a machine without a call.
 *
 * Idea:      everything a question depends on comes in as one of four inputs (a digit, the end of the
 *            prompt, time, the beginning) and goes out as one of four acts. No clock, no switch, no
 *            memory of its own: each odd case of the field is a few lines of test.
 * Life:      READY takes what was typed ahead. PROMPT plays. STOPPING is the prompt being interrupted:
 *            digits that come before its end are kept, the first of them above all. COLLECT waits for
 *            digits in silence. A wrong or missing answer goes back to PROMPT while tries are left.
 * Invariant: a digit is used by exactly one question. From `answered` on the machine takes none, so what
 *            follows the answer (a late digit, a second terminator) is never part of it.
 * Touched by the actor of the call only.
 * Source:    the words of IVR products (Adhearsion, jambonz, Twilio); the defects of others named in test_gather.c. */
#include "gather.h"

#include <string.h>

#include "tandem/timer.h"

enum { EXACT = 1, LONGER = 2 };

/* How `text` stands to the accepted inputs: is one of them, or the beginning of a longer one. */
static int lookup(const struct gather *g, const char *text)
{
    size_t n = strlen(text);
    int found = 0;

    if (g->opts.valid == NULL)
        return EXACT | LONGER;
    for (const char *const *v = g->opts.valid; *v != NULL; v++) {
        if (strncmp(*v, text, n) == 0)
            found |= (*v)[n] == '\0' ? EXACT : LONGER;
    }
    return found;
}

static bool can_lead_on(const struct gather *g, char digit)
{
    char text[TDM_DIGITS_MAX + 2];

    memcpy(text, g->result.digits, g->digits);
    text[g->digits] = digit;
    text[g->digits + 1] = '\0';
    return lookup(g, text) != 0;
}

/* A digit that belongs to an accepted input is a digit, even if it could also end one. */
static bool is_terminator(const struct gather *g, char digit)
{
    if (strchr(g->opts.terminators, digit) == NULL)
        return false;
    return g->opts.valid == NULL || !can_lead_on(g, digit);
}

static uint32_t most_digits(const struct gather *g)
{
    uint32_t max = g->opts.max_digits;

    return max == 0 || max > TDM_DIGITS_MAX ? TDM_DIGITS_MAX : max;
}

static void set_deadline(struct gather *g)
{
    g->deadline_ns = g->step_ns != 0 && g->step_ns < g->overall_ns ? g->step_ns : g->overall_ns;
}

static void run_step(struct gather *g, uint64_t now_ns, uint32_t ms)
{
    g->step_ns = now_ns + TDM_MS(ms);
    set_deadline(g);
}

static void rest_step(struct gather *g)
{
    g->step_ns = 0;
    set_deadline(g);
}

static bool first_option_set(const struct tdm_gather_opts *o)
{
    return o->prompt != NULL || (o->prompts != NULL && o->prompts[0] != NULL);
}

int gather_init(struct gather *g, const struct tdm_gather_opts *opts, uint64_t now_ns)
{
    static const struct tdm_gather_opts none;
    const struct tdm_gather_opts *o = opts != NULL ? opts : &none;

    if (o->max_digits > TDM_DIGITS_MAX || o->min_digits > TDM_DIGITS_MAX ||
        (o->max_digits != 0 && o->min_digits > o->max_digits))
        return TDM_EINVAL;
    if (o->valid != NULL && o->valid[0] == NULL)
        return TDM_EINVAL;
    *g = (struct gather){ .opts = *o, .has_prompt = first_option_set(o), .result.tries = 1 };
    g->opts.min_digits = o->min_digits != 0 ? o->min_digits : 1;
    g->opts.terminators = o->terminators != NULL ? o->terminators : "#";
    g->opts.first_ms = o->first_ms != 0 ? o->first_ms : 5000;
    g->opts.inter_ms = o->inter_ms != 0 ? o->inter_ms : 3000;
    g->opts.overall_ms = o->overall_ms != 0 ? o->overall_ms : 180000;
    g->opts.tries = o->tries != 0 ? o->tries : 1;
    g->overall_ns = now_ns + TDM_MS(g->opts.overall_ms);
    set_deadline(g);
    return TDM_OK;
}

bool gather_takes(const struct gather *g)
{
    return g->state != GATHER_OVER && !g->answered;
}

/* Silence begins: from the end of the prompt, never from its start. */
static enum gather_act collect(struct gather *g, uint64_t now_ns)
{
    /* While the prompt was being stopped the time after the last digit ran already. */
    bool running = g->state == GATHER_STOPPING && g->step_ns != 0;

    g->state = GATHER_COLLECT;
    if (!running)
        run_step(g, now_ns, g->digits > 0 ? g->opts.inter_ms : g->opts.first_ms);
    return GATHER_WAIT;
}

static enum gather_act over(struct gather *g)
{
    g->state = GATHER_OVER;
    g->step_ns = 0;
    g->deadline_ns = 0;
    return GATHER_DONE;
}

static enum gather_act ask(struct gather *g, uint64_t now_ns)
{
    if (!g->has_prompt && g->announce == NULL)
        return collect(g, now_ns);
    g->state = GATHER_PROMPT;
    rest_step(g);
    return GATHER_PLAY;
}

/* The word is known and nothing plays any more: the end, or one more try. */
static enum gather_act conclude(struct gather *g, uint64_t now_ns)
{
    bool noinput = g->result.word == TDM_GATHER_NOINPUT;

    if (g->result.word == TDM_GATHER_MATCH || g->expired || g->result.tries >= g->opts.tries)
        return over(g);
    g->announce = noinput ? g->opts.timeout_prompt : g->opts.invalid_prompt;
    g->result = (struct tdm_gather_result){ .tries = g->result.tries + 1 };
    g->digits = 0;
    g->answered = false;
    g->state = GATHER_READY;
    return ask(g, now_ns);
}

static enum tdm_gather_word judge(const struct gather *g)
{
    if (g->digits == 0 && g->result.terminator == 0)
        return TDM_GATHER_NOINPUT;
    if (g->digits < g->opts.min_digits || !(lookup(g, g->result.digits) & EXACT))
        return TDM_GATHER_NOMATCH;
    return TDM_GATHER_MATCH;
}

/* The answer is complete, right or wrong. What still plays is stopped or, without barge-in, heard out. */
static enum gather_act settle(struct gather *g, uint64_t now_ns)
{
    g->result.word = judge(g);
    if (g->state != GATHER_PROMPT && g->state != GATHER_STOPPING)
        return conclude(g, now_ns);
    g->answered = true;
    rest_step(g);
    if (g->expired)
        g->deadline_ns = 0;
    if (g->state == GATHER_STOPPING || (g->opts.no_bargein && !g->expired))
        return GATHER_WAIT;
    g->state = GATHER_STOPPING;
    return GATHER_STOP;
}

static bool complete(const struct gather *g)
{
    return g->digits >= most_digits(g) || !(lookup(g, g->result.digits) & LONGER);
}

enum gather_act gather_begin(struct gather *g, uint64_t now_ns)
{
    if (g->state != GATHER_READY)
        return GATHER_WAIT;
    if (g->digits > 0 && !g->opts.no_bargein)
        return collect(g, now_ns); /* who types ahead need not listen */
    return ask(g, now_ns);
}

static enum gather_act add_digit(struct gather *g, char digit, uint64_t now_ns)
{
    g->result.digits[g->digits++] = digit;
    if (complete(g))
        return settle(g, now_ns);
    if (g->state == GATHER_PROMPT && !g->opts.no_bargein) {
        g->state = GATHER_STOPPING;
        run_step(g, now_ns, g->opts.inter_ms);
        return GATHER_STOP;
    }
    if (g->state == GATHER_COLLECT || g->state == GATHER_STOPPING)
        run_step(g, now_ns, g->opts.inter_ms);
    return GATHER_WAIT;
}

enum gather_act gather_digit(struct gather *g, char digit, uint64_t now_ns)
{
    bool terminator;

    if (!gather_takes(g))
        return GATHER_WAIT;
    terminator = is_terminator(g, digit);
    /* Under the prompt only what can still lead to a match interrupts; the rest is a slip of the finger. */
    if (g->state == GATHER_PROMPT && !g->opts.no_bargein && g->opts.valid != NULL && !can_lead_on(g, digit))
        return GATHER_WAIT;
    if (!terminator)
        return add_digit(g, digit, now_ns);
    g->result.terminator = digit;
    return settle(g, now_ns);
}

enum gather_act gather_prompt_ended(struct gather *g, uint64_t now_ns)
{
    if (g->state != GATHER_PROMPT && g->state != GATHER_STOPPING)
        return GATHER_WAIT;
    if (!g->answered)
        return collect(g, now_ns);
    g->state = GATHER_COLLECT;
    return conclude(g, now_ns);
}

enum gather_act gather_time(struct gather *g, uint64_t now_ns)
{
    if (g->state == GATHER_OVER || g->deadline_ns == 0 || now_ns < g->deadline_ns)
        return GATHER_WAIT;
    g->expired = now_ns >= g->overall_ns;
    if (!g->answered)
        return settle(g, now_ns);
    /* Settled already, and the prompt outlasts the question. */
    g->deadline_ns = 0;
    if (g->state == GATHER_STOPPING)
        return GATHER_WAIT;
    g->state = GATHER_STOPPING;
    return GATHER_STOP;
}
