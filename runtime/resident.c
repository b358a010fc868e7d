/* resident.c - how much memory a thread takes.
 *
 * Idea:      the kernel counts memory for the process and first touches of pages for each thread. A thread is charged
 *            with its share of the growth: growth times its touches by all touches. What it gave back does not count,
 *            and a page that is larger than the others counts as what it is, unless another thread takes small ones
 *            meanwhile: an estimate, to within a small factor then. */
#include "resident.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool read_text(const char *path, char *buf, size_t bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    ssize_t n = read(fd, buf, bytes - 1);
    close(fd);
    buf[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* Field 10 of stat, counted behind the command's name, which may hold anything. Source: proc(5), minflt. */
static bool faults_in(const char *path, uint64_t *ret)
{
    char text[1024];
    const char *at;

    if (!read_text(path, text, sizeof text) || (at = strrchr(text, ')')) == NULL)
        return false;
    for (int field = 2; field < 10 && at != NULL; field++)
        at = strchr(at + 1, ' ');
    if (at == NULL)
        return false;
    *ret = strtoull(at + 1, NULL, 10);
    return true;
}

bool resident_now(pid_t thread, struct resident *ret)
{
    char path[64], text[128];

    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
    if (!faults_in(path, &ret->thread_faults) || !faults_in("/proc/self/stat", &ret->faults) ||
        !read_text("/proc/self/statm", text, sizeof text))
        return false;
    const char *second = strchr(text, ' ');
    if (second == NULL)
        return false;
    ret->bytes = strtoull(second + 1, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

uint64_t resident_taken(const struct resident *then, const struct resident *now)
{
    uint64_t all = now->faults - then->faults, own = now->thread_faults - then->thread_faults;

    if (now->bytes <= then->bytes || all == 0)
        return 0;
    return (uint64_t)((double)(now->bytes - then->bytes) * (double)(own < all ? own : all) / (double)all);
}
