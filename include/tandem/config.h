/* config.h - one struct, one table: a checked configuration file.
 *
 * A module declares the struct it wants and a table that says, for each key, what it may hold:
 *
 *     struct disk { char *path; int64_t limit_bytes, sync_ms; };
 *     static const struct tdm_config_field disk_fields[] = {
 *         { "path",  TDM_CONFIG_STRING, offsetof(struct disk, path), .required = true },
 *         { "limit", TDM_CONFIG_SIZE, offsetof(struct disk, limit_bytes), .fallback = "64M", .min = 1 << 20
 * }, { "sync",  TDM_CONFIG_TIME, offsetof(struct disk, sync_ms), .fallback = "1s", .max = 60000 },
 *     };
 *     static const struct tdm_config_schema disk_schema = TDM_CONFIG_SCHEMA(struct disk, disk_fields);
 *
 * tdm_config_load() fills it from a YAML file and finds every fault of the file in one run, each with line,
 * column, full key, what is wrong and what is allowed. Only a YAML syntax error hides what comes after it.
 *
 * A value of type TDM_CONFIG_SECRET may be written ${NAME}: it is then the environment variable NAME,
 * which must be set. Secrets are shown as **** in reports, dumps and (log.h) in every log record.
 *
 * Limits: files up to 1 MiB; lists up to 10000 and maps up to 1000 entries unless the field says so;
 * keys up to 63 bytes; brackets 64 deep or little more; aliases count as if written out. */
#ifndef TANDEM_CONFIG_H
#define TANDEM_CONFIG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tandem/err.h"

#define TDM_CONFIG_BYTES_MAX (1u << 20)
#define TDM_CONFIG_KEY_MAX   63

/* What a key holds, and the member of the struct that gets it. */
enum tdm_config_type {
    TDM_CONFIG_BOOL,    /* bool: true false yes no on off */
    TDM_CONFIG_INT,     /* int64_t */
    TDM_CONFIG_TIME,    /* int64_t, milliseconds: 250ms 10s 5m 1h 7d, or 0 */
    TDM_CONFIG_SIZE,    /* int64_t, bytes: 512 64k 4M 1G, each 1024 times the one before */
    TDM_CONFIG_STRING,  /* char *, NULL when absent and without fallback */
    TDM_CONFIG_SECRET,  /* char *, as STRING; never shown */
    TDM_CONFIG_ENUM,    /* int: the value beside one of `words` */
    TDM_CONFIG_STRINGS, /* char **, and a size_t for the number: a list of words */
    TDM_CONFIG_PAIRS,   /* struct tdm_config_pair *, and a size_t: any keys, each with a text */
    TDM_CONFIG_STRUCT,  /* a struct, in place, described by `of`. With offset 0 and inner offsets that count
                         * from the outer struct, nested keys of the file become plain members of it */
    TDM_CONFIG_LIST,    /* T *, and a size_t: a list of structs described by `of` */
    TDM_CONFIG_MAP,     /* T *, and a size_t: structs under names of the user's choice; in the file's order */
};

struct tdm_config_pair {
    char *key, *value;
};

struct tdm_config_word {
    const char *word; /* NULL ends the list */
    int value;
};

struct tdm_config_schema;

struct tdm_config_field {
    const char *key;
    enum tdm_config_type type;
    size_t offset;        /* of the member */
    size_t count_offset;  /* STRINGS PAIRS LIST MAP: of the member with their number */
    bool required;        /* the key must be there; for lists and maps also: not be empty */
    const char *fallback; /* what holds when the key is absent, written as in a file; NULL: zero, nothing */
    int64_t min, max;     /* numbers: ms, bytes; text: its length; lists, maps: entries. Both 0: any */
    const struct tdm_config_word *words; /* ENUM */
    const struct tdm_config_schema *of;  /* STRUCT LIST MAP */
    /* STRING, each of STRINGS, the names of MAP: NULL when good, otherwise what is wrong (static
     * text, "must start with a slash"). It is not called with a secret. */
    const char *(*check)(const char *text);
    const char *help; /* one line for people */
};

