/* crash_report.h - all that is known of an abnormal end, in one record. See crash_report.c. */
#ifndef RUNTIME_CRASH_REPORT_H
#define RUNTIME_CRASH_REPORT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tdm_msg;
struct tdm_reason;
struct tdm_self;
struct crash;
struct log_record;

/* The message that an actor had in hand. Lies with its worker, from the moment the message is put down until the report. */
struct crash_hand {
    uint64_t pid; /* whose; 0: there was none */
    uint32_t type, bytes;
    uint64_t from;
    char excerpt[96];
};

/* An actor that crashes puts this message down (NULL: none; or `taken`: its handler has passed it on). On its worker. */
void crash_hand_note(struct tdm_self *a, const struct tdm_msg *msg, bool taken);

/* One record that tells all that is known of an abnormal end. Whoever holds the actor's turn, before what it holds is
 * released. Allocates nothing. */
void crash_report(struct tdm_self *a, const struct tdm_reason *reason);

/* What to do about it, in one sentence; see crash_advice.c. */
void crash_advise(const struct crash *c, char *buf, size_t bytes);

/* The report as a block of lines for a terminal; returns its length. See crash_block.c. */
size_t crash_block(const struct crash *c, const struct log_record *r, bool colour, char *out, size_t bytes);

#endif
