/* model_list.h - random trees and lists of what is done to them, for the model (model.h) and the real supervisors alike.
 *
 * A list follows from its seed alone. Dropping any of its deeds, or any child of its tree, leaves a list that makes
 * sense: so it can be shrunk. */
#ifndef TESTS_CONFORMANCE_MODEL_LIST_H
#define TESTS_CONFORMANCE_MODEL_LIST_H
#include <stdio.h>

#include "model.h"

enum { LIST_DEEDS = 32 };

enum deed_kind {
    DEED_CHILD_ENDS,
    DEED_SUP_KILLED,
    DEED_SUP_STOPPED,
    DEED_START_DYNAMIC,
    DEED_ASK,
    DEED_NOTHING,
};

struct model_deed {
    enum deed_kind kind;
    int sup;
    int uid; /* -1: one that does not exist */
    enum model_reason reason;
    enum tdm_sup_op op;
    bool by_pid;
    struct model_spec spec; /* of a start */
    int ms;                 /* pass after it */
};

struct model_list {
    uint64_t seed;
    int n_sups;
    int n_uids;
    struct model_sup_spec sups[MODEL_SUPS];
    int n;
    struct model_deed deeds[LIST_DEEDS];
};

/* What the lists of one test have in common. */
struct model_kind {
    enum tdm_strategy root;
    bool nested; /* supervisors under the root, of any strategy */
};

void list_make(struct model_list *l, const struct model_kind *kind, uint64_t seed);
/* The child's spec, wherever in the list it is; NULL: dropped. */
const struct model_spec *list_spec(const struct model_list *l, int uid);
void list_drop_deed(struct model_list *l, int i);
void list_drop_child(struct model_list *l, int sup, int i);
void list_print(const struct model_list *l, FILE *out);
void event_print(const struct model_event *e, FILE *out);
void answer_print(const struct model_answer *a, FILE *out);

#endif
