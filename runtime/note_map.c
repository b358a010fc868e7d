/* note_map.c - notes in shared memory, whole whenever the process that writes them is killed.
 *
 * Idea:      a record holds its key and two versions of the note. A save overwrites the older one and makes it count by
 *            one last store. What a kill -9 leaves is a prefix of our stores in program order (the kernel keeps the
 *            pages, and a thread is stopped between two instructions), so these orders are all there is to it:
 *              save:  seq = 0 | note, bytes, sum | seq = n     the other version stays untouched throughout
 *              take:  (used is 0) both seq = 0 | key | used = 1
 *              drop:  used = 0
 *            The fences keep the compiler (and a machine that reorders) to them.
 * Checksums are for files that were damaged otherwise; after a kill they always fit.
 * Layout:    a head of one page; records of three. The two versions lie in alternate pieces of 256 bytes, so that short
 *            notes and their key share one page.
 * A record is written by its owner alone (note_store.c). */
#include "note_map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

static const char magic[8] = "TDMNOTE";

struct head {
    char magic[8];
    uint32_t version, record_bytes, note_max, sum;
};

_Static_assert(sizeof(struct note_record) <= NOTE_RECORD_HEAD, "the head of a record");
_Static_assert(NOTE_RECORD_HEAD + 2 * TDM_NOTE_MAX <= NOTE_RECORD_BYTES, "both versions");

/* FNV-1a, over several pieces. */
static uint32_t sum_add(uint32_t h, const void *data, size_t bytes)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < bytes; i++)
        h = (h ^ p[i]) * 16777619u;
    return h;
}

enum { SUM_BEGIN = 0x1c9dc5 };

static void point(const struct note_map *m)
{
    if (m->point != NULL)
        m->point(m->point_ctx);
}

/* ---- records --------------------------------------------------------------------------------- */

struct note_record *note_map_record(const struct note_map *m, uint32_t i)
{
    return (struct note_record *)(void *)(m->at + NOTE_HEAD_BYTES + (size_t)i * NOTE_RECORD_BYTES);
}

uint32_t note_map_data(const struct note_map *m, uint32_t i)
{
    const off_t from = NOTE_HEAD_BYTES + (off_t)i * NOTE_RECORD_BYTES;
    const off_t at = i < m->records ? lseek(m->fd, from, SEEK_DATA) : -1;

    if (i >= m->records || (at < 0 && errno == ENXIO))
        return m->records;
    return at < 0 ? i : (uint32_t)((at - NOTE_HEAD_BYTES) / NOTE_RECORD_BYTES);
}

static unsigned char *chunk(struct note_record *r, int version, size_t n)
{
    return (unsigned char *)r + NOTE_RECORD_HEAD + (2 * n + (size_t)version) * NOTE_CHUNK;
}

bool note_map_sound(const struct note_record *r)
{
    return r->key_bytes <= TDM_NOTE_KEY_MAX && r->key_sum == sum_add(SUM_BEGIN, r->key, r->key_bytes);
}

static uint32_t version_sum(struct note_record *r, int v, uint64_t seq, uint32_t bytes)
{
    uint32_t h = sum_add(SUM_BEGIN, &seq, sizeof seq);

    h = sum_add(h, &bytes, sizeof bytes);
    for (size_t at = 0; at < bytes; at += NOTE_CHUNK)
        h = sum_add(h, chunk(r, v, at / NOTE_CHUNK), bytes - at < NOTE_CHUNK ? bytes - at : NOTE_CHUNK);
    return h;
}

/* Its number, 0 when it is not complete or damaged. */
static uint64_t version_seq(struct note_record *r, int v)
{
    const struct note_version *n = &r->version[v];
    uint64_t seq =
        atomic_load_explicit(&n->seq, memory_order_acquire); /* what the note was saved with follows */

    return seq != 0 && n->bytes <= TDM_NOTE_MAX && n->sum == version_sum(r, v, seq, n->bytes) ? seq : 0;
}

int note_map_take(struct note_map *m, uint32_t i, const void *key, size_t bytes)
{
    struct note_record *r = note_map_record(m, i);
    const off_t at = (off_t)((unsigned char *)r - m->at);

    /* room on the disk now, not a SIGBUS at the store that finds none */
    if (m->file && fallocate(m->fd, 0, at, NOTE_RECORD_BYTES) != 0 && errno == ENOSPC)
        return TDM_EFULL;
    for (int v = 0; v < 2; v++) {
        atomic_store_explicit(&r->version[v].seq, 0,
                              memory_order_relaxed); /* the store of `used` publishes */
        point(m);
    }
    memcpy(r->key, key, bytes);
    point(m);
    r->key_bytes = (uint32_t)bytes;
    r->key_sum = sum_add(SUM_BEGIN, key, bytes);
    point(m);
    atomic_store_explicit(&r->used, 1, memory_order_release);
    point(m);
    return TDM_OK;
}

void note_map_drop(struct note_map *m, uint32_t i)
{
    atomic_store_explicit(&note_map_record(m, i)->used, 0, memory_order_release);
    point(m);
}

static void put_note(struct note_map *m, struct note_record *r, int v, const unsigned char *note,
                     size_t bytes)
{
    for (size_t at = 0; at < bytes; at += NOTE_CHUNK) {
        memcpy(chunk(r, v, at / NOTE_CHUNK), note + at, bytes - at < NOTE_CHUNK ? bytes - at : NOTE_CHUNK);
        point(m);
    }
}

