/* config_walk.c - document and schema side by side, once, from the top.
 *
 * Idea:      a fault is noted and the walk goes on with the fallback in its place, so that one run finds all.
 * Invariant: at every moment the struct is one that tdm_config_free() can end.
 * Bounds:    the number of entries, and, because aliases may repeat a node any number of times, the number
 *            of nodes visited. The depth is the schema's.
 * Touched by the thread that loads. */
#include <stdlib.h>
#include <string.h>

#include "config_report.h"
#include "config_value.h"
#include "config_walk.h"
#include "tandem/log.h"

#define VISITS_MAX    100000
#define LIST_MAX      10000
#define MAP_MAX       1000
#define ALLOWED_BYTES 512

/* -- places and paths ---------------------------------------------------------------------------- */

#define FAULT(l, node, allowed, ...) \
    config_report_add((l)->report, false, line_of(node), column_of(node), (l)->path, (allowed), __VA_ARGS__)

/* Text from the file, made printable and short, without quotes around it. */
static const char *printable_key(char *buf, size_t bytes, const char *text, size_t text_bytes)
{
    tdm_log_text(buf, bytes, text, text_bytes);
    size_t n = strlen(buf);
    memmove(buf, buf + 1, n - 2);
    buf[n - 2] = '\0';
    return buf;
}

/* Go down to a key, or to entry number `index` when `key` is NULL. Returns what path_leave() needs. */
static size_t path_enter(struct config_load *l, const char *key, size_t key_bytes, size_t index)
{
    char name[TDM_CONFIG_KEY_MAX + 24];
    size_t before = l->path_bytes, room = sizeof l->path - before;
    int n;

    if (key == NULL)
        n = snprintf(l->path + before, room, "[%zu]", index);
    else
        n = snprintf(l->path + before, room, "%s%s", before == 0 ? "" : ".",
                     printable_key(name, sizeof name, key, key_bytes));
    l->path_bytes += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
    return before;
}

static void path_leave(struct config_load *l, size_t before)
{
    l->path_bytes = before;
    l->path[before] = '\0';
}

/* Count one more node; false when aliases have blown the file up. */
static bool visit(struct config_load *l, const yaml_node_t *node)
{
    if (l->visits++ < VISITS_MAX)
        return true;
    if (!l->too_many)
        FAULT(l, node, NULL, "the file is too large once its aliases are written out");
    l->too_many = true;
    return false;
}

/* -- nodes --------------------------------------------------------------------------------------- */

static const char *scalar(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

/* `key:` with nothing behind it, or ~ or null. */
static bool is_nothing(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (node->data.scalar.length == 0 || strcmp(scalar(node), "~") == 0 ||
            strcmp(scalar(node), "null") == 0);
}

static const char *node_kind(const yaml_node_t *node)
{
    switch (node->type) {
    case YAML_SEQUENCE_NODE:
        return "a list";
    case YAML_MAPPING_NODE:
        return "a map";
    default:
        return is_nothing(node) ? "nothing" : "a single value";
    }
}

/* A scalar of one C string; otherwise a fault. */
static bool usable_scalar(struct config_load *l, const yaml_node_t *node, enum tdm_config_type type)
{
    if (node->type != YAML_SCALAR_NODE || is_nothing(node))
        FAULT(l, node, NULL, "must be %s, not %s", config_value_kind(type), node_kind(node));
    else if (memchr(scalar(node), 0, node->data.scalar.length) != NULL)
        FAULT(l, node, NULL, "must not contain a zero byte");
    else
        return true;
    return false;
}

/* Nothing counts as an empty list or map. */
static bool right_kind(struct config_load *l, const yaml_node_t *node, yaml_node_type_t want,
                       enum tdm_config_type type)
{
    if (node->type == want)
        return true;
    if (!is_nothing(node))
        FAULT(l, node, NULL, "must be %s, not %s", config_value_kind(type), node_kind(node));
    return false;
}

static char *copied(struct config_load *l, const char *text)
{
    char *copy = strdup(text);

    l->no_memory = l->no_memory || copy == NULL;
    return copy;
}

static void *array(struct config_load *l, size_t n, size_t item_bytes)
{
    void *items = calloc(n == 0 ? 1 : n, item_bytes);

    l->no_memory = l->no_memory || items == NULL;
    return items;
}

/* -- secrets ------------------------------------------------------------------------------------- */

static bool is_variable_name(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool letter = (s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= 'a' && s[i] <= 'z') || s[i] == '_';
        if (!letter && (i == 0 || s[i] < '0' || s[i] > '9'))
            return false;
    }
    return n > 0;
}

static bool is_reference(const char *text)
{
    size_t n = strlen(text);

    return n > 3 && text[0] == '$' && text[1] == '{' && text[n - 1] == '}';
}

