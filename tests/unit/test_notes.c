/* test_notes.c - notes in shared memory: whole at whatever store the process dies, and nobody else's. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "note_map.h"
#include "note_store.h"
#include "tandem/log.h"

TestSuite(notes, .timeout = 60);

static char path[64];
static char why[128];

static void new_path(void)
{
    strcpy(path, "/tmp/test_notes.XXXXXX");
    int fd = mkstemp(path);
    close(fd);
    unlink(path);
}

static struct tdm_note_store *open_store(const char *at, uint32_t records)
{
    struct tdm_note_store *s = NULL;
    int err = tdm_note_store_open(&s, &(struct tdm_note_store_cfg){ .path = at, .records = records }, why,
                                  sizeof why);

    cr_assert(err == TDM_OK, "%s", why);
    cr_assert(zero(int, note_store_attach(s, tdm_env_real())));
    return s;
}

static void close_store(struct tdm_note_store *s)
{
    note_store_detach(s);
    tdm_note_store_close(s);
}

static int make(struct tdm_note_store *s, const char *key, const char *note)
{
    int record = NOTE_NO_RECORD;
    int err = note_store_make(s, key, strlen(key), &record);

    cr_assert(err == TDM_OK || record == NOTE_NO_RECORD);
    if (err == TDM_OK)
        note_store_write(s, record, note, strlen(note));
    return err == TDM_OK ? record : err;
}

/* What the next process finds; claims it. */
static const char *found(struct tdm_note_store *s, const char *key)
{
    static char text[TDM_NOTE_MAX + 1];
    int record;

    cr_assert(zero(int, note_store_claim(s, key, strlen(key), true, &record)));
    if (record == NOTE_NO_RECORD)
        return "nothing";
    text[note_store_read(s, record, text)] = '\0';
    note_store_release(s, record);
    return text;
}

Test(notes, what_one_process_saved_the_next_one_finds)
{
    new_path();
    struct tdm_note_store *s = open_store(path, 8);

    make(s, "a", "one");
    note_store_write(s, make(s, "b", "two"), "three", 5);
    close_store(s); /* no release, no end: killed */
    s = open_store(path, 8);
    cr_expect(eq(str, (char *)found(s, "a"), "one"));
    cr_expect(eq(str, (char *)found(s, "b"), "three"));
    cr_expect(eq(str, (char *)found(s, "c"), "nothing"));
    cr_expect(eq(sz, note_store_used(s), 2));
    close_store(s);
    unlink(path);
}

Test(notes, memory_without_a_name_does_as_well)
{
    struct tdm_note_store *s = open_store(NULL, 8);

    make(s, "a", "one");
    note_store_detach(s);
    cr_assert(zero(int, note_store_attach(s, tdm_env_real())));
    cr_expect(eq(str, (char *)found(s, "a"), "one"));
    close_store(s);
}

/* ---- killed at each store -------------------------------------------------------------------- */

static struct {
    struct tdm_note_store *s;
    int points, failed;
    const char *before, *after;
} kill_at;

/* The process dies here: what would the next one find? */
static void look(void *ctx)
{
    size_t bytes;
    const void *memory = note_store_memory(kill_at.s, &bytes);
    struct tdm_note_store *copy = open_store(NULL, 2);
    void *to = note_store_memory(copy, &bytes);

    (void)ctx;
    note_store_detach(copy);
    memcpy(to, memory, bytes);
    cr_assert(zero(int, note_store_attach(copy, tdm_env_real())));
    const char *text = found(copy, "key");
    kill_at.points++;
    kill_at.failed += strcmp(text, kill_at.before) != 0 && strcmp(text, kill_at.after) != 0;
    close_store(copy);
}

static void watch(const char *before, const char *after)
{
    kill_at.before = before;
    kill_at.after = after;
}

