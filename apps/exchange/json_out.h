/* json_out.h - text that grows, and JSON written into it.
 *
 * A text remembers that memory ran out; writing goes on without effect and the end is checked once.
 * Commas are put by looking at the last byte, so members can be written in any nesting. */
#ifndef APPS_EXCHANGE_JSON_OUT_H
#define APPS_EXCHANGE_JSON_OUT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tdm_env;

struct ex_text {
    struct tdm_env *env;
    char *at; /* ends in a NUL when bytes > 0 */
    size_t bytes, room;
    bool failed;
};

void ex_text_init(struct ex_text *t, struct tdm_env *env);
void ex_text_fini(struct ex_text *t);
void ex_text_clear(struct ex_text *t); /* empty, and not failed */
void ex_text_add(struct ex_text *t, const char *bytes, size_t n);
void ex_text_puts(struct ex_text *t, const char *text);
void ex_text_quoted(struct ex_text *t, const char *value); /* a JSON string */

/* In an object give the member's name; in an array, or at the start, NULL. */
void ex_json_open(struct ex_text *t, const char *name, char bracket);
void ex_json_close(struct ex_text *t, char bracket);
void ex_json_str(struct ex_text *t, const char *name, const char *value);
void ex_json_int(struct ex_text *t, const char *name, int64_t value);
void ex_json_bool(struct ex_text *t, const char *name, bool value);
void ex_json_raw(struct ex_text *t, const char *name, const char *json, size_t bytes);

#endif
