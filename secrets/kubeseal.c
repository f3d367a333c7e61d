/*
 * kubeseal's values by libcrypto, which libsodium has no RSA for. Every key is tried, as its own
 * controller does. When none opens a value with the label of its scope, the wider scopes are tried
 * once, only to say that it is the scope which is wrong: what opens that way is wiped, not used.
 * Session keys and plain text are wiped. Must never put a value into an error.
 */
#include "secrets/kubeseal.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"

enum { SESSION = 32, TAG = 16, NONCE = 12, RSA_BYTES_MAX = 1024 };

struct kubeseal_keys {
	EVP_PKEY *v[KUBESEAL_KEYS_MAX];
	size_t n;
};
struct sealed {
	struct str wrapped, cipher; /* cipher with its tag */
};

struct kubeseal_keys *kubeseal_keys_new(void)
{
	return xalloc(sizeof(struct kubeseal_keys));
}

void kubeseal_keys_free(struct kubeseal_keys *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < k->n; i++)
		EVP_PKEY_free(k->v[i]);
	free(k);
}

int kubeseal_keys_add(struct kubeseal_keys *k, struct str pem, struct err *err)
{
	BIO *bio;
	EVP_PKEY *key;

	if (k->n == KUBESEAL_KEYS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d keys", KUBESEAL_KEYS_MAX);
	if (!pem.n || pem.n > 65536)
		return err_set(err, ERR_PARSE, "not a private key in PEM");
	bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"") : NULL;
	BIO_free(bio);
	ERR_clear_error();
	if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA ||
	    EVP_PKEY_get_size(key) > RSA_BYTES_MAX) {
		EVP_PKEY_free(key);
		return err_set(err, ERR_PARSE, "not an RSA private key in PEM");
	}
	k->v[k->n++] = key;
	return 0;
}

size_t kubeseal_keys_count(const struct kubeseal_keys *k)
{
	return k->n;
}

/* ---- one value ---- */

static int unpack(struct str raw, struct sealed *ret, struct err *err)
{
	size_t n = raw.n < 2 ? 0 : (size_t)(uint8_t)raw.p[0] << 8 | (uint8_t)raw.p[1];

	if (n < 64 || n > RSA_BYTES_MAX || raw.n < 2 + n + TAG)
		return err_set(err, ERR_PARSE, "not a value of kubeseal, or truncated");
	ret->wrapped = str_sub(raw, 2, n);
	ret->cipher = str_sub(raw, 2 + n, raw.n);
	return 0;
}

/* True when the key opens the session key with this label. */
static bool unwrap(EVP_PKEY *key, struct str wrapped, struct str label, uint8_t ret[SESSION])
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	uint8_t out[RSA_BYTES_MAX];
	size_t n = sizeof(out);
	void *owned = label.n ? OPENSSL_memdup(label.p, label.n) : NULL;
	bool ok;

	ok = c && EVP_PKEY_decrypt_init(c) == 1 &&
	     EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) == 1 &&
	     EVP_PKEY_CTX_set_rsa_oaep_md(c, EVP_sha256()) == 1 &&
	     EVP_PKEY_CTX_set_rsa_mgf1_md(c, EVP_sha256()) == 1;
	/* The context takes the label over. */
	if (ok && label.n) {
		ok = EVP_PKEY_CTX_set0_rsa_oaep_label(c, owned, (int)label.n) == 1;
		owned = ok ? NULL : owned;
	}
	ok = ok && EVP_PKEY_decrypt(c, out, &n, (const uint8_t *)wrapped.p, wrapped.n) == 1 &&
	     n == SESSION;
	if (ok)
		memcpy(ret, out, SESSION);
	sodium_memzero(out, sizeof(out));
	OPENSSL_free(owned);
	EVP_PKEY_CTX_free(c);
	ERR_clear_error();
	return ok;
}

static bool unwrap_any(const struct kubeseal_keys *k, struct str wrapped, struct str label,
		       uint8_t ret[SESSION])
{
	for (size_t i = 0; i < k->n; i++)
		if ((size_t)EVP_PKEY_get_size(k->v[i]) == wrapped.n &&
		    unwrap(k->v[i], wrapped, label, ret))
			return true;
	return false;
}

static int open_cipher(const uint8_t session[SESSION], struct str cipher, struct buf *out,
		       struct err *err)
{
	static const uint8_t nonce[NONCE]; /* a session key is used once */
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	size_t n = cipher.n - TAG;
	uint8_t *at = (uint8_t *)buf_reserve(out, cipher.n);
	int got = 0, more = 0;
	bool ok;

	ok = c && EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, session, nonce) == 1 &&
	     (!n || EVP_DecryptUpdate(c, at, &got, (const uint8_t *)cipher.p, (int)n) == 1) &&
	     EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG, (void *)(cipher.p + n)) == 1 &&
	     EVP_DecryptFinal_ex(c, at + n, &more) == 1;
	EVP_CIPHER_CTX_free(c);
	ERR_clear_error();
	if (!ok) {
		sodium_memzero(at, cipher.n);
		return err_set(err, ERR_CORRUPT, "damaged");
	}
	out->n += n;
	return 0;
}

/* "team/db", "team" or nothing. */
static struct str label_of(const struct kubeseal_binding *b, struct buf *text)
{
	buf_str(text, b->namespace);
	if (b->name.n)
		buf_printf(text, "/%.*s", STR_ARG(b->name));
	return buf_view(text);
}

static int not_opened(const struct kubeseal_keys *k, const struct kubeseal_binding *b,
		      struct str wrapped, struct err *err)
{
	uint8_t session[SESSION];
	const char *scope = NULL;

	if (b->namespace.n && unwrap_any(k, wrapped, STR(""), session))
		scope = "cluster-wide";
	else if (b->name.n && unwrap_any(k, wrapped, b->namespace, session))
		scope = "namespace-wide";
	sodium_memzero(session, sizeof(session));
	if (scope)
		return err_set(err, ERR_FORBIDDEN,
			       "sealed %s, which the SealedSecret's annotations don't say", scope);
	return err_set(err, ERR_NOT_FOUND,
		       "sealed under a key that is not here, or for another namespace or name");
}

int kubeseal_open(const struct kubeseal_keys *k, const struct kubeseal_binding *b,
		  struct str sealed, struct buf *out, struct err *err)
{
	AUTO(buf) struct buf raw = {0};
	AUTO(buf) struct buf label = {0};
	uint8_t session[SESSION];
	struct sealed parts;
	int rc;

	if (sealed.n > KUBESEAL_VALUE_MAX)
		return err_set(err, ERR_LIMIT, "longer than any value of kubeseal");
	if (base64_decode_lines(str_trim(sealed), &raw) != 0)
		return err_set(err, ERR_PARSE, "not base64");
	if (unpack(buf_view(&raw), &parts, err) != 0)
		return -1;
	if (!unwrap_any(k, parts.wrapped, label_of(b, &label), session))
		return not_opened(k, b, parts.wrapped, err);
	rc = open_cipher(session, parts.cipher, out, err);
	sodium_memzero(session, sizeof(session));
	return rc;
}
