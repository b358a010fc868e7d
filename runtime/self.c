/* self.c - what an actor can ask and say about itself. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "inbox.h"
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
    return inbox_length((struct tdm_self *)self);
}

void tdm_self_tag(tdm_self *self, const char *tag)
{
    if (self->tag == NULL)
        self->tag = runtime_alloc(self->rt, 64);
    if (self->tag != NULL)
        snprintf(self->tag, 64, "%s", tag);
}

/* Text that needs more than its room is cut before the character that does not fit, and marked. */
static void cut_text(char *text, size_t room, size_t needed)
{
    if (needed < room || room < 4)
        return;
    size_t end = room - 4;
    while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
        end--;
    memcpy(text + end, "...", 4);
}

/* Does the text end inside a character, so that something has been cut off? */
static bool ends_inside(const char *text, size_t bytes)
{
    size_t tail = 0;

    while (tail < bytes && tail < 3 && ((unsigned char)text[bytes - 1 - tail] & 0xc0) == 0x80)
        tail++;
    if (tail == bytes)
        return false;
    unsigned char lead = (unsigned char)text[bytes - 1 - tail];
    size_t wants = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
    return wants > tail;
}

void reason_settle(struct tdm_reason *r)
{
    size_t room = sizeof r->text, n = strnlen(r->text, room);

    if (n == room || (n == room - 1 && ends_inside(r->text, n)))
        cut_text(r->text, room, room);
}

void tdm_reason_say(struct tdm_reason *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(r->text, sizeof r->text, format, args);
    va_end(args);
    cut_text(r->text, sizeof r->text, n < 0 ? 0 : (size_t)n);
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
    struct tdm_reason own = *reason;

    reason_settle(&own);
    actor_set_reason(self, &own);
    if (self->fibers && self->fiber != NULL)
        fault_leave_callback(self, &own);
}

void tdm_assert_failed(tdm_self *self, const char *text, const char *file, int line)
{
    struct tdm_reason reason = { .kind = TDM_EXIT_ERROR, .code = TDM_EASSERT };
    const char *base = strrchr(file, '/');

    tdm_reason_say(&reason, "%s:%d: %s", base != NULL ? base + 1 : file, line, text);
    fault_leave_callback(self, &reason);
}

const char *tdm_reason_str(const struct tdm_reason *r, char *buf, size_t bytes)
{
    static const char *const kinds[] = { "normal", "shutdown", "killed", "error", "noproc", "noconnection" };
    const char *sep = r->text[0] != '\0' ? ": " : "";

    int n;

    if (r->kind == TDM_EXIT_ERROR && r->signo != 0)
        n = snprintf(buf, bytes, "error:%s(signal %d)%s%s", tdm_errname(r->code), r->signo, sep, r->text);
    else if (r->kind == TDM_EXIT_ERROR)
        n = snprintf(buf, bytes, "error:%s%s%s", tdm_errname(r->code), sep, r->text);
    else
        n = snprintf(buf, bytes, "%s%s%s", kinds[r->kind], sep, r->text);
    cut_text(buf, bytes, n < 0 ? 0 : (size_t)n);
    return buf;
}
