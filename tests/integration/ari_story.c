#include "ari_story.h"

#include "tandem/log.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WAIT_S = 10 };

/* ---- the witness ----------------------------------------------------------------------------- */

static void see(void *ctx, const char *what, const char *app, const char *id, tdm_event *event)
{
    struct story *st = ctx;

    pthread_mutex_lock(&st->lock);
    if (st->sights == st->sights_room) {
        st->sights_room = st->sights_room * 2 + 64;
        st->sight = realloc(st->sight, st->sights_room * sizeof *st->sight);
    }
    struct sight *s = &st->sight[st->sights++];

    snprintf(s->what, sizeof s->what, "%s", what);
    s->app = strdup(app);
    s->id = strdup(id);
    s->type = strdup(event != NULL ? tdm_event_type(event) : "");
    s->text = strdup(event != NULL ? tdm_event_text(event, NULL) : "");
    pthread_cond_broadcast(&st->news);
    pthread_mutex_unlock(&st->lock);
}

static void hear(void *ctx, const char *line, size_t bytes)
{
    struct story *st = ctx;

    pthread_mutex_lock(&st->lock);
    if (st->log_room < st->log_bytes + bytes + 2) {
        st->log_room = (st->log_bytes + bytes + 2) * 2;
        st->log = realloc(st->log, st->log_room);
    }
    memcpy(st->log + st->log_bytes, line, bytes);
    st->log_bytes += bytes;
    st->log[st->log_bytes++] = '\n';
    st->log[st->log_bytes] = '\0';
    pthread_cond_broadcast(&st->news);
    pthread_mutex_unlock(&st->lock);
}

static struct timespec deadline(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += WAIT_S;
    return t;
}

static bool wait_news(struct story *st, const struct timespec *until)
{
    return pthread_cond_timedwait(&st->news, &st->lock, until) == 0;
}

static size_t count(const struct story *st, const char *what, const char *id, const char *type)
{
    size_t n = 0;

    for (size_t i = 0; i < st->sights; i++) {
        const struct sight *s = &st->sight[i];

        n += (what == NULL || strcmp(s->what, what) == 0) && (id == NULL || strcmp(s->id, id) == 0) &&
             (type == NULL || strcmp(s->type, type) == 0);
    }
    return n;
}

size_t story_seen(struct story *st, const char *what, const char *id, const char *type)
{
    pthread_mutex_lock(&st->lock);
    const size_t n = count(st, what, id, type);
    pthread_mutex_unlock(&st->lock);

    return n;
}

bool story_wait(struct story *st, const char *what, const char *id, const char *type, size_t times)
{
    const struct timespec until = deadline();
    bool in_time = true;

    pthread_mutex_lock(&st->lock);
    while (in_time && count(st, what, id, type) < times)
        in_time = wait_news(st, &until);
    const bool enough = count(st, what, id, type) >= times;
    pthread_mutex_unlock(&st->lock);
    return enough;
}

bool story_wait_sights(struct story *st, size_t n)
{
    const struct timespec until = deadline();
    bool in_time = true;

    pthread_mutex_lock(&st->lock);
    while (in_time && st->sights < n)
        in_time = wait_news(st, &until);
    const bool enough = st->sights >= n;
    pthread_mutex_unlock(&st->lock);
    return enough;
}

static bool log_has(const struct story *st, const char *event, const char *words)
{
    for (const char *line = st->log; line != NULL && *line != '\0'; line += strcspn(line, "\n") + 1) {
        const size_t bytes = strcspn(line, "\n");

        if (memmem(line, bytes, event, strlen(event)) != NULL &&
            memmem(line, bytes, words, strlen(words)) != NULL)
            return true;
    }
    return false;
}

bool story_wait_log(struct story *st, const char *event, const char *words)
{
    const struct timespec until = deadline();
    bool in_time = true;

    pthread_mutex_lock(&st->lock);
    while (in_time && !log_has(st, event, words))
        in_time = wait_news(st, &until);
    const bool there = log_has(st, event, words);
    if (!there)
        cr_log_error("the log has no %s with \"%s\"; its end:\n%s", event, words,
                     st->log == NULL ? "" : st->log + (st->log_bytes > 2000 ? st->log_bytes - 2000 : 0));
    pthread_mutex_unlock(&st->lock);
    return there;
}

bool story_logged(struct story *st, const char *words)
{
    pthread_mutex_lock(&st->lock);
    const bool there = st->log != NULL && strstr(st->log, words) != NULL;
    pthread_mutex_unlock(&st->lock);
    return there;
}

