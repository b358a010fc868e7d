/* resync.h - after a gap: what the server holds against what we hold. */
#ifndef ACTORS_ARI_RESYNC_H
#define ACTORS_ARI_RESYNC_H
#include "ari.h"
#include "gate.h"

struct resync;

/* Begin to ask the server. Runs in the connection actor, which passes every TDM_MSG_HTTP_REPLY on. */
int resync_start(tdm_self *self, struct ari *a, struct gate *gate, struct resync **ret);
void resync_free(struct resync *r); /* NULL is fine */

/* TDM_OK: the reply was ours, more will come, or it was not ours (*mine tells). RESYNC_DONE: calls
 * have been ended, told of the gap and adopted, and the events that waited then are routed; whoever
 * called goes on with the gate. An error: the server could not be asked, start over. */
enum { RESYNC_DONE = 1 };
int resync_reply(struct resync *r, struct tdm_msg *msg, bool *mine);

/* ---- parts of it without I/O, for tests ------------------------------------------------------ */

struct ari_json;
struct census;

/* The event in place of the one that nobody saw. `snapshot`: the channel's JSON; NULL: only its id. */
void resync_event(struct ari_json *j, const char *type, const char *app, const char *id, const char *snapshot,
                  size_t snapshot_bytes, const char *mark);

/* Add the strings of "channel_ids" in a GET /applications/{app} answer. TDM_EPROTO: not what it should be. */
int resync_listed(struct census *listed, const char *app, const char *json, size_t bytes);

/* Of the listed channels those that are in their app, with snapshots from the answer to GET /channels,
 * which `present` borrows from. `known` settles whose a channel is that two apps list. */
int resync_present(struct census *present, const struct census *listed, const struct census *known,
                   const char *json, size_t bytes);

#endif
