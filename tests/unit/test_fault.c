/* Tests of runtime/fault.c in a program that links the shared library, as apps do: only then can a callback
 * that does not end be told from the runtime's own code and be ended. */
#include <stdatomic.h>
#include <string.h>

#include "worlds.h"

#if defined(__SANITIZE_THREAD__)
/* It delivers asynchronous signals at the next system call only, and does not find a jump buffer that was set in a
 * shared library ("can't find longjmp buf"). Contained faults under it: tests/conformance/test_containment.c. */
#define WITH_TSAN true
#else
#define WITH_TSAN false
#endif

static _Atomic bool never;

static int loop_for_ever(tdm_self *self, void *arg)
{
    (void)self, (void)arg;
    while (!atomic_load_explicit(&never, memory_order_relaxed))
        ;
    return TDM_OK;
}

REAL_TEST_WITH(fault, J5_a_callback_that_never_ends_is_ended_and_its_worker_goes_on, { .stuck_after_ms = 30 })
{
    tdm_pid watcher = spawn_worker(w, 1), bystander = spawn_worker(w, 2);

    if (WITH_TSAN)
        return;
    for (size_t i = 0; i < 4; i++) {
        tdm_pid a = spawn_worker(w, 3);
        ask(w, watcher, monitor_it, &a);
        tell(w, a, loop_for_ever, NULL);
        wait_marks(w, "down", i + 1);
        check_eq(w, mark_at(w, "down", i).reason.code, TDM_ESTUCK);
        ask(w, bystander, do_nothing, NULL);
    }
    check_eq(w, marks_of(w, "term", 3), 0);
}

REAL_TEST_WITH(fault, J5_a_fiber_that_never_waits_is_ended_too, { .stuck_after_ms = 30 })
{
    tdm_pid watcher = spawn_worker(w, 1);
    tdm_pid a = spawn_with(w, 2, (struct tdm_spawn_cfg){ .behaviour = &fiber_worker });

    if (WITH_TSAN)
        return;
    ask(w, watcher, monitor_it, &a);
    tell(w, a, loop_for_ever, NULL);
    wait_marks(w, "down", 1);
    check_eq(w, mark_at(w, "down", 0).reason.code, TDM_ESTUCK);
}

WORLD_TEST_WITH(fault, J4_every_fault_is_contained_in_a_program_with_the_shared_library, { .seeds = 5 })
{
    deed *const faults[] = { write_null, call_null, divide_by_zero, call_abort, overflow_stack, fail_assert };
    const struct tdm_behaviour *forms[] = { &worker, &fiber_worker };
    tdm_pid watcher = spawn_worker(w, 1);

    if (WITH_TSAN)
        return;
    for (size_t i = 0; i < 12; i++) {
        tdm_pid a = spawn_with(w, 2, (struct tdm_spawn_cfg){ .behaviour = forms[i / 6] });
        ask(w, watcher, monitor_it, &a);
        tell(w, a, faults[i % 6], NULL);
        wait_marks(w, "down", i + 1);
        check_eq(w, mark_at(w, "down", i).reason.code, i % 6 == 5 ? TDM_EASSERT : TDM_EFAULT);
    }
}
