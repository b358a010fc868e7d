/* account.c - what found no reader: dead letters by cause, what a full mailbox turned away by class of actor and cause.
 *
 * Idea:      a class is a behaviour's name. Its counters are made when an actor of it is, so that a sender who finds a
 *            mailbox full has only to add. Classes live as long as the process: a module may be gone by then.
 * Log:       the first dead letters are logged, then there is a pause, then the next one says how many were not. */
#include "account.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"
#include "tandem/log.h"

TDM_COUNTER(counter_dead_letters, "tandem_dead_letters_total", "messages that found no reader");
TDM_COUNTER(counter_refused, "tandem_mailbox_refused_total", "messages refused by a full mailbox");
TDM_COUNTER(counter_dropped, "tandem_mailbox_dropped_total", "messages dropped by a full mailbox");

#define BY_CAUSE(var, cause)                                                    \
    TDM_COUNTER(var, "tandem_dead_letters_by_cause_total{cause=\"" cause "\"}", \
                "messages that found no reader, and why")
BY_CAUSE(dead_gone, "gone");
BY_CAUSE(dead_stale, "stale");
BY_CAUSE(dead_ended, "ended");
BY_CAUSE(dead_restart, "restart");

static struct {
    struct tdm_counter *counter;
    const char *word;
} const dead[] = {
    [DEAD_GONE] = { &dead_gone, "gone" },
    [DEAD_STALE] = { &dead_stale, "stale" },
    [DEAD_ENDED] = { &dead_ended, "ended" },
    [DEAD_RESTART] = { &dead_restart, "restart" },
};

enum { LOGGED_AT_ONCE = 10, PAUSE_MINUTES = 5, CLASSES_MAX = 256, CLASS_NAME = 48 };

/* ---- dead letters ---------------------------------------------------------------------------- */

void account_dead_letter(struct tdm_runtime *rt, enum dead_cause cause, uint32_t type, uint64_t to)
{
    uint64_t left_out;

    if (type == TDM_MSG_HTTP_REPLY) { /* whoever asked has ended first: nobody is to be told */
        tdm_count(&counter_late_replies, 1);
        return;
    }
    tdm_count(&counter_dead_letters, 1);
    tdm_count(dead[cause].counter, 1);
    if (tdm_log_level() > TDM_LOG_INFO ||
        !tdm_log_limit(&rt->dead_letter_log, rt->env->now_ns(rt->env), LOGGED_AT_ONCE,
                       TDM_S(60 * PAUSE_MINUTES), &left_out))
        return;
    tdm_log_info("actor.dead_letter", "why=%s type=%u to=%llu left_out=%llu", dead[cause].word, type,
                 (unsigned long long)to, (unsigned long long)left_out);
}

/* ---- classes --------------------------------------------------------------------------------- */

struct account {
    struct account *next;
    char name[CLASS_NAME];
    struct tdm_counter turned_away[TURNED_AWAY_CAUSES];
    char series[TURNED_AWAY_CAUSES][CLASS_NAME + 80];
};

static struct {
    pthread_mutex_t lock;
    struct account *first;
    uint32_t n;
} accounts = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct account others; /* of actors beyond the last class */

static void name_series(struct account *c)
{
    static const char *const words[] = { "refused", "dropped_newest", "dropped_oldest", "overload" };
    char shown[CLASS_NAME];
    size_t n = strlen(c->name);

    for (size_t i = 0; i <= n; i++)
        shown[i] = c->name[i] == '"' || c->name[i] == '\\' || c->name[i] == '\n' ? '_' : c->name[i];
    for (int i = 0; i < TURNED_AWAY_CAUSES; i++) {
        snprintf(c->series[i], sizeof c->series[i],
                 "tandem_mailbox_turned_away_total{class=\"%s\",cause=\"%s\"}", shown, words[i]);
        c->turned_away[i].name = c->series[i];
        c->turned_away[i].help = "messages refused or dropped by a full mailbox, by class of actor and cause";
    }
}

static bool is_named(const struct account *c, const char *name)
{
    return strncmp(c->name, name, CLASS_NAME - 1) == 0;
}

/* Under the lock. */
static struct account *add(const char *name)
{
    struct account *c = accounts.n < CLASSES_MAX ? calloc(1, sizeof *c) : NULL;

    if (c == NULL) {
        if (others.name[0] == '\0') {
            snprintf(others.name, sizeof others.name, "(others)");
            name_series(&others);
        }
        return &others;
    }
    snprintf(c->name, sizeof c->name, "%s", name);
    name_series(c);
    c->next = accounts.first;
    accounts.first = c;
    accounts.n++;
    return c;
}

struct account *account_of(const char *name)
{
    static _Thread_local struct account *last; /* most spawns in a row are of one class */

    name = name != NULL ? name : "?";
    if (last != NULL && is_named(last, name))
        return last;
    pthread_mutex_lock(&accounts.lock);
    struct account *c = accounts.first;
    while (c != NULL && !is_named(c, name))
        c = c->next;
    if (c == NULL)
        c = add(name);
    pthread_mutex_unlock(&accounts.lock);
    last = c;
    return c;
}

void account_turned_away(struct account *c, enum turned_away_cause cause)
{
    bool dropped = cause == DROPPED_NEWEST || cause == DROPPED_OLDEST;

    tdm_count(dropped ? &counter_dropped : &counter_refused, 1);
    tdm_count(&c->turned_away[cause], 1);
}
