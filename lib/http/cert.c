/*
 * The cluster's certificate authority: P-256 keys, X.509 certificates and requests, in the shape
 * that Go's strict verifier (kubectl) accepts: random serials, SKI and AKI, critical basic
 * constraints and key usage, names as SANs. Must never write a key anywhere but into the buffer
 * it was asked for. Any thread.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/http/tls-internal.h"
#include "lib/http/tls.h"

/* Clocks of joined machines differ a little. */
#define BACKDATE_S 300

static EVP_PKEY *new_key(struct err *err)
{
	EVP_PKEY *k = EVP_EC_gen("P-256");

	if (!k)
		tls_err(err, ERR_INTERNAL, "make a key");
	return k;
}

static int put_bio(BIO *bio, struct buf *out)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);

	buf_put(out, p, (size_t)n);
	OPENSSL_cleanse(p, (size_t)n);
	BIO_free(bio);
	return 0;
}

static int put_key(EVP_PKEY *k, struct buf *out, struct err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (PEM_write_bio_PKCS8PrivateKey(bio, k, NULL, NULL, 0, NULL, NULL) != 1) {
		BIO_free(bio);
		return tls_err(err, ERR_INTERNAL, "write key");
	}
	return put_bio(bio, out);
}

static int put_cert(X509 *x, struct buf *out, struct err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (PEM_write_bio_X509(bio, x) != 1) {
		BIO_free(bio);
		return tls_err(err, ERR_INTERNAL, "write certificate");
	}
	return put_bio(bio, out);
}

static int add_name(X509_NAME *name, const char *field, const char *value)
{
	return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)value,
					  -1, -1, 0) == 1
		       ? 0
		       : -1;
}

/* Organizations first, then the common name, as kubeadm's certificates have it. */
static int set_subject(X509_NAME *name, const char *cn, const char *const *orgs, struct err *err)
{
	for (size_t i = 0; orgs && orgs[i]; i++) {
		if (add_name(name, "O", orgs[i]))
			return tls_err(err, ERR_BAD_REQUEST, "organization");
	}
	return add_name(name, "CN", cn) ? tls_err(err, ERR_BAD_REQUEST, "common name") : 0;
}

/* The extension's text form goes through OpenSSL's own parser: `what` names it in errors. */
static int add_ext(X509 *x, X509 *issuer, int nid, const char *value, struct err *err)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (!e)
		return tls_err(err, ERR_BAD_REQUEST, OBJ_nid2sn(nid));
	int ok = X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	return ok == 1 ? 0 : tls_err(err, ERR_INTERNAL, OBJ_nid2sn(nid));
}

/* Only what can't be read as configuration syntax: the text goes to OpenSSL's parser. */
static bool is_plain_name(const char *s)
{
	for (; *s; s++) {
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		      (*s >= '0' && *s <= '9') || strchr(".-_:*", *s)))
			return false;
	}
	return true;
}

static int sans_text(const char *const *sans, struct buf *out, struct err *err)
{
	for (size_t i = 0; sans && sans[i]; i++) {
		bool known = !strncmp(sans[i], "DNS:", 4) || !strncmp(sans[i], "IP:", 3);
		if (!known || !is_plain_name(sans[i]))
			return err_set(err, ERR_BAD_REQUEST, "\"%s\" is no DNS:name or IP:address",
				       sans[i]);
		buf_printf(out, "%s%s", i ? "," : "", sans[i]);
	}
	return 0;
}

static int set_serial_and_times(X509 *x, int64_t now_ns, int64_t lifetime_s, struct err *err)
{
	unsigned char serial[16];
	time_t from = (time_t)(now_ns / NS_PER_S - BACKDATE_S);
	time_t to = (time_t)(now_ns / NS_PER_S + lifetime_s);

	random_bytes(serial, sizeof(serial));
	serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40); /* positive, full length */
	BIGNUM *n = BN_bin2bn(serial, sizeof(serial), NULL);
	ASN1_INTEGER *set = BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
	BN_free(n);
	X509_set_version(x, X509_VERSION_3);
	if (!set || !ASN1_TIME_adj(X509_getm_notBefore(x), from, 0, 0) ||
	    !ASN1_TIME_adj(X509_getm_notAfter(x), to, 0, 0))
		return tls_err(err, ERR_BAD_REQUEST, "validity");
	return 0;
}

int ca_create(const char *common_name, int64_t now_ns, int64_t lifetime_s, struct buf *ret_cert,
	      struct buf *ret_key, struct err *err)
{
	AUTO(pkey) EVP_PKEY *k = new_key(err);
	AUTO(x509) X509 *x = X509_new();

	if (!k || set_serial_and_times(x, now_ns, lifetime_s, err) ||
	    set_subject(X509_get_subject_name(x), common_name, NULL, err))
		return -1;
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_set_pubkey(x, k);
	if (add_ext(x, x, NID_basic_constraints, "critical,CA:TRUE", err) ||
	    add_ext(x, x, NID_key_usage, "critical,digitalSignature,keyCertSign,cRLSign", err) ||
	    add_ext(x, x, NID_subject_key_identifier, "hash", err) ||
	    add_ext(x, x, NID_authority_key_identifier, "keyid:always", err))
		return -1;
	if (X509_sign(x, k, EVP_sha256()) == 0)
		return tls_err(err, ERR_INTERNAL, "sign");
	return put_cert(x, ret_cert, err) || put_key(k, ret_key, err) ? -1 : 0;
}

