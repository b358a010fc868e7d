/* Records: one line each, in order, without secrets, and nobody waits. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "log_line.h"
#include "sanitizer.h"
#include "tandem/err.h"

TestSuite(log, .timeout = 60);

/* -- a sink that keeps what it gets -------------------------------------------------------------- */

static struct {
    char text[4 << 20];
    size_t bytes, lines;
} got;

static void keep(void *ctx, const char *line, size_t bytes)
{
    cr_assert(eq(ptr, ctx, &got));
    cr_assert(got.bytes + bytes + 1 < sizeof got.text);
    memcpy(got.text + got.bytes, line, bytes);
    got.bytes += bytes;
    got.text[got.bytes++] = '\n';
    got.text[got.bytes] = '\0';
    got.lines++;
}

static uint64_t noon(void)
{
    return 1763640000123456789ull; /* 2025-11-20 12:00:00.123456789 */
}

static void log_to_sink(enum tdm_log_format format)
{
    got.bytes = got.lines = 0;
    got.text[0] = '\0';
    log_set_clock(noon);
    tdm_log_configure(
        &(struct tdm_log_cfg){ .format = format, .level = TDM_LOG_DEBUG, .sink = keep, .sink_ctx = &got });
}

#define AT "time=2025-11-20T12:00:00.123456Z "

/* -- lines --------------------------------------------------------------------------------------- */

Test(log, a_record_is_time_level_event_and_facts)
{
    log_to_sink(TDM_LOG_LOGFMT);
    tdm_log_warn("ari.reconnect", "attempt=%u wait_ms=%u", 3u, 500u);
    tdm_log_info("runtime.up", "%s", "");
    cr_expect(eq(str, got.text,
                 AT "level=warn event=ari.reconnect attempt=3 wait_ms=500\n" AT
                    "level=info event=runtime.up\n"));
}

Test(log, dates_are_right_in_every_year)
{
    static const struct {
        uint64_t s;
        const char *text;
    } days[] = { { 0, "1970-01-01T00:00:00" },          { 951782399, "2000-02-28T23:59:59" },
                 { 951782400, "2000-02-29T00:00:00" },  { 951868800, "2000-03-01T00:00:00" },
                 { 1709164800, "2024-02-29T00:00:00" }, { 1767225599, "2025-12-31T23:59:59" },
                 { 1767225600, "2026-01-01T00:00:00" }, { 4107542400, "2100-03-01T00:00:00" } };
    char line[LOG_LINE_MAX], want[64];

    for (size_t i = 0; i < sizeof days / sizeof days[0]; i++) {
        struct log_record r = {
            .wall_ns = days[i].s * 1000000000ull, .level = TDM_LOG_INFO, .event = "e", .facts = ""
        };
        size_t n = log_line_make(line, sizeof line, TDM_LOG_LOGFMT, &r);
        line[n] = '\0';
        snprintf(want, sizeof want, "time=%s.000000Z level=info event=e\n", days[i].text);
        cr_expect(eq(str, line, want));
    }
}

Test(log, records_below_the_level_are_not_written)
{
    log_to_sink(TDM_LOG_LOGFMT);
    tdm_log_configure(&(struct tdm_log_cfg){ .level = TDM_LOG_WARN, .sink = keep, .sink_ctx = &got });
    tdm_log_info("no", "a=1");
    tdm_log(TDM_LOG_INFO, "no", "a=1");
    tdm_log_error("yes", "a=1");
    cr_expect(eq(sz, got.lines, 1));
    tdm_log_configure(&(struct tdm_log_cfg){ .level = TDM_LOG_OFF, .sink = keep, .sink_ctx = &got });
    tdm_log_error("no", "a=1");
    tdm_log(TDM_LOG_OFF, "no", "a=1");
    cr_expect(eq(sz, got.lines, 1));
}

Test(log, zero_in_the_configuration_is_the_default)
{
    tdm_log_configure(&(struct tdm_log_cfg){ 0 });
    cr_expect(eq(int, tdm_log_level(), TDM_LOG_INFO));
    tdm_log_configure(NULL);
    cr_expect(eq(int, tdm_log_level(), TDM_LOG_INFO));
}

