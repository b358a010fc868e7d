/* cmd_demo.h - `tandem demo`. See cmd_demo.c. */
#ifndef APPS_CMD_DEMO_H
#define APPS_CMD_DEMO_H

int cmd_demo(int argc, char **argv);

#endif
