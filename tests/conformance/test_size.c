/* Group M: what many children cost. Times are processor time of this process, so that a busy machine does no harm, and
 * ratios of two of them; the deterministic world runs everything on one thread. A sanitizer's build has fewer children. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sup_fixture.h"
#include "tandem/log.h"

#ifndef WORLD_ROUNDS_PART
#define WORLD_ROUNDS_PART 1
#endif

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void quiet_log(void)
{
    tdm_log_configure(&(struct tdm_log_cfg){ .level = TDM_LOG_OFF });
}

struct times {
    double start, stop;
};

static struct times start_and_stop(struct world *w, size_t n)
{
    struct tdm_child_spec *specs = calloc(n, sizeof *specs);
    char(*ids)[16] = calloc(n, sizeof *ids);
    struct worker_arg quiet = { .w = w, .quiet = true };
    struct times took;

    for (size_t i = 0; i < n; i++) {
        snprintf(ids[i], sizeof ids[i], "child %zu", i);
        specs[i] = (struct tdm_child_spec){
            .id = ids[i], .start = { .behaviour = &worker, .arg = &quiet, .arg_bytes = sizeof quiet }
        };
    }
    double before = seconds();
    tdm_pid sup = start_children(w, specs, n);
    took.start = seconds() - before;
    check_eq(w, sup_count(w, sup).active, n);
    before = seconds();
    stop_sup(w, sup);
    took.stop = seconds() - before;
    wait_actor_count(w, 0);
    free(specs);
    free(ids);
    return took;
}

static double less(double a, double b)
{
    return a < b ? a : b;
}

SIM_TEST_WITH(size, M1_a_hundred_times_the_children_cost_not_much_more_than_that, { .seeds = 1 })
{
    enum { FEW = 1000, MANY = 100000 / WORLD_ROUNDS_PART };
    struct times few = { 1e9, 1e9 };

    quiet_log();
    for (int i = 0; i < 5; i++) {
        struct times t = start_and_stop(w, FEW);
        few = (struct times){ less(t.start, few.start), less(t.stop, few.stop) };
    }
    struct times many = start_and_stop(w, MANY);
    check(w, many.start <= few.start * (MANY / FEW) * 10);
    check(w, many.stop <= few.stop * (MANY / FEW) * 10);
}

static double stop_one_by_one(struct world *w, size_t n)
{
    struct worker_arg quiet = { .w = w, .quiet = true };
    struct tdm_child_spec t = { .start = { .behaviour = &worker, .arg = &quiet, .arg_bytes = sizeof quiet } };
    tdm_pid sup = start_template(w, &t);
    tdm_place *p = calloc(n, sizeof *p);

    for (size_t i = 0; i < n; i++)
        check_eq(w, tdm_sup_start_dynamic(w->rt, sup, NULL, 0, NULL, &p[i]), TDM_OK);
    check_eq(w, sup_count(w, sup).active, n);
    double before = seconds();
    for (size_t i = 0; i < n; i++)
        check_eq(w, sup_ask(w, sup, TDM_SUP_TERMINATE_CHILD, NULL, tdm_place_pid(w->rt, p[i])).err, TDM_OK);
    double took = seconds() - before;
    check_eq(w, sup_count(w, sup).active, 0);
    stop_sup(w, sup);
    free(p);
    return took;
}

SIM_TEST_WITH(size, M2_dynamic_children_are_found_without_a_search, { .seeds = 1 })
{
    enum { FEW = 1000 / WORLD_ROUNDS_PART };
    double few = 1e9;

    quiet_log();
    for (int i = 0; i < 3; i++)
        few = less(few, stop_one_by_one(w, FEW));
    check(w, stop_one_by_one(w, FEW * 10) <= few * 50);
}

/* Each ends by itself as soon as it has started. */
static int brief(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct tdm_reason normal = { .kind = TDM_EXIT_NORMAL };

    (void)state, (void)start;
    tdm_exit(self, &normal);
    return TDM_OK;
}

static int ignore_all(tdm_self *self, void *state, struct tdm_msg *m)
{
    (void)self, (void)state, (void)m;
    return TDM_OK;
}

/* Come and gone, about a hundred at a time. */
static void come_and_go(struct world *w, tdm_pid sup, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        check_eq(w, tdm_sup_start_dynamic(w->rt, sup, NULL, 0, NULL, NULL), TDM_OK);
        while (i % 16 == 0 && tdm_sup_active(w->rt, sup) > 100)
            let_pass(w, 20000);
    }
    wait_actor_count(w, 1);
    check_eq(w, sup_count(w, sup).active, 0);
}

/* On real threads each thread has blocks at hand, which it takes from the environment by the chunk of 64 KiB: some of
 * these may come late, more of them on a machine that is busy. The smallest block is 16 bytes: one lost for each child
 * would be sixteen times as much. */
WORLD_TEST_WITH(size, M3_children_that_come_and_go_leave_nothing_behind,
                { .rounds = 1000000, .split = true, .seeds = 200 })
{
    static const struct tdm_behaviour mayfly = { .name = "mayfly", .init = brief, .handle = ignore_all };
    struct tdm_child_spec t = { .restart = TDM_TEMPORARY, .start = { .behaviour = &mayfly } };

    quiet_log();
    tdm_pid sup = start_template(w, &t);
    come_and_go(w, sup, 1000);
    int64_t before = world_bytes(w);
    come_and_go(w, sup, w->rounds - 1000);
    int64_t after = world_bytes(w);
    check(w, after <= before + before / 100 + (w->sim ? 0 : 16 * 65536));
}
