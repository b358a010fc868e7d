/* log.h - what the runtime itself needs of the logger; the rest is <tandem/log.h>. */
#ifndef RUNTIME_LOG_H
#define RUNTIME_LOG_H
#include "log_line.h"
#include "tandem/log.h"

/* Have `fn` asked, for each record, which actor runs on this thread: true and both results, or false.
 * The tag is read before the call returns; it may be NULL. Set once, by the runtime. */
void log_set_actor_context(bool (*fn)(uint64_t *pid, const char **tag));

/* Have `fn` tell the time since 1970 instead of the system's clock; NULL for the system's. */
void log_set_clock(uint64_t (*fn)(void));

/* For records that are more than facts (log_fields.h): how lines are to look now, what a record begins with, and the way
 * of a finished line, newline included, into the log. A block of several lines goes to a terminal only. */
enum log_shape { LOG_SHAPE_LINE, LOG_SHAPE_BLOCK, LOG_SHAPE_COLOUR };
enum log_shape log_shape(enum tdm_log_format *format);
void log_record_begin(struct log_record *r, enum tdm_log_level level, const char *event);
void log_put(const char *line, size_t bytes);

/* For a process that is about to end because of a fault: write what is in the buffer, as far as that goes
 * within a tenth of a second, then `text` as a line of its own. Safe in a signal handler. */
void log_emergency(const char *text);

#endif
