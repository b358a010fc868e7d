/* msg.h - what actors send each other.
 *
 * A message is one block: a header, then its payload. It has one owner at a time: whoever
 * made it, then (after a successful send) the runtime, then the handler that is given it.
 * When the handler returns the runtime frees it, unless the handler took it. */
#ifndef TANDEM_MSG_H
#define TANDEM_MSG_H
#include <stddef.h>
#include <stdint.h>

struct tdm_runtime;

/* Address of one incarnation of an actor. A plain value: copy it, keep it, never free it. It
 * holds a generation, so the address of a dead actor never reaches a later one. {0}: nobody. */
typedef struct {
    uint64_t id;
} tdm_pid;

/* Address of a place in the tree: a supervised child across all its restarts. Mail sent to a
 * place while its actor restarts waits for the next incarnation. {0}: nowhere. */
typedef struct {
    uint64_t id;
} tdm_place;

/* Names one request, monitor or timer; unique within the runtime; 0 is none. */
typedef uint64_t tdm_ref;

enum tdm_msg_type {
    /* the runtime's own, seen by handlers */
    TDM_MSG_EXIT = 1,       /* a linked actor ended and we trap: struct tdm_notice */
    TDM_MSG_DOWN,           /* a monitored actor ended: struct tdm_notice, ref of the monitor */
    TDM_MSG_TIMER,          /* a timer fired: ref of the timer; payload as given */
    TDM_MSG_REPLY,          /* an answer to a request: ref of the request; payload as given */
    TDM_MSG_REQUEST_FAILED, /* no answer: ref of the request; struct tdm_failure */
    TDM_MSG_STOP,           /* an orderly stop was asked for (only with trap_stop) */
    /* I/O, see http.h and ws.h */
    TDM_MSG_HTTP_REPLY = 64,
    TDM_MSG_HTTP_REQUEST,
    TDM_MSG_WS_UPGRADE,
    TDM_MSG_WS_OPEN,
    TDM_MSG_WS_TEXT,
    TDM_MSG_WS_BINARY,
    TDM_MSG_WS_CLOSED,
    TDM_MSG_CONN_GONE,
    /* calls, see event.h and call.h */
    TDM_MSG_EVENT = 128,
    TDM_MSG_CALL_START,
    TDM_MSG_CALL_END,
    TDM_MSG_VERB,
    /* 512..1023 are signals between actors: the runtime handles them itself and a handler never sees one;
     * 1024..4095 are internal to one subsystem, see the file that sends them */
    TDM_MSG_INTERNAL = 512,
    /* from here on: yours */
    TDM_MSG_USER = 4096,
};

/* Read the first four fields freely; write `type` and the payload before the send. Names that
 * end in '_' are the runtime's. */
struct tdm_msg {
    uint32_t type;
    uint32_t bytes; /* of the payload */
    tdm_pid from;   /* the sending actor, {0} if it was none */
    tdm_ref ref;    /* what this answers, or 0 */
    struct tdm_msg *next_;
    uint64_t to_;
    void (*drop_)(struct tdm_msg *msg);
    /* the payload follows, aligned to 16 */
};

static inline void *tdm_msg_data(struct tdm_msg *msg)
{
    return msg + 1;
}
static inline const void *tdm_msg_view(const struct tdm_msg *msg)
{
    return msg + 1;
}

/* Make a message with `bytes` of uninitialised payload. NULL: out of memory.
 * Owns:    the caller, until a send succeeds or tdm_msg_free().
 * Threads: any. */
struct tdm_msg *tdm_msg_new(struct tdm_runtime *rt, uint32_t type, size_t bytes);

/* The same, with the payload copied from `data`. */
struct tdm_msg *tdm_msg_copy(struct tdm_runtime *rt, uint32_t type, const void *data, size_t bytes);

/* Have `drop` called just before the message is freed, wherever that happens: for payloads that
 * own something. It runs on any worker and may not send. */
void tdm_msg_on_drop(struct tdm_msg *msg, void (*drop)(struct tdm_msg *msg));

/* Give messages of this type a name, and say what a crash report may show of one: what tells an operator which it was, and
 * never a secret. `excerpt` may be NULL; it ends what it writes with NUL, and may find the contents damaged. It runs
 * where the crash is reported and may not send or allocate.
 * Owns:    nothing; `name` is static text.
 * Threads: any; for the rest of the process.
 * Errors:  TDM_EEXIST the type has one; TDM_EFULL there are TDM_MSG_NAMES_MAX. */
#define TDM_MSG_NAMES_MAX 128
int tdm_msg_describe(uint32_t type, const char *name,
                     void (*excerpt)(const struct tdm_msg *msg, char *buf, size_t bytes));

/* Free a message that was not sent, or was taken. NULL is fine. Threads: any. */
void tdm_msg_free(struct tdm_runtime *rt, struct tdm_msg *msg);

#endif
