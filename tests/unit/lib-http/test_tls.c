/* The authority, requests, certificate reading and signatures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/timefmt.h"
#include "lib/http/tls.h"

static int64_t wall(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * NS_PER_S;
}

struct pair {
	struct buf cert, key;
};

static void pair_release(struct pair *p)
{
	buf_release(&p->cert);
	buf_release(&p->key);
}

static void make_ca(struct pair *ca)
{
	struct err err = {0};

	assert_int_equal(ca_create("plumb-ca", wall(), 3600, &ca->cert, &ca->key, &err), 0);
}

void test_tls__issued_certificate_names_its_holder(void **state)
{
	(void)state;
	struct pair ca = {0}, leaf = {0};
	const char *orgs[] = {"system:nodes", "second", NULL};
	const char *sans[] = {"DNS:localhost", "IP:127.0.0.1", "IP:::1", NULL};
	struct cert_request r = {.common_name = "system:node:a",
				 .organizations = orgs,
				 .sans = sans,
				 .server = true,
				 .client = true,
				 .lifetime_s = 3600,
				 .now_ns = wall()};
	struct err err = {0};
	struct cert_info i = {0};

	make_ca(&ca);
	assert_int_equal(
		ca_issue(buf_view(&ca.cert), buf_view(&ca.key), &r, &leaf.cert, &leaf.key, &err),
		0);
	assert_int_equal(cert_info(buf_view(&leaf.cert), &i, &err), 0);
	assert_string_equal(i.common_name, "system:node:a");
	assert_string_equal(buf_cstr(&i.organizations), "system:nodes\nsecond");
	assert_true(i.not_after_ns > wall() && i.not_after_ns <= wall() + 3700 * NS_PER_S);
	assert_true(i.not_before_ns < wall());
	cert_info_release(&i);
	pair_release(&ca);
	pair_release(&leaf);
}

void test_tls__serials_are_random(void **state)
{
	(void)state;
	struct pair a = {0}, b = {0};

	make_ca(&a);
	make_ca(&b);
	assert_false(str_eq(buf_view(&a.cert), buf_view(&b.cert)));
	pair_release(&a);
	pair_release(&b);
}

void test_tls__san_that_is_configuration_syntax_is_refused(void **state)
{
	(void)state;
	struct pair ca = {0}, leaf = {0};
	const char *bad[] = {"DNS:a,email:copy", "dirName:x", "DNS:a\nb", "IP:1.2.3.4,RID:1.2"};
	struct err err = {0};

	make_ca(&ca);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *sans[] = {bad[i], NULL};
		struct cert_request r = {.common_name = "x",
					 .sans = sans,
					 .server = true,
					 .lifetime_s = 60,
					 .now_ns = wall()};
		assert_int_equal(ca_issue(buf_view(&ca.cert), buf_view(&ca.key), &r, &leaf.cert,
					  &leaf.key, &err),
				 -1);
		assert_int_equal(err.code, ERR_BAD_REQUEST);
	}
	pair_release(&ca);
	pair_release(&leaf);
}

void test_tls__request_is_read_and_signed(void **state)
{
	(void)state;
	struct pair ca = {0};
	struct buf key = {0}, csr = {0}, cert = {0};
	const char *orgs[] = {"system:nodes", NULL}, *sans[] = {"DNS:n1", NULL};
	struct err err = {0};
	struct cert_info i = {0}, j = {0};

	make_ca(&ca);
	assert_int_equal(csr_create("system:node:n1", orgs, sans, &key, &csr, &err), 0);
	assert_int_equal(cert_info(buf_view(&csr), &i, &err), 0);
	assert_string_equal(i.common_name, "system:node:n1");
	struct cert_request r = {.common_name = i.common_name,
				 .organizations = orgs,
				 .client = true,
				 .lifetime_s = 60,
				 .now_ns = wall()};
	assert_int_equal(
		ca_sign_csr(buf_view(&ca.cert), buf_view(&ca.key), buf_view(&csr), &r, &cert, &err),
		0);
	assert_int_equal(cert_info(buf_view(&cert), &j, &err), 0);
	assert_memory_equal(i.spki_sha256, j.spki_sha256, 32);
	cert_info_release(&i);
	cert_info_release(&j);
	pair_release(&ca);
	buf_release(&key);
	buf_release(&csr);
	buf_release(&cert);
}

void test_tls__tampered_request_is_refused(void **state)
{
	(void)state;
	struct pair ca = {0};
	struct buf key = {0}, csr = {0}, cert = {0};
	struct err err = {0};

	make_ca(&ca);
	assert_int_equal(csr_create("a", NULL, NULL, &key, &csr, &err), 0);
	/* The last base64 line is part of the signature. */
	char *end = csr.p + csr.n - strlen("-----END CERTIFICATE REQUEST-----\n") - 6;
	*end = *end == 'A' ? 'B' : 'A';
	struct cert_request r = {
		.common_name = "a", .client = true, .lifetime_s = 60, .now_ns = wall()};
	assert_int_equal(
		ca_sign_csr(buf_view(&ca.cert), buf_view(&ca.key), buf_view(&csr), &r, &cert, &err),
		-1);
	pair_release(&ca);
	buf_release(&key);
	buf_release(&csr);
	buf_release(&cert);
}

