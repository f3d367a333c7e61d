/*
 * age's cryptography on libsodium: X25519 recipients, HKDF and HMAC over SHA-256, ChaCha20-Poly1305
 * in chunks. Identities live in guarded memory; file keys and derived keys are wiped. Must never
 * hand out a chunk of a file whose header or any chunk doesn't verify: the output is taken back
 * on error. Pure but for randomness.
 */
#include "secrets/age.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "secrets/age-internal.h"
#include "secrets/bech32.h"

enum {
	FILE_KEY = 16,
	SHARE = 32,
	WRAPPED = FILE_KEY + crypto_aead_chacha20poly1305_ietf_ABYTES,
	NONCE = 16,
	CHUNK = 64 * 1024,
	TAG = crypto_aead_chacha20poly1305_ietf_ABYTES,
	IDENTITIES_MAX = 1000,
	RECIPIENTS_MAX = 64,
};
static const char info_x25519[] = "age-encryption.org/v1/X25519";
static const char hrp_identity[] = "age-secret-key-", hrp_recipient[] = "age";

struct identity {
	uint8_t secret[AGE_KEY_BYTES];
	uint8_t public[AGE_KEY_BYTES];
	uint8_t ed[AGE_KEY_BYTES]; /* of an ssh key */
	bool ssh;
};
struct age_keys {
	struct identity *v; /* guarded */
	size_t n, cap;
};

/* ---- keys ---- */

static void start(void)
{
	if (sodium_init() < 0)
		panic("libsodium does not start");
}

struct age_keys *age_keys_new(void)
{
	start();
	return xalloc(sizeof(struct age_keys));
}

void age_keys_free(struct age_keys *k)
{
	if (!k)
		return;
	sodium_free(k->v);
	free(k);
}

size_t age_keys_count(const struct age_keys *k)
{
	return k->n;
}

