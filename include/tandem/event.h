/* event.h - what a switch said, as an app or an actor sees it.
 *
 * An event is the JSON text that arrived, untouched. The functions here look single values up in it
 * when they are asked; no tree is built unless tdm_event_tree() is called. Looking up costs a walk
 * over the text (about a kilobyte), so keep what you use twice in a variable.
 *
 * A `path` names a value: "digit", "channel.caller.number", "args.0". A number is the element of an
 * array, or the member of an object that is called so. A name that has a dot in it cannot be
 * written; use the tree for those. Where an object has two members of one name the last counts.
 *
 * An event belongs to whoever holds the message that carries it, and all that it returns lives as
 * long as it does. Threads: one at a time; inside an actor that is the case by itself. */
#ifndef TANDEM_EVENT_H
#define TANDEM_EVENT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tandem/msg.h"

struct json_t; /* Jansson's; include <jansson.h> to use it */

typedef struct tdm_event tdm_event;

/* The event that a message carries: payload of TDM_MSG_EVENT, TDM_MSG_CALL_START and
 * TDM_MSG_CALL_END. NULL for any other message, and for NULL.
 * Owns: the event goes with the message; take the message (tdm_msg_take) to keep it. */
tdm_event *tdm_msg_event(struct tdm_msg *msg);

/* ---- about the event ------------------------------------------------------------------------- */

/* Its type in the words of the switch, "ChannelDtmfReceived"; "" when it says none. Never NULL. */
const char *tdm_event_type(const tdm_event *ev);

/* The app that it was sent to, as the switch names it; "" when it says none. Never NULL. */
const char *tdm_event_application(const tdm_event *ev);

/* The configured name of the source that it came from; "" for one made by tdm_event_parse(). */
const char *tdm_event_source(const tdm_event *ev);

/* The whole JSON text, ended by a NUL that `bytes` (may be NULL) does not count. */
const char *tdm_event_text(const tdm_event *ev, size_t *bytes);

/* ---- single values --------------------------------------------------------------------------- */

/* A string, unescaped, UTF-8, ended by NUL. The same path gives the same pointer again.
 * NULL: not there, not a string, or (with nothing else to tell it apart) out of memory. */
const char *tdm_event_str(tdm_event *ev, const char *path);

/* An integer; `fallback` when it is not there or is anything else, a number with a fraction too. */
int64_t tdm_event_int(const tdm_event *ev, const char *path, int64_t fallback);

/* A number with or without fraction; `fallback` when it is not there or is anything else. */
double tdm_event_real(const tdm_event *ev, const char *path, double fallback);

/* true or false; `fallback` when it is not there or is anything else. */
bool tdm_event_bool(const tdm_event *ev, const char *path, bool fallback);

/* Is there a value, of whatever kind, null included? */
bool tdm_event_has(const tdm_event *ev, const char *path);

/* Number of elements of the array, or of members of the object, at `path`; -1 when there is no such
 * thing. Members of one name are counted each. */
int tdm_event_count(const tdm_event *ev, const char *path);

/* The JSON text of a value as it stands in the event, a string with its quotes and escapes; not
 * ended by NUL. NULL when it is not there. The path "" is the whole event. */
const char *tdm_event_raw(const tdm_event *ev, const char *path, size_t *bytes);

/* The parsed event, built at the first call and freed with the event. NULL: out of memory.
 * Owns: the event. Borrow from it, or json_incref() what you keep; a tree may not be shared
 * between threads. */
struct json_t *tdm_event_tree(tdm_event *ev);

/* ---- events without a runtime ---------------------------------------------------------------- */

/* Make an event of a JSON text, which is copied: for tests of app modules, and for replaying.
 * Owns:   the caller, until tdm_event_free(). Never for the event of a message.
 * Errors: TDM_ESYNTAX not JSON, or neither an object nor an array; TDM_ETOOBIG; TDM_ENOMEM. */
int tdm_event_parse(const char *text, size_t bytes, tdm_event **ret);

/* Free what tdm_event_parse() made. NULL is fine. */
void tdm_event_free(tdm_event *ev);

#endif
