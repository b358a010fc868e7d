/* Recorded traffic through a real socket, and everything that can be wrong with a connection or an event. */
#include "ari_story.h"
#include "test_cert.h"

#include "tandem/event.h"
#include "tandem/metrics.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(ari_exchange, .timeout = 120);

/* ---- recorded traffic
 * --------------------------------------------------------------------------------------
 *
 * What should happen is worked out here from the JSON trees alone, by the routing rules of the fact sheet,
 * and compared with what the actors took from their mailboxes, text by text. */

struct expected {
    char what[8];
    char *app, *id;
    size_t visit;     /* of the channel to the app: the number of starts until then */
    const char *text; /* in the trace; of an exit, the start's */
    size_t bytes;
    bool seen;
};

struct reference {
    struct expected *list;
    size_t n, room;
    struct {
        char *app, *id;
        const char *start;
        size_t bytes, visit;
    } live[1000];
    size_t lives, starts, ends;
};

static void expect(struct reference *r, const char *what, size_t visit, const char *app, const char *id,
                   const char *text, size_t bytes)
{
    if (r->n == r->room) {
        r->room = r->room * 2 + 64;
        r->list = realloc(r->list, r->room * sizeof *r->list);
    }
    struct expected *e = &r->list[r->n++];

    *e = (struct expected){
        .visit = visit, .app = strdup(app), .id = strdup(id), .text = text, .bytes = bytes
    };
    snprintf(e->what, sizeof e->what, "%s", what);
}

static size_t find_live(const struct reference *r, const char *app, const char *id)
{
    size_t i = 0;

    while (i < r->lives && (strcmp(r->live[i].app, app) != 0 || strcmp(r->live[i].id, id) != 0))
        i++;
    return i;
}

static const char *string_at(json_t *tree, const char *a, const char *b)
{
    json_t *value = json_object_get(tree, a);

    return json_string_value(b != NULL ? json_object_get(value, b) : value);
}

/* The channels that an event concerns, each once. */
static size_t channels_of(json_t *tree, const char *type, const char *ids[16])
{
    static const char *const members[] = {
        "channel",
        "replace_channel",
        "peer",
        "caller",
        "forwarded",
        "transferee",
        "transferer_first_leg",
        "transferer_second_leg",
        "transfer_target",
        "destination_link_first_leg",
        "destination_link_second_leg",
        "destination_threeway_channel",
    };
    const char *found[24];
    size_t n = 0, kept = 0;

    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (json_is_object(json_object_get(tree, members[i])))
            found[n++] = string_at(tree, members[i], "id");
    for (int i = 0; i < 2; i++) {
        const char *target = string_at(tree, i == 0 ? "playback" : "recording", "target_uri");

        if (target != NULL && strncmp(target, "channel:", 8) == 0)
            found[n++] = target + 8;
    }
    if (strcmp(type, "ChannelTransfer") == 0) {
        json_t *by = json_object_get(tree, "referred_by"), *to = json_object_get(tree, "refer_to");

        found[n++] = string_at(by, "source_channel", "id");
        found[n++] = string_at(by, "connected_channel", "id");
        found[n++] = string_at(to, "destination_channel", "id");
        found[n++] = string_at(to, "connected_channel", "id");
    }
    for (size_t i = 0; i < n; i++) {
        bool again = found[i] == NULL;

        for (size_t k = 0; k < kept && !again; k++)
            again = strcmp(ids[k], found[i]) == 0;
        if (!again)
            ids[kept++] = found[i];
    }
    return kept;
}

