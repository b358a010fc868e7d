/* ws_decoder.c - puts frames together to messages and refuses what RFC 6455 forbids.
 *
 * Idea:      an unfragmented frame that lies complete in the receive buffer, which is what an event source
 *            sends, is handed out where it lies. Only fragments and frames longer than WS_WAIT_MAX are
 *            copied, into one buffer per connection that grows with what has really come, not with what a
 *            header claims.
 * Invariant: left > 0 only between the pieces of one long data frame. A message's text was valid UTF-8 so
 *            far; a violation is found with the piece that has it.
 * Source:    RFC 6455, sections 5.1 to 5.6, 7.4, 8.1. */
#include "io/ws_decoder.h"

enum { KEEP_ROOM = 256 * 1024 }; /* a larger message buffer is given back after use */

static int fail(struct ws_decoder *d, int err, uint16_t code, const char *text)
{
    d->fail_code = code;
    d->fail_text = text;
    return err;
}

static int broken(struct ws_decoder *d, const char *text)
{
    return fail(d, TDM_EPROTO, WS_PROTOCOL, text);
}

static int check_control(struct ws_decoder *d, const struct ws_header *h)
{
    if (h->op > WS_OP_PONG)
        return broken(d, "unknown opcode");
    if (!h->fin)
        return broken(d, "fragmented control frame");
    if (h->bytes > WS_CONTROL_MAX)
        return broken(d, "control frame longer than 125 bytes");
    return TDM_OK;
}

/* Is this frame allowed here? */
static int check_header(struct ws_decoder *d, const struct ws_header *h)
{
    if (h->reserved != 0)
        return broken(d, "reserved bits set without an extension");
    if (h->masked != d->from_client)
        return broken(d, h->masked ? "masked frame from a server" : "unmasked frame from a client");
    if (ws_op_is_control(h->op))
        return check_control(d, h);
    if (h->op > WS_OP_BINARY)
        return broken(d, "unknown opcode");
    if (h->op == WS_OP_MORE && !d->in_message)
        return broken(d, "continuation of nothing");
    if (h->op != WS_OP_MORE && d->in_message)
        return broken(d, "new message inside another");
    if (h->bytes > d->message_max - (d->in_message ? d->message.used : 0))
        return fail(d, TDM_ETOOBIG, WS_TOO_BIG, "message larger than the limit");
    return TDM_OK;
}

static int take_close(struct ws_decoder *d, struct ws_event *ev)
{
    struct utf8 u = { 0 };

    ev->got = WS_GOT_CLOSE;
    ev->code = WS_NO_CODE;
    if (ev->bytes == 0)
        return 1;
    if (ev->bytes == 1)
        return broken(d, "close code cut short");
    ev->code = (uint16_t)((uint8_t)ev->data[0] << 8 | (uint8_t)ev->data[1]);
    ev->data += 2;
    ev->bytes -= 2;
    if (!ws_close_code_valid(ev->code))
        return broken(d, "invalid close code");
    if (!utf8_feed(&u, ev->data, ev->bytes) || !utf8_complete(&u))
        return fail(d, TDM_EPROTO, WS_NOT_UTF8, "close reason is not UTF-8");
    return 1;
}

static int take_control(struct ws_decoder *d, const struct ws_header *h, struct ws_event *ev)
{
    if (h->op == WS_OP_CLOSE)
        return take_close(d, ev);
    ev->got = h->op == WS_OP_PING ? WS_GOT_PING : WS_GOT_PONG;
    return 1;
}

/* Payload of a data frame: check the text so far. */
static int check_text(struct ws_decoder *d, const char *p, size_t n, bool last)
{
    if (!d->in_text)
        return TDM_OK;
    if (!utf8_feed(&d->utf8, p, n) || (last && !utf8_complete(&d->utf8)))
        return fail(d, TDM_EPROTO, WS_NOT_UTF8, "text is not UTF-8");
    return TDM_OK;
}

