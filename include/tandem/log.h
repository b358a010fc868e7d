/* log.h - an event and its facts.
 *
 *     tdm_log_warn("ari.reconnect", "attempt=%u wait_ms=%u", n, wait_ms);
 *
 * The event name is stable and documented; the facts are key=value pairs made by printf. Time, level,
 * and (inside an actor) pid and tag are added. Values from the network go through TDM_LOG_TEXT so that
 * one record stays one line. In JSON an unquoted value that reads as a number (or true, false) is one;
 * what is quoted stays text, so ids made of digits are to be quoted. Never blocks: under load records
 * are dropped and the number is told. Works with any number of runtimes in the process, and with none.
 * Threads: any. Not for signal handlers. */
#ifndef TANDEM_LOG_H
#define TANDEM_LOG_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tdm_log_level { TDM_LOG_DEBUG = 1, TDM_LOG_INFO, TDM_LOG_WARN, TDM_LOG_ERROR, TDM_LOG_OFF };
enum tdm_log_format { TDM_LOG_LOGFMT, TDM_LOG_JSON };

/* Zero means the default. */
struct tdm_log_cfg {
    enum tdm_log_level level; /* default info */
    enum tdm_log_format format;
    int fd; /* default 2, standard error; not closed */
    /* Instead of fd: gets each finished line, without newline, one call at a time. Tests and syslog.
     * Called on the thread that logs (or on another that logs at the same moment). */
    void (*sink)(void *ctx, const char *line, size_t bytes);
    void *sink_ctx;
};

/* Takes effect for all records from now on; earlier ones are written first. NULL: all defaults.
 * Threads: any, but not from within a sink. */
void tdm_log_configure(const struct tdm_log_cfg *cfg);
enum tdm_log_level tdm_log_level(void);

/* Facts longer than about 2000 bytes are cut, with "...". `format` "" means no facts. */
void tdm_log(enum tdm_log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void tdm_logv(enum tdm_log_level level, const char *event, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
#define tdm_log_debug(event, ...) tdm_log_at(TDM_LOG_DEBUG, event, __VA_ARGS__)
#define tdm_log_info(event, ...)  tdm_log_at(TDM_LOG_INFO, event, __VA_ARGS__)
#define tdm_log_warn(event, ...)  tdm_log_at(TDM_LOG_WARN, event, __VA_ARGS__)
#define tdm_log_error(event, ...) tdm_log_at(TDM_LOG_ERROR, event, __VA_ARGS__)
#define tdm_log_at(level, event, ...)               \
    do {                                            \
        if ((level) >= tdm_log_level())             \
            tdm_log((level), (event), __VA_ARGS__); \
    } while (0)

/* A value from outside, quoted and escaped into `buf`; returns buf. Longer text is cut, with "...".
 * NULL text is "". Bytes that are not UTF-8 and control characters become \xNN. */
const char *tdm_log_text(char *buf, size_t buf_bytes, const char *text, size_t bytes);
#define TDM_LOG_TEXT(text, n) tdm_log_text((char[256]){ 0 }, 256, (text), (n))

/* Show **** instead of `secret` in every record from now on, for the rest of the process. The
 * configuration does it for every value that its schema calls a secret. Secrets shorter than
 * TDM_LOG_SECRET_MIN are left alone: hiding "1" everywhere would hide everything.
 * Errors: TDM_ENOMEM; TDM_EFULL, there are TDM_LOG_SECRETS_MAX already. */
#define TDM_LOG_SECRET_MIN  4
#define TDM_LOG_SECRETS_MAX 256
int tdm_log_secret(const char *secret);

/* Rate limit of one kind of record: the first `burst` pass, then none for `pause_ns`, then it starts
 * over. Zero-initialise; `now_ns` is the runtime's clock. True: log it, and *left_out is how many
 * were swallowed since the last one that passed. Threads: any. */
struct tdm_log_limiter {
    _Atomic uint32_t passed;
    _Atomic uint64_t paused_until_ns; /* 0: not paused */
    _Atomic uint64_t left_out;
};
bool tdm_log_limit(struct tdm_log_limiter *l, uint64_t now_ns, uint32_t burst, uint64_t pause_ns,
                   uint64_t *left_out);

/* Wait until everything this thread has logged is written. Gives up after two seconds when nobody
 * reads at the other end. */
void tdm_log_flush(void);

#endif
