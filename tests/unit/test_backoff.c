#include "backoff.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

TestSuite(backoff, .timeout = 20);

Test(backoff, each_delay_lies_in_the_upper_half_of_a_doubling_limit)
{
    struct backoff b = { .min_ms = 100, .max_ms = 1000 };
    static const uint32_t tops[] = { 100, 200, 400, 800, 1000, 1000, 1000 };

    for (size_t i = 0; i < sizeof tops / sizeof tops[0]; i++) {
        const uint32_t wait = backoff_next(&b, 0x9E3779B97F4A7C15u * (i + 1));

        cr_assert(ge(u32, wait, tops[i] / 2));
        cr_assert(le(u32, wait, tops[i]));
    }
}

Test(backoff, both_ends_of_the_range_are_reached)
{
    struct backoff low = { .min_ms = 100, .max_ms = 1000 }, high = low;

    cr_assert(eq(u32, backoff_next(&low, 0), 50));
    cr_assert(eq(u32, backoff_next(&high, 50), 100));
}

Test(backoff, it_never_ends_and_never_overflows)
{
    struct backoff b = { .min_ms = 500, .max_ms = 8000 };

    for (int i = 0; i < 200; i++)
        cr_assert(le(u32, backoff_next(&b, UINT64_MAX - (uint64_t)i), 8000));
    cr_assert(eq(u32, b.tries, 200));
    b.tries = UINT32_MAX;
    cr_assert(ge(u32, backoff_next(&b, 1), 4000));
    cr_assert(eq(u32, b.tries, UINT32_MAX));
}

Test(backoff, after_a_success_it_begins_anew)
{
    struct backoff b = { .min_ms = 100, .max_ms = 1000 };

    for (int i = 0; i < 10; i++)
        backoff_next(&b, 7);
    backoff_reset(&b);
    cr_assert(le(u32, backoff_next(&b, UINT64_MAX), 100));
}

Test(backoff, a_zero_configuration_still_waits)
{
    struct backoff b = { 0 };

    cr_assert(eq(u32, backoff_next(&b, 12345), 1));
}
