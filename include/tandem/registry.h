/* registry.h - names for actors.
 *
 * Reading never waits for anybody. A name belongs to one incarnation; it is free before anyone
 * can learn that its owner has ended. Names are bytes, up to TDM_NAME_MAX, any values. */
#ifndef TANDEM_REGISTRY_H
#define TANDEM_REGISTRY_H
#include "tandem/actor.h"

#define TDM_NAME_MAX 400

/* Give the actor a name. Errors: TDM_EEXIST (tdm_whereis tells whose), TDM_EINVAL, TDM_ENOMEM.
 * Source: erlang:register/2; an actor may hold several names, as in Elixir's Registry. */
int tdm_register(tdm_self *self, const void *name, size_t bytes);

/* Errors: TDM_ENOTFOUND when the actor does not hold it. */
int tdm_unregister(tdm_self *self, const void *name, size_t bytes);

/* Who holds the name; {0} when nobody does. Threads: any; wait-free. */
tdm_pid tdm_whereis(struct tdm_runtime *rt, const void *name, size_t bytes);

/* ---- groups ---------------------------------------------------------------------------------- */

/* Join a group of actors, as often as one likes: each join is one membership. A membership belongs to one incarnation
 * and is gone before anyone can learn of its end. Groups exist while they have members. Names as above, in a space of
 * their own. Errors: TDM_EINVAL, TDM_ENOMEM. Source: pg:join/2. */
int tdm_group_join(tdm_self *self, const void *group, size_t bytes);
/* Give up one membership. Errors: TDM_ENOTFOUND. */
int tdm_group_leave(tdm_self *self, const void *group, size_t bytes);
/* Write up to `room` members; returns how many there are. A member that joined twice is there twice. Threads: any. */
size_t tdm_group_members(struct tdm_runtime *rt, const void *group, size_t bytes, tdm_pid *members,
                         size_t room);

/* How many names there are. */
size_t tdm_registered_count(struct tdm_runtime *rt);

#endif
