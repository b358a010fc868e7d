/* call.h - what an app can do with a live call.
 *
 * An app speaks of a call and does not know which switch it came from. Every verb has two forms with
 * the same options:
 *
 *   waiting   tdm_play(call, "sound:hello")          in a fiber app: returns when it is done
 *   message   tdm_play_start(call, &opts)            in a behaviour app: returns a ref at once; the
 *                                                    result comes to on_verb() with that ref
 *
 * Results: zero or positive is success. TDM_EHANGUP: the call has ended (the function may clean up and
 * should return). TDM_ESTOP: the app was told to stop. TDM_ENOTSUP: this source can not do it.
 * TDM_EREFUSED: the switch refused (tdm_call_error() says why, in the switch's words).
 *
 * TDM_ESTATE: not here: a waiting verb in a callback of a behaviour app, or any verb after a move.
 *
 * After the end a function app has 5 s to clean up and return, then it is ended. A stop of the runtime
 * ends every wait with TDM_ESTOP; hangup, hand_back and set_var still work then, and a call whose app
 * just returns is handed back to the dialplan (hung up where the switch has none).
 *
 * Threads: only the actor of the call may use a `tdm_call`; all memory in results belongs to the call.
 * Verbs of one call reach the switch in the order in which they were started. In message form several
 * may be under way at once; a digit goes to the oldest that can use it. A function app waits by verbs and
 * tdm_next_event() (app.h), not by tdm_receive() or tdm_sleep(): only the former see what happens to the
 * call meanwhile. A ref is never the same twice, not even over restarts; 0 says out of memory. */
#ifndef TANDEM_CALL_H
#define TANDEM_CALL_H
#include <stdbool.h>
#include "tandem/actor.h"
#include "tandem/event.h"

struct tdm_call;
typedef struct tdm_call tdm_call;

/* ---- what is known of the call --------------------------------------------------------------- */

tdm_self *tdm_call_self(tdm_call *call);
const char *tdm_call_id(const tdm_call *call);         /* the switch's id of the call leg */
const char *tdm_call_source(const tdm_call *call);     /* name of the source in the configuration */
const char *tdm_call_app(const tdm_call *call);        /* the app that runs now */
const char *tdm_call_caller(const tdm_call *call);     /* caller's number, "" when unknown */
const char *tdm_call_exten(const tdm_call *call);      /* what was dialled, "" when unknown */
int tdm_call_argc(const tdm_call *call);               /* arguments of the start event */
const char *tdm_call_arg(const tdm_call *call, int n); /* "" past the end */
bool tdm_call_answered(const tdm_call *call);
bool tdm_call_ended(const tdm_call *call);        /* the caller has hung up, or we have */
bool tdm_call_adopted(const tdm_call *call);      /* found alive after a gap, not started by an event */
uint32_t tdm_call_restarts(const tdm_call *call); /* how often this call's actor was restarted */
tdm_event *tdm_call_start_event(tdm_call *call);  /* the event that began it (a snapshot if adopted) */
const char *tdm_call_option(const tdm_call *call, const char *name); /* apps.<app>.options; NULL */
const char *tdm_call_error(const tdm_call *call); /* words of the last failed verb, "" when none */

/* ---- answer, hang up, hand back -------------------------------------------------------------- */

/* Hangup causes by their Q.850 numbers. */
enum tdm_cause {
    TDM_CAUSE_UNALLOCATED = 1,
    TDM_CAUSE_NORMAL = 16,
    TDM_CAUSE_BUSY = 17,
    TDM_CAUSE_NO_ANSWER = 19,
    TDM_CAUSE_REJECTED = 21,
    TDM_CAUSE_NUMBER_INCOMPLETE = 28,
    TDM_CAUSE_CONGESTION = 34,
    TDM_CAUSE_FAILURE = 38,
};

/* Answer; a call that is already answered is left as it is (so a restarted app may just say it again). */
int tdm_answer(tdm_call *call);
tdm_ref tdm_answer_start(tdm_call *call);