Test(notes, a_process_killed_at_any_store_leaves_the_old_note_or_the_new_one)
{
    static char big[2][TDM_NOTE_MAX + 1];
    int record;

    memset(big[0], 'x', TDM_NOTE_MAX);
    memset(big[1], 'y', TDM_NOTE_MAX);
    kill_at.s = open_store(NULL, 2);
    note_store_watch(kill_at.s, look, NULL);
    for (int round = 0; round < 3; round++) { /* the record is used again, with all that was in it */
        watch("nothing", "");
        cr_assert(zero(int, note_store_make(kill_at.s, "key", 3, &record)));
        watch("", "first");
        note_store_write(kill_at.s, record, "first", 5);
        watch("first", big[0]);
        note_store_write(kill_at.s, record, big[0], TDM_NOTE_MAX);
        watch(big[0], big[1]);
        note_store_write(kill_at.s, record, big[1], TDM_NOTE_MAX);
        watch(big[1], "last");
        note_store_write(kill_at.s, record, "last", 4);
        watch("last", "nothing");
        note_store_release(kill_at.s, record);
        note_store_forget(kill_at.s, "key", 3);
    }
    cr_expect(zero(int, kill_at.failed));
    cr_expect(gt(int, kill_at.points, 150));
    close_store(kill_at.s);
}

/* ---- ends ------------------------------------------------------------------------------------ */

Test(notes, an_owner_keeps_its_note_until_it_lets_go_although_the_end_was_told)
{
    struct tdm_note_store *s = open_store(NULL, 4);
    int record = make(s, "a", "one"), other;

    cr_expect(eq(int, note_store_claim(s, "a", 1, true, &other), TDM_EEXIST));
    note_store_forget(s, "a", 1);
    note_store_write(s, record, "two", 3);
    cr_expect(eq(sz, note_store_used(s), 1));
    note_store_release(s, record);
    cr_expect(zero(sz, note_store_used(s)));
    close_store(s);
}

Test(notes, who_does_not_resume_finds_nothing_and_neither_does_a_later_one)
{
    struct tdm_note_store *s = open_store(NULL, 4);
    int record = make(s, "a", "one");

    note_store_release(s, record);
    cr_assert(zero(int, note_store_claim(s, "a", 1, false, &record)));
    cr_expect(eq(int, record, NOTE_NO_RECORD));
    cr_expect(eq(str, (char *)found(s, "a"), "nothing"));
    close_store(s);
}

static bool lives(void *ctx, const void *key, size_t bytes)
{
    return bytes == 3 && memchr(ctx, ((const char *)key)[2], strlen(ctx)) != NULL;
}

Test(notes, a_sweep_drops_those_of_its_prefix_that_have_no_owner_and_no_life)
{
    struct tdm_note_store *s = open_store(NULL, 8);
    static char living[] = "2";

    note_store_release(s, make(s, "p.1", "gone"));
    note_store_release(s, make(s, "p.2", "lives"));
    make(s, "p.3", "owned");
    note_store_release(s, make(s, "q.4", "of another"));
    cr_expect(eq(sz, note_store_sweep(s, "p.", 2, lives, living), 1));
    cr_expect(eq(str, (char *)found(s, "p.1"), "nothing"));
    cr_expect(eq(str, (char *)found(s, "p.2"), "lives"));
    cr_expect(eq(str, (char *)found(s, "q.4"), "of another"));
    cr_expect(eq(sz, note_store_used(s), 3));
    close_store(s);
}

Test(notes, a_full_store_says_so_and_has_room_again_after_an_end)
{
    struct tdm_note_store *s = open_store(NULL, 2);
    int a = make(s, "a", "1");

    make(s, "b", "2");
    cr_expect(eq(int, make(s, "c", "3"), TDM_EFULL));
    cr_expect(eq(int, make(s, "b", "3"), TDM_EFULL));
    note_store_forget(s, "a", 1);
    note_store_release(s, a);
    cr_expect(ge(int, make(s, "c", "3"), 0));
    cr_expect(eq(str, (char *)found(s, "a"), "nothing"));
    close_store(s);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void refused_with(const char *words)
{
    struct tdm_note_store *s;

    cr_expect(eq(int, tdm_note_store_open(&s, &(struct tdm_note_store_cfg){ .path = path }, why, sizeof why),
                 TDM_ECONFIG));
    cr_expect(eq(str, why, (char *)words));
}

static void write_file(const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0);
    close(fd);
}

