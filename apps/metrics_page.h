/* metrics_page.h - the counters over HTTP. See metrics_page.c. */
#ifndef APPS_METRICS_PAGE_H
#define APPS_METRICS_PAGE_H
struct metrics_page;
struct tdm_runtime;

/* Listen on "127.0.0.1:9464". A fault is logged with what to do. */
int metrics_page_start(struct metrics_page **ret, struct tdm_runtime *rt, const char *listen);
/* When its actor has ended. NULL is fine. */
void metrics_page_stop(struct metrics_page *p);

#endif
