/* test_exchange_callers.c - callers with scripts, calls at a rate, receipts, and the faults on the way out.
 */
#include "exchange_fixture.h"

#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

TestSuite(exchange_callers, .timeout = 20);

static uint32_t count(const struct exchange_fixture *fx, const char *text)
{
    uint32_t n = 0;

    for (const char *at = fx->seen; at != NULL && (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}

Test(exchange_callers, a_caller_waits_presses_and_hangs_up)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr");
    const char *id =
        fx_call(fx, "100", "wait-answer; wait 200ms; press 1; wait play; press 42#; wait quiet; hangup");
    fx_pass(fx, 5000);
    cr_assert(eq(str, (char *)fx_types(fx), "StasisStart"));
    fx_ask(fx, "POST /channels/%s/answer", id);
    fx_pass(fx, 199);
    cr_assert(eq(int, count(fx, "ChannelDtmfReceived"), 0));
    fx_pass(fx, 1);
    cr_assert(eq(int, count(fx, "ChannelDtmfReceived"), 1));
    fx_ask(fx, "POST /channels/%s/play?media=sound:hello", id);
    fx_pass(fx, 10);
    cr_assert(eq(int, count(fx, "ChannelDtmfReceived"), 4));
    cr_assert(fx_saw(fx, "\"digit\":\"#\""));
    cr_assert(fx_saw(fx, "StasisEnd"));
    fx_free(fx);
    cr_assert(eq(i64, fx_live_allocs, 0));
}

Test(exchange_callers, a_press_draws_one_of_its_choices)
{
    struct exchange_cfg cfg = { .seed = 3,
                                .calls = 60,
                                .plans =
                                    &(struct exchange_plan){ .exten = "7", .script = "press 1|2|90; hangup" },
                                .n_plans = 1 };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_open(fx, 1, "app=ivr");
    fx_pass(fx, 100);
    cr_assert(gt(int, count(fx, "\"digit\":\"1\""), 8));
    cr_assert(gt(int, count(fx, "\"digit\":\"2\""), 8));
    cr_assert(gt(int, count(fx, "\"digit\":\"9\""), 8));
    cr_assert(eq(int, count(fx, "\"digit\":\"9\""), count(fx, "\"digit\":\"0\"")));
    cr_assert(eq(int, count(fx, "\"digit\":"), 60 + count(fx, "\"digit\":\"0\"")));
    fx_free(fx);
}

Test(exchange_callers, hangup_any_leaves_at_every_place_of_the_script)
{
    struct exchange_cfg cfg = {
        .calls = 100,
        .plans = &(struct exchange_plan){ .exten = "7", .script = "hangup@any; press 1; press 2; press 3" },
        .n_plans = 1
    };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_open(fx, 1, "app=ivr");
    fx_pass(fx, 100);
    cr_assert(eq(u64, fx_counters(fx).ended, 100));
    cr_assert(lt(int, count(fx, "\"digit\":\"1\""), 100));
    cr_assert(gt(int, count(fx, "\"digit\":\"1\""), count(fx, "\"digit\":\"2\"")));
    cr_assert(gt(int, count(fx, "\"digit\":\"2\""), count(fx, "\"digit\":\"3\"")));
    cr_assert(gt(int, count(fx, "\"digit\":\"3\""), 0));
    fx_free(fx);
}

Test(exchange_callers, the_same_seed_gives_the_same_run)
{
    char *first = NULL;

    for (int round = 0; round < 2; round++) {
        struct exchange_cfg cfg = {
            .seed = 11,
            .calls = 30,
            .rate = 100,
            .plans = &(struct exchange_plan){ .exten = "7", .script = "wait 1..50ms; press 1|2; hangup@any" },
            .n_plans = 1
        };
        struct exchange_fixture *fx = fx_new(&cfg);
        fx_open(fx, 1, "app=ivr");
        fx_pass(fx, 3000);
        if (round == 0)
            first = strdup(fx->seen);
        else
            cr_assert(eq(str, fx->seen, first));
        fx_free(fx);
    }
    free(first);
}

Test(exchange_callers, a_script_that_cannot_be_read_is_refused_with_words)
{
    struct exchange_plan plan = { .exten = "7", .script = "press 1; sing" };
    struct exchange_cfg cfg = { .env = tdm_env_real(), .plans = &plan, .n_plans = 1 };
    struct ex_out out = { .ctx = NULL };
    struct ex_model *m = NULL;
    char why[300];
    static const char *const bad[] = { "press",       "press x",  "wait",         "wait abc", "wait 9..1ms",
                                       "hangup 101%", "hangup x", "wait-answers", "press 1|E" };

    cr_assert(eq(int, ex_model_new(&m, &cfg, &out, why, sizeof why), TDM_ESYNTAX));
    cr_assert(not(eq(ptr, strstr(why, "script step \"sing\""), NULL)));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        plan.script = bad[i];
        cr_assert(eq(int, ex_model_new(&m, &cfg, &out, why, sizeof why), TDM_ESYNTAX), "%s", bad[i]);
    }
    cr_assert(eq(ptr, m, NULL));
}

