/* json_skip.h - run over the plain part of a JSON string, many bytes at a time.
 *
 * Shared by the validating scanner (json_scan.c) and the walker over valid text (json_text.c),
 * which both spend most of their time here. Sixteen bytes at once where SSE2 is, eight elsewhere. */
#ifndef ACTORS_JSON_SKIP_H
#define ACTORS_JSON_SKIP_H
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline bool json_skip_is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

#ifdef __SSE2__
#define JSON_SKIP_STEP 16
/* A bit for each of the sixteen bytes that is not plain. A signed compare with a blank finds
 * control characters and, as negative numbers, all that is not ASCII. */
static inline uint32_t json_skip_marks(const char *p)
{
    const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    const __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
    const __m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
    const __m128i odd = _mm_cmplt_epi8(v, _mm_set1_epi8(0x20));

    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, slash), odd));
}
#else
#define JSON_SKIP_STEP 8
#define JSON_SKIP_ONES 0x0101010101010101ULL
#define JSON_SKIP_HIGH 0x8080808080808080ULL
/* Nonzero when one of the eight bytes is not plain. A borrow may mark a plain byte behind a
 * marked one, so the answer is only "some": the caller looks at the bytes. */
static inline uint64_t json_skip_marks(const char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    const uint64_t quote = v ^ (JSON_SKIP_ONES * '"');
    const uint64_t slash = v ^ (JSON_SKIP_ONES * '\\');
    const uint64_t zero = ((quote - JSON_SKIP_ONES) & ~quote) | ((slash - JSON_SKIP_ONES) & ~slash);
    const uint64_t control = (v - JSON_SKIP_ONES * 0x20) & ~v;

    return (zero | control | v) & JSON_SKIP_HIGH;
}
#endif

/* The first byte in [p, end) that is a quote, a backslash, a control character or not ASCII;
 * `end` when there is none. */
static inline const char *json_skip_plain(const char *p, const char *end)
{
    while (end - p >= JSON_SKIP_STEP) {
        const uint64_t marks = json_skip_marks(p);
#ifdef __SSE2__
        if (marks != 0)
            return p + __builtin_ctzll(marks);
#else
        if (marks != 0)
            break;
#endif
        p += JSON_SKIP_STEP;
    }
    while (p < end && json_skip_is_plain((unsigned char)*p))
        p++;
    return p;
}

/* The places of what gives a block of 64 bytes its shape, one bit for each byte. Open and close
 * brackets of both kinds: '{' and '[' differ in one bit, and so do '}' and ']'. */
#define JSON_SKIP_BLOCK 64

struct json_skip_shape {
    uint64_t quotes, slashes, opening, closing;
};

#ifdef __SSE2__
static inline uint64_t json_skip_equal(__m128i v, char c)
{
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(c)));
}

static inline void json_skip_shape(struct json_skip_shape *shape, const char *p)
{
    *shape = (struct json_skip_shape){ .quotes = 0 };
    for (int i = 0; i < JSON_SKIP_BLOCK; i += 16) {
        const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
        const __m128i folded = _mm_or_si128(v, _mm_set1_epi8(0x20));

        shape->quotes |= json_skip_equal(v, '"') << i;
        shape->slashes |= json_skip_equal(v, '\\') << i;
        shape->opening |= json_skip_equal(folded, '{') << i;
        shape->closing |= json_skip_equal(folded, '}') << i;
    }
}
#else
static inline void json_skip_shape(struct json_skip_shape *shape, const char *p)
{
    *shape = (struct json_skip_shape){ .quotes = 0 };
    for (int i = 0; i < JSON_SKIP_BLOCK; i++) {
        shape->quotes |= (uint64_t)(p[i] == '"') << i;
        shape->slashes |= (uint64_t)(p[i] == '\\') << i;
        shape->opening |= (uint64_t)((p[i] | 0x20) == '{') << i;
        shape->closing |= (uint64_t)((p[i] | 0x20) == '}') << i;
    }
}
#endif

static inline bool json_skip_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static inline bool json_skip_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The value of a hex digit, or -1. */
static inline int json_skip_hex(char c)
{
    if (json_skip_is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
