/* crash_block.c - a crash report for a pair of eyes: a block of lines on a terminal.
 *
 * First what to do, then what happened, then what it was doing. Every text is escaped as in a line, so that nothing from
 * outside moves the cursor. */
#include <stdio.h>
#include <string.h>

#include "crash.h"
#include "log_line.h"
#include "msg_name.h"

enum { WIDTH = 96, LABEL = 13 };

struct block {
    struct text_out o;
    bool colour;
};

static void paint(struct block *b, const char *code)
{
    if (b->colour)
        text_put_str(&b->o, code);
}

static void label(struct block *b, const char *name)
{
    char text[LABEL + 8];

    paint(b, "\033[2m");
    snprintf(text, sizeof text, "  %-11s", name);
    text_put_str(&b->o, text);
    paint(b, "\033[0m");
}

static void indent(struct block *b)
{
    text_put_str(&b->o, "\n             ");
}

/* Broken between words where it gets too long. */
static void put_wrapped(struct block *b, const char *text)
{
    size_t room = WIDTH - LABEL;

    while (strlen(text) > room) {
        size_t n = room;
        while (n > 0 && text[n] != ' ')
            n--;
        if (n == 0)
            n = room;
        text_put_inside(&b->o, text, n);
        indent(b);
        text += n + (text[n] == ' ');
    }
    text_put_inside(&b->o, text, strlen(text));
    text_put_str(&b->o, "\n");
}

static void line(struct block *b, const char *name, const char *text)
{
    if (text[0] == '\0')
        return;
    label(b, name);
    put_wrapped(b, text);
}

static void put_head(struct block *b, const struct crash *c, const struct log_record *r)
{
    char text[256];

    paint(b, "\033[1;31m");
    snprintf(text, sizeof text, "%s%s%s", c->a->behaviour->name,
             r->tag != NULL && r->tag[0] != '\0' ? " " : "", r->tag != NULL ? r->tag : "");
    text_put_str(&b->o, "crash: ");
    text_put_inside(&b->o, text, strlen(text));
    paint(b, "\033[0m");
    text_put_str(&b->o, "  ");
    log_line_begin(&b->o, TDM_LOG_LOGFMT, r);
    text_put_str(&b->o, "\n");
}

static void put_doing(struct block *b, const struct crash *c)
{
    char type[64], text[256];

    if (c->hand.pid == 0) {
        line(b, "in", c->callback);
        return;
    }
    msg_type_text(c->hand.type, c->hand.bytes, type, sizeof type);
    snprintf(text, sizeof text, "%s, message %s%s%s from %llu", c->callback, type,
             c->hand.excerpt[0] != '\0' ? " " : "", c->hand.excerpt, (unsigned long long)c->hand.from);
    line(b, "in", text);
}

static void put_frames(struct block *b, const struct crash *c)
{
    for (int i = 0; i < c->n_frames; i++) {
        label(b, i == 0 ? "at" : i == 1 ? "called by" : "");
        text_put_inside(&b->o, c->frames[i], strlen(c->frames[i]));
        text_put_str(&b->o, "\n");
    }
}

static void put_history(struct block *b, const struct crash *c)
{
    char text[CRASH_HISTORY * 50] = "";
    size_t at = 0;

    for (int i = 0; i < c->n_history; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", i > 0 ? ", " : "", c->history[i]);
    line(b, "messages", text);
}

static void put_note(struct block *b, const struct crash *c)
{
    char text[128];

    if (c->note_bytes == 0)
        return;
    snprintf(text, sizeof text, "%zu bytes%s%s", c->note_bytes, c->note[0] != '\0' ? ": " : "", c->note);
    line(b, "note", text);
}

static void put_life(struct block *b, const struct crash *c)
{
    char text[256];

    snprintf(text, sizeof text, "lived %llu.%03llu s, restarted %u times before",
             (unsigned long long)(c->life_ms / 1000), (unsigned long long)(c->life_ms % 1000), c->restarts);
    line(b, "life", text);
    snprintf(text, sizeof text, "%u waiting of %u; %u links, monitors %u, monitored by %u", c->mailbox,
             actor_limit(c->a), c->links.links, c->links.watches, c->links.watched);
    line(b, "mailbox", text);
}

static void put_version(struct block *b, const struct crash *c)
{
    char text[128];

    if (c->version == 0)
        return;
    snprintf(text, sizeof text, "%.64s, version %u", c->module, c->version);
    line(b, "module", text);
}

size_t crash_block(const struct crash *c, const struct log_record *r, bool colour, char *out, size_t bytes)
{
    struct block b = { .o = { .at = out, .end = out + bytes - 16 }, .colour = colour };

    put_head(&b, c, r);
    line(&b, "reason", c->why);
    line(&b, "what to do", c->advice);
    put_frames(&b, c);
    put_doing(&b, c);
    line(&b, "state", c->state);
    put_note(&b, c);
    put_history(&b, c);
    put_life(&b, c);
    line(&b, "under", c->ancestors);
    put_version(&b, c);
    if (b.o.cut) {
        b.o.end = out + bytes - 8;
        text_put_str(&b.o, "...\n");
    }
    return (size_t)(b.o.at - out);
}
