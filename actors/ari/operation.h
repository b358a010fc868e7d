/* operation.h - an operation of ARI as data: operation_table.c has the list, operation_check.c says whether parameters
 * will do, operation.c makes requests of them and reads the answers. */
#ifndef ACTORS_ARI_OPERATION_H
#define ACTORS_ARI_OPERATION_H
#include <stddef.h>

#include "json.h"
#include "rest.h"
#include "tandem/ari_operations.h"

enum operation_type {
    OPERATION_STRING,
    OPERATION_STRINGS,
    OPERATION_INT,
    OPERATION_BOOL,
    OPERATION_PAIRS,
    OPERATION_FIELDS,
    OPERATION_JSON,
};

struct operation_param {
    const char *name;
    enum operation_type type;
    bool in_path, required;
    const char *const *one_of; /* NULL at the end; NULL: anything */
    const int64_t *least;      /* NULL: anything */
};

struct operation_failure {
    int status;
    const char *reason;
};

struct operation {
    struct tdm_ari_operation of;
    const struct operation_param *params;     /* name NULL at the end; in the order of the struct's members */
    const struct operation_failure *failures; /* status 0 at the end */
};

const struct operation *operation_of(enum tdm_ari_op op);     /* NULL: none */
enum tdm_ari_op operation_number(const struct operation *op); /* the way back */

/* POST and PUT have their parameters in a body, the others in the query. */
bool operation_has_body(const struct operation *op);

/* One parameter after the other, with its value: a walk over the struct. */
struct operation_walk {
    const struct operation_param *param;
    const char *at; /* the member */
};
struct operation_walk operation_first(const struct operation *op, const void *params);
bool operation_more(const struct operation_walk *w);
void operation_next(struct operation_walk *w);
bool operation_given(const struct operation_walk *w);

static inline const char *operation_text(const struct operation_walk *w)
{
    return *(const char *const *)(const void *)w->at;
}
static inline const char *const *operation_list(const struct operation_walk *w)
{
    return *(const char *const *const *)(const void *)w->at;
}
static inline const struct tdm_ari_pair *operation_pairs(const struct operation_walk *w)
{
    return *(const struct tdm_ari_pair *const *)(const void *)w->at;
}
static inline struct tdm_ari_int operation_int(const struct operation_walk *w)
{
    return *(const struct tdm_ari_int *)(const void *)w->at;
}

/* What the server is known to take: see tdm_ari_check(). Pure. */
int operation_check(const struct operation *op, const void *params, char *why, size_t bytes);

/* The parameter of that name; its param is NULL when there is none. */
struct operation_walk operation_find(const struct operation *op, const void *params, const char *name);

/* A request as it is sent. `body` is to be freed with ari_json_fini(). */
struct operation_request {
    char target[REST_TARGET_BYTES]; /* below /ari, no prefix */
    struct ari_json body;           /* empty: none */
    uint64_t order_key;
    bool blocks; /* answered only after the prompt that plays */
};
int operation_build(struct tdm_env *env, const struct operation *op, const void *params,
                    struct operation_request *ret, char *why, size_t bytes);

/* Send one for this source, with the reply to `to`. Threads: any. */
int operation_send(struct ari *a, tdm_pid to, enum tdm_ari_op op, const void *params, tdm_ref *ret);

#endif
