/* say.h - what a language has to say; see say.c. */
#ifndef ACTORS_SAY_H
#define ACTORS_SAY_H
#include <stdbool.h>

#include "tandem/say.h"

#define SAY_NUMBER_MAX INT64_C(999999999999)

/* The functions are given only what is in range, and add pieces by tdm_say_media(). */
struct tdm_say_language {
    const char *name;
    const char *z; /* the last letter */
    void (*number)(tdm_say *s, int64_t n);
    void (*ordinal)(tdm_say *s, uint32_t n);
    void (*date)(tdm_say *s, int year, int month, int day, int weekday);
    void (*time)(tdm_say *s, int hour, int minute);
    void (*money)(tdm_say *s, int64_t hundredths, const char *currency);
};

extern const struct tdm_say_language say_en, say_en_gb;

#endif
