/* test_call.c - the call's actor and its verbs, on a switch that only remembers (fake_source.c). Every
 * story runs in the deterministic environment under many seeds; TANDEM_SEED=n runs one of them. */
#include "fake_source.h"

#include <stdio.h>

#define SEEDS 40

/* One app for the whole file: what it does is set by the story. */
static void (*desk_does)(tdm_call *call);

static void desk_run(tdm_call *call)
{
    desk_does(call);
}

static const struct tdm_app desk = { .abi = TDM_APP_ABI, .name = FAKE_APP, .run = desk_run };

static void run_desk(void (*does)(tdm_call *call), void (*story)(struct fake *f))
{
    desk_does = does;
    fake_add_app(&desk);
    fake_run(story, SEEDS);
}

static const char *word(int result)
{
    static const char *const words[] = { "0", "1", "2", "3" };

    return result < 0 ? tdm_errname(result) : result < 4 ? words[result] : "many";
}

static void begin(struct fake *f)
{
    fake_check(f, fake_start(f, FAKE_APP, "c1") == TDM_OK, "the call starts");
}

/* ---- a whole call ---------------------------------------------------------------------------- */

static void hello(tdm_call *call)
{
    note_down("from %s to %s arg %s", tdm_call_caller(call), tdm_call_exten(call), tdm_call_arg(call, 0));
    note_down("answered %d", tdm_answer(call) == TDM_OK && tdm_call_answered(call));
    note_down("played %s", word(tdm_play(call, "sound:hello")));
    note_down("hung up %s", word(tdm_hangup(call, TDM_CAUSE_NORMAL)));
    note_down("then %s", word(tdm_play(call, "sound:never")));
}

static void hello_story(struct fake *f)
{
    f->play_ms = 50;
    begin(f);
    fake_pass(f, 200);
    fake_diary_is(
        f, "from 4711 to 100 arg first;answer;answered 1;play sound:hello;played 0;hangup 16;hung up 0;"
           "then EHANGUP;");
    fake_check(f, tdm_source_calls(f->src) == 1, "the actor waits for the switch to say that it is over");
    fake_check(f, fake_end(f, FAKE_APP, "c1") == TDM_OK);
    fake_pass(f, 10);
    fake_check(f, noted(f, "source end;") && tdm_source_calls(f->src) == 0);
}

Test(call, a_whole_call_is_answered_played_to_and_hung_up, .timeout = 60)
{
    run_desk(hello, hello_story);
}

static void silent_end_story(struct fake *f)
{
    size_t before = tdm_actor_count(f->rt);

    f->play_ms = 50;
    begin(f);
    fake_pass(f, 200);
    fake_check(f, tdm_actor_count(f->rt) == before + 1);
    fake_pass(f, 3000);
    fake_check(f, tdm_actor_count(f->rt) == before && tdm_source_calls(f->src) == 0);
}

Test(call, a_call_that_was_hung_up_ends_even_if_the_switch_never_says_so, .timeout = 60)
{
    run_desk(hello, silent_end_story);
}

static void just_answer(tdm_call *call)
{
    tdm_answer(call);
}

static void just_return_story(struct fake *f)
{
    begin(f);
    fake_pass(f, 100);
    fake_diary_is(f, "answer;hangup 16;");
    fake_end(f, FAKE_APP, "c1");
    fake_pass(f, 10);
    fake_diary_is(f, "answer;hangup 16;source end;");
}

Test(call, when_the_function_returns_the_call_is_hung_up, .timeout = 60)
{
    run_desk(just_answer, just_return_story);
}

/* ---- the caller goes ------------------------------------------------------------------------- */

