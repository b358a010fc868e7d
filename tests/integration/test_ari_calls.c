/* Verbs against a scripted server: what is asked, in which order, and what the app gets to know. */
#include "ari_story.h"

#include "tandem/app.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(ari_calls, .timeout = 60);

/* Each step of a script logs "step" with its result: story_wait_log(st, "step", "play=0") waits for it. */
static int step(tdm_call *call, const char *name, int result)
{
    const char *words = tdm_call_error(call);

    tdm_log_info("step", "%s=%d %s words=%s", name, result, result < 0 ? tdm_errname(result) : "",
                 TDM_LOG_TEXT(words, strlen(words)));
    return result;
}

static void begin(struct story *st, void (*script)(tdm_call *call))
{
    story_open(st);
    story_app(st, "ivr", &(struct tdm_app){ .abi = TDM_APP_ABI, .name = "ivr", .run = script });
    story_start(st, NULL);
    cr_assert(ari_server_wait_open(st->server, 1));
    story_say(st, "{\"type\":\"StasisStart\",\"application\":\"ivr\",\"args\":[\"a\",\"b "
                  "c\"],\"channel\":{\"id\":\"c1\",\"state\":"
                  "\"Ring\",\"caller\":{\"number\":\"100\"},\"dialplan\":{\"exten\":\"7\"}}}");
}

static void end(struct story *st)
{
    story_say_end(st, "c1");
    cr_assert(story_wait(st, "exit", "c1", NULL, 1));
    story_close(st);
}

/* The playback id that the client chose for its n-th play. */
static const char *playback(struct story *st, size_t n)
{
    static char target[300], body[300];

    cr_assert(ari_server_wait_request(st->server, "POST", "/ari/channels/c1/play/", n));
    cr_assert(ari_server_last(st->server, "POST", "/ari/channels/c1/play/", target, sizeof target, body,
                              sizeof body));
    return target + strlen("/ari/channels/c1/play/");
}

static void say_playback(struct story *st, const char *type, const char *id, const char *state)
{
    story_say(st,
              "{\"type\":\"%s\",\"application\":\"ivr\",\"playback\":{\"id\":\"%s\",\"target_uri\":\"channel:"
              "c1\",\"state\":\"%s\"}}",
              type, id, state);
}

/* ---- the life of a simple call --------------------------------------------------------------- */

static void simple(tdm_call *call)
{
    step(call, tdm_call_caller(call), tdm_call_argc(call));
    step(call, tdm_call_arg(call, 1), tdm_call_answered(call));
    step(call, "answer", tdm_answer(call));
    step(call, "answered", tdm_call_answered(call));
    step(call, "play", tdm_play(call, "sound:hello \"world\""));
    step(call, "hangup", tdm_hangup(call, TDM_CAUSE_BUSY));
}

Test(ari_calls, answer_play_and_hang_up)
{
    struct story st;
    char target[300], body[300];
    const char *id;

    begin(&st, simple);
    cr_assert(story_wait_log(&st, "step", "100=2"));
    cr_assert(story_wait_log(&st, "step", "b c=0"));
    cr_assert(story_wait_log(&st, "step", "answered=1"));
    id = playback(&st, 1);
    cr_assert(eq(int, strncmp(id, "tdm-", 4), 0));
    cr_assert(ari_server_last(st.server, "POST", "/ari/channels/c1/play/", target, sizeof target, body,
                              sizeof body));
    cr_assert(eq(str, body, "{\"media\":[\"sound:hello \\u0022world\\u0022\"]}"));
    say_playback(&st, "PlaybackStarted", id, "playing");
    say_playback(&st, "PlaybackFinished", id, "done");
    cr_assert(story_wait_log(&st, "step", "play=0"));
    cr_assert(story_wait_log(&st, "step", "hangup=0"));
    cr_assert(
        ari_server_last(st.server, "DELETE", "/ari/channels/c1", target, sizeof target, body, sizeof body));
    cr_assert(eq(str, target, "/ari/channels/c1?reason_code=17"));
    end(&st);
}

