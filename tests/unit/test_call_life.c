/* test_call_life.c - crashes, restarts, notes, moves, table apps and unread events of a call, on a switch
 * that only remembers. TANDEM_SEED=n runs one seed. */
#include "fake_source.h"

#include <stdio.h>

#define SEEDS 40

static void (*desk_does)(tdm_call *call);

static void desk_run(tdm_call *call)
{
    desk_does(call);
}

static const struct tdm_app desk = { .abi = TDM_APP_ABI, .name = FAKE_APP, .run = desk_run, .restarts = 2 };

static void run_desk(void (*does)(tdm_call *call), void (*story)(struct fake *f))
{
    desk_does = does;
    fake_add_app(&desk);
    fake_run(story, SEEDS);
}

static void begin(struct fake *f)
{
    fake_check(f, fake_start(f, FAKE_APP, "c1") == TDM_OK, "the call starts");
}

static void crash(tdm_call *call)
{
    struct tdm_reason reason = { .kind = TDM_EXIT_ERROR, .code = TDM_EPROTO, .text = "told to" };

    tdm_exit(tdm_call_self(call), &reason);
}

static const char *event_text(tdm_event *event)
{
    const char *n = tdm_event_str(event, "n");

    return n != NULL ? n : tdm_event_type(event);
}

/* ---- restart --------------------------------------------------------------------------------- */

static void crashes_once(tdm_call *call)
{
    size_t bytes = 0;
    const char *note = tdm_note_last(call, &bytes);

    note_down("life %u exten %s type %s note %s %zu", tdm_call_restarts(call), tdm_call_exten(call),
              tdm_event_type(tdm_call_start_event(call)), note != NULL ? note : "-", bytes);
    if (tdm_call_restarts(call) == 0) {
        tdm_note_text(call, "was here");
        tdm_play(call, "sound:first");
        crash(call);
    }
    note_down("note %s", tdm_note_last(call, NULL));
    tdm_play(call, "sound:second");
}

static void restart_story(struct fake *f)
{
    f->play_ms = 20;
    begin(f);
    fake_pass(f, 200);
    fake_diary_is(f,
                  "life 0 exten 100 type Start note - 0;play sound:first;"
                  "life 1 exten 100 type Start note was here 8;note was here;play sound:second;hangup 16;");
    fake_check(f, tdm_source_calls(f->src) == 1);
    fake_end(f, FAKE_APP, "c1");
    fake_pass(f, 10);
    fake_check(f, tdm_source_calls(f->src) == 0);
}

Test(restart, the_next_incarnation_gets_the_start_event_and_the_note, .timeout = 60)
{
    run_desk(crashes_once, restart_story);
}

/* Ended by a link or by itself, not by an error: for the supervisor that is abnormal all the same. */
static void ends_as_killed_once(tdm_call *call)
{
    struct tdm_reason reason = { .kind = TDM_EXIT_KILLED };
    tdm_event *event;

    note_down("life %u", tdm_call_restarts(call));
    if (tdm_call_restarts(call) == 0)
        tdm_exit(tdm_call_self(call), &reason);
    while (tdm_next_event(call, TDM_FOREVER, &event) == TDM_OK)
        note_down("%s", event_text(event));
    note_down("over");
}

static void ends_as_killed_story(struct fake *f)
{
    begin(f);
    fake_pass(f, 50);
    fake_check(f, fake_event(f, FAKE_APP, "channel", "c1", "{\"n\":\"1\"}") == TDM_OK,
               "it has its key still");
    fake_pass(f, 10);
    fake_diary_is(f, "life 0;life 1;1;");
    fake_end(f, FAKE_APP, "c1");
    fake_pass(f, 10);
    fake_check(f, tdm_source_calls(f->src) == 0);
    fake_check(f, noted(f, "over;"), "and hears its end");
}

Test(restart, an_actor_that_ends_as_killed_is_restarted_and_its_call_not_hung_up, .timeout = 60)
{
    run_desk(ends_as_killed_once, ends_as_killed_story);
}

static void reads_events(tdm_call *call)
{
    tdm_event *event;

    while (tdm_next_event(call, TDM_FOREVER, &event) == TDM_OK) {
        const char *n = event_text(event);

        note_down("%s", n);
        if (strcmp(n, "5") == 0 && tdm_call_restarts(call) == 0)
            crash(call);
    }
}

