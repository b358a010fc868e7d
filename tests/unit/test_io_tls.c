/* TLS on both sides, with certificates made here: who is believed, who is not, and what the error says. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

#include "io_fixture.h"

TestSuite(io_tls, .timeout = 120);

/* A directory with an authority and two certificates it signed, as files. */
struct papers {
    char dir[64], ca[96], server[96], server_key[96], client[96], client_key[96];
};

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *e;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    cr_assert(ne(ptr, e, NULL));
    X509_add_ext(cert, e, -1);
    X509_EXTENSION_free(e);
}

static X509 *make_certificate(EVP_PKEY *key, const char *name, const char *alt, X509 *issuer,
                              EVP_PKEY *issuer_key)
{
    X509 *cert = X509_new();

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1 + (long)strlen(name));
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)name,
                               -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer != NULL ? issuer : cert));
    add_extension(cert, issuer != NULL ? issuer : cert, NID_basic_constraints,
                  issuer != NULL ? "CA:FALSE" : "critical,CA:TRUE");
    if (alt != NULL)
        add_extension(cert, issuer, NID_subject_alt_name, alt);
    cr_assert(gt(int, X509_sign(cert, issuer_key, EVP_sha256()), 0));
    return cert;
}

static void write_files(const char *cert_file, X509 *cert, const char *key_file, EVP_PKEY *key)
{
    FILE *out = fopen(cert_file, "w");

    cr_assert(ne(ptr, out, NULL));
    PEM_write_X509(out, cert);
    fclose(out);
    if (key_file == NULL)
        return;
    out = fopen(key_file, "w");
    cr_assert(ne(ptr, out, NULL));
    PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL);
    fclose(out);
}

static struct papers make_papers(void)
{
    struct papers p;
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    X509 *ca = make_certificate(ca_key, "test authority", NULL, NULL, ca_key);
    X509 *server = make_certificate(key, "server", "DNS:pbx.example,IP:127.0.0.1", ca, ca_key);
    X509 *client = make_certificate(key, "client one", "DNS:client.example", ca, ca_key);

    strcpy(p.dir, "/tmp/tandem-tls-XXXXXX");
    cr_assert(ne(ptr, mkdtemp(p.dir), NULL));
    snprintf(p.ca, sizeof p.ca, "%s/ca.pem", p.dir);
    snprintf(p.server, sizeof p.server, "%s/server.pem", p.dir);
    snprintf(p.server_key, sizeof p.server_key, "%s/server.key", p.dir);
    snprintf(p.client, sizeof p.client, "%s/client.pem", p.dir);
    snprintf(p.client_key, sizeof p.client_key, "%s/client.key", p.dir);
    write_files(p.ca, ca, NULL, NULL);
    write_files(p.server, server, p.server_key, key);
    write_files(p.client, client, p.client_key, key);
    X509_free(ca);
    X509_free(server);
    X509_free(client);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
    return p;
}

static void drop_papers(struct papers *p)
{
    unlink(p->ca);
    unlink(p->server);
    unlink(p->server_key);
    unlink(p->client);
    unlink(p->client_key);
    rmdir(p->dir);
}

static struct tdm_http_server *tls_server(struct io_fixture *f, struct papers *p, bool ask_client)
{
    struct tdm_http_server_cfg cfg = {
        .tls = { .on = true, .cert_file = p->server, .key_file = p->server_key }, .body_max = 4u << 20
    };
    if (ask_client)
        cfg.tls.ca_file = p->ca;
    return io_server(f, &cfg);
}

static struct tdm_http_pool *tls_pool(struct io_fixture *f, uint16_t port, struct tdm_tls_cfg tls)
{
    struct tdm_http_pool_cfg cfg = { .host = "127.0.0.1", .port = port, .tls = tls, .connections = 1 };
    struct tdm_http_pool *pool = NULL;

    cfg.tls.on = true;
    cr_assert(eq(int, tdm_http_pool_new(f->rt, &cfg, &pool), TDM_OK));
    return pool;
}

