/* test_exchange_calls.c - calls in the simulated exchange: their events, prompts, moves and ends, held
 * against what a real Asterisk was seen to do. */
#include "exchange_fixture.h"

#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

TestSuite(exchange_calls, .timeout = 20);

Test(exchange_calls, a_caller_reaches_the_app_and_hangs_up)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "100", NULL);
    cr_assert(eq(str, (char *)fx_types(fx), "StasisStart"));
    cr_assert(fx_saw(fx, "\"state\":\"Ring\""));
    cr_assert(fx_saw(fx, "\"dialplan\":{\"context\":\"apps\",\"exten\":\"100\",\"priority\":1,\"app_name\":"
                         "\"Stasis\",\"app_data\":\"ivr\"}"));
    cr_assert(fx_saw(fx, "\"exchange\":{\"seq\":1}"));
    cr_assert(eq(int, fx_ask(fx, "POST /channels/%s/answer", id), 204));
    fx_clear(fx);
    ex_model_hang_up(fx->m, id);
    cr_assert(eq(str, (char *)fx_types(fx), "ChannelHangupRequest StasisEnd"));
    cr_assert(not(fx_saw(fx, "\"soft\"")));
    cr_assert(eq(int, fx_ask(fx, "GET /channels/%s", id), 404));
    fx_free(fx);
    cr_assert(eq(i64, fx_live_allocs, 0));
}

Test(exchange_calls, the_hang_up_of_a_call_brings_five_statistics_first)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "100", NULL);
    ex_model_hang_up(fx->m, id);
    cr_assert(eq(u64, fx_counters(fx).events_sent, 8));
    cr_assert(fx_saw(fx, "RTPAUDIOQOSMES"));
    fx_free(fx);
}

Test(exchange_calls, a_caller_who_gives_up_before_the_answer_cancels)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr");
    ex_model_hang_up(fx->m, fx_call(fx, "100", NULL));
    cr_assert(fx_saw(fx, "\"cause\":127,\"tech_cause\":487"));
    fx_free(fx);
}

Test(exchange_calls, a_hang_up_by_the_app_is_soft_with_cause_32)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "100", NULL);
    cr_assert(eq(int, fx_ask(fx, "DELETE /channels/%s?reason=bogus", id), 400));
    cr_assert(eq(int, fx_ask(fx, "DELETE /channels/%s?reason=busy", id), 204));
    cr_assert(fx_saw(fx, "\"cause\":32,\"soft\":true"));
    cr_assert(eq(u64, fx_counters(fx).ended, 1));
    fx_free(fx);
}

Test(exchange_calls, prompts_queue_and_a_list_continues)
{
    struct exchange_cfg cfg = { .real_time = true };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "100", NULL);
    fx_ask(fx, "POST /channels/%s/answer", id);
    fx_clear(fx);
    cr_assert(eq(int,
                 fx_ask(fx, "POST /channels/%s/play?media=sound%3Abeep,sound:hello-world&playbackId=l1", id),
                 201));
    cr_assert(not(eq(ptr, strstr(fx->body, "\"next_media_uri\":\"sound:hello-world\""), NULL)));
    cr_assert(not(eq(ptr, strstr(fx->body, "\"state\":\"queued\""), NULL)));
    cr_assert(eq(int, fx_ask(fx, "POST /channels/%s/play/p2?media=sound:beep", id), 201));
    cr_assert(eq(str, (char *)fx_types(fx), "PlaybackStarted"));
    fx_pass(fx, 440);
    cr_assert(eq(str, (char *)fx_types(fx), "PlaybackStarted PlaybackContinuing PlaybackStarted"));
    fx_pass(fx, 1420);
    cr_assert(eq(str, (char *)fx_types(fx),
                 "PlaybackStarted PlaybackContinuing PlaybackStarted PlaybackFinished PlaybackStarted"));
    cr_assert(eq(int, fx_ask(fx, "DELETE /playbacks/p2", NULL), 204));
    cr_assert(eq(int, fx_ask(fx, "DELETE /playbacks/p2", NULL), 404));
    fx_free(fx);
}

