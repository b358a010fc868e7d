/* model_real.h - a list (model_list.h) is done to the model and to real supervisors at once, and what can be seen of
 * both is compared after each deed. */
#ifndef TESTS_CONFORMANCE_MODEL_REAL_H
#define TESTS_CONFORMANCE_MODEL_REAL_H
#include "model_list.h"

enum both_result { BOTH_AGREE, BOTH_OPEN, BOTH_DIFFER };

struct both_report {
    enum both_result result;
    int deeds;     /* that were done and compared */
    char why[256]; /* OPEN: what the rules do not say; DIFFER: the first difference */
    char detail[4096];
};

/* In the deterministic environment, with the list's seed. */
void both_run(const struct model_list *l, struct both_report *report);

#endif
