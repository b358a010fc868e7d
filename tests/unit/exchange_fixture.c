/* exchange_fixture.c - see the header. Time stands still but for fx_pass(). */
#include "exchange_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

uint64_t fx_fail_alloc;
int64_t fx_live_allocs;

static void *fx_alloc(struct tdm_env *env, size_t bytes)
{
    (void)env;
    if (fx_fail_alloc > 0 && --fx_fail_alloc == 0)
        return NULL;
    fx_live_allocs++;
    return malloc(bytes);
}

static void fx_release(struct tdm_env *env, void *p, size_t bytes)
{
    (void)env;
    (void)bytes;
    fx_live_allocs--;
    free(p);
}

static void note(struct exchange_fixture *fx, const char *head, const char *text, size_t bytes)
{
    size_t n = strlen(head);
    char *grown = realloc(fx->seen, fx->seen_bytes + n + bytes + 2);

    cr_assert_not_null(grown);
    fx->seen = grown;
    memcpy(grown + fx->seen_bytes, head, n);
    memcpy(grown + fx->seen_bytes + n, text, bytes);
    fx->seen_bytes += n + bytes;
    memcpy(grown + fx->seen_bytes++, "\n", 2);
}

static void fx_send(void *ctx, uint64_t conn, const char *text, size_t bytes)
{
    char head[32];

    snprintf(head, sizeof head, "%llu:", (unsigned long long)conn);
    note(ctx, head, text, bytes);
}

static void fx_send_raw(void *ctx, uint64_t conn, const void *bytes, size_t n)
{
    struct exchange_fixture *fx = ctx;

    (void)conn, (void)bytes, (void)n;
    fx->raws++;
}

static void fx_respond(void *ctx, uint64_t conn, int status, const char *headers, const char *type,
                       const char *body, size_t bytes)
{
    struct exchange_fixture *fx = ctx;
    char head[64];

    (void)type;
    fx->status = status;
    fx->answered = conn;
    snprintf(fx->body, sizeof fx->body, "%.*s", (int)bytes, bytes > 0 ? body : "");
    snprintf(fx->headers, sizeof fx->headers, "%s", headers == NULL ? "" : headers);
    snprintf(head, sizeof head, "answer:%llu:%d:", (unsigned long long)conn, status);
    note(fx, head, bytes > 0 ? body : "", bytes);
}

static void fx_reset(void *ctx, uint64_t conn)
{
    struct exchange_fixture *fx = ctx;

    (void)conn;
    fx->resets++;
}

static void fx_step(void *ctx, const char *channel, enum ex_step_kind kind, const char *text)
{
    struct exchange_fixture *fx = ctx;

    (void)channel, (void)kind;
    note(fx, "step:", text, strlen(text));
    fx->steps++;
}

struct exchange_fixture *fx_new(const struct exchange_cfg *cfg)
{
    struct exchange_fixture *fx = calloc(1, sizeof *fx);
    struct exchange_cfg own = cfg == NULL ? (struct exchange_cfg){ .seed = 7 } : *cfg;
    struct ex_out out = { .ctx = fx,
                          .send = fx_send,
                          .send_raw = fx_send_raw,
                          .respond = fx_respond,
                          .reset = fx_reset,
                          .step = fx_step };
    char why[300] = "";

    fx->env = *tdm_env_real();
    fx->env.alloc = fx_alloc;
    fx->env.free = fx_release;
    fx->now_ns = 1000000000u;
    own.env = &fx->env;
    if (own.app == NULL)
        own.app = "ivr";
    if (ex_model_new(&fx->m, &own, &out, why, sizeof why) < 0) {
        if (why[0] != '\0')
            cr_log_warn("model: %s", why);
        free(fx);
        return NULL;
    }
    fx_pass(fx, 0);
    return fx;
}

void fx_free(struct exchange_fixture *fx)
{
    if (fx == NULL)
        return;
    ex_model_free(fx->m);
    free(fx->seen);
    free(fx);
}

