/* traces.h - the recorded events of real Asterisks, for tests that want them all. */
#ifndef TESTS_TRACES_H
#define TESTS_TRACES_H
#include <stddef.h>

/* Call `fn` with each event of each file in TANDEM_SHARED_DIR/traces (and asterisk16/ in it), byte
 * for byte as it was received. Returns how many there were; 0 when the folder is not there. */
size_t traces_each(void (*fn)(const char *file, const char *text, size_t bytes));

/* The contents of TANDEM_SHARED_DIR/`name`, to be freed; NULL when it is not there. */
char *traces_shared_file(const char *name, size_t *bytes);

#endif
