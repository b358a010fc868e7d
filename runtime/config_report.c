/* config_report.c - every fault of a configuration file, with its place.
 *
 * Idea:      the loader notes where each key is; whoever finds a fault later needs to know only the key.
 * Invariant: texts in a report are printable, and complete or absent (then out_of_memory is set).
 * Touched by the thread that loads. */
#include <stdlib.h>
#include <string.h>

#include "config_report.h"

struct tdm_config_place {
    char *key;
    uint32_t line, column;
};

static char *copy(struct tdm_config_report *report, const char *text)
{
    char *c = text == NULL ? NULL : strdup(text);

    if (text != NULL && c == NULL)
        report->out_of_memory = true;
    return c;
}

/* Grow at powers of two, so that the capacity need not be kept. NULL: no memory. */
static void *grown(struct tdm_config_report *report, void *items, size_t count, size_t item_bytes)
{
    if ((count & (count - 1)) != 0)
        return items;
    void *more = realloc(items, (count == 0 ? 1 : 2 * count) * item_bytes);
    if (more == NULL)
        report->out_of_memory = true;
    return more;
}

void config_report_place(struct tdm_config_report *report, const char *key, uint32_t line, uint32_t column)
{
    struct tdm_config_place *places = grown(report, report->places, report->n_places, sizeof *places);

    if (places == NULL)
        return;
    report->places = places;
    struct tdm_config_place p = { .key = copy(report, key), .line = line, .column = column };
    if (p.key != NULL)
        places[report->n_places++] = p;
}

static void add_fault(struct tdm_config_report *report, struct tdm_config_fault f)
{
    struct tdm_config_fault *faults = NULL;

    if (report->n_faults == CONFIG_FAULTS_MAX)
        report->n_more++;
    else
        faults = grown(report, report->faults, report->n_faults, sizeof *faults);
    if (faults != NULL) {
        report->faults = faults;
        faults[report->n_faults++] = f;
        report->n_warnings += f.warning;
        return;
    }
    free(f.key);
    free(f.text);
    free(f.allowed);
}

static void add_words(struct tdm_config_report *report, struct tdm_config_fault at, const char *key,
                      const char *allowed, const char *format, va_list args)
{
    at.key = copy(report, key);
    at.allowed = copy(report, allowed);
    if (vasprintf(&at.text, format, args) < 0) {
        at.text = NULL;
        report->out_of_memory = true;
    }
    add_fault(report, at);
}

void config_report_add(struct tdm_config_report *report, bool warning, uint32_t line, uint32_t column,
                       const char *key, const char *allowed, const char *format, ...)
{
    struct tdm_config_fault at = { .warning = warning, .line = line, .column = column };
    va_list args;

    va_start(args, format);
    add_words(report, at, key, allowed, format, args);
    va_end(args);
}

/* Is `inner` the key `outer`, or one below it? Everything is below "". */
static bool at_or_below(const char *inner, const char *outer)
{
    size_t n = strlen(outer);

    return n == 0 ||
           (strncmp(inner, outer, n) == 0 && (inner[n] == '\0' || inner[n] == '.' || inner[n] == '['));
}

/* The place of the key, or of the nearest one around it. */
static struct tdm_config_fault place_of(const struct tdm_config_report *report, const char *key, bool warning)
{
    struct tdm_config_fault at = { .warning = warning };
    size_t best = 0;

    if (report->n_faults == CONFIG_FAULTS_MAX) /* it will only be counted */
        return at;
    for (size_t i = 0; i < report->n_places; i++) {
        const struct tdm_config_place *p = &report->places[i];
        if (!at_or_below(key, p->key) || strlen(p->key) < best)
            continue;
        best = strlen(p->key);
        at.line = p->line;
        at.column = p->column;
    }
    return at;
}

void tdm_config_fault(struct tdm_config_report *report, const char *key, const char *allowed,
                      const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_words(report, place_of(report, key, false), key, allowed, format, args);
    va_end(args);
}

