/*
 * TLS contexts: which certificates we show, whom we trust, which ciphers and protocols are spoken.
 * Must never log or return key material. A context is immutable once made and shared between
 * threads by reference count.
 */
#include "lib/http/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdatomic.h>

#include "lib/http/tls-internal.h"

static const unsigned char alpn_http11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

int tls_err(struct err *err, enum err_code code, const char *what)
{
	unsigned long e = ERR_peek_error();
	const char *reason = e ? ERR_reason_error_string(e) : NULL;

	ERR_clear_error();
	return err_set(err, code, "%s: %s", what, reason ? reason : "unknown reason");
}

void x509_cleanup(X509 **x)
{
	X509_free(*x);
}

void pkey_cleanup(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

void x509_req_cleanup(X509_REQ **r)
{
	X509_REQ_free(*r);
}

X509 *tls_pem_cert(struct str pem, struct err *err)
{
	if (pem.n > INT32_MAX || !pem.p) {
		err_set(err, ERR_PARSE, "certificate: no PEM given");
		return NULL;
	}
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	if (!x)
		tls_err(err, ERR_PARSE, "certificate");
	return x;
}

/* Never asks a terminal for a pass phrase. */
static int no_passphrase(char *buf UNUSED, int size UNUSED, int rw UNUSED, void *u UNUSED)
{
	return -1;
}

EVP_PKEY *tls_pem_key(struct str pem, struct err *err)
{
	if (pem.n > INT32_MAX || !pem.p) {
		err_set(err, ERR_PARSE, "private key: no PEM given");
		return NULL;
	}
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *k = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);

	BIO_free(bio);
	if (!k)
		tls_err(err, ERR_PARSE, "private key");
	return k;
}

/* Every certificate of the PEM is trusted; a server also names them to clients. */
static int trust_pem(SSL_CTX *ssl, struct str pem, bool server, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	size_t n = 0;
	X509 *x;

	while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl), x);
		if (server)
			SSL_CTX_add_client_CA(ssl, x);
		X509_free(x);
		n++;
	}
	BIO_free(bio);
	ERR_clear_error(); /* the end of the file is reported as an error */
	return n ? 0 : err_set(err, ERR_PARSE, "no certificate in the given authorities");
}

static int read_whole(const char *path, struct buf *ret, struct err *err)
{
	FILE *f = fopen(path, "re");
	char piece[4096];
	size_t n;

	if (!f)
		return err_sys(err, "open %s", path);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0 && ret->n < (4 << 20))
		buf_put(ret, piece, n);
	int bad = ferror(f);
	fclose(f);
	return bad ? err_set(err, ERR_IO, "read %s failed", path) : 0;
}

static int load_trust(SSL_CTX *ssl, const struct tls_files *f, bool server, struct err *err)
{
	AUTO(buf) struct buf pem = {0};

	if (f->ca_pem.n)
		return trust_pem(ssl, f->ca_pem, server, err);
	if (f->ca) {
		if (read_whole(f->ca, &pem, err))
			return -1;
		return trust_pem(ssl, buf_view(&pem), server, err) ? err_wrap(err, "%s", f->ca) : 0;
	}
	if (!server)
		SSL_CTX_set_default_verify_paths(ssl);
	return 0;
}

/* An authority of both kinds could not tell a person from a proxy that speaks for people. */
static bool is_trusted(SSL_CTX *ssl, X509 *x)
{
	STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ssl));

	for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
		X509 *other = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));

		if (other && EVP_PKEY_eq(X509_get0_pubkey(other), X509_get0_pubkey(x)) == 1)
			return true;
	}
	return false;
}

static int load_proxies(struct tls_ctx *c, const char *path, struct err *err)
{
	AUTO(buf) struct buf pem = {0};
	X509 *x;
	int n;

	if (!path)
		return 0;
	if (read_whole(path, &pem, err))
		return -1;
	c->proxies = sk_X509_new_null();
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
		sk_X509_push(c->proxies, x);
	BIO_free(bio);
	ERR_clear_error();
	n = sk_X509_num(c->proxies);
	for (int i = 0; i < n; i++)
		if (is_trusted(c->ssl, sk_X509_value(c->proxies, i)))
			return err_set(err, ERR_BAD_REQUEST,
				       "%s: proxies need an authority of their own", path);
	return n ? trust_pem(c->ssl, buf_view(&pem), true, err)
		 : err_set(err, ERR_PARSE, "%s: no certificate", path);
}

bool tls_is_proxy(const SSL *ssl, X509 *x)
{
	const struct tls_ctx *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	for (int i = 0; c && c->proxies && i < sk_X509_num(c->proxies); i++)
		if (X509_verify(x, X509_get0_pubkey(sk_X509_value(c->proxies, i))) == 1)
			return true;
	ERR_clear_error();
	return false;
}

