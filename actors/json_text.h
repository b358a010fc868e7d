/* json_text.h - ask a JSON text that is known to be valid for single values.
 *
 * For text that json_scan() has accepted; with any other text the functions stay within it, but
 * what they find means nothing. Nothing is allocated. */
#ifndef ACTORS_JSON_TEXT_H
#define ACTORS_JSON_TEXT_H
#include "json_scan.h"

/* Find the value at `path` ("channel.caller.number", "args.0"; "" is the whole text). A number
 * names the element of an array, or the member of an object that is called so; a name with a dot
 * in it cannot be written. Of members with the same name the last counts. False: not there. */
bool json_text_find(const char *text, size_t bytes, const char *path, struct json_slice *ret);

/* Undo the escapes of a string. Writes no NUL. The result is never longer than the input.
 * Returns its bytes, or TDM_ETOOBIG when it does not fit in `room`. */
ptrdiff_t json_text_unescape(char *out, size_t room, const char *at, size_t bytes);

/* Number of elements of an array or members of an object (two of one name are two); -1 for others. */
int json_text_count(const struct json_slice *slice);

/* The value of an integer slice (the scanner has made sure that it fits). */
int64_t json_text_int(const struct json_slice *slice);

#endif
