/* json_number.h - the grammar and the limits of JSON numbers. */
#ifndef ACTORS_JSON_NUMBER_H
#define ACTORS_JSON_NUMBER_H
#include <stdbool.h>

struct json_number {
    const char *end; /* behind the number */
    const char *bad; /* the byte that is wrong */
    bool real;       /* it has a fraction or an exponent */
};

/* Read the number that starts at `p` (a digit or a minus). NULL when it is one that Jansson
 * takes: an integer of 64 bits, or a real that a double can hold. Else the words for what is
 * wrong, and `bad` is set. */
const char *json_number_scan(struct json_number *n, const char *p, const char *end);

#endif
