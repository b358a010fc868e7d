/* The decoder against the cases of the Autobahn test suite (groups 1 to 7 and 9), as a table.
 *
 * Each case is a series of frames and what must come out: "T:text" a text message, "B:" binary, "P:" a ping
 * (to be echoed), "O:" a pong, "C1000:reason" a close, "!1002" a failure with that close code. Every case is
 * fed at once and byte by byte, as a server (masked frames) and as a client (bare ones): four runs, one
 * answer. Case numbers are Autobahn's. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/ws_decoder.h"

/* A frame that needs no length and no repetition leaves them out: zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

TestSuite(io_ws_decoder, .timeout = 60);

static void *plain_alloc(struct tdm_env *env, size_t bytes)
{
    (void)env;
    return malloc(bytes);
}

static void plain_free(struct tdm_env *env, void *p, size_t bytes)
{
    (void)env;
    (void)bytes;
    free(p);
}

static struct tdm_env plain_env = { .alloc = plain_alloc, .free = plain_free };

/* One frame: first byte as on the wire (FIN, reserved bits, opcode), and its payload. */
struct frame {
    unsigned first;
    const char *payload;
    size_t bytes;  /* 0: strlen */
    size_t repeat; /* the payload this many times; 0: once */
};

#define FRAMES_MAX 8
struct row {
    const char *number;
    struct frame frames[FRAMES_MAX];
    const char *want;
};

#define FIN    0x80
#define TEXT   (FIN | 1)
#define BINARY (FIN | 2)
#define MORE   0
#define LAST   (FIN | 0)
#define CLOSE  (FIN | 8)
#define PING   (FIN | 9)
#define PONG   (FIN | 10)
#define X25    "xxxxxxxxxxxxxxxxxxxxxxxxx"
#define X125   X25 X25 X25 X25 X25

