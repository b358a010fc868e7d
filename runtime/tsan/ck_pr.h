/* ck_pr.h - Concurrency Kit's primitives for the ThreadSanitizer build.
 *
 * Idea:      CK's own are inline assembly, which the sanitizer can not see, so it reports correct code
 *            as races. This file stands first on the include path of the tsan build, gives the same
 *            names by compiler builtins, and then lets CK's header define what is left.
 * Orders:    loads acquire, stores release, everything else is sequentially consistent. That is what
 *            x86 gives CK's assembly, so the build hides no bug that the machine would show.
 * Left out:  double-width operations, which have no builtin of this shape; code that needs them does
 *            not compile here.
 * Touched by nobody else; include <ck_pr.h> as always. */
#ifndef TANDEM_TSAN_CK_PR_H
#define TANDEM_TSAN_CK_PR_H
#define CK_USE_CC_BUILTINS 1
#define CK_F_PR            /* CK then leaves all of the following to us */
#define CK_PR_DISABLE_DOUBLE
#include <ck_cc.h>
#include <ck_limits.h>
#include <ck_md.h>
#include <ck_stdbool.h>
#include <ck_stdint.h>
#include <gcc/ck_f_pr.h>

/* Operations of one width. `M` is what the caller's pointer points to, `T` the value. */
#define SHIM_ACCESS(S, M, T)                                                                         \
    CK_CC_INLINE static T ck_pr_md_load_##S(const M *target)                                         \
    {                                                                                                \
        return __atomic_load_n((T const *)target, __ATOMIC_ACQUIRE);                                 \
    }                                                                                                \
    CK_CC_INLINE static T ck_pr_fas_##S(M *target, T v)                                              \
    {                                                                                                \
        return __atomic_exchange_n((T *)target, v, __ATOMIC_SEQ_CST);                                \
    }                                                                                                \
    CK_CC_INLINE static bool ck_pr_cas_##S(M *target, T compare, T set)                              \
    {                                                                                                \
        return __atomic_compare_exchange_n((T *)target, &compare, set, false, __ATOMIC_SEQ_CST,      \
                                           __ATOMIC_SEQ_CST);                                        \
    }                                                                                                \
    CK_CC_INLINE static bool ck_pr_cas_##S##_value(M *target, T compare, T set, M *old)              \
    {                                                                                                \
        bool done = __atomic_compare_exchange_n((T *)target, &compare, set, false, __ATOMIC_SEQ_CST, \
                                                __ATOMIC_SEQ_CST);                                   \
        *(T *)old = compare;                                                                         \
        return done;                                                                                 \
    }
#define SHIM_STORE(S, M, T)                                     \
    CK_CC_INLINE static void ck_pr_md_store_##S(M *target, T v) \
    {                                                           \
        __atomic_store_n((T *)target, v, __ATOMIC_RELEASE);     \
    }
/* Arithmetic; a pointer is counted in bytes, so it goes as an integer. */
#define SHIM_ARITHMETIC(S, M, T, N)                                        \
    CK_CC_INLINE static T ck_pr_faa_##S(M *target, T d)                    \
    {                                                                      \
        return (T)__atomic_fetch_add((N *)target, (N)d, __ATOMIC_SEQ_CST); \
    }                                                                      \
    SHIM_BINARY(S, M, T, N, add)                                           \
    SHIM_BINARY(S, M, T, N, sub)                                           \
    SHIM_BINARY(S, M, T, N, and)                                           \
    SHIM_BINARY(S, M, T, N, or)                                            \
    SHIM_BINARY(S, M, T, N, xor)                                           \
    CK_CC_INLINE static void ck_pr_inc_##S(M *target)                      \
    {                                                                      \
        ck_pr_add_##S(target, (T)1);                                       \
    }                                                                      \
    CK_CC_INLINE static void ck_pr_dec_##S(M *target)                      \
    {                                                                      \
        ck_pr_sub_##S(target, (T)1);                                       \
    }
#define SHIM_BINARY(S, M, T, N, K)                                     \
    CK_CC_INLINE static void ck_pr_##K##_##S(M *target, T d)           \
    {                                                                  \
        (void)__atomic_fetch_##K((N *)target, (N)d, __ATOMIC_SEQ_CST); \
    }
#define SHIM_WORD(S, T) SHIM_ACCESS(S, T, T) SHIM_STORE(S, T, T) SHIM_ARITHMETIC(S, T, T, T)

SHIM_WORD(char, char)
SHIM_WORD(int, int)
SHIM_WORD(uint, unsigned int)
SHIM_WORD(64, uint64_t)
SHIM_WORD(32, uint32_t)
SHIM_WORD(16, uint16_t)
SHIM_WORD(8, uint8_t)
SHIM_ACCESS(ptr, void, void *)
SHIM_ARITHMETIC(ptr, void, void *, uintptr_t)
CK_CC_INLINE static void ck_pr_md_store_ptr(void *target, const void *v)
{
    __atomic_store_n((void **)target, CK_CC_DECONST_PTR(v), __ATOMIC_RELEASE);
}

#define CK_F_PR_FAS_PTR
#define CK_F_PR_FAS_CHAR
#define CK_F_PR_FAS_INT
#define CK_F_PR_FAS_UINT
#define CK_F_PR_FAS_64
#define CK_F_PR_FAS_32
#define CK_F_PR_FAS_16
#define CK_F_PR_FAS_8

CK_CC_INLINE static void ck_pr_stall(void)
{
    __asm__ __volatile__("" ::: "memory");
}

/* The sanitizer does not model fences; the orders above already say what it needs. The processor and
 * the compiler still get a real one. */
#define SHIM_FENCE(T)                                     \
    CK_CC_INLINE static void ck_pr_fence_strict_##T(void) \
    {                                                     \
        __sync_synchronize();                             \
    }
SHIM_FENCE(atomic)
SHIM_FENCE(atomic_load)
SHIM_FENCE(atomic_store)
SHIM_FENCE(store_atomic)
SHIM_FENCE(load_atomic)
SHIM_FENCE(load)
SHIM_FENCE(load_store)
SHIM_FENCE(store)
SHIM_FENCE(store_load)
SHIM_FENCE(memory)
SHIM_FENCE(acquire)
SHIM_FENCE(release)
SHIM_FENCE(acqrel)
SHIM_FENCE(lock)
SHIM_FENCE(unlock)

#undef SHIM_ACCESS
#undef SHIM_STORE
#undef SHIM_ARITHMETIC
#undef SHIM_BINARY
#undef SHIM_WORD
#undef SHIM_FENCE
#include_next <ck_pr.h>
#endif
