/* metrics.c - each thread counts for itself; who reads adds up.
 *
 * Idea:      a counter is an index; every thread that counts has a block of numbers, one for each index.
 *            Adding is a load and a store to the thread's own block; only reading visits all blocks.
 * Invariant: the blocks' sum is the counter's value. A block outlives its thread, numbers and all, and the
 *            next new thread takes it over and counts on: sums never go back, and memory is bounded by the
 *            number of threads that live at the same time.
 * Touched by: a block's numbers, one thread at a time; the tables under `lock`, at first uses and reads. */
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tandem/log.h"
#include "tandem/metrics.h"

#define SLOTS     2048
#define BUCKETS   14            /* 1 us * 4^0 .. 4^13 */
#define HIST_SUM  (BUCKETS + 1) /* after the bucket for everything larger */
#define HIST_SIZE (BUCKETS + 2)
#define NO_ROOM   -1

struct block {
    struct block *next; /* fixed once in the list */
    bool taken;         /* a live thread counts here; under the lock */
    _Atomic int64_t n[SLOTS];
};

struct series {
    const char *name, *help;
    int slot;
    bool histogram;
};

static struct {
    pthread_mutex_t lock;
    struct series series[SLOTS];
    int count;
    int next_slot; /* slot 0 is not used: id 0 says "not yet" */
    struct block *blocks;
    struct block shared; /* for threads that get no block of their own; adds with atomic operations */
} reg = { .lock = PTHREAD_MUTEX_INITIALIZER, .next_slot = 1 };

static _Thread_local struct block *mine;

/* -- registering --------------------------------------------------------------------------------- */

static int find_series(const char *name)
{
    for (int i = 0; i < reg.count; i++) {
        if (strcmp(reg.series[i].name, name) == 0)
            return i;
    }
    return -1;
}

/* The slot of the name, a new one if need be; NO_ROOM when there is none or the name is of the other
 * kind. Under the lock. */
static int slot_for(const char *name, const char *help, bool histogram)
{
    int i = find_series(name), size = histogram ? HIST_SIZE : 1;

    if (i >= 0)
        return reg.series[i].histogram == histogram ? reg.series[i].slot : NO_ROOM;
    if (reg.count == SLOTS || reg.next_slot + size > SLOTS)
        return NO_ROOM;
    struct series s = { .name = name, .help = help, .slot = reg.next_slot, .histogram = histogram };
    reg.next_slot += size;
    reg.series[reg.count++] = s;
    return s.slot;
}

/* relaxed both ways: the id is a number that does not change, and the slot behind it exists from the
 * start of the process. */
static int slot_of(_Atomic int *id, const char *name, const char *help, bool histogram)
{
    int slot = atomic_load_explicit(id, memory_order_relaxed);

    if (slot != 0)
        return slot;
    pthread_mutex_lock(&reg.lock);
    slot = slot_for(name, help, histogram);
    pthread_mutex_unlock(&reg.lock);
    if (atomic_exchange_explicit(id, slot, memory_order_relaxed) == 0 && slot == NO_ROOM)
        tdm_log_error("metrics.refused", "name=%s", name);
    return slot;
}

/* -- blocks -------------------------------------------------------------------------------------- */

static pthread_key_t at_thread_end;

/* Runs in the thread that ends. Its numbers stay; the lock hands them to the next owner. */
static void block_release(void *arg)
{
    struct block *b = arg;

    mine = NULL;
    pthread_mutex_lock(&reg.lock);
    b->taken = false;
    pthread_mutex_unlock(&reg.lock);
}

static void make_key(void)
{
    if (pthread_key_create(&at_thread_end, block_release) != 0)
        abort(); /* the process has used up all its keys: nothing of it would work */
}

static struct block *block_take(void)
{
    struct block *b = reg.blocks;

    while (b != NULL && b->taken)
        b = b->next;
    if (b == NULL) {
        b = calloc(1, sizeof *b);
        if (b == NULL)
            return NULL;
        b->next = reg.blocks;
        reg.blocks = b;
    }
    b->taken = true;
    return b;
}

/* This thread's block; NULL when there is no memory for one. */
static struct block *block_mine(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (mine != NULL)
        return mine;
    pthread_once(&once, make_key);
    pthread_mutex_lock(&reg.lock);
    struct block *b = block_take();
    pthread_mutex_unlock(&reg.lock);
    if (b != NULL && pthread_setspecific(at_thread_end, b) != 0) {
        block_release(b);
        return NULL;
    }
    mine = b;
    return b;
}

static void add(int slot, int64_t n)
{
    struct block *b = block_mine();

    if (b == NULL) { /* relaxed: a sum, no hand-off */
        atomic_fetch_add_explicit(&reg.shared.n[slot], n, memory_order_relaxed);
        return;
    }
    /* A load and a store: nobody else writes here. Atomic, relaxed, because readers add up meanwhile. */
    int64_t old = atomic_load_explicit(&b->n[slot], memory_order_relaxed);
    atomic_store_explicit(&b->n[slot], old + n, memory_order_relaxed);
}

/* Under the lock. */
static int64_t sum(int slot)
{
    int64_t n = atomic_load_explicit(&reg.shared.n[slot], memory_order_relaxed);

    for (struct block *b = reg.blocks; b != NULL; b = b->next)
        n += atomic_load_explicit(&b->n[slot], memory_order_relaxed);
    return n;
}

static int64_t locked_sum(int slot)
{
    pthread_mutex_lock(&reg.lock);
    int64_t n = sum(slot);
    pthread_mutex_unlock(&reg.lock);
    return n;
}

/* -- counters ------------------------------------------------------------------------------------ */