Test(exchange_callers, calls_come_at_their_rate_and_never_too_many_at_once)
{
    struct exchange_cfg cfg = { .calls = 10, .rate = 10, .at_once = 3, .call_limit_ms = 1000 };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_pass(fx, 5000);
    cr_assert(eq(u64, fx_counters(fx).placed, 0), "nobody is there to take them");
    fx_open(fx, 1, "app=ivr");
    fx_pass(fx, 50);
    cr_assert(eq(u64, fx_counters(fx).placed, 1));
    fx_pass(fx, 900);
    cr_assert(eq(u64, fx_counters(fx).placed, 3));
    fx_pass(fx, 60);
    cr_assert(eq(u64, fx_counters(fx).placed, 4), "the first has ended");
    fx_pass(fx, 10000);
    cr_assert(eq(u64, fx_counters(fx).ended, 10));
    cr_assert(ex_model_finished(fx->m));
    fx_free(fx);
}

Test(exchange_callers, the_extension_is_in_the_arguments_where_asked_for)
{
    struct exchange_cfg cfg = { .args = "in,${EXTEN}" };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_open(fx, 1, "app=ivr");
    fx_call(fx, "4711", NULL);
    cr_assert(fx_saw(fx, "\"args\":[\"in\",\"4711\"]"));
    cr_assert(fx_saw(fx, "\"app_data\":\"ivr,in,4711\""));
    fx_free(fx);
}

/* ---- receipts -------------------------------------------------------------------------------- */

static void receipt(struct exchange_fixture *fx, const char *id, int delivered, int lost)
{
    char text[200];

    snprintf(text, sizeof text,
             "{\"receipt\":\"%s\",\"delivered\":%d,\"lost\":%d,\"out_of_order\":0,\"started\":1,\"ended\":1,"
             "\"restarted\":0}",
             id, delivered, lost);
    fx_text(fx, 1, text);
}

Test(exchange_callers, receipts_that_tell_of_every_event_end_the_run)
{
    struct exchange_cfg cfg = { .calls = 1,
                                .plans = &(struct exchange_plan){ .exten = "1", .script = "press 1; hangup" },
                                .n_plans = 1 };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_open(fx, 1, "app=ivr");
    fx_pass(fx, 100);
    cr_assert(eq(u64, fx_counters(fx).ended, 1));
    cr_assert(not(ex_model_finished(fx->m)), "a receipt is still to come");
    receipt(fx, "1795201405.0", 9, 0);
    fx_pass(fx, 0);
    cr_assert(ex_model_finished(fx->m));
    cr_assert(eq(u64, fx_counters(fx).events_sent, 9));
    cr_assert(eq(u64, fx_counters(fx).delivered, 9));
    cr_assert(eq(u64, fx_counters(fx).lost, 0));
    cr_assert(eq(u64, fx_counters(fx).actors_started, 1));
    fx_free(fx);
}

