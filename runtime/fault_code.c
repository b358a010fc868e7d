/* fault_code.c - whose code stands at an address, and who may be left in the middle.
 *
 * Idea:      what a callback does in its own code can be left by a jump. In this library, or in libc while it may
 *            hold a lock (malloc, stdio), it cannot: going on could deadlock or corrupt. So the frames are followed
 *            from the place of the fault outward to the callback's own code, and what they pass through decides.
 * A fault comes where it comes: libc functions known to hold nothing (memcpy, strlen, abort, the checks of the compiler)
 *            may be left. An interruption by the watchdog can wait for a better moment, so it asks for more: app code,
 *            or one of those few functions that copy or wait, called from app code itself.
 * Linked statically the library's code is part of the program; then nothing can be told apart.
 * Read by signal handlers while it may grow: a place in the list is published when it is complete, and an app that was
 * unloaded leaves an empty one. */
#include "fault_code.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unwind.h>

#include "symbol.h"

enum { MODULES_MAX = 128 };
enum kind { CODE_APP, CODE_OURS, CODE_LIBC, CODE_LIBRARY };

static struct module {
    _Atomic uintptr_t low,
        high; /* high 0: not in use. Release: low and kind are written; partner: kind_of() */
    _Atomic enum kind kind;
} modules[MODULES_MAX];
static _Atomic int n_modules;
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;
static bool linked_statically;

/* ---- whose code is it ------------------------------------------------------------------------ */

/* One at a time. Relaxed: the last line publishes the others, and readers look at that first. */
static void add(uintptr_t low, uintptr_t high, enum kind kind)
{
    int i = 0, n = atomic_load_explicit(&n_modules, memory_order_relaxed);

    while (i < n && atomic_load_explicit(&modules[i].high, memory_order_relaxed) != 0)
        i++;
    if (i == MODULES_MAX)
        return;
    atomic_store_explicit(&modules[i].kind, kind, memory_order_relaxed);
    atomic_store_explicit(&modules[i].low, low, memory_order_relaxed);
    atomic_store_explicit(&modules[i].high, high, memory_order_release);
    if (i == n)
        atomic_store_explicit(&n_modules, n + 1, memory_order_release);
}

static int note_module(struct dl_phdr_info *info, size_t size, void *ctx)
{
    uintptr_t libc = (uintptr_t)ctx;
    uintptr_t ours = (uintptr_t)&fault_code_learn;
    bool program = info->dlpi_name == NULL || info->dlpi_name[0] == '\0';

    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
            continue;
        uintptr_t low = info->dlpi_addr + p->p_vaddr, high = low + p->p_memsz;
        bool is_ours = ours >= low && ours < high;
        add(low, high,
            program                      ? CODE_APP
            : is_ours                    ? CODE_OURS
            : libc >= low && libc < high ? CODE_LIBC
                                         : CODE_LIBRARY);
        linked_statically |= program && is_ours;
    }
    return 0;
}

static enum kind kind_of(uintptr_t pc)
{
    int n = atomic_load_explicit(&n_modules, memory_order_acquire); /* partner: add() */

    for (int i = 0; i < n; i++) {
        uintptr_t high = atomic_load_explicit(&modules[i].high, memory_order_acquire); /* partner: add() */
        if (pc < high && pc >= atomic_load_explicit(&modules[i].low, memory_order_relaxed))
            return atomic_load_explicit(&modules[i].kind, memory_order_relaxed);
    }
    return CODE_LIBRARY; /* loaded since, or a jump to nowhere */
}

/* ---- apps that are loaded -------------------------------------------------------------------- */

struct loaded {
    uintptr_t base;
    bool gone;
};

static void forget(uintptr_t low)
{
    for (int i = 0; i < MODULES_MAX; i++)
        if (atomic_load_explicit(&modules[i].low, memory_order_relaxed) == low)
            atomic_store_explicit(&modules[i].high, 0, memory_order_release);
}

static int change_one(struct dl_phdr_info *info, size_t size, void *ctx)
{
    const struct loaded *l = ctx;

    (void)size;
    if (info->dlpi_addr != l->base || info->dlpi_name == NULL || info->dlpi_name[0] == '\0')
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t low = info->dlpi_addr + p->p_vaddr;
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
            continue;
        if (l->gone)
            forget(low);
        else
            add(low, low + p->p_memsz, CODE_APP);
    }
    return 1;
}