Test(notes, foreign_files_are_left_as_they_are)
{
    struct stat st;

    new_path();
    write_file("my letters", 0600);
    refused_with("is something else than notes; it is left as it is");
    cr_expect(stat(path, &st) == 0 && st.st_size == 10);
    write_file("", 0640);
    refused_with("may be read by others; it must have mode 0600");
    unlink(path);
    mkdir(path, 0700);
    cr_expect(lt(int,
                 tdm_note_store_open(&(struct tdm_note_store *){ NULL },
                                     &(struct tdm_note_store_cfg){ .path = path }, why, sizeof why),
                 0));
    rmdir(path);
}

Test(notes, a_file_is_ours_alone_and_locked)
{
    struct stat st;

    new_path();
    struct tdm_note_store *s = open_store(path, 4);
    cr_expect(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    refused_with("is in use by another process; that one may still serve calls");
    close_store(s);
    close_store(open_store(path, 4));
    unlink(path);
}

/* Change one byte. */
static void damage(off_t at)
{
    unsigned char c;
    int fd = open(path, O_RDWR | O_CLOEXEC);

    cr_assert(fd >= 0 && pread(fd, &c, 1, at) == 1);
    c ^= 0x55;
    cr_assert(pwrite(fd, &c, 1, at) == 1);
    close(fd);
}

Test(notes, damage_costs_the_damaged_note_alone)
{
    static const off_t at[] = { offsetof(struct note_record, key_bytes),
                                offsetof(struct note_record, key_sum),
                                offsetof(struct note_record, key),
                                offsetof(struct note_record, version[0].bytes),
                                offsetof(struct note_record, version[0].sum),
                                NOTE_RECORD_HEAD };

    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        new_path();
        struct tdm_note_store *s = open_store(path, 4);
        int a = make(s, "a", "one"), b = make(s, "b", "two");
        cr_assert(a == 0 && b == 1);
        close_store(s);
        damage(NOTE_HEAD_BYTES + at[i]);
        s = open_store(path, 4);
        const char *text = found(s, "a");
        cr_expect(strcmp(text, "nothing") == 0 || text[0] == '\0', "%zu: %s", i, text);
        cr_expect(eq(str, (char *)found(s, "b"), "two"));
        close_store(s);
        unlink(path);
    }
}

Test(notes, a_damaged_head_or_a_cut_file_begins_anew_or_with_what_is_whole)
{
    new_path();
    struct tdm_note_store *s = open_store(path, 4);
    make(s, "a", "one");
    make(s, "b", "two");
    close_store(s);
    cr_assert(zero(int, truncate(path, NOTE_HEAD_BYTES + NOTE_RECORD_BYTES + 10)));
    s = open_store(path, 4);
    cr_expect(eq(str, (char *)found(s, "a"), "one"));
    cr_expect(eq(str, (char *)found(s, "b"), "nothing"));
    close_store(s);
    damage(12);
    s = open_store(path, 4);
    cr_expect(eq(str, (char *)found(s, "a"), "nothing"));
    close_store(s);
    unlink(path);
}

Test(notes, a_file_with_more_room_keeps_it)
{
    new_path();
    struct tdm_note_store *s = open_store(path, 3);
    make(s, "a", "1");
    make(s, "b", "2");
    make(s, "c", "3");
    close_store(s);
    s = open_store(path, 1);
    cr_expect(eq(str, (char *)found(s, "c"), "3"));
    close_store(s);
    unlink(path);
}

static uint64_t left_alone;

static void *failing_alloc(struct tdm_env *env, size_t bytes)
{
    (void)env;
    return left_alone-- > 0 ? malloc(bytes) : NULL;
}

Test(notes, without_memory_for_the_books_there_are_none)
{
    struct tdm_env env = *tdm_env_real();
    struct tdm_note_store *s = open_store(NULL, 4);

    env.alloc = failing_alloc;
    note_store_detach(s);
    for (uint64_t n = 0; n < 2; n++) {
        left_alone = n;
        cr_expect(eq(int, note_store_attach(s, &env), TDM_ENOMEM));
    }
    cr_expect(zero(int, note_store_attach(s, tdm_env_real())));
    close_store(s);
}
