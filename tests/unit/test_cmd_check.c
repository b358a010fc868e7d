/* `tandem check`: what it prints where, and its exit status. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd_check.h"
#include "program_config.h"

TestSuite(cmd_check, .timeout = 30);

bool program_known_apps(const char *name)
{
    return strcmp(name, "hello") == 0;
}

/* What a run printed; each test is a process of its own, so its outputs may be taken away. */
static char out[8192], err[8192];

static void take(FILE *from, char *text, size_t bytes)
{
    rewind(from);
    text[fread(text, 1, bytes - 1, from)] = '\0';
    fclose(from);
}

static int run(int argc, char **argv)
{
    FILE *o = tmpfile(), *e = tmpfile();
    int was_out = dup(1), was_err = dup(2);

    fflush(stdout);
    dup2(fileno(o), 1);
    dup2(fileno(e), 2);
    int status = cmd_check(argc, argv);
    fflush(stdout);
    fflush(stderr);
    dup2(was_out, 1);
    dup2(was_err, 2);
    close(was_out);
    close(was_err);
    take(o, out, sizeof out);
    take(e, err, sizeof err);
    return status;
}

static char file[] = "/tmp/test_cmd_check_XXXXXX";

#define SOURCE(app) \
    "sources:\n  pbx1: { type: ari, url: \"http://pbx\", user: u, password: hunter22, apps: [" app "] }\n"

static void write_config(const char *text)
{
    FILE *f = fdopen(mkstemp(file), "w");

    fputs(text, f);
    fclose(f);
}

Test(cmd_check, a_good_file_is_summed_up)
{
    char *argv[] = { "check", file, NULL };

    write_config(SOURCE("hello"));
    cr_expect(zero(int, run(2, argv)));
    cr_expect(strstr(out, " is good.\n  source pbx1: ari at http://pbx, apps hello\n") != NULL, "%s", out);
    cr_expect(eq(str, err, ""));
    unlink(file);
}

Test(cmd_check, print_shows_the_defaults_and_no_secret)
{
    char *argv[] = { "check", "--print", file, NULL };

    write_config(SOURCE("hello"));
    cr_expect(zero(int, run(3, argv)));
    cr_expect(strstr(out, "connections: 8\n") != NULL, "%s", out);
    cr_expect(strstr(out, "hunter22") == NULL);
    unlink(file);
}

Test(cmd_check, faults_go_to_standard_error_and_the_status_is_one)
{
    char *argv[] = { "check", file, NULL };

    write_config(SOURCE("nobody") "stop: { drian: 1s }\n");
    cr_expect(eq(int, run(2, argv), 1));
    cr_expect(eq(str, out, ""));
    cr_expect(strstr(err, ":2:77: sources.pbx1.apps[0]: there is no app \"nobody\"") != NULL, "%s", err);
    cr_expect(strstr(err, ":3:9: stop.drian: unknown key; did you mean \"drain\"?") != NULL, "%s", err);
    cr_expect(strstr(err, ": 2 faults\n") != NULL, "%s", err);
    cr_expect(strstr(err, "hunter22") == NULL);
    unlink(file);
}

Test(cmd_check, json_is_one_object_a_line)
{
    char *argv[] = { "check", "--json", file, NULL };

    write_config(SOURCE("hello") "stop: { drian: 1s }\n");
    cr_expect(eq(int, run(3, argv), 1));
    cr_expect(eq(str, err, ""));
    cr_expect(strstr(out,
                     ",\"line\":3,\"column\":9,\"key\":\"stop.drian\",\"text\":\"unknown key; did you mean "
                     "\\\"drain\\\"?\",\"allowed\":\"drain, end, sources, tree\"}\n") != NULL,
              "%s", out);
    unlink(file);
}

Test(cmd_check, a_file_that_is_not_there_is_a_fault_and_wrong_usage_is_two)
{
    char *gone[] = { "check", "/nonexistent.yaml", NULL }, *none[] = { "check", NULL };
    char *two[] = { "check", "a", "b", NULL }, *odd[] = { "check", "--odd", NULL };
    char *help[] = { "check", "--help", NULL };

    cr_expect(eq(int, run(2, gone), 1));
    cr_expect(strstr(err, "cannot be read: No such file or directory") != NULL, "%s", err);
    cr_expect(eq(int, run(1, none), 2));
    cr_expect(eq(int, run(3, two), 2));
    cr_expect(eq(int, run(2, odd), 2));
    cr_expect(strstr(err, "usage: tandem check") != NULL);
    cr_expect(zero(int, run(2, help)));
    cr_expect(strstr(out, "usage: tandem check") != NULL);
}
