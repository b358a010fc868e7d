/* After a gap: connections that end, servers that restart, programs that quarrel over an app. */
#include "ari_story.h"

#include "tandem/log.h"
#include "tandem/metrics.h"
#include "tandem/registry.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(ari_gap, .timeout = 120);

#define CHANNEL(id, state, data)                                                     \
    "{\"id\":\"" id "\",\"state\":\"" state                                          \
    "\",\"caller\":{\"number\":\"200\"},\"dialplan\":{\"exten\":\"9\",\"app_name\":" \
    "\"Stasis\",\"app_data\":\"" data "\"}}"

/* What the server holds from now on. */
static void holds(struct story *st, const char *ids, const char *channels)
{
    story_list(st, "ivr", ids);
    ari_server_answer(st->server, "GET", "/ari/channels", 200, channels);
}

Test(ari_gap, known_calls_are_told_gone_ones_ended_and_new_ones_adopted)
{
    struct story st;

    story_open(&st);
    story_start(&st, NULL);
    cr_assert(ari_server_wait_open(st.server, 1));
    story_say_start(&st, "stays");
    story_say_start(&st, "goes");
    cr_assert(story_wait(&st, "start", NULL, NULL, 2));
    holds(&st, "\"stays\",\"comes\"",
          "[" CHANNEL("stays", "Up", "ivr") "," CHANNEL("comes", "Up", "ivr,a,b") "]");
    ari_server_drop(st.server);
    cr_assert(story_wait(&st, "event", "stays", "TandemGap", 1));
    cr_assert(story_wait(&st, "end", "goes", "StasisEnd", 1));
    cr_assert(story_wait(&st, "exit", "goes", NULL, 1));
    cr_assert(story_wait(&st, "start", "comes", "StasisStart", 1));
    story_say_event(&st, "stays", "ChannelHold");
    story_say_event(&st, "comes", "ChannelHold");
    cr_assert(story_wait(&st, "event", "stays", "ChannelHold", 1));
    cr_assert(story_wait(&st, "event", "comes", "ChannelHold", 1));

    const struct tdm_ari_state state = story_state(&st);

    cr_assert(eq(u64, state.adopted, 1));
    cr_assert(eq(u64, state.ended_unseen, 1));
    cr_assert(eq(u64, state.connects, 2));
    cr_assert(eq(sz, state.calls, 2));
    cr_assert(eq(i64, tdm_counter_by_name("tandem_ari_gaps_total"), 1));
    story_close(&st);
}

/* Watches the line to "pbx" and says in the log what it hears. */
static int watch(tdm_self *self, void *state, const struct tdm_start *start)
{
    (void)state, (void)start;
    return tdm_monitor_name(self, "source:pbx", strlen("source:pbx")) != 0 ? TDM_OK : TDM_ENOMEM;
}

static int hear_down(tdm_self *self, void *state, struct tdm_msg *msg)
{
    char why[64];

    (void)self, (void)state;
    if (msg->type != TDM_MSG_DOWN)
        return TDM_OK;
    const struct tdm_notice *n = tdm_msg_view(msg);
    tdm_log_info("test.down", "reason=%s", tdm_reason_str(&n->reason, why, sizeof why));
    return TDM_OK;
}

Test(ari_gap, H9_who_watches_a_source_is_told_once_that_its_connection_was_lost)
{
    static const struct tdm_behaviour watcher = { .name = "watcher", .init = watch, .handle = hear_down };
    struct story st;
    tdm_pid pid;

    story_open(&st);
    story_start(&st, NULL);
    cr_assert(ari_server_wait_open(st.server, 1));
    cr_assert(story_wait_log(&st, "ari.resync", st.cfg.name));
    cr_assert(eq(int, tdm_spawn(st.rt, &(struct tdm_spawn_cfg){ .behaviour = &watcher }, &pid), TDM_OK));
    story_say_start(&st, "c1");
    cr_assert(story_wait(&st, "start", "c1", NULL, 1));
    cr_assert(not(story_logged(&st, "test.down")));
    holds(&st, "\"c1\"", "[" CHANNEL("c1", "Up", "ivr") "]");
    ari_server_drop(st.server);
    cr_assert(story_wait_log(&st, "test.down", "reason=noconnection"));
    cr_assert(story_wait(&st, "event", "c1", "TandemGap", 1), "the actor that was watched lives on");
    story_close(&st);
}

