/* A schema, a file, and every fault in one run. Linked with --wrap, so that allocations can fail. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "program_config.h"
#include "tandem/config.h"
#include "tandem/log.h"

TestSuite(config, .timeout = 60);

/* -- a schema with every type -------------------------------------------------------------------- */

struct disk {
    char *name, *path;
    int64_t limit_bytes;
};

struct all {
    bool on;
    int64_t number, wait_ms, size_bytes;
    char *text, *secret;
    int colour;
    char **words;
    size_t n_words;
    struct tdm_config_pair *pairs;
    size_t n_pairs;
    struct {
        int64_t depth;
        char *must;
    } inner;
    struct disk *list, *map;
    size_t n_list, n_map;
};

static const char *check_slash(const char *text)
{
    return text[0] == '/' ? NULL : "must start with a slash";
}

static const struct tdm_config_field disk_fields[] = {
    { .key = "path",
      .type = TDM_CONFIG_STRING,
      .offset = offsetof(struct disk, path),
      .required = true,
      .check = check_slash },
    { .key = "limit",
      .type = TDM_CONFIG_SIZE,
      .offset = offsetof(struct disk, limit_bytes),
      .fallback = "64M",
      .min = 1024 },
};
static const struct tdm_config_schema disk_schema = { .bytes = sizeof(struct disk),
                                                      .fields = disk_fields,
                                                      .n_fields = 2,
                                                      .name_offset = offsetof(struct disk, name) };

static const struct tdm_config_word colours[] = { { "red", 1 }, { "green", 2 }, { NULL, 0 } };

#define IN(m) (offsetof(struct all, inner.m) - offsetof(struct all, inner))
static const struct tdm_config_field inner_fields[] = {
    { .key = "depth", .type = TDM_CONFIG_INT, .offset = IN(depth), .fallback = "7", .min = -5, .max = 9 },
    { .key = "must", .type = TDM_CONFIG_STRING, .offset = IN(must), .required = true },
};
static const struct tdm_config_schema inner_schema = { .bytes = sizeof(((struct all *)0)->inner),
                                                       .fields = inner_fields,
                                                       .n_fields = 2 };

#define AT(m) offsetof(struct all, m)
static const struct tdm_config_field all_fields[] = {
    { .key = "on", .type = TDM_CONFIG_BOOL, .offset = AT(on), .fallback = "true" },
    { .key = "number", .type = TDM_CONFIG_INT, .offset = AT(number), .max = 100 },
    { .key = "wait", .type = TDM_CONFIG_TIME, .offset = AT(wait_ms), .fallback = "2s", .max = 3600000 },
    { .key = "size", .type = TDM_CONFIG_SIZE, .offset = AT(size_bytes) },
    { .key = "text", .type = TDM_CONFIG_STRING, .offset = AT(text), .fallback = "as ever", .max = 20 },
    { .key = "secret", .type = TDM_CONFIG_SECRET, .offset = AT(secret) },
    { .key = "colour", .type = TDM_CONFIG_ENUM, .offset = AT(colour), .words = colours, .fallback = "green" },
    { .key = "words",
      .type = TDM_CONFIG_STRINGS,
      .offset = AT(words),
      .count_offset = AT(n_words),
      .check = check_slash,
      .max = 3 },
    { .key = "pairs", .type = TDM_CONFIG_PAIRS, .offset = AT(pairs), .count_offset = AT(n_pairs) },
    { .key = "inner", .type = TDM_CONFIG_STRUCT, .offset = AT(inner), .of = &inner_schema },
    { .key = "list",
      .type = TDM_CONFIG_LIST,
      .offset = AT(list),
      .count_offset = AT(n_list),
      .of = &disk_schema },
    { .key = "map",
      .type = TDM_CONFIG_MAP,
      .offset = AT(map),
      .count_offset = AT(n_map),
      .of = &disk_schema },
};
static const struct tdm_config_schema all_schema = TDM_CONFIG_SCHEMA(struct all, all_fields);

static struct all all;
static struct tdm_config_report report;

static int load(const char *text)
{
    return tdm_config_load_text("t.yaml", text, strlen(text), &all_schema, &all, &report);
}

static void done(void)
{
    tdm_config_free(&all_schema, &all);
    tdm_config_report_free(&report);
}

static char *printed(void)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&text, &bytes);

    tdm_config_report_print(&report, f);
    fclose(f);
    return text;
}

