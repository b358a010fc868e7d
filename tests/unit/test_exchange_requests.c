/* test_exchange_requests.c - the REST surface of the simulated exchange: statuses and bodies held against
 * the recorded error answers, apps and connections, requests over the event connection, refusals. */
#include "exchange_fixture.h"

#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>

#include "exchange/inside.h"

TestSuite(exchange_requests, .timeout = 20);

/* ---- statuses and words, as recorded in traces/rest_errors.jsonl ----------------------------- */

struct answer {
    char request[100], body[90];
    int status;
};

ParameterizedTestParameters(exchange_requests, an_error_has_the_status_and_words_of_the_real_server)
{
    static struct answer answers[] = {
        { "GET /channels/none", "{\"message\":\"Channel not found\"}", 404 },
        { "POST /channels/none/play?media=sound:beep", "{\"message\":\"Channel not found\"}", 404 },
        { "GET /bridges/none", "{\"message\":\"Bridge not found\"}", 404 },
        { "GET /playbacks/none", "{\"message\":\"Playback not found\"}", 404 },
        { "GET /applications/none", "{\"message\":\"Application not found\"}", 404 },
        { "GET /nope", "{\"message\":\"Resource not found\"}", 404 },
        { "GET /mailboxes", "{\"message\":\"Resource not found\"}", 404 },
        { "GET /channels/", "{\"message\":\"ARI URLs do not end with a slash. Try /ari/channels\"}", 404 },
        { "PATCH /channels", "{\"message\":\"Invalid method\"}", 405 },
        { "PUT /channels", "{\"message\":\"Invalid method\"}", 405 },
        { "DELETE /bridges", "{\"message\":\"Invalid method\"}", 405 },
        { "OPTIONS /channels", "", 204 },
        { "POST /channels", "{\"message\":\"Endpoint must be specified\"}", 400 },
        { "POST /channels?endpoint=PJSIP/callee",
          "{\"message\":\"Application or extension must be specified\"}", 400 },
        { "POST /channels?endpoint=callee&app=ivr", "{\"message\":\"Invalid endpoint specified\"}", 400 },
        { "POST /channels?endpoint=NOTECH/x&app=ivr", "{\"error\":\"Allocation failed\"}", 500 },
        { "POST /channels/%s/play", "{\"message\":\"Failed to queue media for playback\"}", 500 },
        { "DELETE /channels/%s?reason=bogus", "{\"message\":\"Invalid reason for hangup reason provided\"}",
          400 },
        { "POST /channels/%s/dial", "{\"message\":\"Channel is not in the 'Down' state\"}", 409 },
        { "POST /channels/%s/dtmf", "{\"message\":\"DTMF is required\"}", 400 },
        { "POST /channels/%s/mute?direction=sideways", "{\"message\":\"Invalid direction specified\"}", 400 },
        { "POST /bridges?type=bogus",
          "{\"message\":\"Unable to create bridge. Possible duplicate bridge id '(null)'\"}", 500 },
        { "POST /bridges?bridgeId=eb", "{\"message\":\"Bridge with id 'eb' already exists\"}", 409 },
        { "POST /bridges/eb/addChannel?channel=none", "{\"message\":\"Channel not found\"}", 400 },
        { "POST /bridges/eb/addChannel", "{\"message\":\"Missing parameter channel\"}", 400 },
        { "POST /bridges/eb/removeChannel?channel=%s", "{\"message\":\"Channel not in this bridge\"}", 422 },
        { "POST /bridges/eb/moh?mohClass=none", "", 204 },
        { "POST /applications/ivr/subscription?eventSource=channel:none",
          "{\"message\":\"Event source does not exist\"}", 422 },
        { "POST /applications/ivr/subscription?eventSource=bogus",
          "{\"message\":\"Invalid event source URI scheme\"}", 400 },
        { "POST /applications/ivr/subscription", "{\"message\":\"Missing parameter eventSource\"}", 400 },
        { "POST /applications/none/subscription?eventSource=bridge:eb",
          "{\"message\":\"Application not found\"}", 404 },
        { "GET /asterisk/variable", "{\"message\":\"Variable name is required\"}", 400 },
        { "GET /asterisk/variable?variable=NONE", "{\"value\":\"\"}", 200 },
        { "GET /channels/%s/variable?variable=NONE", "{\"message\":\"Provided variable was not found\"}",
          404 },
        { "GET /channels/%s/variable?variable=SHELL(id)",
          "{\"message\":\"Unable to read provided function\"}", 500 },
        { "POST /channels/%s/snoop?app=x",
          "{\"message\":\"channels.snoopChannel is not part of this exchange\"}", 501 },
        { "GET /asterisk/modules/none.so",
          "{\"message\":\"asterisk.getModule is not part of this exchange\"}", 501 },
    };
    return cr_make_param_array(struct answer, answers, sizeof answers / sizeof *answers);
}

