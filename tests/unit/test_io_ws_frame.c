/* The wire form of a frame, UTF-8, and the small helpers of the WebSocket handshake. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "io/digest.h"
#include "io/utf8.h"
#include "io/ws_frame.h"
#include "tandem/err.h"

TestSuite(io_ws_frame, .timeout = 20);

static const uint8_t key[4] = { 0x37, 0xfa, 0x21, 0x3d };

Test(io_ws_frame, a_header_reads_back_as_it_was_written_at_every_length_form)
{
    static const size_t lengths[] = { 0, 1, 125, 126, 127, 65535, 65536, 1u << 31 };
    char buf[WS_HEADER_MAX];

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (int masked = 0; masked < 2; masked++) {
            struct ws_header h;
            size_t n = ws_header_write(buf, WS_OP_BINARY, masked == 0, lengths[i], masked ? key : NULL);

            for (size_t part = 0; part < n; part++)
                cr_assert(eq(int, ws_header_read(buf, part, &h), 0), "complete at %zu of %zu bytes", part, n);
            cr_assert(eq(int, ws_header_read(buf, n, &h), 1));
            cr_assert(eq(sz, h.size, n));
            cr_assert(eq(u64, h.bytes, lengths[i]));
            cr_assert(eq(int, h.op, WS_OP_BINARY));
            cr_assert(eq(int, h.fin, masked == 0));
            cr_assert(eq(int, h.masked, masked));
            cr_assert(not(h.masked && memcmp(h.mask, key, 4) != 0));
        }
    }
}

Test(io_ws_frame, a_length_not_in_its_shortest_form_or_above_63_bits_is_refused)
{
    struct ws_header h;

    cr_assert(eq(int, ws_header_read("\x82\x7e\x00\x7d", 4, &h), TDM_EPROTO));
    cr_assert(eq(int, ws_header_read("\x82\x7e\x00\x7e", 4, &h), 1));
    cr_assert(eq(int, ws_header_read("\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", 10, &h), TDM_EPROTO));
    cr_assert(eq(int, ws_header_read("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10, &h), 1));
    cr_assert(eq(int, ws_header_read("\x82\x7f\x80\x00\x00\x00\x00\x01\x00\x00", 10, &h), TDM_EPROTO));
}

Test(io_ws_frame, masking_by_words_equals_masking_by_bytes_at_every_offset_and_length)
{
    for (size_t at = 0; at < 8; at++) {
        for (size_t n = 0; n < 40; n++) {
            char words[40], bytes[40];
            for (size_t i = 0; i < n; i++)
                words[i] = bytes[i] = (char)(i * 7 + 3);
            ws_mask(words, n, key, at);
            for (size_t i = 0; i < n; i++)
                bytes[i] = (char)(bytes[i] ^ key[(at + i) % 4]);
            cr_assert(eq(int, memcmp(words, bytes, n), 0), "offset %zu, %zu bytes", at, n);
        }
    }
}

/* RFC 6455 7.4 and the registry: what may stand in a close frame. */
Test(io_ws_frame, close_codes_valid_on_the_wire_are_exactly_those_of_the_registry)
{
    for (unsigned code = 0; code < 66000; code++) {
        bool want = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
                    (code >= 3000 && code <= 4999);
        cr_assert(eq(int, ws_close_code_valid(code), want), "code %u", code);
    }
}

Test(io_ws_frame, the_accept_value_is_the_one_of_the_rfc)
{
    char accept[29];

    digest_ws_accept("dGhlIHNhbXBsZSBub25jZQ==", accept);
    cr_assert(eq(str, accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

Test(io_ws_frame, sha1_matches_the_published_vectors)
{
    static const struct {
        const char *text;
        const uint8_t first[4];
    } vectors[] = {
        { "", { 0xda, 0x39, 0xa3, 0xee } },
        { "abc", { 0xa9, 0x99, 0x3e, 0x36 } },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", { 0x84, 0x98, 0x3e, 0x44 } },
    };
    uint8_t sum[20];

    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        digest_sha1(vectors[i].text, strlen(vectors[i].text), sum);
        cr_assert(eq(int, memcmp(sum, vectors[i].first, 4), 0), "\"%s\"", vectors[i].text);
    }
}

Test(io_ws_frame, base64_pads_every_remainder)
{
    static const char *const pairs[][2] = {
        { "", "" },        { "f", "Zg==" },        { "fo", "Zm8=" },
        { "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "\xff\xfe\xfd", "//79" }
    };
    char out[16];

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        digest_base64(pairs[i][0], strlen(pairs[i][0]), out);
        cr_assert(eq(str, out, (char *)pairs[i][1]));
    }
}

/* ---- UTF-8 ----------------------------------------------------------------------------------- */

static bool valid_utf8(const char *p, size_t n)
{
    struct utf8 u = { 0 };
    return utf8_feed(&u, p, n) && utf8_complete(&u);
}

/* Another way to say it, straight from the definition: decode and compare with the shortest form. */
static bool valid_by_decoding(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
        size_t len = p[i] < 0x80 ? 1 : p[i] >> 5 == 6 ? 2 : p[i] >> 4 == 14 ? 3 : p[i] >> 3 == 30 ? 4 : 0;
        uint32_t c = len == 1 ? p[i] : len > 1 ? p[i] & (0x7fu >> len) : 0;
        if (len == 0 || i + len > n)
            return false;
        for (size_t k = 1; k < len; k++) {
            if (p[i + k] >> 6 != 2)
                return false;
            c = c << 6 | (p[i + k] & 63);
        }
        if ((len > 1 && c < least[len]) || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
            return false;
        i += len;
    }
    return true;
}

Test(io_ws_frame, utf8_agrees_with_a_plain_decoder_on_every_lead_and_second_byte)
{
    uint8_t p[4];

    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            for (unsigned tail = 0; tail < 4; tail++) {
                p[0] = (uint8_t)a;
                p[1] = (uint8_t)b;
                p[2] = (uint8_t)(tail & 1 ? 0x80 : 0x41);
                p[3] = (uint8_t)(tail & 2 ? 0xbf : 0x42);
                for (size_t n = 1; n <= 4; n++)
                    cr_assert(eq(int, valid_utf8((char *)p, n), valid_by_decoding(p, n)),
                              "%02x %02x %02x %02x, %zu bytes", p[0], p[1], p[2], p[3], n);
            }
        }
    }
}

Test(io_ws_frame, utf8_finds_a_bad_byte_at_every_place_of_a_long_text)
{
    char text[300];

    memset(text, 'a', sizeof text);
    cr_assert(valid_utf8(text, sizeof text));
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (char)0xff;
        cr_assert(not(valid_utf8(text, sizeof text)), "at %zu", i);
        text[i] = 'a';
    }
}

Test(io_ws_frame, utf8_in_pieces_equals_utf8_at_once)
{
    static const char text[] =
        "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5 \xf0\x9f\x98\x80 abc \xed\x9f\xbf";
    size_t n = sizeof text - 1;

    for (size_t cut = 0; cut <= n; cut++) {
        struct utf8 u = { 0 };
        cr_assert(utf8_feed(&u, text, cut));
        cr_assert(utf8_feed(&u, text + cut, n - cut));
        cr_assert(utf8_complete(&u));
    }
}
