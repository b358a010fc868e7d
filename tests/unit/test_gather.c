/* test_gather.c - questions, without a call: the machine of actors/gather.c. Ticket numbers name what
 * went wrong elsewhere; see the table "IVR behaviour" in the field notes. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "gather.h"
#include "tandem/timer.h"

/* A question on a clock of its own. */
struct q {
    struct gather g;
    uint64_t now;
    enum gather_act act;
};

static struct q ask(const struct tdm_gather_opts *opts)
{
    struct q q = { .now = TDM_S(1000) };

    cr_assert(eq(int, gather_init(&q.g, opts, q.now), TDM_OK));
    q.act = gather_begin(&q.g, q.now);
    return q;
}

static void press(struct q *q, const char *digits)
{
    for (; *digits != '\0'; digits++) {
        cr_assert(gather_takes(&q->g), "the question takes %c", *digits);
        q->act = gather_digit(&q->g, *digits, q->now);
    }
}

static void prompt_ends(struct q *q)
{
    q->act = gather_prompt_ended(&q->g, q->now);
}

/* Let time pass; the machine is called exactly when it asked to be. */
static void wait_ms(struct q *q, uint64_t ms)
{
    uint64_t until = q->now + TDM_MS(ms);

    while (q->g.deadline_ns != 0 && q->g.deadline_ns <= until && q->act != GATHER_DONE) {
        q->now = q->g.deadline_ns;
        q->act = gather_time(&q->g, q->now);
        if (q->act != GATHER_WAIT)
            break;
    }
    if (q->act == GATHER_WAIT)
        q->now = until;
}

static void answer_is(const struct q *q, enum tdm_gather_word word, const char *digits)
{
    cr_assert(eq(int, q->act, GATHER_DONE));
    cr_assert(eq(int, q->g.result.word, word));
    cr_assert(eq(str, (char *)q->g.result.digits, (char *)digits));
}

/* ---- the plain case -------------------------------------------------------------------------- */

Test(gather, a_prompt_is_played_then_digits_up_to_the_terminator_are_the_answer, .timeout = 10)
{
    struct q q = ask(&(struct tdm_gather_opts){ .prompt = "p" });

    cr_assert(eq(int, q.act, GATHER_PLAY));
    prompt_ends(&q);
    press(&q, "4711#");
    answer_is(&q, TDM_GATHER_MATCH, "4711");
    cr_assert(eq(chr, q.g.result.terminator, '#'));
    cr_assert(eq(u32, q.g.result.tries, 1));
}

Test(gather, max_digits_end_the_question_without_a_terminator, .timeout = 10)
{
    struct q q = ask(&(struct tdm_gather_opts){ .max_digits = 3 });

    press(&q, "123");
    answer_is(&q, TDM_GATHER_MATCH, "123");
    cr_assert(eq(chr, q.g.result.terminator, 0));
}

Test(gather, no_digit_in_time_is_noinput, .timeout = 10)
{
    struct q q = ask(&(struct tdm_gather_opts){ .prompt = "p" });

    prompt_ends(&q);
    wait_ms(&q, 4999);
    cr_assert(eq(int, q.act, GATHER_WAIT));
    wait_ms(&q, 1);
    answer_is(&q, TDM_GATHER_NOINPUT, "");
}

Test(gather, without_terminators_a_pound_key_is_a_digit, .timeout = 10)
{
    struct q q = ask(&(struct tdm_gather_opts){ .terminators = "", .max_digits = 3 });

    press(&q, "1#2");
    answer_is(&q, TDM_GATHER_MATCH, "1#2");
}

Test(gather, a_terminator_alone_is_an_answer_that_does_not_match, .timeout = 10)
{
    struct q q = ask(&(struct tdm_gather_opts){ .max_digits = 4 });

    press(&q, "#");
    answer_is(&q, TDM_GATHER_NOMATCH, "");
    cr_assert(eq(chr, q.g.result.terminator, '#'));
}

