/* What lib/http's own files share about TLS. */
#ifndef PLUMB_TLS_INTERNAL_H
#define PLUMB_TLS_INTERNAL_H

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "lib/http/tls.h"

struct tls_ctx {
	_Atomic uint32_t refs;
	SSL_CTX *ssl;
	bool server, insecure;
	STACK_OF(X509) * proxies; /* tls_files.proxy_ca, or NULL */
};

/* Whether the certificate, which has been verified, is a proxy's. */
bool tls_is_proxy(const SSL *ssl, X509 *x);

/* OpenSSL's oldest queued error behind the message; empties the queue. Returns -1. */
int tls_err(struct err *err, enum err_code code, const char *what);
X509 *tls_pem_cert(struct str pem, struct err *err);
EVP_PKEY *tls_pem_key(struct str pem, struct err *err);

/* CN and organizations of a name; ret is zeroed or has an empty organizations buffer. */
int tls_read_subject(const X509_NAME *name, struct cert_info *ret, struct err *err);

/* Clients: a ticket came in; kept where the connection's wire says. */
int wire_keep_session(SSL *ssl, SSL_SESSION *session);

/* For AUTO(x509) and so on. */
void x509_cleanup(X509 **x);
void pkey_cleanup(EVP_PKEY **k);
void x509_req_cleanup(X509_REQ **r);

#endif