struct tdm_config_report;

struct tdm_config_schema {
    size_t bytes; /* sizeof the struct */
    const struct tdm_config_field *fields;
    size_t n_fields;
    size_t name_offset; /* entries of a MAP: of the `char *` that gets the entry's name */
    /* What no single key can tell. Only of the schema given to tdm_config_load(); called once, at the end,
     * also when faults were found: what was faulty then has its fallback, so texts may be NULL. */
    void (*check)(const void *value, void *arg, struct tdm_config_report *report);
    void *check_arg;
};
#define TDM_CONFIG_SCHEMA(type_, fields_)                                                               \
    {                                                                                                   \
        .bytes = sizeof(type_), .fields = (fields_), .n_fields = sizeof(fields_) / sizeof((fields_)[0]) \
    }

/* One thing that is wrong, or, for a warning, unwise. All texts are printable. */
struct tdm_config_fault {
    bool warning;
    uint32_t line, column; /* from 1; 0: the file as a whole */
    char *key;             /* "sources.pbx1.password", "routes[2].to"; "" for the file as a whole */
    char *text;            /* "must be a number, not \"ten\"" */
    char *allowed;         /* "1 to 64", "debug, info, warn, error"; NULL when there is nothing to say */
};

/* Zero-initialise; free when done. */
struct tdm_config_report {
    char *file;
    struct tdm_config_fault *faults; /* in the order of the file */
    size_t n_faults;                 /* entries in faults[], warnings included */
    size_t n_warnings;
    size_t n_more; /* found beyond the first thousand */
    bool out_of_memory;
    struct tdm_config_place *places; /* where each key is; for tdm_config_fault() */
    size_t n_places;
};

/* Load a file. `out` is a struct as `schema` says; it is written only on success and then belongs to the
 * caller, who ends it with tdm_config_free(). The report is filled either way: warnings are no failure.
 * Errors: TDM_ECONFIG and at least one fault in the report; -errno when the file cannot be read, also told
 * in the report; TDM_ENOMEM. */
int tdm_config_load(const char *file, const struct tdm_config_schema *schema, void *out,
                    struct tdm_config_report *report);

/* The same from memory; `name` stands for the file in the report. */
int tdm_config_load_text(const char *name, const char *text, size_t bytes,
                         const struct tdm_config_schema *schema, void *out, struct tdm_config_report *report);

/* Free what loading allocated, and leave zeroes. A zeroed struct and NULL are fine. */
void tdm_config_free(const struct tdm_config_schema *schema, void *value);

/* For checks: add a fault or warning at a key ("router.extensions[2].match"); a key that is not in the file
 * is shown where the nearest one around it is. `allowed` may be NULL. */
void tdm_config_fault(struct tdm_config_report *report, const char *key, const char *allowed,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));
void tdm_config_warn(struct tdm_config_report *report, const char *key, const char *allowed,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Has a fault been found at this key or below it? A check asks, so that one mistake is told once. */
bool tdm_config_faulty(const struct tdm_config_report *report, const char *key);

/* One line for each: `file:line:column: key: what is wrong (allowed: ...)`. Returns the number of faults,
 * warnings not counted. */
size_t tdm_config_report_print(const struct tdm_config_report *report, FILE *to);
void tdm_config_report_free(struct tdm_config_report *report);

/* The nearest of `n` words to `word`, for "did you mean"; NULL when none is near. */
const char *tdm_config_nearest(const char *word, const char *const *words, size_t n);

/* Write the whole configuration, fallbacks included, as YAML that loads again (but for its secrets, which
 * are shown as ****). */
void tdm_config_dump(const struct tdm_config_schema *schema, const void *value, FILE *to);

#endif
