/* Tests of runtime/env_sim.c: a seed is a run. */
#include "worlds.h"

#include <criterion/new/assert.h>

static void mixed(struct world *w)
{
    tdm_pid a[4];

    for (uint64_t i = 0; i < 4; i++)
        a[i] = spawn_worker(w, i);
    for (uint64_t i = 0; i < 40; i++)
        (void)send_number(w, a[i % 4], i);
    tell(w, a[0], exit_error, NULL);
    wait_marks(w, "got", 40);
    let_pass(w, TDM_MS(3));
}

static const struct world_opts opts = { 0 };

Test(env_sim, the_same_seed_gives_the_same_digest, .timeout = 60)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        cr_assert(eq(u64, world_run_seed(mixed, &opts, seed), world_run_seed(mixed, &opts, seed)));
}

Test(env_sim, different_seeds_give_different_runs, .timeout = 60)
{
    uint64_t first = world_run_seed(mixed, &opts, 1);
    int different = 0;

    for (uint64_t seed = 2; seed <= 20; seed++)
        different += world_run_seed(mixed, &opts, seed) != first;
    cr_assert(eq(int, different, 19));
}

static void sleep_a_year(void *arg)
{
    struct tdm_env *env = arg;
    struct tdm_parker p = { 0 };
    uint64_t until = env->now_ns(env) + TDM_S(31536000);
    uint64_t wall = env->wall_ns(env);

    while (env->now_ns(env) < until)
        env->park(env, &p, until);
    cr_assert(eq(u64, env->now_ns(env), until));
    cr_assert(eq(u64, env->wall_ns(env) - wall, TDM_S(31536000)));
    tdm_env_sim_step_wall(env, -(int64_t)TDM_S(10));
    cr_assert(eq(u64, env->now_ns(env), until));
    cr_assert(eq(u64, env->wall_ns(env) - wall, TDM_S(31535990)));
}

Test(env_sim, time_is_virtual_and_the_wall_clock_may_step, .timeout = 10)
{
    struct tdm_env *env;

    cr_assert(eq(int, tdm_env_sim_new(&env, 1), TDM_OK));
    cr_assert(eq(int, tdm_env_sim_run(env, sleep_a_year, env), TDM_OK));
    tdm_env_sim_free(env);
}

static void wait_for_nobody(void *arg)
{
    struct tdm_env *env = arg;
    struct tdm_parker p = { 0 };

    env->park(env, &p, TDM_FOREVER);
}

Test(env_sim, a_deadlock_is_reported, .timeout = 10)
{
    struct tdm_env *env;

    cr_assert(eq(int, tdm_env_sim_new(&env, 1), TDM_OK));
    cr_assert(eq(int, tdm_env_sim_run(env, wait_for_nobody, env), TDM_ESTUCK));
    tdm_env_sim_free(env);
}

Test(env_sim, an_allocation_fails_on_request_and_they_are_counted, .timeout = 10)
{
    struct tdm_env *env;

    cr_assert(eq(int, tdm_env_sim_new(&env, 1), TDM_OK));
    tdm_env_sim_fail_alloc(env, 2, false);
    void *a = env->alloc(env, 10), *b = env->alloc(env, 10), *c = env->alloc(env, 10);
    cr_assert(ne(ptr, a, NULL));
    cr_assert(eq(ptr, b, NULL));
    cr_assert(ne(ptr, c, NULL));
    cr_assert(eq(u64, tdm_env_sim_fail_alloc(env, 1, true), 3));
    cr_assert(eq(ptr, env->alloc(env, 10), NULL));
    cr_assert(eq(ptr, env->alloc(env, 10), NULL));
    env->free(env, a, 10);
    env->free(env, c, 10);
    tdm_env_sim_free(env);
}
