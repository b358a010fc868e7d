/* connect.h - from a host name to a connected socket, without ever blocking the loop. */
#ifndef RUNTIME_IO_CONNECT_H
#define RUNTIME_IO_CONNECT_H
#include "io/tcp.h"

void connect_begin(struct tcp *t); /* the first step; fine when it was made */
void connect_step(struct tcp *t);  /* go on with the next address */
void connect_ready(struct tcp *t); /* the poller says that the attempt is settled */
void connect_free(struct tcp *t);  /* done with or given up; fine when there is none */
void connect_join_all(struct loop *loop);

#endif
