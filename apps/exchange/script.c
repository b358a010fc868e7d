/* script.c - reads what a caller does (script.h says how it is written). A script is read once and shared
 * by all calls of its plan; what one call has done of it stands in its struct ex_caller. */
#include "script.h"

#include "inside.h"

#include <stdio.h>
#include <stdlib.h>

/* "200ms", "2s", "1.5s"; the end of it in *end. A number alone is milliseconds. */
static bool read_time(const char *text, const char **end, double *number, double *unit_ns)
{
    char *after;

    *number = strtod(text, &after);
    if (after == text || *number < 0 || *number > 1e9)
        return false;
    *unit_ns = 0;
    if (strncmp(after, "ms", 2) == 0) {
        *unit_ns = 1e6;
        after += 2;
    } else if (*after == 's') {
        *unit_ns = 1e9;
        after++;
    }
    *end = after;
    return true;
}

static bool read_wait(const char *text, struct ex_script_step *step)
{
    static const struct {
        const char *word;
        enum ex_act act;
    } words[] = {
        { "answer", EX_ACT_WAIT_ANSWER },
        { "play", EX_ACT_WAIT_PLAY },
        { "quiet", EX_ACT_WAIT_QUIET },
    };
    double low, high, low_unit, high_unit;
    char first[32];
    const char *end = text, *dots = strstr(text, "..");

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(text, words[i].word) == 0) {
            step->act = words[i].act;
            return true;
        }
    }
    step->act = EX_ACT_WAIT;
    snprintf(first, sizeof first, "%.*s", dots == NULL ? 31 : (int)(dots - text < 31 ? dots - text : 31),
             text);
    if (!read_time(first, &end, &low, &low_unit) || *end != '\0')
        return false;
    high = low;
    high_unit = low_unit;
    if (dots != NULL && (!read_time(dots + 2, &end, &high, &high_unit) || *end != '\0'))
        return false;
    if (high_unit == 0)
        high_unit = 1e6;
    if (low_unit == 0)
        low_unit = high_unit;
    step->min_ns = (uint64_t)(low * low_unit);
    step->max_ns = (uint64_t)(high * high_unit);
    return step->max_ns >= step->min_ns;
}

/* The alternatives of a press, one behind the other with a NUL each. */
static int read_press(struct ex_model *m, const char *text, struct ex_script_step *step)
{
    step->act = EX_ACT_PRESS;
    if (*text == '\0' || strspn(text, "0123456789*#ABCD|") != strlen(text))
        return TDM_ESYNTAX;
    step->digits = ex_strdup(m, text);
    if (step->digits == NULL)
        return TDM_ENOMEM;
    step->choices = 1;
    for (char *c = step->digits; *c != '\0'; c++) {
        if (*c != '|')
            continue;
        *c = '\0';
        step->choices++;
    }
    return TDM_OK;
}

static int read_hangup(const char *text, struct ex_script *script, struct ex_script_step *step)
{
    char *end;

    if (strcmp(text, "@any") == 0) {
        script->leaves_anywhere = true;
        return 0;
    }
    step->act = EX_ACT_HANG_UP;
    step->chance = 100;
    while (*text == ' ')
        text++;
    if (*text != '\0') {
        step->chance = (uint32_t)strtoul(text, &end, 10);
        if (*text < '0' || *text > '9' || strcmp(end, "%") != 0 || step->chance > 100)
            return TDM_ESYNTAX;
    }
    return 1;
}

/* One step; returns how many steps it became (0 or 1), or an error. */
static int read_step(struct ex_model *m, const char *text, struct ex_script *script)
{
    struct ex_script_step *step = &script->steps[script->n];
    int err;

    if (strncmp(text, "wait-", 5) == 0 || strncmp(text, "wait ", 5) == 0)
        return read_wait(text + 5 + strspn(text + 5, " "), step) ? 1 : TDM_ESYNTAX;
    if (strncmp(text, "press ", 6) == 0) {
        err = read_press(m, text + 6 + strspn(text + 6, " "), step);
        return err < 0 ? err : 1;
    }
    if (strncmp(text, "hangup", 6) == 0)
        return read_hangup(text + 6, script, step);
    return TDM_ESYNTAX;
}

void ex_script_free(struct ex_model *m, struct ex_script *s)
{
    if (s == NULL)
        return;
    for (uint32_t i = 0; i < s->n; i++)
        ex_free(m, s->steps[i].digits);
    ex_free(m, s);
}

static char *trim(char *text)
{
    text += strspn(text, " \t\r\n");
    for (char *end = text + strlen(text); end > text && strchr(" \t\r\n", end[-1]) != NULL;)
        *--end = '\0';
    return text;
}

static uint32_t count_steps(const char *text)
{
    uint32_t n = 1;

    for (; *text != '\0'; text++)
        n += *text == ';';
    return n;
}

int ex_script_read(struct ex_model *m, const char *text, struct ex_script **ret, char *why, size_t why_bytes)
{
    char *copy = ex_strdup(m, text == NULL ? "" : text), *rest = copy, *one;
    struct ex_script *s =
        copy == NULL ? NULL : ex_alloc(m, sizeof *s + count_steps(copy) * sizeof s->steps[0]);
    int n = s == NULL ? TDM_ENOMEM : 0;

    while (n >= 0 && (one = strsep(&rest, ";")) != NULL) {
        one = trim(one);
        if (*one == '\0')
            continue;
        n = read_step(m, one, s);
        if (n == TDM_ESYNTAX)
            snprintf(why, why_bytes, "script step \"%.60s\" is none of: %s", one, EX_SCRIPT_WORDS);
        if (n > 0)
            s->n++;
    }
    ex_free(m, copy);
    if (n < 0 || (s->n == 0 && !s->leaves_anywhere)) {
        ex_script_free(m, s);
        if (n >= 0)
            *ret = NULL;
        return n < 0 ? n : TDM_OK;
    }
    *ret = s;
    return TDM_OK;
}
