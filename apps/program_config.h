/* program_config.h - the configuration file of the tandem program. docs/OPERATIONS.md explains each key. */
#ifndef APPS_PROGRAM_CONFIG_H
#define APPS_PROGRAM_CONFIG_H
#include <tandem/config.h>

enum source_type { SOURCE_ARI };
enum heart_choice { HEART_OFF, HEART_ON, HEART_AUTO };
enum unknown_action { UNKNOWN_HAND_BACK, UNKNOWN_HANGUP, UNKNOWN_APP };

/* One switch. program_url_parse() takes its url apart. */
struct program_source {
    char *name;
    int type; /* enum source_type */
    char *url, *user, *password, *ca_file;
    char **apps;
    size_t n_apps;
    bool receipts, trail;
    int64_t connections, request_timeout_ms, ping_ms;
};

struct program_route {
    char *match, *app;
};

/* What one app of the program is told. */
struct program_app {
    char *name;
    int64_t restarts, period_ms;
    int on_give_up; /* enum tdm_on_give_up */
    struct tdm_config_pair *options;
    size_t n_options;
};

struct program_config {
    int64_t workers; /* 0: one per core */
    int64_t stuck_after_ms;
    int heart; /* enum heart_choice */
    struct {
        int64_t ping_ms, misses, start_ms, deaths, period_ms;
    } heartbeat;
    struct {
        int level, format; /* enum tdm_log_level, enum tdm_log_format */
    } log;
    char *notes;          /* file where notes outlive the heart, or NULL */
    int64_t notes_max;    /* 0: notes do not outlive the process */
    char *metrics_listen; /* "127.0.0.1:9464", or NULL */
    struct program_source *sources;
    size_t n_sources;
    struct {
        char *app; /* NULL: no router */
        struct program_route *extensions;
        size_t n_extensions;
        struct {
            int action; /* enum unknown_action */
            int64_t cause;
            char *app;
        } unknown;
    } router;
    struct program_app *apps;
    size_t n_apps;
    struct {
        int64_t drain_ms, end_ms, sources_ms, tree_ms;
    } stop;
};

/* Does the program have an app of this name? The main program gives the one it runs with. */
typedef bool program_known_app(const char *name);
program_known_app program_known_apps;

/* Load and check, also across keys; `known` may be NULL: then apps are not looked up. Errors and
 * ownership as tdm_config_load(). */
int program_config_load(const char *file, program_known_app *known, struct program_config *out,
                        struct tdm_config_report *report);
int program_config_load_text(const char *name, const char *text, size_t bytes, program_known_app *known,
                             struct program_config *out, struct tdm_config_report *report);
void program_config_free(struct program_config *cfg);
void program_config_dump(const struct program_config *cfg, FILE *to);

/* The settings of an app, or NULL when the file says nothing about it. */
const struct program_app *program_config_app(const struct program_config *cfg, const char *name);

/* An app's free option; `otherwise` when it is not given. */
const char *program_app_option(const struct program_app *app, const char *key, const char *otherwise);

/* The parts of a source's address. Points into no memory but its own. */
struct program_address {
    char host[256], prefix[256];
    uint16_t port;
    bool tls;
};

/* Take "http://host:port/prefix" or "127.0.0.1:9464" (without scheme, then a port is needed) apart. NULL when
 * good, otherwise what is wrong, without showing the text: there may be a password in it. */
const char *program_url_parse(const char *url, struct program_address *ret);
const char *program_listen_parse(const char *listen, struct program_address *ret);

#endif
