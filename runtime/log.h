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

/* One record, written by the calling thread itself: for a process that must have no other. A log that takes nothing for
 * a fifth of a second loses it. Not with a sink. */
void log_direct(enum tdm_log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* For a process that is about to end because of a fault: write what is in the buffer, as far as that goes
 * within a tenth of a second, then `text` as a line of its own. Safe in a signal handler. */
void log_emergency(const char *text);

#endif