static void work_out(struct reference *r, const char *text, size_t bytes)
{
    json_t *tree = json_loadb(text, bytes, 0, NULL);
    const char *type = string_at(tree, "type", NULL), *app = string_at(tree, "application", NULL), *ids[16];
    const size_t n = channels_of(tree, type, ids);
    const bool ends = strcmp(type, "StasisEnd") == 0 || strcmp(type, "ChannelDestroyed") == 0;

    for (size_t i = 0; i < n; i++) {
        const size_t at = find_live(r, app, ids[i]);

        if (i == 0 && strcmp(type, "StasisStart") == 0 && at == r->lives) {
            r->live[r->lives].app = strdup(app);
            r->live[r->lives].start = text;
            r->live[r->lives].bytes = bytes;
            r->live[r->lives].visit = ++r->starts;
            r->live[r->lives++].id = strdup(ids[i]);
            expect(r, "start", r->starts, app, ids[i], text, bytes);
        } else if (at < r->lives && ends) {
            expect(r, "end", r->live[at].visit, app, ids[i], text, bytes);
            expect(r, "exit", r->live[at].visit, app, ids[i], r->live[at].start, r->live[at].bytes);
            free(r->live[at].app);
            free(r->live[at].id);
            r->live[at] = r->live[--r->lives];
            r->ends++;
        } else if (at < r->lives) {
            expect(r, "event", r->live[at].visit, app, ids[i], text, bytes);
        }
    }
    json_decref(tree);
}

static bool is_next(const struct reference *r, const struct expected *e, const struct sight *s)
{
    if (e->seen || strcmp(e->what, s->what) != 0 || strcmp(e->id, s->id) != 0 ||
        strcmp(e->app, s->app) != 0 || strlen(s->text) != e->bytes || memcmp(s->text, e->text, e->bytes) != 0)
        return false;
    for (const struct expected *before = r->list; before < e; before++)
        if (!before->seen && before->visit == e->visit)
            return false;
    return true;
}

/* Each sight must be the next one expected of its visit; two visits have two actors, which may overlap. */
static void compare(const struct story *st, struct reference *r, const char *file)
{
    for (size_t i = 0; i < st->sights; i++) {
        const struct sight *s = &st->sight[i];
        struct expected *e = r->list;

        while (e < r->list + r->n && !is_next(r, e, s))
            e++;
        cr_assert(lt(ptr, (void *)e, (void *)(r->list + r->n)), "%s: %s %s of %s/%s was not next", file,
                  s->what, s->type, s->app, s->id);
        e->seen = true;
    }
}

struct trace {
    char *text;
    size_t n;
    const char *event[2000];
    size_t bytes[2000];
};

static void trace_read(struct trace *t, const char *path)
{
    FILE *f = fopen(path, "r");
    long size;

    cr_assert(ne(ptr, f, NULL), "%s", path);
    fseek(f, 0, SEEK_END);
    size = ftell(f);
    rewind(f);
    t->text = calloc(1, (size_t)size + 1);
    cr_assert(eq(sz, fread(t->text, 1, (size_t)size, f), (size_t)size));
    fclose(f);
    t->n = 0;
    for (char *line = t->text, *end; *line != '\0'; line = end + 1) {
        char *event = strstr(line, ",\"event\":"), *conn = strstr(line, ",\"conn\":");

        end = line + strcspn(line, "\n");
        if (conn == NULL || event == NULL || event > end || conn > event || event - conn > 20)
            continue;
        t->event[t->n] = event + 9;
        t->bytes[t->n++] = (size_t)(end - event) - 10;
    }
}

static void add_apps(struct story *st, const struct trace *t, char names[16][80])
{
    size_t n = 0;

    for (size_t i = 0; i < t->n; i++) {
        json_t *tree = json_loadb(t->event[i], t->bytes[i], 0, NULL);
        const char *app;
        size_t k = 0;

        cr_assert(ne(ptr, tree, NULL), "%.*s", (int)t->bytes[i], t->event[i]);
        app = string_at(tree, "application", NULL);
        while (k < n && strcmp(names[k], app) != 0)
            k++;
        if (k == n) {
            cr_assert(lt(sz, n, 15));
            snprintf(names[n], sizeof names[n], "%s", app);
            story_app(st, names[n++], NULL);
        }
        json_decref(tree);
    }
}

struct file {
    char path[300];
};

