/*
 * A self-signed RSA certificate: what kubeseal encrypts to. It is nobody's identity, only the
 * wrapping of a public key. Must never write the key anywhere but into the buffer it was asked
 * for. Any thread; takes a moment of the processor.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/http/tls-internal.h"
#include "lib/http/tls.h"

static void take_bio(BIO *bio, struct buf *out)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);

	buf_put(out, p, (size_t)n);
	OPENSSL_cleanse(p, (size_t)n);
}

static int write_both(EVP_PKEY *k, X509 *x, struct buf *ret_cert, struct buf *ret_key,
		      struct err *err)
{
	BIO *cert = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());
	int rc = -1;

	if (!cert || !key || PEM_write_bio_X509(cert, x) != 1 ||
	    PEM_write_bio_PKCS8PrivateKey(key, k, NULL, NULL, 0, NULL, NULL) != 1) {
		tls_err(err, ERR_INTERNAL, "write the certificate");
	} else {
		take_bio(cert, ret_cert);
		take_bio(key, ret_key);
		rc = 0;
	}
	BIO_free(cert);
	BIO_free(key);
	return rc;
}

static int fill(X509 *x, EVP_PKEY *k, const struct cert_rsa *r)
{
	unsigned char serial[16];
	time_t from = (time_t)(r->now_ns / NS_PER_S);
	X509_NAME *name = X509_get_subject_name(x);

	random_bytes(serial, sizeof(serial));
	serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40); /* positive, full length */
	BIGNUM *n = BN_bin2bn(serial, sizeof(serial), NULL);
	ASN1_INTEGER *set = BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
	BN_free(n);
	return set && X509_set_version(x, X509_VERSION_3) == 1 &&
			       ASN1_TIME_adj(X509_getm_notBefore(x), from, 0, 0) &&
			       ASN1_TIME_adj(X509_getm_notAfter(x), from, 0, r->lifetime_s) &&
			       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
							  (const unsigned char *)r->common_name, -1,
							  -1, 0) == 1 &&
			       X509_set_issuer_name(x, name) == 1 && X509_set_pubkey(x, k) == 1 &&
			       X509_sign(x, k, EVP_sha256()) != 0
		       ? 0
		       : -1;
}

int cert_rsa_create(const struct cert_rsa *r, struct buf *ret_cert, struct buf *ret_key,
		    struct err *err)
{
	AUTO(pkey) EVP_PKEY *k = EVP_RSA_gen(r->bits);
	AUTO(x509) X509 *x = X509_new();

	if (!k || !x || fill(x, k, r) != 0)
		return tls_err(err, ERR_INTERNAL, "make a certificate");
	return write_both(k, x, ret_cert, ret_key, err);
}
