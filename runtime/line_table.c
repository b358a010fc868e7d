/* line_table.c - from an address to the line of the source it was made of.
 *
 * Idea:      .debug_line holds one small program for each source file, which, run, gives a table of addresses and lines.
 *            All are run until one covers the address: a megabyte takes milliseconds, and who asks keeps the answer.
 * Invariant: a reader never passes its end: a byte that is not there reads as 0 and marks it broken.
 * No memory, no locks. Source: DWARF 5, section 6.2; versions 2 to 4 differ in the header only. */
#include "line_table.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct reader {
    const uint8_t *at, *end;
    bool broken;
};

static uint64_t fixed(struct reader *r, size_t bytes)
{
    uint64_t v = 0;

    if ((size_t)(r->end - r->at) < bytes) {
        r->broken = true;
        r->at = r->end;
        return 0;
    }
    memcpy(&v, r->at, bytes); /* little endian, as are both CPUs this runs on */
    r->at += bytes;
    return v;
}

static uint64_t leb(struct reader *r, bool is_signed)
{
    uint64_t v = 0, byte;
    unsigned shift = 0;

    do {
        byte = fixed(r, 1);
        if (shift < 64)
            v |= (byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    if (is_signed && shift < 64 && (byte & 0x40))
        v |= ~UINT64_C(0) << shift;
    return v;
}

static void skip(struct reader *r, uint64_t bytes)
{
    if (bytes > (uint64_t)(r->end - r->at)) {
        r->broken = true;
        bytes = (uint64_t)(r->end - r->at);
    }
    r->at += bytes;
}

static const char *text(struct reader *r)
{
    const char *start = (const char *)r->at;
    const uint8_t *nul = memchr(r->at, 0, (size_t)(r->end - r->at));

    if (nul == NULL) {
        r->broken = true;
        r->at = r->end;
        return "";
    }
    r->at = nul + 1;
    return start;
}

static const char *text_at(const uint8_t *section, size_t bytes, uint64_t offset)
{
    if (section == NULL || offset >= bytes || memchr(section + offset, 0, bytes - offset) == NULL)
        return "";
    return (const char *)section + offset;
}

/* One program. */
struct unit {
    const struct line_sections *s;
    struct reader r; /* from the header on, to the end of the program */
    bool wide;       /* offsets of 8 bytes */
    unsigned version, min_instruction, line_range, opcode_base;
    int line_base;
    const uint8_t *lengths; /* of standard opcodes */
    struct reader files;    /* where the table of files begins */
};

static bool read_header(struct unit *u)
{
    struct reader *r = &u->r;

    u->version = (unsigned)fixed(r, 2);
    if (u->version < 2 || u->version > 5)
        return false;
    if (u->version == 5)
        skip(r, 2); /* sizes of addresses and of segments */
    uint64_t header_bytes = fixed(r, u->wide ? 8 : 4);
    u->files = *r;
    u->min_instruction = (unsigned)fixed(&u->files, 1);
    if (u->version >= 4)
        skip(&u->files, 1); /* operations in one instruction */
    skip(&u->files, 1);
    int base = (int)fixed(&u->files, 1);
    u->line_base = base < 128 ? base : base - 256; /* a signed byte */
    u->line_range = (unsigned)fixed(&u->files, 1);
    u->opcode_base = (unsigned)fixed(&u->files, 1);
    u->lengths = u->files.at;
    skip(&u->files, u->opcode_base > 0 ? u->opcode_base - 1 : 0);
    skip(r, header_bytes);
    return !r->broken && !u->files.broken && u->line_range > 0;
}

/* ---- names of files -------------------------------------------------------------------------- */

enum { CONTENT_PATH = 1 };
enum { FORM_BLOCK2 = 3, FORM_BLOCK4 = 4, FORM_DATA2 = 5, FORM_DATA4 = 6, FORM_DATA8 = 7, FORM_STRING = 8 };
enum {
    FORM_BLOCK = 9,
    FORM_DATA1 = 11,
    FORM_STRP = 14,
    FORM_UDATA = 15,
    FORM_DATA16 = 30,
    FORM_LINE_STRP = 31
};

static const char *value(struct unit *u, struct reader *r, uint64_t form)
{
    const struct line_sections *s = u->s;

    switch (form) {
    case FORM_STRING:
        return text(r);
    case FORM_LINE_STRP:
        return text_at(s->line_str, s->line_str_bytes, fixed(r, u->wide ? 8 : 4));
    case FORM_STRP:
        return text_at(s->str, s->str_bytes, fixed(r, u->wide ? 8 : 4));
    case FORM_UDATA:
        leb(r, false);
        break;
    case FORM_BLOCK:
        skip(r, leb(r, false));
        break;
    case FORM_DATA1:
    case FORM_DATA2:
    case FORM_DATA4:
    case FORM_DATA8:
    case FORM_DATA16:
        skip(r, form == FORM_DATA1   ? 1
                : form == FORM_DATA2 ? 2
                : form == FORM_DATA4 ? 4
                : form == FORM_DATA8 ? 8
                                     : 16);
        break;
    default:
        r->broken = true; /* no way to tell where it ends */
    }
    return NULL;
}

/* Version 5: a description of the columns, then the rows. The path of row `wanted`; UINT64_MAX: only pass over all. */
static const char *row_of_table(struct unit *u, struct reader *r, uint64_t wanted)
{
    unsigned columns = (unsigned)fixed(r, 1);
    struct reader description = *r;
    const char *found = "";

    for (unsigned c = 0; c < columns; c++) {
        leb(r, false);
        leb(r, false);
    }
    uint64_t rows = leb(r, false);
    for (uint64_t i = 0; i < rows && !r->broken; i++) {
        struct reader d = description;
        for (unsigned c = 0; c < columns && !r->broken; c++) {
            bool path = leb(&d, false) == CONTENT_PATH;
            const char *v = value(u, r, leb(&d, false));
            if (path && i == wanted && v != NULL)
                found = v;
        }
    }
    return found;
}

/* Before version 5: directories, then files, counted from 1; an empty name ends each. */
static const char *old_file(struct reader *r, uint64_t wanted)
{
    while (text(r)[0] != '\0')
        continue;
    for (uint64_t i = 1; !r->broken; i++) {
        const char *name = text(r);
        if (name[0] == '\0')
            break;
        if (i == wanted)
            return name;
        leb(r, false);
        leb(r, false);
        leb(r, false);
    }
    return "";
}

static const char *file_name(struct unit *u, uint64_t file)
{
    struct reader r = u->files;

    if (u->version < 5)
        return old_file(&r, file);
    row_of_table(u, &r, UINT64_MAX);
    return row_of_table(u, &r, file);
}

/* ---- running --------------------------------------------------------------------------------- */

struct row {
    uint64_t address, file, line;
    bool valid; /* there is one before it in this sequence */
};

enum { STANDARD_COPY = 1, ADVANCE_PC, ADVANCE_LINE, SET_FILE, CONST_ADD_PC = 8, FIXED_ADVANCE_PC };
enum { EXTENDED_END = 1, EXTENDED_SET_ADDRESS };

/* True: the row before covers the address. */
static bool emit(struct row *now, struct row *before, uint64_t address)
{
    if (before->valid && address >= before->address && address < now->address)
        return true;
    *before = *now;
    before->valid = true;
    return false;
}

static void begin_sequence(struct row *now, struct row *before)
{
    *now = (struct row){ .file = 1, .line = 1 };
    before->valid = false;
}

/* True: found, in *before. */
static bool extended(struct reader *r, struct row *now, struct row *before, uint64_t address)
{
    uint64_t bytes = leb(r, false);
    struct reader body = *r;

    skip(r, bytes);
    body.end = r->at;
    switch (fixed(&body, 1)) {
    case EXTENDED_END:
        if (emit(now, before, address))
            return true;
        begin_sequence(now, before);
        break;
    case EXTENDED_SET_ADDRESS:
        now->address = fixed(&body, bytes == 5 ? 4 : 8);
        break;
    default:
        break;
    }
    return false;
}

static bool standard(struct unit *u, unsigned opcode, struct row *now, struct row *before, uint64_t address)
{
    struct reader *r = &u->r;

    switch (opcode) {
    case STANDARD_COPY:
        return emit(now, before, address);
    case ADVANCE_PC:
        now->address += leb(r, false) * u->min_instruction;
        break;
    case ADVANCE_LINE:
        now->line += leb(r, true);
        break;
    case SET_FILE:
        now->file = leb(r, false);
        break;
    case CONST_ADD_PC:
        now->address += (255 - u->opcode_base) / u->line_range * u->min_instruction;
        break;
    case FIXED_ADVANCE_PC:
        now->address += fixed(r, 2);
        break;
    default:
        for (unsigned i = 0; i < u->lengths[opcode - 1]; i++)
            leb(r, false);
    }
    return false;
}

static bool run(struct unit *u, uint64_t address, struct row *found)
{
    struct row now;

    begin_sequence(&now, found);
    while (u->r.at < u->r.end && !u->r.broken) {
        unsigned opcode = (unsigned)fixed(&u->r, 1);
        if (opcode >= u->opcode_base) {
            unsigned step = opcode - u->opcode_base;
            now.address += (uint64_t)(step / u->line_range) * u->min_instruction;
            now.line += (uint64_t)(u->line_base + (int)(step % u->line_range));
            if (emit(&now, found, address))
                return true;
        } else if (opcode == 0 ? extended(&u->r, &now, found, address)
                               : standard(u, opcode, &now, found, address)) {
            return true;
        }
    }
    return false;
}

const char *line_table_find(const struct line_sections *s, uint64_t address, char *buf, size_t bytes)
{
    struct reader all = { s->line, s->line == NULL ? NULL : s->line + s->line_bytes, false };
    struct row row = { 0 };

    buf[0] = '\0';
    while (all.at != NULL && all.at < all.end && !all.broken) {
        struct unit u = { .s = s };
        uint64_t length = fixed(&all, 4);
        u.wide = length == 0xffffffffu;
        if (u.wide)
            length = fixed(&all, 8);
        u.r = all;
        skip(&all, length);
        u.r.end = all.at;
        if (!read_header(&u) || !run(&u, address, &row))
            continue;
        const char *name = file_name(&u, row.file), *slash = strrchr(name, '/');
        if (name[0] != '\0')
            snprintf(buf, bytes, "%s:%llu", slash != NULL ? slash + 1 : name, (unsigned long long)row.line);
        return buf;
    }
    return buf;
}
