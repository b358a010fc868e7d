/* test_dispatch.c - START, EVENT and END with a key, on a switch that only remembers. TANDEM_SEED=n runs
 * one seed. The numbers in names are those of the defects in the field notes. */
#include "fake_source.h"

#include <stdio.h>

#define SEEDS 40

static void (*desk_does)(tdm_call *call);

static void desk_run(tdm_call *call)
{
    desk_does(call);
}

static struct tdm_app desk = { .abi = TDM_APP_ABI, .name = FAKE_APP, .run = desk_run, .restarts = 2 };
static const struct tdm_app other = { .abi = TDM_APP_ABI, .name = "other", .run = desk_run };

static void run_desk(void (*does)(tdm_call *call), void (*story)(struct fake *f))
{
    desk_does = does;
    fake_add_app(&other);
    fake_add_app(&desk);
    fake_run(story, SEEDS);
}

static int64_t counted(const char *name)
{
    return tdm_counter_by_name(name);
}

static const char *text_of(tdm_event *event)
{
    const char *n = tdm_event_str(event, "n");

    return n != NULL ? n : tdm_event_type(event);
}

static void reads(tdm_call *call)
{
    tdm_event *event;

    note_down("%s starts", tdm_call_id(call));
    while (tdm_next_event(call, TDM_FOREVER, &event) == TDM_OK)
        note_down("%s %s", tdm_call_id(call), text_of(event));
}

static void crash(tdm_call *call)
{
    struct tdm_reason reason = { .kind = TDM_EXIT_ERROR, .code = TDM_EPROTO };

    tdm_exit(tdm_call_self(call), &reason);
}

/* ---- starts ---------------------------------------------------------------------------------- */

static void at_once_story(struct fake *f)
{
    fake_check(f, fake_start(f, FAKE_APP, "c1") == TDM_OK);
    fake_check(f, fake_event(f, FAKE_APP, "channel", "c1", "{\"n\":\"1\"}") == TDM_OK);
    fake_check(f, fake_event(f, FAKE_APP, "channel", "c1", "{\"n\":\"2\"}") == TDM_OK);
    fake_check(f, fake_end(f, FAKE_APP, "c1") == TDM_OK);
    fake_pass(f, 10);
    fake_diary_is(f, "c1 starts;c1 1;c1 2;c1 End;source end;");
    fake_check(f, tdm_source_calls(f->src) == 0);
}

Test(dispatch, what_comes_right_behind_the_start_finds_the_call, .timeout = 60)
{
    run_desk(reads, at_once_story);
}

static void twice_story(struct fake *f)
{
    int64_t before = counted("tandem_duplicate_starts_total");

    fake_check(f, fake_start(f, FAKE_APP, "c1") == TDM_OK);
    fake_check(f, fake_start(f, FAKE_APP, "c1") == TDM_EEXIST);
    fake_pass(f, 10);
    fake_diary_is(f, "c1 starts;c1 Start;");
    fake_check(f, counted("tandem_duplicate_starts_total") == before + 1 && tdm_source_calls(f->src) == 1);
}

Test(dispatch, a_second_start_of_a_live_call_makes_no_actor_and_reaches_the_first, .timeout = 60)
{
    run_desk(reads, twice_story);
}

static void two_story(struct fake *f)
{
    fake_check(f, fake_start(f, FAKE_APP, "c1") == TDM_OK && fake_start(f, FAKE_APP, "c2") == TDM_OK);
    fake_event(f, FAKE_APP, "channel", "c2", "{\"n\":\"two\"}");
    fake_event(f, FAKE_APP, "channel", "c1", "{\"n\":\"one\"}");
    fake_pass(f, 10);
    fake_check(f, noted(f, "c1 one;") && noted(f, "c2 two;") && !noted(f, "c1 two;") && !noted(f, "c2 one;"));
    fake_check(f, tdm_source_calls(f->src) == 2);
}

Test(dispatch, D15_two_calls_of_one_app_at_once_are_two_actors, .timeout = 60)
{
    run_desk(reads, two_story);
}

static void unknown_app_story(struct fake *f)
{
    int64_t before = counted("tandem_calls_refused_total");

    fake_check(f, fake_start(f, "nobody", "c1") == TDM_ENOTFOUND);
    fake_check(f, counted("tandem_calls_refused_total") == before + 1 && tdm_source_calls(f->src) == 0);
}

Test(dispatch, D8_a_start_makes_an_actor_or_a_counted_refusal, .timeout = 60)
{
    run_desk(reads, unknown_app_story);
}

