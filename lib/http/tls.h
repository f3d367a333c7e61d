/*
 * TLS contexts, keys and certificates: the only place that touches OpenSSL's SSL and X.509.
 * TLS 1.2 and 1.3, P-256 keys. PEM throughout.
 */
#ifndef PLUMB_TLS_H
#define PLUMB_TLS_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

struct tls_ctx; /* shared, reference counted, thread-safe */

struct tls_files {
	const char *ca; /* PEM file(s): whom we trust; NULL = system's for clients, nobody for
			   servers */
	const char *cert, *key;               /* PEM files; NULL = none */
	struct str ca_pem, cert_pem, key_pem; /* instead of files */
	bool insecure;                        /* clients only: do not verify */
	const char *proxy_ca; /* servers only: PEM file of further authorities, whose certificates
				 name proxies; none of them may be one of ca's; NULL = none */
};
/* Server: asks for client certificates and accepts those of ca; a connection without one is let in
 * unauthenticated. */
struct tls_ctx *tls_server_new(const struct tls_files *f, struct err *err);
struct tls_ctx *tls_client_new(const struct tls_files *f, struct err *err);
struct tls_ctx *tls_ref(struct tls_ctx *c);
void tls_unref(struct tls_ctx **c);

/* ---- the cluster's certificate authority ---- */
struct cert_request {
	const char *common_name;
	const char *const *organizations; /* NULL-terminated, or NULL */
	const char *const *sans;          /* "DNS:name" or "IP:1.2.3.4", NULL-terminated, or NULL */
	bool server, client;              /* extended key usage */
	int64_t lifetime_s;
	int64_t now_ns; /* wall clock */
};
/* Makes a self-signed authority; both PEMs are appended to the buffers. */
MUST_USE int ca_create(const char *common_name, int64_t now_ns, int64_t lifetime_s,
		       struct buf *ret_cert, struct buf *ret_key, struct err *err);
/* Issues a key and certificate. */
MUST_USE int ca_issue(struct str ca_cert, struct str ca_key, const struct cert_request *r,
		      struct buf *ret_cert, struct buf *ret_key, struct err *err);
/* Signs a PKCS#10 request's public key under the names of r (the request's own names are the
 * caller's to check: csr_subject). */
MUST_USE int ca_sign_csr(struct str ca_cert, struct str ca_key, struct str csr_pem,
			 const struct cert_request *r, struct buf *ret_cert, struct err *err);
/* A new P-256 key and a request for it (node bootstrap). */
MUST_USE int csr_create(const char *common_name, const char *const *organizations,
			const char *const *sans, struct buf *ret_key, struct buf *ret_csr,
			struct err *err);

/* A self-signed RSA certificate with its key, for encrypting to (cert_rsa.c). */
struct cert_rsa {
	const char *common_name;
	unsigned bits;
	long lifetime_s;
	int64_t now_ns;
};
MUST_USE int cert_rsa_create(const struct cert_rsa *r, struct buf *ret_cert, struct buf *ret_key,
			     struct err *err);

/* Subject of a certificate or request: CN, and organizations separated by '\n'; of requests also
 * the alternative names, as in cert_request, separated likewise. */
struct cert_info {
	char common_name[256];
	struct buf organizations;
	int64_t not_before_ns, not_after_ns; /* certificates only */
	struct buf sans;
	bool odd_sans; /* there are others than DNS names and addresses, or malformed ones */
	uint8_t spki_sha256[32];
};
MUST_USE int cert_info(struct str pem, struct cert_info *ret, struct err *err);
void cert_info_release(struct cert_info *i);

/* ECDSA P-256 (ES256) signatures over raw bytes, r||s form, for JSON web tokens. */
MUST_USE int sign_es256(struct str key_pem, struct str data, uint8_t ret[64], struct err *err);
MUST_USE int verify_es256(struct str public_or_private_pem, struct str data, const uint8_t sig[64],
			  struct err *err);
/* RSASSA-PKCS1-v1_5 with SHA-256 (RS256), appended: what GitHub wants of its Apps. */
MUST_USE int sign_rs256(struct str key_pem, struct str data, struct buf *ret, struct err *err);
/* DER for ECDSA, with SHA-256; Ed25519; RSA as above. One public key in PEM. */
MUST_USE int verify_pem(struct str public_pem, struct str data, struct str signature,
			struct err *err);
/* The public point's coordinates, x||y, of a key or certificate: for JSON web key sets. */
MUST_USE int es256_public(struct str pem, uint8_t ret[64], struct err *err);

#endif