Test(exchange_callers, what_no_receipt_tells_of_counts_as_lost)
{
    struct exchange_cfg cfg = { .calls = 2,
                                .no_rtp_stats = true,
                                .plans = &(struct exchange_plan){ .exten = "1", .script = "hangup" },
                                .n_plans = 1 };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_open(fx, 1, "app=ivr");
    fx_pass(fx, 0);
    receipt(fx, "1795201405.0", 1, 1);
    fx_pass(fx, 2000);
    cr_assert(ex_model_finished(fx->m));
    cr_assert(eq(u64, fx_counters(fx).events_sent, 6));
    cr_assert(eq(u64, fx_counters(fx).lost, 5));
    fx_free(fx);
}

/* ---- faults ---------------------------------------------------------------------------------- */

Test(exchange_callers, a_reset_after_so_many_events_loses_what_comes_until_the_client_is_back)
{
    struct exchange_cfg cfg = { .faults.drop_after_events = 2 };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "1", NULL);
    ex_model_press(fx->m, id, "1");
    fx_pass(fx, 0);
    cr_assert(eq(int, fx->resets, 1));
    ex_model_press(fx->m, id, "2");
    cr_assert(eq(u64, fx_counters(fx).missed_while_away, 1));
    ex_model_ws_closed(fx->m, 1);
    fx_open(fx, 2, "app=ivr");
    ex_model_press(fx->m, id, "3");
    cr_assert(fx_saw(fx, "2:{\"type\":\"ChannelDtmfReceived\""));
    fx_free(fx);
}

Test(exchange_callers, delay_keeps_the_order)
{
    struct exchange_cfg cfg = { .faults.delay_ms = 100 };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_open(fx, 1, "app=ivr");
    ex_model_hang_up(fx->m, fx_call(fx, "1", NULL));
    fx_pass(fx, 99);
    cr_assert(eq(int, fx->seen_bytes, 0));
    fx_pass(fx, 1);
    cr_assert(eq(str, (char *)fx_types(fx), "StasisStart ChannelHangupRequest StasisEnd"));
    fx_free(fx);
}

Test(exchange_callers, reordering_swaps_only_events_of_different_channels)
{
    struct exchange_cfg cfg = {
        .calls = 50,
        .faults.reorder_every = 2,
        .plans = &(struct exchange_plan){ .exten = "1", .script = "press 1; wait 1..3ms; press 2; hangup" },
        .n_plans = 1
    };
    struct exchange_fixture *fx = fx_new(&cfg);
    int last[50] = { 0 }, number, seq, swapped = 0, before = -1;

    fx_open(fx, 1, "app=ivr");
    fx_pass(fx, 200);
    for (char *line = strtok(fx->seen, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        sscanf(strstr(line, "\"id\":\"1795201405."), "\"id\":\"1795201405.%d", &number);
        sscanf(strstr(line, "\"seq\":"), "\"seq\":%d", &seq);
        cr_assert(eq(int, seq, ++last[number]));
        swapped += number < before && seq == 1; /* channels start in order unless swapped */
        before = number;
    }
    cr_assert(gt(int, swapped, 0));
    cr_assert(eq(u64, fx_counters(fx).disordered, 0));
    fx_free(fx);
}

Test(exchange_callers, disorder_within_a_channel_is_counted)
{
    struct exchange_cfg cfg = { .faults.disorder_every = 1, .no_rtp_stats = true };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "1", NULL);
    ex_model_press(fx->m, id, "1");
    cr_assert_lt(strstr(fx->seen, "\"digit\":\"1\""), strstr(fx->seen, "StasisStart"));
    cr_assert(eq(u64, fx_counters(fx).disordered, 1));
    fx_free(fx);
}

Test(exchange_callers, duplicates_and_broken_frames_are_counted)
{
    struct exchange_cfg cfg = { .faults = {
                                    .duplicate_every = 1, .truncate_every = 1, .malformed_every = 1 } };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "1", NULL);
    ex_model_press(fx->m, id, "123");
    cr_assert(eq(u64, fx_counters(fx).duplicated, 4));
    cr_assert(eq(u64, fx_counters(fx).broken_frames, 8));
    cr_assert(eq(int, fx->raws, 4));
    cr_assert(eq(u64, fx_counters(fx).events_sent, 4));
    fx_free(fx);
}

