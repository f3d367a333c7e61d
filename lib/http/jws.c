/*
 * JSON web signatures over OpenSSL's keys. Must never accept a key too weak to mean anything, nor
 * let a token choose an algorithm of another kind than the key's: "none" and HMAC don't exist
 * here. Thread-safe: each check has a context of its own. A key owns its EVP_PKEY.
 */
#include "lib/http/jws.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "lib/http/tls-internal.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192
#define COORDINATE_MAX 66 /* bytes, of P-521 */

enum family { FAMILY_RS, FAMILY_PS, FAMILY_ES, FAMILY_ED };

struct jws_key {
	EVP_PKEY *pkey;
	bool rsa;
	size_t coordinate; /* bytes of a point's coordinate; 0 = Ed25519 or RSA */
};

static const struct alg {
	const char *name;
	enum family family;
	const char *digest;
	size_t coordinate;
} algs[] = {
	{"RS256", FAMILY_RS, "SHA256", 0},  {"RS384", FAMILY_RS, "SHA384", 0},
	{"RS512", FAMILY_RS, "SHA512", 0},  {"PS256", FAMILY_PS, "SHA256", 0},
	{"PS384", FAMILY_PS, "SHA384", 0},  {"PS512", FAMILY_PS, "SHA512", 0},
	{"ES256", FAMILY_ES, "SHA256", 32}, {"ES384", FAMILY_ES, "SHA384", 48},
	{"ES512", FAMILY_ES, "SHA512", 66}, {"EdDSA", FAMILY_ED, NULL, 0},
};

static const struct alg *find_alg(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
		if (str_is(name, algs[i].name))
			return &algs[i];
	}
	return NULL;
}

bool jws_knows(struct str alg)
{
	return find_alg(alg);
}

/* ---- keys ---- */

static struct jws_key *key_new(const char *type, OSSL_PARAM_BLD *bld, struct err *err)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *pkey = NULL;
	struct jws_key *k = NULL;

	if (params && ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) == 1 && pkey) {
		k = xalloc(sizeof(*k));
		k->pkey = pkey;
	} else {
		tls_err(err, ERR_PARSE, "public key");
	}
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return k;
}

struct jws_key *jws_key_rsa(struct str n, struct str e, struct err *err)
{
	struct jws_key *k = NULL;

	if (n.n > RSA_BITS_MAX / 8 + 1 || e.n == 0 || e.n > 8) {
		err_set(err, ERR_PARSE, "public key: no RSA key that is used");
		return NULL;
	}
	BIGNUM *bn = BN_bin2bn((const unsigned char *)n.p, (int)n.n, NULL),
	       *be = BN_bin2bn((const unsigned char *)e.p, (int)e.n, NULL);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	if (!bn || !be || !bld)
		panic("out of memory");
	if (BN_num_bits(bn) < RSA_BITS_MIN || !BN_is_odd(be) || BN_is_one(be))
		err_set(err, ERR_PARSE, "public key: an RSA key of %d bits is too weak",
			BN_num_bits(bn));
	else if (OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn) == 1 &&
		 OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, be) == 1)
		k = key_new("RSA", bld, err);
	if (k)
		k->rsa = true;
	OSSL_PARAM_BLD_free(bld);
	BN_free(bn);
	BN_free(be);
	return k;
}

static const struct {
	const char *name, *group;
	size_t coordinate;
} curves[] = {{"P-256", "prime256v1", 32}, {"P-384", "secp384r1", 48}, {"P-521", "secp521r1", 66}};

static struct jws_key *ed25519(struct str x, struct err *err)
{
	EVP_PKEY *p = x.n == 32 ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
							      (const unsigned char *)x.p, x.n)
				: NULL;
	struct jws_key *k;

	if (!p) {
		err_set(err, ERR_PARSE, "public key: not an Ed25519 key");
		return NULL;
	}
	k = xalloc(sizeof(*k));
	k->pkey = p;
	return k;
}

/* Writes the point uncompressed; coordinates may come without their leading zeros. */
static void put_coordinate(unsigned char *to, size_t n, struct str v)
{
	memset(to, 0, n);
	memcpy(to + n - v.n, v.p, v.n);
}

struct jws_key *jws_key_curve(struct str crv, struct str x, struct str y, struct err *err)
{
	unsigned char point[1 + 2 * COORDINATE_MAX] = {4};
	struct jws_key *k = NULL;

	if (str_is(crv, "Ed25519"))
		return ed25519(x, err);
	for (size_t i = 0; i < ARRAY_LEN(curves); i++) {
		size_t n = curves[i].coordinate;
		if (!str_is(crv, curves[i].name) || x.n > n || y.n > n || !x.n || !y.n)
			continue;
		put_coordinate(point + 1, n, x);
		put_coordinate(point + 1 + n, n, y);
		OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
		if (!bld)
			panic("out of memory");
		if (OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME,
						    curves[i].group, 0) == 1 &&
		    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point,
						     1 + 2 * n) == 1)
			k = key_new("EC", bld, err);
		OSSL_PARAM_BLD_free(bld);
		if (k)
			k->coordinate = n;
		return k;
	}
	err_set(err, ERR_PARSE, "public key: unknown curve or point");
	return NULL;
}

void jws_key_free(struct jws_key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->pkey);
	free(k);
}

/* ---- signatures ---- */

static bool fits(const struct jws_key *k, const struct alg *a)
{
	switch (a->family) {
	case FAMILY_RS:
	case FAMILY_PS:
		return k->rsa;
	case FAMILY_ES:
		return k->coordinate && k->coordinate == a->coordinate;
	case FAMILY_ED:
	default:
		return !k->rsa && !k->coordinate;
	}
}

/* r||s to what OpenSSL reads. Returns the length, 0 = no signature. */
static size_t to_der(size_t n, struct str sig, unsigned char *out, size_t cap)
{
	const unsigned char *p = (const unsigned char *)sig.p;
	size_t ret = 0;

	if (sig.n != 2 * n)
		return 0;
	ECDSA_SIG *s = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(p, (int)n, NULL), *v = BN_bin2bn(p + n, (int)n, NULL);
	if (!s || !r || !v || ECDSA_SIG_set0(s, r, v) != 1)
		panic("out of memory");
	int len = i2d_ECDSA_SIG(s, NULL);
	if (len > 0 && (size_t)len <= cap)
		ret = (size_t)i2d_ECDSA_SIG(s, &out);
	ECDSA_SIG_free(s);
	return ret;
}

bool jws_verify(const struct jws_key *k, struct str alg, struct str data, struct str sig)
{
	const struct alg *a = find_alg(alg);
	unsigned char der[2 * COORDINATE_MAX + 16];
	EVP_PKEY_CTX *pctx = NULL;

	if (!a || !fits(k, a) || !sig.n)
		return false;
	if (a->family == FAMILY_ES) {
		size_t n = to_der(a->coordinate, sig, der, sizeof(der));
		if (!n)
			return false;
		sig = (struct str){(const char *)der, n};
	}
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx &&
		  EVP_DigestVerifyInit_ex(ctx, &pctx, a->digest, NULL, NULL, k->pkey, NULL) == 1;
	if (ok && a->family == FAMILY_PS)
		ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
	ok = ok && EVP_DigestVerify(ctx, (const unsigned char *)sig.p, sig.n,
				    (const unsigned char *)data.p, data.n) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}
