/*
 * Backups of sealing keys. What a file asks for is bounded before any memory is taken, because it
 * may come from anybody. Wrong passphrase and damage cannot be told apart, nor should they: that
 * would tell who guesses. Keys are wiped; plain text is never left in `out` on error.
 */
#include "secrets/keybackup.h"

#include <sodium.h>
#include <string.h>

enum {
	VERSION = 1,
	PASSES_MAX = 16,
	KIB_MIN = 8,
	SALT = crypto_pwhash_SALTBYTES,
	NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	KEY = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
	TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES,
};
static_assert(SALT == 16 && NONCE == 24, "the format has these sizes");
static const char magic[] = "PLKB";

static void put_u32(uint32_t v, struct buf *out)
{
	uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

	buf_put(out, b, sizeof(b));
}

static uint32_t get_u32(const char *p)
{
	const uint8_t *b = (const uint8_t *)p;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* From the head of a file, whose cost was checked. */
static int derive(struct str passphrase, struct str head, uint8_t ret[KEY], struct err *err)
{
	uint32_t passes = get_u32(head.p + 5), kib = get_u32(head.p + 9);

	if (sodium_init() < 0)
		return err_set(err, ERR_INTERNAL, "libsodium does not start");
	if (crypto_pwhash(ret, KEY, passphrase.p, passphrase.n, (const uint8_t *)head.p + 13,
			  passes, (size_t)kib * 1024, crypto_pwhash_ALG_ARGON2ID13) != 0)
		return err_set(err, ERR_INTERNAL, "no %u MiB of memory for the passphrase",
			       kib / 1024);
	return 0;
}

int keybackup_seal(const struct keybackup *k, struct str plain, struct buf *out, struct err *err)
{
	size_t from = out->n;
	uint8_t random[SALT + NONCE], key[KEY];
	unsigned long long n;
	char *at;

	if (!k->passphrase.n)
		return err_set(err, ERR_BAD_REQUEST, "the passphrase is empty");
	if (plain.n > KEYBACKUP_MAX)
		return err_set(err, ERR_LIMIT, "more than %d bytes", KEYBACKUP_MAX);
	if (sodium_init() < 0)
		return err_set(err, ERR_INTERNAL, "libsodium does not start");
	randombytes_buf(random, sizeof(random));
	buf_puts(out, magic);
	buf_putc(out, VERSION);
	put_u32(k->passes ? k->passes : KEYBACKUP_PASSES, out);
	put_u32(k->kib ? k->kib : KEYBACKUP_KIB, out);
	buf_put(out, random, sizeof(random));
	if (derive(k->passphrase, str_sub(buf_view(out), from, KEYBACKUP_HEAD), key, err) != 0) {
		out->n = from;
		return -1;
	}
	at = buf_reserve(out, plain.n + TAG);
	crypto_aead_xchacha20poly1305_ietf_encrypt((uint8_t *)at, &n, (const uint8_t *)plain.p,
						   plain.n, (const uint8_t *)out->p + from,
						   KEYBACKUP_HEAD, NULL, random + SALT, key);
	out->n += n;
	sodium_memzero(key, sizeof(key));
	return 0;
}

static int check(const struct keybackup *k, struct str file, struct err *err)
{
	uint32_t passes, kib;

	if (!str_starts(file, STR("PLKB")))
		return err_set(err, ERR_PARSE, "not a backup of keys");
	if (file.n > 4 && file.p[4] != VERSION)
		return err_set(err, ERR_UNSUPPORTED, "written in a format that is not known here");
	if (file.n < KEYBACKUP_HEAD + TAG)
		return err_set(err, ERR_PARSE, "truncated");
	if (file.n > KEYBACKUP_MAX + KEYBACKUP_HEAD + TAG)
		return err_set(err, ERR_LIMIT, "more than %d bytes", KEYBACKUP_MAX);
	passes = get_u32(file.p + 5);
	kib = get_u32(file.p + 9);
	if (!passes || kib < KIB_MIN || passes > (k->passes ? k->passes : PASSES_MAX) ||
	    kib > (k->kib ? k->kib : KEYBACKUP_KIB_MAX))
		return err_set(err, ERR_LIMIT, "asks for %u passes over %u KiB", passes, kib);
	return 0;
}

int keybackup_open(const struct keybackup *k, struct str file, struct buf *out, struct err *err)
{
	struct str head, cipher;
	uint8_t key[KEY];
	unsigned long long n;
	char *at;
	int rc;

	if (check(k, file, err) != 0)
		return -1;
	head = str_sub(file, 0, KEYBACKUP_HEAD);
	cipher = str_sub(file, KEYBACKUP_HEAD, file.n);
	if (derive(k->passphrase, head, key, err) != 0)
		return -1;
	at = buf_reserve(out, cipher.n);
	rc = crypto_aead_xchacha20poly1305_ietf_decrypt(
		(uint8_t *)at, &n, NULL, (const uint8_t *)cipher.p, cipher.n,
		(const uint8_t *)head.p, head.n, (const uint8_t *)head.p + 13 + SALT, key);
	sodium_memzero(key, sizeof(key));
	if (rc != 0)
		return err_set(err, ERR_FORBIDDEN, "wrong passphrase, or the file is damaged");
	out->n += n;
	return 0;
}