static void long_id_story(struct fake *f)
{
    char id[TDM_CALL_ID_MAX + 2];

    memset(id, 'x', sizeof id);
    id[sizeof id - 1] = '\0';
    fake_check(f, fake_start(f, FAKE_APP, id) == TDM_ETOOBIG);
    fake_check(f, fake_event(f, FAKE_APP, "channel", id, "{}") == TDM_ETOOBIG);
    id[sizeof id - 2] = '\0';
    fake_check(f, fake_start(f, FAKE_APP, id) == TDM_OK);
    fake_check(f, fake_event(f, FAKE_APP, "channel", id, "{}") == TDM_OK);
}

Test(dispatch, an_id_beyond_the_limit_is_refused_and_one_at_the_limit_is_not, .timeout = 60)
{
    run_desk(reads, long_id_story);
}

static void zero_byte_story(struct fake *f)
{
    fake_check(f, tdm_source_call_start(f->src, FAKE_APP, 4, "c\0d", 3, "{}", 2, false) == TDM_EINVAL);
    fake_check(f, tdm_source_event(f->src, FAKE_APP, 4, "channel", "c\0d", 3, "{}", 2) == TDM_EINVAL);
    fake_check(f, tdm_source_calls(f->src) == 0);
}

Test(dispatch, an_id_with_a_zero_byte_is_no_id, .timeout = 60)
{
    run_desk(reads, zero_byte_story);
}

static void rush_story(struct fake *f)
{
    for (int n = 0; n < 5; n++) {
        fake_check(f, fake_start(f, FAKE_APP, "c1") == TDM_OK);
        if (n < 4)
            fake_check(f, fake_end(f, FAKE_APP, "c1") == TDM_OK);
    }
    fake_event(f, FAKE_APP, "channel", "c1", "{\"n\":\"last\"}");
    fake_pass(f, 100);
    fake_check(f, noted_times(f, "c1 starts;") == 5 && noted_times(f, "c1 last;") == 1);
    fake_check(f, noted_times(f, "source end;") == 4 && tdm_source_calls(f->src) == 1);
}

Test(dispatch, calls_of_one_id_in_a_rush_do_not_take_each_others_events, .timeout = 60)
{
    run_desk(reads, rush_story);
}

static void shutting_story(struct fake *f)
{
    tdm_runtime_stop(f->rt, 1000);
    fake_check(f, fake_start(f, FAKE_APP, "c1") < 0);
    fake_check(f, tdm_source_calls(f->src) == 0, "nothing is left of it");
}