static void plays(tdm_call *call)
{
    step(call, "play", tdm_play(call, "sound:hello"));
    step(call, "again", tdm_play(call, "sound:hello"));
    tdm_pause(call, 60000);
}

Test(ari_calls, the_end_of_a_playback_that_overtakes_the_answer_to_its_request_counts)
{
    struct story st;
    char id[100];

    begin(&st, plays);
    ari_server_answer(st.server, "POST", "/ari/channels/*", 0, NULL);
    snprintf(id, sizeof id, "%s", playback(&st, 1));
    say_playback(&st, "PlaybackStarted", id, "playing");
    say_playback(&st, "PlaybackFinished", id, "done");
    cr_assert(story_wait_log(&st, "step", "play=0"));
    ari_server_answer(st.server, "POST", "/ari/channels/*", 201, "{}");
    say_playback(&st, "PlaybackFinished", playback(&st, 2), "failed");
    cr_assert(story_wait_log(&st, "step", "EPLAYBACK"));
    end(&st);
}

Test(ari_calls, a_refused_playback_has_failed_and_the_words_say_why)
{
    struct story st;

    story_open(&st);
    ari_server_answer(st.server, "POST", "/ari/channels/*", 409,
                      "{\"message\":\"Channel not in Stasis application\"}");
    story_app(&st, "ivr", &(struct tdm_app){ .abi = TDM_APP_ABI, .name = "ivr", .run = plays });
    story_start(&st, NULL);
    cr_assert(ari_server_wait_open(st.server, 1));
    story_say_start(&st, "c1");
    cr_assert(story_wait_log(&st, "step", "has left the app"));
    end(&st);
}

static void interrupted(tdm_call *call)
{
    const char *const media[] = { "sound:long", NULL };
    char digit = 0;

    step(call, "list",
         tdm_play_list(call, &(tdm_play_opts){ .media = media, .interrupt_on = "any" }, &digit));
    step(call, "digit", digit);
    tdm_pause(call, 60000);
}

Test(ari_calls, a_digit_stops_the_playback_even_before_the_server_has_answered_the_request)
{
    struct story st;
    char target[200], id[100];

    story_open(&st);
    ari_server_answer(st.server, "POST", "/ari/channels/*", 0, NULL);
    story_app(&st, "ivr", &(struct tdm_app){ .abi = TDM_APP_ABI, .name = "ivr", .run = interrupted });
    story_start(&st, NULL);
    cr_assert(ari_server_wait_open(st.server, 1));
    story_say_start(&st, "c1");
    snprintf(id, sizeof id, "%s", playback(&st, 1));
    story_say_event(&st, "c1", "ChannelDtmfReceived");
    cr_assert(story_wait(&st, "event", "c1", "ChannelDtmfReceived", 1));
    story_say_event(&st, "c1", "ChannelHold");
    cr_assert(story_wait(&st, "event", "c1", "ChannelHold", 1));
    cr_assert(eq(sz, ari_server_requests(st.server, "DELETE", "/ari/playbacks/"), 0),
              "there is nothing to stop yet");
    ari_server_answer(st.server, "POST", "/ari/channels/*", 201, "{}");
    snprintf(target, sizeof target, "/ari/playbacks/%s", id);
    cr_assert(ari_server_wait_request(st.server, "DELETE", target, 1));
    say_playback(&st, "PlaybackFinished", id, "done");
    cr_assert(story_wait_log(&st, "step", "list=1"));
    cr_assert(story_wait_log(&st, "step", "digit=53"));
    end(&st);
}

Test(ari_calls, a_stop_that_finds_nothing_ends_the_playback)
{
    struct story st;

    story_open(&st);
    ari_server_answer(st.server, "DELETE", "/ari/playbacks/*", 404, "{\"message\":\"Playback not found\"}");
    story_app(&st, "ivr", &(struct tdm_app){ .abi = TDM_APP_ABI, .name = "ivr", .run = interrupted });
    story_start(&st, NULL);
    cr_assert(ari_server_wait_open(st.server, 1));
    story_say_start(&st, "c1");
    say_playback(&st, "PlaybackStarted", playback(&st, 1), "playing");
    story_say_event(&st, "c1", "ChannelDtmfReceived");
    cr_assert(story_wait_log(&st, "step", "list=1"));
    end(&st);
}