IO_STORY(io_tls, requests_and_megabytes_pass_through_tls)
{
    struct papers papers = make_papers();
    struct tdm_http_server *s = tls_server(f, &papers, false);
    struct tdm_http_pool *pool =
        tls_pool(f, tdm_http_server_port(s), (struct tdm_tls_cfg){ .ca_file = papers.ca });
    size_t n = 1u << 20;
    char *body = malloc(n);

    memset(body, 'b', n);
    for (int i = 0; i < 3; i++) {
        struct tdm_http_request *r;
        struct tdm_msg *msg;
        tdm_http_request(
            f->rt, pool, f->me,
            &(struct tdm_http_req){ .method = "PUT", .target = "/", .body = body, .body_bytes = n });
        msg = io_next(f, TDM_MSG_HTTP_REQUEST);
        r = tdm_msg_data(msg);
        cr_assert(eq(u32, r->body_bytes, (uint32_t)n));
        cr_assert(eq(int, tdm_http_respond(f->rt, r->conn, 200, NULL, NULL, r->body, r->body_bytes), TDM_OK));
        io_done(f, msg);
        msg = io_reply(f, TDM_OK, 200);
        cr_assert(eq(int, memcmp(((struct tdm_http_reply *)tdm_msg_data(msg))->body, body, n), 0));
        io_done(f, msg);
    }
    free(body);
    tdm_http_pool_free(pool);
    tdm_http_server_free(s);
    drop_papers(&papers);
}

static void expect_refusal(struct io_fixture *f, struct tdm_tls_cfg tls, struct tdm_http_server *s,
                           const char *words)
{
    struct tdm_http_pool *pool = tls_pool(f, tdm_http_server_port(s), tls);
    struct tdm_msg *msg;

    io_ask(f, pool, "GET", "/");
    msg = io_reply(f, TDM_ETLS, 0);
    cr_assert(ne(ptr, strstr(((struct tdm_http_reply *)tdm_msg_data(msg))->body, words), NULL), "said: %s",
              ((struct tdm_http_reply *)tdm_msg_data(msg))->body);
    io_done(f, msg);
    tdm_http_pool_free(pool);
}

IO_STORY(io_tls, a_certificate_for_another_name_is_refused_and_the_error_says_what_to_do)
{
    struct papers papers = make_papers();
    struct tdm_http_server *s = tls_server(f, &papers, false);

    expect_refusal(f, (struct tdm_tls_cfg){ .ca_file = papers.ca, .server_name = "other.example" }, s,
                   "not for other.example; set server_name");
    tdm_http_server_free(s);
    drop_papers(&papers);
}

IO_STORY(io_tls, a_certificate_of_an_unknown_authority_is_refused_and_the_error_says_what_to_do)
{
    struct papers papers = make_papers(), others = make_papers();
    struct tdm_http_server *s = tls_server(f, &papers, false);

    expect_refusal(f, (struct tdm_tls_cfg){ .ca_file = others.ca }, s, "set ca_file");
    tdm_http_server_free(s);
    drop_papers(&papers);
    drop_papers(&others);
}

IO_STORY(io_tls, server_name_is_what_the_certificate_must_be_for)
{
    struct papers papers = make_papers();
    struct tdm_http_server *s = tls_server(f, &papers, false);
    struct tdm_http_pool *pool =
        tls_pool(f, tdm_http_server_port(s),
                 (struct tdm_tls_cfg){ .ca_file = papers.ca, .server_name = "pbx.example" });

    io_ask(f, pool, "GET", "/");
    io_answer(f, 200, "ok");
    io_done(f, io_reply(f, TDM_OK, 200));
    tdm_http_pool_free(pool);
    tdm_http_server_free(s);
    drop_papers(&papers);
}