static void stream_story(struct fake *f)
{
    char json[32], expected[512] = "";

    begin(f);
    for (int n = 1; n <= 10; n++) {
        snprintf(json, sizeof json, "{\"n\":\"%d\"}", n);
        fake_check(f, fake_event(f, FAKE_APP, "channel", "c1", json) == TDM_OK);
        snprintf(expected + strlen(expected), 8, "%d;", n);
        fake_pass(f, n % 3);
    }
    fake_pass(f, 100);
    fake_check(f, strcmp(f->diary, expected) == 0, "each once, in order, the crash in the middle");
}

Test(restart, no_event_is_lost_or_reordered_over_a_crash, .timeout = 60)
{
    run_desk(reads_events, stream_story);
}

static void always_crashes(tdm_call *call)
{
    note_down("life %u of %s", tdm_call_restarts(call), tdm_call_id(call));
    if (strcmp(tdm_call_id(call), "c1") == 0)
        crash(call);
    tdm_pause(call, 100000);
}

static void give_up_story(struct fake *f)
{
    begin(f);
    fake_start(f, FAKE_APP, "c2");
    fake_pass(f, 100);
    fake_check(f, noted_times(f, "of c1;") == 3 && noted_times(f, "of c2;") == 1);
    fake_check(f, noted_times(f, "give_up desk c1;") == 1);
    fake_check(f, tdm_source_calls(f->src) == 1, "its key is free, the neighbour's is not");
    fake_check(f, fake_end(f, FAKE_APP, "c1") == TDM_ENOTFOUND);
    fake_check(f, fake_start(f, FAKE_APP, "c1") == TDM_OK, "and the id may come again");
}

Test(restart, K5_a_call_that_crashes_too_often_is_given_up_alone_and_once, .timeout = 60)
{
    run_desk(always_crashes, give_up_story);
}

static void give_up_back_story(struct fake *f)
{
    begin(f);
    fake_pass(f, 100);
    fake_check(f, noted_times(f, "give_up") == 1 && noted_times(f, "give_up back desk c1;") == 1);
    fake_check(f, tdm_source_calls(f->src) == 0);
}

static void give_up_leave_story(struct fake *f)
{
    begin(f);
    fake_pass(f, 100);
    fake_check(f, noted_times(f, "life") == 3 && noted_times(f, "give_up") == 0);
    fake_check(f, tdm_source_calls(f->src) == 0);
}

static void run_desk_that_gives_up(enum tdm_on_give_up how, void (*story)(struct fake *f))
{
    struct tdm_app other = desk;

    other.on_give_up = how;
    desk_does = always_crashes;
    fake_add_app(&other);
    fake_run(story, SEEDS);
}

Test(restart, K5_a_call_that_is_given_up_may_be_handed_back_once, .timeout = 60)
{
    run_desk_that_gives_up(TDM_GIVE_UP_HAND_BACK, give_up_back_story);
}

Test(restart, K5_or_left_where_it_is, .timeout = 60)
{
    run_desk_that_gives_up(TDM_GIVE_UP_LEAVE, give_up_leave_story);
}

static void begin_fails_story(struct fake *f)
{
    f->begin_fails = true;
    begin(f);
    fake_pass(f, 100);
    fake_check(f, noted_times(f, "give_up desk c1;") == 1 && tdm_source_calls(f->src) == 0);
}

Test(restart, a_source_that_can_not_begin_the_call_is_a_crash_like_any_other, .timeout = 60)
{
    run_desk(always_crashes, begin_fails_story);
}

static void begin_ignores_story(struct fake *f)
{
    f->begin_ignores = true;
    begin(f);
    fake_pass(f, 100);
    fake_diary_is(f, "");
    fake_check(f, tdm_source_calls(f->src) == 0);
}

Test(restart, a_call_that_has_gone_meanwhile_gets_no_app, .timeout = 60)
{
    run_desk(always_crashes, begin_ignores_story);
}

static void big_note(tdm_call *call)
{
    static char big[TDM_NOTE_MAX + 1];

    note_down("%s %s", tdm_errname(tdm_note(call, big, sizeof big)), tdm_errname(tdm_note(call, NULL, 1)));
    note_down("%d", tdm_note(call, big, TDM_NOTE_MAX - 8));
}

static void big_note_story(struct fake *f)
{
    begin(f);
    fake_pass(f, 10);
    fake_check(f, noted(f, "ETOOBIG EINVAL;0;"));
}

