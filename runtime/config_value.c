/* config_value.c - single values of a configuration: text to number and back, fallbacks, end.
 *
 * Idea:      fallbacks are written in the tables as a user would write them, and are read by the same code.
 * Touched by the thread that loads. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_value.h"
#include "tandem/log.h"

struct unit {
    const char *name;
    int64_t factor;
};

/* largest first, so that numbers are shown in the largest unit that fits */
static const struct unit time_units[] = { { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 },
                                          { "s", 1000 },     { "ms", 1 },      { NULL, 0 } };
static const struct unit size_units[] = {
    { "G", 1 << 30 }, { "M", 1 << 20 }, { "k", 1 << 10 }, { "", 1 }, { NULL, 0 }
};
static const struct unit no_units[] = { { "", 1 }, { NULL, 0 } };

static const struct unit *units_of(enum tdm_config_type type)
{
    return type == TDM_CONFIG_TIME ? time_units : type == TDM_CONFIG_SIZE ? size_units : no_units;
}

bool config_has_count(enum tdm_config_type type)
{
    return type == TDM_CONFIG_STRINGS || type == TDM_CONFIG_PAIRS || type == TDM_CONFIG_LIST ||
           type == TDM_CONFIG_MAP;
}

const char *config_value_kind(enum tdm_config_type type)
{
    switch (type) {
    case TDM_CONFIG_BOOL:
        return "true or false";
    case TDM_CONFIG_INT:
        return "a whole number";
    case TDM_CONFIG_TIME:
        return "a time with a unit, such as 250ms, 10s, 5m or 1h";
    case TDM_CONFIG_SIZE:
        return "a size, such as 512, 64k or 4M";
    case TDM_CONFIG_STRING:
    case TDM_CONFIG_SECRET:
        return "a text";
    case TDM_CONFIG_ENUM:
        return "one of the words allowed";
    case TDM_CONFIG_STRINGS:
        return "a list of words, such as [one, two]";
    case TDM_CONFIG_PAIRS:
        return "a map of texts, such as { key: text }";
    case TDM_CONFIG_STRUCT:
    case TDM_CONFIG_MAP:
        return "a map of keys and values";
    case TDM_CONFIG_LIST:
        return "a list";
    }
    return "something else";
}

const char *config_value_number(enum tdm_config_type type, int64_t n, char *buf, size_t bytes)
{
    const struct unit *u = units_of(type);

    while (u[1].name != NULL && (n == 0 || n % u->factor != 0))
        u++;
    snprintf(buf, bytes, "%lld%s", (long long)(n / u->factor), n == 0 ? "" : u->name);
    return buf;
}

static const char *allowed_words(const struct tdm_config_field *f, char *buf, size_t bytes)
{
    size_t used = 0;

    buf[0] = '\0';
    for (const struct tdm_config_word *w = f->words; w->word != NULL && used < bytes; w++)
        used += (size_t)snprintf(buf + used, bytes - used, "%s%s", w == f->words ? "" : ", ", w->word);
    return buf;
}

static const char *unit_of_length(enum tdm_config_type type)
{
    switch (type) {
    case TDM_CONFIG_STRING:
    case TDM_CONFIG_SECRET:
        return " bytes";
    case TDM_CONFIG_STRINGS:
    case TDM_CONFIG_PAIRS:
    case TDM_CONFIG_LIST:
    case TDM_CONFIG_MAP:
        return " entries";
    default:
        return "";
    }
}

const char *config_value_allowed(const struct tdm_config_field *f, char *buf, size_t bytes)
{
    char low[32], high[32];

    if (f->type == TDM_CONFIG_BOOL)
        return "true, false";
    if (f->type == TDM_CONFIG_ENUM)
        return allowed_words(f, buf, bytes);
    if (f->min == 0 && f->max == 0)
        return NULL;
    config_value_number(f->type, f->min, low, sizeof low);
    config_value_number(f->type, f->max, high, sizeof high);
    if (f->max == 0)
        snprintf(buf, bytes, "at least %s%s", low, unit_of_length(f->type));
    else
        snprintf(buf, bytes, "%s to %s%s", low, high, unit_of_length(f->type));
    return buf;
}

