/* model.c - the exchange as a whole: made, told the time, freed; and the small things all parts use.
 *
 * Idea:      everything that happens is either a call from outside or a timer of the agenda, so a run
 *            follows wholly from the calls, their times and the seed.
 * Invariant: outside of these calls nothing is half done: held events are sent, lanes have run.
 * Touched by its owner only. */
#include "inside.h"

#include <stdio.h>

/* ---- memory ---------------------------------------------------------------------------------- */

/* The size goes in front: env->free wants to be told it again. */
union head {
    size_t bytes;
    max_align_t aligned;
};

void *ex_alloc(struct ex_model *m, size_t bytes)
{
    union head *head = m->env->alloc(m->env, sizeof *head + bytes);

    if (head == NULL)
        return NULL;
    memset(head, 0, sizeof *head + bytes);
    head->bytes = sizeof *head + bytes;
    return head + 1;
}

void ex_free(struct ex_model *m, void *p)
{
    if (p == NULL)
        return;
    union head *head = (union head *)p - 1;
    m->env->free(m->env, head, head->bytes);
}

char *ex_strdup(struct ex_model *m, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = ex_alloc(m, bytes);

    return copy == NULL ? NULL : memcpy(copy, text, bytes);
}

int ex_set(struct ex_model *m, char **field, const char *text)
{
    char *copy = ex_strdup(m, text);

    if (copy == NULL)
        return TDM_ENOMEM;
    ex_free(m, *field);
    *field = copy;
    return TDM_OK;
}

void *ex_scratch(struct ex_model *m, size_t bytes)
{
    struct ex_block *b = m->blocks;

    bytes = (bytes + 15) & ~(size_t)15;
    if (b == NULL || b->room - b->used < bytes) {
        size_t room = bytes > 4096 ? bytes : 4096;
        b = ex_alloc(m, sizeof *b + room);
        if (b == NULL)
            return NULL;
        b->room = room;
        b->next = m->blocks;
        m->blocks = b;
    }
    b->used += bytes;
    return b->bytes + b->used - bytes;
}

/* ---- choices, names, times ------------------------------------------------------------------- */

uint64_t ex_random(struct ex_model *m, uint64_t below)
{
    uint64_t x = m->random += 0x9e3779b97f4a7c15u; /* splitmix64 */

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    return below == 0 ? x : x % below;
}

void ex_uuid(struct ex_model *m, char out[37])
{
    uint64_t a = ex_random(m, 0), b = ex_random(m, 0);

    snprintf(out, 37, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32), (unsigned)(a >> 16) & 0xffff,
             (unsigned)a & 0xfff, 0x8000u | ((unsigned)(b >> 48) & 0x3fff),
             (unsigned long long)(b & 0xffffffffffff));
}

/* Days since 1970 to a date. Source: H. Hinnant's civil_from_days. */
char *ex_stamp(uint64_t wall_ns, char out[40])
{
    uint64_t s = wall_ns / 1000000000u, z = s / 86400 + 719468;
    uint64_t era = z / 146097, doe = z - era * 146097;
    uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    unsigned day = (unsigned)(doy - (153 * mp + 2) / 5 + 1), month = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
    unsigned year = (unsigned)(yoe + era * 400 + (month <= 2));

    snprintf(out, 40, "%04u-%02u-%02uT%02u:%02u:%02u.%03u+0000", year % 10000, month, day,
             (unsigned)(s / 3600 % 24), (unsigned)(s / 60 % 60), (unsigned)(s % 60),
             (unsigned)(wall_ns / 1000000 % 1000));
    return out;
}

int ex_later(struct ex_model *m, struct ex_timer *t, uint64_t delay_ns,
             void (*fire)(struct ex_model *, void *), void *owner)
{
    t->fire = fire;
    t->owner = owner;
    return ex_agenda_set(&m->agenda, t, m->now_ns + delay_ns);
}

void ex_cancel(struct ex_model *m, struct ex_timer *t)
{
    ex_agenda_cancel(&m->agenda, t);
}

/* ---- small lists ----------------------------------------------------------------------------- */

struct ex_name *ex_name_add(struct ex_model *m, struct ex_name **list, const char *text)
{
    size_t bytes = strlen(text) + 1;
    struct ex_name *n = ex_alloc(m, sizeof *n + bytes);

    if (n == NULL)
        return NULL;
    memcpy(n->text, text, bytes);
    while (*list != NULL)
        list = &(*list)->next;
    *list = n;
    return n;
}

