/*
 * ssh-ed25519 keys as age recipients and identities: the Ed25519 point becomes an X25519 one, and
 * the shared secret is tweaked by the key's own bytes, so that it is of no use elsewhere. Reads
 * OpenSSH's private key files without a passphrase. Secrets are wiped; nothing of a key is put into
 * an error. Pure.
 */
#include <sodium.h>
#include <string.h>

#include "lib/base/codec.h"
#include "secrets/age-internal.h"
#include "secrets/age.h"

static const char begin_line[] = "-----BEGIN OPENSSH PRIVATE KEY-----";
static const char end_line[] = "-----END OPENSSH PRIVATE KEY-----";
static const char type_name[] = "ssh-ed25519";

/* ---- SSH's wire format ---- */

static bool take_u32(struct str *s, uint32_t *ret)
{
	const uint8_t *b = (const uint8_t *)s->p;

	if (s->n < 4)
		return false;
	*ret = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	*s = str_sub(*s, 4, s->n);
	return true;
}

static bool take_string(struct str *s, struct str *ret)
{
	uint32_t n;

	if (!take_u32(s, &n) || n > s->n)
		return false;
	*ret = str_sub(*s, 0, n);
	*s = str_sub(*s, n, s->n);
	return true;
}

static void put_string(struct str s, struct buf *out)
{
	uint8_t n[4] = {(uint8_t)(s.n >> 24), (uint8_t)(s.n >> 16), (uint8_t)(s.n >> 8),
			(uint8_t)s.n};

	buf_put(out, n, sizeof(n));
	buf_str(out, s);
}

static void wire(const uint8_t ed[AGE_KEY_BYTES], struct buf *out)
{
	put_string(str_c(type_name), out);
	put_string((struct str){(const char *)ed, AGE_KEY_BYTES}, out);
}

/* "ssh-ed25519" and 32 bytes, nothing behind them. */
static bool take_public(struct str s, struct str *ret)
{
	struct str type;

	return take_string(&s, &type) && str_is(type, type_name) && take_string(&s, ret) &&
	       ret->n == AGE_KEY_BYTES && !s.n;
}

/* ---- keys ---- */

void age_ssh_tag(const uint8_t ed[AGE_KEY_BYTES], uint8_t ret[4])
{
	AUTO(buf) struct buf key = {0};
	uint8_t hash[crypto_hash_sha256_BYTES];

	wire(ed, &key);
	crypto_hash_sha256(hash, (const uint8_t *)key.p, key.n);
	memcpy(ret, hash, 4);
}

int age_ssh_tweak(const uint8_t ed[AGE_KEY_BYTES], uint8_t shared[32])
{
	AUTO(buf) struct buf key = {0};
	uint8_t tweak[32], out[32];
	int rc;

	wire(ed, &key);
	age_hkdf(STR(""), buf_view(&key), STR(AGE_SSH_INFO), tweak);
	rc = crypto_scalarmult(out, tweak, shared);
	memcpy(shared, out, sizeof(out));
	sodium_memzero(tweak, sizeof(tweak));
	sodium_memzero(out, sizeof(out));
	return rc;
}

bool age_ssh_is_recipient(struct str text)
{
	return str_starts(text, STR("ssh-ed25519 "));
}

int age_ssh_recipient(struct str text, struct age_recipient *ret, struct err *err)
{
	AUTO(buf) struct buf raw = {0};
	struct str type, key, comment, ed;

	str_cut(text, ' ', &type, &key);
	str_cut(key, ' ', &key, &comment);
	if (!str_is(type, type_name) || base64_decode(key, &raw) != 0 ||
	    !take_public(buf_view(&raw), &ed) ||
	    crypto_sign_ed25519_pk_to_curve25519(ret->bytes, (const uint8_t *)ed.p) != 0)
		return err_set(err, ERR_PARSE, "not an ssh-ed25519 public key");
	memcpy(ret->ed, ed.p, AGE_KEY_BYTES);
	ret->ssh = true;
	return 0;
}

bool age_ssh_is_identity(struct str line)
{
	return str_is(line, begin_line);
}

/* What OpenSSH keeps behind "none": twice the same number, then the key. */
static int take_private(struct str s, struct age_ssh_identity *ret)
{
	struct str type, public, private;
	uint32_t a, b;

	if (!take_u32(&s, &a) || !take_u32(&s, &b) || a != b || !take_string(&s, &type) ||
	    !str_is(type, type_name) || !take_string(&s, &public) || public.n != AGE_KEY_BYTES ||
	    !take_string(&s, &private) || private.n != 2 * AGE_KEY_BYTES ||
	    memcmp(private.p + AGE_KEY_BYTES, public.p, AGE_KEY_BYTES) != 0)
		return -1;
	memcpy(ret->ed, public.p, AGE_KEY_BYTES);
	if (crypto_sign_ed25519_sk_to_curve25519(ret->secret, (const uint8_t *)private.p) != 0 ||
	    crypto_sign_ed25519_pk_to_curve25519(ret->public, ret->ed) != 0)
		return -1;
	return 0;
}

static int read_file(struct str s, struct age_ssh_identity *ret, struct err *err)
{
	static const char magic[] = "openssh-key-v1"; /* with its terminator */
	struct str cipher, kdf, options, public, private;
	uint32_t n;

	if (s.n < sizeof(magic) || memcmp(s.p, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_PARSE, "not an OpenSSH private key");
	s = str_sub(s, sizeof(magic), s.n);
	if (!take_string(&s, &cipher) || !take_string(&s, &kdf) || !take_string(&s, &options) ||
	    !take_u32(&s, &n) || n != 1 || !take_string(&s, &public) || !take_string(&s, &private))
		return err_set(err, ERR_PARSE, "not an OpenSSH private key");
	if (!str_is(cipher, "none") || !str_is(kdf, "none"))
		return err_set(err, ERR_UNSUPPORTED, "an OpenSSH private key with a passphrase");
	if (take_private(private, ret) != 0)
		return err_set(err, ERR_UNSUPPORTED, "not an ssh-ed25519 private key");
	return 0;
}

int age_ssh_identity(struct str *rest, struct age_ssh_identity *ret, struct err *err)
{
	struct buf text = {0}, raw = {0};
	struct str line;
	bool ended = false;
	int rc;

	while (!ended && rest->p && str_next(rest, '\n', &line)) {
		line = str_trim(line);
		ended = str_is(line, end_line);
		if (!ended)
			buf_str(&text, line);
	}
	if (!ended || base64_decode(buf_view(&text), &raw) != 0)
		rc = err_set(err, ERR_PARSE, "not an OpenSSH private key");
	else
		rc = read_file(buf_view(&raw), ret, err);
	buf_wipe(&text);
	buf_wipe(&raw);
	return rc;
}