ParameterizedTest(struct answer *want, exchange_requests,
                  an_error_has_the_status_and_words_of_the_real_server)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "100", NULL);
    fx_ask(fx, "POST /bridges?bridgeId=eb", NULL);
    cr_assert(eq(int, fx_ask(fx, want->request, id), want->status), "%s", want->request);
    cr_assert(eq(str, fx->body, want->body), "%s", want->request);
    fx_free(fx);
}

Test(exchange_requests, every_operation_of_the_table_is_found_by_its_path)
{
    struct exchange_fixture *fx = fx_new(NULL);
    char request[200];
    int n = 0;

    for (const struct ex_operation *op = ex_operations; op->path != NULL; op++, n++) {
        size_t used = (size_t)snprintf(request, sizeof request, "%s /", op->method);
        for (const char *c = op->path; *c != '\0'; c++)
            if (*c == '{')
                request[used++] = 'x';
            else if (*c != '}')
                request[used++] = *c;
        request[used] = '\0';
        int status = fx_ask(fx, request, NULL);
        cr_assert(not(eq(int, status, 405)), "%s", request);
        cr_assert(eq(int, strstr(fx->body, "Resource not found") != NULL, 0), "%s", request);
        cr_assert(eq(int, status == 501, op->handler == NULL), "%s", request);
    }
    cr_assert(eq(int, n, 104), "109 operations without the upgrade and the four of mailboxes");
    fx_free(fx);
}

Test(exchange_requests, who_has_no_account_is_told_so_and_a_reader_may_not_write)
{
    struct exchange_cfg cfg = { .reader = "eye", .reader_password = "open" };
    struct exchange_fixture *fx = fx_new(&cfg);
    struct ex_request req = { .conn = 5,
                              .method = "GET",
                              .path = "/ari/channels",
                              .query = "",
                              .authorization = "",
                              .content_type = "",
                              .body = "" };

    ex_model_request(fx->m, &req);
    cr_assert(eq(int, fx->status, 401));
    cr_assert(eq(str, fx->headers, "WWW-Authenticate: Basic realm=\"Asterisk REST Interface\"\r\n"));
    req.query = "api_key=eye%3Aopen";
    ex_model_request(fx->m, &req);
    cr_assert(eq(int, fx->status, 200));
    req.method = "POST";
    ex_model_request(fx->m, &req);
    cr_assert(eq(int, fx->status, 403));
    req.query = "api_key=eye%3Aopened";
    ex_model_request(fx->m, &req);
    cr_assert(eq(int, fx->status, 401));
    fx_free(fx);
}

Test(exchange_requests, an_upgrade_is_refused_without_app_or_with_foreign_protocols)
{
    struct exchange_fixture *fx = fx_new(NULL);
    struct ex_request req = { .conn = 5,
                              .method = "GET",
                              .path = "/ari/events",
                              .query = "app=ivr",
                              .authorization = "Basic dGFuZGVtOnRhbmRlbQ==",
                              .content_type = "",
                              .body = "" };

    cr_assert(eq(int, ex_model_ws_upgrade(fx->m, &req, ""), 0));
    cr_assert(eq(int, ex_model_ws_upgrade(fx->m, &req, "chat, ari"), 0));
    cr_assert(eq(int, ex_model_ws_upgrade(fx->m, &req, "chat"), 1));
    cr_assert(eq(int, fx->status, 400));
    ex_model_request(fx->m, &req);
    cr_assert(eq(int, fx->status, 426));
    req.query = "app=,";
    cr_assert(eq(int, ex_model_ws_upgrade(fx->m, &req, ""), 1));
    cr_assert(eq(int, fx->status, 400));
    req.authorization = "Basic bm86bm8=";
    req.query = "app=ivr";
    cr_assert(eq(int, ex_model_ws_upgrade(fx->m, &req, ""), 1));
    cr_assert(eq(int, fx->status, 401));
    fx_free(fx);
}

