/* utf8.c - validation of UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above
 * U+10FFFF.
 *
 * Idea: nearly all text here is ASCII, so 64 bytes are checked at a time by or-ing vectors together, then 8
 * at a time; only a byte with its high bit set takes the slow way. A lead byte fixes how many bytes follow
 * and, for four of them, tighter bounds for the first of these: that is the whole grammar. */
#include "io/utf8.h"

#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* 16 bytes anywhere in memory; the compiler finds the machine's instructions for it. */
typedef uint64_t pair __attribute__((vector_size(16), aligned(1), may_alias));

/* Length of the ASCII run at the front, in whole words of 8 bytes. */
static size_t ascii_run(const char *p, size_t n)
{
    size_t at = 0;

    for (; n - at >= 64; at += 64) {
        const pair *v = (const pair *)(p + at);
        pair all = (v[0] | v[1]) | (v[2] | v[3]);
        if ((all[0] | all[1]) & HIGH_BITS)
            break;
    }
    for (; n - at >= 8; at += 8) {
        uint64_t w;
        memcpy(&w, p + at, sizeof w);
        if (w & HIGH_BITS)
            break;
    }
    return at;
}

static bool lead_byte(struct utf8 *u, uint8_t b)
{
    u->least = 0x80;
    u->most = 0xbf;
    if (b >= 0xc2 && b <= 0xdf)
        u->need = 1;
    else if (b >= 0xe0 && b <= 0xef)
        u->need = 2;
    else if (b >= 0xf0 && b <= 0xf4)
        u->need = 3;
    else
        return false;
    if (b == 0xe0)
        u->least = 0xa0; /* shorter forms exist */
    if (b == 0xed)
        u->most = 0x9f; /* surrogates */
    if (b == 0xf0)
        u->least = 0x90;
    if (b == 0xf4)
        u->most = 0x8f; /* above U+10FFFF */
    return true;
}

bool utf8_feed(struct utf8 *u, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        uint8_t b = (uint8_t)text[i];

        if (u->need > 0) {
            if (b < u->least || b > u->most)
                return false;
            u->need--;
            u->least = 0x80;
            u->most = 0xbf;
        } else if (b >= 0x80) {
            if (!lead_byte(u, b))
                return false;
        } else if (bytes - i >= 8) {
            size_t run = ascii_run(text + i, bytes - i);
            i += run > 0 ? run - 1 : 0;
        }
    }
    return true;
}
