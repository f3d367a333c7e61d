/*
 * Reading certificates and requests: who they name, how long they hold, whose key they carry; and
 * ES256 signatures for JSON web tokens. Input is hostile. Any thread.
 */
#include <arpa/inet.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "lib/base/timefmt.h"
#include "lib/http/tls-internal.h"
#include "lib/http/tls.h"

/* UTF-8 text of one name entry; refuses what would read differently as a C string. */
static int entry_text(X509_NAME_ENTRY *e, struct buf *out)
{
	unsigned char *text = NULL;
	int n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(e));

	if (n < 0)
		return -1;
	int bad = memchr(text, 0, (size_t)n) || memchr(text, '\n', (size_t)n);
	if (!bad)
		buf_put(out, text, (size_t)n);
	OPENSSL_free(text);
	return bad ? -1 : 0;
}

int tls_read_subject(const X509_NAME *name, struct cert_info *ret, struct err *err)
{
	int at = -1;
	AUTO(buf) struct buf cn = {0};

	while ((at = X509_NAME_get_index_by_NID(name, NID_organizationName, at)) >= 0) {
		if (ret->organizations.n)
			buf_putc(&ret->organizations, '\n');
		if (entry_text(X509_NAME_get_entry(name, at), &ret->organizations))
			return err_set(err, ERR_PARSE, "organization holds unprintable characters");
	}
	at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	if (at >= 0 && entry_text(X509_NAME_get_entry(name, at), &cn))
		return err_set(err, ERR_PARSE, "common name holds unprintable characters");
	if (cn.n >= sizeof(ret->common_name))
		return err_set(err, ERR_PARSE, "common name too long");
	if (cn.n)
		memcpy(ret->common_name, cn.p, cn.n);
	ret->common_name[cn.n] = 0;
	return 0;
}

static int64_t time_ns(const ASN1_TIME *t)
{
	struct tm tm = {0};

	if (ASN1_TIME_to_tm(t, &tm) != 1)
		return 0;
	return (int64_t)timegm(&tm) * NS_PER_S;
}

static int hash_key(EVP_PKEY *k, uint8_t ret[32])
{
	unsigned char *der = NULL;
	int n = k ? i2d_PUBKEY(k, &der) : -1;

	if (n < 0)
		return -1;
	SHA256(der, (size_t)n, ret);
	OPENSSL_free(der);
	return 0;
}

static int info_of_cert(X509 *x, struct cert_info *ret, struct err *err)
{
	ret->not_before_ns = time_ns(X509_get0_notBefore(x));
	ret->not_after_ns = time_ns(X509_get0_notAfter(x));
	if (hash_key(X509_get0_pubkey(x), ret->spki_sha256))
		return tls_err(err, ERR_PARSE, "public key");
	return tls_read_subject(X509_get_subject_name(x), ret, err);
}

static void add_address(const ASN1_OCTET_STRING *a, struct cert_info *ret)
{
	char text[INET6_ADDRSTRLEN];
	int n = ASN1_STRING_length(a);

	if ((n != 4 && n != 16) ||
	    !inet_ntop(n == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(a), text, sizeof(text)))
		ret->odd_sans = true;
	else
		buf_printf(&ret->sans, "%sIP:%s", ret->sans.n ? "\n" : "", text);
}

static void add_dns(const ASN1_IA5STRING *s, struct cert_info *ret)
{
	struct str text = {(const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)};

	for (size_t i = 0; i < text.n; i++)
		ret->odd_sans |= text.p[i] <= ' ' || text.p[i] >= 127 || text.p[i] == ',';
	if (!text.n || text.n > 253 || ret->odd_sans)
		ret->odd_sans = true;
	else
		buf_printf(&ret->sans, "%sDNS:%.*s", ret->sans.n ? "\n" : "", STR_ARG(text));
}

static void read_sans(X509_REQ *r, struct cert_info *ret)
{
	STACK_OF(X509_EXTENSION) *all = X509_REQ_get_extensions(r);
	GENERAL_NAMES *names = X509V3_get_d2i(all, NID_subject_alt_name, NULL, NULL);

	/* There, and not to be read. */
	ret->odd_sans = !names && X509v3_get_ext_by_NID(all, NID_subject_alt_name, -1) >= 0;
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
		if (n->type == GEN_DNS)
			add_dns(n->d.dNSName, ret);
		else if (n->type == GEN_IPADD)
			add_address(n->d.iPAddress, ret);
		else
			ret->odd_sans = true;
	}
	GENERAL_NAMES_free(names);
	sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
	ERR_clear_error();
}

static int info_of_request(struct str pem, struct cert_info *ret, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	AUTO(x509_req) X509_REQ *r = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);

	BIO_free(bio);
	if (!r)
		return tls_err(err, ERR_PARSE, "certificate request");
	if (hash_key(X509_REQ_get0_pubkey(r), ret->spki_sha256))
		return tls_err(err, ERR_PARSE, "public key");
	read_sans(r, ret);
	return tls_read_subject(X509_REQ_get_subject_name(r), ret, err);
}

