/* timer.h - messages that come later. */
#ifndef TANDEM_TIMER_H
#define TANDEM_TIMER_H
#include "tandem/actor.h"

#define TDM_MS(n) ((uint64_t)(n)*1000000u) /* milliseconds as nanoseconds */
#define TDM_S(n)  ((uint64_t)(n)*1000000000u)

/* Put `msg` in the mailbox of `to` after `delay_ns`. It arrives with the returned ref in msg->ref
 * (type and payload as given) and is never refused because the mailbox is full. Timers of an
 * actor that ends do not fire.
 * Owns:    takes `msg` in every case.
 * Returns: the ref, or 0 when out of memory.
 * Order:   timers of one actor with equal deadlines fire in the order in which they were set.
 * Time:    never early; late by at most one tick (16 microseconds) plus scheduling.
 * Source:  erlang:send_after/3. */
tdm_ref tdm_send_after(tdm_self *self, tdm_pid to, uint64_t delay_ns, struct tdm_msg *msg);

/* tdm_send_after() to oneself with an empty TDM_MSG_TIMER. */
tdm_ref tdm_timer_start(tdm_self *self, uint64_t delay_ns);

/* Cancel. After it returns the timer's message can not come any more, nor is it left in one's own
 * mailbox. Only the actor that set the timer may cancel it. A ref that has fired is fine.
 * Returns true when it had not fired yet. */
bool tdm_timer_cancel(tdm_self *self, tdm_ref timer);

#endif