/* -- reading ------------------------------------------------------------------------------------- */

static int complain(char *why, size_t why_bytes, const char *what, const char *text)
{
    snprintf(why, why_bytes, "must be %s, not %s", what,
             tdm_log_text((char[80]){ 0 }, 80, text, strlen(text)));
    return TDM_ECONFIG;
}

static bool in_range(const struct tdm_config_field *f, int64_t n)
{
    return (f->min == 0 && f->max == 0) || (n >= f->min && (f->max == 0 || n <= f->max));
}

/* The unit that `text` is, or NULL. Only zero needs none where there are several. */
static const struct unit *find_unit(const struct unit *units, const char *text, int64_t n)
{
    if (*text == '\0' && n == 0)
        return units;
    for (const struct unit *u = units; u->name != NULL; u++) {
        if (strcmp(u->name, text) == 0)
            return u;
    }
    return NULL;
}

static int set_number(const struct tdm_config_field *f, const char *text, int64_t *member, char *why,
                      size_t why_bytes)
{
    char *end = NULL;
    long long n;
    int64_t scaled;

    errno = 0;
    n = strtoll(text, &end, 10);
    if (end == text || isspace((unsigned char)text[0]))
        return complain(why, why_bytes, config_value_kind(f->type), text);
    const struct unit *u = find_unit(units_of(f->type), end, n);
    if (u == NULL)
        return complain(why, why_bytes, config_value_kind(f->type), text);
    if (errno == ERANGE || (n < 0 && f->type != TDM_CONFIG_INT) ||
        __builtin_mul_overflow(n, u->factor, &scaled) || !in_range(f, scaled)) {
        snprintf(why, why_bytes, "%.40s is out of range", text);
        return TDM_ECONFIG;
    }
    *member = scaled;
    return TDM_OK;
}

static int set_bool(const char *text, bool *member, char *why, size_t why_bytes)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = { { "true", true },   { "yes", true }, { "on", true },
                  { "false", false }, { "no", false }, { "off", false } };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(words[i].word, text) == 0) {
            *member = words[i].value;
            return TDM_OK;
        }
    }
    return complain(why, why_bytes, config_value_kind(TDM_CONFIG_BOOL), text);
}

static int set_word(const struct tdm_config_field *f, const char *text, int *member, char *why,
                    size_t why_bytes)
{
    const char *words[64];
    size_t n = 0;

    for (const struct tdm_config_word *w = f->words; w->word != NULL; w++) {
        if (strcmp(w->word, text) == 0) {
            *member = w->value;
            return TDM_OK;
        }
        if (n < 64)
            words[n++] = w->word;
    }
    const char *near = tdm_config_nearest(text, words, n);
    snprintf(why, why_bytes, "unknown word %s%s%s%s", tdm_log_text((char[80]){ 0 }, 80, text, strlen(text)),
             near == NULL ? "" : "; did you mean \"", near == NULL ? "" : near, near == NULL ? "" : "\"?");
    return TDM_ECONFIG;
}

const char *config_value_text_fault(const struct tdm_config_field *f, const char *text, char *why,
                                    size_t why_bytes)
{
    bool of_entries = f->type == TDM_CONFIG_STRINGS || f->type == TDM_CONFIG_MAP; /* min, max: of those */
    const char *wrong = NULL;

    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            return "must not contain control characters";
    }
    if (!of_entries && !in_range(f, (int64_t)strlen(text))) {
        snprintf(why, why_bytes, "has %zu bytes", strlen(text));
        return why;
    }
    if (f->check != NULL && f->type != TDM_CONFIG_SECRET)
        wrong = f->check(text);
    return wrong;
}

