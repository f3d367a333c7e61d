/* Signatures of others: each algorithm holds for its own key and for nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "lib/http/jws.h"

#define DATA STR("head.body")

static struct str bn(EVP_PKEY *k, const char *name, unsigned char out[512], size_t pad)
{
	BIGNUM *v = NULL;

	assert_int_equal(EVP_PKEY_get_bn_param(k, name, &v), 1);
	int n = pad ? BN_bn2binpad(v, out, (int)pad) : BN_bn2bin(v, out);
	BN_free(v);
	assert_true(n > 0);
	return (struct str){(char *)out, (size_t)n};
}

static struct str sign(EVP_PKEY *k, const char *digest, bool pss, unsigned char out[512])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *p = NULL;
	size_t n = 512;

	assert_int_equal(EVP_DigestSignInit_ex(ctx, &p, digest, NULL, NULL, k, NULL), 1);
	if (pss) {
		EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(p, RSA_PSS_SALTLEN_DIGEST);
	}
	assert_int_equal(EVP_DigestSign(ctx, out, &n, (const unsigned char *)DATA.p, DATA.n), 1);
	EVP_MD_CTX_free(ctx);
	return (struct str){(char *)out, n};
}

static void rsa_case(EVP_PKEY *k, const struct jws_key *pub, const char *alg, bool pss)
{
	unsigned char out[512];
	char digest[] = "SHA256";

	memcpy(digest + 3, alg + 2, 3);
	struct str sig = sign(k, digest, pss, out);
	assert_true(jws_verify(pub, str_c(alg), DATA, sig));
	assert_false(jws_verify(pub, str_c(alg), STR("head.bodY"), sig));
	assert_false(jws_verify(pub, str_c(alg), DATA, str_sub(sig, 0, sig.n - 1)));
	assert_false(jws_verify(pub, pss ? STR("RS256") : STR("PS256"), DATA, sig));
	assert_false(jws_verify(pub, STR("ES256"), DATA, sig));
	assert_false(jws_verify(pub, STR("HS256"), DATA, sig));
	assert_false(jws_verify(pub, STR("none"), DATA, STR("")));
}

void test_jws__rsa(void **state)
{
	EVP_PKEY *k = EVP_RSA_gen(2048);
	unsigned char n[512], e[512];
	struct err err = {0};

	(void)state;
	struct jws_key *pub = jws_key_rsa(bn(k, "n", n, 0), bn(k, "e", e, 0), &err);
	assert_non_null(pub);
	rsa_case(k, pub, "RS256", false);
	rsa_case(k, pub, "RS384", false);
	rsa_case(k, pub, "RS512", false);
	rsa_case(k, pub, "PS256", true);
	rsa_case(k, pub, "PS512", true);
	jws_key_free(pub);
	EVP_PKEY_free(k);
}

void test_jws__curves(void **state)
{
	static const struct {
		const char *crv, *name, *alg, *other, *digest;
		size_t n;
	} cases[] = {{"P-256", "P-256", "ES256", "ES384", "SHA256", 32},
		     {"P-384", "P-384", "ES384", "ES512", "SHA384", 48},
		     {"P-521", "P-521", "ES512", "ES256", "SHA512", 66}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		EVP_PKEY *k = EVP_EC_gen(cases[i].name);
		unsigned char x[512], y[512], der[512], raw[132];
		size_t n = cases[i].n;
		struct err err = {0};
		struct jws_key *pub =
			jws_key_curve(str_c(cases[i].crv), bn(k, OSSL_PKEY_PARAM_EC_PUB_X, x, n),
				      bn(k, OSSL_PKEY_PARAM_EC_PUB_Y, y, n), &err);
		assert_non_null(pub);
		struct str d = sign(k, cases[i].digest, false, der);
		const unsigned char *at = der;
		ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &at, (long)d.n);
		BN_bn2binpad(ECDSA_SIG_get0_r(s), raw, (int)n);
		BN_bn2binpad(ECDSA_SIG_get0_s(s), raw + n, (int)n);
		ECDSA_SIG_free(s);
		struct str sig = {(char *)raw, 2 * n};
		assert_true(jws_verify(pub, str_c(cases[i].alg), DATA, sig));
		assert_false(jws_verify(pub, str_c(cases[i].other), DATA, sig));
		assert_false(jws_verify(pub, STR("RS256"), DATA, sig));
		assert_false(jws_verify(pub, str_c(cases[i].alg), DATA, d)); /* not DER */
		raw[3] ^= 1;
		assert_false(jws_verify(pub, str_c(cases[i].alg), DATA, sig));
		memset(raw, 0, sizeof(raw));
		assert_false(jws_verify(pub, str_c(cases[i].alg), DATA, sig));
		jws_key_free(pub);
		EVP_PKEY_free(k);
	}
}

void test_jws__ed25519(void **state)
{
	EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	unsigned char x[32], out[512];
	size_t n = sizeof(x);
	struct err err = {0};

	(void)state;
	assert_int_equal(EVP_PKEY_get_raw_public_key(k, x, &n), 1);
	struct jws_key *pub =
		jws_key_curve(STR("Ed25519"), (struct str){(char *)x, n}, STR_NONE, &err);
	assert_non_null(pub);
	struct str sig = sign(k, NULL, false, out);
	assert_true(jws_verify(pub, STR("EdDSA"), DATA, sig));
	assert_false(jws_verify(pub, STR("EdDSA"), STR("x"), sig));
	assert_false(jws_verify(pub, STR("ES256"), DATA, sig));
	jws_key_free(pub);
	EVP_PKEY_free(k);
}

void test_jws__keys_that_are_none(void **state)
{
	EVP_PKEY *weak = EVP_RSA_gen(1024);
	unsigned char n[512];
	struct err err = {0};
	char zeros[1100] = {0};

	(void)state;
	assert_null(jws_key_rsa(bn(weak, "n", n, 0), STR("\x01\x00\x01"), &err));
	assert_null(jws_key_rsa(STR_NONE, STR("\x03"), &err));
	assert_null(jws_key_rsa((struct str){zeros, sizeof(zeros)}, STR("\x03"), &err));
	assert_null(jws_key_curve(STR("P-256"), (struct str){zeros, 32}, (struct str){zeros, 32},
				  &err)); /* not on the curve */
	assert_null(jws_key_curve(STR("P-256"), (struct str){zeros, 33}, (struct str){zeros, 32},
				  &err));
	assert_null(jws_key_curve(STR("secp256k1"), STR("x"), STR("y"), &err));
	assert_null(jws_key_curve(STR("Ed25519"), STR("short"), STR_NONE, &err));
	EVP_PKEY_free(weak);
}