Test(log, outside_text_cannot_begin_a_second_line)
{
    static const char evil[] = "a\nlevel=error event=fake\r\x1b[2J\x7f\xc2\x9b \"q\" \\ \xff \xc3\xa9";

    log_to_sink(TDM_LOG_LOGFMT);
    tdm_log_info("e", "caller=%s", TDM_LOG_TEXT(evil, sizeof evil - 1));
    cr_expect(eq(str, got.text,
                 AT "level=info event=e caller=\"a\\nlevel=error event=fake\\r\\x1b[2J\\x7f\\xc2\\x9b "
                    "\\\"q\\\" \\\\ \\xff \xc3\xa9\"\n"));
    log_to_sink(TDM_LOG_LOGFMT);
    tdm_log_info("e", "raw=a\nb=%c", 0x01);
    cr_expect(eq(str, got.text, AT "level=info event=e raw=a\\nb=\\x01\n"));
}

Test(log, broken_utf8_of_every_kind_is_escaped)
{
    static const char *const bad[] = {
        "\xc0\x80",         "\xc1\xbf",         "\xe0\x80\x80",     "\xe0\x9f\xbf", "\xed\xa0\x80",
        "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82",     "\x80",
        "\xc2\x85"
    };
    char buf[64];

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tdm_log_text(buf, sizeof buf, bad[i], strlen(bad[i]));
        cr_expect(eq(sz, strlen(buf), 2 + 4 * strlen(bad[i])), "case %zu: %s", i, buf);
    }
    tdm_log_text(buf, sizeof buf, "\xe2\x82\xac\xf0\x9f\x98\x80", 7);
    cr_expect(eq(str, buf, "\"\xe2\x82\xac\xf0\x9f\x98\x80\""));
}

Test(log, long_text_is_cut_and_says_so)
{
    char longer[600], buf[20];

    memset(longer, 'a', sizeof longer);
    cr_expect(eq(str, (char *)tdm_log_text(buf, sizeof buf, longer, sizeof longer), "\"aaaaaaaaaaaaa...\""));
    for (size_t n = 16; n <= 300; n++) { /* every size ends in its quote and inside its buffer */
        char guarded[320];
        memset(guarded, '#', sizeof guarded);
        tdm_log_text(guarded, n, longer, 310);
        size_t end = strlen(guarded);
        cr_assert(lt(sz, end, n));
        cr_assert(eq(str, guarded + end - 4, "...\""));
        cr_assert(eq(chr, guarded[n], '#'));
    }
    cr_expect(eq(str, (char *)tdm_log_text(buf, sizeof buf, NULL, 0), "\"\""));
}

Test(log, long_facts_are_cut_inside_their_quotes)
{
    char longer[5000];

    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    log_to_sink(TDM_LOG_LOGFMT);
    tdm_log_info("e", "v=\"%s\" w=1", longer);
    cr_expect(eq(str, got.text + got.bytes - 6, "a...\"\n"));
    log_to_sink(TDM_LOG_JSON);
    tdm_log_info("e", "v=\"%s\" w=1", longer);
    json_t *o = json_loads(got.text, 0, NULL);
    cr_assert(o != NULL);
    cr_expect(json_object_get(o, "cut") == json_true());
    json_decref(o);
}

/* -- JSON ---------------------------------------------------------------------------------------- */

Test(log, json_keeps_numbers_numbers_and_quoted_text_text)
{
    log_to_sink(TDM_LOG_JSON);
    tdm_log_warn("e", "n=-12 f=1.5 big=18446744073709551615 t=true id=\"1763640000.12\" zero=007 plus=+1555 "
                      "v=1.2.3 word=a=b empty= flag neg=- end=\"a b\"");
    cr_expect(
        eq(str, got.text,
           "{\"time\":\"2025-11-20T12:00:00.123456Z\",\"level\":\"warn\",\"event\":\"e\",\"n\":-12,"
           "\"f\":1.5,\"big\":18446744073709551615,\"t\":true,\"id\":\"1763640000.12\",\"zero\":\"007\","
           "\"plus\":\"+1555\",\"v\":\"1.2.3\",\"word\":\"a=b\",\"empty\":\"\",\"flag\":true,"
           "\"neg\":\"-\",\"end\":\"a b\"}\n"));
}