Test(gather, an_accepted_input_that_holds_a_terminator_is_typed_in_full, .timeout = 10)
{
    const char *const valid[] = { "*9", "#", NULL };
    struct q q = ask(&(struct tdm_gather_opts){ .valid = valid });

    press(&q, "#");
    answer_is(&q, TDM_GATHER_MATCH, "#");
    cr_assert(eq(chr, q.g.result.terminator, 0));
}

Test(gather, digits_beyond_the_limit_of_the_buffer_end_the_question, .timeout = 10)
{
    struct q q = ask(NULL);

    for (int i = 0; i < TDM_DIGITS_MAX; i++)
        press(&q, "7");
    cr_assert(eq(int, q.act, GATHER_DONE));
    cr_assert(eq(sz, strlen(q.g.result.digits), (size_t)TDM_DIGITS_MAX));
    cr_assert(not(gather_takes(&q.g)));
}

Test(gather, a_question_that_nothing_can_answer_is_refused, .timeout = 10)
{
    const char *const nothing[] = { NULL };
    struct gather g;

    cr_assert(eq(int, gather_init(&g, &(struct tdm_gather_opts){ .valid = nothing }, 1), TDM_EINVAL));
    cr_assert(eq(int, gather_init(&g, &(struct tdm_gather_opts){ .min_digits = 5, .max_digits = 4 }, 1),
                 TDM_EINVAL));
    cr_assert(eq(int, gather_init(&g, &(struct tdm_gather_opts){ .max_digits = 65 }, 1), TDM_EINVAL));
}

/* ---- accepted inputs ------------------------------------------------------------------------- */

static const char *const extensions[] = { "10", "100", "20", NULL };

Test(gather, an_input_nothing_longer_begins_with_matches_at_once, .timeout = 10)
{
    struct q q = ask(&(struct tdm_gather_opts){ .valid = extensions });

    press(&q, "20");
    answer_is(&q, TDM_GATHER_MATCH, "20");
}

Test(gather, an_input_that_could_go_on_waits_for_more_and_matches_at_the_inter_digit_time, .timeout = 10)
{
    struct q q = ask(&(struct tdm_gather_opts){ .valid = extensions });

    press(&q, "10");
    cr_assert(eq(int, q.act, GATHER_WAIT));
    wait_ms(&q, 3000);
    answer_is(&q, TDM_GATHER_MATCH, "10");
}

Test(gather, an_input_that_could_go_on_is_taken_at_the_terminator, .timeout = 10)
{
    struct q q = ask(&(struct tdm_gather_opts){ .valid = extensions });

    press(&q, "10#");
    answer_is(&q, TDM_GATHER_MATCH, "10");
}

Test(gather, digits_that_lead_nowhere_do_not_match_at_once, .timeout = 10)
{
    struct q q = ask(&(struct tdm_gather_opts){ .valid = extensions });

    press(&q, "3");
    answer_is(&q, TDM_GATHER_NOMATCH, "3");
}

/* ---- tries ----------------------------------------------------------------------------------- */

Test(gather, a_wrong_answer_is_told_so_and_asked_again, .timeout = 10)
{
    const char *const valid[] = { "1", NULL };
    struct q q = ask(&(struct tdm_gather_opts){
        .prompt = "p", .invalid_prompt = "bad", .timeout_prompt = "late", .valid = valid, .tries = 3 });

    prompt_ends(&q);
    press(&q, "9");
    cr_assert(eq(int, q.act, GATHER_PLAY));
    cr_assert(eq(str, (char *)q.g.announce, (char *)"bad"));
    prompt_ends(&q);
    wait_ms(&q, 5000);
    cr_assert(eq(int, q.act, GATHER_PLAY));
    cr_assert(eq(str, (char *)q.g.announce, (char *)"late"));
    prompt_ends(&q);
    press(&q, "1");
    answer_is(&q, TDM_GATHER_MATCH, "1");
    cr_assert(eq(u32, q.g.result.tries, 3));
}

