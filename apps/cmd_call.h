/* cmd_call.h - `tandem call`. See cmd_call.c. */
#ifndef APPS_CMD_CALL_H
#define APPS_CMD_CALL_H

int cmd_call(int argc, char **argv);

#endif
