/* json_plan.c - the paths that a scan looks for, as a tree of names in one hash table.
 *
 * Idea: a member's name is looked up together with the node of the object it is in, so one small table
 *       serves all levels, and a name that nobody wants costs one look at an empty bucket. */
#include "json_scan.h"
#include "json_skip.h"
#include "tandem/err.h"

static uint32_t hash_name(uint32_t parent, const char *name, size_t bytes)
{
    const unsigned char first = (unsigned char)name[0], last = (unsigned char)name[bytes - 1];

    return (parent * 61u + (uint32_t)bytes * 31u + first * 7u + last) & 255u;
}

uint32_t json_scan_child(const struct json_plan *plan, uint32_t parent, const char *name, size_t bytes)
{
    if (bytes == 0)
        return JSON_SCAN_NOBODY;
    uint32_t n = plan->bucket[hash_name(parent, name, bytes)];

    while (n != JSON_SCAN_NOBODY) {
        const struct json_node *node = &plan->node[n];

        if (node->parent == parent && node->bytes == bytes && memcmp(node->name, name, bytes) == 0)
            return n;
        n = node->next;
    }
    return JSON_SCAN_NOBODY;
}

/* "7" but not "07", "-1" or "7a": the way an array index is written. */
static uint32_t index_of(const char *name, size_t bytes)
{
    uint32_t value = 0;

    if (bytes > 9 || (bytes > 1 && name[0] == '0'))
        return UINT32_MAX;
    for (size_t i = 0; i < bytes; i++) {
        if (!json_skip_is_digit(name[i]))
            return UINT32_MAX;
        value = value * 10 + (uint32_t)(name[i] - '0');
    }
    return value;
}

static int add_node(struct json_plan *plan, uint32_t parent, const char *name, size_t bytes)
{
    if (plan->nodes == JSON_SCAN_NODES || bytes > JSON_SCAN_NAME)
        return TDM_ETOOBIG;
    if (bytes == 0)
        return TDM_EINVAL;
    const uint32_t n = plan->nodes++;
    uint8_t *bucket = &plan->bucket[hash_name(parent, name, bytes)];

    plan->node[n] = (struct json_node){ .name = name,
                                        .index = index_of(name, bytes),
                                        .bytes = (uint8_t)bytes,
                                        .parent = (uint8_t)parent,
                                        .next = *bucket };
    plan->node[parent].inner = true;
    *bucket = (uint8_t)n;
    return (int)n;
}

static int add_path(struct json_plan *plan, const char *path, size_t slot)
{
    uint32_t n = JSON_SCAN_ROOT;

    for (int levels = 0;; levels++) {
        const size_t bytes = strcspn(path, ".");
        uint32_t child = json_scan_child(plan, n, path, bytes);

        if (levels == JSON_SCAN_LEVELS)
            return TDM_ETOOBIG;
        if (child == JSON_SCAN_NOBODY) {
            const int made = add_node(plan, n, path, bytes);

            if (made < 0)
                return made;
            child = (uint32_t)made;
        }
        n = child;
        path += bytes;
        if (*path++ == '\0')
            break;
    }
    if (plan->node[n].slot != 0)
        return TDM_EEXIST;
    plan->node[n].slot = (uint8_t)(slot + 1);
    return TDM_OK;
}

int json_scan_plan(struct json_plan *plan, const char *const *paths, size_t count)
{
    if (count > JSON_SCAN_PATHS)
        return TDM_ETOOBIG;
    memset(plan, 0, sizeof *plan);
    plan->nodes = JSON_SCAN_ROOT + 1;
    plan->paths = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        const int err = add_path(plan, paths[i], i);

        if (err != TDM_OK)
            return err;
    }
    return TDM_OK;
}
