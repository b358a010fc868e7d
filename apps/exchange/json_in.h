/* json_in.h - reads JSON that a client sent: a strict check, and a flat list of values to look into.
 *
 * Written for this server alone and from the standard (RFC 8259), so that a mistake in the client's own
 * JSON code does not meet the same mistake here. */
#ifndef APPS_EXCHANGE_JSON_IN_H
#define APPS_EXCHANGE_JSON_IN_H
#include <stdbool.h>
#include <stddef.h>

enum ex_json_kind { EX_JSON_NONE, EX_JSON_OBJECT, EX_JSON_ARRAY, EX_JSON_STRING, EX_JSON_OTHER };

/* Values in the order of the text. Members of an object are pairs: name, value. */
struct ex_json_value {
    enum ex_json_kind kind;
    size_t start, end; /* in the text; strings without their quotes */
    size_t after;      /* index of the first value that is not inside this one */
};

struct ex_json {
    const char *text;
    const struct ex_json_value *values; /* values[0] is the whole */
    size_t count;
};

/* How many values the text holds, 0 when it is no JSON. With `out`, which must have room for that many,
 * they are written there. */
size_t ex_json_scan(const char *text, size_t bytes, struct ex_json_value *out);

/* Index of an object's member, or 0 when there is none (0 is the whole, never a member). */
size_t ex_json_member(const struct ex_json *json, size_t object, const char *name);

/* Decode a string; `out` needs end - start + 1 bytes. Returns the length. */
size_t ex_json_decode(const struct ex_json *json, size_t value, char *out);

#endif