Test(exchange_callers, drawn_errors_and_ids_in_use)
{
    struct exchange_cfg cfg = { .faults = { .error500_every = 2, .in_use_every = 2, .boot_ms = 100 } };
    struct exchange_fixture *fx = fx_new(&cfg);

    cr_assert(eq(int, fx_ask(fx, "GET /channels", NULL), 503));
    cr_assert(eq(str, fx->body, "{\"message\":\"Asterisk not booted\"}"));
    fx_pass(fx, 100);
    cr_assert(eq(int, fx_ask(fx, "POST /bridges?bridgeId=a", NULL), 200));
    cr_assert(eq(int, fx_ask(fx, "GET /channels", NULL), 500));
    cr_assert(eq(int, fx_ask(fx, "POST /bridges?bridgeId=b", NULL), 409));
    fx_free(fx);
}

Test(exchange_callers, a_frozen_exchange_says_nothing_any_more)
{
    struct exchange_cfg cfg = { .faults.freeze_after_ms = 1000 };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "1", NULL);
    fx_pass(fx, 1000);
    fx_clear(fx);
    ex_model_press(fx->m, id, "1");
    cr_assert(eq(int, fx_ask(fx, "GET /channels", NULL), 0));
    cr_assert(eq(int, fx->seen_bytes, 0));
    cr_assert(eq(u64, fx_counters(fx).held_in_freeze, 1));
    fx_free(fx);
}

Test(exchange_callers, endless_prompts_never_finish)
{
    struct exchange_cfg cfg = { .faults.endless_playbacks = true };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_open(fx, 1, "app=ivr");
    fx_ask(fx, "POST /channels/%s/play?media=sound:beep", fx_call(fx, "1", NULL));
    fx_pass(fx, 100000);
    cr_assert(not(fx_saw(fx, "PlaybackFinished")));
    fx_free(fx);
}

/* ---- without memory -------------------------------------------------------------------------- */

static void whole_story(struct exchange_fixture *fx)
{
    char id[64] = "none", path[200];
    struct ex_call call = { .exten = "1", .script = "press 1; wait 10ms; press 2; hangup 0%" };

    ex_model_ws_open(fx->m, 1, "app=ivr,b&subscribeAll=true", "Basic dGFuZGVtOnRhbmRlbQ==");
    ex_model_place_call(fx->m, &call, id);
    fx_ask(fx, "POST /channels/%s/answer", id);
    fx_ask(fx, "POST /channels/%s/play?media=sound:a,sound:b&playbackId=p", id);
    fx_ask(fx, "POST /channels/%s/variable?variable=A&value=1", id);
    fx_ask(fx, "POST /bridges?bridgeId=b", NULL);
    snprintf(path, sizeof path, "POST /bridges/b/addChannel?channel=%s", id);
    fx_ask(fx, path, NULL);
    fx_ask(fx, "POST /channels?endpoint=PJSIP/x&app=ivr&channelId=o", NULL);
    fx_ask_body(fx, "PUT /applications/ivr/eventFilter", NULL, "{\"disallowed\":[{\"type\":\"X\"}]}");
    fx_text(fx, 1, "{\"type\":\"RESTRequest\",\"method\":\"GET\",\"uri\":\"channels\"}");
    fx_pass(fx, 100);
    fx_ask(fx, "POST /channels/%s/move?app=b", id);
    fx_ask(fx, "POST /channels/%s/continue", id);
    fx_pass(fx, 100);
    ex_model_ws_closed(fx->m, 1);
}

Test(exchange_callers, every_allocation_may_fail_and_nothing_leaks)
{
    for (uint64_t nth = 1; nth < 2000; nth++) {
        struct exchange_cfg cfg = { .steps = true, .reader = "r", .reader_password = "p" };
        fx_fail_alloc = nth;
        struct exchange_fixture *fx = fx_new(&cfg);
        if (fx != NULL) {
            whole_story(fx);
            fx_free(fx);
        }
        cr_assert(eq(i64, fx_live_allocs, 0), "allocation %llu", (unsigned long long)nth);
        if (fx_fail_alloc > 0) {
            cr_assert(gt(u64, nth, 100),
                      "the story was told to its end only after every allocation had failed once");
            fx_fail_alloc = 0;
            return;
        }
    }
    cr_fail("there is no end to the allocations");
}
