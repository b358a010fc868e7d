/* ws_frame.h - the wire form of a WebSocket frame (RFC 6455, section 5.2). Pure: no state, no I/O. */
#ifndef RUNTIME_IO_WS_FRAME_H
#define RUNTIME_IO_WS_FRAME_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_op {
    WS_OP_MORE = 0,
    WS_OP_TEXT = 1,
    WS_OP_BINARY = 2,
    WS_OP_CLOSE = 8,
    WS_OP_PING = 9,
    WS_OP_PONG = 10
};

enum { WS_HEADER_MAX = 14, WS_CONTROL_MAX = 125 };

/* Close codes used by us. */
enum {
    WS_NORMAL = 1000,
    WS_GOING_AWAY = 1001,
    WS_PROTOCOL = 1002,
    WS_NO_CODE = 1005,  /* never on the wire: a close without a code */
    WS_ABNORMAL = 1006, /* never on the wire: no close at all */
    WS_NOT_UTF8 = 1007,
    WS_TOO_BIG = 1009,
};

struct ws_header {
    uint64_t bytes;   /* of payload */
    uint8_t size;     /* of the header itself */
    uint8_t op;       /* as sent; may be a reserved one */
    uint8_t reserved; /* the three reserved bits */
    bool fin;
    bool masked;
    uint8_t mask[4];
};

/* Returns 1 with *h filled in; 0 when more bytes are needed; TDM_EPROTO for a length that is not in its
 * shortest form or above 2^63. */
int ws_header_read(const void *p, size_t n, struct ws_header *h);

/* Write a header for `bytes` of payload; mask NULL: unmasked. Returns its size (<= WS_HEADER_MAX). */
size_t ws_header_write(char *p, enum ws_op op, bool fin, size_t bytes, const uint8_t mask[4]);

/* Mask or unmask in place; `at` is the offset of p[0] in the payload. */
void ws_mask(char *p, size_t n, const uint8_t mask[4], size_t at);

/* May this code stand in a close frame? (section 7.4, and the registry of 2011 and after) */
bool ws_close_code_valid(unsigned code);

static inline bool ws_op_is_control(unsigned op)
{
    return op >= 8;
}

#endif
