/* cmd_exchange.c - `tandem exchange`: listens as an Asterisk would, places calls, and says what became of
 * them.
 *
 * Signals are blocked before the runtime starts its threads and waited for here: SIGINT or SIGTERM bring the
 * run to an orderly end, a second one ends it at once. That the exchange is done is such a signal too, sent
 * by the actor that gets its report. Exit status: 0 every event was delivered (or its loss was injected),
 * 1 not, 2 wrong usage or it could not start. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tandem/env.h>
#include <tandem/err.h>
#include <tandem/runtime.h>

#include "cmd_exchange.h"
#include "exchange/exchange.h"

enum { EXIT_DELIVERED, EXIT_LOST, EXIT_USAGE };

#define PLANS_MAX   32
#define SIGNAL_DONE (SIGRTMIN + 5)

struct options {
    struct exchange_cfg cfg;
    struct exchange_plan plans[PLANS_MAX];
    uint32_t n_extensions;
    const char *script; /* for the extensions that follow, and those without one */
    uint32_t seconds;   /* end the run after so long; 0: not */
    bool quiet;
};

/* ---- the options, one table ------------------------------------------------------------------ */

enum kind { NUMBER, WIDE, RATE, WORD, FLAG, EXTENSION, SCRIPT, USER, ORDER };

struct option_row {
    const char *name, *arg;
    enum kind kind;
    size_t at; /* of the field in struct options */
    const char *help;
};

#define AT(field)    offsetof(struct options, cfg.field)
#define FAULT(field) offsetof(struct options, cfg.faults.field)
#define CHAOS(field) offsetof(struct options, cfg.chaos.field)
#define GROUP(text)               \
    {                             \
        NULL, NULL, FLAG, 0, text \
    }

