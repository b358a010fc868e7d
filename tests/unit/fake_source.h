/* fake_source.h - a switch that does nothing but remember what it was asked, for tests of calls.
 *
 * A story is a function that runs as the reader of that switch, in the deterministic environment, once for
 * each of many seeds. What the switch is asked and what the apps of the test say is written to one diary:
 * "answer;play sound:hello;app done;". */
#ifndef TESTS_FAKE_SOURCE_H
#define TESTS_FAKE_SOURCE_H
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "tandem/env.h"
#include "tandem/metrics.h"
#include "tandem/registry.h"
#include "tandem/runtime.h"
#include "tandem/source.h"

#define FAKE_APP "desk" /* the name under which the switch knows us, unless a story says otherwise */

struct fake {
    struct tdm_env *env;
    struct tdm_runtime *rt;
    struct tdm_source *src;
    tdm_pid sup;
    uint64_t seed;
    /* how the switch behaves; a story may change it at any time */
    bool silent;      /* answers no verb by itself: say "done" by an event */
    uint32_t play_ms; /* how long a playback takes; 0: it ends by an event only */
    bool play_mute;   /* and it does not say that it started */
    int refuse;       /* not TDM_OK: the answer to every verb but play, with the words "no way" */
    bool begin_fails, begin_ignores;
    int asked_play; /* what play_ask answers: 0 nothing, 1 it plays, 2 unknown: it ended */
    char diary[65536];
    size_t used;
};

extern struct fake *fake; /* of the story that runs */

/* Run the story with each of the seeds; TANDEM_SEED=n runs it with that one, TANDEM_SEEDS=n with 1 to n. */
void fake_run(void (*story)(struct fake *f), uint64_t seeds);
void fake_add_app(const struct tdm_app *app);
void fake_use_ops(const struct tdm_source_ops *ops); /* before fake_run(); NULL: all of them */
extern const struct tdm_source_ops fake_ops;

/* ---- the reader's part ----------------------------------------------------------------------- */
int fake_start(struct fake *f, const char *app, const char *id);
int fake_event(struct fake *f, const char *app, const char *kind, const char *id, const char *json);
int fake_end(struct fake *f, const char *app, const char *id);
/* To call "c1" of FAKE_APP: {"what":"digit","digit":"1"} for each of them, and so on. */
void fake_press(struct fake *f, const char *digits);
void fake_say(struct fake *f, const char *what); /* "play_started", "play_finished", "play_failed", "done" */

/* Let this much virtual time pass. */
void fake_pass(struct fake *f, uint64_t ms);

/* ---- the diary ------------------------------------------------------------------------------- */
void note_down(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool noted(const struct fake *f, const char *text);
int noted_times(const struct fake *f, const char *text);
void forget_notes(struct fake *f);

static inline bool fake_truth(bool truth)
{
    return truth;
}

#define fake_check(f, condition, ...)                                                           \
    cr_assert(fake_truth(condition), "seed %llu: %s; diary: %s", (unsigned long long)(f)->seed, \
              #condition " " __VA_ARGS__, (f)->diary)
#define fake_diary_is(f, text) fake_check(f, strcmp((f)->diary, (text)) == 0, "expected " text)

#endif