static void caller_goes(tdm_call *call)
{
    int played = tdm_play(call, "sound:long");
    int paused = tdm_pause(call, 1000);
    int asked = tdm_gather(call, NULL, NULL);
    int chosen = tdm_menu(call, &(tdm_menu_opts){ .choices = "1" });
    char value[8];

    note_down("%s %s %s %s %s %s %s", word(played), word(paused), word(asked), word(chosen),
              word(tdm_answer(call)), word(tdm_get_var(call, "X", value, sizeof value)),
              word(tdm_hangup(call, 0)));
    note_down("ended %d", tdm_call_ended(call));
}

static void caller_goes_story(struct fake *f)
{
    size_t before = tdm_actor_count(f->rt);

    begin(f);
    fake_pass(f, 100);
    fake_end(f, FAKE_APP, "c1");
    fake_pass(f, 1);
    fake_diary_is(f, "play sound:long;EHANGUP EHANGUP EHANGUP EHANGUP EHANGUP EHANGUP 0;ended 1;source end;");
    fake_check(f, tdm_actor_count(f->rt) == before);
}

Test(call, when_the_caller_hangs_up_every_verb_says_so_at_once, .timeout = 60)
{
    run_desk(caller_goes, caller_goes_story);
}

static void stays(tdm_call *call)
{
    while (tdm_play(call, "sound:again") != TDM_ESTATE)
        continue;
}

static void stays_story(struct fake *f)
{
    size_t before = tdm_actor_count(f->rt);

    begin(f);
    fake_end(f, FAKE_APP, "c1");
    fake_pass(f, 1000);
    fake_check(f, tdm_actor_count(f->rt) == before + 1, "it has time to clean up");
    fake_pass(f, 5000);
    fake_check(f, tdm_actor_count(f->rt) == before, "but not for ever");
    fake_check(f, noted_times(f, "play") <= 1);
}

Test(call, an_app_that_does_not_return_after_the_end_is_ended, .timeout = 60)
{
    run_desk(stays, stays_story);
}

static void hangs_up_and_stays(tdm_call *call)
{
    tdm_hangup(call, 0);
    stays(call);
}

static void left_story(struct fake *f)
{
    size_t before = tdm_actor_count(f->rt);

    begin(f);
    fake_pass(f, 6000);
    fake_diary_is(f, "hangup 16;source end;");
    fake_check(f, tdm_actor_count(f->rt) == before);
}

Test(call, an_app_that_does_not_return_after_its_own_hangup_is_ended, .timeout = 60)
{
    run_desk(hangs_up_and_stays, left_story);
}

static void exits(tdm_call *call)
{
    const struct tdm_reason reason = { .kind = TDM_EXIT_NORMAL };

    tdm_answer(call);
    tdm_exit(tdm_call_self(call), &reason);
}

static void exits_story(struct fake *f)
{
    begin(f);
    fake_pass(f, 100);
    fake_diary_is(f, "answer;give_up desk c1;source end;");
    fake_check(f, tdm_source_calls(f->src) == 0);
}

Test(call, an_app_that_ends_its_actor_does_not_leave_the_caller_in_silence, .timeout = 60)
{
    run_desk(exits, exits_story);
}

static void sign_story(struct fake *f)
{
    begin(f);
    fake_pass(f, 10);
    fake_say(f, "gone");
    fake_pass(f, 1);
    fake_check(f, noted(f, "EHANGUP EHANGUP"));
    fake_check(f, tdm_source_calls(f->src) == 0);
    fake_check(f, fake_end(f, FAKE_APP, "c1") == TDM_ENOTFOUND, "its end comes late and harms nobody");
}

Test(call, a_sign_of_the_source_ends_the_call_as_well_as_the_end_event, .timeout = 60)
{
    run_desk(caller_goes, sign_story);
}

static void never_ends_story(struct fake *f)
{
    f->refuse = TDM_ECONN;
    begin(f);
    fake_pass(f, 1000);
    fake_diary_is(f, "answer;hangup 16;give_up desk c1;source end;");
    fake_check(f, tdm_source_calls(f->src) == 0);
}

Test(call, a_call_that_can_not_be_hung_up_is_left_to_the_source, .timeout = 60)
{
    run_desk(just_answer, never_ends_story);
}