/* The text is refused with exactly this report. */
static void refused(const char *text, const char *want)
{
    int err = load(text);
    char *got = printed();

    cr_expect(eq(int, err, TDM_ECONFIG), "accepted: %s", text);
    cr_expect(eq(str, got, (char *)want));
    free(got);
    done();
}

#define GOOD "inner: { must: be }\n"

/* -- what is good -------------------------------------------------------------------------------- */

Test(config, absent_keys_have_their_fallbacks)
{
    cr_assert(zero(int, load(GOOD)));
    cr_expect(all.on);
    cr_expect(zero(i64, all.number));
    cr_expect(eq(i64, all.wait_ms, 2000));
    cr_expect(eq(str, all.text, "as ever"));
    cr_expect(zero(ptr, all.secret));
    cr_expect(eq(int, all.colour, 2));
    cr_expect(eq(i64, all.inner.depth, 7));
    cr_expect(eq(str, all.inner.must, "be"));
    cr_expect(zero(sz, all.n_words + all.n_pairs + all.n_list + all.n_map));
    cr_expect(zero(sz, report.n_faults));
    done();
}

Test(config, every_type_is_read)
{
    cr_assert(zero(int, load("on: no\nnumber: 42\nwait: 1500ms\nsize: 64k\ntext: 'a: b'\nsecret: hunter22\n"
                             "colour: red\nwords: [/a, \"/b\"]\npairs: { one: 1, two: \"2\" }\n"
                             "inner: { must: be, depth: -5 }\n"
                             "list:\n  - { path: /x, limit: 1M }\n  - path: /y\n"
                             "map:\n  second: { path: /s }\n  first: { path: /f, limit: 1k }\n")));
    cr_expect(not(all.on));
    cr_expect(eq(i64, all.number, 42));
    cr_expect(eq(i64, all.wait_ms, 1500));
    cr_expect(eq(i64, all.size_bytes, 65536));
    cr_expect(eq(str, all.text, "a: b"));
    cr_expect(eq(str, all.secret, "hunter22"));
    cr_expect(eq(int, all.colour, 1));
    cr_assert(eq(sz, all.n_words, 2));
    cr_expect(eq(str, all.words[1], "/b"));
    cr_assert(eq(sz, all.n_pairs, 2));
    cr_expect(eq(str, all.pairs[0].key, "one"));
    cr_expect(eq(str, all.pairs[1].value, "2"));
    cr_expect(eq(i64, all.inner.depth, -5));
    cr_assert(eq(sz, all.n_list, 2));
    cr_expect(eq(i64, all.list[0].limit_bytes, 1 << 20));
    cr_expect(eq(i64, all.list[1].limit_bytes, 64 << 20));
    cr_assert(eq(sz, all.n_map, 2));
    cr_expect(eq(str, all.map[0].name, "second"), "the file's order");
    cr_expect(eq(str, all.map[1].path, "/f"));
    done();
    cr_expect(zero(ptr, all.text), "free leaves zeroes");
}

Test(config, units_of_time_and_size)
{
    static const struct {
        const char *text;
        int64_t ms;
    } times[] = {
        { "0", 0 }, { "0s", 0 }, { "1ms", 1 }, { "10s", 10000 }, { "5m", 300000 }, { "1h", 3600000 }
    };
    char text[80];

    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        snprintf(text, sizeof text, GOOD "wait: %s\n", times[i].text);
        cr_assert(zero(int, load(text)), "%s", times[i].text);
        cr_expect(eq(i64, all.wait_ms, times[i].ms));
        done();
    }
    refused(GOOD "wait: 10\n", "t.yaml:2:7: wait: must be a time with a unit, such as 250ms, 10s, 5m or 1h, "
                               "not \"10\" (allowed: 0 to 1h)\n");
    refused(GOOD "wait: -1s\n", "t.yaml:2:7: wait: -1s is out of range (allowed: 0 to 1h)\n");
    refused(GOOD "wait: 61m\n", "t.yaml:2:7: wait: 61m is out of range (allowed: 0 to 1h)\n");
    refused(GOOD "size: 99999999999G\n", "t.yaml:2:7: size: 99999999999G is out of range\n");
    refused(GOOD "size: 64K\n", "t.yaml:2:7: size: must be a size, such as 512, 64k or 4M, not \"64K\"\n");
}