static void change(void *handle, bool gone)
{
    struct link_map *map;

    if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0)
        return;
    pthread_mutex_lock(&changing);
    dl_iterate_phdr(change_one, &(struct loaded){ map->l_addr, gone });
    pthread_mutex_unlock(&changing);
    symbol_forget(); /* another file's code may come to stand there */
}

void fault_code_app_loaded(void *handle)
{
    change(handle, false);
}

void fault_code_app_gone(void *handle)
{
    change(handle, true);
}

bool fault_code_apart(void)
{
    return !linked_statically;
}

bool fault_code_is_code(uintptr_t pc)
{
    int n = atomic_load_explicit(&n_modules, memory_order_acquire); /* partner: add() */

    for (int i = 0; i < n; i++)
        if (pc < atomic_load_explicit(&modules[i].high, memory_order_acquire) &&
            pc >= atomic_load_explicit(&modules[i].low, memory_order_relaxed))
            return true;
    return false;
}

bool fault_code_is_app(uintptr_t pc)
{
    return kind_of(pc) == CODE_APP;
}

/* ---- what libc may be left in ---------------------------------------------------------------- */

/* Entered from app code, these hold nothing, whatever they call. */
static const char *const harmless[] = {
    "abort",  "raise",   "__assert_fail", "__assert", "__stack_chk_fail", "pthread_kill", "gsignal",
    "strlen", "strcmp",  "strcpy",        "strncpy",  "strcat",           "strchr",       "strrchr",
    "strstr", "strncmp", "strcasecmp",    "memcpy",   "memmove",          "memset",       "memcmp",
    "memchr", "atoi",    "strtol",        "strtoul",  "snprintf",         "sprintf",      "vsnprintf",
    NULL
};

/* These call back into the app, and hold nothing meanwhile. */
static const char *const calls_back[] = { "qsort",   "qsort_r", "bsearch", "lfind", "lsearch",
                                          "tsearch", "tfind",   "tdelete", "twalk", NULL };

/* These wait, and hold nothing of libc's own meanwhile. */
static const char *const waits[] = { "nanosleep",
                                     "clock_nanosleep",
                                     "sleep",
                                     "usleep",
                                     "pause",
                                     "poll",
                                     "ppoll",
                                     "select",
                                     "pselect",
                                     "epoll_wait",
                                     "epoll_pwait",
                                     "read",
                                     "recv",
                                     "recvfrom",
                                     "recvmsg",
                                     "write",
                                     "send",
                                     "sendto",
                                     "sendmsg",
                                     "accept",
                                     "accept4",
                                     "connect",
                                     "flock",
                                     "waitpid",
                                     "sem_wait",
                                     "sem_timedwait",
                                     "pthread_mutex_lock",
                                     "pthread_mutex_timedlock",
                                     "pthread_cond_wait",
                                     "pthread_cond_timedwait",
                                     NULL };

/* These come back by themselves, do not call back, and may hold a lock until then. */
static const char *const returns[] = { "strdup",   "strndup",  "printf", "fprintf", "vprintf",
                                       "vfprintf", "asprintf", "puts",   "fputs",   "putchar",
                                       "fputc",    "fwrite",   "fflush", NULL };

/* These copy or look. Which implementation the processor gets is found out once: it has no name of its own. */
static const char *const leaf_names[] = { "memset", "memcpy", "memmove", "memcmp", "memchr", "strlen",
                                          "strchr", "strcmp", "strcpy",  "strcat", "strstr", NULL };
static void *leaves[sizeof leaf_names / sizeof leaf_names[0]];

