/* ari_models.h - the fields of ARI's events and objects, each with its own function.
 *
 * ari_models.def is the list: for each MODEL and EVENT there is a struct tdm_ari_<name>, and for each of its fields a
 * function tdm_ari_<name>_<field>():
 *
 *     struct tdm_ari_channel_dtmf_received dtmf;
 *     if (tdm_ari_as_channel_dtmf_received(ev, &dtmf)) {
 *         const char *digit = tdm_ari_channel_dtmf_received_digit(dtmf);
 *         struct tdm_ari_channel ch = tdm_ari_channel_dtmf_received_channel(dtmf);
 *         const char *caller = tdm_ari_caller_id_number(tdm_ari_channel_caller(ch));
 *     }
 *
 * These are names for paths in the event's text (event.h): nothing is copied or built. What they return lives as long as
 * the event. A field that is not there, or of another kind than described, gives NULL, a count of -1, or the fallback;
 * members and types that are not in the list are reached by tdm_event_str() and its kin.
 * Answers to operations (ari_operations.h) are read in the same way: tdm_ari_channel_of(answer, ""). */
#ifndef TANDEM_ARI_MODELS_H
#define TANDEM_ARI_MODELS_H
#include <stdio.h>
#include <string.h>

#include "tandem/event.h"

/* Where an object lies. Paths that do not fit (the longest described one has 60 bytes) lead nowhere. */
#define TDM_ARI_PATH_BYTES 104
struct tdm_ari_value {
    tdm_event *ev;
    char path[TDM_ARI_PATH_BYTES];
};

static inline struct tdm_ari_value tdm_ari_root(tdm_event *ev)
{
    return (struct tdm_ari_value){ .ev = ev };
}

static inline struct tdm_ari_value tdm_ari_member(struct tdm_ari_value of, const char *name)
{
    struct tdm_ari_value v = { .ev = of.ev };
    const int n = snprintf(v.path, sizeof v.path, "%s%s%s", of.path, of.path[0] != '\0' ? "." : "", name);

    if (n < 0 || (size_t)n >= sizeof v.path)
        memcpy(v.path, "\1", 2); /* no member has this name */
    return v;
}

static inline struct tdm_ari_value tdm_ari_element(struct tdm_ari_value of, const char *name, int i)
{
    char number[16];

    snprintf(number, sizeof number, "%d", i);
    return tdm_ari_member(tdm_ari_member(of, name), number);
}

/* Is it there? Give the `v` of any object: tdm_ari_there(channel.v). */
static inline bool tdm_ari_there(struct tdm_ari_value v)
{
    return v.path[0] == '\0' || tdm_event_has(v.ev, v.path);
}

/* ---- types -------------------------------------------------------------------------------------- */

/* tdm_ari_<model>_of(ev, path): the object at a path of an event or answer; "" is the whole.
 * tdm_ari_as_<event>(ev, &ret): true when the event is of that type. */
#define MODEL(id, name)                                                                      \
    struct tdm_ari_##name {                                                                  \
        struct tdm_ari_value v;                                                              \
    };                                                                                       \
    static inline struct tdm_ari_##name tdm_ari_##name##_of(tdm_event *ev, const char *path) \
    {                                                                                        \
        return (struct tdm_ari_##name){ tdm_ari_member(tdm_ari_root(ev), path) };            \
    }
#define EVENT(id, name)                                                             \
    struct tdm_ari_##name {                                                         \
        struct tdm_ari_value v;                                                     \
    };                                                                              \
    static inline bool tdm_ari_as_##name(tdm_event *ev, struct tdm_ari_##name *ret) \
    {                                                                               \
        *ret = (struct tdm_ari_##name){ tdm_ari_root(ev) };                         \
        return strcmp(tdm_event_type(ev), #id) == 0;                                \
    }

/* ---- fields ------------------------------------------------------------------------------------- */

#define STRING(owner, field, need)                                                \
    static inline const char *tdm_ari_##owner##_##field(struct tdm_ari_##owner o) \
    {                                                                             \
        const struct tdm_ari_value v = tdm_ari_member(o.v, #field);               \
        return tdm_event_str(v.ev, v.path);                                       \
    }
#define WORD(owner, field, need, ...) STRING(owner, field, need)
#define DATE(owner, field, need)      STRING(owner, field, need)
#define SCALAR(owner, field, type, get)                                                   \
    static inline type tdm_ari_##owner##_##field(struct tdm_ari_##owner o, type fallback) \
    {                                                                                     \
        const struct tdm_ari_value v = tdm_ari_member(o.v, #field);                       \
        return get(v.ev, v.path, fallback);                                               \
    }
#define INT(owner, field, need)  SCALAR(owner, field, int64_t, tdm_event_int)
#define REAL(owner, field, need) SCALAR(owner, field, double, tdm_event_real)
#define BOOL(owner, field, need) SCALAR(owner, field, bool, tdm_event_bool)
#define JSON(owner, field, need)                                                                 \
    static inline const char *tdm_ari_##owner##_##field(struct tdm_ari_##owner o, size_t *bytes) \
    {                                                                                            \
        const struct tdm_ari_value v = tdm_ari_member(o.v, #field);                              \
        return tdm_event_raw(v.ev, v.path, bytes);                                               \
    }
/* Lists: how many there are, and the i-th, from 0. */
#define COUNT(owner, field)                                                       \
    static inline int tdm_ari_##owner##_##field##_count(struct tdm_ari_##owner o) \
    {                                                                             \
        const struct tdm_ari_value v = tdm_ari_member(o.v, #field);               \
        return tdm_event_count(v.ev, v.path);                                     \
    }
#define STRINGS(owner, field, need)                                                      \
    COUNT(owner, field)                                                                  \
    static inline const char *tdm_ari_##owner##_##field(struct tdm_ari_##owner o, int i) \
    {                                                                                    \
        const struct tdm_ari_value v = tdm_ari_element(o.v, #field, i);                  \
        return tdm_event_str(v.ev, v.path);                                              \
    }
#define JSONS(owner, field, need)                                                                       \
    COUNT(owner, field)                                                                                 \
    static inline const char *tdm_ari_##owner##_##field(struct tdm_ari_##owner o, int i, size_t *bytes) \
    {                                                                                                   \
        const struct tdm_ari_value v = tdm_ari_element(o.v, #field, i);                                 \
        return tdm_event_raw(v.ev, v.path, bytes);                                                      \
    }
#define OBJECT(owner, field, need, model)                                                    \
    static inline struct tdm_ari_##model tdm_ari_##owner##_##field(struct tdm_ari_##owner o) \
    {                                                                                        \
        return (struct tdm_ari_##model){ tdm_ari_member(o.v, #field) };                      \
    }
#define OBJECTS(owner, field, need, model)                                                          \
    COUNT(owner, field)                                                                             \
    static inline struct tdm_ari_##model tdm_ari_##owner##_##field(struct tdm_ari_##owner o, int i) \
    {                                                                                               \
        return (struct tdm_ari_##model){ tdm_ari_element(o.v, #field, i) };                         \
    }

#include "tandem/ari_models.def"

#undef MODEL
#undef EVENT
#undef STRING
#undef WORD
#undef DATE
#undef SCALAR
#undef INT
#undef REAL
#undef BOOL
#undef JSON
#undef COUNT
#undef STRINGS
#undef JSONS
#undef OBJECT
#undef OBJECTS

#endif
