/* cmd_call.c - `tandem call APP`: ring one app from this terminal, press keys, see every step.
 *
 * An exchange in this process places one call to the app; what is typed is pressed: digits, * and #; h hangs
 * up. From a pipe the same characters are read as they come. */
#include "cmd_call.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <tandem/log.h>
#include <tandem/source.h>

#include "demo_screen.h"
#include "program.h"

enum { EXIT_GOOD, EXIT_LOST, EXIT_USAGE };

static const char config_text[] = "runtime: { log: { level: warn } }\n"
                                  "sources:\n"
                                  "  exchange:\n"
                                  "    type: ari\n"
                                  "    url: http://127.0.0.1:%u\n"
                                  "    user: tandem\n"
                                  "    password: only-for-this-call\n"
                                  "    apps: [%s]\n"
                                  "    receipts: true\n";

static int usage(FILE *to)
{
    fputs("usage: tandem call APP [ARGS]\n"
          "  Rings the app; 0-9 A-D * # are pressed as they are typed, h hangs up, q quits.\n"
          "  ARGS are the arguments of Stasis(), with commas between.\n",
          to);
    size_t n;
    const struct tdm_app *const *apps = program_apps(&n);
    for (size_t i = 0; i < n; i++)
        fprintf(to, "  %-12s %s\n", apps[i]->name, apps[i]->summary);
    return to == stdout ? EXIT_GOOD : EXIT_USAGE;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static struct termios cooked;

/* Place the call when the app is there; false: a signal came first. */
static bool place(struct exchange *ex, struct program *p, const sigset_t *set)
{
    while (!program_live(p))
        if (program_wait_signal(set, 0.01) != 0)
            return false;
    exchange_place_call(ex, &(struct exchange_call){ .exten = "100" });
    return true;
}

static bool keys_raw(void)
{
    struct termios raw;

    if (!isatty(0) || tcgetattr(0, &cooked) < 0)
        return false;
    raw = cooked;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tcsetattr(0, TCSANOW, &raw);
    return true;
}

static void press(struct exchange *ex, char key, bool *quit)
{
    const char digit[2] = { key, '\0' };

    if (key == 'h' || key == 'q')
        exchange_hang_up(ex, NULL);
    else if (strchr("0123456789*#ABCD", key) != NULL && key != '\0')
        exchange_press(ex, NULL, digit);
    *quit = key == 'q';
}

/* Until the caller has gone (PROGRAM_DONE), or a key or a signal says so; then until the result is known. */
static void talk(struct exchange *ex, const _Atomic bool *told, const sigset_t *set)
{
    bool open = true, quit = false;

    for (;;) {
        struct pollfd in = { .fd = open ? 0 : -1, .events = POLLIN };
        char keys[64];
        if (poll(&in, 1, 50) > 0) {
            ssize_t n = read(0, keys, sizeof keys);
            open = n > 0;
            for (ssize_t i = 0; i < n && !quit; i++)
                press(ex, keys[i], &quit);
        }
        int sig = program_wait_signal(set, 0.001);
        if (sig != 0 || quit)
            break;
    }
    exchange_finish(ex);
    while (program_wait_signal(set, 10) == PROGRAM_DONE && !atomic_load_explicit(told, memory_order_acquire))
        continue;
}

/* ---- the call -------------------------------------------------------------------------------- */

static int start_app(struct program **ret, struct tdm_runtime *rt, struct program_config *cfg, unsigned port,
                     const char *app)
{
    struct tdm_config_report report = { 0 };
    char text[sizeof config_text + 96];
    int n = snprintf(text, sizeof text, config_text, port, app);
    int err = program_config_load_text("call", text, (size_t)n, program_known_apps, cfg, &report);

    tdm_config_report_print(&report, stderr);
    tdm_config_report_free(&report);
    return err < 0 ? err : program_start(ret, rt, cfg);
}

static int ring(struct tdm_runtime *rt, const char *app, const char *args, const sigset_t *set)
{
    struct program_config cfg = { 0 };
    struct demo_result result = { .until_gone = true };
    struct exchange_cfg exchange = { .password = "only-for-this-call",
                                     .app = app,
                                     .args = args,
                                     .real_time = true,
                                     .settle_ms = 1000,
                                     .steps = true };
    struct exchange *ex = NULL;
    struct program *p = NULL;
    char why[400] = "", line[1024];
    int err = demo_screen_start(rt, false, &result, &exchange.report_to);

    if (err == TDM_OK)
        err = exchange_start(rt, &exchange, &ex, why, sizeof why);
    if (err == TDM_OK)
        err = start_app(&p, rt, &cfg, exchange_port(ex), app);
    if (err < 0)
        fprintf(stderr, "tandem call: cannot start: %s\n", why[0] != '\0' ? why : tdm_strerror(err));
    else if (place(ex, p, set))
        talk(ex, &result.told, set);
    tdm_runtime_stop(rt, 5000);
    program_free(p);
    exchange_stop(ex);
    program_config_free(&cfg);
    if (!atomic_load_explicit(&result.told, memory_order_acquire))
        return err < 0 ? EXIT_USAGE : EXIT_LOST;
    exchange_result(line, sizeof line, &result.counters);
    puts(line);
    return exchange_good(&result.counters) ? EXIT_GOOD : EXIT_LOST;
}

int cmd_call(int argc, char **argv)
{
    struct tdm_runtime *rt;

    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return usage(stdout);
    if (argc < 2 || argc > 3 || argv[1][0] == '-')
        return usage(stderr);
    if (!program_known_apps(argv[1])) {
        fprintf(stderr, "tandem call: there is no app \"%s\"; there are:\n", argv[1]);
        return usage(stderr);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigset_t set = program_block_signals();
    int err = tdm_runtime_new(&rt, NULL);
    if (err < 0) {
        fprintf(stderr, "tandem call: cannot start the runtime: %s\n", tdm_strerror(err));
        return EXIT_USAGE;
    }
    bool raw = keys_raw();
    int status = ring(rt, argv[1], argc == 3 ? argv[2] : NULL, &set);
    if (raw)
        tcsetattr(0, TCSANOW, &cooked);
    tdm_log_flush();
    tdm_runtime_free(rt);
    return status;
}
