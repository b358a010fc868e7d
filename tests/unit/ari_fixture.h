/* ari_fixture.h - an environment of memory alone, which counts what is out and can refuse. */
#ifndef TESTS_UNIT_ARI_FIXTURE_H
#define TESTS_UNIT_ARI_FIXTURE_H
#include <stdint.h>

#include "tandem/env.h"

struct counted {
    struct tdm_env env;
    int64_t out;      /* bytes allocated and not freed */
    uint64_t made;    /* allocations so far */
    uint64_t fail_at; /* this one, and all after it, fail; 0: none */
};

void counted_init(struct counted *c);

#endif