Test(restart, a_note_has_a_limit, .timeout = 60)
{
    run_desk(big_note, big_note_story);
}

/* ---- moves ----------------------------------------------------------------------------------- */

static void second_run(tdm_call *call)
{
    note_down("second: life %u app %s argc %d %s %s note %s", tdm_call_restarts(call), tdm_call_app(call),
              tdm_call_argc(call), tdm_call_arg(call, 0), tdm_call_arg(call, 1),
              tdm_note_last(call, NULL) != NULL ? tdm_note_last(call, NULL) : "-");
    if (tdm_call_restarts(call) == 0) {
        tdm_note_text(call, "mine");
        crash(call);
    }
    tdm_play(call, "sound:second");
}

static const struct tdm_app second = { .abi = TDM_APP_ABI, .name = "second", .run = second_run };

static void moves_here(tdm_call *call)
{
    note_down("first: life %u", tdm_call_restarts(call));
    tdm_note_text(call, "the first's");
    note_down("moved %d", tdm_move(call, "second", "a,b"));
    note_down("then %s", tdm_errname(tdm_play(call, "sound:no")));
}

static void move_story(struct fake *f)
{
    f->play_ms = 10;
    begin(f);
    fake_pass(f, 100);
    fake_diary_is(f, "first: life 0;moved 0;then ESTATE;second: life 0 app second argc 2 a b note -;"
                     "second: life 1 app second argc 2 a b note mine;play sound:second;hangup 16;");
    fake_check(f, fake_end(f, FAKE_APP, "c1") == TDM_OK, "the key is the one it came with");
}

Test(move, an_app_of_this_process_takes_over_in_place_and_a_restart_goes_on_in_it, .timeout = 60)
{
    fake_add_app(&second);
    run_desk(moves_here, move_story);
}

static void moves_away(tdm_call *call)
{
    note_down("%d", tdm_move(call, "elsewhere", "x"));
}

static void move_away_story(struct fake *f)
{
    begin(f);
    fake_pass(f, 100);
    fake_diary_is(f, "move elsewhere x;0;");
    fake_end(f, FAKE_APP, "c1");
    fake_pass(f, 10);
    fake_diary_is(f, "move elsewhere x;0;source end;");
}

Test(move, an_app_of_another_process_is_the_switch_s_to_find, .timeout = 60)
{
    run_desk(moves_away, move_away_story);
}

/* ---- new versions ---------------------------------------------------------------------------- */

/* Runs of each version, and what they are told by "n" of an event. */
static void version_run(tdm_call *call, int version)
{
    tdm_event *event;

    note_down("%s v%d %s life %u", tdm_call_id(call), version, tdm_call_arg(call, 0),
              tdm_call_restarts(call));
    while (tdm_next_event(call, TDM_FOREVER, &event) == TDM_OK) {
        const char *n = event_text(event);
        note_down("%s v%d %s", tdm_call_id(call), version, n);
        if (strcmp(n, "crash") == 0)
            crash(call);
        if (strcmp(n, "again") == 0 && tdm_move(call, "phone", "b") == TDM_OK)
            return;
    }
}

static void version_1(tdm_call *call)
{
    version_run(call, 1);
}
static void version_2(tdm_call *call)
{
    volatile char large[150 * 1024]; /* on the first one's stack it would fault */

    for (size_t i = 0; i < sizeof large; i += 1024)
        large[i] = 2;
    version_run(call, large[0] + large[sizeof large - 1024] == 4 ? 2 : 0);
}

static int version_3(tdm_call *call, void *state)
{
    (void)state;
    note_down("%s v3 table life %u", tdm_call_id(call), tdm_call_restarts(call));
    return TDM_OK;
}

static const struct tdm_call_behaviour version_3_table = { .on_start = version_3 };
static const struct tdm_app phone_1 = {
    .abi = TDM_APP_ABI, .name = "phone", .run = version_1, .restarts = 5
};
static const struct tdm_app phone_2 = {
    .abi = TDM_APP_ABI, .name = "phone", .run = version_2, .restarts = 5, .stack_bytes = 256 * 1024
};
static const struct tdm_app phone_3 = { .abi = TDM_APP_ABI, .name = "phone", .behaviour = &version_3_table };