static const struct row rows[] = {
    /* 1: framing at each length form */
    { "1.1.1", { { TEXT, "" } }, "T:" },
    { "1.1.2", { { TEXT, "*", 0, 125 } }, "T#125" },
    { "1.1.3", { { TEXT, "*", 0, 126 } }, "T#126" },
    { "1.1.4", { { TEXT, "*", 0, 127 } }, "T#127" },
    { "1.1.5", { { TEXT, "*", 0, 128 } }, "T#128" },
    { "1.1.6", { { TEXT, "*", 0, 65535 } }, "T#65535" },
    { "1.1.7", { { TEXT, "*", 0, 65536 } }, "T#65536" },
    { "1.2.1", { { BINARY, "" } }, "B:" },
    { "1.2.2", { { BINARY, "\xfe", 0, 125 } }, "B#125" },
    { "1.2.3", { { BINARY, "\xfe", 0, 126 } }, "B#126" },
    { "1.2.4", { { BINARY, "\xfe", 0, 127 } }, "B#127" },
    { "1.2.5", { { BINARY, "\xfe", 0, 128 } }, "B#128" },
    { "1.2.6", { { BINARY, "\xfe", 0, 65535 } }, "B#65535" },
    { "1.2.7", { { BINARY, "\xfe", 0, 65536 } }, "B#65536" },
    /* 2: pings and pongs */
    { "2.1", { { PING, "" } }, "P:" },
    { "2.2", { { PING, "Hello, world!" } }, "P:Hello, world!" },
    { "2.3", { { PING, "\x00\xff\xfe\xfd\xfc\xfb\x00\xff", 8 } }, "P#8" },
    { "2.4", { { PING, X125 } }, "P#125" },
    { "2.5", { { PING, X125 "x" } }, "!1002" },
    { "2.7", { { PONG, "" } }, "O:" },
    { "2.8", { { PONG, "unsolicited" } }, "O:unsolicited" },
    { "2.9", { { PONG, "unsolicited" }, { PING, "ping" } }, "O:unsolicited P:ping" },
    { "2.10", { { PING, "0" }, { PING, "1" }, { PING, "2" } }, "P:0 P:1 P:2" },
    /* 3: reserved bits */
    { "3.1", { { TEXT | 0x10, "x" } }, "!1002" },
    { "3.2", { { TEXT, "x" }, { TEXT | 0x20, "x" }, { PING, "" } }, "T:x !1002" },
    { "3.3", { { TEXT, "x" }, { TEXT | 0x30, "x" } }, "T:x !1002" },
    { "3.4", { { TEXT, "x" }, { TEXT | 0x40, "x" } }, "T:x !1002" },
    { "3.5", { { BINARY | 0x50, "x" } }, "!1002" },
    { "3.6", { { PING | 0x60, "x" } }, "!1002" },
    { "3.7", { { CLOSE | 0x70, "" } }, "!1002" },
    /* 4: reserved opcodes */
    { "4.1.1", { { FIN | 3, "" } }, "!1002" },
    { "4.1.2", { { FIN | 4, "x" } }, "!1002" },
    { "4.1.3", { { TEXT, "x" }, { FIN | 5, "" }, { PING, "" } }, "T:x !1002" },
    { "4.1.4", { { TEXT, "x" }, { FIN | 6, "x" } }, "T:x !1002" },
    { "4.1.5", { { TEXT, "x" }, { FIN | 7, "x" } }, "T:x !1002" },
    { "4.2.1", { { FIN | 11, "" } }, "!1002" },
    { "4.2.2", { { FIN | 12, "x" } }, "!1002" },
    { "4.2.3", { { TEXT, "x" }, { FIN | 13, "" } }, "T:x !1002" },
    { "4.2.4", { { TEXT, "x" }, { FIN | 14, "x" } }, "T:x !1002" },
    { "4.2.5", { { TEXT, "x" }, { FIN | 15, "x" } }, "T:x !1002" },
    /* 5: fragmentation */
    { "5.1", { { 9, "a" }, { LAST, "b" } }, "!1002" },
    { "5.2", { { 10, "a" }, { LAST, "b" } }, "!1002" },
    { "5.3", { { 1, "frag1" }, { LAST, "frag2" } }, "T:frag1frag2" },
    { "5.6", { { 1, "frag1" }, { PING, "p" }, { LAST, "frag2" } }, "P:p T:frag1frag2" },
    { "5.9", { { MORE | FIN, "x" }, { TEXT, "y" } }, "!1002" },
    { "5.12", { { MORE, "x" }, { TEXT, "y" } }, "!1002" },
    { "5.15", { { 1, "f1" }, { LAST, "f2" }, { MORE, "f3" }, { 1, "f4" }, { LAST, "f5" } }, "T:f1f2 !1002" },
    { "5.16", { { MORE, "f1" }, { 1, "f2" }, { LAST, "f3" } }, "!1002" },
    { "5.17", { { LAST, "f1" }, { 1, "f2" }, { LAST, "f3" } }, "!1002" },
    { "5.18", { { 1, "f1" }, { TEXT, "f2" } }, "!1002" },
    { "5.19",
      { { 1, "f1" },
        { MORE, "f2" },
        { PING, "p1" },
        { MORE, "f3" },
        { MORE, "f4" },
        { PING, "p2" },
        { LAST, "f5" } },
      "P:p1 P:p2 T:f1f2f3f4f5" },
    { "5.3 binary", { { 2, "frag1" }, { LAST, "frag2" } }, "B:frag1frag2" },
    { "6.1.1", { { TEXT, "" } }, "T:" },
    { "6.1.2", { { 1, "" }, { MORE, "" }, { LAST, "" } }, "T:" },
    { "6.1.3", { { 1, "" }, { MORE, "mid" }, { LAST, "" } }, "T:mid" },
    /* 6: UTF-8 */
    { "6.2.1", { { TEXT, "Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4-UTF-8!!" } }, "T#23" },
    { "6.2.2", { { 1, "Hello-\xc2\xb5@\xc3\x9f" }, { LAST, "\xc3\xb6\xc3\xa4-UTF-8!!" } }, "T#23" },
    { "6.2.4", { { 1, "\xce" }, { MORE, "\xba\xe1" }, { MORE, "\xbd" }, { LAST, "\xb9" } }, "T#5" },
    { "6.3.1",
      { { TEXT, "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"
                "edited" } },
      "!1007" },
    { "6.4.1", { { 1, "\xce\xba\xe1\xbd\xb9" }, { MORE, "\xf4\x90\x80\x80" }, { LAST, "edited" } }, "!1007" },
    { "6.4.2", { { 1, "\xce\xba\xf4" }, { MORE, "\x90" }, { LAST, "\x80\x80" } }, "!1007" },
    { "6.5.1",
      { { TEXT,
          "\x00"
          "abc",
          4 } },
      "T#4" },
    { "6.6.1", { { TEXT, "\xce" } }, "!1007" },
    { "6.6.2", { { TEXT, "\xce\xba" } }, "T#2" },
    { "6.6.3", { { TEXT, "\xce\xba\xe1" } }, "!1007" },
    { "6.6.4", { { TEXT, "\xce\xba\xe1\xbd" } }, "!1007" },
    { "6.6.5", { { TEXT, "\xce\xba\xe1\xbd\xb9" } }, "T#5" },
    { "6.7.1", { { TEXT, "\x00", 1 } }, "T#1" },
    { "6.7.2", { { TEXT, "\xc2\x80" } }, "T#2" },
    { "6.7.3", { { TEXT, "\xe0\xa0\x80" } }, "T#3" },
    { "6.7.4", { { TEXT, "\xf0\x90\x80\x80" } }, "T#4" },
    { "6.8.1", { { TEXT, "\xf8\x88\x80\x80\x80" } }, "!1007" },
    { "6.8.2", { { TEXT, "\xfc\x84\x80\x80\x80\x80" } }, "!1007" },
    { "6.9.1", { { TEXT, "\x7f" } }, "T#1" },
    { "6.9.2", { { TEXT, "\xdf\xbf" } }, "T#2" },
    { "6.9.3", { { TEXT, "\xef\xbf\xbf" } }, "T#3" },
    { "6.9.4", { { TEXT, "\xf4\x8f\xbf\xbf" } }, "T#4" },
    { "6.10.1", { { TEXT, "\xf7\xbf\xbf\xbf" } }, "!1007" },
    { "6.11.1", { { TEXT, "\xed\x9f\xbf" } }, "T#3" },
    { "6.11.2", { { TEXT, "\xee\x80\x80" } }, "T#3" },
    { "6.11.5", { { TEXT, "\xf4\x90\x80\x80" } }, "!1007" },
    { "6.12.1", { { TEXT, "\x80" } }, "!1007" },
    { "6.12.2", { { TEXT, "\xbf" } }, "!1007" },
    { "6.14.1", { { TEXT, "\xc0 \xc1 " } }, "!1007" },
    { "6.14.6", { { TEXT, "\xc0" } }, "!1007" },
    { "6.15.1", { { TEXT, "\xc0\xe0\x80\xf0\x80\x80" } }, "!1007" },
    { "6.16.1", { { TEXT, "\xfe" } }, "!1007" },
    { "6.16.2", { { TEXT, "\xff" } }, "!1007" },
    { "6.17.1", { { TEXT, "\xc0\xaf" } }, "!1007" },
    { "6.17.2", { { TEXT, "\xe0\x80\xaf" } }, "!1007" },
    { "6.17.3", { { TEXT, "\xf0\x80\x80\xaf" } }, "!1007" },
    { "6.18.1", { { TEXT, "\xc1\xbf" } }, "!1007" },
    { "6.18.2", { { TEXT, "\xe0\x9f\xbf" } }, "!1007" },
    { "6.19.1", { { TEXT, "\xc0\x80" } }, "!1007" },
    { "6.20.1", { { TEXT, "\xed\xa0\x80" } }, "!1007" },
    { "6.20.7", { { TEXT, "\xed\xbf\xbf" } }, "!1007" },
    { "6.21.1", { { TEXT, "\xed\xa0\x80\xed\xb0\x80" } }, "!1007" },
    { "6.22.1", { { TEXT, "\xef\xbf\xbe" } }, "T#3" }, /* a noncharacter is a character all the same */
    { "6.23.1", { { TEXT, "\xef\xbf\xbd" } }, "T#3" },
    { "6.x binary is not checked", { { BINARY, "\xff\xff" } }, "B#2" },
    /* 7: closing */
    { "7.1.1", { { TEXT, "Hello" }, { CLOSE, "\x03\xe8" } }, "T:Hello C1000:" },
    { "7.1.5", { { 1, "frag" }, { CLOSE, "\x03\xe8" }, { LAST, "ment" } }, "C1000:" },
    { "7.3.1", { { CLOSE, "" } }, "C1005:" },
    { "7.3.2", { { CLOSE, "a" } }, "!1002" },
    { "7.3.3", { { CLOSE, "\x03\xe8" } }, "C1000:" },
    { "7.3.4", { { CLOSE, "\x03\xe8Hello World!" } }, "C1000:Hello World!" },
    { "7.3.5", { { CLOSE, "\x03\xe8" X25 X25 X25 X25 "xxxxxxxxxxxxxxxxxxxxxxx" } }, "C1000#123" },
    { "7.3.6", { { CLOSE, "\x03\xe8" X125 } }, "!1002" },
    { "7.5.1", { { CLOSE, "\x03\xe8\xce\xba\xed\xa0\x80" } }, "!1007" },
    { "7.7.2", { { CLOSE, "\x03\xe9" } }, "C1001:" },
    { "7.7.3", { { CLOSE, "\x03\xea" } }, "C1002:" },
    { "7.7.4", { { CLOSE, "\x03\xeb" } }, "C1003:" },
    { "7.7.5", { { CLOSE, "\x03\xef" } }, "C1007:" },
    { "7.7.8", { { CLOSE, "\x03\xf2" } }, "C1010:" },
    { "7.7.9", { { CLOSE, "\x03\xf3" } }, "C1011:" },
    { "7.7.10", { { CLOSE, "\x0b\xb8" } }, "C3000:" },
    { "7.7.13", { { CLOSE, "\x13\x87" } }, "C4999:" },
    { "7.9.1", { { CLOSE, "\x00\x00", 2 } }, "!1002" },
    { "7.9.2", { { CLOSE, "\x03\xe7" } }, "!1002" },
    { "7.9.3", { { CLOSE, "\x03\xec" } }, "!1002" },
    { "7.9.4", { { CLOSE, "\x03\xed" } }, "!1002" },
    { "7.9.5", { { CLOSE, "\x03\xee" } }, "!1002" },
    { "7.9.7", { { CLOSE, "\x03\xf8" } }, "!1002" },  /* 1016 */
    { "7.9.10", { { CLOSE, "\x07\xd0" } }, "!1002" }, /* 2000 */
    { "7.9.11", { { CLOSE, "\x0b\xb7" } }, "!1002" }, /* 2999 */
    { "7.13.1", { { CLOSE, "\x13\x88" } }, "!1002" }, /* 5000 */
    { "7.13.2", { { CLOSE, "\xff\xff" } }, "!1002" },
    /* 9: sizes, the small end; whole and fragmented, and just past the limit of this test */
    { "9.1.1", { { TEXT, "0123456789abcdef", 0, 4096 } }, "T#65536" },
    { "9.1.2", { { TEXT, "0123456789abcdef", 0, 16384 } }, "T#262144" },
    { "9.2.2", { { BINARY, "0123456789abcdef", 0, 16384 } }, "B#262144" },
    { "9.3.1",
      { { 1, "0123456789abcdef", 0, 4096 },
        { PING, "p" },
        { MORE, "0123456789abcdef", 0, 4096 },
        { LAST, "end" } },
      "P:p T#131075" },
    { "9.x limit", { { BINARY, "0123456789abcdef", 0, 32769 } }, "!1009" },
    { "9.x limit in fragments", { { 2, "0123456789abcdef", 0, 32768 }, { LAST, "x" } }, "!1009" },
};

