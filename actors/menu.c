/* menu.c - a choice among a few: a question whose accepted answers are the choices.
 *
 * Nothing but a translation there and back; how digits, prompts and tries behave is gather.c's.
 * Touched by the actor of the call only. */
#include <string.h>

#include "call.h"

#define CHOICES_MAX 16u /* 0-9 * # A-D */

/* The accepted inputs made of "12": { "1", "2", NULL }. */
struct choices {
    char text[CHOICES_MAX][2];
    const char *list[CHOICES_MAX + 1];
};

static int split_choices(struct choices *c, const char *choices)
{
    size_t n = strlen(choices);

    if (n == 0 || n > CHOICES_MAX)
        return TDM_EINVAL;
    for (size_t i = 0; i < n; i++) {
        c->text[i][0] = choices[i];
        c->text[i][1] = '\0';
        c->list[i] = c->text[i];
    }
    c->list[n] = NULL;
    return TDM_OK;
}

/* One digit is its own answer; of several it is the place in the list. */
int menu_choice(const struct tdm_gather_opts *opts, const struct tdm_gather_result *gathered)
{
    bool single = opts->max_digits == 1;

    if (gathered->word != TDM_GATHER_MATCH)
        return 0;
    if (single)
        return (unsigned char)gathered->digits[0];
    for (int i = 0; opts->valid[i] != NULL; i++) {
        if (strcmp(opts->valid[i], gathered->digits) == 0)
            return i + 1;
    }
    return 0;
}

static struct op *menu_begin(tdm_call *call, const struct tdm_menu_opts *opts)
{
    struct tdm_gather_opts q = { .prompt = opts->prompt,
                                 .prompts = opts->prompts,
                                 .invalid_prompt = opts->invalid_prompt,
                                 .timeout_prompt = opts->timeout_prompt,
                                 .first_ms = opts->first_ms,
                                 .inter_ms = opts->inter_ms,
                                 .tries = opts->tries != 0 ? opts->tries : 3,
                                 .valid = opts->words };
    const char *const nothing[] = { NULL };
    struct choices choices;

    if (opts->choices != NULL) {
        /* a wrong number of choices is an empty list, which gather_init() refuses */
        q.valid = split_choices(&choices, opts->choices) == TDM_OK ? choices.list : nothing;
        q.max_digits = 1;
        q.terminators = "";
    }
    return ask_begin(call, &q, TDM_VERB_MENU);
}

int tdm_menu(tdm_call *call, const tdm_menu_opts *opts)
{
    if (!op_can_wait(call))
        return TDM_ESTATE;
    if (opts == NULL || (opts->choices == NULL) == (opts->words == NULL))
        return TDM_EINVAL;
    return op_wait_free(call, menu_begin(call, opts));
}

tdm_ref tdm_menu_start(tdm_call *call, const tdm_menu_opts *opts)
{
    static const struct tdm_menu_opts empty = { .choices = "" };
    bool sound = opts != NULL && (opts->choices == NULL) != (opts->words == NULL);

    return op_started(call, menu_begin(call, sound ? opts : &empty));
}