static int set_extensions(X509 *x, X509 *ca, const struct cert_request *r, struct err *err)
{
	AUTO(buf) struct buf sans = {0};
	const char *eku = r->server && r->client ? "serverAuth,clientAuth"
			  : r->server            ? "serverAuth"
						 : "clientAuth";

	if (sans_text(r->sans, &sans, err))
		return -1;
	if (add_ext(x, ca, NID_basic_constraints, "critical,CA:FALSE", err) ||
	    add_ext(x, ca, NID_key_usage, "critical,digitalSignature", err) ||
	    add_ext(x, ca, NID_ext_key_usage, eku, err) ||
	    add_ext(x, ca, NID_subject_key_identifier, "hash", err) ||
	    add_ext(x, ca, NID_authority_key_identifier, "keyid:always", err))
		return -1;
	if (sans.n && add_ext(x, ca, NID_subject_alt_name, buf_cstr(&sans), err))
		return -1;
	return 0;
}

/* A certificate for `pub` under the names of r, signed by the authority. */
static int issue_for(struct str ca_cert, struct str ca_key, EVP_PKEY *pub,
		     const struct cert_request *r, struct buf *ret_cert, struct err *err)
{
	AUTO(x509) X509 *ca = tls_pem_cert(ca_cert, err);
	AUTO(pkey) EVP_PKEY *signer = ca ? tls_pem_key(ca_key, err) : NULL;
	AUTO(x509) X509 *x = X509_new();

	if (!signer)
		return err_wrap(err, "certificate authority");
	if (X509_check_private_key(ca, signer) != 1)
		return tls_err(err, ERR_BAD_REQUEST, "certificate authority");
	if (set_serial_and_times(x, r->now_ns, r->lifetime_s, err) ||
	    set_subject(X509_get_subject_name(x), r->common_name, r->organizations, err))
		return -1;
	X509_set_issuer_name(x, X509_get_subject_name(ca));
	X509_set_pubkey(x, pub);
	if (set_extensions(x, ca, r, err))
		return -1;
	if (X509_sign(x, signer, EVP_sha256()) == 0)
		return tls_err(err, ERR_INTERNAL, "sign");
	return put_cert(x, ret_cert, err);
}

int ca_issue(struct str ca_cert, struct str ca_key, const struct cert_request *r,
	     struct buf *ret_cert, struct buf *ret_key, struct err *err)
{
	AUTO(pkey) EVP_PKEY *k = new_key(err);

	if (!k || issue_for(ca_cert, ca_key, k, r, ret_cert, err))
		return -1;
	return put_key(k, ret_key, err);
}

static X509_REQ *pem_request(struct str pem, struct err *err)
{
	if (pem.n > (64 << 10) || !pem.p) {
		err_set(err, ERR_PARSE, "certificate request: no PEM given");
		return NULL;
	}
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509_REQ *r = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);

	BIO_free(bio);
	if (!r)
		tls_err(err, ERR_PARSE, "certificate request");
	return r;
}

int ca_sign_csr(struct str ca_cert, struct str ca_key, struct str csr_pem,
		const struct cert_request *r, struct buf *ret_cert, struct err *err)
{
	AUTO(x509_req) X509_REQ *req = pem_request(csr_pem, err);
	if (!req)
		return -1;
	AUTO(pkey) EVP_PKEY *pub = X509_REQ_get_pubkey(req);

	/* The signature proves that the requester holds the key. */
	if (!pub || X509_REQ_verify(req, pub) != 1)
		return tls_err(err, ERR_BAD_REQUEST, "certificate request: signature");
	return issue_for(ca_cert, ca_key, pub, r, ret_cert, err);
}

static int request_sans(X509_REQ *req, const char *const *sans, struct err *err)
{
	AUTO(buf) struct buf text = {0};

	if (sans_text(sans, &text, err))
		return -1;
	if (!text.n)
		return 0;
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, buf_cstr(&text));
	if (!e)
		return tls_err(err, ERR_BAD_REQUEST, "names");
	STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
	sk_X509_EXTENSION_push(list, e);
	int ok = X509_REQ_add_extensions(req, list);
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	return ok == 1 ? 0 : tls_err(err, ERR_INTERNAL, "names");
}

int csr_create(const char *common_name, const char *const *organizations, const char *const *sans,
	       struct buf *ret_key, struct buf *ret_csr, struct err *err)
{
	AUTO(pkey) EVP_PKEY *k = new_key(err);
	AUTO(x509_req) X509_REQ *req = X509_REQ_new();

	if (!k || set_subject(X509_REQ_get_subject_name(req), common_name, organizations, err) ||
	    request_sans(req, sans, err))
		return -1;
	X509_REQ_set_pubkey(req, k);
	if (X509_REQ_sign(req, k, EVP_sha256()) == 0)
		return tls_err(err, ERR_INTERNAL, "sign");
	BIO *bio = BIO_new(BIO_s_mem());
	if (PEM_write_bio_X509_REQ(bio, req) != 1) {
		BIO_free(bio);
		return tls_err(err, ERR_INTERNAL, "write request");
	}
	put_bio(bio, ret_csr);
	return put_key(k, ret_key, err);
}
