/* Tests of the list of events and objects: it is the description's, field by field; and every field is found in an event
 * made from the description. */
#include "tandem/ari_models.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <stdlib.h>

#include "tandem/err.h"
#include "traces.h"

TestSuite(ari_models, .timeout = 20);

/* ---- the list as data --------------------------------------------------------------------------- */

enum { OPTIONAL, REQUIRED };

struct type {
    const char *id, *name;
    bool event;
};
static const struct type types[] = {
#define MODEL(id_, name_) { #id_, #name_, false },
#define EVENT(id_, name_) { #id_, #name_, true },
#define STRING(...)
#define WORD(...)
#define DATE(...)
#define INT(...)
#define REAL(...)
#define BOOL(...)
#define JSON(...)
#define STRINGS(...)
#define JSONS(...)
#define OBJECT(...)
#define OBJECTS(...)
#include "tandem/ari_models.def"
#undef MODEL
#undef EVENT
#undef STRING
#undef WORD
#undef DATE
#undef INT
#undef REAL
#undef BOOL
#undef JSON
#undef STRINGS
#undef JSONS
#undef OBJECT
#undef OBJECTS
};
enum { TYPES = sizeof types / sizeof types[0] };

/* What a field's function gives for `ev`, as text: compared with what was put in. */
typedef void read_field(tdm_event *ev, char *buf, size_t bytes);

#define MODEL(id, name)
#define EVENT(id, name)
#define READER(owner, field) static void read_##owner##_##field(tdm_event *ev, char *buf, size_t bytes)
#define ROOT(owner)          ((struct tdm_ari_##owner){ tdm_ari_root(ev) })
#define STRING(owner, field, need)                                  \
    READER(owner, field)                                            \
    {                                                               \
        const char *text = tdm_ari_##owner##_##field(ROOT(owner));  \
        snprintf(buf, bytes, "%s", text != NULL ? text : "(none)"); \
    }
