/* registry.c - names for actors.
 *
 * Idea:      a table from name to pid. The actor keeps a list of its names, so that its end frees them
 * without a search; that happens before its address goes, and before anyone is told of the end. Reading is
 * the table's wait-free lookup. The list is touched by the actor's worker only. */
#include <string.h>

#include "runtime.h"
#include "table.h"
#include "tandem/registry.h"

struct name {
    struct name *next;
    uint32_t bytes;
    char text[];
};

int tdm_register(tdm_self *self, const void *name, size_t bytes)
{
    if (bytes == 0 || bytes > TDM_NAME_MAX)
        return TDM_EINVAL;
    struct name *n = runtime_alloc(self->rt, sizeof *n + bytes);
    if (n == NULL)
        return TDM_ENOMEM;
    int err = table_add(self->rt->names, name, bytes, tdm_self_pid(self).id, NULL);
    if (err < 0) {
        runtime_free_block(self->rt, n, sizeof *n + bytes);
        return err;
    }
    n->bytes = (uint32_t)bytes;
    memcpy(n->text, name, bytes);
    n->next = self->names;
    self->names = n;
    return TDM_OK;
}

static void drop(struct tdm_self *a, struct name **at)
{
    struct name *n = *at;

    *at = n->next;
    table_remove(a->rt->names, n->text, n->bytes, tdm_self_pid(a).id);
    runtime_free_block(a->rt, n, sizeof *n + n->bytes);
}

int tdm_unregister(tdm_self *self, const void *name, size_t bytes)
{
    for (struct name **at = &self->names; *at != NULL; at = &(*at)->next)
        if ((*at)->bytes == bytes && memcmp((*at)->text, name, bytes) == 0) {
            drop(self, at);
            return TDM_OK;
        }
    return TDM_ENOTFOUND;
}

tdm_pid tdm_whereis(struct tdm_runtime *rt, const void *name, size_t bytes)
{
    tdm_pid pid = { 0 };

    return bytes > 0 && table_get(rt->names, name, bytes, &pid.id) ? pid : (tdm_pid){ 0 };
}

size_t tdm_registered_count(struct tdm_runtime *rt)
{
    return table_count(rt->names);
}

void registry_actor_ended(struct tdm_self *a)
{
    while (a->names != NULL)
        drop(a, &a->names);
}
