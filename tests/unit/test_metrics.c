/* Counters per thread, added up when read. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tandem/log.h"
#include "tandem/metrics.h"

TestSuite(metrics, .timeout = 60);

enum { THREADS = 8, EACH = 20000 };

static TDM_COUNTER(shared, "tandem_test_shared_total", "counted by many threads");
static TDM_COUNTER(level, "tandem_test_level", "goes up and down");
static TDM_HISTOGRAM(waits, "tandem_test_wait_seconds", "how long");

static void *count_many(void *arg)
{
    for (int i = 0; i < EACH; i++) {
        tdm_count(&shared, 1);
        tdm_count(&level, i % 2 == 0 ? 3 : -3);
    }
    return arg;
}

static void run_threads(int n, void *(*fn)(void *))
{
    pthread_t t[64];

    for (int i = 0; i < n; i++)
        cr_assert(zero(int, pthread_create(&t[i], NULL, fn, NULL)));
    for (int i = 0; i < n; i++)
        pthread_join(t[i], NULL);
}

Test(metrics, nothing_is_lost_when_many_threads_count_and_one_reads)
{
    pthread_t t[THREADS];
    int64_t last = 0;

    for (int i = 0; i < THREADS; i++)
        cr_assert(zero(int, pthread_create(&t[i], NULL, count_many, NULL)));
    while (last < THREADS * EACH / 2) { /* a sum read meanwhile never goes back */
        int64_t now = tdm_counter_value(&shared);
        cr_assert(now >= last);
        last = now;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    cr_expect(eq(i64, tdm_counter_value(&shared), THREADS * EACH));
    cr_expect(zero(i64, tdm_counter_value(&level)));
    cr_expect(eq(i64, tdm_counter_by_name("tandem_test_shared_total"), THREADS * EACH));
}

Test(metrics, what_ended_threads_counted_stays)
{
    for (int i = 0; i < 200; i++)
        run_threads(1, count_many);
    cr_expect(eq(i64, tdm_counter_value(&shared), 200ll * EACH));
}

Test(metrics, an_unknown_name_is_zero)
{
    cr_expect(zero(i64, tdm_counter_by_name("tandem_nobody_total")));
}

Test(metrics, two_objects_of_one_name_are_one_counter)
{
    static TDM_COUNTER(a, "tandem_test_twice_total", "here");
    static TDM_COUNTER(b, "tandem_test_twice_total", "and there");

    tdm_count(&a, 2);
    tdm_count(&b, 3);
    cr_expect(eq(i64, tdm_counter_value(&a), 5));
}

static char *text(void)
{
    size_t n = tdm_metrics_text(NULL, 0);
    char *buf = malloc(n + 1);

    cr_assert(eq(sz, tdm_metrics_text(buf, n + 1), n));
    cr_assert(eq(sz, strlen(buf), n));
    return buf;
}

Test(metrics, the_text_is_prometheus_and_sorted)
{
    static TDM_COUNTER(z, "tandem_test_z_total", "last\nline \\ two");
    static TDM_COUNTER(a, "tandem_test_a", "first");

    tdm_count(&z, 7);
    tdm_counter_show(&a);
    char *got = text();
    cr_expect(eq(str, got,
                 "# HELP tandem_test_a first\n"
                 "# TYPE tandem_test_a gauge\n"
                 "tandem_test_a 0\n"
                 "# HELP tandem_test_z_total last\\nline \\\\ two\n"
                 "# TYPE tandem_test_z_total counter\n"
                 "tandem_test_z_total 7\n"));
    free(got);
}

Test(metrics, counting_goes_on_after_the_text_has_sorted_the_table)
{
    static TDM_COUNTER(z, "tandem_test_z_total", "");
    static TDM_COUNTER(m, "tandem_test_m_total", "");
    static TDM_COUNTER(a, "tandem_test_a_total", "");

    tdm_count(&z, 1);
    tdm_count(&a, 10);
    free(text());
    tdm_count(&m, 100);
    tdm_count(&z, 1);
    free(text());
    cr_expect(eq(i64, tdm_counter_value(&z), 2));
    cr_expect(eq(i64, tdm_counter_value(&m), 100));
    cr_expect(eq(i64, tdm_counter_by_name("tandem_test_a_total"), 10));
}

Test(metrics, a_buffer_too_small_gets_what_fits_and_the_length_is_told)
{
    char small[10] = "untouched";

    tdm_count(&shared, 1);
    size_t n = tdm_metrics_text(small, sizeof small);
    cr_expect(gt(sz, n, sizeof small));
    cr_expect(eq(str, small, "# HELP ta"));
}

Test(metrics, times_fall_into_their_buckets)
{
    tdm_observe(&waits, 0);
    tdm_observe(&waits, 1000);                   /* 1 us: the first bucket still */
    tdm_observe(&waits, 1001);                   /* the second */
    tdm_observe(&waits, 3000000);                /* 3 ms */
    tdm_observe(&waits, 100ull * 1000000000ull); /* beyond all */
    cr_expect(eq(u64, tdm_histogram_count(&waits), 5));
    cr_expect(eq(u64, tdm_histogram_sum_ns(&waits), 100003002001ull));
    char *got = text();
    cr_expect(strstr(got, "# TYPE tandem_test_wait_seconds histogram\n") != NULL);
    cr_expect(strstr(got, "tandem_test_wait_seconds_bucket{le=\"0.000001000\"} 2\n") != NULL);
    cr_expect(strstr(got, "tandem_test_wait_seconds_bucket{le=\"0.000004000\"} 3\n") != NULL);
    cr_expect(strstr(got, "tandem_test_wait_seconds_bucket{le=\"0.001024000\"} 3\n") != NULL);
    cr_expect(strstr(got, "tandem_test_wait_seconds_bucket{le=\"0.004096000\"} 4\n") != NULL);
    cr_expect(strstr(got, "tandem_test_wait_seconds_bucket{le=\"67.108864000\"} 4\n") != NULL);
    cr_expect(strstr(got, "tandem_test_wait_seconds_bucket{le=\"+Inf\"} 5\n") != NULL);
    cr_expect(strstr(got, "tandem_test_wait_seconds_sum 100.003002001\n") != NULL);
    cr_expect(strstr(got, "tandem_test_wait_seconds_count 5\n") != NULL);
    free(got);
}

Test(metrics, more_counters_than_there_is_room_for_do_no_harm)
{
    static struct tdm_counter many[3000];
    static char names[3000][32];

    tdm_log_configure(&(struct tdm_log_cfg){ .level = TDM_LOG_OFF }); /* each refusal is logged */
    for (int i = 0; i < 3000; i++) {
        snprintf(names[i], sizeof names[i], "tandem_test_%d_total", i);
        many[i].name = names[i];
        tdm_count(&many[i], i);
        tdm_count(&many[i], 1);
    }
    cr_expect(eq(i64, tdm_counter_value(&many[1000]), 1001));
    cr_expect(zero(i64, tdm_counter_value(&many[2999])), "no room: not counted");
}
