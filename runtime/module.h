/* module.h - which version of a module an actor runs, for the files that make and end actors. See module.c. */
#ifndef RUNTIME_MODULE_H
#define RUNTIME_MODULE_H
#include "tandem/module.h"

struct module;
struct tdm_runtime;
struct tdm_self;
struct module_use; /* an incarnation's: the module, and from its first turn on the version */

/* A new incarnation of `a` is to run the module of that name; until its first turn its behaviour is an empty one.
 * TDM_ENOTFOUND, TDM_ENOMEM. */
int module_use_new(struct tdm_runtime *rt, const char *name, struct module_use **ret);
/* Nobody ever saw it: the actor was not launched. NULL is fine. */
void module_use_free(struct tdm_runtime *rt, struct module_use *use);
extern const struct tdm_behaviour module_unresolved;

/* The incarnation's first turn: it gets the current version's behaviour. */
void module_begin(struct tdm_self *a);
/* Its state is gone and no callback will run: the version may be unloaded. */
void module_leave(struct tdm_self *a);
/* What it runs: the module's name and its version; NULL: no module. By whoever holds its turn. */
const char *module_running(const struct tdm_self *a, uint32_t *version);
/* At a message boundary, because it was asked to. */
void module_move(struct tdm_self *a);

/* A copy of the name that lives as long as the runtime; NULL: no memory. At most TDM_MODULE_NAME_MAX bytes. */
const char *module_name(struct tdm_runtime *rt, const char *name);

/* What a child spec or spawn runs, for logs: the module's name, or the behaviour's. */
static inline const char *module_or_behaviour(const struct tdm_spawn_cfg *cfg)
{
    return cfg->module != NULL ? cfg->module : cfg->behaviour->name;
}

/* tdm_module_load(), and `done(file)` after the version was unloaded. On an error the file stays the caller's. */
int module_load(struct tdm_runtime *rt, const struct tdm_module *m, void *file, void (*done)(void *file),
                bool force, uint32_t *busy);

/* No actor is left and no worker runs: unload everything. */
void modules_free(struct tdm_runtime *rt);

#endif