enum { MESSAGE_MAX = 16 * 32768 };

static const uint8_t mask[4] = { 0xa5, 0x01, 0xff, 0x3c };

/* The frames of a case as bytes on the wire. */
static size_t write_row(const struct row *c, bool masked, char **ret)
{
    size_t n = 0, room = 2u << 20;
    char *wire = malloc(room);

    for (size_t i = 0; i < FRAMES_MAX && c->frames[i].payload != NULL; i++) {
        const struct frame *f = &c->frames[i];
        size_t unit = f->bytes > 0 ? f->bytes : strlen(f->payload), times = f->repeat > 0 ? f->repeat : 1;
        size_t head = ws_header_write(wire + n, WS_OP_TEXT, true, unit * times, masked ? mask : NULL);
        char *payload = wire + n + head;

        wire[n] = (char)f->first;
        for (size_t k = 0; k < times; k++)
            memcpy(payload + k * unit, f->payload, unit);
        if (masked)
            ws_mask(payload, unit * times, mask, 0);
        n += head + unit * times;
    }
    *ret = wire;
    return n;
}

/* Short payloads in full, long or odd ones by their length: as `want` has it. */
static void note(char *got, size_t room, const char *want, const struct ws_event *ev)
{
    static const char letters[] = " TBPOC";
    size_t at = strlen(got);
    char item[256], code[8] = "";

    if (ev->got == WS_GOT_CLOSE)
        snprintf(code, sizeof code, "%u", ev->code);
    snprintf(item, sizeof item, "%c%s#%zu", letters[ev->got], code, ev->bytes);
    if (strstr(want, item) == NULL)
        snprintf(item, sizeof item, "%c%s:%.*s", letters[ev->got], code, (int)ev->bytes, ev->data);
    snprintf(got + at, room - at, "%s%s", at > 0 ? " " : "", item);
}

