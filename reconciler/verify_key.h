/*
 * SSH's public keys as they travel, and what they signed: Ed25519, RSA (SHA-2), ECDSA over NIST's
 * curves, and the first and last of these in security keys. No I/O.
 * Specification: RFC 4251, 4253, 5656, 8332, 8709; OpenSSH's PROTOCOL.u2f.
 */
#ifndef PLUMB_RECONCILER_VERIFY_KEY_H
#define PLUMB_RECONCILER_VERIFY_KEY_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* Each takes its part off the front of *s; -1 when that is cut short. */
MUST_USE int wire_u32(struct str *s, uint32_t *ret);
MUST_USE int wire_string(struct str *s, struct str *ret);
void wire_put(struct buf *out, struct str s);

/* "sha256" or "sha512" of text; bytes written, 0 for other names. */
size_t key_digest(struct str name, struct str text, unsigned char sum[64]);

#define KEY_PRINT_MAX 64
void key_print(struct str key, char ret[KEY_PRINT_MAX]); /* "SHA256:…" */

/* value: the signature as it stands behind its algorithm's name. */
MUST_USE int key_check(struct str key, struct str algorithm, struct str value, struct str data,
		       struct err *err);

#endif