Test(ari_gap, calls_that_live_when_the_program_starts_are_adopted)
{
    struct story st;

    story_open(&st);
    story_app(&st, "ivr", NULL);
    holds(&st, "\"c1\"", "[" CHANNEL("c1", "Up", "ivr,sales") "," CHANNEL("other", "Up", "elsewhere") "]");
    ari_server_answer(st.server, "GET", "/ari/applications/ivr", 200, "{\"channel_ids\":[\"c1\"]}");
    cr_assert(eq(int, tdm_ari_start(st.rt, &st.cfg, &st.source), TDM_OK));
    cr_assert(story_wait(&st, "start", "c1", "StasisStart", 1));
    cr_assert(ne(ptr, strstr(st.sight[0].text, "\"tandem\":\"adopted\""), NULL));
    cr_assert(ne(ptr, strstr(st.sight[0].text, "\"args\":[\"sales\"]"), NULL));
    story_say_end(&st, "c1");
    cr_assert(story_wait(&st, "exit", "c1", NULL, 1));
    cr_assert(eq(sz, story_seen(&st, NULL, "other", NULL), 0));
    story_close(&st);
}

/* Hold the answer to GET /channels, so that the test can say things while the server is being asked. */
static void ask_and_wait(struct story *st, size_t connection)
{
    cr_assert(ari_server_wait_open(st->server, connection));
    cr_assert(ari_server_wait_request(st->server, "GET", "/ari/channels", connection));
}

Test(ari_gap, events_that_come_while_the_server_is_asked_wait_and_keep_their_order)
{
    struct story st;

    story_open(&st);
    story_app(&st, "ivr", NULL);
    ari_server_answer(st.server, "GET", "/ari/applications/ivr", 200, "{\"channel_ids\":[\"old\",\"new\"]}");
    ari_server_answer(st.server, "GET", "/ari/channels", 0, NULL);
    cr_assert(eq(int, tdm_ari_start(st.rt, &st.cfg, &st.source), TDM_OK));
    ask_and_wait(&st, 1);
    story_say_start(&st, "new");
    for (int i = 0; i < 200; i++) {
        story_say_event(&st, "new", i % 2 == 0 ? "ChannelHold" : "ChannelUnhold");
        story_say_event(&st, "old", "ChannelHold");
    }
    cr_assert(eq(sz, story_seen(&st, NULL, NULL, NULL), 0));
    ari_server_answer(st.server, "GET", "/ari/channels", 200,
                      "[" CHANNEL("old", "Up", "ivr") "," CHANNEL("new", "Up", "ivr") "]");
    cr_assert(story_wait(&st, "event", "new", NULL, 200));
    cr_assert(story_wait(&st, "event", "old", NULL, 200));
    cr_assert(eq(sz, story_seen(&st, "start", "new", NULL), 1), "it started and was not adopted as well");
    cr_assert(eq(u64, story_state(&st).adopted, 1));
    for (size_t i = 0, n = 0; i < st.sights; i++)
        if (strcmp(st.sight[i].id, "new") == 0 && strcmp(st.sight[i].what, "event") == 0)
            cr_assert(eq(str, st.sight[i].type, n++ % 2 == 0 ? "ChannelHold" : "ChannelUnhold"));
    story_say_end(&st, "new");
    story_say_end(&st, "old");
    cr_assert(story_wait(&st, "exit", NULL, NULL, 2));
    story_close(&st);
}

Test(ari_gap, an_end_that_waits_is_the_end_that_the_call_hears)
{
    struct story st;

    story_open(&st);
    story_start(&st, NULL);
    cr_assert(ari_server_wait_open(st.server, 1));
    story_say_start(&st, "c1");
    cr_assert(story_wait(&st, "start", "c1", NULL, 1));
    ari_server_answer(st.server, "GET", "/ari/channels", 0, NULL);
    ari_server_drop(st.server);
    ask_and_wait(&st, 2);
    story_say_event(&st, "c1", "ChannelHangupRequest");
    story_say_end(&st, "c1");
    ari_server_answer(st.server, "GET", "/ari/channels", 200, "[]");
    cr_assert(story_wait(&st, "exit", "c1", NULL, 1));
    cr_assert(eq(sz, story_seen(&st, "event", "c1", "ChannelHangupRequest"), 1),
              "nothing was lost before it");
    cr_assert(eq(sz, story_seen(&st, "end", "c1", NULL), 1));
    cr_assert(eq(u64, story_state(&st).ended_unseen, 0));
    story_close(&st);
}