void tdm_count(struct tdm_counter *c, int64_t n)
{
    int slot = slot_of(&c->id, c->name, c->help, false);

    if (slot > 0)
        add(slot, n);
}

void tdm_counter_show(struct tdm_counter *c)
{
    slot_of(&c->id, c->name, c->help, false);
}

int64_t tdm_counter_value(struct tdm_counter *c)
{
    int slot = slot_of(&c->id, c->name, c->help, false);

    return slot > 0 ? locked_sum(slot) : 0;
}

int64_t tdm_counter_by_name(const char *name)
{
    pthread_mutex_lock(&reg.lock);
    int i = find_series(name);
    int64_t n = i >= 0 && !reg.series[i].histogram ? sum(reg.series[i].slot) : 0;
    pthread_mutex_unlock(&reg.lock);
    return n;
}

/* -- histograms ---------------------------------------------------------------------------------- */

static uint64_t bucket_limit_ns(int i)
{
    return 1000ull << (2 * i);
}

void tdm_observe(struct tdm_histogram *h, uint64_t ns)
{
    int slot = slot_of(&h->id, h->name, h->help, true), i = 0;

    if (slot <= 0)
        return;
    while (i < BUCKETS && ns > bucket_limit_ns(i))
        i++;
    add(slot + i, 1);
    add(slot + HIST_SUM, (int64_t)ns);
}

uint64_t tdm_histogram_count(struct tdm_histogram *h)
{
    int slot = slot_of(&h->id, h->name, h->help, true);
    uint64_t n = 0;

    for (int i = 0; slot > 0 && i <= BUCKETS; i++)
        n += (uint64_t)locked_sum(slot + i);
    return n;
}

uint64_t tdm_histogram_sum_ns(struct tdm_histogram *h)
{
    int slot = slot_of(&h->id, h->name, h->help, true);

    return slot > 0 ? (uint64_t)locked_sum(slot + HIST_SUM) : 0;
}

/* -- Prometheus text ----------------------------------------------------------------------------- */

struct text {
    char *buf;
    size_t bytes, used; /* used counts on when the buffer is full */
};

__attribute__((format(printf, 2, 3))) static void say(struct text *t, const char *format, ...)
{
    size_t room = t->used < t->bytes ? t->bytes - t->used : 0;
    va_list args;

    va_start(args, format);
    int n = vsnprintf(room > 0 ? t->buf + t->used : NULL, room, format, args);
    va_end(args);
    t->used += n > 0 ? (size_t)n : 0;
}

/* A name may go on with labels in braces. */
static size_t family_bytes(const struct series *s)
{
    return strcspn(s->name, "{");
}

static bool same_family(const struct series *s, const struct series *t)
{
    size_t n = family_bytes(s);

    return n == family_bytes(t) && memcmp(s->name, t->name, n) == 0;
}

static const char *type_word(const struct series *s)
{
    size_t n = family_bytes(s);

    if (s->histogram)
        return "histogram";
    return n > 6 && strncmp(s->name + n - 6, "_total", 6) == 0 ? "counter" : "gauge";
}

static void say_help(struct text *t, const struct series *s)
{
    int n = (int)family_bytes(s);

    say(t, "# HELP %.*s ", n, s->name);
    for (const char *c = s->help == NULL ? "" : s->help; *c != '\0'; c++) {
        if (*c == '\n' || *c == '\\')
            say(t, "\\%c", *c == '\n' ? 'n' : '\\');
        else
            say(t, "%c", *c);
    }
    say(t, "\n# TYPE %.*s %s\n", n, s->name, type_word(s));
}

/* Seconds with all nine decimals, by integers: printf's %f asks the locale for its decimal sign. */
static void say_seconds(struct text *t, int64_t ns)
{
    say(t, "%lld.%09lld", (long long)(ns / 1000000000), (long long)(ns % 1000000000));
}

static void say_histogram(struct text *t, const struct series *s)
{
    uint64_t n = 0;

    for (int i = 0; i < BUCKETS; i++) {
        n += (uint64_t)sum(s->slot + i);
        say(t, "%s_bucket{le=\"", s->name);
        say_seconds(t, (int64_t)bucket_limit_ns(i));
        say(t, "\"} %llu\n", (unsigned long long)n);
    }
    n += (uint64_t)sum(s->slot + BUCKETS);
    say(t, "%s_bucket{le=\"+Inf\"} %llu\n", s->name, (unsigned long long)n);
    say(t, "%s_sum ", s->name);
    say_seconds(t, sum(s->slot + HIST_SUM));
    say(t, "\n%s_count %llu\n", s->name, (unsigned long long)n);
}

static int by_name(const void *a, const void *b)
{
    const struct series *x = a, *y = b;

    return strcmp(x->name, y->name);
}

size_t tdm_metrics_text(char *buf, size_t bytes)
{
    struct text t = { .buf = buf, .bytes = bytes };

    pthread_mutex_lock(&reg.lock);
    /* in place: slots are found by name or by id, never by place in the table */
    qsort(reg.series, (size_t)reg.count, sizeof reg.series[0], by_name);
    for (int i = 0; i < reg.count; i++) {
        const struct series *s = &reg.series[i];
        if (i == 0 ||
            !same_family(s, s - 1)) /* sorted: a family stands together, since '{' comes after all letters */
            say_help(&t, s);
        if (s->histogram)
            say_histogram(&t, s);
        else
            say(&t, "%s %lld\n", s->name, (long long)sum(s->slot));
    }
    pthread_mutex_unlock(&reg.lock);
    if (bytes > 0 && t.used == 0)
        buf[0] = '\0';
    return t.used;
}
