/* channel.h - the call half of the ARI source. */
#ifndef ACTORS_ARI_CHANNEL_H
#define ACTORS_ARI_CHANNEL_H
#include "tandem/source.h"

/* For struct tdm_source_cfg; its `self` must be the struct ari. */
extern const struct tdm_source_ops channel_ops;

#endif