/* Feed `step` bytes at a time, as a connection does: what was not used comes again with more behind it. */
static void run(const struct row *c, bool masked, size_t step, char *got, size_t room)
{
    struct ws_decoder d = { .env = &plain_env, .from_client = masked, .message_max = MESSAGE_MAX };
    char *wire;
    size_t n = write_row(c, masked, &wire), from = 0, to = 0;
    int result = 0;

    got[0] = '\0';
    while (to < n && result >= 0) {
        struct ws_event ev;
        size_t used;

        to = to + step < n ? to + step : n;
        while ((result = ws_decode(&d, wire + from, to - from, &used, &ev)) > 0) {
            from += used;
            note(got, room, c->want, &ev);
            if (ev.got == WS_GOT_CLOSE)
                goto out; /* nothing after a close is looked at */
        }
        from += used;
    }
    if (result < 0)
        snprintf(got + strlen(got), room - strlen(got), "%s!%u", got[0] != '\0' ? " " : "", d.fail_code);
out:
    ws_decoder_free(&d);
    free(wire);
}

Test(io_ws_decoder, every_case_of_the_table_comes_out_as_it_must_in_both_roles_and_any_chopping)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static const size_t steps[] = { SIZE_MAX / 2, 1, 2, 7, 1000, 65536 };
        for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
            for (int masked = 0; masked < 2; masked++) {
                char got[512];
                run(&rows[i], masked == 1, steps[s], got, sizeof got);
                cr_expect(eq(str, got, (char *)rows[i].want), "case %s, %s, %zu bytes at a time",
                          rows[i].number, masked ? "server" : "client", steps[s]);
            }
        }
    }
}

