/* cmd_run.c - `tandem run CONFIG`: the daemon.
 *
 * SIGTERM or SIGINT: no new calls; running calls may finish for stop.drain; then every app is told to stop,
 * and hands its call back to the dialplan. A second signal means now. Exit status: 0 an orderly end, 1 a
 * faulty configuration, 2 wrong usage, 3 it could not start. */
#include "cmd_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <tandem/log.h>
#include <tandem/metrics.h>

#include "program.h"

enum { EXIT_GOOD, EXIT_FAULTY, EXIT_USAGE, EXIT_START };

static int usage(FILE *to)
{
    fputs("usage: tandem run CONFIG\n"
          "  Connects to the sources of the configuration and serves their calls until SIGTERM.\n",
          to);
    return to == stdout ? EXIT_GOOD : EXIT_USAGE;
}

static int load(const char *file, struct program_config *cfg)
{
    struct tdm_config_report report = { 0 };
    int err = program_config_load(file, program_known_apps, cfg, &report);

    tdm_config_report_print(&report, stderr);
    if (err < 0 && report.n_faults == 0)
        fprintf(stderr, "tandem run: %s: %s\n", file, tdm_strerror(err));
    tdm_config_report_free(&report);
    return err;
}

/* True: a second signal came, which means now. */
static bool drain(struct program *p, const struct program_config *cfg, const sigset_t *set)
{
    tdm_log_info("program.drain", "limit_ms=%" PRId64, cfg->drain_ms);
    program_drain(p);
    for (int64_t waited = 0; waited < cfg->drain_ms && !program_idle(p); waited += 50)
        if (program_wait_signal(set, 0.05) != 0)
            return true;
    return false;
}

/* From here on nobody waits for signals any more: the next one ends the process. */
static void leave_signals(const sigset_t *set)
{
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, set, NULL);
}

static void farewell(void)
{
    tdm_log_info("program.ended",
                 "calls_started=%" PRId64 " calls_ended=%" PRId64 " actors_restarted=%" PRId64
                 " events_delivered=%" PRId64 " dead_letters=%" PRId64,
                 tdm_counter_by_name("tandem_calls_started_total"),
                 tdm_counter_by_name("tandem_calls_ended_total"),
                 tdm_counter_by_name("tandem_actors_restarted_total"),
                 tdm_counter_by_name("tandem_events_delivered_total"),
                 tdm_counter_by_name("tandem_dead_letters_total"));
    tdm_log_flush();
}

static int serve(const struct program_config *cfg, const sigset_t *set)
{
    struct tdm_runtime *rt;
    struct program *p;
    int err =
        tdm_runtime_new(&rt, &(struct tdm_runtime_cfg){ .workers = (uint32_t)cfg->workers,
                                                        .stuck_after_ms = (uint32_t)cfg->stuck_after_ms });

    if (err < 0) {
        fprintf(stderr, "tandem run: cannot start the runtime: %s\n", tdm_strerror(err));
        return EXIT_START;
    }
    err = program_start(&p, rt, cfg);
    if (err < 0) {
        tdm_log_flush();
        fprintf(stderr, "tandem run: cannot start: %s\n", tdm_strerror(err));
        tdm_runtime_free(rt);
        return EXIT_START;
    }
    program_wait_signal(set, 0);
    bool now = drain(p, cfg, set);
    leave_signals(set);
    tdm_runtime_stop(rt, now ? 200 : 10000);
    program_free(p);
    farewell();
    tdm_runtime_free(rt);
    return EXIT_GOOD;
}

int cmd_run(int argc, char **argv)
{
    struct program_config cfg = { 0 };

    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return usage(stdout);
    if (argc != 2 || argv[1][0] == '-')
        return usage(stderr);
    if (load(argv[1], &cfg) < 0) {
        program_config_free(&cfg);
        return EXIT_FAULTY;
    }
    sigset_t set = program_block_signals();
    tdm_log_configure(&(struct tdm_log_cfg){
        .level = (enum tdm_log_level)cfg.log.level, .format = (enum tdm_log_format)cfg.log.format, .fd = 2 });
    int status = serve(&cfg, &set);
    program_config_free(&cfg);
    return status;
}
