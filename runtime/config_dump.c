/* config_dump.c - a loaded configuration as YAML again, without its secrets.
 *
 * Invariant: every text is in double quotes with what YAML needs escaped, so that what is written loads as
 *            the same text. */
#include <string.h>

#include "config_value.h"

static void dump_struct(const struct tdm_config_schema *schema, const void *value, FILE *to, int depth);

static void indent(FILE *to, int depth)
{
    fprintf(to, "%*s", 2 * depth, "");
}

static void dump_text(const char *text, FILE *to)
{
    fputc('"', to);
    for (const char *c = text; *c != '\0'; c++)
        fprintf(to, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    fputc('"', to);
}

static const char *word_of(const struct tdm_config_field *f, int value)
{
    const struct tdm_config_word *w = f->words;

    while (w->word != NULL && w->value != value)
        w++;
    return w->word == NULL ? "?" : w->word;
}

static void dump_strings(char *const *strings, size_t n, FILE *to)
{
    fputs(" [", to);
    for (size_t i = 0; i < n; i++) {
        fputs(i == 0 ? "" : ", ", to);
        dump_text(strings[i], to);
    }
    fputs("]\n", to);
}

static void dump_pairs(const struct tdm_config_pair *pairs, size_t n, FILE *to, int depth)
{
    fputs(n == 0 ? " {}\n" : "\n", to);
    for (size_t i = 0; i < n; i++) {
        indent(to, depth);
        dump_text(pairs[i].key, to);
        fputs(": ", to);
        dump_text(pairs[i].value, to);
        fputc('\n', to);
    }
}

static void dump_structs(const struct tdm_config_field *f, const char *items, size_t n, FILE *to, int depth)
{
    fputs(n > 0 ? "\n" : f->type == TDM_CONFIG_MAP ? " {}\n" : " []\n", to);
    for (size_t i = 0; i < n; i++) {
        const char *item = items + i * f->of->bytes;
        indent(to, depth);
        if (f->type == TDM_CONFIG_MAP) {
            dump_text(*(char *const *)(const void *)(item + f->of->name_offset), to);
            fputs(":\n", to);
        } else {
            fputs("-\n", to);
        }
        dump_struct(f->of, item, to, depth + 1);
    }
}

static void dump_scalar(const struct tdm_config_field *f, const void *member, FILE *to)
{
    char buf[32];

    fputc(' ', to);
    switch (f->type) {
    case TDM_CONFIG_BOOL:
        fputs(*(const bool *)member ? "true" : "false", to);
        break;
    case TDM_CONFIG_ENUM:
        fputs(word_of(f, *(const int *)member), to);
        break;
    case TDM_CONFIG_SECRET:
        fputs("\"****\"", to);
        break;
    case TDM_CONFIG_STRING:
        dump_text(*(char *const *)member, to);
        break;
    default:
        fputs(config_value_number(f->type, *(const int64_t *)member, buf, sizeof buf), to);
    }
    fputc('\n', to);
}

/* An absent text has no way to be written: its key stays away. */
static bool is_absent(const struct tdm_config_field *f, const void *member)
{
    return (f->type == TDM_CONFIG_STRING || f->type == TDM_CONFIG_SECRET) && *(char *const *)member == NULL;
}

static void dump_field(const struct tdm_config_field *f, const void *value, FILE *to, int depth)
{
    const void *member = (const char *)value + f->offset;
    size_t n = config_has_count(f->type)
                   ? *(const size_t *)(const void *)((const char *)value + f->count_offset)
                   : 0;

    if (is_absent(f, member))
        return;
    indent(to, depth);
    fprintf(to, "%s:", f->key);
    switch (f->type) {
    case TDM_CONFIG_STRINGS:
        dump_strings(*(char *const *const *)member, n, to);
        break;
    case TDM_CONFIG_PAIRS:
        dump_pairs(*(const struct tdm_config_pair *const *)member, n, to, depth + 1);
        break;
    case TDM_CONFIG_STRUCT:
        fputc('\n', to);
        dump_struct(f->of, member, to, depth + 1);
        break;
    case TDM_CONFIG_LIST:
    case TDM_CONFIG_MAP:
        dump_structs(f, *(const char *const *)member, n, to, depth + 1);
        break;
    default:
        dump_scalar(f, member, to);
    }
}

static void dump_struct(const struct tdm_config_schema *schema, const void *value, FILE *to, int depth)
{
    for (size_t i = 0; i < schema->n_fields; i++)
        dump_field(&schema->fields[i], value, to, depth);
}

void tdm_config_dump(const struct tdm_config_schema *schema, const void *value, FILE *to)
{
    dump_struct(schema, value, to, 0);
}
