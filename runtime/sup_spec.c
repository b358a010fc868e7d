/* sup_spec.c - copies of child specs, with what they point to.
 *
 * Idea:      the texts of a spec lie behind it in one block. Its argument has a block of its own, because it may be
 *            large and may go earlier: that of a temporary child is not kept at all, for there is no second start.
 * Touched by the supervisor that owns the family; a spec itself does not change while a child uses it. */
#include "sup_spec.h"

#include <string.h>

#include "module.h"

void *pack(struct pack *p, const void *from, size_t bytes)
{
    char *to = p->base == NULL ? NULL : p->base + p->bytes;

    p->bytes += (bytes + 15) & ~(size_t)15;
    if (to != NULL && bytes > 0)
        memcpy(to, from, bytes);
    return to;
}

static const char *pack_text(struct pack *p, const char *text)
{
    return text == NULL ? NULL : pack(p, text, strlen(text) + 1);
}

static void pack_texts(struct pack *p, struct tdm_child_spec *to, const struct tdm_child_spec *from)
{
    *to = *from;
    to->id = pack_text(p, from->id);
    to->start.tag = pack_text(p, from->start.tag);
}

void pack_spec(struct pack *p, struct tdm_child_spec *to, const struct tdm_child_spec *from)
{
    pack_texts(p, to, from);
    to->start.module = pack_text(p, from->start.module);
    to->start.arg = from->start.arg == NULL ? NULL : pack(p, from->start.arg, from->start.arg_bytes);
}

void pack_cfg(struct pack *p, struct tdm_sup_cfg *to, const struct tdm_sup_cfg *from)
{
    *to = *from;
    to->name = pack_text(p, from->name);
    struct tdm_child_spec *children = pack(p, from->children, from->n_children * sizeof *children);
    to->children = children;
    for (size_t i = 0; from->children != NULL && i < from->n_children; i++) {
        struct tdm_child_spec spec;
        pack_spec(p, &spec, &from->children[i]);
        if (children != NULL)
            children[i] = spec;
    }
}

static bool copy_arg(struct tdm_runtime *rt, struct spec *spec)
{
    size_t bytes = spec->s.start.arg_bytes;

    if (spec->s.start.arg == NULL || bytes == 0)
        return true;
    void *arg = runtime_alloc(rt, bytes);
    if (arg == NULL)
        return false;
    spec->s.start.arg = memcpy(arg, spec->s.start.arg, bytes);
    spec->owns_arg = true;
    return true;
}

/* Names of modules last as long as the runtime. */
static bool copy_module(struct tdm_runtime *rt, struct spec *spec)
{
    if (spec->s.start.module != NULL)
        spec->s.start.module = module_name(rt, spec->s.start.module);
    return spec->s.start.behaviour != NULL || spec->s.start.module != NULL;
}

struct spec *spec_copy(struct tdm_runtime *rt, const struct tdm_child_spec *from, bool borrow)
{
    struct tdm_child_spec unused;
    struct pack room = { .base = NULL };

    pack_texts(&room, &unused, from);
    struct spec *spec = runtime_alloc(rt, sizeof *spec + room.bytes);
    if (spec == NULL)
        return NULL;
    *spec = (struct spec){ .bytes = sizeof *spec + room.bytes };
    pack_texts(&(struct pack){ .base = (char *)(spec + 1) }, &spec->s, from);
    borrow = borrow && from->restart == TDM_TEMPORARY;
    if (!copy_module(rt, spec) || (!borrow && !copy_arg(rt, spec))) {
        runtime_free_block(rt, spec, spec->bytes);
        return NULL;
    }
    return spec;
}

void spec_free(struct tdm_runtime *rt, struct spec *spec)
{
    if (spec == NULL)
        return;
    if (spec->owns_arg)
        runtime_free_block(rt, (void *)spec->s.start.arg, spec->s.start.arg_bytes);
    runtime_free_block(rt, spec, spec->bytes);
}

void spec_forget_arg(struct tdm_runtime *rt, struct spec *spec)
{
    if (spec->s.restart != TDM_TEMPORARY)
        return;
    if (spec->owns_arg)
        runtime_free_block(rt, (void *)spec->s.start.arg, spec->s.start.arg_bytes);
    spec->owns_arg = false;
    spec->s.start.arg = NULL;
    spec->s.start.arg_bytes = 0;
}

const char *spec_name(const struct tdm_child_spec *spec)
{
    return spec->id != NULL ? spec->id : module_or_behaviour(&spec->start);
}

uint32_t spec_shutdown_ms(const struct tdm_child_spec *spec)
{
    if (spec->shutdown_ms != TDM_SHUTDOWN_DEFAULT)
        return spec->shutdown_ms;
    return spec->type == TDM_SUPERVISOR ? TDM_SHUTDOWN_INFINITY : 5000;
}

void spec_fill_defaults(struct tdm_child_spec *spec)
{
    spec->shutdown_ms = spec_shutdown_ms(spec);
    if (spec->start.mailbox_limit == 0)
        spec->start.mailbox_limit = TDM_MAILBOX_DEFAULT;
    if (spec->start.stack_bytes == 0)
        spec->start.stack_bytes = 64 * 1024;
    if (spec->start.memory_limit == 0)
        spec->start.memory_limit = TDM_MEMORY_DEFAULT;
}