static const struct option_row rows[] = {
    GROUP("the door"),
    { "port", "PORT", NUMBER, AT(port), "listen here (default 8088; 0: any free port)" },
    { "address", "IP", WORD, AT(address), "default 127.0.0.1" },
    { "user", "NAME:PASSWORD", USER, AT(user), "the account that may write (default tandem:tandem)" },
    { "reader", "NAME:PASSWORD", USER, AT(reader), "an account that may only read" },
    { "sessions", "N", NUMBER, AT(sessions), "connections at most (default 100)" },
    { "idle-ms", "MS", NUMBER, AT(idle_ms), "close idle connections after this (default 15000)" },
    { "write-timeout-ms", "MS", NUMBER, AT(write_timeout_ms),
      "throw a slow reader out after this (default 5000)" },
    { "no-rest-over-ws", NULL, FLAG, AT(no_rest_over_ws), "like versions before 20.14 and 22.4" },
    { "order", "WHICH", ORDER, AT(order), "answer-first (default), event-first or either" },
    GROUP("the dialplan"),
    { "app", "NAME", WORD, AT(app), "callers reach Stasis(NAME,ARGS) (default tandem)" },
    { "args", "ARGS", WORD, AT(args), "may hold ${EXTEN}" },
    { "context", "NAME", WORD, AT(context), "default apps" },
    { "answered", NULL, FLAG, AT(answers), "the dialplan answers before Stasis()" },
    { "after-ms", "MS", NUMBER, AT(after_ms), "the dialplan keeps a call that left the app for so long" },
    GROUP("the callers"),
    { "calls", "N", WIDE, AT(calls), "place N calls, then end (default 0: none by itself)" },
    { "rate", "R", RATE, AT(rate), "calls per second (default: as --at-once allows)" },
    { "at-once", "N", NUMBER, AT(at_once), "live calls at most (default 1000)" },
    { "extension", "X[=WEIGHT]", EXTENSION, 0, "what callers dial; more than once: drawn by weight" },
    { "script", "STEPS", SCRIPT, 0, "what callers do; before --extension: for those that follow" },
    { "call-limit-ms", "MS", NUMBER, AT(call_limit_ms), "a caller hangs up after this (default 600000)" },
    { "settle-ms", "MS", NUMBER, AT(settle_ms), "wait for receipts at the end (default 2000)" },
    { "no-wait", NULL, FLAG, AT(do_not_wait), "place calls before the app has connected, too" },
    { "seconds", "S", NUMBER, offsetof(struct options, seconds), "end after this time" },
    { "seed", "N", WIDE, AT(seed), "of all choices (default 1)" },
    GROUP("sounds"),
    { "real-time", NULL, FLAG, AT(real_time), "prompts take their time (default: none at all)" },
    { "ring-ms", "MS", NUMBER, AT(ring_ms), "how long a dialled far end rings" },
    { "digit-gap-ms", "MS", NUMBER, AT(digit_gap_ms), "between digits (default 0; in real time 200)" },
    { "no-rtp-stats", NULL, FLAG, AT(no_rtp_stats), "without the five ChannelVarset at each hang-up" },
    GROUP("faults"),
    { "drop-every-ms", "MS", NUMBER, FAULT(drop_every_ms), "reset the event connections at this interval" },
    { "drop-after-events", "N", NUMBER, FAULT(drop_after_events), "reset a connection after N events" },
    { "delay-ms", "MS", NUMBER, FAULT(delay_ms), "send events this late" },
    { "reorder-every", "N", NUMBER, FAULT(reorder_every), "swap one event in N with one of another channel" },
    { "disorder-every", "N", NUMBER, FAULT(disorder_every),
      "swap one in N with the next of its channel (counted)" },
    { "duplicate-every", "N", NUMBER, FAULT(duplicate_every), "send one event in N twice (counted)" },
    { "truncate-every", "N", NUMBER, FAULT(truncate_every), "before one event in N send a part of it" },
    { "malformed-every", "N", NUMBER, FAULT(malformed_every),
      "after one event in N send bytes that are no frame" },
    { "slow-accept-ms", "MS", NUMBER, FAULT(slow_accept_ms), "accept event connections this late" },
    { "error500-every", "N", NUMBER, FAULT(error500_every), "answer every N-th request with 500" },
    { "error503-every", "N", NUMBER, FAULT(error503_every), "answer every N-th request with 503" },
    { "in-use-every", "N", NUMBER, FAULT(in_use_every), "409 for every N-th id that the client gives" },
    { "boot-ms", "MS", NUMBER, FAULT(boot_ms), "503 for so long after the start" },
    { "freeze-after-ms", "MS", NUMBER, FAULT(freeze_after_ms), "from then on answer and send nothing" },
    { "endless-playbacks", NULL, FLAG, FAULT(endless_playbacks), "prompts start and never finish" },
    GROUP("chaos (judges the client by its trail: docs/OPERATIONS.md)"),
    { "beat-ms", "MS", NUMBER, CHAOS(beat_ms), "every call gets an event this often; this begins the chaos" },
    { "faults-per-s", "N", NUMBER, CHAOS(faults_per_s), "press keys that tell an app to crash" },
    { "fault-keys", "KEYS", WORD, CHAOS(fault_keys), "these keys, in turn (default 1)" },
    { "cut-every-ms", "MS", NUMBER, CHAOS(cut_every_ms),
      "cut the event connections: reset and silence in turn" },
    { "silence-ms", "MS", NUMBER, CHAOS(silence_ms), "how long a silence lasts (default 4000)" },
    { "late-ms", "MS", NUMBER, CHAOS(late_ms), "what takes longer is lost (default 15000)" },
    GROUP("output"),
    { "steps", NULL, FLAG, AT(steps), "print every event and request of every call" },
    { "quiet", NULL, FLAG, offsetof(struct options, quiet), "nothing but the result" },
};

#define ROWS      (sizeof rows / sizeof *rows)
#define FIRST_ROW 1000 /* what getopt returns for the first of them: no character */

static int help(void)
{
    puts(
        "usage: tandem exchange [options]\n"
        "  A simulated Asterisk: it listens for apps, places calls, and prints one line of JSON at the end.");
    for (size_t i = 0; i < ROWS; i++) {
        char left[48];
        if (rows[i].name == NULL) {
            printf("\n%s:\n", rows[i].help);
            continue;
        }
        snprintf(left, sizeof left, "--%s%s%s", rows[i].name, rows[i].arg == NULL ? "" : " ",
                 rows[i].arg == NULL ? "" : rows[i].arg);
        printf("  %-28s %s\n", left, rows[i].help);
    }
    puts("\nA script is a list of steps:\n"
         "  wait 200ms; wait 100..400ms; wait answer; wait play; wait quiet; press 42#; press 1|2|9;\n"
         "  hangup; hangup 20%; hangup@any\n"
         "After its last step a caller listens until the app hangs up.");
    return EXIT_DELIVERED;
}

/* ---- reading them ---------------------------------------------------------------------------- */

static bool complain(const struct option_row *row, const char *value, const char *want)
{
    fprintf(stderr, "tandem exchange: --%s %s: %s\n", row->name, value, want);
    return false;
}