static bool listed(const char *const *names, const char *name)
{
    while (*names != NULL && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

/* Of its names the linker may know any: read, __read. */
static bool is_wait(const char *name)
{
    return listed(waits, name + strspn(name, "_"));
}

static bool checks(const char *name)
{
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, "_chk") == 0;
}

static bool allocates(const char *name)
{
    return strstr(name, "alloc") != NULL || strstr(name, "free") != NULL;
}

static bool is_leaf(void *pc)
{
    void *start = _Unwind_FindEnclosingFunction(pc);

    for (size_t i = 0; leaf_names[i] != NULL; i++)
        if (start != NULL && leaves[i] == start)
            return true;
    return false;
}

void fault_code_learn(void)
{
    for (size_t i = 0; leaf_names[i] != NULL; i++)
        leaves[i] = dlsym(RTLD_DEFAULT, leaf_names[i]);
    dl_iterate_phdr(note_module, dlsym(RTLD_DEFAULT, "abort"));
}

/* ---- deciding -------------------------------------------------------------------------------- */

/* The function of libc that was called from elsewhere. A return address lies behind its call, which may be the last thing
 * in its function; the innermost frame is no return address. */
static const char *entry_name(void *const *frames, int i)
{
    Dl_info info;
    const char *pc = (const char *)frames[i] - (i > 0);

    return dladdr(pc, &info) != 0 && info.dli_sname != NULL ? info.dli_sname : "";
}

/* Innermost frames that are libc's. */
static int in_libc(void *const *frames, int n)
{
    int i = 0;

    while (i < n && kind_of((uintptr_t)frames[i]) == CODE_LIBC)
        i++;
    return i;
}

/* From frame i on, in the app's code, outward to the runtime: was the app called by a function of libc that holds
 * something? By another library it may have been: what that holds is its own. */
static bool inside_libc(void *const *frames, int i, int n)
{
    for (; i < n && kind_of((uintptr_t)frames[i]) != CODE_OURS; i++) {
        bool last_of_libc = kind_of((uintptr_t)frames[i]) == CODE_LIBC &&
                            (i + 1 == n || kind_of((uintptr_t)frames[i + 1]) != CODE_LIBC);
        if (last_of_libc && !listed(calls_back, entry_name(frames, i)))
            return true;
    }
    return false;
}

/* Nothing but app code from frame i outward to the runtime. */
static bool all_app(void *const *frames, int i, int n)
{
    while (i < n && kind_of((uintptr_t)frames[i]) == CODE_APP)
        i++;
    return i == n || kind_of((uintptr_t)frames[i]) == CODE_OURS;
}

/* A smashed stack is found only after the damage: on a fiber that is the fiber's own, elsewhere it may be the worker's. */
const char *fault_code_holds(void *const *frames, int n, bool on_fiber)
{
    int i = in_libc(frames, n);

    if (linked_statically)
        return NULL;
    if (i < n && kind_of((uintptr_t)frames[i]) == CODE_OURS)
        return "the runtime itself was at work and may hold locks that all actors need";
    if (inside_libc(frames, i, n))
        return "libc had called the app and may hold a lock";
    if (i == 0)
        return NULL;
    if (i == n)
        return "the stack is damaged: nobody can tell what was being done";
    const char *entry = entry_name(frames, i - 1);
    if (strcmp(entry, "__stack_chk_fail") == 0)
        return on_fiber ? NULL : "a stack frame was written over, and it was on the worker's own stack";
    if (listed(harmless, entry) || checks(entry) || (i == 1 && !allocates(entry)))
        return NULL;
    return allocates(entry) ? "malloc or free was at work: the heap is damaged or its lock is held"
                            : "libc was at work and may hold a lock";
}

bool fault_code_may_leave(void *const *frames, int n)
{
    int i = in_libc(frames, n);

    if (linked_statically || i == n || !all_app(frames, i, n))
        return false;
    return i == 0 || (i == 1 && is_leaf(frames[0])) || is_wait(entry_name(frames, i - 1));
}

int fault_code_comes_back(void *const *frames, int n)
{
    int i = in_libc(frames, n);

    if (linked_statically || i == 0 || i == n || !all_app(frames, i, n))
        return 0;
    const char *entry = entry_name(frames, i - 1);
    bool will = allocates(entry) || listed(harmless, entry) || checks(entry) ||
                listed(returns, entry + strspn(entry, "_"));
    return will ? i : 0;
}

int fault_code_telling(void *const *frames, int n)
{
    int last = n;

    while (last > 0 && kind_of((uintptr_t)frames[last - 1]) != CODE_APP)
        last--;
    return linked_statically || last == 0 || last == n ? n : last + 1;
}
