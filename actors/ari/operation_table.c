/* operation_table.c - the list of operations as data, and the walk over the parameters of one.
 *
 * Idea:      ari_operations.def is expanded a second time, into rows. The members of a parameter struct have the order of
 *            its rows and the alignment of a pointer, so their places are found by adding up sizes; the assertions
 *            below hold the compiler to it. */
#include "operation.h"

#include <string.h>

#define SIZE_STRING  sizeof(void *)
#define SIZE_STRINGS sizeof(void *)
#define SIZE_INT     sizeof(struct tdm_ari_int)
#define SIZE_BOOL    sizeof(void *)
#define SIZE_PAIRS   sizeof(void *)
#define SIZE_FIELDS  sizeof(void *)
#define SIZE_JSON    sizeof(void *)

#define PATH(name)                +sizeof(void *)
#define PARAM(type, name, need)   +SIZE_##type
#define ONE_OF(type, name, ...)   +SIZE_##type
#define AT_LEAST(type, name, ...) +SIZE_##type
#define NO_PARAMETERS             +sizeof(void *)
#define OPERATION(resource, nickname, function, method, path, status, answer, since, what, params, fails) \
    _Static_assert(sizeof(struct tdm_ari_##function) == 0 params, #function ": members in a row");
#include "tandem/ari_operations.def"
#undef OPERATION
#undef PATH
#undef PARAM
#undef ONE_OF
#undef AT_LEAST
#undef NO_PARAMETERS

enum { OPTIONAL = false, REQUIRED = true };

#define PATH(name_)                { .name = #name_, .type = OPERATION_STRING, .in_path = true, .required = true },
#define PARAM(type_, name_, need_) { .name = #name_, .type = OPERATION_##type_, .required = (need_) },
#define ONE_OF(type_, name_, need_, ...) \
    { .name = #name_,                    \
      .type = OPERATION_##type_,         \
      .required = (need_),               \
      .one_of = (const char *const[]){ __VA_ARGS__, NULL } },
#define AT_LEAST(type_, name_, need_, least_) \
    { .name = #name_, .type = OPERATION_##type_, .required = (need_), .least = &(const int64_t){ least_ } },
#define NO_PARAMETERS
#define FAILS(status_, reason_) { .status = (status_), .reason = (reason_) },
#define NO_FAILURES
#define OPERATION(resource_, nickname_, function_, method_, path_, status_, answer_, since_, what_, params_, \
                  fails_)                                                                                    \
    { .of = { .resource = #resource_,                                                                        \
              .nickname = #nickname_,                                                                        \
              .method = #method_,                                                                            \
              .path = (path_),                                                                               \
              .status = (status_),                                                                           \
              .answer = (answer_),                                                                           \
              .since = (since_),                                                                             \
              .what = (what_) },                                                                             \
      .params = (const struct operation_param[]){ params_{ .name = NULL } },                                 \
      .failures = (const struct operation_failure[]){ fails_{ .status = 0 } } },
static const struct operation operations[] = {
#include "tandem/ari_operations.def"
};
#undef OPERATION

const struct operation *operation_of(enum tdm_ari_op op)
{
    return (unsigned)op < TDM_ARI_OPS ? &operations[op] : NULL;
}

enum tdm_ari_op operation_number(const struct operation *op)
{
    return (enum tdm_ari_op)(op - operations);
}

bool operation_has_body(const struct operation *op)
{
    return strcmp(op->of.method, "POST") == 0 || strcmp(op->of.method, "PUT") == 0;
}

const struct tdm_ari_operation *tdm_ari_operation(enum tdm_ari_op op)
{
    const struct operation *o = operation_of(op);

    return o != NULL ? &o->of : NULL;
}

enum tdm_ari_op tdm_ari_op_find(const char *resource, const char *nickname)
{
    int i = 0;

    while (i < TDM_ARI_OPS && (strcmp(operations[i].of.resource, resource) != 0 ||
                               strcmp(operations[i].of.nickname, nickname) != 0))
        i++;
    return (enum tdm_ari_op)i;
}

/* ---- the walk ---------------------------------------------------------------------------------- */

struct operation_walk operation_first(const struct operation *op, const void *params)
{
    return (struct operation_walk){ .param = op->params, .at = params };
}

bool operation_more(const struct operation_walk *w)
{
    return w->param->name != NULL;
}

void operation_next(struct operation_walk *w)
{
    w->at += w->param->type == OPERATION_INT ? sizeof(struct tdm_ari_int) : sizeof(void *);
    w->param++;
}

bool operation_given(const struct operation_walk *w)
{
    switch (w->param->type) {
    case OPERATION_INT:
        return operation_int(w).given;
    case OPERATION_BOOL:
        return *(const bool *)w->at;
    case OPERATION_STRINGS:
        return operation_list(w) != NULL && operation_list(w)[0] != NULL;
    default:
        return operation_text(w) != NULL;
    }
}

struct operation_walk operation_find(const struct operation *op, const void *params, const char *name)
{
    struct operation_walk w = operation_first(op, params);

    while (operation_more(&w) && strcmp(w.param->name, name) != 0)
        operation_next(&w);
    return w;
}