Test(ari_gap, too_many_events_while_the_server_is_asked_end_the_connection_and_all_begins_anew)
{
    struct story st;

    story_open(&st);
    st.cfg.held_max = 20000;
    ari_server_answer(st.server, "GET", "/ari/channels", 0, NULL);
    story_start(&st, NULL);
    ask_and_wait(&st, 1);
    for (int i = 0; i < 300; i++)
        story_say_event(&st, "c1", "ChannelHold");
    cr_assert(story_wait_log(&st, "ari.disconnected", "bytes of events came"));
    ari_server_answer(st.server, "GET", "/ari/channels", 200, "[]");
    cr_assert(story_wait_log(&st, "ari.resync", "known=0"));
    cr_assert(eq(i64, tdm_counter_by_name("tandem_ari_held_overflows_total"), 1));
    story_say_start(&st, "c2");
    cr_assert(story_wait(&st, "start", "c2", NULL, 1), "and it works");
    story_say_end(&st, "c2");
    cr_assert(story_wait(&st, "exit", "c2", NULL, 1));
    story_close(&st);
}

Test(ari_gap, after_a_restart_of_the_server_no_call_of_before_is_left_though_its_id_is_there_again)
{
    struct story st;

    story_open(&st);
    story_start(&st, NULL);
    cr_assert(ari_server_wait_open(st.server, 1));
    story_say_start(&st, "c1");
    cr_assert(story_wait(&st, "start", "c1", NULL, 1));
    holds(&st, "\"c1\"", "[" CHANNEL("c1", "Ring", "ivr") "]");
    ari_server_answer(
        st.server, "GET", "/ari/asterisk/info", 200,
        "{\"system\":{\"entity_id\":\"02:00:00:00:00:01\"},\"status\":{\"startup_time\":\"later\"}}");
    ari_server_drop(st.server);
    cr_assert(story_wait(&st, "end", "c1", "StasisEnd", 1));
    cr_assert(story_wait(&st, "start", "c1", NULL, 2));
    cr_assert(story_wait_log(&st, "ari.resync", "server_restarted=yes"));
    cr_assert(eq(u64, story_state(&st).server_restarts, 1));
    story_say_end(&st, "c1");
    cr_assert(story_wait(&st, "exit", "c1", NULL, 2));
    story_close(&st);
}

Test(ari_gap, a_server_that_cannot_be_asked_is_asked_again_on_a_new_connection)
{
    struct story st;

    story_open(&st);
    ari_server_answer(st.server, "GET", "/ari/asterisk/info", 503, "{\"message\":\"Asterisk not booted\"}");
    story_start(&st, NULL);
    cr_assert(story_wait_log(&st, "ari.resync_failed", "not booted"));
    cr_assert(ari_server_wait_open(st.server, 3));
    ari_server_answer(st.server, "GET", "/ari/asterisk/info", 200, "{}");
    cr_assert(story_wait_log(&st, "ari.resync", "known=0"));
    story_close(&st);
}

Test(ari_gap, a_hundred_lost_connections_lose_no_call_and_make_none)
{
    struct story st;

    story_open(&st);
    st.cfg.backoff_min_ms = 1;
    st.cfg.backoff_max_ms = 2;
    story_start(&st, NULL);
    cr_assert(ari_server_wait_open(st.server, 1));
    story_say_start(&st, "c1");
    cr_assert(story_wait(&st, "start", "c1", NULL, 1));
    holds(&st, "\"c1\"", "[" CHANNEL("c1", "Up", "ivr") "]");
    for (size_t i = 1; i <= 100; i++) {
        ari_server_drop(st.server);
        cr_assert(story_wait(&st, "event", "c1", "TandemGap", i));
    }
    story_say_event(&st, "c1", "ChannelHold");
    story_say_end(&st, "c1");
    cr_assert(story_wait(&st, "exit", "c1", NULL, 1));
    cr_assert(eq(sz, story_seen(&st, "start", NULL, NULL), 1));
    cr_assert(eq(sz, story_seen(&st, "event", "c1", "ChannelHold"), 1));
    story_close(&st);
}