Test(gather, the_last_try_keeps_its_wrong_digits, .timeout = 10)
{
    const char *const valid[] = { "1", NULL };
    struct q q = ask(&(struct tdm_gather_opts){ .valid = valid, .tries = 2 });

    press(&q, "8");
    cr_assert(eq(int, q.act, GATHER_WAIT));
    press(&q, "9");
    answer_is(&q, TDM_GATHER_NOMATCH, "9");
    cr_assert(eq(u32, q.g.result.tries, 2));
}

Test(gather, the_overall_time_ends_all_tries_and_stops_the_prompt, .timeout = 10)
{
    struct q q =
        ask(&(struct tdm_gather_opts){ .prompt = "p", .tries = 9, .overall_ms = 7000, .no_bargein = true });

    prompt_ends(&q);
    wait_ms(&q, 5000);
    cr_assert(eq(int, q.act, GATHER_PLAY));
    q.act = GATHER_WAIT;
    wait_ms(&q, 2000);
    cr_assert(eq(int, q.act, GATHER_STOP));
    prompt_ends(&q);
    answer_is(&q, TDM_GATHER_NOINPUT, "");
}

/* ---- what went wrong elsewhere --------------------------------------------------------------- */

Test(gather, adhearsion_260_what_is_pressed_after_the_answer_belongs_to_the_next_question, .timeout = 10)
{
    struct q q = ask(&(struct tdm_gather_opts){ .prompt = "p", .max_digits = 1 });
    struct q next;

    press(&q, "1");
    cr_assert(eq(int, q.act, GATHER_STOP));
    cr_assert(not(gather_takes(&q.g)), "answered: a digit during the stop is not this question's");
    prompt_ends(&q);
    answer_is(&q, TDM_GATHER_MATCH, "1");
    next = ask(&(struct tdm_gather_opts){ .max_digits = 1 });
    cr_assert(eq(int, next.act, GATHER_WAIT));
    cr_assert(eq(str, (char *)next.g.result.digits, (char *)""), "the next question begins with nothing");
}

Test(gather, adhearsion_260_the_terminator_that_ended_a_question_is_used_up, .timeout = 10)
{
    struct q q = ask(&(struct tdm_gather_opts){ .prompt = "p" });

    press(&q, "12#");
    cr_assert(not(gather_takes(&q.g)), "a second # is not taken by the question it would end twice");
    prompt_ends(&q);
    answer_is(&q, TDM_GATHER_MATCH, "12");
}

Test(gather, adhearsion_242_only_a_digit_that_can_lead_to_a_match_interrupts, .timeout = 10)
{
    const char *const valid[] = { "1", "22", NULL };
    struct q q = ask(&(struct tdm_gather_opts){ .prompt = "p", .valid = valid });

    press(&q, "9");
    cr_assert(eq(int, q.act, GATHER_WAIT), "9 is in no accepted input");
    press(&q, "#");
    cr_assert(eq(int, q.act, GATHER_WAIT), "nor does a terminator with nothing to end interrupt");
    press(&q, "2");
    cr_assert(eq(int, q.act, GATHER_STOP));
    prompt_ends(&q);
    press(&q, "2");
    answer_is(&q, TDM_GATHER_MATCH, "22");
}

Test(gather, adhearsion_154_the_digit_that_interrupts_is_the_first_of_the_answer, .timeout = 10)
{
    struct q q = ask(&(struct tdm_gather_opts){ .prompt = "p", .max_digits = 4 });

    press(&q, "1");
    cr_assert(eq(int, q.act, GATHER_STOP));
    press(&q, "23");
    cr_assert(eq(int, q.act, GATHER_WAIT), "pressed while the prompt is being stopped: kept");
    prompt_ends(&q);
    press(&q, "4");
    answer_is(&q, TDM_GATHER_MATCH, "1234");
}