/* ---- the scene ------------------------------------------------------------------------------- */

static const struct tdm_call_behaviour listens = { .state_bytes = 0 };

void story_app(struct story *st, const char *name, const struct tdm_app *app)
{
    const struct tdm_app listener = { .abi = TDM_APP_ABI, .name = name, .behaviour = &listens };
    size_t n = 0;

    while (st->apps[n] != NULL)
        n++;
    cr_assert(lt(sz, n + 1, sizeof st->apps / sizeof st->apps[0]));
    st->apps[n] = name;
    cr_assert(eq(int, tdm_app_add(app != NULL ? app : &listener, NULL), TDM_OK), "%s", name);
}

void story_open(struct story *st)
{
    memset(st, 0, sizeof *st);
    pthread_mutex_init(&st->lock, NULL);
    pthread_cond_init(&st->news, NULL);
    tdm_log_configure(&(struct tdm_log_cfg){ .level = TDM_LOG_INFO, .sink = hear, .sink_ctx = st });
    tdm_observe_calls(see, st);
    st->server = ari_server_new();
    cr_assert(eq(int, tdm_runtime_new(&st->rt, &(struct tdm_runtime_cfg){ .workers = 2 }), TDM_OK));
    st->cfg = (struct tdm_ari_cfg){ .name = "pbx",
                                    .host = "127.0.0.1",
                                    .port = ari_server_port(st->server),
                                    .user = "tandem",
                                    .password = "secret",
                                    .apps = st->apps,
                                    .backoff_min_ms = 10,
                                    .backoff_max_ms = 50,
                                    .replaced_ms = UINT32_MAX };
}

void story_list(struct story *st, const char *app, const char *ids)
{
    char path[200], name[100], body[4000];

    tdm_url_encode(name, sizeof name, app, strlen(app));
    snprintf(path, sizeof path, "/ari/applications/%s", name);
    snprintf(body, sizeof body,
             "{\"name\":\"%s\",\"channel_ids\":[%s],\"bridge_ids\":[],\"endpoint_ids\":[]}", app, ids);
    ari_server_answer(st->server, "GET", path, 200, body);
}

void story_start(struct story *st, const char *list)
{
    if (st->apps[0] == NULL)
        story_app(st, "ivr", NULL);
    for (int i = 0; st->apps[i] != NULL; i++)
        story_list(st, st->apps[i], list != NULL ? list : "");
    cr_assert(eq(int, tdm_ari_start(st->rt, &st->cfg, &st->source), TDM_OK));
}

void story_close(struct story *st)
{
    story_close_with(st, NULL);
}

void story_close_with(struct story *st, struct tdm_http_server *server)
{
    tdm_runtime_stop(st->rt, 10000);
    tdm_http_server_free(server);
    tdm_ari_stop(st->rt, st->source, 10000);
    tdm_runtime_free(st->rt);
    tdm_observe_calls(NULL, NULL);
    tdm_log_flush();
    tdm_log_configure(&(struct tdm_log_cfg){ .level = TDM_LOG_OFF });
    ari_server_free(st->server);
    for (size_t i = 0; i < st->sights; i++) {
        free(st->sight[i].app);
        free(st->sight[i].id);
        free(st->sight[i].type);
        free(st->sight[i].text);
    }
    free(st->sight);
    free(st->log);
}

/* ---- what the server says -------------------------------------------------------------------- */

void story_say(struct story *st, const char *format, ...)
{
    char text[8192];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ari_server_send(st->server, text, strlen(text));
}

void story_say_event(struct story *st, const char *id, const char *type)
{
    story_say(st,
              "{\"type\":\"%s\",\"application\":\"ivr\",\"args\":[],\"digit\":\"5\",\"channel\":{\"id\":\"%"
              "s\",\"state\":\"Up\","
              "\"caller\":{\"number\":\"100\"},\"dialplan\":{\"exten\":\"7\",\"app_name\":\"Stasis\",\"app_"
              "data\":\"ivr\"}}}",
              type, id);
}

void story_say_start(struct story *st, const char *id)
{
    story_say_event(st, id, "StasisStart");
}

void story_say_end(struct story *st, const char *id)
{
    story_say_event(st, id, "StasisEnd");
}

struct tdm_ari_state story_state(struct story *st)
{
    struct tdm_ari_state state;

    cr_assert(eq(int, tdm_ari_state(st->rt, st->source, &state), TDM_OK));
    return state;
}