/* What ${NAME} stands for; NULL and a fault when that is nothing. */
static const char *resolve(struct config_load *l, const yaml_node_t *node, const char *text)
{
    char name[128] = "";
    size_t n = strlen(text) - 3;

    if (n >= sizeof name || !is_variable_name(text + 2, n)) {
        FAULT(l, node, "${NAME}", "names no environment variable");
        return NULL;
    }
    memcpy(name, text + 2, n);
    const char *value = getenv(name);
    if (value == NULL)
        FAULT(l, node, NULL, "the environment variable %s is not set", name);
    else if (value[0] == '\0')
        FAULT(l, node, NULL, "the environment variable %s is empty", name);
    return value == NULL || value[0] == '\0' ? NULL : value;
}

static const char *secret_text(struct config_load *l, const yaml_node_t *node)
{
    const char *text = scalar(node);

    if (is_reference(text)) {
        text = resolve(l, node, text);
    } else if (text[0] == '\0') {
        FAULT(l, node, NULL, "is empty");
        return NULL;
    } else if (l->readable_by_others) {
        config_report_add(l->report, true, line_of(node), column_of(node), l->path, NULL,
                          "is written in a file that everybody on this machine may read; "
                          "use ${NAME} or chmod o-r");
    }
    if (text != NULL && tdm_log_secret(text) == TDM_ENOMEM)
        l->no_memory = true;
    return text;
}

/* -- the walk ------------------------------------------------------------------------------------ */

static void load_scalar(struct config_load *l, const yaml_node_t *node, const struct tdm_config_field *f,
                        void *member)
{
    char why[240], allowed[ALLOWED_BYTES];

    if (!usable_scalar(l, node, f->type))
        return;
    const char *text = f->type == TDM_CONFIG_SECRET ? secret_text(l, node) : scalar(node);
    if (text == NULL)
        return;
    if (f->type != TDM_CONFIG_SECRET && is_reference(text)) {
        FAULT(l, node, NULL, "environment variables are read for secrets only");
        return;
    }
    int err = config_value_set(f, text, member, why, sizeof why);
    if (err == TDM_ENOMEM)
        l->no_memory = true;
    else if (err < 0)
        FAULT(l, node, config_value_allowed(f, allowed, sizeof allowed), "%s", why);
}

/* How many entries a list or map has; 0 and a fault when that is not allowed. */
static size_t allowed_entries(struct config_load *l, const yaml_node_t *node,
                              const struct tdm_config_field *f, size_t n)
{
    char allowed[ALLOWED_BYTES];
    size_t limit = f->type == TDM_CONFIG_MAP || f->type == TDM_CONFIG_PAIRS ? MAP_MAX : LIST_MAX;

    if (f->max > 0)
        limit = (size_t)f->max;
    if (n <= limit && n >= (size_t)f->min)
        return n;
    FAULT(l, node, config_value_allowed(f, allowed, sizeof allowed), "has %zu entries", n);
    return n > limit ? 0 : n;
}

static void load_strings(struct config_load *l, const yaml_node_t *node, const struct tdm_config_field *f,
                         char ***member, size_t *count)
{
    char why[240];

    if (!right_kind(l, node, YAML_SEQUENCE_NODE, f->type))
        return;
    yaml_node_item_t *item = node->data.sequence.items.start;
    size_t n = allowed_entries(l, node, f, (size_t)(node->data.sequence.items.top - item));
    char **strings = array(l, n, sizeof *strings);
    *member = strings;
    for (size_t i = 0; strings != NULL && i < n; i++) {
        const yaml_node_t *entry = yaml_document_get_node(&l->doc, item[i]);
        if (!visit(l, entry))
            return;
        size_t before = path_enter(l, NULL, 0, i);
        config_report_place(l->report, l->path, line_of(entry), column_of(entry));
        if (usable_scalar(l, entry, TDM_CONFIG_STRING)) {
            const char *wrong = config_value_text_fault(f, scalar(entry), why, sizeof why);
            if (wrong != NULL)
                FAULT(l, entry, NULL, "%s", wrong);
            else if ((strings[*count] = copied(l, scalar(entry))) != NULL)
                ++*count;
        }
        path_leave(l, before);
    }
}

static void load_list(struct config_load *l, const yaml_node_t *node, const struct tdm_config_field *f,
                      char **member, size_t *count)
{
    if (!right_kind(l, node, YAML_SEQUENCE_NODE, f->type))
        return;
    yaml_node_item_t *item = node->data.sequence.items.start;
    size_t n = allowed_entries(l, node, f, (size_t)(node->data.sequence.items.top - item));
    char *structs = array(l, n, f->of->bytes);
    *member = structs;
    for (size_t i = 0; structs != NULL && i < n; i++) {
        const yaml_node_t *entry = yaml_document_get_node(&l->doc, item[i]);
        if (!visit(l, entry))
            return;
        size_t before = path_enter(l, NULL, 0, i);
        config_report_place(l->report, l->path, line_of(entry), column_of(entry));
        config_walk(l, entry, f->of, structs + (*count)++ * f->of->bytes);
        path_leave(l, before);
    }
}

