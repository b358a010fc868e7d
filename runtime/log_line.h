/* log_line.h - from the parts of a record to one line of text. */
#ifndef RUNTIME_LOG_LINE_H
#define RUNTIME_LOG_LINE_H
#include "log_text.h"
#include "tandem/log.h"

#define LOG_FACTS_MAX 2048
#define LOG_LINE_MAX  3072

struct log_record {
    uint64_t wall_ns;
    enum tdm_log_level level;
    const char *event;
    bool has_actor;
    uint64_t pid;
    const char *tag;   /* or NULL */
    const char *facts; /* key=value key="two words" */
    size_t facts_bytes;
    bool cut; /* the facts were longer */
};

/* Write the record and a newline; returns the length, at most `bytes` (which is LOG_LINE_MAX). */
size_t log_line_make(char *out, size_t bytes, enum tdm_log_format format, const struct log_record *r);

/* What every record begins with: time, level, event, and whose it is. In JSON the object stays open. */
void log_line_begin(struct text_out *o, enum tdm_log_format format, const struct log_record *r);

#endif