/* ---- parameters ------------------------------------------------------------------------------ */

Test(exchange_requests, a_json_body_wins_over_the_query_and_bad_json_is_refused)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "100", NULL);
    cr_assert(eq(int,
                 fx_ask_body(fx, "POST /channels/%s/play?media=sound:no", id,
                             "{\"media\":[\"sound:a,b\",\"tone:x\"],\"playbackId\":\"j\"}"),
                 201));
    cr_assert(not(
        eq(ptr, strstr(fx->body, "\"id\":\"j\",\"media_uri\":\"sound:a,b\",\"next_media_uri\":\"tone:x\""),
           NULL)));
    cr_assert(eq(int, fx_ask_body(fx, "POST /channels/%s/answer", id, "{\"endpoint\": "), 400));
    cr_assert(eq(str, fx->body, "{\"message\":\"Error parsing request body\"}"));
    cr_assert(eq(int, fx_ask_body(fx, "POST /channels", NULL, "{\"endpoint\":17,\"app\":\"x\"}"), 400));
    fx_free(fx);
}

Test(exchange_requests, variables_are_set_and_read_one_by_one_and_together)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "100", NULL);
    fx_clear(fx);
    cr_assert(
        eq(int, fx_ask(fx, "POST /channels/%s/variable?variable=WITH_SPACE&value=a+b%26c%3Dd%25", id), 204));
    cr_assert(eq(str, (char *)fx_types(fx), "ChannelVarset"));
    fx_ask(fx, "GET /channels/%s/variable?variable=WITH_SPACE", id);
    cr_assert(eq(str, fx->body, "{\"value\":\"a b&c=d%\"}"));
    cr_assert(eq(int,
                 fx_ask_body(fx, "POST /channels/%s/variables", id,
                             "{\"variables\":{\"A1\":\"x\",\"A2\":{\"value\":\"y\"}}}"),
                 204));
    cr_assert(eq(int, fx_ask(fx, "GET /channels/%s/variables?variables=A1,A2", id), 200));
    cr_assert(eq(str, fx->body, "{\"variables\":{\"A1\":\"x\",\"A2\":\"y\"}}"));
    cr_assert(eq(int, fx_ask(fx, "GET /channels/%s/variables?variables=A1,NONE", id), 404));
    cr_assert(eq(int, fx_ask(fx, "POST /asterisk/variable?variable=GLOB&value=g1", NULL), 204));
    fx_ask(fx, "GET /asterisk/variable?variable=GLOB", NULL);
    cr_assert(eq(str, fx->body, "{\"value\":\"g1\"}"));
    fx_free(fx);
}

Test(exchange_requests, ids_with_any_bytes_stay_json)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_ask(fx, "POST /bridges/a%2Fb%22%0A%FF;x", NULL);
    cr_assert(not(eq(ptr, strstr(fx->body, "\"id\":\"a/b\\\"\\n?;x\""), NULL)));
    cr_assert(eq(int, ex_json_scan(fx->body, strlen(fx->body), NULL) > 0, 1));
    fx_free(fx);
}

/* ---- apps and connections -------------------------------------------------------------------- */

Test(exchange_requests, an_app_that_lost_its_connection_keeps_its_calls_and_loses_its_events)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "100", NULL);
    ex_model_ws_closed(fx->m, 1);
    fx_clear(fx);
    ex_model_press(fx->m, id, "12");
    cr_assert(eq(str, (char *)fx_types(fx), ""));
    cr_assert(eq(u64, fx_counters(fx).missed_while_away, 2));
    fx_ask(fx, "GET /applications/ivr", NULL);
    cr_assert(not(eq(ptr, strstr(fx->body, id), NULL)));
    cr_assert(eq(int, fx_ask(fx, "POST /channels/%s/answer", id), 204));
    fx_open(fx, 2, "app=ivr");
    cr_assert(eq(str, (char *)fx_types(fx), ""), "no second StasisStart");
    ex_model_press(fx->m, id, "3");
    cr_assert(fx_saw(fx, "2:{\"type\":\"ChannelDtmfReceived\""));
    cr_assert(fx_saw(fx, "\"seq\":2}"), "what was missed was not numbered");
    fx_free(fx);
}

