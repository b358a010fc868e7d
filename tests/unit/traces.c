/* traces.c - read the JSON lines of the recorded traffic. See traces/README.md in the shared folder. */
#include "traces.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t each_of_file(const char *path, void (*fn)(const char *, const char *, size_t))
{
    static const char mark[] = ",\"event\":";
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0, events = 0;
    ssize_t bytes;

    if (file == NULL)
        return 0;
    while ((bytes = getline(&line, &room, file)) > 0) {
        const char *event = memmem(line, (size_t)bytes < 60 ? (size_t)bytes : 60, mark, sizeof mark - 1);

        if (event == NULL)
            continue;
        event += sizeof mark - 1;
        while (bytes > 0 && line[bytes - 1] != '}')
            bytes--;
        fn(path, event, (size_t)(line + bytes - 1 - event));
        events++;
    }
    free(line);
    fclose(file);
    return events;
}

size_t traces_each(void (*fn)(const char *file, const char *text, size_t bytes))
{
    glob_t found;
    size_t events = 0;

    if (glob(TANDEM_SHARED_DIR "/traces/*.jsonl", 0, NULL, &found) != 0)
        return 0;
    glob(TANDEM_SHARED_DIR "/traces/asterisk16/*.jsonl", GLOB_APPEND, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc; i++)
        events += each_of_file(found.gl_pathv[i], fn);
    globfree(&found);
    return events;
}

char *traces_shared_file(const char *name, size_t *bytes)
{
    char path[4096], *text = NULL;
    long size;

    snprintf(path, sizeof path, "%s/%s", TANDEM_SHARED_DIR, name);
    FILE *file = fopen(path, "r");

    if (file == NULL)
        return NULL;
    if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) > 0 &&
        (text = malloc((size_t)size + 1)) != NULL) {
        rewind(file);
        *bytes = fread(text, 1, (size_t)size, file);
        text[*bytes] = '\0';
    }
    fclose(file);
    return text;
}