Test(exchange_calls, prompts_in_zero_time_finish_after_the_answer_to_play)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "100", NULL);
    fx_clear(fx);
    fx_ask(fx, "POST /channels/%s/play/p%2F1?media=sound:beep", id);
    cr_assert(eq(str, (char *)fx_types(fx), "PlaybackStarted"));
    cr_assert(eq(str, fx->headers, "Location: /ari/playbacks/p%2F1\r\n"));
    cr_assert_lt(strstr(fx->seen, "answer:"), strstr(fx->seen, "PlaybackStarted"));
    fx_pass(fx, 0);
    cr_assert(eq(str, (char *)fx_types(fx), "PlaybackStarted PlaybackFinished"));
    fx_free(fx);
}

Test(exchange_calls, events_can_come_before_the_answer)
{
    struct exchange_cfg cfg = { .order = EXCHANGE_EVENT_FIRST };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "100", NULL);
    fx_clear(fx);
    fx_ask(fx, "POST /channels/%s/play/p1?media=sound:beep", id);
    cr_assert_lt(strstr(fx->seen, "PlaybackStarted"), strstr(fx->seen, "answer:"));
    fx_free(fx);
}

Test(exchange_calls, every_queued_prompt_starts_and_fails_at_a_hang_up)
{
    struct exchange_cfg cfg = { .real_time = true };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "100", NULL);
    for (int i = 0; i < 3; i++)
        fx_ask(fx, "POST /channels/%s/play?media=sound:demo-congrats", id);
    fx_clear(fx);
    ex_model_hang_up(fx->m, id);
    cr_assert(eq(str, (char *)fx_types(fx),
                 "ChannelHangupRequest PlaybackFinished PlaybackStarted PlaybackFinished "
                 "PlaybackStarted PlaybackFinished StasisEnd"));
    cr_assert(not(fx_saw(fx, "\"state\":\"done\"")));
    fx_free(fx);
}

Test(exchange_calls, an_answer_waits_behind_a_prompt_and_fails_when_the_caller_leaves)
{
    struct exchange_cfg cfg = { .real_time = true };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "100", NULL);
    fx_ask(fx, "POST /channels/%s/play/p?media=sound:hello-world", id);
    cr_assert(eq(int, fx_ask(fx, "POST /channels/%s/variable?variable=A&value=1", id), 0));
    fx_pass(fx, 1419);
    cr_assert(eq(int, fx->status, 0));
    fx_pass(fx, 1);
    cr_assert(eq(int, fx->status, 204));
    cr_assert(eq(int, fx_ask(fx, "GET /channels/%s/variable?variable=A", id), 200));
    fx_ask(fx, "POST /channels/%s/play/p?media=sound:hello-world", id);
    cr_assert(eq(int, fx_ask(fx, "POST /channels/%s/answer", id), 0));
    ex_model_hang_up(fx->m, id);
    cr_assert(eq(int, fx->status, 500));
    fx_free(fx);
}

Test(exchange_calls, a_prompt_of_an_unknown_scheme_never_finishes)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "100", NULL);
    cr_assert(eq(int, fx_ask(fx, "POST /channels/%s/play/p?media=nonsense:x", id), 201));
    fx_pass(fx, 60000);
    cr_assert(eq(str, (char *)fx_types(fx), "StasisStart PlaybackStarted"));
    cr_assert(eq(int, fx_ask(fx, "GET /playbacks/p", NULL), 200));
    fx_free(fx);
}

Test(exchange_calls, pause_gives_no_event_and_unpause_another_start)
{
    struct exchange_cfg cfg = { .real_time = true };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "100", NULL);
    fx_ask(fx, "POST /channels/%s/play/p?media=sound:hello-world", id);
    fx_pass(fx, 1000);
    fx_clear(fx);
    cr_assert(eq(int, fx_ask(fx, "POST /playbacks/p/control?operation=bogus", NULL), 400));
    cr_assert(eq(str, fx->body, "{\"message\":\"Invalid operation bogus\"}"));
    cr_assert(eq(int, fx_ask(fx, "POST /playbacks/p/control?operation=pause", NULL), 204));
    fx_pass(fx, 10000);
    cr_assert(eq(str, (char *)fx_types(fx), ""));
    cr_assert(eq(int, fx_ask(fx, "POST /playbacks/p/control?operation=unpause", NULL), 204));
    fx_pass(fx, 420);
    cr_assert(eq(str, (char *)fx_types(fx), "PlaybackStarted PlaybackFinished"));
    fx_free(fx);
}

