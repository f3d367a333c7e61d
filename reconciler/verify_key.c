/*
 * One public key, one signature, through libcrypto. Keys and signatures are hostile until checked:
 * lengths first, then the algorithm must be one that the key's type allows, then the arithmetic.
 * Whatever isn't a plain yes is an error. No I/O; libcrypto's objects are freed here.
 */
#include "reconciler/verify_key.h"

#include <stdio.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "lib/base/codec.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 16384
#define SK_USER_PRESENT 1

int wire_u32(struct str *s, uint32_t *ret)
{
	const unsigned char *p = (const unsigned char *)s->p;

	if (s->n < 4)
		return -1;
	*ret = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	*s = str_sub(*s, 4, s->n);
	return 0;
}

int wire_string(struct str *s, struct str *ret)
{
	uint32_t n;

	if (wire_u32(s, &n) || n > s->n)
		return -1;
	*ret = str_sub(*s, 0, n);
	*s = str_sub(*s, n, s->n);
	return 0;
}

void wire_put(struct buf *out, struct str s)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		buf_putc(out, (char)(s.n >> shift & 0xff));
	buf_str(out, s);
}

size_t key_digest(struct str name, struct str text, unsigned char sum[64])
{
	const EVP_MD *md = str_is(name, "sha256")   ? EVP_sha256()
			   : str_is(name, "sha512") ? EVP_sha512()
						    : NULL;
	unsigned int n = 0;

	if (!md || !EVP_Digest(text.p ? text.p : "", text.n, sum, &n, md, NULL))
		return 0;
	return n;
}

void key_print(struct str key, char ret[KEY_PRINT_MAX])
{
	AUTO(buf) struct buf text = {0};
	struct sha256 sum;

	sha256_of(key, &sum);
	base64_encode((struct str){(const char *)sum.bytes, sizeof(sum.bytes)}, &text);
	while (text.n && text.p[text.n - 1] == '=')
		text.n--;
	snprintf(ret, KEY_PRINT_MAX, "SHA256:%.*s", (int)text.n, text.p);
}

/* ---- keys ---- */

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *b)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) <= 0 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return key;
}

static EVP_PKEY *rsa_key(struct str rest)
{
	struct str e, n;
	BIGNUM *be = NULL, *bn = NULL;
	OSSL_PARAM_BLD *b = NULL;
	EVP_PKEY *key = NULL;

	if (wire_string(&rest, &e) || wire_string(&rest, &n) || rest.n || e.n > 8 ||
	    n.n > RSA_BITS_MAX / 8 + 1)
		return NULL;
	be = BN_bin2bn((const unsigned char *)e.p, (int)e.n, NULL);
	bn = BN_bin2bn((const unsigned char *)n.p, (int)n.n, NULL);
	b = OSSL_PARAM_BLD_new();
	if (be && bn && b && BN_num_bits(bn) >= RSA_BITS_MIN &&
	    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, bn) &&
	    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, be))
		key = from_params("RSA", b);
	OSSL_PARAM_BLD_free(b);
	BN_free(be);
	BN_free(bn);
	return key;
}

static EVP_PKEY *ec_key(struct str *rest)
{
	struct str curve, point;
	const char *name;
	OSSL_PARAM_BLD *b;
	EVP_PKEY *key = NULL;

	if (wire_string(rest, &curve) || wire_string(rest, &point) || !point.n || point.n > 140)
		return NULL;
	name = str_is(curve, "nistp256")   ? "P-256"
	       : str_is(curve, "nistp384") ? "P-384"
	       : str_is(curve, "nistp521") ? "P-521"
					   : NULL;
	b = OSSL_PARAM_BLD_new();
	if (name && b && OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, name, 0) &&
	    OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point.p, point.n))
		key = from_params("EC", b);
	OSSL_PARAM_BLD_free(b);
	return key;
}

static EVP_PKEY *ed_key(struct str *rest)
{
	struct str p;

	if (wire_string(rest, &p) || p.n != 32)
		return NULL;
	return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)p.p, 32);
}

/* ---- signatures ---- */

static bool check(EVP_PKEY *key, const EVP_MD *md, struct str sig, struct str data)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx && EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) == 1 &&
		    EVP_DigestVerify(ctx, (const unsigned char *)sig.p, sig.n,
				     (const unsigned char *)data.p, data.n) == 1;

	EVP_MD_CTX_free(ctx);
	return good;
}

