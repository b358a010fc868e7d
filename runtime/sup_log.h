/* sup_log.h - what is logged of a supervisor's children. See sup_log.c. */
#ifndef RUNTIME_SUP_LOG_H
#define RUNTIME_SUP_LOG_H
#include "family.h"

/* Is this how a child of this spec is expected to end when it is stopped? NULL: not known, so not. */
bool sup_clean_stop(const struct tdm_child_spec *spec, const struct tdm_reason *reason);

void sup_log_started(const struct child *c);
/* supervisor.child_terminated or supervisor.start_error. */
void sup_log_ended(const struct child *c, const char *event, const struct tdm_reason *reason);
/* A start that failed before there was a child. */
void sup_log_no_start(const struct family *f, const struct tdm_child_spec *spec, int err);
/* supervisor.shutdown_error of so many children, unless the reason is clean. */
void sup_log_stop(const struct family *f, const struct tdm_child_spec *spec, tdm_pid pid,
                  const struct tdm_reason *reason, uint32_t children);
void sup_log_limit(const struct child *c, uint32_t intensity, uint32_t period_ms, const char *scope);

#endif