Test(exchange_requests, an_app_without_channels_is_gone_with_its_connection_and_calls_fail)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr");
    ex_model_ws_closed(fx->m, 1);
    cr_assert(eq(int, fx_ask(fx, "GET /applications/ivr", NULL), 404));
    fx_call(fx, "100", NULL);
    cr_assert(eq(u64, fx_counters(fx).refused, 1));
    fx_pass(fx, 10);
    cr_assert(eq(u64, fx_counters(fx).live, 0), "the dialplan went on, and ended");
    fx_free(fx);
}

Test(exchange_requests, a_second_connection_takes_the_app_over)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr,other");
    const char *id = fx_call(fx, "100", NULL);
    fx_open(fx, 2, "app=ivr");
    cr_assert(fx_saw(fx, "1:{\"type\":\"ApplicationReplaced\""));
    fx_clear(fx);
    ex_model_press(fx->m, id, "1");
    cr_assert(eq(int, strncmp(fx->seen, "2:", 2), 0));
    fx_clear(fx);
    fx_text(fx, 1, "{\"type\":\"RESTRequest\",\"method\":\"GET\",\"uri\":\"asterisk/ping\"}");
    cr_assert(eq(int, strncmp(fx->seen, "1:", 2), 0), "REST over the old one still works");
    ex_model_ws_closed(fx->m, 1);
    fx_clear(fx);
    ex_model_press(fx->m, id, "1");
    cr_assert(eq(str, (char *)fx_types(fx), "ChannelDtmfReceived"));
    cr_assert(eq(int, fx_ask(fx, "GET /applications/other", NULL), 404));
    fx_free(fx);
}

Test(exchange_requests, an_event_filter_keeps_types_back)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr");
    cr_assert(eq(int,
                 fx_ask_body(fx, "PUT /applications/ivr/eventFilter", NULL,
                             "{\"disallowed\":[{\"type\":\"ChannelVarset\"}]}"),
                 200));
    cr_assert(
        eq(int, fx_ask_body(fx, "PUT /applications/ivr/eventFilter", NULL, "{\"allowed\":\"x\"}"), 400));
    cr_assert(eq(str, fx->body, "{\"message\":\"Invalid format definition\"}"));
    ex_model_hang_up(fx->m, fx_call(fx, "100", NULL));
    cr_assert(not(fx_saw(fx, "RTPAUDIOQOS")));
    cr_assert(eq(u64, fx_counters(fx).events_sent, 3));
    fx_free(fx);
}

Test(exchange_requests, subscribeAll_shows_what_is_in_other_apps)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr");
    fx_open(fx, 2, "app=watcher&subscribeAll=true");
    const char *id = fx_call(fx, "100", NULL);
    cr_assert(fx_saw(fx, "2:{\"type\":\"ChannelCreated\""));
    cr_assert(not(fx_saw(fx, "1:{\"type\":\"ChannelCreated\"")));
    ex_model_hang_up(fx->m, id);
    cr_assert(fx_saw(fx, "2:{\"type\":\"ChannelDestroyed\""));
    fx_free(fx);
}

Test(exchange_requests, a_user_event_reaches_its_app_with_its_words)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr");
    cr_assert(eq(int,
                 fx_ask_body(fx, "POST /events/user/plain?application=ivr", NULL,
                             "{\"variables\":{ \"n\":1,\"o\":{\"d\":[true]} }}"),
                 204));
    cr_assert(fx_saw(
        fx, "\"eventname\":\"plain\",\"userevent\":{ \"n\":1,\"o\":{\"d\":[true]},\"eventname\":\"plain\"}"));
    cr_assert(eq(int, fx_ask(fx, "POST /events/user/x?application=none", NULL), 404));
    fx_free(fx);
}

/* ---- over the event connection --------------------------------------------------------------- */

