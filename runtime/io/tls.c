/* tls.c - TLS by OpenSSL over memory BIOs; the only file that knows OpenSSL.
 *
 * Idea:      OpenSSL never sees a socket. Bytes from the wire go into one BIO, bytes for the wire come out
 *            of the other, so TLS runs wherever our sockets run, the deterministic environment included.
 * Checking:  a client always checks the chain and the name; there is no switch to turn that off. For a
 *            self-signed peer its certificate is the ca_file.
 * Memory:    OpenSSL's own allocations are not the environment's. It is initialised when TLS is first
 *            used; a process that never uses TLS pays nothing.
 * Touched by the loop; tls_ctx_new() by whoever makes a pool, a server or a WebSocket. */
#include "io/tls.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

struct tls_ctx {
    struct tdm_env *env;
    SSL_CTX *ssl;
    _Atomic uint32_t refs;
};

struct tls {
    struct tdm_env *env;
    SSL *ssl;
    BIO *in, *out; /* owned by ssl */
    bool shaken;
    char name[64];
    char why[128];
};

/* ---- keys and trust -------------------------------------------------------------------------- */

static int refuse(char *why, size_t bytes, const char *what, const char *file)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

    snprintf(why, bytes, "%s %s: %s", what, file != NULL ? file : "", reason != NULL ? reason : "refused");
    ERR_clear_error();
    return TDM_ETLS;
}

static int load_files(SSL_CTX *ssl, const struct tdm_tls_cfg *cfg, bool server, char *why, size_t bytes)
{
    const char *key = cfg->key_file != NULL ? cfg->key_file : cfg->cert_file;

    if (server && cfg->cert_file == NULL) {
        snprintf(why, bytes, "a TLS server needs cert_file and key_file");
        return TDM_ETLS;
    }
    if (cfg->cert_file != NULL && SSL_CTX_use_certificate_chain_file(ssl, cfg->cert_file) != 1)
        return refuse(why, bytes, "certificate", cfg->cert_file);
    if (cfg->cert_file != NULL && SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) != 1)
        return refuse(why, bytes, "private key", key);
    if (cfg->cert_file != NULL && SSL_CTX_check_private_key(ssl) != 1)
        return refuse(why, bytes, "the private key does not belong to the certificate", cfg->cert_file);
    if (cfg->ca_file != NULL && SSL_CTX_load_verify_locations(ssl, cfg->ca_file, NULL) != 1)
        return refuse(why, bytes, "CA file", cfg->ca_file);
    if (cfg->ca_file == NULL && !server && SSL_CTX_set_default_verify_paths(ssl) != 1)
        return refuse(why, bytes, "the system's CA certificates", NULL);
    /* A server that names a CA asks its clients for a certificate. */
    if (!server || cfg->ca_file != NULL)
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return TDM_OK;
}

int tls_ctx_new(struct tls_ctx **ret, struct tdm_env *env, const struct tdm_tls_cfg *cfg, bool server,
                char *why, size_t why_bytes)
{
    struct tls_ctx *ctx = env->alloc(env, sizeof *ctx);
    int err = TDM_ENOMEM;

    if (ctx == NULL)
        return err;
    *ctx = (struct tls_ctx){ .env = env };
    atomic_init(&ctx->refs, 1);
    ctx->ssl = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (ctx->ssl == NULL)
        goto fail;
    SSL_CTX_set_min_proto_version(ctx->ssl, TLS1_2_VERSION);
    SSL_CTX_set_mode(ctx->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                   SSL_MODE_RELEASE_BUFFERS);
    /* Many peers close without a goodbye; HTTP and WebSocket know by themselves what was complete. */
    SSL_CTX_set_options(ctx->ssl, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION);
    err = load_files(ctx->ssl, cfg, server, why, why_bytes);
    if (err != TDM_OK)
        goto fail;
    *ret = ctx;
    return TDM_OK;
fail:
    tls_ctx_unref(ctx);
    return err;
}

struct tls_ctx *tls_ctx_ref(struct tls_ctx *ctx)
{
    /* relaxed: the caller holds a reference, so the count is not zero and nothing is published. */
    if (ctx != NULL)
        atomic_fetch_add_explicit(&ctx->refs, 1, memory_order_relaxed);
    return ctx;
}