Test(dispatch, when_the_supervisor_is_gone_a_start_fails_and_leaves_nothing, .timeout = 60)
{
    run_desk(reads, shutting_story);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void again_story(struct fake *f)
{
    int64_t late = counted("tandem_events_after_end_total"), stray = counted("tandem_events_unowned_total");

    fake_start(f, FAKE_APP, "c1");
    fake_pass(f, 10);
    fake_check(f, fake_end(f, FAKE_APP, "c1") == TDM_OK);
    fake_check(f, fake_event(f, FAKE_APP, "channel", "c1", "{\"n\":\"late\"}") == TDM_ENOTFOUND);
    fake_check(f, fake_end(f, FAKE_APP, "c1") == TDM_ENOTFOUND);
    fake_check(f, counted("tandem_events_after_end_total") == late + 2);
    fake_check(f, fake_event(f, FAKE_APP, "channel", "c9", "{\"n\":\"stray\"}") == TDM_ENOTFOUND);
    fake_check(f, counted("tandem_events_unowned_total") == stray + 1);
    fake_check(f, fake_start(f, FAKE_APP, "c1") == TDM_OK,
               "the id comes again before the first actor is done");
    fake_check(f, fake_event(f, FAKE_APP, "channel", "c1", "{\"n\":\"new\"}") == TDM_OK);
    fake_pass(f, 10);
    fake_check(f, noted_times(f, "c1 starts;") == 2 && noted_times(f, "c1 new;") == 1 && !noted(f, "late"));
    fake_check(f, tdm_source_calls(f->src) == 1, "the first actor's end did not take the second one's key");
}

Test(dispatch, after_the_end_late_events_are_counted_and_the_id_may_come_again, .timeout = 60)
{
    run_desk(reads, again_story);
}

static void moved_story(struct fake *f)
{
    fake_start(f, FAKE_APP, "c1");
    fake_start(f, "other", "c1"); /* the switch moved it, and tells the two ends in any order */
    fake_end(f, FAKE_APP, "c1");
    fake_check(f, fake_event(f, "other", "channel", "c1", "{\"n\":\"on\"}") == TDM_OK);
    fake_pass(f, 10);
    fake_check(f, noted(f, "c1 on;") && tdm_source_calls(f->src) == 1);
}

Test(dispatch, D2_the_end_in_one_app_does_not_end_the_call_in_another, .timeout = 60)
{
    run_desk(reads, moved_story);
}

static void returns(tdm_call *call)
{
    tdm_hangup(call, 0);
}

static void early_story(struct fake *f)
{
    int64_t late = counted("tandem_events_after_end_total"), started = counted("tandem_calls_started_total");

    fake_start(f, FAKE_APP, "c1");
    fake_pass(f, 10000);
    fake_check(f, tdm_source_calls(f->src) == 0, "the actor has ended, the switch has not said so yet");
    fake_check(f, fake_event(f, FAKE_APP, "channel", "c1", "{\"n\":\"late\"}") == TDM_ENOTFOUND);
    fake_check(f, fake_end(f, FAKE_APP, "c1") == TDM_ENOTFOUND);
    fake_check(f, counted("tandem_events_after_end_total") == late + 2);
    fake_pass(f, 10);
    fake_check(f, counted("tandem_calls_started_total") == started + 1, "no late event makes an actor anew");
}

Test(dispatch, the_end_of_a_call_whose_actor_ended_first_is_no_error, .timeout = 60)
{
    run_desk(returns, early_story);
}

static void crashes_on_event(tdm_call *call)
{
    tdm_event *event;

    note_down("life %u", tdm_call_restarts(call));
    while (tdm_next_event(call, TDM_FOREVER, &event) == TDM_OK)
        crash(call);
}

static void end_while_down_story(struct fake *f)
{
    size_t before = tdm_actor_count(f->rt);

    fake_start(f, FAKE_APP, "c1");
    fake_pass(f, 10);
    fake_event(f, FAKE_APP, "channel", "c1", "{\"n\":\"1\"}");
    fake_check(f, fake_end(f, FAKE_APP, "c1") == TDM_OK);
    fake_pass(f, 1000);
    fake_check(f, tdm_actor_count(f->rt) == before && tdm_source_calls(f->src) == 0);
    fake_check(f, noted_times(f, "life") <= 2);
    fake_check(f, !noted(f, "give_up"));
}

Test(dispatch, K3_a_call_that_ends_around_a_crash_leaves_nothing_behind, .timeout = 60)
{
    run_desk(crashes_on_event, end_while_down_story);
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static void flood_story(struct fake *f)
{
    int64_t refused = counted("tandem_events_refused_total");
    int err = TDM_OK, n = 0;

    fake_start(f, FAKE_APP, "c1");
    while (err == TDM_OK && n < 100000) {
        err = fake_event(f, FAKE_APP, "channel", "c1", "{\"n\":\"x\"}");
        n++;
    }
    if (err == TDM_OK)
        return; /* with this seed the call keeps up */
    fake_check(f, err == TDM_EFULL && counted("tandem_events_refused_total") == refused + 1);
    fake_check(f, fake_end(f, FAKE_APP, "c1") == TDM_OK, "the end gets in all the same");
    fake_pass(f, 100);
    fake_check(f, tdm_source_calls(f->src) == 0 && noted(f, "source end"));
}

static void sleeps_through(tdm_call *call)
{
    tdm_pause(call, 50);
    tdm_pause(call, 100000);
}

Test(dispatch, a_full_mailbox_refuses_events_and_never_the_end, .timeout = 60)
{
    desk.mailbox_limit = 8;
    run_desk(sleeps_through, flood_story);
}

/* ---- objects --------------------------------------------------------------------------------- */

static void owns(tdm_call *call)
{
    tdm_event *event;

    note_down("own %d %d", tdm_call_own(call, "playback", "p1"), tdm_call_own(call, "playback", "p1"));
    note_down("bridge %s", tdm_errname(tdm_call_own(call, "bridge", "p1")));
    while (tdm_next_event(call, TDM_FOREVER, &event) == TDM_OK) {
        note_down("%s %s", tdm_call_id(call), text_of(event));
        if (strcmp(text_of(event), "let go") == 0)
            tdm_call_let_go(call, "playback", "p1");
        if (strcmp(text_of(event), "crash") == 0)
            crash(call);
    }
}

static void own_story(struct fake *f)
{
    fake_start(f, FAKE_APP, "c1");
    fake_pass(f, 10);
    fake_check(f, fake_event(f, FAKE_APP, "playback", "p1", "{\"n\":\"a\"}") == TDM_OK);
    fake_check(f, fake_event(f, FAKE_APP, "bridge", "p1", "{\"n\":\"b\"}") == TDM_OK);
    fake_check(f, fake_event(f, FAKE_APP, "recording", "p1", "{\"n\":\"c\"}") == TDM_ENOTFOUND);
    fake_check(f, fake_event(f, "other", "playback", "p1", "{\"n\":\"d\"}") == TDM_ENOTFOUND);
    fake_event(f, FAKE_APP, "channel", "c1", "{\"n\":\"let go\"}");
    fake_pass(f, 10);
    fake_check(f, fake_event(f, FAKE_APP, "playback", "p1", "{\"n\":\"e\"}") == TDM_ENOTFOUND);
    fake_end(f, FAKE_APP, "c1");
    fake_pass(f, 10);
    fake_check(f, fake_event(f, FAKE_APP, "bridge", "p1", "{\"n\":\"f\"}") == TDM_ENOTFOUND);
    fake_check(f, noted(f, "own 0 0;") && noted(f, "c1 a;c1 b;c1 let go;c1 End;"));
}

Test(objects, events_of_what_a_call_made_come_to_it_until_its_end, .timeout = 60)
{
    run_desk(owns, own_story);
}

static void own_crash_story(struct fake *f)
{
    fake_start(f, FAKE_APP, "c1");
    fake_pass(f, 10);
    fake_event(f, FAKE_APP, "channel", "c1", "{\"n\":\"crash\"}");
    fake_check(f, fake_event(f, FAKE_APP, "playback", "p1", "{\"n\":\"over\"}") == TDM_OK);
    fake_pass(f, 10);
    fake_check(f, noted(f, "c1 crash;own 0 0;") && noted(f, "c1 over;"));
    fake_start(f, FAKE_APP, "c2");
    fake_pass(f, 10);
    fake_check(f, noted(f, "own -4007 -4007;"), "another call can not take it");
    fake_end(f, FAKE_APP, "c1");
    fake_pass(f, 10);
    fake_check(f, fake_event(f, FAKE_APP, "bridge", "p1", "{\"n\":\"f\"}") == TDM_ENOTFOUND);
}

Test(objects, they_outlive_a_crash_of_the_call_but_not_its_end, .timeout = 60)
{
    run_desk(owns, own_crash_story);
}

static void forgets_after_crash(tdm_call *call)
{
    if (tdm_call_restarts(call) == 0) {
        (void)tdm_call_own(call, "playback", "p1");
        crash(call);
    }
}

static void swept_story(struct fake *f)
{
    fake_start(f, FAKE_APP, "c1");
    fake_pass(f, 10);
    fake_check(f, fake_event(f, FAKE_APP, "playback", "p1", "{\"n\":\"a\"}") == TDM_OK, "still the call's");
    fake_end(f, FAKE_APP, "c1");
    fake_pass(f, 10);
    fake_check(f, fake_event(f, FAKE_APP, "playback", "p1", "{\"n\":\"b\"}") == TDM_ENOTFOUND);
}

Test(objects, what_a_lost_incarnation_made_goes_with_the_call, .timeout = 60)
{
    run_desk(forgets_after_crash, swept_story);
}

/* ---- live calls ------------------------------------------------------------------------------ */

static void list_one(void *ctx, const char *app, const char *id, tdm_place place)
{
    (void)ctx;
    note_down("live %s %s %d", app, id, place.id != 0);
}

static void sleeps(tdm_call *call)
{
    tdm_pause(call, 1000000);
}

static void list_story(struct fake *f)
{
    fake_start(f, FAKE_APP, "c1");
    fake_start(f, FAKE_APP, "c2");
    fake_start(f, "other", "c1");
    fake_end(f, FAKE_APP, "c2");
    fake_pass(f, 10);
    forget_notes(f);
    tdm_source_each_call(f->src, list_one, NULL);
    fake_check(f, noted_times(f, "live") == 2 && noted(f, "live desk c1 1;") && noted(f, "live other c1 1;"));
}

Test(dispatch, the_live_calls_are_listed_with_app_and_id, .timeout = 60)
{
    run_desk(sleeps, list_story);
}