/* End the call. cause 0 is normal. After it every verb answers TDM_EHANGUP. A call that has already
 * ended is fine. When an app's function returns without hangup, hand_back or move, the call is hung up. */
int tdm_hangup(tdm_call *call, int cause);
tdm_ref tdm_hangup_start(tdm_call *call, int cause);

/* Give the call back to the switch's own dialplan: continue at context, extension, priority; NULL/0
 * for "where it was". Then the app should return. If the call ends while this is under way, that is taken
 * for its success; when it fails the call is still the app's. */
int tdm_hand_back(tdm_call *call, const char *context, const char *exten, int priority);
tdm_ref tdm_hand_back_start(tdm_call *call, const char *context, const char *exten, int priority);

/* Hand the call to another app. args: comma list, at most 255 bytes, or NULL.
 * An app known to this process takes over in place: same actor, same key, no note yet; TDM_OK says that
 * it runs as soon as the caller returns, which it must. A restart then begins in that app. Any other app
 * is the switch's to find (ARI move), and the present actor ends.
 * Errors: TDM_ENOTFOUND nobody serves it; TDM_ENOTSUP from a behaviour app to a function app, which would
 * need a stack; TDM_ETOOBIG. A function app that needs more stack than the call has gets a new one. */
int tdm_move(tdm_call *call, const char *app, const char *args);
tdm_ref tdm_move_start(tdm_call *call, const char *app, const char *args);

/* ---- play ------------------------------------------------------------------------------------ */

enum tdm_play_word { TDM_PLAY_FINISHED, TDM_PLAY_INTERRUPTED, TDM_PLAY_FAILED, TDM_PLAY_TIMEOUT };

struct tdm_play_opts {
    const char *const *media; /* URIs ("sound:hello", "digits:42", "tone:busy"), NULL at the end */
    const char *interrupt_on; /* digits that stop it; NULL none; "any" */
    const char *language;     /* NULL: the call's */
    uint32_t loop;            /* times; 0 and 1: once */
    uint32_t start_ms;        /* no sign of the start for this long: ask, then give up; default 2000 */
    uint32_t max_ms;          /* stop after this, all rounds together; default 10 minutes */
};
typedef struct tdm_play_opts tdm_play_opts;

/* One media URI to its end. TDM_OK; TDM_EPLAYBACK when the switch could not play it or never said so. */
int tdm_play(tdm_call *call, const char *media);

/* A list. Returns an enum tdm_play_word, or an error. *digit: what interrupted, may be NULL; that digit is
 * used up, others are kept for a question with type_ahead. A playback whose end the switch never tells
 * gives TDM_PLAY_TIMEOUT. */
int tdm_play_list(tdm_call *call, const tdm_play_opts *opts, char *digit);
tdm_ref tdm_play_start(tdm_call *call, const tdm_play_opts *opts);

/* ---- ask ------------------------------------------------------------------------------------- */

enum tdm_gather_word {
    TDM_GATHER_MATCH,   /* digits satisfy the question */
    TDM_GATHER_NOMATCH, /* digits came, but do not */
    TDM_GATHER_NOINPUT, /* none came in time */
};

#define TDM_DIGITS_MAX 64

struct tdm_gather_opts {
    const char *prompt;                          /* one media URI, or */
    const char *const *prompts;                  /* a list, NULL at the end */
    const char *invalid_prompt, *timeout_prompt; /* played before a replay; NULL none */
    uint32_t max_digits;                         /* 0: no limit but TDM_DIGITS_MAX */
    uint32_t min_digits;                         /* default 1 */
    const char *terminators;                     /* default "#"; "" for none */
    const char *const *valid;                    /* accepted inputs, NULL at the end; NULL: any */
    uint32_t first_ms;   /* to the first digit, from the end of the prompt; default 5000 */
    uint32_t inter_ms;   /* between digits; default 3000 */
    uint32_t overall_ms; /* the whole question; default 180000 */
    uint32_t tries;      /* how often the prompt is played; default 1 (menu: 3) */
    bool no_bargein;     /* digits do not stop the prompt (they still count) */
    bool type_ahead;     /* also take digits pressed before the question; default: they are
                          * dropped when it begins */
};
typedef struct tdm_gather_opts tdm_gather_opts;

