/* test_apps.c - the apps that come with Tandem, on a switch that only remembers. TANDEM_SEED=n runs one
 * seed. */
#include "fake_source.h"

#include "router.h"
#include "sanitizer.h"

#include <stdio.h>

#define SEEDS 20

extern const struct tdm_app tdm_app_hello, tdm_app_reception, tdm_app_crashy;

/* Under the name by which the stories ring it. */
static void ring(const struct tdm_app *app, void (*story)(struct fake *f), uint64_t seeds)
{
    struct tdm_app named = *app;

    named.name = FAKE_APP;
    fake_add_app(&named);
    fake_run(story, seeds);
}

static void begin(struct fake *f)
{
    f->play_ms = 100;
    fake_check(f, fake_start(f, FAKE_APP, "c1") == TDM_OK, "the call starts");
    fake_pass(f, 10);
}

/* ---- hello and reception --------------------------------------------------------------------- */

static void hello_story(struct fake *f)
{
    begin(f);
    fake_pass(f, 200);
    fake_diary_is(f, "answer;play sound:hello-world;hangup 16;");
}

Test(hello, answers_says_hello_and_hangs_up, .timeout = 60)
{
    ring(&tdm_app_hello, hello_story, SEEDS);
}

static void extension_story(struct fake *f)
{
    begin(f);
    fake_press(f, "2");
    fake_pass(f, 100);
    fake_press(f, "204#");
    fake_pass(f, 1000);
    fake_diary_is(f, "answer;play sound:main-menu;stop;play sound:vm-extension;stop;play digits:204;play "
                     "sound:vm-goodbye;hangup 16;");
}

Test(reception, says_the_extension_back, .timeout = 60)
{
    ring(&tdm_app_reception, extension_story, SEEDS);
}

static void operator_story(struct fake *f)
{
    begin(f);
    fake_press(f, "0");
    fake_pass(f, 1000);
    fake_diary_is(f, "answer;play sound:main-menu;stop;set TANDEM_CHOICE=operator;hand_back - - 0;");
}

Test(reception, hands_the_call_back_for_a_person, .timeout = 60)
{
    ring(&tdm_app_reception, operator_story, SEEDS);
}

static void no_choice_story(struct fake *f)
{
    begin(f);
    fake_pass(f, 60000);
    fake_check(f,
               noted_times(f, "play sound:main-menu;") == 3 && noted(f, "play sound:vm-goodbye;hangup 16;"));
}

Test(reception, gives_up_politely_after_three_tries, .timeout = 60)
{
    ring(&tdm_app_reception, no_choice_story, SEEDS);
}

/* ---- crashy ---------------------------------------------------------------------------------- */

static const char *key;

static void fault_story(struct fake *f)
{
    int64_t before = tdm_counter_by_name("tandem_calls_restarted_total");

    begin(f);
    fake_check(f, fake_start(f, FAKE_APP, "neighbour") == TDM_OK);
    fake_pass(f, 10);
    fake_press(f, key);
    fake_pass(f, 1000);
    fake_check(f, noted_times(f, "play sound:sorry;hangup 16;") == 1);
    fake_check(f, tdm_counter_by_name("tandem_calls_restarted_total") == before + 1);
    fake_end(f, FAKE_APP, "c1");
    fake_pass(f, 10);
    fake_check(f, tdm_source_calls(f->src) == 1, "the neighbour lives");
}

/* In an app: those of the tests themselves are compiled without. */
#define ITS_OWN_FAULT NOT_UNDER_ASAN("or UBSan ends the process at this fault of an app")

static void faulty(const char *digit)
{
    key = digit;
    ring(&tdm_app_crashy, fault_story, 5);
}

Test(crashy, goes_on_after_an_error, .timeout = 60)
{
    faulty("1");
}

Test(crashy, goes_on_after_a_failed_assertion, .timeout = 60)
{
    faulty("2");
}

Test(crashy, goes_on_after_a_null_write, .timeout = 60)
{
    SKIP_IF(ITS_OWN_FAULT);
    faulty("3");
}

Test(crashy, goes_on_after_a_stack_overflow, .timeout = 60)
{
    SKIP_IF(ITS_OWN_FAULT);
    faulty("4");
}

Test(crashy, goes_on_after_an_abort, .timeout = 60)
{
    SKIP_IF(ITS_OWN_FAULT);
    faulty("6");
}

Test(crashy, goes_on_after_a_division_by_zero, .timeout = 60)
{
    SKIP_IF(ITS_OWN_FAULT);
    faulty("7");
}

/* ---- the router ------------------------------------------------------------------------------ */

static const struct router_route routes[] = {
    { "_1XX", "nobody" }, { "_X.", "nobody" }, { "100", "hello" }, { "_10[0-4]", "nobody" }
};

static void route(const struct router_cfg *cfg, void (*story)(struct fake *f))
{
    fake_add_app(&tdm_app_hello);
    router_configure(cfg);
    ring(&tdm_app_router, story, SEEDS);
}

static void routed_story(struct fake *f)
{
    begin(f);
    fake_pass(f, 200);
    fake_diary_is(f, "answer;play sound:hello-world;hangup 16;");
    fake_check(f, fake_end(f, FAKE_APP, "c1") == TDM_OK, "under the key it came with");
}

Test(router, the_most_exact_route_takes_the_call, .timeout = 60)
{
    route(&(struct router_cfg){ .routes = routes, .n_routes = 4 }, routed_story);
}

static void handed_back_story(struct fake *f)
{
    begin(f);
    fake_pass(f, 100);
    fake_diary_is(f, "hand_back - - 0;");
}

Test(router, a_call_without_a_route_is_handed_back, .timeout = 60)
{
    route(&(struct router_cfg){ 0 }, handed_back_story);
}

static void hung_up_story(struct fake *f)
{
    begin(f);
    fake_pass(f, 100);
    fake_diary_is(f, "hangup 1;");
}

Test(router, or_hung_up_as_an_unallocated_number, .timeout = 60)
{
    route(&(struct router_cfg){ .unknown = ROUTER_HANGUP }, hung_up_story);
}

Test(router, or_given_to_a_default_app, .timeout = 60)
{
    route(&(struct router_cfg){ .unknown = ROUTER_APP, .app = "hello" }, routed_story);
}

static void missing_story(struct fake *f)
{
    f->refuse = TDM_ENOTFOUND;
    begin(f);
    f->refuse = TDM_OK;
    fake_pass(f, 100);
    fake_check(f, noted(f, "move nobody -;hand_back - - 0;"));
}

Test(router, an_app_that_is_nowhere_counts_as_no_route, .timeout = 60)
{
    route(&(struct router_cfg){ .routes = routes + 1, .n_routes = 1 }, missing_story);
}
