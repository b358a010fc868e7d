/* log_fields.c - one record made of fields, as a line of logfmt or of JSON.
 *
 * For records that hold more than tdm_log()'s facts can: lists, groups, and any number of outside texts.
 * Invariant: what stands before `field` is a line that only wants its end. A field, group or list that does not fit is
 *            taken back as a whole, the line says that it was cut, and later ones may still fit. */
#include "log_fields.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 512, ROOM_FOR_END = 32 };

static bool json(const struct log_fields *f)
{
    return f->format == TDM_LOG_JSON;
}

/* ---- fields that fit or not ------------------------------------------------------------------ */

static void open_field(struct log_fields *f)
{
    if (f->group == NULL)
        f->field = f->o.at;
}

static void close_field(struct log_fields *f)
{
    if (f->group != NULL || !f->o.cut)
        return;
    f->o = (struct text_out){ .at = f->field, .end = f->end };
    f->cut = true;
}

static void put_key(struct log_fields *f, const char *key)
{
    if (json(f)) {
        text_put_str(&f->o, f->first ? "" : ",");
        text_put_json_text(&f->o, key, strlen(key));
        text_put_str(&f->o, ":");
    } else {
        text_put_str(&f->o, " ");
        text_put_str(&f->o, f->group != NULL ? f->group : "");
        text_put_str(&f->o, f->group != NULL ? "_" : "");
        text_put_str(&f->o, key);
        text_put_str(&f->o, "=");
    }
    f->first = false;
}

static void put_inside(struct log_fields *f, const char *text)
{
    char clean[TEXT_MAX];
    size_t n = strnlen(text, sizeof clean);

    memcpy(clean, text, n);
    n = log_hide_secrets(clean, n, n == sizeof clean);
    if (json(f))
        text_put_json_inside(&f->o, clean, n);
    else
        text_put_inside(&f->o, clean, n);
}

/* ---- fields ---------------------------------------------------------------------------------- */

void log_field_text(struct log_fields *f, const char *key, const char *text)
{
    open_field(f);
    put_key(f, key);
    text_put_str(&f->o, "\"");
    put_inside(f, text);
    text_put_str(&f->o, "\"");
    close_field(f);
}

void log_field_word(struct log_fields *f, const char *key, const char *text)
{
    if (json(f)) {
        log_field_text(f, key, text);
        return;
    }
    open_field(f);
    put_key(f, key);
    text_put_word(&f->o, text);
    close_field(f);
}

void log_field_number(struct log_fields *f, const char *key, uint64_t n)
{
    char digits[24];

    open_field(f);
    put_key(f, key);
    text_put(&f->o, digits, (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)n));
    close_field(f);
}

/* ---- groups and lists ------------------------------------------------------------------------ */

void log_group_begin(struct log_fields *f, const char *group)
{
    open_field(f);
    if (json(f)) {
        put_key(f, group);
        text_put_str(&f->o, "{");
        f->first = true;
    }
    f->group = group;
}

void log_group_end(struct log_fields *f)
{
    if (json(f))
        text_put_str(&f->o, "}");
    f->group = NULL;
    f->first = false;
    close_field(f);
}

void log_list_begin(struct log_fields *f, const char *key, const char *between)
{
    open_field(f);
    put_key(f, key);
    text_put_str(&f->o, json(f) ? "[" : "\"");
    f->between = between;
    f->first = true;
}

void log_list_item(struct log_fields *f, const char *text)
{
    text_put_str(&f->o, f->first ? "" : json(f) ? "," : f->between);
    text_put_str(&f->o, json(f) ? "\"" : "");
    put_inside(f, text);
    text_put_str(&f->o, json(f) ? "\"" : "");
    f->first = false;
}

void log_list_end(struct log_fields *f)
{
    text_put_str(&f->o, json(f) ? "]" : "\"");
    f->first = false;
    close_field(f);
}

/* ---- the record ------------------------------------------------------------------------------ */

void log_fields_begin(struct log_fields *f, char *out, size_t bytes, enum tdm_log_format format,
                      const struct log_record *r)
{
    *f = (struct log_fields){ .format = format, .start = out, .end = out + bytes - ROOM_FOR_END };
    f->o = (struct text_out){ .at = out, .end = f->end };
    log_line_begin(&f->o, format, r);
}

size_t log_fields_end(struct log_fields *f)
{
    f->o.end += ROOM_FOR_END;
    if (f->cut)
        text_put_str(&f->o, json(f) ? ",\"cut\":true" : " cut=true");
    text_put_str(&f->o, json(f) ? "}\n" : "\n");
    return (size_t)(f->o.at - f->start);
}