ParameterizedTestParameters(ari_exchange, every_recorded_trace_reaches_the_actors_that_the_routing_rules_name)
{
    glob_t g;
    struct file *files;

    glob(TANDEM_SHARED_DIR "/traces/*.jsonl", 0, NULL, &g);
    glob(TANDEM_SHARED_DIR "/traces/asterisk16/*.jsonl", GLOB_APPEND, NULL, &g);
    files = cr_malloc((g.gl_pathc + 1) * sizeof *files);
    memset(files, 0, (g.gl_pathc + 1) * sizeof *files);
    for (size_t i = 0; i < g.gl_pathc; i++)
        snprintf(files[i].path, sizeof files[i].path, "%s", g.gl_pathv[i]);

    const size_t n = g.gl_pathc > 0 ? g.gl_pathc : 1; /* one empty name when the folder is not there */

    globfree(&g);
    return cr_make_param_array(struct file, files, n, NULL);
}

ParameterizedTest(struct file *file, ari_exchange,
                  every_recorded_trace_reaches_the_actors_that_the_routing_rules_name, .timeout = 60)
{
    static struct reference r;
    static struct trace t;
    char names[16][80];
    struct story st;

    if (file->path[0] == '\0')
        cr_skip_test("no recorded traffic here");
    trace_read(&t, file->path);
    story_open(&st);
    add_apps(&st, &t, names);
    story_start(&st, NULL);
    cr_assert(ari_server_wait_open(st.server, 1));
    for (size_t i = 0; i < t.n; i++) {
        work_out(&r, t.event[i], t.bytes[i]);
        ari_server_send(st.server, t.event[i], t.bytes[i]);
    }
    while (r.lives > 0) { /* calls that the trace leaves alive: so that the test need not wait for them */
        char *end = NULL;
        const int bytes =
            asprintf(&end, "{\"type\":\"StasisEnd\",\"application\":\"%s\",\"channel\":{\"id\":\"%s\"}}",
                     r.live[0].app, r.live[0].id);

        work_out(&r, end, (size_t)bytes);
        ari_server_send(st.server, end, (size_t)bytes); /* the text stays: it is compared below */
    }
    cr_assert(story_wait_sights(&st, r.n), "%s: %zu of %zu", file->path, st.sights, r.n);
    cr_assert(eq(sz, story_seen(&st, "start", NULL, NULL), r.starts));
    cr_assert(eq(sz, story_seen(&st, "exit", NULL, NULL), r.ends));
    cr_assert(eq(i64, tdm_counter_by_name("tandem_ari_events_malformed_total"), 0));
    compare(&st, &r, file->path);
    cr_assert(eq(sz, story_seen(&st, NULL, NULL, NULL), r.n), "nothing more came");
    story_close(&st);
}

/* ---- what can be wrong with a connection ----------------------------------------------------- */

Test(ari_exchange, a_wrong_password_is_told_in_words_and_tried_again)
{
    struct story st;

    story_open(&st);
    st.cfg.password = "wrong, and never to be logged";
    story_start(&st, NULL);
    cr_assert(story_wait_log(&st, "ari.disconnected", "user and password"));
    cr_assert(ari_server_wait_request(st.server, "GET", "/ari/events", 3), "there is no last attempt");

    const struct tdm_ari_state state = story_state(&st);

    cr_assert(eq(int, state.last_status, 401));
    cr_assert(eq(int, state.last_err, TDM_EAUTH));
    cr_assert(not(state.connected));
    cr_assert(ge(u32, state.attempts, 2));
    cr_assert(not(story_logged(&st, "never to be logged")));
    cr_assert(eq(sz, ari_server_opened(st.server), 0));
    story_close(&st);
}

static void refused(int status, const char *words)
{
    struct story st;

    story_open(&st);
    ari_server_refuse(st.server, status);
    story_start(&st, NULL);
    cr_assert(story_wait_log(&st, "ari.disconnected", words));
    cr_assert(eq(int, story_state(&st).last_status, status));
    ari_server_refuse(st.server, 0);
    cr_assert(story_wait_log(&st, "ari.resync", "known=0"), "it connects as soon as the server lets it");
    story_close(&st);
}

Test(ari_exchange, no_ari_at_the_path)
{
    refused(404, "prefix");
}

Test(ari_exchange, an_address_that_is_not_allowed)
{
    refused(403, "permit");
}

Test(ari_exchange, app_names_that_the_server_does_not_take)
{
    refused(400, "app names");
}

Test(ari_exchange, a_server_that_is_still_starting)
{
    refused(503, "still starting");
}