IO_STORY(io_tls, a_server_with_an_authority_takes_only_clients_with_a_certificate)
{
    struct papers papers = make_papers();
    struct tdm_http_server *s = tls_server(f, &papers, true);
    struct tdm_tls_cfg with = { .ca_file = papers.ca,
                                .cert_file = papers.client,
                                .key_file = papers.client_key };
    struct tdm_http_pool *pool =
        tls_pool(f, tdm_http_server_port(s), (struct tdm_tls_cfg){ .ca_file = papers.ca });
    struct tdm_msg *msg;

    io_ask(f, pool, "GET", "/without");
    msg = io_next(f, TDM_MSG_HTTP_REPLY); /* TLS 1.3: refused after the client's side is done */
    cr_assert(lt(int, ((struct tdm_http_reply *)tdm_msg_data(msg))->err, 0));
    io_done(f, msg);
    tdm_http_pool_free(pool);
    pool = tls_pool(f, tdm_http_server_port(s), with);
    io_ask(f, pool, "GET", "/with");
    io_answer(f, 200, "known");
    io_done(f, io_reply(f, TDM_OK, 200));
    tdm_http_pool_free(pool);
    tdm_http_server_free(s);
    drop_papers(&papers);
}

IO_STORY(io_tls, websockets_run_over_tls_and_files_that_are_missing_are_told_by_closed)
{
    struct papers papers = make_papers();
    struct tdm_http_server *s = tls_server(f, &papers, false);
    struct tdm_ws_cfg cfg = { .host = "127.0.0.1",
                              .port = tdm_http_server_port(s),
                              .target = "/",
                              .owner = f->me,
                              .tls = { .on = true, .ca_file = papers.ca } };
    struct tdm_msg *msg;
    tdm_conn conn;

    cr_assert(eq(int, tdm_ws_connect(f->rt, &cfg, &conn), TDM_OK));
    msg = io_next(f, TDM_MSG_WS_UPGRADE);
    tdm_ws_accept(f->rt, ((struct tdm_http_request *)tdm_msg_data(msg))->conn,
                  &(struct tdm_ws_accept_cfg){ .owner = f->me });
    io_done(f, msg);
    cr_assert(eq(int, tdm_ws_send(f->rt, conn, "secret", 6), TDM_OK));
    msg = io_next(f, TDM_MSG_WS_TEXT);
    cr_assert(eq(str, ((struct tdm_ws_data *)tdm_msg_data(msg))->data, "secret"));
    io_done(f, msg);
    tdm_ws_close(f->rt, conn, 1000, "");
    io_done(f, io_next(f, TDM_MSG_WS_CLOSED));
    io_done(f, io_next(f, TDM_MSG_WS_CLOSED));
    cfg.tls.ca_file = "/nonexistent/ca.pem";
    cr_assert(eq(int, tdm_ws_connect(f->rt, &cfg, &conn), TDM_OK));
    msg = io_next(f, TDM_MSG_WS_CLOSED);
    cr_assert(eq(int, ((struct tdm_ws_state *)tdm_msg_data(msg))->err, TDM_ETLS));
    cr_assert(ne(ptr, strstr(((struct tdm_ws_state *)tdm_msg_data(msg))->text, "/nonexistent/ca.pem"), NULL));
    io_done(f, msg);
    tdm_http_server_free(s);
    drop_papers(&papers);
}

IO_STORY(io_tls, a_client_that_speaks_plain_http_to_a_tls_port_is_closed_and_harms_nobody)
{
    struct papers papers = make_papers();
    struct tdm_http_server *s = tls_server(f, &papers, false);
    int fd = io_raw_connect(f, tdm_http_server_port(s));
    char buf[64];

    IO_SEND(f, fd, "GET / HTTP/1.1\r\n\r\n");
    io_raw_read(f, fd, NULL, buf, sizeof buf);
    cr_assert(not(io_has(f, TDM_MSG_HTTP_REQUEST)));
    io_raw_close(f, fd, false);
    tdm_http_server_free(s);
    drop_papers(&papers);
}
