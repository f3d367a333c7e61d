/*
 * Sealed values, version 1. A fresh X25519 key pair for each value; from the shared secret and both
 * public keys BLAKE2b gives a cipher key with nonce and a key for a tag. The cipher is
 * XChaCha20-Poly1305 with what the value is bound to as associated data; the tag covers all bytes
 * but not the binding, so that "damaged" and "sealed for somebody else" can be told apart without
 * weakening either. Must never log or return plain text in an error. Keys live in guarded memory.
 */
#include "secrets/seal.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"

enum {
	VERSION = 1,
	PUB = SEAL_KEY_BYTES,
	ID = SEAL_ID_BYTES,
	NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	AEAD_TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES,
	TAG = 16,
	HEAD = 2 + ID + PUB, /* version, scope, key id, ephemeral key */
	KEYS_MAX = 1000,
};
static const char key_line[] = "plumb-seal-v1:";

struct derived {
	uint8_t key[32];
	uint8_t nonce[NONCE];
	uint8_t tag_key[32];
};

struct private_key {
	uint8_t secret[SEAL_KEY_BYTES];
	struct seal_pub pub;
};

struct seal_keys {
	struct private_key *v; /* guarded */
	size_t n, cap;
};

static const struct {
	enum seal_scope scope;
	const char *name;
} scopes[] = {
	{SEAL_STRICT, "strict"},
	{SEAL_NAMESPACE, "namespace"},
	{SEAL_CLUSTER, "cluster"},
};

int seal_scope_parse(struct str s, enum seal_scope *ret)
{
	*ret = SEAL_STRICT;
	if (!s.n)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(scopes); i++)
		if (str_is(s, scopes[i].name)) {
			*ret = scopes[i].scope;
			return 0;
		}
	return -1;
}

const char *seal_scope_name(enum seal_scope s)
{
	for (size_t i = 0; i < ARRAY_LEN(scopes); i++)
		if (scopes[i].scope == s)
			return scopes[i].name;
	return "unknown";
}

static int start(struct err *err)
{
	return sodium_init() < 0 ? err_set(err, ERR_INTERNAL, "libsodium does not start") : 0;
}

/* ---- keys ---- */

static void id_of(struct seal_pub *p)
{
	static const char use[] = "plumb.dev/sealed/v1/id";
	uint8_t hash[crypto_generichash_BYTES];

	crypto_generichash(hash, sizeof(hash), p->bytes, PUB, (const uint8_t *)use,
			   sizeof(use) - 1);
	memcpy(p->id, hash, ID);
}

const char *seal_id_text(const uint8_t id[SEAL_ID_BYTES], char ret[SEAL_ID_TEXT])
{
	return sodium_bin2hex(ret, SEAL_ID_TEXT, id, ID);
}

int seal_pub_parse(struct str text, struct seal_pub *ret, struct err *err)
{
	struct str line;

	while (str_next(&text, '\n', &line)) {
		AUTO(buf) struct buf raw = {0};

		line = str_trim(line);
		if (!line.n || *line.p == '#')
			continue;
		if (!str_starts(line, STR("plumb-seal-v1:")))
			return err_set(err, ERR_PARSE,
				       "not a public key: a line must begin with \"%s\"", key_line);
		line = str_sub(line, sizeof(key_line) - 1, line.n);
		if (base64_decode(line, &raw) != 0 || raw.n != PUB)
			return err_set(err, ERR_PARSE,
				       "not a public key: must be 32 bytes in base64");
		memcpy(ret->bytes, raw.p, PUB);
		id_of(ret);
		return 0;
	}
	return err_set(err, ERR_PARSE, "no public key in it");
}

void seal_pub_write(const struct seal_pub *p, struct buf *out)
{
	buf_puts(out, key_line);
	base64_encode((struct str){(const char *)p->bytes, PUB}, out);
	buf_putc(out, '\n');
}

int seal_pub_of(struct str private_key, struct seal_pub *ret, struct err *err)
{
	if (start(err) != 0)
		return -1;
	if (private_key.n != SEAL_KEY_BYTES)
		return err_set(err, ERR_PARSE, "a private key must be 32 bytes");
	crypto_scalarmult_base(ret->bytes, (const uint8_t *)private_key.p);
	id_of(ret);
	return 0;
}

void seal_key_generate(struct buf *ret_private, struct seal_pub *ret)
{
	char *at = buf_reserve(ret_private, SEAL_KEY_BYTES);

	if (start(NULL) != 0)
		panic("libsodium does not start");
	randombytes_buf(at, SEAL_KEY_BYTES);
	ret_private->n += SEAL_KEY_BYTES;
	if (seal_pub_of((struct str){at, SEAL_KEY_BYTES}, ret, NULL) != 0)
		panic("a key of 32 bytes was refused");
}

