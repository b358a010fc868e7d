#include "test_cert.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static FILE *open_temp(char *path, size_t bytes)
{
    snprintf(path, bytes, "/tmp/tandem-test-XXXXXX");

    const int fd = mkstemp(path);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

    if (f == NULL)
        abort();
    return f;
}

void test_cert_make(struct test_cert *c, const char *dns_name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_NAME *name = X509_get_subject_name(x);
    char alt[200];
    FILE *f;

    snprintf(alt, sizeof alt, "DNS:%s", dns_name);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alt);

    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 24 * 3600);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)dns_name, -1, -1, 0);
    X509_set_issuer_name(x, name);
    if (ext == NULL || !X509_add_ext(x, ext, -1) || !X509_sign(x, key, EVP_sha256()))
        abort();
    f = open_temp(c->cert_file, sizeof c->cert_file);
    PEM_write_X509(f, x);
    fclose(f);
    f = open_temp(c->key_file, sizeof c->key_file);
    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    X509_EXTENSION_free(ext);
    X509_free(x);
    EVP_PKEY_free(key);
}

void test_cert_remove(const struct test_cert *c)
{
    unlink(c->cert_file);
    unlink(c->key_file);
}
