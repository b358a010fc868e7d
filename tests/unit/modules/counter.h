/* counter.h - what the counter of counter.c is asked. */
#ifndef TESTS_UNIT_MODULES_COUNTER_H
#define TESTS_UNIT_MODULES_COUNTER_H
#include "tandem/msg.h"

enum { COUNTER_ASK = TDM_MSG_USER + 1, COUNTER_CRASH, COUNTER_LOOP };

struct counter_answer {
    uint64_t count;
    uint32_t version;
};

#endif
