/* fuzz_scan.c - is every text taken, refused and read as Jansson does?
 *
 * Each input goes through the scanner, the walker, the event accessors and the ARI table, and each
 * answer is compared with the tree (tests/unit/scan_reference.c). A difference ends the run.
 *
 * By hand and in CI, one core, well under two minutes (build: see CMakeLists.txt here):
 *   fuzz_scan -runs=1000000 -max_len=512 -dict=tests/fuzz/json.dict NEW_DIR tests/fuzz/corpus/scan
 * NEW_DIR takes what is found; the corpus in the tree stays small and hand-made.
 * tests/fuzz/run does this for every fuzzer, with recorded events among the seeds. */
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