struct tdm_gather_result {
    enum tdm_gather_word word;
    char digits[TDM_DIGITS_MAX + 1]; /* without the terminator */
    char terminator;                 /* 0: none */
    uint32_t tries;                  /* how many were used */
};
typedef struct tdm_gather_result tdm_gather_result;

/* Play the prompt and collect digits. A prompt that can not be played is no reason not to listen. A
 * terminator with no digit before it is TDM_GATHER_NOMATCH. Too few digits are judged when the time between
 * digits is over. An input that is accepted but may go on waits for a terminator or that time. By default only a digit that can still lead to a match interrupts
 * the prompt (with `valid`), any digit does without it; digits never leak into the next question and
 * are never swallowed by stopping the prompt. Returns the word (>= 0) with *result filled, or an error. */
int tdm_gather(tdm_call *call, const tdm_gather_opts *opts, tdm_gather_result *result);
tdm_ref tdm_gather_start(tdm_call *call, const tdm_gather_opts *opts);

struct tdm_menu_opts {
    const char *prompt;
    const char *const *prompts;
    const char *choices;      /* "12": one digit each; or */
    const char *const *words; /* several digits each, NULL at the end: the result is the index + 1 */
    const char *invalid_prompt, *timeout_prompt;
    uint32_t tries; /* default 3 */
    uint32_t first_ms, inter_ms;
};
typedef struct tdm_menu_opts tdm_menu_opts;

/* A choice: the digit pressed (`choices`) or index + 1 (`words`). 0: tries used up (neither a valid choice
 * nor an error). Negative: an error. */
int tdm_menu(tdm_call *call, const tdm_menu_opts *opts);
tdm_ref tdm_menu_start(tdm_call *call, const tdm_menu_opts *opts);

/* ---- the rest -------------------------------------------------------------------------------- */

/* Wait; TDM_OK, TDM_EHANGUP when the caller goes, TDM_ESTOP. Digits pressed meanwhile are kept for a
 * question with type_ahead. */
int tdm_pause(tdm_call *call, uint32_t ms);
tdm_ref tdm_pause_start(tdm_call *call, uint32_t ms);

/* Variables of the call on the switch. get: the value's length (it is cut to fit, NUL added), or
 * TDM_ENOTFOUND when unset. */
int tdm_set_var(tdm_call *call, const char *name, const char *value);
int tdm_get_var(tdm_call *call, const char *name, char *value, size_t bytes);
tdm_ref tdm_set_var_start(tdm_call *call, const char *name, const char *value);
tdm_ref tdm_get_var_start(tdm_call *call, const char *name);

/* What a restart of this call should know: kept by the runtime, the last one counts. Up to TDM_NOTE_MAX
 * bytes less 5, and less the name and arguments of the app when the call was moved. */
int tdm_note(tdm_call *call, const void *note, size_t bytes);
int tdm_note_text(tdm_call *call, const char *text);
const char *tdm_note_last(tdm_call *call, size_t *bytes); /* NULL when there is none; ends in NUL */

/* ---- results in message form ----------------------------------------------------------------- */

enum tdm_verb {
    TDM_VERB_ANSWER,
    TDM_VERB_PLAY,
    TDM_VERB_GATHER,
    TDM_VERB_MENU,
    TDM_VERB_PAUSE,
    TDM_VERB_HANGUP,
    TDM_VERB_HAND_BACK,
    TDM_VERB_MOVE,
    TDM_VERB_SET_VAR,
    TDM_VERB_GET_VAR
};

struct tdm_verb_result {
    tdm_ref ref;
    enum tdm_verb verb;
    int result;               /* what the waiting form would have returned */
    char digit;               /* play: what interrupted */
    tdm_gather_result gather; /* gather and menu */
    const char *value;        /* get_var; valid during on_verb */
};

#endif
