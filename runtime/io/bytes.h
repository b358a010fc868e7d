/* bytes.h - a byte buffer that grows. Its room is kept when it is emptied, for the next use. */
#ifndef RUNTIME_IO_BYTES_H
#define RUNTIME_IO_BYTES_H
#include <string.h>

#include "tandem/env.h"
#include "tandem/err.h"

/* Zero-initialise. */
struct bytes {
    char *data;
    size_t used, room;
};

/* Have room for `more` bytes beyond those used. TDM_ENOMEM leaves the buffer as it was. */
static inline int bytes_reserve(struct tdm_env *env, struct bytes *b, size_t more)
{
    size_t room = b->room > 0 ? b->room : 256;
    char *p;

    if (more <= b->room - b->used)
        return TDM_OK;
    if (more > SIZE_MAX / 4 - b->used)
        return TDM_ENOMEM;
    while (room < b->used + more)
        room *= 2;
    p = env->alloc(env, room);
    if (p == NULL)
        return TDM_ENOMEM;
    if (b->used > 0)
        memcpy(p, b->data, b->used);
    if (b->data != NULL)
        env->free(env, b->data, b->room);
    b->data = p;
    b->room = room;
    return TDM_OK;
}

static inline int bytes_add(struct tdm_env *env, struct bytes *b, const void *p, size_t n)
{
    int err = bytes_reserve(env, b, n);

    if (err == TDM_OK && n > 0) {
        memcpy(b->data + b->used, p, n);
        b->used += n;
    }
    return err;
}

static inline void bytes_free(struct tdm_env *env, struct bytes *b)
{
    if (b->data != NULL)
        env->free(env, b->data, b->room);
    *b = (struct bytes){ 0 };
}

/* A text of its own, with its length told again at text_free. NULL in, NULL out (not an error). */
static inline int text_copy(struct tdm_env *env, char **ret, const char *text)
{
    size_t n;

    *ret = NULL;
    if (text == NULL)
        return TDM_OK;
    n = strlen(text) + 1;
    *ret = env->alloc(env, n);
    if (*ret == NULL)
        return TDM_ENOMEM;
    memcpy(*ret, text, n);
    return TDM_OK;
}

static inline void text_free(struct tdm_env *env, char *text)
{
    if (text != NULL)
        env->free(env, text, strlen(text) + 1);
}

#endif