Test(log, json_undoes_the_escapes_of_outside_text)
{
    static const char evil[] = "a\nb\t\"q\" \\ \x1b \xff \xc3\xa9";

    log_to_sink(TDM_LOG_JSON);
    tdm_log_info("e", "caller=%s after=1", TDM_LOG_TEXT(evil, sizeof evil - 1));
    json_t *o = json_loads(got.text, 0, NULL);
    cr_assert(o != NULL, "%s", got.text);
    cr_expect(eq(str, (char *)json_string_value(json_object_get(o, "caller")),
                 "a\nb\t\"q\" \\ \x1b \\xff \xc3\xa9"));
    cr_expect(eq(int, (int)json_integer_value(json_object_get(o, "after")), 1));
    json_decref(o);
}

/* Whatever the facts are, logfmt is one line and JSON is an object that Jansson reads. */
Test(log, any_bytes_make_one_valid_line)
{
    uint64_t seed = 20251120;
    char facts[LOG_FACTS_MAX], line[LOG_LINE_MAX];
    static const char alphabet[] = "ab= \"\\n\n\r\t\x01\x7fx0123.-\xc3\xa9\xff\x80\xe2\x82\xac,{}";

    for (int round = 0; round < 20000; round++) {
        struct log_record r = {
            .event = "e", .level = TDM_LOG_INFO, .facts = facts, .has_actor = true, .tag = "t\n"
        };
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        r.facts_bytes = (seed >> 33) % (round % 10 == 0 ? sizeof facts : 40);
        for (size_t i = 0; i < r.facts_bytes; i++) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            facts[i] = alphabet[(seed >> 33) % (sizeof alphabet - 1)];
        }
        r.cut = round % 7 == 0;
        for (int format = TDM_LOG_LOGFMT; format <= TDM_LOG_JSON; format++) {
            size_t n = log_line_make(line, sizeof line, (enum tdm_log_format)format, &r);
            cr_assert(n <= sizeof line && line[n - 1] == '\n');
            for (size_t i = 0; i + 1 < n; i++)
                cr_assert(zero(int, iscntrl((unsigned char)line[i])), "round %d", round);
        }
        json_t *o = json_loadb(line, strcspn(line, "\n"), 0, NULL);
        cr_assert(o != NULL, "round %d", round);
        json_decref(o);
    }
}

/* -- actors -------------------------------------------------------------------------------------- */

static bool in_actor(uint64_t *pid, const char **tag)
{
    *pid = 4294967301u;
    *tag = "1763640000.12";
    return true;
}

Test(log, inside_an_actor_pid_and_tag_are_added)
{
    log_to_sink(TDM_LOG_LOGFMT);
    log_set_actor_context(in_actor);
    tdm_log_info("e", "a=1");
    cr_expect(eq(str, got.text, AT "level=info event=e pid=4294967301 tag=1763640000.12 a=1\n"));
    log_to_sink(TDM_LOG_JSON);
    tdm_log_info("e", "a=1");
    cr_expect(strstr(got.text, "\"pid\":4294967301,\"tag\":\"1763640000.12\",\"a\":1}") != NULL, "%s",
              got.text);
}

/* -- secrets ------------------------------------------------------------------------------------- */

Test(log, a_secret_is_never_shown)
{
    log_to_sink(TDM_LOG_LOGFMT);
    cr_assert(zero(int, tdm_log_secret("hunter22")));
    cr_assert(zero(int, tdm_log_secret("hunter22 and more")));
    cr_assert(zero(int, tdm_log_secret("with \"quotes\"\n")));
    tdm_log_info("e", "p=hunter22 hunter22hunter22 q=\"%s\"", "xhunter22x");
    tdm_log_info("e", "p=%s", TDM_LOG_TEXT("say hunter22 and more!", 22));
    tdm_log_info("e", "p=%s", TDM_LOG_TEXT("with \"quotes\"\n", 14));
    cr_expect(eq(str, got.text,
                 AT "level=info event=e p=**** ******** q=\"x****x\"\n" AT
                    "level=info event=e p=\"say ****!\"\n" AT "level=info event=e p=\"****\"\n"));
}

