/* app_registry.h - the apps this process knows. See app_registry.c. */
#ifndef ACTORS_APP_REGISTRY_H
#define ACTORS_APP_REGISTRY_H
#include "tandem/app.h"

#define APP_NAME_MAX 64u

/* One version of an app with its options. Never changed after it was added and never freed: calls and
 * child specs point to it. */
struct app_entry {
    struct tdm_app app;
    const char *const *options; /* name, value, ..., NULL */
    const struct app_entry *next;
    char name[APP_NAME_MAX + 1];
};

/* The newest version of the app of that name; NULL: unknown. Threads: any, never waits. */
const struct app_entry *app_registry_find(const char *name, size_t bytes);

/* The newest version of each app. Threads: any. */
void app_registry_each(void (*fn)(void *ctx, const struct app_entry *entry), void *ctx);

/* Stack that every known app can run on, for actors whose call may be moved from app to app. */
uint32_t app_registry_stack_bytes(void);

const char *app_entry_option(const struct app_entry *entry, const char *name);

#endif
