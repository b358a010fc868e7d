#include "ari/census.h"
#include "ari/json.h"
#include "ari/resync.h"
#include "ari_fixture.h"
#include "tandem/err.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

TestSuite(ari_resync, .timeout = 20);

/* ---- synthetic events ------------------------------------------------------------------------ */

static json_t *event(const char *type, const char *app, const char *id, const char *snapshot,
                     const char *mark)
{
    struct counted mem;
    struct ari_json j;

    counted_init(&mem);
    ari_json_init(&j, &mem.env);
    resync_event(&j, type, app, id, snapshot, snapshot != NULL ? strlen(snapshot) : 0, mark);

    json_t *tree = json_loadb(j.at, j.bytes, 0, NULL);

    cr_assert(ne(ptr, tree, NULL), "%s", j.at);
    ari_json_fini(&j);
    cr_assert(eq(i64, mem.out, 0));
    cr_assert(eq(str, (char *)json_string_value(json_object_get(tree, "type")), (char *)type));
    cr_assert(eq(str, (char *)json_string_value(json_object_get(tree, "application")), (char *)app));
    cr_assert(eq(str, (char *)json_string_value(json_object_get(tree, "tandem")), (char *)mark));
    return tree;
}

static void args_are(const char *app, const char *app_data, const char *expected)
{
    char snapshot[300];

    snprintf(snapshot, sizeof snapshot,
             "{\"id\":\"1.2\",\"dialplan\":{\"app_name\":\"Stasis\",\"app_data\":\"%s\"}}", app_data);

    json_t *tree = event("StasisStart", app, "1.2", snapshot, "adopted");
    char *args = json_dumps(json_object_get(tree, "args"), JSON_COMPACT);

    cr_assert(eq(str, args, (char *)expected));
    cr_assert(
        eq(str, (char *)json_string_value(json_object_get(json_object_get(tree, "channel"), "id")), "1.2"));
    free(args);
    json_decref(tree);
}

Test(ari_resync, an_adopted_call_has_the_arguments_of_its_dialplan_line_if_that_names_its_app)
{
    args_are("ivr", "ivr,inbound,main-menu", "[\"inbound\",\"main-menu\"]");
    args_are("ivr", "ivr", "[]");
    args_are("ivr", "ivr,", "[\"\"]");
    args_are("ivr", "ivr,a,,b", "[\"a\",\"\",\"b\"]");
    args_are("ivr", "router,x", "[]");
    args_are("ivr", "ivr2,x", "[]");
    args_are("ivr", "", "[]");
    args_are("a,b", "a,b,c", "[\"c\"]");
}

Test(ari_resync, an_end_that_nobody_saw_names_the_channel_whatever_its_id)
{
    json_t *tree = event("StasisEnd", "ivr", "odd \"id\"\\;/\x01", NULL, "resync");

    cr_assert(eq(str, (char *)json_string_value(json_object_get(json_object_get(tree, "channel"), "id")),
                 "odd \"id\"\\;/\x01"));
    cr_assert(eq(ptr, json_object_get(tree, "args"), NULL));
    json_decref(tree);
}

/* ---- what the server says -------------------------------------------------------------------- */

#define CHANNEL(id, name, data)                                                                              \
    "{\"id\":\"" id "\",\"state\":\"Up\",\"dialplan\":{\"app_name\":\"" name "\",\"app_data\":\"" data "\"}" \
    "}"

struct fixture {
    struct counted mem;
    struct census listed, known, present;
    char told[500];
};

static void open_fixture(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    counted_init(&f->mem);
    census_init(&f->listed, &f->mem.env);
    census_init(&f->known, &f->mem.env);
    census_init(&f->present, &f->mem.env);
}

static void close_fixture(struct fixture *f)
{
    census_fini(&f->listed);
    census_fini(&f->known);
    census_fini(&f->present);
    cr_assert(eq(i64, f->mem.out, 0));
}

static int list(struct fixture *f, const char *app, const char *json)
{
    return resync_listed(&f->listed, app, json, strlen(json));
}

static char *present(struct fixture *f, const char *json)
{
    census_sort(&f->known);
    cr_assert(eq(int, resync_present(&f->present, &f->listed, &f->known, json, strlen(json)), TDM_OK));
    for (size_t i = 0; i < f->present.n; i++) {
        const size_t used = strlen(f->told);

        snprintf(f->told + used, sizeof f->told - used, "%s/%s;", f->present.entry[i].app,
                 f->present.entry[i].id);
        cr_assert(eq(int, f->present.entry[i].snapshot[0], '{'));
    }
    return f->told;
}

