/* orphan.h - prompts that an incarnation left playing when it crashed. */
#ifndef ACTORS_ARI_ORPHAN_H
#define ACTORS_ARI_ORPHAN_H
#include "ari.h"

/* The next incarnation begins: stop what is known. */
void orphans_stop(struct ari *a, tdm_call *call);
/* An event of a playback that this incarnation did not ask for: one whose request was on the way at the crash is
 * stopped when it starts, and let go when it is over. */
void orphan_event(struct ari *a, tdm_call *call, tdm_event *event);

#endif
