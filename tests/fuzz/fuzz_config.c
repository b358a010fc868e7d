/* fuzz_config.c - any bytes as the program's configuration: no crash, no leak, and what was accepted loads
 * again from its dump.
 *
 *   fuzz_config -max_len=2048 FOUND tests/fuzz/corpus/config */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "extension.h"
#include "program_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static int load(const char *text, size_t bytes, struct program_config *cfg)
{
    struct tdm_config_report report = { 0 };
    int err = program_config_load_text("fuzz", text, bytes, NULL, cfg, &report);

    if ((err == TDM_ECONFIG) != (report.n_faults + report.n_more > report.n_warnings))
        abort(); /* faults and the result must agree */
    tdm_config_report_free(&report);
    return err;
}

static void check_dump(const struct program_config *cfg)
{
    struct program_config again = { 0 };
    char *text = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&text, &bytes);

    program_config_dump(cfg, f);
    fclose(f);
    if (load(text, bytes, &again) != TDM_OK) {
        fprintf(stderr, "the dump is refused:\n%s", text);
        abort();
    }
    program_config_free(&again);
    free(text);
}

/* The route that takes a number must match it, and no other that matches may come before it. */
static void check_routes(const struct program_config *cfg, const char *exten)
{
    const char *patterns[64];
    size_t n = cfg->router.n_extensions < 64 ? cfg->router.n_extensions : 64;

    for (size_t i = 0; i < n; i++)
        patterns[i] = cfg->router.extensions[i].match;
    int best = extension_best(patterns, n, exten);
    for (size_t i = 0; i < n; i++) {
        bool takes = extension_matches(patterns[i], exten);
        if (takes && (best < 0 || extension_compare(patterns[i], patterns[best]) < 0))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct program_config cfg = { 0 };

    if (load((const char *)data, bytes, &cfg) == TDM_OK) {
        check_dump(&cfg);
        check_routes(&cfg, "201");
        check_routes(&cfg, "+15551234");
    }
    program_config_free(&cfg);
    return 0;
}