Test(exchange_calls, a_move_is_answered_first_and_waits_for_the_prompt)
{
    struct exchange_cfg cfg = { .app = "router", .real_time = true };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_open(fx, 1, "app=router");
    fx_open(fx, 2, "app=ivr");
    const char *id = fx_call(fx, "100", NULL);
    fx_ask(fx, "POST /channels/%s/play/p?media=sound:hello-world", id);
    fx_clear(fx);
    cr_assert(eq(int, fx_ask(fx, "POST /channels/%s/move?app=ivr&appArgs=x,%22q,r%22", id), 204));
    cr_assert(eq(str, (char *)fx_types(fx), ""));
    fx_pass(fx, 2000);
    cr_assert(eq(str, (char *)fx_types(fx), "PlaybackFinished StasisEnd StasisStart"));
    cr_assert(fx_saw(fx, "\"args\":[\"x\",\"\\\"q\",\"r\\\"\"]"));
    cr_assert(fx_saw(fx, "2:{\"type\":\"StasisStart\""));
    cr_assert(fx_saw(fx, "\"app_data\":\"router\""), "the dialplan part does not change in a move");
    fx_free(fx);
}

Test(exchange_calls, a_move_to_an_app_that_is_away_fails_by_event)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "100", NULL);
    cr_assert(eq(int, fx_ask(fx, "POST /channels/%s/move?app=nosuch&appArgs=a,b", id), 204));
    cr_assert(eq(str, (char *)fx_types(fx), "StasisStart ApplicationMoveFailed"));
    cr_assert(fx_saw(fx, "\"destination\":\"nosuch\",\"args\":[\"a\",\"b\"]"));
    cr_assert(eq(int, fx_ask(fx, "POST /channels/none/move?app=ivr", NULL), 404));
    fx_free(fx);
}

Test(exchange_calls, continue_gives_the_call_back_and_the_dialplan_ends_it)
{
    struct exchange_cfg cfg = { .after_ms = 500 };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "100", NULL);
    cr_assert(
        eq(int, fx_ask(fx, "POST /channels/%s/continue?context=apps&extension=after&priority=3", id), 204));
    cr_assert(eq(str, (char *)fx_types(fx), "StasisStart StasisEnd"));
    cr_assert(eq(int, fx_ask(fx, "GET /channels/%s", id), 200));
    cr_assert(not(eq(ptr, strstr(fx->body, "\"exten\":\"after\",\"priority\":3"), NULL)));
    cr_assert(eq(int, fx_ask(fx, "POST /channels/%s/play?media=sound:beep", id), 409));
    fx_pass(fx, 500);
    cr_assert(eq(int, fx_ask(fx, "GET /channels/%s", id), 404));
    fx_free(fx);
}

Test(exchange_calls, what_is_queued_behind_a_continue_is_dropped)
{
    struct exchange_cfg cfg = { .after_ms = 500, .real_time = true };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "100", NULL);
    fx_ask(fx, "POST /channels/%s/play?media=sound:beep", id);
    cr_assert(eq(int, fx_ask(fx, "POST /channels/%s/continue", id), 204));
    cr_assert(eq(int, fx_ask(fx, "POST /channels/%s/variable?variable=A&value=1", id), 0));
    fx_pass(fx, 440);
    cr_assert(eq(int, fx->status, 404));
    cr_assert(eq(str, (char *)fx_types(fx), "StasisStart PlaybackStarted PlaybackFinished StasisEnd"));
    fx_free(fx);
}

Test(exchange_calls, an_owner_that_subscribed_hears_the_end_after_StasisEnd)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "100", NULL);
    cr_assert(eq(int, fx_ask(fx, "POST /applications/ivr/subscription?eventSource=channel:%s", id), 200));
    fx_clear(fx);
    ex_model_hang_up(fx->m, id);
    cr_assert(eq(str, (char *)fx_types(fx),
                 "ChannelHangupRequest StasisEnd ChannelVarset ChannelHangupRequest ChannelDestroyed"));
    fx_free(fx);
}

