/* scan_reference.h - what the scanner, the walker, the events and the ARI table should say about a
 * text, worked out from the tree that Jansson builds. Shared by unit tests and the fuzzer. */
#ifndef TESTS_SCAN_REFERENCE_H
#define TESTS_SCAN_REFERENCE_H
#include <stddef.h>

/* Look at one text by all ways and compare. NULL when they agree, else what differs (static text).
 * `accepted` (may be NULL) tells whether Jansson took the text. */
const char *scan_reference_check(const char *text, size_t bytes, int *accepted);

/* A path of the last difference, for the report; "" when it was about the whole text. */
const char *scan_reference_path(void);

#endif