Test(exchange_requests, a_request_over_the_event_connection_echoes_both_ids)
{
    struct exchange_fixture *fx = fx_new(NULL);

    fx_open(fx, 1, "app=ivr");
    fx_text(
        fx, 1,
        "{\"type\":\"RESTRequest\",\"transaction_id\":\"t\",\"request_id\":\"r\",\"method\":\"POST\","
        "\"uri\":\"bridges?type=mixing\",\"query_strings\":[{\"name\":\"bridgeId\",\"value\":\"a b&c\"}]}");
    cr_assert(fx_saw(fx, "\"transaction_id\":\"t\",\"request_id\":\"r\",\"status_code\":200,\"reason_"
                         "phrase\":\"OK\",\"uri\":\"bridges\""));
    cr_assert(fx_saw(fx, "\\\"id\\\":\\\"a b&c\\\""));
    fx_clear(fx);
    fx_text(fx, 1,
            "{\"type\":\"RESTRequest\",\"request_id\":7,\"method\":\"PUT\",\"uri\":\"applications/ivr/"
            "eventFilter\","
            "\"content_type\":\"application/"
            "json\",\"message_body\":\"{\\\"disallowed\\\":[{\\\"type\\\":\\\"X\\\"}]}\"}");
    cr_assert(fx_saw(fx, "\"request_id\":\"\",\"status_code\":200"));
    fx_free(fx);
}

Test(exchange_requests, frames_that_are_no_requests_are_answered_with_empty_ids)
{
    struct exchange_fixture *fx = fx_new(NULL);
    static const char *const frames[][2] = {
        { "no json", "Failed to parse request message JSON" },
        { "17", "Failed to parse request message JSON" },
        { "{}", "No 'type' property." },
        { "{\"type\":\"X\"}", "Unknown request type." },
        { "{\"type\":\"RESTRequest\",\"method\":\"FROB\",\"uri\":\"x\"}",
          "Unknown or missing 'method' property." },
    };

    fx_open(fx, 1, "app=ivr");
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        fx_clear(fx);
        fx_text(fx, 1, frames[i][0]);
        cr_assert(fx_saw(fx, "\"status_code\":400"));
        cr_assert(fx_saw(fx, frames[i][1]), "%s", frames[i][0]);
    }
    fx_clear(fx);
    fx_text(fx, 1, "{\"type\":\"RESTRequest\",\"method\":\"GET\",\"uri\":\"/asterisk/ping\"}");
    cr_assert(fx_saw(fx, "\"status_code\":405"));
    fx_free(fx);
}

Test(exchange_requests, a_request_behind_a_prompt_holds_up_its_connection_but_no_event)
{
    struct exchange_cfg cfg = { .real_time = true };
    struct exchange_fixture *fx = fx_new(&cfg);
    char frame[200];

    fx_open(fx, 1, "app=ivr");
    const char *id = fx_call(fx, "100", NULL);
    fx_ask(fx, "POST /channels/%s/play?media=sound:hello-world", id);
    fx_clear(fx);
    snprintf(frame, sizeof frame,
             "{\"type\":\"RESTRequest\",\"request_id\":\"first\",\"method\":\"POST\",\"uri\":\"channels/%s/"
             "answer\"}",
             id);
    fx_text(fx, 1, frame);
    fx_text(
        fx, 1,
        "{\"type\":\"RESTRequest\",\"request_id\":\"second\",\"method\":\"GET\",\"uri\":\"asterisk/ping\"}");
    ex_model_press(fx->m, id, "5");
    cr_assert(eq(str, (char *)fx_types(fx), "ChannelDtmfReceived"));
    fx_pass(fx, 1420);
    cr_assert(eq(str, (char *)fx_types(fx),
                 "ChannelDtmfReceived PlaybackFinished ChannelStateChange RESTResponse RESTResponse"));
    cr_assert_lt(strstr(fx->seen, "first"), strstr(fx->seen, "second"));
    fx_free(fx);
}

Test(exchange_requests, an_old_version_ignores_what_the_client_sends)
{
    struct exchange_cfg cfg = { .no_rest_over_ws = true };
    struct exchange_fixture *fx = fx_new(&cfg);

    fx_open(fx, 1, "app=ivr");
    fx_text(fx, 1, "{\"type\":\"RESTRequest\",\"method\":\"GET\",\"uri\":\"asterisk/ping\"}");
    cr_assert(eq(int, fx->seen_bytes, 0));
    fx_free(fx);
}
