/* test_exchange_chaos.c - the exchange's bad day without sockets: beats, faults, cuts, and how it ends. */
#include "exchange_fixture.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

TestSuite(exchange_chaos, .timeout = 20);

#define FIRST "1795201405.0"

static struct exchange_fixture *bad_day(uint32_t calls, struct exchange_chaos chaos)
{
    struct exchange_cfg cfg = { .calls = 1000000,
                                .at_once = calls,
                                .app = "ivr",
                                .answers = true,
                                .no_rtp_stats = true,
                                .settle_ms = 5000,
                                .chaos = chaos,
                                .plans = &(struct exchange_plan){ .exten = "1", .script = "wait 1000s" },
                                .n_plans = 1 };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_open(fx, 1, "app=ivr");
    fx_pass(fx, 0);
    return fx;
}

static int trail(struct exchange_fixture *fx, const char *lines)
{
    return fx_ask_body(fx, "POST /exchange/trail", "", lines);
}

/* How often the text was seen. */
static int times(const struct exchange_fixture *fx, const char *text)
{
    int n = 0;

    for (const char *at = fx->seen; at != NULL && (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}

Test(exchange_chaos, every_call_hears_its_beats_at_the_rate)
{
    struct exchange_fixture *fx = bad_day(10, (struct exchange_chaos){ .beat_ms = 500 });

    fx_clear(fx);
    fx_pass(fx, 4000);
    cr_assert(eq(int, times(fx, "\"BEAT\""), 80));
    cr_assert(eq(u64, fx_counters(fx).beats, 80));
    fx_free(fx);
}

Test(exchange_chaos, keys_are_pressed_in_turn_and_a_call_has_a_rest_between)
{
    struct exchange_fixture *fx =
        bad_day(30, (struct exchange_chaos){ .beat_ms = 100000, .faults_per_s = 10, .fault_keys = "12" });

    fx_pass(fx, 2000);
    cr_assert(eq(u64, fx_counters(fx).faults, 20));
    cr_assert(eq(int, times(fx, "\"digit\":\"1\""), 10));
    cr_assert(eq(int, times(fx, "\"digit\":\"2\""), 10));
    fx_pass(fx, 8000);
    cr_assert(eq(u64, fx_counters(fx).faults, 30), "each call once in 12 s");
    fx_free(fx);
}

Test(exchange_chaos, it_cuts_by_reset_and_by_silence_in_turn)
{
    struct exchange_fixture *fx =
        bad_day(2, (struct exchange_chaos){ .beat_ms = 100, .cut_every_ms = 1000, .silence_ms = 400 });

    fx_pass(fx, 1001);
    cr_assert(eq(u32, fx->resets, 1));
    fx_open(fx, 2, "app=ivr");
    fx_pass(fx, 1000);
    fx_clear(fx);
    cr_assert(eq(int, fx_ask(fx, "GET /asterisk/ping", ""), 0), "no answer in the silence");
    fx_pass(fx, 300);
    cr_assert(not(fx_saw(fx, "BEAT")), "and no event");
    cr_assert(eq(u32, fx->resets, 1));
    fx_pass(fx, 200);
    cr_assert(eq(u32, fx->resets, 2), "after it the connections of that time are reset");
    cr_assert(eq(int, fx->status, 503), "and the request is answered");
    fx_free(fx);
}

Test(exchange_chaos, no_call_is_placed_while_the_app_is_away)
{
    struct exchange_fixture *fx = bad_day(2, (struct exchange_chaos){ .beat_ms = 100 });

    ex_model_ws_closed(fx->m, 1);
    ex_model_hang_up(fx->m, FIRST);
    fx_pass(fx, 2000);
    cr_assert(eq(u64, fx_counters(fx).placed, 2));
    fx_open(fx, 2, "app=ivr");
    fx_pass(fx, 200);
    cr_assert(eq(u64, fx_counters(fx).placed, 3));
    cr_assert(eq(u64, fx_counters(fx).refused, 0));
    fx_free(fx);
}

Test(exchange_chaos, the_run_ends_when_the_trail_has_told_of_everything)
{
    struct exchange_fixture *fx = bad_day(1, (struct exchange_chaos){ .beat_ms = 100000 });

    cr_assert(eq(int, trail(fx, "9 1 0\nb " FIRST " 5 0 1\ne " FIRST " 5 1 1\n"), 204));
    ex_model_finish(fx->m);
    fx_pass(fx, 2000);
    cr_assert(not(ex_model_finished(fx->m)));
    cr_assert(eq(int, trail(fx, "9 2 0\ne " FIRST " 5 2 2\ne " FIRST " 5 3 3\ng " FIRST " 5 4\n"), 204));
    fx_pass(fx, 1000);
    cr_assert(ex_model_finished(fx->m));
    struct exchange_counters n = fx_counters(fx);
    cr_assert(n.audited);
    cr_assert(audit_good(&n.audit));
    cr_assert(eq(u64, n.audit.taken, 3));
    fx_free(fx);
}

Test(exchange_chaos, a_client_without_a_trail_is_not_good)
{
    struct exchange_fixture *fx = bad_day(1, (struct exchange_chaos){ .beat_ms = 100, .late_ms = 1000 });

    fx_pass(fx, 3000);
    ex_model_finish(fx->m);
    fx_pass(fx, 7000);
    cr_assert(ex_model_finished(fx->m));
    struct exchange_counters n = fx_counters(fx);
    cr_assert(not(audit_good(&n.audit)));
    cr_assert(gt(u64, n.audit.lost, 10));
    cr_assert(eq(u64, n.audit.unserved, 1));
    fx_free(fx);
}

Test(exchange_chaos, a_call_the_client_hangs_up_is_held_against_it)
{
    struct exchange_fixture *fx = bad_day(1, (struct exchange_chaos){ .beat_ms = 100000 });

    fx_ask(fx, "DELETE /channels/%s", FIRST);
    ex_model_finish(fx->m);
    fx_pass(fx, 7000);
    cr_assert(eq(u64, fx_counters(fx).audit.abandoned, 1));
    fx_free(fx);
}

Test(exchange_chaos, without_chaos_there_is_no_such_operation)
{
    struct exchange_fixture *fx = fx_new(NULL);

    cr_assert(eq(int, trail(fx, "9 1 0\n"), 404));
    fx_free(fx);
}
