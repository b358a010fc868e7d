/* cmd_check.c - `tandem check CONFIG`: is this configuration good, before anything runs with it?
 *
 * Exit status: 0 good (there may be warnings), 1 faults, 2 wrong usage. */
#include <string.h>

#include <tandem/err.h>

#include "cmd_check.h"
#include "program_config.h"

enum { EXIT_GOOD, EXIT_FAULTY, EXIT_USAGE };

struct check_args {
    const char *file;
    bool json, print;
};

static int usage(FILE *to)
{
    fputs("usage: tandem check [--json] [--print] CONFIG\n"
          "  Reports every fault of the file, one line each, or a summary when there is none.\n"
          "  --json   one JSON object a line instead\n"
          "  --print  the whole configuration with all defaults, instead of the summary\n",
          to);
    return to == stdout ? EXIT_GOOD : EXIT_USAGE;
}

static void json_text(const char *text)
{
    putchar('"');
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            printf("\\%c", *c);
        else if (*c < 0x20)
            printf("\\u%04x", *c);
        else
            putchar(*c);
    }
    putchar('"');
}

static void json_member(const char *name, const char *text)
{
    if (text == NULL)
        return;
    printf(",\"%s\":", name);
    json_text(text);
}

static void json_faults(const struct tdm_config_report *report)
{
    for (size_t i = 0; i < report->n_faults; i++) {
        const struct tdm_config_fault *f = &report->faults[i];
        printf("{\"severity\":\"%s\"", f->warning ? "warning" : "fault");
        json_member("file", report->file);
        printf(",\"line\":%u,\"column\":%u", f->line, f->column);
        json_member("key", f->key);
        json_member("text", f->text);
        json_member("allowed", f->allowed);
        puts("}");
    }
}

static void summary(const char *file, const struct program_config *cfg)
{
    printf("%s is good.\n", file);
    for (size_t i = 0; i < cfg->n_sources; i++) {
        const struct program_source *s = &cfg->sources[i];
        printf("  source %s: ari at %s, apps", s->name, s->url);
        for (size_t j = 0; j < s->n_apps; j++)
            printf("%s %s", j == 0 ? "" : ",", s->apps[j]);
        putchar('\n');
    }
    if (cfg->router.app != NULL)
        printf("  router %s: %zu extensions\n", cfg->router.app, cfg->router.n_extensions);
    for (size_t i = 0; i < cfg->router.n_extensions; i++)
        printf("    %s: %s\n", cfg->router.extensions[i].match, cfg->router.extensions[i].app);
    for (size_t i = 0; i < cfg->n_apps; i++)
        printf("  app %s: %zu options\n", cfg->apps[i].name, cfg->apps[i].n_options);
}

static void tell_good(const struct check_args *args, const struct program_config *cfg)
{
    if (args->print)
        program_config_dump(cfg, stdout);
    else if (args->json)
        printf("{\"severity\":\"good\",\"sources\":%zu,\"extensions\":%zu,\"apps\":%zu}\n", cfg->n_sources,
               cfg->router.n_extensions, cfg->n_apps);
    else
        summary(args->file, cfg);
}

static int check_file(const struct check_args *args)
{
    struct program_config cfg = { 0 };
    struct tdm_config_report report = { 0 };
    int err = program_config_load(args->file, program_known_apps, &cfg, &report);
    size_t faults = report.n_faults - report.n_warnings + report.n_more;

    if (args->json)
        json_faults(&report);
    else
        tdm_config_report_print(&report, stderr);
    if (err == TDM_OK)
        tell_good(args, &cfg);
    else if (faults == 0)
        fprintf(stderr, "tandem check: %s: %s\n", args->file, tdm_strerror(err));
    else if (!args->json)
        fprintf(stderr, "%s: %zu %s\n", args->file, faults, faults == 1 ? "fault" : "faults");
    tdm_config_report_free(&report);
    program_config_free(&cfg);
    return err == TDM_OK ? EXIT_GOOD : EXIT_FAULTY;
}

int cmd_check(int argc, char **argv)
{
    struct check_args args = { 0 };

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return usage(stdout);
        if (strcmp(argv[i], "--json") == 0)
            args.json = true;
        else if (strcmp(argv[i], "--print") == 0)
            args.print = true;
        else if (args.file == NULL && argv[i][0] != '-')
            args.file = argv[i];
        else
            return usage(stderr);
    }
    return args.file == NULL ? usage(stderr) : check_file(&args);
}
