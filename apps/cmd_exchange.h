/* cmd_exchange.h - `tandem exchange`: a simulated Asterisk that places calls. */
#ifndef APPS_CMD_EXCHANGE_H
#define APPS_CMD_EXCHANGE_H

/* argv[0] is the command's name. Returns the exit status. */
int cmd_exchange(int argc, char **argv);

#endif