static void begin_message(struct ws_decoder *d, const struct ws_header *h)
{
    if (h->op == WS_OP_MORE)
        return;
    d->in_message = true;
    d->in_text = h->op == WS_OP_TEXT;
    d->utf8 = (struct utf8){ 0 };
}

static int end_message(struct ws_decoder *d, struct ws_event *ev)
{
    d->in_message = false;
    ev->got = d->in_text ? WS_GOT_TEXT : WS_GOT_BINARY;
    return 1;
}

/* A piece of a message that has to be collected; `last`: the message is complete with it. */
static int collect(struct ws_decoder *d, const char *p, size_t n, bool last, struct ws_event *ev)
{
    int err = check_text(d, p, n, last);

    if (err == TDM_OK && bytes_add(d->env, &d->message, p, n) != TDM_OK)
        err = fail(d, TDM_ENOMEM, 1011, "out of memory");
    if (err != TDM_OK || !last)
        return err;
    /* LOOP_RX_SLACK's promise for messages of our own making: the byte behind may be read. */
    if (bytes_reserve(d->env, &d->message, 1) != TDM_OK)
        return fail(d, TDM_ENOMEM, 1011, "out of memory");
    ev->data = d->message.data;
    ev->bytes = d->message.used;
    d->handed_out = true;
    return end_message(d, ev);
}

/* The next piece of a long frame. */
static int take_piece(struct ws_decoder *d, char *p, size_t n, size_t *used, struct ws_event *ev)
{
    size_t part = d->left < n ? (size_t)d->left : n;

    if (part == 0)
        return 0;
    if (d->frame.masked)
        ws_mask(p, part, d->frame.mask, (size_t)(d->frame.bytes - d->left));
    d->left -= part;
    *used += part;
    return collect(d, p, part, d->left == 0 && d->frame.fin, ev);
}

/* What was handed out before is free now. */
static void recycle(struct ws_decoder *d)
{
    d->handed_out = false;
    d->message.used = 0;
    if (d->message.room > KEEP_ROOM)
        bytes_free(d->env, &d->message);
}

/* A frame that lies in the buffer as a whole. */
static int take_frame(struct ws_decoder *d, const struct ws_header *h, struct ws_event *ev)
{
    int err;

    if (h->masked)
        ws_mask(ev->data, ev->bytes, h->mask, 0);
    if (ws_op_is_control(h->op))
        return take_control(d, h, ev);
    begin_message(d, h);
    if (h->op == WS_OP_MORE || !h->fin)
        return collect(d, ev->data, ev->bytes, h->fin, ev);
    err = check_text(d, ev->data, ev->bytes, true);
    return err == TDM_OK ? end_message(d, ev) : err;
}

int ws_decode(struct ws_decoder *d, char *p, size_t n, size_t *used, struct ws_event *ev)
{
    int err;

    *used = 0;
    if (d->handed_out)
        recycle(d);
    for (;;) {
        struct ws_header h;

        if (d->left > 0) {
            err = take_piece(d, p + *used, n - *used, used, ev);
            if (err != TDM_OK || d->left > 0)
                return err;
        }
        err = ws_header_read(p + *used, n - *used, &h);
        if (err == 0)
            return 0;
        err = err < 0 ? broken(d, "frame length not in its shortest form") : check_header(d, &h);
        if (err != TDM_OK)
            return err;
        if (n - *used - h.size >= h.bytes) {
            ev->data = p + *used + h.size;
            ev->bytes = (size_t)h.bytes;
            *used += h.size + (size_t)h.bytes;
            err = take_frame(d, &h, ev);
            if (err != TDM_OK)
                return err;
        } else if (h.bytes + h.size <= WS_WAIT_MAX) {
            return 0;
        } else {
            begin_message(d, &h);
            d->frame = h;
            d->left = h.bytes;
            *used += h.size;
        }
    }
}

void ws_decoder_free(struct ws_decoder *d)
{
    bytes_free(d->env, &d->message);
}
