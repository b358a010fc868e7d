/* Names and lines for addresses; and that no line table, however broken, is read beyond its end. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "line_table.h"
#include "symbol.h"

TestSuite(symbol, .timeout = 120);

enum { HERE = __LINE__ + 1 };
static __attribute__((noinline)) int here(int n)
{
    __asm__ volatile("");
    return n + 1;
}

/* Which of its lines stands for the first instruction is the compiler's choice. */
static bool is_line_of_here(const char *text)
{
    int line = 0;
    return sscanf(text, "test_symbol.c:%d", &line) == 1 && line >= HERE && line <= HERE + 4;
}

Test(symbol, a_static_function_has_its_name_and_line)
{
    char text[SYMBOL_TEXT];

    cr_assert(here(1) == 2);
    symbol_name((uintptr_t)&here, false, false, text, sizeof text);
    cr_expect(strncmp(text, "here+0x0 (", 10) == 0 && is_line_of_here(text + 10), "%s", text);
    symbol_name((uintptr_t)&here + 1, true, false, text, sizeof text); /* a call at its first byte */
    cr_expect(strncmp(text, "here+0x1 (", 10) == 0 && is_line_of_here(text + 10), "%s", text);
}

Test(symbol, what_has_no_name_is_told_by_its_address)
{
    char text[SYMBOL_TEXT];

    symbol_name(0, false, false, text, sizeof text);
    cr_expect(strcmp(text, "0x0") == 0, "%s", text);
    symbol_name(0x123456, false, true, text, sizeof text);
    cr_expect(strcmp(text, "0x123456") == 0, "%s", text);
    symbol_name((uintptr_t)dlsym(RTLD_DEFAULT, "abort"), false, false, text, sizeof text);
    cr_expect(strncmp(text, "abort+0x0 (", 11) == 0, "%s", text);
}

Test(symbol, what_was_forgotten_is_found_again)
{
    char first[SYMBOL_TEXT], again[SYMBOL_TEXT];

    symbol_name((uintptr_t)&here, false, false, first, sizeof first);
    symbol_forget();
    symbol_name((uintptr_t)&here, false, false, again, sizeof again);
    cr_expect(strcmp(first, again) == 0);
}

/* ---- this program's own line table, damaged ----------------------------------------------------- */

static const uint8_t *file_bytes(size_t *bytes)
{
    struct stat st;
    int fd = open("/proc/self/exe", O_RDONLY);

    cr_assert(fd >= 0 && fstat(fd, &st) == 0);
    const uint8_t *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    cr_assert(map != MAP_FAILED);
    close(fd);
    *bytes = (size_t)st.st_size;
    return map;
}

/* Copied, so that a sanitizer sees who reads past the end. */
static uint8_t *section(const char *wanted, size_t *bytes)
{
    size_t all;
    const uint8_t *map = file_bytes(&all);
    const ElfW(Ehdr) *e = (const void *)map;
    const ElfW(Shdr) *s = (const void *)(map + e->e_shoff);
    const char *names = (const char *)map + s[e->e_shstrndx].sh_offset;

    for (int i = 0; i < e->e_shnum; i++)
        if (strcmp(names + s[i].sh_name, wanted) == 0) {
            uint8_t *copy = malloc(s[i].sh_size);
            cr_assert(copy != NULL);
            *bytes = s[i].sh_size;
            return memcpy(copy, map + s[i].sh_offset, *bytes);
        }
    *bytes = 0;
    return NULL;
}

static uint64_t file_address(const void *p)
{
    Dl_info info;
    struct link_map *map;

    cr_assert(dladdr1(p, &info, (void **)&map, RTLD_DL_LINKMAP) != 0);
    return (uintptr_t)p - map->l_addr;
}

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

Test(symbol, a_damaged_line_table_gives_a_wrong_line_at_worst)
{
    struct line_sections s = { 0 };
    uint8_t *line = section(".debug_line", &s.line_bytes);
    uint64_t address = file_address((const void *)&here);
    char text[96];
    uint32_t seed = 1;

    cr_assert(line != NULL);
    s.line_str = section(".debug_line_str", &s.line_str_bytes);
    s.str = section(".debug_str", &s.str_bytes);
    s.line = line;
    cr_assert(is_line_of_here(line_table_find(&s, address, text, sizeof text)), "%s", text);
    uint8_t *whole = malloc(s.line_bytes);
    cr_assert(whole != NULL);
    memcpy(whole, line, s.line_bytes);
    for (int i = 0; i < 2000; i++) {
        for (uint32_t k = next(&seed) % 8 + 1; k > 0; k--)
            line[next(&seed) % s.line_bytes] = (uint8_t)next(&seed);
        (void)line_table_find(&s, address, text, sizeof text);
        memcpy(line, whole, s.line_bytes);
    }
    for (int i = 0; i < 200; i++) { /* cut short: in a block that ends there */
        struct line_sections cut = s;
        cut.line_bytes = next(&seed) % s.line_bytes;
        uint8_t *copy = malloc(cut.line_bytes + 1);
        cr_assert(copy != NULL);
        cut.line = memcpy(copy, whole, cut.line_bytes);
        (void)line_table_find(&cut, address, text, sizeof text);
        free(copy);
    }
    free(whole);
    free(line);
    free((void *)s.line_str);
    free((void *)s.str);
}

Test(symbol, without_a_line_table_there_is_no_line)
{
    char text[96] = "x";

    cr_expect(strcmp(line_table_find(&(struct line_sections){ 0 }, 1, text, sizeof text), "") == 0);
}