Test(config, what_is_dumped_loads_again_as_the_same_and_shows_no_secret)
{
    char *first = NULL, *second = NULL;
    size_t n = 0;

    cr_assert(zero(
        int, load("secret: hunter22\ntext: 'q\" \\ z'\nwords: [/a]\npairs: { a: b }\nnumber: 3\nwait: 90s\n"
                  "inner: { must: be }\nlist: [ { path: /x } ]\nmap: { m: { path: /y, limit: 2k } }\n")));
    FILE *f = open_memstream(&first, &n);
    tdm_config_dump(&all_schema, &all, f);
    fclose(f);
    done();
    cr_expect(strstr(first, "hunter22") == NULL);
    cr_expect(strstr(first, "secret: \"****\"") != NULL, "%s", first);
    cr_assert(zero(int, load(first)), "%s", first);
    f = open_memstream(&second, &n);
    tdm_config_dump(&all_schema, &all, f);
    fclose(f);
    cr_expect(eq(str, second, first));
    free(first);
    free(second);
    done();
}

/* -- what is wrong ------------------------------------------------------------------------------- */

Test(config, an_unknown_key_names_the_nearest_known_one)
{
    refused(GOOD "colur: red\n",
            "t.yaml:2:1: colur: unknown key; did you mean \"colour\"? (allowed: on, number, wait, "
            "size, text, secret, colour, words, pairs, inner, list, map)\n");
    refused(GOOD "list: [ { path: /x, zzzzz: 1 } ]\n",
            "t.yaml:2:21: list[0].zzzzz: unknown key (allowed: path, limit)\n");
    refused(GOOD "colour: gren\n",
            "t.yaml:2:9: colour: unknown word \"gren\"; did you mean \"green\"? (allowed: red, green)\n");
}

Test(config, the_nearest_word_is_near)
{
    static const char *const words[] = { "password", "user", "url", "connections" };

    cr_expect(eq(str, (char *)tdm_config_nearest("pasword", words, 4), "password"));
    cr_expect(eq(str, (char *)tdm_config_nearest("passwrod", words, 4), "password"));
    cr_expect(eq(str, (char *)tdm_config_nearest("conection", words, 4), "connections"));
    cr_expect(eq(str, (char *)tdm_config_nearest("uesr", words, 4), "user"));
    cr_expect(zero(ptr, (void *)tdm_config_nearest("qqq", words, 4)));
    cr_expect(zero(ptr, (void *)tdm_config_nearest("", words, 4)));
}

Test(config, wrong_kinds_are_told)
{
    refused(GOOD "number: [1]\n", "t.yaml:2:9: number: must be a whole number, not a list\n");
    refused(GOOD "number:\n", "t.yaml:2:8: number: must be a whole number, not nothing\n");
    refused(GOOD "words: /a\n",
            "t.yaml:2:8: words: must be a list of words, such as [one, two], not a single value\n");
    refused(GOOD "map: [a]\n", "t.yaml:2:6: map: must be a map of keys and values, not a list\n");
    refused(GOOD "on: maybe\n",
            "t.yaml:2:5: on: must be true or false, not \"maybe\" (allowed: true, false)\n");
    refused("inner: 5\n", "t.yaml:1:8: inner: must be a map of keys and values, not a single value\n");
    refused("[1]\n", "t.yaml:1:1: must be a map of keys and values, not a list\n");
    refused(GOOD "[a, b]: 1\n", "t.yaml:2:1: a key must be a word, not a list\n");
}

Test(config, what_is_required_is_missed_also_inside_what_is_absent)
{
    refused("on: yes\n", "t.yaml:1:1: inner.must: is missing; it must be a text\n");
    refused("", "t.yaml:1:1: inner.must: is missing; it must be a text\n");
    refused(GOOD "map: { m: {} }\n", "t.yaml:2:11: map.m.path: is missing; it must be a text\n");
}

Test(config, a_key_given_twice_is_a_fault)
{
    refused(GOOD "number: 1\nnumber: 2\n", "t.yaml:3:1: number: is here twice; the first is in line 2\n");
    refused(GOOD "map: { a: { path: /x }, a: { path: /y } }\n",
            "t.yaml:2:25: map: \"a\" is here twice; the first is in line 2\n");
    refused(GOOD "pairs: { a: 1, a: 2 }\n",
            "t.yaml:2:16: pairs: \"a\" is here twice; the first is in line 2\n");
}

