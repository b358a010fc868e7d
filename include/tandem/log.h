/* log.h - an event and its facts.
 *
 *     tdm_log_warn("ari.reconnect", "attempt=%u wait_ms=%u", n, wait_ms);
 *
 * The event name is stable and documented; the facts are key=value pairs made by printf. Time, level,
 * and (inside an actor) pid and tag are added. Values from the network go through TDM_LOG_TEXT so that
 * one record stays one line. Never blocks: under load records are dropped and the number is told.
 * Threads: any. */
#ifndef TANDEM_LOG_H
#define TANDEM_LOG_H
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

enum tdm_log_level { TDM_LOG_DEBUG, TDM_LOG_INFO, TDM_LOG_WARN, TDM_LOG_ERROR, TDM_LOG_OFF };
enum tdm_log_format { TDM_LOG_LOGFMT, TDM_LOG_JSON };

struct tdm_log_cfg {
    enum tdm_log_level level;   /* default info */
    enum tdm_log_format format;
    int fd;                     /* default 2, standard error */
    /* Instead of fd: gets each finished line, without newline. Tests and syslog. */
    void (*sink)(void *ctx, const char *line, size_t bytes);
    void *sink_ctx;
};
void tdm_log_configure(const struct tdm_log_cfg *cfg);
enum tdm_log_level tdm_log_level(void);

void tdm_log(enum tdm_log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void tdm_logv(enum tdm_log_level level, const char *event, const char *format, va_list args);
#define tdm_log_debug(event, ...) tdm_log_at(TDM_LOG_DEBUG, event, __VA_ARGS__)
#define tdm_log_info(event, ...) tdm_log_at(TDM_LOG_INFO, event, __VA_ARGS__)
#define tdm_log_warn(event, ...) tdm_log_at(TDM_LOG_WARN, event, __VA_ARGS__)
#define tdm_log_error(event, ...) tdm_log_at(TDM_LOG_ERROR, event, __VA_ARGS__)
#define tdm_log_at(level, event, ...) \
    do { if ((level) >= tdm_log_level()) tdm_log((level), (event), __VA_ARGS__); } while (0)

/* A value from outside, quoted and escaped into `buf`; returns buf. Longer text is cut, with "...". */
const char *tdm_log_text(char *buf, size_t buf_bytes, const char *text, size_t bytes);
#define TDM_LOG_TEXT(text, n) tdm_log_text((char[256]){0}, 256, (text), (n))

/* Wait until everything logged so far is written. */
void tdm_log_flush(void);

#endif
