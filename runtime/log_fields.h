/* log_fields.h - one record made of fields, as a line of logfmt or of JSON. See log_fields.c. */
#ifndef RUNTIME_LOG_FIELDS_H
#define RUNTIME_LOG_FIELDS_H
#include "log_line.h"

struct log_fields {
    struct text_out o;
    enum tdm_log_format format;
    char *start, *field; /* of the line, of the field under way: what does not fit is taken back */
    char *end;
    const char *group; /* or NULL */
    const char *between;
    bool first; /* of a group or list */
    bool cut;
};

void log_fields_begin(struct log_fields *f, char *out, size_t bytes, enum tdm_log_format format,
                      const struct log_record *r);
size_t log_fields_end(struct log_fields *f);

void log_field_text(struct log_fields *f, const char *key, const char *text);
void log_field_word(struct log_fields *f, const char *key, const char *text);
void log_field_number(struct log_fields *f, const char *key, uint64_t n);

/* JSON: an object; logfmt: group_key=value. */
void log_group_begin(struct log_fields *f, const char *group);
void log_group_end(struct log_fields *f);

/* JSON: an array of texts; logfmt: one text with `between` between the items. */
void log_list_begin(struct log_fields *f, const char *key, const char *between);
void log_list_item(struct log_fields *f, const char *text);
void log_list_end(struct log_fields *f);

#endif