#define WORD(owner, field, need, ...) STRING(owner, field, need)
#define DATE(owner, field, need)      STRING(owner, field, need)
#define INT(owner, field, need)                                                              \
    READER(owner, field)                                                                     \
    {                                                                                        \
        snprintf(buf, bytes, "%lld", (long long)tdm_ari_##owner##_##field(ROOT(owner), -1)); \
    }
#define REAL(owner, field, need)                                                \
    READER(owner, field)                                                        \
    {                                                                           \
        snprintf(buf, bytes, "%g", tdm_ari_##owner##_##field(ROOT(owner), -1)); \
    }
#define BOOL(owner, field, need)                                                   \
    READER(owner, field)                                                           \
    {                                                                              \
        snprintf(buf, bytes, "%d", tdm_ari_##owner##_##field(ROOT(owner), false)); \
    }
#define JSON(owner, field, need)                                        \
    READER(owner, field)                                                \
    {                                                                   \
        size_t n = 0;                                                   \
        const char *text = tdm_ari_##owner##_##field(ROOT(owner), &n);  \
        snprintf(buf, bytes, "%.*s", (int)n, text != NULL ? text : ""); \
    }
#define STRINGS(owner, field, need)                                                   \
    READER(owner, field)                                                              \
    {                                                                                 \
        const char *text = tdm_ari_##owner##_##field(ROOT(owner), 1);                 \
        snprintf(buf, bytes, "%d %s", tdm_ari_##owner##_##field##_count(ROOT(owner)), \
                 text != NULL ? text : "(none)");                                     \
    }
#define JSONS(owner, field, need)                                                               \
    READER(owner, field)                                                                        \
    {                                                                                           \
        size_t n = 0;                                                                           \
        const char *text = tdm_ari_##owner##_##field(ROOT(owner), 1, &n);                       \
        snprintf(buf, bytes, "%d %.*s", tdm_ari_##owner##_##field##_count(ROOT(owner)), (int)n, \
                 text != NULL ? text : "");                                                     \
    }
#define OBJECT(owner, field, need, model)                                                  \
    READER(owner, field)                                                                   \
    {                                                                                      \
        const struct tdm_ari_##model o = tdm_ari_##owner##_##field(ROOT(owner));           \
        const char *mark = tdm_event_str(o.v.ev, tdm_ari_member(o.v, "mark").path);        \
        snprintf(buf, bytes, "%d %s", tdm_ari_there(o.v), mark != NULL ? mark : "(none)"); \
    }
#define OBJECTS(owner, field, need, model)                                            \
    READER(owner, field)                                                              \
    {                                                                                 \
        const struct tdm_ari_##model o = tdm_ari_##owner##_##field(ROOT(owner), 1);   \
        const char *mark = tdm_event_str(o.v.ev, tdm_ari_member(o.v, "mark").path);   \
        snprintf(buf, bytes, "%d %s", tdm_ari_##owner##_##field##_count(ROOT(owner)), \
                 mark != NULL ? mark : "(none)");                                     \
    }
#include "tandem/ari_models.def"
#undef STRING
#undef WORD
#undef DATE
#undef INT
#undef REAL
#undef BOOL
#undef JSON
#undef STRINGS
#undef JSONS
#undef OBJECT
#undef OBJECTS

struct field {
    const char *owner, *name, *kind, *model;
    bool required;
    const char *const *words;
    read_field *read;
};
#define ROW(owner_, field_, kind_, need_, ...) \
    { .owner = #owner_,                        \
      .name = #field_,                         \
      .kind = (kind_),                         \
      .required = (need_),                     \
      .read = read_##owner_##_##field_,        \
      __VA_ARGS__ },
#define STRING(owner, field, need) ROW(owner, field, "string", need, .model = NULL)
#define WORD(owner, field, need, ...) \
    ROW(owner, field, "string", need, .words = (const char *const[]){ __VA_ARGS__, NULL })
#define DATE(owner, field, need)            ROW(owner, field, "Date", need, .model = NULL)
#define INT(owner, field, need)             ROW(owner, field, "int", need, .model = NULL)
#define REAL(owner, field, need)            ROW(owner, field, "double", need, .model = NULL)
#define BOOL(owner, field, need)            ROW(owner, field, "boolean", need, .model = NULL)
#define JSON(owner, field, need)            ROW(owner, field, "object", need, .model = NULL)
#define STRINGS(owner, field, need)         ROW(owner, field, "List[string]", need, .model = NULL)
#define JSONS(owner, field, need)           ROW(owner, field, "List[object]", need, .model = NULL)
#define OBJECT(owner, field, need, model_)  ROW(owner, field, "model", need, .model = #model_)
#define OBJECTS(owner, field, need, model_) ROW(owner, field, "models", need, .model = #model_)
static const struct field fields[] = {
#include "tandem/ari_models.def"
};
enum { FIELDS = sizeof fields / sizeof fields[0] };

/* ---- against the description -------------------------------------------------------------------- */

static json_t *description(void)
{
    size_t bytes;
    char *text = traces_shared_file("protocols/ari-events.json", &bytes);

    if (text == NULL)
        cr_skip("no description of the events at " TANDEM_SHARED_DIR);
    json_t *all = json_loadb(text, bytes, 0, NULL);

    free(text);
    return all;
}

static const char *str(json_t *o, const char *name)
{
    return json_string_value(json_object_get(o, name));
}

static const struct type *type_by_id(const char *id)
{
    for (int i = 0; i < TYPES; i++)
        if (strcmp(types[i].id, id) == 0)
            return &types[i];
    return NULL;
}

static const struct type *type_by_name(const char *name)
{
    for (int i = 0; i < TYPES; i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

static const struct field *field_of(const char *owner, const char *name)
{
    for (int i = 0; i < FIELDS; i++)
        if (strcmp(fields[i].owner, owner) == 0 && strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

/* The kind as the description writes it. */
static void say_kind(const struct field *f, char *buf, size_t bytes)
{
    if (f->model == NULL)
        snprintf(buf, bytes, "%s", f->kind);
    else
        snprintf(buf, bytes, strcmp(f->kind, "model") == 0 ? "%s" : "List[%s]", type_by_name(f->model)->id);
}

static void same_field(const char *owner, json_t *theirs)
{
    const struct field *mine = field_of(owner, str(theirs, "name"));
    json_t *words = json_object_get(theirs, "enum");
    const char *type = str(theirs, "type");
    char kind[64];
    size_t n = 0;

    cr_assert(ne(ptr, (void *)mine, NULL), "%s.%s is missing", owner, str(theirs, "name"));
    say_kind(mine, kind, sizeof kind);
    cr_assert(eq(str, kind, (char *)(strcmp(type, "long") == 0 ? "int" : type)), "%s.%s", owner, mine->name);
    cr_assert(eq(int, mine->required, json_is_true(json_object_get(theirs, "required"))), "%s.%s", owner,
              mine->name);
    for (; mine->words != NULL && mine->words[n] != NULL; n++)
        cr_assert(eq(str, (char *)mine->words[n], (char *)json_string_value(json_array_get(words, n))));
    cr_assert(eq(sz, n, json_array_size(words)), "%s.%s", owner, mine->name);
}

/* Returns how many fields it has of its own; those that events inherit are those of Event and Message. */
static size_t same_type(json_t *theirs, const char *id)
{
    const struct type *mine = type_by_id(id);
    json_t *f;
    size_t i, own = 0;

    cr_assert(ne(ptr, (void *)mine, NULL), "%s is missing", id);
    json_array_foreach(json_object_get(theirs, "fields"), i, f)
    {
        const bool inherited = json_is_true(json_object_get(f, "inherited"));
        const char *owner = !inherited                                  ? mine->name
                            : field_of("event", str(f, "name")) != NULL ? "event"
                                                                        : "message";
        same_field(owner, f);
        own += !inherited;
    }
    return own;
}

Test(ari_models, the_list_is_the_description_field_by_field)
{
    json_t *all = description(), *o;
    size_t i, own = 0;

    json_array_foreach(json_object_get(all, "events"), i, o) own += same_type(o, str(o, "type"));
    json_array_foreach(json_object_get(all, "models"), i, o) own += same_type(o, str(o, "id"));
    cr_assert(eq(sz, own, FIELDS), "and there is none besides");
    cr_assert(eq(
        sz, json_array_size(json_object_get(all, "events")) + json_array_size(json_object_get(all, "models")),
        TYPES));
    json_decref(all);
}

/* ---- reading ------------------------------------------------------------------------------------ */

/* A value of the field's kind, and what its function should make of it. */
static json_t *value_of(const struct field *f, char *expected, size_t bytes)
{
    if (strcmp(f->kind, "int") == 0)
        return snprintf(expected, bytes, "4711"), json_integer(4711);
    if (strcmp(f->kind, "double") == 0)
        return snprintf(expected, bytes, "0.25"), json_real(0.25);
    if (strcmp(f->kind, "boolean") == 0)
        return snprintf(expected, bytes, "1"), json_true();
    if (strcmp(f->kind, "object") == 0)
        return snprintf(expected, bytes, "{\"any\":1}"), json_pack("{s:i}", "any", 1);
    if (strcmp(f->kind, "List[string]") == 0)
        return snprintf(expected, bytes, "2 \"b\""), json_pack("[ss]", "a", "\"b\"");
    if (strcmp(f->kind, "List[object]") == 0)
        return snprintf(expected, bytes, "2 {\"b\":2}"), json_pack("[{s:i}{s:i}]", "a", 1, "b", 2);
    if (strcmp(f->kind, "model") == 0)
        return snprintf(expected, bytes, "1 here"), json_pack("{s:s}", "mark", "here");
    if (strcmp(f->kind, "models") == 0)
        return snprintf(expected, bytes, "2 there"),
               json_pack("[{s:s}{s:s}]", "mark", "here", "mark", "there");
    return snprintf(expected, bytes, "said \"so\""), json_string("said \"so\"");
}

static tdm_event *event_of(json_t *o)
{
    char *text = json_dumps(o, JSON_COMPACT);
    tdm_event *ev;

    cr_assert(eq(int, tdm_event_parse(text, strlen(text), &ev), TDM_OK));
    free(text);
    json_decref(o);
    return ev;
}

Test(ari_models, every_field_is_read_where_it_is_and_missed_where_it_is_not)
{
    for (int i = 0; i < FIELDS; i++) {
        char expected[64], got[64], without[64];
        json_t *o = json_object();

        json_object_set_new(o, fields[i].name, value_of(&fields[i], expected, sizeof expected));
        tdm_event *ev = event_of(o), *empty = event_of(json_object());

        fields[i].read(ev, got, sizeof got);
        fields[i].read(empty, without, sizeof without);
        cr_assert(eq(str, got, expected), "%s.%s", fields[i].owner, fields[i].name);
        cr_assert(ne(str, without, expected), "%s.%s", fields[i].owner, fields[i].name);
        tdm_event_free(ev);
        tdm_event_free(empty);
    }
}

Test(ari_models, an_event_is_read_through_its_objects_and_what_is_not_described_stays_reachable)
{
    static const char text[] =
        "{\"type\":\"ChannelDtmfReceived\",\"digit\":\"7\",\"duration_ms\":90,\"new_member\":\"new\","
        "\"channel\":{\"id\":\"1.2\","
        "\"caller\":{\"name\":\"\",\"number\":\"4917\"},\"dialplan\":{\"priority\":3}}}";
    struct tdm_ari_channel_dtmf_received dtmf;
    struct tdm_ari_stasis_start other;
    tdm_event *ev;

    cr_assert(eq(int, tdm_event_parse(text, sizeof text - 1, &ev), TDM_OK));
    cr_assert(tdm_ari_as_channel_dtmf_received(ev, &dtmf));
    cr_assert(not(tdm_ari_as_stasis_start(ev, &other)));
    const struct tdm_ari_channel ch = tdm_ari_channel_dtmf_received_channel(dtmf);

    cr_assert(eq(str, (char *)tdm_ari_channel_dtmf_received_digit(dtmf), "7"));
    cr_assert(eq(i64, tdm_ari_channel_dtmf_received_duration_ms(dtmf, 0), 90));
    cr_assert(eq(str, (char *)tdm_ari_caller_id_number(tdm_ari_channel_caller(ch)), "4917"));
    cr_assert(eq(i64, tdm_ari_dialplan_cep_priority(tdm_ari_channel_dialplan(ch), -1), 3));
    cr_assert(not(tdm_ari_there(tdm_ari_channel_connected(ch).v)));
    cr_assert(eq(ptr, (void *)tdm_ari_channel_language(ch), NULL));
    cr_assert(eq(str, (char *)tdm_event_str(ev, "new_member"), "new"));
    tdm_event_free(ev);
}

Test(ari_models, a_path_that_is_too_long_leads_nowhere)
{
    tdm_event *ev;
    struct tdm_ari_value v;

    cr_assert(eq(int, tdm_event_parse("{\"a\":1}", 7, &ev), TDM_OK));
    v = tdm_ari_root(ev);
    for (int i = 0; i < 20; i++)
        v = tdm_ari_member(v, "bridge_from");
    cr_assert(not(tdm_ari_there(v)));
    cr_assert(eq(ptr, (void *)tdm_event_str(v.ev, v.path), NULL));
    tdm_event_free(ev);
}
