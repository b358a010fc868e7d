/* loop.h - the I/O loop as the rest of runtime/io/ sees it. What it is: the head of loop.c. */
#ifndef RUNTIME_IO_LOOP_H
#define RUNTIME_IO_LOOP_H
#include <stdatomic.h>

#include "io/handles.h"
#include "io/timers.h"
#include "tandem/env.h"
#include "tandem/http.h"

struct tcp;
struct lookup;

enum {
    LOOP_RX_BYTES = 64 * 1024, /* one read takes at most this much */
    LOOP_RX_SLACK = 64,        /* readable bytes behind it */
    LOOP_EVENTS = 128,
};

/* One piece of work for the loop, made by any thread. `run` owns the command. */
struct loop_cmd {
    struct loop_cmd *next;
    void (*run)(struct loop *loop, struct loop_cmd *cmd);
    size_t bytes; /* allocated */
};

/* What the poller hands back: something that wants to know about its socket. First member of its owner. */
struct loop_source {
    void (*ready)(struct loop *loop, struct loop_source *s, uint32_t events);
};

struct loop {
    /* fixed when made */
    struct tdm_runtime *rt;
    struct tdm_env *env;
    struct tdm_poller *poller;
    char *rx;    /* what was just read; LOOP_RX_BYTES + LOOP_RX_SLACK */
    char *plain; /* the same after decryption; made when TLS is first used */
    struct handles handles;
    /* written by any thread */
    char apart_[64];
    _Atomic(struct loop_cmd *) inbox; /* newest first */
    _Atomic uint32_t awake;           /* 1: the loop will look at the inbox before it sleeps */
    _Atomic uint32_t started;
    _Atomic uint32_t stop;
    char apart2_[64];
    /* touched by the thread that runs the loop */
    uint64_t now_ns; /* when this round began */
    struct loop_timer *timers;
    struct tcp *dirty;      /* has bytes to write or a reader that goes on */
    struct tcp *dead;       /* ended; freed when the round is over */
    struct tcp *live;       /* all others */
    struct lookup *lookups; /* names being resolved */
    struct tdm_http_pool *pools;
    struct tdm_http_server *servers;
    struct tdm_thread *thread;
    bool closing; /* loop_free has begun: nothing new starts */
};

int loop_new(struct loop **ret, struct tdm_runtime *rt, struct tdm_env *env);

/* Start the thread; the first call does, later ones find it done. Threads: any. */
int loop_start(struct loop *loop);

/* End the thread and wait for it; connections stay open until loop_free. NULL is fine. */
void loop_stop(struct loop *loop);

/* Close everything. The runtime must still take messages (owners are told, ended ones do not hear it). */
void loop_free(struct loop *loop);

/* One round: run what waits, wait for sockets or a deadline, act. One thread at a time. */
void loop_poll(struct loop *loop);

/* A command in a block of `bytes`, of which only the command itself is filled in. NULL: out of memory. */
void *loop_cmd_new(struct loop *loop, void (*run)(struct loop *, struct loop_cmd *), size_t bytes);
void loop_cmd_free(struct loop *loop, struct loop_cmd *cmd);

/* Have it run soon, after those posted earlier by this thread. Takes the command. Threads: any. */
void loop_post(struct loop *loop, struct loop_cmd *cmd);

/* (Re)set and forget a deadline, in milliseconds from now. The loop only. */
void loop_timer_set(struct loop *loop, struct loop_timer *t, uint64_t after_ms,
                    void (*fire)(struct loop *, struct loop_timer *));
void loop_timer_at(struct loop *loop, struct loop_timer *t, uint64_t at_ns,
                   void (*fire)(struct loop *, struct loop_timer *));
void loop_timer_clear(struct loop *loop, struct loop_timer *t);

/* The runtime's loop, its thread running: what every public function here begins with. */
int loop_of(struct tdm_runtime *rt, struct loop **ret);

/* Send an answer, an OPEN or a CLOSED: never refused for being full; freed when nobody is there. */
void loop_tell(struct loop *loop, tdm_pid to, struct tdm_msg *msg);

#endif
