/*
 * Signatures by public keys in PEM, as cosign and others make them. Keys and signatures are
 * hostile; whatever is not a plain yes is an error. No I/O; libcrypto's objects are freed here.
 */
#include <openssl/err.h>
#include <openssl/pem.h>

#include "lib/http/tls-internal.h"

#define RSA_BITS_MIN 2048

static EVP_PKEY *read_key(struct str pem, struct err *err)
{
	BIO *bio = pem.n && pem.n <= 65536 ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	EVP_PKEY *k = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	if (!k)
		err_set(err, ERR_INVALID, "not a public key in PEM");
	ERR_clear_error();
	return k;
}

int verify_pem(struct str public_pem, struct str data, struct str signature, struct err *err)
{
	AUTO(pkey) EVP_PKEY *k = read_key(public_pem, err);
	EVP_MD_CTX *c;
	int kind, rc;

	if (!k)
		return -1;
	kind = EVP_PKEY_get_base_id(k);
	if ((kind != EVP_PKEY_EC && kind != EVP_PKEY_ED25519 && kind != EVP_PKEY_RSA) ||
	    (kind == EVP_PKEY_RSA && EVP_PKEY_get_bits(k) < RSA_BITS_MIN))
		return err_set(err, ERR_UNSUPPORTED,
			       "only ECDSA, Ed25519 and RSA keys of 2048 bits or more are known");
	c = EVP_MD_CTX_new();
	rc = c && EVP_DigestVerifyInit(c, NULL, kind == EVP_PKEY_ED25519 ? NULL : EVP_sha256(),
				       NULL, k) == 1
		     ? EVP_DigestVerify(c, (const unsigned char *)signature.p, signature.n,
					(const unsigned char *)data.p, data.n)
		     : -1;
	EVP_MD_CTX_free(c);
	ERR_clear_error();
	return rc == 1 ? 0 : err_set(err, ERR_FORBIDDEN, "the signature is not by this key");
}