/* The first certificate is ours, the others are the chain up to the authority. */
static int use_chain(SSL_CTX *ssl, struct str pem, struct err *err)
{
	AUTO(x509) X509 *leaf = tls_pem_cert(pem, err);
	if (!leaf)
		return -1;
	if (SSL_CTX_use_certificate(ssl, leaf) != 1)
		return tls_err(err, ERR_BAD_REQUEST, "certificate");

	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	X509_free(x);
	while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
		SSL_CTX_add0_chain_cert(ssl, x);
	BIO_free(bio);
	ERR_clear_error();
	return 0;
}

static int load_identity(SSL_CTX *ssl, const struct tls_files *f, struct err *err)
{
	AUTO(buf) struct buf cert = {0};
	struct buf key = {0};
	struct str cert_pem = f->cert_pem, key_pem = f->key_pem;
	EVP_PKEY *k = NULL;
	int r = -1;

	if (!cert_pem.n && f->cert) {
		if (read_whole(f->cert, &cert, err))
			return -1;
		cert_pem = buf_view(&cert);
	}
	if (!key_pem.n && f->key) {
		if (read_whole(f->key, &key, err))
			goto out;
		key_pem = buf_view(&key);
	}
	if (!cert_pem.n && !key_pem.n)
		return 0;
	if (use_chain(ssl, cert_pem, err))
		goto out;
	k = tls_pem_key(key_pem, err);
	if (!k)
		goto out;
	if (SSL_CTX_use_PrivateKey(ssl, k) != 1 || SSL_CTX_check_private_key(ssl) != 1) {
		tls_err(err, ERR_BAD_REQUEST, "private key does not belong to the certificate");
		goto out;
	}
	r = 0;
out:
	EVP_PKEY_free(k);
	buf_wipe(&key);
	return r;
}

static int choose_alpn(SSL *ssl UNUSED, const unsigned char **out, unsigned char *outlen,
		       const unsigned char *in, unsigned int inlen, void *arg UNUSED)
{
	unsigned char *found;

	if (SSL_select_next_proto(&found, outlen, alpn_http11, sizeof(alpn_http11), in, inlen) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = found;
	return SSL_TLSEXT_ERR_OK;
}

/*
 * A client certificate that doesn't verify doesn't end the handshake: the request comes in without
 * an identity and gets a 401 that says so, which clients show; an alert they don't.
 */
static int accept_anyway(int ok UNUSED, X509_STORE_CTX *store UNUSED)
{
	return 1;
}

static struct tls_ctx *ctx_new(const SSL_METHOD *method, bool server)
{
	struct tls_ctx *c = xalloc(sizeof(*c));

	atomic_init(&c->refs, 1);
	c->server = server;
	c->ssl = SSL_CTX_new(method);
	if (!c->ssl)
		panic("SSL_CTX_new failed");
	SSL_CTX_set_min_proto_version(c->ssl, TLS1_2_VERSION);
	/* 10,000 idle connections must not hold two record buffers each. */
	SSL_CTX_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(c->ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
					    SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_ciphersuites(c->ssl, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
					 "TLS_CHACHA20_POLY1305_SHA256");
	SSL_CTX_set_cipher_list(c->ssl, "ECDHE+AESGCM:ECDHE+CHACHA20");
	SSL_CTX_set1_groups_list(c->ssl, "X25519:P-256:P-384");
	return c;
}

struct tls_ctx *tls_server_new(const struct tls_files *f, struct err *err)
{
	static const unsigned char id[] = "plumb";
	struct tls_ctx *c = ctx_new(TLS_server_method(), true);

	SSL_CTX_set_options(c->ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_session_id_context(c->ssl, id, sizeof(id) - 1);
	/* Resumption by ticket only: nothing is kept for clients that come once. */
	SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(c->ssl, 1);
	SSL_CTX_set_alpn_select_cb(c->ssl, choose_alpn, NULL);
	SSL_CTX_set_app_data(c->ssl, c);
	if (load_trust(c->ssl, f, true, err) || load_proxies(c, f->proxy_ca, err) ||
	    load_identity(c->ssl, f, err)) {
		tls_unref(&c);
		return NULL;
	}
	if (f->ca || f->ca_pem.n)
		SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, accept_anyway);
	return c;
}

struct tls_ctx *tls_client_new(const struct tls_files *f, struct err *err)
{
	struct tls_ctx *c = ctx_new(TLS_client_method(), false);

	c->insecure = f->insecure;
	SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c->ssl, wire_keep_session);
	SSL_CTX_set_alpn_protos(c->ssl, alpn_http11, sizeof(alpn_http11));
	SSL_CTX_set_verify(c->ssl, f->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	if ((!f->insecure && load_trust(c->ssl, f, false, err)) || load_identity(c->ssl, f, err)) {
		tls_unref(&c);
		return NULL;
	}
	return c;
}

struct tls_ctx *tls_ref(struct tls_ctx *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void tls_unref(struct tls_ctx **c)
{
	struct tls_ctx *x = *c;

	*c = NULL;
	if (!x || atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) != 1)
		return;
	SSL_CTX_free(x->ssl);
	sk_X509_pop_free(x->proxies, X509_free);
	free(x);
}
