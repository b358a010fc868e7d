/* crash.h - what a crash report is made of, for the files that write it. */
#ifndef RUNTIME_CRASH_H
#define RUNTIME_CRASH_H
#include "actor.h"
#include "crash_report.h"
#include "fault.h"

enum { CRASH_FRAMES = 24, CRASH_HISTORY = 32 };

struct crash {
    const struct tdm_self *a;
    const struct tdm_reason *reason;
    const struct landing *l; /* NULL: nothing landed, the actor returned an error */
    struct crash_hand hand;
    struct link_facts links;
    const char *callback; /* init, handle, run, terminate */
    const char *module;   /* its name, or the behaviour's */
    uint32_t version;     /* 0: no module */
    uint64_t pid;
    uint64_t life_ms;
    uint32_t restarts, mailbox;
    size_t note_bytes;
    int n_frames, n_history; /* newest first */
    char why[TDM_REASON_TEXT_BYTES + 64];
    char ancestors[256];
    char state[256];
    char note[64];
    char advice[400];
    char frames[CRASH_FRAMES][SYMBOL_TEXT];
    char history[CRASH_HISTORY][48];
};

#endif