/* SSH writes two numbers, libcrypto wants them in DER. */
static bool check_ec(EVP_PKEY *key, const EVP_MD *md, struct str sig, struct str data)
{
	struct str r, s;
	ECDSA_SIG *pair = NULL;
	BIGNUM *br, *bs;
	unsigned char *der = NULL;
	int n = 0;
	bool good;

	if (wire_string(&sig, &r) || wire_string(&sig, &s) || sig.n || r.n > 80 || s.n > 80)
		return false;
	pair = ECDSA_SIG_new();
	br = BN_bin2bn((const unsigned char *)r.p, (int)r.n, NULL);
	bs = BN_bin2bn((const unsigned char *)s.p, (int)s.n, NULL);
	if (!pair || !br || !bs || !ECDSA_SIG_set0(pair, br, bs)) {
		BN_free(br);
		BN_free(bs);
	} else {
		n = i2d_ECDSA_SIG(pair, &der);
	}
	good = n > 0 && check(key, md, (struct str){(const char *)der, (size_t)n}, data);
	OPENSSL_free(der);
	ECDSA_SIG_free(pair);
	return good;
}

static const EVP_MD *curve_digest(struct str type)
{
	return str_ends(type, STR("nistp256"))   ? EVP_sha256()
	       : str_ends(type, STR("nistp384")) ? EVP_sha384()
						 : EVP_sha512();
}

/* A security key signs what it was asked for together with its flags and counter. */
static int sk_data(struct str application, struct str *value, struct str data, struct buf *out)
{
	struct sha256 app, text;
	struct str tail;

	if (value->n < 5)
		return -1;
	tail = str_sub(*value, value->n - 5, 5);
	*value = str_sub(*value, 0, value->n - 5);
	if (!((unsigned char)tail.p[0] & SK_USER_PRESENT))
		return -1;
	sha256_of(application, &app);
	sha256_of(data, &text);
	buf_put(out, app.bytes, sizeof(app.bytes));
	buf_str(out, tail);
	buf_put(out, text.bytes, sizeof(text.bytes));
	return 0;
}

static bool check_sk(struct str type, struct str rest, struct str value, struct str data)
{
	AUTO(buf) struct buf made = {0};
	bool ed = str_is(type, "sk-ssh-ed25519@openssh.com"), good = false;
	EVP_PKEY *key = ed ? ed_key(&rest) : ec_key(&rest);
	struct str application, sig;

	if (key && !wire_string(&rest, &application) && !rest.n &&
	    !sk_data(application, &value, data, &made) && !wire_string(&value, &sig) && !value.n)
		good = ed ? check(key, NULL, sig, buf_view(&made))
			  : check_ec(key, EVP_sha256(), sig, buf_view(&made));
	EVP_PKEY_free(key);
	return good;
}

static bool check_plain(struct str type, struct str rest, const EVP_MD *md, struct str sig,
			struct str data)
{
	bool ed = str_is(type, "ssh-ed25519"), rsa = str_is(type, "ssh-rsa"), good;
	EVP_PKEY *key = ed ? ed_key(&rest) : rsa ? rsa_key(rest) : ec_key(&rest);

	if (!rsa && rest.n) {
		EVP_PKEY_free(key);
		return false;
	}
	good = key && (ed || rsa ? check(key, md, sig, data) : check_ec(key, md, sig, data));
	EVP_PKEY_free(key);
	return good;
}

int key_check(struct str key, struct str algorithm, struct str value, struct str data,
	      struct err *err)
{
	struct str type, sig;
	const EVP_MD *md = NULL;
	bool good;

	if (wire_string(&key, &type))
		return err_set(err, ERR_INVALID, "its SSH signature is malformed");
	if (str_starts(type, STR("sk-")) && str_eq(type, algorithm) &&
	    (str_is(type, "sk-ssh-ed25519@openssh.com") ||
	     str_is(type, "sk-ecdsa-sha2-nistp256@openssh.com"))) {
		good = check_sk(type, key, value, data);
		goto out;
	}
	if (str_is(type, "ssh-rsa") && str_is(algorithm, "rsa-sha2-256"))
		md = EVP_sha256();
	else if (str_is(type, "ssh-rsa") && str_is(algorithm, "rsa-sha2-512"))
		md = EVP_sha512();
	else if (str_starts(type, STR("ecdsa-sha2-nistp")) && str_eq(type, algorithm))
		md = curve_digest(type);
	else if (!str_is(type, "ssh-ed25519") || !str_eq(type, algorithm))
		return err_set(err, ERR_UNSUPPORTED, "its SSH signature is of an unsupported kind");
	if (wire_string(&value, &sig) || value.n)
		return err_set(err, ERR_INVALID, "its SSH signature is malformed");
	good = check_plain(type, key, md, sig, data);
out:
	return good ? 0 : err_set(err, ERR_UNAUTHORIZED, "its SSH signature does not hold");
}
