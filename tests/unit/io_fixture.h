/* io_fixture.h - a runtime, an actor that collects what it is sent, and raw sockets, for the tests of
 * runtime/io.
 *
 * A story is a function that is given a fixture. IO_STORY(suite, name) makes two tests of it: one with real
 * sockets, one in the deterministic environment with several seeds, each of which splits, delays and orders
 * the bytes in another way. Waiting is on events with a deadline of the environment's clock; in the
 * deterministic one that costs no time. */
#ifndef TESTS_UNIT_IO_FIXTURE_H
#define TESTS_UNIT_IO_FIXTURE_H
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tandem/env.h"
#include "tandem/runtime.h"
#include "tandem/ws.h"

struct io_fixture {
    struct tdm_env *env;
    struct tdm_runtime *rt;
    tdm_pid me; /* collects into the list below */
    pthread_mutex_t lock;
    struct tdm_msg *first, *last;
    struct tdm_parker parker; /* the story waits here */
    _Atomic int slow_ms;      /* the actor sleeps this long per message: its mailbox fills up */
};

void io_run_real(void (*story)(struct io_fixture *f));
void io_run_sim(void (*story)(struct io_fixture *f), uint64_t seeds);

/* The parts of it, for who runs stories in another way. */
void io_begin(struct io_fixture *f);
void io_end(struct io_fixture *f);

#define IO_STORY(suite, name)               \
    static void name(struct io_fixture *f); \
    Test(suite, name##_on_real_sockets)     \
    {                                       \
        io_run_real(name);                  \
    }                                       \
    Test(suite, name##_simulated)           \
    {                                       \
        io_run_sim(name, 25);               \
    }                                       \
    static void name(struct io_fixture *f)

/* The next message of this type; earlier ones of other types stay. Ten seconds without: the test fails.
 * Free it with io_done(). */
struct tdm_msg *io_next(struct io_fixture *f, uint32_t type);
/* The oldest of any type, or NULL. */
struct tdm_msg *io_take_any(struct io_fixture *f);
void io_done(struct io_fixture *f, struct tdm_msg *msg);
/* Is there one already? */
bool io_has(struct io_fixture *f, uint32_t type);
void io_wait_ms(struct io_fixture *f, unsigned ms);

/* A server whose requests come to f->me, with defaults. */
struct tdm_http_server *io_server(struct io_fixture *f, const struct tdm_http_server_cfg *cfg);
struct tdm_http_pool *io_pool(struct io_fixture *f, uint16_t port);
tdm_ref io_ask(struct io_fixture *f, struct tdm_http_pool *pool, const char *method, const char *target);
/* Wait for a request and answer it. */
void io_answer(struct io_fixture *f, int status, const char *body);
/* Wait for a reply; checks err and status and returns the message. */
struct tdm_msg *io_reply(struct io_fixture *f, int err, int status);

/* Raw peers. Reading waits until `until` has come (or the end, for NULL), at most room-1 bytes; returns the
 * number of bytes, text NUL-terminated. */
int io_raw_listen(struct io_fixture *f, uint16_t *port);
int io_raw_accept(struct io_fixture *f, int listener);
int io_raw_connect(struct io_fixture *f, uint16_t port);
void io_raw_send(struct io_fixture *f, int fd, const void *p, size_t n);
size_t io_raw_read(struct io_fixture *f, int fd, const char *until, char *buf, size_t room);
void io_raw_close(struct io_fixture *f, int fd, bool abort);

#define IO_SEND(f, fd, text) io_raw_send((f), (fd), (text), strlen(text))

#endif