Test(ari_gap, an_app_taken_over_is_told_and_not_taken_back_at_once)
{
    struct story st;

    story_open(&st);
    story_start(&st, NULL);
    cr_assert(ari_server_wait_open(st.server, 1));
    story_say(&st, "{\"type\":\"ApplicationReplaced\",\"application\":\"ivr\"}");
    cr_assert(story_wait_log(&st, "ari.replaced", "another program"));
    cr_assert(eq(int, story_state(&st).phase, TDM_ARI_REPLACED));
    cr_assert(story_state(&st).connected);
    story_say_start(&st, "c1"); /* another app of the same socket would go on like this */
    cr_assert(story_wait(&st, "start", "c1", NULL, 1));
    story_say_end(&st, "c1");
    cr_assert(story_wait(&st, "exit", "c1", NULL, 1));
    cr_assert(eq(sz, ari_server_opened(st.server), 1));
    story_close(&st);
}

Test(ari_gap, an_app_taken_over_is_taken_back_after_the_time_for_it)
{
    struct story st;

    story_open(&st);
    st.cfg.replaced_ms = 50;
    story_start(&st, NULL);
    cr_assert(ari_server_wait_open(st.server, 1));
    story_say(&st, "{\"type\":\"ApplicationReplaced\",\"application\":\"ivr\"}");
    cr_assert(ari_server_wait_open(st.server, 2));
    cr_assert(story_wait_log(&st, "ari.disconnected", "to take an app back"));
    story_close(&st);
}

Test(ari_gap, while_draining_new_calls_go_back_to_the_dialplan_and_running_ones_go_on)
{
    struct story st;

    story_open(&st);
    story_start(&st, NULL);
    cr_assert(ari_server_wait_open(st.server, 1));
    story_say_start(&st, "runs");
    cr_assert(story_wait(&st, "start", "runs", NULL, 1));
    cr_assert(eq(int, tdm_ari_drain(st.rt, st.source), TDM_OK));
    story_say_start(&st, "late");
    cr_assert(ari_server_wait_request(st.server, "POST", "/ari/channels/late/continue", 1));
    story_say_event(&st, "runs", "ChannelHold");
    story_say_end(&st, "runs");
    cr_assert(story_wait(&st, "exit", "runs", NULL, 1));
    cr_assert(eq(sz, story_seen(&st, NULL, "late", NULL), 0));
    cr_assert(eq(int, tdm_ari_drain(st.rt, (tdm_pid){ 12345 }), TDM_ENOTFOUND));
    story_close(&st);
}

Test(ari_gap, a_source_can_be_stopped_and_started_again_while_the_runtime_runs)
{
    struct story st;

    story_open(&st);
    story_start(&st, NULL);
    for (size_t i = 1; i <= 5; i++) {
        cr_assert(ari_server_wait_open(st.server, i));
        tdm_ari_stop(st.rt, st.source, 10000);
        cr_assert(eq(int, tdm_ari_state(st.rt, st.source, &(struct tdm_ari_state){ 0 }), TDM_ENOTFOUND));
        cr_assert(eq(int, tdm_ari_start(st.rt, &st.cfg, &st.source), TDM_OK));
    }
    story_close(&st);
}

Test(ari_gap, a_crashed_connection_actor_leaves_the_calls_alone)
{
    struct story st;
    size_t n = 0;

    story_open(&st);
    story_start(&st, NULL);
    cr_assert(ari_server_wait_open(st.server, 1));
    story_say_start(&st, "c1");
    cr_assert(story_wait(&st, "start", "c1", NULL, 1));
    holds(&st, "\"c1\"", "[" CHANNEL("c1", "Up", "ivr") "]");
    /* its pid is in the log, as of every actor */
    pthread_mutex_lock(&st.lock);
    for (const char *at = st.log; n == 0 && (at = strstr(at, "ari.connected pid=")) != NULL; at++)
        n = strtoul(at + strlen("ari.connected pid="), NULL, 10);
    pthread_mutex_unlock(&st.lock);
    cr_assert(ne(sz, n, 0));
    cr_assert(eq(int, tdm_kill(st.rt, (tdm_pid){ n }), TDM_OK));
    cr_assert(story_wait(&st, "event", "c1", "TandemGap", 1), "the next incarnation connects and asks");
    cr_assert(eq(sz, ari_server_opened(st.server), 2));
    story_say_event(&st, "c1", "ChannelHold");
    story_say_end(&st, "c1");
    cr_assert(story_wait(&st, "exit", "c1", NULL, 1));
    cr_assert(eq(sz, story_seen(&st, "start", "c1", NULL), 1));
    story_close(&st);
}

/* ---- the sheet's group K --------------------------------------------------------------------- */

enum { LEGS = 200 };

