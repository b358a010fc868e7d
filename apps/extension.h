/* extension.h - extensions and patterns, matched as Asterisk's dialplan matches them.
 *
 * A pattern starts with `_`; then X is a digit 0-9, Z 1-9, N 2-9 (upper or lower case), [13-5a] one of a
 * set, `.` one or more of anything, `!` none or more of anything. Everything else is itself. `-` outside of
 * a set is ignored, so numbers may be written 555-1234. Letters otherwise differ in case.
 * Without `_` it is one exact extension.
 * Source: Asterisk, "Pattern Matching", and main/pbx.c (pattern matching, ext_cmp). */
#ifndef APPS_EXTENSION_H
#define APPS_EXTENSION_H
#include <stdbool.h>
#include <stddef.h>

#define EXTENSION_BYTES_MAX 79 /* AST_MAX_EXTENSION without its end */

/* NULL when `pattern` is well formed, otherwise what is wrong with it. */
const char *extension_fault(const char *pattern);

/* Does the well-formed pattern match the whole extension? */
bool extension_matches(const char *pattern, const char *exten);

/* Order of precedence: below zero when `a` is tried before `b`, zero when they match the same. An exact
 * extension comes before every pattern; patterns are compared place by place, the fewer characters a place
 * can be the earlier, then `.`, then `!`. */
int extension_compare(const char *a, const char *b);

/* The index of the pattern that takes the extension, -1 when none does. The n patterns need no order. */
int extension_best(const char *const *patterns, size_t n, const char *exten);

#endif