static int make_room(struct age_keys *k, struct err *err)
{
	if (k->n == IDENTITIES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d identities", IDENTITIES_MAX);
	if (k->n == k->cap) {
		size_t cap = k->cap ? k->cap * 2 : 4;
		struct identity *v = sodium_allocarray(cap, sizeof(*v));

		if (!v)
			return err_set(err, ERR_INTERNAL, "no guarded memory");
		if (k->n)
			memcpy(v, k->v, k->n * sizeof(*v));
		sodium_free(k->v);
		k->v = v;
		k->cap = cap;
	}
	k->v[k->n] = (struct identity){.ssh = false};
	return 0;
}

static int add(struct age_keys *k, struct str secret, struct err *err)
{
	if (make_room(k, err) != 0)
		return -1;
	memcpy(k->v[k->n].secret, secret.p, AGE_KEY_BYTES);
	crypto_scalarmult_base(k->v[k->n].public, k->v[k->n].secret);
	k->n++;
	return 0;
}

static int add_ssh(struct age_keys *k, struct str *rest, struct err *err)
{
	struct age_ssh_identity id;
	struct identity *to;
	int rc = make_room(k, err);

	if (rc == 0)
		rc = age_ssh_identity(rest, &id, err);
	if (rc == 0) {
		to = &k->v[k->n++];
		memcpy(to->secret, id.secret, sizeof(id.secret));
		memcpy(to->public, id.public, sizeof(id.public));
		memcpy(to->ed, id.ed, sizeof(id.ed));
		to->ssh = true;
	}
	sodium_memzero(&id, sizeof(id));
	return rc;
}

/* The 32 bytes behind a prefix. */
static int decode_key(struct str text, const char *hrp, struct buf *ret)
{
	AUTO(buf) struct buf prefix = {0};

	return bech32_decode(text, &prefix, ret) == 0 && str_is(buf_view(&prefix), hrp) &&
			       ret->n == AGE_KEY_BYTES
		       ? 0
		       : -1;
}

int age_keys_parse(struct age_keys *k, struct str text, struct err *err)
{
	struct str line;
	int64_t number = 0;

	while (str_next(&text, '\n', &line)) {
		struct buf secret = {0};
		int rc = 0;

		number++;
		line = str_trim(line);
		if (!line.n || *line.p == '#')
			continue;
		/* The line itself is a secret: say only where it is. */
		if (age_ssh_is_identity(line))
			rc = add_ssh(k, &text, err);
		else if (decode_key(line, hrp_identity, &secret) != 0)
			rc = err_set(err, ERR_PARSE, "line %lld: not an age identity (X25519)",
				     (long long)number);
		else
			rc = add(k, buf_view(&secret), err);
		buf_wipe(&secret);
		if (rc != 0)
			return -1;
	}
	return 0;
}

/* What other programs know and this one doesn't, by its name; NULL for anything else. */
static const char *foreign(struct str text)
{
	if (str_starts(text, STR("ssh-")))
		return "of ssh keys only ssh-ed25519 is supported";
	if (str_starts(text, STR("age1pq1")))
		return "post-quantum recipients aren't supported";
	if (str_starts(text, STR("age1")) && str_find(str_sub(text, 4, text.n), STR("1")) > 0)
		return "plugins aren't supported";
	return str_find(text, STR("AGE-SECRET-KEY-")) >= 0
		       ? "this is an identity: keep it secret, and give its recipient (age1…)"
		       : NULL;
}

int age_recipient_parse(struct str text, struct age_recipient *ret, struct err *err)
{
	AUTO(buf) struct buf key = {0};

	*ret = (struct age_recipient){.ssh = false};
	if (age_ssh_is_recipient(text))
		return age_ssh_recipient(text, ret, err);
	if (decode_key(text, hrp_recipient, &key) != 0 && foreign(text))
		/* Not the text: it may be a secret. */
		return err_set(err, ERR_UNSUPPORTED, "%s", foreign(text));
	buf_reset(&key);
	if (decode_key(text, hrp_recipient, &key) != 0)
		return err_set(err, ERR_PARSE, "%.*s: not an age recipient (X25519)",
			       (int)MIN(text.n, 100), text.p ? text.p : "");
	memcpy(ret->bytes, key.p, AGE_KEY_BYTES);
	return 0;
}

void age_recipient_write(const struct age_recipient *r, struct buf *out)
{
	bech32_encode(str_c(hrp_recipient), (struct str){(const char *)r->bytes, AGE_KEY_BYTES},
		      out);
}

void age_generate(struct buf *ret_identity, struct age_recipient *ret)
{
	uint8_t secret[AGE_KEY_BYTES];
	size_t from = ret_identity->n;

	start();
	*ret = (struct age_recipient){.ssh = false};
	randombytes_buf(secret, sizeof(secret));
	crypto_scalarmult_base(ret->bytes, secret);
	bech32_encode(str_c(hrp_identity), (struct str){(const char *)secret, sizeof(secret)},
		      ret_identity);
	for (size_t i = from; i < ret_identity->n; i++)
		if (ret_identity->p[i] >= 'a' && ret_identity->p[i] <= 'z')
			ret_identity->p[i] = (char)(ret_identity->p[i] - 32);
	sodium_memzero(secret, sizeof(secret));
}

/* ---- primitives ---- */

static void hmac(struct str key, struct str a, struct str b, uint8_t ret[32])
{
	crypto_auth_hmacsha256_state s;

	crypto_auth_hmacsha256_init(&s, (const uint8_t *)key.p, key.n);
	crypto_auth_hmacsha256_update(&s, (const uint8_t *)a.p, a.n);
	crypto_auth_hmacsha256_update(&s, (const uint8_t *)b.p, b.n);
	crypto_auth_hmacsha256_final(&s, ret);
	sodium_memzero(&s, sizeof(s));
}

void age_hkdf(struct str secret, struct str salt, struct str info, uint8_t ret[32])
{
	static const uint8_t zeroes[32];
	uint8_t prk[32];

	if (!salt.n)
		salt = (struct str){(const char *)zeroes, sizeof(zeroes)};
	hmac(salt, secret, STR(""), prk);
	hmac((struct str){(const char *)prk, sizeof(prk)}, info, STR("\x01"), ret);
	sodium_memzero(prk, sizeof(prk));
}

static struct str bytes(const uint8_t *p, size_t n)
{
	return (struct str){(const char *)p, n};
}

static void header_mac(const uint8_t file_key[FILE_KEY], struct str covered, uint8_t ret[AGE_MAC])
{
	uint8_t key[32];

	age_hkdf(bytes(file_key, FILE_KEY), STR(""), STR("header"), key);
	hmac(bytes(key, sizeof(key)), covered, STR(""), ret);
	sodium_memzero(key, sizeof(key));
}

/* The key that wraps the file key for one recipient; -1 for a share of low order. ed: of an ssh
 * key, else NULL. */
static int wrap_key(const uint8_t secret[32], const uint8_t other[32],
		    const uint8_t salt[2 * SHARE], const uint8_t *ed, uint8_t ret[32])
{
	uint8_t shared[32];

	if (crypto_scalarmult(shared, secret, other) != 0 || (ed && age_ssh_tweak(ed, shared) != 0))
		return -1;
	age_hkdf(bytes(shared, sizeof(shared)), bytes(salt, 2 * SHARE),
		 ed ? STR(AGE_SSH_INFO) : str_c(info_x25519), ret);
	sodium_memzero(shared, sizeof(shared));
	return 0;
}

/* ---- reading ---- */

static int stanza_share(const struct age_stanza *s, uint8_t ret[SHARE], struct err *err)
{
	AUTO(buf) struct buf share = {0};
	size_t at = str_is(s->args[0], "X25519") ? 1 : 2;

	if (s->nargs != at + 1 || age_b64_decode(s->args[at], &share) != 0 || share.n != SHARE ||
	    s->body.n != WRAPPED)
		return err_set(err, ERR_PARSE, "age file: malformed %.*s recipient",
			       STR_ARG(s->args[0]));
	memcpy(ret, share.p, SHARE);
	return 0;
}

/* True when this identity opens this stanza. */
static bool try_identity(const struct identity *id, const uint8_t share[SHARE],
			 const struct age_stanza *s, uint8_t ret[FILE_KEY])
{
	static const uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];
	uint8_t salt[2 * SHARE], key[32];
	int rc;

	if (id->ssh != !str_is(s->args[0], "X25519"))
		return false;
	memcpy(salt, share, SHARE);
	memcpy(salt + SHARE, id->public, SHARE);
	if (wrap_key(id->secret, share, salt, id->ssh ? id->ed : NULL, key) != 0)
		return false;
	rc = crypto_aead_chacha20poly1305_ietf_decrypt(ret, NULL, NULL, (const uint8_t *)s->body.p,
						       s->body.n, NULL, 0, nonce, key);
	sodium_memzero(key, sizeof(key));
	return rc == 0;
}

