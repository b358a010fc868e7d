/* Modules in files, loaded by a program that links the shared library. The versions are built from modules/counter.c. */
#include <dirent.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "modules/counter.h"
#include "tandem/module.h"
#include "worlds.h"

/* ---- files ----------------------------------------------------------------------------------- */

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[512];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* A copy under that name, put there by renaming, as an installation does. */
static void install(const char *built, const char *name)
{
    char from[512], temporary[512], buf[65536];
    size_t n;

    snprintf(from, sizeof from, "%s/%s.so", MODULES_DIR, built);
    snprintf(temporary, sizeof temporary, "%s/new", folder);
    FILE *in = fopen(from, "rb"), *out = fopen(temporary, "wb");
    cr_assert(in != NULL && out != NULL, "%s", from);
    while ((n = fread(buf, 1, sizeof buf, in)) > 0)
        cr_assert(fwrite(buf, 1, n, out) == n);
    fclose(in);
    fclose(out);
    cr_assert(chmod(temporary, 0644) == 0);
    cr_assert(rename(temporary, in_folder(name)) == 0);
}

static void make_folder(void)
{
    strcpy(folder, "/tmp/tandem-module-XXXXXX");
    cr_assert(mkdtemp(folder) != NULL);
}

static void remove_folder(void)
{
    DIR *d = opendir(folder);

    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.')
            unlink(in_folder(e->d_name));
    closedir(d);
    cr_assert(rmdir(folder) == 0);
}

static int count_object(struct dl_phdr_info *i, size_t size, void *n)
{
    (void)size;
    *(int *)n += strstr(i->dlpi_name, "counter") != NULL;
    return 0;
}

/* Versions that are mapped into this process. */
static int mapped(void)
{
    int n = 0;

    dl_iterate_phdr(count_object, &n);
    return n;
}

static int descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

/* ---- asking a counter ------------------------------------------------------------------------ */

struct asker {
    struct world *w;
    tdm_pid counter;
};

static int asker_init(tdm_self *self, void *state, const struct tdm_start *start)
{
    struct asker *a = memcpy(state, start->arg, sizeof *a);

    return tdm_request(self, a->counter, tdm_msg_new(tdm_self_runtime(self), COUNTER_ASK, 0), 0) == 0
               ? TDM_ENOMEM
               : TDM_OK;
}

static int asker_handle(tdm_self *self, void *state, struct tdm_msg *m)
{
    struct asker *a = state;
    const struct counter_answer *answer = tdm_msg_view(m);

    (void)self;
    if (m->type == TDM_MSG_REPLY)
        mark(a->w, "count", answer->count);
    mark(a->w, "version", m->type == TDM_MSG_REPLY ? answer->version : 0);
    return TDM_STOP;
}

static const struct tdm_behaviour asker = {
    .name = "asker", .state_bytes = sizeof(struct asker), .init = asker_init, .handle = asker_handle
};

static uint64_t version_of(struct world *w, tdm_pid counter)
{
    struct asker a = { w, counter };
    size_t before = marks(w, "version");
    tdm_pid pid;

    check_eq(w,
             tdm_spawn(w->rt,
                       &(struct tdm_spawn_cfg){ .behaviour = &asker, .arg = &a, .arg_bytes = sizeof a },
                       &pid),
             TDM_OK);
    wait_marks(w, "version", before + 1);
    wait_end(w, pid);
    return mark_at(w, "version", before).n;
}

static tdm_pid spawn_counter(struct world *w)
{
    tdm_pid pid = { 0 };

    check_eq(w, tdm_spawn(w->rt, &(struct tdm_spawn_cfg){ .module = "counter" }, &pid), TDM_OK);
    return pid;
}

static void end(struct world *w, tdm_pid pid)
{
    check_eq(w, tdm_stop(w->rt, pid), TDM_OK);
    wait_end(w, pid);
}

static int load(struct world *w, const char *name)
{
    return tdm_module_load_file(w->rt, in_folder(name), false, NULL);
}

/* ---- tests ----------------------------------------------------------------------------------- */

WORLD_TEST_WITH(module_file, a_file_renamed_onto_the_path_of_another_is_a_new_version, { .seeds = 5 })
{
    struct tdm_module_moves moves;
    int before = descriptors();
    uint32_t busy = 0;

    make_folder();
    install("counter_1", "counter.so");
    check_eq(w, load(w, "counter.so"), TDM_OK);
    check_eq(w, load(w, "counter.so"), TDM_EEXIST);
    tdm_pid one = spawn_counter(w), other = spawn_counter(w);
    check_eq(w, version_of(w, one), 1);
    check_eq(w, version_of(w, other), 1);
    install("counter_2", "counter.so");
    check_eq(w, load(w, "counter.so"), TDM_OK);
    tdm_pid two = spawn_counter(w);
    check_eq(w, version_of(w, one), 1);
    check_eq(w, version_of(w, two), 2);
    check_eq(w, mapped(), 2);
    install("counter_3", "counter.so");
    check_eq(w, tdm_module_load_file(w->rt, in_folder("counter.so"), false, &busy), TDM_EBUSY);
    check_eq(w, busy, 2);
    check_eq(w, mapped(), 2);

    end(w, other);
    check_eq(w, tdm_module_upgrade(w->rt, "counter", 0, &moves), TDM_OK);
    check_eq(w, moves.moved, 1);
    check_eq(w, version_of(w, one), 2); /* it counted 2, and brought 1000 along */
    check_eq(w, mark_at(w, "count", marks(w, "count") - 1).n, 1003);
    check_eq(w, mapped(), 1);
    check_eq(w, load(w, "counter.so"), TDM_OK);
    end(w, one);
    check_eq(w, mapped(), 2);
    end(w, two);
    check_eq(w, mapped(), 1);
    check_eq(w, descriptors(), before + 1);
    tdm_runtime_stop(w->rt, 1000);
    remove_folder();
}

