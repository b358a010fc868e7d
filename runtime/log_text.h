/* log_text.h - text into a buffer, escaped and without secrets. See log_text.c. */
#ifndef RUNTIME_LOG_TEXT_H
#define RUNTIME_LOG_TEXT_H
#include <stdbool.h>
#include <stddef.h>

/* Text with an end that is never passed. `tail` bytes are kept free for what closes the line. */
struct text_out {
    char *at, *end;
    bool cut;
};

/* All of it or, when it does not fit, nothing more. */
void text_put(struct text_out *o, const char *text, size_t bytes);
void text_put_str(struct text_out *o, const char *text);
void text_put_escape(struct text_out *o, unsigned char c);

/* Bytes of the printable character at text[0]; 0 when the first byte has to be escaped. */
size_t text_printable(const char *text, size_t bytes);

/* Outside text as it stands between quotes. */
void text_put_inside(struct text_out *o, const char *text, size_t bytes);
/* As it stands when it is one plain word, quoted otherwise. */
void text_put_word(struct text_out *o, const char *text);

/* The same as JSON, which does not look for secrets: with quotes, without, and one character; that returns how many bytes
 * of the text were used. */
void text_put_json_text(struct text_out *o, const char *text, size_t bytes);
void text_put_json_inside(struct text_out *o, const char *text, size_t bytes);
size_t text_put_json_char(struct text_out *o, const char *text, size_t bytes);

/* Replace secrets in `text`, in place; returns the new length. `cut`: the text goes on, so a beginning
 * of a secret at its end is hidden too. */
size_t log_hide_secrets(char *text, size_t bytes, bool cut);

#endif
