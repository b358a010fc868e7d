/* utf8.h - is this UTF-8? Asked piece by piece. */
#ifndef RUNTIME_IO_UTF8_H
#define RUNTIME_IO_UTF8_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a text stands between two pieces. Zero-initialise. */
struct utf8 {
    uint8_t need;        /* continuation bytes still to come */
    uint8_t least, most; /* bounds of the next one */
};

/* Go on with a piece. False: never valid, whatever follows. */
bool utf8_feed(struct utf8 *u, const char *text, size_t bytes);

/* Does the text end on a character boundary here? */
static inline bool utf8_complete(const struct utf8 *u)
{
    return u->need == 0;
}

#endif