static int find_file_key(const struct age_keys *k, const struct age_header *h,
			 uint8_t ret[FILE_KEY], struct err *err)
{
	bool found = false;

	for (size_t i = 0; i < h->n; i++) {
		uint8_t share[SHARE];

		if (!str_is(h->stanzas[i].args[0], "X25519") &&
		    !str_is(h->stanzas[i].args[0], "ssh-ed25519"))
			continue;
		if (stanza_share(&h->stanzas[i], share, err) != 0)
			return -1;
		for (size_t j = 0; j < k->n && !found; j++)
			found = try_identity(&k->v[j], share, &h->stanzas[i], ret);
	}
	if (!found && h->n && str_is(h->stanzas[0].args[0], "scrypt"))
		return err_set(err, ERR_UNSUPPORTED,
			       "encrypted with a passphrase: nobody is there to type it");
	return found ? 0
		     : err_set(err, ERR_NOT_FOUND,
			       "encrypted to %zu recipient%s, none of which is ours", h->n,
			       h->n == 1 ? "" : "s");
}

static void chunk_nonce(uint64_t number, bool last, uint8_t ret[12])
{
	memset(ret, 0, 12);
	for (int i = 0; i < 8; i++)
		ret[10 - i] = (uint8_t)(number >> (8 * i));
	ret[11] = last;
}

static int open_payload(const uint8_t file_key[FILE_KEY], struct str in, struct buf *out,
			struct err *err)
{
	struct str rest = str_sub(in, NONCE, in.n);
	uint8_t key[32], nonce[12];
	int rc = 0;

	if (in.n < NONCE + TAG)
		return err_set(err, ERR_CORRUPT, "age file: truncated");
	age_hkdf(bytes(file_key, FILE_KEY), str_sub(in, 0, NONCE), STR("payload"), key);
	for (uint64_t i = 0; rest.n && rc == 0; i++) {
		struct str chunk = str_sub(rest, 0, CHUNK + TAG);
		unsigned long long n = 0;
		char *at = buf_reserve(out, chunk.n);

		rest = str_sub(rest, chunk.n, rest.n);
		chunk_nonce(i, rest.n == 0, nonce);
		/* An empty last chunk is only right when there is nothing else. */
		if (chunk.n < TAG || (chunk.n == TAG && i > 0) ||
		    crypto_aead_chacha20poly1305_ietf_decrypt((uint8_t *)at, &n, NULL,
							      (const uint8_t *)chunk.p, chunk.n,
							      NULL, 0, nonce, key) != 0)
			rc = err_set(err, ERR_CORRUPT, "age file: damaged or truncated");
		else
			out->n += n;
	}
	sodium_memzero(key, sizeof(key));
	return rc;
}

static int decrypt(const struct age_keys *k, struct str file, struct buf *out, struct err *err)
{
	struct age_header h;
	uint8_t file_key[FILE_KEY], mac[AGE_MAC];
	int rc = age_header_parse(file, &h, err);

	if (rc == 0)
		rc = find_file_key(k, &h, file_key, err);
	if (rc == 0) {
		header_mac(file_key, h.covered, mac);
		if (sodium_memcmp(mac, h.mac, AGE_MAC) != 0)
			rc = err_set(err, ERR_CORRUPT, "age file: its header was changed");
		else
			rc = open_payload(file_key, h.payload, out, err);
	}
	sodium_memzero(file_key, sizeof(file_key));
	age_header_release(&h);
	return rc;
}