struct seal_keys *seal_keys_new(void)
{
	return xalloc(sizeof(struct seal_keys));
}

void seal_keys_free(struct seal_keys *k)
{
	if (!k)
		return;
	sodium_free(k->v);
	free(k);
}

static const struct private_key *find(const struct seal_keys *k, const uint8_t id[ID])
{
	for (size_t i = 0; i < k->n; i++)
		if (!memcmp(k->v[i].pub.id, id, ID))
			return &k->v[i];
	return NULL;
}

static int grow(struct seal_keys *k, struct err *err)
{
	size_t cap = k->cap ? k->cap * 2 : 4;
	struct private_key *v;

	if (k->n < k->cap)
		return 0;
	if (k->n >= KEYS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d sealing keys", KEYS_MAX);
	v = sodium_allocarray(cap, sizeof(*v));
	if (!v)
		return err_set(err, ERR_INTERNAL, "no guarded memory");
	if (k->n)
		memcpy(v, k->v, k->n * sizeof(*v));
	sodium_free(k->v);
	k->v = v;
	k->cap = cap;
	return 0;
}

int seal_keys_add(struct seal_keys *k, struct str private_key, struct err *err)
{
	struct seal_pub pub;

	if (seal_pub_of(private_key, &pub, err) != 0)
		return -1;
	if (find(k, pub.id))
		return 0;
	if (grow(k, err) != 0)
		return -1;
	memcpy(k->v[k->n].secret, private_key.p, SEAL_KEY_BYTES);
	k->v[k->n].pub = pub;
	k->n++;
	return 0;
}

/* ---- derivation ---- */

/* BLAKE2b(key = shared secret, use || ephemeral || recipient), 0 and 1 in front of the parts. */
static void derive_part(uint8_t part, const uint8_t shared[32], const uint8_t both[2 * PUB],
			uint8_t ret[64])
{
	static const char use[] = "plumb.dev/sealed/v1";
	crypto_generichash_state s;

	crypto_generichash_init(&s, shared, 32, 64);
	crypto_generichash_update(&s, (const uint8_t *)use, sizeof(use) - 1);
	crypto_generichash_update(&s, &part, 1);
	crypto_generichash_update(&s, both, 2 * PUB);
	crypto_generichash_final(&s, ret, 64);
}

/* -1 when the other side's key is of low order: such a secret would be no secret. */
static int derive(const uint8_t secret[32], const uint8_t other[PUB], const uint8_t both[2 * PUB],
		  struct derived *ret)
{
	uint8_t shared[32], out[64];

	if (crypto_scalarmult(shared, secret, other) != 0)
		return -1;
	derive_part(0, shared, both, out);
	memcpy(ret->key, out, sizeof(ret->key));
	memcpy(ret->nonce, out + sizeof(ret->key), NONCE);
	derive_part(1, shared, both, out);
	memcpy(ret->tag_key, out, sizeof(ret->tag_key));
	sodium_memzero(shared, sizeof(shared));
	sodium_memzero(out, sizeof(out));
	return 0;
}

static void bind_part(struct buf *out, struct str s)
{
	uint8_t n[4] = {(uint8_t)(s.n >> 24), (uint8_t)(s.n >> 16), (uint8_t)(s.n >> 8),
			(uint8_t)s.n};

	buf_put(out, n, sizeof(n));
	buf_str(out, s);
}

/* Associated data: the head, then namespace, name and key with their lengths in front. */
static void bind(const struct seal_binding *b, struct str head, struct buf *out)
{
	buf_str(out, head);
	bind_part(out, b->scope == SEAL_CLUSTER ? STR("") : b->namespace);
	bind_part(out, b->scope == SEAL_STRICT ? b->name : STR(""));
	bind_part(out, b->key);
}

static void tag_of(const struct derived *d, struct str bytes, uint8_t ret[TAG])
{
	crypto_generichash(ret, TAG, (const uint8_t *)bytes.p, bytes.n, d->tag_key,
			   sizeof(d->tag_key));
}

/* ---- values ---- */

static void seal_bytes(const struct derived *d, const struct seal_binding *b, struct str plain,
		       struct buf *raw)
{
	AUTO(buf) struct buf ad = {0};
	unsigned long long n;
	uint8_t tag[TAG];
	char *at;

	bind(b, buf_view(raw), &ad);
	at = buf_reserve(raw, plain.n + AEAD_TAG);
	crypto_aead_xchacha20poly1305_ietf_encrypt((uint8_t *)at, &n, (const uint8_t *)plain.p,
						   plain.n, (const uint8_t *)ad.p, ad.n, NULL,
						   d->nonce, d->key);
	raw->n += n;
	tag_of(d, buf_view(raw), tag);
	buf_put(raw, tag, TAG);
}

int seal_value(const struct seal_pub *p, const struct seal_binding *b, struct str plain,
	       struct buf *out, struct err *err)
{
	uint8_t both[2 * PUB], ephemeral[32], head[2] = {VERSION, (uint8_t)b->scope};
	AUTO(buf) struct buf raw = {0};
	struct derived d;

	if (start(err) != 0)
		return -1;
	if (plain.n > SEAL_VALUE_MAX)
		return err_set(err, ERR_LIMIT, "longer than %d bytes", SEAL_VALUE_MAX);
	randombytes_buf(ephemeral, sizeof(ephemeral));
	crypto_scalarmult_base(both, ephemeral);
	memcpy(both + PUB, p->bytes, PUB);
	if (derive(ephemeral, p->bytes, both, &d) != 0) {
		sodium_memzero(ephemeral, sizeof(ephemeral));
		return err_set(err, ERR_BAD_REQUEST, "the public key is of low order");
	}
	buf_put(&raw, head, sizeof(head));
	buf_put(&raw, p->id, ID);
	buf_put(&raw, both, PUB);
	seal_bytes(&d, b, plain, &raw);
	base64_encode(buf_view(&raw), out);
	sodium_memzero(ephemeral, sizeof(ephemeral));
	sodium_memzero(&d, sizeof(d));
	return 0;
}

static int unpack(struct str sealed, struct buf *raw, struct err *err)
{
	if (sealed.n > SEAL_VALUE_MAX * 3 / 2)
		return err_set(err, ERR_LIMIT, "longer than any sealed value");
	if (base64_decode(str_trim(sealed), raw) != 0)
		return err_set(err, ERR_PARSE, "not base64");
	if (raw->n && raw->p[0] != VERSION)
		return err_set(err, ERR_UNSUPPORTED, "sealed in a format that is not known here");
	if (raw->n < HEAD + AEAD_TAG + TAG)
		return err_set(err, ERR_CORRUPT, "truncated");
	return 0;
}

int seal_value_id(struct str sealed, uint8_t ret[SEAL_ID_BYTES], struct err *err)
{
	AUTO(buf) struct buf raw = {0};

	if (unpack(sealed, &raw, err) != 0)
		return -1;
	memcpy(ret, raw.p + 2, ID);
	return 0;
}

int seal_value_scope(struct str sealed, enum seal_scope *ret, struct err *err)
{
	AUTO(buf) struct buf raw = {0};

	if (unpack(sealed, &raw, err) != 0)
		return -1;
	*ret = (enum seal_scope)raw.p[1];
	return 0;
}

static int open_bytes(const struct derived *d, const struct seal_binding *b, struct str raw,
		      struct buf *out, struct err *err)
{
	struct str signed_part = str_sub(raw, 0, raw.n - TAG);
	struct str cipher = str_sub(signed_part, HEAD, raw.n);
	AUTO(buf) struct buf ad = {0};
	unsigned long long n;
	uint8_t tag[TAG];
	char *at;

	tag_of(d, signed_part, tag);
	if (sodium_memcmp(tag, raw.p + raw.n - TAG, TAG) != 0)
		return err_set(err, ERR_CORRUPT, "damaged");
	if (raw.p[1] != (char)b->scope)
		return err_set(err, ERR_FORBIDDEN, "sealed with scope %s, not %s",
			       seal_scope_name((enum seal_scope)raw.p[1]),
			       seal_scope_name(b->scope));
	bind(b, str_sub(raw, 0, HEAD), &ad);
	at = buf_reserve(out, cipher.n);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(
		    (uint8_t *)at, &n, NULL, (const uint8_t *)cipher.p, cipher.n,
		    (const uint8_t *)ad.p, ad.n, d->nonce, d->key) != 0)
		return err_set(err, ERR_FORBIDDEN, "sealed for another namespace, name or key");
	out->n += n;
	return 0;
}

int seal_open(const struct seal_keys *k, const struct seal_binding *b, struct str sealed,
	      struct buf *out, struct err *err)
{
	AUTO(buf) struct buf raw = {0};
	const struct private_key *key;
	uint8_t both[2 * PUB];
	char id[SEAL_ID_TEXT];
	struct derived d;
	int rc;

	if (unpack(sealed, &raw, err) != 0)
		return -1;
	key = find(k, (const uint8_t *)raw.p + 2);
	if (!key)
		return err_set(err, ERR_NOT_FOUND, "sealed under key %s, which is not here",
			       seal_id_text((const uint8_t *)raw.p + 2, id));
	memcpy(both, raw.p + 2 + ID, PUB);
	memcpy(both + PUB, key->pub.bytes, PUB);
	if (derive(key->secret, both, both, &d) != 0)
		return err_set(err, ERR_CORRUPT, "damaged");
	rc = open_bytes(&d, b, buf_view(&raw), out, err);
	sodium_memzero(&d, sizeof(d));
	return rc;
}