static void tell_phone(struct fake *f, const char *id, const char *n)
{
    char json[64];

    snprintf(json, sizeof json, "{\"n\":\"%s\"}", n);
    fake_check(f, fake_event(f, "phone", NULL, id, json) == TDM_OK);
    fake_pass(f, 20);
}

static void version_story(struct fake *f)
{
    fake_add_app(&phone_1); /* over the one that the seed before has left */
    fake_check(f, fake_start(f, "phone", "c1") == TDM_OK);
    fake_check(f, fake_start(f, "phone", "c2") == TDM_OK);
    fake_pass(f, 20);
    fake_add_app(&phone_2);
    forget_notes(f);
    tell_phone(f, "c1", "1");
    fake_check(f, fake_start(f, "phone", "c3") == TDM_OK);
    fake_pass(f, 20);
    fake_diary_is(f, "c1 v1 1;c3 v2 first life 0;");
    forget_notes(f);
    tell_phone(f, "c1", "crash");
    tell_phone(f, "c1", "2");
    tell_phone(f, "c2", "3");
    fake_diary_is(f, "c1 v1 crash;c1 v2 first life 1;c1 v2 2;c2 v1 3;");
    forget_notes(f);
    tell_phone(f, "c2", "again"); /* a move is to the newest, and a restart goes on with its arguments */
    tell_phone(f, "c2", "crash");
    tell_phone(f, "c2", "4");
    fake_diary_is(f, "c2 v1 again;c2 v2 b life 0;c2 v2 crash;c2 v2 b life 1;c2 v2 4;");
    for (int i = 1; i <= 3; i++)
        fake_end(f, "phone", i == 1 ? "c1" : i == 2 ? "c2" : "c3");
    fake_pass(f, 100);
}

static void table_story(struct fake *f)
{
    fake_check(f, fake_start(f, "phone", "c1") == TDM_OK);
    fake_pass(f, 20);
    fake_add_app(&phone_3); /* a table in place of a function: its calls have a stack, and need none */
    tell_phone(f, "c1", "crash");
    fake_diary_is(f, "c1 v1 first life 0;c1 v1 crash;c1 v3 table life 1;");
    fake_check(f, tdm_app_add(&phone_1, NULL) == TDM_ENOTSUP, "no way back");
    fake_end(f, "phone", "c1");
    fake_pass(f, 100);
}

Test(version, new_calls_and_restarted_ones_run_it_and_running_ones_finish_on_theirs, .timeout = 60)
{
    fake_add_app(&phone_1);
    fake_run(version_story, SEEDS);
}

Test(version, a_function_may_become_a_table_and_not_the_other_way_round, .timeout = 60)
{
    fake_add_app(&phone_1);
    fake_run(table_story, 1); /* what was added to a process stays */
}

/* ---- table apps ------------------------------------------------------------------------------ */

struct board {
    tdm_ref answer, play, menu, hangup;
    int events;
};

static int board_start(tdm_call *call, void *state)
{
    struct board *b = state;

    note_down("start %u", tdm_call_restarts(call));
    note_down("waiting %s", tdm_errname(tdm_answer(call)));
    b->answer = tdm_answer_start(call);
    return TDM_OK;
}

static int board_event(tdm_call *call, void *state, tdm_event *event)
{
    struct board *b = state;

    b->events++;
    note_down("event %s", event_text(event));
    if (strcmp(event_text(event), "hang up") == 0)
        b->hangup = tdm_hangup_start(call, 17);
    if (strcmp(event_text(event), "bad") == 0)
        return TDM_EPROTO;
    return strcmp(event_text(event), "stop") == 0 ? TDM_STOP : TDM_OK;
}

static int board_verb(tdm_call *call, void *state, const struct tdm_verb_result *r)
{
    static const char *const media[] = { "sound:x", NULL };
    struct board *b = state;

    if (r->ref == b->answer) {
        note_down("answer %d", r->result);
        b->play = tdm_play_start(call, &(tdm_play_opts){ .media = media });
    } else if (r->ref == b->play) {
        note_down("play %s", r->result < 0 ? tdm_errname(r->result) : "ok");
        b->menu = tdm_menu_start(call, &(tdm_menu_opts){ .choices = "12" });
    } else if (r->ref == b->menu) {
        note_down("menu %s", r->result == '2' ? "two" : tdm_errname(r->result));
    } else {
        note_down("%s %d", r->ref == b->hangup ? "hung up" : "stranger", r->result);
    }
    return TDM_OK;
}

