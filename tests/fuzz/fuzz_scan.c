/* fuzz_scan.c - is every text taken, refused and read as Jansson does?
 *
 * Each input goes through the scanner, the walker, the event accessors and the ARI table, and each
 * answer is compared with the tree (tests/unit/scan_reference.c). A difference ends the run.
 *
 * A million executions take about half a minute on one core. By hand and in CI (preset `fuzz`):
 *   tests/fuzz/trace-seeds SEEDS        recorded events, if the folder with them is there
 *   fuzz_scan -runs=1000000 -max_len=512 -dict=tests/fuzz/json.dict FOUND tests/fuzz/corpus/scan SEEDS
 * FOUND takes what is interesting; the corpus in the tree stays small and made by hand.
 */
#include "scan_reference.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const char *wrong = scan_reference_check((const char *)data, bytes, NULL);

    if (wrong != NULL) {
        fprintf(stderr, "fuzz_scan: %s (path \"%s\")\n", wrong, scan_reference_path());
        abort();
    }
    return 0;
}
