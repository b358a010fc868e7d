/* actor.h - spawn, address and message actors.
 *
 * An actor is a mailbox, a behaviour and private state. Only the worker running the actor
 * touches that state, and at most one of its callbacks runs at any moment.
 *
 * `struct tdm_self` is the running actor as its own callbacks see it. Functions that take one
 * may be called only from a callback of that actor. Functions that take a runtime are safe from
 * any thread unless they say otherwise. */
#ifndef TANDEM_ACTOR_H
#define TANDEM_ACTOR_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tandem/err.h"
#include "tandem/msg.h"

struct tdm_env;
struct tdm_self;
typedef struct tdm_self tdm_self;

/* ---- why an actor ended ---------------------------------------------------------------------- */

enum tdm_exit_kind {
    TDM_EXIT_NORMAL,   /* it finished by itself */
    TDM_EXIT_SHUTDOWN, /* an orderly stop, asked for or chosen; text may say more */
    TDM_EXIT_KILLED,   /* tdm_kill(), or the time for an orderly stop ran out */
    TDM_EXIT_ERROR,    /* code and text say what */
    TDM_EXIT_NOPROC,   /* notices only: there was nobody to link or monitor */
    TDM_EXIT_NOCONN,   /* notices only: the connection to it was lost */
};

#define TDM_REASON_TEXT_BYTES 256

/* An exit reason. Text longer than the limit is cut before the character that does not fit, and ends in "..." then.
 * Source: the exit reasons of Erlang/OTP. */
struct tdm_reason {
    enum tdm_exit_kind kind;
    int code;  /* enum tdm_err, with kind ERROR; else 0 */
    int signo; /* with code TDM_EFAULT: the signal; else 0 */
    char text[TDM_REASON_TEXT_BYTES];
};

/* Write the words, cut and marked if they are too long. Text that was put in by other means is looked at when the reason
 * is used: it need not end in NUL, and is marked if it fills its room and ends inside a character. */