int age_decrypt(const struct age_keys *k, struct str file, struct buf *out, struct err *err)
{
	AUTO(buf) struct buf binary = {0};
	size_t from = out->n;
	int rc = 0;

	start();
	if (file.n > AGE_FILE_MAX)
		return err_set(err, ERR_LIMIT, "age file: more than %d bytes", AGE_FILE_MAX);
	if (age_is_armored(file)) {
		rc = age_armor_decode(file, &binary, err);
		file = buf_view(&binary);
	}
	if (rc == 0)
		rc = decrypt(k, file, out, err);
	if (rc != 0 && out->n > from) {
		sodium_memzero(out->p + from, out->n - from);
		out->n = from;
	}
	return rc;
}

/* ---- writing ---- */

static int write_stanza(const struct age_recipient *to, const uint8_t file_key[FILE_KEY],
			struct buf *out, struct err *err)
{
	static const uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];
	uint8_t secret[32], salt[2 * SHARE], key[32], wrapped[WRAPPED], tag[4];
	int rc;

	randombytes_buf(secret, sizeof(secret));
	crypto_scalarmult_base(salt, secret);
	memcpy(salt + SHARE, to->bytes, SHARE);
	rc = wrap_key(secret, to->bytes, salt, to->ssh ? to->ed : NULL, key);
	sodium_memzero(secret, sizeof(secret));
	if (rc != 0)
		return err_set(err, ERR_BAD_REQUEST, "a recipient of low order");
	crypto_aead_chacha20poly1305_ietf_encrypt(wrapped, NULL, file_key, FILE_KEY, NULL, 0, NULL,
						  nonce, key);
	sodium_memzero(key, sizeof(key));
	if (to->ssh) {
		age_ssh_tag(to->ed, tag);
		buf_puts(out, "-> ssh-ed25519 ");
		age_b64_encode(bytes(tag, sizeof(tag)), out);
		buf_putc(out, ' ');
	} else {
		buf_puts(out, "-> X25519 ");
	}
	age_b64_encode(bytes(salt, SHARE), out);
	buf_putc(out, '\n');
	age_body_write(bytes(wrapped, WRAPPED), out);
	return 0;
}

static void write_payload(const uint8_t file_key[FILE_KEY], struct str plain, struct buf *out)
{
	uint8_t start_nonce[NONCE], key[32], nonce[12];
	uint64_t i = 0;

	randombytes_buf(start_nonce, sizeof(start_nonce));
	buf_put(out, start_nonce, NONCE);
	age_hkdf(bytes(file_key, FILE_KEY), bytes(start_nonce, NONCE), STR("payload"), key);
	do {
		struct str chunk = str_sub(plain, 0, CHUNK);
		unsigned long long n;
		char *at = buf_reserve(out, chunk.n + TAG);

		plain = str_sub(plain, chunk.n, plain.n);
		chunk_nonce(i++, plain.n == 0, nonce);
		crypto_aead_chacha20poly1305_ietf_encrypt((uint8_t *)at, &n,
							  (const uint8_t *)chunk.p, chunk.n, NULL,
							  0, NULL, nonce, key);
		out->n += n;
	} while (plain.n);
	sodium_memzero(key, sizeof(key));
}

int age_encrypt(const struct age_encrypt *e, struct str plain, struct buf *out, struct err *err)
{
	AUTO(buf) struct buf file = {0};
	uint8_t file_key[FILE_KEY], mac[AGE_MAC];
	int rc = 0;

	start();
	if (!e->n || e->n > RECIPIENTS_MAX)
		return err_set(err, ERR_BAD_REQUEST, "1 to %d recipients", RECIPIENTS_MAX);
	randombytes_buf(file_key, sizeof(file_key));
	buf_puts(&file, "age-encryption.org/v1\n");
	for (size_t i = 0; i < e->n && rc == 0; i++)
		rc = write_stanza(&e->to[i], file_key, &file, err);
	if (rc == 0) {
		buf_puts(&file, "---");
		header_mac(file_key, buf_view(&file), mac);
		buf_putc(&file, ' ');
		age_b64_encode(bytes(mac, AGE_MAC), &file);
		buf_putc(&file, '\n');
		write_payload(file_key, plain, &file);
		if (e->armor)
			age_armor_encode(buf_view(&file), out);
		else
			buf_str(out, buf_view(&file));
	}
	sodium_memzero(file_key, sizeof(file_key));
	return rc;
}