static int board_message(tdm_call *call, void *state, struct tdm_msg *msg)
{
    (void)call;
    (void)state;
    note_down("message %u", msg->type - TDM_MSG_USER);
    return TDM_OK;
}

static void board_end(tdm_call *call, void *state)
{
    struct board *b = state;

    note_down("end after %d ended %d", b->events, tdm_call_ended(call));
}

static const struct tdm_call_behaviour board_table = { .state_bytes = sizeof(struct board),
                                                       .on_start = board_start,
                                                       .on_event = board_event,
                                                       .on_verb = board_verb,
                                                       .on_message = board_message,
                                                       .on_end = board_end };
static const struct tdm_app board = {
    .abi = TDM_APP_ABI, .name = FAKE_APP, .behaviour = &board_table, .restarts = 2
};

static void run_board(void (*story)(struct fake *f))
{
    fake_add_app(&board);
    fake_run(story, SEEDS);
}

static void board_story(struct fake *f)
{
    f->play_ms = 10;
    begin(f);
    fake_pass(f, 100);
    fake_diary_is(f, "start 0;waiting ESTATE;answer;answer 0;play sound:x;play ok;");
    forget_notes(f);
    fake_event(f, FAKE_APP, "channel", "c1", "{\"n\":\"a\"}");
    fake_press(f, "2");
    fake_pass(f, 10);
    fake_diary_is(f, "event a;event ;menu two;");
    forget_notes(f);
    fake_end(f, FAKE_APP, "c1");
    fake_pass(f, 10);
    fake_diary_is(f, "event End;end after 3 ended 1;source end;");
}

Test(table, results_come_with_their_refs_and_the_end_once, .timeout = 60)
{
    run_board(board_story);
}

static void board_hangup_story(struct fake *f)
{
    begin(f);
    fake_pass(f, 10);
    forget_notes(f);
    fake_end(f, FAKE_APP, "c1");
    fake_pass(f, 10);
    fake_diary_is(f, "event End;play EHANGUP;menu EHANGUP;end after 1 ended 1;source end;");
}

Test(table, what_was_under_way_when_the_caller_went_answers_that, .timeout = 60)
{
    run_board(board_hangup_story);
}

static void board_leave_story(struct fake *f)
{
    begin(f);
    fake_pass(f, 10);
    forget_notes(f);
    fake_event(f, FAKE_APP, "channel", "c1", "{\"n\":\"hang up\"}");
    fake_pass(f, 10);
    fake_diary_is(f, "event hang up;hangup 17;hung up 0;stop;play EHANGUP;menu EHANGUP;");
    forget_notes(f);
    fake_end(f, FAKE_APP, "c1");
    fake_pass(f, 10);
    fake_diary_is(f, "event End;end after 2 ended 1;source end;");
}

Test(table, a_call_it_hangs_up_ends_when_the_switch_says_so, .timeout = 60)
{
    run_board(board_leave_story);
}

static void board_stop_story(struct fake *f)
{
    begin(f);
    fake_event(f, FAKE_APP, "channel", "c1", "{\"n\":\"stop\"}");
    fake_pass(f, 100);
    fake_check(f, noted(f, "event stop;") && noted(f, "hangup 16;") && !noted(f, "end after"));
    fake_event(f, FAKE_APP, "channel", "c1", "{\"n\":\"late\"}");
    fake_end(f, FAKE_APP, "c1");
    fake_pass(f, 10);
    fake_check(f, !noted(f, "event late;") && noted(f, "end after 1 ended 1;source end;"));
}

Test(table, a_callback_that_returns_stop_hangs_the_call_up, .timeout = 60)
{
    run_board(board_stop_story);
}

static void board_error_story(struct fake *f)
{
    begin(f);
    fake_event(f, FAKE_APP, "channel", "c1", "{\"n\":\"bad\"}");
    fake_event(f, FAKE_APP, "channel", "c1", "{\"n\":\"after\"}");
    fake_pass(f, 100);
    fake_check(f, noted(f, "event bad;start 1;") && noted(f, "event after;"));
}

Test(table, an_error_restarts_it_with_the_mail_that_waits, .timeout = 60)
{
    run_board(board_error_story);
}

static void board_shutdown_story(struct fake *f)
{
    begin(f);
    fake_pass(f, 100);
    forget_notes(f);
    tdm_runtime_stop(f->rt, 20000);
    fake_diary_is(f, "stop;hand_back - - 0;play ESTOP;menu EHANGUP;end after 0 ended 1;source end;");
}

