/* metrics_page.c - the counters over HTTP: GET /metrics for Prometheus, GET /healthz for whoever watches the
 * process.
 *
 * One actor answers; the sockets are the runtime's. */
#include "metrics_page.h"

#include <stdlib.h>
#include <string.h>

#include <tandem/http.h>
#include <tandem/log.h>
#include <tandem/metrics.h>
#include <tandem/runtime.h>

#include "program_config.h"

enum { PAGE_MAX = 256 * 1024 };

struct metrics_page {
    struct tdm_http_server *server;
};

static void answer_metrics(tdm_self *self, tdm_conn conn)
{
    char *text = tdm_alloc(self, PAGE_MAX);
    size_t n = text == NULL ? 0 : tdm_metrics_text(text, PAGE_MAX);

    if (text == NULL || n >= PAGE_MAX)
        tdm_http_respond(tdm_self_runtime(self), conn, 500, NULL, "text/plain", "too large\n", 10);
    else
        tdm_http_respond(tdm_self_runtime(self), conn, 200, NULL, "text/plain; version=0.0.4", text, n);
    tdm_free(self, text);
}

static int handle(tdm_self *self, void *state, struct tdm_msg *msg)
{
    struct tdm_runtime *rt = tdm_self_runtime(self);
    const struct tdm_http_request *req = tdm_msg_view(msg);

    (void)state;
    if (msg->type != TDM_MSG_HTTP_REQUEST && msg->type != TDM_MSG_WS_UPGRADE)
        return TDM_OK;
    if (strcmp(req->method, "GET") != 0)
        tdm_http_respond(rt, req->conn, 405, "Allow: GET\r\n", "text/plain", "GET only\n", 9);
    else if (strcmp(req->path, "/metrics") == 0)
        answer_metrics(self, req->conn);
    else if (strcmp(req->path, "/healthz") == 0)
        tdm_http_respond(rt, req->conn, 200, NULL, "text/plain", "ok\n", 3);
    else
        tdm_http_respond(rt, req->conn, 404, NULL, "text/plain", "there are /metrics and /healthz\n", 32);
    return TDM_OK;
}

static const struct tdm_behaviour page = { .name = "metrics_page", .handle = handle };

int metrics_page_start(struct metrics_page **ret, struct tdm_runtime *rt, const char *listen)
{
    struct program_address at;
    struct metrics_page *p = calloc(1, sizeof *p);
    tdm_pid owner;
    const char *wrong = program_listen_parse(listen, &at);

    if (p == NULL || wrong != NULL) {
        free(p);
        return wrong != NULL ? TDM_ECONFIG : TDM_ENOMEM;
    }
    int err = tdm_spawn(rt, &(struct tdm_spawn_cfg){ .behaviour = &page, .tag = "metrics" }, &owner);
    if (err == TDM_OK)
        err = tdm_http_server_new(
            rt, &(struct tdm_http_server_cfg){ .address = at.host, .port = at.port, .owner = owner },
            &p->server);
    if (err < 0) {
        tdm_log_error("metrics.listen", "address=%s port=%u err=%s", at.host, at.port, tdm_errname(err));
        free(p);
        return err;
    }
    tdm_log_info("metrics.listening", "address=%s port=%u", at.host, tdm_http_server_port(p->server));
    *ret = p;
    return TDM_OK;
}

void metrics_page_stop(struct metrics_page *p)
{
    if (p == NULL)
        return;
    tdm_http_server_free(p->server);
    free(p);
}
