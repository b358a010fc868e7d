/* The program's own configuration: addresses, and what only several keys together tell. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "program_config.h"
#include "tandem/app.h"
#include "tandem/log.h"

TestSuite(program_config, .timeout = 30);

static struct program_config cfg;
static struct tdm_config_report report;

static bool known(const char *name)
{
    return strcmp(name, "hello") == 0 || strcmp(name, "reception") == 0;
}

static int load(const char *text)
{
    return program_config_load_text("t.yaml", text, strlen(text), known, &cfg, &report);
}

static void done(void)
{
    program_config_free(&cfg);
    tdm_config_report_free(&report);
}

static void refused(const char *text, const char *want)
{
    char *got = NULL;
    size_t bytes = 0;
    int err = load(text);
    FILE *f = open_memstream(&got, &bytes);

    tdm_config_report_print(&report, f);
    fclose(f);
    cr_expect(eq(int, err, TDM_ECONFIG));
    cr_expect(eq(str, got, (char *)want));
    free(got);
    done();
}

#define SOURCE(apps)                                                                                     \
    "sources:\n  pbx1: { type: ari, url: \"http://127.0.0.1:8088\", user: u, password: secret-1, apps: " \
    "[" apps "] }\n"

Test(program_config, a_whole_file_is_read)
{
    setenv("TEST_ARI_PASSWORD", "hunter22", 1);
    cr_assert(zero(
        int, load("runtime:\n  workers: 2\n  log: { level: warn, format: json }\n"
                  "  metrics: { listen: \"127.0.0.1:9464\" }\n"
                  "sources:\n  pbx1:\n    type: ari\n    url: https://pbx:8089/asterisk\n    user: tandem\n"
                  "    password: ${TEST_ARI_PASSWORD}\n    ca_file: /etc/ca.pem\n"
                  "    apps: [router, reception]\n    receipts: true\n    connections: 4\n"
                  "    request_timeout: 5s\n    ping: 3s\n"
                  "router:\n  app: router\n  extensions:\n"
                  "    - { match: \"100\", app: reception }\n    - { match: _2XX, app: hello }\n"
                  "  unknown: { action: app, cause: 21, app: hello }\n"
                  "apps:\n  reception: { restarts: 5, period: 1m, options: { greeting: \"sound:hello\" } }\n"
                  "stop: { drain: 10s }\n")));
    cr_expect(eq(i64, cfg.workers, 2));
    cr_expect(eq(int, cfg.log.level, TDM_LOG_WARN));
    cr_expect(eq(int, cfg.log.format, TDM_LOG_JSON));
    cr_expect(eq(str, cfg.metrics_listen, "127.0.0.1:9464"));
    cr_assert(eq(sz, cfg.n_sources, 1));
    cr_expect(eq(str, cfg.sources[0].name, "pbx1"));
    cr_expect(eq(str, cfg.sources[0].password, "hunter22"));
    cr_expect(eq(str, cfg.sources[0].apps[1], "reception"));
    cr_expect(cfg.sources[0].receipts);
    cr_expect(eq(i64, cfg.sources[0].request_timeout_ms, 5000));
    cr_assert(eq(sz, cfg.router.n_extensions, 2));
    cr_expect(eq(str, cfg.router.extensions[1].match, "_2XX"));
    cr_expect(eq(int, cfg.router.unknown.action, UNKNOWN_APP));
    cr_expect(eq(i64, cfg.router.unknown.cause, 21));
    const struct program_app *app = program_config_app(&cfg, "reception");
    cr_assert(ne(ptr, (void *)app, NULL));
    cr_expect(eq(i64, app->period_ms, 60000));
    cr_expect(eq(str, (char *)program_app_option(app, "greeting", "x"), "sound:hello"));
    cr_expect(eq(str, (char *)program_app_option(app, "other", "x"), "x"));
    cr_expect(eq(str, (char *)program_app_option(NULL, "greeting", "x"), "x"));
    cr_expect(zero(ptr, (void *)program_config_app(&cfg, "hello")));
    cr_expect(eq(i64, cfg.stop.drain_ms, 10000));
    done();
}

Test(program_config, the_smallest_file_has_one_source)
{
    cr_assert(zero(int, load(SOURCE("hello"))));
    cr_expect(eq(int, cfg.log.level, TDM_LOG_INFO));
    cr_expect(eq(i64, cfg.sources[0].connections, 8));
    cr_expect(eq(i64, cfg.sources[0].ping_ms, 10000));
    cr_expect(eq(i64, cfg.stop.drain_ms, 30000));
    cr_expect(zero(ptr, cfg.router.app));
    cr_expect(zero(ptr, cfg.metrics_listen));
    done();
    refused(
        "stop: { drain: 1s }\n",
        "t.yaml:1:1: sources: is missing; it must be a map of keys and values (allowed: 1 to 100 entries)\n");
    refused("sources: {}\n", "t.yaml:1:10: sources: has 0 entries (allowed: 1 to 100 entries)\n");
}

Test(program_config, apps_must_be_known_to_the_program)
{
    refused(SOURCE("hello, helo"), "t.yaml:2:95: sources.pbx1.apps[1]: there is no app \"helo\" "
                                   "(allowed: an app that is built in or loaded)\n");
    refused(SOURCE("router") "router: { app: router, extensions: [ { match: 1, app: nobody } ] }\n",
            "t.yaml:3:55: router.extensions[0].app: there is no app \"nobody\" "
            "(allowed: an app that is built in or loaded)\n");
    refused(
        SOURCE("hello") "apps: { nobody: { restarts: 1 } }\n",
        "t.yaml:3:9: apps.nobody: there is no app \"nobody\" (allowed: an app that is built in or loaded)\n");
    cr_expect(zero(int, program_config_load_text("t", SOURCE("anything"), strlen(SOURCE("anything")), NULL,
                                                 &cfg, &report)),
              "without a list nothing is looked up");
    done();
}

Test(program_config, the_router_needs_a_source_that_serves_its_app)
{
    refused(SOURCE("hello") "router: { app: router }\n",
            "t.yaml:3:16: router.app: \"router\" is in the apps of no source\n");
    refused(SOURCE("hello") "router: { extensions: [ { match: 1, app: hello } ] }\n",
            "t.yaml:3:9: router.app: is missing; without it the extensions are not used\n");
    refused(SOURCE("router") "router: { app: router, unknown: { action: app } }\n",
            "t.yaml:3:33: router.unknown.app: is missing; action: app needs it\n");
    refused(SOURCE("router") "router: { app: router, unknown: { action: hangup, cause: 128 } }\n",
            "t.yaml:3:58: router.unknown.cause: 128 is out of range (allowed: 1 to 127)\n");
}

Test(program_config, two_patterns_that_match_the_same_are_a_fault)
{
    refused(SOURCE("router") "router:\n  app: router\n  extensions:\n    - { match: _2XX, app: hello }\n"
                             "    - { match: _2xx, app: reception }\n",
            "t.yaml:7:16: router.extensions[1].match: matches the same as router.extensions[0], so it is "
            "never used\n");
}

Test(program_config, dashes_do_not_hide_that_two_extensions_are_the_same)
{
    refused(SOURCE("router") "router:\n  app: router\n  extensions:\n    - { match: 5-5, app: hello }\n"
                             "    - { match: 54, app: hello }\n    - { match: 55, app: hello }\n",
            "t.yaml:8:16: router.extensions[2].match: matches the same as router.extensions[0], so it is "
            "never used\n");
}

Test(program_config, one_server_gives_an_app_to_one_source)
{
    refused(
        SOURCE("hello") "  pbx2: { type: ari, url: \"http://127.0.0.1:8088\", user: u, password: secret-1, "
                        "apps: [hello] }\n",
        "t.yaml:3:87: sources.pbx2.apps: \"hello\" is registered at the same server by source pbx1\n");
    refused(SOURCE("hello, hello"), "t.yaml:2:95: sources.pbx1.apps[1]: is in this list already\n");
}

Test(program_config, urls_are_taken_apart)
{
    static const struct {
        const char *url, *host, *prefix;
        uint16_t port;
        bool tls;
    } good[] = {
        { "http://127.0.0.1:8088", "127.0.0.1", "", 8088, false },
        { "http://pbx", "pbx", "", 8088, false },
        { "https://pbx", "pbx", "", 8089, true },
        { "HTTPS://pbx.example:443/", "pbx.example", "", 443, true },
        { "http://pbx:80/asterisk/", "pbx", "/asterisk", 80, false },
        { "http://[::1]:8088/a/b", "::1", "/a/b", 8088, false },
        { "http://[fe80::1]", "fe80::1", "", 8088, false },
    };
    struct program_address a;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        const char *wrong = program_url_parse(good[i].url, &a);
        cr_assert(wrong == NULL, "%s: %s", good[i].url, wrong);
        cr_expect(eq(str, a.host, (char *)good[i].host));
        cr_expect(eq(str, a.prefix, (char *)good[i].prefix));
        cr_expect(eq(int, a.port, good[i].port));
        cr_expect(eq(int, a.tls, good[i].tls));
    }
}

Test(program_config, urls_that_cannot_be_used_are_refused)
{
    static const struct {
        const char *url, *wrong;
    } bad[] = {
        { "", "must start with http" },
        { "pbx:8088", "must start with http" },
        { "ws://pbx", "must start with http" },
        { "http://", "has no host name" },
        { "http://:8088", "has no host name" },
        { "http://pbx:", "needs a port" },
        { "http://pbx:0", "needs a port" },
        { "http://pbx:65536", "needs a port" },
        { "http://pbx:80a", "needs a port" },
        { "http://p bx", "has a character in its host" },
        { "http://pbx/a b", "has a character in its path" },
        { "http://pbx/?api_key=a:b", "must not have a query" },
        { "http://pbx/#x", "must not have a query" },
        { "http://me:secret@pbx", "must not hold a user or password" },
        { "http://me:se/cret@pbx", "must not hold a user or password" },
        { "http://[::1", "has a [ without its ]" },
        { "http://[::1]x", "has something between ]" },
    };
    struct program_address a = { .port = 7 };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *wrong = program_url_parse(bad[i].url, &a);
        cr_expect(wrong != NULL && strncmp(wrong, bad[i].wrong, strlen(bad[i].wrong)) == 0, "%s: %s",
                  bad[i].url, wrong == NULL ? "accepted" : wrong);
        cr_expect(wrong == NULL || strstr(wrong, "secret") == NULL);
    }
    cr_expect(eq(int, a.port, 7), "results are written only on success");
    cr_expect(zero(ptr, (void *)program_listen_parse("127.0.0.1:9464", &a)));
    cr_expect(eq(int, a.port, 9464));
    cr_expect(ne(ptr, (void *)program_listen_parse("127.0.0.1", &a), NULL));
}

Test(program_config, heart_notes_stop_and_give_up)
{
    cr_assert(zero(int, load(SOURCE("hello"))));
    cr_expect(eq(int, cfg.heart, HEART_ON));
    cr_expect(eq(i64, cfg.heartbeat.ping_ms, 1000));
    cr_expect(eq(i64, cfg.notes_max, 16384));
    cr_expect(eq(i64, cfg.stop.end_ms, 10000));
    done();
    cr_assert(
        zero(int, load("runtime: { heart: auto, notes: /tmp/n, notes_max: 0, heartbeat: { misses: 3 } }\n"
                       "apps: { hello: { on_give_up: hand_back } }\n"
                       "stop: { drain: 1s, end: 2s, sources: 3s, tree: 4s }\n" SOURCE("hello"))));
    cr_expect(eq(int, cfg.heart, HEART_AUTO));
    cr_expect(eq(str, cfg.notes, "/tmp/n"));
    cr_expect(eq(i64, cfg.heartbeat.misses, 3));
    cr_expect(eq(int, program_config_app(&cfg, "hello")->on_give_up, TDM_GIVE_UP_HAND_BACK));
    cr_expect(eq(i64, cfg.stop.drain_ms + cfg.stop.end_ms + cfg.stop.sources_ms + cfg.stop.tree_ms, 10000));
    done();
    refused("runtime: { heart: maybe }\n" SOURCE("hello"),
            "t.yaml:1:19: runtime.heart: unknown word \"maybe\" (allowed: on, off, auto)\n");
}