static void silent(tdm_call *call)
{
    const char *const media[] = { "nonsense:x", NULL };

    step(call, "list", tdm_play_list(call, &(tdm_play_opts){ .media = media, .start_ms = 50 }, NULL));
    tdm_pause(call, 60000);
}

Test(ari_calls, a_playback_that_the_server_does_not_know_any_more_has_failed_and_was_asked_for_twice)
{
    struct story st;

    begin(&st, silent);
    cr_assert(story_wait_log(&st, "step", "list=2"));
    cr_assert(eq(sz, ari_server_requests(st.server, "GET", "/ari/playbacks/tdm-"), 2));
    end(&st);
}

/* ---- hang-up overtakes ----------------------------------------------------------------------- */

static void blocked(tdm_call *call)
{
    tdm_set_var_start(call, "X", "1");
    step(call, "hangup", tdm_hangup(call, 0));
}

Test(ari_calls, a_hang_up_overtakes_a_request_that_the_server_does_not_answer)
{
    struct story st;
    char target[200], body[200];

    story_open(&st);
    ari_server_answer(st.server, "POST", "/ari/channels/*", 0, NULL);
    story_app(&st, "ivr", &(struct tdm_app){ .abi = TDM_APP_ABI, .name = "ivr", .run = blocked });
    story_start(&st, NULL);
    cr_assert(ari_server_wait_open(st.server, 1));
    story_say_start(&st, "c1");
    cr_assert(ari_server_wait_request(st.server, "POST", "/ari/channels/c1/variable", 1));
    cr_assert(ari_server_wait_request(st.server, "DELETE", "/ari/channels/c1", 1));
    cr_assert(story_wait_log(&st, "step", "hangup=0"));
    cr_assert(ari_server_last(st.server, "POST", "/ari/channels/c1/variable", target, sizeof target, body,
                              sizeof body));
    cr_assert(eq(str, body, "{\"variable\":\"X\",\"value\":\"1\"}"));
    end(&st);
}

static void hangs_up(tdm_call *call)
{
    step(call, "hangup", tdm_hangup(call, 0));
}

Test(ari_calls, a_hang_up_of_a_channel_that_has_gone_is_fine)
{
    struct story st;

    story_open(&st);
    ari_server_answer(st.server, "DELETE", "/ari/channels/*", 404, "{\"message\":\"Channel not found\"}");
    story_app(&st, "ivr", &(struct tdm_app){ .abi = TDM_APP_ABI, .name = "ivr", .run = hangs_up });
    story_start(&st, NULL);
    cr_assert(ari_server_wait_open(st.server, 1));
    story_say_start(&st, "c1");
    cr_assert(story_wait_log(&st, "step", "hangup=0"));
    end(&st);
}

/* ---- variables, hand back, move -------------------------------------------------------------- */

static void variables(tdm_call *call)
{
    char value[64] = "";

    step(call, "set", tdm_set_var(call, "GREETING", "hello"));
    step(call, "get", tdm_get_var(call, "A B(c)", value, sizeof value));
    step(call, value, 0);
    step(call, "unset", tdm_get_var(call, "UNSET", value, sizeof value));
    tdm_pause(call, 60000);
}

