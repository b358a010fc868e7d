/* say.h - numbers, digits, letters, dates, times and money as lists of sound files.
 *
 * A saying is put together piece by piece and then played as one list, alone or as the prompt of a question:
 *
 *     tdm_say s = tdm_say_in("en");
 *     tdm_say_media(&s, "sound:vm-youhave");
 *     tdm_say_number(&s, 21);
 *     tdm_say_media(&s, "sound:vm-messages");
 *     tdm_play_list(call, &(tdm_play_opts){ .media = s.media }, NULL);
 *     tdm_gather(call, &(tdm_gather_opts){ .prompts = s.media, .max_digits = 4 }, &result);
 *
 * All pieces are sound files of Asterisk's own core set ("sound:digits/20"), which a digit can stop at once; the switch's
 * number: and digits: media can not be stopped.
 *
 * A saying is a plain value without memory of its own. What does not fit or can not be said sets `err`, once, and adds
 * nothing; look at it before playing, or play what is there. Threads: one at a time, like any variable. */
#ifndef TANDEM_SAY_H
#define TANDEM_SAY_H
#include <stddef.h>
#include <stdint.h>

#include "tandem/err.h"

#define TDM_SAY_MAX 100 /* pieces; Asterisk takes 128 media in one request */

struct tdm_say {
    const char *media[TDM_SAY_MAX + 1]; /* NULL at the end, at all times: give it to a verb */
    size_t pieces;
    int err; /* TDM_OK; TDM_ETOOBIG more than fits; TDM_EINVAL something that can not be said */
    const struct tdm_say_language *language;
};
typedef struct tdm_say tdm_say;

/* An empty saying in this language: "en" and "en_GB" (a day before its month, "and" after hundreds, zed); a longer name is
 * taken by its beginning, "en_AU" as "en". NULL or one that is not there: English. */
tdm_say tdm_say_in(const char *language);

/* One media URI of your own; it must live until the saying was played. */
void tdm_say_media(tdm_say *s, const char *media);

/* "minus one thousand two hundred thirty four". Whole numbers up to 999,999,999,999 either way. */
void tdm_say_number(tdm_say *s, int64_t n);
/* "twenty first": 1 to 999,999. */
void tdm_say_ordinal(tdm_say *s, int64_t n);
/* One by one: 0-9, *, # and -; blanks are passed over. */
void tdm_say_digits(tdm_say *s, const char *digits);
/* One by one: letters, digits and most ASCII signs. */
void tdm_say_letters(tdm_say *s, const char *text);
/* "alfa bravo": letters and digits; anything else as tdm_say_letters(). */
void tdm_say_phonetic(tdm_say *s, const char *text);

/* "monday january fifth twenty twenty six": a date of the Gregorian calendar, month and day from 1; years 1000 to 9999. */
void tdm_say_date(tdm_say *s, int year, int month, int day);
/* "five oh seven p m", "five o'clock p m": hour 0 to 23. */
void tdm_say_time(tdm_say *s, int hour, int minute);
/* An amount in hundredths: 1999 dollars are "nineteen dollars and ninety nine". Asterisk's core set has a word for dollars
 * only ("USD"); any other code of three letters is spelled after the number. */
void tdm_say_money(tdm_say *s, int64_t hundredths, const char *currency);

#endif
