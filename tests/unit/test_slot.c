/* Tests of runtime/slot.c: an address means one incarnation and never another. */
#include "worlds.h"

#include "runtime.h"

WORLD_TEST(slot, an_old_address_never_reaches_a_later_tenant_of_its_slot)
{
    enum { N = 200 };
    static tdm_pid old[N];

    for (int i = 0; i < N; i++) {
        old[i] = spawn_worker(w, (uint64_t)i);
        tell(w, old[i], exit_normal, NULL);
        wait_end(w, old[i]);
    }
    wait_actor_count(w, 0);
    tdm_pid now[8];
    for (uint64_t i = 0; i < 8; i++)
        now[i] = spawn_worker(w, 1000 + i);
    for (int i = 0; i < N; i++) {
        check_eq(w, send_number(w, old[i], 1), TDM_ENOPROC);
        check_eq(w, tdm_kill(w->rt, old[i]), TDM_ENOPROC);
        check_eq(w, tdm_stop(w->rt, old[i]), TDM_ENOPROC);
        check(w, !tdm_alive(w->rt, old[i]));
    }
    for (int i = 0; i < 8; i++) {
        ask(w, now[i], do_nothing, NULL);
        check(w, tdm_alive(w->rt, now[i]));
    }
    check_eq(w, marks(w, "got"), 0);
}

WORLD_TEST(slot, addresses_are_never_given_out_twice)
{
    enum { N = 400 };
    static uint64_t ids[N];

    for (int i = 0; i < N; i++) {
        tdm_pid a = spawn_worker(w, 1);
        ids[i] = a.id;
        tdm_kill(w->rt, a);
        wait_end(w, a);
    }
    for (int i = 0; i < N; i++)
        for (int k = 0; k < i; k++)
            check(w, ids[i] != ids[k]);
}

WORLD_TEST(slot, nonsense_is_nobody)
{
    uint64_t ids[] = {
        0, 1, UINT64_MAX, UINT64_MAX >> 1, 1ull << 63, 0xffffffffull, 1ull << 32, 5ull << 32 | 70000000
    };

    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        tdm_pid pid = { ids[i] };
        check(w, !tdm_alive(w->rt, pid));
        check_eq(w, send_number(w, pid, 1), TDM_ENOPROC);
        check_eq(w, tdm_kill(w->rt, pid), TDM_ENOPROC);
        check_eq(w, send_number_place(w, (tdm_place){ ids[i] }, 1), TDM_ENOPROC);
    }
}

/* A thread may outlive the runtimes it used, and visit several. */
static void *visit(void *arg)
{
    struct tdm_runtime *_Atomic *rt = arg;

    for (int i = 0; i < 3; i++) {
        struct tdm_runtime *r;
        while ((r = *rt) == NULL)
            sched_yield();
        tdm_msg_free(r, tdm_msg_new(r, TDM_MSG_USER, 10));
        *rt = NULL;
    }
    return NULL;
}

Test(thread, a_thread_that_outlives_a_runtime_may_use_the_next_one, .timeout = 30)
{
    static struct tdm_runtime *_Atomic shared;
    pthread_t t;

    cr_assert(pthread_create(&t, NULL, visit, (void *)&shared) == 0);
    for (int i = 0; i < 3; i++) {
        struct tdm_runtime *rt;
        cr_assert(tdm_runtime_new(&rt, &(struct tdm_runtime_cfg){ .workers = 1 }) == TDM_OK);
        shared = rt;
        while (shared != NULL)
            sched_yield();
        tdm_runtime_free(rt);
    }
    pthread_join(t, NULL);
}