static bool read_number(const struct option_row *row, void *field, const char *value)
{
    char *end;
    unsigned long long n = strtoull(value, &end, 10);
    bool port = strcmp(row->name, "port") == 0;

    if (*value < '0' || *value > '9' || *end != '\0')
        return complain(row, value, "a whole number is needed");
    if (port && n > 65535)
        return complain(row, value, "allowed is 0 to 65535");
    if (row->kind == NUMBER && n > UINT32_MAX)
        return complain(row, value, "too large");
    if (port)
        *(uint16_t *)field = (uint16_t)n;
    else if (row->kind == NUMBER)
        *(uint32_t *)field = (uint32_t)n;
    else
        *(uint64_t *)field = n;
    return true;
}

static bool read_rate(const struct option_row *row, double *field, const char *value)
{
    char *end;

    *field = strtod(value, &end);
    return (*end == '\0' && *field > 0 && *field <= 1e6) || complain(row, value, "calls per second, above 0");
}

/* NAME:PASSWORD into two fields that stand side by side. */
static bool read_user(const struct option_row *row, const char **fields, char *value)
{
    char *colon = strchr(value, ':');

    if (colon == NULL || colon == value)
        return complain(row, "...", "NAME:PASSWORD is needed");
    *colon = '\0';
    fields[0] = value;
    fields[1] = colon + 1;
    return true;
}

static bool read_extension(const struct option_row *row, struct options *o, char *value)
{
    char *weight = strchr(value, '='), *end = NULL;

    if (o->n_extensions == PLANS_MAX)
        return complain(row, value, "there are at most 32 of them");
    struct exchange_plan *plan = &o->plans[o->n_extensions];
    *plan = (struct exchange_plan){ .exten = value, .script = o->script, .weight = 1 };
    if (weight != NULL) {
        *weight++ = '\0';
        plan->weight = (uint32_t)strtoul(weight, &end, 10);
        if (*weight < '1' || *weight > '9' || *end != '\0' || plan->weight > 1000000)
            return complain(row, value, "the weight is a number from 1 to 1000000");
    }
    o->n_extensions++;
    return true;
}

static bool read_order(const struct option_row *row, enum exchange_order *field, const char *value)
{
    static const char *const words[] = { "answer-first", "event-first", "either" };

    for (int i = 0; i < 3; i++) {
        if (strcmp(value, words[i]) != 0)
            continue;
        *field = (enum exchange_order)i;
        return true;
    }
    return complain(row, value, "answer-first, event-first or either");
}

static bool read_option(struct options *o, const struct option_row *row, char *value)
{
    void *field = (char *)o + row->at;

    switch (row->kind) {
    case NUMBER:
    case WIDE:
        return read_number(row, field, value);
    case RATE:
        return read_rate(row, field, value);
    case WORD:
        *(const char **)field = value;
        return true;
    case FLAG:
        *(bool *)field = true;
        return true;
    case EXTENSION:
        return read_extension(row, o, value);
    case SCRIPT:
        o->script = value;
        return true;
    case USER:
        return read_user(row, field, value);
    case ORDER:
        return read_order(row, field, value);
    }
    return false;
}

/* Returns -1 to go on, else the exit status. */
static int read_options(struct options *o, int argc, char **argv)
{
    struct option longs[ROWS + 2] = { 0 };
    int index, c, n = 0;

    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].name != NULL)
            longs[n++] = (struct option){ rows[i].name, rows[i].arg != NULL ? required_argument : no_argument,
                                          NULL, FIRST_ROW + (int)i };
    longs[n] = (struct option){ "help", no_argument, NULL, 'h' };
    optind = 0;
    while ((c = getopt_long(argc, argv, "h", longs, &index)) != -1) {
        if (c == 'h')
            return help();
        if (c == '?' || !read_option(o, &rows[c - FIRST_ROW], optarg))
            return EXIT_USAGE;
    }
    if (optind < argc) {
        fprintf(stderr, "tandem exchange: %s: options only; --help lists them\n", argv[optind]);
        return EXIT_USAGE;
    }
    return -1;
}

static void plans_settle(struct options *o)
{
    if (o->n_extensions == 0)
        o->plans[o->n_extensions++] = (struct exchange_plan){ .exten = "100" };
    for (uint32_t i = 0; i < o->n_extensions; i++)
        if (o->plans[i].script == NULL)
            o->plans[i].script = o->script;
    o->cfg.plans = o->plans;
    o->cfg.n_plans = o->n_extensions;
}

/* ---- the one who gets the report ------------------------------------------------------------- */

struct listener {
    struct exchange_counters counters;
    _Atomic bool told; /* release after the counters were written; partner: conclude() */
    uint64_t start_ns;
};

static int listener_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct listener *l;

    memcpy(&l, start->arg, sizeof l);
    memcpy(state, &l, sizeof l);
    l->start_ns = tdm_now_ns(self);
    return TDM_OK;
}