Test(ari_calls, variables_are_set_and_read)
{
    struct story st;
    char target[200], body[200];

    story_open(&st);
    ari_server_answer(st.server, "GET", "/ari/channels/c1/variable", 404,
                      "{\"message\":\"Provided variable was not found\"}");
    ari_server_answer(st.server, "GET", "/ari/channels/c1/variable", 200, "{\"value\":\"gr\\u00fc\\u00df\"}");
    story_app(&st, "ivr", &(struct tdm_app){ .abi = TDM_APP_ABI, .name = "ivr", .run = variables });
    story_start(&st, NULL);
    cr_assert(ari_server_wait_open(st.server, 1));
    story_say_start(&st, "c1");
    cr_assert(story_wait_log(&st, "step", "set=0"));
    cr_assert(story_wait_log(&st, "step", "get=6"));
    cr_assert(story_wait_log(&st, "step", "gr\xc3\xbc\xc3\x9f=0"));
    cr_assert(ari_server_last(st.server, "GET", "/ari/channels/c1/variable", target, sizeof target, body,
                              sizeof body));
    end(&st);
}

static void reads(tdm_call *call)
{
    char value[64] = "";

    step(call, "unset", tdm_get_var(call, "A B(c)", value, sizeof value));
    tdm_pause(call, 60000);
}

Test(ari_calls, an_unset_variable_is_not_found_and_its_name_was_encoded)
{
    struct story st;
    char target[200], body[200];

    story_open(&st);
    ari_server_answer(st.server, "GET", "/ari/channels/c1/variable", 404,
                      "{\"message\":\"Provided variable was not found\"}");
    story_app(&st, "ivr", &(struct tdm_app){ .abi = TDM_APP_ABI, .name = "ivr", .run = reads });
    story_start(&st, NULL);
    cr_assert(ari_server_wait_open(st.server, 1));
    story_say_start(&st, "c1");
    cr_assert(story_wait_log(&st, "step", "ENOTFOUND"));
    cr_assert(ari_server_last(st.server, "GET", "/ari/channels/c1/variable", target, sizeof target, body,
                              sizeof body));
    cr_assert(eq(str, target, "/ari/channels/c1/variable?variable=A%20B%28c%29"));
    end(&st);
}

static void hands_back(tdm_call *call)
{
    step(call, "back", tdm_hand_back(call, "from here", "9#", 2));
}

Test(ari_calls, a_call_is_handed_back_to_a_place_in_the_dialplan)
{
    struct story st;
    char target[200], body[200];

    begin(&st, hands_back);
    cr_assert(story_wait_log(&st, "step", "back=0"));
    cr_assert(ari_server_last(st.server, "POST", "/ari/channels/c1/continue", target, sizeof target, body,
                              sizeof body));
    cr_assert(eq(str, body, "{\"context\":\"from here\",\"extension\":\"9#\",\"priority\":2}"));
    end(&st);
}

static void moves(tdm_call *call)
{
    step(call, "move", tdm_move(call, "elsewhere", "x,y z"));
    tdm_pause(call, 60000);
}

Test(ari_calls, a_move_is_done_when_the_channel_has_left)
{
    struct story st;
    char target[200], body[200];

    begin(&st, moves);
    cr_assert(ari_server_wait_request(st.server, "POST", "/ari/channels/c1/move", 1));
    cr_assert(ari_server_last(st.server, "POST", "/ari/channels/c1/move", target, sizeof target, body,
                              sizeof body));
    cr_assert(eq(str, body, "{\"app\":\"elsewhere\",\"appArgs\":\"x,y z\"}"));
    story_say_end(&st, "c1");
    cr_assert(story_wait(&st, "exit", "c1", NULL, 1));
    cr_assert(eq(sz, ari_server_requests(st.server, "DELETE", "/ari/channels/c1"), 0),
              "the moved call is not hung up");
    story_close(&st);
}

Test(ari_calls, a_move_to_an_app_that_is_not_there_comes_back)
{
    struct story st;

    begin(&st, moves);
    cr_assert(ari_server_wait_request(st.server, "POST", "/ari/channels/c1/move", 1));
    story_say(&st, "{\"type\":\"ApplicationMoveFailed\",\"application\":\"ivr\",\"destination\":"
                   "\"elsewhere\",\"args\":[],"
                   "\"channel\":{\"id\":\"c1\"}}");
    cr_assert(story_wait_log(&st, "step", "not registered with the server"));
    end(&st);
}

/* ---- crashes and receipts -------------------------------------------------------------------- */

