/* reception.c - a front desk: a menu, an extension to dial, a way back to the dialplan. */
#include <stdio.h>

#include <tandem/app.h>

/* Ask for an extension and say it back. A real desk would now dial it. */
static void say_extension(tdm_call *call)
{
    tdm_gather_result pressed;
    char digits[sizeof "digits:" + TDM_DIGITS_MAX];
    int word = tdm_gather(call,
                          &(tdm_gather_opts){ .prompt = "sound:vm-extension",
                                              .invalid_prompt = "sound:pbx-invalid",
                                              .min_digits = 3,
                                              .max_digits = 6,
                                              .tries = 3 },
                          &pressed);

    if (word != TDM_GATHER_MATCH)
        return;
    tdm_note_text(call, pressed.digits); /* a restart would find it */
    snprintf(digits, sizeof digits, "digits:%s", pressed.digits);
    tdm_play(call, digits);
}

static void reception(tdm_call *call)
{
    tdm_answer(call);
    switch (tdm_menu(call, &(tdm_menu_opts){ .prompt = "sound:main-menu",
                                             .choices = "120",
                                             .invalid_prompt = "sound:pbx-invalid",
                                             .tries = 3 })) {
    case '1':
        tdm_play(call, "sound:demo-congrats");
        break;
    case '2':
        say_extension(call);
        break;
    case '0': /* a person: the dialplan knows where */
        tdm_set_var(call, "TANDEM_CHOICE", "operator");
        tdm_hand_back(call, NULL, NULL, 0);
        return;
    default:
        break;
    }
    tdm_play(call, "sound:vm-goodbye");
    tdm_hangup(call, TDM_CAUSE_NORMAL);
}
TDM_APP(reception, .summary = "a front desk: a menu, an extension, the operator")