static void step_print(const struct listener *l, const struct exchange_step *s)
{
    static const char *const arrows[] = { "caller ", "     =>", "     <=" };

    printf("%9.3f  %-18s %s %s\n", (double)(s->at_ns - l->start_ns) / 1e9, s->channel, arrows[s->kind],
           s->text);
}

static int listener_handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct listener *l;
    const union sigval value = { .sival_int = 0 };

    (void)self;
    memcpy(&l, state, sizeof l);
    if (msg->type == EXCHANGE_STEP)
        step_print(l, tdm_msg_view(msg));
    if (msg->type == EXCHANGE_DONE) {
        memcpy(&l->counters, tdm_msg_view(msg), sizeof l->counters);
        atomic_store_explicit(&l->told, true, memory_order_release);
        sigqueue(getpid(), SIGNAL_DONE, value);
    }
    return TDM_OK;
}

static const struct tdm_behaviour listener = {
    .name = "exchange_listener",
    .state_bytes = sizeof(struct listener *),
    .init = listener_init,
    .handle = listener_handle,
};

/* ---- the run --------------------------------------------------------------------------------- */

static sigset_t signals_block(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGNAL_DONE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return set;
}

/* Wait for a signal of the set; 0 when `seconds` (not 0) have passed. */
static int signal_wait(const sigset_t *set, uint32_t seconds)
{
    const struct timespec time = { .tv_sec = seconds };
    int sig;

    do
        sig = seconds == 0 ? sigwaitinfo(set, NULL) : sigtimedwait(set, NULL, &time);
    while (sig < 0 && errno == EINTR);
    return sig < 0 ? 0 : sig;
}

/* Until the exchange has said that it is done, or a second signal cuts that short. */
static void run(struct exchange *ex, const struct options *o, const sigset_t *set)
{
    if (signal_wait(set, o->seconds) == SIGNAL_DONE)
        return;
    exchange_finish(ex);
    signal_wait(set, o->cfg.settle_ms / 1000 + 10);
}

static int conclude(struct listener *l)
{
    char line[2048];

    if (!atomic_load_explicit(&l->told, memory_order_acquire)) {
        fputs("tandem exchange: ended before the result was known\n", stderr);
        return EXIT_LOST;
    }
    exchange_result(line, sizeof line, &l->counters);
    puts(line);
    return exchange_good(&l->counters) ? EXIT_DELIVERED : EXIT_LOST;
}

static int serve(struct options *o, struct tdm_runtime *rt, const sigset_t *set)
{
    struct listener l = { .start_ns = 0 }, *where = &l;
    struct tdm_spawn_cfg spawn = {
        .behaviour = &listener, .arg = &where, .arg_bytes = sizeof where, .mailbox_limit = TDM_MAILBOX_MAX
    };
    struct exchange *ex = NULL;
    char why[400] = "";
    int err = tdm_spawn(rt, &spawn, &o->cfg.report_to);

    if (err == TDM_OK)
        err = exchange_start(rt, &o->cfg, &ex, why, sizeof why);
    if (err < 0) {
        if (*why != '\0')
            fprintf(stderr, "tandem exchange: %s\n", why);
        else
            fprintf(stderr, "tandem exchange: cannot listen on %s port %u: %s\n",
                    o->cfg.address == NULL ? "127.0.0.1" : o->cfg.address, o->cfg.port, tdm_strerror(err));
        return EXIT_USAGE;
    }
    if (!o->quiet)
        fprintf(stderr, "exchange: listening on port %u, app \"%s\", %" PRIu64 " calls\n", exchange_port(ex),
                o->cfg.app == NULL ? "tandem" : o->cfg.app, o->cfg.calls);
    run(ex, o, set);
    exchange_stop(ex);
    return conclude(&l);
}

int cmd_exchange(int argc, char **argv)
{
    struct options o = { .cfg.port = 8088, .cfg.settle_ms = 2000 };
    int status = read_options(&o, argc, argv);

    if (status >= 0)
        return status;
    plans_settle(&o);
    sigset_t set = signals_block();
    struct tdm_runtime *rt;
    int err = tdm_runtime_new(&rt, &(struct tdm_runtime_cfg){ 0 });
    if (err < 0) {
        fprintf(stderr, "tandem exchange: cannot start the runtime: %s\n", tdm_strerror(err));
        return EXIT_USAGE;
    }
    status = serve(&o, rt, &set);
    tdm_runtime_stop(rt, 5000);
    tdm_runtime_free(rt);
    return status;
}
