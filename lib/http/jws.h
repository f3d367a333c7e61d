/*
 * Public keys that others sign JSON web tokens with, and what they signed: RS256/384/512,
 * PS256/384/512, ES256/384/512 and EdDSA. Keys are immutable and may be used by several threads.
 * Specification: RFC 7515, 7517, 7518, 8037.
 */
#ifndef PLUMB_HTTP_JWS_H
#define PLUMB_HTTP_JWS_H

#include "lib/base/err.h"
#include "lib/base/str.h"

struct jws_key;

/* The parameters of a JSON web key, base64url decoded: an RSA key's modulus and exponent … */
struct jws_key *jws_key_rsa(struct str n, struct str e, struct err *err);
/* … or a curve's ("P-256", "P-384", "P-521", "Ed25519") point; y is empty for the last. */
struct jws_key *jws_key_curve(struct str crv, struct str x, struct str y, struct err *err);
void jws_key_free(struct jws_key *k); /* NULL is fine */

bool jws_knows(struct str alg);
/* True when sig is alg's signature of data by k. An algorithm that is not the key's is no match. */
bool jws_verify(const struct jws_key *k, struct str alg, struct str data, struct str sig);

#endif