static void crashes_once(tdm_call *call)
{
    if (tdm_call_restarts(call) == 0)
        tdm_assert(tdm_call_self(call), 1 + 1 == 3);
    step(call, "restarts", (int)tdm_call_restarts(call));
    step(call, "answer", tdm_answer(call));
    while (!tdm_call_ended(call))
        if (tdm_pause(call, 60000) != TDM_OK)
            break;
}

Test(ari_calls, a_crashed_call_goes_on_and_asks_whether_it_was_answered)
{
    struct story st;

    begin(&st, crashes_once);
    cr_assert(story_wait(&st, "restart", "c1", NULL, 1));
    cr_assert(ari_server_wait_request(st.server, "GET", "/ari/channels/c1", 1));
    cr_assert(story_wait_log(&st, "step", "answer=0"));
    end(&st);
}

static void plays_and_crashes(tdm_call *call)
{
    step(call, "life", (int)tdm_call_restarts(call));
    if (tdm_call_restarts(call) == 0)
        tdm_play_start(call, &(tdm_play_opts){ .media = (const char *const[]){ "sound:long", NULL } });
    while (!tdm_call_ended(call)) {
        tdm_event *event;

        if (tdm_next_event(call, TDM_FOREVER, &event) != TDM_OK)
            break;
        if (strcmp(tdm_event_type(event), "ChannelHold") == 0)
            tdm_assert(tdm_call_self(call), 1 + 1 == 3);
    }
}

Test(ari_calls, what_a_crashed_incarnation_left_playing_is_stopped)
{
    struct story st;
    char id[80], target[120];

    begin(&st, plays_and_crashes);
    snprintf(id, sizeof id, "%s", playback(&st, 1));
    say_playback(&st, "PlaybackStarted", id, "playing");
    story_say_event(&st, "c1", "ChannelHold");
    cr_assert(story_wait_log(&st, "step", "life=1"));
    snprintf(target, sizeof target, "/ari/playbacks/%s", id);
    cr_assert(ari_server_wait_request(st.server, "DELETE", target, 1));
    say_playback(&st, "PlaybackStarted", id, "playing"); /* its request was on the way */
    cr_assert(ari_server_wait_request(st.server, "DELETE", target, 2));
    say_playback(&st, "PlaybackStarted", "another-program's", "playing");
    say_playback(&st, "PlaybackFinished", id, "done");
    cr_assert(story_wait(&st, "event", "c1", "PlaybackFinished", 1));
    cr_assert(eq(sz, ari_server_requests(st.server, "DELETE", "/ari/playbacks/another"), 0));
    end(&st);
}

Test(ari_calls, a_simulated_exchange_is_told_what_reached_the_actor_over_its_crash)
{
    struct story st;
    char got[400];

    story_open(&st);
    st.cfg.receipts = true;
    story_app(&st, "ivr", &(struct tdm_app){ .abi = TDM_APP_ABI, .name = "ivr", .run = crashes_once });
    story_start(&st, NULL);
    cr_assert(ari_server_wait_open(st.server, 1));
    for (int i = 1; i <= 7; i++) {
        if (i == 7) /* a call that ends while its actor is being restarted gets no further actor */
            cr_assert(story_wait(&st, "event", "c1", "ChannelHold", 5));
        story_say(
            &st,
            "{\"type\":\"%s\",\"application\":\"ivr\",\"channel\":{\"id\":\"c1\"},\"exchange\":{\"seq\":%d}}",
            i == 1   ? "StasisStart"
            : i == 7 ? "StasisEnd"
                     : "ChannelHold",
            i);
    }
    cr_assert(ari_server_wait_text(st.server, "receipt", got, sizeof got));
    cr_assert(
        eq(str, got,
           "{\"receipt\":\"c1\",\"delivered\":7,\"lost\":0,\"out_of_order\":0,\"started\":1,\"ended\":1,"
           "\"restarted\":1}"));
    cr_assert(story_wait(&st, "exit", "c1", NULL, 1));
    story_close(&st);
}
