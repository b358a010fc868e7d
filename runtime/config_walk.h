/* config_walk.h - one load of a configuration; between config.c, which parses, and config_walk.c. */
#ifndef RUNTIME_CONFIG_WALK_H
#define RUNTIME_CONFIG_WALK_H
#include <yaml.h>

#include "tandem/config.h"

#define CONFIG_PATH_MAX 512

struct config_load {
    yaml_document_t doc;
    struct tdm_config_report *report;
    bool readable_by_others; /* the file is */
    uint32_t visits;
    bool no_memory, too_many;
    char path[CONFIG_PATH_MAX]; /* the key we are at */
    size_t path_bytes;
};

/* Places count from 1; what is absent stands at the file's beginning. */
static inline uint32_t line_of(const yaml_node_t *node)
{
    return node == NULL ? 1 : (uint32_t)node->start_mark.line + 1;
}

static inline uint32_t column_of(const yaml_node_t *node)
{
    return node == NULL ? 1 : (uint32_t)node->start_mark.column + 1;
}

/* Fill a zeroed struct from a node of the document; NULL stands for an empty one. */
void config_walk(struct config_load *l, const yaml_node_t *node, const struct tdm_config_schema *schema,
                 void *value);

#endif
