/* ops.h - the operations of ARI that calls and sources use, with just the parameters they use; all of them, with all
 * parameters: include/tandem/ari_operations.h.
 *
 * Each sends one request whose reply comes to `to` as a TDM_MSG_HTTP_REPLY with *ret as its ref
 * (rest.h). NULL leaves an optional parameter out.
 * Threads: any. Errors: those of operation_send(). */
#ifndef ACTORS_ARI_OPS_H
#define ACTORS_ARI_OPS_H
#include "rest.h"

/* channels; answer and set_var are answered only after a prompt that plays (12.1): long deadline */
int ops_answer(struct ari *a, tdm_pid to, const char *channel, tdm_ref *ret);
int ops_hangup(struct ari *a, tdm_pid to, const char *channel, int cause, tdm_ref *ret); /* overtakes */
int ops_continue(struct ari *a, tdm_pid to, const char *channel, const char *context, const char *exten,
                 int priority, tdm_ref *ret); /* priority 0: left out */
int ops_move(struct ari *a, tdm_pid to, const char *channel, const char *app, const char *args, tdm_ref *ret);
int ops_set_var(struct ari *a, tdm_pid to, const char *channel, const char *name, const char *value,
                tdm_ref *ret);
int ops_get_var(struct ari *a, tdm_pid to, const char *channel, const char *name, tdm_ref *ret);
int ops_get_channel(struct ari *a, tdm_pid to, const char *channel, tdm_ref *ret);
int ops_list_channels(struct ari *a, tdm_pid to, tdm_ref *ret);

/* playbacks; `media` ends with NULL */
int ops_play(struct ari *a, tdm_pid to, const char *channel, const char *playback, const char *const *media,
             const char *language, tdm_ref *ret);
int ops_stop_playback(struct ari *a, tdm_pid to, const char *playback, tdm_ref *ret); /* overtakes */
int ops_get_playback(struct ari *a, tdm_pid to, const char *playback, tdm_ref *ret);

/* the server */
int ops_info(struct ari *a, tdm_pid to, tdm_ref *ret); /* blocks "system" and "status" */
int ops_get_application(struct ari *a, tdm_pid to, const char *app, tdm_ref *ret);

#endif