static void clock_set(struct exchange_fixture *fx)
{
    ex_model_clock(fx->m, fx->now_ns, 1795201404000000000u + fx->now_ns);
}

void fx_pass(struct exchange_fixture *fx, uint64_t ms)
{
    uint64_t until = fx->now_ns + ms * 1000000u;

    clock_set(fx);
    while (ex_model_next(fx->m) <= until) {
        if (ex_model_next(fx->m) > fx->now_ns)
            fx->now_ns = ex_model_next(fx->m);
        clock_set(fx);
        ex_model_tick(fx->m);
    }
    fx->now_ns = until;
    clock_set(fx);
}

void fx_open(struct exchange_fixture *fx, uint64_t conn, const char *query)
{
    clock_set(fx);
    cr_assert_eq(ex_model_ws_open(fx->m, conn, query, "Basic dGFuZGVtOnRhbmRlbQ=="), TDM_OK);
}

const char *fx_call(struct exchange_fixture *fx, const char *exten, const char *script)
{
    static char id[64];
    struct ex_call call = { .exten = exten, .script = script };

    clock_set(fx);
    cr_assert_eq(ex_model_place_call(fx->m, &call, id), TDM_OK);
    return id;
}

int fx_ask_body(struct exchange_fixture *fx, const char *request, const char *id, const char *body)
{
    static uint64_t conn = 1000;
    char method[16], text[1024], *query;
    const char *path = strchr(request, ' ') + 1, *at = strstr(path, "%s");

    snprintf(method, sizeof method, "%.*s", (int)(path - request - 1), request);
    if (at == NULL)
        snprintf(text, sizeof text, "/ari%s", path);
    else
        snprintf(text, sizeof text, "/ari%.*s%s%s", (int)(at - path), path, id, at + 2);
    query = strchr(text, '?');
    if (query != NULL)
        *query++ = '\0';
    struct ex_request req = { .conn = ++conn,
                              .method = method,
                              .path = text,
                              .query = query == NULL ? "" : query,
                              .authorization = "Basic dGFuZGVtOnRhbmRlbQ==",
                              .content_type = "application/json",
                              .body = body,
                              .body_bytes = strlen(body) };
    fx->status = 0;
    fx->body[0] = '\0';
    clock_set(fx);
    ex_model_request(fx->m, &req);
    return fx->status;
}

int fx_ask(struct exchange_fixture *fx, const char *request, const char *id)
{
    return fx_ask_body(fx, request, id, "");
}

void fx_text(struct exchange_fixture *fx, uint64_t conn, const char *text)
{
    clock_set(fx);
    ex_model_ws_text(fx->m, conn, text, strlen(text));
}

void fx_clear(struct exchange_fixture *fx)
{
    fx->seen_bytes = 0;
    if (fx->seen != NULL)
        fx->seen[0] = '\0';
}

bool fx_saw(const struct exchange_fixture *fx, const char *text)
{
    return fx->seen != NULL && strstr(fx->seen, text) != NULL;
}

const char *fx_types(const struct exchange_fixture *fx)
{
    static char types[4096];
    static const char key[] = "\"type\":\"";
    size_t n = 0;

    types[0] = '\0';
    for (const char *at = fx->seen; at != NULL && *at != '\0'; at = strchr(at, '\n') + 1) {
        const char *type = strstr(at, key), *end = strchr(at, '\n');
        bool stats = strstr(at, "RTPAUDIOQOS") != NULL && strstr(at, "RTPAUDIOQOS") < end;
        if (type == NULL || type > end || stats || strncmp(at, "answer:", 7) == 0)
            continue;
        type += sizeof key - 1;
        n += (size_t)snprintf(types + n, sizeof types - n, "%s%.*s", n == 0 ? "" : " ",
                              (int)strcspn(type, "\""), type);
    }
    return types;
}

struct exchange_counters fx_counters(const struct exchange_fixture *fx)
{
    struct exchange_counters c;

    ex_model_counters(fx->m, &c);
    return c;
}