/* ---- answers of the switch ------------------------------------------------------------------- */

static void refused(tdm_call *call)
{
    const char *said = word(tdm_answer(call));

    note_down("answer: %s, %s", said, tdm_call_error(call));
    said = word(tdm_hangup(call, 17));
    note_down("hangup: %s, ended %d", said, tdm_call_ended(call));
    fake->refuse = TDM_OK;
    said = word(tdm_hangup(call, 17));
    note_down("again: %s, ended %d", said, tdm_call_ended(call));
}

static void refused_story(struct fake *f)
{
    f->refuse = TDM_EREFUSED;
    begin(f);
    fake_pass(f, 100);
    fake_diary_is(
        f,
        "answer;answer: EREFUSED, no way;hangup 17;hangup: EREFUSED, ended 0;hangup 17;again: 0, ended 1;");
}

Test(call, a_refusal_is_told_in_the_words_of_the_switch_and_a_hangup_may_be_tried_again, .timeout = 60)
{
    run_desk(refused, refused_story);
}

static void unanswered(tdm_call *call)
{
    note_down("%s", word(tdm_answer(call)));
    tdm_hangup(call, 0);
}

static void unanswered_story(struct fake *f)
{
    f->silent = true;
    begin(f);
    fake_pass(f, 89000);
    fake_diary_is(f, "answer;");
    f->silent = false;
    fake_pass(f, 2000);
    fake_diary_is(f, "answer;ETIMEOUT;hangup 16;");
}

Test(call, a_switch_that_never_answers_is_not_waited_for_without_end, .timeout = 60)
{
    run_desk(unanswered, unanswered_story);
}

static void variables(tdm_call *call)
{
    char value[4] = "zzz";

    note_down("set %s", word(tdm_set_var(call, "A", "1")));
    note_down("get %s", tdm_get_var(call, "A", value, sizeof value) == 7 ? value : "?");
    note_down("no name %s", word(tdm_set_var(call, NULL, "1")));
}

static void variables_story(struct fake *f)
{
    begin(f);
    fake_pass(f, 100);
    fake_diary_is(f, "set A=1;set 0;get A;get a v;no name EINVAL;hangup 16;");
}

Test(call, variables_are_set_and_got_and_cut_to_the_room_there_is, .timeout = 60)
{
    run_desk(variables, variables_story);
}

static void unset(tdm_call *call)
{
    char value[8];

    note_down("%s", word(tdm_get_var(call, "A", value, sizeof value)));
}

static void unset_story(struct fake *f)
{
    f->silent = true;
    begin(f);
    fake_pass(f, 10);
    fake_say(f, "done");
    fake_pass(f, 10);
    fake_diary_is(f, "get A;ENOTFOUND;hangup 16;");
}

Test(call, an_unset_variable_is_not_found, .timeout = 60)
{
    run_desk(unset, unset_story);
}

static const struct tdm_source_ops hardly_anything = { .kind = "poor" };

static void unsupported(tdm_call *call)
{
    char value[8];
    const char *const list[] = { "x", NULL };

    note_down("%s %s %s %s", word(tdm_answer(call)), word(tdm_play(call, "x")),
              word(tdm_set_var(call, "A", "1")), word(tdm_get_var(call, "A", value, sizeof value)));
    note_down("%s %s %s", word(tdm_hand_back(call, NULL, NULL, 0)), word(tdm_move(call, "elsewhere", NULL)),
              word(tdm_gather(call, &(tdm_gather_opts){ .prompts = list }, NULL)));
    note_down("%s", word(tdm_hangup(call, 0)));
}

static void unsupported_story(struct fake *f)
{
    size_t before = tdm_actor_count(f->rt);

    begin(f);
    fake_pass(f, 100);
    fake_diary_is(f, "ENOTSUP ENOTSUP ENOTSUP ENOTSUP;ENOTSUP ENOTFOUND ENOTSUP;ENOTSUP;");
    fake_check(f, tdm_actor_count(f->rt) == before, "and the actor ends, having no way to hang up");
}