/* A key of the user's choice, not given twice in this map. `pairs` up to `at` have been checked. */
static bool good_name(struct config_load *l, const yaml_node_pair_t *pairs, size_t at,
                      const struct tdm_config_field *f)
{
    const yaml_node_t *key = yaml_document_get_node(&l->doc, pairs[at].key);
    char why[240];

    if (key->type != YAML_SCALAR_NODE || key->data.scalar.length == 0 ||
        key->data.scalar.length > TDM_CONFIG_KEY_MAX ||
        memchr(scalar(key), 0, key->data.scalar.length) != NULL) {
        FAULT(l, key, "1 to 63 bytes", "a name in this map is not usable");
        return false;
    }
    for (size_t i = 0; i < at; i++) {
        const yaml_node_t *other = yaml_document_get_node(&l->doc, pairs[i].key);
        if (other->type != YAML_SCALAR_NODE || strcmp(scalar(other), scalar(key)) != 0)
            continue;
        FAULT(l, key, NULL, "%s is here twice; the first is in line %u",
              TDM_LOG_TEXT(scalar(key), key->data.scalar.length), line_of(other));
        return false;
    }
    struct tdm_config_field name = { .type = TDM_CONFIG_MAP,
                                     .check = f->type == TDM_CONFIG_MAP ? f->check : NULL };
    const char *wrong = config_value_text_fault(&name, scalar(key), why, sizeof why);
    if (wrong != NULL)
        FAULT(l, key, NULL, "the name %s %s", TDM_LOG_TEXT(scalar(key), key->data.scalar.length), wrong);
    return wrong == NULL;
}

static void load_map_entry(struct config_load *l, const yaml_node_t *key, const yaml_node_t *node,
                           const struct tdm_config_field *f, char *entry)
{
    char **name = (char **)(void *)(entry + f->of->name_offset);
    size_t before = path_enter(l, scalar(key), key->data.scalar.length, 0);

    config_report_place(l->report, l->path, line_of(key), column_of(key));
    config_walk(l, node, f->of, entry);
    *name = copied(l, scalar(key));
    path_leave(l, before);
}

static bool load_pair(struct config_load *l, const yaml_node_t *key, const yaml_node_t *node,
                      struct tdm_config_pair *pair)
{
    size_t before = path_enter(l, scalar(key), key->data.scalar.length, 0);
    bool good = usable_scalar(l, node, TDM_CONFIG_STRING);

    config_report_place(l->report, l->path, line_of(node), column_of(node));
    if (good) {
        pair->key = copied(l, scalar(key));
        pair->value = copied(l, scalar(node));
    }
    path_leave(l, before);
    return good;
}

static void load_map(struct config_load *l, const yaml_node_t *node, const struct tdm_config_field *f,
                     char **member, size_t *count)
{
    size_t bytes = f->type == TDM_CONFIG_MAP ? f->of->bytes : sizeof(struct tdm_config_pair);

    if (!right_kind(l, node, YAML_MAPPING_NODE, f->type))
        return;
    yaml_node_pair_t *pairs = node->data.mapping.pairs.start;
    size_t n = allowed_entries(l, node, f, (size_t)(node->data.mapping.pairs.top - pairs));
    char *entries = array(l, n, bytes);
    *member = entries;
    for (size_t i = 0; entries != NULL && i < n; i++) {
        const yaml_node_t *key = yaml_document_get_node(&l->doc, pairs[i].key);
        const yaml_node_t *value = yaml_document_get_node(&l->doc, pairs[i].value);
        if (!visit(l, value))
            return;
        if (!good_name(l, pairs, i, f))
            continue;
        void *entry = entries + *count * bytes;
        bool kept = f->type == TDM_CONFIG_MAP || load_pair(l, key, value, entry);
        if (f->type == TDM_CONFIG_MAP)
            load_map_entry(l, key, value, f, entry);
        *count += kept;
    }
}

