/* inbox.h - what has been taken from a mailbox and is not read yet. See inbox.c.
 * Touched by who holds the actor's turn, but for inbox_push_dropping(). */
#ifndef RUNTIME_INBOX_H
#define RUNTIME_INBOX_H
#include "actor.h"

/* A fiber's look through its mail: begin anew; the next message, which stays where it is while it is looked at. One that is
 * not `checked` (an answer, a notice, a timer: is it still wanted?) is out of the list until inbox_checked() puts it back,
 * or, with NULL, counts it as gone. Then inbox_pass() leaves the message looked at and goes on, or inbox_read() takes it. */
void inbox_scan(struct tdm_self *a);
struct tdm_msg *inbox_look(struct tdm_self *a, bool *checked);
void inbox_checked(struct tdm_self *a, struct tdm_msg *m);
void inbox_pass(struct tdm_self *a);
void inbox_read(struct tdm_self *a);

/* Take out the first, or all, for which the test says so. The list is the caller's. */
typedef bool inbox_test(const struct tdm_msg *m, uint64_t what);
struct tdm_msg *inbox_remove(struct tdm_self *a, inbox_test *unwanted, uint64_t what, bool all);
void inbox_free(struct tdm_self *a, struct tdm_msg *list);

/* Before everything else. */
void inbox_put_first(struct tdm_self *a, struct tdm_msg *m);
/* All unread mail, taken out; the box stays the caller's. */
struct tdm_msg *inbox_empty(struct tdm_self *a);
/* The same, and nothing more comes in. */
struct tdm_msg *inbox_close(struct tdm_self *a);
/* What a fiber needs, and TDM_DROP_OLDEST; before inbox_open() with that. Again: nothing. TDM_ENOMEM. */
int inbox_extend(struct tdm_self *a);
/* At birth and at each restart. */
void inbox_open(struct tdm_self *a, enum tdm_overflow policy);
/* The slot is left: what inbox_extend() made. inbox_close() does it too. */
void inbox_leave(struct tdm_self *a);

/* Unread messages, those in the box among them. */
uint32_t inbox_length(struct tdm_self *a);

/* Any thread, when a box with TDM_DROP_OLDEST was full: push, and give back what went for it. BOX_FULL: there was nothing
 * older that may go, and `msg` is still the caller's. */
enum box_push inbox_push_dropping(struct tdm_self *a, uint64_t to, struct tdm_msg *msg,
                                  struct tdm_msg **dropped);

#endif