Test(call, what_a_source_can_not_do_is_said_so, .timeout = 60)
{
    fake_use_ops(&hardly_anything);
    run_desk(unsupported, unsupported_story);
}

/* ---- playing --------------------------------------------------------------------------------- */

static tdm_play_opts play_opts;

static void plays(tdm_call *call)
{
    char digit = '-';
    int result = tdm_play_list(call, &play_opts, &digit);

    note_down("%s %c", word(result), digit != 0 ? digit : '-');
    tdm_pause(call, 100000);
}

static const char *const two[] = { "sound:a", "sound:b", NULL };

static void list_story(struct fake *f)
{
    play_opts = (tdm_play_opts){ .media = two, .loop = 3 };
    f->play_ms = 20;
    begin(f);
    fake_pass(f, 1000);
    fake_diary_is(f, "play sound:a sound:b;play sound:a sound:b;play sound:a sound:b;0 -;");
}

Test(play, a_list_is_played_as_often_as_asked, .timeout = 60)
{
    run_desk(plays, list_story);
}

static void interrupt_story(struct fake *f)
{
    play_opts = (tdm_play_opts){ .media = two, .interrupt_on = "#5" };
    f->play_ms = 60000;
    begin(f);
    fake_pass(f, 10);
    fake_press(f, "1");
    fake_pass(f, 100);
    fake_diary_is(f, "play sound:a sound:b;");
    fake_press(f, "55");
    fake_pass(f, 1);
    fake_diary_is(f, "play sound:a sound:b;stop;");
    fake_pass(f, 100);
    fake_diary_is(f, "play sound:a sound:b;stop;1 5;");
}

Test(play, only_the_digits_asked_for_interrupt_and_the_first_is_told, .timeout = 60)
{
    run_desk(plays, interrupt_story);
}

static void failed_story(struct fake *f)
{
    play_opts = (tdm_play_opts){ .media = two, .loop = 5 };
    begin(f);
    fake_pass(f, 10);
    fake_say(f, "play_started");
    fake_say(f, "play_failed");
    fake_pass(f, 10);
    fake_diary_is(f, "play sound:a sound:b;2 -;");
}

Test(play, a_failed_playback_is_told_from_a_finished_one_and_not_repeated, .timeout = 60)
{
    run_desk(plays, failed_story);
}

static void no_start_story(struct fake *f)
{
    play_opts = (tdm_play_opts){ .media = two };
    begin(f);
    fake_pass(f, 1999);
    fake_diary_is(f, "play sound:a sound:b;");
    fake_pass(f, 10);
    fake_diary_is(f, "play sound:a sound:b;ask;");
    fake_pass(f, 2000);
    fake_diary_is(f, "play sound:a sound:b;ask;stop;3 -;");
}

Test(play, without_a_sign_of_the_start_the_switch_is_asked_and_then_given_up, .timeout = 60)
{
    run_desk(plays, no_start_story);
}

static void queued_story(struct fake *f)
{
    play_opts = (tdm_play_opts){ .media = two };
    f->asked_play = 1;
    begin(f);
    fake_pass(f, 30000);
    fake_diary_is(f, "play sound:a sound:b;ask;");
    fake_say(f, "play_finished");
    fake_pass(f, 10);
    fake_diary_is(f, "play sound:a sound:b;ask;0 -;");
}

Test(play, a_playback_the_switch_knows_of_is_waited_for, .timeout = 60)
{
    run_desk(plays, queued_story);
}

static void unknown_story(struct fake *f)
{
    play_opts = (tdm_play_opts){ .media = two };
    f->asked_play = 2;
    begin(f);
    fake_pass(f, 2100);
    fake_diary_is(f, "play sound:a sound:b;ask;2 -;");
}

Test(play, a_playback_the_switch_does_not_know_has_failed, .timeout = 60)
{
    run_desk(plays, unknown_story);
}