void tls_ctx_unref(struct tls_ctx *ctx)
{
    /* acq_rel: what each holder did with the context comes before its end. */
    if (ctx == NULL || atomic_fetch_sub_explicit(&ctx->refs, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(ctx->ssl);
    ctx->env->free(ctx->env, ctx, sizeof *ctx);
}

/* ---- a session ------------------------------------------------------------------------------- */

static struct tls *session_new(struct tls_ctx *ctx)
{
    struct tls *s = ctx->env->alloc(ctx->env, sizeof *s);

    if (s == NULL)
        return NULL;
    memset(s, 0, sizeof *s);
    s->env = ctx->env;
    s->ssl = SSL_new(ctx->ssl);
    s->in = BIO_new(BIO_s_mem());
    s->out = BIO_new(BIO_s_mem());
    if (s->ssl == NULL || s->in == NULL || s->out == NULL) {
        BIO_free(s->in);
        BIO_free(s->out);
        tls_free(s);
        return NULL;
    }
    BIO_set_mem_eof_return(s->in, -1); /* empty means "not yet", not "the end" */
    BIO_set_mem_eof_return(s->out, -1);
    SSL_set_bio(s->ssl, s->in, s->out);
    return s;
}

/* A literal address is checked against the certificate's addresses, anything else against its names. */
static bool expect_name(SSL *ssl, const char *name)
{
    ASN1_OCTET_STRING *ip = a2i_IPADDRESS(name);

    if (ip != NULL) {
        ASN1_OCTET_STRING_free(ip);
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

struct tls *tls_connect(struct tls_ctx *ctx, const char *name)
{
    struct tls *s = session_new(ctx);

    if (s == NULL)
        return NULL;
    snprintf(s->name, sizeof s->name, "%s", name);
    SSL_set_connect_state(s->ssl);
    if (!expect_name(s->ssl, name)) {
        tls_free(s);
        return NULL;
    }
    return s;
}

struct tls *tls_accept(struct tls_ctx *ctx)
{
    struct tls *s = session_new(ctx);

    if (s != NULL)
        SSL_set_accept_state(s->ssl);
    return s;
}

void tls_free(struct tls *s)
{
    if (s == NULL)
        return;
    SSL_free(s->ssl);
    s->env->free(s->env, s, sizeof *s);
}

/* Keep the reason in words that say what to do. */
static int explain(struct tls *s)
{
    unsigned long code = ERR_get_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : "handshake failed";
    long verdict = SSL_get_verify_result(s->ssl);

    ERR_clear_error();
    if (s->shaken || verdict == X509_V_OK || SSL_is_server(s->ssl))
        snprintf(s->why, sizeof s->why, "%s", reason != NULL ? reason : "handshake failed");
    else if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH)
        snprintf(s->why, sizeof s->why, "the certificate is not for %s; set server_name to a name it is for",
                 s->name);
    else
        snprintf(s->why, sizeof s->why, "%s; if the peer's CA is private, set ca_file to it",
                 X509_verify_cert_error_string(verdict));
    return TDM_ETLS;
}

int tls_handshake(struct tls *s)
{
    int n;

    ERR_clear_error();
    n = SSL_do_handshake(s->ssl);
    if (n == 1) {
        s->shaken = true;
        return 1;
    }
    return SSL_get_error(s->ssl, n) == SSL_ERROR_WANT_READ ? 0 : explain(s);
}

int tls_feed(struct tls *s, const char *p, size_t n)
{
    while (n > 0) {
        int took = BIO_write(s->in, p, n > INT_MAX ? INT_MAX : (int)n);
        if (took <= 0)
            return TDM_ENOMEM;
        p += took;
        n -= (size_t)took;
    }
    return TDM_OK;
}

int tls_read(struct tls *s, char *p, size_t n)
{
    int got;

    ERR_clear_error();
    got = SSL_read(s->ssl, p, (int)n);
    if (got > 0)
        return got;
    switch (SSL_get_error(s->ssl, got)) {
    case SSL_ERROR_WANT_READ:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        return TDM_ECONN;
    default:
        return explain(s);
    }
}

int tls_write(struct tls *s, const char *p, size_t n)
{
    ERR_clear_error();
    while (n > 0) {
        int took = SSL_write(s->ssl, p, n > INT_MAX ? INT_MAX : (int)n);
        if (took <= 0) /* the BIO is memory and renegotiation is off: it never has to wait */
            return explain(s);
        p += took;
        n -= (size_t)took;
    }
    return TDM_OK;
}

void tls_bye(struct tls *s)
{
    ERR_clear_error();
    (void)SSL_shutdown(s->ssl);
    ERR_clear_error();
}

size_t tls_pending_out(struct tls *s)
{
    return BIO_ctrl_pending(s->out);
}

size_t tls_take_out(struct tls *s, char *p, size_t n)
{
    int got = BIO_read(s->out, p, n > INT_MAX ? INT_MAX : (int)n);

    return got > 0 ? (size_t)got : 0;
}

const char *tls_why(const struct tls *s)
{
    return s->why;
}