Test(log, a_secret_that_is_cut_off_is_hidden_too)
{
    char line[5000], text[300];

    log_to_sink(TDM_LOG_LOGFMT);
    cr_assert(zero(int, tdm_log_secret("hunter22")));
    for (size_t pad = LOG_FACTS_MAX - 12; pad < LOG_FACTS_MAX; pad++) {
        memset(line, 'a', pad);
        snprintf(line + pad, sizeof line - pad, "hunter22");
        log_to_sink(TDM_LOG_LOGFMT);
        tdm_log_info("e", "%s", line);
        cr_expect(strstr(got.text, "hun") == NULL, "facts, %zu", pad);
    }
    for (size_t pad = 230; pad < 256; pad++) {
        memset(text, 'a', pad);
        memcpy(text + pad, "hunter22", 8);
        log_to_sink(TDM_LOG_LOGFMT);
        tdm_log_info("e", "p=%s", TDM_LOG_TEXT(text, pad + 8));
        cr_expect(strstr(got.text, "hun") == NULL, "text, %zu", pad);
    }
}

Test(log, secrets_too_short_to_hide_are_left_alone_and_too_many_are_refused)
{
    char secret[32];

    log_to_sink(TDM_LOG_LOGFMT);
    cr_expect(zero(int, tdm_log_secret("abc")));
    cr_expect(zero(int, tdm_log_secret(NULL)));
    tdm_log_info("e", "v=abc");
    cr_expect(strstr(got.text, "v=abc") != NULL);
    for (int i = 0; i < TDM_LOG_SECRETS_MAX; i++) {
        snprintf(secret, sizeof secret, "secret-number-%d", i);
        cr_assert(zero(int, tdm_log_secret(secret)));
        cr_assert(zero(int, tdm_log_secret(secret)), "the same again takes no room");
    }
    cr_expect(eq(int, tdm_log_secret("one more"), TDM_EFULL));
}

/* -- limits -------------------------------------------------------------------------------------- */

Test(log, I5_ten_records_pass_then_a_pause_then_the_number_left_out)
{
    struct tdm_log_limiter l = { 0 };
    uint64_t left_out = 99, pause = 300ull * 1000000000ull, now = 1000;
    int passed = 0;

    for (int i = 0; i < 11; i++)
        passed += tdm_log_limit(&l, now, 10, pause, &left_out);
    cr_expect(eq(int, passed, 10));
    cr_expect(zero(u64, left_out));
    cr_expect(not(tdm_log_limit(&l, now + pause - 1, 10, pause, &left_out)));
    cr_expect(tdm_log_limit(&l, now + pause, 10, pause, &left_out));
    cr_expect(eq(u64, left_out, 2));
    for (int i = 0; i < 9; i++) {
        cr_expect(tdm_log_limit(&l, now + pause, 10, pause, &left_out));
        cr_expect(zero(u64, left_out));
    }
    cr_expect(not(tdm_log_limit(&l, now + pause, 10, pause, &left_out)));
}

static struct tdm_log_limiter racing;
static _Atomic uint64_t racing_passed, racing_left_out;

static void *race(void *arg)
{
    uint64_t n = 0;

    for (uint64_t now = 1; now <= 50000; now++) {
        if (tdm_log_limit(&racing, now, 5, 100, &n)) {
            racing_passed++;
            racing_left_out += n;
        }
    }
    return arg;
}

Test(log, under_a_race_each_record_passes_or_is_counted)
{
    pthread_t t[4];

    for (int i = 0; i < 4; i++)
        cr_assert(zero(int, pthread_create(&t[i], NULL, race, NULL)));
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    cr_expect(eq(u64, racing_passed + racing_left_out + racing.left_out, 200000));
}

/* -- the way to the file ------------------------------------------------------------------------- */

enum { THREADS = 4, EACH = 5000 };

static void *log_many(void *arg)
{
    for (int i = 0; i < EACH; i++)
        tdm_log_info("many", "thread=%d n=%d", *(int *)arg, i);
    return NULL;
}