Test(ari_exchange, a_port_where_nobody_listens)
{
    struct story st;

    story_open(&st);
    st.cfg.port = 1;
    story_start(&st, NULL);
    cr_assert(story_wait_log(&st, "ari.disconnected", "http.conf"));
    cr_assert(eq(int, story_state(&st).last_err, TDM_ECONN));
    story_close(&st);
}

Test(ari_exchange, a_host_name_that_does_not_resolve)
{
    struct story st;

    story_open(&st);
    st.cfg.host = "no-such-host.invalid";
    story_start(&st, NULL);
    cr_assert(story_wait_log(&st, "ari.disconnected", "does not resolve"));
    story_close(&st);
}

/* A TLS server with this certificate, asked for under that name. */
static void tls_refused(const char *certificate_for, const char *asked_for, bool known_ca, const char *words)
{
    struct test_cert cert, other;
    struct tdm_http_server *server;
    struct story st;

    test_cert_make(&cert, certificate_for);
    test_cert_make(&other, certificate_for);
    story_open(&st);
    cr_assert(eq(int,
                 tdm_http_server_new(
                     st.rt,
                     &(struct tdm_http_server_cfg){
                         .tls = { .on = true, .cert_file = cert.cert_file, .key_file = cert.key_file } },
                     &server),
                 TDM_OK));
    st.cfg.port = tdm_http_server_port(server);
    st.cfg.connect_timeout_ms = 1000;
    st.cfg.tls = (struct tdm_tls_cfg){ .on = true,
                                       .ca_file = known_ca ? cert.cert_file : other.cert_file,
                                       .server_name = asked_for };
    story_start(&st, NULL);
    cr_assert(story_wait_log(&st, "ari.disconnected", words));
    story_close_with(&st, server);
    test_cert_remove(&cert);
    test_cert_remove(&other);
}

Test(ari_exchange, a_certificate_for_another_name_is_refused)
{
    tls_refused("other.example", "pbx.example", true, "ETLS");
}

Test(ari_exchange, a_certificate_that_nobody_vouches_for_is_refused)
{
    tls_refused("pbx.example", "pbx.example", false, "tls.ca_file");
}

Test(ari_exchange, the_right_certificate_is_taken)
{
    tls_refused("pbx.example", "pbx.example", true, "answered 503"); /* heard through TLS */
}

Test(ari_exchange, an_app_that_the_server_does_not_know_after_all_is_not_taken_for_an_empty_one)
{
    struct story st;

    story_open(&st);
    story_start(&st, NULL);
    cr_assert(ari_server_wait_open(st.server, 1));
    story_say_start(&st, "c1");
    cr_assert(story_wait(&st, "start", "c1", NULL, 1));
    ari_server_answer(st.server, "GET", "/ari/applications/ivr", 404,
                      "{\"message\":\"Application not found\"}");
    ari_server_drop(st.server);
    cr_assert(story_wait_log(&st, "ari.resync_failed", "step=ivr"));
    cr_assert(ari_server_wait_open(st.server, 4), "each failed comparison is a new connection");
    cr_assert(eq(sz, story_seen(&st, "end", NULL, NULL), 0), "and no call was ended");
    story_list(&st, "ivr", "");
    cr_assert(story_wait(&st, "end", "c1", "StasisEnd", 1));
    story_close(&st);
}

Test(ari_exchange, each_fault_of_the_configuration_stops_it_before_it_starts)
{
    struct story st;
    tdm_pid none = { 0 };

    story_open(&st);
    st.cfg.user = "";
    cr_assert(eq(int, tdm_ari_start(st.rt, &st.cfg, &none), TDM_ECONFIG));
    cr_assert(story_wait_log(&st, "ari.config", "user: required"));
    cr_assert(eq(u64, none.id, 0));
    st.cfg.user = "tandem";
    story_start(&st, NULL);
    cr_assert(eq(int, tdm_ari_start(st.rt, &st.cfg, &none), TDM_EEXIST), "two sources of one name");
    story_close(&st);
}

/* ---- what can be wrong with an event --------------------------------------------------------- */