bool ex_name_in(const struct ex_name *list, const char *text)
{
    while (list != NULL && strcmp(list->text, text) != 0)
        list = list->next;
    return list != NULL;
}

void ex_names_free(struct ex_model *m, struct ex_name **list)
{
    struct ex_name *n = *list;

    *list = NULL;
    while (n != NULL) {
        struct ex_name *next = n->next;
        ex_free(m, n);
        n = next;
    }
}

struct ex_frame *ex_frame_new(struct ex_model *m, uint64_t conn, uint64_t about, const char *text,
                              size_t bytes)
{
    struct ex_frame *f = ex_alloc(m, sizeof *f + bytes + 1);

    if (f == NULL)
        return NULL;
    f->conn = conn;
    f->about = about;
    f->bytes = bytes;
    memcpy(f->text, text, bytes);
    return f;
}

void ex_frames_put(struct ex_frames *list, struct ex_frame *frame)
{
    frame->next = NULL;
    if (list->first == NULL)
        list->first = frame;
    else
        list->last->next = frame;
    list->last = frame;
}

struct ex_frame *ex_frames_take(struct ex_frames *list)
{
    struct ex_frame *f = list->first;

    if (f != NULL)
        list->first = f->next;
    return f;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void cfg_defaults(struct exchange_cfg *cfg)
{
    const struct {
        uint32_t *field, value;
    } numbers[] = {
        { &cfg->sessions, 100 },         { &cfg->idle_ms, 15000 },
        { &cfg->at_once, 1000 },         { &cfg->settle_ms, 2000 },
        { &cfg->call_limit_ms, 600000 }, { &cfg->digit_gap_ms, cfg->real_time ? 200 : 0 },
    };
    const struct {
        const char **field, *value;
    } words[] = {
        { &cfg->address, "127.0.0.1" },  { &cfg->user, "tandem" }, { &cfg->password, "tandem" },
        { &cfg->app, "tandem" },         { &cfg->args, "" },       { &cfg->context, "apps" },
        { &cfg->chaos.fault_keys, "1" },
    };

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (*numbers[i].field == 0)
            *numbers[i].field = numbers[i].value;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (*words[i].field == NULL)
            *words[i].field = words[i].value;
    if (cfg->seed == 0)
        cfg->seed = 1;
}

static const char **cfg_word(struct exchange_cfg *cfg, size_t i)
{
    const char **words[] = { &cfg->address,         &cfg->user, &cfg->password, &cfg->reader,
                             &cfg->reader_password, &cfg->app,  &cfg->args,     &cfg->context,
                             &cfg->chaos.fault_keys };

    return i < sizeof words / sizeof *words ? words[i] : NULL;
}

/* Make the configuration's strings our own. Those not yet copied are cleared first, so that a failure
 * leaves only what ex_model_free() may free. */
static int cfg_own(struct ex_model *m, const struct exchange_cfg *from)
{
    struct exchange_cfg lent = *from;
    int err = TDM_OK;

    for (size_t i = 0; cfg_word(&m->cfg, i) != NULL; i++)
        *cfg_word(&m->cfg, i) = NULL;
    for (size_t i = 0; cfg_word(&m->cfg, i) != NULL; i++) {
        const char *word = *cfg_word(&lent, i);
        if (word != NULL && (*cfg_word(&m->cfg, i) = ex_strdup(m, word)) == NULL)
            err = TDM_ENOMEM;
    }
    return err;
}

static int plans_own(struct ex_model *m, const struct exchange_plan *plans, uint32_t n, char *why,
                     size_t why_bytes)
{
    static const struct exchange_plan one = { .exten = "100" };

    if (n == 0) {
        plans = &one;
        n = 1;
    }
    m->plans = ex_alloc(m, n * sizeof *m->plans);
    if (m->plans == NULL)
        return TDM_ENOMEM;
    m->n_plans = n;
    for (uint32_t i = 0; i < n; i++) {
        m->plans[i].weight = plans[i].weight == 0 ? 1 : plans[i].weight;
        m->weights += m->plans[i].weight;
        m->plans[i].exten = ex_strdup(m, plans[i].exten);
        if (m->plans[i].exten == NULL)
            return TDM_ENOMEM;
        int err = ex_script_read(m, plans[i].script, &m->plans[i].script, why, why_bytes);
        if (err < 0)
            return err;
    }
    m->cfg.plans = NULL;
    m->cfg.n_plans = 0;
    return TDM_OK;
}

static void model_init(struct ex_model *m, struct tdm_env *env)
{
    m->env = env;
    ex_agenda_init(&m->agenda, env);
    ex_table_init(&m->channels, env);
    ex_table_init(&m->playbacks, env);
    ex_table_init(&m->bridges, env);
    ex_table_init(&m->accounts, env);
    ex_text_init(&m->event, env);
    ex_text_init(&m->frame, env);
    ex_text_init(&m->answer, env);
    ex_text_init(&m->line, env);
}

int ex_model_new(struct ex_model **ret, const struct exchange_cfg *cfg, const struct ex_out *out, char *why,
                 size_t why_bytes)
{
    struct tdm_env *env = cfg->env != NULL ? cfg->env : tdm_env_real();
    struct ex_model *m = env->alloc(env, sizeof *m);
    struct exchange_cfg full = *cfg;
    int err;

    if (m == NULL)
        return TDM_ENOMEM;
    memset(m, 0, sizeof *m);
    model_init(m, env);
    m->out = *out;
    cfg_defaults(&full);
    m->cfg = full;
    m->cfg.env = env;
    m->random = full.seed;
    err = cfg_own(m, &full);
    if (err == TDM_OK)
        err = plans_own(m, cfg->plans, cfg->n_plans, why, why_bytes);
    if (err == TDM_OK)
        err = ex_chaos_new(m);
    if (err < 0) {
        ex_model_free(m);
        return err;
    }
    *ret = m;
    return TDM_OK;
}

void ex_scratch_free(struct ex_model *m)
{
    while (m->blocks != NULL) {
        struct ex_block *next = m->blocks->next;
        ex_free(m, m->blocks);
        m->blocks = next;
    }
}

void ex_model_free(struct ex_model *m)
{
    if (m == NULL)
        return;
    while (m->first_channel != NULL)
        ex_channel_free(m, m->first_channel);
    while (m->first_bridge != NULL)
        ex_bridge_free(m, m->first_bridge);
    ex_apps_free(m);
    ex_chaos_free(m);
    ex_accounts_free(m);
    ex_faults_free(m);
    ex_vars_free(m, &m->globals);
    ex_scratch_free(m);
    for (uint32_t i = 0; i < m->n_plans; i++) {
        ex_free(m, m->plans[i].exten);
        ex_script_free(m, m->plans[i].script);
    }
    ex_free(m, m->plans);
    for (size_t i = 0; cfg_word(&m->cfg, i) != NULL; i++)
        ex_free(m, (char *)*cfg_word(&m->cfg, i));
    for (struct ex_frame *f; (f = ex_frames_take(&m->kept)) != NULL;)
        ex_free(m, f);
    ex_text_fini(&m->event);
    ex_text_fini(&m->frame);
    ex_text_fini(&m->answer);
    ex_text_fini(&m->line);
    ex_table_fini(&m->channels);
    ex_table_fini(&m->playbacks);
    ex_table_fini(&m->bridges);
    ex_table_fini(&m->accounts);
    ex_agenda_fini(&m->agenda);
    m->env->free(m->env, m, sizeof *m);
}

/* ---- time ------------------------------------------------------------------------------------ */

void ex_model_clock(struct ex_model *m, uint64_t now_ns, uint64_t wall_ns)
{
    bool first = m->start_ns == 0;

    m->now_ns = now_ns;
    m->wall_ns = wall_ns;
    if (!first)
        return;
    m->start_ns = now_ns == 0 ? 1 : now_ns;
    m->epoch_s = wall_ns / 1000000000u;
    ex_faults_start(m);
    if (m->cfg.do_not_wait)
        ex_callers_start(m);
}

void ex_model_tick(struct ex_model *m)
{
    struct ex_timer *t;

    /* Bounded, so that the owner gets to its mail: what is left is due at once. */
    for (int n = 0; n < 1000 && (t = ex_agenda_due(&m->agenda, m->now_ns)) != NULL; n++)
        t->fire(m, t->owner);
    ex_scratch_free(m);
}

uint64_t ex_model_next(const struct ex_model *m)
{
    return ex_agenda_next(&m->agenda);
}

bool ex_model_finished(const struct ex_model *m)
{
    return m->settled;
}

void ex_model_counters(const struct ex_model *m, struct exchange_counters *ret)
{
    *ret = m->counters;
}
