/* sanitize.h - which sanitizer the compiler builds with: WITH_ASAN, WITH_TSAN, or neither; and their interfaces. */
#ifndef RUNTIME_SANITIZE_H
#define RUNTIME_SANITIZE_H
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define WITH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#elif __has_feature(thread_sanitizer)
#define WITH_TSAN 1
#endif
#endif

#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
/* Before a stack is given back: frames that were left by a jump are marked still, and munmap() clears no marks, so that
 * whatever is mapped there next would seem to overflow. */
static inline void stack_unmark(void *low, size_t bytes)
{
#ifdef WITH_ASAN
    ASAN_UNPOISON_MEMORY_REGION(low, bytes);
#else
    (void)low, (void)bytes;
#endif
}

#ifdef WITH_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#endif
