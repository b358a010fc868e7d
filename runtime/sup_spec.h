/* sup_spec.h - child specs: whether they are right, and copies of them. See sup_check.c and sup_spec.c. */
#ifndef RUNTIME_SUP_SPEC_H
#define RUNTIME_SUP_SPEC_H
#include "runtime.h"
#include "tandem/supervisor.h"

/* A spec that belongs to a family. */
struct spec {
    struct tdm_child_spec s; /* its texts lie behind this struct, its argument in a block of its own */
    struct spec *next, *prev;
    size_t bytes;
    bool owns_arg;
};

/* With `borrow` a temporary child's argument is not copied: it must last until the child has been made. */
struct spec *spec_copy(struct tdm_runtime *rt, const struct tdm_child_spec *from, bool borrow);
void spec_free(struct tdm_runtime *rt, struct spec *spec);
/* The child has been made: a temporary one is never made again, and needs it no more. */
void spec_forget_arg(struct tdm_runtime *rt, struct spec *spec);

const char *spec_name(const struct tdm_child_spec *spec);     /* for logs: its id, or what it is */
uint32_t spec_shutdown_ms(const struct tdm_child_spec *spec); /* with the default filled in */
void spec_fill_defaults(struct tdm_child_spec *spec);

/* Copies laid one behind the other. With base NULL nothing is written and `bytes` says what room is needed. */
struct pack {
    char *base;
    size_t bytes;
};
void *pack(struct pack *p, const void *from, size_t bytes);
void pack_spec(struct pack *p, struct tdm_child_spec *to, const struct tdm_child_spec *from);
void pack_cfg(struct pack *p, struct tdm_sup_cfg *to, const struct tdm_sup_cfg *from);

/* ---- sup_check.c ----------------------------------------------------------------------------- */
struct refusal {
    const char *field;
    const char *id; /* of the child, or NULL */
    char words[160];
};

/* TDM_OK or TDM_EINVAL, and what is wrong. */
int sup_check_cfg(const struct tdm_sup_cfg *cfg, struct refusal *ret);
int sup_check_spec(const struct tdm_sup_cfg *cfg, const struct tdm_child_spec *spec, size_t index,
                   struct refusal *ret);
void sup_log_refused(const struct tdm_sup_cfg *cfg, const struct refusal *f);

#endif
