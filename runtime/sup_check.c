/* sup_check.c - are a supervisor's settings and child specs right?
 *
 * Idea:      one verdict for a check without a start, for a start, for a child that is added and for new settings. It
 *            names the field first, for the log, and says in words whose and which value.
 * Touches nothing but its arguments; any thread. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "module.h"
#include "sup_spec.h"
#include "tandem/log.h"

static int refuse(struct refusal *f, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(struct refusal *f, const char *field, const char *format, ...)
{
    va_list args;

    f->field = field;
    va_start(args, format);
    vsnprintf(f->words, sizeof f->words, format, args);
    va_end(args);
    return TDM_EINVAL;
}

static int refuse_child(struct refusal *f, const struct tdm_child_spec *spec, size_t index, const char *field,
                        const char *words)
{
    const char *id = spec->id != NULL ? spec->id : "";

    f->id = id;
    return refuse(f, field, "children[%zu] (id \"%.48s\"): %s", index, id, words);
}

static int refuse_value(struct refusal *f, const struct tdm_child_spec *spec, size_t index, const char *field,
                        long value)
{
    char words[48];

    snprintf(words, sizeof words, "%s is %ld", field, value);
    return refuse_child(f, spec, index, field, words);
}

int sup_check_spec(const struct tdm_sup_cfg *cfg, const struct tdm_child_spec *spec, size_t index,
                   struct refusal *f)
{
    if (cfg->strategy != TDM_DYNAMIC && (spec->id == NULL || spec->id[0] == '\0'))
        return refuse_child(f, spec, index, "id", "no id");
    if ((spec->start.behaviour != NULL) == (spec->start.module != NULL))
        return refuse_child(f, spec, index, "start", "start needs either a behaviour or a module");
    if (spec->start.module != NULL && strlen(spec->start.module) > TDM_MODULE_NAME_MAX)
        return refuse_child(f, spec, index, "module", "the module's name is too long");
    if (spec->start.arg == NULL && spec->start.arg_bytes > 0)
        return refuse_child(f, spec, index, "start", "start: arg_bytes without arg");
    if ((unsigned)spec->restart > TDM_TEMPORARY)
        return refuse_value(f, spec, index, "restart", (long)spec->restart);
    if ((unsigned)spec->type > TDM_SUPERVISOR)
        return refuse_value(f, spec, index, "type", (long)spec->type);
    if ((unsigned)spec->mail > TDM_MAIL_KEEP)
        return refuse_value(f, spec, index, "mail", (long)spec->mail);
    if ((unsigned)spec->redeliver > TDM_REDELIVER_ONCE)
        return refuse_value(f, spec, index, "redeliver", (long)spec->redeliver);
    if (spec->significant && spec->restart == TDM_PERMANENT)
        return refuse_child(f, spec, index, "significant", "significant with restart permanent");
    if (spec->significant && cfg->auto_shutdown == TDM_AUTO_NEVER)
        return refuse_child(f, spec, index, "significant", "significant under auto_shutdown never");
    return TDM_OK;
}

/* ---- one id twice ---------------------------------------------------------------------------- */

static uint32_t hash_of(const char *id)
{
    uint32_t h = 2166136261u;

    while (*id != '\0')
        h = (h ^ (unsigned char)*id++) * 16777619u;
    return h;
}

static int refuse_twin(struct refusal *f, const struct tdm_sup_cfg *cfg, size_t i, size_t j)
{
    char words[64];

    snprintf(words, sizeof words, "the same id as children[%zu]", j);
    return refuse_child(f, &cfg->children[i], i, "id", words);
}

static int compare_all(const struct tdm_sup_cfg *cfg, struct refusal *f)
{
    for (size_t i = 0; i < cfg->n_children; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(cfg->children[i].id, cfg->children[j].id) == 0)
                return refuse_twin(f, cfg, i, j);
    return TDM_OK;
}

static int compare_hashed(const struct tdm_sup_cfg *cfg, uint32_t *table, size_t mask, struct refusal *f)
{
    for (size_t i = 0; i < cfg->n_children; i++) {
        size_t at = hash_of(cfg->children[i].id) & mask;
        for (; table[at] != 0; at = (at + 1) & mask)
            if (strcmp(cfg->children[i].id, cfg->children[table[at] - 1].id) == 0)
                return refuse_twin(f, cfg, i, table[at] - 1);
        table[at] = (uint32_t)i + 1;
    }
    return TDM_OK;
}

