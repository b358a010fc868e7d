/* cmd_demo.c - `tandem demo`: an exchange, the router, its apps and one crash, in one process over real
 * sockets.
 *
 * What it shows is what a real switch would see: the apps speak ARI to a listening port, and know nothing of
 * the simulation behind it. The last line is JSON; exit status 0 says that no event was lost or out of order.
 */
#include "cmd_demo.h"

#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tandem/log.h>

#include "demo_screen.h"
#include "program.h"

enum { EXIT_GOOD, EXIT_LOST, EXIT_USAGE };

static const char config_text[] = "runtime: { log: { level: error } }\n"
                                  "sources:\n"
                                  "  exchange:\n"
                                  "    type: ari\n"
                                  "    url: http://127.0.0.1:%u\n"
                                  "    user: tandem\n"
                                  "    password: only-for-this-demo\n"
                                  "    apps: [router]\n"
                                  "    receipts: true\n"
                                  "router:\n"
                                  "  app: router\n"
                                  "  extensions:\n"
                                  "    - { match: \"100\", app: reception }\n"
                                  "    - { match: \"_2XX\", app: hello }\n"
                                  "    - { match: \"666\", app: crashy }\n"
                                  "  unknown: { action: hand_back }\n";

static const struct exchange_plan plans[] = {
    { .exten = "100", .script = "wait answer; wait 500ms; press 1; wait 2500ms; hangup", .weight = 6 },
    { .exten = "100",
      .script = "wait answer; wait 300ms; press 2; wait 400ms; press 101|234; press 42#; wait 2s; hangup",
      .weight = 6 },
    { .exten = "100", .script = "wait answer; wait 200ms; press 9; wait 1s; press 0", .weight = 3 },
    { .exten = "100", .script = "wait answer; hangup@any", .weight = 3 },
    { .exten = "201", .script = "wait answer", .weight = 4 },
    { .exten = "999", .script = "wait 100ms", .weight = 1 },
};

static int usage(FILE *to)
{
    fputs("usage: tandem demo [--calls N] [--rate R] [--plain]\n"
          "  --calls N  how many calls (default 40)\n"
          "  --rate R   calls per second (default 10)\n"
          "  --plain    lines instead of a live list, also on a terminal\n",
          to);
    return to == stdout ? EXIT_GOOD : EXIT_USAGE;
}

struct options {
    uint64_t calls;
    double rate;
    bool plain;
};

/* -1 to go on, else the exit status. */
static int read_options(struct options *o, int argc, char **argv)
{
    static const struct option longs[] = { { "calls", required_argument, NULL, 'c' },
                                           { "rate", required_argument, NULL, 'r' },
                                           { "plain", no_argument, NULL, 'p' },
                                           { "help", no_argument, NULL, 'h' },
                                           { 0 } };
    int c;

    optind = 0;
    while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        if (c == 'c')
            o->calls = strtoull(optarg, NULL, 10);
        else if (c == 'r')
            o->rate = strtod(optarg, NULL);
        else if (c == 'p')
            o->plain = true;
        else
            return usage(c == 'h' ? stdout : stderr);
    }
    if (optind < argc || o->calls < 1 || o->calls > 1000000 || !(o->rate > 0 && o->rate <= 10000))
        return usage(stderr);
    return -1;
}

static int start_exchange(struct exchange **ret, struct tdm_runtime *rt, const struct options *o,
                          tdm_pid screen)
{
    char why[400] = "";
    struct exchange_cfg cfg = { .password = "only-for-this-demo",
                                .app = "router",
                                .plans = plans,
                                .n_plans = sizeof plans / sizeof plans[0],
                                .calls = o->calls,
                                .rate = o->rate,
                                .real_time = true,
                                .seed = 7,
                                .settle_ms = 5000,
                                .steps = true,
                                .report_to = screen };
    int err = exchange_start(rt, &cfg, ret, why, sizeof why);

    if (err < 0)
        fprintf(stderr, "tandem demo: cannot start the exchange: %s\n",
                why[0] != '\0' ? why : tdm_strerror(err));
    return err;
}

static int start_apps(struct program **ret, struct tdm_runtime *rt, struct program_config *cfg, unsigned port)
{
    struct tdm_config_report report = { 0 };
    char text[sizeof config_text + 16];
    int n = snprintf(text, sizeof text, config_text, port);
    int err = program_config_load_text("demo", text, (size_t)n, program_known_apps, cfg, &report);

    tdm_config_report_print(&report, stderr);
    tdm_config_report_free(&report);
    return err < 0 ? err : program_start(ret, rt, cfg);
}

static int conclude(struct demo_result *r)
{
    char text[1024];

    if (!atomic_load_explicit(&r->told, memory_order_acquire)) {
        fputs("tandem demo: ended before the result was known\n", stderr);
        return EXIT_LOST;
    }
    exchange_result(text, sizeof text, &r->counters);
    puts(text);
    return exchange_good(&r->counters) ? EXIT_GOOD : EXIT_LOST;
}

static void run(struct exchange *ex, const struct options *o, const sigset_t *set)
{
    /* The one call that crashes: dialled by hand among the others. */
    const struct exchange_call crash = { .exten = "666",
                                         .script = "wait answer; wait 300ms; press 3; wait play" };

    program_wait_signal(set, 1.0); /* until the others have begun */
    exchange_place_call(ex, &crash);
    if (program_wait_signal(set, 60 + (double)o->calls / o->rate * 2) == PROGRAM_DONE)
        return;
    exchange_finish(ex);
    program_wait_signal(set, 15);
}

static int show(const struct options *o, struct tdm_runtime *rt, const sigset_t *set)
{
    struct program_config cfg = { 0 };
    struct demo_result result = { .told = false };
    struct exchange *ex = NULL;
    struct program *p = NULL;
    tdm_pid screen;
    int err = demo_screen_start(rt, !o->plain && isatty(1), &result, &screen);

    if (err == TDM_OK)
        err = start_exchange(&ex, rt, o, screen);
    if (err == TDM_OK)
        err = start_apps(&p, rt, &cfg, exchange_port(ex));
    if (err == TDM_OK)
        run(ex, o, set);
    tdm_runtime_stop(rt, 5000);
    program_free(p);
    exchange_stop(ex);
    program_config_free(&cfg);
    return err < 0 ? EXIT_USAGE : conclude(&result);
}

int cmd_demo(int argc, char **argv)
{
    struct options o = { .calls = 40, .rate = 10 };
    int status = read_options(&o, argc, argv);
    struct tdm_runtime *rt;

    if (status >= 0)
        return status;
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigset_t set = program_block_signals();
    tdm_log_configure(&(struct tdm_log_cfg){ .level = TDM_LOG_ERROR });
    int err = tdm_runtime_new(&rt, NULL);
    if (err < 0) {
        fprintf(stderr, "tandem demo: cannot start the runtime: %s\n", tdm_strerror(err));
        return EXIT_USAGE;
    }
    status = show(&o, rt, &set);
    tdm_log_flush();
    tdm_runtime_free(rt);
    return status;
}
