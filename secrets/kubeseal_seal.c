/*
 * kubeseal's values written: for an object whose values come under a newer key. What is opened on
 * the way is wiped. Must never put a value into an error. Pure but for randomness.
 */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sodium.h>

#include "lib/base/codec.h"
#include "secrets/kubeseal.h"

enum { SESSION = 32, TAG = 16, NONCE = 12, RSA_BYTES_MAX = 1024 };

static EVP_PKEY *public_key(struct str pem)
{
	BIO *bio = pem.n && pem.n < 65536 ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, (void *)"") : NULL;
	EVP_PKEY *key = x ? X509_get_pubkey(x) : NULL;

	BIO_free(bio);
	X509_free(x);
	ERR_clear_error();
	if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA &&
	    EVP_PKEY_get_size(key) <= RSA_BYTES_MAX)
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

/* Appends the length and R, the session key under the public one. */
static bool wrap(EVP_PKEY *key, const uint8_t session[SESSION], struct str label, struct buf *out)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	void *owned = label.n ? OPENSSL_memdup(label.p, label.n) : NULL;
	uint8_t r[RSA_BYTES_MAX];
	size_t n = sizeof(r);
	bool ok;

	ok = c && EVP_PKEY_encrypt_init(c) == 1 &&
	     EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) == 1 &&
	     EVP_PKEY_CTX_set_rsa_oaep_md(c, EVP_sha256()) == 1 &&
	     EVP_PKEY_CTX_set_rsa_mgf1_md(c, EVP_sha256()) == 1;
	if (ok && label.n) {
		ok = EVP_PKEY_CTX_set0_rsa_oaep_label(c, owned, (int)label.n) == 1;
		owned = ok ? NULL : owned;
	}
	ok = ok && EVP_PKEY_encrypt(c, r, &n, session, SESSION) == 1;
	if (ok) {
		buf_putc(out, (char)(n >> 8));
		buf_putc(out, (char)n);
		buf_put(out, r, n);
	}
	OPENSSL_free(owned);
	EVP_PKEY_CTX_free(c);
	ERR_clear_error();
	return ok;
}

static bool encrypt(const uint8_t session[SESSION], struct str plain, struct buf *out)
{
	static const uint8_t nonce[NONCE]; /* a session key is used once */
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t *at = (uint8_t *)buf_reserve(out, plain.n + TAG);
	int n = 0, more = 0;
	bool ok;

	ok = c && EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, session, nonce) == 1 &&
	     (!plain.n ||
	      EVP_EncryptUpdate(c, at, &n, (const uint8_t *)plain.p, (int)plain.n) == 1) &&
	     EVP_EncryptFinal_ex(c, at + plain.n, &more) == 1 &&
	     EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, at + plain.n) == 1;
	EVP_CIPHER_CTX_free(c);
	if (ok)
		out->n += plain.n + TAG;
	return ok;
}

int kubeseal_seal(struct str cert_pem, const struct kubeseal_binding *b, struct str plain,
		  struct buf *out, struct err *err)
{
	AUTO(buf) struct buf label = {0};
	AUTO(buf) struct buf raw = {0};
	uint8_t session[SESSION];
	EVP_PKEY *key;
	bool ok;

	if (sodium_init() < 0)
		return err_set(err, ERR_INTERNAL, "libsodium does not start");
	if (plain.n > KUBESEAL_VALUE_MAX / 2)
		return err_set(err, ERR_LIMIT, "longer than %d bytes", KUBESEAL_VALUE_MAX / 2);
	key = public_key(cert_pem);
	if (!key)
		return err_set(err, ERR_PARSE, "not a certificate with an RSA key");
	buf_str(&label, b->namespace);
	if (b->name.n)
		buf_printf(&label, "/%.*s", STR_ARG(b->name));
	randombytes_buf(session, sizeof(session));
	ok = wrap(key, session, buf_view(&label), &raw) && encrypt(session, plain, &raw);
	sodium_memzero(session, sizeof(session));
	EVP_PKEY_free(key);
	if (!ok)
		return err_set(err, ERR_INTERNAL, "libcrypto does not encrypt");
	base64_encode(buf_view(&raw), out);
	return 0;
}

struct again {
	struct arena *a;
	const struct kubeseal_keys *keys;
	struct kubeseal_binding binding;
	struct str cert;
};

static int value_again(const struct again *w, struct json *v, struct err *err)
{
	struct buf plain = {0};
	AUTO(buf) struct buf sealed = {0};
	int rc = kubeseal_open(w->keys, &w->binding, json_str(v), &plain, err);

	if (rc == 0 && w->cert.n)
		rc = kubeseal_seal(w->cert, &w->binding, buf_view(&plain), &sealed, err);
	buf_wipe(&plain);
	if (rc == 0 && w->cert.n)
		*v = *json_new_str(w->a, buf_view(&sealed));
	return rc;
}

int kubeseal_again(struct arena *a, struct json *sealed, const struct kubeseal_keys *k,
		   struct str cert_pem, struct err *err)
{
	struct json *values = json_at(sealed, "spec", "encryptedData");
	const struct again w = {a, k, kubeseal_binding_of(sealed), cert_pem};
	struct json_member *m = json_members(values);

	if (!json_len(values))
		return err_set(err, ERR_INVALID, "spec.encryptedData: nothing in it");
	for (size_t i = 0; i < json_len(values); i++)
		if (value_again(&w, &m[i].value, err) != 0)
			return err_wrap(err, "%.*s", STR_ARG(m[i].key));
	if (cert_pem.n)
		json_del(sealed, STR("status"));
	return 0;
}