Test(exchange_calls, an_originated_call_is_heard_from_dial_to_destroyed)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr");
    cr_assert(eq(
        int, fx_ask(fx, "POST /channels?endpoint=PJSIP/callee&app=ivr&appArgs=out,1&channelId=out-1", NULL),
        200));
    cr_assert(eq(int, fx_ask(fx, "POST /channels?endpoint=PJSIP/callee&app=ivr&channelId=out-1", NULL), 409));
    fx_pass(fx, 10);
    cr_assert(eq(str, (char *)fx_types(fx),
                 "ChannelCreated Dial ChannelStateChange Dial ChannelStateChange Dial "
                 "ChannelVarset StasisStart"));
    fx_clear(fx);
    fx_ask(fx, "DELETE /channels/out-1", NULL);
    cr_assert(eq(str, (char *)fx_types(fx), "ChannelHangupRequest StasisEnd ChannelVarset ChannelDestroyed"));
    cr_assert(eq(u64, fx_counters(fx).ended, 0), "only calls that were placed count");
    fx_free(fx);
}

Test(exchange_calls, far_ends_are_busy_decline_or_stay_silent)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr");
    fx_ask(fx, "POST /channels?endpoint=PJSIP/callee-busy&app=ivr", NULL);
    fx_pass(fx, 10);
    cr_assert(
        eq(str, (char *)fx_types(fx), "ChannelCreated Dial Dial ChannelHangupRequest ChannelDestroyed"));
    cr_assert(fx_saw(fx, "\"dialstatus\":\"BUSY\""));
    cr_assert(fx_saw(fx, "\"cause\":17,\"cause_txt\":\"User busy\",\"tech_cause\":486"));
    fx_clear(fx);
    fx_ask(fx, "POST /channels?endpoint=PJSIP/noanswer&app=ivr&timeout=1", NULL);
    fx_pass(fx, 10);
    cr_assert(fx_saw(fx, "\"cause\":19,"));
    cr_assert(eq(int, fx_ask(fx, "POST /channels?endpoint=NOTECH/x&app=ivr", NULL), 500));
    cr_assert(eq(str, fx->body, "{\"error\":\"Allocation failed\"}"));
    fx_free(fx);
}

Test(exchange_calls, create_enters_the_app_at_once_and_dial_brings_it_up)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr");
    cr_assert(eq(int, fx_ask(fx, "POST /channels/create?endpoint=PJSIP/x&app=ivr&channelId=leg", NULL), 200));
    cr_assert(fx_saw(fx, "\"state\":\"Down\""));
    cr_assert(eq(int, fx_ask(fx, "POST /channels/leg/play?media=sound:beep", NULL), 412));
    cr_assert(eq(int, fx_ask(fx, "POST /channels/leg/dial", NULL), 204));
    fx_pass(fx, 10);
    cr_assert(eq(str, (char *)fx_types(fx),
                 "ChannelCreated ChannelVarset StasisStart Dial ChannelStateChange Dial "
                 "ChannelStateChange Dial"));
    cr_assert(eq(int, fx_ask(fx, "POST /channels/leg/dial", NULL), 409));
    fx_free(fx);
}

Test(exchange_calls, two_channels_meet_in_a_bridge)
{
    struct exchange_fixture *fx = fx_new(NULL);
    char path[200], a[64];

    fx_open(fx, 1, "app=ivr");
    strcpy(a, fx_call(fx, "100", NULL));
    const char *b = fx_call(fx, "100", NULL);
    cr_assert(eq(int, fx_ask(fx, "POST /bridges?type=mixing&bridgeId=b1", NULL), 200));
    cr_assert(eq(int, fx_ask(fx, "POST /bridges?bridgeId=b1", NULL), 409));
    snprintf(path, sizeof path, "POST /bridges/b1/addChannel?channel=%s,%s", a, b);
    fx_clear(fx);
    cr_assert(eq(int, fx_ask(fx, path, NULL), 204));
    cr_assert(eq(str, (char *)fx_types(fx), "ChannelEnteredBridge ChannelEnteredBridge"));
    cr_assert(eq(int, fx_ask(fx, "POST /bridges/b1/addChannel?channel=none", NULL), 400));
    ex_model_hang_up(fx->m, a);
    cr_assert(fx_saw(fx, "ChannelLeftBridge"));
    fx_clear(fx);
    cr_assert(eq(int, fx_ask(fx, "DELETE /bridges/b1", NULL), 204));
    cr_assert(eq(str, (char *)fx_types(fx), "ChannelLeftBridge"),
              "who is not subscribed is not told of the end");
    fx_free(fx);
    cr_assert(eq(i64, fx_live_allocs, 0));
}