Test(table, at_a_stop_the_call_is_handed_back, .timeout = 60)
{
    run_board(board_shutdown_story);
}

static void to_board(tdm_call *call)
{
    note_down("moved %d", tdm_move(call, "board", NULL));
}

static void to_board_story(struct fake *f)
{
    f->play_ms = 10;
    begin(f);
    fake_pass(f, 100);
    fake_diary_is(f, "moved 0;start 0;waiting ESTATE;answer;answer 0;play sound:x;play ok;");
    fake_end(f, FAKE_APP, "c1");
    fake_pass(f, 10);
    fake_check(f, noted(f, "end after 1 ended 1;source end;"));
}

Test(table, a_call_moves_from_a_function_to_a_table, .timeout = 60)
{
    struct tdm_app other = board;

    other.name = "board";
    fake_add_app(&other);
    run_desk(to_board, to_board_story);
}

/* ---- events no verb used --------------------------------------------------------------------- */

static void reads_late(tdm_call *call)
{
    tdm_event *event;
    int err;

    tdm_pause(call, 10);
    while ((err = tdm_next_event(call, TDM_MS(50), &event)) == TDM_OK)
        note_down("%s", event_text(event));
    note_down("%s", tdm_errname(err));
    tdm_pause(call, 100000);
    note_down("last %s", tdm_next_event(call, 0, &event) == TDM_OK ? event_text(event) : "none");
    note_down("%s", tdm_errname(tdm_next_event(call, 0, &event)));
}

static void unread_story(struct fake *f)
{
    char json[32];

    begin(f);
    for (int n = 1; n <= 6; n++) {
        snprintf(json, sizeof json, "{\"n\":\"%d\"}", n);
        fake_event(f, FAKE_APP, "channel", "c1", json);
    }
    fake_pass(f, 200);
    fake_diary_is(f, "3;4;5;6;ETIMEOUT;");
    fake_end(f, FAKE_APP, "c1");
    fake_pass(f, 10);
    fake_check(f, noted(f, "ETIMEOUT;last End;EHANGUP;"));
}

Test(events, the_last_few_wait_for_an_app_that_asks_late, .timeout = 60)
{
    run_desk(reads_late, unread_story);
}

/* ---- the supervisor of the calls ------------------------------------------------------------- */

static void waits(tdm_call *call)
{
    tdm_pause(call, 1000000);
}

static void killed_story(struct fake *f)
{
    static const char name[] = "calls/fake/desk";

    begin(f);
    fake_pass(f, 10);
    tdm_kill(f->rt, tdm_whereis(f->rt, name, strlen(name)));
    fake_pass(f, 200);
    fake_check(f, noted_times(f, "adopt;") == 1, "the switch is asked once");
    fake_check(f, tdm_source_calls(f->src) == 0, "and the dead call is not taken for a live one");
    fake_check(f, fake_start(f, FAKE_APP, "c1") == TDM_OK);
    fake_pass(f, 10);
    fake_check(f, tdm_source_calls(f->src) == 1);
}

Test(watch, after_the_supervisor_of_the_calls_was_lost_the_switch_is_asked_what_lives, .timeout = 60)
{
    run_desk(waits, killed_story);
}

static void owns_something(tdm_call *call)
{
    note_down("own %d", tdm_call_own(call, "playback", "p1"));
    tdm_pause(call, 1000000);
}

static void find_place(void *ctx, const char *app, const char *id, tdm_place place)
{
    (void)app;
    (void)id;
    *(tdm_place *)ctx = place;
}

static void swept_story(struct fake *f)
{
    tdm_place place = { 0 };

    begin(f);
    fake_pass(f, 10);
    tdm_source_each_call(f->src, find_place, &place);
    fake_end(f, FAKE_APP, "c1"); /* the place is not to be started again */
    tdm_kill(f->rt, tdm_place_pid(f->rt, place));
    fake_pass(f, 61000);
    begin(f);
    fake_pass(f, 10);
    fake_check(f, noted_times(f, "own 0;") >= 2 && noted_times(f, "own 0;") == noted_times(f, "own "),
               "every one of them may own it");
}

Test(watch, what_a_killed_call_owned_comes_free, .timeout = 60)
{
    run_desk(owns_something, swept_story);
}
