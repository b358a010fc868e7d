/* sup_log.c - the records of a supervisor: progress, child_terminated, start_error, shutdown_error, restart_limit.
 *
 * Each names the supervisor and the child: id, address, module, and the settings that say what will become of it.
 * Any thread; what is shown belongs to the caller. */
#include "sup_log.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "module.h"
#include "sup_spec.h"
#include "tandem/log.h"

enum { CHILD_BYTES = 512, WHY_BYTES = TDM_REASON_TEXT_BYTES + 64 };

bool sup_clean_stop(const struct tdm_child_spec *spec, const struct tdm_reason *r)
{
    bool permanent = spec->restart == TDM_PERMANENT;

    if (r == NULL)
        return false;
    switch (r->kind) {
    case TDM_EXIT_NORMAL:
        return !permanent;
    case TDM_EXIT_SHUTDOWN:
        return !permanent || (r->text[0] == '\0' && spec->shutdown_ms != TDM_SHUTDOWN_BRUTAL);
    case TDM_EXIT_KILLED:
        return spec->shutdown_ms == TDM_SHUTDOWN_BRUTAL;
    default:
        return false;
    }
}

/* Ids are short words; what is not is quoted, so that a record stays one line. */
static const char *plain(const char *text, char *buf, size_t bytes)
{
    const char *at = text;

    while (isalnum((unsigned char)*at) || (*at != '\0' && strchr("_-.:/+@", *at) != NULL))
        at++;
    return *at == '\0' && at != text ? text : tdm_log_text(buf, bytes, text, strlen(text));
}

static const char *shutdown_text(const struct tdm_child_spec *spec, char buf[16])
{
    uint32_t ms = spec_shutdown_ms(spec);

    if (ms == TDM_SHUTDOWN_INFINITY || ms == TDM_SHUTDOWN_BRUTAL)
        return ms == TDM_SHUTDOWN_INFINITY ? "infinity" : "brutal_kill";
    snprintf(buf, 16, "%u", ms == TDM_SHUTDOWN_NOW ? 0 : ms);
    return buf;
}

/* Everything about the child, for the record. */
static const char *describe(const struct family *f, const struct tdm_child_spec *spec, tdm_pid pid, char *buf)
{
    static const char *const restarts[] = { "permanent", "transient", "temporary" };
    char ms[16], sup[128], id[160];
    const char *name = family_name(f);

    snprintf(sup, sizeof sup, "%llu", (unsigned long long)f->sup.id);
    if (name != NULL)
        name = plain(name, sup, sizeof sup);
    snprintf(buf, CHILD_BYTES,
             "supervisor=%s child=%s child_pid=%llu module=%s restart=%s significant=%s shutdown=%s type=%s",
             name != NULL ? name : sup, plain(spec_name(spec), id, sizeof id), (unsigned long long)pid.id,
             module_or_behaviour(&spec->start), restarts[spec->restart], spec->significant ? "true" : "false",
             shutdown_text(spec, ms), spec->type == TDM_SUPERVISOR ? "supervisor" : "worker");
    return buf;
}

static const char *reason_text(const struct tdm_reason *r, char *buf, char *quoted)
{
    if (r == NULL)
        return "unknown";
    tdm_reason_str(r, buf, WHY_BYTES);
    return tdm_log_text(quoted, WHY_BYTES + 64, buf, strlen(buf));
}

void sup_log_started(const struct child *c)
{
    char child[CHILD_BYTES];
    /* dynamic children come by the hundred thousand a second, and whoever starts them says so in better words */
    enum tdm_log_level level = c->family->strategy == TDM_DYNAMIC ? TDM_LOG_DEBUG : TDM_LOG_INFO;

    if (tdm_log_level() <= level)
        tdm_log(level, "supervisor.progress", "%s restarts=%u", describe(c->family, c->spec, c->pid, child),
                c->restarts);
}

void sup_log_ended(const struct child *c, const char *event, const struct tdm_reason *reason)
{
    char child[CHILD_BYTES], why[WHY_BYTES], quoted[WHY_BYTES + 64];

    if (tdm_log_level() <= TDM_LOG_ERROR)
        tdm_log_error(event, "%s reason=%s restarts=%u", describe(c->family, c->spec, c->pid, child),
                      reason_text(reason, why, quoted), c->restarts);
}

void sup_log_no_start(const struct family *f, const struct tdm_child_spec *spec, int err)
{
    char child[CHILD_BYTES];

    tdm_log_error("supervisor.start_error", "%s reason=error:%s", describe(f, spec, (tdm_pid){ 0 }, child),
                  tdm_errname(err));
}

void sup_log_stop(const struct family *f, const struct tdm_child_spec *spec, tdm_pid pid,
                  const struct tdm_reason *reason, uint32_t children)
{
    char child[CHILD_BYTES], why[WHY_BYTES], quoted[WHY_BYTES + 64];

    if (sup_clean_stop(spec, reason) || tdm_log_level() > TDM_LOG_ERROR)
        return;
    tdm_log_error("supervisor.shutdown_error", "%s reason=%s children=%u", describe(f, spec, pid, child),
                  reason_text(reason, why, quoted), children);
}

void sup_log_limit(const struct child *c, uint32_t intensity, uint32_t period_ms, const char *scope)
{
    char child[CHILD_BYTES];

    tdm_log_error("supervisor.restart_limit", "%s intensity=%u period_ms=%u scope=%s",
                  describe(c->family, c->spec, c->pid, child), intensity, period_ms, scope);
}
