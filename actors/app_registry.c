/* app_registry.c - the apps this process knows.
 *
 * Idea:      a list that only grows at its head. A reader walks it without a lock, and what it finds stays
 *            valid for ever; a second app of one name is its next version and hides the first, which running calls keep
 *            until they end or crash.
 * A version keeps to the form of the one before it where calls could not change over: calls of a table app have no stack
 *            to run a function on.
 * Memory:    a few entries per process, never freed: a call may be moved to any app at any time.
 * Touched by anyone; written under one lock, at boot and at a reload. */
#include "app_registry.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tandem/source.h"

#define APP_STACK_DEFAULT (64u * 1024u)

static pthread_mutex_t writers = PTHREAD_MUTEX_INITIALIZER;
/* release: publishes an entry's contents; partner: the acquire in first(). */
static _Atomic(const struct app_entry *) newest;

static const struct app_entry *first(void)
{
    return atomic_load_explicit(&newest, memory_order_acquire);
}

static size_t count_options(const char *const *options)
{
    size_t n = 0;

    while (options != NULL && options[n] != NULL)
        n++;
    return n;
}

static void free_options(char **copy)
{
    for (char **p = copy; p != NULL && *p != NULL; p++)
        free(*p);
    free(copy);
}

static int copy_options(const char *const *options, const char *const **ret)
{
    size_t n = count_options(options);
    char **copy = calloc(n + 1, sizeof *copy);

    if (copy == NULL)
        return TDM_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        copy[i] = strdup(options[i]);
        if (copy[i] == NULL) {
            free_options(copy);
            return TDM_ENOMEM;
        }
    }
    *ret = (const char *const *)copy;
    return TDM_OK;
}

static bool well_formed(const struct tdm_app *app, const char *const *options)
{
    bool one_form;

    if (app == NULL || app->abi != TDM_APP_ABI || app->name == NULL)
        return false;
    if ((unsigned)app->on_give_up > TDM_GIVE_UP_LEAVE)
        return false;
    one_form = (app->run != NULL) != (app->behaviour != NULL);
    return one_form && app->name[0] != '\0' && strlen(app->name) <= APP_NAME_MAX &&
           app->mailbox_limit <= TDM_MAILBOX_MAX && count_options(options) % 2 == 0;
}

const struct app_entry *app_registry_find(const char *name, size_t bytes)
{
    for (const struct app_entry *e = first(); e != NULL; e = e->next) {
        if (strlen(e->name) == bytes && memcmp(e->name, name, bytes) == 0)
            return e;
    }
    return NULL;
}

static int publish(struct app_entry *entry)
{
    int err = TDM_OK;

    pthread_mutex_lock(&writers);
    const struct app_entry *before = app_registry_find(entry->name, strlen(entry->name));
    if (before != NULL && before->app.run == NULL && entry->app.run != NULL) {
        err = TDM_ENOTSUP;
    } else {
        entry->next = first();
        atomic_store_explicit(&newest, entry, memory_order_release);
    }
    pthread_mutex_unlock(&writers);
    return err;
}

static void entry_free(struct app_entry *entry)
{
    free_options((char **)(uintptr_t)entry->options);
    free(entry);
}

int tdm_app_add(const struct tdm_app *app, const char *const *options)
{
    struct app_entry *entry;
    int err;

    if (!well_formed(app, options))
        return TDM_EINVAL;
    entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return TDM_ENOMEM;
    entry->app = *app;
    strcpy(entry->name, app->name);
    entry->app.name = entry->name;
    if (entry->app.stack_bytes == 0)
        entry->app.stack_bytes = APP_STACK_DEFAULT;
    if (entry->app.restarts == 0)
        entry->app.restarts = 3;
    if (entry->app.period_ms == 0)
        entry->app.period_ms = 10000;
    err = copy_options(options, &entry->options);
    if (err == TDM_OK)
        err = publish(entry);
    if (err != TDM_OK)
        entry_free(entry);
    return err;
}

void app_registry_each(void (*fn)(void *ctx, const struct app_entry *entry), void *ctx)
{
    for (const struct app_entry *e = first(); e != NULL; e = e->next) {
        if (app_registry_find(e->name, strlen(e->name)) == e)
            fn(ctx, e);
    }
}

uint32_t app_registry_stack_bytes(void)
{
    uint32_t most = APP_STACK_DEFAULT;

    for (const struct app_entry *e = first(); e != NULL; e = e->next)
        most = e->app.stack_bytes > most ? e->app.stack_bytes : most;
    return most;
}

const char *app_entry_option(const struct app_entry *entry, const char *name)
{
    for (const char *const *o = entry->options; *o != NULL; o += 2) {
        if (strcmp(o[0], name) == 0)
            return o[1];
    }
    return NULL;
}

const struct tdm_app *tdm_app_find(const char *name, size_t bytes)
{
    const struct app_entry *e = app_registry_find(name, bytes);

    return e != NULL ? &e->app : NULL;
}
