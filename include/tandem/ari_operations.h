/* ari_operations.h - every operation of ARI as a function with its parameters.
 *
 * ari_operations.def is the list: for each OPERATION(..., function, ...) there are
 *
 *     struct tdm_ari_<function>        its parameters, in ARI's own words
 *     tdm_ari_<function>()             to ask for it
 *     TDM_ARI_OP_<function>            its number
 *
 *     struct tdm_ari_channels_record p = { .channelId = id, .name = "msg/17", .format = "wav", .beep = true,
 *                                          .maxDurationSeconds = TDM_ARI_INT(60) };
 *     err = tdm_ari_channels_record(self, source, &p, &ref);
 *
 * The call verbs (call.h) are made of these. Use them for what no verb does. */
#ifndef TANDEM_ARI_OPERATIONS_H
#define TANDEM_ARI_OPERATIONS_H
#include "tandem/ari.h"
#include "tandem/event.h"

/* A number that may be left out, which is not the same as 0: TDM_ARI_INT(0) is sent. */
struct tdm_ari_int {
    int64_t value;
    bool given;
};
#define TDM_ARI_INT(n) ((struct tdm_ari_int){ (n), true })

/* A list of these ends with a NULL name: variables of a channel, attributes of a configuration object. */
struct tdm_ari_pair {
    const char *name, *value;
};

/* ---- the parameters ---------------------------------------------------------------------------- */

/* NULL, false and {0} leave a parameter out. STRINGS ends with NULL; JSON is the text of a value. Every member has the
 * alignment of a pointer: operation.c walks over them. */
#define TDM_ARI_MEMBER_STRING(name)  const char *name;
#define TDM_ARI_MEMBER_STRINGS(name) const char *const *name;
#define TDM_ARI_MEMBER_INT(name)     struct tdm_ari_int name;
#define TDM_ARI_MEMBER_BOOL(name)    _Alignas(void *) bool name;
#define TDM_ARI_MEMBER_PAIRS(name)   const struct tdm_ari_pair *name;
#define TDM_ARI_MEMBER_FIELDS(name)  const struct tdm_ari_pair *name;
#define TDM_ARI_MEMBER_JSON(name)    const char *name;

#define PATH(name)                TDM_ARI_MEMBER_STRING(name)
#define PARAM(type, name, need)   TDM_ARI_MEMBER_##type(name)
#define ONE_OF(type, name, ...)   TDM_ARI_MEMBER_##type(name)
#define AT_LEAST(type, name, ...) TDM_ARI_MEMBER_##type(name)
#define NO_PARAMETERS             const void *unused_; /* give NULL in place of the whole struct */
#define OPERATION(resource, nickname, function, method, path, status, answer, since, what, params, fails) \
    struct tdm_ari_##function {                                                                           \
        params                                                                                            \
    };
#include "tandem/ari_operations.def"
#undef OPERATION

#define OPERATION(resource, nickname, function, ...) TDM_ARI_OP_##function,
enum tdm_ari_op {
#include "tandem/ari_operations.def"
    TDM_ARI_OPS
};
#undef OPERATION

/* ---- asking ------------------------------------------------------------------------------------ */

/* Ask the server of `source` (tdm_ari_start) for this. Exactly one TDM_MSG_HTTP_REPLY with *ret as its ref comes to the
 * calling actor; tdm_ari_answer() reads it. `params` is only read, before this returns.
 * Order:  requests about one channel reach the server one after the other, but for those that only ask, hang up or stop
 *         a playback: these overtake, because they are what ends the prompt that the others wait for.
 * Time:   request_timeout_ms; blocking_timeout_ms for those that the server answers only after the prompt that plays
 *         (answer, variables, bridge members).
 * Errors: TDM_EINVAL a parameter is missing, not one of its values, out of its range, or not to be had together with
 *         another; TDM_ETOOBIG an id over 149 bytes, a list over 128, a line or body larger than the server takes;
 *         tdm_ari_check() says it in words. TDM_ENOTSUP of events_event_websocket: that is what a source does.
 *         TDM_ENOTFOUND no such source; TDM_ENOMEM. */
#define OPERATION(resource, nickname, function, ...)                                                \
    int tdm_ari_##function(tdm_self *self, tdm_pid source, const struct tdm_ari_##function *params, \
                           tdm_ref *ret);
#include "tandem/ari_operations.def"
#undef OPERATION
#undef PATH
#undef PARAM
#undef ONE_OF
#undef AT_LEAST
#undef NO_PARAMETERS

/* The same by number: `params` points to the struct of that operation. */
int tdm_ari_ask(tdm_self *self, tdm_pid source, enum tdm_ari_op op, const void *params, tdm_ref *ret);

/* Would this be sent? As tdm_ari_ask(), without sending. On an error `why` (may be NULL) says which parameter and what to
 * do: "channels.record: format is required". Threads: any. */
int tdm_ari_check(enum tdm_ari_op op, const void *params, char *why, size_t bytes);

/* What the server said. `reply` is the TDM_MSG_HTTP_REPLY. TDM_OK: done, or accepted; then *ret (may be NULL) is the
 * answer's JSON, to be read like an event and freed with tdm_event_free(), or NULL where the operation answers nothing.
 * Else an error, and `why` (may be NULL; TDM_ARI_WORDS bytes are enough) says what happened and what to do about it.
 * Errors: TDM_EHANGUP the channel is gone; TDM_ENOTFOUND; TDM_EREFUSED; TDM_EAUTH; TDM_ENOTSUP this server does not have
 *         the operation; TDM_EPEER; TDM_ETIMEOUT, TDM_ECONN and others when there was no answer; TDM_EPROTO an answer that
 *         is not JSON; TDM_ENOMEM. */
#define TDM_ARI_WORDS 400
int tdm_ari_answer(enum tdm_ari_op op, const struct tdm_msg *reply, tdm_event **ret, char *why, size_t bytes);

/* ---- the list itself --------------------------------------------------------------------------- */

struct tdm_ari_operation {
    const char *resource, *nickname; /* "channels", "originate" */
    const char *method, *path;       /* "POST", "/channels" */
    int status;                      /* of success */
    const char *answer;              /* "Channel", "List[Channel]", "void", "binary" */
    const char *since;               /* "20.13.0, 22.3.0"; "" since 16.0 or before */
    const char *what;
};

/* Static. NULL: no such operation. Threads: any. */
const struct tdm_ari_operation *tdm_ari_operation(enum tdm_ari_op op);
/* TDM_ARI_OPS: there is none of that name. */
enum tdm_ari_op tdm_ari_op_find(const char *resource, const char *nickname);

#endif
