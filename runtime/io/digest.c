/* digest.c - SHA-1 (RFC 3174) and base64 (RFC 4648). SHA-1 protects nothing here: the WebSocket
 * handshake uses it only to show that the other side speaks WebSocket. */
#include "io/digest.h"

#include <string.h>

static uint32_t roll(uint32_t v, unsigned by)
{
    return v << by | v >> (32 - by);
}

static void sha1_block(uint32_t h[5], const uint8_t *p)
{
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

    for (unsigned i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 |
               p[4 * i + 3];
    for (unsigned i = 16; i < 80; i++)
        w[i] = roll(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (unsigned i = 0; i < 80; i++) {
        uint32_t f, k, next;
        if (i < 20)
            f = (b & c) | (~b & d), k = 0x5a827999;
        else if (i < 40)
            f = b ^ c ^ d, k = 0x6ed9eba1;
        else if (i < 60)
            f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
        else
            f = b ^ c ^ d, k = 0xca62c1d6;
        next = roll(a, 5) + f + e + k + w[i];
        e = d;
        d = c;
        c = roll(b, 30);
        b = a;
        a = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

void digest_sha1(const void *bytes, size_t n, uint8_t out[20])
{
    uint32_t h[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
    const uint8_t *p = bytes;
    uint8_t tail[128] = { 0 };
    size_t left = n, tail_bytes;

    for (; left >= 64; left -= 64, p += 64)
        sha1_block(h, p);
    memcpy(tail, p, left);
    tail[left] = 0x80;
    tail_bytes = left < 56 ? 64 : 128;
    for (unsigned i = 0; i < 8; i++)
        tail[tail_bytes - 1 - i] = (uint8_t)((uint64_t)n * 8 >> (8 * i));
    for (size_t at = 0; at < tail_bytes; at += 64)
        sha1_block(h, tail + at);
    for (unsigned i = 0; i < 20; i++)
        out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

size_t digest_base64(const void *bytes, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = bytes;
    char *o = out;

    for (; n > 0; p += 3) {
        uint32_t v = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);
        *o++ = digits[v >> 18];
        *o++ = digits[v >> 12 & 63];
        *o++ = n > 1 ? digits[v >> 6 & 63] : '=';
        *o++ = n > 2 ? digits[v & 63] : '=';
        n -= n < 3 ? n : 3;
    }
    *o = '\0';
    return (size_t)(o - out);
}

void digest_ws_accept(const char *key, char out[29])
{
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[128];
    uint8_t sum[20];
    size_t n = strnlen(key, sizeof text - sizeof magic);

    memcpy(text, key, n);
    memcpy(text + n, magic, sizeof magic - 1);
    digest_sha1(text, n + sizeof magic - 1, sum);
    digest_base64(sum, sizeof sum, out);
}
