/* json.h - writing small JSON texts, and walking over an array of a valid one. */
#ifndef ACTORS_ARI_JSON_H
#define ACTORS_ARI_JSON_H
#include <stdbool.h>
#include <stddef.h>

#include "json_scan.h"
#include "tandem/env.h"

/* A text that grows. After a failed allocation it stays as it was and `failed` says so. */
struct ari_json {
    struct tdm_env *env;
    char *at; /* always ends in NUL when not NULL */
    size_t bytes, room;
    bool failed;
};

void ari_json_init(struct ari_json *j, struct tdm_env *env);
void ari_json_fini(struct ari_json *j);
void ari_json_raw(struct ari_json *j, const char *text, size_t bytes);
void ari_json_lit(struct ari_json *j, const char *text);
/* In quotes, with the escapes that JSON needs. */
void ari_json_str(struct ari_json *j, const char *text, size_t bytes);

/* The next element of a JSON array. Set *p to the array's slice->at before the first call; `end` is
 * the end of the slice. The text must be valid. False: no more. */
bool ari_json_next(const char **p, const char *end, struct json_slice *ret);

#endif
