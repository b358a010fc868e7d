/* line_table.h - from an address to the line of the source it was made of. See line_table.c. */
#ifndef RUNTIME_LINE_TABLE_H
#define RUNTIME_LINE_TABLE_H
#include <stddef.h>
#include <stdint.h>

/* Sections of one mapped file; NULL and 0 where there is none. */
struct line_sections {
    const uint8_t *line, *str, *line_str;
    size_t line_bytes, str_bytes, line_str_bytes;
};

/* "crashy.c:36" of the address (as the file has it, before it is loaded), or "". Reads nothing beyond the sections,
 * whatever they hold. Returns buf. */
const char *line_table_find(const struct line_sections *s, uint64_t address, char *buf, size_t bytes);

#endif