void note_map_write(struct note_map *m, uint32_t i, const void *note, size_t bytes)
{
    struct note_record *r = note_map_record(m, i);
    /* relaxed: we alone write them */
    const uint64_t seq[2] = { atomic_load_explicit(&r->version[0].seq, memory_order_relaxed),
                              atomic_load_explicit(&r->version[1].seq, memory_order_relaxed) };
    const int v = seq[0] > seq[1];
    const uint64_t next = seq[!v] + 1;

    atomic_store_explicit(&r->version[v].seq, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release); /* before the stores below, see the head of this file */
    point(m);
    put_note(m, r, v, note, bytes);
    r->version[v].bytes = (uint32_t)bytes;
    point(m);
    r->version[v].sum = version_sum(r, v, next, (uint32_t)bytes);
    point(m);
    atomic_store_explicit(&r->version[v].seq, next, memory_order_release);
    point(m);
}

size_t note_map_read(const struct note_map *m, uint32_t i, void *buf)
{
    struct note_record *r = note_map_record(m, i);
    const uint64_t seq[2] = { version_seq(r, 0), version_seq(r, 1) };
    const int v = seq[1] > seq[0];
    const size_t bytes = seq[v] != 0 ? r->version[v].bytes : 0;

    for (size_t at = 0; at < bytes; at += NOTE_CHUNK)
        memcpy((unsigned char *)buf + at, chunk(r, v, at / NOTE_CHUNK),
               bytes - at < NOTE_CHUNK ? bytes - at : NOTE_CHUNK);
    return bytes;
}

/* ---- opening --------------------------------------------------------------------------------- */

static int refuse(char *why, size_t why_bytes, const char *words, int err)
{
    snprintf(why, why_bytes, "%s", words != NULL ? words : strerror(-err));
    return err < 0 ? err : TDM_ECONFIG;
}

static const char *file_fault(int fd, const struct stat *st)
{
    char begin[sizeof magic] = "";

    if (!S_ISREG(st->st_mode))
        return "is not a plain file";
    if (st->st_uid != geteuid())
        return "belongs to another user";
    if ((st->st_mode & 077) != 0)
        return "may be read by others; it must have mode 0600";
    if (st->st_size > 0 && (pread(fd, begin, sizeof begin, 0) < 0 || memcmp(begin, magic, sizeof magic) != 0))
        return "is something else than notes; it is left as it is";
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return "is in use by another process; that one may still serve calls";
    return NULL;
}

static int open_file(struct note_map *m, const char *path, size_t *size, char *why, size_t why_bytes)
{
    struct stat st;

    m->file = true;
    m->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (m->fd < 0 || fstat(m->fd, &st) != 0)
        return refuse(why, why_bytes, NULL, -errno);
    const char *fault = file_fault(m->fd, &st);
    if (fault != NULL)
        return refuse(why, why_bytes, fault, 0);
    *size = (size_t)st.st_size;
    return TDM_OK;
}

static struct head good_head(void)
{
    struct head h = { .version = 1, .record_bytes = NOTE_RECORD_BYTES, .note_max = TDM_NOTE_MAX };

    memcpy(h.magic, magic, sizeof magic);
    h.sum = sum_add(SUM_BEGIN, &h, offsetof(struct head, sum));
    return h;
}

/* A store of another layout, or a damaged one: begin anew. */
static int check_head(struct note_map *m, const char *path, size_t *size)
{
    const struct head good = good_head();
    struct head h;

    if (*size == 0 ||
        (pread(m->fd, &h, sizeof h, 0) == (ssize_t)sizeof h && memcmp(&h, &good, sizeof h) == 0))
        return TDM_OK;
    log_direct(TDM_LOG_WARN, "notes.reset", "path=%s words=\"another layout, or damaged: it begins empty\"",
               TDM_LOG_TEXT(path, strlen(path)));
    *size = 0;
    return ftruncate(m->fd, 0) == 0 ? TDM_OK : -errno;
}

static int map(struct note_map *m, uint32_t records, size_t size)
{
    const size_t had = size > NOTE_HEAD_BYTES ? (size - NOTE_HEAD_BYTES) / NOTE_RECORD_BYTES : 0;
    const struct head good = good_head();

    m->records = had > records ? (uint32_t)had : records;
    m->bytes = NOTE_HEAD_BYTES + (size_t)m->records * NOTE_RECORD_BYTES;
    if (ftruncate(m->fd, (off_t)m->bytes) != 0 ||
        pwrite(m->fd, &good, sizeof good, 0) != (ssize_t)sizeof good)
        return -errno;
    void *at = mmap(NULL, m->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, m->fd, 0);
    if (at == MAP_FAILED)
        return -errno;
    m->at = at;
    return TDM_OK;
}

int note_map_open(struct note_map *m, const struct tdm_note_store_cfg *cfg, char *why, size_t why_bytes)
{
    size_t size = 0;
    int err = TDM_OK;

    *m = (struct note_map){ .fd = -1 };
    if (cfg->path != NULL) {
        err = open_file(m, cfg->path, &size, why, why_bytes);
        if (err < 0)
            goto fail;
        err = check_head(m, cfg->path, &size);
    } else {
        m->fd = memfd_create("tandem-notes", MFD_CLOEXEC);
        err = m->fd < 0 ? -errno : TDM_OK;
    }
    if (err == TDM_OK)
        err = map(m, cfg->records != 0 ? cfg->records : 16384, size);
    if (err == TDM_OK)
        return TDM_OK;
    (void)refuse(why, why_bytes, NULL, err);
fail:
    note_map_close(m);
    return err;
}

void note_map_close(struct note_map *m)
{
    if (m->at != NULL)
        munmap(m->at, m->bytes);
    if (m->fd >= 0)
        close(m->fd);
    *m = (struct note_map){ .fd = -1 };
}
