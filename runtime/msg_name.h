/* msg_name.h - what to call a message in a report. See msg_name.c. */
#ifndef RUNTIME_MSG_NAME_H
#define RUNTIME_MSG_NAME_H
#include "tandem/msg.h"

/* "event", or NULL for a type that nobody has named. */
const char *msg_type_name(uint32_t type);

/* "event:584", "4096:16". Returns buf. */
const char *msg_type_text(uint32_t type, uint32_t payload_bytes, char *buf, size_t bytes);

/* What may be told of the contents, as its describer says; "" without one. It is an app's code and may fault. */
void msg_excerpt(const struct tdm_msg *msg, char *buf, size_t bytes);

#endif
