/* cmd_run.h - `tandem run`. See cmd_run.c. */
#ifndef APPS_CMD_RUN_H
#define APPS_CMD_RUN_H

int cmd_run(int argc, char **argv);

#endif
