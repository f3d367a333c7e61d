/*
 * Sealing keys in a file under a passphrase. Bytes: "PLKB" 0x01 | passes (4, big endian) | memory
 * in KiB (4) | salt (16) | nonce (24) | XChaCha20-Poly1305 of the plain bytes with all before it as
 * associated data. Its key is Argon2id (1.3) of the passphrase with these passes, memory and salt.
 * Version 1 never changes its meaning. Pure but for randomness. Thread-safe.
 */
#ifndef PLUMB_SECRETS_KEYBACKUP_H
#define PLUMB_SECRETS_KEYBACKUP_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

enum {
	KEYBACKUP_PASSES = 4,
	KEYBACKUP_KIB = 128 * 1024,
	KEYBACKUP_KIB_MAX = 1024 * 1024,
	KEYBACKUP_HEAD = 4 + 1 + 4 + 4 + 16 + 24,
	KEYBACKUP_MAX = 16 * 1024 * 1024,
};

struct keybackup {
	struct str passphrase;
	/* Writing: what it costs. Reading: the most that a file may ask for. 0 = the usual. */
	uint32_t passes, kib;
};
/* Appends the file. */
MUST_USE int keybackup_seal(const struct keybackup *k, struct str plain, struct buf *out,
			    struct err *err);
/* Appends the plain bytes (wipe them). ERR_PARSE: not such a file; ERR_UNSUPPORTED: its version;
 * ERR_LIMIT: it asks for too much; ERR_FORBIDDEN: wrong passphrase, or damaged. */
MUST_USE int keybackup_open(const struct keybackup *k, struct str file, struct buf *out,
			    struct err *err);

#endif
