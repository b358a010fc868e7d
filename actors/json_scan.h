/* json_scan.h - check a JSON text in one pass and pick a few values out of it on the way.
 *
 * No tree is built and nothing is allocated: the thread that reads a peer's socket needs the
 * type of an event and a handful of ids, and has to leave the rest to others. The text is
 * accepted exactly when Jansson 2.14 accepts it with json_loadb(text, bytes, 0, &error), so a
 * text that passed here never fails when an actor asks for the tree. */
#ifndef ACTORS_JSON_SCAN_H
#define ACTORS_JSON_SCAN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_SCAN_DEPTH  2048 /* values within values; Jansson's limit */
#define JSON_SCAN_PATHS  64   /* of one plan */
#define JSON_SCAN_NODES  96   /* names in all paths of a plan, shared beginnings counted once */
#define JSON_SCAN_LEVELS 8    /* names in one path */
#define JSON_SCAN_NAME   64   /* bytes of a name */

enum { JSON_SCAN_NOBODY, JSON_SCAN_ROOT }; /* the first two nodes of every plan */

enum json_kind {
    JSON_SCAN_ABSENT,
    JSON_SCAN_OBJECT,
    JSON_SCAN_ARRAY,
    JSON_SCAN_STRING,
    JSON_SCAN_INTEGER,
    JSON_SCAN_REAL,
    JSON_SCAN_TRUE,
    JSON_SCAN_FALSE,
    JSON_SCAN_NULL,
};

/* One value, as it stands in the text. A string is what is between its quotes. */
struct json_slice {
    const char *at;
    uint32_t bytes;
    uint8_t kind; /* enum json_kind */
    bool escaped; /* a string with a backslash in it: see json_text_unescape() */
};

struct json_node {
    const char *name;
    uint32_t index; /* the name as an array index, UINT32_MAX when it is none */
    uint8_t bytes;
    uint8_t parent;
    uint8_t slot; /* the path that ends here, counted from 1; 0: none */
    uint8_t next; /* in the same bucket */
    bool inner;   /* other nodes are below */
};

/* The paths to look for, as a tree of names. Fill with json_scan_plan(), then constant: any
 * number of threads may scan by one plan. Node JSON_SCAN_NOBODY is wanted by no path, JSON_SCAN_ROOT is
 * the whole text. */
struct json_plan {
    uint32_t nodes;
    uint32_t paths;
    uint8_t bucket[256];
    struct json_node node[JSON_SCAN_NODES];
};

struct json_scan_error {
    size_t at;        /* offset of the byte that cannot be right; the length: the text ends too soon */
    const char *word; /* what is wrong with it; static */
};

/* Make a plan of `count` paths like "channel.caller.number" or "args.0". A number names the
 * element of an array, or the member of an object that is called so. The plan keeps pointers
 * into the paths.
 * Errors: TDM_ETOOBIG one of the limits above; TDM_EINVAL an empty name; TDM_EEXIST a path twice. */
int json_scan_plan(struct json_plan *plan, const char *const *paths, size_t count);

/* The child of `parent` that is called `name` (not unescaped here); JSON_SCAN_NOBODY when there is none. */
uint32_t json_scan_child(const struct json_plan *plan, uint32_t parent, const char *name, size_t bytes);

/* Check the text. `out` gets one slice for each path of the plan, in the order of the paths;
 * a path that is not in the text gives kind JSON_SCAN_ABSENT. Where a name stands twice in an
 * object the last one counts, with all that is in it, as in Jansson. `plan` NULL: only check.
 * Errors: TDM_ESYNTAX, with `error` filled (may be NULL); TDM_ETOOBIG more than 4 GiB. What is in
 * `out` then means nothing. */
int json_scan(const struct json_plan *plan, const char *text, size_t bytes, struct json_slice *out,
              struct json_scan_error *error);

#endif
