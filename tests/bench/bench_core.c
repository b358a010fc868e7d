/* bench_core.c - W1 to W8 for Tandem: `bench_core w1 w3` prints lines `name value unit`.
 *
 * The names are those of the peers' programs, so that lines can be joined. Everything goes through the
 * public headers, with the library that users link: bounded mailboxes, dead letters, fault traps and the
 * watchdog are on. */
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "tandem/log.h"

static sem_t done;

void bench_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    _exit(1);
}

uint64_t bench_size(const char *variable, uint64_t standard)
{
    const char *text = getenv(variable);

    return text != NULL && *text != '\0' ? strtoull(text, NULL, 10) : standard;
}

void bench_out(const char *name, double value, const char *unit)
{
    printf("%s %.4f %s\n", name, value, unit);
    fflush(stdout);
}

static int smaller(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

void bench_latency(const char *name, uint64_t *ns, size_t n)
{
    static const struct {
        const char *name;
        double part;
    } points[] = { { "p50", .5 }, { "p99", .99 }, { "p999", .999 }, { "max", 1 } };
    char full[128];

    qsort(ns, n, sizeof *ns, smaller);
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        snprintf(full, sizeof full, "%s.%s", name, points[i].name);
        bench_out(full, (double)ns[(size_t)(points[i].part * (double)(n - 1))] / 1e3, "us");
    }
}

uint64_t bench_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

double bench_seconds_since(uint64_t begin)
{
    return (double)(bench_now() - begin) / 1e9;
}

uint64_t bench_resident(void)
{
    unsigned long all, resident;
    FILE *f = fopen("/proc/self/statm", "r");

    BENCH_CHECK(f != NULL && fscanf(f, "%lu %lu", &all, &resident) == 2);
    fclose(f);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

void bench_done(void)
{
    sem_post(&done);
}

void bench_wait(void)
{
    while (sem_wait(&done) != 0)
        ;
}

struct tdm_runtime *bench_runtime(uint32_t workers)
{
    struct tdm_runtime *rt;

    BENCH_CHECK(tdm_runtime_new(&rt, &(struct tdm_runtime_cfg){ .workers = workers }) == TDM_OK);
    return rt;
}

/* Threads inherit the cores of the thread that makes them, so ours moves there for a moment. */
struct tdm_runtime *bench_runtime_on(int cpu)
{
    cpu_set_t before, one;
    struct tdm_runtime *rt;

    BENCH_CHECK(sched_getaffinity(0, sizeof before, &before) == 0);
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    BENCH_CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    rt = bench_runtime(1);
    BENCH_CHECK(sched_setaffinity(0, sizeof before, &before) == 0);
    return rt;
}

void bench_drained(struct tdm_runtime *rt, size_t left)
{
    while (tdm_actor_count(rt) > left)
        usleep(20);
}

tdm_pid bench_spawn(struct tdm_runtime *rt, const struct tdm_behaviour *b, const void *arg, size_t bytes)
{
    tdm_pid pid;

    BENCH_CHECK(tdm_spawn(rt, &(struct tdm_spawn_cfg){ .behaviour = b, .arg = arg, .arg_bytes = bytes },
                          &pid) == TDM_OK);
    return pid;
}

int bench_send(struct tdm_runtime *rt, tdm_pid to, uint32_t tag, uint64_t word)
{
    struct tdm_msg *msg = tdm_msg_copy(rt, tag, &word, sizeof word);
    int err;

    BENCH_CHECK(msg != NULL);
    err = tdm_send(rt, to, msg);
    if (err != TDM_OK)
        tdm_msg_free(rt, msg);
    return err;
}

int main(int argc, char **argv)
{
    static void (*const workloads[])(void) = { bench_w1, bench_w2, bench_w3, bench_w4,
                                               bench_w5, bench_w6, bench_w7, bench_w8 };

    sem_init(&done, 0, 0);
    tdm_log_configure(&(struct tdm_log_cfg){ .level = TDM_LOG_OFF, .fd = 2 });
    for (int i = 1; i < argc; i++) {
        BENCH_CHECK(argv[i][0] == 'w' && argv[i][1] >= '1' && argv[i][1] <= '8' && argv[i][2] == '\0');
        workloads[argv[i][1] - '1']();
    }
    if (argc < 2)
        fprintf(stderr, "usage: bench_core w1 ... w8\n");
    return argc < 2 ? 2 : 0;
}