Test(gather, adhearsion_154_an_answer_completed_while_the_prompt_stops_is_given_when_it_has, .timeout = 10)
{
    struct q q = ask(&(struct tdm_gather_opts){ .prompt = "p", .max_digits = 2 });

    press(&q, "12");
    cr_assert(eq(int, q.act, GATHER_WAIT));
    prompt_ends(&q);
    answer_is(&q, TDM_GATHER_MATCH, "12");
}

Test(gather, adhearsion_162_the_time_for_the_first_digit_counts_from_the_end_of_the_prompt, .timeout = 10)
{
    struct q q = ask(&(struct tdm_gather_opts){ .prompt = "a long one", .first_ms = 1000 });

    q.act = GATHER_WAIT;
    wait_ms(&q, 60000);
    cr_assert(eq(int, q.act, GATHER_WAIT), "a minute of prompt is no silence");
    prompt_ends(&q);
    wait_ms(&q, 999);
    cr_assert(eq(int, q.act, GATHER_WAIT));
    press(&q, "5");
    wait_ms(&q, 3000);
    answer_is(&q, TDM_GATHER_MATCH, "5");
}

Test(gather, adhearsion_41_first_and_inter_digit_times_are_two, .timeout = 10)
{
    struct q q = ask(&(struct tdm_gather_opts){ .first_ms = 9000, .inter_ms = 500 });

    wait_ms(&q, 8999);
    press(&q, "1");
    wait_ms(&q, 499);
    cr_assert(eq(int, q.act, GATHER_WAIT));
    press(&q, "2");
    wait_ms(&q, 499);
    cr_assert(eq(int, q.act, GATHER_WAIT), "each digit begins the time anew");
    wait_ms(&q, 1);
    answer_is(&q, TDM_GATHER_MATCH, "12");
}

Test(gather, jambonz_282_bargein_switched_off_for_one_question_is_on_again_for_the_next, .timeout = 10)
{
    struct q first = ask(&(struct tdm_gather_opts){ .prompt = "p", .max_digits = 1, .no_bargein = true });
    struct q second;

    press(&first, "1");
    cr_assert(eq(int, first.act, GATHER_WAIT), "without barge-in the prompt is heard out");
    prompt_ends(&first);
    answer_is(&first, TDM_GATHER_MATCH, "1");
    second = ask(&(struct tdm_gather_opts){ .prompt = "p", .max_digits = 1 });
    press(&second, "2");
    cr_assert(eq(int, second.act, GATHER_STOP));
}

Test(gather, jambonz_382_without_bargein_digits_under_the_prompt_count_but_do_not_stop_it, .timeout = 10)
{
    struct q q =
        ask(&(struct tdm_gather_opts){ .prompt = "p", .no_bargein = true, .max_digits = 4, .inter_ms = 700 });

    press(&q, "12");
    cr_assert(eq(int, q.act, GATHER_WAIT));
    wait_ms(&q, 10000);
    cr_assert(eq(int, q.act, GATHER_WAIT), "no time runs under the prompt");
    prompt_ends(&q);
    cr_assert(eq(int, q.act, GATHER_WAIT));
    wait_ms(&q, 699);
    cr_assert(eq(int, q.act, GATHER_WAIT), "the time between digits begins at its end");
    press(&q, "34");
    answer_is(&q, TDM_GATHER_MATCH, "1234");
}

Test(gather, jambonz_382_with_bargein_the_first_digit_stops_the_prompt, .timeout = 10)
{
    struct q q = ask(&(struct tdm_gather_opts){ .prompt = "p", .max_digits = 4 });

    press(&q, "1");
    cr_assert(eq(int, q.act, GATHER_STOP));
}

