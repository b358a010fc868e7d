#include "ari/conn.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

TestSuite(ari_explain, .timeout = 20);

static const struct tdm_ari_cfg good = { .name = "pbx1",
                                         .host = "pbx.example",
                                         .port = 8088,
                                         .user = "tandem",
                                         .password = "s3cret",
                                         .apps = (const char *const[]){ "ivr", NULL } };

static bool says(struct tdm_ws_state state, bool opened, int err, const char *words)
{
    char text[CONN_WORDS_BYTES];

    cr_assert(eq(int, conn_explain(&good, &state, opened, text), err), "%s", text);
    cr_assert(eq(ptr, strstr(text, good.password), NULL));
    cr_assert(ne(ptr, strstr(text, "pbx.example:8088"), NULL), "%s", text);
    if (strstr(text, words) == NULL)
        cr_log_error("\"%s\" does not say \"%s\"", text, words);
    return strstr(text, words) != NULL;
}

Test(ari_explain, every_way_of_failing_has_advice_of_its_own)
{
    cr_assert(says((struct tdm_ws_state){ .err = TDM_EAUTH, .http_status = 401 }, false, TDM_EAUTH,
                   "user and password"));
    cr_assert(
        says((struct tdm_ws_state){ .err = TDM_EAUTH, .http_status = 403 }, false, TDM_EAUTH, "permit"));
    cr_assert(says((struct tdm_ws_state){ .err = TDM_ENOTFOUND, .http_status = 404 }, false, TDM_EREFUSED,
                   "res_ari"));
    cr_assert(says((struct tdm_ws_state){ .err = TDM_EREFUSED, .http_status = 400 }, false, TDM_EREFUSED,
                   "app names"));
    cr_assert(says((struct tdm_ws_state){ .err = TDM_EREFUSED, .http_status = 503 }, false, TDM_EREFUSED,
                   "starting"));
    cr_assert(
        says((struct tdm_ws_state){ .err = TDM_EREFUSED, .http_status = 302 }, false, TDM_EREFUSED, "302"));
    cr_assert(says((struct tdm_ws_state){ .err = TDM_ECONN, .text = "Connection refused" }, false, TDM_ECONN,
                   "Connection refused; check host and port"));
    cr_assert(says((struct tdm_ws_state){ .err = TDM_ETLS, .text = "TLS: hostname mismatch" }, false,
                   TDM_ETLS, "tls.server_name"));
    cr_assert(says((struct tdm_ws_state){ .err = TDM_ETIMEOUT }, false, TDM_ETIMEOUT, "firewall"));
    cr_assert(says((struct tdm_ws_state){ .err = TDM_EPROTO, .http_status = 101, .text = "wrong accept" },
                   false, TDM_EPROTO, "wrong accept"));
    cr_assert(
        says((struct tdm_ws_state){ .err = TDM_ECONN, .code = 1006 }, true, TDM_ECONN, "the server stopped"));
    cr_assert(says((struct tdm_ws_state){ .code = 1001 }, true, TDM_ECONN, "shuts down"));
    cr_assert(says((struct tdm_ws_state){ .code = 1011 }, true, TDM_ECONN, "overloaded"));
}

Test(ari_explain, the_address_names_the_apps_and_encodes_them)
{
    struct tdm_ari_cfg cfg = good;
    char text[200];

    conn_target(text, sizeof text, &cfg);
    cr_assert(eq(str, text, "/ari/events?app=ivr"));
    cfg.apps = (const char *const[]){ "front desk", "b&c", NULL };
    cfg.prefix = "/pbx";
    cfg.subscribe_all = true;

    const size_t bytes = conn_target(text, sizeof text, &cfg);

    cr_assert(eq(str, text, "/pbx/ari/events?app=front%20desk,b%26c&subscribeAll=true"));
    cr_assert(eq(sz, bytes, strlen(text)));
    for (size_t room = 0; room < bytes; room++)
        cr_assert(eq(sz, conn_target(text, room, &cfg), bytes), "the length does not depend on the room");
}

Test(ari_explain, each_fault_of_a_configuration_names_its_key)
{
    static const char long_app[] =
        "12345678901234567890123456789012345678901234567890123456789012345678901234";
    struct tdm_ari_cfg cfg;

#define FAULT(key, ...)                                                                           \
    do {                                                                                          \
        cfg = good;                                                                               \
        __VA_ARGS__;                                                                              \
        cr_assert(ne(ptr, (void *)ari_cfg_fault(&cfg), NULL), "%s", key);                         \
        cr_assert(eq(int, strncmp(ari_cfg_fault(&cfg), key ":", strlen(key) + 1), 0), "%s", key); \
    } while (0)
    cr_assert(eq(ptr, (void *)ari_cfg_fault(&good), NULL));
    FAULT("name", cfg.name = NULL);
    FAULT("host", cfg.host = "");
    FAULT("user", cfg.user = NULL);
    FAULT("user", cfg.user = "a:b");
    FAULT("password", cfg.password = NULL);
    FAULT("prefix", cfg.prefix = "asterisk");
    FAULT("prefix", cfg.prefix = "/asterisk/");
    FAULT("apps", cfg.apps = NULL);
    FAULT("apps", cfg.apps = (const char *const[]){ NULL });
    FAULT("apps", cfg.apps = (const char *const[]){ "ok", "a,b", NULL });
    FAULT("apps", cfg.apps = (const char *const[]){ "", NULL });
    FAULT("apps", cfg.apps = (const char *const[]){ long_app, NULL });
    FAULT("backoff_max_ms", cfg.backoff_min_ms = 100; cfg.backoff_max_ms = 50);
#undef FAULT
}
