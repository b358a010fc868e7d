/* config_value.h - single values: text to number and back, fallbacks, what is allowed. */
#ifndef RUNTIME_CONFIG_VALUE_H
#define RUNTIME_CONFIG_VALUE_H
#include "tandem/config.h"

/* Read `text` as the field's type into *(member). TDM_OK; TDM_ECONFIG with the reason in `why` (printable,
 * without the text of a secret); TDM_ENOMEM. Not for lists, maps and structs. */
int config_value_set(const struct tdm_config_field *f, const char *text, void *member, char *why,
                     size_t why_bytes);

/* A text by itself: its length, its characters, the field's own check. NULL when good. */
const char *config_value_text_fault(const struct tdm_config_field *f, const char *text, char *why,
                                    size_t why_bytes);

/* What the field may hold, for people: "1 to 64", "100ms to 1h". Returns NULL when anything goes. */
const char *config_value_allowed(const struct tdm_config_field *f, char *buf, size_t bytes);

/* Does a field of this type have a second member, the number of entries? */
bool config_has_count(enum tdm_config_type type);

/* "a number", "a list of words" */
const char *config_value_kind(enum tdm_config_type type);

/* A number as the file would have it: 10s, 64k. */
const char *config_value_number(enum tdm_config_type type, int64_t n, char *buf, size_t bytes);

/* Fill a zeroed struct with its fallbacks. Errors: TDM_ENOMEM; TDM_EINVAL, a fallback is faulty. */
int config_value_defaults(const struct tdm_config_schema *schema, void *value);

#endif
