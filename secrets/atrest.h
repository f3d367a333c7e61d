/*
 * Encryption at rest: what the store holds of a Secret is useless without the root key.
 *
 * Envelope, bytes: "PLR" 0x01 | key id (8) | nonce (24) | XChaCha20-Poly1305 of the object, with
 * "PLR" 0x01, key id and the store key as associated data. So a row copied to another key doesn't
 * open. The data key is derived from the root key (BLAKE2b, keyed, "plumb.dev/at-rest/v1").
 *
 * The key file is one or more keys of 32 bytes: the first seals, the rest only open (rotation: put
 * a new one in front). Thread-safe once loaded: nothing changes.
 */
#ifndef PLUMB_SECRETS_ATREST_H
#define PLUMB_SECRETS_ATREST_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

enum { ATREST_KEYS_MAX = 16, ATREST_OVERHEAD = 4 + 8 + 24 + 16 };

struct atrest;
/* Reads the file; made with a new key when it is missing and `create` is true. Refuses a file that
 * others may read. NULL on error. */
struct atrest *atrest_load(const char *path, bool create, struct err *err);
/* From keys in memory (copied): n bytes, a multiple of 32. */
struct atrest *atrest_from(struct str keys, struct err *err);
void atrest_free(struct atrest *a); /* wipes; NULL is fine */

/* A new key in front of the file's, which it may seal with from now on; the rest still open.
 * Refused when it holds ATREST_KEYS_MAX: dropping one is for whoever knows that no backup needs it.
 */
MUST_USE int atrest_rotate(const char *path, struct err *err);

/* The types that the API server's core asks for; arg is a struct atrest. Appends to out. */
MUST_USE int atrest_seal(void *arg, struct str key, struct str plain, struct buf *out,
			 struct err *err);
/* ERR_CORRUPT: damaged, moved from another key, or sealed under a root key we don't have. */
MUST_USE int atrest_open(void *arg, struct str key, struct str sealed, struct buf *out,
			 struct err *err);
/* Plain text (what was written before encryption was on) tells itself from an envelope. */
bool atrest_is_sealed(struct str bytes);
/* True when it was sealed under an older key than the one that seals now. */
bool atrest_is_old(void *arg, struct str sealed);

#endif
