/* receipts.c - what the exchange sent against what the client says its actors got.
 *
 * Each placed call has an account of its numbered events. When the call is over the client may send
 * {"receipt":"<channel>","delivered":n,"lost":n,"out_of_order":n,"started":n,"ended":n,"restarted":n}; more
 * than one for a call that moved between apps. The account is settled when as many events are told as were
 * sent; what is left at the end of the run was lost on the way. A client that sends no receipts at all is
 * not held to any of it. */
#include "inside.h"

#include <stdlib.h>

#define ACCOUNTS_MAX 1000000 /* a client without receipts must not fill the memory */

struct ex_account *ex_account_open(struct ex_model *m, const char *channel)
{
    if (m->chaos.audit != NULL || m->accounts.count >= ACCOUNTS_MAX)
        return NULL;
    struct ex_account *a = ex_alloc(m, sizeof *a + strlen(channel) + 1);
    if (a == NULL)
        return NULL;
    strcpy(a->id, channel);
    if (ex_table_put(&m->accounts, &a->entry, a->id, a) == TDM_OK)
        return a;
    ex_free(m, a);
    return NULL;
}

static void account_close(struct ex_model *m, struct ex_account *a)
{
    ex_table_remove(&m->accounts, &a->entry);
    ex_free(m, a);
}

/* Nothing more is to come for it? */
static bool account_even(const struct ex_account *a)
{
    return a->over && (a->sent == 0 || (a->told && a->delivered + a->lost >= a->sent));
}

void ex_account_over(struct ex_model *m, struct ex_account *a)
{
    a->over = true;
    if (account_even(a))
        account_close(m, a);
}

/* A number of the receipt; 0 when absent or none. */
static uint64_t number(struct ex_model *m, const struct ex_json *json, const char *name)
{
    struct ex_req q = { .m = m, .json = *json };
    size_t member = ex_json_member(json, 0, name);
    const char *text = member == 0 ? NULL : ex_param_text(&q, member);

    return text == NULL || *text < '0' || *text > '9' ? 0 : strtoull(text, NULL, 10);
}

void ex_receipt(struct ex_model *m, const struct ex_json *json, size_t id)
{
    struct ex_req q = { .m = m, .json = *json };
    const char *channel = json->values[id].kind == EX_JSON_STRING ? ex_param_text(&q, id) : NULL;
    struct ex_account *a = channel == NULL ? NULL : ex_table_get(&m->accounts, channel);
    uint64_t delivered = number(m, json, "delivered"), lost = number(m, json, "lost");

    m->counters.receipts++;
    m->counters.delivered += delivered;
    m->counters.lost += lost;
    m->counters.out_of_order += number(m, json, "out_of_order");
    m->counters.actors_started += number(m, json, "started");
    m->counters.actors_ended += number(m, json, "ended");
    m->counters.restarted += number(m, json, "restarted");
    if (a == NULL)
        return;
    a->told = true;
    a->delivered += delivered;
    a->lost += lost;
    if (account_even(a))
        account_close(m, a);
    if (m->calls_over)
        ex_callers_check(m);
}

void ex_accounts_close(struct ex_model *m)
{
    struct ex_account *a;

    while ((a = ex_table_any(&m->accounts)) != NULL) {
        if (m->counters.receipts > 0 && a->sent > a->delivered + a->lost)
            m->counters.lost += a->sent - a->delivered - a->lost;
        account_close(m, a);
    }
}

void ex_accounts_free(struct ex_model *m)
{
    struct ex_account *a;

    while ((a = ex_table_any(&m->accounts)) != NULL)
        account_close(m, a);
}