/* One call that must not notice anything. */
static void open_with_witness(struct story *st)
{
    story_open(st);
    story_start(st, NULL);
    cr_assert(ari_server_wait_open(st->server, 1));
    story_say_start(st, "witness");
    cr_assert(story_wait(st, "start", "witness", NULL, 1));
}

/* ... and did not: events of the first connection still reach it, in order. */
static void close_with_witness(struct story *st)
{
    story_say_event(st, "witness", "ChannelDtmfReceived");
    story_say_end(st, "witness");
    cr_assert(story_wait(st, "exit", "witness", NULL, 1));
    cr_assert(eq(sz, story_seen(st, "event", "witness", "ChannelDtmfReceived"), 1));
    cr_assert(eq(sz, story_seen(st, "end", "witness", NULL), 1));
    cr_assert(eq(sz, ari_server_opened(st->server), 1), "the connection was kept");
    cr_assert(eq(i64, tdm_counter_by_name("tandem_ari_disconnects_total"), 0));
    story_close(st);
}

static int64_t malformed(void)
{
    return tdm_counter_by_name("tandem_ari_events_malformed_total");
}

static void is_malformed(const char *text, size_t bytes)
{
    struct story st;

    open_with_witness(&st);
    ari_server_send(st.server, text, bytes);
    story_say_event(&st, "witness", "ChannelHold"); /* behind it, so it has been read when this arrives */
    cr_assert(story_wait(&st, "event", "witness", "ChannelHold", 1));
    cr_assert(eq(i64, malformed(), 1));
    close_with_witness(&st);
}

Test(ari_exchange, an_event_that_is_cut_off_is_counted)
{
    static const char text[] = "{\"type\":\"StasisStart\",\"application\":\"ivr\",\"channel\":{\"id\":\"c";

    is_malformed(text, sizeof text - 1);
}

Test(ari_exchange, an_event_that_is_not_json_is_counted)
{
    is_malformed("no json at all", 14);
}

Test(ari_exchange, an_empty_event_is_counted)
{
    is_malformed("", 0);
}

Test(ari_exchange, an_event_without_a_type_is_counted)
{
    is_malformed("{\"application\":\"ivr\"}", 21);
}

Test(ari_exchange, an_event_nested_deeper_than_any_parser_goes_is_counted)
{
    static char text[200000];

    memset(text, '[', sizeof text / 2);
    memset(text + sizeof text / 2, ']', sizeof text / 2);
    is_malformed(text, sizeof text);
}

Test(ari_exchange, a_start_without_a_channel_is_counted)
{
    static const char text[] = "{\"type\":\"StasisStart\",\"application\":\"ivr\",\"args\":[]}";

    is_malformed(text, sizeof text - 1);
}

Test(ari_exchange, text_that_is_not_utf8_costs_the_connection_and_no_call)
{
    static const char text[] =
        "{\"type\":\"StasisStart\",\"application\":\"ivr\",\"x\":\"\xff\xfe\",\"channel\":{\"id\":\"c\"}}";
    struct story st;

    open_with_witness(&st);
    story_list(&st, "ivr", "\"witness\"");
    ari_server_answer(st.server, "GET", "/ari/channels", 200,
                      "[{\"id\":\"witness\",\"state\":\"Up\",\"dialplan\":{\"app_name\":\"Stasis\",\"app_"
                      "data\":\"ivr\"}}]");
    ari_server_send(st.server, text, sizeof text - 1);
    cr_assert(story_wait(&st, "event", "witness", "TandemGap", 1),
              "a new connection, and the witness is told");
    cr_assert(eq(sz, story_seen(&st, "start", NULL, NULL), 1));
    cr_assert(eq(sz, story_seen(&st, "exit", NULL, NULL), 0));
    story_close(&st);
}

Test(ari_exchange, of_members_with_one_name_the_last_counts_as_for_any_parser)
{
    struct story st;

    open_with_witness(&st);
    story_say(&st, "{\"type\":\"ChannelHold\",\"application\":\"no\",\"channel\":{\"id\":\"a\",\"id\":\"b\"},"
                   "\"channel\":{\"id\":\"c\",\"id\":\"witness\"},\"application\":\"ivr\"}");
    cr_assert(story_wait(&st, "event", "witness", "ChannelHold", 1));
    close_with_witness(&st);
}

