/* err.c - the words for every error code. */
#include <string.h>

#include "tandem/err.h"

const char *tdm_strerror(int err)
{
    switch (err) {
    case TDM_OK:
        return "ok";
#define X(name, value, text) \
    case TDM_##name:         \
        return text;
        TDM_ERR_MAP(X)
#undef X
    default:
        break;
    }
    if (err < 0 && err > -4000) {
        const char *words = strerrordesc_np(-err);
        if (words != NULL)
            return words;
    }
    return err > 0 ? "ok" : "unknown error";
}

const char *tdm_errname(int err)
{
    switch (err) {
    case TDM_OK:
        return "OK";
#define X(name, value, text) \
    case TDM_##name:         \
        return #name;
        TDM_ERR_MAP(X)
#undef X
    default:
        break;
    }
    if (err < 0 && err > -4000) {
        const char *name = strerrorname_np(-err);
        if (name != NULL)
            return name;
    }
    return "E?";
}
