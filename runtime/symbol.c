/* symbol.c - names for code addresses, static functions included.
 *
 * The dynamic linker knows only exported names; an app's function is usually static. So the symbol
 * table of the file that holds the address is mapped, once for each file, and searched. Used for crash
 * reports, never in a signal handler. */
#include "symbol.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_MAX = 16 };

static struct file {
    char name[256];
    const char *map;
    size_t bytes;
    const ElfW(Sym) * symbols;
    size_t n_symbols;
    const char *strings;
    size_t strings_bytes;
} files[FILES_MAX];
static int n_files;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool inside(const struct file *f, uint64_t offset, uint64_t bytes)
{
    return offset <= f->bytes && bytes <= f->bytes - offset;
}

static void find_tables(struct file *f)
{
    const ElfW(Ehdr) *e = (const void *)f->map;

    if (f->bytes < sizeof *e || memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 ||
        !inside(f, e->e_shoff, (uint64_t)e->e_shnum * sizeof(ElfW(Shdr))))
        return;
    const ElfW(Shdr) *sections = (const void *)(f->map + e->e_shoff);
    for (int i = 0; i < e->e_shnum; i++) {
        const ElfW(Shdr) *s = &sections[i];
        if (s->sh_type != SHT_SYMTAB || s->sh_link >= e->e_shnum || !inside(f, s->sh_offset, s->sh_size))
            continue;
        const ElfW(Shdr) *names = &sections[s->sh_link];
        if (!inside(f, names->sh_offset, names->sh_size))
            continue;
        f->symbols = (const void *)(f->map + s->sh_offset);
        f->n_symbols = s->sh_size / sizeof(ElfW(Sym));
        f->strings = f->map + names->sh_offset;
        f->strings_bytes = names->sh_size;
    }
}

static struct file *file_of(const char *name)
{
    struct stat st;

    for (int i = 0; i < n_files; i++)
        if (strcmp(files[i].name, name) == 0)
            return &files[i];
    if (n_files == FILES_MAX || strlen(name) >= sizeof files[0].name)
        return NULL;
    struct file *f = &files[n_files++]; /* kept even if it cannot be read: it is not tried again */
    strcpy(f->name, name);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return f;
    if (fstat(fd, &st) == 0 && st.st_size > 0) {
        void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map != MAP_FAILED) {
            f->map = map;
            f->bytes = (size_t)st.st_size;
            find_tables(f);
        }
    }
    close(fd);
    return f;
}

static const char *search(const struct file *f, uintptr_t offset, uintptr_t *start)
{
    for (size_t i = 0; i < f->n_symbols; i++) {
        const ElfW(Sym) *s = &f->symbols[i];
        if (ELF64_ST_TYPE(s->st_info) == STT_FUNC && offset >= s->st_value &&
            offset < s->st_value + s->st_size && s->st_name < f->strings_bytes) {
            *start = s->st_value;
            return f->strings + s->st_name;
        }
    }
    return NULL;
}

void symbol_name(uintptr_t pc, char *buf, size_t bytes)
{
    Dl_info info;
    struct link_map *map = NULL;

    if (dladdr1((void *)pc, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 || info.dli_fname == NULL) {
        snprintf(buf, bytes, "0x%lx", (unsigned long)pc);
        return;
    }
    const char *base = strrchr(info.dli_fname, '/');
    base = base != NULL ? base + 1 : info.dli_fname;
    bool program = map->l_name == NULL || map->l_name[0] == '\0';
    uintptr_t start = 0, offset = pc - map->l_addr;
    pthread_mutex_lock(&lock);
    struct file *f = file_of(program ? "/proc/self/exe" : info.dli_fname);
    const char *name = f != NULL ? search(f, offset, &start) : NULL;
    pthread_mutex_unlock(&lock);
    if (name == NULL && info.dli_sname != NULL) {
        name = info.dli_sname;
        start = (uintptr_t)info.dli_saddr - map->l_addr;
    }
    if (name != NULL)
        snprintf(buf, bytes, "%s+0x%lx (%s)", name, (unsigned long)(offset - start), base);
    else
        snprintf(buf, bytes, "0x%lx (%s)", (unsigned long)offset, base);
}
