/* bench.h - what the benchmark programs share: sizes from the environment, figures, clocks, a runtime.
 *
 * An actor here has a state of two words, and a message is a tag (its type) and one word, made and sent by
 * the ordinary functions. Every helper ends the program when something fails: a figure is printed only
 * when all of its work was done. */
#ifndef TANDEM_BENCH_H
#define TANDEM_BENCH_H
#include <stddef.h>
#include <stdint.h>

#include "tandem/runtime.h"

enum { GO = TDM_MSG_USER, TOKEN, UP, FINISH, CRASH, FAULT, FIRE };

struct words {
    uint64_t a, b;
};

#define BENCH_CHECK(condition)                            \
    do {                                                  \
        if (!(condition))                                 \
            bench_failed(#condition, __FILE__, __LINE__); \
    } while (0)
_Noreturn void bench_failed(const char *what, const char *file, int line);

/* A size: the environment variable, or what the standard run takes. */
uint64_t bench_size(const char *variable, uint64_t standard);

/* `name value unit` on standard output. */
void bench_out(const char *name, double value, const char *unit);
/* NAME.p50, .p99, .p999 and .max in microseconds; sorts `ns`. */
void bench_latency(const char *name, uint64_t *ns, size_t n);

uint64_t bench_now(void);
double bench_seconds_since(uint64_t begin);
uint64_t bench_resident(void); /* bytes */

/* The main thread waits for bench_done(), which an actor calls once. */
void bench_done(void);
void bench_wait(void);

/* `workers` 0: one per core, as users run it. */
struct tdm_runtime *bench_runtime(uint32_t workers);
/* One worker, which may run on that core only. */
struct tdm_runtime *bench_runtime_on(int cpu);
/* Wait until no more than `left` actors live. */
void bench_drained(struct tdm_runtime *rt, size_t left);

tdm_pid bench_spawn(struct tdm_runtime *rt, const struct tdm_behaviour *b, const void *arg, size_t bytes);
/* The send's own result; a message that was refused is freed. */
int bench_send(struct tdm_runtime *rt, tdm_pid to, uint32_t tag, uint64_t word);
static inline uint64_t bench_word(const struct tdm_msg *msg)
{
    return *(const uint64_t *)tdm_msg_view(msg);
}

/* The workloads; see the README of the benchmarks. */
void bench_w1(void);
void bench_w2(void);
void bench_w3(void);
void bench_w4(void);
void bench_w5(void);
void bench_w6(void);
void bench_w7(void);
void bench_w8(void);

#endif