static char legs_ids[LEGS * 8], legs_channels[LEGS * 256];

static void hold_legs(struct story *st)
{
    size_t ids = 0, channels = (size_t)snprintf(legs_channels, sizeof legs_channels, "[");

    for (int i = 0; i < LEGS; i++) {
        ids += (size_t)snprintf(legs_ids + ids, sizeof legs_ids - ids, "%s\"l%d\"", i > 0 ? "," : "", i);
        channels +=
            (size_t)snprintf(legs_channels + channels, sizeof legs_channels - channels,
                             "%s{\"id\":\"l%d\",\"state\":\"Up\",\"dialplan\":{\"app_name\":\"Stasis\",\"app_"
                             "data\":\"ivr\"}}",
                             i > 0 ? "," : "", i);
    }
    snprintf(legs_channels + channels, sizeof legs_channels - channels, "]");
    holds(st, legs_ids, legs_channels);
}

Test(ari_gap, K6_after_the_death_of_their_supervisor_each_listed_call_has_one_actor_and_no_other_has)
{
    struct story st;
    char id[16], full[128];

    story_open(&st);
    story_start(&st, NULL);
    cr_assert(ari_server_wait_open(st.server, 1));
    for (int i = 0; i < LEGS; i++) {
        snprintf(id, sizeof id, "l%d", i);
        story_say_start(&st, id);
    }
    story_say_start(&st, "gone");
    cr_assert(story_wait(&st, "start", NULL, NULL, LEGS + 1));
    hold_legs(&st);
    snprintf(full, sizeof full, "calls/%s/ivr", st.cfg.name);
    cr_assert(eq(int, tdm_kill(st.rt, tdm_whereis(st.rt, full, strlen(full))), TDM_OK));
    cr_assert(story_wait(&st, "start", NULL, NULL, 2 * LEGS + 1));
    for (int i = 0; i < LEGS; i++) {
        snprintf(id, sizeof id, "l%d", i);
        cr_assert(eq(sz, story_seen(&st, "start", id, NULL), 2), "%s", id);
    }
    cr_assert(eq(sz, story_seen(&st, "start", "gone", NULL), 1));
    cr_assert(eq(sz, story_state(&st).calls, LEGS));
    story_close(&st);
}

static void crashes(tdm_call *call)
{
    tdm_exit(tdm_call_self(call), &(struct tdm_reason){ .kind = TDM_EXIT_ERROR, .code = TDM_EPROTO });
}

static void give_up(struct story *st, enum tdm_on_give_up how)
{
    struct tdm_app app = {
        .abi = TDM_APP_ABI, .name = "ivr", .run = crashes, .restarts = 1, .on_give_up = how
    };

    story_open(st);
    story_app(st, "ivr", &app);
    story_start(st, NULL);
    cr_assert(ari_server_wait_open(st->server, 1));
    story_say_start(st, "c1");
    cr_assert(story_wait_log(st, "call.given_up", "c1"));
}

Test(ari_gap, K5_a_call_that_is_given_up_is_hung_up_once)
{
    struct story st;

    give_up(&st, TDM_GIVE_UP_HANGUP);
    cr_assert(ari_server_wait_request(st.server, "DELETE", "/ari/channels/c1", 1));
    cr_assert(eq(sz, ari_server_requests(st.server, "POST", "/ari/channels/c1/continue"), 0));
    story_close(&st);
}

Test(ari_gap, K5_or_handed_back_once)
{
    struct story st;

    give_up(&st, TDM_GIVE_UP_HAND_BACK);
    cr_assert(ari_server_wait_request(st.server, "POST", "/ari/channels/c1/continue", 1));
    cr_assert(eq(sz, ari_server_requests(st.server, "DELETE", "/ari/channels/c1"), 0));
    story_close(&st);
}

Test(ari_gap, K5_or_left)
{
    struct story st;

    give_up(&st, TDM_GIVE_UP_LEAVE);
    cr_assert(eq(int, tdm_ari_drain(st.rt, st.source), TDM_OK));
    story_say_start(&st, "c2"); /* its request comes behind any about the first */
    cr_assert(ari_server_wait_request(st.server, "POST", "/ari/channels/c2/continue", 1));
    cr_assert(eq(sz, ari_server_requests(st.server, "DELETE", "/ari/channels/c1"), 0));
    cr_assert(eq(sz, ari_server_requests(st.server, "POST", "/ari/channels/c1/continue"), 0));
    story_close(&st);
}