Test(config, entries_are_counted)
{
    refused(GOOD "words: [/a, /b, /c, /d]\n", "t.yaml:2:8: words: has 4 entries (allowed: 0 to 3 entries)\n");
    refused(GOOD "words: [/a, b]\n", "t.yaml:2:13: words[1]: must start with a slash\n");
    refused(GOOD "text: a text far too long for it\n",
            "t.yaml:2:7: text: has 26 bytes (allowed: 0 to 20 bytes)\n");
    refused(GOOD "text: \"a\\nb\"\n",
            "t.yaml:2:7: text: must not contain control characters (allowed: 0 to 20 bytes)\n");
    refused(GOOD "text: \"a\\0b\"\n", "t.yaml:2:7: text: must not contain a zero byte\n");
}

/* -- secrets ------------------------------------------------------------------------------------- */

Test(config, a_secret_may_come_from_the_environment)
{
    setenv("TEST_SECRET", "hunter22", 1);
    cr_assert(zero(int, load(GOOD "secret: ${TEST_SECRET}\n")));
    cr_expect(eq(str, all.secret, "hunter22"));
    done();
    unsetenv("TEST_SECRET");
    refused(GOOD "secret: ${TEST_SECRET}\n",
            "t.yaml:2:9: secret: the environment variable TEST_SECRET is not set\n");
    setenv("TEST_SECRET", "", 1);
    refused(GOOD "secret: ${TEST_SECRET}\n",
            "t.yaml:2:9: secret: the environment variable TEST_SECRET is empty\n");
    refused(GOOD "secret: ${TEST SECRET}\n",
            "t.yaml:2:9: secret: names no environment variable (allowed: ${NAME})\n");
    refused(GOOD "secret: ''\n", "t.yaml:2:9: secret: is empty\n");
    refused(GOOD "text: ${TEST_SECRET}\n",
            "t.yaml:2:7: text: environment variables are read for secrets only\n");
}

static char logged[4096];

static void keep(void *ctx, const char *line, size_t bytes)
{
    strncat((char *)ctx, line, bytes);
}

Test(config, a_loaded_secret_is_hidden_in_logs)
{
    cr_assert(zero(int, load(GOOD "secret: correct-horse\n")));
    tdm_log_configure(&(struct tdm_log_cfg){ .sink = keep, .sink_ctx = logged });
    tdm_log_info("e", "p=%s", all.secret);
    cr_expect(strstr(logged, "p=****") != NULL, "%s", logged);
    cr_expect(strstr(logged, "correct-horse") == NULL);
    done();
}

/* -- YAML ---------------------------------------------------------------------------------------- */

Test(config, syntax_faults_have_a_place)
{
    static const struct {
        const char *text, *place;
    } bad[] = {
        { "a: [1, 2\nb: 3\n", "t.yaml:2:" },
        { "on: yes\n\tnumber: 1\n", "t.yaml:2:" },
        { "on: *nobody\n", "t.yaml:1:5: YAML: " },
        { "on: yes\ntext: @x\n", "t.yaml:2:7: YAML: " },
        { "text: a: b\n", "t.yaml:1:8: YAML: " },
        { "on: yes\n\xff\n", "t.yaml:2:1: YAML: " },
        { "on: yes\ntext: \x01\n", "t.yaml:2:7: YAML: " },
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int err = load(bad[i].text);
        char *got = printed();
        cr_expect(eq(int, err, TDM_ECONFIG));
        cr_expect(strncmp(got, bad[i].place, strlen(bad[i].place)) == 0, "case %zu: %s", i, got);
        free(got);
        done();
    }
    refused(GOOD "---\na: 1\n", "t.yaml:3:1: a second document; there must be one\n");
}