static int decode_as(bool from_client, char *wire, size_t n, struct ws_decoder *d)
{
    struct ws_event ev;
    size_t used;
    int err;

    *d = (struct ws_decoder){ .env = &plain_env, .from_client = from_client, .message_max = 1000 };
    err = ws_decode(d, wire, n, &used, &ev);
    ws_decoder_free(d);
    return err;
}

Test(io_ws_decoder, a_client_refuses_masked_frames_and_a_server_bare_ones)
{
    struct ws_decoder d;
    char masked[] = "\x81\x81\x00\x00\x00\x00x", bare[] = "\x81\x01x";

    cr_assert(eq(int, decode_as(false, masked, 7, &d), TDM_EPROTO));
    cr_assert(eq(int, d.fail_code, WS_PROTOCOL));
    cr_assert(eq(int, decode_as(true, bare, 3, &d), TDM_EPROTO));
    cr_assert(eq(int, d.fail_code, WS_PROTOCOL));
}

Test(io_ws_decoder, a_complete_bare_text_frame_is_handed_out_where_it_lies)
{
    struct ws_decoder d = { .env = &plain_env, .message_max = 1000 };
    char wire[] = "\x81\x05hello\x81\x03two";
    struct ws_event ev;
    size_t used;

    cr_assert(eq(int, ws_decode(&d, wire, sizeof wire - 1, &used, &ev), 1));
    cr_assert(eq(ptr, ev.data, wire + 2));
    cr_assert(eq(sz, ev.bytes, 5));
    cr_assert(eq(sz, used, 7));
    cr_assert(eq(ptr, d.message.data, NULL), "no memory of its own");
}

Test(io_ws_decoder, a_header_that_claims_gigabytes_costs_no_memory_until_they_come)
{
    struct ws_decoder d = { .env = &plain_env, .message_max = SIZE_MAX / 2 };
    char wire[14] = "\x82\x7f\x00\x00\x01\x00\x00\x00\x00\x00"
                    "abcd";
    struct ws_event ev;
    size_t used;

    cr_assert(eq(int, ws_decode(&d, wire, sizeof wire, &used, &ev), 0));
    cr_assert(eq(sz, used, sizeof wire));
    cr_assert(lt(sz, d.message.room, 4096));
    ws_decoder_free(&d);
}

Test(io_ws_decoder, bad_text_is_found_with_the_piece_that_has_it_not_at_the_end_of_the_message)
{
    struct ws_decoder d = { .env = &plain_env, .message_max = 100000 };
    char wire[] = "\x01\x02\xc3\x28";
    struct ws_event ev;
    size_t used;

    cr_assert(eq(int, ws_decode(&d, wire, 4, &used, &ev), TDM_EPROTO));
    cr_assert(eq(int, d.fail_code, WS_NOT_UTF8));
    ws_decoder_free(&d);
}
