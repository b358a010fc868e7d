#include "ari/rest.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

TestSuite(ari_rest, .timeout = 20);

static int outcome(int err, int status, const char *body, enum rest_about about, char *words)
{
    const size_t bytes = strlen(body);
    struct tdm_http_reply *r = calloc(1, sizeof *r + bytes + 1);

    r->err = err;
    r->status = status;
    r->body_bytes = (uint32_t)bytes;
    memcpy(r->body, body, bytes);
    const int result = rest_outcome(r, about, words);

    free(r);
    return result;
}

Test(ari_rest, each_status_means_what_the_fact_sheet_says)
{
    static const struct {
        int status;
        enum rest_about about;
        const char *body;
        int err;
    } cases[] = {
        { 200, REST_OTHER, "{}", TDM_OK },
        { 201, REST_CHANNEL, "", TDM_OK },
        { 204, REST_CHANNEL, "", TDM_OK },
        { 400, REST_CHANNEL, "{\"message\":\"Missing parameter\"}", TDM_EREFUSED },
        { 401, REST_CHANNEL, "{\"message\":\"Authentication required\"}", TDM_EAUTH },
        { 403, REST_CHANNEL, "{\"message\":\"Write access denied\"}", TDM_EAUTH },
        { 404, REST_CHANNEL, "{\"message\":\"Channel not found\"}", TDM_EHANGUP },
        { 404, REST_VARIABLE, "{\"message\":\"Channel not found\"}", TDM_EHANGUP },
        { 404, REST_VARIABLE, "{\"message\":\"Provided variable was not found\"}", TDM_ENOTFOUND },
        { 404, REST_PLAYBACK, "{\"message\":\"Playback not found\"}", TDM_ENOTFOUND },
        { 404, REST_OTHER, "<html>", TDM_ENOTFOUND },
        { 405, REST_OTHER, "", TDM_EREFUSED },
        { 409, REST_CHANNEL, "{\"message\":\"Channel not in Stasis application\"}", TDM_EREFUSED },
        { 412, REST_CHANNEL, "", TDM_EREFUSED },
        { 413, REST_OTHER, "", TDM_EREFUSED },
        { 422, REST_OTHER, "", TDM_EREFUSED },
        { 500, REST_CHANNEL, "{\"error\":\"Allocation failed\"}", TDM_EPEER },
        { 501, REST_OTHER, "", TDM_ENOTSUP },
        { 503, REST_OTHER, "{\"message\":\"Asterisk not booted\"}", TDM_EPEER },
    };
    char words[REST_WORDS_BYTES];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int err = outcome(TDM_OK, cases[i].status, cases[i].body, cases[i].about, words);

        cr_assert(eq(int, err, cases[i].err), "status %d", cases[i].status);
        cr_assert(eq(int, words[0] == '\0', err == TDM_OK), "status %d: \"%s\"", cases[i].status, words);
    }
}

Test(ari_rest, without_an_answer_the_reason_stays)
{
    char words[REST_WORDS_BYTES];

    cr_assert(eq(int, outcome(TDM_ETIMEOUT, 0, "", REST_CHANNEL, words), TDM_ETIMEOUT));
    cr_assert(eq(int, outcome(TDM_ECONN, 0, "", REST_CHANNEL, words), TDM_ECONN));
    cr_assert(eq(int, outcome(TDM_EBUSY, 0, "", REST_CHANNEL, NULL), TDM_EBUSY));
}

Test(ari_rest, a_refusal_gives_the_servers_words_and_what_to_do)
{
    char words[REST_WORDS_BYTES], body[2000];

    outcome(TDM_OK, 409, "{\"message\":\"Channel not in Stasis application\"}", REST_CHANNEL, words);
    cr_assert(ne(ptr, strstr(words, "Channel not in Stasis application"), NULL));
    cr_assert(ne(ptr, strstr(words, "has left the app"), NULL));
    outcome(TDM_OK, 500, "{\"error\":\"Allocation failed\"}", REST_CHANNEL, words);
    cr_assert(ne(ptr, strstr(words, "Allocation failed"), NULL));
    memset(body, 'x', sizeof body);
    memcpy(body, "{\"message\":\"", 12);
    memcpy(body + sizeof body - 3, "\"}", 3);
    cr_assert(eq(int, outcome(TDM_OK, 500, body, REST_CHANNEL, words), TDM_EPEER), "a message without end");
}

Test(ari_rest, requests_of_one_channel_have_one_key_and_it_is_never_zero)
{
    cr_assert(eq(u64, rest_order_key("1795201405.0"), rest_order_key("1795201405.0")));
    cr_assert(ne(u64, rest_order_key("1795201405.0"), rest_order_key("1795201405.1")));
    cr_assert(ne(u64, rest_order_key(""), 0));
}
