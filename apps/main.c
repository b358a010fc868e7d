/* main.c - the tandem program: one command, one file cmd_<name>.c. */
#include <stdio.h>
#include <string.h>

#include "cmd_call.h"
#include "cmd_check.h"
#include "cmd_demo.h"
#include "cmd_exchange.h"
#include "cmd_run.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    { "run", cmd_run, "CONFIG          serve the calls of the sources in the configuration" },
    { "check", cmd_check, "CONFIG        report every fault of a configuration" },
    { "demo", cmd_demo, "               calls from a simulated exchange, with one crash; needs nothing" },
    { "call", cmd_call, "APP            ring one app from this terminal and press keys" },
    { "exchange", cmd_exchange, "           a simulated Asterisk that places calls" },
};

static void help(FILE *to)
{
    fputs("usage: tandem COMMAND [...]\n", to);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(to, "  %s %s\n", commands[i].name, commands[i].help);
    fputs("Each answers --help.\n", to);
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        help(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "tandem: there is no command \"%s\"\n", argv[1]);
    help(stderr);
    return 2;
}
