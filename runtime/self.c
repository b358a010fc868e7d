/* self.c - what an actor can ask and say about itself. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "runtime.h"

tdm_pid tdm_self_pid(const tdm_self *self)
{
    uint32_t gen =
        atomic_load_explicit(&self->gen, memory_order_relaxed); /* its own worker wrote or took it */
    return (tdm_pid){ id_make(gen, self->slot) };
}

tdm_place tdm_self_place(const tdm_self *self)
{
    uint32_t birth = atomic_load_explicit(&self->birth, memory_order_relaxed); /* as above */
    return (tdm_place){ birth == 0 ? 0 : id_make(birth, self->slot) | PLACE_BIT };
}

struct tdm_runtime *tdm_self_runtime(const tdm_self *self)
{
    return self->rt;
}

struct tdm_env *tdm_self_env(const tdm_self *self)
{
    return self->rt->env;
}

void *tdm_self_state(const tdm_self *self)
{
    return self->state;
}

uint64_t tdm_now_ns(const tdm_self *self)
{
    return self->rt->env->now_ns(self->rt->env);
}

uint32_t tdm_self_mailbox_length(const tdm_self *self)
{
    return box_count(atomic_load_explicit(&self->box.word, memory_order_relaxed)) - self->handled;
}

void tdm_self_tag(tdm_self *self, const char *tag)
{
    if (self->tag == NULL)
        self->tag = runtime_alloc(self->rt, 64);
    if (self->tag != NULL)
        snprintf(self->tag, 64, "%s", tag);
}

/* Cut text that is too long before the character that does not fit, not in the middle of it. */
static void cut_text(char *text, size_t room, size_t needed)
{
    if (needed < room)
        return;
    size_t end = room - 4;
    while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
        end--;
    memcpy(text + end, "...", 4);
}

int tdm_fail(tdm_self *self, int err, const char *format, ...)
{
    struct tdm_reason reason = { .kind = TDM_EXIT_ERROR, .code = err };
    bool exiting = (self->flags & ACTOR_EXITING) != 0;
    va_list args;

    va_start(args, format);
    int n = vsnprintf(reason.text, sizeof reason.text, format, args);
    va_end(args);
    cut_text(reason.text, sizeof reason.text, n < 0 ? 0 : (size_t)n);
    if (!exiting) { /* keep the words for when the callback returns the error */
        actor_set_reason(self, &reason);
        self->flags &= ~(uint32_t)ACTOR_EXITING;
    }
    return err;
}

void tdm_exit(tdm_self *self, const struct tdm_reason *reason)
{
    actor_set_reason(self, reason);
    if (self->fibers && self->fiber != NULL)
        fault_leave_callback(self, reason);
}

void tdm_assert_failed(tdm_self *self, const char *text, const char *file, int line)
{
    struct tdm_reason reason = { .kind = TDM_EXIT_ERROR, .code = TDM_EASSERT };
    const char *base = strrchr(file, '/');

    int n =
        snprintf(reason.text, sizeof reason.text, "%s:%d: %s", base != NULL ? base + 1 : file, line, text);
    cut_text(reason.text, sizeof reason.text, n < 0 ? 0 : (size_t)n);
    fault_leave_callback(self, &reason);
}

const char *tdm_reason_str(const struct tdm_reason *r, char *buf, size_t bytes)
{
    static const char *const kinds[] = { "normal", "shutdown", "killed", "error", "noproc", "noconnection" };
    const char *sep = r->text[0] != '\0' ? ": " : "";

    if (r->kind == TDM_EXIT_ERROR && r->signo != 0)
        snprintf(buf, bytes, "error:%s(signal %d)%s%s", tdm_errname(r->code), r->signo, sep, r->text);
    else if (r->kind == TDM_EXIT_ERROR)
        snprintf(buf, bytes, "error:%s%s%s", tdm_errname(r->code), sep, r->text);
    else
        snprintf(buf, bytes, "%s%s%s", kinds[r->kind], sep, r->text);
    return buf;
}