int cert_info(struct str pem, struct cert_info *ret, struct err *err)
{
	struct cert_info i = {0};
	int r;

	if (!pem.p || pem.n > (1 << 20))
		return err_set(err, ERR_PARSE, "certificate: no PEM given");
	if (str_find(pem, STR("CERTIFICATE REQUEST-----")) >= 0) {
		r = info_of_request(pem, &i, err);
	} else {
		AUTO(x509) X509 *x = tls_pem_cert(pem, err);
		r = x ? info_of_cert(x, &i, err) : -1;
	}
	if (r) {
		cert_info_release(&i);
		return -1;
	}
	*ret = i;
	return 0;
}

void cert_info_release(struct cert_info *i)
{
	buf_release(&i->organizations);
	buf_release(&i->sans);
}

/* ---- ES256 ---- */

static bool is_p256(EVP_PKEY *k)
{
	char group[32];

	return EVP_PKEY_is_a(k, "EC") &&
	       EVP_PKEY_get_group_name(k, group, sizeof(group), NULL) == 1 &&
	       OBJ_txt2nid(group) == NID_X9_62_prime256v1;
}

/* DER signature to r||s. */
static int der_to_raw(const unsigned char *der, size_t n, uint8_t ret[64])
{
	ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &der, (long)n);

	if (!s)
		return -1;
	int ok = BN_bn2binpad(ECDSA_SIG_get0_r(s), ret, 32) == 32 &&
		 BN_bn2binpad(ECDSA_SIG_get0_s(s), ret + 32, 32) == 32;
	ECDSA_SIG_free(s);
	return ok ? 0 : -1;
}

int sign_es256(struct str key_pem, struct str data, uint8_t ret[64], struct err *err)
{
	AUTO(pkey) EVP_PKEY *k = tls_pem_key(key_pem, err);
	unsigned char der[80];
	size_t n = sizeof(der);

	if (!k)
		return -1;
	if (!is_p256(k))
		return err_set(err, ERR_BAD_REQUEST, "signing key is not P-256");
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int ok = EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, k) == 1 &&
		 EVP_DigestSign(md, der, &n, (const unsigned char *)data.p, data.n) == 1 &&
		 der_to_raw(der, n, ret) == 0;
	EVP_MD_CTX_free(md);
	return ok ? 0 : tls_err(err, ERR_INTERNAL, "sign");
}

int sign_rs256(struct str key_pem, struct str data, struct buf *ret, struct err *err)
{
	AUTO(pkey) EVP_PKEY *k = tls_pem_key(key_pem, err);
	size_t n;

	if (!k)
		return -1;
	if (!EVP_PKEY_is_a(k, "RSA"))
		return err_set(err, ERR_BAD_REQUEST, "signing key is not RSA");
	n = (size_t)EVP_PKEY_get_size(k);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char *at = (unsigned char *)buf_reserve(ret, n);
	int ok = EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, k) == 1 &&
		 EVP_DigestSign(md, at, &n, (const unsigned char *)data.p, data.n) == 1;
	EVP_MD_CTX_free(md);
	if (!ok)
		return tls_err(err, ERR_INTERNAL, "sign");
	ret->n += n;
	return 0;
}

/* Of a public key, a private key or a certificate. */
static EVP_PKEY *any_public_key(struct str pem, struct err *err)
{
	if (!pem.p || pem.n > (1 << 20)) {
		err_set(err, ERR_PARSE, "public key: no PEM given");
		return NULL;
	}
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *k = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);

	BIO_free(bio);
	ERR_clear_error();
	if (k)
		return k;
	if (str_find(pem, STR("BEGIN CERTIFICATE-----")) < 0)
		return tls_pem_key(pem, err);
	AUTO(x509) X509 *x = tls_pem_cert(pem, err);
	return x ? X509_get_pubkey(x) : NULL;
}

int verify_es256(struct str public_or_private_pem, struct str data, const uint8_t sig[64],
		 struct err *err)
{
	AUTO(pkey) EVP_PKEY *k = any_public_key(public_or_private_pem, err);
	if (!k)
		return -1;
	if (!is_p256(k))
		return err_set(err, ERR_BAD_REQUEST, "key is not P-256");

	ECDSA_SIG *s = ECDSA_SIG_new();
	ECDSA_SIG_set0(s, BN_bin2bn(sig, 32, NULL), BN_bin2bn(sig + 32, 32, NULL));
	unsigned char *der = NULL;
	int n = i2d_ECDSA_SIG(s, &der);
	ECDSA_SIG_free(s);

	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int ok = n > 0 && EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, k) == 1 &&
		 EVP_DigestVerify(md, der, (size_t)n, (const unsigned char *)data.p, data.n) == 1;
	EVP_MD_CTX_free(md);
	OPENSSL_free(der);
	ERR_clear_error();
	return ok ? 0 : err_set(err, ERR_UNAUTHORIZED, "signature does not match");
}

int es256_public(struct str pem, uint8_t ret[64], struct err *err)
{
	AUTO(pkey) EVP_PKEY *k = any_public_key(pem, err);
	unsigned char point[65];
	size_t n = 0;

	if (!k)
		return -1;
	if (!is_p256(k) || EVP_PKEY_get_octet_string_param(k, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY,
							   point, sizeof(point), &n) != 1)
		return tls_err(err, ERR_BAD_REQUEST, "public key");
	if (n != sizeof(point) || point[0] != 4)
		return err_set(err, ERR_BAD_REQUEST, "public key is not an uncompressed point");
	memcpy(ret, point + 1, 64);
	return 0;
}
