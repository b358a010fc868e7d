/* test_cert.h - a certificate for a name, signed by itself, for tests of TLS. */
#ifndef TESTS_SIM_TEST_CERT_H
#define TESTS_SIM_TEST_CERT_H

struct test_cert {
    char cert_file[64], key_file[64]; /* PEM, under /tmp */
};

/* Aborts when it cannot. */
void test_cert_make(struct test_cert *c, const char *dns_name);
void test_cert_remove(const struct test_cert *c);

#endif