void tdm_config_warn(struct tdm_config_report *report, const char *key, const char *allowed,
                     const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_words(report, place_of(report, key, true), key, allowed, format, args);
    va_end(args);
}

bool tdm_config_faulty(const struct tdm_config_report *report, const char *key)
{
    for (size_t i = 0; i < report->n_faults; i++) {
        const struct tdm_config_fault *f = &report->faults[i];
        if (!f->warning && f->key != NULL && at_or_below(f->key, key))
            return true;
    }
    return false;
}

static int by_place(const void *a, const void *b)
{
    const struct tdm_config_fault *x = a, *y = b;

    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    if (x->column != y->column)
        return x->column < y->column ? -1 : 1;
    return strcmp(x->key == NULL ? "" : x->key, y->key == NULL ? "" : y->key);
}

void config_report_sort(struct tdm_config_report *report)
{
    if (report->n_faults > 1)
        qsort(report->faults, report->n_faults, sizeof report->faults[0], by_place);
}

static void print_fault(const struct tdm_config_report *report, const struct tdm_config_fault *f, FILE *to)
{
    fprintf(to, "%s:", report->file == NULL ? "?" : report->file);
    if (f->line > 0)
        fprintf(to, "%u:%u:", f->line, f->column);
    fprintf(to, "%s", f->warning ? " warning:" : "");
    if (f->key != NULL && f->key[0] != '\0')
        fprintf(to, " %s:", f->key);
    fprintf(to, " %s", f->text == NULL ? "faulty" : f->text);
    if (f->allowed != NULL)
        fprintf(to, " (allowed: %s)", f->allowed);
    fputc('\n', to);
}

size_t tdm_config_report_print(const struct tdm_config_report *report, FILE *to)
{
    for (size_t i = 0; i < report->n_faults; i++)
        print_fault(report, &report->faults[i], to);
    if (report->n_more > 0)
        fprintf(to, "%s: and %zu more\n", report->file == NULL ? "?" : report->file, report->n_more);
    return report->n_faults - report->n_warnings + report->n_more;
}

void tdm_config_report_free(struct tdm_config_report *report)
{
    if (report == NULL)
        return;
    for (size_t i = 0; i < report->n_faults; i++) {
        free(report->faults[i].key);
        free(report->faults[i].text);
        free(report->faults[i].allowed);
    }
    for (size_t i = 0; i < report->n_places; i++)
        free(report->places[i].key);
    free(report->faults);
    free(report->places);
    free(report->file);
    *report = (struct tdm_config_report){ 0 };
}

/* -- did you mean -------------------------------------------------------------------------------- */

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;

    return m < c ? m : c;
}

/* How many single mistakes (a letter missing, added, wrong, or two exchanged) turn one into the other.
 * Source: the optimal string alignment distance; rows for the letters of `a`, three kept. */
static unsigned distance(const char *a, size_t an, const char *b, size_t bn)
{
    unsigned row[3][TDM_CONFIG_KEY_MAX + 1];

    for (size_t j = 0; j <= bn; j++)
        row[0][j] = (unsigned)j;
    for (size_t i = 1; i <= an; i++) {
        unsigned *now = row[i % 3], *last = row[(i - 1) % 3], *before = row[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= bn; j++) {
            now[j] = least(last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1, UINT32_MAX);
        }
    }
    return row[an % 3][bn];
}

const char *tdm_config_nearest(const char *word, const char *const *words, size_t n)
{
    const char *best = NULL;
    size_t word_bytes = strlen(word);
    unsigned best_distance = UINT32_MAX;

    if (word_bytes > TDM_CONFIG_KEY_MAX)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t bytes = strlen(words[i]), longer = bytes > word_bytes ? bytes : word_bytes;
        if (bytes > TDM_CONFIG_KEY_MAX)
            continue;
        unsigned d = distance(word, word_bytes, words[i], bytes);
        /* a third of the letters wrong is a slip; more is another word */
        if (d < best_distance && d <= (longer + 2) / 3 && d < longer) {
            best = words[i];
            best_distance = d;
        }
    }
    return best;
}
