/* event.h - making the messages that carry events; what apps see of them is in tandem/event.h. */
#ifndef ACTORS_EVENT_H
#define ACTORS_EVENT_H
#include "tandem/event.h"

struct tdm_self;

/* What the reader already knows about the event; everything may be left out. Copied. */
struct event_head {
    const char *source; /* name of the source, ended by NUL */
    const char *type;   /* both looked up in the text, when they are asked for, if NULL here */
    size_t type_bytes;
    const char *application;
    size_t application_bytes;
    uint32_t code; /* of the type, for the source's own use: event_code() */
};

/* Make a message of type TDM_MSG_EVENT, TDM_MSG_CALL_START or TDM_MSG_CALL_END with one copy of
 * `json`, which must have passed json_scan(). One per receiver: such a message may not be copied
 * by tdm_msg_copy(), because it points into itself.
 * Threads: any. Errors: TDM_ENOMEM, TDM_ETOOBIG (4 GiB), TDM_EINVAL another type of message. */
int event_msg_new(struct tdm_runtime *rt, uint32_t msg_type, const struct event_head *head, const char *json,
                  size_t bytes, struct tdm_msg **ret);

/* The same event outside of a message, wholly in the actor's own memory: for what it keeps longer than a
 * message lives. It ends with the incarnation, crash or not (its tree, if one was asked for, only by
 * event_for_actor_free()). NULL is fine to free. */
int event_for_actor(struct tdm_self *self, const struct event_head *head, const char *json, size_t bytes,
                    tdm_event **ret);
void event_for_actor_free(struct tdm_self *self, tdm_event *ev);

/* Name the messages that carry events in crash reports, which show of an event its type and nothing else. As often as one
 * likes. Threads: any. */
void event_describe(void);

/* As given in the head; 0 when it was not. */
uint32_t event_code(const tdm_event *ev);

#endif
