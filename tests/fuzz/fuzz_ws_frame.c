/* The WebSocket decoder: whatever comes, and however it is cut, it gives the same messages and never reads or
 * writes outside what it was given. The first byte chooses the role, the second how the bytes are cut. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/ws_decoder.h"

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

/* What came out, boiled down: order, kinds, lengths and bytes all change it. */
struct digest {
    uint64_t sum;
    int result;
    unsigned code;
};

static void stir(struct digest *d, const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        d->sum = (d->sum ^ ((const uint8_t *)p)[i]) * UINT64_C(0x100000001b3);
}

/* Feed at most `step` bytes at a time; each call gets a heap block of exactly what is there. */
static struct digest run(bool from_client, const uint8_t *data, size_t n, size_t step)
{
    struct ws_decoder d = { .env = &plain_env, .from_client = from_client, .message_max = 100000 };
    struct digest out = { .sum = 1 };
    size_t from = 0, to = 0;

    while (to < n && out.result >= 0) {
        struct ws_event ev;
        size_t used, have, at = 0;
        char *block;

        to = n - to < step ? n : to + step;
        have = to - from;
        block = malloc(have > 0 ? have : 1);
        memcpy(block, data + from, have);
        while ((out.result = ws_decode(&d, block + at, have - at, &used, &ev)) > 0) {
            at += used;
            stir(&out, &ev.got, sizeof ev.got);
            stir(&out, &ev.bytes, sizeof ev.bytes);
            stir(&out, ev.data, ev.bytes);
        }
        from += at + used;
        free(block);
    }
    out.code = d.fail_code;
    ws_decoder_free(&d);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct digest whole, cut;

    if (size < 2)
        return 0;
    whole = run(data[0] & 1, data + 2, size - 2, SIZE_MAX / 2);
    cut = run(data[0] & 1, data + 2, size - 2, 1 + data[1] % 64);
    if (whole.result < 0 || cut.result < 0) {
        /* Text is checked as it comes, so one cut may find a fault before another; both must find it. */
        if (whole.result != cut.result || whole.code != cut.code)
            abort();
    } else if (whole.sum != cut.sum) {
        abort();
    }
    return 0;
}
