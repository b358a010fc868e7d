/* registry.c - names for actors.
 *
 * Idea:      a table from name to pid. The actor keeps a list of its names, so that its end frees them
 *            without a search; that happens before its address goes, and before anyone is told of the
 *            end.
 * Reading is the table's wait-free lookup. The list is touched by the actor's worker only. */
#include "runtime.h"
#include "table.h"
#include "tandem/registry.h"

int tdm_register(tdm_self *self, const void *name, size_t bytes)
{
    struct table_link *l;

    if (bytes == 0 || bytes > TDM_NAME_MAX)
        return TDM_EINVAL;
    int err = table_add_linked(self->rt->names, name, bytes, tdm_self_pid(self).id, &l);
    if (err == TDM_EEXIST)
        family_name_taken(self, tdm_whereis(self->rt, name, bytes));
    if (err < 0)
        return err;
    l->prev = NULL;
    l->next = self->names;
    if (l->next != NULL)
        l->next->prev = l;
    self->names = l;
    return TDM_OK;
}

static void drop(struct tdm_self *a, struct table_link *l)
{
    size_t bytes;
    const void *name = table_link_key(l, &bytes);

    if (l->prev != NULL)
        l->prev->next = l->next;
    else
        a->names = l->next;
    if (l->next != NULL)
        l->next->prev = l->prev;
    table_remove(a->rt->names, name, bytes, tdm_self_pid(a).id); /* last: it frees the link */
}

int tdm_unregister(tdm_self *self, const void *name, size_t bytes)
{
    struct table_link *l =
        bytes == 0 ? NULL : table_link_of(self->rt->names, name, bytes, tdm_self_pid(self).id);

    if (l == NULL)
        return TDM_ENOTFOUND;
    drop(self, l);
    return TDM_OK;
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
        drop(a, a->names);
}