void tdm_reason_say(struct tdm_reason *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "normal", "shutdown", "shutdown: text", "killed", "error:ENOPROC: text", ... Always ends in NUL. */
const char *tdm_reason_str(const struct tdm_reason *r, char *buf, size_t bytes);

/* Payload of TDM_MSG_EXIT and TDM_MSG_DOWN. */
struct tdm_notice {
    tdm_pid pid; /* who ended */
    struct tdm_reason reason;
};

/* Payload of TDM_MSG_REQUEST_FAILED: TDM_ETIMEOUT, TDM_ENOPROC, or the target's own reason. */
struct tdm_failure {
    int err;
    struct tdm_reason reason;
};

/* ---- behaviours ------------------------------------------------------------------------------ */

/* What an actor learns when it starts. Valid during init only; copy what you keep. */
struct tdm_start {
    const void *arg; /* the start argument, the same at every restart */
    size_t arg_bytes;
    uint32_t restarts;             /* 0 at the first start */
    const struct tdm_reason *last; /* why the last incarnation ended; NULL at the first start */
    const void *note;              /* last tdm_note_save() of any incarnation, or NULL */
    size_t note_bytes;
};

/* In init: a value for whoever asked for this start (struct tdm_sup_reply), as the Extra of {ok, Pid, Extra}. */
void tdm_start_value(tdm_self *self, uint64_t value);

/* Returned by init and handle beside TDM_OK and errors. */
enum {
    TDM_STOP = 1,  /* end with `normal` */
    TDM_IGNORE = 2 /* init only: nothing to do here; not an error, and no actor */
};

/* One way to be an actor. Static and constant; many actors share it. An error returned by init
 * or handle ends the actor with error:CODE (see tdm_fail for words to go with it). */
struct tdm_behaviour {
    const char *name;   /* for logs, reports and counters */
    size_t state_bytes; /* private state, zeroed before init */

    int (*init)(tdm_self *self, void *state, const struct tdm_start *start);

    /* `msg` is freed afterwards unless tdm_msg_take() was called on it. */
    int (*handle)(tdm_self *self, void *state, struct tdm_msg *msg);

    /* Runs once, on the actor's own thread of control, when it ends with normal, shutdown or an
     * error it raised itself; not after killed, a contained fault or stuck. An error returned
     * here becomes the exit reason. May be NULL. */
    int (*terminate)(tdm_self *self, void *state, const struct tdm_reason *reason);

    /* Instead of `handle`: sequential code on a stack of its own (fiber.h). init still runs
     * first. Returning TDM_OK or TDM_STOP is `normal`. */
    int (*run)(tdm_self *self, void *state);

    /* Print the state for a crash report, secrets left out. May be NULL. */
    void (*format_state)(const void *state, char *buf, size_t bytes);
};

enum tdm_overflow {
    TDM_REFUSE,        /* the sender gets TDM_EFULL and keeps the message */
    TDM_DROP_NEWEST,   /* the send succeeds, the message is counted and dropped */
    TDM_DROP_OLDEST,   /* the send succeeds, the oldest unread message is counted and dropped instead */
    TDM_OVERFLOW_EXIT, /* the sender gets TDM_EFULL, the receiver ends with error:EOVERLOAD */
};

#define TDM_MAILBOX_DEFAULT 1024
#define TDM_MAILBOX_MAX     60000
#define TDM_NOTE_MAX        4096

/* How to spawn. Zero means the default for every field but `behaviour`. */
struct tdm_spawn_cfg {
    const struct tdm_behaviour *behaviour;
    const void *arg; /* copied */
    size_t arg_bytes;
    const char *tag;        /* shown beside the pid in logs: a call's id, say; copied, cut at 63 bytes */
    uint32_t mailbox_limit; /* unread messages; default TDM_MAILBOX_DEFAULT, at most TDM_MAILBOX_MAX */
    enum tdm_overflow overflow;
    uint32_t history;       /* how many past messages a crash report names; default 0, at most 32 */
    uint32_t stack_bytes;   /* fibers; default 64 KiB */
    bool trap_exit;         /* exit signals arrive as TDM_MSG_EXIT */
    bool trap_stop;         /* a stop request arrives as TDM_MSG_STOP; end yourself within the time */
    bool drain_on_shutdown; /* handle the mail that waits before a stop */
    tdm_pid link;           /* link to this actor before the first step; {0} none */
    /* What tdm_alloc() may give this incarnation in all, bytes; default TDM_MEMORY_DEFAULT. One that wants more ends with
     * error:ENOMEM. Source: max_heap_size with kill. */
    uint64_t memory_limit;
    const char *
        module; /* instead of `behaviour`: that of the module's current version, at every start; see module.h */
};

#define TDM_MEMORY_DEFAULT   ((uint64_t)256 << 20)
#define TDM_MEMORY_UNLIMITED UINT64_MAX

/* Start an actor. Returns when it has an address; init runs soon, on a worker.
 * Owns:    nothing passed in; cfg and arg are copied.
 * Errors:  TDM_ENOMEM; TDM_EINVAL (no behaviour, limits out of range); TDM_ESHUTDOWN.
 * Source:  erlang:spawn_opt/2. */
int tdm_spawn(struct tdm_runtime *rt, const struct tdm_spawn_cfg *cfg, tdm_pid *ret);

/* ---- messages -------------------------------------------------------------------------------- */

/* Put `msg` in the mailbox of `to`.
 * Owns:    on TDM_OK the runtime owns `msg`; on any error the caller still does.
 * Threads: any. Never blocks.
 * Order:   kept from one sender to one receiver; nothing is promised between senders.
 * Errors:  TDM_ENOPROC `to` has exited (counted as a dead letter); TDM_EFULL refused by its bound.
 * Source:  erlang:send/2, except that mailboxes are bounded, which makes "full" an error. */
int tdm_send(struct tdm_runtime *rt, tdm_pid to, struct tdm_msg *msg);

/* The same, to a supervised place: while its actor is between two incarnations the message waits.
 * TDM_ENOPROC only when the child is gone for good. */
int tdm_send_place(struct tdm_runtime *rt, tdm_place to, struct tdm_msg *msg);

/* Keep a message that handle() was given: the caller then frees or forwards it. */
struct tdm_msg *tdm_msg_take(tdm_self *self, struct tdm_msg *msg);

/* Send a question whose answer comes back as TDM_MSG_REPLY with the returned ref, or as
 * TDM_MSG_REQUEST_FAILED when the target dies or `timeout_ms` (0: 5000) passes; exactly one of
 * the two. An answer after that is dropped and counted.
 * Returns the ref, or 0 when out of memory. Takes `msg` in every case.
 * Source: gen_server:send_request/2; `call` is a telephone call here. */
tdm_ref tdm_request(tdm_self *self, tdm_pid to, struct tdm_msg *msg, uint32_t timeout_ms);

/* Answer a request. `request` is only read. Takes `reply`. Threads: any. */
int tdm_reply(struct tdm_runtime *rt, const struct tdm_msg *request, struct tdm_msg *reply);

/* The same when only the requester and ref were kept. */
int tdm_reply_to(struct tdm_runtime *rt, tdm_pid to, tdm_ref ref, struct tdm_msg *reply);

/* ---- who am I -------------------------------------------------------------------------------- */

tdm_pid tdm_self_pid(const tdm_self *self);
tdm_place tdm_self_place(const tdm_self *self);
struct tdm_runtime *tdm_self_runtime(const tdm_self *self);
struct tdm_env *tdm_self_env(const tdm_self *self);
void *tdm_self_state(const tdm_self *self);
uint64_t tdm_now_ns(const tdm_self *self);          /* monotonic */
void tdm_self_tag(tdm_self *self, const char *tag); /* change the tag shown in logs */
uint32_t tdm_self_mailbox_length(const tdm_self *self);

/* ---- ends ------------------------------------------------------------------------------------ */

/* Say in words why the error that is about to be returned happened; returns `err`. */
int tdm_fail(tdm_self *self, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* End with this reason when the present callback returns (at once in a fiber). */
void tdm_exit(tdm_self *self, const struct tdm_reason *reason);

/* Always on, whatever NDEBUG says: ends the actor with error:EASSERT, the text and the place. */
#define tdm_assert(self, condition) \
    ((condition) ? (void)0 : tdm_assert_failed((self), #condition, __FILE__, __LINE__))
_Noreturn void tdm_assert_failed(tdm_self *self, const char *text, const char *file, int line);

/* An exit signal, as through a link. Source: erlang:exit/2. */
int tdm_exit_send(tdm_self *self, tdm_pid to, const struct tdm_reason *reason);

/* Ask for an orderly stop (control lane, ahead of mail); the actor ends with `shutdown`. */
int tdm_stop(struct tdm_runtime *rt, tdm_pid to);

/* End `to` when the callback that runs now returns, whatever it traps. Links see `killed`. */
int tdm_kill(struct tdm_runtime *rt, tdm_pid to);

bool tdm_alive(struct tdm_runtime *rt, tdm_pid pid);

/* ---- links and monitors ---------------------------------------------------------------------- */

/* One link at most between two actors, both ways. Linking to a dead actor acts as if it had ended
 * at once with `noproc`. After tdm_unlink returns no exit from that link can come any more, nor is
 * one left in the mailbox. Source: erlang:link/1, unlink/1. */
int tdm_link(tdm_self *self, tdm_pid to);
int tdm_unlink(tdm_self *self, tdm_pid to);

/* One TDM_MSG_DOWN with the returned ref when `to` ends (at once with `noproc` if it has; if it ends before it has read
 * the request, with its own reason). A monitor is on an incarnation. After tdm_demonitor returns no DOWN for it can come.
 * Returns 0 when out of memory. Source: erlang:monitor/2, demonitor/2 with flush. */
tdm_ref tdm_monitor(tdm_self *self, tdm_pid to);
/* The same of whoever holds this name now (registry.h); nobody: a DOWN with `noproc` and pid {0}. */
tdm_ref tdm_monitor_name(tdm_self *self, const void *name, size_t bytes);
/* For an actor that stands for a peer behind a connection. Lost: every link to it and monitor on it ends now with
 * `noconnection`, once, and so does each one that is tried until it is connected again; the actor itself lives on.
 * Source: erlang's nodedown. */
void tdm_self_connected(tdm_self *self, bool connected);
void tdm_demonitor(tdm_self *self, tdm_ref monitor);

/* ---- memory that ends with the actor --------------------------------------------------------- */

/* Memory that belongs to this incarnation and is gone when it is, crash or not. Zeroed. NULL: the system has none left.
 * One that takes it past memory_limit ends the actor there and then, as a failed tdm_assert() does: with error:ENOMEM
 * and words. Each piece counts with 32 bytes of its own. tdm_free gives one piece back early. */
void *tdm_alloc(tdm_self *self, size_t bytes);
void tdm_free(tdm_self *self, void *p);
char *tdm_strdup(tdm_self *self, const char *text);

/* Keep up to TDM_NOTE_MAX bytes for the next incarnation: what a restart should know.
 * Errors: TDM_ETOOBIG, TDM_ENOMEM. Outside a supervised place the note is accepted and unused. */
int tdm_note_save(tdm_self *self, const void *note, size_t bytes);
const void *tdm_note_get(tdm_self *self, size_t *bytes);

/* In init: from now on this place's note is also kept under `key` in the runtime's store (notes.h), where it outlives the
 * process. `resume`: the last note of that key, from whichever process, is this actor's (tdm_note_get) when the place has
 * none of its own; otherwise what was saved under the key is dropped. Without a store, or the second time: nothing.
 * Errors: TDM_ENOMEM, TDM_ETOOBIG (TDM_NOTE_KEY_MAX), TDM_EEXIST a live place has the key; the note stays in memory. */
int tdm_note_key(tdm_self *self, const void *key, size_t bytes, bool resume);
/* What the key stands for has ended: its note is dropped, as soon as no place has the key. Threads: any; a short lock. */
void tdm_note_forget(struct tdm_runtime *rt, const void *key, size_t bytes);
/* Drop the notes no place has, whose keys begin with `prefix` and of which lives() says no; returns how many. */
size_t tdm_note_sweep(struct tdm_runtime *rt, const void *prefix, size_t bytes,
                      bool (*lives)(void *ctx, const void *key, size_t bytes), void *ctx);

#endif
