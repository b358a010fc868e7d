/* config.c - a YAML file becomes the struct that a schema describes, or a list of all its faults.
 *
 * Idea:      libyaml builds the document with the place of every node; config_walk.c compares it with the
 *            schema. Only those two files know libyaml.
 * Touched by the thread that loads. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_report.h"
#include "config_value.h"
#include "config_walk.h"

#define DEPTH_MAX   64
#define PIECE_BYTES 256

/* -- YAML ---------------------------------------------------------------------------------------- */

static const char *advice(const char *problem)
{
    if (strstr(problem, "alias") != NULL || strstr(problem, "anchor") != NULL)
        return "; a text that starts with * or & needs quotes";
    if (strstr(problem, "cannot start any token") != NULL)
        return "; a text that starts with %, @ or ` needs quotes, and lines are indented with blanks, not "
               "tabs";
    if (strstr(problem, "mapping values are not allowed") != NULL)
        return "; a text with \": \" in it needs quotes";
    return "";
}

/* libyaml takes the text from us in small pieces, so that we see brackets nest while it scans: its time
 * grows with the square of the depth, and a file of nothing but brackets would keep it busy for minutes. */
struct feed {
    const yaml_parser_t *parser;
    const char *text;
    size_t bytes, at;
    bool too_deep;
};

static int feed_some(void *data, unsigned char *buffer, size_t room, size_t *taken)
{
    struct feed *f = data;
    size_t n = f->bytes - f->at;

    f->too_deep = f->parser->flow_level > DEPTH_MAX;
    n = n < room ? n : room;
    n = n < PIECE_BYTES ? n : PIECE_BYTES;
    memcpy(buffer, f->text + f->at, n);
    f->at += n;
    *taken = n;
    return !f->too_deep;
}

static void place_of_offset(const char *text, size_t bytes, size_t offset, uint32_t *line, uint32_t *column)
{
    *line = *column = 1;
    for (size_t i = 0; i < bytes && i < offset; i++) {
        *column = text[i] == '\n' ? 1 : *column + 1;
        *line += text[i] == '\n';
    }
}

static void syntax_fault(struct config_load *l, const yaml_parser_t *p, const struct feed *f)
{
    const char *problem = p->problem == NULL ? "not YAML" : p->problem;
    uint32_t line = (uint32_t)p->problem_mark.line + 1, column = (uint32_t)p->problem_mark.column + 1;

    if (p->error == YAML_MEMORY_ERROR) {
        l->no_memory = true;
        return;
    }
    if (f->too_deep) {
        config_report_add(l->report, false, (uint32_t)p->mark.line + 1, (uint32_t)p->mark.column + 1, "",
                          NULL, "brackets are nested too deeply");
        return;
    }
    if (p->error == YAML_READER_ERROR) /* libyaml gives these no mark */
        place_of_offset(f->text, f->bytes, p->problem_offset, &line, &column);
    config_report_add(l->report, false, line, column, "", NULL, "YAML: %s%s%s%s", problem,
                      p->context == NULL ? "" : " ", p->context == NULL ? "" : p->context, advice(problem));
}

/* Nothing but one document may be in the file. */
static bool parse(struct config_load *l, yaml_parser_t *p, const struct feed *f)
{
    yaml_document_t second;

    if (!yaml_parser_load(p, &l->doc)) {
        syntax_fault(l, p, f);
        return false;
    }
    if (yaml_document_get_root_node(&l->doc) == NULL)
        return true;
    if (!yaml_parser_load(p, &second)) {
        syntax_fault(l, p, f);
        return true; /* what came before is still worth checking */
    }
    const yaml_node_t *root = yaml_document_get_root_node(&second);
    if (root != NULL)
        config_report_add(l->report, false, line_of(root), column_of(root), "", NULL,
                          "a second document; there must be one");
    yaml_document_delete(&second);
    return true;
}

static void load_document(struct config_load *l, const struct tdm_config_schema *schema, const char *text,
                          size_t bytes, void *value)
{
    yaml_parser_t parser;
    struct feed feed = { .parser = &parser, .text = text, .bytes = bytes };

    if (!yaml_parser_initialize(&parser)) {
        l->no_memory = true;
        return;
    }
    yaml_parser_set_input(&parser, feed_some, &feed);
    if (parse(l, &parser, &feed)) {
        config_walk(l, yaml_document_get_root_node(&l->doc), schema, value);
        if (schema->check != NULL && !l->no_memory && !l->too_many)
            schema->check(value, schema->check_arg, l->report);
        yaml_document_delete(&l->doc);
    }
    yaml_parser_delete(&parser);
}

static int load_text(struct config_load *l, const char *text, size_t bytes,
                     const struct tdm_config_schema *schema, void *out)
{
    struct tdm_config_report *r = l->report;
    void *value = calloc(1, schema->bytes);

    if (value == NULL)
        return TDM_ENOMEM;
    if (bytes > TDM_CONFIG_BYTES_MAX)
        config_report_add(r, false, 0, 0, "", "up to 1 MiB", "the file is too large");
    else
        load_document(l, schema, text, bytes, value);
    config_report_sort(r);
    int err = l->no_memory || r->out_of_memory          ? TDM_ENOMEM
              : r->n_faults + r->n_more > r->n_warnings ? TDM_ECONFIG
                                                        : TDM_OK;
    if (err == TDM_OK)
        memcpy(out, value, schema->bytes);
    else
        tdm_config_free(schema, value);
    free(value);
    return err;
}

static int report_begin(struct tdm_config_report *report, const char *name)
{
    free(report->file);
    report->file = strdup(name);
    return report->file == NULL ? TDM_ENOMEM : TDM_OK;
}

int tdm_config_load_text(const char *name, const char *text, size_t bytes,
                         const struct tdm_config_schema *schema, void *out, struct tdm_config_report *report)
{
    struct config_load l = { .report = report };
    int err = report_begin(report, name);

    return err < 0 ? err : load_text(&l, text, bytes, schema, out);
}

/* -- files --------------------------------------------------------------------------------------- */

/* Up to `room` bytes of a file or pipe; the number, or -errno. */
static ssize_t read_all(int fd, char *text, size_t room)
{
    size_t used = 0;

    while (used < room) {
        ssize_t n = read(fd, text + used, room - used);
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return -errno;
        used += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)used;
}

/* One byte more than allowed is read, to know that it is there. */
static ssize_t read_file(const char *file, char *text, bool *readable_by_others)
{
    struct stat st = { 0 };
    int fd = open(file, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    ssize_t n = fstat(fd, &st) == 0 ? read_all(fd, text, TDM_CONFIG_BYTES_MAX + 1) : -errno;
    *readable_by_others = S_ISREG(st.st_mode) && (st.st_mode & S_IROTH) != 0;
    close(fd);
    return n;
}

int tdm_config_load(const char *file, const struct tdm_config_schema *schema, void *out,
                    struct tdm_config_report *report)
{
    struct config_load l = { .report = report };
    int err = report_begin(report, file);
    char *text = malloc(TDM_CONFIG_BYTES_MAX + 1);

    if (err < 0 || text == NULL) {
        free(text);
        return TDM_ENOMEM;
    }
    ssize_t n = read_file(file, text, &l.readable_by_others);
    if (n < 0) {
        config_report_add(report, false, 0, 0, "", NULL, "cannot be read: %s", tdm_strerror((int)n));
        err = (int)n;
    } else {
        err = load_text(&l, text, (size_t)n, schema, out);
        explicit_bzero(text, (size_t)n); /* there may be passwords in it */
    }
    free(text);
    return err;
}
