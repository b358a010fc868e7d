#include "ari/receipts.h"
#include "ari_fixture.h"
#include "tandem/event.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

TestSuite(ari_receipts, .timeout = 20);

struct fixture {
    struct counted mem;
    struct receipts *r;
};

static void open_fixture(struct fixture *f)
{
    counted_init(&f->mem);
    cr_assert(eq(int, receipts_new(&f->mem.env, &f->r), TDM_OK));
}

static tdm_event *numbered(int seq)
{
    char text[100];
    tdm_event *ev;

    snprintf(text, sizeof text, "{\"type\":\"X\",\"exchange\":{\"seq\":%d}}", seq);
    cr_assert(eq(int, tdm_event_parse(text, strlen(text), &ev), TDM_OK));
    return ev;
}

static void begin(struct fixture *f, const char *id, int seq, uint32_t restarts)
{
    tdm_event *ev = numbered(seq);

    receipts_begin(f->r, "ivr", id, ev, restarts);
    tdm_event_free(ev);
}

static void take(struct fixture *f, const char *id, int seq)
{
    tdm_event *ev = numbered(seq);

    receipts_event(f->r, "ivr", id, ev);
    tdm_event_free(ev);
}

static char *end(struct fixture *f, const char *id)
{
    static char text[RECEIPT_BYTES];

    text[0] = '\0';
    receipts_end(f->r, "ivr", id, text, sizeof text);
    return text;
}

static void close_fixture(struct fixture *f)
{
    receipts_free(f->r);
    cr_assert(eq(i64, f->mem.out, 0));
}

Test(ari_receipts, what_came_in_order_is_delivered_and_nothing_else)
{
    struct fixture f;

    open_fixture(&f);
    begin(&f, "c", 1, 0);
    take(&f, "c", 2);
    take(&f, "c", 3);
    cr_assert(eq(str, end(&f, "c"),
                 "{\"receipt\":\"c\",\"delivered\":3,\"lost\":0,\"out_of_order\":0,\"started\":1,\"ended\":1,"
                 "\"restarted\":0}"));
    cr_assert(eq(str, end(&f, "c"), ""), "a call is told once");
    close_fixture(&f);
}

Test(ari_receipts, gaps_and_steps_back_are_counted_per_call)
{
    struct fixture f;

    open_fixture(&f);
    begin(&f, "a", 1, 0);
    begin(&f, "b", 2, 0);
    take(&f, "a", 5);
    take(&f, "a", 4);
    take(&f, "b", 3);
    cr_assert(ne(ptr, strstr(end(&f, "a"), "\"delivered\":3,\"lost\":3,\"out_of_order\":1"), NULL));
    cr_assert(ne(ptr, strstr(end(&f, "b"), "\"delivered\":2,\"lost\":1,\"out_of_order\":0"), NULL));
    close_fixture(&f);
}

Test(ari_receipts, the_count_outlives_the_actor_and_a_start_is_counted_once)
{
    struct fixture f;

    open_fixture(&f);
    begin(&f, "c", 1, 0);
    take(&f, "c", 2);
    begin(&f, "c", 1, 1);
    take(&f, "c", 3);
    begin(&f, "c", 1, 2);
    take(&f, "c", 4);
    cr_assert(ne(ptr, strstr(end(&f, "c"), "\"delivered\":4,\"lost\":0,\"out_of_order\":0"), NULL));
    close_fixture(&f);
}

Test(ari_receipts, events_without_a_number_and_calls_nobody_began_are_nothing)
{
    struct fixture f;

    open_fixture(&f);
    take(&f, "stranger", 7);
    cr_assert(eq(str, end(&f, "stranger"), ""));
    begin(&f, "c", 0, 0);
    take(&f, "c", -5);
    cr_assert(ne(ptr, strstr(end(&f, "c"), "\"delivered\":0,\"lost\":0"), NULL));
    begin(&f, "left", 1, 0);
    close_fixture(&f); /* what is left goes with it */
}