Test(module_file, all_is_unmapped_when_the_runtime_has_ended)
{
    struct tdm_runtime *rt;
    struct tdm_runtime_cfg cfg = { .workers = 2 };
    tdm_pid pid;

    make_folder();
    install("counter_1", "a.so");
    install("counter_2", "b.so");
    int before = descriptors();
    cr_assert(tdm_runtime_new(&rt, &cfg) == TDM_OK);
    cr_assert(tdm_module_load_file(rt, in_folder("a.so"), false, NULL) == TDM_OK);
    cr_assert(tdm_spawn(rt, &(struct tdm_spawn_cfg){ .module = "counter" }, &pid) == TDM_OK);
    cr_assert(tdm_module_load_file(rt, in_folder("b.so"), false, NULL) == TDM_OK);
    cr_assert(tdm_spawn(rt, &(struct tdm_spawn_cfg){ .module = "counter" }, &pid) == TDM_OK);
    tdm_runtime_free(rt);
    cr_assert(mapped() == 0);
    cr_assert(descriptors() == before);
    remove_folder();
}

WORLD_TEST_WITH(module_file, a_file_that_may_not_be_trusted_or_is_no_module_is_refused, { .seeds = 2 })
{
    char path[512];
    int before = descriptors();
    FILE *f;

    make_folder();
    install("counter_1", "counter.so");
    check_eq(w, tdm_module_load_file(w->rt, "counter.so", false, NULL), TDM_EINVAL);
    check_eq(w, load(w, "nothing.so"), -ENOENT);
    check_eq(w, tdm_module_load_file(w->rt, "/", false, NULL), -EACCES);
    check_eq(w, tdm_module_load_file(w->rt, folder, false, NULL),
             -EACCES); /* a folder; and /tmp is everybody's */
    for (mode_t bit = S_IWGRP; bit != 0; bit = bit == S_IWGRP ? S_IWOTH : 0) {
        cr_assert(chmod(in_folder("counter.so"), 0644 | bit) == 0);
        check_eq(w, load(w, "counter.so"), -EACCES);
        cr_assert(chmod(in_folder("counter.so"), 0644) == 0);
        cr_assert(chmod(folder, 0755 | bit) == 0);
        check_eq(w, load(w, "counter.so"), -EACCES);
        cr_assert(chmod(folder, 0755) == 0);
    }
    snprintf(path, sizeof path, "%s/link.so", folder);
    cr_assert(symlink("/tmp", path) == 0);
    check_eq(w, tdm_module_load_file(w->rt, path, false, NULL), -EACCES);
    snprintf(path, sizeof path, "%s/text.so", folder);
    cr_assert((f = fopen(path, "w")) != NULL);
    fputs("not a shared object\n", f);
    fclose(f);
    cr_assert(chmod(path, 0644) == 0);
    check_eq(w, tdm_module_load_file(w->rt, path, false, NULL), -ENOEXEC);
    install("counter_abi", "abi.so");
    check_eq(w, load(w, "abi.so"), TDM_ENOTSUP);
    install("counter_nameless", "nameless.so");
    check_eq(w, load(w, "nameless.so"), TDM_ENOTFOUND);
    check_eq(w, mapped(), 0);
    check_eq(w, descriptors(), before);
    check_eq(w, load(w, "counter.so"), TDM_OK); /* nothing was wrong with it */
    remove_folder();
}

WORLD_TEST_WITH(module_file, a_fault_in_its_code_ends_that_actor_alone, { .seeds = 3, .skip = NO_JUMP })
{
    make_folder();
    install("counter_1", "counter.so");
    check_eq(w, load(w, "counter.so"), TDM_OK);
    tdm_pid one = spawn_counter(w), two = spawn_counter(w);
    struct tdm_msg *m = tdm_msg_new(w->rt, COUNTER_CRASH, 0);
    check_eq(w, tdm_send(w->rt, one, m), TDM_OK);
    wait_end(w, one);
    check_eq(w, version_of(w, two), 1);
    end(w, two);
    remove_folder();
}

REAL_TEST_WITH(module_file, a_callback_of_its_code_that_never_ends_is_ended,
               { .stuck_after_ms = 30, .skip = NO_ASYNCHRONOUS_SIGNALS })
{
    make_folder();
    install("counter_1", "counter.so");
    install("counter_2", "next.so");
    check_eq(w, load(w, "counter.so"), TDM_OK);
    check_eq(w, load(w, "counter.so"), TDM_EEXIST); /* closed again: it must not take the note with it */
    for (int i = 0; i < 2; i++) {
        tdm_pid pid = spawn_counter(w);
        check_eq(w, tdm_send(w->rt, pid, tdm_msg_new(w->rt, COUNTER_LOOP, 0)), TDM_OK);
        wait_end(w, pid);
        if (i == 0)
            check_eq(w, load(w, "next.so"), TDM_OK);
    }
    remove_folder();
}

SIM_TEST_WITH(module_file, every_allocation_of_a_load_may_fail, { .seeds = 1 })
{
    int err = TDM_ENOMEM, before = descriptors();

    make_folder();
    install("counter_1", "counter.so");
    for (uint64_t nth = 1; err != TDM_OK; nth++) {
        check(w, nth < 50);
        check_eq(w, mapped(), 0);
        check_eq(w, descriptors(), before);
        tdm_env_sim_fail_alloc(w->env, nth, false);
        err = load(w, "counter.so");
        check(w, err == TDM_OK || err == TDM_ENOMEM);
        tdm_env_sim_fail_alloc(w->env, 0, false);
    }
    remove_folder();
}
