/* module_file.c - a module's version from a shared object.
 *
 * Who may write the file, or put another in its place, may run code here: so the file and its folder are looked at
 * first, and the file is opened in the folder that was looked at, whatever its path leads to by then.
 * The dynamic linker takes a name it knows for the file it knows, even if another has been renamed there since. So each
 * load uses a name of its own: the folder's descriptor, the load's number written in steps that lead nowhere, the file. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault_code.h"
#include "module.h"
#include "runtime.h"
#include "tandem/log.h"

enum { NAME_BYTES = PATH_MAX + 128 };

/* In a list of the process: two runtimes may have the same file. */
struct file {
    struct file *next;
    struct tdm_env *env;
    void *handle;
    int folder; /* open as long as the file is loaded: crash reports look for its symbols under our name */
};

static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *files; /* that are open */

static int refuse(const char *path, int err, const char *why)
{
    tdm_log_error("module.refused", "why=file path=%s text=%s", TDM_LOG_TEXT(path, strlen(path)),
                  TDM_LOG_TEXT(why, strlen(why)));
    return err;
}

static bool only_ours(const struct stat *st)
{
    return (st->st_uid == 0 || st->st_uid == geteuid()) && (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* The folder of the file, open, when both may be trusted; base is the file's name in it. */
static int open_folder(const char *path, char *real, const char **base)
{
    struct stat st;

    if (path[0] != '/')
        return refuse(path, TDM_EINVAL, "not an absolute path");
    if (realpath(path, real) == NULL)
        return refuse(path, -errno, "no such file");
    char *slash = strrchr(real, '/');
    *slash = '\0';
    *base = slash + 1;
    int fd = open(real[0] == '\0' ? "/" : real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return refuse(path, -errno, "its folder can not be opened");
    int err = TDM_OK;
    if (fstat(fd, &st) != 0 || !only_ours(&st))
        err = refuse(path, -EACCES, "others may write its folder");
    else if (fstatat(fd, *base, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
        err = refuse(path, -EACCES, "not an ordinary file");
    else if (!only_ours(&st))
        err = refuse(path, -EACCES, "others may write it");
    if (err == TDM_OK)
        return fd;
    close(fd);
    return err;
}

/* A name for the file that no load of this process has had. */
static void own_name(char *name, int folder, const char *base)
{
    static _Atomic uint32_t loads;
    uint32_t number = atomic_fetch_add_explicit(&loads, 1, memory_order_relaxed); /* only unique */
    int n = snprintf(name, NAME_BYTES, "/proc/self/fd/%d", folder);

    for (; number > 0; number >>= 1)
        n += snprintf(name + n, NAME_BYTES - (size_t)n, "%s", number & 1 ? "/." : "/");
    snprintf(name + n, NAME_BYTES - (size_t)n, "/%s", base);
}

/* Under the lock: does another load of ours hold the same object? */
static bool shared(const struct file *f)
{
    const struct file *other = files;

    while (other != NULL && (other == f || other->handle != f->handle))
        other = other->next;
    return other != NULL;
}

/* A callback that does not end can be ended only in code that is known as an app's. */
static void note(struct file *f)
{
    pthread_mutex_lock(&files_lock);
    if (!shared(f))
        fault_code_app_loaded(f->handle);
    f->next = files;
    files = f;
    pthread_mutex_unlock(&files_lock);
}

static void forget(struct file *f)
{
    struct file **at = &files;

    pthread_mutex_lock(&files_lock);
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    if (!shared(f))
        fault_code_app_gone(f->handle);
    pthread_mutex_unlock(&files_lock);
}

static void file_close(void *arg)
{
    struct file *f = arg;

    if (f->handle != NULL) {
        forget(f);
        dlclose(f->handle);
    }
    close(f->folder);
    f->env->free(f->env, f, sizeof *f);
}

static int file_open(struct tdm_env *env, const char *path, struct file **ret)
{
    char real[PATH_MAX], name[NAME_BYTES];
    const char *base = NULL;
    int folder = open_folder(path, real, &base);
    struct file *f = folder < 0 ? NULL : env->alloc(env, sizeof *f);

    if (f == NULL) {
        if (folder >= 0)
            close(folder);
        return folder < 0 ? folder : TDM_ENOMEM;
    }
    own_name(name, folder, base);
    *f = (struct file){ .env = env, .folder = folder, .handle = dlopen(name, RTLD_NOW | RTLD_LOCAL) };
    if (f->handle == NULL) {
        const char *why = dlerror();
        file_close(f);
        return refuse(path, -ENOEXEC, why != NULL ? why : "it can not be loaded");
    }
    note(f);
    *ret = f;
    return TDM_OK;
}

int tdm_module_load_file(struct tdm_runtime *rt, const char *path, bool force, uint32_t *busy)
{
    struct file *f;
    int err = file_open(rt->env, path, &f);

    if (busy != NULL)
        *busy = 0;
    if (err < 0)
        return err;
    const struct tdm_module *m = dlsym(f->handle, "tdm_module");
    err = m == NULL ? refuse(path, TDM_ENOTFOUND, "it has no symbol tdm_module")
                    : module_load(rt, m, f, file_close, force, busy);
    if (err < 0)
        file_close(f);
    return err;
}
