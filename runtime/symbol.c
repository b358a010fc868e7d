/* symbol.c - names and source lines for code addresses, static functions included.
 *
 * Idea:      the dynamic linker knows only exported names; an app's function is usually static. So the file that holds
 *            the address is mapped, once, and its symbols and line table are searched. Answers are kept: many crashes
 *            have few places.
 * Touched under the lock. Nothing is allocated; a file that cannot be mapped has no names. */
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

#include "line_table.h"

enum { FILES_MAX = 16, KEPT = 256 };

static struct file {
    char name[256];
    const char *map;
    size_t bytes;
    const ElfW(Sym) * symbols;
    size_t n_symbols;
    const char *strings;
    size_t strings_bytes;
    struct line_sections lines;
} files[FILES_MAX];
static int n_files;
static struct {
    uintptr_t pc;
    bool returns;
    char text[SYMBOL_TEXT];
} kept[KEPT];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool inside(const struct file *f, uint64_t offset, uint64_t bytes)
{
    return offset <= f->bytes && bytes <= f->bytes - offset;
}

static void find_symbols(struct file *f, const ElfW(Shdr) * sections, const ElfW(Ehdr) * e, int i)
{
    const ElfW(Shdr) *s = &sections[i];

    if (s->sh_type != SHT_SYMTAB || s->sh_link >= e->e_shnum || !inside(f, s->sh_offset, s->sh_size))
        return;
    const ElfW(Shdr) *names = &sections[s->sh_link];
    if (!inside(f, names->sh_offset, names->sh_size))
        return;
    f->symbols = (const void *)(f->map + s->sh_offset);
    f->n_symbols = s->sh_size / sizeof(ElfW(Sym));
    f->strings = f->map + names->sh_offset;
    f->strings_bytes = names->sh_size;
}

/* A compressed section is as good as none. */
static void find_lines(struct file *f, const ElfW(Shdr) * s, const char *name)
{
    struct {
        const char *name;
        const uint8_t **start;
        size_t *bytes;
    } wanted[] = { { ".debug_line", &f->lines.line, &f->lines.line_bytes },
                   { ".debug_str", &f->lines.str, &f->lines.str_bytes },
                   { ".debug_line_str", &f->lines.line_str, &f->lines.line_str_bytes } };

    if (s->sh_type == SHT_NOBITS || (s->sh_flags & SHF_COMPRESSED) || !inside(f, s->sh_offset, s->sh_size))
        return;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (strcmp(name, wanted[i].name) == 0) {
            *wanted[i].start = (const uint8_t *)f->map + s->sh_offset;
            *wanted[i].bytes = s->sh_size;
        }
}

static void find_tables(struct file *f)
{
    const ElfW(Ehdr) *e = (const void *)f->map;

    if (f->bytes < sizeof *e || memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 || e->e_shstrndx >= e->e_shnum ||
        !inside(f, e->e_shoff, (uint64_t)e->e_shnum * sizeof(ElfW(Shdr))))
        return;
    const ElfW(Shdr) *sections = (const void *)(f->map + e->e_shoff);
    const ElfW(Shdr) *names = &sections[e->e_shstrndx];
    if (!inside(f, names->sh_offset, names->sh_size) || names->sh_size == 0 ||
        f->map[names->sh_offset + names->sh_size - 1] != '\0')
        return;
    for (int i = 0; i < e->e_shnum; i++) {
        find_symbols(f, sections, e, i);
        if (sections[i].sh_name < names->sh_size)
            find_lines(f, &sections[i], f->map + names->sh_offset + sections[i].sh_name);
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

/* Under the lock. */
static void describe(uintptr_t pc, bool returns, char *buf, size_t bytes)
{
    Dl_info info;
    struct link_map *map = NULL;
    char line[96] = "";
    uintptr_t at = returns ? pc - 1 : pc; /* the call, not what comes after it */

    if (dladdr1((void *)at, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 || info.dli_fname == NULL) {
        snprintf(buf, bytes, "0x%lx", (unsigned long)pc);
        return;
    }
    const char *base = strrchr(info.dli_fname, '/');
    bool program = map->l_name == NULL || map->l_name[0] == '\0';
    uintptr_t start = 0, offset = at - map->l_addr;
    struct file *f = file_of(program ? "/proc/self/exe" : info.dli_fname);
    const char *name = f != NULL ? search(f, offset, &start) : NULL;
    if (name == NULL && info.dli_sname != NULL) {
        name = info.dli_sname;
        start = (uintptr_t)info.dli_saddr - map->l_addr;
    }
    if (f != NULL)
        line_table_find(&f->lines, offset, line, sizeof line);
    const char *where = line[0] != '\0' ? line : base != NULL ? base + 1 : info.dli_fname;
    if (name != NULL)
        snprintf(buf, bytes, "%.100s+0x%lx (%s)", name, (unsigned long)(pc - map->l_addr - start), where);
    else
        snprintf(buf, bytes, "0x%lx (%s)", (unsigned long)(pc - map->l_addr), where);
}

void symbol_prepare(void)
{
    char text[SYMBOL_TEXT];

    symbol_name((uintptr_t)&symbol_prepare, false, false, text, sizeof text);
    pthread_mutex_lock(&lock);
    (void)file_of("/proc/self/exe");
    pthread_mutex_unlock(&lock);
}

void symbol_forget(void)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < n_files; i++)
        if (files[i].map != NULL)
            munmap((void *)files[i].map, files[i].bytes);
    memset(files, 0, sizeof files);
    memset(kept, 0, sizeof kept);
    n_files = 0;
    pthread_mutex_unlock(&lock);
    symbol_prepare();
}

void symbol_name(uintptr_t pc, bool returns, bool dying, char *buf, size_t bytes)
{
    if (dying && pthread_mutex_trylock(&lock) != 0) {
        snprintf(buf, bytes, "0x%lx", (unsigned long)pc);
        return;
    }
    if (!dying)
        pthread_mutex_lock(&lock);
    size_t i = (pc ^ pc >> 8) % KEPT;
    if (kept[i].pc != pc || kept[i].returns != returns || pc == 0) {
        kept[i].pc = pc;
        kept[i].returns = returns;
        describe(pc, returns, kept[i].text, sizeof kept[i].text);
    }
    snprintf(buf, bytes, "%s", kept[i].text);
    pthread_mutex_unlock(&lock);
}