/* Without memory for a table the long way gives the same verdict. */
static int check_ids(const struct tdm_sup_cfg *cfg, struct refusal *f)
{
    struct tdm_env *env = tdm_env_real();
    size_t size = 1;

    if (cfg->n_children <= 32)
        return compare_all(cfg, f);
    while (size < 2 * cfg->n_children)
        size *= 2;
    uint32_t *table = env->alloc(env, size * sizeof *table);
    if (table == NULL)
        return compare_all(cfg, f);
    memset(table, 0, size * sizeof *table);
    int err = compare_hashed(cfg, table, size - 1, f);
    env->free(env, table, size * sizeof *table);
    return err;
}

/* ---- the settings ---------------------------------------------------------------------------- */

static int check_settings(const struct tdm_sup_cfg *cfg, struct refusal *f)
{
    if ((unsigned)cfg->strategy > TDM_DYNAMIC)
        return refuse(f, "strategy", "strategy is %d", (int)cfg->strategy);
    if ((cfg->intensity < 0 && cfg->intensity != TDM_INTENSITY_DEFAULT) || cfg->intensity > 100000)
        return refuse(f, "intensity", "intensity is %d, allowed are 0..100000", (int)cfg->intensity);
    if ((unsigned)cfg->auto_shutdown > TDM_AUTO_ALL_SIGNIFICANT)
        return refuse(f, "auto_shutdown", "auto_shutdown is %d", (int)cfg->auto_shutdown);
    if (cfg->strategy == TDM_DYNAMIC && cfg->auto_shutdown != TDM_AUTO_NEVER)
        return refuse(f, "auto_shutdown", "auto_shutdown is %d with strategy dynamic",
                      (int)cfg->auto_shutdown);
    if ((unsigned)cfg->scope > TDM_SCOPE_CHILD)
        return refuse(f, "intensity_scope", "intensity_scope is %d", (int)cfg->scope);
    if (cfg->backoff_max_ms < cfg->backoff_min_ms)
        return refuse(f, "backoff", "backoff_max_ms is %u, less than backoff_min_ms, %u", cfg->backoff_max_ms,
                      cfg->backoff_min_ms);
    if (!(cfg->backoff_jitter >= 0 && cfg->backoff_jitter <= 1))
        return refuse(f, "backoff", "backoff_jitter is %g, allowed are 0..1", cfg->backoff_jitter);
    if (cfg->strategy == TDM_DYNAMIC && cfg->n_children != 1)
        return refuse(f, "children", "children are %zu, a dynamic supervisor takes one template",
                      cfg->n_children);
    if (cfg->n_children > 0 && cfg->children == NULL)
        return refuse(f, "children", "children is NULL and n_children %zu", cfg->n_children);
    return TDM_OK;
}

int sup_check_cfg(const struct tdm_sup_cfg *cfg, struct refusal *f)
{
    *f = (struct refusal){ .field = "" };
    int err = check_settings(cfg, f);

    for (size_t i = 0; i < cfg->n_children && err == TDM_OK; i++)
        err = sup_check_spec(cfg, &cfg->children[i], i, f);
    if (err == TDM_OK && cfg->strategy != TDM_DYNAMIC)
        err = check_ids(cfg, f);
    return err;
}

void sup_log_refused(const struct tdm_sup_cfg *cfg, const struct refusal *f)
{
    tdm_log_error("supervisor.refused", "supervisor=%s field=%s child=%s why=%s",
                  cfg->name != NULL ? cfg->name : "-", f->field, f->id != NULL ? f->id : "-",
                  TDM_LOG_TEXT(f->words, strlen(f->words)));
}

int tdm_sup_check(const struct tdm_sup_cfg *cfg, char *why, size_t why_bytes)
{
    struct refusal f;
    int err = sup_check_cfg(cfg, &f);

    if (err < 0 && why != NULL && why_bytes > 0)
        snprintf(why, why_bytes, "%s", f.words);
    return err;
}
