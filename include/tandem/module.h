/* module.h - code that is replaced while its actors run.
 *
 * A module is a name with at most two loaded versions, the current and the old one. An actor that is spawned with
 * `module` in place of `behaviour` takes the current version at each start of an incarnation. When another version is
 * loaded, running actors stay on theirs until they end or move; new and restarted ones run the new one.
 * Source: the code server of Erlang/OTP (code:load_file/1, code:purge/1, gen_server's code_change/3). Ours differs in
 * that actors move when tdm_module_upgrade() asks them to, not by their own next qualified call. */
#ifndef TANDEM_MODULE_H
#define TANDEM_MODULE_H
#include "tandem/actor.h"

#define TDM_MODULE_ABI      1
#define TDM_MODULE_NAME_MAX 63

/* One version. The struct is copied at a load; what it points to (a file's code, say) stays until `unload` was called. */
struct tdm_module {
    int abi;          /* TDM_MODULE_ABI */
    const char *name; /* 1 to TDM_MODULE_NAME_MAX bytes; copied */
    uint32_t version; /* chosen by its author; the current and the next one must differ */
    const struct tdm_behaviour *behaviour;

    /* Before anything is changed: open what the version needs. An error refuses the load, and the version that was
     * current stays it. On the thread that loads. May be NULL. */
    int (*load)(struct tdm_runtime *rt, void *udata);

    /* Make the state for this version from one of an older version, at a message boundary, as a callback of the actor.
     * `old_state` may be taken apart on success; new_state is zeroed and has this behaviour's state_bytes. What
     * tdm_alloc() gave goes on with the actor. An error leaves the actor with its old version and state: give back what
     * you took before you return it. NULL: actors do not move to this version. */
    int (*code_change)(tdm_self *self, void *old_state, uint32_t old_version, void *new_state);

    /* Once, when no actor runs this version any more and it is not current, or the runtime ends: it may be unmapped
     * then. On the worker that ran its last actor, or the thread that loads or ends the runtime; short, and no waiting.
     * Messages with a tdm_msg_on_drop() of this version's code must be gone by then. May be NULL. */
    void (*unload)(struct tdm_runtime *rt, void *udata);
    void *udata; /* handed to load and unload */
};

/* Load a version: from its return on it is the current one, and the one that was is the old one.
 *
 * force:   false: refused while actors still run the old version; *busy (may be NULL) says how many. True: those end
 *          with `killed`, after the load hook has succeeded, and are waited for, at most 30 s; what their supervisors
 *          start again before this returns runs the version that is current until then.
 * Threads: not on a worker: it waits.
 * Errors:  TDM_EINVAL (a field; logged); TDM_ENOTSUP another ABI; TDM_EEXIST this version is the current one;
 *          TDM_EBUSY; TDM_ESTATE another load or upgrade of this module is under way; TDM_ETIMEOUT with force: *busy of
 *          them have not ended yet; TDM_ENOMEM; the load hook's error. On any error nothing has changed (but that, with
 *          ETIMEOUT, actors are ending).
 * Source:  code:load_file/1 after code:soft_purge/1; with force after code:purge/1. OTP purges before on_load has run. */
int tdm_module_load(struct tdm_runtime *rt, const struct tdm_module *module, bool force, uint32_t *busy);

/* The same from a shared object with a `struct tdm_module tdm_module`, which is closed again after `unload`. A file that
 * was replaced by renaming another onto its path is loaded as a new one.
 * Errors:  as above, and (each logged with its words) TDM_EINVAL the path is not absolute; -EACCES the file or its
 *          folder may be written by others than root and the owner of this process, or is no ordinary file; -ENOEXEC no
 *          shared object, or one that cannot be linked; TDM_ENOTFOUND no such symbol; -errno of opening it. */
int tdm_module_load_file(struct tdm_runtime *rt, const char *path, bool force, uint32_t *busy);

struct tdm_module_moves {
    uint32_t asked; /* actors on the old version */
    uint32_t moved;
    uint32_t kept;   /* stay on the old version: no code_change, it failed, or they are fibers */
    uint32_t fibers; /* of those kept; a fiber cannot move, since its stack is made of the old code */
    uint32_t ended;  /* meanwhile */
};

/* Ask all actors on the old version to move to the current one, and wait until each has answered: at its next message
 * boundary, ahead of its mail. At most timeout_ms (0: 5000); who has not answered by then may still move later.
 * Threads: not on a worker: it waits.
 * Errors:  TDM_ENOTFOUND; TDM_ESTATE, a load or upgrade of this module is under way; TDM_ETIMEOUT, *ret says how far. */
int tdm_module_upgrade(struct tdm_runtime *rt, const char *name, uint32_t timeout_ms,
                       struct tdm_module_moves *ret);

struct tdm_module_info {
    uint32_t version; /* current */
    uint32_t actors;  /* on it */
    bool has_old;
    uint32_t old_version, old_actors;
};

/* TDM_ENOTFOUND: no version of that name was ever loaded. Threads: any. */
int tdm_module_info(struct tdm_runtime *rt, const char *name, struct tdm_module_info *ret);

/* The module whose code the actor runs now, and its version; NULL: none. Valid as long as the runtime. */
const char *tdm_self_module(const tdm_self *self, uint32_t *version);

#endif
