/* notes.h - notes that outlive the process.
 *
 * A store is memory shared by the processes of one program: opened before tdm_heart_run(), it is there for each child,
 * and what one child's actors saved under a key (tdm_note_key) the next child's find. With a path it is a file, which
 * also outlives the heart. Nothing is synced to the disk: a loss of power may lose notes, the death of processes at any
 * moment does not; a save that was under way leaves the note before it. */
#ifndef TANDEM_NOTES_H
#define TANDEM_NOTES_H
#include <stddef.h>
#include <stdint.h>

struct tdm_note_store;

#define TDM_NOTE_KEY_MAX 448

struct tdm_note_store_cfg {
    const char *path; /* NULL: shared memory without a name. The file is made with mode 0600 */
    uint32_t
        records; /* notes at once; default 16384. Address space (12 KiB each); memory is used as notes come.
                       * A file that has more keeps them */
};

/* Open or make. The file must be ours (its owner we, nobody else may read it) and is locked: one program at a time.
 * A file of another layout, or with a damaged head, is emptied with a warning (`notes.reset`).
 * Errors: TDM_ECONFIG, with words in `why`: not a note store, not a plain file, others may read it, in use;
 *         -errno, with words too. Starts no thread. */
int tdm_note_store_open(struct tdm_note_store **ret, const struct tdm_note_store_cfg *cfg, char *why,
                        size_t why_bytes);
/* After the runtime that uses it was freed. NULL is fine. */
void tdm_note_store_close(struct tdm_note_store *store);

#endif