void test_tls__garbage_is_an_error_not_a_crash(void **state)
{
	(void)state;
	struct cert_info i;
	struct err err = {0};

	assert_int_equal(cert_info(STR("garbage"), &i, &err), -1);
	assert_int_equal(cert_info(STR_NONE, &i, &err), -1);
	assert_int_equal(
		cert_info(STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), &i,
			  &err),
		-1);
	assert_int_equal(cert_info(STR("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END "
				       "CERTIFICATE REQUEST-----\n"),
				   &i, &err),
			 -1);
	assert_int_equal(err.code, ERR_PARSE);
}

void test_tls__es256_signature_verifies_only_what_was_signed(void **state)
{
	(void)state;
	struct pair ca = {0}, other = {0};
	uint8_t sig[64];
	struct err err = {0};

	make_ca(&ca);
	make_ca(&other);
	assert_int_equal(sign_es256(buf_view(&ca.key), STR("header.payload"), sig, &err), 0);
	assert_int_equal(verify_es256(buf_view(&ca.key), STR("header.payload"), sig, &err), 0);
	assert_int_equal(verify_es256(buf_view(&ca.cert), STR("header.payload"), sig, &err), 0);
	assert_int_equal(verify_es256(buf_view(&ca.key), STR("header.payloae"), sig, &err), -1);
	assert_int_equal(err.code, ERR_UNAUTHORIZED);
	assert_int_equal(verify_es256(buf_view(&other.key), STR("header.payload"), sig, &err), -1);
	sig[5] ^= 1;
	assert_int_equal(verify_es256(buf_view(&ca.key), STR("header.payload"), sig, &err), -1);
	memset(sig, 0, sizeof(sig));
	assert_int_equal(verify_es256(buf_view(&ca.key), STR("header.payload"), sig, &err), -1);
	pair_release(&ca);
	pair_release(&other);
}

void test_tls__key_of_another_certificate_is_refused(void **state)
{
	(void)state;
	struct pair a = {0}, b = {0};
	struct err err = {0};

	make_ca(&a);
	make_ca(&b);
	struct tls_files f = {.cert_pem = buf_view(&a.cert), .key_pem = buf_view(&b.key)};
	assert_null(tls_server_new(&f, &err));
	assert_int_equal(err.code, ERR_BAD_REQUEST);
	struct tls_files missing = {.cert = "/nonexistent/tls.crt", .key = "/nonexistent/tls.key"};
	assert_null(tls_client_new(&missing, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	pair_release(&a);
	pair_release(&b);
}
