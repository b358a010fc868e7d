/* utf8.c - validation of UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above
 * U+10FFFF.
 *
 * Idea: nearly all text here is ASCII, so 64 bytes are checked at a time by or-ing words together; only a
 * byte with its high bit set takes the slow way. A lead byte fixes how many bytes follow and, for four of
 * them, tighter bounds for the first of these: that is the whole grammar. */
#include "io/utf8.h"

#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Length of the ASCII run at the front, in whole blocks of 64 bytes. */
static size_t ascii_blocks(const char *p, size_t n)
{
    size_t at = 0;

    for (; n - at >= 64; at += 64) {
        uint64_t w[8];
        memcpy(w, p + at, 64);
        if (((w[0] | w[1] | w[2] | w[3]) | (w[4] | w[5] | w[6] | w[7])) & HIGH_BITS)
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
        } else if (bytes - i >= 64) {
            size_t run = ascii_blocks(text + i, bytes - i);
            i += run > 0 ? run - 1 : 0;
        }
    }
    return true;
}
