/* ari_story.h - a runtime with an ARI source, a scripted server before it, and a witness.
 *
 * The witness writes down each event at the moment its actor takes it, and each line of the log. Tests
 * wait for what it has seen, never for time; every wait ends after ten seconds. */
#ifndef TESTS_INTEGRATION_ARI_STORY_H
#define TESTS_INTEGRATION_ARI_STORY_H
#include <pthread.h>

#include "ari_server.h"
#include "tandem/ari.h"
#include "tandem/runtime.h"
#include "tandem/source.h"

struct sight {
    char what[8]; /* "start", "event", "end", "restart", "exit" */
    char *app, *id;
    char *type, *text; /* of the event */
};

struct story {
    struct tdm_runtime *rt;
    struct ari_server *server;
    tdm_pid source;
    struct tdm_ari_cfg cfg; /* change it before story_start() */
    const char *apps[16];
    /* the witness */
    pthread_mutex_t lock;
    pthread_cond_t news;
    struct sight *sight;
    size_t sights, sights_room;
    char *log; /* all lines; they grow while the source lives: read them by the functions below */
    size_t log_bytes, log_room;
};

/* A server, a runtime, and a configuration for one app, "ivr". */
void story_open(struct story *st);
/* One more Stasis app, served by a module that only listens; or by this one. */
void story_app(struct story *st, const char *name, const struct tdm_app *app);
/* Start the source. `list`: what the server says its apps hold, JSON of the ids, or NULL for none. */
void story_start(struct story *st, const char *list);
/* The server's answer to GET /applications/{app} from now on. */
void story_list(struct story *st, const char *app, const char *ids);
void story_close(struct story *st);
void story_close_with(struct story *st, struct tdm_http_server *server); /* freed before the runtime */

/* printf of an event to the newest WebSocket. */
void story_say(struct story *st, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The usual events of a channel in "ivr". */
void story_say_start(struct story *st, const char *id);
void story_say_event(struct story *st, const char *id, const char *type);
void story_say_end(struct story *st, const char *id);

/* How often it was seen; NULL: any. */
size_t story_seen(struct story *st, const char *what, const char *id, const char *type);
/* Until it was seen that often. */
bool story_wait(struct story *st, const char *what, const char *id, const char *type, size_t count);
/* Until that many sights of any kind. */
bool story_wait_sights(struct story *st, size_t count);
/* Until a line of the log has both texts in it. */
bool story_wait_log(struct story *st, const char *event, const char *words);
/* Is it anywhere in the log so far? */
bool story_logged(struct story *st, const char *words);
struct tdm_ari_state story_state(struct story *st);

#endif
