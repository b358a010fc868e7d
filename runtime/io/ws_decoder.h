/* ws_decoder.h - bytes in, whole messages and control frames out. No I/O. */
#ifndef RUNTIME_IO_WS_DECODER_H
#define RUNTIME_IO_WS_DECODER_H
#include "io/bytes.h"
#include "io/utf8.h"
#include "io/ws_frame.h"

/* A frame up to this size is waited for in the receive buffer; a longer one is taken piece by piece. */
enum { WS_WAIT_MAX = 16 * 1024 };

enum ws_got { WS_GOT_TEXT = 1, WS_GOT_BINARY, WS_GOT_PING, WS_GOT_PONG, WS_GOT_CLOSE };

struct ws_event {
    enum ws_got got;
    char *data; /* valid until the next call; for CLOSE the reason */
    size_t bytes;
    uint16_t code; /* CLOSE only; WS_NO_CODE when there was none */
};

/* Set the first three fields, zero the rest. */
struct ws_decoder {
    struct tdm_env *env;
    bool from_client; /* we are the server: frames must be masked; else they must not be */
    size_t message_max;

    bool in_message; /* fragments of a message have come, more follow */
    bool in_text;    /* of text */
    bool handed_out; /* `message` was given to the caller and is not needed any more */
    struct utf8 utf8;
    struct bytes message;   /* what has come of it */
    struct ws_header frame; /* the long frame being taken in pieces */
    uint64_t left;          /* of its payload; 0: none is */
    uint16_t fail_code;     /* after a failure: the close code to send */
    const char *fail_text;
};

/* Take what comes first in p[0..n). *used says how many bytes are done with, in every case.
 * 1: *ev is filled in; call again with the rest. 0: more bytes are needed; the unused ones come again.
 * TDM_EPROTO, TDM_ETOOBIG, TDM_ENOMEM: see fail_code. Bytes of p are unmasked in place. */
int ws_decode(struct ws_decoder *d, char *p, size_t n, size_t *used, struct ws_event *ev);

void ws_decoder_free(struct ws_decoder *d);

#endif