Test(config, a_bomb_of_aliases_is_bounded)
{
    char text[4096] = "inner: { must: be }\nlist:\n";
    size_t n = strlen(text);

    n += (size_t)snprintf(text + n, sizeof text - n, "  - &a { path: /x }\n");
    for (int i = 0; i < 200; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "  - *a\n");
    cr_expect(zero(int, load(text)), "repeated entries are entries");
    cr_expect(eq(sz, all.n_list, 201));
    done();
    cr_expect(eq(int,
                 load("a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                      "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nlist: [*c,*c,*c]\n" GOOD),
                 TDM_ECONFIG));
    done();
    cr_expect(eq(int, load("inner: &x\n  must: *x\n"), TDM_ECONFIG), "one that holds itself");
    done();
}

Test(config, brackets_without_end_are_refused_at_once)
{
    size_t n = TDM_CONFIG_BYTES_MAX;
    char *text = malloc(n);

    for (int i = 0; i < 2; i++) {
        memset(text, "[{"[i], n);
        cr_expect(eq(int, tdm_config_load_text("t", text, n, &all_schema, &all, &report), TDM_ECONFIG));
        cr_assert(eq(sz, report.n_faults, 1));
        cr_expect(eq(str, report.faults[0].text, "brackets are nested too deeply"));
        done();
    }
    free(text);
}

Test(config, text_arrives_whole_however_it_is_cut_into_pieces)
{
    char text[1200];

    for (size_t pad = 200; pad < 300; pad++) { /* characters of two, three and four bytes on every border */
        memset(text, '#', pad);
        snprintf(text + pad, sizeof text - pad, "\n" GOOD "text: \"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"\n");
        cr_assert(zero(int, load(text)), "%zu", pad);
        cr_expect(eq(str, all.text, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
        done();
    }
}

Test(config, a_file_too_large_is_refused_unread)
{
    size_t n = TDM_CONFIG_BYTES_MAX + 1;
    char *text = malloc(n);

    memset(text, '#', n);
    cr_expect(eq(int, tdm_config_load_text("t", text, n, &all_schema, &all, &report), TDM_ECONFIG));
    cr_expect(eq(str, report.faults[0].text, "the file is too large"));
    done();
    free(text);
}

Test(config, faults_without_end_are_counted_not_kept)
{
    size_t n = 0, room = 200000;
    char *text = malloc(room);

    for (int i = 0; i < 5000; i++)
        n += (size_t)snprintf(text + n, room - n, "unknown%d: 1\n", i);
    cr_expect(eq(int, tdm_config_load_text("t", text, n, &all_schema, &all, &report), TDM_ECONFIG));
    cr_expect(eq(sz, report.n_faults, 1000));
    cr_expect(eq(sz, report.n_more, 4001)); /* and inner.must */
    done();
    free(text);
}

/* -- files --------------------------------------------------------------------------------------- */

static void write_file(char *name, const char *text, mode_t mode)
{
    int fd = mkstemp(name);

    cr_assert(ge(int, fd, 0));
    cr_assert(eq(sz, (size_t)write(fd, text, strlen(text)), strlen(text)));
    fchmod(fd, mode);
    close(fd);
}

Test(config, a_secret_in_a_file_that_others_may_read_is_a_warning)
{
    char open_file[] = "/tmp/test_config_XXXXXX", closed_file[] = "/tmp/test_config_XXXXXX";

    write_file(open_file, GOOD "secret: hunter22\n", 0644);
    write_file(closed_file, GOOD "secret: hunter22\n", 0640);
    cr_expect(zero(int, tdm_config_load(open_file, &all_schema, &all, &report)));
    cr_assert(eq(sz, report.n_warnings, 1));
    cr_expect(eq(str, report.faults[0].key, "secret"));
    cr_expect(strstr(report.faults[0].text, "hunter22") == NULL);
    done();
    cr_expect(zero(int, tdm_config_load(closed_file, &all_schema, &all, &report)));
    cr_expect(zero(sz, report.n_warnings));
    done();
    unlink(open_file);
    unlink(closed_file);
}

Test(config, a_file_that_is_not_there_is_told_in_the_report)
{
    cr_expect(eq(int, tdm_config_load("/nonexistent/t.yaml", &all_schema, &all, &report), -ENOENT));
    char *got = printed();
    cr_expect(eq(str, got, "/nonexistent/t.yaml: cannot be read: No such file or directory\n"));
    free(got);
    done();
    cr_expect(eq(int, tdm_config_load("/tmp", &all_schema, &all, &report), -EISDIR));
    done();
}

/* -- the promise: ten different faults, one run -------------------------------------------------- */

static const char ten_faults[] = "runtime:\n"
                                 "  workers: many\n"        /*  2: no number */
                                 "  log: { levle: info }\n" /*  3: unknown key */
                                 "sources:\n"
                                 "  pbx1:\n"
                                 "    type: asterix\n"               /*  6: unknown word */
                                 "    url: http://me:hunter22@pbx\n" /*  7: password in the URL */
                                 "    user: tandem\n"
                                 "    password: ${TEST_NOT_SET}\n" /*  9: variable not set */
                                 "    apps: [router]\n"
                                 "    connections: 65\n" /* 11: out of range */
                                 "    ping: 10\n"        /* 12: no unit */
                                 "    ping: 10s\n"       /* 13: twice */
                                 "router:\n"
                                 "  app: router\n"
                                 "  extensions:\n"
                                 "    - { match: \"_2[XX\", app: hello }\n" /* 17: pattern */
                                 "    - { match: \"100\" }\n";              /* 18: missing key */

Test(config, ten_different_faults_are_all_reported_in_one_run)
{
    static const struct {
        uint32_t line;
        const char *key, *text, *allowed;
    } want[] = {
        { 2, "runtime.workers", "must be a whole number, not \"many\"", "0 to 60" },
        { 3, "runtime.log.levle", "unknown key; did you mean \"level\"?", "level, format" },
        { 6, "sources.pbx1.type", "unknown word \"asterix\"", "ari" },
        { 7, "sources.pbx1.url", "must not hold a user or password", NULL },
        { 9, "sources.pbx1.password", "the environment variable TEST_NOT_SET is not set", NULL },
        { 11, "sources.pbx1.connections", "65 is out of range", "1 to 64" },
        { 12, "sources.pbx1.ping", "must be a time with a unit", "1s to 1h" },
        { 13, "sources.pbx1.ping", "is here twice; the first is in line 12", NULL },
        { 17, "router.extensions[0].match", "has a [ without its ]", NULL },
        { 18, "router.extensions[1].app", "is missing", NULL },
    };
    struct program_config cfg = { 0 };

    unsetenv("TEST_NOT_SET");
    cr_expect(eq(int,
                 program_config_load_text("ten.yaml", ten_faults, strlen(ten_faults), NULL, &cfg, &report),
                 TDM_ECONFIG));
    cr_assert(eq(sz, report.n_faults, 10));
    for (size_t i = 0; i < 10; i++) {
        const struct tdm_config_fault *f = &report.faults[i];
        cr_expect(eq(u32, f->line, want[i].line));
        cr_expect(gt(u32, f->column, 0));
        cr_expect(eq(str, f->key, (char *)want[i].key));
        cr_expect(strncmp(f->text, want[i].text, strlen(want[i].text)) == 0, "line %u: %s", f->line, f->text);
        if (want[i].allowed != NULL)
            cr_expect(eq(str, f->allowed == NULL ? "none" : f->allowed, (char *)want[i].allowed));
    }
    char *got = printed();
    cr_expect(strstr(got, "hunter22") == NULL, "no secret in the report");
    free(got);
    cr_expect(zero(ptr, cfg.sources), "nothing is written after a fault");
    done();
}

/* -- allocations fail ---------------------------------------------------------------------------- */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *p, size_t bytes);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *p, size_t bytes);
char *__wrap_strdup(const char *text);

static long fail_after = -1; /* allocations until one fails; below zero: never */

static bool fails(void)
{
    return fail_after >= 0 && fail_after-- == 0;
}

void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t n, size_t bytes)
{
    return fails() ? NULL : __real_calloc(n, bytes);
}

void *__wrap_realloc(void *p, size_t bytes)
{
    return fails() ? NULL : __real_realloc(p, bytes);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

/* Each allocation of a load fails in turn: no leak (the sanitizer looks), no half result. */
static int loads_until_one_succeeds(const char *text)
{
    int err = TDM_ENOMEM, rounds = 0;

    for (; err == TDM_ENOMEM && rounds < 2000; rounds++) {
        fail_after = rounds;
        err = load(text);
        fail_after = -1;
        if (err == TDM_ENOMEM)
            cr_assert(zero(ptr, all.inner.must), "nothing is written");
        if (err == TDM_ENOMEM)
            done();
    }
    cr_expect(gt(int, rounds, 10));
    return err;
}

Test(config, each_allocation_may_fail)
{
    cr_expect(
        zero(int, loads_until_one_succeeds("secret: one-time-pad\nwords: [/a, /b]\npairs: { a: b }\n" GOOD
                                           "list: [ { path: /x } ]\nmap: { m: { path: /y } }\n")));
    done();
    cr_expect(eq(int, loads_until_one_succeeds("nubmer: 1\nwait: 5\nlist: [ { } ]\n" GOOD), TDM_ECONFIG));
    done();
}
