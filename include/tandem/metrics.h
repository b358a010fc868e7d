/* metrics.h - counters, gauges and times, added up when read.
 *
 * A counter is a static object; adding to it touches only memory of the thread that adds. Names follow
 * Prometheus: what only grows is tandem_<what>_total and is shown as a counter, other names are gauges,
 * to which one adds and from which one takes away. A name may go
 * on with labels, name{key="value"}, in a fixed order. Several objects of one name are one counter. A process
 * has one set of them, however many runtimes it has. */
#ifndef TANDEM_METRICS_H
#define TANDEM_METRICS_H
#include <stddef.h>
#include <stdint.h>

struct tdm_counter {
    const char *name; /* "tandem_dead_letters_total" */
    const char *help;
    _Atomic int id; /* 0 until first used */
};
/* The list that the second line adds to lets a runtime show the library's counters before anything is counted. */
#define TDM_COUNTER(var, name_, help_)                             \
    struct tdm_counter var = { .name = (name_), .help = (help_) }; \
    static struct tdm_counter *const var##_listed __attribute__((section("tdm_counters"), used)) = &var

/* Threads: any; no lock, no shared cache line after the first use. n may be negative (a gauge). */
void tdm_count(struct tdm_counter *c, int64_t n);

/* Have the counter shown, with 0, before anything is counted. */
void tdm_counter_show(struct tdm_counter *c);

/* The sum over all threads, now; threads that have ended included. */
int64_t tdm_counter_value(struct tdm_counter *c);
int64_t tdm_counter_by_name(const char *name); /* 0 when unknown */

/* How long something takes: counts in fixed buckets from 1 us to 67 s, each four times the one before.
 * The name ends in _seconds. */
struct tdm_histogram {
    const char *name; /* "tandem_ari_request_seconds" */
    const char *help;
    _Atomic int id;
};
#define TDM_HISTOGRAM(var, name_, help_) struct tdm_histogram var = { .name = (name_), .help = (help_) }

/* Threads: any; as cheap as three tdm_count(). */
void tdm_observe(struct tdm_histogram *h, uint64_t ns);

/* How many times were observed, and their sum. */
uint64_t tdm_histogram_count(struct tdm_histogram *h);
uint64_t tdm_histogram_sum_ns(struct tdm_histogram *h);

/* Everything as Prometheus text (version 0.0.4), sorted by name. Returns the length needed, like
 * snprintf; `buf` may be NULL when `bytes` is 0. */
size_t tdm_metrics_text(char *buf, size_t bytes);

#endif
