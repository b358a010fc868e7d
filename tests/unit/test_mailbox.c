/* Tests of runtime/mailbox.c: the word, its count, and many senders at once. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "mailbox.h"

static struct tdm_msg msgs[70000];

Test(mailbox, the_first_push_wakes_and_later_ones_do_not, .timeout = 10)
{
    struct mailbox box = { BOX_IDLE };

    cr_assert(eq(int, box_push(&box, &msgs[0], 10), BOX_WAKE));
    cr_assert(eq(int, box_push(&box, &msgs[1], 10), BOX_PUSHED));
}

Test(mailbox, takes_oldest_first_and_goes_idle_when_there_is_nothing, .timeout = 10)
{
    struct mailbox box = { BOX_IDLE };
    uint32_t count = 0;

    for (int i = 0; i < 5; i++)
        box_push(&box, &msgs[i], 10);
    struct tdm_msg *m = box_take(&box, 0, 0, &count);
    cr_assert(eq(u32, count, 5));
    for (int i = 0; i < 5; i++, m = m->next_)
        cr_assert(eq(ptr, m, &msgs[i]));
    cr_assert(eq(ptr, m, NULL));
    cr_assert(eq(ptr, box_take(&box, 5, 0, &count), NULL));
    cr_assert(eq(u64, atomic_load(&box.word), BOX_IDLE));
}

Test(mailbox, the_bound_counts_what_is_in_hand_until_it_is_released, .timeout = 10)
{
    struct mailbox box = { BOX_IDLE };
    uint32_t count;

    for (int i = 0; i < 4; i++)
        cr_assert(ne(int, box_push(&box, &msgs[i], 4), BOX_FULL));
    cr_assert(eq(int, box_push(&box, &msgs[4], 4), BOX_FULL));
    box_take(&box, 0, 0, &count);
    cr_assert(eq(int, box_push(&box, &msgs[4], 4), BOX_FULL));
    box_release(&box, 1);
    cr_assert(eq(int, box_push(&box, &msgs[4], 4), BOX_PUSHED));
    cr_assert(eq(int, box_push(&box, &msgs[5], BOX_UNBOUNDED), BOX_PUSHED));
}

Test(mailbox, a_closed_box_takes_nothing, .timeout = 10)
{
    struct mailbox box = { BOX_IDLE };

    box_push(&box, &msgs[0], 4);
    box_push(&box, &msgs[1], 4);
    struct tdm_msg *m = box_close(&box);
    cr_assert(eq(ptr, m, &msgs[0]));
    cr_assert(eq(ptr, m->next_, &msgs[1]));
    cr_assert(eq(int, box_push(&box, &msgs[2], 4), BOX_GONE));
    cr_assert(eq(int, box_rouse(&box), false));
}

Test(mailbox, rouse_schedules_once_and_only_from_idle, .timeout = 10)
{
    struct mailbox box = { BOX_IDLE };

    cr_assert(box_rouse(&box));
    cr_assert(not(box_rouse(&box)));
    cr_assert(eq(int, box_push(&box, &msgs[0], 4), BOX_PUSHED));
}

/* The count sticks at its maximum; while the reader puts it right senders may push, so it may come out too low. It
 * must neither wrap nor stick for ever: an idle box has room again. */
Test(mailbox, a_box_whose_count_was_stuck_has_room_again_when_it_is_idle, .timeout = 10)
{
    struct mailbox box = { BOX_IDLE };
    uint32_t count = 0;

    for (int i = 0; i < 66000; i++)
        cr_assert(ne(int, box_push(&box, &msgs[i], BOX_UNBOUNDED), BOX_FULL));
    cr_assert(eq(int, box_push(&box, &msgs[66000], 60000), BOX_FULL));
    box_take(&box, 0, 0, &count);
    cr_assert(eq(u32, count, 66000));
    cr_assert(eq(ptr, box_take(&box, 66000, 0, &count), NULL));
    cr_assert(eq(int, box_push(&box, &msgs[0], 10), BOX_WAKE));
}

Test(mailbox, a_count_that_came_out_too_low_does_not_wrap, .timeout = 10)
{
    struct mailbox box = { BOX_IDLE };
    uint32_t count;

    box_push(&box, &msgs[0], 10);
    box_take(&box, 0, 0, &count);
    box_release(&box, 5); /* more than it counts */
    cr_assert(eq(int, box_push(&box, &msgs[1], 1), BOX_PUSHED));
}

Test(mailbox, what_a_reader_keeps_still_counts_when_the_box_is_idle, .timeout = 10)
{
    struct mailbox box = { BOX_IDLE };
    uint32_t count;

    box_push(&box, &msgs[0], 2);
    box_push(&box, &msgs[1], 2);
    box_take(&box, 0, 0, &count);
    cr_assert(eq(ptr, box_take(&box, 1, 1, &count), NULL));
    cr_assert(eq(int, box_push(&box, &msgs[2], 2), BOX_WAKE));
    cr_assert(eq(int, box_push(&box, &msgs[3], 2), BOX_FULL));
}

/* ---- many senders ---------------------------------------------------------------------------- */

enum { SENDERS = 4, EACH = 20000 };

struct race {
    struct mailbox box;
    _Atomic int runnable; /* times that the box had to be scheduled */
    struct tdm_msg *all;
};

static struct race race;

static void *push_many(void *arg)
{
    size_t who = (size_t)arg;

    for (size_t i = 0; i < EACH; i++) {
        struct tdm_msg *m = &race.all[who * EACH + i];
        m->type = (uint32_t)who;
        m->ref = i;
        if (box_push(&race.box, m, BOX_UNBOUNDED) == BOX_WAKE)
            atomic_fetch_add(&race.runnable, 1);
    }
    return NULL;
}

Test(mailbox, many_senders_lose_nothing_and_each_keeps_its_order, .timeout = 60)
{
    pthread_t threads[SENDERS];
    uint64_t next[SENDERS] = { 0 };
    uint32_t total = 0, count, handled = 0;

    race.all = calloc(SENDERS * EACH, sizeof *race.all);
    cr_assert(ne(ptr, race.all, NULL));
    for (size_t i = 0; i < SENDERS; i++)
        cr_assert(eq(int, pthread_create(&threads[i], NULL, push_many, (void *)i), 0));
    while (total < SENDERS * EACH) {
        while (atomic_load(&race.runnable) == 0)
            sched_yield();
        cr_assert(eq(int, atomic_fetch_sub(&race.runnable, 1), 1)); /* scheduled once at a time */
        struct tdm_msg *m;
        while ((m = box_take(&race.box, handled, 0, &count)) != NULL)
            for (handled = count, total += count; m != NULL; m = m->next_)
                cr_assert(eq(u64, m->ref, next[m->type]++));
        handled = 0;
    }
    for (size_t i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    cr_assert(eq(u64, atomic_load(&race.box.word), BOX_IDLE));
    free(race.all);
}
