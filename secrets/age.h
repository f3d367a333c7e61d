/*
 * age files (age-encryption.org/v1): reading and writing with X25519 and ssh-ed25519 recipients,
 * and armor. Pure but for randomness; bytes in, bytes out. Other recipient types in a file are
 * passed over. Specification: C2SP age.md.
 */
#ifndef PLUMB_SECRETS_AGE_H
#define PLUMB_SECRETS_AGE_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

enum { AGE_KEY_BYTES = 32, AGE_FILE_MAX = 64 * 1024 * 1024 };

/* Identities in guarded memory. */
struct age_keys;
struct age_keys *age_keys_new(void);
void age_keys_free(struct age_keys *k); /* wipes; NULL is fine */
/* The text of a key file: one AGE-SECRET-KEY-1… a line, '#' comments, blank lines; or OpenSSH's
 * ed25519 private keys without a passphrase. */
MUST_USE int age_keys_parse(struct age_keys *k, struct str text, struct err *err);
size_t age_keys_count(const struct age_keys *k);

struct age_recipient {
	uint8_t bytes[AGE_KEY_BYTES]; /* X25519 */
	uint8_t ed[AGE_KEY_BYTES];    /* what it was made of, for ssh-ed25519 */
	bool ssh;
};
/* "age1…", or "ssh-ed25519 AAAA… comment". */
MUST_USE int age_recipient_parse(struct str text, struct age_recipient *ret, struct err *err);
void age_recipient_write(const struct age_recipient *r, struct buf *out);
/* A new identity as text ("AGE-SECRET-KEY-1…", wipe it) and its recipient. */
void age_generate(struct buf *ret_identity, struct age_recipient *ret);

/*
 * Appends the plain bytes; the file may be armored. ERR_PARSE: not an age file, or a bad one;
 * ERR_UNSUPPORTED: under a passphrase;
 * ERR_NOT_FOUND: none of our identities is among its recipients; ERR_CORRUPT: damaged.
 * On error nothing of the plain text is left in `out`.
 */
MUST_USE int age_decrypt(const struct age_keys *k, struct str file, struct buf *out,
			 struct err *err);
/* Appends a file for n recipients (1 to 64), armored or binary. */
struct age_encrypt {
	const struct age_recipient *to;
	size_t n;
	bool armor;
};
MUST_USE int age_encrypt(const struct age_encrypt *e, struct str plain, struct buf *out,
			 struct err *err);

#endif
