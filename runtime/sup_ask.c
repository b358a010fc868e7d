/* sup_ask.c - a request to a supervisor, and the message that answers it.
 *
 * Idea:      a question is copied into its message with everything it points to, and so is an answer: whoever has the message
 *            has all of it, and frees all of it.
 * Touched by the asker, and by the supervisor that answers. */
#include <string.h>

#include "sup.h"

/* Payload of SIG_ADMIN: the question; its pointers lead into this message. */
static void pack_question(struct pack *p, struct tdm_sup_question *to, const struct tdm_sup_question *from)
{
    struct tdm_child_spec spec;

    *to = *from;
    to->id = from->id == NULL ? NULL : pack(p, from->id, strlen(from->id) + 1);
    to->tag = from->tag == NULL ? NULL : pack(p, from->tag, strlen(from->tag) + 1);
    to->arg = from->arg == NULL ? NULL : pack(p, from->arg, from->arg_bytes);
    if (from->spec != NULL) {
        pack_spec(p, &spec, from->spec);
        to->spec = pack(p, &spec, sizeof spec);
    }
    if (from->cfg != NULL) {
        struct tdm_sup_cfg cfg;
        pack_cfg(p, &cfg, from->cfg);
        to->cfg = pack(p, &cfg, sizeof cfg);
    }
}

tdm_ref tdm_sup_ask(tdm_self *self, tdm_pid sup, const struct tdm_sup_question *q, uint32_t timeout_ms)
{
    struct tdm_sup_question copy;
    struct pack room = { .base = NULL };

    pack_question(&room, &copy, q);
    size_t head = (sizeof copy + 15) & ~(size_t)15;
    struct tdm_msg *m = tdm_msg_new(self->rt, SIG_ADMIN, head + room.bytes);
    if (m == NULL)
        return 0;
    char *to = tdm_msg_data(m);
    pack_question(&(struct pack){ .base = to + head }, &copy, q);
    memcpy(to, &copy, sizeof copy);
    return tdm_request(self, sup, m, timeout_ms);
}

tdm_ref tdm_sup_request(tdm_self *self, tdm_pid sup, enum tdm_sup_op op, const char *id, tdm_pid pid)
{
    return tdm_sup_ask(self, sup, &(struct tdm_sup_question){ .op = op, .id = id, .pid = pid }, 0);
}

struct tdm_msg *sup_reply_new(struct tdm_runtime *rt, const struct tdm_sup_reply *r, uint32_t n_children,
                              const struct tdm_child_spec *spec)
{
    struct tdm_child_spec copy;
    struct pack room = { .base = NULL };
    size_t head = (sizeof *r + n_children * sizeof r->children[0] + 15) & ~(size_t)15;

    if (spec != NULL)
        pack_spec(&room, &copy, spec);
    struct tdm_msg *m = tdm_msg_new(rt, TDM_MSG_REPLY, head + room.bytes);
    if (m == NULL)
        return NULL;
    struct tdm_sup_reply *to = tdm_msg_data(m);
    memset(to, 0, head);
    *to = *r;
    to->n_children = n_children;
    if (spec != NULL) {
        pack_spec(&(struct pack){ .base = (char *)to + head }, &to->spec, spec);
        spec_fill_defaults(&to->spec);
    }
    return m;
}