Test(ari_resync, a_channel_is_present_when_its_app_lists_it_and_it_is_in_stasis)
{
    struct fixture f;

    open_fixture(&f);
    cr_assert(eq(int,
                 list(&f, "ivr", "{\"name\":\"ivr\",\"channel_ids\":[\"1\",\"2\",\"3\",\"4\",\"6\\u002f\"]}"),
                 TDM_OK));
    cr_assert(eq(
        str,
        present(&f, "[" CHANNEL("1", "Stasis", "ivr") "," CHANNEL("2", "Playback", "hello") "," CHANNEL(
                        "3", "StasisBroadcast",
                        "1000") "," CHANNEL("5", "Stasis", "other") "," CHANNEL("6/", "Stasis", "ivr,a") "]"),
        "ivr/1;ivr/3;ivr/6/;"));
    close_fixture(&f);
}

Test(ari_resync, a_moved_channel_belongs_to_the_app_that_lists_it_not_to_the_one_it_entered_first)
{
    struct fixture f;

    open_fixture(&f);
    list(&f, "router", "{\"channel_ids\":[]}");
    list(&f, "ivr", "{\"channel_ids\":[\"1\"]}");
    cr_assert(eq(str, present(&f, "[" CHANNEL("1", "Stasis", "router,x") "]"), "ivr/1;"));
    close_fixture(&f);
}

Test(ari_resync, of_two_apps_that_list_a_channel_the_one_that_knows_it_has_it_else_the_one_it_entered)
{
    struct fixture f;

    open_fixture(&f);
    list(&f, "a", "{\"channel_ids\":[\"1\",\"2\"]}");
    list(&f, "b", "{\"channel_ids\":[\"1\",\"2\"]}");
    census_add(&f.known, "a", 1, "1", 1, NULL);
    cr_assert(eq(str, present(&f, "[" CHANNEL("1", "Stasis", "b") "," CHANNEL("2", "Stasis", "b,x") "]"),
                 "a/1;b/2;"));
    close_fixture(&f);
}

Test(ari_resync, servers_that_do_not_say_what_a_channel_does_are_believed_by_the_list_alone)
{
    struct fixture f;

    open_fixture(&f);
    list(&f, "ivr", "{\"channel_ids\":[\"1\"]}");
    cr_assert(eq(str, present(&f, "[{\"id\":\"1\",\"dialplan\":{\"context\":\"c\"}}]"), "ivr/1;"));
    close_fixture(&f);
}

Test(ari_resync, an_answer_of_another_form_is_an_error_and_not_an_empty_list)
{
    static const char *const bad[] = {
        "", "[", "{}", "[1]", "{\"channel_ids\":{}}", "{\"channel_ids\":\"1\"}", "null"
    };
    struct fixture f;

    open_fixture(&f);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert(eq(int, list(&f, "ivr", bad[i]), TDM_EPROTO), "%s", bad[i]);
    cr_assert(eq(int, list(&f, "ivr", "{\"channel_ids\":[1,null,[\"x\"],\"\"]}"), TDM_OK));
    cr_assert(eq(sz, f.listed.n, 0), "what is not an id is no channel");
    for (size_t i = 0; i < 3; i++)
        cr_assert(
            eq(int, resync_present(&f.present, &f.listed, &f.known, bad[i], strlen(bad[i])), TDM_EPROTO));
    close_fixture(&f);
}

Test(ari_resync, every_failing_allocation_is_reported_and_leaks_nothing)
{
    for (uint64_t nth = 1; nth < 12; nth++) {
        static const char channels[] =
            "[" CHANNEL("1", "Stasis", "ivr") "," CHANNEL("2", "Stasis", "ivr") "]";
        struct fixture f;
        int err;

        open_fixture(&f);
        f.mem.fail_at = nth;
        err = list(&f, "ivr", "{\"channel_ids\":[\"1\",\"2\"]}");
        if (err == TDM_OK)
            err = resync_present(&f.present, &f.listed, &f.known, channels, sizeof channels - 1);
        cr_assert(err == TDM_ENOMEM || (err == TDM_OK && f.mem.made < nth), "allocation %d", (int)nth);
        close_fixture(&f);
    }
}
