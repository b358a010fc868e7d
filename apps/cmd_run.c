/* cmd_run.c - `tandem run CONFIG`: the daemon.
 *
 * Two processes: the heart, which starts the program again when it has died, and the program (docs/OPERATIONS.md).
 *
 * SIGTERM, SIGINT or SIGHUP: the orderly end (stop.c). A second signal means now. Exit status: 0 an orderly end, 1 a
 * faulty configuration, 2 wrong usage, 3 it could not start, 4 the heart gave up, 128 + a signal. */
#include "cmd_run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tandem/heart.h>
#include <tandem/log.h>
#include <tandem/metrics.h>
#include <tandem/notes.h>

#include "program.h"
#include "stop.h"

enum { EXIT_GOOD, EXIT_FAULTY, EXIT_USAGE, EXIT_START, EXIT_GAVE_UP };

/* One `tandem run`, in both processes. */
struct run {
    struct program_config cfg;
    const char *file, *pid_file;
    bool no_heart;
    struct tdm_note_store *notes;
};

static int usage(FILE *to)
{
    fputs("usage: tandem run [--no-heart] [--pid-file FILE] CONFIG\n"
          "  Connects to the sources of the configuration and serves their calls until SIGTERM.\n"
          "  --no-heart       one process: nobody starts it again after a crash (runtime.heart: off)\n"
          "  --pid-file FILE  where to write the number of the process that serves\n",
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

/* ---- the program ----------------------------------------------------------------------------- */

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

static int cannot_start(struct tdm_runtime *rt, const char *what, int err)
{
    tdm_log_flush();
    fprintf(stderr, "tandem run: cannot start%s: %s\n", what, tdm_strerror(err));
    tdm_runtime_free(rt);
    return EXIT_START;
}

static int serve(const struct run *run, struct tdm_heart *heart, const sigset_t *set)
{
    const struct program_config *cfg = &run->cfg;
    struct tdm_runtime *rt = NULL;
    struct program *p;
    int err = tdm_runtime_new(&rt, &(struct tdm_runtime_cfg){ .workers = (uint32_t)cfg->workers,
                                                              .stuck_after_ms = (uint32_t)cfg->stuck_after_ms,
                                                              .notes = run->notes });

    if (err < 0)
        return cannot_start(NULL, " the runtime", err);
    err = tdm_heart_beat(heart, rt);
    if (err == TDM_OK)
        err = program_start(&p, rt, cfg);
    if (err != TDM_OK)
        return cannot_start(rt, "", err);
    struct stop stop = { .set = set, .heart = heart };
    while (stop.direct + stop.sent_on == 0)
        stop_wait(&stop, -1);
    stop_program(&stop, p, rt, cfg);
    farewell();
    tdm_runtime_free(rt);
    return EXIT_GOOD;
}

static int write_pid_file(const char *path)
{
    char line[32], temp[4096];
    int n = snprintf(temp, sizeof temp, "%s.new", path);
    FILE *f = n < (int)sizeof temp ? fopen(temp, "we") : NULL;

    if (f == NULL)
        return errno != 0 ? -errno : TDM_ETOOBIG;
    n = snprintf(line, sizeof line, "%d\n", (int)getpid());
    bool good = fwrite(line, 1, (size_t)n, f) == (size_t)n;
    good = fclose(f) == 0 && good;
    return good && rename(temp, path) == 0 ? TDM_OK
                                           : -errno; /* in one step: who reads it sees a whole number */
}

static int body(struct tdm_heart *heart, void *arg)
{
    struct run *run = arg;
    sigset_t set = program_block_signals();
    int err = run->pid_file != NULL ? write_pid_file(run->pid_file) : TDM_OK;

    if (err < 0) {
        fprintf(stderr, "tandem run: %s: %s\n", run->pid_file, tdm_strerror(err));
        return EXIT_START;
    }
    int status = serve(run, heart, &set);
    if (run->pid_file != NULL)
        unlink(run->pid_file);
    return status;
}

/* ---- the heart ------------------------------------------------------------------------------- */

static bool with_heart(const struct run *run)
{
    if (run->no_heart || run->cfg.heart == HEART_OFF)
        return false;
    return run->cfg.heart == HEART_ON ||
           (getenv("INVOCATION_ID") == NULL && getenv("NOTIFY_SOCKET") == NULL); /* set by systemd */
}

/* Without a heart only a file outlives the process. */
static int open_notes(struct run *run, bool heart)
{
    struct tdm_note_store_cfg cfg = { .path = run->cfg.notes, .records = (uint32_t)run->cfg.notes_max };
    char why[256] = "out of memory";
    int err = TDM_OK;

    if (run->cfg.notes_max > 0 && (heart || cfg.path != NULL))
        err = tdm_note_store_open(&run->notes, &cfg, why, sizeof why);
    if (err < 0)
        fprintf(stderr, "tandem run: runtime.notes: %s: %s\n", cfg.path != NULL ? cfg.path : "shared memory",
                why);
    return err;
}

static int run_with_heart(struct run *run)
{
    const struct program_config *cfg = &run->cfg;
    int status = tdm_heart_run(&(struct tdm_heart_cfg){ .ping_ms = (uint32_t)cfg->heartbeat.ping_ms,
                                                        .misses = (uint32_t)cfg->heartbeat.misses,
                                                        .start_ms = (uint32_t)cfg->heartbeat.start_ms,
                                                        .deaths = (uint32_t)cfg->heartbeat.deaths,
                                                        .period_ms = (uint32_t)cfg->heartbeat.period_ms,
                                                        .again_status = EXIT_START,
                                                        .give_up_status = EXIT_GAVE_UP },
                               body, run);

    if (status < 0) {
        fprintf(stderr, "tandem run: cannot start: %s\n", tdm_strerror(status));
        return EXIT_START;
    }
    if (run->pid_file != NULL)
        unlink(run->pid_file); /* of a child that died */
    return status;
}

/* False: wrong usage. */
static bool parse(struct run *run, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--no-heart") == 0)
            run->no_heart = true;
        else if (strcmp(argv[i], "--pid-file") == 0 && i + 1 < argc)
            run->pid_file = argv[++i];
        else if (argv[i][0] == '-' || run->file != NULL)
            return false;
        else
            run->file = argv[i];
    }
    return run->file != NULL;
}

int cmd_run(int argc, char **argv)
{
    struct run run = { .file = NULL };
    int status = EXIT_FAULTY;

    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return usage(stdout);
    if (!parse(&run, argc, argv))
        return usage(stderr);
    if (load(run.file, &run.cfg) == TDM_OK) {
        tdm_log_configure(&(struct tdm_log_cfg){ .level = (enum tdm_log_level)run.cfg.log.level,
                                                 .format = (enum tdm_log_format)run.cfg.log.format,
                                                 .fd = 2 });
        const bool heart = with_heart(&run);
        status = EXIT_START;
        if (open_notes(&run, heart) == TDM_OK)
            status = heart ? run_with_heart(&run) : body(NULL, &run);
        tdm_note_store_close(run.notes);
    }
    program_config_free(&run.cfg);
    return status;
}