Test(gather, jambonz_382_digits_before_the_question_count_only_when_it_takes_them, .timeout = 10)
{
    struct gather g;

    cr_assert(
        eq(int, gather_init(&g, &(struct tdm_gather_opts){ .prompt = "p", .type_ahead = true }, 1), TDM_OK));
    cr_assert(eq(int, gather_digit(&g, '1', 1), GATHER_WAIT));
    cr_assert(eq(int, gather_begin(&g, 1), GATHER_WAIT), "who types ahead need not listen");
    cr_assert(eq(int, gather_digit(&g, '#', 2), GATHER_DONE));
    cr_assert(eq(str, (char *)g.result.digits, (char *)"1"));
}

Test(gather, jambonz_382_typed_ahead_without_bargein_the_prompt_is_still_played, .timeout = 10)
{
    struct tdm_gather_opts opts = { .prompt = "p", .type_ahead = true, .no_bargein = true, .max_digits = 2 };
    struct gather g;

    cr_assert(eq(int, gather_init(&g, &opts, 1), TDM_OK));
    cr_assert(eq(int, gather_digit(&g, '1', 1), GATHER_WAIT));
    cr_assert(eq(int, gather_begin(&g, 1), GATHER_PLAY));
    cr_assert(eq(int, gather_digit(&g, '2', 2), GATHER_WAIT));
    cr_assert(eq(int, gather_prompt_ended(&g, 3), GATHER_DONE));
    cr_assert(eq(str, (char *)g.result.digits, (char *)"12"));
}

Test(gather, freeswitch_1550_too_few_digits_are_judged_at_the_inter_digit_time, .timeout = 10)
{
    struct q q = ask(&(struct tdm_gather_opts){ .min_digits = 4, .max_digits = 4, .overall_ms = 60000 });

    press(&q, "12");
    wait_ms(&q, 3000);
    answer_is(&q, TDM_GATHER_NOMATCH, "12");
}

Test(gather, freeswitch_1550_too_few_digits_are_judged_at_the_terminator, .timeout = 10)
{
    struct q q = ask(&(struct tdm_gather_opts){ .min_digits = 4, .max_digits = 8 });

    press(&q, "12#");
    answer_is(&q, TDM_GATHER_NOMATCH, "12");
}

/* ---- whatever comes -------------------------------------------------------------------------- */

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* One random input; true when the machine took a digit. */
static bool stir(struct q *q, uint32_t *seed)
{
    static const char keys[] = "0123456789*#";
    bool takes = gather_takes(&q->g);

    q->now += TDM_MS(next_random(seed) % 1500);
    switch (next_random(seed) % 4) {
    case 0:
        q->act = gather_time(&q->g, q->now);
        return false;
    case 1:
        q->act = gather_prompt_ended(&q->g, q->now);
        return false;
    default:
        q->act = gather_digit(&q->g, keys[next_random(seed) % 12], q->now);
        return takes;
    }
}

Test(gather, any_mixture_of_inputs_comes_to_an_end_with_no_more_digits_than_allowed, .timeout = 60)
{
    const char *const valid[] = { "1", "12", "*3", NULL };

    for (uint32_t n = 0; n < 20000; n++) {
        uint32_t seed = n, steps = 0;
        struct q q = ask(&(struct tdm_gather_opts){ .prompt = n & 1 ? "p" : NULL,
                                                    .max_digits = n >> 1 & 3,
                                                    .valid = n & 8 ? valid : NULL,
                                                    .tries = n >> 4 & 3,
                                                    .no_bargein = n & 64,
                                                    .overall_ms = 20000 });

        while (q.act != GATHER_DONE && ++steps < 1000)
            (void)stir(&q, &seed);
        cr_assert(lt(u32, steps, 1000), "seed %u: the question never ends", n);
        cr_assert(eq(sz, strlen(q.g.result.digits), (size_t)q.g.digits), "seed %u", n);
        cr_assert(not(gather_takes(&q.g)), "seed %u", n);
        if (n >> 1 & 3)
            cr_assert(le(u32, q.g.digits, n >> 1 & 3), "seed %u: more digits than allowed", n);
    }
}
