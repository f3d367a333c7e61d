/* Signatures by PEM keys: what openssl made, and what it did not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/codec.h"
#include "lib/http/tls.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static const char ecdsa_key[] = "-----BEGIN PUBLIC KEY-----\n"
				"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEuoLKgOmVSkabxOSsOBTL2XFDM25G\n"
				"synrWc256aSntvN8gsC22Vt188AoEIvoj8Cyk/g1GpziuKEzeEjO5EtN/w==\n"
				"-----END PUBLIC KEY-----\n";
static const char ecdsa_signature[] =
	"MEUCICfwDFXGqJDMVGX6/Sd8RUXddBLteJ2RK49bs364cNojAiEAr0l1RvcK59vWJzgV7BCKfeB7"
	"01FpXpN1YrP3z042DEU=";
static const char ed25519_key[] = "-----BEGIN PUBLIC KEY-----\n"
				  "MCowBQYDK2VwAyEAkMDVMnmtmqZZplmgAucAZdpI6OJzKPn/89e+0/6f8hU=\n"
				  "-----END PUBLIC KEY-----\n";
static const char ed25519_signature[] =
	"hKlOXz1l0BxU1LBjYo9Glpe0EU/zVwzmgklZfVeJztc7mImPDXSn2RwcB6VILJQvuZ9hIQqz5jCo"
	"puNgzFeHAw==";
static const char short_rsa_key[] =
	"-----BEGIN PUBLIC KEY-----\n"
	"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDq0I3yZluIlxcyiaPRGnLfHpFB\n"
	"wyNJfKQqouvBCHWZOGts65LDJSaU8VG8F+Ekb75Ty4RJMmqPCFN8fgUeDXg98yrA\n"
	"Tul8bKpafpo01pFFoRx8cZWcpqsMtL5w8UWI+aTGZmoFKvsxM2y7wVW545jrBScC\n"
	"BYCmRbcRCXlP1tocNwIDAQAB\n"
	"-----END PUBLIC KEY-----\n";
static const char short_rsa_signature[] =
	"RcQvjAj4IxjiRxF/2tyrrrMKnqfhdP0HKYO9we76AqLI7sha77zpPW4dcxcQVVaQexVqwntsgmJ2"
	"XVqUdL+h1DVDSJ3n0s9+8yxdtVSUm8nPU5iCX2h08+aHmrhkqwLP24LOVZ8Jxx+VkEWhX61SqnTL"
	"lV/NI6Z/M8Aq86b3AyU=";

static int check(const char *key, const char *text, const char *signature)
{
	AUTO(buf) struct buf raw = {0};
	struct err err = {0};

	assert_int_equal(base64_decode(str_c(signature), &raw), 0);
	return verify_pem(str_c(key), str_c(text), buf_view(&raw), &err);
}

void test_verify_pem__signatures_that_fit(void **state)
{
	(void)state;
	assert_int_equal(check(ecdsa_key, "signed text", ecdsa_signature), 0);
	assert_int_equal(check(ed25519_key, "signed text", ed25519_signature), 0);
}

void test_verify_pem__and_those_that_do_not(void **state)
{
	(void)state;
	assert_int_equal(check(ecdsa_key, "other text", ecdsa_signature), -1);
	assert_int_equal(check(ecdsa_key, "signed text", ed25519_signature), -1);
	assert_int_equal(check(ed25519_key, "signed text", ecdsa_signature), -1);
	assert_int_equal(check(ed25519_key, "", ed25519_signature), -1);
	assert_int_equal(check(ecdsa_key, "signed text", ""), -1);
	/* Too short to mean anything. */
	assert_int_equal(check(short_rsa_key, "signed text", short_rsa_signature), -1);
	assert_int_equal(check("", "signed text", ecdsa_signature), -1);
	assert_int_equal(check("-----BEGIN PUBLIC KEY-----\nxxxx\n-----END PUBLIC KEY-----\n",
			       "signed text", ecdsa_signature),
			 -1);
}
