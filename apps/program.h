/* program.h - what `run`, `demo` and `call` have in common: the linked-in apps, and a configuration brought to life. */
#ifndef APPS_PROGRAM_H
#define APPS_PROGRAM_H
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include <tandem/app.h>
#include <tandem/runtime.h>

#include "program_config.h"

struct program; /* a running configuration: the runtime's sources, the router's table, the metrics page */

/* Make the linked-in apps known, with the options of `cfg` (may be NULL); set the router's table. `cfg` must outlive
 * the runtime. */
int program_add_apps(const struct program_config *cfg);
const struct tdm_app *const *program_apps(size_t *n);

/* Start everything `cfg` names on `rt`. A fault is logged with what to do, and what was started is stopped again. */
int program_start(struct program **ret, struct tdm_runtime *rt, const struct program_config *cfg);

/* No new calls from here on; how many are left; true when none is. */
void program_drain(struct program *p);
size_t program_calls(struct program *p);
bool program_idle(struct program *p);
/* Tell every call's actor to stop: it hands its call back. Returns at once. */
void program_end_calls(struct program *p);
/* Close the connections and free the sources; false: one had to be killed. Each has this time. */
bool program_stop_sources(struct program *p, uint32_t limit_ms);

/* Every source is connected and has compared its calls. */
bool program_live(struct program *p);

/* After tdm_runtime_stop(). NULL is fine. */
void program_free(struct program *p);

/* ---- signals: blocked before threads start, waited for by the command ------------------------ */

#define PROGRAM_DONE (SIGRTMIN + 5) /* sent by an actor of the command's own: the work is done */

sigset_t program_block_signals(void);
/* A signal of the set, or 0 when `seconds` (0: no limit) have passed. */
int program_wait_signal(const sigset_t *set, double seconds);
void program_say_done(void);

#endif