static void log_from_threads(void)
{
    pthread_t t[THREADS];
    int number[THREADS];

    for (int i = 0; i < THREADS; i++) {
        number[i] = i;
        cr_assert(zero(int, pthread_create(&t[i], NULL, log_many, &number[i])));
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
}

/* Every line whole; each thread's in order; what is missing is told. Returns the number of lines. */
static int check_many(FILE *from)
{
    int last[THREADS] = { 0 }, lines = 0, dropped = 0;
    char line[512];

    memset(last, 0xff, sizeof last);
    while (fgets(line, sizeof line, from) != NULL) {
        int thread, n, count;
        if (sscanf(line, "%*s level=warn event=log.dropped count=%d", &count) == 1) {
            dropped += count;
            continue;
        }
        cr_assert(eq(int, sscanf(line, "%*s level=info event=many thread=%d n=%d", &thread, &n), 2), "%s",
                  line);
        cr_assert(n > last[thread], "thread %d: %d after %d", thread, n, last[thread]);
        last[thread] = n;
        lines++;
    }
    cr_expect(eq(int, lines + dropped, THREADS * EACH));
    return lines;
}

Test(log, many_threads_into_a_file_lose_nothing_without_saying_so)
{
    FILE *f = tmpfile();

    tdm_log_configure(&(struct tdm_log_cfg){ .fd = fileno(f) });
    log_from_threads();
    tdm_log_flush();
    rewind(f);
    cr_expect(gt(int, check_many(f), 0));
    tdm_log_configure(NULL);
    fclose(f);
}

Test(log, many_threads_into_a_sink_lose_nothing_without_saying_so)
{
    got.bytes = 0;
    tdm_log_configure(&(struct tdm_log_cfg){ .sink = keep, .sink_ctx = &got });
    log_from_threads();
    tdm_log_flush();
    FILE *f = fmemopen(got.text, got.bytes, "r");
    cr_expect(gt(int, check_many(f), 0));
    fclose(f);
}

/* A pipe that nobody reads, with far more records than pipe and ring hold: the loggers finish all the
 * same, and once somebody reads, the records that did not fit are told. */
Test(log, J7_a_stalled_reader_stalls_no_thread_that_logs)
{
    int fd[2];

    cr_assert(zero(int, pipe(fd)));
    tdm_log_configure(&(struct tdm_log_cfg){ .fd = fd[1] });
    log_from_threads(); /* would never return if it waited */
    FILE *f = fdopen(fd[0], "r");
    pid_t child = fork();
    if (child == 0)
        _exit(0); /* a child that never logged must not write the parent's records */
    waitpid(child, NULL, 0);
    int lines = 0, dropped = 0, count;
    char line[512];
    while (lines + dropped < THREADS * EACH && fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "%*s level=warn event=log.dropped count=%d", &count) == 1)
            dropped += count;
        else
            lines++;
    }
    cr_expect(eq(int, lines + dropped, THREADS * EACH));
    cr_expect(gt(int, dropped, 0));
    tdm_log_configure(NULL);
    fclose(f);
    close(fd[1]);
}

Test(log, a_forked_child_logs_on_its_own)
{
    FILE *f = tmpfile();
    char line[256];
    int status = 0;

    SKIP_IF(NOT_UNDER_TSAN("forbids threads in the child of a process that had some"));
    tdm_log_configure(&(struct tdm_log_cfg){ .fd = fileno(f) });
    tdm_log_info("parent", "n=1");
    tdm_log_flush();
    pid_t child = fork();
    if (child == 0) {
        tdm_log_info("child", "n=2");
        tdm_log_flush();
        _exit(0);
    }
    waitpid(child, &status, 0);
    tdm_log_info("parent", "n=3");
    tdm_log_flush();
    rewind(f);
    cr_assert(fgets(line, sizeof line, f) != NULL && strstr(line, "event=parent n=1") != NULL);
    cr_assert(fgets(line, sizeof line, f) != NULL && strstr(line, "event=child n=2") != NULL);
    cr_assert(fgets(line, sizeof line, f) != NULL && strstr(line, "event=parent n=3") != NULL);
    cr_expect(fgets(line, sizeof line, f) == NULL);
    tdm_log_configure(NULL);
    fclose(f);
}

Test(log, an_emergency_comes_after_all_that_was_logged)
{
    FILE *f = tmpfile();
    char text[512] = "";

    log_set_clock(noon);
    tdm_log_configure(&(struct tdm_log_cfg){ .fd = fileno(f) });
    tdm_log_info("before", "n=1");
    log_emergency("the end");
    rewind(f);
    cr_assert(gt(sz, fread(text, 1, sizeof text - 1, f), 0));
    cr_expect(eq(str, text, AT "level=info event=before n=1\nthe end\n"));
}

Test(log, errno_is_left_alone)
{
    log_to_sink(TDM_LOG_LOGFMT);
    errno = ENOENT;
    tdm_log_info("e", "a=1");
    cr_expect(eq(int, errno, ENOENT));
}