static void load_field(struct config_load *l, const yaml_node_t *node, const struct tdm_config_field *f,
                       void *value)
{
    void *member = (char *)value + f->offset;
    size_t *count = (void *)((char *)value + f->count_offset);

    switch (f->type) {
    case TDM_CONFIG_STRINGS:
        load_strings(l, node, f, member, count);
        break;
    case TDM_CONFIG_LIST:
        load_list(l, node, f, member, count);
        break;
    case TDM_CONFIG_MAP:
    case TDM_CONFIG_PAIRS:
        load_map(l, node, f, member, count);
        break;
    case TDM_CONFIG_STRUCT:
        config_walk(l, node, f->of, member);
        break;
    default:
        load_scalar(l, node, f, member);
    }
    if (f->required && config_has_count(f->type) && *count == 0 && !tdm_config_faulty(l->report, l->path))
        FAULT(l, node, NULL, "must not be empty");
}

/* -- keys of a struct ---------------------------------------------------------------------------- */

static const struct tdm_config_field *find_field(const struct tdm_config_schema *schema,
                                                 const yaml_node_t *key)
{
    for (size_t i = 0; i < schema->n_fields; i++) {
        if (strlen(schema->fields[i].key) == key->data.scalar.length &&
            memcmp(schema->fields[i].key, scalar(key), key->data.scalar.length) == 0)
            return &schema->fields[i];
    }
    return NULL;
}

static void unknown_key(struct config_load *l, const yaml_node_t *key, const struct tdm_config_schema *schema)
{
    const char *words[64], *near = NULL;
    char allowed[ALLOWED_BYTES] = "";
    size_t n = 0, used = 0, before = path_enter(l, scalar(key), key->data.scalar.length, 0);

    for (; n < schema->n_fields && n < 64; n++) {
        words[n] = schema->fields[n].key;
        if (used < sizeof allowed)
            used +=
                (size_t)snprintf(allowed + used, sizeof allowed - used, "%s%s", n == 0 ? "" : ", ", words[n]);
    }
    if (l->report->n_faults < CONFIG_FAULTS_MAX) /* nobody will read the rest */
        near = tdm_config_nearest(scalar(key), words, n);
    if (near != NULL)
        FAULT(l, key, allowed, "unknown key; did you mean \"%s\"?", near);
    else
        FAULT(l, key, allowed, "unknown key");
    path_leave(l, before);
}

/* `first` holds, for each field, where it was seen first. */
static void load_key(struct config_load *l, const yaml_node_pair_t *pair,
                     const struct tdm_config_schema *schema, const yaml_node_t **first, void *value)
{
    const yaml_node_t *key = yaml_document_get_node(&l->doc, pair->key);
    const yaml_node_t *node = yaml_document_get_node(&l->doc, pair->value);

    if (key->type != YAML_SCALAR_NODE) {
        FAULT(l, key, NULL, "a key must be a word, not %s", node_kind(key));
        return;
    }
    const struct tdm_config_field *f = find_field(schema, key);
    if (f == NULL) {
        unknown_key(l, key, schema);
        return;
    }
    size_t before = path_enter(l, f->key, strlen(f->key), 0);
    const yaml_node_t **seen = &first[f - schema->fields];
    if (*seen != NULL) {
        FAULT(l, key, NULL, "is here twice; the first is in line %u", line_of(*seen));
    } else {
        *seen = key;
        config_report_place(l->report, l->path, line_of(node), column_of(node));
        load_field(l, node, f, value);
    }
    path_leave(l, before);
}

static void load_absent(struct config_load *l, const yaml_node_t *node, const struct tdm_config_field *f)
{
    char allowed[ALLOWED_BYTES];
    size_t before = path_enter(l, f->key, strlen(f->key), 0);

    if (f->required)
        FAULT(l, node, config_value_allowed(f, allowed, sizeof allowed), "is missing; it must be %s",
              config_value_kind(f->type));
    for (size_t i = 0; f->type == TDM_CONFIG_STRUCT && !f->required && i < f->of->n_fields; i++)
        load_absent(l, node, &f->of->fields[i]); /* it may hold what is required */
    path_leave(l, before);
}

void config_walk(struct config_load *l, const yaml_node_t *node, const struct tdm_config_schema *schema,
                 void *value)
{
    const yaml_node_t *first[64] = { NULL };
    int err = config_value_defaults(schema, value);

    l->no_memory = l->no_memory || err == TDM_ENOMEM;
    if (err == TDM_EINVAL)
        FAULT(l, node, NULL, "a fallback in the program's own table is faulty");
    if (node != NULL && !right_kind(l, node, YAML_MAPPING_NODE, TDM_CONFIG_STRUCT) && !is_nothing(node))
        return;
    if (node != NULL && node->type == YAML_MAPPING_NODE) {
        yaml_node_pair_t *pair = node->data.mapping.pairs.start;
        for (; pair < node->data.mapping.pairs.top && visit(l, node); pair++)
            load_key(l, pair, schema, first, value);
    }
    for (size_t i = 0; i < schema->n_fields && i < 64; i++) {
        if (first[i] == NULL)
            load_absent(l, node, &schema->fields[i]);
    }
}
