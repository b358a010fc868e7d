/* ws_frame.c - the wire form of a WebSocket frame. */
#include "io/ws_frame.h"

#include <string.h>

#include "tandem/err.h"

/* The extended length, in `count` bytes, most significant first. */
static uint64_t big_endian(const uint8_t *p, unsigned count)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < count; i++)
        v = v << 8 | p[i];
    return v;
}

int ws_header_read(const void *bytes, size_t n, struct ws_header *h)
{
    const uint8_t *p = bytes;
    unsigned extended, size;

    if (n < 2)
        return 0;
    h->fin = (p[0] & 0x80) != 0;
    h->reserved = (p[0] >> 4) & 7;
    h->op = p[0] & 15;
    h->masked = (p[1] & 0x80) != 0;
    h->bytes = p[1] & 127;
    extended = h->bytes == 126 ? 2 : h->bytes == 127 ? 8 : 0;
    size = 2 + extended + (h->masked ? 4 : 0);
    if (n < size)
        return 0;
    if (extended > 0) {
        uint64_t least = extended == 2 ? 126 : 65536;
        h->bytes = big_endian(p + 2, extended);
        if (h->bytes < least || h->bytes >> 63 != 0)
            return TDM_EPROTO;
    }
    if (h->masked)
        memcpy(h->mask, p + size - 4, 4);
    h->size = (uint8_t)size;
    return 1;
}

size_t ws_header_write(char *out, enum ws_op op, bool fin, size_t bytes, const uint8_t mask[4])
{
    uint8_t *p = (uint8_t *)out;
    size_t size = 2;

    p[0] = (uint8_t)((fin ? 0x80 : 0) | op);
    p[1] = mask != NULL ? 0x80 : 0;
    if (bytes < 126) {
        p[1] |= (uint8_t)bytes;
    } else if (bytes < 65536) {
        p[1] |= 126;
        p[2] = (uint8_t)(bytes >> 8);
        p[3] = (uint8_t)bytes;
        size = 4;
    } else {
        p[1] |= 127;
        for (unsigned i = 0; i < 8; i++)
            p[2 + i] = (uint8_t)((uint64_t)bytes >> (56 - 8 * i));
        size = 10;
    }
    if (mask == NULL)
        return size;
    memcpy(p + size, mask, 4);
    return size + 4;
}

void ws_mask(char *p, size_t n, const uint8_t mask[4], size_t at)
{
    uint8_t turned[8];
    uint64_t word;
    size_t i = 0;

    for (unsigned k = 0; k < 8; k++)
        turned[k] = mask[(at + k) % 4];
    memcpy(&word, turned, sizeof word);
    for (; n - i >= 8; i += 8) {
        uint64_t w;
        memcpy(&w, p + i, sizeof w);
        w ^= word;
        memcpy(p + i, &w, sizeof w);
    }
    for (; i < n; i++)
        p[i] = (char)(p[i] ^ turned[i % 8]);
}

bool ws_close_code_valid(unsigned code)
{
    if (code >= 3000 && code <= 4999)
        return true;
    return code >= 1000 && code <= 1014 && code != 1004 && code != WS_NO_CODE && code != WS_ABNORMAL;
}
