/* sanitizer.h - what a test can not do under a sanitizer, and why: a text to skip it with, or NULL where it runs. */
#ifndef TESTS_UNIT_SANITIZER_H
#define TESTS_UNIT_SANITIZER_H
#include <criterion/criterion.h>

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#elif __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif

#define SKIP_IF(why)                      \
    do {                                  \
        const char *skip_why = (why);     \
        if (skip_why != NULL)             \
            cr_skip_test("%s", skip_why); \
    } while (0)

#ifdef UNDER_TSAN
#define NOT_UNDER_TSAN(why) "ThreadSanitizer " why
#else
#define NOT_UNDER_TSAN(why) ((const char *)NULL)
#endif

#ifdef UNDER_ASAN
#define NOT_UNDER_ASAN(why) "AddressSanitizer " why
#else
#define NOT_UNDER_ASAN(why) ((const char *)NULL)
#endif

#if defined(UNDER_TSAN) || defined(UNDER_ASAN)
#define NOT_UNDER_A_SANITIZER(why) "a sanitizer " why
#else
#define NOT_UNDER_A_SANITIZER(why) ((const char *)NULL)
#endif

/* Faults are contained under ThreadSanitizer in programs with the static library: tests/conformance. */
#define NO_ASYNCHRONOUS_SIGNALS \
    NOT_UNDER_TSAN("delivers a signal at the next system call only: an endless callback is not interrupted")
#define NO_JUMP     \
    NOT_UNDER_TSAN( \
        "does not find a jump buffer that was set in a shared library (\"can't find longjmp buf\")")
#define NO_WALK NOT_UNDER_TSAN("does not let a signal handler walk the stack")
#define NOT_IN_LIBC \
    NOT_UNDER_A_SANITIZER("stands between the app and libc: what is called is its own, and not left")
#define NOT_ITS_END NOT_UNDER_A_SANITIZER("ends the process in a way of its own")

#endif
