/*
 * Encryption at rest: what the store holds of a Secret is useless without the root key.
 *
 * Envelope, bytes: "PLR" 0x02 | root key's id (8) | wrapped data key (72) | nonce (24) |
 * XChaCha20-Poly1305 of the object under the data key, with all before the nonce and the store key
 * as associated data. So a row copied to another key doesn't open. A data key is random, made at
 * each load; wrapped it is nonce (24) and XChaCha20-Poly1305 under a key derived from the root key
 * (BLAKE2b, keyed, "plumb.dev/at-rest/v2/wrap"), with "PLR" 0x02 and the id as associated data.
 * The id is the first 8 bytes of BLAKE2b, keyed, of "plumb.dev/at-rest/v1/id". Each text is hashed
 * with its NUL.
 *
 * Envelopes of version 1 ("PLR" 0x01 | id | nonce | object, under the key that
 * "plumb.dev/at-rest/v1" derives, with "PLR" 0x01, id and store key) still open and count as old.
 *
 * The key file is one or more keys of 32 bytes: the first seals, the rest only open (rotation: put
 * a new one in front). Thread-safe once loaded: nothing changes.
 */
#ifndef PLUMB_SECRETS_ATREST_H
#define PLUMB_SECRETS_ATREST_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

enum { ATREST_KEYS_MAX = 16, ATREST_OVERHEAD = 4 + 8 + 72 + 24 + 16 };

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
/* True when it was sealed under another root key than the one that seals now, or in an older way.
 */
bool atrest_is_old(void *arg, struct str sealed);

#endif