static int set_text(const struct tdm_config_field *f, const char *text, char **member, char *why,
                    size_t why_bytes)
{
    const char *wrong = config_value_text_fault(f, text, why, why_bytes);

    if (wrong != NULL) {
        if (wrong != why)
            snprintf(why, why_bytes, "%s", wrong);
        return TDM_ECONFIG;
    }
    char *copy = strdup(text);
    if (copy == NULL)
        return TDM_ENOMEM;
    free(*member); /* the fallback */
    *member = copy;
    return TDM_OK;
}

int config_value_set(const struct tdm_config_field *f, const char *text, void *member, char *why,
                     size_t why_bytes)
{
    switch (f->type) {
    case TDM_CONFIG_BOOL:
        return set_bool(text, member, why, why_bytes);
    case TDM_CONFIG_INT:
    case TDM_CONFIG_TIME:
    case TDM_CONFIG_SIZE:
        return set_number(f, text, member, why, why_bytes);
    case TDM_CONFIG_ENUM:
        return set_word(f, text, member, why, why_bytes);
    case TDM_CONFIG_STRING:
    case TDM_CONFIG_SECRET:
        return set_text(f, text, member, why, why_bytes);
    default:
        return TDM_EINVAL;
    }
}

/* -- fallbacks and end --------------------------------------------------------------------------- */

int config_value_defaults(const struct tdm_config_schema *schema, void *value)
{
    char why[160];
    int err = TDM_OK;

    for (size_t i = 0; i < schema->n_fields && err == TDM_OK; i++) {
        const struct tdm_config_field *f = &schema->fields[i];
        void *member = (char *)value + f->offset;
        if (f->type == TDM_CONFIG_STRUCT)
            err = config_value_defaults(f->of, member);
        else if (f->fallback != NULL)
            err = config_value_set(f, f->fallback, member, why, sizeof why);
    }
    return err == TDM_ECONFIG ? TDM_EINVAL : err;
}

static void free_members(const struct tdm_config_schema *schema, void *value);

static void free_strings(char **strings, size_t n)
{
    for (size_t i = 0; strings != NULL && i < n; i++)
        free(strings[i]);
    free(strings);
}

static void free_pairs(struct tdm_config_pair *pairs, size_t n)
{
    for (size_t i = 0; pairs != NULL && i < n; i++) {
        free(pairs[i].key);
        free(pairs[i].value);
    }
    free(pairs);
}

static void free_structs(const struct tdm_config_field *f, char *items, size_t n)
{
    for (size_t i = 0; items != NULL && i < n; i++) {
        char *item = items + i * f->of->bytes;
        if (f->type == TDM_CONFIG_MAP)
            free(*(char **)(void *)(item + f->of->name_offset));
        free_members(f->of, item);
    }
    free(items);
}

static void free_secret(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

static void free_member(const struct tdm_config_field *f, void *value)
{
    void *member = (char *)value + f->offset;
    size_t n = config_has_count(f->type) ? *(size_t *)(void *)((char *)value + f->count_offset) : 0;

    switch (f->type) {
    case TDM_CONFIG_STRING:
        free(*(char **)member);
        break;
    case TDM_CONFIG_SECRET:
        free_secret(*(char **)member);
        break;
    case TDM_CONFIG_STRINGS:
        free_strings(*(char ***)member, n);
        break;
    case TDM_CONFIG_PAIRS:
        free_pairs(*(struct tdm_config_pair **)member, n);
        break;
    case TDM_CONFIG_STRUCT:
        free_members(f->of, member);
        break;
    case TDM_CONFIG_LIST:
    case TDM_CONFIG_MAP:
        free_structs(f, *(char **)member, n);
        break;
    default:
        break;
    }
}

static void free_members(const struct tdm_config_schema *schema, void *value)
{
    for (size_t i = 0; i < schema->n_fields; i++)
        free_member(&schema->fields[i], value);
}

void tdm_config_free(const struct tdm_config_schema *schema, void *value)
{
    if (value == NULL)
        return;
    free_members(schema, value);
    memset(value, 0, schema->bytes);
}
