#include "ari/trail.h"
#include "ari_fixture.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

TestSuite(ari_trail, .timeout = 20);

static struct trail *trail_of(struct counted *mem)
{
    struct trail *t;

    counted_init(mem);
    cr_assert(eq(int, trail_new(&mem->env, 7, &t), TDM_OK));
    return t;
}

static const char *batch(struct trail *t)
{
    size_t bytes = 0;
    const char *text = trail_batch(t, &bytes);

    cr_assert(text == NULL || strlen(text) == bytes);
    return text != NULL ? text : "nothing";
}

static void release(struct trail *t, struct counted *mem)
{
    trail_free(t);
    cr_assert(eq(long, mem->out, 0));
}

Test(ari_trail, the_first_batch_announces_the_process_without_a_line)
{
    struct counted mem;
    struct trail *t = trail_of(&mem);

    cr_assert(eq(str, (char *)batch(t), "7 1 0\n"));
    trail_sent(t);
    cr_assert(eq(str, (char *)batch(t), "nothing"));
    release(t, &mem);
}

Test(ari_trail, a_batch_stays_the_same_until_it_was_sent)
{
    struct counted mem;
    struct trail *t = trail_of(&mem);

    trail_add(t, "e %s 1\n", "a");
    cr_assert(eq(str, (char *)batch(t), "7 1 0\ne a 1\n"));
    trail_add(t, "e %s 2\n", "a");
    cr_assert(eq(str, (char *)batch(t), "7 1 0\ne a 1\n"), "asked again");
    cr_assert(not(trail_sent(t)), "what waits is not full");
    cr_assert(eq(str, (char *)batch(t), "7 2 0\ne a 2\n"));
    release(t, &mem);
}

Test(ari_trail, lines_without_memory_are_counted_and_told)
{
    struct counted mem;
    struct trail *t = trail_of(&mem);

    mem.fail_at = mem.made + 1;
    trail_add(t, "e a 1\n");
    mem.fail_at = 0;
    trail_add(t, "e a 2\n");
    cr_assert(eq(str, (char *)batch(t), "7 1 1\ne a 2\n"));
    release(t, &mem);
}

Test(ari_trail, a_full_batch_has_the_next_behind_it_and_nothing_is_lost)
{
    struct counted mem;
    struct trail *t = trail_of(&mem);
    size_t lines = 0, batches = 0;

    for (int i = 0; i < 20000; i++)
        trail_add(t, "e a %d\n", i);
    for (const char *text; strcmp(text = batch(t), "nothing") != 0; trail_sent(t)) {
        batches++;
        for (const char *p = strchr(text, '\n') + 1; *p != '\0'; p = strchr(p, '\n') + 1)
            lines++;
    }
    cr_assert(eq(sz, lines, 20000));
    cr_assert(gt(sz, batches, 2));
    release(t, &mem);
}