Test(ari_exchange, any_byte_in_an_id_names_one_call_and_is_encoded_in_requests)
{
    static const char id[] = "a b;1/#?%&+=@:!~\\u00fc\\u0001\\\"\\\\\\/x";
    static const char plain[] = "a b;1/#?%&+=@:!~\xc3\xbc\x01\"\\/x";
    struct story st;
    char got[500], body[100];

    open_with_witness(&st);
    story_say(&st,
              "{\"type\":\"StasisStart\",\"application\":\"ivr\",\"args\":[],\"channel\":{\"id\":\"%s\","
              "\"state\":\"Ring\"}}",
              id);
    cr_assert(story_wait(&st, "start", plain, NULL, 1));
    story_say(&st, "{\"type\":\"ChannelHold\",\"application\":\"ivr\",\"channel\":{\"id\":\"%s\"}}", id);
    cr_assert(story_wait(&st, "event", plain, "ChannelHold", 1));
    tdm_runtime_stop(st.rt, 10000); /* what runs is handed back to the dialplan */
    cr_assert(ari_server_last(st.server, "POST", "/ari/channels/a%20b", got, sizeof got, body, sizeof body));
    cr_assert(
        eq(str, got, "/ari/channels/a%20b%3B1%2F%23%3F%25%26%2B%3D%40%3A%21~%C3%BC%01%22%5C%2Fx/continue"));
    story_close(&st);
}

Test(ari_exchange, an_id_longer_than_any_server_gives_makes_no_call)
{
    static char id[600];
    struct story st;

    open_with_witness(&st);
    memset(id, 'x', sizeof id - 1);
    story_say_start(&st, id);
    id[300] = '\0'; /* one that the scanner takes and dispatch does not */
    story_say_start(&st, id);
    story_say_event(&st, "witness", "ChannelHold");
    cr_assert(story_wait(&st, "event", "witness", "ChannelHold", 1));
    cr_assert(eq(sz, story_seen(&st, "start", NULL, NULL), 1));
    cr_assert(eq(i64, tdm_counter_by_name("tandem_ari_bad_ids_total"), 1));
    cr_assert(eq(i64, tdm_counter_by_name("tandem_ari_unserved_total"), 1));
    close_with_witness(&st);
}

Test(ari_exchange, an_event_of_a_mebibyte_arrives_whole)
{
    static char text[(1 << 20) + 300];
    struct story st;

    open_with_witness(&st);

    const int head = sprintf(
        text, "{\"type\":\"ChannelUserevent\",\"application\":\"ivr\",\"channel\":{\"id\":\"witness\"},"
              "\"userevent\":{\"x\":\"");

    memset(text + head, 'x', 1 << 20);
    strcpy(text + head + (1 << 20), "\"}}");
    ari_server_send(st.server, text, strlen(text));
    cr_assert(story_wait(&st, "event", "witness", "ChannelUserevent", 1));
    cr_assert(eq(sz, strlen(st.sight[st.sights - 1].text), strlen(text)));
    close_with_witness(&st);
}

Test(ari_exchange, an_event_above_the_limit_costs_the_connection_and_no_call)
{
    struct story st;
    const size_t bytes = 17 << 20;
    char *text = calloc(1, bytes);

    open_with_witness(&st);
    story_list(&st, "ivr", "\"witness\"");
    ari_server_answer(st.server, "GET", "/ari/channels", 200, "[{\"id\":\"witness\",\"state\":\"Up\"}]");
    memset(text, ' ', bytes);
    ari_server_send(st.server, text, bytes);
    cr_assert(story_wait(&st, "event", "witness", "TandemGap", 1));
    cr_assert(eq(sz, story_seen(&st, "exit", NULL, NULL), 0));
    story_close(&st);
    free(text);
}

Test(ari_exchange, events_of_channels_nobody_knows_go_nowhere)
{
    struct story st;

    open_with_witness(&st);
    story_say_event(&st, "stranger", "ChannelDtmfReceived");
    story_say(&st,
              "{\"type\":\"ChannelVarset\",\"application\":\"ivr\",\"variable\":\"GLOBAL\",\"value\":\"1\"}");
    story_say(&st, "{\"type\":\"BrandNewEvent\",\"application\":\"ivr\",\"whatever\":[1,2,3]}");
    story_say(&st, "{\"type\":\"ChannelHold\",\"application\":\"other\",\"channel\":{\"id\":\"witness\"}}");
    close_with_witness(&st);
}

