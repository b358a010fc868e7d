/* bench_scan.c - what the bytes of an event cost: to be checked and routed, to be asked for a field, and,
 * for comparison, to become a Jansson tree.
 *
 *   bench_scan [FILE]     one event a line, as `arigen -x 2000` of the load generator prints them;
 *                         without a file, one event of about a kilobyte that is written below
 *
 * One line: nanoseconds per event. The best of five rounds, because everything else on the machine only
 * adds. */
#include "ari/wire.h"
#include "json_scan.h"
#include "tandem/event.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EVENTS_MAX 4096
#define ROUNDS     5

static const char one_event[] =
    "{\"type\":\"ChannelDtmfReceived\",\"timestamp\":\"2026-11-20T21:18:48.002+0000\",\"digit\":\"5\","
    "\"duration_ms\":100,\"channel\":{\"id\":\"1732200000.1000164\",\"name\":\"PJSIP/"
    "trunk-carrier-a-5b89f564\","
    "\"state\":\"Up\",\"protocol_id\":\"5b89f564-5e7a-4c1d-9b0e-5b89f564@203.0.113.7\",\"caller\":{\"name\":"
    "\"Zo\xC3\xAB \\\"Z\\\" M\xC3\xBCller\",\"number\":\"+15555767908\"},\"connected\":{\"name\":\"\","
    "\"number\":\"\"},\"accountcode\":\"tenant-0042\",\"dialplan\":{\"context\":\"from-carrier\",\"exten\":"
    "\"+15550100\",\"priority\":3,\"app_name\":\"Stasis\",\"app_data\":\"bench,inbound,+15555767908\"},"
    "\"creationtime\":\"2026-11-20T21:18:48.001+0000\",\"language\":\"en\",\"channelvars\":{\"CALLERID(all)"
    "\":"
    "\"\\\"Zo\xC3\xAB M\xC3\xBCller\\\" <+15555767908>\",\"CHANNEL(audioreadformat)\":\"ulaw\",\"trace\":"
    "\"07e5c3a18f6d4b2918f6d4b2907e5c3a2907e5c3a18f6d4b3a18f6d4b2907e5c4b2907e5c3a18f6d5c3a18f6d4b2907e6d4b29"
    "07e5c3a18f7e5c3a18f6d4b2908f6d4b2907e5c3a1907e5c3a18f6d4b2a18f6d4b2907e5c3b2907e5c3a18f6d4c3a18f6d4b290"
    "\"}},"
    "\"asterisk_id\":\"52:54:00:6a:1b:3c\",\"application\":\"bench\"}";

static struct {
    char *text;
    size_t bytes;
    tdm_event *event;
} events[EVENTS_MAX];
static size_t count;

static void add(const char *text, size_t bytes)
{
    if (count == EVENTS_MAX || tdm_event_parse(text, bytes, &events[count].event) != 0)
        return;
    events[count].text = memcpy(malloc(bytes), text, bytes);
    events[count++].bytes = bytes;
}

static void load(const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    ssize_t bytes;

    while (file != NULL && (bytes = getline(&line, &room, file)) > 0)
        add(line, (size_t)bytes);
    free(line);
    if (file != NULL)
        fclose(file);
}

/* ---- the work: each returns what the compiler must not leave out ----------------------------- */

static size_t route(size_t i)
{
    static char scratch[ARI_SCRATCH_BYTES];
    struct ari_frame frame;

    if (ari_wire_scan(&frame, events[i].text, events[i].bytes, scratch, sizeof scratch, NULL) != 0)
        abort();
    return frame.keys;
}

static size_t check(size_t i)
{
    if (json_scan(NULL, events[i].text, events[i].bytes, NULL, NULL) != 0)
        abort();
    return 1;
}

static size_t field(size_t i)
{
    return tdm_event_str(events[i].event, "channel.caller.number") != NULL;
}

static size_t tree(size_t i)
{
    json_t *made = json_loadb(events[i].text, events[i].bytes, 0, NULL);
    const size_t size = json_object_size(made);

    json_decref(made);
    return size;
}

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double best_ns(size_t (*work)(size_t i), size_t times)
{
    static volatile size_t sink __attribute__((unused));
    double best = 1e18;

    for (int round = 0; round < ROUNDS; round++) {
        const double begin = now_ns();

        for (size_t i = 0; i < times; i++)
            sink += work(i % count);
        const double each = (now_ns() - begin) / (double)times;

        best = each < best ? each : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    size_t total = 0;

    if (argc > 1)
        load(argv[1]);
    else
        add(one_event, sizeof one_event - 1);
    if (count == 0) {
        fprintf(stderr, "bench_scan: no events in %s\n", argc > 1 ? argv[1] : "the program");
        return 1;
    }
    for (size_t i = 0; i < count; i++)
        total += events[i].bytes;
    const double routed = best_ns(route, 200000), checked = best_ns(check, 200000),
                 asked = best_ns(field, 200000);
    const double built = best_ns(tree, 10000);

    printf("scan: %zu bytes; %.0f ns to check and route, %.0f to check alone, %.0f for a field; tree by "
           "Jansson %.0f, "
           "%.0f times a scan\n",
           total / count, routed, checked, asked, built, built / routed);
    return 0;
}
