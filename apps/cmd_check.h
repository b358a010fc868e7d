/* cmd_check.h - `tandem check`; argv[0] is "check". Returns the exit status. */
#ifndef APPS_CMD_CHECK_H
#define APPS_CMD_CHECK_H

int cmd_check(int argc, char **argv);

#endif