Test(ari_exchange, an_unknown_type_of_event_reaches_the_call_that_it_names)
{
    struct story st;

    open_with_witness(&st);
    story_say_event(&st, "witness", "ChannelLevitates");
    cr_assert(story_wait(&st, "event", "witness", "ChannelLevitates", 1));
    close_with_witness(&st);
}

Test(ari_exchange, a_second_start_of_a_live_call_makes_no_second_actor)
{
    struct story st;

    open_with_witness(&st);
    story_say_start(&st, "witness");
    cr_assert(story_wait(&st, "event", "witness", "StasisStart", 1));
    cr_assert(eq(sz, story_seen(&st, "start", NULL, NULL), 1));
    story_say_event(&st, "witness", "ChannelHold"); /* who has this has counted what came before it */
    cr_assert(story_wait(&st, "event", "witness", "ChannelHold", 1));
    cr_assert(eq(i64, tdm_counter_by_name("tandem_ari_starts_doubled_total"), 1));
    close_with_witness(&st);
}

Test(ari_exchange, an_end_before_the_start_ends_nothing)
{
    struct story st;

    open_with_witness(&st);
    story_say_end(&st, "c1");
    story_say_start(&st, "c1");
    cr_assert(story_wait(&st, "start", "c1", NULL, 1));
    cr_assert(eq(i64, tdm_counter_by_name("tandem_ari_ends_unknown_total"), 1));
    story_say_event(&st, "c1", "ChannelHold");
    cr_assert(story_wait(&st, "event", "c1", "ChannelHold", 1));
    story_say_end(&st, "c1");
    cr_assert(story_wait(&st, "exit", "c1", NULL, 1));
    close_with_witness(&st);
}

Test(ari_exchange, an_id_that_is_used_again_is_a_new_call)
{
    struct story st;

    open_with_witness(&st);
    for (size_t i = 1; i <= 50; i++) {
        story_say_start(&st, "c1");
        story_say_event(&st, "c1", "ChannelHold");
        story_say_end(&st, "c1");
    }
    cr_assert(story_wait(&st, "exit", "c1", NULL, 50));
    cr_assert(eq(sz, story_seen(&st, "start", "c1", NULL), 50));
    cr_assert(eq(sz, story_seen(&st, "event", "c1", "ChannelHold"), 50));
    close_with_witness(&st);
}

Test(ari_exchange, a_destroyed_channel_ends_its_call_though_no_stasis_end_came)
{
    struct story st;

    open_with_witness(&st);
    story_say_start(&st, "c1");
    story_say_event(&st, "c1", "ChannelDestroyed");
    cr_assert(story_wait(&st, "exit", "c1", NULL, 1));
    cr_assert(eq(sz, story_seen(&st, "end", "c1", "ChannelDestroyed"), 1));
    story_say_end(&st, "c1");
    close_with_witness(&st);
}

Test(ari_exchange, a_channel_that_no_module_serves_goes_back_to_the_dialplan)
{
    struct story st;

    open_with_witness(&st);
    story_say(&st, "{\"type\":\"StasisStart\",\"application\":\"strange\",\"channel\":{\"id\":\"c1\"}}");
    cr_assert(ari_server_wait_request(st.server, "POST", "/ari/channels/c1/continue", 1));
    cr_assert(eq(sz, story_seen(&st, NULL, "c1", NULL), 0));
    close_with_witness(&st);
}

Test(ari_exchange, binary_frames_and_answers_nobody_asked_for_are_passed_over)
{
    struct story st;

    open_with_witness(&st);
    ari_server_send_raw(st.server, "\x82\x03\x01\x02\x03", 5);
    story_say(&st,
              "{\"type\":\"RESTResponse\",\"application\":\"ivr\",\"request_id\":\"1\",\"status_code\":200}");
    close_with_witness(&st);
}