static void max_story(struct fake *f)
{
    play_opts = (tdm_play_opts){ .media = two, .max_ms = 5000 };
    begin(f);
    fake_pass(f, 10);
    fake_say(f, "play_started");
    fake_pass(f, 5000);
    fake_diary_is(f, "play sound:a sound:b;stop;");
    fake_pass(f, 2000);
    fake_diary_is(f, "play sound:a sound:b;stop;ask;");
    fake_pass(f, 2000);
    fake_diary_is(f, "play sound:a sound:b;stop;ask;3 -;");
}

Test(play, the_longest_time_stops_it_and_an_end_that_never_comes_is_not_waited_for, .timeout = 60)
{
    run_desk(plays, max_story);
}

static void nothing_story(struct fake *f)
{
    play_opts = (tdm_play_opts){ .media = NULL };
    begin(f);
    fake_pass(f, 10);
    fake_diary_is(f, "EINVAL -;");
}

Test(play, nothing_to_play_is_an_error, .timeout = 60)
{
    run_desk(plays, nothing_story);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static tdm_gather_opts first_question, second_question;

static void asks_twice(tdm_call *call)
{
    tdm_gather_result r = { .digits = "?" };
    int result = tdm_gather(call, &first_question, &r);

    note_down("first %s %s", word(result), r.digits);
    tdm_pause(call, 1000);
    r = (tdm_gather_result){ .digits = "?" };
    result = tdm_gather(call, &second_question, &r);
    note_down("second %s %s", word(result), r.digits);
    tdm_pause(call, 100000);
}

static void bargein_story(struct fake *f)
{
    first_question = (tdm_gather_opts){ .prompt = "sound:q", .max_digits = 3 };
    second_question = (tdm_gather_opts){ .prompt = "sound:r", .max_digits = 1 };
    f->play_ms = 10000;
    begin(f);
    fake_pass(f, 10);
    fake_press(f, "1234"); /* all before the prompt has stopped */
    fake_pass(f, 100);
    fake_diary_is(f, "play sound:q;stop;first 0 123;");
    fake_pass(f, 20000);
    fake_check(f, noted(f, "play sound:r;second 2 ;"), "the fourth digit did not leak");
}

Test(gather, the_digit_that_interrupts_counts_and_what_is_too_much_does_not_leak, .timeout = 60)
{
    run_desk(asks_twice, bargein_story);
}

static void type_ahead_story(struct fake *f)
{
    first_question = (tdm_gather_opts){ .max_digits = 1 };
    second_question = (tdm_gather_opts){ .prompt = "sound:r", .max_digits = 2, .type_ahead = true };
    begin(f);
    fake_pass(f, 10);
    fake_press(f, "12");
    fake_pass(f, 10);
    fake_press(f, "3");
    fake_pass(f, 2000);
    fake_diary_is(f, "first 0 1;second 0 23;");
}

Test(gather, a_question_with_type_ahead_takes_what_was_left_over_and_pressed_before, .timeout = 60)
{
    run_desk(asks_twice, type_ahead_story);
}

static void terminator_story(struct fake *f)
{
    first_question = (tdm_gather_opts){ .prompt = "sound:q" };
    second_question = (tdm_gather_opts){ .max_digits = 2, .type_ahead = true };
    f->play_ms = 50;
    begin(f);
    fake_pass(f, 100);
    fake_press(f, "77#");
    fake_pass(f, 1100);
    fake_press(f, "88");
    fake_pass(f, 10);
    fake_diary_is(f, "play sound:q;first 0 77;second 0 88;");
}

Test(gather, the_terminator_of_one_question_is_not_in_the_next, .timeout = 60)
{
    run_desk(asks_twice, terminator_story);
}

static void stop_kept_story(struct fake *f)
{
    first_question = (tdm_gather_opts){ .prompt = "sound:q", .max_digits = 3 };
    f->play_ms = 10000;
    begin(f);
    fake_pass(f, 10);
    fake_press(f, "1");
    fake_pass(f, 5); /* the prompt takes 10 ms to stop */
    fake_press(f, "2");
    fake_pass(f, 100);
    fake_press(f, "3");
    fake_pass(f, 10);
    fake_diary_is(f, "play sound:q;stop;first 0 123;");
}

Test(gather, digits_pressed_while_the_prompt_is_being_stopped_are_kept, .timeout = 60)
{
    run_desk(asks_twice, stop_kept_story);
}

static void bad_prompt_story(struct fake *f)
{
    first_question = (tdm_gather_opts){ .prompt = "sound:missing", .max_digits = 1 };
    begin(f);
    fake_pass(f, 10);
    fake_say(f, "play_failed");
    fake_press(f, "4");
    fake_pass(f, 10);
    fake_diary_is(f, "play sound:missing;first 0 4;");
}

Test(gather, a_prompt_that_can_not_be_played_is_no_reason_not_to_listen, .timeout = 60)
{
    run_desk(asks_twice, bad_prompt_story);
}

static void no_answer_story(struct fake *f)
{
    static const char *const valid[] = { "1", NULL };

    first_question = (tdm_gather_opts){ .prompt = "sound:q",
                                        .invalid_prompt = "sound:bad",
                                        .timeout_prompt = "sound:late",
                                        .valid = valid,
                                        .tries = 3 };
    f->play_ms = 100;
    begin(f);
    fake_pass(f, 200);
    fake_press(f, "9");
    fake_pass(f, 6000);
    fake_check(f, noted(f, "play sound:q;play sound:bad sound:q;play sound:late sound:q;"));
    fake_pass(f, 6000);
    fake_check(f, noted(f, "first 2 ;"));
}

Test(gather, a_wrong_and_a_missing_answer_are_told_and_asked_again, .timeout = 60)
{
    run_desk(asks_twice, no_answer_story);
}

static tdm_menu_opts menu_opts;

static void chooses(tdm_call *call)
{
    int choice = tdm_menu(call, &menu_opts);

    note_down("choice %d", choice);
    tdm_pause(call, 100000);
}

static void menu_story(struct fake *f)
{
    menu_opts = (tdm_menu_opts){ .prompt = "sound:m", .choices = "12#" };
    f->play_ms = 10000;
    begin(f);
    fake_pass(f, 10);
    fake_press(f, "9#");
    fake_pass(f, 100);
    fake_diary_is(f, "play sound:m;stop;choice 35;");
}

Test(menu, a_choice_is_the_digit_and_others_do_not_interrupt, .timeout = 60)
{
    run_desk(chooses, menu_story);
}

static void words_story(struct fake *f)
{
    static const char *const words[] = { "10", "20", "201", NULL };

    menu_opts = (tdm_menu_opts){ .words = words };
    begin(f);
    fake_pass(f, 10);
    fake_press(f, "20#");
    fake_pass(f, 100);
    fake_diary_is(f, "choice 2;");
}

Test(menu, of_several_digits_the_place_in_the_list_is_the_choice, .timeout = 60)
{
    run_desk(chooses, words_story);
}

static void menu_failure_story(struct fake *f)
{
    menu_opts = (tdm_menu_opts){ .prompt = "sound:m", .choices = "1", .first_ms = 100 };
    f->play_ms = 10;
    begin(f);
    fake_pass(f, 1000);
    fake_diary_is(f, "play sound:m;play sound:m;play sound:m;choice 0;");
}

Test(menu, after_three_tries_there_is_no_choice, .timeout = 60)
{
    run_desk(chooses, menu_failure_story);
}

static void bad_menu_story(struct fake *f)
{
    menu_opts = (tdm_menu_opts){ .prompt = "sound:m", .choices = "" };
    begin(f);
    fake_pass(f, 10);
    fake_diary_is(f, "choice -22;");
}

Test(menu, without_choices_it_is_an_error, .timeout = 60)
{
    run_desk(chooses, bad_menu_story);
}

/* ---- stop ------------------------------------------------------------------------------------ */

static void is_stopped(tdm_call *call)
{
    note_down("%s", word(tdm_play(call, "sound:long")));
    note_down("%s", word(tdm_pause(call, 1)));
}

static void stop_story(struct fake *f)
{
    begin(f);
    fake_pass(f, 100);
    tdm_runtime_stop(f->rt, 20000);
    fake_diary_is(f, "play sound:long;stop;ESTOP;ESTOP;hand_back - - 0;source end;");
}

Test(stop, a_call_whose_app_just_returns_is_handed_back, .timeout = 60)
{
    run_desk(is_stopped, stop_story);
}

static void stop_story_hangup(struct fake *f)
{
    begin(f);
    fake_pass(f, 100);
    tdm_runtime_stop(f->rt, 20000);
    fake_diary_is(f, "play sound:long;stop;ESTOP;ESTOP;hangup 16;source end;");
}

static struct tdm_source_ops no_hand_back;

Test(stop, where_it_can_not_be_handed_back_it_is_hung_up, .timeout = 60)
{
    no_hand_back = fake_ops;
    no_hand_back.hand_back = NULL;
    fake_use_ops(&no_hand_back);
    desk_does = is_stopped;
    fake_add_app(&desk);
    fake_run(stop_story_hangup, SEEDS);
}

/* ---- memory that runs out -------------------------------------------------------------------- */

static void everything(tdm_call *call)
{
    char value[16];
    tdm_event *event;

    tdm_answer(call);
    tdm_note_text(call, "a note");
    tdm_get_var(call, "A", value, sizeof value);
    tdm_gather(call, &(tdm_gather_opts){ .prompt = "sound:q", .max_digits = 2, .overall_ms = 1000 }, NULL);
    (void)tdm_next_event(call, TDM_MS(1), &event);
    tdm_menu(call, &(tdm_menu_opts){ .prompt = "sound:m", .choices = "12", .tries = 1, .first_ms = 10 });
    tdm_pause(call, 5);
}

static void one_failure(struct fake *f, uint64_t nth)
{
    size_t before = tdm_actor_count(f->rt);

    tdm_env_sim_fail_alloc(f->env, nth, false);
    if (fake_start(f, FAKE_APP, "c1") == TDM_OK) {
        fake_pass(f, 15);
        (void)fake_event(f, FAKE_APP, "channel", "c1", "{\"what\":\"digit\",\"digit\":\"1\"}");
        (void)fake_event(f, FAKE_APP, "channel", "c1", "{\"n\":\"an event\"}");
        fake_pass(f, 100000);
        while (fake_end(f, FAKE_APP, "c1") == TDM_ENOMEM)
            continue;
    }
    fake_pass(f, 100000);
    fake_check(f, tdm_source_calls(f->src) == 0, "no key is left");
    fake_check(f, tdm_actor_count(f->rt) == before, "no actor is left");
}

static void no_memory_story(struct fake *f)
{
    int64_t restarts = tdm_counter_by_name("tandem_calls_restarted_total");
    uint64_t nth = 0;

    f->play_ms = 20;
    tdm_env_sim_fail_alloc(f->env, 0, false);
    do {
        one_failure(f, ++nth);
        forget_notes(f);
    } while (tdm_env_sim_fail_alloc(f->env, 0, false) >= nth && nth < 2000);
    fake_check(f, nth > 20 && nth < 2000, "every allocation of a call has failed once");
    fake_check(f, tdm_counter_by_name("tandem_calls_restarted_total") == restarts,
               "and none of them was a crash");
}

Test(memory, each_allocation_of_a_call_fails_in_turn_and_nothing_is_left_behind, .timeout = 120)
{
    desk_does = everything;
    fake_add_app(&desk);
    fake_run(no_memory_story, 3);
}
