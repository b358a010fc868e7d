#include "ari/census.h"
#include "ari_fixture.h"
#include "tandem/err.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

TestSuite(ari_census, .timeout = 20);

struct fixture {
    struct counted mem;
    struct census known, present, waiting;
    char told[1000]; /* "gap ivr/1;ended ivr/2;" */
};

static void open_fixture(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    counted_init(&f->mem);
    census_init(&f->known, &f->mem.env);
    census_init(&f->present, &f->mem.env);
    census_init(&f->waiting, &f->mem.env);
}

static struct census_entry *add(struct census *c, const char *app, const char *id)
{
    struct census_entry *e;

    cr_assert(eq(int, census_add(c, app, strlen(app), id, strlen(id), &e), TDM_OK));
    return e;
}

static void waits(struct fixture *f, const char *app, const char *id, bool starts)
{
    add(&f->waiting, app, id)->starts = starts;
}

static void tell(void *ctx, enum census_verdict verdict, const struct census_entry *e)
{
    static const char *const words[] = { "gap", "ended", "new" };
    struct fixture *f = ctx;
    const size_t used = strlen(f->told);

    snprintf(f->told + used, sizeof f->told - used, "%s %s/%s;", words[verdict], e->app, e->id);
}

static const char *compare(struct fixture *f, bool restarted)
{
    census_sort(&f->known);
    census_sort(&f->present);
    census_sort(&f->waiting);
    census_compare(&f->known, &f->present, &f->waiting, restarted, tell, f);
    census_fini(&f->known);
    census_fini(&f->present);
    census_fini(&f->waiting);
    cr_assert(eq(i64, f->mem.out, 0));
    return f->told;
}

Test(ari_census, known_and_present_is_told_of_the_gap_absent_is_ended_unknown_is_new)
{
    struct fixture f;

    open_fixture(&f);
    add(&f.known, "ivr", "stays");
    add(&f.known, "ivr", "went");
    add(&f.present, "ivr", "stays");
    add(&f.present, "ivr", "came");
    cr_assert(eq(str, (char *)compare(&f, false), "gap ivr/stays;ended ivr/went;new ivr/came;"));
}

Test(ari_census, the_same_id_in_two_apps_is_two_calls)
{
    struct fixture f;

    open_fixture(&f);
    add(&f.known, "router", "c");
    add(&f.present, "ivr", "c");
    cr_assert(eq(str, (char *)compare(&f, false), "ended router/c;new ivr/c;"));
}

Test(ari_census, whoever_is_about_to_start_is_not_adopted)
{
    struct fixture f;

    open_fixture(&f);
    add(&f.present, "ivr", "c");
    waits(&f, "ivr", "c", true);
    cr_assert(eq(str, (char *)compare(&f, false), ""));
}

Test(ari_census, whoever_is_about_to_end_is_neither_adopted_nor_ended_early)
{
    struct fixture f;

    open_fixture(&f);
    add(&f.present, "ivr", "unknown");
    add(&f.known, "ivr", "known");
    waits(&f, "ivr", "unknown", false);
    waits(&f, "ivr", "known", false);
    cr_assert(eq(str, (char *)compare(&f, false), "gap ivr/known;"));
}

Test(ari_census, a_known_call_whose_start_is_waiting_has_left_and_comes_in_anew)
{
    struct fixture f;

    open_fixture(&f);
    add(&f.known, "ivr", "c");
    add(&f.present, "ivr", "c");
    waits(&f, "ivr", "c", true);
    waits(&f, "ivr", "c", false);
    cr_assert(eq(str, (char *)compare(&f, false), "ended ivr/c;"), "the first of the waiting events counts");
}

Test(ari_census, nothing_known_survives_a_restart_of_the_server_though_an_id_is_there_again)
{
    struct fixture f;

    open_fixture(&f);
    add(&f.known, "ivr", "1");
    add(&f.known, "ivr", "2");
    add(&f.present, "ivr", "2");
    cr_assert(eq(str, (char *)compare(&f, true), "ended ivr/1;ended ivr/2;new ivr/2;"));
}

Test(ari_census, of_equal_entries_the_first_is_kept)
{
    struct fixture f;

    open_fixture(&f);
    for (int i = 0; i < 500; i++) {
        char id[8];

        snprintf(id, sizeof id, "%d", i % 50);
        add(&f.known, "ivr", id)->snapshot_bytes = (size_t)i;
    }
    census_sort(&f.known);
    cr_assert(eq(sz, f.known.n, 50));
    for (size_t i = 0; i < f.known.n; i++)
        cr_assert(lt(sz, f.known.entry[i].snapshot_bytes, 50));
    cr_assert(ne(ptr, census_find(&f.known, "ivr", "49"), NULL));
    cr_assert(eq(ptr, census_find(&f.known, "ivr", "50"), NULL));
    cr_assert(eq(ptr, census_find(&f.present, "ivr", "49"), NULL), "in an empty list");
    census_fini(&f.known);
}

Test(ari_census, texts_longer_than_a_chunk_and_many_of_them_are_kept_whole)
{
    struct fixture f;
    static char huge[100000];

    open_fixture(&f);
    memset(huge, 'x', sizeof huge - 1);
    add(&f.known, "a", huge);
    add(&f.known, "a", "small");
    census_sort(&f.known);
    cr_assert(ne(ptr, census_find(&f.known, "a", huge), NULL));
    cr_assert(ne(ptr, census_find(&f.known, "a", "small"), NULL));
    census_fini(&f.known);
    cr_assert(eq(i64, f.mem.out, 0));
}

Test(ari_census, every_failing_allocation_is_reported_and_leaks_nothing)
{
    for (uint64_t nth = 1; nth < 6; nth++) {
        struct fixture f;
        int err = TDM_OK;

        open_fixture(&f);
        f.mem.fail_at = nth;
        for (int i = 0; i < 200 && err == TDM_OK; i++)
            err = census_add(&f.known, "app", 3, "identifier", 10, NULL);
        cr_assert(err == TDM_ENOMEM || nth > 4);
        census_fini(&f.known);
        cr_assert(eq(i64, f.mem.out, 0));
    }
}
