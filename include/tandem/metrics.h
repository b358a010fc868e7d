/* metrics.h - counters and gauges, added up when read.
 *
 * A counter is a static object; adding to it touches only memory of the thread that adds. Names follow
 * Prometheus: tandem_<what>_total. */
#ifndef TANDEM_METRICS_H
#define TANDEM_METRICS_H
#include <stddef.h>
#include <stdint.h>

struct tdm_counter {
    const char *name; /* "tandem_dead_letters_total" */
    const char *help;
    _Atomic int id;   /* 0 until first used */
};
#define TDM_COUNTER(var, name_, help_) struct tdm_counter var = { .name = (name_), .help = (help_) }

/* Threads: any; no lock, no shared cache line after the first use. n may be negative (a gauge). */
void tdm_count(struct tdm_counter *c, int64_t n);

/* The sum over all threads, now. */
int64_t tdm_counter_value(struct tdm_counter *c);
int64_t tdm_counter_by_name(const char *name); /* 0 when unknown */

/* All counters as Prometheus text (version 0.0.4). Returns the length needed, like snprintf. */
size_t tdm_metrics_text(char *buf, size_t bytes);

#endif
